/* queue.h - Go's channels for C programs: bounded, blocking, closeable, cancellable, selectable.
 *
 *     typedef LEAT_CHAN(struct job) job_chan;
 *     job_chan jobs;
 *     leat_make(&jobs, 64);                                        // make(chan Job, 64)
 *     leat_send(&jobs, &(struct job){ .id = 7 });                  // jobs <- Job{ID: 7}
 *     leat_close(&jobs);                                           // close(jobs)
 *     for (struct job j; leat_recv(&jobs, &j) == 0; ) run(&j);     // for j := range jobs
 *     leat_free(&jobs);
 *
 * To use it, copy this file into your project, or include it as <leat/queue.h>, and link with -pthread (on Windows with
 * nothing).
 * SPDX-License-Identifier: MIT
 *
 * WHAT IT IS NOT. Not unbounded. Not shared between processes. Not for coroutines: the threads that wait are the
 * operating system's. Not lock-free in the strict sense: a thread that is stopped between claiming a
 * slot and publishing it delays the threads that need *that slot* (Vyukov's progress guarantee).
 *
 * RETURN VALUES. A function returns 0, or a count or an index where that is its result, or one of these errors:
 *     -EAGAIN       a try_ call would have to wait (exact: at one instant the channel really was full or empty)
 *     -EPIPE        send: the channel is closed, nothing was sent.  recv: it is closed and drained
 *     -ECANCELED    the context was cancelled; nothing was sent or taken
 *     -ETIMEDOUT    the context's deadline passed; nothing was sent or taken
 *     -EALREADY     close: it was closed before, and nothing changed
 *     -EDEADLK      the call would wait for ever
 *     -EINVAL       bad argument          -ENOMEM   no memory
 * No call changes errno. A time is an int64_t: nanoseconds of the monotonic clock, absolute.
 * A call that can wait has three forms. leat_x waits for ever. leat_try_x never waits. leat_x_ctx gives up when its
 * context is done.
 * A context that is done wins over a message that is ready.
 *
 * INTERRUPTIONS. No call that waits is a cancellation point. A pthread_cancel takes effect after the call has
 * returned. To end a wait, use a context. Asynchronous cancelability must be off. A signal handler may interrupt any
 * call, and the call goes on afterwards. The handler must not call any function of leat (see leat_cancel_on_signals in
 * pool.h). It must not leave by longjmp, because a thread that waits has nodes on its stack that are in wait queues. A
 * task or a hook must not leave by longjmp the function of leat that called it.
 *
 * HOW TO READ IT. Each part calls only the parts above it:
 *     1 the operating system   2 spinning   3 parking   4 contexts   5 the ring   6 select, how everything waits
 *     7 channels               8 typed macros: the names to call; their comments are the manual
 * A first reading begins with part 5, as far as leat_move_by_: the ring, how a send and a receive claim, and why no wake-up
 * is lost. Then part 3: a waiter, and who may touch it. Then part 5 from I5 on, and leat_select_which_ in part 6: how a
 * thread waits. Then part 4, contexts. The rest can be skipped until it is needed:
 *   - the table MEMORY ORDER below: there one looks up a label like [P1];
 *   - what stands between the words leat:c11, and under "C++": it lets C++ compile the same code;
 *   - part 1: one page for each system, all with the same few functions. What an event is stands at its end;
 *   - part 2: it decides how long a thread stays awake, and never whether it is woken. LEAT_WITHOUT_.. is for benchmarks;
 *   - ends for one thread (leat_claim_one_, leat_move_one_), batches (leat_run_.., leat_move_some_), pollables (I9),
 *     LEAT_DEBUG.
 * On the fast path a message meets leat_send (8), leat_do_ (7) and leat_move_ (5). A wait goes on from there to
 * leat_wait_case_ (7), leat_select_ (6), leat_block_ (4) and leat_park_ (3). Invariants: I1 to I3 are in part 3, I4 to I6 in
 * 5, I7 and I8 in 6, I9 in 7. Names that end in an underscore are private. For a reader who has not seen such code,
 * learn/README.md of the project comes to it in nine steps.
 *
 * OPTIONS. [whole program] LEAT_NO_FUTEX      use the portable pthread fallback even on Linux (not on Windows)
 *          [whole program] LEAT_CUSTOM_OS     the name of a header with your own part 1 (tests/lib/step.h is one)
 *          [whole program] LEAT_NO_QUOTA      opens no file: a CPU quota of the process's cgroup is ignored
 *          [whole program] LEAT_ONCE          the program contains each slow path once, not once per file that includes
 *                                             the headers (ELF, gcc and clang; elsewhere no effect). Needs
 *                                             -ffunction-sections and -Wl,--gc-sections: without them the
 *                                             program gets larger
 *          [this file]     LEAT_DECLARED      this file contains no slow path, and compiles in a fraction of the time. One
 *                                             file in C of the program, and of each shared object, has to include the same
 *                                             headers with LEAT_ONCE instead. Without it the linker says: undefined
 *                                             reference to `leat_...'. For C; see LEAT_ONCE for where it has an effect
 *          [whole program] LEAT_DEBUG         detects misuse that no error code can report: a channel that was copied,
 *                                             is used after free, is freed while threads wait on it, is made again
 *                                             without a free, or has an end for one thread that two threads use.
 *                                             Prints file, line and misuse to stderr, and aborts
 *          [this file]     LEAT_ASSERT(x)     what to do about such misuse instead. Default without LEAT_DEBUG: nothing
 *
 * MEMORY ORDER. Every release names the acquire that answers it, and every acquire names its release. [X..] is relaxed.
 *     label   site                              carries
 *     [L1]    unlock                 -> [L2]    everything that the lock guards
 *     [L2]    lock                   <- [L1]
 *     [S1]    a waiter is woken      -> [S2]    the message of a rendezvous, which case won, a task (pool.h)
 *     [S2]    the waiter sees it     <- [S1]
 *     [D1]    a wait is resolved     -> [D2]    everything that came before it (a try-select that finds no waiter
 *     [D2]    a look for waiters     <- [D1]    on one channel must not miss one that came earlier on another)
 *     [K1]    a context is done      -> [K2]    what the thread that cancels did before
 *     [K2]    a call checks it       <- [K1]
 *     [P1]    a slot is published    -> [P2]    send: the message. recv: the message was copied out, the slot is free
 *     [P2]    the other side sees it <- [P1]
 *     [C1]    a claim                -> [C2]    everything that came before it
 *     [C2]    an exact look          <- [C1]    (else a try-select over two channels could miss both)
 *     [E1]    close                  -> [E2]    what the thread that closes did before
 *     [E2]    a call sees it         <- [E1]
 *     [F1]    a fenced claim         -> [F2]    the position, where an end is for one thread (part 5)
 *     [F2]    a bit is set           <- [F1]
 *     [X1]    an optimistic head or tail        nothing: the claim decides
 *     [X2]    the WAITERS bit                   nothing: the modification order of one word is enough (part 5)
 *     [X3]    a waiter's state, read            nothing: [D1] decides
 *     [X4]    CLOSING, and a cancel begun       nothing: the lock orders it
 *     [X5]    counters and hints                nothing
 *     [X6]    at an end for one thread          nothing: leat_fence_all_, or [F1]. Not [C1], either: such a claim makes
 *                                               no case of another thread's less ready
 */
/* leat:c11-begin  In C++ each header includes this part of the file before its first declaration, and the next one after its
 * last. In between the names of C11 mean what is defined below as leat_atomic_. A program's own macros of these names come
 * back at the end. */
#if defined LEAT_C11_BEGIN_
#undef LEAT_C11_BEGIN_
#pragma push_macro("_Atomic")
#pragma push_macro("_Thread_local")
#pragma push_macro("_Alignof")
#pragma push_macro("memory_order_relaxed")
#pragma push_macro("memory_order_acquire")
#pragma push_macro("memory_order_release")
#pragma push_macro("memory_order_acq_rel")
#pragma push_macro("memory_order_seq_cst")
#pragma push_macro("atomic_init")
#pragma push_macro("atomic_signal_fence")
#pragma push_macro("atomic_load_explicit")
#pragma push_macro("atomic_store_explicit")
#pragma push_macro("atomic_exchange_explicit")
#pragma push_macro("atomic_compare_exchange_weak_explicit")
#pragma push_macro("atomic_compare_exchange_strong_explicit")
#pragma push_macro("atomic_fetch_add_explicit")
#pragma push_macro("atomic_fetch_sub_explicit")
#pragma push_macro("atomic_fetch_and_explicit")
#pragma push_macro("atomic_fetch_or_explicit")
#pragma push_macro("atomic_fetch_xor_explicit")
#undef _Atomic
#undef _Thread_local
#undef _Alignof
#undef memory_order_relaxed
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef atomic_init
#undef atomic_signal_fence
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_and_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_xor_explicit
#define _Atomic(...) leat_atomic_<__VA_ARGS__>
#define _Thread_local __thread
#define _Alignof(...) alignof(__VA_ARGS__)
#define memory_order_relaxed __ATOMIC_RELAXED
#define memory_order_acquire __ATOMIC_ACQUIRE
#define memory_order_release __ATOMIC_RELEASE
#define memory_order_acq_rel __ATOMIC_ACQ_REL
#define memory_order_seq_cst __ATOMIC_SEQ_CST
#define atomic_init leat_atomic_init_
#define atomic_signal_fence leat_atomic_signal_fence_
#define atomic_load_explicit leat_atomic_load_
#define atomic_store_explicit leat_atomic_store_
#define atomic_exchange_explicit leat_atomic_exchange_
#define atomic_compare_exchange_weak_explicit leat_atomic_compare_exchange_weak_
#define atomic_compare_exchange_strong_explicit leat_atomic_compare_exchange_strong_
#define atomic_fetch_add_explicit leat_atomic_fetch_add_
#define atomic_fetch_sub_explicit leat_atomic_fetch_sub_
#define atomic_fetch_and_explicit leat_atomic_fetch_and_
#define atomic_fetch_or_explicit leat_atomic_fetch_or_
#define atomic_fetch_xor_explicit leat_atomic_fetch_xor_
extern "C++" { /* perhaps the program has included the header in an extern "C" */
#endif
/* leat:c11-end */
#if defined LEAT_C11_END_
#undef LEAT_C11_END_
}
#pragma pop_macro("_Atomic")
#pragma pop_macro("_Thread_local")
#pragma pop_macro("_Alignof")
#pragma pop_macro("memory_order_relaxed")
#pragma pop_macro("memory_order_acquire")
#pragma pop_macro("memory_order_release")
#pragma pop_macro("memory_order_acq_rel")
#pragma pop_macro("memory_order_seq_cst")
#pragma pop_macro("atomic_init")
#pragma pop_macro("atomic_signal_fence")
#pragma pop_macro("atomic_load_explicit")
#pragma pop_macro("atomic_store_explicit")
#pragma pop_macro("atomic_exchange_explicit")
#pragma pop_macro("atomic_compare_exchange_weak_explicit")
#pragma pop_macro("atomic_compare_exchange_strong_explicit")
#pragma pop_macro("atomic_fetch_add_explicit")
#pragma pop_macro("atomic_fetch_sub_explicit")
#pragma pop_macro("atomic_fetch_and_explicit")
#pragma pop_macro("atomic_fetch_or_explicit")
#pragma pop_macro("atomic_fetch_xor_explicit")
#endif
/* leat:c11-over */
#ifndef LEAT_QUEUE_H
#define LEAT_QUEUE_H

#include <errno.h>
#include <limits.h>
#ifndef __cplusplus
#include <stdatomic.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The version of the headers: 10000 * major + 100 * minor + patch, and in words. docs/compatibility.md says what it
 * promises. */
#define LEAT_VERSION 300
#define LEAT_VERSION_STRING "0.3.0"

/* Each header stands between these two macros, and nothing else does. They silence warnings that a program may have
 * turned on and that object to the style of the headers. In that style a declaration stands where it is needed, a void
 * pointer needs no cast, and `inline` says that a function may be unused. */
#if defined __GNUC__
/* clang-format off */
#if !defined __cplusplus
#define LEAT_OWN_STYLE_OF_LANGUAGE_                                 \
    _Pragma("GCC diagnostic ignored \"-Wattributes\"")                 \
    _Pragma("GCC diagnostic ignored \"-Wdeclaration-after-statement\"") \
    _Pragma("GCC diagnostic ignored \"-Wc++-compat\"")              \
    _Pragma("GCC diagnostic ignored \"-Wmissing-prototypes\"")      \
    _Pragma("GCC diagnostic ignored \"-Wnested-externs\"")
#else
#if defined __clang__
#define LEAT_OWN_STYLE_OF_COMPILER_                                 \
    _Pragma("GCC diagnostic ignored \"-Wunknown-warning-option\"")  \
    _Pragma("GCC diagnostic ignored \"-Wkeyword-macro\"")           \
    _Pragma("GCC diagnostic ignored \"-Wc99-extensions\"")
#else
#define LEAT_OWN_STYLE_OF_COMPILER_                                 \
    _Pragma("GCC diagnostic ignored \"-Wpragmas\"")                 \
    _Pragma("GCC diagnostic ignored \"-Wextra\"")                   \
    _Pragma("GCC diagnostic ignored \"-Wattributes\"")              \
    _Pragma("GCC diagnostic ignored \"-Wuseless-cast\"")
#endif
#define LEAT_OWN_STYLE_OF_LANGUAGE_                                 \
    LEAT_OWN_STYLE_OF_COMPILER_                                     \
    _Pragma("GCC diagnostic ignored \"-Wpedantic\"")                \
    _Pragma("GCC diagnostic ignored \"-Wc++20-extensions\"")        \
    _Pragma("GCC diagnostic ignored \"-Wold-style-cast\"")          \
    _Pragma("GCC diagnostic ignored \"-Wzero-as-null-pointer-constant\"") \
    _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"")
#endif
#define LEAT_OWN_STYLE_BEGIN_                                       \
    _Pragma("GCC diagnostic push")                                  \
    _Pragma("GCC diagnostic ignored \"-Winline\"")                  \
    _Pragma("GCC diagnostic ignored \"-Wmissing-declarations\"")    \
    LEAT_OWN_STYLE_OF_LANGUAGE_
/* clang-format on */
#define LEAT_OWN_STYLE_END_ _Pragma("GCC diagnostic pop")
#else
#define LEAT_OWN_STYLE_BEGIN_
#define LEAT_OWN_STYLE_END_
#endif
LEAT_OWN_STYLE_BEGIN_

/* LEAT_HOT_: inlined into its caller, the fast path. LEAT_COLD_: out of line, the slow path. Every function that a
 * program calls is one of the two. With a mere `inline`, gcc's -Winline could warn at each call. */
#if defined __ELF__ || defined __APPLE__
#define LEAT_HIDDEN_ __attribute__((visibility("hidden")))
#else
#define LEAT_HIDDEN_
#endif
#if defined __cplusplus && (defined __cpp_exceptions || defined __EXCEPTIONS)
#define LEAT_EXCEPTIONS_
#endif
#if defined __GNUC__ && defined __cplusplus && defined LEAT_EXCEPTIONS_ && !defined LEAT_ASSERT
#define LEAT_HOT_ inline __attribute__((always_inline))
#define LEAT_COLD_ inline __attribute__((noinline)) LEAT_HIDDEN_ /* one for all files, but not for all shared objects */
#define LEAT_COLD_AHEAD_
#elif defined __GNUC__ && defined __cplusplus /* these differ per file */
#define LEAT_HOT_ static inline __attribute__((always_inline))
#define LEAT_COLD_ static inline __attribute__((noinline))
#define LEAT_COLD_AHEAD_ static
#elif defined __GNUC__
#define LEAT_HOT_ static inline __attribute__((always_inline))
#if (defined LEAT_ONCE || defined LEAT_DECLARED) && defined __ELF__ && !defined LEAT_DEBUG && !defined LEAT_ASSERT
#if defined LEAT_DECLARED /* gnu_inline: a definition that no code is made of. Nor is it inlined: it is not optimized */
#if defined __clang__
#define LEAT_NOT_HERE_(where) extern inline __attribute__((gnu_inline, noinline, optnone, visibility(where)))
#else
#define LEAT_NOT_HERE_(where) extern inline __attribute__((gnu_inline, optimize(0), visibility(where)))
#endif
#define LEAT_AS_SYSTEM_HEADER_ /* gcc's warning about a static in such a function has no name */
#pragma GCC system_header
#define LEAT_COLD_ LEAT_NOT_HERE_("hidden")
#define LEAT_ONE_CALL_ LEAT_NOT_HERE_("default")
#else
#define LEAT_COLD_ __attribute__((noinline, weak, visibility("hidden")))
#endif
#else /* inline: if nothing calls it, it is left out even at -O0. Not `unused`, about each call of which clang can warn */
#define LEAT_COLD_ static inline __attribute__((noinline)) /* the slow path, out of line */
#endif
#endif
#ifndef LEAT_COLD_AHEAD_
#define LEAT_COLD_AHEAD_ LEAT_COLD_ /* of a declaration, where the definition follows later */
#endif
#if defined __GNUC__
#define LEAT_USUALLY_(x) __builtin_expect(!!(x), 1)
#define LEAT_RARELY_(x) __builtin_expect(!!(x), 0)
#define LEAT_MUST_CHECK_ __attribute__((warn_unused_result))
#else
#define LEAT_HOT_ static inline
#define LEAT_COLD_ static inline
#define LEAT_USUALLY_(x) (x)
#define LEAT_RARELY_(x) (x)
#define LEAT_MUST_CHECK_
#endif

/* Reports misuse in plain words. LEAT_BLAME_ also gets the place in the program. */
#ifdef LEAT_ASSERT
#define LEAT_BLAME_(words, file, line) ((void)(file), (void)(line), LEAT_ASSERT(!sizeof words))
#elif defined LEAT_DEBUG
#include <stdio.h>
LEAT_COLD_ void leat_blame_(const char *words, const char *file, int line)
{
    fprintf(stderr, "%s:%d: leat: %s\n", file, line, words);
    abort();
}
#define LEAT_BLAME_(words, file, line) leat_blame_(words, file, line)
#define LEAT_ASSERT(x) ((x) ? (void)0 : leat_blame_(#x, __FILE__, __LINE__))
#else
#define LEAT_BLAME_(words, file, line) ((void)0)
#define LEAT_ASSERT(x) ((void)0)
#endif
#define LEAT_MISUSE_(words) LEAT_BLAME_(words, __FILE__, __LINE__)

/* Marks arithmetic that is meant to wrap around, so that clang's -fsanitize=integer does not report it. */
#if defined __clang__
#define LEAT_WRAPS_ __attribute__((no_sanitize("integer")))
#else
#define LEAT_WRAPS_
#endif

/* Marks a read of memory that may never have been written, so that clang's -fsanitize=memory does not report it. */
#if defined __clang__
#define LEAT_LOOKS_AT_ALL_ __attribute__((no_sanitize("memory")))
#else
#define LEAT_LOOKS_AT_ALL_
#endif

/* Declares a variable that exists once in a program (or, if _Thread_local, once in each thread), however many files
 * include its header. Shared objects have the same one as far as the linker lets them see each other. Every mutable
 * static of the headers is declared so, except for three of a thread's own that each file may have for itself: the state
 * of the random numbers, the thread's leat_thread_ (pool.h), and whether liburcu knows the thread (topic.h). */
#if defined _WIN32 && defined __GNUC__
#define LEAT_ONE_ __attribute__((selectany))
#elif defined __GNUC__
#define LEAT_ONE_ __attribute__((weak, visibility("default")))
#else
#define LEAT_ONE_ static
#endif

/* LEAT_ONE_OF_: such a variable, of a type that C++ spells otherwise than C. With -flto, gcc compares the types that
 * the files of a program give to a variable. So in C++ it is declared as bytes, which go with every type, and a macro
 * of its name says what they are (LEAT_ONE_AS_). LEAT_ONE_CALL_: a function that exists once. It has the same symbol in
 * both languages. */
#ifdef __cplusplus
#define LEAT_ONE_OF_(type, name) alignas(type) LEAT_ONE_ char name[sizeof(type)]
#define LEAT_ONE_AS_(type, name) (*(type *)(void *)name)
#define LEAT_ONE_CALL_ extern "C" LEAT_ONE_
#else
#define LEAT_ONE_OF_(type, name) LEAT_ONE_ type name
#ifndef LEAT_ONE_CALL_ /* LEAT_DECLARED */
#define LEAT_ONE_CALL_ LEAT_ONE_
#endif
#endif

#ifdef __cplusplus
/* ==== C++ =====================================================================================
 *
 * C++ compiles the same text, from C++11 on. An _Atomic(T) is then a leat_atomic_<T>. It is laid out as C's, and unlike
 * std::atomic it has a trivial constructor. So all-zero is valid, a union may contain it, and a file in C and a file in C++
 * may share every object of leat. */
extern "C++" {

template <class T> struct leat_is_ {
    typedef T type;
};

template <class T> struct alignas(sizeof(T)) leat_atomic_ {
    T value_;
    leat_atomic_() = default;
    constexpr leat_atomic_(typename leat_is_<T>::type value) : value_(value)
    {
    }
};

#define LEAT_ATOMIC_CALL_ template <class T> LEAT_HOT_
#define LEAT_VALUE_ typename leat_is_<T>::type /* T comes from the object, and not from the value */

LEAT_ATOMIC_CALL_ void leat_atomic_init_(leat_atomic_<T> *at, LEAT_VALUE_ value)
{
    at->value_ = value;
}

LEAT_ATOMIC_CALL_ T leat_atomic_load_(const leat_atomic_<T> *at, int order)
{
    return __atomic_load_n(&at->value_, order);
}

LEAT_ATOMIC_CALL_ void leat_atomic_store_(leat_atomic_<T> *at, LEAT_VALUE_ value, int order)
{
    __atomic_store_n(&at->value_, value, order);
}

LEAT_ATOMIC_CALL_ T leat_atomic_exchange_(leat_atomic_<T> *at, LEAT_VALUE_ value, int order)
{
    return __atomic_exchange_n(&at->value_, value, order);
}

LEAT_ATOMIC_CALL_ bool leat_atomic_compare_exchange_weak_(leat_atomic_<T> *at, T *old, LEAT_VALUE_ value, int order,
                                                          int other)
{
    return __atomic_compare_exchange_n(&at->value_, old, value, true, order, other);
}

LEAT_ATOMIC_CALL_ bool leat_atomic_compare_exchange_strong_(leat_atomic_<T> *at, T *old, LEAT_VALUE_ value, int order,
                                                            int other)
{
    return __atomic_compare_exchange_n(&at->value_, old, value, false, order, other);
}

LEAT_ATOMIC_CALL_ T leat_atomic_fetch_add_(leat_atomic_<T> *at, LEAT_VALUE_ value, int order)
{
    return __atomic_fetch_add(&at->value_, value, order);
}

LEAT_ATOMIC_CALL_ T leat_atomic_fetch_sub_(leat_atomic_<T> *at, LEAT_VALUE_ value, int order)
{
    return __atomic_fetch_sub(&at->value_, value, order);
}

LEAT_ATOMIC_CALL_ T leat_atomic_fetch_and_(leat_atomic_<T> *at, LEAT_VALUE_ value, int order)
{
    return __atomic_fetch_and(&at->value_, value, order);
}

LEAT_ATOMIC_CALL_ T leat_atomic_fetch_or_(leat_atomic_<T> *at, LEAT_VALUE_ value, int order)
{
    return __atomic_fetch_or(&at->value_, value, order);
}

LEAT_ATOMIC_CALL_ T leat_atomic_fetch_xor_(leat_atomic_<T> *at, LEAT_VALUE_ value, int order)
{
    return __atomic_fetch_xor(&at->value_, value, order);
}

LEAT_HOT_ void leat_atomic_signal_fence_(int order)
{
    __atomic_signal_fence(order);
}

} /* extern "C++" */
#endif

/* ==== 1. The operating system =================================================================
 *
 * All that this file knows of its platform: a clock, an event that a thread can wait on, yield, pause, and the number
 * of usable CPUs. Threads and signals are in pool.h. */

/* Times are int64_t, in nanoseconds. LEAT_NS(n), LEAT_US(n), LEAT_MS(n) and LEAT_S(n) are n nanoseconds, microseconds,
 * milliseconds and seconds. A time that is too long is LEAT_FOREVER. If n is a constant, so is the result. */
#define LEAT_FOREVER INT64_MAX
#ifdef __cplusplus
#define LEAT_NS(n) LEAT_TIMES_(n, 1)
#else
#define LEAT_NS(n) ((int64_t)(n))
#endif
#define LEAT_US(n) LEAT_TIMES_(n, 1000)
#define LEAT_MS(n) LEAT_TIMES_(n, 1000000)
#define LEAT_S(n) LEAT_TIMES_(n, 1000000000)

/* n units, or the longest time that there is. If n is a constant, so is the result. Else n is evaluated once. */
static inline int64_t leat_times_(int64_t n, int64_t unit)
{
    return n >= INT64_MAX / unit ? INT64_MAX : n <= -(INT64_MAX / unit) ? -INT64_MAX : n * unit;
}

