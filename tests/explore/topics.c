/* topics.c - scenarios of topic.h: what each subscriber gets, leaving, waiting for room, drops, close, the latest. It
 * is topic.h without liburcu that is simulated, with its counted sections.
 * SPDX-License-Identifier: MIT */
#define LEAT_VERSIONS_ 4 /* so few that each is soon used again */
#define LEAT_LATER_ 2    /* and that a walk is soon resumed */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static _Atomic bool no_memory; /* a publish that waits for several gets none */

#define calloc(n, size) (atomic_load_explicit(&no_memory, memory_order_relaxed) ? NULL : calloc(n, size))
#include "topic.h"

#include "scene.h"

typedef LEAT_TOPIC(int) topic_of_int;

static topic_of_int t;
static ints e, f, g;
static ints *const chan[] = { &c, &d, &e, &f, &g }; /* of the subscribers, by number */

enum { KEEPS_NONE = 0, FEW = 2, SOME = 3, ALL = LEAT_VERSIONS_ };

/* The topic, with .receivers channels, and so many versions. */
static void make_topic(const sim_knobs *k, int versions)
{
    static const char *const name[] = { "c", "d", "e", "f", "g" };
    uint32_t v;
    now_ = k;
    EXPECT(leat_topic_make(&t, versions ? LEAT_KEEPS_LATEST : 0) == 0);
    for (int i = versions; versions && i < LEAT_VERSIONS_; i++) EXPECT(leat_recv(&t.topic.unused_, &v) == 0);
    sim_name(&t, sizeof t, "topic");
#define PART_(field) sim_name(&t.topic.field##_, sizeof t.topic.field##_, "topic." #field)
    PART_(list);
    PART_(closed);
    PART_(latest);
    PART_(lock);
    PART_(watches);
    PART_(watchers);
    PART_(reclaims);
    PART_(synchronizes);
    PART_(phase);
    PART_(readers);
#undef PART_
    for (int i = 0; i < k->receivers; i++) make(chan[i], k->cap, name[i]);
}

static void subscribe_all(int policy)
{
    for (int i = 0; i < now_->receivers; i++) EXPECT(leat_subscribe(&t, chan[i], policy) == 0);
}

/* No thread uses it any more, and none may access it. */
static void free_topic(void)
{
    EXPECT(t.topic.readers_[0] + t.topic.readers_[1] == 0);
    leat_topic_free(&t);
    sim_freed(&t, sizeof t, "the topic");
}

static void free_channels(void)
{
    for (int i = 0; i < now_->receivers; i++) {
        EXPECT(no_thread_waits(chan[i]));
        leat_free(chan[i]);
    }
}

/* ==== What is published, and what comes ======================================================== */

static int told[MESSAGES];                 /* what the publish of each message returned */
static _Atomic int published[SIM_THREADS]; /* how many by each publisher, so far */

static void *publishes(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int m = ID(arg) * now_->each + i;
        told[m] = (int)leat_publish(&t, &m);
        EXPECT(told[m] >= 0);
        atomic_store_explicit(&published[ID(arg)], i + 1, memory_order_release);
    }
    return NULL;
}

static int all_told(void)
{
    int sum = 0;
    for (int m = 0; m < now_->senders * now_->each; m++) sum += told[m] > 0 ? told[m] : 0;
    return sum;
}

/* Receives until the channel is closed and drained. */
static void *receives(void *arg)
{
    int m, err;
    while ((err = leat_recv(chan[ID(arg)], &m)) == 0) note_got(ID(arg), m);
    EXPECT(err == -EPIPE);
    return NULL;
}

/* Receives what is there. */
static void drain(int r)
{
    for (int m; leat_try_recv(chan[r], &m) == 0;) note_got(r, m);
}

static bool got(int r, int message)
{
    int i = 0;
    while (i < got_[r].n && got_[r].message[i] != message) i++;
    return i < got_[r].n;
}

/* Checks that a subscriber got each publisher's messages in order, none twice, and that none is missing between two
 * of them (WHOLE), nor after the first that it got (REST). Returns how many. */
enum { GAPS, WHOLE, REST };

static int got_in_order(int r, int how)
{
    int last[SIM_THREADS];
    for (int p = 0; p < SIM_THREADS; p++) last[p] = -1;
    for (int i = 0; i < got_[r].n; i++) {
        int m = got_[r].message[i], p = m / now_->each;
        EXPECT(last[p] < m);
        if (how != GAPS && last[p] >= 0) EXPECT(m == last[p] + 1);
        last[p] = m;
    }
    for (int p = 0; p < now_->senders; p++)
        if (how == REST && last[p] >= 0) EXPECT(last[p] == (p + 1) * now_->each - 1);
    return got_[r].n;
}

static void go_publish(void)
{
    for (int i = 0; i < now_->senders; i++) GO(publishes, i);
}

static void join_publishers(void) /* which were the first threads */
{
    for (int i = 1; i <= now_->senders; i++) sim_join_one(i);
}

#define SMALL .exhaust = true
#define BIG .exhaust = false
#define CAST(s, r, e) .senders = s, .receivers = r, .each = e /* publishers, subscribers, messages of each publisher */
#define EACH_CAP(s, r, e, ...) \
    { CAST(s, r, e), .cap = 0, __VA_ARGS__ }, { CAST(s, r, e), .cap = 1, __VA_ARGS__ }, \
    { \
        CAST(s, r, e), .cap = 2, __VA_ARGS__ \
    }

SCENARIO(each_subscriber_gets_all, EACH_CAP(1, 1, 2, SMALL), EACH_CAP(1, 2, 1, SMALL), EACH_CAP(2, 1, 1, SMALL),
         EACH_CAP(2, 2, 2, BIG), { CAST(1, 2, 3), .cap = 1 }, { CAST(1, 4, 1), .cap = 0 }, { CAST(1, 5, 2), .cap = 1 },
         { CAST(2, 3, 2), .cap = 1 }, { CAST(3, 1, 2), .cap = 0 }, { CAST(3, 2, 2), .cap = 2 },
         { CAST(2, 2, 4), .cap = 3, .start = 2 })
{
    make_topic(k, KEEPS_NONE);
    subscribe_all(LEAT_WAITS);
    go_publish();
    for (int i = 0; i < k->receivers; i++) GO(receives, i);
    join_publishers();
    EXPECT(leat_topic_close(&t) == 0);
    sim_join();
    for (int m = 0; m < k->senders * k->each; m++) EXPECT(told[m] == k->receivers);
    for (int i = 0; i < k->receivers; i++) {
        EXPECT(got_in_order(i, REST) == k->senders * k->each);
        EXPECT(leat_topic_drops(&t, chan[i]) == 0);
    }
    free_topic();
    free_channels();
}

