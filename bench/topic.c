/* topic.c - leat's topics. A program of its own, because it needs liburcu. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "topic.h"

#include "subscribers.h"

#define TOPIC
#define CHANGES
#define LATEST
#define BY_VALUE

static LEAT_TOPIC(msg) topic __attribute__((aligned(128)));

static inline void topic_new(int channels, size_t cap, bool keeps)
{
    subscribers_new(channels, cap);
    if (leat_topic_make(&topic, keeps ? LEAT_KEEPS_LATEST : 0)) wrong("leat_topic_make");
}

static inline void topic_free(void)
{
    leat_topic_free(&topic);
    subscribers_free();
}

static inline void topic_join(int i)
{
    if (leat_subscribe(&topic, &subscribers[i].c, LEAT_DROPS_NEWEST)) wrong("leat_subscribe");
}

static inline void topic_leave(int i)
{
    if (leat_unsubscribe(&topic, &subscribers[i].c)) wrong("leat_unsubscribe");
}

static inline uint64_t topic_drops(int i)
{
    return (uint64_t)leat_topic_drops(&topic, &subscribers[i].c);
}

INLINE void topic_publish(msg m)
{
    leat_publish(&topic, &m);
}

INLINE void topic_latest(msg *m)
{
    leat_latest(&topic, m);
}

#include "works.h"
