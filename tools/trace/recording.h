/* A whole recording: ops, where they ran, what threads did. About 35 bytes for each record of the
 * file, and nothing else here takes more than twice as much again; what is large of that is in
 * files (see spill.h), so that it takes memory only while it is looked at.
 *
 * Times are ns from the recording's beginning; of recordings in flight they may be negative. Rows
 * are referred to by index. */
#ifndef TENOR_TRACE_RECORDING_H
#define TENOR_TRACE_RECORDING_H

#include "numbers.h"
#include "reader.h"
#include "strings.h"

#define TRACE_NEVER INT64_MIN  /* no time: it did not happen, or is not in the recording */
#define TRACE_NONE  UINT32_MAX /* no row */

enum trace_op_flags {
  TRACE_SUBMITTED = 1, /* its SUBMIT is there */
  TRACE_PLAIN = 2,
  TRACE_AGAIN = 4, /* it was submitted, or has ended, more than once */
  TRACE_ENDED_AGAIN = 8,
  TRACE_WAS_HELD = 16 /* by a limit */
};

/* An op, a call of a composite, or a future of several futures. */
struct trace_op {
  int64_t submitted, resolved, completed;
  uint32_t number;              /* in the file */
  uint32_t parent;              /* the composite's call around it */
  uint32_t inputs, input_count; /* inputs: the first in recording.inputs */
  uint32_t runs;                /* the first of them; they go on by `next` */
  uint32_t site, error;
  uint32_t lane;                   /* of the thread that submitted it */
  uint32_t group;                  /* a string */
  uint16_t missing;                /* inputs that it waited for */
  uint8_t kind;                    /* TNR_TRACE_OP, … */
  uint8_t flags, priority, status; /* status: once completed */
};

enum trace_run_flags {
  TRACE_RUN_MISS = TNR_TRACE_MISS,
  TRACE_RUN_ALIAS = TNR_TRACE_ALIAS,
  TRACE_RUN_TOGETHER = TNR_TRACE_TOGETHER,
  TRACE_RUN_MOVE = 8, /* a copy: `plan` is a row of moves */
  TRACE_LAUNCHED_AGAIN = 16,
  TRACE_RAN_AGAIN = 32
};

/* What an op does on one device. */
struct trace_run {
  int64_t launched;
  int64_t held; /* the worker took it up, but a limit held it until it began; NEVER: it did not */
  int64_t began, executed, ended; /* executed: create is over; ended: NEVER while it runs */
  uint32_t op;                    /* NONE: submitted before the recording began */
  uint32_t next;                  /* of the same op */
  uint32_t plan;
  uint32_t lane;         /* of the worker */
  uint32_t launch_order; /* on its device, from 1; 0: not seen */
  uint32_t run_order;    /* on its worker's tape, from 1; 0: not seen */
  uint16_t device;
  uint8_t flags;
};

/* What a thread did, or waited for. */
struct trace_span {
  int64_t begin, end;
  uint32_t lane, op;   /* op: NONE where there is none */
  uint16_t type, what; /* TNR_TRACE_CREATE, BODY, CALLBACK, HELD, WAIT or REST; a tnr_trace_why or
                        * how */
};

struct trace_mark {
  int64_t time;
  uint32_t lane;
  uint16_t type, device; /* TNR_TRACE_WAKE: which worker was woken; SIGNAL; HELD: what was refused;
                          * ROOM */
};

struct trace_sample {
  int64_t time;
  uint64_t value;
  uint32_t counter; /* a tnr_trace_counter_id */
  uint32_t of;      /* a device, NONE: the host; of TNR_TRACE_CPU_TIME a lane */
};

struct trace_lane {
  uint32_t kind, tape, tid, device; /* device: a worker's, else NONE */
  uint32_t first_run, run_count;    /* in recording.by_lane */
  uint32_t first_span, span_count;
  uint32_t first_mark, mark_count;
  uint64_t submits;
  char name[TNR_TRACE_NAME_MAX + 1];
};

struct trace_site {
  uint32_t name, composite, file, line; /* strings, but for the line */
};

struct trace_plan {
  uint32_t name, attrs;
  uint32_t inputs, outputs; /* strings: one description a line */
  uint64_t bytes;
  double flops;
};

struct trace_move {
  uint32_t from, to; /* devices; NONE: the host */
  uint32_t what;     /* a string: the description */
  uint32_t unused;
  uint64_t bytes;
};

struct trace_error {
  uint32_t op, message;
  uint32_t status;
};

struct trace_device {
  char name[64];
  bool host_memory;
  uint32_t lanes; /* workers seen */
};

#define TRACE_ROWS(type)                                                                           \
  struct {                                                                                         \
    struct type *at;                                                                               \
    size_t count, room;                                                                            \
  }

struct trace_recording {
  tnr_trace_file file;
  struct trace_reader_end end;
  struct trace_device *devices; /* [file.devices] */
  struct strings strings;       /* 0: the empty one */
  struct strings sites, plans;  /* each a struct trace_site, trace_plan as bytes */
  struct numbers numbers;       /* of ops */
  TRACE_ROWS(trace_op) ops;
  TRACE_ROWS(trace_run) runs;
  TRACE_ROWS(trace_span) spans; /* by lane, then begin; outer before inner */
  TRACE_ROWS(trace_mark) marks; /* by lane, then time */
  TRACE_ROWS(trace_sample) samples;
  TRACE_ROWS(trace_lane) lanes;
  TRACE_ROWS(trace_move) moves;
  TRACE_ROWS(trace_error) errors;
  struct {
    uint32_t *at;
    size_t count, room;
  } inputs;          /* ops, NONE: made by none of this recording */
  uint32_t *by_lane; /* [lanes' run_count together]: runs that began, by lane, then began */
  int64_t last;      /* the last moment in it */
};

/* Reads a file ("-": standard input). Failed: as trace_reader_*; nothing is held. */
tnr_status trace_recording_read(const char *path, struct trace_recording *out,
                                tnr_fault *fault) TNR_MUST_USE;
void trace_recording_finish(struct trace_recording *recording);

/* Some records of the threads are not in it: lost, cut off, or before a recording in flight began.
 */
bool trace_is_partial(const struct trace_recording *recording);

static inline const char *trace_string(const struct trace_recording *recording, uint32_t number) {
  return number == TRACE_NONE ? "" : strings_at(&recording->strings, number);
}

struct trace_site trace_site_at(const struct trace_recording *recording, uint32_t site);
struct trace_plan trace_plan_at(const struct trace_recording *recording, uint32_t plan);

/* A string: what is called, or "?" where that is not known. */
uint32_t trace_op_name(const struct trace_recording *recording, uint32_t op);
uint32_t trace_run_name(const struct trace_recording *recording, const struct trace_run *run);

/* "host" for NONE. */
const char *trace_device_name(const struct trace_recording *recording, uint32_t device);

/* Of all its runs, or NEVER: when the first began, when the first was created, when the last has
 * ended. */
int64_t trace_op_began(const struct trace_recording *recording, uint32_t op);
int64_t trace_op_created(const struct trace_recording *recording, uint32_t op);
int64_t trace_op_ended(const struct trace_recording *recording, uint32_t op);

/* Bytes allocated for outputs, or copied. */
uint64_t trace_run_bytes(const struct trace_recording *recording, const struct trace_run *run);

#endif
