#include "../../tools/trace/reader.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tape_fixture.h"

/* ---- files as bytes ---- */

struct image {
  uint8_t *bytes;
  size_t size;
};

static struct image load(const char *name) {
  FILE *file = fopen(folder_path(name), "rb");
  assert_non_null(file);
  struct image image = {malloc(1 << 20), 0};
  assert_non_null(image.bytes);
  image.size = fread(image.bytes, 1, 1 << 20, file);
  fclose(file);
  return image;
}

static const char *save(const uint8_t *bytes, size_t size) {
  const char *path = folder_path("changed");
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
  return path;
}

/* Reads it all; what is damaged has a sentence with the byte. */
static tnr_status read_all(const char *path, struct trace_reader_end *end, tnr_fault *fault) {
  struct trace_reader *reader;
  struct trace_event event;
  bool more = true;
  tnr_status status = trace_reader_open(path, &reader, fault);
  if (status != TNR_OK)
    return status;
  while (status == TNR_OK && more)
    status = trace_reader_next(reader, &event, &more, fault);
  *end = trace_reader_end(reader);
  trace_reader_close(reader);
  return status;
}

static void assert_reason(const tnr_fault *fault, const char *part) {
  if (!strstr(fault->message, part))
    fail_msg("'%s' does not say '%s'", fault->message, part);
}

/* ---- what is right ---- */

static void a_whole_file_is_read_to_its_end(void **state) {
  (void)state;
  struct trace_reader_end end;
  tnr_fault fault;
  tape_diamond("whole");
  struct image image = load("whole");
  assert_int_equal(read_all(folder_path("whole"), &end, &fault), TNR_OK);
  assert_true(end.whole);
  assert_int_equal(end.bytes, image.size);
  assert_int_equal(end.records, end.total.records);
  assert_int_equal(end.missing, 0);
  free(image.bytes);
}

static void both_forms_say_the_same(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("brief"), 1, 0);
  tape_brief_op(&file, 1000, 7, 3, 0, "relu");
  tape_close(&file, 0, true);
  struct trace_reader *reader;
  struct trace_event event;
  tnr_fault fault;
  bool more;
  unsigned seen = 0;
  assert_int_equal(trace_reader_open(folder_path("brief"), &reader, &fault), TNR_OK);
  while (trace_reader_next(reader, &event, &more, &fault) == TNR_OK && more) {
    switch (event.type) {
    case TNR_TRACE_SUBMIT:
      assert_int_equal(event.op, 7);
      assert_int_equal(event.time, 1000);
      assert_int_equal(event.input_count, 1);
      assert_int_equal(event.inputs[0], 3);
      seen |= 1;
      break;
    case TNR_TRACE_RESOLVE:
      assert_int_equal(event.time, 1160);
      assert_int_equal(event.what, 1);
      seen |= 2;
      break;
    case TNR_TRACE_LAUNCH:
      assert_int_equal(event.time, 1170);
      assert_int_equal(event.device, 0);
      seen |= 4;
      break;
    case TNR_TRACE_RUN:
      assert_int_equal(event.time, 1250);
      assert_int_equal(event.create, 10);
      assert_int_equal(event.execute, 60);
      seen |= 8;
      break;
    case TNR_TRACE_COMPLETE:
      assert_int_equal(event.time, 1260);
      assert_int_equal(event.what, TNR_OK);
      seen |= 16;
      break;
    default:
      break;
    }
  }
  trace_reader_close(reader);
  assert_int_equal(seen, 31);
}

static void one_record_may_tell_of_two_events(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("ready"), 3, 0);
  tape_brief_ready(&file, 1000, 7, 2);
  tape_brief_ready(&file, 1010, 8, 1);
  tape_close(&file, 0, true);
  const struct trace_event expected[] = {
      {.type = TNR_TRACE_RESOLVE, .op = 7, .time = 1000, .what = 0},
      {.type = TNR_TRACE_LAUNCH, .op = 7, .time = 1000, .device = 2},
      {.type = TNR_TRACE_RESOLVE, .op = 8, .time = 1010, .what = 0},
      {.type = TNR_TRACE_LAUNCH, .op = 8, .time = 1010, .device = 1},
  };
  struct trace_reader *reader;
  struct trace_event event;
  tnr_fault fault;
  bool more;
  size_t seen = 0;
  assert_int_equal(trace_reader_open(folder_path("ready"), &reader, &fault), TNR_OK);
  while (trace_reader_next(reader, &event, &more, &fault) == TNR_OK && more) {
    if (event.kind != TNR_TRACE_DISPATCHER || event.type == TRACE_CHUNK)
      continue;
    assert_in_range(seen, 0, 3);
    const struct trace_event *wanted = &expected[seen++];
    assert_int_equal(event.type, wanted->type);
    assert_int_equal(event.op, wanted->op);
    assert_int_equal(event.time, wanted->time);
    if (event.type == TNR_TRACE_RESOLVE)
      assert_int_equal(event.what, wanted->what);
    else
      assert_int_equal(event.device, wanted->device);
  }
  assert_int_equal(seen, 4);
  assert_int_equal(trace_reader_end(reader).records, 2);
  trace_reader_close(reader);
}

