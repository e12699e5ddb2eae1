/* leat-calls.c - leat's topics, calling liburcu instead of inlining it. SPDX-License-Identifier: MIT */
#define LEAT_URCU_CALLS
#include "topic.c"
