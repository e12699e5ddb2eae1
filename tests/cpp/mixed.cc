// mixed.cc - the half that is C++. It shares channels, a group, a pool, a topic with mixed.c. Exits with the line of what fails.
// SPDX-License-Identifier: MIT
#include "mixed.h"
#include <stdio.h>

#define REQUIRE(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), exit(1)))

static int square(leat_ctx *, void *arg)
{
    msg *m = static_cast<msg *>(arg);
    return m->id * m->id;
}

static int relays(leat_ctx *, void *arg)
{
    all *a = static_cast<all *>(arg);
    return leat_send(&a->results, msg{ 100, 0 });
}

static all a;

static void (*handler())(int)
{
    struct sigaction now;
    return sigaction(SIGUSR1, NULL, &now) == 0 ? now.sa_handler : SIG_ERR;
}

static void a_file_takes_back_the_signals_of_the_other()
{
    leat_ctx ctx = LEAT_CTX(nullptr);
    REQUIRE(handler() == SIG_DFL && !c_catches(&ctx) && handler() != SIG_DFL);
    REQUIRE(!leat_cancel_on_signals(&ctx, SIGUSR1, 0) && !raise(SIGUSR1) && leat_sleep_ctx(&ctx, LEAT_S(60)) == -ECANCELED);
    REQUIRE(!leat_cancel_on_signals(nullptr, 0) && handler() == SIG_DFL);
    leat_ctx again = LEAT_CTX(nullptr);
    REQUIRE(!leat_cancel_on_signals(&again, SIGUSR1, 0) && !c_catches(nullptr) && handler() == SIG_DFL);
}

int main()
{
    size_t here[32], there[32], n;
    LAYOUT(here);
    REQUIRE(c_layout(there) == n);
    for (size_t i = 0; i < n; i++) REQUIRE(here[i] == there[i]);
    REQUIRE(c_one(0) == &leat_wake_takes_ && c_one(1) == &leat_spins_ && c_one(2) == &leat_doubt_ && c_one(3) == &leat_signals_here_);
    a_file_takes_back_the_signals_of_the_other();

    REQUIRE(!leat_make(&a.jobs, 4) && !leat_make(&a.results, 0) && !c_starts(&a));
    for (int i = 0; i < 1000; i++) {
        msg m;
        REQUIRE(!leat_send(&a.jobs, msg{ i, i + 0.25 }));
        REQUIRE(!leat_recv(&a.results, &m) && m.more > m.id && m.more < m.id + 1);
    }
    leat_close(&a.jobs);
    REQUIRE(leat_wait(&a.group) == 0);

    msg seven = { 7, 0 };
    leat_job j = LEAT_JOB(square, &seven);
    int result = 0;
    REQUIRE(!leat_submit_job(&a.pool, &j) && !leat_job_wait(&j, &result) && result == 49);
    REQUIRE(!leat_submit_lane(&a.pool, 1, relays, &a) && !leat_submit_value(&a.pool, square, &seven));
    REQUIRE(!leat_recv(&a.results, &seven) && seven.id == 100);
    REQUIRE(!leat_pool_stop(&a.pool));

    uint64_t version = 0;
    REQUIRE(!leat_topic_make(&a.topic, LEAT_KEEPS_LATEST) && !leat_make(&a.feed, 2));
    msg_chan got;
    REQUIRE(!leat_make(&got, 4) && !leat_subscribe(&a.topic, &got, LEAT_WAITS) && c_publishes(&a, 5) == 1);
    REQUIRE(!leat_recv(&got, &seven) && seven.id == 5 && !leat_latest_after(&a.topic, &seven, &version));
    REQUIRE(!leat_unsubscribe(&a.topic, &got));
    leat_topic_free(&a.topic);
    leat_free(&got);
    leat_free(&a.jobs);
    leat_free(&a.results);
    leat_free(&a.feed);
    return 0;
}
