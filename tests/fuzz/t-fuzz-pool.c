/* t-fuzz-pool.c - random programs of calls on a pool by one thread return what a model says, and its jobs run in order.
 * SPDX-License-Identifier: MIT
 *
 * All workers are held at a door, so the thread knows what is in the queues. Now and then it opens the door, waits until all
 * jobs have run, and holds the workers again. */
#include "model.h"

enum { ROOM = 7, JOBS = 4 };

typedef struct token {
    int id, job; /* job: its place in job, or -1 */
} token;

enum { NEW, QUEUED, RAN, NEVER };

static leat_pool pool;
static leat_job job[JOBS];
static door doors[CALLS + 1];

static struct should {
    bool runs, shut, aborted;
    int workers, lanes, room, value_size, under, turn, door;
    int len[LEAT_LANES];
    token q[LEAT_LANES][ROOM];
    int list[LEAT_LANES][ROOM], listed[LEAT_LANES], stale[LEAT_LANES];
    int job[JOBS], result[JOBS];
    size_t taken[LEAT_LANES], completed, failed, dropped, cancelled;
    int order[CALLS], ran; /* what must have run, or been handed back, in this order */
    int next;              /* the jobs' numbers */
} m;

static int did[2 * CALLS], ids[2 * CALLS];
static _Atomic int done;

static int outcome(int id)
{
    return id % 3 ? 0 : id;
}

static int does(leat_ctx *ctx, void *id)
{
    (void)ctx;
    did[atomic_fetch_add(&done, 1)] = *(int *)id;
    return outcome(*(int *)id);
}

static void dropped(leat_task *fn, void *id, void *user)
{
    if (fn != does || user != &m) complain("a job that is handed back is another", 0, 0);
    did[atomic_fetch_add(&done, 1)] = -*(int *)id;
}

static void pool_holds(void)
{
    for (int i = 0; i < m.workers; i++) {
        calls("submit at_door", 0, m.door);
        returned(leat_submit(&pool, at_door, &doors[m.door]), 0);
        m.turn++;
        m.taken[0]++;
        if (!wrong) door_until(&doors[m.door], i + 1);
    }
}

static void pool_starts(void)
{
    static const int value_sizes[] = { 0, 4, 16, 16 };
    m.workers = 1 + (below(3) == 0);
    m.lanes = 1 + below(4);
    m.room = below(ROOM + 1);
    m.value_size = value_sizes[below(4)];
    m.under = below(3) - 1;
    leat_pool_opts opts = { .workers = m.workers, .lanes = m.lanes, .queue = m.room ? m.room : LEAT_NO_QUEUE };
    opts.value_size = (size_t)m.value_size;
    REQUIRE_EQ(leat_pool_start(&pool, m.under < 0 ? NULL : &ctxs[m.under], &opts), 0);
    for (int i = 0; i < JOBS; i++) {
        job[i] = (leat_job)LEAT_JOB(does, NULL);
        job[i].lane = below(8) ? below(m.lanes) : m.lanes;
    }
    m.runs = true;
    pool_holds();
}

/* Takes a token of a lane for a worker (runs) or for an abort. */
static void token_goes(int lane, bool runs)
{
    token t = m.q[lane][0];
    memmove(m.q[lane], m.q[lane] + 1, (size_t)--m.len[lane] * sizeof t);
    int j = -1;
    if (t.job >= 0) {
        if (!m.listed[lane]) {
            m.stale[lane]--;
            return;
        }
        j = m.list[lane][0];
        t.id = *(int *)job[j].arg_;
        memmove(m.list[lane], m.list[lane] + 1, (size_t)--m.listed[lane] * sizeof j);
        m.job[j] = runs ? RAN : NEVER;
        m.result[j] = outcome(t.id);
    }
    if (runs || j < 0) m.order[m.ran++] = runs ? t.id : -t.id;
    if (!runs) m.dropped++;
    else m.taken[lane]++;
    if (runs) *(outcome(t.id) ? &m.failed : &m.completed) += 1;
}

