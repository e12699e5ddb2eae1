/* served - a TCP server: one thread waits in epoll for the sockets and for results, a pool does the work.
 *
 *     sockets --lines--> the loop --jobs, in two lanes--> N workers           cc -O2 -pthread served.c
 *     sockets <-answers- the loop <-----one channel------ N workers
 *
 * A request is a line of four words: lane (high or low), milliseconds until its deadline, command, number.
 *     high 250 factor 360      200 2 2 2 3 3 5     the prime factors
 *     low 1000 sleep 20        200 slept           stands for a call of another service
 * The answer is a line: 200 and the result; 400 and what is wrong; 413 line too long, after which the connection ends;
 * 503 busy: the lane is full; 504 timeout: the deadline has passed, in the queue or at work.
 * GET /stats HTTP/1.0 is answered as by a web server, with counters in the text format of Prometheus.
 *
 * A client has one request under way. The loop reads no further before the answer is written. So a client needs one job,
 * one line and one answer, and a request needs no allocation. The queue bounds the work. The channel of results has room
 * for all clients, so a worker never waits for the loop. A client belongs to the loop, or while its job runs to a worker,
 * which gives it back through the channel. What the loop answers by itself goes through the channel, too: so a client
 * that sends many requests has its next turn after all others.
 * The context of a request has its deadline, and the nearest of all deadlines is the time-out of epoll. Then the loop
 * takes back what is still in the queue. A job that runs looks at its context itself.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "args.h"
#include "listen.h"
#include "metrics.h"

#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORDS = 4, COMMANDS = 2, LINE = 200, ANSWER = 8192, LONGEST = 600000 /* ms */, MOST = 100000, EVENTS = 64 };
enum { SEND_BUFFER = 64 * 1024 }; /* of a socket, not megabytes */

enum { HIGH, LOW, LANES };
static const char *const lane_names[LANES] = { "high", "low" };

enum kind { DONE, MALFORMED, TOO_LONG, BUSY, TIMEOUT, KINDS };
static const char *const answers[KINDS] = { "200", "400", "413", "503", "504" };

/* READS: until a line is whole. WORKS: a request is under way. WRITES: the answer. LEAVES: the last answer is
 * written, and the loop reads what the client still sends, as otherwise our close would be a reset. */
enum state { READS, WORKS, WRITES, LEAVES };

struct command;
struct clients {
    struct client *first, *last;
};

struct client {
    int fd;
    enum state state;
    bool last;          /* this is its last answer */
    leat_ctx ctx;       /* of the request; in other states: how long the loop waits for the client */
    struct clients *in; /* the list it is in; NULL: none, it comes back through the channel */
    struct client *prev, *next;
    const struct command *does; /* NULL: nothing, the answer is there */
    uint64_t number;
    leat_job job;
    int64_t since, begun, ended; /* when it was submitted; when the job began and ended */
    size_t got, put, size;       /* bytes in `line`; written, and to be written of `answer` */
    char line[LINE], answer[ANSWER];
};

/* All that follows belongs to the loop, except the channel, the contexts and the pool. */
static LEAT_CHAN(struct client *) results;
static leat_ctx stop = LEAT_CTX(NULL); /* done by a signal */
static leat_ctx life = LEAT_CTX(NULL); /* done when the grace is over: it ends all that is left */
static leat_pool pool;
static struct clients queued;  /* those whose job may be in the queue: few */
static struct clients waiting; /* those for whom we wait, the longest first */
static int loop, listener, most = 1000, idle = 60;
static int here;           /* clients */
static int64_t deaf_until; /* it lets no client in before; 0: it lets them in */
static int64_t grace_until = LEAT_FOREVER;
static size_t count[KINDS], lost; /* answers; those that nobody took */
static struct metrics_times at_work, in_queue[LANES];

/* The commands: each writes its result behind "200", or returns why it has none. */

static int factor(leat_ctx *ctx, uint64_t n, char *to)
{
    for (uint64_t d = 2, tries = 1; n > 1; d++, tries++) {
        if (d > n / d) d = n; /* what is left is prime */
        for (; n % d == 0; n /= d) to += sprintf(to, " %" PRIu64, d);
        int err = tries % 65536 ? 0 : leat_ctx_err(ctx);
        if (err) return err;
    }
    return 0;
}

static int pauses(leat_ctx *ctx, uint64_t n, char *to)
{
    strcpy(to, " slept");
    return leat_sleep_ctx(ctx, LEAT_MS((int64_t)n));
}

