/* t-pool-lanes.c - lanes of a pool: the first before the others, none starved. And pools without a queue.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

static int order[1000];
static _Atomic int ran;

static int notes(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    order[atomic_fetch_add(&ran, 1)] = *(int *)arg;
    return 0;
}

static int lane_no[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static void start_held(leat_pool *p, door *d, leat_pool_opts opts)
{
    *d = (door){ 0 };
    ran = 0;
    opts.workers = 1;
    REQUIRE_EQ(leat_pool_start(p, NULL, &opts), 0);
    REQUIRE_EQ(leat_submit(p, at_door, d), 0);
    door_until(d, 1);
}

TEST(a_worker_takes_from_the_first_lane_that_has_a_job)
{
    leat_pool p;
    door d;
    start_held(&p, &d, (leat_pool_opts){ .queue = 10, .lanes = 3 });
    for (int i = 0; i < 2; i++)
        for (int lane = 2; lane >= 0; lane--) REQUIRE_EQ(leat_submit_lane(&p, lane, notes, &lane_no[lane]), 0);
    door_open(&d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    const int right[] = { 0, 0, 1, 1, 2, 2 };
    CHECK_EQ(ran, 6);
    CHECK(memcmp(order, right, sizeof right) == 0);
}

TEST(no_lane_is_starved_of_each_8_times_n_less_1_jobs_one_is_its)
{
    for (int lanes = 2; lanes <= LEAT_LANES; lanes++) {
        leat_pool p;
        door d;
        int each = 1000 / lanes;
        start_held(&p, &d, (leat_pool_opts){ .queue = each, .lanes = lanes });
        for (int lane = 0; lane < lanes; lane++)
            for (int i = 0; i < each; i++) REQUIRE_EQ(leat_submit_lane(&p, lane, notes, &lane_no[lane]), 0);
        door_open(&d);
        CHECK_EQ(leat_pool_stop(&p), 0);
        CHECK_EQ(ran, each * lanes);
        for (int lane = 0; lane < lanes; lane++) {
            int longest = 0, now = 0, got = 0;
            for (int i = 0; i < ran && got < each; i++) {
                now = order[i] == lane ? 0 : now + 1;
                got += order[i] == lane;
                if (now > longest) longest = now;
            }
            CHECK(longest < 8 * (lanes - 1) || lane == 0);
            CHECK(lane != 0 || longest <= 1); /* the first lane waits for one job in eight */
        }
    }
}

TEST(each_lane_has_a_queue_of_its_own)
{
    leat_pool p;
    door d;
    leat_stats st;
    start_held(&p, &d, (leat_pool_opts){ .queue = 2, .lanes = 2 });
    for (int i = 0; i < 2; i++) REQUIRE_EQ(leat_submit_lane(&p, 0, notes, &lane_no[0]), 0);
    CHECK_EQ(leat_try_submit(&p, notes, &lane_no[0]), -EAGAIN);
    CHECK_EQ(leat_try_submit_lane(&p, 1, notes, &lane_no[1]), 0);
    CHECK_EQ(leat_submit_lane_ctx(LEAT_WITHIN(LEAT_MS(2)), &p, 0, notes, &lane_no[0]), -ETIMEDOUT);
    CHECK_EQ(leat_submit_lane(&p, 2, notes, &lane_no[0]), -EINVAL);
    CHECK_EQ(leat_try_submit_lane(&p, -1, notes, &lane_no[0]), -EINVAL);
    CHECK_EQ(leat_submit_lane(&p, 1, NULL, NULL), -EINVAL);
    CHECK_EQ(leat_submit_lane(NULL, 0, notes, NULL), -EINVAL);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.lanes, 2);
    CHECK_EQ(st.queued, 3);
    CHECK_EQ(st.queue_cap, 4);
    CHECK_EQ(st.lane[0].queued, 2);
    CHECK_EQ(st.lane[0].queue_high, 2);
    CHECK_EQ(st.lane[1].queued, 1);
    CHECK_EQ(st.lane[1].queue_high, 1);
    CHECK_EQ(st.lane[1].queue_cap, 2);
    door_open(&d);
    CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.lane[0].taken, 3);
    CHECK_EQ(st.lane[1].taken, 1);
    CHECK(st.lane[0].timed >= 1 && st.lane[1].timed == 1);
    CHECK(st.wait_most >= st.wait_mean && st.wait_mean >= 0 && st.timed == st.lane[0].timed + st.lane[1].timed);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_submit_lane(&p, 1, notes, NULL), -ESHUTDOWN);
}

