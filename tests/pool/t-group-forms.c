/* t-group-forms.c - go, go_n and wait in their three forms: each result; a call that gives up has started nothing and
 * leaves a group that goes on.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

static leat_ctx *cancelled(leat_ctx *ctx)
{
    *ctx = (leat_ctx)LEAT_CTX(NULL);
    leat_cancel(ctx, 7);
    return ctx;
}

static int returns(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return (int)(intptr_t)arg;
}
#define RETURN(n) returns, (void *)(intptr_t)(n)

/* ==== Go ====================================================================================== */

TEST(at_the_limit_a_context_ends_the_wait_and_nothing_was_started)
{
    leat_group g = LEAT_GROUP(NULL);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10)), late = LEAT_CTX_WITHIN(NULL, LEAT_MS(10)), ctx;
    door d = { 0 };
    _Atomic int ran = 0;
    CHECK_EQ(leat_group_limit(&g, 1), 0);
    CHECK_EQ(leat_go_ctx(NULL, &g, at_door, &d), 0);
    CHECK_EQ(leat_go_ctx(&soon, &g, counts, (void *)&ran), -ETIMEDOUT);
    CHECK_EQ(leat_go_ctx(cancelled(&ctx), &g, counts, (void *)&ran), -ECANCELED);
    CHECK_EQ(leat_go_n_ctx(&late, &g, 2, counts, (void *)&ran), -ETIMEDOUT);
    CHECK_EQ(leat_go_n_ctx(&ctx, &g, 2, counts, (void *)&ran), -ECANCELED);
    CHECK_EQ(leat_ctx_err(leat_group_ctx(&g)), 0); /* it is the caller's context that ended */
    door_open(&d);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    CHECK_EQ(leat_go_ctx(&ctx, &g, counts, (void *)&ran), 0);
    CHECK_EQ(leat_go_n_ctx(&ctx, &g, 3, counts, (void *)&ran), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, 4);
    CHECK_EQ(leat_go_ctx(&ctx, &g, counts, (void *)&ran), -ESHUTDOWN);
    CHECK_EQ(leat_go_n_ctx(&ctx, &g, 1, counts, (void *)&ran), -ESHUTDOWN);
    CHECK_EQ(leat_try_go_n(&g, 1, counts, (void *)&ran), -ESHUTDOWN);
    leat_cancel(&ctx, 1);
    CHECK_EQ(leat_go_ctx(&ctx, &g, counts, (void *)&ran), -ECANCELED);
    CHECK_EQ(leat_go_n_ctx(&ctx, &g, 1, counts, (void *)&ran), -ECANCELED);
}

struct goes {
    leat_group g;
    leat_ctx ctx;
    _Atomic int ran;
    int n;
};

static int goes_under_ctx(void *arg)
{
    struct goes *w = arg;
    return w->n ? leat_go_n_ctx(&w->ctx, &w->g, w->n, counts, (void *)&w->ran)
                : leat_go_ctx(&w->ctx, &w->g, counts, (void *)&w->ran);
}

TEST(a_go_that_waits_at_the_limit_is_woken_by_either_context)
{
    for (int k = 0; k < 8; k++) {
        struct goes w = { .g = LEAT_GROUP(NULL), .ctx = LEAT_CTX(NULL), .n = k & 1 };
        door d = { 0 };
        side s;
        leat_sem one = LEAT_SEM(1);
        if (k & 4) REQUIRE_EQ(leat_group_share(&w.g, &one), 0); /* the limit is a shared one */
        else REQUIRE_EQ(leat_group_limit(&w.g, 1), 0);
        REQUIRE_EQ(leat_go(&w.g, at_door, &d), 0);
        side_start(&s, goes_under_ctx, &w);
        UNTIL(peek_sem(k & 4 ? &one : &w.g.idle_) == 1);
        leat_cancel(k & 2 ? &w.ctx : leat_group_ctx(&w.g), 5);
        CHECK_EQ(side_join(&s), -ECANCELED);
        door_open(&d);
        CHECK_EQ(leat_wait(&w.g), 0);
        CHECK_EQ(w.ran, 0);
        if (k & 4) CHECK_EQ(leat_sem_available(&one), 1);
    }
}

