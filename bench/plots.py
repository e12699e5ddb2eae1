#!/usr/bin/env python3
"""plots.py [RESULTS.json] [FOLDER] - makes charts of a run's results, by gnuplot, as SVG and PNG, and a page of tables.

Without arguments it takes the newest results in bench/results/, and writes to docs/img/ and docs/results.md.
SPDX-License-Identifier: MIT
"""
import glob
import json
import os
import statistics
import subprocess
import sys

COLOURS = {  # the same contestant has the same colour in every chart
    "leat": "#c0392b", "leat-calls": "#e67e73", "leat-inline": "#e67e73", "leat-nourcu": "#8e2a1f", "mutex": "#7f8c8d",
    "posix": "#444444", "vyukov": "#111111", "bbq": "#b15928", "ck": "#8c510a", "rte": "#2c7fb8", "rte-hts": "#6baed6",
    "rte-rts": "#9ecae1", "wfcqueue": "#66bd63", "lfqueue": "#a6d96a", "glib": "#fdae61", "apr": "#bf812d", "libuv": "#35978f",
    "boost": "#5e4fa2", "boost-spsc": "#9e8fd2", "moodycamel": "#d6a5c9", "moodycamel-blocking": "#c06fae",
    "readerwriter": "#e7a6d8", "atomic_queue": "#4d9221", "tbb": "#2166ac", "std": "#f46d43", "go": "#00a3c4",
    "crossbeam": "#d9b100", "crossbeam-queue": "#b58900", "bare": "#bbbbbb", "sends": "#999999", "mutex-list": "#7f8c8d",
    "rwlock-list": "#b2b2b2"}


def per_op(contestant, key):
    return statistics.median(s[key] / s["n"] for s in contestant["samples"])


class Results:
    def __init__(self, path):
        with open(path) as f:
            self.all = json.load(f)
        self.works = {w["title"]: w for w in self.all["works"]}
        m = self.all["machine"]
        self.where = f"{m['cpu']}, {m['cpus']} CPUs, {m['date']}, {m['commit']}"

    def values(self, work, name, key="wall"):
        """Of each round."""
        for c in self.works.get(work, {"contestants": []})["contestants"]:
            if c["name"] == name and c["samples"] and key in c["samples"][0]:
                return [s[key] / (s["n"] if key in ("wall", "cpu") else 1) for s in c["samples"]]
        return []

    def value(self, work, name, key="wall"):
        v = self.values(work, name, key)
        return statistics.median(v) if v else None

    def hung(self, work, name):
        return any(c["name"] == name and c["hung"] and not c["samples"]
                   for c in self.works.get(work, {"contestants": []})["contestants"])

    def names(self, works):
        """The contestants that took part in any of the works: leat first, then from the fastest to the slowest."""
        there = {c["name"]: c["title"] for w in works for c in self.works.get(w, {"contestants": []})["contestants"] if c["samples"]}
        score = {n: statistics.median(v for v in (self.value(w, n) for w in works) if v) for n in there}
        return sorted(there.items(), key=lambda item: (item[0] != "leat", score[item[0]]))


