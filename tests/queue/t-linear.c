/* t-linear.c - a channel is a queue: what any threads see of it could have happened one call at a time, each at one
 * instant between its begin and its return. So it is with full, empty and closed, and with a select over two
 * channels.
 *
 *     LEAT_STRESS=n    n times as many histories (for more than 10 set LEAT_TEST_SECONDS=600, too)
 *
 * SPDX-License-Identifier: MIT
 *
 * First the judge (linear.h) is judged, by histories drawn by hand, and by queues that are broken on purpose. Then it
 * judges ours, in many short bursts of random calls. */
#define _GNU_SOURCE
#include "tap.h"

#include <ctype.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

/* ==== Noise ===================================================================================
 *
 * What goes wrong between two instructions goes wrong when a thread is held up there, and that is rare. So here loads
 * of atomics and copies of messages yield to other threads now and then, which makes such mistakes a hundred times as
 * frequent. */

static _Thread_local struct {
    int level; /* 0: none. n: once in n times */
    uint64_t rng;
} noise;

static void make_noise(void)
{
    if (!noise.level || tap_below(&noise.rng, noise.level)) return;
    for (int i = 1 << tap_below(&noise.rng, 5); i; i--) sched_yield();
}

#undef atomic_load_explicit
#ifdef __clang__
#define atomic_load_explicit(object, order) (make_noise(), __c11_atomic_load(object, order))
#else
#define atomic_load_explicit(object, order) (make_noise(), __atomic_load_n(object, order))
#endif
#undef memcpy
#define memcpy(to, from, size) (make_noise(), memcpy(to, from, size))

#include "linear.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ==== Histories drawn by hand ================================================================= */

/* A row for each thread, a column for each instant. The letters are those of linear.h. [s12]: a batch sends 1, then
 * 2. [fE]: for a select, the first queue was full and the second empty. */
static struct lin_history read_drawing(size_t cap, const char *const *lines)
{
    struct lin_history h = { .cap = { cap, cap } };
    for (int t = 0; lines[t]; t++)
        for (const char *c = lines[t]; (c = strchr(c, '[')); c = strchr(c, ']')) {
            bool moves = strchr("srSR", c[1]);
            struct lin_op o = { .what = c[1],
                                .also = !moves && isalpha(c[2]) ? c[2] : 0,
                                .thread = t,
                                .begin = (uint64_t)(c - lines[t]),
                                .end = (uint64_t)(strchr(c, ']') - lines[t]) };
            const char *value = c + 2;
            do {
                o.value = moves ? *value++ - '0' : 0;
                h.ops[h.n++] = o;
                o.then = true;
            } while (moves && isdigit(*value));
        }
    return h;
}

