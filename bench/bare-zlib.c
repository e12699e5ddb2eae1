/* bare-zlib.c - bare compresses. SPDX-License-Identifier: MIT */
#define COMPRESSES
#include "bare.c"
