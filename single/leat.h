/* leat.h - queue.h semaphore.h pool.h in one file, as `make single` writes it. Each part's head is its manual. */

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
#endif
#include LEAT_CUSTOM_OS
#elif defined _WIN32

/* Windows 8 and later. <windows.h> would fill the program's namespace, so the few functions of the system are declared
 * here, under other names. Nothing is to be linked: all are in kernel32.dll, but for the two that wait and wake. Their
 * import library (-lsynchronization) is not linked by default, so the first wait looks them up. */
#define LEAT_WINDOWS_
#ifdef __cplusplus
#define LEAT_C11_BEGIN_
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
#endif
LEAT_OWN_STYLE_END_
#endif

/* semaphore.h - a weighted, fair, closeable, cancellable counting semaphore, and a wait group.
 *
 *     leat_sem slots = LEAT_SEM(8);             // at most eight at once
 *     leat_acquire(&slots, 1);
 *     work();
 *     leat_release(&slots, 1);
 *
 *
 * WHAT IT IS NOT. Not the system's <semaphore.h>. A file that includes <semaphore.h>, with this header first on the
 * search path, gets both: the system's, with sem_t, and this one. Not shared between processes.
 *
 * RETURN VALUES. As in queue.h, and -EOVERFLOW: the caller released more than was acquired, and nothing changed.
 * Needs queue.h. Each call that can wait has the same three forms as there.
 *
 * OPTIONS. [this file] LEAT_LINT   this file is not marked as a system header, so compilers warn about it too
 *
 * MEMORY ORDER.
 *     label   site                              carries
 *     [M1]    permits released       -> [M2]    what the thread did while it held them
 *     [M2]    permits acquired       <- [M1]
 *     [W1]    a wait group counts    -> [W2]    what the task did
 *     [W2]    a wait sees zero       <- [W1]
 *     [X6]    an optimistic word or limit       nothing: the CAS or the lock decides
 */
#if !defined LEAT_SEMAPHORE_H && defined LEAT_CHAN /* not in C++98, nor while queue.h includes LEAT_CUSTOM_OS */
#define LEAT_SEMAPHORE_H

#if defined LEAT_AS_SYSTEM_HEADER_ /* see LEAT_COLD_ */
#pragma GCC system_header
#endif
LEAT_OWN_STYLE_BEGIN_
#ifdef __cplusplus
#define LEAT_C11_BEGIN_
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
#endif

/* ==== 1. Semaphore ============================================================================
 *
 *     word:  permits (may be below zero after a shrink) | CLOSED | FAIR | WAITERS
 *
 * While no bit is set, acquire and release are one CAS each. While any bit is set, both take the lock. The thread that
 * holds the lock has set WAITERS, so it alone changes the word. It leaves WAITERS set if threads wait and no wake is in
 * flight. So, as with channels:
 *
 * S1  No access after publication. A thread publishes permits in one of two ways. Either it does so by a CAS on a word
 *     without bits, and touches nothing of the semaphore after that. Or it does so under the lock and leaves a bit set,
 *     so that a thread that takes the permits has to wait for the unlock. So a thread that got the permits may free the
 *     semaphore at once.
 * S2  One wake at a time, and it is a hint: the woken thread tries again, and any other thread may be faster (barging).
 *     While the hint is in flight WAITERS is clear. The woken thread sets it again when it takes the lock.
 * S3  A thread that finds that the first in the queue has waited for 1 ms sets FAIR. From then on permits are handed
 *     over in the order of the queue. That ends when the first in the queue has waited for less than 1 ms. So a large
 *     request is not starved by small ones. */

typedef struct leat_sem {
    _Atomic(int64_t) word_;
    _Atomic(int64_t) most_; /* the limit: the word never has more permits */
    leat_lock_ lock_;       /* guards the queue, and the word while a bit is set */
    leat_waitq_ waiters_;
} leat_sem;

typedef struct leat_sem_waiter_ {
    leat_node_ link_;      /* first: its address is that of the whole */
    int64_t need_, since_; /* permits; when it began to wait (leat_now) */
    leat_ctx *ctx_, *also_;
    leat_sem *sem_;
    int err_;    /* what its last try returned. link_.err_: what it was woken with */
    bool woken_; /* a wake has ended its last wait */
} leat_sem_waiter_;

#define LEAT_SEM_WAITERS_ INT64_C(1)
#define LEAT_SEM_FAIR_ INT64_C(2) /* S3 */
#define LEAT_SEM_CLOSED_ INT64_C(4)
#define LEAT_SEM_BITS_ INT64_C(7)
#define LEAT_PERMIT_ INT64_C(8)   /* one permit in the word */
#define LEAT_PATIENCE_ LEAT_MS(1) /* S3 */

/* Initialisers. LEAT_SEM(n) has n permits. LEAT_SEM_OF(start, most) begins with `start` permits and never holds more
 * than `most`. LEAT_SEM_OF(0, LEAT_SEM_MAX) is for signalling. All-zero is valid: such a semaphore never has a
 * permit. */
#define LEAT_SEM_MAX (INT64_MAX / 16)
#define LEAT_SEM(n) LEAT_SEM_OF(n, n)
/* clang-format off */
#ifndef __cplusplus
#define LEAT_SEM_OF(start, most) { .word_ = (int64_t)(start) * LEAT_PERMIT_, .most_ = (most) }
#else
#define LEAT_SEM_OF(start, most) leat_sem_made_(start, most)
constexpr leat_sem leat_sem_made_(int64_t start, int64_t most)
{
    return leat_sem{ start * LEAT_PERMIT_, most, 0, { NULL, NULL } };
}
#endif
/* clang-format on */

static inline int64_t leat_permits_(int64_t word)
{
    return (word & ~LEAT_SEM_BITS_) / LEAT_PERMIT_;
}

/* Takes the lock, and sets a bit so that no other thread changes the word. Returns the word. */
static inline int64_t leat_sem_lock_(leat_sem *s)
{
    leat_lock_take_(&s->lock_);
    return LEAT_SEM_WAITERS_ |
           atomic_fetch_or_explicit(&s->word_, LEAT_SEM_WAITERS_, memory_order_acquire); /* [M2] <- [M1] */
}

static inline void leat_sem_unlock_(leat_sem *s, int64_t word)
{
    atomic_store_explicit(&s->word_, word, memory_order_release); /* [M1] -> [M2] */
    leat_lock_drop_(&s->lock_);
}

/* Whether the first waiter in the queue has waited for 1 ms or more (S3). */
static inline bool leat_sem_late_(const leat_sem *s)
{
    const void *first_link = s->waiters_.first_;
    const leat_sem_waiter_ *first = (const leat_sem_waiter_ *)first_link;
    return first && leat_now() - first->since_ >= LEAT_PATIENCE_;
}

/* Serves the queue with the permits in `word`, and with *extra more, which a release brings. With FAIR it hands permits
 * over, in the order of the queue, as long as they are enough. Without FAIR it gives one hint (S2), to the first waiter,
 * if they are enough for that waiter. A waiter that needs more than most_ gets -EDEADLK.
 * Called under the lock, with the word of leat_sem_lock_. Returns the word for leat_sem_unlock_. *extra is then what is
 * left of the extra permits. The caller wakes *chain after it has dropped the lock. */
LEAT_COLD_ int64_t leat_sem_serve_(leat_sem *s, int64_t word, int64_t *extra, leat_node_ **chain)
{
    bool hinted = false;
    while (s->waiters_.first_ && !hinted) {
        leat_node_ *l = s->waiters_.first_;
        const void *first_link = l;
        int64_t need = ((const leat_sem_waiter_ *)first_link)->need_;
        bool enough = leat_permits_(word) + *extra >= need;
        bool never = need > atomic_load_explicit(&s->most_, memory_order_relaxed); /* [X6] after a shrink */
        bool fair = word & LEAT_SEM_FAIR_;
        if (!enough && !never) {
            if (leat_is_waiting_(l->waiter_)) break;
            leat_dequeue_(&s->waiters_, l); /* a context has ended its wait: the others need not wait for it */
        } else if (never && leat_resolve_node_(&s->waiters_, l, -EDEADLK)) {
            l->next_ = *chain;
            *chain = l;
        } else if (!leat_resolve_node_(&s->waiters_, l, fair ? LEAT_HANDED_OFF_ : 0)) {
            leat_dequeue_(&s->waiters_, l);
        } else {
            l->next_ = *chain;
            *chain = l;
            hinted = !fair;
            if (fair) {
                int64_t here = leat_permits_(word) < 0 ? 0 : leat_permits_(word);
                int64_t from_word = need < here ? need : here;
                word -= from_word * LEAT_PERMIT_;
                *extra -= need - from_word;
                if (!leat_sem_late_(s)) word &= ~LEAT_SEM_FAIR_;
            }
        }
    }
    if (!s->waiters_.first_) word &= ~(LEAT_SEM_WAITERS_ | LEAT_SEM_FAIR_);
    else if (hinted) word &= ~LEAT_SEM_WAITERS_;
    return word;
}

/* Serves the queue with the permits that are there, drops the lock, and wakes the threads that were served. */
LEAT_COLD_ void leat_sem_unlock_and_wake_(leat_sem *s, int64_t word)
{
    leat_node_ *chain = NULL;
    int64_t none = 0;
    leat_sem_unlock_(s, leat_sem_serve_(s, word, &none, &chain));
    leat_wake_all_(chain);
}

/* The fast paths guess the word, and do not read it first. leat_sem_get_ guesses that no permit is acquired, and
 * leat_sem_give_ that only its own n are. A CAS after a wrong guess fails, and has then read the word. If the guess is
 * right, a thread that has just changed the word saves the 5 ns (Ice Lake) that a read between two changes costs. */

