/* mixed.h - what mixed.c and mixed.cc share. SPDX-License-Identifier: MIT */
#ifdef __cplusplus
extern "C" {
#endif
#include "topic.h"
#include "pool.h"

struct msg {
    int id;
    double more;
};
typedef LEAT_CHAN(struct msg) msg_chan;
typedef LEAT_CHAN_FOR(LEAT_ONE_SENDER | LEAT_ONE_RECEIVER, struct msg) feed_chan;
typedef LEAT_TOPIC(struct msg) msg_topic;

/* Everything that a program shares. */
typedef struct all {
    msg_chan jobs, results;
    feed_chan feed;
    msg_topic topic;
    leat_sem sem;
    leat_wg wg;
    leat_ctx ctx;
    leat_group group;
    leat_pool pool;
    leat_job job;
    leat_case cases[2];
    leat_pollable pollable;
} all;

/* What mixed.c does: the sizes and places of all of that, work that C++ gives it, the variables of which there is one. */
size_t c_layout(size_t *to);
int c_task(leat_ctx *ctx, void *all);
int c_starts(all *);
int c_publishes(all *, int id);
void *c_one(int i);
int c_catches(leat_ctx *ctx); /* SIGUSR1 */

#define LAYOUT(to) \
    do { \
        size_t at_[] = { sizeof(all), \
                         offsetof(all, results), \
                         offsetof(all, feed), \
                         offsetof(all, topic), \
                         offsetof(all, sem), \
                         offsetof(all, wg), \
                         offsetof(all, ctx), \
                         offsetof(all, group), \
                         offsetof(all, pool), \
                         offsetof(all, job), \
                         offsetof(all, cases), \
                         offsetof(all, pollable), \
                         sizeof(leat_end_), \
                         sizeof(leat_lane_), \
                         sizeof(leat_worker_), \
                         sizeof(leat_task_thread_), \
                         sizeof(leat_subscriber_), \
                         sizeof(leat_stats), \
                         offsetof(leat_group, thrown_) }; \
        memcpy(to, at_, sizeof at_); \
        n = sizeof at_ / sizeof *at_; \
    } while (0)
#ifdef __cplusplus
}
#endif
