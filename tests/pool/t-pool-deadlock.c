/* t-pool-deadlock.c - jobs may submit jobs. A job whose wait for room would stop the pool for ever is told -EDEADLK,
 * and no other is, whatever the load. And what ends a wait for room.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>

/* How long a sender rests that must wait for room. 0: as the headers decide. */
static _Atomic int64_t rests_for;
#define LEAT_RESTS_ 1
#define LEAT_REST_ (rests_for ? rests_for : LEAT_MS(1))
#define LEAT_PACE_ rests_for

#include "peek.h"

/* Where a job stops that has just got room, but does not know it yet, so that it still counts as one that waits.
 * NULL: it does not stop. */
static _Thread_local door *stop_here;

static int select_and_stop(leat_ctx *ctx, leat_ctx *also, leat_case *cases, size_t n)
{
    int r = leat_select_(ctx, also, cases, n);
    if (stop_here) door_pass(stop_here);
    return r;
}

#define leat_select_ select_and_stop
#include "pool.h"
#undef leat_select_

static int counts(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 0;
}

struct nested {
    leat_pool *p;
    door d, here;
    _Atomic int ran, told, accepted, err;
    int stop_at;
};

static int fills_its_pool(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    for (int k = 0; k < n->stop_at; k++) {
        int err = leat_submit(n->p, counts, &n->ran);
        if (err == -EDEADLK) {
            atomic_fetch_add_explicit(&n->told, 1, memory_order_relaxed);
            return 0;
        }
        if (!CHECK_EQ(err, 0)) break;
        atomic_fetch_add_explicit(&n->accepted, 1, memory_order_relaxed);
    }
    return 0;
}

static int fills_behind_a_door(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    int err = fills_its_pool(ctx, arg);
    door_pass(&n->d);
    return err;
}

TEST(L9_the_only_worker_is_told_when_it_would_wait_for_itself)
{
    for (int queue = 1; queue <= 4; queue++) {
        leat_pool p;
        struct nested n = { .p = &p, .stop_at = 1000 };
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = queue }), 0);
        CHECK_EQ(leat_submit(&p, fills_behind_a_door, &n), 0);
        door_until(&n.d, 1);
        CHECK_EQ(n.accepted, queue);
        CHECK_EQ(n.told, 1);
        CHECK_EQ(n.ran, 0);
        door_open(&n.d);
        CHECK_EQ(leat_pool_stop(&p), 0);
        CHECK_EQ(n.ran, queue);
    }
}

static int one_more(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    door_pass(&n->d);
    n->err = leat_submit(n->p, counts, &n->ran);
    return 0;
}

TEST(L9_the_last_worker_that_does_not_wait_is_told_and_lets_the_others_go_on)
{
    for (int k = 0; k < tap_rounds(100); k++) {
        enum { W = 3 };
        leat_pool p;
        struct nested n[W];
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = W, .queue = 1 }), 0);
        for (int i = 0; i < W; i++) {
            n[i] = (struct nested){ .p = &p };
            REQUIRE_EQ(leat_submit(&p, one_more, &n[i]), 0);
            door_until(&n[i].d, 1);
        }
        _Atomic int ran = 0;
        REQUIRE_EQ(leat_submit(&p, counts, &ran), 0); /* full */
        for (int i = 0; i < W - 1; i++) {
            door_open(&n[i].d);
            UNTIL(peek_senders(&p.lane_->queue_) == i + 1);
        }
        door_open(&n[W - 1].d);
        UNTIL(atomic_load_explicit(&ran, memory_order_relaxed) == 1);
        for (int i = 0; i < W - 1; i++) UNTIL(atomic_load_explicit(&n[i].ran, memory_order_relaxed) == 1);
        REQUIRE_EQ(leat_pool_stop(&p), 0);
        for (int i = 0; i < W - 1; i++) REQUIRE_EQ(n[i].err, 0);
        REQUIRE_EQ(n[W - 1].err, -EDEADLK);
        REQUIRE_EQ(n[W - 1].ran, 0);
    }
}

TEST(a_try_and_a_thread_from_outside_are_never_told)
{
    leat_pool p;
    struct nested n = { .p = &p };
    _Atomic int ran = 0;
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 1 }), 0);
    REQUIRE_EQ(leat_submit(&p, one_more, &n), 0);
    door_until(&n.d, 1);
    REQUIRE_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_try_submit(&p, counts, &ran), -EAGAIN);
    CHECK_EQ(leat_submit_ctx(&soon, &p, counts, &ran), -ETIMEDOUT);
    door_open(&n.d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK(n.err == -EDEADLK || n.err == -ESHUTDOWN || n.err == 0);
}

