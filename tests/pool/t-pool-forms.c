/* t-pool-forms.c - stop, abort and resize in their three forms: each result; a call that gives up leaves a pool that
 * is valid, and hands nothing back twice.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

static leat_ctx *cancelled(leat_ctx *ctx)
{
    *ctx = (leat_ctx)LEAT_CTX(NULL);
    leat_cancel(ctx, 7);
    return ctx;
}

static int queued(leat_ctx *ctx, void *arg)
{
    return counts(ctx, arg);
}

struct back {
    int n;
    void *order[16];
};

static void dropped(leat_task *fn, void *arg, void *user)
{
    struct back *b = user;
    CHECK(fn == queued);
    REQUIRE(b->n < 16);
    b->order[b->n++] = arg;
}

/* One job that is at a door, and behind it some that wait. */
struct busy {
    leat_pool p;
    door d;
    _Atomic int ran[4];
    struct back back;
};

static void make_busy(struct busy *b)
{
    memset(b, 0, sizeof *b);
    REQUIRE_EQ(leat_pool_start(&b->p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 4 }), 0);
    REQUIRE_EQ(leat_submit(&b->p, at_door, &b->d), 0);
    door_until(&b->d, 1);
    for (int i = 0; i < 4; i++) REQUIRE_EQ(leat_submit(&b->p, queued, (void *)&b->ran[i]), 0);
}

static void check_back(struct busy *b, int n)
{
    CHECK_EQ(b->back.n, n);
    for (int i = 0; i < n; i++) CHECK(b->back.order[i] == (void *)&b->ran[i]);
    for (int i = 0; i < 4; i++) CHECK_EQ(b->ran[i], n == 0);
}

static void over(leat_pool *p)
{
    leat_ctx ctx = LEAT_CTX(NULL);
    struct back none = { .n = 0 };
    CHECK_EQ(leat_pool_stop(p), -EALREADY);
    CHECK_EQ(leat_pool_stop_ctx(&ctx, p), -EALREADY);
    CHECK_EQ(leat_try_pool_stop(p), -EALREADY);
    CHECK_EQ(leat_pool_abort(p, dropped, &none), -EALREADY);
    CHECK_EQ(leat_pool_abort_ctx(&ctx, p, dropped, &none), -EALREADY);
    CHECK_EQ(leat_try_pool_abort(p, dropped, &none), -EALREADY);
    CHECK_EQ(leat_pool_resize(p, 1), -ESHUTDOWN);
    CHECK_EQ(leat_pool_resize_ctx(&ctx, p, 1), -ESHUTDOWN);
    CHECK_EQ(leat_try_pool_resize(p, 1), -ESHUTDOWN);
    CHECK_EQ(leat_pool_stop_ctx(cancelled(&ctx), p), -ECANCELED); /* the context wins, always */
    CHECK_EQ(leat_pool_abort_ctx(&ctx, p, dropped, &none), -ECANCELED);
    CHECK_EQ(leat_pool_resize_ctx(&ctx, p, 1), -ECANCELED);
    CHECK_EQ(none.n, 0);
}

TEST(a_pool_that_was_never_started_says_so)
{
    leat_pool p;
    leat_ctx ctx = LEAT_CTX(NULL);
    memset(&p, 0, sizeof p);
    for (leat_pool *it = &p;; it = NULL) {
        CHECK_EQ(leat_pool_stop_ctx(&ctx, it), -EINVAL);
        CHECK_EQ(leat_try_pool_stop(it), -EINVAL);
        CHECK_EQ(leat_pool_abort(it, NULL, NULL), -EINVAL);
        CHECK_EQ(leat_pool_abort_ctx(&ctx, it, NULL, NULL), -EINVAL);
        CHECK_EQ(leat_try_pool_abort(it, NULL, NULL), -EINVAL);
        CHECK_EQ(leat_pool_resize(it, 1), -EINVAL);
        CHECK_EQ(leat_pool_resize_ctx(&ctx, it, 1), -EINVAL);
        CHECK_EQ(leat_try_pool_resize(it, 1), -EINVAL);
        if (!it) break;
    }
}

/* ==== Stop ==================================================================================== */

static void until_stopped(leat_pool *p)
{
    int err;
    UNTIL((err = leat_try_pool_stop(p)) != -EAGAIN);
    CHECK_EQ(err, 0);
}

TEST(a_stop_that_only_tries_shuts_the_pool_and_ends_it_once_its_jobs_have_run)
{
    struct busy b;
    make_busy(&b);
    CHECK_EQ(leat_try_pool_stop(&b.p), -EAGAIN);
    CHECK_EQ(leat_try_pool_stop(&b.p), -EAGAIN);
    CHECK_EQ(leat_submit(&b.p, queued, (void *)&b.ran[0]), -ESHUTDOWN);
    door_open(&b.d);
    until_stopped(&b.p);
    check_back(&b, 0);
    CHECK_EQ(threads(&b.p.threads_), 0);
    over(&b.p);
}

