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
 *     -E2BIG        the value of a job is larger than the pool's value_size
 * Needs queue.h and semaphore.h.
 *
 * WHAT IS PROMISED. A task or job that was accepted (0) runs once, to its end. Only leat_pool_abort may instead pass a
 * job of the pool to the caller's function `dropped`, once. A thread that a job ends (pthread_exit, cancellation; on
 * Windows ExitThread, _endthreadex) is replaced, and the job counts as failed with -EINTR. On Windows the hook
 * worker_fini then runs on another thread. In C++ an exception that leaves a task or job ends that alone, which counts as
 * failed with -EFAULT (see leat_group_rethrow). Hooks, and `dropped`, must not throw. Threads are joined, never detached.
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
 *     [G9]    a thread's guard is over       -> [G10]   what the guard did
 *     [G10]   a join sees it                 <- [G9]
 *     [J1]    a job's state changes          -> [J2]    its lane and its thread, what it did, its result
 *     [J2]    a call reads it                <- [J1]
 *     [W3]    a worker runs out of jobs      -> [W4]    that its jobs are counted
 *     [W4]    leat_pool_wait marks it        <- [W3]
 *     [W5]    a job that has returned counts -> [W6]    what it did, what it submitted
 *     [W6]    a call adds the counts up      <- [W5]
 *     [X7]    a lock or a join orders it, or the reader accepts an old value (counters, states)    nothing
 */
#ifndef LEAT_POOL_H
#define LEAT_POOL_H

#include "semaphore.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#if !defined LEAT_WINDOWS_
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#if defined __FreeBSD__ || defined __OpenBSD__ || defined __DragonFly__
#include <pthread_np.h>
#endif
#endif
#if defined LEAT_EXCEPTIONS_
extern "C++" {
#include <exception>
#include <new>
}
#endif

#if defined LEAT_AS_SYSTEM_HEADER_ /* see LEAT_COLD_ */
#pragma GCC system_header
#endif
LEAT_OWN_STYLE_BEGIN_
#ifdef __cplusplus
#define LEAT_C11_BEGIN_
#include "queue.h"
#endif

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
 * All that this file knows of its platform, except what queue.h knows of it. The paragraph from leat_os_mask_t_ to
 * leat_os_name_ is left out with LEAT_CUSTOM_OS. The header that this option names defines its own, or the name alone and
 * LEAT_OS_NO_MASKS_. Windows has a page of its own, at the end.
 *
 *      leat_os_thread_, leat_os_id_   what joins a thread, and what a running thread is known by
 *      leat_os_spawn_                 spawns a thread. It runs a function declared with LEAT_OS_MAIN_, which returns 0 and
 *                                     begins with leat_os_begins_(&thread): from then on its leat_os_thread_ is known
 *      LEAT_OS_GUARD_(thread, fn, arg)  until LEAT_OS_UNGUARD_(), in the same block: if the thread ends itself
 *                                     meanwhile, fn(arg) is called first, or elsewhere (LEAT_OS_ELSEWHERE_) on a thread of
 *                                     the system's. leat_os_join_ waits for that, too
 *      leat_os_shield_                until leat_os_unshield_: the calling thread cannot be cancelled */

#if defined LEAT_WINDOWS_ || defined __EMSCRIPTEN__
#define LEAT_OS_NO_MASKS_ /* no thread has a signal mask */
#endif
#if defined LEAT_OS_NO_MASKS_

typedef int leat_os_mask_t_;

static inline void leat_os_mask_(leat_os_mask_t_ mask)
{
    (void)mask;
}

static inline leat_os_mask_t_ leat_os_mask_workers_(void)
{
    return 0;
}

#endif

#if !defined LEAT_WINDOWS_

typedef pthread_t leat_os_thread_, leat_os_id_;

#define LEAT_OS_MAIN_ void *
#define LEAT_OS_GUARD_(thread, fn, arg) pthread_cleanup_push(fn, arg)
#define LEAT_OS_UNGUARD_() pthread_cleanup_pop(0)
enum { LEAT_OS_ELSEWHERE_ = 0 };

static inline leat_os_id_ leat_os_self_(void)
{
    return pthread_self();
}

static inline bool leat_os_same_(leat_os_id_ a, leat_os_id_ b)
{
    return pthread_equal(a, b);
}

/* What pthread_create writes may come later than the thread's first step, so the thread writes its id itself. RETURN
 * VALUES: 0 or an error number. */
static inline int leat_os_spawn_(leat_os_thread_ *thread, size_t stack_size, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t late;
    int err = pthread_attr_init(&attr);
    (void)thread;
    if (err) return err;
    if (stack_size) err = pthread_attr_setstacksize(&attr, stack_size);
    if (!err) err = pthread_create(&late, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return err;
}

static inline void leat_os_begins_(leat_os_thread_ *thread)
{
    *thread = pthread_self();
}

static inline void leat_os_join_(leat_os_thread_ *thread)
{
    pthread_join(*thread, NULL);
}

static inline int leat_os_shield_(void)
{
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    return cancel;
}

static inline void leat_os_unshield_(int cancel)
{
    pthread_setcancelstate(cancel, &cancel);
}

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

#elif defined __EMSCRIPTEN__

static inline void leat_os_name_(const char *name)
{
    (void)name; /* no thread has one */
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
#if defined __APPLE__
    pthread_setname_np(name);
#elif defined __FreeBSD__ || defined __OpenBSD__ || defined __DragonFly__
    pthread_set_name_np(pthread_self(), name);
#elif defined __NetBSD__
    pthread_setname_np(pthread_self(), "%s", (void *)(uintptr_t)name);
#else
    (void)name; /* a nicety that each system spells differently */
#endif
}

#endif

#endif

#if defined __EMSCRIPTEN__
#define LEAT_NO_SIGNALS_
#endif
#if !defined LEAT_NO_SIGNALS_

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
    _Atomic(uint32_t) word_;
#if defined LEAT_PTHREAD_EVENT_
    int ends_[2];
#endif
} leat_bell_;

#if defined LEAT_PTHREAD_EVENT_

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

static inline int leat_bell_make_(leat_bell_ *b)
{
    (void)b;
    return 0;
}

static inline void leat_bell_free_(leat_bell_ *b)
{
    (void)b;
}

static inline void leat_bell_ring_(leat_bell_ *b)
{
    leat_os_word_wake_(&b->word_);
}

static inline void leat_bell_wait_(leat_bell_ *b, uint32_t seen)
{
    leat_os_word_wait_(&b->word_, seen, LEAT_FOREVER);
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

#endif /* LEAT_NO_SIGNALS_ */

#else                      /* LEAT_WINDOWS_ */

extern void *LEAT_OS_CALL_ leat_os_this_(void) LEAT_OS_SYMBOL_(GetCurrentThread, 0);
extern uint32_t LEAT_OS_CALL_ leat_os_this_id_(void) LEAT_OS_SYMBOL_(GetCurrentThreadId, 0);
extern uint32_t LEAT_OS_CALL_ leat_os_resume_(void *) LEAT_OS_SYMBOL_(ResumeThread, 4);
extern uint32_t LEAT_OS_CALL_ leat_os_await_(void *, uint32_t) LEAT_OS_SYMBOL_(WaitForSingleObject, 8);
extern int LEAT_OS_CALL_ leat_os_close_(void *) LEAT_OS_SYMBOL_(CloseHandle, 4);
extern uint32_t LEAT_OS_CALL_ leat_os_slot_make_(void LEAT_OS_CALL_ (*)(void *)) LEAT_OS_SYMBOL_(FlsAlloc, 4);
extern int LEAT_OS_CALL_ leat_os_slot_set_(uint32_t, void *) LEAT_OS_SYMBOL_(FlsSetValue, 8);
extern int LEAT_OS_CALL_ leat_os_slot_free_(uint32_t) LEAT_OS_SYMBOL_(FlsFree, 4);
extern int LEAT_OS_CALL_ leat_os_hand_over_(uint32_t LEAT_OS_CALL_ (*)(void *), void *, uint32_t)
    LEAT_OS_SYMBOL_(QueueUserWorkItem, 12);
extern int LEAT_OS_CALL_ leat_os_on_console_(int LEAT_OS_CALL_ (*)(uint32_t), int) LEAT_OS_SYMBOL_(SetConsoleCtrlHandler, 8);
#if defined LEAT_OS_BEGIN_ /* tests bring their own */
#elif defined __i386__
#define LEAT_OS_BEGIN_ "__beginthreadex"
#else
#define LEAT_OS_BEGIN_ "_beginthreadex"
#endif
extern uintptr_t leat_os_begin_thread_(void *, unsigned, unsigned LEAT_OS_CALL_ (*)(void *), void *, unsigned,
                                       unsigned *) __asm__(LEAT_OS_BEGIN_);

typedef struct leat_os_thread_ {
    void *handle_;
    void (*fn_)(void *); /* its guard */
    void *arg_;
    _Atomic(uint32_t) after_; /* 1: the guard is to be called elsewhere, or is being called. 2: that is over */
} leat_os_thread_;
typedef uint32_t leat_os_id_;
static inline int leat_os_shield_(void)
{
    return 0;
}

static inline void leat_os_unshield_(int cancel)
{
    (void)cancel;
}

static inline leat_os_id_ leat_os_self_(void)
{
    return leat_os_this_id_();
}

static inline bool leat_os_same_(leat_os_id_ a, leat_os_id_ b)
{
    return a == b;
}

typedef long LEAT_OS_CALL_ leat_os_describe_(void *, const wchar_t *);
typedef unsigned char LEAT_OS_CALL_ leat_os_ending_(void);
LEAT_ONE_OF_(_Atomic(uintptr_t), leat_os_describes_); /* as leat_os_waits_ */
LEAT_ONE_OF_(_Atomic(uintptr_t), leat_os_ends_);
#ifdef __cplusplus
#define leat_os_describes_ LEAT_ONE_AS_(leat_atomic_<uintptr_t>, leat_os_describes_)
#define leat_os_ends_ LEAT_ONE_AS_(leat_atomic_<uintptr_t>, leat_os_ends_)
#endif

/* For debuggers and profilers, from Windows 10 on. */
LEAT_COLD_ void leat_os_name_(const char *name)
{
    wchar_t wide[16] = { 0 };
    uintptr_t address = atomic_load_explicit(&leat_os_describes_, memory_order_relaxed); /* [X7] */
    if (!address) address = leat_os_look_up_(&leat_os_describes_, "kernelbase.dll", "SetThreadDescription");
    for (int i = 0; i < 15 && name[i]; i++) wide[i] = (unsigned char)name[i];
    if (address != 1) ((leat_os_describe_ *)address)(leat_os_this_(), wide);
}

/* A thread that ends itself (ExitThread, _endthreadex) runs no more of its own code but the callbacks of its slots of
 * fiber-local storage. The slot of a guarded thread points to its leat_os_thread_. The callback must not wait, because
 * the system may hold a lock for which other threads wait as they begin and end. So it hands over to a thread of the
 * system's pool. The system calls the callback also for a thread that ends the process, where there must be nothing to
 * do: exit() frees the slot first, and without exit() (ExitProcess) the system can be asked. TerminateThread calls
 * nothing. */
LEAT_ONE_OF_(_Atomic(uint32_t), leat_os_slot_); /* its index, plus 1. 0: none */
#ifdef __cplusplus
#define leat_os_slot_ LEAT_ONE_AS_(leat_atomic_<uint32_t>, leat_os_slot_)
#endif

LEAT_COLD_ uint32_t LEAT_OS_CALL_ leat_os_after_end_(void *arg)
{
    leat_os_thread_ *thread = (leat_os_thread_ *)arg;
    thread->fn_(thread->arg_);
    atomic_store_explicit(&thread->after_, 2, memory_order_release); /* [G9] -> [G10] now it may be gone */
    leat_os_word_wake_(&thread->after_);
    return 0;
}

LEAT_COLD_ void LEAT_OS_CALL_ leat_os_at_end_(void *arg)
{
    leat_os_thread_ *thread = (leat_os_thread_ *)arg;
    uintptr_t address = atomic_load_explicit(&leat_os_ends_, memory_order_relaxed);          /* [X7] */
    bool ends = !atomic_load_explicit(&leat_os_slot_, memory_order_relaxed) || address == 1; /* [X7] */
    if (ends || ((leat_os_ending_ *)address)()) return;
    atomic_store_explicit(&thread->after_, 1, memory_order_relaxed); /* [X7] joined below */
    if (!leat_os_hand_over_(leat_os_after_end_, thread, 16 /* it may take long */)) leat_os_after_end_(thread);
}

/* False: the process has no slot left. */
LEAT_COLD_ bool leat_os_has_slot_(void)
{
    uint32_t none = 0;
    if (atomic_load_explicit(&leat_os_slot_, memory_order_relaxed)) return true; /* [X7] */
    leat_os_look_up_(&leat_os_ends_, "ntdll.dll", "RtlDllShutdownInProgress");   /* here, as the callback must not wait
                                                                                * for the loader's lock */
    uint32_t slot = leat_os_slot_make_(leat_os_at_end_);
    if (slot == UINT32_MAX) return false;
    if (!atomic_compare_exchange_strong_explicit(&leat_os_slot_, &none, slot + 1, memory_order_relaxed, /* [X7] */
                                                 memory_order_relaxed))
        leat_os_slot_free_(slot);
    return true;
}

/* The program ends, or a plug-in is unloaded. */
__attribute__((destructor)) LEAT_COLD_ void leat_os_slot_end_(void)
{
    uint32_t slot = atomic_exchange_explicit(&leat_os_slot_, 0, memory_order_relaxed); /* [X7] */
    if (slot) leat_os_slot_free_(slot - 1);
}

static inline void leat_os_guarded_by_(leat_os_thread_ *thread)
{
    uint32_t slot = atomic_load_explicit(&leat_os_slot_, memory_order_relaxed); /* [X7] */
    if (slot) leat_os_slot_set_(slot - 1, thread);
}

static inline void leat_os_guard_(leat_os_thread_ *thread, void (*fn)(void *), void *arg)
{
    thread->fn_ = fn;
    thread->arg_ = arg;
    leat_os_guarded_by_(thread);
}

#define LEAT_OS_MAIN_ unsigned LEAT_OS_CALL_
#define LEAT_OS_GUARD_(thread, fn, arg) leat_os_guard_(thread, fn, arg)
#define LEAT_OS_UNGUARD_() leat_os_guarded_by_(NULL)
enum { LEAT_OS_ELSEWHERE_ = 1 };

/* The thread begins suspended (4), so that it is known before it runs. The size of a stack is what is reserved
 * (0x10000). */
LEAT_COLD_ int leat_os_spawn_(leat_os_thread_ *thread, size_t stack_size, LEAT_OS_MAIN_ (*fn)(void *), void *arg)
{
    unsigned id;
    int saved = errno;
    if (stack_size > INT32_MAX) return EINVAL;
    if (!leat_os_has_slot_()) return EAGAIN;
    uintptr_t handle = leat_os_begin_thread_(NULL, (unsigned)stack_size, fn, arg, 4 | 0x10000, &id);
    errno = saved;
    if (!handle) return EAGAIN;
    memcpy(&thread->handle_, &handle, sizeof handle);
    leat_os_resume_(thread->handle_);
    return 0;
}

static inline void leat_os_begins_(leat_os_thread_ *thread)
{
    (void)thread;
}

static inline void leat_os_join_(leat_os_thread_ *thread)
{
    leat_os_await_(thread->handle_, UINT32_MAX /* INFINITE */);
    while (atomic_load_explicit(&thread->after_, memory_order_acquire) == 1) /* [G10] <- [G9] */
        leat_os_word_wait_(&thread->after_, 1, LEAT_FOREVER);
    leat_os_close_(thread->handle_);
}

#endif

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
    leat_os_thread_ thread_;                 /* known when started_ */
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
    leat_thread_ *t = (leat_thread_ *)arg;
    if (t->exited_) return; /* a second job has ended this thread, which went on after the first */
    if (LEAT_OS_ELSEWHERE_) *t->threads_->current_() = t;
    t->on_exit_(t);
    if (LEAT_OS_ELSEWHERE_) *t->threads_->current_() = NULL;
    leat_thread_exits_(t);
}

