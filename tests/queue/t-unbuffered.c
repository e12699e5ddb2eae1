/* Capacity 0 is a rendezvous: neither side goes on before the other is there. As in Go. */
#include "staging.h"

#include <sched.h>

TEST(a_send_returns_only_after_it_was_received)
{
    int_chan c;
    struct call s;
    int m;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    for (int i = 0; i < 20; i++) {
        send_waits(&s, NULL, &c, i);
        CHECK(!is_over(&s)); /* parked: no receiver took it */
        CHECK_EQ(leat_len(&c), 0);
        CHECK(leat_recv(&c, &m) == 0 && m == i);
        CHECK_EQ(end(&s), 0);
    }
    leat_free(&c);
}

TEST(a_receive_returns_only_after_a_send)
{
    int_chan c;
    struct call r;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    for (int i = 0; i < 20; i++) {
        recv_waits(&r, NULL, &c);
        CHECK(!is_over(&r));
        CHECK_EQ(leat_send(&c, &i), 0);
        CHECK_EQ(end(&r), 0);
        CHECK_EQ(r.msg, i);
    }
    leat_free(&c);
}

TEST(senders_are_received_in_the_order_in_which_they_came)
{
    enum { N = 8 };
    int_chan c;
    struct call s[N];
    int m;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    for (int i = 0; i < N; i++) send_waits(&s[i], NULL, &c, i);
    for (int i = 0; i < N; i++) CHECK(leat_recv(&c, &m) == 0 && m == i);
    for (int i = 0; i < N; i++) CHECK_EQ(end(&s[i]), 0);
    leat_free(&c);
}

TEST(receivers_are_served_in_the_order_in_which_they_came)
{
    enum { N = 8 };
    int_chan c;
    struct call r[N];
    REQUIRE_EQ(leat_make(&c, 0), 0);
    for (int i = 0; i < N; i++) recv_waits(&r[i], NULL, &c);
    for (int i = 0; i < N; i++) CHECK_EQ(leat_send(&c, &i), 0);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(end(&r[i]), 0);
        CHECK_EQ(r[i].msg, i);
    }
    leat_free(&c);
}

TEST(a_thread_that_gives_up_leaves_the_queue_and_the_next_moves_up)
{
    int_chan c;
    struct call s[3];
    int m;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    leat_ctx ctx = LEAT_CTX(NULL);
    for (int i = 0; i < 3; i++) send_waits(&s[i], i == 1 ? &ctx : NULL, &c, i);
    leat_cancel(&ctx, 0);
    CHECK_EQ(end(&s[1]), -ECANCELED);
    CHECK_EQ(senders(&c), 2);
    CHECK(leat_recv(&c, &m) == 0 && m == 0);
    CHECK(leat_recv(&c, &m) == 0 && m == 2);
    CHECK_EQ(end(&s[0]), 0);
    CHECK_EQ(end(&s[2]), 0);
    CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
    leat_free(&c);
}

struct big {
    unsigned char b[4096];
};

typedef LEAT_CHAN(struct big) big_chan;

static void send_big(void *arg)
{
    big_chan *c = arg;
    for (int i = 0; i < 200; i++) {
        struct big m;
        memset(&m, i, sizeof m);
        CHECK_EQ(leat_send(c, &m), 0);
    }
    CHECK_EQ(leat_close(c), 0);
}

TEST(a_big_message_is_handed_off_whole)
{
    static big_chan c;
    struct actor a;
    struct big m;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    enter(&a, send_big, &c);
    int i = 0;
    for (; leat_recv(&c, &m) == 0; i++)
        for (size_t j = 0; j < sizeof m.b; j++)
            if (!CHECK_EQ(m.b[j], i)) break;
    CHECK_EQ(i, 200);
    leave(&a);
}

/* Each side adds before the rendezvous. What the other added is seen after it. Data races are for TSan to see. */
static void rendezvous_part(int i, void *arg)
{
    int_chan *c = arg;
    static int left, right;
    int n = tap_rounds(20000);
    for (int k = 1, m; k <= n; k++) {
        if (i) {
            right = k;
            CHECK_EQ(leat_send(&c[0], &k), 0); /* after this `left` is the other's again */
            CHECK_EQ(leat_recv(&c[1], &m), 0);
            CHECK_EQ(left, k);
        } else {
            CHECK_EQ(leat_recv(&c[0], &m), 0);
            CHECK_EQ(m, k);
            CHECK_EQ(right, k);
            left = k;
            CHECK_EQ(leat_send(&c[1], &k), 0);
        }
    }
}

TEST(what_was_written_before_a_rendezvous_is_seen_after_it)
{
    int_chan c[2];
    REQUIRE_EQ(leat_make(&c[0], 0), 0);
    REQUIRE_EQ(leat_make(&c[1], 0), 0);
    tap_threads(2, rendezvous_part, c);
}

enum { SIDES = 6, EACH = 4000 };

struct fair {
    int_chan c;
    _Atomic unsigned char got[SIDES][EACH];
    _Atomic int left;
    int each;
};

