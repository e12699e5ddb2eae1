/* moodycamel.cc - C. Desrochers' ConcurrentQueue, with a token for each thread; unbounded, and with more than
 * one sender not first in, first out. SPDX-License-Identifier: MIT */
#ifdef BLOCKING
#include <concurrentqueue/blockingconcurrentqueue.h>
#else
#include <concurrentqueue/concurrentqueue.h>
#endif

#include "contestant.h"

#define QUEUE
#define TRY
#define BATCH
#define BY_VALUE
#define UNBOUNDED
#define UNORDERED
#define THREADS

#ifdef BLOCKING
typedef moodycamel::BlockingConcurrentQueue<msg> any_queue;
#else
typedef moodycamel::ConcurrentQueue<msg> any_queue;
#endif

struct queue {
    any_queue *q;
};

struct tokens {
    struct queue *q;
    moodycamel::ProducerToken *send;
    moodycamel::ConsumerToken *recv;
};
static thread_local struct tokens tokens[2];

INLINE void queue_new(struct queue *q, size_t cap) { q->q = new any_queue(cap); }

INLINE void queue_free(struct queue *q) { delete q->q; }

static inline void queue_enter(struct queue *q)
{
    struct tokens *t = &tokens[tokens[0].q != NULL];
    t->q = q;
    t->send = NULL; /* a thread that only receives needs none: each token makes a queue of its own, that receivers look at */
    t->recv = new moodycamel::ConsumerToken(*q->q);
}

INLINE struct tokens *mine(struct queue *q) { return &tokens[tokens[0].q != q]; }

static inline void queue_leave(struct queue *q)
{
    struct tokens *t = mine(q);
    delete t->send;
    delete t->recv;
    t->q = NULL;
}

INLINE moodycamel::ProducerToken &to_send(struct queue *q)
{
    struct tokens *t = mine(q);
    if (__builtin_expect(!t->send, 0)) t->send = new moodycamel::ProducerToken(*q->q);
    return *t->send;
}

INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->enqueue(to_send(q), m); }

INLINE bool queue_try_recv(struct queue *q, msg *m) { return q->q->try_dequeue(*mine(q)->recv, *m); }

INLINE size_t queue_send_some(struct queue *q, msg *m, size_t n)
{
    return q->q->enqueue_bulk(to_send(q), m, n) ? n : 0;
}

#ifdef BLOCKING
INLINE bool queue_send(struct queue *q, msg m) { return queue_try_send(q, m); }

INLINE bool queue_recv(struct queue *q, msg *m)
{
    q->q->wait_dequeue(*mine(q)->recv, *m);
    return true;
}

INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n)
{
    return q->q->wait_dequeue_bulk(*mine(q)->recv, m, n);
}

#define SEMAPHORE

static moodycamel::LightweightSemaphore *sem;

INLINE void sem_new(int permits) { sem = new moodycamel::LightweightSemaphore(permits); }

INLINE void sem_take(int n)
{
    (void)n;
    sem->wait();
}

INLINE void sem_give(int n) { sem->signal(n); }

INLINE long sem_left(void) { return (long)sem->availableApprox(); }
#else
INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n)
{
    return q->q->try_dequeue_bulk(*mine(q)->recv, m, n);
}
#endif

#include "works.h"
