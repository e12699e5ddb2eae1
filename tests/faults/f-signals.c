/* f-signals.c - a storm of signals over threads that wait, with and without SA_RESTART. It ends no wait, delays no
 * deadline, and loses nothing.
 * SPDX-License-Identifier: MIT
 *
 * (Workers of groups and pools block signals. tests/pool/t-signals.c has the rest of leat_cancel_on_signals.) */
#define _GNU_SOURCE
#include <signal.h>

#include "faults.h"
#include "jobs.h"

static _Atomic size_t struck;

static void strike(int signal)
{
    (void)signal;
    atomic_fetch_add_explicit(&struck, 1, memory_order_relaxed);
}

static void let_signals_come(int flags)
{
    struct sigaction act = { .sa_handler = strike, .sa_flags = flags };
    REQUIRE(sigaction(SIGUSR2, &act, NULL) == 0);
}

/* ==== Calls that wait ========================================================================= */

typedef LEAT_CHAN(int) int_chan;

static int_chan empty, full, unbuf, nowhere;
static leat_sem no_permits;
static leat_wg unfinished;
static leat_pool pool;   /* its worker is at the door, its queue is full */
static leat_group group; /* its thread is at the door, it may have no other */
static door doors;
static int sent = 5;

static int receives(leat_ctx *ctx)
{
    int m;
    return leat_recv_ctx(ctx, &empty, &m);
}

static int receives_many(leat_ctx *ctx)
{
    int m;
    ptrdiff_t n = leat_recv_many_ctx(ctx, &empty, &m, 1);
    return n < 0 ? (int)n : 0;
}

static int sends(leat_ctx *ctx)
{
    return leat_send_ctx(ctx, &full, &sent);
}

static int sends_unbuffered(leat_ctx *ctx)
{
    return leat_send_ctx(ctx, &unbuf, &sent);
}

static int selects(leat_ctx *ctx)
{
    int m;
    leat_case cases[] = { LEAT_RECV(&nowhere, &m), LEAT_RECV(&empty, &m) };
    int i = leat_select_ctx(ctx, cases, 2);
    return i < 0 ? i : cases[i].err;
}

static int acquires(leat_ctx *ctx)
{
    return leat_acquire_ctx(ctx, &no_permits, 2);
}

static int waits_for_zero(leat_ctx *ctx)
{
    return leat_wg_wait_ctx(ctx, &unfinished);
}

static int submits(leat_ctx *ctx)
{
    return leat_submit_ctx(ctx, &pool, at_door, &doors);
}

static int sleeps(leat_ctx *ctx)
{
    return leat_sleep_ctx(ctx, LEAT_S(1000));
}

static int stops(leat_ctx *ctx) /* last: from then on no call submits */
{
    return leat_pool_stop_ctx(ctx, &pool);
}

static int goes(leat_ctx *ctx)
{
    (void)ctx;
    return leat_go(&group, at_door, &doors);
}

static int waits_for_the_group(leat_ctx *ctx)
{
    (void)ctx;
    return leat_wait(&group);
}

struct wait {
    int (*fn)(leat_ctx *);
    leat_ctx *ctx;
    pthread_t thread;
    int err;
    _Atomic bool over;
};

static void *wait_main(void *arg)
{
    struct wait *w = arg;
    w->err = w->fn(w->ctx);
    atomic_store_explicit(&w->over, true, memory_order_release);
    return NULL;
}

static void begin(struct wait *w, leat_ctx *ctx, int (*fn)(leat_ctx *))
{
    *w = (struct wait){ .fn = fn, .ctx = ctx };
    REQUIRE(pthread_create(&w->thread, NULL, wait_main, w) == 0);
}

static int end(struct wait *w)
{
    pthread_join(w->thread, NULL);
    return w->err;
}

