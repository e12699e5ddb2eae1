#!/usr/bin/env python3
"""replay.py - records what docs/replay/index.html shows: executions of the real code in the simulator.

    tools/replay.py [word..]          (make replay)  records those of docs/replay/traces.txt, with a word in their line if said
    tools/replay.py --find MUTANT     which scenarios notice a mutant of tests/mutants.txt, the shortest trace first
      --to FOLDER                     writes there instead of docs/replay/traces

SPDX-License-Identifier: MIT

A line of docs/replay/traces.txt is
    group | scenario | what is broken | title
A scenario is named as explore --list says it, or by its first words: then the configuration that gives the shortest trace is
taken. And "what is broken" is one of
    mutant NAME    a mutant of tests/mutants.txt, or a memory order as `tools/mutants.py --list` says it (without the
                   file and line). Two traces: this, and the same seed with the headers as they are
    program PATH   another program of the simulator, which `make PATH` builds. One trace
    nothing        the headers as they are. One trace
A trace becomes a file of JavaScript, because a page that was opened as a file may load scripts and nothing else.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import mutants  # noqa: E402

ROOT = mutants.ROOT
BUILD = ROOT / "build/replay"
LIST = ROOT / "docs/replay/traces.txt"
TRACES = ROOT / "docs/replay/traces"
TRIES = [["--runs", "400"], ["--bound", "2", "--runs", "4000"]]
HARD = [["--runs", "60000"]]


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def source_of(scenario):
    """The file that has it."""
    name = scenario.split()[0]
    for file in sorted((ROOT / "tests/explore").glob("*.c")):
        if re.search(rf"^SCENARIO\({name}\b", file.read_text(), re.M):
            return file.stem
    sys.exit(f"no scenario is named {name}")


def build(mutant, sources):
    """The simulator with the headers as they are (None), or with a mutant's, and the scenarios of some files."""
    to = BUILD / (slug(mutant.key) if mutant else "none")
    if mutant:
        mutant.headers(to / "headers")
        (to / "explore").mkdir(parents=True, exist_ok=True)
        for machine in "memory", "trace", "threads", "system", "lesson", "main":
            shutil.copy2(BUILD / f"none/explore/{machine}.o", to / "explore")
    program = to / "explore/explore"
    program.unlink(missing_ok=True)
    headers = to / "headers" if mutant else ROOT
    p = subprocess.run(["make", "--no-print-directory", f"BUILD={to}", f"H={headers}", "CC=gcc", "WERROR=",
                        "SCENARIOS=" + " ".join(f"{to}/explore/{s}.o" for s in sources), str(program)],
                       capture_output=True, text=True, cwd=ROOT)
    if p.returncode:
        sys.exit(f"does not build: {to}\n{p.stdout}{p.stderr}")
    return program


def explore(program, *options, limit=900):
    """The traces that it prints, one for each scenario."""
    p = subprocess.run([str(program), "--trace=json", *options], capture_output=True, cwd=ROOT, timeout=limit)
    text, found, decoder = p.stdout.decode(), [], json.JSONDecoder()
    at = 0
    while at < len(text):
        trace, at = decoder.raw_decode(text, at)
        found.append(trace)
        while at < len(text) and text[at].isspace():
            at += 1
    return found


def length(trace):
    """As the simulator measures it."""
    t = [s["thread"] for s in trace["steps"]]
    return len(t) + 3 * sum(a != b for a, b in zip(t, t[1:])) + 1000 * bool(trace.get("before"))


def failure(program, scenario, tries):
    """The failure of a scenario that is the shortest to read, or None."""
    best = None
    for try_ in tries:
        for trace in explore(program, "--shortest", *try_, *scenario.split()):
            if trace["verdict"] == "failed" and (not best or length(trace) < length(best)):
                best = trace
    return best


def known():
    """Name -> mutant."""
    mutants.NOW = BUILD / "now"
    mutants.copy_headers(mutants.NOW)
    found = {m.key: m for m in mutants.steps()[0]}
    for m in mutants.orders():
        found.setdefault(m.key, m)
    return found


def entries(words):
    """The lines of the list."""
    for number, line in enumerate(LIST.read_text().split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("|", 3)]
        if len(cells) != 4 or not re.match(r"(mutant|program) .|nothing$", cells[2]):
            sys.exit(f"{LIST.name}:{number}: not 'group | scenario | mutant NAME, program PATH or nothing | title'")
        if not words or any(w in line for w in words):
            yield cells


def write(to, name, trace):
    text = json.dumps(trace, ensure_ascii=False, separators=(",", ":"))
    (to / f"{name}.js").write_text(f"leatTrace({json.dumps(name)},{text});\n".replace("\u2028", "\\u2028"))


