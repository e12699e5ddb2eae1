/* t-sem.c - a semaphore bounds: no more permits are out than there are, none is lost, and an acquire that cannot have
 * them is told so. The assertions of golang.org/x/sync's semaphore tests, and our own.
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

/* Waits until the first in the queue has waited for too long. From then on no thread overtakes it. */
static void until_late(leat_sem *s)
{
    for (bool late = false; !late;) {
        leat_sleep(LEAT_US(200));
        leat_lock_take_(&s->lock_);
        late = leat_sem_late_(s);
        leat_lock_drop_(&s->lock_);
    }
}

/* ==== No more permits out than there are ====================================================== */

enum { HAMMERS = 8, SIZE = 5 };

struct hammered {
    leat_sem s;
    _Atomic int out, worst;
};

static void hammer(int i, void *arg)
{
    struct hammered *h = arg;
    uint64_t rng = tap_seed(i);
    for (int k = 0; k < tap_rounds(20000); k++) {
        int n = 1 + tap_below(&rng, SIZE);
        if (!CHECK_EQ(leat_acquire(&h->s, n), 0)) return;
        int out = atomic_fetch_add_explicit(&h->out, n, memory_order_relaxed) + n;
        if (out > SIZE) atomic_store_explicit(&h->worst, out, memory_order_relaxed);
        if (k % 64 == 0) leat_os_yield_();
        atomic_fetch_sub_explicit(&h->out, n, memory_order_relaxed);
        if (!CHECK_EQ(leat_release(&h->s, n), 0)) return;
    }
}

TEST(many_threads_never_hold_more_permits_than_there_are)
{
    struct hammered h = { .s = LEAT_SEM(SIZE) };
    tap_threads(HAMMERS, hammer, &h);
    CHECK_EQ(h.worst, 0);
    CHECK_EQ(leat_sem_available(&h.s), SIZE);
    CHECK_EQ(peek_sem(&h.s), 0);
}

static void guarded(int i, void *arg)
{
    struct {
        leat_sem s;
        long n;
    } *g = arg;
    (void)i;
    for (int k = 0; k < tap_rounds(20000); k++) {
        CHECK_EQ(leat_acquire(&g->s, 1), 0);
        g->n++; /* plain: a sanitizer or a wrong sum shows if two are here, or do not see each other's change */
        CHECK_EQ(leat_release(&g->s, 1), 0);
    }
}

TEST(what_was_done_under_a_permit_is_seen_under_the_next)
{
    struct {
        leat_sem s;
        long n;
    } g = { .s = LEAT_SEM(1) };
    tap_threads(4, guarded, &g);
    CHECK_EQ(g.n, 4L * tap_rounds(20000));
}

/* ==== Nothing is made from nothing ============================================================ */

TEST(releasing_more_than_was_acquired_is_refused_and_changes_nothing)
{
    leat_sem s = LEAT_SEM(3);
    CHECK_EQ(leat_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(leat_sem_available(&s), 3);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_release(&s, 2), -EOVERFLOW);
    CHECK_EQ(leat_sem_available(&s), 2);
    CHECK_EQ(leat_release(&s, 1), 0);
    CHECK_EQ(leat_release(&s, LEAT_SEM_MAX), -EOVERFLOW);
    CHECK_EQ(leat_sem_available(&s), 3);
}

