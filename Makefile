# leat - the headers need no build. This builds, runs and proves what stands around them.
# SPDX-License-Identifier: MIT
#
#     make test CC=clang OPT=-O3 SAN=thread DEFS=-DLEAT_NO_FUTEX
#
# builds a variant in a folder of its own, build/<variant>/, and runs all tests there. V=1: says how.

OPT = -O2
SAN = none#         none, address (with undefined), thread, coverage; clang: memory, integer
DEFS =#             -DLEAT_NO_FUTEX, ...
H =#                the folder of the headers under test, for the simulator and the benchmark; here, if not said
ONLY =#             words: only the tests with one of them in their name
FEW =#              anything: tests make a tenth of their rounds
WITHOUT =#          a file with names of test programs that are left out, and why
STD = c11
PREFIX = /usr/local
DESTDIR =
VERSION := $(shell sed -n 's,^.define LEAT_VERSION_STRING "\(.*\)",\1,p' queue.h)

space := $() $()
VARIANT := $(subst $(space),,$(notdir $(CC))$(OPT)$(patsubst %,-%,$(filter-out none,$(SAN)))$(DEFS)$(filter-out c11,$(STD)))
BUILD := build/$(VARIANT)
CORE := queue.h semaphore.h pool.h
HEADERS := $(CORE) topic.h# which alone needs a library, liburcu

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR)
WERROR = -Werror
demo: WERROR = # it is to run with a newer compiler, too
SANFLAGS_address := -fsanitize=address,undefined -fno-sanitize-recover=all
SANFLAGS_thread := -fsanitize=thread
SANFLAGS_memory := -fsanitize=memory -fsanitize-memory-track-origins -fno-sanitize-recover=all
SANFLAGS_integer := -fsanitize=integer -fsanitize-ignorelist=tests/wraps.txt -fno-sanitize-recover=all
SANFLAGS_coverage := --coverage -fprofile-update=atomic -DTAP_COVERAGE -Dalways_inline=unused# one copy of each
COMMON = -std=$(STD) $(WARN) -pthread -g -fno-omit-frame-pointer -iquote . $(OPT) $(SANFLAGS_$(SAN)) $(DEFS)
# LEAT_LINT: semaphore.h is usually a system header, of which compilers do not warn.
TEST_CFLAGS = $(COMMON) $(if $(WINDOWS),-isystem tests/lib/win) -DLEAT_LINT $(if $(FEW),-DTAP_FEW=1) -iquote tests/lib

WINDOWS := $(findstring mingw,$(shell $(CC) -dumpmachine 2>/dev/null))
ifneq ($(WINDOWS),)
WITHOUT := tests/windows.txt
endif
# A program shows its own frames by name. One for Windows is whole, and carries the pthreads of its tests.
LINK := $(if $(WINDOWS),-static,-rdynamic)
NO_EXE = $(if $(WINDOWS),&& mv $@.exe $@)# the compiler adds it, unasked

# ---- What can be built here -----------------------------------------------------------------------
# An example names its library by its #include; `make deps` installs what is missing.

