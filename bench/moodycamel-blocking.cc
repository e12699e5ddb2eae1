/* moodycamel-blocking.cc - its form that waits, and its semaphore. SPDX-License-Identifier: MIT */
#define BLOCKING
#include "moodycamel.cc"
