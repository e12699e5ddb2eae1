/* f-futex.c - a sandbox refuses the futex: the toolkit works all the same, and sleeps, by looking every
 * 100 us.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tap.h"

#include "pool.h"

#if defined __linux__ && __has_include(<linux/seccomp.h>)

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* From now on this process's futex calls for waiting on, and waking at, private words fail with `err`; those
 * that pthread_join needs are others. */
static bool refuse_futex(int err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 137, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 129, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static int64_t cpu_time(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * INT64_C(1000000000) + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000;
}

enum { MESSAGES = 3000 };

typedef LEAT_CHAN(int) ints;
static ints c, results;
static leat_sem sem = LEAT_SEM(1);
static int in_use;

static int sends(leat_ctx *ctx, void *arg)
{
    (void)arg;
    for (int i = 0; i < MESSAGES; i++)
        if (leat_send_ctx(ctx, &c, &i)) return 1;
    return 0;
}

static int receives(leat_ctx *ctx, void *arg)
{
    int m, n = 0;
    (void)arg;
    while (leat_recv_ctx(ctx, &c, &m) == 0) {
        n++;
        if (leat_acquire_ctx(ctx, &sem, 1) || in_use++ || in_use-- != 1 || leat_release(&sem, 1)) return 2;
    }
    return leat_send(&results, &n) ? 3 : 0;
}

/* All that waits: 0, or the line where it went wrong. */
#define NEED(cond) do { if (!(cond)) return __LINE__; } while (0)
static int works(int cap)
{
    int m, n = 0, total = 0;
    leat_group senders = LEAT_GROUP(NULL), receivers = LEAT_GROUP(NULL);
    NEED(leat_make(&c, (size_t)cap) == 0 && leat_make(&results, 2) == 0);
    leat_group_closes(&senders, &c);
    NEED(leat_go_n(&senders, 2, sends, NULL) == 0 && leat_go_n(&receivers, 2, receives, NULL) == 0);
    NEED(leat_wait(&senders) == 0 && leat_wait(&receivers) == 0);
    for (int i = 0; i < 2; i++, total += n) NEED(leat_recv(&results, &n) == 0);
    NEED(total == 2 * MESSAGES);

    int64_t from = leat_now(), cpu = cpu_time();
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(200));
    NEED(leat_recv_ctx(&soon, &results, &m) == -ETIMEDOUT);
    int64_t took = leat_now() - from;
    NEED(took >= LEAT_MS(200));
    NEED((cpu_time() - cpu) * 4 < took); /* it slept */
    leat_free(&c);
    leat_free(&results);
    return 0;
}

static void refused(int err)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a hang ends with the watchdog's patience */
        if (!refuse_futex(err)) _exit(255);
        int where = works(0);
        if (!where) where = works(1);
        if (!where) where = works(16);
        _exit(where > 254 ? 254 : where);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 255) SKIP("no seccomp here");
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0); /* else the line of works() */
}

TEST(without_the_futex_system_call_nothing_is_lost_and_time_outs_come)
{
    refused(ENOSYS);
}

TEST(nor_if_it_is_not_permitted)
{
    refused(EPERM);
}

#else

TEST(a_sandbox_that_refuses_the_futex)
{
    SKIP("no seccomp on this system");
}

#endif
