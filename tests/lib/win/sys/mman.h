/* sys/mman.h - for tests on Windows: anonymous memory, which costs nothing before it is touched.
 * SPDX-License-Identifier: MIT */
#ifndef LEAT_WIN_MMAN_H
#define LEAT_WIN_MMAN_H

#include <stddef.h>

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 32
#define MAP_NORESERVE 64
#define MAP_FAILED ((void *)-1)

__declspec(dllimport) void *__stdcall VirtualAlloc(void *, size_t, unsigned long, unsigned long);
__declspec(dllimport) int __stdcall VirtualFree(void *, size_t, unsigned long);

static inline void *mmap(void *at, size_t size, int access, int flags, int file, long offset)
{
    (void)access, (void)flags, (void)file, (void)offset;
    void *p = VirtualAlloc(at, size, 0x3000 /* reserve and commit */, 4 /* read and write */);
    return p ? p : MAP_FAILED;
}

static inline int munmap(void *at, size_t size)
{
    (void)size;
    return VirtualFree(at, 0, 0x8000 /* release */) ? 0 : -1;
}

#endif
