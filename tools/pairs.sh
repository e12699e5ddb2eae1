#!/bin/sh
# pairs.sh FILE ... - does every memory order have a label, and every label its partner?
# SPDX-License-Identifier: MIT
#
#     atomic_store_explicit(&x, 1, memory_order_release);         /* [A1] -> [A2] what travels */
#     if (atomic_load_explicit(&x, memory_order_acquire)) ...     /* [A2] <- [A1] */
#     atomic_fetch_add_explicit(&n, 1, memory_order_relaxed);     /* [X1] why nothing does */
#
# In each file: a label's partner exists and names it back; an arrow out stands by a release, an arrow in by
# an acquire, either by a seq_cst, a label without arrow by a relaxed; each access has one (but the failure order of a
# compare-exchange, on a line of its own); the table in the file's head has the same labels and arrows.
# Several partners are separated by commas, and so are several labels: [C2] <- [C1], [E2] <- [E1].

exec awk '
function complain(where, what) { print where ": " what; bad = 1 }

function found(kind, from, arrow, to) { # kind: "code" or "table"
    if (!((kind, from) in seen)) seen[kind, from] = here
    if (arrow != "" && !((kind, from, arrow, to) in edge)) edge[kind, from, arrow, to] = here
}

# Reads the labels of a line and their arrows. Returns the arrows.
function labels(kind, text,    label, from, arrow, between, arrows, start) {
    for (start = 1; match(text, /\[[A-Z][0-9]+\]/); start = 0) {
        between = substr(text, 1, RSTART - 1)
        label = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        if (start) { # the first: it is about itself
            from = label
            found(kind, from, "", "")
        } else if (match(between, /(->|<-) *$/)) {
            arrow = substr(between, RSTART, 2)
            found(kind, from, arrow, label)
            arrows = arrows arrow
        } else if (between ~ /^ *, *$/ && arrow != "") {
            if (text ~ /^ *(->|<-)/) { from = label; found(kind, from, "", "") }
            else found(kind, from, arrow, label)
        } else break # prose
    }
    return arrows
}

function finish(    key, k, back) {
    for (key in edge) {
        split(key, k, SUBSEP)
        back = k[3] == "->" ? "<-" : "->"
        if (k[1] == "code" && !(("code", k[4], back, k[2]) in edge))
            complain(edge[key], k[2] " " k[3] " " k[4] " is not answered by " k[4] " " back " " k[2])
        if (k[1] == "code" && !(("table", k[2], k[3], k[4]) in edge))
            complain(edge[key], k[2] " " k[3] " " k[4] " is not in the table")
        if (k[1] == "table" && !(("code", k[2], k[3], k[4]) in edge))
            complain(edge[key], k[2] " " k[3] " " k[4] " is in the table, not in the code")
    }
    for (key in seen) {
        split(key, k, SUBSEP)
        if (k[1] == "code" && !(("table", k[2]) in seen)) complain(seen[key], k[2] " is not in the table")
        if (k[1] == "table" && !(("code", k[2]) in seen)) complain(seen[key], k[2] " is never used")
    }
    split("", edge)
    split("", seen)
}

FNR == 1 { finish(); head = 1; labelled = 0 }
{ here = FILENAME ":" FNR }
/^#/ { head = 0 }
head && /^ \* +\[[A-Z][0-9]+\]/ { labels("table", $0) }
head || /^ *(\*|\/\*)/ { next } # prose

/memory_order_|\/\* *\[[A-Z][0-9]+\]/ {
    comment = match($0, /\/\* *\[[A-Z][0-9]+\]/) ? substr($0, RSTART) : ""
    code = comment == "" ? $0 : substr($0, 1, RSTART - 1)
    arrows = comment == "" ? "" : labels("code", comment)
    if (code !~ /memory_order_/)
        complain(here, "a label, but no memory order beside it")
    else if (comment == "" && !(labelled && code ~ /^ *memory_order_/))
        complain(here, "a memory order without a label")
    if (comment != "" && code ~ /memory_order_/) {
        if (arrows ~ /->/ && code !~ /_(release|acq_rel|seq_cst)/) complain(here, "an arrow out, but no release")
        if (arrows ~ /<-/ && code !~ /_(acquire|acq_rel|seq_cst)/) complain(here, "an arrow in, but no acquire")
        if (arrows !~ /->/ && code ~ /_(release|acq_rel)/) complain(here, "a release without an arrow out")
        if (arrows !~ /<-/ && code ~ /_(acquire|acq_rel)/) complain(here, "an acquire without an arrow in")
        if (arrows == "" && code ~ /_seq_cst/) complain(here, "a seq_cst without an arrow")
    }
}
{ labelled = /memory_order_.*\/\* *\[/ }

END { finish(); exit bad }
' "$@"
