/* prices.c - what a message costs in the queue of PROGRAM, a step of learn/: in one thread, and from one thread to
 * another. The best of many short rounds, because noise only adds.  SPDX-License-Identifier: MIT */
#define main program_main
#include PROGRAM
#undef main

#include <time.h>

enum { BEST_OF = 200 };
#if STEP_N == 8 /* unbuffered: it takes two threads */
enum { ALONE = 0, PASSED = 1000 };
#define SEND(m) channel_send(channel, m)
#define RECV(m) select_recv(channel, 1, m)
#elif STEP_N == 9
enum { ALONE = 0, PASSED = 1000 };
#define SEND(m) one_request(m)
#define RECV(m) finish_next(m)
static void finish_next(long *m)
{
    struct request *r = next();
    *m = r->question;
    request_finish(r, *m);
}
#else
enum { ALONE = 20000, PASSED = 20000 };
#define SEND(m) queue_send(&queue, m)
#define RECV(m) queue_recv(&queue, m)
#endif

static double now_ns(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *sends(void *arg)
{
    (void)arg;
    for (long m = 0; m < PASSED; m++) SEND(m);
    return NULL;
}

int main(void)
{
    double alone = 1e9, passed = 1e9;
    for (int round = 0; round < BEST_OF; round++) {
        pthread_t thread;
        long m = 0;
#if STEP_N < 8
        queue_init(&queue);
#endif
        double begun = now_ns();
        for (long i = 0; i < ALONE; i++) {
            SEND(i);
            RECV(&m);
        }
        double each = (now_ns() - begun) / (ALONE + !ALONE);
        if (each < alone) alone = each;
        pthread_create(&thread, NULL, sends, NULL);
        begun = now_ns();
        for (long i = 0; i < PASSED; i++) RECV(&m);
        each = (now_ns() - begun) / PASSED;
        if (each < passed) passed = each;
        pthread_join(thread, NULL);
    }
    if (ALONE) printf("%.0f|%.0f\n", alone, passed);
    else printf("-|%.0f\n", passed);
    return 0;
}
