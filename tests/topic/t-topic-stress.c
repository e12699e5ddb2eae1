/* t-topic-stress.c - whatever races: each subscriber gets what it should, in order, once; what was counted was
 * delivered; a subscriber that has left is not accessed; and the latest is whole. Also topics together with pools,
 * select, signals, fork.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "topic.h"

#include "counted.h"
#include "jobs.h"

static int rounds_of(int n)
{
    return TAP_SLOW ? n / 3 : n;
}

struct note {
    int source, n;
};
typedef LEAT_CHAN(struct note) note_chan;
typedef LEAT_TOPIC(struct note) note_topic;

/* The first test of this program, so that what happens only once is counted too. */
TEST(no_publish_allocates_unless_it_waits_for_several)
{
#ifdef NO_COUNT
    SKIP("not with this allocator");
#else
    note_topic t;
    note_chan waits, newest, oldest;
    struct note m;
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    REQUIRE_EQ(leat_make(&waits, 1), 0);
    REQUIRE_EQ(leat_make(&newest, 1), 0);
    REQUIRE_EQ(leat_make(&oldest, 1), 0);
    long before = allocations;
    CHECK_EQ(leat_subscribe(&t, &waits, LEAT_WAITS), 0);
    CHECK_EQ(allocations, before + 1); /* it does count */
    CHECK_EQ(leat_subscribe(&t, &newest, LEAT_DROPS_NEWEST), 0);
    CHECK_EQ(leat_subscribe(&t, &oldest, LEAT_DROPS_OLDEST), 0);
    before = allocations;
    for (int i = 0; i < 100000; i++) {
        CHECK_EQ(leat_publish(&t, &(struct note){ 0, i }), i ? 2 : 3);
        CHECK(leat_recv(&waits, &m) == 0 && m.n == i);
        CHECK(leat_latest(&t, &m) == 0 && m.n == i);
    }
    CHECK_EQ(allocations, before);
    leat_topic_free(&t);
    leat_free(&waits);
    leat_free(&newest);
    leat_free(&oldest);
#endif
}

/* ==== Order, and every message accounted for ================================================== */

enum { PUBLISHERS = 3 };

struct listener {
    note_chan c;
    int policy;
    size_t cap, got;
    ptrdiff_t drops;
};

struct concert {
    note_topic t;
    struct listener l[12];
    int listeners, each;
    bool closes_early;
    int close_after;
    struct note last;            /* when close had returned */
    _Atomic int left, published; /* publishers that have not ended, and messages so far */
    _Atomic size_t counted;      /* deliveries, as publish returned them */
};

