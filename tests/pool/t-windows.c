/* t-windows.c - what Windows alone has: the console's events, threads that end themselves in its way, a wait that may be
 * missing.
 * SPDX-License-Identifier: MIT */
#include "pool.h"
#include "jobs.h"
#include "peek.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

__declspec(dllimport) int __stdcall GenerateConsoleCtrlEvent(unsigned long, unsigned long);
__declspec(dllimport) int __stdcall SetConsoleCtrlHandler(int(__stdcall *)(unsigned long), int);
__declspec(dllimport) int __stdcall SetProcessAffinityMask(void *, uintptr_t);
__declspec(dllimport) void *__stdcall GetCurrentThread(void);
__declspec(dllimport) int __stdcall GetThreadDescription(void *, wchar_t **);
__declspec(dllimport) void __stdcall GetCurrentThreadStackLimits(uintptr_t *, uintptr_t *);
__declspec(dllimport) _Noreturn void __stdcall ExitProcess(unsigned);
__declspec(dllimport) int __stdcall AllocConsole(void);
__declspec(dllimport) int __stdcall FreeConsole(void);
__declspec(dllimport) void __stdcall Sleep(unsigned long);

/* ==== Programs that end, each in a process of its own ========================================= */

enum { CHILD_IS_WELL = 42 };

static int ends_program(leat_ctx *ctx, void *how)
{
    (void)ctx;
    if (how) ExitProcess(CHILD_IS_WELL);
    exit(CHILD_IS_WELL);
}

/* A program ends in a job, while other jobs run and wait. */
static void ends_in_a_job(int how)
{
    static leat_pool p;
    static door d;
    if (leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 3, .queue = 8 })) return;
    if (leat_submit(&p, at_door, &d)) return;
    door_until(&d, 1);
    if (leat_submit(&p, ends_program, how ? &p : NULL)) return;
    (void)leat_pool_stop(&p);
}

/* The console says Ctrl+C and then, when the context is done, twice more: to the program's own handler, which is
 * called when leat's has had its event. */
static _Atomic int theirs;

static int __stdcall on_theirs(unsigned long event)
{
    (void)event;
    theirs++;
    return 1;
}

static int hears_console(void)
{
    leat_ctx ctx = LEAT_CTX(NULL);
    FreeConsole();
    if (!AllocConsole() || !SetConsoleCtrlHandler(on_theirs, 1)) return 77;
    SetConsoleCtrlHandler(NULL, 0); /* a program inherits whether Ctrl+C is ignored */
    if (leat_cancel_on_signals(&ctx, SIGINT, SIGBREAK, 0)) return 2;
    if (!GenerateConsoleCtrlEvent(0, 0)) return 77;
    for (int i = 0; i < 3000 && !leat_ctx_err(&ctx); i++) Sleep(10);
    if (!leat_ctx_err(&ctx)) return 77; /* no event comes */
    if (leat_ctx_cause(&ctx) != SIGINT || theirs) return 3;
    for (int n = 1; n <= 2; n++) {
        if (!GenerateConsoleCtrlEvent(0, 0)) return 4;
        for (int i = 0; i < 3000 && theirs < n; i++) Sleep(10);
        if (theirs != n) return 5;
    }
    return leat_cancel_on_signals(NULL, SIGINT, 0) ? 6 : CHILD_IS_WELL;
}

__attribute__((constructor)) static void child(void)
{
    const char *part = getenv("LEAT_WINDOWS_CHILD");
    if (!part) return;
    if (strcmp(part, "console") == 0) _exit(hears_console());
    ends_in_a_job(strcmp(part, "ExitProcess") == 0);
    _exit(1);
}

static int play(const char *part)
{
    char set[100];
    snprintf(set, sizeof set, "LEAT_WINDOWS_CHILD=%s", part);
    REQUIRE_EQ(_putenv(set), 0);
    int status = (int)_spawnl(_P_WAIT, _pgmptr, "child", NULL);
    REQUIRE_EQ(_putenv("LEAT_WINDOWS_CHILD="), 0);
    return status;
}

TEST(a_job_that_ends_the_program_ends_it_and_is_not_taken_for_one_that_ends_its_thread)
{
    CHECK_EQ(play("exit"), CHILD_IS_WELL);
    CHECK_EQ(play("ExitProcess"), CHILD_IS_WELL);
}

TEST(the_consoles_first_event_cancels_and_the_next_is_the_programs_own)
{
    int status = play("console");
    if (status == 77) SKIP("no console, or it has no events");
    CHECK_EQ(status, CHILD_IS_WELL);
}

/* ==== The handler, as the system calls it ===================================================== */

static int event(void *number)
{
    return leat_on_console_(*(uint32_t *)number);
}

TEST(an_event_cancels_once_and_only_the_context_that_asked_for_it)
{
    leat_ctx a = LEAT_CTX(NULL), b = LEAT_CTX(NULL);
    CHECK_EQ(leat_on_console_(0), 0);
    CHECK_EQ(leat_cancel_on_signals(&a, SIGINT, 0), 0);
    CHECK_EQ(leat_on_console_(1), 0); /* Ctrl+Break was not asked for */
    CHECK_EQ(leat_ctx_err(&a), 0);
    CHECK_EQ(leat_cancel_on_signals(&b, SIGINT, SIGTERM, 0), 0);
    CHECK_EQ(leat_on_console_(0), 1);
    CHECK_EQ(leat_on_console_(0), 0); /* the second is not ours */
    CHECK_EQ(leat_ctx_err(&a), 0);
    CHECK_EQ(leat_ctx_cause(&b), SIGINT);
    CHECK_EQ(leat_cancel_on_signals(NULL, SIGINT, 0), 0);
    CHECK(leat_console_here_.handler_ == NULL);
    CHECK_EQ(leat_on_console_(0), 0);
}

