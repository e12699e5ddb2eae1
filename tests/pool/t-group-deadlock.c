/* t-group-deadlock.c - a call that would wait for ever is told -EDEADLK, and no other call is.
 * SPDX-License-Identifier: MIT */
#include "peek.h"
#include "pool.h"

static int returns(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return (int)(intptr_t)arg;
}

struct nested {
    leat_group *g;
    door both, stays;
    _Atomic int told, started, ran;
};

static int leaf(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit(&((struct nested *)arg)->ran, 1, memory_order_relaxed);
    return 0;
}

static int waits_for_its_group(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return leat_wait(arg);
}

TEST(a_task_that_waits_for_its_own_group_is_told)
{
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_go(&g, waits_for_its_group, &g), 0);
    CHECK_EQ(leat_wait(&g), -EDEADLK);
}

TEST(a_task_may_wait_for_another_group)
{
    leat_group g = LEAT_GROUP(NULL), h = LEAT_GROUP(NULL);
    CHECK_EQ(leat_go(&h, returns, (void *)7), 0);
    CHECK_EQ(leat_go(&g, waits_for_its_group, &h), 0);
    CHECK_EQ(leat_wait(&g), 7);
    CHECK_EQ(leat_wait(&h), 7);
}

static int goes_on(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    door_pass(&n->both);
    int err = leat_go(n->g, leaf, n);
    if (err == -EDEADLK) atomic_fetch_add_explicit(&n->told, 1, memory_order_relaxed);
    else if (CHECK_EQ(err, 0)) atomic_fetch_add_explicit(&n->started, 1, memory_order_relaxed);
    return 0;
}

static void nest(int tasks)
{
    leat_group g = LEAT_GROUP(NULL);
    struct nested n = { .g = &g };
    REQUIRE_EQ(leat_group_limit(&g, tasks), 0);
    REQUIRE_EQ(leat_go_n(&g, tasks, goes_on, &n), 0);
    door_until(&n.both, tasks);
    door_open(&n.both);
    REQUIRE_EQ(leat_wait(&g), 0);
    if (tasks == 1) REQUIRE_EQ(n.told, 1);
    REQUIRE_EQ(n.told + n.started, tasks);
    REQUIRE_EQ(n.ran, n.started);
}

TEST(if_all_tasks_wait_at_the_limit_the_last_of_them_is_told)
{
    for (int k = 0; k < tap_rounds(200); k++)
        for (int tasks = 1; tasks <= 3; tasks++) nest(tasks);
}

TEST(exactly_one_of_two_is_told_if_both_certainly_wait)
{
    /* A is seen to be parked at the limit when B comes. */
    for (int k = 0; k < tap_rounds(100); k++) {
        leat_group g = LEAT_GROUP(NULL);
        struct nested a = { .g = &g }, b = { .g = &g };
        REQUIRE_EQ(leat_group_limit(&g, 2), 0);
        REQUIRE_EQ(leat_go(&g, goes_on, &a), 0);
        REQUIRE_EQ(leat_go(&g, goes_on, &b), 0);
        door_open(&a.both);
        UNTIL(peek_sem(&g.idle_) == 1);
        door_open(&b.both);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE_EQ(a.told, 0);
        REQUIRE_EQ(a.started, 1);
        REQUIRE_EQ(b.told, 1);
    }
}

static int goes_then_stays(leat_ctx *ctx, void *arg)
{
    int err = goes_on(ctx, arg);
    door_pass(&((struct nested *)arg)->stays);
    return err;
}

static int waits_at_door(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(arg);
    return 0;
}

TEST(a_task_that_has_waited_at_the_limit_is_not_taken_for_waiting_afterwards)
{
    leat_group g = LEAT_GROUP(NULL);
    struct nested a = { .g = &g }, d = { .g = &g };
    door b = { 0 };
    REQUIRE_EQ(leat_group_limit(&g, 2), 0);
    REQUIRE_EQ(leat_go(&g, goes_then_stays, &a), 0);
    REQUIRE_EQ(leat_go(&g, waits_at_door, &b), 0);
    door_open(&a.both);
    UNTIL(peek_sem(&g.idle_) == 1); /* a waits for b's thread */
    door_open(&b);
    door_until(&a.stays, 1); /* a has got it, and goes on */
    REQUIRE_EQ(leat_go(&g, goes_on, &d), 0);
    door_open(&d.both);
    leat_sleep(LEAT_MS(2)); /* d waits for a, most likely. It must not be told that it waits for ever */
    door_open(&a.stays);
    REQUIRE_EQ(leat_wait(&g), 0);
    CHECK_EQ(a.told, 0);
    CHECK_EQ(d.told, 0);
    CHECK_EQ(a.ran + d.ran, 2);
}

static int tries_for_a_while(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    door_pass(&n->both);
    for (int k = 0; k < tap_rounds(20000) && !atomic_load_explicit(&n->started, memory_order_relaxed); k++) {
        int err = leat_try_go(n->g, leaf, n);
        if (!CHECK(err == 0 || err == -EAGAIN)) break;
        if (!err) atomic_fetch_add_explicit(&n->started, 1, memory_order_relaxed);
    }
    return 0;
}

TEST(a_task_that_only_tries_at_the_limit_is_not_taken_for_one_that_waits)
{
    for (int k = 0; k < tap_rounds(50); k++) {
        leat_group g = LEAT_GROUP(NULL);
        struct nested n = { .g = &g };
        REQUIRE_EQ(leat_group_limit(&g, 2), 0);
        REQUIRE_EQ(leat_go(&g, tries_for_a_while, &n), 0);
        REQUIRE_EQ(leat_go(&g, goes_on, &n), 0);
        door_until(&n.both, 2);
        door_open(&n.both);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE_EQ(n.told, 0); /* the other task would have ended, and its thread would have taken the new task */
    }
}

static int goes_many(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    for (int k = 0; k < 20; k++) {
        int err = leat_go(n->g, leaf, n);
        if (err == -EDEADLK) atomic_fetch_add_explicit(&n->told, 1, memory_order_relaxed);
        else if (CHECK_EQ(err, 0)) atomic_fetch_add_explicit(&n->started, 1, memory_order_relaxed);
    }
    return 0;
}

TEST(no_task_is_told_while_another_could_still_end)
{
    /* One task never starts another, so all the others can go on some day. */
    for (int k = 0; k < tap_rounds(50); k++) {
        leat_group g = LEAT_GROUP(NULL);
        struct nested n = { .g = &g };
        REQUIRE_EQ(leat_group_limit(&g, 4), 0);
        for (int i = 0; i < 3; i++) REQUIRE_EQ(leat_go(&g, goes_many, &n), 0);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE_EQ(n.told, 0);
        REQUIRE_EQ(n.started, 60);
        REQUIRE_EQ(n.ran, 60);
    }
}
