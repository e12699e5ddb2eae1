# How the test programs, the faults and the soak are built; included by the Makefile.
# SPDX-License-Identifier: MIT

$(BUILD)/tap.o: tests/lib/tap.c tests/lib/tap.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) -c $< -o $@

vpath t-%.c $(sort $(dir $(TESTS_C)))

$(BUILD)/t-%: t-%.c $(BUILD)/tap.o $(HEADERS) $(wildcard tests/lib/*.h)
	$(Q)$(CC) $(TEST_CFLAGS) -rdynamic $< $(BUILD)/tap.o -o $@ $(if $(findstring t-topic,$@),$(FOR_TOPIC)) $(if $(findstring -uv,$@),$(FOR_UV))

$(BUILD)/t-topic-nourcu $(BUILD)/t-topic-calls: tests/topic/t-topic.c
$(BUILD)/t-topic-stress-nourcu: tests/topic/t-topic-stress.c

$(BUILD)/faults/%: tests/faults/%.c $(BUILD)/tap.o $(HEADERS) $(wildcard tests/lib/*.h tests/faults/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) -rdynamic $< $(BUILD)/tap.o -o $@

$(BUILD)/soak: tests/soak.c $(HEADERS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) $< -o $@ $(FOR_TOPIC)
