// calls.cc - every public call, from C++. It compiles without a warning by every standard since C++11.
// SPDX-License-Identifier: MIT
#include "pool.h"
#include "queue.h"
#include "semaphore.h"
#include "topic.h"

struct job {
    int id;
    long more;
};
typedef LEAT_CHAN(struct job) job_chan;
typedef LEAT_CHAN_FOR(LEAT_ONE_SENDER | LEAT_ONE_RECEIVER, job) feed_chan;
typedef LEAT_TOPIC(job) job_topic;

static job_chan jobs;
static LEAT_CHAN(const char *) names;
static LEAT_CHAN(void (*)(int)) functions;
static LEAT_CHAN(char[16]) lines;
static leat_sem slots = LEAT_SEM(8), signalled = LEAT_SEM_OF(0, LEAT_SEM_MAX);
static leat_wg running = LEAT_WG(0);

static int task(leat_ctx *, void *) { return 0; }
static void dropped(leat_task *, void *, void *) {}

int time_and_contexts();
int time_and_contexts()
{
    leat_ctx ctx = LEAT_CTX(nullptr), soon = LEAT_CTX_WITHIN(&ctx, LEAT_MS(5)), then = LEAT_CTX_UNTIL(nullptr, leat_after(LEAT_S(1)));
    static_assert(LEAT_US(3) == 3000 && LEAT_S(INT64_MAX) == LEAT_FOREVER && LEAT_NS(7u) == 7, "times are constants");
    leat_cancel(&ctx, -7);
    int err = leat_ctx_err(&soon) + leat_ctx_cause(&then) + leat_sleep(LEAT_NS(1)) + leat_sleep_ctx(&ctx, 5);
    return err + leat_cpus() + (leat_ctx_deadline(&soon) < leat_now()) + (leat_strerror(err) != nullptr);
}

int channels(leat_ctx *ctx, feed_chan *feed);
int channels(leat_ctx *ctx, feed_chan *feed)
{
    job j = { 1, 2 }, got[2];
    const job constant = j;
    job many[] = { { 1, 1 }, { 2, 2 } };
    int err = leat_make(&jobs, 8) | leat_make(feed, 8) | leat_make(&names, 1) | leat_make(&functions, 1) | leat_make(&lines, 1);
    err |= leat_send(&jobs, &j) | leat_send(&jobs, &constant) | leat_send(&jobs, job{ 7, 8 }) | leat_send(&jobs, { 9, 9 }) |
           leat_send(&jobs, many);
    err |= leat_try_send(&jobs, &j) | leat_try_send(&jobs, j) | leat_send_ctx(ctx, &jobs, &j) | leat_send_ctx(ctx, &jobs, j);
    err |= leat_send_ctx(LEAT_WITHIN(LEAT_MS(20)), feed, &j);
    err |= leat_recv(&jobs, &j) | leat_try_recv(&jobs, got) | leat_recv_ctx(LEAT_WITHIN(LEAT_S(1)), &jobs, &j);
    err |= int(leat_send_many(&jobs, many, 2) + leat_try_send_many(&jobs, many, 2) + leat_send_many_ctx(ctx, &jobs, many, 2));
    err |= int(leat_recv_many(&jobs, got, 2) + leat_try_recv_many(&jobs, got, 2) + leat_recv_many_ctx(ctx, &jobs, got, 2));
    const char *name = "name";
    char line[16] = "line";
    err |= leat_send(&names, name) | leat_try_send(&names, &name) | leat_send(&functions, +[](int) {}) | leat_send(&lines, &line);
    leat_case cases[] = { LEAT_SEND(&jobs, &j), LEAT_SEND(&jobs, j), LEAT_RECV(&jobs, got), LEAT_RECV(feed, got) };
    err |= leat_select(cases, 4) + leat_try_select(cases, 4) + leat_select_ctx(ctx, cases, 4) + cases[0].err;
    err |= leat_select_first(cases, 4) + leat_try_select_first(cases, 4) + leat_select_first_ctx(ctx, cases, 4);
    leat_pollable w;
    err |= leat_pollable_recv(&w, &jobs) | leat_pollable_send(&w, &jobs) | leat_pollable_ctx(&w, ctx) | leat_pollable_rearm(&w);
    leat_pollable_close(&w);
    err |= int(leat_len(&jobs) + leat_cap(&jobs)) + leat_is_closed(&jobs) + leat_close(&jobs);
    leat_free(&jobs);
    return err;
}

