/* topic.h - broadcast for C programs. Every subscriber gets every message, and any thread can read the latest value.
 *
 *     typedef LEAT_TOPIC(struct tick) tick_topic;
 *     tick_topic ticks = { 0 };                                 // make(chan), for many receivers
 *     leat_subscribe(&ticks, &mine, LEAT_DROPS_OLDEST);         // mine: a LEAT_CHAN(struct tick)
 *     leat_publish(&ticks, &(struct tick){ .price = 7 });       // any thread: to every subscriber's channel
 *     leat_recv(&mine, &tick);                                  // recv, select, pools as always
 *     leat_unsubscribe(&ticks, &mine);                          // no publisher accesses it any more
 *     leat_free(&mine);
 *
 *     config_topic config;
 *     leat_topic_make(&config, LEAT_KEEPS_LATEST);              // a watch: keeps the last message
 *     leat_latest(&config, &now);                               // wait-free
 *     leat_latest_after(&config, &now, &version);               // waits for a newer one than it returned last
 *
 * SPDX-License-Identifier: MIT
 *
 * WHAT IT IS NOT. It keeps no history. A subscriber gets what is published after it subscribed. With
 * LEAT_LATEST_FIRST it also gets the latest message from before. The topic does not avoid copies. Each subscriber's
 * channel holds its own. A topic is not for messages that own something, because a dropped message is only counted.
 *
 * RETURN VALUES. As in queue.h, and:
 *     -EPIPE        publish, subscribe: the topic is closed.   latest_after: it is closed, and nothing newer will come
 *     -EALREADY     subscribe: this channel is a subscriber already.   close: the topic was closed before
 *     -ENOENT       this channel is no subscriber
 *     -EAGAIN       latest: no message was published yet.   try_latest_after: no newer one
 * Needs queue.h, and liburcu, flavour bp (link with -lurcu-bp). Every publish reads a list that seldom changes. With
 * liburcu a thread that reads the list writes nothing that other threads read. The two functions that each publish
 * needs are inlined. liburcu's header says that these may be inlined under any licence, short as they are, and that a
 * program which does so is to be compiled anew for each release of liburcu. docs/topic.md tells more.
 * Do not call these functions in an RCU read-side section of your own. Some of them wait for all sections to end.
 * All functions but make and free are thread-safe. For the child of a fork see pool.h.
 *
 * OPTIONS. [whole program] LEAT_NO_URCU      counters that all publishers share, instead of liburcu
 *          [this file]     LEAT_URCU_CALLS   liburcu is called, not inlined: 2 to 3 times slower, but another version of
 *                                            its library may be put in without compiling the program anew
 *
 * MEMORY ORDER.
 *     label   site                              carries
 *     [T1]    a subscriber is (un)linked -> [T2]    the subscriber, or to later calls that it is gone
 *     [T2]    publish reads the list     <- [T1]
 *     [T3]    a version is published     -> [T4]    its message
 *     [T4]    a thread reads the latest  <- [T3]
 *             These four have one order (seq_cst). Otherwise a publish could miss a new subscriber that misses its message.
 *             [T1], [T2], [T7], [T8], [R1], [R2] have one order, too. Otherwise a section could miss a
 *             change that was made before leat_synchronize_.
 *     [T5]    the first message is there -> [T6]    that this message is in the subscriber's channel
 *     [T6]    publish has another for it <- [T5]
 *     [T7]    close                      -> [T8]    what the closer did before
 *     [T8]    a call sees it             <- [T7]
 *     [T9]    a reference is put back    -> [T10]   that the call no longer accesses the subscriber
 *     [T10]   unsubscribe waits for that <- [T9]
 *     [R1]    a section begins           -> [R2]    (no liburcu) what the section finds is still there,
 *     [R2]    synchronize looks for sections <- [R1], [R3]   or it does not find what was unlinked before
 *     [R3]    a section ends             -> [R2]    that the section no longer accesses what it found
 *     [X8]    counters, and what a lock orders      nothing
 *     [X9]    WATCHED, and the word before a CAS    nothing: the modification order of one word is enough (part 4)
 */
#ifndef LEAT_TOPIC_H
#define LEAT_TOPIC_H

#include "queue.h"

#if defined LEAT_AS_SYSTEM_HEADER_ /* see LEAT_COLD_ */
#pragma GCC system_header
#endif
LEAT_OWN_STYLE_BEGIN_

#if !defined LEAT_NO_URCU
#include <pthread.h>
#ifdef __cplusplus
extern "C" {
#endif
#if !defined LEAT_URCU_CALLS && defined __has_include && defined __GNUC__
#if __has_include(<urcu/static/urcu-bp.h>)
#if !defined _URCU_BP_STATIC_H
/* They access structs that liburcu places at addresses which the type does not allow. Each access is of a word. */
static inline __attribute__((no_sanitize("alignment"))) void _urcu_bp_read_lock_update(unsigned long);
static inline __attribute__((no_sanitize("alignment"))) void _urcu_bp_read_lock(void);
static inline __attribute__((no_sanitize("alignment"))) void _urcu_bp_read_unlock(void);
#endif
#pragma push_macro("assert")
#pragma push_macro("static_assert")
#pragma push_macro("rdtscll")
#include <urcu/static/urcu-bp.h>
#pragma pop_macro("assert")
#pragma pop_macro("static_assert")
#pragma pop_macro("rdtscll")
#define LEAT_URCU_INLINE_
#endif
#endif
#if !defined _URCU_BP_H /* <urcu/urcu-bp.h> is not included: it would give the names without prefix to this flavour */
extern void urcu_bp_read_lock(void);
extern void urcu_bp_read_unlock(void);
extern void urcu_bp_synchronize_rcu(void);
#endif
#ifdef __cplusplus
}
#endif
#endif

#ifdef __cplusplus
#define LEAT_C11_BEGIN_
#include "queue.h"
#endif

/* LEAT_WAITS.. are for leat_subscribe: what a publish does about a subscriber whose channel is full. It waits for room
 * (WAITS), leaves this message out (DROPS_NEWEST), or throws out the oldest (DROPS_OLDEST). An unbuffered channel has
 * no oldest message, so this message is left out. Each of these may be combined with LEAT_LATEST_FIRST. Then the latest
 * message, if there is one and the channel has room, is the first that the subscriber gets. DROPS_OLDEST makes room for
 * it, too. */
enum { LEAT_WAITS = 0, LEAT_DROPS_NEWEST = 1, LEAT_DROPS_OLDEST = 2, LEAT_LATEST_FIRST = 4 };

/* For leat_topic_make. */
enum { LEAT_KEEPS_LATEST = 1 };