/* ==== Leaving ================================================================================== */

/* The channel is freed at once, with the messages in it. */
static void leave(int r)
{
    EXPECT(leat_unsubscribe(&t, chan[r]) == 0);
    EXPECT(leat_unsubscribe(&t, chan[r]) == -ENOENT);
    drain(r);
    EXPECT(no_thread_waits(chan[r]));
    free_at_once(chan[r], "the channel of the one that left");
}

static void *leaves(void *arg)
{
    leave(ID(arg));
    return NULL;
}

/* As many messages were received as the publishes returned. With DROPS_OLDEST a message may have been dropped after
 * that. */
static void expect_told(int policy)
{
    int n = 0;
    for (int i = 0; i < now_->receivers; i++) n += got_in_order(i, policy == LEAT_WAITS ? WHOLE : GAPS);
    EXPECT(n == all_told() || (policy == LEAT_DROPS_OLDEST && n < all_told()));
}

#define POLICIES(...) \
    { __VA_ARGS__, .a = LEAT_WAITS }, { __VA_ARGS__, .a = LEAT_DROPS_NEWEST }, \
    { \
        __VA_ARGS__, .a = LEAT_DROPS_OLDEST \
    }

/* No thread receives. So a publisher that waits for room waits until the subscriber leaves. */
SCENARIO(leave_while_others_publish, POLICIES(CAST(1, 1, 1), .cap = 0, SMALL), POLICIES(CAST(1, 1, 2), .cap = 1, SMALL),
         POLICIES(CAST(1, 2, 1), .cap = 1, SMALL), POLICIES(CAST(2, 1, 1), .cap = 1, SMALL),
         POLICIES(CAST(2, 2, 2), .cap = 0), POLICIES(CAST(2, 2, 2), .cap = 2), POLICIES(CAST(1, 3, 3), .cap = 1),
         POLICIES(CAST(1, 5, 2), .cap = 1))
{
    make_topic(k, KEEPS_NONE);
    subscribe_all(k->a);
    go_publish();
    for (int i = 0; i < k->receivers; i++) leave(i);
    sim_join();
    expect_told(k->a);
    free_topic();
}

/* Each subscriber comes, looks twice, and leaves. Others come and leave at the same time. */
static void *visits(void *arg)
{
    int r = ID(arg), m;
    EXPECT(leat_subscribe(&t, chan[r], now_->a) == 0);
    for (int i = 0; i < 2; i++) {
        if (leat_try_recv(chan[r], &m) == 0) note_got(r, m);
        else sim_yield();
    }
    leave(r);
    return NULL;
}

SCENARIO(come_and_leave, { CAST(0, 2, 1), .cap = 1, SMALL }, { CAST(1, 1, 2), .cap = 0, SMALL },
         { CAST(1, 1, 2), .cap = 1, SMALL }, { CAST(1, 2, 1), .cap = 1, SMALL }, { CAST(1, 2, 2), .cap = 0 },
         { CAST(1, 2, 3), .cap = 1 }, { CAST(1, 3, 2), .cap = 1 }, { CAST(1, 5, 3), .cap = 1 }, { CAST(2, 2, 2), .cap = 1 },
         { CAST(2, 3, 2), .cap = 2 }, { CAST(2, 3, 3), .cap = 1, .a = LEAT_DROPS_OLDEST },
         { CAST(2, 2, 2), .cap = 1, .a = LEAT_DROPS_NEWEST })
{
    make_topic(k, KEEPS_NONE);
    for (int i = 0; i < k->receivers; i++) GO(visits, i);
    go_publish();
    sim_join();
    expect_told(k->a);
    free_topic();
}

/* Two threads take the same subscriber out. One does it. */
static int left[SIM_THREADS];

static void *takes_out(void *arg)
{
    left[ID(arg)] = leat_unsubscribe(&t, &c);
    EXPECT(left[ID(arg)] == 0 || left[ID(arg)] == -ENOENT);
    if (left[ID(arg)] == 0) free_at_once(&c, "the channel of the one that left");
    return NULL;
}

SCENARIO(two_take_one_out, { CAST(0, 1, 1), .cap = 1, SMALL }, { CAST(1, 1, 1), .cap = 0, SMALL },
         { CAST(1, 1, 2), .cap = 1, SMALL }, { CAST(2, 2, 2), .cap = 2, .a = LEAT_DROPS_OLDEST },
         { CAST(2, 1, 2), .cap = 1 })
{
    make_topic(k, KEEPS_NONE);
    subscribe_all(k->a);
    go_publish();
    GO(takes_out, 0);
    GO(takes_out, 1);
    sim_join();
    EXPECT(left[0] + left[1] == -ENOENT);
    if (k->receivers > 1) leave(1);
    free_topic();
}

/* A thread takes a channel out while another still subscribes it. Once that call has returned, the subscribe does not
 * access the channel any more, either. */
static void *subscribes(void *arg)
{
    EXPECT(leat_subscribe(&t, chan[ID(arg)], now_->a) == 0);
    return NULL;
}

static void *takes_out_soon(void *arg)
{
    while (leat_unsubscribe(&t, chan[ID(arg)]) == -ENOENT) sim_yield();
    free_at_once(chan[ID(arg)], "the channel of the one that left");
    return NULL;
}

#define FIRST LEAT_LATEST_FIRST

SCENARIO(taken_out_while_coming, { CAST(0, 1, 1), .cap = 1, .a = FIRST, SMALL },
         { CAST(1, 1, 1), .cap = 1, .a = FIRST, SMALL }, { CAST(1, 1, 2), .cap = 1, .a = FIRST, SMALL },
         { CAST(1, 1, 2), .cap = 1, .a = FIRST | LEAT_DROPS_OLDEST, SMALL }, { CAST(2, 1, 2), .cap = 2, .a = FIRST },
         { CAST(2, 2, 2), .cap = 1, .a = FIRST }, { CAST(1, 2, 3), .cap = 1, .a = FIRST | LEAT_DROPS_OLDEST })
{
    make_topic(k, FEW);
    EXPECT(leat_publish(&t, &(int){ 0 }) == 0);
    go_publish();
    for (int i = 0; i < k->receivers; i++) {
        GO(subscribes, i);
        GO(takes_out_soon, i);
    }
    sim_join();
    free_topic();
}

