/* t-pool-stop.c - stopping loses nothing: a job that was accepted runs once, or is handed back once, whichever
 * threads submit, stop, abort and cancel at the same time.
 * SPDX-License-Identifier: MIT */
#include "peek.h"
#include "pool.h"

static int at_door(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(arg);
    return 0;
}

static int runs(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int stop(void *p)
{
    return leat_pool_stop(p);
}

/* ==== Stop ==================================================================================== */

TEST(stop_drains_what_was_accepted)
{
    for (int k = 0; k < tap_rounds(300); k++) {
        leat_pool p;
        _Atomic int ran = 0;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 + k % 3, .queue = 20 }), 0);
        for (int i = 0; i < 20; i++) REQUIRE_EQ(leat_submit(&p, runs, &ran), 0);
        REQUIRE_EQ(leat_pool_stop(&p), 0);
        REQUIRE_EQ(ran, 20);
        REQUIRE_EQ(leat_submit(&p, runs, &ran), -ESHUTDOWN);
        REQUIRE_EQ(leat_try_submit(&p, runs, &ran), -ESHUTDOWN);
        REQUIRE_EQ(leat_pool_resize(&p, 3), -ESHUTDOWN);
        REQUIRE_EQ(ran, 20);
    }
}

TEST(stop_twice_is_harmless_and_reported)
{
    leat_pool p;
    REQUIRE_EQ(leat_pool_start(&p, NULL, NULL), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_pool_stop(&p), -EALREADY);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), -EALREADY);
    CHECK_EQ(leat_pool_stop(&p), -EALREADY);
}

TEST(of_many_stops_at_once_one_did_and_all_return_after_the_last_job)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        leat_pool p;
        _Atomic int ran = 0;
        side other[3];
        int first = 0;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 8 }), 0);
        for (int i = 0; i < 8; i++) REQUIRE_EQ(leat_submit(&p, runs, &ran), 0);
        for (int i = 0; i < 3; i++) side_start(&other[i], stop, &p);
        int err = leat_pool_stop(&p);
        REQUIRE_EQ(ran, 8);
        first += err == 0;
        REQUIRE(err == 0 || err == -EALREADY);
        for (int i = 0; i < 3; i++) {
            err = side_join(&other[i]);
            first += err == 0;
            REQUIRE(err == 0 || err == -EALREADY);
        }
        REQUIRE_EQ(first, 1);
    }
}

static int submits(void *arg)
{
    struct {
        leat_pool p;
        _Atomic int ran;
    } *x = arg;
    return leat_submit(&x->p, runs, &x->ran);
}

TEST(a_submit_that_waits_for_room_when_the_pool_is_stopped_is_told)
{
    struct {
        leat_pool p;
        _Atomic int ran;
    } x;
    door d = { 0 };
    side waiter, stopper;
    x.ran = 0;
    REQUIRE_EQ(leat_pool_start(&x.p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 1 }), 0);
    CHECK_EQ(leat_submit(&x.p, at_door, &d), 0);
    door_until(&d, 1);
    CHECK_EQ(leat_submit(&x.p, runs, &x.ran), 0);
    side_start(&waiter, submits, &x);
    UNTIL(peek_senders(&x.p.lane_->queue_) == 1);
    side_start(&stopper, stop, &x.p);
    CHECK_EQ(side_join(&waiter), -ESHUTDOWN); /* at once: the worker is still at the door */
    door_open(&d);
    CHECK_EQ(side_join(&stopper), 0);
    CHECK_EQ(x.ran, 1);
}

/* ==== A job that hangs ======================================================================== */

struct tail {
    _Atomic int ran[8];
    int order[8], n;
};

static int marks(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 0;
}

static void dropped(leat_task *fn, void *arg, void *user)
{
    struct tail *t = user;
    CHECK(fn == marks);
    t->order[t->n++] = (int)((_Atomic int *)arg - t->ran);
}

static int hangs_until_cancelled(leat_ctx *ctx, void *arg)
{
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_release);
    return leat_sleep_ctx(ctx, LEAT_S(1000));
}

