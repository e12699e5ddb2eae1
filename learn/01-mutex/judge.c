/* The judge of exercise 1. Two senders and two receivers. Each message must arrive once. */
#include "judge.h"
#include LESSON

static int got[4];

static void *sender(void *arg)
{
    queue_send((int)(intptr_t)arg);
    queue_send((int)(intptr_t)arg + 1);
    return NULL;
}

static void *receiver(void *arg)
{
    int *to = arg;
    to[0] = queue_recv();
    to[1] = queue_recv();
    return NULL;
}

SCENARIO(each_message_arrives_once, { .senders = 2, .receivers = 2 })
{
    (void)k;
    sim_go(sender, (void *)1);
    sim_go(sender, (void *)3);
    sim_go(receiver, &got[0]);
    sim_go(receiver, &got[2]);
    sim_join();
    int times[5] = { 0 };
    for (int i = 0; i < 4; i++) {
        MUST(got[i] >= 1 && got[i] <= 4, "each message to be one of those sent");
        times[got[i]]++;
    }
    for (int i = 1; i < 5; i++) MUST(times[i] == 1, "each message to arrive once");
}
