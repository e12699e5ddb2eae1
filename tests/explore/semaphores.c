/* semaphores.c - scenarios of semaphore.h: the semaphore and the wait group.
 * SPDX-License-Identifier: MIT */
#include "sim.h"

#include "semaphore.h"

static const sim_knobs *now_;
static leat_sem sem;
static leat_ctx ctx;
static int err_of[SIM_THREADS];

#define ID(arg) ((int)(intptr_t)(arg))
#define GO(fn, id) sim_go(fn, (void *)(intptr_t)(id))

static void make_sem(const sim_knobs *k, int64_t start, int64_t most)
{
    now_ = k;
    sem = (leat_sem)LEAT_SEM_OF(start, most);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    sim_name(&sem, sizeof sem, "sem");
    sim_name(&sem.lock_, sizeof sem.lock_, "sem.lock");
    sim_name(&sem.word_, sizeof sem.word_, "sem.word");
    sim_queue(&sem.waiters_, offsetof(leat_node_, next_), "sem.waiters");
    sim_name(&ctx, sizeof ctx, "ctx");
}

static void end_sem(int64_t permits)
{
    sim_join();
    EXPECT(leat_sem_available(&sem) == permits);
    EXPECT(!sem.waiters_.first_ && !ctx.waiters_.first_);
    EXPECT(leat_try_acquire(&sem, permits) == 0);
    EXPECT(leat_try_acquire(&sem, 1) == -EAGAIN);
}

static void *cancels(void *arg)
{
    (void)arg;
    leat_cancel(&ctx, 1);
    return NULL;
}

/* ==== Permits are kept ======================================================================== */

/* So many (.cap) permits, and threads of different weight, .each times. The first one may be cancelled or run out of
 * time (.a). A thread that has all permits is alone. */
enum { NOT_AT_ALL, CANCELLED, OUT_OF_TIME };
static _Atomic int inside;
static int alone;

static void *works(void *arg)
{
    int id = ID(arg), weight = 1 + id % 2;
    if (weight > now_->cap) weight = now_->cap;
    for (int i = 0; i < now_->each; i++) {
        int err = leat_acquire_ctx(id == 0 && now_->a ? &ctx : NULL, &sem, weight);
        if (err) {
            EXPECT(id == 0 && err == (now_->a == CANCELLED ? -ECANCELED : -ETIMEDOUT));
            return NULL;
        }
        int n = atomic_fetch_add_explicit(&inside, weight, memory_order_relaxed) + weight;
        EXPECT(n <= now_->cap);
        if (weight == now_->cap) alone++; /* no race: the next thread to come has seen it */
        atomic_fetch_sub_explicit(&inside, weight, memory_order_relaxed);
        EXPECT(leat_release(&sem, weight) == 0);
    }
    return NULL;
}

SCENARIO(semaphore_bounds, { .senders = 2, .cap = 1, .each = 1, .exhaust = true },
         { .senders = 2, .cap = 2, .each = 1, .exhaust = true }, { .senders = 2, .cap = 2, .each = 2 },
         { .senders = 3, .cap = 1, .each = 2 }, { .senders = 3, .cap = 2, .each = 1 }, { .senders = 4, .cap = 3, .each = 1 },
         { .senders = 3, .cap = 1, .each = 1, .a = CANCELLED }, { .senders = 3, .cap = 2, .each = 1, .a = CANCELLED },
         { .senders = 4, .cap = 3, .each = 2, .a = CANCELLED }, { .senders = 3, .cap = 1, .each = 2, .a = OUT_OF_TIME },
         { .senders = 4, .cap = 2, .each = 1, .a = OUT_OF_TIME })
{
    make_sem(k, k->cap, k->cap);
    if (k->a == OUT_OF_TIME) ctx = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_US(5));
    for (int i = 0; i < k->senders; i++) GO(works, i);
    if (k->a == CANCELLED) GO(cancels, 0);
    end_sem(k->cap);
}

/* A heavy request is in the queue, light ones come and go. After a while (1 ms) it is the heavy one's turn. The light
 * ones go on until it has been served. A thread that comes when the heavy one is due waits for that (S3). */
static _Atomic int heavy_is_done;

