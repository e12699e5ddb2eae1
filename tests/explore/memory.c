/* memory.c - the simulated memory: views, messages, races, allocation. See machine.h.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { GAP = 1 << 16 /* between the times of two stores, for those that go in between */ };

typedef struct message {
    uint32_t time;
    bool attached; /* of a read-modify-write: nothing goes between it and the one before */
    long by;       /* the event of the trace that stored it. -1: none */
    uint64_t value;
    const view *view;
    const store_told *told; /* lesson.c */
} message;

typedef struct location {
    char *at;
    unsigned size;
    bool anew; /* plain stores have changed it: the history starts again */
    unsigned n, room;
    message *m;                                       /* in modification order */
    uint32_t read[SIM_THREADS], written[SIM_THREADS]; /* the last step of each thread that did so */
    uint8_t behind[SIM_THREADS];                      /* how many loads in a row were stale */
    uint64_t state; /* which thread wrote it last, by the name of what that thread had done */
} location;

/* What is known of an aligned word of four bytes, and of the bytes of a word that was not accessed as a whole. Valid
 * in the execution whose number it has. */
typedef struct cell {
    uint32_t execution;
    uint16_t location; /* of a word: 1 + its number, if there have been atomic accesses */
    uint8_t freed;     /* of a word: 1 + which */
    uint8_t writer;
    uint32_t written;
    uint16_t users;             /* a bit for each thread that was there */
    bool split;                 /* of a word: look at its bytes too */
    uint32_t read[SIM_THREADS]; /* valid for the users */
} cell;

_Static_assert(SIM_THREADS <= 16, "a bit for each");

static location locations[LOCATIONS];
static unsigned location_count;
static uint32_t execution;
static bool sequential;
static bool freeing; /* the plain store is one by free */
static cell *words, *bytes;

static view *cur[SIM_THREADS]; /* what the thread has seen */
static view *acq[SIM_THREADS]; /* and what it would have seen if its relaxed loads had been acquires: for a fence */
static view *rel[SIM_THREADS]; /* what it had seen at its last release fence */
static view *sc;
static view *scratch;

struct wake {
    const void *p;
    uint32_t time;
};
static struct wake wakes[64];
static int wake_count;

/* Everything that a scenario can share lies between these two: static data, which includes the machine's heap and
 * stacks. */
extern char __data_start[], _end[];
static _Alignas(64) char heap[HEAP];
static _Alignas(64) char stacks[SIM_THREADS][STACK];
static size_t heap_used;

static const char *freed[255];
static int freed_count;
static struct {
    char *p;
    size_t size;
    bool live;
} blocks[256];
static int block_count;
static struct {
    char *p, old[4];
} * undo; /* first values of static words */
static size_t undo_count;

char *threads_stack(int t)
{
    return stacks[t];
}

/* ==== Views =================================================================================== */

static char *arena;
static size_t arena_used;
static const size_t arena_size = (size_t)256 << 20;

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) abort();
    return p;
}

static view *view_copy(const view *from)
{
    size_t size = sizeof(view) + from->n * sizeof from->seen[0];
    if (arena_used + size + 64 > arena_size) threads_fail("too many stores for one execution");
    view *v = (view *)(void *)(arena + arena_used);
    arena_used += (size + 15) & ~(size_t)15;
    memcpy(v, from, size);
    return v;
}

static void view_cover(view *v, uint32_t n)
{
    while (v->n < n) v->seen[v->n++] = 0;
}

static void view_join_seen(view *to, const view *from)
{
    view_cover(to, from->n);
    for (uint32_t i = 0; i < from->n; i++)
        if (to->seen[i] < from->seen[i]) to->seen[i] = from->seen[i];
}

static void view_join(view *to, const view *from)
{
    if (!from) return;
    view_join_seen(to, from);
    for (int t = 0; t < threads; t++)
        if (to->clock[t] < from->clock[t]) to->clock[t] = from->clock[t];
}

