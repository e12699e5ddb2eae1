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

COLOURS = ["#c0392b", "#7f8c8d", "#2c7fb8", "#7fcdbb", "#fdae61", "#5e4fa2", "#b2abd2", "#8c510a", "#66bd63", "#d6a5c9",
           "#35978f", "#444444"]


def per_op(contestant, key):
    return statistics.median(s[key] / s["n"] for s in contestant["samples"])


class Results:
    def __init__(self, path):
        with open(path) as f:
            self.all = json.load(f)
        self.works = {w["title"]: w for w in self.all["works"]}
        m = self.all["machine"]
        self.where = f"{m['cpu']}, {m['cpus']} CPUs, {m['date']}, {m['commit']}"

    def value(self, work, name, key="wall"):
        for c in self.works.get(work, {"contestants": []})["contestants"]:
            if c["name"] == name and c["samples"]:
                if key in ("wall", "cpu"):
                    return per_op(c, key)
                return statistics.median(s[key] for s in c["samples"])
        return None

    def names(self, works):
        """The contestants that took part in any of the works: leat first, then from the fastest to the slowest."""
        there = {c["name"]: c["title"] for w in works for c in self.works.get(w, {"contestants": []})["contestants"] if c["samples"]}
        score = {n: statistics.median(v for v in (self.value(w, n) for w in works) if v) for n in there}
        return sorted(there.items(), key=lambda item: (item[0] != "leat", score[item[0]]))


def plot(results, folder, file, title, y, works, labels, get, log=False, skip=()):
    """Draws clustered bars: a cluster for each work, a bar for each contestant."""
    works_there = [(w, label) for w, label in zip(works, labels) if w in results.works]
    names = [(n, t) for n, t in results.names([w for w, _ in works_there]) if n not in skip]
    if not names:
        return
    rows = "\n".join(f'"{label}" ' + " ".join(f"{v:.6g}" if (v := get(w, n)) else "NaN" for n, _ in names)
                     for w, label in works_there)
    bars = ", ".join(f"$d using {i + 2}:xtic(1) title '{t}' lc rgb '{COLOURS[i % len(COLOURS)]}'"
                     for i, (_, t) in enumerate(names))
    script = f"""$d << EOD
{rows}
EOD
set style data histogram
set style histogram cluster gap 2
set style fill solid 0.9 border -1
set boxwidth 0.9
set title "{title}\\n{{/*0.7 {results.where}}}" font ",14"
set ylabel "{y}"
set grid ytics lc rgb "#dddddd"
set key outside right top vertical samplen 1 spacing 1.1 noenhanced
set tics nomirror
{"set logscale y" if log else "set yrange [0:*]"}
"""
    for terminal, ending in ("svg size 1000,420 font 'sans,11' background '#ffffff'", "svg"), ("png size 1000,420", "png"):
        subprocess.run(["gnuplot"], input=f"set terminal {terminal}\nset output '{folder}/{file}.{ending}'\n{script}plot {bars}\n",
                       text=True, check=True)
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
    shapes = ["1x1", "2x2", "4x4", "1x4", "4x1", "16x16"]
    for how, title in ("blocking", "Queues that block"), ("try", "Queues that only try"):
        plot(r, folder, f"queues-{how}", f"{title}: messages per second, senders x receivers", "millions per second",
             [f"{how} {s}" for s in shapes], shapes, lambda w, n: 1e3 / v if (v := r.value(w, n)) else None,
             skip=blocking if how == "try" else ())
    plot(r, folder, "queues-cpu", "The same, blocking: CPU time per message (less is better)", "ns, all threads",
         [f"blocking {s}" for s in shapes], shapes, lambda w, n: r.value(w, n, "cpu"), log=True)
    parts = ["p50", "p99", "p99.9"]
    for p in parts:
        r.works[p] = r.works.get("ping-pong, each timed", {"contestants": []})
    plot(r, folder, "ping-pong", "Ping-pong, capacity 1: round trip (less is better)", "ns", parts,
         ["median", "99 %", "99.9 %"], lambda p, n: r.value(p, n, p), log=True)
    works = [f"pool of {w}, empty jobs" for w in (2, 8, 64)]
    plot(r, folder, "pools", "Pools: CPU time for an empty job (less is better)", "ns, all threads", works,
         ["2 workers", "8 workers", "64 workers"], lambda w, n: r.value(w, n, "cpu"), log=True)
    works = ["semaphore uncontended", "semaphore, 4 threads at limit 2", "semaphore, 4 threads take 1 to 3 of 4"]
    plot(r, folder, "semaphores", "Semaphores: acquire and release (less is better)", "ns", works,
         ["uncontended", "4 threads, limit 2", "weighted, 4 threads"], lambda w, n: r.value(w, n), log=True)
    works = [f"select of {k}, {how}" for k in (2, 8, 64) for how in ("all ready", "one ready")]
    plot(r, folder, "select", "Select: one, and the send that refills (less is better)", "ns", works,
         [w.replace("select of ", "").replace(", ", "\\n") for w in works], lambda w, n: r.value(w, n), log=True)
    works = ["publish to nobody", "publish to 1 subscriber", "publish to 8", "publish to 64", "the latest value, read"]
    plot(r, folder, "topics", "Topics: publish; read the latest value (less is better)", "ns", works,
         ["to nobody", "to 1", "to 8", "to 64", "latest, read"], lambda w, n: r.value(w, n, "cpu"), log=True)
    tables(r, os.path.join(os.path.dirname(folder) or ".", "results.md"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
