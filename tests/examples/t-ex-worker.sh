#!/bin/sh
# worker: each job's result is stored once, or it is a dead letter once, whatever is killed.  SPDX-License-Identifier: MIT
#
# WORKER_JOBS=100000: so many jobs while workers and Redis are killed, instead of 10,000.
. tests/lib/tap.sh
. tests/lib/examples.sh
program worker hiredis/hiredis.h libhiredis-dev
have redis-server && have redis-cli || skip_all "redis-server not installed"
have factor || skip_all "no program factor"
case $(redis-server --version) in *v=[0-6].*) skip_all "Redis is older than 7" ;; esac
jobs=${WORKER_JOBS:-10000}
[ "${SAN:-none}" = none ] || jobs=$((jobs / 2))

# ---- Redis, on a socket in $tmp, which forgets nothing that it has answered ----
redis= workers=
redis_up() {
    redis-server --port "${PORT:-0}" --bind 127.0.0.1 --unixsocket "$tmp/redis" --dir "$tmp" --save '' --appendonly yes \
        --appendfsync always --daemonize no >>"$tmp/log" 2>&1 &
    redis=$!
    await $redis answers
}
answers() {
    [ "$(q PING 2>&1)" = PONG ]
}
redis_down() { # signal
    kill -"$1" $redis
    wait $redis 2>/dev/null
    redis=
}
q() {
    redis-cli -s "$tmp/redis" "$@"
}
trap '[ -z "$workers$redis" ] || kill -9 $workers $redis 2>/dev/null; wait; rm -rf "$tmp"' EXIT

# ---- Jobs and workers ----
add() { # stream, first id, last, field, value ...: n is a number of the id
    stream=$1 from=$2 to=$3
    shift 3
    awk -v s="$stream" -v i="$from" -v to="$to" -v more="$*" 'BEGIN {
        for (; i <= to; i++) printf "XADD %s * id %d n %d %s\r\n", s, i, i * 7919 + 1, more
    }' | q --pipe | grep 'errors: 0'
}
right() { # reads ids: exactly these have results, the right ones
    q HGETALL results | paste -d: - - | sort -n >"$tmp/stored"
    cat >"$tmp/ids"
    awk '{ printf "%d\n", $1 * 7919 + 1 }' "$tmp/ids" | factor | sed 's/^[0-9]*: //' | paste -d: "$tmp/ids" - | sort -n >"$tmp/right"
    cmp "$tmp/stored" "$tmp/right"
}
begin() { # file, options, streams: $pid
    file=$1
    shift
    $heeds_int "$worker" -r "$tmp/redis" "$@" >>"$tmp/$file.out" 2>>"$tmp/$file.err" &
    pid=$!
    workers="$workers $pid "
}
is_over() { # of its process id another may have become the owner
    wait "$1" 2>/dev/null
    code=$?
    workers=$(echo "$workers" | sed "s/ $1 / /")
    return $code
}
ends() { # exit status, signal, file: the worker $pid
    kill -"$2" "$pid"
    is_over "$pid"
    code=$?
    cat "$tmp/$3.out" "$tmp/$3.err"
    [ $code -eq "$1" ]
}
length() { # command, key, how many
    [ "$(q "$1" "$2")" -eq "$3" ]
}
all_done() { # results and dead letters
    length HLEN results "$1" && length XLEN dead "$2"
}
nothing_left() { # stream ...: no entry, none that is not acknowledged
    for stream in "$@"; do
        is "$(q XLEN "$stream") $(q XPENDING "$stream" workers | head -n 1)" "0 0" || return
    done
}
fresh() { # no data, nor workers that a test has left behind because it failed
    for left in $workers; do
        kill -9 "$left"
        is_over "$left"
    done
    [ "$(q FLUSHALL)" = OK ]
}
counts() { # file: stored, known, retried, dead, gone, left
    sed -n 's/[a-z,]*//gp' "$tmp/$1.out" | tr -s ' ' ' ' | sed 's/ $//'
}
metric() { # file, name
    awk -v name="$2" '$1 == name { print $2 }' "$1"
}

check "--help" exits 0 "$worker" --help
check "... goes to standard output" grep -q '^usage: worker' "$tmp/out"
check "no stream is refused" exits 2 "$worker"
check "nine streams are refused" exits 2 "$worker" a b c d e f g h i
check "an unknown option is refused" exits 2 "$worker" --no-such-option jobs
for bad in localhost localhost: localhost:0 localhost:65536 localhost:1x :1 ''; do
    check "no address is refused ('$bad')" exits 2 "$worker" --redis "$bad" jobs
