/* The judge of exercise 8. One receiver selects, two senders try until one of them has handed over. */
#include "judge.h"
#include LESSON

static struct channel a, b;
static int message, handed[2];
static _Atomic int all_handed;

static void *selector(void *arg)
{
    struct waiter *me = malloc(sizeof *me);
    (void)arg;
    sim_name(me, sizeof *me, "me");
    sim_name(&me->message, sizeof me->message, "me.message");
    sim_name(&me->state, sizeof me->state, "me.state");
    message = select_recv(me, &a, &b);
    free(me);
    return NULL;
}

static void *sender(void *arg)
{
    int i = (int)(intptr_t)arg;
    while (!atomic_load_explicit(&all_handed, memory_order_relaxed)) {
        if (channel_try_send(i ? &b : &a, 10 + i)) {
            handed[i] = 1;
            atomic_store_explicit(&all_handed, 1, memory_order_relaxed);
        }
        relax();
    }
    return NULL;
}

SCENARIO(exactly_one_sender_hands_over, { .a = 0, .exhaust = true })
{
    (void)k;
    NAME(a.lock);
    NAME(b.lock);
    NAME(a.receiver);
    NAME(b.receiver);
    sim_go(selector, NULL);
    sim_go(sender, (void *)0);
    sim_go(sender, (void *)1);
    sim_join();
    MUST(handed[0] + handed[1] == 1, "exactly one sender to have handed over");
    MUST(message == (handed[0] ? 10 : 11), "the message of the sender that has handed over");
}
