/* t-cancelled-first-pool.c - a thread X cancels a context, and then makes way: a call of a pool or group that waits
 * under that context, or below it, always returns -ECANCELED.
 * SPDX-License-Identifier: MIT */
#include "semaphore.h"

static _Thread_local void (*meanwhile)(leat_sem *); /* what happens before the next look for an idle thread */

static bool looks_late(leat_sem *s, int64_t n)
{
    if (meanwhile) meanwhile(s);
    meanwhile = NULL;
    return leat_sem_get_(s, n);
}

#define leat_sem_get_ looks_late
#include "jobs.h"
#undef leat_sem_get_

/* What the call waits for. Each test sets its own. */
struct race {
    leat_pool p;
    leat_group g;
    leat_ctx up, ctx; /* the first is cancelled, the calls are under the second or its own */
    door d, hook;
    _Atomic int go, ran;
    int err;
};

static int nothing(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return 0;
}

static void new_race(struct race *r)
{
    memset(r, 0, sizeof *r);
    r->up = (leat_ctx)LEAT_CTX(NULL);
    r->ctx = (leat_ctx)LEAT_CTX(&r->up);
}

/* The call begins at about the time of the cancel. The other side cancels, and then makes way. */
static void race(struct race *r, int (*call)(void *), int k)
{
    side s;
    side_start(&s, call, r);
    UNTIL(atomic_load_explicit(&r->go, memory_order_acquire));
    for (int i = k % 32; i--;) leat_os_pause_();
    if (k % 3 == 0) leat_os_yield_();
    leat_cancel(&r->up, 1);
    door_open(&r->d);
    door_open(&r->hook);
    r->err = side_join(&s);
}

/* The thread comes to its call before the door is open, or hardly later. In the second case it must have seen the
 * cancel. */
#define CALL(name, what) \
    static int name(void *arg) \
    { \
        struct race *r = arg; \
        atomic_store_explicit(&r->go, 1, memory_order_release); \
        return what; \
    }

CALL(submits, leat_submit_ctx(&r->ctx, &r->p, counts, &r->ran))
CALL(submits_below, leat_submit(&r->p, counts, &r->ran))
CALL(goes, leat_go_ctx(&r->ctx, &r->g, counts, &r->ran))
CALL(goes_below, leat_go(&r->g, counts, &r->ran))
CALL(goes_n, leat_go_n_ctx(&r->ctx, &r->g, 1, counts, &r->ran))
CALL(waits, leat_wait_ctx(&r->ctx, &r->g))
CALL(stops, leat_pool_stop_ctx(&r->ctx, &r->p))
CALL(aborts, leat_pool_abort_ctx(&r->ctx, &r->p, NULL, NULL))
CALL(resizes, leat_pool_resize_ctx(&r->ctx, &r->p, 2))

static struct race r;

static int hook(void *user, int id)
{
    (void)user;
    if (id) door_pass(&r.hook);
    return 0;
}

/* One worker is at the door, and one job fills the queue. */
static void full_pool(leat_ctx *up, int queued)
{
    REQUIRE_EQ(leat_pool_start(&r.p, up, &(leat_pool_opts){ .workers = 1, .queue = 1, .worker_init = hook }), 0);
    REQUIRE_EQ(leat_submit(&r.p, at_door, &r.d), 0);
    door_until(&r.d, 1);
    if (queued) REQUIRE_EQ(leat_submit(&r.p, nothing, NULL), 0);
}

static void full_group(leat_ctx *up)
{
    r.g = (leat_group)LEAT_GROUP(up);
    REQUIRE_EQ(leat_group_limit(&r.g, 1), 0);
    REQUIRE_EQ(leat_go(&r.g, at_door, &r.d), 0);
}

static void end_pool(void)
{
    int err = leat_pool_stop(&r.p);
    if (err == -ECANCELED) err = leat_pool_abort(&r.p, NULL, NULL);
    REQUIRE(err == 0 || err == -EALREADY);
}

enum { ROUNDS = 3000 };

TEST(a_submit_that_was_cancelled_before_there_was_room_submits_nothing)
{
    for (int k = 0; k < tap_rounds(ROUNDS); k++) {
        new_race(&r);
        full_pool(NULL, 1);
        race(&r, submits, k);
        end_pool();
        REQUIRE_EQ(r.err, -ECANCELED);
        REQUIRE_EQ(r.ran, 0);
    }
}

