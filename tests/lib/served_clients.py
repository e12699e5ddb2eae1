"""served_clients.py - TCP clients for the test of the example served.  SPDX-License-Identifier: MIT

    WHAT PORT PID     plays one of the scenes below, against the server that listens at PORT; PID is the server's.
                      Ends with 1, and says why, if what comes is not what should
"""

import os
import re
import signal
import socket
import struct
import sys
import threading
import time

RESET = struct.pack("ii", 1, 0)
PATIENCE = 60  # seconds, after which something hangs


class Client:
    def __init__(self, text=b""):
        self.socket = socket.create_connection(("127.0.0.1", PORT), PATIENCE)
        self.rest = b""
        self.send(text)

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def line(self):
        """The next line without its newline; "" at the end, before which no part of a line may come."""
        while b"\n" not in self.rest:
            more = self.socket.recv(65536)
            if not more:
                same(self.rest, b"")
                return ""
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def all(self):
        """What comes until the end, after all was sent."""
        self.socket.shutdown(socket.SHUT_WR)
        return [l for l in iter(self.line, "")]

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


def same(is_, should):
    if is_ != should:
        raise SystemExit("is: %r, should be: %r" % (is_, should))


def stats():
    """All samples, after a look at each line, and at each histogram."""
    c = Client("GET /stats HTTP/1.1\r\nHost: here\r\nUser-Agent: test\r\n\r\n")
    text = c.all()
    same(text[:3], ["HTTP/1.0 200 OK\r", "Content-Type: text/plain; version=0.0.4\r", "\r"])
    samples, types = {}, {}
    for line in text[3:]:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("gauge", "counter", "histogram"), line
            types[name] = kind
        elif not line.startswith("# HELP "):
            m = re.fullmatch(r'((served_[a-z_]+?)(?:_bucket|_sum|_count)?(?:\{[a-z]+="[^"]+"(?:,[a-z]+="[^"]+")*\})?) (\S+)', line)
            assert m and m[2] in types and m[1] not in samples, line
            samples[m[1]] = float(m[3])
    for labels in ("queue_seconds", 'lane="high"'), ("queue_seconds", 'lane="low"'), ("work_seconds", ""):
        name, label = "served_" + labels[0], labels[1]
        buckets = [v for k, v in samples.items() if k.startswith(name + "_bucket{" + label)]
        same(len(buckets), 8)
        same(buckets, sorted(buckets))
        same(buckets[-1], samples[name + "_count" + ("{%s}" % label if label else "")])
    return samples


def until(**want):
    """Until the counters are so: queued_low=2 stands for served_queued{lane="low"}, jobs_failed for an end."""
    end = time.monotonic() + PATIENCE
    while True:
        s, wrong = stats(), {}
        for name, value in want.items():
            what, _, label = name.partition("_")
            form = {"queued": 'served_queued{lane="%s"}', "jobs": 'served_jobs_total{end="%s"}'}.get(what)
            is_ = s[form % label if form else "served_" + name]
            if is_ != value:
                wrong[name] = is_
        if not wrong:
            return s
        if time.monotonic() > end:
            raise SystemExit("never came: %r, is %r" % (want, wrong))


def factors(n):
    found, d = [], 2
    while d * d <= n:
        while n % d == 0:
            found.append(d)
            n //= d
        d += 1
    return " ".join(["200"] + [str(f) for f in found + [n] * (n > 1)])


def threads(n, run):
    wrong = []

    def one(i):
        try:
            run(i)
        except BaseException as e:
            wrong.append(repr(e))

    all_ = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(n)]
    for t in all_:
        t.start()
    for t in all_:
        t.join(2 * PATIENCE)
        if t.is_alive():
            wrong.append("hangs")
    same(wrong, [])


# ---- The scenes ----


def talk():
    """Every form of request, and what is none; parts of lines; a half-close."""
    c = Client("high 60000 factor 360\nlow 60000 factor 1\r\nlow  60000  sleep 1\n")
    c.send("high 60000 factor 18446744073709551615\nhigh 60000 factor 9223372036854775808\n")
    c.send("\nhigh\nmiddle 1 sleep 1\nhigh 0 sleep 1\nhigh 600001 sleep 1\nhigh +1 sleep 1\nhigh 1 sleep -1\n")
    c.send("high 1 sleep 600001\nhigh 1 factor 0\nhigh 1 factor 18446744073709551616\nhigh 1 nap 1\nhigh 1 sleep 1 1\n")
    c.send(b"high 60000 sleep 1\0 1\n\0\n" + b"x" * 199 + b"\nhigh 60000 factor 7\nhigh 60000 fac")
    got = c.all()
    same(got[:5], ["200 2 2 2 3 3 5", "200", "200 slept", "200 3 5 17 257 641 65537 6700417", "200" + " 2" * 63])
    same([l[:4] for l in got[5:-1]], ["400 "] * 15)
    same(got[-1], "200 7")

    c = Client()
    for byte in "low 60000 factor 6\nlow 60000 factor 35\n":
        c.send(byte)
        stats()
    same([c.line(), c.line()], ["200 2 3", "200 5 7"])
    same(Client("GET /other HTTP/1.0\r\n\r\n").all(), ["HTTP/1.0 404 Not Found\r", "\r"])