static uint32_t view_of(const view *v, const location *l)
{
    uint32_t i = (uint32_t)(l - locations);
    return i < v->n ? v->seen[i] : 0;
}

static void view_raise(view *v, const location *l, uint32_t time)
{
    uint32_t i = (uint32_t)(l - locations);
    view_cover(v, i + 1);
    if (v->seen[i] < time) v->seen[i] = time;
}

static bool acquires(int order)
{
    return order == ACQUIRE || order == CONSUME || order == ACQ_REL || order == SEQ_CST;
}

static bool releases(int order)
{
    return order == RELEASE || order == ACQ_REL || order == SEQ_CST;
}

/* The next steps of the running thread are not part of what it has released so far. */
static void advance(void)
{
    cur[self]->clock[self]++;
}

view *memory_give(void)
{
    view *v = view_copy(cur[self]);
    v->by = trace_last();
    advance();
    return v;
}

void memory_take(const view *v)
{
    trace_after(v->by, "hand-over");
    view_join(cur[self], v);
    if (explaining) explain_saw(v->clock);
}

/* ==== Executions ============================================================================== */

void memory_begin(bool seq)
{
    size_t size = sizeof(view) + LOCATIONS * sizeof(uint32_t);
    if (!words) {
        words = reserve((size_t)(_end - __data_start) / 4 * sizeof *words + sizeof *words);
        bytes = reserve((size_t)(_end - __data_start) * sizeof *bytes);
        arena = reserve(arena_size);
        undo = reserve((size_t)(_end - __data_start) / 4 * sizeof *undo + sizeof *undo);
        for (int t = 0; t < SIM_THREADS; t++) {
            cur[t] = reserve(size);
            acq[t] = reserve(size);
            rel[t] = reserve(size);
        }
        sc = reserve(size);
        scratch = reserve(size);
    }
    execution++;
    sequential = seq;
    freeing = false;
    location_count = 0;
    arena_used = heap_used = undo_count = 0;
    freed_count = block_count = wake_count = 0;
    sc->n = 0;
}

void memory_thread(int t, int parent)
{
    memset(cur[t], 0, sizeof(view));
    memset(acq[t], 0, sizeof(view));
    memset(rel[t], 0, sizeof(view));
    if (t != parent) {
        view_join(cur[t], cur[parent]);
        view_join(rel[t], cur[parent]);
        cur[parent]->clock[parent]++;
    }
    cur[t]->clock[t] = 1;
}

void memory_see(int t)
{
    trace_after(trace_last_of(t), "join");
    view_join(cur[self], cur[t]);
    if (explaining) explain_saw(cur[t]->clock);
}

void memory_end(void)
{
    while (undo_count) {
        undo_count--;
        memcpy(undo[undo_count].p, undo[undo_count].old, 4);
    }
}

/* ==== Bytes =================================================================================== */

static bool simulated(const char *p)
{
    return p >= __data_start && p < _end;
}

bool memory_holds(const void *p)
{
    return simulated(p);
}

static inline bool cell_anew(cell *c)
{
    if (c->execution == execution) return false;
    memset(c, 0, offsetof(cell, read));
    c->execution = execution;
    return true;
}

/* The word that a byte is in. */
static inline cell *word_at(const char *p)
{
    cell *c = &words[(p - __data_start) / 4];
    if (cell_anew(c)) {
        bool kept = (p >= heap && p < heap + HEAP) || (p >= stacks[0] && p < stacks[0] + sizeof stacks);
        if (!kept) { /* static data of the program */
            undo[undo_count].p = __data_start + (p - __data_start) / 4 * 4;
            memcpy(undo[undo_count].old, undo[undo_count].p, 4);
            undo_count++;
        }
    }
    return c;
}

static cell *byte_at(const char *p)
{
    cell *c = &bytes[p - __data_start];
    cell_anew(c);
    return c;
}

