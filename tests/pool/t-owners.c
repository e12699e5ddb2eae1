/* t-owners.c - messages that own memory: the thread that has one frees it. A lost one is a leak, and a doubled one is
 * freed twice: each block counts its owners, so this shows without AddressSanitizer, too.
 * SPDX-License-Identifier: MIT */
#include "pool.h"
#include "staging.h"

struct block {
    _Atomic int owners;
    int from, nth;
};

typedef LEAT_CHAN(struct block *) block_chan;

static _Atomic int made, freed;

static struct block *make_block(int from, int nth)
{
    struct block *b = malloc(sizeof *b);
    REQUIRE(b);
    *b = (struct block){ .owners = 1, .from = from, .nth = nth };
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    return b;
}

static void free_block(struct block *b)
{
    CHECK_EQ(atomic_fetch_sub_explicit(&b->owners, 1, memory_order_relaxed), 1);
    atomic_fetch_add_explicit(&freed, 1, memory_order_relaxed);
    free(b);
}

static void check_all_freed(void)
{
    CHECK_EQ(atomic_load_explicit(&made, memory_order_relaxed), atomic_load_explicit(&freed, memory_order_relaxed));
    CHECK(made > 0);
    atomic_store_explicit(&made, 0, memory_order_relaxed);
    atomic_store_explicit(&freed, 0, memory_order_relaxed);
}

/* ---- A relay of threads, each with every form of call, that ends when any of them closes --------- */

enum { SENDERS = 3, MOVERS = 4, RECEIVERS = 3, THREADS = SENDERS + MOVERS + RECEIVERS, BATCH = 5 };

struct relay {
    block_chan in, out;
    int each, closes_after; /* a receiver closes `in` after so many. 0: the last sender does at the end */
    _Atomic int senders, movers, received;
};

static block_chan never_sent_to, never_received_from;

/* Sends n blocks, and frees those that were not sent. False after the end. */
static bool send_blocks(block_chan *c, struct block **b, int n, uint64_t *rng)
{
    struct block *none = NULL;
    int sent = 0, err = 0;
    while (sent < n && err != -EPIPE) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(tap_below(rng, 100)));
        leat_case cases[] = { LEAT_SEND(c, &b[sent]), LEAT_RECV(&never_sent_to, &none), LEAT_SEND(c, &b[sent]) };
        ptrdiff_t r;
        switch (tap_below(rng, 6)) {
        case 0: err = leat_send(c, &b[sent]); break;
        case 1: err = leat_try_send(c, &b[sent]); break;
        case 2: err = leat_send_ctx(&soon, c, &b[sent]); break;
        case 3:
            r = leat_send_many_ctx(&soon, c, &b[sent], (size_t)(n - sent));
            err = r < 0 ? (int)r : 0;
            if (r > 0) sent += (int)r - 1;
            break;
        case 4:
            r = leat_select_ctx(&soon, cases, 3);
            CHECK(r != 1);
            err = r < 0 ? (int)r : cases[r].err;
            break;
        default: r = leat_try_select(cases, 3); err = r < 0 ? (int)r : cases[r].err;
        }
        if (!err) sent++;
        else CHECK(err == -EPIPE || err == -EAGAIN || err == -ETIMEDOUT);
        if (err == -EAGAIN) leat_os_yield_();
    }
    for (int i = sent; i < n; i++) free_block(b[i]);
    return err != -EPIPE;
}

/* Up to BATCH blocks. 0: the end. */
static int recv_blocks(block_chan *c, struct block **b, uint64_t *rng)
{
    struct block *none = NULL;
    for (;;) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(tap_below(rng, 100)));
        leat_case cases[] = { LEAT_RECV(c, &b[0]), LEAT_SEND(&never_received_from, &none), LEAT_RECV(c, &b[0]) };
        ptrdiff_t r = 0, n = 1;
        switch (tap_below(rng, 6)) {
        case 0: r = leat_recv(c, &b[0]); break;
        case 1: r = leat_try_recv(c, &b[0]); break;
        case 2: r = leat_recv_ctx(&soon, c, &b[0]); break;
        case 3: r = n = leat_recv_many_ctx(&soon, c, b, BATCH); break;
        case 4:
            r = leat_select_ctx(&soon, cases, 3);
            if (r >= 0) r = cases[r].err;
            break;
        default:
            r = leat_try_select(cases, 3);
            if (r >= 0) r = cases[r].err;
        }
        if (r >= 0) return (int)n;
        if (r == -EPIPE) return 0;
        CHECK(r == -EAGAIN || r == -ETIMEDOUT);
        if (r == -EAGAIN) leat_os_yield_();
    }
}