def long():
    """Lines that are too long: refused, and that is not lost in a reset, though there is more to read."""
    for n in 200, 201, 5000, 1 << 20:
        c = Client(b"high 60000 factor 6\n" + b"x" * n + b"\nhigh 60000 factor 6\n")
        same(c.all(), ["200 2 3", "413 line too long"])
    until(clients=1)


def crowd():
    """Many clients: all requests are answered, each once, in order; and the counters have seen the same."""
    tally, lock = {}, threading.Lock()

    def one(i):
        c, asked = Client(), []
        for k in range(60):
            n = 10**6 + i * 1000 + k * 7
            asked.append(factors(n) if k % 10 else "400")
            c.send("%s 60000 factor %d\n" % (("high", "low")[k % 3 == 0], n) if k % 10 else "what\n")
        got = c.all()
        same(len(got), len(asked))
        for answer, should in zip(got, asked):
            assert answer in (should, "503 busy") or (answer[:4] == should + " "), (answer, should)
        with lock:
            for answer in got:
                tally[answer[:3]] = tally.get(answer[:3], 0) + 1

    threads(60, one)
    done = tally["200"]
    s = until(clients=1, busy=0, jobs_completed=done, jobs_failed=0, jobs_cancelled=0)
    for code in "200", "400", "413", "503", "504":
        same(s['served_answers_total{code="%s"}' % code], tally.get(code, 0))
    same(tally["400"], 60 * 6)
    same(s["served_work_seconds_count"], done)
    same(sum(s['served_queue_seconds_count{lane="%s"}' % lane] for lane in ("high", "low")), done)
    same(s["served_workers"], 2)
    same(s["served_answers_lost_total"], 0)


def occupy():
    """A client whose request keeps the one worker, until the client resets its connection."""
    c = Client("high 600000 sleep 600000\n")
    until(busy=1, queued_high=0)
    return c


def full():
    """One worker, room for two in each lane: what has no room is refused at once. A reset takes a request back."""
    a = occupy()
    b, c = Client("high 600000 sleep 600000\n"), Client("high 600000 factor 6\n")
    until(queued_high=2)
    same(Client("high 600000 factor 6\n" * 3).all(), ["503 busy"] * 3)
    e = Client("low 600000 factor 35\n")
    until(queued_high=2, queued_low=1)
    b.reset()
    until(queued_high=1, jobs_cancelled=1)
    a.reset()
    same([c.line(), e.line()], ["200 2 3", "200 5 7"])
    s = until(busy=0, jobs_completed=2, jobs_failed=1, jobs_cancelled=1)
    same(s["served_queue_high"], 2)
    same(s['served_answers_total{code="503"}'], 3)
    same(s["served_answers_lost_total"], 2)


def deadline():
    """A deadline that passes in the queue, and one that passes at work."""
    a = occupy()
    for lane in "high", "low":
        since = time.monotonic()
        same(Client(lane + " 50 factor 6\n").all(), ["504 timeout"])
        assert time.monotonic() - since >= 0.05
    until(busy=1, queued_high=0, jobs_cancelled=2)
    a.reset()
    until(busy=0, jobs_failed=1)
    same(Client("high 50 sleep 600000\nhigh 50 factor 18446744073709551557\n").all(), ["504 timeout"] * 2)
    s = until(busy=0, jobs_failed=3, jobs_cancelled=2)
    same(s['served_answers_total{code="504"}'], 5)
    same(s["served_work_seconds_count"], 3)


def lanes():
    """The high lane is served before the low lane's backlog, which here would never end. Then a signal, and no grace."""
    a = occupy()
    low = [Client("low 600000 sleep 600000\n") for _ in range(6)]
    until(queued_low=6)
    high = Client("high 600000 factor 360\n")
    until(queued_high=1)
    a.reset()
    same(high.line(), "200 2 2 2 3 3 5")
    until(busy=1, queued_low=5)
    os.kill(PID, signal.SIGTERM)
    for c in low:
        same(c.line(), "504 timeout")


def drain():
    """A signal while requests are under way: they are answered. Others see the end, and no new client comes in."""
    idle, half = Client(), Client("high 60000 fac")
    first = Client("high 600000 sleep 2000\n")
    c = [Client("low 600000 sleep 100\n") for _ in range(20)]
    while True:  # until all of these are accepted
        s = stats()
        under_way = s['served_queued{lane="low"}'] + s['served_queued{lane="high"}'] + s["served_busy"]
        if under_way + s['served_jobs_total{end="completed"}'] == 21:
            break
    for one in c:
        one.send("low 60000 factor 6\n")  # these may be, or not
    os.kill(PID, signal.SIGTERM)
    same(idle.line(), "")
    same(half.line(), "")
    try:
        Client()
        raise SystemExit("a new client came in")
    except ConnectionError:
        pass
    half.send("tor 6\n")
    same(half.all(), [])
    idle.all()
    same(first.all(), ["200 slept"])
    for one in c:
        got = one.all()
        assert got in (["200 slept"], ["200 slept", "200 2 3"]), got


