// throws.cc - an exception that leaves a task ends the task. Exits with 1, and says which line failed.
// SPDX-License-Identifier: MIT
#include "pool.h"
#include <atomic>
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

/* An exception that counts itself, and that nobody may copy. */
static std::atomic<int> alive, caught;
struct counted {
    explicit counted(int i) : n(i) { alive++; }
    counted(const counted &o) : n(o.n) { throw std::runtime_error("copied"); }
    counted(counted &&o) : n(o.n) { alive++; }
    ~counted() { alive--; }
    int n;
};
static int throws_it(leat_ctx *, void *n) { throw counted(*static_cast<int *>(n)); }
static int throws_when_cancelled(leat_ctx *ctx, void *n) { return leat_sleep_ctx(ctx, LEAT_S(600)), throws_it(ctx, n); }
static int throws_in_a_catch(leat_ctx *ctx, void *n)
{
    try {
        throw counted(99);
    } catch (...) {
        return throws_it(ctx, n);
    }
}
static int exits_in_a_catch(leat_ctx *, void *)
{
    try {
        throw counted(99);
    } catch (...) {
        pthread_exit(NULL);
    }
    return 0;
}
static int rethrows_of(leat_ctx *, void *g)
{
    try {
        leat_group_rethrow(static_cast<leat_group *>(g));
    } catch (const counted &c) {
        caught += c.n;
    }
    return 0;
}
static int passes_on(leat_ctx *, void *g) { return leat_group_rethrow(static_cast<leat_group *>(g)), 0; }

static void one_thread_of_many_gets_it_and_it_dies_once()
{
    int seven = 7, nine = 9;
    leat_group all = LEAT_GROUP(NULL), middle = LEAT_GROUP(NULL), inner = LEAT_GROUP(NULL), asks = LEAT_GROUP(NULL);
    REQUIRE(!leat_group_within(&middle, &all) && !leat_group_within(&inner, &middle));
    REQUIRE(!leat_go(&all, throws_when_cancelled, &nine) && !leat_go(&inner, throws_in_a_catch, &seven));
    REQUIRE(leat_wait(&all) == -EFAULT && leat_group_errors(&all) == 2 && leat_group_errors(&inner) == 1);
    REQUIRE(!leat_go_n(&asks, 8, rethrows_of, &inner) && !leat_wait(&asks) && caught == 7);
    leat_group later = LEAT_GROUP(NULL); /* a task may throw it on */
    REQUIRE(!leat_go(&later, passes_on, &all) && leat_wait(&later) == -EFAULT && alive == 1);
    rethrows_of(NULL, &later);
    rethrows_of(NULL, &middle);
    REQUIRE(caught == 21 && alive == 0);
}

static void jobs_of_every_kind_may_throw()
{
    leat_pool p;
    leat_stats s;
    leat_pool_opts opts = leat_pool_opts();
    opts.workers = 2, opts.lanes = 3, opts.value_size = sizeof(int);
    int seven = 7, result = 0;
    REQUIRE(!leat_pool_start(&p, NULL, &opts));
    for (int i = 0; i < 30; i++) {
        REQUIRE(!leat_submit_lane(&p, i % 3, throws_it, &seven) && !leat_submit_value(&p, throws_in_a_catch, &seven));
        leat_job j = LEAT_JOB(i % 10 ? throws_it : exits_in_a_catch, &seven);
        REQUIRE(!leat_submit_job(&p, &j) && !leat_job_wait(&j, &result) && result == (i % 10 ? -EFAULT : -EINTR));
    }
    REQUIRE(!leat_pool_wait(&p) && !leat_pool_stats(&p, &s) && s.failed == 90 && s.workers == 2 && !leat_pool_stop(&p));
    REQUIRE(alive == 0);
}

static std::atomic<int> farewells;
struct farewell { /* of a thread: its destructor calls leat */
    LEAT_CHAN(int) *to;
    ~farewell()
    {
        if (to) farewells += !leat_send(to, 1);
    }
};
static thread_local farewell of_thread;
static int says_farewell(leat_ctx *, void *to)
{
    of_thread.to = static_cast<LEAT_CHAN(int) *>(to);
    return 0;
}
static void what_a_thread_has_is_destroyed_before_the_wait_returns()
{
    LEAT_CHAN(int) c;
    leat_group g = LEAT_GROUP(NULL);
    REQUIRE(!leat_make(&c, 1) && !leat_go(&g, says_farewell, &c) && !leat_wait(&g) && farewells == 1 && leat_len(&c) == 1);
    leat_free(&c);
}

int main()
{
    a_stage_that_throws_cancels_the_whole();
    many_that_throw_leave_one_exception();
    the_end_of_a_thread_is_no_exception();
    a_job_that_throws_has_failed();
    one_thread_of_many_gets_it_and_it_dies_once();
    jobs_of_every_kind_may_throw();
    what_a_thread_has_is_destroyed_before_the_wait_returns();
    return 0;
}