static int stops_after_it_got_room(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    door_pass(&n->d);
    stop_here = &n->here;
    n->err = leat_submit(n->p, counts, &n->ran);
    stop_here = NULL;
    return 0;
}

static int ends(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(arg);
    return 0;
}

TEST(L9_a_job_that_has_just_got_room_is_not_taken_for_one_that_waits)
{
    for (int k = 0; k < 10; k++) {
        leat_pool p;
        struct nested a = { .p = &p }, b = { .p = &p };
        door d = { 0 };
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 1 }), 0);
        REQUIRE_EQ(leat_submit(&p, ends, &d), 0);
        door_until(&d, 1);
        REQUIRE_EQ(leat_submit(&p, stops_after_it_got_room, &a), 0);
        door_until(&a.d, 1);
        REQUIRE_EQ(leat_submit(&p, one_more, &b), 0);
        door_open(&a.d); /* finds the queue full */
        UNTIL(peek_senders(&p.lane_->queue_) == 1);
        door_open(&d); /* its worker takes b, so a gets room, and stops here */
        door_until(&b.d, 1);
        door_until(&a.here, 1);
        door_open(&b.d); /* the queue is full: b waits, for a */
        leat_sleep(LEAT_MS(2));
        door_open(&a.here);
        UNTIL(atomic_load_explicit(&a.ran, memory_order_relaxed) == 1);
        UNTIL(atomic_load_explicit(&b.ran, memory_order_relaxed) == 1 || b.err);
        REQUIRE_EQ(leat_pool_stop(&p), 0);
        REQUIRE_EQ(a.err, 0);
        REQUIRE_EQ(b.err, 0);
    }
}

/* One worker never submits. So a job that waits will get room some day, and must not be told otherwise. */
struct load {
    leat_pool p;
    _Atomic int ran, submitters;
    int each;
};

static int drains(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit(&((struct load *)arg)->ran, 1, memory_order_relaxed);
    return 0;
}

static int submits(leat_ctx *ctx, void *arg)
{
    struct load *l = arg;
    (void)ctx;
    for (int k = 0; k < l->each; k++)
        if (!CHECK_EQ(leat_submit(&l->p, drains, l), 0)) break;
    atomic_fetch_sub_explicit(&l->submitters, 1, memory_order_relaxed);
    return 0;
}

static void from_outside(int i, void *arg)
{
    struct load *l = arg;
    (void)i;
    for (int k = 0; k < l->each; k++)
        if (!CHECK_EQ(leat_submit(&l->p, drains, l), 0)) break;
}

TEST(L9_no_worker_is_told_while_another_drains)
{
    for (int queue = 1; queue <= 3; queue++) {
        struct load l = { .each = tap_rounds(5000), .submitters = 3 };
        REQUIRE_EQ(leat_pool_start(&l.p, NULL, &(leat_pool_opts){ .workers = 4, .queue = queue }), 0);
        for (int i = 0; i < 3; i++) REQUIRE_EQ(leat_submit(&l.p, submits, &l), 0);
        tap_threads(2, from_outside, &l);
        UNTIL(atomic_load_explicit(&l.submitters, memory_order_relaxed) == 0);
        CHECK_EQ(leat_pool_stop(&l.p), 0);
        CHECK_EQ(l.ran, 5 * l.each);
    }
}

/* All workers submit. Some are told, none hangs, and no accepted job is lost. */
static int submits_or_is_told(leat_ctx *ctx, void *arg)
{
    struct nested *n = arg;
    (void)ctx;
    for (int k = 0; k < n->stop_at; k++) {
        int err = leat_submit(n->p, counts, &n->ran);
        if (err == -ESHUTDOWN) break;
        if (!CHECK(err == 0 || err == -EDEADLK)) break;
        atomic_fetch_add_explicit(err ? &n->told : &n->accepted, 1, memory_order_relaxed);
    }
    door_pass(&n->d);
    return 0;
}

