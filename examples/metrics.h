/* metrics.h - counters and histograms in the text format that Prometheus reads.
 *
 *     metrics_value(f, "jobs_total", "counter", "", stats.submitted);
 *     metrics_value(f, "queued", "gauge", "lane=\"high\"", n);   // further labels: type NULL, said once for a name
 *     static struct metrics_times work;                          // zero is valid
 *     metrics_observe(&work, ns);                                // any thread, at any time
 *     fputs("# TYPE work_seconds histogram\n", f);               // once, in front of all of this name
 *     metrics_histogram(f, "work_seconds", "", &work);
 *
 * A label is "" or all that stands between the braces. What a program puts while others count is no snapshot: the sum may
 * have what no bucket has yet.
 * SPDX-License-Identifier: MIT */
#ifndef METRICS_H
#define METRICS_H

#include "../queue.h"

#include <inttypes.h>
#include <stdio.h>

static inline void metrics_value(FILE *f, const char *name, const char *type, const char *label, double value)
{
    if (type) fprintf(f, "# TYPE %s %s\n", name, type);
    if (*label) fprintf(f, "%s{%s} %.15g\n", name, label, value);
    else fprintf(f, "%s %.15g\n", name, value);
}

enum { METRICS_DECADES = 7 }; /* at most 10 us, 100 us .. 10 s; one more has the rest */

struct metrics_times {
    _Atomic uint64_t bucket[METRICS_DECADES + 1], sum; /* sum: ns */
};

static inline void metrics_observe(struct metrics_times *h, int64_t ns)
{
    int i = 0;
    for (int64_t le = LEAT_US(10); i < METRICS_DECADES && ns > le; i++) le *= 10;
    atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, (uint64_t)ns, memory_order_relaxed);
}

/* Each bucket's line has those of the buckets before it, too. */
static inline void metrics_histogram(FILE *f, const char *name, const char *label, struct metrics_times *h)
{
    static const char *const le[] = { "1e-05", "0.0001", "0.001", "0.01", "0.1", "1", "10", "+Inf" };
    const char *comma = *label ? "," : "", *open = *label ? "{" : "", *shut = *label ? "}" : "";
    uint64_t n = 0;
    for (int i = 0; i <= METRICS_DECADES; i++) {
        n += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
        fprintf(f, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, label, comma, le[i], n);
    }
    double sum = (double)atomic_load_explicit(&h->sum, memory_order_relaxed);
    fprintf(f, "%s_sum%s%s%s %.9f\n", name, open, label, shut, sum / 1e9);
    fprintf(f, "%s_count%s%s%s %" PRIu64 "\n", name, open, label, shut, n);
}

#endif
