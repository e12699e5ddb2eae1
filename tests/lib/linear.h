/* linear.h - was it a queue? Judges what threads saw of two bounded first-in-first-out queues.
 *
 *     A   [s1----]        [r2]     A sends 1, B meanwhile sends 2, then A receives 2. Right: 2 went
 *     B      [s2----]              in before 1. But wrong, if 1 had been sent when 2 was begun
 *
 * SPDX-License-Identifier: MIT
 *
 * Each call has an interval, from before it began to after it returned, by one clock for all
 * threads. The history is linearizable (Herlihy and Wing 1990) if each call can be given one
 * instant within its interval, so that the calls, done one after another in the order of the
 * instants, would have answered just so. lin_search tries all orders (Wing and Gong 1993), but no
 * state twice (Lowe 2017). */
#ifndef LEAT_LINEAR_H
#define LEAT_LINEAR_H

#include "queue.h"

#include <stdio.h>

/* What a call did, or why it did nothing. A capital letter: with the second queue. */
enum {
    LIN_SEND = 's',
    LIN_RECV = 'r',
    LIN_FULL = 'f',    /* send: -EAGAIN */
    LIN_EMPTY = 'e',   /* recv: -EAGAIN */
    LIN_CLOSE = 'c',   /* close: 0 */
    LIN_AGAIN = 'a',   /* close: -EALREADY */
    LIN_REFUSED = 'x', /* send: -EPIPE */
    LIN_DRAINED = 'd'  /* recv: -EPIPE */
};

struct lin_op {
    char what, also; /* also: 0, or a second FULL or EMPTY at the same instant (a select) */
    bool then;       /* a batch: belongs to the same call as the op before it, and comes after it */
    int thread;
    int value; /* of a send or receive. Each is sent once */
    uint64_t begin, end;
};

enum { LIN_MOST = 64, LIN_MOST_HELD = 14 };

struct lin_history {
    size_t cap[2]; /* up to LIN_MOST_HELD. 0: a send and its receive are one event */
    size_t n;
    struct lin_op ops[LIN_MOST];
};

static inline char lin_what(char what, int queue)
{
    return (char)(queue ? what - 'a' + 'A' : what);
}

/* A stamp of the one clock. The processor has done nothing of the call before it, and all of it after it. */
static inline uint64_t lin_now(void)
{
#if defined __x86_64__
#define LIN_FENCE_() __asm__ volatile("lfence" ::: "memory") /* mfence would speed up its stores */
#else
#define LIN_FENCE_() __sync_synchronize()
#endif
    LIN_FENCE_();
    uint64_t now = (uint64_t)leat_now();
    LIN_FENCE_();
    return now;
}

/* ==== The search ============================================================================== */

struct lin_state_ {
    uint64_t done; /* a bit for each op */
    bool closed[2];
    unsigned char held[2], queue[2][LIN_MOST_HELD]; /* the sends of the messages in it, oldest first */
};

