/* pool.h - Go's errgroup and worker pool for C programs: bounded, draining, cancellable.
 *
 *     leat_group g = LEAT_GROUP(NULL);                          // errgroup.WithContext
 *     leat_group_limit(&g, 10);                                 // g.SetLimit(10)
 *     for (size_t i = 0; i < n; i++) leat_go(&g, fetch, &urls[i]);
 *     int err = leat_wait(&g);                                  // the first error, which cancelled the rest
 *
 *     leat_pool p;                                              // an executor for jobs of any kind
 *     leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 8 });
 *     leat_submit(&p, work, arg);                               // waits while the queue is full
 *     leat_pool_stop(&p);                                       // no more, drain, join
 *
 * SPDX-License-Identifier: MIT
 *
 * WHAT IT IS NOT. It has no green threads. Each task runs on a thread of the system, so bound the tasks. Pools do not
 * share threads. A worker belongs to one pool.
 *
 * RETURN VALUES. As in queue.h, and:
 *     -ESHUTDOWN    the pool was stopped or aborted, or the group was waited for: it accepts nothing more
 *     -EALREADY     the pool was stopped before. This is harmless
 *     -EDEADLK      the call would wait for ever: for its own pool or group, or for room that only the caller can make
 *     -EAGAIN       also: a thread could not be spawned (the error of pthread_create)
 * Needs queue.h and semaphore.h.
 *
 * WHAT IS PROMISED. A task or job that was accepted (0) runs once, to its end. Only leat_pool_abort may instead pass a
 * job of the pool to the caller's function `dropped`, once. A thread that a job ends (pthread_exit, cancellation) is
 * replaced, and the job counts as failed with -EINTR. Threads are joined, never detached.
 * A thread that this file spawns blocks the signals that ask the process for something (TERM, INT, CHLD, ALRM,
 * USR1..). The program's own threads handle those. A spawned thread takes the signals that its own faults raise.
 * Profilers and collectors reach a thread by PROF, VTALRM, PWR and the real-time signals. A spawned thread blocks
 * these only if the thread that spawned it blocked them.
 * A program that a job starts inherits that mask, and SIGTERM would not end it. Give it another mask:
 *     sigemptyset(&none);
 *     posix_spawnattr_setsigmask(&attr, &none);
 *     posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
 *     err = posix_spawn(&pid, path, NULL, &attr, argv, environ);
 * or call sigprocmask(SIG_SETMASK, &none, NULL) between fork and exec. system and popen cannot set a mask. For them
 * there is `inherit_signals`, of leat_pool_opts and leat_thread_opts.
 * The child of a fork has copies of all objects, and none of the threads. It must call exec or _exit.
 *
 * MEMORY ORDER. What a task did happens-before the return of leat_wait, by pthread_join.
 *     label   site                              carries
 *     [G1]    the gate shuts, a call leaves  -> [G2]    that a stop began, that the call is over
 *     [G2]    a call enters, stop waits      <- [G1]
 *     [G3]    a signal arrives               -> [G4]    what its thread did before
 *     [G4]    the signals' thread sees it    <- [G3]
 *     [G5]    a registration is changed      -> [G6]    the registration, that a handler is over
 *             a handler leaves
 *     [G6]    a handler enters, a call waits <- [G5]
 *     [G7]    a forked child registers       -> [G8]    the registration, in place of its parent's
 *     [G8]    a handler checks its process   <- [G7]
 *     [X7]    a lock or a join orders it, or the reader accepts an old value (counters, states)    nothing
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

/* A task gets the context of its group or pool, and the argument that was submitted with it. The argument is not
 * copied, the task and the caller share it. A task returns 0, or any other int as an error. The error is passed on
 * unchanged. */
typedef int leat_task(leat_ctx *ctx, void *arg);

typedef struct leat_call_ {
    leat_task *fn_;
    void *arg_;
} leat_call_;

typedef LEAT_CHAN(leat_call_) leat_calls_;
typedef LEAT_CHAN(int) leat_ints_;

/* ==== 1. Threads and signals of the system ====================================================
 *
 * All that this file knows of its platform, except what queue.h knows of it. The first paragraph, from
 * leat_os_mask_t_ to leat_os_name_, is left out with LEAT_CUSTOM_OS. The header that this option names defines its
 * own. */

#if !defined LEAT_CUSTOM_OS

/* A name and a signal mask for the threads that this file spawns. 15 bytes of a name count. leat_os_mask_workers_
 * gives the calling thread the mask of a worker (WHAT IS PROMISED, above), and the threads that it spawns inherit that
 * mask. The function returns the previous mask, for leat_os_mask_. */
#if defined __linux__

typedef struct leat_os_mask_t_ {
    unsigned long words_[8 / sizeof(long)]; /* the first word has the signals below 32 */
} leat_os_mask_t_;

/* `how` is 0 for SIG_BLOCK, 2 for SIG_SETMASK. */
static inline leat_os_mask_t_ leat_os_sigmask_(long how, leat_os_mask_t_ mask)
{
    leat_os_mask_t_ old = { { 0 } };
    leat_os_call_(SYS_rt_sigprocmask, how, (long)&mask, (long)&old, 8);
    return old;
}

static inline void leat_os_mask_(leat_os_mask_t_ mask)
{
    leat_os_sigmask_(2, mask);
}

static inline leat_os_mask_t_ leat_os_mask_workers_(void)
{
    /* ILL 4, TRAP 5, ABRT 6, BUS 7, FPE 8, SEGV 11, SYS 31; VTALRM 26, PROF 27, PWR 30 */
    const unsigned long faults = 0x400004F8, theirs = 0x26000000;
    leat_os_mask_t_ ours = { { 0x7FFFFFFF & ~faults & ~theirs } }, old = leat_os_sigmask_(0, ours);
    ours.words_[0] |= old.words_[0] & ~faults;
    for (size_t i = 1; i < sizeof ours / sizeof(long); i++) ours.words_[i] = old.words_[i];
    leat_os_mask_(ours);
    return old;
}

static inline void leat_os_name_(const char *name)
{
    leat_os_call_(SYS_prctl, 15 /* PR_SET_NAME */, (long)name, 0, 0);
}

#else

typedef sigset_t leat_os_mask_t_;

static inline void leat_os_mask_(leat_os_mask_t_ mask)
{
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static inline leat_os_mask_t_ leat_os_mask_workers_(void)
{
    static const int faults[] = { SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };
    sigset_t ours, open, old;
    sigfillset(&ours);
    sigemptyset(&open);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        sigdelset(&ours, faults[i]);
        sigaddset(&open, faults[i]);
    }
    sigdelset(&ours, SIGPROF);
    sigdelset(&ours, SIGVTALRM);
#if defined SIGPWR
    sigdelset(&ours, SIGPWR);
#endif
#if defined SIGRTMIN && defined SIGRTMAX
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++) sigdelset(&ours, i);
#endif
    pthread_sigmask(SIG_BLOCK, &ours, &old);
    pthread_sigmask(SIG_UNBLOCK, &open, NULL);
    return old;
}

static inline void leat_os_name_(const char *name)
{
    (void)name; /* a nicety that each system spells differently */
}

#endif

#endif

#if defined LEAT_PTHREAD_EVENT_ || defined LEAT_CUSTOM_OS
#define LEAT_PIPE_
#endif

#if defined __linux__ && !defined SA_NOCLDSTOP /* -std=c11 hides all this */
#if defined __GLIBC__
#include <bits/sigaction.h>
#else
struct sigaction {
    void (*sa_handler)(int);
    unsigned long sa_mask[128 / sizeof(long)];
    int sa_flags;
    void (*sa_restorer)(void);
};
#define SA_NOCLDSTOP 1
#define SA_NOCLDWAIT 2
#define SA_SIGINFO 4
#endif
extern int sigaction(int, const struct sigaction *, struct sigaction *);
#endif

/* A handler must not make the program's own system calls fail with EINTR. Under ThreadSanitizer it must, because
 * ThreadSanitizer delays a handler until the call has returned. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define LEAT_TSAN_
#endif
#elif defined __SANITIZE_THREAD__
#define LEAT_TSAN_
#endif
#if defined LEAT_TSAN_
enum { LEAT_SA_ = SA_SIGINFO };
#elif defined SA_RESTART && defined SA_ONSTACK
enum { LEAT_SA_ = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
#elif defined __alpha__ || defined __sparc__
enum { LEAT_SA_ = SA_SIGINFO | 3 };
#else
enum { LEAT_SA_ = SA_SIGINFO | 0x18000000 };
#endif

/* A handler rings the bell, any number of times. A thread waits for the bell while word_ is what the thread has seen.
 * The wait may also return without a reason. */
typedef struct leat_bell_ {
#if defined LEAT_PIPE_
    _Atomic uint32_t word_;
    int ends_[2];
#else
    leat_os_event_ event_;
#endif
} leat_bell_;

#if defined LEAT_PIPE_

static inline _Atomic uint32_t *leat_bell_word_(leat_bell_ *b)
{
    return &b->word_;
}

/* A pipe. Neither of its ends is one of the three descriptors that a program may find closed when it starts. */
LEAT_COLD_ int leat_bell_make_(leat_bell_ *b)
{
    int low[2] = { -1, -1 }, err = pipe(low) ? errno : 0;
    for (int i = 0; i < 2 && !err; i++) {
        if ((b->ends_[i] = fcntl(low[i], F_DUPFD, 3)) < 0) {
            err = errno;
            if (i) close(b->ends_[0]);
        } else {
            (void)fcntl(b->ends_[i], F_SETFD, FD_CLOEXEC);
        }
    }
    for (int i = 0; i < 2 && low[0] >= 0; i++) close(low[i]);
    return -err;
}

static inline void leat_bell_free_(leat_bell_ *b)
{
    for (int i = 0; i < 2; i++) close(b->ends_[i]);
}

static inline void leat_bell_ring_(leat_bell_ *b)
{
    if (write(b->ends_[1], "", 1) < 0) return; /* the program has closed the pipe. The waiting thread then polls */
}

static inline void leat_bell_wait_(leat_bell_ *b, uint32_t seen)
{
    char c;
    (void)seen;
    if (read(b->ends_[0], &c, 1) < 0 && errno != EINTR) (void)leat_sleep(LEAT_MS(10));
}

#else

static inline _Atomic uint32_t *leat_bell_word_(leat_bell_ *b)
{
    return &b->event_.word_;
}

static inline int leat_bell_make_(leat_bell_ *b)
{
    leat_os_init_(&b->event_);
    return 0;
}

static inline void leat_bell_free_(leat_bell_ *b)
{
    leat_os_done_(&b->event_);
}

static inline void leat_bell_ring_(leat_bell_ *b)
{
    leat_os_futex_(&b->event_.word_, 129, 1, NULL); /* FUTEX_WAKE, private */
}

static inline void leat_bell_wait_(leat_bell_ *b, uint32_t seen)
{
    leat_os_wait_(&b->event_, seen, LEAT_FOREVER);
}

#endif

/* Sends the signal to the calling thread once more, from the same sender. It arrives when the handler has returned. */
static inline void leat_send_again_(int sig, void *info)
{
#if defined __linux__ && defined SYS_rt_tgsigqueueinfo && defined SYS_gettid && !defined LEAT_CUSTOM_OS
    if (leat_os_call_(SYS_rt_tgsigqueueinfo, getpid(), leat_os_call_(SYS_gettid, 0, 0, 0, 0), sig, (long)info) == 0) return;
#endif
    (void)info;
    raise(sig);
}

/* ==== 2. Threads ==============================================================================
 *
 * A thread of a group and a worker of a pool are each a leat_thread_ with more fields behind it.
 *
 * L1  A thread is in its list before it is spawned, and until a caller takes it out to join it. It is taken out once,
 *     so it is joined once and freed once.
 * L2  A thread is not joined before its id is known. The thread writes its id (thread_) itself, before it does anything
 *     else. A pool joins only workers that have exited and that no call has pinned (pins_).
 * L3  No thread does what may take long or may call back while it holds the list's lock. Under that lock no thread is
 *     spawned or joined, no context is cancelled, no parked thread is woken, and no hook or task is called. */

typedef struct leat_thread_ {
    struct leat_thread_ *next_;
    struct leat_threads_ *threads_;
    void (*main_)(struct leat_thread_ *);
    void (*on_exit_)(struct leat_thread_ *); /* called when pthread_exit or cancellation has ended a job's thread */
    pthread_t thread_;                       /* known when started_ */
    int id_;                                 /* its number, for its name and the hooks */
    bool started_, exited_;                  /* exited_: only destructors of pthread keys still run on it */
} leat_thread_;

typedef struct leat_threads_ {
    leat_lock_ lock_; /* guards what follows, and all plain fields of the threads */
    leat_thread_ *list_;
    int joining_; /* threads that were taken out of the list, and are being joined */
    int next_id_;
    leat_thread_ **(*current_)(void);
    bool inherit_signals_;
} leat_threads_;

/* Where a thread keeps a pointer to its own leat_thread_. Each file of a program may have its own copy of this function
 * and of the variable. So the list points to the copy that its threads use, for callers from other files. */
