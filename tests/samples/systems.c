/* systems.c - what of leat depends on the system, for a machine of another kind, or with stand-ins for its calls
 * (tests/systems/): waits, wakes, deadlines, errno, threads.
 * SPDX-License-Identifier: MIT */
#include "tap.h"

#define LEAT_NO_URCU
#include "pool.h"
#include "topic.h"

typedef LEAT_CHAN(int) int_chan;

static int echoes(leat_ctx *ctx, void *chans)
{
    int_chan *c = chans;
    int err = 0;
    for (int m; (err = leat_recv_ctx(ctx, &c[0], &m)) == 0;)
        if ((err = leat_send_ctx(ctx, &c[1], &m)) != 0) return err;
    return err == -EPIPE ? 0 : err;
}

TEST(parked_threads_are_woken)
{
    int_chan c[2];
    memset(c, 0, sizeof c);
    leat_group g = LEAT_GROUP(NULL);
    errno = EDOM;
    REQUIRE_EQ(leat_go(&g, echoes, c), 0);
    for (int i = 0; i < 300; i++) {
        int m = -1;
        REQUIRE_EQ(leat_send(&c[0], &i), 0);
        if (i % 50 == 0) REQUIRE_EQ(leat_sleep(LEAT_MS(1)), 0); /* now both sides sleep in turn */
        REQUIRE_EQ(leat_recv(&c[1], &m), 0);
        REQUIRE_EQ(m, i);
    }
    CHECK_EQ(leat_close(&c[0]), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(errno, EDOM);
}

TEST(a_wait_ends_at_its_deadline_and_not_before)
{
    int_chan c = { 0 };
    int m;
    errno = EDOM;
    for (int64_t d = LEAT_US(10); d < LEAT_MS(200); d *= 7) {
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, d);
        int64_t late = leat_ctx_deadline(&ctx);
        CHECK_EQ(leat_recv_ctx(&ctx, &c, &m), -ETIMEDOUT);
        CHECK(leat_now() >= late);
        CHECK(leat_now() < late + LEAT_S(20));
        leat_os_event_ e;
        leat_os_init_(&e);
        int r, rounds = 0;
        for (late = leat_now() + d; (r = leat_os_wait_(&e, 0, late)) == 0; rounds++) {}
        CHECK_EQ(r, -ETIMEDOUT);
        CHECK(leat_now() >= late);
        CHECK(rounds < 60); /* it sleeps, even if each wait ends half-way */
        leat_os_done_(&e);
    }
    CHECK_EQ(errno, EDOM);
}

TEST(a_deadline_that_is_far_away_is_not_now)
{
    leat_group g = LEAT_GROUP(NULL);
    int_chan both[2];
    memset(both, 0, sizeof both);
    REQUIRE_EQ(leat_go(&g, echoes, both), 0);
    for (int64_t far = LEAT_S(1000);
         far > 0 && far<LEAT_FOREVER; far = far> LEAT_FOREVER / 1000 ? LEAT_FOREVER : far * 1000) {
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, far - 1);
        int m = 7;
        CHECK_EQ(leat_send_ctx(&ctx, &both[0], &m), 0);
        CHECK_EQ(leat_sleep(LEAT_MS(2)), 0);
        CHECK_EQ(leat_recv_ctx(&ctx, &both[1], &m), 0);
    }
    leat_close(&both[0]);
    CHECK_EQ(leat_wait(&g), 0);
}

TEST(a_deadline_that_has_passed_is_seen_at_once)
{
    leat_os_event_ e;
    leat_os_init_(&e);
    CHECK_EQ(leat_os_wait_(&e, 0, 0), -ETIMEDOUT);
    CHECK_EQ(leat_os_wait_(&e, 0, INT64_MIN), -ETIMEDOUT);
    CHECK_EQ(leat_os_wait_(&e, 0, 1), -ETIMEDOUT);
    CHECK_EQ(leat_os_wait_(&e, 1, LEAT_FOREVER), 0); /* the value is another */
    leat_os_done_(&e);
}

static int counts(leat_ctx *ctx, void *n)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic(int) *)n, 1, memory_order_relaxed);
    return 0;
}

TEST(a_pool_runs_its_jobs_and_stops)
{
    leat_pool p;
    _Atomic(int) n = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3 }), 0);
    for (int i = 0; i < 200; i++) REQUIRE_EQ(leat_submit(&p, counts, &n), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(n, 200);
    CHECK(leat_cpus() >= 1);
}

TEST(signals_are_caught_or_refused)
{
#if defined LEAT_NO_SIGNALS_
    CHECK_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), -ENOSYS);
#else
    leat_ctx ctx = LEAT_CTX(NULL);
    REQUIRE_EQ(leat_cancel_on_signals(&ctx, SIGTERM, 0), 0);
    raise(SIGTERM);
    while (!leat_ctx_err(&ctx)) leat_sleep(LEAT_MS(1));
    CHECK_EQ(leat_ctx_err(&ctx), -ECANCELED);
    CHECK_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0);
#endif
}
