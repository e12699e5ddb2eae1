/* model.h - programs of calls by one thread, of which a model says what each returns.
 * SPDX-License-Identifier: MIT
 *
 * The calls of a program are a list of numbers. Each is the seed of one call, so a program with fewer calls is a
 * program, too, and a failure can be shrunk. */
#ifndef LEAT_MODEL_H
#define LEAT_MODEL_H

#include "fuzz.h"

enum { CTXS = 4, CALLS = 120, TIMED = INT_MIN }; /* TIMED: ended by a deadline */

static leat_ctx ctxs[CTXS], over;
static int ended[CTXS]; /* their causes. 0: live */
static uint64_t draw;   /* of this call */

static int below(int n)
{
    return tap_below(&draw, n);
}

/* The error of a context, which is asked, and so keeps it. -1: NULL. */
static int ctx_err(int c)
{
    static const int parent[CTXS] = { -1, 0, 0, 2 };
    int at = c, end = 0;
    for (; at >= 0 && !end; at = end ? at : parent[at]) end = ended[at] ? ended[at] : at == 2 ? TIMED : 0;
    for (; end && c != at; c = parent[c])
        if (!ended[c]) ended[c] = end;
    if (end && at == 2) ended[2] = end;
    return !end ? 0 : end == TIMED ? -ETIMEDOUT : -ECANCELED;
}

/* A context for a call in the form with one. *err: of the context. 0: the call must not wait. */
static leat_ctx *pick(bool waits, leat_ctx *soon, int *err)
{
    int c = below(CTXS + 2) - 2;
    *err = c < 0 ? 0 : ctx_err(c);
    if (*err) return &ctxs[c];
    if (!waits) return c < 0 ? NULL : &ctxs[c];
    *err = -ETIMEDOUT;
    if (below(8)) return &over;
    *soon = (leat_ctx)LEAT_CTX_WITHIN(NULL, LEAT_US(20));
    return soon;
}

static void a_context(void)
{
    int c = below(CTXS), cause = below(3) - 1, err = ctx_err(c);
    if (below(c < 2 ? 12 : 3) == 0) {
        calls("cancel", c, cause);
        leat_cancel(&ctxs[c], cause);
        if (!err) ended[c] = cause ? cause : -ECANCELED;
        returned(0, 0);
    } else {
        calls("ctx_err", c, 0);
        returned(leat_ctx_err(&ctxs[c]), err);
        calls("ctx_cause", c, 0);
        returned(leat_ctx_cause(&ctxs[c]), err == -ECANCELED ? ended[c] : err);
    }
}

static void contexts_are_made(void)
{
    memset(ended, 0, sizeof ended);
    ctxs[0] = (leat_ctx)LEAT_CTX(NULL);
    ctxs[1] = (leat_ctx)LEAT_CTX(&ctxs[0]);
    ctxs[2] = (leat_ctx)LEAT_CTX_WITHIN(&ctxs[0], 0);
    ctxs[3] = (leat_ctx)LEAT_CTX(&ctxs[2]);
    over = (leat_ctx)LEAT_CTX_WITHIN(NULL, 0);
}

typedef struct program {
    uint64_t make, calls[CALLS];
    int n;
} program;

static int at_call;

static void begins(const program *p)
{
    noted[0].n = 0;
    wrong = false;
    at_call = 0;
    draw = p->make;
}

/* Draws the next call. False: there is none, or one has failed. */
static bool goes_on(const program *p)
{
    if (wrong || at_call == p->n) return false;
    draw = p->calls[at_call++];
    return true;
}

/* Runs a program. False: a call has not returned what it should have. */
static bool succeeds(const program *p);

static bool alone(uint64_t seed)
{
    program p = { .make = tap_rng(&seed), .n = CALLS };
    for (int i = 0; i < CALLS; i++) p.calls[i] = tap_rng(&seed);
    if (succeeds(&p)) return true;
    static notes failed;
    failed = noted[0];
    for (int step = CALLS / 2; step; step /= 2)
        for (int i = 0; i + step <= p.n;) {
            program less = p;
            less.n -= step;
            memmove(&less.calls[i], &p.calls[i + step], (size_t)(p.n - i - step) * sizeof p.calls[0]);
            if (succeeds(&less)) {
                i += step;
            } else {
                p = less;
                failed = noted[0];
            }
        }
    noted[0] = failed;
    return false;
}

#endif
