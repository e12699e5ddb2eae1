# The reference: each public name has its entry, in a manual page and in docs/reference.html, which is what the headers say.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

have python3 || skip_all "no python3"
headers="queue.h semaphore.h pool.h topic.h"
sh tools/index.sh --names $headers | sed 's/.* //' >"$tmp/names"
reference() {
    python3 tools/reference.py "$@"
}
check "each public name has an entry, with a comment that is its own" reference --check $headers
check "the manual pages" reference --man "$tmp/man3" $headers
check "the page" reference --html "$tmp/reference.html" $headers
current() {
    cmp docs/reference.html "$tmp/reference.html" || { echo "the headers have changed: run make reference"; return 1; }
}
check "docs/reference.html is what the headers say" current

pages() { # of all names
    while read -r name; do [ -s "$tmp/man3/$name.3" ] || echo "no page for $name"; done <"$tmp/names" >"$tmp/lacks"
    cat "$tmp/lacks"
    [ "$(wc -l <"$tmp/names")" -gt 100 ] && [ ! -s "$tmp/lacks" ]
}
check "each name has a manual page" pages
names_itself() { # it is the page of that name, not of another
    for page in "$tmp"/man3/leat_*.3; do
        name=$(basename "$page" .3)
        file=$page
        ! grep -q '^\.so man3/' "$page" || file=$tmp/$(sed 's/^\.so //' "$page")
        grep -qE "^\.Nm $name( ,)?\$" "$file" || { echo "$page does not name $name"; return 1; }
    done
}
check "... which names it" names_itself
listed() {
    while read -r name; do grep -qE "<li><a href=\"#[^\"]*\"><code>$name</code>" "$tmp/reference.html" || echo "$name is not in the index"; done \
        <"$tmp/names" >"$tmp/lacks"
    cat "$tmp/lacks"
    [ ! -s "$tmp/lacks" ]
}
check "each name is in the page's index" listed
dead() { # links within the page, and to files
    grep -o 'href="#[^"]*"' "$tmp/reference.html" | sort -u | sed 's/href="#\(.*\)"/\1/' | while read -r id; do
        grep -qF "id=\"$id\"" "$tmp/reference.html" || echo "#$id leads nowhere"
    done >"$tmp/dead"
    grep -o 'href="[^#"][^"]*"' "$tmp/reference.html" | sed 's/href="\([^#"]*\).*/\1/' | sort -u | while read -r file; do
        [ -e "docs/$file" ] || echo "docs/$file is not there"
    done >>"$tmp/dead"
    cat "$tmp/dead"
    [ ! -s "$tmp/dead" ]
}
check "no link in the page is dead" dead
refuse "the page loads nothing, and runs nothing" grep -E '<(script|link|img|iframe)|@import|url\(|https?:' "$tmp/reference.html"
check "it has a dark form" grep -q 'prefers-color-scheme: dark' "$tmp/reference.html"
check "... and fits a small screen" grep -q 'name="viewport"' "$tmp/reference.html"
again() {
    PYTHONHASHSEED=7 reference --man "$tmp/again" $headers && diff -r "$tmp/man3" "$tmp/again"
}
check "the same each time" again
if have mandoc; then
    lint() {
        (cd "$tmp/man3" && for page in *.3; do grep -q '^\.so' "$page" || mandoc -Tlint "$page"; done) >"$tmp/lint"
        cat "$tmp/lint"
        [ ! -s "$tmp/lint" ]
    }
    check "mandoc has nothing to say" lint
else
    skip "mandoc" "no mandoc"
fi

# A name that lacks its entry is told.
mkdir "$tmp/theirs" "$tmp/theirs/tools"
lacks() { # what is added to queue.h, what must be said; the README has its line
    cp $headers README.md "$tmp/theirs"
    cp tools/reference.py "$tmp/theirs/tools"
    printf '%s\n' "$1" >>"$tmp/theirs/queue.h"
    sed -i 's/^  leat_close(c),/  leat_new(c), leat_close(c),/' "$tmp/theirs/README.md"
    (cd "$tmp/theirs" && python3 tools/reference.py --check $headers) >"$tmp/told" 2>&1 && return 1
    cat "$tmp/told"
    grep -q "$2" "$tmp/told"
}
check "a function without a comment" lacks 'LEAT_HOT_ int leat_new(int c)
{
    return c;
}' 'leat_new has no comment of its own'
check "a macro without its prototype" lacks '/* New. */
#define leat_new(c) (c)' 'leat_new does not begin with its prototype'
check "a private type that is shown" lacks '/* New. */
LEAT_HOT_ int leat_new(leat_end_ *c)
{' 'leat_new is shown with a private name'
finish
