/* Exercise 7: a receiver that was woken puts the bit back with its own claim, because others may sleep, and wakes the
 * next if it leaves messages behind. */
#include "learn.h"

enum { WAITERS = 1, MESSAGE = 2 };

static _Atomic uint32_t word;

#define CAS(from, to) atomic_compare_exchange_weak_explicit(&word, from, to, memory_order_acq_rel, memory_order_relaxed)

static void queue_send(void)
{
    uint32_t w = atomic_load_explicit(&word, memory_order_relaxed);
    while (!CAS(&w, (w & ~(uint32_t)WAITERS) + MESSAGE)) continue;
    if (w & WAITERS) wake(&word, 1);
}

static void queue_recv(void)
{
    uint32_t w = atomic_load_explicit(&word, memory_order_relaxed), slept = 0;
    for (;;) {
        if (w >= MESSAGE) {
            if (!CAS(&w, (w - MESSAGE) | slept)) continue;
            if (slept && w - MESSAGE >= MESSAGE) wake(&word, 1);
            return;
        }
        if (CAS(&w, WAITERS)) {
            park(&word, WAITERS);
            slept = WAITERS;
            w = atomic_load_explicit(&word, memory_order_relaxed);
        }
    }
}
