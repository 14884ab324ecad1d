/* Writes recordings as trace_format.h says, record by record: hand-made ones with known answers,
 * wrong ones, and large ones. One tick is one ns. */
#ifndef TENOR_TESTS_TAPE_WRITER_H
#define TENOR_TESTS_TAPE_WRITER_H

#include <stdbool.h>
#include <stdio.h>

#include <tenor/trace_format.h>

enum { TAPE_MAIN = 0, TAPE_DISPATCHER, TAPE_WORKER, TAPE_WORDS_MAX = 1 << 12 };

/* A file that is being written. Tapes: main, the dispatcher, then a worker for each device. Each
 * keeps what is put on it until it is full or closed, so that times overlap in the file as in real
 * ones. */
struct tape_file {
  FILE *to;
  uint32_t devices;
  uint64_t records; /* of all tapes */
  struct tape {
    uint64_t words[TAPE_WORDS_MAX];
    uint64_t count, base, last, sequence;
    uint32_t records, offset, sites, plans;
    bool begun;
  } * tapes;
};

/* Device i is called "dev:i". Fails the test when the file cannot be written. */
struct tape_file tape_open(const char *path, uint32_t devices, uint32_t flags);

/* Writes what is left, and the end: `lost` records are said to be lost; `drained` as there. */
void tape_close(struct tape_file *file, uint64_t lost, bool drained);

/* The same without the end: as when the program was killed. */
void tape_cut(struct tape_file *file);

/* Ends the tape's chunk: definitions begin anew. */
void tape_turn(struct tape_file *file, uint32_t tape);

/* A record of `words` words, head included: `rest` are those behind it. */
void tape_put(struct tape_file *file, uint32_t tape, unsigned type, unsigned flags, uint64_t time,
              const uint64_t *rest, unsigned words);

/* ---- records; times in ns ---- */

struct tape_op {
  uint32_t number, parent;
  const char *name, *composite; /* composite: NULL: none */
  uint32_t line;                /* of "model.c" */
  unsigned flags;
  const uint32_t *inputs;
  uint32_t input_count;
  const char *group; /* NULL: none */
  uint8_t priority;
};

void tape_submit(struct tape_file *file, uint32_t tape, uint64_t time, const struct tape_op *op);
void tape_resolve(struct tape_file *file, uint64_t time, uint32_t op, uint32_t missing);
void tape_held(struct tape_file *file, uint32_t tape, uint64_t begin, uint64_t end, uint32_t op,
               uint32_t device, tnr_trace_how how);
void tape_room(struct tape_file *file, uint64_t time, uint32_t device);
void tape_launch(struct tape_file *file, uint64_t time, uint32_t op, uint32_t device);
void tape_run(struct tape_file *file, uint64_t begin, uint64_t create, uint64_t end, uint32_t op,
              uint32_t device, const char *name);
void tape_begin(struct tape_file *file, uint64_t begin, uint64_t execute, uint32_t op,
                uint32_t device);
void tape_end(struct tape_file *file, uint64_t time, uint32_t op, uint32_t device);
void tape_move(struct tape_file *file, uint64_t time, uint32_t op, uint32_t from, uint32_t to,
               uint64_t bytes);
void tape_complete(struct tape_file *file, uint64_t time, uint32_t op, unsigned status);
void tape_error(struct tape_file *file, uint64_t time, uint32_t op, unsigned status,
                const char *reason);
void tape_span(struct tape_file *file, uint32_t tape, unsigned type, uint64_t begin, uint64_t end,
               uint32_t op, unsigned what);
void tape_counter(struct tape_file *file, uint64_t time, unsigned counter, uint32_t device,
                  uint64_t value);
void tape_signal(struct tape_file *file, uint64_t time, uint32_t device);
void tape_wake(struct tape_file *file, uint32_t tape, uint64_t time, uint32_t device);

/* The same in the brief form, in which a tape's time may go on by at most 65535 ns. */
void tape_brief_op(struct tape_file *file, uint64_t time, uint32_t op, uint32_t input,
                   uint32_t device, const char *name);

/* Resolved and launched. */
void tape_brief_ready(struct tape_file *file, uint64_t time, uint32_t op, uint32_t device);

/* An op with its whole journey, each 10 ns behind the other: submitted by main, run from `begin` to
 * `end`, complete 10 ns later. */
void tape_whole(struct tape_file *file, const struct tape_op *op, uint32_t device,
                uint64_t submitted, uint64_t begin, uint64_t end);

#endif
