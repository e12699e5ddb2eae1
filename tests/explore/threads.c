/* threads.c - the simulated threads, and which of them runs next. See machine.h.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE /* it does not accept that one stack jumps to another */
#include "machine.h"

#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum state { READY, ASLEEP, ENDED };
enum { EXCESS = 300 /* steps in a row of one thread under PCT: it spins */ };
static const int64_t forever = INT64_MAX;

typedef struct thread {
    jmp_buf at;
    ucontext_t entry;
    bool entered;
    void *(*fn)(void *);
    void *arg, *result;
    enum state state;
    const void *on; /* asleep: what it waits for */
    int64_t deadline;
    bool spurious;
    int woken;    /* by: 0, ETIMEDOUT, EINTR */
    bool yielded; /* exhaustive: others first */
    int priority; /* PCT */
    int in_a_row;
    uint64_t did; /* the name of all that it has done and learned */
    int err;      /* its errno, and its thread-local variables */
    char tls[1024];
} thread;

int self, threads, usable_cpus;
long step;
int64_t now;
bool exhaustive;

static thread t[SIM_THREADS];
static jmp_buf driver;
static char failure[400];
static const sim_knobs *knobs;
static void (*body)(const sim_knobs *);

/* ==== Chance ================================================================================== */

static uint64_t dice;

uint32_t threads_random(uint32_t n) /* xorshift, Marsaglia 2003 */
{
    dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
    return (uint32_t)((dice >> 16 & 0xFFFFFFFF) * n >> 32);
}

