/* t-types.c - messages of any type that a variable may have, arguments that are evaluated once, slots that take no
 * memory before they are used.
 * SPDX-License-Identifier: MIT */
#define LEAT_NO_URCU
#include "peek.h"
#include "topic.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

typedef LEAT_CHAN(int) int_chan;

/* ==== Types =================================================================================== */

TEST(arrays_are_messages)
{
    typedef LEAT_CHAN(char[16]) name_chan;
    name_chan c;
    char in[16] = "leat", out[16] = "", more[3][16] = { "a", "b", "c" };
    const char constant[16] = "constant";
    REQUIRE_EQ(leat_make(&c, 4), 0);
    CHECK_EQ(leat_send(&c, &in), 0);
    CHECK(leat_recv(&c, &out) == 0 && !strcmp(out, "leat"));
    CHECK_EQ(leat_try_send(&c, &constant), 0);
    CHECK(leat_try_recv(&c, &out) == 0 && !strcmp(out, "constant"));
    CHECK_EQ(leat_send_ctx(NULL, &c, &(char[16]){ "literal" }), 0);
    CHECK(leat_recv_ctx(NULL, &c, &out) == 0 && !strcmp(out, "literal"));
    CHECK_EQ(leat_send_many(&c, more, 3), 3);
    CHECK_EQ(leat_recv_many(&c, more, 3), 3);
    CHECK(!strcmp(more[2], "c"));
    leat_case cases[] = { LEAT_SEND(&c, &in), LEAT_RECV((name_chan *)NULL, &out) };
    CHECK_EQ(leat_select(cases, 2), 0);
    cases[0] = LEAT_RECV(&c, &out);
    CHECK(leat_select(cases, 2) == 0 && !strcmp(out, "leat"));
    leat_free(&c);
}

static int last;

static void note(int n)
{
    last = n;
}

TEST(pointers_to_functions_are_messages)
{
    LEAT_CHAN(void (*)(int)) c;
    void (*in)(int) = note, (*out)(int) = NULL, (*more[2])(int) = { note, NULL };
    REQUIRE_EQ(leat_make(&c, 4), 0);
    CHECK_EQ(leat_send(&c, &in), 0);
    CHECK_EQ(leat_recv(&c, &out), 0);
    CHECK(out == note);
    if (out) out(7);
    CHECK_EQ(last, 7);
    CHECK_EQ(leat_try_send_many(&c, more, 2), 2);
    CHECK_EQ(leat_try_recv_many(&c, more, 2), 2);
    CHECK(more[0] == note && !more[1]);
    leat_free(&c);
}

TEST(structs_without_a_name_are_messages)
{
    LEAT_CHAN(struct { int a, b; }) c;
    __typeof__(*c.type_) in = { 1, 2 }, out = { 0, 0 };
    REQUIRE_EQ(leat_make(&c, 4), 0);
    leat_case put = LEAT_SEND(&c, &in);
    CHECK_EQ(leat_select(&put, 1), 0);
    CHECK_EQ(leat_recv(&c, &out), 0);
    CHECK(out.a == 1 && out.b == 2);
    leat_free(&c);
}

TEST(topics_have_the_same)
{
    LEAT_TOPIC(char[16]) names;
    LEAT_CHAN(char[16]) c;
    LEAT_TOPIC(int (*)(const char *)) calls;
    int (*call)(const char *) = puts;
    char out[16] = "";
    REQUIRE(!leat_make(&c, 4) && !leat_topic_make(&names, LEAT_KEEPS_LATEST));
    REQUIRE_EQ(leat_topic_make(&calls, LEAT_KEEPS_LATEST), 0);
    CHECK_EQ(leat_subscribe(&names, &c, LEAT_WAITS), 0);
    CHECK_EQ(leat_publish(&names, &(char[16]){ "leat" }), 1);
    CHECK(leat_recv(&c, &out) == 0 && !strcmp(out, "leat"));
    CHECK(leat_latest(&names, &out) == 0 && !strcmp(out, "leat"));
    CHECK_EQ(leat_publish(&calls, &call), 0);
    call = NULL;
    CHECK(leat_latest(&calls, &call) == 0 && call == puts);
    CHECK_EQ(leat_unsubscribe(&names, &c), 0);
    leat_topic_free(&names);
    leat_topic_free(&calls);
    leat_free(&c);
}

