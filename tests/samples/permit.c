/* permit.c - hangs: a way out of a function does not release its permit. (docs/debugging.md) */
#include "pool.h"

#include <stdio.h>

static leat_sem files = LEAT_SEM(2); /* as many are open at once */
static leat_pool readers;

static int count_lines(leat_ctx *ctx, void *name)
{
    FILE *f = fopen(name, "r");
    (void)ctx;
    if (!f) return -ENOENT;
    for (int c; (c = getc(f)) != EOF;) {}
    fclose(f);
    return leat_release(&files, 1);
}

int main(void)
{
    static char *names[] = { "/none/a", "/dev/null", "/none/b", "/dev/null" };
    int err = leat_pool_start(&readers, NULL, &(leat_pool_opts){ .workers = 2, .queue = 9, .name = "reader" });
    for (int i = 0; i < 4 && !err; i++) {
        err = leat_acquire(&files, 1); /* the job releases it */
        if (!err) err = leat_submit(&readers, count_lines, names[i]);
    }
    int last = leat_pool_stop(&readers);
    return err || last;
}
