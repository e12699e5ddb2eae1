/* mixed.c - the half of a program that is C. SPDX-License-Identifier: MIT */
#include "mixed.h"

size_t c_layout(size_t *to)
{
    size_t n;
    LAYOUT(to);
    return n;
}

int c_task(leat_ctx *ctx, void *arg)
{
    all *a = arg;
    for (struct msg m; leat_recv_ctx(ctx, &a->jobs, &m) == 0;) {
        m.more += 0.5;
        if (leat_send_ctx(ctx, &a->results, &m)) return 1;
    }
    return 0;
}

int c_starts(all *a)
{
    a->group = (leat_group)LEAT_GROUP(NULL);
    int err = leat_go_n(&a->group, 2, c_task, a);
    return err ? err
               : leat_pool_start(&a->pool, NULL,
                                 &(leat_pool_opts){ .workers = 2, .lanes = 2, .value_size = sizeof(struct msg) });
}

int c_publishes(all *a, int id)
{
    return (int)leat_publish(&a->topic, &(struct msg){ .id = id });
}

void *c_one(int i)
{
    return i == 0   ? (void *)&leat_wake_takes_
           : i == 1 ? (void *)&leat_spins_
           : i == 2 ? (void *)&leat_doubt_
                    : (void *)&leat_signals_here_;
}

int c_catches(leat_ctx *ctx)
{
    return leat_cancel_on_signals(ctx, SIGUSR1, 0);
}
