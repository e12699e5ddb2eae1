/* harness.h - how the benchmark measures and prints: clocks, interleaved rounds, medians, verdicts,
 * the table, the JSON, and the watchdog that turns a hang into a message. It knows no contestant.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INLINE static inline __attribute__((always_inline))

enum { MOST_ROUNDS = 99, MOST_ROWS = 5, HANG_SECONDS = 10 };

/* ---- what is measured: a work is a table of contestants that do the same --------------------- */

enum metric { WALL, CPU };
enum check {
    SHOWN = 0, /* no target */
    AT_MOST,   /* its time, in ns, is at most the limit */
    RATIO,     /* no target, but its time over the time of row `of` is shown */
    RATIO_AT_MOST,
    RATIO_AT_LEAST
};

struct work;

/* Nanoseconds per operation: on the wall, and of CPU time of all threads that took part. */
struct sample {
    double wall, cpu;
};

struct row {
    const char *name;
    struct sample (*run)(const struct work *, uint64_t n); /* n operations */
    enum check check;
    int of; /* row to compare with */
    double limit;
};

struct work {
    const char *name;
    enum metric by; /* which of the two times is judged */
    bool one_cpu;   /* in a child process that may use one CPU only */
    bool once;      /* one operation that takes a second: at most 3 rounds, no warm-up */
    int left, right; /* senders, receivers; or workers; or cases, and how many of them are ready */
    size_t cap;
    struct row row[MOST_ROWS];
};

struct result {
    uint64_t n;
    int rounds;     /* 0: not measured */
    double foreign; /* first row only: CPUs that something else kept busy meanwhile, on average */
    struct sample round[MOST_ROUNDS];
};

static struct {
    int rounds;
    double scale;
    const char *only;
    bool pin, json;
    cpu_set_t cpus; /* those that this process may use */
    double round_ns;
} opt = { .rounds = 7, .scale = 1, .round_ns = 40e6 };

/* Shared with the child of the one-CPU works. */
static struct shared {
    atomic_int wrong;
    atomic_ulong progress; /* the watchdog looks at it */
    const char *_Atomic work, *_Atomic row;
    struct result result[];
} *shared;

/* ---- clocks ---------------------------------------------------------------------------------- */

static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A stretch of time. One thread's CPU time, or the whole process's. */
struct watch {
    int64_t wall, cpu;
    clockid_t clock;
};

static inline struct watch watch_start(clockid_t cpu_clock)
{
    struct watch w = { .clock = cpu_clock };
    w.cpu = clock_ns(cpu_clock);
    w.wall = clock_ns(CLOCK_MONOTONIC);
    return w;
}

static inline struct sample watch_stop(struct watch w, uint64_t n)
{
    int64_t wall = clock_ns(CLOCK_MONOTONIC) - w.wall, cpu = clock_ns(w.clock) - w.cpu;
    return (struct sample){ (double)wall / (double)n, (double)cpu / (double)n };
}

/* CPU time that the whole machine has spent, idling apart, or -1. What a hypervisor took counts. */
static inline double machine_ns(void)
{
    double v[8] = { 0 };
    FILE *f = fopen("/proc/stat", "r");
    int n = f ? fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", v, v + 1, v + 2, v + 3, v + 4,
                       v + 5, v + 6, v + 7)
              : 0;
    if (f) fclose(f);
    double ticks = v[0] + v[1] + v[2] + v[5] + v[6] + v[7]; /* 3 and 4: idle */
    return n == 8 ? ticks * 1e9 / (double)sysconf(_SC_CLK_TCK) : -1;
}

/* ---- what must not happen -------------------------------------------------------------------- */

/* A contestant lost, doubled or mangled a message, or a call failed: said at once, remembered. */
__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;
    atomic_fetch_add_explicit(&shared->wrong, 1, memory_order_relaxed);
    fprintf(stderr, "WRONG: %s, %s: ", atomic_load_explicit(&shared->work, memory_order_relaxed),
            atomic_load_explicit(&shared->row, memory_order_relaxed));
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static inline void must(int err, const char *call)
{
    if (err) wrong("%s answered %d", call, err);
}

