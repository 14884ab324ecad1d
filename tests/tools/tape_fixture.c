#include "tape_fixture.h"

#include "check.h"

struct trace_recording tape_read(const char *name) {
  struct trace_recording recording;
  tnr_fault fault;
  if (trace_recording_read(folder_path(name), &recording, &fault) != TNR_OK)
    fail_msg("%s: %s", name, fault.message);
  return recording;
}

uint32_t tape_row(const struct trace_recording *recording, uint32_t number) {
  uint32_t row = numbers_find(&recording->numbers, number);
  if (row == NUMBERS_NONE)
    fail_msg("there is no op %u", number);
  return row;
}

void tape_diamond(const char *name) {
  struct tape_file file = tape_open(folder_path(name), 2, 0);
  const uint32_t one[] = {1}, both[] = {2, 3};
  const struct tape_op ops[] = {
      {.number = 1, .name = "source", .line = 10},
      {.number = 2, .name = "left", .line = 11, .inputs = one, .input_count = 1},
      {.number = 3, .name = "right", .line = 12, .inputs = one, .input_count = 1},
      {.number = 4, .name = "sink", .line = 13, .inputs = both, .input_count = 2},
  };
  for (uint32_t i = 0; i < 4; i++)
    tape_submit(&file, TAPE_MAIN, 100 * (i + 1), &ops[i]);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 500, 11100, 4, TNR_TRACE_FOR_COMPLETE);
  tape_resolve(&file, 600, 1, 0);
  tape_launch(&file, 700, 1, 0);
  tape_resolve(&file, 800, 2, 0);
  tape_launch(&file, 810, 2, 0);
  tape_resolve(&file, 820, 3, 1);
  tape_resolve(&file, 830, 4, 1);
  tape_complete(&file, 3050, 1, TNR_OK);
  tape_launch(&file, 3200, 3, 1);
  tape_complete(&file, 4200, 2, TNR_OK);
  tape_complete(&file, 9050, 3, TNR_OK);
  tape_launch(&file, 9100, 4, 0);
  tape_complete(&file, 11000, 4, TNR_OK);
  tape_run(&file, 1000, 100, 3000, 1, 0, "source");
  tape_run(&file, 3100, 100, 4100, 2, 0, "left");
  tape_run(&file, 3300, 100, 9000, 3, 1, "right");
  tape_run(&file, 9200, 100, 10200, 4, 0, "sink");
  tape_close(&file, 0, true);
}
