/* A channel holds exactly what it was made for, whole and in order, wherever it lies in memory. */
#define _GNU_SOURCE
#include "staging.h"

#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>

/* Lets a refused calloc return NULL under sanitizers too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
const char *__msan_default_options(void);
const char *__msan_default_options(void)
{
    return "allocator_may_return_null=1";
}
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static const size_t capacities[] = { 1, 2, 3, 5, 7, 8, 64, 1000 };

TEST(a_channel_holds_exactly_its_capacity)
{
    for (size_t k = 0; k < COUNT(capacities); k++) {
        int_chan c;
        int cap = (int)capacities[k], m;
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        CHECK_EQ(leat_cap(&c), cap);
        for (int i = 0; i < cap; i++) {
            CHECK_EQ(leat_len(&c), i);
            CHECK_EQ(leat_try_send(&c, &i), 0);
        }
        CHECK_EQ(leat_len(&c), cap);
        CHECK_EQ(leat_try_send(&c, &cap), -EAGAIN);
        CHECK_EQ(leat_len(&c), cap);
        for (int i = 0; i < cap; i++) {
            CHECK_EQ(leat_try_recv(&c, &m), 0);
            CHECK_EQ(m, i);
            CHECK_EQ(leat_len(&c), cap - i - 1);
        }
        CHECK_EQ(leat_try_recv(&c, &m), -EAGAIN);
        leat_free(&c);
    }
}

/* Sends and receives at random, compared with a model that only counts. */
static void walk(int_chan *c, int steps)
{
    int cap = (int)leat_cap(c), in = 0, out = 0, m;
    uint64_t rng = tap_seed(cap);
    for (int i = 0; i < steps; i++) {
        if (tap_below(&rng, 2)) {
            int full = in - out == cap;
            if (!CHECK_EQ(leat_try_send(c, &in), full ? -EAGAIN : 0)) return;
            in += !full;
        } else {
            int empty = in == out;
            if (!CHECK_EQ(leat_try_recv(c, &m), empty ? -EAGAIN : 0)) return;
            if (!empty && !CHECK_EQ(m, out)) return;
            out += !empty;
        }
        if (!CHECK_EQ(leat_len(c), in - out)) return;
    }
    while (out < in) {
        if (!CHECK_EQ(leat_recv(c, &m), 0) || !CHECK_EQ(m, out)) return;
        out++;
    }
}

TEST(order_survives_thousands_of_laps)
{
    for (size_t k = 0; k < COUNT(capacities); k++) {
        int_chan c;
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        walk(&c, tap_rounds(100000));
        leat_free(&c);
    }
}

/* As if `laps` laps had passed. */
static void wind_to(int_chan *c, uint64_t laps)
{
    uint64_t at = laps * c->chan.lap_;
    atomic_store_explicit(&c->chan.ends_[LEAT_RECEIVES_].at_, at, memory_order_relaxed);
    atomic_store_explicit(&c->chan.ends_[LEAT_SENDS_].at_, at, memory_order_relaxed);
    for (uint64_t i = 0; i < c->chan.cap_; i++)
        atomic_store_explicit(leat_stamp_of_(leat_slot_(&c->chan, i * LEAT_POS_, sizeof(int), _Alignof(int))), at,
                              memory_order_relaxed);
}

TEST(the_counters_may_pass_2_to_the_31_and_32_and_wrap_at_the_end)
{
    for (size_t k = 0; k < COUNT(capacities); k++) {
        int_chan c;
        REQUIRE_EQ(leat_make(&c, capacities[k]), 0);
        uint64_t lap = c.chan.lap_;
        const uint64_t starts[] = { (UINT64_C(1) << 31) / lap, (UINT64_C(1) << 32) / lap, (UINT64_C(1) << 63) / lap, 0 };
        for (size_t i = 0; i < COUNT(starts); i++) {
            wind_to(&c, starts[i] - 2); /* some laps before the edge. 0 - 2: before the very end */
            walk(&c, 40 * (int)capacities[k]);
        }
        leat_free(&c);
    }
}

