/* lesson.c - judges code that somebody writes to learn (learn/): runs its scenarios until one fails, looks for the
 * shortest failure, and tells it in words. SPDX-License-Identifier: MIT
 *
 * A stale load or a data race gets a note: which store it has missed, and why no release and acquire order the two. For
 * that, each thread and each message has a second vector clock. It is what they would know if every load were an
 * acquire, and every store a release. If the second clock knows of the missed store and the real one does not, then
 * there is a read between the two whose load or store is too weak, and the note names it. If not even the second clock
 * knows, the thread has read nothing that came after that store, and no release or acquire can help. */
#define _GNU_SOURCE
#include "machine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 4096, STORES = 8192, WIDTH = 100, LAST = 40, BOUND = 2 };

/* A store, for those that read it. */
struct store_told {
    int thread, order;
    long event;
    uint32_t own[SIM_THREADS];     /* what its thread knew */
    uint32_t carried[SIM_THREADS]; /* what a thread learns that reads it by an acquire */
    uint32_t all[SIM_THREADS];     /* what it could have carried */
};

/* Why does thread `to` not know of what thread `from` did? */
typedef struct reason {
    int from, to;
    long read, write; /* the read that is too weak, and the store that it has read. -1: there is none */
    bool weak_read, weak_write;
} reason;

typedef struct event {
    const char *what;
    int order, thread;
    long step;
    const void *where;
    uint64_t a, b;
    void *pc;
    const store_told *read;
    /* A note. */
    enum { NONE, STALE, RACE } note;
    long missed; /* the event that it has missed, or that it races with. -1: not kept */
    uint64_t newest;
    reason why;
    char text[64]; /* the place in the source */
} event;

bool explaining;

static event events[KEPT];
static long count;
static store_told tolds[STORES];
static int told_count;
static uint32_t all[SIM_THREADS][SIM_THREADS];
static void *function[SIM_THREADS];
static void *latest[SIM_THREADS]; /* where each thread was last seen */
static const store_told *reading; /* by the event that comes next */
static event noted;               /* and its note */

/* ==== What memory.c tells ===================================================================== */

void explain_begin(void)
{
    count = 0;
    told_count = 0;
    reading = NULL;
    noted.note = NONE;
    memset(all, 0, sizeof all);
    memset(function, 0, sizeof function);
    memset(latest, 0, sizeof latest);
}

void explain_thread(int t, int parent, void *fn)
{
    function[t] = fn;
    memcpy(all[t], all[parent], sizeof all[t]);
}

static void learn(uint32_t *to, const uint32_t *from)
{
    for (int t = 0; t < SIM_THREADS; t++)
        if (to[t] < from[t]) to[t] = from[t];
}

void explain_event(const char *what, int order, const void *where, uint64_t a, uint64_t b, void *pc)
{
    latest[self] = pc;
    if (count == KEPT) return; /* the beginning is what a livelock shows */
    event *e = &events[count++];
    *e = noted;
    noted = (event){ .note = NONE };
    e->what = what, e->order = order, e->thread = self, e->step = step, e->where = where, e->a = a, e->b = b, e->pc = pc;
    e->read = reading;
    reading = NULL;
}

void explain_says(uint64_t a)
{
    if (count < KEPT) events[count - 1].a = events[count - 1].b = a;
}

void explain_saw(const uint32_t *clock)
{
    learn(all[self], clock);
}

void explain_read(const store_told *o)
{
    reading = o;
    if (o) learn(all[self], o->all);
}

const store_told *explain_wrote(int order, const uint32_t *own, const uint32_t *carried, const store_told *before)
{
    if (told_count == STORES) return NULL;
    store_told *o = &tolds[told_count++];
    o->thread = self;
    o->order = order;
    o->event = count - 1;
    memcpy(o->own, own, sizeof o->own);
    memcpy(o->carried, carried, sizeof o->carried);
    learn(all[self], own);
    memcpy(o->all, all[self], sizeof o->all);
    if (before) learn(o->all, before->all);
    return o;
}

static bool acquires(int order)
{
    return order == ACQUIRE || order == CONSUME || order == ACQ_REL || order == SEQ_CST;
}

/* Thread `to` does not know of step `clock` of thread `from`, before this event. The read to blame is the last one that
 * leads straight to `from`, or else the last one. */
