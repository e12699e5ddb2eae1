/* The invariants I1 to I7 of queue.h, each brought to the point where it decides.
 *
 * Calls that must not hang have a deadline of some seconds. A lost wake-up is then a failure that says so. */
#include "staging.h"

#include <sched.h>

#define RESCUE LEAT_S(TAP_SLOW ? 40 : 10)

/* ==== I1: no thread parks unless it looked after the bit was set ================================== */

struct ping {
    int_chan c[2];
    int n;
};

static void ping_part(int i, void *arg)
{
    struct ping *p = arg;
    uint64_t rng = tap_seed(i);
    for (int k = 0, m; k < p->n; k++) {
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
        for (int pause = tap_below(&rng, 60); pause > 0; pause--) leat_os_pause_();
        if (i == 0) REQUIRE_EQ(leat_send_ctx(&rescue, &p->c[0], &k), 0);
        REQUIRE_EQ(leat_recv_ctx(&rescue, &p->c[i == 0], &m), 0);
        REQUIRE_EQ(m, k);
        if (i == 1) REQUIRE_EQ(leat_send_ctx(&rescue, &p->c[1], &k), 0);
    }
}

TEST(I1_no_wake_is_lost_between_looking_and_parking)
{
    never_spin(); /* from here on in this program */
    for (size_t cap = 0; cap < 3; cap++) {
        struct ping p = { .n = tap_rounds(20000) };
        REQUIRE_EQ(leat_make(&p.c[0], cap), 0);
        REQUIRE_EQ(leat_make(&p.c[1], cap), 0);
        tap_threads(2, ping_part, &p);
        leat_free(&p.c[0]);
        leat_free(&p.c[1]);
    }
}

static void narrow_part(int i, void *arg)
{
    struct ping *p = arg;
    for (int k = 0, m; k < p->n; k++) {
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
        if (i % 2) REQUIRE_EQ(leat_send_ctx(&rescue, &p->c[0], &k), 0);
        else REQUIRE_EQ(leat_recv_ctx(&rescue, &p->c[0], &m), 0);
    }
}

TEST(I1_full_and_empty_in_turn_loses_no_wake_on_either_side)
{
    for (int pairs = 1; pairs <= 4; pairs *= 2)
        for (size_t cap = 0; cap < 4; cap++) {
            struct ping p = { .n = tap_rounds(6000) / pairs };
            REQUIRE_EQ(leat_make(&p.c[0], cap), 0);
            tap_threads(2 * pairs, narrow_part, &p);
            CHECK_EQ(leat_len(&p.c[0]), 0);
            leat_free(&p.c[0]);
        }
}

/* All threads start a round at the same instant, on a channel of its own. */
struct race {
    int_chan *c;
    int threads, rounds;
    _Atomic int here;
    void (*go)(int i, int_chan *c);
};

static void race_part(int i, void *arg)
{
    struct race *h = arg;
    uint64_t rng = tap_seed(i);
    for (int k = 0; k < h->rounds; k++) {
        int pauses = tap_below(&rng, 400);
        atomic_fetch_add_explicit(&h->here, 1, memory_order_release);
        for (int n = 0; atomic_load_explicit(&h->here, memory_order_acquire) < (k + 1) * h->threads;)
            if (++n % 2000 == 0) leat_os_yield_();
        while (pauses--) (void)atomic_load_explicit(&h->here, memory_order_relaxed);
        h->go(i, &h->c[k]);
    }
}

static void run_race(size_t cap, int threads, void (*go)(int i, int_chan *c))
{
    struct race h = { .threads = threads, .rounds = tap_rounds(20000), .go = go };
    h.c = calloc((size_t)h.rounds, sizeof *h.c);
    REQUIRE(h.c);
    for (int k = 0; k < h.rounds; k++) REQUIRE_EQ(leat_make(&h.c[k], cap), 0);
    tap_threads(threads, race_part, &h);
    for (int k = 0; k < h.rounds; k++) leat_free(&h.c[k]);
    free(h.c);
}