TEST(a_batch_may_be_a_compound_literal_with_commas)
{
    struct pair {
        int a, b;
    };
    int_chan c;
    LEAT_CHAN(struct pair) pairs;
    int out[9] = { 0 };
    struct pair two[2];
    REQUIRE(!leat_make(&c, 9) && !leat_make(&pairs, 2));
    CHECK_EQ(leat_send_many(&c, (int[]){ 1, 2, 3 }, 3), 3);
    CHECK_EQ(leat_try_send_many(&c, (int[]){ 4, 5, 6 }, 3), 3);
    CHECK_EQ(leat_send_many_ctx(NULL, &c, (const int[]){ 7, 8, 9 }, 1 + 2), 3);
    CHECK_EQ(leat_recv_many(&c, out, 9), 9);
    for (int i = 0; i < 9; i++) CHECK_EQ(out[i], i + 1);
    CHECK_EQ(leat_send_many(&pairs, (struct pair[]){ { 1, 2 }, { .b = 4, .a = 3 } }, 2), 2);
    CHECK_EQ(leat_recv_many(&pairs, two, 2), 2);
    CHECK(two[0].b == 2 && two[1].a == 3 && two[1].b == 4);
    leat_free(&c);
    leat_free(&pairs);
}

/* ==== Arguments =============================================================================== */

static int looks; /* 1 for each channel or topic, 10 for each message, 100 for each number, 1000 for each context */

static int_chan *c_(int_chan *c)
{
    looks += 1;
    return c;
}

static int *m_(int *m)
{
    looks += 10;
    return m;
}

static size_t n_(size_t n)
{
    looks += 100;
    return n;
}

static leat_ctx *x_(leat_ctx *ctx)
{
    looks += 1000;
    return ctx;
}

typedef LEAT_TOPIC(int) int_topic;

static int_topic *t_(int_topic *t)
{
    looks += 1;
    return t;
}

