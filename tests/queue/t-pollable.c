/* t-pollable.c - a channel or a context in poll(), epoll: what was sent is seen by a loop that sleeps only there, and
 * nobody else loses anything by it.
 * SPDX-License-Identifier: MIT */
#include "staging.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static void sleep_in_poll(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    while (poll(&p, 1, -1) != 1) {}
}

/* ==== What it promises ======================================================================== */

TEST(readable_from_the_first_message_until_it_is_armed_again)
{
    int_chan c;
    leat_pollable w;
    int m = 1;
    REQUIRE_EQ(leat_make(&c, 4), 0);
    int fd = leat_pollable_recv(&w, &c);
    REQUIRE(fd >= 3);
    CHECK(!readable(fd));
    CHECK(!leat_pollable_rearm(&w)); /* it is armed already */
    CHECK(!readable(fd));
    CHECK_EQ(leat_send(&c, &m), 0);
    CHECK(readable(fd));
    CHECK_EQ(leat_recv(&c, &m), 0);
    CHECK(readable(fd)); /* what becomes of the message changes nothing */
    CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
    CHECK(!leat_pollable_rearm(&w));
    CHECK(!readable(fd));
    CHECK_EQ(leat_send(&c, &m), 0);
    CHECK(readable(fd));
    CHECK(leat_pollable_rearm(&w)); /* there is one: try again, it is not armed */
    CHECK(!readable(fd));
    CHECK(leat_pollable_rearm(&w));
    CHECK_EQ(leat_try_recv(&c, &m), 0);
    CHECK(!leat_pollable_rearm(&w));
    leat_pollable_close(&w);
    leat_pollable_close(&w);
    CHECK(fcntl(fd, F_GETFD) < 0);
    leat_free(&c);
}

TEST(room_makes_it_readable_for_a_sender)
{
    int_chan c;
    leat_pollable w;
    int m = 1;
    REQUIRE_EQ(leat_make(&c, 2), 0);
    int fd = leat_pollable_send(&w, &c);
    CHECK(readable(fd)); /* from the start */
    while (leat_try_send(&c, &m) == 0) {}
    CHECK(!leat_pollable_rearm(&w));
    CHECK(!readable(fd));
    CHECK_EQ(leat_recv(&c, &m), 0);
    CHECK(readable(fd));
    CHECK_EQ(leat_try_send(&c, &m), 0);
    CHECK(!leat_pollable_rearm(&w));
    CHECK_EQ(leat_close(&c), 0);
    CHECK(readable(fd));
    CHECK_EQ(leat_try_send(&c, &m), -EPIPE);
    leat_pollable_close(&w);
    leat_free(&c);
}

TEST(a_close_makes_it_readable_and_the_try_says_EPIPE)
{
    for (size_t cap = 0; cap < 2; cap++) {
        int_chan c;
        leat_pollable w, late;
        int m;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        int fd = leat_pollable_recv(&w, &c);
        CHECK(!readable(fd));
        CHECK_EQ(leat_close(&c), 0);
        CHECK(readable(fd));
        CHECK_EQ(leat_try_recv(&c, &m), -EPIPE);
        CHECK(leat_pollable_rearm(&w));
        CHECK(readable(leat_pollable_recv(&late, &c)));
        leat_pollable_close(&late);
        leat_free(&c); /* it is not armed, so the channel may go first */
        leat_pollable_close(&w);
    }
}

