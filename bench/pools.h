/* pools.h - the pool contestants, and groups beside plain threads.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include "harness.h"
#include "mutex_pool.h"

#include "../pool.h"

enum { GROUP_TASKS = 10000 };

/* What the jobs did. Each worker counts for itself and adds it up when it ends, so that counting
 * does not cost what it counts. */
static _Thread_local struct {
    uint64_t count, sum;
} tally;
static _Atomic uint64_t total_count, total_sum;

static void tally_start(void *unused)
{
    (void)unused;
    tally.count = tally.sum = 0;
}

static void tally_end(void *unused)
{
    (void)unused;
    atomic_fetch_add_explicit(&total_count, tally.count, memory_order_relaxed);
    atomic_fetch_add_explicit(&total_sum, tally.sum, memory_order_relaxed);
}

static inline void tally_job(void *arg)
{
    tally.count++;
    tally.sum += (uint64_t)(uintptr_t)arg;
}

struct pool_ops {
    int (*start)(int workers, int queue);
    int (*submit)(uintptr_t number);
    int (*stop)(void);
};

/* Submits n empty jobs from one thread and stops the pool: until the last job has run and the
 * workers are joined. The making of the workers is not counted. */
INLINE struct sample empty_jobs(const struct work *w, uint64_t n, const struct pool_ops *p)
{
    atomic_store_explicit(&total_count, 0, memory_order_relaxed);
    atomic_store_explicit(&total_sum, 0, memory_order_relaxed);
    must(p->start(w->left, (int)w->cap), "start");
    struct watch watch = watch_start(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 1; i <= n; i++)
        if (p->submit((uintptr_t)i)) break;
    must(p->stop(), "stop");
    struct sample s = watch_stop(watch, n);
    must_sum(n, atomic_load_explicit(&total_count, memory_order_relaxed),
             atomic_load_explicit(&total_sum, memory_order_relaxed));
    return s;
}

/* ---- leat ------------------------------------------------------------------------------------ */

static leat_pool leat_p;

static int leat_tally_start(void *user, int id)
{
    (void)id;
    tally_start(user);
    return 0;
}

static void leat_tally_end(void *user, int id)
{
    (void)id;
    tally_end(user);
}

static int leat_tally_job(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    tally_job(arg);
    return 0;
}

INLINE int leat_p_start(int workers, int queue)
{
    return leat_pool_start(&leat_p, NULL,
                           &(leat_pool_opts){ .workers = workers,
                                              .queue = queue,
                                              .worker_init = leat_tally_start,
                                              .worker_fini = leat_tally_end });
}

INLINE int leat_p_submit(uintptr_t number)
{
    return leat_submit(&leat_p, leat_tally_job, (void *)number);
}

INLINE int leat_p_stop(void) { return leat_pool_stop(&leat_p, NULL); }

static const struct pool_ops leat_pool_ops = { leat_p_start, leat_p_submit, leat_p_stop };

static struct sample leat_jobs(const struct work *w, uint64_t n)
{
    return empty_jobs(w, n, &leat_pool_ops);
}

struct leat_answer {
    leat_sem done;
    uint64_t count, sum;
};

static int leat_answers(leat_ctx *ctx, void *arg)
{
    struct leat_answer *a = arg;
    (void)ctx;
    a->sum += ++a->count;
    return leat_release(&a->done, 1);
}

static struct sample leat_churn(const struct work *w, uint64_t n)
{
    struct leat_answer a = { .done = LEAT_SEM_OF(0, LEAT_SEM_MAX) };
    must(leat_p_start(w->left, (int)w->cap), "leat_pool_start");
    struct watch watch = watch_start(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < n; i++)
        if (leat_submit(&leat_p, leat_answers, &a) || leat_acquire(&a.done, 1)) break;
    struct sample s = watch_stop(watch, n);
    must(leat_p_stop(), "leat_pool_stop");
    must_sum(n, a.count, a.sum);
    return s;
}

