/* t-select-first.c - leat_select_first does the first case that is ready, in the order given: always, not mostly.
 * SPDX-License-Identifier: MIT */
#include "staging.h"

static int form; /* which of the three forms select_first calls */
static leat_ctx live;

static int select_first(leat_case *cases, size_t n)
{
    return form == 0   ? leat_select_first(cases, n)
           : form == 1 ? leat_try_select_first(cases, n)
                       : leat_select_first_ctx(&live, cases, n);
}

#define EACH_FORM for (form = 0, live = (leat_ctx)LEAT_CTX(NULL); form < 3; form++)

TEST(of_buffered_cases_that_are_ready_the_first_is_done)
{
    int_chan c[3];
    int got = -1, m = 7;
    EACH_FORM
    {
        for (int i = 0; i < 3; i++) REQUIRE_EQ(leat_make(&c[i], 2), 0);
        for (int k = 0; k < 10000; k++) {
            leat_case in[] = { LEAT_RECV(&c[0], &got), LEAT_RECV(&c[1], &got), LEAT_SEND(&c[2], &m) };
            CHECK_EQ(leat_try_send(&c[0], &k), 0);
            if (!leat_len(&c[1])) CHECK_EQ(leat_send(&c[1], &m), 0);
            if (!CHECK_EQ(select_first(in, 3), 0) || !CHECK_EQ(got, k)) break;
            CHECK_EQ(leat_len(&c[2]), 0);
            leat_case out[] = { LEAT_SEND(&c[0], &m), LEAT_SEND(&c[2], &m), LEAT_RECV(&c[1], &got) };
            if (!CHECK_EQ(select_first(out, 3), 0)) break;
            CHECK_EQ(leat_recv(&c[0], &got), 0);
        }
        for (int i = 0; i < 3; i++) leat_free(&c[i]);
    }
}

TEST(of_many_cases_the_first_that_is_ready_is_done_wherever_it_stands)
{
    enum { N = 40 };
    static int_chan c[N];
    leat_case cases[N];
    uint64_t rng = tap_seed(1);
    int m = 3, got = -1;
    for (int i = 0; i < N; i++) REQUIRE_EQ(leat_make(&c[i], 1), 0);
    EACH_FORM
    {
        for (int k = 0; k < tap_rounds(3000); k++) {
            int first = tap_below(&rng, N);
            for (int i = 0; i < N; i++) {
                cases[i] = LEAT_RECV(&c[i], &got);
                if (i == first || (i > first && tap_below(&rng, 2))) CHECK_EQ(leat_send(&c[i], &m), 0);
            }
            if (tap_below(&rng, 2) && first) cases[tap_below(&rng, first)] = LEAT_RECV((int_chan *)NULL, &got);
            CHECK_EQ(select_first(cases, N), first);
            for (int i = 0; i < N; i++) leat_try_recv(&c[i], &got);
        }
    }
    for (int i = 0; i < N; i++) leat_free(&c[i]);
}

TEST(a_closed_channel_counts_as_ready_in_its_place)
{
    int_chan closed, open, none;
    int m = 1;
    REQUIRE_EQ(leat_make(&closed, 1), 0);
    REQUIRE_EQ(leat_make(&none, 0), 0);
    REQUIRE_EQ(leat_make(&open, 1), 0);
    CHECK_EQ(leat_close(&closed), 0);
    CHECK_EQ(leat_close(&none), 0);
    CHECK_EQ(leat_send(&open, &m), 0);
    EACH_FORM
    {
        for (int k = 0; k < 10000; k++) {
            leat_case cases[] = { LEAT_RECV(k % 2 ? &closed : &none, &m), LEAT_RECV(&open, &m), LEAT_SEND(&closed, &m) };
            if (!CHECK_EQ(select_first(cases, 3), 0) || !CHECK_EQ(cases[0].err, -EPIPE)) break;
            leat_case other[] = { LEAT_SEND(&open, &m), LEAT_SEND(k % 2 ? &closed : &none, &m), LEAT_RECV(&open, &m) };
            if (!CHECK_EQ(select_first(other, 3), 1) || !CHECK_EQ(other[1].err, -EPIPE)) break;
        }
    }
    CHECK_EQ(leat_len(&open), 1);
    leat_free(&open);
    leat_free(&closed);
}