static const struct command {
    const char *name;
    uint64_t least, most;
    int (*run)(leat_ctx *ctx, uint64_t n, char *to);
} commands[COMMANDS] = { { "factor", 1, UINT64_MAX, factor }, { "sleep", 0, LONGEST, pauses } };

/* On a worker. */
static int work(leat_ctx *of_pool, void *arg)
{
    struct client *c = arg;
    (void)of_pool;
    c->begun = leat_now();
    strcpy(c->answer, "200");
    int err = c->does->run(&c->ctx, c->number, c->answer + 3);
    c->ended = leat_now();
    leat_send(&results, &c); /* without a wait: there is room for all clients. From here on it is the loop's */
    return err;
}

/* A client. */

/* To the end of a list, or of none. */
static void move_to(struct client *c, struct clients *list)
{
    if (c->in) {
        *(c->prev ? &c->prev->next : &c->in->first) = c->next;
        *(c->next ? &c->next->prev : &c->in->last) = c->prev;
    }
    if ((c->in = list) != NULL) {
        c->prev = list->last;
        c->next = NULL;
        *(c->prev ? &c->prev->next : &list->first) = c;
        list->last = c;
    }
}

/* All these waits last equally long, so the list is in the order of their ends. */
static void wait_for(struct client *c, enum state state)
{
    c->state = state;
    c->ctx = (leat_ctx)LEAT_CTX_WITHIN(&life, LEAT_S(idle));
    move_to(c, &waiting);
}

static void part_with(struct client *c)
{
    struct linger reset = { .l_onoff = c->state == WRITES }; /* so it does not take a part for the whole */
    lost += c->state == WRITES;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    move_to(c, NULL);
    close(c->fd);
    free(c);
    here--;
    if (deaf_until) deaf_until = 1; /* long ago: there is room for one */
}

/* From here on it gets events while there is something to read, one piece at a time. */
static void leave(struct client *c)
{
    struct epoll_event unread = { .events = EPOLLIN, .data.ptr = c };
    shutdown(c->fd, SHUT_WR);
    epoll_ctl(loop, EPOLL_CTL_MOD, c->fd, &unread);
    wait_for(c, LEAVES);
}

/* Its answer is there: it is its turn after those whose results came before. */
static void queue_up(struct client *c)
{
    c->state = WORKS;
    c->does = NULL;
    move_to(c, NULL);
    leat_send(&results, &c); /* without a wait, as in work() */
}

static void refuse(struct client *c, enum kind kind, const char *why)
{
    count[kind]++;
    c->size = (size_t)snprintf(c->answer, ANSWER, "%s %s\n", answers[kind], why);
    queue_up(c);
}

static size_t stats(char *to)
{
    leat_stats s;
    FILE *f = fmemopen(to, ANSWER, "w");
    if (!f || leat_pool_stats(&pool, &s)) abort(); /* cannot be: it was started */
    fprintf(f, "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n");
    metrics_value(f, "served_clients", "gauge", "", here);
    metrics_value(f, "served_workers", "gauge", "", (double)s.workers);
    metrics_value(f, "served_busy", "gauge", "", (double)s.busy);
    metrics_value(f, "served_queue_high", "gauge", "", (double)s.queue_high);
    metrics_value(f, "served_queued", "gauge", "lane=\"high\"", (double)s.lane[HIGH].queued);
    metrics_value(f, "served_queued", NULL, "lane=\"low\"", (double)s.lane[LOW].queued);
    metrics_value(f, "served_jobs_total", "counter", "end=\"completed\"", (double)s.completed);
    metrics_value(f, "served_jobs_total", NULL, "end=\"failed\"", (double)s.failed);
    metrics_value(f, "served_jobs_total", NULL, "end=\"cancelled\"", (double)s.cancelled);
    fprintf(f, "# TYPE served_answers_total counter\n");
    for (int i = 0; i < KINDS; i++) fprintf(f, "served_answers_total{code=\"%.3s\"} %zu\n", answers[i], count[i]);
    metrics_value(f, "served_answers_lost_total", "counter", "", (double)lost);
    fprintf(f, "# HELP served_sampled_wait_seconds of the jobs that the pool has timed in its queue\n");
    metrics_value(f, "served_sampled_wait_seconds", "gauge", "of=\"mean\"", (double)s.wait_mean / 1e9);
    metrics_value(f, "served_sampled_wait_seconds", NULL, "of=\"most\"", (double)s.wait_most / 1e9);
    fprintf(f, "# TYPE served_queue_seconds histogram\n");
    metrics_histogram(f, "served_queue_seconds", "lane=\"high\"", &in_queue[HIGH]);
    metrics_histogram(f, "served_queue_seconds", "lane=\"low\"", &in_queue[LOW]);
    fprintf(f, "# TYPE served_work_seconds histogram\n");
    metrics_histogram(f, "served_work_seconds", "", &at_work);
    long size = ftell(f);
    if (fclose(f) || size >= ANSWER) abort(); /* ANSWER is too small */
    return (size_t)size;
}

