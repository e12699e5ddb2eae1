/* t-group.c - an error group: tasks run, at most so many at once, and wait returns the first error. The assertions of
 * golang.org/x/sync's errgroup tests, and our own.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

static int returns(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return (int)(intptr_t)arg;
}
#define RETURN(n) returns, (void *)(intptr_t)(n)

static int until_done(leat_ctx *ctx, void *arg) /* runs until its context is done, and returns the reason */
{
    if (arg) atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_release);
    return leat_sleep_ctx(ctx, LEAT_S(1000));
}

/* ==== The answer ============================================================================== */

TEST(without_tasks_wait_returns_0_at_once)
{
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_group_errors(&g), 0);
    leat_group h = LEAT_GROUP(NULL);
    CHECK_EQ(leat_go_n(&h, 0, RETURN(7)), 0);
    CHECK_EQ(leat_wait(&h), 0);
}

TEST(wait_returns_the_first_error_verbatim_and_keeps_to_it)
{
    const int errors[] = { 0, 7, -7, INT_MAX, INT_MIN, -EDEADLK };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        leat_group g = LEAT_GROUP(NULL);
        CHECK_EQ(leat_go(&g, RETURN(0)), 0);
        CHECK_EQ(leat_go(&g, RETURN(errors[i])), 0);
        UNTIL(tasks_of(&g) == 0);
        int late = leat_go(&g, RETURN(99));
        CHECK_EQ(late, errors[i] ? -ECANCELED : 0);
        CHECK_EQ(leat_wait(&g), errors[i] ? errors[i] : 99);
        CHECK_EQ(leat_wait(&g), errors[i] ? errors[i] : 99);
        CHECK_EQ(leat_group_errors(&g), 1);
    }
}

TEST(the_first_error_is_not_masked_by_the_cancellation_that_it_caused)
{
    for (int k = 0; k < tap_rounds(300); k++) {
        leat_group g = LEAT_GROUP(NULL);
        _Atomic int there = 0;
        REQUIRE_EQ(leat_go_n(&g, 3, until_done, &there), 0);
        UNTIL(atomic_load_explicit(&there, memory_order_acquire) == 3);
        REQUIRE_EQ(leat_go(&g, RETURN(42)), 0);
        REQUIRE_EQ(leat_wait(&g), 42);
        REQUIRE_EQ(leat_group_errors(&g), 4); /* and the others are not forgotten */
        REQUIRE_EQ(leat_ctx_cause(leat_group_ctx(&g)), 42);
    }
}

TEST(the_context_is_done_after_wait_also_if_all_went_well)
{
    leat_group g = LEAT_GROUP(NULL), bad = LEAT_GROUP(NULL);
    CHECK_EQ(leat_go(&g, RETURN(0)), 0);
    CHECK_EQ(leat_ctx_err(leat_group_ctx(&g)), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_ctx_err(leat_group_ctx(&g)), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(leat_group_ctx(&g)), -ECANCELED);
    CHECK_EQ(leat_go(&bad, RETURN(5)), 0);
    CHECK_EQ(leat_wait(&bad), 5);
    CHECK_EQ(leat_ctx_err(leat_group_ctx(&bad)), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(leat_group_ctx(&bad)), 5);
}

TEST(the_parent_cancels_the_group_but_not_the_group_its_parent)
{
    leat_ctx parent = LEAT_CTX(NULL);
    leat_group ok = LEAT_GROUP(&parent), g = LEAT_GROUP(&parent);
    CHECK_EQ(leat_go(&ok, RETURN(3)), 0);
    CHECK_EQ(leat_wait(&ok), 3);
    CHECK_EQ(leat_ctx_err(&parent), 0);
    _Atomic int there = 0;
    CHECK_EQ(leat_go_n(&g, 2, until_done, &there), 0);
    UNTIL(atomic_load_explicit(&there, memory_order_acquire) == 2);
    leat_cancel(&parent, 9);
    CHECK_EQ(leat_wait(&g), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(leat_group_ctx(&g)), 9);
    leat_group late = LEAT_GROUP(&parent);
    CHECK_EQ(leat_go(&late, RETURN(1)), -ECANCELED);
    CHECK_EQ(leat_try_go(&late, RETURN(1)), -ECANCELED);
    CHECK_EQ(leat_go_n(&late, 3, RETURN(1)), -ECANCELED);
    CHECK_EQ(leat_wait(&late), 0);
}