TEST(the_answers_are_those_of_a_select)
{
    int_chan c;
    int m = 1;
    leat_ctx done = LEAT_CTX(NULL), late = LEAT_CTX_WITHIN(NULL, 0);
    REQUIRE_EQ(leat_make(&c, 1), 0);
    leat_cancel(&done, 0);
    leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV((int_chan *)NULL, &m) };
    CHECK_EQ(leat_select_first(NULL, 1), -EINVAL);
    CHECK_EQ(leat_try_select_first(NULL, 1), -EINVAL);
    CHECK_EQ(leat_select_first_ctx(&done, NULL, 1), -EINVAL);
    CHECK_EQ(leat_select_first(cases, (size_t)INT_MAX + 1), -EINVAL);
    CHECK_EQ(leat_select_first(cases + 1, 1), -EDEADLK);
    CHECK_EQ(leat_select_first(NULL, 0), -EDEADLK);
    CHECK_EQ(leat_try_select_first(cases, 2), -EAGAIN);
    CHECK_EQ(leat_try_select_first(NULL, 0), -EAGAIN);
    CHECK_EQ(leat_select_first_ctx(LEAT_WITHIN(LEAT_MS(1)), cases, 2), -ETIMEDOUT);
    CHECK_EQ(leat_send(&c, &m), 0);
    CHECK_EQ(leat_select_first_ctx(&done, cases, 2), -ECANCELED);
    CHECK_EQ(leat_select_first_ctx(&late, cases, 2), -ETIMEDOUT);
    CHECK_EQ(leat_select_first_ctx(NULL, cases, 2), 0);
    leat_free(&c);
}

/* ---- Partners that wait ------------------------------------------------------------------------- */

enum { PARTNERS = 3 };

TEST(of_partners_that_wait_on_unbuffered_channels_the_first_is_served)
{
    static struct partner p[PARTNERS];
    leat_case cases[PARTNERS];
    int m = 7;
    partners_enter(p, PARTNERS);
    EACH_FORM
    {
        for (int k = 0; k < tap_rounds(3400); k++) {
            int first = k % PARTNERS; /* each order: the first is a send, a receive, a send */
            for (int i = 0; i < PARTNERS; i++) {
                struct partner *with = &p[(first + i) % PARTNERS];
                UNTIL(partner_waits(with));
                cases[i] = partner_case(with, &m);
            }
            CHECK_EQ(select_first(cases, PARTNERS), 0);
        }
    }
    partners_leave(p, PARTNERS);
}

/* ---- A select that waited ----------------------------------------------------------------------- */

struct waiting {
    int_chan c[3];
    leat_ctx ctx;
    int result, got[3], rounds;
    bool sends;
};

static void wait_in_order(void *arg)
{
    struct waiting *w = arg;
    leat_case cases[3];
    for (int i = 0; i < 3; i++) {
        w->got[i] = -1;
        cases[i] = LEAT_RECV(&w->c[i], &w->got[i]);
    }
    w->result = leat_select_first_ctx(&w->ctx, cases, 3);
}

/* The last case wakes the select. By then the first is ready, too. */
TEST(a_select_that_was_woken_looks_at_all_cases_in_order_again)
{
    for (int k = 0; k < tap_rounds(300); k++) {
        struct waiting w = { .result = -1 };
        struct actor a;
        int m = k;
        for (int i = 0; i < 3; i++) REQUIRE_EQ(leat_make(&w.c[i], 1), 0);
        enter(&a, wait_in_order, &w);
        for (int i = 0; i < 3; i++) UNTIL(receivers(&w.c[i]) == 1);
        leat_lock_take_(&w.c[2].chan.lock_); /* as a sender on the last channel that is preempted: it has resolved.. */
        leat_node_ *l = leat_resolve_first_(&w.c[2].chan.ends_[LEAT_SENDS_].peers_, 0);
        leat_lock_drop_(&w.c[2].chan.lock_);
        REQUIRE(l != NULL);
        CHECK_EQ(leat_send(&w.c[1], &m), 0);
        CHECK_EQ(leat_send(&w.c[0], &m), 0);
        leat_wake_(l); /* ..and wakes now */
        leave(&a);
        CHECK_EQ(w.result, 0);
        CHECK(w.got[0] == k && w.got[1] == -1 && w.got[2] == -1);
        CHECK_EQ(leat_len(&w.c[1]), 1);
        for (int i = 0; i < 3; i++) leat_free(&w.c[i]);
    }
}

