/* leat.c - the toolkit itself. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "pool.h"

#include "contestant.h"

/* ---- queue.h --------------------------------------------------------------------------------- */

#define QUEUE
#define BLOCKING
#define TRY
#define CLOSES
#define BATCH
#define UNBUFFERED
#define BY_VALUE

#ifndef MSG_CHAN
#define MSG_CHAN LEAT_CHAN(msg)
#endif
typedef MSG_CHAN msg_chan;

struct queue {
    msg_chan c;
};

INLINE void queue_new(struct queue *q, size_t cap)
{
    if (leat_make(&q->c, cap)) wrong("leat_make");
}

INLINE void queue_free(struct queue *q)
{
    leat_free(&q->c);
}

INLINE bool queue_send(struct queue *q, msg m)
{
    return leat_send(&q->c, &m) == 0;
}

INLINE bool queue_recv(struct queue *q, msg *m)
{
    return leat_recv(&q->c, m) == 0;
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    return leat_try_send(&q->c, &m) == 0;
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    return leat_try_recv(&q->c, m) == 0;
}

INLINE size_t queue_send_some(struct queue *q, msg *m, size_t n)
{
    ptrdiff_t sent = leat_send_many(&q->c, m, n);
    return sent < 0 ? 0 : (size_t)sent;
}

INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n)
{
    ptrdiff_t got = leat_recv_many(&q->c, m, n);
    return got < 0 ? 0 : (size_t)got;
}

INLINE void queue_close(struct queue *q)
{
    leat_close(&q->c);
}

INLINE bool queue_is_over(struct queue *q)
{
    return leat_is_closed(&q->c) && !leat_len(&q->c);
}

#ifndef ONE_TO_ONE /* bench/leat-one.c: the queue alone */

#define SELECT

static msg_chan chans[64];
static leat_case cases[64];
static msg selected[64];
static int cases_n;

INLINE void select_new(int n, int cap)
{
    cases_n = n;
    for (int i = 0; i < n; i++) {
        if (leat_make(&chans[i], (size_t)cap)) wrong("leat_make");
        cases[i] = (leat_case)LEAT_RECV(&chans[i], &selected[i]);
    }
}

INLINE void select_free(void)
{
    for (int i = 0; i < cases_n; i++) leat_free(&chans[i]);
}

INLINE void select_send(int i, uint64_t number)
{
    msg m = msg_of(number);
    leat_send(&chans[i], &m);
}

INLINE int select_recv(uint64_t *number)
{
    int i = leat_select(cases, (size_t)cases_n);
    if (i < 0) {
        wrong("leat_select answered %d", i);
        return 0;
    }
    *number = selected[i].v[0];
    return i;
}

/* ---- semaphore.h ----------------------------------------------------------------------------- */

#define SEMAPHORE
#define WEIGHTED

static leat_sem sem __attribute__((aligned(128)));

INLINE void sem_new(int permits)
{
    sem = (leat_sem)LEAT_SEM(permits);
}

INLINE void sem_take(int n)
{
    leat_acquire(&sem, n);
}

INLINE void sem_give(int n)
{
    leat_release(&sem, n);
}

INLINE long sem_left(void)
{
    return (long)leat_sem_available(&sem);
}

/* ---- pool.h ---------------------------------------------------------------------------------- */

#define POOL
#define GROUP
#define CANCEL

static leat_pool pool;
static leat_sem answered;

static int runs(leat_ctx *ctx, void *number)
{
    (void)ctx;
    job((uint64_t)(uintptr_t)number);
    return 0;
}

static int answers(leat_ctx *ctx, void *number)
{
    runs(ctx, number);
    return leat_release(&answered, 1);
}

INLINE void pool_start(int workers, int cap)
{
    answered = (leat_sem)LEAT_SEM_OF(0, LEAT_SEM_MAX);
    if (leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = workers, .queue = cap })) wrong("leat_pool_start");
}

INLINE void pool_submit(uint64_t number)
{
    leat_submit(&pool, runs, (void *)(uintptr_t)number);
}

INLINE void pool_ask(uint64_t number)
{
    leat_submit(&pool, answers, (void *)(uintptr_t)number);
    leat_acquire(&answered, 1);
}

INLINE void pool_stop(void)
{
    leat_pool_stop(&pool);
}

static int one_task(leat_ctx *ctx, void *unused)
{
    (void)ctx;
    (void)unused;
    task();
    return 0;
}

INLINE void group_tasks(uint64_t n, int limit)
{
    leat_group g = LEAT_GROUP(NULL);
    leat_group_limit(&g, limit);
    for (uint64_t i = 0; i < n; i++) leat_go(&g, one_task, NULL);
    leat_wait(&g);
}

static uint64_t the_one_that_fails;

static int may_fail(leat_ctx *ctx, void *number)
{
    (void)ctx;
    return task_that_fails((uint64_t)(uintptr_t)number, the_one_that_fails);
}

INLINE void cancel_tasks(uint64_t n, uint64_t fail_at, int limit)
{
    leat_group g = LEAT_GROUP(NULL);
    the_one_that_fails = fail_at;
    leat_group_limit(&g, limit);
    for (uint64_t i = 0; i < n; i++)
        if (leat_go(&g, may_fail, (void *)(uintptr_t)i)) break;
    if (leat_wait(&g) != 5) wrong("the error was lost");
}

#endif

#include "works.h"