static int tries_to_stop(leat_ctx *ctx, void *arg)
{
    struct busy *b = arg;
    (void)ctx;
    b->back.n = leat_try_pool_stop(&b->p);
    return 0;
}

TEST(a_job_may_shut_its_pool_for_another_thread_to_stop)
{
    struct busy b;
    memset(&b, 0, sizeof b);
    REQUIRE_EQ(leat_pool_start(&b.p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    CHECK_EQ(leat_submit(&b.p, tries_to_stop, &b), 0);
    int err;
    UNTIL((err = leat_submit(&b.p, queued, (void *)&b.ran[0])) != 0);
    CHECK_EQ(err, -ESHUTDOWN);
    CHECK_EQ(leat_pool_stop(&b.p), 0);
    CHECK_EQ(b.back.n, -EAGAIN);
}

TEST(a_stop_that_only_tries_says_that_jobs_are_left_when_the_pools_context_is_done)
{
    struct busy b;
    leat_ctx up = LEAT_CTX(NULL);
    memset(&b, 0, sizeof b);
    REQUIRE_EQ(leat_pool_start(&b.p, &up, &(leat_pool_opts){ .workers = 1, .queue = 4 }), 0);
    REQUIRE_EQ(leat_submit(&b.p, at_door, &b.d), 0);
    door_until(&b.d, 1);
    for (int i = 0; i < 4; i++) REQUIRE_EQ(leat_submit(&b.p, queued, (void *)&b.ran[i]), 0);
    leat_cancel(&up, 1);
    CHECK_EQ(leat_try_pool_stop(&b.p), -EAGAIN);
    door_open(&b.d);
    int err;
    UNTIL((err = leat_try_pool_stop(&b.p)) != -EAGAIN);
    CHECK_EQ(err, -ECANCELED);
    CHECK_EQ(leat_pool_stop(&b.p), -ECANCELED);
    UNTIL((err = leat_try_pool_abort(&b.p, dropped, &b.back)) != -EAGAIN);
    CHECK_EQ(err, 0);
    check_back(&b, 4);
}

/* ==== Abort =================================================================================== */

TEST(an_abort_hands_the_jobs_back_before_it_waits_for_the_one_that_hangs)
{
    struct busy b;
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10)), ctx;
    make_busy(&b);
    CHECK_EQ(leat_pool_abort_ctx(&soon, &b.p, dropped, &b.back), -ETIMEDOUT);
    check_back(&b, 4);
    CHECK_EQ(leat_pool_abort_ctx(cancelled(&ctx), &b.p, dropped, &b.back), -ECANCELED);
    CHECK_EQ(leat_try_pool_abort(&b.p, dropped, &b.back), -EAGAIN);
    CHECK_EQ(leat_try_pool_stop(&b.p), -EAGAIN);
    check_back(&b, 4); /* not twice */
    leat_stats st;
    CHECK_EQ(leat_pool_stats(&b.p, &st), 0);
    CHECK_EQ(st.dropped, 4);
    CHECK_EQ(st.queued, 0);
    CHECK_EQ(st.busy, 1);
    CHECK_EQ(st.submitted, 5);
    door_open(&b.d);
    CHECK_EQ(leat_pool_abort(&b.p, dropped, &b.back), 0);
    check_back(&b, 4);
    over(&b.p);
}

TEST(an_abort_that_only_tries_hands_the_jobs_back_and_ends_the_pool_later)
{
    struct busy b;
    make_busy(&b);
    CHECK_EQ(leat_try_pool_abort(&b.p, dropped, &b.back), -EAGAIN);
    check_back(&b, 4);
    door_open(&b.d);
    int err;
    UNTIL((err = leat_try_pool_abort(&b.p, dropped, &b.back)) != -EAGAIN);
    CHECK_EQ(err, 0);
    check_back(&b, 4);
    over(&b.p);
}

TEST(an_abort_that_gave_up_leaves_a_pool_that_may_be_stopped)
{
    struct busy b;
    leat_ctx ctx;
    make_busy(&b);
    CHECK_EQ(leat_pool_abort_ctx(cancelled(&ctx), &b.p, dropped, &b.back), -ECANCELED);
    check_back(&b, 4);
    door_open(&b.d);
    CHECK_EQ(leat_pool_stop(&b.p), 0);
    over(&b.p);
}

struct pair {
    struct busy b;
    leat_ctx ctx;
    int ctx_says;
};

static int aborts_under_ctx(void *arg)
{
    struct pair *x = arg;
    return leat_pool_abort_ctx(&x->ctx, &x->b.p, dropped, &x->b.back);
}

