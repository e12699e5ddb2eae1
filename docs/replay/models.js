/* models.js - "you are the scheduler": small models of a channel's steps, and the search that knows what can still happen.
 * SPDX-License-Identifier: MIT
 *
 * MEMORY. Each word keeps all its stores, the newest last. A thread's view says, for each word, how old a store it may
 * still read. A release attaches the view to the store, an acquire takes it over. A read-modify-write reads the newest
 * store and carries on its view. A seq_cst fence joins the thread's view with one that all fences share. That is the
 * simulator's memory (tests/explore/machine.h), except that a store never goes into the middle of a word's order.
 *
 * A MODEL has words, threads and variants. A thread is a list of steps. What a real thread does while it holds the lock
 * is one step here: no other thread can be in between, except by an access to a word, and there is one such access. */
'use strict';

/* ==== Steps ========================================================================================================= */

const load = (text, word, order, to, more = {}) => ({ kind: 'load', text, word, order, to, ...more });
const store = (text, word, order, value, more = {}) => ({ kind: 'store', text, word, order, value, ...more });
const cas = (text, word, order, from, value, more = {}) => ({ kind: 'cas', text, word, order, from, value, ...more });
const rmw = (text, word, order, change, to, more = {}) => ({ kind: 'rmw', text, word, order, change, to, ...more });
const fence = text => ({ kind: 'fence', text });
const locked = (text, act, more = {}) => ({ kind: 'locked', text, act, ...more });
const sleep = (text, more = {}) => ({ kind: 'sleep', text, ...more });
const wake = (text, whom, more = {}) => ({ kind: 'wake', text, whom, ...more });
const END = -1;

const WAIT = 2, CLOSE = 1, CLOSED = 4, POS = 8; /* the bits of tail, as in queue.h, and a position */

function tailText(v) {
  return `position ${v >> 3}` + (v & CLOSED ? ', CLOSED' : '') + (v & WAIT ? ', WAITERS' : '') + (v & CLOSE ? ', CLOSING' : '');
}

/* ==== The models ==================================================================================================== */

