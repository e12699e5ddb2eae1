/* Select does one of the cases that are ready, each with the same chance, and nothing of the others. */
#include "counted.h"
#include "staging.h"

#include <sched.h>
#include <time.h>

#ifndef NO_COUNT
static void bounce(void *arg)
{
    int_chan *c = arg;
    for (int m; leat_recv(&c[0], &m) == 0;) {
        leat_case cases[] = { LEAT_SEND(&c[1], &m), LEAT_SEND((int_chan *)NULL, &m) };
        if (leat_select(cases, 2) != 0) break;
    }
}
#endif

/* The first test of this program, so that what happens only once is counted too. */
TEST(no_call_allocates)
{
#ifdef NO_COUNT
    SKIP("not with this allocator");
#else
    for (size_t cap = 0; cap < 3; cap++) {
        int_chan c[2];
        struct actor a;
        int m;
        leat_ctx ctx = LEAT_CTX(NULL);
        long before = allocations;
        void *volatile p = malloc(1);
        free(p);
        REQUIRE_EQ(allocations, before + 1);
        REQUIRE_EQ(leat_make(&c[0], cap), 0);
        REQUIRE_EQ(leat_make(&c[1], cap), 0);
        before = allocations;
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(1));
        CHECK_EQ(leat_recv_ctx(&soon, &c[0], &m), -ETIMEDOUT);
        CHECK_EQ(allocations, before);
        enter(&a, bounce, c);
        before = allocations; /* a thread's stack is not ours */
        for (int i = 0; i < 2000; i++) {
            leat_case in[] = { LEAT_SEND(&c[0], &i), LEAT_RECV((int_chan *)NULL, &m) };
            CHECK_EQ(leat_select_ctx(&ctx, in, 2), 0);
            leat_case out[] = { LEAT_RECV(&c[1], &m), LEAT_RECV((int_chan *)NULL, &m) };
            if (i % 2) CHECK_EQ(leat_select_ctx(&ctx, out, 2), 0);
            else CHECK_EQ(leat_recv_ctx(&ctx, &c[1], &m), 0);
            CHECK_EQ(m, i);
        }
        CHECK_EQ(leat_close(&c[0]), 0);
        leave(&a);
        CHECK_EQ(allocations, before);
        leat_free(&c[0]);
        leat_free(&c[1]);
    }
#endif
}

/* ---- What is ready ------------------------------------------------------------------------------- */

TEST(over_nothing_it_returns_EDEADLK_and_does_not_hang)
{
    int m = 0;
    int_chan *none = NULL;
    leat_case cases[] = { LEAT_SEND(none, &m), LEAT_RECV(none, &m), LEAT_RECV(none, &m) };
    CHECK_EQ(leat_select(NULL, 0), -EDEADLK);
    CHECK_EQ(leat_select(cases, 0), -EDEADLK);
    CHECK_EQ(leat_select(cases, 3), -EDEADLK);
    CHECK_EQ(leat_try_select(NULL, 0), -EAGAIN);
    CHECK_EQ(leat_try_select(cases, 3), -EAGAIN);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(5));
    CHECK_EQ(leat_select_ctx(&soon, cases, 3), -ETIMEDOUT);
    leat_ctx soon2 = LEAT_CTX_WITHIN(NULL, LEAT_MS(5));
    CHECK_EQ(leat_select_ctx(&soon2, NULL, 0), -ETIMEDOUT);
    CHECK_EQ(leat_select(cases, (size_t)INT_MAX + 1), -EINVAL);
    CHECK_EQ(leat_try_select(cases, (size_t)INT_MAX + 1), -EINVAL);
}

TEST(a_null_channel_never_is_chosen)
{
    int_chan c, *none = NULL;
    int m = 0;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    for (int i = 0; i < 1000; i++) {
        leat_case in[] = { LEAT_SEND(none, &m), LEAT_SEND(&c, &i), LEAT_RECV(none, &m) };
        CHECK_EQ(leat_select(in, 3), 1);
        leat_case out[] = { LEAT_SEND(none, &m), LEAT_RECV(none, &m), LEAT_RECV(&c, &m) };
        CHECK_EQ(leat_try_select(out, 3), 2);
        CHECK_EQ(m, i);
        CHECK_EQ(leat_try_select(out, 3), -EAGAIN);
    }
    leat_free(&c);
}

