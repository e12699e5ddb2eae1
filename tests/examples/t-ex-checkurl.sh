# The example checkurl, against a server on this machine: its verdicts, its deadline, its way to stop.
. tests/lib/tap.sh
. tests/lib/examples.sh
program checkurl curl/curl.h libcurl4-openssl-dev
have python3 || skip_all "python3 not installed"
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY

mkfifo "$tmp/life"
python3 tests/lib/http_server.py "$tmp/ports" "$tmp/log" <"$tmp/life" >"$tmp/server" 2>&1 &
server=$!
exec 9>"$tmp/life" # it ends when this does
await $server [ -e "$tmp/ports" ] || { cat "$tmp/server" >&2; exit 1; }
read -r port closed <"$tmp/ports"
site=http://127.0.0.1:$port

said() { # up, down, unknown, given up, not checked
    is "$(tail -n 1 "$tmp/err")" "checkurl: $1 up, $2 down, $3 unknown, $4 given up, $5 not checked"
}

lines() { # word: how many URLs have that verdict
    grep -c " → $1\$" "$tmp/out"
}

asks() { # exit status, URLs and options: no time-out but that of the test
    status=$1
    shift
    exits "$status" "$checkurl" -t 600 "$@"
}

arrived() { # path, how often it was asked for
    [ "$(grep -c "$1" "$tmp/log")" -ge "$2" ]
}

check "--help" exits 0 "$checkurl" --help
check "... goes to standard output" grep -q '^usage: checkurl' "$tmp/out"
check "an unknown option is refused" exits 2 "$checkurl" --no-such-option
check "... with the usage" grep -q '^usage: checkurl' "$tmp/err"
check "no URLs are refused" exits 2 "$checkurl"
check "no workers are refused" exits 2 "$checkurl" -w 0 "$site/200"
check "--workers wants a number" strict "1 to 256" "$checkurl" --workers
check "--timeout wants seconds" strict "0.001 to 1000000" "$checkurl" --timeout
check "--deadline wants seconds" strict "0.001 to 1000000000" "$checkurl" --deadline
for s in 0 . 0.5.5 inf nan 0x1 2e1 soon; do
    check "'$s' is no time" exits 2 "$checkurl" --timeout $s "$site/200"
done
check "a help that is lost is an error" loses 1 "$checkurl" --help
check "a verdict that is lost is an error" loses 1 "$checkurl" "$site/200"
check "a file that is not there is named" exits 2 "$checkurl" -f "$tmp/no such"
check "... with the reason" grep -q 'no such: No such file' "$tmp/err"

check "a folder is no file of URLs" exits 2 "$checkurl" -f tests
check "... with the reason" grep -q 'tests: Is a directory' "$tmp/err"
for line in "$site/200 $site/404" "$site/200~" '~' '# ~'; do
    printf '%s\n' "$site/200" "$line" | tr '~' '\000' >"$tmp/urls"
    check "a line with two words or a NUL is refused, not read in part" exits 2 "$checkurl" -f "$tmp/urls"
    check "... and named" grep -q 'urls: line 2 is not one URL' "$tmp/err"
done

check "200 is UP" asks 0 "$site/200"
check "... said so" is "$(cat "$tmp/out")" "$site/200 → UP"
check "404 is UNKNOWN" asks 1 "$site/404"
check "... with its number" is "$(cat "$tmp/out")" "$site/404 → UNKNOWN (404)"
check "500 is UNKNOWN" asks 1 "$site/500"
check "... with its number" is "$(cat "$tmp/out")" "$site/500 → UNKNOWN (500)"
check "a refused connection is DOWN" asks 1 "http://127.0.0.1:$closed/"
check "... said so" is "$(cat "$tmp/out")" "http://127.0.0.1:$closed/ → DOWN"
check "a site that does not answer in time is DOWN" exits 1 "$checkurl" -v -t 0.3 "$site/hang"
check "... said so" is "$(cat "$tmp/out")" "$site/hang → DOWN"
check "... and why" grep -qi "$site/hang: timeout" "$tmp/err"
check "redirections are followed" asks 0 "$site/to/200" "$site/to/to/200"
check "... to what is there" asks 1 "$site/to/404"
check "... said so" is "$(cat "$tmp/out")" "$site/to/404 → UNKNOWN (404)"
check "... not for ever" asks 1 "$site/round"
check "... said so" is "$(cat "$tmp/out")" "$site/round → DOWN"
check "a text without end is not waited for" asks 0 "$site/endless"
check "a URL of another kind is DOWN" asks 1 "file:///dev/null"
check "... said so" is "$(cat "$tmp/out")" "file:///dev/null → DOWN"

