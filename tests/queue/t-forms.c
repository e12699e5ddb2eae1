/* t-forms.c - every call that can wait has three forms; each error has words; a context can be made for one call; the
 * version. SPDX-License-Identifier: MIT */
#include "semaphore.h"
#include "tap.h"
#include <stdio.h>
#include <stdlib.h>

typedef LEAT_CHAN(int) int_chan;

TEST(a_try_of_a_batch_moves_what_it_can_and_returns_EAGAIN_exactly_when_that_is_nothing)
{
    int_chan c, none;
    int a[] = { 1, 2, 3, 4 }, b[4];
    REQUIRE_EQ(leat_make(&c, 3), 0);
    REQUIRE_EQ(leat_make(&none, 0), 0);
    CHECK_EQ(leat_try_recv_many(&c, b, 4), -EAGAIN);
    CHECK_EQ(leat_try_send_many(&c, a, 0), 0);
    CHECK_EQ(leat_try_recv_many(&c, b, 0), 0);
    CHECK_EQ(leat_try_send_many(&c, a, 2), 2);
    CHECK_EQ(leat_try_send_many(&c, a + 2, 2), 1);
    CHECK_EQ(leat_try_send_many(&c, a + 3, 1), -EAGAIN);
    CHECK_EQ(leat_try_recv_many(&c, b, 4), 3);
    for (int i = 0; i < 3; i++) CHECK_EQ(b[i], a[i]);
    CHECK_EQ(leat_try_send_many(&none, a, 2), -EAGAIN);
    CHECK_EQ(leat_try_recv_many(&none, b, 2), -EAGAIN);
    CHECK_EQ(leat_try_send_many(&c, a, 1), 1);
    leat_close(&c);
    CHECK_EQ(leat_try_send_many(&c, a, 1), -EPIPE);
    CHECK_EQ(leat_try_recv_many(&c, b, 4), 1);
    CHECK_EQ(leat_try_recv_many(&c, b, 4), -EPIPE);
    CHECK_EQ(leat_try_send_many(&c, (int *)NULL, 1), -EINVAL);
    CHECK_EQ(leat_try_recv_many(&c, (int *)NULL, 1), -EINVAL);
    CHECK_EQ(leat_try_send_many((int_chan *)NULL, a, 1), -EINVAL);
    leat_free(&c);
}

static int_chan unbuffered;

static void sends_one_or_two(int i, void *arg)
{
    int a[] = { 1, 2 };
    (void)arg;
    if (i) CHECK_EQ(leat_send_many(&unbuffered, a, 2), 1);
    else
        while (leat_try_recv_many(&unbuffered, a, 2) == -EAGAIN) leat_os_yield_();
}

TEST(a_try_of_a_batch_pairs_with_one_that_waits)
{
    REQUIRE_EQ(leat_make(&unbuffered, 0), 0);
    tap_threads(2, sends_one_or_two, NULL);
    leat_free(&unbuffered);
}

TEST(a_try_of_a_wait_tells_whether_the_count_is_zero)
{
    leat_wg w = LEAT_WG(1);
    CHECK_EQ(leat_try_wg_wait(&w), -EAGAIN);
    CHECK_EQ(leat_wg_done(&w), 0);
    CHECK_EQ(leat_try_wg_wait(&w), 0);
    CHECK_EQ(leat_try_wg_wait(NULL), -EINVAL);
}

TEST(a_context_may_be_NULL_in_each_form_that_takes_one)
{
    int_chan c;
    int m = 1;
    leat_sem s = LEAT_SEM(1);
    leat_wg w = LEAT_WG(0);
    REQUIRE_EQ(leat_make(&c, 2), 0);
    CHECK_EQ(leat_send_ctx(NULL, &c, &m), 0);
    CHECK_EQ(leat_recv_ctx(NULL, &c, &m), 0);
    CHECK_EQ(leat_send_many_ctx(NULL, &c, &m, 1), 1);
    leat_case cases[] = { LEAT_RECV(&c, &m) };
    CHECK_EQ(leat_select_ctx(NULL, cases, 1), 0);
    CHECK_EQ(leat_send(&c, &m), 0);
    CHECK_EQ(leat_select(cases, 1), 0);
    CHECK_EQ(leat_acquire_ctx(NULL, &s, 1), 0);
    CHECK_EQ(leat_wg_wait_ctx(NULL, &w), 0);
    CHECK_EQ(leat_sleep_ctx(NULL, 1), 0);
    CHECK_EQ(leat_sleep(1), 0);
    leat_free(&c);
}

