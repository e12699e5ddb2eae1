/* lfqueue.c - liburcu's lock-free queue. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#define _LGPL_SOURCE
#include <urcu.h>
#include <urcu/rculfqueue.h>

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE
#define UNBOUNDED
#define THREADS

struct node {
    struct cds_lfq_node_rcu link;
    struct rcu_head rcu;
    msg m;
};

struct queue {
    struct cds_lfq_queue_rcu q;
};

static inline void queue_new(struct queue *q, size_t cap)
{
    (void)cap;
    cds_lfq_init_rcu(&q->q, call_rcu);
}

static inline void queue_free(struct queue *q)
{
    rcu_barrier(); /* what is still to be freed must not disturb the next contestant */
    rcu_register_thread();
    cds_lfq_destroy_rcu(&q->q);
    rcu_unregister_thread();
}

static __thread int entered;

INLINE void queue_enter(struct queue *q)
{
    (void)q;
    if (!entered++) rcu_register_thread();
}

INLINE void queue_leave(struct queue *q)
{
    (void)q;
    if (!--entered) rcu_unregister_thread();
}

static void node_free(struct rcu_head *rcu)
{
    free(caa_container_of(rcu, struct node, rcu));
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    struct node *n = malloc(sizeof *n);
    n->m = m;
    cds_lfq_node_init_rcu(&n->link);
    rcu_read_lock();
    cds_lfq_enqueue_rcu(&q->q, &n->link);
    rcu_read_unlock();
    return true;
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    rcu_read_lock();
    struct cds_lfq_node_rcu *link = cds_lfq_dequeue_rcu(&q->q);
    rcu_read_unlock();
    if (!link) return false;
    struct node *n = caa_container_of(link, struct node, link);
    *m = n->m;
    call_rcu(&n->rcu, node_free);
    return true;
}

#include "works.h"