/* Each eighth job is from the other lanes in turn. */
static void tokens_go(bool runs)
{
    for (;; m.turn += runs) {
        int lane = runs && m.lanes > 1 && m.turn % 8 == 7 ? 1 + m.turn / 8 % (m.lanes - 1) : 0, k = 0;
        while (k < m.lanes && !m.len[(lane + k) % m.lanes]) k++;
        if (k == m.lanes) return;
        token_goes((lane + k) % m.lanes, runs);
    }
}

static void pool_did(void)
{
    if (done != m.ran) complain("jobs that ran or were handed back", done, m.ran);
    for (int i = 0; i < m.ran && !wrong; i++) {
        int k = 0;
        while (k < m.ran && did[k] != m.order[i]) k++;
        if (m.workers == 1 ? k != i : k == m.ran)
            complain("a job ran, or was handed back, out of order, or not at all", m.order[i], k);
    }
}

static void pool_stats(int busy)
{
    leat_stats st;
    size_t queued = 0, taken = 0;
    calls("pool_stats", 0, 0);
    returned(leat_pool_stats(&pool, &st), 0);
    for (int i = 0; i < m.lanes; i++) {
        queued += (size_t)(m.len[i] - m.stale[i]);
        taken += m.taken[i];
        if (st.lane[i].taken != m.taken[i]) complain("taken of a lane", (long long)st.lane[i].taken, (long long)m.taken[i]);
    }
    if (st.queued != queued) complain("queued", (long long)st.queued, (long long)queued);
    if (st.completed != m.completed) complain("completed", (long long)st.completed, (long long)m.completed);
    if (st.failed != m.failed) complain("failed", (long long)st.failed, (long long)m.failed);
    if (st.dropped != m.dropped) complain("dropped", (long long)st.dropped, (long long)m.dropped);
    if (st.cancelled != m.cancelled) complain("cancelled", (long long)st.cancelled, (long long)m.cancelled);
    if (st.busy != (size_t)busy || st.workers != (size_t)busy)
        complain("busy, workers", (long long)st.busy, (long long)st.workers);
    taken += queued + m.dropped + m.cancelled;
    if (st.submitted != taken) complain("submitted", (long long)st.submitted, (long long)taken);
}

/* The door opens, and the pool ends. */
static void pool_ends(void)
{
    int err = m.under < 0 || m.aborted ? 0 : ctx_err(m.under), left = 0;
    if (!err) tokens_go(true);
    for (int i = 0; i < m.lanes; i++) left += m.len[i] - m.stale[i];
    m.completed += (size_t)m.workers;
    door_open(&doors[m.door]);
    calls("pool_stop", 0, left);
    if (returned(leat_pool_stop(&pool), left ? err : 0) == err && left) {
        tokens_go(false);
        calls("pool_abort", 0, left);
        returned(leat_pool_abort(&pool, dropped, &m), 0);
    }
    for (int i = 0; i < m.lanes; i++) m.len[i] = m.stale[i] = 0; /* if all are stale */
    pool_did();
    pool_stats(0);
    calls("pool_stop again", 0, 0);
    returned(leat_pool_stop(&pool), -EALREADY);
    m.runs = false;
}

static void pool_goes_on(void)
{
    if (m.shut || (m.under >= 0 && ctx_err(m.under))) {
        pool_ends();
        return;
    }
    tokens_go(true);
    m.completed += (size_t)m.workers;
    door_open(&doors[m.door++]);
    calls("pool_wait", 0, 0);
    if (!returned(leat_pool_wait(&pool), 0)) pool_did();
    pool_holds();
}

