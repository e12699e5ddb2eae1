# The example webhooks: each event that it accepts is a row, also when it is told to stop.
. tests/lib/tap.sh
. tests/lib/examples.sh
program webhooks sqlite3.h libsqlite3-dev
with_sql
sql :memory: "SELECT '[]' -> '$'" >/dev/null 2>&1 || skip_all "SQLite is older than 3.38"

events() { # from, to
    awk -v i="$1" -v to="$2" 'BEGIN {
        for (; i <= to; i++) printf "{\"id\": \"evt-%d\", \"type\": \"%s\", \"data\": {\"n\": %d, \"name\": \"Zo\303\253 \342\206\222 \360\237\220\230\"}}\n", i, i % 2 ? "click" : "view", i
    }'
}

rows() { # database, how many
    is "$(sql "$1" 'SELECT count(*) FROM events')" "$2"
}

at_least() { # rows, database
    [ -e "$2-wal" ] && n=$(sql "$2" "SELECT count(*) FROM events" 2>/dev/null) && [ "$n" -ge "$1" ]
}

said() { # its last word: lines, accepted, stored, known, malformed, lost
    is "$(tail -n 1 "$tmp/out")" "$1 lines: $2 accepted, $3 stored, $4 known before, $5 malformed, $6 lost"
}

# As it says itself: the number before a word.
told() {
    sed -n "s/.*[:,] \([0-9]*\) $1.*/\1/p" "$tmp/out"
}

events 1 10000 >"$tmp/events"

check "--help" exits 0 "$webhooks" --help
check "... goes to standard output" grep -q '^usage: webhooks' "$tmp/out"
check "an unknown option is refused" exits 2 "$webhooks" --no-such-option
check "... goes to standard error" grep -q '^usage: webhooks' "$tmp/err"
check "no workers are refused" exits 2 "$webhooks" --workers 0 "$tmp/events"
check "--workers wants a number" strict "1 to 1024" "$webhooks" --workers
check "--connections wants a number" strict "1 to 1024" "$webhooks" --connections
check "--batch wants a number" strict "1 to 1000000" "$webhooks" --batch
check "a help that is lost is an error" loses 1 "$webhooks" --help
check "a summary that is lost is an error" loses 1 "$webhooks" -d "$tmp/lost.db" "$tmp/events"
for none in "" :memory:; do
    check "a database of each connection's own is refused ('$none')" exits 2 "$webhooks" -d "$none" "$tmp/events"
    check "... and named ('$none')" grep -q "database '$none': not the name of a file" "$tmp/err"
done
check "a file that is not there is named" exits 2 "$webhooks" "$tmp/no such file"
check "... with the reason" grep -q 'no such file: No such file' "$tmp/err"
check "a database that cannot be opened is named" exits 1 "$webhooks" -d "$tmp/no/such.db" "$tmp/events"
check "... with the reason" grep -q 'no/such.db: unable to open' "$tmp/err"

for mode in --workers=4 --spawn; do
    db=$tmp/all$mode.db
    check "10,000 events in ($mode)" exits 0 "$webhooks" $mode --db "$db" "$tmp/events"
    check "... all accepted, all stored ($mode)" said 10000 10000 10000 0 0 0
    check "... are 10,000 rows ($mode)" rows "$db" 10000
    check "... each once ($mode)" is "$(sql "$db" "SELECT count(DISTINCT id) FROM events")" 10000
    check "... of the right types ($mode)" is "$(sql "$db" "SELECT type, count(*) FROM events GROUP BY type")" "click|5000
view|5000"
    check "... byte for byte ($mode)" is "$(sql "$db" "SELECT payload FROM events WHERE id = 'evt-77'")" "$(events 77 77)"
    check "delivered again from standard input ($mode)" exits 0 "$webhooks" $mode --db "$db" - <"$tmp/events"
    check "... they are known ($mode)" said 10000 10000 0 10000 0 0
    check "... and stay 10,000 rows ($mode)" rows "$db" 10000

    db=$tmp/small$mode.db
    check "one event a job, more workers than connections ($mode)" \
        exits 0 "$webhooks" $mode -w 8 -c 2 -b 1 -d "$db" "$tmp/events"
    check "... is 10,000 rows too ($mode)" rows "$db" 10000
done

# Ids that differ in type, digits or bytes belong to different events. Otherwise one is lost, and no message says so.
ids() { # exit status, stored, known before; then ids as JSON
    status=$1 stored=$2 known=$3
    shift 3
    rm -f "$tmp/ids.db"*
    printf '{"id": %s}\n' "$@" >"$tmp/ids"
    exits "$status" "$webhooks" -c 1 -d "$tmp/ids.db" "$tmp/ids" && said $# $# "$stored" "$known" 0 0
}

check "big ids are not rounded" ids 0 4 0 18446744073709551614 18446744073709551615 \
    0.1234567890123456789 0.1234567890123456788
