/* t-debug.c - with LEAT_DEBUG, misuse that no error code can report ends the program with its place and a sentence.
 * SPDX-License-Identifier: MIT */
#ifndef LEAT_DEBUG
#define LEAT_DEBUG
#endif
#define LEAT_NO_URCU
#include "peek.h"
#include "pool.h"
#include "topic.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef LEAT_CHAN(int) int_chan;

/* A child that calls `misuse` aborts, with these words on stderr. */
static void aborts(void (*misuse)(void), const char *words)
{
    char said[1000] = "";
    int ends[2], status = 0;
    size_t n = 0;
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) {
        dup2(ends[1], 2);
        misuse();
        tap_leave(0);
    }
    close(ends[1]);
    for (ssize_t k; n < sizeof said - 1 && (k = read(ends[0], said + n, sizeof said - 1 - n)) > 0;) n += (size_t)k;
    close(ends[0]);
    REQUIRE(waitpid(child, &status, 0) == child);
    bool told = CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    told &= CHECK(strstr(said, "t-debug.c:") != NULL); /* the place in the program, not that in the header */
    if (!CHECK(strstr(said, words) != NULL) || !told) tap_note("it said: %s", said);
}

static void uses_a_freed_one(void)
{
    int_chan c;
    int m = 1;
    if (leat_make(&c, 4)) return;
    leat_free(&c);
    (void)!leat_send(&c, &m);
}

static void asks_a_freed_one(void)
{
    int_chan c = { .type_ = NULL };
    leat_free(&c);
    (void)!leat_len(&c);
}

static void selects_a_freed_one(void)
{
    int_chan c = { .type_ = NULL };
    int m = 1;
    leat_free(&c);
    leat_case k = LEAT_RECV(&c, &m);
    (void)!leat_select(&k, 1);
}

static void subscribes_a_freed_one(void)
{
    int_chan c = { .type_ = NULL };
    LEAT_TOPIC(int) t = { .type_ = NULL };
    leat_free(&c);
    (void)!leat_subscribe(&t, &c, LEAT_WAITS);
}

TEST(a_use_after_free_is_found)
{
    aborts(uses_a_freed_one, "this channel was freed");
    aborts(asks_a_freed_one, "this channel was freed");
    aborts(selects_a_freed_one, "this channel was freed");
    aborts(subscribes_a_freed_one, "this channel was freed");
}

static void copies_one_that_was_made(void)
{
    int_chan c, copy;
    int m = 1;
    if (leat_make(&c, 4)) return;
    memcpy((void *)&copy, (void *)&c, sizeof c);
    (void)!leat_send(&copy, &m);
}

static void copies_one_that_was_used(void)
{
    int_chan c = { .type_ = NULL };
    int m = 1;
    (void)!leat_try_send(&c, &m);
    int_chan copy = c;
    (void)!leat_close(&copy);
}

static void frees_a_copy(void)
{
    int_chan c;
    if (leat_make(&c, 4)) return;
    int_chan copy = c;
    leat_free(&copy);
}

TEST(a_channel_that_was_copied_is_found)
{
    aborts(copies_one_that_was_made, "this is a copy of a channel");
    aborts(copies_one_that_was_used, "this is a copy of a channel");
    aborts(frees_a_copy, "this is a copy of a channel");
}

static void makes_one_with_slots(void)
{
    int_chan c;
    if (!leat_make(&c, 4)) (void)!leat_make(&c, 4);
}

TEST(a_second_make_without_a_free_is_found)
{
    aborts(makes_one_with_slots, "this channel was made before, and not freed");
}

static int receives(void *arg)
{
    int m;
    return leat_recv((int_chan *)arg, &m);
}

static void while_a_thread_waits(int_chan *c, side *s)
{
    side_start(s, receives, c);
    UNTIL(peek_receivers(c) == 1);
}

static void frees_under_a_receiver(void)
{
    int_chan c = { .type_ = NULL };
    side s;
    while_a_thread_waits(&c, &s);
    leat_free(&c);
    tap_leave(0);
}

static void frees_under_a_pollable(void)
{
    int_chan c;
    leat_pollable w;
    if (leat_make(&c, 1) || leat_pollable_recv(&w, &c) < 0) return;
    leat_free(&c);
}

