/* works.h - the works: what contestants in C and C++ are measured by. See contestant.h.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_WORKS_H
#define BENCH_WORKS_H

#include "contestant.h"

/* ---- threads that start together ------------------------------------------------------------- */

struct member {
    pthread_t thread;
    int id;
    uint64_t first, last; /* what it sends */
    uint64_t count, sum;  /* what it received */
    int64_t began, ended;
};

static struct member members[MOST_THREADS];
static pthread_barrier_t start_line;
static int senders_left;

/* Member i of a pair stays on the i-th CPU that the process may use. */
static void pin_to(int i)
{
#ifdef CPU_SET
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all)) return;
    CPU_ZERO(&one);
    i %= CPU_COUNT(&all);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && i-- == 0) CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
#endif
}

INLINE void begin(struct member *m)
{
    if (arg.pin) pin_to(m->id);
    pthread_barrier_wait(&start_line);
    m->began = now_ns();
}

INLINE void end(struct member *m, uint64_t count, uint64_t sum)
{
    m->ended = now_ns();
    m->count = count;
    m->sum = sum;
}

typedef void *thread_fn(void *);

static void thread_make(pthread_t *thread, thread_fn *fn, void *to)
{
    if (pthread_create(thread, NULL, fn, to)) {
        fputs("no thread\n", stderr);
        exit(1);
    }
}

/* `left` threads share n operations, `right` threads take what comes. Measured from the first start to the last end. */
static inline void run_crew(uint64_t n, int left, thread_fn *left_fn, int right, thread_fn *right_fn)
{
    int64_t from = INT64_MAX, to = 0;
    uint64_t count = 0, sum = 0;
    pthread_barrier_init(&start_line, NULL, (unsigned)(left + right + 1));
    senders_left = left;
    for (int i = 0; i < left + right; i++) {
        struct member *m = &members[i];
        memset(m, 0, sizeof *m);
        m->id = i;
        if (i < left) {
            m->first = 1 + n * (uint64_t)i / (uint64_t)left;
            m->last = n * ((uint64_t)i + 1) / (uint64_t)left;
        }
        thread_make(&m->thread, i < left ? left_fn : right_fn, m);
    }
    round_begins();
    pthread_barrier_wait(&start_line);
    for (int i = 0; i < left + right; i++) pthread_join(members[i].thread, NULL);
    round_ends(n);
    for (int i = 0; i < left + right; i++) {
        struct member *m = &members[i];
        if (m->began < from) from = m->began;
        if (m->ended > to) to = m->ended;
        count += m->count;
        sum += m->sum;
    }
    round_.from.wall = from;
    round_.to.wall = to;
    pthread_barrier_destroy(&start_line);
    must_sum(n, count, sum);
}

INLINE void cpu_relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* How a thread waits that can only try: 64 pauses after the first failures, then it yields. */
INLINE void patience(unsigned *failures)
{
    if ((*failures)++ < 8)
        for (int i = 0; i < 64; i++) cpu_relax();
    else sched_yield();
}

/* Counts a message. False for the one that is the end. */
INLINE bool take(msg *m, uint64_t *count, uint64_t *sum)
{
    all_of_it(m);
    if (m->v[0] == THE_END) return false;
    if (MSG_SIZE > 8 && m->v[0] != m->v[MSG_SIZE / 8 - 1]) wrong("a message was torn");
    *sum += m->v[0];
    ++*count;
    return true;
}

/* ---- queues ---------------------------------------------------------------------------------- */

#ifdef QUEUE

static struct place {
    struct queue q;
} __attribute__((aligned(128))) places[2];

#ifndef THREADS
#define queue_enter(q) ((void)(q))
#define queue_leave(q) ((void)(q))
#endif

#ifdef TRY
INLINE bool patient_send(struct queue *q, msg m)
{
    for (unsigned failures = 0; !queue_try_send(q, m);) patience(&failures);
    return true;
}

INLINE bool patient_recv(struct queue *q, msg *m)
{
    for (unsigned failures = 0; !queue_try_recv(q, m);) patience(&failures);
    return true;
}
#endif

