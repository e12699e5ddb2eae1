/* t-pool-opts.c - a pool's options do what they say, and its threads disturb no other: their names, stacks, hooks,
 * signals, and that they cost nothing while idle.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peek.h"
#include "pool.h"

static int nothing(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return 0;
}

static int at_door(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(arg);
    return 0;
}

/* How many threads of this process have this name. -1: the system does not tell. */
static int named(const char *name)
{
    int n = -1;
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *d; threads && (d = readdir(threads));) {
        char path[300], comm[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", d->d_name);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        if (n < 0) n = 0;
        if (fgets(comm, sizeof comm, f)) comm[strcspn(comm, "\n")] = 0;
        n += strcmp(comm, name) == 0;
        fclose(f);
    }
    if (threads) closedir(threads);
    return n;
}

TEST(workers_carry_the_pools_name_and_their_number)
{
    if (named("") < 0) SKIP("no /proc");
    leat_pool p, q, r;
    char name[] = "abc";
    door d = { 0 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .name = name }), 0);
    name[0] = 'X'; /* it was copied */
    REQUIRE_EQ(leat_pool_start(&q, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    REQUIRE_EQ(leat_pool_start(&r, NULL, &(leat_pool_opts){ .workers = 11, .name = "a-name-that-is-too-long" }), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(leat_submit(&p, at_door, &d), 0);
    CHECK_EQ(leat_submit(&q, at_door, &d), 0);
    for (int i = 0; i < 11; i++) CHECK_EQ(leat_submit(&r, at_door, &d), 0);
    door_until(&d, 15); /* so all have begun */
    CHECK_EQ(named("abc-0"), 1);
    CHECK_EQ(named("abc-1"), 1);
    CHECK_EQ(named("abc-2"), 1);
    CHECK_EQ(named("leat-0"), 1);
    CHECK_EQ(named("a-name-that-0") + named("a-name-that--0"), 1); /* cut, but not the number */
    CHECK_EQ(named("a-name-that-10") + named("a-name-that--10"), 1);
    door_open(&d);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(leat_pool_stop(&q), 0);
    CHECK_EQ(leat_pool_stop(&r), 0);
    CHECK_EQ(named("abc-0"), 0); /* joined, not left behind */
}

static int has_stack(leat_ctx *ctx, void *arg)
{
    (void)ctx;
#if defined __GLIBC__
    pthread_attr_t attr;
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_EQ(pthread_attr_getstacksize(&attr, (size_t *)arg), 0);
    pthread_attr_destroy(&attr);
#else
    *(size_t *)arg = 0;
#endif
    return 0;
}

TEST(workers_have_the_stack_that_was_asked_for)
{
    leat_pool p;
    size_t size = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .stack_size = 20 << 20 }), 0);
    CHECK_EQ(leat_submit(&p, has_stack, &size), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK(!size || size >= 19 << 20); /* the system may take a little of it, or give more */
}

TEST(an_impossible_stack_is_refused_with_all_unwound)
{
    leat_pool p;
    CHECK_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .stack_size = 1 }), -EINVAL);
    CHECK(leat_submit(&p, nothing, NULL) != 0);
}

/* ==== Numbers ================================================================================= */

TEST(no_number_of_workers_means_one_per_usable_cpu)
{
    leat_pool p;
    leat_stats st;
    leat_pool_opts opts = { .workers = 0 };
    for (int k = 0; k < 2; k++) {
        REQUIRE_EQ(leat_pool_start(&p, NULL, k ? &opts : NULL), 0);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.workers, leat_cpus());
        CHECK_EQ(st.queue_cap, 2 * leat_cpus());
        CHECK_EQ(leat_pool_stop(&p), 0);
    }
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3 }), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.workers, 3);
    CHECK_EQ(st.queue_cap, 6);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

TEST(as_many_jobs_as_workers_run_at_once)
{
    leat_pool p;
    door d = { 0 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 16, .queue = 1 }), 0);
    for (int i = 0; i < 16; i++) CHECK_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 16); /* or this hangs */
    door_open(&d);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

/* ==== Hooks =================================================================================== */

struct hooks {
    _Atomic int inits, finis, in_job, wrong;
    int fail_id, fail_with;
};

static _Thread_local int here; /* what the init hook left on this thread */

static int init(void *user, int id)
{
    struct hooks *h = user;
    atomic_fetch_add_explicit(&h->inits, 1, memory_order_relaxed);
    if (here) atomic_fetch_add_explicit(&h->wrong, 1, memory_order_relaxed);
    here = id + 1;
    return h->fail_with && id == h->fail_id ? h->fail_with : 0;
}

static void fini(void *user, int id)
{
    struct hooks *h = user;
    atomic_fetch_add_explicit(&h->finis, 1, memory_order_relaxed);
    if (here != id + 1) atomic_fetch_add_explicit(&h->wrong, 1, memory_order_relaxed);
    here = 0;
}

static int job(leat_ctx *ctx, void *arg)
{
    struct hooks *h = arg;
    (void)ctx;
    atomic_fetch_add_explicit(&h->in_job, 1, memory_order_relaxed);
    if (!here) atomic_fetch_add_explicit(&h->wrong, 1, memory_order_relaxed);
    return 0;
}

