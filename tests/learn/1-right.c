/* Exercise 1: a condition variable for each condition. */
#include "learn.h"
#include <pthread.h>

enum { CAPACITY = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static int slot[CAPACITY], head, count;

static void queue_send(int message)
{
    pthread_mutex_lock(&lock);
    while (count == CAPACITY) pthread_cond_wait(&not_full, &lock);
    slot[(head + count++) % CAPACITY] = message;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&lock);
}

static int queue_recv(void)
{
    pthread_mutex_lock(&lock);
    while (count == 0) pthread_cond_wait(&not_empty, &lock);
    int message = slot[head];
    head = (head + 1) % CAPACITY;
    count--;
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&lock);
    return message;
}
