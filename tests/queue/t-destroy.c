/* A thread that got the last message, or EPIPE, may free the channel at once, while the call of the other side has
 * not returned. Run it under AddressSanitizer: without it, only a crash would show. */
#include "staging.h"

#include <sched.h>

#if defined __SANITIZE_ADDRESS__
#define HAS_ASAN true
#elif defined __has_feature
#define HAS_ASAN __has_feature(address_sanitizer)
#else
#define HAS_ASAN false
#endif

static int rounds_of(int n)
{
    return TAP_SLOW ? n / 4 : n;
}

struct request {
    int_chan *reply;
    int n;
};
typedef LEAT_CHAN(struct request) request_chan;

struct service {
    request_chan requests;
    int clients, rounds, how;
    _Atomic int left;
};

enum { PLAIN, TRY, BATCH, SELECT, CLOSE, MIXED };

/* Answers one request, by each kind of send. */
static void answer(struct request *r, int how)
{
    int err = 0;
    if (how == MIXED) how = r->n % MIXED;
    switch (how) {
    case TRY:
        while ((err = leat_try_send(r->reply, &r->n)) == -EAGAIN) sched_yield();
        break;
    case BATCH: err = leat_send_many(r->reply, &r->n, 1) == 1 ? 0 : -EIO; break;
    case SELECT: {
        leat_case cases[] = { LEAT_RECV((int_chan *)NULL, &r->n), LEAT_SEND(r->reply, &r->n) };
        err = leat_select(cases, 2) == 1 ? cases[1].err : -EIO;
        break;
    }
    case CLOSE: err = leat_close(r->reply); break;
    default: err = leat_send(r->reply, &r->n);
    }
    CHECK_EQ(err, 0);
}

/* Asks once, with a reply channel on this frame. */
__attribute__((noinline)) static void ask(struct service *s, int n, size_t cap, uint64_t *rng)
{
    int_chan reply;
    int m = -1, err, how = s->how == MIXED ? n % MIXED : s->how;
    CHECK_EQ(leat_make(&reply, cap), 0);
    CHECK_EQ(leat_send(&s->requests, (&(struct request){ &reply, n })), 0);
    do { /* sometimes it gives up soon, and tries again */
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, tap_below(rng, 4) ? LEAT_S(1000) : LEAT_US(1) * tap_below(rng, 30));
        err = leat_recv_ctx(&soon, &reply, &m);
    } while (err == -ETIMEDOUT);
    CHECK_EQ(err, how == CLOSE ? -EPIPE : 0);
    CHECK_EQ(m, how == CLOSE ? -1 : n);
    leat_free(&reply);
    memset((void *)&reply, 0xEE, sizeof reply); /* a thread that still accesses it finds this */
}

static void service_part(int i, void *arg)
{
    struct service *s = arg;
    struct request r;
    uint64_t rng = tap_seed(i);
    if (i >= s->clients) {
        while (leat_recv(&s->requests, &r) == 0) answer(&r, s->how);
        return;
    }
    for (int n = 0; n < s->rounds; n++) ask(s, n, (size_t)(n & 1), &rng);
    if (atomic_fetch_sub_explicit(&s->left, 1, memory_order_relaxed) == 1) CHECK_EQ(leat_close(&s->requests), 0);
}

static void serve(int how, int clients, int servers, int rounds)
{
    static struct service s;
    s = (struct service){ .clients = clients, .rounds = rounds, .how = how };
    atomic_init(&s.left, clients);
    REQUIRE_EQ(leat_make(&s.requests, 4), 0);
    tap_threads(clients + servers, service_part, &s);
    leat_free(&s.requests);
}

TEST(a_reply_channel_on_a_stack_frame_may_go_with_the_frame)
{
    serve(PLAIN, 1, 1, HAS_ASAN ? 1000000 : rounds_of(100000));
}

TEST(however_the_reply_was_sent)
{
    for (int how = TRY; how <= SELECT; how++) serve(how, 1, 1, rounds_of(20000));
}

TEST(I3_or_if_the_reply_was_a_close)
{
    serve(CLOSE, 1, 1, rounds_of(50000));
}

TEST(with_many_clients_and_servers_in_any_mixture)
{
    serve(MIXED, 2, 2, rounds_of(15000));
    serve(MIXED, 6, 3, rounds_of(5000));
}