TEST(I9_on_an_unbuffered_channel_a_partner_that_waits_makes_it_readable)
{
    int_chan c;
    leat_pollable r, s;
    struct call call;
    int m = 5;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    int to_recv = leat_pollable_recv(&r, &c), to_send = leat_pollable_send(&s, &c);
    CHECK(!readable(to_recv) && !readable(to_send)); /* neither is the other's partner */
    CHECK_EQ(leat_try_send(&c, &m), -EAGAIN);
    CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
    CHECK(!readable(to_recv) && !readable(to_send));
    send_waits(&call, NULL, &c, 7);
    sleep_in_poll(to_recv);
    CHECK(!readable(to_send));
    CHECK(leat_try_recv(&c, &m) == 0 && m == 7);
    CHECK_EQ(end(&call), 0);
    CHECK(!leat_pollable_rearm(&r));
    recv_waits(&call, NULL, &c);
    sleep_in_poll(to_send);
    CHECK(!readable(to_recv));
    m = 8;
    CHECK_EQ(leat_try_send(&c, &m), 0);
    CHECK_EQ(end(&call), 0);
    send_waits(&call, NULL, &c, 9);
    CHECK(leat_pollable_rearm(&r)); /* a partner is there */
    CHECK_EQ(leat_recv(&c, &m), 0);
    CHECK_EQ(end(&call), 0);
    leat_pollable_close(&r);
    leat_pollable_close(&s);
    leat_free(&c);
}

/* The loop is slow, or never tries. The threads that are parked get their messages all the same. */
TEST(I9_threads_that_wait_on_the_channel_lose_no_wake_to_it)
{
    for (int k = 0; k < tap_rounds(300); k++) {
        int_chan c;
        leat_pollable w;
        struct call call[2];
        int m = 1;
        REQUIRE_EQ(leat_make(&c, (size_t)k % 3), 0);
        int fd = leat_pollable_recv(&w, &c); /* it came first */
        for (int i = 0; i < 2; i++) recv_waits(&call[i], NULL, &c);
        for (int i = 0; i < 2; i++) CHECK_EQ(leat_send(&c, &m), 0);
        for (int i = 0; i < 2; i++) CHECK_EQ(end(&call[i]), 0);
        CHECK(readable(fd) == (k % 3 > 0)); /* a message that a parked thread was handed never was in the channel */
        leat_pollable_close(&w);
        leat_free(&c);
    }
}

static bool calls_for_a_wake(int_chan *c)
{
    return atomic_load_explicit(&c->chan.ends_[LEAT_SENDS_].at_, memory_order_relaxed) & LEAT_WAITERS_;
}

TEST(I9_an_arming_costs_one_wake_and_after_it_senders_are_as_quick_as_without)
{
    int_chan c;
    leat_pollable w;
    int m = 1;
    REQUIRE_EQ(leat_make(&c, 64), 0);
    int fd = leat_pollable_recv(&w, &c);
    for (int k = 0; k < 3; k++) {
        CHECK(calls_for_a_wake(&c));
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(leat_send(&c, &m), 0);
            CHECK(!calls_for_a_wake(&c)); /* the fast path */
        }
#if defined __linux__ && !defined LEAT_NO_FUTEX
        uint64_t writes = 0;
        CHECK(read(fd, &writes, sizeof writes) == sizeof writes);
        CHECK_EQ(writes, 1);
#endif
        while (leat_try_recv(&c, &m) == 0) {}
        CHECK(!leat_pollable_rearm(&w));
    }
    leat_pollable_close(&w);
    CHECK(fcntl(fd, F_GETFD) < 0);
    leat_free(&c);
}

TEST(I9_several_pollables_of_one_channel_are_all_told)
{
    enum { N = 5 };
    int_chan c;
    leat_pollable w[N];
    int fd[N], m = 1;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    for (int i = 0; i < N; i++) fd[i] = leat_pollable_recv(&w[i], &c);
    leat_pollable_close(&w[2]); /* from the middle of the queue */
    CHECK_EQ(leat_send(&c, &m), 0);
    for (int i = 0; i < N; i++)
        if (i != 2) CHECK(readable(fd[i]));
    for (int i = 0; i < N; i++) leat_pollable_close(&w[i]);
    leat_free(&c);
}