def plot(results, folder, file, title, y, works, labels, get, log=False, skip=()):
    """A cluster for each work. In it each contestant has a point, the median, on a line from its least to its most; on a
    linear axis also a bar. A contestant that hung in each round has the word instead."""
    there = [(w, label) for w, label in zip(works, labels) if w in results.works]
    names = [(n, t) for n, t in results.names([w for w, _ in there]) if n not in skip]
    if not names:
        return
    rows, hung, step = [], [], 0.8 / len(names)
    for i, (n, _) in enumerate(names):
        for x, (w, _) in enumerate(there):
            at = x + (i - (len(names) - 1) / 2) * step
            v = [k for k in get(w, n) if k]
            if v:
                rows.append(f"{i} {at:.4f} {statistics.median(v):.6g} {min(v):.6g} {max(v):.6g}")
            elif results.hung(w, n):
                hung.append(f'set label "hung" at {at:.4f}, graph 0.02 rotate by 90 font ",8" textcolor rgb "{COLOURS.get(n, "#000000")}"')
    curves = []
    for i, (n, t) in enumerate(names):
        of = f"($1 == {i} ? $2 : NaN)"
        colour = COLOURS.get(n, "#000000")
        if not log:
            curves.append(f"$d using {of}:3:({step * 0.9:.4f}) with boxes fs solid 0.45 noborder lc rgb '{colour}' notitle")
        curves.append(f"$d using {of}:3:4:5 with yerrorbars pt 7 ps 0.9 lw 1.5 lc rgb '{colour}' title '{t}'")
    ticks = ", ".join(f'"{label}" {x}' for x, (_, label) in enumerate(there))
    newline = "\n"
    stars = "; * oversubscribed, more than two threads for each CPU" if "*" in ticks else ""
    script = f"""$d << EOD
{newline.join(rows)}
EOD
set label "{title}" at screen 0.012, screen 0.955 font ",14"
set label "{results.where}" at screen 0.012, screen 0.905 font ",9" noenhanced
set label "medians, and the least and the most of {results.all['rounds']} rounds{stars}" at screen 0.012, screen 0.865 font ",9"
{newline.join(hung)}
set lmargin 11
set tmargin at screen 0.83
set bmargin 3.5
set ylabel "{y}"
set xrange [-0.6:{len(there) - 0.4}]
set xtics ({ticks}) font ',10'
set grid ytics lc rgb "#dddddd"
set key outside right top vertical samplen 1 spacing 1.1 noenhanced
set tics nomirror
{"set logscale y" if log else "set yrange [0:*]"}
"""
    curves = ", ".join(curves)
    for terminal, ending in ("svg size 1000,480 font 'sans,11' background '#ffffff'", "svg"), ("png size 1000,480", "png"):
        subprocess.run(["gnuplot"], text=True, check=True,
                       input=f"set terminal {terminal}\nset output '{folder}/{file}.{ending}'\n{script}plot {curves}\n")
    print(f"{folder}/{file}.svg .png")


def number(v):
    return f"{v / 1e6:.2f} M" if v >= 1e6 else f"{v:.0f}" if v >= 100 else f"{v:.1f}"


