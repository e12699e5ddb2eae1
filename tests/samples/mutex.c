/* mutex.c - hangs: a thread holds a mutex while it waits in leat. (docs/debugging.md) */
#include "pool.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards list */
static int list[10];
static LEAT_CHAN(int) numbers;
static leat_group threads = LEAT_GROUP(NULL);

static int send_list(leat_ctx *ctx, void *unused)
{
    int err = 0;
    (void)unused;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 10 && !err; i++) err = leat_send_ctx(ctx, &numbers, &list[i]);
    pthread_mutex_unlock(&mutex);
    return err;
}

static int receive_list(leat_ctx *ctx, void *unused)
{
    int err = 0;
    (void)unused;
    for (int i = 0, n; i < 10 && !err; i++) {
        err = leat_recv_ctx(ctx, &numbers, &n);
        pthread_mutex_lock(&mutex);
        list[i]++;
        pthread_mutex_unlock(&mutex);
    }
    return err;
}

int main(void)
{
    int err = leat_make(&numbers, 4);
    if (!err) err = leat_go(&threads, send_list, NULL);
    if (!err) err = leat_go(&threads, receive_list, NULL);
    int first = leat_wait(&threads);
    return err || first;
}
