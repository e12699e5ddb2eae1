/* Closing loses nothing, invents nothing, and leaves no thread waiting. */
#include "staging.h"

#include <sched.h>

static const size_t capacities[] = { 0, 1, 2, 3, 64 };

TEST(a_send_on_a_closed_channel_says_EPIPE_in_every_form)
{
    for (size_t k = 0; k < COUNT(capacities); k++) {
        int_chan c;
        int m[3] = { 1, 2, 3 };
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_S(1000));
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        CHECK_EQ(leat_close(&c), 0);
        CHECK(leat_is_closed(&c));
        for (int again = 0; again < 3; again++) {
            CHECK_EQ(leat_send(&c, &m[0]), -EPIPE);
            CHECK_EQ(leat_try_send(&c, &m[0]), -EPIPE);
            CHECK_EQ(leat_send_ctx(&ctx, &c, &m[0]), -EPIPE);
            CHECK_EQ(leat_send_many(&c, m, 3), -EPIPE);
            leat_case one[] = { LEAT_SEND(&c, m) };
            CHECK_EQ(leat_select(one, 1), 0);
            CHECK_EQ(one[0].err, -EPIPE);
            CHECK_EQ(leat_try_select(one, 1), 0);
            CHECK_EQ(one[0].err, -EPIPE);
        }
        CHECK_EQ(leat_len(&c), 0);
        CHECK_EQ(leat_recv(&c, &m[0]), -EPIPE);
        leat_free(&c);
    }
}

TEST(a_full_channel_that_is_closed_says_EPIPE_to_senders_too)
{
    int_chan c;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    CHECK_EQ(leat_close(&c), 0);
    CHECK_EQ(leat_try_send(&c, &(int){ 2 }), -EPIPE);
    CHECK_EQ(leat_send(&c, &(int){ 2 }), -EPIPE);
    leat_free(&c);
}

TEST(what_was_sent_before_the_close_is_received_and_then_EPIPE_for_ever)
{
    for (size_t k = 1; k < COUNT(capacities); k++) {
        int_chan c;
        int cap = (int)capacities[k], m[3] = { -1, -1, -1 };
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        for (int i = 0; i < cap; i++) CHECK_EQ(leat_send(&c, &i), 0);
        CHECK_EQ(leat_close(&c), 0);
        CHECK_EQ(leat_len(&c), cap);
        for (int i = 0; i < cap; i++) {
            CHECK_EQ(i % 2 ? leat_recv(&c, m) : leat_try_recv(&c, m), 0);
            CHECK_EQ(m[0], i);
        }
        m[0] = 77;
        for (int again = 0; again < 3; again++) {
            CHECK_EQ(leat_recv(&c, m), -EPIPE);
            CHECK_EQ(leat_try_recv(&c, m), -EPIPE);
            CHECK_EQ(leat_recv_ctx(NULL, &c, m), -EPIPE);
            CHECK_EQ(leat_recv_many(&c, m, 3), -EPIPE);
            leat_case two[] = { LEAT_RECV((int_chan *)NULL, m), LEAT_RECV(&c, m) };
            CHECK_EQ(leat_select(two, 2), 1);
            CHECK_EQ(two[1].err, -EPIPE);
            CHECK_EQ(m[0], 77); /* untouched */
        }
        leat_free(&c);
    }
}

TEST(a_second_close_is_harmless_and_reported)
{
    for (size_t k = 0; k < COUNT(capacities); k++) {
        int_chan c;
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        CHECK_EQ(leat_close(&c), 0);
        for (int again = 0; again < 3; again++) CHECK_EQ(leat_close(&c), -EALREADY);
        leat_free(&c);
    }
}

TEST(close_wakes_every_receiver)
{
    enum { N = 8 };
    for (size_t k = 0; k < COUNT(capacities); k++) {
        int_chan c;
        struct call r[N];
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        for (int i = 0; i < N; i++) begin_recv(&r[i], NULL, &c);
        UNTIL(receivers(&c) == N);
        CHECK_EQ(leat_close(&c), 0);
        for (int i = 0; i < N; i++) {
            CHECK_EQ(end(&r[i]), -EPIPE);
            CHECK_EQ(r[i].msg, -1); /* untouched */
        }
        leat_free(&c);
    }
}

