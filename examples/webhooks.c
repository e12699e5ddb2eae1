/* webhooks - stores newline-delimited JSON events in SQLite: a fixed pool of workers, few connections.
 *
 *     reader --batches--> N workers <--connections--> SQLite      cc -O2 -pthread webhooks.c -lsqlite3
 *
 * The pool bounds the threads, its queue the events in memory, and a channel the connections (conns.h).
 * With --spawn each batch is a task of its own, and a semaphore bounds those. A signal stops the reader
 * alone: what was accepted is stored.
 *
 * What is delivered twice is stored once: an event whose id is known. Ids are compared as they stand in the
 * JSON, byte for byte: 1, "1" and true are three ids; so are 1 and 1.0, or "A" and "\u0041", two. A sender
 * that repeats an event repeats its bytes, and to store one twice is better than to lose another.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "args.h"
#include "conns.h"

#include <getopt.h>
#include <poll.h>
#include <sqlite3.h>
#include <unistd.h>

#define BOM "\xEF\xBB\xBF" /* with which some editors begin a file */
enum { BLOCK = 64 * 1024, LONGEST = 16 * 1024 * 1024, MOST = 1024 };

/* An event's id as the JSON has it; NULL, of which there may be many, if it has none. Needs SQLite 3.38. */
#define ID "nullif(payload -> '$.id', 'null')"