TEST(each_worker_runs_its_hooks_first_and_last_on_its_own_thread)
{
    leat_pool p;
    struct hooks h = { .fail_id = -1 };
    leat_pool_opts opts = { .workers = 4, .worker_init = init, .worker_fini = fini, .user = &h };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &opts), 0);
    CHECK_EQ(h.inits, 4); /* start returns when they have run */
    CHECK_EQ(h.finis, 0);
    for (int i = 0; i < 100; i++) CHECK_EQ(leat_submit(&p, job, &h), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(h.in_job, 100);
    CHECK_EQ(h.inits, 4);
    CHECK_EQ(h.finis, 4);
    CHECK_EQ(h.wrong, 0);
}

TEST(either_hook_may_be_missing)
{
    leat_pool p;
    struct hooks h = { .fail_id = -1 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .worker_init = init, .user = &h }), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(h.inits, 2);
    h = (struct hooks){ .fail_id = -1 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .worker_fini = fini, .user = &h }), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(h.finis, 2);
}

TEST(an_init_hook_that_fails_fails_the_start_with_all_unwound)
{
    for (int id = 0; id < 4; id++) {
        leat_pool p;
        struct hooks h = { .fail_id = id, .fail_with = -77 };
        leat_pool_opts opts = { .workers = 4, .worker_init = init, .worker_fini = fini, .user = &h, .name = "unwound" };
        CHECK_EQ(leat_pool_start(&p, NULL, &opts), -77);
        CHECK_EQ(h.finis, h.inits - 1); /* those that had succeeded */
        CHECK_EQ(h.wrong, 0);
        CHECK(leat_submit(&p, job, &h) != 0);
        CHECK(leat_pool_stop(&p) != 0);
        CHECK(named("unwound-0") <= 0);
        CHECK_EQ(h.in_job, 0);
    }
}

TEST(L6_an_init_hook_that_fails_fails_the_resize_and_the_others_work_on)
{
    leat_pool p;
    struct hooks h = { .fail_id = 3, .fail_with = 5 };
    leat_stats st;
    leat_pool_opts opts = { .workers = 2, .worker_init = init, .worker_fini = fini, .user = &h };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &opts), 0);
    CHECK_EQ(leat_pool_resize(&p, 6), 5);
    CHECK_EQ(leat_pool_resize(&p, 4), 0);
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.workers, 4);
    for (int i = 0; i < 50; i++) CHECK_EQ(leat_submit(&p, job, &h), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(h.in_job, 50);
    CHECK_EQ(h.finis, h.inits - 1);
    CHECK_EQ(h.wrong, 0);
}

/* ==== Good neighbours ========================================================================= */

static pthread_t handled_by;
static volatile sig_atomic_t handled;

static void handler(int sig)
{
    (void)sig;
    handled_by = pthread_self();
    handled = handled + 1;
}

static int mask_of(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    return pthread_sigmask(SIG_SETMASK, NULL, arg);
}

/* The masks of a worker and of a group's thread that a thread with this mask spawns. */
static void masks_below(const sigset_t *mine, bool inherit, sigset_t mask[2])
{
    leat_pool p;
    leat_group g = LEAT_GROUP(NULL);
    sigset_t before, after, set;
    pthread_sigmask(SIG_SETMASK, mine, &before);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    CHECK_EQ(leat_group_threads(&g, &(leat_thread_opts){ .inherit_signals = inherit }), 0);
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .inherit_signals = inherit }), 0);
    CHECK_EQ(leat_submit(&p, mask_of, &mask[0]), 0);
    CHECK_EQ(leat_go(&g, mask_of, &mask[1]), 0);
    CHECK_EQ(leat_group_threads(&g, &(leat_thread_opts){ .inherit_signals = true }), -EINVAL); /* too late */
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    for (int s = 1; s < 32; s++)
        CHECK_EQ(sigismember(&set, s), sigismember(&after, s)); /* the mask of the thread that spawned is as it was */
}

static void check_masks(const sigset_t mask[2], const int *signals, size_t n, int blocked)
{
    for (size_t i = 0; i < 2 * n; i++)
        if (!CHECK_EQ(sigismember(&mask[i / n], signals[i % n]), blocked)) tap_note("signal %d", signals[i % n]);
}

#define CHECK_MASKS(mask, blocked, ...) \
    check_masks(mask, (int[]){ __VA_ARGS__ }, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), blocked)

TEST(workers_block_what_is_sent_to_the_process_and_no_fault_of_their_own)
{
    sigset_t none, all, mask[2];
    sigemptyset(&none);
    sigfillset(&all);
    for (int k = 0; k < 2; k++) {
        masks_below(k ? &all : &none, false, mask);
        CHECK_MASKS(mask, 1, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE, SIGALRM, SIGWINCH,
                    SIGTSTP);
        CHECK_MASKS(mask, 0, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS);
    }
}

