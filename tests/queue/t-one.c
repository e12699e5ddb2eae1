/* t-one.c - channels with ends for one thread are channels: what is sent is received once, in order, by threads that
 * sleep, select, close and free.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* syscall, prctl */
#include "queue.h"
#include "tap.h"

#include <sched.h>
#if !defined _WIN32
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#if defined __linux__ && defined __has_include
#if __has_include(<linux/filter.h>) /* not with musl on a system of glibc */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#define SECCOMP
#endif
#endif

/* The typed calls of each kind of channel. */
struct calls {
    int ones;
    int (*make)(void *c, size_t cap);
    int (*send)(leat_ctx *ctx, void *c, int m);
    int (*try_send)(void *c, int m);
    int (*recv)(leat_ctx *ctx, void *c, int *m);
    int (*try_recv)(void *c, int *m);
    ptrdiff_t (*send_many)(void *c, const int *m, size_t n);
    ptrdiff_t (*recv_many)(void *c, int *m, size_t n);
    size_t (*len)(void *c);
    leat_case (*sends)(void *c, const int *m);
    leat_case (*receives)(void *c, int *m);
    int (*close)(void *c);
    void (*free)(void *c);
};

/* clang-format off */
#define KIND(kind, ones) \
    typedef LEAT_CHAN_FOR(ones, int) kind##_chan; \
    static int kind##_make(void *c, size_t cap) { return leat_make((kind##_chan *)c, cap); } \
    static int kind##_send(leat_ctx *ctx, void *c, int m) \
    { return ctx ? leat_send_ctx(ctx, (kind##_chan *)c, &m) : leat_send((kind##_chan *)c, &m); } \
    static int kind##_try_send(void *c, int m) { return leat_try_send((kind##_chan *)c, &m); } \
    static int kind##_recv(leat_ctx *ctx, void *c, int *m) \
    { return ctx ? leat_recv_ctx(ctx, (kind##_chan *)c, m) : leat_recv((kind##_chan *)c, m); } \
    static int kind##_try_recv(void *c, int *m) { return leat_try_recv((kind##_chan *)c, m); } \
    static ptrdiff_t kind##_send_many(void *c, const int *m, size_t n) { return leat_send_many((kind##_chan *)c, m, n); } \
    static ptrdiff_t kind##_recv_many(void *c, int *m, size_t n) { return leat_recv_many((kind##_chan *)c, m, n); } \
    static size_t kind##_len(void *c) { return leat_len((kind##_chan *)c); } \
    static leat_case kind##_sends(void *c, const int *m) { return LEAT_SEND((kind##_chan *)c, m); } \
    static leat_case kind##_receives(void *c, int *m) { return LEAT_RECV((kind##_chan *)c, m); } \
    static int kind##_close(void *c) { return leat_close((kind##_chan *)c); } \
    static void kind##_free(void *c) { leat_free((kind##_chan *)c); } \
    static const struct calls kind = { \
        ones, kind##_make, kind##_send, kind##_try_send, kind##_recv, kind##_try_recv, kind##_send_many, kind##_recv_many, \
        kind##_len, kind##_sends, kind##_receives, kind##_close, kind##_free \
    };
KIND(one_sender, LEAT_ONE_SENDER)
KIND(one_receiver, LEAT_ONE_RECEIVER)
KIND(one_each, LEAT_ONE_SENDER | LEAT_ONE_RECEIVER)
KIND(none_of_them, 0)
/* clang-format on */
static const struct calls *const kinds[] = { &one_sender, &one_receiver, &one_each, &none_of_them }; /* the last: any */

enum { KINDS = 4, HOWS = 5 };
enum { PLAIN, TRY, BATCH, SELECT, SLOW }; /* how a thread sends or receives */

TEST(its_answers_are_those_of_any_channel)
{
    for (int k = 0; k < KINDS; k++) {
        const struct calls *of = kinds[k];
        for (size_t cap = 1; cap <= 5; cap++) {
            one_each_chan c;
            int m = -1, some[8] = { 10, 11, 12, 13, 14, 15, 16, 17 };
            REQUIRE_EQ(of->make(&c, cap), 0);
            for (int lap = 0; lap < 5; lap++) {
                CHECK_EQ(of->try_recv(&c, &m), -EAGAIN);
                CHECK_EQ(of->recv(LEAT_WITHIN(LEAT_US(100)), &c, &m), -ETIMEDOUT);
                for (int i = 0; i < (int)cap; i++) {
                    CHECK_EQ(of->len(&c), i);
                    CHECK_EQ(of->try_send(&c, i), 0);
                }
                CHECK_EQ(of->try_send(&c, 9), -EAGAIN);
                CHECK_EQ(of->send(LEAT_WITHIN(LEAT_US(100)), &c, 9), -ETIMEDOUT);
                CHECK_EQ(of->len(&c), cap);
                CHECK_EQ(of->recv(NULL, &c, &m), 0);
                CHECK_EQ(m, 0);
                CHECK_EQ(of->send_many(&c, some, 8), 1);
                CHECK_EQ(of->recv_many(&c, some, 8), cap);
                for (int i = 0; i < (int)cap; i++) CHECK_EQ(some[i], i + 1 < (int)cap ? i + 1 : 10);
                for (int i = 0; i < 8; i++) some[i] = 10 + i;
                CHECK_EQ(of->len(&c), 0);
                CHECK_EQ(of->send_many(&c, some, 8), cap);
                leat_case cases[] = { of->receives(&c, &m), of->sends(&c, some) };
                for (int i = 0; i < (int)cap; i++) {
                    CHECK_EQ(leat_select(cases, 1), 0);
                    CHECK_EQ(m, 10 + i);
                }
                CHECK_EQ(leat_try_select(cases, 1), -EAGAIN);
                CHECK_EQ(leat_select(cases, 2), 1);
                CHECK_EQ(leat_select(cases, 1), 0);
            }
            leat_ctx done = LEAT_CTX(NULL);
            leat_cancel(&done, 0);
            CHECK_EQ(of->send(&done, &c, 1), -ECANCELED);
            CHECK_EQ(of->send(NULL, &c, 1), 0);
            CHECK_EQ(of->recv(&done, &c, &m), -ECANCELED);
            CHECK_EQ(of->close(&c), 0);
            CHECK_EQ(of->close(&c), -EALREADY);
            CHECK_EQ(of->send(NULL, &c, 1), -EPIPE);
            CHECK_EQ(of->try_send(&c, 1), -EPIPE);
            CHECK_EQ(of->send_many(&c, some, 8), -EPIPE);
            CHECK_EQ(of->len(&c), 1);
            CHECK_EQ(of->recv(NULL, &c, &m), 0);
            CHECK_EQ(of->recv(NULL, &c, &m), -EPIPE);
            CHECK_EQ(of->recv_many(&c, some, 8), -EPIPE);
            of->free(&c);
            CHECK_EQ(of->send(NULL, &c, 1), -EPIPE);
            CHECK_EQ(of->try_recv(&c, &m), -EPIPE);
        }
    }
}

TEST(it_is_as_large_as_any_and_may_be_unbuffered)
{
    one_each_chan zero = { .chan = { .slots_ = NULL } };
    int m;
    CHECK_EQ(sizeof(one_each_chan), sizeof(none_of_them_chan));
    CHECK_EQ(leat_try_recv(&zero, &m), -EAGAIN);
    CHECK_EQ(leat_len(&zero), 0);
    REQUIRE_EQ(leat_make(&zero, 0), 0);
    CHECK_EQ(leat_try_send(&zero, (&(int){ 1 })), -EAGAIN);
    CHECK_EQ(leat_close(&zero), 0);
    CHECK_EQ(leat_recv(&zero, &m), -EPIPE);
    leat_free(&zero);
}

#if !defined _WIN32

static bool readable(int fd)
{
    return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

TEST(its_ends_can_be_polled)
{
    one_each_chan c;
    leat_pollable may_recv, may_send;
    int m = -1, some[3] = { 1, 2, 3 };
    REQUIRE_EQ(leat_make(&c, 3), 0);
    int full = leat_pollable_recv(&may_recv, &c);
    REQUIRE(full > 2);
    CHECK(!readable(full));
    CHECK_EQ(leat_send_many(&c, some, 3), 3);
    CHECK(readable(full));
    int room = leat_pollable_send(&may_send, &c);
    REQUIRE(room > 2);
    CHECK(!readable(room));
    CHECK_EQ(leat_recv(&c, &m), 0);
    CHECK(readable(room));
    leat_pollable_close(&may_recv);
    leat_pollable_close(&may_send);
    leat_free(&c);
}

#endif

/* ---- threads ---- */

struct flow {
    const struct calls *of;
    one_each_chan c; /* of whatever kind: they are alike */
    int senders, receivers, each, how;
    _Atomic int left;        /* senders that still send */
    _Atomic int got;         /* messages */
    _Atomic(int64_t) summed; /* of all messages */
};

static void dawdle(uint64_t *rng)
{
    switch (tap_below(rng, 64)) {
    case 0: leat_sleep(LEAT_US(1) * tap_below(rng, 100)); break;
    case 1: sched_yield(); break;
    default:;
    }
}

static int send_one(struct flow *f, int how, int m, uint64_t *rng)
{
    int err;
    if (how == SLOW) dawdle(rng);
    if (how == TRY) {
        while ((err = f->of->try_send(&f->c, m)) == -EAGAIN) sched_yield();
        return err;
    }
    if (how == SELECT) {
        leat_case cases[] = { f->of->sends(&f->c, &m), f->of->sends(NULL, &m) };
        return leat_select(cases, 2) == 0 ? cases[0].err : -EIO;
    }
    if (how == BATCH) {
        ptrdiff_t n = f->of->send_many(&f->c, &m, 1);
        return n == 1 ? 0 : (int)n;
    }
    do err = f->of->send(tap_below(rng, 8) ? NULL : LEAT_WITHIN(LEAT_US(20)), &f->c, m);
    while (err == -ETIMEDOUT);
    return err;
}

static void sends(struct flow *f, int i, uint64_t *rng)
{
    if (f->how == BATCH) {
        int m[7];
        for (int k = 0; k < f->each;) {
            int n = 1 + tap_below(rng, 7);
            if (n > f->each - k) n = f->each - k;
            for (int j = 0; j < n; j++) m[j] = i * f->each + k + j;
            ptrdiff_t sent = f->of->send_many(&f->c, m, (size_t)n);
            if (!CHECK(sent > 0)) return;
            k += (int)sent;
        }
    } else {
        for (int k = 0; k < f->each; k++) CHECK_EQ(send_one(f, f->how, i * f->each + k, rng), 0);
    }
    if (atomic_fetch_sub(&f->left, 1) == 1) CHECK_EQ(f->of->close(&f->c), 0);
}

static void receives(struct flow *f, uint64_t *rng)
{
    int m[7], *last = calloc((size_t)f->senders, sizeof *last);
    REQUIRE(last != NULL);
    for (ptrdiff_t n; last;) {
        int how = f->how == SLOW || f->how == PLAIN ? f->how : tap_below(rng, HOWS);
        if (how == SLOW) dawdle(rng);
        if (how == BATCH) n = f->of->recv_many(&f->c, m, (size_t)(1 + tap_below(rng, 7)));
        else if (how == TRY) n = f->of->try_recv(&f->c, m);
        else if (how == SELECT) {
            leat_case cases[] = { f->of->receives(NULL, m), f->of->receives(&f->c, m) };
            n = leat_select(cases, 2) == 1 ? cases[1].err : -EIO;
        } else n = f->of->recv(tap_below(rng, 8) ? NULL : LEAT_WITHIN(LEAT_US(20)), &f->c, m);
        if (n == -EPIPE) break;
        if (n == -EAGAIN || n == -ETIMEDOUT) continue;
        if (!CHECK(n >= 0)) break;
        for (int i = 0; i < (n ? (int)n : 1); i++) {
            int from = m[i] / f->each, nth = m[i] % f->each + 1;
            if (!CHECK(from >= 0 && from < f->senders && nth > last[from])) continue;
            last[from] = nth;
            atomic_fetch_add(&f->got, 1);
            atomic_fetch_add(&f->summed, m[i]);
        }
    }
    free(last);
}

static void flows(int i, void *arg)
{
    struct flow *f = arg;
    uint64_t rng = tap_seed(i);
    if (i < f->senders) sends(f, i, &rng);
    else receives(f, &rng);
}

static bool flow(const struct calls *of, size_t cap, int how, int each)
{
    struct flow f = { .of = of, .how = how };
    f.senders = of->ones & LEAT_ONE_SENDER ? 1 : 3;
    f.receivers = of->ones & LEAT_ONE_RECEIVER ? 1 : 3;
    f.each = each / f.senders;
    f.left = f.senders;
    REQUIRE_EQ(of->make(&f.c, cap), 0);
    tap_threads(f.senders + f.receivers, flows, &f);
    int64_t n = (int64_t)f.senders * f.each;
    bool all = CHECK_EQ(f.got, n) && CHECK_EQ(f.summed, n * (n - 1) / 2);
    of->free(&f.c);
    return all;
}

TEST(every_message_arrives_once_in_order_however_it_is_sent)
{
    static const size_t caps[] = { 1, 2, 3, 7, 64, 1024 };
    for (int k = 0; k < KINDS; k++)
        for (int how = 0; how < HOWS; how++)
            for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) flow(kinds[k], caps[i], how, tap_rounds(6000));
}

/* ---- close ---- */

struct closing {
    const struct calls *of;
    one_each_chan c;
    _Atomic int accepted, got;
    uint64_t pause;
};

static void closes(int i, void *arg)
{
    struct closing *x = arg;
    int m;
    if (i == 0) {
        for (int n = 0; x->of->send(NULL, &x->c, n) == 0; n++) atomic_fetch_add(&x->accepted, 1);
        CHECK_EQ(x->of->try_send(&x->c, 1), -EPIPE);
    } else if (i == 1) {
        for (int n = 0; x->of->recv(NULL, &x->c, &m) == 0; n++) {
            CHECK_EQ(m, n);
            atomic_fetch_add(&x->got, 1);
        }
        CHECK_EQ(x->of->try_recv(&x->c, &m), -EPIPE);
    } else {
        for (uint64_t n = x->pause; n; n--) atomic_load(&x->got);
        CHECK_EQ(x->of->close(&x->c), 0);
    }
}

TEST(a_send_that_races_with_the_close_is_received_or_refused)
{
    uint64_t rng = tap_seed(0);
    for (int i = 0; i < tap_rounds(3000); i++) {
        struct closing x = { .of = kinds[i % KINDS], .pause = tap_rng(&rng) % 3000 };
        REQUIRE_EQ(x.of->make(&x.c, (size_t)(1 + i % 4)), 0);
        tap_threads(3, closes, &x);
        CHECK_EQ(x.accepted, x.got);
        x.of->free(&x.c);
    }
}

/* ---- freed at once ---- */

struct asked {
    const struct calls *of;
    one_each_chan *reply;
    int n;
};
static LEAT_CHAN(struct asked) questions;

static void asks(int i, void *arg)
{
    int rounds = *(int *)arg;
    if (i) {
        for (struct asked q; leat_recv(&questions, &q) == 0;) {
            CHECK_EQ(q.of->send(NULL, q.reply, q.n), 0);
            if (q.n % 2) CHECK_EQ(q.of->close(q.reply), 0);
        }
        return;
    }
    for (int n = 0; n < rounds; n++) {
        const struct calls *of = kinds[n % KINDS];
        one_each_chan reply;
        int m = -1;
        REQUIRE_EQ(of->make(&reply, (size_t)(1 + n % 2)), 0);
        CHECK_EQ(leat_send(&questions, (&(struct asked){ of, &reply, n })), 0);
        CHECK_EQ(of->recv(NULL, &reply, &m), 0);
        CHECK_EQ(m, n);
        if (n % 2) CHECK_EQ(of->recv(NULL, &reply, &m), -EPIPE);
        of->free(&reply);
        memset((void *)&reply, 0xEE, sizeof reply); /* a thread that still accesses it finds this */
    }
    leat_close(&questions);
}

TEST(a_reply_channel_is_freed_as_soon_as_it_has_the_reply)
{
    int rounds = tap_rounds(20000);
    REQUIRE_EQ(leat_make(&questions, 4), 0);
    tap_threads(2, asks, &rounds);
    leat_free(&questions);
}

/* ---- where there is no membarrier ---- */

#if defined SECCOMP && defined SYS_membarrier

static bool refuse_membarrier(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* In a child, which is refused membarrier before it makes the channel, or while threads use it. */
static void in_a_sandbox(bool before)
{
    if (TAP_SLOW) SKIP("ThreadSanitizer forbids threads in a child of threads");
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) {
        struct flow f = { .of = &one_each, .senders = 1, .receivers = 1, .each = tap_rounds(3000), .how = SLOW, .left = 1 };
        bool good = true;
        if (!before) REQUIRE_EQ(leat_make(&f.c, 1), 0);
        if (!refuse_membarrier()) tap_leave(77);
        if (before) {
            for (int how = 0; how < HOWS; how++)
                for (int k = 0; k < KINDS; k++) good &= flow(kinds[k], 3, how, tap_rounds(3000));
        } else {
            tap_threads(2, flows, &f);
            good = f.got == f.each && atomic_load(&f.c.chan.ends_[LEAT_SENDS_].at_) & LEAT_FENCED_;
            leat_free(&f.c);
        }
        tap_leave(good ? 0 : 1);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) SKIP("no seccomp here");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(in_a_sandbox_without_membarrier_claims_make_their_own_fence)
{
    in_a_sandbox(true);
}

TEST(a_sandbox_may_come_while_the_channel_is_in_use)
{
    in_a_sandbox(false);
}

#endif
