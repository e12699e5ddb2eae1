/* pool.h - Go's errgroup and worker pool for C programs: bounded, draining, cancellable.
 *
 *     leat_group g = LEAT_GROUP(NULL);                          // errgroup.WithContext
 *     leat_group_limit(&g, 10);                                 // g.SetLimit(10)
 *     for (size_t i = 0; i < n; i++) leat_go(&g, fetch, &urls[i]);
 *     int err = leat_wait(&g);                                  // the first error; it cancelled the rest
 *
 *     leat_pool p;                                              // an executor for jobs of any kind
 *     leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 8 });
 *     leat_submit(&p, work, arg);                               // waits while the queue is full
 *     leat_pool_stop(&p);                                       // no more, drain, join
 *
 * SPDX-License-Identifier: MIT
 *
 * WHAT IT IS NOT. Not green threads: a task runs on a thread of the system, so bound them. Not a thread
 * per pool: workers belong to one pool.
 *
 * ANSWERS. As in queue.h, and:
 *     -ESHUTDOWN    after stop, or after wait
 *     -EALREADY     stopped before: harmless
 *     -EDEADLK      it would wait for ever: for its own pool or group, or for room that only it can make
 *     -EAGAIN       also: a thread could not be made (passed on from pthread_create)
 * Needs queue.h and semaphore.h.
 *
 * WHAT IS PROMISED. A task or job that was accepted (0) runs once, to its end; or, a pool's job, it is
 * handed to the `dropped` of leat_pool_abort once. A thread that a job ends (pthread_exit, cancellation)
 * is replaced, and the job counts as failed with -EINTR. Threads are joined, never detached; they block
 * all signals but those of their own faults.
 * The child of a fork has copies of all objects, and none of the threads: there, exec or _exit.
 *
 * MEMORY ORDER. What a task did is carried to leat_wait by pthread_join.
 *     label   site                              carries
 *     [G1]    the gate shuts, a call leaves  -> [G2]    that stop began; that the call is over
 *     [G2]    a call enters, stop waits      <- [G1]
 *     [X7]    counters and states that a lock, a join or the reader's tolerance orders: nothing
 */
#ifndef LEAT_POOL_H
#define LEAT_POOL_H

#include "semaphore.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

LEAT_OWN_STYLE_BEGIN_

/* A task: gets its group's or pool's context and the argument it was submitted with (shared with the
 * caller, not copied). Returns 0, or any non-zero int: an error, handed back verbatim. */
typedef int leat_task(leat_ctx *ctx, void *arg);

typedef struct leat_job_ {
    leat_task *fn_;
    void *arg_;
} leat_job_;

typedef LEAT_CHAN(leat_job_) leat_jobs_;
typedef LEAT_CHAN(int) leat_ints_;

/* ==== 1. Threads ============================================================================== */

/* A pool's worker has a post. COMES: it begins, and does not count. RETIRED: it leaves after its job, unless a
 * resize takes it back before. LEAVES: it takes no more jobs. */
enum { LEAT_COMES_ = 0, LEAT_WORKS_ = 1, LEAT_RETIRED_ = 2, LEAT_LEAVES_ = 3 };

/* A thread of a group or pool. Its counters are written by itself alone. */
typedef struct leat_hand_ {
    struct leat_hand_ *next_;
    struct leat_crew_ *crew_;
    void *owner_;
    void (*work_)(struct leat_hand_ *); /* what the thread does */
    void (*died_)(struct leat_hand_ *); /* what it does when a job has ended it */
    pthread_t thread_;
    int id_;
    bool gone_;          /* it takes no more jobs and may be joined */
    leat_job_ first_;    /* a group's: the task it begins with */
    bool stuck_;         /* a group's: its task waits in leat_go */
    leat_case *waits_;   /* a pool's: its job waits for room, here */
    int post_;           /* a pool's */
    leat_ctx ctx_;       /* a pool's: cancelled to retire it */
    struct leat_hand_ *old_; /* a pool's: whose place it takes */
    bool begins_;        /* a pool's: its init hook has not returned */
    leat_ints_ *ready_;  /* a pool's: where to say that it has */
    int nested_;         /* a pool's: so often it went on, itself, after a job had ended it */
    char pad_[LEAT_LINE_];
    _Atomic size_t taken_, completed_, failed_, high_;
} leat_hand_;

typedef struct leat_crew_ {
    leat_lock_ lock_;   /* guards what follows, and the plain fields of the hands */
    leat_hand_ *hands_; /* until they are joined */
    int next_id_;
} leat_crew_;

/* Counters with one writer at a time: no locked operation. */
static inline size_t leat_counted_(_Atomic size_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed); /* [X7] */
}

static inline void leat_tally_(_Atomic size_t *n, size_t more)
{
    atomic_store_explicit(n, leat_counted_(n) + more, memory_order_relaxed); /* [X7] */
}

/* The calling thread as one of the crew, or NULL. The lock is held. */
static inline leat_hand_ *leat_me_(const leat_crew_ *crew)
{
    leat_hand_ *h = crew->hands_;
    while (h && !(pthread_equal(h->thread_, pthread_self()) && !h->gone_)) h = h->next_;
    return h;
}

LEAT_COLD_ bool leat_in_crew_(leat_crew_ *crew)
{
    leat_lock_take_(&crew->lock_);
    bool in = leat_me_(crew) != NULL;
    leat_lock_drop_(&crew->lock_);
    return in;
}

static inline void leat_hand_leaves_(leat_hand_ *h)
{
    leat_lock_take_(&h->crew_->lock_);
    h->gone_ = true;
    leat_lock_drop_(&h->crew_->lock_);
}

static inline void leat_hand_died_(void *arg)
{
    leat_hand_ *h = arg;
    if (h->gone_) return; /* a job ended the thread that went on after another had: then this runs twice */
    h->died_(h);
    leat_hand_leaves_(h);
}

LEAT_COLD_ void *leat_hand_main_(void *arg)
{
    leat_hand_ *h = arg;
    pthread_cleanup_push(leat_hand_died_, h);
    h->work_(h);
    pthread_cleanup_pop(0);
    leat_hand_leaves_(h);
    return NULL;
}

/* It works from now on, in the post of the one whose place it takes, if it does. The lock is held. */
LEAT_COLD_ void leat_take_post_(leat_hand_ *h)
{
    h->post_ = h->old_ ? h->old_->post_ : LEAT_WORKS_;
    if (h->old_) h->old_->post_ = LEAT_LEAVES_;
    if (h->post_ == LEAT_RETIRED_) leat_cancel(&h->ctx_, -ECANCELED);
}

