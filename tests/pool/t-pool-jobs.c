/* t-pool-jobs.c - a job that its submitter holds: it can be waited for and cancelled, runs once or never, and both sides
 * agree which.
 * SPDX-License-Identifier: MIT */
#include "counted.h"
#include "jobs.h"

static _Atomic int ran;

static int returns(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add(&ran, 1);
    return *(int *)arg;
}

typedef struct {
    leat_job *job;
    leat_ctx *ctx;
    int result;
} wait_args;

static int waits(void *arg)
{
    wait_args *a = arg;
    return leat_job_wait_ctx(a->ctx, a->job, &a->result);
}

#define peek_job(j) peek_list(&(j)->lock_, &(j)->waiters_)

/* A pool with one worker, which stands at a door. */
static void start_held(leat_pool *p, door *d, int queue)
{
    *d = (door){ 0 };
    ran = 0;
    REQUIRE_EQ(leat_pool_start(p, NULL, &(leat_pool_opts){ .workers = 1, .queue = queue, .lanes = 2 }), 0);
    REQUIRE_EQ(leat_submit(p, at_door, d), 0);
    door_until(d, 1);
}

TEST(a_wait_gets_what_the_job_returned)
{
    leat_pool p;
    leat_stats st;
    int values[] = { 0, 7, -3, INT_MAX, INT_MIN, -ECANCELED };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    for (int i = 0; i < 6; i++) {
        leat_job j = LEAT_JOB(returns, &values[i]);
        int result = 99;
        REQUIRE_EQ(leat_submit_job(&p, &j), 0);
        CHECK_EQ(leat_job_wait(&j, &result), 0);
        CHECK_EQ(result, values[i]);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.completed + st.failed, i + 1); /* it is counted when the wait returns */
        CHECK_EQ(leat_job_wait(&j, NULL), 0);
        CHECK_EQ(leat_try_job_wait(&j, &result), 0);
        CHECK_EQ(leat_job_cancel(&j), -EALREADY);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_job_may_be_submitted_again_when_it_is_over)
{
    leat_pool p;
    int value = 5, result;
    leat_job j = LEAT_JOB(returns, &value);
    ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    for (int i = 0; i < tap_rounds(20000); i++) {
        REQUIRE_EQ(leat_submit_job(&p, &j), 0);
        if (i % 2) CHECK_EQ(leat_submit_job(&p, &j) == -EALREADY || ran > i, true);
        REQUIRE_EQ(leat_job_wait(&j, &result), 0);
        if (ran > i + 1) break; /* it was over before the second submit, which was then accepted */
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(every_waiter_gets_the_result)
{
    leat_pool p;
    door d = { 0 };
    leat_job j = LEAT_JOB(at_door, &d);
    wait_args args[4];
    side s[4];
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    for (int i = 0; i < 4; i++) {
        args[i] = (wait_args){ .job = &j, .result = 9 };
        side_start(&s[i], waits, &args[i]);
    }
    UNTIL(peek_job(&j) == 4);
    CHECK_EQ(leat_try_job_wait(&j, NULL), -EAGAIN);
    CHECK_EQ(leat_job_wait_ctx(LEAT_WITHIN(LEAT_MS(2)), &j, NULL), -ETIMEDOUT);
    door_open(&d);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(side_join(&s[i]), 0);
        CHECK_EQ(args[i].result, 0);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_cancelled_job_never_runs_and_its_waiters_learn_it)
{
    leat_pool p;
    door d;
    leat_stats st;
    int value = 1;
    leat_job j = LEAT_JOB(returns, &value), other = LEAT_JOB(returns, &value);
    wait_args args = { .job = &j };
    side s;
    start_held(&p, &d, 4);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    REQUIRE_EQ(leat_submit_job(&p, &other), 0);
    side_start(&s, waits, &args);
    UNTIL(peek_job(&j) == 1);
    CHECK_EQ(leat_job_cancel(&j), 0);
    CHECK_EQ(side_join(&s), -ECANCELED);
    CHECK_EQ(leat_job_cancel(&j), -EALREADY);
    CHECK_EQ(leat_job_wait(&j, NULL), -ECANCELED);
    CHECK_EQ(leat_try_job_wait(&j, NULL), -ECANCELED);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.queued, 1);
    CHECK_EQ(st.cancelled, 1);
    CHECK_EQ(st.submitted, 3);
    memset(&j, 0xEE, sizeof j); /* it may be freed: no worker looks at it again */
    door_open(&d);
    CHECK_EQ(leat_job_wait(&other, NULL), 0);
    CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.completed, 1); /* at_door */
    CHECK_EQ(st.failed, 1);
    CHECK_EQ(st.submitted, 3);
    CHECK_EQ(st.busy, 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 1);
}

