/* trace.c - what happened, for a person to read.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 4096, SHOWN = 400, REASONS = 4, QUEUES = 16, QUEUED = 8 };

typedef struct reason {
    long event;
    const char *why;
} reason;

typedef struct event {
    const char *what;
    int order, thread;
    long step;
    const void *where;
    uint64_t a, b;
    void *pc;
    /* only if it is recorded: */
    bool read, has_message;
    long from, newest; /* which event stored what it read, and which the newest value */
    uint64_t newest_value;
    int32_t message; /* in the slot that it published */
    reason after[REASONS];
    struct {
        const void *node[QUEUED];
    } queue[QUEUES];
} event;

static event events[KEPT]; /* a ring */
static long count, last_event[SIM_THREADS];
static void *last[SIM_THREADS];
static struct {
    const char *p;
    size_t size;
    char name[24];
} names[128];
static int name_count;
static struct {
    const char *first;
    size_t next;
    char name[24];
} queues[QUEUES];
static int queue_count;

bool recorded;
static event pending[SIM_THREADS]; /* what is known of the next event of each thread */

void trace_begin(void)
{
    count = 0;
    name_count = queue_count = 0;
    if (explaining) explain_begin();
    memset(last, 0, sizeof last);
    memset(pending, 0, sizeof pending);
    for (int t = 0; t < SIM_THREADS; t++) last_event[t] = -1;
}

long trace_last(void)
{
    return count - 1;
}

long trace_last_of(int thread)
{
    return last_event[thread];
}

void trace_reads(long from, long newest, uint64_t value)
{
    event *e = &pending[self];
    e->read = true;
    e->from = from;
    e->newest = newest;
    e->newest_value = value;
}

void trace_after_for(int thread, long number, const char *why)
{
    reason *r = pending[thread].after;
    int n = 0;
    while (n < REASONS && r[n].why && r[n].event != number) n++;
    if (recorded && n < REASONS && number >= 0) r[n] = (reason){ number, why };
}

void trace_after(long number, const char *why)
{
    trace_after_for(self, number, why);
}

void trace_says(uint64_t a)
{
    event *e = &events[(count - 1) % KEPT];
    e->a = e->b = a;
    if (explaining) explain_says(a);
}

void trace_queue(const void *first, size_t next, const char *name)
{
    if (queue_count == QUEUES) return;
    queues[queue_count].first = first;
    queues[queue_count].next = next;
    snprintf(queues[queue_count++].name, sizeof queues->name, "%s", name);
}

/* What the next event of a thread knows beside what every event has. */
static void record(event *e, const char *what)
{
    event known = pending[self];
    pending[self] = (event){ .what = NULL };
    e->read = known.read;
    e->from = known.from;
    e->newest = known.newest;
    e->newest_value = known.newest_value;
    memcpy(e->after, known.after, sizeof e->after);
    if (e->where && !strncmp(what, "store", 5) && strstr(trace_place(e->where), ".slot[")) {
        e->has_message = true; /* behind the stamp, which is 8 bytes */
        memcpy(&e->message, (const char *)e->where + 8, sizeof e->message);
    }
    for (int q = 0; q < queue_count; q++) {
        const char *node = *(const char *const *)(const void *)queues[q].first;
        for (int i = 0; node && i < QUEUED; i++) {
            e->queue[q].node[i] = node;
            node = memory_holds(node) ? *(const char *const *)(const void *)(node + queues[q].next) : NULL;
        }
    }
}

void trace(const char *what, int order, const void *where, uint64_t a, uint64_t b, void *pc)
{
    event *e = &events[count++ % KEPT];
    if (recorded) memset(e, 0, sizeof *e);
    e->what = what, e->order = order, e->thread = self, e->step = step, e->where = where, e->a = a, e->b = b, e->pc = pc;
    if (recorded) record(e, what);
    last_event[self] = count - 1;
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
    if (threads_of(at) >= 0) snprintf(to, sizeof text[0], "T%d's end", threads_of(at));
    else snprintf(to, sizeof text[0], "%p", at);
    return to;
}

/* Source lines, of all places at once. */
typedef struct place {
    char file[256], function[80];
    int line;
} place;

static const char *base_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash ? slash + 1 : file;
}

