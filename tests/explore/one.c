/* one.c - scenarios of channels with ends for one thread: a plain store claims, and membarrier orders it.
 * SPDX-License-Identifier: MIT */
#include "scene.h"

/* .a: which ends are for one thread, and whether there is no membarrier. What else a scenario does is above that. */
enum { S = LEAT_ONE_SENDER, R = LEAT_ONE_RECEIVER, BOTH = S | R, FENCED = 4, OTHER = 8 };
#define ONES (now_->a & BOTH)
#define OF_INT sizeof(int), _Alignof(int)
#define EACH_KIND(...) \
    { .a = S, __VA_ARGS__ }, { .a = R, __VA_ARGS__ }, { .a = BOTH, __VA_ARGS__ }, \
    { \
        .a = BOTH | FENCED, __VA_ARGS__ \
    }
#define ONE_TO_ONE .senders = 1, .receivers = 1
#define SMALL .exhaust = true

/* The typed macros know the ends when they are compiled. These are told. */
static int sends(int m)
{
    return leat_send_(NULL, &c.chan, &m, OF_INT, ONES);
}

static int tries_to_send(int m)
{
    return leat_try_send_(&c.chan, &m, OF_INT, ONES);
}

static int receives(int *m)
{
    return leat_recv_(NULL, &c.chan, m, OF_INT, ONES);
}

static int tries_to_receive(int *m)
{
    return leat_try_recv_(&c.chan, m, OF_INT, ONES);
}

static void make_one(const sim_knobs *k)
{
    now_ = k;
    sim_no_membarrier = k->a & FENCED ? 1 : 0;
    EXPECT(leat_make_for_(&c.chan, (size_t)k->cap, OF_INT, ONES) == 0);
    for (int i = 0, m; i < k->start; i++) EXPECT(tries_to_send(i) == 0 && tries_to_receive(&m) == 0 && m == i);
    name_chan(&c, "c");
    sim_name(&c.chan.ends_[LEAT_SENDS_].pos_, 8, "c.tail's position");
    sim_name(&c.chan.ends_[LEAT_RECEIVES_].pos_, 8, "c.head's position");
}

static void end_one(void)
{
    EXPECT(no_thread_waits(&c));
    leat_free(&c);
}

static void *sender(void *arg)
{
    for (int i = 0; i < now_->each; i++) EXPECT(sends(ID(arg) * now_->each + i) == 0);
    return NULL;
}

static void *receiver(void *arg)
{
    int n = now_->senders * now_->each / now_->receivers;
    for (int i = 0, m; i < n; i++) {
        EXPECT(receives(&m) == 0);
        note_got(ID(arg), m);
    }
    return NULL;
}

static void *drainer(void *arg)
{
    int m = -1, err;
    while ((err = receives(&m)) == 0) note_got(ID(arg), m);
    EXPECT(err == -EPIPE);
    EXPECT(receives(&m) == -EPIPE && tries_to_receive(&m) == -EPIPE);
    return NULL;
}

static void cast(void *from(void *), void *to(void *))
{
    for (int i = 0; i < now_->senders; i++) GO(from, i);
    for (int i = 0; i < now_->receivers; i++) GO(to, i);
}

/* No thread is parked beside a message or beside room, although the claim and the bit are in two words (I6). */
SCENARIO(one_send_recv, EACH_KIND(ONE_TO_ONE, .cap = 1, .each = 3, SMALL), EACH_KIND(ONE_TO_ONE, .cap = 2, .each = 4, SMALL),
         EACH_KIND(ONE_TO_ONE, .cap = 3, .each = 4, .start = 2),
         { .senders = 1, .receivers = 2, .cap = 1, .each = 2, .a = S },
         { .senders = 1, .receivers = 2, .cap = 2, .each = 4, .a = S | FENCED },
         { .senders = 1, .receivers = 3, .cap = 3, .each = 6, .a = S, .start = 2 },
         { .senders = 2, .receivers = 1, .cap = 1, .each = 1, .a = R },
         { .senders = 2, .receivers = 1, .cap = 2, .each = 2, .a = R },
         { .senders = 3, .receivers = 1, .cap = 3, .each = 2, .a = R | FENCED, .start = 2 })
{
    make_one(k);
    cast(sender, receiver);
    sim_join();
    EXPECT(all_got(k->each) == k->senders * k->each && leat_len_(&c.chan, ONES) == 0);
    end_one();
}

