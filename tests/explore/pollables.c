/* pollables.c - scenarios of leat_pollable: a loop that sleeps only in poll() misses nothing, and takes nothing from those
 * who are parked (I9). SPDX-License-Identifier: MIT */
#include "scene.h"

#if !defined LEAT_NO_FUTEX /* there the descriptors are pipes, which the simulator does not have */

static leat_pollable w, w2;
static leat_ctx parent, ctx;

static void begin(const sim_knobs *k)
{
    now_ = k;
    (void)d;
    make(&c, k->cap, "c");
    sim_name(&w, sizeof w, "w");
    name_ctx(&ctx, "ctx");
    parent = (leat_ctx)LEAT_CTX(NULL);
    ctx = (leat_ctx)LEAT_CTX(&parent);
}

static void finish(void)
{
    EXPECT(no_thread_waits(&c));
    EXPECT(!c.chan.ends_[0].pollables_.first_ && !c.chan.ends_[1].pollables_.first_);
    EXPECT(!ctx.waiters_.first_ && !parent.waiters_.first_);
    EXPECT(sim_descriptors() == 0);
    leat_free(&c);
}

static void *sends(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int m = ID(arg) * now_->each + i;
        EXPECT(leat_send(&c, &m) == 0);
    }
    return NULL;
}

/* ==== No edge is lost ========================================================================= */

/* A loop that sleeps only in poll, until it has `n` messages or the channel is closed. If an edge were lost, it would
 * sleep for ever (I9). */
static int loop(int fd, int n)
{
    int err = 0, m;
    for (int got = 0; got < n;) {
        sim_poll(fd);
        do {
            while (got < n && (err = leat_try_recv(&c, &m)) == 0) {
                note_got(0, m);
                got++;
            }
            if (err == -EPIPE) return got;
        } while (got < n && leat_pollable_rearm(&w));
    }
    return n;
}

SCENARIO(a_loop_sees_every_message, { .senders = 1, .cap = 1, .each = 1, .exhaust = true },
         { .senders = 1, .cap = 1, .each = 3 }, { .senders = 2, .cap = 1, .each = 1, .exhaust = true },
         { .senders = 2, .cap = 2, .each = 2 }, { .senders = 2, .cap = 3, .each = 3, .start = 2 },
         { .senders = 3, .cap = 2, .each = 1 }, { .senders = 1, .cap = 0, .each = 1, .exhaust = true },
         { .senders = 2, .cap = 0, .each = 1 }, { .senders = 2, .cap = 0, .each = 2 })
{
    begin(k);
    for (int i = 0; i < k->senders; i++) GO(sends, i);
    int fd = leat_pollable_recv(&w, &c), n = k->senders * k->each;
    EXPECT(fd >= 3);
    EXPECT(loop(fd, n) == n);
    sim_join();
    leat_pollable_close(&w);
    EXPECT(all_got(k->each) == n);
    finish();
}

/* The mirror image: the loop sends, the other threads take. */
static void *receives(void *arg)
{
    for (int i = 0, m; i < now_->each; i++) {
        EXPECT(leat_recv(&c, &m) == 0);
        note_got(ID(arg), m);
    }
    return NULL;
}

SCENARIO(a_loop_sees_all_room, { .receivers = 1, .cap = 1, .each = 2, .exhaust = true },
         { .receivers = 1, .cap = 1, .each = 3 }, { .receivers = 2, .cap = 2, .each = 2 },
         { .receivers = 2, .cap = 1, .each = 1 }, { .receivers = 2, .cap = 3, .each = 3, .start = 2 },
         { .receivers = 1, .cap = 0, .each = 1, .exhaust = true }, { .receivers = 2, .cap = 0, .each = 1 },
         { .receivers = 2, .cap = 0, .each = 2 })
{
    begin(k);
    for (int i = 0; i < k->receivers; i++) GO(receives, i);
    int fd = leat_pollable_send(&w, &c), n = k->receivers * k->each;
    for (int sent = 0; sent < n;) {
        sim_poll(fd);
        do
            while (sent < n && leat_try_send(&c, &sent) == 0) sent++;
        while (sent < n && leat_pollable_rearm(&w));
    }
    sim_join();
    leat_pollable_close(&w);
    EXPECT(all_got(n) == n);
    finish();
}

/* ==== It takes nothing from those who are parked ============================================== */

/* A loop that never tries, beside receivers that are parked: they get every message, and it is told (I9). `a`: the loop
 * tries once, and arms again. */
SCENARIO(a_pollable_takes_no_wake, { .receivers = 1, .cap = 1, .each = 1, .exhaust = true },
         { .receivers = 2, .cap = 2, .each = 1 }, { .receivers = 2, .cap = 2, .each = 2 },
         { .receivers = 1, .cap = 0, .each = 1 }, { .receivers = 2, .cap = 0, .each = 1 },
         { .receivers = 2, .cap = 3, .each = 2, .start = 2 }, { .receivers = 1, .cap = 1, .each = 1, .a = 1 },
         { .receivers = 2, .cap = 2, .each = 1, .a = 1 })
{
    int m;
    begin(k);
    for (int i = 1; i <= k->receivers; i++) GO(receives, i);
    int fd = leat_pollable_recv(&w, &c);
    for (int i = 0; i < k->receivers; i++) GO(sends, i);
    if (k->a) {
        int err = leat_try_recv(&c, &m);
        if (!err) EXPECT(leat_send(&c, &m) == 0);
        (void)leat_pollable_rearm(&w);
    }
    sim_join();
    if (k->cap && !k->a) EXPECT(sim_readable(fd));
    leat_pollable_close(&w);
    EXPECT(all_got(k->each) == k->receivers * k->each);
    finish();
}

