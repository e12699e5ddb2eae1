/* A context ends every wait under it, and only those. Nothing is lost when it does. */
#include "staging.h"

#include <sched.h>

/* ---- The state ----------------------------------------------------------------------------------- */

TEST(zeroed_memory_is_a_context_that_is_never_done)
{
    static leat_ctx zero;
    leat_ctx made = LEAT_CTX(NULL);
    for (int i = 0; i < 2; i++) {
        leat_ctx *ctx = i ? &zero : &made;
        CHECK_EQ(leat_ctx_err(ctx), 0);
        CHECK_EQ(leat_ctx_cause(ctx), 0);
        leat_cancel(ctx, 0);
        CHECK_EQ(leat_ctx_err(ctx), -ECANCELED);
        CHECK_EQ(leat_ctx_cause(ctx), -ECANCELED); /* this is what 0 becomes */
    }
}

TEST(the_first_cause_wins_whatever_int_it_is)
{
    static const int causes[] = { 1, -1, -EPIPE, -ETIMEDOUT, INT_MAX, INT_MIN, 77 };
    for (size_t i = 0; i < COUNT(causes); i++) {
        leat_ctx ctx = LEAT_CTX(NULL);
        leat_cancel(&ctx, causes[i]);
        leat_cancel(&ctx, 4711);
        leat_cancel(&ctx, 0);
        CHECK_EQ(leat_ctx_err(&ctx), -ECANCELED);
        CHECK_EQ(leat_ctx_cause(&ctx), causes[i]);
    }
}

TEST(a_child_ends_with_its_parent_and_with_its_cause_but_not_the_reverse)
{
    leat_ctx top = LEAT_CTX(NULL), left = LEAT_CTX(&top), right = LEAT_CTX(&top), leaf = LEAT_CTX(&left);
    leat_cancel(&left, 5);
    CHECK_EQ(leat_ctx_err(&left), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(&leaf), 5);
    CHECK_EQ(leat_ctx_err(&top), 0);
    CHECK_EQ(leat_ctx_err(&right), 0);
    leat_cancel(&top, 6);
    CHECK_EQ(leat_ctx_cause(&right), 6);
    CHECK_EQ(leat_ctx_cause(&left), 5); /* a result once returned stays */
    CHECK_EQ(leat_ctx_cause(&leaf), 5);
    CHECK_EQ(leat_ctx_err(&leaf), -ECANCELED);
}

TEST(an_error_once_returned_stays_whatever_comes_after)
{
    leat_ctx top = LEAT_CTX(NULL), late = LEAT_CTX_WITHIN(&top, LEAT_S(-1));
    CHECK_EQ(leat_ctx_err(&late), -ETIMEDOUT);
    CHECK_EQ(leat_ctx_cause(&late), -ETIMEDOUT);
    leat_cancel(&late, 1);
    leat_cancel(&top, 2);
    CHECK_EQ(leat_ctx_err(&late), -ETIMEDOUT);
    CHECK_EQ(leat_ctx_cause(&late), -ETIMEDOUT);
    leat_ctx both = LEAT_CTX_WITHIN(&top, LEAT_MS(1)); /* the parent is done before it begins */
    CHECK_EQ(leat_ctx_cause(&both), 2);
    CHECK_EQ(leat_sleep(LEAT_MS(2)), 0);
    CHECK_EQ(leat_ctx_err(&both), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(&both), 2);
}

enum { DEEP = 50 };

/* Calls itself until the chain is DEEP contexts long, then calls `bottom` under the last. */
static void deeper(leat_ctx *top, leat_ctx *parent, int level, void (*bottom)(leat_ctx *top, leat_ctx *ctx))
{
    if (level == DEEP) {
        bottom(top, parent);
        return;
    }
    leat_ctx ctx = LEAT_CTX(parent);
    deeper(top, &ctx, level + 1, bottom);
}

