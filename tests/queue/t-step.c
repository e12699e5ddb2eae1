/* Every instruction is a preemption point: a call is stopped before each of its instructions in turn, other threads
 * make complete calls meanwhile, then it goes on. Afterwards the results of all calls must be those of some order in
 * which the calls could have been made one at a time. No thread is parked that should not be. A call that waited,
 * waited for something that the stopped call had really left half-way.
 *
 *     LEAT_STRESS=n    n times as many stops (64: all), and 4 n visits of an instruction instead of 4 (set
 *                      LEAT_TEST_SECONDS=600, too)
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tap.h"

#if !defined __x86_64__ || !defined __linux__ || !defined __LP64__ || TAP_SLOW

TEST(every_instruction_is_a_preemption_point)
{
    SKIP("it needs the trap flag of x86-64, Linux, and code without a sanitizer");
}

#else

#define LEAT_CUSTOM_OS "step.h"
#define LEAT_WAKE_ 100 /* each pause of a spin is a place to stop */
#include "pool.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ==== The calls ===============================================================================
 *
 * Two channels of the same capacity, a context, a semaphore, a wait group; a group, a pool. */

typedef struct msg {
    uint64_t id, again; /* again: ~id, so that a message of which only half was copied is noticed */
} msg;
typedef LEAT_CHAN(msg) msg_chan;

struct world {
    msg_chan ch[2];
    leat_ctx ctx;
    leat_sem sem;
    leat_wg wg;
};

static struct world *world; /* a page of its own, which is taken away when it is freed */

static leat_group group;
static leat_pool pool;
static bool world_is_gone;
enum { PAGE = 4096, BATCH = 3, CALLS = 48 };
enum { NO_CASE, PUTS, TAKES };
enum { FOR_EVER, TRIES, UNDER_CTX }; /* how it waits */
enum { CHANNEL, LEN, CLOSE, CANCEL, CTX_ERR, TIME, TASKS };
enum { ACQUIRE = 10, RELEASE, RESIZE, SEM_CLOSE, PERMITS, ADD, WG_WAIT, UNDONE };

/* clang-format off */
static const struct op {
    const char *name;
    int is, how;
    struct {
        int does, chan;
    } cases[2];
    int n; /* messages of a batch, permits, tasks */
} ops[] = {
    { "send", CHANNEL, FOR_EVER, { { PUTS, 0 } }, 0 },
    { "send_ctx", CHANNEL, UNDER_CTX, { { PUTS, 0 } }, 0 },
    { "try_send", CHANNEL, TRIES, { { PUTS, 0 } }, 0 },
    { "send_many", CHANNEL, UNDER_CTX, { { PUTS, 0 } }, BATCH },
    { "recv", CHANNEL, FOR_EVER, { { TAKES, 0 } }, 0 },
    { "recv_ctx", CHANNEL, UNDER_CTX, { { TAKES, 0 } }, 0 },
    { "try_recv", CHANNEL, TRIES, { { TAKES, 0 } }, 0 },
    { "recv_many", CHANNEL, UNDER_CTX, { { TAKES, 0 } }, BATCH },
    { "select", CHANNEL, UNDER_CTX, { { TAKES, 0 }, { TAKES, 1 } }, 0 },
    { "select_both", CHANNEL, FOR_EVER, { { PUTS, 0 }, { TAKES, 1 } }, 0 },
    { "select_self", CHANNEL, FOR_EVER, { { PUTS, 0 }, { TAKES, 0 } }, 0 },
    { "try_select", CHANNEL, TRIES, { { TAKES, 0 }, { TAKES, 1 } }, 0 },
    { "send_b", CHANNEL, FOR_EVER, { { PUTS, 1 } }, 0 },
    { "try_send_b", CHANNEL, TRIES, { { PUTS, 1 } }, 0 },
    { "recv_b", CHANNEL, FOR_EVER, { { TAKES, 1 } }, 0 },
    { "try_recv_b", CHANNEL, TRIES, { { TAKES, 1 } }, 0 },
    { "len", LEN, TRIES, { { NO_CASE, 0 } }, 0 },
    { "len_b", LEN, TRIES, { { NO_CASE, 1 } }, 0 },
    { "close", CLOSE, FOR_EVER, { { NO_CASE, 0 } }, 0 },
    { "close_b", CLOSE, FOR_EVER, { { NO_CASE, 1 } }, 0 },
    { "cancel", CANCEL, FOR_EVER, { { 0 } }, 0 },
    { "ctx_err", CTX_ERR, TRIES, { { 0 } }, 0 },
    { "time", TIME, TRIES, { { 0 } }, 0 }, /* ten seconds pass: beyond the context's deadline */
    { "acquire", ACQUIRE, FOR_EVER, { { 0 } }, 1 },
    { "acquire_ctx", ACQUIRE, UNDER_CTX, { { 0 } }, 1 },
    { "acquire_2", ACQUIRE, FOR_EVER, { { 0 } }, 2 },
    { "try_acquire", ACQUIRE, TRIES, { { 0 } }, 1 },
    { "try_acquire_2", ACQUIRE, TRIES, { { 0 } }, 2 },
    { "release", RELEASE, FOR_EVER, { { 0 } }, 1 },
    { "release_2", RELEASE, FOR_EVER, { { 0 } }, 2 },
    { "grow", RESIZE, FOR_EVER, { { 0 } }, 1 },
    { "shrink", RESIZE, FOR_EVER, { { 0 } }, -1 },
    { "sem_close", SEM_CLOSE, FOR_EVER, { { 0 } }, 0 },
    { "permits", PERMITS, TRIES, { { 0 } }, 0 },
    { "add", ADD, FOR_EVER, { { 0 } }, 1 },
    { "done", ADD, FOR_EVER, { { 0 } }, -1 },
    { "done_2", ADD, FOR_EVER, { { 0 } }, -2 },
    { "wg_wait", WG_WAIT, FOR_EVER, { { 0 } }, 0 },
    { "wg_wait_ctx", WG_WAIT, UNDER_CTX, { { 0 } }, 0 },
    { "undone", UNDONE, TRIES, { { 0 } }, 0 },
    { "go", TASKS, FOR_EVER, { { 0 } }, 1 },
    { "go_and_fail", TASKS, FOR_EVER, { { 0 } }, 1 },
    { "go_n", TASKS, FOR_EVER, { { 0 } }, BATCH },
    { "try_go", TASKS, TRIES, { { 0 } }, 1 },
    { "wait", TASKS, FOR_EVER, { { 0 } }, 0 },
    { "submit", TASKS, FOR_EVER, { { 0 } }, 1 },
    { "try_submit", TASKS, TRIES, { { 0 } }, 1 },
    { "stop", TASKS, FOR_EVER, { { 0 } }, 0 },
    { "abort", TASKS, FOR_EVER, { { 0 } }, 0 },
    { "resize", TASKS, FOR_EVER, { { 0 } }, 2 },
};
/* clang-format on */