static void send_or_recv(int i, int_chan *c)
{
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    int m = i;
    REQUIRE_EQ(i ? leat_send_ctx(&rescue, c, &m) : leat_recv_ctx(&rescue, c, &m), 0);
}

TEST(I1_a_thread_that_comes_at_the_same_instant_is_seen)
{
    for (size_t cap = 0; cap < 2; cap++) run_race(cap, 2, send_or_recv);
}

static void close_or_recv(int i, int_chan *c)
{
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    int m;
    if (i) REQUIRE_EQ(leat_close(c), 0);
    else REQUIRE_EQ(leat_recv_ctx(&rescue, c, &m), -EPIPE);
}

static void close_or_send(int i, int_chan *c)
{
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    if (i) {
        REQUIRE_EQ(leat_close(c), 0);
        return;
    }
    int err = 0;
    for (size_t n = 0; n <= leat_cap(c) && !err; n++) err = leat_send_ctx(&rescue, c, &i); /* one too many */
    REQUIRE_EQ(err, -EPIPE);
}

TEST(I1_a_close_at_the_instant_of_parking_is_seen)
{
    for (size_t cap = 0; cap < 2; cap++) {
        run_race(cap, 2, close_or_recv);
        run_race(cap, 2, close_or_send);
    }
}

/* A thread T that is about to park waits for the lock. The thread that has the lock resolves all waiters and closes.
 * T must look again. */
TEST(I1_a_close_that_came_first_to_the_lock_is_seen)
{
    for (int sends = 0; sends < 2; sends++)
        for (size_t cap = 0; cap < 2; cap++) {
            int_chan c;
            struct call k;
            REQUIRE_EQ(leat_make(&c, cap), 0);
            leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
            if (sends && cap) CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
            leat_lock_take_(&c.chan.lock_);
            begin_(&k, &rescue, &c, 0, sends ? do_send_ : do_recv_);
            a_while(); /* it has looked: it would have to wait */
            atomic_fetch_or_explicit(&c.chan.ends_[LEAT_SENDS_].at_, LEAT_CLOSING_, memory_order_relaxed);
            leat_lock_drop_(&c.chan.lock_);
            a_while();
            CHECK_EQ(receivers(&c) + senders(&c), 0);
            atomic_fetch_or_explicit(&c.chan.ends_[LEAT_SENDS_].at_, LEAT_CLOSED_, memory_order_release);
            CHECK_EQ(end(&k), -EPIPE);
            leat_free(&c);
        }
}

TEST(I1_a_cancel_that_came_first_to_the_lock_is_seen)
{
    int_chan c;
    struct call k;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE), ctx = LEAT_CTX(&rescue), below = LEAT_CTX(&ctx);
    leat_lock_take_(&ctx.lock_);
    begin_recv(&k, &below, &c);
    UNTIL(waiters(&below) == 1); /* on its way to the wait queue of the context above */
    a_while();
    atomic_store_explicit(&ctx.word_, LEAT_CANCELLING_, memory_order_relaxed);
    leat_lock_drop_(&ctx.lock_);
    a_while();
    CHECK_EQ(waiters(&ctx) + waiters(&below), 0);
    CHECK_EQ(receivers(&c), 0);
    CHECK(!is_over(&k)); /* until it knows why */
    atomic_store_explicit(&ctx.word_, UINT64_C(7) << 32 | LEAT_CANCELLED_, memory_order_release);
    CHECK_EQ(end(&k), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(&ctx), 7);
    leat_free(&c);
}

/* ==== I2: a waiter is resolved once, and a wake follows =========================================== */

TEST(I2_a_resolved_receiver_does_not_leave_before_it_is_woken_though_its_time_is_up)
{
    bool resolved = false;
    for (int64_t within = LEAT_MS(60); !resolved; within *= 2) { /* until this machine is not too slow to begin in time */
        int_chan c;
        struct call r;
        REQUIRE_EQ(leat_make(&c, 2), 0);
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, within);
        begin_recv(&r, &soon, &c);
        UNTIL(receivers(&c) == 1 || is_over(&r));
        struct slow s = slow_send(&c);
        resolved = s.woken != NULL;
        if (resolved) {
            UNTIL(leat_ctx_err(&soon));
            a_while();
            CHECK(!is_over(&r)); /* the thread that resolved it is going to access it */
        }
        slow_send_publish(&s, 1);
        slow_wake(&s);
        CHECK_EQ(end(&r), -ETIMEDOUT); /* a context that is done wins, and the message is not lost: */
        CHECK(leat_try_recv(&c, &r.msg) == 0 && r.msg == 1);
        leat_free(&c);
    }
}