typedef struct leat_subscriber_ {
    _Atomic(struct leat_subscriber_ *) next_;
    uint64_t nth_; /* its number. The list is in the order of these numbers */
    leat_chan *chan_;
    _Atomic(uint64_t) first_; /* number of the version that it got by LATEST_FIRST, or NONE, or HELD */
    int policy_;              /* without LATEST_FIRST */
    char pad_[LEAT_LINE_];
    _Atomic(size_t) refs_; /* references: calls that use it outside of a section (part 1) */
    _Atomic(size_t) drops_;
    leat_ctx left_;  /* cancelled when the subscriber leaves: for a publisher that waits for this one alone */
    leat_chan gone_; /* closed then, and never used else: for one that waits for several */
} leat_subscriber_;

#define LEAT_HELD_ UINT64_MAX       /* not known yet: publishers hold their messages back */
#define LEAT_NONE_ (UINT64_MAX - 1) /* no version has this number */

#ifndef LEAT_VERSIONS_ /* tests set fewer */
#define LEAT_VERSIONS_ 64
#define LEAT_LATER_ 32 /* subscribers that a publish notes on its stack (part 3) */
#endif

/* A version holds a message that is or was the latest. It goes from unused_ to latest_ to replaced_, and back to unused_
 * (P3). These are its places in versions_. The word latest_ is
 *     number | FINAL | WATCHED | place
 * The number counts the messages that became the latest. It is 0 before the first. */
typedef LEAT_CHAN(uint32_t) leat_versions_;

#define LEAT_WATCHED_ ((uint64_t)LEAT_VERSIONS_) /* watchers may be parked: the publish that replaces the word wakes them */
#define LEAT_FINAL_ (2 * LEAT_WATCHED_)          /* the topic is closed: the number stays */
#define LEAT_NUMBER_ (4 * LEAT_WATCHED_)         /* from one number to the next */

typedef struct leat_topic {
    unsigned char *versions_; /* NULL: the topic keeps none */
    _Atomic(leat_subscriber_ *) list_;
    _Atomic(bool) closed_;
    char pad0_[LEAT_LINE_];
    _Atomic(uint64_t) latest_;
    leat_lock_ lock_;    /* guards changes of the list and of closed_ */
    leat_lock_ watches_; /* guards watchers_ */
    leat_waitq_ watchers_;
    uint64_t subscribed_; /* how many have subscribed so far */
    leat_lock_ reclaims_; /* held by the call that waits for versions to be unused */
    leat_versions_ unused_, replaced_;
#ifdef LEAT_NO_URCU
    char pad1_[LEAT_LINE_];
    leat_lock_ synchronizes_;
    _Atomic(unsigned) phase_;
    _Atomic(size_t) readers_[2]; /* sections that began in this phase */
#endif
} leat_topic;

/* ==== 1. Sections =============================================================================
 *
 * A section is what a thread does between leat_read_lock_ and leat_read_unlock_ (RCU's read-side section). What it has
 * found stays there until the section has ended. leat_synchronize_ returns when all sections that began before it have
 * ended. Without liburcu, sections are counted by phases, so that leat_synchronize_ does not wait for new ones (Linux's
 * first SRCU, P. McKenney 2006). leat_synchronize_ waits for both phases, because a thread that read the phase long ago
 * may still begin its section in it. */

#if !defined LEAT_NO_URCU
/* liburcu registers each thread at its first section, which may set errno. */
LEAT_COLD_ void leat_urcu_register_(void)
{
    int saved = errno;
    urcu_bp_read_lock();
    urcu_bp_read_unlock();
    errno = saved;
}
#endif

static inline unsigned leat_read_lock_(leat_topic *t)
{
#ifdef LEAT_NO_URCU
    unsigned phase = atomic_load_explicit(&t->phase_, memory_order_relaxed); /* [X8] either phase is right */
    atomic_fetch_add_explicit(&t->readers_[phase], 1, memory_order_seq_cst); /* [R1] -> [R2] */
    return phase;
#else
    (void)t;
#ifdef LEAT_URCU_INLINE_
    if (LEAT_RARELY_(!URCU_TLS(urcu_bp_reader))) leat_urcu_register_();
    _urcu_bp_read_lock();
#else
    static _Thread_local bool known;
    if (LEAT_RARELY_(!known)) leat_urcu_register_();
    known = true;
    urcu_bp_read_lock();
#endif
    return 0;
#endif
}

static inline void leat_read_unlock_(leat_topic *t, unsigned phase)
{
#ifdef LEAT_NO_URCU
    atomic_fetch_sub_explicit(&t->readers_[phase], 1, memory_order_release); /* [R3] -> [R2] */
#elif defined LEAT_URCU_INLINE_
    (void)t, (void)phase;
    _urcu_bp_read_unlock();
#else
    (void)t, (void)phase;
    urcu_bp_read_unlock();
#endif
}

LEAT_COLD_ void leat_synchronize_(leat_topic *t)
{
#ifdef LEAT_NO_URCU
    leat_lock_take_(&t->synchronizes_);
    for (int i = 0; i < 2; i++) {
        unsigned phase = atomic_load_explicit(&t->phase_, memory_order_relaxed); /* [X8] the lock orders it */
        atomic_store_explicit(&t->phase_, 1 - phase, memory_order_relaxed);      /* [X8] */
        for (unsigned round = 0;; leat_backoff_(&round))
            if (!atomic_load_explicit(&t->readers_[phase], memory_order_seq_cst)) break; /* [R2] <- [R1], [R3] */
    }
    leat_lock_drop_(&t->synchronizes_);
#else
    int saved = errno, cancel;
    (void)t;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* it polls, and poll is a cancellation point */
    urcu_bp_synchronize_rcu();
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
#endif
}

/* The number of the version in a word of latest_, and its message. */
static inline uint64_t leat_number_(uint64_t word)
{
    return word / LEAT_NUMBER_;
}

static inline unsigned char *leat_version_(const leat_topic *t, uint64_t word, size_t size)
{
    return t->versions_ + (size_t)(word % LEAT_VERSIONS_) * size;
}

/* ==== 2. Subscribers ========================================================================== */

LEAT_COLD_ void leat_topic_free_(leat_topic *t, size_t align)
{
    if (!t) return;
    leat_subscriber_ *s = atomic_load_explicit(&t->list_, memory_order_relaxed), *next; /* [X8] no thread uses it */
    for (; s; s = next) {
        next = atomic_load_explicit(&s->next_, memory_order_relaxed); /* [X8] */
        leat_quiet_free_(s);
    }
    leat_free(&t->unused_);
    leat_free(&t->replaced_);
    leat_zeroed_free_(t->versions_, align);
    *t = (leat_topic){ .versions_ = NULL };
}

