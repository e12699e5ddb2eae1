/* t-limits.c - a request for many permits is served although others ask for few all the time; and whatever fails, no
 * limit is exceeded meanwhile, and all permits come back.
 * SPDX-License-Identifier: MIT */
#include "peek.h"
#include "pool.h"

/* ==== Large and small requests ================================================================ */

/* The small requests never have to wait for each other. Without fairness there would never be enough permits, but
 * only for the large requests. */
static const int needs[] = { 10, 6, 1, 1, 2, 2, 3 };
enum { ALL = 10, SMALL = 3, ROUNDS = 8, ASKERS = sizeof needs / sizeof *needs };

struct market {
    leat_sem s;
    bool tries, times_out; /* how the small ones ask */
    _Atomic int held, worst;
    _Atomic int left;
};

static void most(_Atomic int *worst, int now)
{
    int w = atomic_load_explicit(worst, memory_order_relaxed);
    while (w < now && !atomic_compare_exchange_weak_explicit(worst, &w, now, memory_order_relaxed, memory_order_relaxed)) {}
}

static int ask(struct market *m, int n)
{
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(100));
    int err = n <= SMALL ? leat_try_acquire(&m->s, n) : -EAGAIN; /* faster than to spin first */
    if (!err || (n <= SMALL && m->tries)) return err;
    return n <= SMALL && m->times_out ? leat_acquire_ctx(&soon, &m->s, n) : leat_acquire(&m->s, n);
}

/* No thread stops before all have been served often enough. If one starves, this waits for ever. */
static void ask_again_and_again(int i, void *arg)
{
    struct market *m = arg;
    int n = needs[i];
    for (int served = 0; atomic_load_explicit(&m->left, memory_order_relaxed);) {
        int err = ask(m, n);
        if (err) {
            CHECK(n <= SMALL && err == (m->tries ? -EAGAIN : -ETIMEDOUT));
            leat_os_yield_();
            continue;
        }
        most(&m->worst, atomic_fetch_add_explicit(&m->held, n, memory_order_relaxed) + n);
        (void)leat_sleep(LEAT_US(n <= SMALL ? 500 : 100)); /* so long that by chance all permits are there once in minutes */
        atomic_fetch_sub_explicit(&m->held, n, memory_order_relaxed);
        CHECK_EQ(leat_release(&m->s, n), 0);
        if (++served == ROUNDS) atomic_fetch_sub_explicit(&m->left, 1, memory_order_relaxed);
    }
}

static void trade(bool tries, bool times_out)
{
    struct market m = { .s = LEAT_SEM(ALL), .tries = tries, .times_out = times_out, .left = ASKERS };
    tap_threads(ASKERS, ask_again_and_again, &m);
    CHECK(m.worst <= ALL);
    CHECK_EQ(leat_sem_available(&m.s), ALL);
    CHECK_EQ(peek_sem(&m.s), 0);
}

TEST(requests_of_every_size_are_served_beside_each_other)
{
    trade(false, false);
}

TEST(also_beside_those_that_do_not_wait_but_try_all_the_time)
{
    trade(true, false);
}

TEST(also_beside_those_that_soon_give_up_and_try_again)
{
    trade(false, true);
}

/* ---- A queue whose first gives up, again and again ----------------------------------------------- */

struct impatient {
    leat_sem *s;
    leat_ctx ctx;
    int64_t need;
    side side;
};

static int acquire_in_queue(void *arg)
{
    struct impatient *p = arg;
    return leat_acquire_ctx(&p->ctx, p->s, p->need);
}

/* There are permits for the small request all the time. Only the requests before it, each too large, hold it up. */
TEST(when_the_last_large_request_in_front_is_cancelled_the_small_one_is_served)
{
    enum { QUEUE = 6 };
    for (int k = 0; k < tap_rounds(40); k++) {
        leat_sem s = LEAT_SEM(10);
        struct impatient queue[QUEUE];
        uint64_t rng = tap_seed(k);
        int order[QUEUE - 1];
        REQUIRE_EQ(leat_acquire(&s, 5), 0);
        for (int i = 0; i < QUEUE; i++) {
            queue[i] = (struct impatient){ .s = &s, .need = i < QUEUE - 1 ? 6 + i % 5 : 5 };
            if (i == QUEUE - 1) { /* behind one that has waited for too long, it waits, although there is enough */
                UNTIL(leat_now() - ((leat_sem_waiter_ *)(void *)s.waiters_.first_)->since_ >= LEAT_PATIENCE_);
                CHECK_EQ(leat_try_acquire(&s, 5), -EAGAIN);
            }
            side_start(&queue[i].side, acquire_in_queue, &queue[i]);
            UNTIL(peek_sem(&s) == i + 1);
        }
        for (int i = 0; i < QUEUE - 1; i++) { /* in any order */
            int at = tap_below(&rng, i + 1);
            order[i] = order[at];
            order[at] = i;
        }
        for (int i = 0; i < QUEUE - 1; i++) {
            CHECK_EQ(leat_sem_available(&s), 5);
            leat_cancel(&queue[order[i]].ctx, 1);
            CHECK_EQ(side_join(&queue[order[i]].side), -ECANCELED);
        }
        CHECK_EQ(side_join(&queue[QUEUE - 1].side), 0);
        CHECK_EQ(leat_sem_available(&s), 0);
        CHECK_EQ(leat_release(&s, 10), 0);
    }
}

/* ==== A group whose tasks share something ===================================================== */

