/* tbb.cc - oneTBB's concurrent_bounded_queue, and task_group as a pool and as a group. SPDX-License-Identifier: MIT */
#include <tbb/concurrent_queue.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include "contestant.h"

#define QUEUE
#define BLOCKING
#define TRY
#define BY_VALUE
#define POOL
#define GROUP
#define CANCEL

struct queue {
    tbb::concurrent_bounded_queue<msg> *q;
};

INLINE void queue_new(struct queue *q, size_t cap)
{
    q->q = new tbb::concurrent_bounded_queue<msg>;
    q->q->set_capacity((ptrdiff_t)cap);
}

INLINE void queue_free(struct queue *q) { delete q->q; }

INLINE bool queue_send(struct queue *q, msg m)
{
    q->q->push(m);
    return true;
}

INLINE bool queue_recv(struct queue *q, msg *m)
{
    q->q->pop(*m);
    return true;
}

INLINE bool queue_try_send(struct queue *q, msg m) { return q->q->try_push(m); }

INLINE bool queue_try_recv(struct queue *q, msg *m) { return q->q->try_pop(*m); }

/* An arena with one place for the thread that submits, and the workers. */
struct crew {
    tbb::global_control workers;
    tbb::task_arena arena;
    tbb::task_group group;
    crew(int n) : workers(tbb::global_control::max_allowed_parallelism, (size_t)n + 1), arena(n + 1, 1) {}
};
static struct crew *crew;

static inline void pool_start(int workers, int cap)
{
    (void)cap;
    crew = new struct crew(workers);
}

INLINE void pool_submit(uint64_t number)
{
    crew->arena.enqueue(crew->group.defer([=] { job(number); }));
}

INLINE void pool_ask(uint64_t number)
{
    crew->arena.enqueue([=] {
        job(number);
        answer_give();
    });
    answer_await();
}

static inline void pool_stop(void)
{
    crew->arena.execute([] { crew->group.wait(); }); /* the thread that waits works, too */
    delete crew;
}

/* A thread that waits for a group runs its tasks, too. So there is one worker less. */
static inline void group_tasks(uint64_t n, int limit)
{
    struct crew c(limit - 1);
    c.arena.execute([&] {
        for (uint64_t i = 0; i < n; i++) c.group.run([] { task(); });
        c.group.wait();
    });
}

static inline void cancel_tasks(uint64_t n, uint64_t fail_at, int limit)
{
    struct crew c(limit - 1);
    int err = 0;
    c.arena.execute([&] {
        for (uint64_t i = 0; i < n; i++)
            c.group.run([&, i] {
                int e = task_that_fails(i, fail_at);
                if (!e) return;
                __atomic_store_n(&err, e, __ATOMIC_RELAXED);
                c.group.cancel();
            });
        c.group.wait();
    });
    if (err != 5) wrong("the error was lost");
}

#include "works.h"
