#!/bin/sh
# single.sh queue.h semaphore.h pool.h > leat.h - the headers one after the other, as one file.
# SPDX-License-Identifier: MIT
#
# Without their #includes of each other, semaphore.h's forwarding to the system's file of that name (leat.h
# has no such namesake), and all licence lines but the first.
set -eu

echo "/* leat.h - $* in one file, as \`make single\` writes it. Each part's head is its manual. */"
for header in "$@"; do
    echo
    awk '
        /leat:forward-begin/ { inside = 1 }
        !inside && !/^#include "(queue|semaphore|pool)\.h"/ { print }
        /leat:forward-end/ { inside = 0 }
    ' "$header"
done | awk '!/SPDX-License-Identifier/ || !seen++'
