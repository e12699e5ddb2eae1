#!/bin/sh
# run.sh [--long] [WORD] - every interleaving of the models here, by spin; TAP, so that prove can run it.
# SPDX-License-Identifier: MIT
#
# A model is right if its search was complete and found nothing; each of its known bugs must be found.
# --long adds configurations that take minutes and up to 12 GB. WORD: only lines that have it in them.
# BUILD names the folder to build in (model/ below it), CC the compiler.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${CC:=cc}" "${BUILD:=build}"
long=no memory=3000
if [ "${1-}" = --long ]; then
    long=yes memory=12000
    shift
fi
word=${1-}
if ! command -v spin >/dev/null; then
    echo "1..0 # SKIP no spin (Debian package: spin)"
    exit 0
fi
mkdir -p "$BUILD/model" && cd "$BUILD/model" || exit 1

n=0 bad=0 states=0 clean=0 bugs=0

# search MODEL OPTIMISATION OPTIONS: how many states, and in `found` what is wrong, in words.
search() {
    model=$1 level=$2
    shift 2
    rm -f pan trail ./*.trail
    { spin -a "$@" "$here/$model.pml" && $CC "$level" -w -DSAFETY -DMEMLIM=$memory -o pan pan.c &&
        ./pan -m10000 -w20; } >said 2>&1
    reached=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' said)
    found=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' said)
    [ -n "$found" ] || return
    spin -t -p -k "$model.pml.trail" "$@" "$here/$model.pml" >trail 2>&1
    line=$(sed -n 's/^spin: .*:\([0-9]*\), Error: assert.*/\1/p' trail | head -n 1)
    if [ "$found" = "invalid end state" ]; then
        found="somebody waits for ever"
    elif [ -n "$line" ]; then
        found=$(sed -n "${line}s|.*/\* \(.*\) \*/.*|\1|p" "$here/$model.pml")
    fi
}

complete() {
    grep -q 'errors: 0$' said && ! grep -Eiq 'error:|not completed|too small|out of memory' said
}

says() { # ok|not ok, name
    n=$((n + 1))
    echo "$1 $n - $2"
    [ "$1" = ok ] || bad=1
}

# What was said; the last steps that led to it: process, line of the model, what it did; the variables.
explain() {
    { head -n 12 said
      [ ! -f trail ] || {
        sed -n 's|^ *[0-9]*:.*proc *\([0-9]*\) (\(.*\):1) .*/\([^/ ]*\) (state [0-9]*)	\[\(.*\)\]$|\2 \1  \3  \4|p' trail |
            grep -vE '  (IF|DO|else|break|\(1\)|\.?\(?goto.*|sub-sequence|assert.*)$' | cut -c 1-110 | tail -n 60
        sed -n -e 's|) /.*/|) |' -e '/^#processes/,$p' trail
      }
    } | sed 's/^/# /'
}

config() { # MODEL NAME OPTIONS...
    case "$*" in *"$word"*) ;; *) return ;; esac
    model=$1 name=$2
    shift 2
    search "$model" -O2 "$@"
    if complete; then
        says ok "$model, $name: $reached states, complete"
        states=$((states + reached)) clean=$((clean + 1))
    else
        says "not ok" "$model, $name: ${found:-the search is not complete}"
        explain
    fi
}

bug() { # MODEL NAME OPTIONS...
    case "$*" in *"$word"*) ;; *) return ;; esac
    model=$1 name=$2
    shift 2
    search "$model" -O0 "-D$name" "$@"
    if [ -n "$found" ]; then
        says ok "$model, $name is caught: $found"
        bugs=$((bugs + 1))
    else
        says "not ok" "$model, $name is not caught"
        explain
    fi
}

# ---- channel: S x R, so many senders and receivers ------------------------------------------------

