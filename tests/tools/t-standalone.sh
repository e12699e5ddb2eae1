# Each header works alone, whatever was included before it, and semaphore.h keeps no one from the system's.
. tests/lib/tap.sh

strict="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"

accepts() { # compiler and options, what to include in which order
    for file in $2; do
        case $file in stdio.h) echo "#include <$file>" ;; *) echo "#include \"$file\"" ;; esac
    done >"$tmp/alone.c"
    echo 'int main(void) { return 0; }' >>"$tmp/alone.c"
    $1 $strict -DLEAT_LINT -iquote . -c "$tmp/alone.c" -o "$tmp/alone.o" || { echo "$1: $2"; return 1; }
}

everywhere() { # compiler, header: alone, twice, <stdio.h> before and after it, strict and not
    for std in "c11" "gnu11" "c11 -D_GNU_SOURCE" "c11 -D_POSIX_C_SOURCE=200809L" "c11 -DLEAT_NO_FUTEX"; do
        for files in "$2" "$2 $2" "stdio.h $2" "$2 stdio.h"; do
            accepts "$1 -std=$std -O2" "$files" || return 1
        done
    done
}

urcu=
printf '#include <urcu/urcu-bp.h>\n' | $CC -E -x c - >/dev/null 2>&1 || urcu=-DLEAT_NO_URCU
for cc in $(compilers); do
    cc="$cc $urcu"
    for header in queue.h semaphore.h pool.h topic.h; do
        check "$header alone, in any company, $cc" everywhere "$cc" $header
        for opt in -O0 -O3; do
            check "$header alone, $cc $opt" accepts "$cc -std=c11 $opt" $header
        done
    done
done

# In a user's program, with whatever warnings it has turned on: the headers as they are, by "" or by -I, and what their
# macros become there.
uses() { # compiler with options, optimizations
    for opt in $2; do
        $1 $opt -c tests/samples/uses.c -o "$tmp/uses.o" || { echo "$1 $opt"; return 1; }
    done
}

many="$strict -Wcast-align -Wcast-qual -Wmissing-prototypes -Wpointer-arith -Wstrict-prototypes -Wswitch-enum -Wundef
    -Wwrite-strings -Wnested-externs -Wredundant-decls -Wc++-compat -Wdeclaration-after-statement -Winline"
gcc_alone="-Wbad-function-cast -Wduplicated-branches -Wduplicated-cond -Wjump-misses-init -Wlogical-op
    -Wold-style-definition -Wstrict-aliasing=1"
clang_alone="-Wno-unknown-warning-option -Watomic-implicit-seq-cst -Wcomma -Wconditional-uninitialized -Wshadow-all
    -Wunreachable-code -Wused-but-marked-unused"
sh tools/single.sh queue.h semaphore.h pool.h >"$tmp/leat.h"
for cc in $(compilers); do
    if $cc -dM -E - </dev/null | grep -q __clang__; then more=$clang_alone; else more=$gcc_alone; fi
    check "no warning that a program may have turned on, $cc" \
        uses "$cc -std=c11 $many $more -DLEAT_NO_URCU -pthread -iquote ." "-O0 -O2 -O3"
    for way in "-I ." "-iquote . -DLEAT_LINT" "-iquote . -DLEAT_NO_FUTEX" "-iquote . -DLEAT_DEBUG" \
        "-iquote . -DLEAT_DEBUG -include assert.h -DLEAT_ASSERT=assert" "-I $tmp -DSINGLE"; do
        check "... with $way" uses "$cc -std=c11 $many $more -DLEAT_NO_URCU -pthread $way" -O2
    done
done

# The warnings are off only in the headers: the lines after them are warned of.
late() { # the header
    printf '#include "%s"\nint f(int n);\nint f(int n)\n{\n    n++;\n    int m = n;\n    return m;\n}\n' "$1" >"$tmp/late.c"
    $cc -std=c11 -iquote . -DLEAT_NO_URCU -Wdeclaration-after-statement -c "$tmp/late.c" -o "$tmp/late.o" 2>&1 |
        grep Wdeclaration-after-statement
}
for cc in $(compilers); do
    for header in queue.h semaphore.h pool.h topic.h; do
        check "the program's own lines are warned of behind $header, $cc" late $header
    done
done