/* ==== A publisher that waits =================================================================== */

/* Receives until it has one message of each publisher. */
static void receives_from(int r)
{
    for (int m, n = 0; n < now_->senders; n += m != 9) {
        EXPECT(leat_recv(chan[r], &m) == 0);
        if (m != 9) note_got(r, m);
    }
}

/* A subscriber has no room, and the publisher waits for it, until .a happens. If there is another subscriber, it has
 * room. */
enum { A_CANCEL, A_DEADLINE, LEAVING, A_CLOSE, ITS_CLOSE, A_RECEIVE };

static leat_ctx ctx;

static void *publishes_under_ctx(void *arg)
{
    int m = ID(arg);
    told[m] = (int)leat_publish_ctx(&ctx, &t, &m);
    return NULL;
}

#define ENDS(end) \
    { CAST(1, 1, 1), .cap = 0, .a = end, SMALL }, { CAST(1, 1, 1), .cap = 1, .a = end, SMALL }, \
        { CAST(1, 2, 1), .cap = 1, .a = end, SMALL }, { CAST(2, 1, 1), .cap = 0, .a = end }, \
    { \
        CAST(2, 2, 1), .cap = 2, .a = end \
    }

SCENARIO(a_wait_ends, ENDS(A_CANCEL), ENDS(A_DEADLINE), ENDS(LEAVING), ENDS(A_CLOSE), ENDS(ITS_CLOSE), ENDS(A_RECEIVE))
{
    int m, others = k->receivers - 1, of_other = 0, in_time = 0;
    make_topic(k, KEEPS_NONE);
    subscribe_all(LEAT_WAITS);
    fill(&c, 9);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    if (k->a == A_DEADLINE) ctx = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_US(5));
    for (int i = 0; i < k->senders; i++) GO(publishes_under_ctx, i);
    switch (k->a) {
    case A_CANCEL: leat_cancel(&ctx, 3); break;
    case LEAVING: leave(0); break;
    case A_CLOSE: EXPECT(leat_topic_close(&t) == 0); break;
    case ITS_CLOSE: EXPECT(leat_close(&c) == 0); break;
    case A_RECEIVE:
        for (int i = 0; i < k->senders; i++) EXPECT(leat_recv(&c, &m) == 0);
        break;
    default: break;
    }
    sim_join();
    int err = k->a == A_CANCEL     ? -ECANCELED
              : k->a == A_DEADLINE ? -ETIMEDOUT
                                   : -EPIPE; /* it began too late for any subscriber */
    for (int i = 0; i < k->senders; i++) {
        if (k->a == A_CLOSE) EXPECT(told[i] == -EPIPE || (told[i] >= 0 && told[i] <= others));
        else EXPECT((told[i] == err && k->a < LEAVING) || told[i] == (k->a == A_RECEIVE ? k->receivers : others));
        of_other += told[i] > 0;
        in_time += told[i] >= 0;
    }
    if (others) EXPECT((int)leat_len(&d) == of_other && leat_topic_drops(&t, &d) == 0);
    EXPECT(leat_topic_drops(&t, &c) == (k->a == LEAVING ? -ENOENT : k->a > LEAVING ? 0 : in_time));
    EXPECT(!ctx.waiters_.first_);
    free_topic();
    if (k->a == LEAVING) leat_free(&d);
    else free_channels();
}

/* A subscriber that is not waited for just now may leave. For that, no other thread has to receive (P4). */
SCENARIO(leaves_while_another_is_waited_for, { CAST(1, 2, 1), .cap = 0, SMALL }, { CAST(1, 2, 1), .cap = 1, SMALL },
         { CAST(1, 2, 1), .cap = 1, .a = LEAT_DROPS_OLDEST, SMALL }, { CAST(2, 3, 1), .cap = 1 },
         { CAST(1, 4, 1), .cap = 1 })
{
    int m;
    make_topic(k, KEEPS_NONE);
    for (int i = 0; i < k->receivers; i++) {
        fill(chan[i], 9);
        EXPECT(leat_subscribe(&t, chan[i], i ? k->a : LEAT_WAITS) == 0);
    }
    go_publish();
    for (int i = k->receivers; --i > 0;) {
        EXPECT(leat_unsubscribe(&t, chan[i]) == 0);
        free_at_once(chan[i], "the channel of the one that left");
    }
    for (int i = 0; i < k->senders; i++) EXPECT(leat_recv(&c, &m) == 0);
    sim_join();
    free_topic();
    leat_free(&c);
}

/* A subscriber that has room, or makes room itself, is not kept waiting by one that has none. */
SCENARIO(room_behind_a_wait, { CAST(1, 2, 1), .cap = 1, .a = LEAT_WAITS, SMALL },
         { CAST(1, 2, 1), .cap = 1, .a = LEAT_DROPS_OLDEST, SMALL },
         { CAST(1, 2, 1), .cap = 2, .a = LEAT_DROPS_OLDEST, SMALL })
{
    int m;
    make_topic(k, KEEPS_NONE);
    fill(&c, 9);
    EXPECT(leat_subscribe(&t, &c, LEAT_WAITS) == 0);
    for (int i = 1; i < k->receivers; i++) {
        if (k->a != LEAT_WAITS) fill(chan[i], 9);
        EXPECT(leat_subscribe(&t, chan[i], k->a) == 0);
    }
    go_publish();
    for (int i = 1; i < k->receivers; i++) {
        for (int n = 0; n < k->senders; n += m != 9) EXPECT(leat_recv(chan[i], &m) == 0);
    }
    for (int i = 0; i < k->senders; i++) EXPECT(leat_recv(&c, &m) == 0);
    sim_join();
    free_topic();
    free_channels();
}

/* Of several that are full, the first never receives until the others have got the message: each is served as it has
 * room (P4). .a: one of those that wait may leave, too, or the topic is closed. */
enum { ALL_RECEIVE, LAST_LEAVES, DEAD_LEAVES, TOPIC_CLOSES };

