/* t-clock.c - the first and the last moments of the clock, and deadlines that a word of the system cannot hold: the
 * headers run by a clock of ours.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tap.h"

#include "clock.h"
#include "staging.h"

/* As many seconds as the system's words hold: to the end of our 64 bits in nanoseconds, or of its 32 bits. */
static int64_t the_end(void)
{
    return sizeof(time_t) < 8 || sizeof(long) < 8 ? INT64_C(0x7FFFFFFF) * 1000000000 : INT64_MAX;
}

static void set_clock(int64_t now)
{
    ahead = 0;
    ahead = now - leat_now();
}

static int adds(leat_ctx *ctx, void *sum)
{
    atomic_fetch_add((_Atomic int *)sum, 1);
    return leat_ctx_err(ctx);
}

static int takes_turns(leat_ctx *ctx, void *sem)
{
    for (int i = 0; i < 50; i++) {
        if (leat_acquire_ctx(ctx, sem, 1)) return -1;
        if (leat_sleep_ctx(ctx, LEAT_US(100)) || leat_release(sem, 1)) return -2;
    }
    return 0;
}

/* All calls that read the clock. `far` is a duration that does not pass. */
static void all_that_waits(int64_t far)
{
    int_chan c;
    int m = 0;
    leat_sem sem = LEAT_SEM(1);
    leat_wg wg = LEAT_WG(1);
    leat_group g = LEAT_GROUP(NULL);
    leat_pool p;
    struct call k;
    _Atomic int sum = 0;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    for (int i = 0; i < 3; i++) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(3));
        CHECK_EQ(i == 0   ? leat_recv_ctx(&soon, &c, &m)
                 : i == 1 ? leat_wg_wait_ctx(&soon, &wg)
                          : leat_sleep_ctx(&soon, far),
                 -ETIMEDOUT);
        CHECK(leat_now() >= soon.deadline_);
    }
    leat_ctx late = LEAT_CTX_WITHIN(NULL, far), past = LEAT_CTX_WITHIN(NULL, -far);
    CHECK_EQ(leat_recv_ctx(&past, &c, &m), -ETIMEDOUT);
    CHECK_EQ(leat_ctx_err(&late), 0);
    recv_waits(&k, &late, &c);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    CHECK_EQ(end(&k), 0);
    CHECK_EQ(leat_go_n(&g, 3, takes_turns, &sem), 0); /* a task that has waited for 1 ms is next, by the clock */
    CHECK_EQ(leat_wait(&g), 0);
    REQUIRE_EQ(leat_pool_start(&p, &late, &(leat_pool_opts){ .workers = 2, .queue = 1 }), 0);
    for (int i = 0; i < 50; i++) CHECK_EQ(leat_submit_ctx(&late, &p, adds, &sum), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(sum, 50);
    leat_free(&c);
}

TEST(at_the_beginning_of_time)
{
    set_clock(0);
    CHECK(leat_now() < LEAT_S(60));
    all_that_waits(LEAT_S(100000));
}

TEST(at_the_end_of_time)
{
    set_clock(the_end() - LEAT_S(600));
    CHECK(leat_now() > the_end() - LEAT_S(601));
    all_that_waits(LEAT_S(1000));
    CHECK(leat_after(LEAT_S(1000)) > the_end() - 1);
}

TEST(a_thread_can_park_under_a_deadline_too_far_for_a_word_of_the_system)
{
    static const int64_t years[] = { 1, 67, 69, 137, 200, 290 };
    set_clock(LEAT_S(1000));
    for (size_t i = 0; i < COUNT(years); i++) {
        int_chan c;
        struct call k;
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_S(365 * 86400) * years[i]);
        REQUIRE_EQ(leat_make(&c, 1), 0);
        recv_waits(&k, &ctx, &c);
        int before = sleeps;
        (void)leat_sleep(LEAT_MS(20));
        CHECK(sleeps - before < 20);
        CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
        CHECK_EQ(end(&k), 0);
        leat_free(&c);
    }
}