static void *sends_many(void *arg)
{
    int m[8];
    for (int i = 0; i < now_->each; i++) m[i] = ID(arg) * now_->each + i;
    for (int done = 0; done < now_->each;) {
        ptrdiff_t n = leat_send_many_(NULL, &c.chan, true, m + done, (size_t)(now_->each - done), OF_INT, ONES);
        if (n == -EPIPE) break;
        EXPECT(n > 0 && n <= now_->each - done);
        done += (int)n;
        got_[SIM_THREADS - 1 - ID(arg)].n += (int)n; /* how many it sent */
    }
    return NULL;
}

static void *receives_many(void *arg)
{
    int m[3];
    for (ptrdiff_t n; (n = leat_recv_many_(NULL, &c.chan, true, m, 3, OF_INT, ONES)) != -EPIPE;) {
        EXPECT(n >= 1 && n <= 3);
        for (int i = 0; i < n; i++) note_got(ID(arg), m[i]);
    }
    return NULL;
}

static void *closer(void *arg)
{
    (void)arg;
    EXPECT(leat_close(&c) == 0 && leat_is_closed(&c));
    return NULL;
}

/* Batches, with a close after the last of them or, with OTHER, among them. What was sent is received. */
SCENARIO(one_batches, EACH_KIND(ONE_TO_ONE, .cap = 1, .each = 2, SMALL),
         EACH_KIND(ONE_TO_ONE, .cap = 3, .each = 5, .start = 2),
         { .senders = 1, .receivers = 2, .cap = 3, .each = 7, .a = S },
         { .senders = 2, .receivers = 1, .cap = 3, .each = 4, .a = R },
         { ONE_TO_ONE, .cap = 3, .each = 5, .a = BOTH | OTHER, .start = 2 },
         { ONE_TO_ONE, .cap = 2, .each = 3, .a = S | OTHER },
         { ONE_TO_ONE, .cap = 2, .each = 3, .a = BOTH | FENCED | OTHER })
{
    int sent = 0, got = 0, times[MESSAGES] = { 0 };
    make_one(k);
    cast(sends_many, receives_many);
    for (int t = 1; t <= k->senders && !(k->a & OTHER); t++) sim_join_one(t);
    closer(NULL);
    sim_join();
    for (int i = 0; i < k->senders; i++) sent += got_[SIM_THREADS - 1 - i].n;
    for (int r = 0; r < k->receivers; r++)
        for (int i = 0; i < got_[r].n; i++, got++) EXPECT(times[got_[r].message[i]]++ == 0);
    EXPECT(sent == got && (sent == k->senders * k->each || k->a & OTHER));
    end_one();
}

static int accepted;

static void *sends_until_closed(void *arg)
{
    (void)arg;
    for (int i = 0, err; i < now_->each; i++, accepted++)
        if ((err = sends(i)) != 0) {
            EXPECT(err == -EPIPE && leat_is_closed(&c));
            EXPECT(tries_to_send(i) == -EPIPE && sends(i) == -EPIPE);
            break;
        }
    return NULL;
}