/* The number that is all of a word. */
static bool number(const char *word, uint64_t least, uint64_t highest, uint64_t *n)
{
    const char *rest = args_digits(word, highest, n);
    return rest && !*rest && *n >= least;
}

/* What is wrong with a request of n words; or NULL, and it is in *c. */
static const char *parse(struct client *c, char **word, int n)
{
    uint64_t ms;
    if (n != WORDS) return "not four words: lane, milliseconds, command, number";
    for (c->job.lane = 0; strcmp(word[0], lane_names[c->job.lane]);)
        if (++c->job.lane == LANES) return "lanes are high and low";
    if (!number(word[1], 1, LONGEST, &ms)) return "a deadline is 1 to 600000 milliseconds";
    for (c->does = commands; strcmp(word[2], c->does->name);)
        if (++c->does == commands + COMMANDS) return "commands are factor and sleep";
    if (!number(word[3], c->does->least, c->does->most, &c->number)) return "the number is out of range";
    c->ctx = (leat_ctx)LEAT_CTX_WITHIN(&life, LEAT_MS((int64_t)ms));
    return NULL;
}

/* Begins a request: a line, with a NUL in place of its newline. */
static void begin(struct client *c, char *line, size_t size)
{
    char *word[WORDS + 1], *state;
    int n = 0;
    if (strlen(line) < size) *line = 0; /* no text: it has no words */
    for (char *w = strtok_r(line, " ", &state); w && n <= WORDS; w = strtok_r(NULL, " ", &state)) word[n++] = w;
    if (n == 3 && !strcmp(word[0], "GET") && !strncmp(word[2], "HTTP/", 5)) {
        c->last = true;
        if (!strcmp(word[1], "/stats")) c->size = stats(c->answer);
        else c->size = (size_t)sprintf(c->answer, "HTTP/1.0 404 Not Found\r\n\r\n");
        queue_up(c);
        return;
    }
    c->job = (leat_job)LEAT_JOB(work, c);
    c->state = WORKS;
    c->since = leat_now();
    move_to(c, &queued);
    const char *wrong = parse(c, word, n);
    if (wrong) refuse(c, MALFORMED, wrong);
    else if (leat_try_submit_job(&pool, &c->job)) refuse(c, BUSY, "busy"); /* else a worker may have it already */
}

/* Goes on with a client until it would have to wait, for the client or for a result. */
static void go_on(struct client *c)
{
    static char unread[4096];
    ssize_t n = 1;
    while (c->state == WRITES && n > 0) {
        n = send(c->fd, c->answer + c->put, c->size - c->put, MSG_NOSIGNAL);
        if (n > 0) c->put += (size_t)n;
        if (c->put < c->size) continue;
        if (c->last || leat_ctx_err(&stop)) leave(c);
        else wait_for(c, READS);
    }
    while (c->state == READS && n > 0) {
        char *nl = memchr(c->line, '\n', c->got);
        if (nl) {
            char line[LINE];
            size_t size = (size_t)(nl - c->line);
            memcpy(line, c->line, size);
            c->got -= size + 1;
            memmove(c->line, nl + 1, c->got);
            if (size && line[size - 1] == '\r') size--;
            line[size] = 0;
            begin(c, line, size);
        } else if (c->got == LINE) {
            c->last = true;
            refuse(c, TOO_LONG, "line too long");
        } else if ((n = recv(c->fd, c->line + c->got, LINE - c->got, 0)) > 0) {
            c->got += (size_t)n;
        }
    }
    if (c->state == LEAVES) n = recv(c->fd, unread, sizeof unread, 0);
    if (c->state != WORKS && (n == 0 || (n < 0 && errno != EAGAIN))) part_with(c);
}

