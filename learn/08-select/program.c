/* Step 8: unbuffered channels, and select. Whoever comes first waits, and the other hands over: a rendezvous. A receiver
 * that waits on several channels is in several queues at once, so it must be resolved once, by a compare-exchange.
 *     cc -std=c11 -O2 -pthread -iquote learn learn/08-select/program.c -o step8 && ./step8 */
#include "learn.h"
#include <pthread.h>

enum { WAITING, RESOLVED, WOKEN };
enum { CHANNELS = 2, MESSAGES = 10000 };

struct waiter { /* of one thread, on its stack */
    _Atomic uint32_t state;
    long message;
    int which; /* a receiver's: the channel that it was resolved by */
};

struct node { /* of one waiter, in one queue */
    struct node *next;
    struct waiter *waiter;
    int which;
};

struct channel {
    pthread_mutex_t lock;             /* guards both queues */
    struct node *senders, *receivers; /* those that wait. At most one of the two is not empty */
};

static void append(struct node **queue, struct node *n)
{
    n->next = NULL;
    while (*queue) queue = &(*queue)->next;
    *queue = n;
}

static void take_out(struct node **queue, struct node *n)
{
    while (*queue && *queue != n) queue = &(*queue)->next;
    if (*queue) *queue = n->next;
}

/* The first waiter of the queue that nobody else has resolved, or NULL. The caller holds the lock. */
static struct waiter *resolve(struct node **queue)
{
    while (*queue) {
        struct node *n = *queue;
        *queue = n->next;
        uint32_t waiting = WAITING;
        if (!atomic_compare_exchange_strong_explicit(&n->waiter->state, &waiting, RESOLVED, memory_order_acq_rel,
                                                     memory_order_relaxed))
            continue;
        n->waiter->which = n->which;
        return n->waiter;
    }
    return NULL;
}

/* The last access to the waiter. Its thread goes on, and its stack frame is gone. */
static void wake_waiter(struct waiter *w)
{
    atomic_store_explicit(&w->state, WOKEN, memory_order_release);
    wake(&w->state, 1);
}

static void sleep_until_woken(struct waiter *me)
{
    for (uint32_t s; (s = atomic_load_explicit(&me->state, memory_order_acquire)) != WOKEN;) park(&me->state, s);
}

/* Waits until a receiver has the message. */
static void channel_send(struct channel *ch, long message)
{
    struct waiter me = { .message = message };
    struct node node = { .waiter = &me };
    pthread_mutex_lock(&ch->lock);
    struct waiter *w = resolve(&ch->receivers);
    if (!w) append(&ch->senders, &node);
    pthread_mutex_unlock(&ch->lock);
    if (!w) {
        sleep_until_woken(&me);
        return;
    }
    w->message = message; /* it is ours until we wake it */
    wake_waiter(w);
}

/* Receives from one of n channels, which are in the order of their addresses: so two selects that lock the same channels
 * cannot lock each other out. Returns which. */
static int select_recv(struct channel *ch, int n, long *message)
{
    struct waiter me = { .message = 0 }, *from = NULL;
    struct node node[CHANNELS];
    for (int i = 0; i < n; i++) pthread_mutex_lock(&ch[i].lock);
    for (int i = 0; i < n && !from; i++)
        if ((from = resolve(&ch[i].senders))) me.which = i;
    for (int i = 0; i < n && !from; i++) {
        node[i] = (struct node){ .waiter = &me, .which = i };
        append(&ch[i].receivers, &node[i]);
    }
    for (int i = 0; i < n; i++) pthread_mutex_unlock(&ch[i].lock);
    if (from) {
        *message = from->message;
        wake_waiter(from);
        return me.which;
    }
    sleep_until_woken(&me);
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&ch[i].lock);
        take_out(&ch[i].receivers, &node[i]);
        pthread_mutex_unlock(&ch[i].lock);
    }
    *message = me.message;
    return me.which;
}

static struct channel channel[CHANNELS] = { { .lock = PTHREAD_MUTEX_INITIALIZER }, { .lock = PTHREAD_MUTEX_INITIALIZER } };

static void *sender(void *arg)
{
    for (long m = 1; m <= MESSAGES; m++) channel_send(arg, m);
    return NULL;
}

int main(void)
{
    pthread_t s[CHANNELS];
    long last[CHANNELS] = { 0 }, late = 0, m;
    for (int i = 0; i < CHANNELS; i++) pthread_create(&s[i], NULL, sender, &channel[i]);
    for (int i = 0; i < CHANNELS * MESSAGES; i++) {
        int which = select_recv(channel, CHANNELS, &m);
        late += m != last[which] + 1;
        last[which] = m;
    }
    for (int i = 0; i < CHANNELS; i++) pthread_join(s[i], NULL);
    printf("1 select, 2 unbuffered channels: %ld and %ld messages, %ld out of order\n", last[0], last[1], late);
    return late != 0;
}
