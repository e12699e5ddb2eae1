"""line_clients.py - TCP clients for the test of the example fanout.  SPDX-License-Identifier: MIT

    read PORT         connects; when its own standard input ends, it copies to standard output what comes
    hear PORT N       connects, as soon as that can be; copies N lines to standard output
    many PORT N       N clients at once, which count what they get. Says when all have come, and what they have got
    stuff             copies its standard input; says on standard error when there is no room for more of it
    port              prints one that is free
    vanish PORT       three clients: one closes, one resets, one half-closes and waits for the end
    crowd PORT ERR    50 clients of all kinds. Once the file ERR says that they have come it writes 4000 lines
                      to standard output, the input of fanout, as fast as the fast ones can follow. Then a line
                      for each on standard error: number, kind, lines, lost, what is wrong.
"""

import os
import select
import socket
import struct
import sys
import threading
import time

FAST, LINES, CHUNK = 30, 4000, 200
KINDS = ["fast"] * FAST + ["slow"] * 6 + ["late"] * 2 + ["close", "reset", "half"] * 2 + ["never"] * 6
RESET = struct.pack("ii", 1, 0)


def connect(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    return s


def line(n):
    return b"%d %s\n" % (n, b"x" * (n * 7 % 200))


class Client(threading.Thread):
    over = threading.Event()  # all is written

    def __init__(self, port, kind):
        super().__init__(daemon=True)
        self.socket, self.kind, self.part = connect(port), kind, b""
        self.lines = self.lost = 0
        self.wrong = "nothing"

    def run(self):
        try:
            getattr(self, self.kind)()
        except Exception as e:
            self.wrong = repr(e)

    def read(self, size=65536):
        data = self.socket.recv(size)
        *lines, self.part = (self.part + data).split(b"\n")
        for l in lines:
            n = self.lines + self.lost + 1
            if l.startswith(b"# lost "):
                self.lost += int(l.split()[2])
            elif l + b"\n" == line(n):
                self.lines += 1
            else:
                raise ValueError("line %d is %r" % (n, l[:20]))
        if not data and (self.part or (self.kind != "half" and self.lines + self.lost != LINES)):
            raise ValueError("it ends early")
        return data

    def fast(self):
        while self.read():
            pass

    def slow(self):
        while self.read(1000):
            time.sleep(0.002)

    def late(self):
        self.over.wait()
        self.fast()

    def some(self):
        while self.lines < 100:
            self.read()

    def close(self):
        self.some()
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def half(self):
        self.some()
        self.socket.shutdown(socket.SHUT_WR)
        try:
            self.fast()
        except ValueError:
            pass  # the last line need not be whole

    def never(self):
        poll = select.poll()
        poll.register(self.socket, 0)
        poll.poll(20000)
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.wrong = "nothing" if error == 104 else "error %d" % error


def crowd(port, err):
    clients = [Client(port, kind) for kind in KINDS]
    while open(err).read().count(" comes\n") < len(clients):
        time.sleep(0.01)
    for c in clients:
        c.start()
    for n in range(1, LINES + 1):
        sys.stdout.buffer.write(line(n))
        if n % CHUNK == 0:
            sys.stdout.buffer.flush()
            while any(c.is_alive() and c.lines + c.lost < n for c in clients[:FAST]):
                time.sleep(0.001)
    os.close(1)
    Client.over.set()
    for i, c in enumerate(clients):
        c.join(60)
        print(i + 1, c.kind, c.lines, c.lost, c.wrong, file=sys.stderr)


def vanish(port):
    sockets = [connect(port) for _ in range(3)]
    sockets[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sockets[0].close()
    sockets[1].close()
    sockets[2].shutdown(socket.SHUT_WR)
    while sockets[2].recv(4096):
        pass


def many(port, n):
    clients = [socket.socket() for _ in range(int(n))]
    poll = select.poll()
    for s in clients:
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        poll.register(s, select.POLLOUT)
    by_number = {s.fileno(): s for s in clients}
    for waits in range(len(clients), 0, -1):
        ready = poll.poll(20000)
        if not ready:
            sys.exit("%d have not come" % waits)
        poll.unregister(ready[0][0])
    print(n, "have come", flush=True)
    lines = 0
    for s in clients:
        s.setblocking(True)
        while data := s.recv(4096):
            lines += data.count(b"\n")
    print(n, "have heard", lines, "lines", flush=True)


def hear(port, n):
    while True:
        try:
            s = connect(port)
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    with s.makefile("rb") as lines:
        for _ in range(int(n)):
            os.write(1, lines.readline())


def stuff():
    text = sys.stdin.buffer.read()
    os.set_blocking(1, False)
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    said = False
    while text:
        if poll.poll(None if said else 500):
            text = text[os.write(1, text[:4096]) :]
        else:
            print("stuffed", file=sys.stderr, flush=True)
            said = True


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        print(s.getsockname()[1])


def read(port):
    s = connect(port)
    sys.stdin.buffer.read()
    while data := s.recv(65536):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


what, *rest = sys.argv[1:]
if rest:
    rest[0] = int(rest[0])
globals()[what](*rest)
