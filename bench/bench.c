/* bench.c - leat beside a well-written mutex queue and pool, a bare Vyukov ring, sem_t and threads.
 *
 *     bench                            everything, in about half a minute
 *     bench --only ping-pong -r 15     only what has that in its name, 15 rounds
 *
 * Below is the table of what is measured, against whom, and with what target. The contestants are
 * in queues.h, pools.h and semaphores.h, each made to fit the same loops, which the compiler
 * inlines into each of them, so nobody pays for the harness. Every message, job and permit is
 * counted and summed. README.md says how to read the result.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "harness.h"
#include "pools.h"
#include "queues.h"
#include "semaphores.h"

#include <getopt.h>
#if defined __GLIBC__
#include <malloc.h>
#endif

/* clang-format off */

/* A throughput work: `of` 0 is leat, the mutex ring must take at least `times` as long. */
#define THROUGHPUT(senders, receivers, times)                                         \
    { .name = "throughput " #senders "x" #receivers, .left = senders, .right = receivers, .cap = 1024, \
      .row = { { .name = "leat", .run = leat_flow },                                   \
               { .name = "mutex ring", .run = mutex_flow, .check = RATIO_AT_LEAST, .of = 0, .limit = times } } }

#define SELECT(cases, ready, title)                                                                    \
    { .name = "select + send, " title, .by = CPU, .left = cases, .right = ready, .cap = MOST_CASES,    \
      .row = { { .name = "leat", .run = leat_selects } } }

static const struct work works[] = {
    { .name = "uncontended send + recv", .by = CPU, .cap = 1024,
      .row = { { .name = "leat", .run = leat_alone, .check = RATIO_AT_MOST, .of = 2, .limit = 1.15 },
               { .name = "leat, with a context", .run = leat_alone_ctx, .check = RATIO, .of = 2 },
               { .name = "bare Vyukov ring", .run = vyukov_alone },
               { .name = "mutex ring", .run = mutex_alone, .check = RATIO, .of = 0 } } },
    { .name = "uncontended batches of 32, per message", .by = CPU, .cap = 1024,
      .row = { { .name = "leat", .run = leat_alone_many, .check = RATIO_AT_MOST, .of = 1, .limit = 0.25 },
               { .name = "leat, one by one", .run = leat_alone },
               { .name = "mutex ring", .run = mutex_alone_many, .check = RATIO, .of = 0 } } },
    THROUGHPUT(1, 1, 5),
    THROUGHPUT(4, 1, 5),
    THROUGHPUT(2, 2, 4),
    THROUGHPUT(4, 4, 4),
    THROUGHPUT(1, 4, 4),
    { .name = "throughput 1x1 in batches of 32", .left = 1, .right = 1, .cap = 1024,
      .row = { { .name = "leat", .run = leat_flow_many, .check = RATIO_AT_MOST, .of = 1, .limit = 0.25 },
               { .name = "leat, one by one", .run = leat_flow },
               { .name = "mutex ring", .run = mutex_flow_many, .check = RATIO, .of = 0 } } },
    { .name = "ping-pong, round trip", .cap = 1,
      .row = { { .name = "leat", .run = leat_ping_pong, .check = AT_MOST, .limit = 400 },
               { .name = "leat, unbuffered", .run = leat_ping_pong_unbuffered, .check = AT_MOST, .limit = 400 },
               { .name = "mutex ring", .run = mutex_ping_pong, .check = RATIO, .of = 0 } } },
    { .name = "ping-pong, one usable CPU", .cap = 1, .one_cpu = true,
      .row = { { .name = "leat", .run = leat_ping_pong, .check = RATIO_AT_MOST, .of = 2, .limit = 1 },
               { .name = "leat, unbuffered", .run = leat_ping_pong_unbuffered, .check = RATIO_AT_MOST,
                 .of = 2, .limit = 1 },
               { .name = "mutex ring", .run = mutex_ping_pong } } },
    { .name = "pool, empty jobs, 2 workers", .by = CPU, .left = 2, .cap = 1024,
      .row = { { .name = "leat", .run = leat_jobs, .check = AT_MOST, .limit = 60 },
               { .name = "mutex pool", .run = mutex_jobs, .check = RATIO_AT_LEAST, .of = 0, .limit = 3 } } },
    { .name = "pool, empty jobs, 8 workers", .by = CPU, .left = 8, .cap = 1024,
      .row = { { .name = "leat", .run = leat_jobs, .check = AT_MOST, .limit = 80 },
               { .name = "mutex pool", .run = mutex_jobs, .check = RATIO_AT_LEAST, .of = 0, .limit = 3 } } },
    { .name = "pool, submit one and wait for it", .left = 2, .cap = 1024,
      .row = { { .name = "leat", .run = leat_churn },
               { .name = "mutex pool", .run = mutex_churn, .check = RATIO_AT_LEAST, .of = 0, .limit = 5 } } },
    { .name = "semaphore uncontended", .by = CPU, .cap = 8,
      .row = { { .name = "leat", .run = leat_sem_alone, .check = RATIO_AT_MOST, .of = 1, .limit = 1.1 },
               { .name = "two locked operations", .run = bare_alone },
               { .name = "sem_t", .run = posix_sem_alone, .check = RATIO, .of = 0 } } },
    { .name = "semaphore, 4 threads at limit 2", .left = 4, .cap = 2,
      .row = { { .name = "leat", .run = leat_sem_crew },
               { .name = "sem_t", .run = posix_sem_crew, .check = RATIO_AT_LEAST, .of = 0, .limit = 1 } } },
    { .name = "idle, 64 pool workers, 1 s", .by = CPU, .once = true, .left = 64, .cap = 128,
      .row = { { .name = "leat", .run = leat_idle, .check = AT_MOST, .limit = 1e6 } } },
    SELECT(2, 2, "2 cases, all ready"),
    SELECT(8, 8, "8 cases, all ready"),
    SELECT(64, 64, "64 cases, all ready"),
    SELECT(2, 1, "2 cases, one ready"),
    SELECT(8, 1, "8 cases, one ready"),
    SELECT(64, 1, "64 cases, one ready"),
    { .name = "group, empty tasks at limit 2", .left = 2,
      .row = { { .name = "leat", .run = leat_tasks },
               { .name = "pthread_create + join", .run = plain_threads, .check = RATIO, .of = 0 } } },
};