static int stops(void *arg)
{
    struct pair *x = arg;
    return leat_pool_stop(&x->b.p);
}

TEST(of_a_stop_and_an_abort_that_gives_up_one_ends_the_pool)
{
    for (int k = 0; k < tap_rounds(100); k++) {
        struct pair x;
        side a, s;
        make_busy(&x.b);
        x.ctx = (leat_ctx)LEAT_CTX(NULL);
        side_start(&s, stops, &x);
        side_start(&a, aborts_under_ctx, &x);
        UNTIL(atomic_load_explicit(&x.b.p.lane_->queue_.chan.ends_[LEAT_SENDS_].at_, memory_order_relaxed) & LEAT_CLOSED_);
        if (k % 2) UNTIL(peek_wg(&x.b.p.running_) == 2);
        leat_stats st = { .dropped = 0 };
        while (st.dropped < 4) REQUIRE_EQ(leat_pool_stats(&x.b.p, &st), 0);
        leat_cancel(&x.ctx, 1);
        if (k % 4 < 2) REQUIRE_EQ(side_join(&a), -ECANCELED);
        door_open(&x.b.d);
        int as = k % 4 < 2 ? -ECANCELED : side_join(&a), ss = side_join(&s);
        REQUIRE_EQ(as, -ECANCELED); /* it was cancelled before the last job ended */
        REQUIRE_EQ(ss, 0);
        REQUIRE_EQ(x.b.back.n, 4);
    }
}

static void drops_and_asks(leat_task *fn, void *arg, void *user)
{
    struct busy *b = user;
    leat_stats st;
    dropped(fn, arg, &b->back);
    CHECK_EQ(leat_pool_stats(&b->p, &st), 0); /* no lock is held */
    CHECK_EQ(st.dropped, b->back.n);
    CHECK_EQ(leat_try_pool_stop(&b->p), -EAGAIN);
    CHECK_EQ(leat_submit(&b->p, queued, arg), -ESHUTDOWN);
}

TEST(a_function_that_gets_a_job_back_may_call_the_pool)
{
    struct busy b;
    make_busy(&b);
    CHECK_EQ(leat_try_pool_abort(&b.p, drops_and_asks, &b), -EAGAIN);
    check_back(&b, 4);
    door_open(&b.d);
    CHECK_EQ(leat_pool_abort(&b.p, NULL, NULL), 0);
}

/* ==== Resize ================================================================================== */

static struct {
    leat_pool p;
    door hook;
    _Atomic int inits, finis, refusals;
} grown;

static int waits_in_init(void *user, int id)
{
    (void)user;
    if (id == 0) return 0;
    grown.inits++;
    door_pass(&grown.hook);
    if (grown.refusals > 0) {
        grown.refusals--;
        return 77;
    }
    return 0;
}

static void leaves(void *user, int id)
{
    (void)user, (void)id;
    grown.finis++;
}

static void start_grown(int refusals)
{
    memset(&grown, 0, sizeof grown);
    grown.refusals = refusals;
    leat_pool_opts opts = { .workers = 1, .queue = 4, .worker_init = waits_in_init, .worker_fini = leaves };
    REQUIRE_EQ(leat_pool_start(&grown.p, NULL, &opts), 0);
}

TEST(impossible_sizes_are_refused_by_all)
{
    leat_ctx ctx = LEAT_CTX(NULL);
    start_grown(0);
    for (int n = 0; n > -2; n--) {
        CHECK_EQ(leat_pool_resize(&grown.p, n), -EINVAL);
        CHECK_EQ(leat_pool_resize_ctx(&ctx, &grown.p, n), -EINVAL);
        CHECK_EQ(leat_try_pool_resize(&grown.p, n), -EINVAL);
    }
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
}

TEST(without_hooks_a_resize_that_only_tries_does_it)
{
    leat_pool p;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    const int sizes[] = { 5, 1, 3, 3 };
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(leat_try_pool_resize(&p, sizes[i]), 0);
        CHECK_EQ(workers(&p), sizes[i]);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_resize_that_gave_up_waiting_for_a_hook_leaves_a_worker_that_starts_all_the_same)
{
    leat_ctx ctx;
    start_grown(0);
    CHECK_EQ(leat_pool_resize_ctx(LEAT_WITHIN(LEAT_MS(10)), &grown.p, 2), -ETIMEDOUT);
    door_until(&grown.hook, 1); /* a thread may take longer than that to begin */
    CHECK_EQ(workers(&grown.p), 1);
    CHECK_EQ(leat_pool_resize_ctx(cancelled(&ctx), &grown.p, 2), -ECANCELED);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 2), -EAGAIN);
    door_until(&grown.hook, 1);
    CHECK_EQ(grown.inits, 1); /* it is not asked for again */
    door_open(&grown.hook);
    CHECK_EQ(leat_pool_resize(&grown.p, 2), 0);
    CHECK_EQ(workers(&grown.p), 2);
    CHECK_EQ(grown.inits, 1);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 2), 0);
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
    CHECK_EQ(grown.finis, 2);
}

