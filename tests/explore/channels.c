/* channels.c - scenarios of queue.h: messages, batches, close, exact tries, freeing at once.
 * SPDX-License-Identifier: MIT */
#include "scene.h"

/* ==== Sending and receiving =================================================================== */

static void *sender(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int m = ID(arg) * now_->each + i;
        EXPECT(leat_send(&c, &m) == 0);
    }
    return NULL;
}

static void *receiver(void *arg)
{
    int n = now_->senders * now_->each / now_->receivers;
    for (int i = 0, m; i < n; i++) {
        EXPECT(leat_recv(&c, &m) == 0);
        note_got(ID(arg), m);
    }
    return NULL;
}

/* Receives until the channel is closed and drained. */
static void *drainer(void *arg)
{
    int m = -1, err;
    while ((err = leat_recv(&c, &m)) == 0) note_got(ID(arg), m);
    EXPECT(err == -EPIPE);
    EXPECT(leat_recv(&c, &m) == -EPIPE);
    return NULL;
}

static void cast(void *sends(void *), void *receives(void *))
{
    for (int i = 0; i < now_->senders; i++) GO(sends, i);
    for (int i = 0; i < now_->receivers; i++) GO(receives, i);
}

#define SMALL .exhaust = true
#define BIG .exhaust = false
#define CROWD(s, r, e, ...) \
    { .senders = s, .receivers = r, .cap = 0, .each = e, __VA_ARGS__ }, \
        { .senders = s, .receivers = r, .cap = 1, .each = e, __VA_ARGS__ }, \
    { \
        .senders = s, .receivers = r, .cap = 2, .each = e, __VA_ARGS__ \
    }

/* No thread is parked beside a message or beside room (I6). */
SCENARIO(send_recv, CROWD(1, 1, 3, SMALL), CROWD(2, 1, 1, SMALL), CROWD(1, 2, 2, SMALL), CROWD(2, 2, 1, SMALL),
         CROWD(2, 2, 3, BIG), CROWD(2, 3, 3, BIG), CROWD(3, 3, 1, BIG), CROWD(4, 4, 2, BIG),
         { .senders = 1, .receivers = 4, .cap = 4, .each = 8 }, { .senders = 4, .receivers = 1, .cap = 4, .each = 2 },
         { .senders = 2, .receivers = 2, .cap = 3, .each = 4, .start = 2 },
         { .senders = 3, .receivers = 3, .cap = 3, .each = 2, .start = 1 },
         { .senders = 2, .receivers = 3, .cap = 5, .each = 6, .start = 4 },
         { .senders = 3, .receivers = 2, .cap = 7, .each = 6, .start = 6 })
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(sender, receiver);
    sim_join();
    EXPECT(all_got(k->each) == k->senders * k->each);
    EXPECT(leat_len(&c) == 0 && no_thread_waits(&c));
    leat_free(&c);
}

/* A thread that the close wakes goes on at once, also while the closer has other threads to wake (I3). */
SCENARIO(send_then_close, CROWD(1, 1, 2, SMALL), CROWD(2, 2, 1, BIG), CROWD(2, 3, 2, BIG))
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(sender, drainer);
    for (int t = 1; t <= k->senders; t++) sim_join_one(t);
    EXPECT(leat_close(&c) == 0);
    sim_join();
    EXPECT(all_got(k->each) == k->senders * k->each);
    leat_free(&c);
}

/* Stages pass on what they receive. A wake that is lost anywhere stops them all (I1). */
static ints chain[4];

static void *relay(void *arg)
{
    int i = ID(arg), m;
    while (leat_recv(&chain[i], &m) == 0) EXPECT(leat_send(&chain[i + 1], &m) == 0);
    EXPECT(leat_close(&chain[i + 1]) == 0);
    return NULL;
}

SCENARIO(relays, { .cap = 0, .each = 3 }, { .cap = 1, .each = 3 }, { .cap = 2, .each = 4 })
{
    static const char *const names[] = { "c0", "c1", "c2", "c3" };
    int m = -1, n = 0;
    for (int i = 0; i < 4; i++) make(&chain[i], k->cap, names[i]);
    for (int i = 0; i < 3; i++) GO(relay, i);
    for (int i = 0; i < k->each; i++) {
        EXPECT(leat_send(&chain[0], &i) == 0);
        if (i > 1) {
            EXPECT(leat_recv(&chain[3], &m) == 0);
            EXPECT(m == n++);
        }
    }
    EXPECT(leat_close(&chain[0]) == 0);
    for (; leat_recv(&chain[3], &m) == 0; n++) EXPECT(m == n);
    EXPECT(n == k->each);
    sim_join();
    for (int i = 0; i < 4; i++) leat_free(&chain[i]);
}

