/* t-topic.c - every subscriber gets every message, as its policy says, for as long as it is one; the latest can be
 * read; and a publisher waits only for the subscribers that it should wait for.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static _Atomic int gotten, no_memory_at, given_back;

static bool has_memory(void)
{
    if (atomic_fetch_add(&gotten, 1) + 1 != no_memory_at) return true;
    atomic_fetch_sub(&gotten, 1);
    errno = ENOMEM;
    return false;
}

static void *fake_calloc(size_t n, size_t size)
{
    return has_memory() ? calloc(n, size) : NULL;
}

static void fake_free(void *p)
{
    if (p) atomic_fetch_add(&given_back, 1);
    free(p);
    errno = EFAULT;
}

#include <sched.h>
#include <string.h>

#define calloc fake_calloc /* those of the headers */
#define free fake_free
#include "peek.h"

/* ---- Threads that stop where topic.h calls into queue.h, as if they had been preempted there ----- */

enum { NOWHERE, IN_WALK, IN_OFFER, IN_WAIT, AT_LOCK, AFTER_LOCK, AFTER_CLOSE, AT_SECTION, AT_COUNT, IN_LOOK };

static _Thread_local struct {
    int at, after, then; /* where; how many times it passes there before; and where next */
} stops;
static door stopped, stopped_again; /* for one thread at a time */
static _Atomic size_t *counter;     /* of AT_COUNT */

static void stop(int where)
{
    if (stops.at != where || stops.after-- > 0) return;
    stops.at = stops.then;
    stops.after = 0;
    stops.then = NOWHERE;
    door_pass(atomic_load_explicit(&stopped.open, memory_order_relaxed) ? &stopped_again : &stopped);
}

static int stopping_move(leat_ctx *ctx, leat_ctx *also, leat_chan *ch, int way, void *msg, size_t size, size_t align)
{
    if (way == LEAT_SENDS_) stop(IN_WALK);
    return leat_move_(ctx, also, ch, way, msg, size, align);
}

static int stopping_try(leat_ctx *ctx, leat_ctx *also, leat_case *c)
{
    stop(IN_OFFER);
    return leat_try_case_(ctx, also, c);
}

static int stopping_select(leat_ctx *ctx, leat_ctx *also, leat_case *cases, size_t n)
{
    stop(IN_WAIT);
    return leat_select_(ctx, also, cases, n);
}

static void stopping_lock(leat_lock_ *lock)
{
    stop(AT_LOCK);
    leat_lock_take_(lock);
}

static void stopping_unlock(leat_lock_ *lock)
{
    leat_lock_drop_(lock);
    stop(AFTER_LOCK);
}

static int stopping_close(leat_chan *ch, leat_node_ ***end)
{
    int err = leat_close_quietly_(ch, end);
    stop(AFTER_CLOSE);
    return err;
}

static size_t stopping_add(_Atomic size_t *n, size_t more, memory_order order)
{
    if (n == counter) stop(AT_COUNT);
    (void)order;
    return atomic_fetch_add_explicit(n, more, memory_order_seq_cst);
}

#ifndef LEAT_NO_URCU
extern void urcu_bp_read_lock(void);
void stopping_read_lock(void);
void stopping_read_lock(void)
{
    stop(AT_SECTION);
    urcu_bp_read_lock();
}
#define urcu_bp_read_lock stopping_read_lock
#endif

static void stopping_memcpy(void *to, const void *from, size_t n)
{
    memcpy(to, from, n / 2);
    stop(IN_LOOK);
    memcpy((unsigned char *)to + n / 2, (const unsigned char *)from + n / 2, n - n / 2);
}

#define leat_move_ stopping_move
#define leat_try_case_ stopping_try
#define leat_select_ stopping_select
#define leat_lock_take_ stopping_lock
#define leat_lock_drop_ stopping_unlock
#define leat_close_quietly_ stopping_close
#undef memcpy
#define memcpy stopping_memcpy
#pragma push_macro("atomic_fetch_add_explicit")
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit stopping_add
#include "topic.h"
#pragma pop_macro("atomic_fetch_add_explicit")
#undef leat_move_
#undef leat_try_case_
#undef leat_select_
#undef leat_lock_take_
#undef leat_lock_drop_
#undef leat_close_quietly_
#undef urcu_bp_read_lock
#undef memcpy
#undef calloc
#undef free

typedef LEAT_CHAN(int) int_chan;
typedef LEAT_TOPIC(int) int_topic;

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const int policies[] = { LEAT_WAITS, LEAT_DROPS_NEWEST, LEAT_DROPS_OLDEST };

/* The channel's next message is this one, or there is none. */
#define TAKES(c, m) \
    do { \
        int took_ = -1; \
        CHECK_EQ(leat_try_recv(c, &took_), 0); \
        CHECK_EQ(took_, m); \
    } while (0)
#define TAKES_NONE(c) CHECK_EQ(leat_try_recv(c, &(int){ 0 }), -EAGAIN)

/* The same, where a publisher may be just about to send it. */
#define GETS(c, m) \
    do { \
        int got_ = -1; \
        CHECK_EQ(leat_recv(c, &got_), 0); \
        CHECK_EQ(got_, m); \
    } while (0)

static void subscribe_new(int_topic *t, int_chan *c, size_t cap, int policy)
{
    REQUIRE_EQ(leat_make(c, cap), 0);
    REQUIRE_EQ(leat_subscribe(t, c, policy), 0);
}

static void unsubscribe_and_free(int_topic *t, int_chan *c)
{
    CHECK_EQ(leat_unsubscribe(t, c), 0);
    leat_free(c);
}

/* Gives the other threads time to do what they must not do. The test does not depend on how long: only a broken
 * header can fail here. */
static void a_while(void)
{
    for (int i = 0; i < 20; i++) {
        sched_yield();
        (void)leat_sleep(LEAT_US(100));
    }
}

/* A call on a thread of its own, because it may have to wait. */
struct call {
    side s;
    int_topic *t;
    int_chan *c;
    leat_ctx *ctx;
    int msg; /* or policy */
    int where, after, then;
    _Atomic bool over;
};

static int is_over_now(struct call *k, int answer)
{
    atomic_store_explicit(&k->over, true, memory_order_release);
    return answer;
}

static void stops_here(const struct call *k)
{
    stops.at = k->where;
    stops.after = k->after;
    stops.then = k->then;
}

static int do_publish(void *arg)
{
    struct call *k = arg;
    stops_here(k);
    return is_over_now(k, (int)leat_publish_ctx(k->ctx, k->t, &k->msg));
}

static int do_try_publish(void *arg)
{
    struct call *k = arg;
    stops_here(k);
    return is_over_now(k, (int)leat_try_publish(k->t, &k->msg));
}

static int do_subscribe(void *arg)
{
    struct call *k = arg;
    stops_here(k);
    return is_over_now(k, leat_subscribe(k->t, k->c, k->msg));
}

static int do_unsubscribe(void *arg)
{
    struct call *k = arg;
    return is_over_now(k, leat_unsubscribe(k->t, k->c));
}

static int do_close(void *arg)
{
    struct call *k = arg;
    stops_here(k);
    return is_over_now(k, leat_topic_close(k->t));
}

static void begin(struct call *k, int (*fn)(void *), leat_ctx *ctx, int_topic *t, int_chan *c, int msg)
{
    k->t = t;
    k->c = c;
    k->ctx = ctx;
    k->msg = msg;
    k->where = k->then = NOWHERE;
    atomic_init(&k->over, false);
    side_start(&k->s, fn, k);
}

static void door_shut(door *d)
{
    atomic_store_explicit(&d->at_it, 0, memory_order_relaxed);
    atomic_store_explicit(&d->open, 0, memory_order_relaxed);
}

/* The same, but the call stops at a place after it has passed there so many times, and perhaps then at another. go_on
 * lets it go on. */
static void begin_to_stop(struct call *k, int (*fn)(void *), int_topic *t, int_chan *c, int msg, int where, int after,
                          int then)
{
    *k = (struct call){ .t = t, .c = c, .msg = msg, .where = where, .after = after, .then = then };
    door_shut(&stopped);
    door_shut(&stopped_again);
    side_start(&k->s, fn, k);
}

static void begin_and_stop(struct call *k, int (*fn)(void *), int_topic *t, int_chan *c, int msg, int where)
{
    begin_to_stop(k, fn, t, c, msg, where, 0, NOWHERE);
    door_until(&stopped, 1);
}

static void go_on(void)
{
    door_open(&stopped_again);
    door_open(&stopped);
}

/* It goes on to the second place. */
static void go_on_and_stop(void)
{
    door_open(&stopped);
    door_until(&stopped_again, 1);
}

/* Publishes, and returns when that call waits for room in this channel. */
static void publish_waits(struct call *k, leat_ctx *ctx, int_topic *t, int msg, int_chan *full)
{
    int before = peek_senders(full);
    begin(k, do_publish, ctx, t, NULL, msg);
    UNTIL(peek_senders(full) == before + 1);
}

/* Unsubscribes, and returns when the channel is no subscriber any more. The call itself may not have returned. */
static void unsubscribe_begins(struct call *k, int_topic *t, int_chan *c)
{
    begin(k, do_unsubscribe, NULL, t, c, 0);
    UNTIL(leat_topic_drops(t, c) == -ENOENT);
}

static bool is_over(struct call *k)
{
    return atomic_load_explicit(&k->over, memory_order_acquire);
}

static int end(struct call *k)
{
    return side_join(&k->s);
}

/* ==== One after another ======================================================================= */

TEST(all_zero_is_a_topic)
{
    static int_topic t;
    int_chan c;
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0); /* to no subscriber */
    subscribe_new(&t, &c, 2, LEAT_WAITS);
    CHECK_EQ(leat_publish(&t, &(int){ 2 }), 1);
    TAKES(&c, 2);
    TAKES_NONE(&c);
    CHECK_EQ(leat_latest(&t, &(int){ 0 }), -EAGAIN); /* it keeps none */
    unsubscribe_and_free(&t, &c);
    CHECK_EQ(leat_publish(&t, &(int){ 3 }), 0);
    CHECK_EQ(leat_topic_close(&t), 0);
    leat_topic_free(&t);
}

TEST(a_topic_that_was_freed_is_all_zero)
{
    int_topic t;
    int_chan c;
    gotten = given_back = 0;
    for (int keeps = 0; keeps <= LEAT_KEEPS_LATEST; keeps++) {
        REQUIRE_EQ(leat_topic_make(&t, keeps), 0);
        subscribe_new(&t, &c, 1, LEAT_WAITS);
        CHECK_EQ(leat_publish(&t, &(int){ 1 }), 1);
        leat_topic_free(&t); /* with a subscriber, whose channel stays as it is */
        leat_topic_free(&t);
        TAKES(&c, 1);
        CHECK_EQ(leat_subscribe(&t, &c, LEAT_WAITS), 0);
        CHECK_EQ(leat_publish(&t, &(int){ 2 }), 1);
        TAKES(&c, 2);
        unsubscribe_and_free(&t, &c);
        leat_topic_free(&t);
    }
    leat_topic_free((int_topic *)NULL);
    CHECK_EQ(gotten, given_back);
}

TEST(P1_every_subscriber_gets_every_message_in_order)
{
    enum { N = 5, MESSAGES = 8 };
    for (size_t k = 0; k < COUNT(policies); k++) {
        int_topic t = { 0 };
        int_chan c[N];
        for (int i = 0; i < N; i++) subscribe_new(&t, &c[i], MESSAGES, policies[k]);
        for (int m = 0; m < MESSAGES; m++) CHECK_EQ(m % 2 ? leat_publish(&t, &m) : leat_try_publish(&t, &m), N);
        for (int i = 0; i < N; i++) {
            for (int m = 0; m < MESSAGES; m++) TAKES(&c[i], m);
            TAKES_NONE(&c[i]);
            CHECK_EQ(leat_topic_drops(&t, &c[i]), 0);
            unsubscribe_and_free(&t, &c[i]);
        }
        leat_topic_free(&t);
    }
}

