/* t-matching.c - many threads that offer to send and to receive at once, on unbuffered channels, pair up. Each pairs
 * with exactly one other thread, which says the same of it, and none with itself.
 * SPDX-License-Identifier: MIT */
#include "staging.h"

/* A letter says which thread sent it, and in which round. The sender notes that it was sent, the receiver that it was
 * received. */
enum { MOST = 48, ROUNDS = 200 };

struct letter {
    int from, round;
};

typedef LEAT_CHAN(struct letter) letters;

enum { OFFERED_BOTH, SENDS_ONLY, RECEIVES_ONLY };

struct rendezvous {
    letters c[ROUNDS][2];
    int threads, channels, rounds;
    int kind[MOST];
    bool sent[MOST][ROUNDS], received[MOST][ROUNDS];
    _Atomic int got_by[MOST][ROUNDS]; /* 1 + the thread that received that letter */
};

static void note_received(struct rendezvous *a, int i, int k, struct letter in)
{
    if (!CHECK(in.from >= 0 && in.from < a->threads && in.from != i && in.round >= 0 && in.round < a->rounds)) return;
    int before = atomic_exchange_explicit(&a->got_by[in.from][in.round], i + 1, memory_order_relaxed);
    CHECK_EQ(before, 0);
    a->received[i][k] = true;
}

/* Thread i offers to send its letter of this round, and to receive another's, on each channel of the round, in some
 * order. */
static int offer(struct rendezvous *a, leat_ctx *ctx, int i, int k, uint64_t *rng, bool tries)
{
    struct letter out = { i, k }, in = { -1, -1 };
    leat_case cases[4];
    bool sends[4];
    size_t n = 0;
    int flip = tap_below(rng, 4);
    for (int j = 0; j < 2 * a->channels; j++) {
        bool send = (j + flip) % 2;
        letters *c = &a->c[k][a->channels > 1 ? (j / 2 + flip / 2) % 2 : 0];
        if (a->kind[i] == (send ? RECEIVES_ONLY : SENDS_ONLY)) continue;
        sends[n] = send;
        cases[n++] = send ? LEAT_SEND(c, &out) : LEAT_RECV(c, &in);
    }
    int r = tries ? leat_try_select(cases, n) : leat_select_ctx(ctx, cases, n);
    if (r < 0) {
        CHECK_EQ(in.from, -1);
        return r;
    }
    CHECK_EQ(cases[r].err, 0);
    CHECK_EQ(out.from, i);
    if (!sends[r]) {
        note_received(a, i, k, in);
    } else {
        CHECK_EQ(in.from, -1);
        a->sent[i][k] = true;
    }
    return 0;
}

/* No thread waits for a round to end. The last of one round and the first of the next run at the same time. */
static void pair_each_round(int i, void *arg)
{
    struct rendezvous *a = arg;
    uint64_t rng = tap_seed(i);
    for (int k = 0; k < a->rounds; k++) CHECK_EQ(offer(a, NULL, i, k, &rng, false), 0);
}

/* In the end each letter that was sent was received, and no other. With `all`: each thread had its rendezvous in each
 * round. */
static void judge(struct rendezvous *a, bool all)
{
    for (int k = 0; k < a->rounds; k++) {
        int sent = 0, received = 0;
        for (int i = 0; i < a->threads; i++) {
            int by = atomic_load_explicit(&a->got_by[i][k], memory_order_relaxed);
            if (!CHECK_EQ(by != 0, a->sent[i][k])) tap_note("letter of %d in round %d", i, k);
            if (all && by) CHECK(a->received[by - 1][k] && !a->sent[by - 1][k]); /* it is the partner, in this round */
            sent += a->sent[i][k];
            received += a->received[i][k];
        }
        CHECK_EQ(sent, received);
        if (all) CHECK_EQ(sent + received, a->threads);
    }
}

static struct rendezvous rendezvous;

static struct rendezvous *assemble(int threads, int channels)
{
    memset(&rendezvous, 0, sizeof rendezvous);
    rendezvous.threads = threads;
    rendezvous.channels = channels;
    rendezvous.rounds = tap_rounds(ROUNDS);
    return &rendezvous;
}

