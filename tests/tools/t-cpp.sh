# The headers are C++, too: every standard, each compiler, without a warning. C and C++ share everything. What is wrong is refused.
# SPDX-License-Identifier: MIT
#
# The oldest standard and the newest, with g++ and clang++. FULL=1: each of the five, clang++-19 too, sanitizers, each option as
# a program (make platforms).
. tests/lib/tap.sh

many="-Wall -Wextra -Wpedantic -Wold-style-cast -Wconversion -Wshadow -Wzero-as-null-pointer-constant -Werror -pthread -iquote ."
urcu=-lurcu-bp
printf '#include <urcu/urcu-bp.h>\n' | $CC -E -x c - >/dev/null 2>&1 || urcu=-DLEAT_NO_URCU

compilers_cxx() {
    seen=
    for cxx in "$CXX" g++ clang++ ${FULL:+clang++-19}; do
        have $cxx || continue
        case " $seen " in *" $(readlink -f "$(command -v $cxx)") "*) continue ;; esac
        seen="$seen $(readlink -f "$(command -v $cxx)")"
        echo $cxx
    done
}
is_clang() { $1 -dM -E -x c++ - </dev/null | grep -q __clang__; }
checks() { # compiler, options, file: the syntax alone
    is_clang "$1" || set -- "$1" "$2 -Wuseless-cast" "$3"
    $1 $2 $many -fsyntax-only "$3"
}
standard() { # compiler, standard: its flag, which may be one of a draft
    for std in $2 $(echo $2 | tr 03 ab | sed 's/1[47]/&/'); do
        echo | $1 -std=c++$std -fsyntax-only -x c++ - 2>/dev/null && { echo "-std=c++$std"; return; }
    done
}

found=$(compilers_cxx)
[ -n "$found" ] || skip_all "no C++ compiler"
one=$(echo "$found" | head -n 1)
printf '#include "tests/cpp/names.cc"\n#include "tests/cpp/calls.cc"\n#include "tests/cpp/objects.cc"\n' >"$tmp/all.cc"
for cxx in $found; do
    for version in 11 ${FULL:+14 17 20} 23; do
        std=$(standard $cxx $version)
        [ -n "$std" ] || { skip "C++$version, $cxx" "it has none"; continue; }
        check "every call, leat.hpp, beside <atomic> and using namespace std, C++$version, $cxx" checks $cxx "$std -DLEAT_NO_URCU" "$tmp/all.cc"
        [ -n "${FULL-}" ] || [ $version = 11 ] || continue
        check "every call, with urcu, C++$version, $cxx" checks $cxx $std tests/cpp/calls.cc
        check "... beside a program's own macros" checks $cxx "$std -DLEAT_NO_URCU -DOWN_MACROS" tests/cpp/names.cc
    done
done
all=$one
[ -z "${FULL-}" ] || all=$found
for cxx in $all; do
    for option in LEAT_DEBUG LEAT_NO_FUTEX LEAT_ONCE LEAT_LINT "LEAT_ASSERT(x)=((void)(x))"; do
        check "every call with $option, $cxx" checks $cxx "-std=c++11 -D$option" tests/cpp/calls.cc
    done
    check "every call without exceptions, $cxx" checks $cxx "-std=c++11 -fno-exceptions" tests/cpp/calls.cc
done

# One program of both languages.
mixes() { # C++ compiler, options
    c=$CC
    [ "$1" != g++ ] || c=gcc
    set -- "$1" "$(echo $urcu | grep -- -D) $2" $c
    $3 -std=c11 -Wall -Wextra -Werror -iquote . $2 -c tests/cpp/mixed.c -o "$tmp/c.o" &&
        $1 -std=c++11 -Wall -Wextra -Werror -iquote . $2 tests/cpp/mixed.cc "$tmp/c.o" -pthread $urcu -o "$tmp/mixed" && "$tmp/mixed"
}
throws() { # compiler, options
    $1 -std=c++11 $2 -Wall -Wextra -Werror -iquote . -pthread tests/cpp/throws.cc -o "$tmp/throws" && "$tmp/throws"
}
objects() { # compiler, options
    $1 $2 $many -fno-exceptions -c tests/cpp/without.cc -o "$tmp/without.o" &&
        $1 $2 $many "$tmp/without.o" tests/cpp/objects.cc -o "$tmp/objects" && "$tmp/objects"
}
for cxx in $found; do
    check "a file in C and one in C++ share what there is, $cxx" mixes $cxx -O0
    [ -n "${FULL-}" ] || [ $cxx = $one ] || continue
    check "throws and pthread_exit, $cxx" throws $cxx -O0
    check "leat.hpp frees itself, moves messages, runs lambdas, under ASan, $cxx" objects $cxx "-std=c++11 -O0 -fsanitize=address"
    [ -n "${FULL-}" ] || continue
    check "... under UBSan" objects $cxx "-std=c++11 -O1 -fsanitize=undefined"
    check "... under TSan" objects $cxx "-std=c++11 -O1 -fsanitize=thread"
    check "throws under ASan" throws $cxx "-O1 -fsanitize=address,undefined"
    check "throws under TSan" throws $cxx "-O1 -fsanitize=thread"
    for option in -O2 -fno-exceptions "-DLEAT_ONCE -O1 -ffunction-sections -Wl,--gc-sections" -DLEAT_DEBUG -DLEAT_NO_FUTEX; do
        check "C and C++ with $option, $cxx" mixes $cxx "$option"
    done
