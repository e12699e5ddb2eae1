/* messages.h - messages of any size, each of which shows whether it is whole. SPDX-License-Identifier: MIT
 *
 * The first bytes of a message are its number, as far as it has room for that, and the rest follows from it. */
#ifndef LEAT_MESSAGES_H
#define LEAT_MESSAGES_H

#include "fuzz.h"

enum { BIG = 128 }; /* bytes that any has room in */

static size_t msg_size, msg_align;
static const unsigned char sizes[][2] = { { 1, 1 },  { 3, 1 },  { 4, 4 },   { 8, 8 },
                                          { 24, 8 }, { 40, 4 }, { 100, 4 }, { 64, 64 } };

static void fill(unsigned char *msg, uint32_t id)
{
    for (size_t i = 0; i < msg_size; i++) msg[i] = (unsigned char)((id >> 8 * (i % 4)) ^ i / 4 * 37);
}

static uint32_t id_of(const unsigned char *msg)
{
    uint32_t id = 0;
    for (size_t i = 0; i < 4 && i < msg_size; i++) id |= (uint32_t)msg[i] << 8 * i;
    return id;
}

static void is_whole(const unsigned char *msg, uint32_t id)
{
    unsigned char right[BIG];
    fill(right, id);
    if (memcmp(msg, right, msg_size)) complain("a message is not whole, or another", id_of(msg), id);
}

#endif
