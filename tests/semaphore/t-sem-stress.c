/* t-sem-stress.c - whatever is mixed (cancels, time-outs, tries, resizes, a close), permits are conserved, and no
 * thread stays parked while there are permits for it.
 * SPDX-License-Identifier: MIT */
#include "peek.h"

enum { THREADS = 6, MOST = 6 };

struct mix {
    leat_sem s;
    leat_ctx *shared; /* cancelled now and then. Then a new one is made */
    _Atomic int out, size, worst, running;
    bool resizes, closes;
    int rounds;
};

static void hold(struct mix *m, uint64_t *rng, int n)
{
    int out = atomic_fetch_add_explicit(&m->out, n, memory_order_relaxed) + n;
    if (!m->resizes && out > MOST) atomic_store_explicit(&m->worst, out, memory_order_relaxed);
    int what = tap_below(rng, 16);
    if (what == 0) leat_sleep(LEAT_US(50));
    else if (what < 4) leat_os_yield_();
    atomic_fetch_sub_explicit(&m->out, n, memory_order_relaxed);
    CHECK_EQ(leat_release(&m->s, n), 0);
}

static void mixed(int i, void *arg)
{
    struct mix *m = arg;
    uint64_t rng = tap_seed(i);
    int shrunk = 0;
    for (int k = 0; k < m->rounds; k++) {
        int n = 1 + tap_below(&rng, MOST - 2), err = 0;
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(tap_below(&rng, 300)));
        leat_ctx cancelled = LEAT_CTX(NULL);
        switch (tap_below(&rng, 8)) {
        case 0: err = leat_try_acquire(&m->s, n); break;
        case 1: err = leat_acquire_ctx(&soon, &m->s, n); break;
        case 2:
            leat_cancel(&cancelled, 1);
            err = leat_acquire_ctx(&cancelled, &m->s, n);
            CHECK(err == -ECANCELED);
            break;
        case 3:
            if (m->resizes && i < 2) {
                int by = shrunk ? shrunk : -(1 + tap_below(&rng, 1));
                CHECK_EQ(leat_sem_resize(&m->s, by), 0);
                shrunk = shrunk ? 0 : -by;
            }
            continue;
        case 4:
            if (m->closes && i == 0 && k == m->rounds / 2) CHECK_EQ(leat_sem_close(&m->s), 0);
            continue;
        default: err = leat_acquire(&m->s, n); break;
        }
        if (!err) hold(m, &rng, n);
        else if (!CHECK(err == -EAGAIN || err == -ETIMEDOUT || err == -ECANCELED || (m->closes && err == -EPIPE))) break;
    }
    if (shrunk) CHECK_EQ(leat_sem_resize(&m->s, shrunk), 0);
    if (m->closes && i == 0) (void)leat_sem_close(&m->s);
}

static void mix(bool resizes, bool closes)
{
    struct mix m = { .s = LEAT_SEM(MOST), .resizes = resizes, .closes = closes, .rounds = tap_rounds(10000) };
    tap_threads(THREADS, mixed, &m);
    CHECK_EQ(m.worst, 0);
    CHECK_EQ(leat_sem_available(&m.s), MOST);
    CHECK_EQ(leat_release(&m.s, 1), -EOVERFLOW);
    CHECK_EQ(peek_sem(&m.s), 0);
    CHECK_EQ(leat_try_acquire(&m.s, MOST), 0);
}

TEST(permits_are_conserved_under_tries_time_outs_and_cancels)
{
    mix(false, false);
}

TEST(permits_are_conserved_while_the_size_changes)
{
    mix(true, false);
}

TEST(permits_are_conserved_when_it_is_closed_half_way)
{
    mix(true, true);
}

/* A thread cancels acquires of the others that are parked. Their hints must go on to those that stay. Two permits go
 * round, and every thread must get them again and again. */
struct storm {
    leat_sem s;
    _Atomic(leat_ctx *) victim[THREADS];
    _Atomic int running;
    _Atomic int got;
};

static void stormy(int i, void *arg)
{
    struct storm *m = arg;
    uint64_t rng = tap_seed(100 + i);
    if (i == 0) { /* the thread that cancels */
        while (atomic_load_explicit(&m->running, memory_order_relaxed)) {
            leat_ctx *v = atomic_exchange_explicit(&m->victim[tap_below(&rng, THREADS)], NULL, memory_order_acquire);
            leat_cancel(v, 1);
            leat_os_yield_();
        }
        return;
    }
    for (int k = 0; k < tap_rounds(20000); k++) {
        leat_ctx ctx = LEAT_CTX(NULL);
        bool may_be_cancelled = i > THREADS / 2;
        if (may_be_cancelled) atomic_store_explicit(&m->victim[i], &ctx, memory_order_release);
        int n = 1 + tap_below(&rng, 2);
        int err = leat_acquire_ctx(&ctx, &m->s, n);
        if (may_be_cancelled && !atomic_exchange_explicit(&m->victim[i], NULL, memory_order_acquire))
            UNTIL(leat_ctx_err(&ctx)); /* it is up to the thread that cancels */
        if (!err) {
            if (k % 16 == 0) leat_os_yield_();
            CHECK_EQ(leat_release(&m->s, n), 0);
        } else {
            CHECK(may_be_cancelled && err == -ECANCELED);
        }
    }
    atomic_fetch_sub_explicit(&m->running, 1, memory_order_relaxed);
}

TEST(an_acquire_that_is_not_cancelled_is_served_although_others_are)
{
    struct storm m = { .s = LEAT_SEM(2), .running = THREADS - 1 };
    tap_threads(THREADS, stormy, &m);
    CHECK_EQ(leat_sem_available(&m.s), 2);
    CHECK_EQ(peek_sem(&m.s), 0);
}