TEST(a_job_that_hangs_the_deadline_of_stop_then_abort_hands_the_rest_back_in_order)
{
    leat_pool p;
    struct tail t = { .n = 0 };
    leat_stats st;
    _Atomic int there = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 8 }), 0);
    for (int i = 0; i < 2; i++) CHECK_EQ(leat_submit(&p, hangs_until_cancelled, &there), 0);
    UNTIL(atomic_load_explicit(&there, memory_order_acquire) == 2);
    for (int i = 0; i < 8; i++) CHECK_EQ(leat_submit(&p, marks, &t.ran[i]), 0);
    for (int i = 0; i < 2; i++) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10)), cancelled = LEAT_CTX(NULL);
        CHECK_EQ(leat_pool_stop_ctx(&soon, &p), -ETIMEDOUT);
        leat_cancel(&cancelled, 1);
        CHECK_EQ(leat_pool_stop_ctx(&cancelled, &p), -ECANCELED);
        CHECK_EQ(leat_submit(&p, marks, &t.ran[0]), -ESHUTDOWN); /* still valid, and shut */
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.busy, 2);
        CHECK_EQ(st.queued, 8);
    }
    CHECK_EQ(leat_pool_abort(&p, dropped, &t), 0);
    CHECK_EQ(t.n, 8);
    for (int i = 0; i < 8; i++) CHECK_EQ(t.order[i], i);
    for (int i = 0; i < 8; i++) CHECK_EQ(t.ran[i], 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.dropped, 8);
    CHECK_EQ(st.failed, 2);
    CHECK_EQ(st.submitted, 10);
    CHECK_EQ(leat_pool_abort(&p, dropped, &t), -EALREADY);
    CHECK_EQ(t.n, 8);
}

TEST(a_stop_that_gave_up_may_be_tried_again_and_then_drains)
{
    leat_pool p;
    door d = { 0 };
    _Atomic int ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 4 }), 0);
    CHECK_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    for (int i = 0; i < 4; i++) CHECK_EQ(leat_submit(&p, runs, &ran), 0);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    CHECK_EQ(leat_pool_stop_ctx(&soon, &p), -ETIMEDOUT);
    door_open(&d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 4);
}

TEST(an_abort_ends_a_stop_that_waits)
{
    for (int k = 0; k < tap_rounds(100); k++) {
        leat_pool p;
        struct tail t = { .n = 0 };
        _Atomic int there = 0;
        side stopper;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 8 }), 0);
        REQUIRE_EQ(leat_submit(&p, hangs_until_cancelled, &there), 0);
        UNTIL(atomic_load_explicit(&there, memory_order_acquire) == 1);
        for (int i = 0; i < 8; i++) REQUIRE_EQ(leat_submit(&p, marks, &t.ran[i]), 0);
        side_start(&stopper, stop, &p);
        if (k % 2) UNTIL(peek_wg(&p.running_) == 1);
        REQUIRE_EQ(leat_pool_abort(&p, dropped, &t), 0);
        int err = side_join(&stopper);
        REQUIRE(err == -EALREADY || err == -ECANCELED);
        REQUIRE_EQ(t.n, 8);
    }
}

TEST(an_abort_without_a_place_to_hand_jobs_to_counts_them)
{
    leat_pool p;
    leat_stats st;
    door d = { 0 };
    _Atomic int ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 3 }), 0);
    CHECK_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 1);
    for (int i = 0; i < 3; i++) CHECK_EQ(leat_submit(&p, runs, &ran), 0);
    door_open(&d);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(ran + (int)st.dropped, 3);
    CHECK_EQ(st.submitted, 4);
}

/* ==== From a job ============================================================================== */

struct inner {
    leat_pool *p;
    int stop, abort;
};

static int stops_its_own(leat_ctx *ctx, void *arg)
{
    struct inner *in = arg;
    (void)ctx;
    in->stop = leat_pool_stop(in->p);
    in->abort = leat_pool_abort(in->p, NULL, NULL);
    return 0;
}

