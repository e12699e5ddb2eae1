/* apr.c - the Apache Portable Runtime's queue and thread pool. SPDX-License-Identifier: MIT */
#include <apr_general.h>
#include <apr_queue.h>
#include <apr_thread_pool.h>

#include "contestant.h"

#define QUEUE
#define BLOCKING
#define TRY
#define POOL

struct queue {
    apr_pool_t *memory;
    apr_queue_t *q;
};

static inline apr_pool_t *memory_new(void)
{
    apr_pool_t *memory;
    apr_initialize();
    if (apr_pool_create(&memory, NULL)) wrong("apr_pool_create");
    return memory;
}

INLINE void queue_new(struct queue *q, size_t cap)
{
    q->memory = memory_new();
    if (apr_queue_create(&q->q, (unsigned)cap, q->memory)) wrong("apr_queue_create");
}

INLINE void queue_free(struct queue *q)
{
    apr_pool_destroy(q->memory);
}

/* "Try again": the thread was woken, and another was faster. */
INLINE bool queue_send(struct queue *q, msg m)
{
    int err;
    while ((err = apr_queue_push(q->q, (void *)(uintptr_t)m.v[0])) == APR_EINTR) continue;
    return !err;
}

INLINE bool queue_recv(struct queue *q, msg *m)
{
    void *number = NULL;
    int err;
    while ((err = apr_queue_pop(q->q, &number)) == APR_EINTR) continue;
    *m = msg_of((uintptr_t)number);
    return !err;
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    return apr_queue_trypush(q->q, (void *)(uintptr_t)m.v[0]) == 0;
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    void *number = NULL;
    int err = apr_queue_trypop(q->q, &number);
    *m = msg_of((uintptr_t)number);
    return !err;
}

static apr_pool_t *memory;
static apr_thread_pool_t *pool;

static void *APR_THREAD_FUNC runs(apr_thread_t *thread, void *number)
{
    (void)thread;
    job((uintptr_t)number >> 1);
    if ((uintptr_t)number & 1) answer_give();
    return NULL;
}

INLINE void pool_start(int workers, int cap)
{
    (void)cap;
    memory = memory_new();
    if (apr_thread_pool_create(&pool, (apr_size_t)workers, (apr_size_t)workers, memory)) wrong("apr_thread_pool_create");
}

INLINE void pool_submit(uint64_t number)
{
    apr_thread_pool_push(pool, runs, (void *)(uintptr_t)(number << 1), APR_THREAD_TASK_PRIORITY_NORMAL, NULL);
}

INLINE void pool_ask(uint64_t number)
{
    apr_thread_pool_push(pool, runs, (void *)(uintptr_t)(number << 1 | 1), APR_THREAD_TASK_PRIORITY_NORMAL, NULL);
    answer_await();
}

/* It has no call that drains. The call that destroys it drops what is queued. */
INLINE void pool_stop(void)
{
    while (apr_thread_pool_tasks_count(pool) || apr_thread_pool_busy_count(pool)) apr_sleep(50);
    apr_thread_pool_destroy(pool);
    apr_pool_destroy(memory);
}

#include "works.h"