done
check "--workers wants a number" strict "1 to 4096" "$worker" --workers
check "--in-flight wants a number" strict "1 to 4096" "$worker" --in-flight
check "--tries wants a number" strict "1 to 4096" "$worker" --tries
check "a help that is lost is an error" loses 1 "$worker" --help
check "a file for metrics that cannot be written is an error" exits 1 "$worker" -m "$tmp/no/such" jobs
check "... and is named" grep -q 'no/such: No such file' "$tmp/err"

# ---- Redis is not there yet ----
early() {
    begin early jobs && await $pid grep -q 'trying again' "$tmp/early.err" && redis_up && add jobs 1 100 &&
        await $pid all_done 100 0 && ends 143 TERM early
}
check "a worker that is there before Redis waits for it" early
check "... and says so, once for each connection" is "$(grep -c 'trying again' "$tmp/early.err")" 1
check "... all results are right" eval 'seq 100 | right'
check "... nothing is left" nothing_left jobs
check "... it says what was done, and why it ended" eval 'is "$(counts early)" "100 0 0 0 0 0" && grep "stopped by signal 15" "$tmp/early.err"'
nowhere() { # no Redis, and it is told to end
    begin nowhere -r "$tmp/nowhere" jobs && await $pid grep -q 'trying again' "$tmp/nowhere.err" && ends 143 TERM nowhere
}
check "TERM ends a worker that has no Redis" nowhere

# ---- What is stored once ----
known() {
    fresh && q HSET results 7 first >/dev/null && add jobs 7 8 && add jobs 8 8 && begin known jobs &&
        await $pid all_done 2 0 && await $pid nothing_left jobs && ends 143 TERM known
}
check "a job whose id has a result" known
check "... leaves that result" is "$(q HGET results 7)" first
check "... is known, as one that was added twice" is "$(counts known)" "1 2 0 0 0 0"
unnamed() { # without an id
    fresh && entry=$(q XADD jobs '*' n 12) && begin unnamed jobs && await $pid all_done 1 0 && ends 143 TERM unnamed &&
        is "$(q HGET results "$entry")" "2 2 3"
}
check "a job without an id has that of its entry" unnamed
edges() {
    fresh && q XADD jobs '*' id 'a b' n 1 && q XADD jobs '*' id big n 18446744073709551615 && q XADD jobs '*' id '' n 97 &&
        q XADD jobs '*' id two n 9223372036854775808 && begin edges -w 1 jobs && await $pid all_done 4 0 && ends 143 TERM edges
}
check "the first number and the last, ids with blanks, no bytes at all" edges
check "... have the right results" is "$(q HMGET results 'a b' big '' two | tr '\n' ,)" \
    ",3 5 17 257 641 65537 6700417,97,$(printf '2 %.0s' $(seq 63) | sed 's/ $//'),"

stuck() { # results and dead letters cannot be stored, for a while; of two dead letters another worker makes one
    fresh && q SET results x && q SET dead x && add jobs 1 10 && q XADD jobs '*' n 0 && entry=$(q XADD jobs '*' n 0) && begin stuck -w 2 -i 100 jobs &&
        await $pid eval '[ "$(grep -c WRONGTYPE "$tmp/stuck.err")" -eq 2 ]' && is "$(q XLEN jobs) $(q XPENDING jobs workers | head -n 1)" "12 12" &&
        q DEL results && await $pid length HLEN results 10 && await $pid length XLEN jobs 2 && q XDEL jobs "$entry" &&
        q XACK jobs workers "$entry" && q DEL dead && await $pid all_done 10 1 && await $pid nothing_left jobs && ends 143 TERM stuck
}
check "what cannot be stored is not acknowledged" stuck
check "... and is done when it can be" eval 'seq 10 | right'
check "... a dead letter by one worker alone" is "$(counts stuck)" "10 0 0 1 1 0"

# ---- Retries, dead letters, metrics ----
failing() {
    fresh && add jobs 1 50 && add jobs 51 70 fails 2 && add jobs 71 75 fails 100 && q XADD jobs '*' id bad n x && q XADD jobs '*' id none &&
        begin failing -t 4 -b 0.02 -m "$tmp/metrics" urgent jobs && await $pid all_done 70 7 &&
        await $pid nothing_left urgent jobs && ends 143 TERM failing
}
check "jobs that fail are tried again" failing
check "... all that can be done is done" eval 'seq 70 | right'
check "... each try is counted" is "$(counts failing)" "70 0 55 7 0 0"
check "... what cannot be done is a dead letter, whole" is "$(q XRANGE dead - + | paste -sd' ' - | grep -o 'deliveries [0-9]* why failed id [0-9]* n [0-9]*' | sort | tr '\n' ,)" \
    "$(for i in 71 72 73 74 75; do printf 'deliveries 4 why failed id %d n %d,' $i $((i * 7919 + 1)); done)"