const MODELS = [
  {
    name: '1 sender, 1 receiver',
    learn: '02-one-to-one',
    about: 'A ring of one slot. S writes the message, then says so in tail. R waits for tail, then reads the slot. Both know their own end. ' +
      'Can R see the new tail and the old slot?',
    words: { tail: 0, head: 0, slot: 0 },
    lost: 'R took a message that is not there: it saw the new tail and the old slot.',
    variants: [
      ['all relaxed', false, ['relaxed', 'relaxed']],
      ['release alone', false, ['release', 'relaxed']],
      ['acquire alone', false, ['relaxed', 'acquire']],
      ['release and acquire', true, ['release', 'acquire']],
    ],
    threads: ([publish, look]) => {
      const S = [], R = [];
      for (const i of [0, 1]) {
        if (i) S.push(load(`wait until head is ${i} (${look})`, 'head', look, 'h', { when: v => v === i }));
        S.push(store(`slot = message ${i + 1}`, 'slot', 'relaxed', () => i + 1));
        S.push(store(`tail = ${i + 1} (${publish})`, 'tail', publish, () => i + 1));
        R.push(load(`wait until tail is more than ${i} (${look})`, 'tail', look, 't', { when: v => v > i }));
        R.push(load(`read slot`, 'slot', 'relaxed', 'm', { check: r => r.m === i + 1 ? null : 'lost' }));
        R.push(store(`head = ${i + 1} (${publish})`, 'head', publish, () => i + 1));
      }
      return { S, R };
    },
  },
  {
    name: "many senders: Vyukov's ring",
    learn: '03-many',
    about: 'A ring of two slots, two senders, one receiver. A sender claims a slot by moving tail on, writes the message, and then publishes ' +
      "the slot's stamp. The receiver waits for the stamp, not for tail.",
    words: { tail: 0, stamp0: 0, stamp1: 0, slot0: 0, slot1: 0 },
    lost: 'A message is lost: the receiver did not get what both senders sent.',
    variants: [
      ['claims by a load and a store', false, { claim: 'store' }],
      ['publishes, then writes', false, { early: true }],
      ['publishes relaxed', false, { publish: 'relaxed' }],
      ['as it is', true, {}],
    ],
    threads: how => {
      const publish = how.publish || 'release', slot = (r, what) => what + r.at;
      const sender = message => {
        const write = store(`slot[at] = message ${message}`, r => slot(r, 'slot'), 'relaxed', () => message);
        const say = store(`stamp[at] = full (${publish})`, r => slot(r, 'stamp'), publish, () => 1);
        return [
          load('at = tail', 'tail', 'relaxed', 'at', { label: 'again' }),
          how.claim ? store('tail = at + 1', 'tail', 'relaxed', r => r.at + 1)
            : cas('CAS tail from at to at + 1 (release)', 'tail', 'release', 'at', r => r.at + 1, { otherwise: 'again' }),
          ...(how.early ? [say, write] : [write, say]),
        ];
      };
      const R = [];
      for (const i of [0, 1]) {
        R.push(load(`wait until stamp[${i}] is full (acquire)`, 'stamp' + i, 'acquire', 's', { when: v => v === 1 }));
        R.push(load(`read slot[${i}]`, 'slot' + i, 'relaxed', 'm' + i, { check: r => r['m' + i] && r.m0 !== r.m1 ? null : 'lost' }));
      }
      return { S1: sender(1), S2: sender(2), R };
    },
  },
  {
    name: 'sleeping, with two words',
    learn: '06-sleep',
    about: 'S puts a message, then looks whether R sleeps. R says that it sleeps, then looks for a message. This is store buffering: each may ' +
      "miss the other's store. It takes a fence in both, so each send pays for one.",
    words: { message: 0, sleeping: 0 },
    lost: 'The wake-up is lost: R sleeps beside a message, and S has gone.',
    variants: [
      ['no fence', false, [false, false]],
      ['a fence in S', false, [true, false]],
      ['a fence in R', false, [false, true]],
      ['a fence in both', true, [true, true]],
    ],
    threads: ([s, r]) => ({
      S: [
        store('message = 1 (release)', 'message', 'release', () => 1),
        ...(s ? [fence('fence (seq_cst)')] : []),
        load('is sleeping set?', 'sleeping', 'relaxed', 'z', { next: x => x.z ? undefined : END }),
        wake('wake R', () => 'R'),
      ],
      R: [
        store('sleeping = 1 (release)', 'sleeping', 'release', () => 1),
        ...(r ? [fence('fence (seq_cst)')] : []),
        load('is there a message? (acquire)', 'message', 'acquire', 'm', { next: x => x.m ? END : undefined }),
        sleep('sleep until woken'),
      ],
    }),
  },
  {
    name: 'sleeping, with one word',
    learn: '06-sleep',
    about: 'As queue.h does it. The bit WAITERS is in tail, the word that S must change anyway. So the claim of S and the fetch-or of R come one ' +
      'after the other, whatever the memory does. No fence is needed.',
    words: { tail: 0, stamp: 0 },
    show: { tail: tailText, stamp: v => v ? 'full' : 'free' },
    lost: 'The wake-up is lost: R sleeps beside a message, and S has gone.',
    variants: [
      ['R looks, then sets the bit', false, 'look'],
      ['R does not look at what its fetch-or returns', false, 'blind'],
      ['S does not look at the bit', false, 'deaf'],
      ['as it is', true, ''],
    ],
    threads: how => ({
      S: [
        load('at = tail', 'tail', 'relaxed', 'at', { label: 'again' }),
        cas('CAS tail to the next position (release)', 'tail', 'release', 'at', r => r.at + POS, {
          otherwise: 'again', next: r => !(r.at & WAIT) || how === 'deaf' ? 'publish' : undefined }),
        locked('lock; resolve the first waiter; clear WAITERS; unlock', m => { m.r.w = m.dequeue(); m.rmw('tail', v => v & ~WAIT); }),
        store('stamp = full (release)', 'stamp', 'release', () => 1, { label: 'publish', next: r => r.w === undefined ? END : undefined }),
        wake('wake the waiter', r => r.w),
      ],
      R: [
        load('is the slot full? (acquire)', 'stamp', 'acquire', 's', { next: r => r.s ? END : undefined }),
        ...(how === 'look' ? [load('has tail moved on? (acquire)', 'tail', 'acquire', 't', { next: r => r.t >> 3 ? 'soon' : undefined })] : []),
        locked(how ? 'lock; fetch-or WAITERS; enqueue; unlock' : 'lock; fetch-or WAITERS; if it returned the old position, enqueue; unlock',
          m => { m.r.t = m.rmw('tail', v => v | WAIT); m.r.in = !!(how === 'look' || how === 'blind') || !(m.r.t >> 3); if (m.r.in) m.enqueue(); },
          { next: r => r.in ? undefined : 'soon' }),
        sleep('sleep until woken'),
        load('wait until the slot is full (acquire)', 'stamp', 'acquire', 's', { label: 'soon', when: v => v === 1 }),
      ],
    }),
  },
  {
    name: 'wake the next',
    learn: '07-chain',
    about: 'Two senders, two receivers, both parked. A sender clears WAITERS while its wake is in flight, so that not every send takes the lock. ' +
      'A sender that comes meanwhile wakes no thread. So a woken thread looks whether others wait, sets WAITERS again, and wakes the next if ' +
      'there is more than it will take (I5).',
    words: { tail: WAIT, head: 0, stamp0: 0, stamp1: 0 },
    queue: ['R1', 'R2'],
    show: { tail: tailText, stamp0: v => v ? 'full' : 'free', stamp1: v => v ? 'full' : 'free' },
    lost: 'The wake-up is lost: a receiver sleeps beside a message.',
    variants: [
      ['no thread wakes the next', false, 'none'],
      ['the woken thread sets WAITERS again, and no more', false, 'bit'],
      ['as it is', true, ''],
    ],
    threads: how => {
      const sender = [
        load('at = tail', 'tail', 'relaxed', 'at', { label: 'again' }),
        cas('CAS tail to the next position (release)', 'tail', 'release', 'at', r => r.at + POS, {
          otherwise: 'again', next: r => r.at & WAIT ? undefined : 'publish' }),
        locked('lock; resolve the first waiter; clear WAITERS; unlock', m => { m.r.w = m.dequeue(); m.rmw('tail', v => v & ~WAIT); }),
        store('stamp[at] = full (release)', r => 'stamp' + (r.at >> 3), 'release', () => 1, {
          label: 'publish', next: r => r.w === undefined ? END : undefined }),
        wake('wake the waiter', r => r.w),
      ];
      const receiver = [
        sleep('sleep until woken', { label: 'sleep' }),
        ...(how === 'none' ? [] : [locked(how === 'bit' ? 'lock; if others wait: set WAITERS; unlock' : 'lock; if others wait: set WAITERS, and resolve the next if there are two messages; unlock', m => {
          delete m.r.w;
          if (!m.waiters()) return;
          const there = m.rmw('tail', v => v | WAIT);
          if (how === 'bit' || (there >> 3) - m.newest('head') < 2) return;
          m.r.w = m.dequeue();
          m.rmw('tail', v => v & ~WAIT);
        }, { next: r => r.w === undefined ? 'try' : undefined }),
        wake('wake the next', r => r.w)]),
        load('at = head', 'head', 'relaxed', 'h', { label: 'try', next: r => r.h > 1 ? 'park' : undefined }),
        load('is slot[at] full? (acquire)', r => 'stamp' + r.h, 'acquire', 's', { next: r => r.s ? undefined : 'park' }),
        cas('CAS head to the next position', 'head', 'release', 'h', r => r.h + 1, { otherwise: 'try', next: () => END }),
        locked('lock; fetch-or WAITERS; if it returned the position of head, enqueue in front; unlock', m => {
          const there = m.rmw('tail', v => v | WAIT);
          m.r = { in: there >> 3 === m.newest('head') };
          if (m.r.in) m.enqueue(true);
        }, { label: 'park', next: r => r.in ? 'sleep' : 'try' }),
      ];
      return { S1: sender, S2: sender, R1: receiver, R2: receiver };
    },
  },
  {
    name: 'closing',
    learn: '05-close',
    about: 'Two receivers find the channel empty, and another thread closes it. CLOSING is in tail, too, so a receiver that sets WAITERS learns by the ' +
      'same step whether the close has begun. The close resolves all waiters under the lock, and wakes them.',
    words: { tail: 0 },
    show: { tail: tailText },
    lost: 'The wake-up is lost: a receiver sleeps at a closed channel.',
    variants: [
      ['a receiver looks, then sets the bit', false, 'look'],
      ['close wakes one receiver', false, 'one'],
      ['close resolves, then sets CLOSING', false, 'late'],
      ['as it is', true, ''],
    ],
    threads: how => {
      const receiver = [
        ...(how === 'look' ? [load('is it closed? (acquire)', 'tail', 'acquire', 't', { next: r => r.t & CLOSE ? END : undefined })] : []),
        locked(how === 'look' ? 'lock; fetch-or WAITERS; enqueue; unlock' : 'lock; fetch-or WAITERS; if it returned no CLOSING, enqueue; unlock', m => {
          m.r.in = !(m.rmw('tail', v => v | WAIT) & CLOSE) || how === 'look';
          if (m.r.in) m.enqueue();
        }, { next: r => r.in ? undefined : END }),
        sleep('sleep until woken'),
      ];
      const begins = rmw('fetch-or CLOSING', 'tail', 'relaxed', v => v | CLOSE, 'was');
      const resolves = locked(how === 'one' ? 'lock; resolve the first waiter; unlock' : 'lock; resolve all waiters; unlock', m => {
        m.r.all = [];
        while (m.waiters() && !(how === 'one' && m.r.all.length)) m.r.all.push(m.dequeue());
      });
      const says = rmw('fetch-or CLOSED (release)', 'tail', 'release', v => v | CLOSED, 'was');
      return { R1: receiver, R2: receiver, C: [...(how === 'late' ? [resolves, begins] : [begins, resolves]), says, wake('wake them', r => r.all)] };
    },
  },
];

