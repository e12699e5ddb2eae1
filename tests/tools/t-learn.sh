# The course in learn/: each program runs; each exercise, as it is handed out, fails in the simulator as its page says;
# a right repair passes, and repairs that look right do not. SPDX-License-Identifier: MIT
. tests/lib/tap.sh

have timeout || timeout() { shift && "$@"; }
steps=$(cd learn && echo 0?-*)

# Every program, with every compiler, two at a time. It must end soon, and say something.
strict="-std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -pthread -iquote learn"
runs() { # step compiler
    $2 $strict "learn/$1/program.c" -o "$tmp/$1-$2" && timeout 10 "$tmp/$1-$2" && echo "# ran"
}
for cc in $(compilers); do
    for step in $steps; do runs "$step" "$cc" >"$tmp/$step-$cc.said" 2>&1 & done
    wait
    for step in $steps; do check "$step: the program compiles with $cc and runs" grep '^# ran' "$tmp/$step-$cc.said"; done
done

if ! [ -x "$BUILD/explore/explore" ]; then
    skip "the exercises" "no simulator here: it needs gcc and objcopy on x86-64 Linux"
    finish
fi
objects=
for o in memory threads trace system lesson main; do objects="$objects $BUILD/explore/$o.o"; done
judge() { # step file, as `make lesson` does, but quicker
    MACHINE=$objects BUILD=$tmp RUNS=2000 timeout 60 sh learn/simulate.sh --lesson "$1" "$2"
}
fails() { # what the verdict must say
    tr -s '\n ' ' ' <"$tmp/verdict" | grep -qE "$1" && grep -q '^Not yet' "$tmp/verdict" || { cat "$tmp/verdict"; return 1; }
}

# The queues of the programs, with two slots, in the simulator. In $tmp/program-N.verdict.
programs() {
    for step in $steps; do
        n=${step%%-*} n=${n#0}
        sed 's/CAPACITY = 256/CAPACITY = 2/' "learn/$step/program.c" >"$tmp/program-$n.c"
        MACHINE=$objects BUILD=$tmp RUNS=1000 timeout 60 sh learn/simulate.sh tests/learn/programs.c -w -DSTEP_N=$n \
            -DPROGRAM="\"$tmp/program-$n.c\"" >"$tmp/program-$n.verdict" 2>&1
    done
}

# The example of docs/simulator.md, as it is shown and mended.
example() { # a change
    awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' docs/simulator.md | sed "$1" >"$tmp/handover.c"
    MACHINE=$objects BUILD=$tmp RUNS=2000 sh learn/simulate.sh "$tmp/handover.c"
}

# All verdicts first, two at a time: $tmp/N.verdict. Then what they must be.
n=0
queue() { # step file
    n=$((n + 1))
    echo "$n $1 $2" >>"$tmp/queue"
}
for step in $steps; do queue "${step#0}" "learn/$step/exercise.c"; done
for right in tests/learn/?-right*.c; do name=${right##*/} && queue "${name%%-*}" "$right"; done
grep '^[1-9] @ ' tests/learn/wrong.txt >"$tmp/wrong"
while IFS= read -r line; do
    step=${line%% @ *} rest=${line#* @ }
    from=${rest%% @ *} rest=${rest#* @ }
    case $from in exercise.c) from=$(echo learn/0"$step"-*/exercise.c) ;; *) from=tests/learn/$from ;; esac
    sed -E "${rest%% @ *}" "$from" >"$tmp/wrong-$((n + 1)).c"
    if cmp -s "$from" "$tmp/wrong-$((n + 1)).c"; then echo "#error this repair changes nothing" >"$tmp/wrong-$((n + 1)).c"; fi
    queue "$step" "$tmp/wrong-$((n + 1)).c"
done <"$tmp/wrong"
judges() { # every second
    while read -r i step file; do
        [ $((i % 2)) -eq "$1" ] || continue
        judge "${step%%-*}" "$file" >"$tmp/$i.verdict" 2>&1 </dev/null
    done <"$tmp/queue"
}
judges 0 &
judges 1
programs
wait

for step in $steps; do
    n=${step%%-*} n=${n#0}
    check "$step: the queue of the program holds in the simulator" grep '^Right' "$tmp/program-$n.verdict"
done
sed 's|^    wake(&q->tail, INT_MAX);.*|    if (t \& WAITERS) wake(\&q->tail, INT_MAX);|; s|^    atomic_fetch_or_explicit(&q->tail, CLOSED|    uint32_t t = &|' \
    learn/07-chain/program.c | sed 's/CAPACITY = 256/CAPACITY = 2/' >"$tmp/close.c"
close_by_the_bit() {
    MACHINE=$objects BUILD=$tmp RUNS=5000 sh learn/simulate.sh tests/learn/programs.c -w -DSTEP_N=7 -DPROGRAM="\"$tmp/close.c\"" >"$tmp/verdict"
    fails "every thread sleeps"
}
check "07-chain: and with the close of its quiz 2 it does not" close_by_the_bit

refuse "the example of docs/simulator.md is wrong as it is shown" example ''
check "... and right with a release" example 's/relaxed/release/'
traces() {
    MACHINE=$objects BUILD=$tmp sh learn/traces.sh
}
if gcc --version | grep -q '^gcc.* 12\.'; then check "the traces on the pages are what the simulator says" traces
else skip "the traces on the pages are what the simulator says" "they were recorded with gcc 12"
fi
two_screens() {
    awk 'FNR > 100 { print FILENAME ": more than 100 lines"; bad = 1; nextfile } length > 125 && !/^</ { print FILENAME ":" FNR ": too wide"; bad = 1 }
        END { exit bad }' learn/README.md learn/0?-*/README.md docs/simulator.md
}
check "a page has at most two screens" two_screens

n=0
next() { # the verdict of the next in the queue
    n=$((n + 1))
    cp "$tmp/$n.verdict" "$tmp/verdict"
}
for step in $steps; do
    next
    case $step in 01* | 06* | 07*) kind="every thread sleeps" ;; 02* | 03* | 08* | 09*) kind="data race" ;; *) kind="expected" ;; esac
    check "$step: the exercise as it is handed out fails: $kind" fails "$kind"
done
for right in tests/learn/?-right*.c; do
    next
    check "${right##*/} is right" grep '^Right' "$tmp/verdict"
done
while IFS= read -r line; do
    next
    rest=${line#* @ } && rest=${rest#* @ } && rest=${rest#* @ }
    check "${line%% @ *}: wrong: ${rest#* @ }" fails "${rest%% @ *}"
done <"$tmp/wrong"
finish
