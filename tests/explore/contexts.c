/* contexts.c - scenarios of contexts: a cancel or a deadline races the wake that it competes with.
 * SPDX-License-Identifier: MIT */
#include "scene.h"

static leat_ctx parent, ctx;
static int err_of[SIM_THREADS], value[SIM_THREADS];

enum { DEADLINE, CANCEL, CANCEL_BOTH }; /* .a: what ends ctx */

static void make_contexts(const sim_knobs *k)
{
    now_ = k;
    make(&c, k->cap, "c");
    name_ctx(&parent, "parent");
    name_ctx(&ctx, "ctx");
    parent = (leat_ctx)LEAT_CTX(NULL);
    if (k->a == DEADLINE) ctx = (leat_ctx)LEAT_CTX_WITHIN(&parent, LEAT_US(5));
    else ctx = (leat_ctx)LEAT_CTX(&parent);
}

static void *cancels(void *arg)
{
    leat_cancel(ID(arg) ? &ctx : &parent, 5 + ID(arg));
    return NULL;
}

static void go_cancel(void)
{
    if (now_->a != DEADLINE) GO(cancels, 0);
    if (now_->a == CANCEL_BOTH) GO(cancels, 1);
}

static void end_contexts(void)
{
    sim_join();
    if (now_->a != DEADLINE) {
        int cause = leat_ctx_cause(&ctx);
        EXPECT(leat_ctx_err(&ctx) == -ECANCELED);
        EXPECT(cause == 5 || (cause == 6 && now_->a == CANCEL_BOTH));
        EXPECT(leat_ctx_cause(&parent) == 5);
    }
    EXPECT(no_thread_waits(&c));
    EXPECT(!parent.waiters_.first_ && !ctx.waiters_.first_);
    leat_free(&c);
}

/* ==== A thread that gives up loses no wake ==================================================== */

/* One receiver may give up, another may not, and there is one message. If the first was woken for it and gives up all
 * the same, the other gets it (I5). */
static void *receives_under_ctx(void *arg)
{
    (void)arg;
    err_of[0] = leat_recv_ctx(&ctx, &c, &value[0]);
    return NULL;
}

static void *receives(void *arg)
{
    (void)arg;
    err_of[1] = leat_recv(&c, &value[1]);
    return NULL;
}

static void *sends(void *arg)
{
    int m = ID(arg);
    EXPECT(leat_send(&c, &m) == 0);
    return NULL;
}

#define EACH_END(...) \
    { .a = DEADLINE, __VA_ARGS__ }, { .a = CANCEL, __VA_ARGS__ }, \
    { \
        .a = CANCEL_BOTH, __VA_ARGS__ \
    }

SCENARIO(receiver_gives_up, EACH_END(.cap = 0), EACH_END(.cap = 1), EACH_END(.cap = 2), EACH_END(.cap = 3, .start = 2))
{
    make_contexts(k);
    int first = GO(receives_under_ctx, 0);
    GO(receives, 0);
    GO(sends, 1);
    go_cancel();
    sim_join_one(first);
    if (err_of[0] == 0) {
        int m = 2;
        EXPECT(value[0] == 1);
        EXPECT(leat_send(&c, &m) == 0);
    } else {
        EXPECT(err_of[0] == (k->a == DEADLINE ? -ETIMEDOUT : -ECANCELED));
    }
    sim_join();
    EXPECT(err_of[1] == 0 && value[1] == (err_of[0] ? 1 : 2));
    end_contexts();
}

/* The mirror image: a full channel, and one message is taken (I5). */
static void *sends_under_ctx(void *arg)
{
    int m = 1;
    (void)arg;
    err_of[0] = leat_send_ctx(&ctx, &c, &m);
    return NULL;
}

static void *takes_one(void *arg)
{
    int m;
    (void)arg;
    EXPECT(leat_recv(&c, &m) == 0);
    return NULL;
}

