# How the simulator is built; included by the Makefile.
# SPDX-License-Identifier: MIT

# The simulator: scenarios are compiled as if for ThreadSanitizer, then meet our own machine instead.
SIM_CC := gcc# it says which compare-exchange is weak
SIM := $(BUILD)/explore
MACHINE := $(patsubst %,$(SIM)/%.o,memory threads trace system lesson main)
SCENARIOS := $(filter-out $(MACHINE),$(patsubst tests/explore/%.c,$(SIM)/%.o,$(wildcard tests/explore/*.c)))

$(SIM)/explore: $(MACHINE) $(SCENARIOS)
	$(Q)$(SIM_CC) -no-pie -pthread $^ -o $@

$(MACHINE): $(SIM)/%.o: tests/explore/%.c tests/explore/machine.h tests/explore/sim.h
	@mkdir -p $(@D)
	$(Q)$(SIM_CC) -std=gnu11 $(WARN) -O2 -g -fno-pie -c $< -o $@

# DWARF 4: of version 5, addr2line (binutils 2.40) says the wrong file for functions of a header that are not inlined
$(SCENARIOS): $(SIM)/%.o: tests/explore/%.c $(wildcard tests/explore/*.h) tests/explore/symbols.txt $(HEADERS)
	@mkdir -p $(@D)
	$(Q)$(SIM_CC) -std=c11 $(WARN) -O1 -gdwarf-4 -fno-pie -fsanitize=thread -DLEAT_LINT -DLEAT_NO_URCU $(DEFS) \
	    -D__builtin_ia32_pause=sim_pause -include sim.h -iquote $(or $(H),.) -iquote tests/explore -c $< -o $@
	@objcopy --redefine-syms=tests/explore/symbols.txt $@
