/* t-pool-faults.c - a pool in trouble: no thread to be had, no memory, jobs that end their threads. It reports it,
 * unwinds, and loses nothing; and submit needs neither threads nor memory.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static _Atomic int made, fail_at, fail_always; /* threads asked for. fail_at: the one that fails, 1 is the first */
static _Atomic int gotten, no_memory_at, given_back;

static _Atomic unsigned *maker; /* the lock of the pool that spawns one */
static _Atomic int locked;      /* threads asked for while it was held */

static bool refused(void)
{
    int n = atomic_fetch_add(&made, 1) + 1;
    if (maker && *maker) locked++;
    return n == fail_at || (fail_always && n >= fail_always);
}

static void *fake_calloc(size_t n, size_t size)
{
    if (atomic_fetch_add(&gotten, 1) + 1 == no_memory_at) {
        atomic_fetch_sub(&gotten, 1);
        return NULL;
    }
    return calloc(n, size);
}

static void fake_free(void *p)
{
    if (p) atomic_fetch_add(&given_back, 1);
    free(p);
}

/* Events of the portable fallback: each that is made is ended. */
static _Atomic int conds;

static inline int counted_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    conds++;
    return pthread_cond_init(cond, attr);
}

static inline int counted_cond_destroy(pthread_cond_t *cond)
{
    conds--;
    return pthread_cond_destroy(cond);
}

#include "tap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define calloc fake_calloc /* those of the headers */
#define free fake_free
#define pthread_cond_init counted_cond_init
#define pthread_cond_destroy counted_cond_destroy
#include "queue.h"
#include "semaphore.h"

TAP_FAKE_THREADS(refused)
#define pthread_create fake_create
#define LEAT_OS_BEGIN_ TAP_FAKE_BEGIN_SYMBOL
#include "pool.h"
#undef pthread_create
#undef calloc
#undef free
#undef pthread_cond_init
#undef pthread_cond_destroy

#include "jobs.h"

static void fake_nothing(void)
{
    made = fail_at = fail_always = gotten = no_memory_at = given_back = 0;
}

/* ==== No threads, no memory =================================================================== */

TEST(a_start_that_cannot_make_all_threads_fails_with_all_unwound)
{
    for (int at = 1; at <= 4; at++) {
        leat_pool p;
        _Atomic int ran = 0;
        fake_nothing();
        fail_at = at;
        CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 4 }), -EAGAIN);
        CHECK_EQ(made, at); /* it does not try again */
        CHECK_EQ(gotten, given_back);
        CHECK(leat_submit(&p, counts, &ran) != 0);
        CHECK(leat_pool_stop(&p) != 0);
        CHECK_EQ(ran, 0);
        CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 4 }), 0); /* and later it may work */
        CHECK_EQ(leat_submit(&p, counts, &ran), 0);
        CHECK_EQ(leat_pool_stop(&p), 0);
        CHECK_EQ(ran, 1);
        CHECK_EQ(gotten, given_back);
    }
}

TEST(L3_no_thread_is_made_while_the_lock_is_held)
{
    leat_pool p;
    memset(&p, 0, sizeof p);
    fake_nothing();
    maker = &p.threads_.lock_;
    leat_pool_opts opts = { .workers = 1 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &opts), 0);
    UNTIL(peek_receivers(&p.lane_->queue_) == 1); /* it does not take the lock */
    locked = 0;
    CHECK_EQ(leat_try_pool_resize(&p, 2), 0);
    maker = NULL;
    CHECK_EQ(locked, 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_start_without_memory_fails_with_all_unwound)
{
    for (int at = 1; at <= 5; at++) { /* the queue, then each worker */
        leat_pool p;
        _Atomic int ran = 0;
        fake_nothing();
        no_memory_at = at;
        CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 4 }), -ENOMEM);
        CHECK_EQ(gotten, given_back);
        CHECK(leat_submit(&p, counts, &ran) != 0);
    }
}

