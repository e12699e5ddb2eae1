/* step.h - a stage on which one thread moves at a time, and one can be stopped before any instruction.
 *
 *     #define LEAT_CUSTOM_OS "step.h"
 *     #include "pool.h"
 *
 * SPDX-License-Identifier: MIT
 *
 * This is part 1 of queue.h, played by actors. An actor is a thread. One of them runs until it ends, waits in
 * leat_os_word_wait_, or is stopped. Then the stage manager, which is the main thread, decides which actor runs next. So a
 * run repeats exactly, except for the dice of a select. A test sees that a thread waits, and does not guess it from a
 * time that has passed. The clock is a number. The threads that pool.h spawns are actors too.
 *
 * One actor is stepped. In a first run the processor's trap flag shows each instruction that the actor executes: its
 * path. Then each step of that path gets a run of its own. In it the actor is stopped at that step, stage.meanwhile()
 * is called, and the actor goes on. This second kind of run uses a breakpoint that is written into the code, because
 * to trap all the way would take ten times as long.
 *
 * The path contains only the program's own code. No actor is stopped in the C library. */
#ifndef LEAT_STEP_H
#define LEAT_STEP_H

#include "tap.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <ucontext.h>

/* ==== Actors ================================================================================== */

enum { ACTORS = 16, MOST_STEPS = 100000, TRAP_FLAG = 0x100, BREAKPOINT = 0xCC };
enum { FREE, READY, WAITS, OVER }; /* OVER: it has ended, and is to be joined */

struct actor {
    pthread_t thread;
    sem_t go;
    void *(*play)(void *);
    void *arg;
    int state;
    bool joinable;
    const void *at; /* WAITS: for a wake here */
    bool backs_off; /* WAITS: it backs off, in no wait queue, until another actor has finished something */
    int64_t deadline;
    bool woken, late;
    int parked_at; /* when it first parked in this part. 0: never */
};

struct step {
    unsigned char *at; /* this instruction .. */
    int visit;         /* .. executed for the n-th time */
};

/* volatile: while an actor is stopped, the compiler keeps none of it in a register */
static struct {
    struct actor actors[ACTORS];
    sem_t manager;
    volatile int64_t clock;
    volatile int ticks; /* counts what happens */
    void (*meanwhile)(void);
    struct actor *volatile stepped;
    volatile bool notes; /* its path is being noted */
    struct step path[MOST_STEPS];
    volatile int steps;
    unsigned char *volatile stop_at; /* NULL, or where the breakpoint is */
    unsigned char under_it;
    volatile int visits_left;
    volatile bool passing, stopped;
} stage;

static _Thread_local struct actor *actor_self; /* NULL: the manager */

static void sem_wait_(sem_t *s)
{
    while (sem_wait(s)) {}
}

static void give_back_(void)
{
    sem_post(&stage.manager);
    sem_wait_(&actor_self->go);
}

static void wake_(const void *at)
{
    for (struct actor *a = stage.actors; a < stage.actors + ACTORS; a++) a->woken |= a->state == WAITS && a->at == at;
}

/* ==== Stepping ================================================================================ */

static inline void trap_flag(bool on)
{
    unsigned long long others = __builtin_ia32_readeflags_u64() & ~(unsigned long long)TRAP_FLAG;
    __builtin_ia32_writeeflags_u64(others | (on ? TRAP_FLAG : 0));
    __asm__ volatile("nop" ::: "memory"); /* it is one instruction late */
}

/* Between these two calls the path is not noted, so the actor is never stopped there. */
static inline bool step_rests(void)
{
    bool noted = stage.notes && actor_self == stage.stepped;
    trap_flag(false);
    return noted;
}

static inline void step_goes_on(bool noted)
{
    trap_flag(noted);
}

static void put_byte_(unsigned char *at, unsigned char byte)
{
    *(volatile unsigned char *)at = byte;
}

static void note_(unsigned char *at)
{
    extern unsigned char __executable_start[], etext[];
    int i = stage.steps;
    if (at < __executable_start || at >= etext || i == MOST_STEPS) return;
    while (--i >= 0 && stage.path[i].at != at) {}
    stage.path[stage.steps++] = (struct step){ at, i < 0 ? 1 : stage.path[i].visit + 1 };
}

