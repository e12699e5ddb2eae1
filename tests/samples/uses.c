/* uses.c - each name of the headers, used once: what does a compiler say of them in a user's program?
 * (t-standalone.sh) */
#ifdef SINGLE
#include "leat.h"
#else
#include "topic.h"
#include "pool.h"
#endif

typedef LEAT_CHAN(int) int_chan;

static int task(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return 0;
}

static void dropped(leat_task *fn, void *arg, void *user)
{
    (void)fn, (void)arg, (void)user;
}

static int64_t contexts(leat_ctx *ctx)
{
    leat_ctx child = LEAT_CTX(ctx), soon = LEAT_CTX_WITHIN(&child, LEAT_MS(5));
    leat_ctx then = LEAT_CTX_UNTIL(&soon, leat_now() + LEAT_S(1) + LEAT_US(1) + LEAT_NS(1));
    int64_t sum = leat_ctx_err(&then) + leat_ctx_cause(&then) + leat_sleep(1) + leat_sleep_ctx(&then, 1);
    leat_cancel(&child, 7);
    return sum + leat_after(LEAT_FOREVER) + leat_cpus() + *leat_strerror(-EPIPE);
}

static int64_t channels(leat_ctx *ctx, int_chan *c)
{
    int m = 7, many[3] = { 1, 2, 3 };
    const int constant = 1;
    leat_case cases[4];
    int64_t sum = leat_make(c, 4);
    sum += leat_send(c, &m) + leat_try_send(c, &m) + leat_send_ctx(ctx, c, &m);
    sum += leat_send(c, &constant) + leat_send(c, &(int){ 3 });
    sum += leat_recv(c, &m) + leat_try_recv(c, &m) + leat_recv_ctx(LEAT_WITHIN(LEAT_MS(5)), c, &m);
    sum += leat_send_many(c, many, 3) + leat_try_send_many(c, many, 3) + leat_send_many_ctx(ctx, c, many, 3);
    sum += leat_recv_many(c, many, 3) + leat_try_recv_many(c, many, 3) + leat_recv_many_ctx(ctx, c, many, 3);
    cases[0] = LEAT_SEND(c, &m);
    cases[1] = LEAT_SEND(c, &(int){ 3 });
    cases[2] = LEAT_RECV(c, &m);
    cases[3] = LEAT_RECV((int_chan *)NULL, &m);
    sum += leat_select(cases, 4) + leat_try_select(cases, 4) + leat_select_ctx(ctx, cases, 4);
    sum += leat_close(c) + leat_is_closed(c) + (int64_t)(leat_len(c) + leat_cap(c));
    leat_free(c);
    return sum;
}

static int64_t semaphores(leat_ctx *ctx)
{
    leat_sem s = LEAT_SEM(8), signals = LEAT_SEM_OF(0, LEAT_SEM_MAX);
    leat_wg w = LEAT_WG(2);
    int64_t sum = leat_acquire(&s, 1) + leat_try_acquire(&s, 1) + leat_acquire_ctx(ctx, &s, 1) + leat_release(&s, 3);
    sum += leat_sem_resize(&s, 1) + leat_sem_available(&s) + leat_sem_close(&s) + leat_release(&signals, 1);
    return sum + leat_try_wg_wait(&w) + leat_wg_add(&w, 1) + leat_wg_done(&w) + leat_wg_wait(&w) + leat_wg_wait_ctx(ctx, &w);
}

static int64_t pools(leat_ctx *ctx, int_chan *c, leat_sem *s)
{
    leat_group g = LEAT_GROUP(ctx);
    leat_pool p;
    leat_stats stats;
    int64_t sum = leat_group_limit(&g, 4) + leat_group_share(&g, s) + leat_group_closes(&g, c);
    sum += leat_go(&g, task, NULL) + leat_try_go(&g, task, NULL) + leat_go_n(&g, 2, task, NULL) + leat_wait(&g);
    sum += (int64_t)leat_group_errors(&g) + leat_ctx_err(leat_group_ctx(&g));
    sum += leat_pool_start(&p, ctx, &(leat_pool_opts){ .workers = 2 }) + leat_submit(&p, task, NULL);
    sum += leat_try_submit(&p, task, NULL) + leat_submit_ctx(ctx, &p, task, NULL) + leat_pool_resize(&p, 3);
    sum += leat_pool_stats(&p, &stats) + leat_pool_stop(&p) + leat_pool_stop_ctx(ctx, &p);
    return sum + leat_pool_abort(&p, dropped, NULL) + leat_cancel_on_signals(ctx, 15, 0);
}

#ifdef SINGLE
static int64_t topics(leat_ctx *ctx, int_chan *c)
{
    (void)ctx, (void)c;
    return 0;
}
#else
static int64_t topics(leat_ctx *ctx, int_chan *c)
{
    LEAT_TOPIC(int) t;
    int m = 7;
    uint64_t version = 0;
    int64_t sum = leat_topic_make(&t, LEAT_KEEPS_LATEST) + leat_subscribe(&t, c, LEAT_WAITS);
    sum += leat_publish(&t, &m) + leat_publish(&t, &(int){ 3 });
    sum += leat_try_publish(&t, &m) + leat_publish_ctx(ctx, &t, &m) + leat_latest(&t, &m);
    sum += leat_latest_after(&t, &m, &version) + leat_try_latest_after(&t, &m, &version);
    sum += leat_latest_after_ctx(LEAT_WITHIN(0), &t, &m, &version);
    sum += leat_topic_drops(&t, c) + leat_topic_close(&t) + leat_unsubscribe(&t, c);
    leat_topic_free(&t);
    return sum;
}
#endif

int main(void)
{
    int_chan c = { .type_ = NULL };
    leat_sem s = LEAT_SEM(4);
    return contexts(NULL) + channels(NULL, &c) + semaphores(NULL) + pools(NULL, &c, &s) + topics(NULL, &c) != 0;
}