#if defined __cplusplus
extern "C++" template <class N> constexpr int64_t leat_times_of_(N n, int64_t unit)
{
    return (double)n < (double)(INT64_MAX / unit) && (double)n > -(double)(INT64_MAX / unit) ? (int64_t)n * unit
           : n > N(0)                                                                        ? INT64_MAX
                                                                                             : -INT64_MAX;
}
#define LEAT_TIMES_(n, unit) leat_times_of_(n, unit)
#elif defined __GNUC__
#define LEAT_TIMES_(n, unit) \
    __builtin_choose_expr(__builtin_constant_p(n), LEAT_CONSTANT_TIMES_(n, unit), leat_times_((int64_t)(n), unit))
#define LEAT_IN_RANGE_(n, unit) ((double)+(n) < (double)(INT64_MAX / (unit)) && (double)+(n) > -(double)(INT64_MAX / (unit)))
#define LEAT_CONSTANT_TIMES_(n, unit) \
    (LEAT_IN_RANGE_(n, unit) ? (int64_t)(LEAT_IN_RANGE_(n, unit) ? (n) : 0) * (unit) : (n) > 0 ? INT64_MAX : -INT64_MAX)
#else
#define LEAT_TIMES_(n, unit) leat_times_((int64_t)(n), unit)
#endif

#define LEAT_ASLEEP_ 4u /* a bit of an event (below): its thread sleeps, or is about to */

#if !!defined LEAT_CUSTOM_OS /* !!: else cppcheck tries it with nothing to include */
#ifdef __cplusplus
#define LEAT_C11_BEGIN_
#include "queue.h" /* so that the same text is C and C++ */
#endif
#include LEAT_CUSTOM_OS
#elif defined _WIN32

/* Windows 8 and later. <windows.h> would fill the program's namespace, so the few functions of the system are declared
 * here, under other names. Nothing is to be linked: all are in kernel32.dll, but for the two that wait and wake. Their
 * import library (-lsynchronization) is not linked by default, so the first wait looks them up. */
#define LEAT_WINDOWS_
#ifdef __cplusplus
#define LEAT_C11_BEGIN_
#include "queue.h"
#endif
#define LEAT_RELATIVE_WAIT_
#if defined __i386__
#define LEAT_OS_CALL_ __attribute__((stdcall))
#define LEAT_OS_SYMBOL_(name, bytes) __asm__("_" #name "@" #bytes)
#else
#define LEAT_OS_CALL_
#define LEAT_OS_SYMBOL_(name, bytes) __asm__(#name)
#endif

#ifndef ESHUTDOWN
#define ESHUTDOWN 10058 /* as WSAESHUTDOWN; the C library has none */
#endif

#define LEAT_OS_ALIGNED_ (2 * sizeof(void *)) /* bytes that malloc aligns to. In 32 bits less than max_align_t */

extern int LEAT_OS_CALL_ leat_os_counter_(int64_t *) LEAT_OS_SYMBOL_(QueryPerformanceCounter, 4);
extern int LEAT_OS_CALL_ leat_os_frequency_(int64_t *) LEAT_OS_SYMBOL_(QueryPerformanceFrequency, 4);
extern int LEAT_OS_CALL_ leat_os_switch_(void) LEAT_OS_SYMBOL_(SwitchToThread, 0);
extern void LEAT_OS_CALL_ leat_os_sleep_(uint32_t) LEAT_OS_SYMBOL_(Sleep, 4);
extern void *LEAT_OS_CALL_ leat_os_module_(const char *) LEAT_OS_SYMBOL_(GetModuleHandleA, 4);
extern void *LEAT_OS_CALL_ leat_os_symbol_(void *, const char *) LEAT_OS_SYMBOL_(GetProcAddress, 8);
extern void LEAT_OS_CALL_ leat_os_flush_(void) LEAT_OS_SYMBOL_(FlushProcessWriteBuffers, 0);
extern void *LEAT_OS_CALL_ leat_os_process_(void) LEAT_OS_SYMBOL_(GetCurrentProcess, 0);
extern int LEAT_OS_CALL_ leat_os_affinity_(void *, uintptr_t *, uintptr_t *) LEAT_OS_SYMBOL_(GetProcessAffinityMask, 12);
extern uint32_t LEAT_OS_CALL_ leat_os_processors_(uint16_t) LEAT_OS_SYMBOL_(GetActiveProcessorCount, 4);
extern int LEAT_OS_CALL_ leat_os_job_(void *, int, void *, uint32_t, uint32_t *)
    LEAT_OS_SYMBOL_(QueryInformationJobObject, 20);

LEAT_ONE_OF_(_Atomic(int64_t), leat_os_ticks_); /* of the counter, in a second: a constant of the boot. 0: not read yet */
#ifdef __cplusplus
#define leat_os_ticks_ LEAT_ONE_AS_(leat_atomic_<int64_t>, leat_os_ticks_)
#endif

static inline int64_t leat_os_now_(void)
{
    int64_t t = 0, f = atomic_load_explicit(&leat_os_ticks_, memory_order_relaxed); /* [X5] */
    if (!f) {
        leat_os_frequency_(&f);
        atomic_store_explicit(&leat_os_ticks_, f, memory_order_relaxed); /* [X5] */
    }
    leat_os_counter_(&t);
    return f == 10000000 ? t * 100 : t / f * 1000000000 + t % f * 1000000000 / f;
}

/* The system's coarse clocks have other origins. */
static inline int64_t leat_os_coarse_now_(void)
{
    return leat_os_now_();
}

static inline void leat_os_yield_(void)
{
    leat_os_switch_();
}

static inline void leat_os_pause_(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb" ::: "memory");
#endif
}

typedef int LEAT_OS_CALL_ leat_os_wait_on_address_(void *, void *, size_t, uint32_t);
typedef void LEAT_OS_CALL_ leat_os_wake_by_address_(void *);
LEAT_ONE_OF_(_Atomic(uintptr_t), leat_os_waits_); /* their addresses. 0: not looked up yet, 1: there is none */
LEAT_ONE_OF_(_Atomic(uintptr_t), leat_os_wakes_);
#ifdef __cplusplus
#define leat_os_waits_ LEAT_ONE_AS_(leat_atomic_<uintptr_t>, leat_os_waits_)
#define leat_os_wakes_ LEAT_ONE_AS_(leat_atomic_<uintptr_t>, leat_os_wakes_)
#endif

/* The address of a function of kernelbase.dll or ntdll.dll, which every process has loaded. 1: there is none. */
LEAT_COLD_ uintptr_t leat_os_look_up_(_Atomic(uintptr_t) *at, const char *dll, const char *name)
{
    void *module = leat_os_module_(dll), *symbol = module ? leat_os_symbol_(module, name) : NULL;
    uintptr_t address = symbol ? (uintptr_t)symbol : 1;
    atomic_store_explicit(at, address, memory_order_relaxed); /* [X5] */
    return address;
}

/* In milliseconds, rounded up. The system's timer ticks every 15.6 ms, unless a program has asked for more: a wait may
 * last a tick longer. Without the function (Windows 7) the thread polls. */
static inline bool leat_os_word_wait_for_(_Atomic(uint32_t) *word, uint32_t old, int64_t ns)
{
    uintptr_t address = atomic_load_explicit(&leat_os_waits_, memory_order_relaxed); /* [X5] */
    int64_t ms = (ns - 1) / 1000000 + 1;
    uint32_t most = ns == LEAT_FOREVER ? UINT32_MAX /* INFINITE */ : ms > INT32_MAX ? INT32_MAX : (uint32_t)ms;
    if (!address) address = leat_os_look_up_(&leat_os_waits_, "kernelbase.dll", "WaitOnAddress");
    if (address != 1) return !((leat_os_wait_on_address_ *)address)(word, &old, sizeof old, most);
    leat_os_sleep_(1);
    return true;
}

/* Takes an address. The word may be gone. */
static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    uintptr_t address = atomic_load_explicit(&leat_os_wakes_, memory_order_relaxed); /* [X5] */
    if (!address) address = leat_os_look_up_(&leat_os_wakes_, "kernelbase.dll", "WakeByAddressSingle");
    if (address != 1) ((leat_os_wake_by_address_ *)address)(word);
}

/* A select of Winsock watches sockets, and a wait of the system watches handles. Neither can watch an int of the C
 * library. */
#define LEAT_OS_NO_FD_

/* Makes every thread of the process pass a full fence before it returns. */
LEAT_COLD_ bool leat_os_fence_all_(void)
{
    leat_os_flush_();
    return true;
}

/* How many CPUs this process may use: those of its affinity mask, but no more than the hard cap of its job object (a
 * container's quota) pays for. The cap is a share of all CPUs of the machine. The mask is that of one group of 64. It
 * is 0 if the program has put threads into several. */
LEAT_COLD_ int leat_os_cpus_(void)
{
    uintptr_t mask = 0, system = 0;
    uint32_t cap[2] = { 0, 0 }; /* flags: 1 enabled, 4 hard cap, 16 least and most. Then a share in 1/10000, the most in
                                 * the upper half if there are two */
    int cpus = 0, all = (int)leat_os_processors_(0xFFFF);
    leat_os_affinity_(leat_os_process_(), &mask, &system);
    for (; mask; mask &= mask - 1) cpus++;
    if (!cpus) cpus = all;
    if (leat_os_job_(NULL, 15, cap, sizeof cap, NULL) && cap[0] & 1 && cap[0] & (4 | 16)) {
        int64_t share = cap[0] & 16 ? cap[1] >> 16 : cap[1];
        int paid = (int)((share * all + 50) / 10000); /* to the nearest hundredth of a CPU: 2 of 3 CPUs are 6666 */
        if (paid < cpus) cpus = paid;
    }
    return cpus < 1 ? 1 : cpus;
}

static inline bool leat_os_one_cpu_(void)
{
    return leat_os_cpus_() == 1;
}

#else

#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#if defined __linux__
#include <fcntl.h>
#include <sys/syscall.h>
#elif defined __APPLE__
#include <Availability.h>
#elif defined __FreeBSD__
#include <sys/types.h>
#include <sys/umtx.h>
#elif defined __OpenBSD__
#include <sys/time.h>
#include <sys/futex.h>
#elif defined __NetBSD__
#include <sys/syscall.h>
#elif defined __EMSCRIPTEN__
#include <emscripten/emscripten.h>
#include <emscripten/threading.h>
#endif

/* How a thread waits. os_sync is Apple's public interface, which came with macOS 14.4 and iOS 17.4, and ulock what it is
 * made of. NetBSD has a futex since version 10. */
#if defined __APPLE__ && ((defined __MAC_OS_X_VERSION_MIN_REQUIRED && __MAC_OS_X_VERSION_MIN_REQUIRED >= 140400) || \
                          (defined __IPHONE_OS_VERSION_MIN_REQUIRED && __IPHONE_OS_VERSION_MIN_REQUIRED >= 170400))
#define LEAT_OS_SYNC_
#elif defined __APPLE__ && defined __MAC_OS_X_VERSION_MIN_REQUIRED && __MAC_OS_X_VERSION_MIN_REQUIRED >= 110000
#define LEAT_ULOCK_
#endif
#if defined LEAT_NO_FUTEX || \
    !(defined __linux__ || defined LEAT_OS_SYNC_ || defined LEAT_ULOCK_ || defined __FreeBSD__ || defined __OpenBSD__ || \
      (defined __NetBSD__ && defined SYS___futex) || defined __DragonFly__ || defined __EMSCRIPTEN__)
#define LEAT_PTHREAD_EVENT_
#elif !(defined __linux__ || defined __FreeBSD__ || defined __NetBSD__)
#define LEAT_RELATIVE_WAIT_
#endif
#if defined __linux__ && !defined LEAT_PTHREAD_EVENT_
#define LEAT_EVENTFD_
#include <sys/eventfd.h>
#else
#include <fcntl.h>
#include <pthread.h>
#endif

#ifdef __cplusplus
#define LEAT_C11_BEGIN_
#include "queue.h"
#endif

#if defined __EMSCRIPTEN__
#define LEAT_CLOCK_ 1 /* CLOCK_MONOTONIC, which strict C hides */
#define LEAT_COARSE_CLOCK_ 1
#elif defined __linux__
#define LEAT_CLOCK_ 1        /* CLOCK_MONOTONIC */
#define LEAT_COARSE_CLOCK_ 6 /* CLOCK_MONOTONIC_COARSE: at most 10 ms old, a quarter of the price */
#elif defined __APPLE__
#define LEAT_CLOCK_ CLOCK_UPTIME_RAW /* its CLOCK_MONOTONIC counts microseconds, and the time in which the machine sleeps */
#define LEAT_COARSE_CLOCK_ CLOCK_UPTIME_RAW
#else
#define LEAT_CLOCK_ CLOCK_MONOTONIC
#define LEAT_COARSE_CLOCK_ CLOCK_MONOTONIC
#endif

/* Strict -std=c11, or an older header, hides these functions. They are declared here under other names and with other
 * types. So no option of the C library (64-bit time on 32 bits) renames what the symbol stands for, and no declaration of
 * the user's is repeated. */
#if defined __APPLE__
#define LEAT_OS_SYMBOL_(name) __asm__("_" LEAT_OS_TEXT_(name))
#else
#define LEAT_OS_SYMBOL_(name) __asm__(LEAT_OS_TEXT_(name))
#endif
#define LEAT_OS_TEXT_(name) #name

#if defined __linux__

/* The time format of the symbol clock_gettime and of the system calls that do not have time64 in their name: two words.
 * Each has 64 bits on platforms that never had an older format. */
#if defined SYS_futex && defined SYS_clock_gettime && !(defined __x86_64__ && defined __ILP32__)
typedef long leat_os_word_;
#else
typedef int64_t leat_os_word_;
#endif
typedef struct leat_os_time_ {
    leat_os_word_ seconds_, ns_;
} leat_os_time_;

extern int leat_os_gettime_(int, leat_os_time_ *) LEAT_OS_SYMBOL_(clock_gettime);
extern long leat_os_syscall_(long, ...) LEAT_OS_SYMBOL_(syscall);

/* A system call. Returns its result, or a negative error, and leaves errno as it was. Only futex reads the last
 * argument. */
static inline long leat_os_call_(long number, long a, long b, long c, long d)
{
    int saved = errno;
    long r = leat_os_syscall_(number, a, b, c, d, 0L, -1L);
    if (r < 0) r = -errno;
    errno = saved;
    return r;
}

static inline int64_t leat_os_clock_(int id)
{
    leat_os_time_ t = { 0, 0 };
    leat_os_gettime_(id, &t);
    return (int64_t)t.seconds_ * 1000000000 + t.ns_;
}

#elif defined __EMSCRIPTEN__

static inline int64_t leat_os_clock_(int id)
{
    (void)id;
    return (int64_t)(emscripten_get_now() * 1e6);
}

#else

static inline int64_t leat_os_clock_(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#endif

static inline int64_t leat_os_now_(void)
{
    return leat_os_clock_(LEAT_CLOCK_);
}

static inline int64_t leat_os_coarse_now_(void)
{
    return leat_os_clock_(LEAT_COARSE_CLOCK_);
}

static inline void leat_os_yield_(void)
{
    sched_yield();
}

static inline void leat_os_pause_(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb" ::: "memory");
#elif defined __arm__ || defined __riscv || defined __EMSCRIPTEN__
    __asm__ volatile("" ::: "memory");
#endif
}

/* The whole seconds of a deadline. If they do not fit into a 32-bit long, the largest number that does: a timed wait may
 * end early. */
static inline long leat_os_seconds_(int64_t deadline)
{
    int64_t seconds = deadline / 1000000000;
    return sizeof(long) < 8 && seconds > INT32_MAX ? INT32_MAX : (long)seconds;
}

/* Each system brings a wait on a 32-bit word, and its wake. Part 1 ends with the events that are made of them.
 *
 *      int leat_os_word_wait_(word, old, deadline)   returns when the word is no longer `old`, at the deadline
 *                                                    (-ETIMEDOUT, exact), or for no reason (0)
 *      void leat_os_word_wake_(word)                 wakes one thread that waits there. It takes an address and does
 *                                                    not touch the word, which may be gone. A signal handler may call it
 *
 * Where a wait takes a duration and no deadline, the system defines LEAT_RELATIVE_WAIT_, and brings in place of the first
 *
 *      bool leat_os_word_wait_for_(word, old, ns)    LEAT_FOREVER: no time-out. False: the word is no longer `old`, or no
 *                                                    reason. True: the time may be up, or there was an error
 *
 * A system without such a wait has LEAT_PTHREAD_EVENT_, and brings the events. One without a descriptor that poll() can
 * watch has LEAT_OS_NO_FD_, and brings no leat_os_fd_. */
#ifdef LEAT_PTHREAD_EVENT_

#if defined __linux__ || defined __EMSCRIPTEN__
extern int leat_os_setclock_(pthread_condattr_t *, int) LEAT_OS_SYMBOL_(pthread_condattr_setclock);
#elif !defined __APPLE__
#define leat_os_setclock_ pthread_condattr_setclock
#endif

typedef struct leat_os_event_ {
    _Atomic(uint32_t) word_;
    pthread_mutex_t mutex_;
    pthread_cond_t cond_;
} leat_os_event_;

static inline void leat_os_init_(leat_os_event_ *e)
{
    atomic_init(&e->word_, 0);
    pthread_mutex_init(&e->mutex_, NULL);
#if defined __APPLE__ /* where a condition has no clock, but a timed wait may take a duration */
    pthread_cond_init(&e->cond_, NULL);
#else
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    leat_os_setclock_(&attr, LEAT_CLOCK_);
    pthread_cond_init(&e->cond_, &attr);
    pthread_condattr_destroy(&attr);
#endif
}

/* True: the deadline has passed. */
static inline bool leat_os_timed_wait_(leat_os_event_ *e, int64_t deadline)
{
#if defined __APPLE__
    int64_t left = deadline - leat_os_now_();
    struct timespec ts = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };
    if (left > 0) pthread_cond_timedwait_relative_np(&e->cond_, &e->mutex_, &ts);
    return leat_os_now_() >= deadline;
#else
    struct timespec ts = { .tv_sec = leat_os_seconds_(deadline), .tv_nsec = (long)(deadline % 1000000000) };
    return pthread_cond_timedwait(&e->cond_, &e->mutex_, &ts) == ETIMEDOUT;
#endif
}

static inline int leat_os_wait_(leat_os_event_ *e, uint32_t old, int64_t deadline)
{
    int err = 0, cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the waiter is on this stack */
    pthread_mutex_lock(&e->mutex_);
    if (atomic_load_explicit(&e->word_, memory_order_relaxed) == old) { /* [X3] the mutex orders it */
        if (deadline == LEAT_FOREVER) pthread_cond_wait(&e->cond_, &e->mutex_);
        else if (deadline <= 0 || leat_os_timed_wait_(e, deadline)) err = -ETIMEDOUT;
    }
    pthread_mutex_unlock(&e->mutex_);
    pthread_setcancelstate(cancel, &cancel);
    return err;
}

static inline bool leat_os_set_(leat_os_event_ *e, uint32_t value)
{
    pthread_mutex_lock(&e->mutex_);
    bool slept = atomic_load_explicit(&e->word_, memory_order_relaxed) & LEAT_ASLEEP_; /* [X3] the mutex orders it */
    atomic_store_explicit(&e->word_, value, memory_order_release);                     /* [S1] -> [S2] */
    pthread_cond_signal(&e->cond_);
    pthread_mutex_unlock(&e->mutex_);
    return slept;
}

static inline void leat_os_done_(leat_os_event_ *e)
{
    pthread_mutex_lock(&e->mutex_); /* now the thread that set the event has let go of it */
    pthread_mutex_unlock(&e->mutex_);
    pthread_cond_destroy(&e->cond_);
    pthread_mutex_destroy(&e->mutex_);
}

#elif defined __linux__

#if defined SYS_futex
#define LEAT_SYS_FUTEX_ SYS_futex
#else
#define LEAT_SYS_FUTEX_ SYS_futex_time64
#endif

static inline long leat_os_futex_(void *word, int op, uint32_t value, const void *deadline)
{
    return leat_os_call_(LEAT_SYS_FUTEX_, (long)word, op, (long)value, (long)deadline);
}

/* Where a sandbox refuses the futex, a wait polls every 100 us. If it refuses this sleep, too, the thread yields. */
LEAT_COLD_ void leat_os_short_sleep_(void)
{
    leat_os_time_ briefly = { 0, 100000 };
#if defined SYS_nanosleep
    long err = leat_os_call_(SYS_nanosleep, (long)&briefly, 0, 0, 0);
#else
    long err = leat_os_call_(SYS_clock_nanosleep_time64, LEAT_CLOCK_, 0, (long)&briefly, 0);
#endif
    if (err) leat_os_yield_();
}

static inline int leat_os_word_wait_(_Atomic(uint32_t) *word, uint32_t old, int64_t deadline)
{
    leat_os_time_ t = { leat_os_seconds_(deadline), (leat_os_word_)(deadline % 1000000000) };
    if (deadline <= 0) return -ETIMEDOUT;
    /* 137: FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG. It takes an absolute monotonic time. */
    long r = leat_os_futex_(word, 137, old, deadline == LEAT_FOREVER ? NULL : &t);
    if (r && r != -EAGAIN && r != -EINTR && r != -ETIMEDOUT) leat_os_short_sleep_();
    return r && leat_os_now_() >= deadline ? -ETIMEDOUT : 0; /* the clock decides, not a sandbox */
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    leat_os_futex_(word, 129, 1, NULL); /* FUTEX_WAKE, private: an address will do */
}

#elif defined LEAT_OS_SYNC_

extern int leat_os_sync_wait_(void *, uint64_t, size_t, uint32_t) LEAT_OS_SYMBOL_(os_sync_wait_on_address);
extern int leat_os_sync_wait_for_(void *, uint64_t, size_t, uint32_t, uint32_t, uint64_t)
    LEAT_OS_SYMBOL_(os_sync_wait_on_address_with_timeout);
extern int leat_os_sync_wake_(void *, size_t, uint32_t) LEAT_OS_SYMBOL_(os_sync_wake_by_address_any);

static inline bool leat_os_word_wait_for_(_Atomic(uint32_t) *word, uint32_t old, int64_t ns)
{
    int saved = errno;
    int r = ns == LEAT_FOREVER ? leat_os_sync_wait_(word, old, 4, 0)
                               : leat_os_sync_wait_for_(word, old, 4, 0, 32 /* OS_CLOCK_MACH_ABSOLUTE_TIME */, (uint64_t)ns);
    errno = saved;
    return r < 0;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    int saved = errno;
    leat_os_sync_wake_(word, 4, 0);
    errno = saved;
}

#elif defined LEAT_ULOCK_

extern int leat_os_ulock_wait_(uint32_t, void *, uint64_t, uint64_t, uint64_t) LEAT_OS_SYMBOL_(__ulock_wait2);
extern int leat_os_ulock_wake_(uint32_t, void *, uint64_t) LEAT_OS_SYMBOL_(__ulock_wake);
enum { LEAT_ULOCK_OP_ = 0x1000001 }; /* UL_COMPARE_AND_WAIT | ULF_NO_ERRNO: the error is the result */

static inline bool leat_os_word_wait_for_(_Atomic(uint32_t) *word, uint32_t old, int64_t ns)
{
    return leat_os_ulock_wait_(LEAT_ULOCK_OP_, word, old, ns == LEAT_FOREVER ? 0 : (uint64_t)ns, 0) < 0;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    leat_os_ulock_wake_(LEAT_ULOCK_OP_, word, 0);
}

#elif defined __FreeBSD__

static inline int leat_os_word_wait_(_Atomic(uint32_t) *word, uint32_t old, int64_t deadline)
{
    struct _umtx_time t = { ._flags = UMTX_ABSTIME, ._clockid = LEAT_CLOCK_ };
    int saved = errno;
    if (deadline <= 0) return -ETIMEDOUT;
    t._timeout.tv_sec = leat_os_seconds_(deadline);
    t._timeout.tv_nsec = (long)(deadline % 1000000000);
    int r = deadline == LEAT_FOREVER ? _umtx_op(word, UMTX_OP_WAIT_UINT_PRIVATE, old, NULL, NULL)
                                     : _umtx_op(word, UMTX_OP_WAIT_UINT_PRIVATE, old, (void *)sizeof t, &t);
    errno = saved;
    return r && leat_os_now_() >= deadline ? -ETIMEDOUT : 0;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    int saved = errno;
    _umtx_op(word, UMTX_OP_WAKE_PRIVATE, 1, NULL, NULL);
    errno = saved;
}

#elif defined __OpenBSD__

static inline bool leat_os_word_wait_for_(_Atomic(uint32_t) *word, uint32_t old, int64_t ns)
{
    struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = (long)(ns % 1000000000) };
    int saved = errno;
    int r = futex((volatile uint32_t *)word, FUTEX_WAIT_PRIVATE, (int)old, ns == LEAT_FOREVER ? NULL : &ts, NULL);
    errno = saved;
    return r != 0;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    int saved = errno;
    futex((volatile uint32_t *)word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL);
    errno = saved;
}

#elif defined __NetBSD__

