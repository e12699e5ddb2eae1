# The exercises of learn/; included by the Makefile.  SPDX-License-Identifier: MIT

lesson: $(if $(EXPLORE),$(MACHINE)) ## judge your copy of an exercise of learn/ in the simulator: N=1 to 9, LESSON=file
	@$(if $(EXPLORE),MACHINE="$(MACHINE)" BUILD="$(BUILD)" sh learn/lesson.sh "$(N)" $(LESSON),echo "The simulator needs gcc and objcopy on x86-64 Linux.")

.PHONY: lesson
