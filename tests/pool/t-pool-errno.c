/* t-pool-errno.c - no call of a pool or group touches errno, whatever the C library does beneath it.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

static _Atomic int to_refuse; /* how many threads, or pieces of memory, cannot be had */

static int scribbling_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    int err = EAGAIN;
    if (to_refuse > 0) to_refuse--;
    else err = pthread_create(t, attr, fn, arg);
    errno = ENOMEM;
    return err;
}

static int scribbling_join(pthread_t t, void **result)
{
    int err = pthread_join(t, result);
    errno = EINTR;
    return err;
}

static void scribbling_free(void *p)
{
    free(p);
    errno = EFAULT;
}

#include "tap.h"

#include <stdio.h>
#include <string.h>

#include "queue.h"
#include "semaphore.h"

#define pthread_create scribbling_create
#define pthread_join scribbling_join
#define free scribbling_free
#include "pool.h"
#undef pthread_create
#undef pthread_join
#undef free

#include "jobs.h"

#define KEEPS(call, answer) \
    do { \
        errno = 12345; \
        CHECK_EQ(call, answer); \
        CHECK_EQ(errno, 12345); \
    } while (0)

static int init(void *user, int id)
{
    (void)id;
    errno = EDOM;
    return *(int *)user;
}

TEST(calls_of_a_pool_leave_errno_as_it_was)
{
    leat_pool p;
    leat_stats st;
    leat_ctx ctx = LEAT_CTX(NULL), done = LEAT_CTX(NULL);
    _Atomic int ran = 0;
    int says = 0;
    leat_pool_opts opts = { .workers = 1, .queue = 1, .worker_init = init, .user = &says };
    leat_cancel(&done, 1);
    KEEPS(leat_pool_start(NULL, NULL, NULL), -EINVAL);
    to_refuse = 1;
    KEEPS(leat_pool_start(&p, NULL, &opts), -EAGAIN);
    says = 3;
    KEEPS(leat_pool_start(&p, NULL, &opts), 3);
    KEEPS(leat_pool_start(&p, NULL, &(leat_pool_opts){ .stack_size = 1 }), -EINVAL);
    says = 0;
    for (int how = 0; how < 4; how++) {
        door d = { 0 };
        KEEPS(leat_pool_start(&p, NULL, &opts), 0);
        KEEPS(leat_submit(&p, at_door, &d), 0);
        door_until(&d, 1);
        KEEPS(leat_try_submit(&p, counts, (void *)&ran), 0);
        KEEPS(leat_try_submit(&p, counts, (void *)&ran), -EAGAIN);
        KEEPS(leat_submit_ctx(&done, &p, counts, (void *)&ran), -ECANCELED);
        KEEPS(leat_submit_ctx(LEAT_WITHIN(LEAT_MS(2)), &p, counts, (void *)&ran), -ETIMEDOUT);
        KEEPS(leat_pool_resize(&p, 3), 0);
        KEEPS(leat_pool_resize_ctx(&ctx, &p, 1), 0);
        KEEPS(leat_pool_resize_ctx(&done, &p, 1), -ECANCELED);
        KEEPS(leat_try_pool_resize(&p, 1), 0);
        to_refuse = 1;
        KEEPS(leat_pool_resize(&p, 8), -EAGAIN);
        KEEPS(leat_pool_stats(&p, &st), 0);
        KEEPS(leat_pool_stop_ctx(&done, &p), -ECANCELED);
        KEEPS(leat_pool_stop_ctx(LEAT_WITHIN(LEAT_MS(2)), &p), -ETIMEDOUT);
        KEEPS(leat_try_pool_stop(&p), -EAGAIN);
        if (how > 1) KEEPS(leat_pool_abort_ctx(&done, &p, NULL, NULL), -ECANCELED);
        if (how > 1) KEEPS(leat_try_pool_abort(&p, NULL, NULL), -EAGAIN);
        door_open(&d);
        if (how == 0) KEEPS(leat_pool_stop(&p), 0);
        if (how == 1) KEEPS(leat_pool_stop_ctx(&ctx, &p), 0);
        if (how == 2) KEEPS(leat_pool_abort(&p, NULL, NULL), 0);
        if (how == 3) KEEPS(leat_pool_abort_ctx(&ctx, &p, NULL, NULL), 0);
        KEEPS(leat_pool_stop(&p), -EALREADY);
        KEEPS(leat_try_pool_stop(&p), -EALREADY);
        KEEPS(leat_try_pool_abort(&p, NULL, NULL), -EALREADY);
        KEEPS(leat_submit(&p, counts, (void *)&ran), -ESHUTDOWN);
        KEEPS(leat_pool_resize(&p, 2), -ESHUTDOWN);
    }
}

