/* select.pml - select over unbuffered channels: rendezvous, enqueue, resolve, give up, cancel, close, try.
 *
 *     sh tests/model/run.sh        (or by hand: spin -search -O2 -DSAFETY select.pml)
 *
 * SPDX-License-Identifier: MIT
 *
 * Read it beside parts 3, 4 and 6 of queue.h: a step has the name of its function there. Three
 * threads or four, P0 to P3, do one select each, of one or two cases on the channels A and B. A has
 * the lower address. -DP0="SENDS,A,RECEIVES,B" are the cases of P0. A case on NIL is none.
 *
 * WHAT IS ONE STEP: see channel.pml. Here these also belong to one step:
 *   - all that leat_enqueue_all_ does once it has the last of its locks: a thread that sees a bit of
 *     it waits for a lock;
 *   - the copy of a message and the wake that follows: until then both buffers belong to the thread
 *     that resolved the peer.
 * leat_poll_ may try any case that a look could find ready. It goes on to park if it saw none,
 * looking at one after the other. Rounds that change nothing are not played.
 *
 * WHAT IS CHECKED: the invariants of queue.h by their numbers, and what it promises by a word:
 *   awake     no thread is stuck; when no thread can move any more, no two are parked that could
 *             serve each other, none without its bit, none after a close or under a cancelled
 *             context
 *   once      what one's select sent is what exactly one other's received, on the same channel; no
 *             case but the one that is returned was done; none after -ECANCELED or -ETIMEDOUT
 *   exact     -EAGAIN: at one instant of the call none of the cases was ready
 *   unlinked  no list has a waiter that has left (its stack frame is gone)
 *   I2, I3    a waiter that was resolved waits until it is woken, and is not accessed after that
 * I1, I6 and I7 are why `awake` holds.
 *
 * KNOWN BUGS. -DNAME takes a line out of queue.h, or puts it elsewhere. It breaks what stands
 * beside it, and must be caught.
 *   NO_BIT                     I1        leat_may_park_: does not set WAITERS
 *   RENDEZVOUS_CLEARS_BIT      I1        leat_rendezvous_: clears WAITERS though others wait
 *   CANCEL_SETS_WORD_LATE      I1        leat_cancel: resolves the waiters before it says CANCELLING
 *   RESOLVE_IN_TWO             I2        leat_resolve_: a load and a store instead of a CAS
 *   GIVE_UP_RESOLVED           I2        leat_park_: leaves at the deadline though it was resolved
 *   CANCEL_FORGETS_RESOLVED    I2        leat_block_: ... as its context is done
 *   WAKE_BEFORE_COPY           I3        leat_rendezvous_: wakes its peer, then copies
 *   SLEEP_WHEN_CLOSING         I6        leat_may_park_: ignores CLOSING
 *   NO_PEER_LOOK               I6        ... without leat_peer_waits_
 *   ONE_LOCK_AT_A_TIME         I7        leat_enqueue_all_: looks, then links, each under its own lock
 *   UNORDERED_LOCKS            I7        leat_lock_all_: in the order of the cases
 *   LINK_BEFORE_ALL_LOOKED_AT  unlinked  leat_enqueue_all_: links each when it has looked at it
 *   LOSERS_LINKED              unlinked  leat_dequeue_all_: unlinks nothing
 *   CONTEXT_LINKED             unlinked  leat_block_: does not unlink from its context
 *   CLOSE_RECEIVERS_ONLY       awake     leat_close_: does not resolve senders
 *   NO_SECOND_LOOK             exact     leat_try_select_: believes the first
 *   NO_COUNT                   exact     leat_may_park_: does not count in the word that it came
 */
#define SENDS 0
#define RECEIVES 1
#define A 0
#define B 1
#define NIL 2

#ifndef P0
#define P0 SENDS, A, RECEIVES, B
#endif
#ifndef P1
#define P1 SENDS, B, RECEIVES, A
#endif
#ifndef P2
#define P2 RECEIVES, A, SENDS, NIL
#endif
#ifndef DEADLINES
#define DEADLINES 0     /* the set of threads that may give up */
#endif
#ifndef CANCEL
#define CANCEL 0        /* the set of threads under a context that is cancelled at some time */
#endif
#ifndef CLOSE
#define CLOSE 0         /* 0: both channels, when no thread can move any more. 1: at any time */
#endif

#ifdef P3
#define THREADS 4
#else
#define THREADS 3
#endif

#define HANDED_OFF 1    /* how a wait ended */
#define EPIPE 2
#define ECANCELED 3
#define ETIMEDOUT 4