/* ==== How they run ================================================================================================== */

const copy = x => JSON.parse(JSON.stringify(x));
const join = (a, b) => { if (b) for (let i = 0; i < a.length; i++) if (a[i] < b[i]) a[i] = b[i]; };

class Model {
  constructor(model, variant) {
    this.model = model;
    [this.variantName, this.right, this.how] = model.variants[variant];
    this.programs = model.threads(this.how);
    this.names = Object.keys(this.programs);
    this.words = Object.keys(model.words);
    this.fences = Object.values(this.programs).some(p => p.some(s => s.kind === 'fence'));
  }

  first() {
    const zero = this.words.map(() => 0);
    return {
      m: this.words.map(w => [{ v: this.model.words[w], w: null, t: '' }]), sc: zero, q: [...(this.model.queue || [])], lost: false,
      t: this.names.map(() => ({ pc: 0, r: {}, view: zero, rel: this.fences ? zero : null, acq: this.fences ? zero : null, woken: null })),
    };
  }

  step(s, t) { return s.t[t].pc === END ? null : this.programs[this.names[t]][s.t[t].pc]; }
  word(op, r) { return this.words.indexOf(typeof op.word === 'function' ? op.word(r) : op.word); }

  /* What each thread could do next: { thread, index of the store that it reads, or -1 }. */
  moves(s) {
    const found = [];
    if (s.lost) return found;
    s.t.forEach((th, t) => {
      const op = this.step(s, t);
      if (!op || (op.kind === 'sleep' && !th.woken)) return;
      if (op.kind !== 'load') { found.push({ t, i: -1 }); return; }
      const w = this.word(op, th.r), all = s.m[w];
      const seen = new Set();
      for (let i = all.length - 1; i >= th.view[w]; i--) {
        if (op.when && !op.when(all[i].v)) continue;
        found.push({ t, i });
      }
    });
    return found;
  }