TEST(close_wakes_every_sender_and_their_messages_are_not_sent)
{
    enum { N = 6 };
    for (size_t k = 0; k < COUNT(capacities); k++) {
        int_chan c;
        struct call s[N];
        int cap = (int)capacities[k], m;
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        for (int i = 0; i < cap; i++) CHECK_EQ(leat_send(&c, &i), 0);
        for (int i = 0; i < N; i++) begin_send(&s[i], NULL, &c, 1000 + i);
        UNTIL(senders(&c) == N);
        CHECK_EQ(leat_close(&c), 0);
        for (int i = 0; i < N; i++) CHECK_EQ(end(&s[i]), -EPIPE);
        for (int i = 0; i < cap; i++) CHECK(leat_recv(&c, &m) == 0 && m == i);
        CHECK_EQ(leat_recv(&c, &m), -EPIPE);
        leat_free(&c);
    }
}

TEST(close_wakes_both_sides_of_a_select)
{
    int_chan a, b;
    struct call r, s;
    int m = 0;
    REQUIRE_EQ(leat_make(&a, 0), 0);
    REQUIRE_EQ(leat_make(&b, 1), 0);
    recv_waits(&r, NULL, &a);
    CHECK_EQ(leat_send(&b, &m), 0);
    send_waits(&s, NULL, &b, 1);
    CHECK_EQ(leat_close(&a), 0);
    CHECK_EQ(leat_close(&b), 0);
    CHECK_EQ(end(&r), -EPIPE);
    CHECK_EQ(end(&s), -EPIPE);
    CHECK_EQ(leat_recv(&b, &m), 0);
    leat_case cases[] = { LEAT_SEND(&a, &m), LEAT_RECV(&b, &m) };
    bool seen[2] = { false, false };
    for (int i = 0; i < 100; i++) {
        int at = leat_select(cases, 2);
        REQUIRE(at == 0 || at == 1);
        CHECK_EQ(cases[at].err, -EPIPE);
        seen[at] = true;
    }
    CHECK(seen[0] && seen[1]);
    leat_free(&a);
    leat_free(&b);
}

/* ---- Races with close ---------------------------------------------------------------------------- */

enum { MOST = 3000, SENDERS = 3, RECEIVERS = 2 };

struct race {
    int_chan c;
    _Atomic int sent[SENDERS], got[SENDERS][MOST], early;
    _Atomic int closed; /* how many calls returned 0 */
    int closers, after;
};

static void race_part(int i, void *arg)
{
    struct race *r = arg;
    if (i < SENDERS) {
        for (int n = 0; n < MOST; n++) {
            int err = leat_send(&r->c, &(int){ i * MOST + n });
            if (err) {
                CHECK_EQ(err, -EPIPE);
                CHECK_EQ(leat_send(&r->c, &i), -EPIPE); /* and so for ever */
                break;
            }
            atomic_store_explicit(&r->sent[i], n + 1, memory_order_relaxed);
        }
    } else if (i < SENDERS + RECEIVERS) {
        int err, m, last[SENDERS] = { -1, -1, -1 };
        while ((err = leat_recv(&r->c, &m)) == 0) {
            atomic_fetch_add_explicit(&r->got[m / MOST][m % MOST], 1, memory_order_relaxed);
            CHECK(m % MOST > last[m / MOST]);
            last[m / MOST] = m % MOST;
            atomic_fetch_add_explicit(&r->early, 1, memory_order_relaxed);
        }
        CHECK_EQ(err, -EPIPE);
    } else {
        while (atomic_load_explicit(&r->early, memory_order_relaxed) < r->after) sched_yield();
        int err = leat_close(&r->c);
        CHECK(err == 0 || err == -EALREADY);
        CHECK(leat_is_closed(&r->c)); /* whichever thread closed it */
        CHECK_EQ(leat_try_send(&r->c, &i), -EPIPE);
        if (!err) atomic_fetch_add_explicit(&r->closed, 1, memory_order_relaxed);
    }
}

static void run_race(size_t cap, int closers, int after)
{
    static struct race r;
    memset(&r, 0, sizeof r);
    r.closers = closers;
    r.after = after;
    REQUIRE_EQ(leat_make(&r.c, cap), 0);
    tap_threads(SENDERS + RECEIVERS + closers, race_part, &r);
    CHECK_EQ(atomic_load_explicit(&r.closed, memory_order_relaxed), 1);
    for (int s = 0; s < SENDERS; s++)
        for (int n = 0; n < MOST; n++) {
            bool sent = n < atomic_load_explicit(&r.sent[s], memory_order_relaxed);
            if (!CHECK_EQ(atomic_load_explicit(&r.got[s][n], memory_order_relaxed), sent)) return;
        }
    leat_free(&r.c);
}

TEST(a_send_that_races_with_close_is_received_once_or_says_EPIPE)
{
    uint64_t rng = tap_seed(0);
    for (int i = 0; i < tap_rounds(300); i++) run_race(capacities[(size_t)i % COUNT(capacities)], 1, tap_below(&rng, 500));
}

