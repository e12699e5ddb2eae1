/* vyukov.h - the floor: D. Vyukov's bounded queue (2010) of 8-byte messages and nothing else. It
 * cannot wait, close or be cancelled, and its capacity is a power of two. Two locked operations,
 * one to send and one to receive, are the least that many senders and receivers can do with.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_VYUKOV_H
#define BENCH_VYUKOV_H

#include "harness.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct vyukov_slot {
    _Atomic size_t turn; /* position: free for it; position + 1: holds its message */
    uint64_t msg;
};

struct vyukov {
    struct vyukov_slot *slots;
    size_t mask;
    char pad0[64];
    _Atomic size_t tail;
    char pad1[64];
    _Atomic size_t head;
    char pad2[64];
};

static inline int vyukov_make(struct vyukov *q, size_t cap)
{
    q->mask = cap - 1;
    q->slots = cap && !(cap & q->mask) ? calloc(cap, sizeof *q->slots) : NULL;
    if (!q->slots) return -EINVAL;
    for (size_t i = 0; i < cap; i++) atomic_init(&q->slots[i].turn, i);
    atomic_init(&q->tail, 0);
    atomic_init(&q->head, 0);
    return 0;
}

static inline void vyukov_free(struct vyukov *q) { free(q->slots); }

/* 0, or -EAGAIN if it was full. */
INLINE int vyukov_try_send(struct vyukov *q, uint64_t msg)
{
    size_t t = atomic_load_explicit(&q->tail, memory_order_relaxed);
    for (;;) {
        struct vyukov_slot *s = &q->slots[t & q->mask];
        ptrdiff_t ahead = (ptrdiff_t)(atomic_load_explicit(&s->turn, memory_order_acquire) - t);
        if (ahead < 0) return -EAGAIN;
        if (ahead > 0) {
            t = atomic_load_explicit(&q->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&q->tail, &t, t + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            s->msg = msg;
            atomic_store_explicit(&s->turn, t + 1, memory_order_release);
            return 0;
        }
    }
}

/* 0, or -EAGAIN if it was empty. */
INLINE int vyukov_try_recv(struct vyukov *q, uint64_t *msg)
{
    size_t h = atomic_load_explicit(&q->head, memory_order_relaxed);
    for (;;) {
        struct vyukov_slot *s = &q->slots[h & q->mask];
        ptrdiff_t ahead =
            (ptrdiff_t)(atomic_load_explicit(&s->turn, memory_order_acquire) - (h + 1));
        if (ahead < 0) return -EAGAIN;
        if (ahead > 0) {
            h = atomic_load_explicit(&q->head, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&q->head, &h, h + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            *msg = s->msg;
            atomic_store_explicit(&s->turn, h + q->mask + 1, memory_order_release);
            return 0;
        }
    }
}

#endif
