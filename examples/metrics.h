/* metrics.h - counters and histograms in the text format that Prometheus reads.
 *
 *     char room[8192];
 *     struct metrics m = { room, sizeof room, 0 };
 *     metrics_value(&m, "jobs_total", "counter", "", stats.submitted);
 *     metrics_value(&m, "queued", "gauge", "lane=\"high\"", n);  // further labels: type NULL, said once for a name
 *     metrics_observe(&at_work, ns);                             // at the event; one thread at a time
 *     metrics_histogram(&m, "work_seconds", "", &at_work);
 *     // m.size bytes of text, and a NUL
 *
 * SPDX-License-Identifier: MIT */
#ifndef METRICS_H
#define METRICS_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct metrics {
    char *text;
    size_t room, size;
};

/* Appends. Without enough room the program is wrong, and ends. */
__attribute__((format(printf, 2, 3))) static inline void metrics_add(struct metrics *m, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    m->size += (size_t)vsnprintf(m->text + m->size, m->room - m->size, format, ap);
    va_end(ap);
    if (m->size >= m->room) abort();
}

/* `label` is "" or all that stands between the braces. */
static inline void metrics_value(struct metrics *m, const char *name, const char *type, const char *label, double value)
{
    if (type) metrics_add(m, "# TYPE %s %s\n", name, type);
    if (*label) metrics_add(m, "%s{%s} %.15g\n", name, label, value);
    else metrics_add(m, "%s %.15g\n", name, value);
}

/* Durations by decades: at most 10 us, 100 us .. 10 s, longer. */
enum { METRICS_DECADES = 7 };
struct metrics_times {
    size_t upto[METRICS_DECADES], n;
    int64_t sum; /* ns */
};

static inline void metrics_observe(struct metrics_times *h, int64_t ns)
{
    int64_t bound = 10000;
    for (int i = 0; i < METRICS_DECADES; i++, bound *= 10) h->upto[i] += ns <= bound;
    h->n++;
    h->sum += ns;
}

static inline void metrics_histogram(struct metrics *m, const char *name, const char *label, const struct metrics_times *h)
{
    static const char *const bounds[METRICS_DECADES] = { "1e-05", "0.0001", "0.001", "0.01", "0.1", "1", "10" };
    const char *comma = *label ? "," : "", *open = *label ? "{" : "", *shut = *label ? "}" : "";
    for (int i = 0; i < METRICS_DECADES; i++)
        metrics_add(m, "%s_bucket{%s%sle=\"%s\"} %zu\n", name, label, comma, bounds[i], h->upto[i]);
    metrics_add(m, "%s_bucket{%s%sle=\"+Inf\"} %zu\n", name, label, comma, h->n);
    metrics_add(m, "%s_sum%s%s%s %.9f\n", name, open, label, shut, (double)h->sum / 1e9);
    metrics_add(m, "%s_count%s%s%s %zu\n", name, open, label, shut, h->n);
}

#endif
