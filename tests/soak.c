/* soak.c - everything at once, for as long as you like, and every message accounted for.
 *
 *     soak --minutes 30         half an hour of rounds; control-C ends it early, with the table
 *     soak --seed 7             begins with the round of that seed, which a failure names
 *     soak --threads 3          at most 3 threads of a role (8)
 *
 * SPDX-License-Identifier: MIT
 *
 * A round is up to three scenes at the same time, drawn by its seed: lines of channels, errands, pipelines, permits,
 * groups, pools, broadcasts. Threads of the scenes are players. A gremlin cancels the contexts that they wait under,
 * and storms them with signals. A watch ends the program if a round does not end.
 *
 * What is checked: a message or job that was accepted comes out once, whole, in its sender's order, or is found at
 * the end where it was left. One that was refused does not come out. Each result is one that the situation allows.
 * Nothing stays allocated, and no thread unjoined. The first failure ends the program, with the seed of the round.
 * That seed makes the same scenes again, but not the same interleaving of the threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#if defined __linux__
#include <sys/syscall.h>
#endif

#if defined __has_feature /* clang */
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOW 8
#endif
#elif defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define SLOW 8
#endif
#if defined SLOW
extern void __sanitizer_set_death_callback(void (*)(void));
#else
#define SLOW 1
#define __sanitizer_set_death_callback(f) (void)(f)
#endif

/* ==== Counting ================================================================================
 *
 * What the headers ask of the system is counted where they ask, by macros around the system's names. So the real part
 * 1 of queue.h runs here, and a thread that does not sleep pays nothing. */

/* clang-format off */
#define COUNTERS(X) \
    X(MESSAGES, "messages moved") X(BATCHES, "  in batches") X(SELECTS, "selects") \
    X(REFUSED, "tries refused") X(TIMEOUTS, "time-outs") X(CANCELS, "cancels") X(CLOSES, "closes") \
    X(LEFT, "left over, found again") X(ANSWERS, "answers, freed at once") X(PERMITS, "permits") \
    X(RESIZES, "resizes") X(TASKS, "tasks") X(JOBS, "jobs") X(ENDED, "threads ended by a job") \
    X(PUBLISHED, "messages published") X(HEARD, "  received") X(MISSED, "  dropped") \
    X(VISITS, "  subscribers that left") X(LOOKS, "looks at the latest") \
    X(SIGNALS, "signals") X(SLEEPS, "sleeps") X(WAKES, "wakes") X(THREADS, "threads started")
/* clang-format on */

#define NAME(name, text) name,
#define TEXT(name, text) text,
enum counter { COUNTERS(NAME) KINDS };
static const char *const counter_texts[] = { COUNTERS(TEXT) };

static _Atomic uint64_t totals[KINDS];
static _Thread_local uint64_t counts[KINDS]; /* not yet in totals */
static _Atomic int64_t blocks, unjoined;     /* allocated, not freed; spawned, not joined */

static void add_to_totals(void)
{
    for (int i = 0; i < KINDS; i++) {
        if (counts[i]) atomic_fetch_add_explicit(&totals[i], counts[i], memory_order_relaxed);
        counts[i] = 0;
    }
}

static void count_now(enum counter what)
{
    atomic_fetch_add_explicit(&totals[what], 1, memory_order_relaxed);
}

static void *counted(void *p)
{
    if (p) atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return p;
}

static void *counted_free(void *p)
{
    if (p) atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    return p;
}

static int counted_create(int err)
{
    if (!err) count_now(THREADS);
    if (!err) atomic_fetch_add_explicit(&unjoined, 1, memory_order_relaxed);
    return err;
}

/* ThreadSanitizer (LLVM 14) runs a signal handler while its pthread_join holds its own lock, and the handler then
 * waits for that lock. So no signal may interrupt it there. */
static int counted_join(pthread_t thread, void **result)
{
    sigset_t storm, before;
    sigemptyset(&storm);
    if (SLOW > 1) sigaddset(&storm, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &storm, &before);
    int err = pthread_join(thread, result);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    atomic_fetch_sub_explicit(&unjoined, 1, memory_order_relaxed);
    return err;
}

#define calloc(n, size) counted(calloc(n, size))
#define free(p) free(counted_free(p))
#define pthread_create(...) counted_create(pthread_create(__VA_ARGS__))
#define pthread_join(thread, result) counted_join(thread, result)

#if defined LEAT_NO_FUTEX || !defined __linux__
#define pthread_cond_wait(c, m) (count_now(SLEEPS), pthread_cond_wait(c, m))
#define pthread_cond_timedwait(c, m, t) (count_now(SLEEPS), pthread_cond_timedwait(c, m, t))
#define pthread_cond_signal(c) (count_now(WAKES), pthread_cond_signal(c))
#else
long counted_syscall(long number, ...);
long counted_syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_futex) count_now(a[1] == 137 ? SLEEPS : WAKES);
    return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#define syscall counted_syscall
#endif

#define LEAT_RESTS_ 2 /* senders rest soon */
#define LEAT_REST_ LEAT_MS(1)
#define LEAT_PACE_ 20000
#include "pool.h"
#define LEAT_VERSIONS_ 4 /* so that they are scarce */
#define LEAT_LATER_ 3
#include "topic.h"

/* ==== The players ============================================================================= */

enum { MOST_THREADS = 32, MOST_PLAYERS = 512, CAUSE = 4711, SEEDS = 1000000000 };
enum { PATIENCE = SLOW > 1 ? 120 : 30 }; /* seconds. A round takes a tenth of one */

typedef unsigned long long ull; /* for printf */

struct player {
    pthread_t thread;
    void (*act)(void);
    void *scene;
    const char *role;
    int id; /* in its role */
    uint64_t rng;
    _Atomic(leat_ctx *) leash;   /* what the gremlin may cancel */
    _Atomic(const char *) doing; /* for the watch. NULL: it has left */
};

static struct player players[MOST_PLAYERS];
static int cast; /* how many of them */
static leat_wg acting;
static _Thread_local struct player *me;  /* NULL: not a player */
static _Thread_local uint64_t other_rng; /* for threads that are no players */

static int most_threads = 8;
static uint64_t seed; /* of this round */
static _Atomic uint64_t rounds;
static char scenery[4000]; /* what is played, in words */
static _Atomic bool curtain, over;

static uint64_t mix(uint64_t x) /* after Steele, Lea and Flood: SplitMix */
{
    x += 0x9E3779B97F4A7C15;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}

static int below(int n)
{
    uint64_t *rng = me ? &me->rng : &other_rng;
    *rng += 0x9E3779B97F4A7C15;
    return (int)(mix(*rng) % (uint64_t)n);
}

static bool one_in(int n)
{
    return below(n) == 0;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    size_t n = strlen(scenery);
    va_list ap;
    va_start(ap, format);
    vsnprintf(scenery + n, sizeof scenery - n, format, ap);
    va_end(ap);
}

static void say_where(void)
{
    if (me) fprintf(stderr, "\n  seen by %s %d", me->role, me->id);
    fprintf(stderr, "\n  round %llu, played: %s\n", (ull)rounds, scenery);
    fprintf(stderr, "  the same again: soak --seed %llu --threads %d\n", (ull)seed, most_threads);
}

/* ThreadSanitizer's first report ends the program. Then the death callback says in which round. */
extern const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "halt_on_error=1";
}

static void crash(int sig)
{
    fprintf(stderr, "\n\nsoak FAILED: %s", strsignal(sig));
    say_where();
    signal(sig, SIG_DFL);
    raise(sig);
}

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...)
{
    static atomic_flag first = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set(&first)) pause();
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "\n\nsoak FAILED: ");
    vfprintf(stderr, format, ap);
    va_end(ap);
    say_where();
    abort();
}

