# Signals are the process's: one state for all files of a program, gone before a plug-in is, whatever descriptors are closed.
. tests/lib/tap.sh

flags="-std=gnu11 -g -Wall -Wextra -Werror -iquote . -pthread"

# Registered in one.c with `old`, then in two.c with `now`. `old` is gone, and two.c may also take back what one.c asked for.
cat >"$tmp/one.c" <<'END'
#include <stdlib.h>
#include "pool.h"
int replaces(leat_ctx *ctx);
int takes_back(void);
int main(int argc, char **argv)
{
    static leat_ctx now, third;
    leat_ctx *old = calloc(1, sizeof *old);
    struct sigaction act;
    (void)argv;
    if (!old || leat_cancel_on_signals(old, SIGTERM, SIGUSR1, 0) || replaces(&now)) return 2;
    free(old);
    kill(getpid(), SIGTERM);
    if (leat_sleep_ctx(&now, LEAT_S(50)) != -ECANCELED || leat_ctx_cause(&now) != SIGTERM) return 3;
    if (leat_cancel_on_signals(&third, SIGTERM, 0) || takes_back()) return 4;
    if (sigaction(SIGTERM, NULL, &act) || act.sa_handler != SIG_DFL) return 5;
    if (argc > 1) raise(SIGTERM);
    return leat_ctx_err(&third) ? 6 : 0;
}
END
cat >"$tmp/two.c" <<'END'
#include "pool.h"
int replaces(leat_ctx *ctx);
int takes_back(void);
int replaces(leat_ctx *ctx) { return leat_cancel_on_signals(ctx, SIGTERM, 0); }
int takes_back(void) { return leat_cancel_on_signals(NULL, SIGTERM, 0); }
END
dies() { # how a shell tells that a command was ended by SIGTERM
    "$@"
    [ $? -eq 143 ]
}
builds() { # compiler, options: a program, that may need what is not installed
    printf 'int main(void) { return 0; }\n' >"$tmp/empty.c"
    "$@" "$tmp/empty.c" -o "$tmp/empty" 2>/dev/null && "$tmp/empty"
}
for cc in $(compilers); do
    for how in "-O0" "-O2 -flto" "-O1 -fsanitize=address" "-O2 -fvisibility=hidden" "-O2 -DLEAT_NO_FUTEX"; do
        name="$cc $how"
        builds $cc $how || { skip "two files have one state, $name" "not here"; continue; }
        check "two files build, $name" $cc $flags $how "$tmp/one.c" "$tmp/two.c" -o "$tmp/two"
        check "... and have one state" timeout 60 "$tmp/two"
        check "... that either takes back" dies timeout 60 "$tmp/two" again
    done
done

# A plug-in that registers and takes back, loaded and unloaded twenty times.
cat >"$tmp/plugin.c" <<'END'
#include "pool.h"
int plugin(int signal);
int plugin(int signal)
{
    static leat_ctx ctx;
    ctx = (leat_ctx)LEAT_CTX(NULL);
    if (leat_cancel_on_signals(&ctx, SIGTERM, SIGINT, 0)) return 1;
    if (signal && (kill(getpid(), SIGTERM) || leat_sleep_ctx(&ctx, LEAT_S(50)) != -ECANCELED)) return 2;
    return leat_cancel_on_signals(NULL, 0); /* no signal need be named */
}
END
cat >"$tmp/host.c" <<'END'
#include <dirent.h>
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
static int entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}
int main(int argc, char **argv)
{
    int threads = 0, fds = 0;
    (void)argc;
    for (int i = 0; i < 21; i++) {
        int (*plugin)(int);
        void *so = dlopen(argv[1], RTLD_NOW);
        void *fn = so ? dlsym(so, "plugin") : NULL;
        if (!fn) return puts(dlerror()), 2;
        memcpy(&plugin, &fn, sizeof fn);
        if (plugin(i % 2)) return 3;
        dlclose(so);
        if (dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD)) return 4; /* not even its code */
        if (!i) threads = entries("/proc/self/task"), fds = entries("/proc/self/fd");
    }
    while (entries("/proc/self/task") != threads) sched_yield(); /* the system's list may lag behind a join */
    if (entries("/proc/self/fd") != fds) return 5;
    raise(SIGTERM);
    return 6;
}
END
for cc in $(compilers); do
    for how in "-O2" "-O2 -DLEAT_NO_FUTEX"; do
        check "a plug-in builds, $cc $how" $cc $flags $how -fPIC -shared "$tmp/plugin.c" -o "$tmp/plugin.so"
        check "... with its host" $cc $flags "$tmp/host.c" -o "$tmp/host" -ldl
        check "... and leaves nothing behind, 20 times" dies timeout 60 "$tmp/host" "$tmp/plugin.so"
    done
done

# Strict C11 hides sigaction: this goes the other way.
cat >"$tmp/strict.c" <<'END'
#include "pool.h"
#include <stdio.h>
static leat_ctx ctx;
static int count;
static void theirs(int sig)
{
    (void)sig;
    count++;
}
int main(void)
{
    for (int k = 1; k < 4; k++) {
        ctx = (leat_ctx)LEAT_CTX(NULL);
        signal(SIGTERM, theirs);
        if (leat_cancel_on_signals(&ctx, SIGTERM, SIGINT, 0)) return 2;
        raise(SIGTERM);
        if (leat_sleep_ctx(&ctx, LEAT_S(50)) != -ECANCELED || leat_ctx_cause(&ctx) != SIGTERM) return 3;
        raise(SIGTERM);
        if (count != k) return 4;
    }
    if (leat_cancel_on_signals(&ctx, SIGTERM, SIGKILL, 0) != -EINVAL) return 5;
    if (leat_cancel_on_signals(NULL, SIGTERM, 0)) return 6;
    raise(SIGINT);
    return 7;
}
END
dies_of_int() {
    "$@"
    [ $? -eq 130 ]
}
for cc in $(compilers) musl-gcc; do
    have $cc || continue
    for how in "-std=c11" "-std=c11 -DLEAT_NO_FUTEX" "-std=gnu11" "-std=c11 -D_POSIX_C_SOURCE=199506L"; do
        check "strict or not it builds, $cc $how" $cc -Wall -Wextra -Wpedantic -Wconversion -Werror -DLEAT_LINT -iquote . -O2 \
            $how -pthread "$tmp/strict.c" -o "$tmp/strict"
        check "... the first cancels, the second is the program's" dies_of_int "$tmp/strict"
        check "... also without descriptors" dies_of_int sh -c "exec $tmp/strict <&- >&- 2>&-"
    done
done

# Programs that were started without descriptors 0 to 2.
if [ -x "$BUILD/examples/fanout" ] && [ -x "$BUILD/examples/pwc" ]; then
    ended() { # by itself, or by TERM after a second; 137: only by KILL
        timeout -k 20 1 sh -c "exec $1 <&-"
        [ $? -ne 137 ]
    }
    check "fanout without a standard input does not outlive TERM" ended "$BUILD/examples/fanout"
    pwc() {
        "$BUILD/examples/pwc" tests examples docs <&- >&-
        [ $? -lt 128 ]
    }
    check "pwc without input and output was stopped by no signal" pwc
fi
finish
