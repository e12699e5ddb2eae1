# size.sh - how many bytes of code each file that uses a channel adds to a program: as it is, and with LEAT_ONCE.
# SPDX-License-Identifier: MIT
set -eu
CC=${CC:-cc}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
flags="-std=c11 -O2 -pthread -iquote . -ffunction-sections -Wl,--gc-sections"

text() { # options, sources: bytes of a program of them, which must say 28
    $CC $flags "$@" "$tmp/main.c" -o "$tmp/program"
    [ "$("$tmp/program")" = 28 ]
    size "$tmp/program" | awk 'NR == 2 { print $1 }'
}

for i in 0 1 2 3 4 5 6 7; do
    cat >"$tmp/body$i" <<END
typedef LEAT_CHAN(int) chan$i;
int f$i(void);
int f$i(void)
{
    chan$i c;
    int m = $i, n = -1;
    if (leat_make(&c, 4)) return -1;
    if (leat_send(&c, &m) || leat_recv(&c, &n) || leat_close(&c) || leat_recv(&c, &n) != -EPIPE) n = -1;
    leat_free(&c);
    return n;
}
END
    { echo '#include "queue.h"'; cat "$tmp/body$i"; } >"$tmp/f$i.c"
    echo "int f$i(void) { return $i; }" >>"$tmp/none.c"
    calls="${calls:+$calls + }f$i()"
    declared="${declared:+$declared, }f$i(void)"
done
{ echo '#include "queue.h"'; cat "$tmp"/body[0-7]; } >"$tmp/all.c"
printf '#include <stdio.h>\nint %s;\nint main(void) { printf("%%d", %s); }\n' "$declared" "$calls" >"$tmp/main.c"

none=$(text "$tmp/none.c")
echo "bytes of code for eight channels"
echo "                    as it is    LEAT_ONCE"
for what in "all.c:in one file" "f[0-7].c:in eight files"; do
    files=$(echo "$tmp"/${what%%:*})
    as_it_is=$(text $files)
    once=$(text -DLEAT_ONCE $files)
    printf '%-18s %9d %12d\n' "${what#*:}" $((as_it_is - none)) $((once - none))
done
