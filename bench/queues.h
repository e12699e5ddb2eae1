/* queues.h - the queue contestants, each made to fit the same loops.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_QUEUES_H
#define BENCH_QUEUES_H

#include "crew.h"
#include "mutex_ring.h"
#include "vyukov.h"

#include "../queue.h"

enum { BATCH = 32, MOST_CASES = 64 };

typedef LEAT_CHAN(uint64_t) u64_chan;

union any_ring {
    u64_chan leat;
    struct mutex_ring mutex;
    struct vyukov vyukov;
};

/* The two that the works of the moment use; always at the same address. */
static _Alignas(128) union any_ring ring[2];

struct queue_ops {
    int (*make)(union any_ring *, size_t cap);
    void (*free)(union any_ring *);
    int (*close)(union any_ring *);
    int (*send)(union any_ring *, uint64_t msg);
    int (*recv)(union any_ring *, uint64_t *msg);
    ptrdiff_t (*send_many)(union any_ring *, uint64_t *msg, size_t n);
    ptrdiff_t (*recv_many)(union any_ring *, uint64_t *msg, size_t n);
};

/* ---- the loops ------------------------------------------------------------------------------- */

/* One thread sends and receives in turns. */
INLINE struct sample alone(const struct work *w, uint64_t n, const struct queue_ops *q)
{
    uint64_t sum = 0, count = 0;
    must(q->make(&ring[0], w->cap), "make");
    struct watch watch = watch_start(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t msg = 0;
        if (q->send(&ring[0], i) || q->recv(&ring[0], &msg)) break;
        sum += msg;
        count++;
    }
    struct sample s = watch_stop(watch, n);
    must_sum(n, count, sum);
    q->free(&ring[0]);
    return s;
}

INLINE int send_all(union any_ring *r, uint64_t *msg, size_t n, const struct queue_ops *q)
{
    while (n) {
        ptrdiff_t sent = q->send_many(r, msg, n);
        if (sent <= 0) return sent ? (int)sent : 1;
        msg += sent;
        n -= (size_t)sent;
    }
    return 0;
}

INLINE struct sample alone_many(const struct work *w, uint64_t n, const struct queue_ops *q)
{
    uint64_t out[BATCH], in[BATCH], sum = 0, count = 0;
    n = (n + BATCH - 1) / BATCH * BATCH;
    must(q->make(&ring[0], w->cap), "make");
    struct watch watch = watch_start(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 1; i <= n; i += BATCH) {
        for (unsigned j = 0; j < BATCH; j++) out[j] = i + j;
        if (send_all(&ring[0], out, BATCH, q)) break;
        for (ptrdiff_t got, left = BATCH; left; left -= got) {
            if ((got = q->recv_many(&ring[0], in, (size_t)left)) <= 0) goto stop;
            for (ptrdiff_t j = 0; j < got; j++) sum += in[j];
            count += (uint64_t)got;
        }
    }
    struct sample s;
stop:
    s = watch_stop(watch, n);
    must_sum(n, count, sum);
    q->free(&ring[0]);
    return s;
}

INLINE void last_sender_closes(struct member *m, const struct queue_ops *q)
{
    if (atomic_fetch_sub_explicit(&m->crew->senders, 1, memory_order_acq_rel) == 1)
        q->close(&ring[0]);
}

INLINE void *sends(struct member *m, const struct queue_ops *q)
{
    begin(m);
    for (uint64_t i = m->first, last = m->last; i <= last && !m->err; i++)
        m->err = q->send(&ring[0], i);
    last_sender_closes(m, q);
    end(m);
    return NULL;
}

INLINE void *receives(struct member *m, const struct queue_ops *q)
{
    uint64_t count = 0, sum = 0, msg = 0;
    begin(m);
    int err;
    while ((err = q->recv(&ring[0], &msg)) == 0) {
        sum += msg;
        count++;
    }
    end(m);
    m->count = count;
    m->sum = sum;
    if (err != -EPIPE) m->err = err;
    return NULL;
}

INLINE void *sends_many(struct member *m, const struct queue_ops *q)
{
    uint64_t out[BATCH];
    begin(m);
    for (uint64_t i = m->first; i <= m->last;) {
        size_t n = m->last - i + 1 < BATCH ? (size_t)(m->last - i + 1) : BATCH;
        for (size_t j = 0; j < n; j++) out[j] = i + j;
        if ((m->err = send_all(&ring[0], out, n, q)) != 0) break;
        i += n;
    }
    last_sender_closes(m, q);
    end(m);
    return NULL;
}

INLINE void *receives_many(struct member *m, const struct queue_ops *q)
{
    uint64_t in[BATCH], count = 0, sum = 0;
    begin(m);
    ptrdiff_t n;
    while ((n = q->recv_many(&ring[0], in, BATCH)) > 0) {
        for (ptrdiff_t j = 0; j < n; j++) sum += in[j];
        count += (uint64_t)n;
    }
    end(m);
    m->count = count;
    m->sum = sum;
    if (n != -EPIPE) m->err = n ? (int)n : 1;
    return NULL;
}

