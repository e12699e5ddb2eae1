/* f-suspended.c - a signal handler suspends a thread V in the middle of an operation, before each of its atomic steps
 * in turn, and keeps it. A thread that has nothing to do with V gets on. A thread that needs what V holds may have to
 * wait, but burns no core. When V goes on at last, nothing is lost.
 * SPDX-License-Identifier: MIT
 *
 * (tests/queue/t-step.c does it at each instruction, on a stage. Here the threads and their time are real.) */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* Each atomic operation of the headers names its memory order. There the thread under test counts down. */
static _Thread_local int steps_left; /* 0: not under test */

static void step(void)
{
    if (steps_left && --steps_left == 0) raise(SIGUSR1);
}

#define memory_order_relaxed (step(), memory_order_relaxed)
#define memory_order_acquire (step(), memory_order_acquire)
#define memory_order_release (step(), memory_order_release)
#include "faults.h"
#include "staging.h"

static int gate[2];
static _Atomic bool stopped;

/* Waits until a thread writes to the gate. */
static void suspend(int signal)
{
    int saved = errno;
    char byte;
    (void)signal;
    atomic_store(&stopped, true);
    while (read(gate[0], &byte, 1) != 1) {}
    errno = saved;
}

/* ==== Scenes ================================================================================== */

static int_chan c, d;
static leat_sem sem;
static leat_wg wg;
static leat_ctx ctx;
static leat_pool pool;
static leat_group group;
static struct call staged; /* parked before the victim comes */
static struct actor waiter;
static _Atomic int jobs;
static int answer; /* of the victim */

static void put(int n)
{
    for (int i = 0; i < n; i++) CHECK_EQ(leat_send(&c, &i), 0);
}

static void take(int n)
{
    for (int i = 0, m; i < n; i++) CHECK_EQ(leat_recv(&c, &m), 0);
}

static void send_one(void)
{
    put(1);
}

static void recv_one(void)
{
    take(1);
}

static void recv_two(void)
{
    take(2);
}

static void try_to_recv_one(void)
{
    int m, err;
    while ((err = leat_try_recv(&c, &m)) == -EAGAIN) (void)leat_sleep(LEAT_US(300));
    CHECK_EQ(err, 0);
}

static void try_to_send_one(void)
{
    int err;
    while ((err = leat_try_send(&c, &answer)) == -EAGAIN) (void)leat_sleep(LEAT_US(300));
    CHECK_EQ(err, 0);
}

static void room_for_1(void)
{
    REQUIRE_EQ(leat_make(&c, 1), 0);
}

static void room_for_2(void)
{
    REQUIRE_EQ(leat_make(&c, 2), 0);
}

static void two_of_2(void)
{
    room_for_2();
    put(2);
}

static void one_of_1(void)
{
    room_for_1();
    put(1);
}

static void a_parked_receiver(void)
{
    room_for_2();
    recv_waits(&staged, NULL, &c);
}

static void a_parked_sender(void)
{
    one_of_1();
    send_waits(&staged, NULL, &c, 7);
}

static void unbuffered(void)
{
    REQUIRE_EQ(leat_make(&c, 0), 0);
}

static void a_parked_unbuffered_receiver(void)
{
    unbuffered();
    recv_waits(&staged, NULL, &c);
}

static void a_parked_unbuffered_sender(void)
{
    unbuffered();
    send_waits(&staged, NULL, &c, 7);
}

static void staged_ends_well(void)
{
    CHECK_EQ(end(&staged), 0);
}

static void send_three(void)
{
    int m[3] = { 1, 2, 3 };
    for (ptrdiff_t n = 0, k; n < 3; n += k) REQUIRE((k = leat_send_many(&c, m + n, (size_t)(3 - n))) > 0);
}

static void recv_three(void)
{
    int m[3];
    for (ptrdiff_t n = 0, k; n < 3; n += k) REQUIRE((k = leat_recv_many(&c, m + n, (size_t)(3 - n))) > 0);
}