/* Gives a thread to `h`, which was malloc'd and is the crew's from now on: 0, or its error, and freed. The thread
 * may run before it is in the list; but whoever takes the lock finds it there. */
LEAT_COLD_ int leat_hire_(leat_crew_ *crew, leat_hand_ *h, size_t stack_size)
{
    pthread_attr_t attr;
    leat_os_mask_t_ mask = LEAT_OS_MASK_ALL_;
    int err = pthread_attr_init(&attr);
    if (!err) {
        if (stack_size) err = pthread_attr_setstacksize(&attr, stack_size);
        h->crew_ = crew;
        leat_lock_take_(&crew->lock_);
        h->id_ = crew->next_id_;
        leat_os_mask_(&mask);
        if (!err) err = pthread_create(&h->thread_, &attr, leat_hand_main_, h);
        leat_os_mask_(&mask);
        if (!err) {
            h->next_ = crew->hands_;
            crew->hands_ = h;
            crew->next_id_++;
            if (!h->begins_) leat_take_post_(h);
        }
        leat_lock_drop_(&crew->lock_);
        pthread_attr_destroy(&attr);
    }
    if (err) free(h);
    return -err;
}

/* Joins and frees a chain of hands. */
LEAT_COLD_ void leat_part_(leat_hand_ *h)
{
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* no call of ours ends its thread */
    for (leat_hand_ *next; h; h = next) {
        next = h->next_;
        pthread_join(h->thread_, NULL);
        free(h);
    }
    pthread_setcancelstate(cancel, &cancel);
}

/* ==== 2. Group: tasks on threads, first error cancels =========================================
 *
 * A thread that has finished a task offers itself (idle_), and waits for the next. To start a task,
 * leat_go takes an idle thread, or makes one if the limit allows it, or waits for one; then hands the
 * task over. Tasks are never queued, so an accepted one has a thread that will run it. */

typedef struct leat_group {
    leat_ctx ctx_;
    leat_sem idle_;   /* threads that are not promised a task */
    leat_jobs_ tasks_; /* unbuffered */
    leat_crew_ crew_; /* its lock guards what follows */
    int limit_;       /* 0: none */
    int making_;      /* threads that exist or are being made */
    bool shut_;       /* no more tasks */
    bool used_;       /* there were tasks */
    bool over_;       /* somebody has seen the last one return */
    int64_t active_;  /* tasks accepted, not returned */
    leat_sem *shared_;
    leat_chan *closes_;
    leat_wg running_; /* active_, to wait for */
    leat_chan joined_; /* closed when all is over */
    _Atomic int err_;
    _Atomic size_t errors_;
} leat_group;

/* An initialiser: a group whose tasks run under a context of their own, below `parent` (or NULL). */
#define LEAT_GROUP(parent) { .ctx_ = LEAT_CTX(parent), .idle_ = LEAT_SEM_OF(0, LEAT_SEM_MAX) }

/* The context that the group's tasks get: done with the first error as cause, and after leat_wait. */
LEAT_HOT_ leat_ctx *leat_group_ctx(leat_group *g)
{
    return &g->ctx_;
}

/* How many tasks have returned an error so far: 1 if only the one that leat_wait tells. */
LEAT_HOT_ size_t leat_group_errors(leat_group *g)
{
    return atomic_load_explicit(&g->errors_, memory_order_relaxed); /* [X7] */
}

/* At most n tasks at once (n >= 1). 0, or -EINVAL: n < 1, or there have been tasks. */
LEAT_HOT_ int leat_group_limit(leat_group *g, int n)
{
    if (!g || n < 1 || g->used_) return -EINVAL;
    g->limit_ = n;
    return 0;
}

/* Each task holds one permit of *sem while it runs: a limit for several groups together. Before the
 * first task; the semaphore must outlive the group. It bounds the tasks that run; a few more threads than
 * that may be made, unless leat_group_limit bounds them too. A task that starts another while its own
 * permit is the last one waits for itself: that is not detected. 0, -EINVAL. */
LEAT_HOT_ int leat_group_share(leat_group *g, leat_sem *sem)
{
    if (!g || !sem || g->used_) return -EINVAL;
    g->shared_ = sem;
    return 0;
}

/* Counts n tasks as over. When none is left, closes what is to be closed. */
LEAT_COLD_ void leat_group_less_(leat_group *g, int64_t n)
{
    leat_chan *closes = NULL;
    leat_lock_take_(&g->crew_.lock_);
    g->active_ -= n;
    if (!g->active_ && g->closes_) {
        closes = g->closes_;
        g->closes_ = NULL;
        g->shut_ = true;
    }
    leat_lock_drop_(&g->crew_.lock_);
    if (closes) leat_close_(closes);
    int err = leat_wg_add(&g->running_, -n);
    LEAT_ASSERT(!err);
    (void)err;
}

LEAT_COLD_ void leat_group_ended_(leat_group *g, int err)
{
    if (err) {
        int none = 0;
        atomic_fetch_add_explicit(&g->errors_, 1, memory_order_relaxed); /* [X7] */
        if (atomic_compare_exchange_strong_explicit(&g->err_, &none, err, memory_order_relaxed, /* [X7] */
                                                    memory_order_relaxed))
            leat_cancel(&g->ctx_, err);
    }
    if (g->shared_ && leat_release(g->shared_, 1)) LEAT_MISUSE_("shared semaphore over-released");
    leat_group_less_(g, 1);
}

static inline void leat_group_work_(leat_hand_ *h)
{
    leat_group *g = h->owner_;
    for (leat_job_ job = h->first_;;) {
        if (job.fn_) leat_group_ended_(g, job.fn_(&g->ctx_, job.arg_));
        int err = leat_release(&g->idle_, 1);
        LEAT_ASSERT(!err);
        if (err || leat_recv(&g->tasks_, &job)) return;
    }
}

LEAT_COLD_ void leat_group_died_(leat_hand_ *h);

/* Makes a thread that begins with `first`. */
LEAT_COLD_ int leat_group_hire_(leat_group *g, leat_job_ first)
{
    leat_hand_ *h = leat_zeroed_(1, sizeof *h, 1);
    if (!h) return -ENOMEM;
    h->owner_ = g;
    h->work_ = leat_group_work_;
    h->died_ = leat_group_died_;
    h->first_ = first;
    return leat_hire_(&g->crew_, h, 0);
}