static inline leat_thread_ **leat_current_(void)
{
    static _Thread_local leat_thread_ *current;
    return &current;
}

/* The calling thread's leat_thread_ if it is one of `threads`, also after it has exited. Otherwise NULL. For a group
 * the caller holds the lock, because the first leat_go sets current_. For a pool leat_pool_start has set it. */
static inline leat_thread_ *leat_self_(const leat_threads_ *threads)
{
    leat_thread_ *t = threads->current_ ? *threads->current_() : NULL;
    return t && t->threads_ == threads ? t : NULL;
}

LEAT_COLD_ bool leat_is_own_thread_(leat_threads_ *threads)
{
    leat_lock_take_(&threads->lock_);
    bool own = leat_self_(threads) != NULL;
    leat_lock_drop_(&threads->lock_);
    return own;
}

static inline void leat_thread_exits_(leat_thread_ *t)
{
    leat_lock_take_(&t->threads_->lock_);
    t->exited_ = true;
    leat_lock_drop_(&t->threads_->lock_);
}

static inline void leat_thread_on_exit_(void *arg)
{
    leat_thread_ *t = arg;
    if (t->exited_) return; /* a second job has ended this thread, which went on after the first */
    t->on_exit_(t);
    leat_thread_exits_(t);
}

/* Names the calling thread: the first 11 bytes of `name`, and its number. */
LEAT_COLD_ void leat_thread_name_(const char *name, int id)
{
    char whole[32];
    int saved = errno;
    snprintf(whole, sizeof whole, "%.11s-%d", name, id);
    leat_os_name_(whole);
    errno = saved;
}

/* Calls fn(t). If a job ends the thread, the cleanup handler calls on_exit_, on this thread. */
LEAT_COLD_ void leat_thread_run_(leat_thread_ *t, void (*fn)(leat_thread_ *))
{
    pthread_cleanup_push(leat_thread_on_exit_, t);
    fn(t);
    pthread_cleanup_pop(0);
}

LEAT_COLD_ void *leat_thread_main_(void *arg)
{
    leat_thread_ *t = arg;
    leat_lock_take_(&t->threads_->lock_);
    t->thread_ = pthread_self(); /* L2: the thread that spawned it may not know it yet */
    t->started_ = true;
    leat_lock_drop_(&t->threads_->lock_);
    *t->threads_->current_() = t;
    leat_thread_run_(t, t->main_);
    leat_thread_exits_(t);
    return NULL;
}

LEAT_COLD_ void leat_threads_add_(leat_threads_ *threads, leat_thread_ *t)
{
    t->threads_ = threads;
    leat_lock_take_(&threads->lock_);
    if (!threads->current_) threads->current_ = leat_current_;
    t->id_ = threads->next_id_++;
    t->next_ = threads->list_;
    threads->list_ = t;
    leat_lock_drop_(&threads->lock_);
}

/* Takes out of the list a thread that could not be spawned. */
LEAT_COLD_ void leat_threads_remove_(leat_threads_ *threads, leat_thread_ *t)
{
    leat_lock_take_(&threads->lock_);
    leat_thread_ **at = &threads->list_;
    while (*at != t) at = &(*at)->next_;
    *at = t->next_;
    if (threads->next_id_ == t->id_ + 1) threads->next_id_--;
    leat_lock_drop_(&threads->lock_);
}

/* Spawns the thread of `t`, the first member of a heap block. After an error the caller frees the block. */
LEAT_COLD_ int leat_spawn_(leat_threads_ *threads, leat_thread_ *t, size_t stack_size)
{
    pthread_attr_t attr;
    pthread_t thread;
    int saved = errno, err = pthread_attr_init(&attr);
    leat_threads_add_(threads, t); /* L1 */
    if (!err) {
        if (stack_size) err = pthread_attr_setstacksize(&attr, stack_size);
        leat_os_mask_t_ mask = leat_os_mask_workers_();
        if (threads->inherit_signals_) leat_os_mask_(mask);
        if (!err) err = pthread_create(&thread, &attr, leat_thread_main_, t); /* L3 */
        leat_os_mask_(mask);
        pthread_attr_destroy(&attr);
    }
    if (err) leat_threads_remove_(threads, t);
    errno = saved;
    return -err;
}

/* Waits until a spawned thread has written its id. */
static inline void leat_thread_await_start_(leat_thread_ *t)
{
    bool started = false;
    for (unsigned round = 0;; leat_backoff_(&round)) {
        leat_lock_take_(&t->threads_->lock_);
        started = t->started_;
        leat_lock_drop_(&t->threads_->lock_);
        if (started) return;
    }
}

/* Joins and frees a chain of threads that were taken out of their list. */
LEAT_COLD_ void leat_join_(leat_thread_ *t)
{
    int saved = errno, cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the calls below must not end the calling thread */
    for (leat_thread_ *next; t; t = next) {
        next = t->next_;
        leat_thread_await_start_(t); /* L2 */
        pthread_join(t->thread_, NULL);
        free(t);
    }
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
}

/* What a call returns after it has found `err`. If a context is done, its error wins (queue.h, I8). */
static inline int leat_unless_done_(leat_ctx *ctx, leat_ctx *also, int err)
{
    int end = leat_ctx_err_of_(ctx, also, 0);
    return end ? end : err;
}

/* ==== 3. Group: tasks on threads, first error cancels =========================================
 *
 * A thread without a task is idle: it waits in the queue waiting_, and there is a permit of idle_ for it. To start a
 * task, leat_go acquires a permit, takes a thread out of the queue, and gives it the task. If there is no permit, it
 * spawns a thread. At the limit it waits for a permit instead. Tasks are never queued. The thread that became idle last
 * is taken first, as it may still be awake.
 *
 * L4  A permit of idle_ stands for a thread in waiting_, or for one of places_. Which thread does not matter: first the
 *     thread is in the queue, then its permit is released, and whoever acquires a permit finds a thread or a place. A
 *     place is left where a thread could not be spawned, or was not, as a context was done. The caller that acquires a
 *     permit takes such a thread, or takes a place and spawns the thread. The thread is then that caller's, which gives
 *     it a task, or puts it back into the queue, with its permit. So a task that was counted has a thread that will run
 *     it, and a task that waits at the limit is not forgotten. Threads and places_ together are at most limit_. A thread
 *     is taken only for a task that is counted as active, and is back in the queue before that count ends. So when no
 *     task is active, all threads are in waiting_.
 * L5  A group ends once. The caller that ends it has seen under the lock that no task is active, and has shut the
 *     group under that lock.
 * L11 While a stage has active tasks, it counts as one active task of its whole. It begins to count under its own lock,
 *     before its first task does, and ends after its last. So a whole that has no active task has none in its stages
 *     either. A lock of a stage is taken before that of its whole. */

typedef struct leat_group {
    leat_ctx ctx_;
    leat_sem idle_;
    leat_threads_ threads_; /* its lock guards what follows */
    leat_waitq_ waiting_;   /* idle threads, the last one first */
    int limit_;             /* 0: none */
    int making_;            /* threads that exist or are being spawned, and places_ */
    int places_;
    int blocked_;       /* tasks that wait in leat_go */
    bool shut_;         /* no more tasks */
    bool used_;         /* there were tasks */
    bool over_;         /* L5 */
    int64_t active_;    /* tasks accepted, not returned */
    leat_sem *shared_;  /* of leat_group_share, or NULL */
    leat_chan *closes_; /* of leat_group_closes, or NULL */
    leat_wg running_;   /* 1 while a task is active, for callers that wait */
    leat_chan joined_;  /* closed when all threads are joined */
    _Atomic int err_;   /* the first error of a task */
    _Atomic size_t errors_;
    struct leat_group *whole_;                /* of leat_group_within, or NULL */
    struct leat_group *stages_, *next_stage_; /* the groups within this one. The next of the same whole */
    int64_t idle_ns_;                         /* of leat_thread_opts, as is what follows */
    size_t stack_size_;
    char name_[16]; /* "": the threads get no name */
} leat_group;

typedef struct leat_task_thread_ {
    leat_thread_ thread_; /* first */
    leat_group *group_;
    leat_waiter_ waiter_; /* the thread waits here for task_ */
    leat_node_ node_;     /* in waiting_. msg_ points to the whole */
    leat_call_ task_;     /* the task that it was given. None: it is to return */
} leat_task_thread_;

/* An initialiser. The group's tasks run under a context of their own, below `parent` (or NULL). */
/* clang-format off */
#define LEAT_GROUP(parent) { .ctx_ = LEAT_CTX(parent), .idle_ = LEAT_SEM_OF(0, LEAT_SEM_MAX) }
/* clang-format on */

/* The context that the group's tasks get. It is done after the first error, with that error as cause, and
 * after leat_wait. */
LEAT_HOT_ leat_ctx *leat_group_ctx(leat_group *g)
{
    return &g->ctx_;
}

/* How many tasks have returned an error so far. 1 means only the task whose error leat_wait returns. */
LEAT_HOT_ size_t leat_group_errors(leat_group *g)
{
    return !g ? 0 : atomic_load_explicit(&g->errors_, memory_order_relaxed); /* [X7] */
}

/* Allows at most n tasks at once (n >= 1). 0. -EINVAL: n < 1, or there have been tasks. */
LEAT_HOT_ int leat_group_limit(leat_group *g, int n)
{
    if (!g || n < 1 || g->used_) return -EINVAL;
    g->limit_ = n;
    return 0;
}

typedef struct leat_thread_opts {
    bool inherit_signals; /* a thread has the signal mask of the thread that spawns it, not that of a worker */
    const char *name;     /* of the threads, copied. 15 bytes count, with the number. NULL: that of the program */
    size_t stack_size;    /* bytes. 0: the system's default */
    int64_t idle;         /* ns after which a thread that has got no task ends. 0: it stays until leat_wait */
} leat_thread_opts;

/* Sets how the group's threads are spawned, and when they end. A thread that has ended because it was idle is joined by
 * the next one that does, or by leat_wait. 0. -EINVAL: there have been tasks, or `idle` is negative. */
LEAT_COLD_ int leat_group_threads(leat_group *g, const leat_thread_opts *opts)
{
    if (!g || !opts || g->used_ || opts->idle < 0) return -EINVAL;
    int saved = errno;
    snprintf(g->name_, sizeof g->name_, "%s", opts->name ? opts->name : "");
    errno = saved;
    g->threads_.inherit_signals_ = opts->inherit_signals;
    g->stack_size_ = opts->stack_size;
    g->idle_ns_ = opts->idle;
    return 0;
}

/* Makes `stage` a stage of `whole`, such as one step of a pipeline, before the first task of stage. The first error of a
 * task of stage is also one of whole: it cancels the contexts of whole and of all its stages. leat_wait(whole) waits for
 * the tasks of the stages, too, and then ends the stages as leat_wait does. So stage must live until leat_wait(whole)
 * has returned. A caller may also wait for a stage alone. A stage may have stages of its own.
 * 0. -ESHUTDOWN: whole was waited for. -EINVAL: there have been tasks in stage, it is a stage already, it has another
 * context as its parent, or whole is within stage. */
LEAT_COLD_ int leat_group_within(leat_group *stage, leat_group *whole)
{
    if (!stage || !whole || stage->used_ || stage->shut_ || stage->whole_) return -EINVAL;
    if (stage->ctx_.parent_ && stage->ctx_.parent_ != &whole->ctx_) return -EINVAL;
    for (leat_group *g = whole; g; g = g->whole_)
        if (g == stage) return -EINVAL;
    leat_lock_take_(&whole->threads_.lock_);
    bool shut = whole->shut_;
    if (!shut) {
        stage->whole_ = whole;
        stage->ctx_.parent_ = &whole->ctx_;
        stage->next_stage_ = whole->stages_;
        whole->stages_ = stage;
    }
    leat_lock_drop_(&whole->threads_.lock_);
    return shut ? -ESHUTDOWN : 0;
}

/* Each task holds one permit of *sem while it runs, so *sem limits several groups together. Call this before the
 * first task. The semaphore must outlive the group. It bounds the tasks that run. The group may spawn a few more
 * threads than that, unless leat_group_limit bounds the threads too. A task that starts another while its own permit
 * is the last one waits for itself. This is not detected. 0, -EINVAL. */
LEAT_HOT_ int leat_group_share(leat_group *g, leat_sem *sem)
{
    if (!g || !sem || g->used_) return -EINVAL;
    g->shared_ = sem;
    return 0;
}

/* Counts n tasks as ended: they have returned, or could not be started. With the last one it closes closes_, and the
 * whole counts one less (L11). In the same step the thread `t` (or NULL) becomes idle. */
LEAT_COLD_ void leat_task_end_(leat_group *g, int64_t n, leat_task_thread_ *t)
{
    leat_chan *closes = NULL;
    leat_lock_take_(&g->threads_.lock_);
    g->active_ -= n;
    bool last = n && !g->active_;
    if (!g->active_ && g->closes_) {
        closes = g->closes_;
        g->closes_ = NULL;
        g->shut_ = true;
    }
    if (t) leat_enqueue_front_(&g->waiting_, &t->node_);
    leat_lock_drop_(&g->threads_.lock_);
    if (closes) leat_close_(closes);
    if (last && g->whole_) leat_task_end_(g->whole_, 1, NULL);
    if (last && leat_wg_done(&g->running_)) LEAT_MISUSE_("a group's count of tasks");
    if (t && leat_release(&g->idle_, 1)) LEAT_MISUSE_("beyond LEAT_SEM_MAX"); /* L4 */
}

