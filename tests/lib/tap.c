/* tap.c - the harness behind tap.h: main, threads, and the watchdog that says which thread hangs where.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined _WIN32
#define dprintf(fd, ...) (fprintf((fd) == STDOUT_FILENO ? stdout : stderr, __VA_ARGS__), fflush(NULL))
#elif defined __linux__
#include <sys/syscall.h>
#endif
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#elif !defined _WIN32
#define backtrace(frames, n) ((void)(frames), 0)
#define backtrace_symbols_fd(frames, n, fd) ((void)(frames))
#endif

enum { MOST_SAID = 20, MOST_FRAMES = 40, STACK_WORDS = 2048 };

static struct tap_test_ *first_;
#if !defined _WIN32
static struct tap_test_ **last_ = &first_;
#endif
static _Atomic int failures_; /* of the test that runs */
static int number_, seconds_ = 60;
static char name_[200]; /* of the test that runs, with spaces */
static const char *skipped_;
static _Atomic int64_t deadline_;

static int64_t now_(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_(int64_t ns)
{
    nanosleep(&(struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) }, NULL);
}

static long setting_(const char *name, long otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtol(s, NULL, 10) : otherwise;
}

/* ==== Checks ================================================================================== */

void tap_add_(struct tap_test_ *test)
{
#if defined _WIN32 /* whose constructors begin with the last */
    test->next = first_;
    first_ = test;
#else
    *last_ = test;
    last_ = &test->next;
#endif
}

void tap_note(const char *format, ...)
{
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "# %s\n", text); /* one call, so that threads do not mix their lines */
}

/* Counts a failure. False if the test has reported enough. */
static bool failed_(void)
{
    int before = atomic_fetch_add_explicit(&failures_, 1, memory_order_relaxed);
    if (before == MOST_SAID) tap_note("... and more");
    return before < MOST_SAID;
}

bool tap_check_(bool held, const char *cond, const char *file, int line)
{
    if (!held && failed_()) tap_note("%s:%d: %s: no: %s", file, line, name_, cond);
    return held;
}

bool tap_check_eq_(long long a, long long b, const char *as, const char *bs, const char *file, int line)
{
    if (a != b && failed_()) tap_note("%s:%d: %s: no: %s == %s: %lld and %lld", file, line, name_, as, bs, a, b);
    return a == b;
}

void tap_die_(const char *cond, const char *file, int line)
{
    tap_note("%s:%d: %s: cannot go on without: %s", file, line, name_, cond);
    dprintf(STDOUT_FILENO, "not ok %d - %s\n", number_, name_);
    _exit(1);
}

void tap_skip_(const char *why)
{
    skipped_ = why;
}

/* ==== Threads and chance ====================================================================== */

struct team {
    void (*fn)(int, void *);
    void *arg;
    int size;
    _Atomic int next, here;
};

static void *run_one_(void *arg)
{
    struct team *c = arg;
    int i = atomic_fetch_add_explicit(&c->next, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->here, 1, memory_order_relaxed);
    while (atomic_load_explicit(&c->here, memory_order_relaxed) < c->size) sched_yield();
    c->fn(i, c->arg);
    return NULL;
}

void tap_leave(int status)
{
#ifdef TAP_COVERAGE
    void __gcov_dump(void);
    __gcov_dump();
#endif
    _exit(status);
}

void tap_threads(int n, void (*fn)(int i, void *arg), void *arg)
{
    struct team c = { .fn = fn, .arg = arg, .size = n };
    pthread_t *threads = calloc((size_t)n + 1, sizeof *threads);
    REQUIRE(threads);
    for (int i = 0; i < n; i++) REQUIRE(pthread_create(&threads[i], NULL, run_one_, &c) == 0);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    free(threads);
}