TEST(a_timed_job_has_waited_as_long_as_it_did)
{
    leat_pool p;
    leat_stats st;
    door d = { 0 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .lanes = 2 }), 0);
    REQUIRE_EQ(leat_submit_lane(&p, 1, at_door, &d), 0);
    door_until(&d, 1);
    int64_t from = leat_now();
    REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0); /* the first job of a lane is timed */
    CHECK_EQ(leat_sleep(LEAT_MS(20)), 0);
    door_open(&d);
    CHECK_EQ(leat_pool_wait(&p), 0);
    int64_t took = leat_now() - from;
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.lane[0].timed, 1);
    CHECK(st.lane[0].wait_most >= LEAT_MS(20) - LEAT_US(100) && st.lane[0].wait_most <= took);
    CHECK_EQ(st.lane[0].wait_most, st.lane[0].wait_mean);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_sample_of_many_jobs_is_timed_with_and_without_lanes)
{
    for (int lanes = 1; lanes <= 2; lanes++) {
        leat_pool p;
        leat_stats st;
        int n = 10000;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 16, .lanes = lanes }), 0);
        for (int i = 0; i < n; i++) REQUIRE_EQ(leat_submit_lane(&p, i % lanes, counts, (void *)&ran), 0);
        CHECK_EQ(leat_pool_wait(&p), 0);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK(st.timed > 5 && st.timed <= 50);
        CHECK_EQ(leat_pool_stop(&p), 0);
    }
}

static int fifos; /* how often a lane's order was broken */
static _Atomic int last_of[2];

static int in_order(leat_ctx *ctx, void *arg)
{
    intptr_t n = (intptr_t)arg;
    (void)ctx;
    fifos += atomic_exchange(&last_of[n % 2], (int)n) > n;
    return 0;
}

TEST(the_jobs_of_a_lane_start_in_order)
{
    leat_pool p;
    fifos = 0;
    last_of[0] = 0;
    last_of[1] = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 5, .lanes = 2 }), 0);
    for (intptr_t i = 0; i < tap_rounds(50000); i++) REQUIRE_EQ(leat_submit_lane(&p, (int)(i % 2), in_order, (void *)i), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(fifos, 0);
}

typedef struct {
    leat_pool *pool;
    _Atomic int accepted, dropped;
} load;

static void submits(int i, void *arg)
{
    load *l = arg;
    uint64_t rng = tap_seed(i);
    for (int n = 0; n < tap_rounds(20000); n++)
        if (!leat_submit_lane(l->pool, tap_below(&rng, 3), counts, (void *)&ran)) atomic_fetch_add(&l->accepted, 1);
}

static void counts_dropped(leat_task *fn, void *arg, void *user)
{
    (void)fn, (void)arg;
    atomic_fetch_add(&((load *)user)->dropped, 1);
}

static int shuts(void *arg)
{
    load *l = arg;
    for (int n = 0; n < 50; n++) (void)leat_pool_resize(l->pool, 1 + n % 4);
    UNTIL(ran > 1000);
    return leat_pool_abort(l->pool, counts_dropped, l);
}

TEST(resize_stop_and_abort_lose_no_job_of_any_lane)
{
    for (int kind = 0; kind < 4; kind++) {
        leat_pool p;
        load l = { .pool = &p };
        side s;
        ran = 0;
        REQUIRE_EQ(
            leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = kind & 1 ? LEAT_NO_QUEUE : 4, .lanes = 3 }),
            0);
        if (kind & 2) side_start(&s, shuts, &l);
        tap_threads(3, submits, &l);
        if (kind & 2) CHECK_EQ(side_join(&s), 0);
        else CHECK_EQ(leat_pool_stop(&p), 0);
        CHECK_EQ(ran + l.dropped, l.accepted);
    }
}

/* ==== No queue ================================================================================= */