static void on_trap_(int sig, siginfo_t *info, void *context)
{
    greg_t *reg = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)sig, (void)info;
    if (stage.passing) { /* it was too early at the breakpoint: put it back, now that the instruction is behind us */
        stage.passing = false;
        reg[REG_EFL] &= ~TRAP_FLAG;
        put_byte_(stage.stop_at, BREAKPOINT);
    } else if (stage.stop_at) {
        reg[REG_RIP]--;
        put_byte_(stage.stop_at, stage.under_it);
        if (actor_self == stage.stepped && --stage.visits_left == 0) {
            stage.stop_at = NULL;
            stage.stopped = true;
            give_back_();
        } else {
            stage.passing = true;
            reg[REG_EFL] |= TRAP_FLAG;
        }
    } else {
        note_((unsigned char *)(uintptr_t)reg[REG_RIP]);
    }
}

/* The path of this actor is noted, from its next move on. */
static void note_path(struct actor *a)
{
    stage.stepped = a;
    stage.steps = 0;
    stage.notes = true;
}

/* This actor is stopped at this step. */
static void stop_at(struct actor *a, const struct step *step)
{
    stage.stepped = a;
    stage.visits_left = step->visit;
    stage.under_it = *step->at;
    stage.stop_at = step->at;
    put_byte_(step->at, BREAKPOINT);
}

static void step_no_more(void)
{
    if (stage.stop_at) put_byte_(stage.stop_at, stage.under_it);
    stage.stop_at = NULL;
    stage.stepped = NULL;
    stage.notes = false;
}

/* ==== The manager ============================================================================= */

static void *actor_main_(void *arg)
{
    for (actor_self = arg;;) {
        sem_wait_(&actor_self->go);
        actor_self->play(actor_self->arg);
        if (actor_self == stage.stepped) step_no_more();
        actor_self->state = actor_self->joinable ? OVER : FREE;
        wake_(actor_self);
        sem_post(&stage.manager);
    }
    return NULL;
}

/* Gives a part to an actor that has none. The actor starts when it is let go on. */
static struct actor *cast(void *(*play)(void *), void *arg)
{
    struct actor *a = stage.actors;
    while (a < stage.actors + ACTORS && a->state != FREE) a++;
    REQUIRE(a < stage.actors + ACTORS);
    a->play = play;
    a->arg = arg;
    a->state = READY;
    a->joinable = false;
    a->parked_at = 0;
    return a;
}

/* Lets an actor go on until it ends, waits, or is stopped. */
static void let_go_on(struct actor *a)
{
    if (a->state == WAITS) a->state = READY;
    a->woken = false;
    sem_post(&a->go);
    sem_wait_(&stage.manager);
    if (stage.stopped) {
        stage.stopped = false;
        stage.meanwhile();
    }
}

static bool can_go_on(const struct actor *a)
{
    return a->state == READY || (a->state == WAITS && a->woken);
}

/* Lets all actors but this one go on, until no actor can. */
static void run_all_but(const struct actor *not_this)
{
    int moves = 0;
    for (int i = 0, idle = 0; idle < ACTORS; i = (i + 1) % ACTORS, idle++)
        if (&stage.actors[i] != not_this && can_go_on(&stage.actors[i])) {
            REQUIRE(++moves < 10000); /* else they wake each other for ever */
            let_go_on(&stage.actors[i]);
            idle = -1;
        }
}

/* The clock goes on. The actors that wait no longer than until then can go on. */
static void pass_time(int64_t ns)
{
    stage.clock += ns > 0 ? ns : 0;
    for (struct actor *a = stage.actors; a < stage.actors + ACTORS; a++)
        if (a->state == WAITS && a->deadline <= stage.clock) a->woken = a->late = true;
}

