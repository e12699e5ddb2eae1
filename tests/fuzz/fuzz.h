/* fuzz.h - programs of calls that are drawn from a number, and what is printed of one that fails.
 * SPDX-License-Identifier: MIT
 *
 * The short form is a test. `make fuzz` runs new programs for as long as it is told.
 *     LEAT_FUZZ_PROGRAM=n    only the program with that number
 *     LEAT_FUZZ_SECONDS=n    for so long */
#ifndef LEAT_FUZZ_H
#define LEAT_FUZZ_H

#include "jobs.h"

#include <stdio.h>

enum { KEPT = 40, THREADS = 5 }; /* calls of each thread that are printed; threads */

typedef struct called {
    const char *name;
    int object;
    long long arg, got, want;
} called;

typedef struct notes {
    called calls[KEPT];
    unsigned n;
} notes;

static notes noted[THREADS];
static _Thread_local int me;
static _Atomic bool wrong;
static char why[200];
static uint64_t number_;      /* of the program that runs */
static _Atomic int64_t since; /* when it began. 0: none runs */

static void complain(const char *what, long long a, long long b)
{
    if (atomic_exchange(&wrong, true)) return;
    snprintf(why, sizeof why, "%s: %lld and %lld (thread %d, call %u)", what, a, b, me, noted[me].n);
}

static void show(void)
{
    tap_note("program 0x%llx: %s", (unsigned long long)number_, why);
    for (int t = 0; t < THREADS; t++)
        for (unsigned i = noted[t].n < KEPT ? 0 : noted[t].n - KEPT; i < noted[t].n; i++) {
            const called *c = &noted[t].calls[i % KEPT];
            tap_note("  thread %d: %s, object %d, argument %lld: %lld, expected %lld", t, c->name, c->object, c->arg, c->got,
                     c->want);
        }
}

/* The call is in the notes before it is made, as it may not return. */
static void calls(const char *name, int object, long long arg)
{
    noted[me].calls[noted[me].n++ % KEPT] = (called){ name, object, arg, LLONG_MIN, 0 };
}

static long long returned(long long got, long long want)
{
    called *c = &noted[me].calls[(noted[me].n - 1) % KEPT];
    c->got = got;
    c->want = want;
    if (got != want) complain(c->name, got, want);
    return got;
}

/* ==== Programs ================================================================================ */

static void *guards_(void *unused)
{
    (void)unused;
    for (;; leat_sleep(LEAT_S(1))) {
        int64_t began = atomic_load(&since);
        if (!began || leat_now() - began < LEAT_S(20) * (TAP_SLOW ? 4 : 1)) continue;
        snprintf(why, sizeof why, "it hangs");
        show();
        return NULL; /* the watchdog says where */
    }
}

/* Runs programs until one fails: `n` of them, or as many as the time allows. */
static void campaign(bool (*succeeds)(uint64_t seed), int n)
{
    const char *one = getenv("LEAT_FUZZ_PROGRAM"), *seconds = getenv("LEAT_FUZZ_SECONDS");
    int64_t until = seconds ? leat_after(LEAT_S(atoi(seconds))) : 0;
    pthread_t guard;
    if (!pthread_create(&guard, NULL, guards_, NULL)) pthread_detach(guard);
    bool good = true;
    int i = 0;
    for (; good && (one ? i < 1 : until ? leat_now() < until : i < tap_rounds(n)); i++) {
        number_ = one ? strtoull(one, NULL, 0) : tap_seed(i);
        for (int t = 0; t < THREADS; t++) noted[t].n = 0;
        atomic_store(&wrong, false);
        atomic_store(&since, leat_now());
        good = succeeds(number_);
        atomic_store(&since, 0);
    }
    if (!CHECK(good)) show();
    else if (until) tap_note("%d programs", i);
}

#endif
