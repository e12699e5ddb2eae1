/* t-group-within.c - groups that are stages of a whole: an error of one ends them all, and one wait waits for all. And
 * threads of a group that end when they are idle.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "jobs.h"

typedef LEAT_CHAN(int) ints;

static int sends_for_ever(leat_ctx *ctx, void *arg)
{
    ints *to = arg;
    for (int i = 0;; i++) {
        int err = leat_send_ctx(ctx, to, &i);
        if (err) return err;
    }
}

static int returns_42(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return 42;
}

typedef struct {
    ints *from, *to;
    int fails_at;
} step;

static int passes_on(leat_ctx *ctx, void *arg)
{
    step *s = arg;
    int m, err;
    while ((err = leat_recv_ctx(ctx, s->from, &m)) == 0) {
        if (m == s->fails_at) return 42;
        if ((err = leat_send_ctx(ctx, s->to, &m)) != 0) return err;
    }
    return err == -EPIPE ? 0 : err;
}

TEST(an_error_of_the_last_stage_ends_the_reader_that_waits_two_stages_before)
{
    for (int i = 0; i < tap_rounds(500); i++) {
        ints a, b;
        ints c;
        REQUIRE(!leat_make(&a, 2) && !leat_make(&b, 2) && !leat_make(&c, 100));
        leat_group whole = LEAT_GROUP(NULL), read = LEAT_GROUP(NULL), parse = LEAT_GROUP(NULL), store = LEAT_GROUP(NULL);
        step parses = { &a, &b, -1 }, stores = { &b, &c, 50 };
        CHECK_EQ(leat_group_within(&read, &whole), 0);
        CHECK_EQ(leat_group_within(&parse, &whole), 0);
        CHECK_EQ(leat_group_within(&store, &whole), 0);
        CHECK_EQ(leat_group_closes(&read, &a), 0);
        CHECK_EQ(leat_group_closes(&parse, &b), 0);
        CHECK_EQ(leat_go(&read, sends_for_ever, &a), 0);
        CHECK_EQ(leat_go(&parse, passes_on, &parses), 0);
        CHECK_EQ(leat_go(&store, passes_on, &stores), 0);
        CHECK_EQ(leat_wait(&whole), 42);
        CHECK_EQ(leat_wait(&store), 42);
        CHECK_EQ(leat_ctx_cause(leat_group_ctx(&whole)), 42);
        CHECK_EQ(leat_ctx_cause(leat_group_ctx(&read)), 42);
        CHECK(leat_is_closed(&a) && leat_is_closed(&b));
        CHECK_EQ(leat_len(&c), 50);
        leat_free(&a);
        leat_free(&b);
        leat_free(&c);
    }
}

TEST(L11_the_whole_may_be_waited_for_again_when_its_stages_are_gone)
{
    leat_group whole = LEAT_GROUP(NULL), stage = LEAT_GROUP(NULL), idle = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_within(&stage, &whole), 0);
    CHECK_EQ(leat_group_within(&idle, &whole), 0);
    CHECK_EQ(leat_go(&stage, returns_42, NULL), 0);
    CHECK_EQ(leat_wait(&whole), 42);
    CHECK_EQ(leat_ctx_cause(leat_group_ctx(&stage)), 42);
    CHECK_EQ(leat_ctx_cause(leat_group_ctx(&idle)), 42); /* although no task has asked this context */
    memset((void *)&stage, 0xFF, sizeof stage);
    memset((void *)&idle, 0xFF, sizeof idle);
    CHECK_EQ(leat_wait(&whole), 42);
    CHECK_EQ(leat_try_wait(&whole), 42);
}

TEST(a_pipeline_without_an_error_ends_as_a_whole)
{
    ints a;
    static _Atomic int ran;
    leat_group whole = LEAT_GROUP(NULL), stage = LEAT_GROUP(NULL), none = LEAT_GROUP(NULL);
    ran = 0;
    REQUIRE(!leat_make(&a, 1));
    CHECK_EQ(leat_group_within(&stage, &whole), 0);
    CHECK_EQ(leat_group_within(&none, &whole), 0);
    CHECK_EQ(leat_group_closes(&none, &a), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(leat_go(&stage, counts, (void *)&ran), 0);
        CHECK_EQ(leat_go(&whole, counts, (void *)&ran), 0);
    }
    CHECK_EQ(leat_wait(&whole), 0);
    CHECK_EQ(ran, 20);
    CHECK(leat_is_closed(&a)); /* a stage that never had a task is ended, too */
    CHECK_EQ(threads(&stage.threads_), 0);
    CHECK_EQ(leat_go(&stage, counts, (void *)&ran), -ESHUTDOWN);
    CHECK_EQ(leat_wait(&stage), 0);
    CHECK_EQ(leat_wait(&none), 0);
    leat_free(&a);
}