static bool heavy_is_due(void)
{
    leat_lock_take_(&sem.lock_);
    const leat_sem_waiter_ *first = (const leat_sem_waiter_ *)(void *)sem.waiters_.first_;
    bool due = atomic_load_explicit(&sem.word_, memory_order_relaxed) & LEAT_SEM_FAIR_ && first->need_ == now_->cap;
    leat_lock_drop_(&sem.lock_);
    return due;
}

static void *is_light(void *arg)
{
    static leat_sem never = LEAT_SEM_OF(0, 1);
    (void)arg;
    do {
        bool due = heavy_is_due();
        EXPECT(leat_acquire(&sem, 1) == 0);
        EXPECT(!due || atomic_load_explicit(&heavy_is_done, memory_order_relaxed));
        leat_ctx a_while = LEAT_CTX_WITHIN(NULL, LEAT_US(300));
        EXPECT(leat_acquire_ctx(&a_while, &never, 1) == -ETIMEDOUT);
        EXPECT(leat_release(&sem, 1) == 0);
    } while (!atomic_load_explicit(&heavy_is_done, memory_order_relaxed));
    return NULL;
}

SCENARIO(heavy_gets_its_turn, { .senders = 2, .cap = 2 }, { .senders = 3, .cap = 2 })
{
    make_sem(k, k->cap, k->cap);
    for (int i = 0; i < k->senders; i++) GO(is_light, i);
    EXPECT(leat_acquire(&sem, k->cap) == 0);
    atomic_store_explicit(&heavy_is_done, 1, memory_order_relaxed);
    EXPECT(leat_release(&sem, k->cap) == 0);
    end_sem(k->cap);
}

/* ==== As a signal ============================================================================= */

/* Tasks release, one thread waits for all and frees the semaphore at once. It waits for all of them together, or for
 * one after another (.each). No release accesses it then (S1). */
static int done[SIM_THREADS];

static void *signals(void *arg)
{
    done[ID(arg)] = 1;
    EXPECT(leat_release(&sem, 1) == 0);
    return NULL;
}

SCENARIO(semaphore_is_freed, { .senders = 1, .exhaust = true }, { .senders = 2, .exhaust = true }, { .senders = 3 },
         { .senders = 2, .each = 1, .exhaust = true }, { .senders = 3, .each = 1 })
{
    make_sem(k, 0, LEAT_SEM_MAX);
    for (int i = 0; i < k->senders; i++) GO(signals, i);
    for (int i = 0; i < (k->each ? k->senders : 1); i++) EXPECT(leat_acquire(&sem, k->each ? 1 : k->senders) == 0);
    for (int i = 0; i < k->senders; i++) EXPECT(done[i] == 1);
    sim_freed(&sem, sizeof sem, "the semaphore");
    sim_join();
}

/* One release for all threads that wait: each wakes the next (S2). */
static void *acquires_one(void *arg)
{
    (void)arg;
    EXPECT(leat_acquire(&sem, 1) == 0);
    return NULL;
}

SCENARIO(release_for_many, { .senders = 2, .exhaust = true }, { .senders = 3 })
{
    make_sem(k, 0, LEAT_SEM_MAX);
    for (int i = 0; i < k->senders; i++) GO(acquires_one, i);
    EXPECT(leat_release(&sem, k->senders) == 0);
    end_sem(0);
}

/* Never more permits than there may be. */
static void *releases_one(void *arg)
{
    err_of[ID(arg)] = leat_release(&sem, 1);
    EXPECT(err_of[ID(arg)] == 0 || err_of[ID(arg)] == -EOVERFLOW);
    return NULL;
}

static void *tries_to_acquire(void *arg)
{
    err_of[ID(arg)] = leat_try_acquire(&sem, 1);
    EXPECT(err_of[ID(arg)] == 0 || err_of[ID(arg)] == -EAGAIN);
    return NULL;
}

SCENARIO(release_is_exact, { .a = 0, .exhaust = true }, { .a = 1, .exhaust = true })
{
    make_sem(k, 0, 1);
    GO(releases_one, 0);
    GO(releases_one, 1);
    GO(k->a ? tries_to_acquire : acquires_one, 2);
    sim_join();
    int released = (err_of[0] == 0) + (err_of[1] == 0), acquired = k->a ? err_of[2] == 0 : 1;
    EXPECT(released >= 1 && released - acquired <= 1);
    end_sem(released - acquired);
}