done
check "a LEAT_CUSTOM_OS is the same text in C and in C++" mixes $one '-O0 -D_GNU_SOURCE -DLEAT_NO_URCU -DLEAT_CUSTOM_OS="tests/cpp/own_os.h"'
check "leat.hpp has at most 250 lines" test "$(wc -l <leat.hpp)" -le 250

# The linker of gcc compares the types of C and of C++.
lto="-O1 -flto=1 -Wodr -Wlto-type-mismatch"
if have g++ && have gcc && echo 'int main() {}' | g++ -x c++ $lto - -o "$tmp/lto" 2>/dev/null; then
    check "-flto finds no type that differs" mixes g++ "$lto"
else
    skip "-flto finds no type that differs" "g++ has no -flto"
fi

# Every struct has its place for every field in both languages. An assembler's text tells, so no program is to run.
layout() { # compiler, options: the numbers
    $1 -w -O1 -S -pthread -iquote . -DLEAT_NO_URCU $2 -o "$tmp/layout.s" && sed -n '/^leat_layout:/,/\.size/p' "$tmp/layout.s" |
        awk '$1 ~ /^\.(long|4byte)$/ { print $2 } $1 == ".zero" { print }'
}
same_layout() { # C compiler, C++ compiler
    layout $1 "-std=c11 -x c $tmp/layout.c" >"$tmp/in.c" && layout $2 "-std=c++11 -x c++ $tmp/layout.c" >"$tmp/in.cc" &&
        test "$(wc -l <"$tmp/in.c")" -gt 300 && diff "$tmp/in.c" "$tmp/in.cc"
}
if have python3; then
    python3 tests/cpp/layout.py >"$tmp/layout.c"
    for cxx in $found; do check "each struct is the same in C and in C++, $cxx" same_layout "$CC" $cxx; done
    if have i686-linux-gnu-g++; then check "... in 32 bits" same_layout i686-linux-gnu-gcc i686-linux-gnu-g++
    else skip "... in 32 bits" "no i686-linux-gnu-g++"
    fi
else
    skip "each struct is the same in C and in C++" "no python3"
fi

# A static object costs nothing at the start.
cat >"$tmp/static.cc" <<'EOF'
#include "topic.h"
#include "pool.h"
static int fn(leat_ctx *, void *) { return 0; }
struct mine { leat_sem sem = LEAT_SEM(4); leat_group group = LEAT_GROUP(nullptr); leat_ctx ctx = LEAT_CTX(nullptr); leat_wg wg = LEAT_WG(0); };
extern leat_ctx ctx;
leat_ctx ctx = LEAT_CTX(nullptr), below = LEAT_CTX(&ctx);
leat_group group = LEAT_GROUP(&ctx);
leat_sem sem = LEAT_SEM(8), most = LEAT_SEM_OF(3, LEAT_SEM_MAX);
leat_wg wg = LEAT_WG(2);
leat_job job = LEAT_JOB(fn, &ctx);
LEAT_CHAN(int) ints;
LEAT_TOPIC(int) topic;
leat_pool pool;
mine all;
EOF
initialises() { # a function of a static initialiser has such a name in gcc and in clang
    $1 -std=c++11 -O0 -pthread -iquote . -DLEAT_NO_URCU -S "$tmp/static.cc" -o "$tmp/static.s" && ! grep -E '_GLOBAL__(sub_)?I|__cxx_global_var_init' "$tmp/static.s"
}
for cxx in $found; do check "static objects are constants, $cxx" initialises $cxx; done

# LEAT_DEBUG names the line of the program.
cat >"$tmp/debug.cc" <<'EOF'
#include "queue.h"
int main()
{
    LEAT_CHAN(int) c, copy;
    (void)leat_make(&c, 1);
    copy = c;
    return leat_send(&copy, 7);
}
EOF
blames() {
    $one -std=c++11 -DLEAT_DEBUG -iquote . "$tmp/debug.cc" -pthread -o "$tmp/debug" || return 1
    "$tmp/debug" 2>"$tmp/blame"
    grep 'debug.cc:7: leat: this is a copy of a channel' "$tmp/blame"
}
check "misuse is reported with the program's line" blames