/* What is there when the scene begins, and which calls are made. */
struct scene {
    int cap, fill, fill_b; /* of the channels */
    int turn;              /* how many messages went through them before */
    int most, permits, undone;
    int limit, workers;    /* of the group, of the pool. 0: there is none */
    bool deadline;         /* the context has one. The call "time" passes it */
    const char *waiting;   /* calls that have begun to wait, in that order */
    const char *stepped;   /* the call that is stopped before each of its instructions */
    const char *meanwhile; /* calls that are made there. ".": calls that were woken go on */
    const char *then;      /* calls that are made when none can go on */
};

static const struct scene *scene;

static struct call {
    const struct op *op;
    struct actor *actor; /* NULL: made by the manager */
    bool frees;          /* the world, when it has got what it waits for */
    int64_t result;
    int err;                   /* of the case that a select did */
    msg out[BATCH], in[BATCH]; /* the caller's. Invalid when the call has ended */
    msg got[BATCH];
    int runs;                  /* how often its tasks ran, or were dropped */
    int start, parked_at, end; /* when. 0: not yet */
} calls[CALLS], *stepped;
static int made;

static bool is(const struct call *c, const char *name)
{
    return strcmp(c->op->name, name) == 0;
}

static int task(leat_ctx *ctx, void *arg)
{
    struct call *c = arg;
    (void)ctx;
    c->runs++;
    return is(c, "go_and_fail") ? 7 : 0;
}

static void dropped(leat_task *fn, void *arg, void *user)
{
    (void)fn, (void)user;
    ((struct call *)arg)->runs++;
}

static int64_t do_channel(struct call *c)
{
    const struct op *o = c->op;
    msg_chan *ch = &world->ch[o->cases[0].chan];
    leat_ctx *ctx = o->how == UNDER_CTX ? &world->ctx : NULL;
    bool puts = o->cases[0].does == PUTS;
    if (o->cases[1].does) {
        leat_case cases[2];
        for (int i = 0; i < 2; i++) {
            msg_chan *of = &world->ch[o->cases[i].chan];
            cases[i] = o->cases[i].does == PUTS ? LEAT_SEND(of, &c->out[0]) : LEAT_RECV(of, &c->in[0]);
        }
        int r = o->how == TRIES ? leat_try_select(cases, 2) : leat_select_ctx(ctx, cases, 2);
        c->err = r < 0 ? r : cases[r].err;
        return r;
    }
    if (o->n) return puts ? leat_send_many_ctx(ctx, ch, c->out, BATCH) : leat_recv_many_ctx(ctx, ch, c->in, BATCH);
    if (o->how == TRIES) return puts ? leat_try_send(ch, c->out) : leat_try_recv(ch, c->in);
    if (ctx) return puts ? leat_send_ctx(ctx, ch, c->out) : leat_recv_ctx(ctx, ch, c->in);
    return puts ? leat_send(ch, c->out) : leat_recv(ch, c->in);
}

static int64_t do_tasks(struct call *c)
{
    if (is(c, "try_go")) return leat_try_go(&group, task, c);
    if (is(c, "go_n")) return leat_go_n(&group, BATCH, task, c);
    if (is(c, "wait")) return leat_wait(&group);
    if (is(c, "submit")) return leat_submit(&pool, task, c);
    if (is(c, "try_submit")) return leat_try_submit(&pool, task, c);
    if (is(c, "stop")) return leat_pool_stop(&pool);
    if (is(c, "abort")) return leat_pool_abort(&pool, dropped, NULL);
    if (is(c, "resize")) return leat_pool_resize(&pool, c->op->n);
    return leat_go(&group, task, c);
}

static int64_t perform(struct call *c)
{
    const struct op *o = c->op;
    leat_ctx *ctx = o->how == UNDER_CTX ? &world->ctx : NULL;
    switch (o->is) {
    case CHANNEL: return do_channel(c);
    case LEN: return (int64_t)leat_len(&world->ch[o->cases[0].chan]);
    case CLOSE: return leat_close(&world->ch[o->cases[0].chan]);
    case CANCEL: return leat_cancel(&world->ctx, 0), 0;
    case CTX_ERR: return leat_ctx_err(&world->ctx);
    case TIME: return pass_time(LEAT_S(10)), 0;
    case ACQUIRE:
        return ctx               ? leat_acquire_ctx(ctx, &world->sem, o->n)
               : o->how == TRIES ? leat_try_acquire(&world->sem, o->n)
                                 : leat_acquire(&world->sem, o->n);
    case RELEASE: return leat_release(&world->sem, o->n);
    case RESIZE: return leat_sem_resize(&world->sem, o->n);
    case SEM_CLOSE: return leat_sem_close(&world->sem);
    case PERMITS: return leat_sem_available(&world->sem);
    case ADD: return leat_wg_add(&world->wg, o->n);
    case WG_WAIT: return ctx ? leat_wg_wait_ctx(ctx, &world->wg) : leat_wg_wait(&world->wg);
    case UNDONE: return atomic_load_explicit(&world->wg.word_, memory_order_relaxed) >> 1;
    default: return do_tasks(c);
    }
}

static bool only_the_stepped_is_inside(void)
{
    for (const struct call *c = calls; c < calls + made; c++)
        if (c != stepped && c->start && !c->end) return false;
    return true;
}

static uint64_t id_of(const struct call *c, int k)
{
    return (uint64_t)(c - calls + 1) * 10 + (uint64_t)k;
}

static void *play(void *arg)
{
    struct call *c = arg;
    *leat_current_() = NULL; /* this thread may have been one of a pool or group that is over */
    for (int k = 0; k < BATCH; k++) c->out[k] = (msg){ id_of(c, k), ~id_of(c, k) };
    c->start = ++stage.ticks;
    trap_flag(stage.notes && actor_self == stage.stepped);
    c->result = perform(c);
    trap_flag(false);
    c->end = ++stage.ticks;
    c->parked_at = actor_self ? actor_self->parked_at : 0;
    memcpy(c->got, c->in, sizeof c->got);
    memset(c->in, 0xEE, sizeof c->in);
    memset(c->out, 0xEE, sizeof c->out);
    if (c->frees && c->result != -EAGAIN && !(c->op->is == CTX_ERR && !c->result) && only_the_stepped_is_inside()) {
        world_is_gone = true;
        mprotect(world, PAGE, PROT_NONE);
    }
    return NULL;
}