check "... are stored with all digits" is "$(sql "$tmp/ids.db" "SELECT id FROM events ORDER BY id DESC" | head -n 1)" 18446744073709551615
check "1, \"1\", true and \"true\" are four ids" ids 0 4 0 1 '"1"' true '"true"'
check "an id is not cut at a NUL" ids 0 3 0 '"A\u0000x"' '"A\u0000y"' '"A"'
check "1 and 1.0, \"A\" and \"\\u0041\" are written differently" ids 0 4 0 1 1.0 '"A"' '"\u0041"'
check "null is no id" ids 0 3 0 null null '"null"'
check "what is written alike is known" ids 0 6 6 1 '"1"' 1.0 '"\u0041"' true 18446744073709551615 \
    1 '"1"' 1.0 '"\u0041"' true 18446744073709551615
sql "$tmp/strict.db" "CREATE TABLE events(id TEXT UNIQUE, type TEXT, payload TEXT NOT NULL, stored TEXT DEFAULT '');
    INSERT INTO events VALUES('1', NULL, '{\"id\": 1}', '')"
echo '{"id": "1"}' >"$tmp/one"
check "a table of the user's that takes no second '1' loses it" exits 1 "$webhooks" -d "$tmp/strict.db" "$tmp/one"
check "... and it is said" said 1 1 0 0 0 1

# Malformed lines, line ends, a long line, a last line without newline.
{
    events 1 2
    echo '{"id": "evt-3", "type": '
    echo 'no JSON at all'
    printf '\r\n'
    printf '{"id": "nul", "type": "x"}\000\n'
    echo '["an array", "is no event"]'
    printf '{"id": 8, "type": "crlf"}\r\n'
    echo '{"type": "no id"}'
    echo '{"type": "no id"}'
    printf '{"id": "long", "type": "x", "data": "%0200000d"}\n' 7
    printf '{"id": "last", "type": "x"}'
} >"$tmp/mixed"
db=$tmp/mixed.db
check "malformed lines make it exit with 1" exits 1 "$webhooks" -d "$db" "$tmp/mixed"
check "... and are counted, an empty line is not" said 12 7 7 0 4 0
check "... and named by their numbers" is "$(sed -n 's/.*line \([0-9]*\) is not a JSON object/\1/p' "$tmp/err" | sort -n | tr '\n' ' ')" "3 4 6 7 "
check "... the others are stored" is "$(sql "$db" "SELECT id, type FROM events ORDER BY id" | tr '\n' ' ')" \
    "NULL|no id NULL|no id 8|crlf evt-1|click evt-2|view last|x long|x "
check "... a long line whole" is "$(sql "$db" "SELECT length(json_extract(payload, '\$.data')) FROM events WHERE id = 'long'")" 200000
check "... without the carriage return" is "$(sql "$db" "SELECT payload FROM events WHERE id = 8")" '{"id": 8, "type": "crlf"}'

printf '\357\273\277{"id": 1}\n \t \n\t\r\n{"id": 2}\n\357\273\277{"id": 3}\n{"id": "\000"}\n\000{"id": 4}\n\000\n{"id": 5}\r' >"$tmp/odd"
check "a byte order mark at a line's begin, NULs" exits 1 "$webhooks" -d "$tmp/odd.db" "$tmp/odd"
check "... are refused, but not one at the file's begin, nor blanks" said 9 3 3 0 4 0
check "... the others are stored" is "$(sql "$tmp/odd.db" "SELECT payload FROM events ORDER BY id" | tr '\n' ' ')" \
    '{"id": 1} {"id": 2} {"id": 5} '
printf '\357\273\277\r\n' >"$tmp/mark"
check "a byte order mark alone" exits 0 "$webhooks" -d "$tmp/odd.db" "$tmp/mark"
check "... is a blank line" said 1 0 0 0 0 0

# 16 MB: a line of just so much, one of a byte more, one of far more, the last.
long() { # bytes; an event
    awk -v n="$1" 'BEGIN { printf "{\"id\": %d, \"d\": \"", n; for (n -= 17 + length(n); n > 0; n -= 1000) printf "%0" (n < 1000 ? n : 1000) "d", 0; print "\"}" }'
}
most=16777216
{ long $most; long $((most + 1)); echo '{"id": 1}'; long 40000000; long 1000000; long $((most + 1)) | tr -d '\n'; } >"$tmp/long"
check "lines above 16 MB" exits 1 "$webhooks" -d "$tmp/long.db" "$tmp/long"
check "... are refused" said 6 3 3 0 3 0
check "... by their numbers" is "$(sed -n 's/.*line \([0-9]*\) is longer than 16 MB.*/\1/p' "$tmp/err" | sort -n | tr '\n' ' ')" "2 4 6 "
check "... the rest goes on" is "$(sql "$tmp/long.db" "SELECT length(payload) FROM events ORDER BY 1" | tr '\n' ' ')" "9 1000000 $most "
endless() {
    { tr '\000' x </dev/zero | head -c 400000000; printf '\n{"id": 2}\n'; } |
        (ulimit -v 400000 && exec env MALLOC_ARENA_MAX=1 "$webhooks" -w 1 -d "$tmp/endless.db") >"$tmp/out" 2>"$tmp/err"
    code=$?
    cat "$tmp/out" "$tmp/err"
    is $code 1 && ! grep "out of memory" "$tmp/err"
}
if [ "${SAN:-none}" != none ]; then skip "a line without end does not eat the memory" "sanitizers want more"
else check "a line without end does not eat the memory" endless; check "... nor what follows" said 2 1 1 0 1 0; fi
rm -f "$tmp/long"*