/* A send that races with the close is received, or says -EPIPE, and no thread stays parked. */
SCENARIO(one_close_races, EACH_KIND(ONE_TO_ONE, .cap = 1, .each = 1, SMALL), EACH_KIND(ONE_TO_ONE, .cap = 1, .each = 2),
         EACH_KIND(ONE_TO_ONE, .cap = 2, .each = 3),
         { .senders = 1, .receivers = 3, .cap = 3, .each = 4, .a = S, .start = 2 })
{
    make_one(k);
    cast(sends_until_closed, drainer);
    GO(closer, 0);
    sim_join();
    EXPECT(all_got(k->each) == accepted);
    end_one();
}

/* Whoever learned of a message finds it, and whoever learned of room finds room. */
static void *tells(void *arg)
{
    int m = 5;
    (void)arg;
    for (int i = 0; i < now_->each; i++) {
        if (now_->a & OTHER) EXPECT(receives(&m) == 0);
        else EXPECT(sends(m) == 0);
        EXPECT(leat_send(&d, &m) == 0);
    }
    return NULL;
}

SCENARIO(one_try_is_exact, EACH_KIND(.cap = 1, .each = 2, SMALL), EACH_KIND(.cap = 2, .each = 3, .start = 1),
         { .cap = 1, .each = 2, .a = S | OTHER, SMALL }, { .cap = 1, .each = 2, .a = R | OTHER },
         { .cap = 2, .each = 3, .a = BOTH | OTHER })
{
    int m;
    make_one(k);
    make(&d, 1, "d");
    for (int i = 0; i < k->cap && k->a & OTHER; i++) EXPECT(tries_to_send(i) == 0);
    if (k->a & OTHER) EXPECT(tries_to_send(0) == -EAGAIN);
    else EXPECT(tries_to_receive(&m) == -EAGAIN);
    GO(tells, 0);
    for (int i = 0; i < k->each; i++) {
        EXPECT(leat_recv(&d, &m) == 0);
        if (k->a & OTHER) EXPECT(tries_to_send(i) == 0);
        else EXPECT(tries_to_receive(&m) == 0 && m == 5);
        EXPECT((int)leat_len_(&c.chan, ONES) <= k->cap);
    }
    sim_join();
    leat_free(&d);
    end_one();
}

static void *sends_and_closes(void *arg)
{
    (void)arg;
    for (int i = 0; i < now_->each; i++) EXPECT(sends(i) == 0);
    if (now_->a & OTHER) EXPECT(leat_close(&c) == 0);
    return NULL;
}

/* The receiver frees the channel as soon as it has the last message, or -EPIPE: the call that sent it, or closed the
 * channel, accesses it no more (I4). */
SCENARIO(one_is_freed_at_once, EACH_KIND(.cap = 1, .each = 1, SMALL), EACH_KIND(.cap = 2, .each = 3),
         EACH_KIND(.cap = 1, .each = 2, .start = 1), { .cap = 1, .each = 1, .a = S | OTHER, SMALL },
         { .cap = 2, .each = 2, .a = BOTH | OTHER }, { .cap = 1, .each = 2, .a = BOTH | FENCED | OTHER })
{
    int m;
    make_one(k);
    GO(sends_and_closes, 0);
    for (int i = 0; i < k->each; i++) EXPECT(receives(&m) == 0 && m == i);
    if (k->a & OTHER) EXPECT(receives(&m) == -EPIPE);
    free_at_once(&c, "the channel");
    sim_join();
}

static void *takes_one(void *arg)
{
    int m;
    (void)arg;
    EXPECT(receives(&m) == 0);
    return NULL;
}

/* And the sender, which learns that the one message was taken, because there is room. */
SCENARIO(one_that_was_full_is_freed, EACH_KIND(.cap = 1, SMALL), EACH_KIND(.cap = 2, SMALL), EACH_KIND(.cap = 3, .start = 2))
{
    make_one(k);
    for (int i = 0; i < k->cap; i++) EXPECT(tries_to_send(i) == 0);
    GO(takes_one, 0);
    EXPECT(sends(9) == 0);
    free_at_once(&c, "the channel");
    sim_join();
}

