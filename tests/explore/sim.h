/* sim.h - what a scenario sees of the simulator.
 *
 *     SCENARIO(message_passing, { .a = 1 }, { .a = 2, .exhaust = true })
 *     {
 *         sim_go(sender, NULL);            // a thread
 *         sim_go(receiver, NULL);
 *         sim_join();                      // all of them
 *         EXPECT(got == k->a);
 *     }
 *
 * SPDX-License-Identifier: MIT
 *
 * The body is run many thousand times, each time under another schedule and with other stale reads. It starts on
 * thread 0. All static memory is then as it was when the program began. The body is compiled with -fsanitize=thread,
 * so the compiler makes each access to memory a call of that run-time library. Here the simulator defines these
 * functions (machine.h says how it works). Whatever the toolkit asks of the system is simulated too: threads,
 * mutexes, futex, clock, memory, eventfd.
 *
 * An execution fails if an EXPECT does not hold, two accesses race, freed memory is accessed, memory is left
 * allocated, all threads are asleep, or it does not end. */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAT_NO_QUOTA /* neither the toolkit nor the simulator runs before main */

enum { SIM_THREADS = 16 };

/* The parameters of a configuration. Each scenario gives them their meaning. */
typedef struct sim_knobs {
    int senders, receivers, cap, each, a;
    int start;         /* how many messages have gone through each channel before (scene.h) */
    bool exhaust;      /* small enough to be searched exhaustively */
    bool shows;        /* sim_shown must be called in some execution */
    const char *fails; /* some execution must fail, saying this: a test of the simulator */
} sim_knobs;

typedef struct sim_scenario {
    const char *name;
    void (*run)(const sim_knobs *k);
    const sim_knobs *knobs;
    size_t n; /* configurations */
    struct sim_scenario *next;
} sim_scenario;

#define SCENARIO(id, ...) \
    static void id##_run_(const sim_knobs *k); \
    __attribute__((constructor)) static void id##_add_(void) \
    { \
        static const sim_knobs of_##id[] = { __VA_ARGS__ }; \
        static sim_scenario s = { #id, id##_run_, of_##id, sizeof of_##id / sizeof *of_##id, NULL }; \
        sim_add_(&s); \
    } \
    static void id##_run_(const sim_knobs *k)

#define EXPECT(cond) ((cond) ? (void)0 : sim_fail(#cond, __FILE__, __LINE__))

/* A thread that runs fn(arg). Returns its number, from 1. */
int sim_go(void *fn(void *), void *arg);
void sim_join(void); /* waits for all of them */
void sim_join_one(int thread);
void sim_yield(void); /* lets other threads run, for loops that wait: while (!x) sim_yield(); */
bool sim_asleep(int thread);
extern int sim_no_membarrier; /* n > 0: the n-th membarrier from now on is refused, and each after it */
extern int sim_refuse;        /* bit n: the n-th pthread_create from now on is refused */

/* From now on an access to it is a use of `what` after it was freed. */
void sim_freed(const void *p, size_t size, const char *what);

/* A name for memory, for the trace of a failure. */
void sim_name(const void *p, size_t size, const char *name);

/* The same for a chain: a pointer to its first node, and where in a node the pointer to the next one is. The replay
 * shows whose nodes are in it. */
void sim_queue(const void *first, size_t next, const char *name);

/* Delivers a signal to the running thread. True: its handler was called. False: it had none, and the default action
 * was taken. */
bool sim_signal(int sig);

void sim_poll(int fd);     /* sleeps until this descriptor is readable */
bool sim_readable(int fd); /* whether it is now */
int sim_descriptors(void); /* how many are open */

/* Says that the execution has shown what the configuration is to show. */
void sim_shown(void);

_Noreturn void sim_fail(const char *what, const char *file, int line);
void sim_add_(sim_scenario *s);
void sim_pause(void); /* the processor's pause instruction */

#endif
