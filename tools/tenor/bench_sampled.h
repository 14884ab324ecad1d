/* The problems of a benchmark whose subjects take turns: measured in processes, reported here. */
#ifndef TENOR_TOOL_BENCH_SAMPLED_H
#define TENOR_TOOL_BENCH_SAMPLED_H

#include "bench.h"
#include "bench_report.h"
#include "bench_samples.h"

struct sampled {
  char name[16];       /* "cnn 64" */
  const void *problem; /* the benchmark's own */
  struct samples *samples;
};

/* What a benchmark measures of one problem: it settles the samples. In a process of its own. */
typedef void sampled_fn(const struct sampled *sampled);

/* Gives them samples of so many subjects, not made yet. */
void sampled_begin(struct sampled *all, int count, int subjects, const struct bench_common *common);
void sampled_end(struct sampled *all, int count);

/* Learns the best pace and settles them all, problem by problem. False when a process failed; it
 * has said why. */
bool sampled_settle(struct sampled *all, int count, sampled_fn *measure);

/* The clock and the rest of a sampler. */
uint64_t sampled_now(void *user);
void sampled_rest(void *user);

/* A figure of which each turn gives a value. */
struct sampled_figure {
  struct figure which; /* without the values */
  int subject;
  int base;    /* a subject: the value is how many times as fast as it; -1: none */
  double work; /* without a base: the value is this in a ns; 0: the value is the time */
};

/* Adds the values of the turns that count. Where disturbed samples are made again that are the
 * turns of which no sample that the figure needs is disturbed, unless there is none; else all. */
void report_add_sampled(struct report *report, const struct sampled_figure *figure,
                        const struct samples *samples);

/* What the report is to say of all samples. */
void report_note_pace(struct report *report, const struct sampled *all, int count);

/* A line on stdout that says how many samples were undisturbed, and of what the medians are. */
void report_print_pace(const struct report *report, const struct sampling *sampling);

extern const struct bench_common sampled_defaults;
extern const char sampled_usage[]; /* what --help says of it all */

#endif
