/* t-pool-opts.c - a pool's options do what they say, and its threads disturb nobody: their names, stacks,
 * hooks, signals, and that they cost nothing while idle.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

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

/* How many threads of this process have a name; -1: the system does not tell. */
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

TEST(an_init_hook_that_fails_fails_the_resize_and_the_others_work_on)
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

TEST(workers_block_all_signals_but_those_of_their_own_faults)
{
    leat_pool p;
    leat_group g = LEAT_GROUP(NULL);
    sigset_t mask[2], before, after, all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_sigmask(SIG_SETMASK, &before, &all); /* what can be blocked here: an emulator has not all */
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    CHECK_EQ(leat_submit(&p, mask_of, &mask[0]), 0);
    CHECK_EQ(leat_go(&g, mask_of, &mask[1]), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    for (int i = 0; i < 2; i++) {
        const int blocked[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE, SIGALRM, SIGPROF,
                                SIGWINCH, SIGTSTP, SIGRTMIN, SIGRTMAX };
        CHECK_EQ(sigismember(&all, SIGTERM), 1);
        const int open[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
        for (size_t k = 0; k < sizeof blocked / sizeof *blocked; k++)
            if (!CHECK_EQ(sigismember(&mask[i], blocked[k]), sigismember(&all, blocked[k]))) tap_note("signal %d", blocked[k]);
        for (size_t k = 0; k < sizeof open / sizeof *open; k++)
            if (!CHECK_EQ(sigismember(&mask[i], open[k]), 0)) tap_note("signal %d", open[k]);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &after); /* of the thread that started them: as it was */
    for (int s = 1; s < 32; s++) CHECK_EQ(sigismember(&before, s), sigismember(&after, s));
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
    UNTIL(peek_receivers(&p.queue_) == 64);
    int64_t before = cpu_time();
    leat_sleep(LEAT_MS(500));
    int64_t cost = cpu_time() - before;
    if (!CHECK(TAP_SLOW || cost < LEAT_MS(50))) tap_note("%lld ns in half a second", (long long)cost);
    CHECK_EQ(leat_pool_stop(&p), 0);
}
