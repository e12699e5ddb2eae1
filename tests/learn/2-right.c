/* Exercise 2: both hand-overs are a release and an acquire: of the message, and of the slot that is free again. */
#include "learn.h"

static int message;
static _Atomic int full;

static void mailbox_send(int m)
{
    while (atomic_load_explicit(&full, memory_order_acquire)) relax();
    message = m;
    atomic_store_explicit(&full, 1, memory_order_release);
}

static int mailbox_recv(void)
{
    while (!atomic_load_explicit(&full, memory_order_acquire)) relax();
    int m = message;
    atomic_store_explicit(&full, 0, memory_order_release);
    return m;
}
