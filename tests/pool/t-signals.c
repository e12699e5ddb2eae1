/* t-signals.c - the first signal asks for a graceful end, the second ends the process: leat_cancel_on_signals.
 * SPDX-License-Identifier: MIT
 *
 * Each test runs in a child process, because signals, their handlers and the thread behind them are the process's.
 * The child prints what it found wrong. Its exit status tells whether it found anything. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peek.h"
#include "pool.h"

/* ThreadSanitizer would end a child that spawns threads if its parent had any, and the watchdog is one. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

/* Runs body in a child. Returns how it ended, as waitpid tells. No other thread may run when we fork. */
static int in_child(void (*body)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) {
        alarm(30); /* the child has no watchdog */
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

/* In a child a failed check must end it, because its failures are not counted. */
#define MUST(cond) ((cond) ? (void)0 : (tap_note("%s:%d: no: %s", __FILE__, __LINE__, #cond), _exit(1)))

/* Until a handler has run. A sanitizer may delay it until an atomic step. */
#define UNTIL_HANDLED(cond) \
    do { \
        while (!(cond)) (void)leat_sleep(LEAT_US(100)); \
    } while (0)

static void until_cancelled(leat_ctx *ctx, int sig)
{
    MUST(leat_sleep_ctx(ctx, LEAT_S(1000)) == -ECANCELED); /* it wakes a thread that waits */
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

TEST(the_first_signal_cancels_with_its_number_as_cause_and_wakes_threads_that_wait)
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
    /* no call looks at the context. The second signal must still end the process */
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
    MUST(leat_ctx_err(&replaced) == -ECANCELED); /* it is not still being cancelled */
    atomic_store(&gone_on, 1);
    return NULL;
}

static void replaces_what_is_being_cancelled(void)
{
    pthread_t thread;
    MUST(leat_cancel_on_signals(&replaced, SIGTERM, 0) == 0);
    leat_lock_take_(&replaced.lock_); /* its cancellation begins, and gets no further */
    kill(getpid(), SIGTERM);
    leat_catch_ *c = leat_catch_of_(atomic_load(&leat_signals_here_.gate_));
    UNTIL_HANDLED(atomic_load(&c->bell_.word_));
    MUST(pthread_create(&thread, NULL, replaces_it, NULL) == 0);
    for (int i = 0; i < 100; i++) sched_yield();
    MUST(!atomic_load(&gone_on));
    leat_lock_drop_(&replaced.lock_);
    MUST(pthread_join(thread, NULL) == 0);
}

TEST(a_call_returns_when_no_thread_uses_the_replaced_context)
{
    check_ended_well(in_child(replaces_what_is_being_cancelled));
}

static void catches_all(void)
{
    static leat_ctx ctx;
    const int may[] = { SIGHUP, SIGCHLD, SIGRTMIN, SIGRTMAX, SIGTERM };
    const int not [] = { -1, SIGKILL, SIGSTOP, 32, SIGRTMIN - 1, 65, 1000 };
    for (size_t i = 0; i < sizeof may / sizeof *may; i++) MUST(leat_cancel_on_signals(&ctx, may[i], 0) == 0);
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++) MUST(leat_cancel_on_signals(&ctx, not [i], 0) == -EINVAL);
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++) MUST(leat_cancel_on_signals(NULL, not [i], 0) == -EINVAL);
    kill(getpid(), SIGTERM); /* what was refused has changed nothing */
    until_cancelled(&ctx, SIGTERM);
}