TEST(releasing_too_much_while_a_thread_waits_is_refused_and_does_not_serve_it)
{
    leat_sem s = LEAT_SEM(3);
    side waiter;
    REQUIRE_EQ(leat_acquire(&s, 1), 0);
    side_start(&waiter, acquire, &(struct call){ NULL, &s, 3 });
    UNTIL(peek_sem(&s) == 1);
    CHECK_EQ(leat_release(&s, 2), -EOVERFLOW);
    CHECK_EQ(leat_sem_available(&s), 2);
    CHECK_EQ(peek_sem(&s), 1);
    CHECK_EQ(leat_release(&s, 1), 0);
    CHECK_EQ(side_join(&waiter), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
}

TEST(a_negative_or_absurd_number_is_refused)
{
    leat_sem s = LEAT_SEM(1);
    leat_ctx live = LEAT_CTX(NULL);
    const int64_t bad[] = { -1, INT64_MIN, LEAT_SEM_MAX + 1, INT64_MAX };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(leat_acquire(&s, bad[i]), -EINVAL);
        CHECK_EQ(leat_try_acquire(&s, bad[i]), -EINVAL);
        CHECK_EQ(leat_acquire_ctx(&live, &s, bad[i]), -EINVAL);
        CHECK_EQ(leat_release(&s, bad[i]), -EINVAL);
    }
    CHECK_EQ(leat_acquire(NULL, 1), -EINVAL);
    CHECK_EQ(leat_try_acquire(NULL, 1), -EINVAL);
    CHECK_EQ(leat_acquire_ctx(NULL, NULL, 1), -EINVAL);
    CHECK_EQ(leat_release(NULL, 1), -EINVAL);
    CHECK_EQ(leat_sem_close(NULL), -EINVAL);
    CHECK_EQ(leat_sem_resize(NULL, 1), -EINVAL);
    CHECK_EQ(leat_sem_available(&s), 1);
}

TEST(no_permits_at_all_can_be_acquired_and_released)
{
    leat_sem s = LEAT_SEM(1);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_acquire(&s, 0), 0);
    CHECK_EQ(leat_try_acquire(&s, 0), 0);
    CHECK_EQ(leat_release(&s, 0), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
}

/* ==== The three forms ========================================================================= */

TEST(a_try_succeeds_exactly_when_there_are_permits)
{
    leat_sem s = LEAT_SEM(2);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
    CHECK_EQ(leat_release(&s, 2), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), 0);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
    CHECK_EQ(leat_try_acquire(&s, 3), -EAGAIN); /* a try never says that it would wait for ever */
}

static int within_10_ms(leat_sem *s, int64_t n)
{
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    return leat_acquire_ctx(&soon, s, n);
}

TEST(an_acquire_with_a_time_out_succeeds_exactly_when_there_are_permits)
{
    leat_sem s = LEAT_SEM(2);
    leat_ctx live = LEAT_CTX(NULL);
    CHECK_EQ(leat_acquire_ctx(&live, &s, 1), 0);
    CHECK_EQ(leat_acquire_ctx(&live, &s, 1), 0);
    CHECK_EQ(within_10_ms(&s, 1), -ETIMEDOUT);
    CHECK_EQ(leat_sem_available(&s), 0);
    CHECK_EQ(leat_release(&s, 2), 0);
    CHECK_EQ(leat_acquire_ctx(&live, &s, 1), 0);
    CHECK_EQ(leat_acquire_ctx(&live, &s, 1), 0);
    CHECK_EQ(within_10_ms(&s, 1), -ETIMEDOUT);
    CHECK_EQ(peek_sem(&s), 0);
}

TEST(a_done_context_never_acquires_even_if_there_are_permits)
{
    leat_sem s = LEAT_SEM(1);
    leat_ctx cancelled = LEAT_CTX(NULL), late = LEAT_CTX_UNTIL(NULL, 1), child = LEAT_CTX(&cancelled);
    leat_cancel(&cancelled, 5);
    CHECK_EQ(leat_acquire_ctx(&cancelled, &s, 1), -ECANCELED);
    CHECK_EQ(leat_acquire_ctx(&child, &s, 1), -ECANCELED);
    CHECK_EQ(leat_acquire_ctx(&late, &s, 1), -ETIMEDOUT);
    CHECK_EQ(leat_acquire_ctx(&cancelled, &s, 0), -ECANCELED);
    CHECK_EQ(leat_sem_available(&s), 1);
}

TEST(a_cancelled_acquire_wakes_and_takes_nothing)
{
    leat_sem s = LEAT_SEM(2);
    leat_ctx ctx = LEAT_CTX(NULL);
    side waiter;
    CHECK_EQ(leat_acquire(&s, 2), 0);
    side_start(&waiter, acquire, &(struct call){ &ctx, &s, 1 });
    UNTIL(peek_sem(&s) == 1);
    leat_cancel(&ctx, 1);
    CHECK_EQ(side_join(&waiter), -ECANCELED);
    CHECK_EQ(peek_sem(&s), 0);
    CHECK_EQ(leat_release(&s, 2), 0);
    CHECK_EQ(leat_try_acquire(&s, 2), 0);
}