SCENARIO(served_as_there_is_room, { CAST(1, 2, 1), .cap = 0, SMALL }, { CAST(1, 2, 1), .cap = 1, SMALL },
         { CAST(1, 3, 1), .cap = 1 }, { CAST(2, 2, 1), .cap = 1 }, { CAST(1, 4, 1), .cap = 2 }, { CAST(1, 5, 1), .cap = 1 },
         { CAST(2, 3, 1), .cap = 0 }, { CAST(1, 3, 1), .cap = 1, .a = LAST_LEAVES },
         { CAST(1, 3, 1), .cap = 0, .a = LAST_LEAVES }, { CAST(1, 2, 1), .cap = 1, .a = DEAD_LEAVES, SMALL },
         { CAST(2, 3, 1), .cap = 1, .a = DEAD_LEAVES }, { CAST(1, 2, 1), .cap = 0, .a = TOPIC_CLOSES },
         { CAST(1, 3, 1), .cap = 1, .a = TOPIC_CLOSES })
{
    int last = k->receivers - (k->a == LAST_LEAVES);
    make_topic(k, KEEPS_NONE);
    for (int i = 0; i < k->receivers; i++) fill(chan[i], 9);
    subscribe_all(LEAT_WAITS);
    go_publish();
    if (k->a == LAST_LEAVES) leave(last);
    for (int i = last; --i > 0;) receives_from(i);
    for (int i = 0; i < k->senders; i++) EXPECT(!told[i]);
    if (k->a == DEAD_LEAVES) leave(0);
    else if (k->a == TOPIC_CLOSES) EXPECT(leat_topic_close(&t) == 0);
    else receives_from(0);
    sim_join();
    for (int i = 0; i < k->senders; i++)
        EXPECT(told[i] == last - (k->a > LAST_LEAVES) || (k->a == LAST_LEAVES && told[i] == last));
    for (int i = 0; i < last; i++) {
        if (!i && k->a == DEAD_LEAVES) continue;
        if (!i && k->a == TOPIC_CLOSES) EXPECT(got_[0].n == 0 && leat_topic_drops(&t, &c) == 0);
        else EXPECT(got_in_order(i, WHOLE) == k->senders && leat_topic_drops(&t, chan[i]) == 0);
        leat_free(chan[i]);
    }
    free_topic();
}

/* Nothing is left out, nor twice, if a publisher finds no memory, and a context ends the wait. .a: there is memory. */
SCENARIO(cancel_while_several_are_waited_for, { CAST(1, 2, 1), .cap = 1, .a = 1, SMALL },
         { CAST(1, 3, 1), .cap = 1, .a = 1 }, { CAST(2, 3, 1), .cap = 0, .a = 1 }, { CAST(1, 3, 1), .cap = 1 },
         { CAST(2, 5, 1), .cap = 1 })
{
    int m, n = 0, in_time = 0;
    make_topic(k, KEEPS_NONE);
    for (int i = 0; i < k->receivers; i++) fill(chan[i], 9);
    subscribe_all(LEAT_WAITS);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    atomic_store_explicit(&no_memory, !k->a, memory_order_relaxed);
    for (int i = 0; i < k->senders; i++) GO(publishes_under_ctx, i);
    if (k->cap) EXPECT(leat_recv(&d, &m) == 0 && m == 9);
    leat_cancel(&ctx, 3);
    sim_join();
    for (int i = 0; i < k->senders; i++) {
        EXPECT(told[i] == -ECANCELED || told[i] >= 0);
        if (told[i] < 0) continue;
        n += told[i];
        in_time++;
    }
    EXPECT(n <= k->cap);
    for (int i = 0; i < k->receivers; i++)
        EXPECT(leat_topic_drops(&t, chan[i]) == in_time - (i == 1 ? n : 0) &&
               leat_len(chan[i]) == (size_t)(i == 1 && k->cap ? k->cap - 1 + n : k->cap));
    EXPECT(!ctx.waiters_.first_);
    free_topic();
    free_channels();
}

/* A subscriber that has got room by the time that the context is done still gets the message. */
SCENARIO(room_when_the_wait_is_over, { CAST(1, 2, 1), .cap = 1, SMALL }, { CAST(1, 3, 1), .cap = 2 })
{
    int m;
    make_topic(k, KEEPS_NONE);
    for (int i = 0; i < k->receivers; i++) fill(chan[i], 9);
    subscribe_all(LEAT_WAITS);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    GO(publishes_under_ctx, 0);
    while (!sim_asleep(1)) sim_yield(); /* it waits for c */
    EXPECT(leat_recv(&d, &m) == 0 && m == 9);
    leat_cancel(&ctx, 3);
    sim_join();
    EXPECT(told[0] == 1 && leat_len(&d) == (size_t)k->cap);
    for (int i = 0; i < k->receivers; i++) EXPECT(leat_topic_drops(&t, chan[i]) == (i != 1));
    free_topic();
    free_channels();
}

/* More subscribers must be waited for than are noted at once. Each gets the message before the publish returns (P1).
 * Some leave meanwhile. */
static void *receives_from_all(void *arg)
{
    int m;
    for (int i = 0; i < now_->receivers; i++) EXPECT(leat_recv(chan[i], &m) == 0 && m == 9);
    return arg;
}

/* .a: how many leave, from the first that is noted last. */
SCENARIO(more_than_are_noted, { CAST(1, 3, 1), .cap = 1, SMALL }, { CAST(1, 4, 1), .cap = 1 }, { CAST(2, 5, 1), .cap = 2 },
         { CAST(1, 4, 1), .cap = 1, .a = 1 }, { CAST(1, 5, 1), .cap = 1, .a = 2 }, { CAST(2, 5, 1), .cap = 2, .a = 3 })
{
    int m, stay = k->receivers - k->a;
    make_topic(k, KEEPS_NONE);
    for (int i = 0; i < k->receivers; i++) fill(chan[i], 9);
    subscribe_all(LEAT_WAITS);
    go_publish();
    for (int i = 0; i < k->a; i++) GO(leaves, LEAT_LATER_ - 1 + i);
    if (!k->a) GO(receives_from_all, 0);
    for (int i = 0; i < k->receivers; i++) {
        if (i >= LEAT_LATER_ - 1 && i < LEAT_LATER_ - 1 + k->a) continue;
        for (int n = k->a ? 0 : 1; n < k->senders; n++) EXPECT(leat_recv(chan[i], &m) == 0 && m == 9);
    }
    sim_join();
    for (int i = 0; i < k->senders; i++) EXPECT(told[i] >= stay && told[i] <= k->receivers && (k->a || told[i] == stay));
    for (int i = 0; i < k->receivers; i++) {
        if (leat_topic_drops(&t, chan[i]) == -ENOENT) continue;
        drain(i);
        EXPECT(got_in_order(i, WHOLE) == k->cap && got_[i].message[k->cap - 1] != 9);
        leat_free(chan[i]);
    }
    free_topic();
}

