# The programs on the pages for users compile as they are shown, without a warning, and do what the page says.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

mkdir "$tmp/theirs"
cp queue.h semaphore.h pool.h "$tmp/theirs"
for page in docs/recipes.md docs/from-pthreads.md; do
    programs_of $page "$tmp/theirs" >"$tmp/programs"
    check "$page shows programs" test -s "$tmp/programs"
    while read -r program; do
        # gnu11: they use poll, pipe and raise.
        check "$program compiles" $CC -std=gnu11 -O1 -Wall -Wextra -Werror -pthread -o "$tmp/program" "$tmp/theirs/$program"
        check "... and runs to its end" timeout 60 "$tmp/program"
    done <"$tmp/programs"
done
finish