static void race(const char *p, const char *mine, int other, uint32_t clock, const char *theirs, void *pc)
{
    if (explaining) explain_race(p, other, clock);
    trace(mine, RELAXED, p, 0, 0, pc);
    threads_fail("data race: T%d's %s of %s with T%d's %s", self, mine, trace_place(p), other, theirs);
}

static void check_freed(const cell *word, const char *p, void *pc)
{
    if (!word->freed) return;
    trace("touch", RELAXED, p, 0, 0, pc);
    threads_fail("T%d touched %s after it was freed: %s", self, freed[word->freed - 1], trace_place(p));
}

/* Plain and atomic accesses do not go together, unless something else orders them. */
static inline void check_cell(const cell *c, const char *p, bool write, const char *mine, void *pc)
{
    const uint32_t *clock = cur[self]->clock;
    unsigned others = c->users & ~(1u << self);
    if (others && c->written && c->writer != self && c->written > clock[c->writer])
        race(p, mine, c->writer, c->written, "plain store", pc);
    for (; write && others; others &= others - 1) {
        int t = __builtin_ctz(others);
        if (c->read[t] > clock[t]) race(p, mine, t, c->read[t], "plain load", pc);
    }
}

static void check_atomic(const location *l, const char *p, bool write, const char *mine, void *pc)
{
    const uint32_t *clock = cur[self]->clock;
    for (int t = 0; t < threads; t++) {
        if (t == self) continue;
        if (l->written[t] > clock[t]) race(p, mine, t, l->written[t], "atomic store", pc);
        if (write && l->read[t] > clock[t]) race(p, mine, t, l->read[t], "atomic load", pc);
    }
}

static void note(cell *c, bool write)
{
    uint32_t clock = cur[self]->clock[self];
    if (!(c->users >> self & 1)) {
        c->users |= (uint16_t)(1u << self);
        c->read[self] = 0;
    }
    if (write) {
        c->writer = (uint8_t)self;
        c->written = clock;
    } else {
        c->read[self] = clock;
    }
}

void memory_plain(const void *at, size_t size, bool write, void *pc)
{
    const char *p = at, *end = p + size;
    const char *mine = freeing ? "free" : write ? "plain store" : "plain load";
    if (!simulated(p)) return;
    bool tells = explaining && explain_knows(p);
    while (p < end) {
        cell *w = word_at(p);
        bool whole = (p - __data_start) % 4 == 0 && end - p >= 4;
        check_freed(w, p, pc);
        check_cell(w, p, write, mine, pc);
        if (w->location) {
            location *l = &locations[w->location - 1];
            check_atomic(l, p, write, mine, pc);
            if (write) l->anew = true;
        }
        if (whole) {
            for (int i = 0; w->split && i < 4; i++) check_cell(byte_at(p + i), p + i, write, mine, pc);
            note(w, write);
            p += 4;
        } else {
            check_cell(byte_at(p), p, write, mine, pc);
            note(byte_at(p), write);
            w->split = true;
            p++;
        }
    }
    if (tells) explain_event(mine, RELAXED, at, 0, 0, pc);
}

/* ==== Atomic locations ======================================================================== */

static uint64_t value_at(const void *p, unsigned size)
{
    switch (size) {
    case 1: return *(const uint8_t *)p;
    case 2: return *(const uint16_t *)p;
    case 4: return *(const uint32_t *)p;
    default: return *(const uint64_t *)p;
    }
}

static void set_value_at(void *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *(uint8_t *)p = (uint8_t)value; break;
    case 2: *(uint16_t *)p = (uint16_t)value; break;
    case 4: *(uint32_t *)p = (uint32_t)value; break;
    default: *(uint64_t *)p = value; break;
    }
}

static message *message_insert(location *l, unsigned i)
{
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 16;
        l->m = realloc(l->m, l->room * sizeof *l->m);
        if (!l->m) abort();
    }
    memmove(&l->m[i + 1], &l->m[i], (l->n - i) * sizeof *l->m);
    l->n++;
    return &l->m[i];
}