/* A client is back: its job has returned, or was taken back, or there was none. */
static void answer(struct client *c)
{
    int err = 0;
    move_to(c, NULL);
    if (c->does) {
        int never = leat_job_wait(&c->job, &err); /* which returns in this moment, or has */
        if (never) err = never;
        else metrics_observe(&at_work, c->ended - c->begun), metrics_observe(&in_queue[c->job.lane], c->begun - c->since);
        count[err ? TIMEOUT : DONE]++;
        if (err) strcpy(c->answer, "504 timeout"); /* or it was cancelled: by a reset, by the end of the grace */
        c->size = strlen(strcat(c->answer, "\n"));
    }
    c->put = 0;
    wait_for(c, WRITES);
    go_on(c);
}

/* The loop. */

/* Those clients that are there now. One that sends much has its next turn after all others. True: some are left. */
static bool take_results(leat_pollable *ready)
{
    struct client *c;
    for (size_t n = leat_len(&results); n && !leat_try_recv(&results, &c); n--) answer(c);
    return leat_pollable_rearm(ready);
}

/* Those whose time is over. */
static void expire(void)
{
    struct client *c, *next;
    for (c = queued.first; c; c = next) {
        next = c->next;
        if (!leat_ctx_err(&c->ctx)) continue;
        if (leat_job_cancel(&c->job)) move_to(c, NULL); /* it runs, and sees it; or the result is on its way */
        else answer(c);
    }
    while ((c = waiting.first) != NULL && leat_ctx_err(&c->ctx)) part_with(c);
}

/* Until the next of all deadlines: for epoll, in ms. */
static int until_next(void)
{
    struct client *c = waiting.first;
    int64_t next = grace_until, deadline;
    if (deaf_until && deaf_until < next) next = deaf_until;
    if (c && (deadline = leat_ctx_deadline(&c->ctx)) < next) next = deadline;
    for (c = queued.first; c; c = c->next)
        if ((deadline = leat_ctx_deadline(&c->ctx)) < next) next = deadline;
    if (next == LEAT_FOREVER) return -1;
    int64_t left = next - leat_now();
    if (left > LEAT_MS(LONGEST)) return LONGEST;
    return left > 0 ? (int)((left + LEAT_MS(1) - 1) / LEAT_MS(1)) : 0; /* never before the deadline */
}

