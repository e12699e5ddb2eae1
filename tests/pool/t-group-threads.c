/* t-group-threads.c - a group spawns few threads, reports it when it can spawn none, and survives a task that ends
 * its thread.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

static _Atomic int made, fail_at, fail_always; /* threads asked for. fail_at: the one that fails, 1 is the first */

static bool refused(void)
{
    int n = atomic_fetch_add(&made, 1) + 1;
    return n == fail_at || (fail_always && n >= fail_always);
}

static _Atomic int joined;

static inline int slow_join(pthread_t t, void **result)
{
    for (int i = 0; i < 50; i++) sched_yield();
    pthread_testcancel(); /* as pthread_join does when it has to wait */
    int err = pthread_join(t, result);
    atomic_fetch_add(&joined, 1);
    return err;
}

#include "peek.h"

/* For the group, not for the tests. */
TAP_FAKE_THREADS(refused)
#define pthread_create fake_create
#define pthread_join slow_join
#define LEAT_OS_BEGIN_ TAP_FAKE_BEGIN_SYMBOL
#include "pool.h"
#undef pthread_create
#undef pthread_join
#include "jobs.h"

static void fake_nothing(void)
{
    made = joined = fail_at = fail_always = 0;
}

static int nothing(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return 0;
}

/* ==== Few threads ============================================================================= */

TEST(a_hundred_thousand_tasks_with_limit_4_make_no_more_than_4_threads)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    int n = tap_rounds(100000);
    fake_nothing();
    CHECK_EQ(leat_group_limit(&g, 4), 0);
    for (int i = 0; i < n; i++) REQUIRE_EQ(leat_go(&g, counts, (void *)&ran), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, n);
    CHECK(made <= 4);
}

TEST(without_a_limit_an_idle_thread_is_taken_before_one_is_made)
{
    leat_group g = LEAT_GROUP(NULL);
    fake_nothing();
    for (int i = 0; i < 100; i++) {
        REQUIRE_EQ(leat_go(&g, nothing, NULL), 0);
        UNTIL(leat_sem_available(&g.idle_) == 1);
    }
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(made, 1);
}

TEST(no_thread_is_made_without_a_task)
{
    leat_group g = LEAT_GROUP(NULL);
    fake_nothing();
    CHECK_EQ(leat_go_n(&g, 0, nothing, NULL), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(made, 0);
}

static int waits(void *g)
{
    int err = leat_wait(g);
    return err ? err : joined;
}

TEST(L1_after_a_wait_all_threads_are_joined)
{
#if defined _WIN32
    SKIP("no join of the system's is seen");
#endif
    for (int k = 0; k < tap_rounds(100); k++) {
        leat_group g = LEAT_GROUP(NULL);
        side other;
        fake_nothing();
        REQUIRE_EQ(leat_go_n(&g, 4, nothing, NULL), 0);
        side_start(&other, waits, &g);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE_EQ(joined, made);
        REQUIRE_EQ(side_join(&other), made);
    }
}

/* ==== No threads ============================================================================== */

TEST(a_caller_is_told_that_no_thread_could_be_made_and_nothing_is_lost)
{
    for (int at = 1; at <= 5; at++) {
        leat_group g = LEAT_GROUP(NULL);
        door d = { 0 };
        int ok = 0;
        fake_nothing();
        fail_at = at;
        for (int i = 0; i < 5; i++) {
            int err = leat_go(&g, at_door, &d);
            CHECK_EQ(err, i == at - 1 ? -EAGAIN : 0);
            ok += !err;
        }
        CHECK_EQ(ok, 4);
        door_until(&d, 4);
        door_open(&d);
        CHECK_EQ(leat_wait(&g), 0); /* it is not the tasks' error */
        CHECK_EQ(d.at_it, 4);
    }
}

TEST(of_many_at_once_those_before_the_failure_run_and_the_results_end_after_them)
{
    for (int at = 1; at <= 6; at++) {
        leat_group g = LEAT_GROUP(NULL);
        LEAT_CHAN(int) results;
        door d = { 0 };
        int none;
        fake_nothing();
        fail_at = at;
        REQUIRE_EQ(leat_make(&results, 1), 0);
        CHECK_EQ(leat_go_n(&g, 6, at_door, &d), -EAGAIN);
        CHECK_EQ(leat_group_closes(&g, &results), 0);
        door_until(&d, at - 1);
        CHECK(at == 1 || !leat_is_closed(&results));
        door_open(&d);
        CHECK_EQ(leat_recv(&results, &none), -EPIPE);
        CHECK_EQ(leat_wait(&g), 0);
        CHECK_EQ(d.at_it, at - 1);
        leat_free(&results);
    }
}

TEST(L4_a_failure_at_the_limit_gives_the_place_and_the_shared_permit_back)
{
    leat_group g = LEAT_GROUP(NULL);
    leat_sem s = LEAT_SEM(2);
    _Atomic int ran = 0;
    fake_nothing();
    fail_at = 1;
    CHECK_EQ(leat_group_limit(&g, 1), 0);
    CHECK_EQ(leat_group_share(&g, &s), 0);
    CHECK_EQ(leat_go(&g, counts, (void *)&ran), -EAGAIN);
    CHECK_EQ(leat_sem_available(&s), 2);
    CHECK_EQ(leat_go(&g, counts, (void *)&ran), 0);
    CHECK_EQ(leat_go(&g, counts, (void *)&ran), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, 2);
    CHECK_EQ(made, 2);
    CHECK_EQ(leat_sem_available(&s), 2);
}

TEST(L4_with_one_thread_and_no_more_to_be_had_all_tasks_run_on_it)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    fake_nothing();
    fail_always = 2;
    CHECK_EQ(leat_group_limit(&g, 1), 0);
    for (int i = 0; i < 50; i++) CHECK_EQ(leat_go(&g, counts, (void *)&ran), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, 50);
}

