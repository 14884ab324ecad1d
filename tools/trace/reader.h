/* Reads the binary form of a recording, record by record, from its beginning to its end: a file or
 * a pipe, in the memory of its largest piece. What it gives out has been checked for its form:
 * lengths fit, and so do texts and lists within a record. */
#ifndef TENOR_TRACE_READER_H
#define TENOR_TRACE_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <tenor/status.h>
#include <tenor/trace_format.h>

enum {
  TRACE_CHUNK = 0, /* in place of a type: a chunk begins; what was defined on its tape is over */
  TRACE_TAPES_MAX = 1 << 16,
  TRACE_DEVICES_MAX = 1 << 12
};

/* Farther from the beginning of a recording than this, in ns, are no times: they are cut to it. */
#define TRACE_TIME_MAX (INT64_C(1) << 53)

struct trace_event {
  unsigned type, flags; /* of a brief form: the long form's */
  uint64_t offset;      /* bytes from the beginning of the file */
  int64_t time;         /* ns since the recording's start */
  uint32_t tape, kind;  /* kind: of the piece */
  const tnr_trace_piece *piece;
  const uint64_t *words; /* the record; until the next call. NULL: TRACE_CHUNK */

  /* What both forms of a record say. */
  uint32_t op, parent; /* parent: SUBMIT */
  uint32_t site, plan; /* within the chunk. SUBMIT; RUN, BEGIN: TNR_TRACE_NO_DEVICE is none */
  uint32_t device,
      what; /* device: LAUNCH, HELD, RUN, BEGIN, END; what: missing, status, why, how */
  int64_t create, execute, took; /* ns. RUN, BEGIN; spans */
  const uint32_t *inputs;        /* SUBMIT, INPUTS: [input_count] */
  uint32_t input_count;
};

struct trace_reader;

/* "-" is standard input. TNR_ESYSTEM: it cannot be read; TNR_EINVAL: it is no recording;
 * TNR_ENOMEM. Sentences name no file, but the byte. */
tnr_status trace_reader_open(const char *path, struct trace_reader **out,
                             tnr_fault *fault) TNR_MUST_USE;
void trace_reader_close(struct trace_reader *reader);

/* The next record; *more is false behind the last. Failed: TNR_EINVAL where the file is damaged,
 * TNR_ESYSTEM, TNR_ENOMEM; what came before is right. A file that was cut off just ends. */
tnr_status trace_reader_next(struct trace_reader *reader, struct trace_event *out, bool *more,
                             tnr_fault *fault) TNR_MUST_USE;

const tnr_trace_file *trace_reader_header(const struct trace_reader *reader);

struct trace_reader_end {
  bool whole;            /* with its end: not cut off */
  uint64_t bytes;        /* read */
  uint64_t records;      /* read, of tapes */
  uint64_t missing;      /* records that pieces say they have, and that were cut off */
  uint64_t lost;         /* as the tapes say */
  tnr_trace_total total; /* where it is whole */
};

/* Behind the last record. */
struct trace_reader_end trace_reader_end(const struct trace_reader *reader);

#endif
