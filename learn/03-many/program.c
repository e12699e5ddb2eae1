/* Step 3: Vyukov's ring, for any number of senders and receivers. Each slot has a sequence number. A thread claims a
 * position by a compare-exchange, then writes, then publishes the slot.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/03-many/program.c -o step3 && ./step3 */
#include "learn.h"
#include <pthread.h>

enum { CAPACITY = 256 /* a power of two */, MESSAGES = 100000 };

struct queue {
    _Atomic uint32_t tail; /* the position to claim next */
    char pad[60];
    _Atomic uint32_t head;
    char pad2[60];
    struct {
        _Atomic uint32_t seq; /* p: free for position p.  p + 1: it holds the message of position p */
        long message;
    } slot[CAPACITY];
};

static void queue_init(struct queue *q)
{
    atomic_init(&q->tail, 0);
    atomic_init(&q->head, 0);
    for (uint32_t i = 0; i < CAPACITY; i++) atomic_init(&q->slot[i].seq, i);
}

/* Claims the next position at an end, where slots are ready that have `seq == position + ready`. False: it is not. */
static bool claim(struct queue *q, _Atomic uint32_t *end, uint32_t ready, uint32_t *position)
{
    uint32_t p = atomic_load_explicit(end, memory_order_relaxed); /* a guess: the compare-exchange decides */
    for (;;) {
        uint32_t seq = atomic_load_explicit(&q->slot[p % CAPACITY].seq, memory_order_acquire);
        int32_t ahead = (int32_t)(seq - (p + ready));
        if (ahead < 0) return false;                                        /* of the lap before */
        if (ahead > 0) p = atomic_load_explicit(end, memory_order_relaxed); /* another thread was faster */
        else if (atomic_compare_exchange_weak_explicit(end, &p, p + 1, memory_order_relaxed, memory_order_relaxed)) break;
    }
    *position = p;
    return true;
}

static bool queue_try_send(struct queue *q, long message)
{
    uint32_t p;
    if (!claim(q, &q->tail, 0, &p)) return false;
    q->slot[p % CAPACITY].message = message;
    atomic_store_explicit(&q->slot[p % CAPACITY].seq, p + 1, memory_order_release);
    return true;
}

static bool queue_try_recv(struct queue *q, long *message)
{
    uint32_t p;
    if (!claim(q, &q->head, 1, &p)) return false;
    *message = q->slot[p % CAPACITY].message;
    atomic_store_explicit(&q->slot[p % CAPACITY].seq, p + CAPACITY, memory_order_release); /* free in the next lap */
    return true;
}

static void queue_send(struct queue *q, long message)
{
    while (!queue_try_send(q, message)) relax();
}

static bool queue_recv(struct queue *q, long *message)
{
    while (!queue_try_recv(q, message)) relax();
    return true;
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
    for (long m, i = 0; i < MESSAGES; i++) {
        queue_recv(&queue, &m);
        *mine += m;
    }
    return NULL;
}

int main(void)
{
    pthread_t s[2], r[2];
    queue_init(&queue);
    for (int i = 0; i < 2; i++) {
        pthread_create(&s[i], NULL, sender, NULL);
        pthread_create(&r[i], NULL, receiver, &sum[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(s[i], NULL);
        pthread_join(r[i], NULL);
    }
    long expected = 2 * (MESSAGES * (MESSAGES + 1L) / 2);
    printf("2 senders, 2 receivers, %d messages: the sum is %ld, it should be %ld\n", 2 * MESSAGES, sum[0] + sum[1],
           expected);
    return sum[0] + sum[1] != expected;
}