TEST(I2_a_partner_that_is_being_copied_from_does_not_leave_though_its_context_is_cancelled)
{
    int_chan c;
    struct call k;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    leat_ctx ctx = LEAT_CTX(NULL);
    send_waits(&k, &ctx, &c, 6);
    leat_lock_take_(&c.chan.lock_);
    leat_node_ *l = leat_resolve_first_(&c.chan.ends_[LEAT_RECEIVES_].peers_, LEAT_HANDED_OFF_);
    leat_lock_drop_(&c.chan.lock_);
    REQUIRE(l);
    leat_cancel(&ctx, 0);
    a_while();
    CHECK(!is_over(&k));
    CHECK_EQ(*(int *)l->msg_, 6);
    leat_wake_(l);
    CHECK_EQ(end(&k), 0); /* the message was handed off: neither lost nor denied */
    leat_free(&c);
}

TEST(I2_a_waiter_is_resolved_once_however_many_ends_race_for_it)
{
    for (int i = 0; i < tap_rounds(500); i++) {
        int_chan a;
        struct call r, s;
        int m;
        leat_ctx ctx = LEAT_CTX(NULL);
        REQUIRE_EQ(leat_make(&a, 1), 0);
        recv_waits(&r, &ctx, &a);
        begin_send(&s, NULL, &a, 1); /* a message, a cancel and a close, all at once */
        leat_cancel(&ctx, 5);
        int closed = leat_close(&a);
        CHECK_EQ(closed, 0);
        int got = end(&r), sent = end(&s);
        CHECK(got == 0 || got == -ECANCELED || got == -EPIPE);
        CHECK(sent == 0 || sent == -EPIPE);
        bool left = leat_try_recv(&a, &m) == 0;
        CHECK_EQ(left + (got == 0), sent == 0); /* either taken or still there */
        CHECK_EQ(receivers(&a) + senders(&a) + waiters(&ctx), 0);
        leat_free(&a);
    }
}

/* ==== I5: wake the next =========================================================================== */