static void cancel_top_while_parked(leat_ctx *top, leat_ctx *ctx)
{
    int_chan c;
    struct call k;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_ctx_err(ctx), 0);
    recv_waits(&k, ctx, &c);
    UNTIL(waiters(top) == 1 && waiters(ctx) == 1);
    leat_cancel(top, 12);
    CHECK_EQ(end(&k), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(ctx), 12);
    CHECK_EQ(waiters(ctx), 0);
    leat_free(&c);
}

static void time_out_while_parked(leat_ctx *top, leat_ctx *ctx)
{
    int_chan c;
    int m;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    CHECK_EQ(leat_recv_ctx(ctx, &c, &m), -ETIMEDOUT);
    CHECK(leat_now() >= top->deadline_);
    CHECK_EQ(leat_ctx_cause(ctx), -ETIMEDOUT);
    leat_free(&c);
}

TEST(in_a_chain_of_50_contexts_the_lowest_ends_with_the_top)
{
    leat_ctx top = LEAT_CTX(NULL), soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(20));
    deeper(&top, &top, 0, cancel_top_while_parked);
    deeper(&soon, &soon, 0, time_out_while_parked);
}

TEST(the_earliest_deadline_of_a_chain_counts)
{
    int_chan c;
    int m;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    int64_t soon = leat_after(LEAT_MS(15));
    leat_ctx early = LEAT_CTX_UNTIL(NULL, soon), late = LEAT_CTX_WITHIN(&early, LEAT_S(1000));
    CHECK_EQ(leat_recv_ctx(&late, &c, &m), -ETIMEDOUT);
    CHECK(leat_now() >= soon);
    soon = leat_after(LEAT_MS(15));
    leat_ctx never = LEAT_CTX_WITHIN(NULL, LEAT_S(1000)), child = LEAT_CTX_UNTIL(&never, soon);
    CHECK_EQ(leat_recv_ctx(&child, &c, &m), -ETIMEDOUT);
    CHECK(leat_now() >= soon);
    CHECK_EQ(leat_ctx_err(&never), 0);
    leat_free(&c);
}

/* In any order, one below the other, or the last of them beside the two, as when a job under a context waits for the
 * pool. */
TEST(of_three_deadlines_the_first_ends_the_wait_and_what_is_below_it)
{
    static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 2, 0, 1 }, { 1, 2, 0 }, { 2, 1, 0 } };
    int_chan c;
    int m;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    for (size_t i = 0; i < 2 * COUNT(orders); i++) {
        bool beside = i >= COUNT(orders);
        const int *place = orders[i % COUNT(orders)];
        int64_t until[] = { leat_after(LEAT_MS(10)), leat_after(LEAT_S(10000)), leat_after(LEAT_S(20000)) };
        leat_ctx top = LEAT_CTX_UNTIL(NULL, until[place[0]]), middle = LEAT_CTX_UNTIL(&top, until[place[1]]);
        leat_ctx last = LEAT_CTX_UNTIL(beside ? NULL : &middle, until[place[2]]);
        leat_case one = LEAT_RECV(&c, &m);
        CHECK_EQ(leat_select_(beside ? &middle : &last, beside ? &last : NULL, &one, 1), -ETIMEDOUT);
        CHECK(leat_now() >= until[0]);
        CHECK_EQ(leat_ctx_err(&top), place[0] == 0 ? -ETIMEDOUT : 0);
        CHECK_EQ(leat_ctx_err(&middle), place[0] == 0 || place[1] == 0 ? -ETIMEDOUT : 0);
        CHECK_EQ(leat_ctx_err(&last), !beside || place[2] == 0 ? -ETIMEDOUT : 0);
    }
    leat_free(&c);
}