static void set_the_scene(void)
{
    doors = (door){ 0 };
    no_permits = (leat_sem)LEAT_SEM_OF(1, 2);
    unfinished = (leat_wg)LEAT_WG(1);
    group = (leat_group)LEAT_GROUP(NULL);
    REQUIRE_EQ(leat_make(&empty, 1), 0);
    REQUIRE_EQ(leat_make(&full, 1), 0);
    REQUIRE_EQ(leat_send(&full, &sent), 0);
    REQUIRE_EQ(leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = 1, .queue = 1 }), 0);
    REQUIRE_EQ(leat_group_limit(&group, 1), 0);
    REQUIRE_EQ(leat_go(&group, at_door, &doors), 0);
    REQUIRE_EQ(leat_submit(&pool, at_door, &doors), 0);
    door_until(&doors, 2);
    REQUIRE_EQ(leat_submit(&pool, at_door, &doors), 0);
}

static void strike_the_scene(void)
{
    leat_free(&empty);
    leat_free(&full);
}

static int (*const kinds[])(leat_ctx *) = { receives, receives_many,  sends,   sends_unbuffered, selects,
                                            acquires, waits_for_zero, submits, sleeps,           stops };
enum { KINDS = sizeof kinds / sizeof *kinds };

static void strike_all(struct wait *waits, int n)
{
    for (int i = 0; i < n; i++)
        if (!atomic_load_explicit(&waits[i].over, memory_order_acquire)) pthread_kill(waits[i].thread, SIGUSR2);
}

/* ==== The storm =============================================================================== */

/* If the time that is left were counted anew after each signal, the wait would not end before the storm does: never. */
static void deadlines_in_a_storm(int flags)
{
    struct wait waits[KINDS];
    let_signals_come(flags);
    set_the_scene();
    for (int i = 0; i < KINDS - 1; i++) {
        leat_ctx early = LEAT_CTX_WITHIN(NULL, LEAT_MS(-1));
        CHECK_EQ(kinds[i](&early), -ETIMEDOUT); /* done before it begins */
    }
    leat_ctx up = LEAT_CTX(NULL), soon = LEAT_CTX_WITHIN(&up, LEAT_MS(100));
    for (int i = 0; i < KINDS - 1; i++) begin(&waits[i], &soon, kinds[i]);
    for (int over = 0; over < KINDS - 1;) {
        strike_all(waits, KINDS - 1);
        over = 0;
        for (int i = 0; i < KINDS - 1; i++) over += atomic_load_explicit(&waits[i].over, memory_order_acquire);
        if (over) CHECK(leat_now() >= soon.deadline_);
    }
    for (int i = 0; i < KINDS - 1; i++) CHECK_EQ(end(&waits[i]), -ETIMEDOUT);
    begin(&waits[0], &soon, stops);
    CHECK_EQ(end(&waits[0]), -ETIMEDOUT);
    door_open(&doors);
    CHECK_EQ(leat_wait(&group), 0);
    CHECK_EQ(leat_pool_stop(&pool), 0);
    strike_the_scene();
}

TEST(in_a_storm_deadlines_are_kept)
{
    deadlines_in_a_storm(0);
    deadlines_in_a_storm(SA_RESTART);
}

static void waits_in_a_storm(int flags)
{
    struct wait waits[KINDS + 2];
    int m;
    let_signals_come(flags);
    set_the_scene();
    leat_ctx until = LEAT_CTX(NULL);
    for (int i = 0; i < KINDS - 1; i++) begin(&waits[i], kinds[i] == sleeps ? &until : NULL, kinds[i]);
    begin(&waits[KINDS], NULL, goes);
    UNTIL(peek_sem(&group.idle_) == 1);
    UNTIL(peek_senders(&pool.lane_->queue_) == 1);
    begin(&waits[KINDS - 1], NULL, stops);
    begin(&waits[KINDS + 1], NULL, waits_for_the_group);
    for (int i = 0; i < 2000; i++) {
        strike_all(waits, KINDS + 2);
        if (i % 64 == 0) (void)leat_sleep(LEAT_US(200));
    }
    for (int i = 0; i < KINDS + 2; i++)
        if (kinds[i % KINDS] != submits) CHECK(!waits[i].over);
    for (int i = 0; i < 3; i++) CHECK_EQ(leat_send(&empty, &sent), 0); /* two receive, one selects */
    CHECK_EQ(leat_recv(&full, &m), 0);
    CHECK_EQ(leat_recv(&unbuf, &m), 0);
    CHECK_EQ(leat_release(&no_permits, 1), 0);
    CHECK_EQ(leat_wg_done(&unfinished), 0);
    leat_cancel(&until, 0);
    door_open(&doors);
    for (int i = 0; i < KINDS + 2; i++) {
        int err = end(&waits[i]);
        if (i < KINDS && kinds[i] == sleeps) CHECK_EQ(err, -ECANCELED);
        else if (i < KINDS && kinds[i] == submits) CHECK_EQ(err, -ESHUTDOWN); /* the pool was stopped */
        else CHECK_EQ(err, 0);
    }
    CHECK_EQ(doors.at_it, 2 + 1 + 1); /* two tasks, two jobs */
    strike_the_scene();
}

