/* How the records of a file become the tables of a recording. */
#ifndef TENOR_TRACE_INTAKE_H
#define TENOR_TRACE_INTAKE_H

#include "recording.h"

/* What is known of a tape while it is read. */
struct intake_tape {
  uint32_t lane;
  uint32_t orders;    /* runs begun on it */
  uint32_t open_run;  /* that BEGIN began; NONE */
  uint32_t next_move; /* of the copy that is about to begin; NONE */
  struct intake_defs {
    uint32_t *at;
    size_t count, room;
  } sites, plans, groups; /* definitions of its chunk: index there → here; NONE: not defined */
};

struct intake {
  struct trace_recording *recording;
  TRACE_ROWS(intake_tape) tapes;
  uint32_t *launches; /* [devices] so far */
};

tnr_status intake_init(struct trace_recording *recording, struct intake *out,
                       tnr_fault *fault) TNR_MUST_USE;
void intake_finish(struct intake *intake);

/* One record. TNR_ENOMEM; TNR_EINVAL: it refers to what is not there. */
tnr_status intake_event(struct intake *intake, const struct trace_event *event,
                        tnr_fault *fault) TNR_MUST_USE;

/* For definitions, which are in intake_defs.c. */
tnr_status intake_definition(struct intake *intake, struct intake_tape *tape,
                             const struct trace_event *event, tnr_fault *fault) TNR_MUST_USE;
tnr_status intake_move(struct intake *intake, struct intake_tape *tape,
                       const struct trace_event *event, tnr_fault *fault) TNR_MUST_USE;
tnr_status intake_lane(struct intake *intake, struct intake_tape *tape,
                       const tnr_trace_thread *writer, uint32_t index,
                       tnr_fault *fault) TNR_MUST_USE;
tnr_status intake_no_room(tnr_fault *fault);
tnr_status intake_string(struct intake *intake, const void *bytes, size_t size, uint32_t *out,
                         tnr_fault *fault) TNR_MUST_USE;

/* What is defined as `index` in the chunk. */
tnr_status intake_find(const struct intake_defs *defs, uint32_t index,
                       const struct trace_event *event, const char *what, uint32_t *out,
                       tnr_fault *fault) TNR_MUST_USE;

#endif
