/* cancel.c - hangs: a task waits in the system, where the cancel of its group does not reach it. (docs/debugging.md) */
#include "pool.h"

#include <unistd.h>

static leat_group tasks = LEAT_GROUP(NULL);
static int ends[2];

static int listen_to(leat_ctx *ctx, void *fd)
{
    char c;
    ssize_t n;
    while ((n = read(*(int *)fd, &c, 1)) == 1 && !leat_ctx_err(ctx)) {}
    return n < 0 ? -errno : leat_ctx_err(ctx);
}

static int fail(leat_ctx *ctx, void *unused)
{
    return (void)ctx, (void)unused, -EIO;
}

int main(void)
{
    int err = pipe(ends) ? -errno : 0;
    if (!err) err = leat_go(&tasks, listen_to, &ends[0]);
    if (!err) err = leat_go(&tasks, fail, NULL);
    int first = leat_wait(&tasks);
    return err || first != -EIO;
}