LEAT_COLD_ int leat_topic_make_(leat_topic *t, int keeps, size_t size, size_t align)
{
    if (!t || keeps & ~LEAT_KEEPS_LATEST || size > INT32_MAX || size > PTRDIFF_MAX / LEAT_VERSIONS_ - align) return -EINVAL;
    *t = (leat_topic){ .versions_ = NULL };
    if (!keeps) return 0;
    t->versions_ = (unsigned char *)leat_zeroed_(LEAT_VERSIONS_, size ? size : 1, align);
    if (!t->versions_ || leat_make(&t->unused_, LEAT_VERSIONS_) || leat_make(&t->replaced_, LEAT_VERSIONS_)) {
        leat_topic_free_(t, align);
        return -ENOMEM;
    }
    for (uint32_t v = 0; v < LEAT_VERSIONS_; v++) leat_send(&t->unused_, &v);
    return 0;
}

/* The place in the list that points to the subscriber with this channel, or to the list's end. The caller holds the
 * lock. */
static inline _Atomic(leat_subscriber_ *) *leat_find_(leat_topic *t, const leat_chan *ch)
{
    _Atomic(leat_subscriber_ *) *at = &t->list_;
    leat_subscriber_ *s;
    while ((s = atomic_load_explicit(at, memory_order_relaxed)) != NULL && s->chan_ != ch) at = &s->next_; /* [X8] */
    return at;
}

static inline void leat_dropped_(leat_subscriber_ *s)
{
    atomic_fetch_add_explicit(&s->drops_, 1, memory_order_relaxed); /* [X8] */
}

/* A message as it is published: where it is, its size and its alignment. */
typedef struct leat_msg_t_ {
    const void *at_;
    size_t size_, align_;
} leat_msg_t_;

LEAT_HOT_ leat_msg_t_ leat_msg_(const void *at, size_t size, size_t align)
{
    return (leat_msg_t_){ at, size, align };
}

/* Puts a message into a subscriber's channel without waiting. With DROPS_OLDEST it makes room. RETURN VALUES: 0.
 * -EAGAIN: no room. -EPIPE: the channel is closed. LEAT_IN_FLIGHT_: another call is in flight in the slot. */
LEAT_COLD_ int leat_push_(leat_subscriber_ *s, leat_msg_t_ m)
{
    leat_case c = leat_send_case_(s->chan_, m.at_, m.size_, m.align_);
    bool evicts = s->policy_ == LEAT_DROPS_OLDEST && s->chan_->slots_;
    int err;
    while ((err = leat_try_case_(NULL, NULL, &c)) == -EAGAIN && evicts) {
        if (leat_move_(NULL, NULL, s->chan_, LEAT_RECEIVES_, NULL, m.size_, m.align_)) return LEAT_IN_FLIGHT_;
        leat_dropped_(s);
    }
    return err;
}

/* Puts a reference back. From now on *s may be gone. */
static inline void leat_subscriber_put_(leat_subscriber_ *s)
{
    atomic_fetch_sub_explicit(&s->refs_, 1, memory_order_release); /* [T9] -> [T10] */
}

LEAT_COLD_ int leat_subscribe_(leat_topic *t, leat_chan *ch, int policy, size_t size, size_t align)
{
    int does = policy & ~LEAT_LATEST_FIRST;
    bool first = policy != does;
    if (!t || !ch || does < 0 || does > LEAT_DROPS_OLDEST || (first && !(t->versions_ && ch->slots_))) return -EINVAL;
    leat_subscriber_ *s = (leat_subscriber_ *)leat_zeroed_(1, sizeof *s, 1);
    if (!s) return -ENOMEM;
    s->chan_ = ch;
    s->policy_ = does;
    atomic_init(&s->first_, first ? LEAT_HELD_ : LEAT_NONE_);
    atomic_init(&s->refs_, 1); /* this call's */
    leat_lock_take_(&t->lock_);
    _Atomic(leat_subscriber_ *) *at = leat_find_(t, ch);
    int err = 0;
    if (atomic_load_explicit(&t->closed_, memory_order_relaxed)) err = -EPIPE; /* [X8] the lock orders it */
    else if (atomic_load_explicit(at, memory_order_relaxed)) err = -EALREADY;  /* [X8] */
    if (!err) {
        s->nth_ = ++t->subscribed_;
        atomic_store_explicit(at, s, memory_order_seq_cst); /* [T1] -> [T2] */
    }
    leat_lock_drop_(&t->lock_);
    if (err) {
        leat_quiet_free_(s);
        return err;
    }
    if (first) { /* until it is known which is the first, publishers keep their messages back */
        unsigned in = leat_read_lock_(t);
        uint64_t word = atomic_load_explicit(&t->latest_, memory_order_seq_cst); /* [T4] <- [T3] */
        bool got = leat_number_(word) && !leat_push_(s, leat_msg_(leat_version_(t, word, size), size, align));
        atomic_store_explicit(&s->first_, got ? leat_number_(word) : LEAT_NONE_, memory_order_release); /* [T5] -> [T6] */
        leat_read_unlock_(t, in);
    }
    leat_subscriber_put_(s);
    return 0;
}

LEAT_COLD_ int leat_unsubscribe_(leat_topic *t, leat_chan *ch)
{
    if (!t || !ch) return -EINVAL;
    leat_lock_take_(&t->lock_);
    _Atomic(leat_subscriber_ *) *at = leat_find_(t, ch);
    leat_subscriber_ *s = atomic_load_explicit(at, memory_order_relaxed); /* [X8] */
    if (s) {
        leat_subscriber_ *next = atomic_load_explicit(&s->next_, memory_order_relaxed); /* [X8] */
        atomic_store_explicit(at, next, memory_order_seq_cst);                          /* [T1] -> [T2] */
    }
    leat_lock_drop_(&t->lock_);
    if (!s) return -ENOENT;
    leat_cancel(&s->left_, 0);
    leat_close_(&s->gone_);
    leat_synchronize_(t);                                                            /* no thread finds it any more */
    for (unsigned round = 0; atomic_load_explicit(&s->refs_, memory_order_acquire);) /* [T10] <- [T9] */
        leat_backoff_(&round);
    leat_quiet_free_(s);
    return 0;
}

LEAT_COLD_ ptrdiff_t leat_topic_drops_(leat_topic *t, leat_chan *ch)
{
    if (!t || !ch) return -EINVAL;
    leat_lock_take_(&t->lock_);
    leat_subscriber_ *s = atomic_load_explicit(leat_find_(t, ch), memory_order_relaxed);               /* [X8] */
    ptrdiff_t drops = s ? (ptrdiff_t)atomic_load_explicit(&s->drops_, memory_order_relaxed) : -ENOENT; /* [X8] */
    leat_lock_drop_(&t->lock_);
    return drops;
}

