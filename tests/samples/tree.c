/* tree.c - hangs: a job waits for another job of its own pool, and so does each worker. (docs/debugging.md) */
#include "pool.h"

static leat_pool workers;

struct part {
    leat_job job;
    int from, to;
    long sum;
};

static int add(leat_ctx *ctx, void *arg)
{
    struct part *p = arg, half[2];
    int middle = (p->from + p->to) / 2, err = 0;
    if (p->to - p->from == 1) return p->sum = p->from, 0;
    for (int i = 0; i < 2 && !err; i++) {
        half[i] = (struct part){ .from = i ? middle : p->from, .to = i ? p->to : middle };
        half[i].job = (leat_job)LEAT_JOB(add, &half[i]);
        err = leat_submit_job_ctx(ctx, &workers, &half[i].job);
    }
    if (err) abort(); /* the queue has room for all */
    for (int i = 0; i < 2; i++) err |= leat_job_wait(&half[i].job, NULL);
    p->sum = half[0].sum + half[1].sum;
    return err;
}

int main(void)
{
    struct part all = { .to = 100 };
    all.job = (leat_job)LEAT_JOB(add, &all);
    int err = leat_pool_start(&workers, NULL, &(leat_pool_opts){ .workers = 2, .queue = 1000, .name = "adder" });
    if (!err) err = leat_submit_job(&workers, &all.job);
    if (!err) err = leat_job_wait(&all.job, NULL);
    if (!err) err = leat_pool_stop(&workers);
    return err || all.sum != 4950;
}
