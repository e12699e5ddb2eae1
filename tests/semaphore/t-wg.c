/* t-wg.c - a wait group: a thread that waits goes on at zero, not before, and always.
 * SPDX-License-Identifier: MIT */
#include "peek.h"

struct call {
    leat_ctx *ctx;
    leat_wg *w;
};

static int waits(void *arg)
{
    struct call *c = arg;
    return leat_wg_wait_ctx(c->ctx, c->w);
}

TEST(at_zero_no_thread_waits)
{
    leat_wg w = LEAT_WG(0), zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    CHECK_EQ(leat_wg_wait(&w), 0);
    CHECK_EQ(leat_wg_wait(&zeroed), 0);
    CHECK_EQ(leat_wg_add(&w, 0), 0);
    CHECK_EQ(leat_wg_wait(&w), 0);
}

TEST(below_zero_is_refused_and_changes_nothing)
{
    leat_wg w = LEAT_WG(2);
    CHECK_EQ(leat_wg_add(&w, -3), -EOVERFLOW);
    CHECK_EQ(leat_wg_done(&w), 0);
    CHECK_EQ(leat_wg_done(&w), 0);
    CHECK_EQ(leat_wg_done(&w), -EOVERFLOW);
    CHECK_EQ(leat_wg_wait(&w), 0);
    CHECK_EQ(leat_wg_add(&w, LEAT_SEM_MAX), 0);
    CHECK_EQ(leat_wg_add(&w, 1), -EOVERFLOW);
    CHECK_EQ(leat_wg_add(&w, LEAT_SEM_MAX + 1), -EINVAL);
    CHECK_EQ(leat_wg_add(&w, INT64_MIN), -EINVAL);
    CHECK_EQ(leat_wg_add(&w, -LEAT_SEM_MAX), 0);
    CHECK_EQ(leat_wg_wait(&w), 0);
    CHECK_EQ(leat_wg_add(NULL, 1), -EINVAL);
    CHECK_EQ(leat_wg_done(NULL), -EINVAL);
    CHECK_EQ(leat_wg_wait(NULL), -EINVAL);
    CHECK_EQ(leat_try_wg_wait(NULL), -EINVAL);
}

TEST(below_zero_is_refused_also_while_a_thread_waits)
{
    leat_wg w = LEAT_WG(1);
    side waiter;
    side_start(&waiter, waits, &(struct call){ NULL, &w });
    UNTIL(peek_wg(&w) == 1);
    CHECK_EQ(leat_wg_add(&w, -2), -EOVERFLOW);
    CHECK_EQ(peek_wg(&w), 1);
    CHECK_EQ(leat_wg_done(&w), 0);
    CHECK_EQ(side_join(&waiter), 0);
}

TEST(no_thread_goes_on_before_zero)
{
    leat_wg w = LEAT_WG(3);
    side waiter;
    side_start(&waiter, waits, &(struct call){ NULL, &w });
    UNTIL(peek_wg(&w) == 1);
    CHECK_EQ(leat_wg_done(&w), 0);
    CHECK_EQ(leat_wg_add(&w, 4), 0);
    CHECK_EQ(leat_wg_add(&w, -5), 0);
    CHECK_EQ(peek_wg(&w), 1);
    CHECK_EQ(leat_wg_done(&w), 0);
    CHECK_EQ(side_join(&waiter), 0);
}

TEST(all_threads_that_wait_go_on_at_zero)
{
    enum { N = 8 };
    leat_wg w = LEAT_WG(1);
    leat_ctx live = LEAT_CTX(NULL);
    side waiter[N];
    struct call call[2] = { { NULL, &w }, { &live, &w } };
    for (int i = 0; i < N; i++) side_start(&waiter[i], waits, &call[i % 2]);
    UNTIL(peek_wg(&w) == N);
    CHECK_EQ(leat_wg_done(&w), 0);
    for (int i = 0; i < N; i++) CHECK_EQ(side_join(&waiter[i]), 0);
}

TEST(a_done_context_ends_the_wait_and_leaves_nothing_behind)
{
    leat_wg w = LEAT_WG(1);
    leat_ctx ctx = LEAT_CTX(NULL), soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    side waiter;
    CHECK_EQ(leat_wg_wait_ctx(&soon, &w), -ETIMEDOUT);
    side_start(&waiter, waits, &(struct call){ &ctx, &w });
    UNTIL(peek_wg(&w) == 1);
    leat_cancel(&ctx, 7);
    CHECK_EQ(side_join(&waiter), -ECANCELED);
    CHECK_EQ(peek_wg(&w), 0);
    CHECK_EQ(leat_wg_done(&w), 0);
    CHECK_EQ(leat_wg_wait_ctx(&ctx, &w), -ECANCELED); /* a done context wins over zero */
    CHECK_EQ(leat_wg_wait(&w), 0);
}

static int cancel(void *ctx)
{
    leat_cancel(ctx, 1);
    return 0;
}

TEST(a_cancel_that_races_with_zero_hangs_no_thread)
{
    for (int k = 0; k < tap_rounds(3000); k++) {
        leat_wg w = LEAT_WG(1);
        leat_ctx ctx = LEAT_CTX(NULL);
        struct call a = { &ctx, &w }, b = { NULL, &w };
        side cancelled, waiter, canceller;
        side_start(&cancelled, waits, &a);
        side_start(&waiter, waits, &b);
        side_start(&canceller, cancel, &ctx);
        CHECK_EQ(leat_wg_done(&w), 0);
        int err = side_join(&cancelled);
        CHECK(err == 0 || err == -ECANCELED);
        CHECK_EQ(side_join(&waiter), 0);
        side_join(&canceller);
    }
}

/* ==== Reuse, and what is seen afterwards ====================================================== */

