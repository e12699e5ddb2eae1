/* rte.c - DPDK's ring, on plain memory. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <rte_ring.h>

#include "contestant.h"

#define QUEUE
#define TRY
#define BATCH
#define BY_VALUE

#ifndef RTE_FLAGS
#define RTE_FLAGS 0
#endif

struct queue {
    struct rte_ring *ring;
};

static inline void queue_new(struct queue *q, size_t cap)
{
    unsigned n = 2;
    while (n <= cap) n *= 2;
    size_t size = (size_t)rte_ring_get_memsize_elem(sizeof(msg), n);
    q->ring = aligned_alloc(128, (size + 127) / 128 * 128);
    if (rte_ring_init(q->ring, "ring", (unsigned)cap, RTE_FLAGS | RING_F_EXACT_SZ)) wrong("rte_ring_init");
}

static inline void queue_free(struct queue *q)
{
    free(q->ring);
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    return rte_ring_enqueue_elem(q->ring, &m, sizeof m) == 0;
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    return rte_ring_dequeue_elem(q->ring, m, sizeof *m) == 0;
}

INLINE size_t queue_send_some(struct queue *q, msg *m, size_t n)
{
    return rte_ring_enqueue_burst_elem(q->ring, m, sizeof *m, (unsigned)n, NULL);
}

INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n)
{
    return rte_ring_dequeue_burst_elem(q->ring, m, sizeof *m, (unsigned)n, NULL);
}

#include "works.h"
