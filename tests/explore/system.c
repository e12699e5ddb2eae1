/* system.c - the compiler's calls for each access, and the system's functions, for the simulated program.
 * SPDX-License-Identifier: MIT
 *
 * In the scenarios' object files the names of the system's functions were changed (symbols.txt), so these functions
 * here are called. A function whose name was not changed is the real one. */
#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define PC __builtin_return_address(0)

/* ==== Accesses ================================================================================ */

/* A mutant whose headers have a weaker order in one place. These are all calls that were compiled from that place. */
static uintptr_t weak_at[4096];
static int weak_count, weak_which, weak_order;

void system_weaken(int which, int order, uintptr_t pc)
{
    if (weak_count == sizeof weak_at / sizeof *weak_at) abort();
    weak_which = which;
    weak_order = order;
    weak_at[weak_count++] = pc;
}

/* The order of this call. `which` is 1 for its first one, 2 for that of a failed compare-exchange. */
static int ordered(int which, int order, void *pc)
{
    for (int i = 0; i < weak_count; i++)
        if (weak_at[i] == (uintptr_t)pc && weak_which == which) return weak_order;
    return order;
}

void __tsan_init(void)
{
}
void __tsan_func_entry(void *pc)
{
    (void)pc;
}
void __tsan_func_exit(void)
{
}
void __tsan_read_range(void *p, size_t n)
{
    memory_plain(p, n, false, PC);
}
void __tsan_write_range(void *p, size_t n)
{
    memory_plain(p, n, true, PC);
}
void __tsan_vptr_update(void **p, void *value)
{
    (void)value;
    memory_plain(p, sizeof *p, true, PC);
}

/* clang-format off */
#define PLAIN_(kind, n) \
    void __tsan_##kind##read##n(void *p) { memory_plain(p, n, false, PC); } \
    void __tsan_##kind##write##n(void *p) { memory_plain(p, n, true, PC); }
#define PLAIN(n) \
    PLAIN_(, n) PLAIN_(unaligned_, n) PLAIN_(volatile_, n) PLAIN_(unaligned_volatile_, n) \
    void __tsan_read_write##n(void *p) { memory_plain(p, n, true, PC); } \
    void __tsan_unaligned_read_write##n(void *p) { memory_plain(p, n, true, PC); }
PLAIN(1) PLAIN(2) PLAIN(4) PLAIN(8) PLAIN(16)

static bool cas_(void *p, unsigned size, uint64_t *expected, uint64_t v, int order, int fail, bool weak, void *pc)
{
    return memory_cas(p, size, expected, v, ordered(1, order, pc), ordered(2, fail, pc), weak, pc);
}

#define RMW_(bits, type, name, op) \
    type __tsan_atomic##bits##_##name(type *p, type v, int order) \
    { \
        return (type)memory_rmw(p, bits / 8, op, v, ordered(1, order, PC), PC); \
    }
#define ATOMIC(bits, type) \
    type __tsan_atomic##bits##_load(const type *p, int order) \
    { \
        return (type)memory_load(p, bits / 8, ordered(1, order, PC), PC); \
    } \
    void __tsan_atomic##bits##_store(type *p, type v, int order) \
    { \
        memory_store(p, bits / 8, v, ordered(1, order, PC), PC); \
    } \
    RMW_(bits, type, exchange, EXCHANGE) RMW_(bits, type, fetch_add, ADD) RMW_(bits, type, fetch_sub, SUB) \
    RMW_(bits, type, fetch_and, AND) RMW_(bits, type, fetch_or, OR) RMW_(bits, type, fetch_xor, XOR) \
    RMW_(bits, type, fetch_nand, NAND) \
    int __tsan_atomic##bits##_compare_exchange_strong(type *p, type *e, type v, int order, int fail) \
    { \
        uint64_t expected = *e; \
        bool done = cas_(p, bits / 8, &expected, v, order, fail, false, PC); \
        if (!done) *e = (type)expected; \
        return done; \
    } \
    int __tsan_atomic##bits##_compare_exchange_weak(type *p, type *e, type v, int order, int fail) \
    { \
        uint64_t expected = *e; \
        bool done = cas_(p, bits / 8, &expected, v, order, fail, true, PC); \
        if (!done) *e = (type)expected; \
        return done; \
    } \
    type __tsan_atomic##bits##_compare_exchange_val(type *p, type e, type v, int order, int fail) \
    { \
        uint64_t expected = e; \
        cas_(p, bits / 8, &expected, v, order, fail, false, PC); \
        return (type)expected; \
    }
ATOMIC(8, uint8_t) ATOMIC(16, uint16_t) ATOMIC(32, uint32_t) ATOMIC(64, uint64_t)
    /* clang-format on */

    void __tsan_atomic_thread_fence(int order)
{
    memory_fence(order, PC);
}
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}

