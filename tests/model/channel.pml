/* channel.pml - a buffered channel: send, receive, park, wake, wake the next, give up, close.
 *
 *     sh tests/model/run.sh        (or by hand: spin -search -O2 -DSAFETY -DITEMS=2 channel.pml)
 *
 * SPDX-License-Identifier: MIT
 *
 * Read it beside parts 3, 5 and 6 of queue.h: a step has the name of its function there. Send and
 * receive mirror each other, so both are written once, for the side that a thread `does`. The
 * thread claims on position[does], and sees in WAITERS[does] that peers are parked. It parks in
 * list[does], and announces that in WAITERS[other].
 *
 * WHAT IS ONE STEP. Steps of different threads interleave in every way, in one order that all agree
 * on. What weak memory adds is for the simulator (tests/explore/). Each d_step below is one access
 * to something that other threads may change meanwhile. These things belong to the same step,
 * because no other thread could see them apart:
 *   - taking or dropping the lock, and what is done next to it under the lock: what the lock guards
 *     waits for us anyway;
 *   - resolving waiters, and what is done next under that lock: those passed over never wait again,
 *     and those resolved do nothing until they are woken;
 *   - reading an index, the stamp there, and the CAS: if one had changed meanwhile, the CAS would
 *     fail;
 *   - the copy, and the stamp that publishes it: until then the slot is ours alone.
 * A call that gets LEAT_IN_FLIGHT_ waits for another result. Rounds that change nothing are not
 * played. If another result never comes, the thread is stuck.
 * A select that another channel's case wins is to this channel one that gives up (DEADLINES). It
 * leaves the list unresolved, or wakes the next with the wake that it got and cannot use.
 *
 * WHAT IS CHECKED: the invariants of queue.h by their numbers, and what it promises by a word:
 *   awake     no thread is stuck; when no thread can move any more, none is parked beside a message
 *             (a free slot), or without its bit set
 *   once      each sender's messages come out once and in order, and none is left but in the ring
 *   closed    nothing goes in after CLOSED; no call returns -EPIPE before all is out; all that are
 *             parked return it
 *   exact     -EAGAIN: at that instant the channel is empty (full)
 *   unlinked  no list has a waiter that has left (its stack frame is gone)
 *   I2, I3    a waiter that was resolved waits until it is woken, and is not accessed after that
 *   I4        a call that has published its effect does not access the channel: another thread may
 *             have freed it. (It counts even if no thread did this time.)
 * I1, I5 and I6 are why `awake` holds.
 *
 * KNOWN BUGS. -DNAME takes a line out of queue.h, or puts it elsewhere. It breaks what stands
 * beside it, and must be caught.
 *   NO_BIT                I1        leat_may_park_: does not set WAITERS
 *   BIT_AFTER_LOOK        I1        ... sets it after it has looked
 *   BIT_CLEARED_UNLOCKED  I1        leat_resolve_peer_: drops the lock before it clears WAITERS
 *   RESOLVE_IN_TWO        I2        leat_resolve_: a load and a store instead of a CAS
 *   GIVE_UP_RESOLVED      I2        leat_park_: leaves at the deadline though it was resolved
 *   PUBLISH_FIRST         I4        leat_move_and_wake_: publishes before it resolves a peer
 *   CLOSED_FIRST          I4        leat_close_: sets CLOSED before it resolves the waiters
 *   NO_PASS_ON            I5        leat_select_: does not wake the next with the wake that it got
 *   NO_PASS_ON_LEAVING    I5        ... does not look once more when it leaves with nothing
 *   PASS_ON_NO_BIT        I5        leat_wake_next_: does not set WAITERS again
 *   SLEEP_IN_FLIGHT       I6        leat_may_park_: looks at the slot instead of the other index
 *   SLEEP_WHEN_CLOSING    I6        ... ignores CLOSING
 *   CLOSE_WAKES_ONE       closed    leat_close_: resolves one waiter of each list
 *   SEND_WHEN_CLOSING     closed    leat_ready_stamp_: without CLOSING
 *   EPIPE_UNDRAINED       closed    leat_poll_case_: asks for CLOSED before it compares the indices
 *   LOOK_OTHER_FIRST      exact     ... reads the other side's index before its own
 *   LEAVE_LINKED          unlinked  leat_dequeue_all_: does not unlink
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef RECEIVERS
#define RECEIVERS 2
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef ITEMS
#define ITEMS 1         /* messages of each sender */
#endif
#ifndef DEADLINES
#define DEADLINES 0     /* which may give up: 1 senders, 2 receivers, 3 both */
#endif
#ifndef CLOSE
#define CLOSE 1         /* 0: only when no thread can move any more, 1: at any time */
#endif

