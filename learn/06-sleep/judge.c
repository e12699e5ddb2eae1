/* The judge of exercise 6. One sender, one receiver. */
#include "judge.h"
#include LESSON

static int each;

static void *sender(void *arg)
{
    (void)arg;
    for (int i = 0; i < each; i++) queue_send();
    return NULL;
}

static void *receiver(void *arg)
{
    (void)arg;
    for (int i = 0; i < each; i++) queue_recv();
    return NULL;
}

SCENARIO(no_receiver_sleeps_beside_a_message, { .each = 1, .exhaust = true }, { .each = 2, .exhaust = true }, { .each = 3 })
{
    each = k->each;
    sim_go(sender, NULL);
    sim_go(receiver, NULL);
    sim_join();
}
