#!/bin/sh
# pwc counts what wc counts, whatever the files are called and hold.  SPDX-License-Identifier: MIT
. tests/lib/tap.sh
. tests/lib/examples.sh
LC_ALL=C
export LC_ALL

pwc=$BUILD/examples/pwc
if [ ! -x "$pwc" ]; then
    pwc=$tmp/program
    $CC -std=c11 -O2 -pthread examples/pwc.c -o "$pwc" || exit 1
fi
root=$(pwd)
case $pwc in /*) ;; *) pwc=$root/$pwc ;; esac

# Some wc want a printable character in a word (GNU's for long), some do not, as POSIX.
posix=
[ "$(printf '\001' | wc -w)" -eq 0 ] || posix=--posix

wc_total() { # folder ...: "lines words bytes" of all files
    find "$@" -type f -print0 | xargs -0 wc /dev/null |
        awk 'NF == 4 && $4 == "total" { l += $1; w += $2; b += $3 } END { printf "%.0f %.0f %.0f\n", l, w, b }'
}

pwc_total() {
    "$pwc" $posix -q "$@" | awk '{ print $1, $2, $3 }'
}

says() { # options and folder: pwc and wc agree
    pwc_total "$@" >"$tmp/ours" && echo "$theirs" | diff - "$tmp/ours"
}

# ---- a nasty tree ----
tree=$tmp/tree
mkdir -p "$tree/with space" "$tree/empty folder" "$tree/-dash" && cd "$tree" || exit 1
: >empty
printf 'no newline at the end' >unended
printf '\n\n\n' >newlines
printf ' \t\v\f\r ' >white
printf 'a\r\nb c\r\n' >crlf
printf 'x' >"with space/a  b"
printf 'y z\n' >'new
line'
printf '1 2 3 total\n' >'total'
printf 'q\n' >"-dash/-q"
printf 'q\n' >"*?[\\'\""
printf 'latin\n' >"$(printf 'caf\351')"
printf ' \001 a\001 \200 \200a \200\200 b\240c \177 \000 \000d\000 e' >odd
{ i=0; while [ $i -lt 256 ]; do printf "\\$(printf %03o $i)"; i=$((i + 1)); done; } >bytes
{ for i in 1 2 3 4 5 6 7; do cat bytes odd unended; done; } >binary
# words and odd bytes across every boundary of 128 bytes, and of a read
awk 'BEGIN { for (i = 1; i < 300; i++) { for (j = 0; j < i; j++) printf "w"; printf "%s", (i % 7 ? " " : "\303\244 \303\n") } }' >growing
awk 'BEGIN { for (i = 1; i < 140000; i++) printf "%d%s", i * i, (i % 3 ? " " : (i % 5 ? "\t\t" : "\n")) }' >million
{ for i in 1 2 3 4 5; do cat million growing million binary; done; } >several
{ cat several several; } >twenty # 20 MB
head -c 65536 million >buffer
head -c 65537 million >buffer1
head -c 65535 several >buffer0
deep=$tree/deep
for i in 1 2 3 4 5 6 7 8 9 10; do deep=$deep/a/folder/below/another; done
mkdir -p "$deep" && printf 'deep down\n' >"$deep/file"
ln -s ../tree "with space/loop"
ln -s million link
ln -s nowhere dangling
mkfifo fifo
cd "$root" || exit 1

theirs=$(wc_total "$tree")
check "a nasty tree: the same totals as wc" says "$tree"
check "with one worker" says -j 1 "$tree"
check "with eight" says --jobs=8 "$tree"
check "in order" says -o "$tree"
if [ -d /usr/include/. ]; then
    theirs=$(wc_total /usr/include/)
    check "/usr/include: the same totals as wc" says /usr/include/
fi
check "the demo says equal" sh -c "sh examples/demo.sh '$pwc' '$tree' | grep '^equal'"

posix_words() { # in a file, without asking wc for more than spaces
    tr '\000-\010\016-\037\177-\377' '[x*]' <"$1" | wc -w | awk '{ print $1 }' >"$tmp/wc"
    "$pwc" -pq "$1" | awk '{ print $2 }' >"$tmp/ours"
    diff "$tmp/wc" "$tmp/ours"
}
for f in odd bytes binary growing several unended; do
    check "--posix, $f: every run without white space is a word" posix_words "$tree/$f"
done

# ---- per file, and order ----
plain=$tmp/plain
mkdir -p "$plain/b" "$plain/a.d" "$plain/a" "$plain/a/c"
for f in z a.c b/x b/y a.d/q a/1 a/c/2 a/3 B a-; do
    awk -v n=${#f} 'BEGIN { for (i = 0; i < n * 997; i++) print "word", i }' >"$plain/$f"
done
i=0
while [ $i -lt 40 ]; do # slow ones first: they must hold back the others
    cat "$tree/buffer" >>"$plain/0slow"
    echo "$i" >"$plain/b/file $i"
    i=$((i + 1))
done
(cd "$plain" && find . -type f | tr / '\001' | sort | tr '\001' / | while read -r f; do
    wc "$f" | awk '{ n = $1 " " $2 " " $3; sub(/^ *[0-9]+ +[0-9]+ +[0-9]+ /, ""); print n, $0 }'
done) >"$tmp/each"
lines() { # what pwc says of each file
    (cd "$plain" && "$pwc" "$@") | awk '$4 != "total" { n = $1 " " $2 " " $3; sub(/^ *[0-9]+ +[0-9]+ +[0-9]+ /, ""); print n, $0 }'
}
ordered() {
    lines --ordered -j "$1" . >"$tmp/lines"
    diff "$tmp/each" "$tmp/lines"
}
unordered() {
    lines -j 8 | sort >"$tmp/lines" # without a folder: this one
    sort "$tmp/each" | diff - "$tmp/lines"
}
check "every file by itself is as wc counts it" unordered
check "--ordered: by name, folder by folder, with one worker" ordered 1
check "--ordered with eight" ordered 8

many=$tmp/many
mkdir "$many"
(cd "$many" && awk 'BEGIN { for (i = 0; i < 5000; i++) printf "%05d-%0140d\n", i, i }' | xargs touch)
in_order() { # more files than the window holds
    "$pwc" -o -j 4 "$many" | awk 'NR <= 5000 { print $4 }' >"$tmp/lines"
    [ "$(wc -l <"$tmp/lines")" -eq 5000 ] && sort -c "$tmp/lines"
}
check "--ordered with more files than wait at once" in_order

# ---- links, errors ----
given_links() {
    ln -s tree "$tmp/to-tree"
    pwc_total "$tmp/to-tree" >"$tmp/a" && wc_total "$tree" | diff - "$tmp/a" &&
        pwc_total "$tree/link" >"$tmp/a" && wc_total "$tree/million" | diff - "$tmp/a"
}
missing() {
    exits 1 "$pwc" -q $posix "$plain" "$tmp/is not there" "$plain" && grep "is not there: No such" "$tmp/err" &&
        grep "1 could not be read" "$tmp/err" && wc_total "$plain" >"$tmp/a" &&
        awk '{ print $1 / 2, $2 / 2, $3 / 2 }' "$tmp/out" | diff - "$tmp/a"
}
unreadable() {
    chmod 0 "$plain/z" "$plain/b"
    exits 1 "$pwc" "$plain"
    r=$?
    chmod 755 "$plain/b" "$plain/z"
    [ $r -eq 0 ] && grep "plain/z: Permission denied" "$tmp/err" && grep "plain/b: Permission" "$tmp/err" &&
        grep "2 could not be read" "$tmp/err" && grep total "$tmp/out"
}
help() { exits 0 "$pwc" --help && grep -q usage: "$tmp/out"; }
too_long() { # a path that the system refuses: it is named, the others are counted
    beyond_path_max "$tmp/long" && exits 1 "$pwc" -q "$tmp/long" "$plain/z" && grep "File name too long" "$tmp/err" &&
        grep "1 could not be read" "$tmp/err" && is "$(awk '{ print $3 }' "$tmp/out")" "$(wc -c <"$plain/z" | tr -d ' ')"
}
# The pipe is full, so the walker waits, and has seen files that will not be there when it goes on.
others() { # the last thousands: gone, and become FIFOs
    rm -f "$tmp/pipe"
    mkfifo "$tmp/pipe"
    cp -r "$many" "$tmp/others"
    "$pwc" "$tmp/others" >"$tmp/pipe" 2>"$tmp/err" &
    pid=$!
    exec 3<"$tmp/pipe"
    read -r first <&3
    (cd "$tmp/others" && rm -f 0[34]* && awk 'BEGIN { for (i = 4000; i < 5000; i++) printf "%05d-%0140d\n", i, i }' | xargs mkfifo)
    cat <&3 >"$tmp/out"
    exec 3<&-
    wait $pid
    is $? 1 && is "$(wc -l <"$tmp/out" | tr -d ' ')" 3000 &&
        is "$(grep -c 'No such file' "$tmp/err")" 1000 && is "$(grep -c 'not supported' "$tmp/err")" 1000
}
no_descriptors() { # what it opens must not become its output
    (exec <&- >&- 2>&-; "$pwc" "$plain")
    is $? 1
}
check "a link is followed if it is an argument" given_links
check "what is missing is reported, the rest counted" missing
if [ "$(id -u)" -eq 0 ]; then skip "unreadable ones are reported and counted" "root reads everything"
else check "unreadable ones are reported and counted" unreadable; fi
check "a device is not counted" exits 1 "$pwc" /dev/null
check "output that is lost is an error" loses 1 "$pwc" "$plain"
check "... the total alone" loses 1 "$pwc" -q "$plain"
check "... the help" loses 1 "$pwc" --help
check "descriptors 0 to 2 closed: an error, no more" no_descriptors
check "a path that is too long: the others are counted" too_long
check "files that go, or become FIFOs, while it walks" others
check "--help" help
check "an unknown option is refused" exits 2 "$pwc" --nonsense
check "--jobs is a number, nothing else" strict "1 to 10000" "$pwc" --jobs
check "... and not 0" exits 2 "$pwc" -j 0

# ---- a signal in mid-walk ----
# The pipe is full, so all threads wait: collector, workers, walker. Then TERM, then the pipe is drained.
drains() { # signal name, number
    rm -f "$tmp/pipe"
    mkfifo "$tmp/pipe"
    $heeds_int "$pwc" "$many" >"$tmp/pipe" 2>"$tmp/err" &
    pid=$!
    exec 3<"$tmp/pipe"
    read -r first <&3
    sleep 1
    kill -s "$1" $pid
    sleep 1
    { echo "$first"; cat <&3; } >"$tmp/out"
    exec 3<&-
    wait $pid
    status=$?
    said=$(awk '/stopped by signal/ { print $(NF - 1) }' "$tmp/err")
    counted=$(($(wc -l <"$tmp/out") - 1))
    echo "exit status $status; said $said files, printed $counted"
    cat "$tmp/err"
    [ $status -eq $((128 + $2)) ] && grep -q "stopped by signal $2" "$tmp/err" && [ "$said" -eq "$counted" ] &&
        [ "$counted" -gt 0 ] && [ "$counted" -lt 5000 ] && tail -n 1 "$tmp/out" | grep -q ' total$'
}
if [ "${SAN:-}" = thread ]; then
    skip "TERM and INT in mid-walk" "under ThreadSanitizer signals interrupt what they should not"
else
    check "TERM in mid-walk: ends soon, with what it had begun, and says so" drains TERM 15
    if [ -n "$heeds_int" ]; then check "INT in mid-walk, too" drains INT 2
    else skip "INT in mid-walk, too" "env cannot set it right"; fi
fi

finish