def record(group, scenario, broken, title, to, all_mutants, base):
    """Writes the traces of one line. Returns what the page's list says of them."""
    about = {"group": group, "scenario": scenario, "title": title}
    kind, _, what = broken.partition(" ")
    if kind == "program":
        subprocess.run(["make", "--no-print-directory", what], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        trace = failure(ROOT / what, scenario, TRIES) or explore(ROOT / what, "--runs", "1", "--only", scenario)[0]
        name = slug(f"{group} {title}")
        write(to, name, trace)
        return {**about, "traces": [[name, trace["verdict"], what]]}
    if kind == "nothing":
        trace = explore(base, "--runs", "1", "--only", scenario)[0]
        name = slug(f"{group} {title}")
        write(to, name, trace)
        return {**about, "traces": [[name, trace["verdict"], "as it is"]]}
    if what not in all_mutants:
        sys.exit(f"{LIST.name}: no such mutant: {what}")
    m = all_mutants[what]
    program = build(m, [source_of(scenario)])
    bad = failure(program, scenario, TRIES) or failure(program, scenario, HARD)
    if not bad:
        print(f"{scenario} does not notice: {what}", file=sys.stderr)
        return None
    scenario = bad["scenario"]
    search = bad["again"].split()
    if search[0] == "--bound":  # the path of another program is none of this one: its first execution
        good = explore(base, "--bound", search[1], "--path", search[3], "--only", scenario)
    else:
        good = explore(base, *search, "--only", scenario)
    bad["change"] = change(m)
    name = slug(f"{group} {what.removeprefix(group)}")
    write(to, name, bad)
    write(to, name + "-right", good[0])
    shutil.rmtree(BUILD / slug(m.key), ignore_errors=True)
    return {**about, "mutant": what, "traces": [[name, bad["verdict"], "broken: " + what],
                                                [name + "-right", good[0]["verdict"], "as it is, same seed"]]}


def change(m):
    """The lines that the mutant changes, as a patch."""
    to = BUILD / slug(m.key) / "headers"
    p = []
    for header in mutants.HEADERS:
        said = subprocess.run(["diff", "-U1", mutants.NOW / header, to / header], capture_output=True, text=True).stdout
        p += [header] + said.split("\n")[2:-1] if said else []
    return p


def find(name, all_mutants):
    import invariants
    label = name.split()[0]
    m = all_mutants[name]
    header = m.header if isinstance(m, mutants.Step) else m.where[0]
    own = [(s, f.stem) for l, s, f in invariants.scenarios() if l == label]
    program = build(m, sorted({f for _, f in own} or set(mutants.FIRST[header])))
    found = []
    for word in [s for s, _ in own] or [""]:
        for try_ in ["--runs", "300"], ["--bound", "2", "--runs", "1000"]:
            try:
                found += [t for t in explore(program, "--shortest", *try_, word, limit=60) if t["verdict"] == "failed"]
            except subprocess.TimeoutExpired:
                pass
    for t in sorted(found, key=length)[:6]:
        print(f"{length(t):5} {t['scenario']} | {t['again'][:60]} | {t['failure'][:110]}")
    shutil.rmtree(BUILD / slug(m.key), ignore_errors=True)


def main():
    p = argparse.ArgumentParser(usage=__doc__, add_help=False)
    p.add_argument("--find")
    p.add_argument("--to", type=Path, default=TRACES)
    p.add_argument("words", nargs="*")
    o = p.parse_args()
    all_mutants = known()
    everything = sorted({source_of(cells[1]) for cells in entries([]) if not cells[2].startswith("program")}) or ["channels"]
    base = build(None, everything)
    if o.find:
        find(o.find, all_mutants)
        return 0
    o.to.mkdir(parents=True, exist_ok=True)
    index, known_entries, failed = o.to / "list.js", {}, False
    if index.exists():
        listed = json.loads(index.read_text().split("(", 1)[1].rsplit(")", 1)[0])
        known_entries = {tuple(e["key"]): e for e in listed}
    lines = list(entries([]))
    for cells in entries(o.words):
        recorded = record(*cells, o.to, all_mutants, base)
        if not recorded:
            failed = True
            continue
        known_entries[tuple(cells)] = {"key": cells, **recorded}
        listed = [known_entries[tuple(c)] for c in lines if tuple(c) in known_entries]
        index.write_text("leatTraces(" + json.dumps(listed, ensure_ascii=False, indent=1) + ");\n")
        print(f"{cells[0]}: {cells[3]}: {', '.join(v for _, v, _ in recorded['traces'])}", flush=True)
    if o.words:
        return failed
    listed = [known_entries[tuple(c)] for c in lines if tuple(c) in known_entries]
    kept = {name + ".js" for e in listed for name, _, _ in e["traces"]} | {"list.js"}
    for file in o.to.glob("*.js"):
        if file.name not in kept:
            file.unlink()
    return failed


if __name__ == "__main__":
    sys.exit(main())
