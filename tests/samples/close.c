/* close.c - hangs: receivers go on until a close, and no thread closes. (docs/debugging.md) */
#include "pool.h"

static LEAT_CHAN(int) numbers;
static leat_group senders = LEAT_GROUP(NULL), receivers = LEAT_GROUP(NULL);
static _Atomic int sum;

static int send_all(leat_ctx *ctx, void *unused)
{
    (void)unused;
    int err = 0;
    for (int i = 0; i < 100 && !err; i++) err = leat_send_ctx(ctx, &numbers, &i);
    return err;
}

static int add_all(leat_ctx *ctx, void *unused)
{
    (void)unused;
    for (int n; leat_recv_ctx(ctx, &numbers, &n) == 0;) sum += n;
    return leat_ctx_err(ctx);
}

int main(void)
{
    int err = leat_make(&numbers, 4);
    if (!err) err = leat_go_n(&receivers, 2, add_all, NULL);
    if (!err) err = leat_go(&senders, send_all, NULL);
    int first = leat_wait(&senders), second = leat_wait(&receivers);
    return err || first || second || sum != 4950;
}
