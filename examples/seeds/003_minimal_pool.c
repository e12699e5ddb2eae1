/* The minimal worker pool of article 003. SPDX-License-Identifier: MIT
 * Different: the Go feeds all jobs before it reads a result, which hangs from 24 jobs on (two
 * buffers of 10, three workers); here a task feeds. And sending looks at ctx, too. */
#include "../../pool.h"
#include "../args.h"

enum { WORKERS = 3, JOBS = 8 };

struct job {
    int id;
};

struct result {
    int job_id;
    char value[32];
};

typedef LEAT_CHAN(struct job) job_chan;
typedef LEAT_CHAN(struct result) result_chan;

struct worker {
    int id;
    job_chan *jobs;
    result_chan *results;
};

static int worker(leat_ctx *ctx, void *arg)
{
    struct worker *w = arg;
    for (struct job job; leat_recv_ctx(ctx, w->jobs, &job) == 0;) {
        leat_sleep_ctx(ctx, LEAT_MS(50)); /* simulates I/O or compute work */
        struct result r = { .job_id = job.id };
        snprintf(r.value, sizeof r.value, "worker-%d done", w->id);
        if (leat_send_ctx(ctx, w->results, &r)) break;
    }
    return 0;
}

static int feed(leat_ctx *ctx, void *arg)
{
    job_chan *jobs = arg;
    int err = 0;
    for (int i = 1; i <= JOBS && !err; i++) err = leat_send_ctx(ctx, jobs, &(struct job){ .id = i });
    leat_close(jobs);
    return err;
}

int main(void)
{
    args_begin("003_minimal_pool");
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_group group = LEAT_GROUP(&ctx);
    job_chan jobs;
    result_chan results;
    struct worker w[WORKERS];
    if (leat_make(&jobs, 10) || leat_make(&results, 10)) return 1;

    for (int i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){ .id = i + 1, .jobs = &jobs, .results = &results };
        if (leat_go(&group, worker, &w[i])) return 1;
    }
    if (leat_go(&group, feed, &jobs) || leat_group_closes(&group, &results)) return 1;

    for (struct result r; leat_recv(&results, &r) == 0;) printf("job=%d %s\n", r.job_id, r.value);

    int err = leat_wait(&group);
    leat_free(&jobs);
    leat_free(&results);
    return args_end(err != 0);
}
