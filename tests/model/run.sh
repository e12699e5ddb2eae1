#!/bin/sh
# run.sh [--long] [WORD] - every interleaving of the models here, by spin; TAP, so prove can run it.
# SPDX-License-Identifier: MIT
#
# A model is right if its search was complete and found nothing; each known bug must be found.
# --long adds sizes that take minutes and 2.5 GB. WORD: only lines that have it in them.
# BUILD names the folder to build in (model/ below it), CC the compiler.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${CC:=cc}" "${BUILD:=build}"
long=no memory=1500
if [ "${1-}" = --long ]; then
    long=yes memory=5500
    shift
fi
word=${1-}
if ! command -v spin >/dev/null; then
    echo "1..0 # SKIP no spin (Debian package: spin)"
    exit 0
fi
mkdir -p "$BUILD/model" && cd "$BUILD/model" || exit 1

n=0 failed=0 states=0 clean=0 caught=0 began=$(date +%s)

# search MODEL CFLAGS OPTIONS...: counts the states, and puts into `found` what is wrong, in words. The words
# are the comment beside the assertion.
search() {
    model=$1 cflags=$2
    shift 2
    rm -f pan trail ./*.trail
    # shellcheck disable=SC2086 # these are words
    { spin -a "$@" "$here/$model.pml" &&
        $CC $cflags -w -DSAFETY -DMEMLIM=$memory -o pan pan.c && ./pan -m10000 -w20; } >said 2>&1
    reached=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' said)
    found=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' said)
    [ -n "$found" ] || return
    spin -t -p -k "$model.pml.trail" "$@" "$here/$model.pml" >trail 2>&1
    line=$(sed -n 's/^spin: .*:\([0-9]*\), Error: assert.*/\1/p' trail | head -n 1)
    if [ "$found" = "invalid end state" ]; then
        found="a thread waits for ever"
    elif [ -n "$line" ]; then
        found=$(sed -n "${line}s|.*/\* \(.*\) \*/.*|\1|p" "$here/$model.pml")
    fi
}

is_complete() {
    grep -q 'errors: 0$' said && ! grep -Eiq 'error:|not completed|too small|out of memory' said
}

# What was said, then the last steps that led to it (thread, place, action), then the variables.
explain() {
    steps='s|^ *[0-9]*:.*proc *\([0-9]*\) (\(.*\):1) .*/\([^/ ]*\) (state [0-9]*)	\[\(.*\)\]$|'
    { head -n 12 said
      [ ! -f trail ] || {
        echo "the last steps (what thread n owns is at [n - 1]: init is 0):"
        sed -n "$steps\\2 \\1  \\3  \\4|p" trail |
            grep -vE '  (IF|DO|else|break|\(1\)|\.?\(?goto.*|sub-sequence|assert.*)$' |
            cut -c 1-110 | tail -n 60
        sed -n -e 's|) /.*/|) |' -e '/^#processes/,$p' trail
      }
    } | sed 's/^/# /'
}

good() {
    n=$((n + 1))
    echo "ok $n - $1"
}

bad() {
    n=$((n + 1)) failed=1
    echo "not ok $n - $1"
    explain
}

number() { # 1234567: 1,234,567
    echo "$1" | sed -e :a -e 's/\(.*[0-9]\)\([0-9]\{3\}\)/\1,\2/' -e ta
}

config() { # MODEL NAME OPTIONS...
    case "$*" in *"$word"*) ;; *) return ;; esac
    model=$1 name=$2
    shift 2
    search "$model" "-O1 -DCOLLAPSE" "$@"
    if is_complete; then
        good "$model, $name: complete, $(number "$reached") states"
        states=$((states + reached)) clean=$((clean + 1))
    else
        bad "$model, $name: ${found:-the search is not complete}"
    fi
}

# The invariant that a bug breaks, from the list in the model's head. Without NAME: all listed.
breaks() { # MODEL [NAME]
    sed -n "s/^ \*   ${2-[A-Z][A-Z_]*}  *\([Ia-z][1-7a-z]*\)  .*/\1/p" "$here/$1.pml"
}

bug() { # MODEL NAME OPTIONS...
    case "$*" in *"$word"*) ;; *) return ;; esac
    model=$1 name=$2 broken=$(breaks "$1" "$2")
    shift 2
    search "$model" -O0 "-D$name" "$@"
    if [ -n "$found" ]; then
        good "$model, $name breaks ${broken:-?}: $found"
        caught=$((caught + 1))
    else
        bad "$model, $name is not caught"
    fi
}

# ---- channel: so many senders x receivers -------------------------------------------------------

config channel "2 x 2, capacity 1, any gives up, close at any time" -DDEADLINES=3
config channel "2 x 2, capacity 1, 2 messages each" -DITEMS=2 -DCLOSE=0
config channel "2 x 2, capacity 2, 2 messages each" -DCAP=2 -DITEMS=2 -DCLOSE=0
config channel "1 x 2, capacity 2, 3 messages, any gives up, close at any time" \
    -DSENDERS=1 -DCAP=2 -DITEMS=3 -DDEADLINES=3
config channel "1 x 3, capacity 4, 4 messages" -DSENDERS=1 -DRECEIVERS=3 -DCAP=4 -DITEMS=4 -DCLOSE=0
config channel "1 x 3, capacity 2, 2 messages, receivers give up" \
    -DSENDERS=1 -DRECEIVERS=3 -DCAP=2 -DITEMS=2 -DDEADLINES=2 -DCLOSE=0
