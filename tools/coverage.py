#!/usr/bin/env python3
"""coverage.py - which lines and branches of the headers does no test reach, and why?

    tools/coverage.py       (make coverage)

SPDX-License-Identifier: MIT

Builds the test programs for gcov, once as they are and once with the portable fallback, runs them, and adds up
what each of them reached. A line that none reached must have its reason in tests/uncovered.txt: a
line as it stands in the header, below it the reason, indented. Ends with 1 if one has none.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ("queue.h", "semaphore.h", "pool.h", "topic.h")
OUT = ROOT / "build/coverage"


def collect():
    """Runs everything."""
    builds = []
    for name, defs in (("futex", ""), ("fallback", "-DLEAT_NO_FUTEX")):
        build = OUT / name
        builds.append(build)
        for old in build.rglob("*.gcda"):
            old.unlink()
        status = subprocess.run(["make", "--no-print-directory", "test-c", "faults", "CC=gcc", "OPT=-O0", "SAN=coverage",
                                 f"DEFS={defs}", f"BUILD={build.relative_to(ROOT)}", "WERROR=", "LEAT_TEST_SECONDS=300"], cwd=ROOT).returncode
        if status:
            sys.exit(f"the tests fail ({name})")
    return merged(data for build in builds for data in build.rglob("*.gcda"))


def merged(all_data):
    """What gcov says of each program, added up: (header, line) -> how often, and how often each branch."""
    lines = {}
    for data in all_data:
        said = subprocess.run(["gcov", "--branch-probabilities", "--json-format", "--stdout", data], cwd=OUT, check=True,
                              stdout=subprocess.PIPE).stdout
        for file in json.loads(said)["files"]:
            if (ROOT / file["file"]).resolve() not in [ROOT / h for h in HEADERS]:
                continue
            for line in file["lines"]:
                at = lines.setdefault((Path(file["file"]).name, line["line_number"]), [0, []])
                branches = [b["count"] for b in line["branches"] if not b["throw"]]
                at[0] += line["count"]
                at[1] += [0] * (len(branches) - len(at[1]))
                for n, count in enumerate(branches):
                    at[1][n] += count
    return lines


def reasons():
    """Source line -> reason."""
    found = {}
    for block in re.split(r"\n\n+", (ROOT / "tests/uncovered.txt").read_text()):
        lines = [line for line in block.split("\n") if line and not line.startswith("#")]
        sources = [line for line in lines if not line.startswith(" ")]
        for source in sources:
            found[source] = " ".join(line.strip() for line in lines if line.startswith(" "))
    return found


def main():
    os.makedirs(OUT, exist_ok=True)
    why, used, bad = reasons(), set(), 0
    found = collect()
    total = {"lines": [0, 0], "branches": [0, 0]}
    for header in HEADERS:
        source = (ROOT / header).read_text().split("\n")
        counts = {"lines": [0, 0], "branches": [0, 0]}
        for number in sorted(number for name, number in found if name == header):
            count, branches = found[header, number]
            text = source[number - 1].strip()
            missed = [n for n, taken in enumerate(branches, 1) if not taken]
            counts["lines"][0] += count > 0
            counts["lines"][1] += 1
            counts["branches"][0] += len(branches) - len(missed)
            counts["branches"][1] += len(branches)
            if count and not missed:
                continue
            what = "line" if not count else "branch " + ", ".join(map(str, missed)) + f" of {len(branches)}"
            if text in why:
                used.add(text)
            else:
                bad += 1
                print(f"{header}:{number}: no test reaches {what}, and no reason is given\n    {text}")
        for kind, (reached, of) in counts.items():
            total[kind][0] += reached
            total[kind][1] += of
        print(f"# {header:12} " + say(counts))
    print(f"# {'all':12} " + say(total))
    for text in set(why) - used:
        print(f"# tests/uncovered.txt: this time it was reached: {text}")
    print(f"# {len(used)} lines not reached in full for a reason, {bad} for none")
    return bad > 0


def say(counts):
    return ", ".join(f"{of:5} {kind}, {100 * reached / max(of, 1):.1f} % reached" for kind, (reached, of) in counts.items())


if __name__ == "__main__":
    sys.exit(main())
