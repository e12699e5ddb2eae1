/* boost.cc - Boost.Lockfree's queue, with a fixed number of nodes; or, ONE_TO_ONE, its ring for one sender and one receiver.
 * SPDX-License-Identifier: MIT */
#ifdef ONE_TO_ONE
#include <boost/lockfree/spsc_queue.hpp>
#else
#include <boost/lockfree/queue.hpp>
#endif

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE

#ifdef ONE_TO_ONE
#define BATCH
typedef boost::lockfree::spsc_queue<msg> any_queue;
#else
typedef boost::lockfree::queue<msg> any_queue;
#endif

struct queue {
    any_queue *q;
};

INLINE void queue_new(struct queue *q, size_t cap) { q->q = new any_queue(cap); }

INLINE void queue_free(struct queue *q) { delete q->q; }

INLINE bool queue_try_recv(struct queue *q, msg *m) { return q->q->pop(*m); }

#ifdef ONE_TO_ONE
INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->push(m); }

INLINE size_t queue_send_some(struct queue *q, msg *m, size_t n) { return q->q->push(m, n); }

INLINE size_t queue_recv_some(struct queue *q, msg *m, size_t n) { return q->q->pop(m, n); }
#else
INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->bounded_push(m); }
#endif

#include "works.h"
