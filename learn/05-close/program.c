/* Step 5: closing. CLOSED is a bit of tail, the word that each send must win. So a send either comes before the close,
 * and its message will be received, or it sees the bit, and is refused.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/05-close/program.c -o step5 && ./step5 */
#include "learn.h"
#include <errno.h>
#include <pthread.h>

enum { CLOSED = 1, STEP = 4 /* from one position to the next: the bits below are free for flags */ };
enum { CAPACITY = 256, ENOUGH = 200000 };

struct queue {
    _Atomic uint32_t tail; /* position | CLOSED */
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
    for (uint32_t i = 0; i < CAPACITY; i++) atomic_init(&q->slot[i].seq, i * STEP);
}

#define SLOT(q, p) (&(q)->slot[(p) / STEP % CAPACITY])

/* 0, or -EPIPE: the queue is closed, and the message was not sent. Waits for room. */
static int queue_send(struct queue *q, long message)
{
    for (;;) {
        uint32_t p = atomic_load_explicit(&q->tail, memory_order_acquire);
        if (p & CLOSED) return -EPIPE;
        uint32_t seq = atomic_load_explicit(&SLOT(q, p)->seq, memory_order_acquire);
        if (seq != p) {
            relax(); /* full, or another sender was faster */
        } else if (atomic_compare_exchange_weak_explicit(&q->tail, &p, p + STEP, memory_order_acq_rel,
                                                         memory_order_relaxed)) {
            SLOT(q, p)->message = message;
            atomic_store_explicit(&SLOT(q, p)->seq, p + 1, memory_order_release);
            return 0;
        }
    }
}

/* 0, or -EPIPE: the queue is closed, and all messages were received. Waits for a message. */
static int queue_recv_or_end(struct queue *q, long *message)
{
    for (;;) {
        uint32_t p = atomic_load_explicit(&q->head, memory_order_acquire);
        uint32_t seq = atomic_load_explicit(&SLOT(q, p)->seq, memory_order_acquire);
        if (seq != p + 1) {
            /* CLOSED and empty at the same instant, as it is one word: no message can come any more. */
            if (atomic_load_explicit(&q->tail, memory_order_acquire) == (p | CLOSED)) return -EPIPE;
            relax();
        } else if (atomic_compare_exchange_weak_explicit(&q->head, &p, p + STEP, memory_order_acq_rel,
                                                         memory_order_relaxed)) {
            *message = SLOT(q, p)->message;
            atomic_store_explicit(&SLOT(q, p)->seq, p + CAPACITY * STEP, memory_order_release);
            return 0;
        }
    }
}

static bool queue_recv(struct queue *q, long *message)
{
    return queue_recv_or_end(q, message) == 0;
}

static void queue_close(struct queue *q)
{
    atomic_fetch_or_explicit(&q->tail, CLOSED, memory_order_acq_rel);
}

static struct queue queue;
static long sent[2], received[2];
static _Atomic long all_received;

static void *sender(void *arg)
{
    for (long *mine = arg; queue_send(&queue, 1) == 0;) ++*mine;
    return NULL;
}

static void *receiver(void *arg)
{
    long *mine = arg;
    for (long m; queue_recv(&queue, &m);) {
        ++*mine;
        atomic_fetch_add_explicit(&all_received, 1, memory_order_relaxed);
    }
    return NULL;
}

int main(void)
{
    pthread_t s[2], r[2];
    queue_init(&queue);
    for (int i = 0; i < 2; i++) {
        pthread_create(&s[i], NULL, sender, &sent[i]);
        pthread_create(&r[i], NULL, receiver, &received[i]);
    }
    while (atomic_load_explicit(&all_received, memory_order_relaxed) < ENOUGH) relax();
    queue_close(&queue); /* in the middle of it */
    for (int i = 0; i < 2; i++) {
        pthread_join(s[i], NULL);
        pthread_join(r[i], NULL);
    }
    printf("closed in the middle: %ld sends succeeded, %ld messages were received\n", sent[0] + sent[1],
           received[0] + received[1]);
    return sent[0] + sent[1] != received[0] + received[1];
}
