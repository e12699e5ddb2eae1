#!/bin/sh
# errgroup finds the bad file, and the first bad one stops the rest.  SPDX-License-Identifier: MIT
. tests/tap.sh
LC_ALL=C
export LC_ALL

errgroup=$BUILD/examples/errgroup
if [ ! -x "$errgroup" ]; then
    errgroup=$tmp/program
    $CC -std=c11 -O2 -pthread examples/errgroup.c -o "$errgroup" || exit 1
fi

mkdir "$tmp/files"
for i in 1 2 3 4 5 6 7 8 9; do
    awk -v n=$i 'BEGIN { for (i = 0; i < n * 5000; i++) print i * n }' >"$tmp/files/file $i"
done
: >"$tmp/files/empty"
head -c 65536 "$tmp/files/file 9" >"$tmp/files/one buffer"
cksum "$tmp"/files/* >"$tmp/good"
sed 's/^[0-9]*/1/; 5q' "$tmp/good" | tail -n 1 >"$tmp/bad"
name=$(sed 's/^[0-9]* [0-9]* //' "$tmp/bad")

expect() { # exit status, then a command; its output is left in $tmp/out and $tmp/err
    want=$1
    shift
    "$@" >"$tmp/out" 2>"$tmp/err"
    got=$?
    cat "$tmp/out" "$tmp/err"
    [ "$got" -eq "$want" ] || { echo "exit status $got, not $want: $*"; return 1; }
}
says() { # exit status, what it says on stdout, then arguments
    said=$2
    status=$1
    shift 2
    expect "$status" "$errgroup" "$@" && [ "$(cat "$tmp/out")" = "$said" ]
}
blames() { # text ...: exactly these are blamed
    [ "$(wc -l <"$tmp/err")" -eq $# ] || return 1
    for text; do grep -qF -- "$text" "$tmp/err" || return 1; done
}

check "all are good, by cksum's own sums" says 0 "11 good, 0 bad, 0 given up, 0 not begun" "$tmp/good"
check "one at a time" says 0 "11 good, 0 bad, 0 given up, 0 not begun" -j 1 "$tmp/good"
check "eight at a time, from standard input" sh -c '"$0" -j 8 <"$1"' "$errgroup" "$tmp/good"

cat "$tmp/bad" "$tmp/good" >"$tmp/bad first"
one_bad() {
    says 1 "0 good, 1 bad, 0 given up, 11 not begun" -j 1 "$tmp/bad first" && blames "$name: checksum"
}
check "the first is bad: the others are not begun, and only it is blamed" one_bad

missing() {
    { cat "$tmp/good"; echo "1 2 $tmp/nothing here"; cat "$tmp/good"; } >"$tmp/gap"
    says 1 "11 good, 1 bad, 0 given up, 11 not begun" -j 1 "$tmp/gap" && blames "nothing here: No such file"
}
check "one is missing: the cause is told" missing

# A file that takes minutes (and no room) is under way when another turns out to be bad.
dd if=/dev/zero of="$tmp/huge" bs=1 count=1 seek=100000000000 2>/dev/null
given_up() {
    { echo "1 100000000001 $tmp/huge"; cat "$tmp/bad first"; } >"$tmp/manifest"
    expect 1 "$errgroup" -j 2 "$tmp/manifest" && grep -q ' 1 bad, 1 given up' "$tmp/out" && blames "$name"
}
check "what is under way gives up, and is not blamed for it" given_up

all() {
    { cat "$tmp/bad first"; echo "1 2 $tmp/nothing here"; cat "$tmp/bad"; } >"$tmp/manifest"
    says 1 "11 good, 3 bad, 0 given up, 0 not begun" --keep-going -j "$1" "$tmp/manifest" &&
        blames "$name" "nothing here" "$name"
}
check "--keep-going verifies and reports all" all 1
check "--keep-going, eight at a time" all 8

stopped() {
    { echo "1 100000000001 $tmp/huge"; cat "$tmp/good"; } >"$tmp/manifest"
    "$errgroup" -j 1 "$tmp/manifest" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    sleep 1
    kill -s TERM $pid
    wait $pid
    status=$?
    cat "$tmp/out" "$tmp/err"
    [ $status -eq 143 ] && grep -q 'stopped by signal 15' "$tmp/err" &&
        grep -q '^0 good, 0 bad, 1 given up, 11 not begun' "$tmp/out"
}
if [ "${SAN:-}" = thread ]; then skip "TERM stops it" "ThreadSanitizer holds signals back while a thread sleeps"
else check "TERM stops it, and it says what was done" stopped; fi

help() { expect 0 "$errgroup" --help && grep -q usage: "$tmp/out"; }
echo "1 two three" >"$tmp/nonsense"
: >"$tmp/nothing"
check "--help" help
check "an unknown option is refused" expect 2 "$errgroup" --nonsense
check "so is -j 0" expect 2 "$errgroup" -j 0 "$tmp/good"
check "so is a manifest that is none" expect 2 "$errgroup" "$tmp/nonsense"
check "or is empty" expect 2 "$errgroup" "$tmp/nothing"
check "or is not there" expect 2 "$errgroup" "$tmp/not there"

finish
