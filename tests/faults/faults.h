/* faults.h - what the programs share that put a fault beside a toolkit at work: traffic, a test whether a thread
 * burns a core, a child process.
 * SPDX-License-Identifier: MIT */
#ifndef LEAT_FAULTS_H
#define LEAT_FAULTS_H

#include "pool.h"
#include "tap.h"

#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ==== Traffic =================================================================================
 *
 * Threads that do everything at once, with books that must balance. Half of them send, half receive, over three
 * channels, in every form. All acquire permits now and then, and submit jobs to a pool. At the end each message that
 * a send accepted was received once, each accepted job has run, and all permits are back. */
enum { LANES = 3, PERMITS = 3, MOST_THREADS = 64 };

typedef LEAT_CHAN(uint64_t) lane;

struct traveller {
    struct traffic *t;
    pthread_t thread;
    uint64_t dice, made;
    _Atomic size_t moved; /* messages sent, received */
    uint64_t sum;         /* of them */
    size_t jobs;          /* accepted */
};

struct traffic {
    lane lanes[LANES]; /* unbuffered; 1; 8 */
    leat_sem permits;
    leat_pool pool;
    leat_wg senders;
    _Atomic int in_use; /* permits */
    _Atomic size_t jobs_run;
    _Atomic bool stop;
    int n;
    struct traveller travellers[MOST_THREADS];
};

static inline uint64_t roll_(struct traveller *me, uint64_t n)
{
    return tap_rng(&me->dice) % n;
}

static inline int job_(leat_ctx *ctx, void *jobs_run)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic size_t *)jobs_run, 1, memory_order_relaxed);
    return 0;
}

/* A context with a deadline soon, or in the past. */
#define SOON_(me) LEAT_CTX_UNTIL(NULL, leat_now() - LEAT_US(5) + LEAT_US(1) * (int64_t)roll_(me, 300))

/* What has nothing to do with messages: permits, jobs. */
static inline void aside_(struct traveller *me)
{
    struct traffic *t = me->t;
    int n = 1 + (int)roll_(me, PERMITS);
    leat_ctx soon = SOON_(me);
    int err = roll_(me, 2) ? leat_acquire(&t->permits, n) : leat_acquire_ctx(&soon, &t->permits, n);
    if (!err) {
        REQUIRE(atomic_fetch_add_explicit(&t->in_use, n, memory_order_relaxed) + n <= PERMITS);
        atomic_fetch_sub_explicit(&t->in_use, n, memory_order_relaxed);
        REQUIRE_EQ(leat_release(&t->permits, n), 0);
    } else {
        REQUIRE(err == -ETIMEDOUT && leat_now() >= soon.deadline_);
    }
    err = roll_(me, 2) ? leat_submit(&t->pool, job_, &t->jobs_run) : leat_try_submit(&t->pool, job_, &t->jobs_run);
    me->jobs += !err;
    REQUIRE(!err || err == -EAGAIN);
}

/* One send or receive, in a form that the dice choose. Returns how many messages, or the error. */
static inline ptrdiff_t send_somehow_(struct traveller *me, leat_ctx *soon, uint64_t *msgs)
{
    struct traffic *t = me->t;
    lane *l = &t->lanes[roll_(me, LANES)];
    leat_case cases[LANES];
    for (int i = 0; i < LANES; i++) cases[i] = LEAT_SEND(&t->lanes[i], msgs);
    int err;
    switch (roll_(me, 6)) {
    case 0: err = leat_try_send(l, msgs); break;
    case 1: err = leat_send_ctx(soon, l, msgs); break;
    case 2: return leat_send_many_ctx(soon, l, msgs, 1 + roll_(me, 3));
    case 3: err = leat_try_select(cases, LANES); break;
    case 4: err = leat_select_ctx(soon, cases, LANES); break;
    default: err = leat_select(cases, LANES);
    }
    return err < 0 ? err : 1;
}

static inline ptrdiff_t recv_somehow_(struct traveller *me, leat_ctx *soon, uint64_t *msgs)
{
    struct traffic *t = me->t;
    lane *l = &t->lanes[roll_(me, LANES)];
    leat_case cases[LANES];
    for (int i = 0; i < LANES; i++) cases[i] = LEAT_RECV(&t->lanes[i], msgs);
    int r;
    switch (roll_(me, 6)) {
    case 0: r = leat_try_recv(l, msgs); break;
    case 1: r = leat_recv_ctx(soon, l, msgs); break;
    case 2: return leat_recv_many_ctx(soon, l, msgs, 1 + roll_(me, 3));
    case 3: r = leat_try_select(cases, LANES); break;
    case 4: r = leat_select_ctx(soon, cases, LANES); break;
    default: r = leat_select(cases, LANES);
    }
    for (int i = 0; i < LANES; i++)
        if (cases[i].err) return cases[i].err;
    return r < 0 ? r : 1;
}

/* Enters the result of a call into the books. */
static inline void enter_(struct traveller *me, ptrdiff_t r, const uint64_t *msgs, leat_ctx *soon)
{
    if (r == -ETIMEDOUT) REQUIRE(leat_now() >= soon->deadline_);
    else if (r < 0) REQUIRE(r == -EAGAIN || r == -EPIPE);
    for (ptrdiff_t i = 0; i < r; i++) {
        me->sum += msgs[i] * msgs[i];
        atomic_fetch_add_explicit(&me->moved, 1, memory_order_relaxed);
    }
}