static const struct drawing {
    size_t cap;
    const char *lines[6];
} right[] = {
    { 2, { "[s1]    [r2]", "[s2] [r1]" } },
    { 2, { "[s1]    [r2]  ", "     [s2]  ", "           [r1]" } }, /* the receives overlap */
    { 2, { "[s1--]", "  [e]" } },
    { 2, { "[s1] [r1]", "     [e]" } },
    { 2, { "[s1--------]   [r1]", "   [s2]  [r2]", "         [e]" } },
    { 1, { "[s1][s2--]", "    [r1]  ", "           [r2]" } },
    { 1, { "[s1][r1][s2]", "    [f-----]" } },
    { 2, { "[s1][s2][f]" } },
    { 2, { "[s1][f--] ", "     [s2] " } },
    { 2, { "[c][x][d][a]" } },
    { 2, { "[s1]", "[c-]", "[x-]", "    [r1][d]" } },
    { 2, { "[s1][c][d] ", "         [r1]" } },
    { 4, { "[s12]", "  [s3]", "       [r132]" } },
    { 4, { "[s12----------]", "    [r1]  [r2]", "       [e]" } },
    { 0, { "[s1-----]", "[r2] [r1]", "[s2--]" } },
    { 0, { "[s1] [f][e]", "[r1]" } },
    { 1, { "[s1][S1][f][F][fF][r1][eF][R1]" } },
    { 1, { "[c][S1][C][R1][x][D]" } },
}, wrong[] = {
    { 2, { "[s1]    [r2]", "     [s2]  ", "             [r1]" } },
    { 2, { "[s1][s2][r2]" } }, /* 1 is gone */
    { 2, { "[s1][r1]", "      [r1]" } },
    { 2, { "[r1][s1]" } },
    { 2, { "[s1][r2]" } },
    { 2, { "[s1]     [r1]", "     [e]" } },
    { 2, { "[s1]    [r1-]   ", "  [s2]       [r2]", "      [e---]" } },
    { 2, { "[s1--------]   [r1]", "   [s2]            [r2]", "       [e]" } },
    { 1, { "[s1][s2][r1][r2]" } },
    { 2, { "[s1][f]" } },
    { 2, { "[s1]", "    [r1-------]", "    [s2-------]", "      [e]", "          [f]" } },
    { 2, { "[x][c]" } },
    { 2, { "[c][s1][r1]" } },
    { 2, { "[c][c]" } },
    { 2, { "[d]" } },
    { 2, { "[c][e]" } },
    { 2, { "[s1][c][d]" } },
    { 2, { "[s1][c][d]", "           [r1]" } },
    { 4, { "[s12]", "      [r2][r1]" } },
    { 4, { "[s12]", "      [r21]" } },
    { 4, { "[s1][s2]", "         [r21]" } },
    { 4, { "[s12]", "      [r2]" } },
    { 0, { "[s1] [r1]" } },
    { 0, { "[s1-----]", "[r2]", "     [s2]" } },
    { 1, { "[s1][S1][R1][fF]" } },
    { 1, { "[S1]    [R1]", "    [s1]", "     [eE----]" } }, /* each was empty, but never both */
    { 1, { "[s1][R1]" } },
};

TEST(histories_drawn_by_hand_are_judged_right)
{
    for (size_t i = 0; i < COUNT(right) + COUNT(wrong); i++) {
        bool is_right = i < COUNT(right);
        const struct drawing *d = is_right ? &right[i] : &wrong[i - COUNT(right)];
        struct lin_history h = read_drawing(d->cap, d->lines);
        if (CHECK_EQ(lin_search(&h), is_right)) continue;
        tap_note("capacity %d", (int)d->cap);
        lin_draw(&h, stderr);
    }
}

/* ==== A call, of our channels ================================================================= */

enum { TRY, SOON, WAIT, HOWS };
enum { BATCH = 2 };

typedef LEAT_CHAN(int) int_chan;

struct call {
    int how;
    size_t n, cases; /* messages of a batch. Two cases: a select */
    struct {
        bool sends;
        int at;
    } of[2];
    int did; /* which of them */
    int value[BATCH];
};

static struct call a_try(bool sends, int at, int value)
{
    return (struct call){ .n = 1, .cases = 1, .of = { { sends, at } }, .value = { value } };
}

struct queue {
    ptrdiff_t (*call)(struct queue *, struct call *); /* how many, or -EAGAIN, -EPIPE, -ETIMEDOUT */
    int (*close)(struct queue *, int at);
    int fault; /* not 0: it is broken */
    size_t cap[2];
    int_chan chan[2];
    struct {
        int held[8], n;
        bool closed;
    } toy[2];
};

static ptrdiff_t leat_call(struct queue *q, struct call *c)
{
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(20)), *ctx = c->how == SOON ? &soon : NULL;
    int_chan *ch = &q->chan[c->of[0].at];
    bool sends = c->of[0].sends;
    int *m = c->value, got[BATCH];
    ptrdiff_t r;
    if (c->cases == 2) {
        leat_case cases[2];
        for (int i = 0; i < 2; i++)
            cases[i] = c->of[i].sends ? LEAT_SEND(&q->chan[c->of[i].at], m) : LEAT_RECV(&q->chan[c->of[i].at], got);
        r = c->how == TRY ? leat_try_select(cases, 2) : leat_select_ctx(ctx, cases, 2);
        if (r < 0) return r;
        c->did = (int)r;
        r = cases[r].err;
    } else if (c->n > 1) {
        r = sends ? leat_send_many_ctx(ctx, ch, m, c->n) : leat_recv_many_ctx(ctx, ch, got, c->n);
    } else if (c->how == TRY) {
        r = sends ? leat_try_send(ch, m) : leat_try_recv(ch, got);
    } else if (c->how == WAIT) {
        r = sends ? leat_send(ch, m) : leat_recv(ch, got);
    } else {
        r = sends ? leat_send_ctx(ctx, ch, m) : leat_recv_ctx(ctx, ch, got);
    }
    if (r == 0) r = 1;
    for (ptrdiff_t k = 0; !c->of[c->did].sends && k < r; k++) m[k] = got[k];
    return r;
}