TEST(a_program_may_catch_what_is_not_the_systems_own)
{
    check_ended_well(in_child(catches_all));
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

/* ==== The program's own handlers ============================================================== */

static volatile sig_atomic_t theirs, their_value, not_blocked;

static void their_handler(int sig, siginfo_t *info, void *unused)
{
    sigset_t mask;
    (void)sig;
    (void)unused;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    if (!sigismember(&mask, SIGUSR2) || sigismember(&mask, SIGUSR1)) not_blocked = 1;
    their_value = info->si_value.sival_int;
    theirs = theirs + 1;
}

/* Handles sig, with a mask and flags that tell whose handler it is. */
static struct sigaction theirs_for(int sig)
{
    struct sigaction act = { .sa_sigaction = their_handler, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigemptyset(&act.sa_mask);
    sigaddset(&act.sa_mask, SIGUSR2);
    MUST(sigaction(sig, &act, NULL) == 0);
    MUST(sigaction(sig, NULL, &act) == 0); /* as the system shows it */
    return act;
}

static bool does(int sig, const struct sigaction *act)
{
    struct sigaction now;
    MUST(sigaction(sig, NULL, &now) == 0);
    return now.sa_sigaction == act->sa_sigaction && now.sa_flags == act->sa_flags &&
           sigismember(&now.sa_mask, SIGUSR2) == sigismember(&act->sa_mask, SIGUSR2) && !sigismember(&now.sa_mask, SIGHUP);
}

static void send_with_value(int sig, int value)
{
    MUST(sigqueue(getpid(), sig, (union sigval){ .sival_int = value }) == 0);
}

static void second_is_theirs(void)
{
    static leat_ctx ctx[2];
    struct sigaction usr1 = theirs_for(SIGUSR1);
    raise(SIGUSR1);
    UNTIL_HANDLED(theirs == 1);
    bool bare = not_blocked; /* as it is without leat: an emulator may not know masks (qemu's riscv64 does not) */
    theirs = not_blocked = 0;
    for (int k = 0; k < 2; k++) { /* and again, after one has come */
        MUST(leat_cancel_on_signals(&ctx[k], SIGUSR1, SIGTERM, 0) == 0);
        MUST(!does(SIGUSR1, &usr1));
        send_with_value(SIGUSR1, 1);
        until_cancelled(&ctx[k], SIGUSR1);
        MUST(theirs == k && does(SIGUSR1, &usr1));
        send_with_value(SIGUSR1, 70 + k);
        UNTIL_HANDLED(theirs == k + 1);
        MUST(their_value == 70 + k && (TAP_SLOW || not_blocked == bare));
    }
}

TEST(the_second_signal_calls_the_handler_that_the_program_had)
{
    check_ended_well(in_child(second_is_theirs));
}

static void gives_theirs_back(void)
{
    static leat_ctx ctx[3];
    struct sigaction usr1 = theirs_for(SIGUSR1), hup = theirs_for(SIGHUP);
    for (int k = 0; k < 3; k++)
        MUST(leat_cancel_on_signals(&ctx[k], SIGHUP, SIGUSR1, SIGUSR1, 0) == 0); /* ours is not the program's */
    MUST(leat_cancel_on_signals(&ctx[0], SIGHUP, 0) == 0);
    MUST(does(SIGUSR1, &usr1) && !does(SIGHUP, &hup));
    MUST(leat_cancel_on_signals(NULL, SIGHUP, 0) == 0);
    MUST(does(SIGUSR1, &usr1) && does(SIGHUP, &hup));
    send_with_value(SIGUSR1, 5);
    UNTIL_HANDLED(theirs == 1);
    MUST(their_value == 5 && !leat_ctx_err(&ctx[0]));
}

TEST(taken_back_the_programs_handlers_are_as_they_were)
{
    check_ended_well(in_child(gives_theirs_back));
}

static void leaves_ignored(void)
{
    static leat_ctx ctx;
    struct sigaction now;
    signal(SIGHUP, SIG_IGN);
    MUST(leat_cancel_on_signals(&ctx, SIGHUP, SIGTERM, 0) == 0);
    raise(SIGHUP);
    MUST(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
    MUST(leat_ctx_err(&ctx) == 0);
    raise(SIGTERM);
    until_cancelled(&ctx, SIGTERM);
    MUST(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
    raise(SIGHUP);
    MUST(leat_cancel_on_signals(&ctx, SIGHUP, 0) == 0); /* all of them */
    raise(SIGHUP);
    MUST(leat_cancel_on_signals(NULL, SIGHUP, 0) == 0);
    raise(SIGHUP);
    MUST(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
}

TEST(what_was_ignored_stays_ignored)
{
    check_ended_well(in_child(leaves_ignored));
}

static void leaves_what_replaced_ours(void)
{
    static leat_ctx ctx;
    MUST(leat_cancel_on_signals(&ctx, SIGUSR1, SIGHUP, SIGTERM, 0) == 0);
    struct sigaction usr1 = theirs_for(SIGUSR1), hup = theirs_for(SIGHUP);
    kill(getpid(), SIGTERM);
    until_cancelled(&ctx, SIGTERM); /* the handler gives back the others */
    MUST(does(SIGUSR1, &usr1));
    MUST(leat_cancel_on_signals(&ctx, SIGUSR1, SIGTERM, 0) == 0);
    usr1 = theirs_for(SIGUSR1);
    MUST(leat_cancel_on_signals(NULL, SIGTERM, 0) == 0);
    MUST(does(SIGUSR1, &usr1) && does(SIGHUP, &hup));
}

TEST(a_handler_that_has_replaced_ours_stays)
{
    check_ended_well(in_child(leaves_what_replaced_ours));
}

static struct sigaction replaced_by_theirs;

static void calls_ours(int sig, siginfo_t *info, void *context)
{
    theirs = theirs + 1;
    replaced_by_theirs.sa_sigaction(sig, info, context);
}

static void is_called_by_theirs(void)
{
    static leat_ctx ctx;
    struct sigaction act = { .sa_sigaction = calls_ours, .sa_flags = SA_SIGINFO };
    MUST(leat_cancel_on_signals(&ctx, SIGUSR1, 0) == 0);
    MUST(sigaction(SIGUSR1, &act, &replaced_by_theirs) == 0);
    MUST(sigaction(SIGUSR1, NULL, &act) == 0); /* as the system shows it */
    for (int k = 1; k <= 3; k++) {
        raise(SIGUSR1);
        until_cancelled(&ctx, SIGUSR1);
        MUST(theirs == k && does(SIGUSR1, &act));
    }
    MUST(leat_cancel_on_signals(NULL, SIGUSR1, 0) == 0);
    raise(SIGUSR1); /* it does not have to know */
    UNTIL_HANDLED(theirs == 4);
    MUST(does(SIGUSR1, &act));
}

TEST(a_handler_that_has_replaced_ours_may_call_it)
{
    check_ended_well(in_child(is_called_by_theirs));
}

/* ==== Nothing is left ========================================================================= */

static int entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    MUST(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static void leaves_nothing(void)
{
    int threads = entries("/proc/self/task"), fds = entries("/proc/self/fd");
    for (int k = 0; k < 20; k++) {
        static leat_ctx ctx[20];
        MUST(leat_cancel_on_signals(&ctx[k], SIGTERM, SIGUSR1, 0) == 0);
        MUST(leat_cancel_on_signals(&ctx[k], SIGTERM, 0) == 0);
        if (k % 2) {
            kill(getpid(), SIGTERM);
            until_cancelled(&ctx[k], SIGTERM);
        }
        MUST(leat_cancel_on_signals(NULL, SIGTERM, 0) == 0);
        MUST(leat_cancel_on_signals(NULL, SIGTERM, 0) == 0); /* twice: harmless */
    }
    MUST(entries("/proc/self/fd") == fds);
    UNTIL(entries("/proc/self/task") == threads); /* the system's list may lag behind a join */
}

TEST(taken_back_no_thread_and_no_descriptor_is_left)
{
    if (access("/proc/self/task", R_OK)) SKIP("no /proc");
    check_ended_well(in_child(leaves_nothing));
}

static void takes_no_low_descriptor(void)
{
    static leat_ctx ctx;
    for (int fd = 0; fd < 3; fd++) close(fd);
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, 0) == 0);
    for (int fd = 0; fd < 3; fd++) MUST(fcntl(fd, F_GETFD) < 0);
    kill(getpid(), SIGTERM);
    until_cancelled(&ctx, SIGTERM);
}

TEST(a_program_without_descriptors_0_to_2_gets_none_from_us)
{
    check_ended_well(in_child(takes_no_low_descriptor));
}

static void closes_all_descriptors(void)
{
    static leat_ctx ctx;
    MUST(leat_cancel_on_signals(&ctx, SIGTERM, 0) == 0);
    for (int fd = 0; fd < 100; fd++) close(fd);
    kill(getpid(), SIGTERM);
    until_cancelled(&ctx, SIGTERM);
}

TEST(a_program_that_closes_all_descriptors_is_still_cancelled)
{
    check_ended_well(in_child(closes_all_descriptors));
}

/* ==== At once ================================================================================= */

/* A thread that is woken takes the handlers back, and its context is gone. */
static void takes_back_at_once(void)
{
    for (int k = 0; k < 100; k++) {
        leat_ctx *ctx = calloc(1, sizeof *ctx);
        MUST(ctx && leat_cancel_on_signals(ctx, SIGTERM, SIGINT, 0) == 0);
        kill(getpid(), SIGTERM);
        until_cancelled(ctx, SIGTERM);
        MUST(leat_cancel_on_signals(NULL, SIGTERM, 0) == 0);
        memset(ctx, 0xAA, sizeof *ctx);
        free(ctx);
    }
}

TEST(a_thread_that_is_woken_may_take_the_handlers_back_and_free_the_context)
{
    check_ended_well(in_child(takes_back_at_once));
}

static _Atomic bool enough;

static void *registers(void *nth)
{
    for (int k = 0; k < tap_rounds(300); k++) {
        leat_ctx *ctx = calloc(1, sizeof *ctx), *other = calloc(1, sizeof *ctx);
        MUST(ctx && leat_cancel_on_signals(ctx, SIGUSR1, nth ? SIGTERM : SIGHUP, 0) == 0);
        if (k % 2) sched_yield();
        MUST(other && leat_cancel_on_signals(other, SIGUSR1, SIGINT, 0) == 0);
        free(ctx);
        MUST(leat_cancel_on_signals(NULL, SIGUSR1, 0) == 0);
        free(other);
    }
    atomic_store(&enough, true);
    return NULL;
}

static void at_once_in_a_storm(void)
{
    pthread_t threads[2];
    struct sigaction usr1 = theirs_for(SIGUSR1);
    for (int i = 0; i < 2; i++) MUST(pthread_create(&threads[i], NULL, registers, i ? threads : NULL) == 0);
    while (!atomic_load(&enough)) {
        kill(getpid(), SIGUSR1);
        for (int i = 0; i < 20; i++) sched_yield();
    }
    for (int i = 0; i < 2; i++) MUST(pthread_join(threads[i], NULL) == 0);
    MUST(does(SIGUSR1, &usr1) || TAP_SLOW); /* ThreadSanitizer's copy of an action is not written in one step */
    struct sigaction now;
    MUST(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    MUST(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    MUST(sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

TEST(two_threads_may_register_and_take_back_at_once_while_signals_come)
{
    check_ended_well(in_child(at_once_in_a_storm));
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
