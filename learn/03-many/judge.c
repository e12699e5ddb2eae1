/* The judge of exercise 3. The ring goes round more than once. */
#include "judge.h"
#include LESSON

static int got[8], each, per_receiver;

static void *sender(void *arg)
{
    for (int i = 0; i < each; i++)
        while (!ring_send((int)(intptr_t)arg + i)) relax();
    return NULL;
}

static void *receiver(void *arg)
{
    int *to = arg;
    for (int i = 0; i < per_receiver; i++)
        while (!ring_recv(&to[i])) relax();
    return NULL;
}

SCENARIO(each_message_arrives_once, { .senders = 2, .receivers = 1, .each = 1, .exhaust = true },
         { .senders = 1, .receivers = 2, .each = 2 }, { .senders = 2, .receivers = 2, .each = 2 },
         { .senders = 2, .receivers = 1, .each = 3 })
{
    int n = k->senders * k->each, times[8] = { 0 };
    each = k->each;
    per_receiver = n / k->receivers;
    NAME(slot[0]);
    NAME(slot[1]);
    ring_init();
    for (int i = 0; i < k->senders; i++) sim_go(sender, (void *)(intptr_t)(i * k->each));
    for (int i = 0; i < k->receivers; i++) sim_go(receiver, &got[i * per_receiver]);
    sim_join();
    for (int i = 0; i < n; i++) {
        MUST(got[i] >= 0 && got[i] < n, "each message to be one of those sent");
        MUST(times[got[i]]++ == 0, "each message to arrive once");
    }
}

SCENARIO(full_and_empty_are_said, { .a = 1 })
{
    int m;
    (void)k;
    ring_init();
    MUST(!ring_recv(&m), "an empty ring to be said to be empty");
    for (int i = 0; i < CAPACITY; i++) MUST(ring_send(i), "room in a ring that is not full");
    MUST(!ring_send(9), "no room in a full ring");
    for (int i = 0; i < CAPACITY; i++) MUST(ring_recv(&m) && m == i, "the messages in order");
    MUST(!ring_recv(&m), "an empty ring to be said to be empty");
}
