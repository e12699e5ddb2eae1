/* pwc - counts lines, words and bytes of all files below some folders: find | wc, on all CPUs.
 *
 *     walker --jobs--> N workers --results--> collector            cc -O2 -pthread pwc.c -o pwc
 *
 * Each arrow is a bounded channel: a slow stage slows the one before it, and memory stays small.
 * The walker closes `jobs`, the group closes `results` when the last worker has returned, and
 * everybody just loops until the channel is closed. A signal cancels the walker alone, and so does
 * output that nobody takes: what it has queued is still counted.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "args.h"

#include <dirent.h>
#include <getopt.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 128, BUFFER = 64 * 1024, QUEUE = 64, WINDOW = 1024, MOST = 10000 };

struct counts {
    uint64_t lines, words, bytes;
};

struct file { /* goes from the walker through a worker to the collector, who frees its path */
    uint64_t seq;
    char *path;
    int err; /* errno: it could not be read */
    struct counts n;
};

typedef LEAT_CHAN(struct file) file_chan;

struct app {
    char **folders;
    file_chan jobs, results;
    leat_sem window; /* a permit per file between walker and output: bounds the reorder buffer */
    uint64_t found;
    bool in_order, quiet, progress, posix;
    bool starts[256], ends[256]; /* which bytes start a word, and end one */
};

/* Counting. A word starts with a printable byte (posix: with any that is not white space), and
 * ends at white space; other bytes do neither. */

static int space(unsigned char c)
{
    return (c == ' ') | ((unsigned char)(c - '\t') < 5);
}

static int graph(unsigned char c)
{
    return (unsigned char)(c - '!') <= '~' - '!';
}

/* A block without branches, which the compiler turns into vector code. False, and nothing is
 * counted, if that cannot do it. p[-1] stands for what comes before. */
static bool count_block(const unsigned char *p, bool posix, struct counts *n)
{
    unsigned char lines = 0, words = 0, odd = 0;
    for (int i = 0; i < BLOCK; i++) {
        lines = (unsigned char)(lines + (p[i] == '\n'));
        words = (unsigned char)(words + (space(p[i - 1]) & (space(p[i]) ^ 1)));
        odd = (unsigned char)(odd | ((space(p[i]) | graph(p[i])) ^ 1));
    }
    if (odd && !posix) return false;
    n->lines += lines;
    n->words += words;
    return true;
}

/* Counts len bytes; p[-1] is scratch. Tells whether they end inside a word. */
static bool count_bytes(const struct app *app, unsigned char *p, size_t len, bool in_word, struct counts *n)
{
    n->bytes += len;
    for (size_t take; len; p += take, len -= take) {
        take = len < BLOCK ? len : BLOCK;
        p[-1] = in_word ? 'a' : ' ';
        if (take == BLOCK && count_block(p, app->posix, n)) {
            in_word = !space(p[BLOCK - 1]);
            continue;
        }
        for (size_t i = 0; i < take; i++) {
            n->lines += p[i] == '\n';
            n->words += app->starts[p[i]] > in_word;
            in_word = app->starts[p[i]] | (in_word > app->ends[p[i]]);
        }
    }
    return in_word;
}

/* What the walker saw there may be gone by now, or a FIFO that nobody writes to. */
static int count_file(const struct app *app, const char *path, unsigned char *buffer, struct counts *n)
{
    struct stat st;
    ssize_t got = 0;
    bool in_word = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return errno;
    int err = fstat(fd, &st) ? errno : S_ISREG(st.st_mode) ? 0 : ENOTSUP;
    while (!err && (got = read(fd, buffer + 1, BUFFER)) > 0) in_word = count_bytes(app, buffer + 1, (size_t)got, in_word, n);
    if (got < 0) err = errno;
    close(fd);
    return err;
}

