/* fanout - serves lines to any number of TCP clients; a slow one loses some, and is told.
 *
 *     standard input --topic--> each client's channel --its thread--> its socket
 *                                         cc -O2 -pthread fanout.c -lurcu-bp
 *
 * One thread reads and publishes, one lets clients in, each client has its own. A client comes between two
 * lines, so it is known which is its first; and as lines are numbered, a gap in those that it gets is what
 * it has lost, exactly, and it is told in that place. A line that begins with '#' is sent with one '#' more:
 * so a line that begins with one alone is ours, whatever the input holds.
 * A line is a message of fixed size, copied for each client. A pointer to a text that all share would
 * be less to copy, but it would leak: when the topic throws out the oldest message, nobody is told.
 * A client's thread waits for lines, or for room to write them, but not for its socket as well: whether
 * the other side is still there, it asks once a second. Longer than that none stays behind, also while
 * no lines come; and the group gives its thread to the next client.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "../pool.h"
#include "../topic.h"
#include "args.h"
#include "listen.h"

#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { LINE = 1000, NOTE = 40, BATCH = 16, BLOCK = 64 * 1024, TICK = 100 /* ms */, MOST = 1000000 };

struct line {
    size_t nth, size;        /* nth: 1, 2.. */
    char text[1 + LINE + 1]; /* a '#', sent if the line begins with one; it; its newline */
};

typedef LEAT_TOPIC(struct line) line_topic;
typedef LEAT_CHAN(struct line) line_chan;

struct client { /* belongs to its thread */
    int fd;
    size_t nth, next; /* next: the line that it should get next; 0: any */
    line_chan lines;
};

static leat_ctx stop = LEAT_CTX(NULL);  /* done by a signal: ends the reading */
static leat_ctx over = LEAT_CTX(&stop); /* or by the end of the input: ends the letting in */
static line_topic topic;
static leat_group threads = LEAT_GROUP(NULL);
static leat_wg here; /* the clients */
static leat_sem turn = LEAT_SEM(1);
static size_t published, came;
static int queue = 256, policy = LEAT_DROPS_OLDEST, first; /* first: or LEAT_LATEST_FIRST */

/* Publishing and letting in take turns. Not with --wait: there a publish lasts until the slowest has room.
 * And no turn is needed, for nothing is lost: a client's first line is the first that it gets. */
static bool take_turn(void)
{
    return policy != LEAT_WAITS && leat_acquire(&turn, 1) == 0;
}

static void end_turn(bool taken)
{
    if (taken && leat_release(&turn, 1)) abort(); /* cannot be: it was taken */
}

/* A client. */

/* It leaves by closing its side, or half of it. What it sends does not matter; but if that were left
 * unread, our close would be a reset. */
static bool has_left(int fd)
{
    char text[1024];
    ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);
    return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Writes all of it, however slow the other side is. False: that has left, or ctx is done. */
static bool put(leat_ctx *ctx, int fd, const char *text, size_t size)
{
    while (size && !leat_ctx_err(ctx)) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL); /* for a tick at most */
        if (n >= 0) text += n, size -= (size_t)n;
        else if ((errno != EAGAIN && errno != EINTR) || has_left(fd)) break;
    }
    return !size;
}

static size_t note(char *to, size_t lost)
{
    return lost ? (size_t)snprintf(to, NOTE, "# lost %zu lines\n", lost) : 0;
}

static void part_with(struct client *c)
{
    leat_unsubscribe(&topic, &c->lines); /* from here on nobody else touches the channel */
    leat_free(&c->lines);
    close(c->fd);
    free(c);
    leat_wg_done(&here);
}

