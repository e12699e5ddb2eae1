/* Step 4: an exact "empty". If the next slot is not ready, either the ring is empty, or a sender has claimed that slot
 * and not written it yet. The other end's counter tells which. The program counts wrong answers, with and without.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/04-not-ready/program.c -o step4 && ./step4 */
#include "learn.h"
#include <pthread.h>

enum { CAPACITY = 256, ROUNDS = 300000 };
enum { DONE, NOT_READY, EXACT }; /* EXACT: really full (send), really empty (receive) */

struct queue {
    _Atomic uint32_t tail;
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
    for (uint32_t i = 0; i < CAPACITY; i++) atomic_init(&q->slot[i].seq, i);
}

/* `other` is the other end, and `apart` how far it is from this one when there is nothing to claim. A claim is a release,
 * and each look at an end is an acquire. So a thread that sees a position knows all claims before it. */
static int claim(struct queue *q, _Atomic uint32_t *end, uint32_t ready, _Atomic uint32_t *other, uint32_t apart,
                 uint32_t *at)
{
    for (;;) {
        uint32_t p = atomic_load_explicit(end, memory_order_acquire);
        uint32_t seq = atomic_load_explicit(&q->slot[p % CAPACITY].seq, memory_order_acquire);
        int32_t ahead = (int32_t)(seq - (p + ready));
        *at = p;
        if (ahead < 0) /* `other` is read after p: it can only be nearer to p than when p was read */
            return atomic_load_explicit(other, memory_order_acquire) == p - apart ? EXACT : NOT_READY;
        if (ahead == 0 && atomic_compare_exchange_weak_explicit(end, &p, p + 1, memory_order_acq_rel, memory_order_relaxed))
            return DONE;
    }
}

static int queue_try_send(struct queue *q, long message)
{
    uint32_t p;
    int how = claim(q, &q->tail, 0, &q->head, CAPACITY, &p);
    if (how != DONE) return how;
    q->slot[p % CAPACITY].message = message;
    atomic_store_explicit(&q->slot[p % CAPACITY].seq, p + 1, memory_order_release);
    return DONE;
}

static int queue_try_recv(struct queue *q, long *message)
{
    uint32_t p;
    int how = claim(q, &q->head, 1, &q->tail, 0, &p);
    if (how != DONE) return how;
    *message = q->slot[p % CAPACITY].message;
    atomic_store_explicit(&q->slot[p % CAPACITY].seq, p + CAPACITY, memory_order_release);
    return DONE;
}

static void queue_send(struct queue *q, long message)
{
    while (queue_try_send(q, message) != DONE) relax();
}

static bool queue_recv(struct queue *q, long *message)
{
    while (queue_try_recv(q, message) != DONE) relax();
    return true;
}

static struct queue queue;
static _Atomic long not_ready, empty;

/* Sends a message, and takes one. There is always one for it. */
static void *one_in_one_out(void *arg)
{
    (void)arg;
    for (long i = 0, message; i < ROUNDS; i++) {
        queue_send(&queue, i);
        for (int how; (how = queue_try_recv(&queue, &message)) != DONE; relax())
            atomic_fetch_add_explicit(how == EXACT ? &empty : &not_ready, 1, memory_order_relaxed);
    }
    return NULL;
}

int main(void)
{
    pthread_t t[3];
    queue_init(&queue);
    for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, one_in_one_out, NULL);
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    long message;
    queue_send(&queue, 0);
    queue_recv(&queue, &message);
    printf("%d looks at a ring that held a message each time. The next slot was not ready %ld times:\n", 3 * ROUNDS,
           atomic_load(&not_ready) + atomic_load(&empty));
    printf("so often step 3 would have said \"empty\". Step 4 said it %ld times\n", atomic_load(&empty));
    return atomic_load(&empty) != 0 || queue_try_recv(&queue, &message) != EXACT;
}
