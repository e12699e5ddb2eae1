/* tap.h - a small test harness that speaks TAP.
 *
 *     #include "tap.h"
 *     TEST(a_full_channel_refuses_a_try)               // "ok 1 - a full channel refuses a try"
 *     {
 *         CHECK_EQ(leat_try_send(&c, &m), -EAGAIN);    // records a failure, goes on
 *     }
 *
 * SPDX-License-Identifier: MIT
 *
 * One program per promise, one TEST per way to lose it. The tests run in the order of the file. Link with
 * tests/lib/tap.c, which has main() and a watchdog. A test that hangs is a failure, and the watchdog says where each
 * thread stands. Every macro but TEST and SKIP may be used in any thread.
 *
 *     t-x WORD               only the tests with WORD in their name
 *     LEAT_TEST_SECONDS=n    after how many seconds the watchdog ends a test (60; four times that under sanitizers;
 *                            0: never, for use with a debugger)
 *     LEAT_TEST_SEED=n       another start for tap_seed
 *     LEAT_TEST_GDB=1        a hang is also shown by gdb, with variables' values */
#ifndef LEAT_TAP_H
#define LEAT_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is this a build under a sanitizer, where everything is some ten times slower? */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define TAP_SLOW true
#elif defined __has_feature
#define TAP_SLOW (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer) || __has_feature(memory_sanitizer))
#else
#define TAP_SLOW false
#endif
#ifndef TAP_FEW /* true under an emulator, which is as slow, but has no sanitizer's memory */
#define TAP_FEW false
#endif

#define TEST(name) \
    static void test_##name(void); \
    __attribute__((constructor)) static void add_##name(void) \
    { \
        static struct tap_test_ test = { #name, test_##name, 0 }; \
        tap_add_(&test); \
    } \
    static void test_##name(void)

/* A failed CHECK is recorded with its place. It returns true if the condition held. A failed REQUIRE ends the
 * program, because other threads may use the test's stack frame. */
#define CHECK(cond) tap_check_((cond) ? true : false, #cond, __FILE__, __LINE__)
#define CHECK_EQ(a, b) tap_check_eq_((long long)(a), (long long)(b), #a, #b, __FILE__, __LINE__)
#define REQUIRE(cond) ((cond) ? (void)0 : tap_die_(#cond, __FILE__, __LINE__))
#define REQUIRE_EQ(a, b) (CHECK_EQ(a, b) ? (void)0 : tap_die_(#a " == " #b, __FILE__, __LINE__))

/* Leaves the TEST that calls it. That is no failure, but the report says why nothing was tested. */
#define SKIP(why) \
    do { \
        tap_skip_(why); \
        return; \
    } while (0)

/* A line for the reader of a failure. */
__attribute__((format(printf, 1, 2))) void tap_note(const char *format, ...);

/* Ends a child process. If coverage is counted, it is written out first. */
_Noreturn void tap_leave(int status);

/* Calls fn(0, arg) ... fn(n - 1, arg) on n threads that start as nearly together as possible, and joins them. */
void tap_threads(int n, void (*fn)(int i, void *arg), void *arg);

/* n rounds, or fewer where each takes longer. */
static inline int tap_rounds(int n)
{
    return (TAP_SLOW || TAP_FEW) && n > 10 ? n / 10 : n;
}

/* Random numbers that a seed repeats. Each thread sets a state of its own by tap_seed(i), with an i of its own. */
uint64_t tap_seed(int i);
uint64_t tap_rng(uint64_t *state);
static inline int tap_below(uint64_t *state, int n)
{
    return (int)(tap_rng(state) % (uint64_t)n);
}

struct tap_test_ {
    const char *name;
    void (*run)(void);
    struct tap_test_ *next;
};
void tap_add_(struct tap_test_ *);
bool tap_check_(bool held, const char *cond, const char *file, int line);
bool tap_check_eq_(long long a, long long b, const char *as, const char *bs, const char *file, int line);
void tap_skip_(const char *why);
_Noreturn void tap_die_(const char *cond, const char *file, int line);

/* TAP_FAKE_THREADS(refuses): a thread of the headers cannot be had when refuses() says so. Before the #include of pool.h:
 *     TAP_FAKE_THREADS(refuses)
 *     #define pthread_create fake_create
 *     #define LEAT_OS_BEGIN_ TAP_FAKE_BEGIN_SYMBOL
 * and after it #undef pthread_create. The last #define is for Windows alone, where the one before is not used. */
#if defined _WIN32
#include "tap_win.h"
#else
#define TAP_FAKE_THREADS(refuses) \
    static int fake_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) \
    { \
        return refuses() ? EAGAIN : pthread_create(t, attr, fn, arg); \
    }
#endif

#endif