static int leat_close_call(struct queue *q, int at)
{
    return leat_close(&q->chan[at]);
}

/* ==== Broken queues =========================================================================== */

enum { RIGHT, SWAPS, DOUBLES, LOSES, FULL_EARLY, EMPTY_EARLY, OVERFILLS, FORGETS, STAYS_OPEN };

static const char *const faults[] = { "does all right",         "swaps two",
                                      "hands one out twice",    "loses one",
                                      "says full too early",    "says empty with one left",
                                      "holds one too many",     "forgets the rest when closed",
                                      "accepts after the close" };

static pthread_mutex_t toy_lock = PTHREAD_MUTEX_INITIALIZER;

/* Queues under a lock, right except for their fault. */
static ptrdiff_t toy_try(struct queue *q, struct call *c)
{
    int at = c->of[0].at, cap = (int)q->cap[at], *held = q->toy[at].held, *n = &q->toy[at].n;
    int fault = q->fault, from = fault == SWAPS && *n > 1;
    bool closed = q->toy[at].closed;
    if (c->of[0].sends) {
        if (closed && fault != STAYS_OPEN) return -EPIPE;
        if (*n >= cap - (fault == FULL_EARLY) + (fault == OVERFILLS)) return -EAGAIN;
        held[*n] = c->value[0];
        *n += fault != LOSES;
    } else {
        if (*n <= (fault == EMPTY_EARLY)) return closed ? -EPIPE : -EAGAIN;
        c->value[0] = held[from];
        if (fault == DOUBLES) return 1;
        memmove(held + from, held + from + 1, (size_t)(--*n - from) * sizeof *held);
    }
    return 1;
}

static ptrdiff_t toy_call(struct queue *q, struct call *c)
{
    for (c->cases = 1;; leat_os_yield_()) {
        pthread_mutex_lock(&toy_lock);
        ptrdiff_t r = toy_try(q, c);
        pthread_mutex_unlock(&toy_lock);
        if (r != -EAGAIN || c->how != WAIT) return r;
    }
}

static int toy_close(struct queue *q, int at)
{
    pthread_mutex_lock(&toy_lock);
    int err = q->toy[at].closed ? -EALREADY : 0;
    q->toy[at].closed = true;
    if (q->fault == FORGETS) q->toy[at].n = 0;
    pthread_mutex_unlock(&toy_lock);
    return err;
}

/* The well-known mistake with Vyukov's ring: it takes "this slot is not ready" for "empty" (or "full"), although
 * another send (or receive) of a later slot has already returned. */
static ptrdiff_t hasty_call(struct queue *q, struct call *c)
{
    leat_chan *ch = &q->chan[c->of[0].at].chan;
    if (c->how != TRY || c->cases == 2 || leat_is_closed_(ch)) return leat_call(q, c);
    int err = c->of[0].sends ? leat_move_(NULL, NULL, ch, LEAT_SENDS_, c->value, sizeof(int), _Alignof(int))
                             : leat_move_(NULL, NULL, ch, LEAT_RECEIVES_, c->value, sizeof(int), _Alignof(int));
    return err ? err : 1;
}

/* And one with select: it looks at one channel, then at the other, but not at both once more. */
static ptrdiff_t looking_once_call(struct queue *q, struct call *c)
{
    ptrdiff_t r = -EAGAIN;
    if (c->how != TRY || c->cases == 1) return leat_call(q, c);
    for (int i = 0; i < 2 && r == -EAGAIN; i++) {
        struct call one = a_try(c->of[i].sends, c->of[i].at, c->value[0]);
        r = leat_call(q, &one);
        c->did = i;
        c->value[0] = one.value[0];
    }
    return r;
}

/* ==== Bursts ==================================================================================
 *
 * One or two new channels, a few calls on a few threads, then the search. Each thread notes its calls in memory of
 * its own. The first thread never waits, and at the end closes the channels, so the other threads may wait. */