/* Wakes all watchers, without the lock: a woken thread may want it, to watch again. */
LEAT_COLD_ void leat_wake_watchers_(leat_topic *t)
{
    leat_node_ *chain = NULL;
    leat_lock_take_(&t->watches_);
    leat_resolve_all_(&t->watchers_, 0, &chain);
    leat_lock_drop_(&t->watches_);
    leat_wake_all_(chain);
}

/* The closer wakes no thread before it has dropped the lock, because a woken thread will want the lock, to
 * unsubscribe. */
LEAT_COLD_ int leat_topic_close_(leat_topic *t)
{
    if (!t) return -EINVAL;
    leat_node_ *chain = NULL, **end = &chain;
    leat_lock_take_(&t->lock_);
    bool again = atomic_load_explicit(&t->closed_, memory_order_relaxed);                       /* [X8] */
    atomic_store_explicit(&t->closed_, true, memory_order_seq_cst);                             /* [T7] -> [T8] */
    leat_subscriber_ *s = again ? NULL : atomic_load_explicit(&t->list_, memory_order_relaxed); /* [X8] */
    for (; s; s = atomic_load_explicit(&s->next_, memory_order_relaxed)) leat_close_quietly_(s->chan_, &end); /* [X8] */
    leat_lock_drop_(&t->lock_);
    leat_wake_all_(chain);
    leat_synchronize_(t); /* no call that saw the topic open is still under way */
    atomic_fetch_or_explicit(&t->latest_, LEAT_FINAL_, memory_order_release); /* [T7] -> [T8] */
    leat_wake_watchers_(t);
    return again ? -EALREADY : 0;
}

/* ==== 3. Publish ==============================================================================
 *
 * In a section the publisher offers the message to each subscriber. It sends where there is room, and writes nothing
 * else. No thread waits in a section. If the publisher must wait for a subscriber, it notes the subscriber's number.
 * After the section it finds each noted subscriber again, and keeps it alive by a reference meanwhile. First it serves
 * those for which it only has to wait for another call in flight, which cannot take long. Then it waits for any of the
 * others to have room, by a select. So those are served in the order in which their room comes, and one that never
 * receives keeps the message from none. The notes and the cases of the select grow as large as they must.
 * Without memory for that the publisher waits for one after another. If there is also no room for all notes, the walk
 * stops, those noted are served, and the walk goes on behind them.
 *
 * P1  A publisher has offered a message to all subscribers before it begins with its next message. That is the order
 *     promised.
 * P2  A message becomes the latest before the publisher walks the list, and a subscriber is in the list before it
 *     reads the latest. So it misses no message that comes after its first. It remembers the number of its first
 *     message, so it gets no message twice.
 * P3  A version is used again only after all sections have ended that began before it was replaced. Then no thread
 *     reads it.
 * P4  A publisher that waits for room has references to those subscribers alone whose leaving ends its wait. So any
 *     subscriber may leave. */

typedef struct leat_publication_ {
    uint64_t number_; /* of the version that the message became. 0: no versions are kept */
    bool waits_;      /* not a try */
    size_t n_, room_; /* how many subscribers are noted, and how many may be */
    uint64_t *later_; /* their numbers: few_, or memory of its own */
    uint64_t few_[LEAT_LATER_];
} leat_publication_;

/* Offers the message to one subscriber without waiting. RETURN VALUES: 0: the subscriber has the message. -EPIPE: it
 * does not get the message. -EAGAIN: it has no room, and the publisher must wait for it. LEAT_IN_FLIGHT_: this cannot
 * be decided yet. */
LEAT_COLD_ int leat_offer_(leat_subscriber_ *s, const leat_publication_ *r, leat_msg_t_ m)
{
    uint64_t first = atomic_load_explicit(&s->first_, memory_order_acquire); /* [T6] <- [T5] */
    if (first == LEAT_HELD_) return LEAT_IN_FLIGHT_;
    if (first == r->number_) return 0;
    int err = leat_push_(s, m);
    if (err != -EAGAIN || (r->waits_ && s->policy_ == LEAT_WAITS)) return err;
    leat_dropped_(s);
    return -EPIPE;
}

/* Offers the message to all subscribers behind number `behind` (0: to all), and notes those that must be waited for. It
 * stops when there is no room for another note. The caller is in a section. Returns how many subscribers have got the
 * message. */
LEAT_HOT_ ptrdiff_t leat_offer_all_(leat_topic *t, leat_publication_ *r, uint64_t behind, leat_msg_t_ m)
{
    ptrdiff_t got = 0;
    leat_subscriber_ *s = atomic_load_explicit(&t->list_, memory_order_seq_cst); /* [T2] <- [T1] */
    for (; s; s = atomic_load_explicit(&s->next_, memory_order_seq_cst)) {       /* [T2] <- [T1] */
        if (behind && s->nth_ <= behind) continue;
        uint64_t first = atomic_load_explicit(&s->first_, memory_order_acquire); /* [T6] <- [T5] */
        if (LEAT_USUALLY_((first == LEAT_NONE_ || (first != LEAT_HELD_ && first != r->number_)) &&
                          !leat_move_(NULL, NULL, s->chan_, LEAT_SENDS_, leat_to_read_(m.at_), m.size_, m.align_))) {
            got++;
        } else {
            int err = leat_offer_(s, r, m);
            got += !err;
            if (err && err != -EPIPE) r->later_[r->n_++] = s->nth_;
            if (r->n_ == r->room_) break;
        }
    }
    return got;
}

/* The subscriber of this number, with a reference for the caller, or NULL. */
LEAT_COLD_ leat_subscriber_ *leat_subscriber_get_(leat_topic *t, uint64_t nth)
{
    unsigned in = leat_read_lock_(t);
    leat_subscriber_ *s = atomic_load_explicit(&t->list_, memory_order_seq_cst);          /* [T2] <- [T1] */
    while (s && s->nth_ < nth) s = atomic_load_explicit(&s->next_, memory_order_seq_cst); /* [T2] <- [T1] */
    if (s && s->nth_ != nth) s = NULL;
    if (s) atomic_fetch_add_explicit(&s->refs_, 1, memory_order_relaxed); /* [X8] leat_synchronize_ orders it */
    leat_read_unlock_(t, in);
    return s;
}

/* Serves a subscriber that was noted. It waits for a call in flight, but for room only if `now`. RETURN VALUES: 0: the
 * subscriber has the message. -EPIPE: it has left, or does not get the message. -EAGAIN: it has no room. */