#define THREADS (SENDERS + RECEIVERS)

#define SENDS 0
#define RECEIVES 1
#define TAIL 0          /* the word that senders claim on */
#define HEAD 1          /* ... receivers */
#define other (1 - does)

#define EAGAIN 1        /* results. 0 is done */
#define EPIPE 2
#define ETIMEDOUT 3
#define BUSY 4

#define NONE 0          /* states of a waiter. NONE: there is no such stack frame */
#define WAITING 1
#define RESOLVED 2
#define WOKEN 3
#define LEFT 4

/* The channel. A position just counts: lap = position / CAP, index = position % CAP. */
byte position[2];
bool WAITERS[2];
bool CLOSING, CLOSED;   /* in the tail */
byte stamp[CAP];        /* 2 * lap, + 1: full */
byte msg[CAP];          /* 0: none */
bool lock;
chan list[2] = [THREADS] of { byte };
byte state[THREADS];    /* of each thread's waiter */

/* For the checks. */
byte sent[SENDERS];     /* messages of each sender that went in */
byte taken[SENDERS];    /* ... that came out */
byte left;              /* threads that have finished */

hidden byte i, n, x;    /* scratch inside one step */

#define message(sender, number) (1 + (sender) + SENDERS * (number))
#define sender_of(m) (((m) - 1) % SENDERS)
#define number_of(m) (((m) - 1) / SENDERS)

/* The stamp that a side waits for. It publishes the next one. */
#define stamp_for(at) (2 * ((at) / CAP) + does)

#ifdef SEND_WHEN_CLOSING
#define matches_no_stamp false
#else
#define matches_no_stamp (does == SENDS && CLOSING)
#endif
#define ready (stamp[position[does] % CAP] == stamp_for(position[does]) && !matches_no_stamp)

/* Full, or empty, judged by the side's own index and the other's. */
#define must_wait(mine, others) (does == SENDS -> (mine) - (others) == CAP : (mine) == (others))
#define must_wait_now must_wait(position[does], position[other])

/* Whether a call would return anything but LEAT_IN_FLIGHT_. */
#define answers (ready || (CLOSING -> CLOSED && (does == SENDS || must_wait_now) : must_wait_now))

#define may_give_up (DEADLINES & (1 << does))

/* I4: part of each step that touches the channel. */
inline touch() {
    assert(!published) /* the channel is touched after the effect was published */
}

inline take_lock() {
    !lock;
    touch();
    lock = true
}

inline drop_lock() {
    touch();
    lock = false
}

inline leat_enqueue_(l) { l ! me }

inline leat_enqueue_front_(l) {
    n = len(l);
    l ! me;
    for (i : 1 .. n) { l ? x; l ! x }
}

/* leat_resolve_first_ and leat_resolve_all_: up to `most` waiters of a list that no other thread has won. They
 * leave the list, and join the set `resolved`. */
inline leat_resolve_first_(l, most) {
    n = most;
    i = len(l);
    do
    :: i == 0 -> break
    :: else ->
        l ? x;
        assert(state[x] != NONE); /* a waiter that has left is still in the list */
        if
        :: n > 0 && state[x] == WAITING -> state[x] = RESOLVED; resolved = resolved | (1 << x); n--
        :: else -> l ! x
        fi;
        i--
    od
}

inline leat_wake_all_() {
    do
    :: resolved == 0 -> break
    :: else ->
        d_step {
            x = 0;
            do
            :: resolved & (1 << x) -> break
            :: else -> x++
            od;
            assert(state[x] == RESOLVED); /* a resolved waiter has left before it was woken */
            state[x] = WOKEN;
            resolved = resolved & ~(1 << x)
        }
    od
}

/* After a claim that saw WAITERS. */
inline leat_resolve_peer_() {
    d_step {
        take_lock();
        leat_resolve_first_(list[other], 1);
#ifndef BIT_CLEARED_UNLOCKED
        WAITERS[does] = false;
#endif
        drop_lock()
    }
#ifdef BIT_CLEARED_UNLOCKED
    d_step { touch(); WAITERS[does] = false }
#endif
}

/* Copies the message into the slot, or out of it, and stamps it. */
inline publish() {
    d_step {
        touch();
        assert(stamp[at % CAP] == stamp_for(at)); /* the slot belongs to another thread */
        stamp[at % CAP] = stamp_for(at) + 1;
        if
        :: does == SENDS -> msg[at % CAP] = message(me, sent[me]); sent[me]++
        :: else -> msg[at % CAP] = 0
        fi;
        published = true;
        at = 0
    }
}