/* Begins the location's history with what the memory holds. */
static void location_anew(location *l, uint32_t time)
{
    l->n = 0;
    *message_insert(l, 0) = (message){ time, false, -1, value_at(l->at, l->size), NULL, NULL };
    l->anew = false;
}

static location *location_at(const void *at, unsigned size, bool write, const char *what, void *pc)
{
    char *p = (char *)(uintptr_t)at;
    if (!simulated(p)) threads_fail("atomic access to memory that is not simulated");
    for (unsigned i = 0; i < size; i += 4) {
        check_freed(word_at(p + i), p + i, pc);
        check_cell(word_at(p + i), p + i, write, what, pc);
        for (unsigned k = 0; word_at(p + i)->split && k < 4 && k < size; k++)
            check_cell(byte_at(p + i + k), p + i + k, write, what, pc);
    }
    cell *word = word_at(p);
    location *l = word->location ? &locations[word->location - 1] : NULL;
    if (!l || l->at != p || l->size != size) { /* a new one, because memory may be used again for another object */
        if (location_count == LOCATIONS) threads_fail("too many atomic objects");
        l = &locations[location_count++];
        message *m = l->m;
        unsigned room = l->room;
        *l = (location){ .at = p, .size = size, .m = m, .room = room };
        for (unsigned i = 0; i < size; i += 4) word_at(p + i)->location = (uint16_t)(l - locations + 1);
        location_anew(l, GAP);
    } else if (l->anew || value_at(p, size) != l->m[l->n - 1].value) { /* (some plain stores are not reported) */
        location_anew(l, l->m[l->n - 1].time + GAP);
    }
    (write ? l->written : l->read)[self] = cur[self]->clock[self];
    return l;
}

/* The first message that the running thread may read. */
static unsigned oldest(const location *l, int order)
{
    uint32_t low = view_of(cur[self], l);
    if (order == SEQ_CST && view_of(sc, l) > low) low = view_of(sc, l);
    unsigned i = l->n - 1;
    while (i > 0 && l->m[i - 1].time >= low) i--;
    return i;
}

/* Most loads read the latest message, some an older one, but not for ever: stores become visible in the end. */
static unsigned choose(location *l, unsigned from)
{
    unsigned last = l->n - 1, i = last;
    if (!sequential && from < last && l->behind[self] < 4 && threads_random(2) == 0)
        i = from + threads_random(last - from + 1);
    l->behind[self] = i < last ? (uint8_t)(l->behind[self] + 1) : 0;
    return i;
}

static uint64_t read_message(location *l, unsigned i, int order)
{
    const message *m = &l->m[i];
    trace_reads(m->by, l->m[l->n - 1].by, l->m[l->n - 1].value);
    view_raise(cur[self], l, m->time);
    view_join(acq[self], m->view);
    if (acquires(order)) view_join(cur[self], m->view);
    if (explaining) explain_read(m->told);
    return m->value;
}

/* Puts a message behind message i. A read-modify-write carries on the view of the one it has read. */
static void write_message(location *l, unsigned i, uint64_t value, int order, bool attached)
{
    bool last = i == l->n - 1;
    uint32_t before = l->m[i].time;
    uint32_t time = last ? before + GAP : before + (l->m[i + 1].time - before) / 2;
    if (time <= before) threads_fail("too many stores to one location");
    view_raise(cur[self], l, time);
    if (order == SEQ_CST) view_raise(sc, l, time);
    scratch->n = 0;
    memset(scratch->clock, 0, sizeof scratch->clock);
    view_join(scratch, releases(order) ? cur[self] : rel[self]);
    if (attached) view_join(scratch, l->m[i].view);
    view_raise(scratch, l, time);
    const view *v = view_copy(scratch);
    const store_told *told = NULL;
    if (explaining) told = explain_wrote(order, cur[self]->clock, v->clock, attached ? l->m[i].told : NULL);
    *message_insert(l, i + 1) = (message){ time, attached, trace_last(), value, v, told };
    if (last) set_value_at(l->at, l->size, value);
    advance();
}

