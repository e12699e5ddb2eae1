/* glib.c - GAsyncQueue and GThreadPool. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <glib.h>

#include "contestant.h"

#define QUEUE
#define BLOCKING
#define TRY
#define UNBOUNDED
#define POOL

struct queue {
    GAsyncQueue *q;
};

INLINE void queue_new(struct queue *q, size_t cap)
{
    (void)cap;
    q->q = g_async_queue_new();
}

INLINE void queue_free(struct queue *q)
{
    g_async_queue_unref(q->q);
}

INLINE bool queue_send(struct queue *q, msg m)
{
    g_async_queue_push(q->q, (gpointer)(uintptr_t)m.v[0]);
    return true;
}

INLINE bool queue_recv(struct queue *q, msg *m)
{
    *m = msg_of((uintptr_t)g_async_queue_pop(q->q));
    return true;
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    return queue_send(q, m);
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    *m = msg_of((uintptr_t)g_async_queue_try_pop(q->q));
    return m->v[0];
}

static GThreadPool *pool;

static void runs(gpointer number, gpointer unused)
{
    (void)unused;
    job((uintptr_t)number >> 1);
    if ((uintptr_t)number & 1) answer_give();
}

INLINE void pool_start(int workers, int cap)
{
    (void)cap;
    pool = g_thread_pool_new(runs, NULL, workers, TRUE, NULL);
}

INLINE void pool_submit(uint64_t number)
{
    g_thread_pool_push(pool, (gpointer)(uintptr_t)(number << 1), NULL);
}

INLINE void pool_ask(uint64_t number)
{
    g_thread_pool_push(pool, (gpointer)(uintptr_t)(number << 1 | 1), NULL);
    answer_await();
}

INLINE void pool_stop(void)
{
    g_thread_pool_free(pool, FALSE, TRUE);
}

#include "works.h"
