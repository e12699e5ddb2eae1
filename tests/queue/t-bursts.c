/* t-bursts.c - several messages at once are work for several threads at once, and so is room: nothing stays behind
 * with a parked thread, even if nothing comes after it that could wake that thread.
 * SPDX-License-Identifier: MIT */
#include "staging.h"

enum { THREADS = 8, BURSTS = 200 };

struct burst {
    int_chan c;
    _Atomic int done; /* messages received, or sent */
    const int *end;   /* of the burst that a message belongs to: how many were sent by then */
    bool batches;
};

/* ---- Messages ------------------------------------------------------------------------------------ */

/* Takes one message, and no other before all messages of its burst were taken. Other threads must take those, else
 * this waits for ever. */
static void take_one_of_each_burst(struct burst *b)
{
    for (int end; leat_recv(&b->c, &end) == 0;) {
        atomic_fetch_add_explicit(&b->done, 1, memory_order_relaxed);
        UNTIL(atomic_load_explicit(&b->done, memory_order_relaxed) >= end);
    }
}

static void send_bursts(struct burst *b)
{
    uint64_t rng = tap_seed(0);
    int sent = 0, batch[THREADS];
    for (int k = 0; k < tap_rounds(BURSTS); k++) {
        int size = 1 + tap_below(&rng, THREADS);
        if (k % 3 == 0)
            UNTIL(receivers(&b->c) == THREADS); /* all are in the wait queue, otherwise some are still on their way */
        sent += size;
        for (int i = 0; i < THREADS; i++) batch[i] = sent;
        for (int i = 0; i < size;) {
            ptrdiff_t n = b->batches && tap_below(&rng, 4) ? leat_send_many(&b->c, batch, (size_t)(size - i))
                                                           : leat_send(&b->c, &sent) + 1;
            REQUIRE(n > 0);
            i += (int)n;
        }
        UNTIL(atomic_load_explicit(&b->done, memory_order_relaxed) == sent);
    }
    CHECK_EQ(leat_close(&b->c), 0);
}

static void burst_part(int i, void *arg)
{
    if (i == THREADS) send_bursts(arg);
    else take_one_of_each_burst(arg);
}

TEST(a_burst_of_messages_is_received_by_as_many_threads_at_once)
{
    static const size_t caps[] = { 3, 5, 7, 8, 64 };
    for (int k = 0; k < 2 * (int)COUNT(caps); k++) {
        struct burst b = { .batches = k % 2 };
        REQUIRE_EQ(leat_make(&b.c, caps[k / 2]), 0);
        tap_threads(THREADS + 1, burst_part, &b);
        leat_free(&b.c);
    }
}

/* ---- Room ---------------------------------------------------------------------------------------- */

/* Sends one message, and no other before all room of that time was filled. Other threads must fill it, else this
 * waits for ever. */
static void fill_one_of_each_burst(struct burst *b)
{
    for (int m = 0; leat_send(&b->c, &m) == 0;) {
        int end = b->end[atomic_fetch_add_explicit(&b->done, 1, memory_order_relaxed)];
        UNTIL(atomic_load_explicit(&b->done, memory_order_relaxed) >= end);
    }
}

static void make_room(struct burst *b)
{
    uint64_t rng = tap_seed(1);
    int cap = (int)leat_cap(&b->c), batch[THREADS];
    for (int k = 0, done = cap; k < tap_rounds(BURSTS); k++) {
        UNTIL(atomic_load_explicit(&b->done, memory_order_relaxed) == done);
        if (k % 3 == 0) UNTIL(senders(&b->c) == THREADS);
        for (int end = b->end[done]; done < end;) {
            ptrdiff_t n = b->batches && tap_below(&rng, 4) ? leat_recv_many(&b->c, batch, (size_t)(end - done))
                                                           : leat_recv(&b->c, batch) + 1;
            REQUIRE(n > 0);
            done += (int)n;
        }
        if (k + 1 == tap_rounds(BURSTS)) UNTIL(atomic_load_explicit(&b->done, memory_order_relaxed) == done);
    }
    CHECK_EQ(leat_close(&b->c), 0);
}

static void room_part(int i, void *arg)
{
    if (i == THREADS) make_room(arg);
    else fill_one_of_each_burst(arg);
}

TEST(a_burst_of_room_is_filled_by_as_many_threads_at_once)
{
    static const int caps[] = { 1, 2, 3, 5, 7 };
    static int end[THREADS * (BURSTS + 1)];
    for (int k = 0; k < 2 * (int)COUNT(caps); k++) {
        struct burst b = { .batches = k % 2, .end = end };
        int cap = caps[k / 2], n = 0;
        uint64_t rng = tap_seed(k);
        for (int i = 0; i <= tap_rounds(BURSTS); i++) /* first the empty channel is filled */
            for (int size = i ? 1 + tap_below(&rng, cap) : cap, last = n + size; n < last;) end[n++] = last;
        REQUIRE_EQ(leat_make(&b.c, (size_t)cap), 0);
        tap_threads(THREADS + 1, room_part, &b);
        leat_free(&b.c);
    }
}