static int cancel(void *ctx)
{
    leat_cancel(ctx, 1);
    return 0;
}

TEST(a_cancel_that_races_with_a_release_loses_no_permit)
{
    for (int k = 0; k < tap_rounds(4000); k++) {
        leat_sem s = LEAT_SEM_OF(0, 1);
        leat_ctx ctx = LEAT_CTX(NULL);
        side waiter, canceller;
        struct call one = { &ctx, &s, 1 };
        side_start(&waiter, acquire, &one);
        side_start(&canceller, cancel, &ctx);
        if (k % 2) UNTIL(peek_sem(&s) == 1 || leat_ctx_err(&ctx));
        REQUIRE_EQ(leat_release(&s, 1), 0);
        int err = side_join(&waiter);
        side_join(&canceller);
        REQUIRE(err == 0 || err == -ECANCELED);
        REQUIRE_EQ(leat_sem_available(&s), err ? 1 : 0);
        REQUIRE_EQ(leat_try_acquire(&s, 1), err ? 0 : -EAGAIN);
    }
}

/* ==== No thread starves ======================================================================= */

TEST(asking_for_more_than_there_can_be_is_refused_at_once_and_holds_up_no_other)
{
    leat_sem s = LEAT_SEM(2);
    CHECK_EQ(leat_acquire(&s, 3), -EDEADLK);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_acquire(&s, 3), -EDEADLK);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(peek_sem(&s), 0);
    CHECK_EQ(leat_release(&s, 2), 0);
}

struct crowd {
    leat_sem s;
    _Atomic bool served;
};

enum { CROWD = 4 };

static void one_after_another(int i, void *arg)
{
    struct crowd *c = arg;
    if (i == 0) {
        REQUIRE_EQ(leat_acquire(&c->s, CROWD), 0);
        atomic_store_explicit(&c->served, true, memory_order_relaxed);
        CHECK_EQ(leat_release(&c->s, CROWD), 0);
    } else {
        while (!atomic_load_explicit(&c->served, memory_order_relaxed)) {
            CHECK_EQ(leat_acquire(&c->s, 1), 0);
            leat_sleep(LEAT_US(20 * i)); /* so that there never are CROWD permits by chance */
            CHECK_EQ(leat_release(&c->s, 1), 0);
        }
    }
}

TEST(S3_a_request_for_all_permits_is_not_starved_by_requests_for_one)
{
    struct crowd c = { .s = LEAT_SEM(CROWD) };
    tap_threads(CROWD + 4, one_after_another, &c);
    CHECK_EQ(leat_sem_available(&c.s), CROWD);
}

TEST(S2_cancelling_the_first_in_the_queue_serves_the_next)
{
    leat_sem s = LEAT_SEM(10);
    leat_ctx ctx = LEAT_CTX(NULL);
    side large, small, small2;
    REQUIRE_EQ(leat_acquire(&s, 1), 0);
    side_start(&large, acquire, &(struct call){ &ctx, &s, 10 });
    UNTIL(peek_sem(&s) == 1);
    until_late(&s);
    side_start(&small, acquire, &(struct call){ NULL, &s, 1 });
    side_start(&small2, acquire, &(struct call){ NULL, &s, 8 });
    UNTIL(peek_sem(&s) == 3);
    CHECK_EQ(leat_sem_available(&s), 9); /* there were permits for them all the time */
    leat_cancel(&ctx, 1);
    CHECK_EQ(side_join(&large), -ECANCELED);
    CHECK_EQ(side_join(&small), 0);
    CHECK_EQ(side_join(&small2), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
}

TEST(a_thread_that_leaves_from_the_middle_of_the_queue_is_gone_from_it)
{
    leat_sem s = LEAT_SEM_OF(0, 9);
    leat_ctx ctx = LEAT_CTX(NULL);
    side a, b, c;
    side_start(&a, acquire, &(struct call){ NULL, &s, 4 });
    UNTIL(peek_sem(&s) == 1);
    side_start(&b, acquire, &(struct call){ &ctx, &s, 4 });
    UNTIL(peek_sem(&s) == 2);
    side_start(&c, acquire, &(struct call){ NULL, &s, 4 });
    UNTIL(peek_sem(&s) == 3);
    leat_cancel(&ctx, 1);
    CHECK_EQ(side_join(&b), -ECANCELED);
    CHECK_EQ(peek_sem(&s), 2);
    CHECK_EQ(leat_release(&s, 9), 0);
    CHECK_EQ(side_join(&a), 0);
    CHECK_EQ(side_join(&c), 0);
    CHECK_EQ(leat_sem_available(&s), 1);
}

TEST(S2_a_time_out_of_the_first_in_the_queue_serves_the_next)
{
    leat_sem s = LEAT_SEM(10);
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_MS(100));
    side large, small;
    REQUIRE_EQ(leat_acquire(&s, 1), 0);
    side_start(&large, acquire, &(struct call){ &ctx, &s, 10 });
    UNTIL(peek_sem(&s) == 1 || leat_ctx_err(&ctx));
    leat_sleep(LEAT_MS(2)); /* the small one waits behind it, most likely */
    side_start(&small, acquire, &(struct call){ NULL, &s, 9 });
    CHECK_EQ(side_join(&large), -ETIMEDOUT);
    CHECK_EQ(side_join(&small), 0);
}