static reason why(int to, int from, uint32_t clock, long before)
{
    reason r = { from, to, -1, -1, false, false };
    const event *best = NULL;
    for (long i = 0; i < before; i++) {
        const event *e = &events[i];
        if (e->thread != to || !e->read || e->read->all[from] < clock) continue;
        if (!best || e->read->thread == from || best->read->thread != from) best = e;
    }
    if (!best) return r;
    const store_told *o = best->read;
    if (o->own[from] < clock && o->thread != from)
        return why(o->thread, from, clock, o->event); /* it did not know, either */
    r.read = best - events;
    r.write = o->event;
    r.weak_write = o->carried[from] < clock;
    r.weak_read = !acquires(best->order);
    return r;
}

void explain_stale(const store_told *newest, uint64_t value)
{
    noted = (event){ .note = STALE, .missed = -1, .newest = value };
    if (!newest) return;
    noted.missed = newest->event;
    noted.why = why(self, newest->thread, newest->own[newest->thread], count);
}

/* The event that comes next races with one that another thread has done at the same place. */
void explain_race(const void *where, int other, uint32_t clock)
{
    noted = (event){ .note = RACE, .missed = -1 };
    for (int reach = 4; noted.missed < 0 && reach <= 16; reach *= 2) /* how large the accesses were is not known any more */
        for (long i = count; noted.missed < 0 && i-- > 0;)
            if (events[i].thread == other && events[i].where &&
                llabs((const char *)events[i].where - (const char *)where) < reach)
                noted.missed = i;
    noted.why = why(self, other, clock, count);
}

/* ==== In words ================================================================================ */

static void say(int indent, const char *text)
{
    int column = 0;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (!column || column + 1 + n > WIDTH) {
            printf("%s%*s", column ? "\n" : "", indent, "");
            column = indent;
        } else {
            putchar(' ');
            column++;
        }
        printf("%.*s", n, text);
        column += n;
        text += n;
        text += *text == ' ';
    }
    putchar('\n');
}

/* The functions and lines of these addresses. What learn.h does is shown where it was called. */
static void find_places(const char *exe, void *const *pc, int n, char (*place)[64], char (*name)[48])
{
    size_t size = strlen(exe) + 60 + (size_t)n * 20;
    char *command = malloc(size), text[256], fn[48] = "";
    if (!command) return;
    size_t k = (size_t)snprintf(command, size, "addr2line -a -i -s -f -e '%s'", exe);
    for (int i = 0; i < n; i++) k += (size_t)snprintf(command + k, size - k, " %#lx", (unsigned long)(uintptr_t)pc[i] - 1);
    FILE *f = popen(command, "r");
    bool done = false, odd = false;
    for (int i = -1; f && fgets(text, sizeof text, f);) {
        text[strcspn(text, " \n")] = 0;
        if (!strncmp(text, "0x", 2)) { /* the next address */
            i++;
            done = odd = false;
        } else if (odd && i < n) {
            odd = false;
            if (done) continue;
            if (place) snprintf(place[i], sizeof place[0], "%.28s, in %.28s", text, fn);
            if (name) snprintf(name[i], sizeof name[0], "%s", fn);
            done = strncmp(text, "learn.h:", 8) != 0;
        } else {
            odd = true;
            snprintf(fn, sizeof fn, "%.47s", text);
        }
    }
    if (f) pclose(f);
    free(command);
}

/* Static objects have the names that the compiler knows. */
static struct symbol {
    const char *p;
    size_t size;
    char name[32];
} symbols[512];
static int symbol_count;

static void find_symbols(const char *exe)
{
    char command[400], text[256], type;
    snprintf(command, sizeof command, "nm -S '%s'", exe);
    FILE *f = popen(command, "r");
    while (f && symbol_count < 512 && fgets(text, sizeof text, f)) {
        unsigned long p, size;
        struct symbol *s = &symbols[symbol_count];
        if (sscanf(text, "%lx %lx %c %31[^.\n]", &p, &size, &type, s->name) != 4 || !strchr("bBdD", type)) continue;
        s->p = (const char *)(uintptr_t)p;
        s->size = size;
        symbol_count += size < STACK; /* not the machine's heap and stacks */
    }
    if (f) pclose(f);
}

static const struct symbol *symbol_at(const char *p)
{
    for (const struct symbol *s = symbols; s < symbols + symbol_count; s++)
        if (p >= s->p && p < s->p + s->size) return s;
    return NULL;
}

const char *explain_name(const void *at)
{
    static char text[4][48];
    static int next;
    const struct symbol *s = symbol_at(at);
    if (!s) return NULL;
    char *to = text[next = (next + 1) % 4];
    snprintf(to, sizeof text[0], at == s->p ? "%s" : "%s+%d", s->name, (int)((const char *)at - s->p));
    return to;
}

bool explain_knows(const void *p)
{
    return trace_named(p) || symbol_at(p);
}

