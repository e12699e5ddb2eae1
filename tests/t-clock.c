/* t-clock.c - the first and the last moments of the clock, and deadlines that a word of the system cannot
 * hold; what is learned from time: the headers run by a clock of ours, and their sleeps are counted.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Added to the system's clock; what the system is told is without it. */
static int64_t ahead;
static _Atomic int sleeps;
static _Atomic int64_t stands_at; /* or the clock stands still, here */

static struct timespec moved(struct timespec ts, int64_t by)
{
    int64_t t = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec + by;
    if (t < 0) t = 0;
    if (sizeof(long) < 8 && t / 1000000000 > INT32_MAX) t = INT64_C(1000000000) * INT32_MAX;
    return (struct timespec){ .tv_sec = (time_t)(t / 1000000000),
                              .tv_nsec = (long)(t % 1000000000) };
}

#if defined __linux__
typedef struct { /* what the headers take for a time on the machines that the tests run on */
    long sec, nsec;
} os_time;
#else
typedef struct timespec os_time;
#endif

int our_clock_gettime(int id, os_time *t);
int our_clock_gettime(int id, os_time *t)
{
    struct timespec ts;
    int err = clock_gettime(id, &ts);
    ts = stands_at ? moved((struct timespec){ .tv_sec = 0 }, stands_at) : moved(ts, ahead);
    memcpy(t, &(os_time){ (long)ts.tv_sec, ts.tv_nsec }, sizeof *t);
    return err;
}

/* What happens while somebody sleeps until a time, or (0) until it is woken: true if that was before; NULL: the
 * real thing. */
static bool (*meanwhile)(int64_t until);

static _Atomic unsigned long usable_cpus = 3; /* which the process may use: a bit for each */

#if defined SYS_futex
long our_syscall(long nr, ...);
long our_syscall(long nr, ...)
{
    os_time ts;
    long a[6];
    va_list ap;
    va_start(ap, nr);
    for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
    va_end(ap);
    if (nr == SYS_sched_getaffinity) {
        *(unsigned long *)a[2] = usable_cpus;
        return sizeof(long);
    }
    if (nr == SYS_futex && a[1] == 137) {
        os_time *late = (void *)a[3];
        atomic_fetch_add(&sleeps, 1);
        if (meanwhile) {
            bool woken = meanwhile(late ? late->sec * INT64_C(1000000000) + late->nsec : 0);
            errno = woken ? 0 : ETIMEDOUT;
            return woken ? 0 : -1;
        }
        if (late && late->sec >= 0) {
            struct timespec t = moved((struct timespec){ .tv_sec = late->sec, .tv_nsec = late->nsec }, -ahead);
            ts = (os_time){ (long)t.tv_sec, t.tv_nsec };
            a[3] = (long)&ts;
        }
    }
    return syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
#define syscall our_syscall
#endif

int our_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *late);
int our_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *late)
{
    struct timespec ts = *late;
    atomic_fetch_add(&sleeps, 1);
    if (meanwhile) {
        pthread_mutex_unlock(mutex);
        bool woken = meanwhile(ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec);
        pthread_mutex_lock(mutex);
        return woken ? 0 : ETIMEDOUT;
    }
    if (ts.tv_sec >= 0) ts = moved(ts, -ahead);
    return pthread_cond_timedwait(cond, mutex, &ts);
}

int our_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int our_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (!meanwhile) return pthread_cond_wait(cond, mutex);
    pthread_mutex_unlock(mutex);
    meanwhile(0);
    pthread_mutex_lock(mutex);
    return 0;
}

/* A yield that lets others run for so long, by a clock that stands still otherwise; or a real one. */
static _Atomic int64_t slice = -1;
static int yields;

int our_yield(void);
int our_yield(void)
{
    if (slice < 0) return sched_yield();
    stands_at += slice;
    yields++;
    return 0;
}