/* Publishes n permits if no bit is set and the sum is at most most_. */
LEAT_HOT_ bool leat_sem_give_(leat_sem *s, int64_t n)
{
    int64_t room = (atomic_load_explicit(&s->most_, memory_order_relaxed) - n) * LEAT_PERMIT_, word = room; /* [X6] */
    while (!(word & LEAT_SEM_BITS_) && word <= room)
        if (atomic_compare_exchange_weak_explicit(&s->word_, &word, word + n * LEAT_PERMIT_,
                                                  memory_order_release, /* [M1] -> [M2] */
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* Takes n permits if no bit is set and n are there. */
LEAT_HOT_ bool leat_sem_get_(leat_sem *s, int64_t n)
{
    int64_t word = atomic_load_explicit(&s->most_, memory_order_relaxed) * LEAT_PERMIT_; /* [X6] */
    while (!(word & LEAT_SEM_BITS_) && word >= n * LEAT_PERMIT_)
        if (atomic_compare_exchange_weak_explicit(&s->word_, &word, word - n * LEAT_PERMIT_,
                                                  memory_order_acquire, /* [M2] <- [M1] */
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* The slow path of a release of n permits. The same step raises the limit by `more`. If it sets WAITERS for S1 alone,
 * the next thread that takes the lock clears it. */
LEAT_COLD_ int leat_sem_add_(leat_sem *s, int64_t n, int64_t more)
{
    leat_node_ *chain = NULL;
    int64_t word = leat_sem_lock_(s);
    int64_t most = atomic_load_explicit(&s->most_, memory_order_relaxed); /* [X6] the lock orders it */
    int err = more > LEAT_SEM_MAX - most ? -EINVAL : leat_permits_(word) > most + more - n ? -EOVERFLOW : 0;
    if (!err) atomic_store_explicit(&s->most_, most + more, memory_order_relaxed); /* [X6] */
    int64_t left = err ? 0 : n;
    word = leat_sem_serve_(s, word, &left, &chain);
    if (left && !(word & LEAT_SEM_BITS_)) word |= LEAT_SEM_WAITERS_; /* S1; the next one clears it */
    leat_sem_unlock_(s, word + left * LEAT_PERMIT_);
    leat_wake_all_(chain);
    return err;
}

/* One try under the lock. 0: the permits are taken. -EPIPE: closed, and too few are left. -EDEADLK: n is more than the
 * semaphore can ever hold (only with `self`). -EAGAIN: too few permits are there. If `self` is not NULL, its node is
 * now in the queue: at the front if it had been woken before, else at the back. -ECANCELED: a context is done or about
 * to be, and the caller has to ask it for its error. Contexts are asked after the word was read (queue.h, I8). */
LEAT_COLD_ int leat_sem_try_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n, leat_sem_waiter_ *self)
{
    bool woken = self && self->woken_;
    int64_t word = leat_sem_lock_(s);
    if (!woken && leat_sem_late_(s)) word |= LEAT_SEM_FAIR_;
    int err = -EAGAIN;
    if (leat_ctx_is_ending_(ctx) || leat_ctx_is_ending_(also)) err = -ECANCELED; /* asked after the look (queue.h, I8) */
    else if (leat_permits_(word) >= n && (woken || !(word & LEAT_SEM_FAIR_))) err = 0;
    else if (word & LEAT_SEM_CLOSED_) err = -EPIPE;
    else if (self && n > atomic_load_explicit(&s->most_, memory_order_relaxed)) err = -EDEADLK; /* [X6] */
    if (!err) word -= n * LEAT_PERMIT_;
    if (err == -EAGAIN && self) {
        (woken ? leat_enqueue_front_ : leat_enqueue_)(&s->waiters_, &self->link_);
        if (leat_sem_late_(s)) word |= LEAT_SEM_FAIR_;
        leat_sem_unlock_(s, word);
    } else {
        leat_sem_unlock_and_wake_(s, word);
    }
    return err;
}

/* A thread whose context is done leaves the queue. Or it gives up the hint that it was given. Then the next thread may
 * be served (queue.h, I5). */
LEAT_COLD_ void leat_sem_leave_(leat_sem *s, leat_sem_waiter_ *self)
{
    int64_t word = leat_sem_lock_(s);
    if (self->link_.linked_) leat_dequeue_(&s->waiters_, &self->link_);
    leat_sem_unlock_and_wake_(s, word);
}

/* The fast path under a context. 0, -EAGAIN, or the context's error. Between the read and the CAS other threads may take
 * permits and release them again, and the CAS succeeds all the same. So the contexts are asked after the CAS. */
LEAT_HOT_ int leat_sem_get_ctx_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    if (!leat_sem_get_(s, n)) return -EAGAIN;
    if (LEAT_USUALLY_(!leat_ctx_is_ending_(ctx) && !leat_ctx_is_ending_(also))) return 0;
    if (!leat_sem_give_(s, n)) (void)leat_sem_add_(s, n, 0); /* -EOVERFLOW: another thread released too much */
    return leat_ctx_err_of_(ctx, also, 0);
}

/* The last try before the thread parks, called by leat_block_. True: its node is in the queue, and it may park. */
static inline bool leat_sem_enqueue_(void *what, leat_waiter_ *w)
{
    leat_sem_waiter_ *self = (leat_sem_waiter_ *)what;
    self->link_.waiter_ = w;
    self->err_ = leat_sem_try_(self->ctx_, self->also_, self->sem_, self->need_, self);
    return self->err_ == -EAGAIN;
}

/* The slow path of an acquire. The thread spins, then parks. Before it parks, it tries under the lock. It is woken with
 * its permits (HANDED_OFF), with an error, or with a hint (0), after which it tries again. Or a context ends the wait. */
LEAT_COLD_ int leat_sem_wait_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    int err;
    for (leat_spin_ spin = LEAT_SPIN_;;) {
        int64_t word = atomic_load_explicit(&s->word_, memory_order_relaxed); /* [X6] a CAS would take the cache line */
        if (leat_permits_(word) >= n && (err = leat_sem_get_ctx_(ctx, also, s, n)) != -EAGAIN) {
            leat_spin_end_(&spin);
            return err;
        }
        if ((err = leat_ctx_err_of_(ctx, also, 0)) != 0) return err;
        if (!leat_spin_again_(&spin, NULL, 0)) break;
    }
    leat_sem_waiter_ self = { .need_ = n, .since_ = leat_now(), .ctx_ = ctx, .also_ = also, .sem_ = s };
    for (;;) {
        leat_waiter_ w;
        leat_waiter_init_(&w);
        self.err_ = -ECANCELED; /* stays if a context is done before the try */
        leat_block_(&w, ctx, also, LEAT_FOREVER, leat_sem_enqueue_, &self);
        leat_os_done_(&w.state_);
        if (self.err_ == -EAGAIN) { /* the node was in the queue */
            self.woken_ = w.won_ != NULL;
            if (self.woken_ && self.link_.err_) return self.link_.err_ == LEAT_HANDED_OFF_ ? 0 : self.link_.err_;
        } else if (self.err_ != -ECANCELED) {
            return self.err_;
        }
        if ((err = leat_ctx_err_of_(ctx, also, leat_now())) != 0) {
            leat_sem_leave_(s, &self);
            return err;
        }
    }
}

/* Takes n permits (n >= 0), and waits while too few are there. A call for 0 permits never waits. 0: taken. -EPIPE:
 * closed, and too few are left. -EDEADLK: n is more than the semaphore can ever hold. -EINVAL: bad argument.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED or -ETIMEDOUT when ctx (or NULL) is done, and no permit is taken. A
 * call whose context ends while it takes the permits holds them for an instant. In that instant a try may find too few,
 * and a release of too much may succeed.
 * Any thread may call it. Permits are not tied to threads: another thread may release them. */
LEAT_HOT_ int leat_acquire(leat_sem *s, int64_t n)
{
    if (LEAT_RARELY_(!s || n <= 0 || n > LEAT_SEM_MAX)) return s && !n ? 0 : -EINVAL;
    return LEAT_USUALLY_(leat_sem_get_(s, n)) ? 0 : leat_sem_wait_(NULL, NULL, s, n);
}

LEAT_HOT_ int leat_try_acquire(leat_sem *s, int64_t n)
{
    if (LEAT_RARELY_(!s || n <= 0 || n > LEAT_SEM_MAX)) return s && !n ? 0 : -EINVAL;
    return LEAT_USUALLY_(leat_sem_get_(s, n)) ? 0 : leat_sem_try_(NULL, NULL, s, n, NULL);
}

/* leat_acquire under two contexts, which pool.h needs. */
LEAT_HOT_ int leat_acquire_of_(leat_ctx *ctx, leat_ctx *also, leat_sem *s, int64_t n)
{
    int err = leat_ctx_err_of_(ctx, also, 0);
    if (LEAT_RARELY_(err)) return err;
    if (LEAT_RARELY_(!s || n <= 0 || n > LEAT_SEM_MAX)) return s && !n ? 0 : -EINVAL;
    err = leat_sem_get_ctx_(ctx, also, s, n);
    return LEAT_USUALLY_(err != -EAGAIN) ? err : leat_sem_wait_(ctx, also, s, n);
}

LEAT_HOT_ int leat_acquire_ctx(leat_ctx *ctx, leat_sem *s, int64_t n)
{
    return leat_acquire_of_(ctx, NULL, s, n);
}

/* Gives n permits back (n >= 0). Never waits. Any thread may call it, also after close. 0: given back. -EOVERFLOW: more
 * than were acquired, and nothing changed. -EINVAL: bad argument. */
LEAT_HOT_ int leat_release(leat_sem *s, int64_t n)
{
    if (LEAT_RARELY_(!s || n < 0 || n > LEAT_SEM_MAX)) return -EINVAL;
    return LEAT_USUALLY_(leat_sem_give_(s, n)) ? 0 : leat_sem_add_(s, n, 0);
}

/* Ends all waiting. A thread that waits, or would have to wait, gets -EPIPE. Permits that are there may still be taken,
 * and permits may still be released. Returns 0, or -EALREADY if the semaphore was closed before. */
LEAT_COLD_ int leat_sem_close(leat_sem *s)
{
    if (!s) return -EINVAL;
    int64_t word = leat_sem_lock_(s);
    bool again = word & LEAT_SEM_CLOSED_;
    leat_node_ *chain = NULL;
    leat_resolve_all_(&s->waiters_, -EPIPE, &chain);
    leat_sem_unlock_(s, (word & ~LEAT_SEM_BITS_) | LEAT_SEM_CLOSED_);
    leat_wake_all_(chain);
    return again ? -EALREADY : 0;
}

/* Changes the number of permits by `delta`. Growing serves threads that wait. Shrinking never waits: acquired permits
 * stay acquired, and as they come back the semaphore keeps `delta` fewer of them. Returns 0, or -EINVAL if the total
 * would be below zero or above LEAT_SEM_MAX. Then nothing changed. */
LEAT_COLD_ int leat_sem_resize(leat_sem *s, int64_t delta)
{
    if (!s || delta > LEAT_SEM_MAX || delta < -LEAT_SEM_MAX) return -EINVAL;
    if (delta >= 0) return leat_sem_add_(s, delta, delta);
    int64_t word = leat_sem_lock_(s);
    int64_t most = atomic_load_explicit(&s->most_, memory_order_relaxed) + delta; /* [X6] the lock orders it */
    if (most >= 0) {
        atomic_store_explicit(&s->most_, most, memory_order_relaxed); /* [X6] */
        word += delta * LEAT_PERMIT_;
    }
    leat_sem_unlock_and_wake_(s, word);
    return most < 0 ? -EINVAL : 0;
}

/* How many permits are there. A snapshot. It is below zero after a shrink, until enough permits have been released.
 * NULL: 0. */
LEAT_HOT_ int64_t leat_sem_available(leat_sem *s)
{
    return !s ? 0 : leat_permits_(atomic_load_explicit(&s->word_, memory_order_relaxed)); /* [X6] */
}

/* ==== 2. Wait group ===========================================================================
 *
 * A count of the tasks that are not done yet, and threads that wait for zero. Reusable. */

typedef struct leat_wg {
    _Atomic(int64_t) word_; /* count * 2 | WAITERS */
    leat_lock_ lock_;
    leat_waitq_ waiters_;
} leat_wg;

/* Initialiser; all-zero is LEAT_WG(0). */
/* clang-format off */
#ifndef __cplusplus
#define LEAT_WG(n) { .word_ = (int64_t)(n) * 2 }
#else
#define LEAT_WG(n) leat_wg_made_(n)
constexpr leat_wg leat_wg_made_(int64_t n)
{
    return leat_wg{ n * 2, 0, { NULL, NULL } };
}
#endif
/* clang-format on */

/* Adds n to the count. n may be negative: leat_wg_done(w) adds -1. When the count comes to zero, all threads that wait
 * are released. The call does not touch the wait group after that, so a thread that alone waits for it may free it at
 * once. 0: added. -EOVERFLOW: the count would be below zero, or too large, and is unchanged. -EINVAL: bad argument. */
LEAT_COLD_ int leat_wg_add(leat_wg *w, int64_t n)
{
    if (!w || n > LEAT_SEM_MAX || n < -LEAT_SEM_MAX) return -EINVAL;
    leat_node_ *chain = NULL, **end = &chain;
    int64_t word = atomic_load_explicit(&w->word_, memory_order_relaxed); /* [X6] */
    /* An add that is to bring the count to zero resolves the threads that wait, then tries its CAS. If the count has
     * risen meanwhile, or the add is refused, it wakes those threads with -EAGAIN, and they poll again. */
    for (;;) {
        int64_t count = (word >> 1) + n;
        bool bad = count < 0 || count > LEAT_SEM_MAX;
        if (LEAT_RARELY_(!count && word & 1)) { /* resolve those that wait first: no access after the CAS */
            leat_lock_take_(&w->lock_);
            end = leat_resolve_all_(&w->waiters_, 0, end);
            word = atomic_fetch_and_explicit(&w->word_, ~INT64_C(1), memory_order_relaxed) & ~INT64_C(1); /* [X6] */
            leat_lock_drop_(&w->lock_);
        } else if (LEAT_RARELY_(bad) ||
                   atomic_compare_exchange_weak_explicit(&w->word_, &word, word + n * 2,
                                                         memory_order_acq_rel, /* [W1] -> [W2], [W2] <- [W1] */
                                                         memory_order_relaxed)) {
            for (leat_node_ *l = chain; l && (count || bad); l = l->next_) l->err_ = -EAGAIN; /* the count has risen */
            leat_wake_all_(chain);
            return bad ? -EOVERFLOW : 0;
        }
    }
}

LEAT_HOT_ int leat_wg_done(leat_wg *w)
{
    return leat_wg_add(w, -1);
}

typedef struct leat_wg_waiter_ {
    leat_node_ link_;
    leat_wg *wg_;
    bool entered_;
} leat_wg_waiter_;

/* The last look before the thread parks, called by leat_block_. True: its node is in the queue. */
static inline bool leat_wg_enqueue_(void *what, leat_waiter_ *waiter)
{
    leat_wg_waiter_ *self = (leat_wg_waiter_ *)what;
    leat_wg *w = self->wg_;
    self->link_.waiter_ = waiter;
    leat_lock_take_(&w->lock_);
    self->entered_ = atomic_fetch_or_explicit(&w->word_, 1, memory_order_relaxed) >= 2; /* [X6] else it polls again */
    if (self->entered_) leat_enqueue_(&w->waiters_, &self->link_);
    leat_lock_drop_(&w->lock_);
    return self->entered_;
}

/* Waits until the count is zero, and returns 0. A thread that was released returns 0 even if the count has risen again
 * since, for the next round. What a thread did before its leat_wg_done happens-before this return. -EINVAL: bad
 * argument.
 * try: -EAGAIN if the count is not zero. ctx: -ECANCELED or -ETIMEDOUT when ctx (or NULL) is done. */
LEAT_COLD_ int leat_wg_wait_ctx(leat_ctx *ctx, leat_wg *w)
{
    if (!w) return -EINVAL;
    for (leat_spin_ spin = LEAT_SPIN_;;) {
        bool zero = atomic_load_explicit(&w->word_, memory_order_acquire) < 2; /* [W2] <- [W1] */
        int err = leat_ctx_err(ctx);
        if (err) return err;
        if (zero) {
            leat_spin_end_(&spin);
            return 0;
        }
        if (leat_spin_again_(&spin, NULL, 0)) continue;
        leat_waiter_ waiter;
        leat_waiter_init_(&waiter);
        leat_wg_waiter_ self = { .wg_ = w };
        leat_block_(&waiter, ctx, NULL, LEAT_FOREVER, leat_wg_enqueue_, &self);
        leat_os_done_(&waiter.state_);
        if (waiter.won_ && !self.link_.err_) return 0;
        if (waiter.won_ || !self.entered_) continue; /* woken with -EAGAIN, or it did not park: poll again */
        leat_lock_take_(&w->lock_);
        leat_dequeue_(&w->waiters_, &self.link_);
        leat_lock_drop_(&w->lock_);
        if ((err = leat_ctx_err_at_(ctx, leat_now())) != 0) return err;
    }
}

LEAT_HOT_ int leat_wg_wait(leat_wg *w)
{
    return leat_wg_wait_ctx(NULL, w);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_wg_wait(leat_wg *w)
{
    if (!w) return -EINVAL;
    return atomic_load_explicit(&w->word_, memory_order_acquire) < 2 ? 0 : -EAGAIN; /* [W2] <- [W1] */
}

#ifdef __cplusplus
#define LEAT_C11_END_
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
#endif
LEAT_OWN_STYLE_END_
#endif

/* pool.h - Go's errgroup and worker pool for C programs: bounded, draining, cancellable.
 *
 *     leat_group g = LEAT_GROUP(NULL);                          // errgroup.WithContext
 *     leat_group_limit(&g, 10);                                 // g.SetLimit(10)
 *     for (size_t i = 0; i < n; i++) leat_go(&g, fetch, &urls[i]);
 *     int err = leat_wait(&g);                                  // the first error, which cancelled the rest
 *
 *     leat_pool p;                                              // an executor for jobs of any kind
 *     leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 8 });
 *     leat_submit(&p, work, arg);                               // waits while the queue is full
 *     leat_pool_stop(&p);                                       // no more, drain, join
 *
 *
 * WHAT IT IS NOT. It has no green threads. Each task runs on a thread of the system, so bound the tasks. Pools do not
 * share threads. A worker belongs to one pool.
 *
 * RETURN VALUES. As in queue.h, and:
 *     -ESHUTDOWN    the pool was stopped or aborted, or the group was waited for: it accepts nothing more
 *     -EALREADY     the pool was stopped before. This is harmless
 *     -EDEADLK      the call would wait for ever: for its own pool or group, or for room that only the caller can make
 *     -EAGAIN       also: a thread could not be spawned (the error of pthread_create)
 *     -E2BIG        the value of a job is larger than the pool's value_size
 * Needs queue.h and semaphore.h.
 *
 * WHAT IS PROMISED. A task or job that was accepted (0) runs once, to its end. Only leat_pool_abort may instead pass a
 * job of the pool to the caller's function `dropped`, once. A thread that a job ends (pthread_exit, cancellation; on
 * Windows ExitThread, _endthreadex) is replaced, and the job counts as failed with -EINTR. On Windows the hook
 * worker_fini then runs on another thread. In C++ an exception that leaves a task or job ends that alone, which counts as
 * failed with -EFAULT (see leat_group_rethrow). Hooks, and `dropped`, must not throw. Threads are joined, never detached.
 * A thread that this file spawns blocks the signals that ask the process for something (TERM, INT, CHLD, ALRM,
 * USR1..). The program's own threads handle those. A spawned thread takes the signals that its own faults raise.
 * Profilers and collectors reach a thread by PROF, VTALRM, PWR and the real-time signals. A spawned thread blocks
 * these only if the thread that spawned it blocked them.
 * A program that a job starts inherits that mask, and SIGTERM would not end it. Give it another mask:
 *     sigemptyset(&none);
 *     posix_spawnattr_setsigmask(&attr, &none);
 *     posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
 *     err = posix_spawn(&pid, path, NULL, &attr, argv, environ);
 * or call sigprocmask(SIG_SETMASK, &none, NULL) between fork and exec. system and popen cannot set a mask. For them
 * there is `inherit_signals`, of leat_pool_opts and leat_thread_opts.
 * The child of a fork has copies of all objects, and none of the threads. It must call exec or _exit.
 *
 * MEMORY ORDER. What a task did happens-before the return of leat_wait, by pthread_join.
 *     label   site                              carries
 *     [G1]    the gate shuts, a call leaves  -> [G2]    that a stop began, that the call is over
 *     [G2]    a call enters, stop waits      <- [G1]
 *     [G3]    a signal arrives               -> [G4]    what its thread did before
 *     [G4]    the signals' thread sees it    <- [G3]
 *     [G5]    a registration is changed      -> [G6]    the registration, that a handler is over
 *             a handler leaves
 *     [G6]    a handler enters, a call waits <- [G5]
 *     [G7]    a forked child registers       -> [G8]    the registration, in place of its parent's
 *     [G8]    a handler checks its process   <- [G7]
 *     [G9]    a thread's guard is over       -> [G10]   what the guard did
 *     [G10]   a join sees it                 <- [G9]
 *     [J1]    a job's state changes          -> [J2]    its lane and its thread, what it did, its result
 *     [J2]    a call reads it                <- [J1]
 *     [W3]    a worker runs out of jobs      -> [W4]    that its jobs are counted
 *     [W4]    leat_pool_wait marks it        <- [W3]
 *     [W5]    a job that has returned counts -> [W6]    what it did, what it submitted
 *     [W6]    a call adds the counts up      <- [W5]
 *     [X7]    a lock or a join orders it, or the reader accepts an old value (counters, states)    nothing
 */
#ifndef LEAT_POOL_H
#define LEAT_POOL_H


#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#if !defined LEAT_WINDOWS_
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#if defined __FreeBSD__ || defined __OpenBSD__ || defined __DragonFly__
#include <pthread_np.h>
#endif
#endif
#if defined LEAT_EXCEPTIONS_
extern "C++" {
#include <exception>
#include <new>
}
#endif

#if defined LEAT_AS_SYSTEM_HEADER_ /* see LEAT_COLD_ */
#pragma GCC system_header
#endif
LEAT_OWN_STYLE_BEGIN_
#ifdef __cplusplus
#define LEAT_C11_BEGIN_
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
#endif

/* A task gets the context of its group or pool, and the argument that was submitted with it. The argument is not
 * copied, the task and the caller share it. A task returns 0, or any other int as an error. The error is passed on
 * unchanged. */
typedef int leat_task(leat_ctx *ctx, void *arg);

typedef struct leat_call_ {
    leat_task *fn_;
    void *arg_;
} leat_call_;

typedef LEAT_CHAN(leat_call_) leat_calls_;
typedef LEAT_CHAN(int) leat_ints_;

/* ==== 1. Threads and signals of the system ====================================================
 *
 * All that this file knows of its platform, except what queue.h knows of it. The paragraph from leat_os_mask_t_ to
 * leat_os_name_ is left out with LEAT_CUSTOM_OS. The header that this option names defines its own, or the name alone and
 * LEAT_OS_NO_MASKS_. Windows has a page of its own, at the end.
 *
 *      leat_os_thread_, leat_os_id_   what joins a thread, and what a running thread is known by
 *      leat_os_spawn_                 spawns a thread. It runs a function declared with LEAT_OS_MAIN_, which returns 0 and
 *                                     begins with leat_os_begins_(&thread): from then on its leat_os_thread_ is known
 *      LEAT_OS_GUARD_(thread, fn, arg)  until LEAT_OS_UNGUARD_(), in the same block: if the thread ends itself
 *                                     meanwhile, fn(arg) is called first, or elsewhere (LEAT_OS_ELSEWHERE_) on a thread of
 *                                     the system's. leat_os_join_ waits for that, too
 *      leat_os_shield_                until leat_os_unshield_: the calling thread cannot be cancelled */

#if defined LEAT_WINDOWS_ || defined __EMSCRIPTEN__
#define LEAT_OS_NO_MASKS_ /* no thread has a signal mask */
#endif
#if defined LEAT_OS_NO_MASKS_

typedef int leat_os_mask_t_;

static inline void leat_os_mask_(leat_os_mask_t_ mask)
{
    (void)mask;
}

static inline leat_os_mask_t_ leat_os_mask_workers_(void)
{
    return 0;
}

#endif

#if !defined LEAT_WINDOWS_

typedef pthread_t leat_os_thread_, leat_os_id_;

#define LEAT_OS_MAIN_ void *
#define LEAT_OS_GUARD_(thread, fn, arg) pthread_cleanup_push(fn, arg)
#define LEAT_OS_UNGUARD_() pthread_cleanup_pop(0)
enum { LEAT_OS_ELSEWHERE_ = 0 };

static inline leat_os_id_ leat_os_self_(void)
{
    return pthread_self();
}

static inline bool leat_os_same_(leat_os_id_ a, leat_os_id_ b)
{
    return pthread_equal(a, b);
}

/* What pthread_create writes may come later than the thread's first step, so the thread writes its id itself. RETURN
 * VALUES: 0 or an error number. */
static inline int leat_os_spawn_(leat_os_thread_ *thread, size_t stack_size, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t late;
    int err = pthread_attr_init(&attr);
    (void)thread;
    if (err) return err;
    if (stack_size) err = pthread_attr_setstacksize(&attr, stack_size);
    if (!err) err = pthread_create(&late, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return err;
}

static inline void leat_os_begins_(leat_os_thread_ *thread)
{
    *thread = pthread_self();
}

static inline void leat_os_join_(leat_os_thread_ *thread)
{
    pthread_join(*thread, NULL);
}

static inline int leat_os_shield_(void)
{
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    return cancel;
}

static inline void leat_os_unshield_(int cancel)
{
    pthread_setcancelstate(cancel, &cancel);
}

#if !defined LEAT_CUSTOM_OS

/* A name and a signal mask for the threads that this file spawns. 15 bytes of a name count. leat_os_mask_workers_
 * gives the calling thread the mask of a worker (WHAT IS PROMISED, above), and the threads that it spawns inherit that
 * mask. The function returns the previous mask, for leat_os_mask_. */
#if defined __linux__

typedef struct leat_os_mask_t_ {
    unsigned long words_[8 / sizeof(long)]; /* the first word has the signals below 32 */
} leat_os_mask_t_;

/* `how` is 0 for SIG_BLOCK, 2 for SIG_SETMASK. */
static inline leat_os_mask_t_ leat_os_sigmask_(long how, leat_os_mask_t_ mask)
{
    leat_os_mask_t_ old = { { 0 } };
    leat_os_call_(SYS_rt_sigprocmask, how, (long)&mask, (long)&old, 8);
    return old;
}

static inline void leat_os_mask_(leat_os_mask_t_ mask)
{
    leat_os_sigmask_(2, mask);
}

static inline leat_os_mask_t_ leat_os_mask_workers_(void)
{
    /* ILL 4, TRAP 5, ABRT 6, BUS 7, FPE 8, SEGV 11, SYS 31; VTALRM 26, PROF 27, PWR 30 */
    const unsigned long faults = 0x400004F8, theirs = 0x26000000;
    leat_os_mask_t_ ours = { { 0x7FFFFFFF & ~faults & ~theirs } }, old = leat_os_sigmask_(0, ours);
    ours.words_[0] |= old.words_[0] & ~faults;
    for (size_t i = 1; i < sizeof ours / sizeof(long); i++) ours.words_[i] = old.words_[i];
    leat_os_mask_(ours);
    return old;
}

static inline void leat_os_name_(const char *name)
{
    leat_os_call_(SYS_prctl, 15 /* PR_SET_NAME */, (long)name, 0, 0);
}

#elif defined __EMSCRIPTEN__

static inline void leat_os_name_(const char *name)
{
    (void)name; /* no thread has one */
}

#else

typedef sigset_t leat_os_mask_t_;

static inline void leat_os_mask_(leat_os_mask_t_ mask)
{
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static inline leat_os_mask_t_ leat_os_mask_workers_(void)
{
    static const int faults[] = { SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };
    sigset_t ours, open, old;
    sigfillset(&ours);
    sigemptyset(&open);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        sigdelset(&ours, faults[i]);
        sigaddset(&open, faults[i]);
    }
    sigdelset(&ours, SIGPROF);
    sigdelset(&ours, SIGVTALRM);
#if defined SIGPWR
    sigdelset(&ours, SIGPWR);
#endif
#if defined SIGRTMIN && defined SIGRTMAX
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++) sigdelset(&ours, i);
#endif
    pthread_sigmask(SIG_BLOCK, &ours, &old);
    pthread_sigmask(SIG_UNBLOCK, &open, NULL);
    return old;
}

static inline void leat_os_name_(const char *name)
{
#if defined __APPLE__
    pthread_setname_np(name);
#elif defined __FreeBSD__ || defined __OpenBSD__ || defined __DragonFly__
    pthread_set_name_np(pthread_self(), name);
#elif defined __NetBSD__
    pthread_setname_np(pthread_self(), "%s", (void *)(uintptr_t)name);
#else
    (void)name; /* a nicety that each system spells differently */
#endif
}

#endif

#endif

#if defined __EMSCRIPTEN__
#define LEAT_NO_SIGNALS_
#endif
#if !defined LEAT_NO_SIGNALS_

#if defined __linux__ && !defined SA_NOCLDSTOP /* -std=c11 hides all this */
#if defined __GLIBC__
#include <bits/sigaction.h>
#else
struct sigaction {
    void (*sa_handler)(int);
    unsigned long sa_mask[128 / sizeof(long)];
    int sa_flags;
    void (*sa_restorer)(void);
};
#define SA_NOCLDSTOP 1
#define SA_NOCLDWAIT 2
#define SA_SIGINFO 4
#endif
extern int sigaction(int, const struct sigaction *, struct sigaction *);
#endif

/* A handler must not make the program's own system calls fail with EINTR. Under ThreadSanitizer it must, because
 * ThreadSanitizer delays a handler until the call has returned. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define LEAT_TSAN_
#endif
#elif defined __SANITIZE_THREAD__
#define LEAT_TSAN_
#endif
#if defined LEAT_TSAN_
enum { LEAT_SA_ = SA_SIGINFO };
#elif defined SA_RESTART && defined SA_ONSTACK
enum { LEAT_SA_ = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
#elif defined __alpha__ || defined __sparc__
enum { LEAT_SA_ = SA_SIGINFO | 3 };
#else
enum { LEAT_SA_ = SA_SIGINFO | 0x18000000 };
#endif

/* A handler rings the bell, any number of times. A thread waits for the bell while word_ is what the thread has seen.
 * The wait may also return without a reason. */
typedef struct leat_bell_ {
    _Atomic(uint32_t) word_;
#if defined LEAT_PTHREAD_EVENT_
    int ends_[2];
#endif
} leat_bell_;

#if defined LEAT_PTHREAD_EVENT_

/* A pipe. Neither of its ends is one of the three descriptors that a program may find closed when it starts. */
LEAT_COLD_ int leat_bell_make_(leat_bell_ *b)
{
    int low[2] = { -1, -1 }, err = pipe(low) ? errno : 0;
    for (int i = 0; i < 2 && !err; i++) {
        if ((b->ends_[i] = fcntl(low[i], F_DUPFD, 3)) < 0) {
            err = errno;
            if (i) close(b->ends_[0]);
        } else {
            (void)fcntl(b->ends_[i], F_SETFD, FD_CLOEXEC);
        }
    }
    for (int i = 0; i < 2 && low[0] >= 0; i++) close(low[i]);
    return -err;
}

static inline void leat_bell_free_(leat_bell_ *b)
{
    for (int i = 0; i < 2; i++) close(b->ends_[i]);
}

static inline void leat_bell_ring_(leat_bell_ *b)
{
    if (write(b->ends_[1], "", 1) < 0) return; /* the program has closed the pipe. The waiting thread then polls */
}

static inline void leat_bell_wait_(leat_bell_ *b, uint32_t seen)
{
    char c;
    (void)seen;
    if (read(b->ends_[0], &c, 1) < 0 && errno != EINTR) (void)leat_sleep(LEAT_MS(10));
}

#else

static inline int leat_bell_make_(leat_bell_ *b)
{
    (void)b;
    return 0;
}

static inline void leat_bell_free_(leat_bell_ *b)
{
    (void)b;
}

static inline void leat_bell_ring_(leat_bell_ *b)
{
    leat_os_word_wake_(&b->word_);
}

static inline void leat_bell_wait_(leat_bell_ *b, uint32_t seen)
{
    leat_os_word_wait_(&b->word_, seen, LEAT_FOREVER);
}

#endif

/* Sends the signal to the calling thread once more, from the same sender. It arrives when the handler has returned. */
static inline void leat_send_again_(int sig, void *info)
{
#if defined __linux__ && defined SYS_rt_tgsigqueueinfo && defined SYS_gettid && !defined LEAT_CUSTOM_OS
    if (leat_os_call_(SYS_rt_tgsigqueueinfo, getpid(), leat_os_call_(SYS_gettid, 0, 0, 0, 0), sig, (long)info) == 0) return;
#endif
    (void)info;
    raise(sig);
}

#endif /* LEAT_NO_SIGNALS_ */

#else                      /* LEAT_WINDOWS_ */

extern void *LEAT_OS_CALL_ leat_os_this_(void) LEAT_OS_SYMBOL_(GetCurrentThread, 0);
extern uint32_t LEAT_OS_CALL_ leat_os_this_id_(void) LEAT_OS_SYMBOL_(GetCurrentThreadId, 0);
extern uint32_t LEAT_OS_CALL_ leat_os_resume_(void *) LEAT_OS_SYMBOL_(ResumeThread, 4);
extern uint32_t LEAT_OS_CALL_ leat_os_await_(void *, uint32_t) LEAT_OS_SYMBOL_(WaitForSingleObject, 8);
extern int LEAT_OS_CALL_ leat_os_close_(void *) LEAT_OS_SYMBOL_(CloseHandle, 4);
extern uint32_t LEAT_OS_CALL_ leat_os_slot_make_(void LEAT_OS_CALL_ (*)(void *)) LEAT_OS_SYMBOL_(FlsAlloc, 4);
extern int LEAT_OS_CALL_ leat_os_slot_set_(uint32_t, void *) LEAT_OS_SYMBOL_(FlsSetValue, 8);
extern int LEAT_OS_CALL_ leat_os_slot_free_(uint32_t) LEAT_OS_SYMBOL_(FlsFree, 4);
extern int LEAT_OS_CALL_ leat_os_hand_over_(uint32_t LEAT_OS_CALL_ (*)(void *), void *, uint32_t)
    LEAT_OS_SYMBOL_(QueueUserWorkItem, 12);
extern int LEAT_OS_CALL_ leat_os_on_console_(int LEAT_OS_CALL_ (*)(uint32_t), int) LEAT_OS_SYMBOL_(SetConsoleCtrlHandler, 8);
#if defined LEAT_OS_BEGIN_ /* tests bring their own */
#elif defined __i386__
#define LEAT_OS_BEGIN_ "__beginthreadex"
#else
#define LEAT_OS_BEGIN_ "_beginthreadex"
#endif
extern uintptr_t leat_os_begin_thread_(void *, unsigned, unsigned LEAT_OS_CALL_ (*)(void *), void *, unsigned,
                                       unsigned *) __asm__(LEAT_OS_BEGIN_);

typedef struct leat_os_thread_ {
    void *handle_;
    void (*fn_)(void *); /* its guard */
    void *arg_;
    _Atomic(uint32_t) after_; /* 1: the guard is to be called elsewhere, or is being called. 2: that is over */
} leat_os_thread_;
typedef uint32_t leat_os_id_;
static inline int leat_os_shield_(void)
{
    return 0;
}

static inline void leat_os_unshield_(int cancel)
{
    (void)cancel;
}

static inline leat_os_id_ leat_os_self_(void)
{
    return leat_os_this_id_();
}

static inline bool leat_os_same_(leat_os_id_ a, leat_os_id_ b)
{
    return a == b;
}

typedef long LEAT_OS_CALL_ leat_os_describe_(void *, const wchar_t *);
typedef unsigned char LEAT_OS_CALL_ leat_os_ending_(void);
LEAT_ONE_OF_(_Atomic(uintptr_t), leat_os_describes_); /* as leat_os_waits_ */
LEAT_ONE_OF_(_Atomic(uintptr_t), leat_os_ends_);
#ifdef __cplusplus
#define leat_os_describes_ LEAT_ONE_AS_(leat_atomic_<uintptr_t>, leat_os_describes_)
#define leat_os_ends_ LEAT_ONE_AS_(leat_atomic_<uintptr_t>, leat_os_ends_)
#endif

/* For debuggers and profilers, from Windows 10 on. */
LEAT_COLD_ void leat_os_name_(const char *name)
{
    wchar_t wide[16] = { 0 };
    uintptr_t address = atomic_load_explicit(&leat_os_describes_, memory_order_relaxed); /* [X7] */
    if (!address) address = leat_os_look_up_(&leat_os_describes_, "kernelbase.dll", "SetThreadDescription");
    for (int i = 0; i < 15 && name[i]; i++) wide[i] = (unsigned char)name[i];
    if (address != 1) ((leat_os_describe_ *)address)(leat_os_this_(), wide);
}

/* A thread that ends itself (ExitThread, _endthreadex) runs no more of its own code but the callbacks of its slots of
 * fiber-local storage. The slot of a guarded thread points to its leat_os_thread_. The callback must not wait, because
 * the system may hold a lock for which other threads wait as they begin and end. So it hands over to a thread of the
 * system's pool. The system calls the callback also for a thread that ends the process, where there must be nothing to
 * do: exit() frees the slot first, and without exit() (ExitProcess) the system can be asked. TerminateThread calls
 * nothing. */
LEAT_ONE_OF_(_Atomic(uint32_t), leat_os_slot_); /* its index, plus 1. 0: none */
#ifdef __cplusplus
#define leat_os_slot_ LEAT_ONE_AS_(leat_atomic_<uint32_t>, leat_os_slot_)
#endif

LEAT_COLD_ uint32_t LEAT_OS_CALL_ leat_os_after_end_(void *arg)
{
    leat_os_thread_ *thread = (leat_os_thread_ *)arg;
    thread->fn_(thread->arg_);
    atomic_store_explicit(&thread->after_, 2, memory_order_release); /* [G9] -> [G10] now it may be gone */
    leat_os_word_wake_(&thread->after_);
    return 0;
}

LEAT_COLD_ void LEAT_OS_CALL_ leat_os_at_end_(void *arg)
{
    leat_os_thread_ *thread = (leat_os_thread_ *)arg;
    uintptr_t address = atomic_load_explicit(&leat_os_ends_, memory_order_relaxed);          /* [X7] */
    bool ends = !atomic_load_explicit(&leat_os_slot_, memory_order_relaxed) || address == 1; /* [X7] */
    if (ends || ((leat_os_ending_ *)address)()) return;
    atomic_store_explicit(&thread->after_, 1, memory_order_relaxed); /* [X7] joined below */
    if (!leat_os_hand_over_(leat_os_after_end_, thread, 16 /* it may take long */)) leat_os_after_end_(thread);
}

/* False: the process has no slot left. */
LEAT_COLD_ bool leat_os_has_slot_(void)
{
    uint32_t none = 0;
    if (atomic_load_explicit(&leat_os_slot_, memory_order_relaxed)) return true; /* [X7] */
    leat_os_look_up_(&leat_os_ends_, "ntdll.dll", "RtlDllShutdownInProgress");   /* here, as the callback must not wait
                                                                                * for the loader's lock */
    uint32_t slot = leat_os_slot_make_(leat_os_at_end_);
    if (slot == UINT32_MAX) return false;
    if (!atomic_compare_exchange_strong_explicit(&leat_os_slot_, &none, slot + 1, memory_order_relaxed, /* [X7] */
                                                 memory_order_relaxed))
        leat_os_slot_free_(slot);
    return true;
}

/* The program ends, or a plug-in is unloaded. */
__attribute__((destructor)) LEAT_COLD_ void leat_os_slot_end_(void)
{
    uint32_t slot = atomic_exchange_explicit(&leat_os_slot_, 0, memory_order_relaxed); /* [X7] */
    if (slot) leat_os_slot_free_(slot - 1);
}

static inline void leat_os_guarded_by_(leat_os_thread_ *thread)
{
    uint32_t slot = atomic_load_explicit(&leat_os_slot_, memory_order_relaxed); /* [X7] */
    if (slot) leat_os_slot_set_(slot - 1, thread);
}

static inline void leat_os_guard_(leat_os_thread_ *thread, void (*fn)(void *), void *arg)
{
    thread->fn_ = fn;
    thread->arg_ = arg;
    leat_os_guarded_by_(thread);
}

#define LEAT_OS_MAIN_ unsigned LEAT_OS_CALL_
#define LEAT_OS_GUARD_(thread, fn, arg) leat_os_guard_(thread, fn, arg)
#define LEAT_OS_UNGUARD_() leat_os_guarded_by_(NULL)
enum { LEAT_OS_ELSEWHERE_ = 1 };

/* The thread begins suspended (4), so that it is known before it runs. The size of a stack is what is reserved
 * (0x10000). */
LEAT_COLD_ int leat_os_spawn_(leat_os_thread_ *thread, size_t stack_size, LEAT_OS_MAIN_ (*fn)(void *), void *arg)
{
    unsigned id;
    int saved = errno;
    if (stack_size > INT32_MAX) return EINVAL;
    if (!leat_os_has_slot_()) return EAGAIN;
    uintptr_t handle = leat_os_begin_thread_(NULL, (unsigned)stack_size, fn, arg, 4 | 0x10000, &id);
    errno = saved;
    if (!handle) return EAGAIN;
    memcpy(&thread->handle_, &handle, sizeof handle);
    leat_os_resume_(thread->handle_);
    return 0;
}

static inline void leat_os_begins_(leat_os_thread_ *thread)
{
    (void)thread;
}

static inline void leat_os_join_(leat_os_thread_ *thread)
{
    leat_os_await_(thread->handle_, UINT32_MAX /* INFINITE */);
    while (atomic_load_explicit(&thread->after_, memory_order_acquire) == 1) /* [G10] <- [G9] */
        leat_os_word_wait_(&thread->after_, 1, LEAT_FOREVER);
    leat_os_close_(thread->handle_);
}

#endif

/* ==== 2. Threads ==============================================================================
 *
 * A thread of a group and a worker of a pool are each a leat_thread_ with more fields behind it.
 *
 * L1  A thread is in its list before it is spawned, and until a caller takes it out to join it. It is taken out once,
 *     so it is joined once and freed once.
 * L2  A thread is not joined before its id is known. The thread writes its id (thread_) itself, before it does anything
 *     else. A pool joins only workers that have exited and that no call has pinned (pins_).
 * L3  No thread does what may take long or may call back while it holds the list's lock. Under that lock no thread is
 *     spawned or joined, no context is cancelled, no parked thread is woken, and no hook or task is called. */

typedef struct leat_thread_ {
    struct leat_thread_ *next_;
    struct leat_threads_ *threads_;
    void (*main_)(struct leat_thread_ *);
    void (*on_exit_)(struct leat_thread_ *); /* called when pthread_exit or cancellation has ended a job's thread */
    leat_os_thread_ thread_;                 /* known when started_ */
    int id_;                                 /* its number, for its name and the hooks */
    bool started_, exited_;                  /* exited_: only destructors of pthread keys still run on it */
} leat_thread_;

typedef struct leat_threads_ {
    leat_lock_ lock_; /* guards what follows, and all plain fields of the threads */
    leat_thread_ *list_;
    int joining_; /* threads that were taken out of the list, and are being joined */
    int next_id_;
    leat_thread_ **(*current_)(void);
    bool inherit_signals_;
} leat_threads_;

/* Where a thread keeps a pointer to its own leat_thread_. Each file of a program may have its own copy of this function
 * and of the variable. So the list points to the copy that its threads use, for callers from other files. */
static inline leat_thread_ **leat_current_(void)
{
    static _Thread_local leat_thread_ *current;
    return &current;
}

/* The calling thread's leat_thread_ if it is one of `threads`, also after it has exited. Otherwise NULL. For a group
 * the caller holds the lock, because the first leat_go sets current_. For a pool leat_pool_start has set it. */
static inline leat_thread_ *leat_self_(const leat_threads_ *threads)
{
    leat_thread_ *t = threads->current_ ? *threads->current_() : NULL;
    return t && t->threads_ == threads ? t : NULL;
}

LEAT_COLD_ bool leat_is_own_thread_(leat_threads_ *threads)
{
    leat_lock_take_(&threads->lock_);
    bool own = leat_self_(threads) != NULL;
    leat_lock_drop_(&threads->lock_);
    return own;
}

static inline void leat_thread_exits_(leat_thread_ *t)
{
    leat_lock_take_(&t->threads_->lock_);
    t->exited_ = true;
    leat_lock_drop_(&t->threads_->lock_);
}

static inline void leat_thread_on_exit_(void *arg)
{
    leat_thread_ *t = (leat_thread_ *)arg;
    if (t->exited_) return; /* a second job has ended this thread, which went on after the first */
    if (LEAT_OS_ELSEWHERE_) *t->threads_->current_() = t;
    t->on_exit_(t);
    if (LEAT_OS_ELSEWHERE_) *t->threads_->current_() = NULL;
    leat_thread_exits_(t);
}

/* Keeps the name of threads that are still to be spawned. */
LEAT_COLD_ void leat_threads_keep_name_(char kept[16], const char *name)
{
    int saved = errno;
    snprintf(kept, 16, "%s", name);
    errno = saved;
}

/* Names the calling thread: the first 11 bytes of `name`, and its number. */
LEAT_COLD_ void leat_thread_name_(const char *name, int id)
{
    char whole[32];
    int saved = errno;
    snprintf(whole, sizeof whole, "%.11s-%d", name, id);
    leat_os_name_(whole);
    errno = saved;
}

/* Calls fn(t). If a job ends the thread, the cleanup handler calls on_exit_, on this thread. */
LEAT_COLD_ void leat_thread_run_(leat_thread_ *t, void (*fn)(leat_thread_ *))
{
    LEAT_OS_GUARD_(&t->thread_, leat_thread_on_exit_, t);
    fn(t);
    LEAT_OS_UNGUARD_();
}

LEAT_COLD_ LEAT_OS_MAIN_ leat_thread_main_(void *arg)
{
    leat_thread_ *t = (leat_thread_ *)arg;
    leat_lock_take_(&t->threads_->lock_);
    leat_os_begins_(&t->thread_); /* L2: the thread that spawned it may not know it yet */
    t->started_ = true;
    leat_lock_drop_(&t->threads_->lock_);
    *t->threads_->current_() = t;
    leat_thread_run_(t, t->main_);
    leat_thread_exits_(t);
    return 0;
}

LEAT_COLD_ void leat_threads_add_(leat_threads_ *threads, leat_thread_ *t)
{
    t->threads_ = threads;
    leat_lock_take_(&threads->lock_);
    if (!threads->current_) threads->current_ = leat_current_;
    t->id_ = threads->next_id_++;
    t->next_ = threads->list_;
    threads->list_ = t;
    leat_lock_drop_(&threads->lock_);
}

/* Takes out of the list a thread that could not be spawned. */
LEAT_COLD_ void leat_threads_remove_(leat_threads_ *threads, leat_thread_ *t)
{
    leat_lock_take_(&threads->lock_);
    leat_thread_ **at = &threads->list_;
    while (*at != t) at = &(*at)->next_;
    *at = t->next_;
    if (threads->next_id_ == t->id_ + 1) threads->next_id_--;
    leat_lock_drop_(&threads->lock_);
}

/* Spawns the thread of `t`, the first member of a heap block. After an error the caller frees the block. */
LEAT_COLD_ int leat_spawn_(leat_threads_ *threads, leat_thread_ *t, size_t stack_size)
{
    int saved = errno;
    leat_threads_add_(threads, t); /* L1 */
    leat_os_mask_t_ mask = leat_os_mask_workers_();
    if (threads->inherit_signals_) leat_os_mask_(mask);
    int err = leat_os_spawn_(&t->thread_, stack_size, leat_thread_main_, t); /* L3 */
    leat_os_mask_(mask);
    if (err) leat_threads_remove_(threads, t);
    errno = saved;
    return -err;
}

/* Waits until a spawned thread has written its id. */
static inline void leat_thread_await_start_(leat_thread_ *t)
{
    bool started = false;
    for (unsigned round = 0;; leat_backoff_(&round)) {
        leat_lock_take_(&t->threads_->lock_);
        started = t->started_;
        leat_lock_drop_(&t->threads_->lock_);
        if (started) return;
    }
}

/* Joins and frees a chain of threads that were taken out of their list. */
LEAT_COLD_ void leat_join_(leat_thread_ *t)
{
    int saved = errno, cancel = leat_os_shield_(); /* the calls below must not end the calling thread */
    for (leat_thread_ *next; t; t = next) {
        next = t->next_;
        leat_thread_await_start_(t); /* L2 */
        leat_os_join_(&t->thread_);
        free(t);
    }
    leat_os_unshield_(cancel);
    errno = saved;
}

/* What a call returns after it has found `err`. If a context is done, its error wins (queue.h, I8). */
static inline int leat_unless_done_(leat_ctx *ctx, leat_ctx *also, int err)
{
    int end = leat_ctx_err_of_(ctx, also, 0);
    return end ? end : err;
}

/* ==== 3. Group: tasks on threads, first error cancels =========================================
 *
 * A thread without a task is idle: it waits in the queue waiting_, and there is a permit of idle_ for it. To start a
 * task, leat_go acquires a permit, takes a thread out of the queue, and gives it the task. If there is no permit, it
 * spawns a thread. At the limit it waits for a permit instead. Tasks are never queued. The thread that became idle last
 * is taken first, as it may still be awake.
 *
 * L4  A permit of idle_ stands for a thread in waiting_, or for one of places_. Which thread does not matter: first the
 *     thread is in the queue, then its permit is released, and whoever acquires a permit finds a thread or a place. A
 *     place is left where a thread could not be spawned, or was not, as a context was done. The caller that acquires a
 *     permit takes such a thread, or takes a place and spawns the thread. The thread is then that caller's, which gives
 *     it a task, or puts it back into the queue, with its permit. So a task that was counted has a thread that will run
 *     it, and a task that waits at the limit is not forgotten. Threads and places_ together are at most limit_. A thread
 *     is taken only for a task that is counted as active, and is back in the queue before that count ends. So when no
 *     task is active, all threads are in waiting_.
 * L5  A group ends once. The caller that ends it has seen under the lock that no task is active, and that no end of a
 *     last task is about to touch running_. It has shut the group under that lock. A last task's end touches nothing of
 *     the group after running_ is 0 or, if no caller waited, after it has dropped the lock. It closes closes_ while its
 *     task still counts. What it releases after that is for its own thread, which is joined first.
 * L11 While a stage has active tasks, it counts as one active task of its whole. It begins to count under its own lock,
 *     before its first task does, and ends after its last. So a whole that has no active task has none in its stages
 *     either. A lock of a stage is taken before that of its whole. */

typedef struct leat_group {
    leat_ctx ctx_;
    leat_sem idle_;
    leat_waitq_ waiting_;   /* idle threads, the last one first */
    int64_t active_;        /* tasks accepted, not returned */
    leat_threads_ threads_; /* its lock guards the fields beside it */
    int limit_;             /* 0: none */
    int making_;            /* threads that exist or are being spawned, and places_ */
    int places_;
    int blocked_;       /* tasks that wait in leat_go */
    bool shut_;         /* no more tasks */
    bool used_;         /* there were tasks */
    bool over_;         /* L5 */
    bool awaited_;      /* a caller waits: running_ is 1, and the last task's end makes it 0 */
    leat_sem *shared_;  /* of leat_group_share, or NULL */
    leat_chan *closes_; /* of leat_group_closes, or NULL */
    leat_wg running_;   /* for callers that wait until no task is active */
    leat_chan joined_;  /* closed when all threads are joined */
    _Atomic(int) err_;  /* the first error of a task */
    _Atomic(size_t) errors_;
    struct leat_group *whole_;                /* of leat_group_within, or NULL */
    struct leat_group *stages_, *next_stage_; /* the groups within this one. The next of the same whole */
    leat_thread_ *left_;                      /* the last one that has left as it was idle. It is in the list */
    int64_t idle_ns_;                         /* of leat_thread_opts, as is what follows */
    size_t stack_size_;
    char name_[16];          /* "": the threads get no name */
    _Atomic(void *) thrown_; /* C++: the first exception that left a task, of leat_group_rethrow */
} leat_group;

typedef struct leat_task_thread_ {
    leat_thread_ thread_; /* first */
    leat_group *group_;
    char pad0_[LEAT_LINE_]; /* callers that give it a task write to what follows */
    leat_waiter_ waiter_;   /* the thread waits here for task_ */
    leat_call_ task_;       /* the task that it was given. None: it is to return */
    leat_node_ node_;       /* in waiting_. msg_ points to the whole */
    char pad1_[LEAT_LINE_];
} leat_task_thread_;

/* An initialiser. The group's tasks run under a context of their own, below `parent` (or NULL). */
/* clang-format off */
#ifndef __cplusplus
#define LEAT_GROUP(parent) { .ctx_ = LEAT_CTX(parent), .idle_ = LEAT_SEM_OF(0, LEAT_SEM_MAX) }
#else
#define LEAT_GROUP(parent) leat_group_made_(parent)
constexpr leat_group leat_group_made_(leat_ctx *parent)
{
    return leat_group{ LEAT_CTX(parent), LEAT_SEM_OF(0, LEAT_SEM_MAX) };
}
#endif
/* clang-format on */

/* The context that the group's tasks get. It is done after the first error, with that error as cause, and
 * after leat_wait. */
LEAT_HOT_ leat_ctx *leat_group_ctx(leat_group *g)
{
    return &g->ctx_;
}

/* How many tasks have returned an error so far. 1 means only the task whose error leat_wait returns. */
LEAT_HOT_ size_t leat_group_errors(leat_group *g)
{
    return !g ? 0 : atomic_load_explicit(&g->errors_, memory_order_relaxed); /* [X7] */
}

/* Allows at most n tasks at once (n >= 1). 0. -EINVAL: n < 1, or there have been tasks. */
LEAT_HOT_ int leat_group_limit(leat_group *g, int n)
{
    if (!g || n < 1 || g->used_) return -EINVAL;
    g->limit_ = n;
    return 0;
}

/* For leat_group_threads. A field that is 0 has its default. */
typedef struct leat_thread_opts {
    bool inherit_signals; /* a thread has the signal mask of the thread that spawns it, not that of a worker */
    const char *name;     /* of the threads, copied. 15 bytes count, with the number. NULL: that of the program */
    size_t stack_size;    /* bytes. 0: the system's default */
    int64_t idle;         /* ns after which a thread that has got no task ends. 0: it stays until leat_wait */
} leat_thread_opts;

/* Sets how the group's threads are spawned, and when they end. A thread that has ended because it was idle is joined by
 * the next one that does, or by leat_wait. 0. -EINVAL: there have been tasks, or `idle` is negative. */
LEAT_COLD_ int leat_group_threads(leat_group *g, const leat_thread_opts *opts)
{
    if (!g || !opts || g->used_ || opts->idle < 0) return -EINVAL;
    leat_threads_keep_name_(g->name_, opts->name ? opts->name : "");
    g->threads_.inherit_signals_ = opts->inherit_signals;
    g->stack_size_ = opts->stack_size;
    g->idle_ns_ = opts->idle;
    return 0;
}

/* Makes g a stage of `whole`, such as one step of a pipeline, before the first task of g. The first error of a task of g
 * is also one of whole: it cancels the contexts of whole and of all its stages. leat_wait(whole) waits for the tasks of
 * the stages, too, and then ends the stages as leat_wait does. So g must live until leat_wait(whole) has returned. A
 * caller may also wait for a stage alone. A stage may have stages of its own.
 * 0. -ESHUTDOWN: whole was waited for. -EINVAL: there have been tasks in g, it is a stage already, it has another
 * context as its parent, or whole is within g. */
LEAT_COLD_ int leat_group_within(leat_group *g, leat_group *whole)
{
    if (!g || !whole || g->used_ || g->shut_ || g->whole_) return -EINVAL;
    if (g->ctx_.parent_ && g->ctx_.parent_ != &whole->ctx_) return -EINVAL;
    for (leat_group *above = whole; above; above = above->whole_)
        if (above == g) return -EINVAL;
    leat_lock_take_(&whole->threads_.lock_);
    bool shut = whole->shut_;
    if (!shut) {
        g->whole_ = whole;
        g->ctx_.parent_ = &whole->ctx_;
        g->next_stage_ = whole->stages_;
        whole->stages_ = g;
    }
    leat_lock_drop_(&whole->threads_.lock_);
    return shut ? -ESHUTDOWN : 0;
}

/* Each task holds one permit of *sem while it runs, so *sem limits several groups together. Call this before the
 * first task. The semaphore must outlive the group. It bounds the tasks that run. The group may spawn a few more
 * threads than that, unless leat_group_limit bounds the threads too. A task that starts another while its own permit
 * is the last one waits for itself. This is not detected. 0, -EINVAL. */
LEAT_HOT_ int leat_group_share(leat_group *g, leat_sem *sem)
{
    if (!g || !sem || g->used_) return -EINVAL;
    g->shared_ = sem;
    return 0;
}

/* Counts n tasks as ended: they have returned, or could not be started. With the last one it closes closes_, and the
 * whole counts one less (L11). In the same step the thread `t` (or NULL) becomes idle. The group may then be gone (L5). */
LEAT_COLD_ void leat_task_end_(leat_group *g, int64_t n, leat_task_thread_ *t)
{
    leat_lock_take_(&g->threads_.lock_);
    leat_chan *closes = g->active_ == n ? g->closes_ : NULL;
    if (closes) { /* no task can begin any more, and these n are still active */
        g->closes_ = NULL;
        g->shut_ = true;
        leat_lock_drop_(&g->threads_.lock_);
        leat_close_(closes);
        leat_lock_take_(&g->threads_.lock_);
    }
    g->active_ -= n;
    bool last = n && !g->active_, tells = last && g->awaited_;
    leat_group *whole = last ? g->whole_ : NULL;
    if (tells) g->awaited_ = false;
    if (t) leat_enqueue_front_(&g->waiting_, &t->node_);
    leat_lock_drop_(&g->threads_.lock_);
    if (whole) leat_task_end_(whole, 1, NULL);
    if (tells && leat_wg_done(&g->running_)) LEAT_MISUSE_("a group's count of tasks");
    if (t && leat_release(&g->idle_, 1)) LEAT_MISUSE_("beyond LEAT_SEM_MAX"); /* L4 */
}

/* Notes an error of a task of g, for g and all that it is within, and then cancels the outermost. A task that the cancel
 * ends, and that returns an error for this reason, is not the first. */
LEAT_COLD_ void leat_group_fail_(leat_group *g, int err)
{
    for (;; g = g->whole_) {
        int none = 0;
        atomic_fetch_add_explicit(&g->errors_, 1, memory_order_relaxed);                                 /* [X7] */
        bool first = atomic_compare_exchange_strong_explicit(&g->err_, &none, err, memory_order_relaxed, /* [X7] */
                                                             memory_order_relaxed);
        if (g->whole_) continue;
        if (first) leat_cancel(&g->ctx_, err);
        return;
    }
}

/* Called by a task's thread when the task has returned `err`. The thread `t` becomes idle. */
LEAT_COLD_ void leat_task_done_(leat_group *g, int err, leat_task_thread_ *t)
{
    if (err) leat_group_fail_(g, err);
    if (g->shared_ && leat_release(g->shared_, 1)) LEAT_MISUSE_("shared semaphore over-released");
    leat_task_end_(g, 1, t);
}

static inline leat_task_thread_ *leat_task_thread_of_(leat_thread_ *t)
{
    void *whole = t;
    return (leat_task_thread_ *)whole;
}

/* A task's thread calls the task. In C++ a task may throw. Then it has failed with -EFAULT, and its group (or NULL) and all
 * that this is within keep the exception. What is no exception of C++ passes: the end of a thread by pthread_exit or by a
 * cancellation. */
#ifndef LEAT_EXCEPTIONS_
LEAT_HOT_ int leat_task_call_(leat_call_ task, leat_ctx *ctx, leat_group *g)
{
    (void)g;
    return task.fn_(ctx, task.arg_);
}
#else
union leat_exception_ { /* a std::exception_ptr is one word, which counts as a reference */
    void *raw_;
    std::exception_ptr ptr_;
    leat_exception_(void *word) : raw_(word)
    {
    }
    ~leat_exception_()
    {
    }
};
static_assert(sizeof(std::exception_ptr) == sizeof(void *), "leat: what leat_group_rethrow throws fits in a word");

LEAT_COLD_ void leat_group_throws_(leat_group *g, const std::exception_ptr &thrown)
{
    for (; g; g = g->whole_) {
        void *none = NULL;
        leat_exception_ e(NULL);
        new (&e.ptr_) std::exception_ptr(thrown);
        if (!atomic_compare_exchange_strong_explicit(&g->thrown_, &none, e.raw_, memory_order_relaxed, /* [X7] */
                                                     memory_order_relaxed))
            e.ptr_.~exception_ptr();
    }
}

LEAT_HOT_ int leat_task_call_(leat_call_ task, leat_ctx *ctx, leat_group *g)
{
    try {
        return task.fn_(ctx, task.arg_);
    } catch (...) {
        std::exception_ptr thrown = std::current_exception();
        if (!thrown) throw;
        leat_group_throws_(g, thrown);
        return -EFAULT;
    }
}

/* Throws the first exception that left a task of g, or of a stage of it, if there was one. To be called after leat_wait has
 * returned. leat_wait itself returns the first error: -EFAULT, if that was an exception. Only C++ has this call. A group
 * whose exception is never thrown again keeps the memory of it. If a file in C (or one without exceptions) makes the
 * group's first leat_go, an exception that leaves a task ends the program. */
LEAT_COLD_ void leat_group_rethrow(leat_group *g)
{
    leat_exception_ e(g ? atomic_exchange_explicit(&g->thrown_, NULL, memory_order_relaxed) : NULL); /* [X7] */
    if (!e.raw_) return;
    std::exception_ptr thrown(e.ptr_);
    e.ptr_.~exception_ptr();
    std::rethrow_exception(thrown);
}

/* Forgets it instead (leat.hpp). */
LEAT_COLD_ void leat_group_drop_(leat_group *g)
{
    leat_exception_ e(atomic_exchange_explicit(&g->thrown_, NULL, memory_order_relaxed)); /* [X7] */
    if (e.raw_) e.ptr_.~exception_ptr();
}
#endif

/* A thread gets a new waiter, before it becomes idle. leat_task_await_ ends the waiter. */
static inline void leat_task_thread_init_(leat_task_thread_ *t)
{
    leat_waiter_init_(&t->waiter_);
    t->node_ = (leat_node_){ .waiter_ = &t->waiter_, .msg_ = t };
}

/* Gives a thread that is the caller's a task, or none. No other thread can end this wait, so the waiter goes from WAITING
 * to WOKEN at once (queue.h, part 3). */
static inline void leat_task_give_(leat_task_thread_ *t, leat_call_ job)
{
    t->task_ = job;
    leat_wake_begins_(&t->waiter_);
    leat_wake_(&t->node_);
}

/* A thread that was idle for long leaves the queue, and leaves a place in its stead (L4). It joins the one that has left
 * before it. False: a caller has taken the thread, and will give it a task, or none. */
LEAT_COLD_ bool leat_task_thread_leaves_(leat_task_thread_ *t)
{
    leat_group *g = t->group_;
    leat_thread_ *before = NULL;
    leat_lock_take_(&g->threads_.lock_);
    bool leaves = t->node_.linked_;
    if (leaves) {
        leat_dequeue_(&g->waiting_, &t->node_);
        g->places_++;
        t->task_ = (leat_call_){ .fn_ = NULL };
        before = g->left_;
        g->left_ = &t->thread_;
    }
    if (before) {
        leat_thread_ **at = &g->threads_.list_;
        while (*at != before) at = &(*at)->next_;
        *at = before->next_;
        before->next_ = NULL;
    }
    leat_lock_drop_(&g->threads_.lock_);
    leat_join_(before);
    return leaves;
}

/* Waits until the thread is given a task, or none, or was idle for too long, and ends its waiter. */
LEAT_COLD_ leat_call_ leat_task_await_(leat_task_thread_ *t)
{
    int64_t idle = t->group_->idle_ns_;
    leat_spin_ spin = LEAT_SPIN_;
    leat_spin_until_woken_(&t->waiter_, &spin);
    if (leat_park_(&t->waiter_, idle ? leat_after(idle) : LEAT_FOREVER) && !leat_task_thread_leaves_(t))
        leat_park_(&t->waiter_, LEAT_FOREVER);
    leat_os_done_(&t->waiter_.state_);
    return t->task_;
}

/* What a thread of a group does: the tasks that it is given, until it is given none. */
static inline void leat_group_main_(leat_thread_ *thread)
{
    leat_task_thread_ *t = leat_task_thread_of_(thread);
    leat_group *g = t->group_;
    leat_call_ job;
    if (*g->name_) leat_thread_name_(g->name_, thread->id_);
    while ((job = leat_task_await_(t)).fn_) {
        int err = leat_task_call_(job, &g->ctx_, g);
        leat_task_thread_init_(t);
        leat_task_done_(g, err, t);
    }
}

LEAT_COLD_AHEAD_ void leat_group_on_exit_(leat_thread_ *thread);

/* Spawns a thread, which is the caller's (L4). NULL: it could not be spawned, because of *err. */
LEAT_COLD_ leat_task_thread_ *leat_group_spawn_(leat_group *g, int *err)
{
    leat_task_thread_ *t = (leat_task_thread_ *)leat_zeroed_(1, sizeof *t, 1);
    *err = -ENOMEM;
    if (!t) return NULL;
    t->thread_.main_ = leat_group_main_;
    t->thread_.on_exit_ = leat_group_on_exit_;
    t->group_ = g;
    leat_task_thread_init_(t);
    *err = leat_spawn_(&g->threads_, &t->thread_, g->stack_size_);
    if (!*err) return t;
    leat_os_done_(&t->waiter_.state_);
    leat_quiet_free_(t);
    return NULL;
}

/* A task has ended its thread. The group spawns another thread in its place. If that fails, this thread goes on, in
 * this function. */
LEAT_COLD_ void leat_group_on_exit_(leat_thread_ *thread)
{
    leat_task_thread_ *t = leat_task_thread_of_(thread);
    leat_group *g = t->group_;
    int err;
    leat_task_thread_ *other = leat_group_spawn_(g, &err);
    if (!other) leat_task_thread_init_(t);
    leat_task_done_(g, -EINTR, other ? other : t);
    if (!other) leat_thread_run_(thread, leat_group_main_);
}

/* Counts n tasks as accepted. RETURN VALUES: 0, -ESHUTDOWN, or the error of a context. */
LEAT_COLD_ int leat_task_begin_(leat_ctx *ctx, leat_group *g, int64_t n)
{
    leat_lock_take_(&g->threads_.lock_);
    int err = g->shut_ ? -ESHUTDOWN : leat_ctx_err(&g->ctx_);
    err = leat_unless_done_(ctx, NULL, err);
    if (!err) {
        g->used_ = true;
        bool first = n && !g->active_;
        if (first && g->whole_) err = leat_task_begin_(NULL, g->whole_, 1); /* L11 */
        if (!err) g->active_ += n;
    }
    leat_lock_drop_(&g->threads_.lock_);
    return err;
}

/* With a permit: takes an idle thread out of the queue, or NULL: a place, whose thread the caller must spawn. The caller
 * holds the lock. */
static inline leat_task_thread_ *leat_group_take_(leat_group *g)
{
    leat_node_ *l = g->waiting_.first_;
    if (l) leat_dequeue_(&g->waiting_, l);
    else g->places_--;
    return l ? (leat_task_thread_ *)l->msg_ : NULL;
}

/* Puts back what the caller has taken, or the thread that it has spawned, or leaves a place (NULL). With the permit. */
LEAT_COLD_ void leat_group_put_(leat_group *g, leat_task_thread_ *t)
{
    leat_lock_take_(&g->threads_.lock_);
    if (t) leat_enqueue_front_(&g->waiting_, &t->node_);
    else g->places_++;
    leat_lock_drop_(&g->threads_.lock_);
    if (leat_release(&g->idle_, 1)) LEAT_MISUSE_("beyond LEAT_SEM_MAX"); /* L4 */
}

/* Gets a thread for a task, idle or spawned. *to is then the caller's (L4). At the limit it waits for one. A task that waits
 * here blocks its own thread. If all tasks waited here, no thread would ever be idle: -EDEADLK. RETURN VALUES: 0, -EAGAIN
 * if it does not wait, why no thread could be spawned, or the error of a context. */
LEAT_COLD_ int leat_group_get_(leat_ctx *ctx, leat_group *g, bool waits, leat_task_thread_ **to)
{
    int err = leat_sem_get_(&g->idle_, 1) ? 0 : -EAGAIN;
    leat_lock_take_(&g->threads_.lock_);
    bool full = err && g->limit_ && g->making_ >= g->limit_;
    leat_thread_ *self = full && waits ? leat_self_(&g->threads_) : NULL;
    bool task = self && !self->exited_, last = task && g->blocked_ + 1 == g->making_;
    *to = err ? NULL : leat_group_take_(g);
    g->making_ += err && !full;
    g->blocked_ += task && !last;
    leat_lock_drop_(&g->threads_.lock_);
    if (last) return leat_unless_done_(ctx, &g->ctx_, -EDEADLK);
    if (full && !waits) return err;
    if (full) {
        err = leat_acquire_of_(ctx, &g->ctx_, &g->idle_, 1);
        leat_lock_take_(&g->threads_.lock_);
        g->blocked_ -= task; /* before the task is given: a thread that has a permit is not blocked */
        if (!err) *to = leat_group_take_(g);
        leat_lock_drop_(&g->threads_.lock_);
        if (err) return err;
    }
    err = leat_unless_done_(ctx, &g->ctx_, 0);
    if (!err && !*to) *to = leat_group_spawn_(g, &err);
    if (err) leat_group_put_(g, *to);
    return err;
}

static inline void leat_group_unshare_(leat_group *g, int n)
{
    if (g->shared_ && leat_release(g->shared_, n)) LEAT_MISUSE_("shared semaphore over-released");
}

/* Starts a task that was counted as accepted. */
LEAT_COLD_ int leat_group_start_(leat_ctx *ctx, leat_group *g, leat_call_ job, bool waits)
{
    leat_task_thread_ *t;
    leat_sem *s = g->shared_;
    int err = !s ? 0 : waits ? leat_acquire_of_(ctx, &g->ctx_, s, 1) : leat_try_acquire(s, 1);
    if (err) return err;
    if ((err = leat_group_get_(ctx, g, waits, &t)) == 0) leat_task_give_(t, job);
    if (err) leat_group_unshare_(g, 1);
    return err;
}

LEAT_COLD_ int leat_group_go_(leat_ctx *ctx, leat_group *g, int n, leat_call_ job, bool waits)
{
    if (!g || !job.fn_ || n < 0) return -EINVAL;
    int err = leat_task_begin_(ctx, g, n), i;
    if (err) return err;
    for (i = 0; i < n && !err; i++) err = leat_group_start_(ctx, g, job, waits);
    if (err) leat_task_end_(g, n - i + 1, NULL); /* the task that could not be started, and those after it */
    return err;
}

/* Runs fn(ctx, arg) on a thread of its own. At the limit the caller waits until another task has returned.
 * 0: the task will run. -ECANCELED, -ETIMEDOUT: the group's context is done, and the task will not run. -ESHUTDOWN:
 * the call came after leat_wait, or after the group closed its channel. -EDEADLK: all tasks of a group at its limit
 * wait in leat_go. -EAGAIN, -ENOMEM: no thread could be spawned. -EINVAL. Any thread may call it, also the group's
 * tasks.
 * try: -EAGAIN at the limit. ctx: -ECANCELED, -ETIMEDOUT also when `ctx` (or NULL) is done. The task does not get
 * this context. */
LEAT_HOT_ int leat_go(leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, 1, (leat_call_){ fn, arg }, true);
}

LEAT_HOT_ int leat_try_go(leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, 1, (leat_call_){ fn, arg }, false);
}

LEAT_HOT_ int leat_go_ctx(leat_ctx *ctx, leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(ctx, g, 1, (leat_call_){ fn, arg }, true);
}

/* Starts n tasks fn(ctx, arg) with the same argument, such as the workers of a pool. 0: all n will run. Otherwise the
 * error of the first task that could not be started. The tasks before it run, so the caller must make sure that they
 * can end.
 * try: starts all n at once, or none, whatever the error. -EAGAIN: the limit leaves no room for n. ctx: as
 * leat_go_ctx. */
LEAT_HOT_ int leat_go_n(leat_group *g, int n, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, n, (leat_call_){ fn, arg }, true);
}

LEAT_HOT_ int leat_go_n_ctx(leat_ctx *ctx, leat_group *g, int n, leat_task *fn, void *arg)
{
    return leat_group_go_(ctx, g, n, (leat_call_){ fn, arg }, true);
}

LEAT_COLD_ int leat_try_go_n(leat_group *g, int n, leat_task *fn, void *arg)
{
    leat_call_ job = { fn, arg };
    if (!g || !fn || n < 0) return -EINVAL;
    int err = leat_task_begin_(NULL, g, n);
    if (err) return err;
    if (g->shared_ && (err = leat_try_acquire(g->shared_, n)) != 0) {
        leat_task_end_(g, n, NULL);
        return err;
    }
    leat_node_ *chain = NULL; /* first the threads, then the tasks */
    for (int i = 0; i < n && !err; i++) {
        leat_task_thread_ *t;
        if ((err = leat_group_get_(NULL, g, false, &t)) != 0) break;
        t->node_.next_ = chain;
        chain = &t->node_;
    }
    for (leat_node_ *next; chain; chain = next) {
        next = chain->next_;
        if (err) leat_group_put_(g, (leat_task_thread_ *)chain->msg_);
        else leat_task_give_((leat_task_thread_ *)chain->msg_, job);
    }
    if (!err) return 0;
    leat_group_unshare_(g, n);
    leat_task_end_(g, n, NULL);
    return err;
}

/* int leat_group_closes(leat_group *g, c): the group closes the channel once, when the last task has returned. Call it
 * after the last leat_go, or before or after a single leat_go_n. Once the channel is closed, leat_go returns
 * -ESHUTDOWN. If there was no task, leat_wait closes the channel. 0. -EINVAL: the group already closes another. */
#ifndef __cplusplus
#define leat_group_closes(g, c) leat_group_closes_(g, LEAT_C_(c))
#endif

LEAT_COLD_ int leat_group_closes_(leat_group *g, leat_chan *ch)
{
    if (!g || !ch) return -EINVAL;
    leat_lock_take_(&g->threads_.lock_);
    bool first = !g->closes_ && !g->shut_;
    if (first) g->closes_ = ch;
    bool now = first && g->used_ && !g->active_;
    leat_lock_drop_(&g->threads_.lock_);
    if (now) leat_task_end_(g, 0, NULL);
    return first ? 0 : -EINVAL;
}

#ifdef __cplusplus
LEAT_CALL_OF_C_(int) leat_group_closes(leat_group *g, LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_group_closes_(g, LEAT_C_(c));
}
#endif

/* L5: looks whether a group is over. RETURN VALUES: 0: it is, and the caller must end it. -EAGAIN: a task is active. Then a
 * caller that waits has running_ count until the last task ends. -EALREADY: another caller ends it, or has ended it. Or
 * the error of ctx. */
LEAT_COLD_ int leat_group_over_(leat_ctx *ctx, leat_group *g, bool waits)
{
    leat_lock_take_(&g->threads_.lock_);
    bool busy = g->active_ || leat_try_wg_wait(&g->running_); /* a last task's end is about to touch running_ */
    int err = leat_unless_done_(ctx, NULL, busy ? -EAGAIN : g->over_ ? -EALREADY : 0);
    if (!err) g->over_ = g->shut_ = true;
    if (waits && g->active_ && !g->awaited_) g->awaited_ = !leat_wg_add(&g->running_, 1);
    leat_lock_drop_(&g->threads_.lock_);
    return err;
}

/* The same, but it waits until no task is active. */
LEAT_COLD_ int leat_group_await_over_(leat_ctx *ctx, leat_group *g)
{
    int err;
    while ((err = leat_group_over_(ctx, g, true)) == -EAGAIN)
        if ((err = leat_wg_wait_ctx(ctx, &g->running_)) != 0) break;
    return err;
}

static inline int leat_group_err_(leat_group *g)
{
    return atomic_load_explicit(&g->err_, memory_order_relaxed); /* [X7] */
}

LEAT_COLD_AHEAD_ int leat_wait_ctx(leat_ctx *ctx, leat_group *g);

/* Ends a group, and its stages. Only the caller that got 0 from leat_group_over_ calls this (L5). The other callers of
 * leat_wait wait for joined_, and may free the group once it is closed. */
LEAT_COLD_ int leat_group_end_(leat_group *g)
{
    leat_lock_take_(&g->threads_.lock_);
    leat_chan *closes = g->closes_;
    g->closes_ = NULL;
    leat_thread_ *threads = g->threads_.list_; /* no task is active, so no thread is added */
    g->threads_.list_ = NULL;
    leat_node_ *idle = g->waiting_.first_; /* all of them. None leaves any more */
    for (leat_node_ *l = idle; l; l = l->next_) l->linked_ = false;
    g->waiting_.first_ = g->waiting_.last_ = NULL;
    leat_lock_drop_(&g->threads_.lock_);
    if (closes) leat_close_(closes);
    for (leat_group *s = g->stages_; s; s = s->next_stage_) leat_wait_ctx(NULL, s);
    for (leat_node_ *next; idle; idle = next) {
        next = idle->next_;
        leat_task_give_((leat_task_thread_ *)idle->msg_, (leat_call_){ .fn_ = NULL });
    }
    leat_join_(threads);
    leat_lock_take_(&g->threads_.lock_);
    g->stages_ = NULL; /* they may be gone when a later caller comes */
    leat_lock_drop_(&g->threads_.lock_);
    leat_cancel(&g->ctx_, -ECANCELED);
    int err = leat_group_err_(g);
    leat_close_(&g->joined_);
    return err;
}

/* Whether the caller is a thread of the group, or of a stage of it. */
LEAT_COLD_ bool leat_group_is_own_thread_(leat_group *g)
{
    if (leat_is_own_thread_(&g->threads_)) return true;
    leat_lock_take_(&g->threads_.lock_);
    leat_group *s = g->stages_;
    leat_lock_drop_(&g->threads_.lock_);
    while (s && !leat_group_is_own_thread_(s)) s = s->next_stage_;
    return s != NULL;
}

/* Waits until all tasks have returned, also those of its stages, and joins the threads. 0, or the first value other
 * than 0 that a task returned. That error has cancelled the group's context, but the cancellation does not hide it.
 * -EDEADLK: the caller is a thread of the group, or of a stage of it. The call frees everything that the group holds. A
 * later call returns the same as the first.
 * try: -EAGAIN while tasks run, or while another call joins their threads. ctx: -ECANCELED, -ETIMEDOUT when `ctx` (or
 * NULL) is done. Then the group goes on, and a caller must still wait for it. A task may have returned one of these
 * numbers, too. Where that matters, leat_ctx_err(ctx) tells whether `ctx` is done. */
LEAT_COLD_ int leat_wait_ctx(leat_ctx *ctx, leat_group *g)
{
    if (!g) return -EINVAL;
    if (leat_group_is_own_thread_(g)) return leat_unless_done_(ctx, NULL, -EDEADLK);
    int err = leat_group_await_over_(ctx, g);
    if (!err) return leat_group_end_(g);
    if (err != -EALREADY) return err;
    char none = 0;
    err = leat_recv_(ctx, &g->joined_, &none, 1, 1, 0);
    return err == -EPIPE ? leat_group_err_(g) : err;
}

LEAT_HOT_ int leat_wait(leat_group *g)
{
    return leat_wait_ctx(NULL, g);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_wait(leat_group *g)
{
    if (!g) return -EINVAL;
    if (leat_group_is_own_thread_(g)) return -EAGAIN;
    int err = leat_group_over_(NULL, g, false);
    if (!err) return leat_group_end_(g);
    return err == -EALREADY && leat_is_closed_(&g->joined_) ? leat_group_err_(g) : -EAGAIN;
}

/* ==== 4. Pool: fixed workers, a bounded queue, drain, stop ====================================
 *
 * The queue is a channel of jobs, or one for each lane. A submit is a send. A worker receives its next job under the
 * worker's own context. A resize cancels that context to retire the worker. The end of the pool's context ends all
 * workers. A stop shuts the gate and closes the queue. The workers drain the queue and exit, and the stop joins them.
 *
 * What is in the queue is a function with its argument (leat_call_). Where there is more to a job, the function is one
 * of this file. leat_run_job_ stands for a leat_job. leat_run_timed_ stands for a job whose time in the queue is
 * measured. In a pool with a value_size, each place in the queue has room for a value behind the call.
 *
 * L6  The wanted workers are those that are RUNNING, and those that are STARTING and replace no other. They are as
 *     many as a resize asked for, less those that could not be had. A worker whose job ends its thread is replaced. The
 *     replacement takes over its state, and makes the old worker EXITING, in one step. So the two count as one worker.
 * L7  EXITING is final. Before that, a resize may take a RETIRING worker back. The worker itself then replaces its
 *     cancelled context, because no other thread receives under it. A worker makes itself EXITING only if it was not
 *     taken back.
 * L8  An accepted job is counted once, as taken by a worker or as dropped. The gate counts each call that enters, until
 *     the call leaves. When a submit has queued its job, its count stays, for the job. So when no submit is under way,
 *     the gate's count is that of the jobs taken, dropped and queued. A stop frees nothing before this is so, before
 *     all other calls have left, and before no thread is left or being joined. So a submit may race with a stop.
 * L9  A worker that waits for room is blocked. Its job or its hook has called submit, and the queue is full. While it
 *     is blocked and the pool accepts jobs, another worker can make room: it is STARTING or RUNNING, is not blocked, and
 *     waits for no init hook. If there is none, one blocked worker is told, and its submit returns -EDEADLK. A worker
 *     checks this before it is blocked. Later the other worker may drop out: its init hook fails, it is retired, it
 *     cannot be spawned, or it waits for an init hook. The thread that makes it drop out then checks again.
 * L10 A thread that tells a blocked worker uses memory on that worker's stack. The worker waits until it has been
 *     told.
 * L12 A submit of a leat_job queues a token, then puts the job into its lane's list. A thread that takes a token takes
 *     the first job of the list. A cancel takes the job out of the list, and so leaves a stale token. There are as many
 *     tokens, in the queue or taken and not yet exchanged, as jobs in the list, jobs that are about to be put there, and
 *     stale_. So a thread that has a token finds a job or a stale token, at once or after a short while.
 * L13 A job is ended by the thread that took it out of the list, and by no other. A cancel first makes it CANCELLING.
 *     Then the job cannot start, so the pool cannot end, while the cancel uses the lane.
 * L14 A thread in leat_pool_wait is woken when every accepted job has returned. It marks all workers, and then counts.
 *     A worker that runs out of jobs, and is marked, counts, too. So does a submit that leaves without a job. Whichever
 *     of them comes last finds that the gate's count is that of the jobs that have returned. */

/* For leat_pool_start. A field that is 0 has its default. LEAT_LANES is the most lanes that a pool can have. With
 * LEAT_NO_QUEUE as its queue, a submit meets a worker that waits for a job. */
#define LEAT_LANES 8       /* the most that a pool can have */
#define LEAT_NO_QUEUE (-1) /* for leat_pool_opts.queue */

typedef struct leat_pool_opts {
    int workers;       /* threads. 0: leat_cpus() */
    int queue;         /* jobs that may wait, in each lane. 0: twice the workers. LEAT_NO_QUEUE: none */
    int lanes;         /* queues of jobs. 0: one. At most LEAT_LANES. See leat_submit_lane */
    size_t value_size; /* bytes of the largest value of leat_submit_value. 0: there are none */
    const char *name;  /* of the threads, copied. 15 bytes count, with the number. NULL: "leat" */
    size_t stack_size; /* bytes. 0: the system's default */
    /* A worker has the signal mask of the thread that spawns it. That thread is a caller of leat_pool_start or
     * _resize, or the worker that is replaced. */
    bool inherit_signals;
    /* Called first on each worker's thread. Returns 0, or an error that leat_pool_start or _resize then returns. May be
     * NULL. */
    int (*worker_init)(void *user, int id);
    /* Called last on the worker's thread, if init succeeded. May be NULL. */
    void (*worker_fini)(void *user, int id);
    /* Given to both. A job does not learn its worker. What init made for the thread belongs in a _Thread_local. */
    void *user;
} leat_pool_opts;

/* Of one lane, or of all. Jobs that were cancelled are not among those queued or taken. */
typedef struct leat_lane_stats {
    size_t queued, queue_cap;
    /* The longest queue (of one lane) that was seen by a call of leat_pool_stats, by a submit that waited for room (but
     * not briefly), or by a worker at every 16th job that it takes. */
    size_t queue_high;
    size_t taken; /* jobs that workers have taken */
    /* A sample of the jobs is timed, from their submit until a worker took them: how many, and how long they waited, in
     * ns. In each lane at most one job at a time is timed: the first, and then the next one after a worker has taken its
     * 17th, 33rd, 65th.. job of the lane, up to the 513th, and from then on after each 1,024th. */
    size_t timed;
    int64_t wait_mean, wait_most;
} leat_lane_stats;

/* A snapshot. While no thread changes the pool, submitted = completed + failed + dropped + cancelled + busy + queued. */
typedef struct leat_stats {
    size_t workers, busy;                 /* threads, and those that run a job. Saturation is busy / workers */
    size_t queued, queue_cap, queue_high; /* as in leat_lane_stats, of all lanes */
    /* Jobs accepted, jobs that returned 0, jobs that did not, jobs that leat_pool_abort handed back, jobs that
     * leat_job_cancel took back. */
    size_t submitted, completed, failed, dropped, cancelled;
    size_t timed;                 /* as in leat_lane_stats, of all lanes */
    int64_t wait_mean, wait_most; /* ns */
    int lanes;
    leat_lane_stats lane[LEAT_LANES];
} leat_stats;

/* Each counter has one writer at a time, so it needs no locked operation. */
typedef struct leat_counts_ {
    _Atomic(size_t) completed_, failed_; /* jobs */
    _Atomic(size_t) skipped_;            /* stale tokens (L12) */
    _Atomic(size_t) taken_[LEAT_LANES];  /* jobs */
} leat_counts_;

/* What is counted of a lane. */
typedef struct leat_lane_counts_ {
    _Atomic(size_t) high_water_; /* of the queue's length */
    _Atomic(size_t) cancelled_;
    _Atomic(size_t) timed_;
    _Atomic(uint64_t) waited_, most_; /* of the timed jobs: the sum, the maximum, in ns */
} leat_lane_counts_;

struct leat_pool;

/* A job that its submitter can wait for, and cancel. It lives with its submitter, who declares it:
 * leat_job j = LEAT_JOB(fn, arg); all-zero is not valid. It holds nothing that must be freed. */
typedef struct leat_job {
    leat_task *fn_;
    void *arg_;
    int lane; /* 0, or the lane in which leat_submit_job is to put it */
    bool linked_;
    _Atomic(uint64_t) word_; /* result << 32 | one of the states below | WAITERS */
    leat_lock_ lock_;        /* guards waiters_ */
    leat_waitq_ waiters_;
    struct leat_lane_ *lane_; /* the lane's lock guards this and linked_ */
    struct leat_job *next_, *prev_;
    leat_os_id_ runner_; /* the thread that runs it */
} leat_job;

/* clang-format off */
#ifndef __cplusplus
#define LEAT_JOB(fn, arg) { .fn_ = (fn), .arg_ = (arg) }
#else
#define LEAT_JOB(fn, arg) leat_job_made_(fn, arg)
constexpr leat_job leat_job_made_(leat_task *fn, void *arg)
{
    return leat_job{ fn, arg };
}
#endif
/* clang-format on */

/* NEW: not accepted. CANCELLING: a cancel looks whether it is still in the list, and no thread may start it. RAN and NEVER
 * are final. */
enum {
    LEAT_JOB_WAITERS_ = 1,
    LEAT_JOB_NEW_ = 0,
    LEAT_JOB_QUEUED_ = 2,
    LEAT_JOB_CANCELLING_ = 4,
    LEAT_JOB_RUNS_ = 6,
    LEAT_JOB_RAN_ = 8,
    LEAT_JOB_NEVER_ = 10,
    LEAT_JOB_STATE_ = 14
};

/* IDLE: no job is timed. WANTED: the next is to be. USED: one is, and the probe is its own. */
enum { LEAT_PROBE_IDLE_ = 0, LEAT_PROBE_WANTED_ = 1, LEAT_PROBE_USED_ = 2 };

typedef struct leat_lane_ {
    leat_calls_ queue_; /* first */
    struct leat_pool *pool_;
    leat_lane_counts_ *counts_;
    _Atomic(int) probe_;
    leat_call_ timed_; /* of the job that is timed: the call, and when it was submitted */
    int64_t timed_since_;
    leat_lock_ lock_; /* guards what follows */
    size_t stale_;    /* tokens whose job was cancelled (L12) */
    leat_job *first_, *last_;
} leat_lane_;

typedef struct leat_pool {
    leat_ctx ctx_;
    leat_lane_ lane_[LEAT_LANES];
    char pad0_[LEAT_LINE_];
    _Atomic(int64_t) gate_; /* (submits that entered, less those that left) * INSIDE | the bits below (L8) */
    char pad1_[LEAT_LINE_];
    _Atomic(int64_t) calls_; /* the same of other calls */
    _Atomic(int) end_;       /* OPEN, ENDING, OVER */
    int lanes_;              /* how many of lane_ are in use */
    size_t msg_size_;        /* bytes of what is in the queue */
    leat_copier_ *copy_;     /* NULL without values */
    leat_threads_ threads_;  /* its lock guards what follows */
    leat_counts_ totals_;    /* of the workers that were joined */
    leat_lane_counts_ lane_counts_[LEAT_LANES];
    size_t queue_cap_;    /* of one lane */
    size_t cleared_;      /* what aborts have taken out of the queues: jobs, and stale tokens */
    size_t dropped_;      /* the jobs among them */
    unsigned char *room_; /* for the value of a job that an abort hands back. NULL: in use */
    bool freed_;          /* the queues, and room_ */
    int aborting_;        /* aborts under way. A stop leaves the end of the pool to them */
    int refused_;         /* an init hook's error, for the resize that asked for the worker, or the next resize */
    int awaiting_;        /* calls of leat_pool_wait that may be in idlers_ */
    leat_waitq_ idlers_;  /* they wait here (L14) */
    leat_wg running_;     /* workers that may take another job */
    leat_sem resizing_;   /* a lock that waits under a context: one resize at a time */
    leat_pool_opts opts_;
    char name_[16];
} leat_pool;

/* PROBE: a job is to be timed. SIZED: a job may have a value. AWAITED: perhaps a thread is in leat_pool_wait. */
enum { LEAT_SHUT_ = 1, LEAT_STARTED_ = 2, LEAT_PROBE_ = 4, LEAT_SIZED_ = 8, LEAT_AWAITED_ = 16, LEAT_INSIDE_ = 32 };
enum { LEAT_OPEN_ = 0, LEAT_ENDING_ = 1, LEAT_OVER_ = 2 };

/* TELLING: another thread is cancelling the blocked worker's room_ (L10). TOLD: it has done so. */
enum { LEAT_UNTOLD_ = 0, LEAT_TELLING_ = 1, LEAT_TOLD_ = 2 };

/* On the stack of a worker that waits for room. */
typedef struct leat_blocked_ {
    leat_case *case_; /* the send to the queue */
    leat_ctx room_;   /* the worker waits under this. Cancelled: there will be no room */
    int told_;
} leat_blocked_;

/* A worker's life:
 *
 *                       a resize wants more again (to STARTING, while the init hook runs)
 *                                 .-----------------------.
 *                                 v    a resize wants     |
 *     STARTING ---------------> RUNNING ------------> RETIRING
 *       |  |   init hook: 0       |       fewer        ^   |
 *       |  '----------------------+--------------------'   |
 *       | init hook: an error     | no more jobs           | after its job
 *       v                         v                        v
 *     EXITING <--------------------------------------------'
 *       |
 *     fini hook, unless the init hook failed; exited_; joined
 *
 * A worker whose job ends its thread is replaced. The replacement is STARTING until its init hook has returned. Then
 * it takes over the state of the worker that it replaces. If no thread can be spawned, the old worker goes on, on
 * what is left of its thread (a rerun). It stays RUNNING, and its hooks are called once more. */
enum { LEAT_STARTING_ = 0, LEAT_RUNNING_ = 1, LEAT_RETIRING_ = 2, LEAT_EXITING_ = 3 };

typedef struct leat_worker_ {
    leat_thread_ thread_; /* first */
    leat_pool *pool_;
    int state_;
    int pins_;     /* calls that will use it again without the lock (L2) */
    leat_ctx ctx_; /* cancelled to retire it */
    struct leat_worker_ *next_retired_;
    struct leat_worker_ *replaces_;
    struct leat_worker_ *joiner_; /* the worker that joins this one */
    bool in_init_;
    int init_err_;
    leat_chan init_done_; /* closed when the init hook has returned */
    bool awaits_init_;    /* it waits for another worker's init hook */
    leat_blocked_ *blocked_;
    int reruns_;
    char pad_[LEAT_LINE_];
    int token_; /* what the job is that it runs: none of these, a leat_job, a stale token */
    leat_counts_ counts_;
    unsigned turn_; /* jobs that it has taken, for the order of the lanes */
    leat_job *job_;
    _Atomic(uint32_t) awaited_; /* a mark (L14) */
    leat_case *cases_;          /* one for each lane. NULL: there is one lane, and no job has a value */
    unsigned char *value_;      /* aligned to LEAT_LINE_. What is received ends here, but for the value */
} leat_worker_;

enum { LEAT_NO_TOKEN_ = 0, LEAT_JOB_TOKEN_ = 1, LEAT_STALE_TOKEN_ = 2 };

static inline size_t leat_counter_(_Atomic(size_t) *n)
{
    return atomic_load_explicit(n, memory_order_relaxed); /* [X7] */
}

static inline void leat_count_add_(_Atomic(size_t) *n, size_t more)
{
    atomic_store_explicit(n, leat_counter_(n) + more, memory_order_relaxed); /* [X7] */
}

static inline void leat_high_water_(_Atomic(size_t) *high, size_t depth)
{
    size_t so_far = leat_counter_(high);
    while (depth > so_far)
        if (atomic_compare_exchange_weak_explicit(high, &so_far, depth, memory_order_relaxed, /* [X7] */
                                                  memory_order_relaxed))
            return;
}

/* One more job is over, or one stale token. */
static inline void leat_count_over_(_Atomic(size_t) *n)
{
    atomic_store_explicit(n, leat_counter_(n) + 1, memory_order_release); /* [W5] -> [W6] */
}

static inline void leat_counts_add_over_(_Atomic(size_t) *sum, _Atomic(size_t) *n)
{
    leat_count_add_(sum, atomic_load_explicit(n, memory_order_acquire)); /* [W6] <- [W5] */
}

/* What is over is read first, so that it is never more than what was taken. */
static inline void leat_counts_sum_(leat_counts_ *sum, leat_counts_ *c)
{
    leat_counts_add_over_(&sum->completed_, &c->completed_);
    leat_counts_add_over_(&sum->failed_, &c->failed_);
    leat_counts_add_over_(&sum->skipped_, &c->skipped_);
    for (int i = 0; i < LEAT_LANES; i++) leat_count_add_(&sum->taken_[i], leat_counter_(&c->taken_[i]));
}

/* How many jobs and stale tokens were taken, and how many of them are over. */
static inline size_t leat_counts_taken_(leat_counts_ *c)
{
    size_t n = leat_counter_(&c->skipped_);
    for (int i = 0; i < LEAT_LANES; i++) n += leat_counter_(&c->taken_[i]);
    return n;
}

static inline size_t leat_counts_over_(leat_counts_ *c)
{
    return leat_counter_(&c->completed_) + leat_counter_(&c->failed_) + leat_counter_(&c->skipped_);
}

static inline void leat_lanes_lock_(leat_pool *p)
{
    for (int i = 0; i < p->lanes_; i++) leat_lock_take_(&p->lane_[i].queue_.chan.lock_);
}

static inline void leat_lanes_unlock_(leat_pool *p)
{
    for (int i = 0; i < p->lanes_; i++) leat_lock_drop_(&p->lane_[i].queue_.chan.lock_);
}

static inline size_t leat_lanes_len_(leat_pool *p)
{
    size_t n = 0;
    for (int i = 0; i < p->lanes_; i++) n += leat_len(&p->lane_[i].queue_);
    return n;
}

/* The lane that this channel is the queue of: its first member. */
static inline leat_lane_ *leat_lane_of_(leat_chan *ch)
{
    void *whole = ch;
    return (leat_lane_ *)whole;
}

static inline leat_case leat_lane_case_(leat_lane_ *lane, int way, void *msg)
{
    leat_case c = leat_case_(&lane->queue_.chan, way, msg, lane->pool_->msg_size_, _Alignof(leat_call_));
    c.copy_ = lane->pool_->copy_;
    return c;
}

static inline void leat_pool_exit_(leat_pool *p)
{
    atomic_fetch_sub_explicit(&p->calls_, LEAT_INSIDE_, memory_order_release); /* [G1] -> [G2] no access follows */
}

/* Counts a call in, one that is no submit, so that a stop waits for it. RETURN VALUES: 0: the call must end with
 * leat_pool_exit_. -ESHUTDOWN, -EINVAL: the call is not counted. */
static inline int leat_pool_enter_(leat_pool *p)
{
    if (!p) return -EINVAL;
    int64_t gate = atomic_fetch_add_explicit(&p->calls_, LEAT_INSIDE_, memory_order_acquire); /* [G2] <- [G1] */
    if ((gate & (LEAT_STARTED_ | LEAT_SHUT_)) == LEAT_STARTED_) return 0;
    leat_pool_exit_(p);
    return gate & LEAT_SHUT_ ? -ESHUTDOWN : -EINVAL;
}

static inline leat_worker_ *leat_worker_of_(leat_thread_ *t)
{
    void *whole = t;
    return (leat_worker_ *)whole;
}

static inline leat_worker_ *leat_worker_first_(leat_pool *p)
{
    return leat_worker_of_(p->threads_.list_);
}

static inline leat_worker_ *leat_worker_next_(leat_worker_ *w)
{
    return leat_worker_of_(w->thread_.next_);
}

static inline leat_worker_ *leat_worker_self_(leat_pool *p)
{
    return leat_worker_of_(leat_self_(&p->threads_));
}

/* Adds up what the workers have counted, also those that were joined. The caller holds the lock. */
LEAT_COLD_ void leat_pool_sum_(leat_pool *p, leat_counts_ *sum)
{
    leat_counts_sum_(sum, &p->totals_);
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) leat_counts_sum_(sum, &w->counts_);
}

/* How many places of the queues hold no job any more, because it was cancelled. The caller holds the pool's lock. */
LEAT_COLD_ size_t leat_pool_stale_(leat_pool *p)
{
    size_t n = 0;
    for (int i = 0; i < p->lanes_; i++) {
        leat_lock_take_(&p->lane_[i].lock_);
        n += p->lane_[i].stale_;
        leat_lock_drop_(&p->lane_[i].lock_);
    }
    return n;
}

/* L14: how many accepted jobs have not returned, with the stale tokens among them. The caller holds the lock. */
LEAT_COLD_ size_t leat_pool_left_(leat_pool *p)
{
    leat_counts_ sum = { .completed_ = 0 };
    leat_pool_sum_(p, &sum);
    int64_t submits = atomic_load_explicit(&p->gate_, memory_order_relaxed) / LEAT_INSIDE_; /* [X7] the counts order it */
    return (size_t)submits - leat_counts_over_(&sum) - p->cleared_;
}

/* L14: resolves the threads in leat_pool_wait, if every accepted job has returned. Else marks the worker w (or NULL)
 * again, if there are any. The caller holds the lock, and wakes the chain after it. */
LEAT_COLD_ leat_node_ *leat_pool_idlers_(leat_pool *p, leat_worker_ *w)
{
    leat_node_ *chain = NULL;
    if (!p->awaiting_) return NULL;
    if (!leat_pool_left_(p)) leat_resolve_all_(&p->idlers_, LEAT_HANDED_OFF_, &chain);
    else if (w) atomic_store_explicit(&w->awaited_, 1, memory_order_relaxed); /* [X7] the lock orders it */
    return chain;
}

LEAT_COLD_ void leat_pool_tell_idlers_(leat_pool *p, leat_worker_ *w)
{
    leat_lock_take_(&p->threads_.lock_);
    leat_node_ *chain = leat_pool_idlers_(p, w);
    leat_lock_drop_(&p->threads_.lock_);
    leat_wake_all_(chain);
}

/* L14: a worker has no more jobs for now, or for ever. */
static inline void leat_worker_runs_out_(leat_worker_ *w)
{
    if (LEAT_RARELY_(atomic_exchange_explicit(&w->awaited_, 0, memory_order_release))) /* [W3] -> [W4] */
        leat_pool_tell_idlers_(w->pool_, w);
}

/* A submit leaves the gate while a thread may be in leat_pool_wait (L14). False: there is none. The thread is inside
 * until it has taken the lock. So the pool lives until this call has dropped it. */
LEAT_COLD_ bool leat_submit_tells_(leat_pool *p)
{
    leat_node_ *chain = NULL;
    leat_lock_take_(&p->threads_.lock_);
    bool awaited = p->awaiting_;
    if (awaited) {
        atomic_fetch_sub_explicit(&p->gate_, LEAT_INSIDE_, memory_order_release); /* [G1] -> [G2] */
        chain = leat_pool_idlers_(p, NULL);
    } else {
        atomic_fetch_and_explicit(&p->gate_, ~(int64_t)LEAT_AWAITED_, memory_order_relaxed); /* [X7] */
    }
    leat_lock_drop_(&p->threads_.lock_);
    leat_wake_all_(chain);
    return awaited;
}

/* A submit that has queued no job leaves the gate. One that has does not, as its count now stands for the job (L8): it
 * touches nothing of the pool any more (queue.h, I4). */
static inline void leat_submit_leaves_(leat_pool *p)
{
    int64_t gate = atomic_load_explicit(&p->gate_, memory_order_relaxed); /* [X7] */
    for (;;) {
        if (gate & LEAT_AWAITED_) {
            if (leat_submit_tells_(p)) return;
            gate = atomic_load_explicit(&p->gate_, memory_order_relaxed); /* [X7] */
        } else if (atomic_compare_exchange_weak_explicit(&p->gate_, &gate, gate - LEAT_INSIDE_,
                                                         memory_order_release, /* [G1] -> [G2] no access follows */
                                                         memory_order_relaxed)) {
            return;
        }
    }
}

/* Joins the workers that have exited, unless they are pinned. A thread on which only destructors still run joins
 * none, because two such threads could wait for each other. */
LEAT_COLD_ void leat_pool_reap_(leat_pool *p)
{
    leat_thread_ *exited = NULL;
    leat_worker_ *self = leat_worker_self_(p);
    int n = 0;
    if (self && self->thread_.exited_) return;
    leat_lock_take_(&p->threads_.lock_);
    for (leat_thread_ **at = &p->threads_.list_, *t; (t = *at) != NULL;) {
        leat_worker_ *w = leat_worker_of_(t);
        if (t->exited_ && !w->pins_) { /* L2 */
            leat_counts_sum_(&p->totals_, &w->counts_);
            w->joiner_ = self;
            *at = t->next_;
            t->next_ = exited;
            exited = t;
            n++;
        } else {
            at = &t->next_;
        }
    }
    p->threads_.joining_ += n;
    leat_lock_drop_(&p->threads_.lock_);
    if (!n) return;
    leat_join_(exited);
    leat_lock_take_(&p->threads_.lock_);
    p->threads_.joining_ -= n;
    leat_lock_drop_(&p->threads_.lock_);
}

/* Whether a submit to this lane would not have to wait. The caller holds the channel's lock. */
static inline bool leat_lane_has_room_(leat_lane_ *lane)
{
    leat_case c = leat_lane_case_(lane, LEAT_SENDS_, NULL); /* only polled */
    if (c.chan_->slots_) return leat_poll_case_(&c) != -EAGAIN;
    return leat_is_closed_(c.chan_) || leat_peer_waits_(&c);
}

/* L9: whether a worker other than `self` will take jobs (one that joins `self` will not). *unsure: a worker that seems
 * to be blocked may have got room, and be on its way back, or may still get room that is there, if another thread was woken
 * for it, and gives up. The caller holds the lock, and the locks of the lanes. */
static inline bool leat_pool_has_runner_(leat_pool *p, const leat_worker_ *self, bool *unsure)
{
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) {
        if (w == self || w->awaits_init_ || (self && w == self->joiner_)) continue;
        if (w->state_ != LEAT_RUNNING_ && w->state_ != LEAT_STARTING_) continue;
        if (!w->blocked_ || w->blocked_->told_) return true;
        leat_case *c = w->blocked_->case_;
        *unsure |= !c->link_.linked_ || leat_lane_has_room_(leat_lane_of_(c->chan_));
    }
    return false;
}

