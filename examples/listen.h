/* listen.h - a TCP port of 127.0.0.1, for the examples that serve one. Needs _GNU_SOURCE, and args_begin().
 * SPDX-License-Identifier: MIT */
#ifndef LISTEN_H
#define LISTEN_H

#include "args.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { LISTEN_BACKLOG = 4096 }; /* of those that knock at once: the system takes as much of it as it can */

/* A socket where clients knock, which does not block; 0: any port that is free. It says which on standard error, or why
 * it cannot: -1. */
static inline int listen_on(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr *any = (struct sockaddr *)&a;
    socklen_t size = sizeof a;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool good = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) && !bind(fd, any, size) &&
                !listen(fd, LISTEN_BACKLOG) && !getsockname(fd, any, &size);
    if (good) fprintf(stderr, "%s: listening on 127.0.0.1:%d\n", args_name, ntohs(a.sin_port));
    else fprintf(stderr, "%s: port %d: %s\n", args_name, port, strerror(errno));
    return good ? fd : -1;
}

#endif
