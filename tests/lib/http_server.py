"""http_server.py PORTS LOG - a web server on 127.0.0.1 for the tests: answers, refuses, hangs.

Writes to the file PORTS "P C": it listens on port P, and C refuses connections for as long as it lives. Each
request is a line in LOG. It ends when its standard input does: with the test, however that ends.
SPDX-License-Identifier: MIT"""

import collections
import http.server
import os
import socket
import sys
import threading

ports, log_path = sys.argv[1:]
log_file = open(log_path, "a")
lock = threading.Lock()
released = collections.defaultdict(threading.Event)
three = threading.Barrier(3)
inside = 0


def log(line):
    with lock:
        log_file.write(line + "\n")
        log_file.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        global inside
        log(self.path)
        what = self.path.split("/")[1]
        if what.isdigit():  # /404
            self.answer(int(what), b"text\n")
        elif what == "to":  # /to/200
            self.answer(302, Location=self.path[3:])
        elif what == "round":  # in circles
            self.answer(302, Location="/round")
        elif what == "endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"and so on " * 1000)
        elif what == "three":  # when three of these are there
            with lock:
                inside += 1
                now = inside
            log("%d inside" % now)
            three.wait()
            with lock:
                inside -= 1
            three.wait()
            self.answer(200)
        elif what in ("wait", "release"):  # /wait/x/1 until /release/x
            with lock:
                event = released[self.path.split("/")[2]]
            event.wait() if what == "wait" else event.set()
            self.answer(200)
        elif what == "hang":
            threading.Event().wait()

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # the other side has left: that is its business


server = Server(("127.0.0.1", 0), Handler)
closed = socket.socket()
closed.bind(("127.0.0.1", 0))  # and does not listen
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(ports + ".new", "w") as file:
    file.write("%d %d\n" % (server.server_port, closed.getsockname()[1]))
os.rename(ports + ".new", ports)
sys.stdin.read()
os._exit(0)
