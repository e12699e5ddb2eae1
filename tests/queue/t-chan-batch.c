/* Batches: at least one message, at most n, and a wait for the first only. They keep the order. The rest stays the
 * caller's. */
#include "staging.h"

static void number(int *a, int n, int from)
{
    for (int i = 0; i < n; i++) a[i] = from + i;
}

static bool in_order(const int *a, int n, int from)
{
    for (int i = 0; i < n; i++)
        if (!CHECK_EQ(a[i], from + i)) return false;
    return true;
}

TEST(a_batch_takes_what_goes_in_and_gives_what_is_there)
{
    int a[20], b[20];
    number(a, 20, 0);
    for (size_t cap = 1; cap <= 9; cap++) {
        int_chan c;
        ptrdiff_t most = (ptrdiff_t)cap;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        for (int lap = 0; lap < 10; lap++) {
            CHECK_EQ(leat_send_many(&c, a, 20), most); /* partial: full */
            CHECK_EQ(leat_len(&c), most);
            CHECK_EQ(leat_recv_many(&c, b, 1), 1);
            CHECK_EQ(b[0], 0);
            if (cap > 1) {
                CHECK_EQ(leat_recv_many(&c, b, 20), most - 1); /* partial: empty */
                in_order(b, (int)most - 1, 1);
            }
            CHECK_EQ(leat_len(&c), 0);
            CHECK_EQ(leat_send(&c, &a[0]), 0); /* shifts the start of the next lap */
            CHECK_EQ(leat_recv(&c, &b[0]), 0);
        }
        leat_free(&c);
    }
}

TEST(a_batch_goes_around_the_end_of_the_ring_at_every_offset)
{
    enum { CAP = 7 };
    int_chan c;
    int a[CAP], b[CAP], next = 0;
    REQUIRE_EQ(leat_make(&c, CAP), 0);
    for (int lap = 0; lap < 500; lap++) {
        int n = 1 + lap % CAP;
        number(a, n, next);
        CHECK_EQ(leat_send_many(&c, a, (size_t)n), n);
        memset(b, 0xEE, sizeof b);
        CHECK_EQ(leat_recv_many(&c, b, CAP), n);
        if (!in_order(b, n, next)) break;
        for (int i = n; i < CAP; i++) CHECK_EQ((unsigned)b[i], 0xEEEEEEEE); /* no more than it said */
        next += n;
    }
    leat_free(&c);
}

TEST(a_batch_of_none_is_none)
{
    int_chan c;
    int a[1] = { 0 };
    for (size_t cap = 0; cap < 3; cap++) {
        REQUIRE_EQ(leat_make(&c, cap), 0);
        CHECK_EQ(leat_send_many(&c, a, 0), 0);
        CHECK_EQ(leat_recv_many(&c, a, 0), 0);
        CHECK_EQ(leat_send_many(&c, a, SIZE_MAX), -EINVAL);
        CHECK_EQ(leat_recv_many(&c, a, SIZE_MAX), -EINVAL);
        leat_free(&c);
    }
}

struct odd {
    char text[5];
};

TEST(a_batch_of_odd_sized_messages_arrives_whole)
{
    LEAT_CHAN(struct odd) c;
    struct odd a[4] = { { "abcd" }, { "efgh" }, { "ijkl" }, { "mnop" } }, b[4];
    REQUIRE_EQ(leat_make(&c, 5), 0);
    for (int lap = 0; lap < 20; lap++) {
        memset(b, 0, sizeof b);
        CHECK_EQ(leat_send_many(&c, a, 4), 4);
        CHECK_EQ(leat_recv_many(&c, b, 4), 4);
        CHECK_EQ(memcmp(a, b, sizeof a), 0);
    }
    leat_free(&c);
}

struct batch {
    struct actor actor;
    int_chan *c;
    leat_ctx *ctx;
    int a[10], n;
    ptrdiff_t result;
};