TEST(L12_a_stop_does_not_call_a_cancelled_job_one_that_is_left)
{
    for (int others = 0; others < 2; others++) {
        leat_ctx ctx = LEAT_CTX(NULL);
        leat_pool p;
        door d = { 0 };
        int value = 1;
        leat_job j = LEAT_JOB(returns, &value);
        REQUIRE_EQ(leat_pool_start(&p, &ctx, &(leat_pool_opts){ .workers = 1, .queue = 4, .lanes = 2 }), 0);
        REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
        door_until(&d, 1);
        j.lane = 1;
        REQUIRE_EQ(leat_submit_job(&p, &j), 0);
        if (others) REQUIRE_EQ(leat_submit(&p, returns, &value), 0);
        CHECK_EQ(leat_job_cancel(&j), 0);
        leat_cancel(&ctx, 0);
        door_open(&d);
        CHECK_EQ(leat_pool_stop(&p), others ? -ECANCELED : 0);
        if (others) CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    }
}

TEST(jobs_run_in_order_whatever_was_cancelled_between_them)
{
    leat_pool p;
    door d;
    int values[8], result;
    leat_job j[8];
    start_held(&p, &d, 10);
    for (int i = 0; i < 8; i++) {
        values[i] = i;
        j[i] = (leat_job)LEAT_JOB(returns, &values[i]);
        REQUIRE_EQ(leat_submit_job(&p, &j[i]), 0);
    }
    CHECK_EQ(leat_job_cancel(&j[0]), 0);
    CHECK_EQ(leat_job_cancel(&j[7]), 0);
    CHECK_EQ(leat_job_cancel(&j[3]), 0);
    door_open(&d);
    CHECK_EQ(leat_job_wait(&j[6], &result), 0);
    CHECK_EQ(result, 6);
    CHECK_EQ(ran, 5); /* those before it have run */
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(an_abort_ends_the_jobs_that_did_not_run_and_does_not_drop_them)
{
    leat_pool p;
    door d;
    leat_stats st;
    int value = 1;
    leat_job j = LEAT_JOB(returns, &value), cancelled = LEAT_JOB(returns, &value), low = LEAT_JOB(returns, &value);
    wait_args args = { .job = &j };
    side s;
    low.lane = 1;
    start_held(&p, &d, 4);
    REQUIRE_EQ(leat_submit_job(&p, &cancelled), 0);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    REQUIRE_EQ(leat_submit_job(&p, &low), 0);
    CHECK_EQ(leat_job_cancel(&cancelled), 0);
    side_start(&s, waits, &args);
    CHECK_EQ(leat_try_pool_abort(&p, NULL, NULL), -EAGAIN);
    CHECK_EQ(side_join(&s), -ECANCELED);
    CHECK_EQ(leat_job_wait(&low, NULL), -ECANCELED);
    CHECK_EQ(leat_job_cancel(&j), -EALREADY);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.dropped, 2);
    CHECK_EQ(st.cancelled, 1);
    door_open(&d);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.submitted, 4);
    CHECK_EQ(ran, 0);
}

static int cancels_itself(leat_ctx *ctx, void *arg)
{
    leat_job *j = arg;
    (void)ctx;
    CHECK_EQ(leat_try_job_wait(j, NULL), -EAGAIN);
    CHECK_EQ(leat_job_wait(j, NULL), -EDEADLK);
    return leat_job_cancel(j);
}

TEST(a_job_that_cancels_itself_or_waits_for_itself_is_told)
{
    leat_pool p;
    leat_job j = LEAT_JOB(cancels_itself, &j);
    int result = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, NULL), 0);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    CHECK_EQ(leat_job_wait(&j, &result), 0);
    CHECK_EQ(result, -EALREADY);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

static int ends_its_thread(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    pthread_exit(NULL);
}