static void plays(struct concert *k, int me)
{
    size_t counted = 0;
    for (int n = 0; n < k->each; n++) {
        ptrdiff_t count = leat_publish(&k->t, &(struct note){ me, n });
        if (count < 0) {
            CHECK_EQ(count, -EPIPE);
            CHECK(k->closes_early);
            CHECK_EQ(leat_publish(&k->t, &(struct note){ me, n }), -EPIPE); /* and so for ever */
            break;
        }
        counted += (size_t)count;
        atomic_fetch_add_explicit(&k->published, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&k->counted, counted, memory_order_relaxed);
    if (atomic_fetch_sub_explicit(&k->left, 1, memory_order_acq_rel) == 1 && !k->closes_early)
        CHECK_EQ(leat_topic_close(&k->t), 0);
}

static void listens(struct concert *k, struct listener *l)
{
    struct note m;
    int last[PUBLISHERS] = { -1, -1, -1 }, err;
    while ((err = leat_recv(&l->c, &m)) == 0) {
        CHECK(l->policy == LEAT_WAITS ? m.n == last[m.source] + 1 : m.n > last[m.source]);
        last[m.source] = m.n;
        l->got++;
        if (l->policy != LEAT_WAITS && m.n % 16 == 0) sched_yield(); /* and misses some */
    }
    CHECK_EQ(err, -EPIPE);
    for (int i = 0; i < PUBLISHERS && l->policy == LEAT_WAITS && !k->closes_early; i++) CHECK_EQ(last[i], k->each - 1);
}

/* Thread i, if it is one of those that publish or listen. */
static bool takes_part(int i, struct concert *k)
{
    if (i < PUBLISHERS) plays(k, i);
    else if (i < PUBLISHERS + k->listeners) listens(k, &k->l[i - PUBLISHERS]);
    else return false;
    return true;
}

static void concert_part(int i, void *arg)
{
    struct concert *k = arg;
    if (takes_part(i, k)) return;
    while (atomic_load_explicit(&k->published, memory_order_relaxed) < k->close_after) sched_yield();
    CHECK_EQ(leat_topic_close(&k->t), 0);
    (void)leat_latest(&k->t, &k->last);
}

static void perform(struct concert *k, int keeps, int each, bool closes_early, int close_after)
{
    REQUIRE_EQ(leat_topic_make(&k->t, keeps), 0);
    k->each = each;
    k->closes_early = closes_early;
    k->last = (struct note){ -1, -1 };
    k->close_after = close_after;
    atomic_init(&k->left, PUBLISHERS);
    atomic_init(&k->published, 0);
    atomic_init(&k->counted, 0);
    for (int i = 0; i < k->listeners; i++) {
        REQUIRE_EQ(leat_make(&k->l[i].c, k->l[i].cap), 0);
        REQUIRE_EQ(leat_subscribe(&k->t, &k->l[i].c, k->l[i].policy), 0);
        k->l[i].got = 0;
    }
    tap_threads(PUBLISHERS + k->listeners + closes_early, concert_part, k);
    size_t delivered = 0;
    for (int i = 0; i < k->listeners; i++) {
        struct listener *l = &k->l[i];
        l->drops = leat_topic_drops(&k->t, &l->c);
        bool evicted = l->policy == LEAT_DROPS_OLDEST && l->cap; /* what it dropped had been delivered */
        delivered += l->got + (evicted ? (size_t)l->drops : 0);
        if (!closes_early) CHECK_EQ(l->got + (size_t)l->drops, PUBLISHERS * each);
        if (l->policy == LEAT_WAITS) CHECK_EQ(l->drops, 0);
        CHECK_EQ(leat_unsubscribe(&k->t, &l->c), 0);
        leat_free(&l->c);
    }
    CHECK_EQ(atomic_load_explicit(&k->counted, memory_order_relaxed), delivered);
    if (closes_early) {
        struct note now = { -1, -1 };
        (void)leat_latest(&k->t, &now);
        CHECK(now.source == k->last.source && now.n == k->last.n);
    }
    leat_topic_free(&k->t);
}

static const int policies[] = { LEAT_WAITS, LEAT_DROPS_NEWEST, LEAT_DROPS_OLDEST };
static const size_t capacities[] = { 1, 0, 2, 64 };

static struct concert concert;

TEST(P1_each_sees_what_one_publisher_publishes_in_that_order_and_what_it_misses_is_counted)
{
    concert.listeners = 12;
    for (int i = 0; i < 12; i++) concert.l[i] = (struct listener){ .policy = policies[i % 3], .cap = capacities[i / 3] };
    perform(&concert, 0, tap_rounds(2000), false, 0);
    perform(&concert, LEAT_KEEPS_LATEST, tap_rounds(2000), false, 0);
}

TEST(also_with_one_policy_alone)
{
    for (int i = 0; i < 12; i++) {
        concert.listeners = 2;
        for (int k = 0; k < 2; k++) concert.l[k] = (struct listener){ .policy = policies[i % 3], .cap = capacities[i / 3] };
        perform(&concert, i & 1, tap_rounds(policies[i % 3] == LEAT_WAITS ? 2000 : 10000), false, 0);
    }
}

TEST(what_a_publish_counted_is_received_though_the_topic_is_closed_meanwhile)
{
    uint64_t rng = tap_seed(0);
    for (int round = 0; round < tap_rounds(100); round++) {
        concert.listeners = 1 + round % 4;
        for (int i = 0; i < concert.listeners; i++)
            concert.l[i] = (struct listener){ .policy = policies[(round + i) % 3], .cap = capacities[(round / 3 + i) % 4] };
        perform(&concert, round & 1, 1000000000, true, tap_below(&rng, 200));
    }
}

struct closing {
    note_topic t;
    note_chan c;
    _Atomic int closed, joined, left;
};

static void closes_only(int i, void *arg)
{
    struct closing *k = arg;
    (void)i;
    int err = leat_topic_close(&k->t);
    CHECK(err == 0 || err == -EALREADY);
    if (!err) atomic_fetch_add_explicit(&k->closed, 1, memory_order_relaxed);
}

TEST(of_closers_that_start_together_exactly_one_gets_0)
{
    for (int i = 0; i < tap_rounds(1000); i++) {
        struct closing k = { .closed = 0 };
        REQUIRE_EQ(leat_make(&k.c, 1), 0);
        CHECK_EQ(leat_subscribe(&k.t, &k.c, LEAT_WAITS), 0);
        tap_threads(3, closes_only, &k);
        CHECK(leat_is_closed(&k.c));
        if (!CHECK_EQ(atomic_load_explicit(&k.closed, memory_order_relaxed), 1)) break;
        leat_topic_free(&k.t);
        leat_free(&k.c);
    }
}

/* Each channel that was subscribed is closed. Each that was not is as it was. */
static void subscribes_or_closes(int i, void *arg)
{
    struct closing *k = arg;
    note_chan c;
    struct note m;
    if (i == 0) {
        CHECK_EQ(leat_topic_close(&k->t), 0);
        return;
    }
    REQUIRE_EQ(leat_make(&c, 1), 0);
    int err = leat_subscribe(&k->t, &c, LEAT_WAITS);
    CHECK(err == 0 || err == -EPIPE);
    if (!err) {
        CHECK_EQ(leat_recv(&c, &m), -EPIPE);
        CHECK_EQ(leat_unsubscribe(&k->t, &c), 0);
    } else {
        CHECK(!leat_is_closed(&c));
    }
    leat_free(&c);
    memset((void *)&c, 0xEE, sizeof c);
}

TEST(a_channel_that_is_subscribed_as_the_topic_closes_is_closed_or_refused)
{
    for (int i = 0; i < tap_rounds(1000); i++) {
        struct closing k = { .closed = 0 };
        tap_threads(4, subscribes_or_closes, &k);
        leat_topic_free(&k.t);
    }
}

/* Many threads, one channel. One may unsubscribe it while another's subscribe has not delivered the first message
 * yet. */
static void joins_and_leaves(int i, void *arg)
{
    struct closing *k = arg;
    for (int n = 0; n < 300; n++) {
        int err = leat_subscribe(&k->t, &k->c, policies[i % 3] | LEAT_LATEST_FIRST);
        CHECK(err == 0 || err == -EALREADY);
        if (!err) atomic_fetch_add_explicit(&k->joined, 1, memory_order_relaxed);
        CHECK(leat_try_publish(&k->t, &(struct note){ i, n }) <= 1);
        err = leat_unsubscribe(&k->t, &k->c);
        CHECK(err == 0 || err == -ENOENT);
        if (!err) atomic_fetch_add_explicit(&k->left, 1, memory_order_relaxed);
    }
}

TEST(a_channel_is_a_subscriber_once_whichever_thread_subscribes_it)
{
    for (int i = 0; i < tap_rounds(20); i++) {
        struct closing k = { .closed = 0 };
        REQUIRE_EQ(leat_topic_make(&k.t, LEAT_KEEPS_LATEST), 0);
        REQUIRE_EQ(leat_make(&k.c, 1), 0);
        tap_threads(3, joins_and_leaves, &k);
        CHECK_EQ(atomic_load_explicit(&k.joined, memory_order_relaxed), atomic_load_explicit(&k.left, memory_order_relaxed));
        CHECK_EQ(leat_unsubscribe(&k.t, &k.c), -ENOENT);
        leat_topic_free(&k.t);
        leat_free(&k.c);
    }
}

/* ==== Coming and going ======================================================================== */

/* A channel of its own, on the heap, or on a page that is gone at once when it is freed. */
static note_chan *new_chan(bool mapped, size_t cap)
{
    note_chan *c =
        mapped ? mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : malloc(sizeof *c);
    REQUIRE(c && c != MAP_FAILED);
    REQUIRE_EQ(leat_make(c, cap), 0);
    return c;
}

static void end_chan(bool mapped, note_chan *c)
{
    leat_free(c);
    memset((void *)c, 0xEE, sizeof *c);
    if (mapped) munmap(c, sizeof *c);
    else free(c);
}

enum { GUESTS = 4 };

/* To leave takes a millisecond, or ten, where liburcu waits for a publisher that has no CPU. */
#ifdef LEAT_NO_URCU
enum { VISITS = 500 };
#else
enum { VISITS = 50 };
#endif

struct traffic {
    note_topic t;
    int rounds, publishers;
    bool oldest;        /* may be dropped. Then deliveries cannot be told from drops from outside */
    _Atomic int guests; /* that still come */
    _Atomic size_t counted, received;
};

static void guest(struct traffic *f, int me)
{
    uint64_t rng = tap_seed(me);
    size_t received = 0;
    struct note m;
    for (int i = 0; i < f->rounds; i++) {
        bool mapped = i % 2;
        note_chan *c = new_chan(mapped, (size_t)tap_below(&rng, 4));
        CHECK_EQ(leat_subscribe(&f->t, c, policies[tap_below(&rng, f->oldest ? 3 : 2)]), 0);
        for (int stays = tap_below(&rng, 6); stays--; received++) CHECK_EQ(leat_recv(c, &m), 0);
        CHECK(leat_topic_drops(&f->t, c) >= 0);
        CHECK_EQ(leat_unsubscribe(&f->t, c), 0);
        while (leat_try_recv(c, &m) == 0) received++;
        end_chan(mapped, c);
    }
    atomic_fetch_add_explicit(&f->received, received, memory_order_relaxed);
    atomic_fetch_sub_explicit(&f->guests, 1, memory_order_release);
}

static void host(struct traffic *f, int me)
{
    uint64_t rng = tap_seed(me);
    size_t counted = 0;
    for (int n = 0; atomic_load_explicit(&f->guests, memory_order_acquire); n++) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(1) * tap_below(&rng, 100));
        struct note m = { me, n };
        int way = tap_below(&rng, 8);
        ptrdiff_t count = way == 0   ? leat_try_publish(&f->t, &m)
                          : way == 1 ? leat_publish_ctx(&soon, &f->t, &m)
                                     : leat_publish(&f->t, &m);
        CHECK(count >= 0 ? count <= GUESTS : way == 1 && count == -ETIMEDOUT);
        counted += count > 0 ? (size_t)count : 0;
    }
    atomic_fetch_add_explicit(&f->counted, counted, memory_order_relaxed);
}

