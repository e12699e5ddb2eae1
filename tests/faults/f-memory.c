/* f-memory.c - everything in memory of every kind, on threads with the smallest stack that there is.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static bool least_stack;
static _Atomic int made;

static int create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    pthread_attr_t least;
    atomic_fetch_add(&made, 1);
    if (!least_stack) return pthread_create(t, attr, fn, arg);
    pthread_attr_init(&least);
    pthread_attr_setstacksize(&least, (size_t)PTHREAD_STACK_MIN);
    int err = pthread_create(t, &least, fn, arg);
    pthread_attr_destroy(&least);
    return err;
}

#define pthread_create create
#include "faults.h"

#include <stdlib.h>
#include <sys/mman.h>

static void flow_in(struct traffic *t)
{
    REQUIRE(t != NULL && t != MAP_FAILED);
    traffic_begin(t, 6);
    traffic_flows(t, 300);
    traffic_end(t);
}

static void in_memory_of_each_kind(void)
{
    enum { LEAST = _Alignof(struct traffic) };
    static struct traffic in_static;
    struct traffic on_stack, *on_heap = malloc(sizeof *on_heap);
    struct traffic *mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *shared = mmap(NULL, sizeof *mapped + LEAST, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    flow_in(&in_static);
    flow_in(&on_stack);
    flow_in(on_heap);
    flow_in(mapped);
    flow_in((struct traffic *)(void *)(shared + LEAST)); /* no more aligned than its type needs */
    free(on_heap);
    munmap(mapped, sizeof *mapped);
    munmap(shared, sizeof *mapped + LEAST);
}

TEST(all_works_in_memory_of_every_kind)
{
    in_memory_of_each_kind();
}

TEST(and_on_threads_with_the_least_stack)
{
    made = 0;
    least_stack = true;
    in_memory_of_each_kind();
    leat_group g = LEAT_GROUP(NULL);
    _Atomic size_t ran = 0;
    CHECK_EQ(leat_go_n(&g, 8, job_, &ran), 0);
    CHECK_EQ(leat_wait(&g), 0);
    CHECK_EQ(ran, 8);
    least_stack = false;
    CHECK(made >= 5 * (6 + 2) + 1);
}