#define sched_yield our_yield
#define clock_gettime our_clock_gettime
#define pthread_cond_timedwait our_timedwait
#define pthread_cond_wait our_wait
#include "pool.h"
#undef sched_yield
#undef clock_gettime
#undef syscall
#undef pthread_cond_timedwait
#undef pthread_cond_wait
#include "staging.h"

/* As many seconds as the system's words hold: to the end of our 64 bits in nanoseconds, or of its 32 bits. */
static int64_t the_end(void)
{
    return sizeof(time_t) < 8 || sizeof(long) < 8 ? INT64_C(0x7FFFFFFF) * 1000000000 : INT64_MAX;
}

static void set_clock(int64_t now)
{
    ahead = 0;
    ahead = now - leat_now();
}

static int adds(leat_ctx *ctx, void *sum)
{
    atomic_fetch_add((_Atomic int *)sum, 1);
    return leat_ctx_err(ctx);
}

static int takes_turns(leat_ctx *ctx, void *sem)
{
    for (int i = 0; i < 50; i++) {
        if (leat_acquire_ctx(ctx, sem, 1)) return -1;
        if (leat_sleep_ctx(ctx, LEAT_US(100)) || leat_release(sem, 1)) return -2;
    }
    return 0;
}

/* What asks for the time; `far` is a duration that is not reached. */
static void all_that_waits(int64_t far)
{
    int_chan c;
    int m = 0;
    leat_sem sem = LEAT_SEM(1);
    leat_wg wg = LEAT_WG(1);
    leat_group g = LEAT_GROUP(NULL);
    leat_pool p;
    struct call k;
    _Atomic int sum = 0;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    for (int i = 0; i < 3; i++) {
        leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(3));
        CHECK_EQ(i == 0   ? leat_recv_ctx(&soon, &c, &m)
                 : i == 1 ? leat_wg_wait_ctx(&soon, &wg)
                          : leat_sleep_ctx(&soon, far),
                 -ETIMEDOUT);
        CHECK(leat_now() >= soon.deadline_);
    }
    leat_ctx late = LEAT_CTX_WITHIN(NULL, far), past = LEAT_CTX_WITHIN(NULL, -far);
    CHECK_EQ(leat_recv_ctx(&past, &c, &m), -ETIMEDOUT);
    CHECK_EQ(leat_ctx_err(&late), 0);
    recv_waits(&k, &late, &c);
    CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
    CHECK_EQ(end(&k), 0);
    CHECK_EQ(leat_go_n(&g, 3, takes_turns, &sem),
             0); /* one who waited for 1 ms is next, by the clock */
    CHECK_EQ(leat_wait(&g), 0);
    REQUIRE_EQ(leat_pool_start(&p, &late, &(leat_pool_opts){ .workers = 2, .queue = 1 }), 0);
    for (int i = 0; i < 50; i++) CHECK_EQ(leat_submit_ctx(&late, &p, adds, &sum), 0);
    CHECK_EQ(leat_pool_stop(&p), 0);
    CHECK_EQ(sum, 50);
    leat_free(&c);
}

TEST(at_the_beginning_of_time)
{
    set_clock(0);
    CHECK(leat_now() < LEAT_S(60));
    all_that_waits(LEAT_S(100000));
}

TEST(at_the_end_of_time)
{
    set_clock(the_end() - LEAT_S(600));
    CHECK(leat_now() > the_end() - LEAT_S(601));
    all_that_waits(LEAT_S(1000));
    CHECK(leat_after(LEAT_S(1000)) > the_end() - 1);
}

TEST(a_deadline_too_far_for_a_word_of_the_system_is_slept_under)
{
    static const int64_t years[] = { 1, 67, 69, 137, 200, 290 };
    set_clock(LEAT_S(1000));
    for (size_t i = 0; i < COUNT(years); i++) {
        int_chan c;
        struct call k;
        leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_S(365 * 86400) * years[i]);
        REQUIRE_EQ(leat_make(&c, 1), 0);
        recv_waits(&k, &ctx, &c);
        int before = sleeps;
        (void)leat_sleep(LEAT_MS(20));
        CHECK(sleeps - before < 20);
        CHECK_EQ(leat_send(&c, &(int){ 1 }), 0);
        CHECK_EQ(end(&k), 0);
        leat_free(&c);
    }
}