TEST(a_resize_that_cannot_make_a_thread_says_so_and_the_pool_goes_on)
{
    leat_pool p;
    _Atomic int ran = 0;
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    fail_at = 4;
    CHECK_EQ(leat_pool_resize(&p, 6), -EAGAIN);
    CHECK_EQ(workers(&p), 3);
    fail_at = 0;
    no_memory_at = gotten + 1;
    CHECK_EQ(leat_pool_resize(&p, 6), -ENOMEM);
    CHECK_EQ(workers(&p), 3);
    no_memory_at = 0;
    CHECK_EQ(leat_pool_resize(&p, 6), 0);
    CHECK_EQ(workers(&p), 6);
    for (int i = 0; i < 50; i++) CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 50);
    CHECK_EQ(gotten, given_back);
}

TEST(a_group_without_memory_says_so_and_runs_what_it_accepted)
{
    leat_group g = LEAT_GROUP(NULL);
    door d = { 0 };
    fake_nothing();
    no_memory_at = 3;
    CHECK_EQ(leat_go_n(&g, 4, at_door, &d), -ENOMEM);
    door_until(&d, 2);
    door_open(&d);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(d.at_it, 2);
    CHECK_EQ(gotten, given_back);
}

TEST(a_group_that_gets_no_thread_leaves_nothing_behind)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    int before = conds, accepted = 1;
    (void)counted_cond_init, (void)counted_cond_destroy; /* with futex no event needs them */
    fake_nothing();
    fail_always = 2;
    CHECK_EQ(leat_go(&g, counts, (void *)&ran), 0);
    UNTIL(leat_sem_available(&g.idle_) == 1);
    CHECK_EQ(leat_try_go_n(&g, 3, counts, (void *)&ran), -EAGAIN);
    for (int i = 0; i < 20; i++) {
        int err = leat_go(&g, counts, (void *)&ran);
        CHECK(err == 0 || err == -EAGAIN); /* the one thread is idle, or it is not */
        accepted += !err;
    }
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, accepted);
    CHECK_EQ(conds, before);
    CHECK_EQ(gotten, given_back);
}

TEST(submit_allocates_nothing)
{
    leat_pool p;
    _Atomic int ran = 0;
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 2 }), 0);
    int before = gotten;
    for (int i = 0; i < 2000; i++) {
        leat_ctx ctx = LEAT_CTX(NULL);
        CHECK_EQ(leat_submit_ctx(&ctx, &p, counts, &ran), 0);
    }
    CHECK_EQ(gotten, before);
    CHECK_EQ(made, 2);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(gotten, given_back);
}

/* ==== Jobs that end their threads ============================================================= */

static int exits(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    pthread_exit(NULL);
}

TEST(a_job_that_ends_its_thread_has_failed_and_its_worker_is_replaced)
{
    for (int n = 1; n <= 3; n++) {
        leat_pool p;
        leat_stats st;
        _Atomic int ran = 0, ended = 0;
        fake_nothing();
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = n, .queue = 4 }), 0);
        for (int i = 0; i < 60; i++) CHECK_EQ(leat_submit(&p, i % 3 ? counts : exits, i % 3 ? &ran : &ended), 0);
        CHECK_EQ(leat_pool_stop(&p), 0);
        CHECK_EQ(ran, 40);
        CHECK_EQ(ended, 20);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.completed, 40);
        CHECK_EQ(st.failed, 20);
        CHECK_EQ(st.submitted, 60);
        CHECK_EQ(st.busy, 0);
        CHECK_EQ(made, n + 20);
        CHECK_EQ(gotten, given_back);
    }
}

TEST(L6_as_many_workers_as_before_after_all_were_replaced)
{
    leat_pool p;
    _Atomic int ended = 0;
    door d = { 0 };
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 4, .queue = 4 }), 0);
    for (int i = 0; i < 8; i++) CHECK_EQ(leat_submit(&p, exits, &ended), 0);
    for (int i = 0; i < 4; i++) CHECK_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 4); /* four at once */
    door_open(&d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(gotten, given_back);
}

