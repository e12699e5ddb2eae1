/* pools.c - scenarios of pool.h: groups, pools.
 * SPDX-License-Identifier: MIT */
#include "sim.h"

#include "pool.h"

static const sim_knobs *now_;
static leat_pool pool;
static leat_group group;
static leat_ctx ctx;
static leat_ints_ c;

#define ID(arg) ((int)(intptr_t)(arg))
#define GO(fn, id) sim_go(fn, (void *)(intptr_t)(id))
#define ARG(n) ((void *)(intptr_t)(n))

/* Jobs, and how often each ran or was handed back. They are plain variables, which are read when the threads are
 * joined. */
enum { JOBS = 32 };
static int ran[JOBS], dropped[JOBS], accepted[JOBS];

static int job(leat_ctx *x, void *arg)
{
    (void)x;
    ran[ID(arg)]++;
    return 0;
}

static void drop(leat_task *fn, void *arg, void *user)
{
    EXPECT(fn == job && user == &pool);
    dropped[ID(arg)]++;
}

/* Each job that was accepted ran or was handed back, once. */
static int jobs_done(void)
{
    int n = 0;
    for (int i = 0; i < JOBS; i++) {
        EXPECT(ran[i] + dropped[i] == accepted[i] && accepted[i] <= 1);
        n += accepted[i];
    }
    return n;
}

/* ==== Group =================================================================================== */

static int fails(leat_ctx *x, void *arg)
{
    (void)x;
    ran[ID(arg)]++;
    return ID(arg);
}

/* .each tasks at a limit of .cap (0: none). Numbers 2 and 3 fail with their number. */
SCENARIO(first_error_counts, { .each = 2, .cap = 0 }, { .each = 3, .cap = 1 }, { .each = 4, .cap = 2 },
         { .each = 4, .cap = 0 })
{
    group = (leat_group)LEAT_GROUP(NULL);
    sim_name(&group, sizeof group, "group");
    if (k->cap) EXPECT(leat_group_limit(&group, k->cap) == 0);
    for (int i = 1; i <= k->each; i++) {
        int err = leat_go(&group, i == 2 || i == 3 ? fails : job, ARG(i));
        EXPECT(err == 0 || (err == -ECANCELED && i > 2));
        accepted[i] = !err;
    }
    int err = leat_wait(&group);
    EXPECT(jobs_done() >= 2);
    EXPECT(err == 2 || (err == 3 && accepted[3]));
    EXPECT(leat_ctx_cause(leat_group_ctx(&group)) == err);
    EXPECT((int)leat_group_errors(&group) == 1 + (accepted[3] && k->each > 2));
    EXPECT(leat_wait(&group) == err);
    EXPECT(leat_go(&group, job, ARG(0)) == -ESHUTDOWN);
    sim_freed(&group, sizeof group, "the group");
}

/* Tasks that start tasks, at a limit. Those that would wait for themselves are told. */
static int grows(leat_ctx *x, void *arg)
{
    (void)x;
    int n = ID(arg);
    ran[n]++;
    for (int i = 2 * n; i <= 2 * n + 1 && i <= now_->each; i++) {
        int err = leat_go(&group, grows, ARG(i));
        EXPECT(err == 0 || err == -EDEADLK);
        accepted[i] = !err;
    }
    return 0;
}

SCENARIO(group_grows, { .each = 3, .cap = 0 }, { .each = 3, .cap = 1 }, { .each = 5, .cap = 2 }, { .each = 6, .cap = 3 })
{
    now_ = k;
    group = (leat_group)LEAT_GROUP(NULL);
    if (k->cap) EXPECT(leat_group_limit(&group, k->cap) == 0);
    accepted[1] = 1;
    EXPECT(leat_go(&group, grows, ARG(1)) == 0);
    EXPECT(leat_wait(&group) == 0);
    int n = jobs_done();
    EXPECT(n >= 1 && (k->cap != 1 || n == 1) && (k->cap || n == k->each));
}

/* Several threads wait, while another starts tasks. A channel is closed after the last one. */
static int sends(leat_ctx *x, void *arg)
{
    int n = ID(arg);
    return leat_send_ctx(x, &c, &n);
}

static void *starts(void *arg)
{
    int n = ID(arg), err = leat_go(&group, job, ARG(n));
    EXPECT(err == 0 || err == -ESHUTDOWN);
    accepted[n] = !err;
    return NULL;
}

static void *waits(void *arg)
{
    (void)arg;
    EXPECT(leat_wait(&group) == 0);
    return NULL;
}

/* Shows (L5). */
SCENARIO(group_has_many_users, { .senders = 1, .receivers = 1 }, { .senders = 1, .receivers = 2 },
         { .senders = 2, .receivers = 2 })
{
    group = (leat_group)LEAT_GROUP(NULL);
    for (int i = 0; i < k->senders; i++) GO(starts, i);
    for (int i = 0; i < k->receivers; i++) GO(waits, i);
    sim_join();
    jobs_done();
}

SCENARIO(group_closes_a_channel, { .each = 1, .cap = 0 }, { .each = 2, .cap = 1 }, { .each = 3, .cap = 1, .a = 1 })
{
    int m, n = 0;
    group = (leat_group)LEAT_GROUP(NULL);
    EXPECT(leat_make(&c, (size_t)k->cap) == 0);
    if (k->a) EXPECT(leat_group_limit(&group, 2) == 0);
    if (k->a) {
        EXPECT(leat_group_closes(&group, &c) == 0);
        EXPECT(leat_go_n(&group, k->each, sends, ARG(1)) == 0);
    } else {
        for (int i = 1; i <= k->each; i++) EXPECT(leat_go(&group, sends, ARG(i)) == 0);
        EXPECT(leat_group_closes(&group, &c) == 0);
    }
    while (leat_recv(&c, &m) == 0) n++;
    EXPECT(n == k->each);
    leat_free(&c);
    sim_freed(&c, sizeof c, "the channel");
    EXPECT(leat_wait(&group) == 0);
}

/* One semaphore for two groups: together never more than it allows. */
static leat_sem shared;
static _Atomic int at_once;

static int counts(leat_ctx *x, void *arg)
{
    (void)x;
    EXPECT(atomic_fetch_add_explicit(&at_once, 1, memory_order_relaxed) < now_->cap);
    ran[ID(arg)]++;
    atomic_fetch_sub_explicit(&at_once, 1, memory_order_relaxed);
    return 0;
}

SCENARIO(groups_share_a_limit, { .cap = 1, .each = 1 }, { .cap = 1, .each = 2 }, { .cap = 2, .each = 2 })
{
    leat_group other = LEAT_GROUP(NULL);
    now_ = k;
    group = (leat_group)LEAT_GROUP(NULL);
    shared = (leat_sem)LEAT_SEM(k->cap);
    EXPECT(leat_group_share(&group, &shared) == 0 && leat_group_share(&other, &shared) == 0);
    for (int i = 0; i < 2 * k->each; i++) accepted[i] = leat_go(i % 2 ? &group : &other, counts, ARG(i)) == 0;
    EXPECT(leat_wait(&group) == 0 && leat_wait(&other) == 0);
    EXPECT(jobs_done() == 2 * k->each);
    EXPECT(leat_sem_available(&shared) == k->cap);
}

/* A task that waits at the limit for a thread that cannot be spawned is not forgotten: it spawns the thread, or is
 * told. */
static int goes_once(leat_ctx *x, void *arg)
{
    (void)x;
    ran[ID(arg)]++;
    int err = leat_go(&group, job, ARG(3));
    EXPECT(err == 0 || err == -EAGAIN || err == -EDEADLK);
    accepted[3] = !err;
    return 0;
}

/* each: the bits of sim_refuse. */
/* Shows (L4). */
SCENARIO(group_waits_for_a_thread_that_cannot_be_made, { .each = 1, .cap = 2 }, { .each = 2, .cap = 2 },
         { .each = 3, .cap = 2 }, { .each = 1, .cap = 3 })
{
    group = (leat_group)LEAT_GROUP(NULL);
    sim_refuse = 0;
    EXPECT(leat_group_limit(&group, k->cap) == 0);
    accepted[1] = leat_go(&group, goes_once, ARG(1)) == 0;
    sim_refuse = k->each;
    for (int i = 4; i < 4 + k->cap - 1; i++) {
        int err = leat_go(&group, job, ARG(i));
        EXPECT(err == 0 || err == -EAGAIN);
        accepted[i] = !err;
    }
    EXPECT(leat_wait(&group) == 0);
    jobs_done();
}

/* All n at once, or none, beside another call that takes their places. */
static _Atomic int ran_at_once;

static int counts_at_once(leat_ctx *x, void *arg)
{
    (void)x, (void)arg;
    EXPECT(atomic_fetch_add_explicit(&at_once, 1, memory_order_relaxed) < now_->cap);
    atomic_fetch_add_explicit(&ran_at_once, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&at_once, 1, memory_order_relaxed);
    return 0;
}

static void *goes_two_at_once(void *arg)
{
    int n = ID(arg), err = leat_try_go_n(&group, 2, counts_at_once, NULL);
    EXPECT(err == 0 || err == -EAGAIN);
    accepted[n] = !err;
    return NULL;
}