static void room_for_4(void)
{
    REQUIRE_EQ(leat_make(&c, 4), 0);
}

static void three_of_4(void)
{
    room_for_4();
    put(3);
}

/* Gives up, or gets the message. Then another is sent. */
static void recv_soon(void)
{
    int m;
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(1));
    answer = leat_recv_ctx(&soon, &c, &m);
    CHECK(answer == 0 || answer == -ETIMEDOUT);
}

static void what_was_not_received_is_there(void)
{
    int m;
    CHECK_EQ(leat_try_recv(&c, &m), answer ? 0 : -EAGAIN);
}

static void select_either(void)
{
    int m;
    leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_SEND(&d, &answer) };
    answer = leat_select(cases, 2);
    CHECK(answer >= 0);
}

static void recv_d_soon(void)
{
    int m;
    leat_ctx soon = LEAT_CTX_WITHIN(NULL, LEAT_MS(1));
    int err = leat_recv_ctx(&soon, &d, &m);
    CHECK(err == 0 || err == -ETIMEDOUT);
}

static void what_was_not_selected_is_there(void)
{
    int m;
    CHECK_EQ(leat_try_recv(&c, &m), answer ? 0 : -EAGAIN);
}

static void close_it(void)
{
    CHECK_EQ(leat_close(&c), 0);
}

static void drain_it(void)
{
    int m, n = 0, err;
    while ((err = leat_recv(&c, &m)) == 0) n++;
    CHECK_EQ(err, -EPIPE);
    answer = n;
}

static void the_staged_was_received_or_refused(void)
{
    int err = end(&staged);
    CHECK_EQ(err, answer == 2 ? 0 : -EPIPE);
}

static void full_below_a_context(void)
{
    ctx = (leat_ctx)LEAT_CTX(NULL);
    one_of_1();
    send_waits(&staged, &ctx, &c, 7);
}

static void cancel_it(void)
{
    leat_cancel(&ctx, 0);
}

static void send_below_it(void)
{
    CHECK_EQ(leat_send_ctx(&ctx, &c, &answer), -ECANCELED);
}

static void staged_is_cancelled(void)
{
    CHECK_EQ(end(&staged), -ECANCELED);
    recv_one();
}

static void pass_with_two(void *unused)
{
    (void)unused;
    CHECK_EQ(leat_acquire(&sem, 2), 0);
    CHECK_EQ(leat_release(&sem, 2), 0);
}

static void one_permit(void)
{
    sem = (leat_sem)LEAT_SEM_OF(1, 2);
}

static void one_permit_and_a_waiter_for_two(void)
{
    one_permit();
    enter(&waiter, pass_with_two, NULL);
    UNTIL(in_queue_(&sem.lock_, &sem.waiters_) == 1);
}

static void release_one(void)
{
    CHECK_EQ(leat_release(&sem, 1), 0);
}

static void acquire_one(void)
{
    CHECK_EQ(leat_acquire(&sem, 1), 0);
}

static void pass_with_one(void)
{
    acquire_one();
    release_one();
}

static void both_are_back(void)
{
    leave(&waiter);
    CHECK_EQ(leat_sem_available(&sem), 2);
}

static void none_is_left(void)
{
    CHECK_EQ(leat_sem_available(&sem), 0);
}

static void wait_for_zero(void *unused)
{
    (void)unused;
    CHECK_EQ(leat_wg_wait(&wg), 0);
}

static void one_to_do(void)
{
    wg = (leat_wg)LEAT_WG(1);
    enter(&waiter, wait_for_zero, NULL);
    UNTIL(in_queue_(&wg.lock_, &wg.waiters_) == 1);
}

static void do_it(void)
{
    CHECK_EQ(leat_wg_done(&wg), 0);
}

static void wait_for_it(void)
{
    wait_for_zero(NULL);
}

