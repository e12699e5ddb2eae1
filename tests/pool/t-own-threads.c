/* t-own-threads.c - a call on a thread of the pool or group itself (by a job, a hook, the destructor of a pthread
 * key) that would wait for ever is told -EDEADLK, and no other call is.
 * SPDX-License-Identifier: MIT */
#include "jobs.h"

/* ==== A worker that is STARTING =============================================================== */

/* The first worker is there at once. The others wait in their init hook. */
static struct {
    leat_pool p;
    leat_ctx ctx; /* of the resize that starts it */
    door hook;
    int refuses;
    _Atomic int ran, accepted, err, done;
} coming;

static int waits_in_init(void *user, int id)
{
    (void)user;
    if (id == 0) return 0;
    door_pass(&coming.hook);
    return coming.refuses;
}

static int submits_four(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    for (int i = 0; i < 4 && !coming.err; i++) {
        coming.err = leat_submit(&coming.p, counts, &coming.ran);
        if (!coming.err) coming.accepted++;
    }
    coming.done = 1;
    return 0;
}

static int resizes_to_two(void *arg)
{
    (void)arg;
    return leat_pool_resize_ctx(&coming.ctx, &coming.p, 2);
}

static void start_coming(int refuses)
{
    memset(&coming, 0, sizeof coming);
    coming.refuses = refuses;
    leat_pool_opts opts = { .workers = 1, .queue = 1, .worker_init = waits_in_init };
    REQUIRE_EQ(leat_pool_start(&coming.p, NULL, &opts), 0);
}

static void job_waits_for_one_that_comes(side *resizer)
{
    side_start(resizer, resizes_to_two, NULL);
    door_until(&coming.hook, 1);
    REQUIRE_EQ(leat_submit(&coming.p, submits_four, NULL), 0);
    UNTIL(peek_senders(&coming.p.lane_->queue_) == 1 || coming.done);
    CHECK_EQ(coming.err, 0);
}

TEST(L9_a_job_may_wait_for_room_that_a_starting_worker_will_make)
{
    side resizer;
    start_coming(0);
    job_waits_for_one_that_comes(&resizer);
    door_open(&coming.hook);
    CHECK_EQ(side_join(&resizer), 0);
    UNTIL(coming.done);
    CHECK_EQ(leat_pool_stop(&coming.p), 0);
    CHECK_EQ(coming.err, 0);
    CHECK_EQ(coming.ran, 4);
}

TEST(L9_a_job_that_counts_on_a_worker_is_told_when_that_cannot_start)
{
    side resizer;
    start_coming(77);
    job_waits_for_one_that_comes(&resizer);
    door_open(&coming.hook);
    CHECK_EQ(side_join(&resizer), 77);
    UNTIL(coming.done);
    CHECK_EQ(coming.err, -EDEADLK);
    CHECK_EQ(leat_pool_stop(&coming.p), 0);
    CHECK_EQ(coming.ran, coming.accepted);
}

TEST(L9_a_job_that_counts_on_a_worker_is_told_when_that_is_not_wanted_any_more)
{
    side resizer;
    start_coming(0);
    job_waits_for_one_that_comes(&resizer);
    leat_cancel(&coming.ctx, 0);
    CHECK_EQ(side_join(&resizer), -ECANCELED);
    CHECK_EQ(leat_pool_resize(&coming.p, 1), 0);
    UNTIL(coming.done);
    CHECK_EQ(coming.err, -EDEADLK);
    door_open(&coming.hook);
    CHECK_EQ(leat_pool_stop(&coming.p), 0);
    CHECK_EQ(coming.ran, coming.accepted);
}

TEST(L10_a_job_that_was_told_once_may_wait_for_room_again)
{
    for (int k = 0; k < tap_rounds(30); k++) {
        side resizer;
        start_coming(77);
        for (int i = 0; i < 2; i++) {
            coming.err = coming.done = coming.hook.open = coming.hook.at_it = 0;
            side_start(&resizer, resizes_to_two, NULL);
            door_until(&coming.hook, 1);
            REQUIRE_EQ(leat_submit(&coming.p, submits_four, NULL), 0);
            UNTIL(peek_senders(&coming.p.lane_->queue_) >= 1 || coming.done);
            door_open(&coming.hook);
            REQUIRE_EQ(side_join(&resizer), 77);
            UNTIL(coming.done);
            REQUIRE_EQ(coming.err, -EDEADLK);
        }
        REQUIRE_EQ(leat_pool_stop(&coming.p), 0);
        REQUIRE_EQ(coming.ran, coming.accepted);
    }
}