TEST(times_saturate)
{
    CHECK_EQ(leat_after(INT64_MAX), LEAT_FOREVER);
    CHECK_EQ(leat_after(LEAT_FOREVER - 1), LEAT_FOREVER);
    CHECK(leat_after(INT64_MIN) < leat_now());
    leat_ctx longest = LEAT_CTX_WITHIN(NULL, INT64_MAX), ever = LEAT_CTX_UNTIL(NULL, LEAT_FOREVER);
    leat_ctx never = LEAT_CTX_WITHIN(NULL, INT64_MIN), begin = LEAT_CTX_UNTIL(NULL, 0);
    leat_ctx before = LEAT_CTX_UNTIL(NULL, INT64_MIN);
    CHECK_EQ(leat_ctx_err(&longest), 0);
    CHECK_EQ(leat_ctx_err(&ever), 0);
    CHECK_EQ(leat_ctx_err(&never), -ETIMEDOUT);
    CHECK_EQ(leat_ctx_err(&begin), -ETIMEDOUT); /* 0 is the beginning of time, not "none" */
    CHECK_EQ(leat_ctx_err(&before), -ETIMEDOUT);
    int_chan c;
    struct call k;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    recv_waits(&k, &longest, &c); /* and a thread can park under it */
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    CHECK_EQ(end(&k), 0);
    leat_free(&c);
    CHECK(LEAT_S(2) == LEAT_MS(2000) && LEAT_MS(3) == LEAT_US(3000) && LEAT_US(4) == LEAT_NS(4000));
}

/* ---- Every call ---------------------------------------------------------------------------------- */

enum { SEND, RECV, SEND_MANY, RECV_MANY, SELECT_SEND, SELECT_RECV, SELECT_NOTHING, SLEEP, CALLS };
static const char *const call_names[] = { "send",        "recv",        "send_many",      "recv_many",
                                          "select send", "select recv", "select nothing", "sleep" };

static int make_call(int which, leat_ctx *ctx, int_chan *c)
{
    int m[2] = { 1, 2 }, r;
    leat_case cases[2] = { LEAT_RECV((int_chan *)NULL, m), LEAT_RECV((int_chan *)NULL, m) };
    switch (which) {
    case SEND: return leat_send_ctx(ctx, c, m);
    case RECV: return leat_recv_ctx(ctx, c, m);
    case SEND_MANY: return (int)leat_send_many_ctx(ctx, c, m, 2);
    case RECV_MANY: return (int)leat_recv_many_ctx(ctx, c, m, 2);
    case SELECT_SEND: cases[1] = LEAT_SEND(c, m); break;
    case SELECT_RECV: cases[1] = LEAT_RECV(c, m); break;
    case SELECT_NOTHING: break;
    default: return leat_sleep_ctx(ctx, LEAT_FOREVER);
    }
    r = leat_select_ctx(ctx, cases, which == SELECT_NOTHING ? 0 : 2);
    return r < 0 ? r : cases[r].err;
}

static bool is_a_send(int which)
{
    return which == SEND || which == SEND_MANY || which == SELECT_SEND;
}

TEST(I8_a_context_that_is_done_wins_over_a_message_or_room_that_is_ready)
{
    leat_ctx cancelled = LEAT_CTX(NULL), under = LEAT_CTX(&cancelled), late = LEAT_CTX_WITHIN(NULL, LEAT_S(-1));
    leat_cancel(&cancelled, 3);
    for (int which = 0; which < CALLS; which++) {
        int_chan c;
        REQUIRE_EQ(leat_make(&c, 4), 0);
        for (int i = 0; i < 2; i++) CHECK_EQ(leat_send(&c, &i), 0);
        for (int i = 0; i < 20; i++) {
            if (!CHECK_EQ(make_call(which, &cancelled, &c), -ECANCELED) ||
                !CHECK_EQ(make_call(which, &under, &c), -ECANCELED) || !CHECK_EQ(make_call(which, &late, &c), -ETIMEDOUT)) {
                tap_note("it was %s", call_names[which]);
                break;
            }
        }
        CHECK_EQ(leat_len(&c), 2); /* nothing was sent or taken */
        CHECK_EQ(leat_close(&c), 0);
        CHECK_EQ(make_call(which, &cancelled, &c), -ECANCELED); /* and wins over closed */
        leat_free(&c);
    }
}

