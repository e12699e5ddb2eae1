/* contestant.h - what all contestants in C and C++ do: the loops, the clocks, the count of what arrived.
 *
 *     contestant can                                    the works it has the means for
 *     contestant flow senders=4 receivers=1 cap=1024    then, for each number of messages read from
 *                                                       standard input, a round and a line of JSON
 *
 * SPDX-License-Identifier: MIT
 *
 * A contestant is a program: it includes this, says what it has, as below, and includes works.h. Its calls are
 * inlined into the loops, so no contestant pays for the harness.
 *
 *     #define QUEUE         struct queue; queue_new(q, cap), queue_free(q)
 *     #define BLOCKING      queue_send(q, msg), queue_recv(q, &msg)
 *     #define TRY           queue_try_send(q, msg), queue_try_recv(q, &msg): whether it did
 *     #define CLOSES        queue_close(q), after which queue_recv says false when it is empty; queue_is_over(q)
 *     #define BATCH         queue_send_some(q, msgs, n), queue_recv_some(q, msgs, n): how many; 0 only
 *                           for a queue without BLOCKING that is full or empty, or at the end
 *     #define UNORDERED     a message may be received before one of another sender that was sent earlier
 *     #define UNBUFFERED    queue_new takes capacity 0
 *     #define THREADS       queue_enter(q), queue_leave(q), in each thread
 *     #define POOL          pool_start(workers, cap), pool_submit(number): calls job(number) on a worker,
 *                           pool_ask(number): the same, and waits for it; pool_stop(): returns when all have run
 *     #define REQUESTS      a POOL beside an event loop: requests_start(workers), requests_run(n, under_way): calls job(number)
 *                           on workers, and the loop's thread is told of each end, and submits the next; requests_stop()
 *     #define SEMAPHORE     sem_new(permits), sem_take(n), sem_give(n), sem_left(); WEIGHTED: n > 1
 *     #define SELECT        select_new(cases, cap), select_free(), select_send(i, msg), select_recv(&msg)
 *     #define GROUP         group_tasks(n, limit): runs task() n times
 *     #define CANCEL        cancel_tasks(n, fail_at, limit): runs task_that_fails(i, fail_at) for i from 0 to n - 1,
 *                           until one says 5
 *     #define TOPIC         topic_new(channels, cap, keeps), topic_free(); topic_join(i), topic_leave(i): the i-th
 *                           channel subscribes; topic_publish(msg): drops it where there is no room;
 *                           topic_drops(i), topic_recv(i, &msg); CHANGES: threads may subscribe and leave
 *                           while another publishes; LATEST: topic_latest(&msg), if it keeps it
 *     #define ONE_TO_ONE    only for one sender and one receiver
 *     #define COMPRESSES    jobs compress (zlib.h), for a QUEUE that is BLOCKING and a POOL, or for neither
 *     #define UNBOUNDED, BY_VALUE (messages of any MSG_SIZE): said in the table
 *
 * A message is MSG_SIZE bytes. The last sender closes the queue. If it cannot be closed, each receiver gets a message
 * that says so. */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_SIZE
#define MSG_SIZE 8
#endif
#define INLINE static inline __attribute__((always_inline))

typedef struct msg {
    uint64_t v[MSG_SIZE / 8]; /* the first and the last word hold its number */
} msg;

enum { MOST_THREADS = 160, MOST_BATCH = 1024, MOST_CASES = 64 };
#define THE_END UINT64_MAX

/* The whole message counts, not only its words that are written and read here: else the compiler would copy those alone
 * for a contestant that it can see through. */
INLINE void all_of_it(msg *m)
{
    if (MSG_SIZE > 8) __asm__ volatile("" : "+m"(*m));
}

INLINE msg msg_of(uint64_t number)
{
    msg m;
    m.v[0] = number;
    m.v[MSG_SIZE / 8 - 1] = number;
    all_of_it(&m);
    return m;
}

