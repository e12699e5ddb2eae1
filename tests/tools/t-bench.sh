# t-bench.sh - the benchmark counts every message and job, and says which contestant hung and which lost one.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh
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
check "nor by a pool, a group, a semaphore" run --only "pool of 2*" --only "event loop*" --only "group*" --only "semaphore*"
check "nor by a topic" run --only "publish*" --only "the latest*"
check "all of it can be written down" run --only "uncontended*" --only "fill*" --json "$tmp/json" --csv "$tmp/csv" \
    --table "$tmp/table"
check "as JSON" python3 -c "import json, sys; json.load(open(sys.argv[1]))['works'][0]['contestants'][0]['samples'][0]" "$tmp/json"
check "with both times of an operation" python3 - "$tmp/json" "$tmp/csv" <<'EOF'
import csv, json, sys
for w in json.load(open(sys.argv[1]))["works"]:
    for c in w["contestants"]:
        assert c["wall_per_op"] > 0 and c["cpu_per_op"] > 0
        s = c["samples"][0]
        assert c["cpu_per_op"] == s["cpu"] / s["n"]
for row in csv.DictReader(open(sys.argv[2])):
    assert float(row["wall_per_op"]) > 0 and float(row["cpu_per_op"]) > 0
EOF
check "as Markdown, wall/CPU" grep -q "^| uncontended send and receive[A-Z ]* | [0-9.]*/[0-9.]* | [0-9.]*/" "$tmp/table"
check "where the cell of a contestant that takes no part is empty" grep -q "^| fill.* |  |" "$tmp/table"
check "as CSV" grep -q "^uncontended.*,leat,1," "$tmp/csv"
check "a contestant that loses a message is named" says "broken.*WRONG: [0-9]* of [0-9]* arrived" run --with leat,broken --only "blocking 2x2"
check "a contestant that hangs is named" says "broken.*HUNG" run --with leat,broken --only "capacity 7" --hang 0.2
refuse "no contestant of that name" run --with nobody --only "blocking 1x1"
refuse "no work of that name" run --only "nothing of that name"

# A tree with a leat that compiles in no time: a semaphore of three parts, which loses permits without COUNT, and lost them
# at the first revision. With the second one it does not compile.
tree=$tmp/tree
mkdir "$tree"
cp -r Makefile bench "$tree"
mkdir -p "$tree/tests/explore"
cp tests/rules.mk "$tree/tests"
cp tests/explore/rules.mk "$tree/tests/explore"
mkdir "$tree/learn" && cp learn/rules.mk "$tree/learn"
sed 's/sub(&permits_left, n/sub(\&permits_left, TAKEN(n)/; s/#include "contestant.h"/#include "queue.h"\n&/' bench/bare.c \
    >"$tree/bench/leat.c"
in_tree() { git -C "$tree" -c user.name=test -c user.email=test "$@"; }
if have git; then
    in_tree init -q
    for line in "#define TAKEN(n) 0" "#error no"; do
        echo "$line" >"$tree/queue.h"
        in_tree add queue.h
        in_tree commit -q -m "$line"
    done
fi
cat >"$tree/queue.h" <<'EOF'
#ifdef LEAT_WITHOUT_COUNT
#define TAKEN(n) 0
#else
#define TAKEN(n) n
#endif
#if !defined LEAT_WITHOUT_REST || !defined LEAT_WITHOUT_SPIN /* but not LEAT_WITHOUT_LUCK */
#endif
EOF
there=$tree/bench/run.py
of() { python3 "$there" --ms 1 -r 1 --with leat --only "semaphore uncontended" "$@"; }
are() { # the contestants that are expected, the options
    expected=$1
    shift
    of --json "$tmp/json" "$@"
    python3 - "$tmp/json" "$expected" <<'EOF'
import json, sys
said = ", ".join(c["title"] + " WRONG" * bool(c["wrong"]) for c in json.load(open(sys.argv[1]))["works"][0]["contestants"])
print(said)
sys.exit(said != sys.argv[2])
EOF
}

check "leat without a part stands beside leat" are "leat, leat without REST, leat without COUNT, REST WRONG" \
    --without REST --without REST,COUNT
check "and without each, and without any" are \
    "leat, leat without COUNT WRONG, leat without REST, leat without SPIN, leat without any WRONG" --ablate
refuse "no such part" of --without REST,LUCK
check "which parts there are is told" says "LUCK; there are: COUNT, REST, SPIN" of --without REST,LUCK
if have git; then
    check "an earlier leat stands beside leat" are "leat, leat at HEAD~1 WRONG" --against HEAD~1
    refuse "no such revision" of --against HEAD~9
    check "a revision that does not compile is told" says "leat at HEAD does not compile" of --against HEAD
else
    skip "an earlier leat stands beside leat" "no git"
fi

loops() { # those of a process: how many
    grep -al "[g]etppid() == $1:" /proc/[0-9]*/cmdline 2>/dev/null | wc -l
}
come_to() { # how many, of a process: within 10 s?
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        if [ "$(loops "$2")" -eq "$1" ]; then return; fi
        sleep 0.5
    done
    echo "not $1 but $(loops "$2") busy loops"
    return 1
}
killed() { # within a busy round
    python3 "$there" --with leat --only "semaphore uncontended" --busy 3 -r 99 --ms 99 &
    pid=$!
    come_to 3 $pid && kill -9 $pid && come_to 0 $pid
}
turns() { # of two contestants, by their seed, to a file
    run --with bare,posix --only "semaphore uncontended" -r 7 --seed "$1" --csv "$tmp/csv" && cut -d, -f2,3,10 "$tmp/csv" >"$2"
}
check "a seed draws an order" turns 1 "$tmp/first"
check "and draws it again" turns 1 "$tmp/again"
check "which is the same" cmp "$tmp/first" "$tmp/again"
check "another one draws another" turns 2 "$tmp/other"
refuse "which is not the same" cmp "$tmp/first" "$tmp/other"
check "busy loops are told" says "uncontended, beside 3 busy loops  .cpu time.$" of --busy 3
check "they end with the benchmark, even if that is killed" killed
finish