: >"$tmp/empty"
check "no events at all" exits 0 "$webhooks" -d "$tmp/empty.db" "$tmp/empty"
check "... is nothing" said 0 0 0 0 0 0

# Half-way: 5,000 lines were fed, the writer is still there. Then: in the middle of a stream.
stop_half_way() { # mode
    mkfifo "$tmp/fifo$1"
    "$webhooks" $1 -d "$tmp/half$1.db" <"$tmp/fifo$1" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    exec 3>"$tmp/fifo$1"
    head -n 5000 "$tmp/events" >&3
    printf '{"id": "half a line' >&3
    await $pid at_least 5000 "$tmp/half$1.db"
    kill -TERM $pid
    wait $pid
    is $? 143
    code=$?
    exec 3>&-
    cat "$tmp/out" "$tmp/err"
    return $code
}

stop_mid_stream() { # mode, signal, exit status
    mkfifo "$tmp/stream$1"
    events 1 10000000 >"$tmp/stream$1" 2>"$tmp/feeder" & # until there is no reader any more
    feeder=$! mode=$1
    signalled "$3" "$2" 'await "$pid" at_least 1000 "$tmp/mid$mode.db"' \
        "$webhooks" "$1" -b 16 -d "$tmp/mid$1.db" <"$tmp/stream$1"
    code=$?
    wait $feeder
    return $code
}

for mode in --workers=4 --spawn; do
    check "TERM when 5,000 were fed ($mode)" stop_half_way $mode
    check "... says what was done ($mode)" said 5000 5000 5000 0 0 0
    check "... and where it stopped ($mode)" grep -q 'stopped by signal 15, after line 5000$' "$tmp/err"
    check "... has stored what it accepted ($mode)" rows "$tmp/half$mode.db" 5000
    check "all of them again ($mode)" exits 0 "$webhooks" $mode -d "$tmp/half$mode.db" "$tmp/events"
    check "... completes it ($mode)" said 10000 10000 5000 5000 0 0

    check "TERM in mid-stream ($mode)" stop_mid_stream "$mode" TERM 143
    accepted=$(told accepted)
    check "... has stored what it accepted ($accepted) ($mode)" rows "$tmp/mid$mode.db" "$accepted"
    check "... as it says ($mode)" said "$accepted" "$accepted" "$accepted" 0 0 0
    check "... which are the first lines, to the one it named ($mode)" \
        is "$(sql "$tmp/mid$mode.db" "SELECT max(json_extract(payload, '\$.data.n')) FROM events; SELECT count(DISTINCT id) FROM events" | tr '\n' ' ')" "$accepted $accepted "
    check "... and named ($mode)" grep -q "stopped by signal 15, after line $accepted\$" "$tmp/err"
    rm -f "$tmp/mid$mode.db"* "$tmp/stream$mode"
done
check "INT in mid-stream" stop_mid_stream --workers=4 INT 130

# A signal may come before there is anything to read.
stop_before() {
    mkfifo "$tmp/later"
    "$webhooks" -d "$tmp/before.db" "$tmp/later" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    await $pid [ -e "$tmp/before.db-wal" ]
    kill -TERM $pid
    wait $pid
    is $? 143 && grep 'stopped by signal 15, after line 0$' "$tmp/err"
}
check "TERM before a FIFO has a writer" stop_before

# A database that fails in the middle: it reports what is lost, and the reading ends.
db=$tmp/broken.db
sql "$db" "CREATE TABLE events(id TEXT UNIQUE, type TEXT, payload TEXT NOT NULL, stored TEXT DEFAULT '');
    CREATE TRIGGER t BEFORE INSERT ON events WHEN NEW.id = 'evt-700' BEGIN SELECT RAISE(ABORT, 'out of order'); END"
check "a failing database" exits 1 "$webhooks" -c 1 -d "$db" "$tmp/events"
check "... is said, with the reason" grep -q 'broken.db: out of order$' "$tmp/err"
check "... and the lines" grep -Eq 'lines [0-9]+ to [0-9]+ are lost$' "$tmp/err"
check "... and the rows are those it says" rows "$db" "$(told stored)"
check "... which with the lost ones are those it accepted" is $(($(told stored) + $(told lost))) "$(told accepted)"
check "... and it did not go on to the end" [ "$(told accepted)" -lt 10000 ]
finish
