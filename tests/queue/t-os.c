/* The operating system's page: clock, waiting on a word, CPUs and quota. No call touches errno. */
#define _GNU_SOURCE
#include "staging.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

TEST(the_clock_never_goes_back)
{
    int64_t last = leat_now();
    CHECK(last > 0);
    for (int i = 0; i < 100000; i++) {
        int64_t now = leat_now();
        if (!CHECK(now >= last)) break;
        last = now;
    }
    CHECK(leat_os_coarse_now_() <= leat_now());
    int64_t before = leat_os_coarse_now_();
    CHECK_EQ(leat_sleep(LEAT_MS(30)), 0);
    CHECK(leat_os_coarse_now_() - before >= LEAT_MS(10)); /* it moves, by steps of 10 ms at most */
}

TEST(leat_after_is_the_time_from_now)
{
    int64_t before = leat_now(), t = leat_after(LEAT_MS(7)), after = leat_now();
    CHECK(t >= before + LEAT_MS(7) && t <= after + LEAT_MS(7));
    t = leat_after(LEAT_MS(-7));
    CHECK(t <= leat_now() - LEAT_MS(7));
}

TEST(waiting_on_a_word_ends_at_its_deadline_and_not_before)
{
    leat_os_event_ e;
    leat_os_init_(&e);
    for (int ms = 1; ms <= 16; ms *= 4) {
        int64_t deadline = leat_after(LEAT_MS(ms));
        int r;
        while ((r = leat_os_wait_(&e, 0, deadline)) == 0) {} /* it may return for no reason */
        CHECK_EQ(r, -ETIMEDOUT);
        CHECK(leat_now() >= deadline);
    }
    CHECK_EQ(leat_os_wait_(&e, 0, 0), -ETIMEDOUT);
    CHECK_EQ(leat_os_wait_(&e, 0, -1), -ETIMEDOUT);
    CHECK_EQ(leat_os_wait_(&e, 0, INT64_MIN), -ETIMEDOUT);
    CHECK_EQ(leat_os_wait_(&e, 0, 1), -ETIMEDOUT);
    leat_os_done_(&e);
}

TEST(waiting_on_a_word_that_has_changed_returns_at_once)
{
    leat_os_event_ e;
    leat_os_init_(&e);
    CHECK_EQ(leat_os_wait_(&e, 1, LEAT_FOREVER), 0);
    leat_os_set_(&e, 5);
    CHECK_EQ(leat_os_wait_(&e, 0, LEAT_FOREVER), 0);
    CHECK_EQ(atomic_load_explicit(&e.word_, memory_order_relaxed), 5);
    leat_os_done_(&e);
}

struct bell {
    leat_os_event_ e;
    _Atomic bool set;
    int64_t deadline;
};

static void wait_for_bell(void *arg)
{
    struct bell *b = arg;
    atomic_fetch_or_explicit(&b->e.word_, LEAT_ASLEEP_, memory_order_relaxed);
    while (atomic_load_explicit(&b->e.word_, memory_order_acquire) == LEAT_ASLEEP_)
        CHECK_EQ(leat_os_wait_(&b->e, LEAT_ASLEEP_, b->deadline), 0);
    CHECK(atomic_load_explicit(&b->set, memory_order_relaxed));
    leat_os_done_(&b->e);
    memset((void *)&b->e, 0xEE, sizeof b->e); /* gone */
}

TEST(setting_the_word_wakes_the_thread_that_sleeps_on_it)
{
    for (int i = 0; i < tap_rounds(2000); i++) {
        struct bell b = { .deadline = i % 2 ? LEAT_FOREVER : leat_after(LEAT_S(1000)) };
        struct actor a;
        leat_os_init_(&b.e);
        atomic_init(&b.set, false);
        enter(&a, wait_for_bell, &b);
        UNTIL(atomic_load_explicit(&b.e.word_, memory_order_relaxed) & LEAT_ASLEEP_);
        if (i % 3 == 0) (void)leat_sleep(LEAT_US(50));
        atomic_store_explicit(&b.set, true, memory_order_relaxed);
        leat_os_set_(&b.e, 3);
        leave(&a);
    }
}

#if !defined _WIN32

static void nothing(int signal)
{
    (void)signal;
}

