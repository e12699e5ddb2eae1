# How the test programs, the faults and the soak are built; included by the Makefile.
# SPDX-License-Identifier: MIT

$(BUILD)/tap.o: tests/lib/tap.c tests/lib/tap.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) -c $< -o $@

vpath t-%.c $(sort $(dir $(TESTS_C)))

$(BUILD)/t-%: t-%.c $(BUILD)/tap.o $(HEADERS) $(wildcard tests/lib/*.h)
	$(Q)$(CC) $(TEST_CFLAGS) $(LINK) $< $(BUILD)/tap.o -o $@ $(if $(findstring t-topic,$@),$(FOR_TOPIC)) $(if $(findstring -uv,$@),$(FOR_UV)) $(NO_EXE)

$(BUILD)/t-topic-nourcu $(BUILD)/t-topic-calls: tests/topic/t-topic.c
$(BUILD)/t-topic-stress-nourcu: tests/topic/t-topic-stress.c
$(BUILD)/t-fuzz $(BUILD)/t-fuzz-pool $(BUILD)/t-fuzz-threads: $(wildcard tests/fuzz/*.h)

$(BUILD)/faults/%: tests/faults/%.c $(BUILD)/tap.o $(HEADERS) $(wildcard tests/lib/*.h tests/faults/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) $(LINK) $< $(BUILD)/tap.o -o $@ $(NO_EXE)

$(BUILD)/soak: tests/soak.c $(HEADERS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) $< -o $@ $(FOR_TOPIC)

# Two programs at once, each for a third of SECONDS in each build.
FUZZ_SECONDS = $(or $(SECONDS),600) / 3
fuzz-here: $(BUILD)/t-fuzz $(BUILD)/t-fuzz-pool $(BUILD)/t-fuzz-threads
	@LEAT_TEST_SEED=$(or $(SEED),$(shell date +%s)) LEAT_FUZZ_SECONDS=$$(($(FUZZ_SECONDS))) \
	    LEAT_TEST_SECONDS=$$(($(FUZZ_SECONDS) + 100)) LEAT_TEST_LIMIT=$$((4 * ($(FUZZ_SECONDS)) + 600)) $(RUN) $^
.PHONY: fuzz-here

# The tests in C as C++, by g++, which takes most of C with -fpermissive. A test that uses more of C is left out, and named.
CXX_TESTS = $(patsubst %.c,$(BUILD)/cxx/%,$(notdir $(call chosen,$(filter-out tests/fuzz/% tests/tools/%,$(TESTS_C)))))
CXX_FLAGS = -std=gnu++20 -x c++ -w -fpermissive -pthread -g -fno-omit-frame-pointer $(OPT) $(SANFLAGS_$(SAN)) $(DEFS) -DLEAT_LINT \
            $(if $(FEW),-DTAP_FEW=1) -I $(BUILD)/cxx -iquote .

$(BUILD)/cxx/lib: $(wildcard tests/lib/*.h) tests/cpp/c-test.sed
	@mkdir -p $(@D)
	@for h in tests/lib/*.h; do sed -E -f tests/cpp/c-test.sed $$h >$(@D)/$${h##*/}; done; touch $@

$(BUILD)/cxx/t-%: t-%.c $(BUILD)/cxx/lib $(BUILD)/tap.o $(HEADERS) tests/cpp/c-test.hh
	@rm -f $@; sed -E -f tests/cpp/c-test.sed $< >$@.cc
	@$(CXX) $(CXX_FLAGS) -iquote $(<D) -include tests/cpp/c-test.hh $@.cc -x none $(BUILD)/tap.o -rdynamic -o $@ $(if $(findstring t-topic,$@),$(FOR_TOPIC)) \
	    $(if $(findstring -uv,$@),$(FOR_UV)) 2>$@.said || echo "left out: $<: $$(grep -m1 error $@.said)"

cxx-programs: $(CXX_TESTS)
.PHONY: cxx-programs