TEST(I8_a_context_that_is_done_wins_over_a_parked_partner)
{
    leat_ctx cancelled = LEAT_CTX(NULL);
    leat_cancel(&cancelled, 3);
    for (int which = 0; which < CALLS; which++) {
        int_chan c;
        struct call k;
        REQUIRE_EQ(leat_make(&c, 0), 0);
        if (is_a_send(which)) recv_waits(&k, NULL, &c);
        else send_waits(&k, NULL, &c, 1);
        CHECK_EQ(make_call(which, &cancelled, &c), -ECANCELED);
        CHECK_EQ(receivers(&c) + senders(&c), 1);
        CHECK_EQ(leat_close(&c), 0);
        CHECK_EQ(end(&k), -EPIPE);
        leat_free(&c);
    }
}

struct parked_call {
    struct actor actor;
    int which, result;
    leat_ctx *ctx;
    int_chan *c;
};

static void park_in_call(void *arg)
{
    struct parked_call *s = arg;
    s->result = make_call(s->which, s->ctx, s->c);
}

/* Each call on a channel where it must wait. */
static void park_all(leat_ctx *ctx, leat_ctx *watched, struct parked_call s[], int_chan *empty, int_chan *full,
                     int_chan *unbuf)
{
    for (int i = 0; i < 2 * CALLS; i++) {
        s[i] = (struct parked_call){ .which = i % CALLS, .ctx = ctx };
        s[i].c = i < CALLS ? is_a_send(s[i].which) ? full : empty : is_a_send(s[i].which) ? &unbuf[0] : &unbuf[1];
        enter(&s[i].actor, park_in_call, &s[i]);
    }
    UNTIL(waiters(watched) == 2 * CALLS);
}

TEST(cancel_wakes_everything_that_waits_under_the_context_and_nothing_else)
{
    int_chan empty, full, unbuf[2];
    struct parked_call s[2 * CALLS];
    struct call other;
    leat_ctx top = LEAT_CTX(NULL), middle = LEAT_CTX(&top), low = LEAT_CTX(&middle), sister = LEAT_CTX(&top);
    int m;
    REQUIRE_EQ(leat_make(&empty, 1), 0);
    REQUIRE_EQ(leat_make(&full, 1), 0);
    REQUIRE_EQ(leat_make(&unbuf[0], 0), 0);
    REQUIRE_EQ(leat_make(&unbuf[1], 0), 0);
    CHECK_EQ(leat_send(&full, &(int){ 1 }), 0);
    park_all(&low, &middle, s, &empty, &full, unbuf);
    recv_waits(&other, &sister, &empty);
    leat_cancel(&middle, 21);
    for (int i = 0; i < 2 * CALLS; i++) {
        leave(&s[i].actor);
        if (!CHECK_EQ(s[i].result, -ECANCELED)) tap_note("it was %s", call_names[s[i].which]);
    }
    CHECK_EQ(leat_ctx_cause(&low), 21);
    CHECK_EQ(receivers(&empty), 1); /* the sister's is still parked */
    CHECK(!is_over(&other));
    CHECK_EQ(waiters(&top), 1);
    CHECK_EQ(waiters(&sister), 1);
    CHECK_EQ(leat_send(&empty, &(int){ 9 }), 0);
    CHECK_EQ(end(&other), 0);
    CHECK_EQ(other.msg, 9);
    CHECK(leat_recv(&full, &m) == 0 && m == 1); /* no cancelled send went in */
    CHECK_EQ(leat_try_recv(&full, &m), -EAGAIN);
    leat_free(&empty);
    leat_free(&full);
}

