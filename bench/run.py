#!/usr/bin/env python3
"""run.py - leat beside everything that a C program could use instead.

Contestants are programs (contestant.h says what they do). For each work, each contestant that can do it has a process
of its own. The contestants take turns, round by round, in an order that is drawn by lot. So what disturbs the machine
disturbs all of them. If another program kept the machine busy during a round, that round of all contestants is repeated.
A contestant that hangs is killed, and reported as hung. One that loses a message is reported, too.

SPDX-License-Identifier: MIT
"""
import argparse
import contextlib
import csv
import datetime
import fnmatch
import glob
import json
import os
import random
import re
import select
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CPUS = sorted(os.sched_getaffinity(0))

# ---- Contestants: how they are called, and their kind -----------------------------------------

PLAIN = ["leat", "mutex", "posix", "vyukov", "bbq", "bare", "leat-one",  # these need only a C compiler (leat's topics: liburcu, too)
         "leat-calls", "leat-nourcu", "sends", "mutex-list", "rwlock-list"]
PEERS = ["ck", "rte", "rte-hts", "rte-rts", "wfcqueue", "lfqueue", "glib", "apr", "libuv", "boost", "boost-spsc", "moodycamel",
         "moodycamel-blocking", "readerwriter", "atomic_queue", "tbb", "std", "go", "crossbeam", "crossbeam-queue"]
WORDS = {"crossbeam": ("rust/release/contestants", "channel"),
         "crossbeam-queue": ("rust/release/contestants", "queue")}
PARTS = {("leat", call): "topic" for call in ("publish", "publishers", "latest")}  # works that another program does
PARTS.update(((name, "compress"), f"{name}-zlib") for name in ("leat", "mutex", "bare", "tbb"))
SIZED = ["leat", "mutex", "posix", "tbb", "moodycamel-blocking"]  # can carry larger messages
TITLES = {"mutex": "mutex + condvar", "posix": "POSIX sem_t", "vyukov": "bare Vyukov ring",
          "bare": "two locked operations", "ck": "Concurrency Kit", "rte": "DPDK rte_ring",
          "rte-hts": "DPDK rte_ring HTS", "rte-rts": "DPDK rte_ring RTS",
          "wfcqueue": "liburcu wfcqueue", "lfqueue": "liburcu lfqueue", "glib": "GLib", "apr": "APR",
          "libuv": "libuv", "bbq": "BBQ", "boost": "Boost.Lockfree", "boost-spsc": "Boost, one to one",
          "readerwriter": "ReaderWriterQueue, one to one", "moodycamel": "moodycamel",
          "moodycamel-blocking": "moodycamel blocking", "atomic_queue": "atomic_queue", "tbb": "oneTBB",
          "std": "C++20 semaphore", "go": "Go", "crossbeam": "crossbeam-channel",
          "crossbeam-queue": "crossbeam ArrayQueue", "leat-calls": "leat, calling liburcu", "leat-one": "leat, one to one",
          "leat-nourcu": "leat, no liburcu", "sends": "plain sends", "mutex-list": "mutex around a list",
          "rwlock-list": "rwlock around a list", "bare-zlib": "one thread"}
VARIANTS = {}  # of leat: name -> the folder of its headers, and its macros


def kind(name):
    """The contestant whose sources it is built from."""
    return "leat" if name in VARIANTS else name


class Contestant:
    def __init__(self, name, size=8, part=None):
        self.name, self.title, self.size, self.part = name, TITLES.get(part, TITLES.get(name, name)), size, part
        program, *words = WORDS.get(name, (part or kind(name),))
        self.words = words
        folder = f"build/bench/{name}/{size}" if name in VARIANTS else f"build/bench/{size}"
        headers, macros = VARIANTS.get(name, (".", ""))
        if os.path.isfile(name):  # a program of the user, by its path
            self.title, self.path = os.path.basename(name), name
        else:
            self.path = os.path.join("build/bench", program) if "/" in program else os.path.join(folder, program)
        made = subprocess.run(["make", "-s", f"SIZE={size}", f"CONTESTANTS={folder}", f"H={headers}", f"DEFS={macros}",
                               self.path], capture_output=True, text=True)
        self.left_out = ""
        self.can = set()
        if made.returncode:
            why = re.search(r"[\w./-]+: No such file|cannot find [\w./-]+|\w+: (command )?not found|no .* package\S*",
                            made.stderr)
            if not why or why.group(0).split(":")[0] in glob.glob("*.h"):  # a header of ours is not to be installed
                sys.exit(f"{self.title} does not compile:\n{made.stderr}")
            self.left_out = why.group(0)
        else:
            said = subprocess.run([self.path, *self.words, "can"], capture_output=True, text=True, check=True)
            self.can = set(said.stdout.split())


