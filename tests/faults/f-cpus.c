/* f-cpus.c - few processors and many threads: one CPU, a part of one, 32 threads for each. All get on, the books
 * balance, and where no other thread can run meanwhile, none spins.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>

static _Atomic long yields;

static int counted_yield(void)
{
    atomic_fetch_add(&yields, 1);
    return sched_yield();
}

#define sched_yield counted_yield /* that of the headers */
#include "queue.h"
#undef sched_yield
#include "faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct traffic t;

static void one_cpu(void)
{
    cpu_set_t all, one;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
}

static void traffic_with_8_threads(void)
{
    traffic_begin(&t, 8);
    traffic_flows(&t, 20000);
    traffic_end(&t);
}

static void on_one_cpu(void)
{
    one_cpu();
    REQUIRE(leat_cpus() == 1);
    traffic_with_8_threads();
}

static void on_one_cpu_from_now_on(void)
{
    REQUIRE(leat_spin_pays_() || leat_cpus() == 1); /* the headers think that they have more than one */
    one_cpu();
    traffic_with_8_threads();
}

TEST(with_one_usable_cpu_all_get_on)
{
    in_child(on_one_cpu);
}

TEST(also_if_the_other_cpus_are_taken_away_later)
{
    in_child(on_one_cpu_from_now_on);
}

enum { ROUNDS = 20000 };

static void *answer(void *chans)
{
    lane *c = chans;
    for (uint64_t m; leat_recv(&c[0], &m) == 0;) REQUIRE(leat_send(&c[1], &m) == 0);
    return NULL;
}

static void ping_pong_on_one_cpu(void)
{
    static lane c[2];
    pthread_t other;
    one_cpu();
    for (size_t cap = 0; cap < 2; cap++) {
        for (int i = 0; i < 2; i++) REQUIRE(leat_make(&c[i], cap) == 0);
        REQUIRE(pthread_create(&other, NULL, answer, c) == 0);
        yields = 0;
        for (uint64_t i = 0, m = 0; i < ROUNDS; i++)
            REQUIRE(leat_send(&c[0], &i) == 0 && leat_recv(&c[1], &m) == 0 && m == i);
        REQUIRE(yields < ROUNDS / 10); /* only for threads that were stopped half-way */
        REQUIRE(leat_close(&c[0]) == 0);
        pthread_join(other, NULL);
        for (int i = 0; i < 2; i++) leat_free(&c[i]);
    }
}

TEST(with_one_usable_cpu_a_thread_that_waits_parks_at_once)
{
    in_child(ping_pong_on_one_cpu);
}

TEST(with_64_threads_on_two_cpus_all_get_on)
{
    traffic_begin(&t, 64);
    traffic_flows(&t, 500);
    traffic_end(&t);
}

/* ==== A part of a CPU ========================================================================= */

static char group[200];

static bool write_to(const char *file, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", group, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return written;
}

/* A control group that may use a fifth of a CPU: 4 ms, then nothing for 16. */
static bool make_group(void)
{
    snprintf(group, sizeof group, "/sys/fs/cgroup/cpu/leat-faults-%d", (int)getpid());
    if (mkdir(group, 0700) == 0 && write_to("cpu.cfs_period_us", "20000") && write_to("cpu.cfs_quota_us", "4000"))
        return true;
    rmdir(group);
    snprintf(group, sizeof group, "/sys/fs/cgroup/leat-faults-%d", (int)getpid());
    if (mkdir(group, 0700) == 0 && write_to("cpu.max", "4000 20000")) return true;
    rmdir(group);
    return false;
}

static void in_the_group(void)
{
    REQUIRE(write_to("cgroup.procs", "0"));
    REQUIRE(leat_cpus() == 1);
    traffic_begin(&t, 8);
    traffic_flows(&t, 1000);
    traffic_end(&t);
}

TEST(with_a_fifth_of_a_cpu_all_get_on)
{
    if (!make_group()) SKIP("a control group with a quota may not be made here");
    in_child(in_the_group);
    CHECK_EQ(rmdir(group), 0);
}
