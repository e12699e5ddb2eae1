/* jobs.h - jobs that several tests of the pool submit. SPDX-License-Identifier: MIT */
#ifndef LEAT_JOBS_H
#define LEAT_JOBS_H

#include "peek.h"
#include "pool.h"

static inline int counts(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 0;
}

static inline int at_door(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(arg);
    return 0;
}

/* A group's tasks, accepted and not returned. */
static inline int64_t tasks_of(leat_group *g)
{
    leat_lock_take_(&g->threads_.lock_);
    int64_t n = g->active_;
    leat_lock_drop_(&g->threads_.lock_);
    return n;
}

/* Threads that are not joined. */
static inline int threads(leat_threads_ *threads)
{
    int n = 0;
    leat_lock_take_(&threads->lock_);
    for (leat_thread_ *h = threads->list_; h; h = h->next_) n++;
    leat_lock_drop_(&threads->lock_);
    return n;
}

static inline size_t workers(leat_pool *p)
{
    leat_stats st = { .workers = 0 };
    CHECK_EQ(leat_pool_stats(p, &st), 0);
    return st.workers;
}

#endif
