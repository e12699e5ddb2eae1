// Go's channels, a worker pool on one, errgroup and semaphore.Weighted. The works of works.h are written again here,
// because a call of Go cannot be inlined into a loop in C.
// SPDX-License-Identifier: MIT
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

type msg = uint64

var arg = map[string]uint64{"senders": 1, "receivers": 1, "cap": 1024, "batch": 1, "blocking": 1, "pin": 0,
	"workers": 2, "spin": 0, "limit": 2, "cases": 2, "ready": 1, "subscribers": 0, "others": 0, "every": 0}

// ---- the clocks ----

type meter struct {
	wall, cpu           int64
	sleeps, preemptions int64
}

var began = time.Now()

func now() int64 { return int64(time.Since(began)) }

func meterNow() meter {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	cpu := (r.Utime.Sec+r.Stime.Sec)*1e9 + (r.Utime.Usec+r.Stime.Usec)*1e3
	return meter{now(), cpu, r.Nvcsw, r.Nivcsw}
}

type round struct {
	from, to    meter
	n           uint64
	wrong, more string
}

func (r *round) begins()       { r.from = meterNow() }
func (r *round) ends(n uint64) { r.to, r.n = meterNow(), n }

func (r *round) mustSum(n, count, sum uint64) {
	if count != n || sum != n*(n+1)/2 {
		r.wrong = fmt.Sprintf("%d of %d arrived", count, n)
	}
}

func workFor(steps uint64) uint64 {
	x := steps
	for i := uint64(0); i < steps; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

var sink uint64 // so that no work is left out; each goroutine adds what it made once

// ---- channels ----

func trySend(c chan msg, m msg) bool {
	select {
	case c <- m:
		return true
	default:
		return false
	}
}

// Go has no pause instruction. This takes as long as 64 pauses on the machines that we know.
func patience(failures *int) {
	if *failures++; *failures > 8 {
		runtime.Gosched()
	} else {
		for from := now(); now()-from < 2500; {
		}
	}
}

func flow(r *round, n uint64) {
	c := make(chan msg, arg["cap"])
	blocking, senders, receivers := arg["blocking"] == 1, arg["senders"], arg["receivers"]
	var sending, all sync.WaitGroup
	var count, sum uint64
	start := make(chan bool)
	for i := uint64(0); i < senders; i++ {
		first, last := 1+n*i/senders, n*(i+1)/senders
		sending.Add(1)
		all.Add(1)
		go func() {
			defer all.Done()
			defer sending.Done()
			<-start
			for m := first; m <= last; m++ {
				if blocking {
					c <- m
				} else {
					for failures := 0; !trySend(c, m); {
						patience(&failures)
					}
				}
			}
		}()
	}
	for i := uint64(0); i < receivers; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			<-start
			k, s, failures := uint64(0), uint64(0), 0
			if blocking {
				for m := range c {
					s += m
					k++
				}
			} else {
				for on := true; on; {
					select {
					case m, ok := <-c:
						if on = ok; ok {
							s += m
							k++
						}
						failures = 0
					default:
						patience(&failures)
					}
				}
			}
			atomic.AddUint64(&count, k)
			atomic.AddUint64(&sum, s)
		}()
	}
	r.begins()
	close(start)
	sending.Wait()
	close(c)
	all.Wait()
	r.ends(n)
	r.mustSum(n, count, sum)
}

func pair(r *round, n uint64) {
	c := make(chan msg, arg["cap"])
	count, sum := uint64(0), uint64(0)
	blocking, failures := arg["blocking"] == 1, 0
	r.begins()
	for m := uint64(1); m <= n; m++ {
		if blocking {
			c <- m
			sum += <-c
		} else {
			for !trySend(c, m) {
				patience(&failures)
			}
			select {
			case x := <-c:
				sum += x
			default:
				continue // it will be missing
			}
		}
		count++
	}
	r.ends(n)
	r.mustSum(n, count, sum)
}

func fill(r *round, n uint64) {
	cap := arg["cap"]
	c := make(chan msg, cap)
	count, sum := uint64(0), uint64(0)
	n = (n + cap - 1) / cap * cap
	r.begins()
	for m := uint64(1); m <= n; m += cap {
		for i := uint64(0); i < cap; i++ {
			c <- m + i
		}
		for i := uint64(0); i < cap; i++ {
			sum += <-c
			count++
		}
	}
	r.ends(n)
	r.mustSum(n, count, sum)
}