/* ==== Hooks =================================================================================== */

static struct {
    leat_pool p;
    _Atomic int resize, stop, abort, stop_ctx, abort_ctx, resize_ctx, try_resize, submit[3], asked, ran, finis;
    int asks_id;
} hook;

static void asks(void)
{
    leat_ctx ctx = LEAT_CTX(NULL);
    hook.resize = leat_pool_resize(&hook.p, 2);
    hook.resize_ctx = leat_pool_resize_ctx(&ctx, &hook.p, 2);
    hook.try_resize = leat_try_pool_resize(&hook.p, 2);
    hook.stop = leat_pool_stop(&hook.p);
    hook.abort = leat_pool_abort(&hook.p, NULL, NULL);
    hook.stop_ctx = leat_pool_stop_ctx(&ctx, &hook.p);
    hook.abort_ctx = leat_pool_abort_ctx(&ctx, &hook.p, NULL, NULL);
    hook.asked++;
}

static int init_asks(void *user, int id)
{
    (void)user;
    if (id == hook.asks_id) asks();
    return 0;
}

static void fini_asks(void *user, int id)
{
    (void)user, (void)id;
    if (hook.finis++ == 0 && hook.asks_id < 0) asks(); /* two may end at once */
}

TEST(an_init_hook_that_would_wait_for_its_own_pool_is_told)
{
    for (int id = 0; id < 2; id++) { /* in a start, in a resize */
        memset(&hook, 0, sizeof hook);
        hook.asks_id = id;
        REQUIRE_EQ(leat_pool_start(&hook.p, NULL, &(leat_pool_opts){ .workers = 1, .worker_init = init_asks }), 0);
        REQUIRE_EQ(leat_pool_resize(&hook.p, 2), 0);
        CHECK_EQ(hook.asked, 1);
        CHECK_EQ(hook.resize, -EDEADLK);
        CHECK_EQ(hook.resize_ctx, -EDEADLK);
        CHECK_EQ(hook.try_resize, -EAGAIN); /* it never waits */
        CHECK_EQ(hook.stop, -EDEADLK);
        CHECK_EQ(hook.abort, -EDEADLK);
        CHECK_EQ(hook.stop_ctx, -EDEADLK);
        CHECK_EQ(hook.abort_ctx, -EDEADLK);
        CHECK_EQ(leat_submit(&hook.p, counts, &hook.ran), 0); /* nothing has changed */
        CHECK_EQ(leat_pool_stop(&hook.p), 0);
        CHECK_EQ(hook.ran, 1);
    }
}

TEST(a_fini_hook_may_resize_its_pool_but_not_wait_for_it)
{
    memset(&hook, 0, sizeof hook);
    hook.asks_id = -1;
    REQUIRE_EQ(leat_pool_start(&hook.p, NULL, &(leat_pool_opts){ .workers = 3, .worker_fini = fini_asks }), 0);
    CHECK_EQ(leat_pool_resize(&hook.p, 1), 0);
    UNTIL(hook.asked == 1);
    CHECK_EQ(hook.resize, 0);
    CHECK_EQ(hook.resize_ctx, 0);
    CHECK_EQ(hook.stop, -EDEADLK);
    CHECK_EQ(hook.abort, -EDEADLK);
    CHECK_EQ(hook.stop_ctx, -EDEADLK);
    CHECK_EQ(hook.abort_ctx, -EDEADLK);
    CHECK_EQ(workers(&hook.p), 2);
    CHECK_EQ(leat_submit(&hook.p, counts, &hook.ran), 0);
    CHECK_EQ(leat_pool_stop(&hook.p), 0);
    CHECK_EQ(hook.ran, 1);
}

static int init_submits(void *user, int id)
{
    (void)user;
    if (id != hook.asks_id) return 0;
    for (int i = 0; i < 3; i++) hook.submit[i] = leat_submit(&hook.p, counts, &hook.ran);
    return 0;
}