TEST(a_subscriber_gets_what_comes_and_once_it_has_left_no_more)
{
    enum { N = 4 };
    for (int leaves = 0; leaves < N; leaves++) { /* the first, one in the middle, the last */
        int_topic t = { 0 };
        int_chan c[N];
        for (int i = 0; i < N; i++) {
            CHECK_EQ(leat_publish(&t, &i), i);
            subscribe_new(&t, &c[i], 20, LEAT_WAITS);
        }
        CHECK_EQ(leat_unsubscribe(&t, &c[leaves]), 0);
        CHECK_EQ(leat_publish(&t, &(int){ 100 }), N - 1);
        CHECK_EQ(leat_subscribe(&t, &c[leaves], LEAT_WAITS), 0); /* and comes again */
        CHECK_EQ(leat_publish(&t, &(int){ 101 }), N);
        for (int i = 0; i < N; i++) {
            for (int m = i + 1; m < N; m++) TAKES(&c[i], m);
            if (i != leaves) TAKES(&c[i], 100);
            TAKES(&c[i], 101);
            TAKES_NONE(&c[i]);
            unsubscribe_and_free(&t, &c[i]);
        }
        CHECK_EQ(leat_publish(&t, &(int){ 102 }), 0);
        leat_topic_free(&t);
    }
}

TEST(a_channel_may_listen_to_two_topics_and_get_other_messages_too)
{
    int_topic one = { 0 }, other = { 0 };
    int_chan c;
    subscribe_new(&one, &c, 8, LEAT_WAITS);
    CHECK_EQ(leat_subscribe(&other, &c, LEAT_DROPS_NEWEST), 0);
    CHECK_EQ(leat_publish(&one, &(int){ 1 }), 1);
    CHECK_EQ(leat_publish(&other, &(int){ 2 }), 1);
    CHECK_EQ(leat_send(&c, &(int){ 3 }), 0);
    CHECK_EQ(leat_unsubscribe(&one, &c), 0);
    CHECK_EQ(leat_publish(&one, &(int){ 4 }), 0);
    CHECK_EQ(leat_publish(&other, &(int){ 5 }), 1);
    TAKES(&c, 1);
    TAKES(&c, 2);
    TAKES(&c, 3);
    TAKES(&c, 5);
    TAKES_NONE(&c);
    unsubscribe_and_free(&other, &c);
    leat_topic_free(&one);
    leat_topic_free(&other);
}

struct big {
    _Alignas(64) unsigned char bytes[200];
    int n;
};
typedef LEAT_CHAN(struct big) big_chan;
typedef LEAT_TOPIC(struct big) big_topic;

static bool is_whole(const struct big *b, int n)
{
    for (size_t i = 0; i < sizeof b->bytes; i++)
        if (b->bytes[i] != (unsigned char)((size_t)n + i)) return false;
    return b->n == n;
}

static int publish_big(void *arg)
{
    static struct big b;
    b.n = 77;
    for (size_t i = 0; i < sizeof b.bytes; i++) b.bytes[i] = (unsigned char)(77 + i);
    return (int)leat_publish((big_topic *)arg, &b);
}

TEST(large_and_aligned_messages_arrive_whole_by_every_way)
{
    big_topic t;
    big_chan c[3], late;
    struct big b;
    side s;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    for (size_t k = 0; k < COUNT(c); k++) {
        REQUIRE_EQ(leat_make(&c[k], 1), 0);
        memset(&b, 0, sizeof b);
        CHECK_EQ(leat_send(&c[k], &b), 0);
        CHECK_EQ(leat_subscribe(&t, &c[k], policies[k]), 0);
    }
    side_start(&s, publish_big, &t);
    UNTIL(peek_senders(&c[0]) == 1);
    CHECK_EQ(leat_recv(&c[0], &b), 0); /* it waited for room, the next one drops it, the last makes room */
    CHECK_EQ(side_join(&s), 2);
    CHECK_EQ(leat_recv(&c[0], &b), 0);
    CHECK(is_whole(&b, 77));
    CHECK_EQ(leat_recv(&c[2], &b), 0);
    CHECK(is_whole(&b, 77));
    memset(&b, 0, sizeof b);
    CHECK_EQ(leat_latest(&t, &b), 0);
    CHECK(is_whole(&b, 77));
    REQUIRE_EQ(leat_make(&late, 1), 0);
    CHECK_EQ(leat_subscribe(&t, &late, LEAT_WAITS | LEAT_LATEST_FIRST), 0);
    memset(&b, 0, sizeof b);
    CHECK_EQ(leat_recv(&late, &b), 0);
    CHECK(is_whole(&b, 77));
    leat_topic_free(&t);
    for (size_t k = 0; k < COUNT(c); k++) leat_free(&c[k]);
    leat_free(&late);
}

struct pair {
    int a, b;
};
typedef LEAT_CHAN(struct pair) pair_chan;
typedef LEAT_TOPIC(struct pair) pair_topic;

TEST(a_message_may_be_constant_or_a_literal_with_commas)
{
    pair_topic t = { 0 };
    pair_chan c;
    const struct pair constant = { 5, 6 };
    struct pair p;
    REQUIRE_EQ(leat_make(&c, 4), 0);
    CHECK_EQ(leat_subscribe(&t, &c, LEAT_WAITS), 0);
    CHECK_EQ(leat_publish(&t, &constant), 1);
    CHECK_EQ(leat_publish(&t, &(struct pair){ 1, 2 }), 1);
    CHECK_EQ(leat_try_publish(&t, &(struct pair){ .a = 3, .b = 4 }), 1);
    CHECK_EQ(leat_publish_ctx(NULL, &t, &(struct pair){ 7, 8 }), 1);
    static const int sums[] = { 11, 3, 7, 15 };
    for (size_t i = 0; i < COUNT(sums); i++) CHECK(leat_recv(&c, &p) == 0 && p.a + p.b == sums[i]);
    CHECK_EQ(leat_unsubscribe(&t, &c), 0);
    leat_free(&c);
    leat_topic_free(&t);
}

/* The three forms of a watch. */
enum { WATCHES, TRIES, UNDER_CTX };

static int look_after(int how, leat_ctx *ctx, int_topic *t, int *m, uint64_t *version)
{
    return how == WATCHES ? leat_latest_after(t, m, version)
           : how == TRIES ? leat_try_latest_after(t, m, version)
                          : leat_latest_after_ctx(ctx, t, m, version);
}

/* ==== What is refused ========================================================================= */

TEST(bad_arguments_are_refused_and_change_nothing)
{
    int_topic t, *no_topic = NULL;
    int_chan c, other, unbuffered, *no_chan = NULL;
    int m = 1, *no_message = NULL;
    leat_ctx ctx = LEAT_CTX(NULL);
    CHECK_EQ(leat_topic_make(no_topic, 0), -EINVAL);
    CHECK_EQ(leat_topic_make(&t, 2), -EINVAL);
    CHECK_EQ(leat_topic_make(&t, -1), -EINVAL);
    CHECK_EQ(leat_topic_make_(&t.topic, 0, (size_t)INT32_MAX + 1, 1), -EINVAL);
    REQUIRE_EQ(leat_make(&other, 1), 0);
    REQUIRE_EQ(leat_make(&unbuffered, 0), 0);
    for (int keeps = 0; keeps <= LEAT_KEEPS_LATEST; keeps++) {
        REQUIRE_EQ(leat_topic_make(&t, keeps), 0);
        subscribe_new(&t, &c, 1, LEAT_WAITS);
        static const int wrong[] = { 3, 8, -1, INT_MIN, LEAT_LATEST_FIRST | 3, LEAT_LATEST_FIRST | 8 };
        for (size_t i = 0; i < COUNT(wrong); i++) CHECK_EQ(leat_subscribe(&t, &other, wrong[i]), -EINVAL);
        if (!keeps)
            for (size_t k = 0; k < COUNT(policies); k++)
                CHECK_EQ(leat_subscribe(&t, &other, policies[k] | LEAT_LATEST_FIRST), -EINVAL);
        for (size_t k = 0; k < COUNT(policies); k++)
            CHECK_EQ(leat_subscribe(&t, &unbuffered, policies[k] | LEAT_LATEST_FIRST), -EINVAL);
        CHECK_EQ(leat_subscribe(no_topic, &c, LEAT_WAITS), -EINVAL);
        CHECK_EQ(leat_subscribe(&t, no_chan, LEAT_WAITS), -EINVAL);
        CHECK_EQ(leat_unsubscribe(no_topic, &c), -EINVAL);
        CHECK_EQ(leat_unsubscribe(&t, no_chan), -EINVAL);
        CHECK_EQ(leat_topic_drops(no_topic, &c), -EINVAL);
        CHECK_EQ(leat_topic_drops(&t, no_chan), -EINVAL);
        CHECK_EQ(leat_publish(no_topic, &m), -EINVAL);
        CHECK_EQ(leat_publish(&t, no_message), -EINVAL);
        CHECK_EQ(leat_try_publish(no_topic, &m), -EINVAL);
        CHECK_EQ(leat_try_publish(&t, no_message), -EINVAL);
        CHECK_EQ(leat_publish_ctx(&ctx, no_topic, &m), -EINVAL);
        CHECK_EQ(leat_publish_ctx(&ctx, &t, no_message), -EINVAL);
        CHECK_EQ(leat_latest(no_topic, &m), -EINVAL);
        CHECK_EQ(leat_latest(&t, no_message), -EINVAL);
        for (int how = 0; how < 3; how++) {
            uint64_t version = 0;
            CHECK_EQ(look_after(how, &ctx, no_topic, &m, &version), -EINVAL);
            CHECK_EQ(look_after(how, &ctx, &t, no_message, &version), -EINVAL);
            CHECK_EQ(look_after(how, &ctx, &t, &m, NULL), -EINVAL);
            if (!keeps) CHECK_EQ(look_after(how, &ctx, &t, &m, &version), -EINVAL);
            CHECK(m == 1 && version == 0);
        }
        CHECK_EQ(leat_topic_close(no_topic), -EINVAL);
        CHECK_EQ(leat_latest(&t, &m), -EAGAIN); /* nothing was published */
        TAKES_NONE(&c);
        CHECK_EQ(leat_publish(&t, &m), 1);
        TAKES(&c, 1);
        unsubscribe_and_free(&t, &c);
        leat_topic_free(&t);
    }
    leat_free(&other);
}

TEST(calls_tell_subscribers_from_channels_that_are_none)
{
    int_topic t = { 0 };
    int_chan c, other;
    REQUIRE_EQ(leat_make(&other, 1), 0);
    CHECK_EQ(leat_unsubscribe(&t, &other), -ENOENT);
    CHECK_EQ(leat_topic_drops(&t, &other), -ENOENT);
    subscribe_new(&t, &c, 1, LEAT_DROPS_NEWEST);
    for (size_t k = 0; k < COUNT(policies); k++) CHECK_EQ(leat_subscribe(&t, &c, policies[k]), -EALREADY);
    CHECK_EQ(leat_unsubscribe(&t, &other), -ENOENT);
    CHECK_EQ(leat_topic_drops(&t, &other), -ENOENT);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 1); /* once */
    CHECK_EQ(leat_publish(&t, &(int){ 2 }), 0); /* the first policy holds */
    CHECK_EQ(leat_topic_drops(&t, &c), 1);
    CHECK_EQ(leat_unsubscribe(&t, &c), 0);
    CHECK_EQ(leat_unsubscribe(&t, &c), -ENOENT);
    CHECK_EQ(leat_topic_drops(&t, &c), -ENOENT);
    CHECK_EQ(leat_subscribe(&t, &c, LEAT_WAITS), 0);
    CHECK_EQ(leat_topic_drops(&t, &c), 0); /* counted from zero again */
    unsubscribe_and_free(&t, &c);
    leat_free(&other);
    leat_topic_free(&t);
}

TEST(without_memory_it_says_so_and_keeps_nothing)
{
    int_topic t;
    big_topic b;
    int_chan c;
    for (int aligned = 0; aligned < 2; aligned++)
        for (int at = 1; at <= 3; at++) {
            gotten = given_back = 0;
            no_memory_at = at;
            CHECK_EQ(aligned ? leat_topic_make(&b, LEAT_KEEPS_LATEST) : leat_topic_make(&t, LEAT_KEEPS_LATEST), -ENOMEM);
            CHECK_EQ(gotten, at - 1);
            CHECK_EQ(gotten, given_back);
            if (aligned) leat_topic_free(&b);
            else CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0); /* it is all-zero */
            if (!aligned) leat_topic_free(&t);
            CHECK_EQ(gotten, given_back);
        }
    no_memory_at = 0;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    REQUIRE_EQ(leat_make(&c, 1), 0);
    gotten = given_back = 0;
    no_memory_at = 1;
    CHECK_EQ(leat_subscribe(&t, &c, LEAT_WAITS), -ENOMEM);
    CHECK_EQ(leat_unsubscribe(&t, &c), -ENOENT);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0);
    no_memory_at = 0;
    CHECK_EQ(leat_subscribe(&t, &c, LEAT_WAITS), 0);
    CHECK_EQ(leat_subscribe(&t, &c, LEAT_WAITS), -EALREADY);
    CHECK_EQ(leat_publish(&t, &(int){ 2 }), 1);
    CHECK_EQ(leat_unsubscribe(&t, &c), 0);
    CHECK_EQ(leat_topic_close(&t), 0);
    CHECK_EQ(leat_subscribe(&t, &c, LEAT_WAITS), -EPIPE);
    CHECK_EQ(gotten, given_back);
    CHECK_EQ(gotten, 3);
    leat_free(&c);
    leat_topic_free(&t);
}