TEST(a_storm_ends_no_wait)
{
    waits_in_a_storm(0);
    waits_in_a_storm(SA_RESTART);
}

static void traffic_in_a_storm(int flags)
{
    static struct traffic t;
    let_signals_come(flags);
    traffic_begin(&t, 8);
    size_t before = struck;
    while (traffic_moved(&t) < 2000 || struck - before < 5000)
        for (int i = 0; i < t.n; i++) pthread_kill(t.travellers[i].thread, SIGUSR2);
    traffic_end(&t);
}

TEST(in_a_storm_nothing_is_lost)
{
    traffic_in_a_storm(0);
    traffic_in_a_storm(SA_RESTART);
}

/* ==== leat_cancel_on_signals ================================================================== */

enum { SHOTS = 4000, SHOOTERS = 3 };

static _Atomic size_t theirs;
static _Atomic int shooters;

static void counts_theirs(int sig, siginfo_t *info, void *unused)
{
    (void)sig;
    (void)unused;
    REQUIRE_EQ(info->si_value.sival_int, 99);
    atomic_fetch_add_explicit(&theirs, 1, memory_order_relaxed);
}

static void *shoots(void *unused)
{
    for (int i = 0; i < SHOTS; i++) {
        while (sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 99 })) {
            REQUIRE_EQ(errno, EAGAIN); /* too many are on the way */
            (void)leat_sleep(LEAT_US(100));
        }
        if (i % 8 == 0) (void)leat_sleep(LEAT_US(20));
    }
    atomic_fetch_sub(&shooters, 1);
    return unused;
}

/* Signals that are queued, not merged. Each has either cancelled one context, or come to the program's handler. */
static void counts_all(void)
{
    struct sigaction act = { .sa_sigaction = counts_theirs, .sa_flags = SA_SIGINFO }, now;
    pthread_t threads[SHOOTERS];
    leat_ctx ctx[2];
    size_t cancelled = 0, calls = 0;
    sigaction(SIGRTMIN + 1, &act, NULL);
    atomic_store(&shooters, SHOOTERS);
    for (int i = 0; i < SHOOTERS; i++) REQUIRE_EQ(pthread_create(&threads[i], NULL, shoots, NULL), 0);
    for (bool last = false; !last; calls++) {
        last = atomic_load(&shooters) == 0;
        ctx[calls % 2] = (leat_ctx)LEAT_CTX(NULL);
        REQUIRE_EQ(leat_cancel_on_signals(&ctx[calls % 2], SIGRTMIN + 1, SIGTERM, 0), 0);
        if (calls) cancelled += leat_ctx_cause(&ctx[(calls + 1) % 2]) == SIGRTMIN + 1; /* final: no thread uses it now */
    }
    for (int i = 0; i < SHOOTERS; i++) pthread_join(threads[i], NULL);
    REQUIRE_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0);
    cancelled += leat_ctx_cause(&ctx[(calls + 1) % 2]) == SIGRTMIN + 1;
    REQUIRE_EQ(cancelled + theirs, SHOTS * SHOOTERS);
    REQUIRE(cancelled > 10);
    REQUIRE(sigaction(SIGRTMIN + 1, NULL, &now) == 0 && now.sa_sigaction == counts_theirs);
}

TEST(of_a_storm_each_signal_cancels_or_is_the_programs)
{
    in_child(counts_all);
}
