/* rte-rts.c - DPDK's ring, the tail moved by the last thread to finish. SPDX-License-Identifier: MIT */
#define RTE_FLAGS (RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ)
#include "rte.c"
