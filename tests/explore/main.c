/* main.c - runs the scenarios.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "machine.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

static const char usage[] =
    "explore [option..] [word..]   explores the scenarios with all the words in their names\n"
    "  --list           says which there are\n"
    "  --only NAME      just this one, as --list says it\n"
    "  --runs N         random schedules for each (10000)\n"
    "  --seed S         the first of them (1)\n"
    "  --bound B        instead: all schedules with at most B preemptions, of those small enough;\n"
    "                   N at most, if --runs is given too\n"
    "  --path P         only the schedule that a failure of --bound printed\n"
    "  --trace          shows the last execution also if all is well\n"
    "  --trace=json     the same as one JSON document for each scenario, for docs/replay; all else goes to stderr\n"
    "  --shortest       goes through all, and ends with the failure that is the shortest to read\n"
    "  --lesson NAME    judges all scenarios for a learner (learn/): both kinds of schedules, and the failure in words\n"
    "  --stop           ends with the first failure; without the tests of the simulator itself\n"
    "  --weaken W:O:A   the atomic operations that return to the addresses A,A.. have order O (0: relaxed,\n"
    "                   2: acquire, 3: release, 4: both) as their W-th: 1, or 2 for a failed compare-exchange\n";

static sim_scenario *scenarios;
static long shown;

/* ==== What scenarios call ===================================================================== */

void sim_add_(sim_scenario *s)
{
    sim_scenario **end = &scenarios;
    while (*end) end = &(*end)->next;
    *end = s;
}

int sim_go(void *fn(void *), void *arg)
{
    threads_point();
    int t = threads_start(fn, arg);
    trace("thread made", RELAXED, NULL, (uint64_t)t, (uint64_t)t, __builtin_return_address(0));
    trace_after_for(t, trace_last(), "start");
    return t;
}

void sim_join(void)
{
    for (int t = 1; t < threads; t++) sim_join_one(t);
}

void sim_join_one(int t)
{
    threads_join(t);
    trace("joined", RELAXED, NULL, (uint64_t)t, (uint64_t)t, __builtin_return_address(0));
}

void sim_yield(void)
{
    threads_yield();
}

bool sim_asleep(int t)
{
    return threads_asleep(t);
}

void sim_freed(const void *p, size_t size, const char *what)
{
    memory_plain(p, size, true, __builtin_return_address(0));
    memory_freed(p, size, what);
}

void sim_name(const void *p, size_t size, const char *name)
{
    trace_name(p, size, name);
}

void sim_queue(const void *first, size_t next, const char *name)
{
    trace_queue(first, next, name);
}

void sim_shown(void)
{
    shown++;
}

void sim_fail(const char *what, const char *file, int line)
{
    const char *base = strrchr(file, '/');
    trace("failed", RELAXED, NULL, 0, 0, __builtin_return_address(0));
    threads_fail("T%d expected %s (%s:%d)", self, what, base ? base + 1 : file, line);
}

/* ==== The program ============================================================================= */

static struct {
    long runs;
    uint64_t seed;
    int bound;
    const char *path, *only, *lesson;
    bool trace, list, stop, shortest;
    char **words;
    int word_count;
} option = { .runs = 0, .seed = 1, .bound = -1 };

static bool weaken(const char *text)
{
    int which, order, n;
    if (sscanf(text, "%d:%d%n", &which, &order, &n) != 2) return false;
    for (char *at = (char *)(uintptr_t)text + n; *at;) system_weaken(which, order, (uintptr_t)strtoull(at + 1, &at, 16));
    return true;
}

static bool parse(int argc, char **argv)
{
    const struct {
        const char *name;
        bool *set;
    } flags[] = { { "--trace", &option.trace },
                  { "--trace=json", &recorded },
                  { "--list", &option.list },
                  { "--stop", &option.stop },
                  { "--shortest", &option.shortest } };
    int i = 1;
    for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
        bool *set = NULL;
        for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
            if (!strcmp(argv[i], flags[k].name)) set = flags[k].set;
        if (set) {
            *set = true;
            continue;
        }
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value) return false;
        else if (!strcmp(argv[i], "--runs")) option.runs = atol(value);
        else if (!strcmp(argv[i], "--seed")) option.seed = strtoull(value, NULL, 0);
        else if (!strcmp(argv[i], "--bound")) option.bound = atoi(value);
        else if (!strcmp(argv[i], "--path")) option.path = value;
        else if (!strcmp(argv[i], "--only")) option.only = value;
        else if (!strcmp(argv[i], "--lesson")) option.lesson = value;
        else if (strcmp(argv[i], "--weaken") || !weaken(value)) return false;
        i++;
    }
    option.words = argv + i;
    option.word_count = argc - i;
    return true;
}

static void describe(char *to, size_t size, const sim_scenario *s, const sim_knobs *k)
{
    size_t n = (size_t)snprintf(to, size, "%s", s->name);
    const struct {
        const char *name;
        int value;
    } knob[] = {
        { "senders", k->senders }, { "receivers", k->receivers }, { "cap", k->cap }, { "each", k->each }, { "a", k->a },
        { "start", k->start },
    };
    for (size_t i = 0; i < sizeof knob / sizeof *knob; i++)
        if (knob[i].value) n += (size_t)snprintf(to + n, size - n, " %s=%d", knob[i].name, knob[i].value);
}