static const char *number(uint64_t v)
{
    static char text[4][24];
    static int next;
    char *to = text[next = (next + 1) % 4];
    snprintf(to, sizeof text[0],
             v < 100000                             ? "%llu"
             : (int32_t)v < 0 && (int32_t)v > -1000 ? "-%llu"
                                                    : "%#llx",
             v < 100000                             ? (unsigned long long)v
             : (int32_t)v < 0 && (int32_t)v > -1000 ? (unsigned long long)-(int32_t)v
                                                    : (unsigned long long)v);
    return to;
}

static bool is(const event *e, const char *what)
{
    return !strncmp(e->what, what, strlen(what));
}

static bool stores(const event *e)
{
    static const char *const of[] = { "store", "compare-exchange", "exchange", "add", "sub", "and", "or", "xor" };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (!strcmp(e->what, of[i])) return true;
    return false;
}

/* An old store, and not the same value. */
static bool is_stale(const event *e)
{
    return e->note == STALE && e->newest != e->a;
}

static void describe(const event *e, char *to, size_t size)
{
    const char *place = e->where ? trace_place(e->where) : "", *a = number(e->a), *b = number(e->b);
    if (is(e, "load")) snprintf(to, size, "load   %s: %s%s", place, a, is_stale(e) ? "  (stale)" : "");
    else if (is(e, "store")) snprintf(to, size, "store  %s = %s%s", place, a, is(e, "store, o") ? "  (overtaken)" : "");
    else if (is(e, "compare-exchange failed")) snprintf(to, size, "cas    %s: failed, it was %s", place, b);
    else if (is(e, "compare-exchange")) snprintf(to, size, "cas    %s: %s -> %s", place, a, b);
    else if (is(e, "plain")) snprintf(to, size, "%s  %s", is(e, "plain load") ? "read " : "write", place);
    else if (is(e, "futex wait: changed")) snprintf(to, size, "park   %s: not %s any more, goes on", place, a);
    else if (is(e, "futex wait"))
        snprintf(to, size, "park   %s: it is %s, sleeps%s", place, a, is_stale(e) ? "  (stale)" : "");
    else if (is(e, "futex wake")) snprintf(to, size, "wake   %s: %s thread%s", place, a, e->a == 1 ? "" : "s");
    else if (is(e, "woke")) snprintf(to, size, "%s", e->what);
    else if (is(e, "free")) snprintf(to, size, "free   %s", place);
    else if (is(e, "mutex ")) snprintf(to, size, "%-6s %s", e->what + 6, place);
    else if (is(e, "cond wait ends")) snprintf(to, size, "woke   %s: has the mutex again", place);
    else if (is(e, "cond wait")) snprintf(to, size, "wait   %s: unlocks, sleeps", place);
    else if (is(e, "cond ")) snprintf(to, size, "%-6s %s", e->what + 5, place);
    else if (stores(e)) snprintf(to, size, "%-6s %s: %s -> %s", e->what, place, a, b);
    else snprintf(to, size, "%s %s", e->what, place);
}

static const char *at(long i)
{
    static char text[4][100];
    static int next;
    char *to = text[next = (next + 1) % 4];
    snprintf(to, sizeof text[0], "step %ld (%s)", events[i].step, events[i].text);
    return to;
}

static void explain_why(const event *e)
{
    char text[900];
    const reason *r = &e->why;
    bool stored = false, freed = is(e, "free") || (e->note == RACE && e->missed >= 0 && is(&events[e->missed], "free"));
    bool one_reads = is(e, "plain load") || (e->missed >= 0 && is(&events[e->missed], "plain load"));
    const char *remedy = one_reads ? " Something must order them: a lock, or a release after it that this thread acquires."
                                   : " Something must order them: a lock, or a claim that only one of the two can win.";
    for (const event *s = events; s < e; s++) stored |= s->thread == e->thread && stores(s);
    if (r->read < 0) {
        snprintf(text, sizeof text, "T%d has read nothing that T%d stored after it%s%s", r->to, r->from,
                 r->to != e->thread || e->note == RACE ? "." : ", so no release and acquire can order the two.",
                 freed             ? " So it might as well come after the free."
                 : e->note == RACE ? remedy
                 : stored ? " Two things can: a seq_cst fence in both threads, between their store and their load; or that "
                            "both change one word, by read-modify-writes."
                          : "");
    } else {
        const event *read = &events[r->read], *write = &events[r->write];
        snprintf(text, sizeof text, "T%d has read %s at %s, and T%d had stored that later, at %s. %s%s%s would order them.",
                 r->to, trace_place(read->where), at(r->read), write->thread, at(r->write),
                 r->weak_write ? "A release there" : "An acquire here",
                 r->weak_write && r->weak_read ? ", and an acquire here," : "",
                 !r->weak_write && !r->weak_read ? " (or a stronger order)" : "");
    }
    say(12, text);
}

