#!/bin/sh
# pwc counts what wc counts, whatever the files are called and hold.  SPDX-License-Identifier: MIT
. tests/tap.sh
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
expect() { # exit status, then a command; its output is left in $tmp/out and $tmp/err
    want=$1
    shift
    "$@" >"$tmp/out" 2>"$tmp/err"
    got=$?
    [ "$got" -eq "$want" ] || { echo "exit status $got, not $want: $*"; cat "$tmp/err"; return 1; }
}
given_links() {
    ln -s tree "$tmp/to-tree"
    pwc_total "$tmp/to-tree" >"$tmp/a" && wc_total "$tree" | diff - "$tmp/a" &&
        pwc_total "$tree/link" >"$tmp/a" && wc_total "$tree/million" | diff - "$tmp/a"
}
missing() {
    expect 1 "$pwc" -q $posix "$plain" "$tmp/is not there" "$plain" && grep "is not there: No such" "$tmp/err" &&
        grep "1 could not be read" "$tmp/err" && wc_total "$plain" >"$tmp/a" &&
        awk '{ print $1 / 2, $2 / 2, $3 / 2 }' "$tmp/out" | diff - "$tmp/a"
}
unreadable() {
    chmod 0 "$plain/z" "$plain/b"
    expect 1 "$pwc" "$plain"
    r=$?
    chmod 755 "$plain/b" "$plain/z"
    [ $r -eq 0 ] && grep "plain/z: Permission denied" "$tmp/err" && grep "plain/b: Permission" "$tmp/err" &&
        grep "2 could not be read" "$tmp/err" && grep total "$tmp/out"
}
full_disk() {
    expect 1 sh -c '"$0" "$1" >/dev/full' "$pwc" "$plain" && grep "cannot write" "$tmp/err"
}
help() { expect 0 "$pwc" --help && grep -q usage: "$tmp/out"; }
check "a link is followed if it is an argument" given_links
check "what is missing is reported, the rest counted" missing
if [ "$(id -u)" -eq 0 ]; then skip "unreadable ones are reported and counted" "root reads everything"
else check "unreadable ones are reported and counted" unreadable; fi
check "a device is not counted" expect 1 "$pwc" /dev/null
[ -c /dev/full ] && check "output that cannot be written is an error" full_disk
check "--help" help
check "an unknown option is refused" expect 2 "$pwc" --nonsense
check "so is -j 0" expect 2 "$pwc" -j 0
check "so is -j with a word" expect 2 "$pwc" -j many

# ---- a signal half-way ----
# The pipe is full, so everything stands: collector, workers, walker. Then TERM, then the pipe is drained.
drains() { # signal name, number
    rm -f "$tmp/pipe"
    mkfifo "$tmp/pipe"
    "$pwc" "$many" >"$tmp/pipe" 2>"$tmp/err" &
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
    skip "TERM and INT half-way" "under ThreadSanitizer signals interrupt what they should not"
else
    check "TERM half-way: ends soon, with what it had begun, and says so" drains TERM 15
    check "INT half-way, too" drains INT 2
fi

finish
