#!/usr/bin/env python3
"""pictures.py - draws docs/img/*.svg for docs/pictures.md (make pictures).

    tools/pictures.py             writes them
      --check                     fails if one of them is not what would be written

SPDX-License-Identifier: MIT

The numbers are computed from the constants of the headers, and the names of states are looked up there: a picture that
says what a header no longer says is not drawn. A picture follows the colours of the reader's system, light or dark.
"""
import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
IMG = ROOT / "docs/img"
QUEUE, POOL = (ROOT / "queue.h").read_text(), (ROOT / "pool.h").read_text()

STYLE = """
svg { --back: #fbfaf7; --front: #1d1f21; --quiet: #5d6066; --soft: #eceae3; --mark: #cfe0f5; --warm: #fbe3c0; --bad: #b3151b; --good: #19692c; }
@media (prefers-color-scheme: dark) { svg { --back: #16181b; --front: #e4e3df; --quiet: #a0a4ab; --soft: #262a2f; --mark: #1f3a5a;
  --warm: #54401c; --bad: #ff8a80; --good: #8bd69a; } }
.back { fill: var(--back); } text { fill: var(--front); font: 14px system-ui, "DejaVu Sans", sans-serif; }
.m { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; } .q { fill: var(--quiet); } .b { font-weight: 600; }
.bad { fill: var(--bad); } .good { fill: var(--good); } .h { font-size: 16px; font-weight: 600; }
rect.box { fill: var(--soft); stroke: var(--front); stroke-width: 1.3; } rect.mark { fill: var(--mark); stroke: var(--front); stroke-width: 1.3; }
rect.warm { fill: var(--warm); stroke: var(--front); stroke-width: 1.3; } rect.none { fill: none; stroke: var(--quiet); stroke-dasharray: 4 4; }
path, line { stroke: var(--front); stroke-width: 1.5; fill: none; } .dash { stroke-dasharray: 5 5; stroke: var(--quiet); }
.badline { stroke: var(--bad); } .goodline { stroke: var(--good); } marker path { fill: var(--front); stroke: none; }
"""


def constant(name, text=QUEUE):
    m = re.search(rf"^#define {name} (?:U?INT64_C\()?(\d+)u?\)?", text, re.M)
    if not m:
        sys.exit(f"no constant {name}")
    return int(m[1])


def needs(text, *words):
    """What the picture relies on stands in a header."""
    for word in words:
        if word not in text:
            sys.exit(f"a header no longer says: {word}")


CLOSING, WAITERS, CLOSED, POS, FULL = (constant(f"LEAT_{n}_") for n in ("CLOSING", "WAITERS", "CLOSED", "POS", "FULL"))


