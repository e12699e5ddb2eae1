#!/usr/bin/env python3
"""coverage.py - which lines and branches of the headers does no test reach, and why?

    tools/coverage.py       (make coverage)

SPDX-License-Identifier: MIT

Builds the test programs for gcov, once as they are and once with the portable fallback, runs them, and lets
gcovr add up what each of them reached. What nobody reached must have its reason in tests/uncovered.txt: a
line as it stands in the header, below it the reason, indented. Ends with 1 if one has none.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ("queue.h", "semaphore.h", "pool.h")
OUT = ROOT / "build/coverage"


def collect():
    """Runs everything; the gcovr report as a dictionary."""
    builds = []
    for name, defs in (("futex", ""), ("fallback", "-DLEAT_NO_FUTEX")):
        build = OUT / name
        builds.append(build)
        for old in build.rglob("*.gcda"):
            old.unlink()
        status = subprocess.run(["make", "--no-print-directory", "test-c", "CC=gcc", "OPT=-O0", "SAN=coverage",
                                 f"DEFS={defs}", f"BUILD={build.relative_to(ROOT)}", "WERROR=", "LEAT_TEST_SECONDS=300"], cwd=ROOT).returncode
        if status:
            sys.exit(f"the tests fail ({name})")
    report = OUT / "report.json"
    subprocess.run(["gcovr", "--root", ROOT, "--exclude-unreachable-branches", "--exclude-throw-branches",
                    "--merge-mode-functions", "merge-use-line-0", "--gcov-ignore-parse-errors", "-j", "2",
                    *[a for h in HEADERS for a in ("--filter", str(ROOT / h))], "--json", report, "--txt",
                    OUT / "report.txt", *builds], check=True, cwd=ROOT)
    return json.loads(report.read_text())


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
    total = {"lines": [0, 0], "branches": [0, 0]}
    for file in collect()["files"]:
        source = (ROOT / file["file"]).read_text().split("\n")
        counts = {"lines": [0, 0], "branches": [0, 0]}
        for line in file["lines"]:
            if line.get("gcovr/noncode"):
                continue
            text = source[line["line_number"] - 1].strip()
            missed = [n for n, b in enumerate(line["branches"], 1) if not b["count"]]
            counts["lines"][0] += line["count"] > 0
            counts["lines"][1] += 1
            counts["branches"][0] += len(line["branches"]) - len(missed)
            counts["branches"][1] += len(line["branches"])
            if line["count"] and not missed:
                continue
            what = "line" if not line["count"] else "branch " + ", ".join(map(str, missed)) + f" of {len(line['branches'])}"
            if text in why:
                used.add(text)
            else:
                bad += 1
                print(f"{file['file']}:{line['line_number']}: no test reaches {what}, and nobody says why\n    {text}")
        for kind, (reached, of) in counts.items():
            total[kind][0] += reached
            total[kind][1] += of
        print(f"# {file['file']:12} " + say(counts))
    print(f"# {'all':12} " + say(total))
    for text in set(why) - used:
        print(f"# tests/uncovered.txt: this time it was reached: {text}")
    print(f"# {len(used)} lines not reached in full for a reason, {bad} for none")
    return bad > 0


def say(counts):
    return ", ".join(f"{of:5} {kind}, {100 * reached / max(of, 1):.1f} % reached" for kind, (reached, of) in counts.items())


if __name__ == "__main__":
    sys.exit(main())