TEST(a_cancel_of_the_context_or_an_ancestor_makes_it_readable_for_good)
{
    for (int k = 0; k < 3; k++) {
        leat_ctx grandparent = LEAT_CTX(NULL), parent = LEAT_CTX(&grandparent), ctx = LEAT_CTX(&parent);
        leat_pollable w, late;
        int fd = leat_pollable_ctx(&w, &ctx);
        REQUIRE(fd >= 3);
        CHECK(!readable(fd) && !leat_pollable_rearm(&w));
        leat_cancel(k == 0 ? &ctx : k == 1 ? &parent : &grandparent, 0);
        CHECK(readable(fd));
        CHECK_EQ(leat_ctx_err(&ctx), -ECANCELED);
        CHECK(leat_pollable_rearm(&w) && readable(fd));
        CHECK(readable(leat_pollable_ctx(&late, &ctx)));
        leat_pollable_close(&late);
        leat_pollable_close(&w);
        CHECK(!waiters(&ctx) && !waiters(&parent) && !waiters(&grandparent));
        CHECK(!ctx.waiters_.first_ && !parent.waiters_.first_ && !grandparent.waiters_.first_);
    }
}

TEST(a_deadline_ends_the_poll_by_its_timeout)
{
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(20)), ctx = LEAT_CTX(&soon), gone = LEAT_CTX_WITHIN(&ctx, 0);
    leat_pollable w, past;
    int fd = leat_pollable_ctx(&w, &ctx);
    while (!leat_pollable_rearm(&w)) {
        int64_t left = leat_ctx_deadline(&ctx) - leat_now();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        CHECK_EQ(poll(&p, 1, left <= 0 ? 0 : (int)((left + 999999) / 1000000)), 0);
    }
    CHECK_EQ(leat_ctx_err(&ctx), -ETIMEDOUT);
    CHECK(readable(leat_pollable_ctx(&past, &gone)));
    leat_pollable_close(&past);
    leat_pollable_close(&w);
    CHECK(!ctx.waiters_.first_ && !soon.waiters_.first_);
}

/* ==== Answers ================================================================================= */

TEST(bad_arguments_are_refused_and_errno_stays)
{
    int_chan c;
    leat_pollable w = { .ctx_ = NULL };
    leat_ctx ctx = LEAT_CTX(NULL);
    int m = 1;
    errno = 77;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_pollable_recv((leat_pollable *)NULL, &c), -EINVAL);
    CHECK_EQ(leat_pollable_send(&w, (int_chan *)NULL), -EINVAL);
    CHECK_EQ(leat_pollable_ctx(&w, NULL), -EINVAL);
    CHECK_EQ(leat_pollable_ctx(NULL, &ctx), -EINVAL);
    leat_pollable_close(NULL);
    leat_pollable_close(&w); /* never made */
    CHECK(!leat_pollable_rearm(NULL) && !leat_pollable_rearm(&w));
    CHECK(leat_pollable_recv(&w, &c) >= 3);
    CHECK_EQ(leat_send(&c, &m), 0);
    CHECK_EQ(leat_recv(&c, &m), 0);
    CHECK(!leat_pollable_rearm(&w));
    leat_pollable_close(&w);
    CHECK(leat_pollable_ctx(&w, &ctx) >= 3);
    leat_pollable_close(&w);
    CHECK_EQ(errno, 77);
    leat_free(&c);
}

/* In a child, which may do without its descriptors. Its exit status counts what went wrong. */
static int in_child(int (*fn)(void))
{
    int status = -1;
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) tap_leave(fn());
    REQUIRE(waitpid(child, &status, 0) == child);
    return status;
}

static int refused(void)
{
    struct rlimit none;
    leat_pollable w;
    leat_ctx ctx = LEAT_CTX(NULL);
    int_chan c;
    int bad = leat_make(&c, 1) != 0;
    getrlimit(RLIMIT_NOFILE, &none);
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    errno = 77;
    bad += leat_pollable_recv(&w, &c) != -EMFILE;
    leat_pollable_close(&w);
    bad += leat_pollable_ctx(&w, &ctx) != -EMFILE;
    leat_pollable_close(&w);
    return bad + (errno != 77) + (ctx.waiters_.first_ != NULL) + (c.chan.ends_[0].pollables_.first_ != NULL);
}