static inline int leat_os_word_wait_(_Atomic(uint32_t) *word, uint32_t old, int64_t deadline)
{
    struct timespec ts = { .tv_sec = deadline / 1000000000, .tv_nsec = (long)(deadline % 1000000000) };
    int saved = errno;
    if (deadline <= 0) return -ETIMEDOUT;
    /* 137: FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG. It takes an absolute monotonic time. */
    int r = syscall(SYS___futex, word, 137, (int)old, deadline == LEAT_FOREVER ? NULL : &ts, NULL, 0, -1);
    errno = saved;
    return r && leat_os_now_() >= deadline ? -ETIMEDOUT : 0;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    int saved = errno;
    syscall(SYS___futex, word, 129, 1, NULL, NULL, 0, 0); /* FUTEX_WAKE, private */
    errno = saved;
}

#elif defined __DragonFly__

/* It takes a second at most, in microseconds, and 0 for ever. */
static inline bool leat_os_word_wait_for_(_Atomic(uint32_t) *word, uint32_t old, int64_t ns)
{
    int saved = errno, us = ns == LEAT_FOREVER ? 0 : ns >= 1000000000 ? 1000000 : (int)((ns + 999) / 1000);
    int r = umtx_sleep((volatile const int *)word, (int)old, us);
    errno = saved;
    return r != 0;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    int saved = errno;
    umtx_wakeup((volatile const int *)word, 1);
    errno = saved;
}

#elif defined __EMSCRIPTEN__

/* Not the plain instruction: this one also works on a browser's main thread, which may not sleep and which spawns the
 * threads of others. It does not change errno. */
static inline bool leat_os_word_wait_for_(_Atomic(uint32_t) *word, uint32_t old, int64_t ns)
{
    return emscripten_futex_wait(word, old, ns == LEAT_FOREVER ? __builtin_inf() : (double)ns / 1e6) == -ETIMEDOUT;
}

static inline void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    emscripten_futex_wake(word, 1);
}

#endif

#if defined __EMSCRIPTEN__
#define LEAT_OS_NO_FD_ /* its poll() does not wait */
#elif defined LEAT_EVENTFD_

/* What poll() can watch: ends[0] is readable from a leat_os_fd_write_(ends[1]) until leat_os_fd_reset_(ends[0]). make
 * returns 0 or a negative error. The descriptor is none of the three that a program may find closed when it starts, and
 * no other program inherits it. None of these calls blocks. Here it is an eventfd, and both ends are one. */
LEAT_COLD_ int leat_os_fd_make_(int ends[2])
{
#if defined SYS_fcntl64
    long dup_above = SYS_fcntl64;
#else
    long dup_above = SYS_fcntl;
#endif
    long fd = leat_os_call_(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0);
    if (fd >= 0 && fd < 3) {
        long low = fd;
        fd = leat_os_call_(dup_above, low, 1030, 3, 0); /* F_DUPFD_CLOEXEC */
        leat_os_call_(SYS_close, low, 0, 0, 0);
    }
    if (fd < 0) return (int)fd;
    ends[0] = ends[1] = (int)fd;
    return 0;
}

LEAT_COLD_ void leat_os_fd_write_(int end)
{
    uint64_t one = 1;
    leat_os_call_(SYS_write, end, (long)&one, sizeof one, 0);
}

LEAT_COLD_ void leat_os_fd_reset_(int end)
{
    uint64_t n;
    leat_os_call_(SYS_read, end, (long)&n, sizeof n, 0);
}

LEAT_COLD_ void leat_os_fd_close_(const int ends[2])
{
    leat_os_call_(SYS_close, ends[0], 0, 0, 0);
}

#else

/* What poll() can watch: ends[0] is readable from a leat_os_fd_write_(ends[1]) until leat_os_fd_reset_(ends[0]). make
 * returns 0 or a negative error. Neither end is one of the three descriptors that a program may find closed when it
 * starts, and neither is inherited by another program. None of these calls blocks. Here it is a pipe. */
LEAT_COLD_ int leat_os_fd_make_(int ends[2])
{
    int saved = errno, low[2] = { -1, -1 }, err = pipe(low) ? errno : 0, n = 0, cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* to close is a cancellation point */
    for (; n < 2 && !err; n++) {
        if ((ends[n] = fcntl(low[n], F_DUPFD, 3)) < 0) {
            err = errno;
            break;
        }
        (void)(fcntl(ends[n], F_SETFD, FD_CLOEXEC) | fcntl(ends[n], F_SETFL, O_NONBLOCK));
    }
    for (int i = 0; i < 2 && low[0] >= 0; i++) close(low[i]);
    while (err && n) close(ends[--n]);
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
    return -err;
}

LEAT_COLD_ void leat_os_fd_write_(int end)
{
    int saved = errno, cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    while (write(end, "", 1) < 0 && errno == EINTR) continue;
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
}

LEAT_COLD_ void leat_os_fd_reset_(int end)
{
    char c[8];
    int saved = errno, cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    while (read(end, c, sizeof c) > 0) continue;
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
}

LEAT_COLD_ void leat_os_fd_close_(const int ends[2])
{
    int saved = errno, cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    close(ends[0]);
    close(ends[1]);
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
}

#endif

/* Makes every thread of the process pass a full fence before it returns. False: there is no such call. */
LEAT_COLD_ bool leat_os_fence_all_(void)
{
#if defined __linux__ && defined SYS_membarrier /* 8: PRIVATE_EXPEDITED. 16: registers the process for it */
    return !leat_os_call_(SYS_membarrier, 8, 0, 0, 0) ||
           (!leat_os_call_(SYS_membarrier, 16, 0, 0, 0) && !leat_os_call_(SYS_membarrier, 8, 0, 0, 0));
#else
    return false;
#endif
}

#if defined __linux__

/* Reads a small file into buf, and ends the text with a 0. It does not use malloc, nor the C library's file functions,
 * in which a thread could be cancelled. */
LEAT_COLD_ bool leat_os_read_(const char *name, char *buf, size_t size)
{
    size_t n = 0;
#ifdef O_CLOEXEC
    int flags = O_RDONLY | O_CLOEXEC;
#else
    int flags = O_RDONLY; /* -std=c11 */
#endif
    memset(buf, 0, size);
    long fd = leat_os_call_(SYS_openat, -1, (long)name, flags, 0);
    if (fd < 0) return false;
    for (long k; n < size - 1 && (k = leat_os_call_(SYS_read, fd, (long)(buf + n), (long)(size - 1 - n), 0)) > 0;)
        n += (size_t)k;
    leat_os_call_(SYS_close, fd, 0, 0, 0);
    return true;
}

/* The CPU quota of one cgroup, in hundredths of a CPU. 0: it has none. cgroup v2 has "quota period" or "max period" in
 * one file. v1 has two files. */
LEAT_COLD_ long leat_os_quota_of_(const char *quota_file, const char *period_file)
{
    long quota = -1, period = 100000;
    char text[64];
    if (!leat_os_read_(quota_file, text, sizeof text)) return 0;
    if (sscanf(text, "%ld %ld", &quota, &period) == 1 && period_file && leat_os_read_(period_file, text, sizeof text))
        period = atol(text);
    if (quota <= 0 || period <= 0) return 0;
    return quota < period / 100 ? 1 : quota / (period / 100 ? period / 100 : 1);
}

/* The least CPU quota of this process's cgroup and of those around it, in hundredths of a CPU. 0: there is none. `proc`
 * is /proc/self/cgroup and `sys` is /sys/fs/cgroup (tests pass their own). */
LEAT_COLD_ long leat_os_quota_(const char *proc, const char *sys)
{
    char text[4096], file[2][800], group[512], kind[66];
    long least = 0;
    if (!leat_os_read_(proc, text, sizeof text)) return 0;
    for (char *line = text, *next; line; line = next) {
        if ((next = strchr(line, '\n')) != NULL) *next++ = 0;
        bool v2 = sscanf(line, "0::%511[^\n]", group) == 1;
        bool v1 = !v2 && sscanf(line, "%*d:%63[^:]:%511[^\n]", kind + 1, group) == 2;
        if (v1) {
            kind[0] = ',';
            strcat(kind, ",");
            v1 = strstr(kind, ",cpu,") != NULL;
        }
        if (!v1 && !v2) continue;
        for (;;) { /* this group, then each that encloses it, then the root */
            size_t n = strlen(group);
            while (n && group[n - 1] == '/') group[--n] = 0;
            snprintf(file[0], sizeof file[0], "%s%s%s/%s", sys, v2 ? "" : "/cpu", group,
                     v2 ? "cpu.max" : "cpu.cfs_quota_us");
            snprintf(file[1], sizeof file[1], "%s/cpu%s/cpu.cfs_period_us", sys, group);
            long quota = leat_os_quota_of_(file[0], v2 ? NULL : file[1]);
            if (quota && (!least || quota < least)) least = quota;
            char *slash = strrchr(group, '/');
            if (!slash) break;
            *slash = 0;
        }
    }
    return least;
}

/* This process's quota as it was read last. Its files are opened before main, and by leat_cpus, but never by a wait,
 * because a wait may run in a sandbox that kills the process for opening a file. */
LEAT_ONE_OF_(_Atomic(long), leat_quota_); /* hundredths of a CPU; LONG_MAX: none; 0: not read yet */
#ifdef __cplusplus
#define leat_quota_ LEAT_ONE_AS_(leat_atomic_<long>, leat_quota_)
#endif

LEAT_COLD_ long leat_os_quota_now_(void)
{
    int saved = errno;
    long quota = 0;
#ifndef LEAT_NO_QUOTA
    quota = leat_os_quota_("/proc/self/cgroup", "/sys/fs/cgroup");
#endif
    errno = saved;
    atomic_store_explicit(&leat_quota_, quota ? quota : LONG_MAX, memory_order_relaxed); /* [X5] */
    return quota;
}

#if defined __GNUC__ && !defined LEAT_NO_QUOTA
__attribute__((constructor)) LEAT_COLD_ void leat_os_begin_(void)
{
    if (!atomic_load_explicit(&leat_quota_, memory_order_relaxed)) leat_os_quota_now_(); /* [X5] once per program */
}
#endif

/* How many CPUs this process may use: those that its main thread or the calling thread may run on, but no more than the
 * cgroup quota pays for (rounded down, at least 1). */
LEAT_COLD_ int leat_os_cpus_(void)
{
    unsigned long set[2][128] = { { 0 } };
    long quota = leat_os_quota_now_();
    int cpus = 0;
    leat_os_call_(SYS_sched_getaffinity, getpid(), sizeof set[0], (long)set[0], 0);
    leat_os_call_(SYS_sched_getaffinity, 0, sizeof set[1], (long)set[1], 0);
    for (size_t i = 0; i < 128; i++)
        for (unsigned long both = set[0][i] | set[1][i]; both; both &= both - 1) cpus++;
    if (quota && quota / 100 < cpus) cpus = (int)(quota / 100);
    return cpus < 1 ? 1 : cpus;
}

/* Whether this process may use only one CPU. A thread asks this before it waits, so it opens no file and needs little
 * stack. On a machine with more than 1024 CPUs only the quota is known. */
LEAT_COLD_ bool leat_os_one_cpu_(void)
{
    unsigned long set[128 / sizeof(long)], word = 0;
    unsigned n = sizeof set / sizeof *set, at = n;
    long quota = atomic_load_explicit(&leat_quota_, memory_order_relaxed); /* [X5] */
    if (quota && quota < 200) return true;
    for (long pid = getpid();; pid = 0) {
        memset(set, 0, sizeof set);
        leat_os_call_(SYS_sched_getaffinity, pid, sizeof set, (long)set, 0);
        for (unsigned i = 0; i < n; i++) {
            if (!set[i]) continue;
            if (at != i && at != n) return false;
            at = i;
            word |= set[i];
        }
        if (!pid) return word && !(word & (word - 1));
    }
}

#else

LEAT_COLD_ int leat_os_cpus_(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (int)n;
}

static inline bool leat_os_one_cpu_(void)
{
    return leat_os_cpus_() == 1;
}

#endif
#endif /* LEAT_CUSTOM_OS */

#ifdef LEAT_OS_NO_FD_

/* What poll() can watch: there is nothing. */
LEAT_COLD_ int leat_os_fd_make_(int ends[2])
{
    (void)ends;
    return -ENOSYS;
}

LEAT_COLD_ void leat_os_fd_write_(int end)
{
    (void)end;
}

LEAT_COLD_ void leat_os_fd_reset_(int end)
{
    (void)end;
}

LEAT_COLD_ void leat_os_fd_close_(const int ends[2])
{
    (void)ends;
}

#endif

#ifndef LEAT_OS_ALIGNED_
#define LEAT_OS_ALIGNED_ _Alignof(max_align_t) /* bytes that malloc and calloc align to */
#endif

#ifdef LEAT_RELATIVE_WAIT_

/* What is left until a deadline. At most 0: it has passed. */
static inline int64_t leat_os_left_(int64_t deadline)
{
    return deadline <= 0 || deadline == LEAT_FOREVER ? deadline : deadline - leat_os_now_();
}

/* The clock decides whether the deadline has passed. A wait may end early, where a tick or a rounding ends it. */
static inline int leat_os_word_wait_(_Atomic(uint32_t) *word, uint32_t old, int64_t deadline)
{
    int64_t left = leat_os_left_(deadline), most = LEAT_S(86400); /* a day: no system's largest duration is shorter */
    if (left > most && left != LEAT_FOREVER) left = most;
    if (left > 0 && leat_os_word_wait_for_(word, old, left)) left = leat_os_left_(deadline);
    return left > 0 ? 0 : -ETIMEDOUT;
}

#endif

/* An event is a 32-bit word that one thread T waits on: 29 bits that are 0, ASLEEP (4), and two bits for a state (part 3).
 * leat_os_set_ stores a new value. If the old value had the bit LEAT_ASLEEP_, it wakes T and returns true. T may then
 * return, and its stack frame with the event may be gone, so leat_os_set_ must not touch the event again. leat_os_wait_
 * returns when the value is no longer `old`, at the deadline (-ETIMEDOUT), or for no reason (0). After its last wait, T
 * calls leat_os_done_. */
#ifndef LEAT_PTHREAD_EVENT_

typedef struct leat_os_event_ {
    _Atomic(uint32_t) word_;
} leat_os_event_;

static inline void leat_os_init_(leat_os_event_ *e)
{
    atomic_init(&e->word_, 0);
}

static inline int leat_os_wait_(leat_os_event_ *e, uint32_t old, int64_t deadline)
{
    return leat_os_word_wait_(&e->word_, old, deadline);
}

static inline bool leat_os_set_(leat_os_event_ *e, uint32_t value)
{
    uint32_t old = atomic_exchange_explicit(&e->word_, value, memory_order_release); /* [S1] -> [S2] */
    if (!(old & LEAT_ASLEEP_)) return false;
    leat_os_word_wake_(&e->word_);
    return true;
}

static inline void leat_os_done_(leat_os_event_ *e)
{
    (void)e;
}

#endif

/* The number of CPUs that this process can use now, at least 1. Affinity and cgroup quota count, not only the
 * processors of the machine. Reads files and needs 8 KB of stack, so it is for sizing, not for loops. */
LEAT_HOT_ int leat_cpus(void)
{
    return leat_os_cpus_();
}

/* What an error of leat means, in a few words. `err` is what a call returned. Never NULL. The text is a constant, not
 * to be freed. */
LEAT_COLD_ const char *leat_strerror(int err)
{
    switch (err > 0 ? -err : err) {
    case 0: return "success";
    case -EAGAIN: return "would have to wait, or no thread could be made";
    case -EPIPE: return "closed";
    case -ECANCELED: return "cancelled";
    case -ETIMEDOUT: return "deadline passed";
    case -ESHUTDOWN: return "stopped, nothing more is accepted";
    case -EALREADY: return "done before";
    case -EDEADLK: return "would wait for ever";
    case -EOVERFLOW: return "released more than was acquired";
    case -EINVAL: return "invalid argument";
    case -ENOMEM: return "out of memory";
    case -E2BIG: return "value too large for its place";
    case -ENOENT: return "not a subscriber";
    case -EINTR: return "the task ended its thread";
    case -EFAULT: return "the task threw an exception";
    case -EMFILE: return "the process has no descriptor left";
    case -ENFILE: return "the system has no descriptor left";
    case -ENOSYS: return "the system cannot do it";
    default: return "error of the program's own";
    }
}

/* The monotonic clock, in nanoseconds. */
LEAT_HOT_ int64_t leat_now(void)
{
    return leat_os_now_();
}

/* The absolute time `duration` nanoseconds from now. A negative duration gives a time in the past. One that is too long
 * gives LEAT_FOREVER. */
LEAT_HOT_ int64_t leat_after(int64_t duration)
{
    int64_t now = leat_os_now_();
    return duration > LEAT_FOREVER - now ? LEAT_FOREVER : now + duration;
}

/* ==== 2. Spinning =============================================================================
 *
 * How long a thread that waits stays awake, and what it does meanwhile. Nothing else in leat pauses or yields.
 *
 *      leat_spin_ spin = LEAT_SPIN_;                            a wait begins
 *      while (!ready && leat_spin_again_(&spin, NULL, 0));      pauses between two polls; false: it is time to park
 *      leat_spin_end_(&spin);                                   the thread got what it waited for while it was awake
 *
 * First a thread glances: it makes 1, 2, 4 .. 64 pauses between its polls, a few microseconds in all. Then it may spin
 * on, for twice as long as it takes to be woken. To spin for as long as a sleep would cost is never much worse than the
 * best choice (Karlin, Manasse, McGeoch and Owicki, 1991). Twice that time also keeps two threads awake that answer
 * each other, even where one of them has just been asleep: its answer takes a wake and a little more.
 *
 * Each thread learns whether it is worth it to spin on. Its doubt is a number, at most 255, and it spins on with a
 * chance of 1 in doubt + 1. A thread that spins on and then parks raises its doubt: 1, 3, 7 .. 255. A thread whose wait
 * ended while it spun on sets its doubt to 0. A thread whose wait ended with a glance lowers its doubt. Where the
 * machine is busy, or has fewer CPUs than there are threads, the other side may get a CPU only when this thread sleeps.
 * There next to no time is spent on spinning, and a thread whose doubt is full even glances fewer times. And where two
 * threads sleep in turn, one lucky spin brings both out of it.
 *
 * What counts is whether spinning has ended the wait, not how long the wait took. That time would contain the thread's
 * own spinning, and the thread would learn from itself. docs/waiting.md says what each part of this is worth. */

enum {
    LEAT_GLANCES_ = 7, /* rounds of pauses, each twice as long as the one before */
    LEAT_AWAY_ = 32,   /* pauses, about a microsecond: between polls when a thread spins on, and to linger. Also slots: the
                        * least ring in which a thread lingers */
    LEAT_DOUBT_ = 255, /* the most that a thread's doubt can be: it spins on once in 256 waits */
};
#ifndef LEAT_WAKE_             /* tests want it shorter */
#define LEAT_WAKE_ LEAT_US(50) /* ns that a wake takes: the first value, and the largest */
#endif

/* Whether spinning pays. On one usable CPU no other thread can answer meanwhile. CPUs come and go, so a thread that has
 * glanced counts them again after 100 ms. A thread that must not spin counts them too, before it parks. */
LEAT_ONE_OF_(_Atomic(int64_t), leat_spins_); /* when a thread last counted, ns; lowest bit: spinning pays; 0: never */
#ifdef __cplusplus
#define leat_spins_ LEAT_ONE_AS_(leat_atomic_<int64_t>, leat_spins_)
#endif

LEAT_COLD_ bool leat_look_at_cpus_(int64_t now)
{
    int64_t seen = atomic_load_explicit(&leat_spins_, memory_order_relaxed); /* [X5] */
    if (!seen || now - (seen & ~INT64_C(1)) >= LEAT_MS(100)) {
        seen = (now & ~INT64_C(1)) + !leat_os_one_cpu_();
        atomic_store_explicit(&leat_spins_, seen, memory_order_relaxed); /* [X5] */
    }
    return seen & 1;
}

static inline bool leat_spin_pays_(void)
{
#ifdef LEAT_WITHOUT_SPIN /* the benchmark leaves parts out to see what each is worth */
    return false;
#endif
    return LEAT_USUALLY_(atomic_load_explicit(&leat_spins_, memory_order_relaxed) & 1) || /* [X5] */
           leat_look_at_cpus_(leat_os_coarse_now_());
}

/* How long it takes to be woken, in ns: the least of the recent times. A wake that took longer had to wait for a CPU, too. A
 * floor keeps out times near nothing. Those come from threads that had set ASLEEP and did not sleep yet. */
LEAT_ONE_OF_(_Atomic(uint32_t), leat_wake_takes_); /* LEAT_WAKE_ minus that time, in nanoseconds. 0 at first */
#ifdef __cplusplus
#define leat_wake_takes_ LEAT_ONE_AS_(leat_atomic_<uint32_t>, leat_wake_takes_)
#endif

static inline int64_t leat_wake_cost_(void)
{
    return LEAT_WAKE_ - (int64_t)atomic_load_explicit(&leat_wake_takes_, memory_order_relaxed); /* [X5] */
}

LEAT_COLD_ void leat_wake_took_(int64_t ns)
{
    int64_t cost = leat_wake_cost_(), more = cost + cost / 64 + 1;
    cost = ns < cost ? ns : more < LEAT_WAKE_ ? more : LEAT_WAKE_;
    if (cost < LEAT_WAKE_ / 16) cost = LEAT_WAKE_ / 16;
    atomic_store_explicit(&leat_wake_takes_, (uint32_t)(LEAT_WAKE_ - cost), memory_order_relaxed); /* [X5] */
}

/* A random number below n (Marsaglia's xorshift; Lemire's reduction). */
LEAT_WRAPS_ static inline uint32_t leat_random_(uint32_t n)
{
    static _Thread_local uint32_t x;
    if (!x) x = (uint32_t)(((uint64_t)leat_now() ^ (uintptr_t)&x) * UINT64_C(0x9E3779B97F4A7C15) >> 32) | 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return (uint32_t)((uint64_t)x * n >> 32);
}

LEAT_ONE_ _Thread_local uint32_t leat_doubt_; /* 0 to LEAT_DOUBT_. Its address also stands for its thread (LEAT_DEBUG) */

typedef struct leat_spin_ {
    unsigned round_;  /* polls so far */
    unsigned pauses_; /* between two polls when it spins on; 0: it yields */
    int64_t until_;   /* when to stop spinning on, in ns; 0: it does not spin on yet */
} leat_spin_;

/* LEAT_SPIN_: how a wait begins. LEAT_SPIN_WOKEN_: how it goes on after a thread T was woken and found nothing, because
 * other threads were faster. T yields between its polls: a yield costs T nothing, and T may be keeping one of those
 * threads from running. */
/* clang-format off */
#define LEAT_SPIN_ { .pauses_ = LEAT_AWAY_ }
/* clang-format on */
#ifdef LEAT_WITHOUT_YIELD
/* clang-format off */
#define LEAT_SPIN_WOKEN_ { .round_ = LEAT_GLANCES_, .pauses_ = LEAT_AWAY_ }
/* clang-format on */
#else
/* clang-format off */
#define LEAT_SPIN_WOKEN_ { .round_ = LEAT_GLANCES_ }
/* clang-format on */
#endif

/* Pauses `pauses` times. Stops early and returns true when *word is no longer `seen`. `word` may be NULL. */
LEAT_COLD_ bool leat_pause_(unsigned pauses, _Atomic(uint64_t) *word, uint64_t seen)
{
    for (; pauses; pauses--) {
        leat_os_pause_();
        if (word && atomic_load_explicit(word, memory_order_relaxed) != seen) return true; /* [X5] */
    }
    return false;
}

static inline void leat_spin_failed_(void)
{
    leat_doubt_ = leat_doubt_ < LEAT_DOUBT_ ? 2 * leat_doubt_ + 1 : LEAT_DOUBT_;
}

/* Whether the thread is to spin on after its glances. */
LEAT_COLD_ bool leat_spin_on_(leat_spin_ *s)
{
    int64_t now = leat_os_now_();
#ifdef LEAT_WITHOUT_DOUBT
    return false;
#endif
    if (!leat_look_at_cpus_(now) || (leat_doubt_ && leat_random_(leat_doubt_ + 1))) return false;
    s->until_ = now + 2 * leat_wake_cost_();
    return true;
}

/* Pauses until the next poll is due, or until *word (if not NULL) is no longer `seen`. False: it is time to park. As a
 * count of polls, a tenth of LEAT_WAKE_ is 5000. */
LEAT_COLD_ bool leat_spin_again_(leat_spin_ *s, _Atomic(uint64_t) *word, uint64_t seen)
{
    if (!leat_spin_pays_()) return false;
    unsigned round = s->round_++;
#ifdef LEAT_WITHOUT_HASTE
    unsigned glances = LEAT_GLANCES_;
#else
    unsigned glances = leat_doubt_ < LEAT_DOUBT_ ? LEAT_GLANCES_ : LEAT_GLANCES_ / 2;
#endif
    if (round < glances) {
        leat_pause_(1u << round, word, seen);
        return true;
    }
    if (!s->until_) {
        if (!leat_spin_on_(s)) return false;
    } else if (leat_os_now_() >= s->until_ || round > LEAT_WAKE_ / 10) { /* the clock may stand still */
        leat_spin_failed_();
        return false;
    }
    if (s->pauses_) leat_pause_(s->pauses_, word, seen);
    else leat_os_yield_();
    return true;
}