TEST(I5_two_senders_two_receivers_no_message_stays_behind_beside_a_parked_thread)
{
    /* P0 claims a slot and is preempted. The message of P1 behind it is complete. C0 and C1 are parked. */
    int_chan c;
    struct call r[2];
    REQUIRE_EQ(leat_make(&c, 4), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    for (int i = 0; i < 2; i++) recv_waits(&r[i], &rescue, &c);
    struct slow p0 = slow_send(&c); /* its wake is C0's */
    REQUIRE(p0.woken);
    CHECK_EQ(leat_send(&c, &(int){ 2 }), 0); /* sees no bit: one wake is in flight */
    CHECK_EQ(receivers(&c), 1);
    slow_send_publish(&p0, 1);
    slow_wake(&p0);
    CHECK_EQ(end(&r[0]), 0);
    CHECK_EQ(end(&r[1]), 0);
    CHECK_EQ(r[0].msg + r[1].msg, 3);
    leat_free(&c);
}

TEST(I5_two_receivers_two_senders_no_room_stays_unused_beside_a_parked_thread)
{
    int_chan c;
    struct call s[2];
    int m;
    REQUIRE_EQ(leat_make(&c, 2), 0);
    for (int i = 0; i < 2; i++) CHECK_EQ(leat_send(&c, &i), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    for (int i = 0; i < 2; i++) send_waits(&s[i], &rescue, &c, 10 + i);
    struct slow c0 = slow_recv(&c);
    REQUIRE(c0.woken);
    CHECK(leat_recv(&c, &m) == 0 && m == 1);
    CHECK_EQ(slow_recv_publish(&c0), 0);
    slow_wake(&c0);
    CHECK_EQ(end(&s[0]), 0);
    CHECK_EQ(end(&s[1]), 0);
    CHECK_EQ(leat_len(&c), 2);
    leat_free(&c);
}

struct once {
    int_chan c;
    _Atomic int got;
};

static void once_part(int i, void *arg)
{
    struct once *o = arg;
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    int m = i;
    if (i < 2) {
        REQUIRE_EQ(leat_send_ctx(&rescue, &o->c, &m), 0);
    } else {
        REQUIRE_EQ(leat_recv_ctx(&rescue, &o->c, &m), 0);
        atomic_fetch_add_explicit(&o->got, 1 << (8 * m), memory_order_relaxed);
    }
}

TEST(I5_the_same_with_real_threads)
{
    for (int i = 0; i < tap_rounds(2000); i++) {
        struct once o = { .c.chan.slots_ = NULL };
        REQUIRE_EQ(leat_make(&o.c, (size_t)(1 + i % 2)), 0);
        tap_threads(4, once_part, &o);
        CHECK_EQ(atomic_load_explicit(&o.got, memory_order_relaxed), 0x101);
        leat_free(&o.c);
    }
}

TEST(I5_a_burst_wakes_as_many_waiters_as_it_has_messages)
{
    enum { N = 12 };
    for (int round = 0; round < tap_rounds(50); round++) {
        int_chan c;
        struct call r[N];
        unsigned got = 0;
        REQUIRE_EQ(leat_make(&c, N), 0);
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
        for (int i = 0; i < N; i++) begin_recv(&r[i], &rescue, &c);
        UNTIL(receivers(&c) == N);
        for (int i = 0; i < N; i++) CHECK_EQ(leat_send(&c, &i), 0);
        for (int i = 0; i < N; i++) {
            CHECK_EQ(end(&r[i]), 0);
            if (r[i].msg >= 0) got |= 1u << r[i].msg;
        }
        CHECK_EQ(got, (1u << N) - 1);
        leat_free(&c);
    }
}

TEST(I5_a_burst_of_room_wakes_as_many_senders)
{
    enum { N = 12 };
    for (int round = 0; round < tap_rounds(50); round++) {
        int_chan c;
        struct call s[N];
        int m;
        REQUIRE_EQ(leat_make(&c, N), 0);
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
        for (int i = 0; i < N; i++) CHECK_EQ(leat_send(&c, &i), 0);
        for (int i = 0; i < N; i++) begin_send(&s[i], &rescue, &c, N + i);
        UNTIL(senders(&c) == N);
        for (int i = 0; i < N; i++) CHECK_EQ(leat_recv(&c, &m), 0);
        for (int i = 0; i < N; i++) CHECK_EQ(end(&s[i]), 0);
        CHECK_EQ(leat_len(&c), N);
        leat_free(&c);
    }
}

TEST(I5_a_receiver_that_was_woken_and_cancelled_wakes_the_next)
{
    int_chan c;
    struct call r[2];
    REQUIRE_EQ(leat_make(&c, 1), 0);
    leat_ctx ctx = LEAT_CTX(NULL), rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    recv_waits(&r[0], &ctx, &c);
    recv_waits(&r[1], &rescue, &c);
    struct slow s = slow_send(&c); /* the wake is for the first */
    REQUIRE(s.woken);
    leat_cancel(&ctx, 0); /* too late to resolve it, early enough for it to see the cancel */
    slow_send_publish(&s, 4);
    slow_wake(&s);
    CHECK_EQ(end(&r[0]), -ECANCELED);
    CHECK_EQ(end(&r[1]), 0);
    CHECK_EQ(r[1].msg, 4);
    leat_free(&c);
}

TEST(I5_a_sender_that_was_woken_and_cancelled_wakes_the_next)
{
    int_chan c;
    struct call s[2];
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    leat_ctx ctx = LEAT_CTX(NULL), rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    send_waits(&s[0], &ctx, &c, 2);
    send_waits(&s[1], &rescue, &c, 3);
    struct slow r = slow_recv(&c);
    REQUIRE(r.woken);
    leat_cancel(&ctx, 0);
    CHECK_EQ(slow_recv_publish(&r), 1);
    slow_wake(&r);
    CHECK_EQ(end(&s[0]), -ECANCELED);
    CHECK_EQ(end(&s[1]), 0);
    int m;
    CHECK(leat_try_recv(&c, &m) == 0 && m == 3);
    leat_free(&c);
}

struct choice {
    struct actor actor;
    int_chan *a, *b;
    int got, result, luck;
};

static void choose(void *arg)
{
    struct choice *w = arg;
    for (int i = 0; i < w->luck; i++) (void)leat_random_(2); /* otherwise each of these threads chooses the same */
    leat_case cases[] = { LEAT_RECV(w->a, &w->got), LEAT_RECV(w->b, &w->got) };
    w->result = leat_select(cases, 2);
}

TEST(I5_a_select_that_a_woke_and_that_takes_b_wakes_the_next_of_a)
{
    int took[2] = { 0, 0 };
    for (int i = 0; i < 1000 && !(took[0] > 3 && took[1] > 3); i++) {
        int_chan a, b;
        struct choice w = { .a = &a, .b = &b, .luck = i };
        struct call r;
        REQUIRE_EQ(leat_make(&a, 2), 0);
        REQUIRE_EQ(leat_make(&b, 2), 0);
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
        enter(&w.actor, choose, &w);
        UNTIL(receivers(&a) == 1 && receivers(&b) == 1);
        recv_waits(&r, &rescue, &a);
        struct slow s = slow_send(&a); /* wakes the select */
        REQUIRE(s.woken);
        CHECK_EQ(leat_send(&b, &(int){ 20 }), 0); /* the select will see both */
        slow_send_publish(&s, 10);
        slow_wake(&s);
        leave(&w.actor);
        REQUIRE(w.result == 0 || w.result == 1);
        took[w.result]++;
        CHECK_EQ(w.got, w.result ? 20 : 10);
        if (w.result == 0) CHECK_EQ(leat_send(&a, &(int){ 10 }), 0);
        CHECK_EQ(end(&r), 0); /* the other receiver of a is not left parked beside a message */
        CHECK_EQ(r.msg, 10);
        leat_free(&a);
        leat_free(&b);
    }
    CHECK(took[0] && took[1]);
}

/* ==== I6: park only if it is empty, with no claim in flight; the loser goes to the front ========== */

TEST(I6_no_receiver_parks_while_a_send_is_in_flight)
{
    int_chan c;
    struct call r;
    REQUIRE_EQ(leat_make(&c, 2), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    struct slow s = slow_send(&c); /* claimed before the receiver came: it will wake no thread */
    begin_recv(&r, &rescue, &c);
    for (int i = 0; i < 3; i++) {
        a_while();
        CHECK_EQ(receivers(&c), 0);
    }
    slow_send_publish(&s, 3);
    CHECK_EQ(end(&r), 0);
    CHECK_EQ(r.msg, 3);
    leat_free(&c);
}

TEST(I6_no_sender_parks_while_a_receive_is_in_flight)
{
    int_chan c;
    struct call s;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    struct slow r = slow_recv(&c);
    begin_send(&s, &rescue, &c, 2);
    for (int i = 0; i < 3; i++) {
        a_while();
        CHECK_EQ(senders(&c), 0);
    }
    CHECK_EQ(slow_recv_publish(&r), 1);
    CHECK_EQ(end(&s), 0);
    leat_free(&c);
}

TEST(I6_a_woken_receiver_that_lost_goes_back_to_the_front)
{
    int_chan c;
    struct call r[3];
    int m;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    for (int i = 0; i < 3; i++) recv_waits(&r[i], &rescue, &c);
    for (int i = 0; i < 3; i++) {
        struct slow s = slow_send(&c);
        REQUIRE(s.woken);
        slow_send_publish(&s, 100);
        CHECK(leat_try_recv(&c, &m) == 0 && m == 100); /* barges in */
        slow_wake(&s);
        UNTIL(receivers(&c) == 3 - i || is_over(&r[i]));
        CHECK_EQ(leat_send(&c, &i), 0);
        CHECK_EQ(end(&r[i]), 0); /* the i-th, not the next */
        CHECK_EQ(r[i].msg, i);
    }
    leat_free(&c);
}

TEST(I6_a_woken_sender_that_lost_goes_back_to_the_front)
{
    int_chan c;
    struct call s[3];
    int m;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_send(&c, &(int){ 100 }), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    for (int i = 0; i < 3; i++) send_waits(&s[i], &rescue, &c, i);
    for (int i = 0; i < 3; i++) {
        struct slow r = slow_recv(&c);
        REQUIRE(r.woken);
        int before = slow_recv_publish(&r);
        CHECK_EQ(before, i ? i - 1 : 100);
        CHECK_EQ(leat_try_send(&c, &(int){ 200 }), 0); /* barges in */
        slow_wake(&r);
        UNTIL(senders(&c) == 3 - i || is_over(&s[i]));
        CHECK(leat_recv(&c, &m) == 0 && m == 200);
        CHECK_EQ(end(&s[i]), 0);
    }
    CHECK(leat_recv(&c, &m) == 0 && m == 2);
    leat_free(&c);
}

TEST(I6_the_queue_of_receivers_is_first_come_first_served)
{
    enum { N = 6 };
    int_chan c;
    struct call r[N];
    REQUIRE_EQ(leat_make(&c, 1), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    for (int i = 0; i < N; i++) recv_waits(&r[i], &rescue, &c);
    for (int i = 0; i < N; i++) CHECK_EQ(leat_send(&c, &i), 0);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(end(&r[i]), 0);
        CHECK_EQ(r[i].msg, i);
    }
    leat_free(&c);
}

TEST(I6_the_queue_of_senders_is_first_come_first_served)
{
    enum { N = 6 };
    int_chan c;
    struct call s[N];
    int m;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_send(&c, &(int){ -1 }), 0);
    leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
    for (int i = 0; i < N; i++) send_waits(&s[i], &rescue, &c, i);
    for (int i = -1; i < N; i++) CHECK(leat_recv_ctx(&rescue, &c, &m) == 0 && m == i);
    for (int i = 0; i < N; i++) CHECK_EQ(end(&s[i]), 0);
    leat_free(&c);
}

/* ==== I7: two selects that could serve each other do not overlook it ============================== */

struct cross {
    int_chan a, b;
    int n;
};

static void cross_part(int i, void *arg)
{
    struct cross *x = arg;
    for (int k = 0, m; k < x->n; k++) {
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
        leat_case left[] = { LEAT_SEND(&x->a, &k), LEAT_RECV(&x->b, &m) };
        leat_case right[] = { LEAT_SEND(&x->b, &k), LEAT_RECV(&x->a, &m) };
        int r = leat_select_ctx(&rescue, i % 2 ? left : right, 2);
        REQUIRE_EQ(r < 0 ? r : 0, 0); /* -ETIMEDOUT: both parked, each in the other's sight */
    }
}

TEST(I7_two_selects_that_fit_together_pair_up)
{
    struct cross x = { .n = tap_rounds(30000) };
    REQUIRE_EQ(leat_make(&x.a, 0), 0);
    REQUIRE_EQ(leat_make(&x.b, 0), 0);
    tap_threads(2, cross_part, &x);
    x.n /= 3;
    tap_threads(6, cross_part, &x); /* as many to the left as to the right */
}

/* Some threads lock a first, some b. Only an order that all share is free of deadlock. */
static void knot_part(int i, void *arg)
{
    struct cross *x = arg;
    for (int k = 0, m, j = i; k < x->n; k++) {
        leat_case one[] = { LEAT_SEND(&x->a, &j), LEAT_SEND(&x->b, &j) };
        leat_case two[] = { LEAT_RECV(&x->b, &m), LEAT_RECV(&x->a, &m), LEAT_RECV(&x->b, &m) };
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, RESCUE);
        REQUIRE(leat_select_ctx(&rescue, i % 2 ? one : two, i % 2 ? 2 : 3) >= 0);
    }
}

TEST(I7_selects_that_list_their_channels_in_any_order_do_not_deadlock)
{
    for (size_t cap = 0; cap < 2; cap++) {
        struct cross x = { .n = tap_rounds(10000) };
        REQUIRE_EQ(leat_make(&x.a, cap), 0);
        REQUIRE_EQ(leat_make(&x.b, 0), 0);
        tap_threads(4, knot_part, &x);
        leat_free(&x.a);
    }
}

static void select_up(void *arg)
{
    int_chan *c = arg;
    int m = 0;
    leat_case cases[] = { LEAT_RECV(&c[0], &m), LEAT_RECV(&c[1], &m) };
    CHECK(leat_select(cases, 2) >= 0);
}

static void select_down(void *arg)
{
    int_chan *c = arg;
    int m = 0;
    leat_case cases[] = { LEAT_RECV(&c[1], &m), LEAT_RECV(&c[0], &m) };
    CHECK(leat_select(cases, 2) >= 0);
}

TEST(I7_a_select_is_in_no_queue_before_it_holds_all_locks)
{
    static void (*const selects[])(void *) = { select_up, select_down };
    for (size_t i = 0; i < COUNT(selects); i++) {
        int_chan c[2];
        struct actor a;
        for (int k = 0; k < 2; k++) REQUIRE_EQ(leat_make(&c[k], 1), 0);
        leat_lock_take_(&c[1].chan.lock_);
        enter(&a, selects[i], c);
        UNTIL(atomic_load_explicit(&c[0].chan.lock_, memory_order_acquire)); /* it holds the first */
        a_while();
        CHECK(!c[0].chan.ends_[LEAT_SENDS_].peers_.first_ && !c[1].chan.ends_[LEAT_SENDS_].peers_.first_);
        leat_lock_drop_(&c[1].chan.lock_);
        UNTIL(receivers(&c[0]) == 1 && receivers(&c[1]) == 1);
        CHECK_EQ(leat_send(&c[i], &(int){ 1 }), 0);
        leave(&a);
        for (int k = 0; k < 2; k++) leat_free(&c[k]);
    }
}

TEST(I7_locks_are_taken_in_the_order_of_addresses)
{
    static void (*const selects[])(void *) = { select_up, select_down };
    for (size_t i = 0; i < COUNT(selects); i++) {
        int_chan c[2];
        struct actor a;
        for (int k = 0; k < 2; k++) REQUIRE_EQ(leat_make(&c[k], 1), 0);
        leat_lock_take_(&c[0].chan.lock_);
        enter(&a, selects[i], c);
        a_while();
        CHECK_EQ(atomic_load_explicit(&c[1].chan.lock_, memory_order_relaxed), 0); /* not before the first */
        leat_lock_drop_(&c[0].chan.lock_);
        UNTIL(receivers(&c[1]) == 1);
        CHECK_EQ(leat_send(&c[i], &(int){ 1 }), 0);
        leave(&a);
        for (int k = 0; k < 2; k++) leat_free(&c[k]);
    }
}

/* ==== I3 and I4, the last access, in slow motion (at full speed: t-destroy.c) ===================== */

/* A sender that has published does not access the channel again: the receiver frees it before the wake. */
TEST(I4_a_wake_after_the_channel_is_gone_reaches_its_thread)
{
    static int_chan c;
    struct call r;
    int m;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    recv_waits(&r, NULL, &c);
    struct slow s = slow_send(&c);
    REQUIRE(s.woken);
    slow_send_publish(&s, 1);
    CHECK(leat_try_recv(&c, &m) == 0 && m == 1);
    CHECK_EQ(leat_close(&c), 0); /* resolves no waiter: the only one is ours */
    slow_wake(&s);
    CHECK_EQ(end(&r), -EPIPE);
    leat_free(&c);
}

static void do_send_two(void *p)
{
    struct call *k = p;
    int m[2] = { k->msg, k->msg };
    k->err = leat_send_many(k->c, m, 2) == 2 ? 0 : -EIO;
}

static void do_recv_two(void *p)
{
    struct call *k = p;
    int m[2] = { -1, -1 };
    k->err = leat_recv_many(k->c, m, 2) == 2 ? 0 : -EIO;
    k->msg = m[0];
}

static void do_close(void *p)
{
    struct call *k = p;
    k->err = leat_close(k->c);
}

/* As if a thread were in the wait queue. The next claim has to take the lock, which the test holds. */
static void hold(int_chan *c, _Atomic uint64_t *word)
{
    leat_lock_take_(&c->chan.lock_);
    atomic_fetch_or_explicit(word, LEAT_WAITERS_, memory_order_relaxed);
}

TEST(I4_a_message_is_seen_only_when_its_sender_is_done_with_the_channel)
{
    static void (*const sends[])(void *) = { do_send_, do_send_two };
    for (size_t i = 0; i < COUNT(sends); i++) {
        int_chan c;
        struct call s;
        int m;
        REQUIRE_EQ(leat_make(&c, 2), 0);
        hold(&c, &c.chan.ends_[LEAT_SENDS_].at_);
        begin_(&s, NULL, &c, 5, sends[i]);
        UNTIL(leat_len(&c)); /* claimed */
        a_while();
        CHECK_EQ(leat_move_(NULL, NULL, &c.chan, LEAT_RECEIVES_, &m, sizeof m, _Alignof(int)),
                 -EAGAIN); /* otherwise the channel may be gone now */
        leat_lock_drop_(&c.chan.lock_);
        CHECK_EQ(end(&s), 0);
        CHECK(leat_recv(&c, &m) == 0 && m == 5);
        leat_free(&c);
    }
}

TEST(I4_room_is_seen_only_when_its_receiver_is_done_with_the_channel)
{
    static void (*const recvs[])(void *) = { do_recv_, do_recv_two };
    for (size_t i = 0; i < COUNT(recvs); i++) {
        int_chan c;
        struct call r;
        int m = 6;
        REQUIRE_EQ(leat_make(&c, 2), 0);
        for (int k = 0; k < 2; k++) CHECK_EQ(leat_send(&c, &m), 0);
        hold(&c, &c.chan.ends_[LEAT_RECEIVES_].at_);
        begin_(&r, NULL, &c, -1, recvs[i]);
        UNTIL(leat_len(&c) < 2);
        a_while();
        CHECK_EQ(leat_move_(NULL, NULL, &c.chan, LEAT_SENDS_, &m, sizeof m, _Alignof(int)), -EAGAIN);
        leat_lock_drop_(&c.chan.lock_);
        CHECK_EQ(end(&r), 0);
        CHECK_EQ(r.msg, 6);
        leat_free(&c);
    }
}

TEST(I4_the_end_is_seen_only_when_the_closer_is_done_with_the_channel)
{
    for (size_t cap = 0; cap < 2; cap++) {
        int_chan c;
        struct call k;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        leat_lock_take_(&c.chan.lock_);
        begin_(&k, NULL, &c, 0, do_close);
        UNTIL(atomic_load_explicit(&c.chan.ends_[LEAT_SENDS_].at_, memory_order_relaxed) & LEAT_CLOSING_);
        a_while();
        CHECK(!leat_is_closed(&c));
        leat_lock_drop_(&c.chan.lock_);
        CHECK_EQ(end(&k), 0);
        CHECK(leat_is_closed(&c));
        leat_free(&c);
    }
}

/* A context is not done before the thread that cancels has dropped its lock. */
static void do_cancel(void *p)
{
    leat_cancel(p, 1);
}

TEST(I4_a_context_is_done_only_when_its_canceller_is_done_with_it)
{
    leat_ctx ctx = LEAT_CTX(NULL);
    struct actor a;
    leat_lock_take_(&ctx.lock_);
    enter(&a, do_cancel, &ctx);
    UNTIL(atomic_load_explicit(&ctx.word_, memory_order_relaxed));
    a_while();
    CHECK(!(atomic_load_explicit(&ctx.word_, memory_order_relaxed) & LEAT_DONE_));
    leat_lock_drop_(&ctx.lock_);
    leave(&a);
    CHECK_EQ(leat_ctx_cause(&ctx), 1);
}