/* Was this search in this state before? The memory has a fixed size, so it may forget. */
static bool lin_seen_(const struct lin_state_ *s, unsigned search)
{
    static struct {
        struct lin_state_ state;
        unsigned search;
    } memory[1 << 12], *m;
    uint64_t words[sizeof *s / sizeof(uint64_t)], hash = 0;
    memcpy(words, s, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        hash = (hash ^ hash >> 32 ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
    m = &memory[hash >> 52];
    if (m->search == search && !memcmp(&m->state, s, sizeof *s)) return true;
    m->state = *s;
    m->search = search;
    return false;
}

/* Would queues in this state answer so? Moves them on to the state after it. */
static bool lin_step_(const struct lin_history *h, struct lin_state_ *s, const struct lin_op *o, char what,
                      uint64_t first_end)
{
    bool second = what < 'a', closed = s->closed[second];
    size_t held = s->held[second], cap = h->cap[second];
    unsigned char *queue = s->queue[second];
    switch (second ? what - 'A' + 'a' : what) {
    case LIN_SEND:
        if (closed || held == cap) return false;
        queue[s->held[second]++] = (unsigned char)(o - h->ops);
        return true;
    case LIN_RECV:
        for (size_t k = 0; !cap && !closed && k < h->n; k++) { /* unbuffered: with its send */
            const struct lin_op *send = &h->ops[k];
            if (send->what != lin_what(LIN_SEND, second) || send->value != o->value) continue;
            if (s->done >> k & 1 || send->begin > first_end) continue;
            s->done |= UINT64_C(1) << k;
            return true;
        }
        if (!held || h->ops[*queue].value != o->value) return false;
        memmove(queue, queue + 1, held - 1);
        queue[--s->held[second]] = 0;
        return true;
    case LIN_FULL: return !closed && held == cap;
    case LIN_EMPTY: return !closed && !held;
    case LIN_CLOSE: s->closed[second] = true; return !closed;
    case LIN_DRAINED: return closed && !held;
    default: return closed;
    }
}

/* Can the ops that are left follow? */
static bool lin_from_(const struct lin_history *h, const struct lin_state_ *s, unsigned search)
{
    uint64_t first_end = UINT64_MAX;
    bool over = true;
    for (size_t k = 0; k < h->n; k++) {
        if (s->done >> k & 1) continue;
        over = false;
        if (h->ops[k].end < first_end) first_end = h->ops[k].end;
    }
    if (over) return true;
    if (lin_seen_(s, search)) return false;
    for (size_t k = 0; k < h->n; k++) { /* which one may be next? */
        const struct lin_op *o = &h->ops[k];
        struct lin_state_ next = *s;
        if (s->done >> k & 1 || o->begin > first_end) continue;
        if (o->then && !(s->done >> (k - 1) & 1)) continue;
        next.done |= UINT64_C(1) << k;
        if (lin_step_(h, &next, o, o->what, first_end) && (!o->also || lin_step_(h, &next, o, o->also, first_end)) &&
            lin_from_(h, &next, search))
            return true;
    }
    return false;
}

/* Is it a history of queues that were empty at first? For one thread at a time. */
static inline bool lin_search(const struct lin_history *h)
{
    static unsigned search;
    struct lin_state_ s;
    memset(&s, 0, sizeof s);
    return lin_from_(h, &s, ++search);
}

/* ==== Drawings ================================================================================ */

/* A row for each thread. Time goes from left to right, but not to scale. A call ends to the left of another's begin
 * exactly if it had returned when the other began. */
static inline void lin_draw(const struct lin_history *h, FILE *to)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-";
    enum { WIDE = 6 };
    size_t first[LIN_MOST] = { 0 }, last[LIN_MOST] = { 0 }, columns = 0;
    int threads = 0;
    for (uint64_t from = 0;; columns++) { /* a column: first some begin, then some end */
        uint64_t begin = UINT64_MAX, end = UINT64_MAX;
        for (size_t i = 0; i < h->n; i++)
            if (h->ops[i].begin >= from && h->ops[i].begin < begin) begin = h->ops[i].begin;
        for (size_t i = 0; i < h->n; i++)
            if (h->ops[i].end >= begin && h->ops[i].end < end) end = h->ops[i].end;
        if (begin == UINT64_MAX) break;
        for (size_t i = 0; i < h->n; i++) {
            if (h->ops[i].begin >= begin && h->ops[i].begin <= end) first[i] = columns;
            if (h->ops[i].end >= begin) last[i] = columns;
        }
        from = end + 1;
    }
    for (size_t i = 0; i < h->n; i++)
        if (h->ops[i].thread >= threads) threads = h->ops[i].thread + 1;
    for (int t = 0; t < threads; t++) {
        char line[LIN_MOST * WIDE + 1], *at = line;
        memset(line, ' ', sizeof line);
        for (size_t i = 0; i < h->n; i++) {
            const struct lin_op *o = &h->ops[i];
            if (o->thread != t) continue;
            if (!o->then) {
                char *end = line + last[i] * WIDE + WIDE - 2;
                at = line + first[i] * WIDE;
                memset(at, '-', (size_t)(end - at));
                *end = ']';
                *at++ = '[';
                *at++ = o->what;
                if (o->also) *at++ = o->also;
            }
            if ((o->what | 32) == LIN_SEND || (o->what | 32) == LIN_RECV) *at++ = digits[o->value % 64];
        }
        fprintf(to, "#   %c  %.*s\n", 'A' + t, (int)(columns * WIDE), line);
    }
    fprintf(to, "#   s: send, f: full, x: refused; r: receive, e: empty, d: drained; c: close, "
                "a: closed again; capital: second\n");
}

#endif
