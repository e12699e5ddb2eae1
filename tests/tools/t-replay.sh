# The trace as JSON is one document, says what the text says, and is what docs/replay shows: each recorded trace steps to
# its end in a real browser, and the models of the page lose what they are to lose.  LONG=1: all of them are recorded anew
# (make replay-proof).
. tests/lib/tap.sh

have python3 || skip_all "no python3"
explore=$BUILD/explore/explore
page=docs/replay

# ---- The simulator's JSON

cat >"$tmp/agrees.py" <<'EOP'
import json, re, sys
exe, *rest = sys.argv[1:]
import subprocess
def said(*more):
    return subprocess.run([exe, *more, *rest], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode("utf-8", "strict")
text, document = said("--trace"), said("--trace=json")
trace = json.loads(document)  # one document, and nothing else
rows = [m for m in re.finditer(r"^# +(\d+) +T(\d+) +(.*)$", text, re.M)]
steps = trace["steps"]
assert len(rows) == len(steps) > 20, (len(rows), len(steps))
for m, s in zip(rows, steps):
    line = m[3]
    assert (int(m[1]), int(m[2])) == (s["n"], s["thread"]), line
    assert line.startswith(s["what"] + " "), (line, s)
    assert line.endswith(f'{s["file"]}:{s["line"]} {s["function"]}'), (line, s)
    order = s.get("order", "relaxed")
    assert (f" {order} " in line) == (order != "relaxed"), (line, s)
    if "object" in s:
        values = s["a"] if s["a"] == s["b"] else f'{s["a"]}, {s["b"]}'
        assert trace["objects"][s["object"]]["name"] in line and f" {values} " in line, (line, s)
    assert s.get("stale", False) == ("stale" in s["what"]) or "failed" in s["what"] or "futex" in s["what"], s
    assert s.get("from", -1) < steps.index(s)
    if s.get("from", -1) >= 0:  # what it read is what that step stored
        w = steps[s["from"]]
        read = s["b"] if s["what"] in ("compare-exchange failed", "futex wait: changed") else s["a"]
        assert w["b"] == read and w["object"] == s["object"], (w, s)
    for before, why in s["after"]:
        assert 0 <= before < steps.index(s), s
        assert why != "sync" or steps[before].get("order") in ("release", "acq_rel", "seq_cst"), s
assert any(why == "sync" for s in steps for _, why in s["after"])
ends = re.findall(r"^#   T\d+ +(\S+):(\d+) (\S+)$", text, re.M)
assert [(t["file"], str(t["line"]), t["function"]) for t in trace["threads"]] == ends
there = sum(str(s["line"]) in trace["sources"].get(s["file"], ()) for s in steps)  # and the line of the source is there
assert there >= 0.9 * len(steps), (there, len(steps))  # (gcc takes some lines of an inlined function for another file's)
EOP
if [ -x "$explore" ]; then
    check "the JSON of an execution says what its text says" python3 "$tmp/agrees.py" $explore --runs 1 --seed 5 \
        --only 'send_recv senders=2 receivers=2 cap=1 each=1'
    check "... also with selects and an unbuffered channel" python3 "$tmp/agrees.py" $explore --runs 1 --seed 8 \
        --only 'select_against_select senders=2 each=1'
    check "... and of an exhaustive search" python3 "$tmp/agrees.py" $explore --bound 1 --runs 3 \
        --only 'send_recv senders=1 receivers=1 cap=1 each=3'
    fails_as_json() { # a scenario that is wrong on purpose: the verdict, and who sleeps where
        $explore --trace=json --runs 2000 --shortest "$1" 2>/dev/null | python3 -c '
import json, sys
at, text, decoder, n = 0, sys.stdin.read(), json.JSONDecoder(), 0
while at < len(text):
    t, at = decoder.raw_decode(text, at)
    at += 1
    n += 1
    assert t["verdict"] == "failed" and sys.argv[1] in t["failure"], t["failure"]
    if "asleep" in sys.argv[1]: assert any(x["state"] == "asleep" and x["on"] for x in t["threads"])
assert n
' "$2"
    }
    check "a failure is in it" fails_as_json litmus_finds_a_data_race 'data race'
    check "... and the threads that sleep" fails_as_json litmus_finds_a_parked_thread_without_a_wake 'everybody is asleep'
else
    skip "the JSON of an execution" "no simulator here"
fi

# ---- The page's numbers are the headers'

numbers() {
    sed -n '/^const BITS/,/^};/p' $page/index.html | grep -oE 'LEAT_[A-Z_]+: [0-9]+' >"$tmp/bits"
    [ "$(wc -l <"$tmp/bits")" -ge 14 ] || { echo "no bits in the page"; return 1; }
    while IFS=': ' read -r name value; do
        grep -qE "^#define $name (UINT64_C\\(|INT64_C\\()?$value([)u ]|\$)" queue.h semaphore.h || { echo "$name is not $value"; return 1; }
    done <"$tmp/bits"
    grep -q 'enum { LEAT_WAITING_ = 0, LEAT_RESOLVED_ = 1, LEAT_WOKEN_ = 2, LEAT_LEFT_ = 3 }' queue.h &&
        grep -q "const WAITER = \['WAITING', 'RESOLVED', 'WOKEN', 'LEFT'\]" $page/index.html &&
        grep -q 'define LEAT_VERSIONS_ 4\b' tests/explore/topics.c && grep -q 'const VERSIONS = 4n' $page/index.html
}
check "the bits and states that the page decodes are those of the headers" numbers
refuse "it loads nothing from elsewhere" grep -nE '(src|href) *[=:] *.?(https?:)?//|fetch\(|XMLHttpRequest|import ' \
    $page/index.html $page/models.js

# ---- The recorded traces

recorded() {
    python3 - <<'EOP'
import json, pathlib, re
at = pathlib.Path("docs/replay/traces")
listed = json.loads(at.joinpath("list.js").read_text().split("(", 1)[1].rsplit(")", 1)[0])
lines = [[c.strip() for c in l.split("|", 3)] for l in pathlib.Path("docs/replay/traces.txt").read_text().split("\n")
         if l.strip() and not l.startswith("#")]
assert [e["key"] for e in listed] == lines, "make replay: the list has other lines than were recorded"
names = {"list"}
for e in listed:
    for name, verdict, label in e["traces"]:
        names.add(name)
        text = at.joinpath(name + ".js").read_text()
        t = json.loads(text[text.index(",") + 1:text.rindex(")")])
        assert t["verdict"] == verdict == ("failed" if label.startswith("broken") else "passed" if "as it is" in label else verdict), name
        assert not t.get("before"), f"{name}: too long"
assert names == {f.stem for f in at.glob("*.js")}
size = sum(f.stat().st_size for f in at.glob("*.js"))
assert size < 2_000_000, size
EOP
}
check "what the list names is recorded, fails where it is broken and passes where it is not, in less than 2 MB" recorded

# ---- The page and the steps of learn/ lead to each other

lessons() {
    python3 - <<'EOP'
import pathlib, re
page, models = (pathlib.Path("docs/replay", f).read_text() for f in ("index.html", "models.js"))
steps = re.findall(r"'(0\d-[a-z-]+)'", page + models)
assert len(steps) > 10
for step in steps: assert pathlib.Path("learn", step, "README.md").is_file(), step
of = re.findall(r"^    learn: '(.*)',$", models, re.M)
assert len(of) == len(re.findall(r"^    name: ", models, re.M))
linked = 0
for at in sorted(pathlib.Path("learn").glob("0*/README.md")):
    for what, which in re.findall(r"replay/index\.html#(\w+)=([\w-]+)", at.read_text()):
        if what == "model": assert of[int(which)] == at.parent.name, (at, which)
        else: assert pathlib.Path("docs/replay/traces", which + ".js").is_file(), (at, which)
        linked += 1
assert linked >= 10, linked
EOP
}
check "the page and the steps of learn/ lead to each other, each model to its step and back" lessons

# ---- In a browser

for chromium in chromium chromium-browser google-chrome ''; do have "$chromium" && break; done
if [ -z "$chromium" ]; then
    skip "each trace steps to its end in a browser, and each model is lost where it can be" "no chromium (make deps-platforms)"
else
    in_browser() { # hash
        timeout 120 "$chromium" --headless --no-sandbox --disable-gpu --user-data-dir="$tmp/profile" \
            --virtual-time-budget=600000 --dump-dom "file://$PWD/$page/index.html#$1" 2>/dev/null |
            sed -n '/<pre id="selftest">/,/<\/pre>/p' | sed 's/<[^>]*>//g; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g' >"$tmp/selftest"
        python3 - "$tmp/selftest" "$2" <<'EOP'
import json, sys
r = json.load(open(sys.argv[1]))
print(json.dumps(r["failures"], indent=1), r["traces"], "traces")
assert not r["failures"] and r["traces"] >= int(sys.argv[2]) and r["steps"] > 10 * r["traces"]
broken = [m for m in r["models"] if not m[1]]
assert len(r["models"]) >= 23 and len(broken) >= 16
EOP
    }
    quick=6
    [ -n "${LONG-}" ] && quick=
    check "each trace steps to its end in a browser, and each model is lost where it can be and nowhere else" \
        in_browser "selftest=$quick" "${quick:-50}"
fi

if [ -n "${LONG-}" ] && [ -x "$explore" ]; then
    check "all traces can be recorded anew" python3 tools/replay.py --to "$tmp/traces"
fi
finish