/* Shows (L2). */
SCENARIO(two_at_once_or_none, { .cap = 2 }, { .cap = 3 }, { .cap = 2, .each = 1 })
{
    int err;
    now_ = k;
    group = (leat_group)LEAT_GROUP(NULL);
    sim_refuse = 0;
    EXPECT(leat_group_limit(&group, k->cap) == 0);
    sim_refuse = k->each ? 2 << 1 : 0; /* the second thread of the group */
    int one = GO(goes_two_at_once, 0), other = GO(goes_two_at_once, 1);
    sim_join_one(one);
    sim_join_one(other);
    while ((err = leat_try_go_n(&group, k->cap, counts_at_once, NULL)) == -EAGAIN)
        sim_yield(); /* a call that is refused keeps no permit */
    EXPECT(err == 0);
    EXPECT(leat_wait(&group) == 0);
    EXPECT(atomic_load_explicit(&ran_at_once, memory_order_relaxed) == 2 * (accepted[0] + accepted[1]) + k->cap);
}

/* The last task returns while one thread tries whether it has, another waits, and a third gives up. */
static leat_ctx soon;

static void *tries_to_wait(void *arg)
{
    int err;
    (void)arg;
    while ((err = leat_try_wait(&group)) == -EAGAIN) sim_yield();
    EXPECT(err == 3);
    jobs_done();
    return NULL;
}

static void *waits_for_a_while(void *arg)
{
    (void)arg;
    int err = leat_wait_ctx(&soon, &group);
    EXPECT(err == 3 || err == -ECANCELED);
    return NULL;
}

SCENARIO(try_wait_against_the_last_task, { .a = 0 }, { .a = 1 }, { .a = 2 }, { .a = 3 })
{
    group = (leat_group)LEAT_GROUP(NULL);
    soon = (leat_ctx)LEAT_CTX(NULL);
    accepted[3] = 1;
    EXPECT(leat_go(&group, fails, ARG(3)) == 0);
    GO(tries_to_wait, 0);
    if (k->a & 1) GO(tries_to_wait, 1);
    if (k->a & 2) {
        GO(waits_for_a_while, 0);
        leat_cancel(&soon, 1);
    }
    sim_join();
    sim_freed(&group, sizeof group, "the group");
}

/* A task that ends its thread is counted, and its place is taken. */
static int ends_its_thread(leat_ctx *x, void *arg)
{
    (void)x;
    ran[ID(arg)]++;
    pthread_exit(NULL);
}

/* Shows (L2). */
SCENARIO(task_ends_its_thread, { .each = 1, .cap = 1 }, { .each = 2, .cap = 2 })
{
    group = (leat_group)LEAT_GROUP(NULL);
    EXPECT(leat_group_limit(&group, k->cap) == 0);
    for (int i = 1; i <= k->each + 1; i++) {
        int err = leat_go(&group, i == 1 ? ends_its_thread : job, ARG(i));
        EXPECT(err == 0 || (err == -ECANCELED && i > 1));
        accepted[i] = !err;
    }
    EXPECT(leat_wait(&group) == -EINTR);
    jobs_done();
}

/* ---- Groups that are stages of a whole, threads that are idle ---- */

static leat_group stages[2];
static leat_wg never;

static void make_whole(void)
{
    group = (leat_group)LEAT_GROUP(NULL);
    sim_name(&group, sizeof group, "whole");
    for (int i = 0; i < 2; i++) {
        stages[i] = (leat_group)LEAT_GROUP(NULL);
        sim_name(&stages[i], sizeof stages[i], i ? "stage 1" : "stage 0");
        EXPECT(leat_group_within(&stages[i], &group) == 0);
    }
}

/* Everything may be freed when leat_wait(&whole) has returned. */
static void whole_is_freed(void)
{
    sim_freed(stages, sizeof stages, "a stage");
    EXPECT(leat_wait(&group) == leat_wait(&group));
    sim_freed(&group, sizeof group, "the whole");
}

static int waits_to_be_cancelled(leat_ctx *x, void *arg)
{
    ran[ID(arg)]++;
    return leat_wg_wait_ctx(x, &never);
}

/* The error of a stage ends the other, and is that of the whole. a = 1: the other is limited, and a task waits there. a = 2: two
 * errors at once. a = 3: the task that is ended is in the same stage. */
/* Shows (L11). */
SCENARIO(error_of_a_stage_ends_its_sibling, { .a = 0 }, { .a = 1 }, { .a = 2 }, { .a = 3 })
{
    leat_group *failing = k->a == 3 ? &stages[0] : &stages[1];
    make_whole();
    never = (leat_wg)LEAT_WG(1);
    if (k->a == 1) EXPECT(leat_group_limit(&stages[0], 1) == 0);
    for (int i = 0; i <= (k->a == 1); i++) {
        if (i == 1) accepted[2] = leat_go(failing, fails, ARG(2)) == 0;
        int err = leat_go(&stages[0], waits_to_be_cancelled, ARG(i));
        EXPECT(err == 0 || (err == -ECANCELED && i));
        accepted[i] = !err;
    }
    if (k->a != 1) accepted[2] = leat_go(failing, fails, ARG(2)) == 0;
    if (k->a == 2) accepted[3] = leat_go(&group, fails, ARG(3)) == 0;
    int err = leat_wait(&group);
    EXPECT(err == 2 || (err == 3 && accepted[3]));
    jobs_done();
    for (int i = 0; i < 2; i++) {
        EXPECT(leat_ctx_cause(leat_group_ctx(&stages[i])) == err);
        EXPECT(leat_wait(&stages[i]) == (&stages[i] == failing ? 2 : i ? 0 : -ECANCELED));
    }
    whole_is_freed();
}

/* A task of a stage starts the first task of the next stage, as the whole is waited for. senders: threads that wait for the
 * next stage alone. receivers: for the whole. */
static int starts_the_next(leat_ctx *x, void *arg)
{
    (void)x;
    int n = ID(arg), err = leat_go(&stages[1], job, ARG(n + 1));
    EXPECT(err == 0 || (err == -ESHUTDOWN && now_->senders));
    ran[n]++;
    accepted[n + 1] = !err;
    if (n + 2 < now_->each) accepted[n + 2] = leat_go(&stages[0], starts_the_next, ARG(n + 2)) == 0;
    return 0;
}

static void *waits_for_a_stage(void *arg)
{
    EXPECT(leat_wait(&stages[ID(arg)]) == 0);
    return NULL;
}

static void *waits_for_the_whole(void *arg)
{
    (void)arg;
    EXPECT(leat_wait(&group) == 0);
    return NULL;
}

/* Shows (L11). */
SCENARIO(stage_starts_a_stage, { .each = 1 }, { .each = 3 }, { .each = 1, .senders = 1 }, { .each = 3, .receivers = 1 },
         { .each = 2, .senders = 1, .receivers = 1 })
{
    now_ = k;
    make_whole();
    accepted[0] = leat_go(&stages[0], starts_the_next, ARG(0)) == 0;
    for (int i = 0; i < k->senders; i++) GO(waits_for_a_stage, 1);
    for (int i = 0; i < k->receivers; i++) GO(waits_for_the_whole, 0);
    EXPECT(leat_wait(&group) == 0);
    jobs_done();
    sim_join();
    EXPECT(leat_go(&stages[0], job, ARG(9)) == -ESHUTDOWN);
    EXPECT(k->senders || jobs_done() >= k->each);
    whole_is_freed();
}

/* Threads start tasks in stages while another waits for the whole: what was accepted has run when the wait returns. */
static void *starts_in_a_stage(void *arg)
{
    int n = ID(arg), err = leat_go(&stages[n % 2], job, ARG(n));
    EXPECT(err == 0 || err == -ESHUTDOWN);
    accepted[n] = !err;
    return NULL;
}

/* Shows (L11). */
SCENARIO(go_in_a_stage_against_wait, { .senders = 1 }, { .senders = 2 })
{
    make_whole();
    for (int i = 0; i < k->senders; i++) GO(starts_in_a_stage, i);
    EXPECT(leat_wait(&group) == 0);
    sim_join();
    jobs_done();
    whole_is_freed();
}

/* A call that fails is the last that is counted, while one caller gives up its wait, and another then ends the group. */
static void *is_refused_a_permit(void *arg)
{
    EXPECT(leat_try_go(&group, job, arg) == -EAGAIN);
    return NULL;
}

static void *gives_up_at_once(void *arg)
{
    leat_ctx done = LEAT_CTX(NULL);
    (void)arg;
    leat_cancel(&done, 0);
    int err = leat_wait_ctx(&done, &group);
    EXPECT(err == 0 || err == -ECANCELED);
    return NULL;
}