/* Runs all actors until none can go on, not even after they have backed off. With `late` not even after its deadline. */
static void run_to_rest(bool late)
{
    for (struct actor *next;;) {
        run_all_but(NULL);
        next = NULL;
        for (struct actor *a = stage.actors; a < stage.actors + ACTORS; a++)
            if (a->state == WAITS && (a->backs_off || late) && a->deadline < INT64_MAX &&
                (!next || a->deadline < next->deadline))
                next = a;
        if (!next) return;
        pass_time(next->deadline - stage.clock);
    }
}

/* To be called before everything else. All actors share one CPU, so that a switch takes a few microseconds. False:
 * code cannot be made writable here. */
static bool set_stage(void (*meanwhile)(void))
{
    extern unsigned char __executable_start[], etext[];
    struct sigaction trap = { .sa_flags = SA_SIGINFO, .sa_sigaction = on_trap_ };
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    sem_init(&stage.manager, 0, 0);
    for (struct actor *a = stage.actors; a < stage.actors + ACTORS; a++) {
        sem_init(&a->go, 0, 0);
        REQUIRE(pthread_create(&a->thread, NULL, actor_main_, a) == 0);
    }
    sigaction(SIGTRAP, &trap, NULL);
    stage.clock = INT64_C(1000000000);
    stage.meanwhile = meanwhile;
    return mprotect(__executable_start, (uintptr_t)etext - (uintptr_t)__executable_start,
                    PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
}

/* ==== What queue.h wants of a system ========================================================== */

__attribute__((noinline)) static int leat_os_word_wait_(_Atomic(uint32_t) *word, uint32_t old, int64_t deadline)
{
    bool noted = step_rests(), late = deadline <= stage.clock;
    REQUIRE(actor_self); /* else the manager would wait: a call has left something half-way */
    if (!late && atomic_load_explicit(word, memory_order_acquire) == old) {
        actor_self->at = word;
        actor_self->backs_off = !(old & LEAT_ASLEEP_);
        if (!actor_self->backs_off && !actor_self->parked_at) actor_self->parked_at = ++stage.ticks;
        actor_self->deadline = deadline;
        actor_self->late = false;
        actor_self->state = WAITS;
        give_back_();
        late = actor_self->late;
    }
    step_goes_on(noted);
    return late ? -ETIMEDOUT : 0;
}

__attribute__((noinline)) static void leat_os_word_wake_(_Atomic(uint32_t) *word)
{
    bool noted = step_rests();
    wake_(word);
    step_goes_on(noted);
}

#define LEAT_OS_NO_FD_ /* nothing is polled on this stage */

static inline bool leat_os_fence_all_(void)
{
    return false;
}

static inline int64_t leat_os_now_(void)
{
    return stage.clock;
}

static inline int64_t leat_os_coarse_now_(void)
{
    return stage.clock;
}

static inline void leat_os_yield_(void)
{
}

static inline void leat_os_pause_(void)
{
}

static int stage_cpus; /* 0 means one */

static inline int leat_os_cpus_(void)
{
    return stage_cpus;
}

static inline bool leat_os_one_cpu_(void)
{
    return stage_cpus < 2;
}

#define LEAT_OS_NO_MASKS_

static inline void leat_os_name_(const char *name)
{
    (void)name;
}

/* ==== What pool.h wants of a C library ======================================================== */

static int stage_create_(pthread_t *thread, const pthread_attr_t *attr, void *(*play)(void *), void *arg)
{
    bool noted = step_rests();
    struct actor *a = cast(play, arg);
    (void)attr;
    a->joinable = true;
    *thread = a->thread;
    step_goes_on(noted);
    return 0;
}

static int stage_join_(pthread_t thread, void **result)
{
    bool noted = step_rests();
    struct actor *a = stage.actors;
    (void)result;
    while (!pthread_equal(a->thread, thread)) a++;
    while (a->state != OVER) {
        REQUIRE(actor_self);
        actor_self->at = a;
        actor_self->backs_off = false;
        actor_self->deadline = INT64_MAX;
        actor_self->state = WAITS;
        give_back_();
    }
    a->state = FREE;
    step_goes_on(noted);
    return 0;
}

#define pthread_create(thread, attr, play, arg) stage_create_(thread, attr, play, arg)
#define pthread_join(thread, result) stage_join_(thread, result)

#endif
