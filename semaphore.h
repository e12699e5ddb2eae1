/* semaphore.h - a weighted, fair, closeable, cancellable counting semaphore, and a wait group.
 *
 *     leat_sem slots = LEAT_SEM(8);             // at most eight at once
 *     leat_acquire(&slots, 1);
 *     work();
 *     leat_release(&slots, 1);
 *
 * SPDX-License-Identifier: MIT
 *
 * WHAT IT IS NOT. Not <semaphore.h>: whoever includes that with this file first on the search path still
 * gets the system's, with sem_t, and this one beside it. Not shared between processes. In C++ this file
 * is the system's alone.
 *
 * ANSWERS. As in queue.h, and -EOVERFLOW: released more than was acquired; nothing changed.
 * Needs queue.h. The same three forms of each call that can wait.
 *
 * OPTIONS. [this file] LEAT_LINT   be no system header: warn about this file too
 *
 * MEMORY ORDER.
 *     label   site                              carries
 *     [M1]    permits released       -> [M2]    what was done under them
 *     [M2]    permits acquired       <- [M1]
 *     [W1]    a wait group counts    -> [W2]    what the task did
 *     [W2]    a wait sees zero       <- [W1]
 *     [X6]    a guess at a word, or at its limit: nothing, the CAS decides
 */
/* leat:forward-begin  (ahead of the guard: through "" the file may find itself again) */
#if !defined LEAT_SEMAPHORE_H && !defined __cplusplus
#include "queue.h" /* here: what is included after the pragma is a system header as well, of which nobody is warned */
#endif
#if defined __GNUC__ && !defined LEAT_LINT
#pragma GCC system_header
#if __has_include_next(<semaphore.h>)
#include_next <semaphore.h>
#endif
#endif
/* leat:forward-end */
#if !defined LEAT_SEMAPHORE_H && defined LEAT_RECV /* not in C++, nor half-way through queue.h, for LEAT_CUSTOM_OS */
#define LEAT_SEMAPHORE_H

LEAT_OWN_STYLE_BEGIN_

/* ==== 1. Semaphore ============================================================================
 *
 *     word:  permits (may be below zero after a shrink) | CLOSED | FAIR | WAITERS
 *
 * No bit set: acquire and release are one CAS each. Any bit set: both take the lock, and then nobody
 * else changes the word. So, as with channels:
 *
 * S1  Last touch. Permits are published either by a CAS on a word without bits, and nothing after it, or
 *     under the lock with a bit left set, so that whoever takes them has to wait for the unlock. Who got
 *     the permits may free the semaphore.
 * S2  One wake at a time, a hint: the woken one tries again, and so may anybody who runs (barging).
 *     While the hint is on its way WAITERS is clear. The woken one sets it again.
 * S3  FAIR is set by who finds that the first in line has waited 1 ms. From then on permits are handed
 *     over in order, until the first in line is younger again. So many are not starved by few. */

typedef struct leat_sem {
    _Atomic int64_t word_;
    _Atomic int64_t most_;
    leat_lock_ lock_;
    leat_waitq_ line_;
} leat_sem;

typedef struct leat_place_ {
    leat_node_ link_; /* first: a link in the line is a place */
    int64_t need_, since_;
    leat_ctx *ctx_, *also_;
    leat_sem *sem_;
    int err_;    /* what the last try said */
    bool fired_; /* it had its turn */
} leat_place_;

#define LEAT_SEM_WAITERS_ INT64_C(1)
#define LEAT_SEM_FAIR_ INT64_C(2)
#define LEAT_SEM_CLOSED_ INT64_C(4)
#define LEAT_SEM_BITS_ INT64_C(7)
#define LEAT_PERMIT_ INT64_C(8)
#define LEAT_PATIENCE_ LEAT_MS(1)

/* A semaphore of n permits; or with `start` permits of at most `most` (0 of LEAT_SEM_MAX to signal
 * with). Initialisers. All-zero is valid: no permits, ever. */