/* Its thread: until the topic is closed and the channel empty, or it leaves, or its time is up. */
static int serve(leat_ctx *ctx, void *arg)
{
    struct client *c = arg;
    struct line lines[BATCH];
    char text[BATCH * (NOTE + sizeof lines->text)];
    size_t sent = 0, lost = 0;
    ptrdiff_t n = 0;
    while (n >= 0 && !has_left(c->fd)) {
        leat_ctx second = LEAT_CTX_WITHIN(ctx, LEAT_S(1));
        size_t size = 0;
        n = leat_recv_many_ctx(&second, &c->lines, lines, BATCH);
        if (n == -ETIMEDOUT) n = 0;
        for (ptrdiff_t i = 0; i < n; c->next = lines[i++].nth + 1) {
            size_t missed = c->next ? lines[i].nth - c->next : 0;
            bool plain = lines[i].text[1] != '#';
            size += note(text + size, missed);
            memcpy(text + size, lines[i].text + plain, lines[i].size - plain);
            size += lines[i].size - plain;
            lost += missed;
        }
        if (!put(ctx, c->fd, text, size)) break;
        if (n > 0) sent += (size_t)n;
    }
    size_t drops = (size_t)leat_topic_drops(&topic, &c->lines); /* also those after its last line */
    bool all = n == -EPIPE && put(ctx, c->fd, text, note(text, drops - lost));
    bool cut = !all && leat_ctx_err(ctx);
    struct linger reset = { .l_onoff = cut }; /* so it does not take this for the end */
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    const char *fate = cut ? "is cut off" : all ? "has all" : "left";
    fprintf(stderr, "fanout: client %zu %s: %zu sent, %zu lost\n", c->nth, fate, sent, drops);
    part_with(c);
    return 0;
}

/* Lets somebody in: 1; 0: nobody has knocked; or why it cannot. */
static int welcome(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
    struct client *c = calloc(1, sizeof *c);
    if (!c) return close(fd), -ENOMEM;
    c->fd = fd;
    c->nth = ++came;
    struct timeval tick = { .tv_usec = TICK * 1000 };
    int buffer = BLOCK, yes = 1; /* not megabytes: its backlog is the queue */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* no line waits for the next */
    leat_wg_add(&here, 1);
    int err = leat_make(&c->lines, (size_t)queue);
    bool taken = take_turn();
    if (taken) c->next = first && published ? published : published + 1;
    if (!err) err = leat_subscribe(&topic, &c->lines, policy | first);
    end_turn(taken);
    if (!err) fprintf(stderr, "fanout: client %zu comes\n", c->nth);
    if (!err) err = leat_go(&threads, serve, c);
    if (err) part_with(c);
    return err ? err : 1;
}

/* Reading. */

struct input {
    int fd, err;
    const char *file; /* that is followed, or NULL */
    bool over;
    struct line line; /* as much of it as there is */
};

static void publish(struct line *l)
{
    l->text[l->size++] = '\n';
    bool taken = take_turn(); /* then it does not wait */
    l->nth = published + 1;
    published += leat_publish_ctx(taken ? NULL : &stop, &topic, l) >= 0;
    end_turn(taken);
    l->size = 1;
}

/* Reads what is there, and publishes its lines. False: there was nothing. */
static bool feed(struct input *in)
{
    static char text[BLOCK];
    struct line *l = &in->line;
    struct stat st;
    ssize_t n = read(in->fd, text, sizeof text);
    if (n < 0) in->err = errno == EINTR || errno == EAGAIN ? 0 : errno;
    for (ssize_t at = 0; at < n && !leat_ctx_err(&stop);) {
        const char *from = text + at, *nl = memchr(from, '\n', (size_t)(n - at));
        size_t size = nl ? (size_t)(nl - from) : (size_t)(n - at), room = 1 + LINE - l->size;
        memcpy(l->text + l->size, from, size < room ? size : room);
        l->size += size < room ? size : room;
        at += (ssize_t)size + 1;
        if (nl) publish(l);
    }
    if (!n && in->file && !fstat(in->fd, &st) && st.st_size < lseek(in->fd, 0, SEEK_CUR)) {
        fprintf(stderr, "fanout: %s: truncated\n", in->file);
        lseek(in->fd, 0, SEEK_SET);
        l->size = 1;
    }
    in->over = in->err || (!n && !in->file);
    if (in->over && l->size > 1) publish(l); /* the last one has no newline */
    return n > 0;
}

/* Until the end of the input, or a signal. */
static int reader(leat_ctx *ctx, void *arg)
{
    struct input *in = arg;
    struct pollfd ready = { .fd = in->fd, .events = POLLIN };
    (void)ctx;
    while (!in->over && !leat_ctx_err(&stop)) {
        bool more = in->file || poll(&ready, 1, TICK) > 0; /* of a file poll always says so */
        if (more && !feed(in) && in->file) leat_sleep_ctx(&stop, LEAT_MS(TICK));
    }
    leat_cancel(&over, 0);
    return 0;
}

