/* t-cancelled-first.c - a context that was cancelled first wins over whatever came after it, in every call that takes
 * one. A thread X cancels, and then sends (receives, closes, releases, counts down). A thread W that waits under the
 * context, or comes just then, returns -ECANCELED and takes nothing. SPDX-License-Identifier: MIT */
#include "semaphore.h"
#include "staging.h"

enum { ROUNDS = 1500 };

static struct stage {
    leat_ctx above, ctx;
    int_chan c, d;
    leat_sem sem;
    leat_wg wg;
    int msg[4];
} s;

static int m_;

static int recvs(void)
{
    return leat_recv_ctx(&s.ctx, &s.c, s.msg);
}
static int sends(void)
{
    return leat_send_ctx(&s.ctx, &s.c, s.msg);
}
static int recvs_many(void)
{
    return (int)leat_recv_many_ctx(&s.ctx, &s.c, s.msg, 3);
}
static int sends_many(void)
{
    return (int)leat_send_many_ctx(&s.ctx, &s.c, s.msg, 3);
}
static int acquires(void)
{
    return leat_acquire_ctx(&s.ctx, &s.sem, 1);
}
static int waits(void)
{
    return leat_wg_wait_ctx(&s.ctx, &s.wg);
}

static int selects(void)
{
    leat_case cases[] = { LEAT_RECV(&s.c, &s.msg[0]), LEAT_RECV(&s.d, &s.msg[1]) };
    return leat_select_ctx(&s.ctx, cases, 2);
}

static int selects_sends(void)
{
    leat_case cases[] = { LEAT_RECV(&s.d, &s.msg[0]), LEAT_SEND(&s.c, &s.msg[1]) };
    return leat_select_ctx(&s.ctx, cases, 2);
}

/* What X does after the cancel. It never waits. */
static void send_one(void)
{
    (void)!leat_try_send(&s.c, &m_);
}
static void send_three(void)
{
    (void)!leat_try_send_many(&s.c, ((int[]){ 1, 2, 3 }), 3);
}
static void recv_one(void)
{
    (void)!leat_try_recv(&s.c, &m_);
}
static void recv_three(void)
{
    (void)!leat_try_recv_many(&s.c, s.msg, 3);
}
static void close_it(void)
{
    leat_close(&s.c);
}
static void release(void)
{
    leat_release(&s.sem, 1);
}
static void close_sem(void)
{
    leat_sem_close(&s.sem);
}
static void count_down(void)
{
    leat_wg_done(&s.wg);
}

static struct {
    int (*call)(void);
    _Atomic int round, began, over;
    int answer;
} w;

static void plays_w(void *arg)
{
    (void)arg;
    for (int i = 1;; i++) {
        UNTIL(atomic_load_explicit(&w.round, memory_order_acquire) >= i);
        if (!w.call) return;
        atomic_store_explicit(&w.began, i, memory_order_release);
        w.answer = w.call();
        atomic_store_explicit(&w.over, i, memory_order_release);
    }
}

static void cancelled_first(size_t cap, bool full, int (*call)(void), void (*then)(void))
{
    struct actor a;
    uint64_t rng = tap_seed(0);
    int wrong = 0, rounds = tap_rounds(ROUNDS);
    atomic_store_explicit(&w.round, 0, memory_order_relaxed);
    enter(&a, plays_w, NULL);
    for (int i = 1; i <= rounds; i++) {
        s.above = (leat_ctx)LEAT_CTX(NULL);
        s.ctx = (leat_ctx)LEAT_CTX(&s.above);
        s.sem = (leat_sem)LEAT_SEM_OF(0, 1);
        s.wg = (leat_wg)LEAT_WG(1);
        REQUIRE_EQ(leat_make(&s.c, cap), 0);
        REQUIRE_EQ(leat_make(&s.d, cap), 0);
        for (size_t k = 0; full && k < cap; k++) REQUIRE_EQ(leat_try_send(&s.c, &m_), 0);
        w.call = call;
        atomic_store_explicit(&w.round, i, memory_order_release);
        if (tap_below(&rng, 8)) UNTIL(atomic_load_explicit(&w.began, memory_order_acquire) == i);
        for (int n = tap_below(&rng, 4) ? tap_below(&rng, 200) : tap_below(&rng, 4000); n; n--) leat_os_pause_();
        leat_cancel(tap_below(&rng, 2) ? &s.ctx : &s.above, 7);
        then();
        UNTIL(atomic_load_explicit(&w.over, memory_order_acquire) == i);
        wrong += w.answer != -ECANCELED;
        leat_free(&s.c);
        leat_free(&s.d);
    }
    w.call = NULL;
    atomic_store_explicit(&w.round, rounds + 1, memory_order_release);
    leave(&a);
    CHECK_EQ(wrong, 0);
    atomic_store_explicit(&w.began, 0, memory_order_relaxed);
    atomic_store_explicit(&w.over, 0, memory_order_relaxed);
}

TEST(I8_a_receive_takes_no_message_that_was_sent_after_the_cancel)
{
    cancelled_first(1, false, recvs, send_one);
    cancelled_first(3, false, recvs, send_one);
}

TEST(I8_a_receive_pairs_with_no_sender_that_came_after_the_cancel)
{
    cancelled_first(0, false, recvs, send_one);
}

TEST(I8_a_receive_reports_no_close_that_came_after_the_cancel)
{
    cancelled_first(0, false, recvs, close_it);
    cancelled_first(1, false, recvs, close_it);
}

TEST(I8_a_send_takes_no_room_that_was_made_after_the_cancel)
{
    cancelled_first(1, true, sends, recv_one);
    cancelled_first(3, true, sends, recv_one);
}

TEST(I8_a_send_pairs_with_no_receiver_that_came_after_the_cancel)
{
    cancelled_first(0, false, sends, recv_one);
}

TEST(I8_a_send_reports_no_close_that_came_after_the_cancel)
{
    cancelled_first(0, false, sends, close_it);
    cancelled_first(1, true, sends, close_it);
}

TEST(I8_a_batch_moves_nothing_that_came_after_the_cancel)
{
    cancelled_first(3, false, recvs_many, send_three);
    cancelled_first(3, true, sends_many, recv_three);
    cancelled_first(0, false, recvs_many, send_one);
    cancelled_first(0, false, sends_many, recv_one);
}

TEST(I8_a_select_does_nothing_that_became_ready_after_the_cancel)
{
    cancelled_first(1, false, selects, send_one);
    cancelled_first(0, false, selects, send_one);
    cancelled_first(1, false, selects, close_it);
    cancelled_first(1, true, selects_sends, recv_one);
    cancelled_first(0, false, selects_sends, recv_one);
}

TEST(I8_an_acquire_takes_no_permit_that_was_released_after_the_cancel)
{
    cancelled_first(0, false, acquires, release);
}

TEST(I8_an_acquire_reports_no_close_that_came_after_the_cancel)
{
    cancelled_first(0, false, acquires, close_sem);
}

TEST(I8_a_wait_for_zero_reports_no_zero_that_came_after_the_cancel)
{
    cancelled_first(0, false, waits, count_down);
}