static void explain_note(const event *e)
{
    char text[400];
    const char *place = trace_place(e->where);
    if (e->note == RACE) {
        if (e->missed >= 0)
            snprintf(text, sizeof text, "^ T%d's %s of %s at %s is not ordered with this.", events[e->missed].thread,
                     events[e->missed].what, place, at(e->missed));
        else snprintf(text, sizeof text, "^ T%d's access is not ordered with this.", e->why.from);
    } else if (e->missed >= 0) {
        snprintf(text, sizeof text, "^ %s is %s since %s. Nothing orders that store before this load.", place,
                 number(e->newest), at(e->missed));
    } else {
        snprintf(text, sizeof text, "^ %s is %s.", place, number(e->newest));
    }
    say(10, text);
    if (e->missed >= 0 || e->note == RACE) explain_why(e);
}

/* What thread t sleeps on, and since when. The judge's own thread, T0, mostly waits for the end of the others. */
static void explain_sleep(int t, char *to, size_t size)
{
    const void *on = threads_sleeps_on(t);
    int owner = on ? mutex_owner(on) : -1;
    long i = count;
    to[0] = 0;
    if (!on || threads_of(on) >= 0) return;
    while (i-- > 0 && (events[i].thread != t || is(&events[i], "plain"))) continue;
    if (owner == t) snprintf(to, size, " T%d waits for the mutex %s, which it has itself.", t, trace_place(on));
    else if (owner >= 0) snprintf(to, size, " T%d waits for the mutex %s, which T%d has.", t, trace_place(on), owner);
    else if (i < 0) snprintf(to, size, " T%d sleeps on %s.", t, trace_place(on));
    else snprintf(to, size, " T%d sleeps on %s since step %ld.", t, trace_place(on), events[i].step);
}

static void explain_failure(const char *exe, const char *failure)
{
    char text[900], part[160];
    if (!strncmp(failure, "everybody is asleep", 19)) {
        snprintf(text, sizeof text, "Nothing happens any more, as every thread sleeps.");
        for (int t = 0; t < threads; t++) {
            explain_sleep(t, part, sizeof part);
            strncat(text, part, sizeof text - strlen(text) - 1);
        }
    } else if (!strncmp(failure, "data race: ", 11)) {
        snprintf(text, sizeof text, "A data race: %s. Nothing orders the two.", failure + 11);
    } else if (strstr(failure, "livelock")) {
        snprintf(text, sizeof text, "It does not end: it still runs after %d steps.", STEPS);
        char place[SIM_THREADS][64];
        find_places(exe, latest, threads, place, NULL);
        for (int t = 0; t < threads; t++) {
            if (!latest[t] || threads_ended(t) || threads_asleep(t)) continue;
            snprintf(part, sizeof part, " T%d goes round at %.63s.", t, place[t]);
            strncat(text, part, sizeof text - strlen(text) - 1);
        }
        strncat(text, " These are the first steps.", sizeof text - strlen(text) - 1);
    } else {
        snprintf(text, sizeof text, "%s.", failure);
        text[0] = (char)toupper((unsigned char)text[0]);
    }
    say(2, text);
}

/* A plain access that a reader need not see: to a mutex or condition variable, or by the judge. */
static bool is_aside(long i)
{
    const event *e = &events[i];
    for (long k = i > 0 ? i - 1 : 0; k < count && k <= i + 1; k++)
        if (k != i && events[k].where == e->where && (is(&events[k], "mutex") || is(&events[k], "cond"))) return true;
    return !strncmp(e->text, "judge.c:", 8);
}