#define MUST(cond) ((cond) ? (void)0 : fail("line %d: not so: %s", __LINE__, #cond))
#define ANSWER(r, cond) \
    ((cond) ? (void)0 : fail("line %d: an answer of %lld, expected was: %s", __LINE__, (long long)(r), #cond))

/* Whether it is the end of a context. */
static bool is_end(long long r)
{
    return r == -ECANCELED || r == -ETIMEDOUT;
}

static void doing(const char *what)
{
    atomic_store_explicit(&me->doing, what, memory_order_relaxed);
}

static void *player_main(void *arg)
{
    me = arg;
    me->act();
    add_to_totals();
    doing(NULL);
    leat_wg_done(&acting);
    return NULL;
}

static void enter(void *scene, int n, const char *role, void act(void))
{
    if (n) say(" %d %s%s,", n, role, n > 1 ? "s" : "");
    for (int id = 0; id < n; id++) {
        struct player *p = &players[cast];
        MUST(cast < MOST_PLAYERS);
        *p = (struct player){
            .act = act, .scene = scene, .role = role, .id = id, .doing = "", .rng = mix(seed + (uint64_t)cast)
        };
        leat_wg_add(&acting, 1);
        int err = pthread_create(&p->thread, NULL, player_main, p);
        if (err) fail("no thread: %s", strerror(err));
        cast++;
    }
}

/* A context that the gremlin may cancel. It may be gone as soon as it was seen done. */
struct leash {
    leat_ctx root, ctx;
    int64_t deadline;
};

static leat_ctx *tie(struct leash *l, int most_us)
{
    l->deadline = one_in(2) ? LEAT_FOREVER : leat_after(LEAT_US(below(most_us)));
    l->root = (leat_ctx)LEAT_CTX(NULL);
    l->ctx = (leat_ctx)LEAT_CTX_UNTIL(&l->root, l->deadline);
    atomic_store_explicit(&me->leash, &l->root, memory_order_release);
    return &l->ctx;
}

/* `r` is the result of the call under it. */
static void untie(struct leash *l, long long r)
{
    bool cut = !atomic_exchange_explicit(&me->leash, NULL, memory_order_acquire);
    for (unsigned round = 0; cut && !leat_ctx_err(&l->root); leat_backoff_(&round)) {}
    ANSWER(r, r != -ECANCELED || (cut && leat_ctx_err(&l->ctx) == r));
    ANSWER(r, r != -ETIMEDOUT || (leat_now() >= l->deadline && leat_ctx_err(&l->ctx) == r));
    MUST(leat_ctx_cause(&l->root) == (cut ? CAUSE : 0));
    counts[CANCELS] += r == -ECANCELED;
    counts[TIMEOUTS] += r == -ETIMEDOUT;
    memset((void *)l, 0xEE, sizeof *l);
}

/* Marks that each thing came out once. */
typedef _Atomic unsigned char mark;

static void comes_out(mark *marks, uint64_t i, const char *what)
{
    if (atomic_fetch_add_explicit(&marks[i], 1, memory_order_relaxed)) fail("DOUBLED: %s %llu", what, (ull)i);
}

static void came_out(mark *marks, uint64_t i, const char *what, bool accepted)
{
    if (atomic_load_explicit(&marks[i], memory_order_relaxed) != accepted)
        fail("%s: %s %llu", accepted ? "LOST" : "ACCEPTED THOUGH REFUSED", what, (ull)i);
}

/* ==== Lines: channels, and all that can be done with them =====================================
 *
 * A stream is what one sender sends on one line. Each line has a receiver that stays there, so that no thread waits
 * for ever. The other receivers roam. Traders send and receive in one select, on the same line too. */

enum { LINES = 4, BATCH = 8, MOST_STREAMS = (MOST_THREADS + 3) * LINES };
enum how { WAIT, TRY, CTX, MANY, SELECT, HOWS };
static const char *const how_texts[2][HOWS] = {
    { "recv", "try_recv", "recv_ctx", "recv_many", "select" },
    { "send", "try_send", "send_ctx", "send_many", "select" },
};

/* Letters are words that tell stream and number. All other words are a checksum of these. */
struct small {
    uint64_t word[2];
};
struct middle {
    uint64_t word[5];
};
struct large {
    _Alignas(64) uint64_t word[64];
};
static const int words_of[] = { 2, 5, 64 };
union letters {
    struct small small[BATCH];
    struct middle middle[BATCH];
    struct large large[BATCH];
};

struct line {
    int size, cap;
    union {
        LEAT_CHAN(struct small) small;
        LEAT_CHAN(struct middle) middle;
        LEAT_CHAN(struct large) large;
    } chan;
    _Atomic int senders; /* that have not yet sent all */
};

struct net {
    int lines, senders, receivers, traders;
    bool closed_early;
    uint32_t each; /* letters of a stream */
    struct line line[LINES];
    uint32_t accepted[MOST_STREAMS];
    mark *fates; /* [stream * each + number] */
};

struct member { /* a player on the lines */
    struct net *net;
    int id;
    bool sends[LINES], receives[LINES];
    uint32_t next[LINES];
    int64_t last[MOST_STREAMS]; /* the last number seen of each */
};

#define BY_SIZE(l, CALL) ((l)->size == 0 ? CALL(small) : (l)->size == 1 ? CALL(middle) : CALL(large))

static ptrdiff_t line_send(struct line *l, enum how how, leat_ctx *ctx, union letters *m, int n)
{
#define SEND_(T) \
    (how == WAIT  ? leat_send(&l->chan.T, &m->T[0]) \
     : how == TRY ? leat_try_send(&l->chan.T, &m->T[0]) \
     : how == CTX ? leat_send_ctx(ctx, &l->chan.T, &m->T[0]) \
                  : leat_send_many_ctx(ctx, &l->chan.T, &m->T[0], (size_t)n))
    return BY_SIZE(l, SEND_);
}

static ptrdiff_t line_recv(struct line *l, enum how how, leat_ctx *ctx, union letters *m, int n)
{
#define RECV_(T) \
    (how == WAIT  ? leat_recv(&l->chan.T, &m->T[0]) \
     : how == TRY ? leat_try_recv(&l->chan.T, &m->T[0]) \
     : how == CTX ? leat_recv_ctx(ctx, &l->chan.T, &m->T[0]) \
                  : leat_recv_many_ctx(ctx, &l->chan.T, &m->T[0], (size_t)n))
    return BY_SIZE(l, RECV_);
}

static leat_case line_case(struct line *l, bool send, union letters *m)
{
#define CASE_(T) (send ? LEAT_SEND(&l->chan.T, &m->T[0]) : LEAT_RECV(&l->chan.T, &m->T[0]))
    return BY_SIZE(l, CASE_);
}

static int line_close(struct line *l)
{
#define CLOSE_(T) leat_close(&l->chan.T)
    counts[CLOSES]++;
    return BY_SIZE(l, CLOSE_);
}

static uint64_t *letter(const struct line *l, union letters *m, int i)
{
    return (uint64_t *)(void *)m + i * words_of[l->size];
}

static void write_letters(struct member *m, int c, union letters *to, int n)
{
    for (int i = 0; i < n; i++) {
        struct line *l = &m->net->line[c];
        uint64_t *word = letter(l, to, i);
        word[0] = (uint64_t)(m->id * m->net->lines + c) << 32 | (m->next[c] + (uint32_t)i);
        for (int k = 1; k < words_of[l->size]; k++) word[k] = mix(word[0]) + (uint64_t)k;
    }
}

static void read_letter(struct member *m, int c, const uint64_t *word)
{
    struct net *net = m->net;
    uint64_t stream = word[0] >> 32, number = word[0] & UINT32_MAX;
    for (int k = 1; k < words_of[net->line[c].size]; k++)
        if (word[k] != mix(word[0]) + (uint64_t)k)
            fail("TORN: word %d of a letter that says %llu of %llu", k, (ull)number, (ull)stream);
    MUST(stream < (uint64_t)((net->senders + net->traders) * net->lines) && number < net->each);
    MUST(stream % (uint64_t)net->lines == (uint64_t)c);
    comes_out(net->fates, stream * net->each + number, "letter");
    if ((int64_t)number <= m->last[stream])
        fail("OUT OF ORDER: letter %llu of %llu after %lld", (ull)number, (ull)stream, (long long)m->last[stream]);
    m->last[stream] = (int64_t)number;
    counts[MESSAGES]++;
}

static void no_more_sends(struct member *m, int c)
{
    struct line *l = &m->net->line[c];
    m->sends[c] = false;
    m->net->accepted[m->id * m->net->lines + c] = m->next[c];
    if (atomic_fetch_sub_explicit(&l->senders, 1, memory_order_relaxed) > 1) return;
    int r = line_close(l);
    ANSWER(r, r == 0 || (r == -EALREADY && m->net->closed_early));
}

/* What followed from a call on line c: n letters moved, or an error. */
static void line_answer(struct member *m, int c, bool sent, union letters *letters, ptrdiff_t n)
{
    if (n > 0 && sent) {
        m->next[c] += (uint32_t)n;
        if (m->next[c] == m->net->each) no_more_sends(m, c);
    } else if (n > 0) {
        for (int i = 0; i < n; i++) read_letter(m, c, letter(&m->net->line[c], letters, i));
    } else if (n == -EPIPE && sent) {
        ANSWER(n, m->net->closed_early);
        no_more_sends(m, c);
    } else if (n == -EPIPE) {
        m->receives[c] = false;
    } else if (n == -EAGAIN) {
        counts[REFUSED]++;
        sched_yield();
    }
}

static void one_line(struct member *m, int c, enum how how)
{
    union letters letters;
    struct leash leash;
    bool send = m->sends[c], tied = how == CTX || (how == MANY && one_in(2));
    int n = how == MANY ? 1 + below(BATCH) : 1;
    if (send && (uint32_t)n > m->net->each - m->next[c]) n = (int)(m->net->each - m->next[c]);
    if (send) write_letters(m, c, &letters, n);
    doing(how_texts[send][how]);
    leat_ctx *ctx = tied ? tie(&leash, 500) : NULL;
    ptrdiff_t r = (send ? line_send : line_recv)(&m->net->line[c], how, ctx, &letters, n);
    if (tied) untie(&leash, r);
    ANSWER(r, how == MANY ? r != 0 && r <= n : r <= 0);
    ANSWER(r, r >= 0 || r == -EPIPE || (r == -EAGAIN && how == TRY) || (tied && is_end(r)));
    if (how == MANY && r > 0) counts[BATCHES] += (uint64_t)r;
    line_answer(m, c, send, &letters, how == MANY || r < 0 ? r : 1);
}

/* Line c and some others: sends where there is something to send, and receives too. */
static void some_lines(struct member *m, int c)
{
    struct net *net = m->net;
    union letters out[LINES], in;
    struct leash leash;
    leat_case cases[4 * LINES + 1];
    struct choice {
        int line;
        bool send;
    } what[4 * LINES];
    bool sending = m->sends[c], tied = one_in(3), try = !tied && one_in(4);
    int n = 0;
    for (int i = 0; i < net->lines; i++) {
        bool send = m->sends[i] && (i == c || one_in(2));
        bool recv = m->receives[i] && ((i == c && !sending) || one_in(2));
        if (send) write_letters(m, i, &out[i], 1);
        for (int twice = 1 + one_in(8); twice--;) {
            for (int sends = 0; sends < 2; sends++)
                if (sends ? send : recv) {
                    cases[n] = line_case(&net->line[i], sends, sends ? &out[i] : &in);
                    what[n++] = (struct choice){ i, sends };
                }
        }
    }
    cases[n] = (leat_case){ .chan_ = NULL }; /* never ready */
    doing(try ? "try_select" : "select");
    leat_ctx *ctx = tied ? tie(&leash, 500) : NULL;
    int r = try ? leat_try_select(cases, (size_t)n + 1) : leat_select_ctx(ctx, cases, (size_t)n + 1);
    if (tied) untie(&leash, r);
    ANSWER(r, r < n && (r >= 0 || (try && r == -EAGAIN) || (tied && is_end(r))));
    counts[SELECTS]++;
    if (r >= 0) ANSWER(cases[r].err, cases[r].err == 0 || cases[r].err == -EPIPE);
    if (r >= 0) line_answer(m, what[r].line, what[r].send, &in, cases[r].err ? cases[r].err : 1);
    else line_answer(m, c, sending, &in, r);
}

/* A line where something is left to do, at random. -1: none. */
static int some_line(const bool *set, int n)
{
    int start = below(n);
    for (int i = 0; i < n; i++)
        if (set[(start + i) % n]) return (start + i) % n;
    return -1;
}

static void on_the_lines(struct member *m)
{
    for (;;) {
        int c = some_line(m->sends, m->net->lines);
        bool leaves = c < 0 && m->net->closed_early && one_in(1000);
        if (c < 0) c = some_line(m->receives, m->net->lines);
        if (c < 0 || leaves) return;
        enum how how = (enum how)below(HOWS);
        if (how == SELECT || (m->sends[c] && m->receives[c])) some_lines(m, c);
        else one_line(m, c, how);
    }
}

static struct member member_of(struct net *net, int id, bool sends, bool receives)
{
    struct member m = { .net = net, .id = id };
    for (int i = 0; i < net->lines; i++) m.sends[i] = sends, m.receives[i] = receives;
    for (int i = 0; i < MOST_STREAMS; i++) m.last[i] = -1;
    return m;
}

static void sender(void)
{
    struct member m = member_of(me->scene, me->id, true, false);
    on_the_lines(&m);
}

static void trader(void)
{
    struct net *net = me->scene;
    struct member m = member_of(net, net->senders + me->id, true, true);
    on_the_lines(&m);
}

static void receiver(void)
{
    struct member m = member_of(me->scene, -1, false, true);
    if (me->id < m.net->lines)
        for (int i = 0; i < m.net->lines; i++) m.receives[i] = i == me->id;
    on_the_lines(&m);
}

static void closer(void)
{
    struct net *net = me->scene;
    doing("closing");
    for (int i = 0; i < net->lines; i++) {
        leat_sleep(LEAT_US(below(20000)));
        int r = line_close(&net->line[i]);
        ANSWER(r, r == 0 || r == -EALREADY);
        ANSWER(r, (r = line_close(&net->line[i])) == -EALREADY);
    }
}

static void *open_net(void)
{
    struct net *net = calloc(1, sizeof *net);
    net->receivers = 1 + below(most_threads);
    net->lines = 1 + below(net->receivers < LINES ? net->receivers : LINES);
    net->senders = 1 + below(most_threads);
    net->traders = one_in(2) ? 1 + below(3) : 0;
    net->closed_early = one_in(3);
    int streams = (net->senders + net->traders) * net->lines;
    net->each = (uint32_t)(1 + (1 << below(16)) / SLOW / streams);
    net->fates = calloc((size_t)streams * net->each, 1);
    say("\n    lines:");
    for (int i = 0; i < net->lines; i++) {
        struct line *l = &net->line[i];
#define MAKE_(T) leat_make(&l->chan.T, (size_t)l->cap)
        l->size = below(3);
        l->cap = one_in(3) ? below(3) : below(65);
        atomic_init(&l->senders, net->senders + net->traders);
        int r = BY_SIZE(l, MAKE_);
        ANSWER(r, r == 0);
        say(" %d of %d bytes,", l->cap, 8 * words_of[l->size]);
    }
    say(" %u letters each;", net->each);
    enter(net, net->receivers, "receiver", receiver);
    enter(net, net->senders, "sender", sender);
    enter(net, net->traders, "trader", trader);
    enter(net, net->closed_early, "closer", closer);
    return net;
}

static void close_net(void *scene)
{
    struct net *net = scene;
    for (int c = 0; c < net->lines; c++) {
        struct line *l = &net->line[c];
#define FREE_(T) leat_free(&l->chan.T)
        struct member m = member_of(net, -1, false, true);
        union letters letters;
        ptrdiff_t r;
        while ((r = line_recv(l, TRY, NULL, &letters, 1)) == 0) {
            MUST(net->closed_early);
            read_letter(&m, c, letter(l, &letters, 0));
            counts[LEFT]++;
        }
        ANSWER(r, r == -EPIPE);
        BY_SIZE(l, FREE_);
    }
    for (uint32_t s = 0; s < (uint32_t)((net->senders + net->traders) * net->lines); s++)
        for (uint32_t i = 0; i < net->each; i++) came_out(net->fates, s * net->each + i, "letter", i < net->accepted[s]);
    free(net->fates);
    free(net);
}

/* ==== Errands: the channel that brought the answer is freed at once =========================== */

typedef LEAT_CHAN(uint64_t) reply_chan;

enum answer { REPLY, HANG_UP, SEMAPHORE, WAIT_GROUP, MEETING, ANSWER_KINDS };

struct errand {
    enum answer by;
    uint64_t key, *result;
    struct answer_box {
        union {
            reply_chan reply;
            leat_sem sem;
            leat_wg wg;
        };
        leat_wg together; /* of a meeting */
    } * box;
};

struct errands {
    LEAT_CHAN(struct errand) todo[2];
    int queues, each, patient;
    leat_sem room;
    _Atomic int clients;
};

static void run_errand(const struct errand *e)
{
    uint64_t result = mix(e->key);
    if (e->by == MEETING) {
        doing("wait for the others of a meeting");
        MUST(leat_wg_done(&e->box->together) == 0 && leat_wg_wait(&e->box->together) == 0);
    }
    if (e->by != REPLY) *e->result = result;
    int r = e->by == REPLY       ? leat_send(&e->box->reply, &result)
            : e->by == HANG_UP   ? leat_close(&e->box->reply)
            : e->by == SEMAPHORE ? leat_release(&e->box->sem, 1)
                                 : leat_wg_done(&e->box->wg);
    ANSWER(r, r == 0);
    counts[CLOSES] += e->by == HANG_UP;
}

/* The patient servants wait as long as it takes. The others may leave. A servant that was woken for an errand, and
 * leaves or takes another one, must have woken the next. Errands that meet each other need a servant each, and there
 * are as many patient ones. So if a wake is lost, the scene does not end. */
static void servant(void)
{
    struct errands *s = me->scene;
    struct leash leash;
    struct errand e;
    bool open[2] = { true, s->queues == 2 };
    while (open[0] || open[1]) {
        int i = 0, r;
        doing("wait for an errand");
        leat_ctx *ctx = me->id >= s->patient && one_in(4) ? tie(&leash, 300) : NULL;
        if (s->queues == 1) {
            r = leat_recv_ctx(ctx, &s->todo[0], &e);
        } else {
            leat_case cases[] = { LEAT_RECV(open[0] ? &s->todo[0] : NULL, &e), LEAT_RECV(open[1] ? &s->todo[1] : NULL, &e) };
            i = leat_select_ctx(ctx, cases, 2);
            r = i < 0 ? i : cases[i].err;
            counts[SELECTS]++;
        }
        if (ctx) untie(&leash, r);
        ANSWER(r, r == 0 || r == -EPIPE || (ctx && is_end(r)));
        if (r == 0) run_errand(&e);
        else if (r == -EPIPE) open[i] = false;
        else if (one_in(4)) return;
    }
}

static void client(void)
{
    struct errands *s = me->scene;
    for (int i = 0; i < s->each; i++) {
        enum answer by = (enum answer)below(ANSWER_KINDS);
        int most = by == HANG_UP ? 1 : by == MEETING && s->patient < 6 ? s->patient : 6;
        int n = 1 + below(most), r = 0;
        uint64_t result[6] = { 0 }, sum = 0, expected = 0;
        struct answer_box *box = calloc(1, sizeof *box);
        int cap = n - 1 + below(2); /* so that no servant waits for this thread while it sends */
        if (by == REPLY || by == HANG_UP) r = leat_make(&box->reply, (size_t)cap);
        else if (by == SEMAPHORE) box->sem = (leat_sem)LEAT_SEM_OF(0, LEAT_SEM_MAX);
        else box->wg = box->together = (leat_wg)LEAT_WG(n);
        ANSWER(r, r == 0);
        doing("wait for room for a meeting");
        if (by == MEETING) MUST(leat_acquire(&s->room, n - 1) == 0);
        doing("send an errand");
        struct errand e[6];
        for (int k = 0; k < n; k++) {
            e[k] = (struct errand){ by, (uint64_t)below(INT_MAX), &result[k], box };
            expected += mix(e[k].key);
            ANSWER(r, (r = leat_send(&s->todo[below(s->queues)], &e[k])) == 0);
        }
        doing("wait for an answer");
        for (int got = 0; got < n;) {
            struct leash leash;
            leat_ctx *ctx = one_in(2) ? tie(&leash, 200) : NULL;
            int all = by == SEMAPHORE && one_in(2) ? 1 : n - got;
            r = by == SEMAPHORE    ? leat_acquire_ctx(ctx, &box->sem, all)
                : by >= WAIT_GROUP ? leat_wg_wait_ctx(ctx, &box->wg)
                                   : leat_recv_ctx(ctx, &box->reply, &result[got]);
            if (ctx) untie(&leash, r);
            if (by == HANG_UP && r == -EPIPE) r = 0;
            else if (by == HANG_UP) ANSWER(r, r != 0);
            ANSWER(r, r == 0 || (ctx && is_end(r)));
            if (!r) got += by == REPLY ? 1 : all;
        }
        if (by == MEETING) MUST(leat_release(&s->room, n - 1) == 0);
        if (by == REPLY || by == HANG_UP) leat_free(&box->reply);
        memset((void *)box, 0xEE, sizeof *box);
        free(box);
        for (int k = 0; k < n; k++) sum += result[k];
        if (sum != expected) fail("LOST or DOUBLED: an answer of kind %d", (int)by);
        counts[ANSWERS] += (uint64_t)n;
        counts[MESSAGES] += (uint64_t)n * (by == REPLY ? 2 : 1);
    }
    if (atomic_fetch_sub_explicit(&s->clients, 1, memory_order_relaxed) > 1) return;
    for (int i = 0; i < s->queues; i++) MUST(leat_close(&s->todo[i]) == 0);
}

static void *open_errands(void)
{
    struct errands *s = calloc(1, sizeof *s);
    int clients = 1 + below(most_threads);
    s->queues = 1 + below(2);
    s->each = 1 + (1 << below(12)) / SLOW / clients;
    atomic_init(&s->clients, clients);
    say("\n    errands: %d each, queues of", s->each);
    for (int i = 0; i < s->queues; i++) {
        int cap = one_in(2) ? below(5) : below(65);
        MUST(leat_make(&s->todo[i], (size_t)cap) == 0);
        say(" %d,", cap);
    }
    int servants = 1 + below(most_threads);
    s->patient = 1 + below(servants);
    s->room = (leat_sem)LEAT_SEM(s->patient - 1);
    say(" %d patient of", s->patient);
    enter(s, servants, "servant", servant);
    enter(s, clients, "client", client);
    return s;
}

static void close_errands(void *scene)
{
    struct errands *s = scene;
    for (int i = 0; i < s->queues; i++) leat_free(&s->todo[i]);
    free(s);
}

/* ==== Pipelines: a group per stage, its end closes the next channel =========================== */

enum { STAGES = 4 };

struct flow {
    uint64_t id;
    int hops;
};

struct pipeline {
    int stages, width;
    bool cancelled; /* it may be */
    uint64_t items, accepted, last;
    struct stage {
        struct pipeline *pipeline;
        int i;
    } stage[STAGES];
    LEAT_CHAN(struct flow) into[STAGES];
    leat_group group[STAGES];
    mark *fates;
};

static int stage_task(leat_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    struct pipeline *p = s->pipeline;
    struct flow f;
    int r;
    while ((r = leat_recv_ctx(ctx, &p->into[s->i], &f)) == 0) {
        MUST(f.hops++ == s->i);
        counts[MESSAGES]++;
        if (s->i == p->stages - 1) {
            comes_out(p->fates, f.id, "item");
            if (p->width > 1) continue;
            if (f.id < p->last) fail("OUT OF ORDER: item %llu after %llu", (ull)f.id, (ull)p->last);
            p->last = f.id;
        } else if ((r = leat_send_ctx(ctx, &p->into[s->i + 1], &f)) != 0) {
            comes_out(p->fates, f.id, "item"); /* it stays in this stage */
            counts[LEFT]++;
            break;
        }
    }
    add_to_totals();
    ANSWER(r, r == -EPIPE || (p->cancelled && is_end(r)));
    return r == -EPIPE ? 0 : r;
}

static void director(void)
{
    struct pipeline *p = me->scene;
    struct leash leash;
    leat_ctx *ctx = p->cancelled ? tie(&leash, 20000) : NULL;
    int r = 0, end = 0;
    doing("starting the stages");
    for (int i = 0; i < p->stages; i++) {
        leat_group *g = &p->group[i];
        *g = (leat_group)LEAT_GROUP(ctx);
        p->stage[i] = (struct stage){ p, i };
        r = leat_go_n(g, p->width, stage_task, &p->stage[i]);
        ANSWER(r, r == 0 || (ctx && is_end(r)));
        if (i + 1 < p->stages) ANSWER(r, (r = leat_group_closes(g, &p->into[i + 1])) == 0);
    }
    doing("feeding the first stage");
    struct flow f = { .id = 0 };
    for (r = 0; f.id < p->items; f.id++)
        if ((r = leat_send_ctx(ctx, &p->into[0], &f)) != 0) break;
    p->accepted = f.id;
    ANSWER(r, r == 0 || (ctx && is_end(r)));
    ANSWER(r, leat_close(&p->into[0]) == 0);
    for (int i = 0; i < p->stages; i++) {
        doing("wait for a stage");
        r = leat_wait(&p->group[i]);
        ANSWER(r, r == 0 || (ctx && is_end(r)));
        if (!end) end = r;
        counts[TASKS] += (uint64_t)p->width;
    }
    counts[CLOSES] += (uint64_t)p->stages;
    if (ctx) untie(&leash, end);
}

static void *open_pipeline(void)
{
    struct pipeline *p = calloc(1, sizeof *p);
    p->stages = 1 + below(STAGES);
    p->width = 1 + below(most_threads < 4 ? most_threads : 4);
    p->cancelled = one_in(2);
    p->items = (uint64_t)(1 + (1 << below(14)) / SLOW);
    p->fates = calloc(p->items, 1);
    say("\n    pipeline: %llu items, stages of %d after", (ull)p->items, p->width);
    for (int i = 0; i < p->stages; i++) {
        int cap = one_in(3) ? 0 : below(65);
        ANSWER(cap, leat_make(&p->into[i], (size_t)cap) == 0);
        say(" %d,", cap);
    }
    enter(p, 1, "director", director);
    return p;
}

static void close_pipeline(void *scene)
{
    struct pipeline *p = scene;
    struct flow f;
    int r;
    for (int i = 0; i < p->stages; i++) {
        for (; (r = leat_try_recv(&p->into[i], &f)) == 0; counts[LEFT]++) {
            MUST(p->cancelled && f.hops == i);
            comes_out(p->fates, f.id, "item");
        }
        ANSWER(r, r == -EPIPE);
        leat_free(&p->into[i]);
    }
    for (uint64_t id = 0; id < p->items; id++) came_out(p->fates, id, "item", id < p->accepted);
    free(p->fates);
    free(p);
}

/* ==== Permits: a semaphore of changing size; a thread that has all permits is alone =========== */

struct permits {
    leat_sem sem;
    int limit, least, most, each, sleep_us;
    bool closed_early;
    _Atomic int64_t used;
    int64_t writes; /* written by a thread that has all permits, read by one that has one */
    _Atomic int holders;
};

/* The first holder is patient. The others may leave, but must not take the hint with them that there are permits. */
static void holder(void)
{
    struct permits *s = me->scene;
    struct leash leash;
    bool steady = s->least == s->most;
    int r = 0;
    for (int i = 0; i < s->each && r != -EPIPE; i++) {
        int64_t n = one_in(2) ? 1 : one_in(4) ? s->limit : 1 + below(s->limit);
        enum how how = (enum how)below(me->id ? CTX + 1 : CTX);
        doing("acquire");
        leat_ctx *ctx = how == CTX ? tie(&leash, 500) : NULL;
        r = how == TRY ? leat_try_acquire(&s->sem, n) : leat_acquire_ctx(ctx, &s->sem, n);
        if (ctx) untie(&leash, r);
        ANSWER(r, r == 0 || (r == -EPIPE && s->closed_early) || (r == -EAGAIN && how == TRY) ||
                      (r == -EDEADLK && n > s->least) || (ctx && is_end(r)));
        counts[REFUSED] += r == -EAGAIN;
        if (is_end(r) && one_in(8)) break;
        if (r) continue;
        int64_t used = n + atomic_fetch_add_explicit(&s->used, n, memory_order_relaxed);
        if (used > s->most) fail("DOUBLED: %lld permits of %d", (long long)used, s->most);
        if (steady && n == s->limit && ++s->writes && used != n) fail("DOUBLED: a permit beside all %d", s->limit);
        if (steady && n < s->limit) MUST(s->writes >= 0);
        if (s->sleep_us) leat_sleep(LEAT_US(below(s->sleep_us)));
        else if (one_in(4)) sched_yield();
        atomic_fetch_sub_explicit(&s->used, n, memory_order_relaxed);
        counts[PERMITS] += (uint64_t)n;
        ANSWER(r, (r = leat_release(&s->sem, n)) == 0);
    }
    atomic_fetch_sub_explicit(&s->holders, 1, memory_order_relaxed);
}

static void resizer(void)
{
    struct permits *s = me->scene;
    int now = s->limit;
    doing("resize");
    for (bool last = false; !last;) {
        last = !atomic_load_explicit(&s->holders, memory_order_relaxed);
        int want = last ? s->limit : s->least + below(s->most - s->least + 1);
        int r = leat_sem_resize(&s->sem, want - now);
        ANSWER(r, r == 0);
        now = want;
        counts[RESIZES]++;
        if (!last) leat_sleep(LEAT_US(below(200)));
    }
}

static void sem_closer(void)
{
    struct permits *s = me->scene;
    doing("closing");
    leat_sleep(LEAT_US(below(20000)));
    int r = leat_sem_close(&s->sem);
    ANSWER(r, r == 0);
    ANSWER(r, (r = leat_sem_close(&s->sem)) == -EALREADY);
    counts[CLOSES]++;
}

static void *open_permits(void)
{
    struct permits *s = calloc(1, sizeof *s);
    int holders = 1 + below(most_threads);
    bool resized = one_in(2);
    s->limit = one_in(2) ? 1 : 1 + below(16);
    s->least = resized ? 1 + below(s->limit) : s->limit;
    s->most = resized ? s->limit + below(8) : s->limit;
    s->closed_early = one_in(3);
    s->sleep_us = one_in(2) ? below(200) : 0;
    s->each = 1 + (1 << below(s->sleep_us ? 9 : 16)) / SLOW / holders;
    s->sem = (leat_sem)LEAT_SEM(s->limit);
    atomic_init(&s->holders, holders);
    say("\n    permits: %d to %d, first %d, %d times, sleeps of %d us,", s->least, s->most, s->limit, s->each, s->sleep_us);
    enter(s, holders, "holder", holder);
    enter(s, resized, "resizer", resizer);
    enter(s, s->closed_early, "closer", sem_closer);
    return s;
}

static void close_permits(void *scene)
{
    struct permits *s = scene;
    long long there = leat_sem_available(&s->sem);
    if (there != s->limit) fail("%s: permits: %lld of %d", there < s->limit ? "LOST" : "DOUBLED", there, s->limit);
    ANSWER(there, leat_release(&s->sem, 1) == -EOVERFLOW);
    ANSWER(there, leat_acquire(&s->sem, s->limit) == 0);
    ANSWER(there, leat_try_acquire(&s->sem, 1) == (s->closed_early ? -EPIPE : -EAGAIN));
    free(s);
}

/* ==== Work: tasks of a group, jobs of a pool ==================================================
 *
 * Each piece has a child, which it may start in its turn. Some end their thread. */

struct work {
    bool of_a_pool;
    int each, players, limit, share, sleep_us;
    bool fails; /* some do */
    leat_group group;
    leat_sem shared;
    leat_pool pool;
    leat_ctx above; /* the pool's context is below */
    int how_it_ends;
    leat_wg submitting;
    _Atomic int inits, finis, running, errors;
    _Atomic uint64_t ran, dropped;
    int answers[MOST_THREADS];
    struct piece {
        struct work *work;
        bool accepted, answers_error;
    } * pieces; /* [player * each + i], and behind these their children */
    mark *fates;
};

enum { TO_THE_END, STOPPED, ABORTED, CANCELLED, ENDINGS };
static const char *const ending_texts[] = { "to the end", "stopped", "aborted", "cancelled" };

static int piece_runs(leat_ctx *ctx, void *arg);

static void start_piece(struct piece *piece, bool child)
{
    struct work *w = piece->work;
    bool try = one_in(3), tied = me && !try && w->of_a_pool && one_in(3);
    struct leash leash;
    leat_ctx *ctx = tied ? tie(&leash, 500) : NULL;
    int r = w->of_a_pool
                ? try ? leat_try_submit(&w->pool, piece_runs, piece) : leat_submit_ctx(ctx, &w->pool, piece_runs, piece)
            : try || child ? leat_try_go(&w->group, piece_runs, piece)
                           : leat_go(&w->group, piece_runs, piece);
    bool ending = !w->of_a_pool || w->how_it_ends != TO_THE_END;
    if (tied) untie(&leash, ending && r == -ECANCELED ? 0 : r); /* it may be the pool that ended */
    ANSWER(r, r == 0 || (r == -EAGAIN && (try || child)) || (r == -ETIMEDOUT && tied) ||
                  (r == -ECANCELED && (tied || ending)) || (r == -ESHUTDOWN && (child || ending)) ||
                  (r == -EDEADLK && child && w->of_a_pool));
    counts[REFUSED] += r == -EAGAIN;
    piece->accepted = !r;
    if (r == -EAGAIN) sched_yield();
}

static int piece_runs(leat_ctx *ctx, void *arg)
{
    struct piece *piece = arg;
    struct work *w = piece->work;
    int number = (int)(piece - w->pieces), most = w->players * w->each;
    int now = 1 + atomic_fetch_add_explicit(&w->running, 1, memory_order_relaxed);
    if (!other_rng) other_rng = mix(seed + (uint64_t)number);
    comes_out(w->fates, (uint64_t)number, w->of_a_pool ? "job" : "task");
    if (!w->of_a_pool && ((w->limit && now > w->limit) || (w->share && now > w->share)))
        fail("DOUBLED: %d tasks at once, limits %d and %d", now, w->limit, w->share);
    if (w->sleep_us) leat_sleep_ctx(ctx, LEAT_US(below(w->sleep_us)));
    if (number < most && one_in(3)) start_piece(&w->pieces[most + number], true);
    bool ends = w->fails && one_in(200);
    piece->answers_error = ends || (w->fails && one_in(50));
    atomic_fetch_add_explicit(&w->errors, piece->answers_error, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->ran, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->running, 1, memory_order_relaxed);
    counts[w->of_a_pool ? JOBS : TASKS]++;
    counts[ENDED] += ends;
    add_to_totals();
    if (ends) pthread_exit(NULL);
    return piece->answers_error ? 1 + number : 0;
}

static void submitter(void)
{
    struct work *w = me->scene;
    doing(w->of_a_pool ? "submit" : "leat_go");
    for (int i = 0; i < w->each; i++) start_piece(&w->pieces[me->id * w->each + i], false);
    if (w->of_a_pool) {
        leat_wg_done(&w->submitting);
    } else {
        doing("leat_wait");
        w->answers[me->id] = leat_wait(&w->group);
    }
}

static void pool_resizer(void)
{
    struct work *w = me->scene;
    doing("resize");
    int r;
    for (;; counts[RESIZES]++) {
        if ((r = leat_pool_resize(&w->pool, 1 + below(6))) != 0) break;
        leat_sleep(LEAT_US(below(2000)));
    }
    ANSWER(r, r == -ESHUTDOWN || (r == -ECANCELED && w->how_it_ends != TO_THE_END));
}

static void dropped(leat_task *fn, void *arg, void *user)
{
    struct piece *piece = arg;
    struct work *w = user;
    MUST(fn == piece_runs);
    comes_out(w->fates, (uint64_t)(piece - w->pieces), "dropped job");
    atomic_fetch_add_explicit(&w->dropped, 1, memory_order_relaxed);
    counts[LEFT]++;
}

/* There may be two of them. */
static void ender(void)
{
    struct work *w = me->scene;
    struct leash leash;
    int r;
    doing("wait for the end of the pool");
    if (w->how_it_ends == TO_THE_END) leat_wg_wait(&w->submitting);
    else leat_sleep(LEAT_US(below(20000)));
    doing("end the pool");
    if (w->how_it_ends == CANCELLED) leat_cancel(&w->above, 0);
    if (w->how_it_ends == ABORTED) {
        r = leat_pool_abort(&w->pool, dropped, w);
    } else if (w->how_it_ends == STOPPED) {
        r = leat_pool_stop_ctx(tie(&leash, 5000), &w->pool);
        untie(&leash, r == -ECANCELED ? 0 : r); /* or the other one aborts */
        ANSWER(r, r == 0 || r == -EALREADY || is_end(r));
    } else {
        r = leat_pool_stop(&w->pool);
        ANSWER(r, r == 0 || r == -EALREADY || (r == -ECANCELED && w->how_it_ends == CANCELLED));
    }
    if (is_end(r)) r = leat_pool_abort(&w->pool, dropped, w);
    ANSWER(r, r == 0 || r == -EALREADY);
}

static int worker_init(void *user, int id)
{
    (void)id;
    atomic_fetch_add_explicit(&((struct work *)user)->inits, 1, memory_order_relaxed);
    return 0;
}

static void worker_fini(void *user, int id)
{
    (void)id;
    atomic_fetch_add_explicit(&((struct work *)user)->finis, 1, memory_order_relaxed);
}

static struct work *new_work(int each)
{
    struct work *w = calloc(1, sizeof *w);
    w->players = 1 + below(most_threads);
    w->each = each;
    w->fails = one_in(2);
    w->sleep_us = one_in(2) ? below(300) : 0;
    w->submitting = (leat_wg)LEAT_WG(w->players);
    w->pieces = calloc((size_t)(2 * w->players * each), sizeof *w->pieces);
    w->fates = calloc((size_t)(2 * w->players * each), 1);
    for (int i = 0; i < 2 * w->players * each; i++) w->pieces[i].work = w;
    return w;
}

static void *open_group(void)
{
    struct work *w = new_work(1 + (1 << below(9)) / SLOW);
    w->group = (leat_group)LEAT_GROUP(NULL);
    w->limit = one_in(4) && w->each < 8 ? 0 : 1 + below(8);
    w->share = one_in(3) ? 1 + below(8) : 0;
    w->shared = (leat_sem)LEAT_SEM(w->share);
    if (w->limit) leat_group_limit(&w->group, w->limit);
    if (w->share) leat_group_share(&w->group, &w->shared);
    say("\n    group: limit %d, shared %d, %d tasks each, sleeps of %d us%s,", w->limit, w->share, w->each, w->sleep_us,
        w->fails ? ", errors" : "");
    enter(w, w->players, "caller", submitter);
    return w;
}

static void *open_pool(void)
{
    struct work *w = new_work(1 + (1 << below(11)) / SLOW);
    w->of_a_pool = true;
    w->how_it_ends = below(ENDINGS);
    leat_pool_opts o = { .workers = 1 + below(4), .queue = 1 + below(32), .user = w };
    if (one_in(2)) o.worker_init = worker_init, o.worker_fini = worker_fini;
    say("\n    pool: %d workers, queue %d, %d jobs each, sleeps of %d us%s, %s,", o.workers, o.queue, w->each, w->sleep_us,
        w->fails ? ", errors" : "", ending_texts[w->how_it_ends]);
    int r = leat_pool_start(&w->pool, &w->above, &o);
    ANSWER(r, r == 0);
    enter(w, w->players, "submitter", submitter);
    enter(w, one_in(2), "resizer", pool_resizer);
    enter(w, 1 + one_in(3), "ender", ender);
    return w;
}

static void close_work(void *scene)
{
    struct work *w = scene;
    uint64_t accepted = 0, errors = (uint64_t)w->errors;
    for (int i = 0; i < 2 * w->players * w->each; i++) {
        accepted += w->pieces[i].accepted;
        came_out(w->fates, (uint64_t)i, w->of_a_pool ? "job" : "task", w->pieces[i].accepted);
    }
    MUST(w->running == 0 && w->inits == w->finis);
    MUST(w->ran + w->dropped == accepted);
    if (w->of_a_pool) {
        leat_stats st;
        ANSWER(0, leat_pool_stats(&w->pool, &st) == 0);
        MUST(st.submitted == accepted && st.completed + st.failed == w->ran);
        MUST(st.dropped == w->dropped && st.failed == errors);
        MUST(st.queued == 0 && st.busy == 0 && st.workers == 0);
        MUST(w->how_it_ends != TO_THE_END || w->dropped == 0);
    } else {
        int r = w->answers[0];
        for (int i = 1; i < w->players; i++) ANSWER(w->answers[i], w->answers[i] == r);
        ANSWER(r, r == -EINTR || r == 0 || (r > 0 && w->pieces[r - 1].answers_error));
        MUST((r != 0) == (errors != 0) && leat_group_errors(&w->group) == errors);
        MUST(leat_ctx_cause(leat_group_ctx(&w->group)) == (r ? r : -ECANCELED)); /* the first */
        MUST(!w->share || leat_sem_available(&w->shared) == w->share);
    }
    free(w->fates);
    free(w->pieces);
    free(w);
}

/* ==== Broadcasts: a topic ======================================================================
 *
 * Regulars are there before the first message, and stay. What each got, and what was dropped for it, is all that was
 * published. Visitors come, leave when they like, and free their channel at once. Readers look at the latest. */

typedef LEAT_CHAN(struct middle) wire;

struct broadcast {
    LEAT_TOPIC(struct middle) topic;
    wire wires[MOST_THREADS]; /* of the regulars */
    int policies[MOST_THREADS];
    int each, stay, sleep_us; /* messages of a publisher; of a visitor, at most; sleeps of receivers */
    bool keeps, patient, closed_early;
    _Atomic int publishing;             /* publishers that have not ended */
    _Atomic uint64_t published, copies; /* and what leat_publish returned, added up */
    _Atomic uint64_t heard, firsts;     /* messages received; subscriptions that asked for the latest first */
};

static struct middle news(int publisher, uint64_t i)
{
    uint64_t check = mix((uint64_t)publisher << 32 | i);
    return (struct middle){ { (uint64_t)publisher, i, check, ~check, i } };
}

/* Checks that it is whole, and later than what came before from the same publisher. It is the next one where none is
 * left out. A look at the latest may see the same again. */
enum { SOME, NEXT, AGAIN };

static void read_news(const struct middle *m, uint64_t *last, int which)
{
    uint64_t publisher = m->word[0], i = m->word[1];
    struct middle sent = news((int)(publisher % MOST_THREADS), i);
    if (memcmp(m, &sent, sizeof sent)) fail("TORN: message %llu of %llu", (ull)i, (ull)publisher);
    if (which == NEXT && last[publisher] && i > last[publisher] + 1)
        fail("LOST: a message of %llu before %llu", (ull)publisher, (ull)i);
    if (i < last[publisher] || (i == last[publisher] && which != AGAIN))
        fail("%s: message %llu of %llu after %llu", i == last[publisher] ? "DOUBLED" : "OUT OF ORDER", (ull)i,
             (ull)publisher, (ull)last[publisher]);
    last[publisher] = i;
}

static int which_come(const struct broadcast *b, int policy)
{
    return b->patient && policy == LEAT_WAITS ? NEXT : SOME;
}

static void publisher(void)
{
    struct broadcast *b = me->scene;
    struct leash leash;
    ptrdiff_t r = 0;
    for (int i = 1; i <= b->each && r != -EPIPE; i++) {
        enum how how = b->patient ? WAIT : (enum how)below(CTX + 1);
        struct middle m = news(me->id, (uint64_t)i);
        doing("publish");
        leat_ctx *ctx = how == CTX ? tie(&leash, 500) : NULL;
        r = how == TRY ? leat_try_publish(&b->topic, &m) : leat_publish_ctx(ctx, &b->topic, &m);
        if (ctx) untie(&leash, r);
        ANSWER(r, r >= 0 || (r == -EPIPE && b->closed_early) || (ctx && is_end(r)));
        if (r < 0) continue;
        b->published++;
        b->copies += (uint64_t)r;
        counts[PUBLISHED]++;
    }
    if (--b->publishing) return;
    r = leat_topic_close(&b->topic);
    ANSWER(r, r == 0 || (r == -EALREADY && b->closed_early));
}

static void topic_closer(void)
{
    struct broadcast *b = me->scene;
    doing("closing");
    leat_sleep(LEAT_US(below(20000)));
    int r = leat_topic_close(&b->topic);
    ANSWER(r, r == 0 || r == -EALREADY);
    counts[CLOSES]++;
}

static void heard(struct broadcast *b, uint64_t n)
{
    b->heard += n;
    counts[HEARD] += n;
}

/* Receives n messages, unless it is over before. Returns how many. */
static uint64_t listen(struct broadcast *b, wire *c, int policy, uint64_t n, uint64_t *last)
{
    struct leash leash;
    struct middle m;
    uint64_t got = 0;
    for (int r = 0; got < n && r != -EPIPE;) {
        enum how how = (enum how)below(CTX + 1);
        doing(how_texts[0][how]);
        leat_ctx *ctx = how == CTX ? tie(&leash, 500) : NULL;
        r = how == TRY ? leat_try_recv(c, &m) : leat_recv_ctx(ctx, c, &m);
        if (ctx) untie(&leash, r);
        ANSWER(r, r == 0 || r == -EPIPE || (how == TRY && r == -EAGAIN) || (ctx && is_end(r)));
        if (r == -EAGAIN) sched_yield();
        if (r) continue;
        read_news(&m, last, which_come(b, policy));
        got++;
        if (b->sleep_us && one_in(16)) leat_sleep(LEAT_US(below(b->sleep_us)));
    }
    return got;
}

static void regular(void)
{
    struct broadcast *b = me->scene;
    wire *c = &b->wires[me->id];
    uint64_t last[MOST_THREADS] = { 0 }, got = listen(b, c, b->policies[me->id], UINT64_MAX, last);
    ptrdiff_t drops = leat_topic_drops(&b->topic, c), r;
    heard(b, got);
    ANSWER(drops, drops >= 0);
    if (!b->closed_early) { /* the last publisher has closed it: nothing moves any more */
        ANSWER(drops, got + (uint64_t)drops == b->published);
        ANSWER(drops, !drops || !b->patient || b->policies[me->id] != LEAT_WAITS);
    }
    counts[MISSED] += (uint64_t)drops;
    ANSWER(r, (r = leat_unsubscribe(&b->topic, c)) == 0);
    ANSWER(r, (r = leat_unsubscribe(&b->topic, c)) == -ENOENT);
    leat_free(c);
}

static void visitor(void)
{
    struct broadcast *b = me->scene;
    for (bool closed = false; !closed;) {
        uint64_t last[MOST_THREADS] = { 0 }, got;
        int cap = below(9), policy = below(3);
        bool first = b->keeps && cap && one_in(2);
        wire *c = calloc(1, sizeof *c);
        struct middle m;
        doing("subscribe");
        b->firsts += first;
        MUST(c && leat_make(c, (size_t)cap) == 0);
        int r = leat_subscribe(&b->topic, c, policy | (first ? LEAT_LATEST_FIRST : 0));
        ANSWER(r, r == 0 || r == -EPIPE);
        closed = r == -EPIPE;
        if (!closed) {
            ANSWER(r, (r = leat_subscribe(&b->topic, c, policy)) == -EALREADY || r == -EPIPE);
            got = listen(b, c, policy, (uint64_t)below(b->stay), last);
            doing("unsubscribe");
            ANSWER(r, (r = leat_unsubscribe(&b->topic, c)) == 0);
            for (; leat_try_recv(c, &m) == 0; got++) read_news(&m, last, which_come(b, policy));
            heard(b, got);
            counts[VISITS]++;
        }
        leat_free(c);
        memset((void *)c, 0xEE, sizeof *c);
        free(c);
        if (one_in(4)) leat_sleep(LEAT_US(below(200)));
    }
}

static void reader(void)
{
    struct broadcast *b = me->scene;
    uint64_t last[MOST_THREADS] = { 0 };
    doing("latest");
    for (bool none = true; b->publishing; counts[LOOKS]++) {
        struct middle m;
        int r = leat_latest(&b->topic, &m);
        ANSWER(r, r == 0 || (r == -EAGAIN && none));
        none = r != 0;
        if (!r) read_news(&m, last, AGAIN);
        if (one_in(64)) leat_sleep(LEAT_US(below(50)));
    }
}

static void *open_broadcast(void)
{
    struct broadcast *b = calloc(1, sizeof *b);
    int publishers = 1 + below(most_threads), regulars = below(most_threads + 1);
    b->each = 1 + (1 << below(12)) / SLOW / publishers;
    b->stay = 1 + (1 << below(10));
    b->sleep_us = one_in(2) ? below(50) : 0;
    b->keeps = one_in(2);
    b->patient = one_in(2);
    b->closed_early = one_in(4);
    atomic_init(&b->publishing, publishers);
    MUST(leat_topic_make(&b->topic, b->keeps ? LEAT_KEEPS_LATEST : 0) == 0);
    say("\n    broadcast: %d messages each, visits of %d, sleeps of %d us%s%s,", b->each, b->stay, b->sleep_us,
        b->keeps ? ", the latest is kept" : "", b->patient ? ", patient" : "");
    for (int i = 0; i < regulars; i++) {
        MUST(leat_make(&b->wires[i], (size_t)(one_in(4) ? 0 : 1 << below(8))) == 0);
        int r = leat_subscribe(&b->topic, &b->wires[i], b->policies[i] = below(3));
        ANSWER(r, r == 0);
    }
    enter(b, regulars, "regular", regular);
    enter(b, below(most_threads), "visitor", visitor);
    enter(b, b->keeps ? below(3) : 0, "reader", reader);
    enter(b, publishers, "publisher", publisher);
    enter(b, b->closed_early, "closer", topic_closer);
    return b;
}

static void close_broadcast(void *scene)
{
    struct broadcast *b = scene;
    struct middle m = news(0, 1);
    ptrdiff_t r = leat_topic_close(&b->topic);
    ANSWER(r, r == -EALREADY);
    ANSWER(r, (r = leat_publish(&b->topic, &m)) == -EPIPE);
    ANSWER(r, (r = leat_latest(&b->topic, &m)) == (b->keeps && b->published ? 0 : -EAGAIN));
    MUST(b->heard <= b->copies + b->firsts);
    leat_topic_free(&b->topic);
    free(b);
}

/* ==== Rounds ================================================================================== */

static const struct {
    void *(*open)(void);
    void (*close)(void *);
} plays[] = {
    { open_net, close_net },           { open_net, close_net },
    { open_errands, close_errands },   { open_permits, close_permits },
    { open_pipeline, close_pipeline }, { open_group, close_work },
    { open_pool, close_work },         { open_broadcast, close_broadcast },
};
enum { PLAYS = sizeof plays / sizeof *plays };

static void storm_hits(int sig)
{
    (void)sig;
    count_now(SIGNALS);
}

static void *gremlin(void *storm)
{
    other_rng = mix(seed);
    while (!atomic_load_explicit(&curtain, memory_order_relaxed)) {
        struct player *p = &players[below(cast)];
        leat_ctx *ctx = atomic_exchange_explicit(&p->leash, NULL, memory_order_acquire);
        leat_cancel(ctx, CAUSE);
        for (int i = 0; storm && i < 3; i++) pthread_kill(players[below(cast)].thread, SIGUSR1);
        leat_sleep(LEAT_US(below(200)));
    }
    return NULL;
}

static void play_round(void)
{
    int64_t blocks_before = blocks, unjoined_before = unjoined;
    void *scene[3];
    int play[3], scenes;
    pthread_t g;
    other_rng = seed;
    scenery[0] = 0;
    cast = 0;
    scenes = 1 + below(3);
    bool storm = one_in(2);
    say("%s", storm ? "in a storm of signals" : "in calm");
    for (int i = 0; i < scenes; i++) scene[i] = plays[play[i] = below(PLAYS)].open();
    atomic_store_explicit(&curtain, false, memory_order_release); /* the players are there */
    MUST(pthread_create(&g, NULL, gremlin, storm ? &storm : NULL) == 0);
    leat_wg_wait(&acting);
    atomic_store_explicit(&curtain, true, memory_order_release);
    pthread_join(g, NULL);
    for (int i = 0; i < cast; i++) pthread_join(players[i].thread, NULL);
    for (int i = 0; i < scenes; i++) plays[play[i]].close(scene[i]);
    add_to_totals();
    long long more[] = { blocks - blocks_before, unjoined - unjoined_before };
    if (more[0] || more[1]) fail("LEAK: %lld blocks, %lld threads", more[0], more[1]);
    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
}

/* ==== The watch and the table ================================================================= */

static const char *grouped(uint64_t n)
{
    static _Thread_local char text[4][32];
    static _Thread_local int turn;
    char *at = text[turn = (turn + 1) % 4] + 31;
    for (int digits = 0; n || !digits; n /= 10, digits++) {
        if (digits && digits % 3 == 0) *--at = ',';
        *--at = (char)('0' + n % 10);
    }
    return at;
}

static int64_t started;
static double minutes = 1;

static int seconds(void)
{
    return (int)((leat_now() - started) / LEAT_S(1));
}

static uint64_t total(enum counter what)
{
    return atomic_load_explicit(&totals[what], memory_order_relaxed);
}

/* It uses nothing of the headers except their clock, because it watches them. */
static void *watch(void *arg)
{
    (void)arg;
    bool terminal = isatty(STDOUT_FILENO);
    uint64_t last = 0;
    int since = seconds(), told = 0, every = terminal ? 1 : minutes > 5 ? 60 : 10;
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
        uint64_t now = atomic_load_explicit(&rounds, memory_order_relaxed);
        if (now != last) since = seconds();
        last = now;
        if (seconds() >= told + every) {
            told = seconds();
            printf("%s  %d:%02d of %.4g min, %s rounds, %s messages, %s sleeps, nothing lost%s", terminal ? "\r" : "",
                   told / 60, told % 60, minutes, grouped(now), grouped(total(MESSAGES)), grouped(total(SLEEPS)),
                   terminal ? "\33[K" : "\n");
            fflush(stdout);
        }
        if (seconds() < since + PATIENCE) continue;
        bool left = atomic_load_explicit(&curtain, memory_order_acquire);
        fprintf(stderr, "\n\n%d s, %s:\n", PATIENCE, left ? "all have left" : "there are still");
        for (int i = 0; i < cast; i++) {
            const char *what = atomic_load_explicit(&players[i].doing, memory_order_relaxed);
            if (what) fprintf(stderr, "    %s %d: %s\n", players[i].role, players[i].id, what);
        }
        fail("HANG");
    }
    if (terminal) printf("\r\33[K");
    return NULL;
}

static double megabytes(const struct rusage *use)
{
    return (double)use->ru_maxrss / 1024;
}

static void row(const char *what, uint64_t n, int wall)
{
    printf("  %-28s %16s %14s\n", what, grouped(n), grouped(n / (uint64_t)wall));
}

static void table(uint64_t first_seed, const struct rusage *early)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    int wall = seconds() ? seconds() : 1;
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec);
    printf("\n  %-28s %16s %14s\n", "soak", "in all", "a second");
    printf("  %-28s %13d:%02d\n", "time", wall / 60, wall % 60);
    row("rounds", rounds, wall);
    for (int i = 0; i < KINDS; i++) row(counter_texts[i], total((enum counter)i), wall);
    printf("  %-28s %14.0f s %14.2f\n", "CPU time", cpu, cpu / wall);
    printf("  %-28s %13.1f MB\n", "peak memory, first tenth", megabytes(early));
    printf("  %-28s %13.1f MB\n", "peak memory, whole run", megabytes(&use));
    printf("\n  first seed %llu, at most %d threads of a role\n", (ull)first_seed, most_threads);
    printf("  lost 0, doubled 0, out of order 0, torn 0, leaked 0\n");
}

