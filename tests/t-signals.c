/* t-signals.c - the first signal asks for a graceful end, the second ends the process: leat_cancel_on_signals.
 * SPDX-License-Identifier: MIT
 *
 * Each test runs in a child process, because signals, their handlers and the thread behind them are the
 * process's. What the child found wrong, it says itself; its exit tells that it did. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peek.h"
#include "pool.h"

/* ThreadSanitizer would end a child that makes threads, if its parent had any: the watchdog. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

/* Runs body in a child; how it ended, as waitpid tells. Nothing may run beside us when we fork. */
static int in_child(void (*body)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) {
        alarm(30); /* the watchdog is not with us */
        body();
        tap_leave(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static void check_ended_well(int status)
{
    CHECK(WIFEXITED(status));
    if (WIFEXITED(status)) CHECK_EQ(WEXITSTATUS(status), 0);
    else tap_note("ended by signal %d", WTERMSIG(status));
}

/* In a child a failed check must end it, for its failures are not counted. */
#define MUST(cond) ((cond) ? (void)0 : (tap_note("%s:%d: no: %s", __FILE__, __LINE__, #cond), _exit(1)))

static void until_cancelled(leat_ctx *ctx, int sig)
{
    MUST(leat_sleep_ctx(ctx, LEAT_S(1000)) == -ECANCELED); /* it wakes who waits */
    MUST(leat_ctx_cause(ctx) == sig);
}

static void first_cancels(void)
{
    static leat_ctx ctx;
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, SIGINT, 0) == 0);
    MUST(leat_ctx_err(&ctx) == 0);
    kill(getpid(), SIGTERM);
    until_cancelled(&ctx, SIGTERM);
}

TEST(the_first_signal_cancels_with_its_number_as_cause_and_wakes_who_waits)
{
    check_ended_well(in_child(first_cancels));
}

static void second_ends(void)
{
    static leat_ctx ctx;
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, SIGINT, 0) == 0);
    kill(getpid(), SIGTERM);
    until_cancelled(&ctx, SIGTERM);
    kill(getpid(), SIGTERM);
    for (;;) pause();
}

static void another_ends(void)
{
    static leat_ctx ctx;
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, SIGINT, 0) == 0);
    kill(getpid(), SIGTERM);
    until_cancelled(&ctx, SIGTERM);
    kill(getpid(), SIGINT);
    for (;;) pause();
}

