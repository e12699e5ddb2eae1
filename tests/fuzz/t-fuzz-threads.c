/* t-fuzz-threads.c - random programs of calls by several threads lose nothing, double nothing, and end when they are told.
 * SPDX-License-Identifier: MIT
 *
 * Every call that waits has a context that is cancelled in the end, so a call that does not return is a bug. What was
 * accepted is counted: a message is received once or is left in its channel, a job runs once or is handed back, permits
 * come back. Each thread gets what one sender sent in that order. */
#include "messages.h"

enum { TEAM = 4, CHANS = 2, CALLS = 60, MANY = 4, SENDS = CALLS * MANY, JOBS = 3, ERRANDS = CALLS + JOBS };

/* A job. `again` is another that it submits, or NULL. */
typedef struct errand {
    _Atomic int ran, back; /* how often; handed back by an abort */
    bool accepted;
    struct errand *again;
} errand;

typedef struct member {
    uint64_t draw;
    int sent[CHANS], errands;
    int64_t permits, counts; /* that it holds; that it has added to the wait group */
    int last[CHANS][TEAM];   /* the last that it has received */
    leat_job job[JOBS];
    errand errand[2 * ERRANDS], held[JOBS]; /* those of the jobs come last */
    bool accepted[CHANS][SENDS];
} member;

static member team[TEAM];
static _Atomic int received[CHANS][TEAM][SENDS];
static leat_ctx all; /* the context of all calls */
static leat_chan chan[CHANS];
static leat_sem sem;
static _Atomic int64_t in_use, most; /* permits */
static _Atomic int64_t most_ever;
static leat_wg wg, running;
static leat_pool pool;
static int team_size, lanes, calm; /* calm: closes and stops are rare */
static int64_t patience;

enum { AGAIN = 1, CLOSED = 2, NEVER = 4, SHUT = 8, OVER = 16, INVALID = 32, LARGE = 64, LIMIT = 128 };

/* A call has returned. It may return 0 to `most_`, the errors `errs`, and that of its context. */
static long long fits(long long got, int most_, int errs, leat_ctx *ctx)
{
    static const int codes[] = { -EAGAIN, -EPIPE, -EDEADLK, -ESHUTDOWN, -EALREADY, -EINVAL, -E2BIG, -EOVERFLOW };
    bool good = got >= 0 && got <= most_;
    for (int i = 0; i < 8; i++) good |= (errs >> i & 1) && got == codes[i];
    if ((got == -ECANCELED || got == -ETIMEDOUT) && ctx) good |= leat_ctx_err(ctx) == got;
    return returned(got, good ? got : most_);
}

/* ---- What the threads do: messages ---- */

static uint32_t number(int c, int sender, int nth)
{
    return (uint32_t)(c << 28 | sender << 24 | nth);
}

static void arrived(member *self, int c, const unsigned char *msg)
{
    uint32_t id = id_of(msg);
    int sender = id >> 24 & 15, nth = id & 0xFFFFFF;
    is_whole(msg, id);
    if (id >> 28 != (uint32_t)c || sender >= TEAM || nth >= SENDS) {
        complain("a message that nobody has sent there", c, id);
        return;
    }
    if (self->last[c][sender] >= nth) complain("a message after a later one of its sender", self->last[c][sender], nth);
    self->last[c][sender] = nth;
    atomic_fetch_add_explicit(&received[c][sender][nth], 1, memory_order_relaxed);
}

static void prepare(member *self, int c, unsigned char *msg)
{
    fill(msg, number(c, me, self->sent[c]++));
}

