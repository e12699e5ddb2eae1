/* replies.c - hangs: two threads, each waits to send to the channel that the other receives from. (docs/debugging.md) */
#include "pool.h"

enum { ALL = 100 };
static LEAT_CHAN(int) requests, replies;

static int serve(leat_ctx *ctx, void *unused)
{
    (void)unused;
    int err = 0;
    for (int n; !err && (err = leat_recv_ctx(ctx, &requests, &n)) == 0;) {
        n *= n;
        err = leat_send_ctx(ctx, &replies, &n);
    }
    return err == -EPIPE ? 0 : err;
}

int main(void)
{
    leat_group server = LEAT_GROUP(NULL);
    int err = leat_make(&requests, 8), sum = 0;
    if (!err) err = leat_make(&replies, 8);
    if (!err) err = leat_go(&server, serve, NULL);
    for (int i = 0; i < ALL && !err; i++) err = leat_send(&requests, &i);
    leat_close(&requests);
    for (int i = 0, n; i < ALL && !err; i++, sum += n) err = leat_recv(&replies, &n);
    int first = leat_wait(&server);
    return err || first || sum != 328350;
}