/* How often it yields until it would sleep. */
static int spins(int64_t slice_now)
{
    unsigned round = LEAT_PAUSES_;
    slice = slice_now;
    yields = 0;
    while (leat_spin_(&round)) continue;
    return yields;
}

static void *yields_slowly(void *unused)
{
    stands_at = LEAT_S(1000);
    CHECK(spins(0) > 1);
    CHECK_EQ(spins(LEAT_MS(4)), 1);
    stands_at += LEAT_MS(5);
    CHECK(spins(0) > 1);
    CHECK_EQ(spins(LEAT_MS(4)), 1); /* less than half of the time is lost */
    CHECK(spins(0) > 1);
    stands_at += LEAT_MS(3);
    CHECK_EQ(spins(LEAT_MS(4)), 1); /* now it is more */
    CHECK_EQ(spins(0), 0);
    stands_at += LEAT_MS(99);
    CHECK_EQ(spins(0), 0);
    unsigned round = LEAT_PAUSES_;
    yields = 0;
    CHECK(leat_yield_(&round, true)); /* who was woken for nothing may */
    CHECK_EQ(yields, 1);
    stands_at += LEAT_MS(1);
    CHECK(spins(0) > 1);
    CHECK_EQ(spins(LEAT_MS(200)), 1);
    CHECK_EQ(spins(0), 0);
    stands_at -= LEAT_S(100); /* a clock that steps back does no harm */
    CHECK(spins(0) > 1);
    slice = -1;
    stands_at = 0;
    return unused;
}

TEST(who_loses_half_of_the_time_by_yielding_yields_no_more_for_a_while)
{
    pthread_t thread; /* it remembers nothing */
    if (!leat_spin_pays_()) SKIP("with one CPU nobody spins");
    REQUIRE(pthread_create(&thread, NULL, yields_slowly, NULL) == 0);
    pthread_join(thread, NULL);
}

static void *cpus_come_and_go(void *unused)
{
    unsigned round = LEAT_PAUSES_;
    leat_spins_ = 0;
    stands_at = LEAT_S(1000);
    CHECK(spins(0) > 1);
    usable_cpus = 1;
    stands_at += LEAT_MS(99);
    CHECK(spins(0) > 1); /* nobody has looked since */
    stands_at += LEAT_MS(1);
    CHECK_EQ(spins(0), 1); /* the yield that looks is the last */
    CHECK_EQ(spins(0), 0);
    usable_cpus = 3;
    stands_at += LEAT_MS(99);
    CHECK_EQ(spins(0), 0);
    stands_at += LEAT_MS(1);
    CHECK(spins(0) > 1);
    usable_cpus = 1;
    stands_at += LEAT_MS(100);
    leat_backoff_(&round); /* who waits for a lock looks, too */
    CHECK_EQ(spins(0), 0);
    usable_cpus = 3;
    atomic_store(&leat_quota_, 150); /* of what it has it may use one */
    stands_at += LEAT_MS(100);
    CHECK_EQ(spins(0), 0);
    atomic_store(&leat_quota_, 200);
    stands_at += LEAT_MS(100);
    CHECK(spins(0) > 1);
    atomic_store(&leat_quota_, 0);
    slice = -1;
    stands_at = 0;
    leat_spins_ = 0;
    return unused;
}

TEST(spinning_ends_and_resumes_within_100_ms_of_a_change_of_the_cpus)
{
#if defined __linux__
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, cpus_come_and_go, NULL) == 0);
    pthread_join(thread, NULL);
#else
    SKIP("the number of CPUs is the system's business");
#endif
}

/* Ends a wait of somebody who sleeps, or still spins. */
static void ends_a_wait(uint32_t slept)
{
    leat_waiter_ w;
    leat_link_ link = { .waiter_ = &w };
    leat_waiter_init_(&w);
    atomic_store(&w.state_.word_, slept);
    leat_fire_(&link);
    leat_os_done_(&w.state_);
}

