#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include "bench_samples.h"

#include "command.h"

#include <stdlib.h>
#include <sys/mman.h>

/* --- memory ----------------------------------------------------------------------------------- */

static void *shared(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    exit(command_fail("out of memory"));
  return memory;
}

struct sampling *sampling_create(bool again, uint64_t patience) {
  struct sampling *sampling = shared(sizeof *sampling);
  sampling->again = again;
  sampling->patience = patience;
  return sampling;
}

void sampling_destroy(struct sampling *sampling) {
  munmap(sampling, sizeof *sampling);
}

static size_t samples_size(long turns) {
  return sizeof(struct samples) + (size_t)turns * sizeof(struct sample_turn);
}

struct samples *samples_create(struct sampling *sampling, int subjects, long turns) {
  struct samples *samples = shared(samples_size(turns));
  samples->sampling = sampling;
  samples->subjects = subjects;
  samples->count = turns;
  return samples;
}

void samples_destroy(struct samples *samples) {
  munmap(samples, samples_size(samples->count));
}

/* --- judging ---------------------------------------------------------------------------------- */

void sampling_note(struct sampling *sampling, struct cpu_pace pace) {
  if (sampling->best == 0 || pace.least < sampling->best)
    sampling->best = pace.least;
}

static bool is_full(const struct sampling *sampling, uint64_t pace) {
  return pace > 0 && cpu_pace_is_full(pace, sampling->best);
}

bool sample_is_undisturbed(const struct samples *samples, long turn, int subject) {
  return is_full(samples->sampling, samples->turns[turn].of[subject].pace);
}

long samples_undisturbed(const struct samples *samples) {
  long count = 0;
  for (long turn = 0; turn < samples->count; turn++)
    for (int i = 0; i < samples->subjects; i++)
      count += sample_is_undisturbed(samples, turn, i);
  return count;
}

static bool is_open(const struct samples *samples, long turn, int subject) {
  const struct sampling *sampling = samples->sampling;
  const struct sample_turn *at = &samples->turns[turn];
  if (at->of[subject].pace == 0)
    return true;
  return sampling->again && at->spent < sampling->patience &&
         !is_full(sampling, at->of[subject].pace);
}

bool samples_are_open(const struct samples *samples) {
  for (long turn = 0; turn < samples->count; turn++)
    for (int i = 0; i < samples->subjects; i++)
      if (is_open(samples, turn, i))
        return true;
  return false;
}

/* --- making ----------------------------------------------------------------------------------- */

static uint64_t look(struct sampling *sampling, const struct sampler *sampler, int subject) {
  struct cpu_pace pace = sampler->look(sampler->user, subject);
  sampling_note(sampling, pace);
  return pace.median;
}

/* Until the CPUs are at their pace, or there is no patience left. Returns what they are at. */
static uint64_t await_pace(struct sampling *sampling, const struct sampler *sampler, int subject,
                           uint64_t end) {
  uint64_t pace = look(sampling, sampler, subject);
  while (sampling->again && !is_full(sampling, pace) && sampler->now(sampler->user) < end) {
    sampler->rest(sampler->user);
    pace = look(sampling, sampler, subject);
  }
  return pace;
}

static void keep_if_better(struct sample *kept, struct sample made) {
  if (kept->pace == 0 || made.pace < kept->pace)
    *kept = made;
}

static void try(struct samples *samples, struct sample *kept, const struct sampler *sampler,
                int subject, uint64_t end) {
  struct sampling *sampling = samples->sampling;
  uint64_t before = await_pace(sampling, sampler, subject, end);
  /* What begins disturbed is made only where there would be none else. */
  if (kept->pace > 0 && !is_full(sampling, before))
    return;
  struct sample made = {.ns = sampler->measure(sampler->user, subject)};
  uint64_t after = look(sampling, sampler, subject);
  made.pace = before > after ? before : after;
  sampling->made++;
  keep_if_better(kept, made);
}

static void settle_turn(struct samples *samples, const struct sampler *sampler, long turn) {
  struct sample_turn *at = &samples->turns[turn];
  for (int i = 0; i < samples->subjects; i++)
    while (is_open(samples, turn, i)) {
      uint64_t begin = sampler->now(sampler->user);
      uint64_t patience = samples->sampling->patience;
      uint64_t left = patience > at->spent ? patience - at->spent : 0;
      try(samples, &at->of[i], sampler, i, begin + left);
      at->spent += sampler->now(sampler->user) - begin;
    }
}

void samples_settle(struct samples *samples, const struct sampler *sampler) {
  uint64_t judged_by;
  do {
    judged_by = samples->sampling->best;
    for (long turn = 0; turn < samples->count; turn++)
      settle_turn(samples, sampler, turn);
  } while (samples->sampling->best != judged_by && samples_are_open(samples));
}
