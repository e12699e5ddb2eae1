/* crew.h - several threads that start together and are timed together.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include "harness.h"

enum { MOST_THREADS = 16 };

/* Several threads that start together. Each notes when it began and ended, and its own CPU time, so
 * the making and joining of threads is not in the figures. */
struct member {
    struct crew *crew;
    pthread_t thread;
    int id;
    uint64_t first, last; /* what it sends, or how often it does what it does */
    uint64_t count, sum;  /* what it received */
    struct watch watch;
    int64_t ended, cpu;
    int err;
};

struct crew {
    struct member member[MOST_THREADS];
    int size;
    atomic_int senders;
    pthread_barrier_t start;
};

typedef void *thread_fn(void *member);

INLINE void begin(struct member *m)
{
    if (opt.pin && m->crew->size == 2) pin_to(m->id);
    pthread_barrier_wait(&m->crew->start);
    m->watch = watch_start(CLOCK_THREAD_CPUTIME_ID);
}

INLINE void end(struct member *m)
{
    m->ended = clock_ns(CLOCK_MONOTONIC);
    m->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - m->watch.cpu;
}

/* `left` threads share n operations between them, `right` threads take what comes. From the first
 * start to the last end. */
static struct sample run_crew(uint64_t n, int left, thread_fn *left_fn, int right,
                              thread_fn *right_fn)
{
    static struct crew crew;
    crew.size = left + right;
    atomic_init(&crew.senders, left);
    pthread_barrier_init(&crew.start, NULL, (unsigned)crew.size);
    for (int i = 0; i < crew.size; i++) {
        struct member *m = &crew.member[i];
        *m = (struct member){ .crew = &crew, .id = i };
        if (i < left) {
            m->first = 1 + n * (uint64_t)i / (uint64_t)left;
            m->last = n * ((uint64_t)i + 1) / (uint64_t)left;
        }
        if (pthread_create(&m->thread, NULL, i < left ? left_fn : right_fn, m)) {
            fputs("bench: cannot make a thread\n", stderr);
            exit(1);
        }
    }
    int64_t from = INT64_MAX, to = 0, cpu = 0;
    uint64_t count = 0, sum = 0;
    for (int i = 0; i < crew.size; i++) {
        struct member *m = &crew.member[i];
        pthread_join(m->thread, NULL);
        if (m->watch.wall < from) from = m->watch.wall;
        if (m->ended > to) to = m->ended;
        cpu += m->cpu;
        count += m->count;
        sum += m->sum;
        must(m->err, "a thread's call");
    }
    pthread_barrier_destroy(&crew.start);
    must_sum(n, count, sum);
    return (struct sample){ (double)(to - from) / (double)n, (double)cpu / (double)n };
}

#endif