/* Messages are 1 to n. */
static inline void must_sum(uint64_t n, uint64_t count, uint64_t sum)
{
    uint64_t expected = n % 2 ? (n + 1) / 2 * n : n / 2 * (n + 1);
    if (count != n || sum != expected)
        wrong("received %llu of %llu messages, checksum %llu instead of %llu",
              (unsigned long long)count, (unsigned long long)n, (unsigned long long)sum,
              (unsigned long long)expected);
}

/* It is also the second thread that is always alive: without one glibc leaves the locked
 * instructions out of its mutexes, and the uncontended comparisons would be with something else. */
static void *watchdog(void *unused)
{
    unsigned long seen = 0;
    int limit = HANG_SECONDS + (int)(opt.round_ns / 1e9 * HANG_SECONDS);
    for (int still = 0;; sleep(1)) {
        unsigned long now = atomic_load_explicit(&shared->progress, memory_order_relaxed);
        still = now == seen ? still + 1 : 0;
        seen = now;
        if (still < limit) continue;
        wrong("no progress for %d s, given up", limit);
        fflush(stdout);
        _exit(1);
    }
    return unused;
}

static void start_watchdog(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, watchdog, NULL) || pthread_detach(thread)) {
        fputs("bench: no second thread\n", stderr);
        exit(1);
    }
}

/* --pin: the calling thread stays on the i-th usable CPU. */
static inline void pin_to(int i)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    i %= CPU_COUNT(&opt.cpus);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &opt.cpus) && i-- == 0) CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static struct sample run_once(const struct work *w, const struct row *row, uint64_t n)
{
    atomic_store_explicit(&shared->work, w->name, memory_order_relaxed);
    atomic_store_explicit(&shared->row, row->name, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->progress, 1, memory_order_relaxed);
    return row->run(w, n);
}

/* The warm-up: runs of growing length, which also find how many operations fill a round. */
static uint64_t warm_up(const struct work *w, const struct row *row)
{
    for (uint64_t n = 256;;) {
        double took = run_once(w, row, n).wall * (double)n;
        if (took > opt.round_ns / 4 || n > UINT64_C(1) << 40)
            return (uint64_t)((double)n * opt.round_ns / took) + 1;
        double grow = took > 0 ? opt.round_ns / took : 8;
        n *= grow < 2 ? 2 : grow > 8 ? 8 : (uint64_t)grow;
    }
}

static int rows(const struct work *w)
{
    int n = 0;
    while (n < MOST_ROWS && w->row[n].run) n++;
    return n;
}

/* A B C A B C ... : whatever disturbs the machine for a while disturbs all of them. */
static void measure(const struct work *w, struct result *result)
{
    int rounds = w->once && opt.rounds > 3 ? 3 : opt.rounds;
    double machine = machine_ns();
    struct watch watch = watch_start(CLOCK_PROCESS_CPUTIME_ID);
    for (int r = 0; r < rows(w); r++) result[r].n = w->once ? 1 : warm_up(w, &w->row[r]);
    for (int round = 0; round < rounds; round++)
        for (int r = 0; r < rows(w); r++)
            result[r].round[round] = run_once(w, &w->row[r], result[r].n);
    for (int r = 0; r < rows(w); r++) result[r].rounds = rounds;
    struct sample own = watch_stop(watch, 1);
    double foreign = machine < 0 ? 0 : machine_ns() - machine - own.cpu;
    result[0].foreign = foreign < 50e6 ? 0 : foreign / own.wall; /* it is told in ticks of 10 ms */
}

/* ---- verdicts -------------------------------------------------------------------------------- */

struct spread {
    double least, median, most;
};

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct spread spread_of(const struct result *r, enum metric by)
{
    double v[MOST_ROUNDS] = { 0 };
    int n = r->rounds;
    for (int i = 0; i < n; i++) v[i] = by == WALL ? r->round[i].wall : r->round[i].cpu;
    qsort(v, (size_t)n, sizeof *v, by_value);
    return (struct spread){ v[0], (v[(n - 1) / 2] + v[n / 2]) / 2, v[n - 1] };
}

/* What a row is judged by: its time, or its ratio to another row's; and the sense of the target. */
struct verdict {
    double value;
    bool ratio, judged, met;
    const char *sense;
};

