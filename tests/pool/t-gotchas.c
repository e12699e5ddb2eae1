/* t-gotchas.c - what goes wrong in worker pools elsewhere, one test each: here it is an error code, or it does not
 * hang.
 * SPDX-License-Identifier: MIT
 *
 * The pool is the one of the Go articles: workers between a channel of jobs and a channel of results. */
#include "peek.h"
#include "pool.h"

#include <limits.h>

struct result {
    int id, square;
};

typedef LEAT_CHAN(int) jobs_chan;
typedef LEAT_CHAN(struct result) results_chan;

struct app {
    jobs_chan jobs;
    results_chan results;
    _Atomic int processed;
};

static void app_make(struct app *a, size_t jobs, size_t results)
{
    REQUIRE_EQ(leat_make(&a->jobs, jobs), 0);
    REQUIRE_EQ(leat_make(&a->results, results), 0);
    a->processed = 0;
}

static void app_free(struct app *a)
{
    leat_free(&a->jobs);
    leat_free(&a->results);
}

static int worker(leat_ctx *ctx, void *arg)
{
    struct app *a = arg;
    int err = 0;
    for (int id; !err && (err = leat_recv_ctx(ctx, &a->jobs, &id)) == 0;) {
        struct result r = { id, id * id };
        atomic_fetch_add_explicit(&a->processed, 1, memory_order_relaxed);
        err = leat_send_ctx(ctx, &a->results, &r);
    }
    return err == -EPIPE ? 0 : err;
}

static int feed(struct app *a, leat_ctx *ctx, int n) /* returns how many went in */
{
    int i = 0;
    while (i < n && leat_send_ctx(ctx, &a->jobs, &i) == 0) i++;
    return i;
}

static int collect(struct app *a)
{
    int n = 0;
    for (struct result r; leat_recv(&a->results, &r) == 0; n++) CHECK_EQ(r.square, r.id * r.id);
    return n;
}

struct feeder {
    struct app *a;
    leat_ctx *ctx;
    int n;
};

static int feed_and_close(void *arg)
{
    struct feeder *f = arg;
    int n = feed(f->a, f->ctx, f->n);
    CHECK_EQ(leat_close(&f->a->jobs), 0);
    return n;
}

/* ==== It works ================================================================================ */

TEST(every_job_has_one_result_and_the_results_end)
{
    for (int k = 0; k < tap_rounds(50); k++) {
        struct app a;
        leat_group g = LEAT_GROUP(NULL);
        side feeder;
        app_make(&a, (size_t)k % 4, (size_t)k % 3);
        REQUIRE_EQ(leat_go_n(&g, 3, worker, &a), 0);
        REQUIRE_EQ(leat_group_closes(&g, &a.results), 0);
        struct feeder f = { &a, NULL, 50 };
        side_start(&feeder, feed_and_close, &f);
        REQUIRE_EQ(collect(&a), 50);
        REQUIRE_EQ(side_join(&feeder), 50);
        REQUIRE_EQ(leat_wait(&g), 0);
        app_free(&a);
    }
}

TEST(zero_jobs)
{
    struct app a;
    leat_group g = LEAT_GROUP(NULL);
    app_make(&a, 4, 4);
    CHECK_EQ(leat_go_n(&g, 3, worker, &a), 0);
    CHECK_EQ(leat_group_closes(&g, &a.results), 0);
    CHECK_EQ(leat_close(&a.jobs), 0);
    CHECK_EQ(collect(&a), 0);
    CHECK_EQ(leat_wait(&g), 0);
    app_free(&a);
}

TEST(as_many_workers_as_jobs_and_more)
{
    for (int workers = 5; workers <= 40; workers += 35) {
        struct app a;
        leat_group g = LEAT_GROUP(NULL);
        app_make(&a, 5, 5);
        CHECK_EQ(leat_go_n(&g, workers, worker, &a), 0);
        CHECK_EQ(leat_group_closes(&g, &a.results), 0);
        CHECK_EQ(feed(&a, NULL, 5), 5);
        CHECK_EQ(leat_close(&a.jobs), 0);
        CHECK_EQ(collect(&a), 5);
        CHECK_EQ(leat_wait(&g), 0);
        app_free(&a);
    }
}