TEST(an_init_hook_may_submit_and_is_told_when_no_worker_would_make_room)
{
    memset(&hook, 0, sizeof hook);
    leat_pool_opts opts = { .workers = 1, .queue = 2, .worker_init = init_submits };
    REQUIRE_EQ(leat_pool_start(&hook.p, NULL, &opts), 0);
    CHECK_EQ(leat_pool_stop(&hook.p), 0);
    CHECK_EQ(hook.submit[0], 0);
    CHECK_EQ(hook.submit[1], 0);
    CHECK_EQ(hook.submit[2], -EDEADLK);
    CHECK_EQ(hook.ran, 2);
}

static int resizes_from_a_job(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    hook.resize = leat_pool_resize(&hook.p, 2);
    hook.asked++;
    return 0;
}

TEST(L9_an_init_hook_is_told_if_only_the_job_that_waits_for_it_could_make_room)
{
    memset(&hook, 0, sizeof hook);
    hook.asks_id = 1;
    leat_pool_opts opts = { .workers = 1, .queue = 1, .worker_init = init_submits };
    REQUIRE_EQ(leat_pool_start(&hook.p, NULL, &opts), 0);
    CHECK_EQ(leat_submit(&hook.p, resizes_from_a_job, NULL), 0);
    UNTIL(hook.asked == 1);
    CHECK_EQ(hook.submit[0], 0);
    CHECK_EQ(hook.submit[1], -EDEADLK);
    CHECK_EQ(hook.submit[2], -EDEADLK);
    CHECK_EQ(hook.resize, 0);
    CHECK_EQ(leat_pool_stop(&hook.p), 0);
    CHECK_EQ(hook.ran, 1);
}

/* ==== Destructors of pthread keys ============================================================= */

static pthread_key_t key;
static struct {
    leat_pool p;
    leat_group g;
    _Atomic int ran, asked, answer[5];
    door d;
} late;

static int sets_key(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    CHECK_EQ(pthread_setspecific(key, &late), 0);
    if (arg) pthread_exit(NULL);
    return 0;
}

static int init_sets_key(void *user, int id)
{
    (void)user, (void)id;
    return pthread_setspecific(key, &late);
}

static void asks_pool(void *arg)
{
    (void)arg;
    late.answer[0] = leat_pool_stop(&late.p);
    late.answer[1] = leat_pool_abort(&late.p, NULL, NULL);
    late.answer[2] = leat_pool_resize(&late.p, 1);
    late.answer[3] = leat_submit(&late.p, counts, &late.ran);
    late.asked++;
    door_pass(&late.d);
}

TEST(a_destructor_on_a_worker_that_would_wait_for_its_pool_is_told)
{
    for (int how = 0; how < 3; how++) { /* stopped, retired, ended by its job */
        memset(&late, 0, sizeof late);
        late.d.open = how < 2;
        REQUIRE_EQ(pthread_key_create(&key, asks_pool), 0);
        leat_pool_opts opts = { .workers = 1, .queue = 4, .worker_init = how == 1 ? init_sets_key : NULL };
        REQUIRE_EQ(leat_pool_start(&late.p, NULL, &opts), 0);
        if (how == 1) CHECK_EQ(leat_pool_resize(&late.p, 2), 0);
        if (how == 1) CHECK_EQ(leat_pool_resize(&late.p, 1), 0);
        else CHECK_EQ(leat_submit(&late.p, sets_key, how == 2 ? &late : NULL), 0);
        if (how) UNTIL(late.asked == 1);
        if (how) CHECK_EQ(late.answer[2], 0);
        if (how) CHECK_EQ(late.answer[3], 0);
        door_open(&late.d);
        CHECK_EQ(leat_pool_stop(&late.p), 0); /* joins the thread whose destructor asks to stop */
        CHECK_EQ(late.asked, 1 + (how == 1));
        CHECK_EQ(late.answer[0], -EDEADLK);
        CHECK_EQ(late.answer[1], -EDEADLK);
        if (how != 2) CHECK_EQ(late.answer[2], -ESHUTDOWN);
        if (how != 2) CHECK_EQ(late.answer[3], -ESHUTDOWN);
        CHECK_EQ(late.ran, how > 0);
        pthread_key_delete(key);
    }
}

static void asks_group(void *arg)
{
    (void)arg;
    leat_ctx ctx = LEAT_CTX(NULL);
    late.answer[0] = leat_wait(&late.g);
    late.answer[1] = leat_wait_ctx(&ctx, &late.g);
    late.answer[2] = leat_try_wait(&late.g);
    late.answer[3] = leat_go(&late.g, counts, &late.ran);
    late.asked++;
}