/* The table of what is ready: Go's select3. */
TEST(each_state_of_a_channel_is_ready_for_what_it_should_be)
{
    enum { EMPTY, HALF, FULL, CLOSED, CLOSED_WITH_ONE, UNBUFFERED, UNBUFFERED_CLOSED, STATES };
    static const int send_says[] = { 0, 0, -EAGAIN, -EPIPE, -EPIPE, -EAGAIN, -EPIPE };
    static const int recv_says[] = { -EAGAIN, 0, 0, -EPIPE, 0, -EAGAIN, -EPIPE };
    for (int state = 0; state < STATES; state++)
        for (int sends = 0; sends < 2; sends++)
            for (size_t n = 1; n <= 3; n++) { /* alone, and among others that are not ready */
                int_chan c, other;
                int m = 1, expect = sends ? send_says[state] : recv_says[state];
                REQUIRE_EQ(leat_make(&c, state >= UNBUFFERED ? 0 : 2), 0);
                REQUIRE_EQ(leat_make(&other, 1), 0);
                int fill = state == HALF || state == CLOSED_WITH_ONE ? 1 : state == FULL ? 2 : 0;
                for (int i = 0; i < fill; i++) CHECK_EQ(leat_send(&c, &m), 0);
                if (state == CLOSED || state == CLOSED_WITH_ONE || state == UNBUFFERED_CLOSED) CHECK_EQ(leat_close(&c), 0);
                leat_case cases[3] = { LEAT_RECV(&other, &m), LEAT_RECV(&other, &m), LEAT_RECV(&other, &m) };
                cases[n - 1] = sends ? LEAT_SEND(&c, &m) : LEAT_RECV(&c, &m);
                int r = leat_try_select(cases, n);
                if (!CHECK_EQ(r < 0 ? r : cases[r].err, expect)) tap_note("state %d, sends %d, of %d", state, sends, (int)n);
                if (r >= 0) CHECK_EQ(r, n - 1);
                leat_ctx soon = LEAT_CTX_WITHIN(NULL, expect == -EAGAIN ? LEAT_MS(1) : LEAT_S(1000));
                if (expect == -EAGAIN) CHECK_EQ(leat_select_ctx(&soon, cases, n), -ETIMEDOUT);
                leat_free(&c);
                leat_free(&other);
            }
}

TEST(a_closed_channel_counts_as_ready_and_says_EPIPE_beside_ready_ones)
{
    int_chan a, b;
    int m, closed = 0, sent = 0;
    REQUIRE_EQ(leat_make(&a, 1), 0);
    REQUIRE_EQ(leat_make(&b, 1000), 0);
    CHECK_EQ(leat_close(&a), 0);
    for (int i = 0; i < 1000; i++) {
        leat_case cases[] = { LEAT_RECV(&a, &m), LEAT_SEND(&b, &i) };
        int r = leat_select(cases, 2);
        CHECK_EQ(cases[r].err, r ? 0 : -EPIPE);
        closed += r == 0;
        sent += r == 1;
    }
    CHECK_EQ(leat_len(&b), sent);
    CHECK(closed > 300 && sent > 300);
    leat_free(&a);
    leat_free(&b);
}

TEST(a_case_array_can_be_used_again_and_again)
{
    int_chan c[2];
    int in[2] = { 0, 100 }, out[2];
    REQUIRE_EQ(leat_make(&c[0], 1), 0);
    REQUIRE_EQ(leat_make(&c[1], 3), 0);
    leat_case sends[] = { LEAT_SEND(&c[0], &in[0]), LEAT_SEND(&c[1], &in[1]) };
    leat_case recvs[] = { LEAT_RECV(&c[0], &out[0]), LEAT_RECV(&c[1], &out[1]) };
    int next[2] = { 0, 100 };
    for (int i = 0; i < 10000; i++) {
        int r = leat_select(sends, 2);
        REQUIRE(r >= 0 && sends[r].err == 0);
        in[r]++;
        r = leat_select(recvs, 2);
        REQUIRE(r >= 0 && recvs[r].err == 0);
        if (!CHECK_EQ(out[r], next[r])) break;
        next[r]++;
    }
    CHECK_EQ(next[0] + next[1], 10100);
    leat_free(&c[0]);
    leat_free(&c[1]);
}

