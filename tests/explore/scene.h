/* scene.h - what most scenarios need: channels of int with names for the trace, and what each receiver got.
 * SPDX-License-Identifier: MIT */
#ifndef SCENE_H
#define SCENE_H

#include "sim.h"

#include "queue.h"

typedef LEAT_CHAN(int) ints;

enum { MESSAGES = 64 };

static const sim_knobs *now_; /* the configuration that runs */
static ints c, d;             /* channels, for scenarios that need no more */

/* Everything that was received: how often, and by each receiver in order. Receivers write it by plain stores. It is
 * read when all have been joined. */
static struct {
    int n;
    int message[MESSAGES];
} got_[SIM_THREADS];

static inline void name_chan(ints *ch, const char *name)
{
    char part[48];
    sim_name(ch, sizeof *ch, name);
#define PART_(what, field) \
    snprintf(part, sizeof part, "%s." what, name); \
    sim_name(&ch->chan.field, sizeof ch->chan.field, part)
    PART_("tail", ends_[LEAT_SENDS_].at_);
    PART_("head", ends_[LEAT_RECEIVES_].at_);
    PART_("lock", lock_);
    PART_("receivers", ends_[LEAT_SENDS_].peers_);
    PART_("senders", ends_[LEAT_RECEIVES_].peers_);
#undef PART_
    for (int side = 0; side < 2; side++) {
        snprintf(part, sizeof part, "%s.%s", name, side == LEAT_SENDS_ ? "receivers" : "senders");
        sim_queue(&ch->chan.ends_[side].peers_, offsetof(leat_node_, next_), part);
    }
    for (size_t i = 0; i < leat_cap(ch); i++) {
        snprintf(part, sizeof part, "%s.slot[%zu]", name, i);
        sim_name(ch->chan.slots_ + i * leat_stride_(sizeof(int), _Alignof(int)), 8, part);
    }
}

/* An empty channel, whose ring begins where .start messages have left it. */
static inline void make(ints *ch, int cap, const char *name)
{
    EXPECT(leat_make(ch, (size_t)cap) == 0);
    for (int i = 0, m; cap && now_ && i < now_->start; i++)
        EXPECT(leat_try_send(ch, &i) == 0 && leat_try_recv(ch, &m) == 0 && m == i);
    name_chan(ch, name);
}

/* Fills a channel up. */
static inline void fill(ints *ch, int message)
{
    for (size_t i = 0; i < leat_cap(ch); i++) EXPECT(leat_try_send(ch, &message) == 0);
}

static inline void note_got(int receiver, int message)
{
    EXPECT(message >= 0 && message < MESSAGES);
    EXPECT(got_[receiver].n < MESSAGES);
    got_[receiver].message[got_[receiver].n++] = message;
}

/* Messages are numbered sender * each + i. Checks that each receiver got those of one sender in order, and that none
 * came twice. Returns how many there were in all. */
static inline int all_got(int each)
{
    int total = 0, times[MESSAGES] = { 0 };
    for (int r = 0; r < SIM_THREADS; r++) {
        int last[MESSAGES];
        for (int s = 0; s < MESSAGES; s++) last[s] = -1;
        for (int i = 0; i < got_[r].n; i++, total++) {
            int m = got_[r].message[i];
            EXPECT(times[m]++ == 0);
            EXPECT(last[m / each] < m);
            last[m / each] = m;
        }
    }
    return total;
}

static inline bool no_thread_waits(const ints *ch)
{
    return !ch->chan.ends_[LEAT_SENDS_].peers_.first_ && !ch->chan.ends_[LEAT_RECEIVES_].peers_.first_;
}

/* A context's word and queue, for the trace. */
static inline void name_ctx(leat_ctx *x, const char *name)
{
    char part[48];
    sim_name(x, sizeof *x, name);
    snprintf(part, sizeof part, "%s.word", name);
    sim_name(&x->word_, sizeof x->word_, part);
    snprintf(part, sizeof part, "%s.lock", name);
    sim_name(&x->lock_, sizeof x->lock_, part);
    snprintf(part, sizeof part, "%s.waiters", name);
    sim_queue(&x->waiters_, offsetof(leat_node_, next_), part);
}

/* No thread uses the channel any more. Frees it, and reports any later access. */
static inline void free_at_once(ints *ch, const char *what)
{
    leat_free(ch);
    sim_freed(ch, sizeof *ch, what);
}

#define ID(arg) ((int)(intptr_t)(arg))
#define GO(fn, id) sim_go(fn, (void *)(intptr_t)(id))

#endif
