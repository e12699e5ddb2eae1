/* t-series.c - power series, computed by hundreds of threads that each do one step and pass the result on through an
 * unbuffered channel: if one message is lost, doubled or out of order, a coefficient is wrong or the network hangs.
 * SPDX-License-Identifier: MIT
 *
 * The idea is D. McIlroy's, "Squinting at Power Series" (1990). A series is a channel of its coefficients, which are
 * rational numbers. It is closed after the last one. An operation is a thread that receives from one or two series,
 * and sends to one or two. A thread that ends closes all of them, also those it received from, because it wants no
 * more. So the whole network ends from either end. */
#define _GNU_SOURCE
#include "semaphore.h"
#include "tap.h"

#include <pthread.h>

struct ratio {
    int64_t over, under;
};

typedef LEAT_CHAN(struct ratio) series;

static int64_t common(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

static struct ratio ratio(int64_t over, int64_t under)
{
    int64_t by = common(over, under);
    if (under < 0) by = -by;
    return (struct ratio){ over / by, under / by };
}

static struct ratio times(struct ratio a, struct ratio b)
{
    struct ratio x = ratio(a.over, b.under), y = ratio(b.over, a.under); /* so that no product grows needlessly */
    return (struct ratio){ x.over * y.over, x.under * y.under };
}

static struct ratio plus(struct ratio a, struct ratio b)
{
    int64_t by = common(a.under, b.under);
    return ratio(a.over * (b.under / by) + b.over * (a.under / by), a.under / by * b.under);
}

/* ==== The network ============================================================================= */

enum { MOST_NODES = 1500, STACK = 256 * 1024 };

struct node {
    void (*step)(struct node *);
    series *in[2], *out[2];
    struct ratio by;
    int terms;
    pthread_t thread;
};

static struct node nodes[MOST_NODES];
static series channels[2 * MOST_NODES];
static _Atomic int node_count, channel_count;
static leat_wg running;
static leat_ctx *ends; /* all waits in the network are under it */

static series *new_series(void)
{
    int i = atomic_fetch_add_explicit(&channel_count, 1, memory_order_relaxed);
    REQUIRE(i < 2 * MOST_NODES);
    REQUIRE_EQ(leat_make(&channels[i], 0), 0);
    return &channels[i];
}

static void *run_node(void *arg)
{
    struct node *n = arg;
    n->step(n);
    for (int i = 0; i < 2; i++) {
        if (n->in[i]) (void)leat_close(n->in[i]);
        if (n->out[i]) (void)leat_close(n->out[i]);
    }
    CHECK_EQ(leat_wg_done(&running), 0);
    return NULL;
}

static void start(struct node like)
{
    int i = atomic_fetch_add_explicit(&node_count, 1, memory_order_relaxed);
    pthread_attr_t attr;
    REQUIRE(i < MOST_NODES);
    nodes[i] = like;
    REQUIRE_EQ(leat_wg_add(&running, 1), 0);
    REQUIRE(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, STACK) == 0);
    REQUIRE(pthread_create(&nodes[i].thread, &attr, run_node, &nodes[i]) == 0);
    pthread_attr_destroy(&attr);
}

/* Waits until all nodes have ended. Returns how many there were. */
static int end_all(void)
{
    CHECK_EQ(leat_wg_wait(&running), 0);
    int n = atomic_load_explicit(&node_count, memory_order_relaxed);
    for (int i = 0; i < n; i++) pthread_join(nodes[i].thread, NULL);
    for (int i = 0; i < atomic_load_explicit(&channel_count, memory_order_relaxed); i++) leat_free(&channels[i]);
    atomic_store_explicit(&node_count, 0, memory_order_relaxed);
    atomic_store_explicit(&channel_count, 0, memory_order_relaxed);
    return n;
}

static int get(series *from, struct ratio *c)
{
    return leat_recv_ctx(ends, from, c);
}

static int put(series *to, struct ratio c)
{
    return leat_send_ctx(ends, to, &c);
}

/* ==== The operations ========================================================================== */

static void copy_step(struct node *n)
{
    for (struct ratio c; get(n->in[0], &c) == 0 && put(n->out[0], c) == 0;) {}
}

/* 1 + by x + by^2 x^2 + .. */
static void powers_step(struct node *n)
{
    struct ratio c = { 1, 1 };
    for (int i = 0; i < n->terms && put(n->out[0], c) == 0; i++) c = times(c, n->by);
}

