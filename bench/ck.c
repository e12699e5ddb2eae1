/* ck.c - Concurrency Kit's ring for many producers and consumers. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <ck_ring.h>

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE

CK_RING_PROTOTYPE(msg, msg)

struct queue {
    ck_ring_t ring;
    msg *slots;
};

static inline void queue_new(struct queue *q, size_t cap)
{
    unsigned n = 4;
    while (n <= cap) n *= 2; /* it holds one less */
    q->slots = calloc(n, sizeof *q->slots);
    ck_ring_init(&q->ring, n);
}

static inline void queue_free(struct queue *q)
{
    free(q->slots);
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    return CK_RING_ENQUEUE_MPMC(msg, &q->ring, q->slots, &m);
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    return CK_RING_DEQUEUE_MPMC(msg, &q->ring, q->slots, m);
}

#include "works.h"
