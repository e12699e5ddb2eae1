/* -EAGAIN is exact: at one instant during the call the channel really was empty, or full. */
#include "staging.h"

TEST(a_try_on_an_idle_channel_returns_what_is_so)
{
    for (size_t cap = 1; cap < 5; cap++) {
        int_chan c;
        int m;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        for (int lap = 0; lap < 5; lap++) {
            CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
            for (int i = 0; i < (int)cap; i++) CHECK_EQ(leat_try_send(&c, &i), 0);
            CHECK_EQ(leat_try_send(&c, &lap), -EAGAIN);
            for (int i = 0; i < (int)cap; i++) CHECK(leat_try_recv(&c, &m) == 0 && m == i);
        }
        leat_free(&c);
    }
}

/* ---- One message and a close: something is always there ------------------------------------------ */

struct duel {
    int_chan c;
    _Atomic int turn, done;
    int rounds;
};

static void closer(void *arg)
{
    struct duel *d = arg;
    for (int i = 1; i <= d->rounds; i++) {
        UNTIL(atomic_load_explicit(&d->turn, memory_order_acquire) == i);
        CHECK_EQ(leat_close(&d->c), 0);
        atomic_store_explicit(&d->done, i, memory_order_release);
    }
}

TEST(a_try_recv_of_the_last_message_is_not_confused_by_a_close)
{
    struct duel d = { .rounds = tap_rounds(10000) };
    struct actor a;
    enter(&a, closer, &d);
    for (int i = 1; i <= d.rounds; i++) {
        int m = 0;
        REQUIRE_EQ(leat_make(&d.c, 1), 0);
        CHECK_EQ(leat_send(&d.c, &i), 0);
        atomic_store_explicit(&d.turn, i, memory_order_release);
        CHECK_EQ(leat_try_recv(&d.c, &m), 0); /* never -EAGAIN, never -EPIPE */
        CHECK_EQ(m, i);
        UNTIL(atomic_load_explicit(&d.done, memory_order_acquire) == i);
        CHECK_EQ(leat_try_recv(&d.c, &m), -EPIPE);
        leat_free(&d.c);
    }
    leave(&a);
}

/* ---- Linearizable -------------------------------------------------------------------------------- */

static void send_then_try(int i, void *arg)
{
    int_chan *c = arg;
    for (int n = 0, m; n < tap_rounds(25000); n++) {
        CHECK_EQ(leat_send(c, &i), 0);
        if (!CHECK_EQ(leat_try_recv(c, &m), 0)) return; /* at least as many sent as taken */
    }
}

TEST(after_my_send_my_try_recv_finds_something)
{
    for (size_t cap = 4; cap < 7; cap++) {
        int_chan c;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        tap_threads(4, send_then_try, &c);
        CHECK_EQ(leat_len(&c), 0);
        leat_free(&c);
    }
}

static void recv_then_try(int i, void *arg)
{
    int_chan *c = arg;
    for (int n = 0, m; n < tap_rounds(25000); n++) {
        CHECK_EQ(leat_recv(c, &m), 0);
        if (!CHECK_EQ(leat_try_send(c, &i), 0)) return;
    }
}

TEST(after_my_recv_my_try_send_finds_room)
{
    for (size_t cap = 4; cap < 7; cap++) {
        int_chan c;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        for (int i = 0; i < (int)cap; i++) CHECK_EQ(leat_send(&c, &i), 0);
        tap_threads(4, recv_then_try, &c);
        CHECK_EQ(leat_len(&c), cap);
        leat_free(&c);
    }
}

static void select_then_try(int i, void *arg)
{
    int_chan *c = arg;
    for (int n = 0, m; n < tap_rounds(25000); n++) {
        leat_case in[] = { LEAT_SEND(&c[0], &i), LEAT_SEND(&c[1], &i) };
        REQUIRE(leat_select(in, 2) >= 0);
        leat_case out[] = { LEAT_RECV(&c[0], &m), LEAT_RECV(&c[1], &m) };
        if (!CHECK(leat_try_select(out, 2) >= 0)) return;
    }
}