/* Behind which message may a new one go? Behind all that the thread has seen, and not between a read-modify-write and
 * the message which that has read. */
static unsigned place_for(location *l, int order)
{
    unsigned from = oldest(l, order), last = l->n - 1;
    if (!sequential && from < last && threads_random(8) == 0) {
        unsigned i = from + threads_random(last - from);
        if (!l->m[i + 1].attached && l->m[i + 1].time - l->m[i].time > 1) return i;
    }
    return last;
}

static const char *const op_name[] = { "exchange", "add", "sub", "and", "or", "xor", "nand" };

static uint64_t combine(int op, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t r = op == EXCHANGE ? b
                 : op == ADD    ? a + b
                 : op == SUB    ? a - b
                 : op == AND    ? a & b
                 : op == OR     ? a | b
                 : op == XOR    ? a ^ b
                                : ~(a & b);
    return size < 8 ? r & ((UINT64_C(1) << size * 8) - 1) : r;
}

uint64_t memory_load(const void *p, unsigned size, int order, void *pc)
{
    threads_point();
    location *l = location_at(p, size, false, "atomic load", pc);
    unsigned i = choose(l, oldest(l, order));
    if (explaining && i + 1 < l->n) explain_stale(l->m[l->n - 1].told, l->m[l->n - 1].value);
    uint64_t value = read_message(l, i, order);
    threads_did(p, l->state, NULL);
    trace(i + 1 < l->n ? "load, stale" : "load", order, p, value, value, pc);
    return value;
}

void memory_store(void *p, unsigned size, uint64_t value, int order, void *pc)
{
    threads_point();
    location *l = location_at(p, size, true, "atomic store", pc);
    unsigned i = place_for(l, order);
    trace(i + 1 < l->n ? "store, overtaken" : "store", order, p, value, value, pc);
    write_message(l, i, value, order, false);
    threads_did(p, 0, &l->state);
}

uint64_t memory_rmw(void *p, unsigned size, int op, uint64_t operand, int order, void *pc)
{
    threads_point();
    location *l = location_at(p, size, true, "atomic read-modify-write", pc);
    unsigned i = place_for(l, order);
    uint64_t old = read_message(l, i, order), value = combine(op, old, operand, size);
    trace(op_name[op], order, p, old, value, pc);
    write_message(l, i, value, order, true);
    threads_did(p, l->state, value == old ? NULL : &l->state);
    return old;
}

bool memory_cas(void *p, unsigned size, uint64_t *expected, uint64_t value, int order, int fail_order, bool weak, void *pc)
{
    threads_point();
    location *l = location_at(p, size, true, "atomic compare-exchange", pc);
    unsigned i = place_for(l, order);
    bool equal = l->m[i].value == *expected;
    if (equal && !(weak && !sequential && threads_random(8) == 0)) {
        read_message(l, i, order);
        trace("compare-exchange", order, p, *expected, value, pc);
        write_message(l, i, value, order, true);
        threads_did(p, l->state, &l->state);
        return true;
    }
    if (!equal) { /* it may fail by any message that is not the expected value */
        unsigned k = choose(l, oldest(l, fail_order));
        if (l->m[k].value != *expected) i = k;
    }
    uint64_t seen = read_message(l, i, fail_order);
    trace("compare-exchange failed", fail_order, p, *expected, seen, pc);
    *expected = seen;
    threads_did(p, l->state, NULL);
    return false;
}