TEST(a_free_while_threads_wait_is_found)
{
    if (TAP_SLOW) SKIP("ThreadSanitizer forbids threads in a child of threads");
    aborts(frees_under_a_receiver, "freed while threads wait on it");
    aborts(frees_under_a_pollable, "freed while a pollable is armed on it");
}

/* ---- an end for one thread ---- */

typedef LEAT_CHAN_FOR(LEAT_ONE_SENDER | LEAT_ONE_RECEIVER, int) feed_chan;
static feed_chan feed;
static void (*second_does)(void);

static void *second(void *unused)
{
    (void)unused;
    second_does();
    return NULL;
}

/* The first thread has sent and received. Now the second comes. */
static void after_the_first(void (*does)(void))
{
    pthread_t thread;
    int m = 1;
    second_does = does;
    if (leat_make(&feed, 4) || leat_send(&feed, &m) || leat_recv(&feed, &m)) return;
    if (!pthread_create(&thread, NULL, second, NULL)) pthread_join(thread, NULL);
    if (!leat_close(&feed)) leat_free(&feed);
}

static void tries_to_send(void)
{
    (void)!leat_try_send(&feed, (&(int){ 2 }));
}

static void tries_to_receive(void)
{
    int m;
    (void)!leat_try_recv(&feed, &m);
}

static void sends_a_batch(void)
{
    (void)!leat_send_many(&feed, ((int[]){ 1, 2 }), 2);
}

static void selects(void)
{
    int m;
    leat_case cases[] = { LEAT_RECV(&feed, &m) };
    leat_try_select(cases, 1);
}

static void a_second_sends(void)
{
    after_the_first(tries_to_send);
}

static void a_second_receives(void)
{
    after_the_first(tries_to_receive);
}

static void a_second_sends_a_batch(void)
{
    after_the_first(sends_a_batch);
}

static void a_second_selects(void)
{
    after_the_first(selects);
}

static void asks_only(void)
{
    CHECK_EQ(leat_len(&feed), 0);
    CHECK(!leat_is_closed(&feed));
}

TEST(a_second_thread_at_an_end_for_one_is_found)
{
    if (TAP_SLOW) SKIP("ThreadSanitizer forbids threads in a child of threads");
    static const char *const words = "a second thread sends, or receives, where the channel is for one";
    aborts(a_second_sends, words);
    aborts(a_second_receives, words);
    aborts(a_second_sends_a_batch, words);
    aborts(a_second_selects, words);
    after_the_first(asks_only); /* and closes */
}

static void asserts(void)
{
    LEAT_MISUSE_("in plain words");
}

static void asserts_a_condition(void)
{
    int n = 1;
    LEAT_ASSERT(n == 2);
}

TEST(an_assertion_prints_its_words)
{
    aborts(asserts, ": leat: in plain words\n");
    aborts(asserts_a_condition, ": leat: n == 2\n");
}

TEST(right_use_is_left_alone)
{
    int_chan c, zero = { .type_ = NULL }, *none = NULL;
    int m = 1;
    for (int i = 0; i < 3; i++) { /* the memory has been a channel before */
        REQUIRE_EQ(leat_make(&c, (size_t)i), 0);
        CHECK_EQ(leat_try_send(&c, &m), i ? 0 : -EAGAIN);
        leat_free(&c);
        leat_free(&c);
    }
    int_chan before_use = zero;
    CHECK_EQ(leat_try_recv(&before_use, &m), -EAGAIN);
    CHECK_EQ(leat_send(none, &m), -EINVAL);
    CHECK_EQ(leat_make(none, 1), -EINVAL);
    REQUIRE_EQ(leat_make(&c, 1), 0); /* the memory of a channel that is gone was partly used for something else */
    leat_free_(&c.chan, 1);
    atomic_store_explicit(&c.chan.self_, (uintptr_t)&c, memory_order_relaxed);
    c.chan.slots_ = (unsigned char *)&c;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    leat_free(none);
    leat_free(&before_use);
    REQUIRE_EQ(leat_make(&c, 0), 0); /* without slots nothing is lost if it is made again, or never freed */
    REQUIRE_EQ(leat_make(&c, 1), 0);
    leat_free(&c);
    leat_free(&zero);
}
