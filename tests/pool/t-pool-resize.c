/* t-pool-resize.c - the number of workers can change under load: no job is lost, no worker is missing.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

/* So many jobs run at once, and no more. */
static void check_width(leat_pool *p, int n)
{
    static door doors[32]; /* a new one each time: nothing tells when the last job has left the old one */
    static int used;
    REQUIRE(used < 32);
    door *d = &doors[used++];
    leat_stats st;
    CHECK_EQ(workers(p), n);
    REQUIRE_EQ(leat_pool_stats(p, &st), 0);
    size_t before = st.completed;
    for (int i = 0; i < n; i++) REQUIRE_EQ(leat_submit(p, at_door, d), 0);
    door_until(d, n);
    REQUIRE_EQ(leat_submit(p, at_door, d), 0);
    REQUIRE_EQ(leat_pool_stats(p, &st), 0);
    CHECK_EQ(st.busy, n);
    CHECK_EQ(st.queued, 1);
    door_open(d);
    do {
        REQUIRE_EQ(leat_pool_stats(p, &st), 0);
        leat_os_yield_();
    } while (st.completed < before + (size_t)n + 1);
}

TEST(growing_and_shrinking_change_how_many_jobs_run_at_once)
{
    leat_pool p;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 4 }), 0);
    check_width(&p, 2);
    const int sizes[] = { 5, 5, 1, 3, 2, 8, 1 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        REQUIRE_EQ(leat_pool_resize(&p, sizes[i]), 0);
        check_width(&p, sizes[i]);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(a_worker_too_many_ends_the_job_that_it_runs_undisturbed)
{
    leat_pool p;
    door d = { 0 };
    leat_stats st;
    _Atomic int ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 4, .queue = 4 }), 0);
    for (int i = 0; i < 4; i++) REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 4);
    CHECK_EQ(leat_pool_resize(&p, 1), 0); /* waits for no job */
    CHECK_EQ(workers(&p), 1);
    for (int i = 0; i < 4; i++) REQUIRE_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.busy, 4);
    CHECK_EQ(leat_pool_resize(&p, 5), 0);
    UNTIL(atomic_load_explicit(&ran, memory_order_relaxed) == 4); /* by the fifth */
    door_open(&d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.completed, 8);
    CHECK_EQ(st.failed, 0);
    CHECK_EQ(st.submitted, 8);
}

struct load {
    leat_pool p;
    _Atomic int ran, accepted, running;
};

enum { FEEDERS = 2, SIZERS = 2 };

static void feeds_or_resizes(int i, void *arg)
{
    struct load *l = arg;
    uint64_t rng = tap_seed(i);
    if (i < FEEDERS) {
        for (int k = 0; k < tap_rounds(10000); k++) {
            int err = leat_submit(&l->p, counts, &l->ran);
            if (err == -ESHUTDOWN) break;
            if (!CHECK_EQ(err, 0)) break;
            atomic_fetch_add_explicit(&l->accepted, 1, memory_order_relaxed);
        }
        atomic_fetch_sub_explicit(&l->running, 1, memory_order_relaxed);
    } else {
        while (atomic_load_explicit(&l->running, memory_order_relaxed) > 0) {
            int err = leat_pool_resize(&l->p, 1 + tap_below(&rng, 6));
            if (err == -ESHUTDOWN) break;
            if (!CHECK_EQ(err, 0)) break;
            leat_stats st;
            CHECK_EQ(leat_pool_stats(&l->p, &st), 0);
            CHECK(st.completed <= st.submitted);
            CHECK(st.queued <= st.queue_cap);
        }
    }
}

TEST(resizing_under_load_loses_no_job)
{
    struct load l = { .running = FEEDERS };
    leat_stats st;
    REQUIRE_EQ(leat_pool_start(&l.p, NULL, &(leat_pool_opts){ .workers = 3, .queue = 4 }), 0);
    tap_threads(FEEDERS + SIZERS, feeds_or_resizes, &l);
    REQUIRE_EQ(leat_pool_resize(&l.p, 3), 0);
    check_width(&l.p, 3);
    CHECK_EQ(leat_pool_stop(&l.p), 0);
    CHECK_EQ(l.ran, FEEDERS * tap_rounds(10000));
    CHECK_EQ(leat_pool_stats(&l.p, &st), 0);
    CHECK_EQ(st.completed, l.ran + 4);
    CHECK_EQ(st.submitted, st.completed);
}

static int stop(void *arg)
{
    struct load *l = arg;
    UNTIL(atomic_load_explicit(&l->accepted, memory_order_relaxed) > 20);
    return leat_pool_stop(&l->p);
}