INLINE void *serves(struct member *m, const struct queue_ops *q)
{
    uint64_t count = 0, sum = 0, msg = 0;
    begin(m);
    for (uint64_t i = m->first; i <= m->last && !m->err; i++) {
        if ((m->err = q->send(&ring[0], i)) != 0) break;
        if ((m->err = q->recv(&ring[1], &msg)) != 0) break;
        sum += msg;
        count++;
    }
    q->close(&ring[0]);
    end(m);
    m->count = count;
    m->sum = sum;
    return NULL;
}

INLINE void *returns(struct member *m, const struct queue_ops *q)
{
    uint64_t msg = 0;
    begin(m);
    int err;
    while ((err = q->recv(&ring[0], &msg)) == 0 && (err = q->send(&ring[1], msg)) == 0) continue;
    end(m);
    if (err != -EPIPE) m->err = err;
    return NULL;
}

INLINE struct sample flow(const struct work *w, uint64_t n, const struct queue_ops *q,
                          thread_fn *left, thread_fn *right)
{
    must(q->make(&ring[0], w->cap), "make");
    struct sample s = run_crew(n, w->left, left, w->right, right);
    q->free(&ring[0]);
    return s;
}

INLINE struct sample ping_pong(size_t cap, uint64_t n, const struct queue_ops *q, thread_fn *left,
                               thread_fn *right)
{
    must(q->make(&ring[0], cap), "make");
    must(q->make(&ring[1], cap), "make");
    struct sample s = run_crew(n, 1, left, 1, right);
    q->free(&ring[0]);
    q->free(&ring[1]);
    return s;
}

/* ---- leat ------------------------------------------------------------------------------------ */

INLINE int leat_q_make(union any_ring *r, size_t cap) { return leat_make(&r->leat, cap); }

INLINE void leat_q_free(union any_ring *r) { leat_free(&r->leat); }

INLINE int leat_q_close(union any_ring *r) { return leat_close(&r->leat); }

INLINE int leat_q_send(union any_ring *r, uint64_t msg) { return leat_send(&r->leat, &msg); }

INLINE int leat_q_recv(union any_ring *r, uint64_t *msg) { return leat_recv(&r->leat, msg); }

INLINE ptrdiff_t leat_q_send_many(union any_ring *r, uint64_t *msg, size_t n)
{
    return leat_send_many(NULL, &r->leat, msg, n);
}

INLINE ptrdiff_t leat_q_recv_many(union any_ring *r, uint64_t *msg, size_t n)
{
    return leat_recv_many(NULL, &r->leat, msg, n);
}

static const struct queue_ops leat_q = { leat_q_make,     leat_q_free, leat_q_close,
                                         leat_q_send,     leat_q_recv, leat_q_send_many,
                                         leat_q_recv_many };

static leat_ctx some_ctx = LEAT_CTX(NULL);

INLINE int leat_q_send_ctx(union any_ring *r, uint64_t msg)
{
    return leat_send_ctx(&some_ctx, &r->leat, &msg);
}

INLINE int leat_q_recv_ctx(union any_ring *r, uint64_t *msg)
{
    return leat_recv_ctx(&some_ctx, &r->leat, msg);
}

static const struct queue_ops leat_q_ctx = {
    leat_q_make, leat_q_free, leat_q_close, leat_q_send_ctx, leat_q_recv_ctx, NULL, NULL
};

static void *leat_sends(void *m) { return sends(m, &leat_q); }
static void *leat_receives(void *m) { return receives(m, &leat_q); }
static void *leat_sends_many(void *m) { return sends_many(m, &leat_q); }
static void *leat_receives_many(void *m) { return receives_many(m, &leat_q); }
static void *leat_serves(void *m) { return serves(m, &leat_q); }
static void *leat_returns(void *m) { return returns(m, &leat_q); }

static struct sample leat_alone(const struct work *w, uint64_t n) { return alone(w, n, &leat_q); }
static struct sample leat_alone_ctx(const struct work *w, uint64_t n)
{
    return alone(w, n, &leat_q_ctx);
}
static struct sample leat_alone_many(const struct work *w, uint64_t n)
{
    return alone_many(w, n, &leat_q);
}

static struct sample leat_flow(const struct work *w, uint64_t n)
{
    return flow(w, n, &leat_q, leat_sends, leat_receives);
}

static struct sample leat_flow_many(const struct work *w, uint64_t n)
{
    return flow(w, n, &leat_q, leat_sends_many, leat_receives_many);
}

static struct sample leat_ping_pong(const struct work *w, uint64_t n)
{
    return ping_pong(w->cap, n, &leat_q, leat_serves, leat_returns);
}

static struct sample leat_ping_pong_unbuffered(const struct work *w, uint64_t n)
{
    (void)w;
    return ping_pong(0, n, &leat_q, leat_serves, leat_returns);
}

/* ---- the mutex ring -------------------------------------------------------------------------- */

