#!/usr/bin/env python3
"""compile.py - what a file costs that uses leat: the compiler's CPU time, and bytes of code.

    python3 bench/compile.py [-n TIMES] [COMPILER ...]

A cell is the least user CPU time, in ms, of TIMES compilations (5), and how many times as long that is as for a file that only
includes the same headers of the system. The compilers: of cc's kind, C; of c++'s kind, C++; by default all that are there.
SPDX-License-Identifier: MIT"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUEUE = "errno limits stdatomic stdbool stddef stdint stdlib string sched stdio time unistd fcntl sys/syscall sys/eventfd"
POOL = QUEUE + " signal stdarg pthread semaphore"

CHANNEL = """typedef LEAT_CHAN(int) chan;
int channel(void);
int channel(void)
{
    chan c;
    int m = 1;
    if (leat_make(&c, 4) || leat_send(&c, &m) || leat_recv(&c, &m) || leat_close(&c)) return -1;
    leat_free(&c);
    return m;
}
"""
TASK = "static int task(leat_ctx *ctx, void *arg) { (void)ctx; return !arg; }\n"
GROUP = """int group(int *);
int group(int *n)
{
    leat_group g = LEAT_GROUP(NULL);
    int err = leat_go(&g, task, n);
    return err ? err : leat_wait(&g);
}
"""
POOLS = """int pool(int *);
int pool(int *n)
{
    leat_pool p;
    int err = leat_pool_start(&p, NULL, NULL);
    if (err) return err;
    err = leat_submit(&p, task, n);
    return leat_pool_stop(&p) || err;
}
"""


def leat(header, text=""):
    return '#include "%s.h"\n%s' % (header, text)


def system(names, cxx):
    names = [n + ".h" for n in names.split() if not cxx or n != "stdatomic"] + (["exception", "new"] if cxx and names == POOL else [])
    return "".join("#if __has_include(<%s>)\n#include <%s>\n#endif\n" % (n, n) for n in names) + "extern int nothing;\n"


# name, text, the headers of the system that it includes, LEAT_DECLARED
ROWS = [
    ("queue.h, nothing used", leat("queue"), QUEUE, False),
    ("semaphore.h", leat("semaphore"), QUEUE, False),
    ("pool.h", leat("pool"), POOL, False),
    ("topic.h", leat("topic"), POOL, False),
    ("a channel", leat("queue", CHANNEL), QUEUE, False),
    ("a group", leat("pool", TASK + GROUP), POOL, False),
    ("a pool", leat("pool", TASK + POOLS), POOL, False),
    ("all three", leat("pool", CHANNEL + TASK + GROUP + POOLS), POOL, False),
    ("a channel, LEAT_DECLARED", leat("queue", CHANNEL), QUEUE, True),
    ("all three, LEAT_DECLARED", leat("pool", CHANNEL + TASK + GROUP + POOLS), POOL, True),
]


def best(command, times):
    least = None
    for _ in range(times):
        child = os.posix_spawnp(command[0], command, os.environ)
        _, status, usage = os.wait4(child, 0)
        if status:
            raise SystemExit("compile.py: failed: " + " ".join(command))
        least = usage.ru_utime if least is None else min(least, usage.ru_utime)
    return max(least, 0.001)


def main():
    words = sys.argv[1:]
    times = 5
    if words[:1] == ["-n"]:
        times, words = int(words[1]), words[2:]
    compilers = words or [c for c in ("gcc", "clang", "g++", "clang++") if shutil.which(c)]
    print("compile.py: the least user CPU time of %d, in ms, and times that of the system's headers alone; bytes of code" % times)
    print("load of this machine at the start: %.1f on %d CPUs" % (os.getloadavg()[0], os.cpu_count() or 1))
    with tempfile.TemporaryDirectory() as folder:
        for compiler in compilers:
            cxx = "++" in compiler
            kind = ["-x", "c++", "-std=c++17"] if cxx else ["-std=c11"]
            source, made = os.path.join(folder, "file.c"), os.path.join(folder, "file.o")

            def measure(text, optimize, declared):
                with open(source, "w", encoding="ascii") as f:
                    f.write(text)
                flags = ["-DLEAT_DECLARED"] if declared else []
                return best([compiler, *kind, optimize, *flags, "-w", "-pthread", "-iquote", HERE, "-c", source, "-o", made], times)

            alone = {(names, o): measure(system(names, cxx), o, False) for names in (QUEUE, POOL) for o in ("-O0", "-O2")}
            print("\n%-26s %14s %14s %9s" % (compiler, "-O0", "-O2", "bytes"))
            for names, name in ((QUEUE, "the system's, for queue.h"), (POOL, "the system's, for pool.h")):
                print("%-26s %6.0f         %6.0f" % (name, alone[names, "-O0"] * 1000, alone[names, "-O2"] * 1000))
            for name, text, names, declared in ROWS:
                if cxx and declared:
                    continue
                cells = ""
                for o in ("-O0", "-O2"):
                    t = measure(text, o, declared)
                    cells += " %6.0f %6.1fx" % (t * 1000, t / alone[names, o])
                size = subprocess.run(["size", made], capture_output=True, text=True, check=True).stdout.split("\n")[1].split()[0]
                print("%-26s%s %9s" % (name, cells, size), flush=True)


main()
