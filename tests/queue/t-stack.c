/* t-stack.c - how much stack the calls that wait need: threads with the smallest stack can make them. A thread's
 * stack is painted, and what a call has written over is measured. With LEAT_TEST_SAYS=1 the test prints it.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "pool.h"
#include "staging.h"

#if defined __i386__ && defined __OPTIMIZE__
enum { OURS = 1280, AN_ANCESTOR = 192 }; /* where arguments are passed on the stack */
#elif (defined __s390x__ || defined __powerpc64__) && defined __OPTIMIZE__
enum { OURS = 2048, AN_ANCESTOR = 384 }; /* where each call reserves room for the function that it calls */
#elif defined __OPTIMIZE__ && defined LEAT_DEBUG
enum { OURS = 1024 + 64, AN_ANCESTOR = 192 }; /* a call knows where it is */
#elif defined __OPTIMIZE__
enum { OURS = 1024, AN_ANCESTOR = 192 };
#else
enum { OURS = 3072, AN_ANCESTOR = 256 }; /* each small function has a frame of its own, and each value a place in it */
#endif
#if defined LEAT_PTHREAD_EVENT_
enum { MOST = OURS + 512 }; /* for a mutex, a condition variable, and the C library's functions */
#else
enum { MOST = OURS };
#endif
enum { SIZE = 1 << 17, PAINT = 0xA5, ANCESTORS = 40 };

static int_chan c, unbuf, many;
static leat_sem sem;
static leat_wg wg;
static leat_pool pool;
static leat_group group;
static leat_ctx root, nested[ANCESTORS];

/* ==== The calls =============================================================================== */

static leat_ctx soon; /* what belongs to the caller is not on the stack that is measured */
#define SOON() (soon = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_US(500)))

static void nothing(void)
{
}

static void receives(void)
{
    static int m;
    SOON();
    CHECK_EQ(leat_recv_ctx(&soon, &c, &m), -ETIMEDOUT);
}

static void sends(void)
{
    SOON();
    CHECK_EQ(leat_send_ctx(&soon, &many, &(int){ 1 }), -ETIMEDOUT);
}

static void receives_many(void)
{
    static int m[2];
    SOON();
    CHECK_EQ(leat_recv_many_ctx(&soon, &c, m, 2), -ETIMEDOUT);
}

static void receives_unbuffered(void)
{
    static int m;
    SOON();
    CHECK_EQ(leat_recv_ctx(&soon, &unbuf, &m), -ETIMEDOUT);
    CHECK_EQ(leat_send_ctx(&soon, &unbuf, &(int){ 1 }), -ETIMEDOUT);
}

static void selects(void)
{
    static int m;
    static leat_case cases[3];
    SOON();
    cases[0] = LEAT_RECV(&c, &m);
    cases[1] = LEAT_SEND(&many, &m);
    cases[2] = LEAT_RECV(&unbuf, &m);
    CHECK_EQ(leat_select_ctx(&soon, cases, 3), -ETIMEDOUT);
}

static void acquires(void)
{
    SOON();
    CHECK_EQ(leat_acquire_ctx(&soon, &sem, 1), -ETIMEDOUT);
}

static void waits_for_zero(void)
{
    SOON();
    CHECK_EQ(leat_wg_wait_ctx(&soon, &wg), -ETIMEDOUT);
}

static void sleeps(void)
{
    SOON();
    CHECK_EQ(leat_sleep(LEAT_US(500)), 0);
    CHECK_EQ(leat_sleep_ctx(&soon, LEAT_S(1000)), -ETIMEDOUT);
}

static int occupies(leat_ctx *ctx, void *unused)
{
    (void)ctx, (void)unused;
    return leat_wg_wait(&wg);
}

static void submits(void)
{
    SOON();
    CHECK_EQ(leat_submit_ctx(&soon, &pool, occupies, NULL), -ETIMEDOUT);
}

/* These end the waits of the other thread. */
static void closes(void)
{
    CHECK_EQ(leat_close(&c), 0);
}

static void cancels(void)
{
    leat_cancel(&root, 0);
}

static void goes_and_waits(void)
{
    CHECK_EQ(leat_go(&group, occupies, NULL), 0);
    CHECK_EQ(leat_wg_done(&wg), 0);
    CHECK_EQ(leat_wait(&group), 0);
}

static void under_many(void)
{
    int m;
    CHECK_EQ(leat_recv_ctx(&nested[ANCESTORS - 1], &c, &m), -ETIMEDOUT);
}

/* ==== The measure ============================================================================= */

static unsigned char *stack;
static uintptr_t began_at;

static void *runs(void *call)
{
    began_at = (uintptr_t)__builtin_frame_address(0);
    leat_spins_ = 0; /* as if no thread had waited before */
    (*(void (**)(void))call)();
    return NULL;
}