typedef struct {
    leat_group *stage;
    door *door;
} starts_args;

static int starts(leat_ctx *ctx, void *arg)
{
    starts_args *a = arg;
    (void)ctx;
    door_pass(a->door);
    return leat_go(a->stage, at_door, a->door);
}

static int waits_whole(void *arg)
{
    return leat_wait(arg);
}

TEST(a_task_of_one_stage_may_start_the_first_task_of_another_while_the_whole_is_waited_for)
{
    door d = { 0 };
    leat_group whole = LEAT_GROUP(NULL), one = LEAT_GROUP(NULL), two = LEAT_GROUP(NULL);
    starts_args args = { &two, &d };
    side s;
    CHECK_EQ(leat_group_within(&one, &whole), 0);
    CHECK_EQ(leat_group_within(&two, &whole), 0);
    CHECK_EQ(leat_go(&one, starts, &args), 0);
    door_until(&d, 1);
    side_start(&s, waits_whole, &whole);
    UNTIL(peek_wg(&whole.running_) == 1);
    CHECK_EQ(leat_try_wait(&whole), -EAGAIN);
    CHECK_EQ(leat_wait_ctx(LEAT_WITHIN(LEAT_MS(1)), &whole), -ETIMEDOUT);
    door_open(&d);
    CHECK_EQ(side_join(&s), 0);
    CHECK_EQ(d.at_it, 2);
    CHECK_EQ(leat_try_wait(&whole), 0);
}

static int waits_own(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return leat_wait(arg) == -EDEADLK && leat_try_wait(arg) == -EAGAIN ? 7 : 8;
}

TEST(a_task_of_a_stage_that_waits_for_the_whole_is_told)
{
    leat_group whole = LEAT_GROUP(NULL), stage = LEAT_GROUP(NULL), inner = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_within(&stage, &whole), 0);
    CHECK_EQ(leat_group_within(&inner, &stage), 0);
    CHECK_EQ(leat_go(&inner, waits_own, &whole), 0);
    CHECK_EQ(leat_wait(&whole), 7);
    CHECK_EQ(leat_wait(&inner), 7);
    CHECK_EQ(leat_group_errors(&whole), 1);
    CHECK_EQ(leat_group_errors(&inner), 1);
}

TEST(what_cannot_be_is_refused)
{
    static _Atomic int ran;
    leat_ctx other = LEAT_CTX(NULL);
    leat_group whole = LEAT_GROUP(NULL), stage = LEAT_GROUP(NULL), used = LEAT_GROUP(NULL), below = LEAT_GROUP(&other);
    CHECK_EQ(leat_group_within(NULL, &whole), -EINVAL);
    CHECK_EQ(leat_group_within(&stage, NULL), -EINVAL);
    CHECK_EQ(leat_group_within(&whole, &whole), -EINVAL);
    CHECK_EQ(leat_group_within(&below, &whole), -EINVAL);
    CHECK_EQ(leat_group_within(&stage, &whole), 0);
    CHECK_EQ(leat_group_within(&stage, &whole), -EINVAL);
    CHECK_EQ(leat_group_within(&whole, &stage), -EINVAL);
    CHECK_EQ(leat_go(&used, counts, (void *)&ran), 0);
    CHECK_EQ(leat_group_within(&used, &whole), -EINVAL);
    CHECK_EQ(leat_wait(&used), 0);
    CHECK_EQ(leat_wait(&whole), 0);
    leat_group late = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_within(&late, &whole), -ESHUTDOWN);
    CHECK_EQ(leat_go(&late, counts, (void *)&ran), 0); /* it is a group as before */
    CHECK_EQ(leat_wait(&late), 0);
    CHECK_EQ(ran, 2);
}

static int fails(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return *(int *)arg;
}

static int until_cancelled(leat_ctx *ctx, void *arg)
{
    (void)arg;
    return leat_sleep_ctx(ctx, LEAT_FOREVER);
}

TEST(the_answer_is_the_error_that_came_first_not_one_of_those_that_its_cancel_caused)
{
    for (int i = 0; i < tap_rounds(2000); i++) {
        int nine = 9;
        leat_group whole = LEAT_GROUP(NULL), a = LEAT_GROUP(NULL), b = LEAT_GROUP(NULL);
        REQUIRE(!leat_group_within(&a, &whole) && !leat_group_within(&b, &whole));
        REQUIRE_EQ(leat_go(&a, until_cancelled, NULL), 0);
        REQUIRE_EQ(leat_go(&b, until_cancelled, NULL), 0);
        REQUIRE_EQ(leat_go(&whole, until_cancelled, NULL), 0);
        REQUIRE_EQ(leat_go(&b, fails, &nine), 0);
        CHECK_EQ(leat_wait(&whole), 9);
        CHECK_EQ(leat_wait(&b), 9);
        CHECK_EQ(leat_wait(&a), -ECANCELED);
        CHECK_EQ(leat_group_errors(&whole), 4);
    }
}

