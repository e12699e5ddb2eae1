/* boost-spsc.cc - Boost.Lockfree's ring for one sender and one receiver. SPDX-License-Identifier: MIT */
#define ONE_TO_ONE
#include "boost.cc"
