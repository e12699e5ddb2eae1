/* waits.c - a thread parked on each kind of object. When all are, it calls all_are_parked. (t-gdb.sh) */
#include "pool.h"
#include "topic.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

typedef LEAT_CHAN(int) ints;

static struct stage {
    char name[8];
    ints in[2], out;
} stages[3];
static ints meeting, gate, ended;
static leat_sem slots = LEAT_SEM(8);
static leat_wg loaded = LEAT_WG(5);
static leat_group readers = LEAT_GROUP(NULL), sharers = LEAT_GROUP(NULL), last = LEAT_GROUP(NULL);
static leat_sem shared = LEAT_SEM(1);
static leat_pool idlers, workers, stopping, lanes;
static leat_job held;
static leat_ctx nap = LEAT_CTX(NULL), hour;
static LEAT_TOPIC(int) news, olds, weather;
static uint64_t version;
static int one = 1;
static _Atomic int busy;

static __attribute__((noinline)) void all_are_parked(void)
{
    puts("all are parked");
}

/* What each thread does, and each task. The result is kept, so that no compiler makes a tail call, after which the caller
 * of leat is not on the stack any more. */
static volatile int result;
#define THREAD(name, ...) \
    static __attribute__((noinline)) void *name(void *arg) \
    { \
        result = (int)(__VA_ARGS__); \
        return arg; \
    }
#define TASK(name, ...) \
    static __attribute__((noinline)) int name(leat_ctx *ctx, void *arg) \
    { \
        result = (__VA_ARGS__); \
        return (void)ctx, arg != NULL; \
    }

/* clang-format off */
TASK(returns, 0)
TASK(passes, leat_recv_ctx(ctx, &gate, &(int){ 0 }))
TASK(reads, leat_recv_ctx(ctx, &stages[0].in[1], &one))
TASK(waits_in_a_job, leat_recv_ctx(ctx, &stages[0].in[1], &one))
THREAD(sends, leat_send(&stages[1].out, &one))
THREAD(receives, leat_recv_ctx(&hour, &stages[2].in[1], &one))
THREAD(meets, leat_recv(&meeting, &(int){ 0 }))
THREAD(acquires, leat_acquire(&slots, 7))
THREAD(awaits_wg, leat_wg_wait(&loaded))
THREAD(awaits_group, leat_wait(&last))
THREAD(goes, leat_go(&readers, returns, NULL))
THREAD(shares, leat_go(&sharers, returns, NULL))
THREAD(submits, leat_submit(&workers, returns, NULL))
THREAD(stops, leat_pool_stop(&stopping))
THREAD(awaits_job, leat_job_wait(&held, &one))
THREAD(awaits_pool, leat_pool_wait(&lanes))
THREAD(sleeps, leat_sleep_ctx(&nap, LEAT_S(1000000)))
THREAD(publishes, leat_publish(&news, &one))
THREAD(watches, leat_latest_after_ctx(&nap, &weather, &one, &version))
THREAD(has_it_on_a_stack, leat_acquire(arg, 1))
/* clang-format on */

static void *selects(void *arg)
{
    int got;
    leat_case cases[3] = { LEAT_RECV(&stages[0].in[0], &got), LEAT_SEND((ints *)0, &one), LEAT_SEND(&stages[1].out, &one) };
    result = leat_select(cases, 3);
    return arg;
}

static void *has_it_on_the_heap(void *arg)
{
    struct stage *stage = arg;
    result = leat_recv(&stage->out, &one);
    return stage;
}

static int runs(leat_ctx *ctx, void *arg)
{
    atomic_fetch_add(&busy, 1);
    while (!leat_ctx_err(ctx)) pause();
    return arg != NULL;
}

/* How many threads sleep in this queue. */
static int asleep(leat_lock_ *lock, leat_waitq_ *queue)
{
    int n = 0;
    leat_lock_take_(lock);
    for (leat_node_ *l = queue->first_; l; l = l->next_) n += leat_is_asleep_(l->waiter_);
    leat_lock_drop_(lock);
    return n;
}

static void until(int n, leat_lock_ *lock, leat_waitq_ *queue)
{
    for (unsigned round = 0; asleep(lock, queue) < n; leat_backoff_(&round)) {}
}
#define UNTIL_SENDERS(n, c) until(n, &(c).chan.lock_, &(c).chan.ends_[LEAT_RECEIVES_].peers_)
#define UNTIL_RECEIVERS(n, c) until(n, &(c).chan.lock_, &(c).chan.ends_[LEAT_SENDS_].peers_)
#define UNTIL(n, x) until(n, &(x).lock_, &(x).waiters_)

static void start(void *(*thread)(void *), void *arg)
{
    pthread_t id;
    if (pthread_create(&id, NULL, thread, arg)) abort();
}