static inline void send_all_(struct traveller *me)
{
    while (!atomic_load_explicit(&me->t->stop, memory_order_relaxed)) {
        uint64_t msgs[3] = { me->made + 1, me->made + 2, me->made + 3 };
        leat_ctx soon = SOON_(me);
        ptrdiff_t r = send_somehow_(me, &soon, msgs);
        REQUIRE(r != -EPIPE); /* they are closed when all senders are done */
        enter_(me, r, msgs, &soon);
        if (r > 0) me->made += (uint64_t)r;
        if (roll_(me, 4) == 0) aside_(me);
    }
    REQUIRE_EQ(leat_wg_done(&me->t->senders), 0);
}

static inline void recv_all_(struct traveller *me)
{
    for (ptrdiff_t r = 0; r != -EPIPE;) {
        uint64_t msgs[3];
        leat_ctx soon = SOON_(me);
        r = recv_somehow_(me, &soon, msgs);
        enter_(me, r, msgs, &soon);
        if (roll_(me, 4) == 0) aside_(me);
    }
    for (int i = 0; i < LANES; i++) /* one is closed: soon all are */
        for (uint64_t m; leat_recv(&me->t->lanes[i], &m) == 0;) enter_(me, 1, &m, NULL);
}

static inline void *travel_(void *arg)
{
    struct traveller *me = arg;
    if ((me - me->t->travellers) % 2) recv_all_(me);
    else send_all_(me);
    return NULL;
}

static inline void traffic_begin(struct traffic *t, int threads)
{
    static const size_t capacities[LANES] = { 0, 1, 8 };
    REQUIRE(threads >= 2 && threads <= MOST_THREADS);
    *t = (struct traffic){ .n = threads, .permits = LEAT_SEM(PERMITS), .senders = LEAT_WG((threads + 1) / 2) };
    for (int i = 0; i < LANES; i++) REQUIRE_EQ(leat_make(&t->lanes[i], capacities[i]), 0);
    REQUIRE_EQ(leat_pool_start(&t->pool, NULL, &(leat_pool_opts){ .workers = 2, .queue = 2 }), 0);
    for (int i = 0; i < threads; i++) {
        struct traveller *me = &t->travellers[i];
        me->t = t;
        me->dice = tap_seed(i);
        me->made = (uint64_t)i << 32; /* so that each message is different */
        REQUIRE_EQ(pthread_create(&me->thread, NULL, travel_, me), 0);
    }
}

/* How many messages the thread that has moved least has moved. */
static inline size_t traffic_moved(struct traffic *t)
{
    size_t least = SIZE_MAX;
    for (int i = 0; i < t->n; i++) {
        size_t moved = atomic_load_explicit(&t->travellers[i].moved, memory_order_relaxed);
        if (moved < least) least = moved;
    }
    return least;
}

/* Lets the traffic run until each thread has moved n messages more. */
static inline void traffic_flows(struct traffic *t, size_t n)
{
    for (size_t goal = traffic_moved(t) + n; traffic_moved(t) < goal;) (void)leat_sleep(LEAT_US(200));
}

/* Stops the traffic, and checks the books. */
static inline void traffic_end(struct traffic *t)
{
    size_t sent = 0, received = 0, jobs = 0;
    uint64_t sum = 0;
    atomic_store_explicit(&t->stop, true, memory_order_relaxed);
    REQUIRE_EQ(leat_wg_wait(&t->senders), 0);
    for (int i = 0; i < LANES; i++) REQUIRE_EQ(leat_close(&t->lanes[i]), 0);
    for (int i = 0; i < t->n; i++) {
        struct traveller *it = &t->travellers[i];
        pthread_join(it->thread, NULL);
        *(i % 2 ? &received : &sent) += it->moved;
        sum += i % 2 ? 0 - it->sum : it->sum;
        jobs += it->jobs;
    }
    REQUIRE_EQ(leat_pool_stop(&t->pool), 0);
    REQUIRE_EQ(sent, received);
    REQUIRE_EQ(sum, 0);
    REQUIRE_EQ(jobs, t->jobs_run);
    REQUIRE_EQ(leat_sem_available(&t->permits), PERMITS);
    for (int i = 0; i < LANES; i++) leat_free(&t->lanes[i]);
}

/* ==== Does it burn a core? ====================================================================
 *
 * How much processor time a thread has had says little on a machine that others use too. So a thread that does
 * nothing but spin runs beside it, as the measure. */

static inline int64_t cpu_time(pthread_t thread)
{
    clockid_t clock;
    struct timespec ts;
    if (pthread_getcpuclockid(thread, &clock) || clock_gettime(clock, &ts)) return 0;
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Spins for so much processor time. */
static inline void spin_beside(int64_t ns)
{
    for (int64_t end = cpu_time(pthread_self()) + ns; cpu_time(pthread_self()) < end;) {}
}

/* Whether a thread that has used `used` while the caller spun for `ns` does nearly nothing but spin. */
static inline bool burns(int64_t used, int64_t ns)
{
    return used > ns / 2;
}

/* ==== A child ================================================================================= */

/* Runs body in a child, and checks that it ends well. What the system is told there holds only there. Only a REQUIRE
 * ends a child that fails. */
static inline void in_child(void (*body)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) {
        alarm(50); /* the child has no watchdog */
        body();
        tap_leave(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (!CHECK(WIFEXITED(status))) tap_note("ended by signal %d", WTERMSIG(status));
    else CHECK_EQ(WEXITSTATUS(status), 0);
}

#endif