uint64_t tap_rng(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

uint64_t tap_seed(int i)
{
    uint64_t state = (uint64_t)setting_("LEAT_TEST_SEED", 1) << 32 | (uint32_t)i;
    return tap_rng(&state);
}

/* ==== The watchdog ============================================================================
 *
 * A thread that sleeps until the test's deadline. Then it asks each thread in turn, by a signal, for a backtrace. A
 * thread that does not answer blocks signals, as a pool's workers do. Then the watchdog reads that thread's stack,
 * from the stack pointer that the system tells, and shows every return address that it finds there. */

#if !defined __linux__

/* Elsewhere it tells no more than that a test hangs. */
static _Noreturn void hang_(void)
{
    fprintf(stderr, "# hang: \"%s\" has not ended after %d seconds\n", name_, seconds_);
    printf("not ok %d - %s: it hangs\n", number_, name_);
    fflush(NULL);
    _exit(1);
}

#else

static void *frames_[STACK_WORDS];
static int frame_count_;
static _Atomic int asked_, answered_;

#if TAP_SLOW && defined __GLIBC__
/* ThreadSanitizer's sigaction delays handlers until the next call that it knows, which may never come. */
extern int __sigaction(int, const struct sigaction *, struct sigaction *);
#define set_handler_ __sigaction
#else
#define set_handler_ sigaction
#endif

#if defined __clang__
#define UNWATCHED_ __attribute__((no_sanitize("thread")))
#elif defined __GNUC__
#define UNWATCHED_ __attribute__((no_sanitize_thread))
#else
#define UNWATCHED_
#endif

/* The handler. Its own frames are dropped, so the first frame is where the thread was interrupted. */
UNWATCHED_ static void answer_(int signal)
{
    (void)signal;
    int me = (int)syscall(SYS_gettid), from = 0;
    if (atomic_load_explicit(&asked_, memory_order_acquire) != me) return; /* too late */
    frame_count_ = backtrace(frames_, MOST_FRAMES);
    for (int i = 0; i < frame_count_; i++)
        if (frames_[i] == __builtin_return_address(0)) from = i + 1;
    frame_count_ -= from;
    memmove(frames_, frames_ + from, (size_t)frame_count_ * sizeof frames_[0]);
    frames_[0] = (char *)frames_[0] + 1; /* all others are return addresses */
    atomic_store_explicit(&answered_, me, memory_order_release);
}

/* Reads up to n - 1 bytes of what the system says about a thread. */
static char *tell_(int thread, const char *what, char *text, size_t n)
{
    char path[100];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", thread, what);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? 0 : read(file, text, n - 1);
    if (file >= 0) close(file);
    text[got > 0 ? got : 0] = 0;
    return text;
}

extern char __executable_start[], etext[]; /* the linker's: our own code */

static bool is_ours_(const void *address)
{
    return (uintptr_t)address >= (uintptr_t)__executable_start && (uintptr_t)address < (uintptr_t)etext;
}

/* The addresses within our code on the stack of a thread that waits in the system. */
UNWATCHED_ static int scan_stack_(int thread)
{
    char text[300];
    unsigned long top;
    static void *words[STACK_WORDS];
    if (sscanf(tell_(thread, "syscall", text, sizeof text), "%*s %*s %*s %*s %*s %*s %*s %lx", &top) != 1) return 0;
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    ssize_t got = memory < 0 ? 0 : pread(memory, words, sizeof words, (off_t)top);
    if (memory >= 0) close(memory);
    int n = 0;
    for (int i = 0; i < got / (ssize_t)sizeof words[0] && n < MOST_FRAMES; i++)
        if (is_ours_(words[i])) frames_[n++] = words[i];
    return n;
}

/* Shows the frames by function, file and line if addr2line can, else as glibc can. */
UNWATCHED_ static void show_frames_(int n)
{
    char line[500], command[4000];
    int at = snprintf(command, sizeof command, "addr2line -fips -e /proc/%d/exe", (int)getpid());
    uintptr_t base = 0, ours = 0;
#if defined __PIE__ || defined __pie__
    base = (uintptr_t)__executable_start;
#endif
    for (int i = 0; i < n && at < (int)sizeof command - 100; i++)
        if (is_ours_(frames_[i]) && ++ours) /* less one: the call, not the instruction after it */
            at += snprintf(command + at, sizeof command - (size_t)at, " 0x%lx",
                           (unsigned long)((uintptr_t)frames_[i] - base - 1));
    snprintf(command + at, sizeof command - (size_t)at, " 2>&1");
    FILE *lines = ours ? popen(command, "r") : NULL;
    bool any = false;
    while (lines && fgets(line, sizeof line, lines))
        if (!strstr(line, ":?") && (any = true)) dprintf(STDERR_FILENO, "#       %s", line);
    if (!lines || pclose(lines) || !any) backtrace_symbols_fd(frames_, n, STDERR_FILENO);
}

static void show_thread_(int thread)
{
    char stat[100], wchan[100], call[100];
    tell_(thread, "stat", stat, sizeof stat);
    char *end = strrchr(stat, ')'); /* "123 (name) S ...": S for sleeps, R for runs */
    if (!end) return;               /* it has ended since */
    end[3] = 0;
    tell_(thread, "wchan", wchan, sizeof wchan);
    strtok(tell_(thread, "syscall", call, sizeof call), " \n");
    atomic_store_explicit(&asked_, thread, memory_order_release);
    syscall(SYS_tgkill, getpid(), thread, SIGRTMAX - 1);
    bool answers = false;
    for (int ms = 0; ms < 200 && !answers; ms++) {
        sleep_(1000000);
        answers = atomic_load_explicit(&answered_, memory_order_acquire) == thread;
    }
    atomic_store_explicit(&asked_, 0, memory_order_release);
    dprintf(STDERR_FILENO, "#   thread %s, system call %s, kernel's wait channel %s%s\n", stat, call, wchan,
            answers ? "" : "; blocks signals: the addresses on its stack, old ones too");
    show_frames_(answers ? frame_count_ : scan_stack_(thread));
}

static _Noreturn void hang_(void)
{
    signal(SIGALRM, SIG_DFL); /* in case the report itself hangs */
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    alarm(60);
    struct sigaction answer = { .sa_handler = answer_, .sa_flags = SA_RESTART };
    set_handler_(SIGRTMAX - 1, &answer, NULL);

    dprintf(STDERR_FILENO, "# hang: \"%s\" has not ended after %d seconds. Its threads:\n", name_, seconds_);
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *d; threads && (d = readdir(threads));)
        if (atoi(d->d_name) && atoi(d->d_name) != (int)syscall(SYS_gettid)) show_thread_(atoi(d->d_name));
    if (setting_("LEAT_TEST_GDB", 0)) {
        char command[200];
        snprintf(command, sizeof command,
                 "gdb -nx -batch -p %d -ex 'source tools/leat-gdb.py' -ex 'leat threads' -ex 'thread apply all bt full' >&2",
                 (int)getpid());
        if (system(command)) tap_note("no gdb");
    }
    dprintf(STDOUT_FILENO, "not ok %d - %s: it hangs\n", number_, name_);
    _exit(1);
}