uint64_t threads_mix(uint64_t a, uint64_t b) /* as splitmix64, Steele, Lea, Flood 2014 */
{
    uint64_t x = a * UINT64_C(0x9E3779B97F4A7C15) + b + UINT64_C(0xD1B54A32D192ED03);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static enum { UNIFORM, STICKY, PCT, STRATEGIES } strategy;
static bool sudden;   /* threads wake for no reason */
static bool hurried;  /* time passes in leaps */
static long drops[4]; /* PCT: at these steps the running thread's priority falls below all */
static int lowest;

static void draw(uint64_t seed)
{
    dice = threads_mix(seed, 0) | 1;
    strategy = seed % STRATEGIES;
    sudden = seed / 3 % 5 == 0;
    hurried = seed / 15 % 4 == 0;
    usable_cpus = 1 + (seed / 3 % 3 == 0);
    lowest = 0;
    for (int i = 0; i < 4; i++) drops[i] = 1 + threads_random(16u << threads_random(8));
}

/* ==== Exhaustive search ======================================================================= */

/* The choices of the current schedule, where there was one: how many threads could go on, and which of them did. */
typedef struct choice {
    uint8_t n, taken;
} choice;

static choice path[STEPS];
static int depth, known;   /* in this execution, and how many of them are to be repeated */
static int budget, left;   /* preemptions */
static uint64_t *searched; /* name of a state, with the preemptions that were left in the low byte */
static size_t searched_count;
static const size_t searched_size = (size_t)1 << 23;

void threads_search(int preemptions)
{
    exhaustive = preemptions >= 0;
    budget = preemptions;
    known = 0;
    if (!exhaustive) return;
    if (searched) munmap(searched, searched_size * sizeof *searched);
    searched = mmap(NULL, searched_size * sizeof *searched, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (searched == MAP_FAILED) abort();
    searched_count = 0;
}

bool threads_more(void)
{
    while (depth && path[depth - 1].taken + 1 == path[depth - 1].n) depth--;
    if (!depth) return false;
    path[depth - 1].taken++;
    known = depth;
    return true;
}

bool threads_replay(const char *text)
{
    for (known = 0; *text && known < STEPS; known++, text++) {
        if (*text < 'a' || *text >= 'a' + SIM_THREADS) return false;
        path[known].taken = (uint8_t)(*text - 'a');
    }
    return !*text;
}

const char *threads_path(void)
{
    static char text[STEPS + 1];
    for (int i = 0; i < depth; i++) text[i] = (char)('a' + path[i].taken);
    text[depth] = 0;
    return text;
}

void threads_did(const void *where, uint64_t learned, uint64_t *written)
{
    if (!exhaustive) return;
    t[self].did = threads_mix(threads_mix(t[self].did, (uintptr_t)where), learned);
    if (!written) return;
    *written = t[self].did;
    for (int i = 0; i < threads; i++) t[i].yielded = false; /* a thread that spins should look again */
}

/* Whether the present state was searched already with as many preemptions left. Notes that it is now. */
static bool seen_before(void)
{
    uint64_t name = threads_mix(memory_state(), threads_mix((uint64_t)now, (uint64_t)self));
    for (int i = 0; i < threads; i++)
        name += threads_mix(t[i].did, (uint64_t)((t[i].woken * 16 + i) * 8 + (int)t[i].state * 2 + t[i].yielded));
    name = threads_mix(name, 1) & ~UINT64_C(0xFF);
    if (!name) name = 0x100;
    size_t at = (size_t)(name >> 8) & (searched_size - 1);
    while (searched[at] && (searched[at] & ~UINT64_C(0xFF)) != name) at = (at + 1) & (searched_size - 1);
    if (searched[at] && (int)(searched[at] & 0xFF) >= left + 1) return true;
    if (!searched[at]) {
        if (searched_count > searched_size / 4 * 3) return false;
        searched_count++;
    }
    searched[at] = name | (uint64_t)(left + 1);
    return false;
}

/* ==== Switching =============================================================================== */

static char *tls;
static size_t tls_size;
static char tls_first[sizeof t->tls];

static int find_tls(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            tls = info->dlpi_tls_data;
            tls_size = info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* only the program itself, which comes first */
}

static void resume(int next)
{
    self = next;
    errno = t[next].err;
    memcpy(tls, t[next].tls, tls_size);
    if (t[next].entered) _longjmp(t[next].at, 1);
    t[next].entered = true;
    setcontext(&t[next].entry);
    abort();
}

static void switch_to(int next)
{
    if (next == self) return;
    thread *from = &t[self];
    from->err = errno;
    from->in_a_row = 0;
    memcpy(from->tls, tls, tls_size);
    if (_setjmp(from->at) == 0) resume(next);
}

bool threads_asleep(int i)
{
    return t[i].state == ASLEEP;
}

bool threads_ended(int i)
{
    return t[i].state == ENDED;
}

int threads_of(const void *on)
{
    for (int i = 0; i < threads; i++)
        if (on == &t[i]) return i;
    return -1;
}

const void *threads_sleeps_on(int i)
{
    return t[i].state == ASLEEP ? t[i].on : NULL;
}

_Noreturn static void leave(enum outcome o)
{
    _longjmp(driver, 1 + (int)o);
}

void threads_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(failure, sizeof failure, format, args);
    va_end(args);
    leave(FAILED);
}

const char *threads_failure(void)
{
    return failure[0] ? failure : NULL;
}

static void all_asleep(void)
{
    char text[300] = "";
    for (int i = 0; i < threads; i++) {
        size_t n = strlen(text);
        if (t[i].state == ASLEEP) snprintf(text + n, sizeof text - n, "%sT%d on %s", n ? ", " : "", i, trace_place(t[i].on));
    }
    threads_fail("everybody is asleep: %s", text);
}

/* ==== Which is next =========================================================================== */

static void wake(thread *w, int why)
{
    if (why == ETIMEDOUT && now < w->deadline) now = w->deadline;
    w->state = READY;
    w->woken = why;
}

static int earliest(void)
{
    int first = -1;
    for (int i = 0; i < threads; i++)
        if (t[i].state == ASLEEP && t[i].deadline != forever && (first < 0 || t[i].deadline < t[first].deadline)) first = i;
    return first;
}

static int pick_random(bool yields)
{
    int ready[SIM_THREADS], n = 0, best;
    for (int i = 0; i < threads; i++)
        if (t[i].state == READY && !(yields && i == self)) ready[n++] = i;
    if (!n) return t[self].state == READY ? self : -1;
    switch (strategy) {
    case STICKY:
        if (!yields && t[self].state == READY && threads_random(6)) return self;
        return ready[threads_random((uint32_t)n)];
    case PCT:
        best = ready[0];
        for (int i = 1; i < n; i++)
            if (t[ready[i]].priority > t[best].priority) best = ready[i];
        return best;
    default: return ready[threads_random((uint32_t)n)];
    }
}

/* Exhaustive: first the running thread goes on, if it can. Any other is then a preemption, also a thread in a timed
 * sleep whose deadline passes now. */
static int pick_next(bool yields)
{
    choice *c = &path[depth];
    bool could = t[self].state == READY && !yields;
    int n = 0, ready = 0, eager = 0, option[SIM_THREADS];
    if (yields) t[self].yielded = true;
    for (int i = 0; i < threads; i++) {
        ready += t[i].state == READY;
        eager += t[i].state == READY && !t[i].yielded;
    }
    if (!ready) return -1;
    for (int i = 0; !eager && i < threads; i++) t[i].yielded = false; /* all have had their turn */
    if (could) option[n++] = self;
    for (int i = 0; i < threads; i++) {
        bool timed = t[i].state == ASLEEP && t[i].deadline != forever;
        bool can = t[i].state == READY && !t[i].yielded && !(could && i == self);
        if ((can && (!could || left)) || (timed && left)) option[n++] = i;
    }
    int taken = 0;
    if (n > 1) {
        if (depth >= known) {
            if (seen_before()) leave(CUT);
            c->taken = 0;
        }
        taken = c->taken < n ? c->taken : 0;
        c->n = (uint8_t)n;
        depth++;
    }
    int next = option[taken];
    t[next].yielded = false;
    if (t[next].state == ASLEEP) {
        wake(&t[next], ETIMEDOUT);
        left--;
    } else if (could && next != self) {
        left--;
    }
    return next;
}

static void go_on(bool yields)
{
    if (++step > STEPS) threads_fail("no end after %d steps: livelock", STEPS);
    int next = exhaustive ? pick_next(yields) : pick_random(yields);
    if (next < 0) { /* time passes */
        next = earliest();
        if (next < 0) all_asleep();
        wake(&t[next], ETIMEDOUT);
    }
    switch_to(next);
}

void threads_point(void)
{
    if (!exhaustive) {
        if (threads_random(40) == 0)
            for (int i = 0; i < threads; i++)
                if (t[i].state == ASLEEP && t[i].deadline != forever && threads_random(2)) wake(&t[i], ETIMEDOUT);
        if (sudden && threads_random(50) == 0)
            for (int i = 0; i < threads; i++)
                if (t[i].state == ASLEEP && t[i].spurious && threads_random(2)) wake(&t[i], EINTR);
        if (hurried && threads_random(150) == 0) now += 2000000;
        for (int i = 0; i < 4; i++)
            if (drops[i] == step) t[self].priority = --lowest;
        if (++t[self].in_a_row > EXCESS) {
            t[self].in_a_row = 0;
            t[self].priority = --lowest;
        }
    }
    go_on(false);
}

/* In most cases really to another thread. */
void threads_yield(void)
{
    t[self].priority = --lowest;
    if (exhaustive || threads_random(8)) go_on(true);
    else threads_point();
}

int threads_wait(const void *on, int64_t deadline, bool spurious)
{
    thread *me = &t[self];
    me->state = ASLEEP;
    me->on = on;
    me->deadline = deadline;
    me->spurious = spurious;
    go_on(false);
    threads_did(on, (uint64_t)me->woken, NULL);
    return me->woken;
}

int threads_wake(const void *on, int n)
{
    int woken = 0;
    while (woken < n) {
        int waits[SIM_THREADS], k = 0;
        for (int i = 0; i < threads; i++)
            if (t[i].state == ASLEEP && t[i].on == on) waits[k++] = i;
        if (!k) break;
        int i = waits[exhaustive ? 0 : threads_random((uint32_t)k)];
        trace_after_for(i, trace_last_of(self), "wake");
        wake(&t[i], 0);
        woken++;
    }
    return woken;
}

/* ==== Threads ================================================================================= */

static void enter(void)
{
    thread *me = &t[self];
    if (self == 0) {
        body(knobs);
        memory_leaks();
        for (int i = 1; i < threads; i++)
            if (t[i].state != ENDED) threads_fail("T%d was not joined", i);
        leave(PASSED);
    }
    threads_exit(me->fn(me->arg));
}

void threads_exit(void *result)
{
    threads_point();
    t[self].result = result;
    t[self].state = ENDED;
    threads_wake(&t[self], SIM_THREADS);
    go_on(false);
    abort();
}

int threads_start(void *fn(void *), void *arg)
{
    if (threads == SIM_THREADS) threads_fail("too many threads");
    int i = threads++;
    thread *n = &t[i];
    memset(n, 0, offsetof(thread, tls));
    n->fn = fn;
    n->arg = arg;
    n->priority = 1 + (int)threads_random(1000);
    n->did = threads_mix((uint64_t)i, i ? t[self].did : 0);
    memcpy(n->tls, tls_first, tls_size);
    memory_thread(i, i ? self : 0);
    if (explaining) explain_thread(i, i ? self : 0, (void *)(uintptr_t)fn);
    getcontext(&n->entry);
    n->entry.uc_stack.ss_sp = threads_stack(i);
    n->entry.uc_stack.ss_size = STACK;
    n->entry.uc_link = NULL;
    makecontext(&n->entry, enter, 0);
    return i;
}

void *threads_join(int i)
{
    threads_point();
    while (t[i].state != ENDED) threads_wait(&t[i], forever, false);
    threads_did(&t[i], t[i].did, NULL);
    memory_see(i);
    return t[i].result;
}

enum outcome threads_execute(void (*run)(const sim_knobs *), const sim_knobs *k, uint64_t seed)
{
    if (!tls) {
        dl_iterate_phdr(find_tls, NULL);
        if (tls_size > sizeof tls_first) abort();
        memcpy(tls_first, tls, tls_size);
    }
    body = run;
    knobs = k;
    failure[0] = 0;
    self = threads = 0;
    step = 0;
    depth = 0;
    left = budget;
    now = INT64_C(1000000000000);
    draw(seed);
    if (exhaustive) usable_cpus = 1;
    trace_begin();
    system_begin();
    memory_begin(exhaustive);
    threads_start(NULL, NULL);
    int ended = _setjmp(driver);
    if (!ended) resume(0);
    memory_end();
    return (enum outcome)(ended - 1);
}
