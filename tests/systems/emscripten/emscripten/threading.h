/* Emscripten's futex. The error is the result.  SPDX-License-Identifier: MIT */
#include "../../wait.h"

static inline int emscripten_futex_wait(volatile void *addr, uint32_t val, double ms)
{
    int saved = errno, err = waits_for(addr, val, ms > 1e15 ? -1 : (int64_t)(ms * 1e6));
    errno = saved;
    return err == EINTR ? 0 : -err;
}

static inline int emscripten_futex_wake(volatile void *addr, int count)
{
    int saved = errno, woken = wakes(addr, count);
    errno = saved;
    return woken;
}
