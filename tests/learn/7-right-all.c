/* Exercise 7: wakes all of them each time. */
#include "learn.h"

enum { WAITERS = 1, MESSAGE = 2 }; /* the word is WAITERS, and MESSAGE times the number of messages */

static _Atomic uint32_t word;

#define CAS(from, to) atomic_compare_exchange_weak_explicit(&word, from, to, memory_order_acq_rel, memory_order_relaxed)

/* Adds a message, takes the bit away, and wakes one receiver if the bit was there. */
static void queue_send(void)
{
    uint32_t w = atomic_load_explicit(&word, memory_order_relaxed);
    while (!CAS(&w, (w & ~(uint32_t)WAITERS) + MESSAGE)) continue;
    if (w & WAITERS) wake(&word, INT_MAX);
}

static void queue_recv(void)
{
    uint32_t w = atomic_load_explicit(&word, memory_order_relaxed);
    for (;;) {
        if (w >= MESSAGE) {
            if (CAS(&w, w - MESSAGE)) return;
        } else if (CAS(&w, WAITERS)) {
            park(&word, WAITERS);
            w = atomic_load_explicit(&word, memory_order_relaxed);
        }
    }
}