/* Notes an error of a task of g, for g and all that it is within, and then cancels the outermost. A task that the cancel
 * ends, and that returns an error for this reason, is not the first. */
LEAT_COLD_ void leat_group_fail_(leat_group *g, int err)
{
    for (;; g = g->whole_) {
        int none = 0;
        atomic_fetch_add_explicit(&g->errors_, 1, memory_order_relaxed);                                 /* [X7] */
        bool first = atomic_compare_exchange_strong_explicit(&g->err_, &none, err, memory_order_relaxed, /* [X7] */
                                                             memory_order_relaxed);
        if (g->whole_) continue;
        if (first) leat_cancel(&g->ctx_, err);
        return;
    }
}

/* Called by a task's thread when the task has returned `err`. The thread `t` becomes idle. */
LEAT_COLD_ void leat_task_done_(leat_group *g, int err, leat_task_thread_ *t)
{
    if (err) leat_group_fail_(g, err);
    if (g->shared_ && leat_release(g->shared_, 1)) LEAT_MISUSE_("shared semaphore over-released");
    leat_task_end_(g, 1, t);
}

static inline leat_task_thread_ *leat_task_thread_of_(leat_thread_ *t)
{
    void *whole = t;
    return whole;
}

/* A thread gets a new waiter, before it becomes idle. leat_task_await_ ends the waiter. */
static inline void leat_task_thread_init_(leat_task_thread_ *t)
{
    leat_waiter_init_(&t->waiter_);
    t->node_ = (leat_node_){ .waiter_ = &t->waiter_, .msg_ = t };
}

/* Gives a thread that is the caller's a task, or none. No other thread can end this wait, so the waiter goes from WAITING
 * to WOKEN at once (queue.h, part 3). */
static inline void leat_task_give_(leat_task_thread_ *t, leat_call_ job)
{
    t->task_ = job;
    leat_wake_begins_(&t->waiter_);
    leat_wake_(&t->node_);
}

/* A thread that was idle for long leaves the queue, and leaves a place in its stead (L4). Threads that have left before
 * it are joined. False: a caller has taken the thread, and will give it a task, or none. */
LEAT_COLD_ bool leat_task_thread_leaves_(leat_task_thread_ *t)
{
    leat_group *g = t->group_;
    leat_thread_ *exited = NULL;
    leat_lock_take_(&g->threads_.lock_);
    bool leaves = t->node_.linked_;
    if (leaves) {
        leat_dequeue_(&g->waiting_, &t->node_);
        g->places_++;
        t->task_ = (leat_call_){ .fn_ = NULL };
    }
    for (leat_thread_ **at = &g->threads_.list_, *other; leaves && (other = *at) != NULL;) {
        if (!other->exited_) {
            at = &other->next_;
            continue;
        }
        *at = other->next_;
        other->next_ = exited;
        exited = other;
    }
    leat_lock_drop_(&g->threads_.lock_);
    leat_join_(exited);
    return leaves;
}

/* Waits until the thread is given a task, or none, or was idle for too long, and ends its waiter. */
LEAT_COLD_ leat_call_ leat_task_await_(leat_task_thread_ *t)
{
    int64_t idle = t->group_->idle_ns_;
    leat_spin_ spin = LEAT_SPIN_;
    leat_spin_until_woken_(&t->waiter_, &spin);
    if (leat_park_(&t->waiter_, idle ? leat_after(idle) : LEAT_FOREVER) && !leat_task_thread_leaves_(t))
        leat_park_(&t->waiter_, LEAT_FOREVER);
    leat_os_done_(&t->waiter_.state_);
    return t->task_;
}

/* What a thread of a group does: the tasks that it is given, until it is given none. */
static inline void leat_group_main_(leat_thread_ *thread)
{
    leat_task_thread_ *t = leat_task_thread_of_(thread);
    leat_group *g = t->group_;
    leat_call_ job;
    if (*g->name_) leat_thread_name_(g->name_, thread->id_);
    while ((job = leat_task_await_(t)).fn_) {
        int err = job.fn_(&g->ctx_, job.arg_);
        leat_task_thread_init_(t);
        leat_task_done_(g, err, t);
    }
}

LEAT_COLD_ void leat_group_on_exit_(leat_thread_ *thread);

/* Spawns a thread, which is the caller's (L4). NULL: it could not be spawned, because of *err. */
LEAT_COLD_ leat_task_thread_ *leat_group_spawn_(leat_group *g, int *err)
{
    leat_task_thread_ *t = leat_zeroed_(1, sizeof *t, 1);
    *err = -ENOMEM;
    if (!t) return NULL;
    t->thread_.main_ = leat_group_main_;
    t->thread_.on_exit_ = leat_group_on_exit_;
    t->group_ = g;
    leat_task_thread_init_(t);
    *err = leat_spawn_(&g->threads_, &t->thread_, g->stack_size_);
    if (!*err) return t;
    leat_os_done_(&t->waiter_.state_);
    leat_quiet_free_(t);
    return NULL;
}

/* A task has ended its thread. The group spawns another thread in its place. If that fails, this thread goes on, in
 * this function. */
LEAT_COLD_ void leat_group_on_exit_(leat_thread_ *thread)
{
    leat_task_thread_ *t = leat_task_thread_of_(thread);
    leat_group *g = t->group_;
    int err;
    leat_task_thread_ *other = leat_group_spawn_(g, &err);
    if (!other) leat_task_thread_init_(t);
    leat_task_done_(g, -EINTR, other ? other : t);
    if (!other) leat_thread_run_(thread, leat_group_main_);
}

/* Counts n tasks as accepted. RETURN VALUES: 0, -ESHUTDOWN, or the error of a context. */
LEAT_COLD_ int leat_task_begin_(leat_ctx *ctx, leat_group *g, int64_t n)
{
    leat_lock_take_(&g->threads_.lock_);
    int err = g->shut_ ? -ESHUTDOWN : leat_ctx_err(&g->ctx_);
    err = leat_unless_done_(ctx, NULL, err);
    if (!err) {
        g->used_ = true;
        bool first = n && !g->active_;
        if (first && g->whole_) err = leat_task_begin_(NULL, g->whole_, 1); /* L11 */
        if (first && !err) err = leat_wg_add(&g->running_, 1);
        if (!err) g->active_ += n;
    }
    leat_lock_drop_(&g->threads_.lock_);
    return err;
}

/* What leat_go does at the limit. RETURN VALUES: 0: the caller has a permit of `s`, which is idle_ or the shared
 * semaphore. Or an error. */
typedef int leat_at_limit_(leat_ctx *ctx, leat_group *g, leat_sem *s);

static inline int leat_dont_wait_(leat_ctx *ctx, leat_group *g, leat_sem *s)
{
    (void)ctx, (void)g;
    return leat_try_acquire(s, 1);
}

/* A task that waits here blocks its own thread. If all tasks waited here, no thread would ever be idle. */
LEAT_COLD_ int leat_wait_for_thread_(leat_ctx *ctx, leat_group *g, leat_sem *s)
{
    if (s != &g->idle_) return leat_acquire_of_(ctx, &g->ctx_, s, 1);
    leat_lock_take_(&g->threads_.lock_);
    leat_thread_ *self = leat_self_(&g->threads_);
    bool task = self && !self->exited_, last = task && g->blocked_ + 1 == g->making_;
    if (!last) g->blocked_ += task;
    leat_lock_drop_(&g->threads_.lock_);
    if (last) return leat_unless_done_(ctx, &g->ctx_, -EDEADLK);
    int err = leat_acquire_of_(ctx, &g->ctx_, s, 1);
    if (task) {
        leat_lock_take_(&g->threads_.lock_);
        g->blocked_--; /* before the task is given: a thread that has a permit is not blocked */
        leat_lock_drop_(&g->threads_.lock_);
    }
    return err;
}

/* With a permit: takes an idle thread out of the queue, or NULL: a place, whose thread the caller must spawn. */
LEAT_COLD_ leat_task_thread_ *leat_group_take_(leat_group *g)
{
    leat_lock_take_(&g->threads_.lock_);
    leat_node_ *l = g->waiting_.first_;
    if (l) leat_dequeue_(&g->waiting_, l);
    else g->places_--;
    leat_lock_drop_(&g->threads_.lock_);
    return l ? l->msg_ : NULL;
}

/* Puts back what the caller has taken, or the thread that it has spawned, or leaves a place (NULL). With the permit. */
LEAT_COLD_ void leat_group_put_(leat_group *g, leat_task_thread_ *t)
{
    leat_lock_take_(&g->threads_.lock_);
    if (t) leat_enqueue_front_(&g->waiting_, &t->node_);
    else g->places_++;
    leat_lock_drop_(&g->threads_.lock_);
    if (leat_release(&g->idle_, 1)) LEAT_MISUSE_("beyond LEAT_SEM_MAX"); /* L4 */
}

/* Without a permit: whether the limit lets the caller spawn a thread. */
LEAT_COLD_ bool leat_group_may_spawn_(leat_group *g)
{
    leat_lock_take_(&g->threads_.lock_);
    bool may = !g->limit_ || g->making_ < g->limit_;
    g->making_ += may;
    leat_lock_drop_(&g->threads_.lock_);
    return may;
}

/* Gets a thread for a task, idle or spawned. *to is then the caller's (L4). RETURN VALUES: 0, what `at_limit` returns,
 * why no thread could be spawned, or the error of a context. */
LEAT_COLD_ int leat_group_get_(leat_ctx *ctx, leat_group *g, leat_at_limit_ *at_limit, leat_task_thread_ **to)
{
    int err = leat_try_acquire(&g->idle_, 1);
    bool spawn = err && leat_group_may_spawn_(g);
    if (err && !spawn && (err = at_limit(ctx, g, &g->idle_)) != 0) return err;
    leat_task_thread_ *t = spawn ? NULL : leat_group_take_(g);
    err = leat_unless_done_(ctx, &g->ctx_, 0);
    if (!err && !t) t = leat_group_spawn_(g, &err);
    if (err) leat_group_put_(g, t);
    *to = t;
    return err;
}

static inline void leat_group_unshare_(leat_group *g, int n)
{
    if (g->shared_ && leat_release(g->shared_, n)) LEAT_MISUSE_("shared semaphore over-released");
}

/* Starts a task that was counted as accepted. */
LEAT_COLD_ int leat_group_start_(leat_ctx *ctx, leat_group *g, leat_call_ job, leat_at_limit_ *at_limit)
{
    leat_task_thread_ *t;
    int err = g->shared_ ? at_limit(ctx, g, g->shared_) : 0;
    if (err) return err;
    if ((err = leat_group_get_(ctx, g, at_limit, &t)) == 0) leat_task_give_(t, job);
    if (err) leat_group_unshare_(g, 1);
    return err;
}

LEAT_COLD_ int leat_group_go_(leat_ctx *ctx, leat_group *g, int n, leat_call_ job, leat_at_limit_ *at_limit)
{
    if (!g || !job.fn_ || n < 0) return -EINVAL;
    int err = leat_task_begin_(ctx, g, n), i;
    if (err) return err;
    for (i = 0; i < n && !err; i++) err = leat_group_start_(ctx, g, job, at_limit);
    if (err) leat_task_end_(g, n - i + 1, NULL); /* the task that could not be started, and those after it */
    return err;
}

/* Runs fn(ctx, arg) on a thread of its own. At the limit the caller waits until another task has returned.
 * 0: the task will run. -ECANCELED, -ETIMEDOUT: the group's context is done, and the task will not run. -ESHUTDOWN:
 * the call came after leat_wait, or after the group closed its channel. -EDEADLK: all tasks of a group at its limit
 * wait in leat_go. -EAGAIN, -ENOMEM: no thread could be spawned. -EINVAL. Any thread may call it, also the group's
 * tasks.
 * try: -EAGAIN at the limit. ctx: -ECANCELED, -ETIMEDOUT also when `ctx` (or NULL) is done. The task does not get
 * this context. */
LEAT_HOT_ int leat_go(leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, 1, (leat_call_){ fn, arg }, leat_wait_for_thread_);
}

LEAT_HOT_ int leat_try_go(leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, 1, (leat_call_){ fn, arg }, leat_dont_wait_);
}

LEAT_HOT_ int leat_go_ctx(leat_ctx *ctx, leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(ctx, g, 1, (leat_call_){ fn, arg }, leat_wait_for_thread_);
}

/* Starts n tasks fn(ctx, arg) with the same argument, such as the workers of a pool. 0: all n will run. Otherwise the
 * error of the first task that could not be started. The tasks before it run, so the caller must make sure that they
 * can end.
 * try: starts all n at once, or none, whatever the error. -EAGAIN: the limit leaves no room for n. ctx: as
 * leat_go_ctx. */
LEAT_HOT_ int leat_go_n(leat_group *g, int n, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, n, (leat_call_){ fn, arg }, leat_wait_for_thread_);
}