static void waiter_leaves(void)
{
    leave(&waiter);
}

static int job(leat_ctx *unused, void *arg)
{
    (void)unused, (void)arg;
    atomic_fetch_add(&jobs, 1);
    return 0;
}

static void one_worker(void)
{
    jobs = 0;
    REQUIRE_EQ(leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = 1, .queue = 2 }), 0);
}

static void submit_one(void)
{
    CHECK_EQ(leat_submit(&pool, job, NULL), 0);
}

static void stop_it(void)
{
    CHECK_EQ(leat_pool_stop(&pool), 0);
    CHECK_EQ(jobs, 2);
}

static void a_group(void)
{
    jobs = 0;
    group = (leat_group)LEAT_GROUP(NULL);
}

static void go_one(void)
{
    CHECK_EQ(leat_go(&group, job, NULL), 0);
}

static void wait_for_the_group(void)
{
    CHECK_EQ(leat_wait(&group), 0);
    CHECK_EQ(jobs, 2);
}

/* The threads that act beside the victim. The first `sure` of them get on, whatever the victim holds. */
static const struct scene {
    void (*set)(void), (*victim)(void), (*others[3])(void);
    int sure;
    void (*check)(void);
} scenes[] = {
    { room_for_2, send_one, { send_one, recv_two }, 1, NULL },
    { room_for_2, try_to_send_one, { send_one, try_to_recv_one, recv_one }, 1, NULL },
    { a_parked_receiver, send_one, { send_one, recv_one }, 0, staged_ends_well },
    { room_for_1, send_one, { send_one, send_one, recv_two }, 0, recv_one },
    { two_of_2, recv_one, { recv_one, send_one, send_one }, 1, recv_two },
    { two_of_2, try_to_recv_one, { recv_one, try_to_send_one }, 1, recv_one },
    { a_parked_sender, recv_one, { recv_one }, 0, staged_ends_well },
    { room_for_1, recv_one, { send_one, send_one, recv_one }, 0, NULL },
    { one_of_1, send_one, { recv_one, recv_one }, 0, NULL },
    { room_for_4, send_three, { send_one, recv_three }, 1, recv_one },
    { three_of_4, recv_three, { send_three }, 0, recv_three },
    { room_for_1, recv_soon, { send_one }, 0, what_was_not_received_is_there },
    { unbuffered, send_one, { recv_one, recv_one, send_one }, 0, NULL },
    { unbuffered, recv_one, { recv_one, send_one, send_one }, 0, NULL },
    { a_parked_unbuffered_receiver, send_one, { recv_one, send_one }, 0, staged_ends_well },
    { a_parked_unbuffered_sender, recv_one, { recv_one, send_one }, 0, staged_ends_well },
    { room_for_1, select_either, { send_one, recv_d_soon }, 0, what_was_not_selected_is_there },
    { a_parked_sender, close_it, { drain_it }, 0, the_staged_was_received_or_refused },
    { full_below_a_context, cancel_it, { send_below_it, send_below_it }, 0, staged_is_cancelled },
    { one_permit_and_a_waiter_for_two, release_one, { pass_with_one }, 0, both_are_back },
    { one_permit, acquire_one, { acquire_one, release_one }, 0, none_is_left },
    { one_to_do, do_it, { wait_for_it, wait_for_it }, 0, waiter_leaves },
    { one_worker, submit_one, { submit_one }, 0, stop_it },
    { a_group, go_one, { go_one }, 0, wait_for_the_group },
};

/* ==== The bystanders ==========================================================================
 *
 * Two threads that have nothing to do with the victim, on a channel and a semaphore of their own. */

static int_chan there, back;
static leat_sem theirs = LEAT_SEM(1);
static _Atomic size_t rounds;
static _Atomic bool enough;