#ifndef BLOCKING
#define queue_send patient_send
#define queue_recv patient_recv
#endif
#ifndef TRY
#define patient_send queue_send
#define patient_recv queue_recv
#endif
#ifndef BATCH
INLINE size_t queue_send_some(struct queue *q, msg *m, size_t n)
{
    return n ? (size_t)queue_send(q, m[0]) : 0;
}
INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n)
{
    return n ? (size_t)queue_recv(q, m) : 0;
}
#endif
#ifndef CLOSES
static void queue_close(struct queue *q)
{
    for (uint64_t i = 0; i < arg.receivers; i++) queue_send(q, msg_of(THE_END));
}
#endif

static void last_sender_closes(struct queue *q)
{
    if (__atomic_sub_fetch(&senders_left, 1, __ATOMIC_ACQ_REL) == 0) queue_close(q);
}

static void *sends(void *member)
{
    struct member *m = (struct member *)member;
    struct queue *q = &places[0].q;
    queue_enter(q);
    begin(m);
    uint64_t last = m->last;
    if (arg.batch > 1) {
        msg out[MOST_BATCH];
        for (uint64_t i = m->first; i <= last;) {
            size_t n = last - i + 1 < arg.batch ? (size_t)(last - i + 1) : (size_t)arg.batch;
            for (size_t j = 0; j < n; j++) out[j] = msg_of(i + j);
            unsigned failures = 0;
            for (size_t done = 0; done < n;) {
                size_t some = queue_send_some(q, out + done, n - done);
                if (!some) patience(&failures);
                done += some;
            }
            i += n;
        }
    } else if (arg.blocking) {
        for (uint64_t i = m->first; i <= last; i++) queue_send(q, msg_of(i));
    } else {
        for (uint64_t i = m->first; i <= last; i++) patient_send(q, msg_of(i));
    }
    end(m, 0, 0);
    last_sender_closes(q);
    queue_leave(q);
    return NULL;
}

static void *receives(void *member)
{
    struct member *m = (struct member *)member;
    struct queue *q = &places[0].q;
    uint64_t count = 0, sum = 0;
    msg in;
    queue_enter(q);
    begin(m);
    if (arg.batch > 1) {
        msg some[MOST_BATCH];
        unsigned failures = 0;
        for (bool on = true; on;) {
            size_t n = queue_recv_some(q, some, (size_t)arg.batch);
#if defined BLOCKING && defined CLOSES
            if (!n) break;
#endif
            if (!n) patience(&failures);
            else failures = 0;
            for (size_t j = 0; j < n; j++) {
                bool more = take(&some[j], &count, &sum);
                if (!more && !on) queue_send(q, some[j]); /* the end for another receiver */
                on &= more;
            }
        }
    }
#ifdef CLOSES
    else if (!arg.blocking) {
        for (unsigned failures = 0;;) {
            if (queue_try_recv(q, &in)) {
                take(&in, &count, &sum);
                failures = 0;
            } else if (queue_is_over(q)) {
                break;
            } else {
                patience(&failures);
            }
        }
    }
#endif
    else if (arg.blocking) {
        while (queue_recv(q, &in) && take(&in, &count, &sum)) continue;
    } else {
        while (patient_recv(q, &in) && take(&in, &count, &sum)) continue;
    }
    end(m, count, sum);
#if defined UNORDERED && defined TRY
    for (int empty = 0; empty < 100;) { /* the end may have overtaken some messages */
        if (!queue_try_recv(q, &in)) {
            empty++;
            sched_yield();
        } else if (!take(&in, &count, &sum)) {
            queue_send(q, in); /* the end for another receiver */
            break;
        } else {
            end(m, count, sum);
        }
    }
#endif
    queue_leave(q);
    return NULL;
}

static void flow(uint64_t n)
{
    queue_new(&places[0].q, (size_t)arg.cap);
    run_crew(n, (int)arg.senders, sends, (int)arg.receivers, receives);
    queue_free(&places[0].q);
}

