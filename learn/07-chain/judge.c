/* The judge of exercise 7. As many messages as receivers, so nobody may sleep at the end. */
#include "judge.h"
#include LESSON

static void *sender(void *arg)
{
    (void)arg;
    queue_send();
    return NULL;
}

static void *receiver(void *arg)
{
    (void)arg;
    queue_recv();
    return NULL;
}

SCENARIO(no_receiver_sleeps_beside_a_message, { .senders = 1, .exhaust = true }, { .senders = 2, .exhaust = true },
         { .senders = 3 })
{
    for (int i = 0; i < k->senders; i++) sim_go(sender, NULL);
    for (int i = 0; i < k->senders; i++) sim_go(receiver, NULL);
    sim_join();
}
