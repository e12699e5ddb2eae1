/* Exercise 5: one word. A send must win it against the close. */
#include "learn.h"
#include <errno.h>

enum { CLOSED = 1, MESSAGE = 2 };
static _Atomic uint32_t tail;

static int queue_send(void)
{
    uint32_t t = atomic_load_explicit(&tail, memory_order_relaxed);
    do {
        if (t & CLOSED) return -EPIPE;
    } while (!atomic_compare_exchange_weak_explicit(&tail, &t, t + MESSAGE, memory_order_release, memory_order_relaxed));
    return 0;
}

static void queue_close(void)
{
    atomic_fetch_or_explicit(&tail, CLOSED, memory_order_acq_rel);
}

static uint32_t queue_sent(void)
{
    return atomic_load_explicit(&tail, memory_order_acquire) / MESSAGE;
}
