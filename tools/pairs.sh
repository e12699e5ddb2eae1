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
#
# And no access is without an order: what was declared _Atomic, in this file or one before it, is not read or written
# bare (x = 1, x++, if (x), *p), only its address is taken, or it is initialised; nor by a call without _explicit.

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

# A line without its comments.
function code_of(text,    at, left) {
    while (1) {
        if (in_comment) {
            if (!(at = index(text, "*/"))) return left
            text = substr(text, at + 2)
            in_comment = 0
        }
        if (!match(text, /\/[*\/]/)) return left text
        left = left substr(text, 1, RSTART - 1)
        if (substr(text, RSTART + 1, 1) == "/") return left
        text = substr(text, RSTART + 2)
        in_comment = 1
    }
}

# Notes what a line declares of an atomic type: member[name] 1, pointer to one 2; local[name] up to the end of the
# function, global[name]. Returns the line without the declaration.
function declared(code,    before, rest, part, name, star, kind, type) {
    if (!match(code, "(^|[^A-Za-z0-9_])(" types ")[^A-Za-z0-9_]")) return code
    before = substr(code, 1, RSTART)
    rest = substr(code, RSTART + RLENGTH - 1)
    sub(/^\([^()]*\)/, "", rest) # _Atomic(struct x *)
    type = 1
    while (match(rest, /[;,)=\[{(:]|$/)) {
        part = substr(rest, 1, RSTART - 1)
        if (substr(rest, RSTART, 1) == "(" || !match(part, /[A-Za-z_][A-Za-z0-9_]* *$/)) break # a function; a cast
        name = substr(part, RSTART)
        sub(/ *$/, "", name)
        star = part ~ /\*/
        if (!type && part !~ /^ *\**[A-Za-z0-9_]+ *$/) break # the next parameter
        if (before ~ /typedef *$/) types = types "|" name
        else {
            kind = star ? 2 : 1
            member[name] = kind
            if (before ~ /^[A-Za-z]/ && before !~ /\(/) global[name] = kind
            else local[name] = kind
        }
        rest = substr(rest, length(part) + 1)
        sub(/^(\[[^]]*\])+/, "", rest)
        if (rest !~ /^,/) break
        rest = substr(rest, 2)
        type = 0
    }
    return before rest
}

# What stands before the expression that ends with `text`: of "f(&a->b[i]." it is "f(&".
function outside(text,    i, depth, char) {
    while (match(text, /(->|\.)$/)) {
        text = substr(text, 1, RSTART - 1)
        while (text ~ /[])]$/) {
            depth = 0
            for (i = length(text); i; i--) {
                char = substr(text, i, 1)
                if (char ~ /[])]/) depth++
                if (char ~ /[[(]/ && !--depth) break
            }
            text = substr(text, 1, i - 1)
        }
        sub(/[A-Za-z0-9_]+$/, "", text)
    }
    return text
}

# Notes which members of a struct are not atomic, as another one may have an atomic of that name.
function not_atomic(code,    name) {
    if (match(code, /(struct|union) [A-Za-z0-9_]+ *\{$/)) {
        struct = substr(code, RSTART, RLENGTH - 1)
        gsub(/^[a-z]+ | *$/, "", struct)
    }
    for (; struct != "" && match(code, /[A-Za-z0-9_]+(\[[^]]*\])*[;,]/); code = substr(code, RSTART + RLENGTH)) {
        name = substr(code, RSTART, RLENGTH)
        sub(/[^A-Za-z0-9_].*/, "", name)
        plain[struct, name]
    }
    if (code ~ /^}/) struct = ""
}

# Complains of a use of an atomic that is none of what may be. Of variables and members it notes the type, by name.
function bare(code,    at, name, n, front, base, kind) {
    if (match(code, /(^|[^A-Za-z0-9_])atomic_[a-z_]+\(/) &&
        substr(code, RSTART, RLENGTH) !~ /_explicit\(|atomic_(init|signal_fence|thread_fence|is_lock_free)\(/)
        complain(here, "an atomic call without its order")
    for (at = 1; match(substr(code, at), /[A-Za-z_][A-Za-z0-9_]*/); at += n) {
        n = RLENGTH
        at += RSTART - 1
        name = substr(code, at, n)
        front = substr(code, 1, at - 1)
        if (match(front, /[A-Za-z0-9_]+ \**$/)) {
            base = substr(front, RSTART)
            sub(/ .*/, "", base)
            if (base !~ /^(return|else|case|goto|sizeof)$/) type_of[name] = base
        }
        if (front ~ /(->|\.)$/) {
            if (front ~ /(^|[{, (])\.$/) continue # .name_ = of an initialiser
            base = front
            sub(/(->|\.)$/, "", base)
            sub(/\[[^]]*\]$/, "", base)
            if (match(base, /[A-Za-z0-9_]+$/) && ((type_of[substr(base, RSTART)], name) in plain)) continue
            kind = member[name]
        } else kind = name in local ? local[name] : global[name]
        if (!kind) continue
        front = outside(front)
        if (front ~ /sizeof *\(?$/) continue
        if (kind == 1 ? front !~ /(^|[^&])&$/ : front ~ /\*$/)
            complain(here, "a bare access to the atomic " name)
    }
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

BEGIN { types = "_Atomic" }
FNR == 1 { finish(); head = 1; labelled = 0; in_comment = 0 }
/leat:c11-begin/ { names = 1 }
/leat:c11-over/ { names = 0 }
names { next } # what C++ calls the names of C11
{
    here = FILENAME ":" FNR
    code = code_of($0)
    gsub(/"([^"\\]|\\.)*"/, "", code)
    code = declared(code)
    not_atomic(code)
    bare(code)
    if (code ~ /^}/) split("", local)
}
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