/* A select may be at either end, and parks at several channels. */
static void *selects_to_receive(void *arg)
{
    (void)arg;
    for (int n = 0, i = 0; n < 2;) {
        int m = -1;
        leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_RECV(&d, &m) };
        int r = now_->a & OTHER ? leat_try_select(cases, 2) : leat_select(cases, 2);
        if (r == -EAGAIN) {
            sim_yield();
            continue;
        }
        EXPECT(r == 0 || r == 1);
        if (cases[r].err) {
            EXPECT(r == 0 && cases[0].err == -EPIPE && i == now_->each);
            n |= 2;
        } else if (r == 0) EXPECT(m == i++);
        else EXPECT(m == 7);
    }
    return NULL;
}

static void *selects_to_send(void *arg)
{
    int m;
    (void)arg;
    for (int i = 0; i < now_->each;) {
        leat_case cases[] = { LEAT_SEND(&c, &i), LEAT_RECV(&d, &m) };
        int r = leat_select(cases, 2);
        EXPECT(r == 0 || (r == 1 && m == 7));
        if (r == 0) i++;
    }
    EXPECT(leat_close(&c) == 0);
    return NULL;
}

static void *sends_sevens(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) (void)!leat_try_send(&d, &(int){ 7 });
    return NULL;
}

SCENARIO(one_selects, EACH_KIND(.cap = 1, .each = 1), EACH_KIND(.cap = 1, .each = 2),
         EACH_KIND(.cap = 3, .each = 4, .start = 2), EACH_KIND(.cap = 1, .each = 2, .senders = 1),
         { .cap = 1, .each = 2, .a = BOTH | OTHER }, { .cap = 2, .each = 3, .a = S | OTHER })
{
    make_one(k);
    make(&d, 2, "d");
    GO(selects_to_receive, 0);
    GO(k->senders ? selects_to_send : sends_and_closes, 0);
    GO(sends_sevens, 0);
    sim_join_one(2);
    if (!k->senders && !(k->a & OTHER)) EXPECT(leat_close(&c) == 0);
    sim_join();
    leat_free(&d);
    end_one();
}

/* A context that is done wins, and a thread that gives up leaves no wake behind (I8, I5). */
static leat_ctx ctx;

static void *cancels_and_sends(void *arg)
{
    (void)arg;
    leat_cancel(&ctx, 0);
    EXPECT(sends(1) == 0);
    return NULL;
}

static void *receives_under_ctx(void *arg)
{
    int m = -1;
    (void)arg;
    EXPECT(leat_recv_(&ctx, &c.chan, &m, OF_INT, ONES) == -ECANCELED && m == -1);
    EXPECT(receives(&m) == 0 && m == 1);
    return NULL;
}

SCENARIO(one_cancel_wins, EACH_KIND(.cap = 1, SMALL), EACH_KIND(.cap = 3, .start = 2))
{
    make_one(k);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    GO(cancels_and_sends, 0);
    GO(receives_under_ctx, 0);
    sim_join();
    EXPECT(!ctx.waiters_.first_);
    end_one();
}

/* Two receivers beside one sender, of whom one gives up: the other gets the message (I5). */
static int gave_up;

static void *may_give_up(void *arg)
{
    int m;
    (void)arg;
    gave_up = leat_recv_(&ctx, &c.chan, &m, OF_INT, ONES);
    return NULL;
}

static void *cancels(void *arg)
{
    (void)arg;
    leat_cancel(&ctx, 0);
    return NULL;
}

SCENARIO(one_gives_up, { .cap = 1, .a = S }, { .cap = 2, .a = S }, { .cap = 2, .a = S | FENCED })
{
    make_one(k);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    GO(may_give_up, 0);
    GO(takes_one, 0);
    GO(cancels, 0);
    EXPECT(sends(1) == 0);
    sim_join_one(1);
    if (!gave_up) EXPECT(sends(2) == 0);
    sim_join();
    end_one();
}