# A result that must be checked is dropped: the compiler warns, whichever header was included, because each includes queue.h.
drops() { # the header, how it is found
    cat >"$tmp/drops.c" <<EOF
#include $1
typedef LEAT_CHAN(int) int_chan;
void drops(int_chan *c);
void drops(int_chan *c) { leat_try_send(c, &(int){ 1 }); }
EOF
    $cc -std=c11 $2 -DLEAT_NO_URCU -pthread -c "$tmp/drops.c" -o "$tmp/drops.o" 2>"$tmp/drops"
    grep Wunused-result "$tmp/drops" || { cat "$tmp/drops"; return 1; }
}
for cc in $(compilers); do
    for header in queue.h semaphore.h pool.h topic.h; do
        check "a dropped result is warned of with only $header, $cc" drops "\"$header\"" "-iquote ."
        check "... and by -I" drops "<$header>" "-I ."
    done
    check "... and in the single file" drops '"leat.h"' "-I $tmp"
    check "a system of one's own may include <semaphore.h>, $cc" $cc -std=gnu11 $strict -I . -iquote tests/lib -pthread \
        -fsyntax-only -x c tests/queue/t-step.c
done

# Two translation units.
cat >"$tmp/one.c" <<'EOF'
#include "pool.h"
#include "queue.h"
#include "semaphore.h"
typedef LEAT_CHAN(int) int_chan;
int other(int_chan *c);
int main(void)
{
    int_chan c;
    int got = 0;
    if (leat_make(&c, 1) || other(&c)) return 1;
    int err = leat_recv(&c, &got);
    leat_free(&c);
    return err || got != 7;
}
EOF
cat >"$tmp/two.c" <<'EOF'
#include "queue.h"
#include "semaphore.h"
#include "pool.h"
typedef LEAT_CHAN(int) int_chan;
int other(int_chan *c);
int other(int_chan *c) { return leat_send(c, &(int){ 7 }); }
EOF
for cc in $(compilers); do
    check "two files link together, $cc" $cc -std=c11 $strict -DLEAT_LINT -iquote . -pthread "$tmp/one.c" "$tmp/two.c" \
        -o "$tmp/two"
    check "... and share a channel" "$tmp/two"
done

# The system's <semaphore.h>, with our folder first on the path.
cat >"$tmp/theirs.c" <<'EOF'
#include <semaphore.h>
int main(void)
{
    sem_t s;
    return sem_init(&s, 0, 1) || sem_wait(&s) || sem_destroy(&s);
}
EOF
{ echo '#include "pool.h"'; cat "$tmp/theirs.c"; } >"$tmp/both.c"
{ cat "$tmp/theirs.c"; echo '#include "pool.h"'; } >"$tmp/late.c"
{ echo '#include "semaphore.h"'; cat "$tmp/theirs.c"; } >"$tmp/quoted.c"
for cc in $(compilers); do
    for std in c11 gnu11; do
        for file in theirs both late quoted; do
            check "sem_t, $file.c, $cc -std=$std" $cc -std=$std -Wall -Wextra -Wpedantic -Werror -I. -pthread \
                "$tmp/$file.c" -o "$tmp/theirs"
        done
    done
    check "... and runs" "$tmp/theirs"
done

cat >"$tmp/theirs.cc" <<'EOF'
#include <semaphore>
#include <thread>
int main()
{
    std::counting_semaphore<8> s(0);
    std::thread t([&] { s.release(); });
    s.acquire();
    t.join();
}
EOF
{ echo '#include <semaphore.h>'; sed 's/int main() {*/sem_t posix;\n&/' "$tmp/theirs.cc"; } >"$tmp/both.cc"
found=
for cxx in $CXX g++ clang++; do
    have $cxx && echo 'int main() {}' | $cxx -std=c++20 -x c++ -fsyntax-only - 2>/dev/null || continue
    case " $found " in *" $cxx "*) continue ;; esac
    found="$found $cxx"
    check "C++20's <semaphore> and <thread>, $cxx" $cxx -std=c++20 -Wall -Wextra -Werror -I. -pthread "$tmp/theirs.cc" \
        -o "$tmp/theirs"
    check "... and run" "$tmp/theirs"
    check "C++ with <semaphore.h>, $cxx" $cxx -std=c++20 -Wall -Wextra -Werror -I. -pthread "$tmp/both.cc" \
        -o "$tmp/theirs"
done
[ -n "$found" ] || skip "C++20 is left in peace" "no C++20 compiler"
finish
