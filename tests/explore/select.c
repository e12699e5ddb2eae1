/* select.c - scenarios of leat_select and leat_try_select.
 * SPDX-License-Identifier: MIT */
#include "scene.h"

static leat_ctx stop; /* ends calls that would wait for ever */

static bool none_linked(void)
{
    return no_thread_waits(&c) && no_thread_waits(&d) && !stop.waiters_.first_;
}

static void make_both(const sim_knobs *k)
{
    now_ = k;
    make(&c, k->cap, "c");
    make(&d, k->cap, "d");
    sim_name(&stop, sizeof stop, "stop");
    stop = (leat_ctx)LEAT_CTX(NULL);
}

static void free_both(void)
{
    EXPECT(none_linked());
    leat_free(&c);
    leat_free(&d);
}

/* ==== Select against select =================================================================== */

/* Even threads send on c or receive from d, odd ones the other way round. Without a buffer, each round of one takes a
 * round of another to end (I7). */
static int sends[SIM_THREADS], receives[SIM_THREADS];

static void *trades(void *arg)
{
    int me = ID(arg), got = -1;
    bool even = me % 2 == 0;
    for (int i = 0; i < now_->each; i++) {
        leat_case cases[] = { LEAT_SEND(even ? &c : &d, &me), LEAT_RECV(even ? &d : &c, &got) };
        ptrdiff_t chosen = leat_select(cases, 2);
        EXPECT(chosen == 0 || chosen == 1);
        EXPECT(cases[chosen].err == 0);
        if (chosen == 0) sends[me]++;
        else receives[me]++, EXPECT(got >= 0 && (got != me || now_->cap > 0));
    }
    return NULL;
}

SCENARIO(select_against_select, { .senders = 2, .cap = 0, .each = 1, .exhaust = true },
         { .senders = 2, .cap = 1, .each = 1, .exhaust = true }, { .senders = 2, .cap = 0, .each = 2 },
         { .senders = 2, .cap = 1, .each = 2 }, { .senders = 4, .cap = 0, .each = 1 }, { .senders = 4, .cap = 1, .each = 1 },
         { .senders = 4, .cap = 2, .each = 2 }, { .senders = 4, .cap = 3, .each = 3, .start = 2 },
         { .senders = 3, .cap = 5, .each = 4, .start = 4 })
{
    int sent = 0, received = 0;
    make_both(k);
    for (int i = 0; i < k->senders; i++) GO(trades, i);
    sim_join();
    for (int i = 0; i < k->senders; i++) sent += sends[i], received += receives[i];
    EXPECT(sent + received == k->senders * k->each);
    EXPECT(sent - received == (int)(leat_len(&c) + leat_len(&d)));
    free_both();
}

/* Both directions of one channel: no thread may take what it sends itself, at least not while others wait. */
static void *trades_on_one(void *arg)
{
    int me = ID(arg), got = -1;
    leat_case cases[] = { LEAT_SEND(&c, &me), LEAT_RECV(&c, &got), LEAT_SEND(&c, &me) };
    ptrdiff_t chosen = leat_select(cases + me % 2, 2);
    EXPECT(chosen == 0 || chosen == 1);
    if (got >= 0) EXPECT(now_->cap > 0 || got != me);
    return NULL;
}

SCENARIO(select_against_itself, { .senders = 2, .cap = 0, .exhaust = true }, { .senders = 2, .cap = 1, .exhaust = true },
         { .senders = 4, .cap = 0 }, { .senders = 3, .cap = 1 }, { .senders = 4, .cap = 2 })
{
    make_both(k);
    for (int i = 0; i < k->senders; i++) GO(trades_on_one, i);
    sim_join();
    free_both();
}

/* ==== Select beside others ==================================================================== */

/* A select over both channels that is woken by one must not swallow the wake of the other, and a plain waiter must
 * get its message (I5). */
static void *selects_once(void *arg)
{
    int m = -1;
    (void)arg;
    leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV(&d, &m) };
    EXPECT(leat_select(cases, 2) >= 0);
    EXPECT(m >= 0);
    return NULL;
}

static void *receives_one(void *arg)
{
    int m = -1;
    EXPECT(leat_recv(ID(arg) ? &d : &c, &m) == 0);
    EXPECT(m >= 0);
    return NULL;
}

static void *sends_one(void *arg)
{
    int m = ID(arg);
    EXPECT(leat_send(m % 2 ? &d : &c, &m) == 0);
    return NULL;
}

