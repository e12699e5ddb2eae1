/* Exercise 6: one word. The bit and the count are changed by read-modify-writes, so one comes first. */
#include "learn.h"

enum { ASLEEP = 1, MESSAGE = 2 };
static _Atomic uint32_t word;

static void queue_send(void)
{
    uint32_t w = atomic_fetch_add_explicit(&word, MESSAGE, memory_order_release);
    if (w & ASLEEP) {
        atomic_fetch_and_explicit(&word, ~(uint32_t)ASLEEP, memory_order_relaxed);
        wake(&word, 1);
    }
}

static void queue_recv(void)
{
    for (;;) {
        uint32_t w = atomic_fetch_or_explicit(&word, ASLEEP, memory_order_acquire);
        if (w >= MESSAGE) break;
        park(&word, w | ASLEEP);
    }
    atomic_fetch_sub_explicit(&word, MESSAGE, memory_order_acquire);
}