TEST(of_several_closers_exactly_one_closes_and_for_all_it_is_closed)
{
    uint64_t rng = tap_seed(1);
    for (int i = 0; i < tap_rounds(300); i++) run_race(capacities[(size_t)i % COUNT(capacities)], 4, tap_below(&rng, 100));
}

static void close_only(int i, void *arg)
{
    struct race *r = arg;
    (void)i;
    int err = leat_close(&r->c);
    CHECK(err == 0 || err == -EALREADY);
    CHECK(leat_is_closed(&r->c));
    if (!err) atomic_fetch_add_explicit(&r->closed, 1, memory_order_relaxed);
}

TEST(of_closers_that_start_together_exactly_one_gets_0)
{
    static struct race r;
    for (int i = 0; i < tap_rounds(2000); i++) {
        REQUIRE_EQ(leat_make(&r.c, 1), 0);
        atomic_store_explicit(&r.closed, 0, memory_order_relaxed);
        tap_threads(3, close_only, &r);
        if (!CHECK_EQ(atomic_load_explicit(&r.closed, memory_order_relaxed), 1)) break;
        leat_free(&r.c);
    }
}

TEST(a_forgotten_close_is_noticed_by_receivers_with_a_deadline)
{
    int_chan c;
    int m;
    REQUIRE_EQ(leat_make(&c, 4), 0);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(20));
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    CHECK_EQ(leat_recv_ctx(&soon, &c, &m), 0);
    CHECK_EQ(leat_recv_ctx(&soon, &c, &m), -ETIMEDOUT); /* no thread closes it */
    leat_free(&c);
}

/* A closer that is stopped half-way. Nothing more is sent, and no call reports the end before the channel is closed. */
TEST(a_channel_that_is_being_closed_takes_nothing_and_is_not_closed_yet)
{
    int_chan c;
    struct call r;
    REQUIRE_EQ(leat_make(&c, 2), 0);
    atomic_fetch_or_explicit(&c.chan.ends_[LEAT_SENDS_].at_, LEAT_CLOSING_, memory_order_relaxed);
    begin_recv(&r, NULL, &c);
    a_while();
    CHECK(!is_over(&r));
    CHECK_EQ(receivers(&c), 0); /* not parked: the closer has resolved the queue already */
    CHECK(!leat_is_closed(&c));
    atomic_fetch_or_explicit(&c.chan.ends_[LEAT_SENDS_].at_, LEAT_CLOSED_, memory_order_release);
    CHECK_EQ(end(&r), -EPIPE);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), -EPIPE);
    leat_free(&c);
}

/* The last sender has claimed its slot before the close, and is stopped before it publishes. */
TEST(a_message_in_flight_when_the_channel_closes_is_still_received)
{
    int_chan c;
    struct call r;
    REQUIRE_EQ(leat_make(&c, 2), 0);
    struct slow s = slow_send(&c);
    CHECK_EQ(leat_close(&c), 0);
    begin_recv(&r, NULL, &c);
    a_while();
    CHECK(!is_over(&r)); /* neither EPIPE nor a message that is not there */
    slow_send_publish(&s, 9);
    CHECK_EQ(end(&r), 0);
    CHECK_EQ(r.msg, 9);
    CHECK_EQ(leat_recv(&c, &(int){ 0 }), -EPIPE);
    leat_free(&c);
}

TEST(a_channel_that_was_freed_is_closed_and_no_call_waits_on_it_for_ever)
{
#ifdef LEAT_DEBUG
    SKIP("LEAT_DEBUG calls it misuse");
#else
    for (size_t cap = 0; cap < 3; cap += 2) {
        int_chan c;
        int m = 1;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        if (cap) CHECK_EQ(leat_send(&c, &m), 0);
        leat_free(&c);
        leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_SEND(&c, &m) };
        CHECK_EQ(leat_send(&c, &m), -EPIPE);
        CHECK_EQ(leat_recv(&c, &m), -EPIPE);
        CHECK_EQ(leat_try_send(&c, &m), -EPIPE);
        CHECK_EQ(leat_try_recv(&c, &m), -EPIPE);
        CHECK_EQ(leat_send_many(&c, &m, 1), -EPIPE);
        CHECK_EQ(leat_recv_many(&c, &m, 1), -EPIPE);
        CHECK(leat_select(cases, 2) >= 0 && (cases[0].err == -EPIPE || cases[1].err == -EPIPE));
        CHECK_EQ(leat_close(&c), -EALREADY);
        CHECK(leat_is_closed(&c) && !leat_len(&c) && !leat_cap(&c));
        leat_free(&c);
        REQUIRE_EQ(leat_make(&c, 1), 0);
        CHECK_EQ(leat_send(&c, &m), 0);
        leat_free(&c);
    }
#endif
}
