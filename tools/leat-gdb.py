# leat-gdb.py - commands for gdb: what does each thread of a program that uses leat wait for?
# SPDX-License-Identifier: MIT
#
#     (gdb) source /usr/local/share/leat/leat-gdb.py      or that line in ~/.gdbinit
#     (gdb) leat threads                                  of a process or of a core file
#     (gdb) leat chan EXPRESSION                          a channel, or a pointer to one: its ends, decoded
#
# The program needs debugging information (-g), with any optimization. The commands only read memory. They call nothing
# in the program. docs/debugging.md shows a session.
#
# How it works. A thread that waits is in leat_park_, and what it waits for is in memory on its stack, since other
# threads look at it there: in leat_select_which_, leat_sem_wait_, leat_wg_wait_ctx. So this can be read at -O2, too. A
# group or a pool is found by its part that the thread waits for (owner). What the compiler has not kept is "unknown".
import linecache
import os
import re
import time

import gdb

HEADERS = ("queue.h", "semaphore.h", "pool.h", "topic.h", "leat.h")
# Functions that wait in the system. Below any other function of leat, a frame of another file is the program's own.
SYSTEM = re.compile(r"leat_(os|bell)_|leat_join_$|leat_synchronize_$")
SELECT = "leat_select_which_"  # how everything waits for channels
MANY = 100000  # frames of a thread, nodes of a list: more than that is damaged memory
WORD = 1 << 64


# ---- Values that may not be there: each of these returns None instead of an error ----

def field(value, *names):
    try:
        for name in names:
            value = value[name]
        return value
    except (gdb.error, TypeError):
        return None


def num(value):
    try:
        return None if value is None else int(value)
    except (gdb.error, TypeError, ValueError):
        return None


def at(address, kind):
    """The object of this type at an address."""
    try:
        return gdb.Value(address).cast(gdb.lookup_type(kind).pointer()).dereference() if address else None
    except gdb.error:
        return None


def address_of(value):
    try:
        return None if value is None or value.address is None else int(value.address)
    except gdb.error:
        return None


