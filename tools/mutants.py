#!/usr/bin/env python3
"""mutants.py - are the checks checked? Breaks the headers in one place at a time, and sees which check notices.

    tools/mutants.py [option..] [word..]      (make mutants)
      --sample N    only every N-th, for a quick look
      --after N     without the first N: goes on where a run was stopped
      --runs N      random schedules per scenario for the last try of the simulator (20000)
      --tests       give those that the simulator missed to the tests, too, plain and under ThreadSanitizer
      --list        says which there are
      word          only the mutants with one of the words in their name

SPDX-License-Identifier: MIT

Two kinds. An *order* is one memory_order_ of the headers made weaker: the same program, to which the
simulator is told to take the calls from that source line for weaker ones. A *step* is one of
tests/mutants.txt, where a line of the protocol is left out or moved, which is compiled anew.
A mutant lives if no check fails. tests/mutants.txt also says which may live, and why; and which the
simulator cannot see, but a test can.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ("queue.h", "semaphore.h", "pool.h", "topic.h")
BUILD = ROOT / "build/mutants"
NOW = BUILD / "now"  # the headers as they were when we began
WEAKER = {"acquire": ["relaxed"], "release": ["relaxed"], "acq_rel": ["acquire", "release"]}
FIRST = {"queue.h": ["channels", "pollables", "one"], "semaphore.h": ["semaphores"], "pool.h": ["pools", "signals"], "topic.h": ["topics"]}
QUICK = [["--runs", "50"], ["--runs", "1000"]]  # what the simulator is told to try first
STOPPED = (-signal.SIGTERM, -signal.SIGKILL)  # somebody ended the simulator: it has noticed nothing
INCLUDE = {}  # header -> the objects of the simulator that it is in
NUMBER = {"relaxed": 0, "acquire": 2, "release": 3, "acq_rel": 4, "seq_cst": 5}


def run(command, seconds, **more):
    """The exit status and what was printed; 'hang' for one that did not end."""
    try:
        p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           errors="replace", timeout=seconds, cwd=ROOT, **more)
        return p.returncode, p.stdout
    except subprocess.TimeoutExpired as e:
        return "hang", (e.stdout or b"").decode(errors="replace") if isinstance(e.stdout, bytes) else e.stdout or ""


def includes(header):
    """The scenarios that include it, as object files; every other object is the same with a change in it as without."""
    found = set()
    for source in (ROOT / "tests/explore").glob("*.c"):
        rule = subprocess.run(["gcc", "-std=c11", "-MM", "-DLEAT_LINT", "-DLEAT_NO_URCU", "-iquote", NOW, "-iquote",
                               "tests/explore", source], capture_output=True, text=True, check=True, cwd=ROOT).stdout
        if header in re.findall(r"[\w.-]+\.h", rule):
            found.add(source.stem + ".o")
    return found


def build(headers, to, defs="", changed="", only=()):
    """The simulator with these headers; with the objects of the unchanged one where `changed` is not included. Of the
    scenarios, perhaps `only` those of some files."""
    if changed:
        (to / "explore").mkdir(parents=True, exist_ok=True)
        for unchanged in (BUILD / "none/explore").glob("*.o"):
            if unchanged.name not in INCLUDE[changed]:
                shutil.copy(unchanged, to / "explore")
    scenarios = ["SCENARIOS=" + " ".join(f"{to}/explore/{name}.o" for name in only)] if only else []
    status, said = run(["make", "--no-print-directory", f"BUILD={to}", f"H={headers}", f"DEFS={defs}", "CC=gcc",
                        "WERROR=", *scenarios, f"{to}/explore/explore"], 600)
    if status:
        sys.exit(f"does not build: {to}\n{said}")
    return to / "explore/explore"


class Order:
    """A memory order, the which-th of the call that begins on one of `lines`."""

    def __init__(self, header, first, last, which, order, weaker, label, function):
        self.key = f"{function} {label} {order} -> {weaker}"
        self.name = f"{header}:{first} {self.key}"
        self.where = (header, first, last)
        self.which, self.weaker = which, weaker

    def explorers(self, bases, hard):
        """The program in which that line is compiled: the second is for the pthread fallback."""
        header, first, last = self.where
        for program, at in bases:
            addresses = [a for line in range(first, last + 1) for a in at.get((header, line), [])]
            if addresses:
                yield [str(program), "--weaken", f"{self.which}:{NUMBER[self.weaker]},{','.join(addresses)}"], QUICK + hard
                return

    def headers(self, to):
        copy_headers(to)
        header, first, last = self.where
        lines = (to / header).read_text().split("\n")
        seen = 0
        for i in range(first - 1, last):
            parts = re.split(r"(memory_order_\w+)", lines[i])
            for k in range(1, len(parts), 2):
                seen += 1
                if seen == self.which:
                    parts[k] = "memory_order_" + self.weaker
            lines[i] = "".join(parts)
        (to / header).write_text("\n".join(lines))


class Step:
    """A step of the protocol, changed in the text."""

    def __init__(self, name, function, by, old, new):
        self.name = self.key = name
        self.by = by
        lines = re.compile(re.sub(r"(\\ )+/\\\*", r" +/\\*", re.escape(old)))  # wherever their comments are aligned
        for header in HEADERS:
            text = (NOW / header).read_text()
            for start in re.finditer(rf"^\S.*\b{function}\([^;]*$", text, re.M):
                at = lines.search(text, start.start(), text.find("\n}\n", start.start()))
                if at:
                    self.header, self.text = header, text[:at.start()] + new + text[at.end():]
                    return
        sys.exit(f"tests/mutants.txt: {name}: no such lines in {function}")

    def headers(self, to):
        copy_headers(to)
        (to / self.header).write_text(self.text)

    def explorers(self, bases, hard):
        """First the scenarios that are about the header, which are compiled soon, then all of them."""
        to = BUILD / re.sub(r"\W+", "-", self.name)
        self.headers(to / "headers")
        yield [str(build(to / "headers", to / "first", changed=self.header, only=FIRST[self.header]))], QUICK + [["--runs", "5000"]]
        yield [str(build(to / "headers", to, changed=self.header))], QUICK + hard

    def clean(self):
        shutil.rmtree(BUILD / re.sub(r"\W+", "-", self.name), ignore_errors=True)


def copy_headers(to):
    to.mkdir(parents=True, exist_ok=True)
    for header in HEADERS:
        shutil.copy((ROOT if to == NOW else NOW) / header, to / header)


def calls(program):
    """Where each source line of the headers calls an atomic operation: (header, line) -> addresses."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True).stdout
    after = re.findall(r"call +\w+ <__tsan_atomic\w+>\n +(\w+):", code)
    lines = subprocess.run(["addr2line", "-e", program], capture_output=True, text=True,
                           input="\n".join(hex(int(a, 16) - 1) for a in after)).stdout.split("\n")
    found = {}
    for address, line in zip(after, lines):
        m = re.match(r".*/(\w+\.h):(\d+)", line)
        if m:
            found.setdefault((m[1], int(m[2])), []).append(address)
    return found


