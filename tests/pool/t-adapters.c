/* t-adapters.c - the shapes of four pools that C programs use, each a few lines over pool.h. No call allocates for a job,
 * none keeps a list of tickets, and each keeps what its original promises.
 * SPDX-License-Identifier: MIT
 *
 * The interfaces are in our own words. They stand for: the pool of a compressor (jobs without results, a submit that waits
 * for room, one that does not, a wait until all have ended, a change of the number of threads); the work queue of an event
 * loop (a request that its caller holds, a callback on the loop's thread, a cancel); a small pool with pause and a count of
 * the busy threads; and a pool whose end is graceful or immediate. */
#include <poll.h>

#include "counted.h"
#include "jobs.h"

static _Atomic int ran;

/* ==== 1. A compressor's pool ==================================================================== */

typedef void compress_fn(void *opaque);
typedef struct {
    compress_fn *fn;
    void *opaque;
} compress_job;
typedef leat_pool compressor;

static int compress_runs(leat_ctx *ctx, void *arg)
{
    compress_job *job = arg;
    (void)ctx;
    job->fn(job->opaque);
    return 0;
}

static int compressor_create(compressor *c, int threads, int queue)
{
    leat_pool_opts opts = { .workers = threads, .queue = queue ? queue : LEAT_NO_QUEUE, .value_size = sizeof(compress_job) };
    return threads < 1 ? -EINVAL : leat_pool_start(c, NULL, &opts);
}

static void compressor_add(compressor *c, compress_fn *fn, void *opaque)
{
    REQUIRE_EQ(leat_submit_value(c, compress_runs, (&(compress_job){ fn, opaque })), 0);
}

static bool compressor_try_add(compressor *c, compress_fn *fn, void *opaque)
{
    return leat_try_submit_value(c, compress_runs, (&(compress_job){ fn, opaque })) == 0;
}

static void compressor_join_jobs(compressor *c)
{
    CHECK_EQ(leat_pool_wait(c), 0);
}

static int compressor_resize(compressor *c, int threads)
{
    return leat_pool_resize(c, threads);
}

static void compressor_free(compressor *c)
{
    CHECK_EQ(leat_pool_stop(c), 0);
}

static void adds_one(void *opaque)
{
    atomic_fetch_add((_Atomic int *)opaque, 1);
}

static void passes_door(void *opaque)
{
    door_pass(opaque);
}

TEST(a_compressors_pool_with_and_without_a_queue)
{
    for (int queue = 0; queue <= 3; queue += 3) {
        compressor c;
        ran = 0;
        CHECK_EQ(compressor_create(&c, 0, queue), -EINVAL);
        REQUIRE_EQ(compressor_create(&c, 2, queue), 0);
        for (int round = 1; round <= 20; round++) {
            for (int i = 0; i < 50; i++) compressor_add(&c, adds_one, (void *)&ran);
            compressor_join_jobs(&c);
            CHECK_EQ(ran, 50 * round);
            CHECK_EQ(compressor_resize(&c, 1 + round % 4), 0);
        }
        CHECK_EQ(compressor_resize(&c, 1), 0);
        door d = { 0 };
        compressor_add(&c, passes_door, &d);
        door_until(&d, 1);
        for (int i = 0; i < queue; i++) CHECK(compressor_try_add(&c, adds_one, (void *)&ran));
        CHECK(!compressor_try_add(&c, adds_one, (void *)&ran));
        door_open(&d);
        compressor_free(&c);
        CHECK_EQ(ran, 1000 + queue);
    }
}

#ifndef NO_COUNT
TEST(a_job_of_a_compressors_pool_allocates_nothing)
{
    compressor c;
    REQUIRE_EQ(compressor_create(&c, 2, 8), 0);
    long before = allocations;
    for (int i = 0; i < 1000; i++) compressor_add(&c, adds_one, (void *)&ran);
    compressor_join_jobs(&c);
    CHECK_EQ(allocations, before);
    compressor_free(&c);
}
#endif

/* ==== 2. An event loop's work queue ============================================================= */

struct request;
typedef LEAT_CHAN(struct request *) requests;

typedef struct {
    leat_pool *pool;
    requests done; /* those whose callback is due */
    leat_pollable ready;
    int fd, active;
} loop;

typedef struct request {
    leat_job job;
    loop *loop;
    void (*work)(struct request *);
    void (*after)(struct request *, int status);
    int status, value;
} request;

static int request_runs(leat_ctx *ctx, void *arg)
{
    request *r = arg;
    (void)ctx;
    r->work(r);
    return leat_send(&r->loop->done,
                     &r); /* the loop's channel has as many places as there are requests, so this waits for nothing */
}

static void loop_init(loop *l, leat_pool *p, size_t most)
{
    *l = (loop){ .pool = p };
    REQUIRE_EQ(leat_make(&l->done, most), 0);
    l->fd = leat_pollable_recv(&l->ready, &l->done);
    REQUIRE(l->fd >= 3);
}

static int loop_queue_work(loop *l, request *r, void (*work)(request *), void (*after)(request *, int))
{
    *r = (request){ .job = LEAT_JOB(request_runs, r), .loop = l, .work = work, .after = after, .value = r->value };
    int err = leat_submit_job(l->pool, &r->job);
    l->active += !err;
    return err;
}

static int loop_cancel(request *r)
{
    int err = leat_job_cancel(&r->job);
    if (err) return -EBUSY;
    r->status = -ECANCELED;
    return leat_send(&r->loop->done, &r);
}