TEST(a_deadline_ends_every_wait_under_it)
{
    int_chan empty, full, unbuf[2];
    struct parked_call s[2 * CALLS];
    REQUIRE_EQ(leat_make(&empty, 1), 0);
    REQUIRE_EQ(leat_make(&full, 1), 0);
    REQUIRE_EQ(leat_make(&unbuf[0], 0), 0);
    REQUIRE_EQ(leat_make(&unbuf[1], 0), 0);
    CHECK_EQ(leat_send(&full, &(int){ 1 }), 0);
    int64_t deadline = leat_after(LEAT_MS(30));
    leat_ctx top = LEAT_CTX_UNTIL(NULL, deadline), low = LEAT_CTX(&top);
    for (int i = 0; i < 2 * CALLS; i++) {
        s[i] = (struct parked_call){ .which = i % CALLS, .ctx = i % 2 ? &top : &low };
        s[i].c = i < CALLS ? is_a_send(s[i].which) ? &full : &empty : is_a_send(s[i].which) ? &unbuf[0] : &unbuf[1];
        enter(&s[i].actor, park_in_call, &s[i]);
    }
    for (int i = 0; i < 2 * CALLS; i++) {
        leave(&s[i].actor);
        if (!CHECK_EQ(s[i].result, -ETIMEDOUT)) tap_note("it was %s", call_names[s[i].which]);
        CHECK(leat_now() >= deadline); /* not too early */
    }
    CHECK_EQ(leat_len(&full), 1);
    leat_free(&empty);
    leat_free(&full);
}

TEST(a_loop_that_never_blocks_notices_the_deadline)
{
    int_chan c;
    int m = 0, err;
    REQUIRE_EQ(leat_make(&c, 4), 0);
    int64_t deadline = leat_after(LEAT_MS(20));
    leat_ctx ctx = LEAT_CTX_UNTIL(NULL, deadline), child = LEAT_CTX(&ctx);
    long rounds = 0;
    do {
        err = leat_send_ctx(&child, &c, &m);
        if (!err) err = leat_recv_ctx(&child, &c, &m);
        rounds++;
    } while (!err);
    CHECK_EQ(err, -ETIMEDOUT);
    CHECK(leat_now() >= deadline);
    CHECK(rounds > 1);
    leat_free(&c);
}

/* ---- leat_sleep ---------------------------------------------------------------------------------- */

TEST(a_sleep_lasts_as_long_as_it_says_or_as_its_context)
{
    int64_t begin = leat_now();
    CHECK_EQ(leat_sleep(LEAT_MS(5)), 0);
    CHECK(leat_now() - begin >= LEAT_MS(5));
    CHECK_EQ(leat_sleep(0), 0);
    CHECK_EQ(leat_sleep(-1), 0);
    CHECK_EQ(leat_sleep(INT64_MIN), 0);
    leat_ctx live = LEAT_CTX(NULL), soon = LEAT_CTX_WITHIN(&live, LEAT_MS(5));
    CHECK_EQ(leat_sleep_ctx(&live, LEAT_MS(1)), 0);
    begin = leat_now();
    CHECK_EQ(leat_sleep_ctx(&soon, LEAT_S(1000)), -ETIMEDOUT);
    CHECK_EQ(leat_sleep_ctx(&soon, 0), -ETIMEDOUT);
    leat_ctx later = LEAT_CTX_WITHIN(&live, LEAT_S(1000));
    CHECK_EQ(leat_sleep_ctx(&later, LEAT_MS(1)), 0);
    leat_cancel(&live, 0);
    CHECK_EQ(leat_sleep_ctx(&later, LEAT_S(1000)), -ECANCELED);
}

/* ---- Races --------------------------------------------------------------------------------------- */

struct handoff {
    int_chan c;
    int n;
    _Atomic int received;
    int timeouts;
};

static void impatient(struct handoff *h)
{
    uint64_t rng = tap_seed(1);
    for (int m;;) {
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_US(1) * tap_below(&rng, 100));
        int err = leat_recv_ctx(&ctx, &h->c, &m);
        if (err == -EPIPE) return;
        if (err) CHECK_EQ(err, -ETIMEDOUT);
        else atomic_fetch_add_explicit(&h->received, 1, memory_order_release);
        h->timeouts += err != 0;
    }
}

static void patient(struct handoff *h)
{
    for (int m; leat_recv(&h->c, &m) == 0;) atomic_fetch_add_explicit(&h->received, 1, memory_order_release);
}