/* Keeps the name of threads that are still to be spawned. */
LEAT_COLD_ void leat_threads_keep_name_(char kept[16], const char *name)
{
    int saved = errno;
    snprintf(kept, 16, "%s", name);
    errno = saved;
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
    LEAT_OS_GUARD_(&t->thread_, leat_thread_on_exit_, t);
    fn(t);
    LEAT_OS_UNGUARD_();
}

LEAT_COLD_ LEAT_OS_MAIN_ leat_thread_main_(void *arg)
{
    leat_thread_ *t = (leat_thread_ *)arg;
    leat_lock_take_(&t->threads_->lock_);
    leat_os_begins_(&t->thread_); /* L2: the thread that spawned it may not know it yet */
    t->started_ = true;
    leat_lock_drop_(&t->threads_->lock_);
    *t->threads_->current_() = t;
    leat_thread_run_(t, t->main_);
    leat_thread_exits_(t);
    return 0;
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
    int saved = errno;
    leat_threads_add_(threads, t); /* L1 */
    leat_os_mask_t_ mask = leat_os_mask_workers_();
    if (threads->inherit_signals_) leat_os_mask_(mask);
    int err = leat_os_spawn_(&t->thread_, stack_size, leat_thread_main_, t); /* L3 */
    leat_os_mask_(mask);
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
    int saved = errno, cancel = leat_os_shield_(); /* the calls below must not end the calling thread */
    for (leat_thread_ *next; t; t = next) {
        next = t->next_;
        leat_thread_await_start_(t); /* L2 */
        leat_os_join_(&t->thread_);
        free(t);
    }
    leat_os_unshield_(cancel);
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
 * L5  A group ends once. The caller that ends it has seen under the lock that no task is active, and that no end of a
 *     last task is about to touch running_. It has shut the group under that lock. A last task's end touches nothing of
 *     the group after running_ is 0 or, if no caller waited, after it has dropped the lock. It closes closes_ while its
 *     task still counts. What it releases after that is for its own thread, which is joined first.
 * L11 While a stage has active tasks, it counts as one active task of its whole. It begins to count under its own lock,
 *     before its first task does, and ends after its last. So a whole that has no active task has none in its stages
 *     either. A lock of a stage is taken before that of its whole. */

typedef struct leat_group {
    leat_ctx ctx_;
    leat_sem idle_;
    leat_waitq_ waiting_;   /* idle threads, the last one first */
    int64_t active_;        /* tasks accepted, not returned */
    leat_threads_ threads_; /* its lock guards the fields beside it */
    int limit_;             /* 0: none */
    int making_;            /* threads that exist or are being spawned, and places_ */
    int places_;
    int blocked_;       /* tasks that wait in leat_go */
    bool shut_;         /* no more tasks */
    bool used_;         /* there were tasks */
    bool over_;         /* L5 */
    bool awaited_;      /* a caller waits: running_ is 1, and the last task's end makes it 0 */
    leat_sem *shared_;  /* of leat_group_share, or NULL */
    leat_chan *closes_; /* of leat_group_closes, or NULL */
    leat_wg running_;   /* for callers that wait until no task is active */
    leat_chan joined_;  /* closed when all threads are joined */
    _Atomic(int) err_;  /* the first error of a task */
    _Atomic(size_t) errors_;
    struct leat_group *whole_;                /* of leat_group_within, or NULL */
    struct leat_group *stages_, *next_stage_; /* the groups within this one. The next of the same whole */
    leat_thread_ *left_;                      /* the last one that has left as it was idle. It is in the list */
    int64_t idle_ns_;                         /* of leat_thread_opts, as is what follows */
    size_t stack_size_;
    char name_[16];          /* "": the threads get no name */
    _Atomic(void *) thrown_; /* C++: the first exception that left a task, of leat_group_rethrow */
} leat_group;

typedef struct leat_task_thread_ {
    leat_thread_ thread_; /* first */
    leat_group *group_;
    char pad0_[LEAT_LINE_]; /* callers that give it a task write to what follows */
    leat_waiter_ waiter_;   /* the thread waits here for task_ */
    leat_call_ task_;       /* the task that it was given. None: it is to return */
    leat_node_ node_;       /* in waiting_. msg_ points to the whole */
    char pad1_[LEAT_LINE_];
} leat_task_thread_;

/* An initialiser. The group's tasks run under a context of their own, below `parent` (or NULL). */
/* clang-format off */
#ifndef __cplusplus
#define LEAT_GROUP(parent) { .ctx_ = LEAT_CTX(parent), .idle_ = LEAT_SEM_OF(0, LEAT_SEM_MAX) }
#else
#define LEAT_GROUP(parent) leat_group_made_(parent)
constexpr leat_group leat_group_made_(leat_ctx *parent)
{
    return leat_group{ LEAT_CTX(parent), LEAT_SEM_OF(0, LEAT_SEM_MAX) };
}
#endif
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

/* For leat_group_threads. A field that is 0 has its default. */
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
    leat_threads_keep_name_(g->name_, opts->name ? opts->name : "");
    g->threads_.inherit_signals_ = opts->inherit_signals;
    g->stack_size_ = opts->stack_size;
    g->idle_ns_ = opts->idle;
    return 0;
}

/* Makes g a stage of `whole`, such as one step of a pipeline, before the first task of g. The first error of a task of g
 * is also one of whole: it cancels the contexts of whole and of all its stages. leat_wait(whole) waits for the tasks of
 * the stages, too, and then ends the stages as leat_wait does. So g must live until leat_wait(whole) has returned. A
 * caller may also wait for a stage alone. A stage may have stages of its own.
 * 0. -ESHUTDOWN: whole was waited for. -EINVAL: there have been tasks in g, it is a stage already, it has another
 * context as its parent, or whole is within g. */
LEAT_COLD_ int leat_group_within(leat_group *g, leat_group *whole)
{
    if (!g || !whole || g->used_ || g->shut_ || g->whole_) return -EINVAL;
    if (g->ctx_.parent_ && g->ctx_.parent_ != &whole->ctx_) return -EINVAL;
    for (leat_group *above = whole; above; above = above->whole_)
        if (above == g) return -EINVAL;
    leat_lock_take_(&whole->threads_.lock_);
    bool shut = whole->shut_;
    if (!shut) {
        g->whole_ = whole;
        g->ctx_.parent_ = &whole->ctx_;
        g->next_stage_ = whole->stages_;
        whole->stages_ = g;
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
 * whole counts one less (L11). In the same step the thread `t` (or NULL) becomes idle. The group may then be gone (L5). */
LEAT_COLD_ void leat_task_end_(leat_group *g, int64_t n, leat_task_thread_ *t)
{
    leat_lock_take_(&g->threads_.lock_);
    leat_chan *closes = g->active_ == n ? g->closes_ : NULL;
    if (closes) { /* no task can begin any more, and these n are still active */
        g->closes_ = NULL;
        g->shut_ = true;
        leat_lock_drop_(&g->threads_.lock_);
        leat_close_(closes);
        leat_lock_take_(&g->threads_.lock_);
    }
    g->active_ -= n;
    bool last = n && !g->active_, tells = last && g->awaited_;
    leat_group *whole = last ? g->whole_ : NULL;
    if (tells) g->awaited_ = false;
    if (t) leat_enqueue_front_(&g->waiting_, &t->node_);
    leat_lock_drop_(&g->threads_.lock_);
    if (whole) leat_task_end_(whole, 1, NULL);
    if (tells && leat_wg_done(&g->running_)) LEAT_MISUSE_("a group's count of tasks");
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
    return (leat_task_thread_ *)whole;
}

/* A task's thread calls the task. In C++ a task may throw. Then it has failed with -EFAULT, and its group (or NULL) and all
 * that this is within keep the exception. What is no exception of C++ passes: the end of a thread by pthread_exit or by a
 * cancellation. */
#ifndef LEAT_EXCEPTIONS_
LEAT_HOT_ int leat_task_call_(leat_call_ task, leat_ctx *ctx, leat_group *g)
{
    (void)g;
    return task.fn_(ctx, task.arg_);
}
#else
union leat_exception_ { /* a std::exception_ptr is one word, which counts as a reference */
    void *raw_;
    std::exception_ptr ptr_;
    leat_exception_(void *word) : raw_(word)
    {
    }
    ~leat_exception_()
    {
    }
};
static_assert(sizeof(std::exception_ptr) == sizeof(void *), "leat: what leat_group_rethrow throws fits in a word");

LEAT_COLD_ void leat_group_throws_(leat_group *g, const std::exception_ptr &thrown)
{
    for (; g; g = g->whole_) {
        void *none = NULL;
        leat_exception_ e(NULL);
        new (&e.ptr_) std::exception_ptr(thrown);
        if (!atomic_compare_exchange_strong_explicit(&g->thrown_, &none, e.raw_, memory_order_relaxed, /* [X7] */
                                                     memory_order_relaxed))
            e.ptr_.~exception_ptr();
    }
}

LEAT_HOT_ int leat_task_call_(leat_call_ task, leat_ctx *ctx, leat_group *g)
{
    try {
        return task.fn_(ctx, task.arg_);
    } catch (...) {
        std::exception_ptr thrown = std::current_exception();
        if (!thrown) throw;
        leat_group_throws_(g, thrown);
        return -EFAULT;
    }
}

/* Throws the first exception that left a task of g, or of a stage of it, if there was one. To be called after leat_wait has
 * returned. leat_wait itself returns the first error: -EFAULT, if that was an exception. Only C++ has this call. A group
 * whose exception is never thrown again keeps the memory of it. If a file in C (or one without exceptions) makes the
 * group's first leat_go, an exception that leaves a task ends the program. */
LEAT_COLD_ void leat_group_rethrow(leat_group *g)
{
    leat_exception_ e(g ? atomic_exchange_explicit(&g->thrown_, NULL, memory_order_relaxed) : NULL); /* [X7] */
    if (!e.raw_) return;
    std::exception_ptr thrown(e.ptr_);
    e.ptr_.~exception_ptr();
    std::rethrow_exception(thrown);
}

/* Forgets it instead (leat.hpp). */
LEAT_COLD_ void leat_group_drop_(leat_group *g)
{
    leat_exception_ e(atomic_exchange_explicit(&g->thrown_, NULL, memory_order_relaxed)); /* [X7] */
    if (e.raw_) e.ptr_.~exception_ptr();
}
#endif

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

/* A thread that was idle for long leaves the queue, and leaves a place in its stead (L4). It joins the one that has left
 * before it. False: a caller has taken the thread, and will give it a task, or none. */
LEAT_COLD_ bool leat_task_thread_leaves_(leat_task_thread_ *t)
{
    leat_group *g = t->group_;
    leat_thread_ *before = NULL;
    leat_lock_take_(&g->threads_.lock_);
    bool leaves = t->node_.linked_;
    if (leaves) {
        leat_dequeue_(&g->waiting_, &t->node_);
        g->places_++;
        t->task_ = (leat_call_){ .fn_ = NULL };
        before = g->left_;
        g->left_ = &t->thread_;
    }
    if (before) {
        leat_thread_ **at = &g->threads_.list_;
        while (*at != before) at = &(*at)->next_;
        *at = before->next_;
        before->next_ = NULL;
    }
    leat_lock_drop_(&g->threads_.lock_);
    leat_join_(before);
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
        int err = leat_task_call_(job, &g->ctx_, g);
        leat_task_thread_init_(t);
        leat_task_done_(g, err, t);
    }
}

LEAT_COLD_AHEAD_ void leat_group_on_exit_(leat_thread_ *thread);

/* Spawns a thread, which is the caller's (L4). NULL: it could not be spawned, because of *err. */
LEAT_COLD_ leat_task_thread_ *leat_group_spawn_(leat_group *g, int *err)
{
    leat_task_thread_ *t = (leat_task_thread_ *)leat_zeroed_(1, sizeof *t, 1);
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
        if (!err) g->active_ += n;
    }
    leat_lock_drop_(&g->threads_.lock_);
    return err;
}

/* With a permit: takes an idle thread out of the queue, or NULL: a place, whose thread the caller must spawn. The caller
 * holds the lock. */