/* A blocked worker that is RUNNING or STARTING, or NULL. The caller holds the lock. */
static inline leat_worker_ *leat_pool_first_blocked_(leat_pool *p)
{
    leat_worker_ *w = leat_worker_first_(p);
    while (w && !(w->blocked_ && (w->state_ == LEAT_RUNNING_ || w->state_ == LEAT_STARTING_))) w = leat_worker_next_(w);
    return w;
}

/* The blocked worker that must be told that there will be no room, or NULL. It is now TELLING. *unsure: it cannot be
 * decided yet whether there is one. */
LEAT_COLD_ leat_blocked_ *leat_pool_find_deadlock_(leat_pool *p, bool *unsure)
{
    *unsure = false;
    leat_lock_take_(&p->threads_.lock_);
    leat_lanes_lock_(p);
    leat_worker_ *w = leat_pool_has_runner_(p, NULL, unsure) ? NULL : leat_pool_first_blocked_(p);
    *unsure = *unsure && w;
    leat_blocked_ *b = w && !*unsure ? w->blocked_ : NULL;
    if (b) b->told_ = LEAT_TELLING_;
    leat_lanes_unlock_(p);
    leat_lock_drop_(&p->threads_.lock_);
    return b;
}

/* L9: called after a worker has dropped out that others may count on. Tells a blocked worker if none can make room. */
LEAT_COLD_ void leat_pool_break_deadlock_(leat_pool *p)
{
    bool unsure = false;
    leat_blocked_ *b;
    for (unsigned round = 0; !(b = leat_pool_find_deadlock_(p, &unsure)) && unsure;) leat_backoff_(&round);
    if (!b) return;
    leat_cancel(&b->room_, -EDEADLK);
    leat_lock_take_(&p->threads_.lock_);
    b->told_ = LEAT_TOLD_; /* L10: no access follows */
    leat_lock_drop_(&p->threads_.lock_);
}