TEST(forty_four_threads_make_twenty_two_pairs_round_after_round)
{
    struct rendezvous *a = assemble(44, 1);
    tap_threads(a->threads, pair_each_round, a);
    judge(a, true);
}

TEST(of_forty_five_the_last_pairs_with_one_that_only_sends_or_only_receives)
{
    for (int kind = SENDS_ONLY; kind <= RECEIVES_ONLY; kind++) {
        struct rendezvous *a = assemble(46, 1);
        a->kind[20] = kind;
        tap_threads(a->threads, pair_each_round, a);
        judge(a, true);
    }
}

TEST(among_those_that_offer_both_one_sender_and_one_receiver_find_partners)
{
    struct rendezvous *a = assemble(12, 1);
    a->kind[0] = SENDS_ONLY;
    a->kind[11] = RECEIVES_ONLY;
    tap_threads(a->threads, pair_each_round, a);
    judge(a, true);
}

/* Each pair has to find out which of the two channels it pairs up on. There are four wait queues, and no other
 * partner may come. */
TEST(on_two_channels_at_once_they_pair_up_too)
{
    struct rendezvous *a = assemble(24, 2);
    tap_threads(a->threads, pair_each_round, a);
    judge(a, true);
}

/* ---- Some give up -------------------------------------------------------------------------------- */

struct fickle {
    struct rendezvous *a;
    leat_ctx over;
    leat_ctx *_Atomic victim[MOST];
    _Atomic int left;
};

/* One of the threads does not wait, some have little time, some are cancelled, the rest are patient until all is
 * over. */
static void pair_or_not(int i, void *arg)
{
    struct fickle *f = arg;
    struct rendezvous *a = f->a;
    uint64_t rng = tap_seed(i);
    if (i == a->threads) { /* the thread that cancels */
        while (atomic_load_explicit(&f->left, memory_order_relaxed)) {
            int at = tap_below(&rng, a->threads);
            leat_cancel(atomic_exchange_explicit(&f->victim[at], NULL, memory_order_acquire), 1);
            leat_os_yield_();
        }
        leat_cancel(&f->over, 2);
        return;
    }
    for (int k = 0; k < a->rounds; k++) {
        leat_ctx ctx = LEAT_CTX_WITHIN(&f->over, i % 4 == 1 ? LEAT_US(tap_below(&rng, 200)) : LEAT_FOREVER);
        if (i % 4 == 2) atomic_store_explicit(&f->victim[i], &ctx, memory_order_release);
        int err = offer(a, &ctx, i, k, &rng, i % 4 == 3);
        int given_up = i % 4 == 1 ? -ETIMEDOUT : i % 4 == 3 ? -EAGAIN : -ECANCELED;
        CHECK(err == 0 || err == given_up || leat_ctx_err(&f->over));
        if (i % 4 == 2 && !atomic_exchange_explicit(&f->victim[i], NULL, memory_order_acquire))
            UNTIL(leat_ctx_err(&ctx)); /* it is up to the thread that cancels */
        if (i % 4 == 3) leat_os_yield_();
    }
    atomic_fetch_sub_explicit(&f->left, i % 4 != 0, memory_order_relaxed); /* the patient ones end with the others */
}

TEST(a_thread_that_gave_up_has_no_partner_and_a_thread_with_a_partner_did_not_give_up)
{
    for (int channels = 1; channels <= 2; channels++) {
        struct fickle f = { .a = assemble(16, channels), .over = LEAT_CTX(NULL), .left = 12 };
        tap_threads(f.a->threads + 1, pair_or_not, &f);
        judge(f.a, false);
        for (int k = 0; k < f.a->rounds; k++)
            for (int j = 0; j < 2; j++)
                CHECK(!f.a->c[k][j].chan.ends_[LEAT_RECEIVES_].peers_.first_ &&
                      !f.a->c[k][j].chan.ends_[LEAT_SENDS_].peers_.first_);
    }
}
