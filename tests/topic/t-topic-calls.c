/* t-topic-calls.c - t-topic.c where liburcu is called instead of inlined.
 * SPDX-License-Identifier: MIT */
#define LEAT_URCU_CALLS
#include "t-topic.c"
