#!/usr/bin/env python3
"""invariants.py - what checks each invariant? A table for docs/testing.md, out of the sources.

    tools/invariants.py            prints it
      --check    compares it with the one in docs/testing.md; fails if a cell would be empty
      --write    writes it there      (make invariants)

SPDX-License-Identifier: MIT

An invariant is a line ` * I1  ...`, or ` * I10 ...`, in a header. What belongs to it says so: the name of a test begins with it,
TEST(I1_...); a comment above a scenario has it in parentheses, (I1), below the scenario before; the list at the head of
a model has it beside a switch; a mutant's name begins with it. A label that no header has is a mistake.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/testing.md"
HEADERS = ("queue.h", "semaphore.h", "pool.h", "topic.h")
BEGIN, END = "<!-- make invariants writes from here -->\n", "<!-- to here -->\n"
LABEL = r"[A-Z]\d+"

# Why no scenario has it; why no model has it: one invariant, or all of a header.
NO_SCENARIO = {
    "L1": "a thread that stays in the list is never joined, which the tests count.",
    "L3": "what is done under a lock is right, but keeps others waiting. The tests look for threads that wait.",
}
NO_MODEL = {
    "I8": "no thread of the models cancels and then sends; the scenarios of `tests/explore/first.c` do.",
    "I9": "the models have no pollables; the scenarios of `tests/explore/pollables.c` have.",
    "semaphore.h": "the models are of channels and select. This header is left to the simulator, which runs the code itself.",
}
NO_MODEL["pool.h"] = NO_MODEL["topic.h"] = NO_MODEL["semaphore.h"]


def invariants():
    """Label -> its header and its first sentence."""
    found = {}
    for header in HEADERS:
        text = (ROOT / header).read_text()
        for label, words in re.findall(r"^ \* (?=....\S)([A-Z]\d+) +(.*(?:\n \*  +\S.*)*)", text, re.M):
            words = re.sub(r"\s*\*/$|\n \* +", lambda m: " " if "\n" in m[0] else "", words)
            if label in found:
                sys.exit(f"{header}: {label} is there twice")
            found[label] = header, re.match(r"(.*?[.:])(?: |$)|(.*)", words)[0].rstrip(" .:")
    return found


def lines(pattern, of):
    """Label and what is said of it, for each place where the files match."""
    for file in sorted((ROOT / "tests").glob(of)):
        for label, name in re.findall(pattern, file.read_text(), re.M):
            yield label, name, file


def scenarios():
    for file in sorted((ROOT / "tests/explore").glob("*.c")):
        above, *scenes = re.split(r"^SCENARIO\((?=\w)", file.read_text(), flags=re.M)
        for scene in scenes:
            comments = "".join(re.findall(r"^/\*.*?\*/", above, re.M | re.S))
            for label in dict.fromkeys(re.findall(rf"\(({LABEL})\)", comments)):
                yield label, re.match(r"\w+", scene)[0], file
            above = scene


def evidence():
    """The columns: for each label what belongs to it, as text."""
    tests, scenes, models, mutants = columns = [{} for _ in range(4)]

    def add(column, label, file, name):
        column.setdefault(label, {}).setdefault(file, []).append(name)

    for label, name, file in lines(rf"^TEST\(({LABEL})_(\w+)\)", "*/t-*.c"):
        add(tests, label, f"`{file.stem}`: ", name.replace("_", " "))
    for label, name, file in scenarios():
        add(scenes, label, f"`{file.name}`: ", name)
    for name, label, file in lines(rf"^ \*   ([A-Z_]+)  +({LABEL})  ", "model/*.pml"):
        add(models, label, f"`{file.name}`: ", name)
    for label, name, file in lines(rf"^mutant ({LABEL}) (.*)", "mutants.txt"):
        add(mutants, label, "", name)
    return columns


def table():
    """The table, and what is wrong with it."""
    known, columns, wrong = invariants(), evidence(), []
    names = ("test", "scenario", "switch of a model", "mutant")
    where = ("tests/*/t-*.c", "tests/explore", "tests/model", "tests/mutants.txt")
    for column, place in zip(columns, where):
        wrong += [f"{place}: {label}: no header has this invariant" for label in column if label not in known]
    wrong += [f"tools/invariants.py: a reason for {of}, which no header has or a model has, too"
              for of in NO_MODEL if of not in HEADERS and (of not in known or of in columns[2])]
    notes = []
    out = ["| invariant | tests | scenarios | models' switches | mutants |", "|---|---|---|---|---|"]
    for label, (header, words) in known.items():
        cells = [f"**{label}** `{header}`<br>{words}"]
        for column, name in zip(columns, names):
            cell = "<br>".join(file + ("<br>" if name == "mutant" else ", " if "model" in name or name == "scenario" else "; ").join(all_)
                               for file, all_ in column.get(label, {}).items())
            reasons = NO_SCENARIO if name == "scenario" else NO_MODEL if "model" in name else {}
            why = reasons.get(label) or reasons.get(header)
            if not cell and why:
                if why not in notes:
                    notes.append(why)
                cell = f"none ({notes.index(why) + 1})"
            if not cell:
                wrong.append(f"{header}: {label} has no {name}")
            cells.append(cell.replace("|", "\\|"))
        out.append("| " + " | ".join(cells) + " |")
    if notes:
        out += [""] + [f"({n}) {why[0].upper()}{why[1:]}" for n, why in enumerate(notes, 1)]
    return "\n".join(out) + "\n", wrong


def main():
    how = sys.argv[1] if len(sys.argv) > 1 else ""
    if len(sys.argv) > 2 or how not in ("", "--check", "--write"):
        sys.exit(__doc__)
    made, wrong = table()
    if not how:
        print(made, end="")
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        wrong.append("docs/testing.md: it has no place for the table: two comments")
    new = before + BEGIN + "\n" + made + "\n" + END + after
    if how == "--check" and not wrong and new != page:
        wrong.append("docs/testing.md: its table is old: make invariants")
    if how == "--write" and not wrong:
        PAGE.write_text(new)
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
