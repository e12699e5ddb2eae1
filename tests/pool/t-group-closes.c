/* t-group-closes.c - the results channel is closed when the last task has returned: once, not before, never again, in
 * any order of calls.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

typedef LEAT_CHAN(int) ints;

static int sends_one(leat_ctx *ctx, void *results)
{
    int one = 1;
    return leat_send_ctx(ctx, (ints *)results, &one);
}

static int drain(ints *c)
{
    int sum = 0;
    for (int i; leat_recv(c, &i) == 0;) sum += i;
    return sum;
}

/* A thread that was told that the channel is closed may free it. The same memory is then a new channel, which no
 * thread closes. */
static void gone_and_new(ints *c)
{
    leat_free(c);
    REQUIRE_EQ(leat_make(c, 1), 0);
}

TEST(results_end_after_the_last_task_when_asked_for_before_the_tasks)
{
    for (int k = 0; k < tap_rounds(500); k++) {
        ints c;
        leat_group g = LEAT_GROUP(NULL);
        REQUIRE_EQ(leat_make(&c, (size_t)k % 3), 0);
        REQUIRE_EQ(leat_group_closes(&g, &c), 0);
        REQUIRE_EQ(leat_go_n(&g, 3, sends_one, &c), 0);
        REQUIRE_EQ(drain(&c), 3);
        gone_and_new(&c);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE(!leat_is_closed(&c));
        leat_free(&c);
    }
}

TEST(results_end_after_the_last_task_when_asked_for_after_the_tasks)
{
    for (int k = 0; k < tap_rounds(500); k++) {
        ints c;
        leat_group g = LEAT_GROUP(NULL);
        REQUIRE_EQ(leat_make(&c, (size_t)k % 4), 0);
        for (int i = 0; i < 3; i++) REQUIRE_EQ(leat_go(&g, sends_one, &c), 0);
        REQUIRE_EQ(leat_group_closes(&g, &c), 0); /* races with the tasks' ends */
        REQUIRE_EQ(drain(&c), 3);
        gone_and_new(&c);
        REQUIRE_EQ(leat_go(&g, sends_one, &c), -ESHUTDOWN);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE(!leat_is_closed(&c));
        leat_free(&c);
    }
}

TEST(results_end_when_all_tasks_were_over_before)
{
    ints c;
    leat_group g = LEAT_GROUP(NULL);
    REQUIRE_EQ(leat_make(&c, 4), 0);
    REQUIRE_EQ(leat_go_n(&g, 2, sends_one, &c), 0);
    UNTIL(tasks_of(&g) == 0); /* on two threads, or one after the other on one */
    CHECK(!leat_is_closed(&c));
    CHECK_EQ(leat_group_closes(&g, &c), 0);
    CHECK(leat_is_closed(&c));
    CHECK_EQ(drain(&c), 2);
    CHECK_EQ(leat_group_closes(&g, &c), -EINVAL);
    CHECK_EQ(leat_wait(&g), 0);
    leat_free(&c);
}

TEST(results_end_although_there_was_no_task)
{
    ints c;
    leat_group g = LEAT_GROUP(NULL);
    REQUIRE_EQ(leat_make(&c, 0), 0);
    CHECK_EQ(leat_group_closes(&g, &c), 0);
    CHECK(!leat_is_closed(&c));
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(drain(&c), 0);
    gone_and_new(&c);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK(!leat_is_closed(&c));
    leat_free(&c);
}

TEST(results_do_not_end_while_a_task_runs)
{
    ints c;
    leat_group g = LEAT_GROUP(NULL);
    REQUIRE_EQ(leat_make(&c, 0), 0); /* so a task runs until its result is taken */
    REQUIRE_EQ(leat_group_closes(&g, &c), 0);
    REQUIRE_EQ(leat_go_n(&g, 3, sends_one, &c), 0);
    for (int i, left = 3; left; left--) {
        CHECK(!leat_is_closed(&c));
        CHECK_EQ(leat_recv(&c, &i), 0);
    }
    CHECK_EQ(drain(&c), 0);
    CHECK_EQ(leat_wait(&g), 0);
    leat_free(&c);
}

TEST(a_group_closes_one_channel)
{
    ints c, d;
    leat_group g = LEAT_GROUP(NULL);
    REQUIRE_EQ(leat_make(&c, 1), 0);
    REQUIRE_EQ(leat_make(&d, 1), 0);
    CHECK_EQ(leat_group_closes(&g, &c), 0);
    CHECK_EQ(leat_group_closes(&g, &d), -EINVAL);
    CHECK_EQ(leat_group_closes(&g, (ints *)NULL), -EINVAL);
    CHECK_EQ(leat_group_closes((leat_group *)NULL, &c), -EINVAL);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK(leat_is_closed(&c));
    CHECK(!leat_is_closed(&d));
    CHECK_EQ(leat_group_closes(&g, &d), -EINVAL); /* too late */
    CHECK(!leat_is_closed(&d));
    leat_free(&c);
    leat_free(&d);
}

TEST(a_channel_that_was_closed_before_does_no_harm)
{
    ints c;
    leat_group g = LEAT_GROUP(NULL);
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_group_closes(&g, &c), 0);
    CHECK_EQ(leat_close(&c), 0);
    CHECK_EQ(leat_go(&g, sends_one, &c), 0);
    CHECK_EQ(leat_wait(&g), -EPIPE);
    leat_free(&c);
}

/* Tasks that fail, and tasks that could not be started, count as over too. */
static int fails(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return 3;
}

TEST(results_end_also_when_tasks_fail_or_are_refused)
{
    for (int k = 0; k < tap_rounds(300); k++) {
        ints c;
        leat_group g = LEAT_GROUP(NULL);
        REQUIRE_EQ(leat_make(&c, 8), 0);
        REQUIRE_EQ(leat_group_limit(&g, 2), 0);
        REQUIRE_EQ(leat_go(&g, fails, NULL), 0);
        int err = leat_go_n(&g, 8, sends_one, &c);
        REQUIRE(err == 0 || err == -ECANCELED);
        REQUIRE_EQ(leat_group_closes(&g, &c), 0);
        int sum = drain(&c);
        REQUIRE(sum <= 8);
        REQUIRE_EQ(leat_wait(&g), 3);
        leat_free(&c);
    }
}
