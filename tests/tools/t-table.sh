# Each invariant of the headers has its tests, scenarios and mutants, and docs/testing.md says which; a gap is seen.
. tests/lib/tap.sh

if ! have python3; then
    echo "1..0 # SKIP no python3"
    exit 0
fi

check "the table of docs/testing.md is complete, and as the sources are" python3 tools/invariants.py --check

mkdir "$tmp/copy"
fresh() { # copies of what is read
    rm -rf "$tmp/copy"
    mkdir "$tmp/copy"
    cp -r ./*.h tests tools docs "$tmp/copy"
}
invariants() {
    python3 "$tmp/copy/tools/invariants.py" "$@"
}
wrong() { # what is wrong, a file, a sed expression that makes it so, what must be said
    fresh
    sed -i "$3" "$tmp/copy/$2"
    refuse "$1 is refused" invariants --check
    mv "$tmp/said" "$tmp/complaints"
    check "... and said" grep -qF -e "$4" "$tmp/complaints"
    check "... and nothing else" test "$(wc -l <"$tmp/complaints")" -eq 1
}
fresh
check "a copy passes" invariants --check
wrong "an invariant without a mutant" tests/mutants.txt 's/^mutant S2 /mutant /' 'semaphore.h: S2 has no mutant'
wrong "... without a test" tests/semaphore/t-sem.c 's/^TEST(S2_/TEST(/' 'semaphore.h: S2 has no test'
wrong "... without a scenario" tests/explore/semaphores.c 's/(S3)/S3/' 'semaphore.h: S3 has no scenario'
wrong "... without a model, and without a reason" tests/model/select.pml 's/^\( \*   [A-Z_]*  *\)I7/\1awake/' 'queue.h: I7 has no switch of a model'
wrong "a reason where there is a model" tools/invariants.py 's/"I8": "/"I7": "", &/' 'a reason for I7'
wrong "a mutant of what is no invariant" tests/mutants.txt 's/^mutant the wake looks/mutant I99 the wake looks/' 'tests/mutants.txt: I99: no header has this invariant'
wrong "a test of what is none" tests/semaphore/t-sem.c 's/^TEST(errno_/TEST(S9_errno_/' 'tests/*/t-*.c: S9: no header'
wrong "a scenario of what is none" tests/explore/topics.c 's/(P4)/(P4) (P9)/' 'tests/explore: P9: no header'
wrong "a table that is old" tests/mutants.txt 's/^mutant S3 .*/& now/' 'docs/testing.md: its table is old'
wrong "a table without its place" docs/testing.md '/^<!-- to here -->/d' 'docs/testing.md: it has no place'
wrong "two invariants of one name" topic.h 's/^ \* P4  / * P3  /' 'topic.h: P3 is there twice'

# An invariant of any letter is found, and its table is written only when nothing is missing.
fresh
sed -i '1s/^/\/*\n * Z10 A new one: of a header that had none. *\/\n/' "$tmp/copy/pool.h"
sed -i 's/^mutant the wake looks/mutant Z10 the wake looks/' "$tmp/copy/tests/mutants.txt"
echo 'TEST(Z10_it_is_so)' >"$tmp/copy/tests/queue/t-new.c"
refuse "a new invariant without a scenario is not written" invariants --write
check "... as nothing is" cmp docs/testing.md "$tmp/copy/docs/testing.md"
printf '/* It is so (Z10). */\nSCENARIO(new, { .a = 0 })\n' >"$tmp/copy/tests/explore/new.c"
check "with one it is" invariants --write
check "... and passes" invariants --check
check "... as one line" grep -q '^| \*\*Z10\*\* `pool.h`<br>A new one | `t-new`: it is so | `new.c`: new | none ([1-9]) | the wake looks ' \
    "$tmp/copy/docs/testing.md"
finish