/* clang-format on */

enum { WORKS = sizeof works / sizeof *works };

static struct result *result_of(const struct work *w)
{
    return &shared->result[(w - works) * MOST_ROWS];
}

static bool selected(const char *name) { return !opt.only || strstr(name, opt.only); }

/* ---- memory ---------------------------------------------------------------------------------- */

struct memory {
    size_t chan, slot, rest; /* slot: 0 if it cannot be told */
    bool slot_met, rest_met;
};

#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
static size_t heap_of_chan(size_t cap)
{
    u64_chan c;
    size_t before = mallinfo2().uordblks;
    must(leat_make(&c, cap), "leat_make");
    size_t used = mallinfo2().uordblks - before;
    leat_free(&c);
    return used;
}
#else
static size_t heap_of_chan(size_t cap)
{
    (void)cap;
    return 0;
}
#endif

static struct memory measure_memory(void)
{
    size_t small = heap_of_chan(1024), large = heap_of_chan(4096);
    struct memory m = { .chan = sizeof(leat_chan), .slot = (large - small) / 3072 };
    m.rest = small + m.chan - 1024 * m.slot;
    m.slot_met = m.slot <= 16;
    m.rest_met = m.rest <= 512;
    targets += m.slot ? 2 : 0;
    targets_met += m.slot ? m.slot_met + m.rest_met : 0;
    return m;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* leat asks once how many CPUs there are, so this runs in a process of its own, made before leat
 * was used. */
static void measure_on_one_cpu(void)
{
    int status, n = 0;
    for (int i = 0; i < WORKS; i++) n += works[i].one_cpu && selected(works[i].name);
    if (!n) return;
    pid_t child = fork();
    if (child == 0) {
        pin_to(0);
        sched_getaffinity(0, sizeof opt.cpus, &opt.cpus);
        start_watchdog();
        for (int i = 0; i < WORKS; i++)
            if (works[i].one_cpu && selected(works[i].name))
                measure(&works[i], result_of(&works[i]));
        fflush(stderr);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        wrong("the process with one CPU ended early");
}

static const char *cpu_model(void)
{
    static char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    const char *model = NULL;
    while (f && !model && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && (model = strchr(line, ':')) != NULL) {
            line[strcspn(line, "\"\\\n")] = 0;
            model += 2;
        }
    if (f) fclose(f);
    return model ? model : "unknown CPU";
}

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void print_table(void)
{
    printf("%s, %d usable CPUs, %s; %d rounds of %.0f ms%s\n\n", cpu_model(), CPU_COUNT(&opt.cpus),
           COMPILER, opt.rounds, opt.round_ns / 1e6, opt.pin ? ", pinned" : "");
    if (CPU_COUNT(&opt.cpus) != 2) puts("The targets are for 2 CPUs.\n");
    print_head();
    for (int i = 0; i < WORKS; i++) {
        if (!selected(works[i].name)) continue;
        if (!works[i].one_cpu) measure(&works[i], result_of(&works[i]));
        print_work(&works[i], result_of(&works[i]));
    }
    if (selected("memory")) {
        struct memory m = measure_memory();
        printf("\nmemory\n  sizeof(leat_chan)            %9zu bytes\n", m.chan);
        if (m.slot) {
            printf("  a slot, message of 8         %9zu bytes  <= 16  %s\n", m.slot,
                   m.slot_met ? "met" : "MISSED");
            printf("  a channel without its slots  %9zu bytes  <= 512  %s\n", m.rest,
                   m.rest_met ? "met" : "MISSED");
        }
    }
    printf("\n%d of %d targets met", targets_met, targets);
    if (disturbed) printf("; %d works were disturbed: measure them again", disturbed);
    putchar('\n');
}

static void print_json(void)
{
    bool first = true;
    printf("{\"cpu\": \"%s\", \"cpus\": %d, \"compiler\": \"%s\", \"rounds\": %d, \"round_ms\": "
           "%g, \"pinned\": %s,\n"
           " \"unit\": \"ns per operation\", \"works\": [",
           cpu_model(), CPU_COUNT(&opt.cpus), COMPILER, opt.rounds, opt.round_ns / 1e6,
           opt.pin ? "true" : "false");
    for (int i = 0; i < WORKS; i++) {
        if (!selected(works[i].name)) continue;
        if (!works[i].one_cpu) measure(&works[i], result_of(&works[i]));
        json_work(&works[i], result_of(&works[i]), first);
        first = false;
    }
    printf("],\n");
    if (selected("memory")) {
        struct memory m = measure_memory();
        printf(" \"memory\": {\"chan\": %zu, \"slot\": %zu, \"chan_without_slots\": %zu},\n",
               m.chan, m.slot, m.rest);
    }
    printf(" \"targets\": %d, \"met\": %d, \"wrong\": %d}\n", targets, targets_met,
           atomic_load_explicit(&shared->wrong, memory_order_relaxed));
}

static void usage(FILE *to)
{
    fputs("usage: bench [-r ROUNDS] [--only NAME] [--scale X] [--pin] [--json]\n"
          "\n"
          "Measures leat beside a mutex queue and pool, a bare Vyukov ring, sem_t and plain threads,\n"
          "round by round in turns; prints medians, ratios and whether the targets are met.\n"
          "\n"
          "  -r, --rounds N   rounds of each, 1 to 99 (7)\n"
          "  --only NAME      only what has NAME in its name\n"
          "  --scale X        X times the work in each round (1: about 40 ms)\n"
          "  --pin            where two threads work, one on each CPU\n"
          "  --json           all rounds, as JSON\n"
          "  -h, --help\n"
          "\n"
          "Exit status: 0 measured (targets met or not), 1 a wrong result or a hang, 2 bad usage.\n"
          "\n"
          "Names:\n",
          to);
    for (int i = 0; i < WORKS; i++) fprintf(to, "  %s\n", works[i].name);
    fputs("  memory\n", to);
}

static _Noreturn void bad_usage(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    usage(stderr);
    exit(2);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
                                             { "only", required_argument, NULL, 'o' },
                                             { "scale", required_argument, NULL, 's' },
                                             { "pin", no_argument, NULL, 'p' },
                                             { "json", no_argument, NULL, 'j' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    char *rest = NULL;
    for (int c; (c = getopt_long(argc, argv, "r:h", options, NULL)) != -1;) {
        switch (c) {
        case 'r': {
            long rounds = strtol(optarg, &rest, 10);
            if (rest == optarg || *rest || rounds < 1 || rounds > MOST_ROUNDS)
                bad_usage("rounds are 1 to 99");
            opt.rounds = (int)rounds;
            break;
        }
        case 's':
            opt.scale = strtod(optarg, &rest);
            if (rest == optarg || *rest || !(opt.scale >= 0.01 && opt.scale <= 1000))
                bad_usage("the scale is 0.01 to 1000");
            break;
        case 'o': opt.only = optarg; break;
        case 'p': opt.pin = true; break;
        case 'j': opt.json = true; break;
        case 'h': usage(stdout); exit(0);
        default: usage(stderr); exit(2);
        }
    }
    if (optind != argc) bad_usage("no arguments, please");
    opt.round_ns *= opt.scale;
    bool any = selected("memory");
    for (int i = 0; i < WORKS; i++) any |= selected(works[i].name);
    if (!any) bad_usage("nothing has that name");
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    shared = mmap(NULL, sizeof *shared + sizeof(struct result) * WORKS * MOST_ROWS,
                  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || sched_getaffinity(0, sizeof opt.cpus, &opt.cpus)) {
        perror("bench");
        return 1;
    }
    atomic_store_explicit(&shared->work, "start", memory_order_relaxed);
    atomic_store_explicit(&shared->row, "nobody", memory_order_relaxed);
    measure_on_one_cpu();
    start_watchdog();
    if (opt.json)
        print_json();
    else
        print_table();
    return atomic_load_explicit(&shared->wrong, memory_order_relaxed) ? 1 : 0;
}
