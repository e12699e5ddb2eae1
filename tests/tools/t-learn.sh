# The course in learn/: each program runs; each exercise, as it is handed out, fails in the simulator as its page says;
# a right repair passes, and repairs that look right do not. SPDX-License-Identifier: MIT
. tests/lib/tap.sh

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
    MACHINE=$objects BUILD=$tmp RUNS=2000 timeout 60 sh learn/simulate.sh $1 "$2" $3
}
fails() { # what the verdict must say
    grep -qE "$1" "$tmp/verdict" && grep -q '^Not yet' "$tmp/verdict" || { cat "$tmp/verdict"; return 1; }
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
wait

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
