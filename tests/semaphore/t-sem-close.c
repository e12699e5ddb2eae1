/* t-sem-close.c - a closed semaphore leaves no thread waiting, and gives out the permits that it still has.
 * SPDX-License-Identifier: MIT */
#include "peek.h"

struct call {
    leat_ctx *ctx;
    leat_sem *s;
    int64_t n;
};

static int acquire(void *arg)
{
    struct call *c = arg;
    return leat_acquire_ctx(c->ctx, c->s, c->n);
}

TEST(close_wakes_all_threads_that_wait)
{
    enum { N = 6 };
    leat_sem s = LEAT_SEM_OF(0, N);
    leat_ctx live = LEAT_CTX(NULL), timed = LEAT_CTX_WITHIN(NULL, LEAT_S(1000));
    leat_ctx *ctx[] = { NULL, &live, &timed };
    struct call call[N];
    side waiter[N];
    for (int i = 0; i < N; i++) {
        call[i] = (struct call){ ctx[i % 3], &s, 1 + i };
        side_start(&waiter[i], acquire, &call[i]);
    }
    UNTIL(peek_sem(&s) == N);
    CHECK_EQ(leat_sem_close(&s), 0);
    for (int i = 0; i < N; i++) CHECK_EQ(side_join(&waiter[i]), -EPIPE);
    CHECK_EQ(peek_sem(&s), 0);
}

TEST(permits_still_drain_after_close)
{
    leat_sem s = LEAT_SEM(3);
    leat_ctx live = LEAT_CTX(NULL);
    CHECK_EQ(leat_sem_close(&s), 0);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), 0);
    CHECK_EQ(leat_acquire_ctx(&live, &s, 1), 0);
    CHECK_EQ(leat_acquire(&s, 1), -EPIPE);
    CHECK_EQ(leat_try_acquire(&s, 1), -EPIPE);
    CHECK_EQ(leat_acquire_ctx(&live, &s, 1), -EPIPE);
    CHECK_EQ(leat_acquire(&s, 4), -EPIPE);
}

TEST(permits_come_back_after_close)
{
    leat_sem s = LEAT_SEM(2);
    CHECK_EQ(leat_acquire(&s, 2), 0);
    CHECK_EQ(leat_sem_close(&s), 0);
    CHECK_EQ(leat_release(&s, 2), 0);
    CHECK_EQ(leat_sem_available(&s), 2);
    CHECK_EQ(leat_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(leat_acquire(&s, 2), 0);
    CHECK_EQ(leat_acquire(&s, 1), -EPIPE);
    CHECK_EQ(leat_release(&s, 2), 0);
}

TEST(a_second_close_is_harmless_and_reported)
{
    leat_sem s = LEAT_SEM(1);
    CHECK_EQ(leat_sem_close(&s), 0);
    CHECK_EQ(leat_sem_close(&s), -EALREADY);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_sem_close(&s), -EALREADY);
    CHECK_EQ(leat_acquire(&s, 1), -EPIPE);
}

static void close_it(int i, void *arg)
{
    struct {
        leat_sem s;
        _Atomic int first, again;
    } *c = arg;
    (void)i;
    int err = leat_sem_close(&c->s);
    atomic_fetch_add_explicit(err ? &c->again : &c->first, 1, memory_order_relaxed);
}

TEST(of_many_closes_exactly_one_did_it)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        struct {
            leat_sem s;
            _Atomic int first, again;
        } c = { .s = LEAT_SEM(1) };
        tap_threads(3, close_it, &c);
        REQUIRE_EQ(c.first, 1);
        REQUIRE_EQ(c.again, 2);
    }
}

TEST(a_done_context_is_reported_before_the_close)
{
    leat_sem s = LEAT_SEM(1);
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_cancel(&ctx, 1);
    CHECK_EQ(leat_sem_close(&s), 0);
    CHECK_EQ(leat_acquire_ctx(&ctx, &s, 1), -ECANCELED);
}

TEST(a_thread_that_waited_and_got_nothing_before_the_close_is_not_forgotten)
{
    /* A hint is on its way to the first. The close comes. The second must not stay parked. */
    for (int k = 0; k < tap_rounds(2000); k++) {
        leat_sem s = LEAT_SEM_OF(0, 2);
        side a, b;
        struct call one = { NULL, &s, 1 };
        side_start(&a, acquire, &one);
        side_start(&b, acquire, &one);
        if (k % 2) UNTIL(peek_sem(&s) == 2);
        REQUIRE_EQ(leat_release(&s, 1), 0);
        REQUIRE_EQ(leat_sem_close(&s), 0);
        int got = (side_join(&a) == 0) + (side_join(&b) == 0);
        REQUIRE(got <= 1);
        REQUIRE_EQ(leat_sem_available(&s), 1 - got);
    }
}
