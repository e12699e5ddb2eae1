# For Windows each header compiles strictly, alone and beside <windows.h>, whose names it does not need, and a program needs
# no library but the C library. (Programs run in `make platforms`.)
. tests/lib/tap.sh

strict="-std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -DLEAT_LINT -DLEAT_NO_URCU -iquote ."

cat >"$tmp/uses.c" <<'EOF'
#ifdef WINDOWS_FIRST
#include <windows.h>
#endif
#include "topic.h"
#include "pool.h"
#ifdef WINDOWS_LAST
#include <windows.h>
#elif !defined WINDOWS_FIRST
enum { SIZE, IN, OUT, PATTERN, INFINITE, FALSE, TRUE }; /* names of <windows.h> are the program's */
int Sleep(char *a), WaitOnAddress(char *a), GetLastError(char *a);
#endif
typedef LEAT_CHAN(int) int_chan;
static int adds(leat_ctx *ctx, void *c) { return leat_send_ctx(ctx, (int_chan *)c, &(int){ 7 }); }
int main(void)
{
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_S(60));
    leat_group g = LEAT_GROUP(&ctx);
    leat_pool p;
    int_chan c;
    int a = 0, b = 0;
    if (leat_make(&c, 0) || leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 })) return 1;
    if (leat_cancel_on_signals(&ctx, SIGINT, SIGTERM, 0)) return 2;
    if (leat_go(&g, adds, &c) || leat_submit(&p, adds, &c)) return 3;
    if (leat_recv(&c, &a) || leat_recv_ctx(&ctx, &c, &b) || leat_wait(&g) || leat_pool_stop(&p)) return 4;
    leat_free(&c);
    return a == 7 && b == 7 ? 0 : 5;
}
EOF

compiles() { # compiler, options
    $1 $strict $2 -c "$tmp/uses.c" -o "$tmp/uses.o"
}

alone() { # compiler with options
    for header in queue.h semaphore.h pool.h topic.h; do
        printf '#include "%s"\nint main(void) { return 0; }\n' $header >"$tmp/alone.c"
        $1 $strict -fsyntax-only "$tmp/alone.c" || { echo "$1: $header"; return 1; }
    done
}

dlls() { # compiler: what its program needs at run time
    $1 $strict "$tmp/uses.c" -o "$tmp/uses.exe" || return 1
    "${1%-gcc}-objdump" -p "$tmp/uses.exe" | sed -n 's/.*DLL Name: //p' | grep -v -i -x -e kernel32.dll -e msvcrt.dll \
        -e 'api-ms-win-crt-.*' && return 1
    return 0
}

found=
for machine in x86_64 i686; do
    cc=$machine-w64-mingw32-gcc
    have $cc || continue
    found=yes
    check "each header alone, $cc" alone $cc
    if [ $machine = x86_64 ]; then
        for way in "-O2 -DWINDOWS_FIRST" -DWINDOWS_LAST; do
            check "in a program with <windows.h>, $way" compiles $cc "$way"
        done
    fi
    check "a program has its own names and needs no library that is not linked by itself, $cc" dlls $cc
    if have clang; then
        check "each header alone, clang for $machine" alone "clang --target=$machine-w64-mingw32 \
            -isystem /usr/share/mingw-w64/include"
    fi
done
[ -n "$found" ] || skip "the headers for Windows" "no compiler of mingw-w64"
finish
