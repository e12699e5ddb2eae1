#!/bin/sh
# fanout: each client gets every line, in order, or is told how many it has lost.  SPDX-License-Identifier: MIT
. tests/lib/tap.sh
. tests/lib/examples.sh
program fanout stdio.h libc6-dev
have python3 || skip_all "python3 not installed"

clients="python3 -IS tests/lib/line_clients.py" # starts sooner

# Starts it: $pid, $port. What is written to 3 is its input, which ends when no process holds that open any more.
# With LIMIT=n: it may open so many files.
start() { # options
    rm -f "$tmp/in" "$tmp/err"
    mkfifo "$tmp/in"
    (ulimit -n "${LIMIT:-256}"; exec $heeds_int "$fanout" "$@") <"$tmp/in" >"$tmp/out" 2>"$tmp/err" &
    pid=$! readers=
    exec 3>"$tmp/in"
    await $pid grep -q listening "$tmp/err" || return
    port=$(sed -n 's/^fanout: listening on 127.0.0.1:\([0-9]*\)$/\1/p' "$tmp/err")
    [ "$port" -gt 0 ]
}

said() { # pattern, how often at least
    [ "$(grep -c "$1" "$tmp/err")" -ge "${2:-1}" ]
}

# Clients that write what they get to a file. `late` ones begin to read when 4 is closed.
reader() { # file, number of the client
    $clients read "$port" </dev/null >"$tmp/$1" 2>&1 3>&- 4>&- &
    readers="$readers $!"
    await $pid said " comes$" "$2"
}

late() { # file, number
    rm -f "$tmp/life"
    mkfifo "$tmp/life"
    $clients read "$port" <"$tmp/life" >"$tmp/$1" 2>&1 3>&- 4>&- &
    readers="$readers $!"
    exec 4>"$tmp/life"
    await $pid said " comes$" "$2"
}

# No more input, and every client to the end. Or a signal, which its exit status tells.
ends() { # signal, if any
    if [ -n "$1" ]; then kill -"$1" $pid; else exec 3>&-; fi
    exec 4>&-
    wait $pid
    code=$?
    exec 3>&-
    for r in $readers; do wait "$r" || code="$code, and a client failed"; done
    cat "$tmp/err"
    case $1 in TERM) is "$code" 143 ;; INT) is "$code" 130 ;; *) is "$code" 0 ;; esac
}

lines() { # from, to
    awk -v i="$1" -v to="$2" 'BEGIN { for (; i <= to; i++) printf "line %d %080d\n", i, i }'
}

has() { # file, how many lines at least
    [ "$(wc -l <"$tmp/$1")" -ge "$2" ]
}

got() { # file, text: exactly that
    printf "$2" | cmp - "$tmp/$1" || { head -c 300 "$tmp/$1"; return 1; }
}

# In order, with the loss where it was, up to line n.
adds_up() { # file, n
    awk -v n="$2" '/^# lost / { at += $3; next } $2 != ++at { print "line " $2 " at " at; bad = 1; exit }
        END { print at " of " n; exit bad || at != n }' "$tmp/$1"
}

lost() { # file
    awk '/^# lost / { n += $3 } END { print n + 0 }' "$tmp/$1"
}

check "--help" exits 0 "$fanout" --help
check "... goes to standard output" grep -q '^usage: fanout' "$tmp/out"
check "... and if that is lost, it is an error" loses 1 "$fanout" --help
for bad in --no-such-option a-file; do
    check "refused: $bad" exits 2 "$fanout" $bad </dev/null
    check "... with the usage" grep -q '^usage: fanout' "$tmp/err"
