/* t-pool.c - a pool runs every accepted job once, holds back threads that submit too fast, and counts right.
 * SPDX-License-Identifier: MIT */
#include "peek.h"
#include "pool.h"

static int counts(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int fails(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 3;
}

static int at_door(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(arg);
    return 0;
}

struct call {
    leat_ctx *ctx;
    leat_pool *p;
    _Atomic int *ran;
};

static int submit(void *arg)
{
    struct call *c = arg;
    return leat_submit_ctx(c->ctx, c->p, counts, c->ran);
}

/* A pool of one worker that is at the door, with `queue` jobs queued: full. */
static void fill(leat_pool *p, door *d, int queue, _Atomic int *ran)
{
    REQUIRE_EQ(leat_pool_start(p, NULL, &(leat_pool_opts){ .workers = 1, .queue = queue }), 0);
    REQUIRE_EQ(leat_submit(p, at_door, d), 0);
    door_until(d, 1);
    for (int i = 0; i < queue; i++) REQUIRE_EQ(leat_submit(p, counts, ran), 0);
}

TEST(every_job_runs_once_in_all_three_forms)
{
    leat_pool p;
    leat_ctx live = LEAT_CTX(NULL);
    _Atomic int ran = 0;
    int accepted = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .queue = 5 }), 0);
    for (int i = 0; i < tap_rounds(30000); i++) {
        int err = i % 3 == 0   ? leat_submit(&p, counts, &ran)
                  : i % 3 == 1 ? leat_submit_ctx(&live, &p, counts, &ran)
                               : leat_try_submit(&p, counts, &ran);
        accepted += !err;
        if (!CHECK(err == 0 || (i % 3 == 2 && err == -EAGAIN))) break;
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, accepted);
}

struct ordered {
    _Atomic int *next;
    int i;
    bool in_order;
};

static int in_order(leat_ctx *ctx, void *arg)
{
    struct ordered *o = arg;
    (void)ctx;
    o->in_order = atomic_fetch_add_explicit(o->next, 1, memory_order_relaxed) == o->i;
    return 0;
}

TEST(one_worker_runs_jobs_in_order)
{
    enum { N = 300 };
    leat_pool p;
    static struct ordered o[N];
    _Atomic int next = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 7 }), 0);
    for (int i = 0; i < N; i++) {
        o[i] = (struct ordered){ .next = &next, .i = i };
        CHECK_EQ(leat_submit(&p, in_order, &o[i]), 0);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
    for (int i = 0; i < N; i++) CHECK(o[i].in_order);
}

struct feed {
    leat_pool p;
    _Atomic int ran, accepted;
};

static void feeds(int i, void *arg)
{
    struct feed *f = arg;
    for (int k = 0; k < tap_rounds(10000); k++)
        if (leat_submit(&f->p, (k + i) % 10 ? counts : fails, &f->ran) == 0)
            atomic_fetch_add_explicit(&f->accepted, 1, memory_order_relaxed);
}

TEST(from_many_threads_every_job_runs_once_and_the_statistics_add_up)
{
    struct feed f = { .ran = 0 };
    leat_stats st;
    REQUIRE_EQ(leat_pool_start(&f.p, NULL, &(leat_pool_opts){ .workers = 4, .queue = 3 }), 0);
    tap_threads(4, feeds, &f);
    CHECK_EQ(f.accepted, 4 * tap_rounds(10000));
    CHECK_EQ(leat_pool_stop(&f.p), 0);
    CHECK_EQ(f.ran, f.accepted);
    CHECK_EQ(leat_pool_stats(&f.p, &st), 0);
    CHECK_EQ(st.submitted, f.accepted);
    CHECK_EQ(st.completed + st.failed, f.accepted);
    CHECK_EQ(st.failed, f.accepted / 10);
    CHECK_EQ(st.dropped, 0);
    CHECK_EQ(st.busy, 0);
    CHECK_EQ(st.queued, 0);
    CHECK_EQ(st.workers, 0);
    CHECK_EQ(st.queue_cap, 3);
    CHECK(st.queue_high <= 3);
}

