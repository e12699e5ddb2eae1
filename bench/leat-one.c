/* leat-one.c - leat's channel for one sender and one receiver. SPDX-License-Identifier: MIT */
#define ONE_TO_ONE
#define MSG_CHAN LEAT_CHAN_FOR(LEAT_ONE_SENDER | LEAT_ONE_RECEIVER, msg)
#include "leat.c"
