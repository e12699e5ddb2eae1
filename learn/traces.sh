#!/bin/sh
# traces.sh [--write] - is the trace on each page of learn/ what the simulator says of the exercise? It stands between
# ```text and ```, and begins with "Lesson N". --write: puts it there.  SPDX-License-Identifier: MIT
set -eu
bad=0
for page in learn/0?-*/README.md docs/simulator.md; do
    case $page in
    learn/*) step=${page#learn/0} && sh learn/simulate.sh --lesson "${step%%-*}" >"$BUILD/trace" 2>&1 || : ;;
    *)
        awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$page" >"$BUILD/handover.c"
        sh learn/simulate.sh "$BUILD/handover.c" >"$BUILD/trace" 2>&1 || :
        ;;
    esac
    awk -v trace="$BUILD/trace" '
        /^```text$/ && !done { print; while ((getline line < trace) > 0) print line; skip = done = 1; next }
        /^```$/ { skip = 0 }
        !skip' "$page" >"$BUILD/page"
    if cmp -s "$page" "$BUILD/page"; then continue; fi
    if [ "${1-}" = --write ]; then cp "$BUILD/page" "$page"; else diff "$page" "$BUILD/page" || bad=1; fi
done
exit $bad