func pingPong(r *round, n uint64, each func(ns int64)) {
	to, back := make(chan msg, arg["cap"]), make(chan msg, arg["cap"])
	count, sum := uint64(0), uint64(0)
	go func() {
		for m := range to {
			back <- m
		}
	}()
	to <- 0 // the other has started when this comes back
	<-back
	r.begins()
	for m := uint64(1); m <= n; m++ {
		if each == nil {
			to <- m
			sum += <-back
		} else {
			from := now()
			to <- m
			sum += <-back
			each(now() - from)
		}
		count++
	}
	r.ends(n)
	close(to)
	r.mustSum(n, count, sum)
}

// A histogram of 32 steps for each doubling, as in works.h.
func latency(r *round, n uint64) {
	var histogram [64 * 32]uint64
	longest := int64(0)
	pingPong(r, n, func(ns int64) {
		if ns > longest {
			longest = ns
		}
		b := int(ns)
		if ns >= 32 {
			high := int(math.Log2(float64(ns)))
			if int64(1)<<high > ns {
				high--
			}
			b = (high-4)*32 + int(ns>>(high-5)&31)
		}
		histogram[b]++
	})
	at, seen, p := [3]int64{}, uint64(0), 0
	for b := 0; b < len(histogram) && p < 3; b++ {
		seen += histogram[b]
		for p < 3 && float64(seen) >= [...]float64{.5, .99, .999}[p]*float64(n) {
			if at[p] = int64(b); b >= 32 {
				at[p] = int64(32+b%32) << (b/32 - 1)
			}
			p++
		}
	}
	r.more = fmt.Sprintf(`, "p50": %d, "p99": %d, "p99.9": %d, "max": %d`, at[0], at[1], at[2], longest)
}

func burst(r *round, n uint64) {
	first := meterNow()
	wall, cpu, k := int64(0), int64(0), arg["receivers"]
	count, sum := uint64(0), uint64(0)
	for i := uint64(0); i < n; i++ {
		c := make(chan msg, arg["cap"])
		var last int64
		var awake, gone sync.WaitGroup
		var lock sync.Mutex
		awake.Add(int(k))
		gone.Add(int(k))
		hold := make(chan bool)
		for j := uint64(0); j < k; j++ {
			go func() {
				m := <-c
				t := now()
				lock.Lock()
				if t > last {
					last = t
				}
				count++
				sum += m
				lock.Unlock()
				awake.Done()
				<-hold
				gone.Done()
			}()
		}
		time.Sleep(5 * time.Millisecond)
		r.begins()
		for j := uint64(0); j < k; j++ {
			c <- i*k + j + 1
		}
		awake.Wait()
		r.ends(1)
		close(hold)
		gone.Wait()
		wall += last - r.from.wall
		cpu += r.to.cpu - r.from.cpu
	}
	r.from = first
	r.ends(n)
	r.to.wall, r.to.cpu = first.wall+wall, first.cpu+cpu
	r.mustSum(n*k, count, sum)
}

func idle(r *round, n uint64) {
	c := make(chan msg, arg["cap"])
	for j := uint64(0); j < arg["receivers"]; j++ {
		go func() { <-c }()
	}
	time.Sleep(200 * time.Millisecond)
	r.begins()
	time.Sleep(time.Second)
	r.ends(1)
	close(c)
}

// ---- a pool: workers that range over a channel of jobs ----

type job struct {
	run    func(uint64)
	number uint64
}

type pool struct {
	jobs       chan job
	running    sync.WaitGroup
	count, sum uint64
}

func newPool(workers, cap uint64) *pool {
	p := &pool{jobs: make(chan job, cap)}
	for i := uint64(0); i < workers; i++ {
		p.running.Add(1)
		go func() {
			defer p.running.Done()
			count, sum := uint64(0), uint64(0)
			for j := range p.jobs {
				j.run(j.number)
				count++
				sum += j.number
			}
			atomic.AddUint64(&p.count, count)
			atomic.AddUint64(&p.sum, sum)
		}()
	}
	return p
}

