/* hang.c - a program that hangs, as an example for a debugger. (docs/debugging.md, t-gdb.sh) */
#include "pool.h"

#include <stdio.h>

typedef struct line {
    char text[80];
} line;
static LEAT_CHAN(line) lines;
static leat_sem files = LEAT_SEM(1);
static leat_group readers = LEAT_GROUP(NULL);
static leat_pool writers;

static int read_file(leat_ctx *ctx, void *name)
{
    int err = leat_acquire_ctx(ctx, &files, 1);
    for (int i = 0; i < 9 && !err; i++) {
        line l;
        snprintf(l.text, sizeof l.text, "%s, line %d", (char *)name, i);
        err = leat_send_ctx(ctx, &lines, &l);
    }
    return err;
}

static int write_lines(leat_ctx *ctx, void *unused)
{
    line l;
    int err = 0;
    (void)unused;
    for (int i = 0; i < 2 && !err; i++) err = leat_recv_ctx(ctx, &lines, &l);
    return err;
}

int main(void)
{
    int err = leat_make(&lines, 4);
    if (!err) err = leat_pool_start(&writers, NULL, &(leat_pool_opts){ .workers = 1, .name = "writer" });
    if (!err) err = leat_submit(&writers, write_lines, NULL);
    if (!err) err = leat_go(&readers, read_file, "one.txt");
    if (!err) err = leat_go(&readers, read_file, "two.txt");
    if (!err) err = leat_wait(&readers);
    if (err) fprintf(stderr, "hang: %s\n", leat_strerror(err));
    return err != 0;
}