static const char schema[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                             "CREATE TABLE IF NOT EXISTS events(id TEXT, type TEXT, payload TEXT NOT NULL,"
                             "                                  stored TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);"
                             "CREATE UNIQUE INDEX IF NOT EXISTS known ON events(" ID ")";
enum { CHECK, INSERT };
static const char *const sql[] = {
    "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) = 'object' ELSE 0 END",
    "INSERT INTO events(id, type, payload)"
    " SELECT iif(json_type(payload, '$.id') = 'text', payload ->> '$.id', " ID "),"
    "        payload ->> '$.type', payload FROM (SELECT ?1 AS payload) WHERE true"
    " ON CONFLICT(" ID ") DO NOTHING",
    NULL,
};

enum kind { STORED, KNOWN, MALFORMED, BLANK, LOST, KINDS };

struct batch { /* whole lines, each with its newline; belongs to the task that stores it */
    size_t first, lines, size;
    size_t count[KINDS];
    char text[];
};

static leat_ctx stop = LEAT_CTX(NULL); /* stops the reader */
static conn_chan idle;                 /* the connections that nobody uses */
static _Atomic size_t total[KINDS];    /* of lines */

static void *got(void *memory)
{
    if (!memory) fputs("webhooks: out of memory\n", stderr), exit(1);
    return memory;
}

/* Storing. */

static bool is_event(sqlite3_stmt *check, const char *line, size_t len)
{
    if (memchr(line, 0, len)) return false; /* SQLite would not look beyond it */
    sqlite3_bind_text64(check, 1, line, len, SQLITE_STATIC, SQLITE_UTF8);
    bool event = sqlite3_step(check) == SQLITE_ROW && sqlite3_column_int(check, 0);
    sqlite3_reset(check);
    return event;
}

static int store_lines(struct conn *c, void *arg)
{
    struct batch *b = arg;
    const char *line = b->text, *end;
    int err = SQLITE_OK;
    for (size_t i = 0; i < b->lines && !err; i++, line = end + 1) {
        end = memchr(line, '\n', (size_t)(b->text + b->size - line));
        if (b->first + i == 1 && !strncmp(line, BOM, 3)) line += 3;
        size_t len = (size_t)(end - line);
        if (len && line[len - 1] == '\r') len--;
        if (strspn(line, " \t") == len) {
            b->count[BLANK]++;
        } else if (!is_event(c->stmt[CHECK], line, len)) {
            b->count[MALFORMED]++;
            fprintf(stderr, "webhooks: line %zu is %s\n", b->first + i,
                    *line ? "not a JSON object" : "longer than 16 MB, or begins with NUL");
        } else {
            sqlite3_bind_text64(c->stmt[INSERT], 1, line, len, SQLITE_STATIC, SQLITE_UTF8);
            err = conns_run(c->stmt[INSERT]);
            if (!err) b->count[sqlite3_changes(c->db) ? STORED : KNOWN]++;
        }
    }
    return err;
}

/* Stores a batch in one transaction. If that fails it stops the reader: the next would fail as well. */
static int store(leat_ctx *ctx, void *arg)
{
    struct batch *b = arg;
    (void)ctx;
    if (conns_transact(&idle, store_lines, b)) {
        fprintf(stderr, "webhooks: lines %zu to %zu are lost\n", b->first, b->first + b->lines - 1);
        b->count[STORED] = b->count[KNOWN] = 0;
        b->count[LOST] = b->lines - b->count[MALFORMED] - b->count[BLANK];
        leat_cancel(&stop, -EIO);
    }
    for (int kind = 0; kind < KINDS; kind++) atomic_fetch_add_explicit(&total[kind], b->count[kind], memory_order_relaxed);
    free(b);
    return 0;
}

/* Reading. */

struct input {
    int fd, err;
    bool over;
    size_t lines;               /* handed out */
    size_t begin, whole, end;   /* whole lines from begin to whole, a part of one up to end */
    char text[LONGEST + 1 + 1]; /* a line, or the first byte that is too much; and a newline */
};

/* When no whole line is left: waits for more text, or the end; or gives up when `stop` is done. Of a line
 * that is too long a NUL stays, to which the rest is read: no event, and it needs no more memory. */
static void fill(struct input *in)
{
    struct pollfd ready = { .fd = in->fd, .events = POLLIN };
    if (in->begin) memmove(in->text, in->text + in->begin, in->end -= in->begin);
    if (in->end > LONGEST) in->text[0] = 0, in->end = 1;
    in->begin = in->whole = 0;
    while (!leat_ctx_err(&stop) && poll(&ready, 1, 100) <= 0) continue; /* so it sees a signal */
    char *more = in->text + in->end, *nl;
    size_t room = LONGEST + 1 - in->end;
    ssize_t n = leat_ctx_err(&stop) ? 0 : read(in->fd, more, room < BLOCK ? room : BLOCK);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    in->over = n <= 0;
    if (n < 0) in->err = errno;
    if (n == 0 && in->end) *more = '\n', n = 1; /* which the last line lacks */
    if (n > 0) in->end += (size_t)n;
    if (n > 0 && (nl = memrchr(more, '\n', (size_t)n))) in->whole = (size_t)(nl + 1 - in->text);
}

/* The next lines: as many as are there, at most `most`. NULL at the end, or when `stop` is done. */
static struct batch *next_batch(struct input *in, size_t most)
{
    while (in->begin == in->whole && !in->over) fill(in);
    if (in->begin == in->whole || leat_ctx_err(&stop)) return NULL;
    const char *text = in->text + in->begin, *end = text, *whole = in->text + in->whole;
    size_t lines = 0;
    for (; lines < most && end < whole; lines++) end = (char *)memchr(end, '\n', (size_t)(whole - end)) + 1;
    size_t size = (size_t)(end - text);
    struct batch *b = got(calloc(1, sizeof *b + size));
    b->first = in->lines + 1;
    b->lines = lines;
    b->size = size;
    memcpy(b->text, text, size);
    in->begin += size;
    in->lines += lines;
    return b;
}

static void show(size_t lines)
{
    static int64_t next;
    if (!isatty(STDERR_FILENO) || leat_now() < next) return;
    size_t stored = atomic_load_explicit(&total[STORED], memory_order_relaxed);
    fprintf(stderr, "\r\033[K%zu lines, %zu stored\r", lines, stored);
    next = leat_after(LEAT_MS(100));
}

/* Reads to the end, each batch a job of a pool, or a task of a group under a semaphore. */
static int store_all(struct input *in, int workers, int batch, bool spawn)
{
    leat_sem slots = LEAT_SEM(workers);
    leat_group group = LEAT_GROUP(NULL);
    leat_pool pool;
    int err =
        spawn ? leat_group_share(&group, &slots) : leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = workers });
    if (err) return err;
    for (struct batch *b; !err && (b = next_batch(in, (size_t)batch)) != NULL; show(in->lines)) {
        err = spawn ? leat_go(&group, store, b) : leat_submit_ctx(&stop, &pool, store, b);
        if (err) in->lines -= b->lines, free(b); /* not accepted */
    }
    int end = spawn ? leat_wait(&group) : leat_pool_stop(&pool); /* when all is stored */
    return err && err != -ECANCELED ? err : end;
}