static void bystander_asks(void *unused)
{
    (void)unused;
    for (int i = 0, m; !atomic_load(&enough); i++) {
        CHECK_EQ(leat_acquire(&theirs, 1), 0);
        CHECK_EQ(leat_release(&theirs, 1), 0);
        CHECK(leat_send(&there, &i) == 0 && leat_recv(&back, &m) == 0 && m == i);
        atomic_fetch_add(&rounds, 1);
        (void)leat_sleep(LEAT_US(200));
    }
    CHECK_EQ(leat_close(&there), 0);
}

static void bystander_answers(void *unused)
{
    (void)unused;
    for (int m; leat_recv(&there, &m) == 0;) CHECK_EQ(leat_send(&back, &m), 0);
}

/* ==== The play ================================================================================ */

struct part {
    struct actor actor;
    void (*play)(void);
    int stop_before; /* this step. 0: at none */
    int64_t used;
    _Atomic bool over;
};

static void play_part(void *arg)
{
    struct part *p = arg;
    steps_left = p->stop_before;
    p->play();
    steps_left = 0;
    atomic_store(&p->over, true);
}

static void begin_part(struct part *p, void (*play)(void), int stop_before)
{
    *p = (struct part){ .play = play, .stop_before = stop_before };
    enter(&p->actor, play_part, p);
}

/* A thread that spins now, or -1. A thread that has only just begun to wait spins too, for a while. So a thread burns
 * a core if it is found again and again. */
static int find_burner(struct part *others, int count)
{
    enum { SPIN = 2000000 }; /* ns */
    for (int i = 0; i < count; i++) others[i].used = cpu_time(others[i].actor.thread);
    spin_beside(SPIN);
    for (int i = 0; i < count; i++)
        if (!others[i].over && burns(cpu_time(others[i].actor.thread) - others[i].used, SPIN)) return i;
    return -1;
}

/* Plays a scene whose victim is stopped before its n-th step. False if it has fewer steps. */
static bool play(const struct scene *s, int n)
{
    struct part victim, others[3];
    int count = 0;
    stopped = false;
    s->set();
    begin_part(&victim, s->victim, n);
    for (int i = 0; i < 10 && !stopped && !victim.over; i++) (void)leat_sleep(LEAT_US(100)); /* or it is parked */
    while (count < 3 && s->others[count]) {
        begin_part(&others[count], s->others[count], 0);
        count++;
    }
    UNTIL(stopped || victim.over);
    bool was_stopped = stopped;
    if (was_stopped) {
        size_t before = rounds;
        UNTIL(rounds >= before + 3);
        for (int i = 0; i < s->sure; i++) UNTIL(others[i].over);
        int burner = find_burner(others, count);
        for (int k = 0; k < 4 && burner >= 0; k++) burner = find_burner(others, count);
        if (!CHECK(burner < 0)) tap_note("scene %d, step %d, thread %d burns a core", (int)(s - scenes), n, burner);
        REQUIRE_EQ(write(gate[1], "", 1), 1);
    }
    leave(&victim.actor);
    for (int i = 0; i < count; i++) leave(&others[i].actor);
    if (s->check) s->check();
    CHECK_EQ(leat_len(&c), 0);
    leat_free(&c);
    return was_stopped;
}

TEST(a_suspended_thread_holds_up_only_threads_that_need_what_it_holds_and_they_burn_no_core)
{
    struct sigaction act = { .sa_handler = suspend };
    struct actor asks, answers;
    int steps = 0;
    never_spin();
    REQUIRE(pipe(gate) == 0 && sigaction(SIGUSR1, &act, NULL) == 0);
    enter(&asks, bystander_asks, NULL);
    enter(&answers, bystander_answers, NULL);
    for (size_t i = 0; i < COUNT(scenes); i++) {
        int n = 1;
        while (play(&scenes[i], n)) n++;
        CHECK(n > 1);
        steps += n - 1;
    }
    atomic_store(&enough, true);
    leave(&asks);
    leave(&answers);
    CHECK(steps > 100);
    tap_note("stopped before each of %d steps", steps);
}