TEST(S3_a_thread_that_has_waited_for_a_millisecond_is_not_overtaken)
{
    leat_sem s = LEAT_SEM(1);
    side waiter;
    REQUIRE_EQ(leat_acquire(&s, 1), 0);
    side_start(&waiter, acquire, &(struct call){ NULL, &s, 1 });
    UNTIL(peek_sem(&s) == 1);
    until_late(&s);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
    CHECK_EQ(leat_release(&s, 1), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN); /* it was handed over. The waiter may not even run yet */
    CHECK_EQ(side_join(&waiter), 0);
}

TEST(S3_a_thread_that_has_waited_and_was_overtaken_all_the_same_is_overtaken_only_once)
{
    bool overtook = false;
    for (int i = 0; i < 1000 && !overtook; i++) { /* until this thread is faster than the one that was woken */
        leat_sem s = LEAT_SEM(1);
        side waiter;
        REQUIRE_EQ(leat_acquire(&s, 1), 0);
        side_start(&waiter, acquire, &(struct call){ NULL, &s, 1 });
        UNTIL(peek_sem(&s) == 1);
        until_late(&s);
        CHECK_EQ(leat_release(&s, 1), 0);
        overtook = leat_try_acquire(&s, 1) == 0;
        if (overtook) {
            UNTIL(peek_sem(&s) == 1);
            CHECK_EQ(leat_release(&s, 1), 0);
            CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
        }
        CHECK_EQ(side_join(&waiter), 0);
    }
    CHECK(overtook);
}

struct queued {
    leat_sem s;
    _Atomic int next;
};

static int acquire_ticket(void *arg)
{
    struct queued *q = arg;
    int err = leat_acquire(&q->s, 1);
    return err ? err : atomic_fetch_add_explicit(&q->next, 1, memory_order_relaxed);
}

TEST(S3_threads_in_the_queue_are_served_in_order)
{
    enum { N = 5 };
    struct queued q = { .s = LEAT_SEM_OF(0, N) };
    side waiter[N];
    for (int i = 0; i < N; i++) {
        side_start(&waiter[i], acquire_ticket, &q);
        UNTIL(peek_sem(&q.s) == i + 1);
    }
    until_late(&q.s);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(leat_release(&q.s, 1), 0);
        UNTIL(atomic_load_explicit(&q.next, memory_order_relaxed) == i + 1);
    }
    for (int i = 0; i < N; i++) CHECK_EQ(side_join(&waiter[i]), i);
}

TEST(S2_a_thread_that_was_woken_for_nothing_keeps_the_first_place)
{
    for (bool overtaken = false; !overtaken;) { /* until this thread was faster than the one that was woken */
        struct queued q = { .s = LEAT_SEM_OF(0, 1) };
        side first, second;
        side_start(&first, acquire_ticket, &q);
        UNTIL(peek_sem(&q.s) == 1);
        side_start(&second, acquire_ticket, &q);
        UNTIL(peek_sem(&q.s) == 2);
        REQUIRE_EQ(leat_release(&q.s, 1), 0);
        overtaken = leat_try_acquire(&q.s, 1) == 0;
        if (overtaken) {
            UNTIL(peek_sem(&q.s) == 2); /* it is in the queue again */
            REQUIRE_EQ(leat_release(&q.s, 1), 0);
        }
        UNTIL(atomic_load_explicit(&q.next, memory_order_relaxed) == 1);
        REQUIRE_EQ(leat_release(&q.s, 1), 0);
        REQUIRE_EQ(side_join(&first), 0);
        REQUIRE_EQ(side_join(&second), 1);
    }
}

