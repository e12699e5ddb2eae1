/* boost-spsc.cc - Boost.Lockfree's queue for one sender and one receiver. SPDX-License-Identifier: MIT */
#include <boost/lockfree/spsc_queue.hpp>

#include "contestant.h"

#define QUEUE
#define TRY
#define BATCH
#define BY_VALUE
#define ONE_TO_ONE

struct queue {
    boost::lockfree::spsc_queue<msg> *q;
};

INLINE void queue_new(struct queue *q, size_t cap) { q->q = new boost::lockfree::spsc_queue<msg>(cap); }

INLINE void queue_free(struct queue *q) { delete q->q; }

INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->push(m); }

INLINE bool queue_try_recv(struct queue *q, msg *m) { return q->q->pop(*m); }

INLINE size_t queue_send_some(struct queue *q, msg *m, size_t n) { return q->q->push(m, n); }

INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n) { return q->q->pop(m, n); }

#include "works.h"
