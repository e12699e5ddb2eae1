// without.cc - the half of objects.cc that is compiled with -fno-exceptions, and linked first. SPDX-License-Identifier: MIT
#include "leat.hpp"

int in_a_file_without_exceptions();
int in_a_file_without_exceptions()
{
    leat::chan<int> c(1);
    leat::group g;
    leat::pool p(1);
    int n = 0, err = g.go([&] { return c.send(7); }) | g.wait() | c.recv(n) | p.submit([] {});
    return err ? err : n;
}