/* One turn: sleeps in poll until a callback is due. */
static void loop_turn(loop *l)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };
    int err;
    REQUIRE(poll(&p, 1, -1) == 1);
    do {
        for (request *r; (err = leat_try_recv(&l->done, &r)) == 0;) {
            if (!r->status) CHECK_EQ(leat_job_wait(&r->job, NULL), 0); /* its worker lets go of it: r may be freed now */
            l->active--;
            r->after(r, r->status);
        }
    } while (err == -EAGAIN && leat_pollable_rearm(&l->ready));
}

static void loop_close(loop *l)
{
    while (l->active) loop_turn(l);
    leat_pollable_close(&l->ready);
    leat_free(&l->done);
}

static pthread_t loops_thread;
static int after_ok, after_cancelled;

static void squares(request *r)
{
    CHECK(!pthread_equal(pthread_self(), loops_thread));
    r->value *= r->value;
}

static void checks(request *r, int status)
{
    CHECK(pthread_equal(pthread_self(), loops_thread));
    after_ok += status == 0;
    after_cancelled += status == -ECANCELED;
    free(r);
}

TEST(an_event_loops_work_is_done_elsewhere_and_its_callback_comes_once_on_the_loop)
{
    leat_pool p;
    loop l;
    int n = tap_rounds(3000), cancelled = 0;
    after_ok = after_cancelled = 0;
    loops_thread = pthread_self();
    REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 64 }), 0);
    loop_init(&l, &p, (size_t)n);
    for (int i = 0; i < n; i++) {
        request *r = calloc(1, sizeof *r);
        REQUIRE(r != NULL);
        r->value = i;
        REQUIRE_EQ(loop_queue_work(&l, r, squares, checks), 0);
        if (i % 5 == 0) cancelled += loop_cancel(r) == 0;
        if (i % 64 == 0) loop_turn(&l);
    }
    loop_close(&l);
    CHECK_EQ(after_ok + after_cancelled, n);
    CHECK_EQ(after_cancelled, cancelled);
    CHECK_EQ(leat_pool_stop(&p), 0);
}

/* ==== 3. A small pool with pause and a count of the busy ======================================== */

/* Paused: each worker gets a job that waits at the door until the pool goes on. */
typedef struct {
    leat_pool pool;
    int threads;
    door door;
} small;

static int small_create(small *s, int threads)
{
    s->threads = threads;
    return leat_pool_start(&s->pool, NULL, &(leat_pool_opts){ .workers = threads, .queue = 1000, .lanes = 2 });
}

static void small_pause(small *s)
{
    s->door = (door){ 0 };
    for (int i = 0; i < s->threads; i++) REQUIRE_EQ(leat_submit(&s->pool, at_door, &s->door), 0); /* lane 0 goes first */
    door_until(&s->door, s->threads);
}

static void small_resume(small *s)
{
    door_open(&s->door);
}

static int small_busy(small *s)
{
    leat_stats st;
    return leat_pool_stats(&s->pool, &st) ? -1 : (int)st.busy;
}

static int small_add(small *s, leat_task *fn, void *arg)
{
    return leat_submit_lane(&s->pool, 1, fn, arg);
}

TEST(a_paused_pool_starts_no_job_and_then_goes_on)
{
    small s;
    ran = 0;
    REQUIRE_EQ(small_create(&s, 2), 0);
    small_pause(&s);
    for (int i = 0; i < 100; i++) CHECK_EQ(small_add(&s, counts, (void *)&ran), 0);
    CHECK_EQ(ran, 0);
    small_resume(&s);
    CHECK_EQ(leat_pool_wait(&s.pool), 0);
    CHECK_EQ(ran, 100);
    CHECK_EQ(leat_pool_stop(&s.pool), 0);
}

TEST(a_small_pool_says_how_many_threads_are_busy_and_waits_until_none_is)
{
    small s;
    door d = { 0 };
    ran = 0;
    REQUIRE_EQ(small_create(&s, 3), 0);
    CHECK_EQ(small_busy(&s), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(small_add(&s, at_door, &d), 0);
    door_until(&d, 3);
    CHECK_EQ(small_busy(&s), 3);
    for (int i = 0; i < 100; i++) CHECK_EQ(small_add(&s, counts, (void *)&ran), 0);
    door_open(&d);
    CHECK_EQ(leat_pool_wait(&s.pool), 0);
    CHECK_EQ(small_busy(&s), 0);
    CHECK_EQ(ran, 100);
    CHECK_EQ(leat_pool_stop(&s.pool), 0);
}

/* ==== 4. A pool whose end is graceful or immediate ============================================== */

static int threadpool_destroy(leat_pool *p, bool graceful)
{
    return graceful ? leat_pool_stop(p) : leat_pool_abort(p, NULL, NULL);
}

TEST(an_end_that_is_graceful_runs_what_is_queued_and_one_that_is_immediate_does_not)
{
    for (int graceful = 0; graceful < 2; graceful++) {
        leat_pool p;
        leat_stats st;
        door d = { 0 };
        ran = 0;
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .queue = 50 }), 0);
        REQUIRE_EQ(leat_submit(&p, at_door, &d), 0);
        door_until(&d, 1);
        for (int i = 0; i < 50; i++) REQUIRE_EQ(leat_submit(&p, counts, (void *)&ran), 0);
        CHECK_EQ(leat_try_submit(&p, counts, (void *)&ran), -EAGAIN); /* full is said, not hidden */
        if (!graceful) CHECK_EQ(leat_try_pool_abort(&p, NULL, NULL), -EAGAIN);
        door_open(&d);
        CHECK_EQ(threadpool_destroy(&p, graceful), 0);
        CHECK_EQ(ran, graceful ? 50 : 0);
        CHECK_EQ(leat_pool_stats(&p, &st), 0);
        CHECK_EQ(st.dropped, graceful ? 0 : 50);
    }
}
