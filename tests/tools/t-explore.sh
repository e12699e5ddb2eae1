# The simulator: its memory is C11's, its search is complete, a failure can be repeated and read, and the
# toolkit stands it for a while (make explore: for long).
. tests/lib/tap.sh

explore=$BUILD/explore/explore
if ! [ -x "$explore" ]; then
    echo "1..0 # SKIP no simulator here: it needs gcc and objcopy on x86-64 Linux"
    exit 0
fi

check "the simulated memory shows what C11 allows, and nothing else" $explore --runs 5000 litmus
check "a search with two preemptions finds every order" $explore --bound 2 search
refuse "a search with one does not find what needs two" $explore --bound 1 search_needs_two

check "the headers stand some hundred schedules of each scenario" $explore --runs 150
check "and the first schedules with two preemptions of the small ones" $explore --bound 2 --runs 1500

# A mutant that does not wake the next: found, by a seed that finds it again, in words that a person can read.
mkdir "$tmp/headers"
cp ./*.h "$tmp/headers"
sed -i 's/^LEAT_COLD_ void leat_wake_next_.*/&\n{ (void)c, (void)least; }\nLEAT_COLD_ void unused_(leat_case *c, uint64_t least)/' \
    "$tmp/headers/queue.h"
broken=$tmp/broken/explore/explore
check "a broken copy of queue.h builds" make BUILD="$tmp/broken" H="$tmp/headers" WERROR= "$broken"
refuse "a next waiter that is not woken is found" "$broken" --stop send_recv senders=2
cp "$tmp/said" "$tmp/first"
bare() { # a trace without line numbers, places in a stack, and how the simulator was called
    sed -E "s/stack-[0-9]+/stack/g; s/\.([ch]):[0-9]+ /.\1 /; s|again: .*explore --runs|again: explore --runs|; s/ +/ /g; s/ \$//" "$@"
}
shown() { # the trace in docs/testing.md: each line of it is one of the real trace, in the same order
    awk '/^not ok 5 - send_recv/ { on = 1 } /^```/ { on = 0 } on && !/^\.\.\.$/' docs/testing.md | bare >"$tmp/shown"
    bare "$tmp/first" | awk -v shown="$tmp/shown" '
        BEGIN { while ((getline line < shown) > 0) want[++n] = line; at = 1 }
        $0 == want[at] { at++ }
        END { if (n < 20 || at <= n) { print "docs/testing.md: not in the trace, or not there: " want[at]; exit 1 } }'
}
if gcc --version | grep -q '^gcc.* 12\.'; then check "docs/testing.md shows what the simulator says of it" shown
else skip "docs/testing.md shows what the simulator says of it" "it was recorded with gcc 12"
fi
grep '^# again: ' "$tmp/first" | sed 's/# again: //' >"$tmp/again.sh"
refuse "and found again by its seed" sh "$tmp/again.sh"
sed -i '/^ok\|^not ok\|^1\.\./d' "$tmp/first" "$tmp/said"
mv "$tmp/said" "$tmp/second"
check "by the very same steps" cmp "$tmp/first" "$tmp/second"
check "the trace names lines, channel and values" \
    grep -q 'compare-exchange  *release  *c\.tail  *0x[0-9a-f]*, 0x[0-9a-f]*  *queue.h:[0-9]* leat_move_' "$tmp/first"
check "and says which thread sleeps where" grep -q '^# everybody is asleep: .*T[0-9]' "$tmp/first"
finish