/* ---- On the heap, where the address is used again at once ---------------------------------------- */

struct box {
    int_chan *_Atomic c;
    int rounds, mode;
};

static int_chan *take_out(struct box *b)
{
    int_chan *c;
    for (unsigned round = 0; !(c = atomic_exchange_explicit(&b->c, NULL, memory_order_acquire));) leat_backoff_(&round);
    return c;
}

static void other_side(void *arg)
{
    struct box *b = arg;
    for (int i = 0; i < b->rounds; i++) {
        int_chan *c = take_out(b);
        if (b->mode == 0) {
            CHECK_EQ(leat_send(c, &i), 0);
        } else if (b->mode == 1) {
            CHECK_EQ(leat_close(c), 0);
        } else { /* receives. The sender frees: its unbuffered send returns when this thread has the message */
            int m;
            CHECK_EQ(leat_recv(c, &m), 0);
            CHECK_EQ(m, i);
        }
    }
}

static void free_at_once(int mode, size_t cap, int rounds)
{
    struct box b = { .rounds = rounds, .mode = mode };
    struct actor a;
    atomic_init(&b.c, NULL);
    enter(&a, other_side, &b);
    for (int i = 0; i < rounds; i++) {
        int_chan *c = malloc(sizeof *c);
        int m = -1;
        REQUIRE(c);
        REQUIRE_EQ(leat_make(c, cap), 0);
        atomic_store_explicit(&b.c, c, memory_order_release);
        if (mode == 0) {
            int err;
            if (i % 2)
                while ((err = leat_try_recv(c, &m)) == -EAGAIN) sched_yield();
            else err = leat_recv(c, &m);
            CHECK_EQ(err, 0);
            CHECK_EQ(m, i);
        } else if (mode == 1) {
            int err;
            if (i % 2)
                while ((err = leat_try_recv(c, &m)) == -EAGAIN) sched_yield();
            else err = leat_recv(c, &m);
            CHECK_EQ(err, -EPIPE);
        } else {
            CHECK_EQ(leat_send(c, &i), 0);
        }
        leat_free(c);
        memset((void *)c, 0xEE, sizeof *c);
        free(c);
    }
    leave(&a);
}

TEST(after_the_last_message_the_sender_touches_nothing)
{
    free_at_once(0, 1, rounds_of(20000));
    free_at_once(0, 0, rounds_of(15000));
}

TEST(after_EPIPE_the_closer_touches_nothing)
{
    free_at_once(1, 1, rounds_of(20000));
    free_at_once(1, 0, rounds_of(15000));
}

TEST(after_a_rendezvous_the_receiver_touches_nothing)
{
    free_at_once(2, 0, rounds_of(15000));
}

TEST(I3_also_when_no_thread_spins)
{
    never_spin();
    free_at_once(0, 1, rounds_of(10000));
    free_at_once(0, 0, rounds_of(10000));
    free_at_once(1, 1, rounds_of(10000));
    free_at_once(2, 0, rounds_of(10000));
    serve(MIXED, 2, 2, rounds_of(5000));
}

/* The consumer ends on EPIPE, and frees the channel that its producers have filled. They are long gone. */
struct stream {
    int_chan *c;
    _Atomic int left;
};

static void stream_part(int i, void *arg)
{
    struct stream *s = arg;
    int n = 50, m, got = 0;
    if (i < 2) {
        for (int k = 0; k < n; k++) CHECK_EQ(leat_send(s->c, &k), 0);
        if (atomic_fetch_sub_explicit(&s->left, 1, memory_order_acq_rel) == 1) CHECK_EQ(leat_close(s->c), 0);
        return;
    }
    while (leat_recv(s->c, &m) == 0) got++;
    CHECK_EQ(got, 2 * n);
    leat_free(s->c);
    memset((void *)s->c, 0xEE, sizeof *s->c);
    free(s->c);
}

TEST(a_stream_may_be_freed_by_the_consumer_that_saw_its_end)
{
    for (int i = 0; i < rounds_of(600); i++) {
        struct stream s = { .c = malloc(sizeof *s.c) };
        REQUIRE(s.c);
        atomic_init(&s.left, 2);
        REQUIRE_EQ(leat_make(s.c, (size_t)i % 4), 0);
        tap_threads(3, stream_part, &s);
    }
}
