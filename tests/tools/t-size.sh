# LEAT_ONCE: a program of many files has the slow paths once, and still works.
. tests/lib/tap.sh

check "eight files with a channel each, and one with eight, as it is and with LEAT_ONCE" sh -c "sh bench/size.sh >'$tmp/sizes'"
sed 's/^/# /' "$tmp/sizes"
of() { awk -v what="$1" -v column="$2" '$0 ~ what { print $(NF - 2 + column) }' "$tmp/sizes"; }
check "with it eight files have at most 1.5 times the code of one" [ $(($(of "eight files" 2) * 2)) -le $(($(of "one file" 2) * 3)) ]
check "without it they have more, or this test measures nothing" [ $(($(of "eight files" 1) * 2)) -gt $(($(of "one file" 1) * 3)) ]
for header in queue.h semaphore.h pool.h; do
    echo "#include \"$header\"" >"$tmp/p.c"
    check "$header with it gives no warning" $CC -std=c11 -O2 -DLEAT_ONCE -DLEAT_LINT -pthread -iquote . -Wall -Wextra \
        -Wmissing-prototypes -Wmissing-declarations -Werror -c "$tmp/p.c" -o "$tmp/p.o"
done
finish
