/* mutex.c - what most programs have instead: a bounded queue, and a pool around it, of one mutex and two condition
 * variables, as fast as such a thing gets. SPDX-License-Identifier: MIT
 *
 * What was measured to help is done. A signal goes only to a thread that waits, once for each wait, because the
 * thread that signals takes the waiter off the count. It is sent under the lock: after the unlock, one sender with
 * four receivers was two to five times slower. The mutex is glibc's adaptive kind, which spins briefly. The index
 * wraps by a comparison. The queue does not spin before it waits for the condition: then it would no longer be what
 * people mean by a mutex and a condition variable. */
#define _GNU_SOURCE
#include "contestant.h"

#define QUEUE
#define BLOCKING
#define TRY
#define CLOSES
#define BATCH
#define BY_VALUE
#define POOL
#define SEMAPHORE
#define WEIGHTED

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    msg *slots;
    size_t cap, head, tail, len;
    unsigned receivers, senders; /* waiters that were not signalled. Too high after a spurious wake */
    bool closed;
};

static inline void queue_new(struct queue *q, size_t cap)
{
    *q = (struct queue){ .cap = cap, .slots = calloc(cap, sizeof *q->slots) };
    fast_mutex(&q->lock);
    pthread_cond_init(&q->not_empty, NULL);
    pthread_cond_init(&q->not_full, NULL);
}

static inline void queue_free(struct queue *q)
{
    pthread_cond_destroy(&q->not_full);
    pthread_cond_destroy(&q->not_empty);
    pthread_mutex_destroy(&q->lock);
    free(q->slots);
}

/* Under the lock: wakes up to n of the waiters. */
INLINE void signal_some(pthread_cond_t *cond, unsigned *waiting, size_t n)
{
    for (; *waiting && n; n--) {
        --*waiting;
        pthread_cond_signal(cond);
    }
}

INLINE size_t send_some(struct queue *q, const msg *m, size_t n, bool wait)
{
    pthread_mutex_lock(&q->lock);
    while (q->len == q->cap && wait && !q->closed) {
        q->senders++;
        pthread_cond_wait(&q->not_full, &q->lock);
    }
    if (q->closed) n = 0;
    if (n > q->cap - q->len) n = q->cap - q->len;
    for (size_t i = 0; i < n; i++) {
        q->slots[q->tail] = m[i];
        if (++q->tail == q->cap) q->tail = 0;
    }
    q->len += n;
    signal_some(&q->not_empty, &q->receivers, n);
    pthread_mutex_unlock(&q->lock);
    return n;
}

INLINE size_t recv_some(struct queue *q, msg *m, size_t n, bool wait)
{
    pthread_mutex_lock(&q->lock);
    while (q->len == 0 && wait && !q->closed) {
        q->receivers++;
        pthread_cond_wait(&q->not_empty, &q->lock);
    }
    if (n > q->len) n = q->len;
    for (size_t i = 0; i < n; i++) {
        m[i] = q->slots[q->head];
        if (++q->head == q->cap) q->head = 0;
    }
    q->len -= n;
    signal_some(&q->not_full, &q->senders, n);
    pthread_mutex_unlock(&q->lock);
    return n;
}

INLINE bool queue_send(struct queue *q, msg m)
{
    return send_some(q, &m, 1, true);
}

INLINE bool queue_recv(struct queue *q, msg *m)
{
    return recv_some(q, m, 1, true);
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    return send_some(q, &m, 1, false);
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    return recv_some(q, m, 1, false);
}

INLINE size_t queue_send_some(struct queue *q, msg *m, size_t n)
{
    return send_some(q, m, n, true);
}

INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n)
{
    return recv_some(q, m, n, true);
}

static inline void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    pthread_mutex_unlock(&q->lock);
}

static inline bool queue_is_over(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool over = q->closed && !q->len;
    pthread_mutex_unlock(&q->lock);
    return over;
}

/* ---- the pool: the same queue, and workers --------------------------------------------------- */

static struct queue jobs_queue __attribute__((aligned(128)));
static pthread_t threads[MOST_THREADS];
static int threads_n;
enum { ASKED = 1 }; /* a job is its number, shifted, and whether a thread waits for it */

static void *worker(void *unused)
{
    msg m;
    while (queue_recv(&jobs_queue, &m)) {
        job(m.v[0] >> 1);
        if (m.v[0] & ASKED) answer_give();
    }
    return unused;
}

static inline void pool_start(int workers, int cap)
{
    queue_new(&jobs_queue, (size_t)cap);
    for (threads_n = 0; threads_n < workers; threads_n++)
        if (pthread_create(&threads[threads_n], NULL, worker, NULL)) wrong("pthread_create");
}

INLINE void pool_submit(uint64_t number)
{
    queue_send(&jobs_queue, msg_of(number << 1));
}

INLINE void pool_ask(uint64_t number)
{
    queue_send(&jobs_queue, msg_of(number << 1 | ASKED));
    answer_await();
}

static inline void pool_stop(void)
{
    queue_close(&jobs_queue);
    for (int i = 0; i < threads_n; i++) pthread_join(threads[i], NULL);
    queue_free(&jobs_queue);
}

/* ---- a semaphore ----------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    int permits;
    unsigned waiters; /* not signalled */
} sem __attribute__((aligned(128)));

static inline void sem_new(int permits)
{
    fast_mutex(&sem.lock);
    pthread_cond_init(&sem.more, NULL);
    sem.permits = permits;
    sem.waiters = 0;
}

INLINE void sem_take(int n)
{
    pthread_mutex_lock(&sem.lock);
    while (sem.permits < n) {
        sem.waiters++;
        pthread_cond_wait(&sem.more, &sem.lock);
    }
    sem.permits -= n;
    pthread_mutex_unlock(&sem.lock);
}

INLINE void sem_give(int n)
{
    pthread_mutex_lock(&sem.lock);
    sem.permits += n;
    if (arg.batch == 1) {
        signal_some(&sem.more, &sem.waiters, 1);
    } else if (sem.waiters) { /* a thread that needs few permits may wait behind one that needs many */
        sem.waiters = 0;
        pthread_cond_broadcast(&sem.more);
    }
    pthread_mutex_unlock(&sem.lock);
}

INLINE long sem_left(void)
{
    return sem.permits;
}

#include "works.h"
