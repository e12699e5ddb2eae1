/* sys/resource.h - for tests on Windows: the time that this process has computed.
 * SPDX-License-Identifier: MIT */
#ifndef LEAT_WIN_RESOURCE_H
#define LEAT_WIN_RESOURCE_H

#include <stdint.h>

#define RUSAGE_SELF 0
struct rusage_time_ {
    int64_t tv_sec, tv_usec;
};
struct rusage {
    struct rusage_time_ ru_utime, ru_stime;
};

__declspec(dllimport) void *__stdcall GetCurrentProcess(void);
__declspec(dllimport) int __stdcall GetProcessTimes(void *, uint64_t *, uint64_t *, uint64_t *, uint64_t *);

static inline int getrusage(int who, struct rusage *u)
{
    uint64_t began, ended, kernel = 0, user = 0;
    (void)who;
    GetProcessTimes(GetCurrentProcess(), &began, &ended, &kernel, &user);
    u->ru_utime = (struct rusage_time_){ (int64_t)(user / 10000000), (int64_t)(user % 10000000 / 10) };
    u->ru_stime = (struct rusage_time_){ (int64_t)(kernel / 10000000), (int64_t)(kernel % 10000000 / 10) };
    return 0;
}

#endif
