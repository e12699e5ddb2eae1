#!/bin/sh
# test.sh TEST ... - runs tests, programs or *.sh, two at a time; by prove, or if it is missing one by one.
# SPDX-License-Identifier: MIT
#
# A program has its own watchdog, per test (tests/tap.c). This is the one behind it: no test, whatever it
# is and whatever children it leaves behind, takes longer than LEAT_TEST_LIMIT seconds.
set -u
limit=${LEAT_TEST_LIMIT:-600}
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export ASAN_OPTIONS

run_one() { # replaces this shell
    case $1 in *.sh) set -- sh "$@" ;; *) set -- ${EMULATOR:-} "$@" ;; esac
    if command -v timeout >/dev/null; then set -- timeout -k 9 "$limit" "$@"; fi
    exec "$@"
}

[ "$1" != --one ] || { shift; run_one "$@"; }
[ $# -gt 0 ] || { echo "no tests"; exit 1; }
if command -v prove >/dev/null; then
    exec prove --timer -j2 --exec "sh tools/test.sh --one" "$@"
fi

# Without prove: passed if it exits with 0 and every promised line is there and none says "not ok".
failed=
for t in "$@"; do
    said=$(run_one "$t")
    code=$?
    if [ $code -eq 0 ] && printf '%s\n' "$said" | awk '
        /^1\.\./ { plan = substr($0, 4) } /^ok / { n++ } /^not ok / { bad = 1 }
        END { exit bad || plan == "" || n != plan }'
    then
        echo "$t .. ok"
    else
        failed="$failed $t"
        printf '%s\n' "$said" | grep '^not ok'
        echo "$t .. FAILED (exit status $code)"
    fi
done
[ -z "$failed" ] || { echo "Result: FAIL$failed"; exit 1; }
echo "All $# test files passed. Result: PASS"
