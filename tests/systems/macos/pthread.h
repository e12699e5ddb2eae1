/* macOS: a condition has no clock, and only the own thread can be named.  SPDX-License-Identifier: MIT */
#define pthread_condattr_setclock pthread_condattr_does_not_exist
#include_next <pthread.h>
#undef pthread_condattr_setclock
#ifndef SYSTEMS_MACOS_PTHREAD_H
#define SYSTEMS_MACOS_PTHREAD_H
#include <time.h>

static inline int pthread_setname_np(const char *name)
{
    return !name[0];
}

/* It ends early. */
static inline int pthread_cond_timedwait_relative_np(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                                     const struct timespec *left)
{
    struct timespec late;
    clock_gettime(CLOCK_REALTIME, &late);
    int64_t ns = late.tv_nsec + (left->tv_sec * INT64_C(1000000000) + left->tv_nsec) / 2;
    late.tv_sec += (time_t)(ns / 1000000000);
    late.tv_nsec = (long)(ns % 1000000000);
    return pthread_cond_timedwait(cond, mutex, &late);
}
#endif
