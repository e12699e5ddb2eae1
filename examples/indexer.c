/* indexer - fills an SQLite full-text index from folders: a pipeline of three pools, sized per stage.
 *
 *     walker --> read --> fingerprint --> insert --> collector   cc -O2 -pthread indexer.c -lsqlite3
 *
 * Each arrow is a bounded channel: if a stage is slow, those before it wait, and memory stays small.
 * When a stage's last worker has returned, its group closes the channel to the next: so the end of the
 * walk runs down the pipeline. A signal ends the walk, or output that nobody takes; and what was found is
 * still indexed. Each stage counts how long it worked, was starved, was blocked: the bottleneck is the one
 * that hardly ever waits.
 * Files with the same words in the same order, by a hash of them, are stored once.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "args.h"
#include "conns.h"

#include <dirent.h>
#include <getopt.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STAGES = 3, BATCH = 64, MOST = 10000, LARGEST = 16 << 20 };

enum fate { UNDECIDED, ADDED, UNCHANGED, DUPLICATE, PASSED_OVER, UNREADABLE, LOST, FATES };

struct doc {                   /* goes from the walker through the stages to the collector, who frees it */
    char *path, *text, *words; /* the words in lower case, each with a space after it */
    size_t size, words_size;
    uint64_t print; /* the fingerprint of the words */
    enum fate fate;
    char *twin; /* of a DUPLICATE */
    int err;    /* of an UNREADABLE one */
};

typedef LEAT_CHAN(struct doc *) doc_chan;

struct stage {
    const char *name;
    void (*work)(struct doc **docs, size_t n);
    size_t batch; /* docs that it takes at once, if they are there */
    int workers;
    leat_group crew;
    doc_chan *in, *out;
    _Atomic int64_t items, busy, starved, blocked; /* nanoseconds */
};

/* A content stays as long as a file has it. */
#define DROP_CONTENT \
    " WHEN NOT EXISTS(SELECT 1 FROM files WHERE content = OLD.content) BEGIN" \
    " DELETE FROM contents WHERE id = OLD.content;" \
    " DELETE FROM texts WHERE rowid = OLD.content; END;"
