/* semaphore.h - a weighted, fair, closeable, cancellable counting semaphore, and a wait group.
 *
 *     leat_sem slots = LEAT_SEM(8);             // at most eight at once
 *     leat_acquire(&slots, 1);
 *     work();
 *     leat_release(&slots, 1);
 *
 * SPDX-License-Identifier: MIT
 *
 * WHAT IT IS NOT. Not the system's <semaphore.h>. A file that includes <semaphore.h>, with this header first on the
 * search path, gets both: the system's, with sem_t, and this one. Not shared between processes.
 *
 * RETURN VALUES. As in queue.h, and -EOVERFLOW: the caller released more than was acquired, and nothing changed.
 * Needs queue.h. Each call that can wait has the same three forms as there.
 *
 * OPTIONS. [this file] LEAT_LINT   this file is not marked as a system header, so compilers warn about it too
 *
 * MEMORY ORDER.
 *     label   site                              carries
 *     [M1]    permits released       -> [M2]    what the thread did while it held them
 *     [M2]    permits acquired       <- [M1]
 *     [W1]    a wait group counts    -> [W2]    what the task did
 *     [W2]    a wait sees zero       <- [W1]
 *     [X6]    an optimistic word or limit       nothing: the CAS or the lock decides
 */
/* leat:forward-begin  (ahead of the guard: through "" the file may find itself again) */
#if !defined LEAT_SEMAPHORE_H && (!defined __cplusplus || __cplusplus >= 201103L)
#include "queue.h" /* before the pragma: it would get no warnings after it */
#endif
#if defined __GNUC__ && !defined LEAT_LINT
#pragma GCC system_header
#if __has_include_next(<semaphore.h>)
#include_next <semaphore.h>
#endif
#endif
/* leat:forward-end */
#if !defined LEAT_SEMAPHORE_H && defined LEAT_CHAN /* not in C++98, nor while queue.h includes LEAT_CUSTOM_OS */
#define LEAT_SEMAPHORE_H

#if defined LEAT_AS_SYSTEM_HEADER_ /* see LEAT_COLD_ */
#pragma GCC system_header
#endif
LEAT_OWN_STYLE_BEGIN_
#ifdef __cplusplus
#define LEAT_C11_BEGIN_
#include "queue.h"
#endif

/* ==== 1. Semaphore ============================================================================
 *
 *     word:  permits (may be below zero after a shrink) | CLOSED | FAIR | WAITERS
 *
 * While no bit is set, acquire and release are one CAS each. While any bit is set, both take the lock. The thread that
 * holds the lock has set WAITERS, so it alone changes the word. It leaves WAITERS set if threads wait and no wake is in
 * flight. So, as with channels:
 *
 * S1  No access after publication. A thread publishes permits in one of two ways. Either it does so by a CAS on a word
 *     without bits, and touches nothing of the semaphore after that. Or it does so under the lock and leaves a bit set,
 *     so that a thread that takes the permits has to wait for the unlock. So a thread that got the permits may free the
 *     semaphore at once.
 * S2  One wake at a time, and it is a hint: the woken thread tries again, and any other thread may be faster (barging).
 *     While the hint is in flight WAITERS is clear. The woken thread sets it again when it takes the lock.
 * S3  A thread that finds that the first in the queue has waited for 1 ms sets FAIR. From then on permits are handed
 *     over in the order of the queue. That ends when the first in the queue has waited for less than 1 ms. So a large
 *     request is not starved by small ones. */

typedef struct leat_sem {
    _Atomic(int64_t) word_;
    _Atomic(int64_t) most_; /* the limit: the word never has more permits */
    leat_lock_ lock_;       /* guards the queue, and the word while a bit is set */
    leat_waitq_ waiters_;
} leat_sem;

typedef struct leat_sem_waiter_ {
    leat_node_ link_;      /* first: its address is that of the whole */
    int64_t need_, since_; /* permits; when it began to wait (leat_now) */
    leat_ctx *ctx_, *also_;
    leat_sem *sem_;
    int err_;    /* what its last try returned. link_.err_: what it was woken with */
    bool woken_; /* a wake has ended its last wait */
} leat_sem_waiter_;