struct nested {
    leat_group g;
    leat_ctx ctx;
    int live, done;
    _Atomic int ran;
};

static int goes_on(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    n->live = leat_go_ctx(&n->ctx, &n->g, counts, (void *)&n->ran);
    leat_cancel(&n->ctx, 1);
    n->done = leat_go_ctx(&n->ctx, &n->g, counts, (void *)&n->ran);
    return 0;
}

TEST(the_last_task_at_the_limit_is_told_unless_its_context_is_done)
{
    struct nested n = { .g = LEAT_GROUP(NULL), .ctx = LEAT_CTX(NULL) };
    CHECK_EQ(leat_group_limit(&n.g, 1), 0);
    CHECK_EQ(leat_go(&n.g, goes_on, &n), 0);
    CHECK_EQ(leat_wait(&n.g), 0);
    CHECK_EQ(n.live, -EDEADLK);
    CHECK_EQ(n.done, -ECANCELED);
    CHECK_EQ(n.ran, 0);
}

TEST(L4_n_at_once_are_all_started_or_none)
{
    leat_group g = LEAT_GROUP(NULL);
    door d = { 0 }, e = { 0 };
    _Atomic int ran = 0;
    CHECK_EQ(leat_group_limit(&g, 5), 0);
    CHECK_EQ(leat_try_go_n(&g, 6, counts, (void *)&ran), -EAGAIN);
    CHECK_EQ(leat_try_go_n(&g, 3, at_door, &d), 0);
    CHECK_EQ(leat_try_go_n(&g, 3, at_door, &e), -EAGAIN);
    CHECK_EQ(leat_try_go_n(&g, 0, at_door, &e), 0);
    CHECK_EQ(leat_try_go_n(&g, 2, at_door, &e), 0);
    door_until(&d, 3);
    door_until(&e, 2);
    CHECK_EQ(leat_try_go_n(&g, 1, counts, (void *)&ran), -EAGAIN);
    door_open(&e);
    UNTIL(leat_sem_available(&g.idle_) == 2);
    CHECK_EQ(leat_try_go_n(&g, 3, counts, (void *)&ran), -EAGAIN);
    CHECK_EQ(leat_try_go_n(&g, 2, counts, (void *)&ran), 0);
    door_open(&d);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, 2);
    CHECK_EQ(d.at_it, 3);
    CHECK_EQ(e.at_it, 2);
}

TEST(n_at_once_need_so_many_shared_permits)
{
    leat_sem s = LEAT_SEM(3);
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    CHECK_EQ(leat_group_share(&g, &s), 0);
    CHECK_EQ(leat_try_go_n(&g, 4, counts, (void *)&ran), -EAGAIN);
    CHECK_EQ(leat_sem_available(&s), 3);
    CHECK_EQ(leat_try_go_n(&g, 3, counts, (void *)&ran), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, 3);
    CHECK_EQ(leat_sem_available(&s), 3);
}