static void traffic_part(int i, void *arg)
{
    struct traffic *f = arg;
    if (i < f->publishers) host(f, i);
    else guest(f, i);
}

static void flow(int keeps, int publishers, bool oldest)
{
    static struct traffic f;
    REQUIRE_EQ(leat_topic_make(&f.t, keeps), 0);
    f.rounds = rounds_of(VISITS);
    f.publishers = publishers;
    f.oldest = oldest;
    atomic_init(&f.guests, GUESTS);
    atomic_init(&f.counted, 0);
    atomic_init(&f.received, 0);
    tap_threads(publishers + GUESTS, traffic_part, &f);
    if (!oldest)
        CHECK_EQ(atomic_load_explicit(&f.counted, memory_order_relaxed),
                 atomic_load_explicit(&f.received, memory_order_relaxed));
    CHECK_EQ(leat_publish(&f.t, &(struct note){ 0, 0 }), 0); /* none is left */
    leat_topic_free(&f.t);
}

TEST(a_subscriber_that_has_left_may_be_gone_at_once_and_all_that_was_counted_was_received)
{
    flow(0, 1, false);
    flow(0, 3, false);
    flow(LEAT_KEEPS_LATEST, 2, false);
}

TEST(also_with_subscribers_that_drop_the_oldest)
{
    flow(0, 2, true);
    flow(LEAT_KEEPS_LATEST, 2, true);
}

