/* prices-leat.c - leat's channel, for prices.c. SPDX-License-Identifier: MIT */
#include "queue.h"

#include <pthread.h>
#include <stdio.h>

static LEAT_CHAN(long) queue_;
#define queue_init(q) (leat_free(&queue_), (void)!leat_make(&queue_, 256))
#define queue_send(q, m) ((void)leat_send(&queue_, &(long){ m }))
#define queue_recv(q, m) ((void)leat_recv(&queue_, m))

int main(void)
{
    return 0;
}
