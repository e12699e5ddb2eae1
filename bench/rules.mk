# How the benchmark's contestants are built; included by the Makefile.
# SPDX-License-Identifier: MIT

# Contestants: for messages of SIZE bytes, with what their libraries want. run.py says CONTESTANTS, H and DEFS if they are
# leat without a part of it, or of another revision.
CONTESTANTS := build/bench/$(or $(SIZE),8)
BENCH_FLAGS = -O2 -DNDEBUG -Wall -Wextra -pthread -DMSG_SIZE=$(or $(SIZE),8) -iquote $(or $(H),.) $(DEFS)
FOR_rte = $$(pkg-config --cflags libdpdk) -lrte_ring -lrte_eal
FOR_rte-hts = $(FOR_rte)
FOR_rte-rts = $(FOR_rte)
FOR_topic = -lurcu-bp
FOR_leat-calls = -lurcu-bp
FOR_wfcqueue = -lurcu-cds -lurcu-common
FOR_lfqueue = -lurcu-cds -lurcu -lurcu-common
FOR_glib = $$(pkg-config --cflags --libs glib-2.0)
FOR_apr = $$(pkg-config --cflags --libs apr-util-1 apr-1)
FOR_libuv = $$(pkg-config --cflags --libs libuv)
FOR_tbb = $$(pkg-config --cflags --libs tbb)
FOR_leat-zlib = -lz
FOR_mutex-zlib = -lz
FOR_bare-zlib = -lz
FOR_tbb-zlib = $(FOR_tbb) -lz

$(CONTESTANTS)/%: bench/%.c $(wildcard bench/*.c bench/*.h $(addprefix $(or $(H),.)/,$(HEADERS)))
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(BENCH_FLAGS) $< $(FOR_$*) -o $@

$(CONTESTANTS)/%: bench/%.cc $(wildcard bench/*.cc bench/*.h)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++20 $(BENCH_FLAGS) $< $(FOR_$*) -o $@

$(CONTESTANTS)/go: bench/go/main.go
	@mkdir -p $(@D)
	$(Q)cd bench/go && GO111MODULE=off GOPATH=/usr/share/gocode go build -o $(CURDIR)/$@ .

build/bench/rust/release/contestants: bench/rust/Cargo.toml bench/rust/src/main.rs
	$(Q)cd bench/rust && cargo build -q --release --offline --target-dir $(CURDIR)/build/bench/rust \
	    --config 'source.crates-io.replace-with="debian"' --config 'source.debian.directory="/usr/share/cargo/registry"'
