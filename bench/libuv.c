/* libuv.c - libuv's thread pool. The end of a job comes back through the loop. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <uv.h>

#include "contestant.h"

#define POOL

static uv_loop_t loop;

static void runs(uv_work_t *work)
{
    job((uintptr_t)work->data);
}

static void is_over(uv_work_t *work, int status)
{
    if (status) wrong("a job ended with %d", status);
    free(work);
}

static inline void pool_start(int workers, int cap)
{
    char size[16];
    (void)cap;
    snprintf(size, sizeof size, "%d", workers);
    setenv("UV_THREADPOOL_SIZE", size, 1); /* the pool is the process's, made with the first job */
    uv_loop_init(&loop);
}

INLINE void pool_submit(uint64_t number)
{
    uv_work_t *work = malloc(sizeof *work);
    work->data = (void *)(uintptr_t)number;
    if (uv_queue_work(&loop, work, runs, is_over)) wrong("uv_queue_work");
}

INLINE void pool_ask(uint64_t number)
{
    pool_submit(number);
    uv_run(&loop, UV_RUN_DEFAULT);
}

INLINE void pool_stop(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

/* ---- requests: each that has ended is submitted again ---- */

#define REQUESTS

static uv_work_t uv_requests[64];
static uint64_t request_next, request_last;

static void request_over(uv_work_t *work, int status)
{
    if (status) wrong("a request ended with %d", status);
    if (request_next > request_last) return;
    work->data = (void *)(uintptr_t)request_next++;
    if (uv_queue_work(&loop, work, runs, request_over)) wrong("uv_queue_work");
}

static inline void requests_start(int workers)
{
    pool_start(workers, 0);
}

static inline void requests_run(uint64_t n, uint64_t under_way)
{
    request_next = 1;
    request_last = n;
    for (uint64_t i = 0; i < under_way && i < n; i++) request_over(&uv_requests[i], 0);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static inline void requests_stop(void)
{
    pool_stop();
}

#include "works.h"
