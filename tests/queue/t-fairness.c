/* t-fairness.c - of the cases of a select that are ready, each has the same chance: however many they are, whatever
 * they do, whichever side waits.
 * SPDX-License-Identifier: MIT */
#include "staging.h"

/* Whether n results that should have had the same chance did have it, judged by chi-square with n - 1 degrees of
 * freedom. Laurent and Massart (2000), lemma 1: chi-square is more than f + 2 sqrt(f x) + 2 x, or less than f - 2
 * sqrt(f x), with a chance below exp(-x) each. x = 17: 4 in 10^8. Taking turns is not chance either: the results are
 * far too even. */
static void judge(const char *what, const long *got, size_t n)
{
    double sum = 0, chi = 0, f = (double)n - 1, x = 17, root = 1;
    for (size_t i = 0; i < n; i++) sum += (double)got[i];
    for (size_t i = 0; i < n; i++) chi += ((double)got[i] * (double)n / sum - 1) * ((double)got[i] - sum / (double)n);
    for (int i = 0; i < 60; i++) root = (root + f * x / root) / 2; /* Heron's */
    bool even = f - 2 * root > chi, uneven = chi > f + 2 * root + 2 * x;
    if (!CHECK(!even && !uneven)) {
        tap_note("%s: %d results, chi-square %.1f", what, (int)n, chi);
        for (size_t i = 0; i < n && i < 10; i++) tap_note("%d: %ld of %.0f", (int)i, got[i], sum);
    }
}

/* n channels of capacity 1. The even ones are filled, to receive from. The odd ones are empty, to send to. Those
 * whose index modulo 2 * idle is `idle` or more are the other way round: they are not ready. */
enum { MANY = 1000 };
static int_chan many[MANY];
static leat_case many_cases[MANY];
static int there;

static void make_many(size_t n, size_t idle)
{
    for (size_t i = 0; i < n; i++) {
        REQUIRE_EQ(leat_make(&many[i], 1), 0);
        bool ready = !idle || i % (2 * idle) < idle;
        if ((i % 2 == 0) == ready) CHECK_EQ(leat_send(&many[i], &there), 0);
        many_cases[i] = i % 2 ? LEAT_SEND(&many[i], &there) : LEAT_RECV(&many[i], &there);
    }
}

static void free_many(size_t n)
{
    for (size_t i = 0; i < n; i++) leat_free(&many[i]);
}

/* One select. Its effect is undone. */
static size_t choose(size_t n, bool tries)
{
    int r = tries ? leat_try_select(many_cases, n) : leat_select(many_cases, n);
    REQUIRE(r >= 0 && (size_t)r < n && many_cases[r].err == 0);
    CHECK_EQ(r % 2 ? leat_try_recv(&many[r], &there) : leat_try_send(&many[r], &there), 0);
    return (size_t)r;
}

TEST(each_of_a_thousand_ready_cases_has_the_same_chance)
{
    static long got[MANY];
    make_many(MANY, 0);
    for (int i = 0; i < 200000; i++) got[choose(MANY, i % 2)]++;
    judge("all are ready", got, MANY);
    free_many(MANY);
}

TEST(so_it_has_beside_many_cases_that_are_not_ready)
{
    static const size_t idles[] = { 1, 3, 16, 64 };
    for (size_t k = 0; k < COUNT(idles); k++) {
        long got[64] = { 0 };
        size_t idle = idles[k], n = 2 * idle > 32 ? 2 * idle : 32;
        make_many(n, idle);
        for (int i = 0; i < tap_rounds(40000); i++) {
            size_t r = choose(n, i % 2);
            REQUIRE(r % (2 * idle) < idle);
            got[r / (2 * idle) * idle + r % (2 * idle)]++;
        }
        size_t ready = 0;
        for (size_t i = 0; i < n; i++) ready += i % (2 * idle) < idle;
        judge("some are ready", got, ready);
        free_many(n);
    }
}

TEST(a_choice_tells_nothing_of_the_next)
{
    enum { N = 5 };
    static const size_t idles[] = { 0, N };
    for (size_t k = 0; k < COUNT(idles); k++) {
        long pairs[N * N] = { 0 };
        size_t n = idles[k] ? 2 * N : N;
        make_many(n, idles[k]);
        for (int i = 0; i < 50000; i++) {
            size_t first = choose(n, false);
            pairs[first * N + choose(n, false)]++;
        }
        judge("pairs", pairs, N * N);
        free_many(n);
    }
}

