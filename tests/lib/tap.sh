# tap.sh - TAP for shell tests. They run from the root of the repository, with CC, CXX and BUILD set:
#
#     . tests/lib/tap.sh
#     check "what would be lost" command ...     # ok if it succeeds; else its output is shown
#     refuse "what must not be" command ...      # ok if it fails, but not by a signal
#     finish
#
# $tmp is a folder that is removed at the end.  SPDX-License-Identifier: MIT
: "${CC:=cc}" "${CXX:=c++}" "${BUILD:=build}"
tap_n=0 tap_bad=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

tap_says() { # yes|no name
    tap_n=$((tap_n + 1))
    if [ "$1" = yes ]; then echo "ok $tap_n - $2"; return; fi
    tap_bad=1
    echo "not ok $tap_n - $2"
    { echo "$0: $2:"; head -n 40 "$tmp/said"; } | sed 's/^/# /' >&2
}

check() {
    tap_name=$1
    shift
    if "$@" >"$tmp/said" 2>&1; then tap_says yes "$tap_name"; else tap_says no "$tap_name"; fi
}

refuse() {
    tap_name=$1
    shift
    "$@" >"$tmp/said" 2>&1
    case $? in
    0) echo "it was accepted: $*" >>"$tmp/said"; tap_says no "$tap_name" ;;
    1?? | 2??) tap_says no "$tap_name" ;;
    *) tap_says yes "$tap_name" ;;
    esac
}

skip() { # name, why
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}

skip_all() { # why
    echo "1..0 # SKIP $1"
    exit 0
}

have() {
    command -v "$1" >/dev/null
}

# The compilers of this machine: $CC, and gcc and clang if that is not one of them.
compilers() {
    echo "$CC"
    for c in gcc clang; do
        if have $c && ! same_program $c "$CC"; then echo $c; fi
    done
}

same_program() {
    [ "$(readlink -f "$(command -v "$1")")" = "$(readlink -f "$(command -v "$2")")" ]
}

# The programs that a page shows between ```c and ```, each written to a folder. A program begins with its name: /* x.c - ...
# Prints the names.
programs_of() { # page, folder
    awk -v into="$2/" '/^```c$/ { inside = 1; file = ""; next } /^```$/ { inside = 0 }
        inside && !file && /^\/\* [a-z0-9-]*\.c - / { file = into $2; print $2 } inside && file { print >file }' "$1"
}

finish() {
    echo "1..$tap_n"
    exit $tap_bad
}