static const char schema[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                             "CREATE TABLE IF NOT EXISTS contents(id INTEGER PRIMARY KEY, print INTEGER NOT NULL UNIQUE);"
                             "CREATE TABLE IF NOT EXISTS files(path TEXT PRIMARY KEY, content INTEGER, run INTEGER);"
                             "CREATE INDEX IF NOT EXISTS files_content ON files(content);"
                             "CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(body);"
                             "CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE OF content ON files" DROP_CONTENT
                             "CREATE TRIGGER IF NOT EXISTS gone AFTER DELETE ON files" DROP_CONTENT;
enum { FIND, ADD_CONTENT, ADD_TEXT, ADD_FILE, FORGET, SEARCH };
static const char *const sql[] = {
    "SELECT path FROM files JOIN contents ON id = content WHERE print = ?1"
    " ORDER BY path <> ?2, path",
    "INSERT INTO contents(print) VALUES(?1)",
    "INSERT INTO texts(rowid, body) VALUES(last_insert_rowid(), ?1)",
    "INSERT INTO files SELECT ?1, id, ?3 FROM contents WHERE print = ?2"
    " ON CONFLICT(path) DO UPDATE SET content = excluded.content, run = excluded.run",
    "DELETE FROM files WHERE run <> ?1 AND substr(path, 1, length(?2)) = ?2",
    "SELECT path, snippet(texts, 0, '[', ']', '...', 12) FROM texts"
    " JOIN files ON content = texts.rowid WHERE texts MATCH ?1 ORDER BY rank, path LIMIT ?2",
    NULL,
};

static leat_ctx stop = LEAT_CTX(NULL); /* stops the walker */
static doc_chan chans[STAGES + 1];
static conn_chan idle; /* the connections that nobody uses */
static char **folders;
static int64_t this_run; /* not that of any other run */
static size_t found;     /* by the walker */

static void *got(void *memory)
{
    if (!memory) fputs("indexer: out of memory\n", stderr), exit(1);
    return memory;
}

/* The first stage: reads a file, finds its words. */

static int read_file(struct doc *d)
{
    struct stat st;
    ssize_t n = 1;
    int fd = open(d->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int err = fd < 0 || fstat(fd, &st) ? errno : S_ISREG(st.st_mode) ? 0 : ENOTSUP;
    size_t size = err || st.st_size > LARGEST ? 0 : (size_t)st.st_size;
    d->text = got(malloc(size + 1));
    while (d->size < size && (n = read(fd, d->text + d->size, size - d->size)) > 0) d->size += (size_t)n;
    if (n < 0) err = errno;
    if (fd >= 0) close(fd);
    return err;
}

static bool in_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 128;
}

static void read_and_split(struct doc **docs, size_t n)
{
    struct doc *d = *docs;
    (void)n;
    if ((d->err = read_file(d)) != 0) d->fate = UNREADABLE;
    else if (memchr(d->text, 0, d->size)) d->fate = PASSED_OVER;
    if (d->fate) return;
    bool open = false;
    char *to = d->words = got(malloc(d->size + 1));
    for (size_t i = 0; i < d->size; i++) {
        unsigned char c = (unsigned char)d->text[i];
        if (c >= 'A' && c <= 'Z') c = (unsigned char)(c - 'A' + 'a');
        if (in_word(c)) *to++ = (char)c;
        else if (open) *to++ = ' ';
        open = in_word(c);
    }
    if (open) *to++ = ' ';
    d->words_size = (size_t)(to - d->words);
    if (!d->words_size) d->fate = PASSED_OVER;
}

/* The second: FNV-1a, 64 bits. */
static void fingerprint(struct doc **docs, size_t n)
{
    struct doc *d = *docs;
    (void)n;
    d->print = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < d->words_size; i++) d->print = (d->print ^ (unsigned char)d->words[i]) * UINT64_C(0x100000001b3);
}

/* The third: what is there, at most a batch, in one transaction. */

struct batch {
    struct doc **docs;
    size_t n;
};

static int insert_doc(sqlite3_stmt *const *stmt, struct doc *d)
{
    sqlite3_bind_int64(stmt[FIND], 1, (int64_t)d->print);
    sqlite3_bind_text(stmt[FIND], 2, d->path, -1, SQLITE_STATIC);
    bool row = sqlite3_step(stmt[FIND]) == SQLITE_ROW;
    const char *same = row ? (const char *)sqlite3_column_text(stmt[FIND], 0) : NULL;
    d->fate = !same ? ADDED : strcmp(same, d->path) ? DUPLICATE : UNCHANGED;
    if (d->fate == DUPLICATE) d->twin = got(strdup(same));
    int err = sqlite3_reset(stmt[FIND]);
    if (!err && d->fate == ADDED) {
        sqlite3_bind_int64(stmt[ADD_CONTENT], 1, (int64_t)d->print);
        sqlite3_bind_text64(stmt[ADD_TEXT], 1, d->text, d->size, SQLITE_STATIC, SQLITE_UTF8);
        err = conns_run(stmt[ADD_CONTENT]);
        if (!err) err = conns_run(stmt[ADD_TEXT]);
    }
    sqlite3_bind_text(stmt[ADD_FILE], 1, d->path, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt[ADD_FILE], 2, (int64_t)d->print);
    sqlite3_bind_int64(stmt[ADD_FILE], 3, this_run);
    return err ? err : conns_run(stmt[ADD_FILE]);
}

static int insert_docs(struct conn *c, void *arg)
{
    struct batch *b = arg;
    int err = SQLITE_OK;
    for (size_t i = 0; i < b->n && !err; i++) err = insert_doc(c->stmt, b->docs[i]);
    return err;
}

static void insert(struct doc **docs, size_t n)
{
    if (conns_transact(&idle, insert_docs, &(struct batch){ docs, n }) == 0) return;
    for (size_t i = 0; i < n; i++) docs[i]->fate = LOST;
    leat_cancel(&stop, -EIO); /* the next would fail as well */
}