static int worker(leat_ctx *ctx, void *arg)
{
    struct app *app = arg;
    unsigned char buffer[1 + BUFFER];
    (void)ctx; /* not looked at: after a signal, what is queued is still counted */
    for (struct file f; leat_recv(&app->jobs, &f) == 0;) {
        if (!f.err) f.err = count_file(app, f.path, buffer, &f.n);
        if (leat_send(&app->results, &f)) return -EPIPE;
    }
    return 0;
}

/* Walking, in the order of names. A path belongs to the function that it is handed to. */

static char *join(const char *folder, const char *name)
{
    size_t len = strlen(folder);
    char *path = malloc(len + strlen(name) + 2);
    if (!path) fputs("pwc: out of memory\n", stderr), exit(1);
    sprintf(path, "%s%s%s", folder, !*name || folder[len - 1] == '/' ? "" : "/", name);
    return path;
}

/* Hands a file on, or a folder with its error: 0, or the walk was cancelled. */
static int post(leat_ctx *ctx, struct app *app, char *path, int err)
{
    struct file f = { .seq = app->found++, .path = path, .err = err };
    int cancelled = leat_acquire_ctx(ctx, &app->window, 1);
    if (!cancelled) cancelled = leat_send_ctx(ctx, &app->jobs, &f);
    if (cancelled) free(path);
    return cancelled;
}

static int walk(leat_ctx *ctx, struct app *app, char *path, int type)
{
    struct stat st;
    struct dirent **names;
    int err = 0, n;
    if (type == DT_UNKNOWN) /* not every file system tells */
        type = lstat(path, &st) ? DT_REG : (int)IFTODT(st.st_mode);
    if (type == DT_REG) return post(ctx, app, path, 0);
    if (type == DT_DIR) {
        if ((n = scandir(path, &names, NULL, alphasort)) < 0) return post(ctx, app, path, errno);
        for (int i = 0; i < n; free(names[i++]))
            if (!err && strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, ".."))
                err = walk(ctx, app, join(path, names[i]->d_name), names[i]->d_type);
        free(names);
    }
    free(path); /* links and devices are passed over */
    return err;
}

static int walker(leat_ctx *ctx, void *arg)
{
    struct app *app = arg;
    struct stat st;
    int cancelled = 0;
    for (char **folder = app->folders; *folder && !cancelled; folder++) {
        char *path = join(*folder, "");
        if (stat(path, &st)) cancelled = post(ctx, app, path, errno);
        else if (S_ISDIR(st.st_mode)) cancelled = walk(ctx, app, path, DT_DIR);
        else cancelled = post(ctx, app, path, S_ISREG(st.st_mode) ? 0 : ENOTSUP);
    }
    leat_close(&app->jobs);
    return 0;
}

/* Collecting. */

static void print_counts(const struct counts *n, const char *name)
{
    printf("%7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %s\n", n->lines, n->words, n->bytes, name);
}

static void tell(struct app *app, struct file *f, struct file *total)
{
    if (f->err) {
        const char *clear = app->progress ? "\r\033[K" : "";
        fprintf(stderr, "%spwc: %s: %s\n", clear, f->path, strerror(f->err));
        total->err++;
    } else {
        if (!app->quiet) print_counts(&f->n, f->path);
        total->n.lines += f->n.lines;
        total->n.words += f->n.words;
        total->n.bytes += f->n.bytes;
        total->seq++;
    }
    free(f->path);
    f->path = NULL;
    if (leat_release(&app->window, 1)) abort(); /* cannot be: the walker took one for each */
}

/* Prints the results as they come, or in their order: then those that come early wait in `early`,
 * which the window keeps from overflowing. The total's seq counts files, its err failures. */
static struct file collect(struct app *app, leat_ctx *stop)
{
    static struct file early[WINDOW];
    struct file total = { .err = 0 }, *at;
    int64_t tick = leat_now();
    uint64_t turn = 0;
    for (struct file f; leat_recv(&app->results, &f) == 0;) {
        early[f.seq % WINDOW] = f;
        if (!app->in_order) turn = f.seq;
        while ((at = &early[turn % WINDOW])->path) tell(app, at, &total), turn += app->in_order;
        if (ferror(stdout)) leat_cancel(stop, -EIO);
        if (app->progress && leat_now() - tick > LEAT_MS(100)) {
            tick = leat_now();
            fprintf(stderr, "\r\033[K%" PRIu64 " files, %" PRIu64 " MB", total.seq, total.n.bytes / 1000000);
        }
    }
    if (app->progress) fputs("\r\033[K", stderr);
    return total;
}