/* ==== Threads ================================================================================== */

static char name[32];

static int reads_name(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
#if defined __linux__
    FILE *f = fopen("/proc/thread-self/comm", "r");
    if (!f) return 0;
    if (!fgets(name, sizeof name, f)) name[0] = 0;
    fclose(f);
#endif
    return 0;
}

TEST(threads_of_a_group_have_its_name)
{
    char given[] = "a-long-name-of-a-group";
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_threads(&g, &(leat_thread_opts){ .name = given }), 0);
    memset(given, 'x', sizeof given - 1); /* it is copied */
    CHECK_EQ(leat_go(&g, reads_name, NULL), 0);
    CHECK_EQ(leat_wait(&g), 0);
    if (*name) CHECK(strcmp(name, "a-long-name-0\n") == 0);
}

static size_t stack_of_thread;

static int reads_stack(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    char probe[200 * 1024]; /* more than the least stack, less than what was asked for */
    memset(probe, 1, sizeof probe);
    stack_of_thread = (size_t)probe[sizeof probe - 1];
    return 0;
}

TEST(threads_of_a_group_have_its_stack_size_and_a_wrong_one_is_an_error)
{
    leat_group g = LEAT_GROUP(NULL), wrong = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_threads(&g, &(leat_thread_opts){ .stack_size = 4 << 20 }), 0);
    CHECK_EQ(leat_go(&g, reads_stack, NULL), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(stack_of_thread, 1);
#if defined _WIN32 /* which takes the least that it can */
    CHECK_EQ(leat_group_threads(&wrong, &(leat_thread_opts){ .stack_size = SIZE_MAX }), 0);
#else
    CHECK_EQ(leat_group_threads(&wrong, &(leat_thread_opts){ .stack_size = 1 }), 0);
#endif
    CHECK_EQ(leat_go(&wrong, reads_name, NULL), -EINVAL);
    CHECK_EQ(leat_wait(&wrong), 0);
    CHECK_EQ(leat_group_threads(&wrong, &(leat_thread_opts){ .idle = -1 }), -EINVAL);
}

TEST(threads_that_got_no_task_end_and_the_next_task_gets_a_new_one)
{
    for (int limit = 0; limit <= 50; limit += 50) {
        static _Atomic int ran;
        door d = { 0 };
        leat_group g = LEAT_GROUP(NULL);
        ran = 0;
        if (limit) CHECK_EQ(leat_group_limit(&g, limit), 0);
        CHECK_EQ(leat_group_threads(&g, &(leat_thread_opts){ .idle = LEAT_MS(1) }), 0);
        for (int i = 0; i < 50; i++) REQUIRE_EQ(leat_go(&g, at_door, &d), 0);
        CHECK_EQ(threads(&g.threads_), 50);
        door_open(&d);
        UNTIL(threads(&g.threads_) <= 1); /* the last one is joined by the next that ends, or by leat_wait */
        for (int i = 0; i < 100; i++) REQUIRE_EQ(leat_go(&g, counts, (void *)&ran), 0);
        CHECK_EQ(leat_wait(&g), 0);
        CHECK_EQ(ran, 100);
    }
}

TEST(a_task_that_comes_as_its_thread_gives_up_is_run)
{
    static _Atomic int ran;
    leat_group g = LEAT_GROUP(NULL);
    int n = tap_rounds(3000);
    ran = 0;
    CHECK_EQ(leat_group_limit(&g, 2), 0);
    CHECK_EQ(leat_group_threads(&g, &(leat_thread_opts){ .idle = LEAT_US(50) }), 0);
    for (int i = 0; i < n; i++) {
        REQUIRE_EQ(leat_go(&g, counts, (void *)&ran), 0);
        if (i % 3 == 0) CHECK_EQ(leat_sleep(LEAT_US(i % 120)), 0);
    }
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, n);
}

TEST(without_the_option_idle_threads_stay)
{
    static _Atomic int ran;
    leat_group g = LEAT_GROUP(NULL);
    for (int i = 0; i < 3; i++) CHECK_EQ(leat_go(&g, counts, (void *)&ran), 0);
    UNTIL(ran == 3);
    int n = threads(&g.threads_);
    CHECK_EQ(leat_sleep(LEAT_MS(20)), 0);
    CHECK_EQ(threads(&g.threads_), n);
    CHECK_EQ(leat_wait(&g), 0);
}
