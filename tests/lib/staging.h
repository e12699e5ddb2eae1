/* staging.h - brings threads to a known place, so that a test can say what happens next.
 * SPDX-License-Identifier: MIT
 *
 * A call that waits is begun on a thread of its own; the test goes on when that thread is seen in line.
 * And a send or receive in slow motion, to be another thread that was preempted half-way. For both this
 * looks into the private parts of queue.h. */
#ifndef LEAT_STAGING_H
#define LEAT_STAGING_H

#include "queue.h"
#include "tap.h"
#include <pthread.h>

typedef LEAT_CHAN(int) int_chan;

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ==== A thread ================================================================================ */

struct actor {
    pthread_t thread;
    void (*play)(void *);
    void *arg;
};

static inline void *actor_main_(void *p)
{
    struct actor *a = p;
    a->play(a->arg);
    return NULL;
}

static inline void enter(struct actor *a, void (*play)(void *), void *arg)
{
    a->play = play;
    a->arg = arg;
    REQUIRE(pthread_create(&a->thread, NULL, actor_main_, a) == 0);
}

static inline void leave(struct actor *a)
{
    pthread_join(a->thread, NULL);
}

/* ==== Who is in line ========================================================================== */

static inline int in_line_(leat_lock_ *lock, leat_waitq_ *list)
{
    int n = 0;
    leat_lock_take_(lock);
    for (leat_node_ *l = list->first_; l; l = l->next_) n += leat_is_waiting_(l->waiter_);
    leat_lock_drop_(lock);
    return n;
}

static inline int receivers(int_chan *c)
{
    return in_line_(&c->chan.lock_, &c->chan.ends_[LEAT_SENDS_].peers_);
}

static inline int senders(int_chan *c)
{
    return in_line_(&c->chan.lock_, &c->chan.ends_[LEAT_RECEIVES_].peers_);
}

static inline int sleepers(leat_ctx *ctx)
{
    return in_line_(&ctx->lock_, &ctx->waiters_);
}

#define UNTIL(condition) \
    do { \
        for (unsigned round_ = 0; !(condition);) leat_backoff_(&round_); \
    } while (0)

/* Gives the others a while to do what they must not do. Only a broken header can fail by its length. */
static inline void a_while(void)
{
    for (int i = 0; i < 20; i++) {
        leat_os_yield_();
        (void)leat_sleep(LEAT_US(100));
    }
}

/* ==== A call that waits ======================================================================= */

struct call {
    struct actor actor;
    int_chan *c;
    leat_ctx *ctx;
    int msg, err;
    _Atomic bool over;
};

static inline void do_send_(void *p)
{
    struct call *k = p;
    k->err = k->ctx ? leat_send_ctx(k->ctx, k->c, &k->msg) : leat_send(k->c, &k->msg);
    atomic_store_explicit(&k->over, true, memory_order_release);
}

static inline void do_recv_(void *p)
{
    struct call *k = p;
    k->err = k->ctx ? leat_recv_ctx(k->ctx, k->c, &k->msg) : leat_recv(k->c, &k->msg);
    atomic_store_explicit(&k->over, true, memory_order_release);
}

static inline void begin_(struct call *k, leat_ctx *ctx, int_chan *c, int msg, void (*play)(void *))
{
    k->c = c;
    k->ctx = ctx;
    k->msg = msg;
    k->err = 1;
    atomic_init(&k->over, false);
    enter(&k->actor, play, k);
}

static inline void begin_send(struct call *k, leat_ctx *ctx, int_chan *c, int msg)
{
    begin_(k, ctx, c, msg, do_send_);
}

static inline void begin_recv(struct call *k, leat_ctx *ctx, int_chan *c)
{
    begin_(k, ctx, c, -1, do_recv_);
}

/* The same, and waits until it is in line: the order of such calls is the order of the line. */
static inline void send_waits(struct call *k, leat_ctx *ctx, int_chan *c, int msg)
{
    int before = senders(c);
    begin_send(k, ctx, c, msg);
    UNTIL(senders(c) == before + 1);
}

static inline void recv_waits(struct call *k, leat_ctx *ctx, int_chan *c)
{
    int before = receivers(c);
    begin_recv(k, ctx, c);
    UNTIL(receivers(c) == before + 1);
}

static inline bool is_over(struct call *k)
{
    return atomic_load_explicit(&k->over, memory_order_acquire);
}

/* Joins it: what it returned. */
static inline int end(struct call *k)
{
    leave(&k->actor);
    return k->err;
}

/* ==== In slow motion ========================================================================== */

struct slow {
    leat_chan *ch;
    uint64_t at;
    leat_node_ *woken; /* who is to be woken */
};

/* The first half of a send: a slot is claimed; who sleeps for it too. */
static inline struct slow slow_send(int_chan *c)
{
    leat_chan *ch = &c->chan;
    struct slow s = { .ch = ch };
    s.at = atomic_load_explicit(&ch->ends_[LEAT_SENDS_].at_, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&ch->ends_[LEAT_SENDS_].at_, &s.at, leat_advance_(ch, s.at, 1),
                                                  memory_order_release, memory_order_relaxed)) {}
    if (s.at & LEAT_WAITERS_) s.woken = leat_resolve_peer_(ch, &ch->ends_[LEAT_SENDS_]);
    return s;
}

static inline void slow_send_publish(struct slow *s, int msg)
{
    unsigned char *slot = leat_slot_(s->ch, s->at, sizeof(int), _Alignof(int));
    memcpy(slot + leat_msg_at_(_Alignof(int)), &msg, sizeof msg);
    atomic_store_explicit(leat_stamp_of_(slot), leat_lap_of_(s->ch, s->at) | LEAT_FULL_, memory_order_release);
}

static inline struct slow slow_recv(int_chan *c)
{
    leat_chan *ch = &c->chan;
    struct slow s = { .ch = ch };
    s.at = atomic_load_explicit(&ch->ends_[LEAT_RECEIVES_].at_, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&ch->ends_[LEAT_RECEIVES_].at_, &s.at, leat_advance_(ch, s.at, 1),
                                                  memory_order_release, memory_order_relaxed)) {}
    if (s.at & LEAT_WAITERS_) s.woken = leat_resolve_peer_(ch, &ch->ends_[LEAT_RECEIVES_]);
    return s;
}

static inline int slow_recv_publish(struct slow *s)
{
    int msg;
    unsigned char *slot = leat_slot_(s->ch, s->at, sizeof(int), _Alignof(int));
    REQUIRE_EQ(atomic_load_explicit(leat_stamp_of_(slot), memory_order_acquire), leat_lap_of_(s->ch, s->at) | LEAT_FULL_);
    memcpy(&msg, slot + leat_msg_at_(_Alignof(int)), sizeof msg);
    atomic_store_explicit(leat_stamp_of_(slot), leat_lap_of_(s->ch, s->at) + s->ch->lap_, memory_order_release);
    return msg;
}

static inline void slow_wake(struct slow *s)
{
    if (s->woken) leat_wake_(s->woken);
}

/* ==== Without spinning ======================================================================== */

/* From here on this program's calls sleep at once where they would spin first: what races with falling
 * asleep then happens all the time. */
static inline void never_spin(void)
{
    atomic_store_explicit(&leat_spins_, INT64_MAX - 1, memory_order_relaxed); /* there is one CPU, says the future */
}

#endif
