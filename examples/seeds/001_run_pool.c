/* RunPool of article 001, with the main that wires it up. SPDX-License-Identifier: MIT
 * Different: the Go sends results without looking at ctx.Done(), so after a cancel a worker whose
 * results nobody reads is stuck for ever, in spite of the buffer: that has room for one each. */
#include "../../pool.h"
#include "../args.h"

#include <ctype.h>

enum { WORKERS = 10 };

struct job {
    int id;
    const char *payload;
};

struct result {
    int job_id, err;
    char value[32];
};

typedef LEAT_CHAN(struct job) job_chan;
typedef LEAT_CHAN(struct result) result_chan;

struct pool {
    job_chan *jobs;
    result_chan results;
    leat_group workers;
};

/* The article leaves this open: in capitals; an empty payload is an error. */
static int process(const char *payload, char value[static 32])
{
    size_t n = 0;
    for (; payload[n] && n < 31; n++) value[n] = (char)toupper((unsigned char)payload[n]);
    value[n] = 0;
    return n ? 0 : -EINVAL;
}

static int worker(leat_ctx *ctx, void *arg)
{
    struct pool *p = arg;
    for (struct job job; leat_recv_ctx(ctx, p->jobs, &job) == 0;) {
        struct result r = { .job_id = job.id };
        r.err = process(job.payload, r.value);
        if (leat_send_ctx(ctx, &p->results, &r)) break;
    }
    return 0;
}

static int run_pool(struct pool *p, leat_ctx *ctx, int workers, job_chan *jobs)
{
    *p = (struct pool){ .jobs = jobs, .workers = LEAT_GROUP(ctx) };
    int err = leat_make(&p->results, (size_t)workers);
    if (!err) err = leat_go_n(&p->workers, workers, worker, p);
    if (!err) err = leat_group_closes(&p->workers, &p->results);
    return err;
}

static int feed(leat_ctx *ctx, void *arg)
{
    static const char *payloads[] = { "alpha", "bravo", "", "delta", "echo" };
    job_chan *jobs = arg;
    int err = 0;
    for (int i = 0; i < 5 && !err; i++) {
        struct job job = { .id = i, .payload = payloads[i] };
        err = leat_send_ctx(ctx, jobs, &job);
    }
    leat_close(jobs);
    return err;
}

int main(void)
{
    args_begin("001_run_pool");
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_S(30));
    leat_group feeder = LEAT_GROUP(&ctx);
    job_chan jobs;
    struct pool pool;
    int failed = 0;
    if (leat_make(&jobs, WORKERS * 2) || run_pool(&pool, &ctx, WORKERS, &jobs) || leat_go(&feeder, feed, &jobs)) return 1;

    for (struct result r; leat_recv(&pool.results, &r) == 0;) {
        if (r.err) {
            failed++;
            continue;
        }
        printf("job %d → %s\n", r.job_id, r.value);
    }
    if (failed) fprintf(stderr, "%d jobs failed\n", failed);

    int err = leat_wait(&feeder) | leat_wait(&pool.workers);
    leat_free(&pool.results);
    leat_free(&jobs);
    return args_end(err != 0);
}