if [ $long = yes ]; then
    config channel "2 x 1, capacity 1, 2 messages each, any gives up, close at any time" \
        -DRECEIVERS=1 -DITEMS=2 -DDEADLINES=3
    config channel "2 x 2, capacity 1, 2 messages each, close at any time" -DITEMS=2
    config channel "2 x 2, capacity 2, 2 messages each, close at any time" -DCAP=2 -DITEMS=2
    config channel "2 x 2, capacity 1, 2 messages each, any gives up" \
        -DITEMS=2 -DDEADLINES=3 -DCLOSE=0
    config channel "2 x 2, capacity 2, 2 messages each, any gives up" \
        -DCAP=2 -DITEMS=2 -DDEADLINES=3 -DCLOSE=0
    config channel "3 x 2, capacity 1, close at any time" -DSENDERS=3
    config channel "2 x 3, capacity 1, close at any time" -DRECEIVERS=3
fi

for name in NO_BIT BIT_AFTER_LOOK SLEEP_IN_FLIGHT NO_PASS_ON PASS_ON_NO_BIT BIT_CLEARED_UNLOCKED \
    PUBLISH_FIRST; do
    bug channel $name -DCLOSE=0
done
for name in SLEEP_WHEN_CLOSING EPIPE_UNDRAINED SEND_WHEN_CLOSING CLOSE_WAKES_ONE CLOSED_FIRST \
    LOOK_OTHER_FIRST; do
    bug channel $name
done
for name in NO_PASS_ON_LEAVING RESOLVE_IN_TWO GIVE_UP_RESOLVED; do
    bug channel $name -DDEADLINES=2 -DCLOSE=0
done
bug channel LEAVE_LINKED -DDEADLINES=2

# ---- select: capacity 0 -------------------------------------------------------------------------

# Two that send and two that receive, on one channel or on two. Two that could serve each other in
# two ways. One that could serve either. Each at both ends of a channel. The senders that a try looks for.
plain="-DP0=SENDS,A,SENDS,NIL -DP1=SENDS,A,SENDS,NIL
    -DP2=RECEIVES,A,SENDS,NIL -DP3=RECEIVES,A,SENDS,NIL"
square="-DP0=SENDS,A,SENDS,B -DP1=SENDS,B,SENDS,A
    -DP2=RECEIVES,A,RECEIVES,B -DP3=RECEIVES,B,RECEIVES,A"
facing="-DP0=SENDS,A,RECEIVES,B -DP1=SENDS,B,RECEIVES,A -DP2=RECEIVES,A,SENDS,NIL"
crowd="-DP0=SENDS,A,SENDS,B -DP1=RECEIVES,B,RECEIVES,A -DP2=RECEIVES,A,RECEIVES,B"
self="-DP0=SENDS,A,RECEIVES,A -DP1=RECEIVES,A,SENDS,A -DP2=RECEIVES,A,SENDS,NIL"
tried="-DTRY -DP0=SENDS,A,SENDS,NIL -DP1=SENDS,B,SENDS,NIL -DP2=RECEIVES,B,SENDS,NIL"
# shellcheck disable=SC2086
{
    config select "2 x 2, close at any time" $plain -DCLOSE=1
    config select "2 x 2, all give up" $plain -DDEADLINES=15
    config select "2 x 2 on two channels, all give up" $square -DDEADLINES=15
    config select "against each other, close at any time" $facing -DCLOSE=1
    config select "against each other, all give up" $facing -DDEADLINES=7
    config select "one for two on two channels, one cancelled, one gives up" \
        $crowd -DCANCEL=2 -DDEADLINES=4
    config select "both ends of one channel, close at any time" $self -DCLOSE=1
    config select "try form while waiters move" $tried
}
if [ $long = yes ]; then
    # shellcheck disable=SC2086
    {
        config select "2 x 2, all give up, close at any time" $plain -DDEADLINES=15 -DCLOSE=1
        config select "2 x 2 on two channels, two give up, close at any time" \
            $square -DDEADLINES=5 -DCLOSE=1
        config select "against each other, two cancelled, close at any time" \
            $facing -DCANCEL=3 -DCLOSE=1
        config select "one for two on two channels, all cancelled, all give up" \
            $crowd -DCANCEL=7 -DDEADLINES=7
        config select "try form while waiters move, close at any time" $tried -DCLOSE=1
        config select "try form while waiters move, give up, are cancelled" \
            $tried -DDEADLINES=2 -DCANCEL=5
    }
fi

# shellcheck disable=SC2086
{
    for name in ONE_LOCK_AT_A_TIME UNORDERED_LOCKS NO_PEER_LOOK NO_BIT RENDEZVOUS_CLEARS_BIT \
        WAKE_BEFORE_COPY LOSERS_LINKED; do
        bug select $name $facing
    done
    bug select LINK_BEFORE_ALL_LOOKED_AT -DP0=SENDS,A,RECEIVES,B -DP1=SENDS,B,RECEIVES,A \
        -DP2=SENDS,B,SENDS,NIL
    bug select SLEEP_WHEN_CLOSING $facing -DCLOSE=1
    bug select RESOLVE_IN_TWO $crowd
    bug select GIVE_UP_RESOLVED $facing -DDEADLINES=1
    for name in CANCEL_FORGETS_RESOLVED CONTEXT_LINKED CANCEL_SETS_WORD_LATE; do
        bug select $name $crowd -DCANCEL=4
    done
    bug select CLOSE_RECEIVERS_ONLY $plain -DCLOSE=1
    for name in NO_SECOND_LOOK NO_COUNT; do
        bug select $name $tried
    done
}

if [ -z "$word" ]; then
    listed=$(($(breaks channel | wc -l) + $(breaks select | wc -l)))
    [ $caught -eq $listed ] || bad "the models list $listed known bugs, $caught were caught"
fi
echo "1..$n"
echo "# $clean searches complete, $(number $states) states; $caught known bugs caught;" \
    "$(($(date +%s) - began)) seconds"
exit $failed
