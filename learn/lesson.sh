#!/bin/sh
# lesson.sh N [FILE] - judges an exercise of learn/ in the simulator. FILE is your copy, if it is not learn/N-*/exercise.c.
# MACHINE is the simulator's object files, BUILD where to put things.  SPDX-License-Identifier: MIT
set -eu
step=$(cd learn && ls -d "0$1"-*/ 2>/dev/null) || { echo "make lesson N=1 to N=9; your own copy: LESSON=file"; exit 2; }
file=${2:-learn/${step}exercise.c}
[ -r "$file" ] || { echo "$file: no such file"; exit 2; }
file=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")
to=$(mktemp -d "$BUILD/lesson.XXXXXX")
trap 'rm -rf "$to"' EXIT
trap 'exit 1' HUP INT TERM
# -fno-inline: so the trace names the functions as they were written.
gcc -std=c11 -Wall -Wextra -O1 -gdwarf-4 -fno-inline -fno-optimize-sibling-calls -fno-pie -fsanitize=thread \
    -D__builtin_ia32_pause=sim_pause -DLESSON="\"$file\"" -iquote learn -iquote tests/explore -iquote . \
    -c "learn/${step}judge.c" -o "$to/judge.o"
objcopy --redefine-syms=tests/explore/symbols.txt "$to/judge.o"
gcc -no-pie -pthread $MACHINE "$to/judge.o" -o "$to/lesson"
"$to/lesson" ${RUNS:+--runs $RUNS} --lesson "Lesson $1, $(basename "$file")"