struct waiting_select {
    struct actor actor;
    leat_ctx *ctx;
    leat_case *cases;
    size_t n;
    int result;
};

static void do_select(void *p)
{
    struct waiting_select *s = p;
    s->result = leat_select_ctx(s->ctx, s->cases, s->n);
}

static void among(size_t n)
{
    static int_chan c[200];
    static leat_case cases[200];
    static int m[200];
    for (size_t i = 0; i < n; i++) REQUIRE_EQ(leat_make(&c[i], i % 3), 0);
    for (size_t target = 0; target < n; target += n / 8 - 1) { /* parks on all, and one becomes ready */
        struct waiting_select s = { .cases = cases, .n = n };
        for (size_t i = 0; i < n; i++) m[i] = -1;
        for (size_t i = 0; i < n; i++) cases[i] = LEAT_RECV(&c[i], &m[i]);
        enter(&s.actor, do_select, &s);
        UNTIL(receivers(&c[n - 1]) == 1 && receivers(&c[0]) == 1);
        CHECK_EQ(leat_send(&c[target], &(int){ 5 }), 0);
        leave(&s.actor);
        CHECK_EQ(s.result, target);
        for (size_t i = 0; i < n; i++) {
            CHECK_EQ(m[i], i == target ? 5 : -1);
            CHECK_EQ(receivers(&c[i]), 0);
        }
    }
    for (size_t i = 0; i < n; i++) leat_free(&c[i]);
}

TEST(of_64_and_of_200_channels_the_one_that_becomes_ready_is_found)
{
    among(64);
    among(200);
}

TEST(a_send_case_that_was_parked_is_done_when_there_is_room)
{
    int_chan full, unbuf;
    int m = 9, got;
    REQUIRE_EQ(leat_make(&full, 1), 0);
    REQUIRE_EQ(leat_make(&unbuf, 0), 0);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(leat_send(&full, &i), 0);
        leat_case cases[] = { LEAT_SEND(&unbuf, &m), LEAT_SEND(&full, &m), LEAT_RECV(&unbuf, &got) };
        struct waiting_select s = { .cases = cases, .n = i % 2 ? 2 : 3 };
        enter(&s.actor, do_select, &s);
        UNTIL(senders(&full) == 1);
        if (i % 3 == 0) {
            CHECK(leat_recv(&full, &m) == 0 && m == i);
            leave(&s.actor);
            CHECK_EQ(s.result, 1);
            CHECK_EQ(leat_recv(&full, &m), 0);
        } else {
            CHECK_EQ(leat_recv(&unbuf, &m), 0);
            leave(&s.actor);
            CHECK_EQ(s.result, 0);
            CHECK_EQ(leat_recv(&full, &m), 0);
        }
        m = 9;
        CHECK_EQ(leat_try_recv(&full, &m), -EAGAIN); /* not both */
    }
    leat_free(&full);
}

TEST(a_losing_case_leaves_nothing_in_the_wait_queue)
{
    int_chan c[3];
    int m;
    for (size_t i = 0; i < 3; i++) REQUIRE_EQ(leat_make(&c[i], i), 0);
    for (int i = 0; i < 300; i++) {
        leat_case cases[] = { LEAT_RECV(&c[0], &m), LEAT_RECV(&c[1], &m), LEAT_RECV(&c[2], &m) };
        struct waiting_select s = { .cases = cases, .n = 3 };
        enter(&s.actor, do_select, &s);
        UNTIL(receivers(&c[2]) == 1);
        CHECK_EQ(leat_send(&c[i % 3], &i), 0);
        leave(&s.actor);
        CHECK_EQ(s.result, i % 3);
        for (int k = 0; k < 3; k++) CHECK_EQ(receivers(&c[k]), 0);
        CHECK_EQ(leat_try_send(&c[0], &i), -EAGAIN);
    }
    for (int k = 0; k < 3; k++) leat_free(&c[k]);
}

/* ---- Chance -------------------------------------------------------------------------------------- */