/* ==== Batches ================================================================================= */

static void *sends_many(void *arg)
{
    int m[8], done = 0;
    for (int i = 0; i < now_->each; i++) m[i] = ID(arg) * now_->each + i;
    while (done < now_->each) {
        ptrdiff_t n = leat_send_many(&c, m + done, (size_t)(now_->each - done));
        EXPECT(n > 0 && n <= now_->each - done);
        done += (int)n;
    }
    return NULL;
}

static void *receives_many(void *arg)
{
    int m[5], most = now_->cap > 4 ? 5 : 2;
    for (ptrdiff_t n; (n = leat_recv_many(&c, m, (size_t)most)) != -EPIPE;) {
        EXPECT(n >= 1 && n <= most);
        for (int i = 0; i < n; i++) note_got(ID(arg), m[i]);
    }
    return NULL;
}

SCENARIO(batches, CROWD(1, 1, 3, SMALL), CROWD(2, 2, 2, BIG), { .senders = 2, .receivers = 2, .cap = 3, .each = 4 },
         { .senders = 1, .receivers = 3, .cap = 3, .each = 7 }, { .senders = 3, .receivers = 1, .cap = 2, .each = 3 },
         { .senders = 1, .receivers = 1, .cap = 3, .each = 3, .start = 2, SMALL },
         { .senders = 2, .receivers = 2, .cap = 3, .each = 5, .start = 2 },
         { .senders = 2, .receivers = 2, .cap = 5, .each = 7, .start = 3 },
         { .senders = 3, .receivers = 2, .cap = 7, .each = 8, .start = 5 })
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(sends_many, receives_many);
    for (int t = 1; t <= k->senders; t++) sim_join_one(t);
    EXPECT(leat_close(&c) == 0);
    sim_join();
    EXPECT(all_got(k->each) == k->senders * k->each);
    leat_free(&c);
}

/* One batch frees or fills several slots. All threads that wait for one must be woken, each by the one before (I5). */
static void *takes_all_in_one(void *arg)
{
    int m[4], n = 0;
    (void)arg;
    while (n < now_->cap + now_->senders) {
        ptrdiff_t more = leat_recv_many(&c, m, 4);
        EXPECT(more > 0);
        n += (int)more;
    }
    return NULL;
}

SCENARIO(batch_frees_many_slots, { .senders = 2, .cap = 2, .each = 1 }, { .senders = 3, .cap = 2, .each = 1 })
{
    now_ = k;
    make(&c, k->cap, "c");
    fill(&c, 0);
    for (int i = 0; i < k->senders; i++) GO(sender, i);
    GO(takes_all_in_one, 0);
    sim_join();
    EXPECT(no_thread_waits(&c));
    leat_free(&c);
}

SCENARIO(batch_fills_many_slots, { .receivers = 2, .cap = 2 }, { .receivers = 3, .cap = 3 })
{
    static sim_knobs one_each;
    int m[3] = { 0, 1, 2 };
    one_each = *k;
    one_each.senders = k->receivers;
    one_each.each = 1;
    now_ = &one_each;
    make(&c, k->cap, "c");
    for (int i = 0; i < k->receivers; i++) GO(receiver, i);
    for (int done = 0; done < k->receivers;) {
        ptrdiff_t n = leat_send_many(&c, m + done, (size_t)(k->receivers - done));
        EXPECT(n > 0);
        done += (int)n;
    }
    sim_join();
    EXPECT(all_got(1) == k->receivers);
    leat_free(&c);
}

/* One batch takes .each of a full ring, or puts as many into an empty one, and no other call comes after it. As many
 * of the parked threads must come to run, wherever in the ring that is, also if its capacity is no power of two. */
#define BATCH(n, cap_, ...) \
    { .cap = cap_, .each = n, .start = 0, __VA_ARGS__ }, { .cap = cap_, .each = n, .start = cap_ - 1, __VA_ARGS__ }, \
        { .cap = cap_, .each = n, .start = cap_, __VA_ARGS__ }, \
    { \
        .cap = cap_, .each = n, .start = 2 * cap_ - 2, __VA_ARGS__ \
    }