TEST(what_the_console_cannot_say_is_refused)
{
    leat_ctx ctx = LEAT_CTX(NULL);
    CHECK_EQ(leat_cancel_on_signals(&ctx, 0), -EINVAL);
    CHECK_EQ(leat_cancel_on_signals(&ctx, SIGINT, SIGSEGV, 0), -EINVAL);
    CHECK(leat_console_here_.handler_ == NULL);
}

/* Last of the three: its thread never returns, as the system would end the process then. */
TEST(when_the_window_is_closed_the_program_has_time_and_takes_the_handler_back_in_vain)
{
    leat_ctx ctx = LEAT_CTX(NULL);
    static uint32_t closes = 2;
    static side system;
    CHECK_EQ(leat_cancel_on_signals(&ctx, SIGTERM, SIGINT, 0), 0);
    side_start(&system, event, &closes);
    UNTIL(leat_ctx_err(&ctx));
    CHECK_EQ(leat_ctx_cause(&ctx), SIGTERM);
    CHECK_EQ(leat_cancel_on_signals(NULL, SIGTERM, 0), 0); /* and does not wait for that thread */
    CHECK_EQ(leat_on_console_(2), 0);
}

/* ==== Threads ================================================================================= */

static int ends_by_the_c_library(leat_ctx *ctx, void *arg)
{
    (void)ctx, (void)arg;
    _endthreadex(0);
    return 0;
}

TEST(a_thread_that_ends_by__endthreadex_is_noticed)
{
    leat_group g = LEAT_GROUP(NULL);
    CHECK_EQ(leat_go(&g, ends_by_the_c_library, NULL), 0);
    CHECK_EQ(leat_wait(&g), -EINTR);
}

static struct seen {
    char name[40];
    size_t stack;
} seen;

static int looks(leat_ctx *ctx, void *arg)
{
    uintptr_t low = 0, high = 0;
    wchar_t *name = NULL;
    (void)ctx, (void)arg;
    if (GetThreadDescription(GetCurrentThread(), &name) >= 0 && name)
        for (size_t i = 0; i < sizeof seen.name - 1 && name[i]; i++) seen.name[i] = (char)name[i];
    GetCurrentThreadStackLimits(&low, &high);
    seen.stack = high - low;
    return 0;
}

TEST(a_thread_has_the_stack_and_the_name_that_were_asked_for)
{
    leat_pool p;
    static const size_t sizes[] = { 256 << 10, 9 << 20 };
    for (int i = 0; i < 2; i++) {
        seen = (struct seen){ .stack = 0 };
        REQUIRE_EQ(leat_pool_start(&p, NULL, &(leat_pool_opts){ .workers = 1, .name = "miller", .stack_size = sizes[i] }),
                   0);
        CHECK_EQ(leat_submit(&p, looks, NULL), 0);
        CHECK_EQ(leat_pool_stop(&p), 0);
        size_t most = sizes[i] > 1 << 20 ? 2 * sizes[i] : 1 << 20; /* wine gives a megabyte at least */
        if (!CHECK(seen.stack >= sizes[i] && seen.stack <= most)) tap_note("%d KB", (int)(seen.stack >> 10));
        CHECK(strcmp(seen.name, "miller-0") == 0);
    }
}

/* ==== The system's page ======================================================================= */

TEST(the_number_of_cpus_follows_the_affinity_of_the_process)
{
    uintptr_t all = 0, machine = 0;
    REQUIRE(leat_os_affinity_(leat_os_process_(), &all, &machine));
    CHECK(leat_cpus() >= 1);
    if (!SetProcessAffinityMask(leat_os_process_(), all & ~(all - 1))) SKIP("affinity may not be set here");
    CHECK_EQ(leat_cpus(), 1);
    CHECK(leat_os_one_cpu_());
    CHECK(SetProcessAffinityMask(leat_os_process_(), all));
}

typedef LEAT_CHAN(int) int_chan;

static int sends_many(void *c)
{
    for (int i = 0; i < 50; i++)
        if (leat_send((int_chan *)c, &i)) return i;
    return 50;
}

TEST(without_WaitOnAddress_a_thread_polls_and_no_call_hangs)
{
    int_chan c;
    side sender;
    int m;
    uintptr_t waits = leat_os_waits_, wakes = leat_os_wakes_;
    leat_os_waits_ = leat_os_wakes_ = 1;
    REQUIRE_EQ(leat_make(&c, 0), 0);
    side_start(&sender, sends_many, &c);
    for (int i = 0; i < 50; i++) CHECK(leat_recv(&c, &m) == 0 && m == i);
    CHECK_EQ(side_join(&sender), 50);
    int64_t until = leat_after(LEAT_MS(20));
    leat_ctx soon = LEAT_CTX_UNTIL(NULL, until);
    CHECK_EQ(leat_recv_ctx(&soon, &c, &m), -ETIMEDOUT);
    CHECK(leat_now() >= until);
    leat_free(&c);
    leat_os_waits_ = waits;
    leat_os_wakes_ = wakes;
}

TEST(no_channel_can_be_polled)
{
    int_chan c;
    leat_pollable w;
    REQUIRE_EQ(leat_make(&c, 1), 0);
    CHECK_EQ(leat_pollable_recv(&w, &c), -ENOSYS);
    leat_free(&c);
}