static void share(size_t ready, size_t not_ready, bool sends)
{
    static int_chan c[64];
    leat_case cases[64];
    long got[64] = { 0 };
    size_t n = ready + not_ready;
    int m = 0, rounds = 100000;
    for (size_t i = 0, k = 0; i < n; i++) { /* every (n / ready)th is ready */
        bool is_ready = (i + 1) * ready / n > k;
        k += is_ready;
        REQUIRE_EQ(leat_make(&c[i], 2), 0);
        if (is_ready != sends) CHECK_EQ(leat_send(&c[i], &m), 0);
        if (!is_ready && sends) CHECK_EQ(leat_send(&c[i], &m), 0);
        cases[i] = sends ? LEAT_SEND(&c[i], &m) : LEAT_RECV(&c[i], &m);
    }
    for (int i = 0; i < rounds; i++) {
        int r = leat_select(cases, n);
        REQUIRE(r >= 0);
        got[r]++;
        if (sends) CHECK_EQ(leat_recv(&c[r], &m), 0);
        else CHECK_EQ(leat_send(&c[r], &m), 0);
    }
    size_t counted = 0;
    for (size_t i = 0; i < n; i++) {
        if (got[i]) {
            double part = (double)got[i] * (double)ready / rounds, off = part - 1;
            if (!CHECK(off * off < 25 * (double)ready / rounds)) /* five sigma: 5 % at 10 cases */
                tap_note("case %d of %d got %.3f of its share", (int)i, (int)n, part);
            counted++;
        }
        leat_free(&c[i]);
    }
    CHECK_EQ(counted, ready);
}

TEST(each_of_the_ready_cases_gets_its_share_and_one_that_is_not_takes_none)
{
    share(2, 0, false);
    share(2, 0, true);
    share(3, 2, false);
    share(3, 4, true);
    share(10, 0, false);
    share(5, 20, true);
}

TEST(duplicates_of_a_case_have_their_share_too)
{
    int_chan c, d;
    long got[4] = { 0 };
    int m = 0;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    REQUIRE_EQ(leat_make(&d, 1), 0);
    for (int i = 0; i < 40000; i++) {
        CHECK_EQ(leat_try_send(&c, &i), 0);
        (void)!leat_try_send(&d, &i);
        leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV(&c, &m), LEAT_RECV(&c, &m), LEAT_RECV(&d, &m) };
        int r = leat_select(cases, 4);
        REQUIRE(r >= 0);
        got[r]++;
        if (r == 3) CHECK_EQ(leat_recv(&c, &m), 0);
    }
    for (int i = 0; i < 4; i++) CHECK(got[i] > 9300 && got[i] < 10700); /* more than 7 sigma */
    leat_free(&c);
    leat_free(&d);
}

static void first_choice(void *arg)
{
    int_chan *c = arg;
    int m = 0;
    leat_case cases[] = { LEAT_SEND(&c[0], &m), LEAT_SEND(&c[1], &m) };
    CHECK(leat_select(cases, 2) >= 0);
}

TEST(the_first_select_of_each_thread_has_no_favourite_either)
{
    enum { N = 400 };
    int_chan c[2];
    for (int i = 0; i < 2; i++) REQUIRE_EQ(leat_make(&c[i], N), 0);
    for (int i = 0; i < N; i++) {
        struct actor a;
        enter(&a, first_choice, c);
        leave(&a);
    }
    if (!CHECK(leat_len(&c[0]) > N / 4 && leat_len(&c[1]) > N / 4))
        tap_note("%d and %d", (int)leat_len(&c[0]), (int)leat_len(&c[1]));
    for (int i = 0; i < 2; i++) leat_free(&c[i]);
}

/* ---- With itself, with others -------------------------------------------------------------------- */

struct self {
    int_chan c;
    _Atomic int sent, received;
    int rendezvous;
};

/* Offers both sides until there were enough rendezvous. Go's TestSelfSelect and crossbeam's matching. */
static void send_or_receive(int i, void *arg)
{
    struct self *s = arg;
    for (int k = 0;; k++) {
        int in = i, out = -1;
        leat_case cases[] = { LEAT_SEND(&s->c, &in), LEAT_RECV(&s->c, &out) };
        if (k % 2) {
            cases[0] = LEAT_RECV(&s->c, &out);
            cases[1] = LEAT_SEND(&s->c, &in);
        }
        int r = leat_select(cases, 2);
        REQUIRE(r == 0 || r == 1);
        if (cases[r].err) {
            CHECK_EQ(cases[r].err, -EPIPE);
            return;
        }
        if ((r == 0) == (k % 2 == 0)) {
            CHECK_EQ(out, -1);
            int before = atomic_fetch_add_explicit(&s->sent, 1, memory_order_relaxed);
            if (before + 1 == s->rendezvous) CHECK_EQ(leat_close(&s->c), 0);
        } else {
            CHECK(out >= 0);
            if (leat_cap(&s->c) == 0) CHECK(out != i); /* never with itself */
            atomic_fetch_add_explicit(&s->received, 1, memory_order_relaxed);
        }
    }
}

