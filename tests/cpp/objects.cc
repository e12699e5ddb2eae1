// objects.cc - leat.hpp: channels that free themselves, messages that are only moved, lambdas, durations.
// SPDX-License-Identifier: MIT
#include "leat.hpp"
#include <atomic>
#include <stdexcept>
#include <stdio.h>
#include <string>

#define REQUIRE(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), exit(1)))

static std::atomic<int> alive;
struct counted {
    int n;
    std::string text;
    explicit counted(int i) : n(i), text(100, char('a' + i % 26)) { alive++; }
    counted(counted &&o) noexcept : n(o.n), text(std::move(o.text)) { alive++; }
    counted &operator=(counted &&o) = default;
    ~counted() { alive--; }
    counted *operator&() = delete;
};

static void what_is_left_in_a_channel_is_destroyed()
{
    {
        leat::chan<counted> c(4);
        for (int i = 0; i < 6; i++) (void)c.try_send(counted(i));
        counted got(99);
        REQUIRE(!c.recv(got) && got.n == 0 && got.text[99] == 'a' && c.size() == 3 && c.capacity() == 4);
        counted kept(7);
        c.close();
        REQUIRE(c.send(std::move(kept)) == -EPIPE && kept.text == std::string(100, 'h') && c.is_closed());
    }
    REQUIRE(alive == 0);
}

static void each_message_arrives_once(size_t capacity)
{
    {
        leat::chan<std::unique_ptr<counted>> c(capacity);
        leat::chan<long> sums(4);
        leat::group g;
        for (int i = 0; i < 4; i++)
            REQUIRE(!g.go([&]() {
                long sum = 0;
                for (auto &m : c) sum += m->n;
                return sums.send(sum);
            }));
        for (int i = 0; i < 4000; i++) REQUIRE(!c.send(std::unique_ptr<counted>(new counted(i))));
        c.close();
        REQUIRE(g.wait() == 0);
        sums.close();
        long all = 0;
        for (long &sum : sums) all += sum;
        REQUIRE(all == 4000L * 3999 / 2);
    }
}

static void the_loop_of_a_task_ends_with_its_group()
{
    leat::chan<counted> c(8);
    std::atomic<int> got(0);
    {
        leat::group g;
        REQUIRE(!g.go([&](leat_ctx *ctx) {
            for (counted &m : c.under(ctx)) got += m.n;
        }));
        REQUIRE(!c.send(counted(7)));
        while (!got) (void)leat_sleep(LEAT_US(100));
    } // nobody closes c
    REQUIRE(!c.is_closed() && c.size() == 0 && alive == 0);
}

static void a_wait_takes_a_duration()
{
    leat::chan<std::string> c;
    std::string s = "stays";
    REQUIRE(c.recv(std::chrono::milliseconds(2), s) == -ETIMEDOUT && c.send(std::chrono::microseconds(200), s) == -ETIMEDOUT);
    leat::context ctx(std::chrono::hours(100000000));
    ctx.cancel();
    REQUIRE(c.recv(ctx, s) == -ECANCELED && c.send(ctx, std::move(s)) == -ECANCELED && s == "stays" && ctx.err() == -ECANCELED);
    REQUIRE(leat::ns(std::chrono::hours::max()) == LEAT_FOREVER && leat::ns(std::chrono::seconds(2)) == LEAT_S(2));
}

static void what_a_lambda_throws_is_thrown_again()
{
    leat::group g;
    std::unique_ptr<int> seven(new int(7));
    REQUIRE(!g.limit(2) && !g.go([](leat_ctx *ctx) { (void)leat_sleep_ctx(ctx, LEAT_FOREVER - leat_now()); }));
    REQUIRE(!g.go([] { throw std::runtime_error("seven"); }));
    std::string said;
    try {
        (void)g.wait();
    } catch (const std::exception &e) {
        said = e.what();
    }
    REQUIRE(said == "seven" && g.go([] {}) != 0);
    leat::group dropped;
    REQUIRE(!dropped.go([] { throw std::runtime_error("nobody asks"); }));
}

static void a_pool_runs_what_it_accepted()
{
    leat::chan<int> done(100);
    {
        leat::pool p(2);
        leat_stats s;
        REQUIRE(!leat_pool_stats(p.get(), &s) && s.workers == 2);
        for (int i = 0; i < 100; i++) REQUIRE(!p.submit([i, &done] { (void)done.send(i); }));
    }
    REQUIRE(done.size() == 100);
}

int in_a_file_without_exceptions(); // without.cc
static void a_constructor_throws_beside_a_file_without_exceptions()
{
    bool thrown = false;
    REQUIRE(in_a_file_without_exceptions() == 7);
    try {
        leat::chan<int> c(SIZE_MAX / 2);
    } catch (const std::system_error &e) {
        thrown = e.code().value() == EINVAL;
    }
    REQUIRE(thrown);
}

int main()
{
    what_is_left_in_a_channel_is_destroyed();
    each_message_arrives_once(0);
    each_message_arrives_once(1);
    each_message_arrives_once(64);
    the_loop_of_a_task_ends_with_its_group();
    a_wait_takes_a_duration();
    what_a_lambda_throws_is_thrown_again();
    a_pool_runs_what_it_accepted();
    a_constructor_throws_beside_a_file_without_exceptions();
    return 0;
}