/* ==== The latest first, then all that follow ================================================== */

struct run {
    note_topic t;
    int rounds, publishers;
    _Atomic int guests;
};

static void follow(const struct note *m, int *last)
{
    if (last[m->source]) CHECK_EQ(m->n, last[m->source] + 1);
    last[m->source] = m->n;
}

static void follower(struct run *r, int me)
{
    uint64_t rng = tap_seed(me);
    for (int i = 0; i < r->rounds; i++) {
        int last[PUBLISHERS] = { 0 };
        struct note before = { 0, 0 }, m;
        note_chan c;
        REQUIRE_EQ(leat_make(&c, 1 + (size_t)tap_below(&rng, 3)), 0);
        int err = leat_latest(&r->t, &before);
        CHECK(err == 0 || err == -EAGAIN);
        CHECK_EQ(leat_subscribe(&r->t, &c, LEAT_WAITS | LEAT_LATEST_FIRST), 0);
        CHECK_EQ(leat_recv(&c, &m), 0);
        if (r->publishers == 1) CHECK(m.n >= before.n);
        follow(&m, last);
        for (int stays = tap_below(&rng, 10); stays--; follow(&m, last)) CHECK_EQ(leat_recv(&c, &m), 0);
        CHECK_EQ(leat_topic_drops(&r->t, &c), 0);
        CHECK_EQ(leat_unsubscribe(&r->t, &c), 0);
        while (leat_try_recv(&c, &m) == 0) follow(&m, last);
        leat_free(&c);
    }
    atomic_fetch_sub_explicit(&r->guests, 1, memory_order_release);
}

