/* atomic_queue.cc - M. Egorushkin's AtomicQueueB, for 8-byte messages that are never 0: exactly as large as asked
 * for, from 64 up. SPDX-License-Identifier: MIT */
#include <atomic_queue/atomic_queue.h>

#include "contestant.h"

#define QUEUE
#define TRY

struct queue {
    atomic_queue::AtomicQueueB<uint64_t> *q;
};

INLINE void queue_new(struct queue *q, size_t cap) { q->q = new atomic_queue::AtomicQueueB<uint64_t>((unsigned)cap); }

INLINE void queue_free(struct queue *q) { delete q->q; }

INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->try_push(m.v[0]); }

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    uint64_t number;
    if (!q->q->try_pop(number)) return false;
    *m = msg_of(number);
    return true;
}

#include "works.h"