class Picture:
    def __init__(self, name, width, height, title):
        self.name, self.width, self.height, self.title = name, width, height, title
        self.parts = []

    def text(self, x, y, words, of="", anchor="start"):
        self.parts.append(f'<text x="{x}" y="{y}" class="{of}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x, y, w, h, words=(), of="box", round_=7, mono=False):
        self.parts.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{round_}" class="{of}"/>')
        words = [words] if isinstance(words, str) else words
        for i, line in enumerate(words):
            y_line = y + h / 2 + 5 + (i - (len(words) - 1) / 2) * 18
            self.text(x + w / 2, y_line, line, ("m " if mono else "") + ("b" if i == 0 and not mono else ""), "middle")

    def arrow(self, points, words="", of="", at=None, anchor="middle", text_of="q"):
        d = "M" + " L".join(f"{x} {y}" for x, y in points)
        self.parts.append(f'<path d="{d}" class="{of}" marker-end="url(#tip)"/>')
        if words:
            x, y = at or ((points[0][0] + points[-1][0]) / 2, (points[0][1] + points[-1][1]) / 2 - 6)
            for i, line in enumerate(words.split("\n")):
                self.text(x, y + 17 * i, line, text_of, anchor)

    def line(self, x1, y1, x2, y2, of=""):
        self.parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{of}"/>')

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
                f'height="{self.height}" role="img" aria-labelledby="t">\n<title id="t">{escape(self.title)}</title>\n'
                f'<style>{STYLE}</style>\n<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
                f'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z"/></marker></defs>\n'
                f'<rect class="back" x="0" y="0" width="{self.width}" height="{self.height}" rx="10"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


# ---- The words, and a ring of three over two laps

def words():
    cap = 3
    lap = POS
    while lap // POS < cap:
        lap *= 2
    needs(QUEUE, "the next position is LEAT_POS_ = 8 further,\n * and the next lap lap_ = 4 * 8 = 32 further", "stamp if free    0    0    0       32",
          "stamp if full    2    2    2       34")
    p = Picture("ring-words", 900, 570, "The bits of head, tail and a stamp, and a ring of three slots over two laps")
    p.text(20, 30, "head and tail, in a ring of three slots", "h")
    x, w = 130, 84
    bits = [("lap", 3 * w), ("index: 2 bits", 2 * w), ("CLOSED", w), ("WAITERS", w), ("CLOSING", w)]
    for name, wide in bits:
        p.box(x, 45, wide, 40, name, "mark" if name == "lap" or "index" in name else "warm", 3)
        x += wide
    x = 130 + 3 * w
    for value, wide in [(f"{2 * POS}   {POS}", 2 * w), (str(CLOSED), w), (str(WAITERS), w), (str(CLOSING), w)]:
        p.text(x + wide / 2, 102, value, "m q", "middle")
        x += wide
    p.text(130 + 1.5 * w, 102, f"multiples of {lap}", "m q", "middle")
    p.text(20, 70, "word", "b")
    p.text(20, 150, "stamp", "b")
    p.box(130, 125, 3 * w, 40, "lap", "mark", 3)
    p.box(130 + 3 * w, 125, 3 * w, 40, "0", "box", 3)
    p.box(130 + 6 * w, 125, w, 40, "FULL", "warm", 3)
    p.box(130 + 7 * w, 125, w, 40, "0", "box", 3)
    p.text(130 + 6.5 * w, 182, str(FULL), "m q", "middle")
    p.text(20, 205, "WAITERS of a word and FULL of a stamp are both the bit of value 2. They are in different words.", "q")

    p.text(20, 248, "Two laps: where tail points, and the stamps that a send finds and leaves", "h")
    x0, cell = 130, 112
    at, positions = 0, []
    for _ in range(6):
        positions.append(at)
        index = at % lap // POS
        at += POS + (lap - cap * POS if index + 1 == cap else 0)
    for row, name in enumerate(["tail", "lap, index", "slot 0", "slot 1", "slot 2"]):
        p.text(20, 288 + 40 * row, name, "b")
    stamps = [0, 0, 0]
    for k, tail in enumerate(positions):
        x = x0 + k * cell + (24 if k >= cap else 0)
        index, own = tail % lap // POS, tail - tail % lap
        p.box(x, 268, cell - 14, 30, str(tail), "mark", 3, True)
        p.text(x + (cell - 14) / 2, 328, f"{tail // lap}, {index}", "m", "middle")
        for slot in range(cap):
            here = slot == index
            said = f"{own} → {own | FULL}" if here else str(stamps[slot])
            p.box(x, 348 + 40 * slot, cell - 14, 30, said, "warm" if here else "box", 3, True)
        stamps[index] = own + lap  # a receive has taken it meanwhile: free in the next lap
    x = x0 + cap * cell + 2
    p.line(x, 262, x, 462, "dash")
    p.text(x, 478, f"{cap * POS} is skipped: it has no slot", "q", "middle")
    p.text(20, 507, f"Each send is followed here by its receive, which leaves the stamp of the next lap: {0 | FULL} → {lap}. A slot is ready for a send if its", "q")
    p.text(20, 527, f"stamp is the lap of tail, and for a receive if it is the lap of head with FULL. The ring is full when tail is one lap ({lap}) ahead", "q")
    p.text(20, 547, "of head, and empty when they are equal.", "q")
    return p


# ---- A waiter's states

def waiter():
    needs(QUEUE, "enum { LEAT_WAITING_ = 0, LEAT_RESOLVED_ = 1, LEAT_WOKEN_ = 2, LEAT_LEFT_ = 3 }", "#define LEAT_ASLEEP_ 4u")
    p = Picture("waiter", 860, 330, "The states of a waiter: WAITING, RESOLVED, WOKEN, LEFT")
    p.text(20, 30, "A waiter: a parked thread's word, on its own stack", "h")
    p.box(40, 80, 170, 64, ["WAITING", "0"], "mark")
    p.box(365, 80, 150, 64, ["RESOLVED", "1"], "warm")
    p.box(670, 80, 150, 64, ["WOKEN", "2"], "box")
    p.box(430, 210, 150, 64, ["LEFT", "3"], "box")
    p.arrow([(210, 112), (363, 112)], "resolve: a CAS", at=(287, 100))
    p.text(287, 132, "by the thread that", "q", "middle")
    p.text(287, 149, "ends the wait (I1)", "q", "middle")
    p.arrow([(515, 112), (668, 112)], "wake", at=(592, 100))
    p.text(592, 132, "always, by the", "q", "middle")
    p.text(592, 149, "same thread (I2)", "q", "middle")
    p.arrow([(125, 144), (125, 242), (428, 242)], "resolve: by its own thread", at=(135, 233), anchor="start")
    p.text(135, 262, "the deadline passed, or no need to park", "q")
    p.text(820, 172, "now it may be gone (I3)", "q", "end")
    p.text(20, 310, "ASLEEP (4) stands beside WAITING or RESOLVED once the thread no longer spins. Then the wake makes a system call.", "q")
    return p


# ---- The wake that no thread passes on

def wake_next():
    needs(QUEUE, "C0 takes k, and C1 sleeps beside the message in k+1.")
    p = Picture("wake-next", 900, 640, "Two senders, two receivers, one wake in flight: without and with waking the next")
    p.text(20, 30, "Two receivers are parked. Two senders come. One wake is in flight (I5)", "h")
    lanes = {"P0": 190, "P1": 380, "C0": 570, "C1": 760}
    for name, x in lanes.items():
        p.box(x - 50, 48, 100, 32, f"{name} {'sends' if name[0] == 'P' else 'receives'}", "mark" if name[0] == "P" else "box")
        p.line(x, 80, x, 600, "dash")
    y = 105

    def said(lane, text, of="box", wide=186):
        nonlocal y
        p.box(lanes[lane] - wide / 2, y, wide, 28, (), of, 4)
        p.text(lanes[lane], y + 19, text, "", "middle")
        y += 36
    p.text(20, 123, "tail has", "q")
    p.text(20, 141, "WAITERS", "q")
    p.box(lanes["C0"] - 50, 90, 100, 26, "parked", "none", 4)
    p.box(lanes["C1"] - 50, 90, 100, 26, "parked", "none", 4)
    said("P0", "claims k, sees WAITERS", "mark")
    said("P0", "resolves C0", "mark")
    said("P0", "clears WAITERS", "mark")
    said("P1", "claims k+1: no WAITERS", "mark")
    said("P1", "publishes k+1, leaves", "mark")
    said("P0", "publishes k", "mark")
    p.arrow([(lanes["P0"], y + 14), (lanes["C0"] - 8, y + 14)], "wakes C0", at=(lanes["P1"] + 95, y + 8))
    y += 34
    p.line(20, y, 880, y, "dash")
    top = y
    p.text(20, y + 22, "Without waking the next", "b bad")
    y += 32
    said("C0", "takes k, goes home", "warm")
    p.text(lanes["C1"] + 8, y - 22, "sleeps beside the", "q")
    p.text(lanes["C1"] + 8, y - 4, "message in k+1", "q")
    p.text(lanes["C1"] + 8, y + 16, "lost", "bad b")
    y += 34
    p.line(20, y, 880, y, "dash")
    p.text(20, y + 22, "As it is", "b good")
    y += 32
    said("C0", "C1 waits: sets WAITERS", "warm")
    said("C0", "two there: resolves C1", "warm")
    p.arrow([(lanes["C0"], y + 16), (lanes["C1"] - 8, y + 16)], "wakes C1", at=(lanes["C0"] + 95, y + 10), of="goodline")
    y += 28
    said("C0", "takes k", "warm")
    y -= 36
    said("C1", "takes k+1", "warm")
    y -= 36
    p.height = y + 50
    for i, part in enumerate(p.parts):
        p.parts[i] = part.replace('y2="600"', f'y2="{y + 40}"')
    assert top < y
    return p


# ---- Select's locks

def select_locks():
    needs(QUEUE, "A select enqueues its nodes with the locks of all its channels held, which it takes in the order of the")
    p = Picture("select-locks", 900, 420, "Two selects take the locks of two channels in the order of their addresses")
    p.text(20, 30, "Two selects over the channels c and d, which could serve each other (I7)", "h")
    for x, name, cases in ((60, "A", "send on d, receive from c"), (640, "B", "receive from d, send on c")):
        p.box(x, 55, 200, 50, [f"select {name}", cases], "mark")
    p.box(370, 60, 160, 40, "lower address: c", "box")
    p.line(160, 105, 160, 380, "dash")
    p.line(740, 105, 740, 380, "dash")
    steps = [("A", "locks c"), ("A", "locks d"), ("B", "wants c: waits"), ("A", "no case is ready:"), ("A", "enqueues at c and d"),
             ("A", "unlocks, parks"), ("B", "locks c, then d"), ("B", "sees A: does not park,"), ("B", "unlocks, polls, serves A")]
    y = 122
    for who, text in steps:
        x = 160 if who == "A" else 740
        p.box(x - 95, y, 190, 25, (), "warm" if who == "A" else "box", 4)
        p.text(x, y + 17, text, "", "middle")
        y += 28
    p.text(450, 145, "Always in the order of the addresses,", "q", "middle")
    p.text(450, 165, "whatever the order of the cases:", "q", "middle")
    p.text(450, 185, "else A holds c and B holds d for ever.", "bad", "middle")
    p.text(450, 245, "All at once: if A looked at c and d with one lock", "q", "middle")
    p.text(450, 265, "at a time, and then enqueued, B could look at both", "q", "middle")
    p.text(450, 285, "meanwhile, and enqueue as well. Both would sleep.", "bad", "middle")
    p.text(450, 335, "With all locks held, the second of the", "q", "middle")
    p.text(450, 355, "two sees the first.", "good", "middle")
    p.text(20, 405, "To leave a queue, a select takes one lock after another: nothing depends on leaving all at once.", "q")
    return p


# ---- A worker's life, a job's life

def worker():
    needs(POOL, "enum { LEAT_STARTING_ = 0, LEAT_RUNNING_ = 1, LEAT_RETIRING_ = 2, LEAT_EXITING_ = 3 }",
          "fini hook, unless the init hook failed; exited_; joined", "a resize wants more again (to STARTING, while the init hook runs)")
    p = Picture("worker", 900, 400, "The states of a pool's worker: STARTING, RUNNING, RETIRING, EXITING")
    p.text(20, 30, "A worker's life", "h")
    p.box(40, 110, 170, 56, ["STARTING", "runs the init hook"], "mark")
    p.box(365, 110, 170, 56, ["RUNNING", "takes jobs"], "warm")
    p.box(690, 110, 170, 56, ["RETIRING", "ends its job"], "box")
    p.box(365, 270, 170, 56, ["EXITING", "final (L7)"], "box")
    p.box(660, 270, 200, 56, ["gone", "fini hook, then joined"], "none")
    p.arrow([(210, 138), (363, 138)], "init hook: 0", at=(287, 128))
    p.arrow([(535, 150), (688, 150)], "a resize wants fewer", at=(612, 168))
    p.arrow([(775, 108), (775, 84), (450, 84), (450, 108)], "a resize wants more again", at=(612, 78))
    p.arrow([(700, 108), (700, 62), (125, 62), (125, 108)], "the same, while the init hook runs", at=(412, 56))
    p.arrow([(125, 168), (125, 298), (363, 298)], "init hook: an error", at=(135, 290), anchor="start")
    p.arrow([(160, 168), (160, 215), (745, 215), (745, 168)], "a resize wants fewer", at=(280, 209))
    p.arrow([(450, 168), (450, 268)], "no more jobs,\nor replaced", at=(440, 236), anchor="end")
    p.arrow([(815, 168), (815, 246), (520, 246), (520, 268)], "after its job", at=(668, 240))
    p.arrow([(535, 298), (658, 298)])
    p.text(20, 360, "A job may end its thread. Then a new worker is STARTING until its init hook has returned, takes over the state of the", "q")
    p.text(20, 380, "old one, and makes that EXITING, in one step (L6). Where the init hook has failed, no fini hook is called.", "q")
    return p


def job():
    names = ("NEW", "QUEUED", "CANCELLING", "RUNS", "RAN", "NEVER")
    value = {}
    for name in names:
        m = re.search(rf"LEAT_JOB_{name}_ = (\d+)", POOL)
        value[name] = m[1] if m else sys.exit(f"no state {name}")
    needs(POOL, "leat_job_move_(j, LEAT_JOB_QUEUED_, LEAT_JOB_CANCELLING_)", "leat_job_move_(j, LEAT_JOB_CANCELLING_, LEAT_JOB_QUEUED_)",
          "leat_job_move_(j, LEAT_JOB_QUEUED_, LEAT_JOB_RUNS_)", "leat_job_end_(j, LEAT_JOB_NEVER_, 0)", "leat_job_end_(w->job_, LEAT_JOB_RAN_, err)")
    p = Picture("job", 900, 360, "The states of a leat_job: NEW, QUEUED, CANCELLING, RUNS, RAN, NEVER")
    p.text(20, 30, "A job's life", "h")
    at = {"NEW": (30, 90), "QUEUED": (255, 90), "RUNS": (480, 90), "RAN": (705, 90), "CANCELLING": (255, 230), "NEVER": (705, 230)}
    for name, (x, y) in at.items():
        p.box(x, y, 160, 56, [name, value[name]], {"NEW": "box", "RAN": "warm", "NEVER": "warm"}.get(name, "mark"))
    p.arrow([(190, 118), (253, 118)], "accepted", at=(222, 84))
    p.arrow([(415, 118), (478, 118)], "a worker\nstarts it", at=(447, 66))
    p.arrow([(640, 118), (703, 118)], "returned", at=(672, 84))
    p.arrow([(310, 148), (310, 228)], "cancel", at=(302, 195), anchor="end")
    p.arrow([(360, 228), (360, 148)], "a worker\nhas it", at=(368, 186), anchor="start")
    p.arrow([(415, 258), (703, 258)], "still in the list: the cancel ends it", at=(425, 278), anchor="start")
    p.arrow([(400, 148), (490, 205), (703, 242)], "an abort hands it back", at=(565, 205), anchor="start")
    p.text(20, 320, "No thread may start a job that is CANCELLING. RAN and NEVER are final: the threads that wait for the job are woken.", "q")
    p.text(20, 340, "While there are such threads, WAITERS (1) stands beside the state. After its end a job may be submitted again.", "q")
    return p


# ---- The pipeline of the seeds

def pipeline():
    source = (ROOT / "examples/seeds/001_pipeline.c").read_text()
    needs(source, ".embed_workers = 16, .insert_workers = 2", ".extract_workers = leat_cpus()", "leat_group_closes(&p->extract, &p->extracted)",
          "leat_group_within(&p->embed, &p->whole)")
    p = Picture("pipeline", 1060, 330, "The pipeline of examples/seeds/001_pipeline.c: three stages of workers and the channels between them")
    p.text(20, 30, "A pipeline: a group for each stage, a channel between two (examples/seeds/001_pipeline.c)", "h")
    p.box(12, 60, 962, 190, (), "none", 10)
    p.text(24, 82, "the whole: the first error of any stage cancels all", "q")
    x = 24
    stages = [("feed", "1 task", None), ("extract", "leat_cpus()", "CPU-bound"), ("embed", "16 workers", "waits for a network"), ("insert", "2 workers", "fast")]
    channels = [("docs", "unbuffered"), ("extracted", "cap: extractors"), ("embedded", "cap: 16"), ("results", "cap: 2")]
    for (name, n, why), (channel, cap) in zip(stages, channels):
        wide = 76 if name == "feed" else 116
        p.box(x, 115, wide, 66, [name, n] if why is None else [name, n, why] if len(why) < 12 else [name, n], "mark")
        if why and len(why) >= 12:
            p.text(x + wide / 2, 200, why, "q", "middle")
        p.arrow([(x + wide, 148), (x + wide + 20, 148)])
        p.box(x + wide + 22, 128, 94, 40, channel, "warm", 4)
        p.text(x + wide + 69, 186, cap, "q", "middle")
        p.arrow([(x + wide + 116, 148), (x + wide + 134, 148)])
        x += wide + 136
    p.text(x + 4, 153, "main", "b")
    p.text(24, 236, "Each stage closes the channel that it feeds (leat_group_closes), once its last worker has returned.", "q")
    p.text(20, 280, "A slow stage fills the channel before it, and the senders wait: it holds up those before it, and not the memory.", "q")
    p.text(20, 302, "A cancel of the whole ends each wait with -ECANCELED. A stage that is closed and drained ends each receive with -EPIPE.", "q")
    return p


PICTURES = (words, waiter, wake_next, select_locks, worker, job, pipeline)


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    old = []
    for draw in PICTURES:
        p = draw()
        file, text = IMG / f"{p.name}.svg", p.svg()
        if not sys.argv[1:]:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            old.append(f"{file.relative_to(ROOT)} is not current: make pictures")
    print("\n".join(old), end="\n" if old else "")
    return bool(old)


if __name__ == "__main__":
    sys.exit(main())
