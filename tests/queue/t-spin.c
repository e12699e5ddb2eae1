/* t-spin.c - how long a wait spins before it parks, by a clock of ours: glances, spinning on, doubt, the price of a
 * wake; and the pace of a channel's sides, by which they linger and rest.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tap.h"

#include "clock.h"
#include "staging.h"

#define NOBODY_SPINS "with one CPU no thread spins"

/* The clock stands still, except for `tick` with each reading. This thread has learned nothing. */
static void begin_at(int64_t tick)
{
    stands_at = LEAT_S(1000) + 1;
    per_reading = tick;
    slice = 0;
    yields = 0;
    leat_doubt_ = 0;
    atomic_store(&leat_wake_takes_, 0);
}

static void end_of_clock(void)
{
    slice = -1;
    per_reading = 0;
    stands_at = 0;
    leat_doubt_ = 0;
    atomic_store(&leat_wake_takes_, 0);
}

/* How often a wait looks again until it is time to park. */
static int looks(leat_spin_ spin)
{
    int n = 0;
    while (leat_spin_again_(&spin, NULL, 0)) n++;
    return n;
}

static int wait_for_nothing(void)
{
    return looks((leat_spin_)LEAT_SPIN_);
}

/* ==== Spinning ================================================================================ */

TEST(a_wait_glances_and_spins_on_for_twice_as_long_as_a_wake_takes)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_at(LEAT_US(1));
    CHECK_EQ(wait_for_nothing(), LEAT_GLANCES_ + 2 * LEAT_WAKE_ / LEAT_US(1));
    leat_doubt_ = 0;
    leat_wake_took_(LEAT_US(7));
    CHECK_EQ(wait_for_nothing(), LEAT_GLANCES_ + 2 * 7);
    CHECK_EQ(yields, 0);
    per_reading = 0; /* a clock that stands still holds no thread up for ever */
    leat_doubt_ = 0;
    CHECK(wait_for_nothing() > LEAT_GLANCES_);
    end_of_clock();
}

TEST(the_price_of_a_wake_is_the_least_of_the_recent_ones)
{
    begin_at(0);
    CHECK_EQ(leat_wake_cost_(), LEAT_WAKE_);
    leat_wake_took_(LEAT_MS(4));
    CHECK_EQ(leat_wake_cost_(), LEAT_WAKE_);
    leat_wake_took_(6400);
    CHECK_EQ(leat_wake_cost_(), 6400);
    leat_wake_took_(LEAT_MS(4)); /* it had to wait for a CPU */
    CHECK_EQ(leat_wake_cost_(), 6501);
    leat_wake_took_(6300);
    CHECK_EQ(leat_wake_cost_(), 6300);
    for (int i = 0; i < 1000; i++) leat_wake_took_(LEAT_MS(4));
    CHECK_EQ(leat_wake_cost_(), LEAT_WAKE_);
    leat_wake_took_(0); /* it did not quite sleep yet */
    CHECK_EQ(leat_wake_cost_(), LEAT_WAKE_ / 16);
    leat_wake_took_(-1); /* a clock that steps back does no harm */
    CHECK_EQ(leat_wake_cost_(), LEAT_WAKE_ / 16);
    leat_wake_took_(LEAT_MS(4));
    CHECK_EQ(leat_wake_cost_(), 3174);
    end_of_clock();
}

static leat_waitq_ parked;

/* Plays the wake: resolves the waiter, which runs seven microseconds later. */
static bool is_woken(int64_t until)
{
    (void)until;
    leat_node_ *l = leat_resolve_first_(&parked, 0);
    stands_at += LEAT_US(7);
    leat_wake_(l);
    return true;
}

TEST(it_is_measured_from_the_moment_a_parked_thread_is_resolved_until_it_runs)
{
    for (int asleep = 0; asleep <= 1; asleep++) {
        leat_waiter_ w;
        leat_node_ link = { .waiter_ = &w };
        begin_at(0);
        leat_waiter_init_(&w);
        leat_enqueue_(&parked, &link);
        meanwhile = is_woken;
        if (!asleep) is_woken(0);
        CHECK_EQ(leat_park_(&w, LEAT_FOREVER), 0);
        CHECK_EQ(leat_wake_cost_(), asleep ? LEAT_US(7) : LEAT_WAKE_);
        meanwhile = NULL;
        leat_os_done_(&w.state_);
        end_of_clock();
    }
}

