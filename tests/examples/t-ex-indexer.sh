# The example indexer: what is in the folders can be found; twins are stored once; a second run is cheap.
. tests/lib/tap.sh
. tests/lib/examples.sh
program indexer sqlite3.h libsqlite3-dev
with_sql

said() { # the sum of: added, unchanged, duplicates, passed over, unreadable, lost; gone
    is "$(grep ' passed over, ' "$tmp/out")" \
        "$(($1 + $2 + $3 + $4 + $5 + $6)) files: $1 added, $2 unchanged, $3 duplicates, $4 passed over, $5 unreadable, $6 lost; $7 gone"
}

finds() { # query, then the names below $docs that it should find
    "$indexer" -d "$db" -q "$1" >"$tmp/out" || return
    cat "$tmp/out"
    shift
    for f; do echo "$docs/$f"; done | sort >"$tmp/wanted"
    sed 's/: .*//' "$tmp/out" | sort | cmp - "$tmp/wanted"
}

finds_nothing() {
    exits 1 "$indexer" -d "$db" -q "$1"
}

holds() { # files, contents: and as many texts as contents
    is "$(sql "$db" "SELECT count(*) FROM files; SELECT count(*) FROM contents; SELECT count(*) FROM texts" | tr '\n' ' ')" "$1 $2 $2 "
}

db=$tmp/index.db
mkdir -p "$tmp/docs/deep/deeper" "$tmp/docs/empty"
docs=$(cd "$tmp/docs" && pwd -P)
echo 'The leat carries water from the weir to the mill wheels.' >"$docs/mill.txt"
echo 'A channel of Go carries messages.' >"$docs/deep/go.txt"
printf 'Blick über den Fluß: Mühlgraben →\n' >"$docs/deep/deeper/mühle ä.txt"
printf 'a channel, of GO:\n\n carries   messages' >"$docs/deep/deeper/twin.txt"
printf 'water\000wheels' >"$docs/binary"
: >"$docs/nothing"
echo '... ---' >"$docs/no-words"
ln -s mill.txt "$docs/link.txt"
mkfifo "$docs/fifo" # to open it would wait for ever

check "--help" exits 0 "$indexer" --help
check "... goes to standard output" grep -q '^usage: indexer' "$tmp/out"
check "... and if that is lost, it is an error" loses 1 "$indexer" --help
check "--most is a number, nothing else" strict "1 to 2147483647" "$indexer" --most
check "--workers are three" strict "1 to 10000" "$indexer" --workers
for bad in 1,0,1 1,1 1,1,1, 1,1,1,1 1,,1 ,1,1 1,1,4x 1,1,4294967297 1,1,10001 '1, 1,1' 1,1,-1; do
    check "... and not $bad" exits 2 "$indexer" -w "$bad" --help
done
for bad in '' :memory:; do
    check "an index that would not last is refused: '$bad'" exits 2 "$indexer" -d "$bad" "$docs"
done
check "an unknown option is refused" exits 2 "$indexer" --no-such-option
check "nothing to do is refused" exits 2 "$indexer" -d "$db"
check "a folder that is not there is named" exits 2 "$indexer" -d "$db" "$docs/no such"
check "... with the reason" grep -q 'no such: No such file' "$tmp/err"
check "an index that is not there is named" exits 1 "$indexer" -d "$tmp/no.db" -q word
check "... and not made" [ ! -e "$tmp/no.db" ]

check "a folder is indexed" exits 0 "$indexer" -d "$db" "$docs"
check "... all its texts" said 3 0 1 3 0 0 0
twin=$(sed -n 's/: duplicate of .*//p' "$tmp/out")
check "... the twin is named" grep -Eq "/(twin|go).txt: duplicate of $docs/.*(twin|go).txt\$" "$tmp/out"
check "... and which it is" [ "$twin" = "$docs/deep/go.txt" -o "$twin" = "$docs/deep/deeper/twin.txt" ]
check "... and stored once" holds 4 3
for stage in read fingerprint insert; do
    check "statistics of the stage $stage" grep -Eq "^$stage +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+ %\$" "$tmp/out"