#define LEAT_SEM_WAITERS_ INT64_C(1)
#define LEAT_SEM_FAIR_ INT64_C(2) /* S3 */
#define LEAT_SEM_CLOSED_ INT64_C(4)
#define LEAT_SEM_BITS_ INT64_C(7)
#define LEAT_PERMIT_ INT64_C(8)   /* one permit in the word */
#define LEAT_PATIENCE_ LEAT_MS(1) /* S3 */

/* Initialisers. LEAT_SEM(n) has n permits. LEAT_SEM_OF(start, most) begins with `start` permits and never holds more
 * than `most`. LEAT_SEM_OF(0, LEAT_SEM_MAX) is for signalling. All-zero is valid: such a semaphore never has a
 * permit. */
#define LEAT_SEM_MAX (INT64_MAX / 16)
#define LEAT_SEM(n) LEAT_SEM_OF(n, n)
/* clang-format off */
#ifndef __cplusplus
#define LEAT_SEM_OF(start, most) { .word_ = (int64_t)(start) * LEAT_PERMIT_, .most_ = (most) }
#else
#define LEAT_SEM_OF(start, most) leat_sem_made_(start, most)
constexpr leat_sem leat_sem_made_(int64_t start, int64_t most)
{
    return leat_sem{ start * LEAT_PERMIT_, most, 0, { NULL, NULL } };
}
#endif
/* clang-format on */

static inline int64_t leat_permits_(int64_t word)
{
    return (word & ~LEAT_SEM_BITS_) / LEAT_PERMIT_;
}

/* Takes the lock, and sets a bit so that no other thread changes the word. Returns the word. */
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

/* Whether the first waiter in the queue has waited for 1 ms or more (S3). */
static inline bool leat_sem_late_(const leat_sem *s)
{
    const void *first_link = s->waiters_.first_;
    const leat_sem_waiter_ *first = (const leat_sem_waiter_ *)first_link;
    return first && leat_now() - first->since_ >= LEAT_PATIENCE_;
}

/* Serves the queue with the permits in `word`, and with *extra more, which a release brings. With FAIR it hands permits
 * over, in the order of the queue, as long as they are enough. Without FAIR it gives one hint (S2), to the first waiter,
 * if they are enough for that waiter. A waiter that needs more than most_ gets -EDEADLK.
 * Called under the lock, with the word of leat_sem_lock_. Returns the word for leat_sem_unlock_. *extra is then what is
 * left of the extra permits. The caller wakes *chain after it has dropped the lock. */
