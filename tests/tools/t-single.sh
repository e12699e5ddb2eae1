# single/leat.h is all of leat in one file, as `make single` writes it from the headers.
. tests/lib/tap.sh

sh tools/single.sh queue.h semaphore.h pool.h >"$tmp/leat.h"
cat >"$tmp/use.c" <<'EOF'
#include "leat.h"
#include "leat.h"
#include <semaphore.h>

typedef LEAT_CHAN(int) int_chan;
static leat_sem one = LEAT_SEM(1);
static sem_t theirs;

static int job(leat_ctx *ctx, void *arg)
{
    int_chan *out = arg;
    int err = leat_acquire_ctx(ctx, &one, 1);
    return err ? err : leat_send_ctx(ctx, out, &(int){ 7 });
}

int main(void)
{
    int_chan out;
    leat_group g = LEAT_GROUP(NULL);
    int got = 0;
    if (sem_init(&theirs, 0, 0) || leat_make(&out, 1) || leat_go(&g, job, &out)) return 1;
    if (leat_recv(&out, &got) || leat_wait(&g)) return 1;
    leat_free(&out);
    return got != 7;
}
EOF

current() {
    cmp single/leat.h "$tmp/leat.h" || { echo "the headers have changed: run make single"; return 1; }
}
check "single/leat.h is what the headers say" current
check "one licence line" test "$(grep -c SPDX "$tmp/leat.h")" -eq 1
refuse "no include of a part" grep -E '#include "|include_next' "$tmp/leat.h"
refuse "no trace of where it was written" grep -F "$PWD" "$tmp/leat.h"
for cc in $(compilers); do
    for std in c11 gnu11; do
        check "compiles with $cc -std=$std" $cc -std=$std -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
            -O2 -pthread "$tmp/use.c" -o "$tmp/use"
        check "... and runs" "$tmp/use"
    done
done
mixed() {
    printf '#include "queue.h"\n#include "%s/leat.h"\n#include "pool.h"\n' "$tmp" |
        $CC -std=c11 -Wall -Werror -iquote . -x c -fsyntax-only -
}
check "parts and single file together" mixed
finish