LEAT_HOT_ int leat_go_n_ctx(leat_ctx *ctx, leat_group *g, int n, leat_task *fn, void *arg)
{
    return leat_group_go_(ctx, g, n, (leat_call_){ fn, arg }, leat_wait_for_thread_);
}

LEAT_COLD_ int leat_try_go_n(leat_group *g, int n, leat_task *fn, void *arg)
{
    leat_call_ job = { fn, arg };
    if (!g || !fn || n < 0) return -EINVAL;
    int err = leat_task_begin_(NULL, g, n);
    if (err) return err;
    if (g->shared_ && (err = leat_try_acquire(g->shared_, n)) != 0) {
        leat_task_end_(g, n, NULL);
        return err;
    }
    leat_node_ *chain = NULL; /* first the threads, then the tasks */
    for (int i = 0; i < n && !err; i++) {
        leat_task_thread_ *t;
        if ((err = leat_group_get_(NULL, g, leat_dont_wait_, &t)) != 0) break;
        t->node_.next_ = chain;
        chain = &t->node_;
    }
    for (leat_node_ *next; chain; chain = next) {
        next = chain->next_;
        if (err) leat_group_put_(g, chain->msg_);
        else leat_task_give_(chain->msg_, job);
    }
    if (!err) return 0;
    leat_group_unshare_(g, n);
    leat_task_end_(g, n, NULL);
    return err;
}

/* leat_group_closes(&g, &results): the group closes the channel once, when the last task has returned. Call this
 * after the last leat_go, or before or after a single leat_go_n. Once the channel is closed, leat_go returns
 * -ESHUTDOWN. If there was no task, leat_wait closes the channel. 0. -EINVAL: the group already closes another. */
#define leat_group_closes(g, c) leat_group_closes_(g, LEAT_C_(c))

LEAT_COLD_ int leat_group_closes_(leat_group *g, leat_chan *ch)
{
    if (!g || !ch) return -EINVAL;
    leat_lock_take_(&g->threads_.lock_);
    bool first = !g->closes_ && !g->shut_;
    if (first) g->closes_ = ch;
    bool now = first && g->used_ && !g->active_;
    leat_lock_drop_(&g->threads_.lock_);
    if (now) leat_task_end_(g, 0, NULL);
    return first ? 0 : -EINVAL;
}

/* L5: checks a group whose tasks have returned. RETURN VALUES: 0: the caller must end it. -EAGAIN: a task was started
 * since. -EALREADY: another caller ends it, or has ended it. Or the error of ctx. */
LEAT_COLD_ int leat_group_over_(leat_ctx *ctx, leat_group *g)
{
    leat_lock_take_(&g->threads_.lock_);
    int err = leat_unless_done_(ctx, NULL, g->active_ ? -EAGAIN : g->over_ ? -EALREADY : 0);
    if (!err) g->over_ = g->shut_ = true;
    leat_lock_drop_(&g->threads_.lock_);
    return err;
}

/* Waits for the last task, then calls leat_group_over_, and returns what that returns, but never -EAGAIN. */
LEAT_COLD_ int leat_group_await_over_(leat_ctx *ctx, leat_group *g)
{
    int err = -EAGAIN;
    while (err == -EAGAIN)
        if ((err = leat_wg_wait_ctx(ctx, &g->running_)) == 0) err = leat_group_over_(ctx, g);
    return err;
}

static inline int leat_group_err_(leat_group *g)
{
    return atomic_load_explicit(&g->err_, memory_order_relaxed); /* [X7] */
}

LEAT_COLD_ int leat_wait_ctx(leat_ctx *ctx, leat_group *g);

/* Ends a group, and its stages. Only the caller that got 0 from leat_group_over_ calls this (L5). The other callers of leat_wait wait
 * for joined_, and may free the group once it is closed. */
LEAT_COLD_ int leat_group_end_(leat_group *g)
{
    leat_lock_take_(&g->threads_.lock_);
    leat_chan *closes = g->closes_;
    g->closes_ = NULL;
    leat_thread_ *threads = g->threads_.list_; /* no task is active, so no thread is added */
    g->threads_.list_ = NULL;
    leat_node_ *idle = g->waiting_.first_; /* all of them. None leaves any more */
    for (leat_node_ *l = idle; l; l = l->next_) l->linked_ = false;
    g->waiting_.first_ = g->waiting_.last_ = NULL;
    leat_lock_drop_(&g->threads_.lock_);
    if (closes) leat_close_(closes);
    for (leat_group *stage = g->stages_; stage; stage = stage->next_stage_) leat_wait_ctx(NULL, stage);
    for (leat_node_ *next; idle; idle = next) {
        next = idle->next_;
        leat_task_give_(idle->msg_, (leat_call_){ .fn_ = NULL });
    }
    leat_join_(threads);
    leat_cancel(&g->ctx_, -ECANCELED);
    int err = leat_group_err_(g);
    leat_close_(&g->joined_);
    return err;
}

/* Whether the caller is a thread of the group, or of a stage of it. */
LEAT_COLD_ bool leat_group_is_own_thread_(leat_group *g)
{
    if (leat_is_own_thread_(&g->threads_)) return true;
    leat_lock_take_(&g->threads_.lock_);
    leat_group *stage = g->stages_;
    leat_lock_drop_(&g->threads_.lock_);
    while (stage && !leat_group_is_own_thread_(stage)) stage = stage->next_stage_;
    return stage != NULL;
}

/* Waits until all tasks have returned, also those of its stages, and joins the threads. 0, or the first value other than 0 that a task
 * returned. That error has cancelled the group's context, but the cancellation does not hide it. -EDEADLK: the caller
 * is a thread of the group, or of a stage of it. The call frees everything that the group holds. A later call returns the same as the first.
 * try: -EAGAIN while tasks run, or while another call joins their threads. ctx: -ECANCELED, -ETIMEDOUT when `ctx` (or
 * NULL) is done. Then the group goes on, and a caller must still wait for it. A task may have returned one of these
 * numbers, too. Where that matters, leat_ctx_err(ctx) tells whether `ctx` is done. */
LEAT_COLD_ int leat_wait_ctx(leat_ctx *ctx, leat_group *g)
{
    if (!g) return -EINVAL;
    if (leat_group_is_own_thread_(g)) return leat_unless_done_(ctx, NULL, -EDEADLK);
    int err = leat_group_await_over_(ctx, g);
    if (!err) return leat_group_end_(g);
    if (err != -EALREADY) return err;
    err = leat_recv_(ctx, &g->joined_, &(char){ 0 }, 1, 1);
    return err == -EPIPE ? leat_group_err_(g) : err;
}

LEAT_HOT_ int leat_wait(leat_group *g)
{
    return leat_wait_ctx(NULL, g);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_wait(leat_group *g)
{
    if (!g) return -EINVAL;
    if (leat_group_is_own_thread_(g) || leat_try_wg_wait(&g->running_)) return -EAGAIN;
    int err = leat_group_over_(NULL, g);
    if (!err) return leat_group_end_(g);
    return err == -EALREADY && leat_is_closed_(&g->joined_) ? leat_group_err_(g) : -EAGAIN;
}

/* ==== 4. Pool: fixed workers, a bounded queue, drain, stop ====================================
 *
 * The queue is a channel of jobs. A submit is a send. A worker receives its next job under the worker's own context.
 * A resize cancels that context to retire the worker. The end of the pool's context ends all workers. A stop shuts the
 * gate and closes the queue. The workers drain the queue and exit, and the stop joins them.
 *
 * L6  The wanted workers are those that are RUNNING, and those that are STARTING and replace no other. They are as
 *     many as a resize asked for, less those that could not be had. A worker whose job ends its thread is replaced. The
 *     replacement takes over its state, and makes the old worker EXITING, in one step. So the two count as one worker.
 * L7  EXITING is final. Before that, a resize may take a RETIRING worker back. The worker itself then replaces its
 *     cancelled context, because no other thread receives under it. A worker makes itself EXITING only if it was not
 *     taken back.
 * L8  An accepted job is counted once, as taken by a worker or as dropped. The gate counts each call that enters, until
 *     the call leaves. When a submit has queued its job, its count stays, for the job. So when no call is under way,
 *     the gate's count is that of the jobs taken, dropped and queued. A stop frees nothing before this is so, and
 *     before no thread is left or being joined. So a submit may race with a stop.
 * L9  A worker that waits for room is blocked. Its job or its hook has called submit, and the queue is full. While it
 *     is blocked and the pool accepts jobs, another worker can make room: it is STARTING or RUNNING, is not blocked, and
 *     waits for no init hook. If there is none, one blocked worker is told, and its submit returns -EDEADLK. A worker
 *     checks this before it is blocked. Later the other worker may drop out: its init hook fails, it is retired, it
 *     cannot be spawned, or it waits for an init hook. The thread that makes it drop out then checks again.
 * L10 A thread that tells a blocked worker uses memory on that worker's stack. The worker waits until it has been
 *     told. */

typedef struct leat_pool_opts {
    int workers;       /* threads. 0: leat_cpus() */
    int queue;         /* jobs that may wait. 0: twice the workers */
    const char *name;  /* of the threads, copied. 15 bytes count, with the number. NULL: "leat" */
    size_t stack_size; /* bytes. 0: the system's default */
    /* A worker has the signal mask of the thread that spawns it. That thread is a caller of leat_pool_start or
     * _resize, or the worker that is replaced. */
    bool inherit_signals;
    /* Called first on each worker's thread. Returns 0, or an error that leat_pool_start or _resize then returns. May be
     * NULL. */
    int (*worker_init)(void *user, int id);
    /* Called last on the worker's thread, if init succeeded. May be NULL. */
    void (*worker_fini)(void *user, int id);
    /* Given to both. A job does not learn its worker. What init made for the thread belongs in a _Thread_local. */
    void *user;
} leat_pool_opts;

/* A snapshot. While no thread changes the pool, submitted = completed + failed + dropped + busy + queued. */
typedef struct leat_stats {
    size_t workers, busy; /* threads, and those that run a job. Saturation is busy / workers */
    size_t queued, queue_cap;
    /* The longest queue that was seen by a call of leat_pool_stats, by a submit that waited for room (but not briefly),
     * or by a worker at every 16th job that it takes. */
    size_t queue_high;
    /* Jobs accepted, jobs that returned 0, jobs that did not, jobs that leat_pool_abort handed back. */
    size_t submitted, completed, failed, dropped;
} leat_stats;

/* Each counter has one writer at a time, so it needs no locked operation. */
typedef struct leat_counts_ {
    _Atomic size_t taken_, completed_, failed_, high_water_; /* high_water_: of the queue's length */
} leat_counts_;

typedef struct leat_pool {
    leat_ctx ctx_;
    leat_calls_ queue_;
    char pad0_[LEAT_LINE_];
    _Atomic int64_t gate_; /* (calls that entered, less those that left) * 4 | STARTED | SHUT (L8) */
    char pad1_[LEAT_LINE_];
    _Atomic int end_;       /* OPEN, ENDING, OVER */
    leat_threads_ threads_; /* its lock guards what follows */
    leat_counts_ totals_;   /* of the workers that were joined */
    size_t queue_cap_, dropped_;
    int aborting_;      /* aborts under way. A stop leaves the end of the pool to them */
    int refused_;       /* an init hook's error, for the resize that asked for the worker, or the next resize */
    leat_wg running_;   /* workers that may take another job */
    leat_sem resizing_; /* a lock that waits under a context: one resize at a time */
    leat_pool_opts opts_;
    char name_[16];
} leat_pool;

enum { LEAT_SHUT_ = 1, LEAT_STARTED_ = 2, LEAT_INSIDE_ = 4 };
enum { LEAT_OPEN_ = 0, LEAT_ENDING_ = 1, LEAT_OVER_ = 2 };

/* TELLING: another thread is cancelling the blocked worker's room_ (L10). TOLD: it has done so. */
enum { LEAT_UNTOLD_ = 0, LEAT_TELLING_ = 1, LEAT_TOLD_ = 2 };

/* On the stack of a worker that waits for room. */
typedef struct leat_blocked_ {
    leat_case *case_; /* the send to the queue */
    leat_ctx room_;   /* the worker waits under this. Cancelled: there will be no room */
    int told_;
} leat_blocked_;

/* A worker's life:
 *
 *                       a resize wants more again (to STARTING, while the init hook runs)
 *                                 .-----------------------.
 *                                 v    a resize wants     |
 *     STARTING ---------------> RUNNING ------------> RETIRING
 *       |  |   init hook: 0       |       fewer        ^   |
 *       |  '----------------------+--------------------'   |
 *       | init hook: an error     | no more jobs           | after its job
 *       v                         v                        v
 *     EXITING <--------------------------------------------'
 *       |
 *     fini hook, unless the init hook failed; exited_; joined
 *
 * A worker whose job ends its thread is replaced. The replacement is STARTING until its init hook has returned. Then
 * it takes over the state of the worker that it replaces. If no thread can be spawned, the old worker goes on, on
 * what is left of its thread (a rerun). It stays RUNNING, and its hooks are called once more. */
enum { LEAT_STARTING_ = 0, LEAT_RUNNING_ = 1, LEAT_RETIRING_ = 2, LEAT_EXITING_ = 3 };

typedef struct leat_worker_ {
    leat_thread_ thread_; /* first */
    leat_pool *pool_;
    int state_;
    int pins_;     /* calls that will use it again without the lock (L2) */
    leat_ctx ctx_; /* cancelled to retire it */
    struct leat_worker_ *next_retired_;
    struct leat_worker_ *replaces_;
    struct leat_worker_ *joiner_; /* the worker that joins this one */
    bool in_init_;
    int init_err_;
    leat_chan init_done_; /* closed when the init hook has returned */
    bool awaits_init_;    /* it waits for another worker's init hook */
    leat_blocked_ *blocked_;
    int reruns_;
    char pad_[LEAT_LINE_];
    leat_counts_ counts_;
} leat_worker_;

static inline size_t leat_counter_(_Atomic size_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed); /* [X7] */
}