static struct verdict judge(const struct work *w, const struct result *result, int row)
{
    const struct row *r = &w->row[row];
    struct verdict v = { .value = spread_of(&result[row], w->by).median, .sense = "<=" };
    v.ratio = r->check >= RATIO;
    v.judged = r->check != SHOWN && r->check != RATIO;
    if (v.ratio) v.value /= spread_of(&result[r->of], w->by).median;
    if (r->check == RATIO_AT_LEAST) v.sense = ">=";
    v.met = r->check == RATIO_AT_LEAST ? v.value >= r->limit : v.value <= r->limit;
    return v;
}

/* ---- printing -------------------------------------------------------------------------------- */

static const char *number(char *to, size_t size, double v)
{
    if (v < 1000)
        snprintf(to, size, "%.1f", v);
    else if (v < 1e6)
        snprintf(to, size, "%.0f", v);
    else
        snprintf(to, size, "%.1f M", v / 1e6);
    return to;
}

static int targets, targets_met, disturbed;

static void print_verdict(const struct work *w, const struct row *r, struct verdict v)
{
    char text[64] = "";
    if (v.ratio) snprintf(text, sizeof text, "%5.2f x %s", v.value, w->row[r->of].name);
    if (v.judged) {
        char limit[32];
        targets++;
        targets_met += v.met;
        snprintf(limit, sizeof limit, "%.10g", r->limit);
        printf("  %-31s %s %s %s", text, v.sense, limit, v.met ? "met" : "MISSED");
    } else if (v.ratio) {
        printf("  %s", text);
    }
}

static void print_head(void)
{
    printf("%-30s %9s %9s  %s\n", "ns per operation, medians", "wall", "cpu",
           "  least ..    most  ratio and target");
}

static void print_work(const struct work *w, const struct result *result)
{
    char a[32], b[32];
    printf("\n%s  [by %s]", w->name, w->by == WALL ? "wall time" : "CPU time");
    if (result[0].foreign > 0.1) {
        disturbed++;
        printf("  DISTURBED: %.1f CPUs busy elsewhere", result[0].foreign);
    }
    putchar('\n');
    for (int i = 0; i < rows(w); i++) {
        if (!result[i].rounds) {
            printf("  %-28s not measured\n", w->row[i].name);
            continue;
        }
        struct spread s = spread_of(&result[i], w->by);
        printf("  %-28s %9s", w->row[i].name,
               number(a, sizeof a, spread_of(&result[i], WALL).median));
        printf(" %9s", number(a, sizeof a, spread_of(&result[i], CPU).median));
        printf("  %8s ..%8s", number(a, sizeof a, s.least), number(b, sizeof b, s.most));
        print_verdict(w, &w->row[i], judge(w, result, i));
        putchar('\n');
    }
    fflush(stdout);
}

static void json_samples(const char *name, const struct result *r, enum metric by)
{
    printf(", \"%s_median\": %.3f, \"%s\": [", name, spread_of(r, by).median, name);
    for (int i = 0; i < r->rounds; i++)
        printf("%s%.3f", i ? ", " : "", by == WALL ? r->round[i].wall : r->round[i].cpu);
    putchar(']');
}

static void json_work(const struct work *w, const struct result *result, bool first)
{
    printf("%s\n  {\"name\": \"%s\", \"by\": \"%s\", \"foreign_cpus\": %.2f, \"rows\": [",
           first ? "" : ",", w->name, w->by == WALL ? "wall" : "cpu", result[0].foreign);
    for (int i = 0; i < rows(w); i++) {
        printf("%s\n    {\"name\": \"%s\", \"n\": %llu", i ? "," : "", w->row[i].name,
               (unsigned long long)result[i].n);
        if (result[i].rounds) {
            json_samples("wall", &result[i], WALL);
            json_samples("cpu", &result[i], CPU);
            struct verdict v = judge(w, result, i);
            if (v.ratio)
                printf(", \"ratio\": %.4f, \"of\": \"%s\"", v.value, w->row[w->row[i].of].name);
            if (v.judged) {
                targets++;
                targets_met += v.met;
                printf(", \"target\": \"%s\", \"limit\": %g, \"met\": %s", v.sense, w->row[i].limit,
                       v.met ? "true" : "false");
            }
        }
        putchar('}');
    }
    printf("]}");
}

#endif
