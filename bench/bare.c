/* bare.c - the floor of what a semaphore can do: a locked operation to acquire, one to release. It cannot wait, so it
 * lets too many in. With several threads it measures how long a cache line takes from one CPU to another.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "contestant.h"

#define SEMAPHORE
#define WEIGHTED

static long permits_left __attribute__((aligned(128)));

INLINE void sem_new(int permits)
{
    __atomic_store_n(&permits_left, permits, __ATOMIC_RELAXED);
}

INLINE void sem_take(int n)
{
    __atomic_fetch_sub(&permits_left, n, __ATOMIC_ACQUIRE);
}

INLINE void sem_give(int n)
{
    __atomic_fetch_add(&permits_left, n, __ATOMIC_RELEASE);
}

INLINE long sem_left(void)
{
    return __atomic_load_n(&permits_left, __ATOMIC_RELAXED);
}

#include "works.h"