  does(before, { t, i }) {
    const s = copy(before), th = s.t[t], op = this.step(s, t), name = this.names[t], program = this.programs[name];
    const releases = order => order === 'release';
    const put = (w, v, order, carried) => {
      th.view[w] = s.m[w].length;
      const view = releases(order) ? [...th.view] : th.rel ? [...th.rel] : null;
      if (view) { view[w] = Math.max(view[w], s.m[w].length); join(view, carried); }
      s.m[w].push({ v, w: view || (carried ? [...carried] : null), t: name });
    };
    const read = (w, k, order) => {
      const store = s.m[w][k];
      th.view[w] = Math.max(th.view[w], k);
      if (th.acq) join(th.acq, store.w);
      if (order === 'acquire') join(th.view, store.w);
      return store.v;
    };
    const modify = (w, f, order) => {
      const last = s.m[w].length - 1, carried = s.m[w][last].w, old = read(w, last, 'relaxed');
      if (f(old) !== old || releases(order)) put(w, f(old), order, carried); /* a store that changes nothing is left out */
      return old;
    };
    let next = th.pc + 1, jumped;
    switch (op.kind) {
      case 'load': th.r[op.to] = read(this.word(op, th.r), i, op.order); break;
      case 'store': put(this.word(op, th.r), op.value(th.r), op.order, null); break;
      case 'rmw': th.r[op.to] = modify(this.word(op, th.r), op.change, op.order); break;
      case 'cas': {
        const w = this.word(op, th.r), last = s.m[w].length - 1;
        if (s.m[w][last].v === th.r[op.from]) modify(w, () => op.value(th.r), op.order);
        else { th.r[op.from] = read(w, last, 'relaxed'); jumped = op.otherwise; th.r.failed = true; }
        break;
      }
      case 'fence': join(th.view, th.acq); join(th.view, s.sc); s.sc = [...th.view]; th.rel = [...th.view]; break;
      case 'locked': {
        const api = {
          r: th.r, rmw: (word, f) => modify(this.words.indexOf(word), f, 'relaxed'), newest: word => s.m[this.words.indexOf(word)].at(-1).v,
          waiters: () => s.q.length, dequeue: () => s.q.shift(), enqueue: front => front ? s.q.unshift(name) : s.q.push(name),
        };
        op.act(api);
        th.r = api.r;
        break;
      }
      case 'sleep': join(th.view, th.woken); th.woken = null; break;
      case 'wake': for (const who of [].concat(op.whom(th.r))) if (who !== undefined) s.t[this.names.indexOf(who)].woken = [...th.view]; break;
    }
    if (op.check && op.check(th.r)) s.lost = true;
    if (jumped === undefined && op.next) jumped = op.next(th.r);
    if (th.r.failed) { delete th.r.failed; }
    if (jumped !== undefined) next = typeof jumped === 'number' ? jumped : program.findIndex(o => o.label === jumped);
    th.pc = next === END || next >= program.length ? END : next;
    if (th.pc === END) Object.assign(th, { r: {}, view: this.words.map(() => 0), rel: null, acq: null });
    return s;
  }

