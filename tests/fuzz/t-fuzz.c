/* t-fuzz.c - random programs of calls by one thread return what a model says, each call exactly.
 * SPDX-License-Identifier: MIT
 *
 * The size of a message is drawn, so channels and topics are used by the functions behind the typed macros. */
#ifndef LEAT_NO_URCU
#define LEAT_NO_URCU /* the model is the same */
#endif
#include "messages.h"
#include "model.h"
#include "topic.h"

enum { CHANS = 3, CAP = 7 };

typedef struct chan_model {
    int cap, len;
    bool closed;
    uint32_t q[CAP + 1];
} chan_model;

/* What the calls are about, and what should be true of it. */
static struct objects {
    leat_chan chan[CHANS];
    leat_sem sem;
    leat_wg wg;
    leat_topic topic;
} o;

static struct should {
    chan_model chan[CHANS];
    int64_t permits, most, count;
    bool sem_closed;
    bool keeps, topic_closed;
    uint32_t latest;
    uint64_t version;
    int subs[CHANS], policy[CHANS], drops[CHANS], n_subs; /* subs: in the order of the list. policy, drops: by channel */
    int next;                                             /* the messages' numbers */
} m;

/* ---- Channels ---- */

static int ready(int c, int way)
{
    chan_model *ch = &m.chan[c];
    if (way == LEAT_SENDS_) return ch->closed ? -EPIPE : ch->len < ch->cap ? 0 : -EAGAIN;
    return ch->len ? 0 : ch->closed ? -EPIPE : -EAGAIN;
}

static void put(int c, uint32_t id)
{
    m.chan[c].q[m.chan[c].len++] = id;
}

static uint32_t take(int c)
{
    uint32_t id = m.chan[c].q[0];
    memmove(m.chan[c].q, m.chan[c].q + 1, (size_t)--m.chan[c].len * sizeof id);
    return id;
}

static void is_untouched(const unsigned char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] != 0xEE) complain("memory was written that no message went to", (long long)i, at[i]);
}

/* What a call has moved that returned k. */
static void moved(int c, int way, int k, int n, unsigned char *msgs, uint32_t id)
{
    for (int i = 0; i < k && !wrong; i++)
        if (way == LEAT_SENDS_) put(c, id + (uint32_t)i);
        else is_whole(msgs + (size_t)i * msg_size, take(c));
    if (way == LEAT_RECEIVES_) is_untouched(msgs + (size_t)k * msg_size, (size_t)(n - k) * msg_size);
}

static _Alignas(64) unsigned char msgs[CAP + 2][BIG];

static void a_move(int c, int way)
{
    leat_ctx soon, *ctx = NULL;
    bool many = below(3) == 0, tries = below(2), sends = way == LEAT_SENDS_;
    int n = many ? below(CAP + 2) : 1, err = 0, can = many && !n ? 0 : ready(c, way);
    int most = sends ? m.chan[c].cap - m.chan[c].len : m.chan[c].len;
    int want = can ? can : many ? (n < most ? n : most) : 0;
    uint32_t id = (uint32_t)(m.next += n) * 2654435761u;
    unsigned char *a = msgs[0];
    leat_chan *ch = &o.chan[c];
    memset(msgs, 0xEE, sizeof msgs);
    for (int i = 0; i < n && sends; i++) fill(a + (size_t)i * msg_size, id + (uint32_t)i);
    if (!tries) ctx = pick(can == -EAGAIN, &soon, &err);
    if (err) want = err;
    calls(sends ? (many ? "send_many" : "send") : many ? "recv_many" : "recv", c, n);
    long long got;
    if (many && sends) got = leat_send_many_(ctx, ch, !tries, a, (size_t)n, msg_size, msg_align, 0);
    else if (many) got = leat_recv_many_(ctx, ch, !tries, a, (size_t)n, msg_size, msg_align, 0);
    else if (sends)
        got = tries ? leat_try_send_(ch, a, msg_size, msg_align, 0) : leat_send_(ctx, ch, a, msg_size, msg_align, 0);
    else got = tries ? leat_try_recv_(ch, a, msg_size, msg_align, 0) : leat_recv_(ctx, ch, a, msg_size, msg_align, 0);
    returned(got, want);
    moved(c, way, got < 0 ? 0 : many ? (int)got : 1, n, a, id);
}