TEST(if_a_job_ends_its_thread_when_no_other_can_be_made_no_call_hangs)
{
    leat_pool p;
    leat_stats st;
    _Atomic int ran = 0, ended = 0;
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 20 }), 0);
    fail_always = 1;
    CHECK_EQ(leat_submit(&p, exits, &ended), 0);
    for (int i = 0; i < 10; i++) CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 10);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.failed, 1);
    CHECK_EQ(st.completed, 10);
    CHECK_EQ(gotten, given_back);
}

TEST(if_jobs_end_their_threads_when_no_others_can_be_made_no_call_hangs)
{
    leat_pool p;
    leat_stats st;
    _Atomic int ran = 0, ended = 0;
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 20 }), 0);
    fail_always = 1;
    for (int i = 0; i < 3; i++) CHECK_EQ(leat_submit(&p, exits, &ended), 0);
    for (int i = 0; i < 10; i++) (void)leat_submit(&p, counts, &ran);
    int err = leat_pool_stop(&p); /* drained, or told that no worker could. But not for ever */
    if (err) CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.submitted, st.completed + st.failed + st.dropped);
    CHECK_EQ(gotten, given_back);
}

static int exits_in_init(void *user, int id)
{
    (void)user;
    if (id == 1) pthread_exit(NULL);
    return 0;
}

TEST(an_init_hook_that_ends_its_thread_fails_the_start)
{
    leat_pool p;
    fake_nothing();
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .worker_init = exits_in_init }), -EINTR);
    CHECK_EQ(gotten, given_back);
}

struct victim {
    door d;
    pthread_t thread;
};

/* AddressSanitizer knows that pthread_exit leaves frames behind, but not that a cancellation does. */
static void leaves_frames(void *unused)
{
    (void)unused;
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define ASAN_HERE
#endif
#elif defined __SANITIZE_ADDRESS__
#define ASAN_HERE
#endif
#ifdef ASAN_HERE
    void __asan_handle_no_return(void);
    __asan_handle_no_return();
#endif
}

static int is_cancelled(leat_ctx *ctx, void *arg)
{
    struct victim *v = arg;
    v->thread = pthread_self();
    door_pass(&v->d);
    pthread_cleanup_push(leaves_frames, NULL);
    while (ctx) pthread_testcancel();
    pthread_cleanup_pop(0);
    return 0;
}

TEST(a_job_whose_thread_is_cancelled_has_failed_and_its_worker_is_replaced)
{
#if defined _WIN32
    SKIP("no thread of the headers can be cancelled");
#endif
    leat_pool p;
    leat_stats st;
    struct victim v = { .d = { 0 } };
    _Atomic int ran = 0;
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 8 }), 0);
    CHECK_EQ(leat_submit(&p, is_cancelled, &v), 0);
    for (int i = 0; i < 5; i++) CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    door_until(&v.d, 1);
    CHECK_EQ(pthread_cancel(v.thread), 0);
    door_open(&v.d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 5);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.failed, 1);
    CHECK_EQ(st.completed, 5);
    CHECK_EQ(made, 2);
    CHECK_EQ(gotten, given_back);
}

static int stop(void *p)
{
    return leat_pool_stop(p);
}

TEST(L2_jobs_may_end_their_threads_while_it_stops_or_shrinks)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        leat_pool p;
        leat_stats st;
        _Atomic int ran = 0, ended = 0;
        side stopper;
        fake_nothing();
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .queue = 30 }), 0);
        for (int i = 0; i < 30; i++) REQUIRE_EQ(leat_submit(&p, i % 2 ? counts : exits, i % 2 ? &ran : &ended), 0);
        side_start(&stopper, stop, &p);
        for (int i = 3; i-- > 0;) {
            int err = leat_pool_resize(&p, 1 + i);
            REQUIRE(err == 0 || err == -ESHUTDOWN);
        }
        REQUIRE_EQ(side_join(&stopper), 0);
        REQUIRE_EQ(ran, 15);
        REQUIRE_EQ(ended, 15);
        REQUIRE_EQ(leat_pool_stats(&p, &st), 0);
        REQUIRE_EQ(st.failed, 15);
        REQUIRE_EQ(st.completed, 15);
        REQUIRE_EQ(gotten, given_back);
    }
}