/* ==== No room ================================================================================= */

TEST(a_subscriber_that_drops_the_newest_keeps_its_first_messages)
{
    enum { MESSAGES = 10 };
    for (size_t cap = 1; cap <= 3; cap++) {
        int_topic t = { 0 };
        int_chan c;
        subscribe_new(&t, &c, cap, LEAT_DROPS_NEWEST);
        for (int m = 0; m < MESSAGES; m++) CHECK_EQ(leat_publish(&t, &m), (size_t)m < cap);
        CHECK_EQ(leat_topic_drops(&t, &c), MESSAGES - (int)cap);
        for (int m = 0; m < (int)cap; m++) TAKES(&c, m);
        TAKES_NONE(&c);
        CHECK_EQ(leat_publish(&t, &(int){ 100 }), 1); /* there is room again */
        TAKES(&c, 100);
        CHECK_EQ(leat_topic_drops(&t, &c), MESSAGES - (int)cap);
        unsubscribe_and_free(&t, &c);
        leat_topic_free(&t);
    }
}

TEST(a_subscriber_that_drops_the_oldest_keeps_its_last_messages)
{
    enum { MESSAGES = 10 };
    for (size_t cap = 1; cap <= 3; cap++) {
        int_topic t = { 0 };
        int_chan c;
        subscribe_new(&t, &c, cap, LEAT_DROPS_OLDEST);
        for (int m = 0; m < MESSAGES; m++) {
            CHECK_EQ(m % 2 ? leat_publish(&t, &m) : leat_try_publish(&t, &m), 1);
            CHECK_EQ(leat_topic_drops(&t, &c), m < (int)cap ? 0 : m + 1 - (int)cap); /* one for one */
        }
        for (int m = MESSAGES - (int)cap; m < MESSAGES; m++) TAKES(&c, m);
        TAKES_NONE(&c);
        unsubscribe_and_free(&t, &c);
        leat_topic_free(&t);
    }
}

static int sends_2(void *c)
{
    return leat_send((int_chan *)c, &(int){ 2 });
}

TEST(dropping_the_oldest_wakes_a_sender_that_waits_for_room_in_that_channel)
{
    int_topic t = { 0 };
    int_chan c;
    side s;
    int m, got = 0, sum = 0;
    subscribe_new(&t, &c, 1, LEAT_DROPS_OLDEST);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    side_start(&s, sends_2, &c);
    UNTIL(peek_senders(&c) == 1);
    CHECK_EQ(leat_publish(&t, &(int){ 4 }), 1);
    while (got + (int)leat_topic_drops(&t, &c) < 3) {
        CHECK_EQ(leat_recv(&c, &m), 0);
        sum += m;
        got++;
    }
    CHECK_EQ(side_join(&s), 0);
    CHECK_EQ(sum, got == 2 ? 6 : 4); /* 1 was dropped, and 2 as well if it came before 4 */
    TAKES_NONE(&c);
    unsubscribe_and_free(&t, &c);
    leat_topic_free(&t);
}

static int receives(void *c)
{
    int m = -1;
    return leat_recv((int_chan *)c, &m) ? -1 : m;
}

TEST(an_unbuffered_subscriber_gets_a_message_if_it_waits_for_it)
{
    for (size_t k = 0; k < COUNT(policies); k++) {
        int_topic t = { 0 };
        int_chan c;
        side s;
        subscribe_new(&t, &c, 0, policies[k]);
        side_start(&s, receives, &c);
        UNTIL(peek_receivers(&c) == 1);
        CHECK_EQ(leat_publish(&t, &(int){ 5 }), 1);
        CHECK_EQ(side_join(&s), 5);
        CHECK_EQ(leat_topic_drops(&t, &c), 0);
        if (policies[k] != LEAT_WAITS) {
            for (int i = 0; i < 4; i++) CHECK_EQ(leat_publish(&t, &i), 0);
            CHECK_EQ(leat_topic_drops(&t, &c), 4);
        }
        CHECK_EQ(leat_try_publish(&t, &(int){ 6 }), 0);
        side_start(&s, receives, &c);
        UNTIL(peek_receivers(&c) == 1);
        CHECK_EQ(leat_try_publish(&t, &(int){ 7 }), 1);
        CHECK_EQ(side_join(&s), 7); /* none of those that were dropped */
        CHECK_EQ(leat_topic_drops(&t, &c), policies[k] == LEAT_WAITS ? 1 : 5);
        unsubscribe_and_free(&t, &c);
        leat_topic_free(&t);
    }
}

TEST(a_full_subscriber_holds_up_the_publisher_but_those_with_room_have_the_message)
{
    for (size_t cap = 0; cap < 3; cap++)
        for (int place = 0; place < 3; place++) {
            int_topic t = { 0 };
            int_chan c[3], *full = &c[place];
            struct call p;
            for (int i = 0; i < 3; i++) subscribe_new(&t, &c[i], i == place ? cap : 8, LEAT_WAITS);
            for (int m = 0; m < (int)cap; m++) CHECK_EQ(leat_publish(&t, &m), 3);
            publish_waits(&p, NULL, &t, (int)cap, full);
            for (int i = 0; i < 3; i++) {
                if (i == place) continue;
                for (int m = 0; m <= (int)cap; m++) TAKES(&c[i], m);
                TAKES_NONE(&c[i]);
            }
            a_while();
            CHECK(!is_over(&p));
            for (int m = 0; m <= (int)cap; m++) GETS(full, m);
            CHECK_EQ(end(&p), 3);
            CHECK_EQ(leat_topic_drops(&t, full), 0);
            for (int i = 0; i < 3; i++) {
                TAKES_NONE(&c[i]); /* it got each once */
                unsubscribe_and_free(&t, &c[i]);
            }
            leat_topic_free(&t);
        }
}

/* Each gets the message as soon as it has room, and so those that get room later get it later. */
TEST(several_that_are_full_are_served_in_the_order_in_which_they_get_room)
{
    static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (size_t k = 0; k < COUNT(orders); k++)
        for (size_t cap = 0; cap < 3; cap++) {
            int_topic t = { 0 };
            int_chan c[3];
            struct call p;
            for (int i = 0; i < 3; i++) {
                subscribe_new(&t, &c[i], cap, LEAT_WAITS);
                for (size_t n = 0; n < cap; n++) CHECK_EQ(leat_send(&c[i], &(int){ -1 }), 0);
            }
            begin(&p, do_publish, NULL, &t, NULL, 5);
            for (int i = 0; i < 3; i++) {
                int_chan *next = &c[orders[k][i]];
                CHECK(!is_over(&p));
                for (size_t n = 0; n < cap; n++) GETS(next, -1);
                GETS(next, 5);
            }
            CHECK_EQ(end(&p), 3);
            for (int i = 0; i < 3; i++) {
                TAKES_NONE(&c[i]);
                CHECK_EQ(leat_topic_drops(&t, &c[i]), 0);
                unsubscribe_and_free(&t, &c[i]);
            }
            leat_topic_free(&t);
        }
}

/* Two publishers wait for it, and for one that receives. */
TEST(a_subscriber_that_never_receives_keeps_no_message_from_those_that_do)
{
    for (int place = 0; place < 2; place++) {
        int_topic t = { 0 };
        int_chan c[2], *dead = &c[place], *alive = &c[!place];
        struct call p[2];
        int m[2];
        for (int i = 0; i < 2; i++) {
            subscribe_new(&t, &c[i], 1, LEAT_WAITS);
            CHECK_EQ(leat_send(&c[i], &(int){ -1 }), 0);
        }
        for (int i = 0; i < 2; i++) publish_waits(&p[i], NULL, &t, i, dead);
        GETS(alive, -1);
        for (int i = 0; i < 2; i++) CHECK_EQ(leat_recv(alive, &m[i]), 0);
        CHECK(m[0] + m[1] == 1 && m[0] * m[1] == 0);
        CHECK(!is_over(&p[0]) && !is_over(&p[1]));
        CHECK_EQ(leat_len(dead), 1);
        CHECK_EQ(leat_unsubscribe(&t, dead), 0);
        for (int i = 0; i < 2; i++) CHECK_EQ(end(&p[i]), 1);
        TAKES_NONE(alive);
        leat_topic_free(&t);
        for (int i = 0; i < 2; i++) leat_free(&c[i]);
    }
}

TEST(a_try_does_not_wait_and_counts_a_drop)
{
    for (size_t cap = 0; cap < 3; cap++) {
        int_topic t = { 0 };
        int_chan full, roomy;
        subscribe_new(&t, &full, cap, LEAT_WAITS);
        subscribe_new(&t, &roomy, 20, LEAT_WAITS);
        for (int m = 0; m < 10; m++) CHECK_EQ(leat_try_publish(&t, &m), m < (int)cap ? 2 : 1);
        CHECK_EQ(leat_topic_drops(&t, &full), 10 - (int)cap);
        CHECK_EQ(leat_topic_drops(&t, &roomy), 0);
        for (int m = 0; m < 10; m++) TAKES(&roomy, m);
        for (int m = 0; m < (int)cap; m++) TAKES(&full, m);
        unsubscribe_and_free(&t, &roomy);
        unsubscribe_and_free(&t, &full);
        leat_topic_free(&t);
    }
}

TEST(a_subscriber_that_drops_and_never_reads_slows_no_publisher)
{
    enum { MESSAGES = 1000 };
    int_topic t = { 0 };
    int_chan slow[6], reader;
    for (int i = 0; i < 6; i++) subscribe_new(&t, &slow[i], (size_t)i / 2, i % 2 ? LEAT_DROPS_NEWEST : LEAT_DROPS_OLDEST);
    subscribe_new(&t, &reader, 1, LEAT_WAITS);
    for (int m = 0; m < MESSAGES; m++) {
        CHECK(leat_publish(&t, &m) >= 1);
        TAKES(&reader, m);
    }
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(leat_topic_drops(&t, &slow[i]), MESSAGES - i / 2);
        for (int k = 0; k < i / 2; k++) TAKES(&slow[i], i % 2 ? k : MESSAGES - i / 2 + k);
        TAKES_NONE(&slow[i]);
        unsubscribe_and_free(&t, &slow[i]);
    }
    CHECK_EQ(leat_topic_drops(&t, &reader), 0);
    unsubscribe_and_free(&t, &reader);
    leat_topic_free(&t);
}

/* The first half of a receive, by a thread that is stopped then: a slot is claimed, and is not free yet. */
static uint64_t half_a_recv(int_chan *c)
{
    leat_chan *ch = &c->chan;
    uint64_t at = atomic_load_explicit(&ch->ends_[LEAT_RECEIVES_].at_, memory_order_relaxed);
    REQUIRE(atomic_compare_exchange_strong_explicit(&ch->ends_[LEAT_RECEIVES_].at_, &at, leat_advance_(ch, at, 1),
                                                    memory_order_release, memory_order_relaxed));
    return at;
}

static void other_half(int_chan *c, uint64_t at)
{
    leat_chan *ch = &c->chan;
    unsigned char *slot = leat_slot_(ch, at, sizeof(int), _Alignof(int));
    atomic_store_explicit(leat_stamp_of_(slot), leat_lap_of_(ch, at) + ch->lap_, memory_order_release);
}

