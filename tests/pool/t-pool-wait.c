/* t-pool-wait.c - leat_pool_wait returns when every accepted job has returned, not before, and not later.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

static _Atomic int ran;

static int wait_for(void *arg)
{
    return leat_pool_wait(arg);
}

static void until_waiting(leat_pool *p, int n)
{
    UNTIL(peek_list(&p->threads_.lock_, &p->idlers_) == n);
}

TEST(it_returns_at_once_if_there_is_no_job)
{
    leat_pool p;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(leat_try_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(it_waits_for_the_last_job_and_the_pool_goes_on)
{
    leat_pool p;
    door d = { 0 };
    side w;
    ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 100 }), 0);
    for (int round = 0; round < 3; round++) {
        d = (door){ 0 };
        REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
        for (int i = 0; i < 50; i++) REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0);
        door_until(&d, 1);
        side_start(&w, wait_for, &p);
        until_waiting(&p, 1);
        UNTIL(ran == 50 * (round + 1));
        CHECK_EQ(leat_try_pool_wait(&p), -EAGAIN);
        CHECK_EQ(leat_pool_wait_ctx(LEAT_WITHIN(LEAT_MS(2)), &p), -ETIMEDOUT);
        CHECK_EQ(peek_list(&p.threads_.lock_, &p.idlers_), 1); /* the other still waits, as a job runs */
        door_open(&d);
        CHECK_EQ(side_join(&w), 0);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
}

typedef struct {
    leat_pool *pool;
    int depth;
    leat_call_ unused;
} tree;

static tree nodes[64];
static _Atomic int used;

static int grows(leat_ctx *ctx, void *arg)
{
    tree *t = arg;
    (void)ctx;
    for (int i = 0; i < 2 && t->depth; i++) {
        tree *child = &nodes[atomic_fetch_add(&used, 1)];
        *child = (tree){ .pool = t->pool, .depth = t->depth - 1 };
        REQUIRE_EQ(leat_submit(t->pool, grows, child), 0);
    }
    atomic_fetch_add(&ran, 1);
    return 0;
}

TEST(jobs_that_jobs_submit_count)
{
    leat_pool p;
    int rounds = tap_rounds(2000), bad = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 64 }), 0);
    for (int i = 0; i < rounds; i++) {
        ran = 0;
        used = 1;
        nodes[0] = (tree){ .pool = &p, .depth = 4 };
        REQUIRE_EQ(leat_submit(&p, grows, &nodes[0]), 0);
        CHECK_EQ(leat_pool_wait(&p), 0);
        bad += ran != 31;
    }
    CHECK_EQ(bad, 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

static int waits_itself(leat_ctx *ctx, void *arg)
{
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, 0);
    (void)ctx;
    CHECK_EQ(leat_pool_wait_ctx(&soon, arg), -ETIMEDOUT);
    CHECK_EQ(leat_try_pool_wait(arg), -EAGAIN);
    return leat_pool_wait(arg);
}

TEST(a_job_that_waits_for_its_own_pool_is_told)
{
    leat_pool p;
    leat_job j = LEAT_JOB(waits_itself, &p);
    int result = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    CHECK_EQ(leat_job_wait(&j, &result), 0);
    CHECK_EQ(result, -EDEADLK);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(what_cannot_be_is_refused)
{
    static leat_pool p;
    CHECK_EQ(leat_pool_wait(&p), -EINVAL);
    CHECK_EQ(leat_try_pool_wait(&p), -EINVAL);
    CHECK_EQ(leat_pool_wait(NULL), -EINVAL);
    CHECK_EQ(leat_try_pool_wait(NULL), -EINVAL);
    REQUIRE_EQ(leat_pool_start(&p, NULL, NULL), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_pool_wait(&p), -ESHUTDOWN);
    CHECK_EQ(leat_try_pool_wait(&p), -ESHUTDOWN);
}

TEST(a_stop_that_begins_meanwhile_lets_it_return_when_the_jobs_have)
{
    leat_pool p;
    door d = { 0 };
    side w, stop;
    ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 10 }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    for (int i = 0; i < 10; i++) REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0);
    side_start(&w, wait_for, &p);
    until_waiting(&p, 1);
    side_start(&stop, (int (*)(void *))leat_pool_stop, &p);
    UNTIL(leat_submit(&p, counts, (void *)&ran) == -ESHUTDOWN);
    door_open(&d);
    CHECK_EQ(side_join(&w), 0);
    CHECK(ran >= 10);
    CHECK_EQ(side_join(&stop), 0);
}

TEST(the_end_of_the_pools_context_and_an_abort_end_it)
{
    leat_pool p;
    leat_ctx ctx = LEAT_CTX(NULL);
    door d = { 0 };
    side w;
    ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, &ctx, &(leat_pool_opts){ .workers = 1, .queue = 10 }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0);
    side_start(&w, wait_for, &p);
    until_waiting(&p, 1);
    leat_cancel(&ctx, 0);
    CHECK_EQ(side_join(&w), -ECANCELED);
    CHECK_EQ(leat_pool_wait(&p), -ECANCELED);
    door_open(&d);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    CHECK_EQ(ran, 0);
}