/* ==== Jobs that end their threads, again and again ============================================ */

static void counts_dropped(leat_task *fn, void *arg, void *dropped)
{
    (void)fn, (void)arg;
    ++*(int *)dropped;
}

TEST(L1_threads_that_jobs_have_ended_do_not_pile_up)
{
    leat_pool p;
    _Atomic int ended = 0;
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    for (int i = 1; i <= 200; i++) {
        REQUIRE_EQ(leat_submit(&p, exits, &ended), 0);
        UNTIL(atomic_load(&ended) == i);
        REQUIRE(threads(&p.threads_) <= 50); /* one that works, and those that are exiting */
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(made, 201);
    CHECK_EQ(gotten, given_back);
}

TEST(nor_do_their_stacks_grow_without_end_when_no_others_can_be_made)
{
    leat_pool p;
    leat_ctx up = LEAT_CTX(NULL);
    _Atomic int ended = 0, accepted = 0;
    fake_nothing();
    REQUIRE_EQ(leat_pool_start(&p, &up, &(leat_pool_opts){ .workers = 1, .queue = 4 }), 0);
    fail_always = 1;
    while (leat_submit(&p, exits, &ended) == 0) accepted++;
    CHECK(ended > 10 && ended < 100);
    int left = 0, err = leat_pool_stop(&p);
    CHECK(err == 0 || err == -ECANCELED); /* no worker was left to run the rest, if there was any */
    if (err) CHECK_EQ(leat_pool_abort(&p, counts_dropped, &left), 0);
    CHECK_EQ(ended + left, accepted);
    CHECK_EQ(leat_ctx_err(&up), 0);
    CHECK_EQ(gotten, given_back);
}

static _Atomic int inits, finis;

static int exits_but_first(void *user, int id)
{
    (void)user, (void)id;
    if (inits++ > 0) pthread_exit(NULL);
    return 0;
}

static void counts_fini(void *user, int id)
{
    (void)user, (void)id;
    finis++;
}

TEST(an_init_hook_that_ends_the_thread_of_each_replacement_ends_the_pool)
{
    leat_pool p;
    _Atomic int ended = 0;
    fake_nothing();
    inits = finis = 0;
    leat_pool_opts opts = { .workers = 1, .queue = 4, .worker_init = exits_but_first, .worker_fini = counts_fini };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &opts), 0);
    REQUIRE_EQ(leat_submit(&p, exits, &ended), 0);
    int err = leat_pool_stop(&p);
    CHECK(err == 0 || err == -ECANCELED); /* what it had accepted has run, or stop came before */
    CHECK_EQ(ended, 1);
    CHECK_EQ(inits, 3); /* the first, its replacement, and the first again, a rerun */
    CHECK_EQ(finis, 1);
    if (err) CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    CHECK_EQ(gotten, given_back);
}

/* ==== A retired worker ======================================================================== */

struct retired {
    leat_pool p;
    door d;
};

static int exits_at_door(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(&((struct retired *)arg)->d);
    pthread_exit(NULL);
}

TEST(a_retired_worker_whose_job_ends_its_thread_asks_for_no_thread_and_ends_none)
{
    struct retired r = { .d = { 0 } };
    _Atomic int ran = 0;
    fake_nothing();
    inits = finis = 0;
    REQUIRE_EQ(leat_pool_start(&r.p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 2 }), 0);
    REQUIRE_EQ(leat_submit(&r.p, exits_at_door, &r), 0);
    REQUIRE_EQ(leat_submit(&r.p, exits_at_door, &r), 0);
    door_until(&r.d, 2);
    CHECK_EQ(leat_pool_resize(&r.p, 1), 0);
    int before = gotten;
    door_open(&r.d);
    CHECK_EQ(leat_submit(&r.p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&r.p), 0);
    CHECK_EQ(ran, 1);
    CHECK_EQ(gotten, before + 1); /* one of the two is replaced */
    CHECK_EQ(made, 3);
    CHECK_EQ(gotten, given_back);
}

