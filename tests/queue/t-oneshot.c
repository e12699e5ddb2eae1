/* t-oneshot.c - channels that are used once: every form of a send, of a receive, a close or a cancel comes at the
 * same instant as every other, thousands of times. Each message is in one place afterwards, and each result is true.
 * SPDX-License-Identifier: MIT */
#include "staging.h"

/* ---- Any two calls at once, and a close ---------------------------------------------------------- */

enum {
    SEND,
    TRY_SEND,
    CTX_SEND,
    SELECT_SEND,
    MANY_SEND,
    TRY_MANY_SEND,
    RECV,
    TRY_RECV,
    CTX_RECV,
    SELECT_RECV,
    MANY_RECV,
    TRY_MANY_RECV,
    CLOSE,
    CANCEL,
    CALLS
};
enum { CONTENDERS = 2, MOST_MESSAGES = 8, MANY = 2 };

struct contender {
    int call, pause, result;
    int in[MANY]; /* received */
};

struct shot {
    int_chan c, never;
    leat_ctx ctx;
    struct contender contenders[CONTENDERS];
    int pause, closed; /* the last thread's. It closes in any case, so that no thread waits for ever */
    size_t cap, filled;
    _Atomic int turn, ready[CONTENDERS], over;
    int rounds;
};

static bool sends(int call)
{
    return call < RECV;
}

static bool receives(int call)
{
    return call >= RECV && call < CLOSE;
}

static int answer(int r, int done)
{
    return r == done ? 1 : r;
}

/* Returns how many messages it sent or received, or an error. Contender i sends 10 + 2 i and the number after it. */
static int act(struct shot *s, int i)
{
    struct contender *w = &s->contenders[i];
    int out[MANY] = { 10 + MANY * i, 11 + MANY * i }, none;
    leat_case cases[3];
    for (int pause = w->pause; pause > 0; pause--) leat_os_pause_();
    switch (w->call) {
    case SEND: return answer(leat_send(&s->c, out), 0);
    case TRY_SEND: return answer(leat_try_send(&s->c, out), 0);
    case CTX_SEND: return answer(leat_send_ctx(&s->ctx, &s->c, out), 0);
    case RECV: return answer(leat_recv(&s->c, w->in), 0);
    case TRY_RECV: return answer(leat_try_recv(&s->c, w->in), 0);
    case CTX_RECV: return answer(leat_recv_ctx(&s->ctx, &s->c, w->in), 0);
    case MANY_SEND: return (int)leat_send_many(&s->c, out, MANY);
    case TRY_MANY_SEND: return (int)leat_try_send_many(&s->c, out, MANY);
    case MANY_RECV: return (int)leat_recv_many(&s->c, w->in, MANY);
    case TRY_MANY_RECV: return (int)leat_try_recv_many(&s->c, w->in, MANY);
    case CLOSE: return leat_close(&s->c);
    case CANCEL: leat_cancel(&s->ctx, 1); return 0;
    default:
        for (int k = 0; k < 3; k++)
            cases[k] = k == 1                   ? LEAT_RECV(&s->never, &none)
                       : w->call == SELECT_SEND ? LEAT_SEND(&s->c, out)
                                                : LEAT_RECV(&s->c, w->in);
        int r = leat_select_ctx(&s->ctx, cases, 3);
        CHECK(r != 1);
        return r < 0 ? r : answer(cases[r].err, 0);
    }
}

static void contend(struct shot *s, int i)
{
    for (int k = 1; k <= s->rounds; k++) {
        UNTIL(atomic_load_explicit(&s->turn, memory_order_acquire) == k);
        s->contenders[i].result = act(s, i);
        atomic_store_explicit(&s->ready[i], k, memory_order_release);
    }
}

/* Whether this result of a contender is possible. */
static bool could_be(const struct shot *s, const struct contender *w, const struct contender *other)
{
    bool closable = true, cancels = other->call == CANCEL;
    bool with_ctx = w->call == CTX_SEND || w->call == CTX_RECV || w->call == SELECT_SEND || w->call == SELECT_RECV;
    bool tries = w->call == TRY_SEND || w->call == TRY_RECV || w->call == TRY_MANY_SEND || w->call == TRY_MANY_RECV;
    bool many = w->call == MANY_SEND || w->call == TRY_MANY_SEND || w->call == MANY_RECV || w->call == TRY_MANY_RECV;
    if (w->call == CLOSE) return w->result == 0 || w->result == -EALREADY;
    if (w->call == CANCEL) return w->result == 0;
    /* how many messages, or how much room, the other may take away before us */
    size_t less = sends(w->call) == sends(other->call) && other->call < CLOSE ? MANY : 0;
    if (receives(w->call) && s->filled > less) closable = tries = false; /* there is one for it in any case */
    if (sends(w->call) && s->cap - s->filled > less) tries = false;
    switch (w->result) {
    case 1: return true;
    case 2: return many && s->cap > 1;
    case -EPIPE: return closable;
    case -EAGAIN: return tries;
    case -ECANCELED: return with_ctx && cancels;
    default: return false;
    }
}