/* Each thread puts one in before it takes one out, so a try always finds one. */
static void *releases_then_tries(void *arg)
{
    (void)arg;
    EXPECT(leat_release(&sem, 1) == 0);
    EXPECT(leat_try_acquire(&sem, 1) == 0);
    return NULL;
}

SCENARIO(try_acquire_is_exact, { .senders = 2, .exhaust = true }, { .senders = 3 })
{
    make_sem(k, 0, LEAT_SEM_MAX);
    for (int i = 0; i < k->senders; i++) GO(releases_then_tries, i);
    end_sem(0);
}

/* If the first in the queue gives up, those behind it get what is there: it wakes the next (S2). */
static void *gives_up(void *arg)
{
    (void)arg;
    EXPECT(leat_acquire_ctx(&ctx, &sem, 5) == (now_->a ? -ETIMEDOUT : -ECANCELED));
    return NULL;
}

static void *releases_then_acquires(void *arg)
{
    (void)arg;
    EXPECT(leat_release(&sem, 1) == 0);
    EXPECT(leat_acquire(&sem, 1) == 0);
    return NULL;
}

SCENARIO(first_in_the_queue_gives_up, { .senders = 1, .exhaust = true }, { .senders = 2 }, { .senders = 2, .a = 1 })
{
    make_sem(k, 0, LEAT_SEM_MAX);
    if (k->a) ctx = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_MS(3));
    GO(gives_up, 0);
    for (int i = 0; i < k->senders; i++) GO(releases_then_acquires, i);
    if (!k->a) GO(cancels, 0);
    end_sem(0);
}

/* ==== Close and resize ======================================================================== */

static void *acquires_and_releases(void *arg)
{
    int err = leat_acquire(&sem, 1);
    EXPECT(err == 0 || err == -EPIPE);
    if (err == 0) EXPECT(leat_release(&sem, 1) == 0);
    (void)arg;
    return NULL;
}

static void *closes(void *arg)
{
    err_of[ID(arg)] = leat_sem_close(&sem);
    return NULL;
}

SCENARIO(semaphore_is_closed, { .senders = 1, .exhaust = true }, { .senders = 2 }, { .senders = 3 },
         { .senders = 2, .a = 1 })
{
    make_sem(k, k->a ? 0 : 1, 1); /* a: no thread ever gets one */
    for (int i = 0; i < k->senders; i++) GO(acquires_and_releases, i);
    GO(closes, 0);
    GO(closes, 1);
    sim_join();
    EXPECT(err_of[0] + err_of[1] == -EALREADY);
    EXPECT(leat_sem_available(&sem) == (k->a ? 0 : 1) && !sem.waiters_.first_);
    EXPECT(leat_acquire(&sem, 1) == (k->a ? -EPIPE : 0));
}

/* The first in the queue asks for more than is left after a shrink. Those behind it are served, and it is served when
 * the semaphore has grown again. */
static void *acquires(void *arg)
{
    int64_t n = ID(arg);
    EXPECT(leat_acquire(&sem, n) == 0);
    EXPECT(leat_release(&sem, n) == 0);
    return NULL;
}

SCENARIO(resized_below_need, { .senders = 1 }, { .senders = 2 })
{
    make_sem(k, 3, 3);
    EXPECT(leat_acquire(&sem, 3) == 0);
    int heavy = GO(acquires_one, 0); /* keeps it */
    for (int i = 0; i < k->senders; i++) GO(acquires, 1);
    EXPECT(leat_sem_resize(&sem, -2) == 0);
    EXPECT(leat_release(&sem, 3) == 0);
    sim_join_one(heavy);
    EXPECT(leat_sem_resize(&sem, 2) == 0);
    EXPECT(leat_acquire(&sem, 2) == 0);
    EXPECT(leat_release(&sem, 3) == 0);
    end_sem(3);
}

static void *acquires_three(void *arg)
{
    int err = leat_acquire(&sem, 3);
    (void)arg;
    EXPECT(err == 0 || err == -EDEADLK); /* it came when there were two */
    if (err == 0) EXPECT(leat_release(&sem, 3) == 0);
    return NULL;
}

SCENARIO(resized_around, { .senders = 1 }, { .senders = 2 })
{
    make_sem(k, 3, 3);
    EXPECT(leat_acquire(&sem, 3) == 0);
    GO(acquires_three, 0);
    int light = 0;
    for (int i = 0; i < k->senders; i++) light = GO(acquires, 1);
    EXPECT(leat_sem_resize(&sem, -1) == 0);
    EXPECT(leat_release(&sem, 3) == 0);
    sim_join_one(light);
    EXPECT(leat_sem_resize(&sem, 1) == 0);
    end_sem(3);
}