static place *find_places(const char *exe, void *const *pc, int n)
{
    size_t size = strlen(exe) + 60 + (size_t)n * 20;
    char *command = malloc(size), text[400];
    place *found = calloc((size_t)n + 1, sizeof *found);
    if (!command || !found) abort();
    size_t k = (size_t)snprintf(command, size, "addr2line -f -e '%s'", exe);
    for (int i = 0; i < n; i++) /* one before the return address: the call */
        k += (size_t)snprintf(command + k, size - k, " %#lx", (unsigned long)(uintptr_t)pc[i] - 1);
    FILE *f = popen(command, "r");
    for (int i = 0; f && i < 2 * n && fgets(text, sizeof text, f); i++) {
        text[strcspn(text, " \n")] = 0;
        place *p = &found[i / 2];
        if (i % 2 == 0) {
            snprintf(p->function, sizeof p->function, "%.79s", text);
            continue;
        }
        char *colon = strrchr(text, ':');
        if (colon) {
            *colon = 0;
            p->line = atoi(colon + 1);
        }
        snprintf(p->file, sizeof p->file, "%.255s", text);
    }
    if (f) pclose(f);
    free(command);
    return found;
}

static void print_place(const place *p)
{
    char text[29];
    snprintf(text, sizeof text, "%.20s:%d", base_of(p->file), p->line);
    printf("%s %.47s\n", text, p->function);
}

static const char *const orders[] = { "relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst" };

void trace_print(const char *exe)
{
    static void *pc[SHOWN + SIM_THREADS];
    long from = count > SHOWN ? count - SHOWN : 0;
    int n = (int)(count - from);
    for (int i = 0; i < n; i++) pc[i] = events[(from + i) % KEPT].pc;
    for (int t = 0; t < threads; t++) pc[n + t] = last[t];
    place *places = find_places(exe, pc, n + threads);
    if (from) printf("#   (%ld steps before)\n", from);
    for (int i = 0; i < n; i++) {
        const event *e = &events[(from + i) % KEPT];
        char values[64] = "";
        if (e->b != e->a)
            snprintf(values, sizeof values, "%#llx, %#llx", (unsigned long long)e->a, (unsigned long long)e->b);
        else if (e->where) snprintf(values, sizeof values, "%#llx", (unsigned long long)e->a);
        printf("# %5ld %*sT%-2d %-24s %-8s %-20s %-24s ", e->step, 2 * e->thread, "", e->thread, e->what,
               e->order ? orders[e->order] : "", e->where ? trace_place(e->where) : "", values);
        print_place(&places[i]);
    }
    printf("# The threads were last seen at:\n");
    for (int t = 0; t < threads; t++) {
        printf("#   T%-2d ", t);
        print_place(&places[n + t]);
    }
    free(places);
}

/* Each change of thread costs a reader more than a step of the same thread. */
double trace_length(void)
{
    double length = (double)count;
    for (long i = count > KEPT ? count - KEPT + 1 : 1; i < count; i++)
        if (events[i % KEPT].thread != events[(i - 1) % KEPT].thread) length += 3;
    return length;
}

/* ==== JSON ==================================================================================== */

/* A string. What is no UTF-8 becomes U+FFFD. < is escaped, so that the text may stand in a page. */
static void put(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    putchar('"');
    while (*s) {
        int n = *s < 0x80 ? 1 : *s >= 0xC2 && *s < 0xE0 ? 2 : *s >= 0xE0 && *s < 0xF0 ? 3 : *s >= 0xF0 && *s < 0xF5 ? 4 : 0;
        for (int i = 1; i < n; i++)
            if ((s[i] & 0xC0) != 0x80) n = 0;
        if (n >= 3 && ((*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] >= 0xA0) || (*s == 0xF0 && s[1] < 0x90) ||
                       (*s == 0xF4 && s[1] >= 0x90)))
            n = 0;
        if (!n) {
            fputs("\\ufffd", stdout);
            s++;
        } else if (*s == '"' || *s == '\\') {
            printf("\\%c", *s++);
        } else if (*s < 0x20 || *s == 0x7F || *s == '<') {
            printf("\\u%04x", *s++);
        } else {
            fwrite(s, 1, (size_t)n, stdout);
            s += n;
        }
    }
    putchar('"');
}

static int on_stack(const void *at)
{
    for (int t = 0; t < threads; t++)
        if ((const char *)at >= threads_stack(t) && (const char *)at < threads_stack(t) + STACK) return t;
    return -1;
}