config channel "2 x 2, capacity 1, any gives up, close at any time" -DDEADLINES=3
config channel "2 x 2, capacity 1, 2 messages each" -DITEMS=2 -DCLOSE=0
config channel "2 x 2, capacity 2, 2 messages each" -DCAP=2 -DITEMS=2 -DCLOSE=0
config channel "2 x 1, capacity 1, 2 messages each, any gives up, close at any time" -DRECEIVERS=1 -DITEMS=2 -DDEADLINES=3
config channel "1 x 2, capacity 2, 3 messages, any gives up, close at any time" -DSENDERS=1 -DCAP=2 -DITEMS=3 -DDEADLINES=3
if [ $long = yes ]; then
    config channel "2 x 2, capacity 1, 2 messages each, close at any time" -DITEMS=2
    config channel "2 x 2, capacity 2, 2 messages each, close at any time" -DCAP=2 -DITEMS=2
    config channel "2 x 2, capacity 1, 2 messages each, any gives up" -DITEMS=2 -DDEADLINES=3 -DCLOSE=0
    config channel "2 x 2, capacity 2, 2 messages each, any gives up" -DCAP=2 -DITEMS=2 -DDEADLINES=3 -DCLOSE=0
    config channel "3 x 2, capacity 1, close at any time" -DSENDERS=3
    config channel "2 x 3, capacity 1, close at any time" -DRECEIVERS=3
    config channel "2 x 3, capacity 2, 2 messages each" -DRECEIVERS=3 -DCAP=2 -DITEMS=2 -DCLOSE=0
fi

for name in NO_BIT BIT_AFTER_LOOK SLEEP_IN_FLIGHT NO_PASS_ON PASS_ON_NO_BIT BIT_CLEARED_UNLOCKED PUBLISH_FIRST; do
    bug channel $name -DCLOSE=0
done
for name in SLEEP_WHEN_CLOSING EPIPE_UNDRAINED SEND_WHEN_CLOSING CLOSE_WAKES_ONE CLOSED_FIRST LOOK_OTHER_FIRST; do
    bug channel $name
done
for name in NO_PASS_ON_LEAVING DECIDE_IN_TWO GIVE_UP_CLAIMED LEAVE_LINKED; do
    bug channel $name -DDEADLINES=2 -DCLOSE=0
done

# ---- select ---------------------------------------------------------------------------------------

self="-DP0=SENDS,A,RECEIVES,A -DP1=RECEIVES,A,SENDS,A"
crowd="-DP0=SENDS,A,SENDS,B -DP1=RECEIVES,B,RECEIVES,A -DP2=RECEIVES,A,RECEIVES,B"
moves="-DTRY -DP0=SENDS,A,SENDS,NIL -DP1=SENDS,B,SENDS,NIL -DP2=RECEIVES,B,SENDS,NIL"
config select "against each other, opposite cases, close at any time" -DCLOSE=1
config select "against each other, all give up" -DDEADLINES=7
config select "against each other, two cancelled, close at any time" -DCANCEL=3 -DCLOSE=1
config select "one sender for two receivers on two channels, one cancelled, one gives up" $crowd -DCANCEL=2 -DDEADLINES=4
config select "of a send and a receive on one channel, close at any time" $self -DCLOSE=1
config select "try form while waiters move" $moves
if [ $long = yes ]; then
    config select "try form while waiters move, close at any time" $moves -DCLOSE=1
    config select "against each other, two cancelled, the third gives up, close at any time" -DCANCEL=3 -DDEADLINES=4 -DCLOSE=1
    config select "one sender for two, all cancelled and giving up, close at any time" $crowd -DCANCEL=7 -DDEADLINES=7 -DCLOSE=1
    config select "try form while waiters move, give up, are cancelled" $moves -DDEADLINES=2 -DCANCEL=5 -DCLOSE=1
fi

for name in ONE_LOCK_AT_A_TIME UNORDERED_LOCKS NO_PEER_LOOK NO_BIT MEET_CLEARS_BIT FIRE_BEFORE_COPY LOSERS_LINKED; do
    bug select $name
done
bug select LINK_BEFORE_ALL_LOOKED_AT -DP2=SENDS,B,SENDS,NIL
bug select SLEEP_WHEN_CLOSING -DCLOSE=1
bug select DECIDE_IN_TWO $crowd
bug select GIVE_UP_CLAIMED -DDEADLINES=1
for name in CANCEL_FORGETS_CLAIMED CONTEXT_LINKED CANCEL_SETS_WORD_LATE; do
    bug select $name $crowd -DCANCEL=4
done
bug select CLOSE_RECEIVERS_ONLY -DP2=SENDS,A,SENDS,NIL
for name in NO_SECOND_LOOK NO_COUNT; do
    bug select $name $moves
done

echo "1..$n"
echo "# $clean searches without an error, $states states in all; $bugs known bugs caught"
exit $bad