def variant(name, title, headers=".", macros=""):
    VARIANTS[name], TITLES[name] = (headers, macros), title
    return name


def without(asked, ablate):
    """The variants of leat that lack parts: each list that was asked for. With `ablate` also each part alone, and all."""
    found = set()
    for header in glob.glob("*.h"):
        with open(header) as f:
            for line in re.findall(r"^ *#.*", f.read(), re.M):
                found.update(re.findall(r"\bLEAT_WITHOUT_(\w+)", line.split("/*")[0]))
    parts = sorted(found)
    unknown = [n for names in asked for n in names if n not in found]
    if unknown or ablate and not parts:
        sys.exit(f"no header looks at LEAT_WITHOUT_{unknown[0] if unknown else '...'}; there are: {', '.join(parts) or 'none'}")
    wanted = [sorted(set(names)) for names in asked] + ([[n] for n in parts] + [parts] if ablate else [])
    for names in wanted:
        title = "any" if len(names) > 1 and names == parts else ", ".join(names)
        yield variant("leat-without-" + title.replace(", ", "-"), f"leat without {title}",
                      macros=" ".join(f"-DLEAT_WITHOUT_{n}" for n in names))


def git(*command):
    done = subprocess.run(["git", *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git {' '.join(command)}: {done.stderr}")
    return done.stdout


def at(revision):
    """The variant of leat with the headers of that revision."""
    commit = git("rev-parse", "--short", "--verify", revision + "^{commit}").strip()
    name = f"leat-at-{commit}"
    folder = f"build/bench/{name}"
    os.makedirs(folder, exist_ok=True)
    for header in git("ls-tree", "--name-only", commit).split():
        path = os.path.join(folder, header)
        if header.endswith(".h") and not os.path.exists(path):  # a header that is written again makes all compile again
            with open(path + ".new", "w") as f:
                f.write(git("show", f"{commit}:./{header}"))
            os.rename(path + ".new", path)
    return variant(name, f"leat at {revision}", headers=folder)


# ---- Works ------------------------------------------------------------------------------------

class Work:
    """What is done (a work of works.h and its arguments), by which time it is judged, what a contestant needs for it."""

    def __init__(self, title, call, by="wall", needs=(), one_cpu=False, busy=0, once=False, only=None, size=8, targets=(),
                 most=None, **args):
        self.title, self.call, self.by, self.needs, self.one_cpu = title, call, by, set(needs), one_cpu
        self.busy = busy  # how many busy loops run beside it
        self.once, self.only, self.size, self.targets, self.args = once, only, size, targets, args
        self.most = most  # at most so many operations in a round

    def beside(self, loops):
        """Makes it the same work on a busy machine. It then has no targets: they are for a quiet machine."""
        if not self.busy and not self.one_cpu:
            self.busy, self.targets = loops, ()
            self.title += f", beside {loops} busy loop" + ("s" if loops > 1 else "")

    def takes(self, c):
        one_to_one = {self.args.get(side, 1) for side in ("senders", "receivers")} == {1}
        return (self.call in c.can and self.needs <= c.can and (self.only is None or kind(c.name) in self.only) and
                (one_to_one or "one-to-one" not in c.can) and c.part == PARTS.get((kind(c.name), self.call)))


# Targets: leat's time is at most FACTOR times that of the best of NAMES.
def at_most(factor, *names):
    return ("at most", factor, names)


def steady(factor):  # leat's worst round takes at most so many times as long as its best
    return ("steady", factor, ())


BLOCK, TRIES = ["mutex", "posix", "glib", "apr", "moodycamel-blocking", "tbb", "go", "crossbeam"], \
    ["vyukov", "bbq", "ck", "rte", "rte-hts", "rte-rts", "boost", "atomic_queue", "crossbeam-queue"]
LOOKED_AT = ["leat", "leat-calls", "leat-nourcu", "mutex-list", "rwlock-list", "go"]


def flows(how, one_cpu=False):
    blocking = how == "blocking"
    for s, r in (1, 1), (2, 2), (4, 4), (1, 4), (4, 1), (16, 16):
        targets = []
        if blocking and not one_cpu and (s, r) != (16, 16):
            targets = [at_most(1 / 1.5 if s == r else 1 / 3, *BLOCK)]
        if not blocking and s + r > 2:
            targets = [steady(3)]
        yield Work(f"{how} {s}x{r}" + (", one CPU" if one_cpu else ""), "flow", needs=[how], one_cpu=one_cpu,
                   targets=targets, senders=s, receivers=r, blocking=int(blocking))


def works():
    yield Work("uncontended send and receive", "pair", by="cpu", needs=["try"], blocking=0,
               targets=[at_most(1.1, *TRIES)])
    yield Work("uncontended send and receive, blocking calls", "pair", by="cpu", needs=["blocking"])
    yield Work("fill and drain 1024", "fill", by="cpu")
    yield from flows("blocking")
    yield from flows("try")
    for b in 8, 32, 256:
        yield Work(f"uncontended, batches of {b}", "pair", by="cpu", needs=["batch"], batch=b)
    for b in 1, 8, 32, 256:
        yield Work(f"blocking 1x1, batches of {b}", "flow", needs=["blocking", "batch"], batch=b)
        yield Work(f"try 1x1, batches of {b}", "flow", needs=["try", "batch"], batch=b, blocking=0,
                   only=["rte", "rte-hts", "rte-rts", "moodycamel"])
    for size in 8, 32, 64, 256, 1024:
        yield Work(f"blocking 1x1, messages of {size} bytes", "flow", size=size, needs=["blocking", "sizes"],
                   targets=[at_most(1, "mutex")])
    for size in 256, 1024:
        yield Work(f"blocking 2x2, messages of {size} bytes", "flow", size=size, needs=["blocking", "sizes"], senders=2, receivers=2,
                   targets=[at_most(1, "mutex")])
    for cap in 1, 7, 16, 1024, 65536:
        yield Work(f"blocking 2x2, capacity {cap}", "flow", needs=["blocking"], cap=cap, senders=2, receivers=2)
    yield Work("ping-pong", "ping-pong", needs=["blocking"], cap=1,
               targets=[at_most(1, "go"), at_most(1 / 1.5, "mutex")])
    yield Work("ping-pong, unbuffered", "ping-pong", needs=["blocking", "unbuffered"], cap=0)
    yield Work("ping-pong, each timed", "latency", needs=["blocking"], cap=1)
    yield Work("burst: 8 that sleep, until the last runs", "burst", needs=["blocking"], receivers=8, most=8)
    yield Work("idle, 8 that wait, a second", "idle", by="cpu", needs=["blocking"], receivers=8, once=True)
    for w in 2, 8, 64:
        for us in 0, 1, 10, 100:
            targets = []
            if not us:
                targets = [at_most(1 / 4, "glib", "apr", "libuv"), at_most(1 / 3, "mutex")]
                if w == 2:
                    targets.append(at_most(1, "go"))
            yield Work(f"pool of {w}, jobs of {us} us" if us else f"pool of {w}, empty jobs", "jobs",
                       by="wall" if us else "cpu", workers=w, spin=us * 1000, targets=targets)
    yield Work("pool of 2, submit one and wait for it", "churn", workers=2,
               targets=[at_most(1, "go"), at_most(1 / 5, "mutex")])
    for us in 1, 8:
        yield Work(f"event loop and pool of 4, 64 under way, jobs of {us} us", "requests", by="cpu", workers=4, spin=us * 1000,
                   targets=[at_most(1, "libuv")])
    yield Work("group, empty tasks at limit 2", "group", limit=2, targets=[at_most(1, "posix")])
    yield Work("group, cancel 10,000 tasks of 10 us at the 100th", "cancel", limit=2, spin=10000)
    yield Work("semaphore uncontended", "sem-pair", by="cpu", cap=8,
               targets=[at_most(1.05, "posix", "mutex", "moodycamel-blocking", "std", "go")])
    yield Work("semaphore, 4 threads at limit 2", "sem", workers=4, cap=2,
               targets=[at_most(1, "posix", "mutex", "moodycamel-blocking", "std", "go")])
    yield Work("semaphore, 4 threads take 1 to 3 of 4", "sem", needs=["weighted"], workers=4, cap=4, batch=3)
    yield Work("a text compressed by zlib, 64 KB at a time, pool of 2", "compress", workers=2)
    for k in 2, 8, 64:
        yield Work(f"select of {k}, all ready", "select", by="cpu", cases=k, ready=k)
        yield Work(f"select of {k}, one ready", "select", by="cpu", cases=k, ready=1)
    for k in 1, 8, 64:
        yield Work(f"publish to {k}" + (" subscriber" if k == 1 else ""), "publish", by="cpu", subscribers=k,
                   targets=[at_most(1.1, "sends")] if k == 8 else ())
    yield Work("publish to nobody", "publish", by="cpu", subscribers=0)
    room = {"cap": 65536, "most": 65536, "subscribers": 8, "receivers": 2}  # room for a whole round: a drop costs something else than a send
    yield Work("publish to 8, 4 publishers", "publishers", senders=4, targets=[at_most(1 / 2, "rwlock-list")], **room)
    yield Work("publish to 8, others come and go", "publishers", needs=["changes"], senders=2, others=1, **room)
    yield Work("the latest value, read", "latest", by="cpu", size=64, only=LOOKED_AT, receivers=0)
    yield Work("the latest value, read while it is updated", "latest", size=64, only=LOOKED_AT, receivers=1)
    yield Work("the latest value, read while it is updated each us", "latest", size=64, only=LOOKED_AT, receivers=1, every=1000)
    yield from (w for w in flows("blocking", one_cpu=True) if w.args["senders"] in (1, 4))
    for s in 1, 2, 4:
        yield Work(f"blocking {s}x{s}, busy machine", "flow", needs=["blocking"], busy=2 * len(CPUS), senders=s, receivers=s,
                   targets=[at_most(1, "mutex")])
    yield Work("ping-pong, busy machine", "ping-pong", needs=["blocking"], cap=1, busy=2 * len(CPUS),
               targets=[at_most(1.1, "mutex")])
    yield Work("pool of 2, empty jobs, busy machine", "jobs", by="cpu", workers=2, busy=2 * len(CPUS),
               targets=[at_most(1, "mutex")])
    yield Work("pool of 2, submit one and wait for it, busy machine", "churn", workers=2, busy=2 * len(CPUS),
               targets=[at_most(1.1, "mutex")])
    yield Work("ping-pong, one CPU", "ping-pong", needs=["blocking"], cap=1, one_cpu=True,
               targets=[at_most(1, "mutex")])


# ---- A contestant at work ---------------------------------------------------------------------

class Hung(Exception):
    pass


class Process:
    """A contestant's process for one work."""

    def __init__(self, contestant, work, spin_ns):
        args = dict(work.args)
        if "spin" in args:
            args["spin"] = int(args["spin"] / spin_ns)  # from ns to steps
        words = [contestant.path, *contestant.words, work.call] + [f"{k}={v}" for k, v in args.items()]
        one = {CPUS[-1]}  # the first CPU often serves the interrupts
        self.p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                  preexec_fn=(lambda: os.sched_setaffinity(0, one)) if work.one_cpu else None)

    def round(self, n, timeout):
        try:
            with open(f"/proc/{self.p.pid}/clear_refs", "w") as f:
                f.write("5")  # the peak of its memory counts from here on
            self.p.stdin.write(f"{n}\n")
        except OSError:
            return {"wrong": f"it ended with {self.p.wait()}"}
        ready, _, _ = select.select([self.p.stdout], [], [], timeout)
        if not ready:
            self.end()
            raise Hung
        line = self.p.stdout.readline()
        if not line:
            return {"wrong": f"it ended with {self.p.wait()}"}
        said = json.loads(line)
        with open(f"/proc/{self.p.pid}/status") as f:
            said["peak_kb"] = next((int(x.split()[1]) for x in f if x.startswith("VmHWM")), 0)
        return said

    def cpu_ns(self):
        return time.clock_gettime_ns((~self.p.pid << 3) | 2)  # Linux: the CPU clock of another process

    def end(self):
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass


class Entry:
    """A contestant in one work: its process, and what was measured."""

    def __init__(self, contestant, work, options, spin_ns):
        self.c, self.work, self.spin_ns, self.o = contestant, work, spin_ns, options
        self.start()
        self.samples, self.hung, self.wrong, self.n = [], 0, "", 0

    def start(self):
        self.process = Process(self.c, self.work, self.spin_ns)

    def start_again(self):
        """Starts another process, which has other luck with where its memory lies. Its first round is short and does not count."""
        self.process.end()
        self.start()
        self.run(max(1, self.n // 8))

    def run(self, n):
        try:
            r = self.process.round(n, self.o.hang * (5 if self.work.busy else 1))
        except Hung:
            self.hung += 1
            self.start()
            return None
        if "wrong" in r:
            self.wrong = r["wrong"]
            self.process.end()
            self.start()
        return None if "n" not in r else r

    def warm_up(self):
        """Finds how many operations fill a round, by runs of growing length."""
        want = self.o.ms * 1e6 * (5 if self.work.busy else 1)  # long enough for several time slices
        n = 1 if self.work.once else min(256, self.work.most or 256)
        while not self.work.once:
            tries = [self.run(n), self.run(n)]
            if None in tries:
                if self.hung > 2 or self.wrong:
                    return
                continue
            took = max(min(r["wall"] for r in tries), 1)  # one of the two may have been disturbed
            if took > want / 4 or self.work.most and n >= self.work.most:
                n = max(1, int(n * want / took))
                break
            n = int(n * min(8, max(2, want / took)))
        self.n = min(n, self.work.most or n)

    def per_op(self, key):
        return [s[key] / s["n"] for s in self.samples]

    def median(self, key):
        return statistics.median(self.per_op(key)) if self.samples else None  # None: it hung each time


def busy_ns():
    """The CPU time that our CPUs have spent, on anything. The time that a hypervisor took counts."""
    ticks = 0
    with open("/proc/stat") as f:
        for line in f:
            cpu, *v = line.split()[:9]
            if cpu.startswith("cpu") and cpu[3:].isdigit() and int(cpu[3:]) in CPUS:
                v = [int(x) for x in v]
                ticks += sum(v) - v[3] - v[4]
    return ticks * 1e9 / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def busy_loops(n):
    """n busy loops. They end when this process ends, however that happens."""
    loop = f"import os\nwhile os.getppid() == {os.getpid()}:\n for _ in range(1000000): pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop], stderr=subprocess.DEVNULL) for _ in range(n)]
    try:
        yield
    finally:
        for p in loops:
            p.kill()
            p.wait()


def measure(work, entries, o):
    """The rounds, in turns, in an order drawn by lot. If another program disturbed a pass (a round of each), it is repeated."""
    lot = random.Random(f"{o.seed} {work.title}")
    for e in entries:
        e.warm_up()
    running = [e for e in entries if e.n]
    rounds = min(o.rounds, 3) if work.once else o.rounds
    spare, repeated, gave_up = 2 * rounds, 0, False
    for i in range(rounds):
        if i and i % 3 == 0:
            for e in running:
                e.start_again()
        lot.shuffle(running)  # so that none comes always after the same neighbour
        while True:
            machine, wall = busy_ns(), time.monotonic_ns()
            own, gone, got = time.process_time_ns(), False, []
            for e in running:
                pid, before = e.process.p.pid, e.process.cpu_ns()
                got.append((e, e.run(e.n)))
                gone |= e.process.p.pid != pid  # its CPU time is gone, too, so this pass cannot be judged
                own -= e.process.cpu_ns() - before  # what a contestant does outside its turn disturbs the others
            own = time.process_time_ns() - own
            wall = time.monotonic_ns() - wall
            disturbed = not gone and not work.busy and busy_ns() - machine - own > 0.15 * wall + 2e7
            if not disturbed or not spare:
                break
            spare -= 1
            repeated += 1
        gave_up |= disturbed
        for turn, (e, r) in enumerate(got, 1):
            if r:
                e.samples.append({**r, "turn": turn})
    for e in entries:
        e.process.end()
    return repeated, gave_up


# ---- What is said -----------------------------------------------------------------------------

MORE = ["p50", "p99", "p99.9", "max", "ran", "drops/k", "changes/k", "updates/k"]


def number(v):
    return f"{v / 1e6:.2f} M" if v >= 1e6 else f"{v:.0f}" if v >= 1000 else f"{v:.1f}"


def judge(work, entries):
    """Yields (what, value, limit, met) for each of leat's targets."""
    by = {e.c.name: e for e in entries if e.samples}
    leat = by.get("leat")
    for kind, limit, names in work.targets if leat else ():
        if kind == "steady":
            times = leat.per_op("wall")
            value, what = max(times) / min(times), "worst round / best"
        else:
            rivals = [by[n] for n in names if n in by and not by[n].wrong]
            if not rivals:
                continue
            best = min(rivals, key=lambda e: e.median(work.by))
            value, what = leat.median(work.by) / best.median(work.by), f"leat / {best.c.title}"
        yield what, value, limit, value <= limit and not leat.hung and not leat.wrong


def show(work, entries, disturbed, gave_up, width):
    print(f"\n{work.title}  [{work.by} time]" + (f"  {disturbed} passes repeated" if disturbed else "") +
          ("  DISTURBED" if gave_up else ""))
    leat = next((e.median(work.by) for e in entries if e.c.name == "leat" and e.samples), None)
    done = sorted((e for e in entries if e.samples), key=lambda e: e.median(work.by))
    for e in done:
        times = e.per_op(work.by)
        note = [w for w in ("unbounded", "unordered") if w in e.c.can and work.call in ("flow", "pair", "fill")]
        if e.hung:
            note.append(f"HUNG {e.hung} times")
        if e.wrong:
            note.append("WRONG: " + e.wrong)
        s = e.samples[0]
        for k in MORE:
            if k in s:
                note.append(f"{k} {statistics.median(x[k] for x in e.samples):.0f}")
        print(f"  {e.c.title:{width}}{number(e.median('wall')):>9}{number(e.median('cpu')):>9}"
              f"{number(min(times)):>9} ..{number(max(times)):>8}"
              f"{number(1000 * e.median('sleeps')):>9}"
              + (f"{e.median(work.by) / leat:8.2f} x  " if leat else " " * 12) + ", ".join(note))
    for e in entries:
        if not e.samples:
            print(f"  {e.c.title:{width}}" + (f"HUNG {e.hung} times" if e.hung else f"WRONG: {e.wrong}"))
    verdicts = list(judge(work, entries))
    for what, value, limit, met in verdicts:
        print(f"    {'met   ' if met else 'MISSED'} {what}: {value:.2f}, at most {limit:.2f}")
    sys.stdout.flush()
    return verdicts


def as_json(work, entries, disturbed, gave_up, verdicts):
    return {"title": work.title, "call": work.call, "args": work.args, "size": work.size, "by": work.by,
            "one_cpu": work.one_cpu, "busy": work.busy, "repeated": disturbed, "disturbed": gave_up,
            "targets": [{"what": a, "value": round(b, 4), "limit": round(c, 4), "met": d} for a, b, c, d in verdicts],
            "contestants": [{"name": e.c.name, "title": e.c.title, "hung": e.hung, "wrong": e.wrong,
                             "wall_per_op": e.median("wall"), "cpu_per_op": e.median("cpu"), "samples": e.samples} for e in entries]}


def write_json(path, results):
    """One JSON object. Each work has a line of its own."""
    head = {k: v for k, v in results.items() if k != "works"}
    with open(path, "w") as f:
        f.write(json.dumps(head)[:-1] + ', "works": [\n' + ",\n".join(map(json.dumps, results["works"])) + "\n]}\n")


def write_csv(path, results):
    with open(path, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["work", "contestant", "round", "n", "wall_ns", "cpu_ns", "sleeps", "preemptions", "peak_kb", "turn",
                      "wall_per_op", "cpu_per_op"])
        for w in results["works"]:
            for c in w["contestants"]:
                for i, s in enumerate(c["samples"]):
                    out.writerow([w["title"], c["name"], i + 1] + [s[k] for k in
                                 ("n", "wall", "cpu", "sleeps", "preemptions", "peak_kb", "turn")] +
                                 [round(s[k] / s["n"], 3) for k in ("wall", "cpu")])


def write_table(path, results):
    """A table for a document: a row for each work, a column for each contestant."""
    titles = dict.fromkeys(c["title"] for w in results["works"] for c in w["contestants"])
    m = results["machine"]
    with open(path, "w") as f:
        f.write(f"Wall/CPU time, ns per operation, medians of {results['rounds']} rounds of {results['ms']:g} ms; {m['commit']}, "
                f"{m['cpu']}, {m['cpus']} CPUs, {m['date']}.\n\n| | {' | '.join(titles)} |\n|---|{'--:|' * len(titles)}\n")
        for w in results["works"]:
            cells = {c["title"]: (f"{number(c['wall_per_op'])}/{number(c['cpu_per_op'])}" if c["samples"] else "")
                     + " HUNG" * bool(c["hung"]) + " WRONG" * bool(c["wrong"]) for c in w["contestants"]}
            f.write(f"| {w['title']}{' DISTURBED' * w['disturbed']} | {' | '.join(cells.get(t, '') for t in titles)} |\n")


def told(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cpus": len(CPUS), "kernel": os.uname().release, "date": str(datetime.date.today()),
            "commit": told("git", "describe", "--always", "--dirty"),
            "compiler": told(os.environ.get("CC", "cc"), "--version").split("\n")[0]}


def versions():
    """The versions of the contestants, as far as their tools or packages say them."""
    found = {p: told("pkg-config", "--modversion", p) for p in
             ("ck", "libdpdk", "liburcu", "glib-2.0", "apr-1", "apr-util-1", "libuv", "tbb")}
    found["go"] = told("go", "version")
    found["rust"] = told("rustc", "--version")
    found["debian"] = told("dpkg-query", "-W", "-f", "${Package} ${Version}, ", "libboost-dev", "libconcurrentqueue-dev",
                           "libatomic-queue-dev", "golang-golang-x-sync-dev", "librust-crossbeam-channel-dev",
                           "librust-crossbeam-queue-dev", "libc6")
    return {k: v for k, v in found.items() if v}


# ---- The whole --------------------------------------------------------------------------------

def options():
    p = argparse.ArgumentParser(description="Measures leat beside what a C program could use instead, "
                                            "round by round in turns.",
                                epilog="Exit status: 0 measured (targets met or not), 1 leat hung or lost something.")
    p.add_argument("--peers", action="store_true",
                   help="all contestants that are installed (make deps-bench), not only those that need nothing")
    p.add_argument("--with", dest="names", metavar="A,B", help="these contestants, or programs like them")
    p.add_argument("--without", action="append", default=[], metavar="NAME[,NAME..]", type=lambda s: s.split(","),
                   help="leat without those parts too (LEAT_WITHOUT_NAME); may be repeated, each is one contestant more")
    p.add_argument("--ablate", action="store_true", help="leat, and without each part, and without all of them")
    p.add_argument("--against", action="append", default=[], metavar="REV",
                   help="leat with the headers of that git revision too; may be repeated")
    p.add_argument("--only", action="append", metavar="WORD",
                   help="works with that in their title; may be repeated; * matches anything")
    p.add_argument("-r", "--rounds", type=int, default=9, help="rounds of each (9)")
    p.add_argument("--ms", type=float, default=40, help="length of a round, milliseconds (40)")
    p.add_argument("--hang", type=float, default=5, metavar="S", help="a round of so many seconds is a hang (5)")
    p.add_argument("--busy", nargs="?", type=int, const=4, default=0, metavar="N",
                   help="beside N processes that never rest (4): the works that are not busy or for one CPU anyway")
    p.add_argument("--pin", action="store_true", help="thread i on CPU i, in the works where that can be said")
    p.add_argument("--seed", type=int, default=random.randrange(1000000), metavar="N",
                   help="of the order in which they take turns: the same as in the run that said N")
    p.add_argument("--json", metavar="FILE", help="all rounds of all contestants")
    p.add_argument("--csv", metavar="FILE", help="the same as a table")
    p.add_argument("--table", metavar="FILE", help="the medians as Markdown: wall/CPU time, a row for each work")
    p.add_argument("--save", action="store_true", help="--json to bench/results/, named by commit, CPU and date; in variants/ if "
                        "there are variants of leat")
    p.add_argument("--list", action="store_true", help="the works")
    return p.parse_args()


def main():
    o = options()
    chosen = [w for w in works() if not o.only or any(fnmatch.fnmatch(w.title, f"*{x}*") for x in o.only)]
    for w in chosen if o.busy > 0 else ():
        w.beside(o.busy)
    if o.list:
        print("\n".join(w.title for w in chosen))
        return 0
    if not chosen:
        sys.exit("no work has that in its title: --list")
    os.chdir(os.path.dirname(HERE))
    if o.pin:
        chosen = [w for w in chosen if w.call in ("flow", "ping-pong", "latency")]
        for w in chosen:
            w.args["pin"] = 1
    names = o.names.split(",") if o.names else PLAIN + PEERS if o.peers else PLAIN
    if o.pin:
        names = [n for n in names if n != "go" and n not in WORDS]  # run.py cannot pin the threads of Go and Rust
    names = [*names, *(["leat"] if o.ablate else []), *without(o.without, o.ablate), *(at(r) for r in o.against)]
    programs = dict.fromkeys((n, w.size, PARTS.get((kind(n), w.call))) for n in names for w in chosen
                             if w.size == 8 or kind(n) in (w.only or SIZED))
    contestants = [Contestant(*p) for p in programs]
    for c in contestants:
        if c.left_out and c.size == 8:
            print(f"left out: {c.title}{', ' + c.part if c.part else ''} ({c.left_out}; make deps-bench)")
    spin_ns = 1.0
    if any("spin" in w.args for w in chosen):
        p = Process(Contestant("bare"), Work("", "spin"), 1)
        rs = [p.round(20_000_000, 60) for _ in range(5)]
        spin_ns = min(r["wall"] / r["n"] for r in rs)
        p.end()
    m = machine()
    if o.save:
        cpu = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(.*?\)|processor|@", "", m["cpu"].lower())).strip("-")
        o.json = (f"bench/results/{'variants/' if VARIANTS else ''}{m['commit']}-{cpu}-{m['cpus']}cpu-{m['date']}"
                  f"{'-busy' if o.busy else ''}.json")
        os.makedirs(os.path.dirname(o.json), exist_ok=True)
    print(f"{m['cpu']}, {m['cpus']} CPUs, Linux {m['kernel']}, {m['compiler']}; {o.rounds} rounds of {o.ms:g} ms"
          + (", pinned" if o.pin else "") + f"; seed {o.seed}")
    width = max(22, *(len(c.title) + 1 for c in contestants))
    print(f"\n{'ns per operation':{width}}{'wall':>11}{'cpu':>9}{'least ..    most':>19}{'sleeps/k':>10}{'/ leat':>10}")
    results = {"machine": m, "versions": versions() if o.json else {}, "rounds": o.rounds, "ms": o.ms, "pinned": o.pin, "seed": o.seed,
               "spin_ns": spin_ns, "works": []}
    bad, verdicts = False, []
    for w in chosen:
        entries = [Entry(c, w, o, spin_ns) for c in contestants
                   if c.size == w.size and not c.left_out and w.takes(c)]
        if not entries:
            continue
        with busy_loops(w.busy):
            said = measure(w, entries, o)
        v = show(w, entries, *said, width)
        verdicts += v
        bad |= any(e.c.name == "leat" and (e.hung or e.wrong) for e in entries)
        results["works"].append(as_json(w, entries, *said, v))
        for path, write in (o.json, write_json), (o.csv, write_csv), (o.table, write_table):
            if path:
                write(path, results)
    print(f"\n{sum(v[3] for v in verdicts)} of {len(verdicts)} targets met")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
