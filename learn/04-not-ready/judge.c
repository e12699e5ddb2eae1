/* The judge of exercise 4. The ring begins full. Each thread takes a message before it sends one, so there is always
 * room for it. And a ring that is full must be said to be full. */
#include "judge.h"
#include LESSON

static int rounds;

static void *takes_and_sends(void *arg)
{
    for (int i = 0; i < rounds; i++) {
        ring_recv();
        MUST(ring_send((int)(intptr_t)arg), "room in the ring, because it has taken a message before");
    }
    return NULL;
}

static void begin(void)
{
    NAME(slot[0].seq);
    NAME(slot[1].seq);
    ring_init();
    MUST(ring_send(1) && ring_send(2), "room in an empty ring");
}

SCENARIO(full_is_exact, { .senders = 2, .each = 1, .exhaust = true }, { .senders = 3, .each = 2 })
{
    rounds = k->each;
    begin();
    for (int i = 0; i < k->senders; i++) sim_go(takes_and_sends, (void *)(intptr_t)(3 + i));
    sim_join();
    MUST(!ring_send(9), "no room in a full ring");
    for (int i = 0; i < CAPACITY; i++) ring_recv();
}

static void *takes_two(void *arg)
{
    (void)arg;
    MUST(ring_recv() == 1 && ring_recv() == 2, "the messages in order");
    return NULL;
}

SCENARIO(a_full_ring_says_so_at_once, { .exhaust = true })
{
    (void)k;
    begin();
    MUST(!ring_send(3), "no room in a full ring");
    sim_go(takes_two, NULL);
    while (!ring_send(3)) relax();
    sim_join();
    MUST(ring_recv() == 3, "the message that was sent last");
}