SCENARIO(sender_gives_up, EACH_END(.cap = 0), EACH_END(.cap = 1), EACH_END(.cap = 2), EACH_END(.cap = 3, .start = 2))
{
    int m;
    make_contexts(k);
    fill(&c, 9);
    int first = GO(sends_under_ctx, 0);
    GO(sends, 2);
    GO(takes_one, 0);
    go_cancel();
    sim_join_one(first);
    if (err_of[0] == 0) EXPECT(leat_recv(&c, &m) == 0);
    else EXPECT(err_of[0] == (k->a == DEADLINE ? -ETIMEDOUT : -ECANCELED));
    sim_join();
    EXPECT((int)leat_len(&c) == k->cap);
    end_contexts();
}

/* Three threads are parked, and there is a message for each. One of them gives up, perhaps the one that was woken
 * (I5). */
static void *receives_any(void *arg)
{
    int m = -1;
    EXPECT(leat_recv(&c, &m) == 0);
    EXPECT(m >= 0);
    (void)arg;
    return NULL;
}

static void *sends_three(void *arg)
{
    (void)arg;
    for (int m = 0; m < 3; m++) EXPECT(leat_send(&c, &m) == 0);
    return NULL;
}

SCENARIO(one_of_three_gives_up, EACH_END(.cap = 1), EACH_END(.cap = 3), EACH_END(.cap = 3, .start = 2))
{
    make_contexts(k);
    GO(receives_under_ctx, 0);
    GO(receives_any, 0);
    GO(receives_any, 1);
    GO(sends_three, 0);
    go_cancel();
    sim_join();
    EXPECT(leat_len(&c) == (err_of[0] != 0));
    end_contexts();
}

/* Alone, so that it can be searched: what was not received is still there, and what was not sent is not (I2). */
SCENARIO(one_gives_up, { .cap = 0, .a = CANCEL, .exhaust = true }, { .cap = 1, .a = CANCEL, .exhaust = true },
         { .cap = 0, .a = DEADLINE, .exhaust = true }, { .cap = 1, .a = DEADLINE, .exhaust = true },
         { .cap = 1, .a = CANCEL_BOTH })
{
    int m = 1, err;
    make_contexts(k);
    GO(receives_under_ctx, 0);
    go_cancel();
    if (k->cap) EXPECT((err = leat_send(&c, &m)) == 0);
    else EXPECT((err = leat_send_ctx(&ctx, &c, &m)) == 0 || err == (k->a == DEADLINE ? -ETIMEDOUT : -ECANCELED));
    sim_join();
    EXPECT((int)leat_len(&c) == (err == 0 && err_of[0] ? 1 : 0));
    if (!k->cap) EXPECT((err == 0) == (err_of[0] == 0));
    end_contexts();
}

/* ==== Contexts in a row, side by side ========================================================= */

/* Two contexts at once, of one parent. Any of the three is cancelled. Another receiver waits without a context. */
static leat_ctx left, right;

static void *waits_under_both(void *arg)
{
    (void)arg;
    leat_case once = leat_case_(&c.chan, LEAT_RECEIVES_, &value[0], sizeof(int), _Alignof(int));
    err_of[0] = leat_select_(&left, &right, &once, 1);
    return NULL;
}

static void *cancels_one(void *arg)
{
    leat_ctx *of[] = { &left, &right, &parent };
    leat_cancel(of[ID(arg)], 3);
    return NULL;
}

SCENARIO(under_two_contexts, { .cap = 0, .each = 3 }, { .cap = 1, .each = 3 }, { .cap = 1, .each = 1 },
         { .cap = 1, .each = 2 })
{
    int m = 2;
    make_contexts(k);
    left = (leat_ctx)LEAT_CTX(&parent);
    right = (leat_ctx)LEAT_CTX(&parent);
    int first = GO(waits_under_both, 0);
    GO(receives, 0);
    for (int i = 3 - k->each; i < 3; i++) GO(cancels_one, i);
    GO(sends, 1);
    sim_join_one(first);
    EXPECT(err_of[0] == 0 || err_of[0] == -ECANCELED);
    if (err_of[0] == 0) EXPECT(leat_send(&c, &m) == 0);
    sim_join();
    EXPECT(!left.waiters_.first_ && !right.waiters_.first_);
    EXPECT(leat_ctx_cause(&left) == 3);
    leat_cancel(&ctx, 5);
    leat_free(&c);
}