/* The call of that name. With a `!` behind the name, the call frees the world. */
static struct call *new_call(const char *name)
{
    size_t n = strcspn(name, " !"), i = 0;
    while (i < COUNT(ops) && !(strncmp(ops[i].name, name, n) == 0 && !ops[i].name[n])) i++;
    REQUIRE(i < COUNT(ops) && made < CALLS);
    struct call *c = &calls[made++];
    *c = (struct call){ .op = &ops[i], .frees = name[n] == '!' };
    return c;
}

/* Lets an actor begin the call. */
static struct call *begin(const char *name)
{
    struct call *c = new_call(name);
    c->actor = cast(play, c);
    let_go_on(c->actor);
    return c;
}

/* The manager makes the call itself. Nothing may be half-way then, or the manager would have to wait. */
static int64_t now_do(const char *name)
{
    struct call *c = new_call(name);
    play(c);
    return c->result;
}

/* For each word of a list. */
#define FOR_WORDS(word, list) for (const char *word = (list); word && *word; word = strchr(word, ' '), word += word ? 1 : 0)

/* ==== The judge ===============================================================================
 *
 * The result of each call is an event, that of a batch several. The judge searches for an order of the events. In it
 * each event is what a plain queue or counter would have answered then, and a call that ended before another began
 * comes before that one (Wing and Gong 1993). An unbuffered send and its receive are one event. */

enum { PUT, TAKE, PUT_CLOSED, TAKE_CLOSED, WOULD_WAIT, OTHER };

static struct event {
    const struct call *call;
    int is, chan;
    uint64_t id;
    const struct event *before; /* of the same batch */
    bool over;
} events[2 * CALLS];
static int event_count;

struct model {
    int cap, len[2];
    uint64_t queue[2][4];
    bool closed[2], sem_closed, impatient;
    int64_t permits, most, undone;
};

static bool may_come(const struct event *e)
{
    if (e->over || (e->before && !e->before->over)) return false;
    for (const struct event *f = events; f < events + event_count; f++)
        if (!f->over && f->call->end < e->call->start) return false;
    return true;
}

/* Before this call began, was another call parked to do that, whose turn has not come? */
static bool was_parked(const struct call *c, int is, int does, int chan)
{
    for (const struct event *e = events; e < events + event_count; e++) {
        const struct call *other = e->call;
        if (e->over || other->op->is != is || !other->parked_at || other->parked_at > c->start) continue;
        for (int i = 0; i < 2; i++)
            if (other->op->cases[i].does == does && other->op->cases[i].chan == chan) return true;
    }
    return false;
}

static bool would_wait(const struct model *m, const struct call *c)
{
    for (int i = 0; i < 2; i++) {
        int does = c->op->cases[i].does, ch = c->op->cases[i].chan;
        if (!does) continue;
        if (m->closed[ch]) return false;
        if (m->cap ? (does == PUTS ? m->len[ch] < m->cap : m->len[ch] > 0)
                   : was_parked(c, CHANNEL, does == PUTS ? TAKES : PUTS, ch))
            return false;
    }
    return true;
}

static bool shuts(bool *closed, int64_t result)
{
    bool was = *closed;
    *closed = true;
    return result == (was ? -EALREADY : 0);
}

static bool adds(int64_t *to, int64_t n, bool fits, int64_t result, int otherwise)
{
    if (fits) *to += n;
    return result == (fits ? 0 : otherwise);
}

/* A release of too much that overlaps with a shrink may pass unnoticed, because it has read the limit before. */
static bool overlaps_a_shrink(const struct call *c)
{
    for (const struct call *d = calls; d < calls + made; d++)
        if (is(d, "shrink") && d->start < c->end && d->end > c->start) return true;
    return false;
}

/* An acquire that is cancelled at that moment may have the permits for an instant. A release of too much that
 * overlaps with it passes unnoticed, and those permits are not given back. */
static bool overlaps_a_cancelled_acquire(const struct call *c)
{
    for (const struct call *d = calls; d < calls + made; d++)
        if (d->op->is == ACQUIRE && d->result == -ECANCELED && d->start < c->end && d->end > c->start) return true;
    return false;
}

static bool other_comes(struct model *m, const struct call *c)
{
    int64_t n = c->op->n, r = c->result;
    int ch = c->op->cases[0].chan;
    switch (c->op->is) {
    case LEN: return r == m->len[ch];
    case CLOSE: return shuts(&m->closed[ch], r);
    case ACQUIRE:
        if (r == -EPIPE) return m->sem_closed && (m->permits < n || c->parked_at);
        if (r == -EDEADLK) return n > m->most;
        if (r == -EAGAIN) return m->permits < n || (m->impatient && was_parked(c, ACQUIRE, NO_CASE, 0));
        m->permits -= n;
        return r == 0 && m->permits >= 0;
    case RELEASE:
        if (!r && m->permits + n > m->most && overlaps_a_cancelled_acquire(c)) {
            m->permits = m->most;
            return true;
        }
        return adds(&m->permits, n, m->permits + n <= m->most || (!r && overlaps_a_shrink(c)), r, -EOVERFLOW);
    case RESIZE: m->permits += m->most + n >= 0 ? n : 0; return adds(&m->most, n, m->most + n >= 0, r, -EINVAL);
    case SEM_CLOSE: return shuts(&m->sem_closed, r);
    case PERMITS: return r == m->permits;
    case ADD: return adds(&m->undone, n, m->undone + n >= 0, r, -EOVERFLOW);
    case WG_WAIT: return r == 0 && m->undone == 0;
    case UNDONE: return r == m->undone;
    default: return true;
    }
}

static bool some_order(struct model m, int left);

/* Is there an order that goes on with this event? */
static bool comes_next(struct model m, struct event *e, int left)
{
    int ch = e->chan;
    struct event *with = e;
    switch (e->is) {
    case PUT:
        if (m.closed[ch]) return false;
        if (!m.cap) {
            for (with = events; with < events + event_count; with++)
                if (with->is == TAKE && with->chan == ch && with->id == e->id && may_come(with)) break;
            if (with == events + event_count) return false;
            left--;
        } else {
            if (m.len[ch] == m.cap) return false;
            m.queue[ch][m.len[ch]++] = e->id;
        }
        break;
    case TAKE:
        if (!m.cap || !m.len[ch] || m.queue[ch][0] != e->id) return false;
        memmove(m.queue[ch], m.queue[ch] + 1, sizeof m.queue[ch] - sizeof m.queue[ch][0]);
        m.len[ch]--;
        break;
    case PUT_CLOSED:
        if (!m.closed[ch]) return false;
        break;
    case TAKE_CLOSED:
        if (!m.closed[ch] || m.len[ch]) return false;
        break;
    case WOULD_WAIT:
        if (!would_wait(&m, e->call)) return false;
        break;
    case OTHER:
        if (!other_comes(&m, e->call)) return false;
        break;
    }
    e->over = with->over = true;
    bool found = some_order(m, left - 1);
    e->over = with->over = false;
    return found;
}