/* ==== Back-pressure =========================================================================== */

TEST(a_full_queue_is_full_exactly)
{
    for (int queue = 1; queue <= 5; queue++) {
        leat_pool p;
        door d = { 0 };
        leat_stats st;
        _Atomic int ran = 0;
        fill(&p, &d, queue, &ran);
        CHECK_EQ(leat_try_submit(&p, counts, &ran), -EAGAIN);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.workers, 1);
        CHECK_EQ(st.busy, 1);
        CHECK_EQ(st.queued, queue);
        CHECK_EQ(st.queue_cap, queue);
        CHECK_EQ(st.queue_high, queue);
        CHECK_EQ(st.submitted, queue + 1);
        CHECK_EQ(st.completed + st.failed + st.dropped, 0);
        door_open(&d);
        CHECK_EQ(leat_pool_stop(&p), 0);
        CHECK_EQ(ran, queue);
    }
}

TEST(a_thread_that_submits_too_fast_waits_for_room)
{
    leat_pool p;
    door d = { 0 };
    _Atomic int ran = 0;
    side waiter;
    fill(&p, &d, 2, &ran);
    side_start(&waiter, submit, &(struct call){ NULL, &p, &ran });
    UNTIL(peek_senders(&p.lane_->queue_) == 1);
    CHECK_EQ(ran, 0);
    door_open(&d);
    CHECK_EQ(side_join(&waiter), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 3);
}

TEST(a_submit_that_waits_for_room_is_told_when_its_context_or_the_pools_ends)
{
    leat_pool p;
    door d = { 0 };
    leat_ctx ctx = LEAT_CTX(NULL), soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10)), parent = LEAT_CTX(NULL);
    _Atomic int ran = 0;
    side a, b;
    REQUIRE_EQ(leat_pool_start(&p, &parent, &(leat_pool_opts){ .workers = 1, .queue = 1 }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    REQUIRE_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_submit_ctx(&soon, &p, counts, &ran), -ETIMEDOUT);
    side_start(&a, submit, &(struct call){ &ctx, &p, &ran });
    UNTIL(peek_senders(&p.lane_->queue_) == 1);
    leat_cancel(&ctx, 1);
    CHECK_EQ(side_join(&a), -ECANCELED);
    side_start(&b, submit, &(struct call){ NULL, &p, &ran });
    UNTIL(peek_senders(&p.lane_->queue_) == 1);
    leat_cancel(&parent, 2);
    CHECK_EQ(side_join(&b), -ECANCELED);
    CHECK_EQ(leat_submit(&p, counts, &ran), -ECANCELED);
    CHECK_EQ(leat_try_submit(&p, counts, &ran), -ECANCELED);
    door_open(&d);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    CHECK_EQ(ran, 0);
    leat_stats st;
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.submitted, 2);
    CHECK_EQ(st.completed, 1);
    CHECK_EQ(st.dropped, 1);
}

TEST(a_done_context_submits_nothing_even_if_there_is_room)
{
    leat_pool p;
    leat_ctx cancelled = LEAT_CTX(NULL), late = LEAT_CTX_UNTIL(NULL, 1);
    _Atomic int ran = 0;
    leat_cancel(&cancelled, 1);
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    CHECK_EQ(leat_submit_ctx(&cancelled, &p, counts, &ran), -ECANCELED);
    CHECK_EQ(leat_submit_ctx(&late, &p, counts, &ran), -ETIMEDOUT);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 0);
}

/* ==== Contexts ================================================================================ */

static int sleeps(leat_ctx *ctx, void *arg)
{
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_release);
    return leat_sleep_ctx(ctx, LEAT_S(1000));
}