struct shared {
    leat_group g;
    leat_sem s;
    _Atomic int active, held, worst_active, worst_held, ran;
    _Atomic int fuse; /* after how many more acquires a task fails with what it was given */
};

enum { PERMITS = 5, LIMIT = 7 };

/* Holds some permits for a moment, again and again, until this or another task fails. */
static int use_permits(leat_ctx *ctx, void *arg)
{
    struct shared *x = arg;
    int me = atomic_fetch_add_explicit(&x->ran, 1, memory_order_relaxed) + 1, err = 0;
    most(&x->worst_active, atomic_fetch_add_explicit(&x->active, 1, memory_order_relaxed) + 1);
    for (int k = 0; !err && k < 20; k++) {
        int n = 1 + (me + k) % PERMITS;
        if ((err = leat_acquire_ctx(ctx, &x->s, n)) != 0) break;
        most(&x->worst_held, atomic_fetch_add_explicit(&x->held, n, memory_order_relaxed) + n);
        leat_os_yield_();
        atomic_fetch_sub_explicit(&x->held, n, memory_order_relaxed);
        if (atomic_fetch_sub_explicit(&x->fuse, 1, memory_order_relaxed) == 1) err = 1000 + me;
        CHECK_EQ(leat_release(&x->s, n), 0);
    }
    atomic_fetch_sub_explicit(&x->active, 1, memory_order_relaxed);
    return err;
}

TEST(when_one_task_fails_all_permits_come_back_and_its_error_is_the_result_and_the_cause)
{
    uint64_t rng = tap_seed(1);
    for (int k = 0; k < tap_rounds(30); k++) {
        struct shared x = { .g = LEAT_GROUP(NULL), .s = LEAT_SEM(PERMITS), .fuse = 1 + tap_below(&rng, 300) };
        int err = 0, started = 0;
        CHECK_EQ(leat_group_limit(&x.g, LIMIT), 0);
        while ((err = leat_go(&x.g, use_permits, &x)) == 0) started++;
        CHECK_EQ(err, -ECANCELED);
        err = leat_wait(&x.g);
        CHECK(err > 1000 && err <= 1000 + started);
        CHECK_EQ(leat_ctx_cause(leat_group_ctx(&x.g)), err);
        CHECK_EQ(leat_wait(&x.g), err);
        CHECK_EQ(x.ran, started);
        CHECK(x.worst_active <= LIMIT);
        CHECK(x.worst_held <= PERMITS);
        CHECK_EQ(leat_sem_available(&x.s), PERMITS);
        CHECK_EQ(peek_sem(&x.s), 0);
    }
}

static int fails_with(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return (int)(intptr_t)arg;
}

static int fails_at_the_door(leat_ctx *ctx, void *arg)
{
    static _Atomic int next;
    (void)ctx;
    door_pass(arg);
    return 1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
}

TEST(of_many_tasks_that_fail_at_once_all_callers_get_the_same_error_and_none_is_forgotten)
{
    enum { N = 12 };
    for (int k = 0; k < tap_rounds(200); k++) {
        leat_group g = LEAT_GROUP(NULL);
        door d = { 0 };
        REQUIRE_EQ(leat_go_n(&g, N, fails_at_the_door, &d), 0);
        door_until(&d, N);
        door_open(&d);
        UNTIL(leat_ctx_err(leat_group_ctx(&g)));
        int cause = leat_ctx_cause(leat_group_ctx(&g));
        CHECK_EQ(leat_go(&g, fails_with, (void *)(intptr_t)-5), -ECANCELED); /* too late to be the first */
        CHECK_EQ(leat_wait(&g), cause);
        CHECK(cause > 0);
        CHECK_EQ(leat_ctx_cause(leat_group_ctx(&g)), cause);
        CHECK_EQ(leat_group_errors(&g), N);
    }
}

/* ---- A thousand tasks, half of them started by others -------------------------------------------- */

struct tree {
    leat_group g;
    _Atomic int active, worst, ran, refused;
};

static int branch(leat_ctx *ctx, void *arg)
{
    struct tree *t = arg;
    (void)ctx;
    most(&t->worst, atomic_fetch_add_explicit(&t->active, 1, memory_order_relaxed) + 1);
    if (atomic_fetch_add_explicit(&t->ran, 1, memory_order_relaxed) < 500) {
        int err = leat_try_go(&t->g, branch, t);
        CHECK(err == 0 || err == -EAGAIN);
        atomic_fetch_add_explicit(&t->refused, err != 0, memory_order_relaxed);
    }
    leat_os_yield_();
    atomic_fetch_sub_explicit(&t->active, 1, memory_order_relaxed);
    return 0;
}

TEST(of_a_thousand_tasks_never_more_run_than_the_limit_whichever_thread_starts_them)
{
    static const int limits[] = { 1, 2, 10 };
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        struct tree t = { .g = LEAT_GROUP(NULL) };
        CHECK_EQ(leat_group_limit(&t.g, limits[k]), 0);
        for (int i = 0; i < 500; i++) CHECK_EQ(leat_go(&t.g, branch, &t), 0);
        CHECK_EQ(leat_wait(&t.g), 0);
        CHECK(t.worst <= limits[k]);
        CHECK_EQ(t.active, 0);
        CHECK(t.ran + t.refused >= 500 + 500 - (t.ran < 500));
        CHECK(t.ran >= 500 && t.ran <= 1000);
    }
}