static void scale_step(struct node *n)
{
    for (struct ratio c; get(n->in[0], &c) == 0 && put(n->out[0], times(c, n->by)) == 0;) {}
}

static void add_step(struct node *n)
{
    for (struct ratio a, b; get(n->in[0], &a) == 0 && get(n->in[1], &b) == 0 && put(n->out[0], plus(a, b)) == 0;) {}
}

/* by, then the coefficients divided by 1, 2, 3 .. */
static void integrate_step(struct node *n)
{
    struct ratio c = n->by;
    for (int i = 1; put(n->out[0], c) == 0 && get(n->in[0], &c) == 0; i++) c = times(c, (struct ratio){ 1, i });
}

static void derive_step(struct node *n)
{
    struct ratio c;
    for (int i = 0; get(n->in[0], &c) == 0; i++)
        if (i && put(n->out[0], times(c, (struct ratio){ i, 1 }))) break;
}

/* Two copies, each at its own pace. The one that is wanted first is sent first. */
static void split_step(struct node *n)
{
    enum { MOST = 64 };
    struct ratio seen[MOST];
    int got = 0, given[2] = { 0, 0 };
    bool more = true, open[2] = { true, true };
    for (;;) {
        leat_case cases[3];
        bool fetches = false, gives = false;
        for (int i = 0; i < 2; i++) {
            bool ready = open[i] && given[i] < got;
            fetches |= more && open[i] && given[i] == got;
            gives |= ready;
            cases[i] = LEAT_SEND(ready ? n->out[i] : NULL, &seen[ready ? given[i] : 0]);
        }
        if (!fetches && !gives) return;
        REQUIRE(!fetches || got < MOST);
        cases[2] = LEAT_RECV(fetches ? n->in[0] : NULL, &seen[fetches ? got : 0]);
        int r = leat_select_ctx(ends, cases, 3);
        if (r < 0) return;
        if (r == 2) {
            if (cases[r].err) more = false;
            else got++;
        } else if (cases[r].err) {
            open[r] = false;
        } else {
            given[r]++;
        }
        for (int i = 0; !more && i < 2; i++) {
            if (!open[i] || given[i] < got) continue;
            (void)leat_close(n->out[i]); /* it has them all: do not let it wait for the other */
            open[i] = false;
        }
    }
}

static void multiply_step(struct node *n);

static series *one_to_one(void step(struct node *), series *in, struct ratio by)
{
    series *out = new_series();
    start((struct node){ .step = step, .in = { in, NULL }, .out = { out, NULL }, .by = by });
    return out;
}

static series *two_to_one(void step(struct node *), series *a, series *b)
{
    series *out = new_series();
    start((struct node){ .step = step, .in = { a, b }, .out = { out, NULL } });
    return out;
}

static void split(series *in, series *out[2])
{
    out[0] = new_series();
    out[1] = new_series();
    start((struct node){ .step = split_step, .in = { in, NULL }, .out = { out[0], out[1] } });
}

static series *powers(struct ratio by, int terms)
{
    series *out = new_series();
    start((struct node){ .step = powers_step, .out = { out, NULL }, .by = by, .terms = terms });
    return out;
}

static series *scale(series *in, struct ratio by)
{
    return one_to_one(scale_step, in, by);
}

static series *integrate(series *in, struct ratio constant)
{
    return one_to_one(integrate_step, in, constant);
}

static series *derive(series *in)
{
    return one_to_one(derive_step, in, (struct ratio){ 0, 1 });
}

static series *add(series *a, series *b)
{
    return two_to_one(add_step, a, b);
}

static series *multiply(series *a, series *b)
{
    return two_to_one(multiply_step, a, b);
}

/* (f + x F) (g + x G) = f g + x (f G + g F + x F G). The thread does the first itself, and starts others for the
 * rest. */
static void multiply_step(struct node *n)
{
    struct ratio f, g;
    series *F[2], *G[2];
    if (get(n->in[0], &f) || get(n->in[1], &g) || put(n->out[0], times(f, g))) return;
    split(n->in[0], F);
    split(n->in[1], G);
    series *sides = add(scale(G[0], f), scale(F[0], g)), *product = multiply(F[1], G[1]);
    struct ratio c;
    if (get(sides, &c) == 0 && put(n->out[0], c) == 0) {
        n->in[0] = add(sides, product);
        n->in[1] = NULL;
        copy_step(n);
        return;
    }
    n->in[0] = sides;
    n->in[1] = product;
}

