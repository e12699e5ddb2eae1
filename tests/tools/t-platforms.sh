# Each system's page of part 1 of queue.h, and of pool.h, compiles without a warning and does what it promises, with
# stand-ins for the calls of the systems that are not here (tests/systems/).
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

[ "$(uname -s)" = Linux ] || skip_all "the stand-ins are made of Linux's futex"
$CC -std=gnu11 -iquote tests/lib -c tests/lib/tap.c -o "$tmp/tap.o" || exit 1

# gnu11: elsewhere strict C does not hide what POSIX has.
runs() { # the folder in tests/systems, options
    system=$1
    shift
    $CC -std=gnu11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -pthread -U__linux__ -U__linux -Ulinux \
        -isystem "tests/systems/$system" -DLEAT_LINT -iquote . -iquote tests/lib "$@" \
        tests/samples/systems.c "$tmp/tap.o" -o "$tmp/systems" &&
        timeout 100 "$tmp/systems"
}

# In C++ as well, but not run.
compiles() { # the folder in tests/systems, options
    system=$1
    shift
    echo '#include "pool.h"' >"$tmp/page.cc"
    $CXX -std=gnu++11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -U__linux__ -U__linux -Ulinux \
        -isystem "tests/systems/$system" -iquote . "$@" -fsyntax-only "$tmp/page.cc"
}

while read -r name options; do
    # shellcheck disable=SC2086
    check "the page for $name compiles and keeps its promises" runs $options
    have "$CXX" && check "... and compiles in C++" compiles $options
done <<'EOF'
macOS-14.4 macos -D__APPLE__ -DSYSTEMS_MACOS=140400
macOS-11 macos -D__APPLE__ -DSYSTEMS_MACOS=110000
macOS-with-pthreads macos -D__APPLE__ -DSYSTEMS_MACOS=110000 -DLEAT_NO_FUTEX
FreeBSD freebsd -D__FreeBSD__=14
OpenBSD openbsd -D__OpenBSD__
NetBSD netbsd -D__NetBSD__
DragonFly-BSD dragonfly -D__DragonFly__
WebAssembly emscripten -D__EMSCRIPTEN__
any-other-system none
EOF
finish
