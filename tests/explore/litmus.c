/* litmus.c - is the simulated memory that of C11? A test of the simulator.
 * SPDX-License-Identifier: MIT
 *
 * The classic shapes. An outcome that C11 forbids fails on the spot. One that it allows must be shown, because a
 * memory that is too strong would be a weak test. (C11 allows load buffering too. RC11 and we do not.) */
#include "sim.h"

#include "queue.h"

#define RLX memory_order_relaxed
#define ACQ memory_order_acquire
#define REL memory_order_release
#define AR memory_order_acq_rel
#define SC memory_order_seq_cst
#define LD(order, v) atomic_load_explicit(&(v), order)
#define ST(order, v, n) atomic_store_explicit(&(v), n, order)
#define ADD(order, v, n) atomic_fetch_add_explicit(&(v), n, order)
#define FENCE(order) atomic_thread_fence(order)
#define NOTHING ((void)0)

static _Atomic int x, y;
static int data, r[4];

#define THREAD(id, ...) \
    static void *id(void *arg) \
    { \
        (void)arg; \
        __VA_ARGS__; \
        return NULL; \
    }

/* A shape: its threads have been defined as id##0, id##1 .. `weak` is the outcome that is asked for. */
#define SHAPE_(id, n, weak, may, ...) \
    SCENARIO(litmus_##id, __VA_ARGS__) \
    { \
        static void *(*const fn[])(void *) = n; \
        (void)k; \
        for (unsigned i = 0; i < sizeof fn / sizeof *fn; i++) sim_go(fn[i], NULL); \
        sim_join(); \
        if (weak) { \
            if (may) sim_shown(); \
            else EXPECT(!(weak)); \
        } \
    }
#define SET(...) \
    { \
        __VA_ARGS__ \
    }
#define ALLOWED(id, threads, weak) SHAPE_(id, SET threads, weak, true, { .shows = true })
#define FORBIDDEN(id, threads, weak) SHAPE_(id, SET threads, weak, false, { .a = 0 })

/* Store buffering: both may miss the other's store, unless the loads and stores are seq_cst. */
#define SB(id, st, ld, fence, verdict) \
    THREAD(id##0, ST(st, x, 1), fence, r[0] = LD(ld, y)) \
    THREAD(id##1, ST(st, y, 1), fence, r[1] = LD(ld, x)) \
    verdict(id, (id##0, id##1), r[0] == 0 && r[1] == 0)
SB(sb_relaxed, RLX, RLX, NOTHING, ALLOWED)
SB(sb_release_acquire, REL, ACQ, NOTHING, ALLOWED)
SB(sb_seq_cst, SC, SC, NOTHING, FORBIDDEN)
SB(sb_fences, RLX, RLX, FENCE(SC), FORBIDDEN)
SB(sb_weak_fences, RLX, RLX, FENCE(AR), ALLOWED)

/* What queue.h does instead of a fence: both change one word, so the second has seen the first. */
THREAD(one_word0, ST(RLX, x, 1), r[0] = ADD(AR, y, 1))
THREAD(one_word1, r[1] = ADD(AR, y, 1), r[2] = LD(RLX, x))
FORBIDDEN(sb_one_word, (one_word0, one_word1), r[0] == 0 && r[1] == 1 && r[2] == 0)

/* What queue.h does at an end for one thread: one side only, between its store and its load, makes all others fence. */
THREAD(membarrier0, ST(RLX, x, 1), r[0] = LD(RLX, y))
THREAD(membarrier1, ST(RLX, y, 1), EXPECT(leat_os_fence_all_()), r[1] = LD(RLX, x))
THREAD(membarrier2, EXPECT(leat_os_fence_all_()), ST(RLX, y, 1), r[1] = LD(RLX, x))
FORBIDDEN(sb_membarrier, (membarrier0, membarrier1), r[0] == 0 && r[1] == 0)
ALLOWED(sb_membarrier_too_soon, (membarrier0, membarrier2), r[0] == 0 && r[1] == 0)

/* Message passing: a thread that sees the flag must see the message. */
#define MP(id, st, ld, before, after, verdict) \
    THREAD(id##0, ST(RLX, x, 1), before, ST(st, y, 1)) \
    THREAD(id##1, r[0] = LD(ld, y), after, r[1] = LD(RLX, x)) \
    verdict(id, (id##0, id##1), r[0] == 1 && r[1] == 0)
MP(mp_relaxed, RLX, RLX, NOTHING, NOTHING, ALLOWED)
MP(mp_only_release, REL, RLX, NOTHING, NOTHING, ALLOWED)
MP(mp_only_acquire, RLX, ACQ, NOTHING, NOTHING, ALLOWED)
MP(mp_release_acquire, REL, ACQ, NOTHING, NOTHING, FORBIDDEN)
MP(mp_fences, RLX, RLX, FENCE(REL), FENCE(ACQ), FORBIDDEN)
MP(mp_seq_cst, SC, SC, NOTHING, NOTHING, FORBIDDEN)

/* A relaxed read-modify-write carries a release on. A relaxed store does not (C++20; C17 let the same thread's do
 * it). */
THREAD(carried0, ST(RLX, x, 1), ST(REL, y, 1))
THREAD(carried1, ADD(RLX, y, 1))
THREAD(carried2, r[0] = LD(ACQ, y), r[1] = LD(RLX, x))
FORBIDDEN(release_sequence, (carried0, carried1, carried2), r[0] == 2 && r[1] == 0)
THREAD(broken0, ST(RLX, x, 1), ST(REL, y, 1), ST(RLX, y, 2))
ALLOWED(release_sequence_broken, (broken0, carried2), r[0] == 2 && r[1] == 0)

/* Load buffering: a load that sees a store that depends on it. */
THREAD(lb0, r[0] = LD(RLX, x), ST(RLX, y, 1))
THREAD(lb1, r[1] = LD(RLX, y), ST(RLX, x, 1))
FORBIDDEN(lb, (lb0, lb1), r[0] == 1 && r[1] == 1)

/* Coherence: all threads agree on the order of the stores to one object. */
THREAD(corr0, ST(RLX, x, 1), ST(RLX, x, 2))
THREAD(corr1, r[0] = LD(RLX, x), r[1] = LD(RLX, x))
FORBIDDEN(corr, (corr0, corr1), r[1] < r[0])
THREAD(corr_a, ST(RLX, x, 1))
THREAD(corr_b, ST(RLX, x, 2))
THREAD(corr_c, r[2] = LD(RLX, x), r[3] = LD(RLX, x))
FORBIDDEN(corr_two_writers, (corr_a, corr_b, corr1, corr_c), r[0] && r[2] && r[0] != r[2] && r[1] == r[2] && r[3] == r[0])
THREAD(cowr0, ST(RLX, x, 1), r[0] = LD(RLX, x))
FORBIDDEN(cowr, (cowr0, corr_b), r[0] == 0)

/* Two stores each, in opposite order: each thread's first may come last. */
#define W2(id, order, fence, verdict) \
    THREAD(id##0, ST(order, x, 1), fence, ST(order, y, 2)) \
    THREAD(id##1, ST(order, y, 1), fence, ST(order, x, 2)) \
    verdict(id, (id##0, id##1), LD(RLX, x) == 1 && LD(RLX, y) == 1)
W2(w2_relaxed, RLX, NOTHING, ALLOWED)
W2(w2_release, REL, NOTHING, ALLOWED)
W2(w2_seq_cst, SC, NOTHING, FORBIDDEN)
W2(w2_fences, RLX, FENCE(SC), FORBIDDEN)

/* Two readers may see two independent stores in different orders. */
#define IRIW(id, st, ld, fence, verdict) \
    THREAD(id##0, ST(st, x, 1)) \
    THREAD(id##1, ST(st, y, 1)) \
    THREAD(id##2, r[0] = LD(ld, x), fence, r[1] = LD(ld, y)) \
    THREAD(id##3, r[2] = LD(ld, y), fence, r[3] = LD(ld, x)) \
    verdict(id, (id##0, id##1, id##2, id##3), r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0)
IRIW(iriw_acquire, REL, ACQ, NOTHING, ALLOWED)
IRIW(iriw_seq_cst, SC, SC, NOTHING, FORBIDDEN)
IRIW(iriw_fences, RLX, RLX, FENCE(SC), FORBIDDEN)

/* Causality through a third thread. */
#define WRC(id, st, ld, verdict) \
    THREAD(id##0, ST(RLX, x, 1)) \
    THREAD(id##1, r[0] = LD(ld, x), ST(st, y, 1)) \
    THREAD(id##2, r[1] = LD(ld, y), r[2] = LD(RLX, x)) \
    verdict(id, (id##0, id##1, id##2), r[0] == 1 && r[1] == 1 && r[2] == 0)
WRC(wrc_relaxed, RLX, RLX, ALLOWED)
WRC(wrc_release_acquire, REL, ACQ, FORBIDDEN)

/* Read-modify-writes lose nothing, and nothing comes between their two halves. */
THREAD(add, ADD(RLX, x, 1))
FORBIDDEN(additions_are_kept, (add, add, add), LD(RLX, x) != 3)
static void *weakly(void *arg)
{
    int one = 0;
    (void)arg;
    r[0] = !atomic_compare_exchange_weak_explicit(&x, &one, 1, RLX, RLX) && one == 0;
    return NULL;
}
ALLOWED(weak_cas_fails_for_no_reason, (weakly), r[0])

/* ==== What the simulator detects ============================================================== */

static void *writes(void *arg)
{
    (void)arg;
    data++;
    return NULL;
}

SCENARIO(litmus_finds_a_data_race, { .fails = "data race" })
{
    (void)k;
    sim_go(writes, NULL);
    sim_go(writes, NULL);
    sim_join();
}

static void *publishes(void *arg)
{
    data = 1;
    ST(RLX, x, 1);
    (void)arg;
    return NULL;
}

SCENARIO(litmus_finds_a_race_behind_a_relaxed_flag, { .fails = "data race" })
{
    (void)k;
    sim_go(publishes, NULL);
    while (!LD(ACQ, x)) sim_yield();
    EXPECT(data == 1);
    sim_join();
}

static void *stores_late(void *arg)
{
    ST(RLX, x, 1);
    (void)arg;
    return NULL;
}

SCENARIO(litmus_finds_an_atomic_object_made_too_late, { .fails = "data race" })
{
    (void)k;
    sim_go(stores_late, NULL);
    memset((void *)&x, 0, sizeof x);
    sim_join();
}

SCENARIO(litmus_finds_use_after_free, { .fails = "after it was freed" })
{
    (void)k;
    sim_go(stores_late, NULL);
    sim_join();
    sim_freed((const void *)&x, sizeof x, "x");
    ST(RLX, x, 2);
}

SCENARIO(litmus_finds_a_leak, { .fails = "never freed" })
{
    (void)k;
    EXPECT(malloc(8) != NULL);
}

static leat_os_event_ event;

static void *waits_for_ever(void *arg)
{
    (void)arg;
    while (atomic_load_explicit(&event.word_, memory_order_acquire) == 0) leat_os_wait_(&event, 0, LEAT_FOREVER);
    return NULL;
}

SCENARIO(litmus_finds_a_parked_thread_without_a_wake, { .fails = "everybody is asleep" })
{
    (void)k;
    leat_os_init_(&event);
    sim_go(waits_for_ever, NULL);
    atomic_store_explicit(&event.word_, 1, memory_order_release); /* and no wake */
    sim_join();
}

SCENARIO(litmus_finds_a_loop_without_end, { .fails = "livelock" })
{
    (void)k;
    while (!LD(RLX, x)) sim_yield();
}

/* ==== The exhaustive search ==================================================================== */

/* Two threads of two steps that all conflict. There are six orders, and each must come. */
static void *takes_two_turns(void *arg)
{
    int *turn = arg;
    turn[0] = ADD(RLX, x, 1);
    turn[1] = ADD(RLX, x, 1);
    return NULL;
}

#define TURNS(first, second) \
    { \
        .each = first, .a = second, .exhaust = true, .shows = true \
    }
SCENARIO(search_every_order, TURNS(0, 1), TURNS(0, 2), TURNS(0, 3), TURNS(1, 2), TURNS(1, 3), TURNS(2, 3))
{
    sim_go(takes_two_turns, &r[0]);
    sim_go(takes_two_turns, &r[2]);
    sim_join();
    EXPECT(r[0] + r[1] + r[2] + r[3] == 0 + 1 + 2 + 3);
    if (r[0] == k->each && r[1] == k->a) sim_shown();
}

/* The reader must run between the two stores, and again after them. */
THREAD(up_and_down, ST(SC, x, 1), ST(SC, x, 0))
THREAD(looks_twice, r[0] = LD(SC, x), r[1] = LD(SC, x))
SCENARIO(search_needs_two_preemptions, { .exhaust = true, .shows = true })
{
    (void)k;
    sim_go(up_and_down, NULL);
    sim_go(looks_twice, NULL);
    sim_join();
    if (r[0] == 1 && r[1] == 0) sim_shown();
}
