/* worker - does jobs from Redis Streams, on any number of machines: each result is stored exactly once.
 *
 *     streams --a reader each--> lanes of a pool --N workers--> results, dead letters
 *                                              cc -O2 -pthread worker.c -lhiredis
 *
 * A job is an entry of a stream: XADD jobs * id 7 n 360. Its result is a field of a hash: HGET results 7 is
 * "2 2 2 3 3 5". Here the work is to find prime factors; another program puts its own in the place of `work`.
 * Each stream has a lane of the pool, the first the most urgent, and a semaphore that bounds its jobs in
 * flight: a reader asks for as many as it has permits. So a lane has room for all of them, and no submit waits.
 *
 * The protocol. All workers are consumers of one group. Redis keeps a list of what was delivered and not yet
 * acknowledged: whose it is, since when, how often. That list is all that is known of a job under way, so
 * nothing is lost with a process. A worker
 *     1. takes jobs: XREADGROUP, or XAUTOCLAIM of those that were delivered --claim seconds ago,
 *     2. works,
 *     3. stores the result, unless the job's id has one: HSETNX,
 *     4. deletes the entry: XDEL,
 *     5. acknowledges it: XACK.
 * A worker that is killed before 3 leaves a job that is claimed and done again. After 3: the same, and then the
 * id has a result. After 4: a line in the list without an entry, which the next XAUTOCLAIM drops. Each step
 * waits for the answer to the one before it; sent together, a failing 3 would not stop 5. And each step may be
 * taken twice: when an answer is lost, or Redis is started again, the command is sent again.
 *
 * A job that has failed stays in the list. XCLAIM sets back its clock, so that it is old enough to be claimed,
 * by any worker, when its back-off is over: so a retry and the claim of what a crash has left are one thing,
 * and the count of deliveries is that of the tries. After the last try it becomes a dead letter. To add an
 * entry is the one step that must not be taken twice, so this is one script: add it, if it is still in the
 * stream and has no result, delete, acknowledge.
 *
 * A job that takes longer than --claim is done twice at the same time. One result is stored; but such a job can
 * become a dead letter and have a result. And a reader with another group finds entries deleted.
 * With appendfsync always nothing that Redis has answered is lost. With less, Redis forgets the last steps, all
 * from some point on: results with their acknowledgements, never one of them alone. Needs Redis 7.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "args.h"
#include "metrics.h"

#include <getopt.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <sys/time.h>
#include <unistd.h>

#define TICK LEAT_MS(100)  /* a reader waits so long for jobs, and claims so often */
#define PATIENCE LEAT_S(2) /* the longest wait before the next attempt to reach Redis */
enum { MOST = 4096, RESULT = 64 * 3 };

/* How a delivery ends. KNOWN: its id had a result, perhaps ours, whose answer was lost. GONE: another worker has ended it.
 * LEFT: it shall stop, and Redis is away. */
enum kind { STORED, KNOWN, RETRIED, DEAD, GONE, LEFT, KINDS };
static const char *const kinds[] = { "stored", "known", "retried", "dead", "gone", "left" };

struct stream {
    const char *name;
    char label[256 + 16]; /* for the metrics */
    int lane;
    leat_sem room;                   /* a permit for each job in flight */
    struct metrics_times wait, work; /* in the queue; on a worker */
    _Atomic uint64_t ended[KINDS];
};

struct job { /* belongs to the worker that runs it */
    struct stream *stream;
    redisReply *entry; /* its id in the stream; its fields and values */
    bool claimed;
    int64_t since;
};

struct link { /* belongs to a thread */
    redisContext *redis;
    struct stream *reads; /* NULL: a worker's */
    bool down;            /* which was said */
};

static leat_ctx stop = LEAT_CTX(NULL); /* stops the readers */
static leat_pool pool;
static struct stream streams[LEAT_LANES];
static _Thread_local struct link mine; /* a worker's */
static char host[256] = "127.0.0.1", self[256 + 16];
static const char *group = "workers", *results = "results", *dead = "dead", *metrics;
static int port = 6379 /* 0: host is a socket's path */, tries = 5;
static int64_t first_delay = LEAT_MS(100), claim = LEAT_S(30);

static void *got(void *memory)
{
    if (!memory) fputs("worker: out of memory\n", stderr), exit(1);
    return memory;
}

/* The wait after a failure: `d`, twice as long for each failure before it, at most `most`; half of that is left to chance. */
static int64_t delay(int64_t d, int failures, int64_t most)
{
    static _Thread_local uint64_t seed;
    if (!seed) seed = (uint64_t)leat_now() ^ (uintptr_t)&seed ^ (uint64_t)getpid() << 40;
    seed = seed * 6364136223846793005 + 1442695040888963407;
    while (failures-- > 0 && d < most) d *= 2;
    if (d > most) d = most;
    return d / 2 + (int64_t)(seed >> 16) % (d / 2 + 1);
}

