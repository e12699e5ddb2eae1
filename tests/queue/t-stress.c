/* Whatever is mixed: each message that was sent arrives once, in its sender's order, and nothing else.
 *
 *     LEAT_STRESS=n    n times as many messages */
#include "staging.h"

#include <sched.h>
#include <stdio.h>

enum { MOST_THREADS = 16, CONTEXTS = 64 };

enum { PLAIN = 1, TRY = 2, TIMEOUTS = 4, CANCELS = 8, BATCHES = 16, SELECTS = 32, EARLY_CLOSE = 64, ALL = 63 };

struct stress {
    int_chan c, never;
    int senders, receivers, each, mix;
    int sent[MOST_THREADS];
    _Atomic int senders_left, receivers_left, got_all;
    _Atomic unsigned char *got;               /* [sender * each + n] */
    leat_ctx ctx[2 * MOST_THREADS][CONTEXTS]; /* each thread uses one after another, as they are cancelled */
    _Atomic int now[2 * MOST_THREADS];
};

/* The kind of the next call: one bit of the mix. */
static int pick(uint64_t *rng, int mix)
{
    for (;;) {
        int kind = 1 << tap_below(rng, 6);
        if (kind & mix) return kind;
    }
}

/* The context of this thread that is not yet cancelled, or NULL if all are. */
static leat_ctx *my_ctx(struct stress *s, int i)
{
    int at = atomic_load_explicit(&s->now[i], memory_order_relaxed);
    while (at < CONTEXTS && leat_ctx_err(&s->ctx[i][at])) {
        CHECK_EQ(leat_ctx_cause(&s->ctx[i][at]), 1000 + i);
        atomic_store_explicit(&s->now[i], ++at, memory_order_relaxed);
    }
    return at < CONTEXTS ? &s->ctx[i][at] : NULL;
}

static void sender(struct stress *s, int i)
{
    uint64_t rng = tap_seed(i);
    int a[40], none;
    while (s->sent[i] < s->each) {
        int m = i * s->each + s->sent[i], n = 1, kind = pick(&rng, s->mix);
        ptrdiff_t r = 0;
        switch (kind) {
        case TRY:
            r = leat_try_send(&s->c, &m);
            if (r == -EAGAIN) sched_yield();
            break;
        case TIMEOUTS: {
            leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(1) * tap_below(&rng, 200));
            r = leat_send_ctx(&soon, &s->c, &m);
            break;
        }
        case CANCELS: r = leat_send_ctx(my_ctx(s, i), &s->c, &m); break;
        case BATCHES:
            n = 1 + tap_below(&rng, COUNT(a));
            if (n > s->each - s->sent[i]) n = s->each - s->sent[i];
            for (int k = 0; k < n; k++) a[k] = m + k;
            r = leat_send_many(&s->c, a, (size_t)n);
            CHECK(r <= n && r != 0);
            n = (int)r;
            break;
        case SELECTS: {
            leat_case cases[] = { LEAT_RECV(&s->never, &none), LEAT_SEND(&s->c, &m), LEAT_SEND(&s->c, &m) };
            r = leat_select_ctx(my_ctx(s, i), cases, (size_t)(2 + tap_below(&rng, 2)));
            if (r >= 0) r = CHECK(r > 0) ? cases[r].err : -EIO;
            break;
        }
        default: r = leat_send(&s->c, &m);
        }
        if (r >= 0) {
            s->sent[i] += n;
        } else if (r == -EPIPE && s->mix & EARLY_CLOSE) {
            break;
        } else {
            CHECK((r == -EAGAIN && kind == TRY) || (r == -ETIMEDOUT && kind == TIMEOUTS) ||
                  (r == -ECANCELED && (kind == CANCELS || kind == SELECTS)));
        }
    }
    if (atomic_fetch_sub_explicit(&s->senders_left, 1, memory_order_relaxed) == 1) {
        int err = leat_close(&s->c);
        CHECK(err == 0 || (err == -EALREADY && s->mix & EARLY_CLOSE));
    }
}

