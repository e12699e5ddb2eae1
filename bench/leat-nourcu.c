/* leat-nourcu.c - leat's topics, without liburcu. SPDX-License-Identifier: MIT */
#define LEAT_NO_URCU
#include "topic.c"