/* Redis. */

static void hang_up(struct link *l)
{
    if (l->redis) redisFree(l->redis);
    l->redis = NULL;
}

static void hang_up_mine(void *user, int id)
{
    (void)user, (void)id;
    hang_up(&mine);
}

/* Says once what is wrong. */
static void mind(struct link *l, const char *why)
{
    if (!l->down) fprintf(stderr, "worker: Redis: %s; trying again\n", why);
    l->down = true;
}

/* Connects. A reader also sees to it that the group is there, from the stream's first entry on. */
static void dial(struct link *l)
{
    struct timeval within = { .tv_sec = 10 };
    l->redis = got(port ? redisConnectWithTimeout(host, port, within) : redisConnectUnixWithTimeout(host, within));
    if (l->redis->err) return;
    redisSetTimeout(l->redis, within);
    if (!l->reads) return;
    redisReply *r = redisCommand(l->redis, "XGROUP CREATE %s %s 0 MKSTREAM", l->reads->name, group);
    if (r && r->type == REDIS_REPLY_ERROR && strncmp(r->str, "BUSYGROUP", 9)) mind(l, r->str), hang_up(l);
    freeReplyObject(r);
}

/* Sends a command until it is answered: after a lost connection or an error it connects and sends it again, so every
 * command here may be sent twice. NULL: it shall stop, and Redis cannot be reached. */
static redisReply *ask(struct link *l, const char *format, ...)
{
    for (int failures = 0;; failures++) {
        redisReply *r = NULL;
        if (!l->redis) dial(l);
        if (l->redis && !l->redis->err) {
            va_list ap;
            va_start(ap, format);
            r = redisvCommand(l->redis, format, ap);
            va_end(ap);
        }
        if (r && r->type != REDIS_REPLY_ERROR) {
            if (l->down) fputs("worker: Redis is there again\n", stderr);
            l->down = false;
            return r;
        }
        if (l->redis) mind(l, r ? r->str : l->redis->errstr);
        freeReplyObject(r);
        hang_up(l);
        if (leat_ctx_err(&stop) && failures) return NULL;
        (void)leat_sleep_ctx(&stop, delay(LEAT_MS(20), failures, PATIENCE));
    }
}

/* The number that was answered, or -1. */
static int64_t number(redisReply *r)
{
    int64_t n = r ? r->integer : -1;
    freeReplyObject(r);
    return n;
}

static const redisReply *field(const struct job *j, const char *name)
{
    const redisReply *fields = j->entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (!strcmp(fields->element[i]->str, name)) return fields->element[i + 1];
    return NULL;
}

/* Jobs. */

enum outcome { DONE, FAILED, HOPELESS };

/* What this worker is for: the prime factors of the job's `n`. It may take any time, and fail. For trying that
 * out, a job fails as often as its field `fails` says. */
static enum outcome work(const struct job *j, int try, char result[RESULT])
{
    const redisReply *given = field(j, "n"), *fails = field(j, "fails");
    uint64_t n, times;
    const char *rest = given ? args_digits(given->str, UINT64_MAX, &n) : NULL;
    if (!rest || rest != given->str + given->len || !n) return HOPELESS;
    if (fails && args_digits(fails->str, INT_MAX, &times) && (uint64_t)try <= times) return FAILED;
    char *to = result;
    *to = 0;
    for (uint64_t d = 2; n > 1; d += d > 2 ? 2 : 1) {
        if (d > n / d) d = n;
        for (; n % d == 0; n /= d) to += sprintf(to, "%s%" PRIu64, to > result ? " " : "", d);
    }
    return DONE;
}

/* How often it was delivered; 0: it is no longer ours; -1: Redis cannot be reached. */
static int deliveries(const struct job *j, const char *entry)
{
    redisReply *r = ask(&mine, "XPENDING %s %s %s %s 1", j->stream->name, group, entry, entry);
    if (!r) return -1;
    const redisReply *line = r->elements ? r->element[0] : NULL;
    int n = line && !strcmp(line->element[1]->str, self) ? (int)line->element[3]->integer : 0;
    freeReplyObject(r);
    return n;
}

