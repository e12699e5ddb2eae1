#!/bin/sh
# explore.sh EXPLORE --runs N | --bound B [option..] - all scenarios of the simulator, a process for each configuration,
# as many at once as there are processors. N random schedules for each scenario, shared by its configurations;
# or all schedules with at most B preemptions of those that are small enough.
# SPDX-License-Identifier: MIT
set -u
explore=$1 how=$2 n=$3
shift 3
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT

if [ "$how" = --bound ]; then
    $explore --bound 0 --list | sed "s/.*/--bound $n --only '&'/"
else
    $explore --list | awk -v n="$n" '{ of[$1]++; line[NR] = $0; name[NR] = $1 }
        END { for (i = 1; i <= NR; i++) printf "--runs %d --only '\''%s'\''\n", n / of[name[i]] + 1, line[i] }'
fi |
    xargs -P "$(getconf _NPROCESSORS_ONLN)" -L 1 "$explore" "$@" |
    sed -u -e '/^1\.\.1$/d' -e 's/^ok 1 /ok /' -e 's/^not ok 1 /not ok /' | tee "$said"
echo "1..$(grep -c '^\(not \)*ok ' "$said")"
! grep -q '^not ok' "$said" && grep -q '^ok' "$said"
