/* The Pool of article 004: Submit, and Stop with a deadline. SPDX-License-Identifier: MIT
 * Its Pool, with NewPool, worker, Start, Submit and Stop, is leat_pool, whose jobs can be anything.
 * Different: a second Stop, and a Submit after or during Stop, panic in Go and are errors here;
 * after a Stop that timed out the Go leaves its workers behind, leat_pool_abort still ends them. */
#include "../../pool.h"
#include "../args.h"

/* The actual work; simulated, for want of a network: the same for each URL each time. */
static struct url {
    const char *url;
    int status, ms;
} urls[] = {
    { "https://example.com", 200, 30 }, { "https://google.com", 200, 50 },
    { "https://github.com", 200, 40 },  { "https://definitely-not-a-real-site-xyz.com", 0, 20 },
    { "https://go.dev", 503, 60 },
};

static int check_url(leat_ctx *ctx, void *arg)
{
    const struct url *u = arg;
    if (leat_sleep_ctx(ctx, LEAT_MS(u->ms))) printf("%s → given up\n", u->url);
    else if (u->status == 0) printf("%s → DOWN\n", u->url);
    else if (u->status == 200) printf("%s → UP\n", u->url);
    else printf("%s → UNKNOWN (%d)\n", u->url, u->status);
    return 0;
}

static void not_checked(leat_task *fn, void *arg, void *user)
{
    const struct url *u = arg;
    (void)fn, (void)user;
    printf("%s → not checked\n", u->url);
}

int main(int argc, char **argv) /* an argument: the deadline in milliseconds, to see Stop give up */
{
    args_begin("004_pool_stop");
    int ms = argc > 1 ? args_number("the deadline", argv[1], 0, INT_MAX) : 10000;
    leat_pool pool; /* 3 workers, checking 5 URLs */
    if (leat_pool_start(&pool, NULL, &(leat_pool_opts){ .workers = 3, .queue = 10 })) return 1;

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        if (leat_submit(&pool, check_url, &urls[i])) return 1;

    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_MS(ms));
    int err = leat_pool_stop_ctx(&ctx, &pool);
    if (err) {
        printf("shutdown error: pool stop: %s\n", err == -ETIMEDOUT ? "deadline exceeded" : strerror(-err));
        leat_pool_abort(&pool, not_checked, NULL);
    }
    return args_end(0);
}
