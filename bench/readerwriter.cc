/* readerwriter.cc - C. Desrochers' ReaderWriterQueue, for one sender and one receiver; unbounded. Its capacity is where it
 * begins. SPDX-License-Identifier: MIT */
#include <readerwriterqueue/readerwriterqueue.h>

#include "contestant.h"

#define QUEUE
#define TRY
#define BY_VALUE
#define UNBOUNDED
#define ONE_TO_ONE

struct queue {
    moodycamel::ReaderWriterQueue<msg> *q;
};

INLINE void queue_new(struct queue *q, size_t cap) { q->q = new moodycamel::ReaderWriterQueue<msg>(cap); }

INLINE void queue_free(struct queue *q) { delete q->q; }

INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->enqueue(m); }

INLINE bool queue_try_recv(struct queue *q, msg *m) { return q->q->try_dequeue(*m); }

#include "works.h"
