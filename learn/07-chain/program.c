/* Step 7: any number of receivers sleep. A send wakes one, and takes the bit away. So a receiver that was woken first
 * puts the bit back, for the others. And if it finds more than it takes, it wakes the next: the wake-up is chained.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/07-chain/program.c -o step7 && ./step7 */
#include "learn.h"
#include <errno.h>
#include <pthread.h>

enum { CLOSED = 1, WAITERS = 2, STEP = 4 };
enum { CAPACITY = 256, MESSAGES = 100000 };

struct queue {
    _Atomic uint32_t tail; /* position | WAITERS | CLOSED */
    char pad[60];
    _Atomic uint32_t head;
    char pad2[60];
    struct {
        _Atomic uint32_t seq;
        long message;
    } slot[CAPACITY];
};

static void queue_init(struct queue *q)
{
    atomic_init(&q->tail, 0);
    atomic_init(&q->head, 0);
    for (uint32_t i = 0; i < CAPACITY; i++) atomic_init(&q->slot[i].seq, i * STEP);
}

#define SLOT(q, p) (&(q)->slot[(p) / STEP % CAPACITY])
#define POSITION(word) ((word) & ~(uint32_t)(STEP - 1))

/* 0, or -EPIPE: closed. If the ring is full it spins: the senders' side sleeps in the same way, see queue.h. */
static int queue_send(struct queue *q, long message)
{
    for (;;) {
        uint32_t t = atomic_load_explicit(&q->tail, memory_order_acquire), p = POSITION(t);
        if (t & CLOSED) return -EPIPE;
        if (atomic_load_explicit(&SLOT(q, p)->seq, memory_order_acquire) != p) {
            relax();
        } else if (atomic_compare_exchange_weak_explicit(&q->tail, &t, p + STEP, memory_order_acq_rel,
                                                         memory_order_relaxed)) {
            SLOT(q, p)->message = message;
            atomic_store_explicit(&SLOT(q, p)->seq, p + 1, memory_order_release);
            if (t & WAITERS) wake(&q->tail, 1);
            return 0;
        }
    }
}

/* False: closed, and all messages were received. */
static bool queue_recv(struct queue *q, long *message)
{
    for (uint32_t slept = 0, t = 0;;) {
        /* Before the claim: a send that comes after this sees the bit, and one that came before is in t. */
        if (slept) t = atomic_fetch_or_explicit(&q->tail, WAITERS, memory_order_acq_rel);
        uint32_t p = atomic_load_explicit(&q->head, memory_order_acquire);
        if (atomic_load_explicit(&SLOT(q, p)->seq, memory_order_acquire) == p + 1) {
            if (!atomic_compare_exchange_weak_explicit(&q->head, &p, p + STEP, memory_order_acq_rel, memory_order_relaxed))
                continue;
            if (slept && (int32_t)(POSITION(t) - p) > STEP) wake(&q->tail, 1); /* there is more */
            *message = SLOT(q, p)->message;
            atomic_store_explicit(&SLOT(q, p)->seq, p + CAPACITY * STEP, memory_order_release);
            return true;
        }
        if (!slept) t = atomic_fetch_or_explicit(&q->tail, WAITERS, memory_order_acq_rel);
        if (POSITION(t) != p) { /* a claim is in flight, or another receiver was faster */
            relax();
            continue;
        }
        if (t & CLOSED) return false;
        park(&q->tail, t | WAITERS);
        slept = 1;
    }
}

static void queue_close(struct queue *q)
{
    atomic_fetch_or_explicit(&q->tail, CLOSED, memory_order_acq_rel);
    wake(&q->tail, INT_MAX); /* also if there is no bit: see quiz 2 */
}

static struct queue queue;
static long sum[2];

static void *sender(void *arg)
{
    (void)arg;
    for (long m = 1; m <= MESSAGES; m++) queue_send(&queue, m);
    return NULL;
}

static void *receiver(void *arg)
{
    long *mine = arg;
    for (long m; queue_recv(&queue, &m);) *mine += m;
    return NULL;
}

int main(void)
{
    pthread_t s[2], r[2];
    queue_init(&queue);
    for (int i = 0; i < 2; i++) pthread_create(&r[i], NULL, receiver, &sum[i]);
    for (int i = 0; i < 2; i++) pthread_create(&s[i], NULL, sender, NULL);
    for (int i = 0; i < 2; i++) pthread_join(s[i], NULL);
    queue_close(&queue);
    for (int i = 0; i < 2; i++) pthread_join(r[i], NULL);
    long expected = 2 * (MESSAGES * (MESSAGES + 1L) / 2);
    printf("2 senders, 2 receivers that sleep, %d messages: the sum is %ld, it should be %ld\n", 2 * MESSAGES,
           sum[0] + sum[1], expected);
    return sum[0] + sum[1] != expected;
}