#define BATCHES BATCH(2, 3, SMALL), BATCH(3, 3, BIG), BATCH(2, 5, BIG), BATCH(4, 5, BIG), BATCH(3, 7, BIG)

static void *sends_one(void *arg)
{
    EXPECT(leat_send(&c, &(int){ ID(arg) }) == 0);
    return NULL;
}

SCENARIO(one_batch_makes_room_for_as_many, BATCHES)
{
    int m[8];
    now_ = k;
    make(&c, k->cap, "c");
    fill(&c, 9);
    for (int i = 0; i < k->each; i++) GO(sends_one, i);
    EXPECT(leat_recv_many(&c, m, (size_t)k->each) == k->each);
    sim_join();
    EXPECT((int)leat_len(&c) == k->cap && no_thread_waits(&c));
    leat_free(&c);
}

static void *receives_one(void *arg)
{
    int m = -1;
    EXPECT(leat_recv(&c, &m) == 0);
    note_got(ID(arg), m);
    return NULL;
}

SCENARIO(one_batch_is_for_as_many, BATCHES)
{
    int m[8];
    now_ = k;
    make(&c, k->cap, "c");
    for (int i = 0; i < k->each; i++) GO(receives_one, i);
    for (int i = 0; i < k->each; i++) m[i] = i;
    EXPECT(leat_send_many(&c, m, (size_t)k->each) == k->each);
    sim_join();
    EXPECT(all_got(k->each) == k->each && leat_len(&c) == 0 && no_thread_waits(&c));
    leat_free(&c);
}

/* ==== Close =================================================================================== */

static int accepted[SIM_THREADS];

static void *sends_until_closed(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int m = ID(arg) * now_->each + i, err = leat_send(&c, &m);
        if (err) {
            EXPECT(err == -EPIPE);
            EXPECT(leat_is_closed(&c));
            EXPECT(leat_send(&c, &m) == -EPIPE && leat_try_send(&c, &m) == -EPIPE);
            break;
        }
        accepted[ID(arg)]++;
    }
    return NULL;
}

static int closes[2], before_close;

static void *closer(void *arg)
{
    int m = 0;
    before_close = 1;
    closes[ID(arg)] = leat_close(&c);
    EXPECT(leat_is_closed(&c));
    EXPECT(leat_send(&c, &m) == -EPIPE);
    return NULL;
}

static int sum_of_accepted(void)
{
    int sum = 0;
    for (int i = 0; i < SIM_THREADS; i++) sum += accepted[i];
    return sum;
}

/* What was accepted is received, and nothing else, whenever the close comes, and no thread stays parked (I6). */
SCENARIO(close_races, CROWD(1, 1, 1, SMALL), CROWD(2, 1, 1, BIG), CROWD(1, 2, 2, BIG), CROWD(2, 2, 2, BIG),
         { .senders = 1, .receivers = 4, .cap = 4, .each = 5 },
         { .senders = 2, .receivers = 2, .cap = 3, .each = 3, .start = 2 })
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(sends_until_closed, drainer);
    GO(closer, 0);
    sim_join();
    EXPECT(closes[0] == 0);
    EXPECT(all_got(k->each) == sum_of_accepted());
    EXPECT(no_thread_waits(&c));
    leat_free(&c);
}

SCENARIO(close_races_batches, CROWD(2, 1, 2, BIG), CROWD(1, 2, 3, BIG),
         { .senders = 2, .receivers = 2, .cap = 3, .each = 4, .start = 2 })
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(sends_until_closed, receives_many);
    GO(closer, 0);
    sim_join();
    EXPECT(all_got(k->each) == sum_of_accepted());
    leat_free(&c);
}

static void *closer_alone(void *arg)
{
    closes[ID(arg)] = leat_close(&c);
    EXPECT(leat_is_closed(&c)); /* also for the second: it is closed when it returns */
    return NULL;
}

SCENARIO(close_races_close, { .senders = 1, .receivers = 1, .cap = 1, .each = 1 },
         { .senders = 0, .receivers = 2, .cap = 0, .each = 1 }, { .senders = 2, .receivers = 0, .cap = 0, .each = 1 })
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(sends_until_closed, drainer);
    GO(closer_alone, 0);
    GO(closer_alone, 1);
    sim_join();
    EXPECT(closes[0] + closes[1] == -EALREADY);
    EXPECT(all_got(k->each) == sum_of_accepted());
    leat_free(&c);
}