static void run_part(int i, void *arg)
{
    struct run *r = arg;
    if (i >= r->publishers) {
        follower(r, i);
        return;
    }
    for (int n = 1; atomic_load_explicit(&r->guests, memory_order_acquire); n++)
        CHECK(leat_publish(&r->t, &(struct note){ i, n }) >= 0);
}

static void run(int publishers, int guests, int rounds)
{
    static struct run r;
    REQUIRE_EQ(leat_topic_make(&r.t, LEAT_KEEPS_LATEST), 0);
    r.rounds = rounds_of(rounds);
    r.publishers = publishers;
    atomic_init(&r.guests, guests);
    tap_threads(publishers + guests, run_part, &r);
    leat_topic_free(&r.t);
}

TEST(P2_after_the_latest_there_is_no_gap_and_nothing_twice)
{
    run(1, 1, 8 * VISITS);
    run(1, 3, 4 * VISITS);
}

TEST(P2_nor_of_any_of_several_publishers)
{
    run(2, 2, 4 * VISITS);
    run(3, 3, 2 * VISITS);
}

/* ==== The latest is whole ===================================================================== */

struct page {
    int source, n;
    uint64_t words[60], sum;
};
typedef LEAT_TOPIC(struct page) page_topic;
typedef LEAT_CHAN(struct page) page_chan;

static void write_page(struct page *p, int source, int n)
{
    uint64_t state = (uint64_t)source << 32 | (uint32_t)n;
    p->source = source;
    p->n = n;
    p->sum = 0;
    for (size_t i = 0; i < 60; i++) p->sum += p->words[i] = tap_rng(&state);
}

static bool is_whole(const struct page *p)
{
    struct page again;
    write_page(&again, p->source, p->n);
    return p->sum == again.sum && !memcmp(p->words, again.words, sizeof p->words);
}

struct press {
    page_topic t;
    int each, publishers;
    _Atomic int left;
};