/* The claim of leat_move_, if the slot is ready. Otherwise the first half of leat_poll_case_. */
inline claim_or_look() {
    d_step {
        touch();
        if
        :: ready ->
            r = 0;
            at = position[does];
            position[does]++;
            saw_waiters = WAITERS[does];
            if
            :: does == SENDS ->
                assert(!CLOSED) /* a message goes in after the close */
            :: else ->
                x = msg[at % CAP];
                assert(x && number_of(x) == taken[sender_of(x)]); /* lost, doubled, out of order */
                taken[sender_of(x)]++
            fi
        :: else ->
            if
            :: does == SENDS && CLOSING -> r = (CLOSED -> EPIPE : BUSY)
            :: else ->
                r = EAGAIN; /* if the other index, which is read next, agrees */
#ifdef LOOK_OTHER_FIRST
                at = position[other]
#else
                at = position[does]
#endif
            fi
        fi
    }
}

inline look_at_the_other_index() {
    d_step {
        touch();
        if
#ifdef EPIPE_UNDRAINED
        :: does == RECEIVES && CLOSED -> r = EPIPE
#endif
#ifdef LOOK_OTHER_FIRST
        :: !must_wait(position[does], at) -> r = BUSY
#else
        :: !must_wait(at, position[other]) -> r = BUSY
#endif
        :: else ->
            if
            :: does == RECEIVES && CLOSING -> r = (CLOSED -> EPIPE : BUSY)
            :: else
            fi
        fi;
        at = 0;
        assert(r == BUSY || must_wait_now) /* -EAGAIN or -EPIPE, but there is something */
    }
}

/* r: 0, EAGAIN, EPIPE, BUSY. */
inline leat_try_case_() {
    claim_or_look();
    if
    :: r == 0 ->
#ifdef PUBLISH_FIRST
        publish();
#endif
        if
        :: saw_waiters -> leat_resolve_peer_()
        :: else
        fi;
#ifndef PUBLISH_FIRST
        publish();
#endif
        saw_waiters = false;
        leat_wake_all_()
    :: r == EAGAIN -> look_at_the_other_index()
    :: else
    fi
}

#ifdef SLEEP_IN_FLIGHT
#define may_sleep (!ready)
#else
#define may_sleep must_wait(position[does], at)
#endif
#ifdef SLEEP_WHEN_CLOSING
#define sees_closing false
#else
#define sees_closing true
#endif

/* leat_enqueue_all_ with leat_may_park_, for one case. CLOSING is read with the TAIL, first or second. */
inline leat_enqueue_all_() {
    d_step {
        take_lock();
        at = position[other];
        closing = does == RECEIVES && CLOSING;
#if !defined NO_BIT && !defined BIT_AFTER_LOOK
        WAITERS[other] = true
#endif
    }
    d_step {
        touch();
        closing = sees_closing && (closing || (does == SENDS && CLOSING));
        armed = may_sleep && !closing;
        at = 0;
        closing = false;
#ifdef BIT_AFTER_LOOK
    }
    d_step {
        WAITERS[other] = true;
#endif
        if
        :: armed ->
            state[me] = WAITING;
            if
            :: woken -> leat_enqueue_front_(list[does])
            :: else -> leat_enqueue_(list[does])
            fi
        :: else
        fi;
        woken = woken && !armed;
        drop_lock()
    }
}

/* leat_park_, leat_dequeue_all_: until it is woken, or until the deadline, if no thread has resolved it. */
inline leat_block_() {
#if DEADLINES
    if
    :: true /* the deadline is far */
#ifdef RESOLVE_IN_TWO
    :: may_give_up && state[me] == WAITING -> state[me] = LEFT
#else
    :: d_step { may_give_up && state[me] == WAITING -> state[me] = LEFT }
#endif
    fi;
#endif
    if
    :: d_step { state[me] == WOKEN -> state[me] = NONE; woken = true }
#ifdef GIVE_UP_RESOLVED
    :: d_step { may_give_up && state[me] == RESOLVED -> state[me] = NONE }
#endif
    :: d_step {
        state[me] == LEFT && !lock;
        touch();
        assert(list[does] ?? [eval(me)]); /* it leaves twice: by its own time-out, and by the thread that resolved it */
#ifndef LEAVE_LINKED
        list[does] ?? eval(me);
#endif
        state[me] = NONE
       }
    fi
}

