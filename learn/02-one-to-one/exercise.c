/* Exercise 2. A mailbox: a ring of one slot, for one sender and one receiver. `full` says whose turn it is. On your
 * machine this may work for years. Give the atomic operations the orders that they need, and no stronger ones. */
#include "learn.h"

static int message;
static _Atomic int full;

static void mailbox_send(int m)
{
    while (atomic_load_explicit(&full, memory_order_relaxed)) relax();
    message = m;
    atomic_store_explicit(&full, 1, memory_order_relaxed);
}

static int mailbox_recv(void)
{
    while (!atomic_load_explicit(&full, memory_order_relaxed)) relax();
    int m = message;
    atomic_store_explicit(&full, 0, memory_order_relaxed);
    return m;
}