/* How many of these waits for nothing have spun on. */
static int spun_on(int waits)
{
    int n = 0;
    for (int i = 0; i < waits; i++) {
        uint32_t doubt = leat_doubt_;
        n += wait_for_nothing() > LEAT_GLANCES_;
        leat_doubt_ = doubt;
    }
    return n;
}

/* The fewest looks of a thousand waits for nothing with that doubt. */
static int fewest_looks(uint32_t doubt)
{
    int fewest = INT_MAX;
    for (int i = 0; i < 1000; i++) {
        leat_doubt_ = doubt;
        int n = wait_for_nothing();
        if (n < fewest) fewest = n;
    }
    return fewest;
}

TEST(a_thread_whose_doubt_is_full_glances_for_less_than_half_as_many_rounds)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_at(LEAT_US(1));
    CHECK_EQ(fewest_looks(127), LEAT_GLANCES_);
    CHECK_EQ(fewest_looks(255), LEAT_GLANCES_ / 2);
    end_of_clock();
}

TEST(a_thread_whose_spin_failed_doubts_and_spins_on_ever_less)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_at(LEAT_US(50));
    for (uint32_t doubt = 0; doubt < 255; doubt = 2 * doubt + 1) {
        int waits = 400 * ((int)doubt + 1), n = spun_on(waits);
        CHECK_EQ(leat_doubt_, doubt);
        CHECK(doubt ? n > 280 && n < 520 : n == waits); /* six times what chance makes of 400 */
        for (int i = 0; leat_doubt_ == doubt && i < 1000000; i++) wait_for_nothing();
        CHECK_EQ(leat_doubt_, 2 * doubt + 1);
    }
    for (int i = 0; i < 10000; i++) wait_for_nothing();
    CHECK_EQ(leat_doubt_, 255);
    end_of_clock();
}

TEST(what_ends_a_wait_tells_whether_it_was_worth_it)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_at(LEAT_US(1));
    leat_doubt_ = 100;
    leat_spin_ spin = LEAT_SPIN_;
    leat_spin_end_(&spin); /* it did not even have to look again */
    CHECK_EQ(leat_doubt_, 100);
    CHECK(leat_spin_again_(&spin, NULL, 0));
    leat_spin_end_(&spin); /* with a glance: a quarter less */
    CHECK_EQ(leat_doubt_, 75);
    leat_doubt_ = 1;
    leat_spin_end_(&spin);
    CHECK_EQ(leat_doubt_, 0);
    for (int lost_the_cpu = 0; lost_the_cpu <= 1; lost_the_cpu++) {
        spin = (leat_spin_)LEAT_SPIN_;
        leat_doubt_ = 0;
        for (int i = 0; i < LEAT_GLANCES_ + 3; i++) CHECK(leat_spin_again_(&spin, NULL, 0));
        leat_doubt_ = 3;
        if (lost_the_cpu) stands_at += LEAT_MS(4);
        leat_spin_end_(&spin);
        CHECK_EQ(leat_doubt_, lost_the_cpu ? 7 : 0);
    }
    leat_doubt_ = 100;
    spin = (leat_spin_)LEAT_SPIN_WOKEN_;
    leat_spin_end_(&spin); /* it was woken, and found what it waited for: that tells nothing about spinning */
    CHECK_EQ(leat_doubt_, 100);
    end_of_clock();
}