static bool some_order(struct model m, int left)
{
    if (!left) return true;
    for (struct event *e = events; e < events + event_count; e++)
        if (may_come(e) && comes_next(m, e, left)) return true;
    return false;
}

/* A call under the context: does it know how the context ended, and only that? */
static bool knows_the_context(const struct call *c)
{
    bool may_be_done = false, is_done = false, says_so = c->result == -ECANCELED || c->result == -ETIMEDOUT;
    for (const struct call *d = calls; d < calls + made; d++)
        if (d->op->is == CANCEL || (d->op->is == TIME && scene->deadline)) {
            bool tells = c->result == (d->op->is == CANCEL ? -ECANCELED : -ETIMEDOUT);
            may_be_done |= d->start < c->end && tells;
            is_done |= d->end < c->start;
        }
    return says_so ? may_be_done : !is_done;
}

static void note_event(const struct call *c, int is_event, int chan, uint64_t id, bool goes_on)
{
    struct event *e = &events[event_count++];
    *e = (struct event){ c, is_event, chan, id, goes_on ? e - 1 : NULL, false };
}

/* Notes what a call on channels did. False: no such call can return that. */
static bool note_channel_events(const struct call *c)
{
    const struct op *o = c->op;
    bool selects = o->cases[1].does != NO_CASE;
    int i = selects && c->result > 0, err = selects ? c->err : c->result < 0 ? (int)c->result : 0;
    int count = err ? 0 : o->n ? (int)c->result : 1, does = o->cases[i].does, ch = o->cases[i].chan;
    if (selects ? c->result > 1 : c->result > o->n) return false;
    if (err == -EAGAIN) note_event(c, WOULD_WAIT, 0, 0, false);
    else if (err == -EPIPE) note_event(c, does == PUTS ? PUT_CLOSED : TAKE_CLOSED, ch, 0, false);
    for (int k = 0; k < count; k++)
        note_event(c, does == PUTS ? PUT : TAKE, ch, does == PUTS ? id_of(c, k) : c->got[k].id, k > 0);
    for (int k = 0; k < BATCH; k++) { /* whole messages, and nothing else is touched */
        bool got = does == TAKES && k < count;
        if (got ? c->got[k].again != ~c->got[k].id : c->got[k].id || c->got[k].again) return false;
    }
    return err ? err == -EPIPE || (err == -EAGAIN ? o->how == TRIES : o->how == UNDER_CTX) : count > 0;
}

/* What is wrong with the results. NULL: nothing. */
static const char *judge(struct model m)
{
    event_count = 0;
    for (const struct call *c = calls; c < calls + made; c++) {
        bool done = c->result == -ECANCELED || c->result == -ETIMEDOUT;
        if (c->op->is == CHANNEL && !note_channel_events(c)) return "a message or an answer that cannot be";
        if (c->op->is != CHANNEL && !(done && c->op->how == UNDER_CTX)) note_event(c, OTHER, 0, 0, false);
        if ((c->op->how == UNDER_CTX || c->op->is == CTX_ERR) && !knows_the_context(c)) return "a context mistaken";
    }
    return some_order(m, event_count) ? NULL : "no order of the calls explains the answers";
}

/* Each task that was accepted ran, once. A group reports a failure. */
static const char *judge_tasks(void)
{
    bool failed = false;
    for (const struct call *c = calls; c < calls + made; c++) {
        bool gives = c->op->is == TASKS && (strstr(c->op->name, "go") || strstr(c->op->name, "submit"));
        /* of a go_n that was refused, the tasks before the failure */
        bool some = is(c, "go_n") && c->result && c->runs < BATCH;
        if (gives && !some && c->runs != (c->result ? 0 : c->op->n)) return "a task ran too often, or not at all";
        if (gives && c->result == -EAGAIN && c->op->how != TRIES) return "-EAGAIN of a call that may wait";
        failed |= is(c, "go_and_fail") && !c->result;
    }
    for (const struct call *c = calls; c < calls + made; c++)
        if (is(c, "wait") && c->result != (failed ? 7 : 0)) return "the group's error is lost";
    return NULL;
}

/* ==== Scenes ================================================================================== */

static bool prompt; /* calls that were woken meanwhile go on before the stepped one does */
static bool reached;
static const struct step *place; /* where it is stopped. NULL: its path is being noted */
static int bad_scenes;
static bool bad;
static long stops, returned, parked, backed_off; /* .. of the calls made there */

/* The function and line of an instruction. */
static void tell_place(void)
{
    extern unsigned char __executable_start[];
    char command[200];
#if defined __PIE__ || defined __pie__
    unsigned char *base = __executable_start;
#else
    unsigned char *base = NULL;
#endif
    tap_note("    %s is stopped for the %d. time before %p:", scene->stepped, place->visit, (void *)place->at);
    snprintf(command, sizeof command, "addr2line -pfs -e /proc/%d/exe %#lx | sed 's/^/#     /' >&2", (int)getpid(),
             (unsigned long)(place->at - base));
    if (system(command)) tap_note("    (no addr2line)");
}

static void blame(const char *what)
{
    const struct scene *s = scene;
    if (bad) return;
    bad = true;
    bad_scenes++;
    tap_check_(false, what, __FILE__, __LINE__);
    tap_note("    capacity %d, %d and %d messages, turned by %d; %d of %d permits; %d undone; "
             "limit %d, %d workers",
             s->cap, s->fill, s->fill_b, s->turn, s->permits, s->most, s->undone, s->limit, s->workers);
    tap_note("    waiting: %s; meanwhile: %s; then: %s%s", s->waiting ? s->waiting : "", s->meanwhile,
             s->then ? s->then : "", prompt ? "; a call that is woken goes on at once" : "");
    if (place) tell_place();
    for (const struct call *c = calls; c < calls + made; c++)
        tap_note("    %3d to %3d  %-12s -> %lld, err %d, sends %llu, got %llu%s", c->start, c->end, c->op->name,
                 (long long)c->result, c->err, (unsigned long long)id_of(c, 0), (unsigned long long)c->got[0].id,
                 c->end ? "" : " (it has not ended)");
}

static void on_fault(int sig)
{
    signal(sig, SIG_DFL);
    blame(world_is_gone ? "touches what may have been freed" : "crashes");
    tap_die_("no crash", __FILE__, __LINE__);
}

static bool is_set(leat_lock_ *lock)
{
    return atomic_load_explicit(lock, memory_order_relaxed) != 0;
}

