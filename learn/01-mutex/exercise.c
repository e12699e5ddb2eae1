/* Exercise 1. A queue with a mutex and one condition variable, `changed`. With one sender and one receiver it works.
 * Why does it hang with two of each? Mend it. make lesson N=1 says whether you have. */
#include "learn.h"
#include <pthread.h>

enum { CAPACITY = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int slot[CAPACITY], head, count;

static void queue_send(int message)
{
    pthread_mutex_lock(&lock);
    while (count == CAPACITY) pthread_cond_wait(&changed, &lock);
    slot[(head + count++) % CAPACITY] = message;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static int queue_recv(void)
{
    pthread_mutex_lock(&lock);
    while (count == 0) pthread_cond_wait(&changed, &lock);
    int message = slot[head];
    head = (head + 1) % CAPACITY;
    count--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return message;
}
