/* DragonFly's umtx(2).  SPDX-License-Identifier: MIT */
#include_next <unistd.h>
#ifndef SYSTEMS_DRAGONFLY_UNISTD_H
#define SYSTEMS_DRAGONFLY_UNISTD_H
#include "../wait.h"

/* Microseconds, at most a second. 0: for ever. */
static inline int umtx_sleep(volatile const int *ptr, int value, int timeout)
{
    if (timeout < 0 || timeout > 1000000) abort();
    int err = waits_for((volatile void *)(uintptr_t)ptr, (uint32_t)value, timeout ? timeout * INT64_C(1000) : -1);
    return fails_with(err == EAGAIN ? EBUSY : err);
}

static inline int umtx_wakeup(volatile const int *ptr, int count)
{
    return wakes((volatile void *)(uintptr_t)ptr, count) < 0;
}
#endif