TEST(a_storm_of_signals_ends_no_wait)
{
    struct sigaction act = { .sa_handler = nothing }, before; /* without SA_RESTART */
    REQUIRE(sigaction(SIGUSR2, &act, &before) == 0);
    int_chan c, unbuf;
    struct call r, s, timed;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    REQUIRE_EQ(leat_make(&unbuf, 0), 0);
    leat_ctx later = LEAT_CTX_WITHIN(NULL, LEAT_S(1000));
    recv_waits(&r, NULL, &c);
    send_waits(&s, NULL, &unbuf, 2);
    recv_waits(&timed, &later, &c);
    for (int i = 0; i < tap_rounds(2000); i++) {
        pthread_kill(r.actor.thread, SIGUSR2);
        pthread_kill(s.actor.thread, SIGUSR2);
        pthread_kill(timed.actor.thread, SIGUSR2);
        if (i % 16 == 0) (void)leat_sleep(LEAT_US(50));
    }
    CHECK(!is_over(&r) && !is_over(&s) && !is_over(&timed));
    CHECK_EQ(receivers(&c), 2);
    int m;
    CHECK(leat_recv(&unbuf, &m) == 0 && m == 2);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    CHECK_EQ(end(&r), 0);
    CHECK_EQ(end(&s), 0);
    CHECK_EQ(end(&timed), 0);
    sigaction(SIGUSR2, &before, NULL);
    leat_free(&c);
}

#endif

TEST(errno_is_never_touched)
{
    int_chan c;
    int m = 1;
    errno = 42;
    CHECK(leat_cpus() >= 1);
    CHECK_EQ(errno, 42);
    REQUIRE_EQ(leat_make(&c, 1), 0);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(5));
    CHECK_EQ(leat_recv_ctx(&soon, &c, &m), -ETIMEDOUT);
    CHECK_EQ(leat_send(&c, &m), 0);
    CHECK_EQ(leat_try_send(&c, &m), -EAGAIN);
    CHECK_EQ(leat_sleep(LEAT_MS(1)), 0);
    CHECK_EQ(leat_close(&c), 0);
    CHECK_EQ(leat_close(&c), -EALREADY);
    leat_free(&c);
    CHECK_EQ(errno, 42);
}

/* ---- CPUs ---------------------------------------------------------------------------------------- */

TEST(the_number_of_cpus_follows_the_affinity)
{
    CHECK(leat_cpus() >= 1);
#if defined __linux__
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all)) SKIP("no affinity here");
    CHECK(leat_cpus() <= CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    if (sched_setaffinity(0, sizeof one, &one)) SKIP("affinity may not be set here");
    CHECK_EQ(leat_cpus(), 1);
    CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
#endif
}

#if !defined _WIN32

/* A thread's first wait counts the CPUs. A cancel of the thread ends it somewhere else, where it holds nothing of
 * ours. */
static void *counts_cpus(void *counted)
{
    pthread_cancel(pthread_self());
    *(bool *)counted = leat_cpus() >= 1;
    pthread_testcancel();
    return NULL;
}

TEST(a_cancelled_thread_is_not_ended_while_it_counts_the_cpus)
{
    bool counted = false;
    void *result;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, counts_cpus, &counted) == 0);
    pthread_join(thread, &result);
    CHECK(counted);
    CHECK(result == PTHREAD_CANCELED);
}

#endif

#if defined __linux__

static char root[200];

/* Writes a file of the fake tree, with the folders above it. */
static void put(const char *name, const char *text)
{
    char path[500];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *c = path + 1; *c; c++)
        if (*c == '/') {
            *c = 0;
            mkdir(path, 0700);
            *c = '/';
        }
    FILE *f = fopen(path, "w");
    REQUIRE(f);
    fputs(text, f);
    fclose(f);
}

static void begin_tree(const char *cgroup)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/leat-XXXXXX", tmp && strlen(tmp) < 100 ? tmp : "/tmp");
    REQUIRE(mkdtemp(root));
    put("self", cgroup);
}

static long end_tree(void)
{
    char self[300], sys[300], command[300];
    snprintf(self, sizeof self, "%s/self", root);
    snprintf(sys, sizeof sys, "%s/sys", root);
    long quota = leat_os_quota_(self, sys);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_EQ(system(command), 0);
    return quota;
}

TEST(without_cgroups_there_is_no_quota)
{
    CHECK_EQ(leat_os_quota_("/nowhere/at/all", "/nowhere"), 0);
    begin_tree("");
    CHECK_EQ(end_tree(), 0);
    begin_tree("0::/\n");
    CHECK_EQ(end_tree(), 0);
    begin_tree("nonsense\n:::\n1:cpu\n");
    CHECK_EQ(end_tree(), 0);
}

