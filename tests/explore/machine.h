/* machine.h - the simulated machine: which thread may run, and what a load may see.
 * SPDX-License-Identifier: MIT
 *
 * THREADS are coroutines, and exactly one runs. Before each step that others could observe (an atomic access, a
 * system call) it switches to the thread that the schedule says. A schedule is
 *     random   by a seed: uniform; sticky (stays with a thread for a while); or PCT: random priorities
 *              that drop at a few random steps (Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized
 *              Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).
 *     exhaustive  all of them, in sequentially consistent memory, with at most so many preemptions
 *              (Musuvathi, Qadeer, "Iterative Context Bounding", PLDI 2007). A state that was reached
 *              before, with at least as many preemptions left, is not searched again: two schedules that
 *              differ only in the order of steps that do not touch the same thing lead to one state. A
 *              state is known by what each thread has done and read so far.
 *
 * MEMORY is that of C11 as repaired by RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer, PLDI 2017), in the operational form
 * of views (Kang, Hur, Lahav, Vafeiadis, Dreyer, POPL 2017) without promises: a load never sees a store that is yet
 * to come (RC11 forbids that as well). Each atomic location keeps all its stores ("messages") in modification order.
 * A thread's view says how old a message it may still read at each location. A release attaches the view to the
 * message, an acquire takes it over. A read-modify-write sits directly behind the message that it read, and carries
 * on its view (a release sequence). Stores may go into the middle of the order, where no view forbids it (2+2W). The
 * views hold vector clocks too, for the detection of data races. seq_cst is one global view. That is exact for
 * programs that use only fences, or only seq_cst accesses. In a mixture it forbids less than C11.
 *
 * A plain store to an atomic object (its initialisation) is no message. It must be ordered with every access to the
 * object by other means, otherwise it is a race. So the history starts anew with its value. */
#ifndef MACHINE_H
#define MACHINE_H

#include "sim.h"

enum { LOCATIONS = 2048, STACK = 65536, HEAP = 1 << 18, STEPS = 30000 };

typedef struct view {
    uint32_t n;                  /* how many of `seen` are there */
    long by;                     /* memory_give: after which event of the trace */
    uint32_t clock[SIM_THREADS]; /* the latest step of each thread that happened before */
    uint32_t seen[];             /* per location: no message older than this may be read */
} view;

/* ---- memory.c ---- */

enum { RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST }; /* as the compiler numbers them */
enum { EXCHANGE, ADD, SUB, AND, OR, XOR, NAND };

void memory_begin(bool sequential);    /* an execution: nothing is known of any address */
void memory_end(void);                 /* static memory gets its first values back */
void memory_thread(int t, int parent); /* t has seen what the parent saw */
void memory_see(int t);                /* the running thread has seen what t has seen: a join */
void memory_plain(const void *p, size_t size, bool write, void *pc);
uint64_t memory_load(const void *p, unsigned size, int order, void *pc);
void memory_store(void *p, unsigned size, uint64_t value, int order, void *pc);
uint64_t memory_rmw(void *p, unsigned size, int op, uint64_t operand, int order, void *pc);
bool memory_cas(void *p, unsigned size, uint64_t *expected, uint64_t value, int order, int fail_order, bool weak, void *pc);
void memory_fence(int order, void *pc);
void memory_fence_all(void *pc);               /* what membarrier does */
uint32_t memory_peek(const void *p, void *pc); /* what the kernel reads of a futex */
void memory_wake(const void *p);
void *memory_alloc(size_t size, size_t align);
void memory_free(void *p, void *pc);
void memory_freed(const void *p, size_t size, const char *what);
void memory_leaks(void);
bool memory_holds(const void *p); /* is it memory of the simulated program? */
uint64_t memory_state(void);

/* What a thread passes to another that synchronizes with it by the system's means. */
view *memory_give(void);
void memory_take(const view *v);

/* ---- threads.c ---- */

extern int self;    /* the running thread */
extern int threads; /* how many were spawned */
extern long step;   /* in this execution */
extern int64_t now; /* nanoseconds */
extern bool exhaustive;
extern int usable_cpus;

