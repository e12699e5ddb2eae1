/* Step 1: a queue with a mutex and two condition variables. Two senders and two receivers share it. It is right, it
 * sleeps, and it can be closed. Every later step is measured against it.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/01-mutex/program.c -o step1 && ./step1 */
#include "learn.h"
#include <pthread.h>

enum { CAPACITY = 256, MESSAGES = 100000 };

struct queue {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t not_full, not_empty;
    unsigned head, count;
    bool closed;
    long slot[CAPACITY];
};

static void queue_init(struct queue *q)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->not_full, NULL);
    pthread_cond_init(&q->not_empty, NULL);
    q->head = q->count = 0;
    q->closed = false;
}

/* Waits for room. */
static void queue_send(struct queue *q, long message)
{
    pthread_mutex_lock(&q->lock);
    while (q->count == CAPACITY) pthread_cond_wait(&q->not_full, &q->lock); /* while: see quiz 1 */
    q->slot[(q->head + q->count++) % CAPACITY] = message;
    pthread_cond_signal(&q->not_empty);
    pthread_mutex_unlock(&q->lock);
}

/* Waits for a message. False: the queue is closed, and nothing is left. */
static bool queue_recv(struct queue *q, long *message)
{
    pthread_mutex_lock(&q->lock);
    while (q->count == 0 && !q->closed) pthread_cond_wait(&q->not_empty, &q->lock);
    bool got = q->count > 0;
    if (got) {
        *message = q->slot[q->head];
        q->head = (q->head + 1) % CAPACITY;
        q->count--;
        pthread_cond_signal(&q->not_full);
    }
    pthread_mutex_unlock(&q->lock);
    return got;
}

static void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty); /* all receivers, not one */
    pthread_mutex_unlock(&q->lock);
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
    for (int i = 0; i < 2; i++) {
        pthread_create(&s[i], NULL, sender, NULL);
        pthread_create(&r[i], NULL, receiver, &sum[i]);
    }
    for (int i = 0; i < 2; i++) pthread_join(s[i], NULL);
    queue_close(&queue);
    for (int i = 0; i < 2; i++) pthread_join(r[i], NULL);
    long expected = 2 * (MESSAGES * (MESSAGES + 1L) / 2);
    printf("2 senders, 2 receivers, %d messages: the sum is %ld, it should be %ld\n", 2 * MESSAGES, sum[0] + sum[1],
           expected);
    return sum[0] + sum[1] != expected;
}