int main(int argc, char **argv)
{
    seed = mix((uint64_t)time(NULL) ^ (uint64_t)getpid() << 32) % SEEDS;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--minutes")) minutes = atof(value);
        else if (!strcmp(argv[i], "--seed")) seed = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "--threads")) most_threads = atoi(value);
        else most_threads = 0;
    }
    if (most_threads < 1 || most_threads > MOST_THREADS || !(minutes > 0 && minutes < 1e6)) {
        fprintf(stderr, "usage: soak [--minutes N] [--seed N] [--threads 1..%d]\n", MOST_THREADS);
        return 2;
    }
    __sanitizer_set_death_callback(say_where);
    if (SLOW == 1) /* otherwise the sanitizer has something to say */
        for (int i = 0; i < 4; i++) signal((int[]){ SIGSEGV, SIGBUS, SIGILL, SIGFPE }[i], crash);
    struct sigaction act = { .sa_handler = storm_hits }; /* without SA_RESTART */
    sigaction(SIGUSR1, &act, NULL);
    started = leat_now();
    int64_t length = (int64_t)(minutes * 60e9);
    leat_ctx enough = LEAT_CTX_WITHIN(NULL, length);
    MUST(leat_cancel_on_signals(&enough, SIGINT, SIGTERM, 0) == 0);
    uint64_t first_seed = seed;
    struct rusage early = { .ru_maxrss = 0 };
    pthread_t w;
    MUST(pthread_create(&w, NULL, watch, NULL) == 0);
    for (; !leat_ctx_err(&enough); seed = mix(seed) % SEEDS) {
        play_round();
        if (leat_now() - started < length / 10 || !early.ru_maxrss) getrusage(RUSAGE_SELF, &early);
    }
    atomic_store_explicit(&over, true, memory_order_relaxed);
    pthread_join(w, NULL);
    table(first_seed, &early);
    return 0;
}
