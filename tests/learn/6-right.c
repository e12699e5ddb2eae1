/* Exercise 6: a fence between the store and the load, in both threads. */
#include "learn.h"

static _Atomic uint32_t items, asleep;

static void queue_send(void)
{
    atomic_fetch_add_explicit(&items, 1, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst); /* the sender's */
    if (atomic_load_explicit(&asleep, memory_order_acquire)) {
        atomic_store_explicit(&asleep, 0, memory_order_release);
        wake(&asleep, 1);
    }
}

static void queue_recv(void)
{
    while (atomic_load_explicit(&items, memory_order_acquire) == 0) {
        atomic_store_explicit(&asleep, 1, memory_order_release);
        atomic_thread_fence(memory_order_seq_cst); /* the receiver's */
        if (atomic_load_explicit(&items, memory_order_acquire) != 0) break;
        park(&asleep, 1);
    }
    atomic_fetch_sub_explicit(&items, 1, memory_order_acquire);
}