LEAT_COLD_ int64_t leat_sem_serve_(leat_sem *s, int64_t word, int64_t *extra, leat_node_ **chain)
{
    bool hinted = false;
    while (s->waiters_.first_ && !hinted) {
        leat_node_ *l = s->waiters_.first_;
        const void *first_link = l;
        int64_t need = ((const leat_sem_waiter_ *)first_link)->need_;
        bool enough = leat_permits_(word) + *extra >= need;
        bool never = need > atomic_load_explicit(&s->most_, memory_order_relaxed); /* [X6] after a shrink */
        bool fair = word & LEAT_SEM_FAIR_;
        if (!enough && !never) {
            if (leat_is_waiting_(l->waiter_)) break;
            leat_dequeue_(&s->waiters_, l); /* a context has ended its wait: the others need not wait for it */
        } else if (never && leat_resolve_node_(&s->waiters_, l, -EDEADLK)) {
            l->next_ = *chain;
            *chain = l;
        } else if (!leat_resolve_node_(&s->waiters_, l, fair ? LEAT_HANDED_OFF_ : 0)) {
            leat_dequeue_(&s->waiters_, l);
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
    if (!s->waiters_.first_) word &= ~(LEAT_SEM_WAITERS_ | LEAT_SEM_FAIR_);
    else if (hinted) word &= ~LEAT_SEM_WAITERS_;
    return word;
}

/* Serves the queue with the permits that are there, drops the lock, and wakes the threads that were served. */
LEAT_COLD_ void leat_sem_unlock_and_wake_(leat_sem *s, int64_t word)
{
    leat_node_ *chain = NULL;
    int64_t none = 0;
    leat_sem_unlock_(s, leat_sem_serve_(s, word, &none, &chain));
    leat_wake_all_(chain);
}

/* The fast paths guess the word, and do not read it first. leat_sem_get_ guesses that no permit is acquired, and
 * leat_sem_give_ that only its own n are. A CAS after a wrong guess fails, and has then read the word. If the guess is
 * right, a thread that has just changed the word saves the 5 ns (Ice Lake) that a read between two changes costs. */

/* Publishes n permits if no bit is set and the sum is at most most_. */
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

/* Takes n permits if no bit is set and n are there. */
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

/* The slow path of a release of n permits. The same step raises the limit by `more`. If it sets WAITERS for S1 alone,
 * the next thread that takes the lock clears it. */
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

/* One try under the lock. 0: the permits are taken. -EPIPE: closed, and too few are left. -EDEADLK: n is more than the
 * semaphore can ever hold (only with `self`). -EAGAIN: too few permits are there. If `self` is not NULL, its node is
 * now in the queue: at the front if it had been woken before, else at the back. -ECANCELED: a context is done or about
 * to be, and the caller has to ask it for its error. Contexts are asked after the word was read (queue.h, I8). */
LEAT_COLD_ int leat_sem_try_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n, leat_sem_waiter_ *self)
{
    bool woken = self && self->woken_;
    int64_t word = leat_sem_lock_(s);
    if (!woken && leat_sem_late_(s)) word |= LEAT_SEM_FAIR_;
    int err = -EAGAIN;
    if (leat_ctx_is_ending_(ctx) || leat_ctx_is_ending_(also)) err = -ECANCELED; /* asked after the look (queue.h, I8) */
    else if (leat_permits_(word) >= n && (woken || !(word & LEAT_SEM_FAIR_))) err = 0;
    else if (word & LEAT_SEM_CLOSED_) err = -EPIPE;
    else if (self && n > atomic_load_explicit(&s->most_, memory_order_relaxed)) err = -EDEADLK; /* [X6] */
    if (!err) word -= n * LEAT_PERMIT_;
    if (err == -EAGAIN && self) {
        (woken ? leat_enqueue_front_ : leat_enqueue_)(&s->waiters_, &self->link_);
        if (leat_sem_late_(s)) word |= LEAT_SEM_FAIR_;
        leat_sem_unlock_(s, word);
    } else {
        leat_sem_unlock_and_wake_(s, word);
    }
    return err;
}

/* A thread whose context is done leaves the queue. Or it gives up the hint that it was given. Then the next thread may
 * be served (queue.h, I5). */
LEAT_COLD_ void leat_sem_leave_(leat_sem *s, leat_sem_waiter_ *self)
{
    int64_t word = leat_sem_lock_(s);
    if (self->link_.linked_) leat_dequeue_(&s->waiters_, &self->link_);
    leat_sem_unlock_and_wake_(s, word);
}

/* The fast path under a context. 0, -EAGAIN, or the context's error. Between the read and the CAS other threads may take
 * permits and release them again, and the CAS succeeds all the same. So the contexts are asked after the CAS. */
LEAT_HOT_ int leat_sem_get_ctx_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    if (!leat_sem_get_(s, n)) return -EAGAIN;
    if (LEAT_USUALLY_(!leat_ctx_is_ending_(ctx) && !leat_ctx_is_ending_(also))) return 0;
    if (!leat_sem_give_(s, n)) (void)leat_sem_add_(s, n, 0); /* -EOVERFLOW: another thread released too much */
    return leat_ctx_err_of_(ctx, also, 0);
}

/* The last try before the thread parks, called by leat_block_. True: its node is in the queue, and it may park. */
static inline bool leat_sem_enqueue_(void *what, leat_waiter_ *w)
{
    leat_sem_waiter_ *self = (leat_sem_waiter_ *)what;
    self->link_.waiter_ = w;
    self->err_ = leat_sem_try_(self->ctx_, self->also_, self->sem_, self->need_, self);
    return self->err_ == -EAGAIN;
}

/* The slow path of an acquire. The thread spins, then parks. Before it parks, it tries under the lock. It is woken with
 * its permits (HANDED_OFF), with an error, or with a hint (0), after which it tries again. Or a context ends the wait. */
