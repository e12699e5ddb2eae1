# How code of one's own comes into the simulator; included by the Makefile.  SPDX-License-Identifier: MIT

machine: $(if $(EXPLORE),$(MACHINE))
SIMULATE = $(if $(EXPLORE),MACHINE="$(MACHINE)" BUILD="$(BUILD)" sh learn/simulate.sh,\
    echo "No simulator here: it needs gcc and objcopy on x86-64 Linux. Not done:")
