#!/bin/sh
# The twins of the articles' Go programs print what those print, except where the order or the number of workers is free.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh
. tests/lib/examples.sh

seed() { # name: sets $bin
    bin=$BUILD/examples/seeds/$1
    [ -x "$bin" ] && return
    bin=$tmp/$1
    [ -x "$bin" ] || $CC -std=c11 -O2 -pthread "examples/seeds/$1.c" -o "$bin"
}

golden() { # name [arguments]: the output, sorted, is in expected/name.txt
    seed "$1" || return 1
    expected=examples/seeds/expected/$1.txt
    shift
    "$bin" "$@" >"$tmp/out" 2>&1 || { echo "exit status $?"; cat "$tmp/out"; return 1; }
    sed 's/worker\([- ]\)[123] /worker\1N /' "$tmp/out" | LC_ALL=C sort | diff "$expected" -
}

for source in examples/seeds/*.c; do
    name=$(basename "$source" .c)
    check "$name prints what the Go prints" golden "$name"
    check "... and if that is lost, it is an error" loses 1 "$bin"
done

gives_up() { # each URL is told once: checked, given up, or not even begun; and nothing hangs
    seed 004_pool_stop || return 1
    for try in 1 2 3 4 5; do # on a busy machine all may be done before Stop is called
        echo "try $try"
        "$bin" 1 >"$tmp/out" 2>&1 || return 1
        cat "$tmp/out"
        [ "$(sed -n 's/ → .*//p' "$tmp/out" | sort -u | wc -l)" -eq 5 ] || return 1
        [ "$(grep -c ' → ' "$tmp/out")" -eq 5 ] || return 1
        grep -q '^shutdown error: pool stop: deadline exceeded$' "$tmp/out" &&
            grep -q ' given up$\| not checked$' "$tmp/out" && return 0
    done
    return 1
}
check "004: the deadline is a number, nothing else" eval 'exits 2 "$bin" 4x && exits 2 "$bin" 4294967297'
check "004: Stop with a deadline gives up, and the pool still ends" gives_up

many() { # what hangs the Go
    sed 's/JOBS = 8/JOBS = 100/; s/LEAT_MS(50)/LEAT_MS(1)/; s|"[./]*/|"|' examples/seeds/003_minimal_pool.c >"$tmp/many.c"
    $CC -std=c11 -O2 -pthread -I . -I examples "$tmp/many.c" -o "$tmp/many" && [ "$("$tmp/many" | grep -c '^job=')" -eq 100 ]
}
check "003 with a hundred jobs does not hang, as the Go does from 24 on" many

again() { # the free orders, a few times
    i=0
    while [ $i -lt 20 ]; do
        golden "$1" || return 1
        i=$((i + 1))
    done
}
for name in 000_new_pool 000_new_pool_ctx 000_semaphore 001_run_pool 002_three_workers; do
    check "$name twenty times" again $name
done

finish
