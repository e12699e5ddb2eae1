/* t-topic-stress-nourcu.c - t-topic-stress.c where sections are counted, without liburcu.
 * SPDX-License-Identifier: MIT */
#ifndef LEAT_NO_URCU
#define LEAT_NO_URCU
#endif
#include "t-topic-stress.c"