/* Each message is in one place, and what was in the channel first was received first. */
static bool adds_up(struct shot *s)
{
    int seen[MOST_MESSAGES + 10] = { 0 }, left = 0, last = -1, m;
    bool right = true, overtaken = false, ended = false;
    for (int i = 0; i < CONTENDERS; i++) {
        const struct contender *w = &s->contenders[i];
        right &= could_be(s, w, &s->contenders[1 - i]);
        ended |= receives(w->call) && w->result == -EPIPE;
        for (int k = 0; receives(w->call) && k < w->result; k++) {
            if (w->in[k] < 0 || w->in[k] >= MOST_MESSAGES + 10) return false;
            seen[w->in[k]]++;
            overtaken |= w->in[k] >= 10;
            if (k) right &= w->in[k] > w->in[k - 1] || w->in[k] / MANY != w->in[k - 1] / MANY;
        }
    }
    for (; leat_try_recv(&s->c, &m) == 0; left++) {
        if (m < 0 || m >= MOST_MESSAGES + 10) return false;
        seen[m]++;
        right &= !(m < 10 && overtaken);
        right &= m >= 10 || m > last;
        last = m;
    }
    right &= !(ended && left); /* it was closed and drained, the call said */
    for (size_t k = 0; k < s->filled; k++) right &= seen[k] == 1;
    for (int i = 0; i < CONTENDERS; i++)
        for (int k = 0; k < MANY; k++)
            right &= seen[10 + MANY * i + k] == (sends(s->contenders[i].call) && k < s->contenders[i].result);
    int closed = s->closed == 0;
    for (int i = 0; i < CONTENDERS; i++) closed += s->contenders[i].call == CLOSE && s->contenders[i].result == 0;
    right &= closed == 1;
    right &= !s->c.chan.ends_[LEAT_RECEIVES_].peers_.first_ && !s->c.chan.ends_[LEAT_SENDS_].peers_.first_ &&
             !s->ctx.waiters_.first_;
    right &= !s->never.chan.ends_[LEAT_SENDS_].peers_.first_;
    return right;
}

static void one_shot_after_another(struct shot *s)
{
    static const size_t caps[][2] = { { 0, 0 }, { 1, 0 }, { 1, 1 }, { 2, 0 }, { 2, 1 }, { 2, 2 }, { 3, 2 }, { 3, 0 } };
    static const int pauses[] = { 0, 0, 20, 200, 2000 };
    uint64_t rng = tap_seed(0);
    int from = tap_below(&rng, 1 << 20);
    for (int k = 1; k <= s->rounds; k++) {
        int pair = (k + from) % (CALLS * CALLS); /* all pairs in turn */
        const size_t *cap = caps[tap_below(&rng, COUNT(caps))];
        REQUIRE_EQ(leat_make(&s->c, s->cap = cap[0]), 0);
        REQUIRE_EQ(leat_make(&s->never, 0), 0);
        s->ctx = (leat_ctx)LEAT_CTX(NULL);
        s->filled = cap[1];
        for (int i = 0; i < (int)s->filled; i++) CHECK_EQ(leat_send(&s->c, &i), 0);
        for (int i = 0; i < CONTENDERS; i++)
            s->contenders[i] = (struct contender){ .call = i ? pair / CALLS : pair % CALLS,
                                                   .pause = pauses[tap_below(&rng, COUNT(pauses))],
                                                   .in = { -1, -1 } };
        int pause = pauses[tap_below(&rng, COUNT(pauses))];
        atomic_store_explicit(&s->turn, k, memory_order_release);
        for (int i = 0; i < pause; i++) leat_os_pause_();
        if (k % 3 == 0) leat_os_yield_();
        s->closed = leat_close(&s->c);
        CHECK(s->closed == 0 || s->closed == -EALREADY);
        for (int i = 0; i < CONTENDERS; i++) UNTIL(atomic_load_explicit(&s->ready[i], memory_order_acquire) == k);
        if (!CHECK(adds_up(s)))
            tap_note("capacity %d, %d in it: calls %d, %d said %d, %d; close %d", (int)s->cap, (int)s->filled,
                     s->contenders[0].call, s->contenders[1].call, s->contenders[0].result, s->contenders[1].result,
                     s->closed);
        leat_free(&s->c);
    }
}

static void shot_part(int i, void *arg)
{
    if (i < CONTENDERS) contend(arg, i);
    else one_shot_after_another(arg);
}

TEST(whichever_two_calls_race_with_a_close_each_message_is_in_one_place_and_each_result_true)
{
    static struct shot s;
    memset(&s, 0, sizeof s);
    s.rounds = tap_rounds(3000);
    tap_threads(CONTENDERS + 1, shot_part, &s);
}