TEST(jobs_see_the_end_of_the_pools_context_and_no_more_are_taken)
{
    leat_pool p;
    leat_ctx parent = LEAT_CTX(NULL);
    leat_stats st;
    _Atomic int there = 0, ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, &parent, &(leat_pool_opts){ .workers = 2, .queue = 4 }), 0);
    for (int i = 0; i < 2; i++) CHECK_EQ(leat_submit(&p, sleeps, &there), 0);
    UNTIL(atomic_load_explicit(&there, memory_order_acquire) == 2);
    for (int i = 0; i < 4; i++) CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    leat_cancel(&parent, 5);
    CHECK_EQ(leat_pool_stop(&p), -ECANCELED); /* jobs are left that no worker will run */
    CHECK_EQ(leat_pool_stop(&p), -ECANCELED);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.queued, 4);
    CHECK_EQ(st.failed, 2);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.dropped, 4);
    CHECK_EQ(st.queued, 0);
    CHECK_EQ(st.submitted, 6);
    CHECK_EQ(ran, 0);
    CHECK_EQ(leat_pool_stop(&p), -EALREADY);
}

TEST(a_job_that_fails_does_not_stop_the_others)
{
    leat_pool p;
    _Atomic int ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 4 }), 0);
    for (int i = 0; i < 100; i++) CHECK_EQ(leat_submit(&p, i % 2 ? fails : counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 100);
}

/* ==== Misuse ================================================================================== */

TEST(a_worker_sees_how_long_the_queue_was)
{
    leat_pool p;
    leat_stats st;
    door d = { 0 };
    _Atomic int ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 100 }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    for (int i = 0; i < 60; i++) REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0); /* none waits for room */
    door_open(&d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.queue_high, 45); /* at its 17th job it takes the 16th of 60 */
}

TEST(what_cannot_be_is_refused)
{
    leat_pool p = { .queue_cap_ = 0 };
    leat_stats st;
    _Atomic int ran = 0;
    CHECK_EQ(leat_submit(&p, counts, &ran), -EINVAL); /* never started */
    CHECK_EQ(leat_try_submit(&p, counts, &ran), -EINVAL);
    CHECK_EQ(leat_submit_ctx(NULL, &p, counts, &ran), -EINVAL);
    CHECK_EQ(leat_pool_stop(&p), -EINVAL);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_pool_resize(&p, 1), -EINVAL);
    CHECK_EQ(leat_pool_stats(&p, &st), -EINVAL);
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = -1 }), -EINVAL);
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .queue = -2 }), -EINVAL);
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .lanes = -1 }), -EINVAL);
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .lanes = LEAT_LANES + 1 }), -EINVAL);
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .value_size = SIZE_MAX }), -EINVAL);
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = INT_MAX }), -EINVAL);
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .queue = INT_MAX }), -EINVAL);
    CHECK_EQ(leat_pool_start(NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_submit(&p, counts, &ran), -EINVAL);
    CHECK_EQ(leat_submit(NULL, counts, &ran), -EINVAL);
    CHECK_EQ(leat_try_submit(NULL, counts, &ran), -EINVAL);
    CHECK_EQ(leat_pool_stop(NULL), -EINVAL);
    CHECK_EQ(leat_pool_abort(NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_pool_resize(NULL, 1), -EINVAL);
    CHECK_EQ(leat_pool_stats(NULL, &st), -EINVAL);
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    CHECK_EQ(leat_submit(&p, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_try_submit(&p, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_pool_resize(&p, 0), -EINVAL);
    CHECK_EQ(leat_pool_resize(&p, -1), -EINVAL);
    CHECK_EQ(leat_pool_stats(&p, NULL), -EINVAL);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_pool_can_be_started_again_after_it_was_stopped)
{
    leat_pool p;
    for (int k = 0; k < tap_rounds(200); k++) {
        _Atomic int ran = 0;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 2 }), 0);
        for (int i = 0; i < 5; i++) REQUIRE_EQ(leat_submit(&p, counts, &ran), 0);
        REQUIRE_EQ(leat_pool_stop(&p), 0);
        REQUIRE_EQ(ran, 5);
    }
}

TEST(errno_is_never_touched)
{
    leat_pool p;
    _Atomic int ran = 0;
    errno = 77;
    CHECK_EQ(leat_pool_start(&p, NULL, NULL), 0);
    for (int i = 0; i < 50; i++) CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(errno, 77);
}