/* Two loops and a parked receiver at one channel: a message tells all (I9). */
static void *polls_only(void *arg)
{
    sim_poll(ID(arg));
    return NULL;
}

SCENARIO(all_pollables_are_told, { .cap = 1, .exhaust = true }, { .cap = 2 }, { .cap = 0, .a = 1 }, { .cap = 1, .a = 1 })
{
    int m = 0;
    begin(k);
    int fd = leat_pollable_recv(&w, &c), fd2 = leat_pollable_recv(&w2, &c);
    GO(polls_only, fd);
    GO(polls_only, fd2);
    if (k->a) EXPECT(leat_close(&c) == 0);
    else EXPECT(leat_send(&c, &m) == 0);
    sim_join();
    leat_pollable_close(&w2);
    leat_pollable_close(&w);
    finish();
}

/* A loop that runs until the channel is closed, beside receivers that a cancel ends. Before the close, every message has
 * reached one of them (I5) (I9). */
static _Atomic int total;

static void *receives_under_ctx(void *arg)
{
    int m, err = leat_recv_ctx(&ctx, &c, &m);
    if (err) return NULL;
    note_got(ID(arg), m);
    atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
    return NULL;
}

static void *loops(void *arg)
{
    int m, err, fd = leat_pollable_recv(&w, &c);
    (void)arg;
    do {
        sim_poll(fd);
        do {
            for (; (err = leat_try_recv(&c, &m)) == 0; atomic_fetch_add_explicit(&total, 1, memory_order_relaxed))
                note_got(0, m);
        } while (err == -EAGAIN && leat_pollable_rearm(&w));
    } while (err == -EAGAIN);
    EXPECT(err == -EPIPE);
    leat_pollable_close(&w);
    return NULL;
}

static void *cancels(void *arg)
{
    leat_cancel(ID(arg) ? &parent : &ctx, 7);
    return NULL;
}

SCENARIO(a_loop_beside_receivers_that_leave, { .cap = 2, .senders = 2, .receivers = 1, .each = 1 },
         { .cap = 2, .senders = 2, .receivers = 2, .each = 1 },
         { .cap = 3, .senders = 3, .receivers = 2, .each = 1, .start = 1 },
         { .cap = 1, .senders = 2, .receivers = 2, .each = 2 }, { .cap = 0, .senders = 2, .receivers = 1, .each = 1 })
{
    begin(k);
    atomic_store_explicit(&total, 0, memory_order_relaxed);
    for (int i = 1; i <= k->receivers; i++) GO(receives_under_ctx, i);
    GO(loops, 0);
    for (int i = 0; i < k->senders; i++) GO(sends, i);
    GO(cancels, 0);
    while (atomic_load_explicit(&total, memory_order_relaxed) < k->senders * k->each) sim_yield();
    EXPECT(leat_close(&c) == 0);
    sim_join();
    EXPECT(all_got(k->each) == k->senders * k->each);
    finish();
}

/* ==== Close, and the end of what it watches =================================================== */

static void *closes(void *arg)
{
    (void)arg;
    EXPECT(leat_close(&c) == 0);
    return NULL;
}

/* It is closed while a thread wakes it. No thread writes to a descriptor that is closed, nor touches w after. */
SCENARIO(closed_while_it_is_told, { .cap = 1, .senders = 1, .each = 1, .exhaust = true },
         { .cap = 0, .a = 1, .exhaust = true }, { .cap = 2, .senders = 2, .each = 1 }, { .cap = 1, .a = 1, .exhaust = true })
{
    begin(k);
    for (int i = 0; i < k->senders; i++) GO(sends, i);
    if (k->a) GO(closes, 0);
    EXPECT(leat_pollable_recv(&w, &c) >= 3);
    leat_pollable_close(&w);
    sim_freed(&w, sizeof w, "the pollable");
    sim_join();
    finish();
}

/* The channel is closed: the loop learns it. A thread that learned it so may free the channel at once (I4). */
SCENARIO(a_loop_sees_the_close, { .cap = 0, .exhaust = true }, { .cap = 1, .exhaust = true }, { .cap = 1, .each = 1 },
         { .cap = 2, .each = 2 })
{
    int m;
    begin(k);
    if (k->each) sim_join_one(GO(sends, 0));
    GO(closes, 0);
    int fd = leat_pollable_recv(&w, &c);
    EXPECT(loop(fd, 100) == k->each);
    EXPECT(leat_try_recv(&c, &m) == -EPIPE);
    free_at_once(&c, "the channel");
    leat_pollable_close(&w);
    sim_join();
    EXPECT(sim_descriptors() == 0);
}

/* A cancel, also of the parent, while the pollable is made, and while it is closed. */
SCENARIO(a_loop_sees_the_cancel, { .a = 0, .exhaust = true }, { .a = 1, .exhaust = true }, { .a = 2 },
         { .a = 0, .each = 1, .exhaust = true }, { .a = 1, .each = 1, .exhaust = true }, { .a = 2, .each = 1 })
{
    begin(k);
    if (k->a != 1) GO(cancels, 0);
    if (k->a != 0) GO(cancels, 1);
    int fd = leat_pollable_ctx(&w, &ctx);
    EXPECT(fd >= 3);
    if (!k->each) {
        sim_poll(fd);
        EXPECT(leat_ctx_err(&ctx) == -ECANCELED);
        EXPECT(leat_pollable_rearm(&w) && sim_readable(fd));
    }
    leat_pollable_close(&w);
    sim_freed(&w, sizeof w, "the pollable");
    sim_join();
    finish();
}

#else
typedef int no_scenarios;
#endif