TEST(also_if_every_wait_parks_at_once)
{
    static struct shot s;
    never_spin(); /* from here to the end of this program */
    memset(&s, 0, sizeof s);
    s.rounds = tap_rounds(2000);
    tap_threads(CONTENDERS + 1, shot_part, &s);
}

/* ---- One message, one thread for each end -------------------------------------------------------- */

/* Here no thread closes. If a wake is lost, both threads hang. The receiver makes the channel, and frees it as soon
 * as it has the message. */
struct reply {
    int_chan *_Atomic c;
    int rounds;
};

static int send_somehow(int_chan *c, leat_ctx *ctx, int form, int m)
{
    leat_case cases[] = { LEAT_SEND(c, &m) };
    switch (form) {
    case 0: return leat_send_ctx(ctx, c, &m);
    case 1: return (int)leat_send_many(c, &m, 1) - 1;
    case 2: return leat_select(cases, 1);
    case 3:
        for (unsigned round = 0;; leat_backoff_(&round)) {
            int err = leat_try_send(c, &m);
            if (err != -EAGAIN) return err;
        }
    default: return leat_send(c, &m);
    }
}

static int recv_somehow(int_chan *c, leat_ctx *ctx, int form, int *m)
{
    leat_case cases[] = { LEAT_RECV(c, m) };
    switch (form) {
    case 0: return leat_recv_ctx(ctx, c, m);
    case 1: return (int)leat_recv_many(c, m, 1) - 1;
    case 2: return leat_select(cases, 1);
    case 3:
        for (unsigned round = 0;; leat_backoff_(&round)) {
            int err = leat_try_recv(c, m);
            if (err != -EAGAIN) return err;
        }
    default: return leat_recv(c, m);
    }
}

static void reply_part(int i, void *arg)
{
    struct reply *h = arg;
    uint64_t rng = tap_seed(i);
    for (int k = 0, m; k < h->rounds; k++) {
        leat_ctx ctx = LEAT_CTX(NULL);
        int form = tap_below(&rng, 6);
        if (i) { /* makes the channel, receives, and frees it, while the send may not have returned */
            int_chan *c = malloc(sizeof *c);
            REQUIRE(c);
            if (form == 3 && k % 3 == 0) form = 4; /* two that only try never pair up without a buffer */
            REQUIRE_EQ(leat_make(c, k % 3 ? (size_t)(k % 3) : 0), 0);
            atomic_store_explicit(&h->c, c, memory_order_release);
            CHECK_EQ(recv_somehow(c, &ctx, form, &m), 0);
            CHECK_EQ(m, k);
            leat_free(c);
            free(c);
        } else {
            int_chan *c;
            UNTIL((c = atomic_exchange_explicit(&h->c, NULL, memory_order_acquire)) != NULL);
            CHECK_EQ(send_somehow(c, &ctx, form, k), 0);
        }
    }
}

TEST(a_channel_for_one_answer_may_be_freed_as_soon_as_the_answer_is_there)
{
    struct reply h = { .rounds = tap_rounds(2000) };
    tap_threads(2, reply_part, &h);
}

/* ---- There is always room ------------------------------------------------------------------------ */

/* The mirror image of what t-chan-try.c tests for receives. c1 has room until c2 has. */
struct room {
    int_chan c1, c2;
    _Atomic int turn, done;
    int rounds;
    bool closes;
};

static void room_here_then_not_there(void *arg)
{
    struct room *r = arg;
    for (int k = 1, m; k <= r->rounds; k++) {
        UNTIL(atomic_load_explicit(&r->turn, memory_order_acquire) == k);
        if (r->closes) CHECK_EQ(leat_close(&r->c2), 0);
        else CHECK_EQ(leat_recv(&r->c2, &m), 0);
        (void)!leat_try_send(&r->c1, &k); /* only now may the first be full */
        atomic_store_explicit(&r->done, k, memory_order_release);
    }
}

TEST(a_try_select_sees_that_one_of_two_always_had_room_or_was_closed)
{
    for (int kind = 0; kind < 4; kind++) {
        struct room r = { .rounds = tap_rounds(2000), .closes = kind % 2 };
        struct actor a;
        enter(&a, room_here_then_not_there, &r);
        for (int k = 1; k <= r.rounds; k++) {
            REQUIRE_EQ(leat_make(&r.c1, 1), 0);
            REQUIRE_EQ(leat_make(&r.c2, 1), 0);
            CHECK_EQ(leat_send(&r.c2, &k), 0);
            leat_case cases[] = { LEAT_SEND(kind < 2 ? &r.c1 : &r.c2, &k), LEAT_SEND(kind < 2 ? &r.c2 : &r.c1, &k) };
            atomic_store_explicit(&r.turn, k, memory_order_release);
            CHECK(leat_try_select(cases, 2) >= 0);
            UNTIL(atomic_load_explicit(&r.done, memory_order_acquire) == k);
            leat_free(&r.c1);
            leat_free(&r.c2);
        }
        leave(&a);
    }
}