#define NONE 0          /* states of a waiter. NONE: there is no such stack frame */
#define WAITING 1
#define RESOLVED 2
#define WOKEN 3
#define LEFT 4

/* A list is a set of links here, one bit for each case of each thread, because their order makes no
 * difference to what is checked. It belongs to a side of a channel, and so does the bit that says
 * that a thread is parked there. Only leat_enqueue_all_ holds a lock for longer than a step. */
#define side(does, on) (2 * (on) + (does))
byte linked[4];
bool WAITERS[4];
byte came[4];           /* counted in the same word, for the try form */
bool CLOSING[2], CLOSED[2];
bool lock[2];

bool CANCELLING, CANCELLED; /* of the context */
byte ctx_waiters;       /* on it: a set of threads */

/* The waiters, and where each case of a thread receives. */
byte state[THREADS], won[THREADS], err[THREADS];
byte buffer[2 * THREADS];
#define CTX 2           /* won: neither case 0 nor 1 */

#define link(thread, k) (2 * (thread) + (k))
#define thread_of(l) ((l) / 2)
#define bit(l) (1 << (l))
#define links_of(thread) (3 << 2 * (thread))
#define links_if(thread, is) (links_of(thread) * (state[thread] == is))
#ifdef P3
#define links(is) (links_if(0, is) | links_if(1, is) | links_if(2, is) | links_if(3, is))
#else
#define links(is) (links_if(0, is) | links_if(1, is) | links_if(2, is))
#endif
#define waiting links(WAITING)
#define dead links(NONE)

/* For the checks. A message is its sender and its channel. 0 is none. */
#define message(sender, on) (1 + 2 * (sender) + (on))
byte sent[1 + 2 * THREADS], received[1 + 2 * THREADS];
byte left;              /* threads that have finished */

hidden byte i;          /* scratch inside one step */

/* Of a thread's case k. */
#define has(k) (on[k] != NIL)
#define mine(k) side(does[k], on[k])
#define peers(k) side(1 - does[k], on[k])
#define leat_peer_waits_(k) (linked[peers(k)] & waiting)

#ifdef TRY
/* Whether the try form may say -EAGAIN: at some instant since it was called there was no peer. */
bool none_was_ready;
#define judge none_was_ready = none_was_ready || \
    !(CLOSING[A] || CLOSING[B] || (linked[side(SENDS, A)] | linked[side(SENDS, B)]) & waiting)
/* The words, without WAITERS. */
#define tail(ch) (4 * came[side(RECEIVES, ch)] + 2 * CLOSED[ch] + CLOSING[ch])
#define head(ch) came[side(SENDS, ch)]
#define CALLS (THREADS + 1)
#else
#define judge skip
#define CALLS THREADS
#endif

/* Resolves all of a set of links. */
inline leat_resolve_all_(set, how) {
    assert(!(set & dead)); /* a waiter that has left is still in the list */
    for (i : 0 .. 2 * THREADS - 1) {
        if
        :: set & waiting & bit(i) ->
            set = set & ~bit(i);
            state[thread_of(i)] = RESOLVED;
            won[thread_of(i)] = i % 2;
            err[thread_of(i)] = how;
            resolved = resolved | (1 << thread_of(i))
        :: else
        fi
    }
}

inline wake(thread) {
    assert(state[thread] == RESOLVED); /* a resolved waiter has left before it was woken */
    state[thread] = WOKEN
}

inline leat_wake_all_() {
    for (t : 0 .. THREADS - 1) {
        if
        :: resolved & (1 << t) -> d_step { wake(t); resolved = resolved & ~(1 << t) }
        :: else
        fi
    }
}

/* The bit is read at the same instant at which a look for a peer would find one. */
#define can_pair(k) (has(k) && WAITERS[peers(k)] && !lock[on[k]] && leat_peer_waits_(k))

inline pick(set) {
    if
    :: (set) & bit(0) -> peer = 0
    :: (set) & bit(1) -> peer = 1
    :: (set) & bit(2) -> peer = 2
    :: (set) & bit(3) -> peer = 3
    :: (set) & bit(4) -> peer = 4
    :: (set) & bit(5) -> peer = 5
    :: (set) & bit(6) -> peer = 6
    :: (set) & bit(7) -> peer = 7
    fi
}

inline copy(k) {
    assert(state[thread_of(peer)] != NONE); /* the peer has left, and its buffer is gone */
    if
    :: does[k] == SENDS -> buffer[peer] = message(me, on[k])
    :: else -> buffer[link(me, k)] = message(thread_of(peer), on[k])
    fi
}