static void match(size_t cap, int threads, int rendezvous)
{
    struct self s = { .rendezvous = rendezvous };
    int m, left = 0;
    REQUIRE_EQ(leat_make(&s.c, cap), 0);
    tap_threads(threads, send_or_receive, &s);
    while (leat_recv(&s.c, &m) == 0) left++;
    CHECK_EQ(atomic_load_explicit(&s.sent, memory_order_relaxed),
             atomic_load_explicit(&s.received, memory_order_relaxed) + left);
    CHECK(atomic_load_explicit(&s.sent, memory_order_relaxed) >= rendezvous);
    leat_free(&s.c);
}

TEST(two_threads_that_both_send_or_receive_pair_up_and_never_with_themselves)
{
    match(0, 2, tap_rounds(10000));
    match(10, 2, tap_rounds(10000));
    match(1, 2, tap_rounds(10000));
}

TEST(twenty_threads_that_all_send_or_receive_pair_up)
{
    match(0, 20, tap_rounds(10000));
    match(3, 20, tap_rounds(10000));
}

static void once_only(int i, void *arg)
{
    int out = -1;
    leat_case cases[] = { LEAT_SEND((int_chan *)arg, &i), LEAT_RECV((int_chan *)arg, &out) };
    CHECK(leat_select(cases, 2) >= 0);
    CHECK(out != i);
}

TEST(of_an_even_number_that_offer_both_once_none_is_left_over)
{
    int_chan c;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    for (int i = 0; i < tap_rounds(100); i++) tap_threads(16, once_only, &c);
}

TEST(alone_a_select_does_not_pair_with_itself_and_does_not_burn_a_core)
{
    int_chan c;
    int in = 1, out = -1;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    leat_case cases[] = { LEAT_SEND(&c, &in), LEAT_RECV(&c, &out) };
    CHECK_EQ(leat_try_select(cases, 2), -EAGAIN);
    struct waiting_select s = { .cases = cases, .n = 2 };
    enter(&s.actor, do_select, &s);
    UNTIL(senders(&c) == 1 && receivers(&c) == 1); /* it is parked in both wait queues */
    CHECK(leat_recv(&c, &in) == 0 && in == 1);
    leave(&s.actor);
    CHECK_EQ(s.result, 0);
    CHECK_EQ(out, -1);
    CHECK_EQ(senders(&c) + receivers(&c), 0);
    leat_free(&c);
}

/* ---- Stress -------------------------------------------------------------------------------------- */

enum { CHANS = 4, ROUNDS = 20000 };

struct tangle {
    int_chan c[CHANS];
    int rounds;
};

/* On each channel a plain sender and a plain receiver. Besides, one thread that sends to all by select, and one that
 * receives from all by select. Go's TestSelectStress. */
static void tangle_part(int i, void *arg)
{
    struct tangle *t = arg;
    int m = i, left[CHANS];
    if (i < CHANS) {
        for (int k = 0; k < t->rounds; k++) CHECK_EQ(leat_send(&t->c[i], &k), 0);
    } else if (i < 2 * CHANS) {
        for (int k = 0; k < t->rounds; k++) CHECK_EQ(leat_recv(&t->c[i - CHANS], &m), 0);
    } else {
        bool sends = i == 2 * CHANS;
        leat_case cases[CHANS];
        for (int k = 0; k < CHANS; k++) {
            cases[k] = sends ? LEAT_SEND(&t->c[k], &m) : LEAT_RECV(&t->c[k], &m);
            left[k] = t->rounds;
        }
        for (int k = 0; k < CHANS * t->rounds; k++) {
            int r = leat_select(cases, CHANS);
            REQUIRE(r >= 0);
            if (--left[r] == 0) cases[r] = LEAT_SEND((int_chan *)NULL, &m);
        }
    }
}