/* A word like cap=1 must be there as a whole. Any other word may be a part of the name. */
static bool chosen(const char *name)
{
    if (option.only) return !strcmp(name, option.only);
    for (int i = 0; i < option.word_count; i++) {
        const char *word = option.words[i], *at = strstr(name, word);
        size_t n = strlen(word);
        while (at && strchr(word, '=') && (at[-1] != ' ' || (at[n] && at[n] != ' '))) at = strstr(at + 1, word);
        if (!at) return false;
    }
    return true;
}

static const char *in_short(double n)
{
    static char text[2][16];
    static int next;
    char *to = text[next = !next];
    if (n < 1e4) snprintf(to, sizeof text[0], "%.0f", n);
    else if (n < 1e6) snprintf(to, sizeof text[0], "%.0f k", n / 1e3);
    else snprintf(to, sizeof text[0], "%.1f M", n / 1e6);
    return to;
}

/* How to make the last execution again. */
static char again[STEPS + 80];

static void note_again(uint64_t seed)
{
    if (exhaustive) snprintf(again, sizeof again, "--bound %d --path %s", option.bound, threads_path());
    else snprintf(again, sizeof again, "--runs 1 --seed %" PRIu64, seed);
}

/* The last execution once more, as note_again has noted it. */
static void execute_again(const sim_scenario *s, const sim_knobs *k)
{
    threads_search(option.bound); /* it has searched no state yet */
    if (exhaustive) threads_replay(strrchr(again, ' ') + 1);
    threads_execute(s->run, k, exhaustive ? 0 : strtoull(strrchr(again, ' ') + 1, NULL, 10));
}

/* One configuration, one line of output. */
static bool explore(int number, const sim_scenario *s, const sim_knobs *k, const char *exe)
{
    FILE *to = recorded ? stderr : stdout;
    char name[120];
    describe(name, sizeof name, s, k);
    long executions = 0, limit = option.runs ? option.runs : option.bound < 0 ? 10000 : LONG_MAX;
    double steps = 0, shortest = 0;
    uint64_t seed = option.seed;
    bool failed = false, left = true;
    shown = 0;
    threads_search(option.bound);
    if (option.path) threads_replay(option.path);
    while ((!failed || option.shortest) && left && executions < limit) {
        bool fails = threads_execute(s->run, k, seed) == FAILED;
        executions++;
        steps += (double)step;
        if (!failed || (fails && trace_length() < shortest)) {
            note_again(seed);
            shortest = trace_length();
        }
        failed |= fails;
        if (!exhaustive) seed++;
        else left = !option.path && threads_more();
    }
    if (option.shortest) execute_again(s, k);
    const char *why = threads_failure();
    bool good = k->fails ? failed && strstr(why, k->fails) : !failed && (shown || !k->shows);
    fprintf(to, "%s %d - %s: %s executions, %s steps", good ? "ok" : "not ok", number, name, in_short((double)executions),
            in_short(steps));
    if (k->fails) fprintf(to, ", fails as it should");
    if (k->shows) fprintf(to, ", shown %ld times", shown);
    if (exhaustive && !option.path) fprintf(to, left ? ", not all" : ", all with %d preemptions", option.bound);
    fprintf(to, "\n");
    if (failed && !good) fprintf(to, "# %s\n# again: %s %s --only '%s'\n", why, exe, again, name);
    if (recorded) trace_json(exe, name, again, why);
    else if ((failed && !good) || option.trace) trace_print(exe);
    fflush(stdout);
    return good;
}

/* A seed makes the same execution again only if all addresses are the same: leat_random_ begins with one. */
static void keep_addresses(char **argv)
{
    int now_set = personality(0xFFFFFFFF);
    if (now_set == -1 || now_set & ADDR_NO_RANDOMIZE || personality((unsigned)now_set | ADDR_NO_RANDOMIZE) == -1) return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    keep_addresses(argv);
    if (!parse(argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (option.lesson) return lesson_judge(scenarios, option.lesson, argv[0], option.runs ? option.runs : 20000);
    int number = 0;
    bool good = true;
    for (const sim_scenario *s = scenarios; s; s = s->next)
        for (size_t i = 0; i < s->n; i++) {
            char name[120];
            describe(name, sizeof name, s, &s->knobs[i]);
            if (option.stop && (strstr(name, "litmus_") || strstr(name, "search_"))) continue;
            if (!chosen(name) || (option.bound >= 0 && !s->knobs[i].exhaust)) continue;
            if (option.list) puts(name);
            else good &= explore(++number, s, &s->knobs[i], argv[0]);
            if (!good && option.stop) return 1;
        }
    if (!option.list) fprintf(recorded ? stderr : stdout, "1..%d\n", number);
    return !good;
}