static void receiver(struct stress *s, int i)
{
    uint64_t rng = tap_seed(i);
    int a[40], none, last[MOST_THREADS];
    for (int k = 0; k < s->senders; k++) last[k] = -1;
    for (;;) {
        int n = 1, kind = pick(&rng, s->mix);
        ptrdiff_t r = 0;
        switch (kind) {
        case TRY:
            r = leat_try_recv(&s->c, a);
            if (r == -EAGAIN) sched_yield();
            break;
        case TIMEOUTS: {
            leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_US(1) * tap_below(&rng, 200));
            r = leat_recv_ctx(&soon, &s->c, a);
            break;
        }
        case CANCELS: r = leat_recv_ctx(my_ctx(s, i), &s->c, a); break;
        case BATCHES:
            r = leat_recv_many(&s->c, a, (size_t)(n = 1 + tap_below(&rng, COUNT(a))));
            CHECK(r <= n && r != 0);
            n = (int)r;
            break;
        case SELECTS: {
            leat_case cases[] = { LEAT_RECV(&s->never, &none), LEAT_RECV(&s->c, a), LEAT_RECV(&s->c, a) };
            r = leat_select_ctx(my_ctx(s, i), cases, (size_t)(2 + tap_below(&rng, 2)));
            if (r >= 0) r = CHECK(r > 0) ? cases[r].err : -EIO;
            break;
        }
        default: r = leat_recv(&s->c, a);
        }
        if (r == -EPIPE) break;
        if (r < 0) {
            CHECK((r == -EAGAIN && kind == TRY) || (r == -ETIMEDOUT && kind == TIMEOUTS) ||
                  (r == -ECANCELED && (kind == CANCELS || kind == SELECTS)));
            continue;
        }
        for (int k = 0; k < n; k++) {
            int from = a[k] / s->each, number = a[k] % s->each;
            REQUIRE(a[k] >= 0 && from < s->senders);
            CHECK(number > last[from]); /* in its sender's order */
            last[from] = number;
            atomic_fetch_add_explicit(&s->got[a[k]], 1, memory_order_relaxed);
        }
        int before = atomic_fetch_add_explicit(&s->got_all, n, memory_order_relaxed), limit = s->senders * s->each / 2;
        if (s->mix & EARLY_CLOSE && before < limit && before + n >= limit) {
            int err = leat_close(&s->c);
            CHECK(err == 0 || err == -EALREADY);
        }
    }
    atomic_fetch_sub_explicit(&s->receivers_left, 1, memory_order_relaxed);
}

/* Cancels now this thread's context, now that one's. */
static void troublemaker(struct stress *s)
{
    uint64_t rng = tap_seed(99);
    while (atomic_load_explicit(&s->receivers_left, memory_order_relaxed)) {
        int i = tap_below(&rng, s->senders + s->receivers);
        int at = atomic_load_explicit(&s->now[i], memory_order_relaxed);
        if (at < CONTEXTS) leat_cancel(&s->ctx[i][at], 1000 + i);
        (void)leat_sleep(LEAT_US(20));
    }
}

static void part(int i, void *arg)
{
    struct stress *s = arg;
    if (i < s->senders) sender(s, i);
    else if (i < s->senders + s->receivers) receiver(s, i);
    else troublemaker(s);
}

static void run(size_t cap, int senders, int receivers, int messages, int mix)
{
    static struct stress s;
    const char *more = getenv("LEAT_STRESS");
    memset((void *)&s, 0, sizeof s);
    s.senders = senders;
    s.receivers = receivers;
    s.each = tap_rounds(messages) * (more ? atoi(more) : 1) / senders;
    s.mix = mix;
    s.got = calloc((size_t)(senders * s.each), 1);
    REQUIRE(s.got);
    atomic_store_explicit(&s.senders_left, senders, memory_order_relaxed);
    atomic_store_explicit(&s.receivers_left, receivers, memory_order_relaxed);
    REQUIRE_EQ(leat_make(&s.c, cap), 0);
    tap_threads(senders + receivers + ((mix & CANCELS) != 0), part, &s);
    bool right = true;
    for (int k = 0; k < senders * s.each && right; k++) {
        bool sent = k % s.each < s.sent[k / s.each];
        right = CHECK_EQ(atomic_load_explicit(&s.got[k], memory_order_relaxed), sent);
    }
    CHECK_EQ(in_queue_(&s.c.chan.lock_, &s.c.chan.ends_[LEAT_RECEIVES_].peers_) +
                 in_queue_(&s.c.chan.lock_, &s.c.chan.ends_[LEAT_SENDS_].peers_),
             0);
    if (!right) tap_note("capacity %d, %d senders, %d receivers, mix %d", (int)cap, senders, receivers, mix);
    leat_free(&s.c);
    free((void *)s.got);
}

static const size_t capacities[] = { 0, 1, 2, 3, 64, 1000 };
static const int teams[][2] = { { 1, 1 }, { 1, 4 }, { 4, 1 }, { 2, 2 }, { 5, 3 }, { 16, 16 }, { 16, 1 }, { 1, 16 } };

static void everywhere(int messages, int mix)
{
    for (size_t c = 0; c < COUNT(teams); c++)
        for (size_t k = 0; k < COUNT(capacities); k++)
            run(capacities[k], teams[c][0], teams[c][1], capacities[k] < 4 ? messages : 3 * messages, mix);
}

TEST(plain_sends_and_receives_lose_nothing)
{
    everywhere(3000, PLAIN);
}

TEST(tries_lose_nothing)
{
    everywhere(2000, PLAIN | TRY);
}

TEST(time_outs_and_cancels_lose_nothing)
{
    everywhere(2000, PLAIN | TIMEOUTS | CANCELS);
}

TEST(batches_lose_nothing)
{
    everywhere(5000, PLAIN | BATCHES);
}

TEST(selects_lose_nothing)
{
    everywhere(2000, PLAIN | SELECTS);
}

TEST(all_of_it_mixed_loses_nothing)
{
    everywhere(3000, ALL);
}

TEST(all_of_it_mixed_and_closed_in_the_middle_loses_nothing)
{
    everywhere(3000, ALL | EARLY_CLOSE);
}

TEST(all_of_it_mixed_loses_nothing_when_no_thread_spins)
{
    never_spin();
    everywhere(1500, ALL);
    everywhere(1500, ALL | EARLY_CLOSE);
}