def owner(address, kind, part):
    """The object of this type whose part this is."""
    try:
        for f in gdb.lookup_type(kind).strip_typedefs().fields():
            if f.name == part and address:
                return at(address - f.bitpos // 8, kind)
    except gdb.error:
        pass
    return None


def said(n):
    return "unknown" if n is None else str(n)


def range_of(array, n):
    """The addresses of the first n elements of an array in the program."""
    return [num(array[i].address) for i in range(n or 0)]


def counted(n, one, many=None):
    return "%s %s" % (said(n), one if n == 1 else many or one + "s")


counts = {}  # of this command: a list's first node, and how many the list has. A thousand threads may wait in one queue


def count(first, following):
    """How many nodes a list has."""
    n, node = 0, first
    if num(first) in counts:
        return counts[num(first)]
    while num(node) and n < MANY:
        n, node = n + 1, field(node, following)
    n = n if num(node) == 0 else None  # else it is damaged
    counts[num(first)] = n
    return n


def waiting(queue):
    return count(field(queue, "first_"), "next_")


# ---- Frames ----

class Call:
    entries = False  # whether to ask for what the caller gave. For that gdb may call functions of the program (ifunc)

    def __init__(self, frame):
        self.frame = frame
        self.name = re.sub(r"\.(constprop|isra|part|cold|lto_priv|llvm)\b.*", "", frame.name() or "?")
        try:
            sal = frame.find_sal()
        except gdb.error:
            sal = None
        self.file, self.line = ("", 0) if not sal or not sal.symtab else (sal.symtab.fullname(), sal.line)
        self.leats = self.name.startswith("leat_") and os.path.basename(self.file) in HEADERS
        library = os.path.basename(gdb.solib_name(frame.pc()) or "")
        self.users = bool(self.file) and not self.leats and not re.match(r"(libc|libpthread|ld)\b", library)

    def var(self, name):
        """A variable's value. If it is gone, but was an argument, what the caller gave: leat changes few arguments."""
        try:
            value = self.frame.read_var(name)
            if not value.is_optimized_out:
                return value
            if not Call.entries:
                return None
            self.frame.select()
            value = gdb.parse_and_eval(name + "@entry")
            return None if value.is_optimized_out else value
        except (gdb.error, ValueError):
            return None

    def place(self):
        """As in: produce () at pipe.c:12: leat_send(&jobs, &j);"""
        if not self.file:
            return self.name + " ()"
        text = "%s () at %s:%d" % (self.name, os.path.basename(self.file), self.line)
        line = linecache.getline(self.file, self.line).strip()
        return text + (": " + line if line else "")


def calls_of(frame):
    calls = []
    try:
        while frame and len(calls) < MANY:
            calls.append(Call(frame))
            frame = frame.older()
    except gdb.error:
        pass  # the stack is damaged, or code without unwind information
    return calls


class Stack:
    """The calls of a thread: all; those inside leat, from the innermost on; those of the program that led there."""

    def __init__(self, thread):
        self.number, self.name = thread.num, thread.name
        self.calls = calls_of(gdb.newest_frame())
        first = next((i for i, c in enumerate(self.calls) if c.leats), None)
        if first and not SYSTEM.match(self.calls[first].name):
            first = None  # it is a task, a job or a hook, that leat has called
        last = first or 0
        while first is not None and last < len(self.calls) and self.calls[last].leats:
            last += 1
        self.inside = [] if first is None else self.calls[first:last]
        self.users = [c for c in (self.calls if first is None else self.calls[last:]) if c.users]

    def has(self, *names):
        return any(c.name in names for c in self.inside)

    def var(self, function, name):
        return next((v for v in (c.var(name) for c in self.inside if c.name == function) if v is not None), None)

    def enqueued(self, function, name, kind):
        """A variable that the function has given to leat_block_. AddressSanitizer moves it from where gdb looks for it."""
        value = self.var(function, name)
        for c in self.inside if value is None else ():
            what = num(c.var("what")) if c.name == "leat_block_" else None
            if what:
                return at(what, kind)
        return value

    def pointer(self, calls, name, kind):
        """What a variable of this name points to, in the first of these calls of leat that has it."""
        for c in calls:
            v = c.var(name) if c.leats else None
            if v is not None and v.type.strip_typedefs().code == gdb.TYPE_CODE_PTR and num(v):
                if str(v.type.target().unqualified().strip_typedefs()) == str(gdb.lookup_type(kind).strip_typedefs()):
                    return v.dereference()
        return None


# ---- Names of objects ----

def path_in(kind, offset, wanted):
    """How to get from an object of a type to the part at this offset that is a `wanted`: "[2].results". Or None."""
    kind = kind.strip_typedefs().unqualified()
    if offset == 0 and kind.tag == wanted:
        return ""
    if kind.code == gdb.TYPE_CODE_ARRAY:
        each = kind.target()
        if not each.sizeof:
            return None
        rest = path_in(each, offset % each.sizeof, wanted)
        return None if rest is None else "[%d]%s" % (offset // each.sizeof, rest)
    if kind.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return None
    for f in kind.fields():
        start = getattr(f, "bitpos", -8) // 8
        if 0 <= start <= offset < start + f.type.sizeof:
            rest = path_in(f.type, offset - start, wanted)
            if rest is not None:
                return ("." + f.name if f.name else "") + rest
    return None


def named_in(value, name, address, wanted):
    """The name of what is at an address, if it is (a part of) this variable."""
    start = address_of(value)
    if start is None or not start <= address < start + value.type.sizeof:
        return None
    rest = path_in(value.type, address - start, wanted)
    return None if rest is None else name + rest


def variables(call):
    try:
        block = call.frame.block()
    except (gdb.error, RuntimeError):
        return
    while block and not block.is_global and not block.is_static:
        for symbol in block:
            if symbol.is_variable or symbol.is_argument:
                try:
                    value = symbol.value(call.frame)
                    if not value.is_optimized_out:
                        yield symbol.name, value
                except (gdb.error, ValueError, TypeError):
                    pass
        if block.function:
            return
        block = block.superblock


class Names:
    """Variables of the program by their addresses."""

    def __init__(self, threads):
        self.stacks, self.known = [], {}
        for t in threads:
            try:
                t.switch()
                self.stacks.append((int(gdb.parse_and_eval("$sp")), t))
            except gdb.error:
                pass
        self.stacks.sort(key=lambda s: s[0])

    def of(self, stack, value, wanted):
        """The name of an object, seen from a thread that uses it."""
        address = address_of(value)
        if not address:
            return "unknown"
        if (address, wanted) not in self.known:
            self.known[address, wanted] = self.of_static(address, wanted) or self.of_local(address, wanted)
        name = self.known[address, wanted] or self.of_pointer(stack, address, wanted) or "0x%x" % address
        return re.sub(r"\.(chan|topic)\b", "", name)

    def of_static(self, address, wanted):
        text = gdb.execute("info symbol 0x%x" % address, to_string=True)
        found = re.match(r"([^ ]+)(?: \+ (\d+))? in section", text)
        if not found:
            return None
        name, offset = re.sub(r"\.(lto_priv|llvm)\b.*", "", found.group(1)), int(found.group(2) or 0)
        symbols = [gdb.lookup_global_symbol(name)]
        symbols += getattr(gdb, "lookup_static_symbols", lambda n: [gdb.lookup_static_symbol(n)])(name)
        for symbol in symbols:
            try:
                rest = named_in(symbol.value(), name, address, wanted) if symbol else None
            except (gdb.error, TypeError):
                rest = None
            if rest:
                return rest
        name = re.sub(r"\.\d+$", "", name)  # a function's static variable, as gcc calls it, and clang: main.name
        return re.sub(r"^\w+[.[](\w+)\]?$", r"\1", name) + ("+%d" % offset if offset else "")

    def of_local(self, address, wanted):
        owners = [t for sp, t in self.stacks if sp <= address]
        if not owners:
            return None
        selected = gdb.selected_thread()
        try:
            owners[-1].switch()
            for call in calls_of(gdb.newest_frame()):
                for name, value in variables(call) if call.users else ():
                    found = named_in(value, call.name + "::" + name, address, wanted)
                    if found:
                        return found
        finally:
            selected.switch()
        return None

    def of_pointer(self, stack, address, wanted):
        for call in stack.users:
            for name, value in variables(call):
                if value.type.strip_typedefs().code != gdb.TYPE_CODE_PTR or not num(value):
                    continue
                try:
                    found = named_in(value.dereference(), "*" + name, address, wanted)
                except gdb.error:
                    continue
                if found:
                    return "%s at 0x%x" % (re.sub(r"^\*(\w+)\.", r"\1->", found), address)
        return None


# ---- Objects ----

def time_left(deadline):
    """An absolute time in words. Only of a process on this machine is it known what time it is."""
    if deadline is None:
        return "unknown"
    if deadline == (1 << 63) - 1:
        return "for ever"
    connection = getattr(gdb.selected_inferior(), "connection", None)
    if getattr(connection, "type", "") == "native":
        return "%.1f s left" % max(0, deadline / 1e9 - time.clock_gettime(time.CLOCK_MONOTONIC))
    return "until %.3f s of the monotonic clock" % (deadline / 1e9)


def signed(n, bits):
    return n - (1 << bits) if n >> (bits - 1) else n


class Ring:
    """A channel's fields, decoded as in part 5 of queue.h."""

    def __init__(self, chan):
        self.cap, self.lap = num(field(chan, "cap_")), num(field(chan, "lap_"))
        self.tail, self.head = self.word(chan, 0), self.word(chan, 1)
        self.receivers = waiting(field(chan, "ends_", 0, "peers_"))
        self.senders = waiting(field(chan, "ends_", 1, "peers_"))

    @staticmethod
    def word(chan, side):
        """An end's position and bits. An end for one thread has its position in pos_, and in at_ only the bits."""
        ones, at, pos = num(field(chan, "ones_")), num(field(chan, "ends_", side, "at_")), num(field(chan, "ends_", side, "pos_"))
        return None if None in (ones, at, pos) else pos | at & 7 if ones >> side & 1 else at

    def length(self):
        if None in (self.cap, self.lap, self.tail, self.head):
            return None
        if not self.cap:
            return 0
        n = (self.tail & ~7) - (self.head & ~7)
        if self.tail & -self.lap != self.head & -self.lap:
            n -= self.lap - 8 * self.cap
        return n % WORD // 8

    def text(self):
        length = "unbuffered" if self.cap == 0 else "%s of %s" % (said(self.length()), said(self.cap))
        end = "" if self.tail is None else ", closed" if self.tail & 4 else ", closing" if self.tail & 1 else ""
        return "%s%s; %s and %s wait" % (length, end, counted(self.senders, "sender"), counted(self.receivers, "receiver"))

    def end(self, word):
        if word is None:
            return "unknown"
        bits = [name for bit, name in ((1, "CLOSING"), (2, "WAITERS"), (4, "CLOSED")) if word & bit]
        where = "0x%x" % word
        if self.cap and self.lap:
            where = "lap %d, slot %d" % (word // self.lap, word % self.lap // 8)
        return ", ".join([where] + bits)


class Objects:
    """One object in words: its kind, its name, its state."""

    def __init__(self, names, stack):
        self.names, self.stack = names, stack

    def name(self, value, kind):
        return self.names.of(self.stack, value, kind)

    def chan(self, v):
        return "channel %s: %s" % (self.name(v, "leat_chan"), Ring(v).text())

    def sem(self, v):
        word, most = num(field(v, "word_")), num(field(v, "most_"))
        free = said(None if word is None else (word & ~7) // 8)
        limit = "" if most is not None and most >= ((1 << 63) - 1) // 16 else " of " + said(most)
        closed = ", closed" if word is not None and word & 4 else ""
        wait = counted(waiting(field(v, "waiters_")), "waits", "wait")
        return "semaphore %s: %s%s free%s; %s" % (self.name(v, "leat_sem"), free, limit, closed, wait)

    def wg(self, v):
        word, wait = num(field(v, "word_")), waiting(field(v, "waiters_"))
        return "wait group %s: count %s; %s" % (self.name(v, "leat_wg"), said(None if word is None else word >> 1),
                                                counted(wait, "waits", "wait"))

    def group(self, v):
        limit, err = num(field(v, "limit_")), num(field(v, "err_"))
        return "group %s: %s active, %s, %s idle%s%s" % (
            self.name(v, "leat_group"), counted(num(field(v, "active_")), "task"),
            counted(count(field(v, "threads_", "list_"), "next_"), "thread"), said(waiting(field(v, "waiting_"))),
            ", limit %d" % limit if limit else "", ", first error %d" % err if err else "")

    def pool(self, v):
        workers, parts, node = 0, [field(v, "totals_")], field(v, "threads_", "list_")
        while num(node) and len(parts) < MANY:
            worker = at(num(node), "leat_worker_")
            parts.append(field(worker, "counts_"))
            workers += num(field(worker, "state_")) in (0, 1)  # STARTING, RUNNING
            node = field(node, "next_")
        if num(node) != 0:
            workers = None
        lanes = [at(lane, "leat_lane_") for lane in range_of(field(v, "lane_"), num(field(v, "lanes_")))]
        sums = [[num(field(part, "taken_")[i]) for part in parts for i in range(len(lanes))]]
        sums += [[num(field(part, name)) for part in parts] for name in ("completed_", "failed_")]
        busy = None
        if workers is not None and not any(None in s for s in sums):
            taken, completed, failed = map(sum, sums)
            busy = max(0, taken - completed - failed)
        rings = [Ring(field(lane, "queue_", "chan")) for lane in lanes]
        queued, cap = [ring.length() for ring in rings] or [None], [ring.cap for ring in rings] or [None]
        shut = num(field(v, "gate_"))
        return "pool %s: %s of %s queued%s; %s, %s busy" % (
            self.name(v, "leat_pool"), said(None if None in queued else sum(queued)),
            counted(None if None in cap else sum(cap), "job"),
            ", shut" if shut is not None and shut & 1 else "", counted(workers, "worker"), said(busy))

    def pool_of(self, chan):
        """The pool that has the channel at this address as the queue of a lane: its first member."""
        pool = field(at(chan, "leat_lane_"), "pool_")
        return self.pool(pool.dereference()) if num(pool) else "an unknown pool"

    def job(self, v):
        word = num(field(v, "word_"))
        state = None if word is None else ("not accepted", "queued", "queued", "running", "over", "over")[(word & 14) // 2]
        return "job %s: %s" % (self.name(v, "leat_job"), said(state))

    def topic(self, v):
        closed = ", closed" if num(field(v, "closed_")) else ""
        subscribers = counted(count(field(v, "list_"), "next_"), "subscriber")
        return "topic %s: %s%s" % (self.name(v, "leat_topic"), subscribers, closed)

    def ctx(self, v):
        word, deadline = num(field(v, "word_")), num(field(v, "deadline_"))
        if word is None:
            state = "unknown"
        elif word & 2:
            state = "cancelled, cause %d" % signed(word >> 32, 32)
        elif word:
            state = "timed out" if word & 4 else "being cancelled"
        else:
            state = "live" + (", " + time_left(deadline) if deadline else "")
        name = self.name(v, "leat_ctx")
        return "context %s: %s" % (re.sub(r"^(.*)(\.|->)ctx_$", r"of \1", name), state)


# ---- What a thread waits for ----

class Wait:
    """wait: what a thread waits for, in a line or more. idle: as whose idle thread, or None. role: whose thread it is."""

    def __init__(self, names, stack):
        self.stack, self.say = stack, Objects(names, stack)
        self.role = self.whose()
        if stack.has(SELECT):
            self.lines = self.select()
        elif stack.has("leat_sem_wait_"):
            self.lines = [self.semaphore()]
        elif stack.has("leat_wg_wait_ctx"):
            self.lines = [self.wait_group()]
        elif stack.has("leat_job_wait_ctx"):
            self.lines = [self.job()]
        elif stack.has("leat_watch_"):
            topic = field(stack.enqueued("leat_watch_", "self", "leat_watcher_"), "topic_")
            self.lines = ["for the next value of " + (self.say.topic(topic.dereference()) if num(topic) else "an unknown topic")]
        elif stack.has("leat_pool_await_"):
            pool = field(stack.enqueued("leat_pool_await_", "self", "leat_idler_"), "pool_")
            self.lines = ["for all jobs of " + (self.say.pool(pool.dereference()) if num(pool) else "an unknown pool")]
        elif stack.has("leat_task_await_"):
            self.lines = ["for a task of " + self.whose_group()]
        elif stack.has("leat_sleep_ctx"):
            self.lines = ["in leat_sleep: " + time_left(num(stack.var("leat_sleep_ctx", "deadline")))]
        elif stack.has("leat_join_"):
            self.lines = ["for threads to exit" + self.of_group_or_pool()]
        elif stack.has("leat_synchronize_"):
            self.lines = ["for other threads to end their calls" + self.of("t", "leat_topic", self.say.topic)]
        elif stack.has("leat_lock_take_"):
            self.lines = ["for a lock that another thread holds"]
        elif stack.has("leat_bell_wait_"):
            self.lines = ["for a signal (leat_cancel_on_signals)"]
        else:
            self.lines = []

    def pointer(self, name, kind):
        return self.stack.pointer(self.stack.inside, name, kind)

    def of(self, name, kind, say):
        value = self.pointer(name, kind)
        return "" if value is None else " of " + say(value)

    def of_group_or_pool(self):
        return self.of("g", "leat_group", self.say.group) or self.of("p", "leat_pool", self.say.pool)

    def whose_group(self):
        t = self.pointer("t", "leat_task_thread_")
        group = field(t, "group_")
        return self.say.group(group.dereference()) if num(group) else "an unknown group"

    def whose(self):
        """Of which group or pool the thread is: "a task of group g"."""
        stack, names = self.stack, [c.name for c in self.stack.calls]
        if "leat_group_main_" in names:
            t = stack.pointer(stack.calls, "t", "leat_task_thread_")
            g = stack.pointer(stack.calls, "g", "leat_group")
            if g is None and num(field(t, "group_")):
                g = field(t, "group_").dereference()
            return "a task of group " + self.say.name(g, "leat_group")
        if "leat_worker_run_" in names:
            w = stack.pointer(stack.calls, "w", "leat_worker_")
            p = field(w, "pool_").dereference() if num(field(w, "pool_")) else stack.pointer(stack.calls, "p", "leat_pool")
            return "a job of pool " + self.say.name(p, "leat_pool")
        return None

    def cases(self):
        """Pairs of index and case. What the thread has enqueued is on its stack. Before that, its argument must do."""
        first = field(self.stack.enqueued(SELECT, "a", "leat_enqueuing_"), "first_")
        base, n = self.stack.var(SELECT, "cases"), num(self.stack.var(SELECT, "n"))
        found = []
        if self.stack.has("leat_block_"):
            while num(first) and len(found) < MANY:
                found.append(num(first))
                first = field(first, "order_")
            size = gdb.lookup_type("leat_case").sizeof
            found = [((a - num(base)) // size if num(base) else None, at(a, "leat_case")) for a in sorted(found)]
        elif num(base) and n is not None and n < MANY:
            found = [(i, base[i]) for i in range(n) if num(field(base[i], "chan_"))]
        return found

    def select(self):
        cases = self.cases()
        if len(cases) == 1 and not self.stack.has(*("leat_select" + s for s in ("", "_ctx", "_first", "_first_ctx"))):
            return [self.case(cases[0][1])]
        if not cases:
            return ["for an unknown channel"]
        lines = ["for one of " + counted(len(cases), "case")]
        for i, case in cases:
            lines.append("case%s: %s" % ("" if i is None else " %d" % i, self.case(case)))
        return lines

    def case(self, case):
        pointer, side = field(case, "chan_"), num(field(case, "side_"))
        if not num(pointer):
            return "for an unknown channel"
        chan, address = pointer.dereference(), num(pointer)
        if self.stack.has("leat_worker_loop_") and not self.stack.users:
            return "for a job of " + self.say.pool_of(address)
        if side == 0 and any(c.name.startswith(("leat_submit", "leat_pool_")) for c in self.stack.inside):
            return "to submit to " + self.say.pool_of(address)
        if self.stack.has("leat_pool_await_init_"):
            return "for a worker's init hook" + self.of("p", "leat_pool", self.say.pool)
        if self.stack.has("leat_wait_ctx"):
            return "for another thread's leat_wait to end " + self.say.group(owner(address, "leat_group", "joined_"))
        what = {0: "to send to ", 1: "to receive from "}.get(side, "at ") + self.say.chan(chan)
        if self.stack.has("leat_serve_", "leat_publish_slowly_"):
            return "to publish%s; %s" % (self.of("t", "leat_topic", self.say.topic).replace(" of ", " to ", 1), what)
        return what

    def semaphore(self):
        self_ = self.stack.enqueued("leat_sem_wait_", "self", "leat_sem_waiter_")
        need, sem = num(field(self_, "need_")), field(self_, "sem_")
        if sem is None or not num(sem):
            sem = self.stack.var("leat_sem_wait_", "s")
            need = num(self.stack.var("leat_sem_wait_", "n"))
        if not num(sem):
            return "for an unknown semaphore"
        if self.stack.has("leat_group_get_"):
            return "for an idle thread of " + self.say.group(owner(num(sem), "leat_group", "idle_"))
        if self.stack.has("leat_pool_resize_ctx"):
            return "for another resize of " + self.say.pool(owner(num(sem), "leat_pool", "resizing_"))
        return "for %s of %s" % (counted(need, "permit"), self.say.sem(sem.dereference()))

    def job(self):
        j = field(self.stack.enqueued("leat_job_wait_ctx", "self", "leat_job_waiter_"), "job_")
        if not num(j):
            j = self.stack.var("leat_job_wait_ctx", "j")
        return "for " + self.say.job(j.dereference()) if num(j) else "for an unknown job"

    def wait_group(self):
        w = field(self.stack.enqueued("leat_wg_wait_ctx", "self", "leat_wg_waiter_"), "wg_")
        if not num(w):
            w = self.stack.var("leat_wg_wait_ctx", "w")
        if not num(w):
            return "for an unknown wait group"
        if self.stack.has("leat_group_await_over_", "leat_wait_ctx"):
            return "for the tasks of " + self.say.group(owner(num(w), "leat_group", "running_"))
        if self.stack.has("leat_pool_finish_", "leat_pool_stop_ctx", "leat_pool_abort_ctx", "leat_pool_start"):
            return "for the workers of " + self.say.pool(owner(num(w), "leat_pool", "running_"))
        return "for " + self.say.wg(w.dereference())

    def contexts(self):
        """The contexts under which the thread waits, each followed by its ancestors."""
        stack, also = self.stack, 0
        blocks = [c for c in stack.inside if c.name == "leat_block_"]
        if stack.has(SELECT):
            ctx, also = stack.var(SELECT, "ctx"), stack.var(SELECT, "also")
        elif stack.has("leat_sem_wait_"):
            waiter = stack.enqueued("leat_sem_wait_", "self", "leat_sem_waiter_")
            ctx, also = field(waiter, "ctx_"), field(waiter, "also_")
        elif stack.has("leat_pool_await_"):
            pool = field(stack.enqueued("leat_pool_await_", "self", "leat_idler_"), "pool_")
            ctx = stack.var("leat_pool_await_", "ctx") or stack.var("leat_pool_wait_ctx", "ctx")
            also = field(pool.dereference(), "ctx_").address if num(pool) else 0
        else:
            ctx = next((c for c in (stack.var(f, "ctx") for f in ("leat_wg_wait_ctx", "leat_sleep_ctx", "leat_watch_")) if c), None)
        if num(ctx) is None and blocks:  # the outermost has the innermost context
            ctx = blocks[-1].var("ctx") if num(field(blocks[-1].var("link"), "linked_")) else 0
        if stack.has("leat_serve_"):
            also = 0  # it is the subscriber's
        lines = []
        for c in (ctx, also):
            if num(c) is None and blocks:
                lines.append("under an unknown context, or none")
            while num(c) and len(lines) < MANY:
                lines.append("under " + self.say.ctx(c.dereference()))
                c = field(c, "parent_")
        return lines


def report(names, thread):
    stack = Stack(thread)
    wait = Wait(names, stack)
    who = "Thread %d%s" % (stack.number, ' "%s"' % stack.name if stack.name else "")
    if not stack.inside:
        place = stack.users[0].place() if stack.users else stack.calls[0].name + " ()" if stack.calls else "unknown"
        return ["%s does not wait in leat%s: %s" % (who, " (%s)" % wait.role if wait.role else "", place)]
    if not wait.lines:
        lines = ["%s is in leat: %s ()" % (who, stack.inside[-1].name)]
    else:
        parked = stack.has("leat_park_", "leat_join_", "leat_bell_wait_")
        lines = ["%s waits%s %s" % (who, "" if parked else ", not parked,", wait.lines[0])] + wait.lines[1:]
    if not stack.has("leat_thread_main_"):
        lines.append(stack.users[0].place() if stack.users else "called from an unknown place, perhaps by a tail call")
        lines += wait.contexts()
        if wait.role:
            lines.append("in " + wait.role)
    return [lines[0]] + ["    " + line for line in lines[1:]]


# ---- Commands ----

def missing():
    """Why there is nothing to tell, or None."""
    if not gdb.selected_inferior().threads():
        return "no threads: run the program, attach to it, or load its core file"
    for kind in ("leat_node_", "leat_chan"):
        try:
            gdb.lookup_type(kind)
            return None
        except gdb.error:
            pass
    if re.search(r"\bleat_\w", gdb.execute("info functions ^leat_", to_string=True)):
        return "no debugging information: compile the program with -g"
    return "this program does not use leat, or has no debugging information (-g)"


class Leat(gdb.Command):
    """Commands for programs that use leat."""

    def __init__(self):
        super().__init__("leat", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)


class Threads(gdb.Command):
    """leat threads: for each thread, what it waits for in leat, and from where it has called."""

    def __init__(self):
        super().__init__("leat threads", gdb.COMMAND_STACK)

    def invoke(self, arg, tty):
        why = missing()
        if why:
            print("leat: " + why)
            return
        threads = sorted(gdb.selected_inferior().threads(), key=lambda t: t.num)
        thread, frame = gdb.selected_thread(), None
        try:
            frame = gdb.selected_frame()
        except gdb.error:
            pass
        try:
            calls = gdb.parameter("may-call-functions")
        except RuntimeError:
            calls = None  # an older gdb
        Call.entries = calls is not None
        counts.clear()
        try:
            if calls:
                gdb.execute("set may-call-functions off")
            names = Names(threads)
            for t in threads:
                if t.is_running():
                    print("Thread %d is not stopped" % t.num)
                    continue
                try:
                    t.switch()
                    print("\n".join(report(names, t)))
                except Exception as e:  # whatever is wrong with one thread, the others are told
                    print("Thread %d: unknown: %s" % (t.num, e))
        finally:
            if calls:
                gdb.execute("set may-call-functions on")
            if thread and thread.is_valid():
                thread.switch()
            if frame and frame.is_valid():
                frame.select()


class Chan(gdb.Command):
    """leat chan EXPRESSION: the state of a channel. EXPRESSION is a channel, or a pointer to one."""

    def __init__(self):
        super().__init__("leat chan", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, arg, tty):
        if not arg:
            raise gdb.GdbError("leat chan EXPRESSION: a channel, or a pointer to one")
        value = gdb.parse_and_eval(arg)
        if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
            value = value.dereference()
        chan = field(value, "chan")
        chan = value if chan is None else chan
        if chan.type.strip_typedefs().unqualified().tag != "leat_chan":
            raise gdb.GdbError("%s is not a channel: its type is %s" % (arg, value.type))
        counts.clear()
        ring = Ring(chan)
        print(ring.text())
        print("    tail: " + ring.end(ring.tail))
        print("    head: " + ring.end(ring.head))


Leat()
Threads()
Chan()
