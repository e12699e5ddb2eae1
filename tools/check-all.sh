#!/bin/sh
# check-all.sh - the test programs in every variant: compilers, optimization, sanitizers, no futex, LEAT_DEBUG.
# SPDX-License-Identifier: MIT
#
# A table says what passed; the output of each is in build/check-all/. Words choose: ALL="gcc thread" runs
# the variants with both in their name. Further variables go to the tests: ONLY=, LEAT_TEST_SECONDS=.
set -u
out=build/check-all
mkdir -p $out
bad=0
: >$out/table

try() { # compiler, optimization, sanitizer, further definitions
    name="$1 $2 $3 ${4:-}"
    for word in ${ALL:-}; do
        case $name in *$word*) ;; *) return ;; esac
    done
    log=$out/$(echo "$name" | tr -d ' ').log
    if ! echo 'int main(void) { return 0; }' | sanitized "$1" "$3" 2>/dev/null; then
        verdict='left out: not installed'
    else
        from=$(date +%s)
        if ${MAKE:-make} test-c CC="$1" OPT="$2" SAN="$3" DEFS="${4:-}" >"$log" 2>&1; then verdict=ok
        else
            verdict="FAILED: $log"
            bad=1
        fi
        verdict="$(($(date +%s) - from)) s  $verdict"
    fi
    printf '  %-6s %-4s %-8s %-16s %s\n' "$1" "$2" "$3" "${4:-}" "$verdict" | tee -a $out/table
    case $verdict in
    *FAILED*) grep -E '^# |Failed test|error:|WARNING: Thr|ERROR: Addr|runtime error' "$log" | head -n 20 ;;
    esac
}

sanitized() { # compiler, sanitizer: can it compile and link standard input?
    case $2 in none) "$1" -x c - -o /dev/null ;; *) "$1" -fsanitize="$2" -x c - -o /dev/null ;; esac
}

for cc in gcc clang; do
    for opt in -O0 -O2 -O3; do try $cc $opt none; done
    try $cc -O1 address
    try $cc -O2 thread
    try $cc -O2 none -DLEAT_NO_FUTEX
    try $cc -O2 none -DLEAT_DEBUG
done
try gcc -O2 thread -DLEAT_NO_FUTEX
try clang -O1 memory
try clang -O1 integer

[ $bad -eq 0 ] || { echo && cat $out/table; } # again, without what came between
exit $bad
