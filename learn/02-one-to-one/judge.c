/* The judge of exercise 2. Three messages, from one sender to one receiver. */
#include "judge.h"
#include LESSON

static void *sender(void *arg)
{
    (void)arg;
    for (int m = 1; m <= 3; m++) mailbox_send(m);
    return NULL;
}

static void *receiver(void *arg)
{
    (void)arg;
    for (int m = 1; m <= 3; m++) MUST(mailbox_recv() == m, "the messages in the order in which they were sent");
    return NULL;
}

SCENARIO(the_messages_arrive_in_order, { .exhaust = true })
{
    (void)k;
    sim_go(sender, NULL);
    sim_go(receiver, NULL);
    sim_join();
}
