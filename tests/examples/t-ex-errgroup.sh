#!/bin/sh
# errgroup finds the bad file, and the first bad one stops the rest.  SPDX-License-Identifier: MIT
. tests/lib/tap.sh
. tests/lib/examples.sh
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

says() { # exit status, what it says on stdout, then arguments
    said=$2
    status=$1
    shift 2
    exits "$status" "$errgroup" "$@" && [ "$(cat "$tmp/out")" = "$said" ]
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

# A file that takes minutes (and no room) is in flight when another turns out to be bad.
dd if=/dev/zero of="$tmp/huge" bs=1 count=1 seek=100000000000 2>/dev/null
given_up() {
    { echo "1 100000000001 $tmp/huge"; cat "$tmp/bad first"; } >"$tmp/manifest"
    exits 1 "$errgroup" -j 2 "$tmp/manifest" && grep -q ' 1 bad, 1 given up' "$tmp/out" && blames "$name"
}
check "a file in flight is given up, and not blamed for it" given_up

all() {
    { cat "$tmp/bad first"; echo "1 2 $tmp/nothing here"; cat "$tmp/bad"; } >"$tmp/manifest"
    says 1 "11 good, 3 bad, 0 given up, 0 not begun" --keep-going -j "$1" "$tmp/manifest" &&
        blames "$name" "nothing here" "$name"
}
check "--keep-going verifies and reports all" all 1
check "--keep-going, eight at a time" all 8

# Three are in flight: one that takes long, a FIFO that no writer has opened, and one that is opened, but not written to.
mkfifo "$tmp/unopened"
stopped() { # signal, its number
    rm -f "$tmp/silent"
    mkfifo "$tmp/silent"
    { echo "1 100000000001 $tmp/huge"; echo "1 1 $tmp/unopened"; echo "1 1 $tmp/silent"; cat "$tmp/good"; } >"$tmp/manifest"
    signalled $((128 + $2)) "$1" 'exec 3>"$tmp/silent"' "$errgroup" -j 3 "$tmp/manifest" && # it has opened it, too
        grep "stopped by signal $2" "$tmp/err" &&
        is "$(cat "$tmp/out")" '0 good, 0 bad, 3 given up, 11 not begun'
}
if [ "${SAN:-}" = thread ]; then skip "TERM stops it" "ThreadSanitizer holds signals back while a thread sleeps"
else check "TERM stops it, also in a FIFO, and it says what was done" stopped TERM 15; check "so does INT" stopped INT 2; fi

from_fifo() {
    rm -f "$tmp/silent"
    mkfifo "$tmp/silent"
    echo "$(printf 'abc\n' | cksum) $tmp/silent" >"$tmp/manifest"
    printf 'abc\n' >"$tmp/silent" &
    says 0 "1 good, 0 bad, 0 given up, 0 not begun" "$tmp/manifest"
}
check "a FIFO is read to its end" from_fifo

help() { exits 0 "$errgroup" --help && grep -q usage: "$tmp/out"; }
check "--help" help
check "an unknown option is refused" exits 2 "$errgroup" --nonsense
check "... with the usage" grep -q usage: "$tmp/err"
check "--jobs wants a number" strict "1 to 1024" "$errgroup" --jobs
check "a help that is lost is an error" loses 1 "$errgroup" --help
check "a summary that is lost is an error" loses 1 "$errgroup" "$tmp/good"

# What cannot be read as it stands must not count as good.
null=$(cksum </dev/null)
sum=${null% 0}
odd() { # a line, NUL as \000, with a sum that is right modulo 2^32
    { cat "$tmp/good"; printf '%b\n' "$1"; } >"$tmp/odd"
    exits 2 "$errgroup" "$tmp/odd" && grep -q '^errgroup: line 12 is not' "$tmp/err" && [ ! -s "$tmp/out" ]
}
check "a sum beyond 32 bits is refused" odd "$((sum + 4294967296)) 0 /dev/null"
check "a negative sum is refused" odd "-$((4294967296 - sum)) 0 /dev/null"
check "a sum with a sign is refused" odd "+$sum 0 /dev/null"
check "a negative size is refused" odd "$sum -0 /dev/null"
check "a size beyond 64 bits is refused" odd "$sum 18446744073709551616 /dev/null"
check "a NUL is refused" odd "$sum 0 /dev/null\\000"
check "a NUL instead of a line is refused" odd "\\000"
check "a line without a path is refused" odd "$sum 0 "
check "words for numbers are refused" odd "1 two three"
check "an empty line is refused" odd ""
: >"$tmp/nothing"
check "a manifest that is empty is refused" exits 2 "$errgroup" "$tmp/nothing"
check "or is not there" exits 2 "$errgroup" "$tmp/not there"
check "or is a folder" exits 2 "$errgroup" "$tmp/files"
check "... with the reason" grep -q 'files: Is a directory' "$tmp/err"

# A terminal whose other side is gone: reads get all that was written, then EIO.
breaks_off() {
    python3 -c '
import os, subprocess, sys, tty
master, slave = os.openpty()
tty.setraw(slave)
os.write(slave, b"'"$sum"' 0 /dev/null\n")
os.close(slave)
sys.exit(subprocess.call(sys.argv[1:], stdin=master))' "$errgroup" >"$tmp/out" 2>"$tmp/err"
    is $? 2 && grep 'standard input: Input/output error' "$tmp/err"
}
if have python3; then check "a manifest that cannot be read to its end is refused" breaks_off
else skip "a manifest that cannot be read to its end is refused" "python3 not installed"; fi

folder() {
    { cat "$tmp/good"; echo "$sum 0 $tmp/files"; } >"$tmp/manifest"
    says 1 "11 good, 1 bad, 0 given up, 0 not begun" -j 1 "$tmp/manifest" && blames "files: Is a directory"
}
check "a folder is not good" folder
spaces() {
    cp "$tmp/files/empty" "$tmp/files/ two  spaces "
    (cd "$tmp/files" && cksum " two  spaces " >../spaces && exits 0 "$errgroup" ../spaces)
}
case $errgroup in /*) ;; *) errgroup=$PWD/$errgroup ;; esac
check "a name with blanks at both ends is taken as it is" spaces

finish