TEST(without_a_queue_a_submit_meets_a_worker)
{
    leat_pool p;
    door d;
    leat_stats st;
    start_held(&p, &d, (leat_pool_opts){ .queue = LEAT_NO_QUEUE });
    CHECK_EQ(leat_try_submit(&p, notes, &lane_no[1]), -EAGAIN);
    CHECK_EQ(leat_submit_ctx(LEAT_WITHIN(LEAT_MS(2)), &p, notes, &lane_no[1]), -ETIMEDOUT);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.queue_cap + st.queued + st.queue_high, 0);
    CHECK_EQ(st.busy, 1);
    door_open(&d);
    UNTIL(leat_try_submit(&p, notes, &lane_no[2]) == 0);
    CHECK_EQ(leat_submit(&p, notes, &lane_no[3]), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 2);
}

static int submits_to_own(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    int err = leat_submit(arg, counts, (void *)&ran);
    return err == -EDEADLK ? 0 : err ? err : 1;
}

TEST(a_job_that_would_wait_for_ever_for_a_free_worker_is_told)
{
    leat_pool p;
    leat_job j = LEAT_JOB(submits_to_own, &p);
    int result = -1;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = LEAT_NO_QUEUE }), 0);
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    CHECK_EQ(leat_job_wait(&j, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_job_of_a_lower_lane_may_submit_to_the_first_as_that_is_empty_when_it_runs)
{
    leat_pool p;
    door d;
    leat_job j = LEAT_JOB(submits_to_own, &p);
    int result = -1;
    start_held(&p, &d, (leat_pool_opts){ .queue = 1, .lanes = 2 });
    j.lane = 1;
    REQUIRE_EQ(leat_submit_job(&p, &j), 0);
    REQUIRE_EQ(leat_submit(&p, notes, &lane_no[0]), 0);
    door_open(&d);
    CHECK_EQ(leat_job_wait(&j, &result), 0);
    CHECK_EQ(result, 1);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 2);
}

static int fills_own(leat_ctx *ctx, void *arg)
{
    int err = 0;
    (void)ctx;
    for (int i = 0; i < 3 && !err; i++) err = leat_submit_lane(arg, 1, counts, (void *)&ran);
    return err;
}

TEST(a_job_that_waits_for_room_in_a_lane_is_told_when_no_worker_is_left)
{
    leat_pool p;
    leat_job a = LEAT_JOB(fills_own, &p), b = LEAT_JOB(fills_own, &p);
    int ra = 0, rb = 0;
    ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 2, .lanes = 2 }), 0);
    REQUIRE_EQ(leat_submit_job(&p, &a), 0);
    REQUIRE_EQ(leat_submit_job(&p, &b), 0);
    CHECK_EQ(leat_job_wait(&a, &ra), 0);
    CHECK_EQ(ra, -EDEADLK); /* two of three had room */
    CHECK_EQ(leat_job_wait(&b, &rb), 0);
    CHECK_EQ(rb, -EDEADLK);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 2);
}

TEST(two_jobs_that_fill_each_others_lanes_are_not_both_left_waiting)
{
    for (int i = 0; i < tap_rounds(2000); i++) {
        leat_pool p;
        leat_job a = LEAT_JOB(submits_to_own, &p), b = LEAT_JOB(submits_to_own, &p);
        int ra = -1, rb = -1;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = LEAT_NO_QUEUE, .lanes = 2 }), 0);
        REQUIRE_EQ(leat_submit_job(&p, &a), 0);
        REQUIRE_EQ(leat_submit_job(&p, &b), 0);
        CHECK_EQ(leat_job_wait(&a, &ra), 0);
        CHECK_EQ(leat_job_wait(&b, &rb), 0);
        CHECK((ra == 0 || ra == 1) && (rb == 0 || rb == 1));
        CHECK_EQ(leat_pool_stop(&p), 0);
    }
}

TEST(a_submit_that_is_refused_does_not_end_the_sample)
{
    leat_pool p;
    leat_stats before, st;
    door d = { 0 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = LEAT_NO_QUEUE }), 0);
    for (int i = 0; i < 64; i++) REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0);
    REQUIRE_EQ(leat_submit(&p, at_door, &d), 0); /* the worker that takes this asks for the next to be timed */
    door_until(&d, 1);
    CHECK_EQ(leat_pool_stats(&p, &before), 0);
    CHECK_EQ(leat_try_submit(&p, counts, (void *)&ran), -EAGAIN);
    door_open(&d);
    for (int i = 0; i < 200; i++) REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0);
    CHECK_EQ(leat_pool_wait(&p), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK(st.timed > before.timed);
    CHECK_EQ(leat_pool_stop(&p), 0);
}