TEST(resizing_while_it_stops_loses_no_job_and_leaves_no_worker)
{
    for (int k = 0; k < tap_rounds(20); k++) {
        struct load l = { .running = FEEDERS };
        side stopper;
        REQUIRE_EQ(leat_pool_start(&l.p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 2 }), 0);
        side_start(&stopper, stop, &l);
        tap_threads(FEEDERS + SIZERS, feeds_or_resizes, &l);
        REQUIRE_EQ(side_join(&stopper), 0);
        REQUIRE_EQ(l.ran, l.accepted);
        REQUIRE_EQ(workers(&l.p), 0);
    }
}

TEST(L7_a_retired_worker_that_still_runs_a_job_is_taken_back_first)
{
    enum { WIDE = 6 };
    leat_pool p;
    leat_stats st;
    door old = { 0 }, fresh = { 0 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = WIDE, .queue = WIDE }), 0);
    for (int i = 0; i < WIDE; i++) REQUIRE_EQ(leat_submit(&p, at_door, &old), 0);
    door_until(&old, WIDE);
    for (int n = 1; n <= WIDE; n++) {
        CHECK_EQ(leat_pool_resize(&p, 1), 0);
        CHECK_EQ(workers(&p), 1);
        CHECK_EQ(leat_pool_resize(&p, n), 0);
        CHECK_EQ(workers(&p), n);
    }
    CHECK_EQ(threads(&p.threads_), WIDE);
    for (int i = 0; i < WIDE; i++) REQUIRE_EQ(leat_submit(&p, at_door, &fresh), 0);
    door_open(&old);
    door_until(&fresh, WIDE);
    CHECK_EQ(workers(&p), WIDE);
    door_open(&fresh);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.completed, 2 * WIDE);
}

static int resizes(leat_ctx *ctx, void *arg)
{
    struct load *l = arg;
    (void)ctx;
    CHECK_EQ(leat_pool_resize(&l->p, 3), 0);
    CHECK_EQ(leat_pool_resize(&l->p, 1), 0);
    CHECK_EQ(leat_pool_resize(&l->p, 2), 0);
    atomic_fetch_add_explicit(&l->ran, 1, memory_order_relaxed);
    return 0;
}

TEST(a_job_may_resize_its_own_pool)
{
    struct load l = { .ran = 0 };
    REQUIRE_EQ(leat_pool_start(&l.p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 8 }), 0);
    for (int i = 0; i < 20; i++) REQUIRE_EQ(leat_submit(&l.p, resizes, &l), 0);
    UNTIL(atomic_load_explicit(&l.ran, memory_order_relaxed) == 20);
    check_width(&l.p, 2);
    CHECK_EQ(leat_pool_stop(&l.p), 0);
}

struct sizing {
    leat_pool p;
    int n;
};

static void resizes_to(int i, void *arg)
{
    struct sizing *z = arg;
    (void)i;
    CHECK_EQ(leat_pool_resize(&z->p, z->n), 0);
}

TEST(L6_two_resizes_at_once_to_the_same_number_both_get_it)
{
    struct sizing z;
    REQUIRE_EQ(leat_pool_start(&z.p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    for (int k = 0; k < tap_rounds(300); k++) {
        z.n = k % 2 ? 2 : 6;
        tap_threads(2, resizes_to, &z);
        REQUIRE_EQ(workers(&z.p), z.n);
    }
    CHECK_EQ(leat_pool_stop(&z.p), 0);
}

TEST(a_pool_whose_context_is_done_is_not_resized)
{
    leat_pool p;
    leat_ctx parent = LEAT_CTX(NULL);
    REQUIRE_EQ(leat_pool_start(&p, &parent, &(leat_pool_opts){ .workers = 1 }), 0);
    leat_cancel(&parent, 1);
    CHECK_EQ(leat_pool_resize(&p, 3), -ECANCELED);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_pool_resize(&p, 3), -ESHUTDOWN);
}

/* ==== While a worker is being replaced ======================================================== */

struct hook {
    door third; /* where the third init hook waits */
    _Atomic int inits;
};

static int init(void *user, int id)
{
    struct hook *h = user;
    (void)id;
    if (atomic_fetch_add_explicit(&h->inits, 1, memory_order_relaxed) == 2) door_pass(&h->third);
    return 0;
}

static int exits(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    pthread_exit(NULL);
}

TEST(L6_a_worker_that_is_being_replaced_is_counted_once)
{
    leat_pool p;
    struct hook h = { .inits = 0 };
    leat_pool_opts opts = { .workers = 2, .queue = 4, .worker_init = init, .user = &h };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &opts), 0);
    REQUIRE_EQ(leat_submit(&p, exits, NULL), 0);
    door_until(&h.third, 1); /* the old worker is exiting, the new one is starting */
    CHECK_EQ(workers(&p), 2);
    CHECK_EQ(leat_pool_resize(&p, 3), 0);
    door_open(&h.third);
    for (int i = 0; i < 50 && workers(&p) != 3; i++) leat_sleep(LEAT_MS(1));
    if (CHECK_EQ(workers(&p), 3)) check_width(&p, 3);
    CHECK_EQ(leat_pool_stop(&p), 0);
}