static void on_the_painted_stack(void (*call)(void))
{
    pthread_attr_t attr;
    pthread_t thread;
    memset(stack, PAINT, SIZE);
    REQUIRE(pthread_attr_init(&attr) == 0 && pthread_attr_setstack(&attr, stack, SIZE) == 0);
    REQUIRE(pthread_create(&thread, &attr, runs, &call) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

static long measured(void (*call)(void))
{
    size_t low = 0;
    on_the_painted_stack(call);
    while (low < SIZE && stack[low] == PAINT) low++;
    long bytes = (long)(began_at - (uintptr_t)(stack + low));
    return call == nothing ? bytes : bytes - measured(nothing);
}

static void set_up(void)
{
    REQUIRE(leat_make(&c, 1) == 0 && leat_make(&unbuf, 0) == 0 && leat_make(&many, 4) == 0);
    while (leat_try_send(&many, &(int){ 0 }) == 0) {}
    sem = (leat_sem)LEAT_SEM(1);
    REQUIRE_EQ(leat_acquire(&sem, 1), 0);
    wg = (leat_wg)LEAT_WG(1);
    group = (leat_group)LEAT_GROUP(NULL);
    root = (leat_ctx)LEAT_CTX(NULL);
    for (int i = 0; i < ANCESTORS; i++) nested[i] = (leat_ctx)LEAT_CTX(i ? &nested[i - 1] : &root);
    nested[ANCESTORS / 2] = (leat_ctx)LEAT_CTX_WITHIN(&nested[ANCESTORS / 2 - 1], LEAT_US(500));
    REQUIRE_EQ(leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = 1, .queue = 1 }), 0);
    for (int i = 0; i < 2; i++) REQUIRE_EQ(leat_submit(&pool, occupies, NULL), 0);
}

static void tear_down(bool zero)
{
    if (!zero) CHECK_EQ(leat_wg_done(&wg), 0);
    CHECK_EQ(leat_pool_stop(&pool), 0);
    CHECK_EQ(leat_wait(&group), 0);
    leat_free(&c);
    leat_free(&unbuf);
    leat_free(&many);
}

static void needs_little(const char *name, void (*call)(void), long most)
{
    long bytes = 0;
    for (int i = 0; i < 2; i++) { /* the first for the dynamic linker, which binds what is called first */
        struct call waiting[3];
        set_up();
        for (int k = 0; k < 3 && (call == closes || call == cancels); k++) recv_waits(&waiting[k], &root, &c);
        bytes = measured(call);
        for (int k = 0; k < 3 && (call == closes || call == cancels); k++) CHECK(end(&waiting[k]) < 0);
        tear_down(call == goes_and_waits);
    }
    if (!CHECK(bytes <= most) || getenv("LEAT_TEST_SAYS")) tap_note("%5ld bytes: %s", bytes, name);
}

#define NEEDS_LITTLE(call) needs_little(#call, call, MOST)

/* ==== What it must be ========================================================================= */

static void *waits(void *unused)
{
    int m;
    for (int i = 0; i < 16; i++) nested[i] = (leat_ctx)LEAT_CTX(i ? &nested[i - 1] : NULL);
    nested[0] = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_MS(1));
    CHECK_EQ(leat_recv_ctx(&nested[15], &unbuf, &m), -ETIMEDOUT);
    return unused;
}

TEST(a_process_waits_first_on_the_smallest_stack_that_there_is)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (TAP_SLOW) SKIP("sanitizers need more");
    REQUIRE_EQ(leat_make(&unbuf, 0), 0);
    REQUIRE(pthread_attr_init(&attr) == 0);
    if (pthread_attr_setstacksize(&attr, 16384)) /* some systems need more */
        REQUIRE(pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    REQUIRE(pthread_create(&thread, &attr, waits, NULL) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    leat_free(&unbuf);
}

TEST(no_call_that_waits_needs_more_than_a_kilobyte_of_stack)
{
    if (TAP_SLOW) SKIP("sanitizers need more");
    REQUIRE(posix_memalign((void **)&stack, 4096, SIZE) == 0);
    NEEDS_LITTLE(receives);
    NEEDS_LITTLE(sends);
    NEEDS_LITTLE(receives_many);
    NEEDS_LITTLE(receives_unbuffered);
    NEEDS_LITTLE(selects);
    NEEDS_LITTLE(acquires);
    NEEDS_LITTLE(waits_for_zero);
    NEEDS_LITTLE(sleeps);
    NEEDS_LITTLE(closes);
    NEEDS_LITTLE(cancels);
    free(stack);
}

/* By design: for each context that the wait is linked on there is a node on the stack. A submit has the pool's, too. */
TEST(each_ancestor_of_a_context_costs_a_frame_and_no_more)
{
    if (TAP_SLOW) SKIP("sanitizers need more");
    REQUIRE(posix_memalign((void **)&stack, 4096, SIZE) == 0);
    needs_little("submits", submits, MOST + AN_ANCESTOR);
    needs_little("receives under 40 ancestors", under_many, MOST + ANCESTORS * AN_ANCESTOR);
    free(stack);
}

TEST(what_starts_and_joins_threads_needs_what_the_c_library_needs_for_it)
{
    if (TAP_SLOW) SKIP("sanitizers need more");
    REQUIRE(posix_memalign((void **)&stack, 4096, SIZE) == 0);
    needs_little("goes and waits", goes_and_waits, MOST + 4096);
    free(stack);
}
