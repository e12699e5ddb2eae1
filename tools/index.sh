#!/bin/sh
# index.sh README HEADER ... - is each public name of the headers in the README's index, under its header, and nothing else?
# SPDX-License-Identifier: MIT
#
# A public name is one that the code of a header says (not its comments), and that does not end in an underscore. It is the
# first such header's, in the order given. The index is the block below "## The API": a line for a header, then names,
# three spaces, and what they are for; options stand in a line of their own. leat_[try_]x[_ctx] stands for all three
# forms of a call. Says what is missing or too much, and fails. With --names in place of README: "header name" of each.
set -u
LC_ALL=C
export LC_ALL
readme=$1
shift
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# "header name". Not: include guards, what only benchmarks leave out, and the structs that make wrong types an error.
awk '
    FNR == 1 { header = FILENAME; sub(/.*\//, "", header); comment = 0 }
    {
        code = ""
        for (rest = $0; rest != "";) {
            at = index(rest, comment ? "*/" : "/*")
            if (!comment) code = code " " (at ? substr(rest, 1, at - 1) : rest)
            rest = at ? substr(rest, at + 2) : ""
            if (at) comment = !comment
        }
        sub(/\/\/.*/, "", code)
        gsub(/[^A-Za-z0-9_]+/, " ", code)
        n = split(code, word, " ")
        for (i = 1; i <= n; i++)
            if (word[i] ~ /^(leat|LEAT)_.*[^_]$/ && word[i] !~ /^LEAT_[A-Z]*_H$|^LEAT_WITHOUT_|^leat_(wrong|const)_/ &&
                !seen[word[i]]++) print header, word[i]
    }' "$@" | sort >"$tmp/public"

if [ "$readme" = --names ]; then
    cat "$tmp/public"
    exit
fi

# The same for the index. An option has the header that knows it.
awk '
    /^## / { here = $0 == "## The API"; next }
    /^```/ { inside = here && !inside; next }
    !inside { next }
    /^options / { header = "" }
    /^[a-z]+\.h / { header = $1; next }
    {
        names = $0
        if (header != "") {
            sub(/^ */, "", names)
            sub(/   .*/, "", names)
        }
        gsub(/[^]A-Za-z0-9_[]+/, " ", names)
        n = split(names, word, " ")
        for (i = 1; i <= n; i++) {
            if (word[i] !~ /^(leat|LEAT)_/) continue
            all = word[i]
            gsub(/\[[a-z_]*\]/, "", all)
            print header, all
            if (word[i] ~ /\[try_\]/) { t = all; sub(/^leat_/, "leat_try_", t); print header, t }
            if (word[i] ~ /\[_ctx\]/) print header, all "_ctx"
        }
    }' "$readme" | while read -r header name; do
    if [ -z "${name:-}" ]; then name=$header header=$(awk -v name="$header" '$2 == name { print $1 }' "$tmp/public"); fi
    echo "${header:-option} $name"
done | sort -u >"$tmp/index"

[ -s "$tmp/public" ] || { echo "no public names in $*"; exit 1; }
comm -23 "$tmp/public" "$tmp/index" | sed "s,^\([^ ]*\) \(.*\),$readme: the index lacks \2 of \1,"
comm -13 "$tmp/public" "$tmp/index" | sed "s,^\([^ ]*\) \(.*\),$readme: the index has \2 of \1\, which is no public name there,"
cmp -s "$tmp/public" "$tmp/index"