static inline leat_task_thread_ *leat_group_take_(leat_group *g)
{
    leat_node_ *l = g->waiting_.first_;
    if (l) leat_dequeue_(&g->waiting_, l);
    else g->places_--;
    return l ? (leat_task_thread_ *)l->msg_ : NULL;
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

/* Gets a thread for a task, idle or spawned. *to is then the caller's (L4). At the limit it waits for one. A task that waits
 * here blocks its own thread. If all tasks waited here, no thread would ever be idle: -EDEADLK. RETURN VALUES: 0, -EAGAIN
 * if it does not wait, why no thread could be spawned, or the error of a context. */
LEAT_COLD_ int leat_group_get_(leat_ctx *ctx, leat_group *g, bool waits, leat_task_thread_ **to)
{
    int err = leat_sem_get_(&g->idle_, 1) ? 0 : -EAGAIN;
    leat_lock_take_(&g->threads_.lock_);
    bool full = err && g->limit_ && g->making_ >= g->limit_;
    leat_thread_ *self = full && waits ? leat_self_(&g->threads_) : NULL;
    bool task = self && !self->exited_, last = task && g->blocked_ + 1 == g->making_;
    *to = err ? NULL : leat_group_take_(g);
    g->making_ += err && !full;
    g->blocked_ += task && !last;
    leat_lock_drop_(&g->threads_.lock_);
    if (last) return leat_unless_done_(ctx, &g->ctx_, -EDEADLK);
    if (full && !waits) return err;
    if (full) {
        err = leat_acquire_of_(ctx, &g->ctx_, &g->idle_, 1);
        leat_lock_take_(&g->threads_.lock_);
        g->blocked_ -= task; /* before the task is given: a thread that has a permit is not blocked */
        if (!err) *to = leat_group_take_(g);
        leat_lock_drop_(&g->threads_.lock_);
        if (err) return err;
    }
    err = leat_unless_done_(ctx, &g->ctx_, 0);
    if (!err && !*to) *to = leat_group_spawn_(g, &err);
    if (err) leat_group_put_(g, *to);
    return err;
}

static inline void leat_group_unshare_(leat_group *g, int n)
{
    if (g->shared_ && leat_release(g->shared_, n)) LEAT_MISUSE_("shared semaphore over-released");
}

/* Starts a task that was counted as accepted. */
LEAT_COLD_ int leat_group_start_(leat_ctx *ctx, leat_group *g, leat_call_ job, bool waits)
{
    leat_task_thread_ *t;
    leat_sem *s = g->shared_;
    int err = !s ? 0 : waits ? leat_acquire_of_(ctx, &g->ctx_, s, 1) : leat_try_acquire(s, 1);
    if (err) return err;
    if ((err = leat_group_get_(ctx, g, waits, &t)) == 0) leat_task_give_(t, job);
    if (err) leat_group_unshare_(g, 1);
    return err;
}

LEAT_COLD_ int leat_group_go_(leat_ctx *ctx, leat_group *g, int n, leat_call_ job, bool waits)
{
    if (!g || !job.fn_ || n < 0) return -EINVAL;
    int err = leat_task_begin_(ctx, g, n), i;
    if (err) return err;
    for (i = 0; i < n && !err; i++) err = leat_group_start_(ctx, g, job, waits);
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
    return leat_group_go_(NULL, g, 1, (leat_call_){ fn, arg }, true);
}

LEAT_HOT_ int leat_try_go(leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, 1, (leat_call_){ fn, arg }, false);
}

LEAT_HOT_ int leat_go_ctx(leat_ctx *ctx, leat_group *g, leat_task *fn, void *arg)
{
    return leat_group_go_(ctx, g, 1, (leat_call_){ fn, arg }, true);
}

/* Starts n tasks fn(ctx, arg) with the same argument, such as the workers of a pool. 0: all n will run. Otherwise the
 * error of the first task that could not be started. The tasks before it run, so the caller must make sure that they
 * can end.
 * try: starts all n at once, or none, whatever the error. -EAGAIN: the limit leaves no room for n. ctx: as
 * leat_go_ctx. */
LEAT_HOT_ int leat_go_n(leat_group *g, int n, leat_task *fn, void *arg)
{
    return leat_group_go_(NULL, g, n, (leat_call_){ fn, arg }, true);
}

LEAT_HOT_ int leat_go_n_ctx(leat_ctx *ctx, leat_group *g, int n, leat_task *fn, void *arg)
{
    return leat_group_go_(ctx, g, n, (leat_call_){ fn, arg }, true);
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
        if ((err = leat_group_get_(NULL, g, false, &t)) != 0) break;
        t->node_.next_ = chain;
        chain = &t->node_;
    }
    for (leat_node_ *next; chain; chain = next) {
        next = chain->next_;
        if (err) leat_group_put_(g, (leat_task_thread_ *)chain->msg_);
        else leat_task_give_((leat_task_thread_ *)chain->msg_, job);
    }
    if (!err) return 0;
    leat_group_unshare_(g, n);
    leat_task_end_(g, n, NULL);
    return err;
}

/* int leat_group_closes(leat_group *g, c): the group closes the channel once, when the last task has returned. Call it
 * after the last leat_go, or before or after a single leat_go_n. Once the channel is closed, leat_go returns
 * -ESHUTDOWN. If there was no task, leat_wait closes the channel. 0. -EINVAL: the group already closes another. */
#ifndef __cplusplus
#define leat_group_closes(g, c) leat_group_closes_(g, LEAT_C_(c))
#endif

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

#ifdef __cplusplus
LEAT_CALL_OF_C_(int) leat_group_closes(leat_group *g, LEAT_CHAN_OF_T_ *c LEAT_CALL_)
{
    return leat_group_closes_(g, LEAT_C_(c));
}
#endif

/* L5: looks whether a group is over. RETURN VALUES: 0: it is, and the caller must end it. -EAGAIN: a task is active. Then a
 * caller that waits has running_ count until the last task ends. -EALREADY: another caller ends it, or has ended it. Or
 * the error of ctx. */
LEAT_COLD_ int leat_group_over_(leat_ctx *ctx, leat_group *g, bool waits)
{
    leat_lock_take_(&g->threads_.lock_);
    bool busy = g->active_ || leat_try_wg_wait(&g->running_); /* a last task's end is about to touch running_ */
    int err = leat_unless_done_(ctx, NULL, busy ? -EAGAIN : g->over_ ? -EALREADY : 0);
    if (!err) g->over_ = g->shut_ = true;
    if (waits && g->active_ && !g->awaited_) g->awaited_ = !leat_wg_add(&g->running_, 1);
    leat_lock_drop_(&g->threads_.lock_);
    return err;
}

/* The same, but it waits until no task is active. */
LEAT_COLD_ int leat_group_await_over_(leat_ctx *ctx, leat_group *g)
{
    int err;
    while ((err = leat_group_over_(ctx, g, true)) == -EAGAIN)
        if ((err = leat_wg_wait_ctx(ctx, &g->running_)) != 0) break;
    return err;
}

static inline int leat_group_err_(leat_group *g)
{
    return atomic_load_explicit(&g->err_, memory_order_relaxed); /* [X7] */
}

LEAT_COLD_AHEAD_ int leat_wait_ctx(leat_ctx *ctx, leat_group *g);

/* Ends a group, and its stages. Only the caller that got 0 from leat_group_over_ calls this (L5). The other callers of
 * leat_wait wait for joined_, and may free the group once it is closed. */
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
    for (leat_group *s = g->stages_; s; s = s->next_stage_) leat_wait_ctx(NULL, s);
    for (leat_node_ *next; idle; idle = next) {
        next = idle->next_;
        leat_task_give_((leat_task_thread_ *)idle->msg_, (leat_call_){ .fn_ = NULL });
    }
    leat_join_(threads);
    leat_lock_take_(&g->threads_.lock_);
    g->stages_ = NULL; /* they may be gone when a later caller comes */
    leat_lock_drop_(&g->threads_.lock_);
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
    leat_group *s = g->stages_;
    leat_lock_drop_(&g->threads_.lock_);
    while (s && !leat_group_is_own_thread_(s)) s = s->next_stage_;
    return s != NULL;
}

/* Waits until all tasks have returned, also those of its stages, and joins the threads. 0, or the first value other
 * than 0 that a task returned. That error has cancelled the group's context, but the cancellation does not hide it.
 * -EDEADLK: the caller is a thread of the group, or of a stage of it. The call frees everything that the group holds. A
 * later call returns the same as the first.
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
    char none = 0;
    err = leat_recv_(ctx, &g->joined_, &none, 1, 1, 0);
    return err == -EPIPE ? leat_group_err_(g) : err;
}

LEAT_HOT_ int leat_wait(leat_group *g)
{
    return leat_wait_ctx(NULL, g);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_wait(leat_group *g)
{
    if (!g) return -EINVAL;
    if (leat_group_is_own_thread_(g)) return -EAGAIN;
    int err = leat_group_over_(NULL, g, false);
    if (!err) return leat_group_end_(g);
    return err == -EALREADY && leat_is_closed_(&g->joined_) ? leat_group_err_(g) : -EAGAIN;
}

/* ==== 4. Pool: fixed workers, a bounded queue, drain, stop ====================================
 *
 * The queue is a channel of jobs, or one for each lane. A submit is a send. A worker receives its next job under the
 * worker's own context. A resize cancels that context to retire the worker. The end of the pool's context ends all
 * workers. A stop shuts the gate and closes the queue. The workers drain the queue and exit, and the stop joins them.
 *
 * What is in the queue is a function with its argument (leat_call_). Where there is more to a job, the function is one
 * of this file. leat_run_job_ stands for a leat_job. leat_run_timed_ stands for a job whose time in the queue is
 * measured. In a pool with a value_size, each place in the queue has room for a value behind the call.
 *
 * L6  The wanted workers are those that are RUNNING, and those that are STARTING and replace no other. They are as
 *     many as a resize asked for, less those that could not be had. A worker whose job ends its thread is replaced. The
 *     replacement takes over its state, and makes the old worker EXITING, in one step. So the two count as one worker.
 * L7  EXITING is final. Before that, a resize may take a RETIRING worker back. The worker itself then replaces its
 *     cancelled context, because no other thread receives under it. A worker makes itself EXITING only if it was not
 *     taken back.
 * L8  An accepted job is counted once, as taken by a worker or as dropped. The gate counts each call that enters, until
 *     the call leaves. When a submit has queued its job, its count stays, for the job. So when no submit is under way,
 *     the gate's count is that of the jobs taken, dropped and queued. A stop frees nothing before this is so, before
 *     all other calls have left, and before no thread is left or being joined. So a submit may race with a stop.
 * L9  A worker that waits for room is blocked. Its job or its hook has called submit, and the queue is full. While it
 *     is blocked and the pool accepts jobs, another worker can make room: it is STARTING or RUNNING, is not blocked, and
 *     waits for no init hook. If there is none, one blocked worker is told, and its submit returns -EDEADLK. A worker
 *     checks this before it is blocked. Later the other worker may drop out: its init hook fails, it is retired, it
 *     cannot be spawned, or it waits for an init hook. The thread that makes it drop out then checks again.
 * L10 A thread that tells a blocked worker uses memory on that worker's stack. The worker waits until it has been
 *     told.
 * L12 A submit of a leat_job queues a token, then puts the job into its lane's list. A thread that takes a token takes
 *     the first job of the list. A cancel takes the job out of the list, and so leaves a stale token. There are as many
 *     tokens, in the queue or taken and not yet exchanged, as jobs in the list, jobs that are about to be put there, and
 *     stale_. So a thread that has a token finds a job or a stale token, at once or after a short while.
 * L13 A job is ended by the thread that took it out of the list, and by no other. A cancel first makes it CANCELLING.
 *     Then the job cannot start, so the pool cannot end, while the cancel uses the lane.
 * L14 A thread in leat_pool_wait is woken when every accepted job has returned. It marks all workers, and then counts.
 *     A worker that runs out of jobs, and is marked, counts, too. So does a submit that leaves without a job. Whichever
 *     of them comes last finds that the gate's count is that of the jobs that have returned. */

/* For leat_pool_start. A field that is 0 has its default. LEAT_LANES is the most lanes that a pool can have. With
 * LEAT_NO_QUEUE as its queue, a submit meets a worker that waits for a job. */
#define LEAT_LANES 8       /* the most that a pool can have */
#define LEAT_NO_QUEUE (-1) /* for leat_pool_opts.queue */

