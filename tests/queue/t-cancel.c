/* t-cancel.c - pthread_cancel ends no call half-way: the call returns its result first.
 * SPDX-License-Identifier: MIT */
#include "peek.h"

typedef LEAT_CHAN(int) int_chan;

enum { RECEIVES, SENDS, SELECTS, ACQUIRES, WAITS_FOR_ZERO, BATCHES, FORMS };

struct waiting {
    int form;
    int_chan in, full;
    leat_sem sem;
    leat_wg wg;
    leat_ctx ctx;
    int result, got;
    _Atomic int after;
};

static void *waits(void *arg)
{
    struct waiting *w = arg;
    int m = 7, many[2];
    leat_case cases[] = { LEAT_RECV(&w->in, &w->got), LEAT_SEND(&w->full, &m) };
    switch (w->form) {
    case RECEIVES: w->result = leat_recv_ctx(&w->ctx, &w->in, &w->got); break;
    case SENDS: w->result = leat_send_ctx(&w->ctx, &w->full, &m); break;
    case SELECTS: w->result = leat_select_ctx(&w->ctx, cases, 2); break;
    case ACQUIRES: w->result = leat_acquire_ctx(&w->ctx, &w->sem, 1); break;
    case WAITS_FOR_ZERO: w->result = leat_wg_wait_ctx(&w->ctx, &w->wg); break;
    default: w->result = leat_recv_many_ctx(&w->ctx, &w->in, many, 2) == 1 ? 0 : -EIO; w->got = many[0];
    }
    atomic_store_explicit(&w->after, 1, memory_order_release);
    pthread_testcancel();
    atomic_store_explicit(&w->after, 2, memory_order_release);
    return NULL;
}

TEST(a_thread_that_is_cancelled_while_it_waits_ends_after_its_call_has_returned)
{
    for (int form = 0; form < FORMS; form++) {
        struct waiting w = { .form = form, .sem = LEAT_SEM_OF(0, 8), .wg = LEAT_WG(1) };
        pthread_t thread;
        void *ended = NULL;
        int m = 3;
        REQUIRE(!leat_make(&w.in, 1) && !leat_make(&w.full, 1) && !leat_send(&w.full, &m));
        REQUIRE(pthread_create(&thread, NULL, waits, &w) == 0);
        UNTIL(peek_ctx(&w.ctx) == 1); /* it waits */
        CHECK_EQ(pthread_cancel(thread), 0);
        CHECK_EQ(leat_sleep(LEAT_MS(2)), 0); /* it has time to do the wrong thing */
        CHECK_EQ(atomic_load_explicit(&w.after, memory_order_acquire), 0);
        CHECK_EQ(peek_ctx(&w.ctx), 1);
        if (form == SENDS) CHECK(leat_recv(&w.full, &m) == 0 && m == 3);
        else if (form == ACQUIRES) CHECK_EQ(leat_release(&w.sem, 1), 0);
        else if (form == WAITS_FOR_ZERO) CHECK_EQ(leat_wg_done(&w.wg), 0);
        else CHECK_EQ(leat_send(&w.in, &(int){ 5 }), 0);
        REQUIRE(pthread_join(thread, &ended) == 0);
        CHECK(ended == PTHREAD_CANCELED);
        CHECK_EQ(w.result, 0);
        if (form == SENDS) CHECK(leat_recv(&w.full, &m) == 0 && m == 7);
        if (form == RECEIVES || form == SELECTS || form == BATCHES) CHECK_EQ(w.got, 5);
        CHECK_EQ(atomic_load_explicit(&w.after, memory_order_acquire), 1);
        leat_free(&w.in);
        leat_free(&w.full);
    }
}