void *sim_memcpy(void *to, const void *from, size_t n)
{
    memory_plain(from, n, false, PC);
    memory_plain(to, n, true, PC);
    return memcpy(to, from, n);
}

void *sim_memmove(void *to, const void *from, size_t n)
{
    memory_plain(from, n, false, PC);
    memory_plain(to, n, true, PC);
    return memmove(to, from, n);
}

void *sim_memset(void *to, int c, size_t n)
{
    memory_plain(to, n, true, PC);
    return memset(to, c, n);
}

/* ==== Memory ================================================================================== */

void *sim_malloc(size_t size)
{
    return memory_alloc(size, 16);
}
void *sim_calloc(size_t n, size_t size)
{
    return memset(memory_alloc(n * size, 16), 0, n * size);
}
void sim_free(void *p)
{
    memory_free(p, PC);
}

/* ==== Time ==================================================================================== */

/* In an exhaustive search time stands still, except for the deadlines of the threads asleep. */
int sim_clock_gettime(clockid_t id, struct timespec *ts)
{
    (void)id;
    if (!exhaustive) now += 25;
    else threads_did(&now, (uint64_t)now, NULL); /* a thread that saw another time is in another state */
    *ts = (struct timespec){ now / 1000000000, now % 1000000000 };
    return 0;
}

int sim_sched_yield(void)
{
    if (!exhaustive) now += 500;
    trace("yield", RELAXED, NULL, 0, 0, PC);
    threads_yield();
    return 0;
}

static long paused[SIM_THREADS]; /* after which step it did */

/* Several pauses in a row, with nothing done in between, are one. */
void sim_pause(void)
{
    if (paused[self] == step) return;
    if (!exhaustive) now += 25;
    threads_yield();
    paused[self] = step;
}

static int64_t deadline_of(const struct timespec *ts)
{
    return ts ? (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec : INT64_MAX;
}

/* ==== The kernel ============================================================================== */

static int futex_wait(uint32_t *word, uint32_t value, const struct timespec *ts, void *pc)
{
    threads_point();
    uint32_t seen = memory_peek(word, pc);
    if (seen != value) {
        trace("futex wait: changed", RELAXED, word, value, seen, pc);
        return EAGAIN;
    }
    trace(ts ? "futex wait, timed" : "futex wait", RELAXED, word, value, value, pc);
    if (deadline_of(ts) <= now) return ETIMEDOUT;
    int why = threads_wait(word, deadline_of(ts), true);
    trace(why == ETIMEDOUT ? "woke: time-out" : why ? "woke: no reason" : "woke", RELAXED, word, value, value, pc);
    return why;
}

/* ==== Signals ================================================================================= */

static void (*actions[65])(int);
static const view *actions_seen; /* the kernel's lock orders changes of actions */
static uint64_t actions_state;
static bool sent_again[SIM_THREADS];

static void (*action(int sig))(int)
{
    threads_point();
    threads_did(actions, actions_state, &actions_state);
    if (actions_seen) memory_take(actions_seen);
    return actions[sig];
}

int sim_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    void (*was)(int) = action(sig);
    if (act) {
        actions[sig] = act->sa_handler;
        trace("action set", RELAXED, &actions[sig], (uint64_t)was, (uint64_t)act->sa_handler, PC);
        actions_seen = memory_give();
    }
    if (old) {
        memset(old, 0, sizeof *old);
        old->sa_handler = was;
    }
    return 0;
}

bool sim_signal(int sig)
{
    do {
        void (*handler)(int) = action(sig);
        trace("signal", RELAXED, &actions[sig], (uint64_t)sig, (uint64_t)handler, PC);
        if (handler == SIG_DFL) return false;
        sent_again[self] = false;
        ((void (*)(int, void *, void *))(void (*)(void))handler)(sig, NULL, NULL);
    } while (sent_again[self]);
    return true;
}

/* ==== Descriptors ============================================================================= */

/* An eventfd. A thread that finds it readable, or reads it, sees what each thread that wrote had seen. */
typedef struct descriptor {
    bool open;
    uint64_t count;
    const view *seen;
    uint64_t state; /* which thread used it last */
} descriptor;

enum { LOWEST = 3 };
static descriptor descriptors[8];

static descriptor *descriptor_at(long fd, const char *call)
{
    threads_point();
    if (fd < LOWEST || fd >= LOWEST + 8 || !descriptors[fd - LOWEST].open)
        threads_fail("%s: descriptor %ld is not open", call, fd);
    return &descriptors[fd - LOWEST];
}

static void descriptor_did(descriptor *d, const char *what, uint64_t before, void *pc)
{
    threads_did(d, d->state, &d->state);
    if (d->seen) memory_take(d->seen);
    trace(what, RELAXED, d, before, d->count, pc);
    d->seen = memory_give();
}