static inline void leat_count_add_(_Atomic size_t *n, size_t more)
{
    atomic_store_explicit(n, leat_counter_(n) + more, memory_order_relaxed); /* [X7] */
}

static inline void leat_high_water_(leat_counts_ *c, size_t depth)
{
    if (depth > leat_counter_(&c->high_water_))
        atomic_store_explicit(&c->high_water_, depth, memory_order_relaxed); /* [X7] */
}

static inline void leat_counts_sum_(leat_counts_ *sum, leat_counts_ *c)
{
    leat_high_water_(sum, leat_counter_(&c->high_water_));
    leat_count_add_(&sum->completed_, leat_counter_(&c->completed_));
    leat_count_add_(&sum->failed_, leat_counter_(&c->failed_));
    leat_count_add_(&sum->taken_, leat_counter_(&c->taken_));
}

static inline void leat_pool_exit_(leat_pool *p)
{
    atomic_fetch_sub_explicit(&p->gate_, LEAT_INSIDE_, memory_order_release); /* [G1] -> [G2] no access follows */
}

/* Counts a call in at the gate, so that a stop waits for it. RETURN VALUES: 0: the call must end with leat_pool_exit_.
 * But a submit that has queued its job must not call it. Its count now stands for the job (L8), and it touches nothing
 * of the pool any more (queue.h, I4). -ESHUTDOWN, -EINVAL: the call is not counted. */
static inline int leat_pool_enter_(leat_pool *p)
{
    if (LEAT_RARELY_(!p)) return -EINVAL;
    int64_t gate = atomic_fetch_add_explicit(&p->gate_, LEAT_INSIDE_, memory_order_acquire); /* [G2] <- [G1] */
    if (LEAT_USUALLY_((gate & (LEAT_STARTED_ | LEAT_SHUT_)) == LEAT_STARTED_)) return 0;
    leat_pool_exit_(p);
    return gate & LEAT_SHUT_ ? -ESHUTDOWN : -EINVAL;
}

static inline leat_worker_ *leat_worker_of_(leat_thread_ *t)
{
    void *whole = t;
    return whole;
}

static inline leat_worker_ *leat_worker_first_(leat_pool *p)
{
    return leat_worker_of_(p->threads_.list_);
}

static inline leat_worker_ *leat_worker_next_(leat_worker_ *w)
{
    return leat_worker_of_(w->thread_.next_);
}

static inline leat_worker_ *leat_worker_self_(leat_pool *p)
{
    return leat_worker_of_(leat_self_(&p->threads_));
}

/* Joins the workers that have exited, unless they are pinned. A thread on which only destructors still run joins
 * none, because two such threads could wait for each other. */
LEAT_COLD_ void leat_pool_reap_(leat_pool *p)
{
    leat_thread_ *exited = NULL;
    leat_worker_ *self = leat_worker_self_(p);
    int n = 0;
    if (self && self->thread_.exited_) return;
    leat_lock_take_(&p->threads_.lock_);
    for (leat_thread_ **at = &p->threads_.list_, *t; (t = *at) != NULL;) {
        leat_worker_ *w = leat_worker_of_(t);
        if (t->exited_ && !w->pins_) { /* L2 */
            leat_counts_sum_(&p->totals_, &w->counts_);
            w->joiner_ = self;
            *at = t->next_;
            t->next_ = exited;
            exited = t;
            n++;
        } else {
            at = &t->next_;
        }
    }
    p->threads_.joining_ += n;
    leat_lock_drop_(&p->threads_.lock_);
    if (!n) return;
    leat_join_(exited);
    leat_lock_take_(&p->threads_.lock_);
    p->threads_.joining_ -= n;
    leat_lock_drop_(&p->threads_.lock_);
}

/* L9: whether a worker other than `self` will take jobs (one that joins `self` will not). *unsure: a worker that seems
 * to be blocked may have got room, and be on its way back. The caller holds the lock, and the lock of the queue. */
static inline bool leat_pool_has_runner_(leat_pool *p, const leat_worker_ *self, bool *unsure)
{
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) {
        if (w == self || w->awaits_init_ || (self && w == self->joiner_)) continue;
        if (w->state_ != LEAT_RUNNING_ && w->state_ != LEAT_STARTING_) continue;
        if (!w->blocked_ || w->blocked_->told_) return true;
        *unsure |= !w->blocked_->case_->link_.linked_;
    }
    return false;
}

/* A blocked worker that is RUNNING or STARTING, or NULL. The caller holds the lock. */
static inline leat_worker_ *leat_pool_first_blocked_(leat_pool *p)
{
    leat_worker_ *w = leat_worker_first_(p);
    while (w && !(w->blocked_ && (w->state_ == LEAT_RUNNING_ || w->state_ == LEAT_STARTING_))) w = leat_worker_next_(w);
    return w;
}

/* The blocked worker that must be told that there will be no room, or NULL. It is now TELLING. *unsure: it cannot be
 * decided yet whether there is one. */
LEAT_COLD_ leat_blocked_ *leat_pool_find_deadlock_(leat_pool *p, bool *unsure)
{
    leat_case c = leat_send_case_(&p->queue_.chan, NULL, sizeof(leat_call_), _Alignof(leat_call_)); /* only polled */
    *unsure = false;
    leat_lock_take_(&p->threads_.lock_);
    leat_lock_take_(&p->queue_.chan.lock_);
    leat_worker_ *w = leat_pool_has_runner_(p, NULL, unsure) ? NULL : leat_pool_first_blocked_(p);
    *unsure = w && (*unsure || leat_poll_case_(&c) != -EAGAIN);
    leat_blocked_ *b = w && !*unsure ? w->blocked_ : NULL;
    if (b) b->told_ = LEAT_TELLING_;
    leat_lock_drop_(&p->queue_.chan.lock_);
    leat_lock_drop_(&p->threads_.lock_);
    return b;
}

/* L9: called after a worker has dropped out that others may count on. Tells a blocked worker if none can make room. */
LEAT_COLD_ void leat_pool_break_deadlock_(leat_pool *p)
{
    bool unsure = false;
    leat_blocked_ *b;
    for (unsigned round = 0; !(b = leat_pool_find_deadlock_(p, &unsure)) && unsure;) leat_backoff_(&round);
    if (!b) return;
    leat_cancel(&b->room_, -EDEADLK);
    leat_lock_take_(&p->threads_.lock_);
    b->told_ = LEAT_TOLD_; /* L10: no access follows */
    leat_lock_drop_(&p->threads_.lock_);
}

/* L7: called by a worker whose receive has failed. True: a resize had retired it, and has taken it back meanwhile. It
 * has a new context now. False: it is EXITING. */
LEAT_COLD_ bool leat_worker_unretire_(leat_worker_ *w)
{
    leat_lock_take_(&w->pool_->threads_.lock_);
    bool back = w->state_ == LEAT_RUNNING_ && leat_ctx_err(&w->ctx_) && !leat_ctx_err(w->ctx_.parent_);
    if (back) w->ctx_ = (leat_ctx){ .parent_ = w->ctx_.parent_ };
    else w->state_ = LEAT_EXITING_;
    leat_lock_drop_(&w->pool_->threads_.lock_);
    return back;
}

static inline void leat_worker_loop_(leat_worker_ *w)
{
    leat_pool *p = w->pool_;
    leat_call_ job;
    do {
        while (leat_recv_ctx(&w->ctx_, &p->queue_, &job) == 0) {
            if (leat_counter_(&w->counts_.taken_) % 16 == 0)
                leat_high_water_(&w->counts_, leat_len(&p->queue_) + 1); /* reads a cache line that submitters write */
            leat_count_add_(&w->counts_.taken_, 1);
            int err = job.fn_(&p->ctx_, job.arg_);
            leat_count_add_(err ? &w->counts_.failed_ : &w->counts_.completed_, 1);
        }
    } while (leat_worker_unretire_(w));
}

/* L6: a worker leaves STARTING without an error. True: it is now RETIRING, as was the worker that it replaces, and
 * the caller must cancel its context. The caller holds the lock. */
static inline bool leat_worker_started_(leat_worker_ *w)
{
    if (w->state_ != LEAT_STARTING_) return false;
    w->state_ = w->replaces_ ? w->replaces_->state_ : LEAT_RUNNING_;
    if (w->replaces_) w->replaces_->state_ = LEAT_EXITING_;
    return w->state_ == LEAT_RETIRING_;
}

/* Called when the init hook of a worker has returned, or when there is none. */
LEAT_COLD_ void leat_worker_init_done_(leat_worker_ *w, int err)
{
    leat_pool *p = w->pool_;
    leat_lock_take_(&p->threads_.lock_);
    w->in_init_ = false;
    w->init_err_ = err;
    if (err && w->state_ == LEAT_STARTING_ && !w->replaces_) p->refused_ = err;
    bool retired = !err && leat_worker_started_(w);
    if (err) w->state_ = LEAT_EXITING_;
    leat_lock_drop_(&p->threads_.lock_);
    if (retired) leat_cancel(&w->ctx_, -ECANCELED);
    leat_close_(&w->init_done_);
    if (err && w->reruns_) leat_cancel(&p->ctx_, err); /* a rerun: perhaps no other worker is left */
    if (err) leat_pool_break_deadlock_(p);
}

/* Runs the init hook, then jobs, then the fini hook. */
static inline void leat_worker_run_(leat_thread_ *t)
{
    leat_worker_ *w = leat_worker_of_(t);
    leat_pool *p = w->pool_;
    int err = w->in_init_ ? p->opts_.worker_init(p->opts_.user, t->id_) : 0;
    leat_worker_init_done_(w, err);
    if (err) return;
    leat_worker_loop_(w);
    if (p->opts_.worker_fini) p->opts_.worker_fini(p->opts_.user, t->id_);
}

static inline void leat_worker_main_(leat_thread_ *t)
{
    leat_pool *p = leat_worker_of_(t)->pool_;
    leat_thread_name_(p->name_, t->id_);
    leat_worker_run_(t);
    leat_wg_done(&p->running_);
}

static inline void leat_worker_on_exit_(leat_thread_ *t);

/* Waits until the init hook of `w` has returned. The caller has pinned `w` for this. The function unpins it. RETURN
 * VALUES: 0, or the error of a context. */
LEAT_COLD_ int leat_pool_await_init_(leat_ctx *ctx, leat_ctx *also, leat_pool *p, leat_worker_ *w)
{
    leat_worker_ *self = leat_worker_self_(p);
    char none;
    leat_case c = leat_case_(&w->init_done_, LEAT_RECEIVES_, &none, 1, 1);
    if (self) {
        leat_lock_take_(&p->threads_.lock_);
        self->awaits_init_ = true;
        leat_lock_drop_(&p->threads_.lock_);
        leat_pool_break_deadlock_(p);
    }
    int err = leat_select_(ctx, also, &c, 1);
    leat_lock_take_(&p->threads_.lock_);
    if (self) self->awaits_init_ = false;
    w->pins_--;
    leat_lock_drop_(&p->threads_.lock_);
    return err < 0 ? err : 0;
}

/* Spawns a worker, which counts in running_. It replaces the worker `replaces`, unless that is NULL. Without an init
 * hook the worker is RUNNING when this returns. With one it is STARTING. But for a replacement the caller waits until
 * the init hook has returned, and gets its error. */
LEAT_COLD_ int leat_pool_spawn_(leat_pool *p, leat_worker_ *replaces)
{
    leat_worker_ *w = leat_zeroed_(1, sizeof *w, 1);
    if (!w) return -ENOMEM;
    bool hook = p->opts_.worker_init != NULL, awaited = hook && replaces;
    w->thread_.main_ = leat_worker_main_;
    w->thread_.on_exit_ = leat_worker_on_exit_;
    w->pool_ = p;
    w->ctx_.parent_ = &p->ctx_;
    w->replaces_ = replaces;
    w->in_init_ = hook;
    w->pins_ = 1 + awaited; /* this function unpins once, leat_pool_await_init_ once */
    leat_wg_add(&p->running_, 1);
    int err = leat_spawn_(&p->threads_, &w->thread_, p->opts_.stack_size);
    if (err) {
        leat_quiet_free_(w);
        leat_wg_done(&p->running_);
        leat_pool_break_deadlock_(p);
        return err;
    }
    if (awaited) leat_pool_await_init_(NULL, NULL, p, w);
    leat_lock_take_(&p->threads_.lock_);
    bool retired = !hook && leat_worker_started_(w); /* it is wanted before its thread has run */
    if (awaited) err = w->init_err_;
    leat_lock_drop_(&p->threads_.lock_);
    if (retired) leat_cancel(&w->ctx_, -ECANCELED);
    leat_lock_take_(&p->threads_.lock_);
    w->pins_--;
    leat_lock_drop_(&p->threads_.lock_);
    return err;
}

