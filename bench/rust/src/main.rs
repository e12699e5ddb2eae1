// crossbeam's channel, and its bare ArrayQueue. The works of works.h are written again here, because a call of Rust
// cannot be inlined into a loop in C. `contestants channel WORK..` or `contestants queue WORK..`.
// SPDX-License-Identifier: MIT
use crossbeam_channel as cb;
use crossbeam_queue::ArrayQueue;
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const THE_END: u64 = u64::MAX;

// ---- what both have ----

trait Queue: Clone + Send + 'static {
    fn new(cap: usize) -> Self;
    fn try_send(&self, m: u64) -> bool;
    fn try_recv(&self) -> Option<u64>;
    fn send(&self, m: u64) {
        let mut failures = 0;
        while !self.try_send(m) {
            patience(&mut failures);
        }
    }
    fn recv(&self) -> u64 {
        let mut failures = 0;
        loop {
            if let Some(m) = self.try_recv() {
                return m;
            }
            patience(&mut failures);
        }
    }
}

fn patience(failures: &mut u32) {
    *failures += 1;
    if *failures > 8 {
        thread::yield_now();
    } else {
        for _ in 0..64 {
            std::hint::spin_loop();
        }
    }
}

#[derive(Clone)]
struct Channel(cb::Sender<u64>, cb::Receiver<u64>);

impl Queue for Channel {
    fn new(cap: usize) -> Self {
        let (s, r) = cb::bounded(cap);
        Channel(s, r)
    }
    fn try_send(&self, m: u64) -> bool {
        self.0.try_send(m).is_ok()
    }
    fn try_recv(&self) -> Option<u64> {
        self.1.try_recv().ok()
    }
    fn send(&self, m: u64) {
        self.0.send(m).unwrap()
    }
    fn recv(&self) -> u64 {
        self.1.recv().unwrap()
    }
}

#[derive(Clone)]
struct Array(Arc<ArrayQueue<u64>>);

impl Queue for Array {
    fn new(cap: usize) -> Self {
        Array(Arc::new(ArrayQueue::new(cap)))
    }
    fn try_send(&self, m: u64) -> bool {
        self.0.push(m).is_ok()
    }
    fn try_recv(&self) -> Option<u64> {
        self.0.pop()
    }
}

// A queue of which only the try forms are used, as if it could not block.
#[derive(Clone)]
struct Tried<Q>(Q);

impl<Q: Queue> Queue for Tried<Q> {
    fn new(cap: usize) -> Self {
        Tried(Q::new(cap))
    }
    fn try_send(&self, m: u64) -> bool {
        self.0.try_send(m)
    }
    fn try_recv(&self) -> Option<u64> {
        self.0.try_recv()
    }
}

// ---- the clocks ----

#[derive(Clone, Copy, Default)]
struct Meter {
    wall: i64,
    cpu: i64,
    sleeps: i64,
    preemptions: i64,
}

#[repr(C)]
struct Rusage {
    utime: [i64; 2],
    stime: [i64; 2],
    unused: [i64; 12],
    nvcsw: i64,
    nivcsw: i64,
}

extern "C" {
    fn getrusage(who: i32, r: *mut Rusage) -> i32;
}

fn meter(since: Instant) -> Meter {
    let mut r: Rusage = unsafe { std::mem::zeroed() };
    unsafe { getrusage(0, &mut r) };
    Meter {
        wall: since.elapsed().as_nanos() as i64,
        cpu: (r.utime[0] + r.stime[0]) * 1_000_000_000 + (r.utime[1] + r.stime[1]) * 1000,
        sleeps: r.nvcsw,
        preemptions: r.nivcsw,
    }
}

struct Round {
    since: Instant,
    from: Meter,
    to: Meter,
    n: u64,
    wrong: String,
    more: String,
}

impl Round {
    fn begins(&mut self) {
        self.from = meter(self.since)
    }
    fn ends(&mut self, n: u64) {
        self.to = meter(self.since);
        self.n = n;
    }
    fn must_sum(&mut self, n: u64, count: u64, sum: u64) {
        if count != n || sum != n * (n + 1) / 2 {
            self.wrong = format!("{} of {} arrived", count, n);
        }
    }
}

type Args = HashMap<String, u64>;

// ---- the works ----