typedef struct leat_pool_opts {
    int workers;       /* threads. 0: leat_cpus() */
    int queue;         /* jobs that may wait, in each lane. 0: twice the workers. LEAT_NO_QUEUE: none */
    int lanes;         /* queues of jobs. 0: one. At most LEAT_LANES. See leat_submit_lane */
    size_t value_size; /* bytes of the largest value of leat_submit_value. 0: there are none */
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

/* Of one lane, or of all. Jobs that were cancelled are not among those queued or taken. */
typedef struct leat_lane_stats {
    size_t queued, queue_cap;
    /* The longest queue (of one lane) that was seen by a call of leat_pool_stats, by a submit that waited for room (but
     * not briefly), or by a worker at every 16th job that it takes. */
    size_t queue_high;
    size_t taken; /* jobs that workers have taken */
    /* A sample of the jobs is timed, from their submit until a worker took them: how many, and how long they waited, in
     * ns. In each lane at most one job at a time is timed: the first, and then the next one after a worker has taken its
     * 17th, 33rd, 65th.. job of the lane, up to the 513th, and from then on after each 1,024th. */
    size_t timed;
    int64_t wait_mean, wait_most;
} leat_lane_stats;

/* A snapshot. While no thread changes the pool, submitted = completed + failed + dropped + cancelled + busy + queued. */
typedef struct leat_stats {
    size_t workers, busy;                 /* threads, and those that run a job. Saturation is busy / workers */
    size_t queued, queue_cap, queue_high; /* as in leat_lane_stats, of all lanes */
    /* Jobs accepted, jobs that returned 0, jobs that did not, jobs that leat_pool_abort handed back, jobs that
     * leat_job_cancel took back. */
    size_t submitted, completed, failed, dropped, cancelled;
    size_t timed;                 /* as in leat_lane_stats, of all lanes */
    int64_t wait_mean, wait_most; /* ns */
    int lanes;
    leat_lane_stats lane[LEAT_LANES];
} leat_stats;

/* Each counter has one writer at a time, so it needs no locked operation. */
typedef struct leat_counts_ {
    _Atomic(size_t) completed_, failed_; /* jobs */
    _Atomic(size_t) skipped_;            /* stale tokens (L12) */
    _Atomic(size_t) taken_[LEAT_LANES];  /* jobs */
} leat_counts_;

/* What is counted of a lane. */
typedef struct leat_lane_counts_ {
    _Atomic(size_t) high_water_; /* of the queue's length */
    _Atomic(size_t) cancelled_;
    _Atomic(size_t) timed_;
    _Atomic(uint64_t) waited_, most_; /* of the timed jobs: the sum, the maximum, in ns */
} leat_lane_counts_;

struct leat_pool;

/* A job that its submitter can wait for, and cancel. It lives with its submitter, who declares it:
 * leat_job j = LEAT_JOB(fn, arg); all-zero is not valid. It holds nothing that must be freed. */
typedef struct leat_job {
    leat_task *fn_;
    void *arg_;
    int lane; /* 0, or the lane in which leat_submit_job is to put it */
    bool linked_;
    _Atomic(uint64_t) word_; /* result << 32 | one of the states below | WAITERS */
    leat_lock_ lock_;        /* guards waiters_ */
    leat_waitq_ waiters_;
    struct leat_lane_ *lane_; /* the lane's lock guards this and linked_ */
    struct leat_job *next_, *prev_;
    leat_os_id_ runner_; /* the thread that runs it */
} leat_job;

/* clang-format off */
#ifndef __cplusplus
#define LEAT_JOB(fn, arg) { .fn_ = (fn), .arg_ = (arg) }
#else
#define LEAT_JOB(fn, arg) leat_job_made_(fn, arg)
constexpr leat_job leat_job_made_(leat_task *fn, void *arg)
{
    return leat_job{ fn, arg };
}
#endif
/* clang-format on */

/* NEW: not accepted. CANCELLING: a cancel looks whether it is still in the list, and no thread may start it. RAN and NEVER
 * are final. */
enum {
    LEAT_JOB_WAITERS_ = 1,
    LEAT_JOB_NEW_ = 0,
    LEAT_JOB_QUEUED_ = 2,
    LEAT_JOB_CANCELLING_ = 4,
    LEAT_JOB_RUNS_ = 6,
    LEAT_JOB_RAN_ = 8,
    LEAT_JOB_NEVER_ = 10,
    LEAT_JOB_STATE_ = 14
};

/* IDLE: no job is timed. WANTED: the next is to be. USED: one is, and the probe is its own. */
enum { LEAT_PROBE_IDLE_ = 0, LEAT_PROBE_WANTED_ = 1, LEAT_PROBE_USED_ = 2 };

typedef struct leat_lane_ {
    leat_calls_ queue_; /* first */
    struct leat_pool *pool_;
    leat_lane_counts_ *counts_;
    _Atomic(int) probe_;
    leat_call_ timed_; /* of the job that is timed: the call, and when it was submitted */
    int64_t timed_since_;
    leat_lock_ lock_; /* guards what follows */
    size_t stale_;    /* tokens whose job was cancelled (L12) */
    leat_job *first_, *last_;
} leat_lane_;

typedef struct leat_pool {
    leat_ctx ctx_;
    leat_lane_ lane_[LEAT_LANES];
    char pad0_[LEAT_LINE_];
    _Atomic(int64_t) gate_; /* (submits that entered, less those that left) * INSIDE | the bits below (L8) */
    char pad1_[LEAT_LINE_];
    _Atomic(int64_t) calls_; /* the same of other calls */
    _Atomic(int) end_;       /* OPEN, ENDING, OVER */
    int lanes_;              /* how many of lane_ are in use */
    size_t msg_size_;        /* bytes of what is in the queue */
    leat_copier_ *copy_;     /* NULL without values */
    leat_threads_ threads_;  /* its lock guards what follows */
    leat_counts_ totals_;    /* of the workers that were joined */
    leat_lane_counts_ lane_counts_[LEAT_LANES];
    size_t queue_cap_;    /* of one lane */
    size_t cleared_;      /* what aborts have taken out of the queues: jobs, and stale tokens */
    size_t dropped_;      /* the jobs among them */
    unsigned char *room_; /* for the value of a job that an abort hands back. NULL: in use */
    bool freed_;          /* the queues, and room_ */
    int aborting_;        /* aborts under way. A stop leaves the end of the pool to them */
    int refused_;         /* an init hook's error, for the resize that asked for the worker, or the next resize */
    int awaiting_;        /* calls of leat_pool_wait that may be in idlers_ */
    leat_waitq_ idlers_;  /* they wait here (L14) */
    leat_wg running_;     /* workers that may take another job */
    leat_sem resizing_;   /* a lock that waits under a context: one resize at a time */
    leat_pool_opts opts_;
    char name_[16];
} leat_pool;

/* PROBE: a job is to be timed. SIZED: a job may have a value. AWAITED: perhaps a thread is in leat_pool_wait. */
enum { LEAT_SHUT_ = 1, LEAT_STARTED_ = 2, LEAT_PROBE_ = 4, LEAT_SIZED_ = 8, LEAT_AWAITED_ = 16, LEAT_INSIDE_ = 32 };
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
    int token_; /* what the job is that it runs: none of these, a leat_job, a stale token */
    leat_counts_ counts_;
    unsigned turn_; /* jobs that it has taken, for the order of the lanes */
    leat_job *job_;
    _Atomic(uint32_t) awaited_; /* a mark (L14) */
    leat_case *cases_;          /* one for each lane. NULL: there is one lane, and no job has a value */
    unsigned char *value_;      /* aligned to LEAT_LINE_. What is received ends here, but for the value */
} leat_worker_;

enum { LEAT_NO_TOKEN_ = 0, LEAT_JOB_TOKEN_ = 1, LEAT_STALE_TOKEN_ = 2 };

static inline size_t leat_counter_(_Atomic(size_t) *n)
{
    return atomic_load_explicit(n, memory_order_relaxed); /* [X7] */
}

static inline void leat_count_add_(_Atomic(size_t) *n, size_t more)
{
    atomic_store_explicit(n, leat_counter_(n) + more, memory_order_relaxed); /* [X7] */
}

static inline void leat_high_water_(_Atomic(size_t) *high, size_t depth)
{
    size_t so_far = leat_counter_(high);
    while (depth > so_far)
        if (atomic_compare_exchange_weak_explicit(high, &so_far, depth, memory_order_relaxed, /* [X7] */
                                                  memory_order_relaxed))
            return;
}

/* One more job is over, or one stale token. */
static inline void leat_count_over_(_Atomic(size_t) *n)
{
    atomic_store_explicit(n, leat_counter_(n) + 1, memory_order_release); /* [W5] -> [W6] */
}

static inline void leat_counts_add_over_(_Atomic(size_t) *sum, _Atomic(size_t) *n)
{
    leat_count_add_(sum, atomic_load_explicit(n, memory_order_acquire)); /* [W6] <- [W5] */
}

/* What is over is read first, so that it is never more than what was taken. */
static inline void leat_counts_sum_(leat_counts_ *sum, leat_counts_ *c)
{
    leat_counts_add_over_(&sum->completed_, &c->completed_);
    leat_counts_add_over_(&sum->failed_, &c->failed_);
    leat_counts_add_over_(&sum->skipped_, &c->skipped_);
    for (int i = 0; i < LEAT_LANES; i++) leat_count_add_(&sum->taken_[i], leat_counter_(&c->taken_[i]));
}

/* How many jobs and stale tokens were taken, and how many of them are over. */
static inline size_t leat_counts_taken_(leat_counts_ *c)
{
    size_t n = leat_counter_(&c->skipped_);
    for (int i = 0; i < LEAT_LANES; i++) n += leat_counter_(&c->taken_[i]);
    return n;
}

static inline size_t leat_counts_over_(leat_counts_ *c)
{
    return leat_counter_(&c->completed_) + leat_counter_(&c->failed_) + leat_counter_(&c->skipped_);
}

static inline void leat_lanes_lock_(leat_pool *p)
{
    for (int i = 0; i < p->lanes_; i++) leat_lock_take_(&p->lane_[i].queue_.chan.lock_);
}

static inline void leat_lanes_unlock_(leat_pool *p)
{
    for (int i = 0; i < p->lanes_; i++) leat_lock_drop_(&p->lane_[i].queue_.chan.lock_);
}

static inline size_t leat_lanes_len_(leat_pool *p)
{
    size_t n = 0;
    for (int i = 0; i < p->lanes_; i++) n += leat_len(&p->lane_[i].queue_);
    return n;
}

/* The lane that this channel is the queue of: its first member. */
static inline leat_lane_ *leat_lane_of_(leat_chan *ch)
{
    void *whole = ch;
    return (leat_lane_ *)whole;
}

static inline leat_case leat_lane_case_(leat_lane_ *lane, int way, void *msg)
{
    leat_case c = leat_case_(&lane->queue_.chan, way, msg, lane->pool_->msg_size_, _Alignof(leat_call_));
    c.copy_ = lane->pool_->copy_;
    return c;
}

static inline void leat_pool_exit_(leat_pool *p)
{
    atomic_fetch_sub_explicit(&p->calls_, LEAT_INSIDE_, memory_order_release); /* [G1] -> [G2] no access follows */
}

/* Counts a call in, one that is no submit, so that a stop waits for it. RETURN VALUES: 0: the call must end with
 * leat_pool_exit_. -ESHUTDOWN, -EINVAL: the call is not counted. */
static inline int leat_pool_enter_(leat_pool *p)
{
    if (!p) return -EINVAL;
    int64_t gate = atomic_fetch_add_explicit(&p->calls_, LEAT_INSIDE_, memory_order_acquire); /* [G2] <- [G1] */
    if ((gate & (LEAT_STARTED_ | LEAT_SHUT_)) == LEAT_STARTED_) return 0;
    leat_pool_exit_(p);
    return gate & LEAT_SHUT_ ? -ESHUTDOWN : -EINVAL;
}

static inline leat_worker_ *leat_worker_of_(leat_thread_ *t)
{
    void *whole = t;
    return (leat_worker_ *)whole;
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

/* Adds up what the workers have counted, also those that were joined. The caller holds the lock. */
LEAT_COLD_ void leat_pool_sum_(leat_pool *p, leat_counts_ *sum)
{
    leat_counts_sum_(sum, &p->totals_);
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) leat_counts_sum_(sum, &w->counts_);
}

/* How many places of the queues hold no job any more, because it was cancelled. The caller holds the pool's lock. */
LEAT_COLD_ size_t leat_pool_stale_(leat_pool *p)
{
    size_t n = 0;
    for (int i = 0; i < p->lanes_; i++) {
        leat_lock_take_(&p->lane_[i].lock_);
        n += p->lane_[i].stale_;
        leat_lock_drop_(&p->lane_[i].lock_);
    }
    return n;
}

/* L14: how many accepted jobs have not returned, with the stale tokens among them. The caller holds the lock. */
LEAT_COLD_ size_t leat_pool_left_(leat_pool *p)
{
    leat_counts_ sum = { .completed_ = 0 };
    leat_pool_sum_(p, &sum);
    int64_t submits = atomic_load_explicit(&p->gate_, memory_order_relaxed) / LEAT_INSIDE_; /* [X7] the counts order it */
    return (size_t)submits - leat_counts_over_(&sum) - p->cleared_;
}

/* L14: resolves the threads in leat_pool_wait, if every accepted job has returned. Else marks the worker w (or NULL)
 * again, if there are any. The caller holds the lock, and wakes the chain after it. */
LEAT_COLD_ leat_node_ *leat_pool_idlers_(leat_pool *p, leat_worker_ *w)
{
    leat_node_ *chain = NULL;
    if (!p->awaiting_) return NULL;
    if (!leat_pool_left_(p)) leat_resolve_all_(&p->idlers_, LEAT_HANDED_OFF_, &chain);
    else if (w) atomic_store_explicit(&w->awaited_, 1, memory_order_relaxed); /* [X7] the lock orders it */
    return chain;
}

LEAT_COLD_ void leat_pool_tell_idlers_(leat_pool *p, leat_worker_ *w)
{
    leat_lock_take_(&p->threads_.lock_);
    leat_node_ *chain = leat_pool_idlers_(p, w);
    leat_lock_drop_(&p->threads_.lock_);
    leat_wake_all_(chain);
}

/* L14: a worker has no more jobs for now, or for ever. */
static inline void leat_worker_runs_out_(leat_worker_ *w)
{
    if (LEAT_RARELY_(atomic_exchange_explicit(&w->awaited_, 0, memory_order_release))) /* [W3] -> [W4] */
        leat_pool_tell_idlers_(w->pool_, w);
}

/* A submit leaves the gate while a thread may be in leat_pool_wait (L14). False: there is none. The thread is inside
 * until it has taken the lock. So the pool lives until this call has dropped it. */
LEAT_COLD_ bool leat_submit_tells_(leat_pool *p)
{
    leat_node_ *chain = NULL;
    leat_lock_take_(&p->threads_.lock_);
    bool awaited = p->awaiting_;
    if (awaited) {
        atomic_fetch_sub_explicit(&p->gate_, LEAT_INSIDE_, memory_order_release); /* [G1] -> [G2] */
        chain = leat_pool_idlers_(p, NULL);
    } else {
        atomic_fetch_and_explicit(&p->gate_, ~(int64_t)LEAT_AWAITED_, memory_order_relaxed); /* [X7] */
    }
    leat_lock_drop_(&p->threads_.lock_);
    leat_wake_all_(chain);
    return awaited;
}

/* A submit that has queued no job leaves the gate. One that has does not, as its count now stands for the job (L8): it
 * touches nothing of the pool any more (queue.h, I4). */