/* How often it yields when it would sleep otherwise. */
static int holds_out(int64_t slice_now)
{
    unsigned round = LEAT_ROUNDS_;
    slice = slice_now;
    yields = 0;
    while (leat_spin_(&round)) continue;
    return yields;
}

static void *wakes_others(void *unused)
{
    unsigned round = LEAT_ROUNDS_;
    stands_at = LEAT_S(1000);
    CHECK_EQ(holds_out(0), 0);
    ends_a_wait(0);
    CHECK_EQ(holds_out(0), 0);
    for (int vain = 1; vain <= 7; vain = 2 * vain + 1) {
        ends_a_wait(LEAT_ASLEEP_);
        CHECK_EQ(holds_out(0), LEAT_HOLDS_OUT_);
        for (int i = 0; i < vain; i++) {
            ends_a_wait(LEAT_ASLEEP_);
            CHECK_EQ(holds_out(0), 0);
        }
    }
    ends_a_wait(LEAT_ASLEEP_);
    CHECK(leat_spin_(&round)); /* and the answer comes */
    ends_a_wait(LEAT_ASLEEP_);
    CHECK_EQ(holds_out(LEAT_US(10)), (LEAT_HOLDS_OUT_ + 5) / 6);
    ends_a_wait(LEAT_ASLEEP_);
    CHECK_EQ(holds_out(0), 0);
    ends_a_wait(LEAT_ASLEEP_);
    CHECK_EQ(holds_out(LEAT_MS(1)), 1);
    slice = -1;
    stands_at = 0;
    return unused;
}

TEST(who_has_woken_a_sleeper_waits_longer_for_the_answer_unless_in_vain)
{
    pthread_t thread;
    if (!leat_spin_pays_()) SKIP("with one CPU nobody spins");
    REQUIRE(pthread_create(&thread, NULL, wakes_others, NULL) == 0);
    pthread_join(thread, NULL);
}

/* A sender into a full ring, alone: its receivers take so many messages when it asks to be woken, and when it
 * rests, for which the clock goes on. */
static struct {
    int_chan c;
    int next, taken, wakes, rests, at_a_wake, at_a_rest;
    int64_t last_rest, late; /* how long it was; how much later it ends */
    leat_ctx *cancels; /* ends a rest at once */
    bool closes;       /* so does this */
} full;

static bool receivers_take(int64_t until)
{
    bool rests = !(atomic_load(&full.c.chan.head_) & LEAT_WAITERS_);
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
    if (rests) stands_at = until + full.late;
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
    full.late = 0;
    fill_up();
    stands_at = LEAT_S(1000);
    slice = 0;
    meanwhile = receivers_take;
}

static void end_full(void)
{
    CHECK_EQ(full.next - full.taken, (int)leat_len(&full.c));
    meanwhile = NULL;
    slice = -1;
    stands_at = 0;
    leat_free(&full.c);
}

/* Sends until it has slept so many times more. */
static void sends_while_it_waits(int waits)
{
    for (int end = full.wakes + full.rests + waits; full.wakes + full.rests < end; full.next++)
        CHECK_EQ(leat_send(&full.c, &full.next), 0);
}

/* Sends until it rests: how many times it was woken before. */
static int wakes_before_a_rest(void)
{
    int wakes = full.wakes, rests = full.rests;
    while (full.rests == rests && full.wakes < wakes + 100000) sends_while_it_waits(1);
    return full.wakes - wakes;
}

enum { SLOW = 25, SLOW_WAITS = 511 / SLOW }; /* each takes 25 pauses more than would be quick; 512 are too many */