  /* null: it goes on. 'lost', or 'done'. */
  end(s) {
    if (s.lost) return 'lost';
    if (this.moves(s).length) return null;
    return s.t.every(th => th.pc === END) ? 'done' : 'lost';
  }

  /* All that can happen from the beginning: for each state what follows, and whether it can be lost, and be done. */
  search(limit = 50000) {
    const nodes = new Map(), start = this.first(), todo = [start];
    nodes.set(JSON.stringify(start), { to: [], from: [], lost: false, done: false });
    while (todo.length) {
      const s = todo.pop(), key = JSON.stringify(s), node = nodes.get(key), end = this.end(s);
      node.end = end;
      if (end) continue;
      for (const m of this.moves(s)) {
        const after = this.does(s, m), k = JSON.stringify(after);
        let n = nodes.get(k);
        if (!n) {
          if (nodes.size >= limit) throw new Error('too many states');
          nodes.set(k, n = { to: [], from: [], lost: false, done: false });
          todo.push(after);
        }
        node.to.push(n);
        n.from.push(node);
      }
    }
    for (const what of ['lost', 'done']) {
      let layer = [...nodes.values()].filter(n => n.end === what);
      for (let far = 0; layer.length; far++) {
        const more = [];
        for (const n of layer) if (!n[what]) { n[what] = true; n[what + 'In'] = far; more.push(...n.from); }
        layer = more.filter(n => !n[what]);
      }
    }
    this.nodes = nodes;
    return nodes.size;
  }

  node(s) { return this.nodes.get(JSON.stringify(s)); }

  /* What the page knows of a state. */
  knows(s) {
    const n = this.node(s);
    return n.end === 'lost' || !n.done ? 'lost' : n.end === 'done' ? 'done' : n.lost ? 'open' : 'safe';
  }

  show(w, v) { return (this.model.show && this.model.show[this.words[w]] || String)(v); }

  describe(s, { t, i }) {
    const op = this.step(s, t), th = s.t[t];
    let text = `${this.names[t]}: ${op.text}`;
    if (op.kind === 'load') {
      const w = this.word(op, th.r), stale = i < s.m[w].length - 1;
      text += ` → ${this.show(w, s.m[w][i].v)}${stale ? ', stale' : ''}`;
    }
    if (op.kind === 'cas') { const w = this.word(op, th.r); if (s.m[w].at(-1).v !== th.r[op.from]) text += ' → fails'; }
    return text;
  }
}

/* ==== The page ====================================================================================================== */

let play = null, testing = false;