static void press_part(int i, void *arg)
{
    struct press *s = arg;
    struct page p;
    if (i < s->publishers) {
        for (int n = 1; n <= s->each; n++) {
            write_page(&p, i, n);
            CHECK_EQ(leat_publish(&s->t, &p), 0);
        }
        atomic_fetch_sub_explicit(&s->left, 1, memory_order_release);
        return;
    }
    int last[PUBLISHERS] = { 0 }, err;
    while (atomic_load_explicit(&s->left, memory_order_acquire)) {
        if ((err = leat_latest(&s->t, &p)) == -EAGAIN) continue;
        if (!CHECK_EQ(err, 0) || !CHECK(is_whole(&p))) break;
        CHECK(p.n >= last[p.source]);
        last[p.source] = p.n;
    }
}

TEST(P3_the_latest_is_never_torn_and_never_older_than_before)
{
    for (int publishers = 1; publishers <= PUBLISHERS; publishers++) {
        static struct press s;
        struct page p;
        REQUIRE_EQ(leat_topic_make(&s.t, LEAT_KEEPS_LATEST), 0);
        s.each = tap_rounds(20000) / publishers;
        s.publishers = publishers;
        atomic_init(&s.left, publishers);
        tap_threads(publishers + 2, press_part, &s);
        CHECK_EQ(leat_latest(&s.t, &p), 0);
        CHECK(is_whole(&p) && p.n == s.each);
        leat_topic_free(&s.t);
    }
}

/* The same with watchers. Half of them look under a context that ends often. Each also gets the last. */
static void watch_part(int i, void *arg)
{
    struct press *s = arg;
    struct page p;
    if (i < s->publishers) {
        for (int n = 1; n <= s->each; n++) {
            write_page(&p, i, n);
            CHECK_EQ(leat_publish(&s->t, &p), 0);
            if (n % 16 == 0) sched_yield();
        }
        if (atomic_fetch_sub_explicit(&s->left, 1, memory_order_acq_rel) == 1) CHECK_EQ(leat_topic_close(&s->t), 0);
        return;
    }
    int last[PUBLISHERS] = { 0 }, err;
    uint64_t version = 0, before = 0;
    p = (struct page){ .n = 0 };
    for (;;) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(200));
        err = leat_latest_after_ctx(i % 2 ? &soon : NULL, &s->t, &p, &version);
        if (err == -ETIMEDOUT) {
            CHECK(i % 2);
            continue;
        }
        if (err) break;
        if (!CHECK(is_whole(&p)) || !CHECK(version > before)) break;
        CHECK(p.n > last[p.source]);
        last[p.source] = p.n;
        before = version;
    }
    CHECK_EQ(err, -EPIPE);
    CHECK_EQ(version, (uint64_t)(s->publishers * s->each));
    CHECK_EQ(p.n, s->each);
}

TEST(P6_what_is_watched_is_never_torn_and_always_newer_and_the_last_always_comes)
{
    for (int publishers = 1; publishers <= PUBLISHERS; publishers++) {
        static struct press s;
        REQUIRE_EQ(leat_topic_make(&s.t, LEAT_KEEPS_LATEST), 0);
        s.each = tap_rounds(20000) / publishers;
        s.publishers = publishers;
        atomic_init(&s.left, publishers);
        tap_threads(publishers + 4, watch_part, &s);
        leat_topic_free(&s.t);
    }
}

/* ==== Together with others ==================================================================== */

struct office {
    note_topic t;
    note_chan c;
    _Atomic int seen[20];
    _Atomic int next, got;
};

enum { EACH_JOB = 50 };

static int publishes(leat_ctx *ctx, void *arg)
{
    struct office *o = arg;
    int me = atomic_fetch_add_explicit(&o->next, 1, memory_order_relaxed);
    for (int n = 0; n < EACH_JOB; n++) CHECK_EQ(leat_publish_ctx(ctx, &o->t, &(struct note){ me, n }), 1);
    return 0;
}

static int serves(leat_ctx *ctx, void *arg)
{
    struct office *o = arg;
    struct note m;
    int err;
    while ((err = leat_recv_ctx(ctx, &o->c, &m)) == 0)
        atomic_fetch_add_explicit(&o->seen[m.source], 1, memory_order_relaxed);
    return err == -EPIPE ? 0 : err;
}

