// throws.cc - an exception that leaves a task ends the task. Exits with 1, and says which line failed.
// SPDX-License-Identifier: MIT
#include "pool.h"
#include <stdexcept>
#include <stdio.h>
#include <string>

#define REQUIRE(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), exit(1)))

static int throws(leat_ctx *, void *) { throw std::runtime_error("seven"); }
static int waits(leat_ctx *ctx, void *) { return leat_sleep_ctx(ctx, LEAT_FOREVER - leat_now()) == -ECANCELED ? 0 : 1; }
static int fails(leat_ctx *, void *) { return -7; }

static bool unwound;
struct guard {
    ~guard() { unwound = true; }
};
static int exits(leat_ctx *, void *)
{
    guard g;
    pthread_exit(NULL);
}
static int is_cancelled(leat_ctx *, void *)
{
    guard g;
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return 0;
}

static bool rethrows(leat_group *g)
{
    try {
        leat_group_rethrow(g);
    } catch (const std::exception &e) {
        return std::string(e.what()) == "seven";
    }
    return false;
}

static void a_stage_that_throws_cancels_the_whole()
{
    leat_group whole = LEAT_GROUP(NULL), stage = LEAT_GROUP(NULL);
    REQUIRE(!leat_group_within(&stage, &whole) && !leat_go(&whole, waits, NULL) && !leat_go(&stage, throws, NULL));
    REQUIRE(leat_wait(&whole) == -EFAULT && leat_group_errors(&whole) == 1 && leat_ctx_cause(leat_group_ctx(&whole)) == -EFAULT);
    REQUIRE(rethrows(&whole) && !rethrows(&whole) && rethrows(&stage));
}

static void many_that_throw_leave_one_exception()
{
    leat_group g = LEAT_GROUP(NULL);
    REQUIRE(!leat_go_n(&g, 8, throws, NULL) || leat_ctx_err(leat_group_ctx(&g)));
    REQUIRE(leat_wait(&g) == -EFAULT && rethrows(&g) && !rethrows(&g));
    leat_group plain = LEAT_GROUP(NULL);
    REQUIRE(!leat_go(&plain, fails, NULL) && leat_wait(&plain) == -7 && !rethrows(&plain));
}

static void the_end_of_a_thread_is_no_exception()
{
    leat_task *ends[] = { exits, is_cancelled };
    for (leat_task *end : ends) {
        leat_group g = LEAT_GROUP(NULL);
        unwound = false;
        REQUIRE(!leat_go(&g, end, NULL) && leat_wait(&g) == -EINTR && unwound && !rethrows(&g));
    }
}

static void a_job_that_throws_has_failed()
{
    leat_pool p;
    leat_stats s;
    leat_pool_opts opts = leat_pool_opts();
    opts.workers = 2;
    leat_job j = LEAT_JOB(throws, NULL);
    int result = 0;
    REQUIRE(!leat_pool_start(&p, NULL, &opts) && !leat_submit(&p, throws, NULL) && !leat_submit_job(&p, &j));
    REQUIRE(!leat_job_wait(&j, &result) && result == -EFAULT && !leat_submit(&p, exits, NULL) && !leat_submit(&p, throws, &p));
    REQUIRE(!leat_pool_wait(&p) && !leat_pool_stats(&p, &s) && s.failed == 4 && s.workers == 2 && !leat_pool_stop(&p));
}

int main()
{
    a_stage_that_throws_cancels_the_whole();
    many_that_throw_leave_one_exception();
    the_end_of_a_thread_is_no_exception();
    a_job_that_throws_has_failed();
    return 0;
}