/* A subscriber that comes while the publisher waits for others gets the message once. .a: the walk could not go on
 * before that. Then it finds the new subscriber, which counts. */
SCENARIO(comes_while_others_are_waited_for, { CAST(1, LEAT_LATER_, 1), .cap = 1 },
         { CAST(1, LEAT_LATER_, 1), .cap = 1, .a = 1 })
{
    int m;
    make_topic(k, FEW);
    for (int i = 0; i < LEAT_LATER_; i++) fill(chan[i], 9);
    subscribe_all(LEAT_WAITS);
    make(&g, 2, "g");
    atomic_store_explicit(&no_memory, k->a, memory_order_relaxed);
    go_publish();
    while (!sim_asleep(1)) sim_yield();
    atomic_store_explicit(&no_memory, false, memory_order_relaxed);
    EXPECT(leat_subscribe(&t, &g, LEAT_WAITS | FIRST) == 0);
    EXPECT(leat_recv(&g, &m) == 0 && m == 0);
    for (int i = 0; i < LEAT_LATER_; i++) EXPECT(leat_recv(chan[i], &m) == 0 && m == 9);
    sim_join();
    EXPECT(told[0] == LEAT_LATER_ + k->a && leat_len(&g) == 0);
    free_topic();
    free_channels();
    leat_free(&g);
}

/* ==== Drops ==================================================================================== */

/* What was received and what was dropped is all that was sent, and the newest always comes. */
SCENARIO(oldest_gives_way, { CAST(1, 1, 2), .cap = 1, SMALL }, { CAST(2, 1, 1), .cap = 1, SMALL },
         { CAST(1, 1, 3), .cap = 1 }, { CAST(1, 1, 4), .cap = 2 }, { CAST(2, 1, 2), .cap = 1 }, { CAST(2, 1, 3), .cap = 2 },
         { CAST(1, 3, 3), .cap = 1 }, { CAST(3, 1, 2), .cap = 1 }, { CAST(3, 1, 2), .cap = 2 },
         { CAST(2, 1, 4), .cap = 3, .start = 2 })
{
    int total = k->senders * k->each;
    make_topic(k, KEEPS_NONE);
    subscribe_all(LEAT_DROPS_OLDEST);
    go_publish();
    for (int i = 0; i < k->receivers; i++) GO(receives, i);
    join_publishers();
    EXPECT(leat_topic_close(&t) == 0);
    sim_join();
    EXPECT(all_told() == total * k->receivers);
    for (int i = 0; i < k->receivers; i++) {
        int n = got_in_order(i, GAPS);
        EXPECT(n + (int)leat_topic_drops(&t, chan[i]) == total);
        EXPECT(n > 0 && (got_[i].message[n - 1] + 1) % k->each == 0); /* the last message of one of them */
    }
    free_topic();
    free_channels();
}

/* Without a receiver: what is left is the newest, as many as have room. */
SCENARIO(newest_are_left, { CAST(1, 2, 3), .cap = 1, SMALL }, { CAST(2, 1, 1), .cap = 1, SMALL },
         { CAST(2, 1, 2), .cap = 1 }, { CAST(2, 1, 3), .cap = 2 }, { CAST(3, 2, 2), .cap = 2 },
         { CAST(2, 1, 3), .cap = 3, .start = 2 })
{
    int total = k->senders * k->each;
    make_topic(k, KEEPS_NONE);
    subscribe_all(LEAT_DROPS_OLDEST);
    go_publish();
    sim_join();
    for (int i = 0; i < k->receivers; i++) {
        drain(i);
        EXPECT(got_in_order(i, GAPS) == k->cap && leat_topic_drops(&t, chan[i]) == total - k->cap);
        EXPECT((got_[i].message[k->cap - 1] + 1) % k->each == 0);
        EXPECT(k->senders > 1 || got_in_order(i, REST));
    }
    free_topic();
    free_channels();
}

/* A try does not wait. A subscriber that has no room is passed over, and its drops are counted. */
static void *tries_to_publish(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int m = ID(arg) * now_->each + i;
        told[m] = (int)(now_->a == LEAT_WAITS ? leat_try_publish(&t, &m) : leat_publish(&t, &m));
        EXPECT(told[m] >= 0 && told[m] <= now_->receivers);
    }
    return NULL;
}

SCENARIO(subscriber_without_room_counts, { CAST(1, 1, 2), .cap = 0, SMALL }, { CAST(1, 1, 2), .cap = 1, SMALL },
         { CAST(2, 1, 2), .cap = 1 }, { CAST(2, 3, 3), .cap = 2 }, { CAST(1, 1, 3), .cap = 1, .a = LEAT_DROPS_NEWEST },
         { CAST(2, 3, 2), .cap = 1, .a = LEAT_DROPS_NEWEST }, { CAST(2, 1, 2), .cap = 0, .a = LEAT_DROPS_NEWEST },
         { CAST(2, 1, 2), .cap = 0, .a = LEAT_DROPS_OLDEST })
{
    int sum = 0;
    make_topic(k, KEEPS_NONE);
    subscribe_all(k->a);
    for (int i = 0; i < k->senders; i++) GO(tries_to_publish, i);
    for (int i = 0; i < k->receivers; i++) GO(receives, i);
    join_publishers();
    EXPECT(leat_topic_close(&t) == 0);
    sim_join();
    for (int i = 0; i < k->receivers; i++) {
        int n = got_in_order(i, GAPS);
        EXPECT(n + (int)leat_topic_drops(&t, chan[i]) == k->senders * k->each);
        sum += n;
    }
    EXPECT(sum == all_told());
    free_topic();
    free_channels();
}

/* Without a receiver: what is left are the oldest. */
SCENARIO(oldest_are_left, { CAST(1, 2, 3), .cap = 1, SMALL }, { CAST(2, 1, 1), .cap = 1, SMALL },
         { CAST(2, 3, 2), .cap = 2 }, { CAST(1, 2, 3), .cap = 1, .a = LEAT_DROPS_NEWEST, SMALL },
         { CAST(2, 3, 2), .cap = 2, .a = LEAT_DROPS_NEWEST })
{
    make_topic(k, KEEPS_NONE);
    subscribe_all(k->a);
    for (int i = 0; i < k->senders; i++) GO(tries_to_publish, i);
    sim_join();
    for (int i = 0; i < k->receivers; i++) {
        drain(i);
        EXPECT(got_in_order(i, WHOLE) == k->cap && leat_topic_drops(&t, chan[i]) == k->senders * k->each - k->cap);
        EXPECT(got_[i].message[0] % k->each == 0);
    }
    EXPECT(all_told() == k->cap * k->receivers);
    free_topic();
    free_channels();
}

