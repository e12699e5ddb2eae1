/* posix.c - sem_t, as a semaphore and as a bounded queue: one counts messages, one counts free slots, and there is a
 * mutex around each end. And a thread for each task. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <semaphore.h>

#include "contestant.h"

#define QUEUE
#define BLOCKING
#define TRY
#define BY_VALUE
#define SEMAPHORE
#define GROUP

struct queue {
    msg *slots;
    size_t cap;
    char pad0[128];
    sem_t empty; /* the senders' */
    pthread_mutex_t at_tail;
    size_t tail;
    char pad1[128];
    sem_t filled; /* the receivers' */
    pthread_mutex_t at_head;
    size_t head;
};

static inline void queue_new(struct queue *q, size_t cap)
{
    sem_init(&q->filled, 0, 0);
    sem_init(&q->empty, 0, (unsigned)cap);
    fast_mutex(&q->at_tail);
    fast_mutex(&q->at_head);
    q->cap = cap;
    q->head = q->tail = 0;
    q->slots = calloc(cap, sizeof *q->slots);
}

static inline void queue_free(struct queue *q)
{
    free(q->slots);
    sem_destroy(&q->filled);
    sem_destroy(&q->empty);
    pthread_mutex_destroy(&q->at_tail);
    pthread_mutex_destroy(&q->at_head);
}

INLINE void put(struct queue *q, msg m)
{
    pthread_mutex_lock(&q->at_tail);
    q->slots[q->tail] = m;
    if (++q->tail == q->cap) q->tail = 0;
    pthread_mutex_unlock(&q->at_tail);
    sem_post(&q->filled);
}

INLINE void get(struct queue *q, msg *m)
{
    pthread_mutex_lock(&q->at_head);
    *m = q->slots[q->head];
    if (++q->head == q->cap) q->head = 0;
    pthread_mutex_unlock(&q->at_head);
    sem_post(&q->empty);
}

INLINE bool queue_send(struct queue *q, msg m)
{
    sem_wait(&q->empty);
    put(q, m);
    return true;
}

INLINE bool queue_recv(struct queue *q, msg *m)
{
    sem_wait(&q->filled);
    get(q, m);
    return true;
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    if (sem_trywait(&q->empty)) return false;
    put(q, m);
    return true;
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    if (sem_trywait(&q->filled)) return false;
    get(q, m);
    return true;
}

static sem_t sem __attribute__((aligned(128)));

INLINE void sem_new(int permits)
{
    sem_init(&sem, 0, (unsigned)permits);
}

INLINE void sem_take(int n)
{
    (void)n;
    sem_wait(&sem);
}

INLINE void sem_give(int n)
{
    (void)n;
    sem_post(&sem);
}

static inline long sem_left(void)
{
    int n = -1;
    sem_getvalue(&sem, &n);
    return n;
}

static void *one_task(void *unused)
{
    task();
    return unused;
}

/* As many threads at once as the limit allows. It waits for the oldest. */
static inline void group_tasks(uint64_t n, int limit)
{
    pthread_t threads[64];
    for (uint64_t i = 0; i < n + (uint64_t)limit; i++) {
        pthread_t *t = &threads[i % (uint64_t)limit];
        if (i >= (uint64_t)limit) pthread_join(*t, NULL);
        if (i < n && pthread_create(t, NULL, one_task, NULL)) wrong("pthread_create");
    }
}

#include "works.h"
