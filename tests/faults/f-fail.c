/* f-fail.c - whatever the toolkit asks of the system fails, at each call in turn: memory, threads. Each
 * call says so with the right code, nothing that was accepted is lost, nothing leaks, and what was not
 * made is not half there.
 * SPDX-License-Identifier: MIT
 *
 * tests/t-pool-faults.c looks at single calls; here a small program that uses everything is run again and
 * again, and each time one more of its requests is the one that fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdlib.h>

static _Atomic int asked, fail_at, fail_for; /* requests; from which on they fail, and how many */
static _Atomic int gotten;

static bool fails(void)
{
    int n = atomic_fetch_add(&asked, 1) + 1;
    return n >= fail_at && n < fail_at + fail_for;
}

static int fake_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return fails() ? EAGAIN : pthread_create(t, attr, fn, arg);
}

static void *fake_calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : calloc(n, size);
    gotten += p != NULL;
    return p;
}

static void *fake_aligned(size_t align, size_t size)
{
    void *p = fails() ? NULL : aligned_alloc(align, size);
    gotten += p != NULL;
    return p;
}

static void fake_free(void *p)
{
    gotten -= p != NULL;
    free(p);
}

#include "tap.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define calloc fake_calloc /* those of the headers */
#define aligned_alloc fake_aligned
#define free fake_free
#define pthread_create fake_create
#include "pool.h"
#undef pthread_create
#undef free
#undef aligned_alloc
#undef calloc

/* The codes that a caller may see when the system says no. */
static bool excused(int err)
{
    return err == -ENOMEM || err == -EAGAIN;
}

static _Atomic int ran;
static int handed_back;

static int job(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    ran++;
    return 0;
}

static int ends_its_thread(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    ran++;
    pthread_exit(NULL);
}

static void dropped(leat_task *fn, void *arg, void *user)
{
    (void)fn, (void)arg, (void)user;
    handed_back++;
}

static int hook(void *user, int id)
{
    (void)user, (void)id;
    return 0;
}

/* Each part says how many requests had failed to say so; 0 if all went well. */
static int channels(void)
{
    typedef struct { alignas(64) char c[64]; } wide;
    LEAT_CHAN(int) c;
    LEAT_CHAN(wide) w;
    int m = 1, failed = 0, err = leat_make(&c, 4);
    CHECK(err == 0 || excused(err));
    if (!err) {
        CHECK_EQ(leat_send(&c, &m), 0);
        CHECK_EQ(leat_recv(&c, &m), 0);
    }
    failed += err != 0;
    leat_free(&c); /* also what was not made */
    err = leat_make(&w, 4);
    CHECK(err == 0 || excused(err));
    failed += err != 0;
    leat_free(&w);
    return failed;
}

static int groups(int limit, leat_task *task)
{
    leat_group g = LEAT_GROUP(NULL);
    int accepted = 0, failed = 0, before = ran;
    bool ended = false;
    if (limit) CHECK_EQ(leat_group_limit(&g, limit), 0);
    for (int i = 0; i < 5; i++) {
        int err = leat_go(&g, i == 1 ? task : job, NULL);
        CHECK(err == 0 || excused(err) || (err == -ECANCELED && task != job));
        accepted += err == 0;
        failed += excused(err);
        ended |= i == 1 && err == 0 && task != job;
    }
    int err = leat_go_n(&g, 2, job, NULL);
    CHECK(err == 0 || excused(err) || (err == -ECANCELED && task != job));
    failed += excused(err);
    CHECK_EQ(leat_wait(&g), ended ? -EINTR : 0);
    CHECK(ran - before >= accepted && ran - before <= accepted + 2);
    if (!err) CHECK_EQ(ran - before, accepted + 2);
    return failed;
}

static int pools(leat_task *task, bool abort)
{
    leat_pool p;
    leat_pool_opts opts = { .workers = 2, .queue = 4, .worker_init = hook };
    int accepted = 0, failed = 0, before = ran, err = leat_pool_start(&p, NULL, &opts);
    handed_back = 0;
    if (err) {
        CHECK(excused(err));
        CHECK(leat_submit(&p, job, NULL) != 0);
        return 1;
    }
    for (int i = 0; i < 6; i++) {
        if (i == 3) {
            err = leat_pool_resize(&p, 4);
            CHECK(err == 0 || excused(err));
            failed += err != 0;
        }
        err = leat_submit(&p, i == 2 ? task : job, NULL);
        CHECK(err == 0 || (err == -ECANCELED && task != job)); /* nobody is left to run it */
        accepted += err == 0;
    }
    err = abort ? -ECANCELED : leat_pool_stop(&p, NULL);
    if (err) {
        CHECK(err == -ECANCELED);
        CHECK_EQ(leat_pool_abort(&p, dropped, NULL), 0);
    }
    CHECK_EQ(ran - before + handed_back, accepted);
    return failed;
}

static int everything(leat_task *task)
{
    return channels() + groups(0, task) + groups(2, task) + pools(task, false) + pools(task, true);
}

/* Runs it with every request failing in turn, `burst` at once, until it asks for no more. */
static void each_in_turn(leat_task *task, int burst)
{
    int failures = 0, told = 0;
    fail_for = burst;
    for (fail_at = 1; fail_at < 1000; fail_at++) {
        asked = 0;
        told += everything(task);
        if (!CHECK_EQ(gotten, 0)) tap_note("the %d. request failed", (int)fail_at);
        if (asked < fail_at) break;
        failures++;
    }
    CHECK(failures >= 20);
    tap_note("%d requests failed, each in turn, %d at once; %d calls said so", failures, burst, told);
    CHECK(told >= failures / 2); /* a group that gets no thread may find one idle */
}

TEST(memory_or_a_thread_is_refused_once)
{
    each_in_turn(job, 1);
}

TEST(memory_and_threads_are_refused_for_a_while)
{
    each_in_turn(job, 3);
}

TEST(and_never_come_back)
{
    each_in_turn(job, 1000000);
}

TEST(while_a_job_ends_its_thread)
{
    for (int burst = 1; burst < 1000000; burst *= 30) {
        fail_for = burst;
        for (fail_at = 1; fail_at < 60; fail_at++) {
            asked = 0;
            everything(ends_its_thread);
            if (!CHECK_EQ(gotten, 0)) tap_note("the %d. request failed, %d at once", (int)fail_at, burst);
        }
    }
}
