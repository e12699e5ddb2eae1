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

#include "works.h"
