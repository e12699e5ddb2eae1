/* t-pollable-uv.c - a channel in the loop of another library, libuv: its callbacks see every message that threads send.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* which uv.h wants */
#include "staging.h"

#ifdef WITH_UV
#include <uv.h>

enum { SENDERS = 3, EACH = 5000 };

static struct {
    int_chan results;
    leat_pollable w, ends;
    leat_ctx ctx;
    uv_poll_t poll, poll_ctx;
    _Atomic int done; /* senders */
    int received, last[SENDERS];
    bool cancelled;
} uv;

static void on_results(uv_poll_t *poll, int status, int events)
{
    int m, err;
    CHECK(status == 0 && events == UV_READABLE);
    do {
        while ((err = leat_try_recv(&uv.results, &m)) == 0) {
            CHECK_EQ(m % EACH, uv.last[m / EACH]++); /* those of one sender come in order */
            uv.received++;
        }
    } while (err == -EAGAIN && leat_pollable_rearm(&uv.w));
    if (err == -EPIPE) uv_close((uv_handle_t *)poll, NULL);
}

static void on_cancel(uv_poll_t *poll, int status, int events)
{
    CHECK(status == 0 && events == UV_READABLE);
    uv.cancelled = leat_ctx_err(&uv.ctx) == -ECANCELED;
    uv_close((uv_handle_t *)poll, NULL);
}

static void uv_sender(int i, void *arg)
{
    (void)arg;
    if (i == SENDERS) {
        CHECK_EQ(uv_run(uv_default_loop(), UV_RUN_DEFAULT), 0); /* until both handles are closed */
        return;
    }
    for (int k = 0; k < EACH; k++) CHECK_EQ(leat_send(&uv.results, &(int){ i * EACH + k }), 0);
    if (atomic_fetch_add_explicit(&uv.done, 1, memory_order_relaxed) != SENDERS - 1) return;
    CHECK_EQ(leat_close(&uv.results), 0);
    leat_cancel(&uv.ctx, 0);
}

TEST(a_loop_of_libuv_sees_every_message_the_close_and_the_cancel)
{
    for (size_t cap = 0; cap < 3; cap++) {
        memset((void *)&uv, 0, sizeof uv);
        REQUIRE_EQ(leat_make(&uv.results, 4 * cap), 0);
        int fd = leat_pollable_recv(&uv.w, &uv.results), fd_ctx = leat_pollable_ctx(&uv.ends, &uv.ctx);
        REQUIRE_EQ(uv_poll_init(uv_default_loop(), &uv.poll, fd), 0);
        REQUIRE_EQ(uv_poll_init(uv_default_loop(), &uv.poll_ctx, fd_ctx), 0);
        REQUIRE_EQ(uv_poll_start(&uv.poll, UV_READABLE, on_results), 0);
        REQUIRE_EQ(uv_poll_start(&uv.poll_ctx, UV_READABLE, on_cancel), 0);
        tap_threads(SENDERS + 1, uv_sender, NULL);
        CHECK_EQ(uv.received, SENDERS * EACH);
        CHECK(uv.cancelled);
        leat_pollable_close(&uv.w);
        leat_pollable_close(&uv.ends);
        leat_free(&uv.results);
    }
    CHECK_EQ(uv_loop_close(uv_default_loop()), 0);
}

#else

TEST(a_loop_of_libuv_sees_every_message_the_close_and_the_cancel)
{
    SKIP("libuv is not installed here");
}

#endif