TEST(jobs_of_one_pool_publish_to_a_subscriber_that_another_pool_serves)
{
    static struct office o;
    leat_pool in, out;
    leat_stats st;
    REQUIRE_EQ(leat_make(&o.c, 2), 0);
    CHECK_EQ(leat_subscribe(&o.t, &o.c, LEAT_WAITS), 0);
    REQUIRE_EQ(leat_pool_start(&in, NULL, &(leat_pool_opts){ .workers = 3 }), 0);
    REQUIRE_EQ(leat_pool_start(&out, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    for (int i = 0; i < 2; i++) CHECK_EQ(leat_submit(&out, serves, &o), 0);
    for (int i = 0; i < 20; i++) CHECK_EQ(leat_submit(&in, publishes, &o), 0);
    CHECK_EQ(leat_pool_stop(&in), 0);
    CHECK_EQ(leat_topic_close(&o.t), 0);
    UNTIL(leat_pool_stats(&out, &st) == 0 && st.completed + st.failed == 2);
    CHECK_EQ(st.failed, 0);
    CHECK_EQ(leat_pool_stop(&out), 0);
    for (int i = 0; i < 20; i++) CHECK_EQ(atomic_load_explicit(&o.seen[i], memory_order_relaxed), EACH_JOB);
    CHECK_EQ(leat_unsubscribe(&o.t, &o.c), 0);
    leat_free(&o.c);
    leat_topic_free(&o.t);
}

static int answers(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit(&((struct office *)arg)->got, 1, memory_order_relaxed);
    return 0;
}

struct two {
    note_topic t[2];
    note_chan c[2];
    int each;
};

static void two_part(int i, void *arg)
{
    struct two *w = arg;
    if (i < 2) {
        for (int n = 0; n < w->each; n++) CHECK_EQ(leat_publish(&w->t[i], &(struct note){ i, n }), 1);
        CHECK_EQ(leat_topic_close(&w->t[i]), 0);
        return;
    }
    static struct office o;
    leat_pool p;
    struct note m[2];
    int next[2] = { 0, 0 }, open = 2;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 }), 0);
    leat_case cases[] = { LEAT_RECV(&w->c[0], &m[0]), LEAT_RECV(&w->c[1], &m[1]) };
    while (open) {
        int at = leat_select(cases, 2);
        REQUIRE(at == 0 || at == 1);
        if (cases[at].err) {
            CHECK_EQ(cases[at].err, -EPIPE);
            cases[at] = LEAT_RECV((note_chan *)NULL, &m[at]);
            open--;
            continue;
        }
        CHECK(m[at].source == at && m[at].n == next[at]++);
        CHECK_EQ(leat_submit(&p, answers, &o), 0);
    }
    CHECK_EQ(leat_pool_stop(&p), 0);
    for (int k = 0; k < 2; k++) CHECK_EQ(next[k], w->each);
    CHECK_EQ(atomic_load_explicit(&o.got, memory_order_relaxed), 2 * w->each);
}

TEST(one_thread_selects_over_its_subscriptions_and_hands_them_to_a_pool)
{
    static struct two w;
    w.each = tap_rounds(5000);
    for (int k = 0; k < 2; k++) {
        REQUIRE_EQ(leat_make(&w.c[k], k ? 4 : 0), 0);
        CHECK_EQ(leat_subscribe(&w.t[k], &w.c[k], LEAT_WAITS), 0);
    }
    tap_threads(3, two_part, &w);
    for (int k = 0; k < 2; k++) {
        CHECK_EQ(leat_unsubscribe(&w.t[k], &w.c[k]), 0);
        leat_free(&w.c[k]);
        leat_topic_free(&w.t[k]);
    }
}

/* ---- Signals and fork: in children, because both are the process's ------------------------------- */

/* ThreadSanitizer would end a child that spawns threads if its parent had any, and the watchdog is one. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static int ended(pid_t child)
{
    int status = 0;
    REQUIRE(child > 0);
    while (waitpid(child, &status, 0) < 0) REQUIRE(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* In a child a failed check must end it, because its failures are not counted. */
#define MUST(cond) ((cond) ? (void)0 : (tap_note("%s:%d: no: %s", __FILE__, __LINE__, #cond), _exit(1)))

