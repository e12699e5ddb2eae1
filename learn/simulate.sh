#!/bin/sh
# simulate.sh FILE [FLAG..] - compiles a file with scenarios (tests/explore/sim.h), and judges it in the simulator.
# simulate.sh --lesson N [FILE] - the same for exercise N of learn/. FILE is your copy, if it is not the one there.
# MACHINE is the simulator's object files, BUILD where to put things, RUNS how many random schedules.
# SPDX-License-Identifier: MIT
set -eu
if [ "$1" = --lesson ]; then
    step=$(cd learn && ls -d "0$2"-*/ 2>/dev/null) || { echo "make lesson N=1, or another of nine; your own copy: LESSON=file"; exit 2; }
    file=${3:-learn/${step}exercise.c}
    [ -r "$file" ] || { echo "$file: no such file"; exit 2; }
    name="Lesson $2, ${file##*/}"
    set -- "learn/${step}judge.c" -DLESSON="\"$(cd "$(dirname "$file")" && pwd)/${file##*/}\""
else
    name=${1##*/}
fi
file=$1
shift
[ -r "$file" ] || { echo "make simulate FILE=file.c: no such file: $file"; exit 2; }
to=$(mktemp -d "$BUILD/simulate.XXXXXX")
trap 'rm -rf "$to"' EXIT
trap 'exit 1' HUP INT TERM
# Nothing is inlined, so that the trace names the functions as they were written.
gcc -std=c11 -Wall -Wextra -O1 -gdwarf-4 -fno-inline -fno-optimize-sibling-calls -fno-pie -fsanitize=thread -DLEAT_NO_URCU \
    -D__builtin_ia32_pause=sim_pause -include sim.h -iquote learn -iquote tests/explore -iquote . "$@" -c "$file" -o "$to/own.o"
objcopy --redefine-syms=tests/explore/symbols.txt "$to/own.o"
gcc -no-pie -pthread $MACHINE "$to/own.o" -o "$to/own"
"$to/own" ${RUNS:+--runs $RUNS} --lesson "$name"
