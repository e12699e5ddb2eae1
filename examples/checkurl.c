/* checkurl - asks whether web servers are up: three workers, a time-out for each, a deadline for all.
 *
 *     URLs --queue--> 3 workers, each with its own curl handle        cc -O2 -pthread checkurl.c -lcurl
 *
 * It can be stopped in three ways. At the end, and after a signal, leat_pool_stop lets the workers do
 * what is queued. When the deadline comes first it returns -ETIMEDOUT; then leat_pool_abort cancels the
 * pool's context, and a request under way, which looks at it from a callback of curl's, gives up. And a
 * second signal kills.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "args.h"

#include <curl/curl.h>
#include <getopt.h>
#include <unistd.h>

#define BLANKS " \t\r\n"
enum { MOST = 256, FOR_EVER = 1000000000 };

enum verdict { NOT_CHECKED, UP, UNKNOWN, DOWN, GIVEN_UP, VERDICTS };
static const char *const name[] = { "not checked", "UP", "UNKNOWN", "DOWN", "given up" };

struct site {
    char *url;
    enum verdict verdict;
};

struct list {
    struct site *sites;
    size_t n;
};

static _Thread_local CURL *curl; /* a worker's, for all its requests: it keeps connections open */
static double time_out = 10;     /* seconds */
static bool verbose;

static size_t discard(char *data, size_t size, size_t n, void *none)
{
    (void)data, (void)size, (void)n, (void)none;
    return 0; /* no more: the status has come, and what follows does not matter */
}

static int give_up(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return leat_ctx_err(ctx) != 0; /* curl asks when something happens, and about once a second */
}

static int init(void *user, int id)
{
    (void)user, (void)id;
    if (!(curl = curl_easy_init())) return -ENOMEM;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* signals are not for threads */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(time_out * 1000));
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "checkurl");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, give_up);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    return 0;
}

static void fini(void *user, int id)
{
    (void)user, (void)id;
    curl_easy_cleanup(curl);
}

static int check(leat_ctx *ctx, void *arg)
{
    struct site *s = arg;
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_URL, s->url);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, ctx);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (rc == CURLE_WRITE_ERROR) rc = CURLE_OK; /* our own, in discard */
    if (rc == CURLE_ABORTED_BY_CALLBACK) s->verdict = GIVEN_UP;
    else if (rc != CURLE_OK) s->verdict = DOWN;
    else s->verdict = code == 200 ? UP : UNKNOWN;
    if (s->verdict == UNKNOWN) printf("%s → UNKNOWN (%ld)\n", s->url, code);
    else printf("%s → %s\n", s->url, name[s->verdict]);
    if (verbose && rc) fprintf(stderr, "checkurl: %s: %s\n", s->url, curl_easy_strerror(rc));
    return 0;
}

static void add(struct list *l, const char *url)
{
    struct site *more = realloc(l->sites, (l->n + 1) * sizeof *more);
    char *copy = strdup(url);
    if (!more || !copy) fputs("checkurl: out of memory\n", stderr), exit(1);
    l->sites = more;
    l->sites[l->n++] = (struct site){ .url = copy };
}

/* Adds the URLs of a file, one on each line; or says why not. */
static bool add_file(struct list *l, const char *path)
{
    char *line = NULL;
    size_t room = 0, nth = 0;
    bool good = true;
    FILE *in = strcmp(path, "-") ? fopen(path, "re") : stdin;
    for (ssize_t len; good && in && (len = getline(&line, &room, in)) > 0;) {
        char *url = line + strspn(line, BLANKS), *end = url + strcspn(url, BLANKS);
        nth++;
        good = strlen(line) == (size_t)len && (*url == '#' || !end[strspn(end, BLANKS)]);
        *end = 0;
        if (!good) fprintf(stderr, "checkurl: %s: line %zu is not one URL\n", path, nth);
        else if (*url && *url != '#') add(l, url);
    }
    if (good && !(good = in && feof(in))) fprintf(stderr, "checkurl: %s: %s\n", path, strerror(errno));
    if (in && in != stdin) fclose(in);
    free(line);
    return good;
}

