/* f-fork.c - a fork in the middle of traffic. The child has copies of everything, but none of the threads. It may
 * exec or exit, and whatever it does, its parent is not affected.
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
            exit(0); /* flushes, and runs what atexit has: locks of the C library are not held for ever */
        }
        CHECK_EQ(child_ends(child), 0);
    }
    traffic_end(&t);
}

/* The child may use objects of its own as ever. */
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
    REQUIRE_EQ(child_ends(child), -SIGTERM);                   /* as if the child had never asked for it */
    REQUIRE_EQ(leat_sleep_ctx(&soon, LEAT_S(20)), -ETIMEDOUT); /* and the parent is not affected */
    kill(getpid(), SIGTERM);
    REQUIRE_EQ(leat_sleep_ctx(&ctx, LEAT_S(20)), -ECANCELED);
}

TEST(a_signal_that_a_child_gets_does_not_affect_its_parent)
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

static volatile sig_atomic_t value;

static void theirs(int sig, siginfo_t *info, void *unused)
{
    (void)sig;
    (void)unused;
    value = info->si_value.sival_int;
}

static void child_has_the_programs_handler(void)
{
    struct sigaction act = { .sa_sigaction = theirs, .sa_flags = SA_SIGINFO }, now;
    sigaction(SIGUSR1, &act, NULL);
    REQUIRE_EQ(leat_cancel_on_signals(&ctx, SIGUSR1, SIGTERM, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 1; i <= 2; i++) {
            if (sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 40 + i })) _exit(1);
            while (value != 40 + i) (void)leat_sleep(LEAT_US(100)); /* by its sender, with its value */
            if (sigaction(SIGUSR1, NULL, &now) || now.sa_sigaction != theirs) _exit(2);
        }
        kill(getpid(), SIGTERM);
        _exit(3);
    }
    REQUIRE_EQ(child_ends(child), -SIGTERM);
    child = fork();
    if (child == 0) { /* it may also take back what it has inherited */
        if (leat_cancel_on_signals(NULL, SIGTERM, 0)) _exit(1);
        if (sigaction(SIGUSR1, NULL, &now) || now.sa_sigaction != theirs) _exit(2);
        kill(getpid(), SIGTERM);
        _exit(3);
    }
    REQUIRE_EQ(child_ends(child), -SIGTERM);
    REQUIRE_EQ(leat_ctx_err(&ctx), 0);
    child = vfork();
    if (child == 0) { /* it shares our memory, and has no thread of ours */
        kill(getpid(), SIGTERM);
        _exit(3);
    }
    REQUIRE_EQ(child_ends(child), -SIGTERM);
    leat_ctx soon = LEAT_CTX_WITHIN(&ctx, LEAT_MS(20));
    REQUIRE_EQ(leat_sleep_ctx(&soon, LEAT_S(20)), -ETIMEDOUT);
    REQUIRE_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0);
}

TEST(a_childs_signals_do_what_they_would_have_done_without_us)
{
    in_child(child_has_the_programs_handler);
}

static _Atomic bool forked_enough;

static void *registers(void *unused)
{
    static leat_ctx other;
    while (!atomic_load(&forked_enough)) {
        REQUIRE_EQ(leat_cancel_on_signals(&other, SIGTERM, SIGHUP, 0), 0);
        REQUIRE_EQ(leat_cancel_on_signals(&other, SIGTERM, 0), 0);
        REQUIRE_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0);
    }
    return unused;
}

static void forks_while_another_registers(void)
{
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, registers, NULL), 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            static leat_ctx own;
            alarm(50);
            REQUIRE_EQ(leat_cancel_on_signals(&own, SIGTERM, 0), 0); /* the thread that held the lock is not in the child */
            kill(getpid(), SIGTERM);
            REQUIRE_EQ(leat_sleep_ctx(&own, LEAT_S(20)), -ECANCELED);
            REQUIRE_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0);
            kill(getpid(), SIGTERM);
            _exit(1);
        }
        REQUIRE_EQ(child_ends(child), -SIGTERM);
    }
    atomic_store(&forked_enough, true);
    pthread_join(thread, NULL);
}

TEST(a_fork_while_another_thread_registers_signals_leaves_no_lock_held)
{
    in_child(forks_while_another_registers);
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
