#!/bin/sh
# lint.sh FILE ... - what the tools that are installed report. They advise, only the layout is binding.
# SPDX-License-Identifier: MIT
set -u
bad=0
have() { command -v "$1" >/dev/null; }

if have clang-format; then
    for file in "$@"; do
        lines=$(clang-format "$file" | diff "$file" - | grep -c '^<')
        [ "$lines" -eq 0 ] || { echo "$file: clang-format would change $lines lines: make format"; bad=1; }
    done
fi
if have cppcheck; then
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr -DLEAT_LINT \
        -Itests/lib --suppress=missingIncludeSystem --suppress=internalAstError "$@"
fi
if have cppcheck; then # as a program that includes the headers sees them: not one finding, and all of it parsed
    cppcheck --quiet --std=c11 --enable=warning,portability --suppress=toomanyconfigs -I. queue.h semaphore.h pool.h topic.h
fi
if have clang-tidy; then
    unsafe=-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
    noise=-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-bugprone-macro-parentheses
    for file in queue.h semaphore.h pool.h topic.h; do
        clang-tidy --quiet --checks="-*,bugprone-*,clang-analyzer-*,$noise,$unsafe" \
            "$file" -- -x c -std=c11 -DLEAT_LINT 2>/dev/null | grep -A2 warning:
    done
fi
exit $bad