/* A task has ended its thread: another takes its place. */
LEAT_COLD_ void leat_group_died_(leat_hand_ *h)
{
    leat_group *g = h->owner_;
    leat_job_ none = { .fn_ = NULL };
    int err = leat_group_hire_(g, none);
    leat_group_ended_(g, -EINTR);
    if (err) { /* no other: this one goes on, here */
        h->first_ = none;
        pthread_cleanup_push(leat_hand_died_, h);
        leat_group_work_(h);
        pthread_cleanup_pop(0);
    }
}

/* Counts n tasks as accepted, unless it is too late for that. */
LEAT_COLD_ int leat_group_more_(leat_group *g, int64_t n)
{
    leat_lock_take_(&g->crew_.lock_);
    int err = g->shut_ ? -ESHUTDOWN : leat_ctx_err(&g->ctx_);
    if (!err) {
        g->used_ = true;
        g->active_ += n;
        err = leat_wg_add(&g->running_, n);
    }
    leat_lock_drop_(&g->crew_.lock_);
    return err;
}

/* Waits at the limit for a thread. A task that waits here blocks its own thread; if all of them do, none
 * will ever be idle. */
LEAT_COLD_ int leat_group_queue_(leat_group *g)
{
    int threads = 0;
    bool all_stuck = true;
    leat_lock_take_(&g->crew_.lock_);
    leat_hand_ *me = leat_me_(&g->crew_);
    for (leat_hand_ *h = g->crew_.hands_; h; h = h->next_) {
        threads += !h->gone_;
        all_stuck &= h == me || h->stuck_ || h->gone_;
    }
    all_stuck &= me && threads == g->making_;
    if (me && !all_stuck) me->stuck_ = true;
    leat_lock_drop_(&g->crew_.lock_);
    if (all_stuck) return -EDEADLK;
    int err = leat_acquire_ctx(&g->ctx_, &g->idle_, 1);
    if (me) {
        leat_lock_take_(&g->crew_.lock_);
        me->stuck_ = false; /* before the task is handed over, so nobody is taken for stuck who is not */
        leat_lock_drop_(&g->crew_.lock_);
    }
    return err;
}

/* Gets a thread for an accepted task; at the limit, waits for one by leat_group_queue_, or does not. */
LEAT_COLD_ int leat_group_start_(leat_group *g, leat_job_ job, int at_limit(leat_group *))
{
    int err = !g->shared_                     ? 0
              : at_limit == leat_group_queue_ ? leat_acquire_ctx(&g->ctx_, g->shared_, 1)
                                              : leat_try_acquire(g->shared_, 1);
    if (err) return err;
    if (leat_try_acquire(&g->idle_, 1)) {
        leat_lock_take_(&g->crew_.lock_);
        bool make = !g->limit_ || g->making_ < g->limit_;
        g->making_ += make;
        leat_lock_drop_(&g->crew_.lock_);
        if (make) {
            if ((err = leat_group_hire_(g, job)) == 0) return 0;
            leat_lock_take_(&g->crew_.lock_);
            g->making_--;
            leat_lock_drop_(&g->crew_.lock_);
        } else {
            err = at_limit(g);
        }
    }
    if (!err && (err = leat_send(&g->tasks_, &job)) == 0) return 0;
    if (g->shared_ && leat_release(g->shared_, 1)) LEAT_MISUSE_("shared semaphore over-released");
    return err;
}

static inline int leat_group_again_(leat_group *g)
{
    (void)g;
    return -EAGAIN;
}

/* Runs fn(ctx, arg) on a thread of its own; at the limit waits until another task has returned.
 * 0: it will run. -ECANCELED, -ETIMEDOUT: the group's context is done, it will not run. -ESHUTDOWN:
 * after leat_wait, or after the group closed its channel. -EDEADLK: all tasks of the group at the limit
 * wait here. -EAGAIN, -ENOMEM: no thread could be made. -EINVAL. Any thread, also the group's tasks. */
LEAT_COLD_ int leat_go(leat_group *g, leat_task *fn, void *arg)
{
    if (!g || !fn) return -EINVAL;
    int err = leat_group_more_(g, 1);
    if (err) return err;
    err = leat_group_start_(g, (leat_job_){ fn, arg }, leat_group_queue_);
    if (err) leat_group_less_(g, 1);
    return err;
}

/* The same without waiting: -EAGAIN at the limit. */
LEAT_COLD_ int leat_try_go(leat_group *g, leat_task *fn, void *arg)
{
    if (!g || !fn) return -EINVAL;
    int err = leat_group_more_(g, 1);
    if (err) return err;
    err = leat_group_start_(g, (leat_job_){ fn, arg }, leat_group_again_);
    if (err) leat_group_less_(g, 1);
    return err;
}

/* n tasks fn(ctx, arg) with the same argument: the workers of a pool. 0: all n will run. Else the error
 * of the first that could not be started; those before it run, so see to it that they can end. */
LEAT_COLD_ int leat_go_n(leat_group *g, int n, leat_task *fn, void *arg)
{
    if (!g || !fn || n < 0) return -EINVAL;
    int err = leat_group_more_(g, n), i;
    if (err) return err;
    for (i = 0; i < n && !err; i++) err = leat_group_start_(g, (leat_job_){ fn, arg }, leat_group_queue_);
    if (err) leat_group_less_(g, n - i + 1);
    return err;
}

/* When the last task has returned, the channel is closed, once: leat_group_closes(&g, &results). Call it
 * after the last leat_go, or around one leat_go_n; once the channel is closed, leat_go says -ESHUTDOWN.
 * Without any task leat_wait closes it. 0, or -EINVAL: the group closes another already. */
#define leat_group_closes(g, c) leat_group_closes_(g, LEAT_C_(c))

LEAT_COLD_ int leat_group_closes_(leat_group *g, leat_chan *ch)
{
    if (!g || !ch) return -EINVAL;
    leat_lock_take_(&g->crew_.lock_);
    bool free = !g->closes_ && !g->shut_;
    if (free) g->closes_ = ch;
    bool now = free && g->used_ && !g->active_;
    leat_lock_drop_(&g->crew_.lock_);
    if (now) leat_group_less_(g, 0);
    return free ? 0 : -EINVAL;
}