TEST(a_receive_in_flight_makes_room)
{
    for (int tries = 0; tries < 2; tries++)
        for (size_t k = 0; k < COUNT(policies); k++)
            for (size_t cap = 1; cap < 3; cap++) {
                int_topic t = { 0 };
                int_chan c;
                struct call p;
                subscribe_new(&t, &c, cap, policies[k]);
                for (int m = 0; m < (int)cap; m++) CHECK_EQ(leat_publish(&t, &m), 1);
                uint64_t at = half_a_recv(&c);
                begin(&p, tries ? do_try_publish : do_publish, NULL, &t, NULL, (int)cap);
                a_while();
                CHECK(!is_over(&p));
                other_half(&c, at);
                CHECK_EQ(end(&p), 1);
                CHECK_EQ(leat_topic_drops(&t, &c), 0);
                for (int m = 1; m <= (int)cap; m++) TAKES(&c, m);
                TAKES_NONE(&c);
                unsubscribe_and_free(&t, &c);
                leat_topic_free(&t);
            }
}

TEST(a_subscriber_that_makes_room_is_served_before_the_wait_for_another)
{
    for (size_t k = 0; k < COUNT(policies); k++) {
        int_topic t = { 0 };
        int_chan full, c;
        struct call p;
        subscribe_new(&t, &full, 1, LEAT_WAITS);
        subscribe_new(&t, &c, 1, policies[k]);
        CHECK_EQ(leat_publish(&t, &(int){ 1 }), 2);
        uint64_t at = half_a_recv(&c);
        begin(&p, do_publish, NULL, &t, NULL, 2);
        a_while();
        other_half(&c, at);
        UNTIL(peek_senders(&full) == 1);
        TAKES(&c, 2);
        GETS(&full, 1);
        CHECK_EQ(end(&p), 2);
        TAKES(&full, 2);
        TAKES_NONE(&c);
        unsubscribe_and_free(&t, &c);
        unsubscribe_and_free(&t, &full);
        leat_topic_free(&t);
    }
}

/* ==== How a publisher's wait ends ============================================================= */

/* A subscriber that is full, and perhaps one that has room, which gets the message. */
struct stage {
    int_topic t;
    int_chan full, roomy;
    int roomies;
};

static void set_up(struct stage *s, size_t cap, int roomies)
{
    s->t = (int_topic){ 0 };
    subscribe_new(&s->t, &s->full, cap, LEAT_WAITS);
    for (int m = 0; m < (int)cap; m++) CHECK_EQ(leat_publish(&s->t, &m), 1);
    s->roomies = roomies;
    if (roomies) subscribe_new(&s->t, &s->roomy, 4, LEAT_WAITS);
}

static void take_down(struct stage *s)
{
    if (s->roomies) {
        TAKES(&s->roomy, 99);
        unsubscribe_and_free(&s->t, &s->roomy);
    }
    leat_free(&s->full);
    leat_topic_free(&s->t);
}

TEST(a_waiting_publisher_goes_on_when_its_subscriber_leaves)
{
    for (size_t cap = 0; cap < 3; cap++)
        for (int roomies = 0; roomies < 2; roomies++) {
            struct stage s;
            struct call p[3];
            set_up(&s, cap, roomies);
            publish_waits(&p[0], NULL, &s.t, 99, &s.full);
            if (!roomies) /* several that wait for the same */
                for (int i = 1; i < 3; i++) publish_waits(&p[i], NULL, &s.t, 99, &s.full);
            CHECK_EQ(leat_unsubscribe(&s.t, &s.full), 0);
            for (int i = 0; i < (roomies ? 1 : 3); i++) CHECK_EQ(end(&p[i]), roomies);
            for (int m = 0; m < (int)cap; m++) TAKES(&s.full, m);
            TAKES_NONE(&s.full);
            take_down(&s);
        }
}

TEST(a_subscriber_that_a_publisher_waits_for_may_leave_and_free_its_channel_at_once)
{
    for (int i = 0; i < tap_rounds(300); i++) {
        int_topic t = { 0 };
        int_chan *c = malloc(sizeof *c);
        struct call p;
        REQUIRE(c);
        subscribe_new(&t, c, 1, LEAT_WAITS);
        CHECK_EQ(leat_publish(&t, &i), 1);
        publish_waits(&p, NULL, &t, i, c);
        unsubscribe_and_free(&t, c);
        memset((void *)c, 0xEE, sizeof *c);
        free(c);
        CHECK_EQ(end(&p), 0);
        leat_topic_free(&t);
    }
}

TEST(a_waiting_publisher_goes_on_when_its_context_is_cancelled)
{
    for (size_t cap = 0; cap < 3; cap++)
        for (int roomies = 0; roomies < 2; roomies++) {
            struct stage s;
            struct call p;
            leat_ctx above = LEAT_CTX(NULL), ctx = LEAT_CTX(&above);
            set_up(&s, cap, roomies);
            publish_waits(&p, &ctx, &s.t, 99, &s.full);
            leat_cancel(cap == 1 ? &above : &ctx, 0);
            CHECK_EQ(end(&p), roomies);
            CHECK_EQ(leat_topic_drops(&s.t, &s.full), 1);
            for (int m = 0; m < (int)cap; m++) TAKES(&s.full, m);
            TAKES_NONE(&s.full);
            CHECK_EQ(leat_publish_ctx(&ctx, &s.t, &(int){ 100 }), -ECANCELED); /* although there is room now */
            TAKES_NONE(&s.full);
            CHECK_EQ(leat_topic_drops(&s.t, &s.full), 1);
            CHECK_EQ(leat_unsubscribe(&s.t, &s.full), 0);
            take_down(&s);
        }
}

TEST(a_subscriber_that_has_room_by_then_gets_it_though_the_context_is_done)
{
    struct stage s;
    struct call p;
    int_chan c;
    leat_ctx ctx = LEAT_CTX(NULL);
    set_up(&s, 1, 0);
    subscribe_new(&s.t, &c, 1, LEAT_WAITS);
    CHECK_EQ(leat_send(&c, &(int){ -1 }), 0);
    publish_waits(&p, &ctx, &s.t, 99, &s.full);
    TAKES(&c, -1);
    leat_cancel(&ctx, 0);
    CHECK_EQ(end(&p), 1);
    TAKES(&c, 99);
    CHECK_EQ(leat_topic_drops(&s.t, &c), 0);
    CHECK_EQ(leat_topic_drops(&s.t, &s.full), 1);
    unsubscribe_and_free(&s.t, &c);
    CHECK_EQ(leat_unsubscribe(&s.t, &s.full), 0);
    take_down(&s);
}

TEST(a_waiting_publisher_goes_on_when_its_time_is_over)
{
    for (size_t cap = 0; cap < 3; cap++)
        for (int roomies = 0; roomies < 2; roomies++) {
            struct stage s;
            set_up(&s, cap, roomies);
            for (int64_t ms = 2;; ms *= 2) {
                leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(ms));
                ptrdiff_t n = leat_publish_ctx(&soon, &s.t, &(int){ 99 });
                CHECK_EQ(leat_ctx_err(&soon), -ETIMEDOUT);
                CHECK_EQ(leat_publish_ctx(&soon, &s.t, &(int){ 100 }), -ETIMEDOUT); /* to no subscriber */
                if (!leat_topic_drops(&s.t, &s.full)) continue;                     /* it was over before the call */
                CHECK_EQ(n, roomies);
                break;
            }
            CHECK_EQ(leat_topic_drops(&s.t, &s.full), 1);
            for (int m = 0; m < (int)cap; m++) TAKES(&s.full, m);
            TAKES_NONE(&s.full);
            CHECK_EQ(leat_unsubscribe(&s.t, &s.full), 0);
            take_down(&s);
        }
}

TEST(a_waiting_publisher_goes_on_when_its_subscriber_closes_the_channel)
{
    for (size_t cap = 0; cap < 3; cap++)
        for (int roomies = 0; roomies < 2; roomies++) {
            struct stage s;
            struct call p;
            set_up(&s, cap, roomies);
            publish_waits(&p, NULL, &s.t, 99, &s.full);
            CHECK_EQ(leat_close(&s.full), 0);
            CHECK_EQ(end(&p), roomies); /* the topic is not closed */
            CHECK_EQ(leat_publish(&s.t, &(int){ 100 }), roomies);
            CHECK_EQ(leat_try_publish(&s.t, &(int){ 101 }), roomies);
            CHECK_EQ(leat_topic_drops(&s.t, &s.full), 0); /* it wants no more */
            for (int m = 0; m < (int)cap; m++) TAKES(&s.full, m);
            CHECK_EQ(leat_recv(&s.full, &(int){ 0 }), -EPIPE);
            CHECK_EQ(leat_unsubscribe(&s.t, &s.full), 0);
            take_down(&s);
        }
}

TEST(a_waiting_publisher_goes_on_when_the_topic_is_closed)
{
    for (size_t cap = 0; cap < 3; cap++)
        for (int roomies = 0; roomies < 2; roomies++) {
            struct stage s;
            struct call p;
            set_up(&s, cap, roomies);
            publish_waits(&p, NULL, &s.t, 99, &s.full);
            CHECK_EQ(leat_topic_close(&s.t), 0);
            CHECK_EQ(end(&p), roomies); /* it was published before */
            CHECK_EQ(leat_topic_drops(&s.t, &s.full), 0);
            CHECK_EQ(leat_publish(&s.t, &(int){ 100 }), -EPIPE);
            for (int m = 0; m < (int)cap; m++) TAKES(&s.full, m);
            CHECK_EQ(leat_recv(&s.full, &(int){ 0 }), -EPIPE);
            CHECK_EQ(leat_unsubscribe(&s.t, &s.full), 0);
            take_down(&s);
        }
}

/* No other thread is held up, neither a subscriber that has the message, nor one that comes later. */
TEST(P4_others_may_come_and_go_while_a_publisher_waits_for_one)
{
    for (int full = 0; full < 2; full++)
        for (size_t k = 0; k < COUNT(policies); k++) {
            struct stage s;
            struct call p;
            int_chan c;
            bool gets_it = !full || policies[k] == LEAT_DROPS_OLDEST, later = full && policies[k] == LEAT_WAITS;
            set_up(&s, 1, 0);
            subscribe_new(&s.t, &c, 1, policies[k]);
            if (full) CHECK_EQ(leat_send(&c, &(int){ -1 }), 0);
            publish_waits(&p, NULL, &s.t, 99, &s.full);
            CHECK_EQ(leat_topic_drops(&s.t, &c), full && !later);
            CHECK_EQ(leat_unsubscribe(&s.t, &c), 0);
            TAKES(&c, gets_it ? 99 : -1); /* before the wait */
            TAKES_NONE(&c);
            CHECK_EQ(leat_subscribe(&s.t, &c, LEAT_DROPS_NEWEST), 0);
            CHECK(!is_over(&p));
            GETS(&s.full, 0);
            CHECK_EQ(end(&p), gets_it ? 2 : 1);
            TAKES(&s.full, 99);
            unsubscribe_and_free(&s.t, &c);
            CHECK_EQ(leat_unsubscribe(&s.t, &s.full), 0);
            take_down(&s);
        }
}

/* ==== More without room than a publisher can note at once ===================================== */

enum { MANY = 100 };

struct crowd {
    int_topic t;
    int_chan c[MANY];
};

static void set_up_crowd(struct crowd *w, int keeps, int n, int policy)
{
    REQUIRE_EQ(leat_topic_make(&w->t, keeps), 0);
    for (int i = 0; i < n; i++) {
        subscribe_new(&w->t, &w->c[i], 1, policy < 0 ? policies[i % 3] : policy);
        CHECK_EQ(leat_send(&w->c[i], &(int){ -1 }), 0);
    }
}

static void take_down_crowd(struct crowd *w, int n)
{
    leat_topic_free(&w->t);
    for (int i = 0; i < n; i++) leat_free(&w->c[i]);
}

TEST(P1_all_of_a_crowd_without_room_get_it_once)
{
    static struct crowd w;
    static const int sizes[] = { LEAT_LATER_ - 1, LEAT_LATER_, LEAT_LATER_ + 1, 2 * LEAT_LATER_, 3 * LEAT_LATER_ - 1, MANY };
    for (size_t k = 0; k < COUNT(sizes); k++)
        for (int backwards = 0; backwards < 2; backwards++) {
            int n = sizes[k];
            struct call p;
            set_up_crowd(&w, 0, n, LEAT_WAITS);
            publish_waits(&p, NULL, &w.t, 7, &w.c[0]);
            for (int i = 0; i < n; i++) {
                CHECK(!is_over(&p));
                GETS(&w.c[backwards ? n - 1 - i : i], -1);
            }
            CHECK_EQ(end(&p), n);
            for (int i = 0; i < n; i++) {
                TAKES(&w.c[i], 7);
                TAKES_NONE(&w.c[i]);
                CHECK_EQ(leat_topic_drops(&w.t, &w.c[i]), 0);
            }
            take_down_crowd(&w, n);
        }
}