func jobs(r *round, n uint64) {
	p, spin := newPool(arg["workers"], arg["cap"]), arg["spin"]
	var made uint64
	f := func(uint64) {
		if spin > 0 && workFor(spin) == 1 {
			atomic.AddUint64(&made, 1)
		}
	}
	r.begins()
	for i := uint64(1); i <= n; i++ {
		p.jobs <- job{f, i}
	}
	close(p.jobs)
	p.running.Wait()
	r.ends(n)
	sink += made
	r.mustSum(n, p.count, p.sum)
}

func churn(r *round, n uint64) {
	p := newPool(arg["workers"], arg["cap"])
	done := make(chan bool, 1)
	f := func(uint64) { done <- true }
	r.begins()
	for i := uint64(1); i <= n; i++ {
		p.jobs <- job{f, i}
		<-done
	}
	r.ends(n)
	close(p.jobs)
	p.running.Wait()
	r.mustSum(n, p.count, p.sum)
}

// ---- semaphores ----

func (r *round) permitsBack(s *semaphore.Weighted) {
	if !s.TryAcquire(int64(arg["cap"])) {
		r.wrong = "permits are missing"
	}
}

func semPair(r *round, n uint64) {
	s, ctx := semaphore.NewWeighted(int64(arg["cap"])), context.Background()
	r.begins()
	for i := uint64(0); i < n; i++ {
		s.Acquire(ctx, 1)
		s.Release(1)
	}
	r.ends(n)
	r.permitsBack(s)
}

func sem(r *round, n uint64) {
	s, ctx := semaphore.NewWeighted(int64(arg["cap"])), context.Background()
	var all sync.WaitGroup
	var made uint64
	start := make(chan bool)
	for i := uint64(0); i < arg["workers"]; i++ {
		all.Add(1)
		most, permits := int64(arg["batch"]), int64(1)
		if most > 1 {
			permits += int64(i) % most
		}
		share := n*(i+1)/arg["workers"] - n*i/arg["workers"]
		go func() {
			defer all.Done()
			<-start
			x := uint64(0)
			for k := uint64(0); k < share; k++ {
				s.Acquire(ctx, permits)
				x += workFor(4)
				s.Release(permits)
			}
			atomic.AddUint64(&made, x)
		}()
	}
	r.begins()
	close(start)
	all.Wait()
	r.ends(n)
	sink += made
	r.permitsBack(s)
}

// ---- select ----

func selectOne(r *round, n uint64) {
	k, ready := int(arg["cases"]), int(arg["ready"])
	c := make([]chan msg, k)
	cases := make([]reflect.SelectCase, k)
	for i := range c {
		c[i] = make(chan msg, 64)
		cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c[i])}
	}
	sent, received, next := uint64(0), uint64(0), uint64(0)
	one := func() int {
		switch k {
		case 2:
			select {
			case m := <-c[0]:
				received += m
				return 0
			case m := <-c[1]:
				received += m
				return 1
			}
		case 8:
			i, m := 0, msg(0)
			select {
			case m = <-c[0]:
				i = 0
			case m = <-c[1]:
				i = 1
			case m = <-c[2]:
				i = 2
			case m = <-c[3]:
				i = 3
			case m = <-c[4]:
				i = 4
			case m = <-c[5]:
				i = 5
			case m = <-c[6]:
				i = 6
			case m = <-c[7]:
				i = 7
			}
			received += m
			return i
		}
		i, m, _ := reflect.Select(cases) // Go has no select statement over a slice
		received += m.Uint()
		return i
	}
	for i := 0; i < ready; i++ {
		next++
		sent += next
		c[i] <- next
	}
	r.begins()
	for j := uint64(0); j < n; j++ {
		i := one()
		if ready == 1 {
			i = (i + 1) % k
		}
		next++
		sent += next
		c[i] <- next
	}
	r.ends(n)
	for i := 0; i < ready; i++ {
		one()
	}
	if sent != received {
		r.wrong = "the sum of what was received is not that of what was sent"
	}
}

// ---- groups ----

