/* sends.c - a plain send to each subscriber's channel: the floor of a publish. Nothing guards the list of
 * subscribers, so it must not change, unless the file that includes this one says by what lock.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "subscribers.h"

#define TOPIC
#define BY_VALUE

#ifdef LOCK
#define CHANGES
#define LATEST
#else
#define LOCK char
#define lock_new(l) ((void)(l))
#define lock_free(l) ((void)(l))
#define lock_to_read(l) ((void)(l))
#define lock_to_write(l) ((void)(l))
#define unlock(l) ((void)(l))
#endif

static struct {
    LOCK lock;
    bool keeps;
    int n;
    struct subscriber *list[MOST_CASES];
    msg latest;
} topic __attribute__((aligned(128)));

static inline void topic_new(int channels, size_t cap, bool keeps)
{
    subscribers_new(channels, cap);
    lock_new(&topic.lock);
    topic.keeps = keeps;
    topic.n = 0;
}

static inline void topic_free(void)
{
    lock_free(&topic.lock);
    subscribers_free();
}

static inline void topic_join(int i)
{
    lock_to_write(&topic.lock);
    topic.list[topic.n++] = &subscribers[i];
    unlock(&topic.lock);
}

static inline void topic_leave(int i)
{
    int at = 0;
    lock_to_write(&topic.lock);
    while (topic.list[at] != &subscribers[i]) at++;
    topic.list[at] = topic.list[--topic.n];
    unlock(&topic.lock);
}

static inline uint64_t topic_drops(int i)
{
    return subscribers[i].drops;
}

INLINE void topic_publish(msg m)
{
    if (topic.keeps) {
        lock_to_write(&topic.lock);
        topic.latest = m;
    } else {
        lock_to_read(&topic.lock);
    }
    for (int i = 0; i < topic.n; i++) {
        struct subscriber *s = topic.list[i];
        if (leat_try_send(&s->c, &m)) __atomic_add_fetch(&s->drops, 1, __ATOMIC_RELAXED);
    }
    unlock(&topic.lock);
}

#ifdef LATEST
INLINE void topic_latest(msg *m)
{
    lock_to_read(&topic.lock);
    *m = topic.latest;
    unlock(&topic.lock);
}
#endif

#include "works.h"