TEST(what_profilers_and_collectors_send_is_blocked_only_if_it_was)
{
    sigset_t none, all, mask[2];
    sigemptyset(&none);
    sigfillset(&all);
    masks_below(&none, false, mask);
    CHECK_MASKS(mask, 0, SIGPROF, SIGVTALRM, SIGPWR, SIGRTMIN, SIGRTMIN + 5, SIGRTMAX);
    pthread_sigmask(SIG_BLOCK, &all, &none);
    pthread_sigmask(SIG_SETMASK, &none, &all); /* what can be blocked here: an emulator has not all */
    masks_below(&all, false, mask);
    CHECK_MASKS(mask, 1, SIGPROF, SIGVTALRM, SIGPWR); /* a thread of the program may wait for it */
    CHECK_MASKS(mask, sigismember(&all, SIGRTMAX), SIGRTMAX);
}

TEST(threads_that_inherit_the_mask_have_that_of_the_thread_that_spawned_them)
{
    sigset_t one, mask[2];
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    masks_below(&one, true, mask);
    CHECK_MASKS(mask, 1, SIGUSR1);
    CHECK_MASKS(mask, 0, SIGTERM, SIGINT, SIGCHLD, SIGPROF, SIGSEGV);
}

static _Atomic int struck[2];

static void strikes(int sig)
{
    atomic_fetch_add(&struck[sig != SIGPROF], 1);
}

static int strikes_itself(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    pthread_kill(pthread_self(), SIGPROF);
    pthread_kill(pthread_self(), SIGRTMIN + 2);
    CHECK_EQ(struck[0], 1); /* on this thread, before pthread_kill returned */
    CHECK_EQ(struck[1], 1);
    return 0;
}

TEST(a_signal_of_a_profiler_and_of_a_collector_reach_a_worker)
{
    if (TAP_SLOW) SKIP("a sanitizer may delay handlers");
    struct sigaction a = { .sa_handler = strikes }, old[2];
    leat_pool p;
    sigaction(SIGPROF, &a, &old[0]);
    sigaction(SIGRTMIN + 2, &a, &old[1]);
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    CHECK_EQ(leat_submit(&p, strikes_itself, NULL), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    sigaction(SIGPROF, &old[0], NULL);
    sigaction(SIGRTMIN + 2, &old[1], NULL);
}

/* ==== A program that a job starts ============================================================= */

static const char *const patient[] = { "sleep", "1000", NULL }; /* it would not end by itself */

static int ends_by_sigterm(pid_t child, int sig)
{
    int status = 0;
    kill(child, sig);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static int spawns_as_documented(leat_ctx *ctx, void *arg)
{
    posix_spawnattr_t attr;
    sigset_t none;
    pid_t pid = 0;
    (void)ctx;
    (void)arg;
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int err = posix_spawnp(&pid, patient[0], NULL, &attr, (char **)(uintptr_t)patient, environ);
    posix_spawnattr_destroy(&attr);
    return err || !ends_by_sigterm(pid, SIGTERM);
}

static int spawns(leat_ctx *ctx, void *arg)
{
    pid_t pid = 0;
    (void)ctx;
    (void)arg;
    return posix_spawnp(&pid, patient[0], NULL, NULL, (char **)(uintptr_t)patient, environ) ||
           !ends_by_sigterm(pid, SIGTERM);
}

static int forks(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvp(patient[0], (char **)(uintptr_t)patient);
        _exit(127);
    }
    return !ends_by_sigterm(pid, SIGTERM);
}

TEST(a_program_that_a_job_starts_as_documented_can_die_of_sigterm)
{
    leat_group inherits = LEAT_GROUP(NULL);
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_group_threads(&inherits, &(leat_thread_opts){ .inherit_signals = true }), 0);
    CHECK_EQ(leat_go(&g, spawns_as_documented, NULL), 0);
    CHECK_EQ(leat_go(&g, forks, NULL), 0);
    CHECK_EQ(leat_go(&inherits, spawns, NULL), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_wait(&inherits), 0);
}

TEST(a_signal_to_the_process_is_handled_by_the_programs_own_thread)
{
    leat_pool p;
    struct sigaction a = { .sa_handler = handler }, old;
    sigaction(SIGUSR1, &a, &old);
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 8 }), 0);
    for (int i = 1; i <= 20; i++) {
        kill(getpid(), SIGUSR1);
        UNTIL(handled == i);
        CHECK(pthread_equal(handled_by, pthread_self()));
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
    sigaction(SIGUSR1, &old, NULL);
}

static int64_t cpu_time(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return LEAT_S(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + LEAT_US(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

TEST(64_idle_workers_cost_nothing)
{
    leat_pool p;
    door d = { 0 };
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 64, .queue = 64 }), 0);
    for (int i = 0; i < 64; i++) CHECK_EQ(leat_submit(&p, at_door, &d), 0);
    door_until(&d, 64);
    door_open(&d);
    UNTIL(peek_receivers(&p.lane_->queue_) == 64);
    int64_t before = cpu_time();
    leat_sleep(LEAT_MS(500));
    int64_t cost = cpu_time() - before;
    if (!CHECK(TAP_SLOW || cost < LEAT_MS(50))) tap_note("%lld ns in half a second", (long long)cost);
    CHECK_EQ(leat_pool_stop(&p), 0);
}