static void what_is_not_known_is_passed_over(void **state) {
  (void)state;
  const uint64_t rest[] = {1, 2, 3};
  struct tape_file file = tape_open(folder_path("unknown"), 1, 0);
  tape_put(&file, TAPE_MAIN, 99, 5, 10, rest, 4);
  tape_put(&file, TAPE_MAIN, 150, 0, 10, NULL, 1); /* a brief form: its time goes on by nothing */
  tape_brief_op(&file, 1000, 7, 3, 0, "relu");
  tape_close(&file, 0, true);
  struct trace_recording recording = tape_read("unknown");
  assert_int_equal(recording.ops.count, 2 - 1);
  trace_recording_finish(&recording);
}

static void times_go_by_the_clock_of_the_file(void **state) {
  (void)state;
  tape_diamond("clock");
  struct image image = load("clock");
  tnr_trace_file *header = (tnr_trace_file *)image.bytes;
  header->mult = 3u << 20;
  header->shift = 21;
  header->start = 100;
  save(image.bytes, image.size);
  struct trace_recording recording = tape_read("changed");
  assert_int_equal(recording.ops.at[tape_row(&recording, 1)].submitted, 0);
  assert_int_equal(recording.ops.at[tape_row(&recording, 2)].submitted, 150);
  assert_int_equal(recording.ops.at[tape_row(&recording, 4)].completed, (11000 - 100) * 3 / 2);
  trace_recording_finish(&recording);
  free(image.bytes);
}

/* ---- what is not there ---- */

static void cut_off_anywhere_the_rest_is_read(void **state) {
  (void)state;
  struct trace_reader_end end;
  tnr_fault fault;
  uint64_t before = 0;
  tape_diamond("cut");
  struct image image = load("cut");
  for (size_t size = 0; size < image.size; size++) {
    tnr_status status = read_all(save(image.bytes, size), &end, &fault);
    if (size < sizeof(tnr_trace_file)) {
      assert_int_equal(status, TNR_EINVAL);
      assert_reason(&fault,
                    size < 8 ? "byte 0: this is no recording" : "cut off within its header");
      continue;
    }
    if (status != TNR_OK)
      fail_msg("cut off at %zu: %s", size, fault.message);
    assert_false(end.whole);
    assert_int_equal(end.bytes, size);
    assert_true(end.records >= before);
    before = end.records;
    struct trace_recording recording = tape_read("changed");
    assert_true(trace_is_partial(&recording));
    trace_recording_finish(&recording);
  }
  assert_true(before > 20);
  free(image.bytes);
}

static void files_that_are_no_recordings_are_told(void **state) {
  (void)state;
  struct trace_reader_end end;
  tnr_fault fault;
  assert_int_equal(read_all(folder_path("none"), &end, &fault), TNR_ESYSTEM);
  assert_reason(&fault, "No such file");
  assert_int_equal(read_all(save((const uint8_t *)"{\"traceEvents\":[]}", 18), &end, &fault),
                   TNR_EINVAL);
  assert_reason(&fault, "byte 0: this is no recording of tenor");
  assert_int_equal(read_all("/", &end, &fault), TNR_ESYSTEM);
}

/* ---- what is damaged ---- */

struct damage {
  size_t at; /* bytes behind the file's header, at the first piece of a tape; SIZE_MAX: header */
  size_t offset, size;
  uint64_t value;
  const char *reason;
};

/* The first piece of a tape, behind the header and three places. */
static size_t first_tape(const struct image *image) {
  size_t at = sizeof(tnr_trace_file);
  for (;;) {
    const tnr_trace_piece *piece = (const tnr_trace_piece *)(image->bytes + at);
    if (piece->kind < TNR_TRACE_PLACES)
      return at;
    at += sizeof *piece + piece->bytes;
  }
}