printf '# sites\n\n  %s/200  \n%s/404\r\n%s/500' "$site" "$site" "$site" >"$tmp/urls"
printf '%s/404 → UNKNOWN (404)\n%s/500 → UNKNOWN (500)\n' "$site" "$site" >"$tmp/wanted"
printf '%s/200 → UP\n%s/200 → UP\nhttp://127.0.0.1:%s/ → DOWN\n' "$site" "$site" "$closed" >>"$tmp/wanted"
check "URLs from a file and from arguments" asks 1 -f "$tmp/urls" "http://127.0.0.1:$closed/" "$site/200"
check "... each gets its verdict" is "$(sort "$tmp/out")" "$(sort "$tmp/wanted")"
check "... and is counted" said 2 1 2 0 0
check "URLs from standard input" asks 1 -f - <"$tmp/urls"
check "... are counted" said 1 0 2 0 0

check "three are checked at once" asks 0 "$site/three" "$site/three" "$site/three" \
    "$site/three" "$site/three" "$site/three"
check "... and no more" is "$(sed -n 's/ inside//p' "$tmp/log" | sort -n | tail -n 1)" 3

awk -v site="$site" 'BEGIN { for (i = 0; i < 300; i++) print site "/" (i % 3 ? 200 : 404) }' >"$tmp/urls"
check "300 URLs, 8 workers" asks 1 -w 8 -f "$tmp/urls"
check "... none is lost" said 200 0 100 0 0
check "300 URLs, and no reader for the verdicts" loses 1 "$checkurl" -t 600 -f "$tmp/urls"
check "... then it does not ask on" grep -Eq '(29|2[0-8])[0-9] not checked' "$tmp/err"

# The deadline. Three hang, which is all the workers: the others cannot begin.
check "a deadline" asks 1 -d 1 "$site/hang/1" "$site/hang/2" "$site/hang/3" \
    "$site/200" "$site/404" "$site/500" "$site/200" "$site/200" "$site/200" "$site/200" "$site/200"
check "... is said" grep -q 'not done after 1 s$' "$tmp/err"
check "... those in flight are given up" [ "$(lines 'given up')" -ge "$(grep -c /hang/ "$tmp/log")" ]
check "... none has a verdict" is $(($(lines 'given up') + $(lines 'not checked'))) 11
check "... those not begun are listed" is "$(grep -v hang "$tmp/out" | grep -c ' → not checked')" 8
check "... as not checked" said 0 0 0 "$(lines 'given up')" "$(lines 'not checked')"
check "a deadline that is kept" asks 0 -d 600 "$site/200"

# A signal: three are in flight, some in the queue, which holds six. These are checked, the rest is not.
stop_half_way() {
    set -- "$site/wait/half/1" "$site/wait/half/2" "$site/wait/half/3"
    while [ $# -lt 33 ]; do set -- "$@" "$site/200"; done
    "$checkurl" -t 600 "$@" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    await $pid arrived /wait/half/ 3
    kill -TERM $pid
    await $pid grep 'signal 15: no more URLs' "$tmp/err"
    "$checkurl" "$site/release/half"
    wait $pid
    is $? 143
}

check "TERM while three are in flight" stop_half_way
check "... these are checked" is "$(grep -c '/wait/half/. → UP' "$tmp/out")" 3
check "... and those in the queue" [ "$(lines UP)" -le 9 ]
check "... the others are listed" said "$(lines UP)" 0 0 0 "$((33 - $(lines UP)))"

# A signal when all are in flight: nothing is left out, but it was stopped.
stop_late() {
    "$checkurl" -t 600 "$site/wait/late/1" "$site/wait/late/2" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    await $pid arrived /wait/late/ 2
    kill -TERM $pid
    "$checkurl" "$site/release/late"
    wait $pid
    is $? 143
}
check "TERM when all are in flight" stop_late
check "... these are checked" said 2 0 0 0 0
check "... and it is said" grep -q 'stopped by signal 15' "$tmp/err"
finish
