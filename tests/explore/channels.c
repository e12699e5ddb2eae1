/* channels.c - scenarios of queue.h: messages, sleeping, closing, giving up.
 * SPDX-License-Identifier: MIT */
#include "sim.h"

#include "queue.h"

typedef LEAT_CHAN(int) ints;

static ints c;
static int got[64];      /* how often each message was received */
static int sent;         /* accepted messages, counted by their senders */

static void make(ints *ch, int cap, const char *name)
{
    EXPECT(leat_make(ch, (size_t)cap) == 0);
    sim_name(ch, sizeof *ch, name);
    sim_name(&ch->chan.tail_, 8, "tail");
    sim_name(&ch->chan.head_, 8, "head");
    sim_name(&ch->chan.lock_, 4, "lock");
    if (cap) sim_name(ch->chan.slots_, (size_t)cap * 16, "slots");
}

static const sim_knobs *knobs;

static void *sender(void *arg)
{
    int id = (int)(intptr_t)arg;
    for (int i = 0; i < knobs->each; i++) {
        int m = id * knobs->each + i;
        EXPECT(leat_send(&c, &m) == 0);
    }
    return NULL;
}

static void *receiver(void *arg)
{
    int n = knobs->senders * knobs->each / knobs->receivers;
    (void)arg;
    for (int i = 0; i < n; i++) {
        int m = -1;
        EXPECT(leat_recv(&c, &m) == 0);
        EXPECT(m >= 0 && m < 64);
        got[m]++;
    }
    return NULL;
}

SCENARIO(send_recv,
         { .senders = 1, .receivers = 1, .cap = 1, .each = 2, .exhaust = true },
         { .senders = 2, .receivers = 2, .cap = 1, .each = 1, .exhaust = true },
         { .senders = 2, .receivers = 2, .cap = 2, .each = 2 },
         { .senders = 2, .receivers = 2, .cap = 0, .each = 2 },
         { .senders = 2, .receivers = 3, .cap = 1, .each = 3 })
{
    knobs = k;
    (void)sent;
    make(&c, k->cap, "c");
    for (int i = 0; i < k->senders; i++) sim_go(sender, (void *)(intptr_t)i);
    for (int i = 0; i < k->receivers; i++) sim_go(receiver, NULL);
    sim_join();
    for (int i = 0; i < k->senders * k->each; i++) EXPECT(got[i] == 1);
    leat_free(&c);
}
