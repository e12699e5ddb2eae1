# LEAT_ONCE: a program of many files has the slow paths once, and still works.
. tests/lib/tap.sh

flags="-std=c11 -O2 -DLEAT_ONCE -ffunction-sections -Wl,--gc-sections -pthread -iquote ."

echo '#include <stdio.h>
int f0(void), f1(void), f2(void), f3(void), f4(void), f5(void), f6(void), f7(void);
int main(void) { printf("%d", f0() + f1() + f2() + f3() + f4() + f5() + f6() + f7()); }' >"$tmp/main.c"
for i in 0 1 2 3 4 5 6 7; do
    echo '#include "queue.h"' >"$tmp/f$i.c"
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
    cat "$tmp/body$i" >>"$tmp/f$i.c"
done
{ echo '#include "queue.h"'; cat "$tmp"/body[0-7]; } >"$tmp/all.c"

text() { size "$1" | awk 'NR == 2 { print $1 }'; }
build() { $CC $flags $2 "$tmp/main.c" $3 -o "$tmp/$1"; }
says() { [ "$("$tmp/$1")" = 28 ]; }

check "eight files with a channel each" build many "" "$(echo "$tmp"/f[0-7].c)"
check "one file with eight channels" build one "" "$tmp/all.c"
check "a program of no channel, to be taken off" sh -c "echo 'int main(void) { return 0; }' >$tmp/none.c && $CC $flags $tmp/none.c -o $tmp/none"
check "eight files work" says many
check "one file works" says one
none=$(text "$tmp/none")
many=$(($(text "$tmp/many") - none))
one=$(($(text "$tmp/one") - none))
echo "# text: $many bytes in eight files, $one in one"
check "eight files have at most 1.5 times the code of one" [ $((many * 2)) -le $((one * 3)) ]
check "each file that includes all headers compiles with no warning" \
    sh -c "printf '#include \"pool.h\"\n' >$tmp/p.c && $CC $flags -Wall -Wextra -Wmissing-prototypes -Werror -c $tmp/p.c -o $tmp/p.o"
finish
