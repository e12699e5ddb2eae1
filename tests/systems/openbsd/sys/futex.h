/* OpenBSD's futex(2), as far as queue.h needs it.  SPDX-License-Identifier: MIT */
#include "../../wait.h"

enum { FUTEX_WAIT_PRIVATE = 0x81, FUTEX_WAKE_PRIVATE = 0x82 };

/* The timeout is a duration. */
static inline int futex(volatile uint32_t *uaddr, int op, int val, const struct timespec *timeout, volatile uint32_t *uaddr2)
{
    if (uaddr2) abort();
    if (op == FUTEX_WAKE_PRIVATE) return wakes(uaddr, val);
    if (op != FUTEX_WAIT_PRIVATE) abort();
    return fails_with(
        waits_for(uaddr, (uint32_t)val, timeout ? timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec : -1));
}