/* The wait is over, and the thread did not have to park. If a spin lasted past its own limit, the thread had lost its
 * CPU, and a sleep would have been as quick: it counts as a spin that failed. */
LEAT_COLD_ void leat_spin_end_(const leat_spin_ *s)
{
    if (s->until_ && leat_os_now_() >= s->until_) leat_spin_failed_();
    else if (s->until_) leat_doubt_ = 0;
    else if (s->round_ && s->round_ < LEAT_GLANCES_) leat_doubt_ -= (leat_doubt_ + 3) / 4;
}

/* Pacing. A thread that comes back for each single slot fights with the other side for the slot's cache line at every
 * message, or keeps a CPU from receivers that have work to do. So in a ring of some size a thread waits for several
 * slots, by the clock. Each side learns one number, its pace: how many nanoseconds the other side takes for a slot.
 *
 * Lingering, in a ring of 32 slots (LEAT_AWAY_) or more: the thread does not poll for a microsecond. A sender loses
 * nothing by that. A receiver lingers while its pace says that it will then find four messages. Else it lingers only one
 * time in 256, because a receiver that waits for an answer gains nothing.
 * Resting, for a sender into a ring of 256 slots or more whose receivers take 250 ns or more for a slot: the sender
 * sleeps until an eighth of the ring should have been received. It rests only if that takes longer than to be woken
 * twice, and for a millisecond at most.
 * A pace falls at once, and at most doubles at each step: a wait that took far longer than usual only says that another
 * process had the CPU. */
#ifndef LEAT_RESTS_                  /* tests set it lower */
#define LEAT_RESTS_ (8 * LEAT_AWAY_) /* the least capacity, in slots */
#define LEAT_REST_ LEAT_MS(1)        /* the longest rest, in ns */
#define LEAT_PACE_ 0                 /* ns for a slot, added to the pace that a sender has learned */
#endif
#define LEAT_QUICK_ 250 /* nanoseconds for a slot: four in a microsecond */

/* Learns the pace from a wait that took `took` nanoseconds, until `slots` slots were there. */
static inline void leat_pace_learn_(_Atomic(uint32_t) *pace, int64_t took, uint64_t slots)
{
    int64_t usual = atomic_load_explicit(pace, memory_order_relaxed); /* [X5] */
    int64_t now = slots > 1 ? took / (int64_t)slots : took, most = 2 * usual + 16;
    if (most > INT32_MAX) most = INT32_MAX;
    if (now > most) now = most;
    if (now / 4 != usual / 4) atomic_store_explicit(pace, (uint32_t)now, memory_order_relaxed); /* [X5] */
}

static inline bool leat_pace_lingers_(_Atomic(uint32_t) *pace)
{
    return atomic_load_explicit(pace, memory_order_relaxed) < LEAT_QUICK_ || !leat_random_(LEAT_DOUBT_ + 1); /* [X5] */
}

/* How many nanoseconds a sender rests for `slots` slots. 0: it does not rest. */
static inline int64_t leat_pace_rest_(_Atomic(uint32_t) *pace, uint64_t slots)
{
#ifdef LEAT_WITHOUT_REST
    return 0;
#endif
    int64_t one = LEAT_PACE_ + (int64_t)atomic_load_explicit(pace, memory_order_relaxed); /* [X5] */
    if (one < LEAT_QUICK_) return 0;
    int64_t rest = slots <= (uint64_t)(LEAT_REST_ / one) ? (int64_t)slots * one : LEAT_REST_;
    return rest < 2 * leat_wake_cost_() ? 0 : rest;
}

/* The back-off of a thread that waits for something which another thread is about to finish. It makes pauses that
 * double, then up to 16 yields, until one takes 50 us, then sleeps that grow to a millisecond. So no core is kept busy
 * while the other thread is preempted. */
enum { LEAT_PAUSES_ = 7, LEAT_YIELDS_ = 16, LEAT_ROUNDS_ = LEAT_PAUSES_ + LEAT_YIELDS_ }; /* rounds of each, and of both */

LEAT_COLD_ void leat_backoff_(unsigned *round)
{
    unsigned r = *round;
    if (r < LEAT_PAUSES_) {
        for (unsigned i = 0; i < 1u << r; i++) leat_os_pause_();
    } else if (r < LEAT_ROUNDS_) {
        int64_t since = leat_os_now_();
        leat_os_yield_();
        if (leat_os_now_() - since < LEAT_US(50)) ++*round;
        else *round = LEAT_ROUNDS_;
        return;
    } else {
        unsigned nth = r - LEAT_ROUNDS_ + 1;
        leat_os_event_ never;
        leat_os_init_(&never);
        leat_os_wait_(&never, 0, leat_after(nth < 20 ? LEAT_US(50) * nth : LEAT_MS(1)));
        leat_os_done_(&never);
    }
    ++*round;
}

/* ==== 3. Parking ==============================================================================
 *
 * A thread that must park makes a waiter on its stack. The waiter has one node in each wait queue from which a thread
 * may wake it: in its channel's (for a select, in one for each case), in its context's, and in those of the ancestors.
 *
 *      WAITING --resolve--> RESOLVED --wake--> WOKEN     by the thread that ends the wait
 *         `----resolve--------------------------> LEFT   by its own thread: the deadline passed, or no need to park
 *
 * Once the thread no longer spins, the bit ASLEEP stands beside WAITING or RESOLVED. A waiter that only one thread can
 * wake skips RESOLVED, and is in no queue of this file: those of a group's threads (pool.h).
 *
 * I1  Nodes are enqueued and waiters resolved under the lock that guards the queue. (A thread needs no lock to move its
 *     own waiter to LEFT.) No thread parks unless it has checked the condition under that lock, after it had set the bit
 *     that calls for a wake: WAITERS in a channel (part 5). A context has none, as a cancel always looks at the queue.
 * I2  A waiter is resolved once and for all: the node by which it is resolved leaves its queue, and a wake always
 *     follows. Until that wake, the waiter and its message buffer belong to the thread that resolved it, which may have
 *     dropped the lock already. The waiter's other nodes stay until its own thread dequeues them.
 * I3  A thread that has woken a waiter touches nothing of it afterwards: the waiter lies on a stack that may be
 *     gone. */

enum { LEAT_WAITING_ = 0, LEAT_RESOLVED_ = 1, LEAT_WOKEN_ = 2, LEAT_LEFT_ = 3 };

typedef _Atomic(uint32_t) leat_lock_; /* 1: held. A thread that finds it held backs off and tries again */

typedef struct leat_waiter_ {
    leat_os_event_ state_;   /* its word is one of the four states, and perhaps ASLEEP */
    int fd_;                 /* a pollable's: what to write to when it is woken (part 7). 0: a thread's */
    struct leat_node_ *won_; /* the node by which it was resolved. Read it once WOKEN */
    int64_t resolved_at_;    /* when, in ns, if its thread was ASLEEP then; else 0 */
} leat_waiter_;

typedef struct leat_node_ {
    struct leat_node_ *next_, *prev_;
    leat_waiter_ *waiter_;
    void *msg_; /* a rendezvous copies the message to or from here */
    int err_;   /* how the wait ended: LEAT_HANDED_OFF_ (part 5) or an error. 0: poll again */
    bool linked_;
} leat_node_;

typedef struct leat_waitq_ {
    leat_node_ *first_, *last_;
} leat_waitq_;

static inline void leat_lock_take_(leat_lock_ *lock)
{
    for (unsigned round = 0;; leat_backoff_(&round))
        if (!atomic_exchange_explicit(lock, 1, memory_order_acquire)) return; /* [L2] <- [L1] */
}

static inline void leat_lock_drop_(leat_lock_ *lock)
{
    atomic_store_explicit(lock, 0, memory_order_release); /* [L1] -> [L2] */
}

/* The caller of a function that takes a wait queue holds the lock that guards the queue. */
static inline void leat_enqueue_(leat_waitq_ *list, leat_node_ *l)
{
    l->next_ = NULL;
    l->prev_ = list->last_;
    *(list->last_ ? &list->last_->next_ : &list->first_) = l;
    list->last_ = l;
    l->linked_ = true;
}

static inline void leat_enqueue_front_(leat_waitq_ *list, leat_node_ *l)
{
    l->prev_ = NULL;
    l->next_ = list->first_;
    *(list->first_ ? &list->first_->prev_ : &list->last_) = l;
    list->first_ = l;
    l->linked_ = true;
}

static inline void leat_dequeue_(leat_waitq_ *list, leat_node_ *l)
{
    *(l->prev_ ? &l->prev_->next_ : &list->first_) = l->next_;
    *(l->next_ ? &l->next_->prev_ : &list->last_) = l->prev_;
    l->linked_ = false;
}

static inline bool leat_is_waiting_(leat_waiter_ *w)
{
    uint32_t s = atomic_load_explicit(&w->state_.word_, memory_order_acquire); /* [D2] <- [D1] */
    return (s & ~LEAT_ASLEEP_) == LEAT_WAITING_;
}

static inline bool leat_is_woken_(leat_waiter_ *w)
{
    uint32_t s = atomic_load_explicit(&w->state_.word_, memory_order_relaxed); /* [X5] leat_park_ reads it again */
    return (s & ~LEAT_ASLEEP_) == LEAT_WOKEN_;
}

static inline bool leat_is_asleep_(leat_waiter_ *w)
{
    return atomic_load_explicit(&w->state_.word_, memory_order_relaxed) & LEAT_ASLEEP_; /* [X3] */
}

/* Spins until the waiter is woken, or until it is time to park. */
static inline void leat_spin_until_woken_(leat_waiter_ *w, leat_spin_ *spin)
{
    while (!leat_is_woken_(w) && leat_spin_again_(spin, NULL, 0)) continue; /* RESOLVED: a wake is in flight */
    if (leat_is_woken_(w)) leat_spin_end_(spin);
}

/* A wake of this waiter begins. If its thread is asleep, leat_park_ will learn what the wake takes. */
static inline void leat_wake_begins_(leat_waiter_ *w)
{
    if (leat_is_asleep_(w)) w->resolved_at_ = leat_os_now_();
}