#define LOOKS(times, call) \
    do { \
        looks = 0; \
        (void)!(call); \
        if (!CHECK_EQ(looks, times)) tap_note(#call); \
    } while (0)
#define LOOKS_(times, call) LOOKS(times, ((call), 0))

TEST(each_argument_is_evaluated_once)
{
    int_chan c, *p = &c;
    int m[2] = { 1, 2 }, i = 0;
    leat_ctx ctx = LEAT_CTX(NULL);
    leat_case k;
    LOOKS(101, leat_make(c_(&c), n_(8)));
    LOOKS(11, leat_send(c_(&c), m_(m)));
    LOOKS(11, leat_try_send(c_(&c), m_(m)));
    LOOKS(1011, leat_send_ctx(x_(&ctx), c_(&c), m_(m)));
    LOOKS(11, leat_recv(c_(&c), m_(m)));
    LOOKS(11, leat_try_recv(c_(&c), m_(m)));
    LOOKS(1011, leat_recv_ctx(x_(&ctx), c_(&c), m_(m)));
    LOOKS(111, leat_send_many(c_(&c), m_(m), n_(2)));
    LOOKS(111, leat_try_send_many(c_(&c), m_(m), n_(2)));
    LOOKS(1111, leat_send_many_ctx(x_(&ctx), c_(&c), m_(m), n_(2)));
    LOOKS(211, leat_send_many(c_(&c), (m_(m), (int[]){ (int)n_(1), 2 }), n_(1)));
    LOOKS(111, leat_recv_many(c_(&c), m_(m), n_(2)));
    LOOKS(111, leat_try_recv_many(c_(&c), m_(m), n_(2)));
    LOOKS(1111, leat_recv_many_ctx(x_(&ctx), c_(&c), m_(m), n_(2)));
    LOOKS_(11, k = LEAT_SEND(c_(&c), m_(m)));
    LOOKS_(11, k = LEAT_RECV(c_(&c), m_(m)));
    LOOKS(1, leat_len(c_(&c)));
    LOOKS(1, leat_cap(c_(&c)));
    LOOKS(1, leat_is_closed(c_(&c)));
    (void)k;
    CHECK_EQ(leat_send(p++, &m[i++]), 0); /* in themselves, too */
    CHECK(p == &c + 1 && i == 1);
    LOOKS(1, leat_close(c_(&c)));
    LOOKS_(1, leat_free(c_(&c)));
}

TEST(also_of_topics)
{
    int_topic t;
    int_chan c;
    int m = 1;
    leat_ctx ctx = LEAT_CTX(NULL);
    REQUIRE_EQ(leat_make(&c, 8), 0);
    LOOKS(101, leat_topic_make(t_(&t), (int)n_(LEAT_KEEPS_LATEST)));
    LOOKS(102, leat_subscribe(t_(&t), c_(&c), (int)n_(LEAT_WAITS)));
    LOOKS(11, leat_publish(t_(&t), m_(&m)));
    LOOKS(11, leat_try_publish(t_(&t), m_(&m)));
    LOOKS(1011, leat_publish_ctx(x_(&ctx), t_(&t), m_(&m)));
    LOOKS(11, leat_latest(t_(&t), m_(&m)));
    LOOKS(2, leat_topic_drops(t_(&t), c_(&c)));
    LOOKS(2, leat_unsubscribe(t_(&t), c_(&c)));
    LOOKS(1, leat_topic_close(t_(&t)));
    LOOKS_(1, leat_topic_free(t_(&t)));
    leat_free(&c);
}

/* ==== Memory ================================================================================== */

#define ALIGNED_BY(n) \
    do { \
        struct wide { \
            _Alignas(n) char c; \
        } in = { 'c' }, out = { 'd' }; \
        LEAT_CHAN(struct wide) c; \
        LEAT_TOPIC(struct wide) t; \
        REQUIRE(!leat_make(&c, 3) && !leat_topic_make(&t, LEAT_KEEPS_LATEST)); \
        CHECK_EQ(((uintptr_t)c.chan.slots_ + leat_msg_at_(n)) % n, 0); \
        CHECK_EQ((uintptr_t)t.topic.versions_ % n, 0); \
        for (int i = 0; i < 7; i++) CHECK(!leat_send(&c, &in) && !leat_recv(&c, &out) && out.c == 'c'); \
        CHECK(!leat_publish(&t, &in) && !leat_latest(&t, &out)); \
        leat_free(&c); \
        leat_topic_free(&t); \
    } while (0)

TEST(slots_are_aligned_as_their_messages_are)
{
    ALIGNED_BY(1);
    ALIGNED_BY(8);
    ALIGNED_BY(16);
    ALIGNED_BY(32);
    ALIGNED_BY(64);
    ALIGNED_BY(128);
    ALIGNED_BY(4096);
}

#if !defined _WIN32

static long resident(void) /* pages. -1: the system does not tell */
{
    long all, here = -1;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &all, &here) != 2) here = -1;
    if (f) fclose(f);
    return here;
}

static long faults(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_minflt;
}

TEST(slots_that_were_never_used_take_no_memory)
{
    struct wide {
        _Alignas(32) char text[64];
    };
    struct big {
        _Alignas(64) char text[1 << 20];
    };
    LEAT_CHAN(struct wide) c;
    LEAT_TOPIC(struct big) t;
    long page = sysconf(_SC_PAGESIZE), before = resident();
    if (TAP_SLOW || before < 0) SKIP("the sanitizer's memory, or the system does not tell how much");
    REQUIRE_EQ(leat_make(&c, 1000000), 0);
    long more = resident() - before;
    if (!CHECK(more * page < 96000000 / 10)) tap_note("%ld pages for slots of 96 MB", more);
    leat_free(&c);

    before = faults();
    REQUIRE_EQ(leat_topic_make(&t, LEAT_KEEPS_LATEST), 0);
    more = faults() - before;
    if (!CHECK(more < LEAT_VERSIONS_ * (1 << 20) / page / 10)) tap_note("%ld pages for versions of 64 MB", more);
    leat_topic_free(&t);
}

#endif