/* Shows (L5). */
SCENARIO(go_fails_while_a_wait_gives_up, { 0 })
{
    leat_sem none = LEAT_SEM_OF(0, 1);
    (void)k;
    group = (leat_group)LEAT_GROUP(NULL);
    sim_name(&group, sizeof group, "group");
    EXPECT(leat_group_share(&group, &none) == 0);
    GO(is_refused_a_permit, 0);
    int waiter = GO(gives_up_at_once, 0);
    for (bool used = false; !used; sim_yield()) { /* from then on only the group's own count keeps it */
        leat_lock_take_(&group.threads_.lock_);
        used = group.used_;
        leat_lock_drop_(&group.threads_.lock_);
    }
    sim_join_one(waiter);
    while (leat_try_wait(&group) == -EAGAIN) sim_yield();
    sim_freed(&group, sizeof group, "the group");
    sim_join();
}

/* Threads that leave as they are idle, while calls at the limit wait for one. */
static void *starts_two(void *arg)
{
    for (int n = 2 * ID(arg); n < 2 * ID(arg) + 2; n++) accepted[n] = leat_go(&group, job, ARG(n)) == 0;
    return NULL;
}

/* each: the bits of sim_refuse. */
/* Shows (L4). */
SCENARIO(idle_thread_leaves_against_go, { .senders = 1, .cap = 1 }, { .senders = 2, .cap = 1 }, { .senders = 2, .cap = 2 },
         { .senders = 2, .cap = 0 }, { .senders = 2, .cap = 1, .each = 2 })
{
    int one[SIM_THREADS];
    group = (leat_group)LEAT_GROUP(NULL);
    sim_name(&group, sizeof group, "group");
    sim_refuse = 0;
    if (k->cap) EXPECT(leat_group_limit(&group, k->cap) == 0);
    EXPECT(leat_group_threads(&group, &(leat_thread_opts){ .idle = 200 }) == 0);
    for (int i = 0; i < k->senders; i++) one[i] = GO(starts_two, i);
    for (int i = 0; i < k->senders; i++) sim_join_one(one[i]);
    EXPECT(leat_wait(&group) == 0);
    EXPECT(jobs_done() == 2 * k->senders || k->each);
    sim_freed(&group, sizeof group, "the group");
}

/* Threads that leave at once: each is taken out of the list by the next, so one is left there. */
static int threads_in_list, threads_gone;

static void count_threads(void)
{
    threads_in_list = 0;
    leat_lock_take_(&group.threads_.lock_);
    for (leat_thread_ *l = group.threads_.list_; l; l = l->next_) threads_in_list++;
    threads_gone = group.places_;
    leat_lock_drop_(&group.threads_.lock_);
}

/* Shows (L4). */
SCENARIO(idle_threads_leave_at_once, { .each = 2 }, { .each = 3 })
{
    group = (leat_group)LEAT_GROUP(NULL);
    sim_name(&group, sizeof group, "group");
    never = (leat_wg)LEAT_WG(1);
    EXPECT(leat_group_threads(&group, &(leat_thread_opts){ .idle = 200 }) == 0);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_go(&group, waits_to_be_cancelled, ARG(i)) == 0;
    EXPECT(leat_wg_done(&never) == 0);
    for (count_threads(); threads_gone < k->each; count_threads()) sim_yield();
    EXPECT(threads_in_list <= 1);
    EXPECT(leat_wait(&group) == 0);
    EXPECT(jobs_done() == k->each);
    sim_freed(&group, sizeof group, "the group");
}

/* ==== Pool: submit against stop, abort and cancel ============================================= */

static void start(const sim_knobs *k)
{
    now_ = k;
    ctx = (leat_ctx)LEAT_CTX(NULL);
    sim_name(&pool, sizeof pool, "pool");
    EXPECT(leat_pool_start(&pool, &ctx, &(leat_pool_opts){ .workers = k->receivers, .queue = k->cap }) == 0);
    sim_name(&pool.gate_, sizeof pool.gate_, "pool.gate");
    sim_name(&pool.lane_->queue_.chan.ends_[LEAT_SENDS_].at_, 8, "queue.tail");
    sim_name(&pool.lane_->queue_.chan.ends_[LEAT_RECEIVES_].at_, 8, "queue.head");
}

static void *submits(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int n = ID(arg) * now_->each + i;
        int err = i % 2 ? leat_try_submit(&pool, job, ARG(n)) : leat_submit(&pool, job, ARG(n));
        EXPECT(err == 0 || err == -ESHUTDOWN || err == -ECANCELED || (err == -EAGAIN && i % 2));
        accepted[n] = !err;
    }
    return NULL;
}

static void stopped(void)
{
    leat_stats st;
    sim_join();
    int n = jobs_done(), handed_back = 0;
    for (int i = 0; i < JOBS; i++) handed_back += dropped[i];
    EXPECT(leat_pool_stats(&pool, &st) == 0);
    EXPECT((int)st.submitted == n && (int)st.completed == n - handed_back && (int)st.dropped == handed_back);
    EXPECT(st.failed + st.busy + st.queued + st.workers == 0);
    EXPECT(leat_pool_stop(&pool) == -EALREADY);
    EXPECT(leat_submit(&pool, job, ARG(0)) == -ESHUTDOWN);
}

/* receivers: workers. cap: their queue. */
#define KNOBS(s, w, q, e) .senders = s, .receivers = w, .cap = q, .each = e

