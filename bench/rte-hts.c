/* rte-hts.c - DPDK's ring, head and tail kept together. SPDX-License-Identifier: MIT */
#define RTE_FLAGS (RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)
#include "rte.c"