/* A parked thread's state: what these functions access on a stack. */
static bool is_waiter(const event *e, const char *function)
{
    static const char *const of[] = { "leat_park_",     "leat_resolve_",   "leat_is_waiting_",
                                      "leat_is_woken_", "leat_is_asleep_", "leat_wake_begins_" };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (!strcmp(function, of[i]) && on_stack(e->where) >= 0) return true;
    return false;
}

enum { OBJECTS = 512 };
static const void *objects[OBJECTS];
static bool waits[OBJECTS];
static int object_count;

static int object_of(const void *where)
{
    int i = 0;
    while (i < object_count && objects[i] != where) i++;
    if (i == object_count && i < OBJECTS) {
        waits[i] = false;
        objects[object_count++] = where;
    }
    return i < OBJECTS ? i : -1;
}

/* The names of static variables, of those objects that have no other. */
static char (*symbols)[48];

static void find_symbols(const char *exe)
{
    static uintptr_t best[OBJECTS];
    char line[300], command[400], name[200], kind;
    unsigned long at;
    symbols = calloc(OBJECTS, sizeof *symbols);
    memset(best, 0, sizeof best);
    snprintf(command, sizeof command, "nm '%.380s'", exe);
    FILE *f = symbols ? popen(command, "r") : NULL;
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx %c %199s", &at, &kind, name) != 3 || !strchr("bBdDvVuU", kind)) continue;
        for (int i = 0; i < object_count; i++)
            if (at <= (uintptr_t)objects[i] && at >= best[i]) {
                best[i] = at;
                snprintf(symbols[i], sizeof *symbols, "%.40s", name);
            }
    }
    for (int i = 0; i < object_count; i++)
        if (trace_place(objects[i])[0] != '0' || (uintptr_t)objects[i] - best[i] > 256) symbols[i][0] = 0;
    if (f) pclose(f);
}

static void put_place(const place *p)
{
    fputs(",\"file\":", stdout);
    put(base_of(p->file));
    printf(",\"line\":%d,\"function\":", p->line);
    put(p->function);
}

/* The lines that the places name, and two around each. */
static void put_sources(const place *places, int n)
{
    const char *comma = "";
    printf("\"sources\":{");
    for (int i = 0; i < n; i++) {
        bool first = places[i].line > 0;
        for (int k = 0; k < i; k++) first &= strcmp(places[k].file, places[i].file) != 0;
        FILE *f = first ? fopen(places[i].file, "r") : NULL;
        if (!f) continue;
        printf("%s\n", comma);
        put(base_of(places[i].file));
        printf(":{");
        char text[400];
        const char *comma_too = "";
        for (int line = 1; fgets(text, sizeof text, f); line++) {
            bool wanted = false;
            for (int k = i; k < n && !wanted; k++)
                wanted = abs(places[k].line - line) <= 2 && !strcmp(places[k].file, places[i].file);
            if (!wanted) continue;
            text[strcspn(text, "\r\n")] = 0;
            printf("%s\n\"%d\":", comma_too, line);
            put(text);
            comma_too = ",";
        }
        fclose(f);
        printf("}");
        comma = ",";
    }
    printf("}");
}

/* The latest release fence of a thread before an event, or -1. */
static long fence_before(long from, long i, int thread)
{
    while (--i >= from) {
        const event *e = &events[i % KEPT];
        if (e->thread == thread && !strcmp(e->what, "fence") && e->order >= RELEASE) return i;
    }
    return -1;
}

/* The releases that a read of what event w stored synchronizes with: w, or the fence before it; and, as w carries on the
 * release sequence of what it has read, those of that. */
static void put_synchronizes(long from, long w, const char **comma)
{
    while (w >= from) {
        const event *e = &events[w % KEPT];
        long release = e->order >= RELEASE ? w : fence_before(from, w, e->thread);
        if (release >= 0) {
            printf("%s[%ld,\"sync\"]", *comma, release - from);
            *comma = ",";
        }
        if (!e->read) break; /* a plain store begins a new sequence */
        w = e->from;
    }
}