TEST(a_tangle_of_selects_and_plain_calls_ends)
{
    static const size_t capacities[CHANS] = { 0, 0, 2, 3 };
    struct tangle t = { .rounds = tap_rounds(ROUNDS) };
    for (int i = 0; i < CHANS; i++) REQUIRE_EQ(leat_make(&t.c[i], capacities[i]), 0);
    tap_threads(2 * CHANS + 2, tangle_part, &t);
    for (int i = 0; i < CHANS; i++) {
        CHECK_EQ(leat_len(&t.c[i]), 0);
        leat_free(&t.c[i]);
    }
}

/* Go's doubleselect: a value offered to several channels at once goes to one of them. */
struct offer {
    int_chan c[4], all;
    int rounds;
};

static void offer_part(int i, void *arg)
{
    struct offer *o = arg;
    int m;
    if (i == 0) {
        for (int k = 0; k < o->rounds; k++) {
            leat_case cases[] = { LEAT_SEND(&o->c[0], &k), LEAT_SEND(&o->c[1], &k), LEAT_SEND(&o->c[2], &k),
                                  LEAT_SEND(&o->c[3], &k) };
            REQUIRE(leat_select(cases, 4) >= 0);
        }
        for (int k = 0; k < 4; k++) CHECK_EQ(leat_close(&o->c[k]), 0);
    } else if (i <= 4) {
        while (leat_recv(&o->c[i - 1], &m) == 0) CHECK_EQ(leat_send(&o->all, &m), 0);
        m = -1;
        CHECK_EQ(leat_send(&o->all, &m), 0);
    } else {
        unsigned char *seen = calloc((size_t)o->rounds, 1);
        REQUIRE(seen);
        for (int ended = 0; ended < 4;) {
            CHECK_EQ(leat_recv(&o->all, &m), 0);
            if (m < 0) ended++;
            else if (!CHECK_EQ(seen[m]++, 0)) break;
        }
        for (int k = 0; k < o->rounds; k++)
            if (!CHECK_EQ(seen[k], 1)) break;
        free(seen);
    }
}

TEST(a_value_offered_to_four_channels_goes_to_one)
{
    for (size_t cap = 0; cap < 3; cap++) {
        struct offer o = { .rounds = tap_rounds(10000) };
        for (int k = 0; k < 4; k++) REQUIRE_EQ(leat_make(&o.c[k], cap), 0);
        REQUIRE_EQ(leat_make(&o.all, 0), 0);
        tap_threads(6, offer_part, &o);
        for (int k = 0; k < 4; k++) leat_free(&o.c[k]);
    }
}

/* Go's TestSelectDuplicateChannel: a case that lost leaves nothing in the wait queue, although the channel is in the
 * select twice. */
TEST(a_channel_twice_in_a_select_is_left_twice)
{
    for (size_t cap = 0; cap < 2; cap++) {
        int_chan c, d, e;
        int m[3] = { -1, -1, -1 };
        struct call r;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        REQUIRE_EQ(leat_make(&d, cap), 0);
        REQUIRE_EQ(leat_make(&e, cap), 0);
        leat_case cases[] = { LEAT_RECV(&c, &m[0]), LEAT_RECV(&d, &m[1]), LEAT_RECV(&c, &m[2]), LEAT_RECV(&e, m) };
        struct waiting_select s = { .cases = cases, .n = 4 };
        enter(&s.actor, do_select, &s);
        UNTIL(receivers(&c) == 2);
        recv_waits(&r, NULL, &c); /* behind it */
        CHECK_EQ(leat_send(&d, &(int){ 1 }), 0);
        leave(&s.actor);
        CHECK_EQ(s.result, 1);
        CHECK_EQ(receivers(&c), 1);
        CHECK_EQ(leat_send(&c, &(int){ 2 }), 0);
        CHECK_EQ(end(&r), 0);
        CHECK_EQ(r.msg, 2);
        enter(&s.actor, do_select, &s);
        UNTIL(receivers(&c) == 2);
        CHECK_EQ(leat_send(&c, &(int){ 3 }), 0);
        leave(&s.actor);
        CHECK(s.result == 0 || s.result == 2);
        CHECK_EQ(m[s.result], 3);
        CHECK_EQ(receivers(&c) + receivers(&d) + receivers(&e), 0);
        leat_free(&c);
        leat_free(&d);
        leat_free(&e);
    }
}