struct rounds {
    leat_wg done;
    int sum; /* plain: done and wait order it */
};

static int one_task(void *arg)
{
    struct rounds *r = arg;
    r->sum++;
    return leat_wg_done(&r->done);
}

TEST(what_was_done_before_done_is_seen_after_wait_again_and_again)
{
    struct rounds r = { .sum = 0 };
    for (int k = 0; k < tap_rounds(3000); k++) {
        side s;
        REQUIRE_EQ(leat_wg_add(&r.done, 1), 0);
        side_start(&s, one_task, &r);
        REQUIRE_EQ(leat_wg_wait(&r.done), 0);
        REQUIRE_EQ(r.sum, k + 1);
        side_join(&s);
    }
}

/* Tasks that add tasks before they are done, so that the count is never zero too early. */
struct tree {
    leat_wg w;
    _Atomic int leaves;
};

struct node {
    struct tree *tree;
    int depth;
};

static void *grow(void *arg)
{
    struct node *n = arg;
    if (!n->depth) {
        atomic_fetch_add_explicit(&n->tree->leaves, 1, memory_order_relaxed);
    } else {
        CHECK_EQ(leat_wg_add(&n->tree->w, 2), 0);
        for (int i = 0; i < 2; i++) {
            pthread_t t;
            struct node *child = malloc(sizeof *child);
            REQUIRE(child);
            *child = (struct node){ n->tree, n->depth - 1 };
            REQUIRE(pthread_create(&t, NULL, grow, child) == 0);
            pthread_detach(t);
        }
    }
    struct tree *t = n->tree;
    free(n);
    CHECK_EQ(leat_wg_done(&t->w), 0);
    return NULL;
}

TEST(tasks_may_add_tasks_and_the_wait_ends_after_the_last)
{
    for (int k = 0; k < tap_rounds(50); k++) {
        struct tree t = { .w = LEAT_WG(1) };
        struct node *root = malloc(sizeof *root);
        REQUIRE(root);
        *root = (struct node){ &t, 4 };
        grow(root);
        REQUIRE_EQ(leat_wg_wait(&t.w), 0);
        REQUIRE_EQ(t.leaves, 16);
    }
}

/* ==== Gone at once ============================================================================ */

enum { LATER = 16, PATTERN = 0xA5 };

struct handoff {
    _Atomic(leat_wg *) w;
    int rounds;
};

static int done_many(void *arg)
{
    struct handoff *f = arg;
    for (int k = 0; k < f->rounds; k++) {
        leat_wg *w;
        while (!(w = atomic_exchange_explicit(&f->w, NULL, memory_order_acquire))) leat_os_yield_();
        int err = leat_wg_done(w);
        if (err) return err;
    }
    return 0;
}

static void rest(uint64_t *rng)
{
    int n = tap_below(rng, 64);
    if (n == 0) leat_sleep(LEAT_US(60));
    else if (n < 8) leat_os_yield_();
    else
        for (int i = 0; i < n; i++) leat_os_pause_();
}

TEST(a_thread_that_has_waited_may_free_the_wait_group_while_done_has_not_returned)
{
    struct handoff f = { .rounds = tap_rounds(50000) };
    leat_wg *late[LATER] = { NULL };
    uint64_t rng = tap_seed(1);
    side other;
    side_start(&other, done_many, &f);
    for (int k = 0; k < f.rounds; k++) {
        leat_wg **slot = &late[k % LATER];
        for (size_t i = 0; *slot && i < sizeof **slot; i++)
            REQUIRE_EQ(((unsigned char *)*slot)[i], PATTERN); /* else a thread wrote to what was gone */
        free(*slot);
        leat_wg *w = *slot = malloc(sizeof *w);
        REQUIRE(w);
        *w = (leat_wg)LEAT_WG(1);
        atomic_store_explicit(&f.w, w, memory_order_release);
        rest(&rng);
        REQUIRE_EQ(leat_wg_wait(w), 0);
        if (TAP_SLOW) {
            free(w);
            *slot = NULL;
        } else {
            memset(w, PATTERN, sizeof *w);
        }
    }
    for (int i = 0; i < LATER; i++) free(late[i]);
    CHECK_EQ(side_join(&other), 0);
}

static void on_the_stack(struct handoff *f, uint64_t *rng)
{
    leat_wg w = LEAT_WG(1);
    atomic_store_explicit(&f->w, &w, memory_order_release);
    rest(rng);
    REQUIRE_EQ(leat_wg_wait(&w), 0);
}

TEST(a_wait_group_on_a_stack_frame_that_is_left_at_once)
{
    struct handoff f = { .rounds = TAP_SLOW ? 20000 : 100000 };
    uint64_t rng = tap_seed(2);
    side other;
    side_start(&other, done_many, &f);
    for (int k = 0; k < f.rounds; k++) on_the_stack(&f, &rng);
    CHECK_EQ(side_join(&other), 0);
}

/* B counts down, and at once up, for the next round. */
TEST(a_waiter_that_was_released_returns_though_the_next_round_has_begun)
{
    for (int round = 0; round < 20; round++) {
        leat_wg w = LEAT_WG(1);
        leat_ctx rescue = LEAT_CTX_WITHIN(NULL, LEAT_S(20));
        struct call k = { &rescue, &w };
        side waiter[3];
        for (int i = 0; i < 3; i++) side_start(&waiter[i], waits, &k);
        UNTIL(peek_wg(&w) == 3);
        CHECK_EQ(leat_wg_done(&w), 0);
        CHECK_EQ(leat_wg_add(&w, 1), 0);
        for (int i = 0; i < 3; i++) CHECK_EQ(side_join(&waiter[i]), 0);
        CHECK_EQ(leat_try_wg_wait(&w), -EAGAIN);
    }
}