fn flow<Q: Queue>(r: &mut Round, n: u64, arg: &Args) {
    let q = Q::new(arg["cap"] as usize);
    let (senders, receivers) = (arg["senders"], arg["receivers"]);
    let start = Arc::new(Barrier::new((senders + receivers + 1) as usize));
    let left = Arc::new(AtomicU64::new(senders));
    let mut threads = Vec::new();
    for i in 0..senders {
        let (q, start, left) = (q.clone(), start.clone(), left.clone());
        let (first, last) = (1 + n * i / senders, n * (i + 1) / senders);
        threads.push(thread::spawn(move || {
            start.wait();
            for m in first..=last {
                q.send(m);
            }
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                for _ in 0..receivers {
                    q.send(THE_END);
                }
            }
            (0, 0)
        }));
    }
    for _ in 0..receivers {
        let (q, start) = (q.clone(), start.clone());
        threads.push(thread::spawn(move || {
            start.wait();
            let (mut count, mut sum) = (0u64, 0u64);
            loop {
                match q.recv() {
                    THE_END => return (count, sum),
                    m => {
                        count += 1;
                        sum += m;
                    }
                }
            }
        }));
    }
    r.begins();
    start.wait();
    let (mut count, mut sum) = (0, 0);
    for t in threads {
        let (c, s) = t.join().unwrap();
        count += c;
        sum += s;
    }
    r.ends(n);
    r.must_sum(n, count, sum);
}

fn pair<Q: Queue>(r: &mut Round, n: u64, arg: &Args) {
    let q = Q::new(arg["cap"] as usize);
    let (mut count, mut sum) = (0, 0);
    r.begins();
    for m in 1..=n {
        q.send(m);
        sum += q.recv();
        count += 1;
    }
    r.ends(n);
    r.must_sum(n, count, sum);
}

fn fill<Q: Queue>(r: &mut Round, n: u64, arg: &Args) {
    let cap = arg["cap"];
    let q = Q::new(cap as usize);
    let n = (n + cap - 1) / cap * cap;
    let (mut count, mut sum) = (0, 0);
    r.begins();
    for m in (1..=n).step_by(cap as usize) {
        for i in 0..cap {
            q.send(m + i);
        }
        for _ in 0..cap {
            sum += q.recv();
            count += 1;
        }
    }
    r.ends(n);
    r.must_sum(n, count, sum);
}

fn ping_pong<Q: Queue>(r: &mut Round, n: u64, arg: &Args, mut each: Option<&mut dyn FnMut(u64)>) {
    let (to, back) = (Q::new(arg["cap"] as usize), Q::new(arg["cap"] as usize));
    let (to2, back2) = (to.clone(), back.clone());
    let other = thread::spawn(move || loop {
        match to2.recv() {
            THE_END => return,
            m => back2.send(m),
        }
    });
    let (mut count, mut sum) = (0, 0);
    to.send(0); // the other has started when this comes back
    back.recv();
    r.begins();
    for m in 1..=n {
        let from = each.is_some().then(Instant::now);
        to.send(m);
        sum += back.recv();
        count += 1;
        if let Some(f) = each.as_mut() {
            f(from.unwrap().elapsed().as_nanos() as u64);
        }
    }
    r.ends(n);
    to.send(THE_END);
    other.join().unwrap();
    r.must_sum(n, count, sum);
}

// A histogram of 32 steps for each doubling, as in works.h.
fn latency<Q: Queue>(r: &mut Round, n: u64, arg: &Args) {
    let mut histogram = vec![0u64; 64 * 32];
    let mut longest = 0;
    let mut each = |ns: u64| {
        longest = longest.max(ns);
        let b = if ns < 32 {
            ns
        } else {
            let high = 63 - ns.leading_zeros() as u64;
            (high - 4) * 32 + (ns >> (high - 5) & 31)
        };
        histogram[b as usize] += 1;
    };
    ping_pong::<Q>(r, n, arg, Some(&mut each));
    let mut seen = 0;
    let mut at = Vec::new();
    for (b, k) in histogram.iter().enumerate() {
        seen += k;
        while at.len() < 3 && seen as f64 >= [0.5, 0.99, 0.999][at.len()] * n as f64 {
            at.push(if b < 32 { b as u64 } else { (32 + b as u64 % 32) << (b / 32 - 1) });
        }
    }
    r.more = format!(", \"p50\": {}, \"p99\": {}, \"p99.9\": {}, \"max\": {}", at[0], at[1], at[2], longest);
}

