/* Exercise 4. Vyukov's ring says "full" when the next slot is not free yet. That is not the same: a receiver may have
 * claimed that slot, and not have freed it. Make "full" exact: ring_send returns false only if there was an instant,
 * during the call, at which the ring held CAPACITY messages or claims. */
#include "learn.h"

enum { CAPACITY = 2 };

static struct {
    _Atomic uint32_t seq;
    int message;
} slot[CAPACITY];
static _Atomic uint32_t head, tail;

static void ring_init(void)
{
    for (uint32_t i = 0; i < CAPACITY; i++) atomic_init(&slot[i].seq, i);
}

/* False: the ring is full. */
static bool ring_send(int message)
{
    uint32_t t = atomic_load_explicit(&tail, memory_order_relaxed);
    for (;;) {
        uint32_t seq = atomic_load_explicit(&slot[t % CAPACITY].seq, memory_order_acquire);
        if (seq == t) { /* free: claim it. A failed compare-exchange reads tail again */
            if (atomic_compare_exchange_weak_explicit(&tail, &t, t + 1, memory_order_relaxed, memory_order_relaxed)) break;
        } else if ((int32_t)(seq - t) < 0) { /* not free yet */
            return false;
        } else { /* another sender has claimed it */
            t = atomic_load_explicit(&tail, memory_order_relaxed);
        }
    }
    slot[t % CAPACITY].message = message;
    atomic_store_explicit(&slot[t % CAPACITY].seq, t + 1, memory_order_release);
    return true;
}

/* Waits for a message. */
static int ring_recv(void)
{
    uint32_t h = atomic_load_explicit(&head, memory_order_relaxed);
    for (;;) {
        uint32_t seq = atomic_load_explicit(&slot[h % CAPACITY].seq, memory_order_acquire);
        if (seq == h + 1) {
            if (atomic_compare_exchange_weak_explicit(&head, &h, h + 1, memory_order_relaxed, memory_order_relaxed)) break;
        } else {
            if ((int32_t)(seq - (h + 1)) < 0) relax();
            h = atomic_load_explicit(&head, memory_order_relaxed);
        }
    }
    int message = slot[h % CAPACITY].message;
    atomic_store_explicit(&slot[h % CAPACITY].seq, h + CAPACITY, memory_order_release);
    return message;
}
