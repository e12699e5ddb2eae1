# The exercises of learn/, and other code, in the simulator; included by the Makefile.  SPDX-License-Identifier: MIT

SIMULATE = $(if $(EXPLORE),MACHINE="$(MACHINE)" BUILD="$(BUILD)" sh learn/simulate.sh,echo "No simulator: it needs gcc and objcopy on x86-64 Linux. Not done:")

lesson: $(if $(EXPLORE),$(MACHINE)) ## judge your copy of an exercise of learn/ in the simulator: N=6, LESSON=file
	@$(SIMULATE) --lesson "$(N)" $(LESSON)

simulate: $(if $(EXPLORE),$(MACHINE)) ## run your own code in the simulator: FILE=file.c, see docs/simulator.md
	@$(SIMULATE) "$(FILE)"

lesson-prices: ## measure the queues of learn/, and write the table of learn/README.md
	@CC="$(CC)" BUILD="$(BUILD)" sh learn/prices.sh

lesson-traces: $(if $(EXPLORE),$(MACHINE)) ## write the traces of learn/*/README.md anew
	@MACHINE="$(MACHINE)" BUILD="$(BUILD)" sh learn/traces.sh --write

.PHONY: lesson simulate lesson-prices lesson-traces