static void a_select(void)
{
    enum { MOST = 4 };
    leat_case cases[MOST];
    int n = below(MOST + 1), on[MOST], way[MOST], err = 0, lowest = -EAGAIN, some = 0;
    bool first = below(2), tries = below(2), can[MOST] = { false };
    uint32_t id = (uint32_t)(m.next += MOST) * 2654435761u;
    memset(msgs, 0xEE, sizeof msgs);
    for (int i = n; i-- > 0;) {
        on[i] = below(CHANS + 1) - (below(4) == 0);
        way[i] = below(2);
        if (on[i] == CHANS) on[i] = -1;
        if (way[i] == LEAT_SENDS_) fill(msgs[i], id + (uint32_t)i);
        cases[i] = leat_case_(on[i] < 0 ? NULL : &o.chan[on[i]], way[i], msgs[i], msg_size, msg_align);
        some += on[i] >= 0;
        if ((can[i] = on[i] >= 0 && ready(on[i], way[i]) != -EAGAIN)) lowest = i;
    }
    leat_ctx soon, *ctx = NULL;
    bool never = !some && !tries && below(2);
    if (!tries && !never) ctx = pick(lowest < 0, &soon, &err);
    int want = err ? err : never ? -EDEADLK : lowest;
    calls(first ? "select_first" : "select", tries, n);
    int got = tries ? (first ? leat_try_select_first : leat_try_select)(cases, (size_t)n)
                    : (first ? leat_select_first_ctx : leat_select_ctx)(ctx, cases, (size_t)n);
    returned(got, want >= 0 && !first && got >= 0 && got < n && can[got] ? got : want);
    for (int i = 0; i < n && !wrong; i++) {
        int how = i == got ? ready(on[i], way[i]) : -EAGAIN;
        if (i == got && cases[i].err != how) complain("the error of the case", cases[i].err, how);
        if (way[i] == LEAT_RECEIVES_ || !how) moved(on[i], way[i], !how, 1, msgs[i], id + (uint32_t)i);
    }
}

static void a_channel(void)
{
    int c = below(CHANS), what = below(64);
    if (what < 44) {
        a_move(c, what % 2);
    } else if (what < 58) {
        a_select();
    } else if (what < 62) {
        calls("len", c, 0);
        returned((long long)leat_len_(&o.chan[c], 0), m.chan[c].len);
        calls("is_closed", c, 0);
        returned(leat_is_closed_(&o.chan[c]), m.chan[c].closed);
    } else if (below(3) == 0) {
        calls("close", c, 0);
        returned(leat_close_(&o.chan[c]), m.chan[c].closed ? -EALREADY : 0);
        m.chan[c].closed = true;
    }
}

/* ---- Semaphore and wait group ---- */

static int64_t amount(int least, int most)
{
    return below(32) ? below(most - least + 1) + least : below(2) ? LEAT_SEM_MAX + below(2) : -LEAT_SEM_MAX - below(2);
}

