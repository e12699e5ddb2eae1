/* mutex-zlib.c - mutex compresses. SPDX-License-Identifier: MIT */
#define COMPRESSES
#include "mutex.c"
