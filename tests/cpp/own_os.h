/* own_os.h - a part 1 of a program's own (LEAT_CUSTOM_OS), the same text in C and in C++. It has no futex: a wait polls.
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <time.h>

static inline int64_t leat_os_now_(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t leat_os_coarse_now_(void)
{
    return leat_os_now_();
}

static inline void leat_os_yield_(void)
{
    sched_yield();
}

static inline void leat_os_pause_(void)
{
}

static inline int leat_os_word_wait_(_Atomic(uint32_t) *word, uint32_t old, int64_t deadline)
{
    sched_yield();
    return atomic_load_explicit(word, memory_order_acquire) == old && leat_os_now_() >= deadline ? -ETIMEDOUT : 0;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    (void)word;
}

#define LEAT_OS_NO_FD_    /* nothing that poll() can watch */
#define LEAT_OS_NO_MASKS_ /* no signal masks: both for pool.h and queue.h, which bring what then does nothing */

static inline bool leat_os_fence_all_(void)
{
    return false;
}

static inline int leat_os_cpus_(void)
{
    return 2;
}

static inline bool leat_os_one_cpu_(void)
{
    return false;
}

/* Of pool.h. */
static inline void leat_os_name_(const char *name)
{
    (void)name;
}