/* ==== Close ==================================================================================== */

static int before_close, closes[2];

static void *publishes_until_closed(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int m = ID(arg) * now_->each + i;
        told[m] = (int)leat_publish(&t, &m);
        if (told[m] >= 0) continue;
        EXPECT(told[m] == -EPIPE && before_close == 1);
        EXPECT(leat_publish(&t, &m) == -EPIPE && leat_try_publish(&t, &m) == -EPIPE);
        EXPECT(leat_subscribe(&t, &g, 0) == -EPIPE);
        break;
    }
    return NULL;
}

static void *closer(void *arg)
{
    closes[ID(arg)] = leat_topic_close(&t);
    for (int i = 0; i < now_->receivers; i++) EXPECT(leat_is_closed(chan[i])); /* also if it was the second */
    EXPECT(leat_publish(&t, &(int){ 0 }) == -EPIPE);
    return NULL;
}

/* What a publish returned as received is received, and nothing else, whenever the close comes. */
#define CLOSE(cap_, policy, how) \
    { CAST(1, 1, 1), .cap = cap_, .a = policy, how }, { CAST(2, 1, 2), .cap = cap_, .a = policy }, \
    { \
        CAST(2, 2, 2), .cap = cap_, .a = policy \
    }

SCENARIO(close_while_others_publish, CLOSE(0, LEAT_WAITS, SMALL), CLOSE(1, LEAT_WAITS, SMALL), CLOSE(2, LEAT_WAITS, BIG),
         CLOSE(1, LEAT_DROPS_NEWEST, SMALL), CLOSE(1, LEAT_DROPS_OLDEST, SMALL), CLOSE(2, LEAT_DROPS_OLDEST, BIG))
{
    int n = 0;
    make_topic(k, KEEPS_NONE);
    subscribe_all(k->a);
    for (int i = 0; i < k->senders; i++) GO(publishes_until_closed, i);
    for (int i = 0; i < k->receivers; i++) GO(receives, i);
    before_close = 1;
    closer(NULL);
    sim_join();
    for (int i = 0; i < k->receivers; i++) {
        n += got_in_order(i, k->a == LEAT_WAITS ? WHOLE : GAPS);
        if (k->a == LEAT_DROPS_OLDEST) n += (int)leat_topic_drops(&t, chan[i]);
        if (k->a == LEAT_WAITS) EXPECT(leat_topic_drops(&t, chan[i]) == 0);
    }
    EXPECT(closes[0] == 0 && n == all_told());
    free_topic();
    free_channels();
}

/* Two threads close, and a third subscribes meanwhile, or leaves. */
static void *comes_late(void *arg)
{
    int err = leat_subscribe(&t, chan[ID(arg)], LEAT_WAITS);
    EXPECT(err == 0 || err == -EPIPE);
    if (err) EXPECT(leat_close(chan[ID(arg)]) == 0);
    return receives(arg); /* to the end: the close must have found it */
}

SCENARIO(close_while_others_close, { CAST(0, 0, 1), .cap = 1, SMALL }, { CAST(1, 0, 1), .cap = 0, SMALL },
         { CAST(1, 0, 2), .cap = 1 }, { CAST(2, 0, 1), .cap = 2 }, { CAST(1, 0, 1), .cap = 1, .a = 1 })
{
    make_topic(k, KEEPS_NONE);
    make(&c, k->cap, "c");
    make(&d, k->cap, "d");
    before_close = 1;
    if (k->a) EXPECT(leat_subscribe(&t, &d, LEAT_WAITS) == 0);
    for (int i = 0; i < k->senders; i++) GO(publishes_until_closed, i);
    GO(comes_late, 0);
    GO(closer, 0);
    GO(closer, 1);
    if (k->a) GO(leaves, 1);
    sim_join();
    EXPECT(closes[0] + closes[1] == -EALREADY);
    EXPECT(got_in_order(0, WHOLE) == all_told() || k->a);
    free_topic();
    leat_free(&c);
    if (!k->a) leat_free(&d);
}

/* A thread that is told that the topic is closed has seen what the closer did before. .a: by which call. */
static void *asks_until_closed(void *arg)
{
    int err;
    (void)arg;
    do {
        sim_yield();
        if (now_->a == 2) leat_unsubscribe(&t, &d);
        err = now_->a == 2 ? leat_subscribe(&t, &d, 0) : (int)leat_publish(&t, &(int){ 1 });
    } while (!err);
    EXPECT(err == -EPIPE && before_close == 1);
    return NULL;
}

SCENARIO(closed_topic_is_a_release, { .a = 0, SMALL }, { .a = 1, SMALL }, { .a = 2, SMALL })
{
    make_topic(k, KEEPS_NONE);
    make(&c, 1, "c");
    fill(&c, 9);
    if (k->a == 1) EXPECT(leat_subscribe(&t, &c, LEAT_DROPS_NEWEST) == 0);
    GO(asks_until_closed, 0);
    before_close = 1;
    EXPECT(leat_topic_close(&t) == 0);
    sim_join();
    free_topic();
    leat_free(&c);
}

/* When close returns, first or second, nothing changes any more: neither the latest, nor what is in the channels. A
 * message that was refused is not there. */
static void *closes_for_good(void *arg)
{
    int m = -1, later = -1;
    closes[ID(arg)] = leat_topic_close(&t);
    int err = leat_latest(&t, &m);
    size_t n = leat_len(&c);
    for (int i = 0; i < 3; i++) {
        sim_yield();
        EXPECT(leat_latest(&t, &later) == err && later == m && leat_len(&c) == n);
    }
    left[ID(arg)] = m;
    return NULL;
}

SCENARIO(nothing_comes_after_close, { CAST(1, 1, 1), .cap = 1, SMALL }, { CAST(1, 1, 2), .cap = 2, SMALL },
         { CAST(2, 1, 2), .cap = 4 }, { CAST(2, 1, 1), .cap = 2, .a = 1 })
{
    int m = -1;
    make_topic(k, SOME);
    subscribe_all(LEAT_DROPS_NEWEST);
    before_close = 1;
    for (int i = 0; i < k->senders; i++) GO(publishes_until_closed, i);
    if (k->a) GO(closes_for_good, 1);
    closes_for_good(NULL);
    sim_join();
    EXPECT(leat_latest(&t, &m) == (m < 0 ? -EAGAIN : 0) && m == left[0] && (!k->a || m == left[1]));
    EXPECT(m < 0 || told[m] >= 0);
    drain(0);
    EXPECT(got_in_order(0, WHOLE) == all_told());
    EXPECT((int)(leat_len(&t.topic.unused_) + leat_len(&t.topic.replaced_)) == SOME - (m >= 0));
    free_topic();
    free_channels();
}

