/* boost.cc - Boost.Lockfree's queue, with a fixed number of nodes. SPDX-License-Identifier: MIT */
#include <boost/lockfree/queue.hpp>

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE

struct queue {
    boost::lockfree::queue<msg> *q;
};

INLINE void queue_new(struct queue *q, size_t cap) { q->q = new boost::lockfree::queue<msg>(cap); }

INLINE void queue_free(struct queue *q) { delete q->q; }

INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->bounded_push(m); }

INLINE bool queue_try_recv(struct queue *q, msg *m) { return q->q->pop(*m); }

#include "works.h"
