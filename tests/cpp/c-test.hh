/* c-test.hh - included ahead of a test in C that is compiled as C++ (make test-cxx): what C11 has and C++ lacks.
 * SPDX-License-Identifier: MIT */
#define _Noreturn [[noreturn]]
extern "C" {
#include "tap.h"
}
#include "queue.h"
#define LEAT_C11_BEGIN_ /* and never ended: the test uses these names, too */
#include "queue.h"
} /* of the extern "C++" that it opens */
#define _Static_assert static_assert

/* A test may use an atomic as if it were none, as C lets it. */
template <class T> struct c_atomic : leat_atomic_<T> {
    c_atomic() = default;
    c_atomic(T v) : leat_atomic_<T>(v) {}
    operator T() const { return leat_atomic_load_(this, __ATOMIC_SEQ_CST); }
    T operator=(T v) { return leat_atomic_store_(this, v, __ATOMIC_SEQ_CST), v; }
    T operator++() { return leat_atomic_fetch_add_(this, 1, __ATOMIC_SEQ_CST) + 1; }
    T operator--() { return leat_atomic_fetch_sub_(this, 1, __ATOMIC_SEQ_CST) - 1; }
    T operator++(int) { return leat_atomic_fetch_add_(this, 1, __ATOMIC_SEQ_CST); }
    T operator--(int) { return leat_atomic_fetch_sub_(this, 1, __ATOMIC_SEQ_CST); }
    T operator+=(T n) { return leat_atomic_fetch_add_(this, n, __ATOMIC_SEQ_CST) + n; }
    T operator-=(T n) { return leat_atomic_fetch_sub_(this, n, __ATOMIC_SEQ_CST) - n; }
    T operator|=(T n) { return leat_atomic_fetch_or_(this, n, __ATOMIC_SEQ_CST) | n; }
};
#undef _Atomic
#define _Atomic(...) c_atomic<__VA_ARGS__>

template <class T> T *c_literal(T &&object) { return &object; } /* &(T){ ... }, which lives as long as the call */

#define atomic_load(at) leat_atomic_load_(at, __ATOMIC_SEQ_CST)
#define atomic_store(at, v) leat_atomic_store_(at, v, __ATOMIC_SEQ_CST)
#define atomic_exchange(at, v) leat_atomic_exchange_(at, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(at, v) leat_atomic_fetch_add_(at, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(at, v) leat_atomic_fetch_sub_(at, v, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(at, v) leat_atomic_fetch_or_(at, v, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_weak(at, old, v) leat_atomic_compare_exchange_weak_(at, old, v, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_strong(at, old, v) \
    leat_atomic_compare_exchange_strong_(at, old, v, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
