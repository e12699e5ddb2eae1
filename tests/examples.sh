# examples.sh - what the tests of the examples share, beside tap.sh. SPDX-License-Identifier: MIT
#
#     . tests/tap.sh
#     . tests/examples.sh
#     program webhooks libsqlite3-dev                  # $webhooks; or skips all, if it could not be built
#     with_sql && sql "$tmp/db" 'SELECT ...'           # rows, columns separated by |
#     await $pid command ...                           # until it succeeds; fails when that process ends first

program() { # name, package
    [ -x "$BUILD/examples/$1" ] || skip_all "$2 not installed"
    eval "$1=\$BUILD/examples/$1"
}

with_is() { # what, what it should be
    [ "$1" = "$2" ] || { echo "is:        $1"; echo "should be: $2"; return 1; }
}

sql() {
    $CC -std=c11 -O tests/sql.c -o "$tmp/sql" -lsqlite3 || skip_all "cannot build tests/sql.c"
}

is() { # what, what it should be
    [ "$1" = "$2" ] || { echo "is:        $1"; echo "should be: $2"; return 1; }
}

sql() { # database, query
    "$tmp/sql" "$@"
}

await() {
    await_pid=$1
    shift
    until "$@"; do
        kill -0 "$await_pid" 2>/dev/null || { "$@"; return; }
        sleep 0.05
    done
}

# What a command writes goes to $tmp/out and $tmp/err; and is its exit status as wanted?
exits() { # status, command ...
    want=$1
    shift
    "$@" >"$tmp/out" 2>"$tmp/err"
    got=$?
    cat "$tmp/out" "$tmp/err"
    [ $got -eq "$want" ] || { echo "exit status $got, not $want: $*"; return 1; }
}
