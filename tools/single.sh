#!/bin/sh
# single.sh queue.h semaphore.h pool.h > leat.h - the headers one after the other, as one file.
# SPDX-License-Identifier: MIT
#
# Without their #includes of each other, semaphore.h's forwarding to the system's file of that name (leat.h
# has no such namesake), and all licence lines but the first. Where a header includes queue.h for the names that C++ lacks,
# what it would get stands there instead.
set -eu

echo "/* leat.h - $* in one file, as \`make single\` writes it. Each part's head is its manual. */"
for header in "$@"; do
    echo
    awk -v queue="$1" '
        BEGIN {
            while ((getline line < queue) > 0) {
                if (line ~ /leat:c11-/) part = line ~ /begin/ ? "BEGIN" : line ~ /end/ ? "END" : ""
                if (part && line !~ /^(\/\*| \*)/) names[part] = names[part] line "\n"
            }
            close(queue)
        }
        /leat:forward-begin|leat:c11-begin/ { inside = 1 }
        !inside && /^#include "queue\.h"/ && wanted { printf "%s", names[wanted] }
        !inside && !/^#include "(queue|semaphore|pool)\.h"/ { print }
        { wanted = $0 ~ /^#define LEAT_C11_BEGIN_$/ ? "BEGIN" : $0 ~ /^#define LEAT_C11_END_$/ ? "END" : "" }
        /leat:forward-end|leat:c11-over/ { inside = 0 }
    ' "$header"
done | awk '!/SPDX-License-Identifier/ || !seen++'