function chooseModel(k, variant) {
  const model = new Model(MODELS[k], variant), states = model.search();
  play = { k, variant, model, states, path: [], s: model.first() };
  $('model').value = String(k);
  $('model-about').replaceChildren(MODELS[k].about + ' ', ...lesson(MODELS[k].learn));
  $('model-variants').replaceChildren(...MODELS[k].variants.map(([name, right], v) => el('button', {
    onclick: () => chooseModel(k, v), 'aria-pressed': String(v === variant) }, `${right ? '✓' : '✗'} ${name}`)));
  drawPlay();
}

function doMove(m) {
  play.path.push({ s: play.s, text: play.model.describe(play.s, m), stale: m.i >= 0 && m.i < play.s.m[play.model.word(play.model.step(play.s, m.t), play.s.t[m.t].r)].length - 1 });
  play.s = play.model.does(play.s, m);
  drawPlay();
}

function drawPlay() {
  const { model, s } = play, moves = model.moves(s), hints = $('hint').getAttribute('aria-pressed') === 'true';
  const state = model.knows(s), ended = model.end(s);
  const texts = {
    lost: ended ? `✗ Lost. ${model.model.lost}` : `✗ Lost already: whatever comes now, it ends so. ${model.model.lost}`,
    done: '✓ All threads are done, and nothing was lost.',
    safe: play.path.length ? '✓ From here it cannot be lost any more: every way that is left ends well.' : `✓ It cannot be lost: all ${play.states} states were searched. Try it all the same.`,
    open: `It can still be lost. (${play.states} states in all.)`,
  };
  $('knows').className = 'verdict ' + (state === 'lost' ? 'bad' : state === 'open' ? '' : 'good');
  $('knows').textContent = texts[state];
  $('lose').disabled = !model.node(s).lost || !!ended;
  $('undo').disabled = !play.path.length;
  let number = 0;
  $('programs').replaceChildren(...model.names.map((name, t) => {
    const th = s.t[t], program = model.programs[name], op = model.step(s, t);
    const mine = moves.filter(m => m.t === t);
    const buttons = mine.map(m => {
      const next = model.node(model.does(s, m)), text = model.describe(s, m).slice(name.length + 2), stale = /, stale$/.test(text);
      const tells = hints ? (!next.done ? ' ✗ loses it' : next.lost ? ' … can still lose' : ' ✓ safe') : '';
      number++;
      return el('button', { onclick: () => doMove(m), className: stale ? 'move-stale' : '' }, `${number <= 9 ? number + '. ' : ''}${text}${tells}`);
    });
    const idle = th.pc === END ? 'done' : op.kind === 'sleep' ? 'asleep' : 'waits: no store that it may see is the one';
    return el('div', { className: 'box program' }, el('h2', {}, name),
      el('ol', {}, ...program.map((o, i) => el('li', { className: i === th.pc ? 'at' : '' }, o.text))),
      el('div', { className: 'moves' }, ...(buttons.length ? buttons : [el('span', { className: 'chip' + (th.pc !== END && ended ? ' bad' : '') }, idle)])));
  }));
  $('cells').replaceChildren(...model.words.map((word, w) => el('tr', {}, el('th', { scope: 'row' }, word), el('td', {},
    ...s.m[w].map((x, i) => el('span', { className: 'store' + (i === s.m[w].length - 1 ? ' newest' : '') }, `${model.show(w, x.v)}${x.t ? ' by ' + x.t : ''}`))))));
  const usesQueue = model.model.queue || Object.values(model.programs).some(p => p.some(o => o.kind === 'locked'));
  $('model-queue').replaceChildren(...(usesQueue ? [el('div', { className: 'chips' }, el('span', { className: 'mono' }, 'wait queue:'),
    ...(s.q.length ? s.q.map(n => el('span', { className: 'chip asleep' }, n)) : [el('span', { className: 'quiet' }, 'no thread')]))] : []));
  $('log').replaceChildren(...play.path.map(p => el('li', p.stale ? { style: 'color:var(--bad)' } : {}, p.text)));
  $('log').scrollTop = 1e6;
  if (!testing) history.replaceState(null, '', `#model=${play.k}&variant=${play.variant}`);
}

/* The shortest way to lose it, from where the reader is. */
function loseIt() {
  while (!play.model.end(play.s)) {
    const moves = play.model.moves(play.s).map(m => [m, play.model.node(play.model.does(play.s, m))]).filter(([, n]) => n.lost);
    if (!moves.length) return;
    moves.sort((a, b) => a[1].lostIn - b[1].lostIn);
    doMove(moves[0][0]);
  }
}

