/* peek.h - what several tests need: a call on a thread of its own, and a look at the threads that wait.
 * SPDX-License-Identifier: MIT
 *
 * A test knows that a thread waits because its node is in the wait queue, not because some time has passed. So the
 * tests look at private fields here, and only here. */
#ifndef LEAT_PEEK_H
#define LEAT_PEEK_H

#include "semaphore.h"
#include "tap.h"

#include <pthread.h>

/* Returns when the condition holds. If it never does, the watchdog ends the test. */
#define UNTIL(cond) \
    do { \
        for (unsigned round_until_ = 0; !(cond);) leat_backoff_(&round_until_); \
    } while (0)

/* fn(arg) on a thread of its own. */
typedef struct side {
    pthread_t thread;
    int (*fn)(void *);
    void *arg;
    int result;
} side;

static inline void *side_main_(void *arg)
{
    side *s = arg;
    s->result = s->fn(s->arg);
    return NULL;
}

static inline void side_start(side *s, int (*fn)(void *), void *arg)
{
    *s = (side){ .fn = fn, .arg = arg };
    REQUIRE(pthread_create(&s->thread, NULL, side_main_, s) == 0);
}

static inline int side_join(side *s)
{
    pthread_join(s->thread, NULL);
    return s->result;
}

static inline int peek_list(leat_lock_ *lock, const leat_waitq_ *list)
{
    int n = 0;
    leat_lock_take_(lock);
    for (const leat_node_ *l = list->first_; l; l = l->next_) n++;
    leat_lock_drop_(lock);
    return n;
}

/* How many threads wait for permits, for zero, for room, for a message, under a context. */
#define peek_sem(s) peek_list(&(s)->lock_, &(s)->waiters_)
#define peek_wg(w) peek_list(&(w)->lock_, &(w)->waiters_)
#define peek_senders(c) peek_list(&(c)->chan.lock_, &(c)->chan.ends_[LEAT_RECEIVES_].peers_)
#define peek_receivers(c) peek_list(&(c)->chan.lock_, &(c)->chan.ends_[LEAT_SENDS_].peers_)
#define peek_ctx(c) peek_list(&(c)->lock_, &(c)->waiters_)

/* A door: closed until opened, for any number of threads. */
typedef struct door {
    _Atomic int at_it; /* how many threads have come */
    _Atomic int open;
} door;

static inline void door_pass(door *d)
{
    atomic_fetch_add_explicit(&d->at_it, 1, memory_order_acq_rel);
    UNTIL(atomic_load_explicit(&d->open, memory_order_acquire));
}

static inline void door_until(door *d, int n) /* n threads are at it, or have passed */
{
    UNTIL(atomic_load_explicit(&d->at_it, memory_order_acquire) >= n);
}

static inline void door_open(door *d)
{
    atomic_store_explicit(&d->open, 1, memory_order_release);
}

#endif
