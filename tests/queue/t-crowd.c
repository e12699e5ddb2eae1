/* t-crowd.c - thousands of parked threads are woken in a time that grows as their number, not as its square: nothing
 * wakes, cancels or closes while it holds a lock that the woken threads take. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#define LEAT_NO_URCU
#include "semaphore.h"
#include "staging.h"
#include "topic.h"

#include <sys/resource.h>

typedef LEAT_TOPIC(int) int_topic;

enum { MOST = 2000 };

static struct {
    int n;
    pthread_t thread[MOST];
    int_chan own[MOST], c;
    int_topic topic;
    leat_ctx top, ctx;
    leat_sem sem;
    leat_wg wg;
    _Atomic int wrong;
} crowd;

static int64_t cpu_time(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return LEAT_S(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + LEAT_US(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Spawns as many threads as possible. Each runs `play` with a number of its own. */
static void spawn_all(void *play(void *))
{
    pthread_attr_t attr;
    crowd.n = 0;
    crowd.top = (leat_ctx)LEAT_CTX(NULL);
    crowd.ctx = (leat_ctx)LEAT_CTX(&crowd.top);
    crowd.sem = (leat_sem)LEAT_SEM_OF(0, MOST);
    crowd.wg = (leat_wg)LEAT_WG(1);
    REQUIRE_EQ(leat_make(&crowd.c, 1), 0);
    REQUIRE(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 256 << 10) == 0);
    while (crowd.n < tap_rounds(MOST) && pthread_create(&crowd.thread[crowd.n], &attr, play, &crowd.own[crowd.n]) == 0)
        crowd.n++;
    pthread_attr_destroy(&attr);
}

/* Ends all their waits by `ends`. That, and the threads' exit, may take little CPU time for each thread: a convoy
 * takes a hundred times as much for two thousand. */
static void end_all(void (*ends)(void))
{
    int64_t from = cpu_time();
    ends();
    for (int i = 0; i < crowd.n; i++) pthread_join(crowd.thread[i], NULL);
    int64_t each = (cpu_time() - from) / (crowd.n ? crowd.n : 1);
    if (!CHECK(each < LEAT_MS(TAP_SLOW || TAP_FEW ? 10 : 1))) tap_note("%d threads, %lld ns each", crowd.n, (long long)each);
    CHECK_EQ(crowd.wrong, 0);
    leat_free(&crowd.c);
    if (crowd.n < tap_rounds(MOST)) tap_note("only %d threads could be made", crowd.n);
}

static void expect(int got, int wanted)
{
    if (got != wanted) atomic_fetch_add_explicit(&crowd.wrong, 1, memory_order_relaxed);
}

static void close_chan(void)
{
    leat_close(&crowd.c);
}
static void close_topic(void)
{
    leat_topic_close(&crowd.topic);
}
static void publish_and_close(void)
{
    CHECK_EQ(leat_publish(&crowd.topic, &(int){ 7 }), 0);
    close_topic();
}
static void close_sem(void)
{
    leat_sem_close(&crowd.sem);
}
static void release_all(void)
{
    leat_release(&crowd.sem, MOST);
}
static void count_down(void)
{
    leat_wg_done(&crowd.wg);
}
static void cancel_top(void)
{
    leat_cancel(&crowd.top, 0);
}
static void do_nothing(void)
{
}

static void *receives(void *own)
{
    int m;
    (void)own;
    expect(leat_recv(&crowd.c, &m), -EPIPE);
    return NULL;
}

static void *listens(void *own)
{
    int_chan *c = own;
    int m;
    expect(leat_recv(c, &m), -EPIPE);
    expect(leat_unsubscribe(&crowd.topic, c), 0);
    leat_free(c);
    return NULL;
}

/* Once it has been woken, it wants to be in the queue again. */
static void *watches(void *own)
{
    int m = 0;
    uint64_t version = 0;
    (void)own;
    expect(leat_latest_after(&crowd.topic, &m, &version), 0);
    expect(m, 7);
    expect(leat_latest_after(&crowd.topic, &m, &version), -EPIPE);
    return NULL;
}

static void *receives_under_ctx(void *own)
{
    leat_ctx ctx = LEAT_CTX(&crowd.ctx);
    int m;
    (void)own;
    expect(leat_recv_ctx(&ctx, &crowd.c, &m), -ECANCELED);
    return NULL;
}

static int64_t deadline;

static void *receives_until(void *own)
{
    leat_ctx ctx = LEAT_CTX_UNTIL(&crowd.ctx, deadline);
    int m;
    (void)own;
    expect(leat_recv_ctx(&ctx, &crowd.c, &m), -ETIMEDOUT);
    return NULL;
}

static void *acquires(void *own)
{
    (void)own;
    int err = leat_acquire(&crowd.sem, 1);
    expect(!err || err == -EPIPE, true);
    return NULL;
}

static void *waits(void *own)
{
    (void)own;
    expect(leat_wg_wait(&crowd.wg), 0);
    return NULL;
}

TEST(a_close_ends_thousands_of_receives)
{
    spawn_all(receives);
    UNTIL(receivers(&crowd.c) == crowd.n);
    end_all(close_chan);
}

TEST(a_topic_that_closes_lets_thousands_unsubscribe)
{
    crowd.topic = (int_topic){ .type_ = NULL };
    for (int i = 0; i < MOST; i++) {
        REQUIRE_EQ(leat_make(&crowd.own[i], 1), 0);
        REQUIRE_EQ(leat_subscribe(&crowd.topic, &crowd.own[i], LEAT_DROPS_OLDEST), 0);
    }
    spawn_all(listens);
    for (int i = 0; i < crowd.n; i++) UNTIL(receivers(&crowd.own[i]) == 1);
    end_all(close_topic);
    for (int i = crowd.n; i < MOST; i++) leat_free(&crowd.own[i]);
    leat_topic_free(&crowd.topic);
}

TEST(one_publish_wakes_thousands_that_watch)
{
    REQUIRE_EQ(leat_topic_make(&crowd.topic, LEAT_KEEPS_LATEST), 0);
    spawn_all(watches);
    UNTIL(in_queue_(&crowd.topic.topic.watches_, &crowd.topic.topic.watchers_) == crowd.n);
    end_all(publish_and_close);
    leat_topic_free(&crowd.topic);
}

TEST(a_cancel_ends_thousands_of_waits_below)
{
    spawn_all(receives_under_ctx);
    UNTIL(receivers(&crowd.c) == crowd.n);
    end_all(cancel_top);
}

TEST(one_deadline_ends_thousands_of_waits)
{
    deadline = leat_after(LEAT_MS(300));
    spawn_all(receives_until);
    end_all(do_nothing);
}

TEST(one_release_serves_thousands)
{
    spawn_all(acquires);
    UNTIL(in_queue_(&crowd.sem.lock_, &crowd.sem.waiters_) == crowd.n);
    end_all(release_all);
}

TEST(a_close_of_a_semaphore_ends_thousands_of_acquires)
{
    spawn_all(acquires);
    UNTIL(in_queue_(&crowd.sem.lock_, &crowd.sem.waiters_) == crowd.n);
    end_all(close_sem);
}

TEST(zero_releases_thousands)
{
    spawn_all(waits);
    UNTIL(in_queue_(&crowd.wg.lock_, &crowd.wg.waiters_) == crowd.n);
    end_all(count_down);
}