static void one_after_another(struct handoff *h)
{
    uint64_t rng = tap_seed(2);
    for (int i = 1; i <= h->n; i++) {
        for (int pause = tap_below(&rng, 100); pause > 0; pause--) leat_os_pause_();
        if (tap_below(&rng, 4) == 0) (void)leat_sleep(LEAT_US(1) * tap_below(&rng, 100));
        CHECK_EQ(leat_send(&h->c, &i), 0);
        /* each message is received before the next is sent: if the receiver that gives up had swallowed the wake, the
         * patient receiver would stay parked, and this would wait for ever */
        UNTIL(atomic_load_explicit(&h->received, memory_order_acquire) == i);
    }
    CHECK_EQ(leat_close(&h->c), 0);
}

static void handoff_part(int i, void *arg)
{
    if (i == 0) one_after_another(arg);
    else if (i == 1) impatient(arg);
    else patient(arg);
}

TEST(a_receiver_that_times_out_swallows_no_wake)
{
    for (size_t cap = 0; cap < 3; cap++) {
        struct handoff h = { .n = tap_rounds(5000) };
        REQUIRE_EQ(leat_make(&h.c, cap), 0);
        tap_threads(3, handoff_part, &h);
        CHECK_EQ(atomic_load_explicit(&h.received, memory_order_relaxed), h.n);
        leat_free(&h.c);
    }
}

struct room {
    int_chan c;
    int n;
    _Atomic int sent[2];
};

static void room_part(int i, void *arg)
{
    struct room *r = arg;
    uint64_t rng = tap_seed(i);
    int m = i;
    if (i == 2) { /* takes them all */
        int got[2] = { 0, 0 }, err;
        while ((err = leat_recv(&r->c, &m)) == 0) {
            got[m]++;
            if (got[0] + got[1] == r->n) CHECK_EQ(leat_close(&r->c), 0);
            for (int pause = tap_below(&rng, 300); pause > 0; pause--) leat_os_pause_();
        }
        CHECK_EQ(err, -EPIPE);
        atomic_fetch_sub_explicit(&r->sent[0], got[0], memory_order_relaxed);
        atomic_fetch_sub_explicit(&r->sent[1], got[1], memory_order_relaxed);
        return;
    }
    for (;;) {
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_US(1) * tap_below(&rng, 50));
        int err = i ? leat_send(&r->c, &m) : leat_send_ctx(&ctx, &r->c, &m);
        if (err == -EPIPE) return;
        if (!err) atomic_fetch_add_explicit(&r->sent[i], 1, memory_order_relaxed);
    }
}

TEST(a_send_that_timed_out_was_not_sent)
{
    for (size_t cap = 0; cap < 3; cap++) {
        struct room r = { .n = tap_rounds(10000) };
        REQUIRE_EQ(leat_make(&r.c, cap), 0);
        tap_threads(3, room_part, &r);
        for (int k = 0; k < 2; k++) CHECK_EQ(atomic_load_explicit(&r.sent[k], memory_order_relaxed), 0);
        leat_free(&r.c);
    }
}

/* A thread that sees a context done may be the one on whose stack or heap the context lives. */
struct brief {
    leat_ctx *_Atomic ctx;
    int rounds;
};

static void canceller(void *arg)
{
    struct brief *b = arg;
    for (int i = 0; i < b->rounds; i++) {
        leat_ctx *ctx = NULL;
        for (unsigned round = 0; !(ctx = atomic_exchange_explicit(&b->ctx, NULL, memory_order_acquire));)
            leat_backoff_(&round);
        leat_cancel(ctx, i + 1);
    }
}

TEST(a_context_may_be_gone_as_soon_as_a_thread_saw_it_done)
{
    struct brief b = { .rounds = tap_rounds(30000) };
    struct actor a;
    int_chan c;
    int m;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    atomic_init(&b.ctx, NULL);
    enter(&a, canceller, &b);
    for (int i = 0; i < b.rounds; i++) {
        leat_ctx *ctx = malloc(sizeof *ctx);
        REQUIRE(ctx);
        *ctx = (leat_ctx)LEAT_CTX(NULL);
        atomic_store_explicit(&b.ctx, ctx, memory_order_release);
        if (i % 3 == 0) UNTIL(leat_ctx_err(ctx));
        else if (i % 3 == 1) CHECK_EQ(leat_recv_ctx(ctx, &c, &m), -ECANCELED);
        else CHECK_EQ(leat_sleep_ctx(ctx, LEAT_FOREVER), -ECANCELED);
        CHECK_EQ(leat_ctx_cause(ctx), i + 1);
        memset((void *)ctx, 0xEE, sizeof *ctx);
        free(ctx);
    }
    leave(&a);
    leat_free(&c);
}