/* Moves a waiter out of WAITING, for good. True: the caller has won the waiter, and decides how its wait ends. */
static inline bool leat_resolve_(leat_waiter_ *w, uint32_t state)
{
    uint32_t s = atomic_load_explicit(&w->state_.word_, memory_order_relaxed); /* [X3] */
    while ((s & ~LEAT_ASLEEP_) == LEAT_WAITING_)
        if (atomic_compare_exchange_weak_explicit(&w->state_.word_, &s, state | (s & LEAT_ASLEEP_),
                                                  memory_order_release, /* [D1] -> [D2] */
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* Resolves a waiter by its node l, and dequeues l. True: the wait ends with `err`, and the caller has to wake it. */
static inline bool leat_resolve_node_(leat_waitq_ *list, leat_node_ *l, int err)
{
    if (!leat_resolve_(l->waiter_, LEAT_RESOLVED_)) return false;
    leat_dequeue_(list, l);
    l->err_ = err;
    l->waiter_->won_ = l;
    leat_wake_begins_(l->waiter_);
    return true;
}

/* Resolves the first waiter in a queue that is still WAITING. Returns its node, or NULL if there is none. */
LEAT_COLD_ leat_node_ *leat_resolve_first_(leat_waitq_ *list, int err)
{
    leat_node_ *l = list->first_;
    while (l && !leat_resolve_node_(list, l, err)) l = l->next_;
    return l;
}

/* The same for all of them. Appends their nodes to the chain that ends at *end, and returns the chain's new end. */
LEAT_COLD_ leat_node_ **leat_resolve_all_(leat_waitq_ *list, int err, leat_node_ **end)
{
    for (leat_node_ *l = list->first_, *next; l; l = next) {
        next = l->next_;
        if (!leat_resolve_node_(list, l, err)) continue;
        l->next_ = NULL;
        *end = l;
        end = &l->next_;
    }
    return end;
}

/* Wakes the waiter that was resolved by node l. Afterwards both may be gone (I3). So a pollable's descriptor is written
 * to first: once it is WOKEN, it may be closed. */
static inline void leat_wake_(leat_node_ *l)
{
    if (LEAT_RARELY_(l->waiter_->fd_)) leat_os_fd_write_(l->waiter_->fd_);
    leat_os_set_(&l->waiter_->state_, LEAT_WOKEN_);
}

LEAT_COLD_ void leat_wake_all_(leat_node_ *chain)
{
    for (leat_node_ *next; chain; chain = next) {
        next = chain->next_;
        leat_wake_(chain);
    }
}

/* Parks the thread until its waiter is woken (0), or until the deadline passes and no thread has resolved the waiter
 * (-ETIMEDOUT). Once it is resolved, a wake is in flight, and the thread waits for that beyond the deadline (I2). */
LEAT_COLD_ int leat_park_(leat_waiter_ *w, int64_t deadline)
{
    for (;;) {
        uint32_t s = atomic_load_explicit(&w->state_.word_, memory_order_acquire); /* [S2] <- [S1] */
        if ((s & ~LEAT_ASLEEP_) == LEAT_WOKEN_) {
            if (w->resolved_at_) leat_wake_took_(leat_os_now_() - w->resolved_at_);
            return 0;
        }
        if (!(s & LEAT_ASLEEP_)) atomic_fetch_or_explicit(&w->state_.word_, LEAT_ASLEEP_, memory_order_relaxed); /* [X3] */
        else if (leat_os_wait_(&w->state_, s, leat_is_waiting_(w) ? deadline : LEAT_FOREVER) && leat_resolve_(w, LEAT_LEFT_))
            return -ETIMEDOUT;
    }
}

/* ==== 4. Contexts =============================================================================
 *
 * A context lives on a stack and needs no destructor. All-zero is valid: never done. A call under a context checks that
 * context and all its ancestors. Before the thread parks, it enqueues a node in the wait queue of each. So a cancel
 * wakes exactly the threads that wait under it, and a child that goes out of scope leaves nothing behind. */

typedef struct leat_ctx {
    struct leat_ctx *parent_;
    int64_t deadline_;       /* absolute, in ns; 0: none */
    _Atomic(uint64_t) word_; /* cause << 32 | the bits below */
    leat_lock_ lock_;        /* guards waiters_ */
    leat_waitq_ waiters_;
} leat_ctx;

#define LEAT_CANCELLING_ 1u /* no thread parks any more; waiters are being resolved */
#define LEAT_CANCELLED_ 2u
#define LEAT_TIMED_OUT_ 4u
#define LEAT_DONE_ (LEAT_CANCELLED_ | LEAT_TIMED_OUT_)

/* A context under `parent` (or NULL). Initialisers, for a declaration: leat_ctx c = LEAT_CTX(NULL);
 * WITHIN: the context is done `duration` nanoseconds from now. UNTIL: it is done at the absolute time `deadline`. If
 * that time has passed already, it is done at once.
 * LEAT_WITHIN(duration) is a context for one call: leat_recv_ctx(LEAT_WITHIN(LEAT_MS(20)), &jobs, &job). */
/* clang-format off */
#ifndef __cplusplus
#define LEAT_CTX(parent) { .parent_ = (parent) }
#define LEAT_CTX_WITHIN(parent, duration) { .parent_ = (parent), .deadline_ = leat_deadline_within_(duration) }
#define LEAT_CTX_UNTIL(parent, deadline) { .parent_ = (parent), .deadline_ = leat_deadline_(deadline) }
#define LEAT_WITHIN(duration) (&(leat_ctx)LEAT_CTX_WITHIN(NULL, duration))
#else
#define LEAT_CTX(parent) leat_ctx_made_(parent, 0)
#define LEAT_CTX_WITHIN(parent, duration) leat_ctx_made_(parent, leat_deadline_within_(duration))
#define LEAT_CTX_UNTIL(parent, deadline) leat_ctx_made_(parent, leat_deadline_(deadline))
#define LEAT_WITHIN(duration) (leat_one_call_{ LEAT_CTX_WITHIN(NULL, duration) }.ctx())
constexpr leat_ctx leat_ctx_made_(leat_ctx *parent, int64_t deadline)
{
    return leat_ctx{ parent, deadline, 0, 0, { NULL, NULL } };
}

struct leat_one_call_ {
    leat_ctx ctx_;
    leat_ctx *ctx() { return &ctx_; }
};
#endif
/* clang-format on */

#define LEAT_PASSED_ (-1) /* a deadline that lies in the past of every clock, however coarse */

LEAT_HOT_ int64_t leat_deadline_(int64_t t)
{
    return t == LEAT_FOREVER ? 0 : t <= leat_os_now_() ? LEAT_PASSED_ : t;
}

LEAT_HOT_ int64_t leat_deadline_within_(int64_t duration)
{
    if (duration <= 0) return LEAT_PASSED_;
    int64_t t = leat_after(duration);
    return t == LEAT_FOREVER ? 0 : t;
}

/* The final word of a context whose word is not 0. If its cancel has only begun, waits for the thread that cancels it. */
LEAT_COLD_ uint64_t leat_ctx_end_(leat_ctx *ctx)
{
    for (unsigned round = 0;; leat_backoff_(&round)) {
        uint64_t word = atomic_load_explicit(&ctx->word_, memory_order_acquire); /* [K2] <- [K1] */
        if (word & LEAT_DONE_) return word;
    }
}

/* The context `to` is done, with the final word `end`. So `ctx`, itself or a descendant, is done. Notes that on `ctx` and
 * on all contexts between, so that an answer once given stays. Returns the error of `ctx`. Its own earlier end wins. */
LEAT_COLD_ int leat_ctx_note_(leat_ctx *ctx, leat_ctx *to, uint64_t end)
{
    if (ctx != to) leat_ctx_note_(ctx->parent_, to, end);
    uint64_t live = 0;
    if (!atomic_compare_exchange_strong_explicit(&ctx->word_, &live, end, memory_order_release, /* [K1] -> [K2] */
                                                 memory_order_relaxed))
        end = leat_ctx_end_(ctx);
    return end & LEAT_CANCELLED_ ? -ECANCELED : -ETIMEDOUT;
}

/* The error of a context that is done at the time `now`, else 0. If `now` is 0 and a deadline needs it, reads the clock. */
static inline int leat_ctx_err_at_(leat_ctx *ctx, int64_t now)
{
    for (leat_ctx *c = ctx; c; c = c->parent_) {
        if (LEAT_RARELY_(atomic_load_explicit(&c->word_, memory_order_relaxed))) /* [X5] read again */
            return leat_ctx_note_(ctx, c, leat_ctx_end_(c));
        if (c->deadline_) {
            if (!now) now = leat_os_coarse_now_();
            if (LEAT_RARELY_(now >= c->deadline_)) return leat_ctx_note_(ctx, c, LEAT_TIMED_OUT_);
        }
    }
    return 0;
}

/* 0 while the context is live. -ECANCELED once it or an ancestor was cancelled. -ETIMEDOUT once a deadline of theirs
 * has passed (noticed within 10 ms). NULL is always live. Once the answer is an error, it never changes again. Any
 * thread may call it. */
LEAT_HOT_ int leat_ctx_err(leat_ctx *ctx)
{
    return leat_ctx_err_at_(ctx, 0);
}

/* The same for two contexts. `also`, here and below, is NULL in this file. A call of another header may wait under two:
 * leat_submit_ctx waits under its caller's context and the pool's. Inlined, so it costs nothing where both are NULL. */
LEAT_HOT_ int leat_ctx_err_of_(leat_ctx *ctx, leat_ctx *also, int64_t now)
{
    int err = ctx ? leat_ctx_err_at_(ctx, now) : 0;
    return err || !also ? err : leat_ctx_err_at_(also, now);
}

/* Whether a thread has begun to end a context. If so, leat_ctx_err returns an error. Does not wait for any thread, so
 * the caller may hold a lock. */
static inline bool leat_ctx_is_ending_(leat_ctx *ctx)
{
    while (ctx && !atomic_load_explicit(&ctx->word_, memory_order_relaxed)) ctx = ctx->parent_; /* [X5] see I8 */
    return ctx != NULL;
}

/* Why the context is done: the cause that its leat_cancel, or an ancestor's, was called with (the first wins), or
 * -ETIMEDOUT. 0 while the context is live. */
LEAT_HOT_ int leat_ctx_cause(leat_ctx *ctx)
{
    int err = leat_ctx_err(ctx);
    return err == -ECANCELED ? (int)(uint32_t)(leat_ctx_end_(ctx) >> 32) : err;
}

/* The absolute time, as leat_now() counts it, of the next deadline of the context or an ancestor: for the time-out of a
 * poll() or another library's wait. LEAT_FOREVER: none has a deadline, or ctx is NULL. 0, which is in the past: a deadline
 * had passed when its context was made. It says nothing of cancels. It never changes, and any thread may call it. */
LEAT_HOT_ int64_t leat_ctx_deadline(leat_ctx *ctx)
{
    int64_t next = LEAT_FOREVER;
    for (; ctx; ctx = ctx->parent_)
        if (ctx->deadline_ && ctx->deadline_ < next) next = ctx->deadline_;
    return next < 0 ? 0 : next;
}

/* Cancels a context and everything under it: threads that wait there wake with -ECANCELED. `cause` is any int, and
 * leat_ctx_cause returns it. 0 stands for -ECANCELED. The first end of a context wins. Any thread may call it, but not
 * a signal handler (leat_cancel_on_signals is for those). The context may be gone as soon as any thread has seen that
 * it is done. */
LEAT_COLD_ void leat_cancel(leat_ctx *ctx, int cause)
{
    uint64_t live = 0;
    if (!ctx || leat_ctx_err(ctx)) return; /* an ancestor's end, or a deadline, came first */
    if (!atomic_compare_exchange_strong_explicit(&ctx->word_, &live, LEAT_CANCELLING_, memory_order_relaxed, /* [X4] */
                                                 memory_order_relaxed)) {
        leat_ctx_end_(ctx);
        return;
    }
    leat_lock_take_(&ctx->lock_);
    leat_node_ *chain = NULL;
    leat_resolve_all_(&ctx->waiters_, -ECANCELED, &chain);
    leat_lock_drop_(&ctx->lock_);
    uint64_t word = (uint64_t)(uint32_t)(cause ? cause : -ECANCELED) << 32 | LEAT_CANCELLED_;
    atomic_store_explicit(&ctx->word_, word, memory_order_release); /* [K1] -> [K2] no access to ctx after it */
    leat_wake_all_(chain);
}

/* leat_block_ calls such a function as the last check before a thread parks. True: it has enqueued the waiter where other
 * threads are to find it. False: the thread need not park. */
typedef bool leat_enqueue_fn_(void *what, leat_waiter_ *w);

/* Parks until the waiter is woken, perhaps by a cancel, or until `deadline` or a context's deadline passes. The contexts
 * are `ctx`, `also` and the ancestors of both. Each recursion enqueues a node, in its stack frame, in one context's
 * queue. The innermost then calls `enqueue`, and parks. So a cancel that came before the message finds the waiter (I8).
 * Afterwards the waiter is WOKEN or LEFT. won_ is the node by which it was woken. won_ is NULL if a context woke it, if
 * it left by itself, or if it need not park. */
LEAT_COLD_ void leat_block_(leat_waiter_ *w, leat_ctx *ctx, leat_ctx *also, int64_t deadline, leat_enqueue_fn_ *enqueue,
                            void *what)
{
    leat_node_ link = { .waiter_ = w };
    leat_ctx *next = NULL;
    bool live = true;
    if (!ctx) {
        ctx = also;
        also = NULL;
    }
    if (ctx) {
        leat_lock_take_(&ctx->lock_);
        live = !atomic_load_explicit(&ctx->word_, memory_order_relaxed); /* [X4] the lock orders it with leat_cancel */
        if (live) leat_enqueue_(&ctx->waiters_, &link);
        leat_lock_drop_(&ctx->lock_);
        if (ctx->deadline_ && ctx->deadline_ < deadline) deadline = ctx->deadline_;
        next = ctx->parent_ ? ctx->parent_ : also;
        if (!ctx->parent_) also = NULL;
    }
    if (next && live) {
        leat_block_(w, next, also, deadline, enqueue, what);
    } else { /* not entered: the waiter leaves, unless a context has resolved it meanwhile. Then it awaits that wake */
        bool entered = live && enqueue(what, w);
        if (!entered && leat_resolve_(w, LEAT_LEFT_)) w->won_ = NULL;
        else if (leat_park_(w, entered ? deadline : LEAT_FOREVER)) w->won_ = NULL;
    }
    if (!ctx || !live) return;
    if (w->won_ == &link) { /* the cancel has dequeued the node, and ctx may be gone */
        w->won_ = NULL;
        return;
    }
    leat_lock_take_(&ctx->lock_);
    leat_dequeue_(&ctx->waiters_, &link);
    leat_lock_drop_(&ctx->lock_);
}

static inline void leat_waiter_init_(leat_waiter_ *w)
{
    leat_os_init_(&w->state_);
    w->fd_ = 0;
    w->won_ = NULL;
    w->resolved_at_ = 0;
}

static inline bool leat_enqueue_nowhere_(void *what, leat_waiter_ *w)
{
    (void)what, (void)w;
    return true;
}

/* Sleeps for `duration` nanoseconds and returns 0.
 * ctx: -ECANCELED or -ETIMEDOUT as soon as ctx (or NULL) is done. */
LEAT_COLD_ int leat_sleep_ctx(leat_ctx *ctx, int64_t duration)
{
    int64_t deadline = leat_after(duration);
    for (;;) {
        int64_t now = leat_now();
        int err = leat_ctx_err_at_(ctx, now);
        if (err) return err;
        if (now >= deadline) return 0;
        leat_waiter_ w;
        leat_waiter_init_(&w);
        leat_block_(&w, ctx, NULL, deadline, leat_enqueue_nowhere_, NULL);
        leat_os_done_(&w.state_);
    }
}

LEAT_HOT_ int leat_sleep(int64_t duration)
{
    return leat_sleep_ctx(NULL, duration);
}

/* ==== 5. The ring =============================================================================
 *
 * A bounded queue after D. Vyukov (2010). His stamps hold a position, these hold the lap and the bit FULL. So capacities
 * are exact, a capacity of 1 works, and zeroed memory is an empty ring.
 *
 *     slot:         stamp (8 bytes) | message
 *     head, tail:   lap | index | CLOSED (4) | WAITERS (2) | CLOSING (1)      each on a cache line of its own
 *     stamp:        lap |   0   |     0      |  FULL (2)   |      0           2 is FULL here, and WAITERS there
 *
 * lap | index is a position: where the next message is put (tail) or taken (head). In lap L a slot's stamp is L when
 * the slot is free, and L | FULL when it holds a message. To take the message makes the slot free in the lap after L.
 * To send: read tail, find the slot free, claim it with a CAS on tail, write, publish the stamp. To receive is
 * the same at head.
 *
 * An example with three slots. An index has two bits, above the three flags. So the next position is LEAT_POS_ = 8 further,
 * and the next lap lap_ = 4 * 8 = 32 further. The positions 24 and 56 have no slot, and are skipped:
 *
 *     slot             0    1    2        0    1    2        0 ..
 *     position         0    8   16       32   40   48       64        index: (40 & 31) / 8 = 1.  lap: 40 & ~31 = 32
 *     stamp if free    0    0    0       32   32   32       64
 *     stamp if full    2    2    2       34   34   34       66
 *
 * After five sends and three receives tail is 48 and head is 32. Slots 0 and 1 have the stamp 34: full. Slot 2 has 32: its
 * message of the first lap was taken, and it is free. One send later tail is 64, lap_ ahead of head: the ring is full. The
 * next send finds slot 0 with the stamp 34 where it needs 64, and waits.
 *
 * The bits live in the word that a claim must win. So it costs a send or a receive nothing that a channel can be
 * closed, and that threads can park:
 * CLOSING   (tail) matches no stamp, so no send claims after it.
 * CLOSED    (tail) follows when all waiters have been resolved. The thread that closes touches nothing after it.
 * WAITERS   in tail: receivers may be parked. In head: senders may be. A thread whose claim sees the bit resolves one of
 *           them before it publishes its slot, and wakes that one afterwards.
 *
 * Why WAITERS is a bit in this word. Suppose that it was a word of its own, `waiters`, beside the ring:
 *
 *     sender S      publishes the slot;      then reads waiters, and wakes R if it is set
 *     receiver R    sets waiters;            then reads the slot, and parks if it is not full
 *
 * A processor may put its own store into a buffer and do the load that follows at once, x86 too. So S may read that no
 * thread waits, and R that the slot is free, and R sleeps beside a message. That is the lost wake-up, and its cause is
 * called store buffering. Release and acquire do not forbid it: neither thread has read anything that the other wrote. A
 * seq_cst fence between the two steps of each does, but each send pays for it, 5 to 10 ns (learn/06-sleep measures it), also
 * if no thread has ever waited. Here the claim of S and the fetch-or by which R sets the bit are read-modify-writes of one
 * word, so one comes first. If the claim is second, S sees the bit, and wakes R. If it is first, the fetch-or returns a
 * position past the claim, and R stays awake. S pays nothing: it must claim anyway.
 *
 * AN END FOR ONE THREAD (LEAT_CHAN_FOR) has its position in a word of its own, pos_, and only the bits in at_. Its one
 * thread T claims by a plain store of pos_, and then reads at_. A thread R that sets a bit there makes all threads pass
 * a fence (membarrier), and then reads pos_. If T passed the fence before it read at_, T sees the bit. If after, R sees
 * the claim. So T needs no fence of its own, and what it costs is paid by those who park or close. If T sees CLOSING,
 * it takes the claim back, as no other thread claims there. Where there is no membarrier, at_ has the bit FENCED, and T
 * reads at_ by a read-modify-write, so that it is as above.
 *
 * I4  No access after publication. Neither send nor recv nor close touches anything of the channel after the store that
 *     publishes its effect. So a thread that saw the effect may free the channel at once. */

/* Two values have two names each. 2 is WAITERS in head and tail, and FULL in a stamp. leat_ready_stamp_ makes a stamp of a
 * head or tail, and drops its WAITERS first. 8 is POS in head and tail, and FENCED in at_ of an end for one thread, whose
 * position stands in pos_. */
#define LEAT_CLOSING_ UINT64_C(1)
#define LEAT_WAITERS_ UINT64_C(2)
#define LEAT_CLOSED_ UINT64_C(4)
#define LEAT_POS_ UINT64_C(8)    /* from one position to the next. Unbuffered: from one waiter to the next */
#define LEAT_FENCED_ UINT64_C(8) /* in at_ of an end for one thread */
#define LEAT_FULL_ UINT64_C(2)   /* in a stamp. The three bits above are in head and tail */
#define LEAT_LINE_ 64            /* bytes of a cache line */

/* The two sides of a channel. Each is named after what a call does there. */
enum { LEAT_SENDS_, LEAT_RECEIVES_ };

enum { LEAT_ONE_SENDER = 1 << LEAT_SENDS_, LEAT_ONE_RECEIVER = 1 << LEAT_RECEIVES_ }; /* see LEAT_CHAN_FOR */

/* An end is what belongs to one side. A thread that claims here may have to wake a thread of the other side, so the other
 * side's threads wait here: receivers at the senders' end, senders at the receivers' end. */
typedef struct leat_end_ {
    _Atomic(uint64_t) pos_;  /* the position, if the end is for one thread. Else 0 */
    _Atomic(uint64_t) at_;   /* tail (senders), head (receivers): the position to claim next, and the bits */
    _Atomic(uint32_t) pace_; /* ns that the other side takes for a slot (part 2) */
    leat_waitq_ peers_;      /* the other side's threads that wait. WAITERS in at_: a claim here is to wake one */
    leat_waitq_ pollables_;  /* the other side's pollables that are armed (I9) */
    char pad_[LEAT_LINE_ - sizeof(leat_waitq_) - 8];
#ifdef LEAT_DEBUG
    _Atomic(uintptr_t) owner_; /* the one thread: the address of its leat_doubt_. 0: none yet */
#endif
} leat_end_;

typedef struct leat_chan {
    unsigned char *slots_; /* NULL: unbuffered */
    uint64_t cap_;         /* in slots */
    uint64_t lap_;         /* a lap further, as positions count: LEAT_POS_ * (least power of two that is at least cap_) */
    int ones_;             /* LEAT_ONE_SENDER, LEAT_ONE_RECEIVER */
#ifdef LEAT_DEBUG
    uintptr_t seal_; /* of slots_ and address: tells a channel from memory that was one and is half overwritten */
#endif
    char pad_[LEAT_LINE_ - 12];
    leat_end_ ends_[2]; /* [LEAT_SENDS_]: of the senders. [LEAT_RECEIVES_]: of the receivers */
    char pad2_[8];
    leat_lock_ lock_; /* guards both queues */
    char pad3_[LEAT_LINE_];
#ifdef LEAT_DEBUG
    _Atomic(uintptr_t) self_; /* the channel's address once it was made or used, or FREED */
#endif
} leat_chan;

enum { LEAT_FREED_ = 1 }; /* self_ of a channel that was freed */

typedef _Atomic(uint64_t) leat_stamp_;

/* How many bytes behind its stamp the message stands in a slot, and how many bytes a slot has. */
static inline size_t leat_msg_at_(size_t align)
{
    return align > sizeof(leat_stamp_) ? align : sizeof(leat_stamp_);
}

static inline size_t leat_stride_(size_t size, size_t align)
{
    size_t at = leat_msg_at_(align);
    return (at + size + at - 1) & ~(at - 1);
}

static inline uint64_t leat_position_(uint64_t word)
{
    return word & ~(LEAT_POS_ - 1);
}

LEAT_WRAPS_ static inline uint64_t leat_index_(const leat_chan *ch, uint64_t word)
{
    return (word & (ch->lap_ - 1)) / LEAT_POS_;
}

LEAT_WRAPS_ static inline uint64_t leat_lap_of_(const leat_chan *ch, uint64_t word)
{
    return word & ~(ch->lap_ - 1);
}

/* The word that is `n` positions on, n <= capacity. Its bits are unchanged. */
LEAT_WRAPS_ static inline uint64_t leat_advance_(const leat_chan *ch, uint64_t word, uint64_t n)
{
    bool wraps = leat_index_(ch, word) + n >= ch->cap_;
    return word + n * LEAT_POS_ + (wraps ? ch->lap_ - ch->cap_ * LEAT_POS_ : 0);
}

static inline unsigned char *leat_slot_(const leat_chan *ch, uint64_t word, size_t size, size_t align)
{
    return ch->slots_ + leat_index_(ch, word) * leat_stride_(size, align);
}

static inline leat_stamp_ *leat_stamp_of_(unsigned char *slot)
{
    return (leat_stamp_ *)(void *)slot;
}

/* The stamp of the slot at this position when it is ready for `side`. If tail has CLOSING, a stamp that no slot has. */
static inline uint64_t leat_ready_stamp_(const leat_chan *ch, int side, uint64_t at)
{
    return side == LEAT_SENDS_ ? at & (~(ch->lap_ - 1) | LEAT_CLOSING_) : leat_lap_of_(ch, at) | LEAT_FULL_;
}

/* The stamp that `side` leaves in the slot. A send leaves the slot full, a receive leaves it free in the next lap. */
LEAT_WRAPS_ static inline uint64_t leat_next_stamp_(const leat_chan *ch, int side, uint64_t ready)
{
    return side == LEAT_SENDS_ ? ready | LEAT_FULL_ : ready - LEAT_FULL_ + ch->lap_;
}

/* How many positions are between head and tail. Each is a message, or a claim in flight. */
LEAT_WRAPS_ static inline uint64_t leat_count_(const leat_chan *ch, uint64_t tail, uint64_t head)
{
    uint64_t n = leat_position_(tail) - leat_position_(head);
    if (leat_lap_of_(ch, tail) != leat_lap_of_(ch, head)) n -= ch->lap_ - ch->cap_ * LEAT_POS_;
    return n / LEAT_POS_;
}

LEAT_WRAPS_ static inline bool leat_is_full_(const leat_chan *ch, uint64_t tail, uint64_t head)
{
    return leat_position_(tail) - leat_position_(head) == ch->lap_;
}

static inline bool leat_is_one_(const leat_chan *ch, int side)
{
    return LEAT_RARELY_(ch->ones_ >> side & 1);
}

/* An end's position and its bits. Bits first: what CLOSED promises holds for the position. */
static inline uint64_t leat_word_(leat_chan *ch, int side)
{
    uint64_t at = atomic_load_explicit(&ch->ends_[side].at_, memory_order_acquire); /* [C2] <- [C1], [E2] <- [E1] */
    if (!leat_is_one_(ch, side)) return at;
    return (at & (LEAT_POS_ - 1)) | atomic_load_explicit(&ch->ends_[side].pos_, memory_order_relaxed); /* [X6] */
}

/* The same, where the order comes from elsewhere, or does not matter. */
static inline uint64_t leat_glimpse_(leat_chan *ch, int side)
{
    uint64_t at = atomic_load_explicit(&ch->ends_[side].at_, memory_order_relaxed); /* [X1], [X2] */
    if (!leat_is_one_(ch, side)) return at;
    return (at & (LEAT_POS_ - 1)) | atomic_load_explicit(&ch->ends_[side].pos_, memory_order_relaxed); /* [X6] */
}

/* A bit was set in at_ of an end for one thread. From now on its claims see the bit, or their position is seen here. */
LEAT_COLD_ void leat_fence_claims_(leat_end_ *end)
{
    if (atomic_load_explicit(&end->at_, memory_order_relaxed) & LEAT_FENCED_ || leat_os_fence_all_()) return; /* [X6] */
    atomic_fetch_or_explicit(&end->at_, LEAT_FENCED_, memory_order_relaxed); /* [X6] a sandbox has come since make */
    unsigned round = LEAT_ROUNDS_;
    leat_backoff_(&round); /* a claim that did not see FENCED ends meanwhile */
}

/* Sets WAITERS, or no bit, at an end, and returns its word. */
static inline uint64_t leat_set_(leat_chan *ch, int side, uint64_t bit)
{
    leat_end_ *end = &ch->ends_[side];
    if (!leat_is_one_(ch, side)) return atomic_fetch_or_explicit(&end->at_, bit, memory_order_relaxed); /* [X2] */
    atomic_fetch_or_explicit(&end->at_, bit, memory_order_acquire);                                     /* [F2] <- [F1] */
    if (bit) leat_fence_claims_(end);
    return leat_glimpse_(ch, side);
}

/* A claim at an end for one thread that met a bit: returns the word that it claimed. If that has CLOSING, the claim was
 * taken back. */
LEAT_COLD_ uint64_t leat_claim_again_(leat_end_ *end, uint64_t at)
{
    uint64_t bits = atomic_fetch_or_explicit(&end->at_, 0, memory_order_release) & (LEAT_POS_ - 1); /* [F1] -> [F2] */
    if (bits & LEAT_CLOSING_) atomic_store_explicit(&end->pos_, at, memory_order_relaxed);          /* [X6] */
    return at | bits;
}

/* Claims at an end for one thread the positions from `at` up to `next`. Returns what leat_claim_again_ returns. */
LEAT_HOT_ uint64_t leat_claim_one_(leat_end_ *end, uint64_t at, uint64_t next)
{
    atomic_store_explicit(&end->pos_, next, memory_order_relaxed); /* [X6] */
    atomic_signal_fence(memory_order_seq_cst);                     /* [F1] -> [F2] the other half is in leat_fence_all_ */
    if (LEAT_USUALLY_(!atomic_load_explicit(&end->at_, memory_order_relaxed))) return at; /* [X6] */
    return leat_claim_again_(end, at);
}

#ifdef LEAT_DEBUG
LEAT_ONE_ _Thread_local const char *leat_file_; /* where the program called leat */
LEAT_ONE_ _Thread_local int leat_line_;

LEAT_COLD_ void leat_check_owner_(leat_end_ *end)
{
    uintptr_t owner = 0, self = (uintptr_t)&leat_doubt_;
    if (!atomic_compare_exchange_strong_explicit(&end->owner_, &owner, self, memory_order_relaxed, /* [X5] */
                                                 memory_order_relaxed) &&
        owner != self)
        LEAT_BLAME_("a second thread sends, or receives, where the channel is for one", leat_file_, leat_line_);
}
#else
#define leat_check_owner_(end) ((void)0)
#endif

/* Resolves all pollables that are armed at an end (I9), and appends them to a chain of one node, or of none (NULL). The
 * caller holds the lock. */
static inline leat_node_ *leat_and_pollables_(leat_end_ *end, leat_node_ *one)
{
    leat_node_ *chain = NULL;
    if (LEAT_RARELY_(end->pollables_.first_)) leat_resolve_all_(&end->pollables_, 0, &chain);
    if (!one) return chain;
    one->next_ = chain;
    return one;
}

/* The slow path of a claim that saw WAITERS. Resolves one waiter, and the pollables. The caller wakes this chain after it
 * has published. Clears the bit, because a wake is now in flight. The woken thread sets the bit again if others wait
 * (I5). */
LEAT_COLD_ leat_node_ *leat_resolve_peer_(leat_chan *ch, leat_end_ *end)
{
    leat_lock_take_(&ch->lock_);
    leat_node_ *l = leat_and_pollables_(end, leat_resolve_first_(&end->peers_, 0));
    atomic_fetch_and_explicit(&end->at_, ~LEAT_WAITERS_, memory_order_relaxed); /* [X2] */
    leat_lock_drop_(&ch->lock_);
    return l;
}

static inline void leat_copy_(void *to, const void *from, size_t size)
{
    if (size == 8) memcpy(to, from, 8); /* the usual size stays a move even if `size` varies */
    else memcpy(to, from, size);
}

/* Casts const away from a message to be sent. It is only read. */
static inline void *leat_to_read_(const void *msg)
{
    return (void *)(uintptr_t)msg;
}

/* How a message is copied, where it is not one piece of memory: a pool's jobs with values (pool.h). `in_slot` is a slot,
 * or in a rendezvous what the peer of the caller's side passed. NULL, everywhere else, stands for leat_copy_. */
typedef void leat_copier_(int side, void *in_slot, void *msg, size_t size);

/* Copies msg into a slot (send), or out of it (receive). If msg is NULL, a receive drops the message. */
LEAT_HOT_ void leat_copy_over_(leat_copier_ *copy, int side, void *in_slot, void *msg, size_t size)
{
    if (copy) copy(side, in_slot, msg, size);
    else if (side == LEAT_SENDS_) leat_copy_(in_slot, msg, size);
    else if (msg) leat_copy_(msg, in_slot, size);
}

/* leat_move_ after a claim that saw WAITERS. It resolves a waiter first: once it has published, ch may be gone (I4). */
LEAT_COLD_ void leat_move_and_wake_(leat_chan *ch, int side, unsigned char *slot, void *msg, size_t size, size_t align,
                                    leat_copier_ *copy, uint64_t ready)
{
    leat_node_ *l = leat_resolve_peer_(ch, &ch->ends_[side]);
    leat_copy_over_(copy, side, slot + leat_msg_at_(align), msg, size);
    atomic_store_explicit(leat_stamp_of_(slot), leat_next_stamp_(ch, side, ready), memory_order_release); /* [P1] -> [P2] */
    leat_wake_all_(l);
}

/* The fast path of a send or a receive: one claim, one copy, one publish. 0: done. -EAGAIN: the caller has to take the
 * slow path. Or the error of a context that is done, which is asked after the stamp is read and before the claim (I8). */
LEAT_HOT_ int leat_move_by_(leat_copier_ *copy, leat_ctx *ctx, leat_ctx *also, leat_chan *ch, int side, void *msg,
                            size_t size, size_t align)
{
    if (LEAT_RARELY_(!ch->slots_)) return -EAGAIN;
    leat_end_ *end = &ch->ends_[side];
    uint64_t at = atomic_load_explicit(&end->at_, memory_order_relaxed), ready; /* [X1] */
    unsigned char *slot;
    do {
        slot = leat_slot_(ch, at, size, align);
        ready = leat_ready_stamp_(ch, side, at);
        if (atomic_load_explicit(leat_stamp_of_(slot), memory_order_acquire) != ready) return -EAGAIN; /* [P2] <- [P1] */
        int err = leat_ctx_err_of_(ctx, also, 0);
        if (LEAT_RARELY_(err)) return err;
    } while (!atomic_compare_exchange_weak_explicit(&end->at_, &at, leat_advance_(ch, at, 1),
                                                    memory_order_release, /* [C1] -> [C2] */
                                                    memory_order_relaxed));
    if (LEAT_RARELY_(at & LEAT_WAITERS_)) {
        leat_move_and_wake_(ch, side, slot, msg, size, align, copy, ready);
        return 0;
    }
    leat_copy_over_(copy, side, slot + leat_msg_at_(align), msg, size);
    atomic_store_explicit(leat_stamp_of_(slot), leat_next_stamp_(ch, side, ready), memory_order_release); /* [P1] -> [P2] */
    return 0;
}

LEAT_HOT_ int leat_move_(leat_ctx *ctx, leat_ctx *also, leat_chan *ch, int side, void *msg, size_t size, size_t align)
{
    return leat_move_by_(NULL, ctx, also, ch, side, msg, size, align);
}

/* leat_move_ at an end for one thread. The next position is a sum without a condition, as the sum that waits for the
 * last store of pos_ is what a message costs. */
LEAT_WRAPS_ LEAT_HOT_ int leat_move_one_(leat_ctx *ctx, leat_ctx *also, leat_chan *ch, int side, void *msg, size_t size,
                                         size_t align)
{
    if (LEAT_RARELY_(!ch->slots_)) return -EAGAIN;
    leat_end_ *end = &ch->ends_[side];
    leat_check_owner_(end);
    uint64_t lap = ch->lap_, at = atomic_load_explicit(&end->pos_, memory_order_relaxed); /* [X6] */
    uint64_t in_lap = at & (lap - 1), next = at + LEAT_POS_, ready = at - in_lap + (side == LEAT_SENDS_ ? 0 : LEAT_FULL_);
    unsigned char *slot = ch->slots_ + in_lap * (leat_stride_(size, align) / LEAT_POS_);
    if (LEAT_RARELY_(in_lap + LEAT_POS_ >= ch->cap_ * LEAT_POS_)) {
        next = at - in_lap + lap;
        atomic_signal_fence(memory_order_seq_cst); /* [F1] -> [F2] else a conditional move, which waits */
    }
    if (atomic_load_explicit(leat_stamp_of_(slot), memory_order_acquire) != ready) return -EAGAIN; /* [P2] <- [P1] */
    int err = leat_ctx_err_of_(ctx, also, 0);
    if (LEAT_RARELY_(err)) return err;
    at = leat_claim_one_(end, at, next);
    if (LEAT_RARELY_(at & (LEAT_CLOSING_ | LEAT_WAITERS_))) {
        if (at & LEAT_CLOSING_) return -EAGAIN;
        leat_move_and_wake_(ch, side, slot, msg, size, align, NULL, ready);
        return 0;
    }
    leat_copy_over_(NULL, side, slot + leat_msg_at_(align), msg, size);
    atomic_store_explicit(leat_stamp_of_(slot), leat_next_stamp_(ch, side, ready), memory_order_release); /* [P1] -> [P2] */
    return 0;
}

/* leat_move_ for a select, at whatever end. */
LEAT_COLD_ int leat_move_one_too_(leat_ctx *ctx, leat_ctx *also, leat_chan *ch, int side, void *msg, size_t size,
                                  size_t align)
{
    return leat_move_one_(ctx, also, ch, side, msg, size, align);
}

/* A run of slots lies in memory one behind the other, and all its slots have the same stamp when they are ready. The
 * slots of a batch are one run, or two: up to the end of the ring, and from its start on. */

/* The stamp that follows in the next lap. */
LEAT_WRAPS_ static inline uint64_t leat_lap_on_(uint64_t stamp, uint64_t lap)
{
    return stamp + lap;
}

/* How many slots of a run of n are ready, from the first one on. It looks at two before it branches, which makes batches
 * of 32 a third faster than one by one (docs/performance.md). */
LEAT_HOT_ size_t leat_run_ready_(unsigned char *slot, size_t n, uint64_t ready, size_t stride)
{
    size_t k = 0;
    for (; k + 2 <= n; k += 2, slot += 2 * stride) {
        uint64_t one = atomic_load_explicit(leat_stamp_of_(slot), memory_order_acquire);          /* [P2] <- [P1] */
        uint64_t two = atomic_load_explicit(leat_stamp_of_(slot + stride), memory_order_acquire); /* [P2] <- [P1] */
        if ((one ^ ready) | (two ^ ready)) break;
    }
    for (; k < n; k++, slot += stride)
        if (atomic_load_explicit(leat_stamp_of_(slot), memory_order_acquire) != ready) break; /* [P2] <- [P1] */
    return k;
}

/* The same, where the other end is for one thread: slots become ready one after another, and if the last is, all are. */
LEAT_HOT_ size_t leat_run_in_order_(unsigned char *slot, size_t n, uint64_t ready, size_t stride)
{
    leat_stamp_ *last = leat_stamp_of_(slot + (n - 1) * stride);
    if (atomic_load_explicit(last, memory_order_acquire) == ready) return n; /* [P2] <- [P1] */
    return leat_run_ready_(slot, n, ready, stride);
}

/* Fills or empties a run of n slots, and leaves the stamp `next` in each. */
LEAT_HOT_ void leat_run_move_(int side, unsigned char *slot, size_t n, uint64_t next, unsigned char *msgs, size_t size,
                              size_t align)
{
    for (size_t i = 0; i < n; i++, slot += leat_stride_(size, align)) {
        leat_copy_over_(NULL, side, slot + leat_msg_at_(align), msgs + i * size, size);
        atomic_store_explicit(leat_stamp_of_(slot), next, memory_order_release); /* [P1] -> [P2] */
    }
}

/* Claims the longest prefix of the next n slots that is ready, with one CAS, and fills or empties those slots. Returns
 * how many, or the error of a context. */
LEAT_HOT_ ptrdiff_t leat_move_some_(leat_ctx *ctx, leat_chan *ch, int side, unsigned char *msgs, size_t n, size_t size,
                                    size_t align, int ones)
{
    bool one = ones >> side & 1, in_order = ones >> !side & 1;
    unsigned char *slots = ch->slots_, *slot;
    if (LEAT_RARELY_(!slots)) return 0;
    if (n > ch->cap_) n = (size_t)ch->cap_;
    leat_end_ *end = &ch->ends_[side];
    if (one) leat_check_owner_(end);
    uint64_t at = atomic_load_explicit(one ? &end->pos_ : &end->at_, memory_order_relaxed), lap = ch->lap_, ready; /* [X1] */
    size_t stride = leat_stride_(size, align), first, k;
    do {
        slot = leat_slot_(ch, at, size, align);
        ready = leat_ready_stamp_(ch, side, at);
        first = (size_t)(ch->cap_ - leat_index_(ch, at)); /* slots of the first run */
        k = (in_order ? leat_run_in_order_ : leat_run_ready_)(slot, n < first ? n : first, ready, stride);
        if (LEAT_RARELY_(k == first && n > first)) k += leat_run_ready_(slots, n - first, leat_lap_on_(ready, lap), stride);
        if (!k) return 0;
        int err = leat_ctx_err_of_(ctx, NULL, 0);
        if (LEAT_RARELY_(err)) return err;
        if (!one) continue;
        at = leat_claim_one_(end, at, leat_advance_(ch, at, k));
        if (at & LEAT_CLOSING_) return 0;
        break;
    } while (!atomic_compare_exchange_weak_explicit(&end->at_, &at, leat_advance_(ch, at, k),
                                                    memory_order_release, /* [C1] -> [C2] */
                                                    memory_order_relaxed));
    leat_node_ *l = LEAT_RARELY_(at & LEAT_WAITERS_) ? leat_resolve_peer_(ch, end) : NULL;
    uint64_t next = leat_next_stamp_(ch, side, ready), then = leat_lap_on_(next, lap);
    /* nothing of the channel is read from here on: with the last stamp it may be gone (I4) */
    leat_run_move_(side, slot, k < first ? k : first, next, msgs, size, align);
    if (LEAT_RARELY_(k > first)) leat_run_move_(side, slots, k - first, then, msgs + first * size, size, align);
    if (l) leat_wake_all_(l);
    return (ptrdiff_t)k;
}

/* ---- One end, and waiting there ----
 *
 * I5  Wake the next. A thread T that was woken at a buffered channel may have been given the only wake in flight.
 *     Before T tries again, it checks the queue that it was in. If other threads wait there, T sets WAITERS again. If
 *     there is also more than T will take itself, T resolves and wakes the next waiter, or two. T may then leave
 *     without having taken from that channel, because it was cancelled or another case won. In that case T checks once
 *     more.
 *     Without this: receivers C0 and C1 are parked. Sender P0 claims slot k, sees WAITERS, resolves C0, clears the bit,
 *     and is preempted. Sender P1 claims k+1, sees no WAITERS, publishes, wakes no thread. P0 publishes k and wakes C0.
 *     C0 takes k, and C1 sleeps beside the message in k+1.
 * I6  A thread parks only if the channel is empty (or full, for a sender), not closing, and has no claim in flight. It
 *     knows this from two positions: that of the far end, where it waits, which its fetch-or of WAITERS returned,
 *     and that of its own end. A woken thread that finds nothing goes back to the front of the queue. */

/* A case: one end of a channel, and what a call would do there. LEAT_SEND and LEAT_RECV make the cases of a select.
 * Only `err` is for the caller. After leat_select has returned this case's index, err is 0, or it is -EPIPE if the
 * channel is closed (send: nothing was sent; recv: closed and drained). */
typedef struct leat_case {
    leat_chan *chan_; /* NULL: never ready */
    int side_;
    int err;
    uint32_t size_, align_; /* of a message, in bytes */
    leat_copier_ *copy_;
    leat_node_ link_;         /* in the queue of the far end */
    uint32_t lot_;            /* the order of cases of one channel: random, or the index */
    uint32_t since_;          /* when a wait began that measures the pace, in ns modulo 2^32. 0: no such wait */
    struct leat_case *order_; /* next in the order of channel addresses */
    uint64_t seen_[2];        /* both ends, as a poll saw them */
} leat_case;

#define LEAT_IN_FLIGHT_ INT_MIN /* another thread's claim or close has begun and not ended: poll again, do not park */
#define LEAT_HANDED_OFF_ 1      /* woken by a rendezvous: the message has changed hands */

static inline bool leat_sends_(const leat_case *c)
{
    return c->side_ == LEAT_SENDS_;
}

/* leat_own_end_: where a case claims. leat_far_end_: the other end, where the case waits and sets WAITERS. */
static inline leat_end_ *leat_own_end_(leat_case *c)
{
    return &c->chan_->ends_[c->side_];
}

static inline leat_end_ *leat_far_end_(leat_case *c)
{
    return &c->chan_->ends_[!c->side_];
}

/* Whether another thread waits for a rendezvous with this case. The caller holds the channel's lock. */
static inline bool leat_peer_waits_(leat_case *c)
{
    for (leat_node_ *l = leat_own_end_(c)->peers_.first_; l; l = l->next_)
        if (leat_is_waiting_(l->waiter_)) return true;
    return false;
}

/* Whether the slot at this position is ready for the case. A hint: only the read before the claim, [P2], counts. */
static inline bool leat_ready_at_(leat_case *c, uint64_t at)
{
    leat_chan *ch = c->chan_;
    uint64_t stamp =
        atomic_load_explicit(leat_stamp_of_(leat_slot_(ch, at, c->size_, c->align_)), memory_order_relaxed); /* [X5] */
    return stamp == leat_ready_stamp_(ch, c->side_, at);
}

static inline uint64_t leat_look_at_(leat_case *c, int side)
{
    return c->seen_[side] = leat_word_(c->chan_, side);
}

/* Polls a case and changes nothing. 0: ready. -EPIPE: closed. -EAGAIN: the call would have to wait. LEAT_IN_FLIGHT_:
 * poll again. The positions that it saw stay in the case. */
LEAT_COLD_ int leat_poll_case_(leat_case *c)
{
    leat_chan *ch = c->chan_;
    if (!ch->slots_) {
        uint64_t tail = leat_look_at_(c, LEAT_SENDS_);
        if (tail & LEAT_CLOSING_) return tail & LEAT_CLOSED_ ? -EPIPE : LEAT_IN_FLIGHT_;
        leat_look_at_(c, LEAT_RECEIVES_);
        if (!(c->seen_[c->side_] & LEAT_WAITERS_)) return -EAGAIN;
        leat_lock_take_(&ch->lock_);
        bool waits = leat_peer_waits_(c);
        leat_lock_drop_(&ch->lock_);
        return waits ? 0 : -EAGAIN;
    }
    uint64_t own = leat_look_at_(c, c->side_);
    if (leat_sends_(c) && own & LEAT_CLOSING_) return own & LEAT_CLOSED_ ? -EPIPE : LEAT_IN_FLIGHT_;
    if (leat_ready_at_(c, own)) return 0;
    uint64_t other = leat_look_at_(c, !c->side_);
    /* tail was read before head, and is at most a lap ahead: if they say full, the ring was full when head was read */
    if (leat_sends_(c)) return leat_is_full_(ch, own, other) ? -EAGAIN : LEAT_IN_FLIGHT_;
    if (leat_position_(other) != leat_position_(own)) return LEAT_IN_FLIGHT_;
    return other & LEAT_CLOSED_ ? -EPIPE : other & LEAT_CLOSING_ ? LEAT_IN_FLIGHT_ : -EAGAIN;
}

/* A rendezvous. The second thread to arrive copies between the buffers of both callers and wakes the first. Returns
 * what leat_move_ returns. */
LEAT_COLD_ int leat_rendezvous_(leat_ctx *ctx, leat_ctx *also, leat_case *c)
{
    leat_chan *ch = c->chan_;
    leat_end_ *end = leat_own_end_(c);
    if (!(atomic_load_explicit(&end->at_, memory_order_relaxed) & LEAT_WAITERS_)) return -EAGAIN; /* [X1] */
    int err = leat_ctx_err_of_(ctx, also, 0);
    if (err) return err;
    leat_lock_take_(&ch->lock_);
    bool ends = leat_ctx_is_ending_(ctx) || leat_ctx_is_ending_(also); /* asked again: a peer may have come later */
    leat_node_ *peer = ends ? NULL : leat_resolve_first_(&end->peers_, LEAT_HANDED_OFF_);
    if (!end->peers_.first_)
        atomic_fetch_and_explicit(&end->at_, ~LEAT_WAITERS_, memory_order_release); /* [C1] -> [C2] it was the last */
    leat_lock_drop_(&ch->lock_);
    if (ends) return leat_ctx_err_of_(ctx, also, 0);
    if (!peer) return -EAGAIN;
    leat_copy_over_(c->copy_, c->side_, peer->msg_, c->link_.msg_, c->size_);
    leat_wake_(peer);
    return 0;
}

static inline int leat_try_fast_(leat_ctx *ctx, leat_ctx *also, leat_case *c)
{
    if (leat_is_one_(c->chan_, c->side_))
        return leat_move_one_too_(ctx, also, c->chan_, c->side_, c->link_.msg_, c->size_, c->align_);
    return leat_move_by_(c->copy_, ctx, also, c->chan_, c->side_, c->link_.msg_, c->size_, c->align_);
}

/* Tries one case. 0: done. Or -EPIPE, -EAGAIN, LEAT_IN_FLIGHT_ (also if it is ready by now), or the error of a context. */
LEAT_COLD_ int leat_try_case_(leat_ctx *ctx, leat_ctx *also, leat_case *c)
{
    int err = c->chan_->slots_ ? leat_try_fast_(ctx, also, c) : leat_rendezvous_(ctx, also, c);
    if (err != -EAGAIN) return err;
    int seen = leat_poll_case_(c);
    if (seen == -EPIPE && (err = leat_ctx_err_of_(ctx, also, 0)) != 0) return err;
    return seen ? seen : LEAT_IN_FLIGHT_;
}

/* Whether a thread may park for this case. Sets `bit` at the far end: WAITERS, or none (0) for a sender that rests. Then
 * checks once more (I6). The caller holds the channel's lock. */
LEAT_COLD_ bool leat_may_park_(leat_case *c, uint64_t bit)
{
    leat_chan *ch = c->chan_;
    leat_end_ *other = leat_far_end_(c);
    if (!ch->slots_) {
        uint64_t tail = atomic_load_explicit(&ch->ends_[LEAT_SENDS_].at_, memory_order_relaxed); /* [X4] lock held */
        if (tail & LEAT_CLOSING_ || leat_peer_waits_(c)) return false;
        atomic_fetch_or_explicit(&other->at_, bit, memory_order_relaxed); /* [X2] */
        atomic_fetch_add_explicit(&other->at_, LEAT_POS_,
                                  memory_order_relaxed); /* [X2] shows leat_try_select_ a new waiter */
        return true;
    }
    uint64_t there = leat_set_(ch, !c->side_, bit), here = leat_glimpse_(ch, c->side_); /* in this order */
    if (leat_sends_(c)) return leat_is_full_(ch, here, there) && !(here & LEAT_CLOSING_);
    return leat_position_(there) == leat_position_(here) && !(there & LEAT_CLOSING_);
}

/* Wakes the next (I5), for the calling thread T, which was woken at this case. If other threads wait in the queue
 * where T was, T sets WAITERS again. If the channel has `least` messages (for senders: free slots), T resolves and wakes
 * one of them. If it has twice as many, T wakes two, so that n parked threads run after log n steps. `least` is 2 if T
 * is to take one itself, else 1. T takes the channel's lock. */
LEAT_COLD_ void leat_wake_next_(leat_case *c, uint64_t least)
{
    leat_chan *ch = c->chan_;
    leat_end_ *other = leat_far_end_(c);
    leat_node_ *next = NULL, *second = NULL;
    if (!ch->slots_) return; /* unbuffered: a peer wakes T with its message, or close wakes all */
    leat_lock_take_(&ch->lock_);
    if (other->peers_.first_) {
        uint64_t there = leat_set_(ch, !c->side_, LEAT_WAITERS_), here = leat_glimpse_(ch, c->side_);
        uint64_t n = leat_sends_(c) ? ch->cap_ - leat_count_(ch, here, there) : leat_count_(ch, there, here);
        if (n >= least) next = leat_resolve_first_(&other->peers_, 0);
#ifndef LEAT_WITHOUT_TWO
        if (next && n >= 2 * least) second = leat_resolve_first_(&other->peers_, 0);
#endif
        if (next) atomic_fetch_and_explicit(&other->at_, ~LEAT_WAITERS_, memory_order_relaxed); /* [X2] */
    }
    leat_lock_drop_(&ch->lock_);
    if (next) leat_wake_(next);
    if (second) leat_wake_(second);
}

/* What a case watches until the slot that it needs next is ready: the slot's stamp. Its present value goes to *seen.
 * NULL: the slot is ready. A thread that spins reads nothing else. To read the far end's position would take its cache
 * line from a thread that is about to move it. */
static inline leat_stamp_ *leat_awaited_(leat_case *c, uint64_t *seen)
{
    uint64_t at = leat_glimpse_(c->chan_, c->side_);
    leat_stamp_ *stamp = leat_stamp_of_(leat_slot_(c->chan_, at, c->size_, c->align_));
    *seen = atomic_load_explicit(stamp, memory_order_relaxed); /* [X5] */
    return leat_ready_at_(c, at) ? NULL : stamp;
}

/* Begins a wait that measures the pace. leat_case_pace_end_ ends it, if there is one. It learns the pace from how long the
 * wait took and how many slots are there. */
static inline void leat_case_pace_begin_(leat_case *c)
{
    c->since_ = (uint32_t)leat_os_now_() | 1;
}

LEAT_WRAPS_ LEAT_COLD_ void leat_case_pace_end_(leat_case *c)
{
    leat_chan *ch = c->chan_;
    if (!c->since_) return;
    uint64_t head = leat_glimpse_(ch, LEAT_RECEIVES_);
    uint64_t tail = leat_glimpse_(ch, LEAT_SENDS_);
    uint64_t there = leat_count_(ch, tail, head);
    uint32_t took = (uint32_t)leat_os_now_() - c->since_;
    leat_pace_learn_(&leat_own_end_(c)->pace_, took, leat_sends_(c) ? ch->cap_ - there : there);
    c->since_ = 0;
}

/* One pause of a spin on the awaited slot. True: poll again. False: it is time to park. */
LEAT_COLD_ bool leat_case_spins_(leat_case *c, leat_spin_ *spin)
{
    uint64_t seen;
    leat_stamp_ *stamp = leat_awaited_(c, &seen);
    if (stamp && !leat_spin_again_(spin, stamp, seen)) return false;
    if (!stamp || !leat_awaited_(c, &seen)) leat_case_pace_end_(c);
    return true;
}

/* For how many ns a sender S of this case is to rest. 0: it is not. While S rests, its node is in the wait queue as if
 * S were parked, but S has not set WAITERS. Nothing that S could have sent would have been received before S is back.
 * What I1 and I6 say of the bit does not apply, because S wakes by itself at a given time. But I5 does apply, because S
 * may be given the wake of a parked sender. So a sender that has been in the queue already, and may have been given a
 * wake there, does not rest (`slept` in leat_select_). */
static inline int64_t leat_case_rests_(leat_case *c)
{
    if (!leat_sends_(c) || c->chan_->cap_ < LEAT_RESTS_) return 0;
    return leat_pace_rest_(&leat_own_end_(c)->pace_, (c->chan_->cap_ + 7) / 8);
}

/* Lingers, in a large ring (part 2). */
LEAT_COLD_ void leat_case_lingers_(leat_case *c)
{
#ifdef LEAT_WITHOUT_LINGER
    return;
#endif
    if (c->chan_->cap_ < LEAT_AWAY_ || !(leat_sends_(c) || leat_pace_lingers_(&leat_own_end_(c)->pace_))) return;
    uint64_t seen;
    leat_case_pace_begin_(c);
    leat_pause_(LEAT_AWAY_, NULL, 0);
    if (!leat_sends_(c) || !leat_awaited_(c, &seen)) leat_case_pace_end_(c); /* else it is measured to its end */
}

/* How a wait for one case begins: it lingers, then watches the slot for a microsecond. Returns what leat_move_ returns. */
LEAT_COLD_ int leat_wait_first_(leat_ctx *ctx, leat_ctx *also, leat_case *c)
{
    if (!c->chan_->slots_ || !leat_spin_pays_() || leat_case_rests_(c)) return -EAGAIN;
    leat_case_lingers_(c);
    uint64_t seen;
    leat_stamp_ *stamp = leat_awaited_(c, &seen);
    if (stamp && !leat_pause_(LEAT_AWAY_, stamp, seen)) return -EAGAIN;
    leat_case_pace_end_(c);
    return leat_try_fast_(ctx, also, c);
}

/* ==== 6. Select, how everything waits =========================================================
 *
 * A case is one send or receive that a call would do. A blocking send is a select of one case.
 *
 * I7  A select enqueues its nodes with the locks of all its channels held, which it takes in the order of the
 *     channels' addresses. So of two selects that could serve each other, the second sees the first.
 * I8  A context that is done wins. A call under a context first reads what it may take (acquire), then asks the
 *     context, then claims. It enqueues in its contexts before it enqueues where it waits. So if a thread X cancels and
 *     then sends, a receiver that sees the message sees the cancel, too: the cancel happens-before the send. And a
 *     receiver that is parked was resolved by the cancel before the send could find it. */

/* Which of the cases that are ready is done. LEAT_BY_LOT_: each has the same chance. LEAT_LOWEST_: the one with the
 * lowest index. */
enum { LEAT_BY_LOT_, LEAT_LOWEST_ };

static inline uint32_t leat_draw_(int which, uint32_t n)
{
    return which == LEAT_BY_LOT_ ? leat_random_(n) : 0;
}

/* Does the case that is ready, or `which` of those that are. Returns its index, or -EAGAIN, LEAT_IN_FLIGHT_, or the error
 * of a context. First it tries one case by lot: where most are ready, that mostly succeeds, and is no less fair. Then it
 * looks at all, the last case first. So if each draw is 0, the lowest that is ready remains. A claim in flight may have
 * made a case ready whose index is lower still, and the caller is to poll again. */
LEAT_COLD_ int leat_poll_which_(int which, leat_ctx *ctx, leat_ctx *also, leat_case *cases, size_t n)
{
    if (!n) return -EAGAIN;
    for (size_t pick = leat_draw_(which, (uint32_t)n);;) {
        int err = cases[pick].chan_ ? leat_try_case_(ctx, also, &cases[pick]) : -EAGAIN;
        if (!err || err == -EPIPE) {
            cases[pick].err = err;
            return (int)pick;
        }
        if (n == 1 || (err != -EAGAIN && err != LEAT_IN_FLIGHT_)) return err;
        uint32_t ready = 0;
        bool busy = false;
        for (size_t i = n; i-- > 0;) {
            int seen = cases[i].chan_ ? leat_poll_case_(&cases[i]) : -EAGAIN;
            if (seen == LEAT_IN_FLIGHT_) {
                busy = true;
                if (which == LEAT_LOWEST_) ready = 0;
            } else if (seen != -EAGAIN && leat_draw_(which, ++ready) == 0) {
                pick = i;
            }
        }
        if (!ready) return busy ? LEAT_IN_FLIGHT_ : -EAGAIN;
    }
}

LEAT_HOT_ int leat_poll_(leat_ctx *ctx, leat_ctx *also, leat_case *cases, size_t n)
{
    return leat_poll_which_(LEAT_BY_LOT_, ctx, also, cases, n);
}

static inline bool leat_before_(const leat_case *a, const leat_case *b)
{
    return a->chan_ != b->chan_ ? (uintptr_t)a->chan_ < (uintptr_t)b->chan_ : a->lot_ < b->lot_;
}

static inline leat_case *leat_merge_(leat_case *a, leat_case *b)
{
    leat_case *first = NULL, **end = &first;
    while (a && b) {
        leat_case **next = leat_before_(b, a) ? &b : &a;
        *end = *next;
        end = &(*end)->order_;
        *next = *end;
    }
    *end = a ? a : b;
    return first;
}

/* Chains the cases that have a channel, in the order of the channels' addresses. The order of cases of one channel is
 * by lot, or by index (`which`), because the first in the wait queue is the first to be served. Merges sorted chains of
 * 1, 2, 4.. cases, like the bits of a counter. */
LEAT_COLD_ leat_case *leat_in_order_(int which, leat_case *cases, size_t n)
{
    if (n == 1) {
        cases->order_ = NULL;
        return cases->chan_ ? cases : NULL;
    }
    leat_case *chains[32] = { NULL }, *all = NULL;
    for (size_t i = 0; i < n; i++) {
        leat_case *c = &cases[i];
        if (!c->chan_) continue;
        c->lot_ = which == LEAT_BY_LOT_ ? leat_random_(UINT32_MAX) : (uint32_t)i;
        c->order_ = NULL;
        size_t k = 0;
        for (; chains[k]; chains[k++] = NULL) c = leat_merge_(chains[k], c);
        chains[k] = c;
    }
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) all = leat_merge_(chains[k], all);
    return all;
}

static inline void leat_lock_all_(leat_case *first)
{
    for (leat_case *c = first, *last = NULL; c; last = c, c = c->order_)
        if (!last || last->chan_ != c->chan_) leat_lock_take_(&c->chan_->lock_);
}

static inline void leat_unlock_all_(leat_case *first)
{
    for (leat_case *c = first, *last = NULL; c; last = c, c = c->order_)
        if (!last || last->chan_ != c->chan_) leat_lock_drop_(&c->chan_->lock_);
}

typedef struct leat_enqueuing_ {
    leat_case *first_, *to_front_; /* the cases in order; the one, or NULL, whose node goes to the front of its queue */
    uint64_t bit_;                 /* the bit that calls for a wake, or 0 */
    leat_spin_ *spin_;             /* NULL: the thread has spun already */
    bool entered_;                 /* result: the nodes are in the queues */
} leat_enqueuing_;

/* Enqueues the waiter for every case, or for none if for one it need not park (I7). */
LEAT_COLD_ void leat_enqueue_all_(leat_enqueuing_ *a, leat_waiter_ *w)
{
    leat_case *c = a->first_;
    leat_node_ *chain = NULL, **end = &chain; /* pollables, to which this thread is a partner of a rendezvous */
    leat_lock_all_(a->first_);
    while (c && leat_may_park_(c, a->bit_)) c = c->order_;
    a->entered_ = !c; /* check all before the first is enqueued: two cases may be each other's peers */
    for (c = a->entered_ ? a->first_ : NULL; c; c = c->order_) {
        c->link_.waiter_ = w;
        (c == a->to_front_ ? leat_enqueue_front_ : leat_enqueue_)(&leat_far_end_(c)->peers_, &c->link_);
        if (LEAT_RARELY_(leat_own_end_(c)->pollables_.first_))
            end = leat_resolve_all_(&leat_own_end_(c)->pollables_, 0, end);
    }
    leat_unlock_all_(a->first_);
    leat_wake_all_(chain);
}

/* Called by leat_block_ before the thread parks. If spin_ is set, the thread spins here, with its nodes in the queues and
 * without a lock. */
LEAT_COLD_ bool leat_enqueue_and_spin_(void *what, leat_waiter_ *w)
{
    leat_enqueuing_ *a = (leat_enqueuing_ *)what;
    leat_enqueue_all_(a, w);
    if (a->entered_ && a->spin_) leat_spin_until_woken_(w, a->spin_);
    return a->entered_;
}

/* Takes the waiter out of the queues where it still is. Returns the case by which it was woken, or NULL. Nothing of that
 * case's channel is touched: once its message is delivered, the channel may be gone. */
LEAT_COLD_ leat_case *leat_dequeue_all_(leat_case *first, leat_waiter_ *w)
{
    leat_case *won = NULL;
    for (leat_case *c = first; c; c = c->order_) {
        if (w->won_ == &c->link_) {
            won = c;
            continue;
        }
        leat_lock_take_(&c->chan_->lock_);
        leat_dequeue_(&leat_far_end_(c)->peers_, &c->link_);
        leat_lock_drop_(&c->chan_->lock_);
    }
    return won;
}

static inline bool leat_ctx_due_by_(leat_ctx *ctx, int64_t time)
{
    while (ctx && !(ctx->deadline_ && ctx->deadline_ < time)) ctx = ctx->parent_;
    return ctx != NULL;
}

/* Until when this case is to rest. LEAT_FOREVER: it is not to rest. Close to its deadline no thread rests. */
LEAT_COLD_ int64_t leat_rest_until_(leat_case *c, leat_ctx *ctx, leat_ctx *also)
{
    int64_t rest = leat_case_rests_(c);
    if (!rest) return LEAT_FOREVER;
    int64_t until = leat_after(rest), by = leat_after(2 * rest);
    return leat_ctx_due_by_(ctx, by) || leat_ctx_due_by_(also, by) ? LEAT_FOREVER : until;
}

/* Waits until one of the cases is done, and returns its index, or until a context is done, and returns its error.
 *
 *     for (;;) {
 *         poll all cases and the contexts; if one is done, break
 *         if another thread's claim is in flight { back off; continue }        it will be done soon: no parking (I6)
 *         if buffered and too early to park { pause; continue }                part 2
 *         enqueue at the contexts; lock all channels                           leat_block_, I7
 *         set WAITERS at each far end; look again; if still nothing, enqueue   I6; else unlock, dequeue, continue
 *         unlock; if unbuffered, spin a while; park; dequeue from all          leat_park_: until woken, or a deadline
 *         if handed off, return that case                                      a rendezvous: the message has been copied
 *         if woken, wake the next if there is more                             I5; then poll again: a wake is only a hint
 *     }
 *     if woken by a channel and not taking from it, wake the next there        I5
 *
 * Its variables: `r` is what the last poll said. `first` chains the cases in the order of their locks, and is NULL until
 * needed. `only` is the case, if there is one case and its channel is buffered. `woken` is the case by which the thread was
 * woken last. `slept`: it has been in the wait queues. `busy` counts the backs-off in a row. `until` is when a sender that
 * rests comes back (leat_case_rests_): it parks without WAITERS. */
LEAT_COLD_ int leat_select_which_(int which, leat_ctx *ctx, leat_ctx *also, leat_case *cases, size_t n)
{
    leat_case *first = NULL, *only = NULL, *woken = NULL;
    bool buffered = true; /* a rendezvous needs one side in the queue, so the thread spins after it has enqueued */
    bool slept = false;
    int r, err;
    leat_spin_ spin = LEAT_SPIN_;
    for (unsigned busy = 0;;) {
        r = leat_poll_which_(which, ctx, also, cases, n);
        if (r != -EAGAIN && r != LEAT_IN_FLIGHT_) break;
        if ((err = leat_ctx_err_of_(ctx, also, 0)) != 0) {
            r = err;
            break;
        }
        if (r == LEAT_IN_FLIGHT_) {
            leat_backoff_(&busy);
            continue;
        }
        if (!first) {
            if ((first = leat_in_order_(which, cases, n)) == NULL && !ctx && !also) return -EDEADLK;
            for (leat_case *c = first; c; c = c->order_) buffered &= c->chan_->slots_ != NULL;
            if (buffered && n == 1) only = first;
        }
        int64_t until = only && !slept ? leat_rest_until_(only, ctx, also) : LEAT_FOREVER;
        bool rests = until < LEAT_FOREVER;
        if (!rests && buffered && (only ? leat_case_spins_(only, &spin) : leat_spin_again_(&spin, NULL, 0))) continue;
        leat_enqueuing_ a = { first, woken, rests ? 0 : LEAT_WAITERS_, buffered ? NULL : &spin, false };
        if (rests) leat_case_pace_begin_(only);
        leat_waiter_ w;
        leat_waiter_init_(&w);
        leat_block_(&w, ctx, also, until, leat_enqueue_and_spin_, &a);
        if (a.entered_) {
            woken = leat_dequeue_all_(first, &w);
            if (woken && woken->link_.err_ == LEAT_HANDED_OFF_) {
                leat_os_done_(&w.state_);
                woken->err = 0;
                return (int)(woken - cases);
            }
            if (woken && only) leat_case_pace_end_(only);
            if (woken) leat_wake_next_(woken, 2);
            slept = true;
            busy = 0;
            spin = woken ? (leat_spin_)LEAT_SPIN_WOKEN_ : (leat_spin_)LEAT_SPIN_;
        }
        leat_os_done_(&w.state_);
        if (!a.entered_ || woken) continue;
        int64_t now = leat_now(); /* perhaps a context's deadline woke the thread: compare it exactly */
        if (rests && now >= until) leat_case_pace_end_(only);
        if ((r = leat_ctx_err_of_(ctx, also, now)) != 0) break;
    }
    if (r >= 0) leat_spin_end_(&spin);
    if (woken && (r < 0 || cases[r].chan_ != woken->chan_ || cases[r].side_ != woken->side_)) leat_wake_next_(woken, 1);
    return r;
}

LEAT_HOT_ int leat_select_(leat_ctx *ctx, leat_ctx *also, leat_case *cases, size_t n)
{
    return leat_select_which_(LEAT_BY_LOT_, ctx, also, cases, n);
}

/* The try form. leat_try_case_ is exact for one case. Several cases are polled one after another. That none was ready
 * at one instant is certain only if a second look finds nothing changed. By [C2] the second look sees at least
 * everything that came before what the first look saw. So it needs no order of its own. */
LEAT_COLD_ int leat_try_select_which_(int which, leat_ctx *ctx, leat_case *cases, size_t n)
{
    for (unsigned busy = 0;; leat_backoff_(&busy)) {
        int r = leat_poll_which_(which, ctx, NULL, cases, n);
        if (r != -EAGAIN && r != LEAT_IN_FLIGHT_) return r;
        bool same = r == -EAGAIN;
        for (size_t i = 0; same && n > 1 && i < n; i++) {
            leat_case *c = &cases[i];
            if (!c->chan_) continue;
            for (int side = 0; side < 2; side++) {
                uint64_t at = leat_glimpse_(c->chan_, side);
                if ((at ^ c->seen_[side]) & ~LEAT_WAITERS_) same = false;
            }
        }
        if (same) return -EAGAIN;
    }
}

LEAT_HOT_ int leat_try_select_(leat_ctx *ctx, leat_case *cases, size_t n)
{
    return leat_try_select_which_(LEAT_BY_LOT_, ctx, cases, n);
}

/* ==== 7. Channels ============================================================================= */

LEAT_HOT_ leat_case leat_case_(leat_chan *ch, int side, void *msg, size_t size, size_t align)
{
    return (leat_case){
        .chan_ = ch, .side_ = side, .size_ = (uint32_t)size, .align_ = (uint32_t)align, .link_ = { .msg_ = msg }
    };
}

LEAT_HOT_ leat_case leat_send_case_(leat_chan *ch, const void *msg, size_t size, size_t align)
{
    return leat_case_(ch, LEAT_SENDS_, leat_to_read_(msg), size, align);
}

/* The slow path of leat_do_. Below: that of leat_try_. leat_many_ has both. */
LEAT_COLD_ int leat_wait_case_(leat_ctx *ctx, leat_chan *ch, int side, void *msg, size_t size, size_t align)
{
    leat_case c = leat_case_(ch, side, msg, size, align);
    int r = leat_wait_first_(ctx, NULL, &c);
    if (r == -EAGAIN) r = leat_select_(ctx, NULL, &c, 1);
    return r < 0 ? r : c.err;
}

LEAT_COLD_ int leat_try_case_again_(leat_chan *ch, int side, void *msg, size_t size, size_t align)
{
    leat_case c = leat_case_(ch, side, msg, size, align);
    int r = leat_try_select_(NULL, &c, 1);
    return r < 0 ? r : c.err;
}

/* errno, to be saved and restored around calloc and free. It is volatile because clang believes that they leave errno
 * alone, and would leave out both. */
#define LEAT_ERRNO_ (*(volatile int *)&errno)

/* Calls free, and keeps errno. A C library may set errno where it gives memory back to the system. */
static inline void leat_quiet_free_(void *p)
{
    int saved = LEAT_ERRNO_;
    free(p);
    LEAT_ERRNO_ = saved;
}

/* Zeroed memory, or NULL. errno stays. calloc's pages that no thread has touched are zero, so they cost nothing yet.
 * Memory of aligned_alloc would need a memset of all of it. Where the alignment is larger than calloc's, the pointer
 * that calloc returned is stored just ahead of the memory. */
LEAT_COLD_ void *leat_zeroed_(size_t n, size_t size, size_t align)
{
    int saved = LEAT_ERRNO_;
    bool over = align > LEAT_OS_ALIGNED_;
    unsigned char *p = (unsigned char *)(over ? calloc(1, n * size + align) : calloc(n, size));
    LEAT_ERRNO_ = saved;
    if (!p || !over) return p;
    unsigned char *at = p + align - (uintptr_t)p % align;
    memcpy(at - sizeof p, &p, sizeof p);
    return at;
}

/* Frees memory of leat_zeroed_, given the same alignment. */
LEAT_COLD_ void leat_zeroed_free_(void *at, size_t align)
{
    void *p = at;
    if (at && align > LEAT_OS_ALIGNED_) memcpy(&p, (unsigned char *)at - sizeof p, sizeof p);
    leat_quiet_free_(p);
}

LEAT_COLD_ int leat_make_(leat_chan *ch, size_t cap, size_t size, size_t align)
{
    uint64_t lap = LEAT_POS_;
    size_t stride = leat_stride_(size, align);
    if (!ch || size > INT32_MAX || cap > PTRDIFF_MAX / stride) return -EINVAL;
    *ch = (leat_chan){ .slots_ = NULL };
#ifdef LEAT_DEBUG
    atomic_store_explicit(&ch->self_, (uintptr_t)ch, memory_order_relaxed); /* [X5] */
#endif
    if (!cap) return 0;
    while (lap / LEAT_POS_ < cap) lap *= 2;
    if ((ch->slots_ = (unsigned char *)leat_zeroed_(cap, stride, align)) == NULL) return -ENOMEM;
#ifdef LEAT_DEBUG
    ch->seal_ = ~((uintptr_t)ch->slots_ ^ (uintptr_t)ch);
#endif
    ch->cap_ = cap;
    ch->lap_ = lap;
    return 0;
}

/* leat_make_ has made a channel with ends for one thread. An unbuffered one has none: there each call takes the lock. */
LEAT_COLD_ void leat_make_ones_(leat_chan *ch, int ones)
{
    uint64_t fenced = leat_os_fence_all_() ? 0 : LEAT_FENCED_;
    if (!ch->slots_) return;
    ch->ones_ = ones;
    for (int side = 0; side < 2; side++)
        if (leat_is_one_(ch, side)) atomic_store_explicit(&ch->ends_[side].at_, fenced, memory_order_relaxed); /* [X6] */
}

LEAT_HOT_ int leat_make_for_(leat_chan *ch, size_t cap, size_t size, size_t align, int ones)
{
    int err = leat_make_(ch, cap, size, align);
    if (ones && !err) leat_make_ones_(ch, ones);
    return err;
}

LEAT_COLD_ void leat_free_(leat_chan *ch, size_t align)
{
    if (!ch) return;
    leat_zeroed_free_(ch->slots_, align);
    *ch = (leat_chan){ .ends_ = { { .at_ = LEAT_CLOSING_ | LEAT_CLOSED_ } } }; /* [LEAT_SENDS_] */
#ifdef LEAT_DEBUG
    atomic_store_explicit(&ch->self_, LEAT_FREED_, memory_order_relaxed); /* [X5] */
#endif
}

/* leat_do_: a send or a receive. leat_try_: the form that does not wait. `ones`, here and below: which ends are for one
 * thread. A constant, so inlined it costs nothing. */
LEAT_HOT_ int leat_do_(leat_ctx *ctx, leat_chan *ch, int side, void *msg, size_t size, size_t align, int ones)
{
    if (LEAT_RARELY_(!ch || !msg)) return -EINVAL;
    int err = (ones >> side & 1 ? leat_move_one_ : leat_move_)(ctx, NULL, ch, side, msg, size, align);
    if (LEAT_USUALLY_(err != -EAGAIN)) return err;
    return leat_wait_case_(ctx, ch, side, msg, size, align);
}

LEAT_HOT_ int leat_try_(leat_chan *ch, int side, void *msg, size_t size, size_t align, int ones)
{
    if (LEAT_RARELY_(!ch || !msg)) return -EINVAL;
    int err = (ones >> side & 1 ? leat_move_one_ : leat_move_)(NULL, NULL, ch, side, msg, size, align);
    if (LEAT_USUALLY_(err != -EAGAIN)) return err;
    return leat_try_case_again_(ch, side, msg, size, align);
}

LEAT_HOT_ int leat_send_(leat_ctx *ctx, leat_chan *ch, const void *msg, size_t size, size_t align, int ones)
{
    return leat_do_(ctx, ch, LEAT_SENDS_, leat_to_read_(msg), size, align, ones);
}

LEAT_HOT_ int leat_recv_(leat_ctx *ctx, leat_chan *ch, void *msg, size_t size, size_t align, int ones)
{
    return leat_do_(ctx, ch, LEAT_RECEIVES_, msg, size, align, ones);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_send_(leat_chan *ch, const void *msg, size_t size, size_t align, int ones)
{
    return leat_try_(ch, LEAT_SENDS_, leat_to_read_(msg), size, align, ones);
}

LEAT_HOT_ int leat_try_recv_(leat_chan *ch, void *msg, size_t size, size_t align, int ones)
{
    return leat_try_(ch, LEAT_RECEIVES_, msg, size, align, ones);
}

/* A batch: moves as many messages as it can at once, but at least one. It waits for that one if `waits`. */
LEAT_HOT_ ptrdiff_t leat_many_(leat_ctx *ctx, leat_chan *ch, int side, bool waits, void *msgs, size_t n, size_t size,
                               size_t align, int ones)
{
    if (LEAT_RARELY_(!ch || !msgs || n > PTRDIFF_MAX)) return -EINVAL;
    if (LEAT_RARELY_(!n)) return leat_ctx_err(ctx);
    ptrdiff_t k = leat_move_some_(ctx, ch, side, (unsigned char *)msgs, n, size, align, ones);
    if (LEAT_USUALLY_(k)) return k;
    if (!ch->slots_) n = 1;
    k = waits ? leat_wait_case_(ctx, ch, side, msgs, size, align) : leat_try_case_again_(ch, side, msgs, size, align);
    if (k) return k;
    if (n > 1) k = leat_move_some_(ctx, ch, side, (unsigned char *)msgs + size, n - 1, size, align, ones);
    return k < 0 ? 1 : 1 + k; /* one was moved before a context was done */
}

LEAT_MUST_CHECK_ LEAT_HOT_ ptrdiff_t leat_send_many_(leat_ctx *ctx, leat_chan *ch, bool waits, const void *msgs, size_t n,
                                                     size_t size, size_t align, int ones)
{
    return leat_many_(ctx, ch, LEAT_SENDS_, waits, leat_to_read_(msgs), n, size, align, ones);
}

LEAT_MUST_CHECK_ LEAT_HOT_ ptrdiff_t leat_recv_many_(leat_ctx *ctx, leat_chan *ch, bool waits, void *msgs, size_t n,
                                                     size_t size, size_t align, int ones)
{
    return leat_many_(ctx, ch, LEAT_RECEIVES_, waits, msgs, n, size, align, ones);
}

/* Closes, but does not wake any thread yet. Between setting CLOSING and setting CLOSED it resolves every waiter, into
 * the chain that ends at **end, so that nothing is accessed after CLOSED (I4). A thread that meets CLOSING alone waits
 * for CLOSED. */
LEAT_COLD_ int leat_close_quietly_(leat_chan *ch, leat_node_ ***end)
{
    leat_end_ *tail = &ch->ends_[LEAT_SENDS_], *head = &ch->ends_[LEAT_RECEIVES_];
    uint64_t t = atomic_fetch_or_explicit(&tail->at_, LEAT_CLOSING_, memory_order_acquire); /* [E2] <- [E1], [F2] <- [F1] */
    if (t & LEAT_CLOSING_) {
        for (unsigned round = 0; !(t & LEAT_CLOSED_); leat_backoff_(&round))
            t = atomic_load_explicit(&tail->at_, memory_order_acquire); /* [E2] <- [E1] */
        return -EALREADY;
    }
    if (leat_is_one_(ch, LEAT_SENDS_)) leat_fence_claims_(tail);
    leat_lock_take_(&ch->lock_);
    *end = leat_resolve_all_(&head->peers_, -EPIPE, leat_resolve_all_(&tail->peers_, -EPIPE, *end));
    *end = leat_resolve_all_(&head->pollables_, 0, leat_resolve_all_(&tail->pollables_, 0, *end));
    leat_lock_drop_(&ch->lock_);
    atomic_fetch_or_explicit(&tail->at_, LEAT_CLOSED_, memory_order_release); /* [E1] -> [E2] */
    return 0;
}

LEAT_COLD_ int leat_close_(leat_chan *ch)
{
    leat_node_ *chain = NULL, **end = &chain;
    if (!ch) return -EINVAL;
    int err = leat_close_quietly_(ch, &end);
    leat_wake_all_(chain);
    return err;
}

LEAT_HOT_ size_t leat_len_(leat_chan *ch, int ones)
{
    if (!ch || !ch->slots_) return 0;
    leat_end_ *to = &ch->ends_[LEAT_SENDS_], *from = &ch->ends_[LEAT_RECEIVES_];
    _Atomic(uint64_t) *head = ones & LEAT_ONE_RECEIVER ? &from->pos_ : &from->at_;
    _Atomic(uint64_t) *tail = ones & LEAT_ONE_SENDER ? &to->pos_ : &to->at_;
    for (;;) {
        uint64_t h = atomic_load_explicit(head, memory_order_acquire);                             /* [C2] <- [C1] */
        uint64_t t = atomic_load_explicit(tail, memory_order_acquire);                             /* [C2] <- [C1] */
        if (leat_position_(h) == leat_position_(atomic_load_explicit(head, memory_order_relaxed))) /* [X5] */
            return (size_t)leat_count_(ch, t, h);
    }
}

LEAT_HOT_ size_t leat_cap_(const leat_chan *ch)
{
    return ch ? (size_t)ch->cap_ : 0;
}

LEAT_HOT_ bool leat_is_closed_(leat_chan *ch)
{
    return ch && atomic_load_explicit(&ch->ends_[LEAT_SENDS_].at_, memory_order_acquire) & LEAT_CLOSED_; /* [E2] <- [E1] */
}

/* ---- Pollables ----
 *
 * A pollable stands for a thread that would wait, but sleeps in poll(). Its waiter has a descriptor. It is armed while it
 * is WAITING, with its node in the queue pollables_ of the far end. The thread that resolves it takes it out, and wakes it
 * as it wakes a thread, only that it first writes to the descriptor. Then it is WOKEN: told, and not armed. LEFT: it is
 * neither armed nor told.
 *
 * I9  A pollable is told, and takes nothing. No thread knows when the loop will come to try, so a parked thread loses no
 *     wake to it: a thread that makes something ready tells all pollables armed there, in addition to the one waiter that
 *     it resolves. A pollable is armed as a thread parks: under the lock, after it has set WAITERS and has found nothing
 *     ready (I6). So the next claim sees the bit, and tells it: until there is something, no thread clears the bit.
 *     At an unbuffered channel nothing is claimed. There a thread that parks tells the pollables of the other side, as it
 *     is what they wait for. No pollable is in peers_, so no thread takes one for its partner in a rendezvous. */

/* A pollable: the caller's, to be made by one of the three calls below. It must stay where it is until it is closed. */
typedef struct leat_pollable {
    leat_case case_; /* where it is armed. Its chan_ is NULL for a context's */
    leat_waiter_ waiter_;
    leat_ctx *ctx_;
    leat_node_ *nodes_; /* one for the context and each of its ancestors */
    int ends_[2];       /* of the descriptor: to poll, to write. 0: not made, or closed */
} leat_pollable;

static inline uint32_t leat_pollable_state_(leat_pollable *w)
{
    return atomic_load_explicit(&w->waiter_.state_.word_, memory_order_relaxed); /* [X3] leat_park_ reads it again */
}

/* Only the owner calls this, and only while the pollable is in no queue. */
static inline void leat_pollable_is_(leat_pollable *w, uint32_t state)
{
    atomic_store_explicit(&w->waiter_.state_.word_, state, memory_order_relaxed); /* [X3] the lock orders it */
}

LEAT_COLD_ int leat_pollable_make_(leat_pollable *w)
{
    *w = (leat_pollable){ .ctx_ = NULL };
    int err = leat_os_fd_make_(w->ends_);
    if (err) {
        w->ends_[0] = 0;
        return err;
    }
    leat_waiter_init_(&w->waiter_);
    w->waiter_.fd_ = w->ends_[1];
    return 0;
}

/* Arms it, if its case is not ready. */
LEAT_COLD_ bool leat_pollable_arm_(leat_pollable *w)
{
    leat_case *c = &w->case_;
    leat_pollable_is_(w, LEAT_WAITING_);
    leat_lock_take_(&c->chan_->lock_);
    bool arms = leat_may_park_(c, c->chan_->slots_ ? LEAT_WAITERS_ : 0);
    if (arms) leat_enqueue_(&leat_far_end_(c)->pollables_, &c->link_);
    leat_lock_drop_(&c->chan_->lock_);
    if (!arms) leat_pollable_is_(w, LEAT_LEFT_);
    return arms;
}

LEAT_COLD_ int leat_pollable_(leat_pollable *w, leat_chan *ch, int side)
{
    if (!w || !ch) return -EINVAL;
    int err = leat_pollable_make_(w);
    if (err) return err;
    w->case_ = leat_case_(ch, side, NULL, 0, 1);
    w->case_.link_.waiter_ = &w->waiter_;
    if (!leat_pollable_arm_(w)) leat_wake_(&w->case_.link_);
    return w->ends_[0];
}

/* ==== 8. The names to call ====================================================================
 *
 * `c` is a pointer to a LEAT_CHAN(T). `m` and `a` are T * (for sending also const T *). Anything else does not compile.
 * Any thread may call any of them, except make and free: no other thread may use the channel then. Messages are copied
 * in and out. What they point to is up to the two sides. */

/* The type of a channel of T: typedef LEAT_CHAN(struct job) job_chan; all-zero is an unbuffered channel. T is any type
 * that a variable can have, also char[16], void (*)(int), struct { int a, b; }, but not const, because messages are
 * written. */
/* clang-format off */
#define LEAT_CHAN(...) LEAT_CHAN_FOR(0, __VA_ARGS__)
/* LEAT_CHAN, where some ends are for one thread: typedef LEAT_CHAN_FOR(LEAT_ONE_SENDER | LEAT_ONE_RECEIVER, struct job)
 * feed_chan. LEAT_ONE_SENDER: from make to free, one thread alone makes all calls that send. LEAT_ONE_RECEIVER: likewise
 * for those that receive. Any thread may close the channel, and ask for its length. A call at such an end costs half as
 * much. A thread that parks at the other end, or that closes, pays for that, a few microseconds. A topic does not take
 * such a channel. The program must keep the promise. LEAT_DEBUG checks it. */
#ifdef __cplusplus
template <class T, int Ones> union leat_chan_for_ {
    leat_chan chan;
    T *type_;
    char (*ones_)[1 + Ones];
};
#define LEAT_CHAN_FOR(ones, ...) leat_chan_for_<__typeof__(__VA_ARGS__), (ones)>
#else
#define LEAT_CHAN_FOR(ones, ...)        \
    union {                             \
        leat_chan chan;                 \
        __typeof__(__VA_ARGS__) *type_; \
        char (*ones_)[1 + (ones)];      \
    }
#endif

/* clang-format on */
#ifdef LEAT_DEBUG

/* The channel, checked at the beginning of a call. */
LEAT_COLD_ leat_chan *leat_chan_at_(void *c, const char *file, int line)
{
    leat_chan *ch = (leat_chan *)c;
    uintptr_t self = 0;
    leat_file_ = file;
    leat_line_ = line;
    if (!ch || atomic_compare_exchange_strong_explicit(&ch->self_, &self, (uintptr_t)ch, memory_order_relaxed, /* [X5] */
                                                       memory_order_relaxed))
        return ch;
    if (self == LEAT_FREED_) LEAT_BLAME_("this channel was freed", file, line);
    else if (self != (uintptr_t)ch) LEAT_BLAME_("this is a copy of a channel: pass a pointer to it instead", file, line);
    return ch;
}

/* Checks at the beginning of make. The memory may have had any use before. A channel without slots may have been left
 * without a free. */
LEAT_LOOKS_AT_ALL_ LEAT_COLD_ leat_chan *leat_new_at_(void *c, const char *file, int line)
{
    leat_chan *ch = (leat_chan *)c;
    if (ch && atomic_load_explicit(&ch->self_, memory_order_relaxed) == (uintptr_t)ch && /* [X5] */
        ch->slots_ && ch->seal_ == ~((uintptr_t)ch->slots_ ^ (uintptr_t)ch))
        LEAT_BLAME_("this channel was made before, and not freed", file, line);
    return ch;
}

/* Checks at the beginning of free. A channel that was freed may be freed again. */
LEAT_COLD_ leat_chan *leat_old_at_(void *c, const char *file, int line)
{
    leat_chan *ch = (leat_chan *)c;
    if (!ch || atomic_load_explicit(&ch->self_, memory_order_relaxed) == LEAT_FREED_) return ch; /* [X5] */
    leat_chan_at_(ch, file, line);
    if (ch->ends_[0].peers_.first_ || ch->ends_[1].peers_.first_)
        LEAT_BLAME_("this channel is freed while threads wait on it", file, line);
    if (ch->ends_[0].pollables_.first_ || ch->ends_[1].pollables_.first_)
        LEAT_BLAME_("this channel is freed while a pollable is armed on it: close that before", file, line);
    return ch;
}

#define LEAT_CHAN_(c) leat_chan_at_(c, __FILE__, __LINE__)
#define LEAT_NEW_(c) leat_new_at_(c, __FILE__, __LINE__)
#define LEAT_OLD_(c) leat_old_at_(c, __FILE__, __LINE__)

#else

/* The channel, or NULL. &NULL->chan would not be a valid address. */
LEAT_HOT_ leat_chan *leat_chan_of_(void *c)
{
    return (leat_chan *)c;
}

#define LEAT_CHAN_(c) leat_chan_of_(c)
#define LEAT_NEW_(c) leat_chan_of_(c)
#define LEAT_OLD_(c) leat_chan_of_(c)

#endif

#ifndef __cplusplus
/* clang-format off */
struct leat_wrong_message_type { int pointer_to_the_message_type_of_the_channel_expected; };
struct leat_const_message_type { int messages_are_written_so_their_type_cannot_be_const; };
/* Of c: T, the type of its messages (LEAT_T_), the leat_chan * (LEAT_C_), the size and alignment of T (LEAT_OF_). Of m:
 * a pointer to read (LEAT_IN_) or write (LEAT_OUT_). Where a type is wrong, it is a struct that no function takes. */
#define LEAT_T_(c) __typeof__(*(c)->type_)
#define LEAT_C_(c) LEAT_UNLESS_CONST_(c, LEAT_CHAN_(c), &(c)->chan)
#define LEAT_UNLESS_CONST_(c, x, typed) \
    (1 ? _Generic((c)->type_, const LEAT_T_(c) *: (struct leat_const_message_type){ 0 }, default: x) : typed)
#define LEAT_IN_(c, m) _Generic((m), const LEAT_T_(c) *: (m), default: LEAT_OUT_(c, m)) /* nested: one type if T is const */
#define LEAT_OUT_(c, m) _Generic((m), LEAT_T_(c) *: (m), default: (struct leat_wrong_message_type){ 0 })
#define LEAT_OF_(c) sizeof(LEAT_T_(c)), _Alignof(LEAT_T_(c))
#define LEAT_ONES_(c) ((int)sizeof *(c)->ones_ - 1)
#define LEAT_HOW_(c) LEAT_OF_(c), LEAT_ONES_(c)
/* The first of two arguments, and the second. The first stays whole even if it is a compound literal with commas. */
#define LEAT_FIRST_(...) __builtin_choose_expr(1, __VA_ARGS__)
#define LEAT_SECOND_(...) __builtin_choose_expr(0, __VA_ARGS__)

/* clang-format on */
/* int leat_make(c, size_t capacity): makes a channel that holds exactly `capacity` messages. With 0 it is unbuffered: a
 * send and a receive meet. Do not call it on a channel that is in use.
 * 0: made. -ENOMEM: no memory. -EINVAL: c is NULL, or the capacity is beyond reason. */
#define leat_make(c, capacity) leat_make_for_(LEAT_UNLESS_CONST_(c, LEAT_NEW_(c), &(c)->chan), capacity, LEAT_HOW_(c))

/* void leat_free(c): frees the slots, with the messages that are still in them. What is left is a closed channel: a
 * later call gets -EPIPE, another leat_free does nothing, and leat_make makes it new. No other thread may be using the
 * channel. But a thread that learned from the channel itself that it is not needed any more may free it at once. It
 * learns that by the last message or by -EPIPE. It need not wait until the call that sent that message, or closed the
 * channel, has returned. */
#define leat_free(c) leat_free_((1 ? LEAT_OLD_(c) : &(c)->chan), _Alignof(LEAT_T_(c)))

/* int leat_send(c, m): copies *m in. Waits while the channel is full (unbuffered: until the message was received). Into
 * a ring of 256 or more whose receivers are slow, it may wait up to a millisecond after there is room (part 2).
 * 0: sent, and it will be received if some thread receives until -EPIPE. -EPIPE: closed, not sent.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED or -ETIMEDOUT when ctx is done, not sent.
 * (m is variadic so that a compound literal may have commas.) */
#define leat_send(c, ...) leat_send_(NULL, LEAT_C_(c), LEAT_IN_(c, (__VA_ARGS__)), LEAT_HOW_(c))
#define leat_try_send(c, ...) leat_try_send_(LEAT_C_(c), LEAT_IN_(c, (__VA_ARGS__)), LEAT_HOW_(c))
#define leat_send_ctx(ctx, c, ...) leat_send_(ctx, LEAT_C_(c), LEAT_IN_(c, (__VA_ARGS__)), LEAT_HOW_(c))

/* int leat_recv(c, m): takes the oldest message into *m. Waits while there is none.
 * 0: received. -EPIPE: closed and drained. After any error *m is untouched.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED or -ETIMEDOUT when ctx is done, nothing taken. */
#define leat_recv(c, m) leat_recv_(NULL, LEAT_C_(c), LEAT_OUT_(c, m), LEAT_HOW_(c))
#define leat_try_recv(c, m) leat_try_recv_(LEAT_C_(c), LEAT_OUT_(c, m), LEAT_HOW_(c))
#define leat_recv_ctx(ctx, c, m) leat_recv_(ctx, LEAT_C_(c), LEAT_OUT_(c, m), LEAT_HOW_(c))

/* ptrdiff_t leat_send_many(c, a, size_t n): sends a[0], a[1].. in order. Sends as many as go in without waiting, but at
 * least one, and waits for that one. Returns how many were sent (n = 0: 0). If none was sent, it returns the errors of
 * leat_send, and its two other forms return those of theirs. One claim moves the whole batch. (a and n are variadic so
 * that a compound literal may have commas: leat_send_many(&c, (int[]){ 1, 2, 3 }, 3).) */
#define leat_send_many(c, ...) \
    leat_send_many_(NULL, LEAT_C_(c), true, LEAT_IN_(c, LEAT_FIRST_(__VA_ARGS__)), LEAT_SECOND_(__VA_ARGS__), LEAT_HOW_(c))
#define leat_try_send_many(c, ...) \
    leat_send_many_(NULL, LEAT_C_(c), false, LEAT_IN_(c, LEAT_FIRST_(__VA_ARGS__)), LEAT_SECOND_(__VA_ARGS__), LEAT_HOW_(c))
#define leat_send_many_ctx(ctx, c, ...) \
    leat_send_many_(ctx, LEAT_C_(c), true, LEAT_IN_(c, LEAT_FIRST_(__VA_ARGS__)), LEAT_SECOND_(__VA_ARGS__), LEAT_HOW_(c))

/* ptrdiff_t leat_recv_many(c, a, size_t n): receives up to n messages into a[0].., but at least one, and waits for that
 * one. Returns how many (n = 0: 0). If none was taken, it returns the errors of leat_recv, and its two other forms
 * return those of theirs. */
#define leat_recv_many(c, a, n) leat_recv_many_(NULL, LEAT_C_(c), true, LEAT_OUT_(c, a), n, LEAT_HOW_(c))
#define leat_try_recv_many(c, a, n) leat_recv_many_(NULL, LEAT_C_(c), false, LEAT_OUT_(c, a), n, LEAT_HOW_(c))
#define leat_recv_many_ctx(ctx, c, a, n) leat_recv_many_(ctx, LEAT_C_(c), true, LEAT_OUT_(c, a), n, LEAT_HOW_(c))

/* int leat_close(c): ends sending. Senders that wait get -EPIPE. Receivers drain what was sent, then get -EPIPE. A send
 * that races with the close either returns 0, and its message is received, or returns -EPIPE.
 * 0: closed. -EALREADY: it was closed before (and is closed when this call returns). */
#define leat_close(c) leat_close_(LEAT_C_(c))

/* size_t leat_len(c), leat_cap(c), bool leat_is_closed(c): snapshots. They may be out of date when the caller reads
 * them. */
#define leat_len(c) leat_len_(LEAT_C_(c), LEAT_ONES_(c))
#define leat_cap(c) leat_cap_(LEAT_C_(c))
#define leat_is_closed(c) leat_is_closed_(LEAT_C_(c))

/* int leat_pollable_recv(leat_pollable *w, c): makes a descriptor that is readable when leat_try_recv(c, m) may succeed, or
 * would return -EPIPE. For poll(), select(), epoll, kqueue and the loops of other libraries.
 * int leat_pollable_send(w, c): the same for leat_try_send.
 *     int fd = leat_pollable_recv(&w, &results);                   // add it to the loop for reading, level or edge
 *     while (epoll_wait(loop, &event, 1, -1) == 1) {
 *         if (event.data.fd == fd) {
 *             do while ((err = leat_try_recv(&results, &r)) == 0) use(&r);
 *             while (err == -EAGAIN && leat_pollable_rearm(&w));   // true: it is ready again, so try again
 *             if (err == -EPIPE) break;
 *         }
 *     }
 *     leat_pollable_close(&w);                                     // after it was taken out of the loop
 * Exactly: it is armed when it is made. Once there is something to try, the descriptor becomes readable, and stays
 * so, whatever becomes of the channel, until leat_pollable_rearm. Another thread may have been faster, so a try may still
 * return -EAGAIN. A pollable takes no message and no wake: threads that wait on the same channel get theirs as if
 * it were not there. Arming costs the other side one wake and one write, and nothing more until it is armed again.
 * Returns the descriptor: 3 or more, closed by exec, w's own, only to be polled. Or -EINVAL (w or c is NULL), -EMFILE,
 * -ENFILE, -ENOMEM or -ENOSYS from the system.
 * One thread at a time may use w. It must not move until it is closed. While it may be armed, the channel must not be
 * freed. */
#define leat_pollable_recv(w, c) leat_pollable_(w, LEAT_C_(c), LEAT_RECEIVES_)
#define leat_pollable_send(w, c) leat_pollable_(w, LEAT_C_(c), LEAT_SENDS_)

#else /* C++: the same calls. The channel's type says T, and whether an end is for one thread */

template <class T> struct leat_message_ {
    static_assert(__is_trivially_copyable(T),
                  "leat: a message is copied as bytes, so its type must be trivially copyable (leat.hpp can send others)");
    enum : size_t { size = sizeof(T), align = alignof(T) };
};
template <class T> struct leat_message_<const T> {
    static_assert(sizeof(T) == 0, "leat: messages are written, so their type cannot be const");
    enum : size_t { size = sizeof(T), align = alignof(T) };
};

template <class T, class M> struct leat_same_ {
    enum : bool { yes = false };
};
template <class T> struct leat_same_<T, T> {
    enum : bool { yes = true };
};

/* A pointer to messages to read, and to write. */
template <class T, class M> LEAT_HOT_ const T *leat_in_(M *m)
{
    static_assert(leat_same_<const T, const M>::yes, "leat: a pointer to the message type of the channel is expected");
    return m;
}

template <class T, class M> LEAT_HOT_ T *leat_out_(M *m)
{
    static_assert(leat_same_<const T, const M>::yes, "leat: a pointer to the message type of the channel is expected");
    static_assert(!leat_same_<const M, M>::yes, "leat: a message is received into this object, so it cannot be const");
    return m;
}

/* What is sent is *m, or m itself where it is no pointer, or where messages are such pointers. */
template <class T, class P, bool Same = leat_same_<const T, const P>::yes> struct leat_if_pointer_ {
    typedef int type;
};
template <class T, class P> struct leat_if_pointer_<T, P, true> {
};

/* clang-format off */
#ifdef LEAT_DEBUG
#define LEAT_CALL_ , const char *file = __builtin_FILE(), int line = __builtin_LINE() /* where the program calls it */
#define LEAT_C_(c) leat_chan_at_(c, file, line)
#define LEAT_OF_CALL_(at) at(c, file, line)
#else
#define LEAT_CALL_
#define LEAT_C_(c) leat_chan_of_(c)
#define LEAT_OF_CALL_(at) leat_chan_of_(c)
#endif
#define LEAT_CHAN_OF_T_ leat_chan_for_<T, Ones>
#define LEAT_OF_T_ leat_message_<T>::size, leat_message_<T>::align
#define LEAT_CALL_OF_C_(result) template <class T, int Ones> LEAT_HOT_ result
#define LEAT_CALL_OF_M_(result) template <class T, int Ones, class M> LEAT_HOT_ result
#define LEAT_COUNT_OF_M_ template <class T, int Ones, class M> LEAT_MUST_CHECK_ LEAT_HOT_ ptrdiff_t
#define LEAT_SENDS_P_(result) template <class T, int Ones, class M, typename leat_if_pointer_<T, M *>::type = 0> LEAT_HOT_ result
#define LEAT_M_ const typename leat_is_<T>::type &m
/* clang-format on */

LEAT_CALL_OF_C_(int) leat_make(LEAT_CHAN_OF_T_ *c, size_t capacity LEAT_CALL_)
{
    return leat_make_for_(LEAT_OF_CALL_(leat_new_at_), capacity, LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_C_(void) leat_free(LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    leat_free_(LEAT_OF_CALL_(leat_old_at_), leat_message_<T>::align);
}

LEAT_SENDS_P_(int) leat_send(LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_send_(NULL, LEAT_C_(c), leat_in_<T>(m), LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_C_(int) leat_send(LEAT_CHAN_OF_T_ *c, LEAT_M_ LEAT_CALL_)
{
    return leat_send_(NULL, LEAT_C_(c), &m, LEAT_OF_T_, Ones);
}

LEAT_SENDS_P_(LEAT_MUST_CHECK_ int) leat_try_send(LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_try_send_(LEAT_C_(c), leat_in_<T>(m), LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_C_(LEAT_MUST_CHECK_ int) leat_try_send(LEAT_CHAN_OF_T_ *c, LEAT_M_ LEAT_CALL_)
{
    return leat_try_send_(LEAT_C_(c), &m, LEAT_OF_T_, Ones);
}

LEAT_SENDS_P_(int) leat_send_ctx(leat_ctx *ctx, LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_send_(ctx, LEAT_C_(c), leat_in_<T>(m), LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_C_(int) leat_send_ctx(leat_ctx *ctx, LEAT_CHAN_OF_T_ *c, LEAT_M_ LEAT_CALL_)
{
    return leat_send_(ctx, LEAT_C_(c), &m, LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_M_(int) leat_recv(LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_recv_(NULL, LEAT_C_(c), leat_out_<T>(m), LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_M_(int) leat_try_recv(LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_try_recv_(LEAT_C_(c), leat_out_<T>(m), LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_M_(int) leat_recv_ctx(leat_ctx *ctx, LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_recv_(ctx, LEAT_C_(c), leat_out_<T>(m), LEAT_OF_T_, Ones);
}

LEAT_COUNT_OF_M_ leat_send_many(LEAT_CHAN_OF_T_ *c, M *a, size_t n LEAT_CALL_)
{
    return leat_send_many_(NULL, LEAT_C_(c), true, leat_in_<T>(a), n, LEAT_OF_T_, Ones);
}

LEAT_COUNT_OF_M_ leat_try_send_many(LEAT_CHAN_OF_T_ *c, M *a, size_t n LEAT_CALL_)
{
    return leat_send_many_(NULL, LEAT_C_(c), false, leat_in_<T>(a), n, LEAT_OF_T_, Ones);
}

LEAT_COUNT_OF_M_ leat_send_many_ctx(leat_ctx *ctx, LEAT_CHAN_OF_T_ *c, M *a, size_t n LEAT_CALL_)
{
    return leat_send_many_(ctx, LEAT_C_(c), true, leat_in_<T>(a), n, LEAT_OF_T_, Ones);
}

LEAT_COUNT_OF_M_ leat_recv_many(LEAT_CHAN_OF_T_ *c, M *a, size_t n LEAT_CALL_)
{
    return leat_recv_many_(NULL, LEAT_C_(c), true, leat_out_<T>(a), n, LEAT_OF_T_, Ones);
}

LEAT_COUNT_OF_M_ leat_try_recv_many(LEAT_CHAN_OF_T_ *c, M *a, size_t n LEAT_CALL_)
{
    return leat_recv_many_(NULL, LEAT_C_(c), false, leat_out_<T>(a), n, LEAT_OF_T_, Ones);
}

LEAT_COUNT_OF_M_ leat_recv_many_ctx(leat_ctx *ctx, LEAT_CHAN_OF_T_ *c, M *a, size_t n LEAT_CALL_)
{
    return leat_recv_many_(ctx, LEAT_C_(c), true, leat_out_<T>(a), n, LEAT_OF_T_, Ones);
}

LEAT_CALL_OF_C_(int) leat_close(LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_close_(LEAT_C_(c));
}

LEAT_CALL_OF_C_(size_t) leat_len(LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_len_(LEAT_C_(c), Ones);
}

LEAT_CALL_OF_C_(size_t) leat_cap(LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_cap_(LEAT_C_(c));
}

LEAT_CALL_OF_C_(bool) leat_is_closed(LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_is_closed_(LEAT_C_(c));
}

LEAT_CALL_OF_C_(int) leat_pollable_recv(leat_pollable *w, LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_pollable_(w, LEAT_C_(c), LEAT_RECEIVES_);
}

LEAT_CALL_OF_C_(int) leat_pollable_send(leat_pollable *w, LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_pollable_(w, LEAT_C_(c), LEAT_SENDS_);
}

LEAT_SENDS_P_(leat_case) LEAT_SEND(LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_send_case_(LEAT_C_(c), leat_in_<T>(m), LEAT_OF_T_);
}

LEAT_CALL_OF_C_(leat_case) LEAT_SEND(LEAT_CHAN_OF_T_ *c, LEAT_M_ LEAT_CALL_)
{
    return leat_send_case_(LEAT_C_(c), &m, LEAT_OF_T_);
}

/* A temporary is gone before the select begins. */
template <class T, int Ones> leat_case LEAT_SEND(LEAT_CHAN_OF_T_ *c, const typename leat_is_<T>::type &&m) = delete;

LEAT_CALL_OF_M_(leat_case) LEAT_RECV(LEAT_CHAN_OF_T_ *c, M *m LEAT_CALL_)
{
    return leat_case_(LEAT_C_(c), LEAT_RECEIVES_, leat_out_<T>(m), LEAT_OF_T_);
}

#endif

/* Makes a descriptor that tells of a context: readable as soon as it or an ancestor is cancelled, and then for good. A
 * deadline makes nothing readable, because no thread watches the clock: give leat_ctx_deadline to the poll as its
 * time-out. (If the deadline had passed already, the descriptor is readable at once.) The context and its ancestors must not
 * be gone before the pollable is closed. Allocates a node for each of them.
 * Returns the descriptor, or the errors of leat_pollable_recv. -EINVAL: w or ctx is NULL. */
LEAT_COLD_ int leat_pollable_ctx(leat_pollable *w, leat_ctx *ctx)
{
    size_t n = 0;
    if (!w || !ctx) return -EINVAL;
    for (leat_ctx *c = ctx; c; c = c->parent_) n++;
    int err = leat_pollable_make_(w);
    if (err) return err;
    w->ctx_ = ctx;
    if ((w->nodes_ = (leat_node_ *)leat_zeroed_(n, sizeof *w->nodes_, _Alignof(leat_node_))) == NULL) {
        leat_os_done_(&w->waiter_.state_);
        leat_os_fd_close_(w->ends_);
        *w = (leat_pollable){ .ctx_ = NULL };
        return -ENOMEM;
    }
    bool live = true;
    for (leat_node_ *l = w->nodes_; ctx && live; ctx = ctx->parent_, l++) {
        l->waiter_ = &w->waiter_;
        leat_lock_take_(&ctx->lock_);
        live = !atomic_load_explicit(&ctx->word_, memory_order_relaxed); /* [X4] the lock orders it with leat_cancel */
        if (live) leat_enqueue_(&ctx->waiters_, l);
        leat_lock_drop_(&ctx->lock_);
    }
    live = live && !leat_ctx_err_at_(w->ctx_, leat_now());
    if (!live && leat_resolve_(&w->waiter_, LEAT_RESOLVED_)) leat_wake_(w->nodes_); /* else a cancel wakes it */
    return w->ends_[0];
}

/* To be called when a try has returned -EAGAIN, before the descriptor is polled again. False: it is armed, and the
 * descriptor is not readable, but will be. True: it is not armed, as there may be something by now: try again at once,
 * and then call this again. For a context: whether it is done (also by its deadline). */
LEAT_COLD_ bool leat_pollable_rearm(leat_pollable *w)
{
    if (!w || !w->case_.chan_) return w && leat_ctx_err_at_(w->ctx_, leat_now());
    if (leat_is_waiting_(&w->waiter_)) return false; /* still armed */
    if (leat_pollable_state_(w) != LEAT_LEFT_) {
        leat_park_(&w->waiter_, LEAT_FOREVER); /* a wake may still be in flight */
        leat_os_fd_reset_(w->ends_[0]);
    }
    return !leat_pollable_arm_(w);
}

/* Closes the descriptor. Take it out of the loop before. Returns when no other thread uses w any more. A w that is closed,
 * or could not be made, may be closed again. */
LEAT_COLD_ void leat_pollable_close(leat_pollable *w)
{
    if (!w || !w->ends_[0]) return;
    bool left = leat_resolve_(&w->waiter_, LEAT_LEFT_) || leat_pollable_state_(w) == LEAT_LEFT_;
    if (!left) leat_park_(&w->waiter_, LEAT_FOREVER); /* until what has resolved it has let go of it */
    leat_case *c = &w->case_;
    if (c->link_.linked_) {
        leat_lock_take_(&c->chan_->lock_);
        leat_dequeue_(&leat_far_end_(c)->pollables_, &c->link_);
        leat_lock_drop_(&c->chan_->lock_);
    }
    leat_node_ *l = w->nodes_;
    for (leat_ctx *ctx = w->ctx_; ctx; ctx = ctx->parent_, l++) {
        if (!l->linked_) continue; /* a cancel has dequeued it, or it never was in the queue */
        leat_lock_take_(&ctx->lock_);
        leat_dequeue_(&ctx->waiters_, l);
        leat_lock_drop_(&ctx->lock_);
    }
    leat_zeroed_free_(w->nodes_, _Alignof(leat_node_));
    leat_os_done_(&w->waiter_.state_);
    leat_os_fd_close_(w->ends_);
    w->ends_[0] = 0;
    w->case_.chan_ = NULL;
    w->ctx_ = NULL;
}

/* The cases of a select: leat_case cases[] = { LEAT_RECV(&jobs, &job), LEAT_SEND(&acks, &ack) };
 * A NULL channel of the right type is never ready. */
#ifndef __cplusplus
#define LEAT_SEND(c, ...) leat_send_case_(LEAT_C_(c), LEAT_IN_(c, (__VA_ARGS__)), LEAT_OF_(c))
#define LEAT_RECV(c, m) leat_case_(LEAT_C_(c), LEAT_RECEIVES_, LEAT_OUT_(c, m), LEAT_OF_(c))
#endif

/* Waits until one of n cases is ready, does it, and returns its index. Among several that are ready each has the same
 * chance. cases[i].err is 0, or -EPIPE where the channel is closed (which counts as ready, as in Go). Any mix of cases
 * may be used: buffered and unbuffered channels, sends and receives, and the same channel more than once (then the
 * channel must outlive the call). Allocates nothing.
 * Errors: -EDEADLK (no case has a channel, and no context could end the wait), -EINVAL.
 * try: -EAGAIN if at one instant none of the cases was ready. ctx: -ECANCELED or -ETIMEDOUT when ctx (or NULL) is done,
 * and no case was done. */
LEAT_HOT_ int leat_select_ctx(leat_ctx *ctx, leat_case *cases, size_t n)
{
    if ((!cases && n) || n > INT_MAX) return -EINVAL;
    return leat_select_(ctx, NULL, cases, n);
}

LEAT_HOT_ int leat_select(leat_case *cases, size_t n)
{
    return leat_select_ctx(NULL, cases, n);
}

LEAT_HOT_ int leat_try_select(leat_case *cases, size_t n)
{
    if ((!cases && n) || n > INT_MAX) return -EINVAL;
    return leat_try_select_(NULL, cases, n);
}

/* leat_select in the order given: among several cases that are ready, does the one with the lowest index. Returns what
 * leat_select returns.
 * A case that was ready before the call began, and whose message (or room) no other thread took, wins over each case
 * behind it, always. More exactly: when case i is done, each case before it was not ready at some instant of the call. A
 * call that finds none ready waits. What comes first then ends the wait: an unbuffered channel's partner is served at
 * once, and otherwise the call looks at all cases again, in order.
 * So a case that is always ready starves those behind it. And a thread that was stopped in the middle of a send or
 * receive on a case delays the cases behind it, too, because that case may already have been ready. */
LEAT_HOT_ int leat_select_first_ctx(leat_ctx *ctx, leat_case *cases, size_t n)
{
    if ((!cases && n) || n > INT_MAX) return -EINVAL;
    return leat_select_which_(LEAT_LOWEST_, ctx, NULL, cases, n);
}

LEAT_HOT_ int leat_select_first(leat_case *cases, size_t n)
{
    return leat_select_first_ctx(NULL, cases, n);
}

LEAT_HOT_ int leat_try_select_first(leat_case *cases, size_t n)
{
    if ((!cases && n) || n > INT_MAX) return -EINVAL;
    return leat_try_select_which_(LEAT_LOWEST_, NULL, cases, n);
}

#ifdef __cplusplus
#define LEAT_C11_END_
#include "queue.h"
#endif
LEAT_OWN_STYLE_END_
#endif