static uint64_t seen(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* Must a call wait for the stopped call? It must if the stopped call has half closed the channel, or has claimed the
 * very slot that the call needs and not published it, or holds a lock that the call needs to park, to wake, or for a
 * rendezvous. */
static bool channel_is_half_way(leat_chan *ch, int does)
{
    uint64_t t = seen(&ch->ends_[LEAT_SENDS_].at_), h = seen(&ch->ends_[LEAT_RECEIVES_].at_);
    bool puts = does == PUTS, ready = false;
    if ((t & LEAT_CLOSING_) && !(t & LEAT_CLOSED_)) return true;
    if (does && ch->slots_) {
        unsigned char *slot = leat_slot_(ch, puts ? t : h, sizeof(msg), _Alignof(msg));
        bool hopeless = puts ? leat_is_full_(ch, t, h) : leat_position_(t) == leat_position_(h);
        ready = seen(leat_stamp_of_(slot)) == leat_ready_stamp_(ch, puts ? LEAT_SENDS_ : LEAT_RECEIVES_, puts ? t : h);
        if (!ready && !hopeless) return true;
    }
    return is_set(&ch->lock_) && !(ready && !((puts ? t : h) & LEAT_WAITERS_));
}

static bool tasks_are_half_way(const struct call *c)
{
    leat_lock_ *locks[] = { &group.threads_.lock_, &group.idle_.lock_, &group.ctx_.lock_,    &group.running_.lock_,
                            &pool.threads_.lock_,  &pool.ctx_.lock_,   &pool.running_.lock_, &pool.resizing_.lock_ };
    for (size_t i = 0; i < COUNT(locks); i++)
        if (is_set(locks[i])) return true;
    if (is(c, "stop") || is(c, "abort")) return true; /* they wait for the calls that are inside */
    return channel_is_half_way(&group.joined_, NO_CASE) || channel_is_half_way(&pool.lane_->queue_.chan, NO_CASE) ||
           (scene->workers && channel_is_half_way(&pool.lane_->queue_.chan, PUTS));
}

/* A call backs off while another is stopped. Does it need something that is half-way? */
static bool must_back_off(const struct call *c)
{
    const struct op *o = c->op;
    if (o->is == CHANNEL || o->is == CLOSE)
        for (int i = 0; i < 2 && (i == 0 || o->cases[i].does); i++)
            if (channel_is_half_way(&world->ch[o->cases[i].chan].chan, o->cases[i].does)) return true;
    if (o->how == UNDER_CTX || o->is == CANCEL || o->is == CTX_ERR)
        if (is_set(&world->ctx.lock_) || seen(&world->ctx.word_) == LEAT_CANCELLING_) return true;
    if (o->is >= ACQUIRE && o->is <= SEM_CLOSE) return is_set(&world->sem.lock_);
    if (o->is == ADD || o->is == WG_WAIT) return is_set(&world->wg.lock_);
    return o->is == TASKS && tasks_are_half_way(c);
}

/* The stepped call has been stopped. */
static void meanwhile(void)
{
    reached = true;
    stops++;
    FOR_WORDS(word, scene->meanwhile)
    {
        if (*word == '.') {
            run_all_but(stepped->actor);
            continue;
        }
        struct call *c = begin(word);
        if (c->end) {
            returned++;
        } else if (c->actor->backs_off) {
            backed_off++;
            if (!must_back_off(c)) blame("a call waits, and nothing that it needs is half-way");
        } else {
            parked++;
            if (c->op->how == TRIES) blame("a call that tries has parked");
        }
    }
    if (prompt) run_all_but(stepped->actor);
}

/* No call can go on. Those that are parked must have reason to be. */
static void look_for_lost_wakes(void)
{
    leat_sem_waiter_ *first = (leat_sem_waiter_ *)(void *)world->sem.waiters_.first_;
    if (first && leat_sem_available(&world->sem) >= first->need_)
        blame("permits are there, and the first in the queue is parked");
    for (struct call *c = calls; c < calls + made; c++) {
        if (c->end) continue;
        for (int i = 0; i < 2 && c->op->cases[i].does; i++) {
            msg_chan *ch = &world->ch[c->op->cases[i].chan];
            bool puts = c->op->cases[i].does == PUTS;
            if (leat_is_closed(ch)) blame("the channel is closed, and a call is parked there");
            if (leat_cap(ch) && (puts ? leat_len(ch) < leat_cap(ch) : leat_len(ch) > 0))
                blame(puts ? "there is room, and a sender is parked" : "there is a message, and a receiver is parked");
            for (struct call *d = calls; !leat_cap(ch) && d < calls + made; d++)
                for (int j = 0; j < 2 && d != c && !d->end && d->op->cases[j].does; j++)
                    if (d->op->cases[j].chan == c->op->cases[i].chan && d->op->cases[j].does != c->op->cases[i].does)
                        blame("a sender and a receiver are parked side by side");
        }
        if (c->op->how == UNDER_CTX && leat_ctx_err(&world->ctx))
            blame("the context is done, and a call is parked under it");
        if (c->op->is == WG_WAIT && atomic_load_explicit(&world->wg.word_, memory_order_relaxed) < 2)
            blame("the count is zero, and a call waits for it");
        if (c->op->is == TASKS && !is(c, "go")) blame("all is done, and a call on the group or pool has not ended");
    }
}

static void set_up(void)
{
    const struct scene *s = scene;
    made = stage.ticks = 0;
    memset((void *)world, 0, sizeof *world);
    for (int i = 0; i < 2; i++) {
        REQUIRE(leat_make(&world->ch[i], (size_t)s->cap) == 0);
        for (int t = 0; t < s->turn; t++)
            REQUIRE(leat_send(&world->ch[i], &(msg){ 0 }) == 0 && leat_recv(&world->ch[i], &(msg){ 0 }) == 0);
    }
    for (int i = 0; i < s->fill; i++) now_do("send");
    for (int i = 0; i < s->fill_b; i++) now_do("send_b");
    world->ctx = (leat_ctx)LEAT_CTX_UNTIL(NULL, s->deadline ? stage.clock + LEAT_S(5) : LEAT_FOREVER);
    world->sem = (leat_sem)LEAT_SEM_OF(s->permits, s->most);
    world->wg = (leat_wg)LEAT_WG(s->undone);
    group = (leat_group)LEAT_GROUP(NULL);
    if (s->limit) REQUIRE(leat_group_limit(&group, s->limit) == 0);
    if (s->workers) REQUIRE(leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = s->workers, .queue = 1 }) == 0);
}

static void until_all_have_ended(void)
{
    for (int i = 0; i < ACTORS; i++)
        if (stage.actors[i].state != FREE) {
            blame("a call never ends");
            tap_die_("the end of all calls", __FILE__, __LINE__);
        }
}

