/* Exercise 4: a slot that is not free, and a ring that is full, are told apart by head. */
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

/* False: the ring is full. If the slot is not free, head tells whether a receiver is about to free it. head is read after
 * tail. So if it is CAPACITY behind, that is so at the instant at which it is read, as head only grows. Claims are
 * releases, and the looks are acquires: a thread that has seen a claim at one end knows all that came before it. */
static bool ring_send(int message)
{
    for (;;) {
        uint32_t t = atomic_load_explicit(&tail, memory_order_acquire);
        uint32_t seq = atomic_load_explicit(&slot[t % CAPACITY].seq, memory_order_acquire);
        if (seq == t) {
            if (!atomic_compare_exchange_weak_explicit(&tail, &t, t + 1, memory_order_acq_rel, memory_order_relaxed))
                continue;
            slot[t % CAPACITY].message = message;
            atomic_store_explicit(&slot[t % CAPACITY].seq, t + 1, memory_order_release);
            return true;
        }
        if ((int32_t)(seq - t) < 0) {
            uint32_t h = atomic_load_explicit(&head, memory_order_acquire);
            if (t - h == CAPACITY) return false;
            relax();
        }
    }
}

/* Waits for a message. */
static int ring_recv(void)
{
    uint32_t h = atomic_load_explicit(&head, memory_order_relaxed);
    for (;;) {
        uint32_t seq = atomic_load_explicit(&slot[h % CAPACITY].seq, memory_order_acquire);
        if (seq == h + 1) {
            if (atomic_compare_exchange_weak_explicit(&head, &h, h + 1, memory_order_acq_rel, memory_order_relaxed)) break;
        } else {
            if ((int32_t)(seq - (h + 1)) < 0) relax();
            h = atomic_load_explicit(&head, memory_order_relaxed);
        }
    }
    int message = slot[h % CAPACITY].message;
    atomic_store_explicit(&slot[h % CAPACITY].seq, h + CAPACITY, memory_order_release);
    return message;
}
