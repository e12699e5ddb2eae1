/* vyukov.c - the floor: D. Vyukov's bounded queue (2010) and nothing else. It cannot wait, close or be
 * cancelled. Two locked operations, one to send and one to receive, are the least that many senders and
 * receivers can do with. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE

struct slot {
    _Atomic size_t turn; /* position: free for it. position + 1: holds its message */
    msg m;
};

struct queue {
    struct slot *slots;
    size_t mask;
    char pad0[64];
    _Atomic size_t tail;
    char pad1[64];
    _Atomic size_t head;
    char pad2[64];
};

static inline void queue_new(struct queue *q, size_t cap)
{
    size_t n = 2; /* with one slot, full and empty look alike */
    while (n < cap) n *= 2;
    q->slots = calloc(n, sizeof *q->slots);
    q->mask = n - 1;
    for (size_t i = 0; i < n; i++) atomic_init(&q->slots[i].turn, i);
    atomic_init(&q->tail, 0);
    atomic_init(&q->head, 0);
}

static inline void queue_free(struct queue *q)
{
    free(q->slots);
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    size_t t = atomic_load_explicit(&q->tail, memory_order_relaxed);
    for (;;) {
        struct slot *s = &q->slots[t & q->mask];
        ptrdiff_t ahead = (ptrdiff_t)(atomic_load_explicit(&s->turn, memory_order_acquire) - t);
        if (ahead < 0) return false;
        if (ahead > 0) {
            t = atomic_load_explicit(&q->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&q->tail, &t, t + 1, memory_order_relaxed, memory_order_relaxed)) {
            s->m = m;
            atomic_store_explicit(&s->turn, t + 1, memory_order_release);
            return true;
        }
    }
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    size_t h = atomic_load_explicit(&q->head, memory_order_relaxed);
    for (;;) {
        struct slot *s = &q->slots[h & q->mask];
        ptrdiff_t ahead = (ptrdiff_t)(atomic_load_explicit(&s->turn, memory_order_acquire) - (h + 1));
        if (ahead < 0) return false;
        if (ahead > 0) {
            h = atomic_load_explicit(&q->head, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&q->head, &h, h + 1, memory_order_relaxed, memory_order_relaxed)) {
            *m = s->m;
            atomic_store_explicit(&s->turn, h + q->mask + 1, memory_order_release);
            return true;
        }
    }
}

#include "works.h"