/* 64 workers that have worked before, then have nothing to do for a second. */
static struct sample leat_idle(const struct work *w, uint64_t n)
{
    must(leat_p_start(w->left, (int)w->cap), "leat_pool_start");
    for (uintptr_t i = 0; i < 10000; i++) must(leat_p_submit(i), "leat_submit");
    nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
    struct watch watch = watch_start(CLOCK_PROCESS_CPUTIME_ID);
    nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
    struct sample s = watch_stop(watch, n);
    must(leat_p_stop(), "leat_pool_stop");
    return s;
}

/* ---- the mutex pool -------------------------------------------------------------------------- */

static struct mutex_pool mutex_p;

INLINE int mutex_p_start(int workers, int queue)
{
    return mutex_pool_start(
        &mutex_p, &(struct mutex_pool_opts){
                      .workers = workers, .queue = queue, .init = tally_start, .fini = tally_end });
}

INLINE int mutex_p_submit(uintptr_t number)
{
    return mutex_pool_submit(&mutex_p, tally_job, (void *)number);
}

INLINE int mutex_p_stop(void) { return mutex_pool_stop(&mutex_p); }

static const struct pool_ops mutex_pool_ops = { mutex_p_start, mutex_p_submit, mutex_p_stop };

static struct sample mutex_jobs(const struct work *w, uint64_t n)
{
    return empty_jobs(w, n, &mutex_pool_ops);
}

struct mutex_answer {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    uint64_t count, sum;
};

static void mutex_answers(void *arg)
{
    struct mutex_answer *a = arg;
    pthread_mutex_lock(&a->lock);
    a->sum += ++a->count;
    a->done = true;
    pthread_cond_signal(&a->cond);
    pthread_mutex_unlock(&a->lock);
}

static struct sample mutex_churn(const struct work *w, uint64_t n)
{
    struct mutex_answer a = { .done = false };
    mutex_make_fast(&a.lock);
    pthread_cond_init(&a.cond, NULL);
    must(mutex_p_start(w->left, (int)w->cap), "mutex_pool_start");
    struct watch watch = watch_start(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < n; i++) {
        if (mutex_pool_submit(&mutex_p, mutex_answers, &a)) break;
        pthread_mutex_lock(&a.lock);
        while (!a.done) pthread_cond_wait(&a.cond, &a.lock);
        a.done = false;
        pthread_mutex_unlock(&a.lock);
    }
    struct sample s = watch_stop(watch, n);
    must(mutex_p_stop(), "mutex_pool_stop");
    must_sum(n, a.count, a.sum);
    pthread_cond_destroy(&a.cond);
    pthread_mutex_destroy(&a.lock);
    return s;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static _Atomic uint64_t tasks_run;

static int leat_empty_task(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    atomic_fetch_add_explicit(&tasks_run, 1, memory_order_relaxed);
    return 0;
}

static void *plain_empty_task(void *arg)
{
    atomic_fetch_add_explicit(&tasks_run, 1, memory_order_relaxed);
    return arg;
}

static void must_have_run(uint64_t n)
{
    uint64_t ran = atomic_exchange_explicit(&tasks_run, 0, memory_order_relaxed);
    if (ran != n) wrong("%llu of %llu tasks ran", (unsigned long long)ran, (unsigned long long)n);
}

static struct sample leat_tasks(const struct work *w, uint64_t n)
{
    n = (n + GROUP_TASKS - 1) / GROUP_TASKS * GROUP_TASKS;
    struct watch watch = watch_start(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t done = 0; done < n; done += GROUP_TASKS) {
        leat_group g = LEAT_GROUP(NULL);
        must(leat_group_limit(&g, w->left), "leat_group_limit");
        for (int i = 0; i < GROUP_TASKS; i++) {
            int err = leat_go(&g, leat_empty_task, NULL);
            if (err) must(err, "leat_go");
        }
        must(leat_wait(&g), "leat_wait");
    }
    struct sample s = watch_stop(watch, n);
    must_have_run(n);
    return s;
}

static struct sample plain_threads(const struct work *w, uint64_t n)
{
    (void)w;
    struct watch watch = watch_start(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < n; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, plain_empty_task, NULL) || pthread_join(thread, NULL))
            break;
    }
    struct sample s = watch_stop(watch, n);
    must_have_run(n);
    return s;
}

#endif
