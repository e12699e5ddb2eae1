/* leat.c - the toolkit itself. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "pool.h"

#include <poll.h>

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

/* ---- requests: an event loop's work queue over pool.h (tests/pool/t-adapters.c has it whole) ---- */

#define REQUESTS

struct request {
    leat_job job;
    uint64_t number;
};

static struct request leat_requests[64];
static LEAT_CHAN(struct request *) requests_done; /* has a place for each */
static leat_pollable requests_ready;
static int requests_fd;
static uint64_t request_next;

static int request_runs(leat_ctx *ctx, void *at)
{
    struct request *r = (struct request *)at;
    (void)ctx;
    job(r->number);
    return leat_send(&requests_done, &r);
}

static void request_submit(struct request *r)
{
    r->job = (leat_job)LEAT_JOB(request_runs, r);
    r->number = request_next++;
    if (leat_submit_job(&pool, &r->job)) wrong("leat_submit_job");
}

static inline void requests_start(int workers)
{
    pool_start(workers, 64);
    if (leat_make(&requests_done, 64)) wrong("leat_make");
    if ((requests_fd = leat_pollable_recv(&requests_ready, &requests_done)) < 0) wrong("leat_pollable_recv");
}

static inline void requests_run(uint64_t n, uint64_t under_way)
{
    struct request *r;
    uint64_t ended = 0;
    request_next = 1;
    for (uint64_t i = 0; i < under_way && i < n; i++) request_submit(&leat_requests[i]);
    while (ended < n) {
        struct pollfd p = { requests_fd, POLLIN, 0 };
        if (poll(&p, 1, -1) != 1) wrong("poll");
        do {
            while (leat_try_recv(&requests_done, &r) == 0) {
                leat_job_wait(&r->job, NULL); /* its worker lets go of it */
                ended++;
                if (request_next <= n) request_submit(r);
            }
        } while (leat_pollable_rearm(&requests_ready));
    }
}

static inline void requests_stop(void)
{
    pool_stop();
    leat_pollable_close(&requests_ready);
    leat_free(&requests_done);
}

#endif

#include "works.h"