TEST(after_my_send_to_one_of_two_my_try_over_both_finds_something)
{
    int_chan c[2];
    REQUIRE_EQ(leat_make(&c[0], 4), 0);
    REQUIRE_EQ(leat_make(&c[1], 4), 0);
    tap_threads(4, select_then_try, c);
    leat_free(&c[0]);
    leat_free(&c[1]);
}

/* ---- Another call is in flight ------------------------------------------------------------------- */

static void do_try_recv(void *p)
{
    struct call *k = p;
    k->err = leat_try_recv(k->c, &k->msg);
    atomic_store_explicit(&k->over, true, memory_order_release);
}

static void do_try_send(void *p)
{
    struct call *k = p;
    k->err = leat_try_send(k->c, &k->msg);
    atomic_store_explicit(&k->over, true, memory_order_release);
}

TEST(a_message_that_was_sent_is_not_denied_while_another_send_is_in_flight)
{
    int_chan c;
    struct call k;
    REQUIRE_EQ(leat_make(&c, 4), 0);
    struct slow s = slow_send(&c);
    CHECK_EQ(leat_send(&c, &(int){ 2 }), 0); /* behind it, complete */
    begin_(&k, NULL, &c, -1, do_try_recv);
    a_while();
    CHECK(!is_over(&k)); /* the channel is not empty, so -EAGAIN would be wrong */
    slow_send_publish(&s, 1);
    CHECK_EQ(end(&k), 0);
    CHECK_EQ(k.msg, 1);
    CHECK(leat_try_recv(&c, &k.msg) == 0 && k.msg == 2);
    CHECK_EQ(leat_try_recv(&c, &k.msg), -EAGAIN);
    leat_free(&c);
}

TEST(room_that_was_made_is_not_denied_while_another_receive_is_in_flight)
{
    int_chan c;
    struct call k;
    int m;
    REQUIRE_EQ(leat_make(&c, 2), 0);
    for (int i = 1; i <= 2; i++) CHECK_EQ(leat_send(&c, &i), 0);
    struct slow s = slow_recv(&c);
    CHECK(leat_recv(&c, &m) == 0 && m == 2);
    begin_(&k, NULL, &c, 3, do_try_send);
    a_while();
    CHECK(!is_over(&k));
    CHECK_EQ(slow_recv_publish(&s), 1);
    CHECK_EQ(end(&k), 0);
    CHECK(leat_try_recv(&c, &m) == 0 && m == 3);
    leat_free(&c);
}

TEST(a_select_does_not_wait_for_a_claim_in_flight_if_another_channel_is_ready)
{
    int_chan a, b;
    int m;
    REQUIRE_EQ(leat_make(&a, 2), 0);
    REQUIRE_EQ(leat_make(&b, 2), 0);
    struct slow s = slow_send(&a);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(leat_send(&b, &(int){ 5 }), 0);
        leat_case cases[] = { LEAT_RECV(&a, &m), LEAT_RECV(&b, &m) };
        CHECK_EQ(i % 2 ? leat_select(cases, 2) : leat_try_select(cases, 2), 1);
    }
    slow_send_publish(&s, 1);
    leat_free(&a);
    leat_free(&b);
}

/* ---- Either this or that is ready ---------------------------------------------------------------- */

struct pair {
    int_chan c1, c2;
    _Atomic int turn, done;
    int rounds;
    bool closes;
};

static void first_this_then_not_that(void *arg)
{
    struct pair *p = arg;
    for (int i = 1, m; i <= p->rounds; i++) {
        UNTIL(atomic_load_explicit(&p->turn, memory_order_acquire) == i);
        if (p->closes) CHECK_EQ(leat_close(&p->c2), 0);
        else CHECK_EQ(leat_send(&p->c2, &i), 0);
        (void)leat_try_recv(&p->c1, &m); /* only now may the first be empty */
        atomic_store_explicit(&p->done, i, memory_order_release);
    }
}