#define SIZED(n) \
    struct sized_##n { \
        unsigned char b[n]; \
    }; \
    static void messages_of_##n(size_t cap) \
    { \
        LEAT_CHAN(struct sized_##n) c; \
        struct { \
            unsigned char before; \
            struct sized_##n m; \
            unsigned char after; \
        } in = { .before = 1, .after = 2 }, out = in; \
        REQUIRE_EQ(leat_make(&c, cap), 0); \
        for (unsigned lap = 0; lap < 30; lap++) { \
            for (unsigned i = 0; i < cap; i++) { \
                for (unsigned j = 0; j < n; j++) in.m.b[j] = (unsigned char)(lap * 7 + i * 3 + j); \
                CHECK_EQ(leat_send(&c, &in.m), 0); \
            } \
            for (unsigned i = 0; i < cap; i++) { \
                memset(&out.m, 0xEE, sizeof out.m); \
                CHECK_EQ(leat_recv(&c, &out.m), 0); \
                for (unsigned j = 0; j < n; j++) \
                    if (!CHECK_EQ(out.m.b[j], (unsigned char)(lap * 7 + i * 3 + j))) return; \
                CHECK(out.before == 1 && out.after == 2); \
            } \
        } \
        leat_free(&c); \
    }
SIZED(1)
SIZED(3)
SIZED(7)
SIZED(8)
SIZED(9)
SIZED(24)
SIZED(4096)

TEST(messages_of_any_size_arrive_whole_and_touch_no_neighbour)
{
    for (size_t cap = 1; cap <= 5; cap++) {
        messages_of_1(cap);
        messages_of_3(cap);
        messages_of_7(cap);
        messages_of_8(cap);
        messages_of_9(cap);
        messages_of_24(cap);
        messages_of_4096(cap);
    }
}

struct padded {
    char a;
    double b;
    char c;
};

TEST(a_struct_with_padding_arrives_whole)
{
    LEAT_CHAN(struct padded) c;
    struct padded out;
    REQUIRE_EQ(leat_make(&c, 3), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(leat_send(&c, (&(struct padded){ (char)i, i * 0.5, (char)-i })), 0);
        CHECK_EQ(leat_recv(&c, &out), 0);
        CHECK(out.a == (char)i && out.b == i * 0.5 && out.c == (char)-i);
    }
    leat_free(&c);
}

struct line {
    _Alignas(64) int a;
    int b;
};
struct sector {
    _Alignas(512) char b[1000];
};

TEST(the_alignment_of_the_message_type_is_respected)
{
    LEAT_CHAN(struct line) lines;
    LEAT_CHAN(struct sector) sectors;
    LEAT_CHAN(long double) numbers;
    REQUIRE_EQ(leat_make(&lines, 5), 0);
    REQUIRE_EQ(leat_make(&sectors, 3), 0);
    REQUIRE_EQ(leat_make(&numbers, 3), 0);
    for (uint64_t i = 0; i < 5; i++) {
        unsigned char *slot = leat_slot_(&lines.chan, i * LEAT_POS_, sizeof(struct line), 64);
        CHECK_EQ((uintptr_t)(slot + leat_msg_at_(64)) % 64, 0);
    }
    for (uint64_t i = 0; i < 3; i++) {
        unsigned char *slot = leat_slot_(&sectors.chan, i * LEAT_POS_, sizeof(struct sector), 512);
        CHECK_EQ((uintptr_t)(slot + leat_msg_at_(512)) % 512, 0);
        slot = leat_slot_(&numbers.chan, i * LEAT_POS_, sizeof(long double), _Alignof(long double));
        CHECK_EQ((uintptr_t)(slot + leat_msg_at_(_Alignof(long double))) % _Alignof(long double), 0);
    }
    for (int i = 0; i < 50; i++) {
        struct line in = { i, -i }, out = { 0, 0 };
        CHECK_EQ(leat_send(&lines, &in), 0);
        CHECK_EQ(leat_recv(&lines, &out), 0);
        CHECK(out.a == i && out.b == -i);
    }
    leat_free(&lines);
    leat_free(&sectors);
    leat_free(&numbers);
}

TEST(a_channel_costs_its_slots_and_at_most_512_bytes)
{
    CHECK(sizeof(leat_chan) <= 512);
    CHECK_EQ(sizeof(int_chan), sizeof(leat_chan));
    CHECK_EQ(leat_stride_(1, 1), 16); /* message + 8, rounded up to the alignment */
    CHECK_EQ(leat_stride_(8, 8), 16);
    CHECK_EQ(leat_stride_(9, 1), 24);
    CHECK_EQ(leat_stride_(24, 8), 32);
    CHECK_EQ(leat_stride_(32, 16), 48);
    CHECK_EQ(leat_stride_(4096, 4), 4104);
    CHECK_EQ(leat_stride_(64, 64), 128);
}

static void zeroed_is_unbuffered(int_chan *c, const char *where)
{
    struct call k;
    int m = 5;
    CHECK_EQ(leat_cap(c), 0);
    CHECK_EQ(leat_len(c), 0);
    CHECK(!leat_is_closed(c));
    CHECK_EQ(leat_try_send(c, &m), -EAGAIN);
    CHECK_EQ(leat_try_recv(c, &m), -EAGAIN);
    begin_recv(&k, NULL, c);
    CHECK_EQ(leat_send(c, &m), 0);
    if (!CHECK_EQ(end(&k), 0) || !CHECK_EQ(k.msg, 5)) tap_note("in %s memory", where);
    CHECK_EQ(leat_close(c), 0);
    CHECK(leat_is_closed(c));
    leat_free(c);
}

static void works_in(int_chan *c, const char *where)
{
    if (!CHECK_EQ(leat_make(c, 7), 0)) tap_note("in %s memory", where);
    walk(c, 1000);
    leat_free(c);
}

TEST(zeroed_memory_of_any_kind_is_an_unbuffered_channel_and_can_be_made_a_buffered_one)
{
    static int_chan in_static;
    int_chan on_stack = { .chan = { .slots_ = NULL } };
    int_chan *on_heap = calloc(1, sizeof *on_heap);
    int_chan *mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(on_heap && mapped != MAP_FAILED);
    zeroed_is_unbuffered(&in_static, "static");
    works_in(&in_static, "static");
    zeroed_is_unbuffered(&on_stack, "stack");
    works_in(&on_stack, "stack");
    zeroed_is_unbuffered(on_heap, "heap");
    works_in(on_heap, "heap");
    zeroed_is_unbuffered(mapped, "mapped");
    works_in(mapped, "mapped");
    free(on_heap);
    munmap(mapped, sizeof *mapped);
}

TEST(a_missing_argument_is_an_error_and_no_crash)
{
    int_chan c, *none = NULL;
    int m = 0, *nothing = NULL;
    CHECK_EQ(leat_make(none, 1), -EINVAL);
    CHECK_EQ(leat_close(none), -EINVAL);
    CHECK_EQ(leat_len(none), 0);
    CHECK_EQ(leat_cap(none), 0);
    CHECK(!leat_is_closed(none));
    leat_free(none);
    for (size_t cap = 0; cap < 3; cap++) {
        REQUIRE_EQ(leat_make(&c, cap), 0);
        CHECK_EQ(leat_send(none, &m), -EINVAL);
        CHECK_EQ(leat_send(&c, nothing), -EINVAL);
        CHECK_EQ(leat_try_send(none, &m), -EINVAL);
        CHECK_EQ(leat_try_send(&c, nothing), -EINVAL);
        CHECK_EQ(leat_send_ctx(NULL, none, &m), -EINVAL);
        CHECK_EQ(leat_send_ctx(NULL, &c, nothing), -EINVAL);
        CHECK_EQ(leat_recv(none, &m), -EINVAL);
        CHECK_EQ(leat_recv(&c, nothing), -EINVAL);
        CHECK_EQ(leat_try_recv(none, &m), -EINVAL);
        CHECK_EQ(leat_try_recv(&c, nothing), -EINVAL);
        CHECK_EQ(leat_recv_ctx(NULL, none, &m), -EINVAL);
        CHECK_EQ(leat_recv_ctx(NULL, &c, nothing), -EINVAL);
        CHECK_EQ(leat_send_many(none, &m, 1), -EINVAL);
        CHECK_EQ(leat_send_many(&c, nothing, 1), -EINVAL);
        CHECK_EQ(leat_recv_many(none, &m, 1), -EINVAL);
        CHECK_EQ(leat_recv_many(&c, nothing, 1), -EINVAL);
        leat_free(&c);
    }
    CHECK_EQ(leat_select(NULL, 1), -EINVAL);
    CHECK_EQ(leat_try_select(NULL, 1), -EINVAL);
    leat_cancel(NULL, 0);
    CHECK_EQ(leat_ctx_err(NULL), 0);
    CHECK_EQ(leat_ctx_cause(NULL), 0);
}

TEST(a_capacity_beyond_reason_is_an_error_soon_and_leaves_errno_alone)
{
    int_chan c;
    static const int shifts[] = { 40, 45, 50, 55, 57, 58, 59, 60, 61, 62 };
    errno = 42;
    CHECK_EQ(leat_make(&c, SIZE_MAX), -EINVAL);
    CHECK_EQ(leat_make(&c, SIZE_MAX / 2), -EINVAL);
    for (size_t i = 0; i < COUNT(shifts); i++)
        for (size_t near = 0; near < 3 && (size_t)shifts[i] < sizeof(size_t) * CHAR_BIT; near++) {
            int err = leat_make(&c, ((size_t)1 << shifts[i]) + near - 1);
            CHECK(err == -ENOMEM || err == -EINVAL || (err == 0 && shifts[i] < 45));
            if (!err) leat_free(&c);
        }
    CHECK_EQ(leat_make_(&c.chan, 1, (size_t)INT32_MAX + 1, 1), -EINVAL);
    CHECK_EQ(errno, 42);
}

TEST(a_channel_of_2_to_the_31_messages_can_be_made)
{
    LEAT_CHAN(char) c;
    if (sizeof(size_t) < 8) SKIP("no address space for that");
    if (TAP_SLOW) SKIP("a sanitizer's shadow would be written");
    int err = leat_make(&c, (size_t)1 << 31);
    if (err == -ENOMEM) SKIP("32 GiB of address space were refused");
    REQUIRE_EQ(err, 0);
    CHECK_EQ(leat_cap(&c), (size_t)1 << 31);
    for (char i = 0; i < 100; i++) CHECK_EQ(leat_send(&c, &i), 0);
    CHECK_EQ(leat_len(&c), 100);
    for (char i = 0, m; i < 100; i++) CHECK(leat_recv(&c, &m) == 0 && m == i);
    leat_free(&c);
}

/* Its last and first slots, without the memory for those in between. */
TEST(a_channel_of_2_to_the_31_messages_wraps_around)
{
    if (sizeof(size_t) < 8) SKIP("no address space for that");
    for (uint64_t less = 0; less < 2; less++) {
        LEAT_CHAN(char) c;
        uint64_t cap = (UINT64_C(1) << 31) - less, lap = (UINT64_C(1) << 31) * LEAT_POS_;
        size_t size = (size_t)cap * leat_stride_(1, 1);
        unsigned char *slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (slots == MAP_FAILED) SKIP("32 GiB of address space were refused");
        REQUIRE_EQ(leat_make(&c, 0), 0);
        c.chan.slots_ = slots;
        c.chan.cap_ = cap;
        c.chan.lap_ = lap;
        uint64_t at = (cap - 10) * LEAT_POS_;
        atomic_store_explicit(&c.chan.ends_[LEAT_RECEIVES_].at_, at, memory_order_relaxed);
        atomic_store_explicit(&c.chan.ends_[LEAT_SENDS_].at_, at, memory_order_relaxed);
        for (uint64_t i = 0; i < 10; i++) /* these have been used, and are free in the next lap */
            atomic_store_explicit(leat_stamp_of_(leat_slot_(&c.chan, i * LEAT_POS_, 1, 1)), lap, memory_order_relaxed);
        for (char i = 0; i < 20; i++) CHECK_EQ(leat_try_send(&c, &i), 0);
        CHECK_EQ(leat_len(&c), 20);
        for (char i = 0, m; i < 20; i++) CHECK(leat_try_recv(&c, &m) == 0 && m == i);
        CHECK_EQ(leat_len(&c), 0);
        /* and full: all slots between head and tail are taken */
        atomic_store_explicit(&c.chan.ends_[LEAT_SENDS_].at_,
                              leat_position_(atomic_load_explicit(&c.chan.ends_[LEAT_SENDS_].at_, memory_order_relaxed)) +
                                  lap,
                              memory_order_relaxed);
        CHECK_EQ(leat_len(&c), cap);
        CHECK_EQ(leat_try_send(&c, &(char){ 1 }), -EAGAIN);
        munmap(slots, size);
    }
}

static void relay(void *arg)
{
    int_chan *c = arg; /* c[0] -> c[1] */
    int m;
    while (leat_recv(&c[0], &m) == 0) CHECK_EQ(leat_send(&c[1], &m), 0);
    CHECK_EQ(leat_close(&c[1]), 0);
}

TEST(order_is_kept_through_a_chain_of_channels)
{
    enum { LINKS = 5 };
    for (size_t cap = 0; cap < 4; cap++) {
        int_chan c[LINKS + 1];
        struct actor a[LINKS + 1];
        int n = tap_rounds(1000), m = 0;
        for (int i = 0; i <= LINKS; i++) REQUIRE_EQ(leat_make(&c[i], cap), 0);
        for (int i = 0; i < LINKS; i++) enter(&a[i], relay, &c[i]);
        int in = 0, out = 0;
        while (out < n) { /* both ends from one thread */
            leat_case cases[] = { LEAT_RECV(&c[LINKS], &m), LEAT_SEND(in < n ? &c[0] : NULL, &in) };
            if (leat_select(cases, 2) == 1) {
                in++;
            } else if (!CHECK_EQ(m, out++)) {
                break;
            }
        }
        CHECK_EQ(leat_close(&c[0]), 0);
        CHECK_EQ(leat_recv(&c[LINKS], &m), -EPIPE);
        for (int i = 0; i < LINKS; i++) leave(&a[i]);
        for (int i = 0; i <= LINKS; i++) leat_free(&c[i]);
    }
}