# The examples of docs/cpp.md: a whole program, and what is in two functions.
awk 'BEGIN { print "#include \"leat.hpp\"" }
     /^```cpp/ { inside = 1; if (++n == 2) print "static job_chan acks;\nstatic int run(const job &) { return 0; }"
                 if (n > 1) print "void page" n "(std::unique_ptr<job> last);\nvoid page" n "(std::unique_ptr<job> last)\n{ (void)last;"; next }
     /^```/ { if (inside && n > 1) print "(void)" (n == 2 ? "which, (void)err" : "err") "; }"; inside = 0 }
     inside && (n == 1 || !/^#include/)' docs/cpp.md >"$tmp/page.cc"
check "the examples of docs/cpp.md compile" $one -std=c++11 -Wall -Wextra -Werror -pthread -iquote . -Iinclude -fsyntax-only "$tmp/page.cc"
newcomer() { # takes the first, and the command as it stands there
    mkdir "$tmp/new" && ln -s "$PWD" "$tmp/new/leat" && awk '/^```/ { n++; next } n == 1' docs/cpp.md >"$tmp/new/main.cc" &&
        command=$(sed -n 's/.*`c++ \(-std=[^`]* main\.cc\)`.*/\1/p' docs/cpp.md) && (cd "$tmp/new" && $1 $command && ./a.out)
}
check "... and the first is a program by the command beside it" newcomer $one

# What is wrong does not compile, and is told why. All of it is compiled at once: each line must be in the report, and each
# sentence as often as it is here. other<N> is a type of its own for each line.
cat >"$tmp/wrong" <<'EOF'
a pointer to the message type|leat_send(c, o)
a pointer to the message type|leat_send(c, any)
a pointer to the message type|leat_recv(c, o)
a pointer to the message type|leat_send_ctx(0, c, o)
a pointer to the message type|(void)leat_try_send(c, c)
a pointer to the message type|(void)leat_send_many(c, o, 1)
a pointer to the message type|(void)leat_recv_many_ctx(0, c, o, 1)
a pointer to the message type|leat_send(v, j)
a pointer to the message type|leat_publish(t, o)
a pointer to the message type|leat_latest(t, o)
a pointer to the message type|LEAT_SEND(c, o)
a pointer to the message type|LEAT_RECV(c, o)
their type cannot be const|leat_make(cc, 1)
so it cannot be const|leat_recv(c, k)
must be trivially copyable|leat_make(s, 1)
a value is copied as bytes|leat_submit_value(p, fn, text)
a channel of the message type of the topic|leat_subscribe(t, oc, 0)
an end for one thread|leat_subscribe(t, feed, 0)
LEAT_SEND|LEAT_SEND(c, job{ 7 })
leat_send|leat_send(c, *o)
must be movable without an exception|leat::chan<throws_when_moved> it
EOF
{
    cat <<'EOF'
#include "topic.h"
#include "leat.hpp"
#include <string>
struct job { int id; };
template <int> struct other { int id; };
struct throws_when_moved { throws_when_moved(throws_when_moved &&); };
typedef LEAT_CHAN(job) job_chan;
typedef LEAT_CHAN_FOR(LEAT_ONE_SENDER, job) feed_chan;
typedef LEAT_TOPIC(job) topic;
#define WITH(N) job_chan *c, feed_chan *feed, topic *t, job *j, const job *k, other<N> *o, void *any, LEAT_CHAN(std::string) *s, \
    LEAT_CHAN(const job) *cc, LEAT_CHAN(void *) *v, LEAT_CHAN(other<0>) *oc, leat_pool *p, leat_task *fn, std::string *text
EOF
    n=0
    while IFS='|' read -r words call; do
        n=$((n + 1))
        echo "void f$n(WITH($n)) { $call; }"
    done <"$tmp/wrong"
} >"$tmp/wrong.cc"
refuses() { # compiler
    all=-fmax-errors=0
    ! is_clang $1 || all=-ferror-limit=0
    ! $1 -std=c++11 -w $all -DLEAT_NO_URCU -iquote . -fsyntax-only "$tmp/wrong.cc" >"$tmp/error" 2>&1 || return 1
    line=$(grep -n 'void f1(' "$tmp/wrong.cc" | cut -d: -f1) bad=0
    while IFS='|' read -r words call; do
        grep -q "wrong.cc:$line:" "$tmp/error" || { echo "accepted: $call"; bad=1; }
        told=$(grep -c "error:.*$words" "$tmp/error") wrong=$(grep -c "^$words|" "$tmp/wrong")
        [ "$told" -ge "$wrong" ] || { echo "$told of $wrong are told: $words"; bad=1; }
        line=$((line + 1))
    done <"$tmp/wrong"
    return $bad
}
for cxx in $found; do check "what is wrong is refused, and told why, $cxx" refuses $cxx; done
finish
