/* The judge of exercise 9. Memory that was freed must not be touched, and the waiting thread must wake. */
#include "judge.h"
#include LESSON

static struct result *r;
static int value;

static void *finisher(void *arg)
{
    (void)arg;
    result_finish(r, 7);
    return NULL;
}

static void *waiter(void *arg)
{
    (void)arg;
    value = result_wait(r);
    return NULL;
}

SCENARIO(nothing_is_touched_after_it_was_freed, { .a = 0, .exhaust = true })
{
    (void)k;
    r = result_new();
    sim_name(r, sizeof *r, "result");
    sim_go(finisher, NULL);
    sim_go(waiter, NULL);
    sim_join();
    MUST(value == 7, "the value of the finisher");
}