/* ---- Cases of one channel ------------------------------------------------------------------------- */

/* A select that is parked offers the same unbuffered channel several times. A thread that comes takes each of these
 * cases with the same chance. For n draws of m cases, a count is off by 6 sigma once in 500 million. */
enum { DRAWS = 3000 };

static struct offers {
    int_chan c;
    int n, got[8], chosen[8];
} offers;

static void *offers_all(void *arg)
{
    int value[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    for (int i = 0; i < tap_rounds(DRAWS); i++) {
        leat_case cases[8];
        for (int k = 0; k < offers.n; k++) cases[k] = LEAT_SEND(&offers.c, &value[k]);
        int won = leat_select(cases, (size_t)offers.n);
        REQUIRE(won >= 0 && won < offers.n);
        offers.chosen[won]++;
    }
    (void)arg;
    return NULL;
}

static void each_of_one_channel(int n)
{
    pthread_t thread;
    int draws = tap_rounds(DRAWS);
    double share = (double)draws / n, off = 36 * share * (1 - 1.0 / n);
    memset(&offers, 0, sizeof offers);
    offers.n = n;
    REQUIRE(pthread_create(&thread, NULL, offers_all, NULL) == 0);
    for (int i = 0; i < draws; i++) {
        int m;
        UNTIL(senders(&offers.c) == n);
        REQUIRE_EQ(leat_recv(&offers.c, &m), 0);
        offers.got[m]++;
    }
    pthread_join(thread, NULL);
    for (int k = 0; k < n; k++) {
        CHECK_EQ(offers.got[k], offers.chosen[k]);
        CHECK((offers.got[k] - share) * (offers.got[k] - share) <= off);
    }
}

TEST(of_the_cases_of_one_channel_each_has_the_same_chance_when_it_is_parked)
{
    each_of_one_channel(2);
    each_of_one_channel(5);
}

/* What this process has computed, in ns: another that has the CPU meanwhile does not count. */
static int64_t computed(void)
{
    return CLOCKS_PER_SEC < 1000000 ? leat_now() : (int64_t)clock() * (1000000000 / CLOCKS_PER_SEC);
}

static uint64_t sorting(size_t n, uint64_t order)
{
    int_chan *chans = calloc(n, sizeof *chans);
    leat_case *cases = calloc(n, sizeof *cases);
    REQUIRE(chans && cases);
    size_t *nth = calloc(n, sizeof *nth);
    REQUIRE(nth != NULL);
    for (size_t i = 0; i < n; i++) nth[i] = order == 1 ? n - 1 - i : i;
    if (order > 1)
        for (size_t i = n; i > 1; i--) {
            size_t k = (size_t)(tap_rng(&order) % i), t = nth[i - 1];
            nth[i - 1] = nth[k];
            nth[k] = t;
        }
    static int m;
    for (size_t i = 0; i < n; i++) cases[i] = LEAT_RECV(&chans[nth[i]], &m);
    int64_t best = INT64_MAX;
    for (int k = 0; k < 5; k++) {
        int64_t from = computed();
        leat_case *first = leat_in_order_(LEAT_BY_LOT_, cases, n);
        int64_t took = computed() - from + 1;
        if (took < best) best = took;
        size_t count = 0;
        for (leat_case *c = first; c; c = c->order_, count++)
            if (c->order_) REQUIRE(c->chan_ < c->order_->chan_);
        REQUIRE_EQ(count, n);
    }
    free(nth);
    free(cases);
    free(chans);
    return (uint64_t)best;
}

/* It takes n log n, not n * n: sixteen times the cases take less than a hundred times as long, where it would be 256. */
TEST(many_cases_are_sorted_in_any_order)
{
#if defined __EMSCRIPTEN__ || defined _WIN32
    SKIP("its clock() counts milliseconds, or all threads' time");
#endif
    for (uint64_t order = 0; order < 3; order++) {
        uint64_t few = sorting(1024, order), many = sorting(16384, order);
        if (!CHECK(many < 100 * few)) tap_note("order %d: %d and %d ns", (int)order, (int)few, (int)many);
    }
}