TEST(a_thread_that_was_woken_and_found_nothing_yields_instead)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_at(LEAT_US(1));
    int n = looks((leat_spin_)LEAT_SPIN_WOKEN_);
    CHECK_EQ(n, 2 * LEAT_WAKE_ / LEAT_US(1));
    CHECK_EQ(yields, n);
    leat_doubt_ = 255;
    yields = 0;
    for (int i = 0; i < 2000; i++) {
        uint32_t doubt = leat_doubt_;
        looks((leat_spin_)LEAT_SPIN_WOKEN_);
        leat_doubt_ = doubt;
    }
    CHECK(yields < 2000 * 100 / 256 * 6); /* and where that fails, next to never */
    leat_doubt_ = 0;
    yields = 0;
    slice = LEAT_MS(4); /* a time slice is lost */
    CHECK_EQ(looks((leat_spin_)LEAT_SPIN_WOKEN_), 1);
    CHECK_EQ(leat_doubt_, 1);
    end_of_clock();
}

TEST(a_pause_ends_when_the_word_changes)
{
    _Atomic uint64_t word = 1;
    CHECK(!leat_pause_(3, NULL, 0));
    CHECK(!leat_pause_(3, &word, 1));
    CHECK(leat_pause_(3, &word, 0));
    CHECK(!leat_pause_(0, &word, 0));
}

/* Reads the quota and the CPUs as the next wait would. Returns whether it would spin. */
static bool spins(void)
{
    leat_doubt_ = 0;
    return wait_for_nothing() > LEAT_GLANCES_;
}

TEST(spinning_ends_and_resumes_within_100_ms_of_a_change_of_the_cpus)
{
#if defined __linux__
    begin_at(0);
    leat_spins_ = 0;
    CHECK(spins());
    usable_cpus = 1;
    stands_at += LEAT_MS(99);
    CHECK(spins()); /* no thread has looked since */
    stands_at += LEAT_MS(1);
    CHECK_EQ(wait_for_nothing(), LEAT_GLANCES_); /* the wait that looks is the last to glance */
    CHECK_EQ(wait_for_nothing(), 0);
    usable_cpus = 3;
    stands_at += LEAT_MS(99);
    CHECK_EQ(wait_for_nothing(), 0);
    stands_at += LEAT_MS(1);
    CHECK(spins());
    usable_cpus = 1;
    stands_at += LEAT_MS(100);
    leat_doubt_ = 255;
    for (int i = 0; i < 2; i++) wait_for_nothing(); /* a thread in doubt looks, too */
    CHECK_EQ(wait_for_nothing(), 0);
    usable_cpus = 3;
    stands_at += LEAT_MS(100);
    CHECK(spins());
    atomic_store(&leat_quota_, 150); /* the process may use one of the CPUs that it has */
    stands_at += LEAT_MS(100);
    CHECK_EQ(wait_for_nothing(), LEAT_GLANCES_);
    CHECK_EQ(wait_for_nothing(), 0);
    atomic_store(&leat_quota_, 200);
    stands_at += LEAT_MS(100);
    CHECK(spins());
    atomic_store(&leat_quota_, 0);
    end_of_clock();
    leat_spins_ = 0;
#else
    SKIP("the number of CPUs is the system's business");
#endif
}

/* ==== Pacing ================================================================================== */

TEST(a_pace_falls_at_once_and_doubles_at_most)
{
    _Atomic uint32_t pace = 0;
    leat_pace_learn_(&pace, LEAT_MS(4), 1);
    CHECK_EQ(pace, 16);
    leat_pace_learn_(&pace, LEAT_MS(4), 1);
    CHECK_EQ(pace, 48);
    leat_pace_learn_(&pace, 10000, 100);
    CHECK_EQ(pace, 100);
    leat_pace_learn_(&pace, 20, 0);
    CHECK_EQ(pace, 20);
    for (int i = 0; i < 100; i++) leat_pace_learn_(&pace, INT64_MAX, 1);
    CHECK_EQ(pace, INT32_MAX);
    leat_pace_learn_(&pace, 0, 1);
    CHECK_EQ(pace, 0);
}

/* A wait for a message (or room) in an empty (or full) ring: how often it reads the clock before it would spin. */
static int readings(int_chan *c, bool sends)
{
    int m = 1;
    leat_case k = sends ? LEAT_SEND(c, &m) : LEAT_RECV(c, &m);
    int64_t before = stands_at;
    CHECK_EQ(leat_wait_first_(NULL, NULL, &k), -EAGAIN);
    return (int)(stands_at - before);
}

