/* first.c - scenarios of what came first: a context that was cancelled before something came wins over it; a thread
 * that was released goes on. SPDX-License-Identifier: MIT */
#include "scene.h"

#include "semaphore.h"

static leat_ctx parent, ctx, later;
static leat_sem sem;
static leat_wg wg;
static int err_of[SIM_THREADS], seen;
static _Atomic int returned;

/* ==== A context that was cancelled first ====================================================== */

/* One thread waits. Another cancels, and then brings what the first waits for. The wait returns -ECANCELED (I8). */

enum { RECV, RECV_CLOSE, SEND, SEND_CLOSE, RECV_MANY, SEND_MANY, SELECT, SELECT_SEND, ACQUIRE, ACQUIRE_CLOSE, ZERO };

static void *waits(void *arg)
{
    int m[3] = { 1, 2, 3 }, i = ID(arg);
    leat_case cases[] = { LEAT_RECV(&d, &m[0]), now_->a == SELECT ? LEAT_RECV(&c, &m[1]) : LEAT_SEND(&c, &m[1]) };
    switch (now_->a) {
    case RECV:
    case RECV_CLOSE: err_of[i] = leat_recv_ctx(&ctx, &c, m); break;
    case SEND:
    case SEND_CLOSE: err_of[i] = leat_send_ctx(&ctx, &c, m); break;
    case RECV_MANY: err_of[i] = (int)leat_recv_many_ctx(&ctx, &c, m, 3); break;
    case SEND_MANY: err_of[i] = (int)leat_send_many_ctx(&ctx, &c, m, 3); break;
    case SELECT:
    case SELECT_SEND: err_of[i] = leat_select_ctx(&ctx, cases, 2); break;
    case ACQUIRE:
    case ACQUIRE_CLOSE: err_of[i] = leat_acquire_ctx(&ctx, &sem, 1); break;
    case ZERO: err_of[i] = leat_wg_wait_ctx(&ctx, &wg); break;
    }
    return NULL;
}

static void *cancels_and_goes_on(void *arg)
{
    int m = 7;
    leat_cancel(ID(arg) ? &parent : &ctx, 0);
    switch (now_->a) { /* no thread may take from it, or give to it. Then it ends with `later` */
    case RECV:
    case SELECT:
    case RECV_MANY: leat_send_ctx(&later, &c, &m); break;
    case SEND:
    case SELECT_SEND:
    case SEND_MANY: leat_recv_ctx(&later, &c, &m); break;
    case RECV_CLOSE:
    case SEND_CLOSE: leat_close(&c); break;
    case ACQUIRE: leat_release(&sem, 1); break;
    case ACQUIRE_CLOSE: leat_sem_close(&sem); break;
    case ZERO: leat_wg_done(&wg); break;
    }
    return NULL;
}

#define EACH_KIND(cap_) \
    { .a = RECV, .cap = cap_ }, { .a = RECV_CLOSE, .cap = cap_ }, { .a = SEND, .cap = cap_ }, \
        { .a = SEND_CLOSE, .cap = cap_ }, { .a = RECV_MANY, .cap = cap_ }, { .a = SEND_MANY, .cap = cap_ }, \
        { .a = SELECT, .cap = cap_ }, \
    { \
        .a = SELECT_SEND, .cap = cap_ \
    }

SCENARIO(cancelled_first, EACH_KIND(0), EACH_KIND(1), EACH_KIND(3), { .a = ACQUIRE }, { .a = ACQUIRE_CLOSE }, { .a = ZERO },
         { .a = RECV, .cap = 0, .each = 1 }, { .a = RECV, .cap = 1, .each = 1 }, { .a = SELECT, .cap = 0, .each = 1 },
         { .a = ACQUIRE, .each = 1 }, { .a = ZERO, .each = 1 }, { .a = SEND, .cap = 0, .each = 1, .senders = 1 })
{
    now_ = k;
    make(&c, k->cap, "c");
    make(&d, k->cap, "d");
    parent = later = (leat_ctx)LEAT_CTX(NULL);
    ctx = (leat_ctx)LEAT_CTX(&parent);
    sem = (leat_sem)LEAT_SEM_OF(0, 1);
    wg = (leat_wg)LEAT_WG(1);
    name_ctx(&parent, "parent");
    name_ctx(&ctx, "ctx");
    name_ctx(&later, "later");
    if (k->a == SEND || k->a == SEND_CLOSE || k->a == SEND_MANY || k->a == SELECT_SEND) fill(&c, 9);
    int waiter = GO(waits, 0);
    GO(cancels_and_goes_on, k->each); /* each: the parent is cancelled */
    sim_join_one(waiter);
    EXPECT(err_of[0] == -ECANCELED);
    leat_cancel(&later, 0);
    sim_join();
    EXPECT(no_thread_waits(&c) && no_thread_waits(&d));
    EXPECT(!parent.waiters_.first_ && !ctx.waiters_.first_);
    leat_free(&c);
    leat_free(&d);
}