TEST(a_select_that_waits_is_cancelled)
{
    struct waiting w = { .result = -1 };
    struct actor a;
    for (int i = 0; i < 3; i++) REQUIRE_EQ(leat_make(&w.c[i], i > 0), 0);
    enter(&a, wait_in_order, &w);
    UNTIL(receivers(&w.c[0]) == 1);
    leat_cancel(&w.ctx, 0);
    leave(&a);
    CHECK_EQ(w.result, -ECANCELED);
    for (int i = 0; i < 3; i++) leat_free(&w.c[i]);
}

static void wait_with_several(void *arg)
{
    struct waiting *w = arg;
    int m[] = { 0, 1, 2 };
    for (int k = 0; k < w->rounds; k++) {
        leat_case cases[3];
        for (int i = 0; i < 3; i++) {
            w->got[i] = -1;
            cases[i] = w->sends ? LEAT_SEND(&w->c[0], &m[i]) : LEAT_RECV(&w->c[0], &w->got[i]);
        }
        CHECK_EQ(leat_select_first(cases, 3), 0);
        if (!w->sends) CHECK(w->got[0] == k && w->got[1] == -1 && w->got[2] == -1);
    }
}

TEST(of_the_cases_of_one_channel_the_first_is_done_also_if_the_select_waited)
{
    for (int sends = 0; sends < 2; sends++) {
        struct waiting w = { .rounds = tap_rounds(10000), .sends = sends };
        struct actor a;
        REQUIRE_EQ(leat_make(&w.c[0], 0), 0);
        enter(&a, wait_with_several, &w);
        for (int k = 0, m = -1; k < w.rounds; k++) {
            UNTIL((sends ? senders(&w.c[0]) : receivers(&w.c[0])) == 3);
            CHECK_EQ(sends ? leat_recv(&w.c[0], &m) : leat_send(&w.c[0], &k), 0);
            if (sends) CHECK_EQ(m, 0);
        }
        leave(&a);
    }
}

/* ---- Under load --------------------------------------------------------------------------------- */

/* Stop wins over work. A sender sends a number on `work`, and before it, once, a message on `stop`. As soon as a number
 * that was sent after that is received, the next select must choose `stop`, however much work there is. */
struct load {
    int_chan stop, work;
    _Atomic int at;
};

static void send_both(int i, void *arg)
{
    struct load *l = arg;
    int rounds = tap_rounds(20000), m = 0;
    if (i == 0) {
        for (int k = 0; k < rounds; k++) {
            CHECK_EQ(leat_send(&l->work, &k), 0);
            if (k % 7 == 0) CHECK_EQ(leat_send(&l->stop, &k), 0);
        }
        leat_close(&l->work);
        leat_close(&l->stop);
        return;
    }
    for (bool open = true; open;) { /* a message that was there before the call is never passed over */
        bool there = leat_len(&l->stop) > 0;
        leat_case cases[] = { LEAT_RECV(&l->stop, &m), LEAT_RECV(&l->work, &m) };
        int r = leat_select_first(cases, 2);
        if (there) CHECK_EQ(r, 0);
        open = cases[r].err == 0;
    }
    while (leat_recv(&l->work, &m) == 0) {}
}

TEST(a_message_on_the_first_channel_is_never_passed_over_under_load)
{
    struct load l = { .at = 0 };
    REQUIRE_EQ(leat_make(&l.stop, 4), 0);
    REQUIRE_EQ(leat_make(&l.work, 64), 0);
    tap_threads(2, send_both, &l);
    leat_free(&l.stop);
    leat_free(&l.work);
}