static void put_step(long from, long i, const place *p)
{
    const event *e = &events[i % KEPT], *before = i > from ? &events[(i - 1) % KEPT] : NULL;
    printf("{\"n\":%ld,\"thread\":%d,\"what\":", e->step, e->thread);
    put(e->what);
    if (e->where || e->order) printf(",\"order\":\"%s\"", orders[e->order]);
    if (e->where) printf(",\"object\":%d", object_of(e->where));
    printf(",\"a\":\"%#llx\",\"b\":\"%#llx\"", (unsigned long long)e->a, (unsigned long long)e->b);
    put_place(p);
    if (e->read) {
        printf(",\"from\":%ld", e->from < from ? -1 : e->from - from);
        if (e->from != e->newest)
            printf(",\"stale\":true,\"newest\":%ld,\"newestValue\":\"%#llx\"", e->newest < from ? -1 : e->newest - from,
                   (unsigned long long)e->newest_value);
    }
    const char *comma = "";
    printf(",\"after\":[");
    for (int k = 0; k < REASONS && e->after[k].why; k++) {
        if (e->after[k].event < from) continue;
        printf("%s[%ld,\"%s\"]", comma, e->after[k].event - from, e->after[k].why);
        comma = ",";
    }
    bool acquires = e->order == CONSUME || e->order == ACQUIRE || e->order >= ACQ_REL;
    if (e->read && acquires) put_synchronizes(from, e->from, &comma);
    if (!strcmp(e->what, "fence") && acquires) /* for all relaxed loads of its thread before it */
        for (long k = i; --k >= from;) {
            const event *load = &events[k % KEPT];
            if (load->thread == e->thread && load->read) put_synchronizes(from, load->from, &comma);
        }
    printf("]");
    if (e->has_message) printf(",\"message\":%d", (int)e->message);
    if (queue_count && (!before || memcmp(before->queue, e->queue, sizeof e->queue))) {
        printf(",\"queues\":[");
        for (int q = 0; q < queue_count; q++) {
            printf("%s[", q ? "," : "");
            for (int k = 0; k < QUEUED && e->queue[q].node[k]; k++) {
                int t = on_stack(e->queue[q].node[k]);
                if (k) putchar(',');
                if (t >= 0) printf("%d", t);
                else put(trace_place(e->queue[q].node[k]));
            }
            printf("]");
        }
        printf("]");
    }
    printf("}");
}

void trace_json(const char *exe, const char *scenario, const char *again, const char *failure)
{
    static void *pc[KEPT + SIM_THREADS];
    long from = count > KEPT ? count - KEPT : 0;
    int n = (int)(count - from);
    for (int i = 0; i < n; i++) pc[i] = events[(from + i) % KEPT].pc;
    for (int t = 0; t < threads; t++) pc[n + t] = last[t];
    place *places = find_places(exe, pc, n + threads);
    object_count = 0;
    for (int i = 0; i < n; i++) {
        const event *e = &events[(from + i) % KEPT];
        int o = e->where ? object_of(e->where) : -1;
        if (o >= 0 && is_waiter(e, places[i].function)) waits[o] = true;
    }
    printf("{\"format\":1,\"scenario\":");
    put(scenario);
    printf(",\"again\":");
    put(again);
    printf(",\"verdict\":\"%s\"", failure ? "failed" : "passed");
    if (failure) {
        printf(",\"failure\":");
        put(failure);
    }
    if (from) printf(",\"before\":%ld", from);
    printf(",\n\"threads\":[");
    for (int t = 0; t < threads; t++) {
        printf("%s\n{\"state\":\"%s\"", t ? "," : "",
               threads_sleeps_on(t) ? "asleep"
               : threads_ended(t)   ? "ended"
                                    : "ready");
        if (threads_sleeps_on(t)) {
            printf(",\"on\":");
            put(trace_place(threads_sleeps_on(t)));
        }
        put_place(&places[n + t]);
        printf("}");
    }
    printf("],\n\"queues\":[");
    for (int q = 0; q < queue_count; q++) {
        if (q) putchar(',');
        put(queues[q].name);
    }
    printf("],\n\"names\":["); /* of memory: what the scenario has told */
    for (int i = 0; i < name_count; i++) {
        if (i) putchar(',');
        put(names[i].name);
    }
    find_symbols(exe);
    printf("],\n\"objects\":[");
    for (int i = 0; i < object_count; i++) {
        printf("%s\n{\"name\":", i ? "," : "");
        put(trace_place(objects[i]));
        if (waits[i]) printf(",\"waiter\":%d", on_stack(objects[i]));
        if (symbols[i][0]) {
            printf(",\"symbol\":");
            put(symbols[i]);
        }
        printf("}");
    }
    printf("],\n");
    put_sources(places, n + threads);
    printf(",\n\"steps\":[");
    for (int i = 0; i < n; i++) {
        printf("%s\n", i ? "," : "");
        put_step(from, from + i, &places[i]);
    }
    printf("]}\n");
    free(places);
    free(symbols);
}