inline leat_rendezvous_(k) {
    atomic {
        can_pair(k);
        pick(linked[peers(k)] & waiting);
#ifdef RESOLVE_IN_TWO
        lock[on[k]] = true
    }
    atomic {
        lock[on[k]] = false;
#endif
        d_step {
            assert(!(linked[peers(k)] & dead)); /* a waiter that has left is still in the list */
            linked[peers(k)] = linked[peers(k)] & ~bit(peer);
            state[thread_of(peer)] = RESOLVED;
            won[thread_of(peer)] = peer % 2;
            err[thread_of(peer)] = HANDED_OFF;
#ifdef RENDEZVOUS_CLEARS_BIT
            WAITERS[peers(k)] = false;
#else
            WAITERS[peers(k)] = WAITERS[peers(k)] && linked[peers(k)];
#endif
            judge
        }
    }
#ifdef WAKE_BEFORE_COPY
    d_step { wake(thread_of(peer)) }
    d_step { copy(k); peer = 0 }
#else
    d_step { copy(k); wake(thread_of(peer)); peer = 0 }
#endif
    r = HANDED_OFF;
    which = k
}

/* A look at a list that is empty by now clears the bit. */
#define can_clear(k) (has(k) && WAITERS[peers(k)] && !lock[on[k]] && !linked[peers(k)])

#ifdef NO_PEER_LOOK
#define no_peer_waits(k) true
#else
#define no_peer_waits(k) !leat_peer_waits_(k)
#endif
#ifdef SLEEP_WHEN_CLOSING
#define open(k) true
#else
#define open(k) !CLOSING[on[k]]
#endif
#define may_sleep(k) (open(k) && no_peer_waits(k))

/* Neither a peer nor a close: nothing that would end this round or spoil the next step. */
#define nothing_for(k) (!has(k) || (!CLOSING[on[k]] && !leat_peer_waits_(k)))

inline leat_may_park_(k) {
    if
    :: armed && has(k) ->
        armed = may_sleep(k);
        if
        :: armed ->
#ifndef NO_BIT
            WAITERS[mine(k)] = true;
#endif
#if defined TRY && !defined NO_COUNT
            came[mine(k)]++
#endif
        :: else
        fi
    :: else
    fi
}

inline link_case(k) {
    if
    :: armed && has(k) -> linked[mine(k)] = linked[mine(k)] | bit(link(me, k))
    :: else
    fi
}

/* The case whose channel has the lower address is looked at first. */
#define first (has(1) && on[1] < on[0])
#define second (1 - first)
#define two_locks (has(0) && has(1) && on[0] != on[1])