TEST(without_a_descriptor_it_says_EMFILE_and_leaves_nothing_behind)
{
    CHECK_EQ(in_child(refused), 0);
}

static int without_the_first_three(void)
{
    leat_pollable w;
    leat_ctx ctx = LEAT_CTX(NULL);
    for (int i = 0; i < 3; i++) close(i);
    int fd = leat_pollable_ctx(&w, &ctx);
    int bad = (fd < 3) + !(fcntl(fd, F_GETFD) & FD_CLOEXEC) + readable(fd);
    leat_cancel(&ctx, 0);
    bad += !readable(fd);
    for (int i = 0; i < 3; i++) bad += fcntl(i, F_GETFD) >= 0;
    leat_pollable_close(&w);
    for (int i = 0; i < 20; i++) bad += fcntl(i, F_GETFD) >= 0 && i == fd;
    return bad;
}

TEST(it_is_never_taken_for_the_input_or_output_of_a_program_and_not_inherited)
{
    CHECK_EQ(in_child(without_the_first_three), 0);
    leat_pollable w;
    leat_ctx ctx = LEAT_CTX(NULL);
    int fd = leat_pollable_ctx(&w, &ctx);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    leat_pollable_close(&w);
}

/* A thread that is to be cancelled goes through all of the calls. */
static void *is_cancelled(void *arg)
{
    int *passed = arg, m = 1;
    int_chan c;
    leat_pollable w;
    if (leat_make(&c, 1)) return NULL;
    pthread_cancel(pthread_self());
    if (leat_pollable_recv(&w, &c) < 3) return NULL;
    if (leat_send(&c, &m) || leat_recv(&c, &m) || leat_pollable_rearm(&w)) return NULL;
    leat_pollable_close(&w);
    leat_free(&c);
    *passed = 1;
    return NULL;
}

TEST(no_call_is_a_cancellation_point)
{
    int passed = 0;
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, is_cancelled, &passed) == 0);
    pthread_join(t, NULL);
    CHECK(passed);
}

/* ==== Nothing is lost ========================================================================= */

enum { SENDERS = 3, MOST = 200 };
enum { BY_POLL, BY_EPOLL, BY_EDGE, WAYS };

struct flow {
    int_chan c;
    int each, way;
    bool beside; /* parked receivers as well */
    leat_pollable w;
    int fd, epoll;
    _Atomic int received;
    _Atomic unsigned char times[SENDERS * 20000];
};

static void note(struct flow *f, int m)
{
    REQUIRE(m >= 0 && m < SENDERS * f->each);
    atomic_fetch_add_explicit(&f->times[m], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&f->received, 1, memory_order_relaxed);
}

/* Sleeps only in poll or epoll. An edge that is lost is a loop that sleeps for ever, and the watchdog sees it. */
static void run_loop(struct flow *f)
{
    for (int m, err = -EAGAIN; err == -EAGAIN;) {
#ifdef __linux__
        struct epoll_event event;
        if (f->way == BY_POLL) sleep_in_poll(f->fd);
        else
            while (epoll_wait(f->epoll, &event, 1, -1) != 1) {}
#else
        sleep_in_poll(f->fd);
#endif
        do
            while ((err = leat_try_recv(&f->c, &m)) == 0) note(f, m);
        while (err == -EAGAIN && leat_pollable_rearm(&f->w));
        if (err != -EAGAIN) CHECK_EQ(err, -EPIPE);
    }
}

