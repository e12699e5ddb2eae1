/* Exercise 9: one word. The exchange that publishes the result also tells whether a thread sleeps. */
#include "learn.h"

enum { NOTHING, ASLEEP, DONE };

struct result {
    _Atomic uint32_t state;
    int value;
};

static struct result *result_new(void)
{
    return calloc(1, sizeof(struct result));
}

static void result_finish(struct result *r, int value)
{
    r->value = value;
    if (atomic_exchange_explicit(&r->state, DONE, memory_order_acq_rel) == ASLEEP) wake(&r->state, 1);
}

static int result_wait(struct result *r)
{
    uint32_t state = NOTHING;
    while (state != DONE) {
        if (state == ASLEEP) park(&r->state, ASLEEP);
        state = NOTHING;
        if (atomic_compare_exchange_strong_explicit(&r->state, &state, ASLEEP, memory_order_acquire, memory_order_acquire))
            state = ASLEEP;
    }
    int value = r->value;
    free(r);
    return value;
}