TEST(sides_linger_in_a_ring_that_is_large_enough)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    for (int large = 0; large <= 1; large++) {
        int_chan c;
        int m, n = 0;
        REQUIRE_EQ(leat_make(&c, large ? LEAT_AWAY_ : LEAT_AWAY_ - 1), 0);
        begin_at(1);
        CHECK_EQ(readings(&c, false) > 0, large);
        c.chan.ends_[LEAT_RECEIVES_].pace_ = LEAT_QUICK_ - 1;
        CHECK_EQ(readings(&c, false) > 0, large);
        for (int i = 0; i < 25600; i++) {
            c.chan.ends_[LEAT_RECEIVES_].pace_ = LEAT_QUICK_; /* no four messages in a microsecond: it tries now and then */
            n += readings(&c, false) > 0;
        }
        CHECK(large ? n > 40 && n < 160 : n == 0);
        while (leat_try_send(&c, &n) == 0) continue;
        c.chan.ends_[LEAT_SENDS_].pace_ = LEAT_QUICK_; /* a sender always does */
        CHECK_EQ(readings(&c, true) > 0, large);
        c.chan.ends_[LEAT_SENDS_].pace_ = 0;
        CHECK_EQ(readings(&c, true) > 0, large);
        end_of_clock();
        while (leat_try_recv(&c, &m) == 0) continue;
        leat_free(&c);
    }
}

TEST(a_receiver_that_lingered_learns_from_what_it_finds)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    int_chan c;
    int m;
    REQUIRE_EQ(leat_make(&c, LEAT_AWAY_), 0);
    for (int n = 1; n <= 4; n++) { /* they come while it looks away */
        leat_case k = LEAT_RECV(&c, &m);
        for (int i = 0; i < n; i++) CHECK_EQ(leat_send(&c, &i), 0);
        c.chan.ends_[LEAT_RECEIVES_].pace_ = 200;
        begin_at(800);
        CHECK_EQ(leat_wait_first_(NULL, NULL, &k), 0);
        end_of_clock();
        CHECK_EQ(c.chan.ends_[LEAT_RECEIVES_].pace_, n == 1 ? 416 : 800 / n);
        while (leat_try_recv(&c, &m) == 0) continue;
    }
    leat_free(&c);
}

/* A sender alone, with a full ring. Its receivers take so many messages when it asks to be woken, and so many when it
 * rests. While it rests the clock goes on. */
static struct {
    int_chan c;
    int next, taken, wakes, rests, at_a_wake, at_a_rest;
    int64_t slow, last_rest; /* how long a wake takes, and how long a rest was */
    leat_ctx *cancels;       /* ends a rest at once */
    bool closes;             /* so does this */
} full;

static bool receivers_take(int64_t until)
{
    bool rests = !(atomic_load(&full.c.chan.ends_[LEAT_RECEIVES_].at_) & LEAT_WAITERS_);
    int m, n = rests ? full.at_a_rest : full.at_a_wake;
    if (rests) full.last_rest = until - stands_at;
    full.rests += rests;
    full.wakes += !rests;
    if (full.cancels || full.closes) {
        leat_cancel(full.cancels, 0);
        if (full.closes) CHECK_EQ(leat_close(&full.c), 0);
        full.cancels = NULL;
        full.closes = false;
        return true;
    }
    stands_at = rests ? until : stands_at + full.slow;
    for (int i = 0; i < n; i++) {
        CHECK_EQ(leat_try_recv(&full.c, &m), 0);
        CHECK_EQ(m, full.taken++);
    }
    return !rests;
}

static void fill_up(void)
{
    while (leat_try_send(&full.c, &full.next) == 0) full.next++;
}

static void begin_full(int cap)
{
    REQUIRE_EQ(leat_make(&full.c, (size_t)cap), 0);
    full.next = full.taken = full.wakes = full.rests = 0;
    full.at_a_wake = 1;
    full.slow = LEAT_US(10);
    fill_up();
    begin_at(0);
    leat_doubt_ = LEAT_DOUBT_; /* so that it soon parks */
    meanwhile = receivers_take;
}