LEAT_COLD_ int leat_serve_(leat_ctx *ctx, leat_topic *t, const leat_publication_ *r, uint64_t nth, bool now, leat_msg_t_ m)
{
    leat_subscriber_ *s = leat_subscriber_get_(t, nth);
    unsigned busy = 0;
    int err;
    if (!s) return -EPIPE;
    while ((err = leat_offer_(s, r, m)) == LEAT_IN_FLIGHT_ && !leat_ctx_err(ctx)) leat_backoff_(&busy);
    if (err == LEAT_IN_FLIGHT_) {
        leat_dropped_(s);
        err = -EPIPE;
    }
    if (err == -EAGAIN && now) {
        leat_case c = leat_send_case_(s->chan_, m.at_, m.size_, m.align_);
        if (!leat_ctx_err(ctx)) err = leat_select_(ctx, &s->left_, &c, 1);
        if (err < 0) leat_dropped_(s);
        err = err < 0 ? -EPIPE : c.err;
    }
    leat_subscriber_put_(s);
    return err;
}

/* Makes room for twice as many notes. False: no memory. */
LEAT_COLD_ bool leat_notes_grow_(leat_publication_ *r)
{
    uint64_t *more = (uint64_t *)leat_zeroed_(2 * r->room_, sizeof *more, 1);
    if (!more) return false;
    memcpy(more, r->later_, r->n_ * sizeof *more);
    if (r->later_ != r->few_) leat_quiet_free_(r->later_);
    r->later_ = more;
    r->room_ *= 2;
    return true;
}

/* Serves those that are noted, each as soon as it has room, until one is left, or ctx is done, or there is no memory.
 * Those that are left stay noted. Returns how many subscribers have got the message. The last one is left to leat_serve_
 * because a wait for one case is faster. */
LEAT_COLD_ ptrdiff_t leat_serve_any_(leat_ctx *ctx, leat_topic *t, leat_publication_ *r, leat_msg_t_ m)
{
    leat_subscriber_ **who;
    leat_case *cases =
        (leat_case *)leat_zeroed_(r->n_, 2 * sizeof *cases + sizeof *who, 1); /* of each: to send, and it is gone */
    ptrdiff_t got = 0;
    size_t n = 0;
    int won;
    if (!cases) return 0;
    void *behind = cases + 2 * r->n_;
    who = (leat_subscriber_ **)behind;
    for (size_t i = 0; i < r->n_; i++) {
        if ((who[n] = leat_subscriber_get_(t, r->later_[i])) == NULL) continue;
        cases[2 * n] = leat_send_case_(who[n]->chan_, m.at_, m.size_, m.align_);
        cases[2 * n + 1] = leat_case_(&who[n]->gone_, LEAT_RECEIVES_, NULL, 0, 1);
        n++;
    }
    while (n > 1 && (won = leat_select_(ctx, NULL, cases, 2 * n)) >= 0) {
        size_t i = (size_t)won / 2;
        got += won % 2 == 0 && !cases[won].err;
        leat_subscriber_put_(who[i]);
        who[i] = who[--n];
        memcpy(&cases[2 * i], &cases[2 * n], 2 * sizeof *cases);
    }
    for (r->n_ = 0; r->n_ < n; r->n_++) {
        r->later_[r->n_] = who[r->n_]->nth_;
        leat_subscriber_put_(who[r->n_]);
    }
    leat_quiet_free_(cases);
    return got;
}

/* The slow path of a publish: some subscribers are noted. If the walk has stopped for want of room, it goes on behind
 * number `last`: with more room, or else when those that are noted have been served. */
LEAT_COLD_ ptrdiff_t leat_publish_slowly_(leat_ctx *ctx, leat_topic *t, leat_publication_ *r, leat_msg_t_ m, ptrdiff_t got)
{
    for (uint64_t last = 1; last;) {
        last = r->n_ == r->room_ ? r->later_[r->n_ - 1] : 0;
        if (!last || !leat_notes_grow_(r)) {
            size_t n = 0;
            for (size_t i = 0; i < r->n_; i++) {
                int err = leat_serve_(ctx, t, r, r->later_[i], false, m);
                got += !err;
                if (err == -EAGAIN) r->later_[n++] = r->later_[i];
            }
            r->n_ = n;
            if (n > 1) got += leat_serve_any_(ctx, t, r, m);
            for (size_t i = 0; i < r->n_; i++) got += !leat_serve_(ctx, t, r, r->later_[i], true, m);
            r->n_ = 0;
        }
        if (last) {
            unsigned in = leat_read_lock_(t);
            got += leat_offer_all_(t, r, last, m);
            leat_read_unlock_(t, in);
        }
    }
    if (r->later_ != r->few_) leat_quiet_free_(r->later_);
    return got;
}

/* Returns the place of a version that no thread reads any more, with the message in it. If none is unused, one call
 * waits for the sections that may still read replaced ones, and the other calls wait for that call. So any number of
 * publishes needs no more memory than a single one. */
LEAT_COLD_ uint32_t leat_version_of_(leat_topic *t, leat_msg_t_ m)
{
    uint32_t v;
    for (unsigned round = 0; leat_try_recv(&t->unused_, &v); leat_backoff_(&round)) {
        leat_lock_take_(&t->reclaims_);
        size_t n = leat_len(&t->unused_) ? 0 : leat_len(&t->replaced_);
        if (n) leat_synchronize_(t);
        for (; n && leat_recv(&t->replaced_, &v) == 0; n--) leat_send(&t->unused_, &v);
        leat_lock_drop_(&t->reclaims_);
    }
    leat_copy_(leat_version_(t, v, m.size_), m.at_, m.size_);
    return v;
}

/* Makes a version the latest. Returns the word that it has replaced. */
LEAT_HOT_ uint64_t leat_latest_is_(leat_topic *t, uint32_t v)
{
    uint64_t word = atomic_load_explicit(&t->latest_, memory_order_relaxed), next; /* [X9] */
    do next = (word & ~(LEAT_NUMBER_ - 1)) + LEAT_NUMBER_ + v;
    while (!atomic_compare_exchange_weak_explicit(&t->latest_, &word, next, memory_order_seq_cst, /* [T3] -> [T4] */
                                                  memory_order_relaxed));
    return word;
}