/* The permit was there, was taken, and came back after the cancel. The word looks as it did before (I8). */
static void *takes_cancels_releases(void *arg)
{
    (void)arg;
    EXPECT(leat_acquire(&sem, 1) == 0);
    seen = 1;
    leat_cancel(&ctx, 0);
    EXPECT(leat_release(&sem, 1) == 0);
    return NULL;
}

static void *acquires_under_ctx(void *arg)
{
    (void)arg;
    err_of[0] = leat_acquire_ctx(&ctx, &sem, 1);
    if (err_of[0]) return NULL;
    EXPECT(!seen);
    EXPECT(leat_release(&sem, 1) == 0);
    return NULL;
}

SCENARIO(a_permit_that_came_back_after_the_cancel, { .a = 0 })
{
    now_ = k;
    ctx = (leat_ctx)LEAT_CTX(NULL);
    sem = (leat_sem)LEAT_SEM(1);
    seen = 0;
    GO(takes_cancels_releases, 0);
    GO(acquires_under_ctx, 0);
    sim_join();
    EXPECT(leat_sem_available(&sem) == 1);
    EXPECT(!sem.waiters_.first_);
}

/* ==== Released is released ==================================================================== */

static void *waits_for_zero(void *arg)
{
    (void)arg;
    EXPECT(leat_wg_wait(&wg) == 0);
    atomic_store_explicit(&returned, 1, memory_order_relaxed);
    return NULL;
}

static void *counts_down_and_up(void *arg)
{
    (void)arg;
    EXPECT(leat_wg_done(&wg) == 0);
    EXPECT(leat_wg_add(&wg, 1) == 0);
    return NULL;
}

SCENARIO(zero_and_then_the_next_round, { .receivers = 1 }, { .receivers = 2 })
{
    int waiter[2];
    now_ = k;
    wg = (leat_wg)LEAT_WG(1);
    for (int i = 0; i < k->receivers; i++) waiter[i] = GO(waits_for_zero, i);
    for (int i = 0; i < k->receivers; i++)
        while (!sim_asleep(waiter[i])) sim_yield();
    sim_go(counts_down_and_up, NULL);
    sim_join();
    EXPECT(leat_try_wg_wait(&wg) == -EAGAIN);
}

/* A call that counts down by 2 resolves the waiter, and then finds that another thread has counted down by 1. It is
 * refused, and zero was never reached. */
static void *counts_down_by(void *arg)
{
    err_of[ID(arg)] = leat_wg_add(&wg, -ID(arg));
    return NULL;
}

SCENARIO(refused_below_zero_releases_no_waiter, { .a = 0 })
{
    now_ = k;
    wg = (leat_wg)LEAT_WG(2);
    atomic_store_explicit(&returned, 0, memory_order_relaxed);
    int waiter = GO(waits_for_zero, 0), one = GO(counts_down_by, 1), two = GO(counts_down_by, 2);
    sim_join_one(one);
    sim_join_one(two);
    if (err_of[2]) {
        EXPECT(err_of[2] == -EOVERFLOW && !err_of[1]);
        EXPECT(!atomic_load_explicit(&returned, memory_order_relaxed));
        EXPECT(leat_wg_done(&wg) == 0);
    } else {
        EXPECT(err_of[1] == -EOVERFLOW);
    }
    sim_join_one(waiter);
    sim_join();
}
