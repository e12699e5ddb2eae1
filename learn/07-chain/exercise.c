/* Exercise 7. The one word of step 6: the number of messages, and the bit WAITERS. With two senders and two receivers,
 * a receiver may sleep for ever beside a message. All memory orders are right. Mend the protocol. (Waking all threads
 * each time is right, too, and slow. Do better if you can.) */
#include "learn.h"

enum { WAITERS = 1, MESSAGE = 2 }; /* the word is WAITERS, and MESSAGE times the number of messages */

static _Atomic uint32_t word;

#define CAS(from, to) atomic_compare_exchange_weak_explicit(&word, from, to, memory_order_acq_rel, memory_order_relaxed)

/* Adds a message, takes the bit away, and wakes one receiver if the bit was there. */
static void queue_send(void)
{
    uint32_t w = atomic_load_explicit(&word, memory_order_relaxed);
    while (!CAS(&w, (w & ~(uint32_t)WAITERS) + MESSAGE)) continue;
    if (w & WAITERS) wake(&word, 1);
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