/* A publish in each of its forms (try: not `waits`). Without versions and subscribers it needs no section. */
LEAT_HOT_ ptrdiff_t leat_publish_(leat_ctx *ctx, leat_topic *t, leat_msg_t_ m, bool waits)
{
    int err = leat_ctx_err(ctx);
    if (LEAT_RARELY_(err)) return err;
    if (LEAT_RARELY_(!t || !m.at_)) return -EINVAL;
    if (!t->versions_ && !atomic_load_explicit(&t->list_, memory_order_relaxed)) { /* [X8] sees earlier subscribers */
        if (!atomic_load_explicit(&t->closed_, memory_order_acquire)) return 0;    /* [T8] <- [T7] */
        return (err = leat_ctx_err(ctx)) != 0 ? err : -EPIPE;
    }
    leat_publication_ r;
    r.waits_ = waits;
    r.n_ = 0;
    r.room_ = LEAT_LATER_;
    r.later_ = r.few_;
    r.number_ = 0;
    uint32_t v = t->versions_ ? leat_version_of_(t, m) : 0;
    uint64_t old = 0;
    ptrdiff_t got = -EPIPE;
    unsigned in = leat_read_lock_(t);
    bool open = !atomic_load_explicit(&t->closed_, memory_order_seq_cst); /* [T8] <- [T7] */
    if (LEAT_USUALLY_(open)) {
        if (t->versions_) {
            old = leat_latest_is_(t, v);
            r.number_ = leat_number_(old) + 1;
            v = (uint32_t)(old % LEAT_VERSIONS_);
        }
        got = leat_offer_all_(t, &r, 0, m);
    }
    leat_read_unlock_(t, in);
    if (LEAT_RARELY_(old & LEAT_WATCHED_)) leat_wake_watchers_(t);
    if (!open && t->versions_) leat_send(&t->unused_, &v);
    else if (leat_number_(old)) leat_send(&t->replaced_, &v);
    if (LEAT_RARELY_(!open) && (err = leat_ctx_err(ctx)) != 0) return err; /* ctx was done before the close */
    return LEAT_USUALLY_(!r.n_) ? got : leat_publish_slowly_(ctx, t, &r, m, got);
}

/* ==== 4. The latest, and its watchers =========================================================
 *
 * A watcher waits for a message that is newer than the one it saw last. It need not see each: those that were replaced
 * before it looks are left out. A publish does nothing for watchers unless some are parked.
 *
 * P5  A publish and a watcher W that is about to park change the same word, latest_. If W's fetch-or of WATCHED is
 *     first, the publish that replaces the word has seen the bit, and wakes all watchers that are in the queue. If the
 *     publish is first, the fetch-or returns its number, and W stays awake. The same is true of the close, which sets
 *     FINAL when no publish is in flight any more.
 * P6  The number only grows. So a watcher never gets a message that is older than one it has seen, and when no more come,
 *     it has got the last. */

LEAT_HOT_ int leat_latest_(leat_topic *t, void *msg, size_t size)
{
    if (LEAT_RARELY_(!t || !msg)) return -EINVAL;
    unsigned in = leat_read_lock_(t);
    uint64_t word = atomic_load_explicit(&t->latest_, memory_order_seq_cst); /* [T4] <- [T3] */
    if (leat_number_(word)) memcpy(msg, leat_version_(t, word, size), size);
    leat_read_unlock_(t, in);
    return leat_number_(word) ? 0 : -EAGAIN;
}

/* Copies the latest if it is newer than *version. A context that is done wins: it is asked before, and once more after
 * the look, since it may have been cancelled before that message was published (queue.h, I8). */
LEAT_HOT_ int leat_try_latest_after_(leat_ctx *ctx, leat_topic *t, void *msg, uint64_t *version, size_t size)
{
    if (LEAT_RARELY_(!t || !msg || !version || !t->versions_)) return -EINVAL;
    int err = leat_ctx_err(ctx);
    if (LEAT_RARELY_(err)) return err;
    uint64_t word = atomic_load_explicit(&t->latest_, memory_order_acquire); /* [T4] <- [T3], [T8] <- [T7] */
    bool ends;
    if (leat_number_(word) > *version) {
        unsigned in = leat_read_lock_(t);
        word = atomic_load_explicit(&t->latest_, memory_order_seq_cst); /* [T4] <- [T3] */
        ends = leat_ctx_is_ending_(ctx);
        if (LEAT_USUALLY_(!ends)) {
            memcpy(msg, leat_version_(t, word, size), size);
            *version = leat_number_(word);
        }
        leat_read_unlock_(t, in);
    } else {
        if (!(word & LEAT_FINAL_)) return -EAGAIN;
        ends = leat_ctx_is_ending_(ctx);
        err = -EPIPE;
    }
    return LEAT_RARELY_(ends) ? leat_ctx_err(ctx) : err;
}

typedef struct leat_watcher_ {
    leat_node_ link_;
    leat_topic *topic_;
    uint64_t seen_; /* the number of the message that it saw last */
} leat_watcher_;

LEAT_COLD_ bool leat_watcher_enqueue_(void *what, leat_waiter_ *w)
{
    leat_watcher_ *self = (leat_watcher_ *)what;
    leat_topic *t = self->topic_;
    self->link_.waiter_ = w;
    leat_lock_take_(&t->watches_);
    uint64_t word = atomic_fetch_or_explicit(&t->latest_, LEAT_WATCHED_, memory_order_relaxed); /* [X9] */
    bool waits = leat_number_(word) <= self->seen_ && !(word & LEAT_FINAL_);
    if (waits) leat_enqueue_(&t->watchers_, &self->link_);
    leat_lock_drop_(&t->watches_);
    return waits;
}

LEAT_COLD_ int leat_watch_(leat_ctx *ctx, leat_topic *t, void *msg, uint64_t *version, size_t size)
{
    leat_spin_ spin = LEAT_SPIN_;
    for (;;) {
        int err = leat_try_latest_after_(ctx, t, msg, version, size);
        if (err != -EAGAIN) {
            leat_spin_end_(&spin);
            return err;
        }
        if (leat_spin_again_(&spin, NULL, 0)) continue;
        leat_watcher_ self = { .topic_ = t, .seen_ = *version };
        leat_waiter_ w;
        leat_waiter_init_(&w);
        leat_block_(&w, ctx, NULL, LEAT_FOREVER, leat_watcher_enqueue_, &self);
        leat_os_done_(&w.state_);
        if (w.won_) continue;
        if (self.link_.linked_) { /* a context is done, and no publish has dequeued it */
            leat_lock_take_(&t->watches_);
            leat_dequeue_(&t->watchers_, &self.link_);
            leat_lock_drop_(&t->watches_);
        }
        if ((err = leat_ctx_err_at_(ctx, leat_now())) != 0) return err;
    }
}

LEAT_HOT_ int leat_latest_after_(leat_ctx *ctx, leat_topic *t, void *msg, uint64_t *version, size_t size)
{
    int err = leat_try_latest_after_(ctx, t, msg, version, size);
    return LEAT_USUALLY_(err != -EAGAIN) ? err : leat_watch_(ctx, t, msg, version, size);
}

