/* Exercise 6. A receiver that finds nothing sleeps. Of the queue only the number of messages is left, `items`. The word
 * `asleep` tells the sender to wake the receiver. There is one of each. Every store is a release, and every load an
 * acquire. Still the receiver may sleep for ever beside a message. Mend it. */
#include "learn.h"

static _Atomic uint32_t items, asleep;

static void queue_send(void)
{
    atomic_fetch_add_explicit(&items, 1, memory_order_release);
    if (atomic_load_explicit(&asleep, memory_order_acquire)) {
        atomic_store_explicit(&asleep, 0, memory_order_release);
        wake(&asleep, 1);
    }
}

static void queue_recv(void)
{
    while (atomic_load_explicit(&items, memory_order_acquire) == 0) {
        atomic_store_explicit(&asleep, 1, memory_order_release);
        if (atomic_load_explicit(&items, memory_order_acquire) != 0) break; /* look again */
        park(&asleep, 1);
    }
    atomic_fetch_sub_explicit(&items, 1, memory_order_acquire);
}