static const char usage[] = "usage: pwc [options] [folder or file ...]\n"
                            "Counts lines, words and bytes of all files below the folders (default: this one), in\n"
                            "parallel, as wc does in the C locale. Links are followed only if they are arguments.\n"
                            "  -j, --jobs N    N workers (default: the number of usable CPUs)\n"
                            "  -o, --ordered   print the files in the order of their names, folder by folder\n"
                            "  -q, --quiet     print the total only\n"
                            "  -v, --verbose   tell files, time and speed on stderr\n"
                            "  -p, --posix     a word is any run of bytes without white space, as in POSIX; without\n"
                            "                  this it starts with a printable ASCII character, as in GNU wc 9.1\n"
                            "  -h, --help      this text\n"
                            "Ends with 0; 1: something could not be read, or not written; 2: wrong usage; 128 + n:\n"
                            "stopped by signal n (INT, TERM), and the total is of the files that were begun with.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "jobs", required_argument, NULL, 'j' },
        { "ordered", no_argument, NULL, 'o' },
        { "quiet", no_argument, NULL, 'q' },
        { "verbose", no_argument, NULL, 'v' },
        { "posix", no_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    static leat_ctx stop = LEAT_CTX(NULL);
    static leat_group crew = LEAT_GROUP(&stop);
    static struct app app = { .window = LEAT_SEM(WINDOW) };
    char *here[] = { ".", NULL };
    int workers = leat_cpus();
    bool verbose = false;
    args_begin("pwc");
    for (int o; (o = getopt_long(argc, argv, "j:oqvph", options, NULL)) != -1;) {
        if (o == 'j') workers = args_number("--jobs", optarg, 1, MOST);
        else if (o == 'o') app.in_order = true;
        else if (o == 'q') app.quiet = true;
        else if (o == 'v') verbose = true;
        else if (o == 'p') app.posix = true;
        else return args_usage(o == 'h', usage);
    }
    app.folders = optind < argc ? argv + optind : here;
    app.progress = isatty(STDERR_FILENO) && (app.quiet || !isatty(STDOUT_FILENO));

    for (int c = 0; c < 256; c++) {
        app.ends[c] = space((unsigned char)c);
        app.starts[c] = !app.ends[c] && (app.posix || graph((unsigned char)c));
    }

    int64_t began = leat_now();
    int err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    if (!err) err = leat_make(&app.jobs, QUEUE);
    if (!err) err = leat_make(&app.results, QUEUE);
    if (!err) err = leat_go(&crew, walker, &app);
    if (!err) err = leat_go_n(&crew, workers, worker, &app);
    if (!err) err = leat_group_closes(&crew, &app.results);
    if (err) {
        fprintf(stderr, "pwc: cannot start: %s\n", strerror(-err));
        return 1;
    }
    struct file total = collect(&app, &stop);
    err = leat_wait(&crew);
    double s = (double)(leat_now() - began) / 1e9, mb = (double)total.n.bytes / 1e6;
    double files = (double)total.seq;
    leat_free(&app.jobs);
    leat_free(&app.results);

    print_counts(&total.n, "total");
    if (verbose)
        fprintf(stderr, "pwc: %.0f files, %.1f MB in %.3f s: %.0f files/s, %.0f MB/s, %d workers\n", files, mb, s, files / s,
                mb / s, workers);
    if (total.err) fprintf(stderr, "pwc: %d could not be read\n", total.err);
    int sig = leat_ctx_cause(&stop);
    if (sig <= 0) return args_end(err || total.err);
    fprintf(stderr, "pwc: stopped by signal %d; the total is of %.0f files\n", sig, files);
    return args_end(128 + sig);
}
