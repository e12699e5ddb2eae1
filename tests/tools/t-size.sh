# LEAT_ONCE: a program of many files has the slow paths once, and still works.
. tests/lib/tap.sh

check "eight files with a channel each, and one with eight, as it is and with LEAT_ONCE" sh -c "sh bench/size.sh >'$tmp/sizes'"
sed 's/^/# /' "$tmp/sizes"
of() { awk -v what="$1" -v column="$2" '$0 ~ what { print $(NF - 2 + column) }' "$tmp/sizes"; }
check "with it eight files have at most 1.5 times the code of one" [ $(($(of "eight files" 2) * 2)) -le $(($(of "one file" 2) * 3)) ]
check "without it they have more, or this test measures nothing" [ $(($(of "eight files" 1) * 2)) -gt $(($(of "one file" 1) * 3)) ]
for header in queue.h semaphore.h pool.h; do
    echo "#include \"$header\"" >"$tmp/p.c"
    check "$header with it gives no warning" $CC -std=c11 -O2 -DLEAT_ONCE -DLEAT_LINT -pthread -iquote . -Wall -Wextra \
        -Wmissing-prototypes -Wmissing-declarations -Werror -c "$tmp/p.c" -o "$tmp/p.o"
done

$CC -std=c11 -O0 -pthread -iquote . -c "$tmp/p.c" -o "$tmp/p.o"
check "pool.h at -O0 has no slow path that nothing calls" [ "$(size "$tmp/p.o" | awk 'NR == 2 { print $1 }')" -lt 30000 ]

# LEAT_DECLARED: one file has the slow paths for the others, which have none.
for kind in pool group chan; do
    case $kind in
    pool) body='leat_pool p; int err = leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 2 });
        return err || leat_submit(&p, task, n) || leat_pool_stop(&p);' ;;
    group) body='leat_group g = LEAT_GROUP(NULL); return leat_go(&g, task, n) || leat_wait(&g);' ;;
    chan) body='LEAT_CHAN(int) c; return leat_make(&c, 1) || leat_send(&c, n) || leat_recv(&c, n) || (leat_free(&c), 0);' ;;
    esac
    printf '#include "pool.h"\nint try_%s(leat_task *task, int *n);\nint try_%s(leat_task *task, int *n)\n{\n%s (void)task;\n}\n' \
        $kind $kind "$body" >"$tmp/$kind.c"
done
cat >"$tmp/main.c" <<'END'
#include "pool.h"
int try_pool(leat_task *, int *), try_group(leat_task *, int *), try_chan(leat_task *, int *);
static int task(leat_ctx *ctx, void *n)
{
    ++*(int *)n;
    return leat_ctx_err(ctx);
}
int main(void)
{
    int n = 0;
    return try_pool(task, &n) || try_group(task, &n) || try_chan(task, &n) || n != 2;
}
END
printf '#undef LEAT_DECLARED\n#define LEAT_ONCE\n#include "pool.h"\n' >"$tmp/leat.c"

compiled() { # options, names: compiled with LEAT_DECLARED into $tmp
    options=$1
    shift
    for name; do
        $CC -std=c11 $options -DLEAT_DECLARED -DLEAT_LINT -pthread -iquote . -Wall -Wextra -Wpedantic -Wmissing-prototypes \
            -Wmissing-declarations -Werror -ffunction-sections -c "$tmp/$name.c" -o "$tmp/$name.o" || return
    done
}
linked() { # options, names
    options=$1
    shift
    objects=
    for name; do objects="$objects $tmp/$name.o"; done
    $CC $options -pthread -Wl,--gc-sections $objects -o "$tmp/program"
}
runs() {
    compiled "$1" main pool group chan leat && linked "$1" main pool group chan leat && "$tmp/program"
}
has_none() { # the slow paths are in leat.o, and in none of the others
    nm "$tmp/leat.o" | grep -q " [TtW] leat_select_which_" && ! nm "$tmp/main.o" "$tmp/pool.o" "$tmp/group.o" "$tmp/chan.o" |
        grep " [TtW] leat_\(select_which_\|pool_start\|on_signal_\|os_begin_\)"
}
names_it() {
    linked "" main pool group chan >"$tmp/why" 2>&1 && return 1
    grep -q "undefined.*leat_pool_start" "$tmp/why"
}
for options in "-O0 -fsanitize=address" -O2; do
    check "a program of five files works, of which one has the slow paths ($options)" runs "$options"
    check "... and the others have none of them" has_none
done
check "... and has none of them inlined" [ "$(size "$tmp/pool.o" | awk 'NR == 2 { print $1 }')" -lt 2000 ]
check "without that file the linker names what is missing" names_it
printf '#include "topic.h"\n' >"$tmp/topic.c"
check "topic.h is declared without a warning, too" compiled "-O2 -DLEAT_NO_URCU" topic
printf '#include "queue.h"\ntypedef LEAT_CHAN(int) chan;\nint f(chan *c, double *d);\nint f(chan *c, double *d) { return leat_send(c, d); }\n' \
    >"$tmp/wrong.c"
refuse "a wrong type is an error there, too" compiled -O0 wrong
finish