enum { CREW = 4, CALLS = 4, MOST_CAP = 3 };

static struct bursts {
    struct queue *q;
    int most, done, overlapping;
    bool wrong, over;
    int64_t until; /* when to stop, on a machine that is busy otherwise */
    uint64_t rng;
    _Atomic int here;
    int threads, calls, channels, noise; /* of the burst that runs */
    struct lin_history by[CREW], all;
} bursts;

static void note_in(struct lin_history *h, struct lin_op o)
{
    REQUIRE(h->n < LIN_MOST);
    h->ops[h->n++] = o;
}

static void note(int thread, char what, int at, struct lin_op o)
{
    o.thread = thread;
    o.what = lin_what(what, at);
    note_in(&bursts.by[thread], o);
}

static ptrdiff_t do_call(int thread, struct call *c)
{
    struct lin_op o = { .begin = lin_now() };
    ptrdiff_t r = bursts.q->call(bursts.q, c);
    o.end = lin_now();
    bool sends = c->of[c->did].sends;
    for (ptrdiff_t k = 0; k < r; k++, o.then = true) {
        o.value = c->value[k];
        note(thread, sends ? LIN_SEND : LIN_RECV, c->of[c->did].at, o);
    }
    if (r == -EPIPE) {
        note(thread, sends ? LIN_REFUSED : LIN_DRAINED, c->of[c->did].at, o);
    } else if (r == -EAGAIN) {
        if (c->cases == 2) o.also = lin_what(c->of[1].sends ? LIN_FULL : LIN_EMPTY, c->of[1].at);
        note(thread, c->of[0].sends ? LIN_FULL : LIN_EMPTY, c->of[0].at, o);
    } else {
        CHECK(r > 0 || (r == -ETIMEDOUT && c->how == SOON));
    }
    return r;
}

static void do_close(int thread, int at)
{
    struct lin_op o = { .begin = lin_now() };
    int err = bursts.q->close(bursts.q, at);
    o.end = lin_now();
    CHECK(err == 0 || err == -EALREADY);
    note(thread, err ? LIN_AGAIN : LIN_CLOSE, at, o);
}

static void do_some_call(uint64_t *rng, int thread, int number)
{
    struct call c = { .how = tap_below(rng, thread ? HOWS : WAIT), .n = 1, .cases = 1 };
    for (int i = 0; i < 2; i++) {
        c.of[i].sends = tap_below(rng, 2);
        c.of[i].at = tap_below(rng, bursts.channels);
    }
    if (!tap_below(rng, 3)) c.cases = 2;
    else if (c.how != TRY) c.n = 1 + (size_t)tap_below(rng, BATCH);
    for (int k = 0; k < BATCH; k++) c.value[k] = (thread * CALLS + number) * BATCH + k;
    for (int pause = tap_below(rng, 100); pause; pause--) leat_os_pause_();
    if (tap_below(rng, 30)) do_call(thread, &c);
    else do_close(thread, c.of[0].at);
}

static void begin_burst(struct bursts *b)
{
    b->threads = 2 + tap_below(&b->rng, CREW - 1);
    b->calls = 2 + tap_below(&b->rng, CALLS - 1);
    b->channels = 1 + tap_below(&b->rng, 2);
    b->noise = tap_below(&b->rng, 4) * 4;
    for (int i = 0; i < CREW; i++) b->by[i].n = 0;
    memset(b->q->toy, 0, sizeof b->q->toy);
    for (int at = 0, value = CREW * CALLS * BATCH; at < b->channels; at++) {
        int least = b->q->fault ? 2 : 0; /* where it can be wrong */
        int cap = least + tap_below(&b->rng, MOST_CAP + 1 - least);
        b->q->cap[at] = (size_t)cap;
        REQUIRE_EQ(leat_make(&b->q->chan[at], b->q->cap[at]), 0);
        for (int k = tap_below(&b->rng, cap + 1); k; k--) { /* the messages in it when the burst begins */
            struct call c = a_try(true, at, value++);
            do_call(0, &c);
        }
    }
}

