/* clock.h - the headers run by a clock of a test's own. Their sleeps and yields are counted, and a test may play what
 * happens meanwhile. Include it instead of pool.h, once.
 * SPDX-License-Identifier: MIT */
#ifndef CLOCK_H
#define CLOCK_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Added to the system's clock. What the headers ask of the system is without it. */
static int64_t ahead;
static _Atomic int sleeps;
static _Atomic int64_t stands_at; /* if not 0, the clock stands still here .. */
static int64_t per_reading;       /* .. but for so much with each reading */
static int64_t coarse_lags;       /* how far the coarse clock is behind it */

static struct timespec moved(struct timespec ts, int64_t by)
{
    int64_t t = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec + by;
    if (t < 0) t = 0;
    if (sizeof(long) < 8 && t / 1000000000 > INT32_MAX) t = INT64_C(1000000000) * INT32_MAX;
    return (struct timespec){ .tv_sec = (time_t)(t / 1000000000), .tv_nsec = (long)(t % 1000000000) };
}

#if defined __linux__
typedef struct { /* what the headers take for a time on the machines that the tests run on */
    long sec, nsec;
} os_time;
#else
typedef struct timespec os_time;
#endif

int our_clock_gettime(int id, os_time *t);
int our_clock_gettime(int id, os_time *t)
{
    struct timespec ts;
    int err = clock_gettime(id, &ts);
    ts = stands_at ? moved((struct timespec){ .tv_sec = 0 }, stands_at) : moved(ts, ahead);
#ifdef CLOCK_MONOTONIC_COARSE
    if (stands_at && id == CLOCK_MONOTONIC_COARSE) ts = moved(ts, -coarse_lags);
#endif
    if (stands_at) stands_at += per_reading;
    memcpy(t, &(os_time){ (long)ts.tv_sec, ts.tv_nsec }, sizeof *t);
    return err;
}

/* What happens while a thread sleeps until a time, or until it is woken (0). It returns true if the thread was woken
 * before that time. NULL: the thread really sleeps. */
static bool (*meanwhile)(int64_t until);

static _Atomic unsigned long usable_cpus = 3; /* which the process may use: a bit for each */

#if defined SYS_futex
long our_syscall(long nr, ...);
long our_syscall(long nr, ...)
{
    os_time ts;
    long a[6];
    va_list ap;
    va_start(ap, nr);
    for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
    va_end(ap);
    if (nr == SYS_sched_getaffinity) {
        *(unsigned long *)a[2] = usable_cpus;
        return sizeof(long);
    }
    if (nr == SYS_futex && a[1] == 137) {
        os_time *late = (void *)a[3];
        atomic_fetch_add(&sleeps, 1);
        if (meanwhile) {
            bool woken = meanwhile(late ? late->sec * INT64_C(1000000000) + late->nsec : 0);
            errno = woken ? 0 : ETIMEDOUT;
            return woken ? 0 : -1;
        }
        if (late && late->sec >= 0) {
            struct timespec t = moved((struct timespec){ .tv_sec = late->sec, .tv_nsec = late->nsec }, -ahead);
            ts = (os_time){ (long)t.tv_sec, t.tv_nsec };
            a[3] = (long)&ts;
        }
    }
    return syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#define syscall our_syscall
#endif

int our_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *late);
int our_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *late)
{
    struct timespec ts = *late;
    atomic_fetch_add(&sleeps, 1);
    if (meanwhile) {
        pthread_mutex_unlock(mutex);
        bool woken = meanwhile(ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec);
        pthread_mutex_lock(mutex);
        return woken ? 0 : ETIMEDOUT;
    }
    if (ts.tv_sec >= 0) ts = moved(ts, -ahead);
    return pthread_cond_timedwait(cond, mutex, &ts);
}

int our_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int our_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (!meanwhile) return pthread_cond_wait(cond, mutex);
    pthread_mutex_unlock(mutex);
    meanwhile(0);
    pthread_mutex_lock(mutex);
    return 0;
}

/* How long a yield lets other threads run, by a clock that stands still otherwise. Negative: yields are real. */
static _Atomic int64_t slice = -1;
static int yields;

int our_yield(void);
int our_yield(void)
{
    if (slice < 0) return sched_yield();
    stands_at += slice;
    yields++;
    return 0;
}

#define sched_yield our_yield
#define clock_gettime our_clock_gettime
#define pthread_cond_timedwait our_timedwait
#define pthread_cond_wait our_wait
#include "pool.h"
#undef sched_yield
#undef clock_gettime
#undef syscall
#undef pthread_cond_timedwait
#undef pthread_cond_wait

#endif
