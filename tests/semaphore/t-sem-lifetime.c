/* t-sem-lifetime.c - a semaphore may be gone the moment its permits were acquired, for example a reply on a stack.
 * SPDX-License-Identifier: MIT
 *
 * Under AddressSanitizer a late access is reported. Elsewhere the memory is filled with a pattern at once, and
 * checked a while later. */
#include "peek.h"

enum { LATER = 16, PATTERN = 0xA5 };

/* Hands a semaphore to the other thread. NULL ends it. */
struct handoff {
    _Atomic(leat_sem *) s;
    int way;
};

static int give(void *arg)
{
    struct handoff *f = arg;
    for (;;) {
        leat_sem *s;
        while (!(s = atomic_exchange_explicit(&f->s, NULL, memory_order_acquire))) leat_os_yield_();
        if (s == (leat_sem *)(void *)f) return 0;
        int err = 0;
        if (f->way == 0) err = leat_release(s, 1);
        else err = leat_sem_close(s);
        if (err) return err;
    }
}

static void rest(uint64_t *rng) /* so that the two come together in all ways: before the wait, while it spins, parked */
{
    int n = tap_below(rng, 64);
    if (n == 0) leat_sleep(LEAT_US(60));
    else if (n < 8) leat_os_yield_();
    else
        for (int i = 0; i < n; i++) leat_os_pause_();
}

static void handoff_many(int way, int rounds)
{
    struct handoff f = { .way = way };
    leat_sem *late[LATER] = { NULL };
    uint64_t rng = tap_seed(way);
    side other;
    side_start(&other, give, &f);
    for (int k = 0; k < rounds; k++) {
        leat_sem **slot = &late[k % LATER];
        for (size_t i = 0; *slot && i < sizeof **slot; i++)
            REQUIRE_EQ(((unsigned char *)*slot)[i], PATTERN); /* else a thread wrote to what was gone */
        free(*slot);
        leat_sem *s = *slot = malloc(sizeof *s);
        REQUIRE(s);
        *s = (leat_sem)LEAT_SEM_OF(0, 1);
        atomic_store_explicit(&f.s, s, memory_order_release);
        rest(&rng);
        REQUIRE_EQ(leat_acquire(s, 1), way == 1 ? -EPIPE : 0);
        if (TAP_SLOW) {
            free(s);
            *slot = NULL;
        } else {
            memset(s, PATTERN, sizeof *s);
        }
    }
    for (int i = 0; i < LATER; i++) free(late[i]);
    UNTIL(!atomic_load_explicit(&f.s, memory_order_relaxed));
    atomic_store_explicit(&f.s, (leat_sem *)(void *)&f, memory_order_release);
    CHECK_EQ(side_join(&other), 0);
}

TEST(S1_a_thread_that_acquired_may_free_the_semaphore_while_release_has_not_returned)
{
    handoff_many(0, tap_rounds(100000));
}

TEST(a_thread_that_was_told_of_the_close_may_free_the_semaphore_while_close_has_not_returned)
{
    handoff_many(1, tap_rounds(50000));
}

static int give_once(void *arg)
{
    struct handoff *f = arg;
    leat_sem *s;
    while (!(s = atomic_exchange_explicit(&f->s, NULL, memory_order_acquire))) leat_os_yield_();
    return leat_release(s, 1) ? 1 : 0;
}

static void on_the_stack(struct handoff *f, uint64_t *rng)
{
    leat_sem s = LEAT_SEM_OF(0, 1);
    atomic_store_explicit(&f->s, &s, memory_order_release);
    rest(rng);
    REQUIRE_EQ(leat_acquire(&s, 1), 0);
}

static int give_on(void *arg)
{
    struct handoff *f = arg;
    int err = 0;
    for (int k = 0; k < f->way && !err; k++) err = give_once(f);
    return err;
}

TEST(S1_a_semaphore_on_a_stack_frame_that_is_left_at_once)
{
    struct handoff f = { .way = TAP_SLOW ? 50000 : 200000 };
    uint64_t rng = tap_seed(9);
    side other;
    side_start(&other, give_on, &f);
    for (int k = 0; k < f.way; k++) on_the_stack(&f, &rng);
    CHECK_EQ(side_join(&other), 0);
}

/* Two waiters, two releases, one of which serves both from the queue. Both waiters then have their permits, so no
 * release accesses the semaphore any more. */
struct two {
    _Atomic(leat_sem *) s;
    _Atomic int got;
    int rounds;
};

static void two_and_two(int i, void *arg)
{
    struct two *t = arg;
    uint64_t rng = tap_seed(i);
    for (int k = 0; k < t->rounds; k++) {
        leat_sem *s;
        if (i == 0) {
            s = malloc(sizeof *s);
            REQUIRE(s);
            *s = (leat_sem)LEAT_SEM_OF(0, 2);
            atomic_store_explicit(&t->got, 0, memory_order_relaxed);
            atomic_store_explicit(&t->s, s, memory_order_release);
            rest(&rng);
            REQUIRE_EQ(leat_acquire(s, 1), 0);
            REQUIRE_EQ(leat_acquire(s, 1), 0);
            free(s); /* the two releases may not have returned */
            while (atomic_load_explicit(&t->got, memory_order_acquire) != 2) leat_os_yield_();
            atomic_store_explicit(&t->s, NULL, memory_order_release);
            while (atomic_load_explicit(&t->got, memory_order_acquire) != 4) leat_os_yield_();
        } else {
            while (!(s = atomic_load_explicit(&t->s, memory_order_acquire))) leat_os_yield_();
            rest(&rng);
            REQUIRE_EQ(leat_release(s, 1), 0);
            atomic_fetch_add_explicit(&t->got, 1, memory_order_acq_rel);
            while (atomic_load_explicit(&t->s, memory_order_acquire)) leat_os_yield_();
            atomic_fetch_add_explicit(&t->got, 1, memory_order_acq_rel);
        }
    }
}

TEST(S1_a_thread_that_acquired_twice_may_free_what_two_threads_released)
{
    struct two t = { .rounds = tap_rounds(20000) };
    tap_threads(3, two_and_two, &t);
}