/* Closes and empties everything, so that no call waits any more and what is left comes to light. */
static void wind_up(void)
{
    const char *all[] = { "close", "close_b", "sem_close" };
    for (size_t i = 0; i < COUNT(all); i++) now_do(all[i]);
    while (atomic_load_explicit(&world->wg.word_, memory_order_relaxed) >= 2) now_do("done");
    run_to_rest(true);
    while (now_do("try_recv") == 0) {}
    while (now_do("try_recv_b") == 0) {}
    now_do("permits");
    now_do("undone");
}

/* Lets all calls go on as far as they can. */
static void come_to_rest(void)
{
    run_to_rest(false);
    if (!world_is_gone) look_for_lost_wakes();
}

static void run(void)
{
    const struct scene *s = scene;
    int64_t began = stage.clock;
    set_up();
    run_to_rest(false);
    FOR_WORDS(word, s->waiting)
    {
        begin(word);
        run_to_rest(false);
    }
    stepped = new_call(s->stepped);
    stepped->actor = cast(play, stepped);
    if (!place) note_path(stepped->actor);
    else stop_at(stepped->actor, place);
    let_go_on(stepped->actor);
    come_to_rest();
    FOR_WORDS(word, s->then)
    {
        if (world_is_gone) break;
        if (strncmp(word, "try_", 4) == 0) now_do(word);
        else begin(word);
        come_to_rest();
    }
    step_no_more();
    if (!world_is_gone) wind_up();
    until_all_have_ended();
    if (world_is_gone) mprotect(world, PAGE, PROT_READ | PROT_WRITE);
    world_is_gone = false;
    const char *why = judge((struct model){ .cap = s->cap,
                                            .permits = s->permits,
                                            .most = s->most,
                                            .undone = s->undone,
                                            .impatient = stage.clock - began >= LEAT_MS(1) });
    if (!why) why = judge_tasks();
    if (why) blame(why);
    for (int i = 0; i < 2; i++) leat_free(&world->ch[i]);
}

static int stress(void)
{
    const char *s = getenv("LEAT_STRESS");
    return s && atoi(s) > 1 ? atoi(s) : 1;
}

/* A run that notes the path of the stepped call. */
static void walk(const struct scene *s)
{
    scene = s;
    bad = prompt = false;
    place = NULL;
    run();
}

/* The next item of a list with commas between them. False: there is none. */
static bool next_of(const char **list, char item[100])
{
    if (!*list) return false;
    size_t n = strcspn(*list, ",");
    REQUIRE(n < 100);
    memcpy(item, *list, n);
    item[n] = 0;
    *list = (*list)[n] ? *list + n + strspn(*list + n, ", ") : NULL;
    return true;
}

/* Each scene, with each of these calls stepped, and each of those made meanwhile (NULL: what the scene itself says).
 * But each pair is stopped only at one step of so many, in turn, so that all steps get some and all calls come
 * everywhere. */
static void sweep(const struct scene *scenes, size_t n, const char *stepped_calls, const char *others, const char *then,
                  int one_of)
{
    static int turn;
    stops = returned = parked = backed_off = bad_scenes = 0;
#if !defined __OPTIMIZE__
    one_of *= one_of > 1 ? 4 : 1; /* there are four times as many instructions */
#endif
    one_of = one_of > stress() ? one_of / stress() : 1;
    for (size_t k = 0; k < n && bad_scenes < 3; k++) {
        struct scene s = scenes[k];
        const char *calls_left = stepped_calls ? stepped_calls : s.stepped;
        if (then) s.then = then;
        for (char call[100]; next_of(&calls_left, call);) {
            const char *others_left = others ? others : scenes[k].meanwhile;
            s.stepped = call;
            s.meanwhile = "";
            walk(&s);
            for (char other[100]; next_of(&others_left, other);)
                for (int both = 0; both < (s.waiting ? 2 : 1); both++) {
                    s.meanwhile = other;
                    prompt = both;
                    bad = false;
                    for (int i = turn++ % one_of; i < stage.steps && !bad; i += one_of) {
                        place = &stage.path[i];
                        if (place->visit <= 4 * stress()) run();
                    }
                }
        }
    }
    printf("# %ld stops; calls there: %ld returned, %ld parked, %ld wait for the stopped\n", stops, returned, parked,
           backed_off);
    CHECK(stops > 0);
}
#define SWEEP(scenes, ...) sweep(scenes, COUNT(scenes), __VA_ARGS__)
#define SWEEP_AS_TOLD(scenes) SWEEP(scenes, NULL, NULL, NULL, 1)

/* clang-format off */
/* ==== The tests =============================================================================== */

static const char why_not[] = "no trap flag here, or code cannot be made writable";
static const struct scene first_scene = { .cap = 1, .stepped = "send", .meanwhile = "try_recv" };

static bool can_step(void)
{
    static bool known, can;
    struct sigaction fault = { .sa_handler = on_fault };
    if (known) return can;
    known = true;
    world = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(world != MAP_FAILED && sizeof *world <= PAGE);
    sigaction(SIGSEGV, &fault, NULL);
    if (!set_stage(meanwhile)) return false;
    walk(&first_scene);
    return can = stage.steps > 0;
}

TEST(the_stage_stops_a_call_where_it_is_told_to)
{
    if (!can_step()) SKIP(why_not);
    int got = 0, missed = 0;
    walk(&first_scene);
    for (place = stage.path; place < stage.path + stage.steps; place++) {
        reached = false;
        run();
        got += calls[1].result == 0;
        missed += !reached;
    }
    CHECK(got > 0 && got < stage.steps); /* after it was sent, and before */
    CHECK_EQ(missed, 0);
}

TEST(a_wrong_answer_would_be_noticed)
{
    static const struct scene s = { .cap = 2, .fill = 1, .stepped = "send", .meanwhile = "" };
    if (!can_step()) SKIP(why_not);
    const struct model m = { .cap = 2 };
    walk(&s);
    struct call *send = &calls[1], *recv = NULL, *other = NULL;
    for (struct call *c = calls; c < calls + made; c++)
        if (is(c, "try_recv")) {
            if (!recv) recv = c;
            else if (!other) other = c;
        }
    CHECK(judge(m) == NULL);
    struct call kept = *recv, next = *other;
    recv->got[0] = other->got[0];
    CHECK(judge(m) != NULL); /* doubled */
    other->got[0] = kept.got[0];
    CHECK(judge(m) != NULL); /* out of order */
    *recv = kept;
    recv->got[0].again = 0;
    CHECK(judge(m) != NULL); /* torn */
    *recv = kept;
    *other = next;
    other->result = -EPIPE;
    other->got[0] = (msg){ 0 };
    CHECK(judge(m) != NULL); /* lost */
    *other = next;
    send->result = -EPIPE;
    CHECK(judge(m) != NULL); /* refused, and sent */
    send->result = -EAGAIN;
    CHECK(judge(m) != NULL); /* it was not full */
}

