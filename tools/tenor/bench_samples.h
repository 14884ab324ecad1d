/* Timed samples of subjects that take turns, and which of them were undisturbed: right before and
 * right after it every CPU that the subject could use was at its pace (cpu_pace.h). They are judged
 * by nothing that they reach themselves. */
#ifndef TENOR_TOOL_BENCH_SAMPLES_H
#define TENOR_TOOL_BENCH_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu_pace.h"

/* What is measured, and how. `user` is handed to each. */
struct sampler {
  double (*measure)(void *user, int subject); /* ns; of what, the benchmark says */
  /* At the CPUs that the subject could use: the median of the slowest, the least of any. */
  struct cpu_pace (*look)(void *user, int subject);
  uint64_t (*now)(void *user); /* ns */
  void (*rest)(void *user);    /* between looks at CPUs that are not at their pace */
  void *user;
};

/* Of all problems of a benchmark. */
struct sampling {
  bool again;        /* disturbed samples are made again */
  uint64_t patience; /* ns of tries for a turn of all subjects, after which none are */
  uint64_t best;     /* ns: the least that a slice has taken so far; 0: none has been looked at */
  long made;         /* samples, whether they were kept or not */
};

struct sample {
  double ns;     /* what was measured */
  uint64_t pace; /* ns a slice: the median of the slowest CPU, before or after; 0: not made yet */
};

enum { SAMPLE_SUBJECTS_MAX = 8 };

struct sample_turn {
  uint64_t spent; /* ns of tries */
  struct sample of[SAMPLE_SUBJECTS_MAX];
};

/* Of one problem. */
struct samples {
  struct sampling *sampling; /* borrowed */
  int subjects;
  long count; /* of turns */
  struct sample_turn turns[];
};

/* Both in memory that processes share which fork from here, so that one may measure and another one
 * report. They end the process when there is none. */
struct sampling *sampling_create(bool again, uint64_t patience);
void sampling_destroy(struct sampling *sampling);
struct samples *samples_create(struct sampling *sampling, int subjects, long turns);
void samples_destroy(struct samples *samples);

/* Notes a look at CPUs. */
void sampling_note(struct sampling *sampling, struct cpu_pace pace);

/* Makes what is not made yet, turn by turn, and what is disturbed again while there is patience. Of
 * several tries the least disturbed is kept. Begins once more when the best pace was bettered on
 * the way: then not all that was undisturbed still is. */
void samples_settle(struct samples *samples, const struct sampler *sampler);

/* Whether samples_settle() would make any. */
bool samples_are_open(const struct samples *samples);

bool sample_is_undisturbed(const struct samples *samples, long turn, int subject);
long samples_undisturbed(const struct samples *samples); /* how many */

#endif
