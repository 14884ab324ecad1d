/* Reads a recording's file as the format says, the simplest way: for tests of what is recorded. */
#ifndef TENOR_TESTS_RECORDED_H
#define TENOR_TESTS_RECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenor/trace_format.h>

#include "folder.h"

typedef struct recorded_event {
  tnr_trace_type type; /* of a brief form: the long form's */
  unsigned flags;
  uint64_t time; /* ticks */
  uint32_t op;   /* 0 where there is none */
  unsigned what; /* missing, device, status, why, counter, … */
  uint32_t tape, kind, device;
  uint64_t create, execute; /* RUN, BEGIN: ticks; spans: execute is how long it took */
  const tnr_trace_site *site;
  const tnr_trace_plan *plan;
  uint32_t parent, inputs;      /* SUBMIT */
  const tnr_trace_group *group; /* SUBMIT; NULL: none */
  unsigned priority;            /* SUBMIT */
  const uint32_t *input;        /* [inputs] */
  const uint64_t *words;        /* the record */
} recorded_event;

typedef struct recorded {
  void *memory; /* the file */
  size_t bytes;
  tnr_trace_file file;
  recorded_event *events; /* in the order of the file; definitions are left out */
  size_t count;
  size_t records;               /* of tapes, definitions included */
  const tnr_trace_total *total; /* NULL: it was cut off */
  size_t pieces;
  uint64_t lost; /* as pieces say: the most of each tape, together */
} recorded;

/* Fails the test when there is no such file or anything in it is not as it should be. */
recorded recorded_read(const char *path);
void recorded_finish(recorded *r);

/* Texts of a definition, in a buffer that the next call uses again. */
const char *recorded_name(const tnr_trace_site *site);
const char *recorded_composite(const tnr_trace_site *site);
const char *recorded_file(const tnr_trace_site *site);
const char *recorded_group(const tnr_trace_group *group);
const char *recorded_plan_name(const tnr_trace_plan *plan);
const char *recorded_attrs(const tnr_trace_plan *plan);

/* How many events there are of this type, and of this op (0: of any). */
size_t recorded_count(const recorded *r, tnr_trace_type type, uint32_t op);

/* The first of them; NULL if there is none. */
const recorded_event *recorded_find(const recorded *r, tnr_trace_type type, uint32_t op);

/* The only one of this op; fails the test when there is none, or more. */
const recorded_event *recorded_one(const recorded *r, tnr_trace_type type, uint32_t op);

/* Fails the test unless this input of the op comes from that op; 0: from none that was recorded. */
void recorded_check_input(const recorded *r, uint32_t op, uint32_t index, uint32_t from);

/* The number of the index-th op that was submitted with this name, in the order of numbers; 0:
 * there are not so many. */
uint32_t recorded_op(const recorded *r, const char *name, int index);

#endif
