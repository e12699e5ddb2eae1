/* mutex_ring.h - the opponent: a bounded, blocking, closeable queue of 8-byte messages for any
 * number of senders and receivers, made of one mutex and two condition variables, as fast as such a
 * thing gets.
 *
 * What was measured to help and is done:
 *   - the message size is a constant, the index wraps by a comparison (no division);
 *   - a signal is sent only to somebody who waits, and once for each wait: who signals takes the
 *     waiter off the count, so a burst of sends does not signal again until the woken one has run;
 *   - the signal is sent under the lock. After the unlock it should be cheaper, but with one sender
 *     and four receivers, or the reverse, it was two to five times slower;
 *   - the mutex is glibc's adaptive kind, where there is one, which spins briefly before it sleeps.
 * What it does not do is spin before it waits on the condition: then it would no longer be what
 * people mean by a mutex and a condition variable.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_MUTEX_RING_H
#define BENCH_MUTEX_RING_H

#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct mutex_ring {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    uint64_t *slots;
    size_t cap, head, tail, len;
    unsigned receivers,
        senders; /* who waits and was not signalled; too high after a spurious wake */
    bool closed;
};

static inline void mutex_make_fast(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

static inline int mutex_ring_make(struct mutex_ring *r, size_t cap)
{
    *r = (struct mutex_ring){ .cap = cap, .slots = calloc(cap, sizeof *r->slots) };
    if (!r->slots) return -ENOMEM;
    mutex_make_fast(&r->lock);
    pthread_cond_init(&r->not_empty, NULL);
    pthread_cond_init(&r->not_full, NULL);
    return 0;
}

static inline void mutex_ring_free(struct mutex_ring *r)
{
    pthread_cond_destroy(&r->not_full);
    pthread_cond_destroy(&r->not_empty);
    pthread_mutex_destroy(&r->lock);
    free(r->slots);
}

/* Under the lock: wakes up to n of those who wait. */
INLINE void mutex_ring_signal(pthread_cond_t *cond, unsigned *waiting, size_t n)
{
    for (; *waiting && n; n--) {
        --*waiting;
        pthread_cond_signal(cond);
    }
}

/* Puts as many of n messages as there is room for, waits for room for the first. How many, or
 * -EPIPE. */
INLINE ptrdiff_t mutex_ring_send_many(struct mutex_ring *r, const uint64_t *msg, size_t n)
{
    pthread_mutex_lock(&r->lock);
    while (r->len == r->cap && !r->closed) {
        r->senders++;
        pthread_cond_wait(&r->not_full, &r->lock);
    }
    if (r->closed) {
        pthread_mutex_unlock(&r->lock);
        return -EPIPE;
    }
    if (n > r->cap - r->len) n = r->cap - r->len;
    for (size_t i = 0; i < n; i++) {
        r->slots[r->tail] = msg[i];
        if (++r->tail == r->cap) r->tail = 0;
    }
    r->len += n;
    mutex_ring_signal(&r->not_empty, &r->receivers, n);
    pthread_mutex_unlock(&r->lock);
    return (ptrdiff_t)n;
}

/* Takes at most n messages, waits for the first. How many, or -EPIPE: closed and drained. */
INLINE ptrdiff_t mutex_ring_recv_many(struct mutex_ring *r, uint64_t *msg, size_t n)
{
    pthread_mutex_lock(&r->lock);
    while (r->len == 0 && !r->closed) {
        r->receivers++;
        pthread_cond_wait(&r->not_empty, &r->lock);
    }
    if (r->len == 0) {
        pthread_mutex_unlock(&r->lock);
        return -EPIPE;
    }
    if (n > r->len) n = r->len;
    for (size_t i = 0; i < n; i++) {
        msg[i] = r->slots[r->head];
        if (++r->head == r->cap) r->head = 0;
    }
    r->len -= n;
    mutex_ring_signal(&r->not_full, &r->senders, n);
    pthread_mutex_unlock(&r->lock);
    return (ptrdiff_t)n;
}

INLINE int mutex_ring_send(struct mutex_ring *r, uint64_t msg)
{
    ptrdiff_t n = mutex_ring_send_many(r, &msg, 1);
    return n < 0 ? (int)n : 0;
}

INLINE int mutex_ring_recv(struct mutex_ring *r, uint64_t *msg)
{
    ptrdiff_t n = mutex_ring_recv_many(r, msg, 1);
    return n < 0 ? (int)n : 0;
}

static inline int mutex_ring_close(struct mutex_ring *r)
{
    pthread_mutex_lock(&r->lock);
    bool again = r->closed;
    r->closed = true;
    pthread_cond_broadcast(&r->not_empty);
    pthread_cond_broadcast(&r->not_full);
    pthread_mutex_unlock(&r->lock);
    return again ? -EALREADY : 0;
}

#endif
