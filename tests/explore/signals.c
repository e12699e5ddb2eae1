/* signals.c - scenarios: signals that come while contexts are registered for them, replaced, taken back.
 * SPDX-License-Identifier: MIT */
#include "sim.h"

#include "pool.h"

#if !defined LEAT_NO_FUTEX /* there a pipe wakes the thread, and the simulator has none */

enum { SIG = 15 };

static leat_ctx ctx[2];
static _Atomic int theirs, died;

/* The program's own handler. */
static void counts(int sig)
{
    (void)sig;
    atomic_fetch_add_explicit(&theirs, 1, memory_order_relaxed);
}

static int before; /* what the thread of the signal did */

static void *comes(void *arg)
{
    if (arg) before = 1;
    if (!sim_signal(SIG)) atomic_fetch_add_explicit(&died, 1, memory_order_relaxed);
    return NULL;
}

static bool does(void (*handler)(int))
{
    struct sigaction now;
    return sigaction(SIG, NULL, &now) == 0 && now.sa_handler == handler;
}

/* Whether it was cancelled. From now on no thread may use it. */
static int over(leat_ctx *of)
{
    int cause = leat_ctx_cause(of);
    EXPECT(cause == 0 || cause == SIG);
    sim_freed(of, sizeof *of, "a context that was replaced");
    return cause == SIG;
}

/* Each signal cancels one context, or comes to the program's handler. */
SCENARIO(signals_and_a_call_that_replaces, { .senders = 1 }, { .senders = 2 }, { .senders = 3 })
{
    struct sigaction act = { .sa_flags = 0 };
    act.sa_handler = counts;
    sigaction(SIG, &act, NULL);
    EXPECT(leat_cancel_on_signals(&ctx[0], SIG, 0) == 0);
    int coming[3];
    for (int i = 0; i < k->senders; i++) coming[i] = sim_go(comes, NULL);
    EXPECT(leat_cancel_on_signals(&ctx[1], SIG, 0) == 0);
    int cancelled = over(&ctx[0]);
    for (int i = 0; i < k->senders; i++) sim_join_one(coming[i]);
    EXPECT(leat_cancel_on_signals(NULL, SIG, 0) == 0);
    cancelled += over(&ctx[1]);
    EXPECT(cancelled + theirs == k->senders && !died);
    EXPECT(does(counts));
}

/* Where no other call asked for it, it does what it would have done without us, also when the call takes back. */
static void *takes_back(void *arg)
{
    (void)arg;
    EXPECT(leat_cancel_on_signals(NULL, SIG, 0) == 0);
    return NULL;
}

SCENARIO(signals_and_a_call_that_takes_back, { .senders = 1 }, { .senders = 2 }, { .senders = 2, .a = 1 })
{
    EXPECT(leat_cancel_on_signals(&ctx[0], SIG, 0) == 0);
    for (int i = 0; i < k->senders; i++) sim_go(comes, NULL);
    if (k->a) sim_go(takes_back, NULL); /* two at once */
    EXPECT(leat_cancel_on_signals(NULL, SIG, 0) == 0);
    int cancelled = over(&ctx[0]);
    sim_join();
    EXPECT(cancelled + died == k->senders);
    EXPECT(does(SIG_DFL));
}

/* A thread that is woken takes back at once. */
SCENARIO(a_signal_wakes_a_thread_that_takes_back, { .senders = 1 }, { .senders = 2 })
{
    EXPECT(leat_cancel_on_signals(&ctx[0], SIG, 0) == 0);
    for (int i = 0; i < k->senders; i++) sim_go(comes, k->senders == 1 ? &ctx : NULL);
    EXPECT(leat_sleep_ctx(&ctx[0], LEAT_FOREVER) == -ECANCELED);
    EXPECT(before == (k->senders == 1));
    EXPECT(leat_cancel_on_signals(NULL, SIG, 0) == 0);
    EXPECT(over(&ctx[0]) == 1);
    sim_join();
    EXPECT(died == k->senders - 1);
}

#endif
