/* bbq.c - the Block-based Bounded Queue of J. Wang, D. Behrens, M. Fu, L. Oberhauser, J. Oberhauser, J. Lei, G. Chen,
 * H. Haertig and H. Chen (USENIX ATC 2022), in its mode for a queue that refuses what has no room, written from the paper.
 * A ring of blocks. In a block messages are claimed, committed, claimed again and consumed by counting, so no message
 * has a stamp of its own. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "contestant.h"

#define QUEUE
#define TRY

enum { BLOCKS = 8 };

typedef uint64_t cursor; /* version << 32 | offset; of a head: | number of the block */

struct block {
    cursor allocated __attribute__((aligned(64))), committed __attribute__((aligned(64)));
    cursor reserved __attribute__((aligned(64))), consumed __attribute__((aligned(64)));
    msg *entries;
};

struct queue {
    cursor in __attribute__((aligned(64))), out __attribute__((aligned(64)));
    uint64_t size __attribute__((aligned(64))); /* of a block */
    struct block *blocks;
};

INLINE uint64_t version(cursor c)
{
    return c >> 32;
}

INLINE uint64_t offset(cursor c)
{
    return (uint32_t)c;
}

INLINE cursor see(cursor *c)
{
    return __atomic_load_n(c, __ATOMIC_ACQUIRE);
}

/* Raises a cursor. Returns what it was. */
INLINE cursor raise_to(cursor *c, cursor to)
{
    cursor was = see(c);
    while (was < to && !__atomic_compare_exchange_n(c, &was, to, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) continue;
    return was;
}

static inline void queue_new(struct queue *q, size_t cap)
{
    q->size = cap < BLOCKS ? 1 : cap / BLOCKS;
    q->in = q->out = 0;
    q->blocks = (struct block *)aligned_alloc(64, BLOCKS * sizeof *q->blocks);
    for (int i = 0; i < BLOCKS; i++) {
        struct block *b = &q->blocks[i];
        b->allocated = b->committed = b->reserved = b->consumed = i ? q->size : 0;
        b->entries = (msg *)calloc(q->size, sizeof(msg));
    }
}

static inline void queue_free(struct queue *q)
{
    for (int i = 0; i < BLOCKS; i++) free(q->blocks[i].entries);
    free(q->blocks);
}

INLINE struct block *block_of(struct queue *q, cursor head, int next)
{
    return &q->blocks[(offset(head) + (uint64_t)next) % BLOCKS];
}

INLINE cursor next_head(cursor head)
{
    return offset(head) + 1 < BLOCKS ? head + 1 : (version(head) + 1) << 32;
}

/* The senders go on to the next block, once all of it was consumed. */
INLINE bool advance_in(struct queue *q, cursor head)
{
    struct block *b = block_of(q, head, 1);
    cursor consumed = see(&b->consumed), begin = (version(head) + 1) << 32;
    if (version(consumed) < version(head) || (version(consumed) == version(head) && offset(consumed) != q->size))
        return false;
    raise_to(&b->committed, begin);
    raise_to(&b->allocated, begin);
    raise_to(&q->in, next_head(head));
    return true;
}

/* The receivers go on to the next block, once senders have begun with it. */
INLINE bool advance_out(struct queue *q, cursor head)
{
    struct block *b = block_of(q, head, 1);
    cursor begin = (version(head) + 1) << 32;
    if (version(see(&b->committed)) != version(head) + 1) return false;
    raise_to(&b->consumed, begin);
    raise_to(&b->reserved, begin);
    raise_to(&q->out, next_head(head));
    return true;
}

INLINE bool queue_try_send(struct queue *q, msg m)
{
    for (;;) {
        cursor head = see(&q->in);
        struct block *b = block_of(q, head, 0);
        if (offset(see(&b->allocated)) < q->size) {
            uint64_t at = offset(__atomic_fetch_add(&b->allocated, 1, __ATOMIC_ACQ_REL));
            if (at < q->size) {
                b->entries[at] = m;
                __atomic_fetch_add(&b->committed, 1, __ATOMIC_RELEASE);
                return true;
            }
        }
        if (!advance_in(q, head)) return false;
    }
}

INLINE bool queue_try_recv(struct queue *q, msg *m)
{
    for (;;) {
        cursor head = see(&q->out);
        struct block *b = block_of(q, head, 0);
        cursor reserved = see(&b->reserved);
        if (offset(reserved) >= q->size) {
            if (!advance_out(q, head)) return false;
            continue;
        }
        cursor committed = see(&b->committed);
        if (offset(reserved) == offset(committed)) return false;
        if (offset(committed) != q->size && offset(see(&b->allocated)) != offset(committed))
            return false; /* one is in flight */
        if (raise_to(&b->reserved, reserved + 1) != reserved) continue;
        *m = b->entries[offset(reserved)];
        __atomic_fetch_add(&b->consumed, 1, __ATOMIC_RELEASE);
        return true;
    }
}

#include "works.h"