TEST(calls_of_a_group_leave_errno_as_it_was)
{
    leat_group g = LEAT_GROUP(NULL);
    leat_ctx ctx = LEAT_CTX(NULL), done = LEAT_CTX(NULL);
    LEAT_CHAN(int) results;
    leat_sem s = LEAT_SEM(8);
    door d = { 0 };
    _Atomic int ran = 0;
    leat_cancel(&done, 1);
    REQUIRE_EQ(leat_make(&results, 1), 0);
    KEEPS(leat_group_limit(&g, 3), 0);
    KEEPS(leat_group_share(&g, &s), 0);
    KEEPS(leat_group_closes(&g, &results), 0);
    to_refuse = 1;
    KEEPS(leat_go(&g, at_door, &d), -EAGAIN);
    KEEPS(leat_try_go_n(&g, 2, at_door, &d), -ESHUTDOWN); /* it has closed its channel */
    leat_group h = LEAT_GROUP(NULL);
    KEEPS(leat_wait(&g), 0);
    KEEPS(leat_group_limit(&h, 3), 0);
    to_refuse = 1;
    KEEPS(leat_try_go_n(&h, 2, at_door, &d), -EAGAIN);
    KEEPS(leat_go_n(&h, 2, at_door, &d), 0);
    KEEPS(leat_try_go_n(&h, 1, at_door, &d), 0);
    KEEPS(leat_try_go_n(&h, 1, at_door, &d), -EAGAIN);
    KEEPS(leat_try_go(&h, at_door, &d), -EAGAIN);
    KEEPS(leat_go_ctx(&done, &h, at_door, &d), -ECANCELED);
    KEEPS(leat_go_ctx(LEAT_WITHIN(LEAT_MS(2)), &h, at_door, &d), -ETIMEDOUT);
    KEEPS(leat_try_wait(&h), -EAGAIN);
    KEEPS(leat_wait_ctx(&done, &h), -ECANCELED);
    KEEPS(leat_wait_ctx(LEAT_WITHIN(LEAT_MS(2)), &h), -ETIMEDOUT);
    door_open(&d);
    KEEPS(leat_go_n_ctx(&ctx, &h, 4, counts, (void *)&ran), 0);
    KEEPS(leat_wait_ctx(&ctx, &h), 0);
    KEEPS(leat_try_wait(&h), 0);
    KEEPS(leat_go(&h, counts, (void *)&ran), -ESHUTDOWN);
    KEEPS(leat_group_errors(&h), 0);
    CHECK_EQ(ran, 4);
    leat_free(&results);
}

TEST(a_start_that_the_system_has_no_memory_for_leaves_errno_as_it_was)
{
    struct rlimit limit, low;
    leat_pool p;
    if (TAP_SLOW) SKIP("a sanitizer needs the address space");
    REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0);
    low = limit;
    low.rlim_cur = (rlim_t)512 << 20;
    if (setrlimit(RLIMIT_AS, &low)) SKIP("no limit of the address space");
    errno = 12345;
    int err = leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 100, .stack_size = 64 << 20 }), left = errno;
    setrlimit(RLIMIT_AS, &limit);
    CHECK(err == -EAGAIN || err == -ENOMEM || err == 0);
    CHECK_EQ(left, 12345);
    if (!err) CHECK_EQ(leat_pool_stop(&p), 0);
}