static void relay_part(int i, void *arg)
{
    struct relay *x = arg;
    uint64_t rng = tap_seed(i);
    struct block *b[BATCH];
    if (i < SENDERS) {
        for (int k = 0, n; k < x->each; k += n) {
            n = 1 + tap_below(&rng, BATCH);
            for (int j = 0; j < n; j++) b[j] = make_block(i, k + j);
            if (!send_blocks(&x->in, b, n, &rng)) break;
        }
        if (atomic_fetch_sub_explicit(&x->senders, 1, memory_order_relaxed) == 1) (void)leat_close(&x->in);
    } else if (i < SENDERS + MOVERS) {
        for (int n; (n = recv_blocks(&x->in, b, &rng)) > 0;)
            if (!CHECK(send_blocks(&x->out, b, n, &rng))) break;
        if (atomic_fetch_sub_explicit(&x->movers, 1, memory_order_relaxed) == 1) CHECK_EQ(leat_close(&x->out), 0);
    } else {
        for (int n; (n = recv_blocks(&x->out, b, &rng)) > 0;)
            for (int k = 0; k < n; k++) {
                free_block(b[k]);
                if (atomic_fetch_add_explicit(&x->received, 1, memory_order_relaxed) + 1 == x->closes_after)
                    (void)leat_close(&x->in);
            }
    }
}

static void run_relay(size_t in, size_t out, int each, int closes_after)
{
    struct relay x = { .each = each, .closes_after = closes_after, .senders = SENDERS, .movers = MOVERS };
    REQUIRE_EQ(leat_make(&x.in, in), 0);
    REQUIRE_EQ(leat_make(&x.out, out), 0);
    tap_threads(THREADS, relay_part, &x);
    CHECK_EQ(leat_len(&x.in) + leat_len(&x.out), 0);
    if (!closes_after) CHECK_EQ(x.received, atomic_load_explicit(&made, memory_order_relaxed));
    leat_free(&x.in);
    leat_free(&x.out);
    check_all_freed();
}

TEST(each_block_has_one_owner_on_its_way_through_every_form_of_call)
{
    static const size_t caps[][2] = { { 0, 0 }, { 0, 3 }, { 1, 0 }, { 3, 5 }, { 7, 2 }, { 64, 64 } };
    for (size_t k = 0; k < COUNT(caps); k++) run_relay(caps[k][0], caps[k][1], tap_rounds(2000), 0);
}

TEST(also_when_the_stream_is_closed_in_the_middle)
{
    uint64_t rng = tap_seed(100);
    for (int k = 0; k < tap_rounds(50); k++) run_relay((size_t)(k % 4), (size_t)(k % 3), 1000, 1 + tap_below(&rng, 200));
}

/* ---- What stays in the channel ------------------------------------------------------------------- */

struct left {
    block_chan c;
    int_chan over;
};

static void fill_until_closed(int i, void *arg)
{
    struct left *x = arg;
    if (i == 0) {
        (void)leat_recv(&x->over, &(int){ 0 });
        CHECK_EQ(leat_close(&x->c), 0);
        return;
    }
    for (int k = 0;; k++) {
        struct block *b = make_block(i, k);
        if (leat_send(&x->c, &b) == 0) {
            if (k == 1) (void)!leat_try_send(&x->over, &k);
            continue;
        }
        free_block(b); /* not sent, so this thread still owns it */
        return;
    }
}

/* Some senders wait at the full channel when it is closed. They keep what they have, and what is in the channel is
 * drained: no more and no less than was sent. */
TEST(after_a_close_what_was_sent_is_in_the_channel_and_what_was_not_is_its_senders)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        struct left x;
        struct block *b;
        size_t left = 0;
        REQUIRE_EQ(leat_make(&x.c, 16), 0);
        REQUIRE_EQ(leat_make(&x.over, 1), 0);
        tap_threads(5, fill_until_closed, &x);
        while (leat_try_recv(&x.c, &b) == 0) {
            free_block(b);
            left++;
        }
        CHECK(left >= 2 && left <= 16);
        leat_free(&x.c);
        leat_free(&x.over);
        check_all_freed();
    }
}

/* ---- Jobs ---------------------------------------------------------------------------------------- */

static int free_job(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    free_block(arg);
    return 0;
}

static void free_dropped(leat_task *fn, void *arg, void *unused)
{
    (void)unused;
    CHECK(fn == free_job);
    free_block(arg);
}

static void submit_blocks(int i, void *arg)
{
    leat_pool *p = arg;
    for (int k = 0;; k++) {
        struct block *b = make_block(i, k);
        int err = k % 2 ? leat_try_submit(p, free_job, b) : leat_submit(p, free_job, b);
        if (err) free_block(b);
        if (err == -ESHUTDOWN || err == -ECANCELED) return;
        CHECK(err == 0 || err == -EAGAIN);
        if (i == 0 && k == 300) {
            leat_pool_abort(p, free_dropped, NULL);
            return;
        }
    }
}

TEST(a_job_is_run_or_handed_back_or_was_never_taken)
{
    for (int k = 0; k < tap_rounds(30); k++) {
        leat_pool p;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 1 + k % 7 }), 0);
        tap_threads(4, submit_blocks, &p);
        (void)leat_pool_stop(&p);
        check_all_freed();
    }
}