INLINE int mutex_q_make(union any_ring *r, size_t cap)
{
    return mutex_ring_make(&r->mutex, cap);
}

INLINE void mutex_q_free(union any_ring *r) { mutex_ring_free(&r->mutex); }

INLINE int mutex_q_close(union any_ring *r) { return mutex_ring_close(&r->mutex); }

INLINE int mutex_q_send(union any_ring *r, uint64_t msg)
{
    return mutex_ring_send(&r->mutex, msg);
}

INLINE int mutex_q_recv(union any_ring *r, uint64_t *msg)
{
    return mutex_ring_recv(&r->mutex, msg);
}

INLINE ptrdiff_t mutex_q_send_many(union any_ring *r, uint64_t *msg, size_t n)
{
    return mutex_ring_send_many(&r->mutex, msg, n);
}

INLINE ptrdiff_t mutex_q_recv_many(union any_ring *r, uint64_t *msg, size_t n)
{
    return mutex_ring_recv_many(&r->mutex, msg, n);
}

static const struct queue_ops mutex_q = { mutex_q_make,     mutex_q_free, mutex_q_close,
                                          mutex_q_send,     mutex_q_recv, mutex_q_send_many,
                                          mutex_q_recv_many };

static void *mutex_sends(void *m) { return sends(m, &mutex_q); }
static void *mutex_receives(void *m) { return receives(m, &mutex_q); }
static void *mutex_sends_many(void *m) { return sends_many(m, &mutex_q); }
static void *mutex_receives_many(void *m) { return receives_many(m, &mutex_q); }
static void *mutex_serves(void *m) { return serves(m, &mutex_q); }
static void *mutex_returns(void *m) { return returns(m, &mutex_q); }

static struct sample mutex_alone(const struct work *w, uint64_t n) { return alone(w, n, &mutex_q); }
static struct sample mutex_alone_many(const struct work *w, uint64_t n)
{
    return alone_many(w, n, &mutex_q);
}

static struct sample mutex_flow(const struct work *w, uint64_t n)
{
    return flow(w, n, &mutex_q, mutex_sends, mutex_receives);
}

static struct sample mutex_flow_many(const struct work *w, uint64_t n)
{
    return flow(w, n, &mutex_q, mutex_sends_many, mutex_receives_many);
}

static struct sample mutex_ping_pong(const struct work *w, uint64_t n)
{
    return ping_pong(w->cap, n, &mutex_q, mutex_serves, mutex_returns);
}

/* ---- the bare Vyukov ring -------------------------------------------------------------------- */

INLINE int vyukov_q_make(union any_ring *r, size_t cap)
{
    return vyukov_make(&r->vyukov, cap);
}

INLINE void vyukov_q_free(union any_ring *r) { vyukov_free(&r->vyukov); }

INLINE int vyukov_q_send(union any_ring *r, uint64_t msg)
{
    return vyukov_try_send(&r->vyukov, msg);
}

INLINE int vyukov_q_recv(union any_ring *r, uint64_t *msg)
{
    return vyukov_try_recv(&r->vyukov, msg);
}

static const struct queue_ops vyukov_q = { vyukov_q_make, vyukov_q_free, NULL, vyukov_q_send,
                                           vyukov_q_recv, NULL,          NULL };

static struct sample vyukov_alone(const struct work *w, uint64_t n)
{
    return alone(w, n, &vyukov_q);
}

/* ---- select ---------------------------------------------------------------------------------- */

/* `left` receiving cases of which `right` are ready. What was received is replaced by one send, so
 * the number stays the same; with one ready it moves on to the next channel. */
static struct sample leat_selects(const struct work *w, uint64_t n)
{
    static u64_chan chan[MOST_CASES];
    uint64_t msg[MOST_CASES], sent = 0, received = 0;
    leat_case cases[MOST_CASES];
    for (int i = 0; i < w->left; i++) {
        must(leat_make(&chan[i], w->cap), "leat_make");
        cases[i] = LEAT_RECV(&chan[i], &msg[i]);
    }
    uint64_t next = 0;
    for (int i = 0; i < w->right; i++) {
        sent += ++next;
        must(leat_send(&chan[i], &next), "leat_send");
    }
    struct watch watch = watch_start(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t k = 0; k < n; k++) {
        int i = leat_select(NULL, cases, (size_t)w->left);
        if (i < 0 || cases[i].err) {
            wrong("leat_select answered %d", i);
            break;
        }
        received += msg[i];
        sent += ++next;
        if (w->right == 1 && ++i == w->left) i = 0;
        if (leat_send(&chan[i], &next)) break;
    }
    struct sample s = watch_stop(watch, n);
    for (int i = 0; i < w->left; i++) {
        for (uint64_t rest; leat_try_recv(&chan[i], &rest) == 0;) received += rest;
        leat_free(&chan[i]);
    }
    if (sent != received)
        wrong("sent %llu, received %llu", (unsigned long long)sent, (unsigned long long)received);
    return s;
}

#endif