done
check "... read has seen all files" is "$(awk '$1 == "read" { print $3 }' "$tmp/out")" 7
check "... insert those with text" is "$(awk '$1 == "insert" { print $3 }' "$tmp/out")" 4
check "... the bottleneck is the most saturated" is \
    "$(sed -n 's/^bottleneck: //p' "$tmp/out" | tr -d '\n' | xargs -I@ awk '$1 == "@" { print $7 }' "$tmp/out")" \
    "$(awk '/ %$/ { if ($7 > most) most = $7 } END { print most + 0 }' "$tmp/out")"

check "a word is found" finds wheels mill.txt
check "... with what stands around it" grep -q 'to the mill \[wheels\]' "$tmp/out"
check "... whatever its case" finds WATER mill.txt
check "... by its beginning" finds 'mess*' deep/go.txt deep/deeper/twin.txt
check "... in all files that have it" finds carries mill.txt deep/go.txt deep/deeper/twin.txt
check "... with others only where all are" finds 'carries water' mill.txt
check "... as a phrase" finds '"channel of go"' deep/go.txt deep/deeper/twin.txt
check "... beyond ASCII" finds fluß 'deep/deeper/mühle ä.txt'
check "a word that is not there is not found" finds_nothing nowhere
check "no more than wanted" is "$("$indexer" -d "$db" -n 1 -q carries | wc -l | tr -d ' ')" 1
check "a query without sense is refused" exits 2 "$indexer" -d "$db" -q '"open'
check "... with the reason" grep -q "query '\"open': unterminated string" "$tmp/err"

check "a second run" exits 0 "$indexer" -d "$db" "$docs/deep/.."
check "... changes nothing" said 0 4 0 3 0 0 0
check "... in the index" holds 4 3

echo 'The leat carries logs now.' >"$docs/mill.txt"
rm "$docs/deep/go.txt"
echo 'new' >"$docs/new.txt"
check "a run after changes" exits 0 "$indexer" -d "$db" -w 4,2,3 "$docs"
check "... sees them" said 2 2 0 3 0 0 1
check "... in the index" holds 4 4
check "what was written is found" finds logs mill.txt
check "what was overwritten is not" finds_nothing wheels
check "what was removed leaves its twin" finds messages deep/deeper/twin.txt
rm "$docs/deep/deeper/twin.txt"
check "a run over a folder below" exits 0 "$indexer" -d "$db" "$docs/deep"
check "... forgets what is gone there, nothing else" said 0 1 0 0 0 0 1
check "... " holds 3 3
check "... with the last twin, the text" finds_nothing messages

if [ "$(id -u)" -eq 0 ]; then skip "an unreadable file" "root can read all"
else
    chmod 000 "$docs/new.txt"
    check "an unreadable file" exits 1 "$indexer" -d "$db" "$docs"
    check "... is named, with the reason" grep -q "new.txt: Permission denied" "$tmp/err"
    check "... and not forgotten" finds new new.txt
    chmod 600 "$docs/new.txt"
fi

# Many files, more than all channels hold; each odd one the twin of the one before.
mkdir "$tmp/many"
many=$(cd "$tmp/many" && pwd -P)
awk -v dir="$many" 'BEGIN {
    for (i = 0; i < 2000; i++) {
        file = dir "/" i
        print "number n" int(i / 2) " of many" >file
        close(file)
    }
}'
db=$tmp/many.db
check "2,000 files, some workers each" exits 0 "$indexer" -d "$db" -w 3,2,2 "$many"
check "... half of them twins" said 1000 0 1000 0 0 0 0
check "... each named with its own" is "$(sed -n 's|.*/\([0-9]*\): duplicate of .*/\([0-9]*\)$|\1 \2|p' "$tmp/out" |
    awk 'int($1 / 2) == int($2 / 2) && $1 != $2 { n++ } END { print n, NR }')" "1000 1000"
check "... stored once" holds 2000 1000
docs=$many
check "... and found both" finds n777 1554 1555

# A signal in mid-walk. All files but one are twins, so it has more to say than a pipe holds. No process reads the
# pipe, so it cannot get to the end before it has said that it ends.
mkdir "$tmp/twins"
docs=$(cd "$tmp/twins" && pwd -P)
awk -v dir="$docs" 'BEGIN {
    for (i = 0; i < 5000; i++) {
        file = dir "/" i
        print "all the same" >file
        close(file)
    }
}'
db=$tmp/twins.db
mkfifo "$tmp/fifo"