static void end_full(void)
{
    CHECK_EQ(full.next - full.taken, (int)leat_len(&full.c));
    meanwhile = NULL;
    end_of_clock();
    leat_free(&full.c);
}

/* Sends until it has slept so many times more. */
static void sends_while_it_waits(int waits)
{
    for (int end = full.wakes + full.rests + waits; full.wakes + full.rests < end; full.next++)
        CHECK_EQ(leat_send(&full.c, &full.next), 0);
}

TEST(a_sender_rests_where_the_receivers_are_slow)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_full(LEAT_RESTS_);
    full.at_a_rest = 32; /* an eighth, as it expects */
    while (!full.rests && full.wakes < 1000) sends_while_it_waits(1);
    CHECK_EQ(full.wakes, 5); /* 16, 48, 112, 240, 496 ns for a slot */
    CHECK_EQ(full.last_rest, 32 * 496);
    sends_while_it_waits(10);
    CHECK_EQ(full.wakes, 5); /* from now on it always does */
    CHECK_EQ(full.last_rest, 32 * 496);
    full.at_a_rest = 16; /* fewer: it rests for longer */
    sends_while_it_waits(2);
    CHECK_EQ(full.last_rest, 32 * 992);
    full.at_a_rest = 1;
    sends_while_it_waits(20);
    CHECK_EQ(full.last_rest, LEAT_REST_); /* but not without end */
    full.at_a_rest = 129;                 /* more: at once it rests for less */
    sends_while_it_waits(2);
    CHECK_EQ(full.last_rest, 32 * (LEAT_REST_ / 129));
    full.at_a_rest = 0; /* no receiver comes at all: then it sleeps until it is woken */
    int wakes = full.wakes;
    sends_while_it_waits(2);
    CHECK_EQ(full.wakes, wakes + 1);
    end_full();
}

TEST(a_sender_does_not_rest_in_a_small_ring_nor_for_quick_receivers_nor_for_less_than_two_wakes)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_full(LEAT_RESTS_ - 1);
    sends_while_it_waits(100);
    CHECK_EQ(full.rests, 0);
    end_full();
    begin_full(LEAT_RESTS_);
    full.slow = LEAT_QUICK_ - 1;
    sends_while_it_waits(100);
    CHECK_EQ(full.rests, 0);
    end_full();
    begin_full(LEAT_RESTS_);
    leat_case c = LEAT_SEND(&full.c, &full.next);
    full.c.chan.ends_[LEAT_SENDS_].pace_ = 1000;
    leat_wake_took_(16000);
    CHECK_EQ(leat_case_rests_(&c), 32000);
    leat_wake_took_(LEAT_MS(1));
    CHECK_EQ(leat_case_rests_(&c), 0);
    end_full();
}

/* As full as can be, and the next send rests for 64 us. */
static void begin_to_rest(void)
{
    begin_full(LEAT_RESTS_);
    full.at_a_rest = 64;
    full.c.chan.ends_[LEAT_SENDS_].pace_ = 2000;
    leat_wake_took_(LEAT_US(5));
    leat_doubt_ = 0;
}

TEST(a_sender_that_rests_is_cancelled_at_once_and_sends_nothing)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    for (int of_the_parent = 0; of_the_parent <= 1; of_the_parent++) {
        leat_ctx parent = LEAT_CTX(NULL), ctx = LEAT_CTX(&parent);
        begin_to_rest();
        full.cancels = of_the_parent ? &parent : &ctx;
        CHECK_EQ(leat_send_ctx(&ctx, &full.c, &full.next), -ECANCELED);
        CHECK_EQ(full.rests, 1);
        CHECK_EQ(full.wakes, 0);
        CHECK_EQ(leat_doubt_, 0); /* it did not spin either */
        CHECK_EQ(yields, 0);
        end_full();
    }
}

