/* atomic_queue.cc - M. Egorushkin's AtomicQueueB2. SPDX-License-Identifier: MIT */
#include <atomic_queue/atomic_queue.h>

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE

struct queue {
    atomic_queue::AtomicQueueB2<msg> *q;
};

INLINE void queue_new(struct queue *q, size_t cap) { q->q = new atomic_queue::AtomicQueueB2<msg>((unsigned)cap); }

INLINE void queue_free(struct queue *q) { delete q->q; }

INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->try_push(m); }

INLINE bool queue_try_recv(struct queue *q, msg *m) { return q->q->try_pop(*m); }

#include "works.h"