/* ==== The latest =============================================================================== */

/* A thread that reads the latest gets a whole message, none older than one it knows of, although each version is soon
 * used again (P3). */
static void *looks(void *arg)
{
    int last[SIM_THREADS], known = atomic_load_explicit(&published[0], memory_order_acquire);
    for (int p = 0; p < SIM_THREADS; p++) last[p] = -1;
    for (int i = 0; i < 2; i++) {
        int m = -1, err = leat_latest(&t, &m);
        EXPECT(err == 0 || (err == -EAGAIN && m == -1 && !known));
        if (err) continue;
        EXPECT(m >= 0 && m < now_->senders * now_->each && last[m / now_->each] <= m);
        EXPECT(now_->senders > 1 || m >= known - 1);
        last[m / now_->each] = known = m;
    }
    return arg;
}

/* .a: versions. */
SCENARIO(latest_is_whole, { CAST(1, 0, 3), .cap = 1, .a = FEW, SMALL }, { CAST(1, 0, 4), .cap = 1, .a = FEW },
         { CAST(1, 0, 4), .cap = 2, .a = SOME }, { CAST(2, 0, 2), .cap = 1, .a = FEW },
         { CAST(2, 0, 3), .cap = 2, .a = SOME }, { CAST(3, 0, 3), .cap = 1, .a = FEW },
         { CAST(2, 0, 5), .cap = 1, .a = ALL })
{
    int m = -1;
    make_topic(k, k->a);
    EXPECT(leat_latest(&t, &m) == -EAGAIN && m == -1);
    go_publish();
    for (int i = 0; i < k->cap; i++) GO(looks, 0);
    sim_join();
    EXPECT(leat_latest(&t, &m) == 0 && (m + 1) % k->each == 0);
    EXPECT(leat_topic_close(&t) == 0);
    for (int i = 0; i < 2; i++) {
        EXPECT((int)(leat_len(&t.topic.unused_) + leat_len(&t.topic.replaced_)) == k->a - 1);
        EXPECT(leat_publish(&t, &(int){ 50 }) == -EPIPE);
        EXPECT(leat_latest(&t, &m) == 0 && m != 50);
    }
    free_topic();
}

/* A subscriber that comes with LATEST_FIRST gets what was the latest, then all that come after it, none twice (P2). */
static _Atomic int there;

static void *comes(void *arg)
{
    int r = ID(arg), known = atomic_load_explicit(&published[0], memory_order_acquire);
    EXPECT(leat_subscribe(&t, chan[r], LEAT_WAITS | FIRST) == 0);
    atomic_fetch_add_explicit(&there, 1, memory_order_relaxed);
    receives(arg);
    if (now_->senders == 1) EXPECT(got_[r].n > 0 && got_[r].message[0] >= known - 1);
    return NULL;
}

/* .a: versions. */
SCENARIO(latest_is_first, { CAST(1, 1, 1), .cap = 1, .a = FEW, SMALL }, { CAST(1, 1, 2), .cap = 2, .a = FEW, SMALL },
         { CAST(1, 1, 3), .cap = 1, .a = FEW }, { CAST(1, 1, 4), .cap = 4, .a = SOME },
         { CAST(1, 2, 2), .cap = 2, .a = FEW }, { CAST(1, 3, 3), .cap = 3, .a = SOME },
         { CAST(2, 1, 1), .cap = 2, .a = FEW }, { CAST(2, 1, 2), .cap = 4, .a = FEW },
         { CAST(2, 1, 3), .cap = 2, .a = SOME }, { CAST(2, 2, 2), .cap = 1, .a = SOME },
         { CAST(3, 2, 2), .cap = 6, .a = ALL })
{
    int m = -1, n = 0;
    make_topic(k, k->a);
    go_publish();
    for (int i = 0; i < k->receivers; i++) GO(comes, i);
    join_publishers();
    while (atomic_load_explicit(&there, memory_order_relaxed) < k->receivers) sim_yield();
    EXPECT(leat_topic_close(&t) == 0);
    sim_join();
    EXPECT(leat_latest(&t, &m) == 0);
    for (int i = 0; i < k->receivers; i++) {
        n += got_in_order(i, REST);
        EXPECT(got(i, m));
    }
    EXPECT(n >= all_told() && n <= all_told() + k->receivers);
    free_topic();
    free_channels();
}

/* A subscriber that comes has no room for its first message, or is closed meanwhile. What it did not get does not
 * count, and a publisher that publishes it just then may still deliver it. */
SCENARIO(first_has_no_room, { CAST(1, 1, 2), .cap = 1, .a = LEAT_WAITS, SMALL },
         { CAST(1, 1, 2), .cap = 1, .a = LEAT_DROPS_NEWEST, SMALL }, { CAST(2, 1, 1), .cap = 1, .a = LEAT_WAITS })
{
    int m;
    make_topic(k, FEW);
    fill(&c, 63);
    go_publish();
    EXPECT(leat_subscribe(&t, &c, k->a | FIRST) == 0);
    EXPECT(leat_recv(&c, &m) == 0 && m == 63);
    EXPECT(leat_unsubscribe(&t, &c) == 0);
    sim_join();
    drain(0);
    EXPECT(got_in_order(0, k->a == LEAT_WAITS ? WHOLE : GAPS) == all_told());
    free_topic();
    free_channels();
}

static void *closes_topic(void *arg)
{
    EXPECT(leat_topic_close(&t) == 0);
    return arg;
}

SCENARIO(first_comes_too_late, { CAST(1, 1, 1), .cap = 1, SMALL }, { CAST(1, 1, 2), .cap = 2 }, { CAST(2, 1, 2), .cap = 4 })
{
    make_topic(k, SOME);
    before_close = 1;
    for (int i = 0; i < k->senders; i++) GO(publishes_until_closed, i);
    GO(closes_topic, 0);
    int err = leat_subscribe(&t, &c, LEAT_WAITS | FIRST);
    EXPECT(err == 0 || err == -EPIPE);
    sim_join();
    drain(0);
    EXPECT(got_in_order(0, WHOLE) - all_told() == 0 || (got_[0].n == all_told() + 1 && !err));
    free_topic();
    free_channels();
}