$('undo').onclick = () => { if (play.path.length) { play.s = play.path.pop().s; drawPlay(); } };
$('again').onclick = () => { play.path = []; play.s = play.model.first(); drawPlay(); };
$('hint').onclick = () => { $('hint').setAttribute('aria-pressed', String($('hint').getAttribute('aria-pressed') !== 'true')); drawPlay(); };
$('lose').onclick = loseIt;
$('model').replaceChildren(...MODELS.map((m, k) => el('option', { value: String(k) }, `${k + 1}. ${m.name}`)));
$('model').onchange = () => chooseModel(+$('model').value, 0);

/* ==== The page tests itself: #selftest steps through all traces (or =N of them), and searches and loses all models ==== */

async function selftest(most) {
  testing = true;
  const result = { traces: 0, steps: 0, failures: [], models: [] };
  const wrong = text => result.failures.push(text);
  const press = key => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  const every = Math.max(1, Math.ceil(list.length / (most || list.length)));
  for (let k = 0; k < list.length; k += every) for (let v = 0; v < list[k].traces.length; v++) {
    const [name, verdict] = list[k].traces[v];
    try {
      await chooseEntry(k, v);
      if (trace.verdict !== verdict) wrong(`${name}: verdict ${trace.verdict}`);
      const n = trace.steps.length;
      for (let moved = -1; moved !== at;) { moved = at; press('ArrowRight'); result.steps++; }
      if (at !== n - 1) wrong(`${name}: ends at ${at} of ${n}`);
      if (verdict === 'failed' && !$('now').textContent.includes(trace.failure)) wrong(`${name}: does not show the failure`);
      if (/NaN|undefined|\[object/.test($('replay').textContent)) wrong(`${name}: ${/.{30}(NaN|undefined|\[object).{10}/.exec($('replay').textContent)}`);
      press('Home');
      if (at !== 0) wrong(`${name}: Home`);
      if (verdict === 'failed') { press('f'); if (at !== n - 1) wrong(`${name}: F`); }
      for (const s of trace.steps) if (s.after.some(([from]) => from < 0 || from >= n || trace.steps[from] === undefined)) wrong(`${name}: an edge from nowhere`);
      result.traces++;
    } catch (e) { wrong(`${name}: ${e.message}`); }
  }
  tab('play');
  for (let k = 0; k < MODELS.length; k++) for (let v = 0; v < MODELS[k].variants.length; v++) {
    const [variant, right] = MODELS[k].variants[v], what = `${MODELS[k].name}, ${variant}`;
    try {
      const since = performance.now();
      chooseModel(k, v);
      const known = play.model.knows(play.s), took = Math.round(performance.now() - since);
      if (right && !$('knows').textContent.includes('cannot be lost')) wrong(`${what}: ${$('knows').textContent}`);
      if (!right) {
        if (known !== 'open') wrong(`${what}: ${known} at the start`);
        $('lose').click();
        if (!$('knows').textContent.includes('Lost. ')) wrong(`${what}: not lost by the way to lose it`);
      }
      $('again').click(); /* and to the end by the first move that there is */
      for (let n = 0; n < 300; n++) { const b = document.querySelector('#programs .moves button'); if (!b) break; b.click(); }
      if (!play.model.end(play.s)) wrong(`${what}: does not end`);
      result.models.push([what, right, play.states, took]);
    } catch (e) { wrong(`${what}: ${e.message}`); }
  }
  result.failures.push(...errors);
  document.body.replaceChildren(el('pre', { id: 'selftest' }, JSON.stringify(result, null, 1)));
}

/* ==== Begin ==== */

document.head.append(el('script', { src: 'traces/list.js', onload: begin, onerror: begin }));

async function begin() {
  fillList();
  const said = new URLSearchParams(location.hash.slice(1));
  if (said.has('selftest')) { await selftest(+said.get('selftest')); return; }
  if (said.has('model')) {
    tab('play');
    chooseModel(Math.min(MODELS.length - 1, +said.get('model') || 0), +said.get('variant') || 0);
    if (said.has('lose')) loseIt();
  }
  let entry = 0, variant = 0;
  list.forEach((e, k) => e.traces.forEach(([name], v) => { if (name === said.get('trace')) { entry = k; variant = v; } }));
  if (list.length) {
    await chooseEntry(entry, variant);
    if (said.has('step')) go(+said.get('step'));
  }
}
