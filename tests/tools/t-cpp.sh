# The headers are C++, too: every standard, each compiler, without a warning. C and C++ share everything. What is wrong is refused.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

many="-Wall -Wextra -Wpedantic -Wold-style-cast -Wconversion -Wshadow -Wzero-as-null-pointer-constant -Werror -pthread -iquote ."
urcu=-lurcu-bp
printf '#include <urcu/urcu-bp.h>\n' | $CC -E -x c - >/dev/null 2>&1 || urcu=-DLEAT_NO_URCU

compilers_cxx() {
    seen=
    for cxx in "$CXX" g++ clang++ clang++-19; do
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
for cxx in $found; do
    for version in 11 14 17 20 23; do
        std=$(standard $cxx $version)
        [ -n "$std" ] || { skip "C++$version, $cxx" "it has none"; continue; }
        check "every call, C++$version, $cxx" checks $cxx $std tests/cpp/calls.cc
        case $version in 14 | 17) continue ;; esac
        check "... beside <atomic> and using namespace std" checks $cxx "$std -DLEAT_NO_URCU" tests/cpp/names.cc
        check "... beside a program's own macros" checks $cxx "$std -DLEAT_NO_URCU -DOWN_MACROS" tests/cpp/names.cc
    done
    for option in LEAT_DEBUG LEAT_NO_FUTEX LEAT_NO_URCU LEAT_ONCE LEAT_LINT "LEAT_ASSERT(x)=((void)(x))"; do
        check "every call with $option, $cxx" checks $cxx "-std=c++11 -D$option" tests/cpp/calls.cc
    done
    check "every call without exceptions, $cxx" checks $cxx "-std=c++11 -fno-exceptions" tests/cpp/calls.cc
done

# One program of both languages.
mixes() { # C++ compiler, C compiler, options
    $2 -std=c11 -O2 -Wall -Wextra -Werror -iquote . $3 -c tests/cpp/mixed.c -o "$tmp/c.o" &&
        $1 -std=c++11 -O2 -Wall -Wextra -Werror -iquote . $3 tests/cpp/mixed.cc "$tmp/c.o" -pthread $urcu -o "$tmp/mixed" && "$tmp/mixed"
}
other() { if [ "$1" = g++ ]; then echo gcc; else echo "$CC"; fi; }
for cxx in $found; do
    check "a file in C and one in C++ share what there is, $cxx" mixes $cxx "$(other $cxx)" "$(echo $urcu | grep -- -D)"
    check "throws and pthread_exit, $cxx" sh -c '$1 -std=c++11 -O2 -Wall -Wextra -Werror -iquote . -pthread tests/cpp/throws.cc -o $2 && $2' - \
        $cxx "$tmp/throws"
done
cxx=$(echo "$found" | head -n 1)
objects() { # options
    $cxx $1 $many tests/cpp/objects.cc -o "$tmp/objects" && "$tmp/objects"
}
check "leat.hpp frees itself, moves messages, runs lambdas, under ASan" objects "-std=c++11 -O1 -g -fsanitize=address,undefined"
check "... at most 250 lines" test "$(wc -l <leat.hpp)" -le 250
for cxx in $found; do
    std=$(standard $cxx 23)
    check "... and C++23, $cxx" $cxx ${std:--std=c++20} $many -fsyntax-only tests/cpp/objects.cc
done
cxx=$(echo "$found" | head -n 1)
check "... with LEAT_ONCE" mixes $cxx "$CC" "-DLEAT_ONCE -ffunction-sections -Wl,--gc-sections"
check "... with LEAT_DEBUG" mixes $cxx "$CC" -DLEAT_DEBUG
check "... with LEAT_NO_FUTEX" mixes $cxx "$CC" -DLEAT_NO_FUTEX

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
    $cxx -std=c++11 -DLEAT_DEBUG -iquote . "$tmp/debug.cc" -pthread -o "$tmp/debug" || return 1
    "$tmp/debug" 2>"$tmp/blame"
    grep 'debug.cc:7: leat: this is a copy of a channel' "$tmp/blame"
}
check "misuse is reported with the program's line" blames

# What is wrong does not compile, and is told why.
says() { # statement, words
    cat >"$tmp/wrong.cc" <<EOF
#include "topic.h"
#include "pool.h"
#include <string>
struct job { int id; };
struct other { int id; };
typedef LEAT_CHAN(job) job_chan;
typedef LEAT_CHAN_FOR(LEAT_ONE_SENDER, job) feed_chan;
void f(job_chan *c, feed_chan *feed, LEAT_TOPIC(job) *t, job *j, const job *k, other *o, void *any, LEAT_CHAN(std::string) *s,
       LEAT_CHAN(const job) *cc, LEAT_CHAN(void *) *v, LEAT_CHAN(other) *oc, leat_pool *p, leat_task *fn, std::string *text)
{
    $1;
}
EOF
    ! $cxx -std=c++11 -w -DLEAT_NO_URCU -iquote . -fsyntax-only "$tmp/wrong.cc" 2>"$tmp/error" && grep "$2" "$tmp/error"
}
pointer="leat: a pointer to the message type"
for cxx in $(echo "$found" | head -n 2); do
    for call in 'leat_send(c, o)' 'leat_send(c, any)' 'leat_recv(c, o)' 'leat_send_ctx(0, c, o)' '(void)leat_try_send(c, c)' \
        '(void)leat_send_many(c, o, 1)' '(void)leat_recv_many_ctx(0, c, o, 1)' 'leat_send(v, j)' 'leat_publish(t, o)' \
        'leat_latest(t, o)' 'LEAT_SEND(c, o)' 'LEAT_RECV(c, o)'; do
        check "$call is refused, $cxx" says "$call" "$pointer"
    done
    check "a message of a const type, $cxx" says 'leat_make(cc, 1)' 'their type cannot be const'
    check "... that is received into, $cxx" says 'leat_recv(c, k)' 'so it cannot be const'
    check "a message that is not trivially copyable, $cxx" says 'leat_make(s, 1)' 'must be trivially copyable'
    check "... a value, $cxx" says 'leat_submit_value(p, fn, text)' 'must be trivially copyable'
    check "a channel of another type, $cxx" says 'leat_subscribe(t, oc, 0)' 'a channel of the message type of the topic'
    check "a channel with an end for one thread, $cxx" says 'leat_subscribe(t, feed, 0)' 'an end for one thread'
    check "a case of a temporary, $cxx" says 'LEAT_SEND(c, job{ 7 })' 'LEAT_SEND'
    check "another object by value, $cxx" says 'leat_send(c, *o)' 'leat_send'
done
finish
