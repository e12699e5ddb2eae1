/* The judge of exercise 5. What was sent when close has returned is all that will ever be sent. */
#include "judge.h"
#include LESSON

static uint32_t last;
static int sent[3];

static void *sender(void *arg)
{
    int *mine = arg;
    for (int i = 0; i < 2; i++) {
        if (queue_send()) break;
        ++*mine;
    }
    return NULL;
}

static void *closer(void *arg)
{
    (void)arg;
    queue_close();
    last = queue_sent();
    return NULL;
}

SCENARIO(no_send_succeeds_after_close, { .senders = 1, .exhaust = true }, { .senders = 2, .exhaust = true })
{
    for (int i = 0; i < k->senders; i++) sim_go(sender, &sent[i]);
    sim_go(closer, NULL);
    sim_join();
    MUST((int)last == sent[0] + sent[1], "queue_sent after the close to be the number of sends that succeeded");
    MUST(queue_sent() == last, "queue_sent to stay the same after the close");
    MUST(queue_send() == -EPIPE, "a send on a closed queue to be refused");
    MUST(queue_sent() == last, "a send that was refused not to count");
}

SCENARIO(an_open_queue_takes_messages, { .a = 1 })
{
    (void)k;
    MUST(queue_send() == 0 && queue_send() == 0 && queue_sent() == 2, "an open queue to take messages");
    queue_close();
    MUST(queue_sent() == 2, "queue_sent not to count the close");
}
