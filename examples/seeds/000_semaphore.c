/* The semaphore form of article 000: a thread for each job, but only so many at once.
 * SPDX-License-Identifier: MIT
 * Different: in Go a panic between acquire and go leaks the permit; here leat_go takes it, and the
 * end of the task, whatever it is, gives it back. And waiting for it can be cancelled. */
#include "../../pool.h"
#include "../args.h"

enum { MAX_CONCURRENT = 3 };

struct job {
    const char *id, *payload;
};

static int process_job(leat_ctx *ctx, void *arg)
{
    const struct job *job = arg;
    (void)ctx;
    printf("  processed job %s (%zu bytes)\n", job->id, strlen(job->payload));
    return 0;
}

int main(void)
{
    args_begin("000_semaphore");
    static struct job jobs[] = {
        { "evt-1", "{\"type\":\"click\"}" },  { "evt-2", "{\"type\":\"view\"}" },  { "evt-3", "{\"type\":\"buy\"}" },
        { "evt-4", "{\"type\":\"scroll\"}" }, { "evt-5", "{\"type\":\"close\"}" },
    };
    leat_sem sem = LEAT_SEM(MAX_CONCURRENT);
    leat_group group = LEAT_GROUP(NULL);
    int err = leat_group_share(&group, &sem);
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs && !err; i++) err = leat_go(&group, process_job, &jobs[i]);
    return args_end(leat_wait(&group) || err);
}