/* A job has ended the thread of a worker, and no other could be spawned. The worker goes on, on the same thread. It
 * exits instead if it was retired, or if so many jobs have ended the thread that its stack might not suffice. */
LEAT_COLD_ void leat_worker_rerun_(leat_worker_ *w, int err)
{
    leat_pool *p = w->pool_;
    leat_lock_take_(&p->threads_.lock_);
    bool running = w->state_ == LEAT_RUNNING_;
    bool reruns = running && w->reruns_++ < 20;
    if (!reruns) w->state_ = LEAT_EXITING_;
    w->in_init_ = reruns && p->opts_.worker_init;
    leat_lock_drop_(&p->threads_.lock_);
    w->replaces_ = NULL;
    if (reruns) leat_thread_run_(&w->thread_, leat_worker_run_);
    else if (running) leat_cancel(&p->ctx_, err); /* perhaps no other worker is left */
}

/* A job has ended the thread of a worker, and counts as failed. The worker is replaced, unless it was retired. */
LEAT_COLD_ void leat_worker_replace_(leat_worker_ *w)
{
    leat_pool *p = w->pool_;
    leat_count_add_(&w->counts_.failed_, 1);
    if (p->opts_.worker_fini) p->opts_.worker_fini(p->opts_.user, w->thread_.id_);
    leat_lock_take_(&p->threads_.lock_);
    if (w->state_ == LEAT_RETIRING_) w->state_ = LEAT_EXITING_;
    bool running = w->state_ == LEAT_RUNNING_;
    leat_lock_drop_(&p->threads_.lock_);
    int err = running ? leat_pool_spawn_(p, w) : 0;
    leat_pool_reap_(p); /* or jobs that end their threads would leave ever more of them */
    if (err) leat_worker_rerun_(w, err);
}

/* A job or the init hook has ended the worker's thread. Such an init hook counts as failed. */
static inline void leat_worker_on_exit_(leat_thread_ *t)
{
    leat_worker_ *w = leat_worker_of_(t);
    leat_pool *p = w->pool_;
    if (w->in_init_) leat_worker_init_done_(w, -EINTR);
    else leat_worker_replace_(w);
    leat_wg_done(&p->running_);
}

