/* webhooks - stores newline-delimited JSON events in SQLite: a fixed pool of workers, few connections.
 *
 *     reader --batches--> N workers <--connections--> SQLite      cc -O2 -pthread webhooks.c -lsqlite3
 *
 * The pool bounds the threads, its queue the events in memory, and a channel the connections (conns.h).
 * With --spawn each batch is a task of its own, and a semaphore bounds those. A signal stops the reader
 * alone: what was accepted is stored.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "conns.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024, MOST = 1024 };

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS events(id TEXT UNIQUE, type TEXT, payload TEXT NOT NULL,"
    "                                  stored TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)";
enum { CHECK, INSERT };
static const char *const sql[] = {
    "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) = 'object' ELSE 0 END",
    "INSERT OR IGNORE INTO events(id, type, payload)"
    " VALUES(json_extract(?1, '$.id'), json_extract(?1, '$.type'), ?1)",
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
        size_t len = (size_t)(end - line);
        if (len && line[len - 1] == '\r') len--;
        if (!len) {
            b->count[BLANK]++;
        } else if (!is_event(c->stmt[CHECK], line, len)) {
            b->count[MALFORMED]++;
            fprintf(stderr, "webhooks: line %zu is not a JSON object\n", b->first + i);
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
    for (int kind = 0; kind < KINDS; kind++)
        atomic_fetch_add_explicit(&total[kind], b->count[kind], memory_order_relaxed);
    free(b);
    return 0;
}

/* Reading. */

struct input {
    int fd, err;
    bool over;
    char *text; /* what was read and not handed out lies from begin to end */
    size_t room, begin, end;
    size_t lines; /* handed out */
};

/* Waits for more text and reads it, or the end; or gives up when `stop` is done. */
static void fill(struct input *in)
{
    struct pollfd ready = { .fd = in->fd, .events = POLLIN };
    memmove(in->text, in->text + in->begin, in->end -= in->begin);
    in->begin = 0;
    if (in->end == in->room) in->text = got(realloc(in->text, in->room *= 2));
    while (!leat_ctx_err(&stop) && poll(&ready, 1, 100) <= 0) continue; /* so it sees a signal */
    ssize_t n = leat_ctx_err(&stop) ? 0 : read(in->fd, in->text + in->end, in->room - in->end);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n < 0) in->err = errno;
    else in->end += (size_t)n;
    in->over = n <= 0;
}

/* The next lines: as many as are there, at most `most`. NULL at the end, or when `stop` is done. */
static struct batch *next_batch(struct input *in, size_t most)
{
    size_t size = 0, lines = 0;
    for (;; fill(in)) {
        const char *text = in->text + in->begin, *nl;
        for (; lines < most; lines++, size = (size_t)(nl + 1 - text))
            if (!(nl = memchr(text + size, '\n', in->end - in->begin - size))) break;
        if (lines || in->over) break;
    }
    if (leat_ctx_err(&stop)) return NULL;
    bool open = !lines && in->begin < in->end; /* the last line, which has no newline */
    if (open) size = in->end - in->begin, lines = 1;
    if (!lines) return NULL;
    struct batch *b = got(calloc(1, sizeof *b + size + open));
    b->first = in->lines + 1;
    b->lines = lines;
    b->size = size + open;
    memcpy(b->text, in->text + in->begin, size);
    if (open) b->text[size] = '\n';
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
    int err = spawn ? leat_group_share(&group, &slots)
                    : leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = workers });
    if (err) return err;
    for (struct batch *b; !err && (b = next_batch(in, (size_t)batch)) != NULL; show(in->lines)) {
        err = spawn ? leat_go(&group, store, b) : leat_submit_ctx(&stop, &pool, store, b);
        if (err) in->lines -= b->lines, free(b); /* not accepted */
    }
    int end = spawn ? leat_wait(&group) : leat_pool_stop(&pool); /* when all is stored */
    return err && err != -ECANCELED ? err : end;
}

static int usage(FILE *out)
{
    fputs(
        "usage: webhooks [options] [file]\n"
        "Stores the events of a file (default: standard input), one JSON object on each line, in\n"
        "the table events(id, type, payload, stored) of an SQLite database. An event whose id is\n"
        "known already is not stored again, so it may be delivered twice.\n"
        "  -d, --db FILE         the database (default: webhooks.db)\n"
        "  -w, --workers N       at most N threads (default: 4)\n"
        "  -c, --connections N   at most N connections to the database (default: 2)\n"
        "  -b, --batch N         at most N events in a job and its transaction (default: 64)\n"
        "  -s, --spawn           start a task for each job, instead of a fixed pool of workers\n"
        "  -h, --help            this text\n"
        "INT and TERM end the reading; what was accepted is stored. A second one kills.\n"
        "Ends with 0: all are stored; 1: not all; 2: wrong usage; 128 + n: stopped by signal n.\n",
        out);
    return out == stdout ? 0 : 2;
}

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
    const char *db = "webhooks.db";
    int workers = 4, conns = 2, batch = 64;
    bool spawn = false;
    for (int o; (o = getopt_long(argc, argv, "d:w:c:b:sh", options, NULL)) != -1;) {
        if (o == 'd') db = optarg;
        else if (o == 'w') workers = atoi(optarg);
        else if (o == 'c') conns = atoi(optarg);
        else if (o == 'b') batch = atoi(optarg);
        else if (o == 's') spawn = true;
        else return usage(o == 'h' ? stdout : stderr);
    }
    if (workers < 1 || workers > MOST || conns < 1 || conns > MOST || batch < 1)
        return usage(stderr);
    if (argc - optind > 1) return usage(stderr);
    const char *name = optind < argc ? argv[optind] : "-";
    struct input in = { .fd = STDIN_FILENO, .room = BLOCK };
    if (strcmp(name, "-") && (in.fd = open(name, O_RDONLY | O_CLOEXEC)) < 0)
        return fprintf(stderr, "webhooks: %s: %s\n", name, strerror(errno)), 2;

    in.text = got(malloc(in.room));
    int err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    if (!err) err = conns_open(&idle, conns, db, schema, sql);
    if (!err) err = store_all(&in, workers, batch, spawn);
    conns_close(&idle);
    free(in.text);
    close(in.fd);

    size_t n[KINDS];
    for (int kind = 0; kind < KINDS; kind++)
        n[kind] = atomic_load_explicit(&total[kind], memory_order_relaxed);
    size_t accepted = in.lines - n[BLANK] - n[MALFORMED];
    printf("%zu lines: %zu accepted, %zu stored, %zu known before, %zu malformed, %zu lost\n",
           in.lines, accepted, n[STORED], n[KNOWN], n[MALFORMED], n[LOST]);
    if (err) fprintf(stderr, "webhooks: %s\n", strerror(-err));
    if (in.err) fprintf(stderr, "webhooks: %s: %s\n", name, strerror(in.err));
    int sig = leat_ctx_cause(&stop);
    if (sig <= 0) return err || in.err || n[MALFORMED] || n[LOST];
    fprintf(stderr, "webhooks: stopped by signal %d, after line %zu\n", sig, in.lines);
    return 128 + sig;
}