done
check "--port is a number, nothing else" strict "0 to 65535" "$fanout" --port
check "... so is --queue" strict "1 to 1000000" "$fanout" --queue
check "... so is --grace" strict "0 to 1000000" "$fanout" --grace
check "... and not more than that" exits 2 "$fanout" --port 65536
check "... nor less" exits 2 "$fanout" --queue 0
check "no input at all is said" exits 1 "$fanout" <&-
check "... with the reason" grep -q 'standard input: Bad file' "$tmp/err"
check "a file that is not there is named" exits 1 "$fanout" --follow "$tmp/no such file"
check "... with the reason" grep -q 'no such file: No such file' "$tmp/err"
check "what cannot be read is named" exits 1 "$fanout" <"$tmp"
check "... with the reason" grep -q 'standard input: Is a directory' "$tmp/err"
check "nothing, to no client" exits 0 "$fanout" </dev/null
lines 1 10 >"$tmp/ten"
check "ten lines, to no client" exits 0 "$fanout" <"$tmp/ten"
check "... are counted" grep -qx 'fanout: 10 lines, 0 clients' "$tmp/err"

# ---- Fifty clients: some are slow, some leave, some never read ----
crowd() {
    start --queue 250 --grace 1
    $clients crowd "$port" "$tmp/err" >&3 2>"$tmp/crowd" 3>&- &
    crowd=$!
    ends && wait $crowd && cat "$tmp/crowd" && said "^fanout: 4000 lines, 50 clients$"
}
of() { # kind: how many of these clients were without fault
    grep -c " $1 .*nothing$" "$tmp/crowd"
}
# The end of each, as the program and as the clients saw it.
agree() {
    sed -n 's/^fanout: client \([0-9]*\) has all: \([0-9]*\) sent, \([0-9]*\) lost$/\1 \2 \3/p' "$tmp/err" |
        sort -n >"$tmp/theirs"
    awk '/fast|slow|late/ { print $1, $3, $4 }' "$tmp/crowd" | diff - "$tmp/theirs" && has theirs 38
}
check "50 clients: it ends, though some of them do not read" crowd
check "... the fast get every line, in order" is "$(of 'fast 4000 0')" 30
check "... slow ones as many as they have not lost" is "$(of slow)" 6
check "... and those that begin to read at the end" is "$(of late)" 2
check "... which has lost some" [ "$(awk '$2 == "late" && $4 > 1000' "$tmp/crowd" | wc -l)" -eq 2 ]
check "... the topic has counted the same" agree
check "... six that left were let go" [ "$(grep -c ' left: ' "$tmp/err")$(of close)$(of reset)$(of half)" = 6222 ]
check "... six that never read were cut off, and saw it" [ "$(grep -c ' is cut off: ' "$tmp/err")$(of never)" = 66 ]

# ---- One client, any lines ----
{
    printf '\n  two\r\nthr\000e\n'
    printf '%01000d\n%01001d\n%0200000d\n' 1 2 3
    printf 'no newline'
} >"$tmp/odd"
printf '\n  two\r\nthr\000e\n%01000d\n%01000d\n%01000d\nno newline\n' 1 0 0 >"$tmp/cut"
odd() {
    start && echo before >&3 && reader a 1 && cat "$tmp/odd" >&3 && ends && cmp "$tmp/cut" "$tmp/a"
}
latest() { # the option; then two clients, one of which comes between two lines
    start $1 && reader a 1 && echo one >&3 && echo two >&3 && await $pid has a 2 && reader b 2 || return
    [ -z "$1" ] || await $pid has b 1 || return # at once
    echo three >&3
    ends && got a "one\ntwo\nthree\n"
}
taken() {
    start && ! "$fanout" --port "$port" 2>"$tmp/second" && cat "$tmp/second" &&
        grep -q "port $port: Address already in use" "$tmp/second" && ends
}
forged() { # what looks as if the program had said it
    printf '# lost 7 lines\n#\n\n##\n #\n# lost %0996d\n' 1 >"$tmp/sly"
    start && reader a 1 && cat "$tmp/sly" >&3 && ends && sed 's/^#/##/' "$tmp/sly" | cut -c -1001 | cmp - "$tmp/a"
}
closed() { # descriptors 0 to 2: what it says goes nowhere, least of all to a client
    : >"$tmp/log"
    anyone=$($clients port)
    "$fanout" --follow "$tmp/log" --port "$anyone" <&- >&- 2>&- &
    pid=$!
    $clients hear "$anyone" 3 <&- >"$tmp/a" &
    await $pid sh -c 'echo line >>"$0" && [ -s "$1" ]' "$tmp/log" "$tmp/a" && wait $! && kill $pid
    wait $pid
    is $? 143 && is "$(sort -u "$tmp/a")" line
}
check "empty lines, carriage returns, zeros, long lines, no newline" odd
check "a line that looks like one of ours is told from ours" forged
check "descriptors 0 to 2 closed: clients get lines, nothing else" closed
check "one that comes between two lines gets the second" latest ""
check "... only" got b "three\n"
check "with --latest it gets the first, too" latest --latest
check "... at once" got b "two\nthree\n"
check "a port that is taken is an error, with the reason" taken

