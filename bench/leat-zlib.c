/* leat-zlib.c - leat compresses. SPDX-License-Identifier: MIT */
#define COMPRESSES
#include "leat.c"
