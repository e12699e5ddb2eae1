/* Step 6: the receiver sleeps. WAITERS is a bit of tail, the word that each send must win, so a sender need not look
 * anywhere else. The program measures that beside a word of its own, which needs a fence in each send. One receiver.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/06-sleep/program.c -o step6 && ./step6 */
#include "learn.h"
#include <pthread.h>
#include <time.h>

enum { WAITERS = 2, STEP = 4 };
enum { CAPACITY = 256, MESSAGES = 300000 };

struct queue {
    _Atomic uint32_t tail; /* position | WAITERS: the receiver sleeps on this word, or is about to */
    char pad[60];
    _Atomic uint32_t head;
    _Atomic uint32_t asleep; /* instead of the bit, for queue_send_fenced */
    char pad2[56];
    struct {
        _Atomic uint32_t seq;
        long message;
    } slot[CAPACITY];
};

static long sleeps;

static void queue_init(struct queue *q)
{
    atomic_init(&q->tail, 0);
    atomic_init(&q->head, 0);
    atomic_init(&q->asleep, 0);
    for (uint32_t i = 0; i < CAPACITY; i++) atomic_init(&q->slot[i].seq, i * STEP);
}

#define SLOT(q, p) (&(q)->slot[(p) / STEP % CAPACITY])
#define POSITION(word) ((word) & ~(uint32_t)(STEP - 1))

/* Claims, writes, publishes. Returns the tail that it has replaced. Takes the bit away with the claim. */
static inline uint32_t put(struct queue *q, long message)
{
    for (;;) {
        uint32_t t = atomic_load_explicit(&q->tail, memory_order_acquire), p = POSITION(t);
        if (atomic_load_explicit(&SLOT(q, p)->seq, memory_order_acquire) != p) {
            relax();
        } else if (atomic_compare_exchange_weak_explicit(&q->tail, &t, p + STEP, memory_order_acq_rel,
                                                         memory_order_relaxed)) {
            SLOT(q, p)->message = message;
            atomic_store_explicit(&SLOT(q, p)->seq, p + 1, memory_order_release);
            return t;
        }
    }
}

static void queue_send(struct queue *q, long message)
{
    if (put(q, message) & WAITERS) wake(&q->tail, 1);
}

/* The same with a word of its own. Without the fence the load may miss the receiver's store: store buffering. */
static void queue_send_fenced(struct queue *q, long message)
{
    put(q, message);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&q->asleep, memory_order_relaxed)) {
        atomic_store_explicit(&q->asleep, 0, memory_order_relaxed);
        wake(&q->asleep, 1);
    }
}

/* False: nothing there. */
static bool get(struct queue *q, long *message)
{
    uint32_t p = atomic_load_explicit(&q->head, memory_order_relaxed); /* it is the only receiver */
    if (atomic_load_explicit(&SLOT(q, p)->seq, memory_order_acquire) != p + 1) return false;
    atomic_store_explicit(&q->head, p + STEP, memory_order_release);
    *message = SLOT(q, p)->message;
    atomic_store_explicit(&SLOT(q, p)->seq, p + CAPACITY * STEP, memory_order_release);
    return true;
}

static bool queue_recv(struct queue *q, long *message)
{
    while (!get(q, message)) {
        uint32_t t = atomic_fetch_or_explicit(&q->tail, WAITERS, memory_order_acq_rel);
        if (POSITION(t) != atomic_load_explicit(&q->head, memory_order_relaxed)) { /* a claim came first */
            relax();
            continue;
        }
        sleeps++;
        park(&q->tail, t | WAITERS); /* returns at once if a claim came since */
    }
    return true;
}

static bool queue_recv_fenced(struct queue *q, long *message)
{
    while (!get(q, message)) {
        atomic_store_explicit(&q->asleep, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (get(q, message)) break;
        sleeps++;
        park(&q->asleep, 1);
    }
    return true;
}

static struct queue queue;

static void *sender(void *fenced)
{
    for (long m = 1; m <= MESSAGES; m++) fenced ? queue_send_fenced(&queue, m) : queue_send(&queue, m);
    return NULL;
}

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void)
{
    for (int fenced = 0; fenced < 2; fenced++) {
        pthread_t s;
        long sum = 0, m;
        queue_init(&queue);
        double alone = now();
        for (int i = 0; i < MESSAGES; i++) {
            fenced ? queue_send_fenced(&queue, i) : queue_send(&queue, i);
            fenced ? queue_recv_fenced(&queue, &m) : queue_recv(&queue, &m);
        }
        alone = (now() - alone) / MESSAGES;
        sleeps = 0;
        pthread_create(&s, NULL, sender, fenced ? &queue : NULL);
        for (int i = 0; i < MESSAGES; i++, sum += m) fenced ? queue_recv_fenced(&queue, &m) : queue_recv(&queue, &m);
        pthread_join(s, NULL);
        printf("%-22s %5.1f ns a message in one thread. With two: %ld sleeps, the sum is %s\n",
               fenced ? "two words and a fence:" : "one word:", alone, sleeps,
               sum == MESSAGES * (MESSAGES + 1L) / 2 ? "right" : "wrong");
    }
    return 0;
}
