/* macOS: its waits, which queue.h declares itself by their symbols, and its clock.  SPDX-License-Identifier: MIT */
#ifndef SYSTEMS_AVAILABILITY_H
#define SYSTEMS_AVAILABILITY_H
#include "../wait.h"

#define __MAC_OS_X_VERSION_MIN_REQUIRED SYSTEMS_MACOS
#define CLOCK_UPTIME_RAW CLOCK_MONOTONIC

int our_wait(void *, uint64_t, size_t, uint32_t) __asm__("_os_sync_wait_on_address");
int our_wait(void *addr, uint64_t value, size_t size, uint32_t flags)
{
    if (size != 4 || flags) abort();
    int err = waits_for(addr, (uint32_t)value, -1);
    return fails_with(err == EAGAIN ? 0 : err);
}

int our_wait_for(void *, uint64_t, size_t, uint32_t, uint32_t, uint64_t) __asm__("_os_sync_wait_on_address_with_timeout");
int our_wait_for(void *addr, uint64_t value, size_t size, uint32_t flags, uint32_t clock, uint64_t ns)
{
    if (size != 4 || flags || clock != 32 || !ns || ns > INT64_MAX) abort();
    int err = waits_for(addr, (uint32_t)value, (int64_t)ns);
    return fails_with(err == EAGAIN ? 0 : err);
}

int our_wake(void *, size_t, uint32_t) __asm__("_os_sync_wake_by_address_any");
int our_wake(void *addr, size_t size, uint32_t flags)
{
    if (size != 4 || flags) abort();
    return fails_with(wakes(addr, 1) ? 0 : ENOENT);
}

/* 0: for ever. The error is the result, and errno stays. */
int our_ulock_wait(uint32_t, void *, uint64_t, uint64_t, uint64_t) __asm__("___ulock_wait2");
int our_ulock_wait(uint32_t op, void *addr, uint64_t value, uint64_t ns, uint64_t value2)
{
    int saved = errno;
    if (op != 0x1000001 || value2 || ns > INT64_MAX) abort();
    int err = waits_for(addr, (uint32_t)value, ns ? (int64_t)ns : -1);
    errno = saved;
    return err == EAGAIN ? 0 : -err;
}

int our_ulock_wake(uint32_t, void *, uint64_t) __asm__("___ulock_wake");
int our_ulock_wake(uint32_t op, void *addr, uint64_t value)
{
    int saved = errno;
    if (op != 0x1000001 || value) abort();
    int woken = wakes(addr, 1);
    errno = saved;
    return woken ? 0 : -ENOENT;
}

#endif
