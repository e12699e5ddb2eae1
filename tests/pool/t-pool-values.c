/* t-pool-values.c - a job may bring its argument along: the pool copies it, and allocates nothing for it.
 * SPDX-License-Identifier: MIT */
#include "counted.h"
#include "jobs.h"

typedef struct {
    int n;
    unsigned char bytes[41];
} odd; /* its size is no multiple of 8 */

typedef struct {
    _Alignas(64) int n;
    char rest[60];
} wide;

static _Atomic int seen[1000], bad, ran;

static void begin(void)
{
    for (int i = 0; i < 1000; i++) seen[i] = 0;
    bad = ran = 0;
}

static odd odd_of(int n)
{
    odd v = { .n = n };
    for (int i = 0; i < 41; i++) v.bytes[i] = (unsigned char)(n + i);
    return v;
}

static int takes_odd(leat_ctx *ctx, void *arg)
{
    odd *v = arg, right = odd_of(v->n);
    (void)ctx;
    bad += (uintptr_t)arg % _Alignof(odd) != 0 || memcmp(v->bytes, right.bytes, sizeof v->bytes) != 0;
    atomic_fetch_add(&seen[v->n], 1);
    memset(v->bytes, 0xEE, sizeof v->bytes); /* the copy is the job's own */
    return 0;
}

static int takes_wide(leat_ctx *ctx, void *arg)
{
    wide *v = arg;
    (void)ctx;
    bad += (uintptr_t)arg % 64 != 0 || v->rest[59] != (char)v->n;
    atomic_fetch_add(&seen[v->n], 1);
    return 0;
}

static void each_once(int n)
{
    int wrong = 0;
    for (int i = 0; i < n; i++) wrong += seen[i] != 1;
    CHECK_EQ(wrong, 0);
    CHECK_EQ(bad, 0);
}

static void submit_odds(leat_pool *p, int n)
{
    for (int i = 0; i < n; i++) {
        odd v = odd_of(i);
        REQUIRE_EQ(leat_submit_value(p, takes_odd, &v), 0);
        v.n = -1;
    }
}

TEST(each_job_gets_the_value_that_was_submitted_with_it)
{
    leat_pool p;
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .queue = 2, .value_size = sizeof(odd) }), 0);
    submit_odds(&p, 1000);
    CHECK_EQ(leat_pool_stop(&p), 0);
    each_once(1000);
}

TEST(without_a_queue_too)
{
    leat_pool p;
    begin();
    REQUIRE_EQ(
        leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = LEAT_NO_QUEUE, .value_size = sizeof(odd) }), 0);
    submit_odds(&p, 300);
    CHECK_EQ(leat_pool_stop(&p), 0);
    each_once(300);
}

TEST(a_value_is_aligned_as_its_type_is_also_when_an_abort_hands_it_back)
{
    leat_pool p;
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 4, .value_size = 200 }), 0);
    for (int i = 0; i < 100; i++) REQUIRE_EQ(leat_submit_value(&p, takes_wide, (&(wide){ .n = i, .rest[59] = (char)i })), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    each_once(100);
    struct {
        _Alignas(128) char c;
    } too_wide = { 0 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .value_size = 200 }), 0);
    CHECK_EQ(leat_submit_value(&p, counts, &too_wide), -EINVAL);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(small_values_large_values_and_jobs_without_go_through_one_pool)
{
    leat_pool p;
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 3, .value_size = 256 }), 0);
    for (int i = 0; i < 200; i++) {
        odd v = odd_of(i);
        wide w = { .n = i + 200, .rest[59] = (char)(i + 200) };
        REQUIRE_EQ(leat_submit_value(&p, takes_odd, &v), 0);
        REQUIRE_EQ(leat_submit(&p, counts, &ran), 0);
        REQUIRE_EQ(leat_submit_value(&p, takes_wide, &w), 0);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
    each_once(400);
    CHECK_EQ(ran, 200);
}

TEST(a_value_that_is_too_large_is_refused_and_the_pool_goes_on)
{
    leat_pool p;
    int n = 3;
    char big[9] = { 0 };
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .value_size = 8 }), 0);
    CHECK_EQ(leat_submit_value(&p, counts, &big), -E2BIG);
    CHECK_EQ(leat_try_submit_value(&p, counts, &big), -E2BIG);
    CHECK_EQ(leat_submit_value(&p, counts, (int *)NULL), -EINVAL);
    CHECK_EQ(leat_submit_value(&p, NULL, &n), -EINVAL);
    CHECK_EQ(leat_submit_value((leat_pool *)NULL, counts, &n), -EINVAL);
    CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 1);
    CHECK_EQ(leat_submit_value(&p, counts, &n), -ESHUTDOWN);
    REQUIRE_EQ(leat_pool_start(&p, NULL, NULL), 0);
    CHECK_EQ(leat_submit_value(&p, counts, &n), -E2BIG);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_full_queue_refuses_a_try_and_holds_back_a_submit_until_its_context_is_done)
{
    leat_pool p;
    door d = { 0 };
    int n = 0;
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 1, .value_size = sizeof(odd) }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    odd v = odd_of(n++);
    REQUIRE_EQ(leat_submit_value(&p, takes_odd, &v), 0);
    v = odd_of(n);
    CHECK_EQ(leat_try_submit_value(&p, takes_odd, &v), -EAGAIN);
    CHECK_EQ(leat_submit_value_ctx(LEAT_WITHIN(LEAT_MS(5)), &p, takes_odd, &v), -ETIMEDOUT);
    door_open(&d);
    CHECK_EQ(leat_submit_value(&p, takes_odd, &v), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    each_once(2);
}

static void takes_back(leat_task *fn, void *arg, void *user)
{
    CHECK_EQ(*(int *)user, 17);
    CHECK(fn == takes_odd || fn == takes_wide);
    (void)fn(NULL, arg);
}

TEST(an_abort_hands_each_value_back_once_and_whole)
{
    leat_pool p;
    door d = { 0 };
    int user = 17;
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 100, .value_size = 200 }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    for (int i = 0; i < 100; i += 2) {
        odd v = odd_of(i);
        REQUIRE_EQ(leat_submit_value(&p, takes_odd, &v), 0);
        REQUIRE_EQ(leat_submit_value(&p, takes_wide, (&(wide){ .n = i + 1, .rest[59] = (char)(i + 1) })), 0);
    }
    CHECK_EQ(leat_try_pool_abort(&p, takes_back, &user), -EAGAIN);
    each_once(100);
    door_open(&d);
    CHECK_EQ(leat_pool_abort(&p, takes_back, &user), 0);
    each_once(100);
}

#ifndef NO_COUNT
TEST(a_submit_with_a_value_allocates_nothing)
{
    leat_pool p;
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 8, .value_size = sizeof(odd) }), 0);
    long before = allocations;
    submit_odds(&p, 1000);
    CHECK_EQ(allocations, before);
    CHECK_EQ(leat_pool_stop(&p), 0);
}
#endif

static int ends_thread(leat_ctx *ctx, void *arg)
{
    takes_odd(ctx, arg);
    pthread_exit(NULL);
}

TEST(a_job_with_a_value_may_end_its_thread)
{
    leat_pool p;
    leat_stats st;
    begin();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 2, .value_size = sizeof(odd) }), 0);
    for (int i = 0; i < 20; i++) {
        odd v = odd_of(i);
        REQUIRE_EQ(leat_submit_value(&p, ends_thread, &v), 0);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
    each_once(20);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.failed, 20);
}
