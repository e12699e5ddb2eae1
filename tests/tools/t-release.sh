# `make dist` writes the same bytes each time: what is committed, with the manual pages, and what is in it can be installed.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

have python3 || skip_all "no python3"
git rev-parse HEAD >/dev/null 2>&1 || skip_all "no clone"
version=$(sed -n 's,^#define LEAT_VERSION_STRING "\(.*\)",\1,p' queue.h)
file=leat-$version.tar.gz

# In a clone of its own: another folder, another time, another mask, and nothing that is not committed.
clone() {
    git clone -q --no-hardlinks "file://$PWD" "$tmp/$1" && mkdir -p "$tmp/$1/build"
}
dist() {
    (cd "$tmp/$1" && umask "$2" && sh tools/dist.sh "$version" && mv "build/$file" "$tmp/$1.tar.gz")
}
check "a clone" clone one
check "make dist" dist one 022
check "in another clone" clone two
echo "not committed" >>"$tmp/two/queue.h"
check "... again" dist two 077
check "the same bytes" cmp "$tmp/one.tar.gz" "$tmp/two.tar.gz"
check "it is unpacked" tar -xf "$tmp/one.tar.gz" -C "$tmp"
tree=$tmp/leat-$version
check "the headers are those of the commit" sh -c 'git show HEAD:queue.h | cmp - "$1"' - "$tree/queue.h"
check "the manual pages are in it" test -s "$tree/man/man3/leat_send.3"
installs() { # without python3
    make -C "$tree" -s install PREFIX=/usr DESTDIR="$tmp/root" && diff -r "$tree/man/man3" "$tmp/root/usr/share/man/man3"
}
check "... and are installed" installs
finish