TEST(a_context_for_one_call_ends_it_in_time)
{
    int_chan c = { .type_ = NULL };
    int m;
    CHECK_EQ(leat_recv_ctx(LEAT_WITHIN(LEAT_MS(1)), &c, &m), -ETIMEDOUT);
    CHECK_EQ(leat_recv_ctx(LEAT_WITHIN(0), &c, &m), -ETIMEDOUT);
    CHECK_EQ(leat_recv_ctx(LEAT_WITHIN(-LEAT_S(1)), &c, &m), -ETIMEDOUT);
}

/* If the deadline has passed when the context is made, the context is done from the start. */
TEST(a_deadline_in_the_past_wins_over_a_message_that_is_ready)
{
    int_chan c;
    int m = 5;
    leat_sem s = LEAT_SEM(1);
    leat_wg w = LEAT_WG(0);
    REQUIRE_EQ(leat_make(&c, 2), 0);
    for (int i = 0; i < 2000; i++) {
        leat_ctx none_left = LEAT_CTX_WITHIN(NULL, 0), gone = LEAT_CTX_UNTIL(NULL, leat_now() - 1);
        leat_ctx now = LEAT_CTX_UNTIL(NULL, leat_now()), below = LEAT_CTX(&gone);
        leat_ctx *const all[] = { &none_left, &gone, &now, &below };
        CHECK_EQ(leat_try_send(&c, &m), 0);
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            leat_case cases[] = { LEAT_RECV(&c, &m), LEAT_SEND(&c, &m) };
            CHECK_EQ(leat_recv_ctx(all[k], &c, &m), -ETIMEDOUT);
            CHECK_EQ(leat_send_ctx(all[k], &c, &m), -ETIMEDOUT);
            CHECK_EQ(leat_recv_many_ctx(all[k], &c, &m, 1), -ETIMEDOUT);
            CHECK_EQ(leat_send_many_ctx(all[k], &c, &m, 1), -ETIMEDOUT);
            CHECK_EQ(leat_select_ctx(all[k], cases, 2), -ETIMEDOUT);
            CHECK_EQ(leat_acquire_ctx(all[k], &s, 1), -ETIMEDOUT);
            CHECK_EQ(leat_wg_wait_ctx(all[k], &w), -ETIMEDOUT);
            CHECK_EQ(leat_sleep_ctx(all[k], 0), -ETIMEDOUT);
            CHECK_EQ(leat_ctx_err(all[k]), -ETIMEDOUT);
        }
        CHECK_EQ(leat_recv(&c, &m), 0);
    }
    leat_free(&c);
}

TEST(the_deadline_of_a_context_is_the_next_of_its_own_and_its_ancestors)
{
    int64_t soon = leat_after(LEAT_S(100)), later = soon + LEAT_S(100);
    leat_ctx none = LEAT_CTX(NULL), far = LEAT_CTX_UNTIL(&none, later), near = LEAT_CTX_UNTIL(&none, soon);
    leat_ctx far_under_near = LEAT_CTX_UNTIL(&near, later), near_under_far = LEAT_CTX_UNTIL(&far, soon);
    leat_ctx below = LEAT_CTX(&near_under_far), ever = LEAT_CTX_UNTIL(NULL, LEAT_FOREVER);
    leat_ctx gone = LEAT_CTX_UNTIL(&near, leat_now()), below_gone = LEAT_CTX_UNTIL(&gone, later);
    leat_ctx none_left = LEAT_CTX_WITHIN(NULL, 0), negative = LEAT_CTX_UNTIL(NULL, -5);
    CHECK(leat_ctx_deadline(NULL) == LEAT_FOREVER && leat_ctx_deadline(&none) == LEAT_FOREVER);
    CHECK(leat_ctx_deadline(&ever) == LEAT_FOREVER);
    CHECK_EQ(leat_ctx_deadline(&far), later);
    CHECK_EQ(leat_ctx_deadline(&near), soon);
    CHECK_EQ(leat_ctx_deadline(&far_under_near), soon);
    CHECK_EQ(leat_ctx_deadline(&near_under_far), soon);
    CHECK_EQ(leat_ctx_deadline(&below), soon);
    CHECK_EQ(leat_ctx_deadline(&gone), 0);
    CHECK_EQ(leat_ctx_deadline(&below_gone), 0);
    CHECK_EQ(leat_ctx_deadline(&none_left), 0);
    CHECK_EQ(leat_ctx_deadline(&negative), 0);
    CHECK(leat_ctx_deadline(&none_left) <= leat_now());
    leat_cancel(&far, 0);
    CHECK_EQ(leat_ctx_deadline(&far), later);
}

