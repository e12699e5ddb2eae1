/* FreeBSD's _umtx_op(2), as far as queue.h needs it.  SPDX-License-Identifier: MIT */
#include "../../wait.h"

enum { UMTX_OP_WAIT_UINT_PRIVATE = 15, UMTX_OP_WAKE_PRIVATE = 16, UMTX_ABSTIME = 1 };

struct _umtx_time {
    struct timespec _timeout;
    uint32_t _flags;
    uint32_t _clockid;
};

/* The size of what uaddr2 points to is passed as a pointer. */
static inline int _umtx_op(void *obj, int op, unsigned long val, void *uaddr, void *uaddr2)
{
    struct _umtx_time *t = (struct _umtx_time *)uaddr2;
    if (op == UMTX_OP_WAKE_PRIVATE) return wakes(obj, (int)val) < 0;
    if (op != UMTX_OP_WAIT_UINT_PRIVATE || val > UINT32_MAX) abort();
    if (t && ((uintptr_t)uaddr != sizeof *t || t->_flags != UMTX_ABSTIME || t->_clockid != CLOCK_MONOTONIC)) abort();
    int err = waits_until(obj, (uint32_t)val, t ? &t->_timeout : NULL);
    return fails_with(err == EAGAIN ? 0 : err); /* 0 if the value is another */
}