TEST(all_workers_may_submit_at_once_and_none_hangs)
{
    for (int workers = 1; workers <= 4; workers++) {
        leat_pool p;
        struct nested n = { .p = &p, .stop_at = tap_rounds(3000), .d = { .open = 1 } };
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = workers, .queue = 2 }), 0);
        for (int i = 0; i < 2 * workers; i++) REQUIRE_EQ(leat_submit(&p, submits_or_is_told, &n), 0);
        door_until(&n.d, 2 * workers);
        REQUIRE_EQ(leat_pool_stop(&p), 0);
        REQUIRE_EQ(n.ran, n.accepted);
        REQUIRE_EQ(n.accepted + n.told, 2 * workers * n.stop_at);
    }
}

static _Thread_local int my_id;

static int know_id(void *user, int id)
{
    (void)user;
    my_id = id;
    return 0;
}

struct either {
    leat_pool *p;
    door d, go;
    _Atomic int ran, waits_id;
};

static int waits_for_room_or_ends(leat_ctx *ctx, void *arg)
{
    struct either *e = arg;
    (void)ctx;
    door_pass(&e->d);
    if (my_id != e->waits_id) {
        door_pass(&e->go);
        return 0;
    }
    int err = leat_submit(e->p, counts, &e->ran);
    CHECK(err == 0 || err == -EDEADLK || err == -ESHUTDOWN); /* whichever comes first */
    return 0;
}

TEST(after_shrinking_a_job_that_waits_for_room_is_not_left_alone)
{
    /* Two workers: one's job waits for room, the other's ends, and one of the two is being retired. Either another
     * worker makes room, or the waiting job is told. */
    for (int id = 0; id < 2; id++) {
        leat_pool p;
        struct either e = { .p = &p, .waits_id = id };
        _Atomic int ran = 0;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 1, .worker_init = know_id }), 0);
        for (int i = 0; i < 2; i++) REQUIRE_EQ(leat_submit(&p, waits_for_room_or_ends, &e), 0);
        door_until(&e.d, 2);
        REQUIRE_EQ(leat_submit(&p, counts, &ran), 0);
        door_open(&e.d);
        UNTIL(peek_senders(&p.lane_->queue_) == 1);
        REQUIRE_EQ(leat_pool_resize(&p, 1), 0);
        door_open(&e.go);
        UNTIL(atomic_load_explicit(&ran, memory_order_relaxed) == 1);
        REQUIRE_EQ(leat_pool_stop(&p), 0);
    }
}

TEST(the_last_worker_is_told_at_once_where_it_would_rest)
{
    leat_pool p;
    struct nested n = { .p = &p, .stop_at = 1000 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 4 }), 0);
    rests_for = LEAT_S(1000); /* if nothing ends the rest */
    CHECK_EQ(leat_submit(&p, fills_behind_a_door, &n), 0);
    door_until(&n.d, 1);
    CHECK_EQ(n.accepted, 4);
    CHECK_EQ(n.told, 1);
    door_open(&n.d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(n.ran, 4);
    rests_for = 0;
}

static int submits_one(void *arg)
{
    struct nested *n = arg;
    return leat_submit(n->p, counts, &n->ran);
}

static int stops(void *pool)
{
    return leat_pool_stop(pool);
}

TEST(a_job_that_rests_for_room_is_woken_when_the_pool_ends)
{
    for (int stopped = 0; stopped <= 1; stopped++) {
        leat_pool p;
        leat_ctx above = LEAT_CTX(NULL);
        struct nested n = { .p = &p };
        door d = { 0 };
        side s, stop;
        REQUIRE_EQ(leat_pool_start(&p, &above, &(leat_pool_opts){ .workers = 1, .queue = 1 }), 0);
        rests_for = LEAT_S(1000); /* if nothing ends the rest */
        REQUIRE_EQ(leat_submit(&p, ends, &d), 0);
        door_until(&d, 1);
        REQUIRE_EQ(leat_submit(&p, counts, &n.ran), 0);
        side_start(&s, submits_one, &n);
        UNTIL(peek_senders(&p.lane_->queue_) == 1);
        if (stopped) side_start(&stop, stops, &p);
        else leat_cancel(&above, 0);
        CHECK_EQ(side_join(&s), stopped ? -ESHUTDOWN : -ECANCELED);
        door_open(&d);
        CHECK_EQ(stopped ? side_join(&stop) : leat_pool_abort(&p, NULL, NULL), 0);
        CHECK_EQ(n.ran, stopped);
        rests_for = 0;
    }
}
