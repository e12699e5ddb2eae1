// names.cc - the headers leave a program's atomics, macros and namespaces alone, and are left alone by them.
// SPDX-License-Identifier: MIT
#include <atomic>
#if __cplusplus > 202002L
#include <stdatomic.h>
#endif
using namespace std;
#ifdef OWN_MACROS
#undef _Atomic
#define _Atomic 1
#define atomic_load_explicit(a, b) 2
#define memory_order_acquire 4
#endif
extern "C" {
#include "pool.h"
#include "topic.h"
}

struct leat_ctx *ctx_of_mine;

#ifdef OWN_MACROS
static_assert((_Atomic | atomic_load_explicit(x, y) | memory_order_acquire) == 7, "a program's macros come back");
#else
atomic<int> n;
int loads();
int loads() { return atomic_load_explicit(&n, memory_order_acquire); }
#endif
#if defined LEAT_C11_BEGIN_ || defined LEAT_C11_END_
#error "a name is left behind"
#endif
