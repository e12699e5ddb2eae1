/* f-fork.c - a fork in the middle of traffic. The child has copies of everything, but none of the threads:
 * it may exec or exit, and whatever it does, its parent does not notice.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>

#include "faults.h"

enum { FORKS = 60 };

static int child_ends(pid_t child)
{
    int status = 0;
    REQUIRE(child > 0);
    while (waitpid(child, &status, 0) < 0) REQUIRE(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(a_child_of_traffic_may_exit_or_exec)
{
    static struct traffic t;
    traffic_begin(&t, 8);
    for (int i = 0; i < FORKS; i++) {
        traffic_flows(&t, 20);
        pid_t child = fork();
        if (child == 0) {
            alarm(50);
            if (i % 2) execlp("true", "true", (char *)NULL);
            for (int k = 0; k < LANES; k++) leat_free(&t.lanes[k]); /* its own copies */
            exit(
                0); /* flushes and runs what atexit has: locks of the C library are not held for ever */
        }
        CHECK_EQ(child_ends(child), 0);
    }
    traffic_end(&t);
}

/* What is the child's alone it may use as ever. */
static void begins_anew(void)
{
    static struct traffic t;
    traffic_begin(&t, 4);
    traffic_flows(&t, 50);
    traffic_end(&t);
}

TEST(a_child_of_traffic_may_begin_anew)
{
    static struct traffic t;
    traffic_begin(&t, 4);
    for (int i = 0; i < FORKS / 6; i++) {
        traffic_flows(&t, 20);
        in_child(begins_anew);
    }
    traffic_end(&t);
}

/* ==== leat_cancel_on_signals ================================================================== */

static leat_ctx ctx;

static void signals_and_a_child(void)
{
    leat_ctx soon = LEAT_CTX_WITHIN(&ctx, LEAT_MS(20));
    REQUIRE_EQ(leat_cancel_on_signals(&ctx, SIGTERM, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        kill(getpid(), SIGTERM);
        _exit(1);
    }
    REQUIRE_EQ(child_ends(child), -SIGTERM);               /* as if we had never asked for it */
    REQUIRE_EQ(leat_sleep_ctx(&soon, LEAT_S(20)), -ETIMEDOUT); /* and nobody here has heard of it */
    kill(getpid(), SIGTERM);
    REQUIRE_EQ(leat_sleep_ctx(&ctx, LEAT_S(20)), -ECANCELED);
}

TEST(a_signal_that_a_child_gets_is_no_business_of_its_parent)
{
    in_child(signals_and_a_child);
}

static void child_asks_for_signals(void)
{
    static leat_ctx own;
    leat_ctx soon = LEAT_CTX_WITHIN(&ctx, LEAT_MS(20));
    REQUIRE_EQ(leat_cancel_on_signals(&ctx, SIGTERM, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(50);
        REQUIRE_EQ(leat_cancel_on_signals(&own, SIGTERM, 0), 0);
        kill(getpid(), SIGTERM);
        REQUIRE_EQ(leat_sleep_ctx(&own, LEAT_S(20)), -ECANCELED);
        tap_leave(leat_ctx_err(&ctx));
    }
    REQUIRE_EQ(child_ends(child), 0);
    REQUIRE_EQ(leat_sleep_ctx(&soon, LEAT_S(20)), -ETIMEDOUT);
}

TEST(a_child_may_ask_for_signals_of_its_own)
{
    in_child(child_asks_for_signals);
}

static void count_descriptors(void)
{
    int before = 0, after = 0;
    for (int fd = 0; fd < 100; fd++) before += fcntl(fd, F_GETFD) >= 0;
    REQUIRE_EQ(leat_cancel_on_signals(&ctx, SIGTERM, 0), 0);
    for (int fd = 0; fd < 100; fd++) {
        int flags = fcntl(fd, F_GETFD);
        after += flags >= 0 && !(flags & FD_CLOEXEC);
        before -= flags >= 0 && flags & FD_CLOEXEC && fd < 3;
    }
    REQUIRE(after <= before);
}

TEST(what_a_child_executes_inherits_no_descriptor)
{
    in_child(count_descriptors);
}