TEST(S2_one_release_of_many_permits_serves_all_that_wait)
{
    enum { N = 8 };
    leat_sem s = LEAT_SEM_OF(0, 2 * N);
    side waiter[N];
    struct call two = { NULL, &s, 2 };
    for (int i = 0; i < N; i++) side_start(&waiter[i], acquire, &two);
    UNTIL(peek_sem(&s) == N);
    CHECK_EQ(leat_release(&s, 2 * N), 0);
    for (int i = 0; i < N; i++) CHECK_EQ(side_join(&waiter[i]), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
}

TEST(S3_a_thread_that_is_served_late_passes_on_what_is_left)
{
    leat_sem s = LEAT_SEM_OF(0, 4);
    side a, b, c;
    side_start(&a, acquire, &(struct call){ NULL, &s, 2 });
    UNTIL(peek_sem(&s) == 1);
    side_start(&b, acquire, &(struct call){ NULL, &s, 1 });
    UNTIL(peek_sem(&s) == 2);
    side_start(&c, acquire, &(struct call){ NULL, &s, 1 });
    UNTIL(peek_sem(&s) == 3);
    until_late(&s);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN); /* fair from now on */
    CHECK_EQ(leat_release(&s, 4), 0);
    CHECK_EQ(side_join(&a), 0);
    CHECK_EQ(side_join(&b), 0);
    CHECK_EQ(side_join(&c), 0);
}

/* ==== Zero, and the largest =================================================================== */

TEST(a_zeroed_semaphore_has_no_permits_and_never_will)
{
    leat_sem s;
    memset(&s, 0, sizeof s);
    CHECK_EQ(leat_sem_available(&s), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
    CHECK_EQ(leat_acquire(&s, 1), -EDEADLK);
    CHECK_EQ(leat_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(leat_acquire(&s, 0), 0);
    CHECK_EQ(leat_sem_resize(&s, 1), 0);
    CHECK_EQ(leat_acquire(&s, 1), 0);
}

static void signal_it(int i, void *s)
{
    (void)i;
    for (int k = 0; k < tap_rounds(20000); k++) CHECK_EQ(leat_release(s, 1), 0);
}

static int count_them(void *s)
{
    for (int k = 0; k < 4 * tap_rounds(20000); k++)
        if (leat_acquire(s, 1)) return -1;
    return 0;
}

TEST(as_a_signal_every_release_is_one_acquire)
{
    leat_sem s = LEAT_SEM_OF(0, LEAT_SEM_MAX);
    side counter;
    side_start(&counter, count_them, &s);
    tap_threads(4, signal_it, &s);
    CHECK_EQ(side_join(&counter), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
}

TEST(the_largest_semaphore_counts_right)
{
    leat_sem s = LEAT_SEM(LEAT_SEM_MAX);
    CHECK_EQ(leat_sem_available(&s), LEAT_SEM_MAX);
    CHECK_EQ(leat_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(leat_sem_resize(&s, 1), -EINVAL);
    CHECK_EQ(leat_acquire(&s, LEAT_SEM_MAX), 0);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
    CHECK_EQ(leat_sem_resize(&s, -LEAT_SEM_MAX), 0);
    CHECK_EQ(leat_sem_available(&s), -LEAT_SEM_MAX);
    CHECK_EQ(leat_release(&s, LEAT_SEM_MAX), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
}

TEST(errno_is_never_touched)
{
    leat_sem s = LEAT_SEM(1);
    errno = 77;
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(within_10_ms(&s, 1), -ETIMEDOUT);
    CHECK_EQ(leat_release(&s, 2), -EOVERFLOW);
    CHECK_EQ(leat_sem_close(&s), 0);
    CHECK_EQ(leat_acquire(&s, 1), -EPIPE);
    CHECK_EQ(errno, 77);
}