static struct {
    uint64_t senders, receivers, cap, batch, blocking, pin, workers, spin, limit, cases, ready, subscribers, others, every;
} arg = { 1, 1, 1024, 1, 1, 0, 2, 0, 2, 2, 1, 0, 0, 0 };

/* ---- the clocks ------------------------------------------------------------------------------ */

static inline int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct meter {
    int64_t wall, cpu; /* ns */
    long sleeps, preemptions;
};

static inline struct meter meter_now(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    int64_t cpu = cpu_ns();
    struct meter m = { now_ns(), cpu, r.ru_nvcsw, r.ru_nivcsw };
    return m;
}

/* A round. */
static struct {
    struct meter from, to;
    uint64_t n;
    char wrong[200];
    char more[400]; /* what else it says, as JSON */
} round_;

static inline void round_begins(void)
{
    round_.from = meter_now();
}

static inline void round_ends(uint64_t n)
{
    round_.to = meter_now();
    round_.n = n;
}

/* glibc's adaptive kind, where there is one. It spins briefly before it sleeps. */
static inline void fast_mutex(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

static inline void wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!round_.wrong[0]) vsnprintf(round_.wrong, sizeof round_.wrong, format, args);
    va_end(args);
}

/* Numbers are 1 to n. */
static inline void must_sum(uint64_t n, uint64_t count, uint64_t sum)
{
    if (count != n || sum != (n % 2 ? (n + 1) / 2 * n : n / 2 * (n + 1)))
        wrong("%llu of %llu arrived%s", (unsigned long long)count, (unsigned long long)n,
              count == n ? ", not the same" : "");
}

INLINE void work_for(uint64_t steps)
{
    uint64_t x = steps;
    for (uint64_t i = 0; i < steps; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
}

/* ---- what jobs and tasks do ------------------------------------------------------------------ */

/* What the jobs did. Each thread counts for itself, so that counting does not cost what it counts. */
struct tally {
    uint64_t count, sum;
    struct tally *next;
    char pad[128 - 24];
};
static __thread struct tally *my_tally __attribute__((unused));
static struct tally *tallies __attribute__((unused));

INLINE void tally_job(uint64_t number)
{
    if (__builtin_expect(!my_tally, 0)) {
        my_tally = (struct tally *)calloc(1, sizeof *my_tally);
        my_tally->next = __atomic_load_n(&tallies, __ATOMIC_RELAXED);
        while (
            !__atomic_compare_exchange_n(&tallies, &my_tally->next, my_tally, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
    }
    my_tally->count++;
    my_tally->sum += number;
}

#ifdef COMPRESSES
static void compress_job(uint64_t number); /* zlib.h */
#endif

INLINE void job(uint64_t number)
{
#ifdef COMPRESSES
    compress_job(number);
#else
    work_for(arg.spin);
    tally_job(number);
#endif
}

static uint64_t tasks_run __attribute__((unused));

INLINE void task(void)
{
    __atomic_add_fetch(&tasks_run, 1, __ATOMIC_RELAXED);
}

/* How a thread that asked a pool for a job waits for it, where the pool has nothing of its own for that. */
struct answer {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool given;
};
static struct answer answer __attribute__((unused)) = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

static inline void answer_give(void)
{
    pthread_mutex_lock(&answer.lock);
    answer.given = true;
    pthread_cond_signal(&answer.cond);
    pthread_mutex_unlock(&answer.lock);
}

static inline void answer_await(void)
{
    pthread_mutex_lock(&answer.lock);
    while (!answer.given) pthread_cond_wait(&answer.cond, &answer.lock);
    answer.given = false;
    pthread_mutex_unlock(&answer.lock);
}

INLINE int task_that_fails(uint64_t i, uint64_t fail_at)
{
    task();
    work_for(arg.spin);
    return i == fail_at ? 5 : 0;
}

#endif
