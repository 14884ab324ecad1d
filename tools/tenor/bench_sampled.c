#define _GNU_SOURCE /* cpu_set_t */

#include "bench_sampled.h"

#include "bench_cpus.h"
#include "bench_meter.h"

#include <stdio.h>
#include <unistd.h>

enum { REST_US = 1000 };

const struct bench_common sampled_defaults = {.repeats = 25, .patience = 15};

const char sampled_usage[] =
    "  --json         print one JSON object instead of a table\n"
    "  --repeats N    turns of all subjects (default 25)\n"
    "  --cpus LIST    pin the process, for example 0 or 0,1 (default: not pinned)\n"
    "  --undisturbed  count undisturbed samples only, and make the others again\n"
    "  --patience N   with --undisturbed, make none of a turn again after N s of tries\n"
    "                 (default 15)\n"
    "\n"
    "A sample, some 30 ms of one subject, is undisturbed when every CPU that it could use is at\n"
    "90 % or more of the best pace, both before and after it. The pace is how fast a CPU gets\n"
    "through a fixed piece of work; the best is the fastest seen meanwhile. In a virtual machine\n"
    "a CPU loses half of its pace, and no counter tells, while somebody else uses the same core.\n"
    "A CPU that another thread of this machine wants has not its full pace either. Ratios are of\n"
    "samples of one turn. Medians are over turns: with --undisturbed, over those of which no\n"
    "sample that the figure needs was disturbed. When there is none they are over all, and a ~\n"
    "before a figure says that it rests on disturbed samples.\n";

/* --- measuring -------------------------------------------------------------------------------- */

void sampled_begin(struct sampled *all, int count, int subjects,
                   const struct bench_common *common) {
  struct sampling *sampling =
      sampling_create(common->undisturbed, (uint64_t)common->patience * 1000000000);
  for (int i = 0; i < count; i++)
    all[i].samples = samples_create(sampling, subjects, common->repeats);
}

void sampled_end(struct sampled *all, int count) {
  struct sampling *sampling = all[0].samples->sampling;
  for (int i = 0; i < count; i++)
    samples_destroy(all[i].samples);
  sampling_destroy(sampling);
}

uint64_t sampled_now(void *user) {
  (void)user;
  return meter_now();
}

void sampled_rest(void *user) {
  (void)user;
  usleep(REST_US);
}

struct errand {
  const struct sampled *sampled;
  sampled_fn *measure;
};

static void run_errand(const void *argument, double *values) {
  const struct errand *errand = argument;
  (void)values;
  errand->measure(errand->sampled);
}

static bool settle_once(struct sampled *all, int count, sampled_fn *measure) {
  for (int i = 0; i < count; i++) {
    const struct errand errand = {&all[i], measure};
    if (!samples_are_open(all[i].samples) || bench_in_child(run_errand, &errand, NULL, 0))
      continue;
    command_fail("%s was not measured", all[i].name);
    return false;
  }
  return true;
}

static void learn(const void *argument, double *values) {
  (void)values;
  cpus_learn(((const struct samples *)argument)->sampling);
}

bool sampled_settle(struct sampled *all, int count, sampled_fn *measure) {
  const struct sampling *sampling = all[0].samples->sampling;
  uint64_t judged_by;
  if (!bench_in_child(learn, all[0].samples, NULL, 0))
    return false;
  do {
    judged_by = sampling->best;
    if (!settle_once(all, count, measure))
      return false;
  } while (sampling->best != judged_by);
  return true;
}

/* --- reporting -------------------------------------------------------------------------------- */

static double value_of(const struct sampled_figure *figure, const struct sample_turn *turn) {
  double ns = turn->of[figure->subject].ns;
  if (figure->base >= 0)
    return turn->of[figure->base].ns / ns;
  return figure->work > 0 ? figure->work / ns : ns;
}

static bool is_undisturbed(const struct sampled_figure *figure, const struct samples *samples,
                           long turn) {
  return sample_is_undisturbed(samples, turn, figure->subject) &&
         (figure->base < 0 || sample_is_undisturbed(samples, turn, figure->base));
}

void report_add_sampled(struct report *report, const struct sampled_figure *figure,
                        const struct samples *samples) {
  struct figure which = figure->which;
  which.turns = samples->count;
  for (long turn = 0; turn < samples->count; turn++)
    which.undisturbed += is_undisturbed(figure, samples, turn);
  bool all = !samples->sampling->again || which.undisturbed == 0;
  for (long turn = 0; turn < samples->count; turn++)
    if (all || is_undisturbed(figure, samples, turn))
      report_add(report, &which, value_of(figure, &samples->turns[turn]));
}

void report_note_pace(struct report *report, const struct sampled *all, int count) {
  const struct sampling *sampling = all[0].samples->sampling;
  report->pace = (struct report_pace){.best = (double)sampling->best, .made = sampling->made};
  for (int i = 0; i < count; i++) {
    report->pace.samples += all[i].samples->count * all[i].samples->subjects;
    report->pace.undisturbed += samples_undisturbed(all[i].samples);
  }
}

void report_print_pace(const struct report *report, const struct sampling *sampling) {
  printf(
      "\nThe CPUs were at %d %% of the best pace or more before and after %ld of %ld samples (%ld "
      "were made).\n%s",
      CPU_PACE_LEAST_PERCENT, report->pace.undisturbed, report->pace.samples, report->pace.made,
      sampling->again ? "Medians are of undisturbed turns only, but those after a ~: of all, "
                        "since there was none.\n"
                      : "Medians are of all turns; ~: of which at least one was disturbed.\n");
}
