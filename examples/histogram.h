/* histogram.h - how long things took, counted by powers of ten, as Prometheus' text has it.
 *
 *     static struct histogram work;                              // zero is valid
 *     histogram_add(&work, leat_now() - begin);                  // any thread, at any time
 *     fputs("# TYPE work_seconds histogram\n", f);               // once, in front of all of this name
 *     histogram_put(f, "work_seconds", "stream=\"jobs\"", &work);
 *
 * What a program counts while others count is no snapshot: the sum may have what no bucket has yet.
 * SPDX-License-Identifier: MIT */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include "../queue.h"

#include <inttypes.h>
#include <stdio.h>

enum { HISTOGRAM_BUCKETS = 6 }; /* up to 100 us, 1 ms, ... 10 s; one more has the rest */

struct histogram {
    _Atomic uint64_t bucket[HISTOGRAM_BUCKETS + 1], sum; /* sum: ns */
};

static inline void histogram_add(struct histogram *h, int64_t ns)
{
    int i = 0;
    for (int64_t le = LEAT_US(100); i < HISTOGRAM_BUCKETS && ns > le; i++) le *= 10;
    atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, (uint64_t)ns, memory_order_relaxed);
}

/* Each bucket's line has those of the buckets before it, too. */
static inline void histogram_put(FILE *f, const char *name, const char *label, struct histogram *h)
{
    static const char *const le[] = { "0.0001", "0.001", "0.01", "0.1", "1", "10", "+Inf" };
    uint64_t n = 0;
    for (int i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        n += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
        fprintf(f, "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, label, le[i], n);
    }
    fprintf(f, "%s_sum{%s} %.9f\n", name, label, (double)atomic_load_explicit(&h->sum, memory_order_relaxed) / 1e9);
    fprintf(f, "%s_count{%s} %" PRIu64 "\n", name, label, n);
}

#endif