int semaphores(leat_ctx *ctx);
int semaphores(leat_ctx *ctx)
{
    int err = leat_acquire(&slots, 1) | leat_try_acquire(&slots, 1) | leat_acquire_ctx(ctx, &slots, 1) | leat_release(&slots, 3);
    err |= leat_sem_resize(&slots, 1) | leat_sem_close(&signalled) | int(leat_sem_available(&slots));
    err |= leat_wg_add(&running, 1) | leat_wg_done(&running) | leat_wg_wait(&running) | leat_try_wg_wait(&running);
    return err | leat_wg_wait_ctx(ctx, &running);
}

int groups(leat_ctx *ctx);
int groups(leat_ctx *ctx)
{
    leat_group g = LEAT_GROUP(ctx), stage = LEAT_GROUP(nullptr);
    leat_thread_opts opts = leat_thread_opts();
    int err = leat_group_limit(&g, 2) | leat_group_share(&g, &slots) | leat_group_within(&stage, &g) | leat_group_threads(&g, &opts);
    err |= leat_go(&g, task, nullptr) | leat_try_go(&g, task, nullptr) | leat_go_ctx(ctx, &g, task, nullptr);
    err |= leat_go_n(&g, 2, task, nullptr) | leat_try_go_n(&g, 2, task, nullptr) | leat_go_n_ctx(ctx, &g, 2, task, nullptr);
    err |= leat_group_closes(&g, &jobs) | leat_ctx_err(leat_group_ctx(&g)) | int(leat_group_errors(&g));
    err |= leat_try_wait(&g) | leat_wait_ctx(ctx, &g) | leat_wait(&g);
#if defined __cpp_exceptions
    leat_group_rethrow(&g);
#endif
    return err | leat_cancel_on_signals(ctx, 15, 0);
}

int pools(leat_ctx *ctx);
int pools(leat_ctx *ctx)
{
    leat_pool p;
    leat_pool_opts opts = leat_pool_opts();
    leat_stats stats;
    leat_job j = LEAT_JOB(task, nullptr);
    job value = { 1, 2 };
    const job constant = value;
    int result;
    opts.queue = LEAT_NO_QUEUE;
    int err = leat_pool_start(&p, ctx, &opts);
    err |= leat_submit(&p, task, nullptr) | leat_try_submit(&p, task, nullptr) | leat_submit_ctx(ctx, &p, task, nullptr);
    err |= leat_submit_lane(&p, 0, task, nullptr) | leat_try_submit_lane(&p, 0, task, nullptr) | leat_submit_lane_ctx(ctx, &p, 0, task, nullptr);
    err |= leat_submit_value(&p, task, &value) | leat_try_submit_value(&p, task, &value) | leat_submit_value_ctx(ctx, &p, task, &constant);
    err |= leat_submit_job(&p, &j) | leat_try_submit_job(&p, &j) | leat_submit_job_ctx(ctx, &p, &j) | leat_job_cancel(&j);
    err |= leat_job_wait(&j, &result) | leat_try_job_wait(&j, &result) | leat_job_wait_ctx(ctx, &j, &result);
    err |= leat_pool_wait(&p) | leat_try_pool_wait(&p) | leat_pool_wait_ctx(ctx, &p) | leat_pool_stats(&p, &stats);
    err |= leat_pool_resize(&p, 2) | leat_try_pool_resize(&p, 2) | leat_pool_resize_ctx(ctx, &p, 2);
    err |= leat_try_pool_stop(&p) | leat_pool_stop_ctx(ctx, &p) | leat_pool_stop(&p);
    err |= leat_try_pool_abort(&p, dropped, nullptr) | leat_pool_abort_ctx(ctx, &p, dropped, nullptr) | leat_pool_abort(&p, dropped, nullptr);
    return err;
}

int topics(leat_ctx *ctx, job_topic *t);
int topics(leat_ctx *ctx, job_topic *t)
{
    job j = { 1, 2 };
    uint64_t version = 0;
    int err = leat_topic_make(t, LEAT_KEEPS_LATEST) | leat_subscribe(t, &jobs, LEAT_DROPS_OLDEST | LEAT_LATEST_FIRST);
    err |= int(leat_publish(t, &j) + leat_publish(t, job{ 7, 8 }) + leat_try_publish(t, &j) + leat_try_publish(t, j));
    err |= int(leat_publish_ctx(ctx, t, &j) + leat_publish_ctx(LEAT_WITHIN(1), t, j) + leat_topic_drops(t, &jobs));
    err |= leat_latest(t, &j) | leat_latest_after(t, &j, &version) | leat_try_latest_after(t, &j, &version) |
           leat_latest_after_ctx(ctx, t, &j, &version);
    err |= leat_unsubscribe(t, &jobs) | leat_topic_close(t);
    leat_topic_free(t);
    return err;
}
