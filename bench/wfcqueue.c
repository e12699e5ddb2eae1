/* wfcqueue.c - liburcu's wait-free concatenated queue; receivers share its lock. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#define _LGPL_SOURCE
#include <urcu/wfcqueue.h>

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE
#define UNBOUNDED

struct node {
    struct cds_wfcq_node link;
    msg m;
};

struct queue {
    struct cds_wfcq_head head;
    char pad[128];
    struct cds_wfcq_tail tail;
};

static inline void queue_new(struct queue *q, size_t cap)
{
    (void)cap;
    cds_wfcq_init(&q->head, &q->tail);
}

static inline void queue_free(struct queue *q)
{
    cds_wfcq_destroy(&q->head, &q->tail);
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    struct node *n = malloc(sizeof *n);
    n->m = m;
    cds_wfcq_node_init(&n->link);
    cds_wfcq_enqueue(&q->head, &q->tail, &n->link);
    return true;
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    if (cds_wfcq_empty(&q->head, &q->tail)) return false;
    struct cds_wfcq_node *link = cds_wfcq_dequeue_blocking(&q->head, &q->tail);
    if (!link) return false;
    struct node *n = caa_container_of(link, struct node, link);
    *m = n->m;
    free(n);
    return true;
}

#include "works.h"
