/* The judge of exercise 1. Two senders and two receivers, then one sender and four receivers. Each message must arrive once. */
#include "judge.h"
#include LESSON

enum { MESSAGES = 4 };
static int got[MESSAGES], per_sender, per_receiver;

static void *sender(void *arg)
{
    for (int i = 0; i < per_sender; i++) queue_send((int)(intptr_t)arg + i);
    return NULL;
}

static void *receiver(void *arg)
{
    int *to = arg;
    for (int i = 0; i < per_receiver; i++) to[i] = queue_recv();
    return NULL;
}

SCENARIO(each_message_arrives_once, { .senders = 2, .receivers = 2 }, { .senders = 1, .receivers = 4 })
{
    per_sender = MESSAGES / k->senders;
    per_receiver = MESSAGES / k->receivers;
    for (int i = 0; i < MESSAGES; i += per_sender) sim_go(sender, (void *)(intptr_t)(1 + i));
    for (int i = 0; i < MESSAGES; i += per_receiver) sim_go(receiver, &got[i]);
    sim_join();
    int times[MESSAGES + 1] = { 0 };
    for (int i = 0; i < MESSAGES; i++) {
        MUST(got[i] >= 1 && got[i] <= MESSAGES, "each message to be one of those sent");
        times[got[i]]++;
    }
    for (int i = 1; i <= MESSAGES; i++) MUST(times[i] == 1, "each message to arrive once");
}