TEST(no_buffer_does_not_mean_one_at_a_time)
{
    struct app a;
    leat_group g = LEAT_GROUP(NULL);
    app_make(&a, 0, 8);
    CHECK_EQ(leat_go_n(&g, 4, worker, &a), 0);
    UNTIL(peek_receivers(&a.jobs) == 4); /* four wait at an unbuffered channel */
    CHECK_EQ(feed(&a, NULL, 4), 4);
    CHECK_EQ(leat_close(&a.jobs), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(a.processed, 4);
    app_free(&a);
}

/* ==== Close =================================================================================== */

TEST(a_forgotten_close_of_the_jobs_is_undone_by_the_context)
{
    struct app a;
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_group g = LEAT_GROUP(&ctx);
    app_make(&a, 10, 10);
    CHECK_EQ(leat_go_n(&g, 3, worker, &a), 0);
    CHECK_EQ(leat_group_closes(&g, &a.results), 0);
    CHECK_EQ(feed(&a, NULL, 5), 5);
    UNTIL(peek_receivers(&a.jobs) == 3); /* all wait for a job that never comes, or for the close */
    leat_cancel(&ctx, 1);
    CHECK_EQ(collect(&a), 5);
    CHECK_EQ(leat_wait(&g), -ECANCELED);
    app_free(&a);
}

TEST(a_forgotten_close_ends_with_the_deadline)
{
    struct app a;
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_MS(20));
    leat_group g = LEAT_GROUP(&ctx);
    app_make(&a, 10, 10);
    CHECK_EQ(leat_go_n(&g, 3, worker, &a), 0);
    CHECK_EQ(leat_wait(&g), -ETIMEDOUT);
    app_free(&a);
}

TEST(a_double_close_is_an_error_code)
{
    struct app a;
    app_make(&a, 1, 0);
    CHECK_EQ(leat_close(&a.jobs), 0);
    CHECK_EQ(leat_close(&a.jobs), -EALREADY);
    CHECK_EQ(leat_close(&a.results), 0);
    CHECK_EQ(leat_close(&a.results), -EALREADY);
    app_free(&a);
}

struct crowd {
    struct app a;
    _Atomic int sent, received, closed, again;
};

static void sends_or_closes(int i, void *arg)
{
    struct crowd *c = arg;
    if (i < 3) {
        int n = feed(&c->a, NULL, INT_MAX); /* until it is closed */
        atomic_fetch_add_explicit(&c->sent, n, memory_order_relaxed);
        CHECK_EQ(leat_send(&c->a.jobs, &(int){ 1 }), -EPIPE);
        CHECK_EQ(leat_try_send(&c->a.jobs, &(int){ 1 }), -EPIPE);
    } else if (i < 5) {
        int n = 0;
        for (int id; leat_recv(&c->a.jobs, &id) == 0;) n++;
        atomic_fetch_add_explicit(&c->received, n, memory_order_relaxed);
    } else {
        for (int k = 0; k < 5; k++) leat_os_yield_();
        int err = leat_close(&c->a.jobs);
        atomic_fetch_add_explicit(err ? &c->again : &c->closed, 1, memory_order_relaxed);
    }
}

TEST(closing_while_others_send_is_an_error_code_for_them_and_loses_nothing)
{
    for (int k = 0; k < tap_rounds(100); k++) {
        struct crowd c = { .sent = 0 };
        app_make(&c.a, (size_t)k % 4, 0);
        tap_threads(7, sends_or_closes, &c);
        REQUIRE_EQ(c.sent, c.received);
        REQUIRE_EQ(c.closed, 1);
        REQUIRE_EQ(c.again, 1);
        app_free(&c.a);
    }
}

/* ==== Results that are not read =============================================================== */

TEST(a_consumer_that_stops_reading_is_undone_by_the_context)
{
    struct app a;
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_group g = LEAT_GROUP(&ctx);
    struct result r;
    side feeder;
    app_make(&a, 2, 3);
    CHECK_EQ(leat_go_n(&g, 3, worker, &a), 0);
    CHECK_EQ(leat_group_closes(&g, &a.results), 0);
    struct feeder f = { &a, &ctx, 1000 };
    side_start(&feeder, feed_and_close, &f);
    CHECK_EQ(leat_recv(&a.results, &r), 0);
    UNTIL(peek_senders(&a.results) == 3 && peek_senders(&a.jobs) == 1); /* all are parked, and would be for ever */
    leat_cancel(&ctx, 1);
    CHECK_EQ(leat_wait(&g), -ECANCELED);
    CHECK(side_join(&feeder) < 1000);
    CHECK_EQ(collect(&a), 3); /* what was sent is still there */
    app_free(&a);
}

