/* t-sem-resize.c - the number of permits can be changed while they are out: no thread waits for ever, no permit
 * appears from nowhere.
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

TEST(growing_serves_threads_that_wait)
{
    leat_sem s = LEAT_SEM(1);
    side a, b;
    struct call one = { NULL, &s, 1 };
    REQUIRE_EQ(leat_acquire(&s, 1), 0);
    side_start(&a, acquire, &one);
    side_start(&b, acquire, &one);
    UNTIL(peek_sem(&s) == 2);
    CHECK_EQ(leat_sem_resize(&s, 2), 0);
    CHECK_EQ(side_join(&a), 0);
    CHECK_EQ(side_join(&b), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
    CHECK_EQ(leat_release(&s, 3), 0);
    CHECK_EQ(leat_release(&s, 1), -EOVERFLOW);
}

TEST(what_was_too_much_before_may_be_had_after_growing)
{
    leat_sem s = LEAT_SEM(1);
    CHECK_EQ(leat_acquire(&s, 2), -EDEADLK);
    CHECK_EQ(leat_sem_resize(&s, 1), 0);
    CHECK_EQ(leat_acquire(&s, 2), 0);
}

TEST(shrinking_below_what_is_out_does_not_wait_and_is_paid_for_later)
{
    leat_sem s = LEAT_SEM(4);
    REQUIRE_EQ(leat_acquire(&s, 4), 0);
    CHECK_EQ(leat_sem_resize(&s, -3), 0);
    CHECK_EQ(leat_sem_available(&s), -3);
    CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(leat_release(&s, 1), 0);
        CHECK_EQ(leat_try_acquire(&s, 1), -EAGAIN);
    }
    CHECK_EQ(leat_release(&s, 1), 0);
    CHECK_EQ(leat_sem_available(&s), 1);
    CHECK_EQ(leat_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(leat_acquire(&s, 1), 0);
    CHECK_EQ(leat_acquire(&s, 2), -EDEADLK);
}

TEST(after_shrinking_all_that_is_out_comes_back_in_one_release)
{
    leat_sem s = LEAT_SEM(8);
    REQUIRE_EQ(leat_acquire(&s, 8), 0);
    CHECK_EQ(leat_sem_resize(&s, -6), 0);
    CHECK_EQ(leat_release(&s, 8), 0);
    CHECK_EQ(leat_sem_available(&s), 2);
}

TEST(while_it_is_below_zero_a_waiter_waits_and_is_served_when_it_is_paid_for)
{
    leat_sem s = LEAT_SEM(3);
    side waiter;
    REQUIRE_EQ(leat_acquire(&s, 3), 0);
    CHECK_EQ(leat_sem_resize(&s, -2), 0);
    side_start(&waiter, acquire, &(struct call){ NULL, &s, 1 });
    UNTIL(peek_sem(&s) == 1);
    CHECK_EQ(leat_release(&s, 1), 0);
    CHECK_EQ(leat_release(&s, 1), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
    CHECK_EQ(leat_release(&s, 1), 0);
    CHECK_EQ(side_join(&waiter), 0);
    CHECK_EQ(leat_sem_available(&s), 0);
}

TEST(an_impossible_size_is_refused_and_changes_nothing)
{
    leat_sem s = LEAT_SEM(2);
    CHECK_EQ(leat_sem_resize(&s, -3), -EINVAL);
    CHECK_EQ(leat_sem_resize(&s, LEAT_SEM_MAX - 1), -EINVAL);
    CHECK_EQ(leat_sem_resize(&s, INT64_MAX), -EINVAL);
    CHECK_EQ(leat_sem_resize(&s, INT64_MIN), -EINVAL);
    CHECK_EQ(leat_sem_available(&s), 2);
    CHECK_EQ(leat_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(leat_acquire(&s, 3), -EDEADLK);
    CHECK_EQ(leat_acquire(&s, 2), 0);
    CHECK_EQ(leat_release(&s, 2), 0);
    CHECK_EQ(leat_sem_resize(&s, 0), 0);
    CHECK_EQ(leat_sem_resize(&s, LEAT_SEM_MAX - 2), 0);
    CHECK_EQ(leat_sem_available(&s), LEAT_SEM_MAX);
}

TEST(a_request_that_can_never_be_served_after_shrinking_is_told_and_holds_up_no_other)
{
    leat_sem s = LEAT_SEM(4);
    side large, small;
    REQUIRE_EQ(leat_acquire(&s, 2), 0);
    side_start(&large, acquire, &(struct call){ NULL, &s, 4 });
    UNTIL(peek_sem(&s) == 1);
    leat_sleep(LEAT_MS(2)); /* it is first by now, and no thread overtakes it */
    side_start(&small, acquire, &(struct call){ NULL, &s, 1 });
    CHECK_EQ(leat_sem_resize(&s, -1), 0); /* 3, of which 2 are out */
    CHECK_EQ(side_join(&small), 0);
    CHECK_EQ(side_join(&large), -EDEADLK);
}

/* One thread acquires and releases all permits that it knows to be there. Another grows and shrinks the semaphore. No
 * release may be refused: what was acquired can be released, whatever the size is just now. */
struct breathing {
    leat_sem s;
    _Atomic bool done;
};

static void breathe(int i, void *arg)
{
    struct breathing *b = arg;
    if (i == 0) {
        for (int k = 0; k < tap_rounds(1000000); k++) {
            if (!CHECK_EQ(leat_acquire(&b->s, 2), 0)) break;
            if (!CHECK_EQ(leat_release(&b->s, 2), 0)) break;
        }
        atomic_store_explicit(&b->done, true, memory_order_relaxed);
    } else {
        while (!atomic_load_explicit(&b->done, memory_order_relaxed)) {
            CHECK_EQ(leat_sem_resize(&b->s, 1), 0);
            CHECK_EQ(leat_sem_resize(&b->s, -1), 0);
        }
    }
}

TEST(no_release_is_refused_because_the_size_changes)
{
    struct breathing b = { .s = LEAT_SEM(2) };
    tap_threads(2, breathe, &b);
    CHECK_EQ(leat_sem_available(&b.s), 2);
}
