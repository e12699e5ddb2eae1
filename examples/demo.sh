#!/bin/sh
# demo.sh PWC [folder ...] - counts a real tree with pwc and with find, xargs and wc: the same? how fast?
# SPDX-License-Identifier: MIT
set -u
LC_ALL=C
export LC_ALL
pwc=${1:?usage: demo.sh path/to/pwc [folder ...]}
shift

if [ $# -eq 0 ]; then # the first of these that has a thousand files
    for folder in /usr/include /usr/share/doc /usr/share; do
        [ -d "$folder/" ] || continue
        set -- "$folder/"
        [ "$(find "$folder/" -type f 2>/dev/null | head -n 1000 | wc -l)" -lt 1000 ] || break
    done
    [ $# -gt 0 ] || set -- .
fi

# Not every wc means the same by a word: some want a printable character in it, POSIX does not.
posix=
[ "$(printf '\001' | wc -w)" -eq 0 ] || posix=--posix

# Both read from memory; the first to read a file should not pay for the disk.
find "$@" -type f -print0 2>/dev/null | xargs -0 cat /dev/null >/dev/null 2>&1

echo "\$ find $* -type f -print0 | xargs -0 wc"
t0=$(date +%s.%N)
theirs=$(find "$@" -type f -print0 2>/dev/null | xargs -0 wc /dev/null 2>/dev/null | # makes a total in each batch
    awk 'NF == 4 && $4 == "total" { l += $1; w += $2; b += $3 } END { printf "%7.0f %7.0f %7.0f total", l, w, b }')
t1=$(date +%s.%N)
echo "$theirs"

echo "\$ pwc --quiet --verbose${posix:+ $posix} $*"
t2=$(date +%s.%N)
ours=$("$pwc" --quiet --verbose $posix "$@")
[ $? -le 1 ] || { echo "demo: pwc failed" >&2; exit 1; } # 1: some files could not be read; nor could wc
t3=$(date +%s.%N)
echo "$ours"

[ "$ours" = "$theirs" ] || { echo "demo: the totals differ" >&2; exit 1; }
echo "$t0 $t1 $t2 $t3" | awk '{
    wc = $2 - $1; pwc = $4 - $3
    printf "equal. wc took %.3f s, pwc %.3f s", wc, pwc
    if (pwc > 0) printf ": %.1f times as fast", wc / pwc
    print ""
}'
