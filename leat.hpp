// leat.hpp - objects for C++11 and later, on the calls of queue.h and pool.h: they free themselves, and take any type.
//
//     leat::chan<std::unique_ptr<job>> jobs(64);
//     leat::group workers;
//     workers.go([&] { for (auto &j : jobs) run(*j); });      // a lambda is a task; the loop ends when jobs is closed
//     jobs.send(std::unique_ptr<job>(new job{ 7 }));           // moved into the channel
//     jobs.close();
//     int err = workers.wait();                                // throws again what a task threw
//
// SPDX-License-Identifier: MIT
//
// Optional: whoever includes it needs the other headers beside it. Calls return what those of C return: 0, or a negative
// error. Constructors throw std::system_error (without exceptions: abort). A context is a leat_ctx *, or a std::chrono
// duration for one call. None of the objects can be copied or moved, because threads wait in them.
#ifndef LEAT_HPP
#define LEAT_HPP

#include "pool.h"

#include <chrono>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

namespace leat {
#ifdef LEAT_EXCEPTIONS_ // files with exceptions and files without have classes of their own
inline namespace throwing {
inline void or_throw_(int err) { if (err) throw std::system_error(-err, std::generic_category(), leat_strerror(err)); }
#else
inline namespace aborting {
inline void or_throw_(int err) { if (err) std::abort(); }
#endif

// A duration in nanoseconds, or LEAT_FOREVER if it is too long.
template <class R, class P> int64_t ns(std::chrono::duration<R, P> d)
{
    typedef std::chrono::duration<double, std::nano> exact;
    if (exact(d).count() >= 9.2e18) return LEAT_FOREVER;
    if (exact(d).count() <= -9.2e18) return -LEAT_FOREVER;
    return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
}

// A context. It converts to leat_ctx *, for all calls that take one.
class context {
  public:
    explicit context(leat_ctx *parent = nullptr) : ctx_(LEAT_CTX(parent)) {}
    template <class R, class P>
    explicit context(std::chrono::duration<R, P> within, leat_ctx *parent = nullptr) : ctx_(LEAT_CTX_WITHIN(parent, ns(within))) {}
    context(const context &) = delete; context &operator=(const context &) = delete;
    operator leat_ctx *() { return &ctx_; }
    void cancel(int cause = 0) { leat_cancel(&ctx_, cause); }
    int err() { return leat_ctx_err(&ctx_); }

  private:
    leat_ctx ctx_;
};

// A channel of T, which may be move-only. A message is moved in and out of the ring, or from thread to thread where the
// channel is unbuffered. Moving must not throw.
template <class T> class chan {
    static_assert(std::is_nothrow_move_constructible<T>::value, "leat::chan: T must be movable without an exception");

    // Room for a T that is not there yet.
    struct room {
        alignas(T) unsigned char bytes[sizeof(T)];
        T *get() { return reinterpret_cast<T *>(bytes); }
    };

  public:
    explicit chan(size_t capacity = 0) { or_throw_(leat_make_(&chan_, capacity, sizeof(T), alignof(T))); }
    chan(const chan &) = delete; chan &operator=(const chan &) = delete;
    ~chan()
    {
        room m;
        while (!moves(nullptr, LEAT_RECEIVES_, m.get(), false)) m.get()->~T();
        leat_free_(&chan_, alignof(T));
    }

    // After an error m is as it was.
    int send(T &&m) { return moves(nullptr, LEAT_SENDS_, std::addressof(m), true); }
    int try_send(T &&m) { return moves(nullptr, LEAT_SENDS_, std::addressof(m), false); }
    int send(leat_ctx *ctx, T &&m) { return moves(ctx, LEAT_SENDS_, std::addressof(m), true); }
    int send(const T &m) { return send(T(m)); }
    int try_send(const T &m) { return try_send(T(m)); }
    int send(leat_ctx *ctx, const T &m) { return send(ctx, T(m)); }
    template <class R, class P, class M> int send(std::chrono::duration<R, P> within, M &&m)
    {
        return send(LEAT_WITHIN(ns(within)), std::forward<M>(m));
    }

    int recv(T &m) { return receives(nullptr, m, true); }
    int try_recv(T &m) { return receives(nullptr, m, false); }
    int recv(leat_ctx *ctx, T &m) { return receives(ctx, m, true); }
    template <class R, class P> int recv(std::chrono::duration<R, P> within, T &m) { return recv(LEAT_WITHIN(ns(within)), m); }

    int close() { return leat_close_(&chan_); }
    bool is_closed() { return leat_is_closed_(&chan_); }
    size_t size() { return leat_len_(&chan_, 0); }
    size_t capacity() const { return leat_cap_(&chan_); }

    // for (T &m : c) receives until c is closed and drained; for (T &m : c.under(ctx)) also ends when ctx is done.
    class iterator {
      public:
        typedef std::input_iterator_tag iterator_category;
        typedef std::ptrdiff_t difference_type;
        typedef T value_type, *pointer, &reference;
        explicit iterator(chan *from, leat_ctx *ctx = nullptr) : from_(from), ctx_(ctx) { next(); }
        iterator(iterator &&o) noexcept : from_(o.from_), ctx_(o.ctx_) { if (from_) ::new (m_.bytes) T(std::move(*o.m_.get())); }
        ~iterator() { drop(); }
        T &operator*() { return *m_.get(); }
        T *operator->() { return m_.get(); }
        iterator &operator++() { drop(); next(); return *this; }
        bool operator!=(const iterator &o) const { return from_ != o.from_; }
        bool operator==(const iterator &o) const { return from_ == o.from_; }

      private:
        void next() { if (from_ && from_->moves(ctx_, LEAT_RECEIVES_, m_.get(), true)) from_ = nullptr; }
        void drop() { if (from_) m_.get()->~T(); }
        chan *from_; // nullptr: the end
        leat_ctx *ctx_;
        room m_;
    };
    struct range {
        iterator begin() { return iterator(from_, ctx_); }
        iterator end() { return iterator(nullptr); }
        chan *from_;
        leat_ctx *ctx_;
    };
    iterator begin() { return iterator(this); }
    iterator end() { return iterator(nullptr); }
    range under(leat_ctx *ctx) { return range{ this, ctx }; }

  private:
    // How a message gets into a slot and out of it, and from a sender's object into a receiver's room.
    static void in_ring(int side, void *slot, void *m, size_t)
    {
        T *there = static_cast<T *>(slot), *here = static_cast<T *>(m);
        if (side == LEAT_SENDS_) return void(::new (slot) T(std::move(*here)));
        ::new (m) T(std::move(*there));
        there->~T();
    }
    static void meeting(int side, void *peers, void *m, size_t)
    {
        if (side == LEAT_SENDS_) ::new (peers) T(std::move(*static_cast<T *>(m)));
        else ::new (m) T(std::move(*static_cast<T *>(peers)));
    }

    int moves(leat_ctx *ctx, int side, void *m, bool waits)
    {
        leat_case c = leat_case_(&chan_, side, m, sizeof(T), alignof(T));
        c.copy_ = chan_.slots_ ? in_ring : meeting;
        int r = leat_move_by_(c.copy_, ctx, nullptr, &chan_, side, m, sizeof(T), alignof(T));
        if (r == -EAGAIN && waits) r = leat_wait_first_(ctx, nullptr, &c);
        if (r == -EAGAIN) r = waits ? leat_select_(ctx, nullptr, &c, 1) : leat_try_select_(ctx, &c, 1);
        return r < 0 ? r : c.err;
    }

    int receives(leat_ctx *ctx, T &to, bool waits)
    {
        room m;
        int err = moves(ctx, LEAT_RECEIVES_, m.get(), waits);
        if (err) return err;
        std::unique_ptr<T, void (*)(T *)> dies(m.get(), [](T *t) { t->~T(); });
        to = std::move(*m.get());
        return 0;
    }

    leat_chan chan_;
};

// A task is called with its context, or without; it returns an int, or nothing, which is 0.
template <class F> auto call_(F &f, leat_ctx *ctx, int) -> decltype(f(ctx)) { return f(ctx); }
template <class F> auto call_(F &f, leat_ctx *, long) -> decltype(f()) { return f(); }
template <class F> int result_(F &f, leat_ctx *ctx, std::true_type) { return call_(f, ctx, 0), 0; }
template <class F> int result_(F &f, leat_ctx *ctx, std::false_type) { return call_(f, ctx, 0); }
template <class F> int run_(leat_ctx *ctx, void *task)
{
    std::unique_ptr<F> f(static_cast<F *>(task));
    return result_(*f, ctx, std::is_void<decltype(call_(*f, ctx, 0))>());
}
template <class Start, class F> int start_(Start start, F &&f) // start(function, argument) accepts it, or returns an error
{
    typedef typename std::decay<F>::type task;
    std::unique_ptr<task> own(new task(std::forward<F>(f)));
    int err = start(run_<task>, own.get());
    if (!err) own.release();
    return err;
}

// Tasks on threads. The destructor cancels those that still run, and waits for them.
class group {
  public:
    explicit group(leat_ctx *parent = nullptr) : g_(LEAT_GROUP(parent)) {}
    group(const group &) = delete; group &operator=(const group &) = delete;
    ~group()
    {
        leat_cancel(leat_group_ctx(&g_), -ECANCELED);
        leat_wait(&g_);
#ifdef LEAT_EXCEPTIONS_
        leat_group_drop_(&g_);
#endif
    }
    template <class F> int go(F &&f)
    {
        return start_([this](leat_task *fn, void *arg) { return leat_go(&g_, fn, arg); }, std::forward<F>(f));
    }
    int wait()
    {
        int err = leat_wait(&g_);
#ifdef LEAT_EXCEPTIONS_
        leat_group_rethrow(&g_);
#endif
        return err;
    }
    int limit(int n) { return leat_group_limit(&g_, n); }
    leat_ctx *ctx() { return leat_group_ctx(&g_); }
    leat_group *get() { return &g_; }

  private:
    leat_group g_;
};

// Workers and a bounded queue. The destructor runs what was accepted, and joins.
class pool {
  public:
    explicit pool(const leat_pool_opts &opts = leat_pool_opts(), leat_ctx *ctx = nullptr) { or_throw_(leat_pool_start(&p_, ctx, &opts)); }
    explicit pool(int workers, leat_ctx *ctx = nullptr)
        : pool(leat_pool_opts{ workers, 0, 0, 0, nullptr, 0, false, nullptr, nullptr, nullptr }, ctx) {}
    pool(const pool &) = delete; pool &operator=(const pool &) = delete;
    ~pool() { leat_pool_stop(&p_); }
    template <class F> int submit(F &&f)
    {
        return start_([this](leat_task *fn, void *arg) { return leat_submit(&p_, fn, arg); }, std::forward<F>(f));
    }
    int wait() { return leat_pool_wait(&p_); }
    int stop() { return leat_pool_stop(&p_); }
    leat_pool *get() { return &p_; }

  private:
    leat_pool p_;
};

} // namespace throwing or aborting
} // namespace leat
#endif