TEST(bad_arguments_are_refused_by_all_forms)
{
    leat_group g = LEAT_GROUP(NULL);
    leat_ctx ctx = LEAT_CTX(NULL);
    CHECK_EQ(leat_go_ctx(&ctx, NULL, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_go_ctx(&ctx, &g, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_go_n_ctx(&ctx, NULL, 1, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_go_n_ctx(&ctx, &g, -1, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_go_n_ctx(&ctx, &g, 1, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_try_go_n(NULL, 1, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_try_go_n(&g, -1, RETURN(0)), -EINVAL);
    CHECK_EQ(leat_try_go_n(&g, 1, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_wait_ctx(&ctx, NULL), -EINVAL);
    CHECK_EQ(leat_try_wait(NULL), -EINVAL);
    CHECK_EQ(leat_group_errors(NULL), 0);
    CHECK_EQ(leat_wait(&g), 0);
}

TEST(tries_are_refused_when_the_groups_context_is_done)
{
    leat_ctx up;
    leat_group g = LEAT_GROUP(cancelled(&up));
    CHECK_EQ(leat_try_go_n(&g, 2, RETURN(0)), -ECANCELED);
    CHECK_EQ(leat_go_ctx(NULL, &g, RETURN(0)), -ECANCELED);
    CHECK_EQ(leat_go_n_ctx(NULL, &g, 2, RETURN(0)), -ECANCELED);
    CHECK_EQ(leat_try_wait(&g), 0);
}

/* ==== Wait ==================================================================================== */

TEST(L1_a_wait_that_only_tries_joins_when_all_tasks_have_returned)
{
    leat_group g = LEAT_GROUP(NULL);
    door d = { 0 };
    int err;
    CHECK_EQ(leat_go(&g, at_door, &d), 0);
    CHECK_EQ(leat_go(&g, RETURN(6)), 0);
    CHECK_EQ(leat_try_wait(&g), -EAGAIN);
    door_until(&d, 1);
    CHECK_EQ(leat_try_wait(&g), -EAGAIN);
    door_open(&d);
    UNTIL((err = leat_try_wait(&g)) != -EAGAIN);
    CHECK_EQ(err, 6);
    CHECK(!g.threads_.list_);
    CHECK_EQ(leat_try_wait(&g), 6);
    CHECK_EQ(leat_wait(&g), 6);
    CHECK_EQ(leat_go(&g, RETURN(0)), -ESHUTDOWN);
    leat_group none = LEAT_GROUP(NULL);
    CHECK_EQ(leat_try_wait(&none), 0);
}

TEST(a_wait_that_gave_up_leaves_a_group_that_goes_on)
{
    leat_group g = LEAT_GROUP(NULL);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10)), ctx;
    door d = { 0 };
    _Atomic int ran = 0;
    CHECK_EQ(leat_go(&g, at_door, &d), 0);
    CHECK_EQ(leat_wait_ctx(&soon, &g), -ETIMEDOUT);
    CHECK_EQ(leat_wait_ctx(cancelled(&ctx), &g), -ECANCELED);
    CHECK_EQ(leat_ctx_err(leat_group_ctx(&g)), 0);
    CHECK_EQ(leat_go(&g, counts, (void *)&ran), 0); /* it is still open */
    door_open(&d);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    CHECK_EQ(leat_wait_ctx(&ctx, &g), 0);
    CHECK_EQ(leat_wait_ctx(NULL, &g), 0);
    CHECK_EQ(ran, 1);
    leat_cancel(&ctx, 1);
    CHECK_EQ(leat_wait_ctx(&ctx, &g), -ECANCELED); /* the context wins, always */
}

static int waits_itself(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    n->live = leat_wait_ctx(&n->ctx, &n->g);
    leat_cancel(&n->ctx, 1);
    n->done = leat_wait_ctx(&n->ctx, &n->g);
    return leat_try_wait(&n->g);
}

TEST(a_task_that_waits_for_its_own_group_is_told_by_all_forms)
{
    struct nested n = { .g = LEAT_GROUP(NULL), .ctx = LEAT_CTX(NULL) };
    CHECK_EQ(leat_go(&n.g, waits_itself, &n), 0);
    CHECK_EQ(leat_wait(&n.g), -EAGAIN);
    CHECK_EQ(n.live, -EDEADLK);
    CHECK_EQ(n.done, -ECANCELED);
}

struct many {
    leat_group g;
    door d;
};

static void waits_somehow(int i, void *arg)
{
    struct many *m = arg;
    leat_ctx ctx = LEAT_CTX(NULL);
    int err;
    if (i == 0) door_open(&m->d);
    if (i == 1) UNTIL((err = leat_try_wait(&m->g)) != -EAGAIN);
    else if (i == 2) UNTIL((err = leat_wait_ctx(LEAT_WITHIN(LEAT_US(50)), &m->g)) != -ETIMEDOUT);
    else err = i == 3 ? leat_wait_ctx(&ctx, &m->g) : leat_wait(&m->g);
    CHECK_EQ(err, 9);
}

TEST(every_form_of_wait_returns_the_same)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        struct many m = { .g = LEAT_GROUP(NULL) };
        REQUIRE_EQ(leat_go_n(&m.g, 2, at_door, &m.d), 0);
        REQUIRE_EQ(leat_go(&m.g, RETURN(9)), 0);
        tap_threads(5, waits_somehow, &m);
        REQUIRE_EQ(leat_wait(&m.g), 9);
    }
}