/* Messages (slots) that wait for a side. Unsigned, as in C: an old index may make it large. */
#define there(others, mine) ((does == SENDS -> CAP - ((mine) - (others)) : (others) - (mine)) & 255)

inline leat_wake_next_(least) {
    d_step {
        take_lock();
        if
        :: len(list[does]) ->
            wakes_next = true;
            at = position[other];
#ifndef PASS_ON_NO_BIT
            WAITERS[other] = true
#endif
        :: else -> drop_lock()
        fi
    }
    if
    :: wakes_next ->
        d_step {
            touch();
            if
            :: there(at, position[does]) >= 2 * least -> leat_resolve_first_(list[does], 2)
            :: there(at, position[does]) >= least && there(at, position[does]) < 2 * least -> leat_resolve_first_(list[does], 1)
            :: else
            fi;
            at = 0
        }
        d_step {
            if
            :: resolved -> WAITERS[other] = false
            :: else
            fi;
            drop_lock();
            wakes_next = false
        }
        leat_wake_all_()
    :: else
    fi
}

/* One case, which is a send or a receive. r: 0, EPIPE, ETIMEDOUT. */
inline leat_select_() {
    do
    :: may_give_up -> r = ETIMEDOUT; break /* leat_ctx_err_at_ */
    :: answers ->
        leat_try_case_();
        if
        :: r == 0 || r == EPIPE -> break
        :: r == BUSY
        :: r == EAGAIN ->
            leat_enqueue_all_();
            if
            :: armed ->
                armed = false;
                leat_block_();
                if
                :: !woken -> r = ETIMEDOUT; break
                :: else
                fi
#ifndef NO_PASS_ON
                ;
                leat_wake_next_(2)
#endif
            :: else
            fi
        fi
    od;
#ifndef NO_PASS_ON_LEAVING
    if
    :: woken && r == ETIMEDOUT -> leat_wake_next_(1)
    :: else
    fi;
#endif
    woken = false
}

/* Sends its messages. Or receives until -EPIPE, or until it gives up, or just leaves. */
proctype thread(byte me; bit does) {
    byte r, at, resolved, todo;
    bool saw_waiters, armed, woken, closing, wakes_next, published;
    todo = (does == SENDS -> ITEMS : 1);
    do
    :: todo == 0 || does == RECEIVES -> break
    :: todo > 0 ->
        leat_select_();
        published = false;
        todo = (r == EPIPE || (r && does == RECEIVES) -> 0 : todo - (does == SENDS));
        r = 0
    od;
    left++
}

inline leat_close_() {
    CLOSING = true;
#ifdef CLOSED_FIRST
    d_step { CLOSED = true; published = true }
#endif
    d_step {
        take_lock();
#ifdef CLOSE_WAKES_ONE
        leat_resolve_first_(list[RECEIVES], 1);
        leat_resolve_first_(list[SENDS], 1);
#else
        leat_resolve_first_(list[RECEIVES], THREADS);
        leat_resolve_first_(list[SENDS], THREADS);
#endif
        drop_lock()
    }
#ifndef CLOSED_FIRST
    d_step { CLOSED = true; published = true }
#endif
    leat_wake_all_()
}

init {
    byte resolved, t;
    bool published;
    atomic {
        for (t : 0 .. THREADS - 1) { run thread(t, (t < SENDERS -> SENDS : RECEIVES)) }
        t = 0
    }
    if
    :: CLOSE
    :: true ->
        timeout; /* no thread can move: those that have not left are parked, and rightly so */
        d_step {
            assert(left + len(list[SENDS]) + len(list[RECEIVES]) == THREADS && !lock); /* stuck */
            i = position[TAIL] - position[HEAD];
            assert(!len(list[RECEIVES]) || i == 0); /* parked beside a message */
            assert(!len(list[SENDS]) || i == CAP); /* parked beside a free slot */
            assert(!len(list[RECEIVES]) || WAITERS[TAIL]); /* parked, and no bit says so */
            assert(!len(list[SENDS]) || WAITERS[HEAD]) /* parked, and no bit says so */
        }
    fi;
    leat_close_();
    left == THREADS;
    d_step {
        for (i : 0 .. CAP - 1) {
            if
            :: msg[i] -> taken[sender_of(msg[i])]++; position[HEAD]++
            :: else
            fi
        }
        for (i : 0 .. SENDERS - 1) {
            assert(taken[i] == sent[i]) /* lost or doubled */
        }
        assert(position[TAIL] == position[HEAD] && !lock) /* a claim was never published */
    }
}
