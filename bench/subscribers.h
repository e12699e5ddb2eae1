/* subscribers.h - the channels of the subscribers: leat's, whatever their list is. SPDX-License-Identifier: MIT */
#ifndef BENCH_SUBSCRIBERS_H
#define BENCH_SUBSCRIBERS_H

#include "queue.h"

#include "contestant.h"

typedef LEAT_CHAN(msg) msg_chan;

static struct subscriber {
    msg_chan c;
    size_t drops; /* where the list does not count them */
} __attribute__((aligned(128))) subscribers[MOST_CASES];
static int subscribers_n;

static inline void subscribers_new(int n, size_t cap)
{
    subscribers_n = n;
    for (int i = 0; i < n; i++) {
        if (leat_make(&subscribers[i].c, cap)) wrong("leat_make");
        subscribers[i].drops = 0;
    }
}

static inline void subscribers_free(void)
{
    for (int i = 0; i < subscribers_n; i++) leat_free(&subscribers[i].c);
}

INLINE bool topic_recv(int i, msg *m)
{
    return leat_try_recv(&subscribers[i].c, m) == 0;
}

#endif