TEST(a_deadline_of_the_parent_ends_the_tasks)
{
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(20));
    leat_group g = LEAT_GROUP(&soon);
    CHECK_EQ(leat_go_n(&g, 2, until_done, NULL), 0);
    CHECK_EQ(leat_wait(&g), -ETIMEDOUT);
    CHECK_EQ(leat_go(&g, RETURN(0)), -ESHUTDOWN);
}

static int writes(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    ++*(int *)arg;
    return 0;
}

TEST(what_a_task_did_is_seen_after_wait)
{
    enum { N = 200 };
    int done[N] = { 0 };
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_limit(&g, 4), 0);
    for (int i = 0; i < N; i++) CHECK_EQ(leat_go(&g, writes, &done[i]), 0);
    CHECK_EQ(leat_wait(&g), 0);
    for (int i = 0; i < N; i++) CHECK_EQ(done[i], 1);
}

/* ==== The limit =============================================================================== */

TEST(a_try_starts_tasks_up_to_the_limit_and_no_more)
{
    leat_group g = LEAT_GROUP(NULL);
    door d = { 0 };
    CHECK_EQ(leat_group_limit(&g, 42), 0);
    for (int i = 0; i < 42; i++) CHECK_EQ(leat_try_go(&g, at_door, &d), 0);
    CHECK_EQ(leat_try_go(&g, at_door, &d), -EAGAIN);
    door_until(&d, 42);
    CHECK_EQ(leat_try_go(&g, at_door, &d), -EAGAIN);
    CHECK_EQ(leat_group_limit(&g, 43), -EINVAL); /* not while there are tasks */
    door_open(&d);
    UNTIL(leat_sem_available(&g.idle_) == 42);
    for (int i = 0; i < 42; i++) CHECK_EQ(leat_try_go(&g, at_door, &d), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(d.at_it, 84);
}

TEST(without_a_limit_a_try_always_starts_a_task)
{
    leat_group g = LEAT_GROUP(NULL);
    door d = { 0 };
    for (int i = 0; i < 60; i++) CHECK_EQ(leat_try_go(&g, at_door, &d), 0);
    door_until(&d, 60); /* all at once, or this would hang */
    door_open(&d);
    CHECK_EQ(leat_wait(&g), 0);
}

struct busy {
    _Atomic int active, worst, ran;
};

static int is_active(leat_ctx *ctx, void *arg)
{
    struct busy *b = arg;
    (void)ctx;
    int now = atomic_fetch_add_explicit(&b->active, 1, memory_order_relaxed) + 1;
    for (int worst = b->worst; worst < now && !atomic_compare_exchange_weak(&b->worst, &worst, now);) {}
    leat_os_yield_();
    atomic_fetch_sub_explicit(&b->active, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->ran, 1, memory_order_relaxed);
    return 0;
}

TEST(L4_never_more_tasks_at_once_than_the_limit)
{
    struct busy b = { 0 };
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_limit(&g, 10), 0);
    for (int i = 0; i < 1025; i++) CHECK_EQ(leat_go(&g, is_active, &b), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK(b.worst <= 10);
    CHECK_EQ(b.ran, 1025);
}

static void go_from_here(int i, void *arg)
{
    struct {
        leat_group g;
        struct busy b;
        _Atomic int accepted;
    } *x = arg;
    (void)i;
    for (int k = 0; k < 500; k++) {
        int err = k % 3 ? leat_go(&x->g, is_active, &x->b) : leat_try_go(&x->g, is_active, &x->b);
        if (!err) atomic_fetch_add_explicit(&x->accepted, 1, memory_order_relaxed);
        else if (!CHECK(err == -EAGAIN && k % 3 == 0)) break;
    }
}

TEST(from_many_threads_every_accepted_task_runs_once_within_the_limit)
{
    struct {
        leat_group g;
        struct busy b;
        _Atomic int accepted;
    } x = { .g = LEAT_GROUP(NULL) };
    CHECK_EQ(leat_group_limit(&x.g, 3), 0);
    tap_threads(4, go_from_here, &x);
    CHECK_EQ(leat_wait(&x.g), 0);
    CHECK(x.b.worst <= 3);
    CHECK_EQ(x.b.ran, x.accepted);
    CHECK(x.accepted >= 4 * 333);
}

TEST(an_impossible_limit_is_refused)
{
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_limit(&g, 0), -EINVAL);
    CHECK_EQ(leat_group_limit(&g, -1), -EINVAL);
    CHECK_EQ(leat_group_limit(NULL, 1), -EINVAL);
    CHECK_EQ(leat_group_limit(&g, 5), 0);
    CHECK_EQ(leat_group_limit(&g, 1), 0); /* before the first task it may change */
    CHECK_EQ(leat_go(&g, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_go(NULL, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_try_go(NULL, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_try_go(&g, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_go_n(&g, -1, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_go_n(NULL, 1, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_go_n(&g, 1, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_wait(NULL), -EINVAL);
    CHECK_EQ(leat_wait(&g), 0);
}

struct waits_at_the_limit {
    leat_group *g;
    _Atomic int *ran;
};

static int go_one(void *arg)
{
    struct waits_at_the_limit *w = arg;
    return leat_go(w->g, counts, w->ran);
}

TEST(a_go_that_waits_at_the_limit_is_told_when_the_group_fails)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int there = 0, ran = 0;
    side waiter;
    CHECK_EQ(leat_group_limit(&g, 1), 0);
    CHECK_EQ(leat_go(&g, until_done, &there), 0);
    side_start(&waiter, go_one, &(struct waits_at_the_limit){ &g, &ran });
    UNTIL(peek_sem(&g.idle_) == 1);
    leat_cancel(leat_group_ctx(&g), 8);
    CHECK_EQ(side_join(&waiter), -ECANCELED);
    CHECK_EQ(leat_wait(&g), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(leat_group_ctx(&g)), 8);
    CHECK_EQ(ran, 0);
}

TEST(tasks_that_were_not_started_before_the_first_error_do_not_start)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    CHECK_EQ(leat_group_limit(&g, 1), 0);
    CHECK_EQ(leat_go(&g, RETURN(4)), 0);
    int refused = 0;
    for (int i = 0; i < 50; i++) {
        int err = leat_go(&g, counts, &ran);
        CHECK(err == -ECANCELED);
        refused += err == -ECANCELED;
    }
    CHECK_EQ(leat_wait(&g), 4);
    CHECK_EQ(ran + refused, 50);
}

/* ==== A semaphore shared by several groups ==================================================== */

TEST(groups_that_share_a_semaphore_are_limited_together)
{
    leat_sem s = LEAT_SEM(3);
    struct busy b = { 0 };
    leat_group g = LEAT_GROUP(NULL), h = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_share(&g, &s), 0);
    CHECK_EQ(leat_group_share(&h, &s), 0);
    CHECK_EQ(leat_group_limit(&h, 2), 0);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(leat_go(&g, is_active, &b), 0);
        CHECK_EQ(leat_go(&h, is_active, &b), 0);
    }
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_wait(&h), 0);
    CHECK(b.worst <= 3);
    CHECK_EQ(b.ran, 400);
    CHECK_EQ(leat_sem_available(&s), 3);
    CHECK_EQ(leat_group_share(&g, &s), -EINVAL);
    CHECK_EQ(leat_group_share(NULL, &s), -EINVAL);
}

TEST(a_failed_start_gives_the_shared_permit_back)
{
    leat_sem s = LEAT_SEM(2);
    leat_group g = LEAT_GROUP(NULL), h = LEAT_GROUP(NULL);
    door d = { 0 };
    CHECK_EQ(leat_group_share(&g, NULL), -EINVAL);
    CHECK_EQ(leat_group_share(&g, &s), 0);
    CHECK_EQ(leat_group_share(&h, &s), 0);
    CHECK_EQ(leat_group_limit(&g, 1), 0);
    CHECK_EQ(leat_go(&g, at_door, &d), 0);
    CHECK_EQ(leat_try_go(&g, at_door, &d), -EAGAIN); /* the limit */
    CHECK_EQ(leat_sem_available(&s), 1);
    CHECK_EQ(leat_try_go(&h, at_door, &d), 0);
    CHECK_EQ(leat_try_go(&h, at_door, &d), -EAGAIN); /* the semaphore */
    CHECK_EQ(leat_sem_available(&s), 0);
    door_open(&d);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_wait(&h), 0);
    CHECK_EQ(leat_sem_available(&s), 2);
    leat_group late = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_share(&late, &s), 0);
    CHECK_EQ(leat_sem_close(&s), 0);
    CHECK_EQ(leat_acquire(&s, 2), 0);
    CHECK_EQ(leat_go(&late, RETURN(0)), -EPIPE);
    CHECK_EQ(leat_wait(&late), 0);
}