/* E = exp F, where F has no constant: E' = F' E. E is fed back into itself. */
static series *exponential(series *f)
{
    series *e[2], *product = new_series();
    struct node m = { .step = multiply_step, .out = { product, NULL } };
    split(integrate(product, (struct ratio){ 1, 1 }), e);
    m.in[0] = derive(f);
    m.in[1] = e[1];
    start(m);
    return e[0];
}

/* ==== Tests =================================================================================== */

static void must_be(series *s, int i, int64_t over, int64_t under)
{
    struct ratio c = { 0, 1 };
    CHECK_EQ(leat_recv(s, &c), 0);
    if (!CHECK(c.over == over && c.under == under))
        tap_note("coefficient %d is %lld / %lld", i, (long long)c.over, (long long)c.under);
}

static void must_end(series *s)
{
    struct ratio c;
    CHECK_EQ(leat_recv(s, &c), -EPIPE);
}

static const struct ratio one = { 1, 1 }, minus_one = { -1, 1 }, nothing = { 0, 1 };

TEST(sums_scales_and_integrals_are_exact)
{
    series *s = add(powers(one, 20), scale(powers(minus_one, 20), (struct ratio){ 3, 2 }));
    for (int i = 0; i < 20; i++) must_be(s, i, i % 2 ? -1 : 5, 2);
    must_end(s);
    end_all();
    s = integrate(derive(integrate(powers(minus_one, 15), nothing)), (struct ratio){ 7, 3 });
    must_be(s, 0, 7, 3);
    for (int i = 1; i < 15; i++) must_be(s, i, i % 2 ? 1 : -1, i);
    must_be(s, 15, 1, 15);
    must_end(s);
    end_all();
}

TEST(a_product_is_exact_though_each_coefficient_starts_seven_threads)
{
    int n = TAP_SLOW ? 12 : 24;
    series *s = multiply(powers(one, n), powers(one, n)); /* 1 / (1 - x)^2 */
    for (int i = 0; i < n; i++) must_be(s, i, i + 1, 1);
    must_end(s);
    CHECK(end_all() > 6 * n);
}

TEST(an_exponential_is_exact_though_it_is_fed_back_into_itself)
{
    enum { N = 12 };
    int64_t factorial = 1;
    series *s = exponential(integrate(powers(nothing, N), nothing)); /* of 0 + 1 x + 0 x^2 .. */
    for (int i = 0; i <= N; i++) {
        must_be(s, i, 1, factorial);
        factorial *= i + 1;
    }
    must_end(s);
    end_all();
}

TEST(what_cancels_out_cancels_out_in_a_network_of_hundreds_of_threads)
{
    enum { N = 9 };
    series *up = exponential(integrate(powers(nothing, N), nothing)); /* exp x */
    series *down = exponential(scale(integrate(powers(nothing, N), nothing), minus_one));
    series *s = multiply(up, down);
    for (int i = 0; i <= N; i++) must_be(s, i, !i, 1);
    must_end(s);
    CHECK(end_all() > 150);
    s = exponential(integrate(powers(minus_one, N), nothing)); /* exp log (1 + x) */
    for (int i = 0; i <= N; i++) must_be(s, i, i < 2, 1);
    must_end(s);
    end_all();
}

TEST(a_network_ends_everywhere_when_its_last_receiver_wants_no_more)
{
    for (int wanted = 0; wanted < 5; wanted++) {
        series *s = multiply(powers(one, 30), multiply(powers(one, 30), powers(one, 30))); /* 1 / (1 - x)^3 */
        for (int i = 0; i < wanted; i++) must_be(s, i, (i + 1) * (i + 2) / 2, 1);
        CHECK_EQ(leat_close(s), 0);
        end_all();
    }
}

TEST(a_network_ends_everywhere_when_it_is_cancelled)
{
    for (int wanted = 0; wanted < 5; wanted++) {
        leat_ctx all = LEAT_CTX(NULL), ctx = LEAT_CTX(&all);
        ends = &ctx;
        series *s = exponential(integrate(powers(one, 30), nothing)); /* exp(-log (1 - x)) = 1 / (1 - x) */
        for (int i = 0; i < wanted; i++) must_be(s, i, 1, 1);
        leat_cancel(wanted % 2 ? &all : &ctx, 1);
        end_all();
        ends = NULL;
    }
}