static void explain_print(const char *exe, const char *failure)
{
    static char place[KEPT][64], name[SIM_THREADS][48];
    static void *pc[KEPT];
    bool livelock = strstr(failure, "livelock");
    long last = livelock && count > LAST ? LAST : count;
    for (long i = 0; i < count; i++) pc[i] = events[i].pc;
    find_places(exe, pc, (int)(count < 1000 ? count : 1000), place, NULL);
    for (long i = 0; i < count; i++) memcpy(events[i].text, place[i], sizeof place[i]);
    for (int t = 1; t < threads; t++) pc[t - 1] = (char *)function[t] + 1;
    find_places(exe, pc, threads - 1, NULL, name);
    explain_failure(exe, failure);
    for (int t = 1; t < threads; t++) printf("%sT%d runs %s()", t > 1 ? ", " : "  ", t, name[t - 1]);
    printf(threads > 1 ? ".\n\n" : "\n");
    bool memory = strstr(failure, "race") || strstr(failure, "freed"); /* then plain accesses matter, too */
    long begun = 0;                                                    /* what T0 did before it made the threads */
    while (begun < count && !is(&events[begun], "thread made")) begun++;
    if (begun == count) begun = 0;
    for (long i = 0; i < last; i++) {
        const event *e = &events[i];
        static const char *const orders[] = { "relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst" };
        char line[160];
        bool atomic = is(e, "load") || is(e, "fence") || is(e, "compare-exchange failed") || is(e, "store, ") || stores(e);
        if (is(e, "plain") && e->note == NONE && (!memory || is_aside(i))) continue;
        if (i < begun && !e->thread) continue;
        if (is(e, "thread made") || is(e, "joined") || is(e, "failed")) continue;
        describe(e, line, sizeof line);
        printf("%5ld %*sT%d %-*s %-8s %s\n", e->step, 4 * (e->thread ? e->thread - 1 : 0), "", e->thread,
               46 - 4 * (e->thread ? e->thread - 1 : 0), line, atomic ? orders[e->order] : "", e->text);
        if (e->note == RACE || is_stale(e)) explain_note(e);
    }
}

/* ==== The verdict ============================================================================= */

/* The seed of the shortest failure among the next random schedules. A livelock takes its time, so there are not many. */
static uint64_t shortest(const sim_scenario *s, const sim_knobs *k, uint64_t seed, long runs)
{
    uint64_t best = seed;
    long least = STEPS + 1, steps = 0;
    for (uint64_t more = seed; more < seed + (uint64_t)runs && steps < 20 * STEPS; more++) {
        bool failed = threads_execute(s->run, k, more) == FAILED;
        steps += step;
        if (!failed || step >= least) continue;
        least = step;
        best = more;
    }
    return best;
}

static void name_it(const char *before, const sim_scenario *s, const sim_knobs *k)
{
    printf("%s", before);
    for (const char *c = s->name; *c; c++) putchar(*c == '_' ? ' ' : *c);
    const char *comma = " (";
    const struct {
        int n;
        const char *of;
    } part[] = { { k->senders, "sender" }, { k->receivers, "receiver" }, { k->each, "message" } };
    for (int i = 0; i < 3; i++) {
        if (!part[i].n) continue;
        printf("%s%d %s%s%s", comma, part[i].n, part[i].of, part[i].n > 1 ? "s" : "", i == 2 ? " each" : "");
        comma = ", ";
    }
    printf(comma[0] == ',' ? ")\n" : "\n");
}

static bool judge(const sim_scenario *s, const sim_knobs *k, const char *exe, long runs)
{
    long executions = 0, all_of_them = 0;
    bool failed = false;
    threads_search(-1);
    while (!failed && executions < runs) failed = threads_execute(s->run, k, (uint64_t)++executions) == FAILED;
    if (failed) {
        uint64_t seed = shortest(s, k, (uint64_t)executions, runs / 4);
        explaining = true;
        threads_execute(s->run, k, seed);
    }
    bool left = !failed && k->exhaust;
    if (left) threads_search(BOUND);
    while (!failed && left && all_of_them < runs) {
        failed = threads_execute(s->run, k, 0) == FAILED;
        all_of_them++;
        left = threads_more();
    }
    if (failed && !explaining) {
        char *path = strdup(threads_path());
        threads_search(BOUND);
        threads_replay(path);
        explaining = true;
        threads_execute(s->run, k, 0);
        free(path);
    }
    if (!failed) {
        name_it("  holds: ", s, k);
        printf("         in %ld schedules at random, with stale loads", executions);
        if (k->exhaust) printf("; in %s%ld with at most %d preemptions", left ? "the first " : "all ", all_of_them, BOUND);
        printf("\n");
        return true;
    }
    name_it("  does not hold: ", s, k);
    explain_print(exe, threads_failure());
    explaining = false;
    return false;
}

int lesson_judge(const sim_scenario *scenarios, const char *name, const char *exe, long runs)
{
    printf("%s\n", name);
    find_symbols(exe);
    for (const sim_scenario *s = scenarios; s; s = s->next)
        for (size_t i = 0; i < s->n; i++)
            if (!judge(s, &s->knobs[i], exe, runs)) {
                printf("\nNot yet.\n");
                return 1;
            }
    printf("Right.\n");
    return 0;
}
