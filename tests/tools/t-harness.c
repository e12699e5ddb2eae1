/* The harness does what the other tests rely on: threads all run, and together; chance repeats. */
#include "tap.h"

#include <stdatomic.h>

static _Atomic int calls, together, sum;

static void come_together(int i, void *arg)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sum, i, memory_order_relaxed);
    atomic_fetch_add_explicit(&together, 1, memory_order_relaxed);
    while (atomic_load_explicit(&together, memory_order_relaxed) < *(int *)arg) {}
}

TEST(each_thread_runs_once_with_its_number)
{
    int n = 4; /* each waits for all: hangs unless they run at the same time */
    tap_threads(n, come_together, &n);
    CHECK_EQ(atomic_load_explicit(&calls, memory_order_relaxed), 4);
    CHECK_EQ(atomic_load_explicit(&sum, memory_order_relaxed), 0 + 1 + 2 + 3);
}

TEST(no_threads_at_all_is_fine)
{
    tap_threads(0, come_together, NULL);
}

TEST(a_seed_repeats_its_numbers_and_another_does_not)
{
    uint64_t a = tap_seed(1), b = tap_seed(1), c = tap_seed(2);
    uint64_t first = tap_rng(&a);
    CHECK(first == tap_rng(&b));
    CHECK(first != tap_rng(&c));
    CHECK(tap_rng(&a) != first);
}

TEST(numbers_below_n_are_all_hit_and_nothing_else)
{
    uint64_t random = tap_seed(0);
    int hits[6] = { 0 };
    for (int i = 0; i < 6000; i++) {
        int dice = tap_below(&random, 6);
        REQUIRE(dice >= 0 && dice < 6);
        hits[dice]++;
    }
    for (int i = 0; i < 6; i++) CHECK(hits[i] > 800 && hits[i] < 1200);
}
