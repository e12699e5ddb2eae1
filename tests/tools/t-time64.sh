# The clock and deadlines are right whatever the options of the C library say of the size of a time: on 32 bits it may
# have 64, and functions have other names then, but not where strict -std=c11 hides them.
. tests/lib/tap.sh

cat >"$tmp/theirs.c" <<'EOF'
#define _GNU_SOURCE
#include <time.h>
long long theirs(void);
long long theirs(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}
EOF
cat >"$tmp/ours.c" <<'EOF'
#include "queue.h"
typedef LEAT_CHAN(int) int_chan;
long long theirs(void);
static bool late(int64_t t) /* not far, and not before */
{
    int64_t now = theirs();
    return t <= now && t > now - LEAT_S(10);
}
int main(void)
{
    int_chan c;
    int m;
    int64_t last = leat_now();
    for (int i = 0; i < 1000; i++) {
        int64_t before = theirs(), now = leat_now();
        if (now < last || now < before || !late(now) || !late(leat_os_coarse_now_())) return 1;
        last = now;
    }
    if (leat_make(&c, 1)) return 2;
    int64_t begun = theirs();
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_MS(20));
    if (leat_recv_ctx(&ctx, &c, &m) != -ETIMEDOUT || !late(begun + LEAT_MS(20))) return 3;
    if (leat_sleep(LEAT_MS(1200)) || !late(begun + LEAT_MS(1220))) return 4; /* more than a second, too */
    leat_free(&c);
    return 0;
}
EOF

keeps_time() { # compiler, options
    cc=$1
    shift
    $cc -std=gnu11 "$@" -c "$tmp/theirs.c" -o "$tmp/theirs.o" &&
        $cc -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror "$@" -iquote . -c "$tmp/ours.c" \
            -o "$tmp/ours.o" && # -pthread says more than what to link with
        $cc -static "$tmp/ours.o" "$tmp/theirs.o" -pthread -o "$tmp/ours" && "$tmp/ours" || { echo "$cc $*: $?"; return 1; }
}

found=
for cc in "$CC -m32" i686-linux-gnu-gcc; do
    echo 'int main(void) { return 0; }' >"$tmp/empty.c"
    $cc -static "$tmp/empty.c" -o "$tmp/empty" 2>/dev/null && "$tmp/empty" 2>/dev/null || continue
    found=yes
    for time64 in '' '-D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64'; do
        for futex in '' -DLEAT_NO_FUTEX; do
            for pthread in '' -pthread; do
                check "$cc $time64 $futex $pthread" keeps_time "$cc" -O2 $time64 $futex $pthread
            done
        done
    done
done
[ -n "$found" ] || skip "32 bits with 64-bit time" "no compiler that makes programs of 32 bits, and runs them"
check "$CC, as it is" keeps_time "$CC" -O2
finish