static void moves(member *self, leat_ctx *ctx)
{
    _Alignas(64) unsigned char msgs[MANY * BIG];
    int c = tap_below(&self->draw, CHANS), n = 1 + tap_below(&self->draw, MANY);
    bool many = tap_below(&self->draw, 3) == 0, tries = tap_below(&self->draw, 4) == 0, sends = tap_below(&self->draw, 2);
    if (!many) n = 1;
    int first = self->sent[c];
    for (int i = 0; i < n && sends; i++) prepare(self, c, msgs + (size_t)i * msg_size);
    calls(sends ? (many ? "send_many" : "send") : many ? "recv_many" : "recv", c, n);
    long long got;
    size_t size = msg_size, align = msg_align;
    if (many && sends) got = leat_send_many_(ctx, &chan[c], !tries, msgs, (size_t)n, size, align, 0);
    else if (many) got = leat_recv_many_(ctx, &chan[c], !tries, msgs, (size_t)n, size, align, 0);
    else if (sends)
        got = tries ? leat_try_send_(&chan[c], msgs, size, align, 0) : leat_send_(ctx, &chan[c], msgs, size, align, 0);
    else got = tries ? leat_try_recv_(&chan[c], msgs, size, align, 0) : leat_recv_(ctx, &chan[c], msgs, size, align, 0);
    fits(got, many ? n : 0, CLOSED | (tries ? AGAIN : 0), ctx);
    if (!many && !got) got = 1;
    for (int i = 0; i < got; i++)
        if (sends) self->accepted[c][first + i] = true;
        else arrived(self, c, msgs + (size_t)i * msg_size);
}

static void selects(member *self, leat_ctx *ctx)
{
    _Alignas(64) unsigned char msgs[MANY][BIG];
    leat_case cases[MANY];
    int on[MANY], nth[MANY], n = 1 + tap_below(&self->draw, MANY);
    bool first = tap_below(&self->draw, 2), tries = tap_below(&self->draw, 4) == 0;
    for (int i = 0; i < n; i++) {
        bool sends = tap_below(&self->draw, 2);
        on[i] = tap_below(&self->draw, CHANS);
        nth[i] = sends ? self->sent[on[i]] : -1;
        if (sends) prepare(self, on[i], msgs[i]);
        cases[i] = leat_case_(&chan[on[i]], sends ? LEAT_SENDS_ : LEAT_RECEIVES_, msgs[i], msg_size, msg_align);
    }
    calls(first ? "select_first" : "select", tries, n);
    int got = tries ? (first ? leat_try_select_first : leat_try_select)(cases, (size_t)n)
                    : (first ? leat_select_first_ctx : leat_select_ctx)(ctx, cases, (size_t)n);
    if (fits(got, n - 1, tries ? AGAIN : 0, ctx) < 0 || cases[got].err) return;
    if (nth[got] < 0) arrived(self, on[got], msgs[got]);
    else self->accepted[on[got]][nth[got]] = true;
}

/* ---- Permits, counts ---- */

static void permits(member *self, leat_ctx *ctx)
{
    int what = tap_below(&self->draw, 16), n = 1 + tap_below(&self->draw, 3);
    if (what == 0) {
        int delta = tap_below(&self->draw, 5) - 2;
        if (delta > 0) atomic_fetch_add(&most_ever, delta);
        calls("sem_resize", 0, delta);
        if (!fits(leat_sem_resize(&sem, delta), 0, INVALID, NULL)) atomic_fetch_add(&most, delta);
    } else if (what < 7 && self->permits) {
        n = 1 + tap_below(&self->draw, (int)self->permits);
        self->permits -= n;
        atomic_fetch_sub(&in_use, n);
        calls("release", 0, n);
        fits(leat_release(&sem, n), 0, 0, NULL);
    } else {
        bool tries = what < 10;
        calls(tries ? "try_acquire" : "acquire", 0, n);
        int got = tries ? leat_try_acquire(&sem, n) : leat_acquire_ctx(ctx, &sem, n);
        if (fits(got, 0, CLOSED | (tries ? AGAIN : NEVER), ctx)) return;
        self->permits += n;
        int64_t now = atomic_fetch_add(&in_use, n) + n;
        if (now > atomic_load(&most_ever)) complain("more permits in use than there are", now, most_ever);
    }
}