#endif

static void *watch_(void *unused)
{
    (void)unused;
#if defined __linux__
    pthread_setname_np(pthread_self(), "watchdog");
#endif
    for (int64_t left; (left = atomic_load_explicit(&deadline_, memory_order_relaxed) - now_()) > 0;) sleep_(left);
    hang_();
}

/* The watchdog blocks all signals, so it never gets those of a test. */
static void start_watchdog_(void)
{
    pthread_t thread;
#if !defined _WIN32
    void *warm[1];
    if (backtrace(warm, 1) < 0) return; /* the first call loads a library, which must not happen in a handler */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    if (pthread_create(&thread, NULL, watch_, NULL) == 0) pthread_detach(thread);
#if !defined _WIN32
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
}

/* ==== main ==================================================================================== */

/* Underscores of the name become spaces. */
static void call_it_(const char *name)
{
    snprintf(name_, sizeof name_, "%s", name);
    for (char *c = name_; *c; c++)
        if (*c == '_') *c = ' ';
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    int count = 0, bad = 0;
    for (struct tap_test_ *t = first_; t; t = t->next) {
        call_it_(t->name);
        t->name = strstr(t->name, word) || strstr(name_, word) ? t->name : NULL;
        count += t->name != NULL;
    }
#if defined _WIN32
    setvbuf(stdout, NULL, _IONBF, 0);
#else
    setvbuf(stdout, NULL, _IOLBF, 0);
#endif
    printf("1..%d\n", count);
    seconds_ = (int)setting_("LEAT_TEST_SECONDS", seconds_) * (TAP_SLOW ? 4 : 1);
    for (struct tap_test_ *t = first_; t; t = t->next) {
        if (!t->name) continue;
        call_it_(t->name);
        skipped_ = NULL;
        atomic_store_explicit(&failures_, 0, memory_order_relaxed);
        atomic_store_explicit(&deadline_, now_() + (int64_t)seconds_ * 1000000000, memory_order_relaxed);
        if (number_++ == 0 && seconds_) start_watchdog_();
        t->run();
        int failures = atomic_load_explicit(&failures_, memory_order_relaxed);
        printf("%sok %d - %s%s%s\n", failures ? "not " : "", number_, name_, skipped_ ? " # SKIP " : "",
               skipped_ ? skipped_ : "");
        bad += failures > 0;
    }
    return bad > 0;
}