/* A pool of two. The first worker is held up in a job. The job of the second ends its thread, and its replacement is
 * held up in its init hook. */
static struct {
    leat_pool p;
    door job, hook;
    int hook_says;
    _Atomic int inits, finis;
} stage;

static _Thread_local int my_id;

static int held_up(void *user, int id)
{
    (void)user;
    my_id = id;
    stage.inits++;
    if (id < 2) return 0;
    door_pass(&stage.hook);
    return stage.hook_says;
}

static void goes(void *user, int id)
{
    (void)user, (void)id;
    stage.finis++;
}

static int held_up_or_ends(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    if (my_id == 1) pthread_exit(NULL);
    door_pass(&stage.job);
    return 0;
}

static void set_stage(int hook_says)
{
    memset(&stage, 0, sizeof stage);
    stage.hook_says = hook_says;
    leat_pool_opts opts = { .workers = 2, .queue = 2, .worker_init = held_up, .worker_fini = goes };
    REQUIRE_EQ(leat_pool_start(&stage.p, NULL, &opts), 0);
    for (int i = 0; i < 2; i++) REQUIRE_EQ(leat_submit(&stage.p, held_up_or_ends, NULL), 0);
    door_until(&stage.job, 1);
    door_until(&stage.hook, 1);
    CHECK_EQ(workers(&stage.p), 2);
}

static void strike_stage(int ran)
{
    leat_stats st;
    door_open(&stage.job);
    CHECK_EQ(leat_pool_stop(&stage.p), 0);
    CHECK_EQ(leat_pool_stats(&stage.p, &st), 0);
    CHECK_EQ(st.completed, 1 + ran);
    CHECK_EQ(st.failed, 1);
}

TEST(L6_a_replacement_of_a_worker_that_was_retired_meanwhile_exits)
{
    set_stage(0);
    CHECK_EQ(leat_pool_resize(&stage.p, 1), 0);
    CHECK_EQ(workers(&stage.p), 1);
    door_open(&stage.hook);
    UNTIL(atomic_load(&stage.finis) == 2); /* the one and the other */
    CHECK_EQ(workers(&stage.p), 1);
    strike_stage(0);
    CHECK_EQ(stage.inits, 3);
}

TEST(L7_or_runs_if_that_worker_was_taken_back)
{
    _Atomic int ran = 0;
    set_stage(0);
    for (int n = 1; n <= 2; n++) CHECK_EQ(leat_pool_resize(&stage.p, n), 0);
    CHECK_EQ(workers(&stage.p), 2);
    door_open(&stage.hook);
    CHECK_EQ(leat_submit(&stage.p, counts, &ran), 0);
    UNTIL(atomic_load(&ran) == 1);
    CHECK_EQ(workers(&stage.p), 2);
    strike_stage(1);
    CHECK_EQ(stage.inits, 3);
}

TEST(a_retired_worker_does_not_rerun_if_its_replacement_cannot_start)
{
    _Atomic int ran = 0;
    set_stage(-EIO);
    CHECK_EQ(leat_pool_resize(&stage.p, 1), 0);
    door_open(&stage.hook);
    UNTIL(atomic_load(&stage.finis) == 1);
    CHECK_EQ(leat_submit(&stage.p, counts, &ran), 0);
    strike_stage(1);
    CHECK_EQ(stage.inits, 3);
    CHECK_EQ(ran, 1);
}

TEST(a_worker_that_was_not_retired_reruns)
{
    _Atomic int ran = 0;
    set_stage(-EIO);
    door_open(&stage.hook);
    CHECK_EQ(leat_submit(&stage.p, counts, &ran), 0);
    UNTIL(atomic_load(&ran) == 1); /* the other is held up */
    CHECK_EQ(workers(&stage.p), 2);
    strike_stage(1);
    CHECK_EQ(stage.inits, 4);
    CHECK_EQ(stage.finis, 3);
}