static void do_send_many(void *p)
{
    struct batch *b = p;
    b->result = leat_send_many_ctx(b->ctx, b->c, b->a, (size_t)b->n);
}

static void do_recv_many(void *p)
{
    struct batch *b = p;
    b->result = leat_recv_many_ctx(b->ctx, b->c, b->a, (size_t)b->n);
}

TEST(a_batch_waits_for_the_first_and_only_for_the_first)
{
    for (size_t cap = 1; cap < 4; cap++) {
        int_chan c;
        struct batch b = { .c = &c, .n = 10 };
        int m;
        REQUIRE_EQ(leat_make(&c, cap), 0);
        enter(&b.actor, do_recv_many, &b);
        UNTIL(receivers(&c) == 1);
        CHECK_EQ(leat_send(&c, &(int){ 40 }), 0);
        leave(&b.actor);
        CHECK_EQ(b.result, 1);
        CHECK_EQ(b.a[0], 40);

        for (int i = 0; i < (int)cap; i++) CHECK_EQ(leat_send(&c, &i), 0);
        number(b.a, 10, 50);
        enter(&b.actor, do_send_many, &b);
        UNTIL(senders(&c) == 1);
        CHECK(leat_recv(&c, &m) == 0 && m == 0);
        leave(&b.actor);
        CHECK_EQ(b.result, 1);
        for (int i = 1; i < (int)cap; i++) CHECK(leat_recv(&c, &m) == 0 && m == i);
        CHECK(leat_recv(&c, &m) == 0 && m == 50);
        CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
        leat_free(&c);
    }
}

TEST(one_batch_wakes_as_many_receivers_as_it_has_messages)
{
    enum { N = 6 };
    int_chan c;
    struct call r[N];
    int a[N];
    unsigned got = 0;
    REQUIRE_EQ(leat_make(&c, N), 0);
    number(a, N, 0);
    for (int i = 0; i < N; i++) begin_recv(&r[i], NULL, &c);
    UNTIL(receivers(&c) == N);
    CHECK_EQ(leat_send_many(&c, a, N), N);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(end(&r[i]), 0);
        got |= 1u << r[i].msg;
    }
    CHECK_EQ(got, (1u << N) - 1);
    leat_free(&c);
}

TEST(one_batch_makes_room_for_as_many_senders_as_it_took_messages)
{
    enum { N = 6 };
    int_chan c;
    struct call s[N];
    int a[N];
    unsigned got = 0;
    REQUIRE_EQ(leat_make(&c, N), 0);
    number(a, N, 0);
    CHECK_EQ(leat_send_many(&c, a, N), N);
    for (int i = 0; i < N; i++) begin_send(&s[i], NULL, &c, i);
    UNTIL(senders(&c) == N);
    CHECK_EQ(leat_recv_many(&c, a, N), N);
    for (int i = 0; i < N; i++) CHECK_EQ(end(&s[i]), 0);
    CHECK_EQ(leat_recv_many(&c, a, N), N);
    for (int i = 0; i < N; i++) got |= 1u << a[i];
    CHECK_EQ(got, (1u << N) - 1);
    leat_free(&c);
}

/* A ring whose capacity is no power of two, which begins anywhere. Then a batch of less than it holds, after which no
 * other call comes. `play` says what is done to the ring. */
static void odd_rings(void (*play)(int_chan *c, int n))
{
    for (int cap = 3; cap <= 7; cap += 2)
        for (int n = 2; n <= cap; n++)
            for (int start = 0; start < 2 * cap; start += start + 2 < cap ? cap - 2 : 1) {
                int_chan c;
                int m;
                REQUIRE_EQ(leat_make(&c, (size_t)cap), 0);
                for (int i = 0; i < start; i++) CHECK(leat_send(&c, &i) == 0 && leat_recv(&c, &m) == 0 && m == i);
                play(&c, n);
                leat_free(&c);
            }
}

