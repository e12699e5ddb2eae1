/* errgroup - verifies files against checksums of cksum(1), in parallel; the first bad one ends it.
 *
 *     cksum *.iso >manifest                    and later: errgroup manifest
 *
 * Each file is a task of a leat_group: Go's errgroup with SetLimit. A task that fails cancels the
 * group's context; those under way see it and give up, the others are not begun; and leat_wait
 * returns the error of the task that failed, not that of a cancellation which it caused.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "args.h"

#include <getopt.h>
#include <poll.h>
#include <unistd.h>

enum state { NOT_BEGUN, GOOD, BAD, GIVEN_UP };

struct check {
    int number; /* from 1: the task's error, so that leat_wait tells which one it was */
    uint32_t sum;
    uint64_t size;
    char *path;
    enum state state;
    int err; /* of a bad one: errno, or 0: it is not what it should be */
};

static uint32_t table[256];
static bool keep_going;

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t sum = i << 24;
        for (int bit = 0; bit < 8; bit++) sum = sum << 1 ^ (sum >> 31) * UINT32_C(0x04C11DB7);
        table[i] = sum;
    }
}

static uint32_t crc(uint32_t sum, unsigned char byte)
{
    return sum << 8 ^ table[sum >> 24 ^ byte];
}

static int verify(leat_ctx *ctx, void *arg)
{
    struct check *c = arg;
    unsigned char buffer[64 * 1024];
    uint64_t size = 0;
    uint32_t sum = 0;
    ssize_t got = 0;
    int fd = open(c->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), cancelled = 0;
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    while (fd >= 0 && !(cancelled = leat_ctx_err(ctx))) {
        if (poll(&ready, 1, 100) <= 0) continue; /* a FIFO: a look at ctx, now and then */
        if ((got = read(fd, buffer, sizeof buffer)) < 0 && errno == EAGAIN) continue;
        if (got <= 0) break;
        for (ssize_t i = 0; i < got; i++) sum = crc(sum, buffer[i]);
        size += (uint64_t)got;
    }
    if (fd < 0 || got < 0) c->err = errno;
    if (fd >= 0) close(fd);
    c->state = cancelled ? GIVEN_UP : GOOD;
    if (cancelled) return 0; /* no fault of this file */
    for (uint64_t n = size; n; n >>= 8) sum = crc(sum, (unsigned char)n);
    if (!c->err && ~sum == c->sum && size == c->size) return 0;
    c->state = BAD;
    return keep_going ? 0 : c->number;
}

/* "checksum size path", as cksum writes it; or NULL: it is not. */
static const char *parse(const char *line, struct check *c)
{
    uint64_t sum;
    const char *at = args_digits(line, UINT32_MAX, &sum);
    at = at && *at == ' ' ? args_digits(at + 1, UINT64_MAX, &c->size) : NULL;
    c->sum = (uint32_t)sum;
    return at && *at == ' ' && at[1] ? at + 1 : NULL;
}

/* Reads all lines: how many, or -1 after a complaint. */
static int read_manifest(FILE *in, const char *name, struct check **checks)
{
    char *line = NULL;
    size_t room = 0;
    int n = 0;
    for (ssize_t len; (len = getline(&line, &room, in)) > 0;) {
        struct check c = { .number = n + 1 };
        if (line[len - 1] == '\n') line[--len] = 0;
        const char *path = strlen(line) == (size_t)len ? parse(line, &c) : NULL;
        if (!path) {
            fprintf(stderr, "errgroup: line %d is not 'checksum size path': %s\n", n + 1, line);
            n = -1;
            break;
        }
        struct check *more = realloc(*checks, (size_t)(n + 1) * sizeof c);
        if (more) *checks = more;
        if (!more || !(c.path = strdup(path))) abort();
        more[n++] = c;
    }
    if (n >= 0 && !feof(in)) fprintf(stderr, "errgroup: %s: %s\n", name, strerror(errno)), n = -1;
    if (n == 0) fputs("errgroup: the manifest is empty\n", stderr);
    free(line);
    return n;
}

static const char usage[] = "usage: errgroup [options] [manifest]\n"
                            "Verifies files against a manifest made by cksum (default: standard input), several at\n"
                            "a time. The first that is bad or cannot be read is reported, and stops the rest.\n"
                            "  -j, --jobs N        N files at a time (default: the number of usable CPUs)\n"
                            "  -k, --keep-going    verify and report all\n"
                            "  -h, --help          this text\n"
                            "Ends with 0: all good; 1: not all; 2: wrong usage or manifest; 128 + n: signal n.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "jobs", required_argument, NULL, 'j' },
        { "keep-going", no_argument, NULL, 'k' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    static leat_ctx stop = LEAT_CTX(NULL);
    static leat_group group = LEAT_GROUP(&stop);
    static struct check *checks;
    int jobs = leat_cpus(), count[4] = { 0 };
    args_begin("errgroup");
    for (int o; (o = getopt_long(argc, argv, "j:kh", options, NULL)) != -1;) {
        if (o == 'j') jobs = args_number("--jobs", optarg, 1, 1024);
        else if (o == 'k') keep_going = true;
        else return args_usage(o == 'h', usage);
    }
    if (argc - optind > 1 || leat_group_limit(&group, jobs)) return args_usage(false, usage);
    const char *manifest = optind < argc ? argv[optind] : "standard input";
    FILE *in = optind < argc ? fopen(manifest, "re") : stdin;
    if (!in) return fprintf(stderr, "errgroup: %s: %s\n", manifest, strerror(errno)), 2;
    int n = read_manifest(in, manifest, &checks);
    fclose(in);
    if (n <= 0) return 2;
    make_table();

    bool progress = isatty(STDERR_FILENO);
    int err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    for (int i = 0; i < n && !err; i++) {
        if (progress) fprintf(stderr, "\r%d of %d ", i, n);
        err = leat_go(&group, verify, &checks[i]); /* waits while `jobs` of them are under way */
    }
    int first = leat_wait(&group);
    if (progress) fputs("\r\033[K", stderr);

    for (struct check *c = checks; c < checks + n; free(c++->path)) {
        count[c->state]++;
        if (c->number == first || (keep_going && c->state == BAD))
            fprintf(stderr, "errgroup: %s: %s\n", c->path, c->err ? strerror(c->err) : "checksum or size differs");
    }
    free(checks);
    printf("%d good, %d bad, %d given up, %d not begun\n", count[GOOD], count[BAD], count[GIVEN_UP], count[NOT_BEGUN]);
    if (leat_ctx_err(&stop)) {
        fprintf(stderr, "errgroup: stopped by signal %d\n", leat_ctx_cause(&stop));
        return args_end(128 + leat_ctx_cause(&stop));
    }
    if (err && !first) fprintf(stderr, "errgroup: cannot start: %s\n", strerror(-err));
    return args_end(err || count[BAD]);
}