TEST(a_close_wakes_a_sender_that_rests_and_none_rests_where_it_is_closed)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_to_rest();
    full.closes = true;
    CHECK_EQ(leat_send(&full.c, &full.next), -EPIPE);
    CHECK_EQ(full.rests, 1);
    leat_case c = LEAT_SEND(&full.c, &full.next); /* a sender that was about to rest when the channel was closed */
    full.c.chan.ends_[LEAT_SENDS_].pace_ = 2000;
    CHECK(leat_case_rests_(&c) > 0);
    leat_waiter_ w;
    leat_waiter_init_(&w);
    CHECK(!leat_enqueue_and_spin_(&(leat_enqueuing_){ .first_ = &c }, &w));
    CHECK(!c.link_.linked_);
    leat_os_done_(&w.state_);
    CHECK_EQ(leat_send(&full.c, &full.next), -EPIPE);
    CHECK_EQ(full.rests, 1);
    CHECK_EQ(full.wakes, 0);
    end_full();
}

TEST(a_sender_with_a_near_deadline_does_not_rest)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    for (int of_the_parent = 0; of_the_parent <= 1; of_the_parent++) {
        begin_to_rest();
        leat_case c = LEAT_SEND(&full.c, &full.next);
        leat_ctx near = LEAT_CTX_WITHIN(NULL, LEAT_US(127)), far = LEAT_CTX_WITHIN(NULL, LEAT_US(1000));
        leat_ctx under_near = LEAT_CTX(&near), under_far = LEAT_CTX(&far);
        CHECK_EQ(leat_rest_until_(&c, NULL, of_the_parent ? &under_near : &near), LEAT_FOREVER);
        CHECK_EQ(leat_rest_until_(&c, NULL, of_the_parent ? &under_far : &far), leat_after(LEAT_US(64)));
        full.slow = 0;
        leat_doubt_ = LEAT_DOUBT_;
        CHECK_EQ(leat_send_ctx(of_the_parent ? &under_near : &near, &full.c, &full.next), 0);
        full.next++;
        CHECK_EQ(full.rests, 0);
        CHECK_EQ(full.wakes, 1);
        fill_up();
        full.c.chan.ends_[LEAT_SENDS_].pace_ = 2000;
        CHECK_EQ(leat_send_ctx(of_the_parent ? &under_far : &far, &full.c, &full.next), 0);
        full.next++;
        CHECK_EQ(full.rests, 1);
        end_full();
    }
}

static struct slow stopped;

/* The clock goes on. While the sender rests, a receiver claims a slot and stops. It goes on much later. */
static bool a_receiver_stops(int64_t until)
{
    stands_at = until;
    full.rests++;
    if (full.rests == 1) stopped = slow_recv(&full.c);
    if (full.rests == 10000) CHECK_EQ(slow_recv_publish(&stopped), full.taken++);
    return false;
}

TEST(a_sender_that_finds_a_receive_in_flight_after_its_rest_keeps_its_deadline)
{
    if (!leat_spin_pays_()) SKIP(NOBODY_SPINS);
    begin_to_rest();
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    meanwhile = a_receiver_stops;
    CHECK_EQ(leat_send_ctx(&ctx, &full.c, &full.next), -ETIMEDOUT);
    CHECK(full.rests < 10000);
    CHECK_EQ(slow_recv_publish(&stopped), full.taken++);
    end_full();
}

static bool time_goes_on(int64_t until)
{
    stands_at = until;
    return false;
}

TEST(a_wait_that_ended_with_its_deadline_reads_the_exact_clock)
{
    for (int selects = 0; selects <= 1; selects++) {
        int_chan c;
        int m, before = sleeps;
        leat_wg wg = LEAT_WG(1);
        REQUIRE_EQ(leat_make(&c, 1), 0);
        begin_at(0);
        coarse_lags = LEAT_MS(4);
        meanwhile = time_goes_on;
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
        CHECK_EQ(selects ? leat_recv_ctx(&ctx, &c, &m) : leat_wg_wait_ctx(&ctx, &wg), -ETIMEDOUT);
        CHECK_EQ(sleeps - before, 1);
        meanwhile = NULL;
        coarse_lags = 0;
        end_of_clock();
        leat_free(&c);
    }
}