/* A thread that saw that the channel is closed has seen what the closer did before. */
static void *waits_for_close(void *arg)
{
    int m;
    (void)arg;
    switch (now_->a) {
    case 0: EXPECT(leat_recv(&c, &m) == -EPIPE); break;
    case 1:
        while (leat_try_recv(&c, &m) != -EPIPE) sim_yield();
        break;
    case 2:
        while (!leat_is_closed(&c)) sim_yield();
        break;
    default:
        if (leat_close(&c) == 0) return NULL; /* it was the first */
    }
    EXPECT(before_close == 1);
    return NULL;
}

SCENARIO(close_is_a_release, { .cap = 0 }, { .cap = 1, SMALL }, { .cap = 1, .a = 1 }, { .cap = 1, .a = 2 },
         { .cap = 0, .a = 3 }, { .cap = 1, .a = 3 })
{
    now_ = k;
    make(&c, k->cap, "c");
    GO(waits_for_close, 0);
    before_close = 1;
    int err = leat_close(&c);
    EXPECT(err == 0 || k->a == 3);
    sim_join();
    leat_free(&c);
}

/* ==== Exact tries ============================================================================== */

/* Each thread puts one message in before it takes one out. So there always is one, also while another call on an
 * earlier slot is in flight. */
static void *send_then_try_recv(void *arg)
{
    int m = ID(arg);
    for (int i = 0; i < now_->each; i++) {
        EXPECT(leat_send(&c, &m) == 0);
        EXPECT(leat_try_recv(&c, &m) == 0);
    }
    return NULL;
}

SCENARIO(try_recv_is_exact, { .senders = 2, .cap = 2, .each = 1, SMALL }, { .senders = 3, .cap = 3, .each = 1 },
         { .senders = 2, .cap = 3, .each = 2 }, { .senders = 2, .cap = 3, .each = 2, .start = 2 },
         { .senders = 3, .cap = 5, .each = 2, .start = 4 })
{
    now_ = k;
    make(&c, k->cap, "c");
    for (int i = 0; i < k->senders; i++) GO(send_then_try_recv, i);
    sim_join();
    EXPECT(leat_len(&c) == 0);
    leat_free(&c);
}

/* The mirror image: each thread takes one out before it puts one in. */
static void *recv_then_try_send(void *arg)
{
    int m;
    for (int i = 0; i < now_->each; i++) {
        EXPECT(leat_recv(&c, &m) == 0);
        m = ID(arg);
        EXPECT(leat_try_send(&c, &m) == 0);
    }
    return NULL;
}

SCENARIO(try_send_is_exact, { .senders = 2, .cap = 2, .each = 1, SMALL }, { .senders = 3, .cap = 3, .each = 1 },
         { .senders = 2, .cap = 3, .each = 2 }, { .senders = 2, .cap = 3, .each = 2, .start = 2 },
         { .senders = 3, .cap = 5, .each = 2, .start = 4 })
{
    now_ = k;
    make(&c, k->cap, "c");
    fill(&c, 9);
    for (int i = 0; i < k->senders; i++) GO(recv_then_try_send, i);
    sim_join();
    EXPECT((int)leat_len(&c) == k->cap);
    leat_free(&c);
}

/* Tries and blocking calls together, until all messages have arrived. */
static void *tries_to_send(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int m = ID(arg) * now_->each + i, err;
        while ((err = leat_try_send(&c, &m)) == -EAGAIN) sim_yield();
        EXPECT(err == 0);
    }
    return NULL;
}

static void *tries_to_receive(void *arg)
{
    int n = now_->senders * now_->each / now_->receivers;
    for (int m, err; n > 0; n--) {
        while ((err = leat_try_recv(&c, &m)) == -EAGAIN) sim_yield();
        EXPECT(err == 0);
        note_got(ID(arg), m);
    }
    return NULL;
}

SCENARIO(tries_beside_waits, CROWD(2, 1, 2, .a = 1), CROWD(1, 2, 2, .a = 2), CROWD(2, 2, 2, .a = 1), CROWD(2, 2, 2, .a = 2),
         { .senders = 2, .receivers = 2, .cap = 1, .each = 2, .a = 3 })
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(k->a & 1 ? tries_to_send : sender, k->a & 2 ? tries_to_receive : receiver);
    sim_join();
    EXPECT(all_got(k->each) == k->senders * k->each);
    leat_free(&c);
}

/* leat_len never returns more than there can be. */
static void *measures(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) EXPECT(leat_len(&c) <= leat_cap(&c));
    return NULL;
}

