/* t-chains.c - long chains and wide fans: what a channel does for two threads, it does for ten thousand.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "staging.h"

#include <sched.h>

/* ---- Channels through channels ------------------------------------------------------------------- */

/* Each message is the channel on which the next one will come. The receiver frees the old channel at once. */
struct door {
    LEAT_CHAN(struct door *) chan;
};

enum { DOORS = 20000 };

static struct door *new_door(size_t cap)
{
    struct door *d = malloc(sizeof *d);
    REQUIRE(d);
    REQUIRE_EQ(leat_make(&d->chan, cap), 0);
    return d;
}

struct walk {
    struct door *first;
    size_t cap;
    int n;
};

static void walk_part(int i, void *arg)
{
    struct walk *w = arg;
    struct door *at = w->first;
    for (int k = 0; k < w->n; k++) {
        struct door *next = NULL;
        if (i == 0) {
            next = k + 1 < w->n ? new_door(w->cap) : NULL;
            CHECK_EQ(k % 2 ? leat_send(&at->chan, &next) : leat_send_many(&at->chan, &next, 1) - 1, 0);
        } else {
            leat_case cases[] = { LEAT_RECV(&at->chan, &next) };
            CHECK_EQ(k % 3 ? leat_recv(&at->chan, &next) : leat_select(cases, 1), 0);
            leat_free(&at->chan);
            free(at);
        }
        at = next;
    }
    CHECK(!at);
}

TEST(a_channel_may_come_through_a_channel_that_is_then_freed)
{
    for (size_t cap = 0; cap < 3; cap++) {
        struct walk w = { .first = new_door(cap), .cap = cap, .n = tap_rounds(DOORS) };
        tap_threads(2, walk_part, &w);
    }
}

/* ---- One source, many workers, one sink ---------------------------------------------------------- */

enum { WORKERS = 23 };

struct fan {
    int_chan in, out;
    int n;
    _Atomic int left;
};

static void fan_part(int i, void *arg)
{
    struct fan *f = arg;
    int m;
    if (i == WORKERS) {
        for (int k = 1; k <= f->n; k++) CHECK_EQ(leat_send(&f->in, &k), 0);
        CHECK_EQ(leat_close(&f->in), 0);
        return;
    }
    while (leat_recv(&f->in, &m) == 0) {
        if (m % 42 == i) sched_yield(); /* so that they do not work at the same pace */
        CHECK_EQ(leat_send(&f->out, &m), 0);
    }
    if (atomic_fetch_sub_explicit(&f->left, 1, memory_order_relaxed) == 1) CHECK_EQ(leat_close(&f->out), 0);
}

static void sum_up(void *arg)
{
    struct fan *f = arg;
    int64_t sum = 0, squares = 0, n = f->n;
    int count = 0;
    for (int m; leat_recv(&f->out, &m) == 0; count++) {
        sum += m;
        squares += (int64_t)m * m;
    }
    CHECK_EQ(count, n);
    CHECK_EQ(sum, n * (n + 1) / 2);
    CHECK_EQ(squares, n * (n + 1) * (2 * n + 1) / 6); /* if one is missing and another came twice, this shows it */
}

static void fan(int n, size_t in, size_t out)
{
    struct fan f = { .n = n, .left = WORKERS };
    struct actor sink;
    REQUIRE_EQ(leat_make(&f.in, in), 0);
    REQUIRE_EQ(leat_make(&f.out, out), 0);
    enter(&sink, sum_up, &f);
    tap_threads(WORKERS + 1, fan_part, &f);
    leave(&sink);
    leat_free(&f.in);
    leat_free(&f.out);
}

TEST(through_twenty_three_workers_every_message_comes_once)
{
    fan(tap_rounds(100000), 3 * WORKERS, 3 * WORKERS);
    fan(tap_rounds(10000), 0, 1);
    fan(tap_rounds(10000), 5, 0);
}

/* ---- A sieve that merges ------------------------------------------------------------------------- */

/* t-unbuffered.c has the sieve that filters. Here each prime starts a thread that sends its multiples, and another
 * thread that merges them into the composites so far. They form a comb of threads that wait nearly always, except for
 * the last. */