static void let_in(int listener)
{
    struct pollfd knock = { .fd = listener, .events = POLLIN };
    while (!leat_ctx_err(&over)) {
        int err = poll(&knock, 1, TICK) > 0 ? welcome(listener) : 0;
        if (err >= 0) continue;
        fprintf(stderr, "fanout: no room for a client: %s\n", strerror(-err));
        leat_sleep_ctx(&over, LEAT_S(1));
    }
}

static const char usage[] = "usage: fanout [options]\n"
                            "Serves the lines of its standard input to all who connect to a TCP port of 127.0.0.1,\n"
                            "from then on. Who is slow loses the oldest lines that wait for him; in their place he\n"
                            "gets the line \"# lost N lines\". A line of the input that begins with # comes with one #\n"
                            "more. A line has at most 1000 bytes: the rest is cut off.\n"
                            "  -p, --port N        the port (default: 0, any that is free; standard error has it)\n"
                            "  -f, --follow FILE   instead of standard input, what is appended to the file\n"
                            "  -l, --latest        who connects gets the latest line at once\n"
                            "  -q, --queue N       at most N lines wait for each client (default: 256)\n"
                            "  -w, --wait          nobody loses lines: all wait for the slowest\n"
                            "  -g, --grace S       at the end clients have S seconds to take what waits for them\n"
                            "                      (default: 5); who has not is cut off, by a reset\n"
                            "  -h, --help          this text\n"
                            "INT and TERM end the reading; what was read is served. A second one kills.\n"
                            "A client leaves when it closes the connection, or its half of it.\n"
                            "Ends with 0; 1: it could not listen, or not read; 2: wrong usage; 128 + n: signal n has\n"
                            "ended the reading.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' }, { "follow", required_argument, NULL, 'f' },
        { "latest", no_argument, NULL, 'l' },     { "queue", required_argument, NULL, 'q' },
        { "wait", no_argument, NULL, 'w' },       { "grace", required_argument, NULL, 'g' },
        { "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
    };
    struct input in = { .fd = STDIN_FILENO, .line = { .size = 1, .text = "#" } };
    int port = 0, grace = 5;
    args_begin("fanout");
    for (int o; (o = getopt_long(argc, argv, "p:f:lq:wg:h", options, NULL)) != -1;) {
        if (o == 'p') port = args_number("--port", optarg, 0, 65535);
        else if (o == 'f') in.file = optarg;
        else if (o == 'l') first = LEAT_LATEST_FIRST;
        else if (o == 'q') queue = args_number("--queue", optarg, 1, MOST);
        else if (o == 'w') policy = LEAT_WAITS;
        else if (o == 'g') grace = args_number("--grace", optarg, 0, MOST);
        else return args_usage(o == 'h', usage);
    }
    if (optind < argc) return args_usage(false, usage);
    const char *name = in.file ? in.file : "standard input";
    if (in.file) in.fd = open(in.file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (in.file && (in.fd < 0 || lseek(in.fd, 0, SEEK_END) < 0))
        return fprintf(stderr, "fanout: %s: %s\n", name, strerror(errno)), 1;
    int err = leat_topic_make(&topic, first ? LEAT_KEEPS_LATEST : 0);
    if (!err) err = leat_cancel_on_signals(&stop, SIGINT, SIGTERM, 0);
    if (err) return fprintf(stderr, "fanout: %s\n", strerror(-err)), 1;
    int listener = listen_on(port);
    if (listener < 0) return 1;
    leat_group input = LEAT_GROUP(NULL);
    err = leat_go(&input, reader, &in);
    if (err) return fprintf(stderr, "fanout: %s\n", strerror(-err)), 1;
    let_in(listener);

    close(listener);
    leat_wait(&input);
    leat_topic_close(&topic); /* each channel ends after its last line, and with it the thread */
    leat_ctx within = LEAT_CTX_WITHIN(NULL, LEAT_S(grace));
    if (leat_wg_wait_ctx(&within, &here)) leat_cancel(leat_group_ctx(&threads), 0);
    leat_wait(&threads);
    leat_topic_free(&topic);
    fprintf(stderr, "fanout: %zu lines, %zu clients\n", published, came);
    if (in.err) fprintf(stderr, "fanout: %s: %s\n", name, strerror(in.err));
    return args_end(leat_ctx_err(&stop) ? 128 + leat_ctx_cause(&stop) : in.err != 0);
}