SCENARIO(len_is_sane, { .senders = 1, .receivers = 1, .cap = 1, .each = 3, SMALL },
         { .senders = 2, .receivers = 2, .cap = 2, .each = 2 },
         { .senders = 1, .receivers = 1, .cap = 3, .each = 3, .start = 2 })
{
    now_ = k;
    make(&c, k->cap, "c");
    cast(sender, receiver);
    GO(measures, 0);
    sim_join();
    leat_free(&c);
}

/* ==== Freed at once =========================================================================== */

/* A reply channel, which its owner frees as soon as it has all the answers. By then no call of a sender may access it
 * any more, although the call has not returned (I4). */
static void *replies(void *arg)
{
    int m = ID(arg), n;
    switch (now_->a) {
    case 0: EXPECT(leat_send(&c, &m) == 0); break;
    case 1:
        while ((n = leat_try_send(&c, &m)) == -EAGAIN) sim_yield();
        EXPECT(n == 0);
        break;
    case 2: EXPECT(leat_send_many(&c, &m, 1) == 1); break;
    default: {
        leat_case cases[] = { LEAT_RECV(&d, &n), LEAT_SEND(&c, &m) };
        EXPECT(leat_select(cases, 2) == 1);
    }
    }
    return NULL;
}

static void *asks(void *arg)
{
    int n = now_->senders, m[4];
    (void)arg;
    for (int i = 0; i < n;) {
        if (now_->each == 0) {
            EXPECT(leat_recv(&c, m) == 0);
            i++;
        } else if (now_->each == 1) {
            ptrdiff_t more = leat_recv_many(&c, m, 4);
            EXPECT(more > 0);
            i += (int)more;
        } else {
            leat_case cases[] = { LEAT_RECV(&d, m), LEAT_RECV(&c, m) };
            EXPECT(leat_select(cases, 2) == 1);
            i++;
        }
    }
    free_at_once(&c, "the reply channel");
    return NULL;
}

#define REPLY(a_) \
    { .senders = 1, .cap = 0, .a = a_, SMALL }, { .senders = 1, .cap = 1, .a = a_, SMALL }, \
        { .senders = 2, .cap = 0, .a = a_ }, { .senders = 2, .cap = 1, .a = a_ }, \
        { .senders = 2, .cap = 2, .a = a_, .each = 1 }, { .senders = 2, .cap = 0, .a = a_, .each = 2 }, \
    { \
        .senders = 2, .cap = 1, .a = a_, .each = 2 \
    }
SCENARIO(reply_channel_is_freed, REPLY(0), REPLY(1), REPLY(2), REPLY(3))
{
    now_ = k;
    make(&c, k->cap, "c");
    make(&d, 1, "d");
    GO(asks, 0);
    for (int i = 0; i < k->senders; i++) GO(replies, i);
    sim_join();
    leat_free(&d);
}

/* The same for a thread that learns by -EPIPE that nothing more comes (I4). */
static void *sends_and_closes(void *arg)
{
    (void)arg;
    for (int i = 0; i < now_->each; i++) EXPECT(leat_send(&c, &i) == 0);
    before_close = 1;
    EXPECT(leat_close(&c) == 0);
    return NULL;
}

SCENARIO(closed_channel_is_freed, { .cap = 0, SMALL }, { .cap = 1, SMALL }, { .cap = 0, .each = 2 },
         { .cap = 1, .each = 2, SMALL }, { .cap = 2, .each = 3 })
{
    int n = 0, m;
    now_ = k;
    make(&c, k->cap, "c");
    GO(sends_and_closes, 0);
    while (leat_recv(&c, &m) == 0) EXPECT(m == n++);
    EXPECT(n == k->each && before_close == 1);
    free_at_once(&c, "the closed channel");
    sim_join();
}

/* And for a sender. It sent to a full channel, so the one message was taken, by a call that may not access the
 * channel afterwards. */
static void *takes_one(void *arg)
{
    int m;
    (void)arg;
    EXPECT(leat_recv(&c, &m) == 0);
    return NULL;
}

SCENARIO(full_channel_is_freed, { .cap = 0, SMALL }, { .cap = 1, SMALL }, { .cap = 2, SMALL },
         { .cap = 3, .start = 2, SMALL })
{
    int m = 1;
    now_ = k;
    make(&c, k->cap, "c");
    fill(&c, 0);
    GO(takes_one, 0);
    EXPECT(leat_send(&c, &m) == 0);
    free_at_once(&c, "the channel");
    sim_join();
}
