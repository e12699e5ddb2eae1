/* f-calls.c - every call of the C library that can fail, fails: the first, the second, .. the last; and from the n-th
 * on all of them. The result names the reason, what was accepted runs, nothing is leaked, and the object is as before
 * or unmade.
 * SPDX-License-Identifier: MIT
 *
 * (tests/pool/t-pool-faults.c and tests/pool/t-group-threads.c test what is promised in single cases.) */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* ==== Calls that fail ========================================================================= */

static _Atomic int asked, fail_at; /* how many calls there were, and the one that fails: 1 is the first, 0 none */
static _Atomic bool for_good;      /* and those after it */
static _Atomic bool healed;        /* from now on none fails */
static _Atomic int failed_with;    /* the error of the last that failed. 0: none did */
static _Atomic int held;           /* pieces of memory and attributes, less those given back */

static bool fails(int error)
{
    int n = atomic_fetch_add(&asked, 1) + 1;
    bool it_does = fail_at && !healed && (n == fail_at || (n > fail_at && for_good));
    if (it_does) failed_with = -error;
    return it_does;
}

static void *hold(void *p)
{
    held += p != NULL;
    return p;
}

static void *fake_calloc(size_t n, size_t size)
{
    return fails(ENOMEM) ? NULL : hold(calloc(n, size));
}

static void fake_free(void *p)
{
    held -= p != NULL;
    free(p);
}

static int fake_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return fails(EAGAIN) ? EAGAIN : pthread_create(t, attr, fn, arg);
}

static int fake_attr_init(pthread_attr_t *attr)
{
    if (fails(ENOMEM)) return ENOMEM;
    held++;
    return pthread_attr_init(attr);
}

static int fake_attr_destroy(pthread_attr_t *attr)
{
    held--;
    return pthread_attr_destroy(attr);
}

static int fake_setstacksize(pthread_attr_t *attr, size_t size)
{
    return fails(EINVAL) ? EINVAL : pthread_attr_setstacksize(attr, size);
}

__attribute__((unused)) static int fake_pipe(int ends[2])
{
    if (fails(EMFILE)) return errno = EMFILE, -1;
    return pipe(ends);
}

__attribute__((unused)) static int fake_fcntl(int fd, int command, int arg)
{
    if (command == F_DUPFD && fails(EMFILE)) return errno = EMFILE, -1;
    return fcntl(fd, command, arg);
}

#define calloc fake_calloc
#define free fake_free
#define pthread_create fake_create
#define pthread_attr_init fake_attr_init
#define pthread_attr_destroy fake_attr_destroy
#define pthread_attr_setstacksize fake_setstacksize
#define pipe fake_pipe
#define fcntl fake_fcntl
#include "queue.h"
#include "pool.h"
#undef calloc
#undef free
#undef pthread_create
#undef pthread_attr_init
#undef pthread_attr_destroy
#undef pthread_attr_setstacksize
#undef pipe
#undef fcntl

#include "faults.h"

/* Plays the scene once for each call that it makes. That call fails, until none is left to fail. Returns how often it
 * played. */
static int sweep(void (*scene)(void))
{
    int scenes = 0;
    for (int good = 0; good < 2; good++) {
        fail_at = 0;
        for_good = good;
        do {
            asked = failed_with = 0;
            healed = false;
            fail_at++;
            scene();
            if (!CHECK_EQ(held, 0)) held = 0;
            scenes++;
        } while (failed_with);
    }
    fail_at = 0;
    return scenes;
}

/* True if a call was refused. Then a call of the library has failed, and the result tells why. */
static bool refused(int err)
{
    if (err) CHECK_EQ(err, failed_with);
    return err != 0;
}

/* From here on nothing fails. */
static void heal(void)
{
    healed = true;
}

static int runs(leat_ctx *ctx, void *ran)
{
    (void)ctx;
    atomic_fetch_add((_Atomic int *)ran, 1);
    return 0;
}

static int ends_its_thread(leat_ctx *ctx, void *ran)
{
    runs(ctx, ran);
    pthread_exit(NULL);
}

/* ==== Channels ================================================================================ */

struct wide {
    _Alignas(64) int n;
};

