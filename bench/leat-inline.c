/* leat-inline.c - leat's topics, with liburcu's inline functions. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#define _LGPL_SOURCE
#include <urcu/urcu-bp.h>

#include "topic.c"
