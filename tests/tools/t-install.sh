# What `make install` puts on a system can be used by its pkg-config file, and goes away again.
. tests/lib/tap.sh

prefix=$tmp/root/usr/local
cat >"$tmp/use.c" <<'EOF'
#include <leat/pool.h>
#include <semaphore.h>
int main(void)
{
    LEAT_CHAN(int) c;
    sem_t theirs;
    leat_sem ours = LEAT_SEM(1);
    int sent = 7, got = 0;
    if (sem_init(&theirs, 0, 1) || leat_acquire(&ours, 1)) return 1;
    if (leat_make(&c, 1) || leat_send(&c, &sent) || leat_recv(&c, &got)) return 1;
    leat_free(&c);
    return got != 7;
}
EOF

cat >"$tmp/topic.c" <<'EOF'
#include <leat/topic.h>
int main(void)
{
    LEAT_TOPIC(int) t;
    int got = 0;
    if (leat_topic_make(&t, LEAT_KEEPS_LATEST) || leat_publish(&t, &(int){ 7 }) || leat_latest(&t, &got)) return 1;
    leat_topic_free(&t);
    return got != 7;
}
EOF

build_by_pc() { # package, program
    flags=$(PKG_CONFIG_PATH="$prefix/share/pkgconfig" pkg-config --cflags --libs "$1") && echo "$flags" &&
        $CC -std=c11 -Wall -Wextra -Werror "$tmp/$2.c" -o "$tmp/$2" $flags
}

check "make install" make install CC="$CC" PREFIX=/usr/local DESTDIR="$tmp/root"
for header in queue.h semaphore.h pool.h topic.h leat.hpp; do
    check "$header is there, as it is here" cmp $header "$prefix/include/leat/$header"
done
check "leat-gdb.py is there, as it is here" cmp tools/leat-gdb.py "$prefix/share/leat/leat-gdb.py"
if have python3; then
    check "each call has its manual page" grep -q '^\.Nm leat_send ,' "$prefix/share/man/man3/leat_send.3"
    check "... and each of its forms leads to it" grep -qx '\.so man3/leat_send\.3' "$prefix/share/man/man3/leat_try_send.3"
else
    skip "the manual pages" "no python3"
fi
check "a program is built against it" $CC -std=c11 -Wall -Wextra -Werror -I"$prefix/include" "$tmp/use.c" \
    -o "$tmp/use" -pthread
check "... and runs" "$tmp/use"
echo '#include <leat/pool.h>
int drops(leat_pool *p);
int drops(leat_pool *p) { leat_try_send(&p->lane_->queue_, &(leat_call_){ 0 }); return 0; }' >"$tmp/drops.c"
check "... and warned of a dropped result" \
    sh -c '! $1 -std=c11 -Werror -I"$2/include" -c "$3" -o "$4.o" 2>"$4" && grep unused.result "$4"' - \
    "$CC" "$prefix" "$tmp/drops.c" "$tmp/drops"
if have pkg-config; then
    refuse "no file for pkg-config or CMake says where it was installed" grep -rE 'usr/local|@' "$prefix/share/pkgconfig" "$prefix/share/cmake"
    check "a program is built with its flags" build_by_pc leat use
    check "... and runs" "$tmp/use"
    refuse "a program without topic.h needs no liburcu" grep urcu "$prefix/share/pkgconfig/leat.pc"
    if pkg-config --exists liburcu-bp; then
        check "a program with a topic is built by leat-topic.pc" build_by_pc leat-topic topic
        check "... and runs" "$tmp/topic"
    else
        skip "leat-topic.pc" "no liburcu"
    fi
else
    skip "leat.pc" "no pkg-config"
fi
check "make uninstall" make uninstall PREFIX=/usr/local DESTDIR="$tmp/root"
check "... leaves nothing" sh -c '[ -z "$(find "$1" -type f)" ] && [ ! -e "$2" ] && [ ! -e "$3" ]' - "$tmp/root" \
    "$prefix/include/leat" "$prefix/share/leat"
finish