/* Shows (L8). */
SCENARIO(submit_against_stop, { KNOBS(1, 1, 1, 1) }, { KNOBS(1, 1, 1, 3) }, { KNOBS(2, 1, 1, 2) }, { KNOBS(2, 2, 1, 2) },
         { KNOBS(3, 2, 2, 1) }, { KNOBS(2, 1, LEAT_NO_QUEUE, 2) }, { KNOBS(2, 2, LEAT_NO_QUEUE, 2) })
{
    start(k);
    for (int i = 0; i < k->senders; i++) GO(submits, i);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* A call that is refused because the pool was shut sees what its stopper did before. a: which call. */
static int before_the_stop;

static int what_it_returns(void)
{
    if (now_->a == 1) return leat_pool_resize(&pool, 1);
    if (now_->a == 2) return leat_try_pool_wait(&pool);
    return leat_submit_lane(&pool, 7, job, NULL); /* there is no such lane */
}

static void *until_it_is_shut(void *arg)
{
    (void)arg;
    while (what_it_returns() != -ESHUTDOWN) sim_yield();
    EXPECT(before_the_stop == 1);
    return NULL;
}

SCENARIO(a_refusal_comes_after_the_stop, { KNOBS(0, 1, 1, 0), .a = 0 }, { KNOBS(0, 1, 1, 0), .a = 1 },
         { KNOBS(0, 1, 1, 0), .a = 2 })
{
    start(k);
    before_the_stop = 0;
    GO(until_it_is_shut, 0);
    before_the_stop = 1;
    EXPECT(leat_pool_stop(&pool) == 0);
    sim_join();
}

/* Shows (L8). */
SCENARIO(submit_against_abort, { KNOBS(1, 1, 1, 1) }, { KNOBS(1, 1, 2, 3) }, { KNOBS(2, 1, 1, 2) }, { KNOBS(2, 2, 2, 2) },
         { KNOBS(2, 1, LEAT_NO_QUEUE, 2) })
{
    start(k);
    for (int i = 0; i < k->senders; i++) GO(submits, i);
    EXPECT(leat_pool_abort(&pool, drop, &pool) == 0);
    stopped();
}

/* The pool's context is cancelled from outside. Stop reports it if jobs are left. Abort hands them back. */
static void *cancels(void *arg)
{
    (void)arg;
    leat_cancel(&ctx, 3);
    return NULL;
}

/* Shows (L8). */
SCENARIO(submit_against_cancel, { KNOBS(1, 1, 1, 2) }, { KNOBS(2, 1, 2, 2) }, { KNOBS(2, 2, 2, 2) })
{
    start(k);
    for (int i = 0; i < k->senders; i++) GO(submits, i);
    GO(cancels, 0);
    int err = leat_pool_stop(&pool);
    EXPECT(err == 0 || err == -ECANCELED);
    if (err) EXPECT(leat_pool_abort(&pool, drop, &pool) == 0);
    stopped();
}

/* Several threads stop the pool, one of them aborts it. One call ends the pool, the others wait until it is done. */
static int ends[SIM_THREADS];

static void *stops(void *arg)
{
    int id = ID(arg);
    ends[id] = id == 0 && now_->a ? leat_pool_abort(&pool, drop, &pool) : leat_pool_stop(&pool);
    EXPECT(ends[id] == 0 || ends[id] == -EALREADY || (now_->a && ends[id] == -ECANCELED));
    if (ends[id] != -ECANCELED) jobs_done();
    return NULL;
}

SCENARIO(stop_against_stop, { KNOBS(0, 1, 2, 2) }, { KNOBS(0, 2, 2, 2) }, { KNOBS(0, 1, 2, 2), .a = 1 },
         { KNOBS(0, 2, 2, 2), .a = 1 })
{
    start(k);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    GO(stops, 0);
    GO(stops, 1);
    sim_join();
    EXPECT((ends[0] == 0) + (ends[1] == 0) == 1);
    stopped();
}

/* One of two gives up. */
static void *ends_for_a_while(void *arg)
{
    int id = ID(arg);
    ends[id] = now_->a & 1 ? leat_pool_abort_ctx(&soon, &pool, drop, &pool) : leat_pool_stop_ctx(&soon, &pool);
    EXPECT(ends[id] == 0 || ends[id] == -EALREADY || ends[id] == -ECANCELED);
    return NULL;
}

static void *ends_it(void *arg)
{
    int id = ID(arg);
    ends[id] = now_->a & 2 ? leat_pool_abort(&pool, drop, &pool) : leat_pool_stop(&pool);
    EXPECT(ends[id] == 0 || ends[id] == -EALREADY || (now_->a == 1 && ends[id] == -ECANCELED));
    return NULL;
}

SCENARIO(one_of_two_gives_up, { KNOBS(0, 1, 2, 2), .a = 0 }, { KNOBS(0, 1, 2, 2), .a = 1 }, { KNOBS(0, 1, 2, 2), .a = 2 },
         { KNOBS(0, 1, 2, 2), .a = 3 })
{
    start(k);
    soon = (leat_ctx)LEAT_CTX(NULL);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    GO(ends_for_a_while, 0);
    GO(ends_it, 1);
    leat_cancel(&soon, 1);
    sim_join();
    EXPECT((ends[0] == 0) + (ends[1] == 0) <= 1);
    if (ends[0] && ends[1]) EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* A job hangs. Abort hands back the jobs that no worker has taken all the same, also beside another abort. */
static leat_wg held;
static _Atomic int hanging;

static int hangs(leat_ctx *x, void *arg)
{
    (void)x;
    ran[ID(arg)]++;
    atomic_store_explicit(&hanging, 1, memory_order_relaxed);
    EXPECT(leat_wg_wait(&held) == 0);
    return 0;
}

SCENARIO(abort_hands_back_while_a_job_hangs, { KNOBS(0, 1, 2, 2) }, { KNOBS(0, 1, 2, 2), .a = 1 }, { KNOBS(1, 1, 2, 1) })
{
    start(k);
    held = (leat_wg)LEAT_WG(1);
    soon = (leat_ctx)LEAT_CTX(NULL);
    accepted[JOBS - 1] = leat_submit(&pool, hangs, ARG(JOBS - 1)) == 0;
    while (!atomic_load_explicit(&hanging, memory_order_relaxed)) sim_yield();
    for (int i = 0; i < k->senders; i++) GO(submits, i + 5);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_try_submit(&pool, job, ARG(i)) == 0;
    if (k->a) GO(ends_for_a_while, 0);
    EXPECT(leat_try_pool_abort(&pool, drop, &pool) == -EAGAIN);
    EXPECT(leat_len(&pool.lane_->queue_) == 0);
    if (!k->a)
        for (int i = 0; i < k->each; i++) EXPECT(dropped[i] == accepted[i]);
    if (k->a) leat_cancel(&soon, 1);
    EXPECT(leat_wg_done(&held) == 0);
    int err = leat_pool_abort(&pool, drop, &pool);
    EXPECT(err == 0 || (k->a && err == -EALREADY));
    stopped();
}

static void *resizes(void *arg)
{
    int err = leat_pool_resize(&pool, ID(arg));
    EXPECT(err == 0 || err == -ESHUTDOWN || err == -ECANCELED);
    return NULL;
}

SCENARIO(resize_against_stop, { KNOBS(1, 1, 1, 1), .a = 2 }, { KNOBS(1, 2, 1, 2), .a = 1 }, { KNOBS(1, 1, 1, 2), .a = 3 },
         { KNOBS(2, 2, 2, 1), .a = 1 })
{
    start(k);
    GO(resizes, k->a);
    for (int i = 0; i < k->senders; i++) GO(submits, i);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

SCENARIO(resize_against_resize, { KNOBS(1, 2, 1, 2), .a = 1 }, { KNOBS(1, 1, 1, 2), .a = 2 })
{
    leat_stats st;
    start(k);
    int one = GO(resizes, k->a), other = GO(resizes, 3 - k->a);
    for (int i = 0; i < k->senders; i++) GO(submits, i);
    sim_join_one(one);
    sim_join_one(other);
    EXPECT(leat_pool_stats(&pool, &st) == 0 && (st.workers == 1 || st.workers == 2));
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* Never more jobs at once than the most that were asked for: a retired worker that still runs a job is taken back
 * first. */
/* Shows (L7). */
SCENARIO(resize_takes_back, { KNOBS(0, 2, 2, 1) }, { KNOBS(0, 2, 2, 2) })
{
    leat_stats st;
    start(k);
    for (int i = 0; i < 2 * k->each; i++) accepted[i] = leat_submit(&pool, counts, ARG(i)) == 0;
    for (int i = 0; i < k->each; i++) {
        EXPECT(leat_pool_resize(&pool, 1) == 0);
        EXPECT(leat_pool_resize(&pool, 2) == 0);
    }
    for (int i = 2 * k->each; i < 4 * k->each; i++) accepted[i] = leat_submit(&pool, counts, ARG(i)) == 0;
    EXPECT(leat_pool_stats(&pool, &st) == 0 && st.workers == 2);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

SCENARIO(resize_against_abort, { KNOBS(1, 2, 2, 2), .a = 1 }, { KNOBS(1, 1, 1, 2), .a = 2 })
{
    start(k);
    GO(resizes, k->a);
    for (int i = 0; i < k->senders; i++) GO(submits, i);
    EXPECT(leat_pool_abort(&pool, drop, &pool) == 0);
    stopped();
}

/* ==== Pool: jobs that end their threads, and threads that cannot be had ======================= */

static int counts_and_ends(leat_ctx *x, void *arg)
{
    counts(x, arg);
    pthread_exit(NULL);
}

static void expect_resize(int err)
{
    EXPECT(err == 0 || err == -ESHUTDOWN || err == -ECANCELED || err == -EAGAIN);
}

static int resizes_its_pool(leat_ctx *x, void *arg)
{
    counts(x, arg);
    expect_resize(leat_pool_resize(&pool, 1));
    expect_resize(leat_pool_resize(&pool, 2));
    return 0;
}

static void *shrinks_and_grows(void *arg)
{
    (void)arg;
    expect_resize(leat_pool_resize(&pool, 1));
    expect_resize(leat_pool_resize(&pool, 2));
    return NULL;
}

static void drop_all(leat_task *fn, void *arg, void *user)
{
    (void)fn, (void)user;
    dropped[ID(arg)]++;
}

/* each: the bits of sim_refuse. a: what else happens. */
enum { NOTHING_ELSE, A_CANCEL, AN_ABORT, A_RESIZE, A_JOB_THAT_RESIZES };
#define DYING(bits, other) \
    { \
        KNOBS(0, 2, 2, bits), .a = other \
    }

/* Shows (L6). */
SCENARIO(resize_while_jobs_end_their_threads, DYING(0, NOTHING_ELSE), DYING(1, NOTHING_ELSE), DYING(2, NOTHING_ELSE),
         DYING(3, NOTHING_ELSE), DYING(7, NOTHING_ELSE), DYING(0, A_CANCEL), DYING(1, A_CANCEL), DYING(0, AN_ABORT),
         DYING(3, AN_ABORT), DYING(0, A_RESIZE), DYING(1, A_RESIZE), DYING(0, A_JOB_THAT_RESIZES),
         DYING(5, A_JOB_THAT_RESIZES))
{
    leat_stats st;
    bool sure = k->a == NOTHING_ELSE, refuses = k->each != 0;
    sim_refuse = 0;
    start(k);
    accepted[0] = leat_submit(&pool, counts_and_ends, ARG(0)) == 0;
    accepted[1] = leat_submit(&pool, k->a == A_JOB_THAT_RESIZES ? resizes_its_pool : counts_and_ends, ARG(1)) == 0;
    if (k->a == A_CANCEL) GO(cancels, 0);
    if (k->a == A_RESIZE) GO(shrinks_and_grows, 0);
    sim_refuse = k->each;
    for (int n = 1; n <= 2; n++) {
        int err = leat_pool_resize(&pool, n);
        EXPECT(err == 0 || (k->a == A_CANCEL && err == -ECANCELED) || (refuses && err == -EAGAIN));
        if (sure && !err) EXPECT(leat_pool_stats(&pool, &st) == 0 && (int)st.workers == n);
    }
    for (int i = 2; i < 5; i++) {
        int err = leat_submit(&pool, i == 2 ? counts_and_ends : counts, ARG(i));
        EXPECT(err == 0 || (k->a == A_CANCEL && err == -ECANCELED));
        accepted[i] = !err;
    }
    int err = k->a == AN_ABORT ? -ECANCELED : leat_pool_stop(&pool);
    EXPECT(err == 0 || k->a == A_CANCEL || k->a == AN_ABORT);
    if (err) EXPECT(leat_pool_abort(&pool, drop_all, &pool) == 0);
    sim_join();
    EXPECT(leat_pool_stats(&pool, &st) == 0);
    EXPECT((int)st.submitted == jobs_done() && st.completed + st.failed + st.dropped == st.submitted);
    EXPECT(st.workers == 0 && st.busy == 0 && st.failed <= 3);
}

/* The first worker from `a` on cannot start. The next can. */
static _Atomic int one_cannot_begin;

static int refuses_one(void *user, int id)
{
    (void)user;
    return id >= now_->a && atomic_exchange_explicit(&one_cannot_begin, 0, memory_order_relaxed) ? 77 : 0;
}

static void start_with_refusal(const sim_knobs *k)
{
    now_ = k;
    atomic_store_explicit(&one_cannot_begin, 1, memory_order_relaxed);
    EXPECT(leat_pool_start(&pool, NULL,
                           &(leat_pool_opts){ .workers = k->receivers, .queue = k->cap, .worker_init = refuses_one }) == 0);
}

SCENARIO(resize_again_after_a_refusal, { KNOBS(0, 1, 1, 0), .a = 1 })
{
    leat_stats st;
    start_with_refusal(k);
    EXPECT(leat_pool_resize(&pool, 2) == 77);
    EXPECT(leat_pool_resize(&pool, 2) == 0);
    EXPECT(leat_pool_stats(&pool, &st) == 0 && st.workers == 2);
    EXPECT(leat_pool_stop(&pool) == 0);
    EXPECT(leat_pool_stats(&pool, &st) == 0 && st.workers == 0);
}

/* A resize that gives up while an init hook runs leaves a STARTING worker, or one whose refusal is reported next
 * time. */
static int waits_in_init(void *user, int id)
{
    (void)user;
    if (id) EXPECT(leat_wg_wait(&held) == 0);
    return id && now_->a & 1 && atomic_exchange_explicit(&one_cannot_begin, 0, memory_order_relaxed) ? 77 : 0;
}

static void *resizes_for_a_while(void *arg)
{
    ends[ID(arg)] = leat_pool_resize_ctx(&soon, &pool, 2);
    return NULL;
}

SCENARIO(resize_gives_up_while_a_hook_runs, { KNOBS(0, 1, 1, 2), .a = 0 }, { KNOBS(0, 1, 1, 2), .a = 1 },
         { KNOBS(0, 1, 1, 1), .a = 0 }, { KNOBS(0, 1, 1, 1), .a = 1 }, { KNOBS(0, 1, 1, 0), .a = 0 })
{
    leat_stats st;
    now_ = k;
    held = (leat_wg)LEAT_WG(1);
    soon = (leat_ctx)LEAT_CTX(NULL);
    atomic_store_explicit(&one_cannot_begin, 1, memory_order_relaxed);
    leat_pool_opts opts = { .workers = 1, .queue = 1, .worker_init = waits_in_init };
    EXPECT(leat_pool_start(&pool, NULL, &opts) == 0);
    int other = GO(resizes_for_a_while, 0);
    leat_cancel(&soon, 1);
    EXPECT(leat_wg_done(&held) == 0);
    accepted[0] = leat_submit(&pool, job, ARG(0)) == 0;
    int err = k->each ? leat_pool_resize(&pool, k->each) : 0;
    EXPECT(err == 0 || (err == 77 && k->a && k->each == 2));
    sim_join_one(other);
    EXPECT(ends[0] == 0 || ends[0] == -ECANCELED || (ends[0] == 77 && k->a && !err));
    if (k->each == 2 && !err) EXPECT(leat_pool_resize(&pool, 2) == 0);
    if (k->each == 2 && !err) EXPECT(leat_pool_stats(&pool, &st) == 0 && st.workers == 2);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

static int submits_two(leat_ctx *x, void *arg)
{
    (void)x;
    ran[ID(arg)]++;
    for (int i = 2; i < 4; i++) {
        int err = leat_submit(&pool, job, ARG(i));
        EXPECT(err == 0 || err == -EDEADLK || err == -ESHUTDOWN);
        accepted[i] = !err;
    }
    return 0;
}

/* A job that waits for room does not wait for a worker that cannot start. */
SCENARIO(job_waits_beside_a_refusal, { KNOBS(0, 1, 1, 1), .a = 1 }, { KNOBS(0, 1, 1, 2), .a = 1 })
{
    start_with_refusal(k);
    accepted[1] = leat_submit(&pool, submits_two, ARG(1)) == 0;
    EXPECT(leat_pool_resize(&pool, 2) == 77);
    if (k->each == 2) EXPECT(leat_pool_resize(&pool, 1) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* Nor for one that was retired. */
static LEAT_CHAN(int) answers;

static int submits_two_and_tells(leat_ctx *x, void *arg)
{
    int err = submits_two(x, arg), one = 1;
    EXPECT(leat_send(&answers, &one) == 0);
    return err;
}

SCENARIO(job_waits_beside_a_retired, { KNOBS(0, 2, 1, 1) })
{
    int m;
    start(k);
    EXPECT(leat_make(&answers, 0) == 0);
    accepted[1] = leat_submit(&pool, submits_two_and_tells, ARG(1)) == 0;
    EXPECT(leat_pool_resize(&pool, 1) == 0);
    EXPECT(leat_recv(&answers, &m) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* Nor for one whose thread cannot be spawned. */
/* Shows (L9). */
SCENARIO(job_waits_beside_a_thread_that_cannot_be_made, { KNOBS(0, 1, 1, 1) })
{
    int m;
    sim_refuse = 0;
    start(k);
    EXPECT(leat_make(&answers, 0) == 0);
    accepted[1] = leat_submit(&pool, submits_two_and_tells, ARG(1)) == 0;
    sim_refuse = k->each;
    EXPECT(leat_pool_resize(&pool, 2) == -EAGAIN);
    EXPECT(leat_recv(&answers, &m) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* Nor does an init hook wait for the job that waits for it. */
static int submits_two_in_init(void *user, int id)
{
    (void)user;
    for (int i = 2; id && i < 4; i++) {
        int err = leat_submit(&pool, job, ARG(i));
        EXPECT(err == 0 || err == -EDEADLK);
        accepted[i] = !err;
    }
    return 0;
}

static int grows_its_pool(leat_ctx *x, void *arg)
{
    (void)x;
    int one = 1;
    ran[ID(arg)]++;
    EXPECT(leat_pool_resize(&pool, 2) == 0);
    EXPECT(leat_send(&answers, &one) == 0);
    return 0;
}

/* Shows (L9), (L10). */
SCENARIO(hook_waits_beside_the_job_that_waits_for_it, { KNOBS(0, 1, 1, 1) })
{
    int m;
    now_ = k;
    leat_pool_opts opts = { .workers = 1, .queue = 1, .worker_init = submits_two_in_init };
    EXPECT(leat_pool_start(&pool, NULL, &opts) == 0);
    EXPECT(leat_make(&answers, 0) == 0);
    accepted[1] = leat_submit(&pool, grows_its_pool, ARG(1)) == 0;
    EXPECT(leat_recv(&answers, &m) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* Nor are there more workers than asked for if the one that was to replace another cannot start. */
/* Shows (L6). */
SCENARIO(replacement_cannot_begin, { KNOBS(0, 2, 2, 1), .a = 2 }, { KNOBS(0, 2, 2, 2), .a = 2 },
         { KNOBS(0, 2, 2, 3), .a = 2 })
{
    leat_stats st;
    start_with_refusal(k);
    accepted[0] = leat_submit(&pool, counts_and_ends, ARG(0)) == 0;
    int err = leat_pool_resize(&pool, k->each);
    EXPECT(err == 0 || err == 77);
    do {
        sim_yield();
        EXPECT(leat_pool_stats(&pool, &st) == 0);
        if (!err) EXPECT((int)st.workers == k->each);
    } while (!st.failed);
    EXPECT(leat_pool_stop(&pool) == 0);
}

/* A submit that is told that the pool is being stopped has seen what came before the stop. */
static int before_stop;

static void *submits_until_told(void *arg)
{
    (void)arg;
    while (leat_try_submit(&pool, job, ARG(0)) != -ESHUTDOWN) sim_yield();
    EXPECT(before_stop == 1);
    return NULL;
}

SCENARIO(stop_is_a_release, { KNOBS(0, 1, 1, 0) })
{
    start(k);
    GO(submits_until_told, 0);
    before_stop = 1;
    EXPECT(leat_pool_stop(&pool) == 0);
    sim_join();
}

/* A thread that has seen by the jobs that all calls were accepted may stop and free the pool, although the calls have
 * not returned. */
static _Atomic int job_count;

static int counted_job(leat_ctx *x, void *arg)
{
    (void)x, (void)arg;
    atomic_fetch_add_explicit(&job_count, 1, memory_order_relaxed);
    return 0;
}

static void *submits_one(void *arg)
{
    (void)arg;
    EXPECT((now_->a ? leat_try_submit(&pool, counted_job, NULL) : leat_submit(&pool, counted_job, NULL)) == 0);
    return NULL;
}

SCENARIO(pool_is_freed, { KNOBS(1, 1, 1, 1) }, { KNOBS(2, 1, 1, 1) }, { KNOBS(2, 2, 1, 1) }, { KNOBS(1, 1, 1, 1), .a = 1 })
{
    start(k);
    for (int i = 0; i < k->senders; i++) GO(submits_one, i);
    while (atomic_load_explicit(&job_count, memory_order_relaxed) < k->senders) sim_yield();
    EXPECT(leat_pool_stop(&pool) == 0);
    sim_freed(&pool, sizeof pool, "the pool");
    sim_join();
}

/* ==== Pool: jobs that do more ================================================================= */

/* Jobs that submit: -EDEADLK exactly when no worker is left to make room. What was accepted runs. */
static leat_wg under_way;

static int submits_more(leat_ctx *x, void *arg)
{
    (void)x;
    int n = ID(arg);
    ran[n]++;
    for (int i = 2 * n; i <= 2 * n + 1 && i <= now_->each; i++) {
        EXPECT(leat_wg_add(&under_way, 1) == 0);
        int err = leat_submit(&pool, submits_more, ARG(i));
        EXPECT(err == 0 || err == -EDEADLK);
        accepted[i] = !err;
        if (err) EXPECT(leat_wg_done(&under_way) == 0);
    }
    EXPECT(leat_wg_done(&under_way) == 0);
    return 0;
}

static int told;

static int waits_for_the_pool(leat_ctx *x, void *arg)
{
    (void)x, (void)arg;
    told = leat_pool_stop(&pool);
    return 0;
}

SCENARIO(jobs_submit_jobs, { KNOBS(0, 1, 1, 3) }, { KNOBS(0, 2, 1, 5) }, { KNOBS(0, 2, 2, 7) },
         { KNOBS(0, 1, LEAT_NO_QUEUE, 3) }, { KNOBS(0, 2, LEAT_NO_QUEUE, 7) })
{
    start(k);
    under_way = (leat_wg)LEAT_WG(1);
    accepted[1] = 1;
    EXPECT(leat_submit(&pool, submits_more, ARG(1)) == 0);
    EXPECT(leat_wg_wait(&under_way) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    int n = jobs_done();
    EXPECT(n >= 1 && n <= k->each);
    if (k->receivers == 1) EXPECT(n == (k->cap == 1 ? 2 : 1)); /* one worker, one place: the second has no room */
}

SCENARIO(job_stops_its_pool, { KNOBS(0, 1, 1, 1) })
{
    start(k);
    EXPECT(leat_submit(&pool, waits_for_the_pool, NULL) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    EXPECT(told == -EDEADLK);
}

/* A job that ends its thread: the worker is replaced, the job counts as failed, and no job is lost. */
/* Shows (L6). */
SCENARIO(job_ends_its_thread, { KNOBS(1, 1, 1, 1) }, { KNOBS(1, 2, 1, 2) })
{
    leat_stats st;
    start(k);
    EXPECT(leat_submit(&pool, ends_its_thread, ARG(JOBS - 1)) == 0);
    accepted[JOBS - 1] = 1;
    for (int i = 0; i < k->senders; i++) GO(submits, i);
    EXPECT(leat_pool_stop(&pool) == 0);
    sim_join();
    int n = jobs_done();
    EXPECT(leat_pool_stats(&pool, &st) == 0);
    EXPECT(st.failed == 1 && (int)st.completed == n - 1 && st.busy == 0);
}

/* The init hook of a worker refuses: everything is unwound. */
static int inits, finis;

static int refuses(void *user, int id)
{
    (void)user;
    return id == now_->a ? 77 : (inits++, 0);
}

static void undoes(void *user, int id)
{
    (void)user, (void)id;
    finis++;
}

SCENARIO(worker_refuses, { .receivers = 2, .a = 0 }, { .receivers = 2, .a = 1 })
{
    now_ = k;
    leat_pool_opts opts = { .workers = k->receivers, .worker_init = refuses, .worker_fini = undoes };
    EXPECT(leat_pool_start(&pool, NULL, &opts) == 77);
    EXPECT(inits == k->a && finis == inits);
    EXPECT(leat_pool_stop(&pool) == -EALREADY);
}

/* ==== Pool: a wait until all jobs have returned =============================================== */

/* What the jobs did happens-before the wait's return: `ran` is read without any other order. */
static void *waits_for_jobs(void *arg)
{
    int err = leat_pool_wait(&pool);
    EXPECT(err == 0 || (ID(arg) && (err == -ESHUTDOWN || (now_->a && err == -ECANCELED))));
    return NULL;
}

/* Shows (L14). */
SCENARIO(wait_sees_what_the_jobs_did, { KNOBS(0, 1, 1, 1) }, { KNOBS(0, 2, 2, 2) }, { KNOBS(0, 2, 1, 3) },
         { KNOBS(0, 1, LEAT_NO_QUEUE, 2) }, { KNOBS(0, 2, LEAT_NO_QUEUE, 2) }, { KNOBS(0, 2, 2, 2), .a = 1 })
{
    start(k);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    int other = k->a ? GO(waits_for_jobs, 0) : 0;
    EXPECT(leat_pool_wait(&pool) == 0);
    EXPECT(jobs_done() == k->each);
    if (k->a) sim_join_one(other);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* The same of the form that does not wait. */
SCENARIO(try_wait_sees_what_the_jobs_did, { KNOBS(0, 1, 1, 1) }, { KNOBS(0, 2, 2, 2) })
{
    int err;
    start(k);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    while ((err = leat_try_pool_wait(&pool)) == -EAGAIN) sim_yield();
    EXPECT(err == 0 && jobs_done() == k->each);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* A job that submits the next one: the wait returns after the last. */
static int submits_the_next(leat_ctx *x, void *arg)
{
    (void)x;
    int n = ID(arg);
    ran[n]++;
    if (n < now_->each) accepted[n + 1] = leat_submit(&pool, submits_the_next, ARG(n + 1)) == 0;
    return 0;
}

/* Shows (L14). */
SCENARIO(wait_against_a_job_that_submits_a_job, { KNOBS(0, 1, 1, 2) }, { KNOBS(0, 2, 1, 2) }, { KNOBS(0, 2, 2, 3), .a = 1 })
{
    int err;
    start(k);
    accepted[1] = leat_submit(&pool, submits_the_next, ARG(1)) == 0;
    if (k->a)
        while ((err = leat_try_pool_wait(&pool)) == -EAGAIN) sim_yield();
    else err = leat_pool_wait(&pool);
    EXPECT(err == 0 && jobs_done() == k->each);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* A submit that is refused meanwhile: the last that leaves tells, be it the worker or the submit. */
static void *tries(void *arg)
{
    int n = ID(arg), err = leat_try_submit(&pool, job, ARG(n));
    EXPECT(err == 0 || err == -EAGAIN);
    accepted[n] = !err;
    return NULL;
}

/* Shows (L14). */
SCENARIO(wait_against_a_refused_submit, { KNOBS(1, 1, LEAT_NO_QUEUE, 1) }, { KNOBS(2, 1, LEAT_NO_QUEUE, 0) },
         { KNOBS(2, 1, 1, 1) }, { KNOBS(1, 1, LEAT_NO_QUEUE, 1), .a = 1 }, { KNOBS(1, 2, 1, 2), .a = 1 })
{
    int one[SIM_THREADS], n = 0;
    start(k);
    for (int i = 0; i < k->senders; i++) one[n++] = GO(tries, JOBS - 1 - i);
    for (int i = 0; i <= k->a; i++) one[n++] = GO(waits_for_jobs, 0);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    while (n) sim_join_one(one[--n]);
    EXPECT(leat_pool_wait(&pool) == 0);
    jobs_done();
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* ==== Pool: time in the queue ================================================================== */

static void *is_refused(void *arg)
{
    leat_ctx done = LEAT_CTX(NULL);
    leat_cancel(&done, 0);
    EXPECT(leat_submit_ctx(&done, &pool, job, arg) == -ECANCELED);
    return NULL;
}

/* A submit that is refused had begun to time its job. The next submit that times one writes where it has written. */
SCENARIO(refused_submit_gives_its_timing_back, { KNOBS(0, 1, 2, 2) }, { KNOBS(0, 1, 2, 3) }, { KNOBS(0, 2, 2, 3) })
{
    start(k);
    int one = GO(is_refused, JOBS - 1);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    sim_join_one(one);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
    jobs_done();
}

/* Workers come and go meanwhile. */
/* Shows (L14). */
SCENARIO(wait_against_resize, { KNOBS(0, 2, 2, 1), .a = 1 }, { KNOBS(0, 2, 2, 3), .a = 1 }, { KNOBS(0, 1, 2, 2), .a = 2 },
         { KNOBS(0, 1, 2, 3), .a = 2 })
{
    start(k);
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    int one = GO(resizes, k->a);
    EXPECT(leat_pool_wait(&pool) == 0);
    EXPECT(jobs_done() == k->each);
    sim_join_one(one);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* A stop that begins while a thread waits, or that the wait comes too late for: the pool lives until the wait has left, and is
 * gone then. */
static void release_when(bool ready(void))
{
    while (!ready()) sim_yield();
    EXPECT(leat_wg_done(&held) == 0);
}

static bool a_call_is_inside(void)
{
    return atomic_load_explicit(&pool.calls_, memory_order_relaxed) >= LEAT_INSIDE_;
}

SCENARIO(stop_against_wait, { KNOBS(1, 1, 1, 0) }, { KNOBS(2, 2, 1, 1) }, { KNOBS(1, 1, 2, 2), .a = 1 })
{
    start(k);
    held = (leat_wg)LEAT_WG(1);
    accepted[JOBS - 1] = leat_submit(&pool, hangs, ARG(JOBS - 1)) == 0;
    for (int i = 0; i < k->each; i++) accepted[i] = leat_submit(&pool, job, ARG(i)) == 0;
    for (int i = 0; i < k->senders; i++) GO(waits_for_jobs, 1);
    if (k->a) GO(cancels, 0);
    if (k->senders == 1 && !k->a) release_when(a_call_is_inside);
    else EXPECT(leat_wg_done(&held) == 0);
    int err = k->a ? -ECANCELED : leat_pool_stop(&pool);
    if (err) EXPECT(leat_pool_abort(&pool, drop_all, &pool) == 0);
    if (k->senders == 1 && !k->a) sim_freed(&pool, sizeof pool, "the pool");
    sim_join();
    jobs_done();
}

/* ==== Pool: jobs that somebody holds ========================================================== */

static leat_job mine[4];
static bool cancelled[4];

static void job_is_freed(int n)
{
    sim_freed(&mine[n], sizeof mine[n], "the job");
}

/* Job n returns n, and is accepted. */
static int returns(leat_ctx *x, void *arg)
{
    (void)x;
    ran[ID(arg)]++;
    return ID(arg);
}

static void submit_mine(int n)
{
    mine[n] = (leat_job)LEAT_JOB(returns, ARG(n));
    sim_name(&mine[n], sizeof mine[n], "job");
    int err = leat_submit_job(&pool, &mine[n]);
    EXPECT(err == 0 || err == -ESHUTDOWN || err == -ECANCELED);
    accepted[n] = !err;
}

/* Waits for a job, and sees whether it ran. */
static bool ran_mine(int n)
{
    int result = -7, err = leat_job_wait(&mine[n], &result);
    EXPECT(err == 0 || err == -ECANCELED);
    EXPECT(ran[n] == !err && (err || result == n));
    return !err;
}

static void *waits_for_mine(void *arg)
{
    int n = ID(arg);
    bool runs = ran_mine(n);
    if (now_->a == 2) EXPECT(!runs);
    return NULL;
}

static void *cancels_mine(void *arg)
{
    int n = ID(arg), err = leat_job_cancel(&mine[n]);
    EXPECT(err == 0 || err == -EALREADY);
    cancelled[n] = !err;
    return NULL;
}

/* Each job that was accepted ran, was cancelled, or was dropped: its submitter and the statistics agree. */
static void mine_agree(int jobs)
{
    leat_stats st;
    size_t all = 0, back = 0, over = 0;
    for (int i = 0; i < jobs; i++) {
        if (!accepted[i]) continue;
        all++;
        bool runs = ran_mine(i);
        EXPECT(!runs || !cancelled[i]);
        over += runs;
        back += cancelled[i];
    }
    EXPECT(leat_pool_stats(&pool, &st) == 0);
    EXPECT(st.submitted == all && st.completed + st.failed == over && st.cancelled == back);
    EXPECT(st.dropped == all - over - back && st.busy + st.queued == 0);
}

/* A cancel against the start of the job. a = 1: while a thread waits for it. */
/* Shows (L12), (L13). */
SCENARIO(cancel_against_start, { KNOBS(0, 1, 1, 1) }, { KNOBS(0, 2, 2, 2) }, { KNOBS(0, 1, 1, 1), .a = 1 },
         { KNOBS(0, 2, 2, 2), .a = 1 }, { KNOBS(0, 2, LEAT_NO_QUEUE, 2) })
{
    start(k);
    for (int i = 0; i < k->each; i++) submit_mine(i);
    if (k->a) GO(waits_for_mine, 0);
    GO(cancels_mine, 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    sim_join();
    mine_agree(k->each);
}

/* The submitter frees the job as soon as a cancel or a wait has returned. a = 1: while another thread is parked for it. a = 4:
 * it tries until the job has returned. */
static bool a_thread_waits_for_mine(void)
{
    leat_lock_take_(&mine[0].lock_);
    bool waits = mine[0].waiters_.first_ != NULL;
    leat_lock_drop_(&mine[0].lock_);
    return waits;
}

static int hangs_and_returns(leat_ctx *x, void *arg)
{
    EXPECT(leat_wg_wait(&held) == 0);
    return returns(x, arg);
}

SCENARIO(job_is_freed_at_once, { KNOBS(0, 1, 1, 1) }, { KNOBS(0, 1, 1, 1), .a = 1 }, { KNOBS(0, 1, 1, 1), .a = 2 },
         { KNOBS(0, 1, 1, 1), .a = 3 }, { KNOBS(0, 1, 1, 1), .a = 4 })
{
    int result = -7, err = -EAGAIN;
    start(k);
    held = (leat_wg)LEAT_WG(1);
    mine[0] = (leat_job)LEAT_JOB(hangs_and_returns, ARG(0));
    if (k->a == 2) EXPECT(leat_submit(&pool, hangs, ARG(1)) == 0);
    EXPECT(leat_submit_job(&pool, &mine[0]) == 0);
    if (k->a == 1 || k->a == 2) {
        GO(waits_for_mine, 0);
        while (!a_thread_waits_for_mine()) sim_yield();
    }
    if (k->a != 2) EXPECT(leat_wg_done(&held) == 0);
    while (k->a == 4 && (err = leat_try_job_wait(&mine[0], &result)) == -EAGAIN) sim_yield();
    if (k->a == 4) EXPECT(!err && result == 0 && ran[0] == 1);
    else if (k->a == 1 || !k->a || leat_job_cancel(&mine[0])) ran_mine(0);
    else EXPECT(ran[0] == 0);
    job_is_freed(0);
    if (k->a == 2) EXPECT(leat_wg_done(&held) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
    sim_join();
}

/* A token is taken before its job is in the list: the worker takes another submitter's job, or waits. */
static void *submits_mine(void *arg)
{
    submit_mine(ID(arg));
    if (accepted[ID(arg)] && now_->a) cancels_mine(arg);
    return NULL;
}

/* Shows (L12). */
SCENARIO(tokens_against_jobs, { KNOBS(2, 1, 1, 0) }, { KNOBS(2, 2, 2, 0) }, { KNOBS(2, 1, 2, 0), .a = 1 },
         { KNOBS(3, 2, 2, 0), .a = 1 }, { KNOBS(2, 2, LEAT_NO_QUEUE, 0), .a = 1 })
{
    int one[SIM_THREADS];
    start(k);
    for (int i = 0; i < k->senders; i++) one[i] = GO(submits_mine, i);
    for (int i = 0; i < k->senders; i++) sim_join_one(one[i]);
    EXPECT(leat_pool_stop(&pool) == 0);
    mine_agree(k->senders);
}

/* The same against a stop, which frees the pool at once. A cancel that comes late finds a job that is over. a = 1: the pool's
 * context is done, and the stop finds only jobs that were cancelled, or the abort hands back the others. */
/* Shows (L13). */
SCENARIO(stop_against_cancel, { KNOBS(0, 1, 1, 1) }, { KNOBS(0, 2, 2, 2) }, { KNOBS(0, 1, 1, 1), .a = 1 },
         { KNOBS(0, 1, 2, 2), .a = 1 })
{
    start(k);
    if (k->a) GO(cancels, 0);
    for (int i = 0; i < k->each; i++) submit_mine(i);
    for (int i = 0; i < k->each; i++)
        if (accepted[i]) GO(cancels_mine, i);
    int err = leat_pool_stop(&pool);
    EXPECT(err == 0 || (k->a && err == -ECANCELED));
    bool aborts = err != 0;
    if (aborts) EXPECT(leat_pool_abort(&pool, drop, &pool) == 0);
    sim_freed(&pool, sizeof pool, "the pool");
    sim_join();
    for (int i = 0; i < k->each; i++)
        if (accepted[i]) EXPECT(aborts ? !(ran_mine(i) && cancelled[i]) : ran_mine(i) == !cancelled[i]);
}

SCENARIO(abort_against_cancel, { KNOBS(0, 1, 1, 1) }, { KNOBS(0, 1, 2, 2) }, { KNOBS(0, 2, 2, 2) }, { KNOBS(1, 1, 2, 2) })
{
    start(k);
    for (int i = 0; i < k->each; i++) submit_mine(i);
    for (int i = 0; i < k->each; i++) GO(cancels_mine, i);
    for (int i = 0; i < k->senders; i++) GO(submits_mine, k->each + i);
    EXPECT(leat_pool_abort(&pool, drop, &pool) == 0);
    sim_join();
    mine_agree(k->each + k->senders);
}

/* A wait until all jobs have returned does not wait for a job that was cancelled, but for the place that it has left in the
 * queue. */
/* Shows (L12), (L14). */
SCENARIO(wait_against_cancel, { KNOBS(0, 1, 1, 1) }, { KNOBS(0, 2, 2, 2) }, { KNOBS(0, 1, 2, 2), .a = 1 })
{
    start(k);
    for (int i = 0; i < k->each; i++) submit_mine(i);
    int one = GO(cancels_mine, 0), other = k->a ? GO(waits_for_jobs, 0) : 0;
    EXPECT(leat_pool_wait(&pool) == 0);
    if (k->a) sim_join_one(other);
    sim_join_one(one);
    mine_agree(k->each);
    EXPECT(leat_pool_stop(&pool) == 0);
}

/* A job that ends its thread has returned -EINTR. */
static int ends_mine(leat_ctx *x, void *arg)
{
    return ends_its_thread(x, arg);
}

SCENARIO(held_job_ends_its_thread, { KNOBS(0, 1, 1, 1) })
{
    int result = 0;
    leat_stats st;
    start(k);
    mine[0] = (leat_job)LEAT_JOB(ends_mine, ARG(0));
    EXPECT(leat_submit_job(&pool, &mine[0]) == 0);
    EXPECT(leat_job_wait(&mine[0], &result) == 0 && result == -EINTR && ran[0] == 1);
    EXPECT(leat_pool_stats(&pool, &st) == 0 && st.failed == 1); /* counted before its waiter was told */
    job_is_freed(0);
    EXPECT(leat_pool_wait(&pool) == 0);
    EXPECT(leat_pool_stop(&pool) == 0);
}

/* ==== Pool: values, lanes ===================================================================== */

static void start_as(const sim_knobs *k, int lanes, size_t value_size)
{
    leat_pool_opts opts = { .workers = k->receivers, .queue = k->cap, .lanes = lanes, .value_size = value_size };
    now_ = k;
    ctx = (leat_ctx)LEAT_CTX(NULL);
    sim_name(&pool, sizeof pool, "pool");
    EXPECT(leat_pool_start(&pool, &ctx, &opts) == 0);
    sim_name(&pool.gate_, sizeof pool.gate_, "pool.gate");
}

/* A value has a size that is no multiple of anything. */
typedef struct {
    int n;
    char twice[9];
} value;

static value value_of(int n)
{
    return (value){ n, { (char)n, (char)n, 3, 4, 5, 6, 7, 8, (char)(n + 1) } };
}

static int job_by_value(leat_ctx *x, void *arg)
{
    value *v = arg;
    EXPECT(v->twice[0] == v->n && v->twice[8] == v->n + 1);
    memset(v->twice, 0, sizeof v->twice); /* the copy is the job's own */
    return job(x, ARG(v->n));
}

static void drop_value(leat_task *fn, void *arg, void *user)
{
    value *v = arg;
    if (fn == job) {
        drop(fn, arg, user);
        return;
    }
    EXPECT(fn == job_by_value && v->twice[0] == v->n && v->twice[8] == v->n + 1);
    dropped[v->n]++;
}

static void *submits_values(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int n = ID(arg) * now_->each + i, err;
        value v = value_of(n);
        if (i % 2) err = leat_submit(&pool, job, ARG(n));
        else err = leat_submit_value(&pool, job_by_value, &v);
        memset(&v, 0, sizeof v);
        EXPECT(err == 0 || err == -ESHUTDOWN || err == -ECANCELED);
        accepted[n] = !err;
    }
    return NULL;
}

/* each 3 in a queue of 1 or 2: the ring wraps. */
SCENARIO(values_against_stop, { KNOBS(1, 1, 1, 3) }, { KNOBS(2, 1, 2, 2) }, { KNOBS(2, 2, 1, 2) },
         { KNOBS(1, 1, LEAT_NO_QUEUE, 3) }, { KNOBS(2, 2, LEAT_NO_QUEUE, 2) }, { KNOBS(1, 1, 2, 3), .a = 1 },
         { KNOBS(2, 1, LEAT_NO_QUEUE, 2), .a = 1 })
{
    start_as(k, 1, sizeof(value));
    for (int i = 0; i < k->senders; i++) GO(submits_values, i);
    int err = k->a ? leat_pool_abort(&pool, drop_value, &pool) : leat_pool_stop(&pool);
    EXPECT(err == 0);
    stopped();
}

/* Jobs in several lanes. */
static void *submits_to_lane(void *arg)
{
    for (int i = 0; i < now_->each; i++) {
        int n = ID(arg) * now_->each + i;
        int err = leat_submit_lane(&pool, n % 2, job, ARG(n));
        EXPECT(err == 0 || err == -ESHUTDOWN || err == -ECANCELED);
        accepted[n] = !err;
    }
    return NULL;
}

SCENARIO(lanes_against_stop, { KNOBS(1, 1, 1, 2) }, { KNOBS(2, 1, 1, 2) }, { KNOBS(2, 2, 2, 2) },
         { KNOBS(2, 2, LEAT_NO_QUEUE, 2) }, { KNOBS(1, 1, 2, 4), .a = 1 }, { KNOBS(2, 2, 1, 2), .a = 1 })
{
    start_as(k, 2, 0);
    for (int i = 0; i < k->senders; i++) GO(submits_to_lane, i);
    if (k->a && k->senders == 1) sim_join_one(k->receivers + 1); /* jobs in both lanes */
    int err = k->a ? leat_pool_abort(&pool, drop, &pool) : leat_pool_stop(&pool);
    EXPECT(err == 0);
    stopped();
}

/* A worker that is parked for all lanes is woken by a job in any. */
SCENARIO(job_in_another_lane_wakes, { KNOBS(0, 1, 1, 2) }, { KNOBS(0, 2, 1, 3) }, { KNOBS(0, 1, LEAT_NO_QUEUE, 2) },
         { KNOBS(0, 2, 1, 4), .a = 1 })
{
    start_as(k, 2, 0);
    for (int i = 0; i < k->each; i++) {
        accepted[i] = leat_submit_lane(&pool, 1 - i % 2, job, ARG(i)) == 0;
        if (i == 1 && k->a) EXPECT(leat_pool_resize(&pool, 1) == 0);
        if (!k->a || i == k->each - 1) EXPECT(leat_pool_wait(&pool) == 0 && ran[i] == 1);
    }
    EXPECT(jobs_done() == k->each);
    EXPECT(leat_pool_stop(&pool) == 0);
    stopped();
}

/* Two jobs wait for room, each in another lane, and a submitter S before one of them. When there is room, it is S that is woken.
 * If S gives up instead, the job behind S gets the room, ends, and its worker makes room for the other: no job is told. */
static leat_wg held_too;
static int no_room;

static void submits_to(int lane, int n)
{
    int err = leat_submit_lane(&pool, lane, job, ARG(n));
    EXPECT(err == 0 || err == -EDEADLK);
    accepted[n] = !err;
    if (err) no_room++;
}

static int waits_then_submits(leat_ctx *x, void *arg)
{
    (void)x, (void)arg;
    EXPECT(leat_wg_wait(&held_too) == 0);
    submits_to(0, 2);
    return 0;
}

static int submits_to_lane_1(leat_ctx *x, void *arg)
{
    (void)x, (void)arg;
    submits_to(1, 3);
    return 0;
}

static void *submits_for_a_while(void *arg)
{
    int n = ID(arg);
    ends[0] = leat_submit_lane_ctx(&soon, &pool, 0, job, ARG(n));
    EXPECT(ends[0] == 0 || ends[0] == -ECANCELED);
    accepted[n] = !ends[0];
    return NULL;
}

static bool wait_for_room(int n)
{
    leat_chan *ch = &pool.lane_[0].queue_.chan;
    leat_lock_take_(&ch->lock_);
    for (leat_node_ *l = ch->ends_[LEAT_RECEIVES_].peers_.first_; l; l = l->next_) n--;
    leat_lock_drop_(&ch->lock_);
    return n == 0;
}

/* Shows (L9). */
SCENARIO(room_in_another_lane, { KNOBS(0, 2, 1, 0) })
{
    start_as(k, 2, 0);
    soon = (leat_ctx)LEAT_CTX(NULL);
    held = held_too = (leat_wg)LEAT_WG(1);
    accepted[JOBS - 1] = leat_submit(&pool, hangs, ARG(JOBS - 1)) == 0;
    while (!atomic_load_explicit(&hanging, memory_order_relaxed)) sim_yield();
    EXPECT(leat_submit(&pool, waits_then_submits, NULL) == 0);
    EXPECT(leat_submit(&pool, submits_to_lane_1, NULL) == 0);
    accepted[5] = leat_submit_lane(&pool, 1, job, ARG(5)) == 0;
    int one = GO(submits_for_a_while, 4);
    while (!wait_for_room(1)) sim_yield();
    EXPECT(leat_wg_done(&held_too) == 0);
    while (!wait_for_room(2)) sim_yield();
    EXPECT(leat_wg_done(&held) == 0);
    leat_cancel(&soon, 1);
    sim_join_one(one);
    EXPECT(leat_pool_wait(&pool) == 0);
    jobs_done();
    EXPECT(no_room <= (ends[0] == 0));
    EXPECT(leat_pool_stop(&pool) == 0);
}
