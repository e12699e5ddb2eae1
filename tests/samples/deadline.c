/* deadline.c - seems to hang: one wait has a deadline that is far, another has none. (docs/debugging.md) */
#include "pool.h"

static LEAT_CHAN(int) answers;
static leat_group askers = LEAT_GROUP(NULL);

static int ask(leat_ctx *ctx, void *unused)
{
    int answer, err;
    (void)unused;
    leat_ctx soon = LEAT_CTX_WITHIN(ctx, LEAT_S(3600)); /* it was to be LEAT_MS(3600) */
    err = leat_recv_ctx(&soon, &answers, &answer);
    return err; /* -ETIMEDOUT: cancels the other, too */
}

static int ask_again(leat_ctx *ctx, void *unused)
{
    int answer, err;
    (void)ctx, (void)unused;
    err = leat_recv(&answers, &answer);
    return err;
}

int main(void)
{
    int err = leat_make(&answers, 1);
    if (!err) err = leat_go(&askers, ask, NULL);
    if (!err) err = leat_go(&askers, ask_again, NULL);
    int first = leat_wait(&askers);
    return err || first != -ETIMEDOUT;
}