/* One thread sends and receives in turns. */
static void pair(uint64_t n)
{
    struct queue *q = &places[0].q;
    uint64_t count = 0, sum = 0;
    msg in, some[MOST_BATCH], back[MOST_BATCH];
    size_t batch = (size_t)arg.batch;
    queue_new(q, (size_t)arg.cap);
    queue_enter(q);
    n = (n + batch - 1) / batch * batch;
    round_begins();
    if (batch > 1) {
        for (uint64_t i = 1; i <= n; i += batch) {
            for (size_t j = 0; j < batch; j++) some[j] = msg_of(i + j);
            for (size_t done = 0; done < batch;) done += queue_send_some(q, some + done, batch - done);
            for (size_t done = 0, got; done < batch; done += got) {
                got = queue_recv_some(q, back, batch - done);
                for (size_t j = 0; j < got; j++) take(&back[j], &count, &sum);
            }
        }
    } else if (arg.blocking) {
        for (uint64_t i = 1; i <= n; i++) {
            queue_send(q, msg_of(i));
            queue_recv(q, &in);
            take(&in, &count, &sum);
        }
    } else {
        for (uint64_t i = 1; i <= n; i++) {
            patient_send(q, msg_of(i));
            patient_recv(q, &in);
            take(&in, &count, &sum);
        }
    }
    round_ends(n);
    must_sum(n, count, sum);
    queue_leave(q);
    queue_free(q);
}

/* One thread fills the queue, then empties it. */
static void fill(uint64_t n)
{
    struct queue *q = &places[0].q;
    uint64_t count = 0, sum = 0, cap = arg.cap;
    msg in;
    queue_new(q, (size_t)cap);
    queue_enter(q);
    n = (n + cap - 1) / cap * cap;
    round_begins();
    for (uint64_t i = 1; i <= n; i += cap) {
        for (uint64_t j = 0; j < cap; j++) queue_send(q, msg_of(i + j));
        for (uint64_t j = 0; j < cap; j++) {
            queue_recv(q, &in);
            take(&in, &count, &sum);
        }
    }
    round_ends(n);
    must_sum(n, count, sum);
    queue_leave(q);
    queue_free(q);
}

/* ---- latencies: a histogram of 32 steps for each doubling ------------------------------------- */

static uint32_t histogram[64 * 32];

static int bucket_of(uint64_t ns)
{
    if (ns < 32) return (int)ns;
    int high = 63 - __builtin_clzll(ns);
    return (high - 4) * 32 + (int)(ns >> (high - 5) & 31);
}

static uint64_t bucket_begin(int b)
{
    return b < 32 ? (uint64_t)b : (uint64_t)(32 + b % 32) << (b / 32 - 1);
}

static void say_percentiles(uint64_t n, uint64_t most)
{
    static const double part[] = { .5, .99, .999 };
    uint64_t at[3] = { 0 }, seen = 0;
    for (int b = 0, p = 0; b < 64 * 32 && p < 3; b++) {
        seen += histogram[b];
        while (p < 3 && (double)seen >= part[p] * (double)n) at[p++] = bucket_begin(b);
    }
    snprintf(round_.more, sizeof round_.more, ", \"p50\": %llu, \"p99\": %llu, \"p99.9\": %llu, \"max\": %llu",
             (unsigned long long)at[0], (unsigned long long)at[1], (unsigned long long)at[2], (unsigned long long)most);
}

static bool timed; /* each round trip by itself */
static uint64_t longest;

static void *serves(void *member)
{
    struct member *m = (struct member *)member;
    uint64_t count = 0, sum = 0;
    msg in;
    for (int i = 0; i < 2; i++) queue_enter(&places[i].q);
    begin(m);
    for (uint64_t i = m->first, last = m->last; i <= last; i++) {
        int64_t from = timed ? now_ns() : 0;
        if (arg.blocking) {
            queue_send(&places[0].q, msg_of(i));
            queue_recv(&places[1].q, &in);
        } else {
            patient_send(&places[0].q, msg_of(i));
            patient_recv(&places[1].q, &in);
        }
        take(&in, &count, &sum);
        if (timed) {
            uint64_t took = (uint64_t)(now_ns() - from);
            histogram[bucket_of(took)]++;
            if (took > longest) longest = took;
        }
    }
    end(m, count, sum);
    if (arg.blocking) queue_send(&places[0].q, msg_of(THE_END));
    else patient_send(&places[0].q, msg_of(THE_END));
    for (int i = 0; i < 2; i++) queue_leave(&places[i].q);
    return NULL;
}

