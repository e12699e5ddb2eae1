/* NetBSD's name of a thread is a format and its argument.  SPDX-License-Identifier: MIT */
#include_next <pthread.h>
#ifndef SYSTEMS_NETBSD_PTHREAD_H
#define SYSTEMS_NETBSD_PTHREAD_H
static inline int pthread_setname_np(pthread_t thread, const char *format, void *arg)
{
    return !(thread && format[0] && arg);
}
#endif
