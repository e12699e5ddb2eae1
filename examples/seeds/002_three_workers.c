/* Three workers and five jobs, from article 002. SPDX-License-Identifier: MIT
 * Different: main waits for the workers before it frees the channels; the Go just leaves. */
#include "../../pool.h"
#include "../args.h"

typedef LEAT_CHAN(int) int_chan;

struct worker {
    int id;
    int_chan *jobs, *results;
};

static int worker(leat_ctx *ctx, void *arg)
{
    struct worker *w = arg;
    (void)ctx;
    for (int j; leat_recv(w->jobs, &j) == 0;) {
        printf("worker %d processing %d\n", w->id, j);
        if (leat_send(w->results, &(int){ j * 2 })) break;
    }
    return 0;
}

int main(void)
{
    args_begin("002_three_workers");
    int_chan jobs, results;
    if (leat_make(&jobs, 100) || leat_make(&results, 100)) return 1;

    /* start 3 workers */
    leat_group workers = LEAT_GROUP(NULL);
    struct worker w[3];
    for (int i = 0; i < 3; i++) {
        w[i] = (struct worker){ .id = i + 1, .jobs = &jobs, .results = &results };
        if (leat_go(&workers, worker, &w[i])) return 1;
    }

    /* send 5 jobs */
    for (int j = 1; j <= 5; j++)
        if (leat_send(&jobs, &j)) return 1;
    leat_close(&jobs);

    /* collect results */
    for (int a = 1, r; a <= 5; a++)
        if (leat_recv(&results, &r)) return 1;

    int err = leat_wait(&workers);
    leat_free(&jobs);
    leat_free(&results);
    return args_end(err);
}
