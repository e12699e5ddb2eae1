/* t-many-threads.c - thousands of workers or tasks cost thousands of times what one does, not millions: no thread
 * wakes them under a lock that they take next.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

enum { MANY = TAP_SLOW ? 200 : 2000, SOME = 300 };

/* A pool of MANY workers, all parked. False: so many threads cannot be had here. *took: the time that it took. */
static bool start_many(leat_pool *p, int64_t *took)
{
    int64_t since = leat_now();
    int err = leat_pool_start(p, NULL, &(leat_pool_opts){ .workers = MANY, .queue = MANY, .stack_size = 64 << 10 });
    if (err) return false;
    UNTIL(peek_receivers(&p->lane_->queue_) == MANY);
    *took = leat_now() - since;
    return true;
}

/* With the wakes under the lock, as it was before, it took a hundred times as long to end them as to spawn them. */
static void check_linear(int64_t took, int64_t made)
{
    if (!CHECK(took < 10 * made + LEAT_S(1)))
        tap_note("%lld ms, made in %lld ms", (long long)took / 1000000, (long long)made / 1000000);
}

TEST(L3_retiring_many_workers_takes_about_as_long_as_making_them)
{
    leat_pool p;
    int64_t made;
    _Atomic int ran = 0;
    if (!start_many(&p, &made)) SKIP("so many threads cannot be made");
    int64_t since = leat_now();
    CHECK_EQ(leat_pool_resize(&p, 1), 0);
    CHECK_EQ(workers(&p), 1);
    UNTIL((leat_pool_reap_(&p), threads(&p.threads_)) == 1);
    check_linear(leat_now() - since, made);
    CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 1);
}

TEST(ending_a_pool_of_many_takes_about_as_long_as_making_it)
{
    for (int how = 0; how < 3; how++) {
        leat_pool p;
        int64_t made;
        int err;
        if (!start_many(&p, &made)) SKIP("so many threads cannot be made");
        int64_t since = leat_now();
        if (how == 2) UNTIL((err = leat_try_pool_stop(&p)) != -EAGAIN);
        else err = how ? leat_pool_abort(&p, NULL, NULL) : leat_pool_stop(&p);
        CHECK_EQ(err, 0);
        check_linear(leat_now() - since, made);
    }
}

struct load {
    leat_pool p;
    leat_group g;
    door d;
    _Atomic int ran, err;
};

static int submits_at_door(leat_ctx *ctx, void *arg)
{
    struct load *l = arg;
    (void)ctx;
    door_pass(&l->d);
    int err = leat_submit(&l->p, counts, &l->ran);
    if (err && err != -EDEADLK) l->err = err;
    return err;
}

TEST(many_jobs_may_wait_for_room_at_once)
{
    struct load *l = calloc(1, sizeof *l);
    int64_t made, since = leat_now();
    leat_stats st;
    REQUIRE(l);
    if (leat_pool_start(&l->p, NULL, &(leat_pool_opts){ .workers = SOME, .queue = 1, .stack_size = 64 << 10 })) {
        free(l);
        SKIP("so many threads cannot be made");
    }
    for (int i = 0; i < SOME; i++) REQUIRE_EQ(leat_submit(&l->p, submits_at_door, l), 0);
    made = leat_now() - since;
    since = leat_now();
    door_open(&l->d);
    do {
        REQUIRE_EQ(leat_pool_stats(&l->p, &st), 0);
        leat_sleep(LEAT_MS(1));
    } while (st.completed + st.failed < SOME + (size_t)atomic_load(&l->ran) || st.queued);
    check_linear(leat_now() - since, 5 * made);
    CHECK_EQ(leat_pool_stop(&l->p), 0);
    CHECK_EQ(l->err, 0);
    CHECK(l->ran > 0);
    free(l);
}

static int goes_at_door(leat_ctx *ctx, void *arg)
{
    struct load *l = arg;
    (void)ctx;
    door_pass(&l->d);
    int err = leat_go(&l->g, counts, &l->ran);
    if (err && err != -EDEADLK) l->err = err;
    return 0;
}

TEST(many_tasks_may_wait_at_the_limit_at_once)
{
    struct load *l = calloc(1, sizeof *l);
    REQUIRE(l);
    l->g = (leat_group)LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_limit(&l->g, SOME), 0);
    int64_t since = leat_now();
    int err = leat_go_n(&l->g, SOME, goes_at_door, l);
    int64_t made = leat_now() - since;
    since = leat_now();
    door_open(&l->d);
    CHECK_EQ(leat_wait(&l->g), 0);
    if (err == -EAGAIN) {
        free(l);
        SKIP("so many threads cannot be made");
    }
    CHECK_EQ(err, 0);
    check_linear(leat_now() - since, 5 * made);
    CHECK_EQ(l->err, 0);
    CHECK(l->ran > 0);
    free(l);
}