/* The pipeline. */

static struct stage stages[STAGES] = {
    { .name = "read", .work = read_and_split, .batch = 1, .crew = LEAT_GROUP(NULL) },
    { .name = "fingerprint", .work = fingerprint, .batch = 1, .crew = LEAT_GROUP(NULL) },
    { .name = "insert", .work = insert, .batch = BATCH, .crew = LEAT_GROUP(NULL) },
};

static void lap(int64_t *since, _Atomic int64_t *sum)
{
    int64_t now = leat_now();
    atomic_fetch_add_explicit(sum, now - *since, memory_order_relaxed);
    *since = now;
}

/* A worker of a stage. Docs that are decided already pass through. */
static int work(leat_ctx *ctx, void *arg)
{
    struct stage *s = arg;
    struct doc *all[BATCH], *todo[BATCH];
    int64_t since = leat_now();
    (void)ctx; /* not looked at: after a signal, what was found is still indexed */
    for (ptrdiff_t n; (n = leat_recv_many(s->in, all, s->batch)) > 0;) {
        size_t k = 0;
        lap(&since, &s->starved);
        for (ptrdiff_t i = 0; i < n; i++)
            if (!all[i]->fate) todo[k++] = all[i];
        if (k) s->work(todo, k);
        atomic_fetch_add_explicit(&s->items, (int64_t)k, memory_order_relaxed);
        lap(&since, &s->busy);
        for (ptrdiff_t i = 0; i < n; i++)
            if (leat_send(s->out, &all[i])) return -EPIPE;
        lap(&since, &s->blocked);
    }
    lap(&since, &s->starved);
    return 0;
}

/* Hands a file on, or what cannot be looked at: 0, or `stop` is done. The path is its own. */
static int post(char *path, int err)
{
    struct doc *d = got(calloc(1, sizeof *d));
    *d = (struct doc){ .path = path, .err = err, .fate = err ? UNREADABLE : UNDECIDED };
    int stopped = leat_send_ctx(&stop, &chans[0], &d);
    if (stopped) free(path), free(d);
    else found++;
    return stopped;
}

/* In the order of names, so each folder's are read at once, and no folder stays open. */
static int walk_below(char *path)
{
    struct stat st;
    struct dirent **names;
    int err = 0, n;
    if (lstat(path, &st)) return post(path, errno);
    if (S_ISREG(st.st_mode)) return post(path, 0);
    if (!S_ISDIR(st.st_mode)) return free(path), 0;
    if ((n = scandir(path, &names, NULL, alphasort)) < 0) return post(path, errno);
    for (int i = 0; i < n; free(names[i++])) {
        const char *name = names[i]->d_name;
        char *below;
        if (err || !strcmp(name, ".") || !strcmp(name, "..")) continue;
        if (asprintf(&below, "%s/%s", strcmp(path, "/") ? path : "", name) < 0) got(NULL);
        err = walk_below(below);
    }
    free(names);
    free(path);
    return err;
}

/* Feeds the pipeline: 0, or what ended the walk too early. */
static int walk(leat_ctx *ctx, void *arg)
{
    int err = 0;
    (void)ctx, (void)arg;
    for (char **f = folders; *f && !err; f++) err = walk_below(got(strdup(*f)));
    int signal = leat_ctx_cause(&stop);
    if (err && signal > 0) fprintf(stderr, "indexer: signal %d: no more files\n", signal);
    return err;
}

static void collect(size_t count[FATES])
{
    bool progress = isatty(STDERR_FILENO);
    int64_t tick = leat_now();
    for (struct doc *d; leat_recv(&chans[STAGES], &d) == 0; free(d)) {
        count[d->fate]++;
        bool told = d->fate == DUPLICATE || d->fate == UNREADABLE;
        if (progress && told) fputs("\r\033[K", stderr);
        if (d->fate == DUPLICATE) printf("%s: duplicate of %s\n", d->path, d->twin);
        if (d->err) fprintf(stderr, "indexer: %s: %s\n", d->path, strerror(d->err));
        if (ferror(stdout)) leat_cancel(&stop, -EPIPE);
        if (progress && leat_now() - tick > LEAT_MS(100)) {
            fprintf(stderr, "\r\033[K%zu added, %zu unchanged\r", count[ADDED], count[UNCHANGED]);
            tick = leat_now();
        }
        free(d->path), free(d->text), free(d->words), free(d->twin);
    }
}

