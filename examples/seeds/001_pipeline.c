/* The three-stage Pipeline of article 001: a pool per stage, sized for its bottleneck. Each stage
 * closes the channel that it feeds, and a slow one holds up those before it, not the memory. The
 * stages are one whole: the first error of any of them ends them all, and is what the whole returns.
 * SPDX-License-Identifier: MIT */
#include "../../pool.h"
#include "../args.h"

struct document {
    int id;
    const char *pdf;
};

struct extracted_doc {
    int id;
    char text[32];
};

struct embedded_doc {
    int id;
    unsigned vector;
};

struct index_result {
    int id;
    unsigned vector;
};

typedef LEAT_CHAN(struct document) document_chan;
typedef LEAT_CHAN(struct extracted_doc) extracted_chan;
typedef LEAT_CHAN(struct embedded_doc) embedded_chan;
typedef LEAT_CHAN(struct index_result) result_chan;

struct pipeline {
    int extract_workers; /* CPU-bound: leat_cpus() */
    int embed_workers;   /* network-bound: many more */
    int insert_workers;  /* fast: few */
    document_chan *docs;
    extracted_chan extracted;
    embedded_chan embedded;
    result_chan results;
    leat_group whole, extract, embed, insert;
};

static int extract_worker(leat_ctx *ctx, void *arg) /* the article: 50 ms of CPU */
{
    struct pipeline *p = arg;
    struct document d;
    int err;
    while ((err = leat_recv_ctx(ctx, p->docs, &d)) == 0) {
        struct extracted_doc e = { .id = d.id };
        snprintf(e.text, sizeof e.text, "text of %s", d.pdf);
        if ((err = leat_sleep_ctx(ctx, LEAT_MS(5))) != 0 || (err = leat_send_ctx(ctx, &p->extracted, &e)) != 0) break;
    }
    return err == -EPIPE ? 0 : err; /* no more documents */
}

static int embed_worker(leat_ctx *ctx, void *arg) /* 300 ms of waiting for a network */
{
    struct pipeline *p = arg;
    struct extracted_doc e;
    int err;
    while ((err = leat_recv_ctx(ctx, &p->extracted, &e)) == 0) {
        struct embedded_doc v = { .id = e.id };
        for (const char *s = e.text; *s; s++) v.vector = v.vector * 31 + (unsigned char)*s;
        if ((err = leat_sleep_ctx(ctx, LEAT_MS(30))) != 0 || (err = leat_send_ctx(ctx, &p->embedded, &v)) != 0) break;
    }
    return err == -EPIPE ? 0 : err; /* no more documents */
}

static int insert_worker(leat_ctx *ctx, void *arg) /* 20 ms */
{
    struct pipeline *p = arg;
    struct embedded_doc v;
    int err;
    while ((err = leat_recv_ctx(ctx, &p->embedded, &v)) == 0) {
        struct index_result r = { .id = v.id, .vector = v.vector };
        if ((err = leat_sleep_ctx(ctx, LEAT_MS(2))) != 0 || (err = leat_send_ctx(ctx, &p->results, &r)) != 0) break;
    }
    return err == -EPIPE ? 0 : err; /* no more documents */
}

static int pipeline_run(struct pipeline *p, leat_ctx *ctx, document_chan *docs)
{
    p->docs = docs;
    p->whole = (leat_group)LEAT_GROUP(ctx);
    p->extract = p->embed = p->insert = (leat_group)LEAT_GROUP(NULL);
    int err = leat_group_within(&p->extract, &p->whole);
    if (!err) err = leat_group_within(&p->embed, &p->whole);
    if (!err) err = leat_group_within(&p->insert, &p->whole);

    /* stage 1: extract text */
    if (!err) err = leat_make(&p->extracted, (size_t)p->extract_workers);
    if (!err) err = leat_go_n(&p->extract, p->extract_workers, extract_worker, p);
    if (!err) err = leat_group_closes(&p->extract, &p->extracted);

    /* stage 2: generate embeddings */
    if (!err) err = leat_make(&p->embedded, (size_t)p->embed_workers);
    if (!err) err = leat_go_n(&p->embed, p->embed_workers, embed_worker, p);
    if (!err) err = leat_group_closes(&p->embed, &p->embedded);

    /* stage 3: insert into the vector store */
    if (!err) err = leat_make(&p->results, (size_t)p->insert_workers);
    if (!err) err = leat_go_n(&p->insert, p->insert_workers, insert_worker, p);
    if (!err) err = leat_group_closes(&p->insert, &p->results);
    return err;
}

static int feed(leat_ctx *ctx, void *arg)
{
    static const char *pdfs[] = { "a.pdf", "b.pdf", "c.pdf", "d.pdf", "e.pdf", "f.pdf", "g.pdf", "h.pdf" };
    document_chan *docs = arg;
    int err = 0;
    for (int i = 0; i < 8 && !err; i++) {
        struct document d = { .id = i, .pdf = pdfs[i] };
        err = leat_send_ctx(ctx, docs, &d);
    }
    leat_close(docs);
    return err;
}

int main(void)
{
    args_begin("001_pipeline");
    leat_ctx ctx = LEAT_CTX_WITHIN(NULL, LEAT_S(30));
    struct pipeline p = { .extract_workers = leat_cpus(), .embed_workers = 16, .insert_workers = 2 };
    document_chan docs = { .type_ = NULL }; /* unbuffered */
    if (pipeline_run(&p, &ctx, &docs) || leat_go(&p.whole, feed, &docs)) return 1;

    for (struct index_result r; leat_recv(&p.results, &r) == 0;) printf("doc %d indexed as %08x\n", r.id, r.vector);

    int err = leat_wait(&p.whole);
    leat_free(&p.extracted);
    leat_free(&p.embedded);
    leat_free(&p.results);
    return args_end(err != 0);
}