#ifdef ONE_LOCK_AT_A_TIME
inline leat_enqueue_all_() {
    armed = true;
    d_step { !lock[on[first]] -> leat_may_park_(first) }
    d_step { !has(second) || !lock[on[second]] -> leat_may_park_(second) }
    d_step { !lock[on[first]] -> link_case(first); state[me] = (armed -> WAITING : NONE) }
    d_step { !has(second) || !lock[on[second]] -> link_case(second) }
}
#else
inline leat_enqueue_all_() {
    if
#ifdef UNORDERED_LOCKS
    :: two_locks -> d_step { !lock[on[0]] -> lock[on[0]] = true }
    :: else
    fi;
    d_step {
        (two_locks -> !lock[on[1]] : !lock[on[0]]);
#else
    :: two_locks -> d_step { !lock[on[first]] -> lock[on[first]] = true }
    :: else
    fi;
    d_step {
        !lock[on[(two_locks -> second : first)]];
#endif
        armed = true;
#ifdef LINK_BEFORE_ALL_LOOKED_AT
        leat_may_park_(first);
        link_case(first);
        leat_may_park_(second);
        link_case(second);
#else
        leat_may_park_(first);
        leat_may_park_(second);
        link_case(first);
        link_case(second);
#endif
        if
        :: armed -> state[me] = WAITING
        :: else
        fi;
        if
        :: two_locks -> lock[A] = false; lock[B] = false
        :: else
        fi
    }
}
#endif

#define under_ctx (CANCEL & (1 << me))
#define may_give_up (DEADLINES & (1 << me))

/* Links itself on the context, parks until it is woken or has left, unlinks. */
inline leat_block_() {
    if
    :: under_ctx ->
        d_step {
            if
            :: CANCELLING || CANCELLED -> live = false
            :: else -> live = true; ctx_waiters = ctx_waiters | (1 << me)
            fi
        }
        if
        :: live
        :: else ->
            d_step {
                if
                :: state[me] == WAITING -> state[me] = LEFT; judge
                :: else
                fi
            }
#ifdef CANCEL_FORGETS_RESOLVED
            state[me] = (state[me] == RESOLVED -> LEFT : state[me])
#endif
        fi
    :: else
    fi;
#if DEADLINES
    if
    :: true /* the deadline is far */
    :: d_step { may_give_up && state[me] == WAITING -> state[me] = LEFT; judge }
#ifdef GIVE_UP_RESOLVED
    :: d_step { may_give_up && state[me] == RESOLVED -> state[me] = LEFT }
#endif
    fi;
#endif
    state[me] == WOKEN || state[me] == LEFT;
    woken = (state[me] == WOKEN);
#ifndef CONTEXT_LINKED
    if
    :: live && !(woken && won[me] == CTX) ->
        d_step { ctx_waiters = ctx_waiters & ~(1 << me); live = false }
    :: else
    fi
#endif
}

/* Unlinks the cases that were not woken. */
inline leat_dequeue_all_() {
#ifndef LOSERS_LINKED
    for (k : 0 .. 1) {
        if
        :: has(k) && !(woken && won[me] == k) ->
            d_step { !lock[on[k]] -> linked[mine(k)] = linked[mine(k)] & ~bit(link(me, k)) }
        :: else
        fi
    }
    k = 0;
#endif
    d_step {
        if
        :: !woken -> r = (under_ctx && (CANCELLING || CANCELLED) -> ECANCELED : ETIMEDOUT)
        :: else -> r = err[me]; which = won[me]
        fi;
        state[me] = NONE;
        won[me] = 0;
        err[me] = 0;
        woken = false;
        live = false
    }
}

/* r: HANDED_OFF, EPIPE (both of the case `which`), ECANCELED, ETIMEDOUT. */
inline leat_select_() {
    do
    :: under_ctx && CANCELLED -> r = ECANCELED; break
    :: may_give_up -> r = ETIMEDOUT; break
    :: has(0) && CLOSED[on[0]] -> r = EPIPE; which = 0; break
    :: has(1) && CLOSED[on[1]] -> r = EPIPE; which = 1; break
    :: leat_rendezvous_(0); break
    :: leat_rendezvous_(1); break
    :: d_step { can_clear(0) -> WAITERS[peers(0)] = false }
    :: d_step { can_clear(1) -> WAITERS[peers(1)] = false }
    :: nothing_for(0) ->
        if
        :: nothing_for(1) ->
            leat_enqueue_all_();
            if
            :: armed ->
                armed = false;
                leat_block_();
                leat_dequeue_all_();
                if
                :: r == EPIPE /* woken by a close: the next look sees it */
                :: else -> break
                fi
            :: else
            fi
        :: else
        fi
    od
}

proctype thread(byte me; byte does0; byte on0; byte does1; byte on1) {
    byte does[2], on[2];
    byte r, which, peer, k;
    bool armed, woken, live;
    d_step { does[0] = does0; on[0] = on0; does[1] = does1; on[1] = on1 }
    leat_select_();
    skip; /* spin: a break must not lead into a d_step */
    d_step {
        assert(r != ECANCELED || under_ctx); /* cancelled, though no thread cancelled it */
        for (i : 0 .. 1) {
            k = buffer[link(me, i)];
            if
            :: r == HANDED_OFF && which == i && does[i] == RECEIVES ->
                assert(k != 0 && (k - 1) % 2 == on[i]); /* received, but there is no message */
                received[k]++
            :: else ->
                assert(k == 0); /* a message for a case that was not done */
                if
                :: r == HANDED_OFF && which == i -> sent[message(me, on[i])]++
                :: else
                fi
            fi
        }
        left++
    }
}

#ifdef TRY
/* leat_try_select_, of a receive from A and one from B. Each look has its own instant. */
proctype trier() {
    byte tail_then[2], head_then[2], ready, k, peer;
    bool closing;
    d_step { none_was_ready = false; judge }
again:
    ready = 0;
    closing = false;
    for (k : A .. B) { /* leat_poll_case_ */
        d_step {
            tail_then[k] = tail(k);
            if
            :: CLOSING[k] -> closing = true; ready = ready | (CLOSED[k] << k)
            :: else
            fi
        }
        if
        :: !(tail_then[k] & 1) ->
            d_step { head_then[k] = head(k); peer = WAITERS[side(SENDS, k)] }
            if
            :: peer ->
                d_step {
                    !lock[k] ->
                    ready = ready | (((linked[side(SENDS, k)] & waiting) != 0) << k)
                }
            :: else
            fi;
            peer = 0
        :: else
        fi
    }
    if
    :: ready -> /* any of them: leat_try_case_ */
        if
        :: ready & 1 -> k = A
        :: ready & 2 -> k = B
        fi;
        if
        :: atomic {
            WAITERS[side(SENDS, k)] && !lock[k] && (linked[side(SENDS, k)] & waiting) ->
            pick(linked[side(SENDS, k)] & waiting);
            d_step {
                linked[side(SENDS, k)] = linked[side(SENDS, k)] & ~bit(peer);
                WAITERS[side(SENDS, k)] = linked[side(SENDS, k)] != 0;
                state[thread_of(peer)] = RESOLVED;
                won[thread_of(peer)] = peer % 2;
                err[thread_of(peer)] = HANDED_OFF;
                received[message(thread_of(peer), k)]++
            }
           }
           d_step { wake(thread_of(peer)) }
        :: CLOSED[k]
        :: else -> goto again
        fi
    :: else ->
        if
        :: closing -> goto again
        :: else
        fi;
#ifndef NO_SECOND_LOOK
        for (k : A .. B) {
            if
            :: tail(k) != tail_then[k] -> goto again
            :: else
            fi;
            if
            :: head(k) != head_then[k] -> goto again
            :: else
            fi
        }
#endif
        assert(none_was_ready) /* -EAGAIN, though one case or the other was always ready */
    fi;
    left++
}
#endif

inline leat_close_(ch) {
    CLOSING[ch] = true;
    d_step {
        !lock[ch];
        leat_resolve_all_(linked[side(RECEIVES, ch)], EPIPE);
#ifndef CLOSE_RECEIVERS_ONLY
        leat_resolve_all_(linked[side(SENDS, ch)], EPIPE)
#endif
    }
    CLOSED[ch] = true;
    leat_wake_all_()
}

/* Cancels at any time, or never. */
proctype leat_cancel() {
    byte resolved, t;
    if
    :: true ->
#ifndef CANCEL_SETS_WORD_LATE
        CANCELLING = true;
#endif
        d_step {
            for (i : 0 .. THREADS - 1) {
                if
                :: ctx_waiters & (1 << i) && state[i] == NONE ->
                    assert(false) /* a waiter that has left is still on the context */
                :: ctx_waiters & (1 << i) && state[i] == WAITING ->
                    ctx_waiters = ctx_waiters & ~(1 << i);
                    state[i] = RESOLVED;
                    won[i] = CTX;
                    err[i] = ECANCELED;
                    resolved = resolved | (1 << i)
                :: else
                fi
            }
            judge
        }
        CANCELLED = true;
        leat_wake_all_()
    :: true
    fi
}

init {
    byte resolved, t, s, n;
    atomic {
        run thread(0, P0);
        run thread(1, P1);
        run thread(2, P2);
#ifdef P3
        run thread(3, P3);
#endif
#if CANCEL
        run leat_cancel();
#endif
#ifdef TRY
        run trier();
#endif
    }
    if
    :: CLOSE
    :: true ->
        timeout; /* no thread can move: those that have not left are parked, and rightly so */
        d_step {
            n = left;
            for (i : 0 .. THREADS - 1) {
                n = n + (state[i] == WAITING);
                for (t : A .. B) {
                    s = linked[side(SENDS, t)] & links_of(i);
                    if
                    :: s -> s = linked[side(RECEIVES, t)] & ~links_of(i)
                    :: else
                    fi;
                    assert(!s) /* two are parked that could pair up */
                }
            }
            assert(n == CALLS && !lock[A] && !lock[B]); /* stuck */
            assert(!(CANCELLED && ctx_waiters)); /* parked under a cancelled context */
            for (i : 0 .. 3) {
                assert(!linked[i] || WAITERS[i]) /* parked, and no bit says so */
            }
            n = 0;
            s = 0;
            t = 0
        }
    fi;
    leat_close_(A);
    leat_close_(B);
    left == CALLS;
    d_step {
        for (i : 1 .. 2 * THREADS) {
            assert(sent[i] == received[i]) /* lost or doubled */
        }
        for (i : 0 .. 3) {
            assert(!linked[i]) /* a waiter that has left is still in the list */
        }
        assert(!ctx_waiters && !lock[A] && !lock[B]) /* ... on the context, or a lock is held */
    }
}