static long descriptor_call(long number, const long *a, void *pc)
{
    long fd = 0;
    if (number == SYS_eventfd2) {
        threads_point();
        while (fd < 8 && descriptors[fd].open) fd++;
        if (fd == 8) threads_fail("too many descriptors");
        descriptors[fd] = (descriptor){ .open = true, .state = descriptors[fd].state };
        descriptor_did(&descriptors[fd], "eventfd", 0, pc);
        return fd + LOWEST;
    }
    descriptor *d = descriptor_at(a[0], number == SYS_write ? "write" : number == SYS_read ? "read" : "close");
    uint64_t before = d->count;
    if (number == SYS_write) d->count += *(uint64_t *)a[1];
    else d->count = 0;
    if (number == SYS_close) d->open = false;
    descriptor_did(d, number == SYS_write ? "write" : number == SYS_read ? "read" : "close", before, pc);
    if (number == SYS_write) threads_wake(d, SIM_THREADS);
    if (number == SYS_read && before) *(uint64_t *)a[1] = before;
    if (number == SYS_read && !before) {
        errno = EAGAIN;
        return -1;
    }
    return 8;
}

void sim_poll(int fd)
{
    descriptor *d = descriptor_at(fd, "poll");
    trace("poll", RELAXED, d, d->count, d->count, PC);
    while (!d->count) {
        threads_wait(d, INT64_MAX, false);
        if (!d->open) threads_fail("a descriptor was closed while a thread polls it");
    }
    descriptor_did(d, "poll ends", d->count, PC);
}

bool sim_readable(int fd)
{
    descriptor *d = descriptor_at(fd, "poll");
    descriptor_did(d, "looks", d->count, PC);
    return d->count;
}

int sim_descriptors(void)
{
    int n = 0;
    for (int i = 0; i < 8; i++) n += descriptors[i].open;
    return n;
}

int sim_no_membarrier;

long sim_syscall(long number, ...)
{
    long a[4];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 4; i++) a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_rt_sigprocmask || number == SYS_prctl) return 0;
    if (number == SYS_gettid) return self;
    if (number == SYS_rt_tgsigqueueinfo) { /* to itself, from a handler */
        sent_again[self] = true;
        return 0;
    }
    if (number == SYS_eventfd2 || number == SYS_write || number == SYS_read || number == SYS_close)
        return descriptor_call(number, a, PC);
    if (number == SYS_sched_getaffinity) {
        *(unsigned long *)a[2] = (1ul << usable_cpus) - 1;
        return sizeof(unsigned long);
    }
    if (number == SYS_membarrier) {
        errno = sim_no_membarrier && sim_no_membarrier-- == 1 ? ENOSYS : 0;
        if (errno) {
            sim_no_membarrier = 1; /* from now on */
            return -1;
        }
        threads_point();
        memory_fence_all(PC);
        return 0;
    }
    void *word = (void *)a[0];
    if (number == SYS_futex && (int)a[1] == 137) { /* FUTEX_WAIT_BITSET, private, absolute and monotonic */
        errno = futex_wait(word, (uint32_t)a[2], (const struct timespec *)a[3], PC);
        return errno ? -1 : 0;
    }
    if (number == SYS_futex && (int)a[1] == 129) { /* FUTEX_WAKE, private */
        threads_point();
        memory_wake(word);
        trace("futex wake", RELAXED, word, 0, 0, PC);
        int n = threads_wake(word, (int)a[2]);
        trace_says((uint64_t)n);
        return n;
    }
    threads_fail("system call %ld(%ld, %ld) is not simulated", number, a[0], a[1]);
}

/* ==== Threads ================================================================================= */

/* A mutex or condition variable is known by its address. The next owner sees what the last owner had seen. */
typedef struct object {
    const void *at;
    bool taken;
    int owner; /* if it is taken */
    const view *seen;
    uint64_t state; /* which thread took or dropped it last */
} object;

static object objects[64];
static int object_count;

static object *object_at(const void *p)
{
    for (int i = 0; i < object_count; i++)
        if (objects[i].at == p) return &objects[i];
    if (object_count == 64) threads_fail("too many mutexes and condition variables");
    objects[object_count] = (object){ .at = p };
    return &objects[object_count++];
}

int mutex_owner(const void *m)
{
    for (int i = 0; i < object_count; i++)
        if (objects[i].at == m && objects[i].taken) return objects[i].owner;
    return -1;
}

int sim_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
    (void)attr;
    *object_at(m) = (object){ .at = m };
    memory_plain(m, sizeof *m, true, PC);
    return 0;
}

/* A destroy or free of a mutex races with all uses that are not ordered with it, so each use is a load. */
int sim_pthread_mutex_destroy(pthread_mutex_t *m)
{
    if (object_at(m)->taken) threads_fail("a mutex was destroyed that is locked");
    memory_plain(m, sizeof *m, true, PC);
    return 0;
}