/* ==== A watch ================================================================================== */

/* Watches until the topic is closed. Each message is newer than the one before, and the last is the latest. */
static void *watches(void *arg)
{
    int last[SIM_THREADS], m = -1, seen = -1, err;
    uint64_t version = 0, before = 0;
    for (int p = 0; p < SIM_THREADS; p++) last[p] = -1;
    while ((err = leat_latest_after(&t, &m, &version)) == 0) {
        EXPECT(version > before && m >= 0 && m < now_->senders * now_->each && last[m / now_->each] < m);
        before = version;
        seen = last[m / now_->each] = m;
        note_got(ID(arg), m);
    }
    EXPECT(err == -EPIPE && m == seen && version == before && before_close == 1);
    EXPECT(leat_latest(&t, &m) == (seen < 0 ? -EAGAIN : 0) && m == seen);
    return NULL;
}

/* Watches until it has got the last message of the only publisher. Nothing but a publish wakes it
 * (P5). */
static void *watches_for_the_last(void *arg)
{
    uint64_t version = 0;
    for (int m = -1, before; (before = m) < now_->each - 1;)
        EXPECT(leat_latest_after(&t, &m, &version) == 0 && m > before && version == (uint64_t)m + 1);
    return arg;
}

/* .receivers: watchers (P5). */
SCENARIO(watcher_gets_the_last, { CAST(1, 1, 1), SMALL }, { CAST(1, 1, 2), SMALL }, { CAST(1, 2, 1), SMALL },
         { CAST(1, 1, 4) }, { CAST(1, 2, 3) }, { CAST(1, 3, 2) }, { CAST(1, 5, 2) })
{
    make_topic(k, FEW);
    for (int i = 0; i < k->receivers; i++) GO(watches_for_the_last, i);
    for (int m = 0; m < k->each; m++) EXPECT(leat_publish(&t, &m) == 0);
    sim_join();
    EXPECT(!t.topic.watchers_.first_);
    free_topic();
}

/* No watcher gets an older message than before, and each gets the last (P6). .a: a thread closes while others publish. */
SCENARIO(watchers_see_the_last_and_the_close, { .receivers = 1, .each = 1, SMALL }, { CAST(1, 1, 1), SMALL },
         { CAST(1, 1, 1), .a = 1, SMALL }, { CAST(1, 1, 2), .a = 1 }, { CAST(2, 1, 1), .a = 1 }, { CAST(2, 2, 2) },
         { CAST(2, 2, 2), .a = 1 }, { CAST(3, 1, 2) }, { CAST(1, 3, 3), .a = 1 })
{
    int m = -1;
    make_topic(k, SOME);
    if (k->a) before_close = 1;
    for (int i = 0; i < k->senders; i++) GO(publishes_until_closed, i);
    for (int i = 0; i < k->receivers; i++) GO(watches, i);
    if (!k->a) join_publishers();
    before_close = 1;
    EXPECT(leat_topic_close(&t) == 0);
    EXPECT(leat_latest_after(&t, &m, &(uint64_t){ k->senders ? (uint64_t)(k->senders * k->each) : 0 }) == -EPIPE);
    sim_join();
    EXPECT(leat_latest(&t, &m) == (m < 0 ? -EAGAIN : 0));
    for (int i = 0; i < k->receivers; i++) EXPECT(m < 0 ? !got_[i].n : got_[i].message[got_[i].n - 1] == m);
    EXPECT(!t.topic.watchers_.first_);
    free_topic();
}

/* A thread cancels, and then publishes, or closes: no watcher under that context gets anything but the cancel. Another
 * watcher does. .a: closes. .receivers: others. */
static void *watches_under_ctx(void *arg)
{
    int m = -1;
    uint64_t version = 0;
    EXPECT(leat_latest_after_ctx(&ctx, &t, &m, &version) == -ECANCELED && m == -1 && version == 0);
    return arg;
}

static void *watches_once(void *arg)
{
    int m = -1;
    uint64_t version = 0;
    int err = leat_latest_after(&t, &m, &version);
    EXPECT(now_->a ? err == -EPIPE && m == -1 : err == 0 && m == 5 && version == 1);
    return arg;
}

SCENARIO(cancel_comes_before_what_is_watched, { CAST(1, 0, 1), SMALL }, { CAST(1, 0, 1), .a = 1, SMALL },
         { CAST(1, 1, 1), SMALL }, { CAST(2, 1, 1) }, { CAST(2, 2, 1), .a = 1 })
{
    make_topic(k, FEW);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    for (int i = 0; i < k->senders; i++) GO(watches_under_ctx, i);
    for (int i = 0; i < k->receivers; i++) GO(watches_once, i);
    leat_cancel(&ctx, 3);
    EXPECT(k->a ? leat_topic_close(&t) == 0 : leat_publish(&t, &(int){ 5 }) == 0);
    sim_join();
    EXPECT(!t.topic.watchers_.first_ && !ctx.waiters_.first_);
    free_topic();
}

/* A cancel or a deadline races with a publish. What the watcher gets is whole, and no other watcher is forgotten. */
static void *watches_or_is_cancelled(void *arg)
{
    int m = -1;
    uint64_t version = 0;
    int err = leat_latest_after_ctx(&ctx, &t, &m, &version);
    EXPECT(err ? (err == -ECANCELED || err == -ETIMEDOUT) && m == -1 && !version : m == 5 && version == 1);
    return arg;
}

static void *watches_five(void *arg)
{
    int m = -1;
    EXPECT(leat_latest_after(&t, &m, &(uint64_t){ 0 }) == 0 && m == 5);
    return arg;
}

static void *cancels(void *arg)
{
    leat_cancel(&ctx, 3);
    return arg;
}

SCENARIO(cancel_while_what_is_watched_comes, { CAST(1, 0, 1), SMALL }, { CAST(1, 1, 1), SMALL }, { CAST(2, 1, 1) },
         { CAST(1, 1, 1), .a = 1 }, { CAST(2, 2, 1), .a = 1 })
{
    make_topic(k, FEW);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    if (k->a) ctx = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_US(5));
    for (int i = 0; i < k->senders; i++) GO(watches_or_is_cancelled, i);
    for (int i = 0; i < k->receivers; i++) GO(watches_five, i);
    if (!k->a) GO(cancels, 0);
    EXPECT(leat_publish(&t, &(int){ 5 }) == 0);
    sim_join();
    EXPECT(!t.topic.watchers_.first_ && !ctx.waiters_.first_);
    free_topic();
}