static void *returns(void *member)
{
    struct member *m = (struct member *)member;
    msg in = msg_of(0);
    for (int i = 0; i < 2; i++) queue_enter(&places[i].q);
    begin(m);
    if (arg.blocking)
        while (queue_recv(&places[0].q, &in) && in.v[0] != THE_END) queue_send(&places[1].q, in);
    else
        while (patient_recv(&places[0].q, &in) && in.v[0] != THE_END) patient_send(&places[1].q, in);
    end(m, 0, 0);
    for (int i = 0; i < 2; i++) queue_leave(&places[i].q);
    return NULL;
}

static void ping_pong(uint64_t n)
{
    for (int i = 0; i < 2; i++) queue_new(&places[i].q, (size_t)arg.cap);
    run_crew(n, 1, serves, 1, returns);
    for (int i = 0; i < 2; i++) queue_free(&places[i].q);
}

static void latency(uint64_t n)
{
    timed = true;
    longest = 0;
    memset(histogram, 0, sizeof histogram);
    ping_pong(n);
    say_percentiles(n, longest);
}

/* ---- waking parked threads ------------------------------------------------------------------- */

#ifdef BLOCKING
/* Each receiver takes one message, then waits until all have one: all must be woken. */
static void *wakes_up(void *member)
{
    struct member *m = (struct member *)member;
    msg in = msg_of(0);
    queue_enter(&places[0].q);
    pthread_barrier_wait(&start_line);
    queue_recv(&places[0].q, &in);
    m->ended = now_ns();
    m->count = 1;
    m->sum = in.v[0];
    pthread_barrier_wait(&start_line);
    queue_leave(&places[0].q);
    return NULL;
}

/* A queue, and `receivers` threads that have been asleep on it for a while. */
static void put_to_sleep(long ns)
{
    struct timespec rest = { 0, ns };
    queue_new(&places[0].q, (size_t)arg.cap);
    queue_enter(&places[0].q);
    pthread_barrier_init(&start_line, NULL, (unsigned)arg.receivers + 1);
    for (uint64_t i = 0; i < arg.receivers; i++) thread_make(&members[i].thread, wakes_up, &members[i]);
    pthread_barrier_wait(&start_line);
    nanosleep(&rest, NULL);
}

/* All have been woken, and end. */
static void send_home(void)
{
    for (uint64_t i = 0; i < arg.receivers; i++) pthread_join(members[i].thread, NULL);
    pthread_barrier_destroy(&start_line);
    queue_leave(&places[0].q);
    queue_free(&places[0].q);
}

/* n times: `receivers` threads have been asleep for 5 ms. Measured from the first send until the last of them runs. */
static void burst(uint64_t n)
{
    int64_t wall = 0, cpu = 0;
    uint64_t r = arg.receivers, count = 0, sum = 0;
    struct meter first = meter_now();
    for (uint64_t k = 0; k < n; k++) {
        put_to_sleep(5000000);
        round_begins();
        for (uint64_t i = 0; i < r; i++) queue_send(&places[0].q, msg_of(k * r + i + 1));
        pthread_barrier_wait(&start_line);
        round_ends(1);
        send_home();
        int64_t last = 0;
        for (uint64_t i = 0; i < r; i++) {
            if (members[i].ended > last) last = members[i].ended;
            count += members[i].count;
            sum += members[i].sum;
        }
        wall += last - round_.from.wall;
        cpu += round_.to.cpu - round_.from.cpu;
    }
    must_sum(n * r, count, sum);
    round_.from = first;
    round_ends(n);
    round_.to.wall = round_.from.wall + wall;
    round_.to.cpu = round_.from.cpu + cpu;
}

/* `receivers` threads wait for a second: CPU time. */
static void idle(uint64_t n)
{
    struct timespec second = { 1, 0 };
    (void)n;
    put_to_sleep(200000000);
    round_begins();
    nanosleep(&second, NULL);
    round_ends(1);
    for (uint64_t i = 0; i < arg.receivers; i++) queue_send(&places[0].q, msg_of(1));
    pthread_barrier_wait(&start_line);
    send_home();
}
#endif
#endif /* QUEUE */

