# examples.sh - what the tests of the examples share, beside tap.sh. SPDX-License-Identifier: MIT
#
#     . tests/lib/tap.sh
#     . tests/lib/examples.sh
#     program webhooks sqlite3.h libsqlite3-dev   # $webhooks; without its library all is skipped
#     with_sql && sql "$tmp/db" 'SELECT ...'      # rows, columns separated by |
#     await $pid command ...                      # until it succeeds; fails if that process ends first
#     $heeds_int "$webhooks" & ... kill -INT $!   # a shell's background ignores INT; "": cannot be helped
#     beyond_path_max "$tmp/long"                 # makes a folder, somewhere below which paths are too long
#     check "..." strict "1 to 1024" "$webhooks" --workers   # what is no number is refused
#     check "..." loses 1 "$webhooks" --help                 # output that is lost is an error

heeds_int="env --default-signal=INT"
$heeds_int true 2>/dev/null || heeds_int=

program() { # name, header, package
    printf '#include <%s>\n' "$2" | $CC -E -x c - >/dev/null 2>&1 || skip_all "$3 not installed"
    eval "$1=\$BUILD/examples/$1"
    [ -x "$BUILD/examples/$1" ] || { echo "not ok 1 - $1 is built"; exit 1; }
}

with_sql() {
    $CC -std=c11 -O tests/lib/sql.c -o "$tmp/sql" -lsqlite3 || skip_all "cannot build tests/lib/sql.c"
}

is() { # what, what it should be
    [ "$1" = "$2" ] || { echo "is:        $1"; echo "should be: $2"; return 1; }
}

sql() { # database, query
    "$tmp/sql" "$@"
}

await() {
    await_pid=$1 await_left=4000 # rather than hang
    shift
    until "$@"; do
        await_left=$((await_left - 1))
        [ $await_left -gt 0 ] || { echo "it never came: $*"; return 1; }
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

# Folders and files that no path of the system leads to: deep folders, moved into the ends of others.
beyond_path_max() { # folder
    deep=$(printf '%050d' 0)
    deep=$deep/$deep/$deep/$deep/$deep/$deep/$deep
    deep=$deep/$deep/$deep/$deep/$deep/$deep
    mkdir -p "$1/$deep" "$1.2/$deep" "$1.3/$deep" "$1.4/$deep"
    echo 'far down' >"$1.3/$deep/file"
    echo 'far down' >"$1.4/$deep/file"
    mv "$1.3" "$1.4" "$1.2/$deep/" && mv "$1.2" "$1/$deep/"
}

# An option that wants a number: what is none, or none it can take, is refused, with its name and the range.
strict() { # "1 to 1024", program, option
    for value in 4x 1e9 4294967297 18446744073709551617 99999999999999999999999 '' ' ' -1 +4 '+ 4' ' 4' '4 ' 0x4; do
        exits 2 "$2" "$3" "$value" --help || return # the help is not what it comes to
        grep -qF -- "$3 '$value'" "$tmp/err" && grep -qF -- "from $1" "$tmp/err" || return
    done
}

# Its output is lost: on a full disk, on a closed descriptor, on a pipe that no process reads. It says so.
loses() { # exit status, command ...
    lost_want=$1
    shift
    mkfifo "$tmp/unread"
    exec 8<>"$tmp/unread" 7>"$tmp/unread" 8>&-
    rm "$tmp/unread"
    for lost_to in '>/dev/full' '>&-' '>&7'; do
        (eval '"$@" '"$lost_to") 2>"$tmp/err"
        lost_got=$?
        cat "$tmp/err"
        [ $lost_got -eq "$lost_want" ] || { echo "exit status $lost_got, not $lost_want: $* $lost_to"; break; }
        grep -q 'standard output: ' "$tmp/err" || { echo "not said: $* $lost_to"; break; }
        lost_to=
    done
    exec 7>&-
    [ -z "$lost_to" ]
}

# A command gets a signal when another has succeeded, which may use $pid. It runs in the foreground: what a script
# starts in the background ignores INT. As exits, and when it does not end it is killed.
signalled() { # exit status, signal, command to eval; command ...
    signal=$2 when=$3 status=$1
    shift 3
    rm -f "$tmp/pid"
    (
        await $$ [ -s "$tmp/pid" ]
        pid=$(cat "$tmp/pid")
        eval "$when"
        kill -"$signal" "$pid"
        for left in $(seq 600); do kill -0 "$pid" 2>/dev/null || exit; sleep 0.1; done
        kill -KILL "$pid"
    ) &
    killer=$!
    exits "$status" sh -c 'echo $$ >"$0" && exec "$@"' "$tmp/pid" "$@"
    code=$?
    kill $killer 2>/dev/null; wait $killer
    return $code
}