/* Waits until all tasks have returned, and joins the threads. 0, or the first non-zero that a task
 * returned; it cancelled the group's context, but the cancellation does not hide it. -EDEADLK: called by
 * a task of the group. May be called again: the same answer. Frees everything that the group holds. */
LEAT_COLD_ int leat_wait(leat_group *g)
{
    if (!g) return -EINVAL;
    if (leat_in_crew_(&g->crew_)) return -EDEADLK;
    leat_chan *closes = NULL;
    leat_hand_ *hands = NULL;
    for (bool over = false, first = false; !over;) {
        int err = leat_wg_wait(&g->running_);
        LEAT_ASSERT(!err);
        (void)err;
        leat_lock_take_(&g->crew_.lock_);
        if (!g->active_) {
            over = true;
            first = !g->over_;
            g->over_ = g->shut_ = true;
            closes = g->closes_;
            g->closes_ = NULL;
        }
        leat_lock_drop_(&g->crew_.lock_);
        if (over && !first) {
            leat_recv_(&g->joined_, &(char){ 0 }, 1, 1);
            return atomic_load_explicit(&g->err_, memory_order_relaxed); /* [X7] */
        }
    }
    if (closes) leat_close_(closes);
    leat_close(&g->tasks_); /* no task is under way: the threads go */
    leat_lock_take_(&g->crew_.lock_);
    hands = g->crew_.hands_;
    g->crew_.hands_ = NULL;
    leat_lock_drop_(&g->crew_.lock_);
    leat_part_(hands);
    leat_cancel(&g->ctx_, -ECANCELED);
    int err = atomic_load_explicit(&g->err_, memory_order_relaxed); /* [X7] */
    leat_close_(&g->joined_);
    return err;
}

/* ==== 3. Pool: fixed workers, a bounded queue, drain, stop ====================================
 *
 * The queue is a channel of jobs, so submit is a send and a worker's next job is a receive under the
 * worker's own context: retire one by cancelling that, all by cancelling the pool's.
 *
 * The gate counts the calls that enter and has a bit for shut. A call that queued a job is over when the
 * job was taken, or lies in the queue, so it need not be counted out; the others are. Stop shuts the gate,
 * closes the queue, and frees nothing before the numbers agree: so submit may race with stop. */

typedef struct leat_pool_opts {
    int workers;       /* threads; 0: leat_cpus() */
    int queue;         /* jobs that may wait; 0: twice the workers */
    const char *name;  /* of the threads, 15 bytes with their number; copied. NULL: "leat" */
    size_t stack_size; /* bytes; 0: the system's default */
    int (*worker_init)(void *user, int id);  /* on each worker's thread, first: 0, or an error that
                                                leat_pool_start or _resize then returns. May be NULL */
    void (*worker_fini)(void *user, int id); /* on it, last, if init succeeded. May be NULL */
    void *user;        /* handed to both. A job is not told its worker: what init made for the thread
                          belongs in a _Thread_local */
} leat_pool_opts;

/* A snapshot. submitted = completed + failed + dropped + busy + queued, when nothing moves. */
typedef struct leat_stats {
    size_t workers, busy;      /* threads; those that run a job: saturation is busy / workers */
    size_t queued, queue_cap;
    size_t queue_high; /* the most that were seen waiting: by each call of leat_pool_stats, by each submit
                          that waited for room, but not briefly, by every 16th job */
    size_t submitted, completed, failed, dropped; /* jobs accepted; that returned 0; that did not;
                                                     that leat_pool_abort handed back */
} leat_stats;

typedef struct leat_pool {
    leat_ctx ctx_;
    leat_jobs_ queue_;
    char pad0_[LEAT_LINE_];
    _Atomic int64_t gate_; /* calls that entered, less those counted out, * 4 | STARTED | SHUT */
    char pad1_[LEAT_LINE_];
    _Atomic int end_;      /* OPEN, ENDING, OVER */
    leat_crew_ crew_;      /* its lock guards what follows */
    leat_hand_ past_;      /* the counters of the threads that are gone */
    size_t queue_cap_, dropped_;
    leat_wg running_;      /* workers that may take another job */
    leat_sem resizing_;
    leat_pool_opts opts_;
    char name_[16];
} leat_pool;

enum { LEAT_SHUT_ = 1, LEAT_STARTED_ = 2, LEAT_INSIDE_ = 4 };
enum { LEAT_OPEN_ = 0, LEAT_ENDING_ = 1, LEAT_OVER_ = 2 };

static inline void leat_pool_exit_(leat_pool *p)
{
    atomic_fetch_sub_explicit(&p->gate_, LEAT_INSIDE_, memory_order_release); /* [G1] -> [G2] our last touch */
}

static inline int leat_pool_enter_(leat_pool *p)
{
    if (LEAT_RARELY_(!p)) return -EINVAL;
    int64_t gate = atomic_fetch_add_explicit(&p->gate_, LEAT_INSIDE_, memory_order_acquire); /* [G2] <- [G1] */
    if (LEAT_USUALLY_((gate & (LEAT_STARTED_ | LEAT_SHUT_)) == LEAT_STARTED_)) return 0;
    leat_pool_exit_(p);
    return gate & LEAT_SHUT_ ? -ESHUTDOWN : -EINVAL;
}

static inline void leat_high_(leat_hand_ *h, size_t depth)
{
    if (depth > leat_counted_(&h->high_)) leat_tally_(&h->high_, depth - leat_counted_(&h->high_));
}

/* Adds up the counters of a hand. */
static inline void leat_fold_(leat_hand_ *into, leat_hand_ *h)
{
    leat_high_(into, leat_counted_(&h->high_));
    leat_tally_(&into->completed_, leat_counted_(&h->completed_));
    leat_tally_(&into->failed_, leat_counted_(&h->failed_));
    leat_tally_(&into->taken_, leat_counted_(&h->taken_));
}

/* Joins the threads that are gone. */
LEAT_COLD_ void leat_pool_reap_(leat_pool *p)
{
    leat_hand_ *gone = NULL;
    leat_lock_take_(&p->crew_.lock_);
    for (leat_hand_ **at = &p->crew_.hands_, *h; (h = *at) != NULL;) {
        if (h->gone_) {
            leat_fold_(&p->past_, h);
            *at = h->next_;
            h->next_ = gone;
            gone = h;
        } else {
            at = &h->next_;
        }
    }
    leat_lock_drop_(&p->crew_.lock_);
    leat_part_(gone);
}