# ---- Signals ----
drains() { # signal, options: 5000 lines; one reads, one begins only when nothing more comes
    sig=$1
    shift
    start --queue 1000 "$@" && reader a 1 && late b 2 || return
    for i in 0 1 2 3 4; do
        lines $((i * 1000 + 1)) $((i * 1000 + 1000)) >&3
        await $pid has a $((i * 1000 + 1000)) || return
    done
    printf 'half a li' >&3
    ends "$sig" && said '^fanout: 5000 lines, 2 clients$' && adds_up a 5000 && adds_up b 5000
}
# Lines, as many as there is room for. Then it says so, and writes the rest as it can.
stuff() {
    lines 1 10000 | $clients stuff 4>&- 2>"$tmp/stuffed" >&3 3>&- &
    feeder=$!
    await $feeder grep -q stuffed "$tmp/stuffed"
}
waiting() { # for one that does not read: 10000 lines are more than the sockets hold
    start --queue 2 --wait && late a 1 || return
    stuff && ends TERM && adds_up a "$(sed -n 's/^fanout: \([0-9]*\) lines.*/\1/p' "$tmp/err")" && [ "$(lost a)" -le 1 ]
    code=$?
    wait $feeder
    return $code
}
newcomer() { # comes while all wait for one that does not read
    start --queue 2 --wait "$@" && late a 1 && stuff && reader b 2 || return
    [ -z "$1" ] || await $pid has b 1 || return
    exec 4>&-
    wait $feeder && ends && lines 1 10000 | cmp - "$tmp/a" &&
        lines "$(awk 'NR == 1 { print $2 }' "$tmp/b")" 10000 | cmp - "$tmp/b"
}
patient() { # two readers, of which one begins later
    start --queue 2 --wait && reader a 1 && late b 2 || return
    (exec 4>&-; lines 1 10000 >&3) &
    feeder=$!
    await $pid has a 100 && exec 4>&- && wait $feeder && ends && lines 1 10000 | cmp - "$tmp/a" && cmp "$tmp/a" "$tmp/b"
}
for sig in TERM ${heeds_int:+INT}; do
    check "$sig: what was read is served, then it ends" drains $sig
    check "... a client that reads had all" is "$(lost a)" 0
    check "... one that did not, what had room" [ "$(lost b)" -gt 0 ]
done
check "--wait: no client loses a line" patient
check "... TERM ends the wait" waiting
check "... a newcomer is let in, though one does not read" newcomer
check "... with --latest it has a line at once" newcomer --latest

# ---- Many at once ----
most=$(ulimit -n)
[ "$most" != unlimited ] || most=1000000
queue=$(cat /proc/sys/net/core/somaxconn 2>/dev/null || echo 128)
burst() { # connect while it is stopped: so nobody is let in, and all must fit into the queue
    LIMIT=1200
    start
    code=$? LIMIT=
    [ $code -eq 0 ] || return
    kill -STOP $pid
    $clients many "$port" 500 <"$tmp/in" >"$tmp/burst" 2>&1 3>&- &
    readers=$!
    await $readers grep -qx "500 have come" "$tmp/burst"
    code=$?
    kill -CONT $pid
    cat "$tmp/burst"
    [ $code -eq 0 ] && await $pid said " comes$" 500 && echo line >&3 && ends && grep -qx "500 have heard 500 lines" "$tmp/burst"
}
if [ "$most" -lt 1200 ] || [ "$queue" -lt 500 ]; then skip "500 that come at once" "too few descriptors, or too short a queue"
else check "500 that come at once are all let in" burst; fi

