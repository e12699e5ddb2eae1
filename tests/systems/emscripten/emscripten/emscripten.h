/* Emscripten's clock, in milliseconds.  SPDX-License-Identifier: MIT */
#include <time.h>
static inline double emscripten_get_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}
