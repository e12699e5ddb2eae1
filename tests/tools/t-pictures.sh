# The drawings of docs/pictures.md are what tools/pictures.py draws from the headers as they are.
. tests/lib/tap.sh

have python3 || skip_all "no python3"
check "the pictures are current" python3 tools/pictures.py --check
shown() { # each is on the page, and each that the page shows is there
    for picture in ring-words waiter wake-next select-locks worker job pipeline; do
        grep -q "](img/$picture.svg)" docs/pictures.md || { echo "docs/pictures.md lacks $picture"; return 1; }
    done
    for file in $(grep -o 'img/[a-z-]*\.svg' docs/pictures.md); do
        python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "docs/$file" || return 1
        grep -q 'prefers-color-scheme: dark' "docs/$file" && grep -q '<title' "docs/$file" || { echo "$file"; return 1; }
    done
}
check "each is on the page, well-formed, with a title, and follows the reader's colours" shown
mkdir -p "$tmp/tools" "$tmp/examples/seeds" "$tmp/docs"
cp tools/pictures.py "$tmp/tools"
cp examples/seeds/001_pipeline.c "$tmp/examples/seeds"
cp -r docs/img "$tmp/docs"
cp pool.h queue.h "$tmp"
check "a copy is current, too" python3 "$tmp/tools/pictures.py" --check
sed -i 's/^\(#define LEAT_POS_ UINT64_C\)(8)/\1(16)/' "$tmp/queue.h"
refuse "where a bit moves, the picture is not current" python3 "$tmp/tools/pictures.py" --check
sed 's/LEAT_RETIRING_/LEAT_LEAVING_/g' pool.h >"$tmp/pool.h"
cp queue.h "$tmp"
refuse "where a state has another name, it is not drawn" python3 "$tmp/tools/pictures.py" --check
finish