static void room_for_as_many(int_chan *c, int n)
{
    struct call s[7];
    int a[7];
    number(a, 7, 0);
    CHECK_EQ(leat_send_many(c, a, 7), leat_cap(c));
    for (int i = 0; i < n; i++) send_waits(&s[i], NULL, c, (int)leat_cap(c) + i);
    CHECK_EQ(leat_recv_many(c, a, (size_t)n), n);
    for (int i = 0; i < n; i++) CHECK_EQ(end(&s[i]), 0);
    CHECK_EQ(leat_len(c), leat_cap(c));
}

static void messages_for_as_many(int_chan *c, int n)
{
    struct call r[7];
    int a[7];
    number(a, 7, 0);
    for (int i = 0; i < n; i++) recv_waits(&r[i], NULL, c);
    CHECK_EQ(leat_send_many(c, a, (size_t)n), n);
    for (int i = 0; i < n; i++) CHECK_EQ(end(&r[i]), 0);
    CHECK_EQ(leat_len(c), 0);
}

TEST(a_part_of_a_ring_that_is_no_power_of_two_is_room_for_as_many_senders)
{
    odd_rings(room_for_as_many);
}

TEST(a_part_of_a_ring_that_is_no_power_of_two_wakes_as_many_receivers)
{
    odd_rings(messages_for_as_many);
}

TEST(an_unbuffered_batch_is_one_message)
{
    int_chan c;
    struct call k;
    int a[3] = { 7, 8, 9 };
    REQUIRE_EQ(leat_make(&c, 0), 0);
    recv_waits(&k, NULL, &c);
    CHECK_EQ(leat_send_many(&c, a, 3), 1);
    CHECK_EQ(end(&k), 0);
    CHECK_EQ(k.msg, 7);
    send_waits(&k, NULL, &c, 5);
    CHECK_EQ(leat_recv_many(&c, a, 3), 1);
    CHECK(a[0] == 5 && a[1] == 8);
    CHECK_EQ(end(&k), 0);
    leat_free(&c);
}

TEST(a_batch_says_why_nothing_was_sent_or_taken)
{
    for (size_t cap = 0; cap < 4; cap++) {
        int_chan c;
        int a[3] = { 1, 2, 3 };
        REQUIRE_EQ(leat_make(&c, cap), 0);
        leat_ctx cancelled = LEAT_CTX(NULL), soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(5));
        leat_cancel(&cancelled, 0);
        CHECK_EQ(leat_send_many_ctx(&cancelled, &c, a, 3), -ECANCELED);
        CHECK_EQ(leat_recv_many_ctx(&cancelled, &c, a, 3), -ECANCELED);
        CHECK_EQ(leat_recv_many_ctx(&soon, &c, a, 3), -ETIMEDOUT);
        CHECK_EQ(leat_close(&c), 0);
        CHECK_EQ(leat_send_many(&c, a, 3), -EPIPE);
        CHECK_EQ(leat_recv_many(&c, a, 3), -EPIPE);
        CHECK(a[0] == 1 && a[1] == 2 && a[2] == 3);
        leat_free(&c);
    }
}

TEST(a_close_in_the_middle_says_how_many_were_sent_and_then_EPIPE)
{
    int_chan c;
    struct batch b = { .c = &c, .n = 10 };
    int m;
    REQUIRE_EQ(leat_make(&c, 3), 0);
    number(b.a, 10, 0);
    CHECK_EQ(leat_send_many(&c, b.a, 10), 3);
    number(b.a, 10, 3);
    enter(&b.actor, do_send_many, &b);
    UNTIL(senders(&c) == 1);
    CHECK_EQ(leat_close(&c), 0);
    leave(&b.actor);
    CHECK_EQ(b.result, -EPIPE);
    for (int i = 0; i < 3; i++) CHECK(leat_recv(&c, &m) == 0 && m == i);
    CHECK_EQ(leat_recv(&c, &m), -EPIPE);
    leat_free(&c);
}