#define LEAT_SEM_MAX (INT64_MAX / 16)
#define LEAT_SEM(n) LEAT_SEM_OF(n, n)
#define LEAT_SEM_OF(start, most) { .word_ = (int64_t)(start) * LEAT_PERMIT_, .most_ = (most) }

static inline int64_t leat_permits_(int64_t word)
{
    return (word & ~LEAT_SEM_BITS_) / LEAT_PERMIT_;
}

/* Takes the lock and makes the word ours, by a bit. */
static inline int64_t leat_sem_lock_(leat_sem *s)
{
    leat_lock_take_(&s->lock_);
    return LEAT_SEM_WAITERS_ |
           atomic_fetch_or_explicit(&s->word_, LEAT_SEM_WAITERS_, memory_order_acquire); /* [M2] <- [M1] */
}

static inline void leat_sem_unlock_(leat_sem *s, int64_t word)
{
    atomic_store_explicit(&s->word_, word, memory_order_release); /* [M1] -> [M2] */
    leat_lock_drop_(&s->lock_);
}

/* Whether the first in line has lost patience. */
static inline bool leat_sem_late_(const leat_sem *s)
{
    const void *first_link = s->line_.first_;
    const leat_place_ *first = first_link;
    return first && leat_now() - first->since_ >= LEAT_PATIENCE_;
}

/* Serves the line with the permits in `word` and *extra more: hands them over in FAIR order, else gives
 * the first whom they satisfy a hint. Returns the word that remains, with the right bits (WAITERS was set
 * by leat_sem_lock_); *extra is what is left of it; whom to fire is added to *chain. The lock is held. */
LEAT_COLD_ int64_t leat_sem_serve_(leat_sem *s, int64_t word, int64_t *extra, leat_node_ **chain)
{
    bool hinted = false;
    while (s->line_.first_ && !hinted) {
        leat_node_ *l = s->line_.first_;
        const void *first_link = l;
        int64_t need = ((const leat_place_ *)first_link)->need_;
        bool enough = leat_permits_(word) + *extra >= need;
        bool never = need > atomic_load_explicit(&s->most_, memory_order_relaxed); /* [X6] after a shrink */
        bool fair = word & LEAT_SEM_FAIR_;
        if (!enough && !never) {
            if (leat_is_waiting_(l->waiter_)) break;
            leat_dequeue_(&s->line_, l); /* it is leaving: do not let it hold up the line */
        } else if (never && leat_resolve_node_(&s->line_, l, -EDEADLK)) {
            l->next_ = *chain;
            *chain = l;
        } else if (!leat_resolve_node_(&s->line_, l, fair ? LEAT_HANDED_OFF_ : 0)) {
            leat_dequeue_(&s->line_, l);
        } else {
            l->next_ = *chain;
            *chain = l;
            hinted = !fair;
            if (fair) {
                int64_t here = leat_permits_(word) < 0 ? 0 : leat_permits_(word);
                int64_t from_word = need < here ? need : here;
                word -= from_word * LEAT_PERMIT_;
                *extra -= need - from_word;
                if (!leat_sem_late_(s)) word &= ~LEAT_SEM_FAIR_;
            }
        }
    }
    if (!s->line_.first_) word &= ~(LEAT_SEM_WAITERS_ | LEAT_SEM_FAIR_);
    else if (hinted) word &= ~LEAT_SEM_WAITERS_;
    return word;
}

/* Serves the line with what is there, lets go of the word, and fires who was served. */
LEAT_COLD_ void leat_sem_settle_(leat_sem *s, int64_t word)
{
    leat_node_ *chain = NULL;
    int64_t none = 0;
    leat_sem_unlock_(s, leat_sem_serve_(s, word, &none, &chain));
    leat_wake_all_(chain);
}

/* Both guess that nobody else holds permits, from most_: to read a word that one has just changed by a
 * locked operation, and then change it, takes 5 ns longer each (Ice Lake) than to guess and be right. */