def stream():
    """A signal in the middle of many requests. Prints how many were answered."""
    answered, enough = [0] * 16, threading.Event()

    def one(i):
        if i == 16:
            enough.wait(PATIENCE)
            os.kill(PID, signal.SIGTERM)
            return
        c = Client()
        try:
            while True:
                c.send("high 60000 factor 360\n")
                answer = c.line()
                if not answer:
                    break
                same(answer, "200 2 2 2 3 3 5")
                answered[i] += 1
                if answered[i] == 100:
                    enough.set()
        finally:
            c.socket.close()

    threads(17, one)
    print("answered", sum(answered))


def vanish():
    """Clients that go in every state: neither they nor their requests stay."""
    for _ in range(10):
        for text in "", "high 60000 fac", "high 60000 sleep 5\n", "low 60000 sleep 5\n" * 20, "x\n" * 1000:
            Client(text).socket.close()
            Client(text).reset()
            c = Client(text)
            c.socket.shutdown(socket.SHUT_WR)
            c.line()
            c.socket.close()
    until(clients=1, busy=0, queued_high=0, queued_low=0)
    same(Client("high 60000 factor 6\n").all(), ["200 2 3"])


def memory():
    return int(re.search(r"VmRSS:\s*(\d+)", open("/proc/%d/status" % PID).read())[1])


def never():
    """A client that never reads: the server ends to read from it, serves others, and cuts it off in the end."""
    before = memory()
    c, sent = Client(), 0
    c.socket.settimeout(0.5)
    try:
        while True:
            sent += c.socket.send(b"x\n" * 8192)
            if sent > 1 << 26:
                raise SystemExit("it takes all")
    except socket.timeout:
        pass
    except ConnectionError:
        return  # that was slow
    same(Client("high 60000 factor 6\n").all(), ["200 2 3"])
    if not os.environ.get("SAN", "none").strip("none"):
        assert memory() - before < 16384, (before, memory())
    s = until(clients=1)
    same(s["served_answers_lost_total"], 1)
    cut_off(c)


def cut_off(c):
    try:
        while c.socket.recv(65536):
            pass
    except ConnectionError:
        return
    raise SystemExit("the end, as if that were all")


def part():
    """As never, but all that the client has sent was read: so its end is a reset only if the server says so."""
    while True:
        c, sent, lost = Client(), 0, stats()["served_answers_lost_total"]
        answered = s = stats()['served_answers_total{code="400"}']
        while s - answered == sent:
            c.send(b"x\n" * 50)
            sent += 50
            end = time.monotonic() + 1
            while s - answered < sent and time.monotonic() < end:
                s = stats()['served_answers_total{code="400"}']
        if until(clients=1)["served_answers_lost_total"] > lost:
            return cut_off(c)  # else the server was only slow


def rest():
    """While all wait, for clients, for work, for a deadline that is far: no work."""

    def ticks():
        return sum(int(n) for n in open("/proc/%d/stat" % PID).read().split(") ")[1].split()[11:13])

    a, b, c = occupy(), Client("high 600000 factor 6\n"), Client("high 6")
    until(queued_high=1, clients=4)
    before = ticks()
    time.sleep(0.8)
    spent = ticks() - before
    assert spent <= os.sysconf("SC_CLK_TCK") // 10, spent
    a.reset()
    same(b.line(), "200 2 3")


def idle():
    """A client that sends nothing, or not all of a line, is let go."""
    a, b, c = Client(), Client("high 6000"), Client("high 60000 factor 6\n")
    for one in a, b:
        same(one.line(), "")
    same([c.line(), c.line()], ["200 2 3", ""])


def limit():
    """Room for two clients: of three that come at once, the third waits until one has left."""
    os.kill(PID, signal.SIGSTOP)
    a, b = Client("high 60000 factor 6\n"), Client("high 60000 factor 6\n")
    c = Client("high 60000 factor 35\n")
    os.kill(PID, signal.SIGCONT)
    same([a.line(), b.line()], ["200 2 3"] * 2)
    c.socket.settimeout(0.3)
    try:
        raise SystemExit("it is served: " + c.line())
    except socket.timeout:
        pass
    c.socket.settimeout(PATIENCE)
    b.socket.close()
    same(c.line(), "200 5 7")
    a.send("high 60000 factor 8\n")
    same(a.line(), "200 2 2 2")


PORT, PID = int(sys.argv[2]), int(sys.argv[3])
globals()[sys.argv[1]]()