/* Shuts the gate and closes the queue. The pool accepts no more jobs. */
static inline int leat_pool_shut_(leat_pool *p)
{
    if (!p || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    atomic_fetch_or_explicit(&p->gate_, LEAT_SHUT_, memory_order_release);                              /* [G1] -> [G2] */
    leat_close_(&p->queue_.chan);
    return 0;
}

/* The same for a caller that then waits for the pool's end, which a thread of the pool must not do: -EDEADLK. */
static inline int leat_pool_shut_to_wait_(leat_ctx *ctx, leat_pool *p)
{
    if (p && leat_self_(&p->threads_)) return leat_unless_done_(ctx, NULL, -EDEADLK);
    return leat_pool_shut_(p);
}

/* Takes a job that is left in the closed queue, and counts it as dropped. Both happen under the lock. So no stop can
 * miss the job (L8), or free the queue meanwhile. */
LEAT_COLD_ bool leat_pool_take_left_(leat_pool *p, leat_call_ *job)
{
    leat_lock_take_(&p->threads_.lock_);
    bool any = leat_try_recv(&p->queue_, job) == 0;
    p->dropped_ += any;
    leat_lock_drop_(&p->threads_.lock_);
    return any;
}

/* L8: whether a shut pool may be ended, by an abort (aborts: 1) or a stop (0). While an abort is under way, a stop
 * leaves the end to it. *left: the number of jobs in the queue. */
LEAT_COLD_ bool leat_pool_is_idle_(leat_pool *p, int aborts, size_t *left)
{
    leat_lock_take_(&p->threads_.lock_);
    int64_t calls = atomic_load_explicit(&p->gate_, memory_order_acquire) / LEAT_INSIDE_; /* [G2] <- [G1] */
    *left = leat_len(&p->queue_);
    bool idle = !p->threads_.list_ && !p->threads_.joining_ && (aborts || !p->aborting_);
    idle = idle && (size_t)calls == leat_counter_(&p->totals_.taken_) + p->dropped_ + *left;
    leat_lock_drop_(&p->threads_.lock_);
    return idle;
}

static inline void leat_pool_free_queue_(leat_pool *p)
{
    leat_lock_take_(&p->threads_.lock_); /* leat_pool_stats and leat_pool_take_left_ look at the queue under it */
    leat_quiet_free_(p->queue_.chan.slots_);
    p->queue_.chan.slots_ = NULL;
    leat_lock_drop_(&p->threads_.lock_);
}

/* Ends a shut pool whose workers exit. It joins them and frees the queue. RETURN VALUES: 0: this call has ended the
 * pool. -EALREADY: another call has. -EAGAIN: the pool may not be ended yet. Or the error of ctx. Or the error of the
 * pool's context, if jobs are left. */
LEAT_COLD_ int leat_pool_end_(leat_ctx *ctx, leat_pool *p, int aborts)
{
    size_t left;
    int open = LEAT_OPEN_;
    if (atomic_load_explicit(&p->end_, memory_order_acquire) == LEAT_OVER_) /* [G2] <- [G1] */
        return leat_unless_done_(ctx, NULL, -EALREADY);
    leat_pool_reap_(p);
    int err = leat_unless_done_(ctx, NULL, leat_pool_is_idle_(p, aborts, &left) ? 0 : -EAGAIN);
    if (!err && left) err = leat_unless_done_(&p->ctx_, NULL, -EAGAIN);
    if (err) return err;
    if (!atomic_compare_exchange_strong_explicit(&p->end_, &open, LEAT_ENDING_, memory_order_relaxed, /* [X7] */
                                                 memory_order_relaxed))
        return -EAGAIN; /* another caller ends it. The next look finds it over */
    leat_pool_free_queue_(p);
    leat_cancel(&p->ctx_, -ECANCELED);
    atomic_store_explicit(&p->end_, LEAT_OVER_, memory_order_release); /* [G1] -> [G2] no access follows */
    return 0;
}

/* Waits until a shut pool may be ended, and ends it. First it waits for the last job (running_). Then it polls, because
 * calls that the close has woken may still be inside, and threads may not have exited yet. */
LEAT_COLD_ int leat_pool_finish_(leat_ctx *ctx, leat_pool *p, int aborts)
{
    for (unsigned round = 0;; leat_backoff_(&round)) {
        int err = leat_wg_wait_ctx(ctx, &p->running_);
        if (!err) err = leat_pool_end_(ctx, p, aborts);
        if (err != -EAGAIN) return err;
    }
}

static inline int leat_pool_try_finish_(leat_pool *p, int aborts)
{
    int err = leat_try_wg_wait(&p->running_);
    return err ? err : leat_pool_end_(NULL, p, aborts);
}

/* A STARTING worker that replaces no other, or NULL. The caller holds the lock. */
static inline leat_worker_ *leat_pool_starting_(leat_pool *p)
{
    leat_worker_ *w = leat_worker_first_(p);
    while (w && !(w->state_ == LEAT_STARTING_ && !w->replaces_)) w = leat_worker_next_(w);
    return w;
}

/* The error of an init hook that no call has returned yet, or 0. -EAGAIN while an init hook runs. */
LEAT_COLD_ int leat_pool_try_inits_(leat_pool *p)
{
    leat_lock_take_(&p->threads_.lock_);
    bool starting = leat_pool_starting_(p) != NULL;
    int err = starting ? -EAGAIN : p->refused_;
    if (!starting) p->refused_ = 0;
    leat_lock_drop_(&p->threads_.lock_);
    return err;
}

/* Waits until no init hook runs. RETURN VALUES: 0, or the error of a hook. Or the error of a context. Then the next
 * call returns the hook's error. */
LEAT_COLD_ int leat_pool_await_inits_(leat_ctx *ctx, leat_ctx *also, leat_pool *p)
{
    for (leat_worker_ *w;;) {
        leat_lock_take_(&p->threads_.lock_);
        w = leat_pool_starting_(p);
        if (w) w->pins_++;
        leat_lock_drop_(&p->threads_.lock_);
        int err = w ? leat_pool_await_init_(ctx, also, p, w) : leat_unless_done_(ctx, also, 0);
        if (err) return err;
        if (!w) break;
    }
    return leat_pool_try_inits_(p);
}

/* Adds n workers. It waits for the init hook of each before it spawns the next. */
LEAT_COLD_ int leat_pool_grow_(leat_ctx *ctx, leat_ctx *also, leat_pool *p, int n)
{
    int err = 0;
    while (n-- > 0 && !err)
        if ((err = leat_pool_spawn_(p, NULL)) == 0) err = leat_pool_await_inits_(ctx, also, p);
    return err;
}

/* Starts a pool whose jobs run under a context of its own, below `ctx` (or NULL). `opts` may be NULL. It is copied,
 * but what its `user` points to is not. 0. Or an error, with everything undone: -EINVAL (a negative number), -ENOMEM,
 * -EAGAIN (no thread could be spawned), or what a worker_init returned. When `ctx` is done, the workers finish their
 * jobs and take no more, and submit returns the error of `ctx`. The caller must still call leat_pool_stop or _abort. */
LEAT_COLD_ int leat_pool_start(leat_pool *p, leat_ctx *ctx, const leat_pool_opts *opts)
{
    leat_pool_opts o = { .workers = 0 };
    if (opts) o = *opts;
    if (!p || o.workers < 0 || o.queue < 0 || o.queue > INT_MAX / 2 || o.workers > INT_MAX / 2) return -EINVAL;
    if (!o.workers) o.workers = leat_cpus();
    if (!o.queue) o.queue = 2 * o.workers;
    *p = (leat_pool){ .ctx_ = LEAT_CTX(ctx), .resizing_ = LEAT_SEM(1), .opts_ = o, .queue_cap_ = (size_t)o.queue };
    p->threads_.inherit_signals_ = o.inherit_signals;
    int saved = errno;
    snprintf(p->name_, sizeof p->name_, "%s", o.name ? o.name : "leat");
    errno = saved;
    int err = leat_make(&p->queue_, (size_t)o.queue);
    if (err) return err;
    atomic_store_explicit(&p->gate_, LEAT_STARTED_, memory_order_relaxed); /* [X7] no other thread uses the pool yet */
    if ((err = leat_pool_grow_(NULL, NULL, p, o.workers)) == 0) return 0;
    leat_pool_shut_(p);
    leat_wg_wait(&p->running_); /* a hook may have submitted jobs. They run if there is a worker */
    for (leat_call_ job = { NULL, NULL }; leat_pool_take_left_(p, &job);) {}
    leat_pool_finish_(NULL, p, 1);
    return err;
}

/* A worker has found the queue full. From now on it is blocked, if it may be. RETURN VALUES: 0: it is blocked.
 * -EDEADLK: all other workers are blocked. -EAGAIN: this cannot be decided yet. A worker that is really blocked is
 * linked to a queue that is full. A worker that has just got room, and is on its way back, is not. */
LEAT_COLD_ int leat_worker_block_(leat_worker_ *self, leat_blocked_ *b)
{
    leat_pool *p = self->pool_;
    bool unsure = false;
    leat_lock_take_(&p->threads_.lock_);
    leat_lock_take_(&b->case_->chan_->lock_);
    bool runner = leat_pool_has_runner_(p, self, &unsure);
    if (!runner) unsure |= leat_poll_case_(b->case_) != -EAGAIN;
    leat_lock_drop_(&b->case_->chan_->lock_);
    if (runner) {
        self->blocked_ = b;
        self->pins_ += self->thread_.exited_; /* a destructor submits. A worker that joined it would make no room */
    }
    leat_lock_drop_(&p->threads_.lock_);
    return runner ? 0 : unsure ? -EAGAIN : -EDEADLK;
}

/* The worker is no longer blocked. True: it was told that there will be no room. */
LEAT_COLD_ bool leat_worker_unblock_(leat_worker_ *self, leat_blocked_ *b)
{
    leat_lock_ *lock = &self->pool_->threads_.lock_;
    leat_lock_take_(lock);
    self->pins_ -= self->thread_.exited_;
    self->blocked_ = NULL;
    int told = b->told_;
    leat_lock_drop_(lock);
    for (unsigned round = 0; told == LEAT_TELLING_; leat_backoff_(&round)) { /* L10 */
        leat_lock_take_(lock);
        told = b->told_;
        leat_lock_drop_(lock);
    }
    return told;
}

/* A job or a hook, on the worker's thread, waits for room (L9). */
LEAT_COLD_ int leat_worker_wait_(leat_ctx *ctx, leat_worker_ *self, leat_case *c)
{
    leat_ctx *end = &self->pool_->ctx_;
    leat_blocked_ b = { .case_ = c, .room_ = LEAT_CTX(end) };
    int r;
    for (unsigned round = 0; (r = leat_worker_block_(self, &b)) == -EAGAIN; leat_backoff_(&round))
        if ((r = leat_poll_(ctx, end, c, 1)) != -EAGAIN && r != LEAT_IN_FLIGHT_) return r;
    if (!r) {
        r = leat_select_(ctx, &b.room_, c, 1);
        if (leat_worker_unblock_(self, &b) && r < 0) r = -EDEADLK;
    }
    return r < 0 ? leat_unless_done_(ctx, end, r) : r;
}

/* The slow path of a submit: the queue is full. A caller that gets no room soon notes it for queue_high, then parks. */
LEAT_COLD_ int leat_submit_wait_(leat_ctx *ctx, leat_pool *p, const leat_call_ *job)
{
    leat_case c = leat_send_case_(&p->queue_.chan, job, sizeof *job, _Alignof(leat_call_));
    leat_worker_ *self = leat_worker_self_(p);
    int r = leat_wait_first_(ctx, &p->ctx_, &c);
    if (r != -EAGAIN) return r;
    if (leat_counter_(&p->totals_.high_water_) < p->queue_cap_) {
        leat_lock_take_(&p->threads_.lock_);
        leat_high_water_(&p->totals_, p->queue_cap_);
        leat_lock_drop_(&p->threads_.lock_);
    }
    r = self ? leat_worker_wait_(ctx, self, &c) : leat_select_(ctx, &p->ctx_, &c, 1);
    return r < 0 ? r : c.err;
}

LEAT_COLD_ int leat_pool_try_again_(leat_pool *p, const leat_call_ *job)
{
    leat_case c = leat_send_case_(&p->queue_.chan, job, sizeof *job, _Alignof(leat_call_));
    int r = leat_try_select_(&p->ctx_, &c, 1);
    if (r == -EAGAIN) return leat_unless_done_(&p->ctx_, NULL, r);
    return r < 0 ? r : c.err;
}

LEAT_COLD_ int leat_pool_refuse_(leat_pool *p, int err)
{
    leat_pool_exit_(p);
    return err == -EPIPE ? -ESHUTDOWN : err;
}

/* Queues a job, which calls fn(ctx, arg) on one of the workers. The caller waits while the queue is full.
 * 0: accepted. The job will run once, or leat_pool_abort hands it to its `dropped`. -ESHUTDOWN: the pool is being
 * stopped. -ECANCELED, -ETIMEDOUT: the pool's context is done. -EDEADLK: the caller is a thread of the pool (a job, a
 * hook), and all workers that are left wait for room. -EINVAL. Any thread may call it, also jobs. It allocates
 * nothing.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED, -ETIMEDOUT also when `ctx` is done. */
LEAT_HOT_ int leat_submit_ctx(leat_ctx *ctx, leat_pool *p, leat_task *fn, void *arg)
{
    leat_call_ job = { fn, arg };
    if (LEAT_RARELY_(!fn)) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (LEAT_RARELY_(err)) return leat_unless_done_(ctx, NULL, err);
    err = leat_move_(ctx, &p->ctx_, &p->queue_.chan, LEAT_SENDS_, &job, sizeof job, _Alignof(leat_call_));
    if (LEAT_RARELY_(err == -EAGAIN)) err = leat_submit_wait_(ctx, p, &job);
    return LEAT_USUALLY_(!err) ? 0 : leat_pool_refuse_(p, err);
}

LEAT_HOT_ int leat_submit(leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_ctx(NULL, p, fn, arg);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit(leat_pool *p, leat_task *fn, void *arg)
{
    leat_call_ job = { fn, arg };
    if (LEAT_RARELY_(!fn)) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (LEAT_RARELY_(err)) return err;
    err = leat_move_(NULL, &p->ctx_, &p->queue_.chan, LEAT_SENDS_, &job, sizeof job, _Alignof(leat_call_));
    if (LEAT_RARELY_(err == -EAGAIN)) err = leat_pool_try_again_(p, &job);
    return LEAT_USUALLY_(!err) ? 0 : leat_pool_refuse_(p, err);
}

/* Accepts no more jobs, waits until the accepted jobs have run, joins the workers, and frees everything.
 * 0: done. -ETIMEDOUT, -ECANCELED: the pool's own context is done and jobs are left. The pool is still valid. The
 * caller must stop it again, or abort it. -EALREADY: an earlier call has stopped the pool. -EDEADLK: the caller is a
 * thread of the pool (a job, a hook, the destructor of a pthread key), and nothing has changed. -EINVAL: the pool was
 * never started. Any thread may call it, also several at the same time.
 * try: -EAGAIN instead of waiting, also on a thread of the pool. Then no more jobs are accepted, but another thread
 * must stop the pool. ctx: the same errors when `ctx` (or NULL) is done first. */
LEAT_COLD_ int leat_pool_stop_ctx(leat_ctx *ctx, leat_pool *p)
{
    int err = leat_pool_shut_to_wait_(ctx, p);
    return err ? err : leat_pool_finish_(ctx, p, 0);
}

LEAT_HOT_ int leat_pool_stop(leat_pool *p)
{
    return leat_pool_stop_ctx(NULL, p);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_stop(leat_pool *p)
{
    int err = leat_pool_shut_(p);
    return err ? err : leat_pool_try_finish_(p, 0);
}

typedef void leat_hand_back_(leat_task *fn, void *arg, void *user);

static inline void leat_pool_aborts_(leat_pool *p, int more)
{
    leat_lock_take_(&p->threads_.lock_);
    p->aborting_ += more;
    leat_lock_drop_(&p->threads_.lock_);
}

/* Cancels a shut pool, and hands back the jobs that no worker has taken. */
LEAT_COLD_ void leat_pool_hand_back_(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    leat_pool_aborts_(p, 1);
    leat_cancel(&p->ctx_, -ECANCELED);
    for (leat_call_ job; leat_pool_take_left_(p, &job);)
        if (dropped) dropped(job.fn_, job.arg_, user);
}

/* What an abort returns. After an abort that gave up, a stop may end the pool. */
static inline int leat_pool_aborted_(leat_pool *p, int err)
{
    if (err && err != -EALREADY) leat_pool_aborts_(p, -1); /* else the pool may be gone */
    return err;
}

/* Accepts no more jobs, and cancels the pool's context. Then it hands every job that was accepted but not started to
 * dropped(fn, arg, user), at once, each job once, in order, on the calling thread. With NULL these jobs are only
 * counted. Then it waits until the running jobs have returned (a job should check its context), joins the workers,
 * and frees everything.
 * 0, or -EALREADY, -EDEADLK, -EINVAL as leat_pool_stop. A stop that waits meanwhile gets -EALREADY, or -ECANCELED.
 * try: -EAGAIN instead of waiting for the running jobs. ctx: -ECANCELED, -ETIMEDOUT when `ctx` (or NULL) is done.
 * After either error the pool is still valid, and all jobs have been handed back. The caller must abort again, or
 * stop the pool. */
LEAT_COLD_ int leat_pool_abort_ctx(leat_ctx *ctx, leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    int err = leat_pool_shut_to_wait_(ctx, p);
    if (err) return err;
    leat_pool_hand_back_(p, dropped, user);
    return leat_pool_aborted_(p, leat_pool_finish_(ctx, p, 1));
}

LEAT_HOT_ int leat_pool_abort(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    return leat_pool_abort_ctx(NULL, p, dropped, user);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_abort(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    int err = leat_pool_shut_(p);
    if (err) return err;
    leat_pool_hand_back_(p, dropped, user);
    return leat_pool_aborted_(p, leat_pool_try_finish_(p, 1));
}

/* L6: whether the worker is wanted. */
static inline bool leat_worker_is_wanted_(const leat_worker_ *w)
{
    return w->state_ == LEAT_RUNNING_ || (w->state_ == LEAT_STARTING_ && !w->replaces_);
}

/* A resize retires first the workers that are STARTING, then those that are blocked, because the other workers make
 * room. */
static inline int leat_worker_rank_(const leat_worker_ *w)
{
    return w->state_ == LEAT_STARTING_ ? 0 : w->blocked_ ? 1 : 2;
}

/* Retires n workers, pins them, and chains them. The caller holds the lock. */
static inline leat_worker_ *leat_pool_retire_some_(leat_pool *p, int n)
{
    leat_worker_ *retired = NULL;
    for (int rank = 0; rank < 3; rank++)
        for (leat_worker_ *w = leat_worker_first_(p); w && n > 0; w = leat_worker_next_(w)) {
            if (!leat_worker_is_wanted_(w) || leat_worker_rank_(w) > rank) continue;
            w->state_ = LEAT_RETIRING_;
            w->pins_++;
            w->next_retired_ = retired;
            retired = w;
            n--;
        }
    return retired;
}

/* Takes up to n RETIRING workers back, and returns how many. The caller holds the lock. */
static inline int leat_pool_unretire_some_(leat_pool *p, int n)
{
    int back = 0;
    for (leat_worker_ *w = leat_worker_first_(p); w && back < n; w = leat_worker_next_(w)) {
        if (w->state_ != LEAT_RETIRING_) continue;
        w->state_ = w->in_init_ ? LEAT_STARTING_ : LEAT_RUNNING_;
        back++;
    }
    return back;
}

/* Cancels the contexts of retired workers, and unpins the workers. */
LEAT_COLD_ void leat_pool_cancel_retired_(leat_pool *p, leat_worker_ *retired)
{
    for (leat_worker_ *w = retired; w; w = w->next_retired_) leat_cancel(&w->ctx_, -ECANCELED); /* L3 */
    leat_lock_take_(&p->threads_.lock_);
    for (leat_worker_ *w = retired; w; w = w->next_retired_) w->pins_--;
    leat_lock_drop_(&p->threads_.lock_);
    leat_pool_break_deadlock_(p);
}

/* Retires workers, or takes some back, until n are wanted. Returns how many are missing. *err: if some are missing,
 * the error of an init hook that no call has returned yet. The caller holds resizing_. */
LEAT_COLD_ int leat_pool_adjust_(leat_pool *p, int n, int *err)
{
    int missing = n;
    leat_lock_take_(&p->threads_.lock_);
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) missing -= leat_worker_is_wanted_(w);
    leat_worker_ *retired = leat_pool_retire_some_(p, -missing);
    if (missing > 0) missing -= leat_pool_unretire_some_(p, missing);
    *err = missing > 0 ? p->refused_ : 0;
    p->refused_ = 0;
    leat_lock_drop_(&p->threads_.lock_);
    if (retired) leat_pool_cancel_retired_(p, retired);
    return retired ? 0 : missing;
}

/* Changes the number of workers to n >= 1, under load. A surplus worker finishes the job that it runs. Until then a
 * call for more workers first takes such a worker back.
 * 0. -EINVAL. -ESHUTDOWN. -ECANCELED, -ETIMEDOUT: the pool's context is done. -EDEADLK: the caller is a worker_init.
 * -EAGAIN, -ENOMEM, or what a worker_init returned: fewer workers were added than n asks for. Any thread may call it.
 * try: -EAGAIN also if another call resizes the pool, or if a worker_init has not returned. ctx: -ECANCELED,
 * -ETIMEDOUT also when `ctx` (or NULL) is done. After either error, workers whose worker_init was called still start,
 * and count with the next call. That call waits for them, or returns what their worker_init returned. */
LEAT_COLD_ int leat_pool_resize_ctx(leat_ctx *ctx, leat_pool *p, int n)
{
    if (n < 1) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (err) return leat_unless_done_(ctx, NULL, err);
    leat_worker_ *self = leat_worker_self_(p);
    if (self && self->in_init_) err = leat_unless_done_(ctx, &p->ctx_, -EDEADLK);
    else err = leat_acquire_of_(ctx, &p->ctx_, &p->resizing_, 1);
    if (!err) {
        int missing = leat_pool_adjust_(p, n, &err);
        if (!err) err = leat_pool_await_inits_(ctx, &p->ctx_, p);
        if (!err) err = leat_pool_grow_(ctx, &p->ctx_, p, missing);
        if (leat_release(&p->resizing_, 1)) LEAT_MISUSE_("released once");
        leat_pool_reap_(p);
    }
    leat_pool_exit_(p);
    return err;
}

LEAT_HOT_ int leat_pool_resize(leat_pool *p, int n)
{
    return leat_pool_resize_ctx(NULL, p, n);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_resize(leat_pool *p, int n)
{
    if (n < 1) return -EINVAL;
    int err = leat_pool_enter_(p);
    if (err) return err;
    bool mine = leat_try_acquire(&p->resizing_, 1) == 0;
    err = leat_unless_done_(&p->ctx_, NULL, mine ? 0 : -EAGAIN);
    if (!err) {
        int missing = leat_pool_adjust_(p, n, &err);
        while (missing-- > 0 && !err) err = leat_pool_spawn_(p, NULL);
        if (!err) err = leat_pool_try_inits_(p);
    }
    if (mine && leat_release(&p->resizing_, 1)) LEAT_MISUSE_("released once");
    if (mine) leat_pool_reap_(p);
    leat_pool_exit_(p);
    return err;
}

/* Fills *st. 0. -EINVAL: the pool was never started. Any thread may call it, also after stop. */
LEAT_COLD_ int leat_pool_stats(leat_pool *p, leat_stats *st)
{
    if (!p || !st || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    leat_counts_ sum = { .taken_ = 0 };
    *st = (leat_stats){ .queue_cap = p->queue_cap_ };
    leat_lock_take_(&p->threads_.lock_);
    st->queued = leat_len(&p->queue_);
    leat_high_water_(&p->totals_, st->queued);
    leat_counts_sum_(&sum, &p->totals_);
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) {
        leat_counts_sum_(&sum, &w->counts_);
        st->workers += w->state_ == LEAT_RUNNING_;
    }
    st->dropped = p->dropped_;
    leat_lock_drop_(&p->threads_.lock_);
    size_t taken = leat_counter_(&sum.taken_), high = leat_counter_(&sum.high_water_);
    st->completed = leat_counter_(&sum.completed_);
    st->failed = leat_counter_(&sum.failed_);
    st->queue_high = high < st->queue_cap ? high : st->queue_cap;
    st->busy = taken > st->completed + st->failed ? taken - st->completed - st->failed : 0;
    st->submitted = taken + st->queued + st->dropped;
    return 0;
}

/* ==== 5. Signals ==============================================================================
 *
 * A catch is what one call registers: its context, the actions that the program had, and a thread. The thread cancels
 * the context, because a signal handler cannot. On the first signal the handler writes the signal into the catch,
 * wakes the thread, and gives all actions back. So the second signal meets the program's own action, with its
 * handler, flags and mask. In two cases the handler sends its signal again, when the program's action is back. In the
 * first, the catch has another signal already. In the second, the handler runs in a forked child, which has no such
 * thread.
 *
 * There are two catches. The gate says which one is in use, and counts the handlers that have entered. A call that
 * changes the catch waits until those handlers have left. Then no thread uses the old catch any more. */

typedef struct leat_caught_ {
    int sig_;
    struct sigaction was_;
} leat_caught_;

typedef struct leat_catch_ {
    leat_ctx *ctx_;
    pthread_t thread_;
    leat_bell_ bell_; /* its word: (the signal that arrived, or 0) | LEAT_ENDS_ */
    size_t n_;
    leat_caught_ caught_[];
} leat_catch_;

enum { LEAT_ENDS_ = 0x100, LEAT_IN_HANDLER_ = 4 };

typedef struct leat_signals_ {
    _Atomic int holder_;    /* a lock: the process that holds it, or 0. A child that was forked meanwhile takes it over */
    _Atomic int pid_;       /* the process that has the catch's thread */
    _Atomic uint32_t gate_; /* (0: no catch, 1: the first, 2: the second) | handlers that have entered * 4 */
    leat_catch_ *catches_[2];
} leat_signals_;

/* A signal handler gets no argument from its installer, so these belong to the process. */
LEAT_ONE_ leat_signals_ leat_signals_here_;
LEAT_ONE_ void leat_on_signal_(int, void *, void *);
LEAT_ONE_ void *leat_signal_thread_(void *);

static inline leat_catch_ *leat_catch_of_(uint32_t gate)
{
    return gate & 3 ? leat_signals_here_.catches_[(gate & 3) - 1] : NULL;
}

static inline void (*leat_our_handler_(void))(int)
{
    return (void (*)(int))(void (*)(void))leat_on_signal_;
}

static inline bool leat_is_ours_(int sig, struct sigaction *now)
{
    return sigaction(sig, NULL, now) == 0 && now->sa_handler == leat_our_handler_();
}

/* Gives a signal back its action, unless the program has replaced leat_on_signal_ itself. */
static inline void leat_give_back_(const leat_caught_ *c)
{
    struct sigaction now;
    if (leat_is_ours_(c->sig_, &now)) sigaction(c->sig_, &c->was_, NULL);
}

LEAT_ONE_ void leat_on_signal_(int sig, void *info, void *context)
{
    leat_signals_ *s = &leat_signals_here_;
    int saved = errno;
    bool here = atomic_load_explicit(&s->pid_, memory_order_acquire) == getpid(); /* [G8] <- [G7] not in a forked child */
    uint32_t gate = here ? atomic_fetch_add_explicit(&s->gate_, LEAT_IN_HANDLER_, memory_order_acquire) /* [G6] <- [G5] */
                         : atomic_load_explicit(&s->gate_, memory_order_acquire);                       /* [G8] <- [G7] */
    leat_catch_ *w = leat_catch_of_(gate);
    uint32_t none = 0;
    bool first = here && w &&
                 atomic_compare_exchange_strong_explicit(leat_bell_word_(&w->bell_), &none, (uint32_t)sig,
                                                         memory_order_release, /* [G3] -> [G4] */
                                                         memory_order_relaxed);
    void (*was)(int) = SIG_DFL;
    struct sigaction now;
    (void)context;
    for (size_t i = 0; w && i < w->n_; i++) {
        leat_give_back_(&w->caught_[i]);
        if (w->caught_[i].sig_ == sig) was = w->caught_[i].was_.sa_handler;
    }
    if (first) leat_bell_ring_(&w->bell_);
    /* The signal is sent again to the previous action. It is also sent again to leat_on_signal_, if a call is
     * installing that for a catch that has got its signal meanwhile. A handler of the program that has replaced
     * leat_on_signal_, and calls it, would be called again and again. */
    else if (leat_is_ours_(sig, &now) || now.sa_handler == was) leat_send_again_(sig, info);
    if (here) atomic_fetch_sub_explicit(&s->gate_, LEAT_IN_HANDLER_, memory_order_release); /* [G5] -> [G6] */
    errno = saved;
}

LEAT_ONE_ void *leat_signal_thread_(void *arg)
{
    leat_catch_ *w = arg;
    leat_os_name_("leat-signals");
    for (bool told = false;;) {
        uint32_t seen = atomic_load_explicit(leat_bell_word_(&w->bell_), memory_order_acquire); /* [G4] <- [G3] */
        if (!told && seen & (LEAT_ENDS_ - 1)) {
            told = true;
            leat_cancel(w->ctx_, (int)(seen & (LEAT_ENDS_ - 1)));
        } else if (seen & LEAT_ENDS_) {
            return NULL;
        } else {
            leat_bell_wait_(&w->bell_, seen);
        }
    }
}

/* Notes what each signal does now, or did before `old` caught it, then spawns the thread. RETURN VALUES: 0. Or an
 * error, and nothing has changed. A signal that is ignored is left alone. To learn whether an action may be set, the
 * function sets the action to what it is. */
LEAT_COLD_ int leat_catch_begin_(leat_catch_ *w, const leat_catch_ *old)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_; i++) {
        leat_caught_ c = { .sig_ = w->caught_[i].sig_ };
        if (leat_is_ours_(c.sig_, &c.was_)) {
            memset(&c.was_, 0, sizeof c.was_);
            for (size_t k = 0; old && k < old->n_; k++)
                if (old->caught_[k].sig_ == c.sig_) c.was_ = old->caught_[k].was_;
        } else if (sigaction(c.sig_, &c.was_, NULL)) {
            return -EINVAL;
        }
        if (c.was_.sa_handler != SIG_IGN) w->caught_[n++] = c;
    }
    w->n_ = n;
    int err = leat_bell_make_(&w->bell_);
    if (err) return err;
    leat_os_mask_t_ mask = leat_os_mask_workers_();
    err = -pthread_create(&w->thread_, NULL, leat_signal_thread_, w);
    leat_os_mask_(mask);
    if (err) leat_bell_free_(&w->bell_);
    return err;
}

LEAT_COLD_ void leat_catch_end_(leat_catch_ *w)
{
    atomic_fetch_or_explicit(leat_bell_word_(&w->bell_), LEAT_ENDS_, memory_order_relaxed); /* [X7] joined below */
    leat_bell_ring_(&w->bell_);
    pthread_join(w->thread_, NULL);
    leat_bell_free_(&w->bell_);
}

/* Puts `w`, or none, in the place of the present catch. */
LEAT_COLD_ int leat_catch_put_(leat_catch_ *w)
{
    leat_signals_ *s = &leat_signals_here_;
    int me = getpid();
    for (unsigned round = 0;; leat_backoff_(&round)) {
        int holder = atomic_load_explicit(&s->holder_, memory_order_relaxed); /* [X7] */
        if (holder != me &&
            atomic_compare_exchange_strong_explicit(&s->holder_, &holder, me, memory_order_acquire, /* [G6] <- [G5] */
                                                    memory_order_relaxed))
            break;
    }
    bool here = atomic_load_explicit(&s->pid_, memory_order_relaxed) == me; /* [X7] false: the catch is the parent's */
    uint32_t was = atomic_load_explicit(&s->gate_, memory_order_relaxed) & 3, is = !w ? 0 : was == 1 ? 2 : 1; /* [X7] */
    leat_catch_ *old = leat_catch_of_(was);
    int err = w ? leat_catch_begin_(w, old) : 0;
    if (!err) {
        for (size_t i = 0; !w && old && i < old->n_; i++) leat_give_back_(&old->caught_[i]);
        if (is) s->catches_[is - 1] = w;
        if (here) atomic_fetch_xor_explicit(&s->gate_, was ^ is, memory_order_release); /* [G5] -> [G6] */
        else atomic_store_explicit(&s->gate_, is, memory_order_release); /* [G7] -> [G8] drops the parent's handlers */
        atomic_store_explicit(&s->pid_, me, memory_order_release);       /* [G7] -> [G8] */
        for (unsigned round = 0;; leat_backoff_(&round))
            if (atomic_load_explicit(&s->gate_, memory_order_acquire) < LEAT_IN_HANDLER_) break; /* [G6] <- [G5] */
        for (size_t i = 0; w && i < w->n_; i++) {
            struct sigaction act = { .sa_flags = LEAT_SA_ | (w->caught_[i].was_.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT)) };
            act.sa_handler = leat_our_handler_();
            memset(&act.sa_mask, 0xFF, sizeof act.sa_mask); /* the program's handler must not longjmp out of it */
            sigaction(w->caught_[i].sig_, &act, NULL);
        }
        for (size_t i = 0; w && old && i < old->n_; i++) {
            bool still = false;
            for (size_t k = 0; k < w->n_; k++) still |= w->caught_[k].sig_ == old->caught_[i].sig_;
            if (!still) leat_give_back_(&old->caught_[i]);
        }
        if (here && old) leat_catch_end_(old);
        free(old);
    }
    atomic_store_explicit(&s->holder_, 0, memory_order_release); /* [G5] -> [G6] */
    return err;
}

/* leat_cancel_on_signals(ctx, SIGTERM, SIGINT, 0): the first of these signals cancels `ctx`, with the signal's number
 * as cause, for a graceful end. The second signal does what it would have done without the call. It ends the process,
 * or calls the handler that the program had. A signal that was ignored (by nohup) stays ignored. The list ends with
 * 0.
 * A call replaces the previous one, from whichever file of the program. A call with ctx = NULL only takes the
 * previous one back. A signal that is no longer caught gets back the action that it had. If the program has meanwhile
 * put its own handler in place of leat_on_signal_, that handler stays. When the call returns, no thread uses the
 * previous call's `ctx` any more. After a call with ctx = NULL, neither a thread nor a descriptor is left, and a
 * plug-in may be unloaded. Otherwise `ctx` must live as long as the process.
 * The handler wakes a thread that this file has spawned, and that thread cancels `ctx`. In the child of a fork each
 * signal does what it would have done without the call. A signal handler must not call this function.
 * 0. Or an error, with nothing changed: -EINVAL (no signal, or one that cannot be caught), -ENOMEM, -EAGAIN (no
 * thread could be spawned). Without futex also the error of pipe. */
LEAT_COLD_ int leat_cancel_on_signals(leat_ctx *ctx, ...)
{
    size_t n = 0, known = 0;
    int saved = errno, cancel, err = 0;
    struct sigaction now;
    va_list ap;
    va_start(ap, ctx);
    for (int sig; (sig = va_arg(ap, int)) != 0; n++)
        known += sigaction(sig, NULL, &now) == 0 && sig != SIGKILL && sig != SIGSTOP;
    va_end(ap);
    if (!n || known < n) err = -EINVAL;
    leat_catch_ *w = ctx && !err ? leat_zeroed_(1, sizeof *w + n * sizeof *w->caught_, 1) : NULL;
    if (ctx && !err && !w) err = -ENOMEM;
    if (w) {
        w->ctx_ = ctx;
        va_start(ap, ctx);
        while (w->n_ < n) w->caught_[w->n_++].sig_ = va_arg(ap, int);
        va_end(ap);
    }
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the calls below must not end the calling thread */
    if (!err && (err = leat_catch_put_(w)) != 0) free(w);
    pthread_setcancelstate(cancel, &cancel);
    errno = saved;
    return err;
}

LEAT_OWN_STYLE_END_
#endif