func group(r *round, n uint64) {
	ran := uint64(0)
	r.begins()
	for done := uint64(0); done < n; {
		some := n - done
		if some > 10000 {
			some = 10000
		}
		g := new(errgroup.Group)
		g.SetLimit(int(arg["limit"]))
		for i := uint64(0); i < some; i++ {
			g.Go(func() error {
				atomic.AddUint64(&ran, 1)
				return nil
			})
		}
		g.Wait()
		done += some
	}
	r.ends(n)
	if ran != n {
		r.wrong = fmt.Sprintf("%d of %d tasks ran", ran, n)
	}
}

func cancel(r *round, n uint64) {
	ran, made, five := uint64(0), uint64(0), errors.New("five")
	r.begins()
	for k := uint64(0); k < n; k++ {
		g, ctx := errgroup.WithContext(context.Background())
		g.SetLimit(int(arg["limit"]))
		for i := 0; i < 10000 && ctx.Err() == nil; i++ {
			i := i
			g.Go(func() error {
				atomic.AddUint64(&ran, 1)
				if workFor(arg["spin"]) == 1 {
					atomic.AddUint64(&made, 1)
				}
				if i == 99 {
					return five
				}
				return nil
			})
		}
		if g.Wait() != five {
			r.wrong = "the error was lost"
		}
	}
	r.ends(n)
	sink += made
	r.more = fmt.Sprintf(`, "ran": %.1f`, float64(ran)/float64(n))
}

// ---- topics: channels in a slice under an RWMutex; the latest value behind an atomic.Pointer ----

type subscriber struct {
	c                 chan msg
	drops, count, sum uint64
	_                 [128]byte
}

func (s *subscriber) hear() bool {
	for any := false; ; any = true {
		select {
		case m := <-s.c:
			s.count++
			s.sum += m
		default:
			return any
		}
	}
}

type topic struct {
	lock sync.RWMutex
	list []*subscriber
}

func newTopic() *topic {
	t := new(topic)
	for i := uint64(0); i < arg["subscribers"]; i++ {
		t.join(&subscriber{c: make(chan msg, arg["cap"])})
	}
	return t
}

func (t *topic) join(s *subscriber) {
	t.lock.Lock()
	t.list = append(t.list, s)
	t.lock.Unlock()
}

func (t *topic) leave(s *subscriber) {
	t.lock.Lock()
	for i := range t.list {
		if t.list[i] == s {
			t.list = append(t.list[:i], t.list[i+1:]...)
			break
		}
	}
	t.lock.Unlock()
}

func (t *topic) publish(m msg) {
	t.lock.RLock()
	for _, s := range t.list {
		if !trySend(s.c, m) {
			atomic.AddUint64(&s.drops, 1)
		}
	}
	t.lock.RUnlock()
}

func publish(r *round, n uint64) {
	t, bunch := newTopic(), n
	if len(t.list) > 0 {
		bunch = arg["cap"]
	}
	n = (n + bunch - 1) / bunch * bunch
	first := meterNow()
	wall, cpu := int64(0), int64(0)
	for m := uint64(1); m <= n; m += bunch {
		r.begins()
		for k := uint64(0); k < bunch; k++ {
			t.publish(m + k)
		}
		r.ends(n)
		wall += r.to.wall - r.from.wall
		cpu += r.to.cpu - r.from.cpu
		for _, s := range t.list {
			s.hear()
		}
	}
	r.from = first
	r.to.wall, r.to.cpu = first.wall+wall, first.cpu+cpu
	for _, s := range t.list {
		r.mustSum(n, s.count, s.sum)
	}
}

