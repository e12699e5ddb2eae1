#!/bin/sh
# served: each request that it accepts is answered once, in time or not at all.  SPDX-License-Identifier: MIT
. tests/lib/tap.sh
. tests/lib/examples.sh
program served sys/epoll.h libc6-dev
have python3 || skip_all "python3 not installed"

# Starts it: $pid, $port. With LIMIT=n: it may open so many files.
start() { # options
    rm -f "$tmp/err" # what the last one said
    (ulimit -n "${LIMIT:-256}"; exec $heeds_int "$served" "$@") >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    await $pid grep -q listening "$tmp/err" || return
    port=$(sed -n 's/^served: listening on 127.0.0.1:\([0-9]*\)$/\1/p' "$tmp/err")
    [ "$port" -gt 0 ]
}

ends() { # signal; or none, if it has got one
    [ -z "$1" ] || kill -"$1" $pid
    wait $pid
    code=$?
    cat "$tmp/out" "$tmp/err"
    case $1 in INT) is $code 130 ;; *) is $code 143 ;; esac
}

# A scene of the clients, against a server with these options, to its end.
scene() { # name, signal or "", options
    name=$1 sig=$2
    shift 2
    start "$@" || return
    SAN=${SAN:-none} timeout 300 python3 -IS tests/lib/served_clients.py "$name" "$port" $pid >"$tmp/scene" 2>&1
    code=$?
    cat "$tmp/scene"
    [ $code -eq 0 ] || { kill -KILL $pid; wait $pid; cat "$tmp/err"; return 1; }
    ends "$sig"
}

said() { # done, busy, timed out, malformed, lost
    is "$(cat "$tmp/out")" "$(($1 + $2 + $3 + $4)) requests: $1 done, $2 busy, $3 timed out, $4 malformed; $5 answers lost"
}

# Of the numbers that it printed: the one before a word.
told() {
    sed -n "s/.*[:,;] \([0-9]*\) $1.*/\1/p" "$tmp/out"
}

check "--help" exits 0 "$served" --help
check "... goes to standard output" grep -q '^usage: served' "$tmp/out"
check "... and if that is lost, it is an error" loses 1 "$served" --help
for bad in --no-such-option a-file; do
    check "refused: $bad" exits 2 "$served" $bad
    check "... with the usage" grep -q '^usage: served' "$tmp/err"
done
check "--port is a number, nothing else" strict "0 to 65535" "$served" --port
check "... so is --workers" strict "1 to 1024" "$served" --workers
for option in --queue --clients --idle; do check "... so is $option" strict "1 to 100000" "$served" $option; done
check "... so is --grace" strict "0 to 100000" "$served" --grace

taken() {
    start || return
    ! "$served" --port "$port" 2>"$tmp/second" && grep "port $port: Address already in use" "$tmp/second"
    refused=$?
    ends TERM && is $refused 0
}
check "a port that is taken is an error, with the reason" taken
check "... and nothing was done" said 0 0 0 0 0
check "INT ends it, too" eval 'start && ends INT'
lost_summary() {
    rm -f "$tmp/err"
    "$served" >/dev/full 2>"$tmp/err" &
    pid=$!
    await $pid grep -q listening "$tmp/err" && kill $pid
    wait $pid
    is $? 143 && grep 'standard output: ' "$tmp/err"
}
check "a summary that is lost is said" lost_summary

check "requests, and what is none, in whole lines and in parts" scene talk TERM
check "... are counted" said 8 0 0 15 0
check "a line that is too long is refused, and the refusal arrives" scene long TERM
check "60 clients: all is answered, once, in order, and the counters agree" scene crowd TERM -w 2 -q 8
check "... also when nearly all are refused" scene crowd TERM -w 2 -q 1
check "a full lane refuses, the other does not; a reset takes a request back" scene full TERM -w 1 -q 2
check "... counted" said 2 3 2 0 2
check "a deadline passes in the queue and at work: 504, and the job ends" scene deadline TERM -w 1
check "... counted" said 0 0 5 0 1
check "the high lane goes before the low lane's backlog; the grace ends what is left" scene lanes "" -w 1 --grace 0
check "... counted" said 1 0 7 0 1
check "TERM: what is under way is answered, what is not ends" scene drain "" -w 2 -g 60
check "... all of it" [ "$(told "done")" -ge 21 ]
check "TERM in mid-stream" scene stream "" -w 2 -g 60
check "... each request that was accepted was answered" is "answered $(told "done")" "$(cat "$tmp/scene")"
check "... none of them lost" is "$(told "answers lost")" 0
check "clients that vanish leave nothing behind" scene vanish TERM -w 1 -q 4
check "one that never reads costs no memory, and is cut off" scene never TERM --idle 3
check "... which it does not take for the end" scene part TERM --idle 3
check "one that says nothing is let go" scene idle TERM --idle 1
check "more clients than --clients wait" scene limit TERM -c 2
crowded() { # descriptors for two clients, and no more
    start && python3 -IS tests/lib/served_clients.py stats "$port" $pid || return # now it has opened all its own
    files=0
    while [ -L "/proc/$pid/fd/$files" ]; do files=$((files + 1)); done # the first that is free
    ends TERM || return
    LIMIT=$((files + 2))
    scene limit TERM && grep "no room for a client: Too many open files" "$tmp/err"
    code=$? LIMIT=
    return $code
}
if [ -d "/proc/$$/fd" ]; then
    check "... and more than there are descriptors" crowded
    check "no requests, no work" scene rest TERM -w 1
else
    skip "... and more than there are descriptors" "no /proc"
fi
finish