fn burst(r: &mut Round, n: u64, arg: &Args) {
    let k = arg["receivers"];
    let (mut wall, mut cpu, mut count, mut sum) = (0, 0, 0, 0);
    let first = meter(r.since);
    for i in 0..n {
        let q = Channel::new(arg["cap"] as usize);
        let hold = Arc::new(Barrier::new(k as usize + 1));
        let last = Arc::new(Mutex::new((0i64, 0u64, 0u64)));
        let since = r.since;
        let threads: Vec<_> = (0..k)
            .map(|_| {
                let (q, hold, last) = (q.clone(), hold.clone(), last.clone());
                thread::spawn(move || {
                    let m = q.recv();
                    let t = since.elapsed().as_nanos() as i64;
                    {
                        let mut l = last.lock().unwrap();
                        *l = (l.0.max(t), l.1 + 1, l.2 + m);
                    }
                    hold.wait();
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(5));
        r.begins();
        for j in 0..k {
            q.send(i * k + j + 1);
        }
        hold.wait();
        r.ends(1);
        for t in threads {
            t.join().unwrap();
        }
        let l = last.lock().unwrap();
        wall += l.0 - r.from.wall;
        cpu += r.to.cpu - r.from.cpu;
        count += l.1;
        sum += l.2;
    }
    r.from = first;
    r.ends(n);
    r.to.wall = first.wall + wall;
    r.to.cpu = first.cpu + cpu;
    r.must_sum(n * k, count, sum);
}

fn idle(r: &mut Round, arg: &Args) {
    let q = Channel::new(arg["cap"] as usize);
    let threads: Vec<_> = (0..arg["receivers"])
        .map(|_| {
            let q = q.clone();
            thread::spawn(move || {
                q.recv();
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(200));
    r.begins();
    thread::sleep(Duration::from_secs(1));
    r.ends(1);
    for _ in 0..arg["receivers"] {
        q.send(1);
    }
    for t in threads {
        t.join().unwrap();
    }
}

fn select(r: &mut Round, n: u64, arg: &Args) {
    let (k, ready) = (arg["cases"] as usize, arg["ready"] as usize);
    let chans: Vec<_> = (0..k).map(|_| Channel::new(64)).collect();
    let mut select = cb::Select::new();
    for c in &chans {
        select.recv(&c.1);
    }
    let (mut sent, mut received, mut next) = (0u64, 0u64, 0u64);
    for c in chans.iter().take(ready) {
        next += 1;
        sent += next;
        c.send(next);
    }
    r.begins();
    for _ in 0..n {
        let op = select.select();
        let mut i = op.index();
        received += op.recv(&chans[i].1).unwrap();
        if ready == 1 {
            i = (i + 1) % k;
        }
        next += 1;
        sent += next;
        chans[i].send(next);
    }
    r.ends(n);
    for _ in 0..ready {
        let op = select.select();
        let i = op.index();
        received += op.recv(&chans[i].1).unwrap();
    }
    if sent != received {
        r.wrong = "the sum of what was received is not that of what was sent".into();
    }
}

// ---- main ----

fn run<Q: Queue>(work: &str, r: &mut Round, n: u64, arg: &Args) {
    match work {
        "flow" => flow::<Q>(r, n, arg),
        "pair" => pair::<Q>(r, n, arg),
        "fill" => fill::<Q>(r, n, arg),
        "ping-pong" => ping_pong::<Q>(r, n, arg, None),
        "latency" => latency::<Q>(r, n, arg),
        _ => r.wrong = format!("what is {}?", work),
    }
}

fn main() {
    let mut arg: Args = [
        ("senders", 1), ("receivers", 1), ("cap", 1024), ("batch", 1), ("blocking", 1), ("pin", 0), ("workers", 2),
        ("spin", 0), ("limit", 2), ("cases", 2), ("ready", 1),
    ]
    .iter()
    .map(|(k, v)| (k.to_string(), *v))
    .collect();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let queue = words.first().map(|w| w == "queue").unwrap_or(false);
    let mut work = String::new();
    for w in words.iter().skip(1) {
        match w.split_once('=') {
            Some((name, value)) => {
                arg.insert(name.into(), value.parse().unwrap());
            }
            None => work = w.clone(),
        }
    }
    if work == "can" {
        let more = if queue { "try" } else { "burst idle select blocking try unbuffered" };
        println!("flow pair fill ping-pong latency {}", more);
        return;
    }
    for line in io::stdin().lock().lines() {
        let n: u64 = match line.unwrap().trim().parse() {
            Ok(n) => n,
            Err(_) => continue,
        };
        let none = Meter::default();
        let (wrong, more) = (String::new(), String::new());
        let mut r = Round { since: Instant::now(), from: none, to: none, n, wrong, more };
        match (work.as_str(), queue, arg["blocking"] == 1) {
            ("burst", ..) => burst(&mut r, n, &arg),
            ("idle", ..) => idle(&mut r, &arg),
            ("select", ..) => select(&mut r, n, &arg),
            (w, true, _) => run::<Array>(w, &mut r, n, &arg),
            (w, false, true) => run::<Channel>(w, &mut r, n, &arg),
            (w, false, false) => run::<Tried<Channel>>(w, &mut r, n, &arg),
        }
        if !r.wrong.is_empty() {
            r.more += &format!(", \"wrong\": \"{}\"", r.wrong);
        }
        println!(
            "{{\"n\": {}, \"wall\": {}, \"cpu\": {}, \"sleeps\": {}, \"preemptions\": {}{}}}",
            r.n, r.to.wall - r.from.wall, r.to.cpu - r.from.cpu, r.to.sleeps - r.from.sleeps,
            r.to.preemptions - r.from.preemptions, r.more
        );
        io::stdout().flush().unwrap();
    }
}