stop_mid_walk() { # signal, its exit status
    $heeds_int "$indexer" -d "$db" "$docs" >"$tmp/fifo" 2>"$tmp/err" &
    pid=$!
    exec 3<"$tmp/fifo"
    read -r line <&3 # it is under way
    echo "$line"
    kill -"$1" $pid
    await $pid grep "signal $(($2 - 128)): no more files" "$tmp/err"
    cat <&3 >"$tmp/out"
    exec 3<&-
    wait $pid
    is $? "$2"
}

told() { # the number before a word
    sed -n "s/^/ /; s/.* \([0-9]*\) $1.*/\1/p" "$tmp/out"
}

unheard() { # output that no process reads ends the walk, soon
    exec 4<>"$tmp/fifo" 5>"$tmp/fifo" 4>&-
    "$indexer" -d "$db" "$docs" >&5 2>"$tmp/err" 5>&1
    is $? 1
    code=$?
    exec 5>&-
    [ $code -eq 0 ] && grep 'standard output' "$tmp/err" && [ "$(sql "$db" 'SELECT count(*) FROM files')" -lt 5000 ]
}
check "output that no process reads ends it" unheard
rm "$db"
if [ -n "$heeds_int" ]; then
    check "INT in mid-walk" stop_mid_walk INT 130
    rm "$db"
fi
check "TERM in mid-walk" stop_mid_walk TERM 143
found=$((1 + $(told duplicates)))
check "... what was found is indexed ($found)" said 1 0 $((found - 1)) 0 0 0 0
check "... as it says" holds "$found" 1
check "... and is not all" [ "$found" -lt 5000 ]
check "another run" exits 0 "$indexer" -d "$db" "$docs"
check "... completes it" said 0 "$found" $((5000 - found)) 0 0 0 0

# A database that fails in the middle: what is lost is said, and the walk ends.
db=$tmp/broken.db
"$indexer" -d "$db" "$tmp/docs" >/dev/null
sql "$db" "CREATE TRIGGER t AFTER INSERT ON files WHEN NEW.path = '$many/777'
    BEGIN SELECT RAISE(ABORT, 'out of order'); END"
check "a failing database" exits 1 "$indexer" -d "$db" "$many"
check "... is said, with the reason" grep -q 'broken.db: out of order$' "$tmp/err"
check "... and what is lost" [ "$(told lost)" -gt 0 ]
check "... the rows are those it says" holds $((3 + $(told added) + $(told duplicates))) $((3 + $(told added)))

# A path that the system refuses is told, with its place; the others are indexed.
db=$tmp/long.db
mkdir "$tmp/long"
docs=$(cd "$tmp/long" && pwd -P)
for f in a z; do echo "file $f" >"$docs/$f"; done
check "a path that is too long" eval 'beyond_path_max "$docs/deep" && exits 1 "$indexer" -d "$db" "$docs"'
check "... is told" grep -q "/deep/.*: File name too long" "$tmp/err"
check "... and counted; the others are indexed" said 2 0 0 0 1 0 0
check "... those before and behind it" finds file a z

# Files that the walker has seen, and that become FIFOs before a worker reads them: to open one would wait for ever.
db=$tmp/turned.db
docs=$(cd "$tmp/twins" && pwd -P)
turned() {
    "$indexer" -d "$db" "$docs" >"$tmp/fifo" 2>"$tmp/err" &
    pid=$!
    exec 3<"$tmp/fifo"
    read -r line <&3 # soon it waits, because no process reads the rest, some thousand files further in its order
    (cd "$docs" && LC_ALL=C ls | sed -n 500,1800p >"$tmp/names" && xargs rm <"$tmp/names" && xargs mkfifo <"$tmp/names")
    cat <&3 >"$tmp/out"
    exec 3<&-
    wait $pid
    is $? 1
}
check "files that become FIFOs, or go, while it walks" turned

# Machines with more CPUs than was thought of.
many_cpus() {
    sed 's/leat_cpus()/300/; s|"\.\./|"|' examples/indexer.c >"$tmp/cpus.c"
    $CC -std=c11 -O1 -pthread -I . -I examples "$tmp/cpus.c" -o "$tmp/cpus" -lsqlite3 &&
        exits 0 "$tmp/cpus" -d "$tmp/cpus.db" "$tmp/docs" && grep '^read  *300 ' "$tmp/out"
}
check "more than 256 CPUs" many_cpus
finish