TEST(a_destructor_on_a_groups_thread_that_would_wait_for_the_group_is_told)
{
    memset(&late, 0, sizeof late);
    late.g = (leat_group)LEAT_GROUP(NULL);
    REQUIRE_EQ(pthread_key_create(&key, asks_group), 0);
    CHECK_EQ(leat_go(&late.g, sets_key, NULL), 0);
    CHECK_EQ(leat_wait(&late.g), 0);
    CHECK_EQ(late.asked, 1);
    CHECK_EQ(late.answer[0], -EDEADLK);
    CHECK_EQ(late.answer[1], -EDEADLK);
    CHECK_EQ(late.answer[2], -EAGAIN);
    CHECK_EQ(late.answer[3], -ESHUTDOWN);
    CHECK_EQ(late.ran, 0);
    pthread_key_delete(key);
}

static void asks_for_room(void *arg)
{
    (void)arg;
    late.asked++;
    late.answer[0] = leat_submit(&late.p, counts, &late.ran);
    late.answer[1] = leat_submit(&late.p, counts, &late.ran);
    late.asked++;
}

static int resizes_and_joins(leat_ctx *ctx, void *arg)
{
    (void)ctx;
    door_pass(arg);
    late.answer[2] = leat_pool_resize(&late.p, 1); /* joins, if it comes before the other waits for room */
    return 0;
}

static int resizes_to_one(void *arg)
{
    (void)arg;
    return leat_pool_resize(&late.p, 1);
}

TEST(a_destructor_that_waits_for_room_does_not_hold_up_the_job_that_would_join_its_thread)
{
    for (int first = 0; first < 2; first++) {
        memset(&late, 0, sizeof late);
        REQUIRE_EQ(pthread_key_create(&key, asks_for_room), 0);
        REQUIRE_EQ(leat_pool_start(&late.p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 1 }), 0);
        REQUIRE_EQ(leat_submit(&late.p, resizes_and_joins, &late.d), 0);
        door_until(&late.d, 1);
        REQUIRE_EQ(leat_submit(&late.p, sets_key, NULL), 0);
        leat_stats st = { .completed = 0 };
        while (st.completed < 1) {
            REQUIRE_EQ(leat_pool_stats(&late.p, &st), 0);
            leat_os_yield_();
        }
        side resizer; /* it may join the thread whose destructor waits for room, and that one waits for the door */
        side_start(&resizer, resizes_to_one, NULL); /* the first, or the other */
        if (first) UNTIL(late.asked || workers(&late.p) == 1);
        door_open(&late.d);
        REQUIRE_EQ(side_join(&resizer), 0);
        REQUIRE_EQ(leat_pool_stop(&late.p), 0);
        CHECK(late.answer[2] == 0 || late.answer[2] == -ESHUTDOWN);
        int accepted = 0;
        for (int i = 0; i < 2; i++) {
            CHECK(late.answer[i] == 0 || late.answer[i] == -EDEADLK || late.answer[i] == -ESHUTDOWN);
            accepted += late.answer[i] == 0;
        }
        if (late.asked) CHECK_EQ(late.ran, accepted);
        pthread_key_delete(key);
    }
}

static void waits_at_door(void *arg)
{
    (void)arg;
    door_pass(&late.d);
}

static int stops_late(void *arg)
{
    (void)arg;
    return leat_pool_stop(&late.p);
}

static int joining(leat_threads_ *threads)
{
    leat_lock_take_(&threads->lock_);
    int n = threads->joining_;
    leat_lock_drop_(&threads->lock_);
    return n;
}

TEST(L8_a_pool_is_not_said_to_be_stopped_while_another_call_joins_its_threads)
{
    side s;
    memset(&late, 0, sizeof late);
    REQUIRE_EQ(pthread_key_create(&key, waits_at_door), 0);
    REQUIRE_EQ(leat_pool_start(&late.p, NULL, &(leat_pool_opts){ .workers = 1 }), 0);
    CHECK_EQ(leat_submit(&late.p, sets_key, NULL), 0);
    side_start(&s, stops_late, NULL);
    door_until(&late.d, 1);
    UNTIL(joining(&late.p.threads_) == 1);
    CHECK_EQ(leat_try_pool_stop(&late.p), -EAGAIN);
    door_open(&late.d);
    CHECK_EQ(side_join(&s), 0);
    CHECK_EQ(leat_try_pool_stop(&late.p), -EALREADY);
    pthread_key_delete(key);
}