static void a_semaphore(void)
{
    int what = below(32), err = 0;
    if (what < 16) {
        leat_ctx soon, *ctx = NULL;
        int64_t n = amount(-1, 6);
        bool tries = below(2);
        int want = n < 0 || n > LEAT_SEM_MAX ? -EINVAL : !n || n <= m.permits ? 0 : m.sem_closed ? -EPIPE : -EAGAIN;
        if (want == -EAGAIN && !tries && n > m.most) want = -EDEADLK;
        if (!tries) ctx = pick(want == -EAGAIN, &soon, &err);
        calls(tries ? "try_acquire" : "acquire", 0, n);
        if (!returned(tries ? leat_try_acquire(&o.sem, n) : leat_acquire_ctx(ctx, &o.sem, n), err ? err : want))
            m.permits -= n;
    } else if (what < 26) {
        int64_t n = amount(-1, 5);
        calls("release", 0, n);
        err = n < 0 || n > LEAT_SEM_MAX ? -EINVAL : n > m.most - m.permits ? -EOVERFLOW : 0;
        if (!returned(leat_release(&o.sem, n), err)) m.permits += n;
    } else if (what < 30) {
        int64_t n = amount(-3, 4);
        calls("sem_resize", 0, n);
        err = n > LEAT_SEM_MAX - m.most || n < -m.most || n < -LEAT_SEM_MAX ? -EINVAL : 0;
        if (returned(leat_sem_resize(&o.sem, n), err)) return;
        m.most += n;
        m.permits += n;
    } else if (below(8) == 0) {
        calls("sem_close", 0, 0);
        returned(leat_sem_close(&o.sem), m.sem_closed ? -EALREADY : 0);
        m.sem_closed = true;
    }
    calls("sem_available", 0, 0);
    returned(leat_sem_available(&o.sem), m.permits);
}

static void a_wait_group(void)
{
    int err = 0;
    if (below(3)) {
        int64_t n = amount(-3, 3);
        calls("wg_add", 0, n);
        err = n > LEAT_SEM_MAX || n < -LEAT_SEM_MAX           ? -EINVAL
              : m.count + n < 0 || m.count + n > LEAT_SEM_MAX ? -EOVERFLOW
                                                              : 0;
        if (!returned(leat_wg_add(&o.wg, n), err)) m.count += n;
    } else if (below(2)) {
        calls("try_wg_wait", 0, 0);
        returned(leat_try_wg_wait(&o.wg), m.count ? -EAGAIN : 0);
    } else {
        leat_ctx soon, *ctx = pick(m.count, &soon, &err);
        calls("wg_wait", 0, 0);
        returned(leat_wg_wait_ctx(ctx, &o.wg), err);
    }
}

/* ---- Topic ---- */

static bool offered(int c, uint32_t id, bool counts)
{
    chan_model *ch = &m.chan[c];
    if (ch->closed) return false;
    if (ch->len == ch->cap) {
        bool evicts = m.policy[c] == LEAT_DROPS_OLDEST && ch->cap;
        m.drops[c] += evicts || counts;
        if (!evicts) return false;
        take(c);
    }
    put(c, id);
    return true;
}

static void subscribes(int c, int at)
{
    int policy = below(9), does = policy & ~LEAT_LATEST_FIRST, err = 0;
    bool first = policy != does;
    if (does > LEAT_DROPS_OLDEST || (first && !(m.keeps && m.chan[c].cap))) err = -EINVAL;
    else if (m.topic_closed) err = -EPIPE;
    else if (at < m.n_subs) err = -EALREADY;
    calls("subscribe", c, policy);
    if (returned(leat_subscribe_(&o.topic, &o.chan[c], policy, msg_size, msg_align), err)) return;
    m.subs[m.n_subs++] = c;
    m.policy[c] = does;
    m.drops[c] = 0;
    if (first && m.version) offered(c, m.latest, false);
}

static void publishes(void)
{
    uint32_t id = (uint32_t)++m.next * 2654435761u;
    int c = below(2 * CTXS), got = 0, err = c < CTXS ? ctx_err(c) : 0; /* a live one would have to wait: a try */
    fill(msgs[0], id);
    for (int i = 0; i < m.n_subs && !err && !m.topic_closed; i++) got += offered(m.subs[i], id, true);
    calls("publish", c, id);
    returned(leat_publish_(err ? &ctxs[c] : NULL, &o.topic, leat_msg_(msgs[0], msg_size, msg_align), err != 0),
             err              ? err
             : m.topic_closed ? -EPIPE
                              : got);
    if (err || m.topic_closed || !m.keeps) return;
    m.latest = id;
    m.version++;
}