static const int64_t at_file_scope = LEAT_MS(20); /* still a constant */

TEST(times_that_are_too_long_are_for_ever_and_not_the_past)
{
    int64_t year = 365 * 24 * 3600, times = 0;
    CHECK_EQ(at_file_scope, 20000000);
    CHECK(LEAT_S(INT64_MAX) == INT64_MAX && LEAT_MS(INT64_MAX) == INT64_MAX && LEAT_US(INT64_MAX) == INT64_MAX);
    CHECK(LEAT_S(UINT64_MAX) == INT64_MAX && LEAT_S(1e30) == INT64_MAX);
    CHECK(LEAT_S(INT64_MIN) == -INT64_MAX && LEAT_US(INT64_MIN) == -INT64_MAX);
    CHECK(LEAT_S(-3) == -3000000000 && LEAT_US(7u) == 7000 && LEAT_MS(2.0) == 2000000);
    CHECK(LEAT_S(1000 * year) == INT64_MAX && LEAT_S(-1000 * year) == -INT64_MAX);
    CHECK(LEAT_S(200 * year) == 200 * year * 1000000000);
    CHECK_EQ(LEAT_S((times++, 2)), 2000000000); /* evaluated once */
    CHECK_EQ(times, 1);
    leat_ctx ages = LEAT_CTX_WITHIN(NULL, LEAT_S(1000 * year)), ever = LEAT_CTX_WITHIN(NULL, LEAT_S(INT64_MAX));
    CHECK_EQ(leat_ctx_err(&ages), 0);
    CHECK_EQ(leat_ctx_err(&ever), 0);
    leat_ctx never = LEAT_CTX_WITHIN(NULL, -LEAT_S(1000 * year));
    CHECK_EQ(leat_ctx_err(&never), -ETIMEDOUT);
}

TEST(each_error_has_words_of_its_own)
{
    static const int errors[] = { 0,         -EAGAIN,  -EPIPE,     -ECANCELED, -ETIMEDOUT, -ESHUTDOWN,
                                  -EALREADY, -EDEADLK, -EOVERFLOW, -EINVAL,    -ENOMEM,    -E2BIG,
                                  -ENOENT,   -EINTR,   -EMFILE,    -ENFILE,    -ENOSYS,    -12345 };
    size_t n = sizeof errors / sizeof *errors;
    for (size_t i = 0; i < n; i++) {
        CHECK(leat_strerror(errors[i]) && *leat_strerror(errors[i]));
        for (size_t k = 0; k < i; k++) CHECK(strcmp(leat_strerror(errors[i]), leat_strerror(errors[k])) != 0);
    }
    CHECK(!strcmp(leat_strerror(-EPIPE), leat_strerror(EPIPE)));
    CHECK(*leat_strerror(INT_MIN) && *leat_strerror(INT_MAX));
}

TEST(the_version_is_one)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", LEAT_VERSION / 10000, LEAT_VERSION / 100 % 100, LEAT_VERSION % 100);
    CHECK(!strcmp(text, LEAT_VERSION_STRING));
}

TEST(no_permits_are_needed_where_none_are_asked_for)
{
    leat_sem s = LEAT_SEM(2);
    leat_ctx live = LEAT_CTX(NULL);
    CHECK_EQ(leat_acquire(&s, 2), 0);
    CHECK_EQ(leat_sem_resize(&s, -2), 0);
    CHECK_EQ(leat_sem_available(&s), -2);
    CHECK_EQ(leat_acquire(&s, 0), 0);
    CHECK_EQ(leat_try_acquire(&s, 0), 0);
    CHECK_EQ(leat_acquire_ctx(&live, &s, 0), 0);
    CHECK_EQ(leat_release(&s, 0), 0);
    CHECK_EQ(leat_sem_close(&s), 0);
    CHECK_EQ(leat_acquire(&s, 0), 0);
    CHECK_EQ(leat_sem_available(&s), -2);
    CHECK_EQ(leat_sem_available(NULL), 0);
}