/* ---- pools ----------------------------------------------------------------------------------- */

#ifdef POOL
static void must_have_run(uint64_t n)
{
    uint64_t count = 0, sum = 0;
    for (struct tally *t = __atomic_load_n(&tallies, __ATOMIC_ACQUIRE); t; t = t->next) {
        count += t->count;
        sum += t->sum;
        t->count = t->sum = 0;
    }
    must_sum(n, count, sum);
}

/* One thread submits n jobs. Measured until the last has run. */
static void jobs(uint64_t n)
{
    pool_start((int)arg.workers, (int)arg.cap);
    round_begins();
    for (uint64_t i = 1; i <= n; i++) pool_submit(i);
    pool_stop();
    round_ends(n);
    must_have_run(n);
}

#ifdef REQUESTS
/* An event loop keeps 64 requests under way: each that has ended makes place for the next. Measured until all n have. */
static void requests(uint64_t n)
{
    requests_start((int)arg.workers);
    round_begins();
    requests_run(n, 64);
    round_ends(n);
    requests_stop();
    must_have_run(n);
}
#endif

/* One thread submits a job and waits for it, in turns. */
static void churn(uint64_t n)
{
    pool_start((int)arg.workers, (int)arg.cap);
    round_begins();
    for (uint64_t i = 1; i <= n; i++) pool_ask(i);
    round_ends(n);
    pool_stop();
    must_have_run(n);
}
#endif

/* ---- semaphores ------------------------------------------------------------------------------ */

#ifdef SEMAPHORE
static void permits_back(void)
{
    long left = sem_left();
    if (left != (long)arg.cap) wrong("%ld permits at the end", left);
}

static void sem_pair(uint64_t n)
{
    sem_new((int)arg.cap);
    round_begins();
    for (uint64_t i = 0; i < n; i++) {
        sem_take(1);
        sem_give(1);
    }
    round_ends(n);
    permits_back();
}

/* Acquires, works a little for itself, releases. */
static void *visits(void *member)
{
    struct member *m = (struct member *)member;
    uint64_t count = 0, sum = 0;
    int most = (int)arg.batch, permits = most > 1 ? 1 + m->id % most : 1;
    begin(m);
    for (uint64_t i = m->first, last = m->last; i <= last; i++) {
        sem_take(permits);
        work_for(4);
        sum += i;
        count++;
        sem_give(permits);
    }
    end(m, count, sum);
    return NULL;
}

static void sem_crew(uint64_t n)
{
    sem_new((int)arg.cap);
    run_crew(n, (int)arg.workers, visits, 0, visits);
    permits_back();
}
#endif

/* ---- select ---------------------------------------------------------------------------------- */

#ifdef SELECT
/* `cases` receiving cases, of which `ready` are ready. A message that was received is replaced by one send. If one
 * case is ready, the send goes to the next channel. */
static void select_one(uint64_t n)
{
    uint64_t sent = 0, received = 0, next = 0, got = 0;
    select_new((int)arg.cases, MOST_CASES);
    for (int i = 0; i < (int)arg.ready; i++) {
        sent += ++next;
        select_send(i, next);
    }
    round_begins();
    for (uint64_t k = 0; k < n; k++) {
        int i = select_recv(&got);
        received += got;
        sent += ++next;
        if (arg.ready == 1 && ++i == (int)arg.cases) i = 0;
        select_send(i, next);
    }
    round_ends(n);
    for (int i = 0; i < (int)arg.ready; i++) {
        select_recv(&got);
        received += got;
    }
    if (sent != received) wrong("the sum of what was received is not that of what was sent");
    select_free();
}
#endif

/* ---- tasks ----------------------------------------------------------------------------------- */

#ifdef GROUP
static void group(uint64_t n)
{
    tasks_run = 0;
    round_begins();
    for (uint64_t done = 0; done < n;) {
        uint64_t some = n - done < 10000 ? n - done : 10000;
        group_tasks(some, (int)arg.limit);
        done += some;
    }
    round_ends(n);
    uint64_t ran = __atomic_load_n(&tasks_run, __ATOMIC_RELAXED);
    if (ran != n) wrong("%llu of %llu tasks ran", (unsigned long long)ran, (unsigned long long)n);
}
#endif