LEAT_COLD_ int leat_sem_wait_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    int err;
    for (leat_spin_ spin = LEAT_SPIN_;;) {
        int64_t word = atomic_load_explicit(&s->word_, memory_order_relaxed); /* [X6] a CAS would take the cache line */
        if (leat_permits_(word) >= n && (err = leat_sem_get_ctx_(ctx, also, s, n)) != -EAGAIN) {
            leat_spin_end_(&spin);
            return err;
        }
        if ((err = leat_ctx_err_of_(ctx, also, 0)) != 0) return err;
        if (!leat_spin_again_(&spin, NULL, 0)) break;
    }
    leat_sem_waiter_ self = { .need_ = n, .since_ = leat_now(), .ctx_ = ctx, .also_ = also, .sem_ = s };
    for (;;) {
        leat_waiter_ w;
        leat_waiter_init_(&w);
        self.err_ = -ECANCELED; /* stays if a context is done before the try */
        leat_block_(&w, ctx, also, LEAT_FOREVER, leat_sem_enqueue_, &self);
        leat_os_done_(&w.state_);
        if (self.err_ == -EAGAIN) { /* the node was in the queue */
            self.woken_ = w.won_ != NULL;
            if (self.woken_ && self.link_.err_) return self.link_.err_ == LEAT_HANDED_OFF_ ? 0 : self.link_.err_;
        } else if (self.err_ != -ECANCELED) {
            return self.err_;
        }
        if ((err = leat_ctx_err_of_(ctx, also, leat_now())) != 0) {
            leat_sem_leave_(s, &self);
            return err;
        }
    }
}

/* Takes n permits (n >= 0), and waits while too few are there. A call for 0 permits never waits. 0: taken. -EPIPE:
 * closed, and too few are left. -EDEADLK: n is more than the semaphore can ever hold. -EINVAL: bad argument.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED or -ETIMEDOUT when ctx (or NULL) is done, and no permit is taken. A
 * call whose context ends while it takes the permits holds them for an instant. In that instant a try may find too few,
 * and a release of too much may succeed.
 * Any thread may call it. Permits are not tied to threads: another thread may release them. */
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

/* leat_acquire under two contexts, which pool.h needs. */
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

/* Gives n permits back (n >= 0). Never waits. Any thread may call it, also after close. 0: given back. -EOVERFLOW: more
 * than were acquired, and nothing changed. -EINVAL: bad argument. */
LEAT_HOT_ int leat_release(leat_sem *s, int64_t n)
{
    if (LEAT_RARELY_(!s || n < 0 || n > LEAT_SEM_MAX)) return -EINVAL;
    return LEAT_USUALLY_(leat_sem_give_(s, n)) ? 0 : leat_sem_add_(s, n, 0);
}

/* Ends all waiting. A thread that waits, or would have to wait, gets -EPIPE. Permits that are there may still be taken,
 * and permits may still be released. Returns 0, or -EALREADY if the semaphore was closed before. */
LEAT_COLD_ int leat_sem_close(leat_sem *s)
{
    if (!s) return -EINVAL;
    int64_t word = leat_sem_lock_(s);
    bool again = word & LEAT_SEM_CLOSED_;
    leat_node_ *chain = NULL;
    leat_resolve_all_(&s->waiters_, -EPIPE, &chain);
    leat_sem_unlock_(s, (word & ~LEAT_SEM_BITS_) | LEAT_SEM_CLOSED_);
    leat_wake_all_(chain);
    return again ? -EALREADY : 0;
}

/* Changes the number of permits by `delta`. Growing serves threads that wait. Shrinking never waits: acquired permits
 * stay acquired, and as they come back the semaphore keeps `delta` fewer of them. Returns 0, or -EINVAL if the total
 * would be below zero or above LEAT_SEM_MAX. Then nothing changed. */
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
    leat_sem_unlock_and_wake_(s, word);
    return most < 0 ? -EINVAL : 0;
}

/* How many permits are there. A snapshot. It is below zero after a shrink, until enough permits have been released.
 * NULL: 0. */
LEAT_HOT_ int64_t leat_sem_available(leat_sem *s)
{
    return !s ? 0 : leat_permits_(atomic_load_explicit(&s->word_, memory_order_relaxed)); /* [X6] */
}

/* ==== 2. Wait group ===========================================================================
 *
 * A count of the tasks that are not done yet, and threads that wait for zero. Reusable. */

typedef struct leat_wg {
    _Atomic(int64_t) word_; /* count * 2 | WAITERS */
    leat_lock_ lock_;
    leat_waitq_ waiters_;
} leat_wg;