TEST(nor_does_one_whose_pool_was)
{
    for (int k = 0; k < tap_rounds(ROUNDS); k++) {
        new_race(&r);
        full_pool(&r.ctx, 1);
        race(&r, submits_below, k);
        end_pool();
        REQUIRE_EQ(r.err, -ECANCELED);
        REQUIRE_EQ(r.ran, 0);
    }
}

TEST(a_go_that_was_cancelled_before_a_task_returned_starts_nothing)
{
    for (int k = 0; k < tap_rounds(ROUNDS); k++) {
        new_race(&r);
        full_group(k % 3 == 2 ? &r.ctx : NULL);
        race(&r, k % 3 == 2 ? goes_below : k % 3 ? goes_n : goes, k / 3);
        REQUIRE_EQ(leat_wait(&r.g), 0);
        REQUIRE_EQ(r.err, -ECANCELED);
        REQUIRE_EQ(r.ran, 0);
    }
}

static void cancels_and_lets_go(leat_sem *idle)
{
    leat_cancel(&r.up, 1);
    door_open(&r.d);
    UNTIL(leat_sem_available(idle) > 0);
}

TEST(a_go_that_finds_a_thread_idle_since_the_cancel_starts_nothing)
{
    for (int below = 0; below <= 1; below++) {
        new_race(&r);
        full_group(below ? &r.ctx : NULL);
        door_until(&r.d, 1);
        meanwhile = cancels_and_lets_go;
        CHECK_EQ((below ? goes_below : goes)(&r), -ECANCELED);
        CHECK_EQ(leat_wait(&r.g), 0);
        CHECK_EQ(r.ran, 0);
    }
}

TEST(a_wait_that_was_cancelled_before_the_last_task_returned_says_so)
{
    for (int k = 0; k < tap_rounds(ROUNDS); k++) {
        new_race(&r);
        full_group(NULL);
        race(&r, waits, k);
        REQUIRE_EQ(r.err, -ECANCELED);
        REQUIRE_EQ(leat_wait(&r.g), 0);
    }
}

TEST(a_stop_or_abort_that_was_cancelled_before_the_last_job_returned_says_so)
{
    for (int k = 0; k < tap_rounds(ROUNDS); k++) {
        new_race(&r);
        full_pool(NULL, k % 2);
        race(&r, k % 4 < 2 ? stops : aborts, k);
        REQUIRE_EQ(r.err, -ECANCELED);
        end_pool();
    }
}

TEST(a_resize_that_was_cancelled_before_the_hook_returned_says_so)
{
    for (int k = 0; k < tap_rounds(ROUNDS); k++) {
        new_race(&r);
        full_pool(k % 2 ? &r.ctx : NULL, 0);
        race(&r, resizes, k);
        end_pool();
        REQUIRE_EQ(r.err, -ECANCELED);
    }
}

/* ==== Other results hide it as little ========================================================= */

static int deadlocks(leat_ctx *ctx, void *arg)
{
    struct race *x = arg;
    (void)ctx;
    CHECK_EQ(leat_submit(&x->p, nothing, NULL), 0); /* full */
    x->err = leat_submit_ctx(&x->ctx, &x->p, nothing, NULL);
    CHECK_EQ(leat_submit_ctx(NULL, &x->p, nothing, NULL), -EDEADLK);
    CHECK_EQ(leat_pool_stop_ctx(&x->ctx, &x->p), -ECANCELED);
    CHECK_EQ(leat_pool_abort_ctx(&x->ctx, &x->p, NULL, NULL), -ECANCELED);
    door_pass(&x->d);
    return 0;
}

TEST(a_deadlock_or_a_shut_gate_does_not_hide_the_cancel)
{
    new_race(&r);
    REQUIRE_EQ(leat_pool_start(&r.p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 1 }), 0);
    leat_cancel(&r.up, 1);
    REQUIRE_EQ(leat_submit(&r.p, deadlocks, &r), 0);
    door_until(&r.d, 1);
    CHECK_EQ(r.err, -ECANCELED);
    CHECK_EQ(leat_try_pool_stop(&r.p), -EAGAIN);
    CHECK_EQ(leat_submit_ctx(&r.ctx, &r.p, nothing, NULL), -ECANCELED);
    CHECK_EQ(leat_pool_resize_ctx(&r.ctx, &r.p, 3), -ECANCELED);
    CHECK_EQ(leat_submit(&r.p, nothing, NULL), -ESHUTDOWN);
    door_open(&r.d);
    CHECK_EQ(leat_pool_stop(&r.p), 0);
}
