/* Step 2: a ring for one sender and one receiver, without a lock. Each side writes one counter, and reads the other's.
 * A release hands over what was written before it. An acquire takes it over.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/02-one-to-one/program.c -o step2 && ./step2 */
#include "learn.h"
#include <pthread.h>

enum { CAPACITY = 256, MESSAGES = 1000000 };

struct queue {
    _Atomic uint32_t tail; /* how many were sent: only the sender writes it */
    char pad[60];          /* the two counters on two cache lines */
    _Atomic uint32_t head; /* how many were taken: only the receiver writes it */
    char pad2[60];
    long slot[CAPACITY]; /* slots head to tail - 1 belong to the receiver, the others to the sender */
};

static void queue_init(struct queue *q)
{
    atomic_init(&q->tail, 0);
    atomic_init(&q->head, 0);
}

/* False: the ring is full. */
static bool queue_try_send(struct queue *q, long message)
{
    uint32_t t = atomic_load_explicit(&q->tail, memory_order_relaxed); /* its own */
    uint32_t h = atomic_load_explicit(&q->head, memory_order_acquire); /* the receiver is done with all before h */
    if (t - h == CAPACITY) return false;
    q->slot[t % CAPACITY] = message;
    atomic_store_explicit(&q->tail, t + 1, memory_order_release); /* here: the message */
    return true;
}

/* False: the ring is empty. */
static bool queue_try_recv(struct queue *q, long *message)
{
    uint32_t h = atomic_load_explicit(&q->head, memory_order_relaxed);
    uint32_t t = atomic_load_explicit(&q->tail, memory_order_acquire);
    if (t == h) return false;
    *message = q->slot[h % CAPACITY];
    atomic_store_explicit(&q->head, h + 1, memory_order_release); /* here: the slot, it was read */
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

static void *sender(void *arg)
{
    (void)arg;
    for (long m = 1; m <= MESSAGES; m++) queue_send(&queue, m);
    return NULL;
}

int main(void)
{
    pthread_t s;
    long late = 0, message;
    queue_init(&queue);
    pthread_create(&s, NULL, sender, NULL);
    for (long m = 1; m <= MESSAGES; m++) {
        queue_recv(&queue, &message);
        late += message != m;
    }
    pthread_join(s, NULL);
    printf("1 sender, 1 receiver, %d messages: %ld out of order\n", MESSAGES, late);
    return late != 0;
}