static void scene_channels(void)
{
    LEAT_CHAN(int) narrow;
    LEAT_CHAN(struct wide) aligned;
    struct wide w = { 7 };
    int m = 7;
    bool none = refused(leat_make(&narrow, 2));
    CHECK_EQ(leat_cap(&narrow), none ? 0 : 2);
    CHECK_EQ(leat_try_send(&narrow, &m), none ? -EAGAIN : 0); /* unmade, it is an unbuffered one */
    CHECK_EQ(leat_try_recv(&narrow, &m), none ? -EAGAIN : 0);
    none = refused(leat_make(&aligned, 3));
    CHECK_EQ(leat_try_send(&aligned, &w), none ? -EAGAIN : 0);
    CHECK_EQ(leat_try_recv(&aligned, &w), none ? -EAGAIN : 0);
    leat_free(&narrow);
    leat_free(&aligned);
}

TEST(a_channel_that_cannot_be_made_says_so_and_is_a_valid_unbuffered_one)
{
    CHECK_EQ(sweep(scene_channels), 2 * 3);
}

/* Calls that wait spawn and allocate nothing. So there is nothing in them that could fail. */
TEST(send_receive_select_acquire_and_wait_call_nothing_that_can_fail)
{
    LEAT_CHAN(int) c, unbuf = { .type_ = NULL };
    leat_sem sem = LEAT_SEM(1);
    leat_wg wg = LEAT_WG(1);
    int m = 1;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    asked = 0;
    for (int i = 0; i < 6; i++) { /* each waits until its deadline */
        leat_ctx up = LEAT_CTX(NULL), soon = LEAT_CTX_WITHIN(&up, LEAT_MS(1));
        leat_case cases[] = { LEAT_RECV(&unbuf, &m), LEAT_SEND(&unbuf, &m), LEAT_RECV(&c, &m) };
        CHECK_EQ(i == 0   ? leat_recv_ctx(&soon, &c, &m)
                 : i == 1 ? leat_send_ctx(&soon, &unbuf, &m)
                 : i == 2 ? (int)leat_recv_many_ctx(&soon, &c, &m, 1)
                 : i == 3 ? leat_select_ctx(&soon, cases, 3)
                 : i == 4 ? leat_acquire_ctx(&soon, &sem, 1) ? 1 : leat_acquire_ctx(&soon, &sem, 1)
                          : leat_wg_wait_ctx(&soon, &wg),
                 -ETIMEDOUT);
    }
    CHECK_EQ(leat_sem_close(&sem), 0);
    CHECK_EQ(leat_close(&c), 0);
    CHECK_EQ(asked, 0);
    leat_free(&c);
}

/* ==== Groups ================================================================================== */

static void scene_group(void)
{
    leat_sem two = LEAT_SEM(2);
    leat_group g = LEAT_GROUP(NULL);
    LEAT_CHAN(int) results = { .type_ = NULL };
    _Atomic int ran = 0;
    int accepted = 0;
    CHECK_EQ(leat_group_share(&g, &two), 0);
    for (int i = 0; i < 4; i++) accepted += !refused(leat_go(&g, runs, &ran));
    int err = leat_try_go(&g, runs, &ran);
    if (err == -EAGAIN) err = 0; /* or at the limit */
    else accepted += !refused(err);
    CHECK_EQ(leat_group_closes(&g, &results), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, accepted);
    CHECK_EQ(leat_sem_available(&two), 2);
    CHECK(leat_is_closed(&results));
}

static void scene_go_n(void)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    bool some = refused(leat_go_n(&g, 4, runs, &ran));
    heal();
    CHECK_EQ(leat_go(&g, runs, &ran), 0); /* the group goes on */
    CHECK_EQ(leat_wait(&g), 0);
    CHECK(some ? ran >= 1 && ran < 5 : ran == 5);
}

/* A task that ends its thread. A new thread takes its place, or if none can be had, the same thread goes on. */
static void scene_group_of_the_dying(void)
{
    leat_group g = LEAT_GROUP(NULL);
    _Atomic int ran = 0;
    CHECK_EQ(leat_group_limit(&g, 1), 0);
    bool none = refused(leat_go(&g, ends_its_thread, &ran));
    CHECK_EQ(leat_wait(&g), none ? 0 : -EINTR);
    CHECK_EQ(ran, !none);
}

TEST(a_group_runs_what_it_accepted_and_nothing_else)
{
    CHECK(sweep(scene_group) >= 2 * 4);
    CHECK(sweep(scene_go_n) >= 2 * 4);
    CHECK(sweep(scene_group_of_the_dying) >= 2 * 7);
}