/* ==== After the end =========================================================================== */

static int waits(void *g)
{
    return leat_wait(g);
}

TEST(L5_after_wait_nothing_starts)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    CHECK_EQ(leat_go(&g, counts, &ran), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_go(&g, counts, &ran), -ESHUTDOWN);
    CHECK_EQ(leat_try_go(&g, counts, &ran), -ESHUTDOWN);
    CHECK_EQ(leat_go_n(&g, 2, counts, &ran), -ESHUTDOWN);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, 1);
}

TEST(L5_many_may_wait_at_once_and_all_get_the_result_after_the_last_task)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        leat_group g = LEAT_GROUP(NULL);
        door d = { 0 };
        side waiter[3];
        REQUIRE_EQ(leat_go_n(&g, 2, at_door, &d), 0);
        for (int i = 0; i < 3; i++) side_start(&waiter[i], waits, &g);
        if (k % 2) UNTIL(peek_wg(&g.running_) == 3);
        REQUIRE_EQ(leat_go(&g, RETURN(6)), 0); /* a call waits already, and more tasks may still start */
        door_open(&d);
        for (int i = 0; i < 3; i++) REQUIRE_EQ(side_join(&waiter[i]), 6);
        REQUIRE_EQ(leat_wait(&g), 6);
    }
}