static inline void leat_submit_leaves_(leat_pool *p)
{
    int64_t gate = atomic_load_explicit(&p->gate_, memory_order_relaxed); /* [X7] */
    for (;;) {
        if (gate & LEAT_AWAITED_) {
            if (leat_submit_tells_(p)) return;
            gate = atomic_load_explicit(&p->gate_, memory_order_relaxed); /* [X7] */
        } else if (atomic_compare_exchange_weak_explicit(&p->gate_, &gate, gate - LEAT_INSIDE_,
                                                         memory_order_release, /* [G1] -> [G2] no access follows */
                                                         memory_order_relaxed)) {
            return;
        }
    }
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

/* Whether a submit to this lane would not have to wait. The caller holds the channel's lock. */
static inline bool leat_lane_has_room_(leat_lane_ *lane)
{
    leat_case c = leat_lane_case_(lane, LEAT_SENDS_, NULL); /* only polled */
    if (c.chan_->slots_) return leat_poll_case_(&c) != -EAGAIN;
    return leat_is_closed_(c.chan_) || leat_peer_waits_(&c);
}

/* L9: whether a worker other than `self` will take jobs (one that joins `self` will not). *unsure: a worker that seems
 * to be blocked may have got room, and be on its way back, or may still get room that is there, if another thread was woken
 * for it, and gives up. The caller holds the lock, and the locks of the lanes. */
static inline bool leat_pool_has_runner_(leat_pool *p, const leat_worker_ *self, bool *unsure)
{
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) {
        if (w == self || w->awaits_init_ || (self && w == self->joiner_)) continue;
        if (w->state_ != LEAT_RUNNING_ && w->state_ != LEAT_STARTING_) continue;
        if (!w->blocked_ || w->blocked_->told_) return true;
        leat_case *c = w->blocked_->case_;
        *unsure |= !c->link_.linked_ || leat_lane_has_room_(leat_lane_of_(c->chan_));
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
    *unsure = false;
    leat_lock_take_(&p->threads_.lock_);
    leat_lanes_lock_(p);
    leat_worker_ *w = leat_pool_has_runner_(p, NULL, unsure) ? NULL : leat_pool_first_blocked_(p);
    *unsure = *unsure && w;
    leat_blocked_ *b = w && !*unsure ? w->blocked_ : NULL;
    if (b) b->told_ = LEAT_TELLING_;
    leat_lanes_unlock_(p);
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

/* ---- Jobs that somebody holds (leat_job) ---- */

typedef struct leat_job_waiter_ {
    leat_node_ link_; /* first: its address is that of the whole */
    leat_job *job_;
    leat_spin_ *spin_;
    uint64_t last_; /* the final word of the job */
    bool entered_;
} leat_job_waiter_;

/* Moves a job from one state to another. False: it is not in the first. WAITERS stays as it is. */
static inline bool leat_job_move_(leat_job *j, uint64_t from, uint64_t to)
{
    uint64_t word = atomic_load_explicit(&j->word_, memory_order_relaxed); /* [X7] */
    while ((word & LEAT_JOB_STATE_) == from)
        if (atomic_compare_exchange_weak_explicit(&j->word_, &word, word - from + to,
                                                  memory_order_acq_rel, /* [J1] -> [J2], [J2] <- [J1] */
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* Ends a job (L13), and touches nothing of it after the store of its final word. It resolves the threads that wait first,
 * and writes that word into each waiter, so that none of them looks at the job again. */
LEAT_COLD_ void leat_job_end_(leat_job *j, uint64_t state, int result)
{
    const uint64_t last = (uint64_t)(uint32_t)result << 32 | state;
    leat_node_ *chain = NULL, **end = &chain;
    uint64_t word = atomic_load_explicit(&j->word_, memory_order_relaxed); /* [X7] */
    for (;;) {
        if (word & LEAT_JOB_WAITERS_) {
            leat_lock_take_(&j->lock_);
            end = leat_resolve_all_(&j->waiters_, LEAT_HANDED_OFF_, end);
            word = atomic_fetch_and_explicit(&j->word_, ~(uint64_t)LEAT_JOB_WAITERS_, memory_order_relaxed); /* [X7] */
            word &= ~(uint64_t)LEAT_JOB_WAITERS_;
            leat_lock_drop_(&j->lock_);
        } else if (atomic_compare_exchange_weak_explicit(&j->word_, &word, last, memory_order_release, /* [J1] -> [J2] */
                                                         memory_order_relaxed)) {
            break;
        }
    }
    for (leat_node_ *l = chain; l; l = l->next_) {
        void *whole = l;
        ((leat_job_waiter_ *)whole)->last_ = last;
    }
    leat_wake_all_(chain);
}

/* Puts a job at the end of its lane's list, with a state that says so. */
LEAT_COLD_ void leat_job_link_(leat_job *j)
{
    leat_lane_ *lane = j->lane_;
    leat_lock_take_(&lane->lock_);
    j->next_ = NULL;
    j->prev_ = lane->last_;
    *(lane->last_ ? &lane->last_->next_ : &lane->first_) = j;
    lane->last_ = j;
    j->linked_ = true;
    atomic_store_explicit(&j->word_, LEAT_JOB_QUEUED_, memory_order_release); /* [J1] -> [J2] */
    leat_lock_drop_(&lane->lock_);
}

/* Takes a job out of its lane's list. The caller holds the lane's lock. */
static inline void leat_job_unlink_(leat_job *j)
{
    leat_lane_ *lane = j->lane_;
    *(j->prev_ ? &j->prev_->next_ : &lane->first_) = j->next_;
    *(j->next_ ? &j->next_->prev_ : &lane->last_) = j->prev_;
    j->linked_ = false;
}

/* Exchanges a token for the first job of the list, which then runs, or for a stale token: NULL (L12). */
LEAT_COLD_ leat_job *leat_lane_exchange_(leat_lane_ *lane)
{
    leat_job *j = NULL;
    bool stale = false;
    for (unsigned round = 0;; leat_backoff_(&round)) { /* its submitter is about to put it there */
        leat_lock_take_(&lane->lock_);
        j = lane->first_;
        stale = !j && lane->stale_;
        if (j) leat_job_unlink_(j);
        else lane->stale_ -= stale;
        leat_lock_drop_(&lane->lock_);
        if (j || stale) break;
    }
    if (stale) return NULL;
    j->runner_ = leat_os_self_();
    for (unsigned round = 0; !leat_job_move_(j, LEAT_JOB_QUEUED_, LEAT_JOB_RUNS_);) leat_backoff_(&round); /* L13 */
    return j;
}

/* The call of a token. It stands for the job that the lane's list has first. */
LEAT_COLD_ int leat_run_job_(leat_ctx *ctx, void *arg)
{
    leat_lane_ *lane = (leat_lane_ *)arg;
    leat_worker_ *w = leat_worker_self_(lane->pool_);
    leat_job *j = leat_lane_exchange_(lane);
    w->job_ = j;
    w->token_ = j ? LEAT_JOB_TOKEN_ : LEAT_STALE_TOKEN_;
    return j ? j->fn_(ctx, j->arg_) : 0;
}

/* ---- Time in the queue ---- */

/* Has the next job of the lane timed, if none is. */
LEAT_COLD_ void leat_lane_wants_probe_(leat_lane_ *lane)
{
    int idle = LEAT_PROBE_IDLE_;
    if (atomic_compare_exchange_strong_explicit(&lane->probe_, &idle, LEAT_PROBE_WANTED_, memory_order_relaxed, /* [X7] */
                                                memory_order_relaxed) &&
        lane == lane->pool_->lane_)
        atomic_fetch_or_explicit(&lane->pool_->gate_, LEAT_PROBE_, memory_order_relaxed); /* [X7] */
}

/* The call of the job that is timed. It ends the timing. */
LEAT_COLD_ leat_call_ leat_lane_timed_(leat_lane_ *lane)
{
    leat_lane_counts_ *n = lane->counts_;
    leat_call_ call = lane->timed_;
    int64_t took = leat_now() - lane->timed_since_;
    uint64_t waited = took > 0 ? (uint64_t)took : 0;
    atomic_fetch_add_explicit(&n->waited_, waited, memory_order_relaxed); /* [X7] */
    if (waited > atomic_load_explicit(&n->most_, memory_order_relaxed))   /* [X7] */
        atomic_store_explicit(&n->most_, waited, memory_order_relaxed);   /* [X7] only one job of the lane is timed */
    atomic_fetch_add_explicit(&n->timed_, 1, memory_order_relaxed);       /* [X7] */
    atomic_store_explicit(&lane->probe_, LEAT_PROBE_IDLE_, memory_order_release); /* [J1] -> [J2] */
    return call;
}

/* Where the argument of a job stands that brings its value along. */
static inline void *leat_pool_by_value_(leat_pool *p)
{
    return &p->msg_size_;
}

LEAT_COLD_ int leat_run_timed_(leat_ctx *ctx, void *arg)
{
    leat_lane_ *lane = (leat_lane_ *)arg;
    leat_pool *p = lane->pool_;
    leat_call_ call = leat_lane_timed_(lane);
    if (call.arg_ == leat_pool_by_value_(p)) call.arg_ = leat_worker_self_(p)->value_;
    return call.fn_(ctx, call.arg_);
}

/* ---- What is in the queue ---- */

/* What a submit puts there. Without values only the call is copied. */
typedef struct leat_parcel_ {
    leat_call_ call_; /* first */
    const void *value_;
    size_t size_;
} leat_parcel_;

static inline void leat_copy_parcel_(void *to, const void *from)
{
    const leat_parcel_ *parcel = (const leat_parcel_ *)from;
    memcpy(to, &parcel->call_, sizeof parcel->call_);
    if (parcel->size_) memcpy((unsigned char *)to + sizeof parcel->call_, parcel->value_, parcel->size_);
}

/* The copiers (queue.h) of pools with values: with a queue, and without one, where the receiver meets a parcel. */
static inline void leat_copy_queued_(int way, void *in_slot, void *msg, size_t size)
{
    if (way == LEAT_SENDS_) leat_copy_parcel_(in_slot, msg);
    else memcpy(msg, in_slot, size);
}

static inline void leat_copy_met_(int way, void *peers, void *msg, size_t size)
{
    (void)size;
    if (way == LEAT_SENDS_) leat_copy_parcel_(peers, msg);
    else leat_copy_parcel_(msg, peers);
}

/* ---- The worker ---- */

/* The worker is to look at the lanes in the order first, first + 1.. Every eighth job that it takes goes to the other lanes
 * in turn. So a job that is the oldest of its lane waits for at most 8 (n - 1) jobs of each worker, in a pool of n
 * lanes. */
static inline int leat_worker_first_lane_(leat_worker_ *w)
{
    unsigned turn = w->turn_ / 8, others = (unsigned)w->pool_->lanes_ - 1;
    return others && w->turn_ % 8 == 7 ? 1 + (int)(turn % others) : 0;
}

/* Receives from lane i into what `value_` has before it and there. Returns what leat_move_ returns. */
static inline int leat_worker_try_(leat_worker_ *w, int i)
{
    leat_pool *p = w->pool_;
    return leat_move_by_(p->copy_, &w->ctx_, NULL, &p->lane_[i].queue_.chan, LEAT_RECEIVES_, w->value_ - sizeof(leat_call_),
                         p->msg_size_, _Alignof(leat_call_));
}

/* Waits for a job in any lane, first in the order given. Returns its lane, -EPIPE when all are closed and drained, or the
 * error of the worker's context. */
LEAT_COLD_ int leat_worker_wait_any_(leat_worker_ *w, int first)
{
    leat_pool *p = w->pool_;
    int n = p->lanes_, open = n;
    for (int k = 0; k < n; k++)
        w->cases_[k] = leat_lane_case_(&p->lane_[(first + k) % n], LEAT_RECEIVES_, w->value_ - sizeof(leat_call_));
    while (open) {
        int k = leat_select_first_ctx(&w->ctx_, w->cases_, (size_t)n);
        if (k < 0) return k;
        if (!w->cases_[k].err) return (first + k) % n;
        w->cases_[k].chan_ = NULL; /* closed and drained */
        open--;
    }
    return -EPIPE;
}

LEAT_COLD_ int leat_worker_take_any_(leat_worker_ *w, leat_call_ *call)
{
    leat_pool *p = w->pool_;
    int first = leat_worker_first_lane_(w), n = p->lanes_, lane = -EAGAIN;
    for (int k = 0; k < n && lane == -EAGAIN; k++) {
        int err = leat_worker_try_(w, (first + k) % n);
        if (err != -EAGAIN) lane = err ? err : (first + k) % n;
    }
    if (lane == -EAGAIN) {
        leat_worker_runs_out_(w);
        lane = leat_worker_wait_any_(w, first);
    }
    if (lane < 0) return lane;
    w->turn_++;
    memcpy(call, w->value_ - sizeof *call, sizeof *call);
    if (call->arg_ == leat_pool_by_value_(p)) call->arg_ = w->value_;
    return lane;
}

/* Takes the next job. Returns its lane, or an error: there are none, or the worker's context is done. */
static inline int leat_worker_take_(leat_worker_ *w, leat_call_ *call)
{
    leat_pool *p = w->pool_;
    leat_chan *ch = &p->lane_->queue_.chan;
    if (LEAT_RARELY_(w->cases_)) return leat_worker_take_any_(w, call);
    int err = leat_move_(&w->ctx_, NULL, ch, LEAT_RECEIVES_, call, sizeof *call, _Alignof(leat_call_));
    if (LEAT_USUALLY_(err != -EAGAIN)) return err;
    leat_case c = leat_case_(ch, LEAT_RECEIVES_, call, sizeof *call, _Alignof(leat_call_));
    err = leat_wait_first_(&w->ctx_, NULL, &c);
    if (err != -EAGAIN) return err;
    leat_worker_runs_out_(w); /* not for a microsecond without a job: this locks a cache line */
    err = leat_select_(&w->ctx_, NULL, &c, 1);
    return err < 0 ? err : c.err;
}

/* A token was run. If it stood for a leat_job, that ends last, so that a thread that waits for it finds it counted. */
LEAT_COLD_ void leat_worker_spent_(leat_worker_ *w, int lane, int err)
{
    bool stale = w->token_ == LEAT_STALE_TOKEN_;
    w->token_ = LEAT_NO_TOKEN_;
    if (stale) {
        leat_count_add_(&w->counts_.taken_[lane], (size_t)-1);
        leat_count_over_(&w->counts_.skipped_);
    } else {
        leat_count_over_(err ? &w->counts_.failed_ : &w->counts_.completed_);
        leat_job_end_(w->job_, LEAT_JOB_RAN_, err);
    }
}

/* A job has returned. */
static inline void leat_worker_returned_(leat_worker_ *w, int lane, int err)
{
    if (LEAT_RARELY_(w->token_)) {
        leat_worker_spent_(w, lane, err);
        return;
    }
    leat_count_over_(err ? &w->counts_.failed_ : &w->counts_.completed_);
}

/* Done at every 16th job that a worker takes of a lane. To ask for the length reads a cache line that submitters write,
 * which costs both sides a miss. So nobody asks any more once the queue has been seen full. */
LEAT_COLD_ void leat_lane_looks_(leat_lane_ *lane, size_t nth)
{
    _Atomic(size_t) *high = &lane->counts_->high_water_;
    if (leat_counter_(high) < leat_cap(&lane->queue_)) leat_high_water_(high, leat_len(&lane->queue_) + 1);
    if (nth % 1024 == 0 || (nth < 1024 && !(nth & (nth - 1)))) leat_lane_wants_probe_(lane); /* 0.3 us */
}

static inline void leat_worker_loop_(leat_worker_ *w)
{
    leat_pool *p = w->pool_;
    leat_call_ job;
    int lane;
    do {
        while ((lane = leat_worker_take_(w, &job)) >= 0) {
            size_t nth = leat_counter_(&w->counts_.taken_[lane]);
            if (LEAT_RARELY_(nth % 16 == 0)) leat_lane_looks_(&p->lane_[lane], nth);
            atomic_store_explicit(&w->counts_.taken_[lane], nth + 1, memory_order_relaxed); /* [X7] */
            leat_worker_returned_(w, lane, leat_task_call_(job, &p->ctx_, NULL));
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
    leat_worker_runs_out_(leat_worker_of_(t));
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
    bool simple = p->lanes_ == 1 && !p->copy_;
    size_t cases = simple ? 0 : (size_t)p->lanes_ * sizeof(leat_case);
    leat_worker_ *w =
        (leat_worker_ *)leat_zeroed_(1, sizeof *w + cases + (simple ? 0 : 2 * LEAT_LINE_ + p->opts_.value_size), 1);
    if (!w) return -ENOMEM;
    if (!simple) {
        void *behind = w + 1;
        w->cases_ = (leat_case *)behind;
        w->value_ = (unsigned char *)behind + cases + sizeof(leat_call_);
        w->value_ += -(uintptr_t)w->value_ % LEAT_LINE_;
    }
    atomic_store_explicit(&w->awaited_, 1, memory_order_relaxed); /* [X7] perhaps a thread is in leat_pool_wait */
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
    leat_worker_returned_(w, 0, -EINTR);
    leat_worker_runs_out_(w);
    if (p->opts_.worker_fini) p->opts_.worker_fini(p->opts_.user, w->thread_.id_);
    leat_lock_take_(&p->threads_.lock_);
    if (w->state_ == LEAT_RETIRING_) w->state_ = LEAT_EXITING_;
    bool running = w->state_ == LEAT_RUNNING_;
    leat_lock_drop_(&p->threads_.lock_);
    int err = running ? leat_pool_spawn_(p, w) : 0;
    leat_pool_reap_(p); /* or jobs that end their threads would leave ever more of them */
    if (err) leat_worker_rerun_(w, err);
}

/* A job or a hook has ended the worker's thread. Such an init hook counts as failed. After the fini hook there is
 * nothing left to do. */
static inline void leat_worker_on_exit_(leat_thread_ *t)
{
    leat_worker_ *w = leat_worker_of_(t);
    leat_pool *p = w->pool_;
    if (w->in_init_) leat_worker_init_done_(w, -EINTR);
    else if (leat_counts_taken_(&w->counts_) != leat_counts_over_(&w->counts_)) leat_worker_replace_(w);
    leat_worker_runs_out_(w);
    leat_wg_done(&p->running_);
}

/* Shuts the gate and closes the queue. The pool accepts no more jobs. */
static inline int leat_pool_shut_(leat_pool *p)
{
    if (!p || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    atomic_fetch_or_explicit(&p->gate_, LEAT_SHUT_, memory_order_release);                              /* [G1] -> [G2] */
    atomic_fetch_or_explicit(&p->calls_, LEAT_SHUT_, memory_order_release);                             /* [G1] -> [G2] */
    for (int i = 0; i < p->lanes_; i++) leat_close_(&p->lane_[i].queue_.chan);
    return 0;
}

/* The same for a caller that then waits for the pool's end, which a thread of the pool must not do: -EDEADLK. */
static inline int leat_pool_shut_to_wait_(leat_ctx *ctx, leat_pool *p)
{
    if (p && leat_self_(&p->threads_)) return leat_unless_done_(ctx, NULL, -EDEADLK);
    return leat_pool_shut_(p);
}

/* Takes what is left in the closed queue, lane 0 first, and counts it. Both happen under the lock. So no stop can miss it
 * (L8), or free the queue meanwhile. Returns its lane, or NULL. */
LEAT_COLD_ leat_lane_ *leat_pool_take_left_(leat_pool *p, void *job)
{
    leat_lane_ *from = NULL;
    leat_lock_take_(&p->threads_.lock_);
    for (int i = 0; i < p->lanes_ && !from; i++) {
        leat_case c = leat_lane_case_(&p->lane_[i], LEAT_RECEIVES_, job);
        if (leat_try_select_(NULL, &c, 1) == 0 && !c.err) from = &p->lane_[i];
    }
    p->cleared_ += from != NULL;
    leat_lock_drop_(&p->threads_.lock_);
    return from;
}

typedef void leat_hand_back_(leat_task *fn, void *arg, void *user);

/* Room for a value, or NULL in a pool without values. There is always some for one abort at a time. */
LEAT_COLD_ unsigned char *leat_pool_room_(leat_pool *p)
{
    unsigned char *room = NULL;
    for (unsigned round = 0; p->copy_ && !room; leat_backoff_(&round)) {
        leat_lock_take_(&p->threads_.lock_);
        room = p->room_;
        p->room_ = NULL;
        leat_lock_drop_(&p->threads_.lock_);
        if (!room) room = (unsigned char *)leat_zeroed_(1, LEAT_LINE_ + p->msg_size_, LEAT_LINE_);
    }
    return room;
}

LEAT_COLD_ void leat_pool_give_room_(leat_pool *p, unsigned char *room)
{
    leat_lock_take_(&p->threads_.lock_);
    if (!p->room_ && !p->freed_) {
        p->room_ = room;
        room = NULL;
    }
    leat_lock_drop_(&p->threads_.lock_);
    leat_zeroed_free_(room, LEAT_LINE_);
}

/* Hands back what is left in the queues of a shut pool. A leat_job is told that it will never run. */
LEAT_COLD_ void leat_pool_clear_(leat_pool *p, leat_hand_back_ *dropped, void *user)
{
    leat_call_ call = { NULL, NULL };
    unsigned char *room = leat_pool_room_(p), *value = room ? room + LEAT_LINE_ : NULL;
    void *job = room ? value - sizeof call : (void *)&call;
    for (leat_lane_ *lane; (lane = leat_pool_take_left_(p, job)) != NULL;) {
        if (room) memcpy(&call, job, sizeof call);
        if (call.fn_ == leat_run_timed_) call = leat_lane_timed_(lane);
        if (call.arg_ == leat_pool_by_value_(p)) call.arg_ = value;
        bool token = call.fn_ == leat_run_job_;
        leat_job *j = token ? leat_lane_exchange_(lane) : NULL;
        leat_lock_take_(&p->threads_.lock_);
        p->dropped_ += !token || j;
        leat_lock_drop_(&p->threads_.lock_);
        if (j) leat_job_end_(j, LEAT_JOB_NEVER_, 0);
        else if (!token && dropped) dropped(call.fn_, call.arg_, user);
    }
    leat_pool_give_room_(p, room);
    leat_pool_tell_idlers_(p, NULL);
}

/* L8: whether a shut pool may be ended, by an abort (aborts: 1) or a stop (0). While an abort is under way, a stop
 * leaves the end to it. *left: the number of jobs in the queue, for a stop without those that were cancelled. */
LEAT_COLD_ bool leat_pool_is_idle_(leat_pool *p, int aborts, size_t *left)
{
    leat_lock_take_(&p->threads_.lock_);
    int64_t submits = atomic_load_explicit(&p->gate_, memory_order_acquire) / LEAT_INSIDE_; /* [G2] <- [G1] */
    int64_t calls = atomic_load_explicit(&p->calls_, memory_order_acquire) / LEAT_INSIDE_;  /* [G2] <- [G1] */
    *left = leat_lanes_len_(p);
    bool idle = !calls && !p->threads_.list_ && !p->threads_.joining_ && (aborts || !p->aborting_);
    idle = idle && (size_t)submits == leat_counts_taken_(&p->totals_) + p->cleared_ + *left;
    /* No token is taken and not yet exchanged. A cancel has done with its lane when the lane's lock is free. */
    if (idle && !aborts) *left -= leat_pool_stale_(p);
    leat_lock_drop_(&p->threads_.lock_);
    return idle;
}

static inline void leat_pool_free_queue_(leat_pool *p)
{
    leat_lock_take_(&p->threads_.lock_); /* leat_pool_stats and leat_pool_take_left_ look at the queue under it */
    for (int i = 0; i < p->lanes_; i++) {
        leat_quiet_free_(p->lane_[i].queue_.chan.slots_);
        p->lane_[i].queue_.chan.slots_ = NULL;
    }
    leat_zeroed_free_(p->room_, LEAT_LINE_);
    p->room_ = NULL;
    p->freed_ = true;
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

/* Makes the queues, and the room for an abort. RETURN VALUES: 0. -ENOMEM, and everything is undone. */
LEAT_COLD_ int leat_pool_make_lanes_(leat_pool *p)
{
    if (p->copy_) p->room_ = (unsigned char *)leat_zeroed_(1, LEAT_LINE_ + p->msg_size_, LEAT_LINE_);
    int err = p->copy_ && !p->room_ ? -ENOMEM : 0;
    for (int i = 0; i < p->lanes_; i++) {
        leat_lane_ *lane = &p->lane_[i];
        lane->pool_ = p;
        lane->counts_ = &p->lane_counts_[i];
        atomic_store_explicit(&lane->probe_, LEAT_PROBE_WANTED_, memory_order_relaxed); /* [X7] */
        if (!err) err = leat_make_(&lane->queue_.chan, p->queue_cap_, p->msg_size_, _Alignof(leat_call_));
    }
    if (err) leat_pool_free_queue_(p);
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
    if (!p || o.workers < 0 || o.queue < LEAT_NO_QUEUE || o.queue > INT_MAX / 2 || o.workers > INT_MAX / 2) return -EINVAL;
    if (o.lanes < 0 || o.lanes > LEAT_LANES || o.value_size > INT32_MAX / 2) return -EINVAL;
    if (!o.workers) o.workers = leat_cpus();
    if (!o.queue) o.queue = 2 * o.workers;
    *p = (leat_pool){ .ctx_ = LEAT_CTX(ctx), .resizing_ = LEAT_SEM(1), .opts_ = o };
    p->queue_cap_ = o.queue == LEAT_NO_QUEUE ? 0 : (size_t)o.queue;
    p->lanes_ = o.lanes ? o.lanes : 1;
    p->msg_size_ = sizeof(leat_call_) + (o.value_size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    if (o.value_size) p->copy_ = p->queue_cap_ ? leat_copy_queued_ : leat_copy_met_;
    p->threads_.inherit_signals_ = o.inherit_signals;
    leat_threads_keep_name_(p->name_, o.name ? o.name : "leat");
    int err = leat_pool_make_lanes_(p);
    if (err) return err;
    /* no other thread uses the pool yet */
    int64_t gate = LEAT_STARTED_ | LEAT_PROBE_ | (p->copy_ ? LEAT_SIZED_ : 0);
    atomic_store_explicit(&p->gate_, gate, memory_order_relaxed);           /* [X7] */
    atomic_store_explicit(&p->calls_, LEAT_STARTED_, memory_order_relaxed); /* [X7] */
    if ((err = leat_pool_grow_(NULL, NULL, p, o.workers)) == 0) return 0;
    leat_pool_shut_(p);
    leat_wg_wait(&p->running_); /* a hook may have submitted jobs. They run if there is a worker */
    leat_pool_clear_(p, NULL, NULL);
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
    leat_lanes_lock_(p);
    bool runner = leat_pool_has_runner_(p, self, &unsure);
    if (!runner) unsure |= leat_lane_has_room_(leat_lane_of_(b->case_->chan_));
    leat_lanes_unlock_(p);
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
LEAT_COLD_ int leat_submit_wait_(leat_ctx *ctx, leat_lane_ *lane, leat_case *c)
{
    leat_pool *p = lane->pool_;
    leat_worker_ *self = leat_worker_self_(p);
    int r = leat_wait_first_(ctx, &p->ctx_, c);
    if (r != -EAGAIN) return r;
    leat_high_water_(&lane->counts_->high_water_, p->queue_cap_);
    r = self ? leat_worker_wait_(ctx, self, c) : leat_select_(ctx, &p->ctx_, c, 1);
    return r < 0 ? r : c->err;
}

LEAT_COLD_ int leat_submit_try_again_(leat_lane_ *lane, leat_case *c)
{
    leat_ctx *end = &lane->pool_->ctx_;
    int r = leat_try_select_(end, c, 1);
    if (r == -EAGAIN) return leat_unless_done_(end, NULL, r);
    return r < 0 ? r : c->err;
}

/* `msg` is the leat_call_ or, in a pool with values, the leat_parcel_. */
LEAT_COLD_ int leat_submit_again_(leat_ctx *ctx, leat_lane_ *lane, void *msg, bool waits)
{
    leat_case c = leat_lane_case_(lane, LEAT_SENDS_, msg);
    return waits ? leat_submit_wait_(ctx, lane, &c) : leat_submit_try_again_(lane, &c);
}

LEAT_COLD_ int leat_pool_refuse_(leat_pool *p, int err)
{
    leat_submit_leaves_(p);
    return err == -EPIPE ? -ESHUTDOWN : err;
}

/* The submit of anything, in any lane, after it has entered the gate. */
LEAT_COLD_ int leat_submit_parcel_(leat_ctx *ctx, leat_lane_ *lane, leat_parcel_ *parcel, bool waits)
{
    leat_pool *p = lane->pool_;
    int wanted = LEAT_PROBE_WANTED_;
    bool timed = atomic_load_explicit(&lane->probe_, memory_order_relaxed) == wanted && /* [X7] */
                 atomic_compare_exchange_strong_explicit(&lane->probe_, &wanted, LEAT_PROBE_USED_,
                                                         memory_order_acquire, /* [J2] <- [J1] */
                                                         memory_order_relaxed);
    if (timed) {
        lane->timed_ = parcel->call_;
        lane->timed_since_ = leat_now();
        parcel->call_ = (leat_call_){ leat_run_timed_, lane };
    }
    int err =
        leat_move_by_(p->copy_, ctx, &p->ctx_, &lane->queue_.chan, LEAT_SENDS_, parcel, p->msg_size_, _Alignof(leat_call_));
    if (err == -EAGAIN) err = leat_submit_again_(ctx, lane, parcel, waits);
    if (!err) return 0;
    if (timed) atomic_store_explicit(&lane->probe_, LEAT_PROBE_IDLE_, memory_order_release); /* [J1] -> [J2] */
    return leat_pool_refuse_(p, err);
}

/* Counts a submit in at the gate (L8). */
LEAT_HOT_ int64_t leat_submit_enters_(leat_pool *p)
{
    return atomic_fetch_add_explicit(&p->gate_, LEAT_INSIDE_, memory_order_acquire); /* [G2] <- [G1] */
}

/* Whether a submit that has entered may go on. RETURN VALUES: 0. Or -ESHUTDOWN, -EINVAL, and it has left. */
LEAT_COLD_ int leat_submit_may_(leat_pool *p, int64_t gate, int lane)
{
    bool open = (gate & (LEAT_STARTED_ | LEAT_SHUT_)) == LEAT_STARTED_;
    if (open && lane >= 0 && lane < p->lanes_) return 0;
    leat_submit_leaves_(p);
    return gate & LEAT_SHUT_ ? -ESHUTDOWN : -EINVAL;
}

/* The submit of anything but a simple job in lane 0. */
LEAT_COLD_ int leat_submit_to_(leat_ctx *ctx, leat_pool *p, int lane, leat_parcel_ parcel, bool waits)
{
    if (!p || !parcel.call_.fn_) return -EINVAL;
    int err = leat_submit_may_(p, leat_submit_enters_(p), lane);
    if (err) return leat_unless_done_(ctx, NULL, err);
    if (parcel.size_ > p->opts_.value_size) return leat_pool_refuse_(p, -E2BIG);
    return leat_submit_parcel_(ctx, &p->lane_[lane], &parcel, waits);
}

/* A submit that has met bits of the gate. */
LEAT_COLD_ int leat_submit_specially_(leat_ctx *ctx, leat_pool *p, leat_call_ call, bool waits, int64_t gate)
{
    int err = leat_submit_may_(p, gate, 0);
    if (err) return leat_unless_done_(ctx, NULL, err);
    if (gate & LEAT_PROBE_) atomic_fetch_and_explicit(&p->gate_, ~(int64_t)LEAT_PROBE_, memory_order_relaxed); /* [X7] */
    leat_parcel_ parcel = { .call_ = call };
    return leat_submit_parcel_(ctx, p->lane_, &parcel, waits);
}

LEAT_HOT_ int leat_submit_(leat_ctx *ctx, leat_pool *p, leat_task *fn, void *arg, bool waits)
{
    leat_call_ call = { fn, arg };
    if (LEAT_RARELY_(!fn || !p)) return -EINVAL;
    int64_t gate = leat_submit_enters_(p), bits = LEAT_STARTED_ | LEAT_SHUT_ | LEAT_PROBE_ | LEAT_SIZED_;
    if (LEAT_RARELY_((gate & bits) != LEAT_STARTED_)) return leat_submit_specially_(ctx, p, call, waits, gate);
    leat_lane_ *lane = p->lane_;
    int err = leat_move_(ctx, &p->ctx_, &lane->queue_.chan, LEAT_SENDS_, &call, sizeof call, _Alignof(leat_call_));
    if (LEAT_RARELY_(err == -EAGAIN)) err = leat_submit_again_(ctx, lane, &call, waits);
    return LEAT_USUALLY_(!err) ? 0 : leat_pool_refuse_(p, err);
}

/* Queues a job, which calls fn(ctx, arg) on one of the workers. The caller waits while the queue is full.
 * 0: accepted. The job will run once, or leat_pool_abort hands it to its `dropped`. -ESHUTDOWN: the pool is being
 * stopped. -ECANCELED, -ETIMEDOUT: the pool's context is done. -EDEADLK: the caller is a thread of the pool (a job, a
 * hook), and all workers that are left wait for room. -EINVAL. Any thread may call it, also jobs. It allocates
 * nothing.
 * In a pool with LEAT_NO_QUEUE a submit meets a worker that waits for a job.
 * try: -EAGAIN instead of waiting. ctx: -ECANCELED, -ETIMEDOUT also when `ctx` is done. */
LEAT_HOT_ int leat_submit_ctx(leat_ctx *ctx, leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_(ctx, p, fn, arg, true);
}

LEAT_HOT_ int leat_submit(leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_(NULL, p, fn, arg, true);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit(leat_pool *p, leat_task *fn, void *arg)
{
    return leat_submit_(NULL, p, fn, arg, false);
}

/* leat_submit in one of the pool's lanes, 0 to opts.lanes - 1. Each lane is a queue of its own. leat_submit uses lane 0.
 * A worker takes jobs from lane 0 first, then from lane 1, and so on. But every eighth job that it takes is from the other
 * lanes, in turn, where they have any. So of each 8 (n - 1) jobs that a worker takes, in a pool of n lanes, at least one
 * is from a given lane, while there is one: no lane is starved. -EINVAL also if there is no such lane. */
LEAT_HOT_ int leat_submit_lane_ctx(leat_ctx *ctx, leat_pool *p, int lane, leat_task *fn, void *arg)
{
    return leat_submit_to_(ctx, p, lane, (leat_parcel_){ .call_ = { fn, arg } }, true);
}

LEAT_HOT_ int leat_submit_lane(leat_pool *p, int lane, leat_task *fn, void *arg)
{
    return leat_submit_lane_ctx(NULL, p, lane, fn, arg);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_lane(leat_pool *p, int lane, leat_task *fn, void *arg)
{
    return leat_submit_to_(NULL, p, lane, (leat_parcel_){ .call_ = { fn, arg } }, false);
}

/* int leat_submit_value(leat_pool *p, leat_task *fn, v): as leat_submit, and copies *v into the queue. The job calls
 * fn(ctx, copy), with the worker's own copy, which is aligned as *v is, and lives until fn has returned.
 * leat_pool_abort hands dropped(fn, copy, user) a copy that lives until `dropped` has returned. `v` is a pointer to any
 * complete type. It allocates nothing. -E2BIG: *v is larger than the pool's value_size. -EINVAL also if it is to be
 * aligned to more than 64 bytes. */
#ifndef __cplusplus
#define leat_submit_value(p, fn, v) leat_submit_value_(NULL, p, fn, v, LEAT_VALUE_OF_(v), true)
#define leat_try_submit_value(p, fn, v) leat_try_submit_value_(p, fn, v, LEAT_VALUE_OF_(v))
#define leat_submit_value_ctx(ctx, p, fn, v) leat_submit_value_(ctx, p, fn, v, LEAT_VALUE_OF_(v), true)
#define LEAT_VALUE_OF_(v) sizeof *(v), _Alignof(__typeof__(*(v)))
#endif

LEAT_COLD_ int leat_submit_value_(leat_ctx *ctx, leat_pool *p, leat_task *fn, const void *v, size_t size, size_t align,
                                  bool waits)
{
    if (!p || !v || align > LEAT_LINE_) return -EINVAL;
    return leat_submit_to_(ctx, p, 0, (leat_parcel_){ { fn, leat_pool_by_value_(p) }, v, size }, waits);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_value_(leat_pool *p, leat_task *fn, const void *v, size_t size, size_t align)
{
    return leat_submit_value_(NULL, p, fn, v, size, align, false);
}

#ifdef __cplusplus
template <class V> LEAT_HOT_ int leat_submit_value_ctx(leat_ctx *ctx, leat_pool *p, leat_task *fn, V *v)
{
    static_assert(__is_trivially_copyable(V), "leat: a value is copied as bytes, so its type must be trivially copyable");
    return leat_submit_value_(ctx, p, fn, v, sizeof(V), alignof(V), true);
}

template <class V> LEAT_HOT_ int leat_submit_value(leat_pool *p, leat_task *fn, V *v)
{
    return leat_submit_value_ctx(NULL, p, fn, v);
}

template <class V> LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_value(leat_pool *p, leat_task *fn, V *v)
{
    static_assert(__is_trivially_copyable(V), "leat: a value is copied as bytes, so its type must be trivially copyable");
    return leat_try_submit_value_(p, fn, v, sizeof(V), alignof(V));
}
#endif

/* Queues a job that the caller can wait for, and cancel. *j must live until one leat_job_wait has returned its result, or
 * one leat_job_cancel has returned 0. From then on it may be freed, or submitted again. Several threads may wait for it,
 * and cancel it: then it must live until all these calls have returned. It allocates nothing.
 * 0, or the errors of leat_submit. Then the job is not accepted, and may be submitted again. If it has run before, its last
 * result stays. -EINVAL also if there is no lane j->lane. -EALREADY: it is in a queue, or runs.
 * leat_pool_abort does not hand it to `dropped`. Whoever waits for it learns that it never ran. */
LEAT_COLD_ int leat_submit_job_(leat_ctx *ctx, leat_pool *p, leat_job *j, bool waits)
{
    if (!p || !j || !j->fn_ || j->lane < 0 || j->lane >= LEAT_LANES) return -EINVAL;
    uint64_t state = atomic_load_explicit(&j->word_, memory_order_acquire) & LEAT_JOB_STATE_; /* [J2] <- [J1] */
    if (state != LEAT_JOB_NEW_ && state < LEAT_JOB_RAN_) return leat_unless_done_(ctx, NULL, -EALREADY);
    leat_lane_ *lane = &p->lane_[j->lane];
    int err = leat_submit_to_(ctx, p, j->lane, (leat_parcel_){ .call_ = { leat_run_job_, lane } }, waits);
    if (err) return err;
    j->lane_ = lane;
    leat_job_link_(j); /* L12: nothing of the pool or of the job is touched after this */
    return 0;
}

LEAT_HOT_ int leat_submit_job(leat_pool *p, leat_job *j)
{
    return leat_submit_job_(NULL, p, j, true);
}

LEAT_MUST_CHECK_ LEAT_HOT_ int leat_try_submit_job(leat_pool *p, leat_job *j)
{
    return leat_submit_job_(NULL, p, j, false);
}

LEAT_HOT_ int leat_submit_job_ctx(leat_ctx *ctx, leat_pool *p, leat_job *j)
{
    return leat_submit_job_(ctx, p, j, true);
}

/* What a wait returns that has seen the final word. */
static inline int leat_job_result_(uint64_t word, int *result)
{
    if ((word & LEAT_JOB_STATE_) == LEAT_JOB_NEVER_) return -ECANCELED;
    if (result) *result = (int)(uint32_t)(word >> 32);
    return 0;
}

/* The last look before the thread parks, called by leat_block_. It enqueues its node, and spins there: it must not look at
 * a job that another thread may free. */
static inline bool leat_job_enqueue_(void *what, leat_waiter_ *w)
{
    leat_job_waiter_ *self = (leat_job_waiter_ *)what;
    leat_job *j = self->job_;
    self->link_.waiter_ = w;
    leat_lock_take_(&j->lock_);
    uint64_t word = atomic_fetch_or_explicit(&j->word_, LEAT_JOB_WAITERS_, memory_order_acquire); /* [J2] <- [J1] */
    self->entered_ = (word & LEAT_JOB_STATE_) < LEAT_JOB_RAN_;
    if (self->entered_) leat_enqueue_(&j->waiters_, &self->link_);
    leat_lock_drop_(&j->lock_);
    if (self->entered_) leat_spin_until_woken_(w, self->spin_);
    return self->entered_;
}

/* Waits until the job has returned, and writes what it returned to *result (which may be NULL). What the job did
 * happens-before this return. 0. -ECANCELED: it never ran, as it was cancelled, or the pool was aborted. -EINVAL: it was
 * not accepted. -EDEADLK: the caller is the job. A job that waits for another job of its pool keeps its worker: if all
 * workers do so, none is left to run the other jobs.
 * A job whose thread ended returned -EINTR.
 * try: -EAGAIN while it waits or runs. ctx: -ECANCELED, -ETIMEDOUT when ctx (or NULL) is done. leat_ctx_err(ctx) tells
 * a cancelled context from a cancelled job. A thread that gives up uses the job until it has returned. */
LEAT_COLD_ int leat_job_wait_ctx(leat_ctx *ctx, leat_job *j, int *result)
{
    if (!j) return -EINVAL;
    for (leat_spin_ spin = LEAT_SPIN_;;) {
        uint64_t word = atomic_load_explicit(&j->word_, memory_order_acquire); /* [J2] <- [J1] */
        uint64_t state = word & LEAT_JOB_STATE_;
        int err = leat_ctx_err(ctx);
        if (err) return err;
        if (state >= LEAT_JOB_RAN_) return leat_job_result_(word, result);
        if (state == LEAT_JOB_NEW_) return -EINVAL;
        if (state == LEAT_JOB_RUNS_ && leat_os_same_(j->runner_, leat_os_self_())) return -EDEADLK;
        leat_waiter_ waiter;
        leat_waiter_init_(&waiter);
        leat_job_waiter_ self = { .job_ = j, .spin_ = &spin };
        leat_block_(&waiter, ctx, NULL, LEAT_FOREVER, leat_job_enqueue_, &self);
        leat_os_done_(&waiter.state_);
        if (waiter.won_) return leat_job_result_(self.last_, result);
        if (!self.entered_) continue;
        leat_lock_take_(&j->lock_);
        leat_dequeue_(&j->waiters_, &self.link_);
        leat_lock_drop_(&j->lock_);
        if ((err = leat_ctx_err_at_(ctx, leat_now())) != 0) return err;
    }
}

LEAT_HOT_ int leat_job_wait(leat_job *j, int *result)
{
    return leat_job_wait_ctx(NULL, j, result);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_job_wait(leat_job *j, int *result)
{
    uint64_t word = j ? atomic_load_explicit(&j->word_, memory_order_acquire) : 0; /* [J2] <- [J1] */
    if ((word & LEAT_JOB_STATE_) >= LEAT_JOB_RAN_) return leat_job_result_(word, result);
    return word & LEAT_JOB_STATE_ ? -EAGAIN : -EINVAL;
}

/* Takes a job back that no worker has taken. 0: it will never run, and a thread that waits for it gets -ECANCELED. Its place
 * in the queue is skipped. -EALREADY: it runs, has run, or was cancelled. -EINVAL: it was not accepted. Any thread may call
 * it, also the job itself (-EALREADY). It waits for nothing. */
LEAT_COLD_ int leat_job_cancel(leat_job *j)
{
    if (!j) return -EINVAL;
    if (!leat_job_move_(j, LEAT_JOB_QUEUED_, LEAT_JOB_CANCELLING_))                                           /* L13 */
        return atomic_load_explicit(&j->word_, memory_order_relaxed) & LEAT_JOB_STATE_ ? -EALREADY : -EINVAL; /* [X7] */
    leat_lane_ *lane = j->lane_;
    leat_lock_take_(&lane->lock_);
    bool linked = j->linked_;
    if (linked) {
        leat_job_unlink_(j);
        lane->stale_++;
        atomic_fetch_add_explicit(&lane->counts_->cancelled_, 1, memory_order_relaxed); /* [X7] */
    }
    leat_lock_drop_(&lane->lock_);
    if (linked) leat_job_end_(j, LEAT_JOB_NEVER_, 0);
    else leat_job_move_(j, LEAT_JOB_CANCELLING_, LEAT_JOB_QUEUED_); /* a worker has taken it, and may now start it */
    return linked ? 0 : -EALREADY;
}

typedef struct leat_idler_ {
    leat_node_ link_;
    leat_pool *pool_;
    bool idle_; /* every job had returned, and the thread need not park */
} leat_idler_;

/* Marks the workers, and the gate. Then looks whether all jobs have returned, and if not, enqueues the thread (L14). */
static inline bool leat_pool_enqueue_(void *what, leat_waiter_ *waiter)
{
    leat_idler_ *self = (leat_idler_ *)what;
    leat_pool *p = self->pool_;
    self->link_.waiter_ = waiter;
    leat_lock_take_(&p->threads_.lock_);
    atomic_fetch_or_explicit(&p->gate_, LEAT_AWAITED_, memory_order_relaxed); /* [X7] */
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w))
        atomic_exchange_explicit(&w->awaited_, 1, memory_order_acquire); /* [W4] <- [W3] */
    self->idle_ = !leat_pool_left_(p);
    if (!self->idle_) leat_enqueue_(&p->idlers_, &self->link_);
    leat_lock_drop_(&p->threads_.lock_);
    return !self->idle_;
}

/* leat_pool_wait_ctx, between its entry and its exit. */
LEAT_COLD_ int leat_pool_await_(leat_ctx *ctx, leat_pool *p)
{
    for (;;) {
        leat_waiter_ waiter;
        leat_waiter_init_(&waiter);
        leat_idler_ self = { .pool_ = p };
        leat_block_(&waiter, ctx, &p->ctx_, LEAT_FOREVER, leat_pool_enqueue_, &self);
        leat_os_done_(&waiter.state_);
        if (waiter.won_) return 0;
        leat_lock_take_(&p->threads_.lock_);
        if (self.link_.linked_) leat_dequeue_(&p->idlers_, &self.link_);
        bool idle = self.idle_ || leat_pool_left_(p) == leat_pool_stale_(p);
        leat_lock_drop_(&p->threads_.lock_);
        int err = leat_ctx_err_of_(ctx, idle ? NULL : &p->ctx_, leat_now()); /* a deadline is compared exactly */
        if (err || idle) return err;
    }
}

/* Waits until every job that was accepted has returned, also those that jobs have submitted meanwhile. The pool goes on.
 * While other threads go on submitting, the call waits for an instant at which there is no job. 0. What the jobs did
 * happens-before this return. -ECANCELED, -ETIMEDOUT: the pool's context is done, and jobs are left. -ESHUTDOWN: the pool
 * is being stopped. -EDEADLK: the caller is a thread of the pool. -EINVAL. Any thread may call it.
 * try: -EAGAIN while there are jobs. ctx: -ECANCELED, -ETIMEDOUT also when `ctx` (or NULL) is done. */
LEAT_COLD_ int leat_pool_wait_ctx(leat_ctx *ctx, leat_pool *p)
{
    int err = leat_pool_enter_(p);
    if (err) return leat_unless_done_(ctx, NULL, err);
    if (leat_worker_self_(p)) {
        err = leat_unless_done_(ctx, NULL, -EDEADLK);
    } else {
        leat_lock_take_(&p->threads_.lock_);
        p->awaiting_++;
        leat_lock_drop_(&p->threads_.lock_);
        err = leat_pool_await_(ctx, p);
        leat_lock_take_(&p->threads_.lock_);
        p->awaiting_--;
        leat_lock_drop_(&p->threads_.lock_);
    }
    leat_pool_exit_(p);
    return err;
}

LEAT_HOT_ int leat_pool_wait(leat_pool *p)
{
    return leat_pool_wait_ctx(NULL, p);
}

LEAT_MUST_CHECK_ LEAT_COLD_ int leat_try_pool_wait(leat_pool *p)
{
    int err = leat_pool_enter_(p);
    if (err) return err;
    leat_lock_take_(&p->threads_.lock_);
    bool idle = leat_pool_left_(p) == leat_pool_stale_(p);
    leat_lock_drop_(&p->threads_.lock_);
    leat_pool_exit_(p);
    return idle ? 0 : -EAGAIN;
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
    leat_pool_clear_(p, dropped, user);
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

/* Fills in what is counted of a lane. The caller holds the lock. */
LEAT_COLD_ leat_lane_stats leat_lane_stats_(leat_pool *p, int i, leat_counts_ *sum, uint64_t *waited)
{
    leat_lane_ *lane = &p->lane_[i];
    leat_lane_counts_ *n = &p->lane_counts_[i];
    leat_lane_stats st = { .queue_cap = p->queue_cap_, .taken = leat_counter_(&sum->taken_[i]) };
    leat_lock_take_(&lane->lock_);
    size_t len = leat_len(&lane->queue_), stale = lane->stale_;
    leat_lock_drop_(&lane->lock_);
    leat_high_water_(&n->high_water_, len);
    size_t high = leat_counter_(&n->high_water_);
    st.queued = len > stale ? len - stale : 0;
    st.queue_high = high < st.queue_cap ? high : st.queue_cap;
    st.timed = leat_counter_(&n->timed_);
    *waited = atomic_load_explicit(&n->waited_, memory_order_relaxed);             /* [X7] */
    st.wait_most = (int64_t)atomic_load_explicit(&n->most_, memory_order_relaxed); /* [X7] */
    st.wait_mean = st.timed ? (int64_t)(*waited / st.timed) : 0;
    return st;
}

/* Fills *st. 0. -EINVAL: the pool was never started. Any thread may call it, also after stop. */
LEAT_COLD_ int leat_pool_stats(leat_pool *p, leat_stats *st)
{
    if (!p || !st || !(atomic_load_explicit(&p->gate_, memory_order_relaxed) & LEAT_STARTED_)) return -EINVAL; /* [X7] */
    leat_counts_ sum = { .completed_ = 0 };
    uint64_t waited = 0, of_lane;
    *st = (leat_stats){ .lanes = p->lanes_ };
    leat_lock_take_(&p->threads_.lock_);
    leat_pool_sum_(p, &sum);
    for (leat_worker_ *w = leat_worker_first_(p); w; w = leat_worker_next_(w)) st->workers += w->state_ == LEAT_RUNNING_;
    st->dropped = p->dropped_;
    for (int i = 0; i < p->lanes_; i++) {
        leat_lane_stats lane = st->lane[i] = leat_lane_stats_(p, i, &sum, &of_lane);
        st->queued += lane.queued;
        st->queue_cap += lane.queue_cap;
        st->submitted += lane.taken;
        st->cancelled += leat_counter_(&p->lane_counts_[i].cancelled_);
        st->timed += lane.timed;
        waited += of_lane;
        if (lane.queue_high > st->queue_high) st->queue_high = lane.queue_high;
        if (lane.wait_most > st->wait_most) st->wait_most = lane.wait_most;
    }
    leat_lock_drop_(&p->threads_.lock_);
    st->wait_mean = st->timed ? (int64_t)(waited / st->timed) : 0;
    st->completed = leat_counter_(&sum.completed_);
    st->failed = leat_counter_(&sum.failed_);
    size_t over = st->completed + st->failed;
    st->busy = st->submitted > over ? st->submitted - over : 0;
    st->submitted += st->queued + st->dropped + st->cancelled;
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
 * changes the catch waits until those handlers have left. Then no thread uses the old catch any more.
 *
 * Windows has no signals, but its console has events, which are simpler. They are at the end. */

#if !defined LEAT_WINDOWS_ && !defined LEAT_NO_SIGNALS_

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
    _Atomic(int) holder_;    /* a lock: the process that holds it, or 0. A child that was forked meanwhile takes it over */
    _Atomic(int) pid_;       /* the process that has the catch's thread */
    _Atomic(uint32_t) gate_; /* (0: no catch, 1: the first, 2: the second) | handlers that have entered * 4 */
    leat_catch_ *catches_[2];
} leat_signals_;

/* A signal handler gets no argument from its installer, so these belong to the process. */
LEAT_ONE_OF_(leat_signals_, leat_signals_here_);
#ifdef __cplusplus
#define leat_signals_here_ LEAT_ONE_AS_(leat_signals_, leat_signals_here_)
#endif
LEAT_ONE_CALL_ void leat_on_signal_(int, void *, void *);
LEAT_ONE_CALL_ void *leat_signal_thread_(void *);

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

LEAT_ONE_CALL_ void leat_on_signal_(int sig, void *info, void *context)
{
    leat_signals_ *s = &leat_signals_here_;
    int saved = errno;
    bool here = atomic_load_explicit(&s->pid_, memory_order_acquire) == getpid(); /* [G8] <- [G7] not in a forked child */
    uint32_t gate = here ? atomic_fetch_add_explicit(&s->gate_, LEAT_IN_HANDLER_, memory_order_acquire) /* [G6] <- [G5] */
                         : atomic_load_explicit(&s->gate_, memory_order_acquire);                       /* [G8] <- [G7] */
    leat_catch_ *w = leat_catch_of_(gate);
    uint32_t none = 0;
    bool first = here && w &&
                 atomic_compare_exchange_strong_explicit(&w->bell_.word_, &none, (uint32_t)sig,
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

LEAT_ONE_CALL_ void *leat_signal_thread_(void *arg)
{
    leat_catch_ *w = (leat_catch_ *)arg;
    leat_os_name_("leat-signals");
    for (bool told = false;;) {
        uint32_t seen = atomic_load_explicit(&w->bell_.word_, memory_order_acquire); /* [G4] <- [G3] */
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
    atomic_fetch_or_explicit(&w->bell_.word_, LEAT_ENDS_, memory_order_relaxed); /* [X7] joined below */
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
 * previous one back, and needs no signals: leat_cancel_on_signals(NULL, 0). A signal that is no longer caught gets back
 * the action that it had. If the program has meanwhile put its own handler in place of leat_on_signal_, that handler
 * stays. When the call returns, no thread uses the previous call's `ctx` any more. After a call with ctx = NULL, neither
 * a thread nor a descriptor is left, and a plug-in may be unloaded. Otherwise `ctx` must live as long as the process.
 * The handler wakes a thread that this file has spawned, and that thread cancels `ctx`. In the child of a fork each
 * signal does what it would have done without the call. A signal handler must not call this function.
 * 0. Or an error, with nothing changed: -EINVAL (a ctx and no signal, or a signal that cannot be caught), -ENOMEM,
 * -EAGAIN (no thread could be spawned). Without futex also the error of pipe. */
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
    if ((ctx && !n) || known < n) err = -EINVAL;
    leat_catch_ *w = ctx && !err ? (leat_catch_ *)leat_zeroed_(1, sizeof *w + n * sizeof *w->caught_, 1) : NULL;
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

#elif defined LEAT_WINDOWS_

/* The system calls the handler on a thread of its own, so the handler itself may cancel. It takes the context out: the
 * next event finds none, and the system goes on to the handler that was registered before. */
typedef struct leat_console_ {
    leat_lock_ calls_;                       /* held by a call of leat_cancel_on_signals. The handler does not take it */
    leat_lock_ lock_;                        /* guards what follows */
    leat_ctx *ctx_;                          /* NULL: there is no catch, or it has got its event */
    uint32_t caught_;                        /* a bit for each signal */
    int cancels_;                            /* handlers that are cancelling */
    bool closes_;                            /* a handler keeps the system from ending the process */
    int LEAT_OS_CALL_ (*handler_)(uint32_t); /* which is registered. calls_ guards it */
} leat_console_;

LEAT_ONE_OF_(leat_console_, leat_console_here_);
#ifdef __cplusplus
#define leat_console_here_ LEAT_ONE_AS_(leat_console_, leat_console_here_)
#endif

/* 0 is Ctrl+C, 1 is Ctrl+Break. When it returns from any other event, the process ends. */
LEAT_COLD_ int LEAT_OS_CALL_ leat_on_console_(uint32_t event)
{
    leat_console_ *s = &leat_console_here_;
    int sig = event == 0 ? SIGINT : event == 1 ? SIGBREAK : SIGTERM;
    leat_lock_take_(&s->lock_);
    leat_ctx *ctx = s->caught_ >> sig & 1 ? s->ctx_ : NULL;
    if (ctx) {
        s->ctx_ = NULL;
        s->cancels_++;
        if (event > 1) s->closes_ = true;
    }
    leat_lock_drop_(&s->lock_);
    if (!ctx) return 0;
    leat_cancel(ctx, sig);
    leat_lock_take_(&s->lock_);
    s->cancels_--;
    leat_lock_drop_(&s->lock_);
    while (event > 1) leat_os_sleep_(UINT32_MAX /* INFINITE */);
    return 1;
}

/* leat_cancel_on_signals(ctx, SIGTERM, SIGINT, 0): the first of these events of the console cancels `ctx`, with the
 * signal's number as cause, for a graceful end. SIGINT is Ctrl+C. SIGBREAK is Ctrl+Break. SIGTERM is: the console's
 * window is closed, the user logs off, or the machine shuts down. The second event does what it would have done without
 * the call. It calls the program's own handler, or ends the process.
 * After SIGTERM the system ends the process as soon as main returns, but after some seconds in any case (5 where a
 * window is closed). raise(SIGTERM) is no event, and calls nothing of leat. Nor does TerminateProcess.
 * Ctrl+C that was ignored (SetConsoleCtrlHandler(NULL, TRUE), a new process group) stays ignored.
 * A call replaces the previous one, from whichever file of the program. A call with ctx = NULL only takes the
 * previous one back. When the call returns, no thread uses the previous call's `ctx` any more. After a call with
 * ctx = NULL no handler is left, unless the process is being ended. A plug-in may then be unloaded, but an event at that
 * moment may still be on its way into the handler. Otherwise `ctx` must live as long as the process.
 * A handler of the console's must not call this function.
 * 0. Or an error, with nothing changed: -EINVAL (no signal, or not one of these), -EAGAIN (no handler could be
 * registered). */
LEAT_COLD_ int leat_cancel_on_signals(leat_ctx *ctx, ...)
{
    leat_console_ *s = &leat_console_here_;
    uint32_t caught = 0;
    int err = 0;
    bool over = false;
    va_list ap;
    va_start(ap, ctx);
    for (int sig; (sig = va_arg(ap, int)) != 0;) {
        if (sig == SIGINT || sig == SIGBREAK || sig == SIGTERM) caught |= UINT32_C(1) << sig;
        else err = -EINVAL;
    }
    va_end(ap);
    if ((ctx && !caught) || err) return -EINVAL;
    leat_lock_take_(&s->calls_);
    if (ctx && !s->handler_) {
        if (leat_os_on_console_(leat_on_console_, 1)) s->handler_ = leat_on_console_;
        else err = -EAGAIN;
    }
    if (!err) {
        leat_lock_take_(&s->lock_);
        s->ctx_ = ctx;
        s->caught_ = caught;
        bool closes = s->closes_; /* then the system may hold a lock until the handler returns, which it does not */
        leat_lock_drop_(&s->lock_);
        if (!ctx && s->handler_ && !closes) {
            leat_os_on_console_(s->handler_, 0);
            s->handler_ = NULL;
        }
    }
    for (unsigned round = 0; !err && !over; leat_backoff_(&round)) {
        leat_lock_take_(&s->lock_);
        over = !s->cancels_;
        leat_lock_drop_(&s->lock_);
    }
    leat_lock_drop_(&s->calls_);
    return err;
}

#else /* LEAT_NO_SIGNALS_ */

/* WebAssembly has no signals. -ENOSYS, and nothing has changed. */
LEAT_COLD_ int leat_cancel_on_signals(leat_ctx *ctx, ...)
{
    (void)ctx;
    return -ENOSYS;
}

#endif

#ifdef __cplusplus
#define LEAT_C11_END_
#include "queue.h"
#endif
LEAT_OWN_STYLE_END_
#endif
