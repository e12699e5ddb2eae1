/* Exercise 8. Unbuffered channels: a sender hands its message to a receiver that waits, or has to wait itself. Here the
 * receiver waits on two channels at once, and each has a sender. Both may believe that they have handed over, and one
 * message is lost. Mend it. The waiter is gone when select_recv has returned, so nothing may touch it any more. */
#include "learn.h"
#include <pthread.h>

enum { WAITING, WOKEN };

struct waiter {
    _Atomic uint32_t state;
    int message;
};

struct channel {
    pthread_mutex_t lock;
    struct waiter *receiver; /* guarded by the lock */
};

/* Hands the message to a receiver that waits. False: there is none. */
static bool channel_try_send(struct channel *ch, int message)
{
    pthread_mutex_lock(&ch->lock);
    struct waiter *w = ch->receiver;
    ch->receiver = NULL;
    if (w && atomic_load_explicit(&w->state, memory_order_acquire) != WAITING) w = NULL;
    if (w) {
        w->message = message;
        atomic_store_explicit(&w->state, WOKEN, memory_order_release);
        wake(&w->state, 1);
    }
    pthread_mutex_unlock(&ch->lock);
    return w;
}

static void set_receiver(struct channel *ch, struct waiter *from, struct waiter *to)
{
    pthread_mutex_lock(&ch->lock);
    if (ch->receiver == from) ch->receiver = to;
    pthread_mutex_unlock(&ch->lock);
}

/* Waits for a message from either. */
static int select_recv(struct waiter *me, struct channel *a, struct channel *b)
{
    atomic_init(&me->state, WAITING);
    set_receiver(a, NULL, me);
    set_receiver(b, NULL, me);
    for (uint32_t s; (s = atomic_load_explicit(&me->state, memory_order_acquire)) != WOKEN;) park(&me->state, s);
    set_receiver(a, me, NULL);
    set_receiver(b, me, NULL);
    return me->message;
}
