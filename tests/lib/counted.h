/* counted.h - counts what this thread asks the C library's allocator for: `allocations`. With NO_COUNT it cannot.
 * SPDX-License-Identifier: MIT */
#ifndef COUNTED_H
#define COUNTED_H

#include <stdlib.h>

#include "tap.h"

#if TAP_SLOW || !defined __GLIBC__
#define NO_COUNT
#endif

#ifndef NO_COUNT
static _Thread_local long allocations;
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}

void *aligned_alloc(size_t align, size_t n)
{
    allocations++;
    return __libc_memalign(align, n);
}
#endif

#endif