#ifdef CANCEL
/* n times: 10,000 tasks of which the 100th fails, which stops the rest. Measured until all is over. */
static void cancel(uint64_t n)
{
    tasks_run = 0;
    round_begins();
    for (uint64_t i = 0; i < n; i++) cancel_tasks(10000, 99, (int)arg.limit);
    round_ends(n);
    uint64_t ran = __atomic_load_n(&tasks_run, __ATOMIC_RELAXED);
    if (ran < 100 * n) wrong("%llu tasks ran in %llu rounds", (unsigned long long)ran, (unsigned long long)n);
    snprintf(round_.more, sizeof round_.more, ", \"ran\": %.1f", (double)ran / (double)n);
}
#endif

/* ---- topics ---------------------------------------------------------------------------------- */

#ifdef TOPIC
static struct {
    uint64_t count, sum;
    uint64_t last[MOST_THREADS]; /* of each publisher */
} __attribute__((aligned(128))) heard[MOST_CASES];

/* Takes what is in the i-th channel, each publisher's messages in order. Returns whether there were any. */
INLINE bool hear(uint64_t i)
{
    uint64_t before = heard[i].count, p = 0;
    msg in;
    for (; topic_recv((int)i, &in); heard[i].last[p] = in.v[0]) {
        take(&in, &heard[i].count, &heard[i].sum);
        for (p = 0; p < arg.senders - 1 && in.v[0] > members[p].last;) p++;
        if (in.v[0] <= heard[i].last[p])
            wrong("%llu came after %llu", (unsigned long long)in.v[0], (unsigned long long)heard[i].last[p]);
    }
    return heard[i].count != before;
}

/* Each channel has been full once: its memory is there. */
static void topic_begins(bool keeps)
{
    msg in;
    topic_new((int)(arg.subscribers + arg.others), (size_t)arg.cap, keeps);
    for (uint64_t i = 0; i < arg.subscribers; i++) topic_join((int)i);
    for (uint64_t k = 0; k < arg.cap; k++) topic_publish(msg_of(1));
    for (uint64_t i = 0; i < arg.subscribers; i++)
        while (topic_recv((int)i, &in)) continue;
    memset(heard, 0, sizeof heard);
}

static void topic_ends(void)
{
    for (uint64_t i = 0; i < arg.subscribers; i++) topic_leave((int)i);
    topic_free();
}

/* One thread publishes. The messages are taken out of full channels while the clock stands still. */
static void publish(uint64_t n)
{
    uint64_t bunch = arg.subscribers ? arg.cap : n;
    int64_t wall = 0, cpu = 0;
    topic_begins(false);
    n = (n + bunch - 1) / bunch * bunch;
    struct meter first = meter_now();
    for (uint64_t m = 1; m <= n; m += bunch) {
        int64_t cpu_from = cpu_ns(), wall_from = now_ns();
        for (uint64_t k = 0; k < bunch; k++) topic_publish(msg_of(m + k));
        wall += now_ns() - wall_from;
        cpu += cpu_ns() - cpu_from;
        for (uint64_t i = 0; i < arg.subscribers; i++) hear(i);
    }
    round_.from = first;
    round_ends(n);
    round_.to.wall = first.wall + wall;
    round_.to.cpu = first.cpu + cpu;
    for (uint64_t i = 0; i < arg.subscribers; i++) must_sum(n, heard[i].count, heard[i].sum);
    topic_ends();
}