TEST(a_sender_rests_where_the_receivers_are_slow)
{
    if (!leat_spin_pays_()) SKIP("with one CPU nobody comes back for each slot");
    begin_full(256);
    full.at_a_rest = 64;
    CHECK_EQ(wakes_before_a_rest(), SLOW_WAITS);
    CHECK_EQ(full.last_rest, LEAT_US(64));
    int wakes = full.wakes;
    sends_while_it_waits(10);
    CHECK_EQ(full.wakes, wakes); /* from now on it always does */
    CHECK_EQ(full.last_rest, LEAT_US(64));
    full.at_a_rest = 32; /* an eighth */
    sends_while_it_waits(2);
    CHECK_EQ(full.last_rest, LEAT_US(64));
    full.at_a_rest = 31; /* less: longer */
    for (int us = 64; us < 4096; us *= 2) {
        sends_while_it_waits(1);
        CHECK_EQ(full.last_rest, LEAT_US(us < 1024 ? us : 1024));
    }
    full.at_a_rest = 0; /* nobody comes at all: then it sleeps until it is woken */
    wakes = full.wakes;
    sends_while_it_waits(2);
    CHECK_EQ(full.wakes, wakes + 1);
    end_full();
}

TEST(a_sender_that_rested_for_too_long_tries_it_ever_less)
{
    if (!leat_spin_pays_()) SKIP("with one CPU nobody comes back for each slot");
    begin_full(256);
    full.at_a_rest = 129; /* not half of them are left */
    for (int too_many = 512; too_many < 500000; too_many *= 8) {
        CHECK_EQ(wakes_before_a_rest(), (too_many - 1) / SLOW);
        CHECK_EQ(full.last_rest, LEAT_US(64));
    }
    full.at_a_rest = 128; /* just right */
    wakes_before_a_rest();
    full.at_a_rest = 129;
    sends_while_it_waits(1);
    full.at_a_rest = 128;
    CHECK_EQ(wakes_before_a_rest(),
             (8 * 512 - 1) / SLOW); /* what went wrong before that is forgotten */
    full.at_a_rest = 128;
    wakes_before_a_rest();
    full.at_a_rest = 129;
    full.late = LEAT_US(200); /* others had the CPU: it begins anew, as patient as before */
    sends_while_it_waits(1);
    CHECK_EQ(wakes_before_a_rest(), SLOW_WAITS);
    full.late--;
    CHECK_EQ(wakes_before_a_rest(), SLOW_WAITS);
    CHECK_EQ(wakes_before_a_rest(), (8 * 512 - 1) / SLOW);
    full.late = 0;
    for (int last = 0; last <= 1; last++) { /* patience has an end */
        uint32_t patience = (1u << 24) - !last;
        full.c.chan.patience_ = patience;
        full.c.chan.slow_ = patience + 512;
        full.at_a_rest = 129;
        sends_while_it_waits(1);
        CHECK_EQ(full.c.chan.patience_, last ? patience : 8 * (512 + patience) - 512);
    }
    end_full();
}

TEST(a_sender_into_a_small_ring_or_to_quick_receivers_does_not_rest)
{
    if (!leat_spin_pays_()) SKIP("with one CPU nobody comes back for each slot");
    begin_full(255);
    sends_while_it_waits(5 * SLOW_WAITS);
    CHECK_EQ(full.rests, 0);
    end_full();
    begin_full(256);
    for (int i = 0; i < 5 * SLOW_WAITS; i++) {
        sends_while_it_waits(1);
        for (int quick = 0; quick < 4; quick++) { /* a slot is free when it looks */
            leat_case c = LEAT_SEND(&full.c, &full.next);
            int m;
            CHECK_EQ(leat_recv(&full.c, &m), 0);
            CHECK_EQ(m, full.taken++);
            CHECK_EQ(leat_wait_first_(NULL, NULL, &c), 0);
            full.next++;
        }
    }
    CHECK_EQ(full.rests, 0);
    end_full();
}

/* As full as can be, and the next send rests. */
static void begin_to_rest(void)
{
    begin_full(256);
    full.at_a_rest = 64;
    wakes_before_a_rest();
    fill_up();
    full.rests = full.wakes = 0;
    leat_wakes_ = (struct leat_wakes_){ .rounds_ = LEAT_HOLDS_OUT_ }; /* as if it had just woken somebody */
}