static void mutex_take(pthread_mutex_t *m)
{
    object *o = object_at(m);
    while (o->taken) threads_wait(m, INT64_MAX, false);
    o->taken = true;
    o->owner = self;
    threads_did(m, o->state, &o->state);
    if (o->seen) memory_take(o->seen);
    memory_plain(m, 1, false, PC);
}

static void mutex_drop(pthread_mutex_t *m)
{
    object *o = object_at(m);
    if (!o->taken) threads_fail("a mutex was unlocked that is not locked");
    memory_plain(m, 1, false, PC);
    o->taken = false;
    threads_did(m, o->state, &o->state);
    o->seen = memory_give();
    threads_wake(m, 1);
}

int sim_pthread_mutex_lock(pthread_mutex_t *m)
{
    threads_point();
    mutex_take(m);
    trace("mutex lock", RELAXED, m, 0, 0, PC);
    return 0;
}

int sim_pthread_mutex_unlock(pthread_mutex_t *m)
{
    threads_point();
    trace("mutex unlock", RELAXED, m, 0, 0, PC);
    mutex_drop(m);
    return 0;
}

int sim_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
    (void)attr;
    memory_plain(c, sizeof *c, true, PC);
    return 0;
}

int sim_pthread_cond_destroy(pthread_cond_t *c)
{
    memory_plain(c, sizeof *c, true, PC);
    return 0;
}

int sim_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *ts)
{
    threads_point();
    trace("cond wait", RELAXED, c, 0, 0, PC);
    memory_plain(c, 1, false, PC);
    mutex_drop(m);
    int why = threads_wait(c, deadline_of(ts), true);
    mutex_take(m);
    trace("cond wait ends", RELAXED, c, 0, 0, PC);
    return why == ETIMEDOUT ? ETIMEDOUT : 0;
}

int sim_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    return sim_pthread_cond_timedwait(c, m, NULL);
}

int sim_pthread_cond_signal(pthread_cond_t *c)
{
    threads_point();
    memory_plain(c, 1, false, PC);
    trace("cond signal", RELAXED, c, 0, 0, PC);
    threads_wake(c, 1);
    return 0;
}

int sim_pthread_cond_broadcast(pthread_cond_t *c)
{
    threads_point();
    memory_plain(c, 1, false, PC);
    trace("cond broadcast", RELAXED, c, 0, 0, PC);
    threads_wake(c, SIM_THREADS);
    return 0;
}

int sim_refuse;

int sim_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *fn(void *), void *arg)
{
    bool refused = sim_refuse & 1;
    (void)attr;
    threads_point();
    sim_refuse >>= 1;
    if (refused) return EAGAIN;
    int t = threads_start(fn, arg);
    *thread = (pthread_t)t;
    trace("thread made", RELAXED, NULL, (uint64_t)t, (uint64_t)t, PC);
    trace_after_for(t, trace_last(), "start");
    return 0;
}

int sim_pthread_join(pthread_t thread, void **result)
{
    void *r = threads_join((int)thread);
    trace("joined", RELAXED, NULL, (uint64_t)thread, (uint64_t)thread, PC);
    if (result) *result = r;
    return 0;
}

pthread_t sim_pthread_self(void)
{
    return (pthread_t)self;
}

int sim_pthread_setcancelstate(int state, int *old)
{
    (void)state;
    *old = 0;
    return 0;
}

/* Ending a thread from within runs its cleanup handlers. Each is code behind a setjmp of its own. */
static __pthread_unwind_buf_t *cleanups[SIM_THREADS][16];
static int cleanup_count[SIM_THREADS];

void sim_pthread_register_cancel(__pthread_unwind_buf_t *buf)
{
    if (cleanup_count[self] == 16) threads_fail("too many cleanup handlers");
    cleanups[self][cleanup_count[self]++] = buf;
}

void sim_pthread_unregister_cancel(__pthread_unwind_buf_t *buf)
{
    (void)buf;
    cleanup_count[self]--;
}

_Noreturn void sim_pthread_exit(void *result)
{
    if (cleanup_count[self]) {
        void *at = cleanups[self][--cleanup_count[self]]; /* begins as a jmp_buf does, without the mask */
        longjmp(at, 1);
    }
    threads_exit(result);
}

_Noreturn void sim_pthread_unwind_next(__pthread_unwind_buf_t *buf)
{
    (void)buf;
    sim_pthread_exit(NULL);
}

void system_begin(void)
{
    object_count = 0;
    memset(descriptors, 0, sizeof descriptors);
    memset(actions, 0, sizeof actions);
    memset(sent_again, 0, sizeof sent_again);
    actions_seen = NULL;
    actions_state = 0;
    memset(paused, 0, sizeof paused);
    memset(cleanup_count, 0, sizeof cleanup_count);
}
