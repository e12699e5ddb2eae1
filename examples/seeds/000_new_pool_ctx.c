/* The worker pool of article 000 with context cancellation. SPDX-License-Identifier: MIT
 * Different: in Go, select picks at random when a job and ctx.Done() are both ready, so jobs still
 * start after the cancel; here a context that is done wins. And it needs no select. */
#include "../../pool.h"
#include "../args.h"

struct job {
    const char *id, *payload;
};

struct result {
    const char *job_id;
    int err;
};

typedef LEAT_CHAN(struct job) job_chan;
typedef LEAT_CHAN(struct result) result_chan;

struct pool {
    job_chan *jobs;
    result_chan results;
    leat_group workers;
};

static int process_job(struct job job)
{
    printf("  processed job %s (%zu bytes)\n", job.id, strlen(job.payload));
    return 0;
}

static int worker(leat_ctx *ctx, void *arg)
{
    struct pool *p = arg;
    for (struct job job; leat_recv_ctx(ctx, p->jobs, &job) == 0;) { /* until closed or cancelled */
        struct result r = { .job_id = job.id, .err = process_job(job) };
        if (leat_send_ctx(ctx, &p->results, &r)) break;
    }
    return 0;
}

static int new_pool(struct pool *p, leat_ctx *ctx, int workers, job_chan *jobs)
{
    *p = (struct pool){ .jobs = jobs, .workers = LEAT_GROUP(ctx) };
    int err = leat_make(&p->results, (size_t)workers);
    if (!err) err = leat_go_n(&p->workers, workers, worker, p);
    if (!err) err = leat_group_closes(&p->workers, &p->results);
    return err;
}

/* The article has no main for this. Here nobody closes jobs: only the cancel ends the workers. */
int main(void)
{
    args_begin("000_new_pool_ctx");
    static const struct job events[] = {
        { "evt-1", "{\"type\":\"click\"}" },
        { "evt-2", "{\"type\":\"view\"}" },
        { "evt-3", "{\"type\":\"buy\"}" },
    };
    leat_ctx ctx = LEAT_CTX(NULL);
    job_chan jobs;
    struct pool pool;
    int seen = 0;
    if (leat_make(&jobs, 100) || new_pool(&pool, &ctx, 3, &jobs)) return 1;
    for (int i = 0; i < 3; i++)
        if (leat_send_ctx(&ctx, &jobs, &events[i])) return 1;

    for (struct result r; leat_recv(&pool.results, &r) == 0;) {
        if (r.err) printf("job %s failed: %s\n", r.job_id, strerror(-r.err));
        if (++seen == 3) leat_cancel(&ctx, -ECANCELED);
    }
    printf("%d results, then: %s\n", seen, strerror(-leat_ctx_err(&ctx)));

    int err = leat_wait(&pool.workers);
    leat_free(&pool.results);
    leat_free(&jobs);
    return args_end(err != 0);
}