static void end_burst(struct bursts *b)
{
    struct lin_history *all = &b->all;
    bool overlap = false;
    for (int at = 0; at < b->channels; at++) {
        struct call c = a_try(false, at, 0);
        for (int k = 0; k <= MOST_CAP + 1 && do_call(0, &c) > 0; k++) {} /* a broken queue may never end */
        leat_free(&b->q->chan[at]);
    }
    *all = (struct lin_history){ .cap = { b->q->cap[0], b->q->cap[1] } };
    for (int i = 0; i < CREW; i++)
        for (size_t k = 0; k < b->by[i].n; k++) note_in(all, b->by[i].ops[k]);
    for (struct lin_op *o = all->ops; o < all->ops + all->n; o++)
        for (struct lin_op *p = all->ops; p < o; p++)
            overlap |= o->thread != p->thread && o->begin < p->end && p->begin < o->end;
    b->overlapping += overlap;
    b->done++;
    b->wrong = !lin_search(all);
    if (b->wrong && !b->q->fault) {
        tap_note("no order of these calls is that of a queue; capacity %d, second channel %d:", (int)all->cap[0],
                 (int)all->cap[1]);
        lin_draw(all, stderr);
    }
}

static void wait_for_all(void)
{
    int n = atomic_fetch_add_explicit(&bursts.here, 1, memory_order_acq_rel);
    int all = (n / CREW + 1) * CREW;
    unsigned round = LEAT_PAUSES_;
    for (int i = 1; atomic_load_explicit(&bursts.here, memory_order_acquire) < all; i++)
        if (i % 200 == 0) leat_backoff_(&round); /* a busy machine would take a time slice for each yield */
}

static void burst_part(int thread, void *unused)
{
    struct bursts *b = &bursts;
    uint64_t rng = tap_seed(thread);
    noise.rng = tap_seed(CREW + 1 + thread);
    (void)unused;
    for (;;) {
        if (thread == 0) {
            b->over = b->wrong || b->done == b->most || leat_now() > b->until;
            if (!b->over) begin_burst(b);
        }
        wait_for_all();
        if (b->over) return;
        noise.level = b->noise;
        for (int k = 0; k < b->calls && thread < b->threads; k++) do_some_call(&rng, thread, k);
        noise.level = 0;
        for (int at = 0; at < b->channels && thread == 0; at++) do_close(0, at);
        wait_for_all();
        if (thread == 0) end_burst(b);
    }
}

/* Runs bursts until a history is wrong (true), or until all were right. */
static bool find_wrong(struct queue *q, int most, int64_t time)
{
    bursts = (struct bursts){ .q = q, .most = most, .until = leat_after(time), .rng = tap_seed(CREW) };
    tap_threads(CREW, burst_part, NULL);
    printf("# %d histories, %d with calls that overlap%s\n", bursts.done, bursts.overlapping,
           bursts.wrong ? "; the last one is wrong" : "");
    return bursts.wrong;
}

TEST(a_queue_that_is_broken_is_found)
{
    for (int fault = RIGHT; fault <= STAYS_OPEN; fault++) {
        struct queue q = { .call = toy_call, .close = toy_close, .fault = fault };
        if (!CHECK_EQ(find_wrong(&q, 2000, LEAT_FOREVER), fault != RIGHT)) tap_note("it %s", faults[fault]);
    }
}

TEST(a_queue_that_takes_not_ready_for_empty_is_found)
{
    struct queue q = { .call = hasty_call, .close = leat_close_call, .fault = 1 };
    CHECK(find_wrong(&q, 20000, LEAT_FOREVER));
}

TEST(a_select_that_looks_only_once_is_found)
{
#if defined __EMSCRIPTEN__
    SKIP("its threads start too far apart for that");
#endif
    struct queue q = { .call = looking_once_call, .close = leat_close_call, .fault = 1 };
    CHECK(find_wrong(&q, 20000, LEAT_FOREVER));
}

TEST(whatever_threads_see_of_channels_could_have_happened_one_call_at_a_time)
{
    const char *more = getenv("LEAT_STRESS");
    struct queue q = { .call = leat_call, .close = leat_close_call };
    int times = more ? atoi(more) : 1;
    CHECK(!find_wrong(&q, tap_rounds(20000) * times, LEAT_S(20) * times));
    CHECK(bursts.overlapping > bursts.done / 10);
}