TEST(a_cgroup_2_quota_is_read)
{
    static const struct {
        const char *text;
        long quota;
    } files[] = { { "200000 100000\n", 200 },
                  { "50000 100000\n", 50 },
                  { "max 100000\n", 0 },
                  { "150000 100000\n", 150 },
                  { "", 0 },
                  { "1000 0\n", 0 },
                  { "-1 100000\n", 0 },
                  { "6400000 100000\n", 6400 },
                  { "100000\n", 100 } };
    for (size_t i = 0; i < COUNT(files); i++) {
        begin_tree("0::/\n");
        put("sys/cpu.max", files[i].text);
        CHECK_EQ(end_tree(), files[i].quota);
        begin_tree("0::/some.slice/unit with space.scope\n");
        put("sys/some.slice/unit with space.scope/cpu.max", files[i].text);
        CHECK_EQ(end_tree(), files[i].quota);
    }
}

TEST(the_least_quota_of_the_enclosing_cgroups_counts)
{
    begin_tree("0::/a/b/c\n");
    put("sys/a/b/c/cpu.max", "400000 100000\n");
    put("sys/a/b/cpu.max", "max 100000\n");
    put("sys/a/cpu.max", "150000 100000\n");
    CHECK_EQ(end_tree(), 150);
    begin_tree("0::/a/b\n");
    put("sys/a/b/cpu.max", "100000 100000\n");
    put("sys/a/cpu.max", "300000 100000\n");
    CHECK_EQ(end_tree(), 100);
    begin_tree("0::/a/b/\n");
    put("sys/cpu.max", "300000 100000\n");
    CHECK_EQ(end_tree(), 300);
}

TEST(a_cgroup_1_quota_is_read)
{
    begin_tree("12:memory:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/y\n");
    put("sys/cpu/docker/abc/cpu.cfs_quota_us", "150000\n");
    put("sys/cpu/docker/abc/cpu.cfs_period_us", "50000\n");
    CHECK_EQ(end_tree(), 300);
    begin_tree("4:cpu:/\n");
    put("sys/cpu/cpu.cfs_quota_us", "-1\n");
    put("sys/cpu/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(end_tree(), 0);
    begin_tree("4:cpu:/a/b\n");
    put("sys/cpu/a/b/cpu.cfs_quota_us", "-1\n");
    put("sys/cpu/a/b/cpu.cfs_period_us", "100000\n");
    put("sys/cpu/a/cpu.cfs_quota_us", "250000\n");
    put("sys/cpu/a/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(end_tree(), 250);
    begin_tree("3:cpuset:/a\n2:cpuacct:/a\n"); /* neither is the one that limits */
    put("sys/cpu/a/cpu.cfs_quota_us", "100000\n");
    put("sys/cpu/a/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(end_tree(), 0);
}

/* Some distributions mount the pair the other way round. */
TEST(a_cgroup_1_quota_is_read_whatever_the_order_of_the_controllers)
{
    static const char *const lines[] = { "4:cpuacct,cpu:/a\n", "4:cpuset,cpu,cpuacct:/a\n", "4:memory,cpu:/a\n" };
    for (size_t i = 0; i < COUNT(lines); i++) {
        begin_tree(lines[i]);
        put("sys/cpu/a/cpu.cfs_quota_us", "200000\n");
        put("sys/cpu/a/cpu.cfs_period_us", "100000\n");
        if (!CHECK_EQ(end_tree(), 200)) tap_note("%s", lines[i]);
    }
}

TEST(both_kinds_of_cgroup_at_once_the_lesser_counts)
{
    begin_tree("4:cpu,cpuacct:/a\n0::/b\n");
    put("sys/cpu/a/cpu.cfs_quota_us", "200000\n");
    put("sys/cpu/a/cpu.cfs_period_us", "100000\n");
    put("sys/b/cpu.max", "120000 100000\n");
    CHECK_EQ(end_tree(), 120);
}

TEST(a_tiny_quota_is_not_taken_for_none)
{
    begin_tree("0::/\n");
    put("sys/cpu.max", "1000 1000000\n"); /* a thousandth of a CPU: the least that Linux allows */
    CHECK(end_tree() > 0);
}

#endif
