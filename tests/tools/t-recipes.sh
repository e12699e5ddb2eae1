# The programs on the pages for users compile as they are shown, without a warning, and do what the page says.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

mkdir "$tmp/theirs"
ln -s "$PWD" "$tmp/theirs/leat"
for page in docs/recipes.md docs/from-pthreads.md; do
    programs_of $page "$tmp/theirs" >"$tmp/programs"
    check "$page shows programs" test -s "$tmp/programs"
    # The page's first command is for one program, and right for all.
    sed -n '/^```sh$/,/^```$/{/^cc /p;}' $page >"$tmp/theirs/commands"
    flags=$(sed -n 's/^cc \(.*-I leat\) .*/\1/p' "$tmp/theirs/commands")
    check "$page says how to compile them" test "$flags"
    check "... in commands that work" sh -c 'cd "$1" && while read -r c; do sh -c "$c" || exit 1; done <commands' - "$tmp/theirs"
    while read -r program; do
        # gnu11: they use poll, pipe and raise.
        # shellcheck disable=SC2086
        check "$program compiles" sh -c 'cd "$1" && shift && "$@"' - "$tmp/theirs" $CC $flags -Werror -o "$tmp/program" "$program"
        check "... and runs to its end" timeout 60 "$tmp/program"
    done <"$tmp/programs"
done
finish