/* A worker that gets no more jobs: was it retired, but called back before it got here? */
LEAT_COLD_ bool leat_pool_stays_(leat_hand_ *h)
{
    leat_lock_take_(&h->crew_->lock_);
    bool stays = h->post_ == LEAT_WORKS_ && leat_ctx_err(&h->ctx_) && !leat_ctx_err(h->ctx_.parent_);
    if (stays) h->ctx_ = (leat_ctx){ .parent_ = h->ctx_.parent_ };
    else h->post_ = LEAT_LEAVES_;
    leat_lock_drop_(&h->crew_->lock_);
    return stays;
}

static inline void leat_pool_work_(leat_hand_ *h)
{
    leat_pool *p = h->owner_;
    leat_job_ job;
    do {
        while (leat_recv_ctx(&h->ctx_, &p->queue_, &job) == 0) {
            if (leat_counted_(&h->taken_) % 16 == 0)
                leat_high_(h, leat_len(&p->queue_) + 1); /* it costs a cache line of the submitters' */
            leat_tally_(&h->taken_, 1);
            int err = job.fn_(&p->ctx_, job.arg_);
            leat_tally_(err ? &h->failed_ : &h->completed_, 1);
        }
    } while (leat_pool_stays_(h));
}

/* The init hook of a worker has ended: it works, or it leaves with an error. Whoever hired it is told. */
LEAT_COLD_ void leat_pool_begun_(leat_hand_ *h, int err)
{
    leat_ints_ *ready = h->ready_;
    leat_lock_take_(&h->crew_->lock_);
    h->begins_ = false;
    if (err) h->post_ = LEAT_LEAVES_;
    else if (h->post_ == LEAT_COMES_) leat_take_post_(h);
    leat_lock_drop_(&h->crew_->lock_);
    if (ready && leat_send(ready, &err)) LEAT_MISUSE_("unbuffered, never closed");
    if (!ready && err) leat_cancel(h->ctx_.parent_, err); /* nobody may be left to run the queue */
}

/* What a worker does. */
static inline void leat_pool_begin_(leat_hand_ *h)
{
    leat_pool *p = h->owner_;
    if (h->begins_) {
        int err = p->opts_.worker_init(p->opts_.user, h->id_);
        leat_pool_begun_(h, err);
        if (err) return;
    }
    leat_pool_work_(h);
    if (p->opts_.worker_fini) p->opts_.worker_fini(p->opts_.user, h->id_);
}

static inline void leat_pool_thread_(leat_hand_ *h)
{
    leat_pool *p = h->owner_;
    char name[32];
    snprintf(name, sizeof name, "%.11s-%d", p->name_, h->id_);
    leat_os_name_(name);
    leat_pool_begin_(h);
    leat_wg_done(&p->running_);
}

static inline void leat_pool_died_(leat_hand_ *h);

/* Adds a worker (in the place of `old`), which holds a count of running_ from now on. Returns when its init
 * hook has. */
LEAT_COLD_ int leat_pool_hire_(leat_pool *p, leat_hand_ *old)
{
    leat_ints_ ready = { .type_ = NULL };
    leat_hand_ *h = leat_zeroed_(1, sizeof *h, 1);
    if (!h) return -ENOMEM;
    bool wait = p->opts_.worker_init != NULL; /* else it cannot fail */
    h->owner_ = p;
    h->work_ = leat_pool_thread_;
    h->died_ = leat_pool_died_;
    h->ctx_.parent_ = &p->ctx_;
    h->old_ = old;
    h->begins_ = wait;
    h->ready_ = wait ? &ready : NULL;
    leat_wg_add(&p->running_, 1);
    int err = leat_hire_(&p->crew_, h, p->opts_.stack_size);
    if (err) leat_wg_done(&p->running_);
    else if (wait && leat_recv(&ready, &err)) err = -EPIPE;
    return err;
}

/* A job has ended its thread, and no other could be made: this one goes on, here, unless it was retired or
 * its stack has grown by so many such jobs that it had better not. */
LEAT_COLD_ void leat_pool_go_on_(leat_hand_ *h, int err)
{
    leat_lock_take_(&h->crew_->lock_);
    bool works = h->post_ == LEAT_WORKS_;
    bool goes_on = works && h->nested_++ < 20;
    if (!goes_on) h->post_ = LEAT_LEAVES_;
    h->begins_ = goes_on && ((leat_pool *)h->owner_)->opts_.worker_init;
    leat_lock_drop_(&h->crew_->lock_);
    h->ready_ = NULL;
    h->old_ = NULL;
    if (goes_on) {
        pthread_cleanup_push(leat_hand_died_, h);
        leat_pool_begin_(h);
        pthread_cleanup_pop(0);
    } else if (works) {
        leat_cancel(h->ctx_.parent_, err);
    }
}

/* A job has ended its thread: another takes its place. Or the init hook has, which is an error of its. */
static inline void leat_pool_died_(leat_hand_ *h)
{
    leat_pool *p = h->owner_;
    if (h->begins_) {
        leat_pool_begun_(h, -EINTR);
    } else {
        leat_tally_(&h->failed_, 1);
        if (p->opts_.worker_fini) p->opts_.worker_fini(p->opts_.user, h->id_);
        leat_pool_reap_(p); /* jobs that end their threads leave no crowd behind */
        leat_lock_take_(&p->crew_.lock_);
        if (h->post_ == LEAT_RETIRED_) h->post_ = LEAT_LEAVES_;
        bool works = h->post_ == LEAT_WORKS_;
        leat_lock_drop_(&p->crew_.lock_);
        int err = works ? leat_pool_hire_(p, h) : 0;
        if (err) leat_pool_go_on_(h, err);
    }
    leat_wg_done(&p->running_);
}

/* Waits for all workers to have gone, and joins them. */
LEAT_COLD_ void leat_pool_join_(leat_pool *p)
{
    int err = leat_wg_wait(&p->running_);
    LEAT_ASSERT(!err);
    (void)err;
    for (unsigned round = 0, left = 1; left; leat_backoff_(&round)) {
        leat_pool_reap_(p);
        leat_lock_take_(&p->crew_.lock_);
        left = p->crew_.hands_ != NULL;
        leat_lock_drop_(&p->crew_.lock_);
    }
}