/* Deadlines of three contexts, one below the other, or the last of them beside the two. The first deadline to pass
 * ends the wait, at its time, whichever context has it. It ends the contexts below, and no others. */
static leat_ctx *level[3];
static int64_t began;

static void *waits_under_three(void *arg)
{
    leat_case once = leat_case_(&c.chan, LEAT_RECEIVES_, &value[0], sizeof(int), _Alignof(int));
    (void)arg;
    err_of[0] = leat_select_(level[2 - now_->each], now_->each ? level[2] : NULL, &once, 1);
    if (err_of[0] == -ETIMEDOUT) EXPECT(leat_now() - began < LEAT_S(100));
    return NULL;
}

#define ORDERS(...) \
    { .a = 123, __VA_ARGS__ }, { .a = 132, __VA_ARGS__ }, { .a = 213, __VA_ARGS__ }, { .a = 231, __VA_ARGS__ }, \
        { .a = 312, __VA_ARGS__ }, { .a = 321, __VA_ARGS__ }, { .a = 100, __VA_ARGS__ }, { .a = 10, __VA_ARGS__ }, \
    { \
        .a = 1, __VA_ARGS__ \
    } /* which is first, which second, which third. 0: never */
SCENARIO(first_of_three_deadlines, ORDERS(.exhaust = true), ORDERS(.cap = 1, .senders = 1),
         ORDERS(.each = 1, .exhaust = true))
{
    const int place[] = { k->a / 100, k->a / 10 % 10, k->a % 10 };
    const int64_t until[] = { LEAT_FOREVER, LEAT_US(5), LEAT_S(1000), LEAT_S(2000) };
    int m = 1, first = 0;
    make_contexts(k);
    began = leat_now();
    for (int i = 0; i < 3; i++) {
        level[i] = i == 0 ? &parent : i == 1 ? &left : &right;
        leat_ctx *above = i == 0 || (i == 2 && k->each) ? NULL : level[i - 1];
        *level[i] = (leat_ctx)LEAT_CTX_WITHIN(above, until[place[i]]);
        if (place[i] == 1) first = i;
    }
    GO(waits_under_three, 0);
    if (k->senders) GO(sends, 1);
    sim_join();
    EXPECT(err_of[0] == -ETIMEDOUT || (k->senders && err_of[0] == 0 && value[0] == 1));
    if (err_of[0]) EXPECT(!k->senders || leat_recv(&c, &m) == 0);
    for (int i = 0; err_of[0] && i < 3; i++) {
        bool below = i >= first && !(k->each && i == 2 && first < 2);
        EXPECT(leat_ctx_err(level[i]) == (below ? -ETIMEDOUT : 0));
        EXPECT(!level[i]->waiters_.first_);
    }
    EXPECT(no_thread_waits(&c));
    leat_free(&c);
}

/* A cancel wakes all threads that are parked under the context, wherever they are parked, and those that come later. */
static void *sleeps(void *arg)
{
    int m, err;
    if (ID(arg) == 0) {
        err = leat_recv_ctx(&ctx, &c, &m);
    } else {
        leat_case cases[] = { LEAT_RECV(&d, &m), LEAT_RECV(&c, &m) };
        err = leat_select_ctx(&ctx, cases, 2);
    }
    EXPECT(err == -ECANCELED);
    EXPECT(leat_recv_ctx(&ctx, &c, &m) == -ECANCELED);
    return NULL;
}

