/* trace.c - what happened, for a person to read.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 4096, SHOWN = 400 };

typedef struct event {
    const char *what;
    int order, thread;
    long step;
    const void *where;
    uint64_t a, b;
    void *pc;
} event;

static event events[KEPT]; /* a ring */
static long count;
static void *last[SIM_THREADS];
static struct {
    const char *p;
    size_t size;
    char name[24];
} names[128];
static int name_count;

void trace_begin(void)
{
    count = 0;
    name_count = 0;
    if (explaining) explain_begin();
    memset(last, 0, sizeof last);
}

void trace(const char *what, int order, const void *where, uint64_t a, uint64_t b, void *pc)
{
    events[count++ % KEPT] = (event){ what, order, self, step, where, a, b, pc };
    if (pc) last[self] = pc;
    if (explaining) explain_event(what, order, where, a, b, pc);
}

void trace_name(const void *p, size_t size, const char *name)
{
    if (name_count == sizeof names / sizeof *names) return;
    names[name_count].p = p;
    names[name_count].size = size;
    snprintf(names[name_count++].name, sizeof names->name, "%s", name);
}

bool trace_named(const void *at)
{
    const char *p = at;
    for (int i = 0; i < name_count; i++)
        if (p >= names[i].p && p < names[i].p + names[i].size) return true;
    return false;
}

/* The smallest named piece of memory that holds it. */
const char *trace_place(const void *at)
{
    static char text[8][48];
    static int next;
    const char *p = at;
    char *to = text[next = (next + 1) % 8];
    int best = -1;
    for (int i = 0; i < name_count; i++)
        if (p >= names[i].p && p < names[i].p + names[i].size && (best < 0 || names[i].size <= names[best].size)) best = i;
    if (best >= 0) {
        long offset = p - names[best].p;
        snprintf(to, sizeof text[0], offset ? "%s+%ld" : "%s", names[best].name, offset);
        return to;
    }
    if (explaining && explain_name(at)) return explain_name(at);
    for (int t = 0; t < threads; t++)
        if (p >= threads_stack(t) && p < threads_stack(t) + STACK) {
            snprintf(to, sizeof text[0], "T%d's stack-%ld", t, (long)(threads_stack(t) + STACK - p));
            return to;
        }
    snprintf(to, sizeof text[0], "%p", at);
    return to;
}

/* Source lines, of all places at once. */
static void find_lines(const char *exe, void *const *pc, int n, char (*line)[80])
{
    size_t size = strlen(exe) + 60 + (size_t)n * 20;
    char *command = malloc(size), text[256];
    if (!command) return;
    size_t k = (size_t)snprintf(command, size, "addr2line -s -f -e '%s'", exe);
    for (int i = 0; i < n; i++) /* one before the return address: the call */
        k += (size_t)snprintf(command + k, size - k, " %#lx", (unsigned long)(uintptr_t)pc[i] - 1);
    FILE *f = popen(command, "r");
    for (int i = 0; f && i < 2 * n && fgets(text, sizeof text, f); i++) {
        text[strcspn(text, " \n")] = 0;
        if (i % 2) { /* "queue.h:1042", after the function */
            char function[48];
            snprintf(function, sizeof function, "%.47s", line[i / 2]);
            snprintf(line[i / 2], sizeof line[0], "%.28s %s", text, function);
        } else {
            snprintf(line[i / 2], sizeof line[0], "%.79s", text);
        }
    }
    if (f) pclose(f);
    free(command);
}

void trace_print(const char *exe)
{
    static const char *const orders[] = { "relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst" };
    static char line[SHOWN][80];
    static void *pc[SHOWN];
    long from = count > SHOWN ? count - SHOWN : 0;
    int n = (int)(count - from);
    for (int i = 0; i < n; i++) pc[i] = events[(from + i) % KEPT].pc;
    memset(line, 0, sizeof line);
    find_lines(exe, pc, n, line);
    if (from) printf("#   (%ld steps before)\n", from);
    for (int i = 0; i < n; i++) {
        const event *e = &events[(from + i) % KEPT];
        char values[64] = "";
        if (e->b != e->a)
            snprintf(values, sizeof values, "%#llx, %#llx", (unsigned long long)e->a, (unsigned long long)e->b);
        else if (e->where) snprintf(values, sizeof values, "%#llx", (unsigned long long)e->a);
        printf("# %5ld %*sT%-2d %-24s %-8s %-20s %-24s %s\n", e->step, 2 * e->thread, "", e->thread, e->what,
               e->order ? orders[e->order] : "", e->where ? trace_place(e->where) : "", values, line[i]);
    }
    printf("# The threads were last seen at:\n");
    for (int t = 0; t < threads && t < SHOWN; t++) pc[t] = last[t];
    find_lines(exe, pc, threads, line);
    for (int t = 0; t < threads; t++) printf("#   T%-2d %s\n", t, line[t]);
}