/* Shuts the gate and closes the queue: nothing is accepted any more. */
static inline int leat_pool_shut_(leat_pool *p)
{
    if (!p || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    if (leat_in_crew_(&p->crew_)) return -EDEADLK;
    atomic_fetch_or_explicit(&p->gate_, LEAT_SHUT_, memory_order_release); /* [G1] -> [G2] */
    leat_close_(&p->queue_.chan);
    return 0;
}

/* Ends a shut pool whose workers go: -EALREADY, or 0 to whoever did it. The jobs that nobody took go to
 * `dropped`, with the count in *left; if there are some and `left` is NULL, nothing is done: -EAGAIN. */
LEAT_COLD_ int leat_pool_end_(leat_pool *p, void dropped(leat_task *, void *, void *), void *user, size_t *left)
{
    for (unsigned round = 0;; leat_backoff_(&round)) {
        int open = LEAT_OPEN_;
        if (atomic_compare_exchange_strong_explicit(&p->end_, &open, LEAT_ENDING_, memory_order_acquire, /* [G2] <- [G1] */
                                                    memory_order_acquire)) /* [G2] <- [G1] */
            break;
        if (open == LEAT_OVER_) return -EALREADY;
    }
    for (unsigned round = 0;; leat_backoff_(&round)) { /* who slept in there is on the way out, woken by the close */
        leat_pool_join_(p);
        int64_t calls = atomic_load_explicit(&p->gate_, memory_order_acquire) / LEAT_INSIDE_; /* [G2] <- [G1] */
        if ((size_t)calls == leat_counted_(&p->past_.taken_) + leat_len(&p->queue_)) break;
    }
    leat_pool_join_(p); /* a resize may have hired between the two looks; now nobody is inside */
    if (!left && leat_len(&p->queue_)) {
        atomic_store_explicit(&p->end_, LEAT_OPEN_, memory_order_release); /* [G1] -> [G2] */
        return -EAGAIN;
    }
    for (leat_job_ job; left && leat_try_recv(&p->queue_, &job) == 0; ++*left)
        if (dropped) dropped(job.fn_, job.arg_, user);
    leat_lock_take_(&p->crew_.lock_);
    p->dropped_ = left ? *left : 0;
    free(p->queue_.chan.slots_);
    p->queue_.chan.slots_ = NULL;
    leat_lock_drop_(&p->crew_.lock_);
    leat_cancel(&p->ctx_, -ECANCELED);
    atomic_store_explicit(&p->end_, LEAT_OVER_, memory_order_release); /* [G1] -> [G2] */
    return 0;
}

/* Starts a pool whose jobs run under a context of its own, below `ctx` (or NULL). `opts` may be NULL; it
 * is copied, its `user` is not. 0; or, with everything unwound, -EINVAL (a negative number), -ENOMEM,
 * -EAGAIN (no thread could be made), or what a worker_init returned. When `ctx` ends, the workers finish
 * their jobs and take no more, and submit says so; leat_pool_stop or _abort is still needed. */
LEAT_COLD_ int leat_pool_start(leat_pool *p, leat_ctx *ctx, const leat_pool_opts *opts)
{
    leat_pool_opts o = { .workers = 0 };
    if (opts) o = *opts;
    if (!p || o.workers < 0 || o.queue < 0 || o.queue > INT_MAX / 2 || o.workers > INT_MAX / 2) return -EINVAL;
    if (!o.workers) o.workers = leat_cpus();
    if (!o.queue) o.queue = 2 * o.workers;
    *p = (leat_pool){ .ctx_ = LEAT_CTX(ctx), .resizing_ = LEAT_SEM(1), .opts_ = o, .queue_cap_ = (size_t)o.queue };
    snprintf(p->name_, sizeof p->name_, "%s", o.name ? o.name : "leat");
    int err = leat_make(&p->queue_, (size_t)o.queue);
    if (err) return err;
    atomic_store_explicit(&p->gate_, LEAT_STARTED_, memory_order_relaxed); /* [X7] nobody knows it yet */
    for (int i = 0; i < o.workers && !err; i++) err = leat_pool_hire_(p, NULL);
    if (!err) return 0;
    leat_pool_shut_(p);
    size_t none = 0;
    leat_pool_end_(p, NULL, NULL, &none);
    return err;
}

/* A job that found the queue full is about to wait for room. If it runs on a worker, and all the others
 * wait for room already, there never will be any: -EDEADLK. To be told from one that has just got room
 * and is on its way back, they must really be asleep on a queue that really is full. */
LEAT_COLD_ int leat_pool_stuck_(leat_pool *p, leat_case *c)
{
    for (unsigned round = 0;; leat_backoff_(&round)) {
        bool runs = false, unsure = false;
        leat_lock_take_(&p->crew_.lock_);
        leat_hand_ *me = leat_me_(&p->crew_);
        leat_high_(&p->past_, p->queue_cap_);
        leat_lock_take_(&c->chan_->lock_);
        for (leat_hand_ *h = me ? p->crew_.hands_ : NULL; h; h = h->next_) {
            if (h == me || h->post_ != LEAT_WORKS_) continue;
            runs |= !h->waits_;
            unsure |= h->waits_ && !h->waits_->link_.linked_;
        }
        runs |= leat_look_(c) != -EAGAIN;
        leat_lock_drop_(&c->chan_->lock_);
        if (me && runs) me->waits_ = c;
        leat_lock_drop_(&p->crew_.lock_);
        if (!me || runs) return 0;
        if (!unsure) return -EDEADLK;
    }
}

LEAT_COLD_ int leat_pool_wait_(leat_ctx *ctx, leat_pool *p, const leat_job_ *job)
{
    leat_case c = leat_send_case_(&p->queue_.chan, job, sizeof *job, _Alignof(leat_job_));
    int r = leat_wait_first_(ctx, &p->ctx_, &c);
    if (r != -EAGAIN) return r;
    if ((r = leat_pool_stuck_(p, &c)) != 0) {
        int err = leat_ctx_err_of_(ctx, &p->ctx_, 0);
        if (err) r = err;
    } else {
        r = leat_select_(ctx, &p->ctx_, &c, 1);
        leat_lock_take_(&p->crew_.lock_);
        leat_hand_ *me = leat_me_(&p->crew_);
        if (me) me->waits_ = NULL;
        leat_lock_drop_(&p->crew_.lock_);
    }
    return r < 0 ? r : c.err;
}

LEAT_COLD_ int leat_pool_try_again_(leat_pool *p, const leat_job_ *job)
{
    leat_case c = leat_send_case_(&p->queue_.chan, job, sizeof *job, _Alignof(leat_job_));
    int r = leat_try_select_(&p->ctx_, &c, 1), err;
    if (r == -EAGAIN && (err = leat_ctx_err(&p->ctx_)) != 0) return err;
    return r < 0 ? r : c.err;
}

LEAT_COLD_ int leat_pool_refuse_(leat_pool *p, int err)
{
    leat_pool_exit_(p);
    return err == -EPIPE ? -ESHUTDOWN : err;
}

/* Queues a job: fn(ctx, arg) on one of the workers; waits while the queue is full.
 * 0: accepted; it will run once, or go to the `dropped` of leat_pool_abort. -ESHUTDOWN: the pool is being
 * stopped. -ECANCELED, -ETIMEDOUT: the pool's context is done. -EDEADLK: this is a job, the last one that
 * does not wait for room. -EINVAL. Any thread, also jobs. Allocates nothing.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED, -ETIMEDOUT also when ctx is done. */
LEAT_HOT_ int leat_submit_ctx(leat_ctx *ctx, leat_pool *p, leat_task *fn, void *arg)
{
    leat_job_ job = { fn, arg };
    if (LEAT_RARELY_(!fn)) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (LEAT_RARELY_(err)) return leat_ctx_err(ctx) ? leat_ctx_err(ctx) : err;
    err = leat_put_(ctx, &p->ctx_, &p->queue_.chan, &job, sizeof job, _Alignof(leat_job_));
    if (LEAT_RARELY_(err == -EAGAIN)) err = leat_pool_wait_(ctx, p, &job);
    return LEAT_USUALLY_(!err) ? 0 : leat_pool_refuse_(p, err);
}

LEAT_HOT_ int leat_submit(leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_ctx(NULL, p, fn, arg);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit(leat_pool *p, leat_task *fn, void *arg)
{
    leat_job_ job = { fn, arg };
    if (LEAT_RARELY_(!fn)) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (LEAT_RARELY_(err)) return err;
    err = leat_put_(NULL, &p->ctx_, &p->queue_.chan, &job, sizeof job, _Alignof(leat_job_));
    if (LEAT_RARELY_(err == -EAGAIN)) err = leat_pool_try_again_(p, &job);
    return LEAT_USUALLY_(!err) ? 0 : leat_pool_refuse_(p, err);
}

/* Accepts no more jobs, waits until those that were accepted have run, joins the workers, frees all.
 * 0: done. -ETIMEDOUT, -ECANCELED: the pool's own context ended and jobs are left; the pool is still valid: stop
 * it again, or abort it. -EALREADY: it was stopped before, and is. -EDEADLK: called by a job of the pool.
 * -EINVAL: never started. Any thread; also at the same time.
 * ctx: the same errors when `ctx` (or NULL) ends first. */
LEAT_COLD_ int leat_pool_stop_ctx(leat_ctx *ctx, leat_pool *p)
{
    int err = leat_pool_shut_(p);
    if (!err) err = leat_wg_wait_ctx(ctx, &p->running_);
    if (!err && (err = leat_pool_end_(p, NULL, NULL, NULL)) == -EAGAIN) err = leat_ctx_err(&p->ctx_);
    return err;
}

LEAT_HOT_ int leat_pool_stop(leat_pool *p)
{
    return leat_pool_stop_ctx(NULL, p);
}

/* Accepts no more jobs, cancels the pool's context, waits until the jobs that run have returned (they
 * should look at their context), and hands every job that was accepted but not started to
 * dropped(fn, arg, user), once each, in order, on this thread; NULL: they are only counted. Joins, frees.
 * 0, or -EALREADY, -EDEADLK, -EINVAL as leat_pool_stop. */
LEAT_COLD_ int leat_pool_abort(leat_pool *p, void dropped(leat_task *fn, void *arg, void *user), void *user)
{
    size_t left = 0;
    int err = leat_pool_shut_(p);
    if (err) return err;
    leat_cancel(&p->ctx_, -ECANCELED);
    err = leat_wg_wait(&p->running_);
    return err ? err : leat_pool_end_(p, dropped, user, &left);
}

/* Changes the number of workers to n >= 1, under load. Those too many finish the job they run; while they are at
 * it, a call for more workers takes them back first.
 * 0; -EINVAL; -ESHUTDOWN; -ECANCELED, -ETIMEDOUT: the pool's context is done; -EAGAIN, -ENOMEM, or what a
 * worker_init returned: fewer than n were added. Any thread. */
LEAT_COLD_ int leat_pool_resize(leat_pool *p, int n)
{
    if (n < 1) return -EINVAL;
    int err = leat_pool_enter_(p), have = 0;
    if (err) return err;
    if ((err = leat_acquire_ctx(&p->ctx_, &p->resizing_, 1)) == 0) {
        leat_lock_take_(&p->crew_.lock_);
        for (leat_hand_ *h = p->crew_.hands_; h; h = h->next_) have += h->post_ == LEAT_WORKS_;
        for (int any = 0; any < 2; any++) /* first those whose job waits for room: the others make it */
            for (leat_hand_ *h = p->crew_.hands_; h && have > n; h = h->next_)
                if (h->post_ == LEAT_WORKS_ && (any || h->waits_)) {
                    h->post_ = LEAT_RETIRED_;
                    have--;
                    leat_cancel(&h->ctx_, -ECANCELED);
                }
        for (leat_hand_ *h = p->crew_.hands_; h && have < n; h = h->next_)
            if (h->post_ == LEAT_RETIRED_) { /* at its job still: called back */
                h->post_ = LEAT_WORKS_;
                have++;
            }
        leat_lock_drop_(&p->crew_.lock_);
        while (have < n && !err) {
            err = leat_pool_hire_(p, NULL);
            have++;
        }
        leat_pool_reap_(p);
        if (leat_release(&p->resizing_, 1)) LEAT_MISUSE_("released once");
    }
    leat_pool_exit_(p);
    return err;
}

/* Fills *st. 0, or -EINVAL: never started. Any thread, also after stop. */
LEAT_COLD_ int leat_pool_stats(leat_pool *p, leat_stats *st)
{
    if (!p || !st || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    leat_hand_ sum = { .next_ = NULL };
    *st = (leat_stats){ .queue_cap = p->queue_cap_ };
    leat_lock_take_(&p->crew_.lock_);
    st->queued = leat_len(&p->queue_);
    leat_high_(&p->past_, st->queued);
    leat_fold_(&sum, &p->past_);
    for (leat_hand_ *h = p->crew_.hands_; h; h = h->next_) {
        leat_fold_(&sum, h);
        st->workers += h->post_ == LEAT_WORKS_;
    }
    st->dropped = p->dropped_;
    leat_lock_drop_(&p->crew_.lock_);
    size_t taken = leat_counted_(&sum.taken_), high = leat_counted_(&sum.high_);
    st->completed = leat_counted_(&sum.completed_);
    st->failed = leat_counted_(&sum.failed_);
    st->queue_high = high < st->queue_cap ? high : st->queue_cap;
    st->busy = taken > st->completed + st->failed ? taken - st->completed - st->failed : 0;
    st->submitted = taken + st->queued + st->dropped;
    return 0;
}

/* ==== 4. Signals ============================================================================== */

typedef struct leat_signals_ {
    leat_ctx *ctx_;
    _Atomic uint64_t set_; /* 1 << signal */
    _Atomic int pid_;      /* whose the pipe is, and the thread that reads it */
    int pipe_[2];
    leat_lock_ lock_;
} leat_signals_;

/* A signal handler has no argument: this is the one thing of the toolkit that is the process's. */
static inline leat_signals_ *leat_signals_here_(void)
{
    static leat_signals_ s;
    return &s;
}

static inline void leat_on_signal_(int sig)
{
    leat_signals_ *s = leat_signals_here_();
    int saved = errno;
    unsigned char byte = (unsigned char)sig;
    for (int i = 1; i < 64; i++) /* the second one is the system's */
        if (atomic_load_explicit(&s->set_, memory_order_relaxed) >> i & 1) signal(i, SIG_DFL); /* [X7] */
    if (atomic_load_explicit(&s->pid_, memory_order_relaxed) != getpid()) raise(sig); /* [X7] we were forked */
    else if (write(s->pipe_[1], &byte, 1) < 0) byte = 0;
    errno = saved;
}

/* Whether a program may have a handler for it: the C library keeps the first real-time signals for itself. */
static inline bool leat_os_catches_(int sig)
{
    bool real_time = false;
#if defined SIGRTMIN /* not with -std=c11 */
    real_time = sig >= SIGRTMIN && sig < 64;
#endif
    return real_time || (sig > 0 && sig < 32 && sig != SIGKILL && sig != SIGSTOP);
}

/* signal() that does not make the program's own system calls fail with EINTR. (Under ThreadSanitizer it
 * does: that puts a handler off until the call has returned.) */
static inline int leat_os_signal_(int sig, void (*action)(int))
{
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define LEAT_TSAN_
#endif
#elif defined __SANITIZE_THREAD__
#define LEAT_TSAN_
#endif
#if defined LEAT_TSAN_
    return signal(sig, action) == SIG_ERR;
#elif defined SA_RESTART
    struct sigaction act = { .sa_handler = action, .sa_flags = SA_RESTART };
    return sigaction(sig, &act, NULL);
#else /* -std=c11 */
    extern int siginterrupt(int, int);
    return signal(sig, action) == SIG_ERR || siginterrupt(sig, 0);
#endif
}

static inline void *leat_signal_thread_(void *arg)
{
    leat_signals_ *s = arg;
    leat_os_name_("leat-signals");
    for (unsigned char sig; read(s->pipe_[0], &sig, 1) == 1;) {
        leat_lock_take_(&s->lock_); /* a call that replaces ctx returns when nobody uses the old one */
        leat_cancel(s->ctx_, sig);
        leat_lock_drop_(&s->lock_);
    }
    return NULL;
}

/* A pipe, and the thread that reads it; 0 or the error of what failed, and nothing is left. */
LEAT_COLD_ int leat_signals_begin_(leat_signals_ *s)
{
    pthread_t thread;
    leat_os_mask_t_ mask = LEAT_OS_MASK_ALL_;
    int saved = errno, err = pipe(s->pipe_) ? errno : 0;
    errno = saved;
    if (err) return -err;
    for (int i = 0; i < 2; i++) (void)fcntl(s->pipe_[i], F_SETFD, FD_CLOEXEC);
    leat_os_mask_(&mask);
    err = pthread_create(&thread, NULL, leat_signal_thread_, s);
    leat_os_mask_(&mask);
    if (err) {
        for (int i = 0; i < 2; i++) close(s->pipe_[i]);
        return -err;
    }
    (void)pthread_detach(thread);
    atomic_store_explicit(&s->pid_, getpid(), memory_order_relaxed); /* [X7] */
    return 0;
}

/* leat_cancel_on_signals(ctx, SIGTERM, SIGINT, 0): the first of these signals cancels ctx, with the
 * signal's number as cause, for a graceful end; the second does what it would have done without us (ends
 * the process). The list ends with 0. ctx must live as long as the process, or until the next call; a
 * call replaces the one before, with ctx = NULL the signals get their default action back. The handler
 * only writes to a pipe; a thread of the toolkit's reads it, the one that is detached. In the child of a
 * fork each signal does what it would have done without us.
 * 0, or -EINVAL (no signal, or not one that can be caught), or the error of pipe or pthread_create. */
LEAT_COLD_ int leat_cancel_on_signals(leat_ctx *ctx, ...)
{
    leat_signals_ *s = leat_signals_here_();
    uint64_t set = 0;
    int err = 0;
    va_list ap;
    va_start(ap, ctx);
    for (int sig; (sig = va_arg(ap, int)) != 0;) {
        if (leat_os_catches_(sig)) set |= UINT64_C(1) << sig;
        else err = -EINVAL;
    }
    va_end(ap);
    if (err || !set) return -EINVAL;
    leat_lock_take_(&s->lock_);
    if (ctx && atomic_load_explicit(&s->pid_, memory_order_relaxed) != getpid()) /* [X7] */
        err = leat_signals_begin_(s);
    if (!err) {
        uint64_t old = atomic_load_explicit(&s->set_, memory_order_relaxed); /* [X7] */
        s->ctx_ = ctx;
        atomic_store_explicit(&s->set_, ctx ? set : 0, memory_order_relaxed); /* [X7] */
        for (int i = 1; i < 64; i++) {
            void (*action)(int) = ctx && set >> i & 1 ? leat_on_signal_ : SIG_DFL;
            if (((set | old) >> i & 1) && leat_os_signal_(i, action)) err = -EINVAL;
        }
    }
    leat_lock_drop_(&s->lock_);
    return err;
}

LEAT_OWN_STYLE_END_
#endif