/* Makes it a dead letter, in one step, unless that has been done or its id has a result. */
static enum kind bury(const struct job *j, const char *entry, const redisReply *id, int nth, const char *why)
{
    static const char script[] = "local job = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1] "
                                 "local dies = job and redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 "
                                 "if dies then redis.call('XADD', KEYS[3], '*', 'from', KEYS[1], 'entry', ARGV[2], "
                                 "'deliveries', ARGV[4], 'why', ARGV[5], unpack(job[2])) end "
                                 "redis.call('XDEL', KEYS[1], ARGV[2]) "
                                 "redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) "
                                 "return dies and 1 or 0";
    const char *from = j->stream->name;
    int64_t died = number(ask(&mine, "EVAL %s 3 %s %s %s %s %s %b %d %s", script, from, results, dead, group, entry, id->str,
                              id->len, nth, why));
    if (died > 0) fprintf(stderr, "worker: %s %s is a dead letter: it %s\n", from, entry, why);
    return died < 0 ? LEFT : died ? DEAD : GONE;
}

static enum kind run(const struct job *j)
{
    const char *from = j->stream->name, *entry = j->entry->element[0]->str;
    const redisReply *id = field(j, "id");
    if (!id) id = j->entry->element[0];
    char result[RESULT];
    int nth = j->claimed ? deliveries(j, entry) : 1;
    if (nth <= 0) return nth ? LEFT : GONE;
    if (nth > tries) return bury(j, entry, id, nth, "never came to an end");
    enum outcome o = work(j, nth, result);
    if (o == HOPELESS) return bury(j, entry, id, nth, "is malformed");
    if (o == FAILED && nth == tries) return bury(j, entry, id, nth, "failed");
    if (o == FAILED) {
        int64_t idle = (claim - delay(first_delay, nth - 1, claim)) / LEAT_MS(1);
        redisReply *r = ask(&mine, "XCLAIM %s %s %s 0 %s IDLE %lld JUSTID", from, group, self, entry, (long long)idle);
        if (!r) return LEFT;
        freeReplyObject(r);
        return RETRIED;
    }
    int64_t stored = number(ask(&mine, "HSETNX %s %b %s", results, id->str, id->len, result));
    if (stored < 0 || number(ask(&mine, "XDEL %s %s", from, entry)) < 0) return LEFT;
    if (number(ask(&mine, "XACK %s %s %s", from, group, entry)) < 0) return LEFT;
    return stored ? STORED : KNOWN;
}

static int do_job(leat_ctx *ctx, void *arg)
{
    struct job *j = arg;
    struct stream *s = j->stream;
    int64_t begin = leat_now();
    (void)ctx;
    metrics_observe(&s->wait, begin - j->since);
    enum kind kind = run(j);
    metrics_observe(&s->work, leat_now() - begin);
    atomic_fetch_add_explicit(&s->ended[kind], 1, memory_order_relaxed);
    freeReplyObject(j->entry);
    free(j);
    (void)leat_release(&s->room, 1); /* its reader took it */
    return 0;
}

/* Readers. */

/* Makes jobs of a reply's entries; how many. There is room for them. */
static int64_t hand_out(struct stream *s, redisReply *entries, bool claimed)
{
    int64_t n = 0;
    for (size_t i = 0; i < entries->elements; i++) {
        redisReply *e = entries->element[i];
        if (e->type != REDIS_REPLY_ARRAY || e->element[1]->type != REDIS_REPLY_ARRAY) continue; /* was deleted */
        struct job *j = got(malloc(sizeof *j));
        *j = (struct job){ s, e, claimed, leat_now() };
        entries->element[i] = NULL;                               /* the job's now */
        if (leat_submit_lane(&pool, s->lane, do_job, j)) abort(); /* cannot be: the pool is stopped after the readers */
        n++;
    }
    return n;
}

/* Takes jobs of one stream, as many as it has permits, until `stop` is done. */
static int reader(leat_ctx *ctx, void *arg)
{
    struct stream *s = arg;
    struct link l = { .reads = s };
    char cursor[64] = "0-0"; /* where the next claim goes on in the list */
    int64_t next_claim = 0;
    (void)ctx;
    while (leat_acquire_ctx(&stop, &s->room, 1) == 0) {
        int64_t permits = 1 + leat_sem_available(&s->room), taken = 0; /* which no other thread takes */
        redisReply *r = NULL;
        (void)leat_acquire(&s->room, permits - 1);
        if (leat_now() >= next_claim) {
            r = ask(&l, "XAUTOCLAIM %s %s %s %lld %s COUNT %lld", s->name, group, self, (long long)(claim / LEAT_MS(1)),
                    cursor, (long long)permits);
            if (r) taken = hand_out(s, r->element[1], true);
            snprintf(cursor, sizeof cursor, "%s", r ? r->element[0]->str : "0-0");
            if (!strcmp(cursor, "0-0")) next_claim = leat_after(TICK);
            freeReplyObject(r);
        }
        if (taken < permits && !leat_ctx_err(&stop)) {
            r = ask(&l, "XREADGROUP GROUP %s %s COUNT %lld BLOCK %lld STREAMS %s >", group, self,
                    (long long)(permits - taken), (long long)(TICK / LEAT_MS(1)), s->name);
            if (r && r->elements) taken += hand_out(s, r->element[0]->element[1], false);
            freeReplyObject(r);
        }
        (void)leat_release(&s->room, permits - taken);
    }
    hang_up(&l);
    return 0;
}