TEST(a_consumer_may_also_close_the_results_to_say_that_it_has_enough)
{
    struct app a;
    leat_group g = LEAT_GROUP(NULL);
    struct result r;
    side feeder;
    app_make(&a, 2, 1);
    CHECK_EQ(leat_go_n(&g, 3, worker, &a), 0);
    struct feeder f = { &a, leat_group_ctx(&g), 1000 };
    side_start(&feeder, feed_and_close, &f);
    for (int i = 0; i < 5; i++) CHECK_EQ(leat_recv(&a.results, &r), 0);
    CHECK_EQ(leat_close(&a.results), 0);
    CHECK_EQ(leat_wait(&g), 0);       /* the workers end without an error, and jobs are left */
    CHECK(side_join(&feeder) < 1000); /* its context ended with the group */
    app_free(&a);
}

TEST(24_jobs_fed_before_any_result_is_read_are_one_too_many_and_that_can_be_told)
{
    /* jobs 10 + results 10 + one held by each of 3 workers = 23 */
    struct app a;
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_group g = LEAT_GROUP(&ctx);
    app_make(&a, 10, 10);
    CHECK_EQ(leat_go_n(&g, 3, worker, &a), 0);
    CHECK_EQ(leat_group_closes(&g, &a.results), 0);
    CHECK_EQ(feed(&a, NULL, 23), 23); /* so many do go in */
    UNTIL(leat_len(&a.jobs) == 10 && leat_len(&a.results) == 10 && peek_senders(&a.results) == 3);
    CHECK_EQ(leat_try_send(&a.jobs, &(int){ 23 }), -EAGAIN);
    leat_ctx soon = LEAT_CTX_WITHIN(&ctx, LEAT_MS(10));
    CHECK_EQ(leat_send_ctx(&soon, &a.jobs, &(int){ 23 }), -ETIMEDOUT);
    struct result r; /* with a select, the thread that feeds can read: */
    leat_case cases[] = { LEAT_SEND(&a.jobs, &(int){ 23 }), LEAT_RECV(&a.results, &r) };
    int read = 0, i;
    while ((i = leat_select(cases, 2)) == 1) read++;
    CHECK_EQ(i, 0);
    CHECK(read >= 1);
    CHECK_EQ(leat_close(&a.jobs), 0);
    CHECK_EQ(read + collect(&a), 24);
    CHECK_EQ(leat_wait(&g), 0);
    app_free(&a);
}

/* ==== Cancel and errors ======================================================================= */

TEST(no_job_is_taken_after_the_cancel_although_jobs_are_ready)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        struct app a;
        leat_ctx ctx = LEAT_CTX(NULL);
        leat_group g = LEAT_GROUP(&ctx);
        app_make(&a, 100, 100);
        REQUIRE_EQ(feed(&a, NULL, 100), 100);
        leat_cancel(&ctx, 1);
        int err = leat_go_n(&g, 2, worker, &a);
        REQUIRE_EQ(err, -ECANCELED);
        int id;
        leat_case both[] = { LEAT_RECV(&a.jobs, &id), LEAT_RECV(&a.jobs, &id) };
        REQUIRE_EQ(leat_recv_ctx(&ctx, &a.jobs, &id), -ECANCELED);
        REQUIRE_EQ(leat_select_ctx(&ctx, both, 2), -ECANCELED);
        REQUIRE_EQ(leat_wait(&g), 0);
        REQUIRE_EQ(a.processed, 0);
        REQUIRE_EQ(leat_len(&a.jobs), 100);
        app_free(&a);
    }
}

static int fails_in_the_middle(leat_ctx *ctx, void *arg)
{
    struct app *a = arg;
    for (int id; leat_recv_ctx(ctx, &a->jobs, &id) == 0;) {
        if (id == 10) return -EIO;
        struct result r = { id, id * id };
        int err = leat_send_ctx(ctx, &a->results, &r);
        if (err) return err;
    }
    return 0;
}

TEST(an_error_in_the_middle_ends_the_rest_and_is_what_wait_tells)
{
    for (int k = 0; k < tap_rounds(100); k++) {
        struct app a;
        leat_group g = LEAT_GROUP(NULL);
        side feeder;
        app_make(&a, 4, 2);
        struct feeder f = { &a, leat_group_ctx(&g), 1000 };
        REQUIRE_EQ(leat_go_n(&g, 3, fails_in_the_middle, &a), 0);
        REQUIRE_EQ(leat_group_closes(&g, &a.results), 0);
        side_start(&feeder, feed_and_close, &f);
        int n = collect(&a);
        REQUIRE(n < 1000);
        REQUIRE_EQ(leat_wait(&g), -EIO);
        REQUIRE(side_join(&feeder) < 1000); /* the thread that feeds was told too */
        app_free(&a);
    }
}

