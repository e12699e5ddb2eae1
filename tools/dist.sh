#!/bin/sh
# dist.sh VERSION - build/leat-VERSION.tar.gz: what is committed, and the manual pages. The same commit, the same bytes.
# SPDX-License-Identifier: MIT
set -eu
LC_ALL=C
export LC_ALL
name=leat-$1
commit=$(git rev-parse HEAD) || { echo "dist: this is no clone"; exit 1; }
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

[ -z "$(git status --porcelain --untracked-files=no)" ] || echo "dist: what is not committed is left out" >&2
mkdir -p build
git archive --prefix="$name/" HEAD | tar -x -C "$tmp" # the pages are those of the commit, too
(cd "$tmp/$name" && python3 tools/reference.py --man "$tmp/man3" queue.h semaphore.h pool.h topic.h)
set --
for page in "$tmp"/man3/*.3; do set -- "$@" --add-file="$page"; done
git -c tar.umask=022 archive --format=tar --prefix="$name/man/man3/" "$@" --prefix="$name/" HEAD | gzip -9n >"build/$name.tar.gz"
echo "build/$name.tar.gz, of $commit"