TEST(a_resize_that_gave_up_waiting_for_a_hook_is_told_next_time_what_it_returned)
{
    start_grown(1);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 3), -EAGAIN);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 3), -EAGAIN);
    door_until(&grown.hook, 2); /* both at once */
    door_open(&grown.hook);
    int err;
    UNTIL((err = leat_try_pool_resize(&grown.p, 3)) != -EAGAIN);
    CHECK_EQ(err, 77);
    UNTIL(workers(&grown.p) == 2); /* the other one, perhaps a little later */
    CHECK_EQ(leat_pool_resize(&grown.p, 3), 0);
    CHECK_EQ(workers(&grown.p), 3);
    CHECK_EQ(grown.inits, 3);
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
    CHECK_EQ(grown.finis, 3);
}

TEST(a_refusal_that_no_call_waited_for_is_not_the_error_of_a_resize_that_needs_no_worker)
{
    start_grown(1);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 2), -EAGAIN);
    door_open(&grown.hook);
    UNTIL(threads(&grown.p.threads_) == 1 || (leat_pool_reap_(&grown.p), threads(&grown.p.threads_) == 1));
    CHECK_EQ(leat_pool_resize(&grown.p, 1), 0);
    CHECK_EQ(leat_pool_resize(&grown.p, 2), 0);
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
}

TEST(L7_a_starting_worker_may_be_retired_and_taken_back_before_it_runs)
{
    start_grown(0);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 4), -EAGAIN);
    door_until(&grown.hook, 3);
    CHECK_EQ(leat_pool_resize(&grown.p, 1), 0);
    CHECK_EQ(workers(&grown.p), 1);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 3), -EAGAIN);
    CHECK_EQ(grown.inits, 3);
    door_open(&grown.hook);
    CHECK_EQ(leat_pool_resize(&grown.p, 3), 0);
    CHECK_EQ(workers(&grown.p), 3);
    UNTIL(grown.finis == 1);
    CHECK_EQ(grown.inits, 3);
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
    CHECK_EQ(grown.finis, 4);
}

static int resizes(void *arg)
{
    (void)arg;
    return leat_pool_resize(&grown.p, 2);
}

TEST(while_another_call_resizes_a_try_says_so_and_a_context_ends_the_wait)
{
    leat_ctx ctx, soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    side other;
    start_grown(0);
    side_start(&other, resizes, NULL);
    door_until(&grown.hook, 1);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 2), -EAGAIN);
    CHECK_EQ(leat_pool_resize_ctx(cancelled(&ctx), &grown.p, 2), -ECANCELED);
    CHECK_EQ(leat_pool_resize_ctx(&soon, &grown.p, 2), -ETIMEDOUT);
    door_open(&grown.hook);
    CHECK_EQ(side_join(&other), 0);
    CHECK_EQ(workers(&grown.p), 2);
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
}

TEST(a_resize_that_waits_for_a_hook_ends_with_the_pools_context)
{
    leat_ctx up = LEAT_CTX(NULL);
    side other;
    memset(&grown, 0, sizeof grown);
    leat_pool_opts opts = { .workers = 1, .queue = 4, .worker_init = waits_in_init, .worker_fini = leaves };
    REQUIRE_EQ(leat_pool_start(&grown.p, &up, &opts), 0);
    side_start(&other, resizes, NULL);
    door_until(&grown.hook, 1);
    leat_cancel(&up, 1);
    CHECK_EQ(side_join(&other), -ECANCELED);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 2), -ECANCELED);
    CHECK_EQ(leat_try_pool_stop(&grown.p), -EAGAIN); /* the hook waits */
    door_open(&grown.hook);
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
    CHECK_EQ(grown.finis, 2);
}

TEST(a_stop_waits_for_a_worker_that_no_other_call_waits_for)
{
    leat_ctx ctx;
    start_grown(0);
    CHECK_EQ(leat_try_pool_resize(&grown.p, 2), -EAGAIN);
    CHECK_EQ(leat_pool_resize_ctx(LEAT_WITHIN(LEAT_MS(10)), &grown.p, 2), -ETIMEDOUT);
    door_until(&grown.hook, 1); /* a thread may take longer than that to begin */
    CHECK_EQ(leat_pool_stop_ctx(cancelled(&ctx), &grown.p), -ECANCELED);
    CHECK_EQ(leat_try_pool_stop(&grown.p), -EAGAIN);
    door_open(&grown.hook);
    CHECK_EQ(leat_pool_stop(&grown.p), 0);
    CHECK_EQ(grown.inits, 1);
    CHECK_EQ(grown.finis, 2);
}
