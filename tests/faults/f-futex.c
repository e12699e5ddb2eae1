/* f-futex.c - sandboxes: one ends a process that opens a file, others refuse the system call futex, with any error.
 * Waiting still works: messages arrive, deadlines are kept, no core is burned.
 * SPDX-License-Identifier: MIT
 *
 * Those filters refuse only the headers' own calls. (The headers pass all ones as the mask of a wake too, which the C
 * library does not.) A C library without futex ends the process. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "faults.h"

enum { WAIT = 137, WAKE = 129, LOW = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4 };

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, field)))
#define LOAD_ARG(i) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i) + LOW))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, n)
#define SKIP_IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), n, 0)

static void sandbox(struct sock_filter *filter, size_t n)
{
    struct sock_fprog program = { (unsigned short)n, filter };
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static _Atomic bool let_go;
static lane messages;

static void *receives(void *unused)
{
    uint64_t m;
    REQUIRE(leat_recv(&messages, &m) == 0 && m == 7);
    while (!atomic_load(&let_go)) sched_yield(); /* so that its time can still be read */
    return unused;
}

static void waits_work(bool burns_nothing)
{
    static struct traffic t;
    pthread_t receiver;
    uint64_t m = 7;
    REQUIRE_EQ(leat_make(&messages, 1), 0);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(20));
    errno = 77;
    REQUIRE_EQ(leat_recv_ctx(&soon, &messages, &m), -ETIMEDOUT);
    REQUIRE(leat_now() >= soon.deadline_);
    int64_t until = leat_after(LEAT_MS(5));
    REQUIRE_EQ(leat_sleep(LEAT_MS(5)), 0);
    REQUIRE(leat_now() >= until);
    REQUIRE_EQ(errno, 77); /* whatever was refused */
    REQUIRE_EQ(pthread_create(&receiver, NULL, receives, NULL), 0);
    spin_beside(LEAT_MS(20)); /* it has begun to sleep */
    int64_t used = cpu_time(receiver);
    spin_beside(LEAT_MS(100));
    REQUIRE(!burns_nothing || !burns(cpu_time(receiver) - used, LEAT_MS(100)));
    REQUIRE_EQ(leat_send(&messages, &m), 0);
    atomic_store(&let_go, true);
    pthread_join(receiver, NULL);
    traffic_begin(&t, 6);
    traffic_flows(&t, 100);
    traffic_end(&t);
    static leat_ctx stop; /* nor is a signal's cancel lost */
    REQUIRE_EQ(leat_cancel_on_signals(&stop, SIGTERM, 0), 0);
    kill(getpid(), SIGTERM);
    REQUIRE_EQ(leat_sleep_ctx(&stop, LEAT_S(20)), -ECANCELED);
    REQUIRE_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0);
}

/* ==== No files ================================================================================ */

static void opening_is_the_end(void)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        SKIP_UNLESS(SYS_openat, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#if defined SYS_open
        SKIP_UNLESS(SYS_open, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sandbox(filter, sizeof filter / sizeof *filter);
    waits_work(true);
}

TEST(no_wait_opens_a_file)
{
    if (prctl(PR_GET_SECCOMP) < 0) SKIP("the kernel has no seccomp");
    in_child(opening_is_the_end);
}

/* ==== No futex ================================================================================ */

#if defined LEAT_PTHREAD_EVENT_

TEST(waiting_without_futex)
{
    SKIP("this build does not use it");
}

#else

static int error;

static void refuse_futex(void)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        SKIP_UNLESS(SYS_futex, 6),
        LOAD_ARG(5),
        SKIP_UNLESS(0xFFFFFFFF, 4),
        LOAD_ARG(1),
        SKIP_IF(WAIT, 1),
        SKIP_UNLESS(WAKE, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sandbox(filter, sizeof filter / sizeof *filter);
    uint32_t word = 0;
    REQUIRE_EQ(leat_os_futex_(&word, WAIT, 1, NULL), -error); /* otherwise -EAGAIN */
    REQUIRE_EQ(leat_os_futex_(&word, WAKE, 1, NULL), -error);
}

/* A wait can return these errors too. So the thread cannot tell, and is back at once. */
static bool has_another_meaning(void)
{
    return error == EAGAIN || error == EINTR || error == ETIMEDOUT;
}

static void refused(void)
{
    refuse_futex();
    waits_work(!has_another_meaning());
}

static void refused_with(const int *errors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        error = errors[i];
        in_child(refused);
    }
}

TEST(waiting_works_where_futex_does_not_exist_or_is_not_permitted)
{
    if (prctl(PR_GET_SECCOMP) < 0) SKIP("the kernel has no seccomp");
    refused_with((int[]){ ENOSYS, EPERM }, 2);
}

TEST(waiting_works_whatever_error_a_sandbox_has_for_futex)
{
    if (prctl(PR_GET_SECCOMP) < 0) SKIP("the kernel has no seccomp");
    refused_with((int[]){ EACCES, EINVAL, ENOMEM, EFAULT, EBUSY, 4095 }, 6);
}

TEST(deadlines_are_kept_where_a_sandbox_returns_an_error_that_means_something_else)
{
    if (prctl(PR_GET_SECCOMP) < 0) SKIP("the kernel has no seccomp");
    refused_with((int[]){ EAGAIN, EINTR, ETIMEDOUT }, 3);
}

#endif