def weaker_than(order, operation):
    """The orders next below it that the operation can have."""
    if order == "seq_cst":
        return [{"load": "acquire", "store": "release"}.get(operation, "acq_rel")]
    return WEAKER.get(order, [])


def orders():
    """Every memory order of the headers that can be weaker."""
    for header in HEADERS:
        lines = (NOW / header).read_text().split("\n")
        function = ""
        i = 0
        while i < len(lines):
            m = re.match(r"\S.*?\b(leat_\w+)\(", lines[i])
            if m and not lines[i].startswith(("#", "/*", " *")):
                function = m[1]
            if not re.search(r"\batomic_\w+_explicit\(", lines[i]):
                i += 1
                continue
            last = i  # the call's statement ends where its parentheses do
            depth = 0
            while True:
                code = re.sub(r"/\*.*?(\*/|$)", "", lines[last])
                depth += code.count("(") - code.count(")")
                if depth <= 0 or last + 1 >= len(lines):
                    break
                last += 1
            which, operation = 0, ""
            for line in lines[i:last + 1]:
                label = (re.findall(r"\[\w\d+\]", line) or ["-"])[0]
                for called, order in re.findall(r"\batomic_(\w+)_explicit\(|memory_order_(\w+)", line):
                    if called:
                        operation = called
                        continue
                    which += 1
                    if which > 1 and operation.startswith("compare_exchange"):
                        operation = "load"  # that failed
                    for weaker in weaker_than(order, operation):
                        yield Order(header, i + 1, last + 1, which, order, weaker, label, function)
            i = last + 1


def steps():
    """The steps of tests/mutants.txt, and the reasons of those that may live."""
    found, may_live = [], {}
    for block in re.split(r"\n\n+", (ROOT / "tests/mutants.txt").read_text()):
        lines = [line for line in block.split("\n") if line and not line.startswith("#")]
        if not lines:
            continue
        head = re.match(r"(mutant|lives) (.*)", lines[0])
        if not head:
            sys.exit(f"tests/mutants.txt: neither a mutant nor a reason: {lines[0]}")
        if head[1] == "lives":
            may_live[head[2]] = " ".join(line.strip() for line in lines[1:])
            continue
        function = lines[1].removeprefix("in ")
        by = [line.removeprefix("by ") for line in lines if line.startswith("by ")]
        old = "\n".join(line[1:] for line in lines[2:] if line[0] in " -")
        new = "\n".join(line[1:] for line in lines[2:] if line[0] in " +")
        found.append(Step(head[2], function, by[0] if by else "", old, new))
    return found, may_live