TEST(a_job_that_stops_its_own_pool_is_told_and_the_pool_goes_on)
{
    leat_pool p;
    struct inner in = { .p = &p };
    _Atomic int ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 2 }), 0);
    CHECK_EQ(leat_submit(&p, stops_its_own, &in), 0);
    CHECK_EQ(leat_submit(&p, runs, &ran), 0);
    UNTIL(atomic_load_explicit(&ran, memory_order_relaxed) == 1);
    CHECK_EQ(leat_submit(&p, runs, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(in.stop, -EDEADLK);
    CHECK_EQ(in.abort, -EDEADLK);
    CHECK_EQ(ran, 2);
}

TEST(a_job_may_stop_another_pool)
{
    leat_pool p, q;
    struct inner in = { .p = &q };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    REQUIRE_EQ(leat_pool_start(&q, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    CHECK_EQ(leat_submit(&p, stops_its_own, &in), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(in.stop, 0);
    CHECK_EQ(in.abort, -EALREADY);
}

/* ==== Feeding while it ends =================================================================== */

enum { FEEDERS = 4, JOBS = 200 };
enum ending { STOP, ABORT, CANCEL, ABORT_AND_STOP };

struct feed {
    leat_pool p;
    leat_ctx parent;
    _Atomic int ran[FEEDERS][JOBS];
    int accepted[FEEDERS][JOBS], dropped[FEEDERS][JOBS];
    _Atomic int under_way, stopped;
    int round;
    enum ending ending;
};

static void back(leat_task *fn, void *arg, void *user)
{
    struct feed *f = user;
    CHECK(fn == marks);
    ptrdiff_t at = (_Atomic int *)arg - &f->ran[0][0];
    f->dropped[at / JOBS][at % JOBS]++;
}

static void end(struct feed *f)
{
    if (f->ending == STOP) CHECK_EQ(leat_pool_stop(&f->p), 0);
    if (f->ending == ABORT) CHECK_EQ(leat_pool_abort(&f->p, back, f), 0);
    if (f->ending == CANCEL) {
        leat_cancel(&f->parent, 1);
        int err = leat_pool_stop(&f->p);
        if (err) {
            CHECK_EQ(err, -ECANCELED);
            CHECK_EQ(leat_pool_abort(&f->p, back, f), 0);
        }
    }
    if (f->ending == ABORT_AND_STOP) {
        side stopper;
        side_start(&stopper, stop, &f->p);
        int a = leat_pool_abort(&f->p, back, f), s = side_join(&stopper);
        CHECK((a == 0 && (s == -EALREADY || s == -ECANCELED)) || (a == -EALREADY && s == 0));
    }
    atomic_store_explicit(&f->stopped, 1, memory_order_release);
}

static void feeds(int i, void *arg)
{
    struct feed *f = arg;
    if (i == FEEDERS) {
        uint64_t rng = tap_seed(f->round);
        int n = tap_below(&rng, FEEDERS * JOBS / 2);
        while (atomic_load_explicit(&f->under_way, memory_order_relaxed) < n) leat_os_yield_();
        end(f);
        return;
    }
    for (int k = 0; k < JOBS; k++) {
        bool after = atomic_load_explicit(&f->stopped, memory_order_acquire);
        int err = k % 4 ? leat_submit(&f->p, marks, &f->ran[i][k]) : leat_try_submit(&f->p, marks, &f->ran[i][k]);
        f->accepted[i][k] = err == 0;
        CHECK(!(after && err == 0));
        CHECK(err == 0 || err == -ESHUTDOWN || (k % 4 == 0 && err == -EAGAIN) || (f->ending != STOP && err == -ECANCELED));
        atomic_fetch_add_explicit(&f->under_way, 1, memory_order_relaxed);
    }
}

static void feed_while(enum ending ending, int rounds)
{
    struct feed *f = malloc(sizeof *f);
    REQUIRE(f);
    for (int k = 0; k < rounds; k++) {
        leat_stats st;
        size_t accepted = 0, ran = 0, back_again = 0;
        memset(f, 0, sizeof *f);
        f->ending = ending;
        f->round = k;
        REQUIRE_EQ(leat_pool_start(&f->p, &f->parent, &(leat_pool_opts){ .workers = 1 + k % 3, .queue = 1 + k % 5 }), 0);
        tap_threads(FEEDERS + 1, feeds, f);
        for (int i = 0; i < FEEDERS; i++)
            for (int j = 0; j < JOBS; j++) {
                REQUIRE_EQ(f->ran[i][j] + f->dropped[i][j], f->accepted[i][j]);
                accepted += (size_t)f->accepted[i][j];
                ran += (size_t)f->ran[i][j];
                back_again += (size_t)f->dropped[i][j];
            }
        if (ending == STOP) REQUIRE_EQ(back_again, 0);
        REQUIRE_EQ(leat_pool_stats(&f->p, &st), 0);
        REQUIRE_EQ(st.submitted, accepted);
        REQUIRE_EQ(st.completed, ran);
        REQUIRE_EQ(st.dropped, back_again);
        REQUIRE_EQ(st.queued + st.busy + st.workers, 0);
    }
    free(f);
}

TEST(L8_feeding_while_it_stops_every_accepted_job_runs_once_and_the_others_are_told)
{
    feed_while(STOP, tap_rounds(400));
}

TEST(L8_feeding_while_it_is_aborted_every_accepted_job_runs_or_is_handed_back_once)
{
    feed_while(ABORT, tap_rounds(400));
}

TEST(L8_feeding_while_it_is_cancelled_every_accepted_job_runs_or_is_handed_back_once)
{
    feed_while(CANCEL, tap_rounds(400));
}

TEST(L8_feeding_while_it_is_stopped_and_aborted_at_once_loses_no_job)
{
    feed_while(ABORT_AND_STOP, tap_rounds(400));
}