struct stop {
    note_topic t;
    note_chan full, empty;
    leat_ctx ctx;
};

static int listens_until_the_signal(void *arg)
{
    struct stop *s = arg;
    note_chan c;
    struct note m;
    int err;
    MUST(leat_make(&c, 8) == 0);
    MUST(leat_subscribe(&s->t, &c, LEAT_DROPS_OLDEST) == 0);
    while ((err = leat_recv_ctx(&s->ctx, &c, &m)) == 0) {}
    MUST(leat_unsubscribe(&s->t, &c) == 0);
    leat_free(&c);
    return err;
}

static int publishes_until_the_signal(void *arg)
{
    struct stop *s = arg;
    ptrdiff_t count;
    int n = 0;
    while ((count = leat_publish_ctx(&s->ctx, &s->t, &(struct note){ 0, n })) >= 0) n++;
    return (int)count;
}

static void ends_by_a_signal(void)
{
    static struct stop s;
    side listener, publisher;
    MUST(leat_cancel_on_signals(&s.ctx, SIGTERM, 0) == 0);
    MUST(leat_make(&s.full, 3) == 0);
    MUST(leat_subscribe(&s.t, &s.full, LEAT_WAITS) == 0);
    side_start(&listener, listens_until_the_signal, &s);
    side_start(&publisher, publishes_until_the_signal, &s);
    UNTIL(peek_senders(&s.full) == 1);
    UNTIL(peek_ctx(&s.ctx) == 2);
    kill(getpid(), SIGTERM);
    MUST(side_join(&listener) == -ECANCELED);
    MUST(side_join(&publisher) == -ECANCELED);
    MUST(leat_topic_drops(&s.t, &s.full) == 1);
    MUST(leat_len(&s.full) == 3);
    MUST(leat_topic_close(&s.t) == 0);
    MUST(leat_unsubscribe(&s.t, &s.full) == 0);
    leat_topic_free(&s.t);
    leat_free(&s.full);
}

TEST(a_signal_ends_threads_that_listen_and_threads_that_publish)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(30); /* the child has no watchdog */
        ends_by_a_signal();
        tap_leave(0);
    }
    CHECK_EQ(ended(child), 0);
}

enum { FORKS = 10 };

static void forks_or_plays(int i, void *arg)
{
    struct concert *k = arg;
    if (takes_part(i, k)) return;
    for (int n = 0; n < FORKS; n++) {
        pid_t child = fork();
        if (child == 0) {
            if (n % 2) execlp("true", "true", (char *)NULL);
            _exit(0);
        }
        CHECK_EQ(ended(child), 0);
    }
    CHECK_EQ(leat_topic_close(&k->t), 0);
}

TEST(a_fork_in_the_middle_changes_nothing)
{
    struct concert *k = &concert;
    size_t delivered = 0;
    REQUIRE_EQ(leat_topic_make(&k->t, LEAT_KEEPS_LATEST), 0);
    k->listeners = 3;
    k->each = 1000000000;
    k->closes_early = true;
    atomic_init(&k->left, PUBLISHERS);
    atomic_init(&k->published, 0);
    atomic_init(&k->counted, 0);
    for (int i = 0; i < k->listeners; i++) {
        k->l[i] = (struct listener){ .policy = policies[i % 2], .cap = 4 };
        REQUIRE_EQ(leat_make(&k->l[i].c, 4), 0);
        REQUIRE_EQ(leat_subscribe(&k->t, &k->l[i].c, k->l[i].policy), 0);
    }
    fflush(NULL);
    tap_threads(PUBLISHERS + k->listeners + 1, forks_or_plays, k);
    for (int i = 0; i < k->listeners; i++) {
        delivered += k->l[i].got;
        CHECK_EQ(leat_unsubscribe(&k->t, &k->l[i].c), 0);
        leat_free(&k->l[i].c);
    }
    CHECK_EQ(atomic_load_explicit(&k->counted, memory_order_relaxed), delivered);
    leat_topic_free(&k->t);
}
