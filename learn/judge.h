/* judge.h - for the judge of each exercise: it includes the learner's file, and has scenarios for the simulator
 * (tests/explore/sim.h). SPDX-License-Identifier: MIT */
#ifndef JUDGE_H
#define JUDGE_H

#include "sim.h"

#ifndef LESSON
#define LESSON "exercise.c"
#endif

#define MUST(cond, words) ((cond) ? (void)0 : sim_fail(words, __FILE__, __LINE__))
#define NAME(object) sim_name((const void *)&(object), sizeof(object), #object)

#endif