SCENARIO(cancel_wakes_all, { .receivers = 1, .cap = 0, .a = CANCEL, .exhaust = true },
         { .receivers = 1, .cap = 1, .a = CANCEL, .exhaust = true }, { .receivers = 3, .cap = 0, .a = CANCEL },
         { .receivers = 3, .cap = 1, .a = CANCEL }, { .receivers = 2, .cap = 1, .a = CANCEL_BOTH })
{
    make_contexts(k);
    make(&d, 1, "d");
    for (int i = 0; i < k->receivers; i++) GO(sleeps, i);
    go_cancel();
    end_contexts();
    leat_free(&d);
}

/* ==== What a cancel carries =================================================================== */

static int before_cancel;

static void *cancels_after(void *arg)
{
    (void)arg;
    before_cancel = 1;
    leat_cancel(&parent, 3);
    return NULL;
}

/* A thread that sees that a context is done has seen what came before the cancel, and may free the context: the
 * thread that cancels does not access it any more (I4). */
SCENARIO(cancelled_context_is_freed, { .cap = 0, .exhaust = true }, { .cap = 1, .exhaust = true }, { .cap = 0, .each = 1 },
         { .cap = 0, .each = 2, .exhaust = true })
{
    int m;
    make_contexts(k);
    leat_ctx child = LEAT_CTX(&parent);
    GO(cancels_after, 0);
    if (k->each == 0) EXPECT(leat_recv_ctx(&child, &c, &m) == -ECANCELED);
    else
        while (!leat_ctx_err(k->each == 1 ? &child : &parent)) sim_yield();
    EXPECT(before_cancel == 1);
    EXPECT(leat_ctx_cause(&parent) == 3);
    sim_freed(&parent, sizeof parent, "the context");
    sim_join();
    leat_free(&c);
}

/* The same for a thread that learns it from another thread, which noted it on the child. */
static void *asks_the_child(void *arg)
{
    (void)arg;
    while (!leat_ctx_err(&ctx)) sim_yield();
    EXPECT(before_cancel == 1);
    return NULL;
}

SCENARIO(cancel_is_seen_through_a_child, { .a = CANCEL, .exhaust = true })
{
    make_contexts(k);
    GO(asks_the_child, 0);
    GO(asks_the_child, 1);
    cancels_after(NULL);
    sim_join();
}

/* Of several causes, the first counts, for all threads. */
static void *cancels_with(void *arg)
{
    leat_cancel(&parent, ID(arg));
    value[ID(arg)] = leat_ctx_cause(&parent);
    return NULL;
}

SCENARIO(first_cause_counts, { .senders = 2, .a = CANCEL, .exhaust = true }, { .senders = 3, .a = CANCEL })
{
    make_contexts(k);
    for (int i = 1; i <= k->senders; i++) GO(cancels_with, i);
    sim_join();
    int cause = leat_ctx_cause(&parent);
    EXPECT(cause >= 1 && cause <= k->senders);
    for (int i = 1; i <= k->senders; i++) EXPECT(value[i] == cause);
}

/* A child that was on a stack is gone when its parent is cancelled. */
static void *has_a_child(void *arg)
{
    int m;
    (void)arg;
    leat_ctx children[2] = { { 0 } };
    for (int i = 0; i < 2; i++) {
        leat_ctx *child = &children[i];
        *child = (leat_ctx)LEAT_CTX_WITHIN(&parent, LEAT_US(i ? 50 : 1));
        int err = leat_recv_ctx(child, &c, &m);
        EXPECT(err == -ETIMEDOUT || err == -ECANCELED || err == 0);
        sim_freed(child, sizeof *child, "the child");
        if (err != -ETIMEDOUT) break;
    }
    return NULL;
}

SCENARIO(children_come_and_go, { .cap = 0 }, { .cap = 1 })
{
    int m = 1;
    make_contexts(k);
    GO(has_a_child, 0);
    GO(cancels, 0);
    EXPECT(leat_try_send(&c, &m) == 0 || k->cap == 0);
    sim_join();
    EXPECT(!parent.waiters_.first_ && no_thread_waits(&c));
    leat_free(&c);
}