static void latest(bool after)
{
    uint64_t version = m.version - (m.version && below(2)), before = version;
    int err = 0, want = m.version ? 0 : -EAGAIN;
    if (after) want = !m.keeps ? -EINVAL : version < m.version ? 0 : m.topic_closed ? -EPIPE : -EAGAIN;
    memset(msgs, 0xEE, sizeof msgs);
    leat_ctx soon, *ctx = after && m.keeps ? pick(want == -EAGAIN, &soon, &err) : NULL;
    calls(after ? "latest_after" : "latest", 0, (long long)version);
    long long got =
        after ? leat_latest_after_(ctx, &o.topic, msgs[0], &version, msg_size) : leat_latest_(&o.topic, msgs[0], msg_size);
    if (returned(got, err ? err : want)) is_untouched(msgs[0], BIG);
    else is_whole(msgs[0], m.latest);
    if (version != (after && !got ? m.version : before)) complain("the version", (long long)version, (long long)m.version);
}

static void a_topic(void)
{
    int c = below(CHANS), what = below(32), at = 0;
    while (at < m.n_subs && m.subs[at] != c) at++;
    if (what < 6) {
        subscribes(c, at);
    } else if (what < 8) {
        calls("unsubscribe", c, 0);
        if (!returned(leat_unsubscribe_(&o.topic, &o.chan[c]), at < m.n_subs ? 0 : -ENOENT))
            memmove(&m.subs[at], &m.subs[at + 1], (size_t)(--m.n_subs - at) * sizeof m.subs[0]);
    } else if (what < 20) {
        publishes();
    } else if (what < 28) {
        latest(what < 24);
    } else if (what < 31) {
        calls("topic_drops", c, 0);
        returned(leat_topic_drops_(&o.topic, &o.chan[c]), at < m.n_subs ? m.drops[c] : -ENOENT);
    } else if (below(8) == 0) {
        calls("topic_close", 0, 0);
        returned(leat_topic_close_(&o.topic), m.topic_closed ? -EALREADY : 0);
        for (int i = 0; i < m.n_subs && !m.topic_closed; i++) m.chan[m.subs[i]].closed = true;
        m.topic_closed = true;
    }
}

/* ---- A program ---- */

static void objects_are_made(void)
{
    const unsigned char *is = sizes[below((int)(sizeof sizes / sizeof sizes[0]))];
    msg_size = is[0];
    msg_align = is[1];
    memset(&m, 0, sizeof m);
    contexts_are_made();
    for (int c = 0; c < CHANS; c++) {
        m.chan[c].cap = below(CAP + 1);
        REQUIRE_EQ(leat_make_(&o.chan[c], (size_t)m.chan[c].cap, msg_size, msg_align), 0);
    }
    m.permits = below(6);
    m.most = m.permits + below(3);
    o.sem = (leat_sem)LEAT_SEM_OF(m.permits, m.most);
    m.count = below(3);
    o.wg = (leat_wg)LEAT_WG(m.count);
    m.keeps = below(2);
    REQUIRE_EQ(leat_topic_make_(&o.topic, m.keeps ? LEAT_KEEPS_LATEST : 0, msg_size, msg_align), 0);
}

static bool succeeds(const program *p)
{
    begins(p);
    objects_are_made();
    while (goes_on(p)) {
        int what = below(22);
        if (what < 2) a_context();
        else if (what < 12) a_channel();
        else if (what < 16) a_semaphore();
        else if (what < 18) a_wait_group();
        else a_topic();
    }
    leat_topic_free_(&o.topic, msg_align);
    for (int c = 0; c < CHANS; c++) leat_free_(&o.chan[c], msg_align);
    return !wrong;
}

TEST(each_call_returns_what_the_model_says)
{
    campaign(alone, 8000);
}
