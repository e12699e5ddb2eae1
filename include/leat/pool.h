/* <leat/pool.h>, as it is once leat is installed: compile with -I LEAT/include.  SPDX-License-Identifier: MIT */
#include "../../pool.h"
