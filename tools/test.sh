#!/bin/sh
# test.sh TEST ... - runs tests, programs or *.sh, two at a time by prove, or one by one if prove is missing.
# SPDX-License-Identifier: MIT
#
# For each test that has ended it says which promise of leat that was (the test file's first sentence), how many tests
# there are, and how long the rest will take. It knows that from the seconds that each took the last time
# ($BUILD/seconds), otherwise from the mean of those that have ended. At the end prove reports once more what failed.
#
# A program has its own watchdog, per test (tests/lib/tap.c). This is the one behind it: no test, whatever it
# is and whatever children it leaves behind, takes longer than LEAT_TEST_LIMIT seconds.
set -u
limit=${LEAT_TEST_LIMIT:-600}
seconds=${BUILD:-build}/seconds
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export ASAN_OPTIONS

run() { # a test
    case $1 in *.sh) set -- sh "$@" ;; *) set -- ${EMULATOR:-} "$@" ;; esac
    if command -v timeout >/dev/null; then set -- timeout -k 9 "$limit" "$@"; fi
    "$@" 3>&-
}

promise() { # of a test: the first sentence of its source, without the file's name
    case $1 in *.sh) source=$1 ;; */f-*) source=tests/faults/${1##*/}.c ;; *) source=$(echo tests/*/"${1##*/}".c) ;; esac
    [ -r "$source" ] || return 0
    awk '/^#!/ { next }
        !/^(\/\*|#| \*)/ || /^ \*\/?$/ || /^(#| \*) SPDX-/ { exit }
        {
            line = $0
            sub(/^(\/\*|#| \*) */, "", line)
            sub(/^[^ ]*[.](c|sh) - /, "", line)
            sub(/ *(SPDX-.*|\*\/)$/, "", line)
            said = said (said == "" ? "" : " ") line
            if (match(substr(said, 40), /[^.][.]( |$)/)) { said = substr(said, 1, 39 + RSTART); exit }
        }
        END { sub(/[.]$/, "", said); print said }' "$source"
}

# About how long the tests of $state/all will take that have not ended, $1 at a time. Nothing if that is not known.
left() {
    awk -v jobs="$1" -v now="$(date +%s)" '
        FILENAME ~ /\/all$/ { todo[$1]; next }
        FILENAME ~ /\/begun$/ { begun[$1] = $2; next }
        { took[$1] = $2 }
        FILENAME ~ /\/ended$/ { delete todo[$1] }
        END {
            for (t in took) { sum += took[t]; n++ }
            for (t in todo) {
                if (!n) exit
                s = t in took ? took[t] : sum / n
                if (t in begun) s -= now - begun[t]
                if (s < 1) s = 1
                all += s
                if (s > longest) longest = s
            }
            all = all / jobs > longest ? all / jobs : longest
            if (all >= 90) printf ", about %d min left", (all + 30) / 60
            else if (all >= 5) printf ", about %d s left", int(all / 5 + 0.5) * 5
        }' "$state/all" "$state/begun" "$seconds" "$state/ended"
}

# Runs a test, passes its output on, and reports on descriptor 3 how that went: "12 of 53, about 2 min left: t-os (ok): ...".
# It passed if it exits with 0 and every promised line is there and none says "not ok".
one() { # how many at a time, the test
    name=${2##*/} begun=$(date +%s) n=1
    echo "$2 $begun" >>"$state/begun"
    said=$(mktemp "$state/said.XXXXXX")
    run "$2" >"$said"
    code=$?
    cat "$said"
    echo "$2 $(($(date +%s) - begun)) $(grep -c '^ok \|^not ok ' "$said")" >>"$state/ended"
    while ! mkdir "$state/$n" 2>/dev/null; do n=$((n + 1)); done # the test that makes it has this number
    how=$(awk -v code=$code '
        /^1\.\./ { plan = substr($0, 4) + 0; skipped = match($0, /# SKIP /) ? substr($0, RSTART + 7) : "" }
        /^ok / { n++ }
        /^not ok / { n++; bad = 1 }
        END {
            if (code == 0 && !bad && plan != "" && n + 0 == plan) print skipped == "" ? "ok" : "skipped: " skipped
            else if (code == 124 || code == 137) print "FAILED, killed when its time was up"
            else if (plan == "" || n + 0 != plan) print "FAILED, ended too early with exit status " code
            else print "FAILED"
        }' "$said")
    printf '%3d of %d%s: %s (%s): %s\n' $n "$(grep -c . "$state/all")" "$(left "$1")" "$name" "$how" "$(promise "$2")" >&3
    case $how in
    FAILED*)
        echo "$2" >>"$state/failed"
        grep '^not ok' "$said" >&3
        ;;
    esac
    return $code
}

[ -e "$seconds" ] || seconds=/dev/null
if [ "$1" = --one ]; then
    state=$LEAT_TEST_STATE
    one 2 "$2"
    exit
fi
[ $# -gt 0 ] || { echo "no tests"; exit 1; }
state=$(mktemp -d) || exit 1
export LEAT_TEST_STATE="$state"
trap 'rm -rf "$state"' EXIT
trap 'exit 1' HUP INT TERM
: >"$state/begun"
: >"$state/ended"
for t in "$@"; do echo "$t"; done >"$state/all"
if command -v prove >/dev/null; then
    echo "$# test files, two at a time$(left 2)"
    prove -Q -j2 --exec "sh tools/test.sh --one" "$@" 3>&1
    code=$?
else
    echo "$# test files, one after the other$(left 1)"
    for t in "$@"; do one 1 "$t" 3>&1 >/dev/null; done
    awk '{ tests += $3 } END { print "Files=" NR ", Tests=" tests + 0 }' "$state/ended"
    code=0
    [ ! -e "$state/failed" ] || code=1
    if [ $code -eq 0 ]; then echo "Result: PASS"; else echo "Failed: $(cat "$state/failed")"; echo "Result: FAIL"; fi
fi
if [ -d "${BUILD:-build}" ]; then # for the next time
    awk '{ took[$1] = $2 } END { for (t in took) print t, took[t] }' "$seconds" "$state/ended" >"$state/seconds"
    cat "$state/seconds" >"${BUILD:-build}/seconds"
fi
exit $code
