# t-bench.sh - the benchmark counts every message and job, and says who hung and who lost one.
# SPDX-License-Identifier: MIT
. tests/tap.sh
command -v python3 >/dev/null || { echo "1..0 # SKIP no python3"; exit 0; }

run() { python3 bench/run.py --ms 1 -r 1 "$@"; }
says() { # word command ...
    word=$1
    shift
    "$@" >"$tmp/bench" 2>&1
    cat "$tmp/bench"
    grep -q "$word" "$tmp/bench"
}

check "nothing is lost by a queue" run --only "blocking 2x2*" --only "try 4x4" --only "fill*" --only "burst*"
check "nor with other sizes" run --with leat,mutex --only "*of 32 bytes"
check "nor by batches, a select, a ping-pong" run --only "*batches of 8" --only "select of 8*" --only "ping-pong*"
check "nor by a pool, a group, a semaphore" run --only "pool of 2*" --only "group*" --only "semaphore*"
check "nor by a topic" run --only "publish*" --only "the latest*"
check "all of it can be written down" run --only "uncontended*" --json "$tmp/json" --csv "$tmp/csv"
check "as JSON" python3 -c "import json, sys; json.load(open(sys.argv[1]))['works'][0]['contestants'][0]['samples'][0]" "$tmp/json"
check "as CSV" grep -q "^uncontended.*,leat,1," "$tmp/csv"
check "who loses a message is told" says "broken.*WRONG: [0-9]* of [0-9]* arrived" run --with leat,broken --only "blocking 2x2"
check "who hangs is told" says "broken.*HUNG" run --with leat,broken --only "capacity 7" --hang 0.2
refuse "no contestant of that name" run --with nobody --only "blocking 1x1"
refuse "no work of that name" run --only "nothing of that name"
finish
