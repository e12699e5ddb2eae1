# Every release in the headers has its acquire, or the build fails; and the check itself sees what is wrong.
. tests/tap.sh

for header in queue.h semaphore.h pool.h topic.h; do
    check "each order in $header is labelled and answered" sh tools/pairs.sh $header
done

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
finish
