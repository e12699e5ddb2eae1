/* tbb-zlib.cc - oneTBB compresses. SPDX-License-Identifier: MIT */
#define COMPRESSES
#include "tbb.cc"
