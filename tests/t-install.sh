# What `make install` puts on a system can be used by its pkg-config file, and goes away again.
. tests/tap.sh

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

build_by_pc() {
    flags=$(PKG_CONFIG_PATH="$prefix/lib/pkgconfig" \
        pkg-config --define-variable=prefix="$prefix" --cflags --libs leat) && echo "$flags" &&
        $CC -std=c11 -Wall -Wextra -Werror "$tmp/use.c" -o "$tmp/use" $flags
}

check "make install" make install CC="$CC" PREFIX=/usr/local DESTDIR="$tmp/root"
for header in queue.h semaphore.h pool.h; do
    check "$header is there, as it is here" cmp $header "$prefix/include/leat/$header"
done
check "a program is built against it" $CC -std=c11 -Wall -Wextra -Werror -I"$prefix/include" "$tmp/use.c" \
    -o "$tmp/use" -pthread
check "... and runs" "$tmp/use"
if have pkg-config; then
    check "leat.pc is right about prefix, version and flags" grep -x 'prefix=/usr/local' "$prefix/lib/pkgconfig/leat.pc"
    check "a program is built with its flags" build_by_pc
    check "... and runs" "$tmp/use"
else
    skip "leat.pc" "no pkg-config"
fi
check "make uninstall" make uninstall PREFIX=/usr/local DESTDIR="$tmp/root"
check "... leaves nothing" sh -c '[ -z "$(find "$1" -type f)" ] && [ ! -e "$2" ]' - "$tmp/root" "$prefix/include/leat"
finish
