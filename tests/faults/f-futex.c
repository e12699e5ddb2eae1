/* f-futex.c - a sandbox that refuses the system call futex, as if it did not exist or was not permitted.
 * Waiting still works: messages arrive, deadlines are kept, no core is burned.
 * SPDX-License-Identifier: MIT
 *
 * The filter refuses the headers' own calls only (they pass all ones as the mask of a wake too, which the C
 * library does not): a C library without futex ends the process. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "faults.h"

#if defined LEAT_PTHREAD_EVENT_

TEST(waiting_without_futex)
{
    SKIP("this build does not use it");
}

#else

enum { WAIT = 137, WAKE = 129, LOW = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4 };

#define LOAD(field) \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, field)))
#define LOAD_ARG(i) \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
             (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i) + LOW))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, n)
#define SKIP_IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), n, 0)

static void refuse_futex(int error)
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
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    uint32_t word = 0;
    REQUIRE_EQ(leat_os_futex_(&word, WAIT, 1, NULL), -error); /* else -EAGAIN */
    REQUIRE_EQ(leat_os_futex_(&word, WAKE, 1, NULL), -error);
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

static void waits_work(void)
{
    static struct traffic t;
    pthread_t receiver;
    uint64_t m = 7;
    REQUIRE_EQ(leat_make(&messages, 1), 0);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(20));
    REQUIRE_EQ(leat_recv_ctx(&soon, &messages, &m), -ETIMEDOUT);
    REQUIRE(leat_now() >= soon.deadline_);
    REQUIRE_EQ(leat_sleep(LEAT_MS(5)), 0);
    REQUIRE_EQ(pthread_create(&receiver, NULL, receives, NULL), 0);
    spin_beside(LEAT_MS(20)); /* it has begun to sleep */
    int64_t used = cpu_time(receiver);
    spin_beside(LEAT_MS(100));
    REQUIRE(!burns(cpu_time(receiver) - used, LEAT_MS(100)));
    REQUIRE_EQ(leat_send(&messages, &m), 0);
    atomic_store(&let_go, true);
    pthread_join(receiver, NULL);
    traffic_begin(&t, 6);
    traffic_flows(&t, 100);
    traffic_end(&t);
}

static void does_not_exist(void)
{
    refuse_futex(ENOSYS);
    waits_work();
}

static void not_permitted(void)
{
    refuse_futex(EPERM);
    waits_work();
}

TEST(waiting_works_where_futex_does_not_exist)
{
    if (prctl(PR_GET_SECCOMP) < 0) SKIP("the kernel has no seccomp");
    in_child(does_not_exist);
}

TEST(waiting_works_where_futex_is_not_permitted)
{
    if (prctl(PR_GET_SECCOMP) < 0) SKIP("the kernel has no seccomp");
    in_child(not_permitted);
}

#endif