static void flow_thread(int i, void *arg)
{
    struct flow *f = arg;
    int m;
    if (i == 0) {
        run_loop(f);
    } else if (i <= SENDERS) {
        for (int k = 0; k < f->each; k++) {
            m = (i - 1) * f->each + k;
            CHECK_EQ(leat_send(&f->c, &m), 0);
        }
    } else if (i == SENDERS + 1) { /* closes when all was received, not before: only then a lost edge is a hang */
        UNTIL(atomic_load_explicit(&f->received, memory_order_relaxed) == SENDERS * f->each);
        CHECK_EQ(leat_close(&f->c), 0);
    } else {
        while (leat_recv(&f->c, &m) == 0) note(f, m);
    }
}

static void flow(size_t cap, int way, bool beside)
{
    static struct flow f;
    memset((void *)&f, 0, sizeof f);
    f.each = tap_rounds(cap < 2 ? 2000 : 20000);
    f.way = way;
    REQUIRE_EQ(leat_make(&f.c, cap), 0);
    REQUIRE((f.fd = leat_pollable_recv(&f.w, &f.c)) >= 3);
#ifdef __linux__
    struct epoll_event event = { .events = EPOLLIN };
    if (way == BY_EDGE) event.events |= EPOLLET;
    REQUIRE((f.epoll = epoll_create1(0)) >= 0);
    REQUIRE(epoll_ctl(f.epoll, EPOLL_CTL_ADD, f.fd, &event) == 0);
#endif
    tap_threads(SENDERS + 2 + (beside ? 2 : 0), flow_thread, &f);
    for (int i = 0; i < SENDERS * f.each; i++)
        if (!CHECK_EQ(atomic_load_explicit(&f.times[i], memory_order_relaxed), 1)) break;
#ifdef __linux__
    close(f.epoll);
#endif
    leat_pollable_close(&f.w);
    leat_free(&f.c);
}

TEST(I9_a_loop_that_sleeps_only_in_poll_sees_every_message)
{
    for (int way = 0; way < WAYS; way++)
        for (size_t cap = 0; cap < 3; cap++) flow(cap == 2 ? 64 : cap, way, false);
}

TEST(I9_also_beside_threads_that_receive_from_the_same_channel)
{
    for (int way = 0; way < WAYS; way++)
        for (size_t cap = 0; cap < 3; cap++) flow(cap == 2 ? 64 : cap, way, true);
}

TEST(also_where_no_thread_spins)
{
    never_spin();
    for (size_t cap = 0; cap < 2; cap++) flow(cap, BY_POLL, cap == 1);
}

/* Pollables come and go, armed or told, while messages pass, and contexts are cancelled. */
static void come_and_go(int i, void *arg)
{
    int_chan *c = arg;
    int m = i;
    for (int k = 0; k < tap_rounds(3000); k++) {
        leat_ctx ctx = LEAT_CTX(NULL), below = LEAT_CTX(&ctx);
        leat_pollable w, of_ctx;
        if (i == 0) CHECK_EQ(leat_send(c, &m), 0);
        if (i == 1) CHECK_EQ(leat_recv(c, &m), 0);
        if (i < 2) continue;
        int fd = i == 2 ? leat_pollable_recv(&w, c) : leat_pollable_send(&w, c);
        REQUIRE(fd >= 3);
        if (k % 3 == 0) (void)leat_pollable_rearm(&w);
        if (k % 5 == 0) CHECK(leat_pollable_ctx(&of_ctx, &below) >= 3);
        leat_pollable_close(&w);
        if (k % 5 == 0) leat_cancel(&ctx, 0);
        if (k % 5 == 0) leat_pollable_close(&of_ctx);
    }
}

TEST(pollables_come_and_go_while_messages_pass)
{
    int_chan c;
    for (size_t cap = 0; cap < 3; cap++) {
        REQUIRE_EQ(leat_make(&c, cap), 0);
        tap_threads(4, come_and_go, &c);
        CHECK(!c.chan.ends_[0].pollables_.first_ && !c.chan.ends_[1].pollables_.first_);
        leat_free(&c);
    }
}