/* ==== 5. The names to call ====================================================================
 *
 * `t` is a pointer to a LEAT_TOPIC(T), `c` to a LEAT_CHAN(T), `m` a T * (for publishing also const T *). Nothing else
 * compiles. Messages are copied. */

/* The type of a topic of T, as in: typedef LEAT_TOPIC(struct tick) tick_topic; All-zero is valid, and keeps no
 * latest. */
#ifdef __cplusplus
template <class T> union leat_topic_for_ {
    leat_topic topic;
    T *type_;
};
#define LEAT_TOPIC(...) leat_topic_for_<__typeof__(__VA_ARGS__)>
#else
#define LEAT_TOPIC(...) \
    union { \
        leat_topic topic; \
        __typeof__(__VA_ARGS__) *type_; \
    }
#endif

LEAT_HOT_ leat_topic *leat_topic_of_(void *t)
{
    return (leat_topic *)t;
}

#ifndef __cplusplus
/* clang-format off */
struct leat_wrong_channel_type { int a_channel_of_the_message_type_of_the_topic_expected; };
#define LEAT_TOPIC_(t) LEAT_UNLESS_CONST_(t, leat_topic_of_(t), &(t)->topic)
#define LEAT_MSG_(t, m) leat_msg_(LEAT_IN_(t, m), LEAT_OF_(t))
#define LEAT_SAME_(t, c) \
    (1 ? _Generic((c)->type_, LEAT_T_(t) *: LEAT_CHAN_(c), default: (struct leat_wrong_channel_type){ 0 }) : LEAT_MANY_(c))
#define LEAT_MANY_(c) _Generic((c)->ones_, char (*)[1]: &(c)->chan, default: (struct leat_wrong_channel_type){ 0 })

/* clang-format on */
/* int leat_topic_make(t, int keeps): `keeps` is 0 or LEAT_KEEPS_LATEST. With LEAT_KEEPS_LATEST, leat_latest and
 * LEAT_LATEST_FIRST work. This costs 64 messages of memory, and two more operations on a channel for each publish.
 * Once all 64 are used, every 63rd publish waits for the threads that read an old message. 0, -ENOMEM, -EINVAL. */
#define leat_topic_make(t, keeps) leat_topic_make_(LEAT_TOPIC_(t), keeps, LEAT_OF_(t))
/* void leat_topic_free(t): no thread may be using the topic. Subscribers' channels stay as they are. */
#define leat_topic_free(t) leat_topic_free_(LEAT_TOPIC_(t), _Alignof(LEAT_T_(t)))

/* int leat_subscribe(t, c, int policy): from now on *c gets what is published. *c still belongs to the caller. The
 * caller may also send to it, or close it. A closed channel gets no more. 0. -EPIPE: the topic is closed. -EALREADY.
 * -ENOMEM. -EINVAL: there is no such policy, or LEAT_LATEST_FIRST is given, but the topic keeps no latest or the
 * channel is unbuffered.
 * If the channel has no room for the latest, the subscriber starts without it. With several publishers the message that
 * comes last need not be the latest. Then ask leat_latest. */
#define leat_subscribe(t, c, policy) leat_subscribe_(LEAT_TOPIC_(t), LEAT_SAME_(t, c), policy, LEAT_OF_(t))

/* int leat_unsubscribe(t, c): *c gets no more. When this returns 0, no publisher accesses *c, and it may be freed.
 * Publishers that wait for room in *c go on. A thread that waits to receive from *c does not wake. Close *c to wake
 * it. The call waits for publishers that are at work, but not for those that wait for room. 0. -ENOENT: *c is no
 * subscriber, or another thread's unsubscribe has not returned yet. -EINVAL. */
#define leat_unsubscribe(t, c) leat_unsubscribe_(LEAT_TOPIC_(t), LEAT_SAME_(t, c))

/* ptrdiff_t leat_topic_drops(t, c): how many messages this subscriber did not get, because it had no room or because
 * the publisher's context was done. -ENOENT, -EINVAL. */
#define leat_topic_drops(t, c) leat_topic_drops_(LEAT_TOPIC_(t), LEAT_SAME_(t, c))

/* ptrdiff_t leat_publish(t, m): sends the message to every subscriber. Those that have room get it first. Then the
 * publisher waits for the others, and serves each as soon as that one has room: none waits for another. Each subscriber
 * gets in order what one thread publishes. While the call waits for two or more, it holds memory for that, 200 bytes for
 * each. If there is none, it waits for one after another. Returns how many got the message. -EPIPE: the topic is
 * closed. -EINVAL.
 * try: does not wait for room. A LEAT_WAITS subscriber that has no room counts a drop.
 * ctx (which may be NULL): -ECANCELED or -ETIMEDOUT if ctx is done before the call, and the message is not published.
 * If ctx becomes done while the call waits, the call waits no more. The subscribers that have room still get the
 * message, the others count a drop. */
#define leat_publish(t, ...) leat_publish_(NULL, LEAT_TOPIC_(t), LEAT_MSG_(t, (__VA_ARGS__)), true)
#define leat_try_publish(t, ...) leat_publish_(NULL, LEAT_TOPIC_(t), LEAT_MSG_(t, (__VA_ARGS__)), false)
#define leat_publish_ctx(ctx, t, ...) leat_publish_(ctx, LEAT_TOPIC_(t), LEAT_MSG_(t, (__VA_ARGS__)), true)

/* int leat_latest(t, m): copies the last message that was published, also after close. It is wait-free, except for a
 * thread's first call, because liburcu then registers the thread. 0. -EAGAIN: no message was published, or none is
 * kept. -EINVAL. */
#define leat_latest(t, m) leat_latest_(LEAT_TOPIC_(t), LEAT_OUT_(t, m), sizeof(LEAT_T_(t)))

/* int leat_latest_after(t, m, uint64_t *version): a watch. Waits until the last message is newer than *version, copies
 * it, and sets *version to its number. A caller begins with 0, and leaves *version alone between its calls: then each
 * call returns a newer message than the call before. Messages that were replaced meanwhile are left out, but never the
 * last. One publish wakes all threads that wait here. Each has a *version of its own. Numbers of one topic say nothing
 * about another.
 * 0. -EPIPE: the topic is closed, and *version is the last (else that one is returned first, also after the close).
 * -EINVAL, also if the topic keeps none. After an error *m and *version are untouched.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED or -ETIMEDOUT when ctx (or NULL) is done. */