/* ==== Pools =================================================================================== */

static _Atomic int begun;

static int begins(void *user, int id)
{
    (void)user, (void)id;
    begun++;
    return 0;
}

static void ends(void *user, int id)
{
    (void)user, (void)id;
    begun--;
}

static void drops(leat_task *fn, void *arg, void *dropped)
{
    (void)fn, (void)arg;
    ++*(int *)dropped;
}

static void scene_pool(void)
{
    leat_pool p;
    leat_pool_opts opts = { .workers = 2, .queue = 8, .stack_size = 1 << 20, .worker_init = begins, .worker_fini = ends };
    _Atomic int ran = 0;
    int accepted = 0, dropped = 0;
    if (refused(leat_pool_start(&p, NULL, &opts))) {
        CHECK_EQ(begun, 0);
        CHECK_EQ(held, 0);
        CHECK(leat_submit(&p, runs, &ran) < 0);
        CHECK(leat_pool_stop(&p) < 0);
        heal();
        REQUIRE_EQ(leat_pool_start(&p, NULL, &opts), 0);
    }
    for (int n = 4; n >= 1; n -= 3) {
        (void)refused(leat_pool_resize(&p, n));
        for (int i = 0; i < 3; i++) {
            int err = leat_submit(&p, i == 1 ? ends_its_thread : runs, &ran);
            accepted += !err;
            if (err) CHECK_EQ(err, -ECANCELED); /* no worker was left, which ends the pool */
        }
    }
    int err = leat_pool_stop(&p);
    if (err) {
        CHECK(err == -ECANCELED && failed_with);
        CHECK_EQ(leat_pool_abort(&p, drops, &dropped), 0);
    }
    CHECK_EQ(ran + dropped, accepted);
    CHECK_EQ(begun, 0);
}

TEST(a_pool_starts_whole_or_not_at_all_and_goes_on_with_the_workers_it_has)
{
    CHECK(sweep(scene_pool) >= 2 * 15);
}

/* ==== Signals ================================================================================= */

static int next_fd(void)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    return fd;
}

static void cancel_on_signals(void)
{
    static leat_ctx ctx;
    struct sigaction now;
    int fds = next_fd();
    errno = 77;
    int err = leat_cancel_on_signals(&ctx, SIGTERM, 0);
    REQUIRE_EQ(errno, 77);
    REQUIRE_EQ(err, failed_with);
    if (err) {
        REQUIRE(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
        REQUIRE(next_fd() == fds);
        REQUIRE_EQ(held, 0);
        heal();
        REQUIRE_EQ(leat_cancel_on_signals(&ctx, SIGTERM, 0), 0);
    }
    kill(getpid(), SIGTERM);
    REQUIRE(leat_sleep_ctx(&ctx, LEAT_S(20)) == -ECANCELED);
    REQUIRE(leat_ctx_cause(&ctx) == SIGTERM);
    REQUIRE_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0);
    REQUIRE_EQ(errno, 77);
    REQUIRE_EQ(held, 0);
    REQUIRE(next_fd() == fds);
}

/* A call that fails leaves the registration before it as it was. */
static void replace_on_signals(void)
{
    static leat_ctx first, second;
    int before = fail_at, fds;
    fail_at = 0;
    REQUIRE_EQ(leat_cancel_on_signals(&first, SIGTERM, SIGHUP, 0), 0);
    fds = next_fd();
    fail_at = asked + before;
    int err = leat_cancel_on_signals(&second, SIGTERM, SIGINT, 0);
    REQUIRE_EQ(err, failed_with);
    if (err) REQUIRE(next_fd() == fds);
    kill(getpid(), err ? SIGHUP : SIGTERM);
    leat_ctx *is = err ? &first : &second;
    REQUIRE(leat_sleep_ctx(is, LEAT_S(20)) == -ECANCELED);
    REQUIRE(leat_ctx_cause(is) == (err ? SIGHUP : SIGTERM));
}

TEST(cancel_on_signals_sets_up_all_or_nothing_and_may_be_tried_again)
{
    asked = failed_with = 0;
    healed = false;
    for (fail_at = 1; fail_at <= 6; fail_at++) {
        in_child(cancel_on_signals);
        in_child(replace_on_signals);
    }
}
