/* semaphores.h - leat_sem, sem_t and two bare locked operations.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_SEMAPHORES_H
#define BENCH_SEMAPHORES_H

#include "crew.h"

#include "../semaphore.h"

#include <semaphore.h>

static _Alignas(128) leat_sem leat_s;
static _Alignas(128) sem_t posix_s;
static _Alignas(128) _Atomic uint64_t bare_word;

struct sem_ops {
    void (*make)(unsigned permits);
    int (*acquire)(void);
    int (*release)(void);
    int64_t (*available)(void);
};

INLINE struct sample sem_alone(const struct work *w, uint64_t n, const struct sem_ops *s)
{
    s->make((unsigned)w->cap);
    struct watch watch = watch_start(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < n; i++)
        if (s->acquire() || s->release()) wrong("acquire or release failed");
    struct sample took = watch_stop(watch, n);
    if (s->available() != (int64_t)w->cap) wrong("%d permits at the end", (int)s->available());
    return took;
}

/* Acquire, a few nanoseconds of private work, release. */
INLINE void *visits(struct member *m, const struct sem_ops *s)
{
    uint64_t count = 0, sum = 0;
    begin(m);
    for (uint64_t i = m->first, last = m->last; i <= last; i++) {
        if ((m->err = s->acquire()) != 0) break;
        volatile uint64_t work = i;
        for (int k = 0; k < 4; k++) work = work + 1;
        sum += work - 4;
        count++;
        if ((m->err = s->release()) != 0) break;
    }
    end(m);
    m->count = count;
    m->sum = sum;
    return NULL;
}

INLINE struct sample sem_crew(const struct work *w, uint64_t n, const struct sem_ops *s,
                              thread_fn *fn)
{
    s->make((unsigned)w->cap);
    struct sample took = run_crew(n, w->left, fn, 0, fn);
    if (s->available() != (int64_t)w->cap) wrong("%d permits at the end", (int)s->available());
    return took;
}

static void leat_s_make(unsigned permits) { leat_s = (leat_sem)LEAT_SEM(permits); }

INLINE int leat_s_acquire(void) { return leat_acquire(&leat_s, 1); }

INLINE int leat_s_release(void) { return leat_release(&leat_s, 1); }

static int64_t leat_s_available(void) { return leat_sem_available(&leat_s); }

static const struct sem_ops leat_sem_ops = { leat_s_make, leat_s_acquire, leat_s_release,
                                             leat_s_available };

static void *leat_visits(void *m) { return visits(m, &leat_sem_ops); }
static struct sample leat_sem_alone(const struct work *w, uint64_t n)
{
    return sem_alone(w, n, &leat_sem_ops);
}

static struct sample leat_sem_crew(const struct work *w, uint64_t n)
{
    return sem_crew(w, n, &leat_sem_ops, leat_visits);
}

static void posix_s_make(unsigned permits) { sem_init(&posix_s, 0, permits); }

INLINE int posix_s_acquire(void) { return sem_wait(&posix_s); }

INLINE int posix_s_release(void) { return sem_post(&posix_s); }

static int64_t posix_s_available(void)
{
    int n = -1;
    sem_getvalue(&posix_s, &n);
    sem_destroy(&posix_s);
    return n;
}

static const struct sem_ops posix_sem_ops = { posix_s_make, posix_s_acquire, posix_s_release,
                                              posix_s_available };

static void *posix_visits(void *m) { return visits(m, &posix_sem_ops); }
static struct sample posix_sem_alone(const struct work *w, uint64_t n)
{
    return sem_alone(w, n, &posix_sem_ops);
}

static struct sample posix_sem_crew(const struct work *w, uint64_t n)
{
    return sem_crew(w, n, &posix_sem_ops, posix_visits);
}

/* The floor: one locked operation to take a permit, one to give it back. It cannot even wait. */
static void bare_s_make(unsigned permits)
{
    atomic_store_explicit(&bare_word, permits, memory_order_relaxed);
}

INLINE int bare_s_acquire(void)
{
    return atomic_fetch_sub_explicit(&bare_word, 1, memory_order_acquire) == 0;
}

INLINE int bare_s_release(void)
{
    return atomic_fetch_add_explicit(&bare_word, 1, memory_order_release) == UINT64_MAX;
}

static int64_t bare_s_available(void)
{
    return (int64_t)atomic_load_explicit(&bare_word, memory_order_relaxed);
}

static const struct sem_ops bare_ops = { bare_s_make, bare_s_acquire, bare_s_release,
                                         bare_s_available };

static struct sample bare_alone(const struct work *w, uint64_t n)
{
    return sem_alone(w, n, &bare_ops);
}

#endif
