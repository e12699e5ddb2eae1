/* zlib.h - a real program as a work: compress a text in chunks, by a pipeline of a reader, a pool and a writer.
 *
 * SPDX-License-Identifier: MIT
 *
 * The reader takes a free slot, points it to the next chunk of the text, and submits a job. A worker compresses the chunk
 * into the slot's buffer, and sends the slot to the writer. The writer puts the chunks into order, copies each to the
 * output, and sends its slot back to the reader. So no more chunks than slots are in memory. The contestant brings the
 * pool and both queues. A contestant with neither (bare) compresses the same chunks one after the other, on one thread. */
#ifndef BENCH_ZLIB_H
#define BENCH_ZLIB_H

#include <zlib.h>

enum { CHUNK = 64 << 10, CHUNKS = 64 /* of the text, which repeats itself */, SLOTS = 16, PACKED = CHUNK + CHUNK / 8 };

static unsigned char text[CHUNKS][CHUNK];

static struct slot {
    uint64_t number; /* of the chunk, from 1 */
    uLongf length;
    unsigned char packed[PACKED];
} slots[SLOTS];

/* Words of a small vocabulary, the frequent ones more often, as in a text. */
static void make_text(void)
{
    uint64_t rng = 88172645463325252u;
    unsigned char *at = text[0], *end = at + sizeof text;
    while (at < end) {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        uint64_t word = (rng >> 8) % 4096 * ((rng >> 32) % 4096) / 4096 + 1; /* small numbers more often */
        for (uint64_t w = word * 0x9e3779b97f4a7c15u, n = 2 + w % 8; n-- && at < end; w /= 26)
            *at++ = (unsigned char)('a' + w % 26);
        if (at < end) *at++ = rng % 11 ? ' ' : '\n';
    }
}

static void pack(struct slot *s)
{
    s->length = PACKED;
    if (compress2(s->packed, &s->length, text[s->number % CHUNKS], CHUNK, 6) != Z_OK) wrong("zlib");
}

/* The writer's side: what was written last, and a checksum of all of it. */
static struct {
    uint64_t next;
    uLong sum;
    unsigned char last[PACKED];
} output;

static void put_out(const struct slot *s)
{
    if (s->number != output.next++) wrong("a chunk came out of order");
    memcpy(output.last, s->packed, s->length);
    output.sum = adler32(output.sum, output.last, (uInt)s->length);
}

static void text_begins(void)
{
    if (!text[0][0]) make_text();
    output.next = 1;
    output.sum = 1;
}

/* After the clock has stopped: all chunks came out, they are what the round before wrote if it had as many, and what the
 * slots still hold is the text. */
static void text_ends(uint64_t n)
{
    static unsigned char again[CHUNK];
    static uint64_t before_n;
    static uLong before;
    if (output.next != n + 1)
        wrong("%llu of %llu chunks came out", (unsigned long long)output.next - 1, (unsigned long long)n);
    if (n == before_n && output.sum != before) wrong("not the same output as in the round before");
    before_n = n;
    before = output.sum;
    for (int i = 0; i < SLOTS; i++) {
        uLongf length = CHUNK;
        if (slots[i].number && (uncompress(again, &length, slots[i].packed, slots[i].length) != Z_OK || length != CHUNK ||
                                memcmp(again, text[slots[i].number % CHUNKS], CHUNK) != 0))
            wrong("what was compressed is not the text");
    }
}

#ifdef POOL
static void compress_job(uint64_t number)
{
    struct slot *s = &slots[number % SLOTS];
    s->number = number / SLOTS;
    pack(s);
    queue_send(&places[0].q, msg_of(number % SLOTS + 1));
}

static void *writes(void *chunks)
{
    struct slot *done[SLOTS] = { NULL }; /* compressed, by number; one before them is not */
    msg m;
    for (uint64_t left = *(uint64_t *)chunks; left;) {
        if (!queue_recv(&places[0].q, &m)) return NULL;
        struct slot *s = &slots[m.v[0] - 1];
        for (done[s->number % SLOTS] = s; (s = done[output.next % SLOTS]) != NULL; left--) {
            done[output.next % SLOTS] = NULL;
            put_out(s);
            queue_send(&places[1].q, msg_of((uint64_t)(s - slots) + 1));
        }
    }
    return NULL;
}

static void compression(uint64_t n)
{
    pthread_t writer;
    msg m;
    text_begins();
    for (int i = 0; i < 2; i++) queue_new(&places[i].q, SLOTS);
    for (uint64_t i = 1; i <= SLOTS; i++) queue_send(&places[1].q, msg_of(i));
    pool_start((int)arg.workers, SLOTS);
    thread_make(&writer, writes, &n);
    round_begins();
    for (uint64_t i = 1; i <= n; i++) {
        queue_recv(&places[1].q, &m);
        pool_submit(i * SLOTS + m.v[0] - 1);
    }
    pthread_join(writer, NULL);
    round_ends(n);
    pool_stop();
    for (int i = 0; i < 2; i++) queue_free(&places[i].q);
    text_ends(n);
}
#else
static void compress_job(uint64_t number) /* there is no pool to call it */
{
    (void)number;
}

static void compression(uint64_t n)
{
    text_begins();
    round_begins();
    for (uint64_t i = 1; i <= n; i++) {
        struct slot *s = &slots[i % SLOTS];
        s->number = i;
        pack(s);
        put_out(s);
    }
    round_ends(n);
    text_ends(n);
}
#endif
#endif