/* ==== A task that ends its thread ============================================================= */

static int exits(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    if (arg) door_pass(arg);
    pthread_exit(NULL);
}

TEST(a_task_that_ends_its_thread_has_failed_and_no_call_hangs)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        leat_group g = LEAT_GROUP(NULL);
        fake_nothing();
        REQUIRE_EQ(leat_go(&g, exits, NULL), 0);
        REQUIRE_EQ(leat_wait(&g), -EINTR);
        REQUIRE_EQ(leat_group_errors(&g), 1);
        REQUIRE_EQ(leat_ctx_cause(leat_group_ctx(&g)), -EINTR);
    }
}

TEST(all_tasks_may_end_their_threads_at_once)
{
    leat_group g = LEAT_GROUP(NULL);
    LEAT_CHAN(int) results;
    door d = { 0 };
    int none;
    fake_nothing();
    REQUIRE_EQ(leat_make(&results, 1), 0);
    CHECK_EQ(leat_group_closes(&g, &results), 0);
    CHECK_EQ(leat_go_n(&g, 8, exits, &d), 0);
    door_until(&d, 8);
    door_open(&d);
    CHECK_EQ(leat_recv(&results, &none), -EPIPE);
    CHECK_EQ(leat_wait(&g), -EINTR);
    CHECK_EQ(leat_group_errors(&g), 8);
    leat_free(&results);
}

static int go_after(void *arg)
{
    return leat_go(arg, nothing, NULL);
}

TEST(a_go_that_waits_at_the_limit_for_a_task_that_ends_its_thread_returns)
{
    for (int k = 0; k < tap_rounds(100); k++) {
        leat_group g = LEAT_GROUP(NULL);
        door d = { 0 };
        side waiter;
        fake_nothing();
        REQUIRE_EQ(leat_group_limit(&g, 1), 0);
        REQUIRE_EQ(leat_go(&g, exits, &d), 0);
        side_start(&waiter, go_after, &g);
        UNTIL(peek_sem(&g.idle_) == 1);
        door_open(&d);
        int err = side_join(&waiter);
        REQUIRE(err == 0 || err == -ECANCELED);
        REQUIRE_EQ(leat_wait(&g), -EINTR);
    }
}

TEST(if_a_task_ends_its_thread_when_no_other_can_be_made_no_call_hangs)
{
    leat_group g = LEAT_GROUP(NULL);
    leat_sem s = LEAT_SEM(4);
    door d = { 0 };
    fake_nothing();
    CHECK_EQ(leat_group_share(&g, &s), 0);
    CHECK_EQ(leat_go_n(&g, 3, exits, &d), 0);
    fail_always = 1;
    door_until(&d, 3);
    door_open(&d);
    CHECK_EQ(leat_wait(&g), -EINTR);
    CHECK_EQ(leat_group_errors(&g), 3);
    CHECK_EQ(leat_sem_available(&s), 4);
}

static pthread_t cancelled;
static int is_cancelled(leat_ctx *ctx, void *arg)
{
    cancelled = pthread_self();
    door_pass(arg);
    while (ctx) pthread_testcancel();
    return 0;
}

TEST(a_task_whose_thread_is_cancelled_has_failed_and_no_call_hangs)
{
#if defined _WIN32
    SKIP("no thread of the headers can be cancelled");
#endif
    leat_group g = LEAT_GROUP(NULL);
    door d = { 0 };
    fake_nothing();
    CHECK_EQ(leat_go(&g, is_cancelled, &d), 0);
    door_until(&d, 1);
    CHECK_EQ(pthread_cancel(cancelled), 0);
    door_open(&d);
    CHECK_EQ(leat_wait(&g), -EINTR);
    CHECK_EQ(leat_group_errors(&g), 1);
}

static int waits_cancelled(void *g)
{
    pthread_cancel(pthread_self());
    int err = leat_wait(g);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* it is enough that it got here */
    return err;
}

TEST(L1_a_cancelled_thread_joins_all_others_before_it_ends)
{
#if defined _WIN32
    SKIP("no join of the system's is seen");
#endif
    leat_group g = LEAT_GROUP(NULL);
    side waiter;
    fake_nothing();
    CHECK_EQ(leat_go_n(&g, 4, nothing, NULL), 0);
    side_start(&waiter, waits_cancelled, &g);
    CHECK_EQ(side_join(&waiter), 0);
    CHECK_EQ(joined, made);
}