def explore(mutant, bases, runs):
    """What caught it, or None. For `runs` = 0 it does not try hard."""
    hard = [["--bound", "1"]] + ([["--runs", str(runs)]] if runs else [])
    for command, tries in mutant.explorers(bases, hard):
        for try_ in tries:
            status, said = run(command + ["--stop"] + try_, 3600)
            if status in STOPPED:
                return None
            if status:
                failed = re.search(r"^not ok \d+ - ([^:]*): (.*?) executions", said, re.M)
                why = re.search(r"^# (.*)", said, re.M)
                return f"{failed[1]}, execution {failed[2]}: {why[1]}" if failed and why else f"ended with {status}"
    return None


def test(mutant, only=""):
    """The same for the tests."""
    to = BUILD / "tests" / re.sub(r"\W+", "-", mutant.name)
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns("build", ".git"))
    mutant.headers(to)
    caught = None
    for san in ("none", "thread"):
        status, said = run(["make", "-C", str(to), "test-c", f"SAN={san}", f"ONLY={only}", "WERROR=",
                            "LEAT_TEST_SECONDS=60"], 1800)
        if status:
            failed = re.search(r"^\S*(t-\S+)\s.*(Failed|Dubious)", said, re.M)
            if not failed and status != "hang":
                print(f"# {mutant.name}: does not build\n{said}", file=sys.stderr)
                break
            caught = f"{failed[1] if failed else status}{'' if san == 'none' else ' under ThreadSanitizer'}"
            break
    shutil.rmtree(to, ignore_errors=True)
    return caught


def main():
    p = argparse.ArgumentParser(usage=__doc__, add_help=False)
    p.add_argument("--sample", type=int, default=1)
    p.add_argument("--after", type=int, default=0)
    p.add_argument("--runs", type=int, default=20000)
    p.add_argument("--tests", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("words", nargs="*")
    o = p.parse_args()
    copy_headers(NOW)
    INCLUDE.update((header, includes(header)) for header in HEADERS)
    programs = [build(NOW, BUILD / "none"), build(NOW, BUILD / "none-fallback", "-DLEAT_NO_FUTEX")]
    bases = [(program, calls(program)) for program in programs]
    found, may_live = steps()
    everyone = list(orders()) + found
    for m in everyone:  # the second of a name in its function
        same = [s for s in everyone if s.key == m.key]
        for n, s in enumerate(same[1:], 2):
            s.key, s.name = f"{s.key} #{n}", f"{s.name} #{n}"
    unknown = set(may_live) - {m.key for m in everyone}
    mutants = [m for m in everyone if not o.words or any(w in m.name for w in o.words)][o.after::o.sample]
    if o.list:
        print("\n".join(m.name for m in mutants))
        return 0
    for program in programs:
        status, said = run([str(program), "--stop", "--runs", "200"], 3600)
        if status:  # an oracle that fails on the real thing proves nothing
            sys.exit(f"the headers as they are fail:\n{said}")

    def judge(mutant):
        if getattr(mutant, "by", ""):
            return mutant, test(mutant, mutant.by)
        return mutant, explore(mutant, bases, 0 if mutant.key in may_live else o.runs)

    caught, lived, bad = 0, [], []
    print(f"1..{len(mutants)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for n, (mutant, by) in enumerate(pool.map(judge, mutants), 1):
            if not by and o.tests and mutant.key not in may_live:
                by = test(mutant)
            if isinstance(mutant, Step):
                mutant.clean()
            caught += bool(by)
            if by:
                print(f"ok {n} - {mutant.name} # {by}", flush=True)
            elif mutant.key in may_live:
                lived.append(mutant)
                print(f"ok {n} - {mutant.name} # lives: {may_live[mutant.key]}", flush=True)
            else:
                bad.append(mutant)
                unseen = isinstance(mutant, Order) and not any(mutant.explorers(bases, []))
                print(f"not ok {n} - {mutant.name}{' # the simulator has no such call' if unseen else ''}", flush=True)
    print(f"# {len(mutants)} mutants: {caught} caught, {len(lived)} live for a reason, {len(bad)} live for none")
    for name in sorted(unknown):
        print(f"# tests/mutants.txt: there is no such mutant: {name}")
    return bool(bad or unknown)


if __name__ == "__main__":
    sys.exit(main())
