# In gdb, `leat threads` says of every thread what it waits for, with the right numbers, at any optimization and in a core
# file. Whoever looks for a hang would else see only addresses, or be led astray. SPDX-License-Identifier: MIT
. tests/lib/tap.sh

have gdb || skip_all "no gdb (make deps)"
gdb -nx -batch -ex 'python print(1)' 2>/dev/null | grep -qx 1 || skip_all "this gdb has no Python"

debug() { # program [core], then commands: what gdb says goes to $tmp/raw. A process that is stopped and continued goes on
    program=$1
    shift
    if [ -f "$1" ]; then set -- "$program" "$@"; else set -- "$program" -ex "$@"; fi
    # shellcheck disable=SC2086
    timeout 120 gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'handle SIGCONT nostop noprint pass' "$@" \
        </dev/null >"$tmp/raw" 2>&1
}
tell() { # what follows: each thread on a line, without its number, its name, addresses and fractions of a second
    awk '/^Thread [0-9]+ ("[^"]*" )?(waits|does|is)/ || /^leat: / { if (text) print text; text = $0; next }
        /^    / && text { sub(/^ */, ""); text = text " | " $0; next }
        text { print text; text = "" }
        END { if (text) print text }' "$tmp/raw" |
        sed -E 's/^Thread [0-9]+ ("[^"]*" )?//; s/0x[0-9a-f]+/ADDRESS/g; s/3600\.0 s|35[0-9][0-9]\.[0-9] s/AN HOUR/
            s/1000000\.0 s|999[0-9]{3}\.[0-9] s/DAYS/; s/until [0-9.]+ s of the monotonic clock/AT A TIME/' >"$tmp/told"
}
told() { # times, a thread
    n=$(grep -cxF -e "$2" "$tmp/told")
    [ "$n" -eq "$1" ] || { printf '%s\n' "$n times instead of $1: $2" "in:"; cat "$tmp/told"; return 1; }
}
at() { # call, file, text in its line: as gdb tells where
    line=$(grep -nF -e "$3" "tests/samples/$2" | head -n 1)
    echo "$1 () at $2:${line%%:*}: $(echo "${line#*:}" | sed 's/^ *//')"
}
thread() { # function of waits.c that is one line
    at "$1" waits.c "THREAD($1, "
}
reader=$(at reads waits.c 'TASK(reads, ')
job=$(at waits_in_a_job waits.c 'TASK(waits_in_a_job, ')
in1="to receive from channel stages[0].in[1]: 0 of 4; 0 senders and 6 receivers wait"

everything() { # how, what of the time of an hour is left, of the days of a sleep
    how=$1
    check "$how: a sender at a full channel, how full it is, and who else waits there" told 1 \
        "waits to send to channel stages[1].out: 3 of 3; 2 senders and 0 receivers wait | $(thread sends)"
    check "$how: a receiver, its contexts with their deadline, the nearest first" told 1 \
        "waits to receive from channel stages[2].in[1]: 0 of 4; 0 senders and 1 receiver wait | $(thread receives) | under context hour: live, $2 | under context nap: live"
    check "$how: an unbuffered channel" told 1 \
        "waits to receive from channel meeting: unbuffered; 0 senders and 1 receiver wait | $(thread meets)"
    check "$how: the cases of a select" told 1 \
        "waits for one of 2 cases | case 0: to receive from channel stages[0].in[0]: 0 of 4; 0 senders and 1 receiver wait | case 2: to send to channel stages[1].out: 3 of 3; 2 senders and 0 receivers wait | $(at selects waits.c 'leat_select(cases')"
    check "$how: a semaphore, the permits that are free and those that are wanted" told 2 \
        "waits for 7 permits of semaphore slots: 2 of 8 free; 2 wait | $(thread acquires)"
    check "$how: a wait group and its count" told 1 "waits for wait group loaded: count 5; 1 waits | $(thread awaits_wg)"
    check "$how: a sleep" told 1 "waits in leat_sleep: $3 | $(thread sleeps) | under context nap: live"
    check "$how: a task, and the group whose task it is" told 2 \
        "waits $in1 | $reader | under context of readers: live | in a task of group readers"
    check "$how: a leat_go at the limit" told 1 \
        "waits for an idle thread of group readers: 3 tasks active, 2 threads, 0 idle, limit 2 | $(thread goes) | under context of readers: live"
    check "$how: a leat_go at a shared semaphore" told 1 \
        "waits for 1 permit of semaphore shared: 0 of 1 free; 1 waits | $(thread shares) | under context of sharers: live"
    check "$how: a leat_wait" told 1 \
        "waits for the tasks of group last: 1 task active, 2 threads, 1 idle | $(thread awaits_group)"
    check "$how: a group's idle thread" told 1 "waits for a task of group last: 1 task active, 2 threads, 1 idle"
    check "$how: a pool's idle workers" told 2 "waits for a job of pool idlers: 0 of 7 jobs queued; 2 workers, 0 busy"
    check "$how: a watch" told 1 \
        "waits for the next value of topic weather: 0 subscribers | $(thread watches) | under context nap: live"
    check "$how: a wait for a job" told 1 "waits for job held: queued | $(thread awaits_job)"
    check "$how: a wait for all jobs" told 1 \
        "waits for all jobs of pool lanes: 2 of 6 jobs queued; 1 worker, 1 busy | $(thread awaits_pool) | under context of lanes: live"
    check "$how: a job that waits" told 1 "waits $in1 | $job | under context of workers: live | in a job of pool workers"
    check "$how: a job in another lane than the first" told 1 \
        "waits $in1 | $job | under context of lanes: live | in a job of pool lanes"
    check "$how: a submit to a full queue" told 1 \
        "waits to submit to pool workers: 3 of 3 jobs queued; 1 worker, 1 busy | $(thread submits) | under context of workers: live"
    check "$how: a stop" told 1 \
        "waits for the workers of pool stopping: 0 of 2 jobs queued, shut; 1 worker, 1 busy | $(thread stops)"
    check "$how: a job that does not wait" told 1 \
        "does not wait in leat (a job of pool stopping): $(at runs waits.c 'pause();')"
    check "$how: a publish" told 1 \
        "waits to publish to topic news: 1 subscriber; to send to channel reader: 1 of 1; 1 sender and 0 receivers wait | $(thread publishes)"
    check "$how: a channel that only a pointer leads to" told 1 \
        "waits to receive from channel stage->out at ADDRESS: 0 of 9; 0 senders and 1 receiver wait | $(at has_it_on_the_heap waits.c 'leat_recv(&stage->out')"
    check "$how: a semaphore on another thread's stack, that has no limit" told 1 \
        "waits for 1 permit of semaphore main::on_a_stack: 0 free; 1 waits | $(thread has_it_on_a_stack)"
    check "$how: a thread that waits for nothing" told 1 \
        "does not wait in leat: $(at all_are_parked waits.c 'puts(')"
    check "$how: no other thread" test "$(wc -l <"$tmp/told")" -eq 30
    refuse "$how: nothing unknown, no error" grep -iE 'error|exception|unknown' "$tmp/raw"
}

build() { # compiler and flags, sample
    sample=$2
    # shellcheck disable=SC2086
    $1 -std=c11 -pthread -DLEAT_NO_URCU -iquote . "tests/samples/$sample.c" -o "$tmp/$sample"
}
parked() { # commands: runs the program until all its threads are parked
    debug "$tmp/waits" 'break all_are_parked' -ex run -ex 'source tools/leat-gdb.py' -ex 'leat threads' "$@"
    tell
}

for cc in $(compilers); do
    for opt in -O2 -O0; do
        check "the program builds, $cc $opt" build "$cc -g $opt" waits
        parked -ex "gcore $tmp/core" -ex 'leat chan stages[1].out' -ex 'leat chan &ended' -ex 'leat chan one' -ex 'thread'
        if ! grep -q '^Breakpoint 1, all_are\|hit Breakpoint 1, all_are' "$tmp/raw"; then
            cat "$tmp/raw" >&2
            skip "$cc $opt" "gdb cannot run a program here"
            continue
        fi
        check "leat chan decodes a channel's ends, $cc $opt" grep -A 2 -xF '3 of 3; 2 senders and 0 receivers wait' "$tmp/raw"
        mv "$tmp/said" "$tmp/ends"
        check "... and the bit that says that threads wait" test "$(tail -n 2 "$tmp/ends" | tr -d '\n')" = \
            "    tail: lap 3, slot 1    head: lap 2, slot 1, WAITERS"
        check "... of a closed one" grep -qxF '2 of 5, closed; 0 senders and 0 receivers wait' "$tmp/raw"
        check "... its bits" grep -qxF '    tail: lap 0, slot 2, CLOSING, CLOSED' "$tmp/raw"
        check "... and refuses what is no channel" grep -qxF 'one is not a channel: its type is int' "$tmp/raw"
        check "the thread that was selected still is" grep -q '^.Current thread is 1 ' "$tmp/raw"
        everything "$cc $opt" "AN HOUR left" "DAYS left"
        if [ -e "$tmp/core" ] && [ $opt = -O2 ]; then
            debug "$tmp/waits" "$tmp/core" -ex 'source tools/leat-gdb.py' -ex 'leat threads'
            tell
            everything "$cc $opt, core file" "AT A TIME" "AT A TIME"
        elif [ $opt = -O2 ]; then
            skip "$cc $opt, core file" "gdb could not write one"
        fi
        rm -f "$tmp/core"
    done
done
# -flto: there gdb would call the program's functions to find out what was passed, and the program would go on.
if build "$CC -g -O3 -flto" waits 2>"$tmp/said"; then
    parked
    refuse "the program is not continued" grep '^all are parked\|running\|[Ee]rror' "$tmp/raw"
    check "... nor lost with link-time optimization" told 1 "waits for wait group loaded: count 5; 1 waits | $(thread awaits_wg)"
else
    skip "the program is not continued" "no -flto"
fi

# What is not there is unknown. Nothing fails.
cat >"$tmp/unknown.py" <<'END'
say = Objects(Names([]), None)
nothing = gdb.Value(0).cast(gdb.lookup_type("leat_chan").pointer()).dereference()
for what in ("chan", "sem", "wg", "group", "pool", "topic", "ctx"):
    print(getattr(say, what)(None))
    getattr(say, what)(nothing)
END
debug "$tmp/waits" 'source tools/leat-gdb.py' -ex "source $tmp/unknown.py"
check "of what the compiler has not kept, each part is unknown" diff - "$tmp/raw" <<'END'
channel unknown: unknown of unknown; unknown senders and unknown receivers wait
semaphore unknown: unknown of unknown free; unknown wait
wait group unknown: count unknown; unknown wait
group unknown: unknown tasks active, unknown threads, unknown idle
pool unknown: unknown of unknown jobs queued; unknown workers, unknown busy
topic unknown: unknown subscribers
context unknown: unknown
END

# The session in docs/debugging.md is what gdb says of that program. Which of its two readers is first is up to chance.
check "the example of the document builds, as it is shown there" build "cc -O2 -g" hang
sed -n '/^(gdb) leat threads$/,/^```$/p' docs/debugging.md >"$tmp/raw"
tell
sort "$tmp/told" >"$tmp/shown"
for round in 1 2 3 4 5 6 7 8 9 10; do # attached to while it is not yet parked, too
    "$tmp/hang" &
    hang=$!
    debug "$tmp/hang" "attach $hang" -ex 'source tools/leat-gdb.py' -ex 'leat threads' -ex 'leat chan lines'
    kill "$hang"
    wait "$hang" 2>/dev/null
    tell
    if sort "$tmp/told" | cmp -s - "$tmp/shown" || grep -q 'ptrace: ' "$tmp/raw"; then break; fi
done
if grep -q 'ptrace: ' "$tmp/raw"; then
    skip "the session in the document" "this process may not attach gdb to another"
else
    check "the session in the document is a real one" sh -c 'sort "$1" | diff "$2" -' - "$tmp/told" "$tmp/shown"
    sed -n '/^(gdb) leat chan lines$/,/^```$/p' docs/debugging.md | sed '1d;$d' >"$tmp/shown"
    check "... and so is the channel in it" grep -A 2 -e "$(head -n 1 "$tmp/shown")$" "$tmp/raw"
    tail -n 3 "$tmp/said" >"$tmp/channel"
    check "... its ends" diff "$tmp/shown" "$tmp/channel"
fi

debug "$tmp/waits" 'source tools/leat-gdb.py' -ex 'leat threads'
check "without a process, it says so" grep -qx 'leat: no threads: run the program, attach to it, or load its core file' "$tmp/raw"
check "a program without debugging information builds" build "$CC -O1" waits
parked
check "... and it says what is missing" told 1 "leat: no debugging information: compile the program with -g"
echo 'int main(void) { return 0; }' >"$tmp/none.c"
check "a program without leat builds" $CC -g "$tmp/none.c" -o "$tmp/none"
debug "$tmp/none" 'break main' -ex run -ex 'source tools/leat-gdb.py' -ex 'leat threads'
check "... and it says so" grep -qx 'leat: this program does not use leat, or has no debugging information (-g)' "$tmp/raw"
finish