static void waits_for_group(member *self, leat_ctx *ctx)
{
    int what = tap_below(&self->draw, 4);
    if (what == 0) {
        calls("wg_wait", 0, 0);
        fits(leat_wg_wait_ctx(ctx, &wg), 0, 0, ctx);
    } else if (what == 1 && self->counts) {
        calls("wg_done", 0, self->counts--);
        fits(leat_wg_done(&wg), 0, 0, NULL);
    } else {
        calls("wg_add", 0, ++self->counts);
        fits(leat_wg_add(&wg, 1), 0, 0, NULL);
    }
}

/* ---- Jobs ---- */

static int by_value(leat_ctx *ctx, void *copy);

static int runs(leat_ctx *ctx, void *arg)
{
    errand *e = arg, *again = e->again;
    (void)ctx;
    if (atomic_fetch_add(&e->ran, 1)) complain("a job ran again", 0, 0);
    if (again) again->accepted = leat_submit_lane(&pool, lanes - 1, runs, again) == 0;
    return 0;
}

static int by_value(leat_ctx *ctx, void *copy)
{
    return runs(ctx, *(errand **)copy);
}

static void handed_back(leat_task *fn, void *arg, void *user)
{
    errand *e = fn == by_value ? *(errand **)arg : arg;
    (void)user;
    atomic_fetch_add(&e->back, 1);
}

static void submits(member *self, leat_ctx *ctx)
{
    int what = tap_below(&self->draw, 4), lane = what == 1 ? tap_below(&self->draw, lanes) : 0,
        j = tap_below(&self->draw, JOBS);
    errand *e = &self->errand[self->errands++];
    bool tries = tap_below(&self->draw, 4) == 0;
    if (tap_below(&self->draw, 4) == 0) e->again = &self->errand[self->errands++];
    if (what == 3) e = &self->held[j];
    calls(what == 3 ? "submit_job" : what == 2 ? "submit_value" : "submit_lane", lane, what == 3 ? j : 0);
    int got =
        what < 2    ? (tries ? leat_try_submit_lane(&pool, lane, runs, e) : leat_submit_lane_ctx(ctx, &pool, lane, runs, e))
        : what == 2 ? (tries ? leat_try_submit_value(&pool, by_value, &e) : leat_submit_value_ctx(ctx, &pool, by_value, &e))
        : e->accepted ? -EALREADY
        : tries       ? leat_try_submit_job(&pool, &self->job[j])
                      : leat_submit_job_ctx(ctx, &pool, &self->job[j]);
    if (got == -ECANCELED && leat_ctx_err(&pool.ctx_)) ctx = &pool.ctx_;
    if (!fits(got, 0, SHUT | (tries ? AGAIN : 0) | (what == 3 ? OVER : 0), ctx)) e->accepted = true;
}

static void uses_jobs(member *self, leat_ctx *ctx)
{
    member *whose = &team[tap_below(&self->draw, team_size)];
    leat_job *j = &whose->job[tap_below(&self->draw, JOBS)];
    int what = tap_below(&self->draw, 4);
    calls(what == 0 ? "job_cancel" : what == 1 ? "try_job_wait" : "job_wait", (int)(whose - team), j - whose->job);
    int got = what == 0 ? leat_job_cancel(j) : what == 1 ? leat_try_job_wait(j, NULL) : leat_job_wait_ctx(ctx, j, NULL);
    if (what && got == -ECANCELED) got = 0; /* the job was */
    fits(got, 0, INVALID | (what == 0 ? OVER : what == 1 ? AGAIN : 0), ctx);
}