TEST(the_second_signal_ends_the_process)
{
    int status = in_child(second_ends);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    status = in_child(another_ends);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void a_worker_hangs(void)
{
    /* nobody looks at the context; the second signal must still end it */
    static leat_ctx ctx;
    MUST(leat_cancel_on_signals(&ctx, SIGINT, 0) == 0);
    kill(getpid(), SIGINT);
    kill(getpid(), SIGINT);
    for (;;) pause();
}

TEST(two_signals_at_once_end_the_process)
{
    if (TAP_SLOW) SKIP("a sanitizer may delay handlers");
    int status = in_child(a_worker_hangs);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void null_restores(void)
{
    static leat_ctx ctx;
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, SIGUSR1, 0) == 0);
    MUST(leat_cancel_on_signals(NULL, SIGTERM, SIGUSR1, 0) == 0);
    struct sigaction now;
    MUST(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    MUST(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    kill(getpid(), SIGTERM);
    for (;;) pause();
}

TEST(no_context_gives_the_signals_their_default_action_back)
{
    int status = in_child(null_restores);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void replaces(void)
{
    static leat_ctx first, second;
    struct sigaction now;
    MUST(leat_cancel_on_signals(&first, SIGTERM, SIGINT, 0) == 0);
    MUST(leat_cancel_on_signals(&second, SIGTERM, 0) == 0);
    MUST(sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_DFL); /* no longer ours */
    kill(getpid(), SIGTERM);
    until_cancelled(&second, SIGTERM);
    MUST(leat_ctx_err(&first) == 0);
    static leat_ctx third; /* and again, after one has come */
    MUST(leat_cancel_on_signals(&third, SIGTERM, 0) == 0);
    kill(getpid(), SIGTERM);
    until_cancelled(&third, SIGTERM);
}

TEST(a_call_replaces_the_one_before)
{
    check_ended_well(in_child(replaces));
}

static leat_ctx replaced;
static _Atomic int gone_on;

static void *replaces_it(void *unused)
{
    static leat_ctx other;
    (void)unused;
    MUST(leat_cancel_on_signals(&other, SIGTERM, 0) == 0);
    MUST(leat_ctx_err(&replaced) == -ECANCELED); /* it is not being cancelled still */
    atomic_store(&gone_on, 1);
    return NULL;
}

static void replaces_what_is_being_cancelled(void)
{
    pthread_t thread;
    MUST(leat_cancel_on_signals(&replaced, SIGTERM, 0) == 0);
    leat_lock_take_(&replaced.lock_); /* its cancellation begins, and gets no further */
    kill(getpid(), SIGTERM);
    UNTIL(atomic_load(&leat_signals_here_()->lock_));
    MUST(pthread_create(&thread, NULL, replaces_it, NULL) == 0);
    for (int i = 0; i < 100; i++) sched_yield();
    MUST(!atomic_load(&gone_on));
    leat_lock_drop_(&replaced.lock_);
    MUST(pthread_join(thread, NULL) == 0);
}

TEST(a_call_returns_when_nobody_uses_the_replaced_context)
{
    check_ended_well(in_child(replaces_what_is_being_cancelled));
}

TEST(a_program_may_catch_what_is_not_the_systems_own)
{
    const int may[] = { SIGHUP, SIGTERM, SIGCHLD, SIGRTMIN, 63 };
    const int not[] = { -1, 0, SIGKILL, SIGSTOP, 32, SIGRTMIN - 1, 64, 1000 };
    for (size_t i = 0; i < sizeof may / sizeof *may; i++) CHECK(leat_os_catches_(may[i]));
    for (size_t i = 0; i < sizeof not / sizeof *not; i++) CHECK(!leat_os_catches_(not[i]));
}

static void refuses(void)
{
    static leat_ctx ctx;
    struct sigaction now;
    MUST(leat_cancel_on_signals(&ctx, 0) == -EINVAL);
    MUST(leat_cancel_on_signals(&ctx, -1, 0) == -EINVAL);
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, 1000, 0) == -EINVAL);
    MUST(leat_cancel_on_signals(&ctx, SIGKILL, 0) == -EINVAL);
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, SIGSTOP, 0) == -EINVAL);
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, SIGRTMIN - 1, 0) == -EINVAL); /* the C library's own */
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, 32, 0) == -EINVAL);
    MUST(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL); /* all or nothing */
}

TEST(what_is_not_a_signal_is_refused_and_nothing_changes)
{
    check_ended_well(in_child(refuses));
}

static void keeps_errno(void)
{
    static leat_ctx ctx;
    errno = 77;
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, 0) == 0);
    MUST(errno == 77);
    raise(SIGTERM); /* handled here, on this thread, before raise returns */
    MUST(errno == 77);
    until_cancelled(&ctx, SIGTERM);
    MUST(leat_cancel_on_signals(NULL, SIGTERM, 0) == 0);
    MUST(errno == 77);
}

TEST(errno_is_never_touched)
{
    check_ended_well(in_child(keeps_errno));
}

/* ==== What it is for ========================================================================== */

static int job(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 0;
}

static void drains(void)
{
    static leat_ctx ctx;
    static leat_pool p;
    static _Atomic int ran;
    int accepted = 0;
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, 0) == 0);
    MUST(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 4, .queue = 4 }) == 0);
    while (leat_submit_ctx(&ctx, &p, job, &ran) == 0)
        if (++accepted == 100) kill(getpid(), SIGTERM);
    MUST(leat_ctx_cause(&ctx) == SIGTERM);
    MUST(leat_pool_stop(&p) == 0);
    MUST(ran == accepted && accepted >= 100);
}

TEST(a_pool_that_is_fed_until_the_signal_drains)
{
    for (int k = 0; k < tap_rounds(20); k++) check_ended_well(in_child(drains));
}

static int waits_for_it(leat_ctx *ctx, void *arg)
{
    (void)arg;
    return leat_sleep_ctx(ctx, LEAT_S(1000));
}

static void ends_a_group(void)
{
    static leat_ctx ctx;
    leat_group g = LEAT_GROUP(&ctx);
    MUST(leat_cancel_on_signals(&ctx, SIGINT, 0) == 0);
    MUST(leat_go_n(&g, 4, waits_for_it, NULL) == 0);
    kill(getpid(), SIGINT);
    MUST(leat_wait(&g) == -ECANCELED);
    MUST(leat_ctx_cause(leat_group_ctx(&g)) == SIGINT);
}

TEST(a_group_below_the_context_ends)
{
    check_ended_well(in_child(ends_a_group));
}
