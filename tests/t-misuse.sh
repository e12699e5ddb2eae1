# A pointer to the wrong type does not compile, without any warning turned on.
. tests/tap.sh

compiles() { # compiler, statement
    cat >"$tmp/use.c" <<EOF
#include "queue.h"
struct job { int id; };
struct other { int id; };
typedef LEAT_CHAN(struct job) job_chan;
int f(job_chan *c, struct job *job, const struct job *constant, struct other *other, void *any, int *number);
int f(job_chan *c, struct job *job, const struct job *constant, struct other *other, void *any, int *number)
{
    (void)c, (void)job, (void)constant, (void)other, (void)any, (void)number;
    leat_case a;
    int err = 0;
    $2;
    (void)a;
    return (int)err;
}
EOF
    $1 -std=c11 -w -iquote . -fsyntax-only "$tmp/use.c"
}

sends="err = leat_send(c,@)|err = leat_try_send(c,@)|err = leat_send_ctx(0, c,@)|a = LEAT_SEND(c,@)"
sends="$sends|err = (int)leat_send_many(0, c,@, 1)"
recvs="err = leat_recv(c,@)|err = leat_try_recv(c,@)|err = leat_recv_ctx(0, c,@)|a = LEAT_RECV(c,@)"
recvs="$recvs|err = (int)leat_recv_many(0, c,@, 1)"

each() { # check or refuse, compiler, templates, argument: the calls with this argument
    old_ifs=$IFS
    IFS='|'
    set -- "$1" "$2" "$4" $3
    IFS=$old_ifs
    verb=$1 cc=$2 arg=$3
    shift 3
    for template in "$@"; do
        call=$(echo "$template" | sed "s/@/ $arg/")
        $verb "${call#* = }, $cc" compiles $cc "$call"
    done
}

for cc in $(compilers); do
    each check $cc "$sends|$recvs" job
    each check $cc "$sends" constant
    for wrong in other any number '\&job' '*job' 1; do
        each refuse $cc "$sends|$recvs" "$wrong"
    done
    each refuse $cc "$recvs" constant
    refuse "no channel at all, $cc" compiles $cc 'err = leat_send(job, job)'
    refuse "a channel by value, $cc" compiles $cc 'err = leat_send(*c, job)'
done
finish