/* L7: called by a worker whose receive has failed. True: a resize had retired it, and has taken it back meanwhile. It
 * has a new context now. False: it is EXITING. */
LEAT_COLD_ bool leat_worker_unretire_(leat_worker_ *w)
{
    leat_lock_take_(&w->pool_->threads_.lock_);
    bool back = w->state_ == LEAT_RUNNING_ && leat_ctx_err(&w->ctx_) && !leat_ctx_err(w->ctx_.parent_);
    if (back) w->ctx_ = (leat_ctx){ .parent_ = w->ctx_.parent_ };
    else w->state_ = LEAT_EXITING_;
    leat_lock_drop_(&w->pool_->threads_.lock_);
    return back;
}

/* ---- Jobs that somebody holds (leat_job) ---- */

typedef struct leat_job_waiter_ {
    leat_node_ link_; /* first: its address is that of the whole */
    leat_job *job_;
    leat_spin_ *spin_;
    uint64_t last_; /* the final word of the job */
    bool entered_;
} leat_job_waiter_;

/* Moves a job from one state to another. False: it is not in the first. WAITERS stays as it is. */
static inline bool leat_job_move_(leat_job *j, uint64_t from, uint64_t to)
{
    uint64_t word = atomic_load_explicit(&j->word_, memory_order_relaxed); /* [X7] */
    while ((word & LEAT_JOB_STATE_) == from)
        if (atomic_compare_exchange_weak_explicit(&j->word_, &word, word - from + to,
                                                  memory_order_acq_rel, /* [J1] -> [J2], [J2] <- [J1] */
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* Ends a job (L13), and touches nothing of it after the store of its final word. It resolves the threads that wait first,
 * and writes that word into each waiter, so that none of them looks at the job again. */
LEAT_COLD_ void leat_job_end_(leat_job *j, uint64_t state, int result)
{
    const uint64_t last = (uint64_t)(uint32_t)result << 32 | state;
    leat_node_ *chain = NULL, **end = &chain;
    uint64_t word = atomic_load_explicit(&j->word_, memory_order_relaxed); /* [X7] */
    for (;;) {
        if (word & LEAT_JOB_WAITERS_) {
            leat_lock_take_(&j->lock_);
            end = leat_resolve_all_(&j->waiters_, LEAT_HANDED_OFF_, end);
            word = atomic_fetch_and_explicit(&j->word_, ~(uint64_t)LEAT_JOB_WAITERS_, memory_order_relaxed); /* [X7] */
            word &= ~(uint64_t)LEAT_JOB_WAITERS_;
            leat_lock_drop_(&j->lock_);
        } else if (atomic_compare_exchange_weak_explicit(&j->word_, &word, last, memory_order_release, /* [J1] -> [J2] */
                                                         memory_order_relaxed)) {
            break;
        }
    }
    for (leat_node_ *l = chain; l; l = l->next_) {
        void *whole = l;
        ((leat_job_waiter_ *)whole)->last_ = last;
    }
    leat_wake_all_(chain);
}

/* Puts a job at the end of its lane's list, with a state that says so. */
LEAT_COLD_ void leat_job_link_(leat_job *j)
{
    leat_lane_ *lane = j->lane_;
    leat_lock_take_(&lane->lock_);
    j->next_ = NULL;
    j->prev_ = lane->last_;
    *(lane->last_ ? &lane->last_->next_ : &lane->first_) = j;
    lane->last_ = j;
    j->linked_ = true;
    atomic_store_explicit(&j->word_, LEAT_JOB_QUEUED_, memory_order_release); /* [J1] -> [J2] */
    leat_lock_drop_(&lane->lock_);
}

/* Takes a job out of its lane's list. The caller holds the lane's lock. */
static inline void leat_job_unlink_(leat_job *j)
{
    leat_lane_ *lane = j->lane_;
    *(j->prev_ ? &j->prev_->next_ : &lane->first_) = j->next_;
    *(j->next_ ? &j->next_->prev_ : &lane->last_) = j->prev_;
    j->linked_ = false;
}

/* Exchanges a token for the first job of the list, which then runs, or for a stale token: NULL (L12). */
LEAT_COLD_ leat_job *leat_lane_exchange_(leat_lane_ *lane)
{
    leat_job *j = NULL;
    bool stale = false;
    for (unsigned round = 0;; leat_backoff_(&round)) { /* its submitter is about to put it there */
        leat_lock_take_(&lane->lock_);
        j = lane->first_;
        stale = !j && lane->stale_;
        if (j) leat_job_unlink_(j);
        else lane->stale_ -= stale;
        leat_lock_drop_(&lane->lock_);
        if (j || stale) break;
    }
    if (stale) return NULL;
    j->runner_ = leat_os_self_();
    for (unsigned round = 0; !leat_job_move_(j, LEAT_JOB_QUEUED_, LEAT_JOB_RUNS_);) leat_backoff_(&round); /* L13 */
    return j;
}

/* The call of a token. It stands for the job that the lane's list has first. */
LEAT_COLD_ int leat_run_job_(leat_ctx *ctx, void *arg)
{
    leat_lane_ *lane = (leat_lane_ *)arg;
    leat_worker_ *w = leat_worker_self_(lane->pool_);
    leat_job *j = leat_lane_exchange_(lane);
    w->job_ = j;
    w->token_ = j ? LEAT_JOB_TOKEN_ : LEAT_STALE_TOKEN_;
    return j ? j->fn_(ctx, j->arg_) : 0;
}

/* ---- Time in the queue ---- */

/* Has the next job of the lane timed, if none is. */
LEAT_COLD_ void leat_lane_wants_probe_(leat_lane_ *lane)
{
    int idle = LEAT_PROBE_IDLE_;
    if (atomic_compare_exchange_strong_explicit(&lane->probe_, &idle, LEAT_PROBE_WANTED_, memory_order_relaxed, /* [X7] */
                                                memory_order_relaxed) &&
        lane == lane->pool_->lane_)
        atomic_fetch_or_explicit(&lane->pool_->gate_, LEAT_PROBE_, memory_order_relaxed); /* [X7] */
}

/* The call of the job that is timed. It ends the timing. */
LEAT_COLD_ leat_call_ leat_lane_timed_(leat_lane_ *lane)
{
    leat_lane_counts_ *n = lane->counts_;
    leat_call_ call = lane->timed_;
    int64_t took = leat_now() - lane->timed_since_;
    uint64_t waited = took > 0 ? (uint64_t)took : 0;
    atomic_fetch_add_explicit(&n->waited_, waited, memory_order_relaxed); /* [X7] */
    if (waited > atomic_load_explicit(&n->most_, memory_order_relaxed))   /* [X7] */
        atomic_store_explicit(&n->most_, waited, memory_order_relaxed);   /* [X7] only one job of the lane is timed */
    atomic_fetch_add_explicit(&n->timed_, 1, memory_order_relaxed);       /* [X7] */
    atomic_store_explicit(&lane->probe_, LEAT_PROBE_IDLE_, memory_order_release); /* [J1] -> [J2] */
    return call;
}

/* Where the argument of a job stands that brings its value along. */
static inline void *leat_pool_by_value_(leat_pool *p)
{
    return &p->msg_size_;
}

LEAT_COLD_ int leat_run_timed_(leat_ctx *ctx, void *arg)
{
    leat_lane_ *lane = (leat_lane_ *)arg;
    leat_pool *p = lane->pool_;
    leat_call_ call = leat_lane_timed_(lane);
    if (call.arg_ == leat_pool_by_value_(p)) call.arg_ = leat_worker_self_(p)->value_;
    return call.fn_(ctx, call.arg_);
}

/* ---- What is in the queue ---- */

/* What a submit puts there. Without values only the call is copied. */
typedef struct leat_parcel_ {
    leat_call_ call_; /* first */
    const void *value_;
    size_t size_;
} leat_parcel_;

static inline void leat_copy_parcel_(void *to, const void *from)
{
    const leat_parcel_ *parcel = (const leat_parcel_ *)from;
    memcpy(to, &parcel->call_, sizeof parcel->call_);
    if (parcel->size_) memcpy((unsigned char *)to + sizeof parcel->call_, parcel->value_, parcel->size_);
}

/* The copiers (queue.h) of pools with values: with a queue, and without one, where the receiver meets a parcel. */
static inline void leat_copy_queued_(int way, void *in_slot, void *msg, size_t size)
{
    if (way == LEAT_SENDS_) leat_copy_parcel_(in_slot, msg);
    else memcpy(msg, in_slot, size);
}

static inline void leat_copy_met_(int way, void *peers, void *msg, size_t size)
{
    (void)size;
    if (way == LEAT_SENDS_) leat_copy_parcel_(peers, msg);
    else leat_copy_parcel_(msg, peers);
}

/* ---- The worker ---- */

/* The worker is to look at the lanes in the order first, first + 1.. Every eighth job that it takes goes to the other lanes
 * in turn. So a job that is the oldest of its lane waits for at most 8 (n - 1) jobs of each worker, in a pool of n
 * lanes. */
static inline int leat_worker_first_lane_(leat_worker_ *w)
{
    unsigned turn = w->turn_ / 8, others = (unsigned)w->pool_->lanes_ - 1;
    return others && w->turn_ % 8 == 7 ? 1 + (int)(turn % others) : 0;
}

/* Receives from lane i into what `value_` has before it and there. Returns what leat_move_ returns. */
static inline int leat_worker_try_(leat_worker_ *w, int i)
{
    leat_pool *p = w->pool_;
    return leat_move_by_(p->copy_, &w->ctx_, NULL, &p->lane_[i].queue_.chan, LEAT_RECEIVES_, w->value_ - sizeof(leat_call_),
                         p->msg_size_, _Alignof(leat_call_));
}

/* Waits for a job in any lane, first in the order given. Returns its lane, -EPIPE when all are closed and drained, or the
 * error of the worker's context. */
LEAT_COLD_ int leat_worker_wait_any_(leat_worker_ *w, int first)
{
    leat_pool *p = w->pool_;
    int n = p->lanes_, open = n;
    for (int k = 0; k < n; k++)
        w->cases_[k] = leat_lane_case_(&p->lane_[(first + k) % n], LEAT_RECEIVES_, w->value_ - sizeof(leat_call_));
    while (open) {
        int k = leat_select_first_ctx(&w->ctx_, w->cases_, (size_t)n);
        if (k < 0) return k;
        if (!w->cases_[k].err) return (first + k) % n;
        w->cases_[k].chan_ = NULL; /* closed and drained */
        open--;
    }
    return -EPIPE;
}

LEAT_COLD_ int leat_worker_take_any_(leat_worker_ *w, leat_call_ *call)
{
    leat_pool *p = w->pool_;
    int first = leat_worker_first_lane_(w), n = p->lanes_, lane = -EAGAIN;
    for (int k = 0; k < n && lane == -EAGAIN; k++) {
        int err = leat_worker_try_(w, (first + k) % n);
        if (err != -EAGAIN) lane = err ? err : (first + k) % n;
    }
    if (lane == -EAGAIN) {
        leat_worker_runs_out_(w);
        lane = leat_worker_wait_any_(w, first);
    }
    if (lane < 0) return lane;
    w->turn_++;
    memcpy(call, w->value_ - sizeof *call, sizeof *call);
    if (call->arg_ == leat_pool_by_value_(p)) call->arg_ = w->value_;
    return lane;
}

/* Takes the next job. Returns its lane, or an error: there are none, or the worker's context is done. */
static inline int leat_worker_take_(leat_worker_ *w, leat_call_ *call)
{
    leat_pool *p = w->pool_;
    leat_chan *ch = &p->lane_->queue_.chan;
    if (LEAT_RARELY_(w->cases_)) return leat_worker_take_any_(w, call);
    int err = leat_move_(&w->ctx_, NULL, ch, LEAT_RECEIVES_, call, sizeof *call, _Alignof(leat_call_));
    if (LEAT_USUALLY_(err != -EAGAIN)) return err;
    leat_case c = leat_case_(ch, LEAT_RECEIVES_, call, sizeof *call, _Alignof(leat_call_));
    err = leat_wait_first_(&w->ctx_, NULL, &c);
    if (err != -EAGAIN) return err;
    leat_worker_runs_out_(w); /* not for a microsecond without a job: this locks a cache line */
    err = leat_select_(&w->ctx_, NULL, &c, 1);
    return err < 0 ? err : c.err;
}

/* A token was run. If it stood for a leat_job, that ends last, so that a thread that waits for it finds it counted. */
LEAT_COLD_ void leat_worker_spent_(leat_worker_ *w, int lane, int err)
{
    bool stale = w->token_ == LEAT_STALE_TOKEN_;
    w->token_ = LEAT_NO_TOKEN_;
    if (stale) {
        leat_count_add_(&w->counts_.taken_[lane], (size_t)-1);
        leat_count_over_(&w->counts_.skipped_);
    } else {
        leat_count_over_(err ? &w->counts_.failed_ : &w->counts_.completed_);
        leat_job_end_(w->job_, LEAT_JOB_RAN_, err);
    }
}

/* A job has returned. */
static inline void leat_worker_returned_(leat_worker_ *w, int lane, int err)
{
    if (LEAT_RARELY_(w->token_)) {
        leat_worker_spent_(w, lane, err);
        return;
    }
    leat_count_over_(err ? &w->counts_.failed_ : &w->counts_.completed_);
}

/* Done at every 16th job that a worker takes of a lane. To ask for the length reads a cache line that submitters write,
 * which costs both sides a miss. So nobody asks any more once the queue has been seen full. */
LEAT_COLD_ void leat_lane_looks_(leat_lane_ *lane, size_t nth)
{
    _Atomic(size_t) *high = &lane->counts_->high_water_;
    if (leat_counter_(high) < leat_cap(&lane->queue_)) leat_high_water_(high, leat_len(&lane->queue_) + 1);
    if (nth % 1024 == 0 || (nth < 1024 && !(nth & (nth - 1)))) leat_lane_wants_probe_(lane); /* 0.3 us */
}

static inline void leat_worker_loop_(leat_worker_ *w)
{
    leat_pool *p = w->pool_;
    leat_call_ job;
    int lane;
    do {
        while ((lane = leat_worker_take_(w, &job)) >= 0) {
            size_t nth = leat_counter_(&w->counts_.taken_[lane]);
            if (LEAT_RARELY_(nth % 16 == 0)) leat_lane_looks_(&p->lane_[lane], nth);
            atomic_store_explicit(&w->counts_.taken_[lane], nth + 1, memory_order_relaxed); /* [X7] */
            leat_worker_returned_(w, lane, leat_task_call_(job, &p->ctx_, NULL));
        }
    } while (leat_worker_unretire_(w));
}

/* L6: a worker leaves STARTING without an error. True: it is now RETIRING, as was the worker that it replaces, and
 * the caller must cancel its context. The caller holds the lock. */
static inline bool leat_worker_started_(leat_worker_ *w)
{
    if (w->state_ != LEAT_STARTING_) return false;
    w->state_ = w->replaces_ ? w->replaces_->state_ : LEAT_RUNNING_;
    if (w->replaces_) w->replaces_->state_ = LEAT_EXITING_;
    return w->state_ == LEAT_RETIRING_;
}

/* Called when the init hook of a worker has returned, or when there is none. */
LEAT_COLD_ void leat_worker_init_done_(leat_worker_ *w, int err)
{
    leat_pool *p = w->pool_;
    leat_lock_take_(&p->threads_.lock_);
    w->in_init_ = false;
    w->init_err_ = err;
    if (err && w->state_ == LEAT_STARTING_ && !w->replaces_) p->refused_ = err;
    bool retired = !err && leat_worker_started_(w);
    if (err) w->state_ = LEAT_EXITING_;
    leat_lock_drop_(&p->threads_.lock_);
    if (retired) leat_cancel(&w->ctx_, -ECANCELED);
    leat_close_(&w->init_done_);
    if (err && w->reruns_) leat_cancel(&p->ctx_, err); /* a rerun: perhaps no other worker is left */
    if (err) leat_pool_break_deadlock_(p);
}

/* Runs the init hook, then jobs, then the fini hook. */
static inline void leat_worker_run_(leat_thread_ *t)
{
    leat_worker_ *w = leat_worker_of_(t);
    leat_pool *p = w->pool_;
    int err = w->in_init_ ? p->opts_.worker_init(p->opts_.user, t->id_) : 0;
    leat_worker_init_done_(w, err);
    if (err) return;
    leat_worker_loop_(w);
    if (p->opts_.worker_fini) p->opts_.worker_fini(p->opts_.user, t->id_);
}

static inline void leat_worker_main_(leat_thread_ *t)
{
    leat_pool *p = leat_worker_of_(t)->pool_;
    leat_thread_name_(p->name_, t->id_);
    leat_worker_run_(t);
    leat_worker_runs_out_(leat_worker_of_(t));
    leat_wg_done(&p->running_);
}

static inline void leat_worker_on_exit_(leat_thread_ *t);

/* Waits until the init hook of `w` has returned. The caller has pinned `w` for this. The function unpins it. RETURN
 * VALUES: 0, or the error of a context. */
LEAT_COLD_ int leat_pool_await_init_(leat_ctx *ctx, leat_ctx *also, leat_pool *p, leat_worker_ *w)
{
    leat_worker_ *self = leat_worker_self_(p);
    char none;
    leat_case c = leat_case_(&w->init_done_, LEAT_RECEIVES_, &none, 1, 1);
    if (self) {
        leat_lock_take_(&p->threads_.lock_);
        self->awaits_init_ = true;
        leat_lock_drop_(&p->threads_.lock_);
        leat_pool_break_deadlock_(p);
    }
    int err = leat_select_(ctx, also, &c, 1);
    leat_lock_take_(&p->threads_.lock_);
    if (self) self->awaits_init_ = false;
    w->pins_--;
    leat_lock_drop_(&p->threads_.lock_);
    return err < 0 ? err : 0;
}

/* Spawns a worker, which counts in running_. It replaces the worker `replaces`, unless that is NULL. Without an init
 * hook the worker is RUNNING when this returns. With one it is STARTING. But for a replacement the caller waits until
 * the init hook has returned, and gets its error. */
LEAT_COLD_ int leat_pool_spawn_(leat_pool *p, leat_worker_ *replaces)
{
    bool simple = p->lanes_ == 1 && !p->copy_;
    size_t cases = simple ? 0 : (size_t)p->lanes_ * sizeof(leat_case);
    leat_worker_ *w =
        (leat_worker_ *)leat_zeroed_(1, sizeof *w + cases + (simple ? 0 : 2 * LEAT_LINE_ + p->opts_.value_size), 1);
    if (!w) return -ENOMEM;
    if (!simple) {
        void *behind = w + 1;
        w->cases_ = (leat_case *)behind;
        w->value_ = (unsigned char *)behind + cases + sizeof(leat_call_);
        w->value_ += -(uintptr_t)w->value_ % LEAT_LINE_;
    }
    atomic_store_explicit(&w->awaited_, 1, memory_order_relaxed); /* [X7] perhaps a thread is in leat_pool_wait */
    bool hook = p->opts_.worker_init != NULL, awaited = hook && replaces;
    w->thread_.main_ = leat_worker_main_;
    w->thread_.on_exit_ = leat_worker_on_exit_;
    w->pool_ = p;
    w->ctx_.parent_ = &p->ctx_;
    w->replaces_ = replaces;
    w->in_init_ = hook;
    w->pins_ = 1 + awaited; /* this function unpins once, leat_pool_await_init_ once */
    leat_wg_add(&p->running_, 1);
    int err = leat_spawn_(&p->threads_, &w->thread_, p->opts_.stack_size);
    if (err) {
        leat_quiet_free_(w);
        leat_wg_done(&p->running_);
        leat_pool_break_deadlock_(p);
        return err;
    }
    if (awaited) leat_pool_await_init_(NULL, NULL, p, w);
    leat_lock_take_(&p->threads_.lock_);
    bool retired = !hook && leat_worker_started_(w); /* it is wanted before its thread has run */
    if (awaited) err = w->init_err_;
    leat_lock_drop_(&p->threads_.lock_);
    if (retired) leat_cancel(&w->ctx_, -ECANCELED);
    leat_lock_take_(&p->threads_.lock_);
    w->pins_--;
    leat_lock_drop_(&p->threads_.lock_);
    return err;
}

/* A job has ended the thread of a worker, and no other could be spawned. The worker goes on, on the same thread. It
 * exits instead if it was retired, or if so many jobs have ended the thread that its stack might not suffice. */
LEAT_COLD_ void leat_worker_rerun_(leat_worker_ *w, int err)
{
    leat_pool *p = w->pool_;
    leat_lock_take_(&p->threads_.lock_);
    bool running = w->state_ == LEAT_RUNNING_;
    bool reruns = running && w->reruns_++ < 20;
    if (!reruns) w->state_ = LEAT_EXITING_;
    w->in_init_ = reruns && p->opts_.worker_init;
    leat_lock_drop_(&p->threads_.lock_);
    w->replaces_ = NULL;
    if (reruns) leat_thread_run_(&w->thread_, leat_worker_run_);
    else if (running) leat_cancel(&p->ctx_, err); /* perhaps no other worker is left */
}

/* A job has ended the thread of a worker, and counts as failed. The worker is replaced, unless it was retired. */
LEAT_COLD_ void leat_worker_replace_(leat_worker_ *w)
{
    leat_pool *p = w->pool_;
    leat_worker_returned_(w, 0, -EINTR);
    leat_worker_runs_out_(w);
    if (p->opts_.worker_fini) p->opts_.worker_fini(p->opts_.user, w->thread_.id_);
    leat_lock_take_(&p->threads_.lock_);
    if (w->state_ == LEAT_RETIRING_) w->state_ = LEAT_EXITING_;
    bool running = w->state_ == LEAT_RUNNING_;
    leat_lock_drop_(&p->threads_.lock_);
    int err = running ? leat_pool_spawn_(p, w) : 0;
    leat_pool_reap_(p); /* or jobs that end their threads would leave ever more of them */
    if (err) leat_worker_rerun_(w, err);
}

/* A job or a hook has ended the worker's thread. Such an init hook counts as failed. After the fini hook there is
 * nothing left to do. */
static inline void leat_worker_on_exit_(leat_thread_ *t)
{
    leat_worker_ *w = leat_worker_of_(t);
    leat_pool *p = w->pool_;
    if (w->in_init_) leat_worker_init_done_(w, -EINTR);
    else if (leat_counts_taken_(&w->counts_) != leat_counts_over_(&w->counts_)) leat_worker_replace_(w);
    leat_worker_runs_out_(w);
    leat_wg_done(&p->running_);
}

/* Shuts the gate and closes the queue. The pool accepts no more jobs. */
static inline int leat_pool_shut_(leat_pool *p)
{
    if (!p || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    atomic_fetch_or_explicit(&p->gate_, LEAT_SHUT_, memory_order_release);                              /* [G1] -> [G2] */
    atomic_fetch_or_explicit(&p->calls_, LEAT_SHUT_, memory_order_release);                             /* [G1] -> [G2] */
    for (int i = 0; i < p->lanes_; i++) leat_close_(&p->lane_[i].queue_.chan);
    return 0;
}

/* The same for a caller that then waits for the pool's end, which a thread of the pool must not do: -EDEADLK. */
static inline int leat_pool_shut_to_wait_(leat_ctx *ctx, leat_pool *p)
{
    if (p && leat_self_(&p->threads_)) return leat_unless_done_(ctx, NULL, -EDEADLK);
    return leat_pool_shut_(p);
}

/* Takes what is left in the closed queue, lane 0 first, and counts it. Both happen under the lock. So no stop can miss it
 * (L8), or free the queue meanwhile. Returns its lane, or NULL. */
LEAT_COLD_ leat_lane_ *leat_pool_take_left_(leat_pool *p, void *job)
{
    leat_lane_ *from = NULL;
    leat_lock_take_(&p->threads_.lock_);
    for (int i = 0; i < p->lanes_ && !from; i++) {
        leat_case c = leat_lane_case_(&p->lane_[i], LEAT_RECEIVES_, job);
        if (leat_try_select_(NULL, &c, 1) == 0 && !c.err) from = &p->lane_[i];
    }
    p->cleared_ += from != NULL;
    leat_lock_drop_(&p->threads_.lock_);
    return from;
}

typedef void leat_hand_back_(leat_task *fn, void *arg, void *user);

/* Room for a value, or NULL in a pool without values. There is always some for one abort at a time. */
LEAT_COLD_ unsigned char *leat_pool_room_(leat_pool *p)
{
    unsigned char *room = NULL;
    for (unsigned round = 0; p->copy_ && !room; leat_backoff_(&round)) {
        leat_lock_take_(&p->threads_.lock_);
        room = p->room_;
        p->room_ = NULL;
        leat_lock_drop_(&p->threads_.lock_);
        if (!room) room = (unsigned char *)leat_zeroed_(1, LEAT_LINE_ + p->msg_size_, LEAT_LINE_);
    }
    return room;
}

LEAT_COLD_ void leat_pool_give_room_(leat_pool *p, unsigned char *room)
{
    leat_lock_take_(&p->threads_.lock_);
    if (!p->room_ && !p->freed_) {
        p->room_ = room;
        room = NULL;
    }
    leat_lock_drop_(&p->threads_.lock_);
    leat_zeroed_free_(room, LEAT_LINE_);
}

/* Hands back what is left in the queues of a shut pool. A leat_job is told that it will never run. */
LEAT_COLD_ void leat_pool_clear_(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    leat_call_ call = { NULL, NULL };
    unsigned char *room = leat_pool_room_(p), *value = room ? room + LEAT_LINE_ : NULL;
    void *job = room ? value - sizeof call : (void *)&call;
    for (leat_lane_ *lane; (lane = leat_pool_take_left_(p, job)) != NULL;) {
        if (room) memcpy(&call, job, sizeof call);
        if (call.fn_ == leat_run_timed_) call = leat_lane_timed_(lane);
        if (call.arg_ == leat_pool_by_value_(p)) call.arg_ = value;
        bool token = call.fn_ == leat_run_job_;
        leat_job *j = token ? leat_lane_exchange_(lane) : NULL;
        leat_lock_take_(&p->threads_.lock_);
        p->dropped_ += !token || j;
        leat_lock_drop_(&p->threads_.lock_);
        if (j) leat_job_end_(j, LEAT_JOB_NEVER_, 0);
        else if (!token && dropped) dropped(call.fn_, call.arg_, user);
    }
    leat_pool_give_room_(p, room);
    leat_pool_tell_idlers_(p, NULL);
}

/* L8: whether a shut pool may be ended, by an abort (aborts: 1) or a stop (0). While an abort is under way, a stop
 * leaves the end to it. *left: the number of jobs in the queue, for a stop without those that were cancelled. */
LEAT_COLD_ bool leat_pool_is_idle_(leat_pool *p, int aborts, size_t *left)
{
    leat_lock_take_(&p->threads_.lock_);
    int64_t submits = atomic_load_explicit(&p->gate_, memory_order_acquire) / LEAT_INSIDE_; /* [G2] <- [G1] */
    int64_t calls = atomic_load_explicit(&p->calls_, memory_order_acquire) / LEAT_INSIDE_;  /* [G2] <- [G1] */
    *left = leat_lanes_len_(p);
    bool idle = !calls && !p->threads_.list_ && !p->threads_.joining_ && (aborts || !p->aborting_);
    idle = idle && (size_t)submits == leat_counts_taken_(&p->totals_) + p->cleared_ + *left;
    /* No token is taken and not yet exchanged. A cancel has done with its lane when the lane's lock is free. */
    if (idle && !aborts) *left -= leat_pool_stale_(p);
    leat_lock_drop_(&p->threads_.lock_);
    return idle;
}

static inline void leat_pool_free_queue_(leat_pool *p)
{
    leat_lock_take_(&p->threads_.lock_); /* leat_pool_stats and leat_pool_take_left_ look at the queue under it */
    for (int i = 0; i < p->lanes_; i++) {
        leat_quiet_free_(p->lane_[i].queue_.chan.slots_);
        p->lane_[i].queue_.chan.slots_ = NULL;
    }
    leat_zeroed_free_(p->room_, LEAT_LINE_);
    p->room_ = NULL;
    p->freed_ = true;
    leat_lock_drop_(&p->threads_.lock_);
}

/* Ends a shut pool whose workers exit. It joins them and frees the queue. RETURN VALUES: 0: this call has ended the
 * pool. -EALREADY: another call has. -EAGAIN: the pool may not be ended yet. Or the error of ctx. Or the error of the
 * pool's context, if jobs are left. */
LEAT_COLD_ int leat_pool_end_(leat_ctx *ctx, leat_pool *p, int aborts)
{
    size_t left;
    int open = LEAT_OPEN_;
    if (atomic_load_explicit(&p->end_, memory_order_acquire) == LEAT_OVER_) /* [G2] <- [G1] */
        return leat_unless_done_(ctx, NULL, -EALREADY);
    leat_pool_reap_(p);
    int err = leat_unless_done_(ctx, NULL, leat_pool_is_idle_(p, aborts, &left) ? 0 : -EAGAIN);
    if (!err && left) err = leat_unless_done_(&p->ctx_, NULL, -EAGAIN);
    if (err) return err;
    if (!atomic_compare_exchange_strong_explicit(&p->end_, &open, LEAT_ENDING_, memory_order_relaxed, /* [X7] */
                                                 memory_order_relaxed))
        return -EAGAIN; /* another caller ends it. The next look finds it over */
    leat_pool_free_queue_(p);
    leat_cancel(&p->ctx_, -ECANCELED);
    atomic_store_explicit(&p->end_, LEAT_OVER_, memory_order_release); /* [G1] -> [G2] no access follows */
    return 0;
}

/* Waits until a shut pool may be ended, and ends it. First it waits for the last job (running_). Then it polls, because
 * calls that the close has woken may still be inside, and threads may not have exited yet. */
LEAT_COLD_ int leat_pool_finish_(leat_ctx *ctx, leat_pool *p, int aborts)
{
    for (unsigned round = 0;; leat_backoff_(&round)) {
        int err = leat_wg_wait_ctx(ctx, &p->running_);
        if (!err) err = leat_pool_end_(ctx, p, aborts);
        if (err != -EAGAIN) return err;
    }
}

static inline int leat_pool_try_finish_(leat_pool *p, int aborts)
{
    int err = leat_try_wg_wait(&p->running_);
    return err ? err : leat_pool_end_(NULL, p, aborts);
}

/* A STARTING worker that replaces no other, or NULL. The caller holds the lock. */
static inline leat_worker_ *leat_pool_starting_(leat_pool *p)
{
    leat_worker_ *w = leat_worker_first_(p);
    while (w && !(w->state_ == LEAT_STARTING_ && !w->replaces_)) w = leat_worker_next_(w);
    return w;
}

/* The error of an init hook that no call has returned yet, or 0. -EAGAIN while an init hook runs. */
LEAT_COLD_ int leat_pool_try_inits_(leat_pool *p)
{
    leat_lock_take_(&p->threads_.lock_);
    bool starting = leat_pool_starting_(p) != NULL;
    int err = starting ? -EAGAIN : p->refused_;
    if (!starting) p->refused_ = 0;
    leat_lock_drop_(&p->threads_.lock_);
    return err;
}

/* Waits until no init hook runs. RETURN VALUES: 0, or the error of a hook. Or the error of a context. Then the next
 * call returns the hook's error. */
LEAT_COLD_ int leat_pool_await_inits_(leat_ctx *ctx, leat_ctx *also, leat_pool *p)
{
    for (leat_worker_ *w;;) {
        leat_lock_take_(&p->threads_.lock_);
        w = leat_pool_starting_(p);
        if (w) w->pins_++;
        leat_lock_drop_(&p->threads_.lock_);
        int err = w ? leat_pool_await_init_(ctx, also, p, w) : leat_unless_done_(ctx, also, 0);
        if (err) return err;
        if (!w) break;
    }
    return leat_pool_try_inits_(p);
}

/* Adds n workers. It waits for the init hook of each before it spawns the next. */
LEAT_COLD_ int leat_pool_grow_(leat_ctx *ctx, leat_ctx *also, leat_pool *p, int n)
{
    int err = 0;
    while (n-- > 0 && !err)
        if ((err = leat_pool_spawn_(p, NULL)) == 0) err = leat_pool_await_inits_(ctx, also, p);
    return err;
}

/* Makes the queues, and the room for an abort. RETURN VALUES: 0. -ENOMEM, and everything is undone. */
LEAT_COLD_ int leat_pool_make_lanes_(leat_pool *p)
{
    if (p->copy_) p->room_ = (unsigned char *)leat_zeroed_(1, LEAT_LINE_ + p->msg_size_, LEAT_LINE_);
    int err = p->copy_ && !p->room_ ? -ENOMEM : 0;
    for (int i = 0; i < p->lanes_; i++) {
        leat_lane_ *lane = &p->lane_[i];
        lane->pool_ = p;
        lane->counts_ = &p->lane_counts_[i];
        atomic_store_explicit(&lane->probe_, LEAT_PROBE_WANTED_, memory_order_relaxed); /* [X7] */
        if (!err) err = leat_make_(&lane->queue_.chan, p->queue_cap_, p->msg_size_, _Alignof(leat_call_));
    }
    if (err) leat_pool_free_queue_(p);
    return err;
}

/* Starts a pool whose jobs run under a context of its own, below `ctx` (or NULL). `opts` may be NULL. It is copied,
 * but what its `user` points to is not. 0. Or an error, with everything undone: -EINVAL (a negative number), -ENOMEM,
 * -EAGAIN (no thread could be spawned), or what a worker_init returned. When `ctx` is done, the workers finish their
 * jobs and take no more, and submit returns the error of `ctx`. The caller must still call leat_pool_stop or _abort. */
LEAT_COLD_ int leat_pool_start(leat_pool *p, leat_ctx *ctx, const leat_pool_opts *opts)
{
    leat_pool_opts o = { .workers = 0 };
    if (opts) o = *opts;
    if (!p || o.workers < 0 || o.queue < LEAT_NO_QUEUE || o.queue > INT_MAX / 2 || o.workers > INT_MAX / 2) return -EINVAL;
    if (o.lanes < 0 || o.lanes > LEAT_LANES || o.value_size > INT32_MAX / 2) return -EINVAL;
    if (!o.workers) o.workers = leat_cpus();
    if (!o.queue) o.queue = 2 * o.workers;
    *p = (leat_pool){ .ctx_ = LEAT_CTX(ctx), .resizing_ = LEAT_SEM(1), .opts_ = o };
    p->queue_cap_ = o.queue == LEAT_NO_QUEUE ? 0 : (size_t)o.queue;
    p->lanes_ = o.lanes ? o.lanes : 1;
    p->msg_size_ = sizeof(leat_call_) + (o.value_size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    if (o.value_size) p->copy_ = p->queue_cap_ ? leat_copy_queued_ : leat_copy_met_;
    p->threads_.inherit_signals_ = o.inherit_signals;
    leat_threads_keep_name_(p->name_, o.name ? o.name : "leat");
    int err = leat_pool_make_lanes_(p);
    if (err) return err;
    /* no other thread uses the pool yet */
    int64_t gate = LEAT_STARTED_ | LEAT_PROBE_ | (p->copy_ ? LEAT_SIZED_ : 0);
    atomic_store_explicit(&p->gate_, gate, memory_order_relaxed);           /* [X7] */
    atomic_store_explicit(&p->calls_, LEAT_STARTED_, memory_order_relaxed); /* [X7] */
    if ((err = leat_pool_grow_(NULL, NULL, p, o.workers)) == 0) return 0;
    leat_pool_shut_(p);
    leat_wg_wait(&p->running_); /* a hook may have submitted jobs. They run if there is a worker */
    leat_pool_clear_(p, NULL, NULL);
    leat_pool_finish_(NULL, p, 1);
    return err;
}

/* A worker has found the queue full. From now on it is blocked, if it may be. RETURN VALUES: 0: it is blocked.
 * -EDEADLK: all other workers are blocked. -EAGAIN: this cannot be decided yet. A worker that is really blocked is
 * linked to a queue that is full. A worker that has just got room, and is on its way back, is not. */
LEAT_COLD_ int leat_worker_block_(leat_worker_ *self, leat_blocked_ *b)
{
    leat_pool *p = self->pool_;
    bool unsure = false;
    leat_lock_take_(&p->threads_.lock_);
    leat_lanes_lock_(p);
    bool runner = leat_pool_has_runner_(p, self, &unsure);
    if (!runner) unsure |= leat_lane_has_room_(leat_lane_of_(b->case_->chan_));
    leat_lanes_unlock_(p);
    if (runner) {
        self->blocked_ = b;
        self->pins_ += self->thread_.exited_; /* a destructor submits. A worker that joined it would make no room */
    }
    leat_lock_drop_(&p->threads_.lock_);
    return runner ? 0 : unsure ? -EAGAIN : -EDEADLK;
}

/* The worker is no longer blocked. True: it was told that there will be no room. */
LEAT_COLD_ bool leat_worker_unblock_(leat_worker_ *self, leat_blocked_ *b)
{
    leat_lock_ *lock = &self->pool_->threads_.lock_;
    leat_lock_take_(lock);
    self->pins_ -= self->thread_.exited_;
    self->blocked_ = NULL;
    int told = b->told_;
    leat_lock_drop_(lock);
    for (unsigned round = 0; told == LEAT_TELLING_; leat_backoff_(&round)) { /* L10 */
        leat_lock_take_(lock);
        told = b->told_;
        leat_lock_drop_(lock);
    }
    return told;
}

/* A job or a hook, on the worker's thread, waits for room (L9). */
LEAT_COLD_ int leat_worker_wait_(leat_ctx *ctx, leat_worker_ *self, leat_case *c)
{
    leat_ctx *end = &self->pool_->ctx_;
    leat_blocked_ b = { .case_ = c, .room_ = LEAT_CTX(end) };
    int r;
    for (unsigned round = 0; (r = leat_worker_block_(self, &b)) == -EAGAIN; leat_backoff_(&round))
        if ((r = leat_poll_(ctx, end, c, 1)) != -EAGAIN && r != LEAT_IN_FLIGHT_) return r;
    if (!r) {
        r = leat_select_(ctx, &b.room_, c, 1);
        if (leat_worker_unblock_(self, &b) && r < 0) r = -EDEADLK;
    }
    return r < 0 ? leat_unless_done_(ctx, end, r) : r;
}

/* The slow path of a submit: the queue is full. A caller that gets no room soon notes it for queue_high, then parks. */
LEAT_COLD_ int leat_submit_wait_(leat_ctx *ctx, leat_lane_ *lane, leat_case *c)
{
    leat_pool *p = lane->pool_;
    leat_worker_ *self = leat_worker_self_(p);
    int r = leat_wait_first_(ctx, &p->ctx_, c);
    if (r != -EAGAIN) return r;
    leat_high_water_(&lane->counts_->high_water_, p->queue_cap_);
    r = self ? leat_worker_wait_(ctx, self, c) : leat_select_(ctx, &p->ctx_, c, 1);
    return r < 0 ? r : c->err;
}

LEAT_COLD_ int leat_submit_try_again_(leat_lane_ *lane, leat_case *c)
{
    leat_ctx *end = &lane->pool_->ctx_;
    int r = leat_try_select_(end, c, 1);
    if (r == -EAGAIN) return leat_unless_done_(end, NULL, r);
    return r < 0 ? r : c->err;
}

/* `msg` is the leat_call_ or, in a pool with values, the leat_parcel_. */
LEAT_COLD_ int leat_submit_again_(leat_ctx *ctx, leat_lane_ *lane, void *msg, bool waits)
{
    leat_case c = leat_lane_case_(lane, LEAT_SENDS_, msg);
    return waits ? leat_submit_wait_(ctx, lane, &c) : leat_submit_try_again_(lane, &c);
}

LEAT_COLD_ int leat_pool_refuse_(leat_pool *p, int err)
{
    leat_submit_leaves_(p);
    return err == -EPIPE ? -ESHUTDOWN : err;
}

/* The submit of anything, in any lane, after it has entered the gate. */
LEAT_COLD_ int leat_submit_parcel_(leat_ctx *ctx, leat_lane_ *lane, leat_parcel_ *parcel, bool waits)
{
    leat_pool *p = lane->pool_;
    int wanted = LEAT_PROBE_WANTED_;
    bool timed = atomic_load_explicit(&lane->probe_, memory_order_relaxed) == wanted && /* [X7] */
                 atomic_compare_exchange_strong_explicit(&lane->probe_, &wanted, LEAT_PROBE_USED_,
                                                         memory_order_acquire, /* [J2] <- [J1] */
                                                         memory_order_relaxed);
    if (timed) {
        lane->timed_ = parcel->call_;
        lane->timed_since_ = leat_now();
        parcel->call_ = (leat_call_){ leat_run_timed_, lane };
    }
    int err =
        leat_move_by_(p->copy_, ctx, &p->ctx_, &lane->queue_.chan, LEAT_SENDS_, parcel, p->msg_size_, _Alignof(leat_call_));
    if (err == -EAGAIN) err = leat_submit_again_(ctx, lane, parcel, waits);
    if (!err) return 0;
    if (timed) atomic_store_explicit(&lane->probe_, LEAT_PROBE_IDLE_, memory_order_release); /* [J1] -> [J2] */
    return leat_pool_refuse_(p, err);
}

/* Counts a submit in at the gate (L8). */
LEAT_HOT_ int64_t leat_submit_enters_(leat_pool *p)
{
    return atomic_fetch_add_explicit(&p->gate_, LEAT_INSIDE_, memory_order_acquire); /* [G2] <- [G1] */
}

/* Whether a submit that has entered may go on. RETURN VALUES: 0. Or -ESHUTDOWN, -EINVAL, and it has left. */
LEAT_COLD_ int leat_submit_may_(leat_pool *p, int64_t gate, int lane)
{
    bool open = (gate & (LEAT_STARTED_ | LEAT_SHUT_)) == LEAT_STARTED_;
    if (open && lane >= 0 && lane < p->lanes_) return 0;
    leat_submit_leaves_(p);
    return gate & LEAT_SHUT_ ? -ESHUTDOWN : -EINVAL;
}

/* The submit of anything but a simple job in lane 0. */
LEAT_COLD_ int leat_submit_to_(leat_ctx *ctx, leat_pool *p, int lane, leat_parcel_ parcel, bool waits)
{
    if (!p || !parcel.call_.fn_) return -EINVAL;
    int err = leat_submit_may_(p, leat_submit_enters_(p), lane);
    if (err) return leat_unless_done_(ctx, NULL, err);
    if (parcel.size_ > p->opts_.value_size) return leat_pool_refuse_(p, -E2BIG);
    return leat_submit_parcel_(ctx, &p->lane_[lane], &parcel, waits);
}

/* A submit that has met bits of the gate. */
LEAT_COLD_ int leat_submit_specially_(leat_ctx *ctx, leat_pool *p, leat_call_ call, bool waits, int64_t gate)
{
    int err = leat_submit_may_(p, gate, 0);
    if (err) return leat_unless_done_(ctx, NULL, err);
    if (gate & LEAT_PROBE_) atomic_fetch_and_explicit(&p->gate_, ~(int64_t)LEAT_PROBE_, memory_order_relaxed); /* [X7] */
    leat_parcel_ parcel = { .call_ = call };
    return leat_submit_parcel_(ctx, p->lane_, &parcel, waits);
}

LEAT_HOT_ int leat_submit_(leat_ctx *ctx, leat_pool *p, leat_task *fn, void *arg, bool waits)
{
    leat_call_ call = { fn, arg };
    if (LEAT_RARELY_(!fn || !p)) return -EINVAL;
    int64_t gate = leat_submit_enters_(p), bits = LEAT_STARTED_ | LEAT_SHUT_ | LEAT_PROBE_ | LEAT_SIZED_;
    if (LEAT_RARELY_((gate & bits) != LEAT_STARTED_)) return leat_submit_specially_(ctx, p, call, waits, gate);
    leat_lane_ *lane = p->lane_;
    int err = leat_move_(ctx, &p->ctx_, &lane->queue_.chan, LEAT_SENDS_, &call, sizeof call, _Alignof(leat_call_));
    if (LEAT_RARELY_(err == -EAGAIN)) err = leat_submit_again_(ctx, lane, &call, waits);
    return LEAT_USUALLY_(!err) ? 0 : leat_pool_refuse_(p, err);
}

/* Queues a job, which calls fn(ctx, arg) on one of the workers. The caller waits while the queue is full.
 * 0: accepted. The job will run once, or leat_pool_abort hands it to its `dropped`. -ESHUTDOWN: the pool is being
 * stopped. -ECANCELED, -ETIMEDOUT: the pool's context is done. -EDEADLK: the caller is a thread of the pool (a job, a
 * hook), and all workers that are left wait for room. -EINVAL. Any thread may call it, also jobs. It allocates
 * nothing.
 * In a pool with LEAT_NO_QUEUE a submit meets a worker that waits for a job.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED, -ETIMEDOUT also when `ctx` is done. */
LEAT_HOT_ int leat_submit_ctx(leat_ctx *ctx, leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_(ctx, p, fn, arg, true);
}

LEAT_HOT_ int leat_submit(leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_(NULL, p, fn, arg, true);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit(leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_(NULL, p, fn, arg, false);
}

/* leat_submit in one of the pool's lanes, 0 to opts.lanes - 1. Each lane is a queue of its own. leat_submit uses lane 0.
 * A worker takes jobs from lane 0 first, then from lane 1, and so on. But every eighth job that it takes is from the other
 * lanes, in turn, where they have any. So of each 8 (n - 1) jobs that a worker takes, in a pool of n lanes, at least one
 * is from a given lane, while there is one: no lane is starved. -EINVAL also if there is no such lane. */
LEAT_HOT_ int leat_submit_lane_ctx(leat_ctx *ctx, leat_pool *p, int lane, leat_task *fn, void *arg)
{
    return leat_submit_to_(ctx, p, lane, (leat_parcel_){ .call_ = { fn, arg } }, true);
}

LEAT_HOT_ int leat_submit_lane(leat_pool *p, int lane, leat_task *fn, void *arg)
{
    return leat_submit_lane_ctx(NULL, p, lane, fn, arg);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_lane(leat_pool *p, int lane, leat_task *fn, void *arg)
{
    return leat_submit_to_(NULL, p, lane, (leat_parcel_){ .call_ = { fn, arg } }, false);
}

/* int leat_submit_value(leat_pool *p, leat_task *fn, v): as leat_submit, and copies *v into the queue. The job calls
 * fn(ctx, copy), with the worker's own copy, which is aligned as *v is, and lives until fn has returned.
 * leat_pool_abort hands dropped(fn, copy, user) a copy that lives until `dropped` has returned. `v` is a pointer to any
 * complete type. It allocates nothing. -E2BIG: *v is larger than the pool's value_size. -EINVAL also if it is to be
 * aligned to more than 64 bytes. */
#ifndef __cplusplus
#define leat_submit_value(p, fn, v) leat_submit_value_(NULL, p, fn, v, LEAT_VALUE_OF_(v), true)
#define leat_try_submit_value(p, fn, v) leat_try_submit_value_(p, fn, v, LEAT_VALUE_OF_(v))
#define leat_submit_value_ctx(ctx, p, fn, v) leat_submit_value_(ctx, p, fn, v, LEAT_VALUE_OF_(v), true)
#define LEAT_VALUE_OF_(v) sizeof *(v), _Alignof(__typeof__(*(v)))
#endif

LEAT_COLD_ int leat_submit_value_(leat_ctx *ctx, leat_pool *p, leat_task *fn, const void *v, size_t size, size_t align,
                                  bool waits)
{
    if (!p || !v || align > LEAT_LINE_) return -EINVAL;
    return leat_submit_to_(ctx, p, 0, (leat_parcel_){ { fn, leat_pool_by_value_(p) }, v, size }, waits);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_value_(leat_pool *p, leat_task *fn, const void *v, size_t size, size_t align)
{
    return leat_submit_value_(NULL, p, fn, v, size, align, false);
}

#ifdef __cplusplus
template <class V> LEAT_HOT_ int leat_submit_value_ctx(leat_ctx *ctx, leat_pool *p, leat_task *fn, V *v)
{
    static_assert(__is_trivially_copyable(V), "leat: a value is copied as bytes, so its type must be trivially copyable");
    return leat_submit_value_(ctx, p, fn, v, sizeof(V), alignof(V), true);
}

template <class V> LEAT_HOT_ int leat_submit_value(leat_pool *p, leat_task *fn, V *v)
{
    return leat_submit_value_ctx(NULL, p, fn, v);
}

template <class V> LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_value(leat_pool *p, leat_task *fn, V *v)
{
    static_assert(__is_trivially_copyable(V), "leat: a value is copied as bytes, so its type must be trivially copyable");
    return leat_try_submit_value_(p, fn, v, sizeof(V), alignof(V));
}
#endif

/* Queues a job that the caller can wait for, and cancel. *j must live until one leat_job_wait has returned its result, or
 * one leat_job_cancel has returned 0. From then on it may be freed, or submitted again. Several threads may wait for it,
 * and cancel it: then it must live until all these calls have returned. It allocates nothing.
 * 0, or the errors of leat_submit. Then the job is not accepted, and may be submitted again. If it has run before, its last
 * result stays. -EINVAL also if there is no lane j->lane. -EALREADY: it is in a queue, or runs.
 * leat_pool_abort does not hand it to `dropped`. Whoever waits for it learns that it never ran. */
LEAT_COLD_ int leat_submit_job_(leat_ctx *ctx, leat_pool *p, leat_job *j, bool waits)
{
    if (!p || !j || !j->fn_ || j->lane < 0 || j->lane >= LEAT_LANES) return -EINVAL;
    uint64_t state = atomic_load_explicit(&j->word_, memory_order_acquire) & LEAT_JOB_STATE_; /* [J2] <- [J1] */
    if (state != LEAT_JOB_NEW_ && state < LEAT_JOB_RAN_) return leat_unless_done_(ctx, NULL, -EALREADY);
    leat_lane_ *lane = &p->lane_[j->lane];
    int err = leat_submit_to_(ctx, p, j->lane, (leat_parcel_){ .call_ = { leat_run_job_, lane } }, waits);
    if (err) return err;
    j->lane_ = lane;
    leat_job_link_(j); /* L12: nothing of the pool or of the job is touched after this */
    return 0;
}

LEAT_HOT_ int leat_submit_job(leat_pool *p, leat_job *j)
{
    return leat_submit_job_(NULL, p, j, true);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_job(leat_pool *p, leat_job *j)
{
    return leat_submit_job_(NULL, p, j, false);
}

LEAT_HOT_ int leat_submit_job_ctx(leat_ctx *ctx, leat_pool *p, leat_job *j)
{
    return leat_submit_job_(ctx, p, j, true);
}

/* What a wait returns that has seen the final word. */
static inline int leat_job_result_(uint64_t word, int *result)
{
    if ((word & LEAT_JOB_STATE_) == LEAT_JOB_NEVER_) return -ECANCELED;
    if (result) *result = (int)(uint32_t)(word >> 32);
    return 0;
}

/* The last look before the thread parks, called by leat_block_. It enqueues its node, and spins there: it must not look at
 * a job that another thread may free. */
static inline bool leat_job_enqueue_(void *what, leat_waiter_ *w)
{
    leat_job_waiter_ *self = (leat_job_waiter_ *)what;
    leat_job *j = self->job_;
    self->link_.waiter_ = w;
    leat_lock_take_(&j->lock_);
    uint64_t word = atomic_fetch_or_explicit(&j->word_, LEAT_JOB_WAITERS_, memory_order_acquire); /* [J2] <- [J1] */
    self->entered_ = (word & LEAT_JOB_STATE_) < LEAT_JOB_RAN_;
    if (self->entered_) leat_enqueue_(&j->waiters_, &self->link_);
    leat_lock_drop_(&j->lock_);
    if (self->entered_) leat_spin_until_woken_(w, self->spin_);
    return self->entered_;
}

/* Waits until the job has returned, and writes what it returned to *result (which may be NULL). What the job did
 * happens-before this return. 0. -ECANCELED: it never ran, as it was cancelled, or the pool was aborted. -EINVAL: it was
 * not accepted. -EDEADLK: the caller is the job. A job that waits for another job of its pool keeps its worker: if all
 * workers do so, none is left to run the other jobs.
 * A job whose thread ended returned -EINTR.
 * try: -EAGAIN while it waits or runs. ctx: -ECANCELED, -ETIMEDOUT when ctx (or NULL) is done. leat_ctx_err(ctx) tells
 * a cancelled context from a cancelled job. A thread that gives up uses the job until it has returned. */
LEAT_COLD_ int leat_job_wait_ctx(leat_ctx *ctx, leat_job *j, int *result)
{
    if (!j) return -EINVAL;
    for (leat_spin_ spin = LEAT_SPIN_;;) {
        uint64_t word = atomic_load_explicit(&j->word_, memory_order_acquire); /* [J2] <- [J1] */
        uint64_t state = word & LEAT_JOB_STATE_;
        int err = leat_ctx_err(ctx);
        if (err) return err;
        if (state >= LEAT_JOB_RAN_) return leat_job_result_(word, result);
        if (state == LEAT_JOB_NEW_) return -EINVAL;
        if (state == LEAT_JOB_RUNS_ && leat_os_same_(j->runner_, leat_os_self_())) return -EDEADLK;
        leat_waiter_ waiter;
        leat_waiter_init_(&waiter);
        leat_job_waiter_ self = { .job_ = j, .spin_ = &spin };
        leat_block_(&waiter, ctx, NULL, LEAT_FOREVER, leat_job_enqueue_, &self);
        leat_os_done_(&waiter.state_);
        if (waiter.won_) return leat_job_result_(self.last_, result);
        if (!self.entered_) continue;
        leat_lock_take_(&j->lock_);
        leat_dequeue_(&j->waiters_, &self.link_);
        leat_lock_drop_(&j->lock_);
        if ((err = leat_ctx_err_at_(ctx, leat_now())) != 0) return err;
    }
}

LEAT_HOT_ int leat_job_wait(leat_job *j, int *result)
{
    return leat_job_wait_ctx(NULL, j, result);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_job_wait(leat_job *j, int *result)
{
    uint64_t word = j ? atomic_load_explicit(&j->word_, memory_order_acquire) : 0; /* [J2] <- [J1] */
    if ((word & LEAT_JOB_STATE_) >= LEAT_JOB_RAN_) return leat_job_result_(word, result);
    return word & LEAT_JOB_STATE_ ? -EAGAIN : -EINVAL;
}

/* Takes a job back that no worker has taken. 0: it will never run, and a thread that waits for it gets -ECANCELED. Its place
 * in the queue is skipped. -EALREADY: it runs, has run, or was cancelled. -EINVAL: it was not accepted. Any thread may call
 * it, also the job itself (-EALREADY). It waits for nothing. */
LEAT_COLD_ int leat_job_cancel(leat_job *j)
{
    if (!j) return -EINVAL;
    if (!leat_job_move_(j, LEAT_JOB_QUEUED_, LEAT_JOB_CANCELLING_))                                           /* L13 */
        return atomic_load_explicit(&j->word_, memory_order_relaxed) & LEAT_JOB_STATE_ ? -EALREADY : -EINVAL; /* [X7] */
    leat_lane_ *lane = j->lane_;
    leat_lock_take_(&lane->lock_);
    bool linked = j->linked_;
    if (linked) {
        leat_job_unlink_(j);
        lane->stale_++;
        atomic_fetch_add_explicit(&lane->counts_->cancelled_, 1, memory_order_relaxed); /* [X7] */
    }
    leat_lock_drop_(&lane->lock_);
    if (linked) leat_job_end_(j, LEAT_JOB_NEVER_, 0);
    else leat_job_move_(j, LEAT_JOB_CANCELLING_, LEAT_JOB_QUEUED_); /* a worker has taken it, and may now start it */
    return linked ? 0 : -EALREADY;
}

typedef struct leat_idler_ {
    leat_node_ link_;
    leat_pool *pool_;
    bool idle_; /* every job had returned, and the thread need not park */
} leat_idler_;

/* Marks the workers, and the gate. Then looks whether all jobs have returned, and if not, enqueues the thread (L14). */
static inline bool leat_pool_enqueue_(void *what, leat_waiter_ *waiter)
{
    leat_idler_ *self = (leat_idler_ *)what;
    leat_pool *p = self->pool_;
    self->link_.waiter_ = waiter;
    leat_lock_take_(&p->threads_.lock_);
    atomic_fetch_or_explicit(&p->gate_, LEAT_AWAITED_, memory_order_relaxed); /* [X7] */
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w))
        atomic_exchange_explicit(&w->awaited_, 1, memory_order_acquire); /* [W4] <- [W3] */
    self->idle_ = !leat_pool_left_(p);
    if (!self->idle_) leat_enqueue_(&p->idlers_, &self->link_);
    leat_lock_drop_(&p->threads_.lock_);
    return !self->idle_;
}

/* leat_pool_wait_ctx, between its entry and its exit. */
LEAT_COLD_ int leat_pool_await_(leat_ctx *ctx, leat_pool *p)
{
    for (;;) {
        leat_waiter_ waiter;
        leat_waiter_init_(&waiter);
        leat_idler_ self = { .pool_ = p };
        leat_block_(&waiter, ctx, &p->ctx_, LEAT_FOREVER, leat_pool_enqueue_, &self);
        leat_os_done_(&waiter.state_);
        if (waiter.won_) return 0;
        leat_lock_take_(&p->threads_.lock_);
        if (self.link_.linked_) leat_dequeue_(&p->idlers_, &self.link_);
        bool idle = self.idle_ || leat_pool_left_(p) == leat_pool_stale_(p);
        leat_lock_drop_(&p->threads_.lock_);
        int err = leat_ctx_err_of_(ctx, idle ? NULL : &p->ctx_, leat_now()); /* a deadline is compared exactly */
        if (err || idle) return err;
    }
}

/* Waits until every job that was accepted has returned, also those that jobs have submitted meanwhile. The pool goes on.
 * While other threads go on submitting, the call waits for an instant at which there is no job. 0. What the jobs did
 * happens-before this return. -ECANCELED, -ETIMEDOUT: the pool's context is done, and jobs are left. -ESHUTDOWN: the pool
 * is being stopped. -EDEADLK: the caller is a thread of the pool. -EINVAL. Any thread may call it.
 * try: -EAGAIN while there are jobs. ctx: -ECANCELED, -ETIMEDOUT also when `ctx` (or NULL) is done. */
LEAT_COLD_ int leat_pool_wait_ctx(leat_ctx *ctx, leat_pool *p)
{
    int err = leat_pool_enter_(p);
    if (err) return leat_unless_done_(ctx, NULL, err);
    if (leat_worker_self_(p)) {
        err = leat_unless_done_(ctx, NULL, -EDEADLK);
    } else {
        leat_lock_take_(&p->threads_.lock_);
        p->awaiting_++;
        leat_lock_drop_(&p->threads_.lock_);
        err = leat_pool_await_(ctx, p);
        leat_lock_take_(&p->threads_.lock_);
        p->awaiting_--;
        leat_lock_drop_(&p->threads_.lock_);
    }
    leat_pool_exit_(p);
    return err;
}

LEAT_HOT_ int leat_pool_wait(leat_pool *p)
{
    return leat_pool_wait_ctx(NULL, p);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_wait(leat_pool *p)
{
    int err = leat_pool_enter_(p);
    if (err) return err;
    leat_lock_take_(&p->threads_.lock_);
    bool idle = leat_pool_left_(p) == leat_pool_stale_(p);
    leat_lock_drop_(&p->threads_.lock_);
    leat_pool_exit_(p);
    return idle ? 0 : -EAGAIN;
}

/* Accepts no more jobs, waits until the accepted jobs have run, joins the workers, and frees everything.
 * 0: done. -ETIMEDOUT, -ECANCELED: the pool's own context is done and jobs are left. The pool is still valid. The
 * caller must stop it again, or abort it. -EALREADY: an earlier call has stopped the pool. -EDEADLK: the caller is a
 * thread of the pool (a job, a hook, the destructor of a pthread key), and nothing has changed. -EINVAL: the pool was
 * never started. Any thread may call it, also several at the same time.
 * try: -EAGAIN instead of waiting, also on a thread of the pool. Then no more jobs are accepted, but another thread
 * must stop the pool. ctx: the same errors when `ctx` (or NULL) is done first. */
LEAT_COLD_ int leat_pool_stop_ctx(leat_ctx *ctx, leat_pool *p)
{
    int err = leat_pool_shut_to_wait_(ctx, p);
    return err ? err : leat_pool_finish_(ctx, p, 0);
}

LEAT_HOT_ int leat_pool_stop(leat_pool *p)
{
    return leat_pool_stop_ctx(NULL, p);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_stop(leat_pool *p)
{
    int err = leat_pool_shut_(p);
    return err ? err : leat_pool_try_finish_(p, 0);
}

static inline void leat_pool_aborts_(leat_pool *p, int more)
{
    leat_lock_take_(&p->threads_.lock_);
    p->aborting_ += more;
    leat_lock_drop_(&p->threads_.lock_);
}

/* Cancels a shut pool, and hands back the jobs that no worker has taken. */
LEAT_COLD_ void leat_pool_hand_back_(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    leat_pool_aborts_(p, 1);
    leat_cancel(&p->ctx_, -ECANCELED);
    leat_pool_clear_(p, dropped, user);
}

/* What an abort returns. After an abort that gave up, a stop may end the pool. */
static inline int leat_pool_aborted_(leat_pool *p, int err)
{
    if (err && err != -EALREADY) leat_pool_aborts_(p, -1); /* else the pool may be gone */
    return err;
}

/* Accepts no more jobs, and cancels the pool's context. Then it hands every job that was accepted but not started to
 * dropped(fn, arg, user), at once, each job once, in order, on the calling thread. With NULL these jobs are only
 * counted. Then it waits until the running jobs have returned (a job should check its context), joins the workers,
 * and frees everything.
 * 0, or -EALREADY, -EDEADLK, -EINVAL as leat_pool_stop. A stop that waits meanwhile gets -EALREADY, or -ECANCELED.
 * try: -EAGAIN instead of waiting for the running jobs. ctx: -ECANCELED, -ETIMEDOUT when `ctx` (or NULL) is done.
 * After either error the pool is still valid, and all jobs have been handed back. The caller must abort again, or
 * stop the pool. */
LEAT_COLD_ int leat_pool_abort_ctx(leat_ctx *ctx, leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    int err = leat_pool_shut_to_wait_(ctx, p);
    if (err) return err;
    leat_pool_hand_back_(p, dropped, user);
    return leat_pool_aborted_(p, leat_pool_finish_(ctx, p, 1));
}

LEAT_HOT_ int leat_pool_abort(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    return leat_pool_abort_ctx(NULL, p, dropped, user);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_abort(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    int err = leat_pool_shut_(p);
    if (err) return err;
    leat_pool_hand_back_(p, dropped, user);
    return leat_pool_aborted_(p, leat_pool_try_finish_(p, 1));
}

/* L6: whether the worker is wanted. */
static inline bool leat_worker_is_wanted_(const leat_worker_ *w)
{
    return w->state_ == LEAT_RUNNING_ || (w->state_ == LEAT_STARTING_ && !w->replaces_);
}

/* A resize retires first the workers that are STARTING, then those that are blocked, because the other workers make
 * room. */
static inline int leat_worker_rank_(const leat_worker_ *w)
{
    return w->state_ == LEAT_STARTING_ ? 0 : w->blocked_ ? 1 : 2;
}

/* Retires n workers, pins them, and chains them. The caller holds the lock. */
static inline leat_worker_ *leat_pool_retire_some_(leat_pool *p, int n)
{
    leat_worker_ *retired = NULL;
    for (int rank = 0; rank < 3; rank++)
        for (leat_worker_ *w = leat_worker_first_(p); w && n > 0; w = leat_worker_next_(w)) {
            if (!leat_worker_is_wanted_(w) || leat_worker_rank_(w) > rank) continue;
            w->state_ = LEAT_RETIRING_;
            w->pins_++;
            w->next_retired_ = retired;
            retired = w;
            n--;
        }
    return retired;
}

/* Takes up to n RETIRING workers back, and returns how many. The caller holds the lock. */
static inline int leat_pool_unretire_some_(leat_pool *p, int n)
{
    int back = 0;
    for (leat_worker_ *w = leat_worker_first_(p); w && back < n; w = leat_worker_next_(w)) {
        if (w->state_ != LEAT_RETIRING_) continue;
        w->state_ = w->in_init_ ? LEAT_STARTING_ : LEAT_RUNNING_;
        back++;
    }
    return back;
}

/* Cancels the contexts of retired workers, and unpins the workers. */
LEAT_COLD_ void leat_pool_cancel_retired_(leat_pool *p, leat_worker_ *retired)
{
    for (leat_worker_ *w = retired; w; w = w->next_retired_) leat_cancel(&w->ctx_, -ECANCELED); /* L3 */
    leat_lock_take_(&p->threads_.lock_);
    for (leat_worker_ *w = retired; w; w = w->next_retired_) w->pins_--;
    leat_lock_drop_(&p->threads_.lock_);
    leat_pool_break_deadlock_(p);
}

/* Retires workers, or takes some back, until n are wanted. Returns how many are missing. *err: if some are missing,
 * the error of an init hook that no call has returned yet. The caller holds resizing_. */
LEAT_COLD_ int leat_pool_adjust_(leat_pool *p, int n, int *err)
{
    int missing = n;
    leat_lock_take_(&p->threads_.lock_);
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) missing -= leat_worker_is_wanted_(w);
    leat_worker_ *retired = leat_pool_retire_some_(p, -missing);
    if (missing > 0) missing -= leat_pool_unretire_some_(p, missing);
    *err = missing > 0 ? p->refused_ : 0;
    p->refused_ = 0;
    leat_lock_drop_(&p->threads_.lock_);
    if (retired) leat_pool_cancel_retired_(p, retired);
    return retired ? 0 : missing;
}

/* Changes the number of workers to n >= 1, under load. A surplus worker finishes the job that it runs. Until then a
 * call for more workers first takes such a worker back.
 * 0. -EINVAL. -ESHUTDOWN. -ECANCELED, -ETIMEDOUT: the pool's context is done. -EDEADLK: the caller is a worker_init.
 * -EAGAIN, -ENOMEM, or what a worker_init returned: fewer workers were added than n asks for. Any thread may call it.
 * try: -EAGAIN also if another call resizes the pool, or if a worker_init has not returned. ctx: -ECANCELED,
 * -ETIMEDOUT also when `ctx` (or NULL) is done. After either error, workers whose worker_init was called still start,
 * and count with the next call. That call waits for them, or returns what their worker_init returned. */
LEAT_COLD_ int leat_pool_resize_ctx(leat_ctx *ctx, leat_pool *p, int n)
{
    if (n < 1) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (err) return leat_unless_done_(ctx, NULL, err);
    leat_worker_ *self = leat_worker_self_(p);
    if (self && self->in_init_) err = leat_unless_done_(ctx, &p->ctx_, -EDEADLK);
    else err = leat_acquire_of_(ctx, &p->ctx_, &p->resizing_, 1);
    if (!err) {
        int missing = leat_pool_adjust_(p, n, &err);
        if (!err) err = leat_pool_await_inits_(ctx, &p->ctx_, p);
        if (!err) err = leat_pool_grow_(ctx, &p->ctx_, p, missing);
        if (leat_release(&p->resizing_, 1)) LEAT_MISUSE_("released once");
        leat_pool_reap_(p);
    }
    leat_pool_exit_(p);
    return err;
}

LEAT_HOT_ int leat_pool_resize(leat_pool *p, int n)
{
    return leat_pool_resize_ctx(NULL, p, n);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_resize(leat_pool *p, int n)
{
    if (n < 1) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (err) return err;
    bool mine = leat_try_acquire(&p->resizing_, 1) == 0;
    err = leat_unless_done_(&p->ctx_, NULL, mine ? 0 : -EAGAIN);
    if (!err) {
        int missing = leat_pool_adjust_(p, n, &err);
        while (missing-- > 0 && !err) err = leat_pool_spawn_(p, NULL);
        if (!err) err = leat_pool_try_inits_(p);
    }
    if (mine && leat_release(&p->resizing_, 1)) LEAT_MISUSE_("released once");
    if (mine) leat_pool_reap_(p);
    leat_pool_exit_(p);
    return err;
}

/* Fills in what is counted of a lane. The caller holds the lock. */
LEAT_COLD_ leat_lane_stats leat_lane_stats_(leat_pool *p, int i, leat_counts_ *sum, uint64_t *waited)
{
    leat_lane_ *lane = &p->lane_[i];
    leat_lane_counts_ *n = &p->lane_counts_[i];
    leat_lane_stats st = { .queue_cap = p->queue_cap_, .taken = leat_counter_(&sum->taken_[i]) };
    leat_lock_take_(&lane->lock_);
    size_t len = leat_len(&lane->queue_), stale = lane->stale_;
    leat_lock_drop_(&lane->lock_);
    leat_high_water_(&n->high_water_, len);
    size_t high = leat_counter_(&n->high_water_);
    st.queued = len > stale ? len - stale : 0;
    st.queue_high = high < st.queue_cap ? high : st.queue_cap;
    st.timed = leat_counter_(&n->timed_);
    *waited = atomic_load_explicit(&n->waited_, memory_order_relaxed);             /* [X7] */
    st.wait_most = (int64_t)atomic_load_explicit(&n->most_, memory_order_relaxed); /* [X7] */
    st.wait_mean = st.timed ? (int64_t)(*waited / st.timed) : 0;
    return st;
}

/* Fills *st. 0. -EINVAL: the pool was never started. Any thread may call it, also after stop. */
LEAT_COLD_ int leat_pool_stats(leat_pool *p, leat_stats *st)
{
    if (!p || !st || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    leat_counts_ sum = { .completed_ = 0 };
    uint64_t waited = 0, of_lane;
    *st = (leat_stats){ .lanes = p->lanes_ };
    leat_lock_take_(&p->threads_.lock_);
    leat_pool_sum_(p, &sum);
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) st->workers += w->state_ == LEAT_RUNNING_;
    st->dropped = p->dropped_;
    for (int i = 0; i < p->lanes_; i++) {
        leat_lane_stats lane = st->lane[i] = leat_lane_stats_(p, i, &sum, &of_lane);
        st->queued += lane.queued;
        st->queue_cap += lane.queue_cap;
        st->submitted += lane.taken;
        st->cancelled += leat_counter_(&p->lane_counts_[i].cancelled_);
        st->timed += lane.timed;
        waited += of_lane;
        if (lane.queue_high > st->queue_high) st->queue_high = lane.queue_high;
        if (lane.wait_most > st->wait_most) st->wait_most = lane.wait_most;
    }
    leat_lock_drop_(&p->threads_.lock_);
    st->wait_mean = st->timed ? (int64_t)(waited / st->timed) : 0;
    st->completed = leat_counter_(&sum.completed_);
    st->failed = leat_counter_(&sum.failed_);
    size_t over = st->completed + st->failed;
    st->busy = st->submitted > over ? st->submitted - over : 0;
    st->submitted += st->queued + st->dropped + st->cancelled;
    return 0;
}

/* ==== 5. Signals ==============================================================================
 *
 * A catch is what one call registers: its context, the actions that the program had, and a thread. The thread cancels
 * the context, because a signal handler cannot. On the first signal the handler writes the signal into the catch,
 * wakes the thread, and gives all actions back. So the second signal meets the program's own action, with its
 * handler, flags and mask. In two cases the handler sends its signal again, when the program's action is back. In the
 * first, the catch has another signal already. In the second, the handler runs in a forked child, which has no such
 * thread.
 *
 * There are two catches. The gate says which one is in use, and counts the handlers that have entered. A call that
 * changes the catch waits until those handlers have left. Then no thread uses the old catch any more.
 *
 * Windows has no signals, but its console has events, which are simpler. They are at the end. */

#if !defined LEAT_WINDOWS_ && !defined LEAT_NO_SIGNALS_

typedef struct leat_caught_ {
    int sig_;
    struct sigaction was_;
} leat_caught_;

typedef struct leat_catch_ {
    leat_ctx *ctx_;
    pthread_t thread_;
    leat_bell_ bell_; /* its word: (the signal that arrived, or 0) | LEAT_ENDS_ */
    size_t n_;
    leat_caught_ caught_[];
} leat_catch_;

enum { LEAT_ENDS_ = 0x100, LEAT_IN_HANDLER_ = 4 };

typedef struct leat_signals_ {
    _Atomic(int) holder_;    /* a lock: the process that holds it, or 0. A child that was forked meanwhile takes it over */
    _Atomic(int) pid_;       /* the process that has the catch's thread */
    _Atomic(uint32_t) gate_; /* (0: no catch, 1: the first, 2: the second) | handlers that have entered * 4 */
    leat_catch_ *catches_[2];
} leat_signals_;

/* A signal handler gets no argument from its installer, so these belong to the process. */
LEAT_ONE_OF_(leat_signals_, leat_signals_here_);
#ifdef __cplusplus
#define leat_signals_here_ LEAT_ONE_AS_(leat_signals_, leat_signals_here_)
#endif
LEAT_ONE_CALL_ void leat_on_signal_(int, void *, void *);
LEAT_ONE_CALL_ void *leat_signal_thread_(void *);

static inline leat_catch_ *leat_catch_of_(uint32_t gate)
{
    return gate & 3 ? leat_signals_here_.catches_[(gate & 3) - 1] : NULL;
}

static inline void (*leat_our_handler_(void))(int)
{
    return (void (*)(int))(void (*)(void))leat_on_signal_;
}

static inline bool leat_is_ours_(int sig, struct sigaction *now)
{
    return sigaction(sig, NULL, now) == 0 && now->sa_handler == leat_our_handler_();
}

/* Gives a signal back its action, unless the program has replaced leat_on_signal_ itself. */
static inline void leat_give_back_(const leat_caught_ *c)
{
    struct sigaction now;
    if (leat_is_ours_(c->sig_, &now)) sigaction(c->sig_, &c->was_, NULL);
}

LEAT_ONE_CALL_ void leat_on_signal_(int sig, void *info, void *context)
{
    leat_signals_ *s = &leat_signals_here_;
    int saved = errno;
    bool here = atomic_load_explicit(&s->pid_, memory_order_acquire) == getpid(); /* [G8] <- [G7] not in a forked child */
    uint32_t gate = here ? atomic_fetch_add_explicit(&s->gate_, LEAT_IN_HANDLER_, memory_order_acquire) /* [G6] <- [G5] */
                         : atomic_load_explicit(&s->gate_, memory_order_acquire);                       /* [G8] <- [G7] */
    leat_catch_ *w = leat_catch_of_(gate);
    uint32_t none = 0;
    bool first = here && w &&
                 atomic_compare_exchange_strong_explicit(&w->bell_.word_, &none, (uint32_t)sig,
                                                         memory_order_release, /* [G3] -> [G4] */
                                                         memory_order_relaxed);
    void (*was)(int) = SIG_DFL;
    struct sigaction now;
    (void)context;
    for (size_t i = 0; w && i < w->n_; i++) {
        leat_give_back_(&w->caught_[i]);
        if (w->caught_[i].sig_ == sig) was = w->caught_[i].was_.sa_handler;
    }
    if (first) leat_bell_ring_(&w->bell_);
    /* The signal is sent again to the previous action. It is also sent again to leat_on_signal_, if a call is
     * installing that for a catch that has got its signal meanwhile. A handler of the program that has replaced
     * leat_on_signal_, and calls it, would be called again and again. */
    else if (leat_is_ours_(sig, &now) || now.sa_handler == was) leat_send_again_(sig, info);
    if (here) atomic_fetch_sub_explicit(&s->gate_, LEAT_IN_HANDLER_, memory_order_release); /* [G5] -> [G6] */
    errno = saved;
}

LEAT_ONE_CALL_ void *leat_signal_thread_(void *arg)
{
    leat_catch_ *w = (leat_catch_ *)arg;
    leat_os_name_("leat-signals");
    for (bool told = false;;) {
        uint32_t seen = atomic_load_explicit(&w->bell_.word_, memory_order_acquire); /* [G4] <- [G3] */
        if (!told && seen & (LEAT_ENDS_ - 1)) {
            told = true;
            leat_cancel(w->ctx_, (int)(seen & (LEAT_ENDS_ - 1)));
        } else if (seen & LEAT_ENDS_) {
            return NULL;
        } else {
            leat_bell_wait_(&w->bell_, seen);
        }
    }
}

/* Notes what each signal does now, or did before `old` caught it, then spawns the thread. RETURN VALUES: 0. Or an
 * error, and nothing has changed. A signal that is ignored is left alone. To learn whether an action may be set, the
 * function sets the action to what it is. */
LEAT_COLD_ int leat_catch_begin_(leat_catch_ *w, const leat_catch_ *old)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_; i++) {
        leat_caught_ c = { .sig_ = w->caught_[i].sig_ };
        if (leat_is_ours_(c.sig_, &c.was_)) {
            memset(&c.was_, 0, sizeof c.was_);
            for (size_t k = 0; old && k < old->n_; k++)
                if (old->caught_[k].sig_ == c.sig_) c.was_ = old->caught_[k].was_;
        } else if (sigaction(c.sig_, &c.was_, NULL)) {
            return -EINVAL;
        }
        if (c.was_.sa_handler != SIG_IGN) w->caught_[n++] = c;
    }
    w->n_ = n;
    int err = leat_bell_make_(&w->bell_);
    if (err) return err;
    leat_os_mask_t_ mask = leat_os_mask_workers_();
    err = -pthread_create(&w->thread_, NULL, leat_signal_thread_, w);
    leat_os_mask_(mask);
    if (err) leat_bell_free_(&w->bell_);
    return err;
}

LEAT_COLD_ void leat_catch_end_(leat_catch_ *w)
{
    atomic_fetch_or_explicit(&w->bell_.word_, LEAT_ENDS_, memory_order_relaxed); /* [X7] joined below */
    leat_bell_ring_(&w->bell_);
    pthread_join(w->thread_, NULL);
    leat_bell_free_(&w->bell_);
}

/* Puts `w`, or none, in the place of the present catch. */
LEAT_COLD_ int leat_catch_put_(leat_catch_ *w)
{
    leat_signals_ *s = &leat_signals_here_;
    int me = getpid();
    for (unsigned round = 0;; leat_backoff_(&round)) {
        int holder = atomic_load_explicit(&s->holder_, memory_order_relaxed); /* [X7] */
        if (holder != me &&
            atomic_compare_exchange_strong_explicit(&s->holder_, &holder, me, memory_order_acquire, /* [G6] <- [G5] */
                                                    memory_order_relaxed))
            break;
    }
    bool here = atomic_load_explicit(&s->pid_, memory_order_relaxed) == me; /* [X7] false: the catch is the parent's */
    uint32_t was = atomic_load_explicit(&s->gate_, memory_order_relaxed) & 3, is = !w ? 0 : was == 1 ? 2 : 1; /* [X7] */
    leat_catch_ *old = leat_catch_of_(was);
    int err = w ? leat_catch_begin_(w, old) : 0;
    if (!err) {
        for (size_t i = 0; !w && old && i < old->n_; i++) leat_give_back_(&old->caught_[i]);
        if (is) s->catches_[is - 1] = w;
        if (here) atomic_fetch_xor_explicit(&s->gate_, was ^ is, memory_order_release); /* [G5] -> [G6] */
        else atomic_store_explicit(&s->gate_, is, memory_order_release); /* [G7] -> [G8] drops the parent's handlers */
        atomic_store_explicit(&s->pid_, me, memory_order_release);       /* [G7] -> [G8] */
        for (unsigned round = 0;; leat_backoff_(&round))
            if (atomic_load_explicit(&s->gate_, memory_order_acquire) < LEAT_IN_HANDLER_) break; /* [G6] <- [G5] */
        for (size_t i = 0; w && i < w->n_; i++) {
            struct sigaction act = { .sa_flags = LEAT_SA_ | (w->caught_[i].was_.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT)) };
            act.sa_handler = leat_our_handler_();
            memset(&act.sa_mask, 0xFF, sizeof act.sa_mask); /* the program's handler must not longjmp out of it */
            sigaction(w->caught_[i].sig_, &act, NULL);
        }
        for (size_t i = 0; w && old && i < old->n_; i++) {
            bool still = false;
            for (size_t k = 0; k < w->n_; k++) still |= w->caught_[k].sig_ == old->caught_[i].sig_;
            if (!still) leat_give_back_(&old->caught_[i]);
        }
        if (here && old) leat_catch_end_(old);
        free(old);
    }
    atomic_store_explicit(&s->holder_, 0, memory_order_release); /* [G5] -> [G6] */
    return err;
}

/* leat_cancel_on_signals(ctx, SIGTERM, SIGINT, 0): the first of these signals cancels `ctx`, with the signal's number
 * as cause, for a graceful end. The second signal does what it would have done without the call. It ends the process,
 * or calls the handler that the program had. A signal that was ignored (by nohup) stays ignored. The list ends with
 * 0.
 * A call replaces the previous one, from whichever file of the program. A call with ctx = NULL only takes the
 * previous one back, and needs no signals: leat_cancel_on_signals(NULL, 0). A signal that is no longer caught gets back
 * the action that it had. If the program has meanwhile put its own handler in place of leat_on_signal_, that handler
 * stays. When the call returns, no thread uses the previous call's `ctx` any more. After a call with ctx = NULL, neither
 * a thread nor a descriptor is left, and a plug-in may be unloaded. Otherwise `ctx` must live as long as the process.
 * The handler wakes a thread that this file has spawned, and that thread cancels `ctx`. In the child of a fork each
 * signal does what it would have done without the call. A signal handler must not call this function.
 * 0. Or an error, with nothing changed: -EINVAL (a ctx and no signal, or a signal that cannot be caught), -ENOMEM,
 * -EAGAIN (no thread could be spawned). Without futex also the error of pipe. */
LEAT_COLD_ int leat_cancel_on_signals(leat_ctx *ctx, ...)
{
    size_t n = 0, known = 0;
    int saved = errno, cancel, err = 0;
    struct sigaction now;
    va_list ap;
    va_start(ap, ctx);
    for (int sig; (sig = va_arg(ap, int)) != 0; n++)
        known += sigaction(sig, NULL, &now) == 0 && sig != SIGKILL && sig != SIGSTOP;
    va_end(ap);
    if ((ctx && !n) || known < n) err = -EINVAL;
    leat_catch_ *w = ctx && !err ? (leat_catch_ *)leat_zeroed_(1, sizeof *w + n * sizeof *w->caught_, 1) : NULL;
    if (ctx && !err && !w) err = -ENOMEM;
    if (w) {
        w->ctx_ = ctx;
        va_start(ap, ctx);
        while (w->n_ < n) w->caught_[w->n_++].sig_ = va_arg(ap, int);
        va_end(ap);
    }
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the calls below must not end the calling thread */
    if (!err && (err = leat_catch_put_(w)) != 0) free(w);
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
    return err;
}

#elif defined LEAT_WINDOWS_

/* The system calls the handler on a thread of its own, so the handler itself may cancel. It takes the context out: the
 * next event finds none, and the system goes on to the handler that was registered before. */
typedef struct leat_console_ {
    leat_lock_ calls_;                       /* held by a call of leat_cancel_on_signals. The handler does not take it */
    leat_lock_ lock_;                        /* guards what follows */
    leat_ctx *ctx_;                          /* NULL: there is no catch, or it has got its event */
    uint32_t caught_;                        /* a bit for each signal */
    int cancels_;                            /* handlers that are cancelling */
    bool closes_;                            /* a handler keeps the system from ending the process */
    int LEAT_OS_CALL_ (*handler_)(uint32_t); /* which is registered. calls_ guards it */
} leat_console_;

LEAT_ONE_OF_(leat_console_, leat_console_here_);
#ifdef __cplusplus
#define leat_console_here_ LEAT_ONE_AS_(leat_console_, leat_console_here_)
#endif

/* 0 is Ctrl+C, 1 is Ctrl+Break. When it returns from any other event, the process ends. */
LEAT_COLD_ int LEAT_OS_CALL_ leat_on_console_(uint32_t event)
{
    leat_console_ *s = &leat_console_here_;
    int sig = event == 0 ? SIGINT : event == 1 ? SIGBREAK : SIGTERM;
    leat_lock_take_(&s->lock_);
    leat_ctx *ctx = s->caught_ >> sig & 1 ? s->ctx_ : NULL;
    if (ctx) {
        s->ctx_ = NULL;
        s->cancels_++;
        if (event > 1) s->closes_ = true;
    }
    leat_lock_drop_(&s->lock_);
    if (!ctx) return 0;
    leat_cancel(ctx, sig);
    leat_lock_take_(&s->lock_);
    s->cancels_--;
    leat_lock_drop_(&s->lock_);
    while (event > 1) leat_os_sleep_(UINT32_MAX /* INFINITE */);
    return 1;
}

/* leat_cancel_on_signals(ctx, SIGTERM, SIGINT, 0): the first of these events of the console cancels `ctx`, with the
 * signal's number as cause, for a graceful end. SIGINT is Ctrl+C. SIGBREAK is Ctrl+Break. SIGTERM is: the console's
 * window is closed, the user logs off, or the machine shuts down. The second event does what it would have done without
 * the call. It calls the program's own handler, or ends the process.
 * After SIGTERM the system ends the process as soon as main returns, but after some seconds in any case (5 where a
 * window is closed). raise(SIGTERM) is no event, and calls nothing of leat. Nor does TerminateProcess.
 * Ctrl+C that was ignored (SetConsoleCtrlHandler(NULL, TRUE), a new process group) stays ignored.
 * A call replaces the previous one, from whichever file of the program. A call with ctx = NULL only takes the
 * previous one back. When the call returns, no thread uses the previous call's `ctx` any more. After a call with
 * ctx = NULL no handler is left, unless the process is being ended. A plug-in may then be unloaded, but an event at that
 * moment may still be on its way into the handler. Otherwise `ctx` must live as long as the process.
 * A handler of the console's must not call this function.
 * 0. Or an error, with nothing changed: -EINVAL (no signal, or not one of these), -EAGAIN (no handler could be
 * registered). */
LEAT_COLD_ int leat_cancel_on_signals(leat_ctx *ctx, ...)
{
    leat_console_ *s = &leat_console_here_;
    uint32_t caught = 0;
    int err = 0;
    bool over = false;
    va_list ap;
    va_start(ap, ctx);
    for (int sig; (sig = va_arg(ap, int)) != 0;) {
        if (sig == SIGINT || sig == SIGBREAK || sig == SIGTERM) caught |= UINT32_C(1) << sig;
        else err = -EINVAL;
    }
    va_end(ap);
    if ((ctx && !caught) || err) return -EINVAL;
    leat_lock_take_(&s->calls_);
    if (ctx && !s->handler_) {
        if (leat_os_on_console_(leat_on_console_, 1)) s->handler_ = leat_on_console_;
        else err = -EAGAIN;
    }
    if (!err) {
        leat_lock_take_(&s->lock_);
        s->ctx_ = ctx;
        s->caught_ = caught;
        bool closes = s->closes_; /* then the system may hold a lock until the handler returns, which it does not */
        leat_lock_drop_(&s->lock_);
        if (!ctx && s->handler_ && !closes) {
            leat_os_on_console_(s->handler_, 0);
            s->handler_ = NULL;
        }
    }
    for (unsigned round = 0; !err && !over; leat_backoff_(&round)) {
        leat_lock_take_(&s->lock_);
        over = !s->cancels_;
        leat_lock_drop_(&s->lock_);
    }
    leat_lock_drop_(&s->calls_);
    return err;
}

#else /* LEAT_NO_SIGNALS_ */

/* WebAssembly has no signals. -ENOSYS, and nothing has changed. */
LEAT_COLD_ int leat_cancel_on_signals(leat_ctx *ctx, ...)
{
    (void)ctx;
    return -ENOSYS;
}

#endif

#ifdef __cplusplus
#define LEAT_C11_END_
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
#endif
LEAT_OWN_STYLE_END_
#endif