SCENARIO(select_beside_receivers, { .cap = 0 }, { .cap = 1 }, { .cap = 2 }, { .cap = 3, .start = 2 })
{
    int m = 3;
    make_both(k);
    GO(selects_once, 0);
    GO(receives_one, 0);
    GO(receives_one, 1);
    sim_join_one(GO(sends_one, 0));
    sim_join_one(GO(sends_one, 1));
    if (k->cap == 0) { /* one of the two that are left may have no channel but this */
        leat_case cases[] = { LEAT_SEND(&c, &m), LEAT_SEND(&d, &m) };
        EXPECT(leat_select(cases, 2) >= 0);
    } else {
        EXPECT(leat_send(&c, &m) == 0 && leat_send(&d, &m) == 0);
    }
    sim_join();
    EXPECT((int)(leat_len(&c) + leat_len(&d)) == (k->cap ? 1 : 0));
    free_both();
}

/* Two selects over the same two channels, in opposite order, and two senders (I7). */
static void *selects_backwards(void *arg)
{
    int m = -1;
    (void)arg;
    leat_case cases[] = { LEAT_RECV(&d, &m), LEAT_RECV(&c, &m) };
    EXPECT(leat_select(cases, 2) >= 0);
    EXPECT(m >= 0);
    return NULL;
}

SCENARIO(two_selects_share_two_channels, { .cap = 0 }, { .cap = 1 }, { .cap = 2 }, { .cap = 0, .a = 1 },
         { .cap = 1, .a = 1 }, { .cap = 3, .a = 1, .start = 2 })
{
    make_both(k);
    GO(selects_once, 0);
    GO(selects_backwards, 1);
    GO(sends_one, 0);
    GO(sends_one, k->a ? 1 : 2); /* both to c, or one to each */
    sim_join();
    EXPECT(leat_len(&c) + leat_len(&d) == 0);
    free_both();
}

/* The mirror image: full channels, two selects that send, two threads that take (I7). */
static void *selects_to_send(void *arg)
{
    int m = ID(arg);
    leat_case cases[] = { LEAT_SEND(m ? &c : &d, &m), LEAT_SEND(m ? &d : &c, &m) };
    EXPECT(leat_select(cases, 2) >= 0);
    return NULL;
}

SCENARIO(two_selects_send_on_two_channels, { .cap = 0 }, { .cap = 1 }, { .cap = 2, .a = 1 }, { .cap = 0, .a = 1 },
         { .cap = 3, .start = 1 }, { .cap = 3, .a = 1, .start = 2 })
{
    make_both(k);
    fill(&c, 9);
    fill(&d, 9);
    GO(selects_to_send, 0);
    GO(selects_to_send, 1);
    GO(receives_one, 0);
    GO(receives_one, k->a);
    sim_join();
    EXPECT((int)(leat_len(&c) + leat_len(&d)) == 2 * k->cap);
    free_both();
}

/* The same channel twice among the cases. */
static void *sends_on_either(void *arg)
{
    int a = 1, b = 2;
    (void)arg;
    leat_case cases[] = { LEAT_SEND(&c, &a), LEAT_SEND(&c, &b) };
    EXPECT(leat_select(cases, 2) >= 0);
    return NULL;
}

SCENARIO(same_channel_twice, { .cap = 0, .exhaust = true }, { .cap = 1 }, { .cap = 2 })
{
    int m = -1;
    make_both(k);
    fill(&c, 0);
    GO(sends_on_either, 0);
    for (int i = 0; i < k->cap; i++) EXPECT(leat_recv(&c, &m) == 0 && m == 0);
    leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV(&c, &m) };
    EXPECT(leat_select(cases, 2) >= 0);
    EXPECT(m == 1 || m == 2);
    sim_join();
    free_both();
}

/* A close ends a select, with the right case. A cancel ends it, with none. */
static void *closes_d(void *arg)
{
    (void)arg;
    EXPECT(leat_close(&d) == 0);
    return NULL;
}

static void *cancels(void *arg)
{
    (void)arg;
    leat_cancel(&stop, 7);
    return NULL;
}

SCENARIO(select_is_ended, { .cap = 0, .a = 0 }, { .cap = 1, .a = 0 }, { .cap = 0, .a = 1, .exhaust = true },
         { .cap = 1, .a = 1, .exhaust = true }, { .cap = 1, .a = 2 })
{
    int m = -1, sent = 0;
    make_both(k);
    leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV(&d, &m) };
    if (k->a != 1) GO(closes_d, 0);
    if (k->a != 0) GO(cancels, 0);
    GO(sends_one, sent);
    ptrdiff_t chosen = leat_select_ctx(&stop, cases, 2);
    if (chosen == -ECANCELED) EXPECT(k->a != 0);
    else if (chosen == 1) EXPECT(k->a != 1 && cases[1].err == -EPIPE);
    else EXPECT(chosen == 0 && cases[0].err == 0 && m == sent);
    if (chosen != 0) EXPECT(leat_recv(&c, &m) == 0 && m == sent);
    sim_join();
    free_both();
}

/* ==== leat_try_select is exact ================================================================= */