TEST(a_crowd_that_never_receives_keeps_no_message_from_one_that_does)
{
    static struct crowd w;
    static const int alive[] = { 0, LEAT_LATER_ - 1, LEAT_LATER_, 2 * LEAT_LATER_, MANY - 1 };
    for (size_t k = 0; k < COUNT(alive); k++) {
        struct call p;
        int_chan *c = &w.c[alive[k]];
        set_up_crowd(&w, 0, MANY, LEAT_WAITS);
        if (k % 2) TAKES(c, -1); /* it has room at once, but the walk comes to it late */
        publish_waits(&p, NULL, &w.t, 7, &w.c[1]);
        if (k % 2 == 0) GETS(c, -1);
        GETS(c, 7);
        CHECK(!is_over(&p));
        CHECK_EQ(leat_topic_close(&w.t), 0);
        CHECK_EQ(end(&p), 1);
        take_down_crowd(&w, MANY);
    }
}

/* The notes, or the cases of the select, cannot grow. */
TEST(without_memory_a_publish_waits_for_one_after_another_and_leaves_out_none)
{
    static struct crowd w;
    for (int at = 1; at <= 4; at++) {
        struct call p;
        set_up_crowd(&w, 0, MANY, LEAT_WAITS);
        gotten = given_back = 0;
        no_memory_at = at;
        publish_waits(&p, NULL, &w.t, 7, &w.c[0]);
        CHECK_EQ(leat_unsubscribe(&w.t, &w.c[MANY - 1]), 0); /* P4 */
        for (int i = 0; i < MANY - 1; i++) GETS(&w.c[i], -1);
        CHECK_EQ(end(&p), MANY - 1);
        no_memory_at = 0;
        CHECK_EQ(gotten + 1, given_back); /* and the subscriber that has left */
        for (int i = 0; i < MANY - 1; i++) {
            TAKES(&w.c[i], 7);
            TAKES_NONE(&w.c[i]);
            CHECK_EQ(leat_topic_drops(&w.t, &w.c[i]), 0);
        }
        take_down_crowd(&w, MANY);
    }
}

TEST(in_a_crowd_each_is_served_by_its_own_policy)
{
    static struct crowd w;
    struct call p;
    int n[3] = { 0 };
    set_up_crowd(&w, 0, MANY, -1);
    publish_waits(&p, NULL, &w.t, 7, &w.c[0]);
    for (int i = 0; i < MANY; i++) {
        n[i % 3]++;
        if (policies[i % 3] == LEAT_WAITS) GETS(&w.c[i], -1);
    }
    CHECK_EQ(end(&p), n[0] + n[2]);
    for (int i = 0; i < MANY; i++) {
        TAKES(&w.c[i], policies[i % 3] == LEAT_DROPS_NEWEST ? -1 : 7);
        TAKES_NONE(&w.c[i]);
        CHECK_EQ(leat_topic_drops(&w.t, &w.c[i]), policies[i % 3] != LEAT_WAITS);
    }
    CHECK_EQ(leat_publish(&w.t, &(int){ 8 }), MANY); /* all have room */
    take_down_crowd(&w, MANY);
}

TEST(a_try_and_a_cancel_leave_out_each_of_a_crowd_once)
{
    static struct crowd w;
    struct call p;
    leat_ctx ctx = LEAT_CTX(NULL);
    set_up_crowd(&w, 0, MANY, LEAT_WAITS);
    CHECK_EQ(leat_try_publish(&w.t, &(int){ 6 }), 0);
    publish_waits(&p, &ctx, &w.t, 7, &w.c[0]);
    leat_cancel(&ctx, 0);
    CHECK_EQ(end(&p), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(leat_topic_drops(&w.t, &w.c[i]), 2);
        TAKES(&w.c[i], -1);
        TAKES_NONE(&w.c[i]);
    }
    take_down_crowd(&w, MANY);
}

TEST(some_of_a_crowd_leave_while_a_publisher_waits)
{
    static struct crowd w;
    /* two that it waits for; those behind which it would go on; and others */
    static const int leaves[] = { 0, 1, 5, LEAT_LATER_ - 1, LEAT_LATER_, 2 * LEAT_LATER_ - 1, 80, MANY - 1 };
    struct call p;
    bool left[MANY] = { false };
    set_up_crowd(&w, 0, MANY, LEAT_WAITS);
    publish_waits(&p, NULL, &w.t, 7, &w.c[0]);
    CHECK_EQ(leat_unsubscribe(&w.t, &w.c[0]), 0);
    UNTIL(peek_senders(&w.c[1]) == 1);
    for (size_t k = 1; k < COUNT(leaves); k++) CHECK_EQ(leat_unsubscribe(&w.t, &w.c[leaves[k]]), 0);
    for (size_t k = 0; k < COUNT(leaves); k++) left[leaves[k]] = true;
    for (int i = 0; i < MANY; i++) TAKES(&w.c[i], -1);
    CHECK_EQ(end(&p), MANY - (int)COUNT(leaves));
    for (int i = 0; i < MANY; i++) {
        if (!left[i]) TAKES(&w.c[i], 7);
        TAKES_NONE(&w.c[i]);
    }
    take_down_crowd(&w, MANY);
}

TEST(all_of_a_crowd_leave_while_a_publisher_waits)
{
    static struct crowd w;
    for (int backwards = 0; backwards < 2; backwards++) {
        struct call p;
        set_up_crowd(&w, 0, MANY, LEAT_WAITS);
        publish_waits(&p, NULL, &w.t, 7, &w.c[0]);
        for (int i = 0; i < MANY; i++) CHECK_EQ(leat_unsubscribe(&w.t, &w.c[backwards ? MANY - 1 - i : i]), 0);
        CHECK_EQ(end(&p), 0);
        take_down_crowd(&w, MANY);
    }
}

/* ==== The latest ============================================================================== */

TEST(the_latest_is_what_was_published_last)
{
    int_topic t;
    int m = 77;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_latest(&t, &m), -EAGAIN);
    CHECK_EQ(m, 77); /* untouched */
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(leat_publish(&t, &i), 0);
        for (int again = 0; again < 2; again++) CHECK(leat_latest(&t, &m) == 0 && m == i);
    }
    CHECK_EQ(leat_topic_close(&t), 0);
    CHECK(leat_latest(&t, &m) == 0 && m == 999);
    for (int i = 0; i < 200; i++) CHECK_EQ(leat_publish(&t, &i), -EPIPE); /* nor does it use anything up */
    CHECK(leat_latest(&t, &m) == 0 && m == 999);
    leat_topic_free(&t);
}

TEST(the_latest_comes_first_to_a_subscriber_that_wants_it)
{
    for (size_t k = 0; k < COUNT(policies); k++) {
        int_topic t;
        int_chan early, late, plain;
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        subscribe_new(&t, &early, 8, policies[k] | LEAT_LATEST_FIRST); /* there is none */
        TAKES_NONE(&early);
        CHECK_EQ(leat_publish(&t, &(int){ 1 }), 1);
        CHECK_EQ(leat_publish(&t, &(int){ 2 }), 1);
        subscribe_new(&t, &late, 8, policies[k] | LEAT_LATEST_FIRST);
        subscribe_new(&t, &plain, 8, policies[k]);
        TAKES(&late, 2); /* it is there when the call returns */
        TAKES_NONE(&late);
        TAKES_NONE(&plain);
        CHECK_EQ(leat_publish(&t, &(int){ 3 }), 3);
        for (int m = 1; m <= 3; m++) TAKES(&early, m);
        TAKES(&late, 3);
        TAKES(&plain, 3);
        CHECK_EQ(leat_unsubscribe(&t, &late), 0);
        CHECK_EQ(leat_subscribe(&t, &late, policies[k] | LEAT_LATEST_FIRST), 0);
        TAKES(&late, 3); /* again */
        TAKES_NONE(&late);
        unsubscribe_and_free(&t, &early);
        unsubscribe_and_free(&t, &late);
        unsubscribe_and_free(&t, &plain);
        leat_topic_free(&t);
    }
}

/* The version that was its first is used again, many times. */
TEST(a_subscriber_that_had_a_first_message_gets_all_that_come_later)
{
    int_topic t;
    int_chan c;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_publish(&t, &(int){ 0 }), 0);
    subscribe_new(&t, &c, 1, LEAT_DROPS_NEWEST | LEAT_LATEST_FIRST);
    for (int m = 0; m < 10 * LEAT_VERSIONS_; m++) {
        TAKES(&c, m);
        CHECK_EQ(leat_publish(&t, &(int){ m + 1 }), 1);
    }
    CHECK_EQ(leat_topic_drops(&t, &c), 0);
    unsubscribe_and_free(&t, &c);
    leat_topic_free(&t);
}

TEST(a_subscriber_without_room_for_a_first_message_comes_without)
{
    for (size_t k = 0; k < COUNT(policies); k++)
        for (size_t cap = 1; cap < 3; cap++) {
            int_topic t;
            int_chan c;
            bool oldest_goes = policies[k] == LEAT_DROPS_OLDEST;
            REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
            CHECK_EQ(leat_publish(&t, &(int){ 7 }), 0);
            REQUIRE_EQ(leat_make(&c, cap), 0);
            for (int m = 0; m < (int)cap; m++) CHECK_EQ(leat_send(&c, &m), 0);
            CHECK_EQ(leat_subscribe(&t, &c, policies[k] | LEAT_LATEST_FIRST), 0); /* and waits for nothing */
            CHECK_EQ(leat_topic_drops(&t, &c), oldest_goes);
            for (int m = oldest_goes; m < (int)cap; m++) TAKES(&c, m);
            if (oldest_goes) TAKES(&c, 7);
            TAKES_NONE(&c);
            CHECK_EQ(leat_publish(&t, &(int){ 8 }), 1);
            TAKES(&c, 8);
            unsubscribe_and_free(&t, &c);
            leat_topic_free(&t);
        }
}

/* What a publisher in flight has published is the latest already. A subscriber that comes now has it as its first.
 * When the publisher then reaches that subscriber, the message comes no second time, and is counted once. */
TEST(P2_a_subscriber_that_comes_while_a_publish_is_in_flight_gets_its_message_once)
{
    for (int room = 0; room < 2; room++) {
        int_topic t;
        int_chan early, late;
        struct call p, u;
        int m = 0;
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        subscribe_new(&t, &early, 4, LEAT_WAITS);
        begin_and_stop(&p, do_try_publish, &t, NULL, 7, IN_WALK);
        CHECK(leat_latest(&t, &m) == 0 && m == 7);
        REQUIRE_EQ(leat_make(&late, 1), 0);
        if (!room) CHECK_EQ(leat_send(&late, &(int){ -1 }), 0); /* then it comes without, and misses it */
        begin(&u, do_subscribe, NULL, &t, &late, LEAT_WAITS | LEAT_LATEST_FIRST);
        UNTIL(leat_topic_drops(&t, &late) == 0 && leat_len(&late) == 1);
        go_on();
        CHECK_EQ(end(&u), 0);
        CHECK_EQ(end(&p), 1 + room);
        CHECK_EQ(leat_topic_drops(&t, &late), !room);
        TAKES(&early, 7);
        TAKES(&late, room ? 7 : -1);
        TAKES_NONE(&late);
        CHECK_EQ(leat_publish(&t, &(int){ 8 }), 2);
        TAKES(&late, 8);
        unsubscribe_and_free(&t, &early);
        unsubscribe_and_free(&t, &late);
        leat_topic_free(&t);
    }
}