static void what_is_damaged_is_told_with_its_byte(void **state) {
  (void)state;
  enum { HEADER, PIECE, RECORD };
#define IN_HEADER(field) HEADER, offsetof(tnr_trace_file, field), sizeof((tnr_trace_file *)0)->field
#define IN_PIECE(field)  PIECE, offsetof(tnr_trace_piece, field), sizeof((tnr_trace_piece *)0)->field
  const struct damage cases[] = {
      {IN_HEADER(byte_order), 0x04030201, "byte 8: it was recorded on a machine with another"},
      {IN_HEADER(version), 2, "byte 12: this is version 2"},
      {IN_HEADER(mult), 0, "byte 16: the clock makes no sense"},
      {IN_HEADER(shift), 64, "byte 16: the clock makes no sense"},
      {IN_HEADER(devices), 100000, "there cannot be 100000 devices"},
      {IN_PIECE(magic), 1, "damaged: no piece of a recording begins with 1"},
      {IN_PIECE(bytes), 12, "damaged: no piece has bytes 12"},
      {IN_PIECE(bytes), 1u << 30, "damaged: no piece has bytes"},
      {IN_PIECE(kind), 9, "damaged: there are no pieces of kind 9"},
      {IN_PIECE(tape), 1u << 20, "damaged: there is no tape"},
      {IN_PIECE(sequence), 0, "damaged: out of its order comes chunk 0"},
      {IN_PIECE(offset), 8, "damaged: the chunk does not go on at its byte 8"},
      {IN_PIECE(records), 1, "damaged: the piece has more records than it says: 1"},
      {IN_PIECE(records), 12, "damaged: the piece has fewer records than it says: 12"},
      {IN_PIECE(records), 1u << 30, "damaged: a piece cannot have so many records"},
      {RECORD, 2, 1, 0, "damaged: without a length there is a record of type 1"},
      {RECORD, 2, 1, 255, "damaged: beyond its end goes a record of type 1"},
      {RECORD, 10, 2, 200, "damaged: beyond its end goes a record of type 1"},
  };
  struct trace_reader_end end;
  tnr_fault fault;
  tape_diamond("damaged");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct image image = load("damaged");
    size_t piece = first_tape(&image);
    size_t at = cases[i].at == HEADER  ? 0
                : cases[i].at == PIECE ? piece
                                       : piece + sizeof(tnr_trace_piece);
    memcpy(image.bytes + at + cases[i].offset, &cases[i].value, cases[i].size);
    assert_int_equal(read_all(save(image.bytes, image.size), &end, &fault), TNR_EINVAL);
    assert_reason(&fault, cases[i].reason);
    assert_reason(&fault, "byte ");
    free(image.bytes);
  }
}

static void more_behind_the_end_is_told(void **state) {
  (void)state;
  struct trace_reader_end end;
  tnr_fault fault;
  tape_diamond("longer");
  struct image image = load("longer");
  image.bytes[image.size] = 'x';
  assert_int_equal(read_all(save(image.bytes, image.size + 1), &end, &fault), TNR_EINVAL);
  assert_reason(&fault, "behind the recording's end");
  free(image.bytes);
}

static void references_to_nothing_are_told(void **state) {
  (void)state;
  const tnr_trace_submit submit = {.op = 1, .site = 5};
  const tnr_trace_run runs[] = {{.op = 1, .plan = 3}, {.op = 1, .plan = 0xffff, .device = 8}};
  const char *const reasons[] = {"there is no call site 5", "there is no plan 3",
                                 "there is no device 8"};
  for (int i = 0; i < 3; i++) {
    struct trace_recording recording;
    tnr_fault fault;
    struct tape_file file = tape_open(folder_path("dangling"), 1, 0);
    if (i == 0)
      tape_put(&file, TAPE_MAIN, TNR_TRACE_SUBMIT, 0, 5, (const uint64_t *)&submit + 1,
               sizeof submit / 8);
    else
      tape_put(&file, TAPE_WORKER, TNR_TRACE_RUN, 0, 5, (const uint64_t *)&runs[i - 1] + 1,
               sizeof *runs / 8);
    tape_close(&file, 0, true);
    assert_int_equal(trace_recording_read(folder_path("dangling"), &recording, &fault), TNR_EINVAL);
    assert_reason(&fault, reasons[i]);
    assert_reason(&fault, "byte ");
  }
}

/* What a chunk defines holds in that chunk only. */
static void definitions_end_with_their_chunk(void **state) {
  (void)state;
  struct trace_recording recording;
  tnr_fault fault;
  struct tape_file file = tape_open(folder_path("chunks"), 1, 0);
  tape_submit(&file, TAPE_MAIN, 5, &(struct tape_op){.number = 1, .name = "a"});
  tape_turn(&file, TAPE_MAIN);
  const tnr_trace_submit submit = {.op = 2, .site = 0};
  tape_put(&file, TAPE_MAIN, TNR_TRACE_SUBMIT, 0, 6, (const uint64_t *)&submit + 1,
           sizeof submit / 8);
  tape_close(&file, 0, true);
  assert_int_equal(trace_recording_read(folder_path("chunks"), &recording, &fault), TNR_EINVAL);
  assert_reason(&fault, "there is no call site 0");
}

#define tape_test(function) cmocka_unit_test(function)

int main(void) {
  const struct CMUnitTest tests[] = {
      tape_test(a_whole_file_is_read_to_its_end),
      tape_test(both_forms_say_the_same),
      tape_test(one_record_may_tell_of_two_events),
      tape_test(what_is_not_known_is_passed_over),
      tape_test(times_go_by_the_clock_of_the_file),
      tape_test(cut_off_anywhere_the_rest_is_read),
      tape_test(files_that_are_no_recordings_are_told),
      tape_test(what_is_damaged_is_told_with_its_byte),
      tape_test(more_behind_the_end_is_told),
      tape_test(references_to_nothing_are_told),
      tape_test(definitions_end_with_their_chunk),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