/* Checks them all; or leaves the rest, when `stop` is done or the deadline comes. */
static int check_all(struct list *l, int workers, leat_ctx *stop, double deadline)
{
    leat_pool pool;
    int64_t until = leat_after((int64_t)(deadline * 1e9));
    leat_ctx feeding = LEAT_CTX_UNTIL(stop, until), draining = LEAT_CTX_UNTIL(NULL, until);
    bool progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
    leat_pool_opts opts = { .workers = workers, .worker_init = init, .worker_fini = fini };
    int err = leat_pool_start(&pool, NULL, &opts);
    if (err) return err;
    for (size_t i = 0; i < l->n && !err && !ferror(stdout); i++) {   /* else nobody reads the rest */
        err = leat_submit_ctx(&feeding, &pool, check, &l->sites[i]); /* waits for room */
        if (progress) fprintf(stderr, "\r%zu of %zu ", i, l->n);
    }
    if (progress) fputs("\r\033[K", stderr);
    if (err == -ECANCELED) fprintf(stderr, "checkurl: signal %d: no more URLs but those queued\n", leat_ctx_cause(stop));
    int end = leat_pool_stop_ctx(&draining, &pool);
    if (end == -ETIMEDOUT) {
        fprintf(stderr, "checkurl: not done after %g s\n", deadline);
        leat_pool_abort(&pool, NULL, NULL); /* what it drops is NOT_CHECKED already */
    }
    return err ? err : end;
}

static const char usage[] = "usage: checkurl [options] [URL ...]\n"
                            "Tells for each URL, as the answers come, whether it is UP (it answers 200), DOWN (it\n"
                            "does not answer), or UNKNOWN (it answers otherwise). Redirections are followed.\n"
                            "  -f, --file FILE    check the URLs in the file too, one on each line (-: standard\n"
                            "                     input); empty lines and those that begin with # are passed over\n"
                            "  -w, --workers N    N requests at a time (default: 3)\n"
                            "  -t, --timeout S    no answer within S seconds is DOWN (default: 10)\n"
                            "  -d, --deadline S   after S seconds give up what is under way, leave out the rest\n"
                            "  -v, --verbose      say why a server is DOWN\n"
                            "  -h, --help         this text\n"
                            "INT and TERM: only what is queued is still checked. A second one kills.\n"
                            "Ends with 0: all are up; 1: not all; 2: wrong usage; 128 + n: stopped by signal n.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "file", required_argument, NULL, 'f' },
        { "workers", required_argument, NULL, 'w' },
        { "timeout", required_argument, NULL, 't' },
        { "deadline", required_argument, NULL, 'd' },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    static leat_ctx stop = LEAT_CTX(NULL);
    static struct list list;
    size_t n[VERDICTS] = { 0 };
    double deadline = FOR_EVER;
    int workers = 3;
    bool read_all = true;
    args_begin("checkurl");
    for (int o; (o = getopt_long(argc, argv, "f:w:t:d:vh", options, NULL)) != -1;) {
        if (o == 'f') read_all = add_file(&list, optarg) && read_all;
        else if (o == 'w') workers = args_number("--workers", optarg, 1, MOST);
        else if (o == 't') time_out = args_seconds("--timeout", optarg, 0.001, 1e6);
        else if (o == 'd') deadline = args_seconds("--deadline", optarg, 0.001, FOR_EVER);
        else if (o == 'v') verbose = true;
        else return args_usage(o == 'h', usage);
    }
    while (optind < argc) add(&list, argv[optind++]);
    if (!read_all) return 2;
    if (!list.n) return args_usage(false, usage);

    setvbuf(stdout, NULL, _IOLBF, 0);
    int err = curl_global_init(CURL_GLOBAL_DEFAULT) ? -ENOMEM : 0;
    if (!err) err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    if (!err) err = check_all(&list, workers, &stop, deadline);
    curl_global_cleanup();

    for (struct site *s = list.sites; s < list.sites + list.n; free(s++->url)) {
        if (s->verdict == NOT_CHECKED) printf("%s → %s\n", s->url, name[NOT_CHECKED]);
        n[s->verdict]++;
    }
    free(list.sites);
    int sig = leat_ctx_cause(&stop);
    if (sig) fprintf(stderr, "checkurl: stopped by signal %d\n", sig);
    fprintf(stderr, "checkurl: %zu up, %zu down, %zu unknown, %zu given up, %zu not checked\n", n[UP], n[DOWN], n[UNKNOWN],
            n[GIVEN_UP], n[NOT_CHECKED]);
    if (err && err != -ETIMEDOUT && !sig) fprintf(stderr, "checkurl: %s\n", strerror(-err));
    return args_end(sig ? 128 + sig : err || n[UP] < list.n);
}
