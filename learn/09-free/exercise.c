/* Exercise 9. A result that one thread finishes and another waits for. The waiting thread frees it as soon as it has
 * what it wants. But the finishing thread may not be done with it. Mend it: nothing may be touched after the store that
 * publishes the result. (The wake may stay after it, because it uses only the address.) */
#include "learn.h"

struct result {
    _Atomic uint32_t done, asleep;
    int value;
};

static struct result *result_new(void)
{
    return calloc(1, sizeof(struct result));
}

static void result_finish(struct result *r, int value)
{
    r->value = value;
    atomic_store_explicit(&r->done, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&r->asleep, memory_order_seq_cst)) wake(&r->done, 1);
}

static int result_wait(struct result *r)
{
    while (!atomic_load_explicit(&r->done, memory_order_acquire)) {
        atomic_store_explicit(&r->asleep, 1, memory_order_seq_cst);
        if (atomic_load_explicit(&r->done, memory_order_seq_cst)) break;
        park(&r->done, 0);
    }
    int value = r->value;
    free(r);
    return value;
}
