/* wait.h - what the stand-ins of other systems' calls have in common. They are made of Linux's futex, so that each page
 * of part 1 of queue.h can be compiled and run here. Each call is as its system's manual tells it, at its worst: a timed
 * wait ends early, and errno changes.
 * SPDX-License-Identifier: MIT */
#ifndef SYSTEMS_WAIT_H
#define SYSTEMS_WAIT_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ns < 0: for ever. 0 or an error. A duration is cut in half. Of one that is too long nobody knows what a system makes. */
static inline int waits_for(volatile void *word, uint32_t value, int64_t ns)
{
    struct timespec half = { .tv_sec = (time_t)(ns / 2 / 1000000000), .tv_nsec = (long)(ns / 2 % 1000000000) };
    if (ns > INT64_C(86400) * 1000000000) abort();
    long r = syscall(SYS_futex, word, 128, value, ns < 0 ? NULL : &half, NULL, 0);
    int err = r < 0 ? errno : 0;
    errno = ENOTTY;
    return err;
}

/* As above, to a time of the monotonic clock. It is not cut. */
static inline int waits_until(volatile void *word, uint32_t value, const struct timespec *late)
{
    long r = syscall(SYS_futex, word, 137, value, late, NULL, -1);
    int err = r < 0 ? errno : 0;
    errno = ENOTTY;
    return err;
}

/* The number of threads that are woken. */
static inline int wakes(volatile void *word, int n)
{
    long woken = syscall(SYS_futex, word, 129, n, NULL, NULL, 0);
    errno = ENOTTY;
    return woken < 0 ? 0 : (int)woken;
}

/* As most calls return an error. */
static inline int fails_with(int err)
{
    if (err) errno = err;
    return err ? -1 : 0;
}

#endif