static void channels(void)
{
    for (int i = 0; i < 3; i++) leat_make(&stages[i].in[0], 4), leat_make(&stages[i].in[1], 4), leat_make(&stages[i].out, 3);
    for (int i = 0; i < 7; i++) leat_send(&stages[1].out, &i), leat_recv(&stages[1].out, &one); /* into the third lap */
    for (int i = 0; i < 3; i++) leat_send(&stages[1].out, &i);
    start(sends, NULL);
    start(selects, NULL);
    UNTIL_SENDERS(2, stages[1].out);
    start(receives, NULL);
    UNTIL_RECEIVERS(1, stages[2].in[1]);
    start(meets, NULL);
    UNTIL_RECEIVERS(1, meeting);
    leat_make(&ended, 5);
    leat_send(&ended, &one), leat_send(&ended, &one), leat_close(&ended);
}

static void semaphores(void)
{
    leat_acquire(&slots, 6);
    start(acquires, NULL);
    start(acquires, NULL);
    UNTIL(2, slots);
    start(awaits_wg, NULL);
    UNTIL(1, loaded);
    start(sleeps, NULL);
    UNTIL(1, nap);
}

static void groups(void)
{
    leat_group_limit(&readers, 2);
    leat_go_n(&readers, 2, reads, NULL);
    start(goes, NULL);
    UNTIL(1, readers.idle_);
    leat_group_share(&sharers, &shared);
    leat_go(&sharers, reads, NULL);
    start(shares, NULL);
    UNTIL(1, shared);
    leat_go_n(&last, 2, passes, NULL);
    UNTIL_RECEIVERS(2, gate);
    leat_close(&gate);
    until(2, &last.threads_.lock_, &last.waiting_);
    leat_go(&last, reads, NULL);
    start(awaits_group, NULL);
    UNTIL(1, last.running_);
    UNTIL_RECEIVERS(4, stages[0].in[1]);
}

static void pools(void)
{
    leat_pool_start(&idlers, NULL, &(leat_pool_opts){ .workers = 2, .queue = 7, .name = "idler" });
    UNTIL_RECEIVERS(2, idlers.lane_->queue_);
    leat_pool_start(&workers, NULL, &(leat_pool_opts){ .workers = 1, .queue = 3, .name = "worker" });
    leat_submit(&workers, waits_in_a_job, NULL);
    UNTIL_RECEIVERS(5, stages[0].in[1]);
    for (int i = 0; i < 3; i++) leat_submit(&workers, returns, NULL);
    start(submits, NULL);
    UNTIL_SENDERS(1, workers.lane_->queue_);
    leat_pool_start(&stopping, NULL, &(leat_pool_opts){ .workers = 1, .queue = 2, .name = "stopping" });
    leat_submit(&stopping, runs, NULL);
    start(stops, NULL);
    UNTIL(1, stopping.running_);
    leat_pool_start(&lanes, NULL, &(leat_pool_opts){ .workers = 1, .queue = 2, .lanes = 3, .name = "lanes" });
    leat_submit_lane(&lanes, 2, waits_in_a_job, NULL);
    UNTIL_RECEIVERS(6, stages[0].in[1]);
    held = (leat_job)LEAT_JOB(returns, NULL);
    held.lane = 1;
    leat_submit_job(&lanes, &held);
    leat_submit_lane(&lanes, 2, returns, NULL);
    start(awaits_job, NULL);
    UNTIL(1, held);
    start(awaits_pool, NULL);
    until(1, &lanes.threads_.lock_, &lanes.idlers_);
    for (unsigned round = 0; !atomic_load(&busy); leat_backoff_(&round)) {}
}

int main(void)
{
    static ints reader;
    leat_sem on_a_stack = LEAT_SEM_OF(0, LEAT_SEM_MAX);
    struct stage *heap = calloc(1, sizeof *heap);
    hour = (leat_ctx)LEAT_CTX_WITHIN(&nap, LEAT_S(3600));
    channels();
    semaphores();
    groups();
    pools();
    leat_topic_make(&news, 0);
    leat_topic_make(&weather, LEAT_KEEPS_LATEST);
    start(watches, NULL);
    until(1, &weather.topic.watches_, &weather.topic.watchers_);
    leat_make(&reader, 1);
    leat_subscribe(&news, &reader, LEAT_WAITS);
    leat_publish(&news, &one);
    leat_publish(&olds, &one);
    start(publishes, NULL);
    UNTIL_SENDERS(1, reader);
    if (!heap) abort();
    leat_make(&heap->out, 9);
    start(has_it_on_the_heap, heap);
    UNTIL_RECEIVERS(1, heap->out);
    start(has_it_on_a_stack, &on_a_stack);
    UNTIL(1, on_a_stack);
    all_are_parked();
    return 0;
}
