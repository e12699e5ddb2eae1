/* Step 9: who may free it. A request lies on the stack of the thread that makes it. The server answers, and the thread
 * returns at once: the request is gone. So the store that publishes the answer must be the server's last access.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/09-free/program.c -o step9 && ./step9 */
#include "learn.h"
#include <pthread.h>

enum { ASKED, ASLEEP, DONE };
enum { CLIENTS = 2, REQUESTS = 10000 };

struct request {
    _Atomic uint32_t state;
    long question, answer;
};

/* The server's. The exchange publishes the answer, and tells in the same step whether the client sleeps. After it, only
 * the address is used: a wake of an address that is something else by now wakes nobody, or a thread that looks again. */
static void request_finish(struct request *r, long answer)
{
    r->answer = answer;
    _Atomic uint32_t *word = &r->state;
    if (atomic_exchange_explicit(word, DONE, memory_order_acq_rel) == ASLEEP) wake(word, 1);
}

/* The client's. */
static long request_wait(struct request *r)
{
    for (int i = 0; i < 100; i++) { /* it may be done soon */
        if (atomic_load_explicit(&r->state, memory_order_acquire) == DONE) return r->answer;
        relax();
    }
    uint32_t state = ASKED;
    if (atomic_compare_exchange_strong_explicit(&r->state, &state, ASLEEP, memory_order_acquire, memory_order_acquire))
        while (atomic_load_explicit(&r->state, memory_order_acquire) != DONE) park(&r->state, ASLEEP);
    return r->answer;
}

/* How the requests come to the server: a list with a lock, as in step 1. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static struct request *asked[CLIENTS];
static int count;

static void ask(struct request *r)
{
    pthread_mutex_lock(&lock);
    while (count == CLIENTS) pthread_cond_wait(&not_full, &lock);
    asked[count++] = r;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&lock);
}

static struct request *next(void)
{
    pthread_mutex_lock(&lock);
    while (count == 0) pthread_cond_wait(&not_empty, &lock);
    struct request *r = asked[--count];
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&lock);
    return r;
}

static void *server(void *arg)
{
    (void)arg;
    for (int i = 0; i < CLIENTS * REQUESTS; i++) {
        struct request *r = next();
        request_finish(r, r->question * 2);
    }
    return NULL;
}

static long one_request(long question)
{
    struct request r = { .question = question }; /* on this stack, for the time of this call */
    atomic_init(&r.state, ASKED);
    ask(&r);
    return request_wait(&r);
}

static void *client(void *arg)
{
    long *wrong = arg;
    for (long i = 0; i < REQUESTS; i++) *wrong += one_request(i) != 2 * i;
    return NULL;
}

int main(void)
{
    pthread_t s, c[CLIENTS];
    long wrong[CLIENTS] = { 0 };
    pthread_create(&s, NULL, server, NULL);
    for (int i = 0; i < CLIENTS; i++) pthread_create(&c[i], NULL, client, &wrong[i]);
    for (int i = 0; i < CLIENTS; i++) pthread_join(c[i], NULL);
    pthread_join(s, NULL);
    printf("%d requests, each on the stack of its client: %ld wrong answers\n", CLIENTS * REQUESTS, wrong[0] + wrong[1]);
    return wrong[0] + wrong[1] != 0;
}
