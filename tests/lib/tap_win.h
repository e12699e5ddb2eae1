/* tap_win.h - what tests need of POSIX and what Windows has in its place. tap.h includes it there.
 * SPDX-License-Identifier: MIT
 *
 * The tests' own threads are those of mingw-w64's pthreads, and those of the headers are the system's. */
#ifndef LEAT_TAP_WIN_H
#define LEAT_TAP_WIN_H

#include <pthread.h>
#include <process.h>
#include <stdint.h>

/* A thread that ends itself. */
__declspec(dllimport) _Noreturn void __stdcall ExitThread(unsigned long);
#define pthread_exit(result) ExitThread(0)

/* Their pthread_detach loses a thread that has not begun: it never runs. */
static inline int tap_detach_(pthread_t thread)
{
    (void)thread;
    return 0;
}
#define pthread_detach(thread) tap_detach_(thread)

/* What is called when a thread ends: the callbacks of fiber-local storage, in 64 bits of the same type. */
__declspec(dllimport) unsigned long __stdcall FlsAlloc(void (*)(void *));
__declspec(dllimport) int __stdcall FlsSetValue(unsigned long, void *);
__declspec(dllimport) int __stdcall FlsFree(unsigned long);
#define pthread_key_t unsigned long
#define pthread_key_create(key, fn) ((*(key) = FlsAlloc(fn)) == 0xFFFFFFFF)
#define pthread_setspecific(key, value) (!FlsSetValue(key, value))
#define pthread_key_delete(key) FlsFree(key)

/* See tap.h. */
#define TAP_FAKE_THREADS(refuses) \
    uintptr_t fake_begin(void *, unsigned, unsigned(__stdcall *)(void *), void *, unsigned, unsigned *); \
    uintptr_t fake_begin(void *security, unsigned stack, unsigned(__stdcall * fn)(void *), void *arg, unsigned flags, \
                         unsigned *id) \
    { \
        return refuses() ? 0 : _beginthreadex(security, stack, fn, arg, flags, id); \
    }
#if defined __i386__
#define TAP_FAKE_BEGIN_SYMBOL "_fake_begin"
#else
#define TAP_FAKE_BEGIN_SYMBOL "fake_begin"
#endif

#endif