/* Publishes n permits if no bit is set and it leaves at most most_. */
LEAT_HOT_ bool leat_sem_give_(leat_sem *s, int64_t n)
{
    int64_t room = (atomic_load_explicit(&s->most_, memory_order_relaxed) - n) * LEAT_PERMIT_, word = room; /* [X6] */
    while (!(word & LEAT_SEM_BITS_) && word <= room)
        if (atomic_compare_exchange_weak_explicit(&s->word_, &word, word + n * LEAT_PERMIT_,
                                                  memory_order_release, /* [M1] -> [M2] */
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* Takes n permits if no bit is set and so many are there. */
LEAT_HOT_ bool leat_sem_get_(leat_sem *s, int64_t n)
{
    int64_t word = atomic_load_explicit(&s->most_, memory_order_relaxed) * LEAT_PERMIT_; /* [X6] */
    while (!(word & LEAT_SEM_BITS_) && word >= n * LEAT_PERMIT_)
        if (atomic_compare_exchange_weak_explicit(&s->word_, &word, word - n * LEAT_PERMIT_,
                                                  memory_order_acquire, /* [M2] <- [M1] */
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* The harder case of a release of n, and of raising the limit by `more` along with it. */
LEAT_COLD_ int leat_sem_add_(leat_sem *s, int64_t n, int64_t more)
{
    leat_node_ *chain = NULL;
    int64_t word = leat_sem_lock_(s);
    int64_t most = atomic_load_explicit(&s->most_, memory_order_relaxed); /* [X6] the lock orders it */
    int err = more > LEAT_SEM_MAX - most ? -EINVAL : leat_permits_(word) > most + more - n ? -EOVERFLOW : 0;
    if (!err) atomic_store_explicit(&s->most_, most + more, memory_order_relaxed); /* [X6] */
    int64_t left = err ? 0 : n;
    word = leat_sem_serve_(s, word, &left, &chain);
    if (left && !(word & LEAT_SEM_BITS_)) word |= LEAT_SEM_WAITERS_; /* S1; the next one clears it */
    leat_sem_unlock_(s, word + left * LEAT_PERMIT_);
    leat_wake_all_(chain);
    return err;
}

/* One try under the lock. 0: taken. -EPIPE. -EAGAIN: there were too few, and `place`, unless NULL, is
 * now in line; in front if it had been fired. -ECANCELED: ask ctx. */
LEAT_COLD_ int leat_sem_try_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n, leat_place_ *place)
{
    bool fired = place && place->fired_;
    int64_t word = leat_sem_lock_(s);
    if (!fired && leat_sem_late_(s)) word |= LEAT_SEM_FAIR_;
    int err = -EAGAIN;
    if (leat_ctx_ends_(ctx) || leat_ctx_ends_(also)) err = -ECANCELED; /* asked after the look (queue.h, I8) */
    else if (leat_permits_(word) >= n && (fired || !(word & LEAT_SEM_FAIR_))) err = 0;
    else if (word & LEAT_SEM_CLOSED_) err = -EPIPE;
    else if (place && n > atomic_load_explicit(&s->most_, memory_order_relaxed)) err = -EDEADLK; /* [X6] */
    if (!err) word -= n * LEAT_PERMIT_;
    if (err == -EAGAIN && place) {
        (fired ? leat_enqueue_front_ : leat_enqueue_)(&s->line_, &place->link_);
        if (leat_sem_late_(s)) word |= LEAT_SEM_FAIR_;
        leat_sem_unlock_(s, word);
    } else {
        leat_sem_settle_(s, word);
    }
    return err;
}

/* Leaves the line, or gives up a hint; whoever comes after may now be served (queue.h, I5). */
LEAT_COLD_ void leat_sem_leave_(leat_sem *s, leat_place_ *place)
{
    int64_t word = leat_sem_lock_(s);
    if (place->link_.linked_) leat_dequeue_(&s->line_, &place->link_);
    leat_sem_settle_(s, word);
}

/* Takes n permits if no bit is set and so many are there, under a context: 0, -EAGAIN, or its error. A claim by CAS
 * may take permits that were there before and, meanwhile, were taken and released again; so the context is asked
 * once more after it. */
LEAT_HOT_ int leat_sem_get_ctx_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    if (!leat_sem_get_(s, n)) return -EAGAIN;
    if (LEAT_USUALLY_(!leat_ctx_ends_(ctx) && !leat_ctx_ends_(also))) return 0;
    if (!leat_sem_give_(s, n)) (void)leat_sem_add_(s, n, 0); /* -EOVERFLOW: others released more than they had, meanwhile */
    return leat_ctx_err_of_(ctx, also, 0);
}

/* The last look before a place in line is slept on. */
static inline bool leat_sem_arm_(void *what, leat_waiter_ *w)
{
    leat_place_ *place = what;
    place->link_.waiter_ = w;
    place->err_ = leat_sem_try_(place->ctx_, place->also_, place->sem_, place->need_, place);
    return place->err_ == -EAGAIN;
}

LEAT_COLD_ int leat_sem_wait_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    int err;
    for (leat_spin_ spin = LEAT_SPIN_;;) {
        int64_t word = atomic_load_explicit(&s->word_, memory_order_relaxed); /* [X6] no guess: it takes the line */
        if (leat_permits_(word) >= n && (err = leat_sem_get_ctx_(ctx, also, s, n)) != -EAGAIN) {
            leat_spin_end_(&spin);
            return err;
        }
        if ((err = leat_ctx_err_of_(ctx, also, 0)) != 0) return err;
        if (!leat_spin_again_(&spin, NULL, 0)) break;
    }
    leat_place_ place = { .need_ = n, .since_ = leat_now(), .ctx_ = ctx, .also_ = also, .sem_ = s };
    for (;;) {
        leat_waiter_ w;
        leat_waiter_init_(&w);
        place.err_ = -ECANCELED;
        leat_block_(&w, ctx, also, LEAT_FOREVER, leat_sem_arm_, &place);
        leat_os_done_(&w.state_);
        if (place.err_ == -EAGAIN) { /* it stood in line */
            place.fired_ = w.won_ != NULL;
            if (place.fired_ && place.link_.err_) return place.link_.err_ == LEAT_HANDED_OFF_ ? 0 : place.link_.err_;
        } else if (place.err_ != -ECANCELED) {
            return place.err_;
        }
        if ((err = leat_ctx_err_of_(ctx, also, leat_now())) != 0) {
            leat_sem_leave_(s, &place);
            return err;
        }
    }
}

/* Takes n permits (n >= 0; 0 needs none, whatever is there); waits while there are too few. 0: taken. -EPIPE: closed,
 * and too few are left. -EDEADLK: n is more than the semaphore can ever hold. -EINVAL.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED or -ETIMEDOUT when ctx (or NULL) is done, none taken (a call that is
 * cancelled at that very moment may have had them, for an instant: a try may miss them, a release of too much fit).
 * Any thread. Permits are not tied to threads: another may release them. */
LEAT_HOT_ int leat_acquire(leat_sem *s, int64_t n)
{
    if (LEAT_RARELY_(!s || n <= 0 || n > LEAT_SEM_MAX)) return s && !n ? 0 : -EINVAL;
    return LEAT_USUALLY_(leat_sem_get_(s, n)) ? 0 : leat_sem_wait_(NULL, NULL, s, n);
}

LEAT_HOT_ int leat_try_acquire(leat_sem *s, int64_t n)
{
    if (LEAT_RARELY_(!s || n <= 0 || n > LEAT_SEM_MAX)) return s && !n ? 0 : -EINVAL;
    return LEAT_USUALLY_(leat_sem_get_(s, n)) ? 0 : leat_sem_try_(NULL, NULL, s, n, NULL);
}

/* Under two contexts. */
LEAT_HOT_ int leat_acquire_of_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    int err = leat_ctx_err_of_(ctx, also, 0);
    if (LEAT_RARELY_(err)) return err;
    if (LEAT_RARELY_(!s || n <= 0 || n > LEAT_SEM_MAX)) return s && !n ? 0 : -EINVAL;
    err = leat_sem_get_ctx_(ctx, also, s, n);
    return LEAT_USUALLY_(err != -EAGAIN) ? err : leat_sem_wait_(ctx, also, s, n);
}

LEAT_HOT_ int leat_acquire_ctx(leat_ctx *ctx, leat_sem *s, int64_t n)
{
    return leat_acquire_of_(ctx, NULL, s, n);
}

/* Gives n permits back (n >= 0). 0, -EOVERFLOW: more than were acquired, nothing changed; -EINVAL. Never
 * waits. Any thread, also after close. */
LEAT_HOT_ int leat_release(leat_sem *s, int64_t n)
{
    if (LEAT_RARELY_(!s || n < 0 || n > LEAT_SEM_MAX)) return -EINVAL;
    return LEAT_USUALLY_(leat_sem_give_(s, n)) ? 0 : leat_sem_add_(s, n, 0);
}

/* No more waiting: who waits, or would have to, gets -EPIPE; permits that are there may still be taken,
 * and released. 0, or -EALREADY. */
LEAT_COLD_ int leat_sem_close(leat_sem *s)
{
    if (!s) return -EINVAL;
    int64_t word = leat_sem_lock_(s);
    bool again = word & LEAT_SEM_CLOSED_;
    leat_node_ *chain = NULL;
    leat_resolve_all_(&s->line_, -EPIPE, &chain);
    leat_sem_unlock_(s, (word & ~LEAT_SEM_BITS_) | LEAT_SEM_CLOSED_);
    leat_wake_all_(chain);
    return again ? -EALREADY : 0;
}

/* Changes the number of permits by `delta`. Growing serves who waits. Shrinking waits for nobody: what
 * is acquired stays acquired, and there are so many fewer when it comes back. 0, or -EINVAL: below zero
 * or beyond LEAT_SEM_MAX in all, unchanged. */
LEAT_COLD_ int leat_sem_resize(leat_sem *s, int64_t delta)
{
    if (!s || delta > LEAT_SEM_MAX || delta < -LEAT_SEM_MAX) return -EINVAL;
    if (delta >= 0) return leat_sem_add_(s, delta, delta);
    int64_t word = leat_sem_lock_(s);
    int64_t most = atomic_load_explicit(&s->most_, memory_order_relaxed) + delta; /* [X6] the lock orders it */
    if (most >= 0) {
        atomic_store_explicit(&s->most_, most, memory_order_relaxed); /* [X6] */
        word += delta * LEAT_PERMIT_;
    }
    leat_sem_settle_(s, word);
    return most < 0 ? -EINVAL : 0;
}

/* Permits that are there: a snapshot; below zero after a shrink that is not yet paid for. NULL: 0. */
LEAT_HOT_ int64_t leat_sem_available(leat_sem *s)
{
    return !s ? 0 : leat_permits_(atomic_load_explicit(&s->word_, memory_order_relaxed)); /* [X6] */
}

/* ==== 2. Wait group ===========================================================================
 *
 * A count of what is not done yet, and threads that wait for zero. Reusable. */

typedef struct leat_wg {
    _Atomic int64_t word_; /* count * 2 | WAITERS */
    leat_lock_ lock_;
    leat_waitq_ waiters_;
} leat_wg;

/* Initialiser; all-zero is LEAT_WG(0). */
#define LEAT_WG(n) { .word_ = (int64_t)(n) * 2 }

/* Adds n to the count, n may be negative. At zero all who wait are released; this call does not touch the
 * wait group after that, so who alone waits for it may free it at once. 0; -EOVERFLOW: the count would be
 * below zero, unchanged; -EINVAL. */
LEAT_COLD_ int leat_wg_add(leat_wg *w, int64_t n)
{
    if (!w || n > LEAT_SEM_MAX || n < -LEAT_SEM_MAX) return -EINVAL;
    leat_node_ *chain = NULL, **end = &chain;
    int64_t word = atomic_load_explicit(&w->word_, memory_order_relaxed); /* [X6] */
    for (;;) {
        int64_t count = (word >> 1) + n;
        bool bad = count < 0 || count > LEAT_SEM_MAX;
        if (LEAT_RARELY_(!count && word & 1)) { /* claim who waits first: the CAS is our last touch */
            leat_lock_take_(&w->lock_);
            end = leat_resolve_all_(&w->waiters_, 0, end);
            word = atomic_fetch_and_explicit(&w->word_, ~INT64_C(1), memory_order_relaxed) & ~INT64_C(1); /* [X6] */
            leat_lock_drop_(&w->lock_);
        } else if (LEAT_RARELY_(bad) ||
                   atomic_compare_exchange_weak_explicit(&w->word_, &word, word + n * 2,
                                                         memory_order_acq_rel, /* [W1] -> [W2], [W2] <- [W1] */
                                                         memory_order_relaxed)) {
            for (leat_node_ *l = chain; l && (count || bad); l = l->next_) l->err_ = -EAGAIN; /* somebody had added */
            leat_wake_all_(chain);
            return bad ? -EOVERFLOW : 0;
        }
    }
}

LEAT_HOT_ int leat_wg_done(leat_wg *w)
{
    return leat_wg_add(w, -1);
}

typedef struct leat_wg_place_ {
    leat_node_ link_;
    leat_wg *wg_;
    bool armed_;
} leat_wg_place_;

static inline bool leat_wg_arm_(void *what, leat_waiter_ *waiter)
{
    leat_wg_place_ *place = what;
    leat_wg *w = place->wg_;
    place->link_.waiter_ = waiter;
    leat_lock_take_(&w->lock_);
    place->armed_ = atomic_fetch_or_explicit(&w->word_, 1, memory_order_relaxed) >= 2; /* [X6] else we look again */
    if (place->armed_) leat_enqueue_(&w->waiters_, &place->link_);
    leat_lock_drop_(&w->lock_);
    return place->armed_;
}

/* Waits until the count is zero: 0. A thread that was released returns, though the count may have risen again, for
 * the next round. What was done before each leat_wg_done is seen afterwards. -EINVAL.
 * try: -EAGAIN, the count is not zero. ctx: -ECANCELED, -ETIMEDOUT when ctx (or NULL) is done. */
LEAT_COLD_ int leat_wg_wait_ctx(leat_ctx *ctx, leat_wg *w)
{
    if (!w) return -EINVAL;
    for (leat_spin_ spin = LEAT_SPIN_;;) {
        bool zero = atomic_load_explicit(&w->word_, memory_order_acquire) < 2; /* [W2] <- [W1] */
        int err = leat_ctx_err(ctx);
        if (err) return err;
        if (zero) {
            leat_spin_end_(&spin);
            return 0;
        }
        if (leat_spin_again_(&spin, NULL, 0)) continue;
        leat_waiter_ waiter;
        leat_waiter_init_(&waiter);
        leat_wg_place_ place = { .wg_ = w };
        leat_block_(&waiter, ctx, NULL, LEAT_FOREVER, leat_wg_arm_, &place);
        leat_os_done_(&waiter.state_);
        if (waiter.won_ && !place.link_.err_) return 0;
        if (waiter.won_ || !place.armed_) continue;
        leat_lock_take_(&w->lock_);
        leat_dequeue_(&w->waiters_, &place.link_);
        leat_lock_drop_(&w->lock_);
        if ((err = leat_ctx_err_at_(ctx, leat_now())) != 0) return err;
    }
}

LEAT_HOT_ int leat_wg_wait(leat_wg *w)
{
    return leat_wg_wait_ctx(NULL, w);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_wg_wait(leat_wg *w)
{
    if (!w) return -EINVAL;
    return atomic_load_explicit(&w->word_, memory_order_acquire) < 2 ? 0 : -EAGAIN; /* [W2] <- [W1] */
}

LEAT_OWN_STYLE_END_
#endif