TEST(a_sender_that_rests_is_cancelled_at_once_and_sends_nothing)
{
    if (!leat_spin_pays_()) SKIP("with one CPU nobody comes back for each slot");
    for (int of_the_parent = 0; of_the_parent <= 1; of_the_parent++) {
        leat_ctx parent = LEAT_CTX(NULL), ctx = LEAT_CTX(&parent);
        begin_to_rest();
        full.cancels = of_the_parent ? &parent : &ctx;
        yields = 0;
        CHECK_EQ(leat_send_ctx(&ctx, &full.c, &full.next), -ECANCELED);
        CHECK_EQ(full.rests, 1);
        CHECK_EQ(full.wakes, 0);
        CHECK_EQ(yields, 0);
        end_full();
    }
}

TEST(a_close_wakes_a_sender_that_rests_and_none_rests_where_it_is_closed)
{
    if (!leat_spin_pays_()) SKIP("with one CPU nobody comes back for each slot");
    begin_to_rest();
    full.closes = true;
    CHECK_EQ(leat_send(&full.c, &full.next), -EPIPE);
    CHECK_EQ(full.rests, 1);
    CHECK(leat_rest_due_(&full.c.chan) > 0);
    leat_case c = LEAT_SEND(&full.c, &full.next); /* one that was on the way to rest when it was closed */
    leat_waiter_ w;
    leat_waiter_init_(&w);
    CHECK(!leat_arm_(&(leat_arming_){ .first_ = &c }, &w));
    CHECK(!c.link_.linked_);
    leat_os_done_(&w.state_);
    CHECK_EQ(leat_send(&full.c, &full.next), -EPIPE);
    CHECK_EQ(full.rests, 1);
    CHECK_EQ(full.wakes, 0);
    end_full();
}

TEST(a_sender_with_a_near_deadline_does_not_rest)
{
    if (!leat_spin_pays_()) SKIP("with one CPU nobody comes back for each slot");
    for (int of_the_parent = 0; of_the_parent <= 1; of_the_parent++) {
        begin_to_rest();
        leat_case c = LEAT_SEND(&full.c, &full.next);
        leat_ctx near = LEAT_CTX_WITHIN(NULL, LEAT_US(127)), far = LEAT_CTX_WITHIN(NULL, LEAT_US(1000));
        leat_ctx under_near = LEAT_CTX(&near), under_far = LEAT_CTX(&far);
        CHECK_EQ(leat_rest_until_(&c, NULL, of_the_parent ? &under_near : &near), LEAT_FOREVER);
        CHECK_EQ(leat_rest_until_(&c, NULL, of_the_parent ? &under_far : &far), leat_after(LEAT_US(64)));
        CHECK_EQ(leat_send_ctx(of_the_parent ? &under_near : &near, &full.c, &full.next), 0);
        full.next++;
        CHECK_EQ(full.rests, 0);
        CHECK_EQ(full.wakes, 1);
        fill_up();
        CHECK_EQ(leat_send_ctx(of_the_parent ? &under_far : &far, &full.c, &full.next), 0);
        full.next++;
        CHECK_EQ(full.rests, 1);
        end_full();
    }
}

static struct slow stopped;

/* The clock goes on; while the sender rests, a receiver claims a slot and stops; it goes on much later. */
static bool a_receiver_stops(int64_t until)
{
    stands_at = until;
    full.rests++;
    if (full.rests == 1) stopped = slow_recv(&full.c);
    if (full.rests == 10000) CHECK_EQ(slow_recv_publish(&stopped), full.taken++);
    return false;
}

TEST(a_sender_that_finds_a_receiver_half_way_after_its_rest_keeps_its_deadline)
{
    if (!leat_spin_pays_()) SKIP("with one CPU nobody comes back for each slot");
    begin_to_rest();
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_MS(10));
    meanwhile = a_receiver_stops;
    CHECK_EQ(leat_send_ctx(&ctx, &full.c, &full.next), -ETIMEDOUT);
    CHECK(full.rests < 10000);
    CHECK_EQ(slow_recv_publish(&stopped), full.taken++);
    end_full();
}