/* At every instant c or d has a message: a thread that looks must not find nothing. */
static ptrdiff_t looked;
static _Atomic int has_looked;

static void *looks(void *arg)
{
    int m = 5, first = now_->each ? 1 : 0; /* each: in the other order */
    (void)arg;
    leat_case cases[] = { LEAT_RECV(first ? &d : &c, &m), LEAT_RECV(first ? &c : &d, &m) };
    looked = leat_try_select(cases, 2);
    atomic_store_explicit(&has_looked, 1, memory_order_relaxed);
    return NULL;
}

SCENARIO(try_select_never_misses, { .cap = 1, .exhaust = true }, { .cap = 1, .each = 1, .exhaust = true }, { .cap = 2 },
         { .cap = 2, .each = 1 }, { .cap = 1, .a = 1, .exhaust = true }, { .cap = 1, .a = 1, .each = 1 },
         { .cap = 1, .a = 2 }, { .cap = 1, .a = 2, .each = 1 }, { .cap = 3, .start = 2 },
         { .cap = 3, .each = 1, .start = 2 })
{
    int m = 1;
    make_both(k);
    EXPECT(leat_try_send(&c, &m) == 0);
    GO(looks, 0);
    if (k->a == 1) EXPECT(leat_close(&d) == 0);
    else EXPECT(leat_send(&d, &m) == 0);
    if (k->a == 2) { /* only now may c be empty */
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(1));
        ptrdiff_t n = leat_recv_many_ctx(&soon, &c, &m, 1);
        EXPECT(n == 1 || n == -ETIMEDOUT);
    } else {
        int err = leat_try_recv(&c, &m);
        EXPECT(err == 0 || err == -EAGAIN);
    }
    sim_join();
    EXPECT(looked >= 0);
    free_both();
}

/* There is room in c, until there is a message in d. */
static void *looks_both_ways(void *arg)
{
    int m = 5;
    (void)arg;
    leat_case cases[] = { LEAT_SEND(&c, &m), LEAT_RECV(&d, &m) };
    looked = leat_try_select(cases, 2);
    return NULL;
}

SCENARIO(try_select_never_misses_room, { .cap = 1, .exhaust = true }, { .cap = 2 }, { .cap = 1, .a = 2 },
         { .cap = 3, .start = 2 })
{
    int m = 1;
    make_both(k);
    for (int i = 1; i < k->cap; i++) EXPECT(leat_try_send(&c, &m) == 0);
    GO(looks_both_ways, 0);
    EXPECT(leat_send(&d, &m) == 0);
    if (k->a == 2) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(1));
        ptrdiff_t n = leat_send_many_ctx(&soon, &c, &m, 1);
        EXPECT(n == 1 || n == -ETIMEDOUT);
    } else {
        int err = leat_try_send(&c, &m);
        EXPECT(err == 0 || err == -EAGAIN);
    }
    sim_join();
    EXPECT(looked >= 0);
    free_both();
}

/* Without a buffer. One thread waits to send on c until it is cancelled, or its message is taken (.a). But before
 * that, a thread has come to d that waits until its message is taken. */
static int left;

static void *offers_on_c(void *arg)
{
    int m = 1;
    (void)arg;
    left = leat_send_ctx(&stop, &c, &m);
    return NULL;
}

static bool has_sender(ints *ch)
{
    leat_lock_take_(&ch->chan.lock_);
    bool yes = ch->chan.ends_[LEAT_RECEIVES_].peers_.first_ != NULL;
    leat_lock_drop_(&ch->chan.lock_);
    return yes;
}

SCENARIO(try_select_never_misses_a_sender, { .a = 0 }, { .a = 0, .each = 1 }, { .a = 1 }, { .a = 1, .each = 1 })
{
    int m;
    make_both(k);
    int offer = GO(offers_on_c, 0);
    while (!has_sender(&c)) sim_yield();
    int looker = GO(looks, 0);
    GO(sends_one, 1);
    while (!has_sender(&d) && !atomic_load_explicit(&has_looked, memory_order_relaxed)) sim_yield();
    if (k->a) (void)!leat_try_recv(&c, &m);
    else leat_cancel(&stop, 1);
    sim_join_one(looker);
    EXPECT(looked >= 0);
    sim_join_one(offer);
    EXPECT(left == 0 || left == -ECANCELED);
    if (looked != (k->each ? 0 : 1)) EXPECT(leat_recv(&d, &m) == 0);
    sim_join();
    free_both();
}

/* A try that finds a thread that waits in a select: exactly one of two tries takes it (I2). */
static int took[2];

static void *tries_once(void *arg)
{
    int m = ID(arg);
    took[m] = leat_try_send(m ? &d : &c, &m);
    return NULL;
}

