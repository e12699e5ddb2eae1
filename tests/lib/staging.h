/* staging.h - brings threads to a known place, so that a test can say what happens next.
 * SPDX-License-Identifier: MIT
 *
 * A call that waits begins on a thread of its own. The test goes on when that thread is in the wait queue. A send or
 * receive in slow motion stands for a thread that was preempted between claim and publish. Both look into the private
 * parts of queue.h. */
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

/* ==== Wait queues ============================================================================= */

static inline int in_queue_(leat_lock_ *lock, leat_waitq_ *list)
{
    int n = 0;
    leat_lock_take_(lock);
    for (leat_node_ *l = list->first_; l; l = l->next_) n += leat_is_waiting_(l->waiter_);
    leat_lock_drop_(lock);
    return n;
}

static inline int receivers(int_chan *c)
{
    return in_queue_(&c->chan.lock_, &c->chan.ends_[LEAT_SENDS_].peers_);
}

static inline int senders(int_chan *c)
{
    return in_queue_(&c->chan.lock_, &c->chan.ends_[LEAT_RECEIVES_].peers_);
}

static inline int waiters(leat_ctx *ctx)
{
    return in_queue_(&ctx->lock_, &ctx->waiters_);
}

#define UNTIL(condition) \
    do { \
        for (unsigned round_ = 0; !(condition);) leat_backoff_(&round_); \
    } while (0)

/* Gives the other threads time to do what they must not do. The test does not depend on how long: only a broken
 * header can fail here. */
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

/* The same, but waits until the call is in the wait queue. So the calls are in the queue in the order in which they
 * were begun. */
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

/* Joins the thread. Returns what the call returned. */
static inline int end(struct call *k)
{
    leave(&k->actor);
    return k->err;
}

/* ==== Partners ================================================================================= */

/* Threads that each meet whoever comes to an unbuffered channel of their own, until it is closed. Every second one
 * sends. */
struct partner {
    struct actor actor;
    int_chan c;
    bool sends;
};

static inline void be_there_(void *arg)
{
    struct partner *p = arg;
    int m = 7;
    while ((p->sends ? leat_send(&p->c, &m) : leat_recv(&p->c, &m)) == 0) {}
}

static inline void partners_enter(struct partner *p, int n)
{
    for (int i = 0; i < n; i++) {
        p[i].sends = i % 2;
        REQUIRE_EQ(leat_make(&p[i].c, 0), 0);
        enter(&p[i].actor, be_there_, &p[i]);
    }
}

static inline bool partner_waits(struct partner *p)
{
    return senders(&p->c) + receivers(&p->c) == 1;
}

/* The case of a select that meets it, with *m. */
static inline leat_case partner_case(struct partner *p, int *m)
{
    return p->sends ? LEAT_RECV(&p->c, m) : LEAT_SEND(&p->c, m);
}

static inline void partners_leave(struct partner *p, int n)
{
    for (int i = 0; i < n; i++) {
        CHECK_EQ(leat_close(&p[i].c), 0);
        leave(&p[i].actor);
    }
}

/* ==== In slow motion ========================================================================== */

struct slow {
    leat_chan *ch;
    uint64_t at;
    leat_node_ *woken; /* the node of the waiter that is to be woken */
};

/* The first half of a send. It claims a slot, and resolves the receiver that is to be woken for it. */
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
    leat_wake_all_(s->woken);
}

/* ==== Without spinning ======================================================================== */

/* From here on a call of this program parks at once where it would spin first. So what races with parking happens all
 * the time. */
static inline void never_spin(void)
{
    atomic_store_explicit(&leat_spins_, INT64_MAX - 1, memory_order_relaxed); /* one CPU, counted in the future */
}

#endif
