/* The compiler's. It would include NetBSD's <machine/ansi.h>.  SPDX-License-Identifier: MIT */
#undef __NetBSD__
#include_next <stddef.h>
#define __NetBSD__ 1