static int exits(leat_ctx *ctx, void *arg)
{
    struct app *a = arg;
    int id;
    if (leat_recv_ctx(ctx, &a->jobs, &id) == 0) pthread_exit(NULL);
    return 0;
}

TEST(a_panic_in_a_worker_does_not_keep_the_results_open)
{
    struct app a;
    leat_group g = LEAT_GROUP(NULL);
    app_make(&a, 1, 1);
    CHECK_EQ(leat_go(&g, exits, &a), 0);
    CHECK_EQ(leat_go(&g, worker, &a), 0);
    CHECK_EQ(leat_group_closes(&g, &a.results), 0);
    CHECK_EQ(feed(&a, leat_group_ctx(&g), 1), 1); /* one of the two takes it */
    CHECK_EQ(leat_close(&a.jobs), 0);
    int n = collect(&a);
    CHECK(n <= 1);
    CHECK_EQ(leat_wait(&g), n ? 0 : -EINTR);
    app_free(&a);
}

/* ==== The semaphore loop ====================================================================== */

static int holds_a_permit(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return 0;
}

TEST(the_semaphore_loop_can_be_cancelled_and_leaks_no_permit)
{
    leat_sem s = LEAT_SEM(2);
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_group g = LEAT_GROUP(&ctx);
    CHECK_EQ(leat_group_share(&g, &s), 0);
    for (int i = 0; i < 100; i++) {
        if (i == 50) leat_cancel(&ctx, 1);
        CHECK_EQ(leat_go(&g, holds_a_permit, NULL), i < 50 ? 0 : -ECANCELED);
    }
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(leat_sem_available(&s), 2);
}

/* ==== The pool that is stopped ================================================================ */

static int counts(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_relaxed);
    return 0;
}

TEST(submit_after_stop_and_stop_after_stop_are_error_codes)
{
    leat_pool p;
    _Atomic int ran = 0;
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .queue = 10 }), 0);
    for (int i = 0; i < 5; i++) CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(ran, 5);
    CHECK_EQ(leat_submit(&p, counts, &ran), -ESHUTDOWN);
    CHECK_EQ(leat_pool_stop(&p), -EALREADY);
    CHECK_EQ(ran, 5);
}

TEST(zero_jobs_for_a_pool)
{
    for (int k = 0; k < tap_rounds(100); k++) {
        leat_pool p;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3 }), 0);
        REQUIRE_EQ(leat_pool_stop(&p), 0);
    }
}

struct ticker {
    leat_pool p;
    _Atomic int ran, accepted;
};

static int ticks(void *arg)
{
    struct ticker *t = arg;
    int err;
    while ((err = leat_submit(&t->p, counts, &t->ran)) == 0) /* it was not told that stop is coming */
        atomic_fetch_add_explicit(&t->accepted, 1, memory_order_relaxed);
    return err;
}

TEST(a_ticker_that_feeds_on_while_stop_runs_is_told_and_its_jobs_have_run)
{
    for (int k = 0; k < tap_rounds(200); k++) {
        struct ticker t = { .ran = 0 };
        side ticker;
        REQUIRE_EQ(leat_pool_start(&t.p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 3 }), 0);
        side_start(&ticker, ticks, &t);
        if (k % 2) UNTIL(atomic_load_explicit(&t.ran, memory_order_relaxed) > k);
        REQUIRE_EQ(leat_pool_stop(&t.p), 0);
        REQUIRE_EQ(side_join(&ticker), -ESHUTDOWN);
        REQUIRE_EQ(t.ran, t.accepted);
    }
}

static int hangs(leat_ctx *ctx, void *arg)
{
    atomic_fetch_add_explicit((_Atomic int *)arg, 1, memory_order_release);
    return leat_sleep_ctx(ctx, LEAT_S(1000));
}

TEST(a_stop_with_a_deadline_that_passes_leaks_neither_worker_nor_job)
{
    leat_pool p;
    leat_stats st;
    _Atomic int there = 0, ran = 0;
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 2 }), 0);
    CHECK_EQ(leat_submit(&p, hangs, &there), 0);
    UNTIL(atomic_load_explicit(&there, memory_order_acquire) == 1);
    CHECK_EQ(leat_submit(&p, counts, &ran), 0);
    CHECK_EQ(leat_pool_stop_ctx(&soon, &p), -ETIMEDOUT);
    CHECK_EQ(leat_pool_abort(&p, NULL, NULL), 0); /* the job that hangs was told, through its context */
    CHECK_EQ(leat_pool_stats(&p, &st), 0);
    CHECK_EQ(st.workers, 0);
    CHECK_EQ(st.dropped, 1);
    CHECK_EQ(ran, 0);
}