/* Metrics. */

static uint64_t count_of(_Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void put_all(FILE *f, const leat_stats *st)
{
    struct stream *end = streams + st->lanes, *s;
    metrics_value(f, "worker_threads", "gauge", "", (double)st->workers);
    metrics_value(f, "worker_busy", "gauge", "", (double)st->busy);
    fputs("# TYPE worker_queued gauge\n", f);
    for (s = streams; s < end; s++) fprintf(f, "worker_queued{%s} %zu\n", s->label, st->lane[s->lane].queued);
    fputs("# TYPE worker_queued_high gauge\n", f);
    for (s = streams; s < end; s++) fprintf(f, "worker_queued_high{%s} %zu\n", s->label, st->lane[s->lane].queue_high);
    fputs("# TYPE worker_jobs_total counter\n", f);
    for (s = streams; s < end; s++)
        for (int k = 0; k < KINDS; k++)
            fprintf(f, "worker_jobs_total{%s,end=\"%s\"} %" PRIu64 "\n", s->label, kinds[k], count_of(&s->ended[k]));
    fputs("# TYPE worker_wait_seconds histogram\n", f);
    for (s = streams; s < end; s++) metrics_histogram(f, "worker_wait_seconds", s->label, &s->wait);
    fputs("# TYPE worker_work_seconds histogram\n", f);
    for (s = streams; s < end; s++) metrics_histogram(f, "worker_work_seconds", s->label, &s->work);
}

/* Prometheus' text. A program that reads the file finds all of it, or all of the one before. 0, or 1: it says why not. */
static int put_metrics(void)
{
    char temp[4096];
    leat_stats st;
    if (!metrics || leat_pool_stats(&pool, &st)) return 0;
    snprintf(temp, sizeof temp, "%s.new", metrics);
    FILE *f = fopen(temp, "we");
    if (f) put_all(f, &st);
    bool bad = !f || ferror(f);
    if (f && fclose(f)) bad = true;
    if (!bad && !rename(temp, metrics)) return 0;
    fprintf(stderr, "worker: %s: %s\n", metrics, strerror(errno));
    return 1;
}

static int teller(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    while (leat_sleep_ctx(&stop, LEAT_S(1)) == 0)
        if (put_metrics()) leat_cancel(&stop, -EIO);
    return 0;
}

/* Where Redis is: a socket's path, which has a slash, or host:port. */
static bool locate(const char *where)
{
    const char *colon = strrchr(where, ':'), *rest;
    size_t size = strchr(where, '/') || !colon ? strlen(where) : (size_t)(colon - where);
    uint64_t n = 0;
    if (!size || size >= sizeof host) return false;
    memcpy(host, where, size);
    host[size] = 0;
    port = 0;
    if (strchr(where, '/')) return true;
    if (!colon || !(rest = args_digits(colon + 1, 65535, &n)) || *rest) return false;
    port = (int)n;
    return port > 0;
}

static const char usage[] = "usage: worker [options] stream...\n"
                            "Does the jobs of up to 8 Redis streams, those of the first before the others', together with\n"
                            "all workers of the same group. A job is an entry with the fields id, by which its result is\n"
                            "stored once (default: the entry's own), and n, whose prime factors are the result. Fails is\n"
                            "how many times it is to fail first.\n"
                            "  -r, --redis ADDRESS   host:port, or the path of a socket (default: 127.0.0.1:6379)\n"
                            "  -g, --group NAME      the group (default: workers)\n"
                            "  -n, --name NAME       this worker in it (default: the machine's name and the process)\n"
                            "  -o, --results KEY     the hash for results (default: results)\n"
                            "  -d, --dead KEY        the stream for dead letters (default: dead)\n"
                            "  -w, --workers N       N threads (default: 4)\n"
                            "  -i, --in-flight N     at most N jobs of each stream, queued or at work (default: 16)\n"
                            "  -t, --tries N         at most N deliveries of a job (default: 5)\n"
                            "  -b, --back-off S      seconds before the second try, at most; twice as many before the\n"
                            "                        third.. (default: 0.1; never more than --claim)\n"
                            "  -c, --claim S         after S seconds a job is taken from a worker that has not answered\n"
                            "                        (default: 30): more than a job ever waits and takes\n"
                            "  -m, --metrics FILE    every second, and at the end, writes metrics for Prometheus\n"
                            "  -h, --help            this text\n"
                            "INT and TERM end the taking; what was taken is done and acknowledged. A second one kills,\n"
                            "which loses nothing. While Redis is away it waits.\n"
                            "Ends with 1: no metrics, no threads; 2: wrong usage; 128 + n: stopped by signal n.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "redis", required_argument, NULL, 'r' },
        { "group", required_argument, NULL, 'g' },
        { "name", required_argument, NULL, 'n' },
        { "results", required_argument, NULL, 'o' },
        { "dead", required_argument, NULL, 'd' },
        { "workers", required_argument, NULL, 'w' },
        { "in-flight", required_argument, NULL, 'i' },
        { "tries", required_argument, NULL, 't' },
        { "back-off", required_argument, NULL, 'b' },
        { "claim", required_argument, NULL, 'c' },
        { "metrics", required_argument, NULL, 'm' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int workers = 4, in_flight = 16;
    args_begin("worker");
    char machine[256] = "";
    gethostname(machine, sizeof machine - 1);
    snprintf(self, sizeof self, "%s:%d", machine, getpid());
    for (int o; (o = getopt_long(argc, argv, "r:g:n:o:d:w:i:t:b:c:m:h", options, NULL)) != -1;) {
        if (o == 'g') group = optarg;
        else if (o == 'o') results = optarg;
        else if (o == 'd') dead = optarg;
        else if (o == 'm') metrics = optarg;
        else if (o == 'w') workers = args_number("--workers", optarg, 1, MOST);
        else if (o == 'i') in_flight = args_number("--in-flight", optarg, 1, MOST);
        else if (o == 't') tries = args_number("--tries", optarg, 1, MOST);
        else if (o == 'b') first_delay = (int64_t)(1e9 * args_seconds("--back-off", optarg, 0.001, 86400));
        else if (o == 'c') claim = (int64_t)(1e9 * args_seconds("--claim", optarg, 0.001, 86400));
        else if (o == 'n' && *optarg && strlen(optarg) < sizeof self) strcpy(self, optarg);
        else if (o != 'r' || !locate(optarg)) return args_usage(o == 'h', usage);
    }
    int n = argc - optind;
    if (n < 1 || n > LEAT_LANES) return args_usage(false, usage);
    for (int i = 0; i < n; i++) {
        const char *name = argv[optind + i];
        if (strlen(name) > 255 || strpbrk(name, "\"\\\n")) return args_usage(false, usage); /* no label */
        streams[i] = (struct stream){ .name = name, .lane = i, .room = LEAT_SEM(in_flight) };
        snprintf(streams[i].label, sizeof streams[i].label, "stream=\"%s\"", name);
    }

    leat_group readers = LEAT_GROUP(NULL);
    leat_pool_opts opts = {
        .workers = workers, .queue = in_flight, .lanes = n, .name = "worker", .worker_fini = hang_up_mine
    };
    int err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    if (!err) err = leat_pool_start(&pool, NULL, &opts);
    if (err) return fprintf(stderr, "worker: %s\n", strerror(-err)), 1;
    int lost = put_metrics(); /* at once, so that a wrong name is seen */
    if (!lost && metrics) err = leat_go(&readers, teller, NULL);
    for (int i = 0; i < n && !lost && !err; i++) err = leat_go(&readers, reader, &streams[i]);
    if (err) fprintf(stderr, "worker: %s\n", strerror(-err)), leat_cancel(&stop, err);
    leat_wait(&readers);
    leat_pool_stop(&pool); /* when all that was taken is done */

    uint64_t ended[KINDS] = { 0 };
    for (int i = 0; i < n; i++)
        for (int k = 0; k < KINDS; k++) ended[k] += count_of(&streams[i].ended[k]);
    for (int k = 0; k < KINDS; k++) printf("%s%" PRIu64 " %s", k ? ", " : "", ended[k], kinds[k]);
    putchar('\n');
    if (ended[LEFT]) fprintf(stderr, "worker: %" PRIu64 " jobs are left to be claimed: Redis is away\n", ended[LEFT]);
    lost |= put_metrics();
    int sig = leat_ctx_cause(&stop);
    if (sig > 0) fprintf(stderr, "worker: stopped by signal %d\n", sig);
    return args_end(lost || err ? 1 : 128 + sig);
}
