# The C files are laid out as .clang-format says, by the version of clang-format that it was written for.
. tests/lib/tap.sh

if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "1..0 # SKIP no clang-format 14 here, and others lay out otherwise"
    exit 0
fi
files=$(ls ./*.h tests/*.c tests/*/*.[ch] examples/*.[ch] examples/seeds/*.[ch] bench/*.[ch] learn/*.[ch] learn/*/*.[ch])
check "no file differs" clang-format --dry-run -Werror $files
printf 'int  f ( void );\n' >"$tmp/f.c"
cp .clang-format "$tmp"
refuse "one that does is found" clang-format --dry-run -Werror "$tmp/f.c"
finish