static void uses_pool(member *self, leat_ctx *ctx)
{
    int what = tap_below(&self->draw, 32);
    leat_stats st;
    if (what < 14) {
        submits(self, ctx);
    } else if (what < 22) {
        uses_jobs(self, ctx);
    } else if (what < 26) {
        calls("pool_wait", 0, 0);
        int got = leat_pool_wait_ctx(ctx, &pool);
        fits(got, 0, SHUT, got == -ECANCELED && leat_ctx_err(&pool.ctx_) ? &pool.ctx_ : ctx);
    } else if (what < 29) {
        int n = 1 + tap_below(&self->draw, 3);
        calls("pool_resize", 0, n);
        int got = leat_pool_resize_ctx(ctx, &pool, n);
        fits(got, 0, SHUT, got == -ECANCELED && leat_ctx_err(&pool.ctx_) ? &pool.ctx_ : ctx);
    } else if (what < 31 || tap_below(&self->draw, calm)) {
        calls("pool_stats", 0, 0);
        fits(leat_pool_stats(&pool, &st), 0, 0, NULL);
    } else {
        bool stops = tap_below(&self->draw, 2);
        calls(stops ? "pool_stop" : "pool_abort", 0, 0);
        int got = stops ? leat_pool_stop_ctx(ctx, &pool) : leat_pool_abort_ctx(ctx, &pool, handed_back, NULL);
        fits(got, 0, OVER, got == -ECANCELED && leat_ctx_err(&pool.ctx_) ? &pool.ctx_ : ctx);
    }
}

static void closes(member *self)
{
    int c = tap_below(&self->draw, CHANS + 1);
    if (tap_below(&self->draw, calm)) return;
    calls(c < CHANS ? "close" : "sem_close", c, 0);
    fits(c < CHANS ? leat_close_(&chan[c]) : leat_sem_close(&sem), 0, OVER, NULL);
}

/* ---- A program ---- */

static void takes_part(int i, void *with_pool)
{
    me = i;
    if (i == team_size) { /* ends the others */
        (void)leat_wg_wait_ctx(LEAT_WITHIN(patience), &running);
        leat_cancel(&all, 0);
        return;
    }
    member *self = &team[i];
    for (int n = 0; n < CALLS && !wrong; n++) {
        int64_t due = tap_below(&self->draw, 4) ? LEAT_FOREVER : leat_after(tap_below(&self->draw, 100) * LEAT_US(1));
        leat_ctx below = LEAT_CTX_UNTIL(&all, due), *ctx = due == LEAT_FOREVER ? &all : &below;
        int what = tap_below(&self->draw, *(bool *)with_pool ? 32 : 20);
        if (what < 9) moves(self, ctx);
        else if (what < 12) selects(self, ctx);
        else if (what < 17) permits(self, ctx);
        else if (what < 19) waits_for_group(self, ctx);
        else if (what < 20) closes(self);
        else uses_pool(self, ctx);
    }
    leat_wg_done(&running);
}

/* After the threads have ended. */
static void channels_are_right(void)
{
    _Alignas(64) unsigned char msg[BIG];
    static member rest;
    for (int c = 0; c < CHANS; c++) {
        size_t len = leat_len_(&chan[c], 0), left = 0;
        leat_close_(&chan[c]);
        for (int s = 0; s < TEAM; s++) {
            rest.last[c][s] = -1;
            for (int t = 0; t < TEAM; t++)
                if (team[t].last[c][s] > rest.last[c][s]) rest.last[c][s] = team[t].last[c][s];
        }
        for (; leat_recv_(NULL, &chan[c], msg, msg_size, msg_align, 0) == 0; left++) arrived(&rest, c, msg);
        if (len != left) complain("messages that are left, leat_len", (long long)left, (long long)len);
        for (int s = 0; s < TEAM; s++)
            for (int i = 0; i < SENDS; i++)
                if (received[c][s][i] != team[s].accepted[c][i])
                    complain("a message came so often, accepted", received[c][s][i], s);
        leat_free_(&chan[c], msg_align);
    }
}

static void errand_is_right(const errand *e, const leat_job *j)
{
    int times = e->ran + e->back;
    if (!j && times != e->accepted) complain("a job ran or was handed back so often, accepted", times, e->accepted);
    if (!j) return;
    int end = leat_try_job_wait((leat_job *)j, NULL);
    if (e->ran != (end == 0) || end == -EAGAIN || e->accepted != (end != -EINVAL))
        complain("a held job: ran, its end", e->ran, end);
}