static double load(_Atomic int64_t *n)
{
    return (double)atomic_load_explicit(n, memory_order_relaxed);
}

static void tell_stages(int64_t elapsed)
{
    const char *bottleneck = NULL;
    double most = -1;
    puts("stage        workers   items    busy s  starved s  blocked s  saturation");
    for (struct stage *s = stages; s < stages + STAGES; s++) {
        double saturation = load(&s->busy) / ((double)elapsed * s->workers);
        printf("%-12s %7d %7.0f %9.3f %10.3f %10.3f %9.0f %%\n", s->name, s->workers, load(&s->items), load(&s->busy) / 1e9,
               load(&s->starved) / 1e9, load(&s->blocked) / 1e9, 100 * saturation);
        if (saturation > most) most = saturation, bottleneck = s->name;
    }
    printf("bottleneck: %s\n", bottleneck);
}

/* Forgets the files below the folders that this run has not seen. */
static int forget(struct conn *c, void *gone)
{
    int err = SQLITE_OK;
    for (char **f = folders, *below; *f && !err; f++, free(below)) {
        if (asprintf(&below, "%s/", strcmp(*f, "/") ? *f : "") < 0) got(NULL);
        sqlite3_bind_int64(c->stmt[FORGET], 1, this_run);
        sqlite3_bind_text(c->stmt[FORGET], 2, below, -1, SQLITE_STATIC);
        err = conns_run(c->stmt[FORGET]);
        if (!err) *(int *)gone += sqlite3_changes(c->db);
    }
    return err;
}

/* Runs the pipeline: 0, or not all is indexed; -ECANCELED: `stop` has ended the walk. */
static int index_folders(void)
{
    static leat_group whole = LEAT_GROUP(NULL), walker = LEAT_GROUP(NULL);
    size_t n[FATES] = { 0 };
    int64_t began = leat_now();
    int gone = 0, err = leat_make(&chans[0], BATCH);
    this_run = began;
    for (int i = 0; i < STAGES && !err; i++) {
        struct stage *s = &stages[i];
        s->in = &chans[i];
        s->out = &chans[i + 1];
        err = leat_make(s->out, BATCH);
        if (!err) err = leat_group_within(&s->crew, &whole);
        if (!err) err = leat_go_n(&s->crew, s->workers, work, s);
        if (!err) err = leat_group_closes(&s->crew, s->out);
    }
    if (!err) err = leat_group_within(&walker, &whole);
    if (!err) err = leat_go(&walker, walk, NULL);
    if (!err) err = leat_group_closes(&walker, &chans[0]);
    if (err) fprintf(stderr, "indexer: cannot start: %s\n", strerror(-err)), exit(1);

    collect(n);
    int64_t elapsed = leat_now() - began;
    err = leat_wait(&whole);
    for (int i = 0; i <= STAGES; i++) leat_free(&chans[i]);
    if (!err) err = n[UNREADABLE] || n[LOST];
    if (!err) err = conns_transact(&idle, forget, &gone); /* else who knows whether they are gone */

    printf("%zu files: %zu added, %zu unchanged, %zu duplicates, ", found, n[ADDED], n[UNCHANGED], n[DUPLICATE]);
    printf("%zu passed over, %zu unreadable, %zu lost; %d gone\n", n[PASSED_OVER], n[UNREADABLE], n[LOST], gone);
    tell_stages(elapsed);
    return err;
}

