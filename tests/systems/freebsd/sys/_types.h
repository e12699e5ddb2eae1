/* The compiler's stddef.h includes it on FreeBSD.  SPDX-License-Identifier: MIT */