static int add_to_loop(int fd, uint32_t events, void *what)
{
    struct epoll_event e = { .events = events, .data.ptr = what };
    return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

/* No room: those who knock wait in the system's queue, until a client has left or a second has passed. */
static void be_deaf(void)
{
    epoll_ctl(loop, EPOLL_CTL_DEL, listener, NULL);
    deaf_until = leat_after(LEAT_S(1));
}

static void let_in(void)
{
    int buffer = SEND_BUFFER, yes = 1, fd = -1, err = 0;
    while (here < most && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct client *c = calloc(1, sizeof *c);
        err = c ? add_to_loop(fd, EPOLLIN | EPOLLOUT | EPOLLET, c) : -ENOMEM; /* go_on goes to EAGAIN always */
        if (err) {
            close(fd);
            free(c);
            break;
        }
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        c->fd = fd;
        here++;
        wait_for(c, READS);
    }
    if (fd < 0 && here < most && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) err = -errno;
    if (err) fprintf(stderr, "served: no room for a client: %s\n", strerror(-err));
    if (err || here == most) be_deaf();
}

/* A signal: nothing new is begun. Those that have an answer to come get it, the others leave. */
static void drain(int grace)
{
    struct client *c, *next;
    close(listener);
    listener = -1;
    deaf_until = 0;
    grace_until = leat_after(LEAT_S(grace));
    for (c = waiting.first; c; c = next) {
        next = c->next;
        if (c->state == READS) leave(c);
    }
}

static int serve(int grace)
{
    leat_pollable ready = { 0 }, stopped = { 0 };
    struct epoll_event e[EVENTS];
    int results_fd = leat_pollable_recv(&ready, &results), stop_fd = leat_pollable_ctx(&stopped, &stop);
    int err = results_fd < 0 ? results_fd : stop_fd < 0 ? stop_fd : add_to_loop(results_fd, EPOLLIN, &ready);
    if (!err) err = add_to_loop(stop_fd, EPOLLIN | EPOLLET, &stopped); /* it stays readable: one event is enough */
    if (!err) err = add_to_loop(listener, EPOLLIN, &listener);
    for (bool more = false; !err && (listener >= 0 || here);) {
        int n = epoll_wait(loop, e, EVENTS, more ? 0 : until_next());
        if (n < 0 && errno != EINTR) err = -errno;
        for (int i = 0; i < n; i++) { /* none of these events parts with another's client */
            void *what = e[i].data.ptr;
            struct client *c = what == &listener || what == &ready || what == &stopped ? NULL : what;
            if (what == &listener) let_in();
            else if (c && c->state != WORKS) go_on(c);
            else if (c && e[i].events & (EPOLLHUP | EPOLLERR)) leat_cancel(&c->ctx, 0); /* a reset: its job is vain */
        }
        more = take_results(&ready);
        if (listener >= 0 && leat_ctx_err(&stop)) drain(grace);
        if (leat_now() >= grace_until) grace_until = LEAT_FOREVER, leat_cancel(&life, 0);
        expire();
        if (deaf_until && leat_now() >= deaf_until) {
            deaf_until = 0;
            err = add_to_loop(listener, EPOLLIN, &listener);
        }
    }
    leat_pollable_close(&ready);
    leat_pollable_close(&stopped);
    return err;
}

static const char usage[] = "usage: served [options]\n"
                            "Serves requests on a TCP port of 127.0.0.1. A request is a line: lane (high or low),\n"
                            "milliseconds until its deadline, command (factor or sleep), number. The answer is a line:\n"
                            "    high 250 factor 360    200 2 2 2 3 3 5\n"
                            "or 400 and what is wrong, 413 line too long, 503 busy, 504 timeout. A client's requests are\n"
                            "answered one after the other. GET /stats HTTP/1.0 has counters for Prometheus.\n"
                            "  -p, --port N      the port (default: 0, any that is free; standard error has it)\n"
                            "  -w, --workers N   N threads do the work (default: one for each CPU)\n"
                            "  -q, --queue N     at most N requests wait in each lane (default: 64)\n"
                            "  -c, --clients N   at most N clients; others wait until one leaves (default: 1000)\n"
                            "  -i, --idle S      a client that sends no request, or does not take its answer, is cut off\n"
                            "                    after S seconds (default: 60)\n"
                            "  -g, --grace S     at the end, what is under way has S seconds (default: 10)\n"
                            "  -h, --help        this text\n"
                            "INT and TERM end it: requests under way are answered. A second one kills.\n"
                            "Ends with 1: it could not listen, or not go on; 2: wrong usage; 128 + n: signal n.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },  { "workers", required_argument, NULL, 'w' },
        { "queue", required_argument, NULL, 'q' }, { "clients", required_argument, NULL, 'c' },
        { "idle", required_argument, NULL, 'i' },  { "grace", required_argument, NULL, 'g' },
        { "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 },
    };
    leat_pool_opts opts = { .queue = 64, .lanes = LANES, .name = "served" };
    int port = 0, grace = 10;
    args_begin("served");
    for (int o; (o = getopt_long(argc, argv, "p:w:q:c:i:g:h", options, NULL)) != -1;) {
        if (o == 'p') port = args_number("--port", optarg, 0, 65535);
        else if (o == 'w') opts.workers = args_number("--workers", optarg, 1, 1024);
        else if (o == 'q') opts.queue = args_number("--queue", optarg, 1, MOST);
        else if (o == 'c') most = args_number("--clients", optarg, 1, MOST);
        else if (o == 'i') idle = args_number("--idle", optarg, 1, MOST);
        else if (o == 'g') grace = args_number("--grace", optarg, 0, MOST);
        else return args_usage(o == 'h', usage);
    }
    if (optind < argc) return args_usage(false, usage);
    int err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    if (!err) err = leat_make(&results, (size_t)most);
    if (!err) err = leat_pool_start(&pool, NULL, &opts);
    if (!err) err = (loop = epoll_create1(EPOLL_CLOEXEC)) < 0 ? -errno : 0;
    if (!err && (listener = listen_on(port)) < 0) return 1; /* it has said why */
    if (!err) err = serve(grace);
    if (err) return fprintf(stderr, "served: %s\n", strerror(-err)), 1; /* and what is under way is lost */
    leat_pool_stop(&pool);
    leat_free(&results);
    close(loop);

    size_t all = 0;
    for (int i = 0; i < KINDS; i++) all += count[i];
    printf("%zu requests: %zu done, %zu busy, %zu timed out, %zu malformed; %zu answers lost\n", all, count[DONE],
           count[BUSY], count[TIMEOUT], count[MALFORMED] + count[TOO_LONG], lost);
    fprintf(stderr, "served: stopped by signal %d\n", leat_ctx_cause(&stop));
    return args_end(128 + leat_ctx_cause(&stop));
}
