# Every release in the headers has its acquire, or the build fails; and the check itself sees what is wrong.
. tests/lib/tap.sh

for header in queue.h semaphore.h pool.h topic.h; do
    check "each order in $header is labelled and answered" sh tools/pairs.sh $header
done

check "no header's access to another's atomics is without one" sh tools/pairs.sh queue.h semaphore.h pool.h topic.h
if have clang; then # it sees the types, of what it compiles
    for defs in -DLEAT_LINT -DLEAT_NO_FUTEX; do
        check "clang sees no bare access to an atomic, $defs" clang -std=c11 -pthread -fsyntax-only -DLEAT_NO_URCU $defs \
            -Watomic-implicit-seq-cst -Werror=atomic-implicit-seq-cst -x c topic.h -include ./pool.h
    done
fi

cat >"$tmp/right.h" <<'EOF'
/* MEMORY ORDER.
 *     [R1]   publish  -> [A1], [A2]   the message
 *     [A1]   recv     <- [R1]
 *     [A2]   try      <- [R1], [R2]
 *     [R2]   close    -> [A2]
 *     [X1]   a guess                  nothing: [R1] follows
 */
#ifndef SAMPLE_H
    atomic_store_explicit(&x, 1, memory_order_release); /* [R1] -> [A1], [A2] the message */
    atomic_store_explicit(&x, 2, memory_order_release); /* [R2] -> [A2] */
    atomic_load_explicit(&x, memory_order_acquire); /* [A1] <- [R1] */
    atomic_compare_exchange_weak_explicit(&x, &y, 1, memory_order_acquire, /* [A2] <- [R1], [R2] */
                                          memory_order_relaxed);
    atomic_exchange_explicit(&x, 1, memory_order_acq_rel); /* [A2] <- [R1], [R1] -> [A1] */
    atomic_load_explicit(&x, memory_order_relaxed); /* [X1] the claim decides, see [R1] */
EOF
check "a right sample passes" sh tools/pairs.sh "$tmp/right.h"

wrong() { # what is wrong, a sed expression that makes it so, what the check must say
    sed "$2" "$tmp/right.h" >"$tmp/wrong.h"
    refuse "$1 is refused" sh tools/pairs.sh "$tmp/wrong.h"
    mv "$tmp/said" "$tmp/complaints"
    check "... and said with file and line" grep "^$tmp/wrong.h:[0-9]*: $3" "$tmp/complaints"
}
wrong "a release without an acquire" '/\[A1\] <- /d' '\[R1\] -> \[A1\] is not answered by \[A1\] <- \[R1\]'
wrong "an acquire that names another release" 's/ \[A1\] <- \[R1\]/ [A1] <- [R2]/' '\[A1\] <- \[R2\] is not'
wrong "a label that is not in the table" '/ \*  *\[X1\]/d' '\[X1\] is not in the table'
wrong "a label that the code does not use" '/(&x, memory_order_relaxed)/d' '\[X1\] is never used'
wrong "an order without a label" 's/\/\* \[X1.*//' 'a memory order without a label'
wrong "a relaxed store with an arrow" '/\[R2\] ->/s/_release/_relaxed/' 'an arrow out, but no release'
wrong "a seq_cst called relaxed" 's/_acq_rel); .*/_seq_cst); \/* [X1] *\//' 'a seq_cst without an arrow'
wrong "an acquire called relaxed" '/ \[A1\] <-/s/\[A1\] <- \[R1\]/[X1]/' 'an acquire without an arrow in'

# Accesses without any order: of what was declared atomic only the address is used.
cat >>"$tmp/right.h" <<'EOF'
typedef _Atomic unsigned lock;
static _Atomic int all;
struct one {
    _Atomic int n_, more_; /* n_ = 1 in a comment */
    _Atomic(struct one *) list_;
    lock lock_;
    struct two *two_;
};
struct two {
    int n_;
    struct one *one_;
};
static int use(struct one *x, struct two *two, _Atomic int *p)
{
    struct one y = { .n_ = 1, .more_ = 2 };
    static _Atomic int calls;
    _Atomic int *at = &x->n_, *other = p ? p : &all;
    atomic_init(&y.lock_, 0);
    /* LATER */
    return two->n_ + x->two_->n_ + (at == other) + (&y.list_ == 0) + (int)sizeof x->more_ + (&calls == p);
}
static int calls(int calls)
{
    return calls;
}
EOF
check "what may be done to an atomic passes" sh tools/pairs.sh "$tmp/right.h"
later() { # what is done to one instead, what the check must say
    wrong "$1" "s|/\* LATER \*/|$(echo "$1" | sed 's/&/\\&/g')|" "$2\$"
}
for use in 'x->n_ = 1' 'if (x->n_ > 0) return 1' 'two->one_->n_--' 'y.n_ += 2' 'x[1].two_->one_->n_ = 7' 'return p && y.n_' \
    'return 1 & y.n_'; do
    later "$use;" 'a bare access to the atomic n_'
done
later '++x->more_;' 'a bare access to the atomic more_'
later 'for (; x; x = x->list_) continue;' 'a bare access to the atomic list_'
later 'y.lock_ -= 1;' 'a bare access to the atomic lock_'
later 'all = calls(2);' 'a bare access to the atomic all'
later 'return calls ? 1 : 2;' 'a bare access to the atomic calls'
later '*p = 1;' 'a bare access to the atomic p'
later 'return 1 + *at;' 'a bare access to the atomic at'
later 'return *at;' 'a bare access to the atomic at'
for call in 'load(&x->n_)' 'store(&x->n_, 1)' 'fetch_add(&x->n_, 1)' 'compare_exchange_strong(&x->n_, &two->n_, 3)' \
    'exchange(p, 1)'; do
    later "atomic_$call;" 'an atomic call without its order'
done
finish
