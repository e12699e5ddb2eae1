// use.cpp - a C++ program of somebody else, built by each way that leat offers.  SPDX-License-Identifier: MIT
#include <leat/pool.h>

#include <cstdio>

typedef LEAT_CHAN(int) int_chan;

static int count(leat_ctx *ctx, void *arg)
{
    int_chan *out = static_cast<int_chan *>(arg);
    int message = 7;
    return leat_send_ctx(ctx, out, &message);
}

int main()
{
    int_chan out;
    leat_group g = LEAT_GROUP(NULL);
    int got = 0;
    if (leat_make(&out, 1) || leat_go(&g, count, &out) || leat_recv(&out, &got) || leat_wait(&g)) return 1;
    leat_free(&out);
    std::printf("leat %s\n", LEAT_VERSION_STRING);
    return got != 7;
}
