#!/bin/sh
# deb.sh VERSION - builds the Debian package of what is committed, in build/deb; lintian must be content, and a program
# must be built with what the package holds.
# SPDX-License-Identifier: MIT
#
# Its changelog is dated by the commit. Set DEBFULLNAME and DEBEMAIL to be named as its maintainer. Without them there
# stands in the address that Debian gives to the maintainer of any package of that name, which today is nobody.
set -eu
LC_ALL=C
export LC_ALL
version=$1
for tool in dpkg-buildpackage dh lintian pkg-config; do
    command -v $tool >/dev/null || { echo "deb: no $tool: make deps-platforms"; exit 1; }
done
sh tools/dist.sh "$version"
rm -rf build/deb
mkdir -p build/deb
cp "build/leat-$version.tar.gz" "build/deb/leat_$version.orig.tar.gz"
tar -xf "build/leat-$version.tar.gz" -C build/deb
tree=build/deb/leat-$version
cp -R "$tree/packaging/debian" "$tree/debian"
who="${DEBFULLNAME:-The leat authors} <${DEBEMAIL:-leat@packages.debian.org}>"
when=$(date -u -R -d "@$(git log -1 --format=%ct)")
sed -i "s/^ -- .*/ -- $who  $when/" "$tree/debian/changelog"
sed -i "s/^Maintainer: .*/Maintainer: $who/" "$tree/debian/control"
(cd "$tree" && unset MAKEFLAGS MAKELEVEL MFLAGS && dpkg-buildpackage -us -uc >../log 2>&1) ||
    { tail -n 40 build/deb/log; exit 1; }
# There is no bug in Debian's tracker that a first upload would close.
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs build/deb/*.changes
package=$(ls build/deb/libleat-dev_*.deb)
dpkg-deb -x "$package" build/deb/root
PKG_CONFIG_PATH=build/deb/root/usr/share/pkgconfig
export PKG_CONFIG_PATH
${CC:-cc} -std=c11 -Wall -Wextra -Werror $(pkg-config --cflags leat) tests/builds/use.c -o build/deb/use $(pkg-config --libs leat)
build/deb/use
echo "$package"