def tables(r, path):
    """Writes a page with all works and contestants."""
    m = r.all["machine"]
    with open(path, "w") as f:
        f.write(f"# Results\n\nWritten by `make plots`; do not edit. {r.where}, Linux {m['kernel']}, {m['compiler']}; "
                f"{r.all['rounds']} rounds of {r.all['ms']:g} ms. Nanoseconds for an operation; medians, and the least and most of "
                "what is judged by. Sleeps are for a thousand operations, memory is the peak of the process.\n\n")
        f.write("Versions: " + "; ".join(f"{k} {v}" for k, v in r.all["versions"].items()) + ".\n")
        for w in r.all["works"]:
            f.write(f"\n## {w['title']}\n\nBy {w['by']} time.{' DISTURBED by other programs.' if w['disturbed'] else ''}\n\n"
                    "| | wall | cpu | least .. most | sleeps | MB | / leat |\n|---|--:|--:|--:|--:|--:|--:|\n")
            done = sorted((c for c in w["contestants"] if c["samples"]), key=lambda c: per_op(c, w["by"]))
            leat = next((per_op(c, w["by"]) for c in done if c["name"] == "leat"), None)
            for c in done:
                all_ = [s[w["by"]] / s["n"] for s in c["samples"]]
                notes = [f"hung {c['hung']} times"] if c["hung"] else []
                notes += [c["wrong"]] if c["wrong"] else []
                notes += [f"{k} {statistics.median(s[k] for s in c['samples']):.0f}" for k in
                          ("p50", "p99", "p99.9", "max", "ran", "drops/k", "changes/k", "updates/k") if k in c["samples"][0]]
                name = f"**{c['title']}**" if c["name"] == "leat" else c["title"]
                ratio = f"{per_op(c, w['by']) / leat:.2f}" if leat else ""
                f.write(f"| {name}{' (' + ', '.join(notes) + ')' if notes else ''} | {number(per_op(c, 'wall'))} | "
                        f"{number(per_op(c, 'cpu'))} | {number(min(all_))} .. {number(max(all_))} | "
                        f"{number(1000 * per_op(c, 'sleeps'))} | {max(s['peak_kb'] for s in c['samples']) / 1024:.1f} | {ratio} |\n")
            for c in w["contestants"]:
                if not c["samples"]:
                    f.write(f"| {c['title']} | {'hung ' + str(c['hung']) + ' times' if c['hung'] else c['wrong']} | | | | | |\n")
            for t in w["targets"]:
                f.write(f"\n{'Met' if t['met'] else 'Missed'}: {t['what']} {t['value']:.2f}, at most {t['limit']:.2f}.\n")
    print(path)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else max(glob.glob("bench/results/*.json"), key=os.path.getmtime)
    folder = sys.argv[2] if len(sys.argv) > 2 else "docs/img"
    os.makedirs(folder, exist_ok=True)
    r = Results(path)
    blocking = ["mutex", "posix", "glib", "apr", "tbb", "moodycamel-blocking", "go", "crossbeam"]
    shapes = [(1, 1), (2, 2), (4, 4), (1, 4), (4, 1), (16, 16)]
    labels = [f"{s} to {d}" + (" *" if s + d > 2 * r.all["machine"]["cpus"] else "") for s, d in shapes]

    def of(key="wall", scale=lambda v: v):
        return lambda w, n: [scale(v) for v in r.values(w, n, key)]

    for how, title in ("blocking", "Queues that block"), ("try", "Queues that only try"):
        plot(r, folder, f"queues-{how}", f"{title}: messages per second, senders to receivers (more is better)",
             "millions per second", [f"{how} {s}x{d}" for s, d in shapes], labels, of(scale=lambda v: 1e3 / v),
             skip=blocking if how == "try" else ())
    plot(r, folder, "queues-cpu", "The same, blocking: CPU time per message (less is better)", "ns, all threads",
         [f"blocking {s}x{d}" for s, d in shapes], labels, of("cpu"), log=True)
    parts = ["p50", "p99", "p99.9"]
    for p in parts:
        r.works[p] = r.works.get("ping-pong, each timed", {"contestants": []})
    others = ["ping-pong", "ping-pong, unbuffered"]
    plot(r, folder, "ping-pong", "Ping-pong: round trip (less is better)", "ns", others + parts,
         ["capacity 1", "unbuffered", "cap. 1, median", "99th percentile", "99.9th"],
         lambda w, n: r.values(w, n, w if w in parts else "wall"), log=True)
    works = [f"pool of {w}, empty jobs" for w in (2, 8, 64)] + ["group, empty tasks at limit 2", "pool of 64, jobs of 10 us"]
    plot(r, folder, "pools", "Pools and groups: CPU time for a job (less is better)", "ns, all threads", works,
         ["2 workers", "8 workers", "64 workers", "group\\nat limit 2", "64 workers\\n10 us"], of("cpu"), log=True)
    works = ["semaphore uncontended", "semaphore, 4 threads at limit 2", "semaphore, 4 threads take 1 to 3 of 4"]
    plot(r, folder, "semaphores", "Semaphores: acquire and release (less is better)", "ns", works,
         ["uncontended", "4 threads, limit 2", "weighted, 4 threads"], of(), log=True)
    works = [f"select of {k}, {how}" for k in (2, 8, 64) for how in ("all ready", "one ready")]
    plot(r, folder, "select", "Select: one, and the send that refills (less is better)", "ns", works,
         [w.replace("select of ", "").replace(", ", "\\n") for w in works], of(), log=True)
    works = ["publish to nobody", "publish to 1 subscriber", "publish to 8", "publish to 64", "the latest value, read"]
    plot(r, folder, "topics", "Topics: publish; read the latest value (less is better)", "ns", works,
         ["to none", "to 1", "to 8", "to 64", "latest, read"], of("cpu"), log=True)
    works = ["uncontended send and receive"] + [f"uncontended, batches of {n}" for n in (8, 32, 256)]
    plot(r, folder, "uncontended", "One thread sends and receives: CPU time per message (less is better)", "ns", works,
         ["one by one", "batches of 8", "of 32", "of 256"], of("cpu"), log=True)
    tables(r, os.path.join(os.path.dirname(folder) or ".", "results.md"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
