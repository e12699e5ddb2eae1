/* use.c - a program of somebody else: built by each way that leat offers (tests/tools/t-builds.sh).
 * SPDX-License-Identifier: MIT */
#include <leat/pool.h>
#include <semaphore.h> /* the system's */
#include <stdio.h>

#if LEAT_VERSION < 300
#error "an older leat was found"
#endif

static LEAT_CHAN(int) squares;

static int square(leat_ctx *ctx, void *arg)
{
    int *n = arg, product = *n * *n;
    return leat_send_ctx(ctx, &squares, &product);
}

int main(void)
{
    int numbers[] = { 1, 2, 3, 4 }, sum = 0, one;
    leat_pool p;
    sem_t theirs;
    if (sem_init(&theirs, 0, 1) || leat_make(&squares, 4)) return 1;
    if (leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2, .queue = 2 })) return 1;
    for (int i = 0; i < 4; i++)
        if (leat_submit(&p, square, &numbers[i])) return 1;
    if (leat_pool_stop(&p) || leat_close(&squares)) return 1;
    while (leat_recv(&squares, &one) == 0) sum += one;
    leat_free(&squares);
    printf("leat %s: %d\n", LEAT_VERSION_STRING, sum);
    return sum != 30;
}
