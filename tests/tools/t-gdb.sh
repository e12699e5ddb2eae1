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
names='("[^"]*" )?' # of threads
tell() { # what follows: each thread on a line, without its number, $names, addresses and fractions of a second
    awk '/^Thread [0-9]+ ("[^"]*" )?(waits|does|is)/ || /^leat: / { if (text) print text; text = $0; next }
        /^    / && text { sub(/^ */, ""); text = text " | " $0; next }
        text { print text; text = "" }
        END { if (text) print text }' "$tmp/raw" |
        sed -E "s/^Thread [0-9]+ $names//"'; s/0x[0-9a-f]+/ADDRESS/g; s/3600\.0 s|35[0-9][0-9]\.[0-9] s/AN HOUR/
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

objects='' # to link with
build() { # compiler and flags, sample, what to change in it
    sample=$2 source=tests/samples/$2.c
    if [ "$3" ]; then sed -e "$3" "$source" >"$tmp/$sample.c" && source=$tmp/$sample.c; fi
    # shellcheck disable=SC2086
    $1 -std=c11 -pthread -DLEAT_NO_URCU -iquote . "$source" $objects -o "$tmp/$sample"
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

# Each session in docs/debugging.md is what gdb says of that program. Which of two tasks is in the first thread is up to chance.
# To compile all of leat once saves 20 s.
names=''
echo '#include "pool.h"' >"$tmp/leat.c"
check "leat compiles alone" cc -std=c11 -O2 -g -DLEAT_ONCE -DLEAT_NO_URCU -iquote . -c "$tmp/leat.c" -o "$tmp/leat.o"
objects=$tmp/leat.o
session() { # sample, what else to say to gdb: is it in the page?
    sample=$1 how=-DLEAT_DECLARED
    if [ "$sample" = cases ]; then how=; fi # gdb can tell a case's number where leat_select is inlined
    shift
    check "$sample.c builds" build "cc -O2 -g $how" "$sample"
    sed -n "/^. gdb -q -p .(pidof $sample)\$/,/^\`\`\`\$/p" docs/debugging.md >"$tmp/raw"
    tell
    sort "$tmp/told" >"$tmp/shown"
    check "... whose session is in the page" test -s "$tmp/shown"
    for round in 1 2 3 4 5 6 7 8 9 10; do # attached to while it is not yet parked, too
        "$tmp/$sample" &
        hangs=$!
        debug "$tmp/$sample" "attach $hangs" -ex 'source tools/leat-gdb.py' -ex 'leat threads' "$@"
        kill "$hangs"
        wait "$hangs" 2>/dev/null
        ended=$? # 143: by the kill. Else it did not hang, and there was nothing to attach to
        tell
        if sort "$tmp/told" | cmp -s - "$tmp/shown" || grep -q 'ptrace: ' "$tmp/raw"; then break; fi
    done
    if [ $ended -eq 143 ] && grep -q 'ptrace: ' "$tmp/raw"; then
        skip "... and is a real one" "this process may not attach gdb to another"
        return 1
    fi
    check "... and is a real one" sh -c 'sort "$1" | diff "$2" -' - "$tmp/told" "$tmp/shown"
}
mended() { # what the page says to do, for sed
    build "cc -include poll.h -DLEAT_DECLARED" "$sample" "$1" && timeout 60 "$tmp/$sample"
}
if session hang -ex 'leat chan lines'; then
    sed -n '/^(gdb) leat chan lines$/,/^```$/p' docs/debugging.md | sed '1d;$d' >"$tmp/shown"
    check "... and so is the channel in it" grep -A 2 -e "$(head -n 1 "$tmp/shown")$" "$tmp/raw"
    tail -n 3 "$tmp/said" >"$tmp/channel"
    check "... its ends" diff "$tmp/shown" "$tmp/channel"
fi
ends="... and does not hang, if mended as the page says"
check "$ends" mended 's/for (int i = 0; i < 2 .*/while (!err) err = leat_recv_ctx(ctx, \&lines, \&l);/
    s/return err;/return leat_release(\&files, 1), err == -EPIPE ? 0 : err;/
    s/^int main.*/&/; s/    int err = leat_make(&lines, 4);/&\n    leat_group_closes(\&readers, \&lines);/
    s/    return err != 0;/    return err || leat_pool_stop(\&writers);/'
session replies
check "$ends" mended 's/&replies, 8/\&replies, ALL/'
session permit
check "$ends" mended 's/return -ENOENT/return leat_release(\&files, 1), -ENOENT/'
session close
check "$ends" mended 's/    int err = leat_make.*/&\n    leat_group_closes(\&senders, \&numbers);/'
session cancel
check "$ends" mended 's/    while .*/    leat_pollable w;\n    int wake = leat_pollable_ctx(\&w, ctx);\
    struct pollfd fds[] = { { .fd = *(int *)fd, .events = POLLIN }, { .fd = wake, .events = POLLIN } };\
    while (n = 0, poll(fds, 2, -1) > 0 \&\& !leat_ctx_err(ctx) \&\& (n = read(*(int *)fd, \&c, 1)) == 1) {}\
    leat_pollable_close(\&w);/'
session tree
check "$ends" mended 's/err |= leat_job_wait(&half\[i\].job, NULL);/if (leat_job_cancel(\&half[i].job) == 0) add(ctx, \&half[i]); else &/'
session cases
check "$ends" mended 's/if (to == &left) leat_close(&left)/leat_close((int_chan *)to)/'
session deadline
check "$ends" mended 's/LEAT_S(3600)/LEAT_MS(36)/; s/leat_recv(&answers/leat_recv_ctx(ctx, \&answers/'
session mutex
check "$ends" mended 's/^    pthread_mutex_lock(&mutex);/    int copy[10];\n&\n    memcpy(copy, list, sizeof list);\n    pthread_mutex_unlock(\&mutex);/
    s/&list\[i\]/\&copy[i]/; /^    pthread_mutex_unlock(&mutex);/d'

objects=''

# What is no hang: the page's commands, with what they say. Aborted is what a shell may add.
sed -n '/^## What is no hang/,/^## What is told/p' docs/debugging.md | sed -n '/^```$/,/^```$/p' | sed '/^```$/d' >"$tmp/shown"
grep '^\$ ' "$tmp/shown" | while read -r _ command; do
    echo "\$ $command"
    sh -c "$(echo "$command" | sed "s:-o misuse:-o $tmp/misuse:; s:^\./misuse:$tmp/misuse:")" 2>&1
done | sed -E '/Aborted/d; s/==[0-9]+==/==...==/; s/0x[0-9a-f]+/0x.../g' >"$tmp/real"
if echo 'int main(void) { return 0; }' | cc -x c -fsanitize=address - -o "$tmp/none" 2>"$tmp/said" && "$tmp/none"; then
    check "what the page says of mistakes that are no hang is real" diff "$tmp/shown" "$tmp/real"
else
    skip "what the page says of mistakes that are no hang is real" "no AddressSanitizer"
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
