# A pointer to the wrong type does not compile, without any warning turned on.
. tests/lib/tap.sh

compiles() { # compiler, statement
    cat >"$tmp/use.c" <<EOF
#include "queue.h"
#include "topic.h"
struct job { int id; };
struct other { int id; };
typedef LEAT_CHAN(struct job) job_chan;
typedef LEAT_CHAN(struct other) other_chan;
typedef LEAT_CHAN_FOR(LEAT_ONE_SENDER, struct job) feed_chan;
typedef LEAT_CHAN(const struct job) const_chan;
typedef LEAT_TOPIC(const struct job) const_topic;
typedef LEAT_TOPIC(struct job) job_topic;
int f(job_chan *c, struct job *job, const struct job *constant, struct other *other, void *any, int *number,
      job_topic *t, other_chan *o, const_chan *k, const_topic *kt, feed_chan *f1);
int f(job_chan *c, struct job *job, const struct job *constant, struct other *other, void *any, int *number,
      job_topic *t, other_chan *o, const_chan *k, const_topic *kt, feed_chan *f1)
{
    (void)c, (void)job, (void)constant, (void)other, (void)any, (void)number, (void)t, (void)o, (void)k, (void)kt, (void)f1;
    leat_case a;
    int err = 0;
    $2;
    (void)a;
    return (int)err;
}
EOF
    $1 -std=c11 -w -DLEAT_NO_URCU -iquote . -fsyntax-only "$tmp/use.c"
}

sends="err = leat_send(c,@)|err = leat_try_send(c,@)|err = leat_send_ctx(0, c,@)|a = LEAT_SEND(c,@)"
sends="$sends|err = (int)leat_send_many(c, @, 1)|err = (int)leat_try_send_many(c, @, 1)"
sends="$sends|err = (int)leat_send_many_ctx(0, c, @, 1)"
recvs="err = leat_recv(c,@)|err = leat_try_recv(c,@)|err = leat_recv_ctx(0, c,@)|a = LEAT_RECV(c,@)"
recvs="$recvs|err = (int)leat_recv_many_ctx(0, c, @, 1)"

publishes="err = (int)leat_publish(t,@)|err = (int)leat_try_publish(t,@)|err = (int)leat_publish_ctx(0, t,@)"
looks="err = leat_latest(t,@)|err = leat_latest_after(t,@, 0)|err = leat_try_latest_after(t,@, 0)"
looks="$looks|err = leat_latest_after_ctx(0, t,@, 0)"
joins="err = leat_subscribe(t,@, LEAT_WAITS)|err = leat_unsubscribe(t,@)|err = (int)leat_topic_drops(t,@)"
topics="err = (int)leat_publish(@, job)|err = leat_latest(@, job)|err = leat_subscribe(@, c, LEAT_WAITS)"
topics="$topics|err = leat_unsubscribe(@, c)|err = (int)leat_topic_drops(@, c)|err = leat_topic_make(@, 0)"
topics="$topics|err = leat_topic_close(@)|leat_topic_free(@)|err = leat_latest_after(@, job, 0)"

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

says() { # compiler, statement, what the error names
    ! compiles "$1" "$2" 2>"$tmp/error" && grep "$3" "$tmp/error"
}

constants="err = leat_make(k, 1)|err = leat_send(k, job)|err = leat_send(k, constant)|err = leat_recv(k, job)"
constants="$constants|err = (int)leat_send_many(k, job, 1)|a = LEAT_RECV(k, job)|err = leat_topic_make(kt, 0)"
constants="$constants|err = (int)leat_publish(kt, job)"

for cc in $(compilers); do
    IFS='|'
    for call in $constants; do
        check "a channel of a const type is told what is wrong: $call, $cc" says $cc "$call" leat_const_message_type
    done
    unset IFS
    check "a wrong pointer is told what is wrong, $cc" says $cc 'err = leat_send(c, other)' leat_wrong_message_type
    for wrong in '(struct other[]){ { 1 }, { 2 } }' '(int[]){ 1, 2 }' 'any ? other : other' '(void *)job'; do
        refuse "leat_send_many of $wrong, $cc" compiles $cc "err = (int)leat_send_many(c, $wrong, 2)"
    done
    check "leat_send_many of a literal, $cc" compiles $cc \
        'err = (int)leat_send_many(c, (struct job[]){ { 1 }, { 2 } }, 2)'
    each check $cc "$sends|$recvs" job
    check "a channel for one sender, $cc" compiles $cc "err = leat_send(f1, job) + leat_try_recv(f1, job); a = (leat_case)LEAT_SEND(f1, job)"
    each check $cc "$sends" constant
    for wrong in other any number '\&job' '*job' 1; do
        each refuse $cc "$sends|$recvs" "$wrong"
    done
    each refuse $cc "$recvs" constant
    refuse "no channel at all, $cc" compiles $cc 'err = leat_send(job, job)'
    refuse "a channel by value, $cc" compiles $cc 'err = leat_send(*c, job)'

    each check $cc "$publishes|$looks" job
    each check $cc "$publishes" constant
    for wrong in other any number '\&job' '*job' 1; do
        each refuse $cc "$publishes|$looks" "$wrong"
    done
    each refuse $cc "$looks" constant
    each check $cc "$joins" c
    for wrong in o f1 t job any '*c'; do
        each refuse $cc "$joins" "$wrong"
    done
    each check $cc "$topics" t
    for wrong in c job any '*t'; do
        each refuse $cc "$topics" "$wrong"
    done
done
finish