static void a_submit(void)
{
    enum { PLAIN, LANE, VALUE, HELD } kind = (unsigned)below(4);
    int j = kind == HELD ? below(JOBS) : -1, lane = kind == LANE ? below(m.lanes + 2) - 1 : j >= 0 ? job[j].lane : 0;
    int id = ++m.next, *at = &ids[id % (2 * CALLS)], size = 4 << below(3), err = 0, want = 0;
    int value[4] = { id }, before = m.under < 0 ? 0 : ended[m.under];
    bool tries = below(2);
    leat_ctx soon, *ctx = NULL;
    if (j >= 0 && m.job[j] == QUEUED) want = -EALREADY;
    else if (m.shut) want = -ESHUTDOWN;
    else if (lane < 0 || lane >= m.lanes) want = -EINVAL;
    else if (kind == VALUE && size > m.value_size) want = -E2BIG;
    else if (m.under >= 0 && (want = ctx_err(m.under)) != 0) ended[m.under] = before; /* perhaps it is not asked */
    else if (m.len[lane] == m.room) want = -EAGAIN;
    if (!tries && want != -E2BIG) ctx = pick(want == -EAGAIN, &soon, &err);
    if (!err && (want == -ECANCELED || want == -ETIMEDOUT)) ctx_err(m.under);
    calls(kind == PLAIN ? "submit" : kind == LANE ? "submit_lane" : kind == VALUE ? "submit_value" : "submit_job", lane, id);
    *at = id;
    if (j >= 0 && m.job[j] != QUEUED) job[j].arg_ = at;
    leat_pool *p = &pool;
    int got = kind == PLAIN ? leat_submit_(ctx, p, does, at, !tries)
              : kind == LANE
                  ? (tries ? leat_try_submit_lane(p, lane, does, at) : leat_submit_lane_ctx(ctx, p, lane, does, at))
              : kind == VALUE ? leat_submit_value_(ctx, p, does, value, (size_t)size, _Alignof(int), !tries)
                              : leat_submit_job_(ctx, p, &job[j], !tries);
    if (returned(got, err ? err : want)) return;
    m.q[lane][m.len[lane]++] = (token){ id, j };
    if (j < 0) return;
    m.job[j] = QUEUED;
    m.list[lane][m.listed[lane]++] = j;
}

static void a_job(void)
{
    int j = below(JOBS), lane = job[j].lane, at = 0, err = 0, result = -1, now = m.job[j];
    int want = now == NEW ? -EINVAL : now == QUEUED ? -EAGAIN : now == RAN ? 0 : -ECANCELED;
    if (below(2)) {
        calls("job_cancel", j, now);
        if (returned(leat_job_cancel(&job[j]), now == NEW ? -EINVAL : now == QUEUED ? 0 : -EALREADY)) return;
        while (m.list[lane][at] != j) at++;
        memmove(&m.list[lane][at], &m.list[lane][at + 1], (size_t)(--m.listed[lane] - at) * sizeof j);
        m.stale[lane]++;
        m.cancelled++;
        m.job[j] = NEVER;
        return;
    }
    bool tries = below(2);
    leat_ctx soon, *ctx = tries ? NULL : pick(want == -EAGAIN, &soon, &err);
    calls(tries ? "try_job_wait" : "job_wait", j, now);
    if (!returned(tries ? leat_try_job_wait(&job[j], &result) : leat_job_wait_ctx(ctx, &job[j], &result),
                  err ? err : want) &&
        result != m.result[j])
        complain("the job's result", result, m.result[j]);
}

static void a_pool(void)
{
    int what = below(64);
    if (!m.runs) return;
    if (what < 36) {
        a_submit();
    } else if (what < 48) {
        a_job();
    } else if (what < 52) {
        calls("try_pool_wait", 0, 0);
        returned(leat_try_pool_wait(&pool), m.shut ? -ESHUTDOWN : -EAGAIN);
    } else if (what < 57) {
        pool_stats(m.workers);
    } else if (what < 61) {
        pool_goes_on();
    } else if (what < 62) {
        calls("try_pool_stop", 0, 0);
        returned(leat_try_pool_stop(&pool), -EAGAIN);
        m.shut = true;
    } else if (below(2)) {
        tokens_go(false);
        calls("try_pool_abort", 0, 0);
        returned(leat_try_pool_abort(&pool, dropped, &m), -EAGAIN);
        m.shut = m.aborted = true;
        pool_did();
    }
}

static bool succeeds(const program *p)
{
    begins(p);
    memset(&m, 0, sizeof m);
    memset(doors, 0, sizeof doors);
    done = 0;
    contexts_are_made();
    pool_starts();
    while (goes_on(p))
        if (below(16)) a_pool();
        else a_context();
    if (m.runs && !wrong) pool_ends();
    if (m.runs) {
        door_open(&doors[m.door]);
        leat_pool_abort(&pool, NULL, NULL);
    }
    return !wrong;
}

TEST(each_call_returns_what_the_model_says_and_each_job_runs_in_its_turn)
{
    campaign(alone, 1000);
}