TEST(a_cancel_in_the_middle_takes_nothing)
{
    int_chan c;
    leat_ctx ctx = LEAT_CTX(NULL);
    struct batch b = { .c = &c, .ctx = &ctx, .n = 10 };
    REQUIRE_EQ(leat_make(&c, 3), 0);
    enter(&b.actor, do_recv_many, &b);
    UNTIL(receivers(&c) == 1);
    leat_cancel(&ctx, 1);
    leave(&b.actor);
    CHECK_EQ(b.result, -ECANCELED);
    leat_free(&c);
}

TEST(a_batch_stops_before_a_slot_that_is_in_flight)
{
    int_chan c;
    int a[3] = { 1, 2, 3 };
    REQUIRE_EQ(leat_make(&c, 4), 0);
    CHECK_EQ(leat_send(&c, &a[0]), 0);
    struct slow s = slow_send(&c);
    CHECK_EQ(leat_send(&c, &a[2]), 0);
    CHECK_EQ(leat_recv_many(&c, a, 3), 1); /* what is ready without waiting */
    CHECK_EQ(a[0], 1);
    slow_send_publish(&s, 2);
    CHECK_EQ(leat_recv_many(&c, a, 3), 2);
    CHECK(a[0] == 2 && a[1] == 3);
    leat_free(&c);
}

/* ---- Concurrent batches and a close -------------------------------------------------------------- */

enum { SENDERS = 2, MOST = 20000 };

struct flood {
    int_chan c;
    ptrdiff_t sent[SENDERS];
    _Atomic unsigned char got[SENDERS][MOST];
    _Atomic int received;
    int close_at;
};

static void flood_part(int i, void *arg)
{
    struct flood *f = arg;
    int a[17], last[SENDERS] = { -1, -1 };
    uint64_t rng = tap_seed(i);
    if (i < SENDERS) {
        while (f->sent[i] < MOST) {
            ptrdiff_t n = 1 + tap_below(&rng, COUNT(a));
            if (n > MOST - f->sent[i]) n = MOST - f->sent[i];
            number(a, (int)n, i * MOST + (int)f->sent[i]);
            ptrdiff_t k = leat_send_many(&f->c, a, (size_t)n);
            if (k < 0) {
                CHECK_EQ(k, -EPIPE);
                return;
            }
            CHECK(k >= 1 && k <= n);
            f->sent[i] += k;
        }
        return;
    }
    for (;;) {
        size_t n = (size_t)(1 + tap_below(&rng, COUNT(a)));
        ptrdiff_t k = leat_recv_many(&f->c, a, n);
        if (k < 0) {
            CHECK_EQ(k, -EPIPE);
            return;
        }
        CHECK(k >= 1 && k <= (ptrdiff_t)n);
        for (ptrdiff_t j = 0; j < k; j++) {
            CHECK(a[j] % MOST > last[a[j] / MOST]);
            last[a[j] / MOST] = a[j] % MOST;
            atomic_fetch_add_explicit(&f->got[a[j] / MOST][a[j] % MOST], 1, memory_order_relaxed);
        }
        int before = atomic_fetch_add_explicit(&f->received, (int)k, memory_order_relaxed);
        if (before < f->close_at && before + k >= f->close_at) CHECK_EQ(leat_close(&f->c), 0);
    }
}

TEST(batches_that_race_with_each_other_and_a_close_lose_nothing)
{
    static const size_t capacities[] = { 0, 1, 2, 3, 16, 64 };
    for (size_t k = 0; k < COUNT(capacities); k++) {
        static struct flood f;
        memset(&f, 0, sizeof f);
        f.close_at = tap_rounds(capacities[k] < 2 ? 5000 : 15000);
        REQUIRE_EQ(leat_make(&f.c, capacities[k]), 0);
        tap_threads(SENDERS + 2, flood_part, &f);
        for (int s = 0; s < SENDERS; s++)
            for (int n = 0; n < MOST; n++)
                if (!CHECK_EQ(atomic_load_explicit(&f.got[s][n], memory_order_relaxed), n < f.sent[s])) return;
        leat_free(&f.c);
    }
}