static const char channel_calls[] =
    "send, recv, try_send, try_recv, send_many, recv_many, close, len";
static const char channel_others[] =
    "send, recv, try_send, try_recv, send recv, recv send, try_send try_recv try_send, "
    "try_recv try_send try_recv, close, close try_recv try_send, try_send close, send send, "
    "recv recv, send_many, recv_many, send_many recv_many, len try_recv len, try_select, "
    "send_ctx cancel, recv_ctx cancel try_send, select try_send";

TEST(a_buffered_channel)
{
    static const struct scene scenes[] = {
        { .cap = 1 },
        { .cap = 1, .waiting = "recv" },
        { .cap = 1, .waiting = "recv recv", .turn = 1 },
        { .cap = 1, .fill = 1 },
        { .cap = 1, .fill = 1, .waiting = "send" },
        { .cap = 1, .fill = 1, .waiting = "send send" },
        { .cap = 2, .turn = 1 },
        { .cap = 2, .turn = 1, .waiting = "recv recv" },
        { .cap = 2, .turn = 1, .waiting = "recv recv_ctx recv" },
        { .cap = 2, .turn = 1, .fill = 1 },
        { .cap = 2, .fill = 2, .waiting = "send send" },
        { .cap = 2, .turn = 1, .fill = 2, .waiting = "send_ctx send_many send" },
        { .cap = 3, .turn = 2, .fill = 1 },
        { .cap = 3, .turn = 1, .fill = 3, .waiting = "send" },
        { .cap = 3, .turn = 2, .waiting = "recv recv_many" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, channel_calls, channel_others, "try_send try_recv try_send", 41);
}

TEST(an_unbuffered_channel)
{
    static const struct scene scenes[] = {
        { .waiting = NULL },
        { .waiting = "recv" },
        { .waiting = "send" },
        { .waiting = "recv recv" },
        { .waiting = "send send" },
        { .waiting = "recv_ctx" },
        { .waiting = "send_ctx recv_b" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, channel_calls, channel_others, "try_send try_recv try_send", 41);
}

TEST(a_select)
{
    static const char selects[] = "select, select_both, select_self, try_select";
    static const char others[] =
        "try_send, try_send_b, send send_b, send_b send, try_recv, try_send try_send_b "
        "try_recv_b, select, select_both, select_self, select select, try_select, try_send "
        "try_select, recv, recv_b, close, close_b, try_send_b close, try_recv_b try_send_b, "
        "cancel, try_send cancel";
    static const struct scene scenes[] = {
        { .cap = 0 },
        { .cap = 0, .waiting = "send" },
        { .cap = 0, .waiting = "recv send_b" },
        { .cap = 0, .waiting = "select" },
        { .cap = 0, .waiting = "select_both select_both" },
        { .cap = 1 },
        { .cap = 1, .fill = 1 },
        { .cap = 1, .fill = 1, .fill_b = 1 },
        { .cap = 1, .waiting = "select select" },
        { .cap = 1, .waiting = "recv select recv_b" },
        { .cap = 1, .fill = 1, .waiting = "send select_both" },
        { .cap = 2, .fill = 2, .fill_b = 1, .turn = 1 },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, selects, others, "try_send try_send_b try_recv", 41);
    SWEEP(scenes, "send, try_recv, close", "select, try_select, select_self, select_both select",
          "try_send try_send_b try_recv", 7);
}

TEST(a_context)
{
    static const char calls_under_it[] =
        "cancel, ctx_err, send_ctx, recv_ctx, recv_many, select, acquire_ctx, wg_wait_ctx";
    static const char others[] =
        "cancel, cancel cancel, ctx_err, ctx_err cancel ctx_err, time, time ctx_err, cancel "
        "time, recv_ctx cancel, try_send cancel, cancel try_send, try_recv cancel, time "
        "try_send, close cancel, release cancel, cancel release, done cancel, select cancel, "
        "time send_ctx recv_ctx";
    static const struct scene scenes[] = {
        { .deadline = true, .cap = 0, .most = 2, .undone = 1 },
        { .deadline = true, .cap = 0, .most = 2, .undone = 1, .waiting = "recv_ctx recv_ctx" },
        { .deadline = true, .cap = 1, .most = 2, .undone = 1,
          .waiting = "recv_ctx acquire_ctx wg_wait_ctx" },
        { .deadline = true, .cap = 1, .fill = 1, .most = 2, .undone = 1,
          .waiting = "send send_ctx" },
        { .deadline = true, .cap = 2, .fill = 1, .most = 2, .permits = 1, .undone = 1 },
        { .deadline = true, .cap = 1, .most = 2, .undone = 1, .waiting = "select recv" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, calls_under_it, others, "try_send release done", 29);
}

TEST(a_semaphore)
{
    static const char stepped_calls[] =
        "acquire, try_acquire, acquire_2, acquire_ctx, release, release_2, grow, shrink, "
        "sem_close";
    static const char others[] =
        "acquire, try_acquire, acquire_2, release, release_2, release acquire, try_acquire "
        "release, acquire_2 acquire, grow, shrink, grow shrink, shrink release, sem_close, "
        "sem_close release, acquire_ctx cancel, cancel release, time, time release acquire, "
        "permits try_acquire permits";
    static const struct scene scenes[] = {
        { .most = 2, .permits = 2 },
        { .most = 2, .permits = 1 },
        { .most = 2 },
        { .most = 2, .waiting = "acquire" },
        { .most = 2, .waiting = "acquire acquire_ctx" },
        { .most = 2, .permits = 1, .waiting = "acquire_2 acquire" },
        { .most = 2, .waiting = "acquire_2 acquire time acquire" },
        { .most = 3, .permits = 1, .waiting = "acquire_2 acquire_ctx" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, stepped_calls, others, "release try_acquire release", 17);
}

TEST(a_wait_group)
{
    static const char stepped_calls[] = "add, done, done_2, wg_wait, wg_wait_ctx";
    static const char others[] =
        "add, done, done_2, add done, done add, done wg_wait, wg_wait, wg_wait done, "
        "wg_wait_ctx cancel, cancel done, time, done done add wg_wait, undone";
    static const struct scene scenes[] = {
        { .undone = 0 },
        { .undone = 1 },
        { .undone = 1, .waiting = "wg_wait" },
        { .undone = 2, .waiting = "wg_wait wg_wait_ctx" },
        { .undone = 2 },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, stepped_calls, others, "done add done", 5);
}

TEST(a_group)
{
    static const char stepped_calls[] = "go, try_go, go_n, go_and_fail, wait";
    static const char others[] =
        "go, try_go, go_and_fail, go try_go, go_n, try_go go_and_fail, wait, try_go wait, "
        "wait go";
    static const struct scene scenes[] = {
        { .limit = 1 },
        { .limit = 1, .waiting = "go" },
        { .limit = 2, .waiting = "go_n" },
        { .limit = 0, .waiting = "go" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, stepped_calls, others, "wait", 17);
}

TEST(a_pool)
{
    static const char stepped_calls[] = "submit, try_submit, resize, stop, abort";
    static const char others[] =
        "submit, try_submit, submit submit, try_submit try_submit, stop, abort, submit stop, "
        "stop try_submit, resize, resize submit, abort stop";
    static const struct scene scenes[] = {
        { .workers = 1 },
        { .workers = 1, .waiting = "submit" },
        { .workers = 2 },
        { .workers = 2, .waiting = "submit" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP(scenes, stepped_calls, others, "stop", 11);
}

/* A thread that was woken and returns with something else, or with nothing, wakes the next. */
TEST(a_wake_that_would_be_lost)
{
    static const struct scene scenes[] = {
        { .cap = 1, .stepped = "recv_ctx", .then = "recv try_send", .meanwhile = "cancel" },
        { .cap = 1, .deadline = true, .stepped = "recv_ctx", .then = "recv try_send",
          .meanwhile = "time" },
        { .cap = 2, .stepped = "recv_ctx", .then = "recv recv try_send",
          .meanwhile = "try_send cancel" },
        { .cap = 2, .stepped = "recv_many", .then = "recv try_send try_send",
          .meanwhile = "try_send" },
        { .cap = 1, .fill = 1, .stepped = "send_ctx", .then = "send try_recv",
          .meanwhile = "cancel" },
        { .cap = 2, .fill = 2, .stepped = "send_ctx", .then = "send send try_recv",
          .meanwhile = "try_recv cancel" },
        { .cap = 1, .stepped = "select", .then = "recv recv_b try_send",
          .meanwhile = "try_send_b" },
        { .cap = 1, .stepped = "select", .then = "recv recv_b try_send_b",
          .meanwhile = "try_send cancel" },
        { .cap = 1, .fill = 1, .stepped = "select_both", .then = "send recv_b try_recv",
          .meanwhile = "try_send_b" },
        { .most = 2, .stepped = "acquire_ctx", .then = "acquire release", .meanwhile = "cancel" },
        { .most = 2, .stepped = "acquire_ctx", .then = "acquire acquire release",
          .meanwhile = "release" },
        { .most = 2, .stepped = "acquire_ctx", .then = "time acquire release release",
          .meanwhile = "cancel" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP_AS_TOLD(scenes);
}

/* A call whose effect another thread has seen accesses nothing any more: the other may free at once. */
TEST(what_may_be_freed_as_soon_as_its_effect_is_seen)
{
    static const struct scene scenes[] = {
        { .cap = 1, .stepped = "send", .meanwhile = "try_recv!" },
        { .cap = 1, .stepped = "send", .meanwhile = "recv!" },
        { .cap = 1, .stepped = "send", .meanwhile = "", .waiting = "recv!" },
        { .cap = 3, .turn = 1, .stepped = "send_many", .meanwhile = "", .waiting = "recv!" },
        { .cap = 1, .stepped = "try_send", .meanwhile = "try_recv!" },
        { .cap = 1, .stepped = "send", .waiting = "recv_ctx", .meanwhile = "cancel . try_recv!" },
        { .cap = 1, .fill = 1, .stepped = "recv", .waiting = "send_ctx",
          .meanwhile = "cancel . try_send!" },
        { .cap = 1, .fill = 1, .stepped = "recv", .meanwhile = "try_send!" },
        { .cap = 1, .fill = 1, .stepped = "recv", .meanwhile = "", .waiting = "send!" },
        { .cap = 1, .fill = 1, .stepped = "try_recv", .meanwhile = "send!" },
        { .cap = 0, .stepped = "send", .meanwhile = "try_recv!" },
        { .cap = 0, .stepped = "send", .meanwhile = "", .waiting = "recv!" },
        { .cap = 0, .stepped = "recv", .meanwhile = "", .waiting = "send!" },
        { .cap = 0, .stepped = "recv", .meanwhile = "try_send!" },
        { .cap = 1, .stepped = "close", .meanwhile = "try_recv!" },
        { .cap = 1, .stepped = "close", .meanwhile = "", .waiting = "recv!" },
        { .cap = 0, .stepped = "close", .meanwhile = "", .waiting = "send!" },
        { .stepped = "cancel", .meanwhile = "ctx_err!" },
        { .stepped = "cancel", .meanwhile = "", .waiting = "recv_ctx!" },
        { .most = 1, .stepped = "release", .meanwhile = "try_acquire!" },
        { .most = 1, .stepped = "release", .meanwhile = "acquire!" },
        { .most = 1, .stepped = "release", .meanwhile = "", .waiting = "acquire!" },
        { .most = 1, .stepped = "release", .meanwhile = "", .waiting = "acquire! time" },
        { .most = 1, .stepped = "grow", .meanwhile = "try_acquire!" },
        { .most = 1, .stepped = "sem_close", .meanwhile = "", .waiting = "acquire!" },
        { .undone = 1, .stepped = "done", .meanwhile = "wg_wait!" },
        { .undone = 1, .stepped = "done", .meanwhile = "", .waiting = "wg_wait!" },
    };
    if (!can_step()) SKIP(why_not);
    SWEEP_AS_TOLD(scenes);
}

/* Last, because it cannot be undone: from now on every wait spins first. */
TEST(a_wait_that_spins)
{
    static const struct scene scenes[] = {
        { .cap = 1, .stepped = "recv", .meanwhile = "send", .then = "try_send" },
        { .cap = 1, .fill = 1, .stepped = "send", .meanwhile = "recv", .then = "try_recv" },
        { .cap = 2, .stepped = "recv", .meanwhile = "close", .waiting = "recv" },
        { .cap = 1, .stepped = "select", .meanwhile = "try_send_b cancel" },
        { .cap = 0, .stepped = "recv", .meanwhile = "try_send", .then = "try_send" },
        { .most = 2, .stepped = "acquire", .meanwhile = "release", .then = "release" },
        { .undone = 1, .stepped = "wg_wait", .meanwhile = "done", .then = "done" },
        { .cap = 1, .deadline = true, .stepped = "recv_ctx", .meanwhile = "time",
          .then = "try_send" },
    };
    if (!can_step()) SKIP(why_not);
    stage_cpus = 2;
    leat_spins_ = 0; /* the next wait counts the CPUs again */
    SWEEP_AS_TOLD(scenes);
}

#endif
