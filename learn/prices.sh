#!/bin/sh
# prices.sh - measures the queue of each step of learn/, and writes the two columns of numbers of learn/README.md.
# SPDX-License-Identifier: MIT
set -eu
: "${CC:=cc}" "${BUILD:=build}"
mkdir -p "$BUILD"
for step in 1 2 3 4 5 6 7 8 9 0; do
    case $step in 0) program=learn/prices-leat.c ;; *) program=$(echo learn/0$step-*/program.c) ;; esac
    $CC -std=c11 -O2 -w -pthread -iquote learn -iquote . -DSTEP_N=$step -DPROGRAM="\"$program\"" learn/prices.c -o "$BUILD/prices"
    echo "$step|$("$BUILD/prices")"
done | tee "$BUILD/prices.txt"
# The cells of a row: | step | what | alone | passed | ... The first cell has the step's number; leat's has none.
awk -F'|' -v OFS='|' 'NR == FNR { alone[$1] = $2; passed[$1] = $3; next }
    /^\| *(\[?[1-9]|leat)/ { step = $2 ~ /leat/ ? 0 : substr($2, match($2, /[1-9]/), 1); $4 = " " alone[step] " "; $5 = " " passed[step] " " }
    { print }' "$BUILD/prices.txt" learn/README.md >"$BUILD/table"
cp "$BUILD/table" learn/README.md