has = $(shell printf '\043include <%s>\n' $(1) | $(CC) -E -x c - >/dev/null 2>&1 && echo yes)
links = $(shell echo 'int main(void) { return 0; }' | $(CC) -x c - $(1) -o /dev/null 2>/dev/null && echo yes)
users = $(shell grep -l '^ *\#include [<"][./]*$(1)[>"]' examples/*.c examples/seeds/*.c 2>/dev/null)
SQLITE := $(call users,sqlite3.h)
CURL := $(call users,curl/curl.h)
REDIS := $(call users,hiredis/hiredis.h)
# Without liburcu, and where its assembly hides from ThreadSanitizer what orders what, topic.h does without; and
# MemorySanitizer wants to see all that is written.
URCU := $(if $(filter-out thread memory,$(SAN)),$(if $(call has,urcu/urcu-bp.h),yes))
FOR_TOPIC = $(if $(URCU),-lurcu-bp,-DLEAT_NO_URCU)
FOR_UV = $(if $(call has,uv.h),$(if $(call links,-luv),-luv -DWITH_UV))# a cross compiler may see the header, and have no library
TOPIC := $(call users,topic.h)
EPOLL := $(call users,sys/epoll.h)
LEFT_OUT := $(if $(call has,sqlite3.h),,$(SQLITE)) $(if $(call has,curl/curl.h),,$(CURL)) $(if $(call has,sys/epoll.h),,$(EPOLL)) \
            $(if $(call has,hiredis/hiredis.h),,$(REDIS))

PROGRAMS := $(filter-out $(LEFT_OUT),$(wildcard examples/*.c examples/seeds/*.c))
TESTS_C := $(wildcard tests/*/t-*.c)# in folders by header; vpath finds them by name
TESTS_C := $(filter-out $(if $(WITHOUT),$(shell sed -n 's,^\(t-[^ ]*\) .*,%/\1.c,p' $(WITHOUT))),$(TESTS_C))
TESTS_C := $(filter-out $(if $(WINDOWS),,%/t-windows.c),$(TESTS_C))
TESTS_SH := $(wildcard tests/*/t-*.sh)
chosen = $(if $(strip $(ONLY)),$(foreach word,$(ONLY),$(foreach t,$(1),$(if $(findstring $(word),$(t)),$(t)))),$(1))
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(notdir $(call chosen,$(TESTS_C))))

# The simulator runs where a compiler for it and its tools are.
EXPLORE := $(if $(shell command -v gcc >/dev/null && command -v objcopy >/dev/null && uname -sm | grep 'Linux x86_64'),$(BUILD)/explore/explore)

# ---- Targets --------------------------------------------------------------------------------------

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo: $(BUILD)/examples/pwc ## count a real tree with the example pwc, and compare with wc
	sh examples/demo.sh $<

deps: ## install what the tests and examples need beside a C compiler and make (Debian, Ubuntu)
	@sh tools/deps.sh

deps-proof: ## and what proof and coverage need: spin, emulators, cross compilers
	@sh tools/deps.sh proof

deps-platforms: ## and what platforms, deb and replay-proof need: wine, Emscripten, zig, lintian, a browser
	@sh tools/deps.sh platforms

# The work is done by a second make, which sees what `deps` has installed.
test: $(filter deps,$(MAKECMDGOALS)) ## build everything and run all tests; ONLY="word ..." for some
	@$(MAKE) --no-print-directory $(JOBS) built
	@$(RUN) $(TEST_PROGRAMS) $(call chosen,$(TESTS_SH))

test-c: $(filter deps,$(MAKECMDGOALS)) ## only the test programs: quick, what check-all repeats
	@$(MAKE) --no-print-directory $(JOBS) $(TEST_PROGRAMS)
	@$(RUN) $(TEST_PROGRAMS)

test-cxx: ## the test programs that are C++ when some C is translated, as C++; names those that are not
	@$(MAKE) --no-print-directory $(JOBS) cxx-programs CXX=$(or $(filter g++%,$(CXX)),g++)
	@$(RUN) $$(ls $(CXX_TESTS) 2>/dev/null) # those that were made
test-c-built: $(TEST_PROGRAMS)

check-all: ## test-c with gcc and clang, -O0 to -O3, under sanitizers, without futex
	@sh tools/check-all.sh

asan: ; @$(MAKE) --no-print-directory test-c SAN=address OPT=-O1 ## test-c under ASan and UBSan
tsan: ; @$(MAKE) --no-print-directory test-c SAN=thread ## test-c under TSan
nofutex: ; @$(MAKE) --no-print-directory test-c DEFS=-DLEAT_NO_FUTEX ## test-c with the portable fallback

bench: ## measure leat beside a mutex queue and pool, sem_t, a bare ring; BENCH="--only ping-pong"
	-@CC="$(CC)" sh bench/size.sh # it fails where the linker cannot leave out what is not called
	@python3 bench/compile.py
	@python3 bench/run.py $(BENCH)

bench-peers: $(filter deps-bench,$(MAKECMDGOALS)) ## beside everything that is installed, an hour; deps-bench installs it
	@python3 bench/run.py --peers $(BENCH)

pictures: ## the drawings of docs/pictures.md into docs/img/
	@python3 tools/pictures.py

replay: ## record the traces that docs/replay/index.html shows; REPLAY="word ..": some of docs/replay/traces.txt
	@python3 tools/replay.py $(REPLAY)

replay-proof: $(EXPLORE) ## step through all of them in a browser, and record all of them anew elsewhere
	@BUILD="$(BUILD)" LONG=1 sh tests/tools/t-replay.sh

plots: ## charts of the newest results in bench/results/ into docs/img/
	@python3 bench/plots.py

deps-bench: ## what bench-peers compares with: libraries, Go, Rust, gnuplot
	@sh tools/deps.sh bench

# These two are committed, so a file's time does not tell whether it is current.
single: ## write single/leat.h: queue.h, semaphore.h and pool.h in one
	@mkdir -p single && sh tools/single.sh $(CORE) > single/leat.h

reference: ## write docs/reference.html from the comments beside the functions
	@python3 tools/reference.py --html docs/$@.html $(filter %.h,$(HEADERS))

man: build/man3/leat.3 ## the same as manual pages, in build/man3

dist: ## build/leat-VERSION.tar.gz: what is committed, and the manual pages; the same bytes each time
	@sh tools/dist.sh $(VERSION)

deb: ## a Debian package in build/deb, checked by lintian, and used
	@CC="$(CC)" sh tools/deb.sh $(VERSION)

explore: $(BUILD)/explore/explore ## every scenario of the simulator under RUNS schedules, an hour; small ones under all (BOUND)
	@sh tools/explore.sh $< --runs $(or $(RUNS),1000000) --seed $(or $(SEED),1)
	@sh tools/explore.sh $< --bound $(or $(BOUND),2)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/rests DEFS="-DLEAT_RESTS_=1 -DLEAT_REST_=1000000 -DLEAT_PACE_=64000" $(BUILD)/rests/explore/explore
	@sh tools/explore.sh $(BUILD)/rests/explore/explore --runs $$(($(or $(RUNS),1000000) / 10)) --seed $(or $(SEED),1) # every sender rests

lesson: machine ## judge your copy of an exercise of learn/ in the simulator: N=6, LESSON=file
	@$(SIMULATE) --lesson "$(N)" $(LESSON)

simulate: machine ## run your own code in the simulator: FILE=file.c, see docs/simulator.md
	@$(SIMULATE) "$(FILE)"

lesson-prices: ## measure the queues of learn/, and write the table of learn/README.md
	@CC="$(CC)" BUILD="$(BUILD)" sh learn/prices.sh

lesson-traces: machine ## write the traces on the pages of learn/ anew
	@MACHINE="$(MACHINE)" BUILD="$(BUILD)" sh learn/traces.sh --write

models: ## models of the protocol, every interleaving, by spin; MODELS=--long: bigger ones
	@CC=$(CC) BUILD="$(BUILD)" sh tests/model/run.sh $(MODELS)

mutants: ## break the headers in one place at a time: which check notices? MUTANTS="--sample 20", "--tests", a word
	@python3 tools/mutants.py $(MUTANTS)

coverage: ## lines and branches of the headers that no test reaches, and why
	@python3 tools/coverage.py

soak: $(BUILD)/soak ## everything at once for MINUTES, every message accounted for; SOAK="--seed 7"
	./$< --minutes $(or $(MINUTES),30) $(SOAK)

fuzz: ## random programs of calls against a model, for SECONDS in all: plain, under ASan and UBSan, under TSan; SEED=n
	@for san in none address thread; do $(MAKE) --no-print-directory fuzz-here SAN=$$san || exit; done

faults: $(patsubst tests/faults/%.c,$(BUILD)/faults/%,$(wildcard tests/faults/*.c)) ## failing calls, storms of signals, suspended threads, few CPUs...
	@$(RUN) $^

platforms: $(filter deps-platforms,$(MAKECMDGOALS)) ## test-c on other machines, compilers, C libraries, as far as they are installed; PLATFORMS=--short
	@sh tools/platforms.sh $(PLATFORMS)

proof: $(filter deps deps-proof,$(MAKECMDGOALS)) models faults ## short forms of the campaigns that `make test` does not contain
	@python3 tools/mutants.py --sample 120 --runs 5000
	@sh tools/platforms.sh --short

invariants: ## write the table of docs/testing.md: each invariant's tests, scenarios, models, mutants
	@python3 tools/invariants.py --write

pairs: ## does every memory order have its partner?
	@sh tools/pairs.sh $(HEADERS)

# What is installed finds its headers from where it is, so the whole may be moved.
FILLED = sed -e 's|@PREFIX@|../..|' -e 's|@INCLUDEDIR@|include|' -e 's|@INCLUDE@|../../../include|' -e 's|@VERSION@|$(VERSION)|' \
         -e 's|@MAJOR@|$(word 1,$(subst ., ,$(VERSION)))|' -e 's|@MINOR@|$(word 2,$(subst ., ,$(VERSION)))|'
SHARE = $(DESTDIR)$(PREFIX)/share
PCS = leat.pc leat-topic.pc
FOR_CMAKE = leat-config.cmake leat-config-version.cmake

# The manual pages are in what `make dist` writes. From a clone they are made, if python3 is there.
MAN = $(or $(wildcard man/man3/leat.3),$(if $(shell command -v python3),build/man3/leat.3))

install: $(MAN) ## headers to PREFIX/include/leat; for pkg-config, CMake, gdb and man to share; DESTDIR= for packagers
	install -d "$(DESTDIR)$(PREFIX)/include/leat" $(foreach d,pkgconfig cmake/leat leat,"$(SHARE)/$(d)")
	install -m 644 $(HEADERS) leat.hpp "$(DESTDIR)$(PREFIX)/include/leat"
	install -m 644 tools/leat-gdb.py "$(SHARE)/leat"
	install -m 644 packaging/cmake/leat-targets.cmake "$(SHARE)/cmake/leat"
	for f in $(PCS); do $(FILLED) tools/$$f.in > "$(SHARE)/pkgconfig/$$f" || exit; done
	$(if $(MAN),install -d "$(SHARE)/man/man3" && install -m 644 $(dir $(MAN))*.3 "$(SHARE)/man/man3",@echo "no manual pages: no python3")
	for f in $(FOR_CMAKE); do $(FILLED) packaging/cmake/$$f.in > "$(SHARE)/cmake/leat/$$f" || exit; done

uninstall: ## what install wrote
	cd "$(DESTDIR)$(PREFIX)/include/leat" && rm -f $(HEADERS) leat.hpp
	rm -f "$(SHARE)/leat/leat-gdb.py" $(foreach f,$(FOR_CMAKE) leat-targets.cmake,"$(SHARE)/cmake/leat/$(f)")
	rmdir "$(DESTDIR)$(PREFIX)/include/leat" "$(SHARE)/leat" "$(SHARE)/cmake/leat"
	cd "$(SHARE)/pkgconfig" && rm -f $(PCS)
	cd "$(SHARE)/man/man3" 2>/dev/null || exit 0; rm -f leat.3 leat[-_]*.3 LEAT_*.3

format: ## lay out the C files as .clang-format says
	clang-format -i $(HEADERS) $(C_FILES)

lint: ## what clang-format, cppcheck and clang-tidy have to say; whatever is installed
	@sh tools/lint.sh $(HEADERS) $(C_FILES)

loc: ## lines of code
	@wc -l $(HEADERS) && cat $(C_FILES) | wc -l | sed 's/$$/ in tests, examples and bench/'

clean: ## remove build/
	rm -rf build

.PHONY: help demo deps deps-proof deps-platforms deps-bench test test-c test-c-built test-cxx check-all asan tsan nofutex bench bench-peers plots single \
        replay replay-proof pictures \
        invariants pairs install uninstall format lint loc clean built explore models mutants coverage soak fuzz faults platforms proof \
        lesson simulate lesson-prices lesson-traces machine reference man dist deb
.DELETE_ON_ERROR:

# ---- How ------------------------------------------------------------------------------------------

C_FILES = $(wildcard tests/*.c tests/*/*.[ch] examples/*.[ch] examples/seeds/*.[ch] bench/*.[ch] learn/*.[ch] learn/*/*.[ch])
Q = $(if $(V),,@echo '  $@' &&)
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))
RUN = CC="$(CC)" CXX="$(CXX)" BUILD="$(BUILD)" SAN="$(SAN)" EMULATOR="$(EMULATOR)" sh tools/test.sh

include tests/rules.mk tests/explore/rules.mk bench/rules.mk learn/rules.mk

built: $(TEST_PROGRAMS) $(PROGRAMS:%.c=$(BUILD)/%) $(EXPLORE)
	@for p in $(sort $(LEFT_OUT)); do echo "left out: $$p (no library: make deps)"; done

$(BUILD)/examples/%: examples/%.c $(HEADERS) $(wildcard examples/*.h examples/seeds/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) $< -o $@ $(if $(filter $<,$(SQLITE)),-lsqlite3) $(if $(filter $<,$(CURL)),-lcurl) $(if $(filter $<,$(REDIS)),-lhiredis) $(if $(filter $<,$(TOPIC)),$(FOR_TOPIC))

build/man3/leat.3: $(HEADERS) README.md tools/reference.py
	@python3 tools/reference.py --man $(@D) $(filter %.h,$(HEADERS))
