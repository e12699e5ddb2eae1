/* learn.h - what the programs and exercises of learn/ share: relax, park and wake.
 * SPDX-License-Identifier: MIT */
#ifndef LEARN_H
#define LEARN_H

#define LEARN_INLINE static inline __attribute__((always_inline)) /* so the trace shows who has called it */

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* In a loop that waits for another thread: tells the processor, and now and then lets other threads have it. */
LEARN_INLINE void relax(void)
{
    static _Thread_local unsigned n;
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
    if (++n % 64 == 0) sched_yield();
#else
    if (++n % 8 == 0) sched_yield();
#endif
}

/* park: sleeps until a wake, if the word is `value`. Otherwise it returns at once. The look at the word and falling
 * asleep are one step as far as wake can see. It may also return for no reason, so the caller looks again.
 * wake: wakes n threads that sleep on this word. It uses only the address. */
#if defined __linux__
#include <sys/syscall.h>
#include <unistd.h>
long syscall(long number, ...); /* -std=c11 hides it */

LEARN_INLINE void park(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, 137 /* FUTEX_WAIT_BITSET, private */, value, NULL, NULL, -1);
}

LEARN_INLINE void wake(_Atomic uint32_t *word, int n)
{
    syscall(SYS_futex, word, 129 /* FUTEX_WAKE, private */, n, NULL, NULL, 0);
}
#else /* the same by one lock for all words */
#include <pthread.h>
static pthread_mutex_t park_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t park_changed = PTHREAD_COND_INITIALIZER;

LEARN_INLINE void park(_Atomic uint32_t *word, uint32_t value)
{
    pthread_mutex_lock(&park_lock);
    if (atomic_load_explicit(word, memory_order_relaxed) == value) pthread_cond_wait(&park_changed, &park_lock);
    pthread_mutex_unlock(&park_lock);
}

LEARN_INLINE void wake(_Atomic uint32_t *word, int n)
{
    (void)word, (void)n;
    pthread_mutex_lock(&park_lock);
    pthread_cond_broadcast(&park_changed);
    pthread_mutex_unlock(&park_lock);
}
#endif

#endif
