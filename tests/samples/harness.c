/* Tests that fail, hang and die on purpose: t-harness.sh runs them one by one. */
#define _GNU_SOURCE
#include "tap.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

TEST(passes)
{
    CHECK(1 + 1 == 2);
    CHECK_EQ(6 * 7, 42);
}

TEST(fails)
{
    CHECK(1 + 1 == 3);
    CHECK_EQ(6 * 7, 41);
    CHECK(2 + 2 == 4);
}

TEST(gives_up)
{
    REQUIRE(1 + 1 == 3);
    CHECK(false);
}

TEST(skips)
{
    SKIP("no such machine");
    CHECK(false);
}

TEST(crashes)
{
    raise(SIGSEGV);
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) static void wait_in_main(void)
{
    pthread_mutex_lock(&held);
    CHECK(false);
}

__attribute__((noinline)) static void wait_deaf(void)
{
    while (pause()) {}
}

static volatile int spins = 1;

__attribute__((noinline)) static void spin_for_ever(void)
{
    while (spins) {}
}

static void *deaf(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    wait_deaf();
    return unused;
}

static void *busy(void *unused)
{
    spin_for_ever();
    return unused;
}

TEST(hangs)
{
    pthread_t thread;
    pthread_mutex_lock(&held);
    REQUIRE_EQ(pthread_create(&thread, NULL, deaf, NULL), 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, busy, NULL), 0);
    wait_in_main();
}