TEST(a_job_that_ends_its_thread_has_returned_EINTR)
{
    leat_pool p;
    leat_job j = LEAT_JOB(ends_its_thread, NULL);
    int result = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    for (int i = 0; i < 5; i++) {
        REQUIRE_EQ(leat_submit_job(&p, &j), 0);
        CHECK_EQ(leat_job_wait(&j, &result), 0);
        CHECK_EQ(result, -EINTR);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_job_that_was_not_accepted_is_nobodys)
{
    leat_pool p;
    door d;
    int value = 4, result = 0;
    leat_job j = LEAT_JOB(returns, &value), other = LEAT_JOB(returns, &value), none = LEAT_JOB(NULL, NULL);
    CHECK_EQ(leat_job_wait(&j, NULL), -EINVAL);
    CHECK_EQ(leat_try_job_wait(&j, NULL), -EINVAL);
    CHECK_EQ(leat_job_cancel(&j), -EINVAL);
    CHECK_EQ(leat_job_wait(NULL, NULL), -EINVAL);
    CHECK_EQ(leat_try_job_wait(NULL, NULL), -EINVAL);
    CHECK_EQ(leat_job_cancel(NULL), -EINVAL);
    start_held(&p, &d, 1);
    REQUIRE_EQ(leat_submit_job(&p, &other), 0);
    CHECK_EQ(leat_try_submit_job(&p, &j), -EAGAIN);
    CHECK_EQ(leat_submit_job_ctx(LEAT_WITHIN(LEAT_MS(2)), &p, &j), -ETIMEDOUT);
    CHECK_EQ(leat_submit_job(&p, &other), -EALREADY);
    CHECK_EQ(leat_submit_job(&p, NULL), -EINVAL);
    CHECK_EQ(leat_submit_job(NULL, &j), -EINVAL);
    CHECK_EQ(leat_submit_job(&p, &none), -EINVAL);
    j.lane = 2;
    CHECK_EQ(leat_submit_job(&p, &j), -EINVAL);
    j.lane = -1;
    CHECK_EQ(leat_submit_job(&p, &j), -EINVAL);
    j.lane = 0;
    CHECK_EQ(leat_job_wait(&j, NULL), -EINVAL);
    door_open(&d);
    CHECK_EQ(leat_submit_job(&p, &j), 0);
    CHECK_EQ(leat_job_wait(&j, &result), 0);
    CHECK_EQ(result, 4);
    CHECK_EQ(leat_pool_stop(&p), 0);
    result = 0;
    CHECK_EQ(leat_submit_job(&p, &j), -ESHUTDOWN);
    CHECK_EQ(leat_job_wait(&j, &result), 0); /* a job that is refused keeps what it returned before */
    CHECK_EQ(result, 4);
}

TEST(a_context_that_was_cancelled_first_wins)
{
    leat_pool p;
    leat_ctx ctx = LEAT_CTX(NULL);
    int value = 0;
    leat_job j = LEAT_JOB(returns, &value);
    REQUIRE_EQ(leat_pool_start(&p, NULL, NULL), 0);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    CHECK_EQ(leat_job_wait(&j, NULL), 0);
    leat_cancel(&ctx, 0);
    CHECK_EQ(leat_job_wait_ctx(&ctx, &j, NULL), -ECANCELED);
    CHECK_EQ(leat_pool_wait_ctx(&ctx, &p), -ECANCELED);
    CHECK_EQ(leat_submit_job_ctx(&ctx, &p, &j), -ECANCELED);
    CHECK_EQ(leat_submit_lane_ctx(&ctx, &p, 0, returns, &value), -ECANCELED);
    CHECK_EQ(leat_submit_value_ctx(&ctx, &p, returns, &value), -E2BIG);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

#ifndef NO_COUNT
TEST(a_job_that_is_held_allocates_nothing)
{
    leat_pool p;
    int value = 0;
    leat_job j = LEAT_JOB(returns, &value);
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    long before = allocations;
    for (int i = 0; i < 1000; i++) {
        REQUIRE_EQ(leat_submit_job(&p, &j), 0);
        if (i % 2) (void)leat_job_cancel(&j);
        (void)leat_job_wait(&j, NULL);
    }
    CHECK_EQ(allocations, before);
    CHECK_EQ(leat_pool_stop(&p), 0);
}
#endif

/* ==== Races: cancel against start, wait against both, abort against all ========================= */

typedef struct {
    leat_pool *pool;
    _Atomic int cancelled, over, never;
    int rounds;
} race;

static int counts_one(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

/* Jobs on the stack, which is overwritten as soon as the job is over. */
static void submits_and_cancels(int i, void *arg)
{
    race *r = arg;
    uint64_t rng = tap_seed(i);
    for (int n = 0; n < r->rounds; n++) {
        _Atomic int runs = 0;
        leat_job j = LEAT_JOB(counts_one, (void *)&runs);
        j.lane = tap_below(&rng, 2);
        int err = tap_below(&rng, 2) ? leat_submit_job(r->pool, &j) : leat_try_submit_job(r->pool, &j);
        if (err) {
            CHECK(err == -EAGAIN || err == -ESHUTDOWN || err == -ECANCELED);
            continue;
        }
        bool gone = tap_below(&rng, 3) && leat_job_cancel(&j) == 0;
        int waited = gone ? -ECANCELED : leat_job_wait(&j, NULL);
        if (gone) atomic_fetch_add(&r->cancelled, 1);
        else if (waited) atomic_fetch_add(&r->never, 1);
        else atomic_fetch_add(&r->over, 1);
        CHECK_EQ(runs, waited == 0);
        memset(&j, 0xEE, sizeof j);
    }
}

TEST(L13_a_job_runs_once_or_never_and_the_caller_knows_which)
{
    for (int kind = 0; kind < 2; kind++) {
        leat_pool p;
        leat_stats st;
        race r = { .pool = &p, .rounds = tap_rounds(10000) };
        REQUIRE_EQ(
            leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = kind ? LEAT_NO_QUEUE : 3, .lanes = 2 }), 0);
        tap_threads(3, submits_and_cancels, &r);
        CHECK_EQ(leat_pool_wait(&p), 0);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.completed, r.over);
        CHECK_EQ(st.cancelled, r.cancelled);
        CHECK_EQ(st.submitted, st.completed + st.cancelled);
        CHECK_EQ(st.queued + st.busy + st.failed + st.dropped, 0);
        CHECK_EQ(leat_pool_stop(&p), 0);
        CHECK_EQ(r.never, 0);
    }
}

