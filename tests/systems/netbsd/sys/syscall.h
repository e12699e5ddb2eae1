/* NetBSD's __futex, call 166, as far as queue.h needs it.  SPDX-License-Identifier: MIT */
#include_next <sys/syscall.h>
#ifndef SYSTEMS_NETBSD_SYSCALL_H
#define SYSTEMS_NETBSD_SYSCALL_H
#include "../../wait.h"

#include <stdarg.h>

#define SYS___futex 166

static inline int netbsd_syscall(int number, ...)
{
    va_list ap;
    va_start(ap, number);
    volatile void *word = va_arg(ap, void *);
    int op = va_arg(ap, int), val = va_arg(ap, int);
    const struct timespec *late = (const struct timespec *)va_arg(ap, void *);
    void *word2 = va_arg(ap, void *);
    int val2 = va_arg(ap, int), val3 = va_arg(ap, int);
    va_end(ap);
    if (number != SYS___futex || word2 || val2) abort();
    if (op == 129) return wakes(word, val);
    if (op != 137 || val3 != -1) abort();
    return fails_with(waits_until(word, (uint32_t)val, late));
}
#define syscall netbsd_syscall

#endif