/* ==== Wait group ============================================================================== */

static leat_wg wg;

static void make_wg(const sim_knobs *k)
{
    now_ = k;
    wg = (leat_wg)LEAT_WG(k->senders);
    ctx = (leat_ctx)LEAT_CTX(NULL);
    sim_name(&wg, sizeof wg, "wg");
    sim_name(&wg.lock_, sizeof wg.lock_, "wg.lock");
    sim_name(&wg.word_, sizeof wg.word_, "wg.word");
    sim_queue(&wg.waiters_, offsetof(leat_node_, next_), "wg.waiters");
}

static void *task(void *arg)
{
    done[ID(arg)] = 1;
    EXPECT(leat_wg_done(&wg) == 0);
    return NULL;
}

static void *waits(void *arg)
{
    err_of[ID(arg)] = leat_wg_wait_ctx(ID(arg) ? NULL : &ctx, &wg);
    if (err_of[ID(arg)] == 0)
        for (int i = 0; i < now_->senders; i++) EXPECT(done[i] == 1);
    if (now_->receivers == 1) sim_freed(&wg, sizeof wg, "the wait group");
    return NULL;
}

/* Tries a few times instead of waiting. */
static void *tries_to_wait(void *arg)
{
    for (int i = 0; i < 4 && err_of[ID(arg)]; i++)
        if ((err_of[ID(arg)] = leat_try_wg_wait(&wg)) == 0) EXPECT(done[0] == 1 && done[1] == 1);
    return NULL;
}

SCENARIO(wait_group_is_tried, { .senders = 2, .receivers = 1, .exhaust = true })
{
    make_wg(k);
    err_of[0] = -EAGAIN;
    GO(task, 0);
    GO(task, 1);
    GO(tries_to_wait, 0);
    sim_join();
    EXPECT(err_of[0] == 0 || err_of[0] == -EAGAIN);
}

SCENARIO(wait_group, { .senders = 1, .receivers = 1, .exhaust = true }, { .senders = 2, .receivers = 1, .exhaust = true },
         { .senders = 3, .receivers = 1 }, { .senders = 2, .receivers = 2, .exhaust = true },
         { .senders = 3, .receivers = 3 })
{
    make_wg(k);
    for (int i = 0; i < k->receivers; i++) GO(waits, i);
    for (int i = 0; i < k->senders; i++) GO(task, i);
    sim_join();
    for (int i = 0; i < k->receivers; i++) EXPECT(err_of[i] == 0);
}

/* A thread that gives up leaves nothing behind, and the others are woken. */
SCENARIO(wait_group_given_up, { .senders = 1, .receivers = 2, .exhaust = true }, { .senders = 2, .receivers = 2 },
         { .senders = 2, .receivers = 3 }, { .senders = 1, .receivers = 2, .a = 1 })
{
    make_wg(k);
    if (k->a) ctx = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_US(5));
    for (int i = 0; i < k->receivers; i++) GO(waits, i);
    for (int i = 0; i < k->senders; i++) GO(task, i);
    if (!k->a) GO(cancels, 0);
    sim_join();
    EXPECT(err_of[0] == 0 || err_of[0] == (k->a ? -ETIMEDOUT : -ECANCELED));
    for (int i = 1; i < k->receivers; i++) EXPECT(err_of[i] == 0);
    EXPECT(!wg.waiters_.first_ && !ctx.waiters_.first_);
}

/* A task that adds another before it is done. And a count that does not go below zero. */
static void *task_with_another(void *arg)
{
    EXPECT(leat_wg_add(&wg, 1) == 0);
    GO(task, ID(arg) + 1);
    done[ID(arg)] = 1;
    EXPECT(leat_wg_done(&wg) == 0);
    return NULL;
}

SCENARIO(wait_group_grows, { .senders = 1 })
{
    make_wg(k);
    GO(task_with_another, 0);
    EXPECT(leat_wg_wait(&wg) == 0);
    EXPECT(done[0] == 1 && done[1] == 1);
    EXPECT(leat_wg_done(&wg) == -EOVERFLOW);
    sim_freed(&wg, sizeof wg, "the wait group");
    sim_join();
}