static const char usage[] = "usage: webhooks [options] [file]\n"
                            "Stores the events of a file (default: standard input), one JSON object on each line, in\n"
                            "the table events(id, type, payload, stored) of an SQLite database. An event whose id is\n"
                            "known already is not stored again, so it may be delivered twice: ids are compared as they\n"
                            "are written, so 1 and \"1\" are two. Blank lines are passed over; a line of more than 16 MB\n"
                            "is refused.\n"
                            "  -d, --db FILE         the database (default: webhooks.db)\n"
                            "  -w, --workers N       at most N threads (default: 4)\n"
                            "  -c, --connections N   at most N connections to the database (default: 2)\n"
                            "  -b, --batch N         at most N events in a job and its transaction (default: 64)\n"
                            "  -s, --spawn           start a task for each job, instead of a fixed pool of workers\n"
                            "  -h, --help            this text\n"
                            "INT and TERM end the reading; what was accepted is stored. A second one kills.\n"
                            "Ends with 0: all are stored; 1: not all; 2: wrong usage; 128 + n: stopped by signal n.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "db", required_argument, NULL, 'd' },
        { "workers", required_argument, NULL, 'w' },
        { "connections", required_argument, NULL, 'c' },
        { "batch", required_argument, NULL, 'b' },
        { "spawn", no_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    static struct input in = { .fd = STDIN_FILENO };
    const char *db = "webhooks.db";
    int workers = 4, conns = 2, batch = 64;
    bool spawn = false;
    args_begin("webhooks");
    for (int o; (o = getopt_long(argc, argv, "d:w:c:b:sh", options, NULL)) != -1;) {
        if (o == 'd') db = optarg;
        else if (o == 'w') workers = args_number("--workers", optarg, 1, MOST);
        else if (o == 'c') conns = args_number("--connections", optarg, 1, MOST);
        else if (o == 'b') batch = args_number("--batch", optarg, 1, 1000000);
        else if (o == 's') spawn = true;
        else return args_usage(o == 'h', usage);
    }
    if (argc - optind > 1) return args_usage(false, usage);
    const char *name = optind < argc ? argv[optind] : "-";
    if (strcmp(name, "-") && (in.fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0)
        return fprintf(stderr, "webhooks: %s: %s\n", name, strerror(errno)), 2;

    int err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    if (err) return fprintf(stderr, "webhooks: %s\n", strerror(-err)), 1;
    err = conns_open(&idle, conns, db, schema, sql);
    if (err) return conns_close(&idle), args_end(err == -EINVAL ? 2 : 1); /* it has said why */
    err = store_all(&in, workers, batch, spawn);
    conns_close(&idle);
    close(in.fd);

    size_t n[KINDS];
    for (int kind = 0; kind < KINDS; kind++) n[kind] = atomic_load_explicit(&total[kind], memory_order_relaxed);
    size_t accepted = in.lines - n[BLANK] - n[MALFORMED];
    printf("%zu lines: %zu accepted, %zu stored, %zu known before, %zu malformed, %zu lost\n", in.lines, accepted, n[STORED],
           n[KNOWN], n[MALFORMED], n[LOST]);
    if (err) fprintf(stderr, "webhooks: %s\n", strerror(-err));
    if (in.err) fprintf(stderr, "webhooks: %s: %s\n", name, strerror(in.err));
    int sig = leat_ctx_cause(&stop);
    if (sig > 0) fprintf(stderr, "webhooks: stopped by signal %d, after line %zu\n", sig, in.lines);
    return args_end(sig > 0 ? 128 + sig : err || in.err || n[MALFORMED] || n[LOST]);
}