TEST(P2_a_subscriber_that_comes_while_a_publisher_waits_gets_its_message_once)
{
    static struct crowd w;
    enum { N = LEAT_LATER_ + 8 };
    for (int n = 1; n <= N; n += N - 1) { /* the publisher does not reach it; it does */
        int_chan late;
        struct call p;
        int m = 0;
        set_up_crowd(&w, LEAT_KEEPS_LATEST, n, LEAT_WAITS);
        publish_waits(&p, NULL, &w.t, 7, &w.c[0]);
        CHECK(leat_latest(&w.t, &m) == 0 && m == 7);
        subscribe_new(&w.t, &late, 4, LEAT_WAITS | LEAT_LATEST_FIRST);
        for (int i = 0; i < n; i++) GETS(&w.c[i], -1);
        int count = end(&p);
        CHECK(count == n || count == n + 1);
        TAKES(&late, 7);
        TAKES_NONE(&late);
        for (int i = 0; i < n; i++) TAKES(&w.c[i], 7);
        CHECK_EQ(leat_publish(&w.t, &(int){ 8 }), n + 1);
        TAKES(&late, 8);
        take_down_crowd(&w, n);
        leat_free(&late);
    }
}

TEST(P2_what_is_published_as_a_subscriber_joins_is_not_missed)
{
    int_topic t;
    int_chan c;
    struct call u;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    REQUIRE_EQ(leat_make(&c, 4), 0);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0);
    begin_and_stop(&u, do_subscribe, &t, &c, LEAT_WAITS | LEAT_LATEST_FIRST, AT_LOCK);
    CHECK_EQ(leat_publish(&t, &(int){ 2 }), 0); /* it is not in the list yet */
    go_on();
    CHECK_EQ(end(&u), 0);
    CHECK_EQ(leat_publish(&t, &(int){ 3 }), 1);
    TAKES(&c, 2);
    TAKES(&c, 3);
    TAKES_NONE(&c);
    unsubscribe_and_free(&t, &c);
    leat_topic_free(&t);
}

/* A subscriber that is stopped between joining the list and putting its first message into its channel. */
TEST(a_publisher_sends_nothing_to_a_subscriber_that_has_not_got_its_first_yet)
{
    static const int places[] = { AFTER_LOCK, IN_OFFER };
    for (int tries = 0; tries < 2; tries++)
        for (size_t k = 0; k < COUNT(places); k++) {
            int_topic t;
            int_chan c;
            struct call u, p;
            int m = 0;
            REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
            REQUIRE_EQ(leat_make(&c, 4), 0);
            CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0);
            begin_and_stop(&u, do_subscribe, &t, &c, LEAT_WAITS | LEAT_LATEST_FIRST, places[k]);
            begin(&p, tries ? do_try_publish : do_publish, NULL, &t, NULL, 2);
            UNTIL(leat_latest(&t, &m) == 0 && m == 2);
            a_while();
            CHECK(!is_over(&p));
            TAKES_NONE(&c);
            go_on();
            CHECK_EQ(end(&u), 0);
            CHECK_EQ(end(&p), 1);
            if (places[k] == IN_OFFER) TAKES(&c, 1); /* it had read the latest before */
            TAKES(&c, 2);
            TAKES_NONE(&c);
            CHECK_EQ(leat_topic_drops(&t, &c), 0);
            unsubscribe_and_free(&t, &c);
            leat_topic_free(&t);
        }
}

static int looks_in_two(void *arg)
{
    struct call *k = arg;
    stops_here(k);
    CHECK_EQ(leat_latest(k->t, &k->msg), 0);
    return k->msg;
}

static int publishes_many(void *arg)
{
    for (int m = 1; m <= 1000; m++) CHECK_EQ(leat_publish((int_topic *)arg, &m), 0);
    return 0;
}

/* A reader is stopped while it copies the latest, and there are as many publishes as there are versions. */
static void is_not_written_over(int (*looks)(void *))
{
    int_topic t;
    struct call look;
    side s;
    int m = 0;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_publish(&t, &(int){ 0x01010101 }), 0);
    begin_and_stop(&look, looks, &t, NULL, 0, IN_LOOK);
    side_start(&s, publishes_many, &t);
    UNTIL(leat_latest(&t, &m) == 0 && m >= LEAT_VERSIONS_ - 1 && m <= 1000); /* and no further */
    a_while();
    CHECK(leat_latest(&t, &m) == 0 && m < 1000);
    go_on();
    CHECK_EQ(end(&look), 0x01010101);
    CHECK_EQ(side_join(&s), 0);
    CHECK(leat_latest(&t, &m) == 0 && m == 1000);
    leat_topic_free(&t);
}

TEST(P3_what_a_thread_reads_is_not_written_over)
{
    is_not_written_over(looks_in_two);
}

/* A subscriber that is stopped while it gives itself the latest, and as many publishers as there are versions. */
TEST(P3_nor_is_what_becomes_a_first_message)
{
    static struct call p[LEAT_VERSIONS_];
    int_topic t;
    int_chan c;
    struct call u;
    int m = 0;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    REQUIRE_EQ(leat_make(&c, LEAT_VERSIONS_ + 1), 0);
    CHECK_EQ(leat_publish(&t, &m), 0);
    begin_and_stop(&u, do_subscribe, &t, &c, LEAT_WAITS | LEAT_LATEST_FIRST, IN_OFFER);
    for (int i = 0; i < LEAT_VERSIONS_; i++) {
        begin(&p[i], do_publish, NULL, &t, NULL, i + 1);
        if (i + 1 < LEAT_VERSIONS_) UNTIL(leat_latest(&t, &m) == 0 && m == i + 1);
    }
    a_while();
    CHECK(leat_latest(&t, &m) == 0 && m == LEAT_VERSIONS_ - 1); /* the last one has to wait */
    go_on();
    CHECK_EQ(end(&u), 0);
    for (int i = 0; i < LEAT_VERSIONS_; i++) CHECK_EQ(end(&p[i]), 1);
    TAKES(&c, 0);
    for (int i = 0; i < LEAT_VERSIONS_; i++) CHECK_EQ(leat_try_recv(&c, &m), 0);
    TAKES_NONE(&c);
    unsubscribe_and_free(&t, &c);
    leat_topic_free(&t);
}

struct visit {
    int_topic t;
    door d;
};

static int looks_and_stays(void *arg)
{
    struct visit *v = arg;
    int m = -1;
    CHECK_EQ(leat_latest(&v->t, &m), 0);
    CHECK_EQ(m, 0);
    door_pass(&v->d);
    CHECK_EQ(leat_latest(&v->t, &m), 0);
    return m;
}

TEST(a_thread_that_has_read_the_latest_keeps_no_other_waiting)
{
    struct visit v = { .d = { 0 } };
    side s;
    int_chan c;
    REQUIRE_EQ(leat_topic_make(&v.t, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_publish(&v.t, &(int){ 0 }), 0);
    side_start(&s, looks_and_stays, &v);
    door_until(&v.d, 1);
    CHECK_EQ(publishes_many(&v.t), 0);
    subscribe_new(&v.t, &c, 1, LEAT_WAITS);
    unsubscribe_and_free(&v.t, &c);
    door_open(&v.d);
    CHECK_EQ(side_join(&s), 1000);
    leat_topic_free(&v.t);
}

/* ==== A watch ================================================================================= */

#define peek_watchers(t) peek_list(&(t)->topic.watches_, &(t)->topic.watchers_)

struct watch {
    side s;
    int_topic *t;
    leat_ctx *ctx;
    uint64_t version;
    int err, m;
    _Atomic bool over;
};

static int watches(void *arg)
{
    struct watch *w = arg;
    w->m = -1;
    w->err = leat_latest_after_ctx(w->ctx, w->t, &w->m, &w->version);
    atomic_store_explicit(&w->over, true, memory_order_release);
    return w->err;
}

static void watch_begins(struct watch *w, leat_ctx *ctx, int_topic *t, uint64_t version)
{
    w->t = t;
    w->ctx = ctx;
    w->version = version;
    atomic_init(&w->over, false);
    side_start(&w->s, watches, w);
}

static void watch_waits(struct watch *w, leat_ctx *ctx, int_topic *t, uint64_t version)
{
    int before = peek_watchers(t);
    watch_begins(w, ctx, t, version);
    UNTIL(peek_watchers(t) == before + 1);
}

TEST(P6_a_watcher_gets_each_newer_value_once_and_of_several_the_last)
{
    for (int how = 0; how < 3; how++) {
        int_topic t;
        int m = -1;
        uint64_t version = 0, before = 0;
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        CHECK_EQ(leat_try_latest_after(&t, &m, &version), -EAGAIN);
        CHECK(m == -1 && version == 0);
        for (int i = 0; i < 3 * LEAT_VERSIONS_; i++) {
            for (int n = i % 3; n >= 0; n--) CHECK_EQ(leat_publish(&t, &(int){ 10 * i + n }), 0);
            CHECK_EQ(look_after(how, NULL, &t, &m, &version), 0);
            CHECK(m == 10 * i && version > before);
            before = version;
            CHECK_EQ(leat_try_latest_after(&t, &m, &version), -EAGAIN);
            CHECK_EQ(leat_latest_after_ctx(LEAT_WITHIN(0), &t, &m, &version), -ETIMEDOUT);
            CHECK(m == 10 * i && version == before);
        }
        version = 0; /* a watcher that comes late gets the last, too */
        CHECK_EQ(look_after(how, NULL, &t, &m, &version), 0);
        CHECK(m == 10 * (3 * LEAT_VERSIONS_ - 1) && version == before);
        leat_topic_free(&t);
    }
}

TEST(P5_a_watcher_that_waits_is_woken_by_the_next_publish)
{
    for (int subscribers = 0; subscribers < 2; subscribers++) {
        int_topic t;
        int_chan full;
        struct watch w;
        struct call p;
        uint64_t version = 0;
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        for (int m = 1; m < 10; m++) {
            watch_waits(&w, NULL, &t, version);
            if (!subscribers) CHECK_EQ(leat_publish(&t, &m), 0);
            else if (m % 2) CHECK_EQ(leat_try_publish(&t, &m), 0);
            else { /* also if that publish has to wait for a subscriber */ subscribe_new(&t, &full, 0, LEAT_WAITS);
                publish_waits(&p, NULL, &t, m, &full);
            }
            CHECK_EQ(side_join(&w.s), 0);
            CHECK(w.m == m && w.version > version);
            version = w.version;
            if (subscribers && m % 2 == 0) {
                unsubscribe_and_free(&t, &full);
                CHECK_EQ(end(&p), 0);
            }
        }
        leat_topic_free(&t);
    }
}

TEST(P5_one_publish_wakes_all_that_watch)
{
    enum { THREADS = 50 };
    static struct watch w[THREADS];
    int_topic t;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0);
    for (int i = 0; i < THREADS; i++) watch_waits(&w[i], NULL, &t, 1);
    CHECK_EQ(leat_publish(&t, &(int){ 2 }), 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(side_join(&w[i].s), 0);
        CHECK(w[i].m == 2 && w[i].version == w[0].version);
    }
    leat_topic_free(&t);
}

TEST(a_watch_ends_when_its_context_is_done_and_leaves_the_others)
{
    for (int how = 0; how < 3; how++) {
        int_topic t;
        struct watch w[3];
        leat_ctx above = LEAT_CTX(NULL), ctx = LEAT_CTX(&above);
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        if (how == 2) ctx = (leat_ctx)LEAT_CTX_WITHIN(&above, LEAT_MS(20));
        watch_waits(&w[0], NULL, &t, 0);
        if (how == 2) watch_begins(&w[1], &ctx, &t, 0);
        else watch_waits(&w[1], &ctx, &t, 0);
        watch_begins(&w[2], NULL, &t, 0);
        if (how < 2) leat_cancel(how ? &above : &ctx, 3);
        CHECK_EQ(side_join(&w[1].s), how == 2 ? -ETIMEDOUT : -ECANCELED);
        CHECK(w[1].m == -1 && w[1].version == 0);
        UNTIL(peek_watchers(&t) == 2);
        CHECK_EQ(leat_publish(&t, &(int){ 4 }), 0);
        for (int i = 0; i < 3; i += 2) CHECK(side_join(&w[i].s) == 0 && w[i].m == 4);
        CHECK_EQ(peek_watchers(&t), 0);
        leat_topic_free(&t);
    }
}

TEST(a_context_that_was_cancelled_first_wins_over_what_was_published_or_closed)
{
    for (int closes = 0; closes < 2; closes++)
        for (int waits = 0; waits < 2; waits++) {
            int_topic t;
            struct watch w;
            leat_ctx ctx = LEAT_CTX(NULL);
            REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
            if (waits) watch_waits(&w, &ctx, &t, 0);
            leat_cancel(&ctx, 0);
            if (closes) CHECK_EQ(leat_topic_close(&t), 0);
            else CHECK_EQ(leat_publish(&t, &(int){ 4 }), 0);
            if (!waits) watch_begins(&w, &ctx, &t, 0);
            CHECK_EQ(side_join(&w.s), -ECANCELED);
            CHECK(w.m == -1 && w.version == 0);
            leat_topic_free(&t);
        }
}