#define leat_latest_after(t, m, version) leat_latest_after_ctx(NULL, t, m, version)
#define leat_try_latest_after(t, m, version) \
    leat_try_latest_after_(NULL, LEAT_TOPIC_(t), LEAT_OUT_(t, m), version, sizeof(LEAT_T_(t)))
#define leat_latest_after_ctx(ctx, t, m, version) \
    leat_latest_after_(ctx, LEAT_TOPIC_(t), LEAT_OUT_(t, m), version, sizeof(LEAT_T_(t)))

/* int leat_topic_close(t): closes every subscriber's channel, after what was published before. From then on publish
 * and subscribe return -EPIPE, and watchers that have seen the last message, too. A subscriber that got -EPIPE from its
 * channel must still unsubscribe before it frees the channel. 0, -EALREADY, -EINVAL. */
#define leat_topic_close(t) leat_topic_close_(LEAT_TOPIC_(t))

#else /* C++: the same calls */

/* clang-format off */
#define LEAT_TOPIC_OF_T_ leat_topic_for_<T>
#define LEAT_TOPIC_(t) leat_topic_of_(t)
#define LEAT_CALL_OF_T_(result) template <class T> LEAT_HOT_ result
#define LEAT_CALL_OF_T_AND_M_(result) template <class T, class M> LEAT_HOT_ result
#define LEAT_CALL_OF_T_AND_C_(result) template <class T, class C, int Ones> LEAT_HOT_ result
#define LEAT_PUBLISHES_P_ template <class T, class M, typename leat_if_pointer_<T, M *>::type = 0> LEAT_HOT_ ptrdiff_t
#define LEAT_MSG_(m) leat_msg_(m, LEAT_OF_T_)
/* clang-format on */

template <class T, class C, int Ones> LEAT_HOT_ leat_chan *leat_subscribers_(leat_chan_for_<C, Ones> *c LEAT_CALL_)
{
    static_assert(leat_same_<T, C>::yes, "leat: a channel of the message type of the topic is expected");
    static_assert(Ones == 0, "leat: a topic does not take a channel that has an end for one thread");
    return LEAT_C_(c);
}

LEAT_CALL_OF_T_(int) leat_topic_make(LEAT_TOPIC_OF_T_ *t, int keeps)
{
    return leat_topic_make_(LEAT_TOPIC_(t), keeps, LEAT_OF_T_);
}

LEAT_CALL_OF_T_(void) leat_topic_free(LEAT_TOPIC_OF_T_ *t)
{
    leat_topic_free_(LEAT_TOPIC_(t), leat_message_<T>::align);
}

LEAT_CALL_OF_T_AND_C_(int) leat_subscribe(LEAT_TOPIC_OF_T_ *t, leat_chan_for_<C, Ones> *c, int policy)
{
    return leat_subscribe_(LEAT_TOPIC_(t), leat_subscribers_<T>(c), policy, LEAT_OF_T_);
}

LEAT_CALL_OF_T_AND_C_(int) leat_unsubscribe(LEAT_TOPIC_OF_T_ *t, leat_chan_for_<C, Ones> *c)
{
    return leat_unsubscribe_(LEAT_TOPIC_(t), leat_subscribers_<T>(c));
}

LEAT_CALL_OF_T_AND_C_(ptrdiff_t) leat_topic_drops(LEAT_TOPIC_OF_T_ *t, leat_chan_for_<C, Ones> *c)
{
    return leat_topic_drops_(LEAT_TOPIC_(t), leat_subscribers_<T>(c));
}

LEAT_PUBLISHES_P_ leat_publish(LEAT_TOPIC_OF_T_ *t, M *m)
{
    return leat_publish_(NULL, LEAT_TOPIC_(t), LEAT_MSG_(leat_in_<T>(m)), true);
}

LEAT_CALL_OF_T_(ptrdiff_t) leat_publish(LEAT_TOPIC_OF_T_ *t, LEAT_M_)
{
    return leat_publish_(NULL, LEAT_TOPIC_(t), LEAT_MSG_(&m), true);
}

LEAT_PUBLISHES_P_ leat_try_publish(LEAT_TOPIC_OF_T_ *t, M *m)
{
    return leat_publish_(NULL, LEAT_TOPIC_(t), LEAT_MSG_(leat_in_<T>(m)), false);
}

LEAT_CALL_OF_T_(ptrdiff_t) leat_try_publish(LEAT_TOPIC_OF_T_ *t, LEAT_M_)
{
    return leat_publish_(NULL, LEAT_TOPIC_(t), LEAT_MSG_(&m), false);
}

LEAT_PUBLISHES_P_ leat_publish_ctx(leat_ctx *ctx, LEAT_TOPIC_OF_T_ *t, M *m)
{
    return leat_publish_(ctx, LEAT_TOPIC_(t), LEAT_MSG_(leat_in_<T>(m)), true);
}

LEAT_CALL_OF_T_(ptrdiff_t) leat_publish_ctx(leat_ctx *ctx, LEAT_TOPIC_OF_T_ *t, LEAT_M_)
{
    return leat_publish_(ctx, LEAT_TOPIC_(t), LEAT_MSG_(&m), true);
}

LEAT_CALL_OF_T_AND_M_(int) leat_latest(LEAT_TOPIC_OF_T_ *t, M *m)
{
    return leat_latest_(LEAT_TOPIC_(t), leat_out_<T>(m), leat_message_<T>::size);
}

LEAT_CALL_OF_T_AND_M_(int) leat_latest_after(LEAT_TOPIC_OF_T_ *t, M *m, uint64_t *version)
{
    return leat_latest_after_(NULL, LEAT_TOPIC_(t), leat_out_<T>(m), version, leat_message_<T>::size);
}

LEAT_CALL_OF_T_AND_M_(int) leat_try_latest_after(LEAT_TOPIC_OF_T_ *t, M *m, uint64_t *version)
{
    return leat_try_latest_after_(NULL, LEAT_TOPIC_(t), leat_out_<T>(m), version, leat_message_<T>::size);
}

LEAT_CALL_OF_T_AND_M_(int) leat_latest_after_ctx(leat_ctx *ctx, LEAT_TOPIC_OF_T_ *t, M *m, uint64_t *version)
{
    return leat_latest_after_(ctx, LEAT_TOPIC_(t), leat_out_<T>(m), version, leat_message_<T>::size);
}

LEAT_CALL_OF_T_(int) leat_topic_close(LEAT_TOPIC_OF_T_ *t)
{
    return leat_topic_close_(LEAT_TOPIC_(t));
}

#endif

#ifdef __cplusplus
#define LEAT_C11_END_
#include "queue.h"
#endif
LEAT_OWN_STYLE_END_
#endif