/* Initialiser; all-zero is LEAT_WG(0). */
/* clang-format off */
#ifndef __cplusplus
#define LEAT_WG(n) { .word_ = (int64_t)(n) * 2 }
#else
#define LEAT_WG(n) leat_wg_made_(n)
constexpr leat_wg leat_wg_made_(int64_t n)
{
    return leat_wg{ n * 2, 0, { NULL, NULL } };
}
#endif
/* clang-format on */

/* Adds n to the count. n may be negative: leat_wg_done(w) adds -1. When the count comes to zero, all threads that wait
 * are released. The call does not touch the wait group after that, so a thread that alone waits for it may free it at
 * once. 0: added. -EOVERFLOW: the count would be below zero, or too large, and is unchanged. -EINVAL: bad argument. */
LEAT_COLD_ int leat_wg_add(leat_wg *w, int64_t n)
{
    if (!w || n > LEAT_SEM_MAX || n < -LEAT_SEM_MAX) return -EINVAL;
    leat_node_ *chain = NULL, **end = &chain;
    int64_t word = atomic_load_explicit(&w->word_, memory_order_relaxed); /* [X6] */
    /* An add that is to bring the count to zero resolves the threads that wait, then tries its CAS. If the count has
     * risen meanwhile, or the add is refused, it wakes those threads with -EAGAIN, and they poll again. */
    for (;;) {
        int64_t count = (word >> 1) + n;
        bool bad = count < 0 || count > LEAT_SEM_MAX;
        if (LEAT_RARELY_(!count && word & 1)) { /* resolve those that wait first: no access after the CAS */
            leat_lock_take_(&w->lock_);
            end = leat_resolve_all_(&w->waiters_, 0, end);
            word = atomic_fetch_and_explicit(&w->word_, ~INT64_C(1), memory_order_relaxed) & ~INT64_C(1); /* [X6] */
            leat_lock_drop_(&w->lock_);
        } else if (LEAT_RARELY_(bad) ||
                   atomic_compare_exchange_weak_explicit(&w->word_, &word, word + n * 2,
                                                         memory_order_acq_rel, /* [W1] -> [W2], [W2] <- [W1] */
                                                         memory_order_relaxed)) {
            for (leat_node_ *l = chain; l && (count || bad); l = l->next_) l->err_ = -EAGAIN; /* the count has risen */
            leat_wake_all_(chain);
            return bad ? -EOVERFLOW : 0;
        }
    }
}

LEAT_HOT_ int leat_wg_done(leat_wg *w)
{
    return leat_wg_add(w, -1);
}

typedef struct leat_wg_waiter_ {
    leat_node_ link_;
    leat_wg *wg_;
    bool entered_;
} leat_wg_waiter_;

/* The last look before the thread parks, called by leat_block_. True: its node is in the queue. */
static inline bool leat_wg_enqueue_(void *what, leat_waiter_ *waiter)
{
    leat_wg_waiter_ *self = (leat_wg_waiter_ *)what;
    leat_wg *w = self->wg_;
    self->link_.waiter_ = waiter;
    leat_lock_take_(&w->lock_);
    self->entered_ = atomic_fetch_or_explicit(&w->word_, 1, memory_order_relaxed) >= 2; /* [X6] else it polls again */
    if (self->entered_) leat_enqueue_(&w->waiters_, &self->link_);
    leat_lock_drop_(&w->lock_);
    return self->entered_;
}

/* Waits until the count is zero, and returns 0. A thread that was released returns 0 even if the count has risen again
 * since, for the next round. What a thread did before its leat_wg_done happens-before this return. -EINVAL: bad
 * argument.
 * try: -EAGAIN if the count is not zero. ctx: -ECANCELED or -ETIMEDOUT when ctx (or NULL) is done. */
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
        leat_wg_waiter_ self = { .wg_ = w };
        leat_block_(&waiter, ctx, NULL, LEAT_FOREVER, leat_wg_enqueue_, &self);
        leat_os_done_(&waiter.state_);
        if (waiter.won_ && !self.link_.err_) return 0;
        if (waiter.won_ || !self.entered_) continue; /* woken with -EAGAIN, or it did not park: poll again */
        leat_lock_take_(&w->lock_);
        leat_dequeue_(&w->waiters_, &self.link_);
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

#ifdef __cplusplus
#define LEAT_C11_END_
#include "queue.h"
#endif
LEAT_OWN_STYLE_END_
#endif