check "... what is malformed is one at once" is "$(q XRANGE dead - + | grep -A1 '^why' | grep -c malformed)" 2
check "... and is said" is "$(grep -c 'is a dead letter: it is malformed$' "$tmp/failing.err")" 2
m() {
    metric "$tmp/metrics" "$1"
}
check "metrics: each end" is "$(for k in stored known retried dead gone left; do m "worker_jobs_total{stream=\"jobs\",end=\"$k\"}"; done | paste -sd' ' -)" "70 0 55 7 0 0"
check "... each try has waited and worked" is "$(for h in wait work; do m "worker_${h}_seconds_count{stream=\"jobs\"}"; m "worker_${h}_seconds_bucket{stream=\"jobs\",le=\"+Inf\"}"; done | paste -sd' ' -)" "132 132 132 132"
check "... buckets only grow" eval 'awk "/work_seconds_bucket.*jobs/ { if (\$2 < n) exit 1; n = \$2 }" "$tmp/metrics"'
check "... nothing is queued or busy at the end" is "$(m worker_busy) $(m 'worker_queued{stream="jobs"}')" "0 0"
check "... the queue's high water" [ "$(m 'worker_queued_high{stream="jobs"}')" -ge 1 ]
check "... the lines of a name stand together, behind its type" eval 'awk "
    /^# TYPE/ { if (seen[\$3]++) exit 1; now = \$3; next }
    { name = \$1; sub(/{.*/, \"\", name); sub(/_(bucket|sum|count)\$/, \"\", name); if (name != now) exit 1 }" "$tmp/metrics"'
while_running() {
    fresh && add jobs 1 10 && rm -f "$tmp/metrics" && begin meanwhile -w 3 -m "$tmp/metrics" jobs && await $pid all_done 10 0 &&
        await $pid tells 10 && is "$(m worker_threads)" 3 && ends 143 TERM meanwhile
}
tells() {
    [ -e "$tmp/metrics" ] && [ "$(m 'worker_jobs_total{stream="jobs",end="stored"}')" -eq "$1" ]
}
check "... are written while it runs" while_running

# ---- Back-off, in seconds that never pass: the list's clock says it. Deliveries 1 to 10 are the first, the rest the second ----
pending() { # a line for each: its entry's id, consumer, ms since it was delivered, deliveries
    q XPENDING jobs workers - + 20 | paste -sd'   \n' -
}
waiting() { # so many have failed, and wait for the next try
    [ "$(pending | awk '$2 == "backs-off" && $3 > 40000000' | wc -l)" -eq "$1" ]
}
backs_off() {
    fresh && add jobs 1 20 fails 100 && q XGROUP CREATE jobs workers 0 &&
        q XREADGROUP GROUP workers crashed COUNT 20 STREAMS jobs '>' >"$tmp/taken" && set -- $(grep -- - "$tmp/taken") &&
        q XCLAIM jobs workers crashed 0 "$@" IDLE 86400000 RETRYCOUNT 0 JUSTID && shift 10 &&
        q XCLAIM jobs workers crashed 0 "$@" IDLE 86400000 RETRYCOUNT 1 JUSTID &&
        begin off -n backs-off -c 86400 -b 20000 jobs && await $pid waiting 20 && pending >"$tmp/pending" && ends 143 TERM off &&
        awk '{ d = 86400 - $3 / 1000; lo = NR <= 10 ? 10000 : 20000; print; bad = bad || d < lo - 1000 || d > 2 * lo || $4 != (NR > 10) + 1 }
            END { exit bad }' "$tmp/pending"
}
check "a job's next try comes later each time" backs_off
check "... and not all at the same time" eval '[ "$(awk "{ print \$3 }" "$tmp/pending" | sort -u | wc -l)" -ge 15 ]'

# ---- Lanes. The only worker cannot store, so both lanes fill. The results' order is that of a small hash ----
taken() { # stream, how many
    [ "$(q XPENDING "$1" workers 2>&1 | head -n 1)" = "$2" ]
}
urgent() {
    fresh && q SET results x && add later 1000 1299 && begin urgent -w 1 -i 64 urgent later && await $pid taken later 64 &&
        add urgent 1 50 && await $pid taken urgent 50 && q DEL results && await $pid all_done 350 0 && ends 143 TERM urgent &&
        q HGETALL results | awk 'NR % 2 && $1 <= 50 { last = (NR + 1) / 2 } END { print last; exit last > 60 }'
}
check "jobs of the first stream are done before the others" urgent

# ---- TERM and INT, in the middle ----
busy() {
    [ "$(q HLEN results)" -ge "$1" ]
}
told() { # signal, exit status
    fresh && add jobs 1 20000 >/dev/null && begin "$1" -w 3 -i 32 jobs && await $pid busy 500 && ends "$2" "$1" "$1" &&
        is "$(q XPENDING jobs workers | head -n 1)" 0 && is $(($(q XLEN jobs) + $(q HLEN results))) 20000 &&
        is "$(counts "$1")" "$(q HLEN results) 0 0 0 0 0"
}
check "TERM: what was taken is done and acknowledged, the rest is left" told TERM 143
[ -z "$heeds_int" ] || check "INT: the same" told INT 130

# ---- What a crash leaves ----
claims() { # a consumer that took three jobs, of which it did one up to the last step but one, and one up to the last
    fresh && add jobs 1 4 && q XGROUP CREATE jobs workers 0 && q XREADGROUP GROUP workers crashed COUNT 3 STREAMS jobs '>' >"$tmp/taken" &&
        ids=$(grep -- - "$tmp/taken") && set -- $ids && q HSET results 2 first 3 second && q XDEL jobs "$3" &&
        begin claims -c 0.5 -m "$tmp/metrics" jobs && await $pid all_done 4 0 && await $pid nothing_left jobs && ends 143 TERM claims
}
check "what a crashed worker has left is claimed" claims
check "... and is done if it has no result" is "$(q HMGET results 1 2 3 4 | tr '\n' ,)" "2 2 2 2 3 3 5 11,first,second,3 10559,"
check "... the rest is acknowledged" is "$(counts claims)" "2 1 0 0 0 0"
gives_up() { # a job that was delivered three times, and no worker came to its end; one that has a result
    fresh && add jobs 1 2 && q HSET results 2 first && q XGROUP CREATE jobs workers 0 &&
        q XREADGROUP GROUP workers crashed STREAMS jobs '>' >"$tmp/taken" && ids=$(grep -- - "$tmp/taken") &&
        q XCLAIM jobs workers crashed 0 $ids RETRYCOUNT 3 && begin up -t 3 -c 0.5 jobs &&
        await $pid all_done 1 1 && await $pid nothing_left jobs && ends 143 TERM up
}
check "a job that ends its workers becomes a dead letter" gives_up
check "... with the reason" is "$(q XRANGE dead - + | grep -A1 '^why' | tail -n 1)" "never came to an end"
check "... if it has no result" is "$(counts up)" "0 0 0 1 1 0"

# ---- All at once ----
start() { # number of the worker
    begin "crash$1" -n "worker-$1" -w 4 -t 10 -b 0.02 -c 1 urgent jobs
    eval "pid$1=$pid"
}
crashes() {
    good=$((jobs - 40)) random=$(od -An -N2 -tu2 /dev/urandom)
    fresh && add urgent 1 $((good / 10)) && add jobs $((good / 10 + 1)) $((good - 200)) && add jobs $((good - 199)) $good fails 2 &&
        add urgent 1 100 && add urgent $((good + 1)) $jobs fails 1000 || return
    for i in 1 2 3; do start $i; done
    round=0
    until [ $kills -ge 4 ] && all_done $good 40 && nothing_left urgent jobs >/dev/null; do
        round=$((round + 1))
        [ $round -lt 3000 ] || { echo "it never ends: $(q HLEN results), $(q XLEN dead)"; return 1; }
        random=$(((random * 75 + 74) % 65537))
        sleep "0.$((random % 3))$((random % 10))"
        if [ $kills -ge 4 ] && busy $((good - good / 20)); then continue; fi # the rest is done in peace
        i=$((random % 3 + 1))
        eval "pid=\$pid$i"
        kill -9 $pid
        is_over $pid
        kills=$((kills + 1))
        case $kills in 2) redis_down TERM; redis_up || return ;; 4) redis_down KILL; redis_up || return ;; esac
        start $i
    done
}
kills=0
check "three workers, one killed again and again, and Redis twice: it ends" crashes
echo "# $jobs jobs, $kills workers killed"
check "... each job has its result" eval 'seq $good | right'
check "... each that cannot be done is one dead letter" is "$(q XRANGE dead - + | grep -A1 '^id$' | grep '^[0-9]' | sort -n | tr '\n' ' ')" "$(seq $((good + 1)) $jobs | tr '\n' ' ')"
stops() {
    for i in 1 2 3; do
        eval "pid=\$pid$i"
        ends 143 TERM crash$i || return
    done
}
check "... and all of them end" stops
check "... nothing is left" nothing_left urgent jobs
check "Redis is there again: this was seen" grep -q 'Redis is there again' "$tmp/crash1.err" "$tmp/crash2.err" "$tmp/crash3.err"
finish