struct sieve {
    struct actor actor;
    int_chan *a, *b, out;
    int head; /* already received from a */
    int prime;
};

static void count_multiples(void *arg)
{
    struct sieve *s = arg;
    for (int m = s->prime * s->prime; leat_send(&s->out, &m) == 0;) m += s->prime;
}

static void merge(void *arg)
{
    struct sieve *s = arg;
    int head[2] = { s->head, 0 };
    int_chan *in[2] = { s->a, s->b };
    for (int err = leat_recv(in[1], &head[1]); !err;) {
        int least = head[0] < head[1] ? head[0] : head[1];
        err = leat_send(&s->out, &least);
        for (int i = 0; i < 2 && !err; i++)
            if (head[i] == least) err = leat_recv(in[i], &head[i]);
    }
    for (int i = 0; i < 2; i++) CHECK_EQ(leat_close(in[i]), 0);
}

TEST(a_sieve_of_merging_threads_leaves_the_primes_and_ends_from_behind)
{
    enum { PRIMES = 100, LAST = 541 };
    static struct sieve multiples[PRIMES], merges[PRIMES];
    int_chan *composites = &multiples[0].out;
    int primes = 0, composite = INT_MAX;
    for (int n = 2; n <= LAST; n++) {
        if (n == composite) {
            CHECK_EQ(leat_recv(composites, &composite), 0);
            continue;
        }
        CHECK(n < composite);
        bool prime = true;
        for (int d = 2; d * d <= n; d++) prime &= n % d != 0;
        CHECK(prime);
        REQUIRE(primes < PRIMES);
        struct sieve *p = &multiples[primes], *m = &merges[primes];
        p->prime = n;
        enter(&p->actor, count_multiples, p);
        if (primes) {
            m->a = composites;
            m->b = &p->out;
            m->head = composite;
            enter(&m->actor, merge, m);
            composites = &m->out;
        }
        CHECK_EQ(leat_recv(composites, &composite), 0);
        primes++;
    }
    CHECK_EQ(primes, PRIMES);
    CHECK_EQ(leat_close(composites), 0);
    for (int i = 0; i < primes; i++) {
        leave(&multiples[i].actor);
        if (i) leave(&merges[i].actor);
    }
}

/* ---- A chain of ten thousand threads ------------------------------------------------------------- */

enum { LONG = 10000, SMALL_STACK = 128 * 1024 };

static int_chan chain[LONG + 1];

static void *one_more(void *arg)
{
    int_chan *c = arg;
    int m;
    while (leat_recv(&c[0], &m) == 0) {
        m++;
        if (!CHECK_EQ(leat_send(&c[1], &m), 0)) break;
    }
    CHECK_EQ(leat_close(&c[1]), 0);
    return NULL;
}

/* As many threads as the machine allows, and as can be spawned in half a second. But no less than a tenth of `most`. */
static int start_chain(pthread_t *threads, int most)
{
    pthread_attr_t attr;
    int n = 0;
    int64_t end = leat_now() + LEAT_MS(500);
    REQUIRE(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, SMALL_STACK) == 0);
    while (n < most && (n < most / 10 || leat_now() < end) && pthread_create(&threads[n], &attr, one_more, &chain[n]) == 0)
        n++;
    pthread_attr_destroy(&attr);
    if (n < most / 10) tap_note("only %d threads", n);
    REQUIRE(n > 0);
    return n;
}

TEST(a_chain_of_ten_thousand_threads_passes_on_every_message_and_the_end)
{
    static pthread_t threads[LONG];
    enum { MESSAGES = 3 };
    never_spin(); /* it is the last test */
    int n = start_chain(threads, tap_rounds(LONG));
    for (int sent = 0, got = 0, m = 0; got < MESSAGES;) {
        leat_case cases[] = { LEAT_SEND(sent < MESSAGES ? &chain[0] : NULL, &sent), LEAT_RECV(&chain[n], &m) };
        if (leat_select(cases, 2) == 0) sent++;
        else CHECK_EQ(m, n + got++);
    }
    CHECK_EQ(leat_close(&chain[0]), 0);
    CHECK_EQ(leat_recv(&chain[n], &(int){ 0 }), -EPIPE);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i <= n; i++) leat_free(&chain[i]);
}