static void *publishes(void *member)
{
    struct member *m = (struct member *)member;
    uint64_t sum = 0;
    begin(m);
    for (uint64_t i = m->first, last = m->last; i <= last; i++) {
        topic_publish(msg_of(i));
        sum += i;
    }
    end(m, m->last - m->first + 1, sum);
    __atomic_sub_fetch(&senders_left, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

INLINE bool somebody_publishes(void)
{
    return __atomic_load_n(&senders_left, __ATOMIC_ACQUIRE) != 0;
}

static uint64_t changes;

/* The first receivers take from the subscribers' channels, each from its own. The others come and go. */
static void *listens(void *member)
{
    struct member *m = (struct member *)member;
    uint64_t id = (uint64_t)m->id - arg.senders;
    begin(m);
    if (id < arg.receivers) {
        unsigned failures = 0;
        while (somebody_publishes()) {
            bool any = false;
            for (uint64_t i = id; i < arg.subscribers; i += arg.receivers) any |= hear(i);
            if (any) failures = 0;
            else patience(&failures);
        }
    }
#ifdef CHANGES
    else {
        uint64_t i = arg.subscribers + id - arg.receivers, k = 0;
        for (; somebody_publishes(); k++) {
            topic_join((int)i);
            hear(i);
            topic_leave((int)i);
        }
        __atomic_add_fetch(&changes, k, __ATOMIC_RELAXED);
    }
#endif
    m->ended = m->began; /* the time is the publishers' */
    return NULL;
}

/* Several threads publish, without waiting for room. What did not arrive must have been counted as a drop. */
static void publishers(uint64_t n)
{
    uint64_t drops = 0;
    topic_begins(false);
    changes = 0;
    run_crew(n, (int)arg.senders, publishes, (int)(arg.receivers + arg.others), listens);
    for (uint64_t i = 0; i < arg.subscribers; i++) {
        uint64_t dropped = topic_drops((int)i);
        hear(i);
        if (heard[i].count + dropped != n)
            wrong("%llu of %llu arrived, %llu dropped", (unsigned long long)heard[i].count, (unsigned long long)n,
                  (unsigned long long)dropped);
        drops += dropped;
    }
    int length = snprintf(round_.more, sizeof round_.more, ", \"drops/k\": %.1f",
                          1000. * (double)drops / (double)(n * arg.subscribers));
    if (arg.others)
        snprintf(round_.more + length, sizeof round_.more - (size_t)length, ", \"changes/k\": %.1f",
                 1000. * (double)changes / (double)n);
    topic_ends();
}

#ifdef LATEST
static void *looks(void *member)
{
    struct member *m = (struct member *)member;
    uint64_t before = 1, sum = 0, count = 0;
    begin(m);
    for (uint64_t i = m->first, last = m->last; i <= last; i++) {
        msg now = msg_of(0);
        topic_latest(&now);
        __asm__ volatile("" : : "m"(now)); /* all of it */
        if (now.v[0] < before || now.v[0] != now.v[MSG_SIZE / 8 - 1]) wrong("not the latest value");
        before = now.v[0];
        count++;
        sum += i;
    }
    end(m, count, sum);
    __atomic_sub_fetch(&senders_left, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

static uint64_t updates;

static void *updates_it(void *member)
{
    struct member *m = (struct member *)member;
    uint64_t number = 1;
    begin(m);
    for (int64_t due = now_ns(); somebody_publishes(); due += (int64_t)arg.every) {
        while (arg.every && now_ns() < due && somebody_publishes()) cpu_relax();
        topic_publish(msg_of(++number));
    }
    updates = number - 1;
    m->ended = m->began; /* the time is the reader's */
    return NULL;
}

/* One thread reads the latest value, beside none or one that publishes others all the time, or one `every` ns. */
static void latest(uint64_t n)
{
    topic_begins(true);
    updates = 0;
    run_crew(n, 1, looks, (int)arg.receivers, updates_it);
    if (arg.receivers)
        snprintf(round_.more, sizeof round_.more, ", \"updates/k\": %.1f", 1000. * (double)updates / (double)n);
    topic_ends();
}
#endif
#endif

#ifdef COMPRESSES
#include "zlib.h"
#endif

static void spin(uint64_t n)
{
    round_begins();
    work_for(n);
    round_ends(n);
}

/* ---- main ------------------------------------------------------------------------------------ */

typedef void work_fn(uint64_t n);

static const struct work {
    const char *name;
    work_fn *run;
} works[] = {
#ifdef COMPRESSES
    { "compress", compression },
#endif
#ifdef QUEUE
    { "flow", flow },
    { "pair", pair },
    { "fill", fill },
    { "ping-pong", ping_pong },
    { "latency", latency },
#ifdef BLOCKING
    { "burst", burst },
    { "idle", idle },
#endif
#endif
#ifdef POOL
    { "jobs", jobs },
    { "churn", churn },
#endif
#ifdef REQUESTS
    { "requests", requests },
#endif
#ifdef SEMAPHORE
    { "sem-pair", sem_pair },
    { "sem", sem_crew },
#endif
#ifdef SELECT
    { "select", select_one },
#endif
#ifdef GROUP
    { "group", group },
#endif
#ifdef CANCEL
    { "cancel", cancel },
#endif
#ifdef TOPIC
    { "publish", publish },
    { "publishers", publishers },
#ifdef LATEST
    { "latest", latest },
#endif
#endif
    { "spin", spin },
};

/* The words that run.py asks for: what the contestant can, and how. */
static void say_what_it_can(void)
{
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) printf("%s ", works[i].name);
#ifdef BLOCKING
    printf("blocking ");
#endif
#ifdef TRY
    printf("try ");
#endif
#ifdef BATCH
    printf("batch ");
#endif
#ifdef UNBUFFERED
    printf("unbuffered ");
#endif
#ifdef UNORDERED
    printf("unordered ");
#endif
#ifdef UNBOUNDED
    printf("unbounded ");
#endif
#ifdef WEIGHTED
    printf("weighted ");
#endif
#ifdef CHANGES
    printf("changes ");
#endif
#ifdef BY_VALUE
    printf("sizes ");
#endif
#ifdef ONE_TO_ONE
    printf("one-to-one ");
#endif
    putchar('\n');
}

static uint64_t *find_arg(const char *name, size_t length)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } all[] = { { "senders", &arg.senders },   { "receivers", &arg.receivers },
                { "cap", &arg.cap },           { "batch", &arg.batch },
                { "blocking", &arg.blocking }, { "pin", &arg.pin },
                { "workers", &arg.workers },   { "spin", &arg.spin },
                { "limit", &arg.limit },       { "cases", &arg.cases },
                { "ready", &arg.ready },       { "others", &arg.others },
                { "every", &arg.every },       { "subscribers", &arg.subscribers } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i].name) == length && memcmp(all[i].name, name, length) == 0) return all[i].value;
    return NULL;
}

