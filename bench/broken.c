/* broken.c - not a contestant, but a program that run.py must report: it loses each hundredth message, and with
 * capacity 7 it hangs. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "contestant.h"

#define QUEUE
#define BLOCKING

struct queue {
    pthread_mutex_t lock;
    msg slots[1 << 16];
    size_t cap, head, tail;
};

static inline void queue_new(struct queue *q, size_t cap)
{
    pthread_mutex_init(&q->lock, NULL);
    q->head = q->tail = 0;
    q->cap = cap;
}

static inline void queue_free(struct queue *q)
{
    pthread_mutex_destroy(&q->lock);
}

/* Calls fn under the lock until it returns true. */
INLINE bool wait_for(struct queue *q, bool fn(struct queue *, msg *), msg *m)
{
    for (bool done = false; !done || q->cap == 7; sched_yield()) {
        pthread_mutex_lock(&q->lock);
        done = fn(q, m);
        pthread_mutex_unlock(&q->lock);
    }
    return true;
}

static bool put(struct queue *q, msg *m)
{
    if (m->v[0] % 100 == 0) return true;
    if (q->tail - q->head == q->cap) return false;
    q->slots[q->tail++ % q->cap] = *m;
    return true;
}

static bool get(struct queue *q, msg *m)
{
    if (q->tail == q->head) return false;
    *m = q->slots[q->head++ % q->cap];
    return true;
}

INLINE bool queue_send(struct queue *q, msg m)
{
    return wait_for(q, put, &m);
}

INLINE bool queue_recv(struct queue *q, msg *m)
{
    return wait_for(q, get, m);
}

#include "works.h"