TEST(a_cancelled_job_and_one_that_ends_its_thread_count_as_returned)
{
    leat_pool p;
    door d = { 0 };
    side w;
    leat_job j = LEAT_JOB(counts, (void *)&ran);
    ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 10 }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    CHECK_EQ(leat_job_cancel(&j), 0);
    side_start(&w, wait_for, &p);
    until_waiting(&p, 1);
    door_open(&d);
    CHECK_EQ(side_join(&w), 0);
    CHECK_EQ(ran, 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

static _Atomic int finis;

static void ends_the_first(void *user, int id)
{
    (void)user, (void)id;
    if (atomic_fetch_add(&finis, 1) == 0) pthread_exit(NULL);
}

TEST(L14_a_fini_hook_that_ends_its_thread_is_no_job)
{
    leat_pool p;
    leat_stats st;
    door d = { 0 };
    finis = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .worker_fini = ends_the_first }), 0);
    REQUIRE_EQ(leat_pool_resize(&p, 1), 0);
    UNTIL(atomic_load(&p.running_.word_) / 2 == 1); /* one worker is gone */
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    CHECK_EQ(leat_try_pool_wait(&p), -EAGAIN);
    door_open(&d);
    CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.failed, 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(finis, 2); /* one for each worker */
}

static void ends_each(void *user, int id)
{
    (void)user, (void)id;
    atomic_fetch_add(&finis, 1);
    pthread_exit(NULL);
}

TEST(fini_hooks_that_end_their_threads_end_with_the_pool)
{
    leat_pool p;
    ran = finis = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .worker_fini = ends_each }), 0);
    for (int i = 0; i < 10; i++) REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 10);
    CHECK_EQ(finis, 3);
}

TEST(under_a_done_context_a_cancelled_job_is_not_one_that_is_left)
{
    leat_pool p;
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_job j = LEAT_JOB(counts, (void *)&ran), left = LEAT_JOB(counts, (void *)&ran);
    door d = { 0 };
    ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, &ctx, &(leat_pool_opts){ .workers = 1, .queue = 10 }), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    REQUIRE_EQ(leat_submit_job(&p, &left), 0);
    CHECK_EQ(leat_job_cancel(&j), 0);
    leat_cancel(&ctx, 1);
    door_open(&d);
    UNTIL(atomic_load(&p.running_.word_) / 2 == 0); /* the worker has exited, and takes no more */
    CHECK_EQ(leat_try_pool_wait(&p), -EAGAIN);
    CHECK_EQ(leat_pool_wait(&p), -ECANCELED);
    CHECK_EQ(leat_job_cancel(&left), 0);
    CHECK_EQ(leat_try_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 0);
}

/* ==== Races: the last of them to come must see that all is over ================================ */

static int tries(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return leat_try_submit(arg, counts, (void *)&ran) == -EINVAL;
}

static int hammers(void *arg)
{
    for (int i = 0; i < tap_rounds(20000); i++)
        if (leat_try_submit(arg, tries, arg) == -EINVAL) return 1;
    return 0;
}

TEST(submits_that_are_refused_do_not_keep_it_waiting)
{
    leat_pool p;
    side a, b;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 1 }), 0);
    side_start(&a, hammers, &p);
    side_start(&b, hammers, &p);
    for (int i = 0; i < tap_rounds(5000); i++) CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(side_join(&a), 0);
    CHECK_EQ(side_join(&b), 0);
    CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(rounds_of_jobs_with_any_number_of_waiters_without_a_queue_and_with_lanes)
{
    for (int kind = 0; kind < 3; kind++) {
        leat_pool_opts opts = { .workers = 2, .queue = kind == 1 ? LEAT_NO_QUEUE : 4, .lanes = kind == 2 ? 3 : 1 };
        leat_pool p;
        int bad = 0;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &opts), 0);
        for (int i = 0; i < tap_rounds(3000); i++) {
            side w[2];
            ran = 0;
            for (int k = 0; k < 5; k++) REQUIRE_EQ(leat_submit_lane(&p, kind == 2 ? k % 3 : 0, counts, (void *)&ran), 0);
            for (int k = 0; k < 2 && i % 100 == 0; k++) side_start(&w[k], wait_for, &p);
            CHECK_EQ(leat_pool_wait(&p), 0);
            bad += ran != 5;
            for (int k = 0; k < 2 && i % 100 == 0; k++) CHECK_EQ(side_join(&w[k]), 0);
        }
        CHECK_EQ(bad, 0);
        CHECK_EQ(leat_pool_stop(&p), 0);
    }
}