static void *sleeps_for_ever(void *unused)
{
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv)
{
    work_fn *run = NULL;
    for (int i = 1; i < argc; i++) {
        const char *is = strchr(argv[i], '=');
        uint64_t *value = is ? find_arg(argv[i], (size_t)(is - argv[i])) : NULL;
        if (value) *value = strtoull(is + 1, NULL, 10);
        for (size_t k = 0; k < sizeof works / sizeof *works; k++)
            if (strcmp(argv[i], works[k].name) == 0) run = works[k].run;
        if (strcmp(argv[i], "can") == 0) say_what_it_can();
        else if (!value && !run) return fprintf(stderr, "what is %s?\n", argv[i]), 2;
    }
    if (arg.senders + arg.receivers > MOST_THREADS || arg.workers > MOST_THREADS || arg.batch > MOST_BATCH ||
        arg.cases > MOST_CASES || arg.subscribers + arg.others > MOST_CASES || arg.limit > 64 || !arg.limit || !arg.workers)
        return fputs("too many or too few\n", stderr), 2;
    /* With one thread alone glibc leaves the locked instructions out of its mutexes and semaphores. Then the
     * uncontended works would measure something else. */
    pthread_t second;
    thread_make(&second, sleeps_for_ever, NULL);
    unsigned long long n;
    while (run && scanf("%llu", &n) == 1) {
        memset(&round_, 0, sizeof round_);
        run(n);
        struct meter a = round_.from, b = round_.to;
        printf("{\"n\": %llu, \"wall\": %lld, \"cpu\": %lld, \"sleeps\": %ld, \"preemptions\": %ld%s%s%s%s}\n",
               (unsigned long long)round_.n, (long long)(b.wall - a.wall), (long long)(b.cpu - a.cpu), b.sleeps - a.sleeps,
               b.preemptions - a.preemptions, round_.more, round_.wrong[0] ? ", \"wrong\": \"" : "", round_.wrong,
               round_.wrong[0] ? "\"" : "");
        fflush(stdout);
    }
    return 0;
}

#endif
