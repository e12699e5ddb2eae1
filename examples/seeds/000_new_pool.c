/* The worker pool of article 000: NewPool. SPDX-License-Identifier: MIT */
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
    (void)ctx;
    for (struct job job; leat_recv(p->jobs, &job) == 0;) {
        struct result r = { .job_id = job.id, .err = process_job(job) };
        if (leat_send(&p->results, &r)) break;
    }
    return 0;
}

/* Starts workers that take from jobs; p->results is closed when the last of them has returned. */
static int new_pool(struct pool *p, int workers, job_chan *jobs)
{
    *p = (struct pool){ .jobs = jobs, .workers = LEAT_GROUP(NULL) };
    int err = leat_make(&p->results, (size_t)workers);
    if (!err) err = leat_go_n(&p->workers, workers, worker, p);
    if (!err) err = leat_group_closes(&p->workers, &p->results);
    return err;
}

static int feed(leat_ctx *ctx, void *arg)
{
    static const struct job events[] = {
        { "evt-1", "{\"type\":\"click\"}" },
        { "evt-2", "{\"type\":\"view\"}" },
        { "evt-3", "{\"type\":\"buy\"}" },
    };
    job_chan *jobs = arg;
    int err = 0;
    for (size_t i = 0; i < sizeof events / sizeof *events && !err; i++) err = leat_send_ctx(ctx, jobs, &events[i]);
    leat_close(jobs);
    return err;
}

int main(void)
{
    args_begin("000_new_pool");
    job_chan jobs;
    struct pool pool;
    leat_group feeder = LEAT_GROUP(NULL);
    if (leat_make(&jobs, 100) || new_pool(&pool, 3, &jobs) || leat_go(&feeder, feed, &jobs)) return 1;

    for (struct result r; leat_recv(&pool.results, &r) == 0;)
        if (r.err) printf("job %s failed: %s\n", r.job_id, strerror(-r.err));

    int err = leat_wait(&feeder) | leat_wait(&pool.workers);
    leat_free(&pool.results);
    leat_free(&jobs);
    return args_end(err != 0);
}