static int aborts(void *arg)
{
    race *r = arg;
    UNTIL(r->over + r->cancelled >= 20);
    return leat_pool_abort(r->pool, NULL, NULL);
}

TEST(an_abort_in_the_middle_of_it_ends_every_job)
{
    for (int i = 0; i < tap_rounds(300); i++) {
        leat_pool p;
        leat_stats st;
        race r = { .pool = &p, .rounds = 200 };
        side s;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 3, .lanes = 2 }), 0);
        side_start(&s, aborts, &r);
        tap_threads(2, submits_and_cancels, &r);
        CHECK_EQ(side_join(&s), 0);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.completed, r.over);
        CHECK_EQ(st.cancelled, r.cancelled);
        CHECK_EQ(st.dropped, r.never);
    }
}

typedef struct {
    _Atomic(leat_job *) job; /* the present one, for the thread that cancels */
    _Atomic int round;
} target;

static int cancels(void *arg)
{
    target *t = arg;
    int got = 0;
    for (int i = 1;; i++) {
        int now;
        UNTIL((now = atomic_load(&t->round)) >= i || now < 0);
        if (now < 0) return got;
        got += leat_job_cancel(atomic_load(&t->job)) == 0;
        atomic_store(&t->round, -i - 1000000);
        UNTIL(atomic_load(&t->round) != -i - 1000000);
        if (atomic_load(&t->round) == INT_MIN) return got;
    }
}

TEST(a_cancel_by_another_thread_races_with_the_start)
{
    leat_pool p;
    target t = { .round = 0 };
    side s;
    int never = 0, rounds = tap_rounds(20000);
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    side_start(&s, cancels, &t);
    for (int i = 1; i <= rounds; i++) {
        _Atomic int runs = 0;
        leat_job j = LEAT_JOB(counts_one, (void *)&runs);
        REQUIRE_EQ(leat_submit_job(&p, &j), 0);
        atomic_store(&t.job, &j);
        atomic_store(&t.round, i);
        int err = leat_job_wait(&j, NULL);
        CHECK_EQ(runs, err == 0);
        never += err != 0;
        UNTIL(atomic_load(&t.round) == -i - 1000000); /* the cancel is over, too */
        if (i == rounds) atomic_store(&t.round, INT_MIN);
        else atomic_store(&t.round, 0);
    }
    CHECK_EQ(side_join(&s), never);
    CHECK_EQ(leat_pool_stop(&p), 0);
}