/* ==== Tasks that start tasks ================================================================== */

struct tree {
    leat_group *g;
    _Atomic int leaves;
};

static int grow4(leat_ctx *ctx, void *arg);
static int grow(leat_ctx *ctx, struct tree *t, leat_task *child)
{
    (void)ctx;
    if (!child) {
        atomic_fetch_add_explicit(&t->leaves, 1, memory_order_relaxed);
        return 0;
    }
    int err = leat_go(t->g, child, t);
    return err ? err : leat_go(t->g, child, t);
}
static int grow0(leat_ctx *ctx, void *arg)
{
    return grow(ctx, arg, NULL);
}
static int grow1(leat_ctx *ctx, void *arg)
{
    return grow(ctx, arg, grow0);
}
static int grow2(leat_ctx *ctx, void *arg)
{
    return grow(ctx, arg, grow1);
}
static int grow3(leat_ctx *ctx, void *arg)
{
    return grow(ctx, arg, grow2);
}
static int grow4(leat_ctx *ctx, void *arg)
{
    return grow(ctx, arg, grow3);
}

TEST(L5_tasks_may_start_tasks_and_wait_ends_after_the_last)
{
    for (int k = 0; k < tap_rounds(30); k++) {
        leat_group g = LEAT_GROUP(NULL);
        struct tree t = { .g = &g };
        REQUIRE_EQ(leat_go(&g, grow4, &t), 0);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE_EQ(t.leaves, 16);
    }
}

TEST(errno_is_never_touched)
{
    errno = 77;
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_limit(&g, 2), 0);
    for (int i = 0; i < 20; i++) CHECK_EQ(leat_go(&g, RETURN(0)), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(errno, 77);
}