static void *waits_for_either(void *arg)
{
    (void)arg;
    int m = -1;
    leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV(&d, &m) };
    looked = leat_select_ctx(&stop, cases, 2);
    if (looked >= 0) EXPECT(m == (int)looked);
    return NULL;
}

SCENARIO(tries_pair_with_a_select, { .cap = 0, .exhaust = true })
{
    make_both(k);
    GO(waits_for_either, 0);
    int a = GO(tries_once, 0), b = GO(tries_once, 1);
    sim_join_one(a);
    sim_join_one(b);
    leat_cancel(&stop, 1);
    sim_join();
    EXPECT(took[0] == 0 || took[0] == -EAGAIN);
    EXPECT(took[1] == 0 || took[1] == -EAGAIN);
    EXPECT((took[0] == 0) + (took[1] == 0) == (looked >= 0));
    free_both();
}

/* ==== leat_select_first ======================================================================= */

/* Two threads send on c (or, .a, take from it). The second then does the same on d, and has returned. The first may have
 * stopped in the middle. So c is ready before the select begins, and d too. The select must do c. */
static void *moves_c(void *arg)
{
    int m = ID(arg);
    EXPECT((now_->a ? leat_recv(&c, &m) : leat_send(&c, &m)) == 0);
    return NULL;
}

static void *moves_c_then_d(void *arg)
{
    int m = ID(arg);
    EXPECT((now_->a ? leat_recv(&c, &m) : leat_send(&c, &m)) == 0);
    EXPECT((now_->a ? leat_recv(&d, &m) : leat_send(&d, &m)) == 0);
    return NULL;
}

static int select_first(leat_case *cases, size_t n)
{
    return now_->each == 0   ? leat_select_first(cases, n)
           : now_->each == 1 ? leat_try_select_first(cases, n)
                             : leat_select_first_ctx(&stop, cases, n);
}

SCENARIO(select_first_does_the_first, { .cap = 2, .exhaust = true }, { .cap = 2, .each = 1, .exhaust = true },
         { .cap = 3, .each = 2, .start = 2 }, { .cap = 2, .a = 1, .exhaust = true }, { .cap = 2, .a = 1, .each = 1 },
         { .cap = 3, .a = 1, .each = 2, .start = 2 })
{
    int m = 5;
    make_both(k);
    if (k->a) fill(&c, 9), fill(&d, 9);
    GO(moves_c, 1);
    sim_join_one(GO(moves_c_then_d, 2));
    leat_case in[] = { LEAT_RECV(&c, &m), LEAT_RECV(&d, &m) }, out[] = { LEAT_SEND(&c, &m), LEAT_SEND(&d, &m) };
    EXPECT(select_first(k->a ? out : in, 2) == 0);
    sim_join();
    free_both();
}

/* A select that waits, perhaps, with cases of one channel. No order of these but the given one is right. */
static void *selects_first_of_three(void *arg)
{
    int got[3] = { -1, -1, -1 }, m[] = { 0, 1, 2 };
    (void)arg;
    leat_case in[] = { LEAT_RECV(&c, &got[0]), LEAT_RECV(&c, &got[1]), LEAT_RECV(&c, &got[2]) };
    leat_case out[] = { LEAT_SEND(&c, &m[0]), LEAT_SEND(&c, &m[1]), LEAT_SEND(&c, &m[2]) };
    EXPECT(select_first(now_->a ? out : in, 3) == 0);
    if (!now_->a) EXPECT(got[0] == 7 && got[1] == -1 && got[2] == -1);
    return NULL;
}

SCENARIO(select_first_of_one_channel, { .cap = 0, .exhaust = true }, { .cap = 1 }, { .cap = 0, .a = 1, .exhaust = true },
         { .cap = 0, .each = 2 }, { .cap = 0, .a = 1, .each = 2 })
{
    int m = 7;
    make_both(k);
    GO(selects_first_of_three, 0);
    EXPECT((k->a ? leat_recv(&c, &m) : leat_send(&c, &m)) == 0);
    if (k->a) EXPECT(m == 0);
    sim_join();
    free_both();
}

/* Two selects in order, over both channels, that a message on each wakes: neither swallows the other's wake (I5). */
static void *selects_first_once(void *arg)
{
    int m = -1;
    (void)arg;
    leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV(&d, &m) };
    int r = leat_select_first(cases, 2);
    EXPECT(r == 0 || r == 1);
    EXPECT(m % 2 == r);
    return NULL;
}

SCENARIO(selects_in_order_share_two_channels, { .cap = 0 }, { .cap = 1 }, { .cap = 2 }, { .cap = 1, .a = 1 })
{
    make_both(k);
    GO(selects_first_once, 0);
    GO(k->a ? selects_backwards : selects_first_once, 1);
    GO(sends_one, 0);
    GO(sends_one, 1);
    sim_join();
    EXPECT(leat_len(&c) + leat_len(&d) == 0);
    free_both();
}