/* Prints what matches, best first: 0; 1: nothing does; 2: the query makes no sense. */
static int search(sqlite3_stmt *s, const char *query, int most)
{
    int rows = 0;
    sqlite3_bind_text(s, 1, query, -1, SQLITE_STATIC);
    sqlite3_bind_int(s, 2, most);
    for (; sqlite3_step(s) == SQLITE_ROW; rows++) {
        printf("%s: ", sqlite3_column_text(s, 0));
        for (const unsigned char *c = sqlite3_column_text(s, 1); *c; c++) putchar(*c < ' ' ? ' ' : *c);
        putchar('\n');
    }
    if (!sqlite3_reset(s)) return !rows;
    fprintf(stderr, "indexer: query '%s': %s\n", query, sqlite3_errmsg(sqlite3_db_handle(s)));
    return 2;
}

static const char usage[] = "usage: indexer [options] folder ...\n"
                            "       indexer [options] --query TEXT\n"
                            "Brings a full-text index of the folders' text files up to date; or searches it. Files\n"
                            "with the same words in the same order are duplicates: they are named, and stored once.\n"
                            "Files without text, or above 16 MB, are passed over; links are not followed.\n"
                            "  -d, --db FILE         the index, an SQLite database (default: index.db)\n"
                            "  -w, --workers R,F,I   threads that read, fingerprint, insert (default: CPUs,1,1)\n"
                            "  -q, --query TEXT      print the files that match, best first. TEXT is an FTS5 query:\n"
                            "                        words, all of them; \"a phrase\"; a OR b; a NOT b; pre*\n"
                            "  -n, --most N          print at most N of them (default: 20)\n"
                            "  -h, --help            this text\n"
                            "INT and TERM end the walk; what was found is still indexed. A second one kills.\n"
                            "Ends with 0; 1: not all could be indexed, or written, or nothing was found; 2: wrong usage;\n"
                            "128 + n: signal n came.\n";

/* R,F,I; or it says why not, and exit(2). */
static void set_workers(const char *text)
{
    const char *rest = text;
    for (int i = 0; i < STAGES; i++) {
        uint64_t n = 0;
        rest = args_digits(rest, MOST, &n);
        if (!rest || !n || *rest++ != (i < STAGES - 1 ? ',' : 0)) {
            const char *why = "not three numbers from 1 to";
            fprintf(stderr, "indexer: --workers '%s': %s %d\n", text, why, MOST);
            exit(2);
        }
        stages[i].workers = (int)n;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "db", required_argument, NULL, 'd' },    { "workers", required_argument, NULL, 'w' },
        { "query", required_argument, NULL, 'q' }, { "most", required_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 },
    };
    const char *db = "index.db", *query = NULL;
    int most = 20;
    args_begin("indexer");
    stages[0].workers = leat_cpus();
    stages[1].workers = stages[2].workers = 1;
    for (int o; (o = getopt_long(argc, argv, "d:w:q:n:h", options, NULL)) != -1;) {
        if (o == 'd') db = optarg;
        else if (o == 'w') set_workers(optarg);
        else if (o == 'q') query = optarg;
        else if (o == 'n') most = args_number("--most", optarg, 1, INT_MAX);
        else return args_usage(o == 'h', usage);
    }
    folders = argv + optind;
    if (!*folders == !query) return args_usage(false, usage);
    for (char **f = folders; *f; f++) { /* so a file has one name, from wherever it is indexed */
        char *real = realpath(*f, NULL);
        if (!real) return fprintf(stderr, "indexer: %s: %s\n", *f, strerror(errno)), 2;
        *f = real;
    }

    struct conn c;
    int err = query ? 0 : leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    int most_conns = query ? 1 : stages[2].workers;
    if (!err) err = conns_open(&idle, most_conns, db, query ? NULL : schema, sql);
    if (!err && !query) err = index_folders();
    if (!err && query && (err = leat_recv(&idle, &c)) == 0) {
        err = search(c.stmt[SEARCH], query, most);
        if (leat_send(&idle, &c)) abort(); /* cannot be: it came from there */
    }
    conns_close(&idle);
    for (char **f = folders; *f; f++) free(*f);
    int signal = leat_ctx_cause(&stop);
    if (err < 0) err = err == -EINVAL ? 2 : 1; /* the database is no file */
    return args_end(signal > 0 ? 128 + signal : err);
}
