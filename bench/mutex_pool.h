/* mutex_pool.h - the pool's opponent: fixed workers behind one mutex and two condition variables,
 * with what leat_pool's submit and stop promise: submit waits while the queue is full, stop refuses
 * new jobs, lets the queue drain and joins, and every accepted job runs exactly once. See
 * mutex_ring.h for what was done to make it fast.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_MUTEX_POOL_H
#define BENCH_MUTEX_POOL_H

#include "mutex_ring.h"

typedef void mutex_job(void *arg);

struct mutex_pool {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    struct mutex_pool_slot {
        mutex_job *fn;
        void *arg;
    } * slots;
    size_t cap, head, tail, len;
    unsigned idle, submitters; /* who waits and was not signalled; too high after a spurious wake */
    bool stopping;
    int workers;
    pthread_t *threads;
    void (*init)(void *user), (*fini)(void *user);
    void *user;
};

struct mutex_pool_opts {
    int workers;
    int queue;
    void (*init)(void *user), (*fini)(void *user); /* on each worker's thread; or NULL */
    void *user;
};

static inline void *mutex_pool_work(void *arg)
{
    struct mutex_pool *p = arg;
    if (p->init) p->init(p->user);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->len == 0 && !p->stopping) {
            p->idle++;
            pthread_cond_wait(&p->not_empty, &p->lock);
        }
        if (p->len == 0) break;
        struct mutex_pool_slot job = p->slots[p->head];
        if (++p->head == p->cap) p->head = 0;
        p->len--;
        mutex_ring_signal(&p->not_full, &p->submitters, 1);
        pthread_mutex_unlock(&p->lock);
        job.fn(job.arg);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    if (p->fini) p->fini(p->user);
    return NULL;
}

/* 0, or -ESHUTDOWN after stop began. */
INLINE int mutex_pool_submit(struct mutex_pool *p, mutex_job *fn, void *arg)
{
    pthread_mutex_lock(&p->lock);
    while (p->len == p->cap && !p->stopping) {
        p->submitters++;
        pthread_cond_wait(&p->not_full, &p->lock);
    }
    if (p->stopping) {
        pthread_mutex_unlock(&p->lock);
        return -ESHUTDOWN;
    }
    p->slots[p->tail] = (struct mutex_pool_slot){ fn, arg };
    if (++p->tail == p->cap) p->tail = 0;
    p->len++;
    mutex_ring_signal(&p->not_empty, &p->idle, 1);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

/* 0, or -EALREADY. */
static inline int mutex_pool_stop(struct mutex_pool *p)
{
    pthread_mutex_lock(&p->lock);
    bool again = p->stopping;
    p->stopping = true;
    pthread_cond_broadcast(&p->not_empty);
    pthread_cond_broadcast(&p->not_full);
    pthread_mutex_unlock(&p->lock);
    if (again) return -EALREADY;
    for (int i = 0; i < p->workers; i++) pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->not_full);
    pthread_cond_destroy(&p->not_empty);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p->slots);
    return 0;
}

static inline int mutex_pool_start(struct mutex_pool *p, const struct mutex_pool_opts *opts)
{
    *p = (struct mutex_pool){
        .cap = (size_t)opts->queue, .init = opts->init, .fini = opts->fini, .user = opts->user
    };
    p->slots = calloc(p->cap, sizeof *p->slots);
    p->threads = calloc((size_t)opts->workers, sizeof *p->threads);
    mutex_make_fast(&p->lock);
    pthread_cond_init(&p->not_empty, NULL);
    pthread_cond_init(&p->not_full, NULL);
    int err = p->slots && p->threads ? 0 : ENOMEM;
    while (!err && p->workers < opts->workers) {
        err = pthread_create(&p->threads[p->workers], NULL, mutex_pool_work, p);
        if (!err) p->workers++;
    }
    if (err) mutex_pool_stop(p);
    return -err;
}

#endif