/* ---- In each thread ------------------------------------------------------------------------------ */

enum { THREADS = 8, CHOICES = 64 };

static void note_choices(int i, void *arg)
{
    unsigned char(*chosen)[CHOICES] = arg;
    int_chan c[4];
    int m = 0;
    for (int k = 0; k < 4; k++) REQUIRE_EQ(leat_make(&c[k], CHOICES), 0);
    leat_case cases[] = { LEAT_SEND(&c[0], &m), LEAT_SEND(&c[1], &m), LEAT_SEND(&c[2], &m), LEAT_SEND(&c[3], &m) };
    for (int k = 0; k < CHOICES; k++) chosen[i][k] = (unsigned char)leat_select(cases, 4);
    for (int k = 0; k < 4; k++) leat_free(&c[k]);
}

/* If all threads prefer the same channel at the same time, that defeats the purpose. By chance two threads choose the
 * same sequence once in 4^64. */
TEST(threads_that_begin_together_choose_differently)
{
    unsigned char chosen[THREADS][CHOICES];
    tap_threads(THREADS, note_choices, chosen);
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < i; k++) CHECK(memcmp(chosen[i], chosen[k], CHOICES) != 0);
}

/* ---- Among threads that wait --------------------------------------------------------------------- */

enum { PARTNERS = 4 };

/* All threads wait when the select comes, and no other thread does anything. So what it chooses is its choice alone. */
TEST(threads_that_wait_for_a_select_have_the_same_chance)
{
    static struct partner p[PARTNERS];
    leat_case cases[PARTNERS];
    long got[PARTNERS] = { 0 };
    int m = 7;
    partners_enter(p, PARTNERS);
    for (int i = 0; i < PARTNERS; i++) cases[i] = partner_case(&p[i], &m);
    for (int k = 0; k < tap_rounds(6000); k++) {
        for (int i = 0; i < PARTNERS; i++) UNTIL(partner_waits(&p[i]));
        int r = k % 2 ? leat_select(cases, PARTNERS) : leat_try_select(cases, PARTNERS);
        REQUIRE(r >= 0);
        got[r]++;
    }
    judge("partners", got, PARTNERS);
    partners_leave(p, PARTNERS);
}

/* The reverse: the select waits, with several cases of the same channel, and then its partner comes. */
enum { SAME = 3 };

struct waiting {
    int_chan c;
    long got[SAME];
    int rounds;
    bool sends;
};

static void wait_with_several(void *arg)
{
    struct waiting *w = arg;
    int m[SAME];
    for (int k = 0; k < w->rounds; k++) {
        leat_case cases[SAME];
        for (int i = 0; i < SAME; i++) {
            m[i] = w->sends ? i : -1;
            cases[i] = w->sends ? LEAT_SEND(&w->c, &m[i]) : LEAT_RECV(&w->c, &m[i]);
        }
        int r = leat_select(cases, SAME);
        REQUIRE(r >= 0);
        w->got[r]++;
        for (int i = 0; i < SAME; i++) CHECK_EQ(m[i], w->sends ? i : i == r ? k : -1);
    }
}

TEST(cases_of_one_channel_have_the_same_chance_also_if_the_select_waited)
{
    for (int sends = 0; sends < 2; sends++) {
        struct waiting w = { .rounds = tap_rounds(4000), .sends = sends };
        struct actor a;
        long sent[SAME] = { 0 };
        REQUIRE_EQ(leat_make(&w.c, 0), 0);
        enter(&a, wait_with_several, &w);
        for (int k = 0, m; k < w.rounds; k++) {
            UNTIL((sends ? senders(&w.c) : receivers(&w.c)) == SAME);
            CHECK_EQ(sends ? leat_recv(&w.c, &m) : leat_send(&w.c, &k), 0);
            if (sends && CHECK(m >= 0 && m < SAME)) sent[m]++;
        }
        leave(&a);
        for (int i = 0; sends && i < SAME; i++) CHECK_EQ(sent[i], w.got[i]);
        judge(sends ? "sends" : "receives", w.got, SAME);
    }
}
