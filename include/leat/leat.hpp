// <leat/leat.hpp>, as it is once leat is installed: compile with -I LEAT/include.  SPDX-License-Identifier: MIT
#include "../../leat.hpp"
