/* t-wake-last.c - a thread that wakes a waiter accesses nothing of the semaphore or wait group afterwards.
 * SPDX-License-Identifier: MIT
 *
 * The waker is held up right after the wake, as if it had been preempted there, until the woken thread has let the
 * memory go. So a late access does not depend on luck. */
#include "queue.h"

struct hold {
    _Atomic int on, woken, gone;
};

static struct hold hold_; /* for one waker at a time */

static void wake_and_stop(leat_node_ *chain)
{
    bool any = chain != NULL;
    leat_wake_all_(chain);
    if (any && atomic_load_explicit(&hold_.on, memory_order_relaxed))
        for (unsigned round = 0; !atomic_load_explicit(&hold_.gone, memory_order_acquire);) leat_backoff_(&round);
}

#define leat_wake_all_ wake_and_stop
#include "semaphore.h"
#undef leat_wake_all_

#include "peek.h"

enum { PATTERN = 0xA5 };

static bool untouched(const void *p, size_t n)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++)
        if (c[i] != PATTERN) return false;
    return true;
}

/* The woken thread lets the object go by filling it with a pattern. A thread that writes to it later spoils the
 * pattern. The object is static, not on a stack, so a thread that reads it later reads the pattern, and misbehaves. */
static leat_sem s;
static leat_wg w;

static int acquires(void *n)
{
    int err = leat_acquire(&s, (int64_t)(intptr_t)n);
    memset(&s, PATTERN, sizeof s);
    atomic_store_explicit(&hold_.gone, 1, memory_order_release);
    return err;
}

static int waits(void *unused)
{
    (void)unused;
    int err = leat_wg_wait(&w);
    memset(&w, PATTERN, sizeof w);
    atomic_store_explicit(&hold_.gone, 1, memory_order_release);
    return err;
}

static void begin(side *waiter, int64_t n, int64_t most)
{
    atomic_store_explicit(&hold_.on, 0, memory_order_relaxed);
    atomic_store_explicit(&hold_.gone, 0, memory_order_relaxed);
    s = (leat_sem)LEAT_SEM_OF(0, most);
    side_start(waiter, acquires, (void *)(intptr_t)n);
    UNTIL(peek_sem(&s) == 1);
    atomic_store_explicit(&hold_.on, 1, memory_order_relaxed);
}

TEST(S1_a_release_that_wakes)
{
    for (int k = 0; k < 20; k++) {
        side waiter;
        begin(&waiter, 2, 3);
        REQUIRE_EQ(leat_release(&s, 3), 0);
        REQUIRE(untouched(&s, sizeof s));
        REQUIRE_EQ(side_join(&waiter), 0);
    }
}

TEST(S1_a_release_that_hands_over)
{
    for (int k = 0; k < 5; k++) {
        side waiter;
        begin(&waiter, 2, 3);
        leat_sleep(LEAT_MS(2));
        REQUIRE_EQ(leat_try_acquire(&s, 1), -EAGAIN); /* finds that a thread has waited long: fair from now on */
        REQUIRE_EQ(leat_release(&s, 3), 0);
        REQUIRE(untouched(&s, sizeof s));
        REQUIRE_EQ(side_join(&waiter), 0);
    }
}

TEST(S1_a_resize_that_wakes)
{
    for (int k = 0; k < 20; k++) {
        side waiter;
        begin(&waiter, 1, 1);
        REQUIRE_EQ(leat_sem_resize(&s, 1), 0);
        REQUIRE(untouched(&s, sizeof s));
        REQUIRE_EQ(side_join(&waiter), 0);
    }
}

TEST(a_close_that_wakes)
{
    for (int k = 0; k < 20; k++) {
        side waiter;
        begin(&waiter, 1, 1);
        REQUIRE_EQ(leat_sem_close(&s), 0);
        REQUIRE(untouched(&s, sizeof s));
        REQUIRE_EQ(side_join(&waiter), -EPIPE);
    }
}

TEST(a_done_that_wakes)
{
    for (int k = 0; k < 20; k++) {
        side waiter;
        atomic_store_explicit(&hold_.on, 0, memory_order_relaxed);
        atomic_store_explicit(&hold_.gone, 0, memory_order_relaxed);
        w = (leat_wg)LEAT_WG(1);
        side_start(&waiter, waits, NULL);
        UNTIL(peek_wg(&w) == 1);
        atomic_store_explicit(&hold_.on, 1, memory_order_relaxed);
        REQUIRE_EQ(leat_wg_done(&w), 0);
        REQUIRE(untouched(&w, sizeof w));
        REQUIRE_EQ(side_join(&waiter), 0);
    }
}