func publishers(r *round, n uint64) {
	t, senders, receivers := newTopic(), arg["senders"], arg["receivers"]
	list := append([]*subscriber{}, t.list...)
	var sending, all sync.WaitGroup
	var over atomic.Bool
	start := make(chan bool)
	for i := uint64(0); i < senders; i++ {
		first, last := 1+n*i/senders, n*(i+1)/senders
		sending.Add(1)
		go func() {
			<-start
			for m := first; m <= last; m++ {
				t.publish(m)
			}
			sending.Done()
		}()
	}
	for i := uint64(0); i < receivers; i++ {
		i := i
		all.Add(1)
		go func() {
			<-start
			for last, failures := false, 0; !last; {
				last = over.Load()
				any := false
				for k := i; k < uint64(len(list)); k += receivers {
					any = list[k].hear() || any
				}
				if any {
					failures = 0
				} else if !last {
					patience(&failures)
				}
			}
			all.Done()
		}()
	}
	changes := uint64(0)
	for i := uint64(0); i < arg["others"]; i++ {
		all.Add(1)
		go func() {
			s := &subscriber{c: make(chan msg, arg["cap"])}
			<-start
			for !over.Load() {
				t.join(s)
				s.hear()
				t.leave(s)
				atomic.AddUint64(&changes, 1)
			}
			all.Done()
		}()
	}
	r.begins()
	close(start)
	sending.Wait()
	r.ends(n)
	over.Store(true)
	all.Wait()
	drops := uint64(0)
	for _, s := range list {
		if s.count+s.drops != n {
			r.wrong = fmt.Sprintf("%d of %d arrived, %d dropped", s.count, n, s.drops)
		}
		drops += s.drops
	}
	r.more = fmt.Sprintf(`, "drops/k": %.1f`, 1000*float64(drops)/float64(n*arg["subscribers"]))
	if arg["others"] > 0 {
		r.more += fmt.Sprintf(`, "changes/k": %.1f`, 1000*float64(changes)/float64(n))
	}
}

type value [8]uint64 // 64 bytes: there it runs

func latest(r *round, n uint64) {
	var latest atomic.Pointer[value]
	var over atomic.Bool
	var all sync.WaitGroup
	updates, wrong := uint64(0), false
	latest.Store(&value{1, 7: 1})
	for i := uint64(0); i < arg["receivers"]; i++ {
		started := make(chan bool)
		all.Add(1)
		go func() {
			close(started)
			every, due := time.Duration(arg["every"]), time.Now()
			for m := uint64(2); !over.Load(); m++ {
				for every > 0 && time.Now().Before(due) && !over.Load() {
				}
				due = due.Add(every)
				latest.Store(&value{m, 7: m})
				updates++
			}
			all.Done()
		}()
		<-started
	}
	r.begins()
	for i, before := uint64(0), uint64(1); i < n; i++ {
		seen = *latest.Load()
		wrong = wrong || seen[0] < before || seen[0] != seen[7]
		before = seen[0]
	}
	r.ends(n)
	over.Store(true)
	all.Wait()
	if wrong {
		r.wrong = "not the latest value"
	}
	if arg["receivers"] > 0 {
		r.more = fmt.Sprintf(`, "updates/k": %.1f`, 1000*float64(updates)/float64(n))
	}
}

var seen value // global: all of it is copied

// ---- main ----

func main() {
	works := map[string]func(*round, uint64){"flow": flow, "pair": pair, "fill": fill,
		"ping-pong": func(r *round, n uint64) { pingPong(r, n, nil) }, "latency": latency, "burst": burst, "idle": idle,
		"jobs": jobs, "churn": churn, "sem-pair": semPair, "sem": sem, "select": selectOne, "group": group,
		"cancel": cancel, "publish": publish, "publishers": publishers, "latest": latest}
	var run func(*round, uint64)
	for _, word := range os.Args[1:] {
		if name, value, ok := strings.Cut(word, "="); ok {
			arg[name], _ = strconv.ParseUint(value, 10, 64)
		} else if word == "can" {
			for name := range works {
				fmt.Print(name, " ")
			}
			fmt.Println("blocking try unbuffered weighted changes")
		} else {
			run = works[word]
		}
	}
	in := bufio.NewScanner(os.Stdin)
	for run != nil && in.Scan() {
		n, err := strconv.ParseUint(in.Text(), 10, 64)
		if err != nil {
			continue
		}
		var r round
		run(&r, n)
		if r.wrong != "" {
			r.more += `, "wrong": "` + r.wrong + `"`
		}
		fmt.Printf(`{"n": %d, "wall": %d, "cpu": %d, "sleeps": %d, "preemptions": %d%s}`+"\n", r.n,
			r.to.wall-r.from.wall, r.to.cpu-r.from.cpu, r.to.sleeps-r.from.sleeps, r.to.preemptions-r.from.preemptions,
			r.more)
	}
}