static void racing_cancel(int i, void *arg)
{
    leat_ctx *ctx = arg;
    leat_cancel(ctx, 100 + i);
    int cause = leat_ctx_cause(ctx); /* after this cancel it is done, by this thread or by another */
    CHECK(cause >= 100 && cause < 103);
    CHECK_EQ(leat_ctx_err(ctx), -ECANCELED);
    CHECK_EQ(leat_ctx_cause(ctx), cause);
}

TEST(of_several_cancels_one_is_the_cause_and_all_see_it)
{
    for (int i = 0; i < tap_rounds(1000); i++) {
        leat_ctx ctx = LEAT_CTX(NULL);
        tap_threads(3, racing_cancel, &ctx);
    }
}

struct storm {
    int_chan c;
    leat_ctx ctx[2]; /* ctx[1] is under ctx[0] */
    _Atomic int received;
};

static void storm_part(int i, void *arg)
{
    struct storm *s = arg;
    int m;
    if (i == 0) leat_cancel(&s->ctx[0], 8);
    else if (i == 1) leat_cancel(&s->ctx[1], 9);
    else CHECK_EQ(leat_recv_ctx(&s->ctx[i & 1], &s->c, &m), -ECANCELED);
}

TEST(a_cancel_that_races_with_parking_is_never_missed)
{
    for (int i = 0; i < tap_rounds(1000); i++) {
        struct storm s = { .c.chan.slots_ = NULL };
        s.ctx[1].parent_ = &s.ctx[0];
        REQUIRE_EQ(leat_make(&s.c, (size_t)i % 3), 0);
        tap_threads(6, storm_part, &s);
        int cause = leat_ctx_cause(&s.ctx[1]);
        CHECK(cause == 8 || cause == 9);
        CHECK_EQ(leat_ctx_cause(&s.ctx[0]), 8);
        CHECK_EQ(waiters(&s.ctx[0]) + waiters(&s.ctx[1]) + receivers(&s.c), 0);
        leat_free(&s.c);
    }
}

TEST(a_wait_behind_a_claim_in_flight_can_be_cancelled_too)
{
    int_chan c;
    struct call k;
    REQUIRE_EQ(leat_make(&c, 2), 0);
    leat_ctx ctx = LEAT_CTX(NULL);
    struct slow s = slow_send(&c);
    begin_recv(&k, &ctx, &c);
    a_while();
    CHECK(!is_over(&k));
    leat_cancel(&ctx, 0);
    CHECK_EQ(end(&k), -ECANCELED);
    slow_send_publish(&s, 1);
    CHECK_EQ(leat_recv(&c, &k.msg), 0); /* the message is still there */
    CHECK_EQ(k.msg, 1);
    leat_free(&c);
}

TEST(the_end_of_an_ancestor_that_came_first_stays_the_cause)
{
    leat_ctx parent = LEAT_CTX(NULL), ctx = LEAT_CTX(&parent), child = LEAT_CTX(&ctx);
    leat_cancel(&parent, 7);
    leat_cancel(&child, 8);
    CHECK_EQ(leat_ctx_cause(&child), 7);
    CHECK_EQ(leat_ctx_cause(&ctx), 7);
    leat_ctx late = LEAT_CTX_WITHIN(NULL, 0), under = LEAT_CTX(&late);
    leat_cancel(&under, 8);
    leat_cancel(&late, 8);
    CHECK_EQ(leat_ctx_cause(&under), -ETIMEDOUT);
    CHECK_EQ(leat_ctx_err(&late), -ETIMEDOUT);
}