TEST(after_close_a_watcher_gets_the_last_and_then_EPIPE)
{
    for (int how = 0; how < 3; how++) {
        int_topic t;
        struct watch w[2];
        int m = -1;
        uint64_t version = 0;
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        for (int i = 0; i < 2; i++) watch_waits(&w[i], NULL, &t, 0);
        CHECK_EQ(leat_topic_close(&t), 0); /* nothing was published */
        for (int i = 0; i < 2; i++) CHECK(side_join(&w[i].s) == -EPIPE && w[i].m == -1 && w[i].version == 0);
        CHECK_EQ(look_after(how, NULL, &t, &m, &version), -EPIPE);
        leat_topic_free(&t);
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        for (int i = 1; i < 4; i++) CHECK_EQ(leat_publish(&t, &i), 0);
        watch_waits(&w[0], NULL, &t, 3);
        CHECK_EQ(leat_topic_close(&t), 0);
        CHECK(side_join(&w[0].s) == -EPIPE && w[0].m == -1 && w[0].version == 3);
        CHECK_EQ(leat_topic_close(&t), -EALREADY);
        CHECK(look_after(how, NULL, &t, &m, &version) == 0 && m == 3);
        for (int i = 0; i < 2; i++) CHECK_EQ(look_after(how, NULL, &t, &m, &version), -EPIPE);
        CHECK(leat_latest(&t, &m) == 0 && m == 3);
        leat_topic_free(&t);
    }
}

/* A publisher that saw the topic open is stopped in its section. */
TEST(P5_a_watcher_is_told_of_a_close_once_no_publish_is_in_flight)
{
    int_topic t;
    int_chan c;
    struct watch w;
    struct call p, k;
    int m = -1;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    subscribe_new(&t, &c, 1, LEAT_WAITS);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 1);
    GETS(&c, 1);
    begin_and_stop(&p, do_publish, &t, NULL, 2, IN_WALK); /* in its section */
    watch_waits(&w, NULL, &t, 2);
    begin(&k, do_close, NULL, &t, NULL, 0);
    UNTIL(leat_is_closed(&c));
    a_while();
    CHECK(!atomic_load_explicit(&w.over, memory_order_acquire));
    CHECK_EQ(leat_try_latest_after(&t, &m, &(uint64_t){ 2 }), -EAGAIN); /* it is not sure yet that none will come */
    go_on();
    CHECK_EQ(end(&p), 0);
    CHECK_EQ(end(&k), 0);
    CHECK_EQ(side_join(&w.s), -EPIPE);
    leat_topic_free(&t);
    leat_free(&c);
}

static int watches_in_two(void *arg)
{
    struct call *k = arg;
    uint64_t version = 0;
    stops_here(k);
    CHECK_EQ(leat_latest_after(k->t, &k->msg, &version), 0);
    CHECK_EQ(version, 1);
    return k->msg;
}

TEST(P3_what_a_watcher_copies_is_not_written_over)
{
    is_not_written_over(watches_in_two);
}

/* ==== Close =================================================================================== */

TEST(close_lets_every_subscriber_drain_and_then_says_EPIPE)
{
    for (int keeps = 0; keeps <= LEAT_KEEPS_LATEST; keeps++) {
        int_topic t;
        int_chan c[3], none, late;
        side s;
        REQUIRE_EQ(leat_topic_make(&t, keeps), 0);
        for (size_t k = 0; k < COUNT(c); k++) subscribe_new(&t, &c[k], 4, policies[k]);
        subscribe_new(&t, &none, 0, LEAT_DROPS_NEWEST);
        for (int m = 0; m < 3; m++) CHECK_EQ(leat_publish(&t, &m), 3);
        side_start(&s, receives, &none); /* a thread that waits is woken */
        UNTIL(peek_receivers(&none) == 1);
        CHECK_EQ(leat_topic_close(&t), 0);
        CHECK_EQ(side_join(&s), -1);
        for (int again = 0; again < 2; again++) {
            CHECK_EQ(leat_topic_close(&t), -EALREADY);
            CHECK_EQ(leat_publish(&t, &(int){ 9 }), -EPIPE);
            CHECK_EQ(leat_try_publish(&t, &(int){ 9 }), -EPIPE);
            CHECK_EQ(leat_publish_ctx(NULL, &t, &(int){ 9 }), -EPIPE);
        }
        REQUIRE_EQ(leat_make(&late, 1), 0);
        CHECK_EQ(leat_subscribe(&t, &late, LEAT_WAITS), -EPIPE);
        CHECK(!leat_is_closed(&late));
        leat_free(&late);
        CHECK_EQ(leat_topic_drops(&t, &none), 3);
        for (size_t k = 0; k < COUNT(c); k++) {
            CHECK_EQ(leat_topic_drops(&t, &c[k]), 0);
            for (int m = 0; m < 3; m++) TAKES(&c[k], m);
            CHECK_EQ(leat_recv(&c[k], &(int){ 0 }), -EPIPE);
            unsubscribe_and_free(&t, &c[k]); /* in its own time */
        }
        CHECK_EQ(leat_publish(&t, &(int){ 9 }), -EPIPE);
        unsubscribe_and_free(&t, &none);
        CHECK_EQ(leat_publish(&t, &(int){ 9 }), -EPIPE); /* with no subscriber too */
        leat_topic_free(&t);
    }
}

TEST(close_accepts_a_channel_that_is_closed_already_and_touches_none_that_left)
{
    int_topic t = { 0 };
    int_chan closed, left, c;
    subscribe_new(&t, &closed, 1, LEAT_WAITS);
    subscribe_new(&t, &left, 1, LEAT_WAITS);
    subscribe_new(&t, &c, 1, LEAT_WAITS);
    CHECK_EQ(leat_close(&closed), 0);
    CHECK_EQ(leat_unsubscribe(&t, &left), 0);
    CHECK_EQ(leat_topic_close(&t), 0);
    CHECK(leat_is_closed(&c));
    CHECK(!leat_is_closed(&left));
    leat_topic_free(&t);
    leat_free(&closed);
    leat_free(&left);
    leat_free(&c);
}

TEST(when_close_returns_no_call_is_in_flight_that_saw_it_open)
{
    for (int keeps = 0; keeps <= LEAT_KEEPS_LATEST; keeps++) {
        int_topic t;
        int_chan c;
        struct call p, k;
        REQUIRE_EQ(leat_topic_make(&t, keeps), 0);
        subscribe_new(&t, &c, 2, LEAT_WAITS);
        begin_and_stop(&p, do_publish, &t, NULL, 7, IN_WALK);
        begin(&k, do_close, NULL, &t, NULL, 0);
        UNTIL(leat_is_closed(&c));
        a_while();
        CHECK(!is_over(&k));
        CHECK_EQ(leat_publish(&t, &(int){ 8 }), -EPIPE);
        go_on();
        CHECK_EQ(end(&k), 0);
        CHECK_EQ(end(&p), 0); /* its message came too late for the channel */
        CHECK_EQ(leat_recv(&c, &(int){ 0 }), -EPIPE);
        unsubscribe_and_free(&t, &c);
        leat_topic_free(&t);
    }
}

/* A publisher that is stopped before its section. */
TEST(after_close_nothing_becomes_the_latest)
{
    int_topic t;
    struct call p;
    int m = 0, place = AT_SECTION;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0);
#ifdef LEAT_NO_URCU
    place = AT_COUNT;
    counter = &t.topic.readers_[0];
#endif
    begin_and_stop(&p, do_publish, &t, NULL, 2, place);
    CHECK_EQ(leat_topic_close(&t), 0);
    CHECK(leat_latest(&t, &m) == 0 && m == 1);
    go_on();
    CHECK_EQ(end(&p), -EPIPE);
    counter = NULL;
    CHECK(leat_latest(&t, &m) == 0 && m == 1);
    leat_topic_free(&t);
}

/* A close that is stopped after the first channel. */
TEST(a_thread_that_sees_its_channel_closed_can_publish_no_more)
{
    int_topic t = { 0 };
    int_chan c[3];
    struct call k, u;
    for (int i = 0; i < 3; i++) subscribe_new(&t, &c[i], 1, LEAT_WAITS);
    begin_and_stop(&k, do_close, &t, NULL, 0, AFTER_CLOSE);
    CHECK_EQ(leat_recv(&c[0], &(int){ 0 }), -EPIPE);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), -EPIPE);
    begin(&u, do_unsubscribe, NULL, &t, &c[1], 0); /* the next channel is not taken away while close needs it */
    a_while();
    CHECK(!is_over(&u));
    go_on();
    CHECK_EQ(end(&k), 0);
    CHECK_EQ(end(&u), 0);
    for (int i = 1; i < 3; i++) CHECK_EQ(leat_recv(&c[i], &(int){ 0 }), -EPIPE);
    for (int i = 0; i < 3; i++) {
        if (i != 1) CHECK_EQ(leat_unsubscribe(&t, &c[i]), 0);
        leat_free(&c[i]);
    }
    leat_topic_free(&t);
}

TEST(of_calls_that_change_the_list_one_waits_for_the_other)
{
    static int (*const calls[])(void *) = { do_unsubscribe, do_subscribe, do_close };
    int_topic t = { 0 };
    int_chan c;
    struct call k;
    subscribe_new(&t, &c, 1, LEAT_WAITS);
    for (size_t i = 0; i < COUNT(calls); i++) {
        leat_lock_take_(&t.topic.lock_); /* as if another call changed the list */
        begin(&k, calls[i], NULL, &t, &c, LEAT_WAITS);
        a_while();
        CHECK(!is_over(&k));
        CHECK(!leat_is_closed(&c));
        leat_lock_drop_(&t.topic.lock_);
        CHECK_EQ(end(&k), 0);
    }
    unsubscribe_and_free(&t, &c);
    leat_topic_free(&t);
}

/* ==== A subscriber that leaves waits for publishers in flight ================================= */

TEST(unsubscribe_waits_for_publishers_that_have_a_reference)
{
    static const struct {
        int policy, full, where, count;
    } ways[] = {
        { LEAT_WAITS, 0, IN_WALK, 1 }, { LEAT_WAITS, 1, IN_WALK, 0 },         { LEAT_WAITS, 1, IN_OFFER, 0 },
        { LEAT_WAITS, 1, IN_WAIT, 0 }, { LEAT_DROPS_NEWEST, 1, IN_OFFER, 0 }, { LEAT_DROPS_OLDEST, 1, IN_OFFER, 1 },
    };
    for (size_t k = 0; k < COUNT(ways); k++) {
        int_topic t = { 0 };
        int_chan c, behind;
        struct call p, u;
        subscribe_new(&t, &c, 1, ways[k].policy);
        subscribe_new(&t, &behind, 1, LEAT_WAITS);
        if (ways[k].full) CHECK_EQ(leat_send(&c, &(int){ -1 }), 0);
        begin_and_stop(&p, do_publish, &t, NULL, 7, ways[k].where);
        unsubscribe_begins(&u, &t, &c);
        a_while();
        CHECK(!is_over(&u));
        CHECK_EQ(leat_unsubscribe(&t, &c), -ENOENT);
        go_on();
        CHECK_EQ(end(&p), ways[k].count + 1);
        CHECK_EQ(end(&u), 0);
        TAKES(&c, ways[k].count ? 7 : -1);
        TAKES_NONE(&c);
        TAKES(&behind, 7); /* the publisher found the way from one that had left */
        leat_free(&c);
        unsubscribe_and_free(&t, &behind);
        leat_topic_free(&t);
    }
}

/* A publisher that has found the subscriber, to wait for it, and has not taken its reference yet. */
TEST(also_for_one_that_has_just_found_the_subscriber)
{
    int_topic t = { 0 };
    int_chan c;
    struct call p, u;
    subscribe_new(&t, &c, 1, LEAT_WAITS);
    CHECK_EQ(leat_publish(&t, &(int){ 1 }), 1);
    leat_subscriber_ *s = atomic_load_explicit(&t.topic.list_, memory_order_acquire);
    counter = &s->refs_;
    begin_to_stop(&p, do_publish, &t, NULL, 7, AT_COUNT, 0, IN_OFFER);
    door_until(&stopped, 1);
    unsubscribe_begins(&u, &t, &c);
    a_while();
    CHECK(!is_over(&u));
    go_on_and_stop();                       /* it takes its reference, and leaves its section */
    for (int i = 0; i < 10; i++) a_while(); /* liburcu may look only every 10 ms */
    CHECK(!is_over(&u));
    go_on();
    CHECK_EQ(end(&p), 0);
    CHECK_EQ(end(&u), 0);
    counter = NULL;
    TAKES(&c, 1);
    TAKES_NONE(&c);
    leat_free(&c);
    leat_topic_free(&t);
}