closes() { # clients, more options: leaves in $took how many seconds it took from the end of its input to its own
    clients_n=$1 LIMIT=$(($1 + 100))
    shift
    start "$@"
    code=$? LIMIT=
    [ $code -eq 0 ] || return
    $clients many "$port" "$clients_n" </dev/null >"$tmp/many" 2>&1 3>&- &
    readers=$!
    await $readers said " comes$" "$clients_n" && echo line >&3 && took=$(date +%s) || return
    ends >"$tmp/ended" || { tail -n 2 "$tmp/ended"; return 1; }
    took=$(($(date +%s) - took))
    echo "$clients_n clients: $took s"
    cat "$tmp/many"
    grep -qx "$clients_n have heard $clients_n lines" "$tmp/many"
}
linear() { # four times the clients, about four times the time; a convoy would take minutes
    closes $((crowd / 4)) --grace 1000 && few=$took && closes "$crowd" --grace 1000 && [ "$took" -le $((8 * few + 10)) ]
}
crowd=$(((most < 4200 ? most : 4200) - 200))
threads_most=$(awk '/^Max processes/ { print $3 == "unlimited" ? 1000000 : $3 }' /proc/self/limits 2>/dev/null)
if [ "${SAN:-}" = thread ] || [ $crowd -lt 800 ] || [ "${threads_most:-0}" -lt $((crowd * 3)) ]; then
    skip "thousands of clients: it ends in about linear time" "too few descriptors or threads"
else check "thousands of clients: it ends in about linear time ($crowd)" linear; fi

# ---- A file that grows ----
follows() {
    printf 'old\nolder\n' >"$tmp/log"
    start --follow "$tmp/log" --latest --queue 5000 && reader a 1 && echo one >>"$tmp/log" && await $pid has a 1 || return
    printf 'a li' >>"$tmp/log"
    sleep 0.2
    printf 'ne\n' >>"$tmp/log" && await $pid has a 2 && printf 'half' >>"$tmp/log" && sleep 0.2 || return
    echo new >"$tmp/log" && await $pid has a 3 && lines 1 5000 >>"$tmp/log" && reader b 2 || return
    await $pid has a 5003 && await $pid has b 1 && ends TERM && said 'log: truncated$'
}
check "--follow: what is appended, whole lines, also after a truncation" follows
check "... is all there" is "$(cksum <"$tmp/a")" "$({ printf 'one\na line\nnew\n'; lines 1 5000; } | cksum)"
check "... and ends with the last line" is "$(tail -n 1 "$tmp/b")" "$(lines 5000 5000)"

# ---- Clients that vanish while no lines flow; no room for more ----
open_files() {
    ls "/proc/$pid/fd" | wc -l
}
idle_as() { # so many files
    [ "$(open_files)" -eq "$1" ]
}
ticks() { # of CPU time
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat"
}
threads() {
    ls "/proc/$pid/task" | wc -l
}
vanish() { # three, and three: the first ones' threads serve again
    start && files=$(open_files) && before=$(threads) || return
    for wave in 1 2; do
        $clients vanish "$port" && await $pid idle_as "$files" || return
    done
    said ' left: ' 6 && [ "$(threads)" -lt $((before + 6)) ]
}
rests() { # with one client, while nothing comes
    reader a 7 && before=$(ticks) && sleep 0.8 && [ $(($(ticks) - before)) -le $(($(getconf CLK_TCK) / 10)) ] && ends
}
full() {
    LIMIT=12
    start && reader a 1
    code=$? LIMIT= more=
    [ $code -eq 0 ] || return
    for i in 1 2 3 4 5 6 7 8; do
        $clients read "$port" </dev/null >"$tmp/$i" 2>&1 3>&- &
        more="$more $!"
    done
    await $pid said 'no room for a client: Too many open files' && echo one >&3 && ends && wait $more
    got a "one\n"
}
if [ -d "/proc/$$/fd" ]; then
    check "a client that vanishes while no lines flow is let go, with thread and file" vanish
    check "no lines, no work" rests
    check "no room for a client: the others are served" full
else
    skip "a client that vanishes while no lines flow is let go" "no /proc"
fi
finish