void memory_fence(int order, void *pc)
{
    threads_point();
    if (acquires(order)) view_join(cur[self], acq[self]);
    if (order == SEQ_CST) {
        view_join_seen(cur[self], sc);
        view_join_seen(sc, cur[self]);
    }
    if (releases(order)) {
        rel[self]->n = 0;
        view_join(rel[self], cur[self]);
        advance();
    }
    trace("fence", order, NULL, 0, 0, pc);
}

/* As if each thread had made a seq_cst fence here, the caller before and after all others. */
void memory_fence_all(void *pc)
{
    view_join_seen(sc, cur[self]);
    for (int t = 0; t < threads; t++) {
        view_join_seen(cur[t], sc);
        view_join_seen(sc, cur[t]);
    }
    view_join_seen(cur[self], sc);
    trace("membarrier", SEQ_CST, NULL, 0, 0, pc);
}

/* ==== The kernel's look at a futex ============================================================ */

/* The kernel takes a lock of its own to look at a futex, and takes it again for a wake. So a thread that waits sees
 * at least what the last waker of that address had seen of the word. Otherwise it sees any value that a load could. */

uint32_t memory_peek(const void *p, void *pc)
{
    location *l = location_at(p, 4, false, "futex wait", pc);
    for (int i = 0; i < wake_count; i++)
        if (wakes[i].p == p) view_raise(cur[self], l, wakes[i].time);
    threads_did(p, l->state, NULL);
    unsigned i = choose(l, oldest(l, RELAXED));
    if (explaining && i + 1 < l->n) explain_stale(l->m[l->n - 1].told, l->m[l->n - 1].value);
    trace_reads(l->m[i].by, l->m[l->n - 1].by, l->m[l->n - 1].value);
    return (uint32_t)l->m[i].value;
}

/* By its address alone: the object may be gone. */
void memory_wake(const void *p)
{
    cell *c = simulated(p) ? word_at(p) : NULL;
    if (!c || !c->location || locations[c->location - 1].at != p) return;
    uint32_t time = view_of(cur[self], &locations[c->location - 1]);
    int i = 0;
    while (i < wake_count && wakes[i].p != p) i++;
    if (i == 64) threads_fail("too many futexes");
    if (i == wake_count) wakes[wake_count++] = (struct wake){ p, 0 };
    if (wakes[i].time < time) wakes[i].time = time;
}

/* ==== Allocation ============================================================================== */

void *memory_alloc(size_t size, size_t align)
{
    size_t at = (heap_used + align - 1) & ~(align - 1);
    if (block_count == COUNT(blocks) || at + size > HEAP) threads_fail("out of memory");
    heap_used = at + size + 16; /* a gap that belongs to no block */
    blocks[block_count].p = heap + at;
    blocks[block_count].size = size;
    blocks[block_count++].live = true;
    memset(heap + at, 0xA5, size);
    return heap + at;
}

void memory_free(void *p, void *pc)
{
    if (!p) return;
    int i = 0;
    while (i < block_count && blocks[i].p != p) i++;
    if (i == block_count || !blocks[i].live) threads_fail("freed what was not allocated: %s", trace_place(p));
    freeing = true;
    memory_plain(p, blocks[i].size, true, pc); /* a race with any thread that still uses it */
    freeing = false;
    blocks[i].live = false;
    memory_freed(p, blocks[i].size, "memory");
}

void memory_freed(const void *at, size_t size, const char *what)
{
    const char *p = at;
    if (freed_count == COUNT(freed)) threads_fail("too much was freed");
    freed[freed_count++] = what;
    for (size_t i = 0; i < size; i++) word_at(p + i)->freed = (uint8_t)freed_count;
}

void memory_leaks(void)
{
    for (int i = 0; i < block_count; i++)
        if (blocks[i].live) threads_fail("%zu bytes were never freed", blocks[i].size);
}

/* The name of the state of memory: which thread wrote each object last. */
uint64_t memory_state(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < location_count; i++) sum += threads_mix((uintptr_t)locations[i].at, locations[i].state);
    return sum;
}
