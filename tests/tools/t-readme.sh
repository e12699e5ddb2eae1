# The README is short, its program compiles and counts, its index has every public name, and no link in a document is dead.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

headers="queue.h semaphore.h pool.h topic.h"
documents="README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md bench/README.md docs/*.md learn/README.md learn/*/README.md"

short() { # at most 150 lines
    [ "$(wc -l <README.md)" -le 150 ] || { wc -l README.md; return 1; }
}
check "the README has at most 150 lines" short
check "what a newcomer is told to run is in it: make demo" grep -q '^make demo ' README.md
check "... make deps test" grep -q '^make deps test ' README.md
check "... and is what runs before a merge" grep -q '^time make deps test' .ci/run
targets() { # each `make x` that the documents say is a target
    grep -ohE '(`|^    )make [a-z-]+' $documents | sed 's/.*make //' | sort -u | while read -r target; do
        grep -qE "^$target:|^\.PHONY:.* $target( |\$)" Makefile || echo "no target $target"
    done >"$tmp/targets"
    cat "$tmp/targets"
    [ ! -s "$tmp/targets" ]
}
check "what the documents tell to make is a target" targets

# The program, as a user would copy it: a folder with the headers and the text between ```c and ```.
mkdir -p "$tmp/theirs/leat"
cp $headers "$tmp/theirs"
cp -R $headers include "$tmp/theirs/leat"
programs_of README.md "$tmp/theirs" >"$tmp/programs"
cd_and() { # command, in that folder
    (cd "$tmp/theirs" && "$@")
}
counts() { # as wc does, in whatever order
    cd_and ./lines $headers | awk '{ print $1, $2 }' | sort >"$tmp/ours"
    cd_and wc -l $headers | awk '$2 != "total" { print $1, $2 }' | sort >"$tmp/wc"
    diff "$tmp/ours" "$tmp/wc"
}
for cc in $(compilers); do
    check "the whole program compiles as it is shown, $cc" cd_and $cc -std=c11 -Wall -Wextra -Werror -pthread -I leat/include lines.c -o lines
    check "... with optimization" cd_and $cc -std=c11 -Wall -Wextra -Werror -O2 -pthread -I leat/include lines.c -o lines
    check "... and counts what wc counts" counts
    refuse "... and a file that is not there is a failure" cd_and ./lines queue.h "$tmp/none" pool.h
    mv "$tmp/said" "$tmp/complaints"
    check "... which is named" grep -q "$tmp/none" "$tmp/complaints"
    check "... and nothing to count is none" cd_and ./lines
done

index() {
    sh tools/index.sh "$1" $headers
}
check "each public name of the headers is in the index, and no other" index README.md
lacks() { # what is made of the README by a sed expression, what must be said
    sed "$1" README.md >"$tmp/README.md"
    refuse "an index with $1 is refused" index "$tmp/README.md"
    mv "$tmp/said" "$tmp/complaints"
    check "... and told why" grep -q "$2" "$tmp/complaints"
}
lacks '/leat_close(c)/d' 'the index lacks leat_close of queue.h'
lacks 's/\[try_\]submit/submit/' 'the index lacks leat_try_submit of pool.h'
lacks 's/submit\[_ctx\]/submit/' 'the index lacks leat_submit_ctx of pool.h'
lacks 's/leat_sleep\[/leat_[try_]sleep[/' 'the index has leat_try_sleep of queue.h'
lacks 's/ LEAT_LINT$//' 'the index lacks LEAT_LINT of semaphore.h'
lacks '/^semaphore.h/d' 'the index has leat_sem of queue.h'
more() { # a header that defines one more name
    { cat queue.h; echo "$1"; } >"$tmp/queue.h"
    sh tools/index.sh README.md "$tmp/queue.h" semaphore.h pool.h topic.h
}
refuse "a new function without its line is refused" more 'static inline int leat_new_call(void) { return 0; }'
refuse "a new macro without its line is refused" more '#define leat_new_call(c) leat_new_call_(c)'
check "but not a private one" more '#define leat_new_call_(c) 0'
check "nor what only a comment says" more '/* leat_new_call, and
leat_new_call */ // leat_new_call'

# A link leads to a file that is there, and to a heading that it has.
dead() { # of these documents, the links that lead nowhere
    for document; do
        folder=$(dirname "$document")
        awk '/^```/ { code = !code } !code && !/^    /' "$document" | grep -oE '\]\([^)]*\)|(src|href)="[^"]*"' | sed 's/^](\(.*\))$/\1/; s/^[a-z]*="\(.*\)"$/\1/' |
            grep -vE '^(https?|mailto):' | while read -r link; do
            file=${link%%#*}
            if [ -n "$file" ]; then file=$folder/$file; else file=$document; fi
            [ -e "$file" ] || { echo "$document: $link: no such file"; continue; }
            case $link in
            *replay/index.html#*=*) ;; # t-replay.sh looks at these
            *#*) headings "$file" | grep -qxF -e "${link#*#}" || echo "$document: $link: no such heading" ;;
            esac
        done
    done
}
headings() { # their names in links
    sed -n 's/^##* //p' "$1" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-'
}
no_dead() {
    dead "$@" >"$tmp/dead"
    cat "$tmp/dead"
    [ ! -s "$tmp/dead" ]
}
check "no link in a document is dead" no_dead $documents
printf '# One\n[a](b.md) [c](#one) [d](#two) ![e](https://example.org/)\n' >"$tmp/links.md"
refuse "a dead link is seen" no_dead "$tmp/links.md"
check "... and only that" test "$(wc -l <"$tmp/dead")" -eq 2

named() { # each docs/x that a source names is there
    grep -ohE '\<docs/[a-z/-]+\.md' $headers Makefile CHANGELOG.md $(git ls-files tests) tools/* | sort -u >"$tmp/named"
    while read -r file; do [ -e "$file" ] || echo "no $file"; done <"$tmp/named" >"$tmp/gone"
    cat "$tmp/gone"
    [ -s "$tmp/named" ] && [ ! -s "$tmp/gone" ]
}
check "each document that a source names is there" named

# What the pages for users call is a public name. (leat_x is any call.)
called() {
    echo x >"$tmp/public"
    for name in $(cat $headers | grep -oE '\<(leat|LEAT)_[A-Za-z0-9_]*' | sort -u); do echo "$name"; done >>"$tmp/public"
    grep -oHE '\<(leat|LEAT)_[A-Za-z0-9_]*' README.md docs/from-go.md docs/from-pthreads.md docs/recipes.md docs/guide.md docs/topic.md |
        grep -vE ':(leat_|leat_x|leat_try_x|leat_x_ctx)$' | sort -u | while IFS=: read -r document name; do
        grep -qxF "$name" "$tmp/public" || echo "$document: $name is nowhere in the headers"
    done >"$tmp/strangers"
    cat "$tmp/strangers"
    [ ! -s "$tmp/strangers" ]
}
check "what the pages for users call is in the headers" called
finish