#ifdef LEAT_NO_URCU
/* A publisher that has read the phase, and is stopped before it counts itself. The phase has changed since. */
TEST(also_for_one_that_is_late_for_its_section)
{
    for (int times = 0; times < 3; times++) {
        int_topic t = { 0 };
        int_chan c, other;
        struct call p, u;
        subscribe_new(&t, &c, 1, LEAT_WAITS);
        counter = &t.topic.readers_[0];
        begin_to_stop(&p, do_publish, &t, NULL, 7, AT_COUNT, 0, IN_WALK);
        door_until(&stopped, 1);
        for (int i = 0; i < times; i++) {
            subscribe_new(&t, &other, 1, LEAT_WAITS);
            unsubscribe_and_free(&t, &other);
        }
        go_on_and_stop();
        unsubscribe_begins(&u, &t, &c);
        a_while();
        CHECK(!is_over(&u));
        go_on();
        CHECK_EQ(end(&p), 1);
        CHECK_EQ(end(&u), 0);
        counter = NULL;
        TAKES(&c, 7);
        leat_free(&c);
        leat_topic_free(&t);
    }
}
#endif

TEST(also_for_one_that_comes_back_when_it_has_noted_as_many_as_it_can)
{
    static struct crowd w;
    enum { N = LEAT_LATER_ + 1 };
    struct call p, u;
    set_up_crowd(&w, 0, N, LEAT_WAITS);
    TAKES(&w.c[N - 1], -1); /* only that has room, and it will not come so far at first */
    begin_to_stop(&p, do_publish, &w.t, NULL, 7, IN_WALK, LEAT_LATER_, NOWHERE);
    door_until(&stopped, 1);
    unsubscribe_begins(&u, &w.t, &w.c[N - 1]);
    a_while();
    CHECK(!is_over(&u));
    go_on();
    CHECK_EQ(end(&u), 0);
    for (int i = 0; i < N - 1; i++) GETS(&w.c[i], -1);
    CHECK_EQ(end(&p), N);
    for (int i = 0; i < N; i++) TAKES(&w.c[i], 7);
    take_down_crowd(&w, N);
}

TEST(and_for_a_subscribe_that_is_not_over)
{
    static const int places[] = { AFTER_LOCK, IN_OFFER };
    for (size_t k = 0; k < COUNT(places); k++) {
        int_topic t;
        int_chan c;
        struct call s, u;
        REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
        REQUIRE_EQ(leat_make(&c, 1), 0);
        CHECK_EQ(leat_publish(&t, &(int){ 1 }), 0);
        begin_and_stop(&s, do_subscribe, &t, &c, LEAT_WAITS | LEAT_LATEST_FIRST, places[k]);
        unsubscribe_begins(&u, &t, &c);
        a_while();
        CHECK(!is_over(&u));
        go_on();
        CHECK_EQ(end(&s), 0);
        CHECK_EQ(end(&u), 0);
        TAKES(&c, 1);
        leat_free(&c);
        leat_topic_free(&t);
    }
}

struct relay {
    int_topic t;
    _Atomic int turn, entered;
    _Atomic bool stop;
};

/* Each thread ends its section when the other has begun one, and begins the next. So there always is a section. */
static void relays(struct relay *r, int me)
{
    unsigned in = leat_read_lock_(&r->t.topic);
    atomic_fetch_add_explicit(&r->entered, 1, memory_order_acq_rel);
    UNTIL(atomic_load_explicit(&r->entered, memory_order_acquire) == 2);
    while (!atomic_load_explicit(&r->stop, memory_order_acquire)) {
        if (atomic_load_explicit(&r->turn, memory_order_acquire) != me) {
            sched_yield();
            continue;
        }
        leat_read_unlock_(&r->t.topic, in);
        in = leat_read_lock_(&r->t.topic);
        atomic_store_explicit(&r->turn, 1 - me, memory_order_release);
    }
    leat_read_unlock_(&r->t.topic, in);
}

static int relays_first(void *r)
{
    relays(r, 0);
    return 0;
}

static int relays_second(void *r)
{
    relays(r, 1);
    return 0;
}

TEST(publishers_that_came_later_keep_no_subscriber_from_leaving)
{
    static struct relay r;
    int_chan c;
    side s[2];
    side_start(&s[0], relays_first, &r);
    side_start(&s[1], relays_second, &r);
    UNTIL(atomic_load_explicit(&r.entered, memory_order_acquire) == 2);
    for (int i = 0; i < 20; i++) {
        subscribe_new(&r.t, &c, 1, LEAT_WAITS);
        unsubscribe_and_free(&r.t, &c);
    }
    atomic_store_explicit(&r.stop, true, memory_order_release);
    for (int i = 0; i < 2; i++) side_join(&s[i]);
    leat_topic_free(&r.t);
}

struct cancelled {
    int_topic t;
    int_chan c;
    _Atomic int answer;
};

static void *leaves_and_is_cancelled(void *arg)
{
    struct cancelled *x = arg;
    atomic_store_explicit(&x->answer, leat_unsubscribe(&x->t, &x->c), memory_order_release);
    pthread_testcancel();
    return NULL;
}

static void *publishes_and_is_cancelled(void *arg)
{
    struct cancelled *x = arg;
    atomic_store_explicit(&x->answer, (int)leat_publish(&x->t, &(int){ 2 }), memory_order_release);
    pthread_testcancel();
    return NULL;
}

TEST(a_thread_that_is_cancelled_in_unsubscribe_unsubscribes_first)
{
    static const int places[] = { IN_WALK, IN_WAIT };
    for (size_t k = 0; k < COUNT(places); k++) {
        static struct cancelled x;
        struct call p;
        pthread_t thread;
        void *how;
        subscribe_new(&x.t, &x.c, 1, LEAT_WAITS);
        CHECK_EQ(leat_publish(&x.t, &(int){ 1 }), 1);
        atomic_store_explicit(&x.answer, 1, memory_order_relaxed);
        begin_and_stop(&p, do_publish, &x.t, NULL, 7, places[k]);
        REQUIRE(pthread_create(&thread, NULL, leaves_and_is_cancelled, &x) == 0);
        UNTIL(leat_topic_drops(&x.t, &x.c) == -ENOENT);
        a_while();
        CHECK_EQ(pthread_cancel(thread), 0);
        a_while();
        CHECK_EQ(atomic_load_explicit(&x.answer, memory_order_acquire), 1); /* it still waits */
        go_on();
        CHECK_EQ(end(&p), 0);
        CHECK_EQ(pthread_join(thread, &how), 0);
        CHECK_EQ(atomic_load_explicit(&x.answer, memory_order_acquire), 0);
        CHECK(how == PTHREAD_CANCELED);
        TAKES(&x.c, 1);
        CHECK_EQ(leat_subscribe(&x.t, &x.c, LEAT_WAITS), 0); /* all is as it should be */
        CHECK_EQ(leat_publish(&x.t, &(int){ 3 }), 1);
        unsubscribe_and_free(&x.t, &x.c);
        leat_topic_free(&x.t);
    }
}

TEST(a_thread_that_is_cancelled_as_it_waits_in_publish_publishes_first)
{
    static struct cancelled x;
    pthread_t thread;
    void *how;
    subscribe_new(&x.t, &x.c, 1, LEAT_WAITS);
    CHECK_EQ(leat_publish(&x.t, &(int){ 1 }), 1);
    REQUIRE(pthread_create(&thread, NULL, publishes_and_is_cancelled, &x) == 0);
    UNTIL(peek_senders(&x.c) == 1);
    CHECK_EQ(pthread_cancel(thread), 0);
    a_while();
    GETS(&x.c, 1);
    GETS(&x.c, 2);
    CHECK_EQ(pthread_join(thread, &how), 0);
    CHECK_EQ(atomic_load_explicit(&x.answer, memory_order_acquire), 1);
    CHECK(how == PTHREAD_CANCELED);
    unsubscribe_and_free(&x.t, &x.c);
    leat_topic_free(&x.t);
}

/* ==== errno =================================================================================== */

static int keeps_errno_waiting(void *arg)
{
    struct stage *s = arg;
    errno = 77;
    CHECK_EQ(leat_publish(&s->t, &(int){ 99 }), 0);
    CHECK_EQ(errno, 77);
    return 0;
}

TEST(errno_is_never_touched)
{
    int_topic t;
    int_chan c;
    int m = 1;
    struct stage s;
    side p;
#define KEEPS_ERRNO(call, answer) \
    do { \
        errno = 77; \
        CHECK_EQ(call, answer); \
        CHECK_EQ(errno, 77); \
    } while (0)
    REQUIRE_EQ(leat_make(&c, 1), 0);
    for (int at = 1; at <= 3; at++) {
        gotten = 0;
        no_memory_at = at;
        KEEPS_ERRNO(leat_topic_make(&t, LEAT_KEEPS_LATEST), -ENOMEM);
    }
    no_memory_at = 0;
    KEEPS_ERRNO(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    gotten = 0;
    no_memory_at = 1;
    KEEPS_ERRNO(leat_subscribe(&t, &c, LEAT_WAITS), -ENOMEM);
    no_memory_at = 0;
    KEEPS_ERRNO(leat_latest(&t, &m), -EAGAIN);
    KEEPS_ERRNO(leat_subscribe(&t, &c, LEAT_WAITS | LEAT_LATEST_FIRST), 0);
    KEEPS_ERRNO(leat_subscribe(&t, &c, LEAT_WAITS), -EALREADY);
    KEEPS_ERRNO(leat_publish(&t, &m), 1);
    KEEPS_ERRNO(leat_try_publish(&t, &m), 0);
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(1));
    KEEPS_ERRNO(leat_publish_ctx(&soon, &t, &m), 0);
    KEEPS_ERRNO(leat_latest(&t, &m), 0);
    uint64_t version = 0;
    KEEPS_ERRNO(leat_latest_after(&t, &m, &version), 0);
    KEEPS_ERRNO(leat_try_latest_after(&t, &m, &version), -EAGAIN);
    KEEPS_ERRNO(leat_latest_after_ctx(LEAT_WITHIN(LEAT_MS(1)), &t, &m, &version), -ETIMEDOUT);
    KEEPS_ERRNO(leat_topic_drops(&t, &c), 2);
    KEEPS_ERRNO(leat_unsubscribe(&t, &c), 0);
    for (int i = 0; i < 1000; i++) KEEPS_ERRNO(leat_publish(&t, &m), 0);
    KEEPS_ERRNO(leat_topic_close(&t), 0);
    KEEPS_ERRNO(leat_publish(&t, &m), -EPIPE);
    errno = 77;
    leat_topic_free(&t);
    leat_free(&c);
    CHECK_EQ(errno, 77);
    set_up(&s, 1, 0);
    side_start(&p, keeps_errno_waiting, &s);
    UNTIL(peek_senders(&s.full) == 1);
    KEEPS_ERRNO(leat_unsubscribe(&s.t, &s.full), 0);
    side_join(&p);
    take_down(&s);
}

static door newcomers;

/* Each thread's first call registers the thread with liburcu, which needs memory for that. */
static int looks_first(void *t)
{
    int m = 0;
    errno = 77;
    CHECK_EQ(leat_latest((int_topic *)t, &m), 0);
    CHECK_EQ(errno, 77);
    door_pass(&newcomers); /* all of them are there at once */
    return m;
}

TEST(nor_in_a_thread_that_never_called_before)
{
    enum { THREADS = 120 };
    static side s[THREADS];
    int_topic t;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_publish(&t, &(int){ 5 }), 0);
    for (int i = 0; i < THREADS; i++) side_start(&s[i], looks_first, &t);
    door_until(&newcomers, THREADS);
    door_open(&newcomers);
    for (int i = 0; i < THREADS; i++) CHECK_EQ(side_join(&s[i]), 5);
    leat_topic_free(&t);
}