static void pool_is_right(void)
{
    leat_stats st;
    calls("pool_stop at the end", 0, 0);
    int err = leat_pool_stop(&pool);
    if (err == -ECANCELED) err = leat_pool_abort(&pool, handed_back, NULL);
    fits(err, 0, OVER, NULL);
    for (int t = 0; t < team_size; t++) {
        for (int i = 0; i < 2 * ERRANDS; i++) errand_is_right(&team[t].errand[i], NULL);
        for (int i = 0; i < JOBS; i++) errand_is_right(&team[t].held[i], &team[t].job[i]);
    }
    fits(leat_pool_stats(&pool, &st), 0, 0, NULL);
    if (st.submitted != st.completed + st.failed + st.dropped + st.cancelled || st.busy || st.queued)
        complain("jobs submitted, completed", (long long)st.submitted, (long long)st.completed);
}

static void permits_are_right(void)
{
    int64_t counts = 0, held = 0;
    for (int t = 0; t < team_size; t++) {
        counts += team[t].counts;
        held += team[t].permits;
    }
    if (leat_sem_available(&sem) + held != most) complain("permits", leat_sem_available(&sem) + held, most);
    if (leat_release(&sem, held)) complain("permits that cannot be given back", held, most);
    if (leat_release(&sem, 1) != -EOVERFLOW) complain("a permit too many", held, most);
    if (counts && leat_wg_add(&wg, -counts)) complain("counts", counts, 0);
    if (leat_try_wg_wait(&wg) || leat_wg_done(&wg) != -EOVERFLOW) complain("the wait group does not count zero", counts, 0);
}

static bool together(uint64_t seed)
{
    uint64_t draw = seed;
    static const int sizes_at[] = { 2, 3, 4, 7 };
    const unsigned char *is = sizes[sizes_at[tap_below(&draw, 4)]];
    msg_size = is[0];
    msg_align = is[1];
    team_size = 2 + tap_below(&draw, TEAM - 1);
    patience = tap_below(&draw, 1000) * LEAT_US(1);
    calm = 1 + tap_below(&draw, 20);
    memset(team, 0, sizeof team);
    memset(received, 0, sizeof received);
    all = (leat_ctx)LEAT_CTX(NULL);
    for (int c = 0; c < CHANS; c++) REQUIRE_EQ(leat_make_(&chan[c], (size_t)tap_below(&draw, 4), msg_size, msg_align), 0);
    most = most_ever = tap_below(&draw, 6);
    in_use = 0;
    sem = (leat_sem)LEAT_SEM(most);
    wg = (leat_wg)LEAT_WG(0);
    running = (leat_wg)LEAT_WG(team_size);
    bool with_pool = tap_below(&draw, 3) == 0;
    lanes = 1 + tap_below(&draw, 3);
    leat_pool_opts opts = { .workers = 1 + tap_below(&draw, 2), .lanes = lanes, .value_size = sizeof(void *) };
    opts.queue = tap_below(&draw, 4) ? 1 + tap_below(&draw, 3) : LEAT_NO_QUEUE;
    if (with_pool) REQUIRE_EQ(leat_pool_start(&pool, tap_below(&draw, 2) ? &all : NULL, &opts), 0);
    for (int t = 0; t < TEAM; t++) {
        team[t].draw = tap_rng(&draw);
        memset(team[t].last, 0xFF, sizeof team[t].last); /* -1 */
        for (int j = 0; j < JOBS; j++) {
            team[t].job[j] = (leat_job)LEAT_JOB(runs, &team[t].held[j]);
            team[t].job[j].lane = tap_below(&draw, lanes);
        }
    }
    tap_threads(team_size + 1, takes_part, &with_pool);
    me = team_size;
    if (with_pool) pool_is_right();
    channels_are_right();
    permits_are_right();
    return !wrong;
}

TEST(nothing_is_lost_or_doubled_or_hangs)
{
    campaign(together, 2000);
}
