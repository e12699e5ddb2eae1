/* The queue of a program of learn/, in the simulator. PROGRAM is its file, in which the queue has two slots. */
#include "sim.h"

#define main program_main
#include PROGRAM
#undef main

#define MUST(cond, words) ((cond) ? (void)0 : sim_fail(words, __FILE__, __LINE__))

enum { EACH = 3 };

/* The functions of the step, under one name each. */
#if STEP_N == 8
static void put_one(long m)
{
    channel_send(&channel[m % 2], m);
}
static void get_one(long *m)
{
    select_recv(channel, CHANNELS, m);
}
#elif STEP_N == 9
static void put_one(long m)
{
    MUST(one_request(m) == 2 * m, "the answer to its own question");
}
static void get_one(long *m)
{
    struct request *r = next();
    *m = r->question;
    request_finish(r, 2 * *m);
}
#else
static void put_one(long m)
{
    queue_send(&queue, m);
}
static void get_one(long *m)
{
    queue_recv(&queue, m);
}
#endif

static long got[4][EACH + 1], got_n[4];
static void *puts_some(void *arg)
{
    for (int i = 0; i < EACH; i++) put_one((intptr_t)arg * EACH + i);
    return NULL;
}

#if STEP_N == 1 || STEP_N == 5 || STEP_N == 7
static void *gets_until_closed(void *arg)
{
    long *to = got[(intptr_t)arg];
    while (queue_recv(&queue, &to[got_n[(intptr_t)arg]])) MUST(++got_n[(intptr_t)arg] <= EACH, "no more than were sent");
    return NULL;
}
static void *closes(void *arg)
{
    (void)arg;
    queue_close(&queue);
    return NULL;
}

SCENARIO(close_wakes_them_all, { .receivers = 2 })
{
    queue_init(&queue);
    int senders = sim_go(puts_some, NULL);
    for (int i = 0; i < k->receivers; i++) sim_go(gets_until_closed, (void *)(intptr_t)i);
    sim_join_one(senders);
    sim_go(closes, NULL);
    sim_join();
    MUST(got_n[0] + got_n[1] == EACH, "all that was sent before the close");
}
#endif

static void *gets_some(void *arg)
{
    for (int i = 0; i < EACH; i++) get_one(&got[(intptr_t)arg][i]);
    return NULL;
}

SCENARIO(each_message_arrives_once, { .senders = 1 }, { .senders = STEP_N == 2 || STEP_N == 6 ? 1 : 2 })
{
    int times[4 * EACH] = { 0 };
#if STEP_N < 8
    queue_init(&queue);
#endif
    for (int i = 0; i < k->senders; i++) sim_go(puts_some, (void *)(intptr_t)i);
    for (int i = 0; i < k->senders; i++) sim_go(gets_some, (void *)(intptr_t)i);
    sim_join();
    for (int i = 0; i < k->senders; i++)
        for (int m = 0; m < EACH; m++) {
            MUST(got[i][m] >= 0 && got[i][m] < k->senders * EACH, "each message to be one of those sent");
            MUST(times[got[i][m]]++ == 0, "each message to arrive once");
        }
}