static void fair_part(int i, void *arg)
{
    struct fair *f = arg;
    if (i < SIDES) {
        for (int n = 0; n < f->each; n++) CHECK_EQ(leat_send(&f->c, &(int){ i * EACH + n }), 0);
        if (atomic_fetch_sub_explicit(&f->left, 1, memory_order_relaxed) == 1) CHECK_EQ(leat_close(&f->c), 0);
        return;
    }
    int last[SIDES], m, err;
    for (int s = 0; s < SIDES; s++) last[s] = -1;
    while ((err = i % 2 ? leat_recv(&f->c, &m) : leat_try_recv(&f->c, &m)) != -EPIPE) {
        if (err == -EAGAIN) {
            sched_yield();
            continue;
        }
        CHECK_EQ(err, 0);
        CHECK(m % EACH > last[m / EACH]);
        last[m / EACH] = m % EACH;
        atomic_fetch_add_explicit(&f->got[m / EACH][m % EACH], 1, memory_order_relaxed);
    }
}

TEST(many_to_many_and_to_one_each_message_once_and_in_order)
{
    for (int many = 0; many < 2; many++) {
        static struct fair f;
        memset(&f, 0, sizeof f);
        f.each = tap_rounds(EACH);
        atomic_store_explicit(&f.left, SIDES, memory_order_relaxed);
        REQUIRE_EQ(leat_make(&f.c, 0), 0);
        tap_threads(SIDES + (many ? SIDES : 1), fair_part, &f);
        for (int s = 0; s < SIDES; s++)
            for (int n = 0; n < f.each; n++)
                if (!CHECK_EQ(atomic_load_explicit(&f.got[s][n], memory_order_relaxed), 1)) return;
        leat_free(&f.c);
    }
}

TEST(close_ends_a_rendezvous_that_did_not_happen)
{
    int_chan c;
    struct call s, r;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    send_waits(&s, NULL, &c, 1);
    CHECK_EQ(leat_close(&c), 0);
    CHECK_EQ(end(&s), -EPIPE);
    leat_free(&c);
    REQUIRE_EQ(leat_make(&c, 0), 0);
    recv_waits(&r, NULL, &c);
    CHECK_EQ(leat_close(&c), 0);
    CHECK_EQ(end(&r), -EPIPE);
    CHECK_EQ(leat_try_recv(&c, &r.msg), -EPIPE);
    CHECK_EQ(leat_try_send(&c, &r.msg), -EPIPE);
}

/* While a message is copied to or from a waiter, no other thread can pair with that waiter. */
TEST(a_partner_pairs_with_one_only)
{
    int_chan c;
    struct call r;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    recv_waits(&r, NULL, &c);
    leat_lock_take_(&c.chan.lock_);
    leat_node_ *l =
        leat_resolve_first_(&c.chan.ends_[LEAT_SENDS_].peers_, LEAT_HANDED_OFF_); /* as a sender that is preempted here */
    leat_lock_drop_(&c.chan.lock_);
    REQUIRE(l);
    CHECK_EQ(leat_try_send(&c, &(int){ 2 }), -EAGAIN);
    CHECK(!is_over(&r));
    memcpy(l->msg_, &(int){ 1 }, sizeof(int));
    leat_wake_(l);
    CHECK_EQ(end(&r), 0);
    CHECK_EQ(r.msg, 1);
    leat_free(&c);
}

static int_chan chain[200];

static void pass(void *arg)
{
    int i = (int)(intptr_t)arg, m;
    while (leat_recv(&chain[i], &m) == 0) {
        m++;
        CHECK_EQ(leat_send(&chain[i + 1], &m), 0);
    }
    CHECK_EQ(leat_close(&chain[i + 1]), 0);
}

TEST(a_chain_of_a_hundred_threads_passes_on_every_message)
{
    enum { LONG = 100 };
    static struct actor a[LONG];
    int m = 0, sent = 0, got = 0, n = tap_rounds(200);
    for (int i = 0; i < LONG; i++) enter(&a[i], pass, (void *)(intptr_t)i);
    while (got < n) {
        leat_case cases[] = { LEAT_SEND(sent < n ? &chain[0] : NULL, &sent), LEAT_RECV(&chain[LONG], &m) };
        if (leat_select(cases, 2) == 0) sent++;
        else CHECK_EQ(m, LONG + got++);
    }
    CHECK_EQ(leat_close(&chain[0]), 0);
    CHECK_EQ(leat_recv(&chain[LONG], &m), -EPIPE);
    for (int i = 0; i < LONG; i++) leave(&a[i]);
}

/* The prime sieve of old Go tutorials: a chain that grows. */
struct filter {
    struct actor actor;
    int_chan *in, out;
    int prime;
};

static void sieve(void *arg)
{
    struct filter *f = arg;
    int m;
    while (leat_recv(f->in, &m) == 0)
        if (m % f->prime && leat_send(&f->out, &m)) break;
    CHECK_EQ(leat_close(&f->out), 0);
}

static void numbers(void *arg)
{
    for (int i = 2; leat_send((int_chan *)arg, &i) == 0;) i++;
}

TEST(the_prime_sieve_finds_primes_and_can_be_stopped)
{
    enum { N = 25 };
    static struct filter f[N];
    static const int primes[N] = { 2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37, 41,
                                   43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97 };
    static int_chan all;
    struct actor a;
    int_chan *in = &all;
    enter(&a, numbers, &all);
    for (int i = 0; i < N; i++) {
        f[i].in = in;
        CHECK_EQ(leat_recv(in, &f[i].prime), 0);
        CHECK_EQ(f[i].prime, primes[i]);
        enter(&f[i].actor, sieve, &f[i]);
        in = &f[i].out;
    }
    CHECK_EQ(leat_close(&all), 0);
    leave(&a);
    for (int m; leat_recv(in, &m) == 0;) {} /* the last of them sends into this */
    for (int i = 0; i < N; i++) leave(&f[i].actor);
}
