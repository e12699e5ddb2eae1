# The harness can fail: a broken promise, a hang and a crash are seen and reported. Otherwise all other tests would prove nothing.
. tests/lib/tap.sh

flags="-std=c11 -pthread -g -fno-omit-frame-pointer -rdynamic -Itests/lib -O2"
check "the samples build" $CC $flags tests/samples/harness.c tests/lib/tap.c -o "$tmp/sample"

run() { # word of a test's name: runs it, keeps what it said and how it ended
    LEAT_TEST_SECONDS=1 timeout 60 "$tmp/sample" "$1" >"$tmp/out" 2>&1
    echo "exit status $?" >>"$tmp/out"
}
says() {
    for line in "$@"; do
        grep -e "$line" "$tmp/out" || { echo "no line like: $line"; cat "$tmp/out"; return 1; }
    done
}

at() { # the line of the sample that holds this
    echo "harness.c:$(grep -nF -e "$1" tests/samples/harness.c | head -n 1 | cut -d: -f1)"
}

run passes
check "what passes is ok" says '^1\.\.1$' '^ok 1 - passes$' '^exit status 0$'
run fails
check "a broken CHECK says where, and the next runs" says "$(at 'CHECK(1 + 1 == 3)'): fails: no: 1 + 1 == 3" \
    "$(at 'CHECK_EQ(6 * 7, 41)'): fails: no: 6 \* 7 == 41: 42 and 41"
check "... and fails the test and the program" says '^not ok 1 - fails$' '^exit status 1$'
run gives_up
check "a broken REQUIRE ends the program" says "$(at 'REQUIRE(1 + 1 == 3)'): gives up: cannot" \
    '^not ok 1 - gives up' '^exit status 1$'
run skips
check "SKIP says why, and is no failure" says '^ok 1 - skips # SKIP no such machine$' '^exit status 0$'
run crashes
check "a crash fails" says '^exit status 139$'
run no-such-test
check "a filter may choose nothing" says '^1\.\.0'

run hangs
check "a hang fails" says '^not ok 1 - hangs: it hangs$' '^exit status 1$'
if [ -d /proc/self/task ] && have addr2line; then
    check "... and says where a thread that answers is: asleep" says " wait_in_main at $(at 'pthread_mutex_lock(&held);')"
    check "... running" says " spin_for_ever at $(at 'while (spins)')"
    check "... and where one that blocks signals is" says 'blocks signals' " wait_deaf at $(at 'while (pause())')"
fi

# The runner counts what a test says, whether prove does it or its stand-in.
BUILD=$tmp
export BUILD
cat >"$tmp/good.sh" <<'EOF'
#!/bin/sh
# good.sh - this is what would be lost,
# and on two lines. This is not.  SPDX-License-Identifier: MIT
echo ok 1; echo ok 2; echo 1..2
EOF
cat >"$tmp/short.sh" <<'EOF'
echo 1..2; echo ok 1
EOF
cat >"$tmp/liar.sh" <<'EOF'
echo 1..1; echo not ok 1; exit 0
EOF
cat >"$tmp/stuck.sh" <<'EOF'
echo 1..1; sleep 100 & wait
EOF
mkdir "$tmp/bin" # without prove
for tool in sh awk grep timeout sleep printf cat date mkdir mktemp rm; do ln -s "$(command -v $tool)" "$tmp/bin"; done
for path in "$PATH" "$tmp/bin"; do
    with=$([ "$path" = "$PATH" ] && echo with prove || echo without)
    check "a good test passes, $with" env PATH="$path" sh tools/test.sh "$tmp/good.sh"
    refuse "a test that ends early fails, $with" env PATH="$path" sh tools/test.sh "$tmp/good.sh" "$tmp/short.sh"
    refuse "not ok fails, $with" env PATH="$path" sh tools/test.sh "$tmp/liar.sh"
    refuse "a stuck script fails, $with" env PATH="$path" LEAT_TEST_LIMIT=1 sh tools/test.sh "$tmp/stuck.sh"

    # As if they had taken so long the last time.
    printf '%s\n' "$tmp/short.sh 1" "$tmp/liar.sh 2" "$tmp/good.sh 600" >"$tmp/seconds"
    env PATH="$path" sh tools/test.sh "$tmp/short.sh" "$tmp/liar.sh" "$tmp/good.sh" >"$tmp/out" 2>&1
    check "it says how many there are, and how long they will take, $with" says '^3 test files, .*, about 10 min left$' \
        '^  1 of 3' '^  2 of 3' '^  3 of 3'
    check "it says of each what would be lost, $with" \
        says 'good.sh (ok): this is what would be lost, and on two lines$' 'liar.sh (FAILED): $' 'short.sh (FAILED, ended too early'
    check "it says which check failed, and at the end which file, $with" \
        says '^not ok 1' '^Files=3, Tests=4' "^.*$tmp/liar.sh" '^Result: FAIL'
    check "it knows the time for the next run, $with" grep "^$tmp/good.sh [0-9]$" "$tmp/seconds"
    env PATH="$path" sh tools/test.sh "$tmp/good.sh" >"$tmp/out" 2>&1
    check "... and ends as is expected, $with" says '^Files=1, Tests=2' '^Result: PASS$'
    refuse "no line is written over, $with" grep "$(printf '\r')" "$tmp/out"
done
finish