static void run_pair(bool closes, bool reversed)
{
    struct pair p = { .rounds = tap_rounds(50000), .closes = closes };
    struct actor a;
    enter(&a, first_this_then_not_that, &p);
    for (int i = 1, m; i <= p.rounds; i++) {
        REQUIRE_EQ(leat_make(&p.c1, 1), 0);
        REQUIRE_EQ(leat_make(&p.c2, 1), 0);
        CHECK_EQ(leat_send(&p.c1, &i), 0);
        atomic_store_explicit(&p.turn, i, memory_order_release);
        leat_case cases[] = { LEAT_RECV(reversed ? &p.c2 : &p.c1, &m), LEAT_RECV(reversed ? &p.c1 : &p.c2, &m) };
        CHECK(leat_try_select(cases, 2) >= 0);
        UNTIL(atomic_load_explicit(&p.done, memory_order_acquire) == i);
        leat_free(&p.c1);
        leat_free(&p.c2);
    }
    leave(&a);
}

TEST(a_try_select_sees_that_one_of_two_was_always_ready)
{
    run_pair(false, false);
    run_pair(false, true);
}

TEST(a_try_select_sees_that_one_was_ready_or_the_other_closed)
{
    run_pair(true, false);
    run_pair(true, true);
}

struct two {
    int_chan a, b;
    int result, m;
};

static void try_two(void *arg)
{
    struct two *t = arg;
    leat_case cases[] = { LEAT_RECV(&t->a, &t->m), LEAT_RECV(&t->b, &t->m) };
    t->result = leat_try_select(cases, 2);
}

/* A thread T tries a select over a and b. It looks at a, which is empty, and is held up before it looks at b.
 * Meanwhile a message comes to a, and only then b loses its sender. At every instant one of the two was ready. */
TEST(a_try_select_that_was_held_up_between_two_looks_looks_again)
{
    struct two t;
    struct call s;
    struct actor a;
    REQUIRE_EQ(leat_make(&t.a, 1), 0);
    REQUIRE_EQ(leat_make(&t.b, 0), 0);
    leat_ctx ctx = LEAT_CTX(NULL);
    send_waits(&s, &ctx, &t.b, 2);
    leat_lock_take_(&t.b.chan.lock_);
    enter(&a, try_two, &t);
    a_while(); /* now it waits for the lock of b */
    CHECK_EQ(leat_send(&t.a, &(int){ 1 }), 0);
    leat_cancel(&ctx, 0);
    leat_lock_drop_(&t.b.chan.lock_);
    leave(&a);
    CHECK_EQ(end(&s), -ECANCELED);
    if (CHECK_EQ(t.result, 0)) CHECK_EQ(t.m, 1);
    leat_free(&t.a);
}

/* ---- Unbuffered: there is a partner or there is none --------------------------------------------- */

TEST(an_unbuffered_try_succeeds_only_with_a_parked_partner)
{
    int_chan c;
    struct call k;
    int m = 0;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(leat_try_send(&c, &i), -EAGAIN);
        CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
        recv_waits(&k, NULL, &c);
        CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN); /* another receiver is no partner */
        CHECK_EQ(leat_try_send(&c, &i), 0);
        CHECK_EQ(leat_try_send(&c, &i), -EAGAIN);
        CHECK_EQ(end(&k), 0);
        CHECK_EQ(k.msg, i);
        send_waits(&k, NULL, &c, -i);
        CHECK_EQ(leat_try_send(&c, &i), -EAGAIN);
        CHECK_EQ(leat_try_recv(&c, &m), 0);
        CHECK_EQ(m, -i);
        CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
        CHECK_EQ(end(&k), 0);
    }
    leat_free(&c);
}