enum outcome { PASSED, FAILED, CUT }; /* CUT: it came to a state that had been searched */

void threads_search(int preemptions);  /* from now on: exhaustive, with so many. -1: random */
bool threads_more(void);               /* exhaustive: is there a schedule left? */
bool threads_replay(const char *path); /* exhaustive: only this one */
const char *threads_path(void);        /* of the last execution */
enum outcome threads_execute(void (*run)(const sim_knobs *), const sim_knobs *k, uint64_t seed);
const char *threads_failure(void); /* of the last execution, or NULL */
_Noreturn void threads_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint32_t threads_random(uint32_t n);
void threads_point(void); /* here other threads may run */
void threads_yield(void);
char *threads_stack(int t);
int threads_start(void *fn(void *), void *arg); /* its number */
_Noreturn void threads_exit(void *result);
void *threads_join(int t);
bool threads_asleep(int t);
bool threads_ended(int t);
int threads_of(const void *on);       /* the thread whose end is what a join waits for, or -1 */
const void *threads_sleeps_on(int t); /* NULL: it is not asleep */
int mutex_owner(const void *m);       /* the thread that has it, or -1: no thread has it, or it is no mutex */

/* Sleeps until a thread wakes `on` (returns 0), or until the deadline (ETIMEDOUT), or for no reason, if that may
 * happen (EINTR). */
int threads_wait(const void *on, int64_t deadline, bool spurious);
int threads_wake(const void *on, int n); /* how many it woke */

/* Exhaustive: the running thread has done a step at `where`. It depends on what is named `learned`. If it wrote, that
 * has a new name now. */
void threads_did(const void *where, uint64_t learned, uint64_t *written);
uint64_t threads_mix(uint64_t a, uint64_t b);

/* ---- system.c ---- */

void system_begin(void);
void system_weaken(int which, int order, uintptr_t pc); /* see main.c, --weaken */

/* ---- trace.c ---- */

void trace_begin(void);
void trace(const char *what, int order, const void *where, uint64_t a, uint64_t b, void *pc);
void trace_name(const void *p, size_t size, const char *name);
const char *trace_place(const void *p); /* a name for an address. The last eight stay valid */
bool trace_named(const void *p);
void trace_print(const char *exe);

/* For the replay alone, where `recorded` says that there will be one: what the next event of the running thread read
 * (which event stored it, which the newest store, and its value), and which event happened before it for another
 * reason. An event that says so comes after memory_take, and before memory_give. */
extern bool recorded;
void trace_reads(long from, long newest, uint64_t value);
void trace_after(long event, const char *why);
void trace_after_for(int thread, long event, const char *why);
long trace_last(void); /* the latest event, -1: none */
long trace_last_of(int thread);
void trace_says(uint64_t a); /* the value of the latest event is known now */
void trace_queue(const void *first, size_t next, const char *name);
double trace_length(void); /* for a person who reads it */
void trace_json(const char *exe, const char *scenario, const char *again, const char *failure);

/* ---- lesson.c ---- */

typedef struct store_told store_told; /* what is known of a store, for those that read it */
extern bool explaining;               /* the execution is one that will be told in words. Only then are these called */
void explain_begin(void);
bool explain_knows(const void *p);       /* has it a name? */
const char *explain_name(const void *p); /* of a static object, or NULL */
void explain_thread(int t, int parent, void *fn);
void explain_event(const char *what, int order, const void *where, uint64_t a, uint64_t b, void *pc);
void explain_says(uint64_t a);           /* as trace_says */
void explain_saw(const uint32_t *clock); /* by other means than atomic accesses */
void explain_read(const store_told *o);
const store_told *explain_wrote(int order, const uint32_t *own, const uint32_t *carried, const store_told *before);
void explain_stale(const store_told *newest, uint64_t value); /* of the event that comes next, as explain_race */
void explain_race(const void *where, int other, uint32_t clock);
int lesson_judge(const sim_scenario *scenarios, const char *name, const char *exe, long runs);

#endif
