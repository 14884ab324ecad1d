#include "trace_fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../tools/trace/export.h"
#include "../../tools/trace/invariants.h"
#include "../../tools/trace/page_data.h"
#include "../../tools/trace/path.h"
#include "../../tools/trace/summary.h"
#include "tape_writer.h"

static void ignore_violation(const struct trace_violation *violation, void *user) {
  (void)violation;
  (void)user;
}

static void analyse(const struct trace_recording *recording) {
  struct trace_hosts hosts = {0};
  struct trace_path path = {0};
  struct trace_gains gains = {0};
  struct trace_summary summary = {0};
  struct trace_checked checked;
  tnr_fault fault;
  if (trace_hosts_init(recording, &hosts, &fault) == TNR_OK) {
    (void)!trace_summary_make(recording, &hosts, &summary, &fault);
    if (trace_path_find(recording, &hosts, &path, &fault) == TNR_OK)
      (void)!trace_gains_find(recording, &hosts, &path, 3, &gains, &fault);
  }
  (void)!trace_check(recording, 0, ignore_violation, NULL, &checked, &fault);
  trace_gains_finish(&gains);
  trace_path_finish(&path);
  trace_summary_finish(&summary);
  trace_hosts_finish(&hosts);
}

static void export(const struct trace_recording *recording) {
  trace_export_fn *const writers[] = {trace_export_chrome, trace_export_svg, trace_export_csv};
  const struct trace_page_options options = {.file = "fuzz", .events = 1000};
  tnr_fault fault;
  FILE *to = fopen("/dev/null", "w");
  if (!to)
    return;
  for (int i = 0; i < 3; i++)
    (void)!writers[i](recording, to, &fault);
  (void)!trace_page_data(recording, &options, to, &fault);
  fclose(to);
}

void trace_fuzz_image(const char *path) {
  const uint32_t one[] = {1};
  struct tape_file file = tape_open(path, 2, 0);
  tape_submit(
      &file, TAPE_MAIN, 10,
      &(struct tape_op){.number = 1, .name = "outer", .flags = TNR_TRACE_COMPOSITE, .group = "g"});
  tape_submit(
      &file, TAPE_MAIN, 20,
      &(struct tape_op){
          .number = 2, .name = "copy", .parent = 1, .inputs = one, .input_count = 1, .group = "g"});
  tape_span(&file, TAPE_MAIN, TNR_TRACE_BODY, 12, 30, 1, 0);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_CREATE, 31, 40, 2, 0);
  tape_held(&file, TAPE_MAIN, 35, 40, 2, 0, TNR_TRACE_CALL_HELD);
  tape_held(&file, TAPE_MAIN, 40, 40, 0, 1, TNR_TRACE_CALL_REFUSED);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 40, 90, 2, TNR_TRACE_FOR_COMPLETE);
  tape_wake(&file, TAPE_MAIN, 91, 0);
  tape_resolve(&file, 30, 2, 0);
  tape_launch(&file, 32, 2, 0);
  tape_held(&file, TAPE_WORKER, 33, 35, 2, 0, TNR_TRACE_WORKER_HELD);
  tape_move(&file, 40, 2, 1, 0, 64);
  tape_begin(&file, 35, 40, 2, 0);
  tape_end(&file, 60, 2, 0);
  tape_signal(&file, 60, 0);
  tape_error(&file, 60, 2, TNR_EKERNEL, "no");
  tape_complete(&file, 70, 2, TNR_EKERNEL);
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_CALLBACK, 71, 75, 2, 0);
  tape_room(&file, 75, 1);
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_REST, 75, 80, 0, TNR_TRACE_SLEPT);
  for (unsigned counter = TNR_TRACE_MEMORY; counter <= TNR_TRACE_HANDLES; counter++)
    tape_counter(&file, 80, counter, 0, 1000);
  for (uint32_t i = 3; i < 20; i++)
    tape_brief_op(&file, 200 * i, i, i - 1, i % 2, "relu");
  tape_brief_ready(&file, 4100, 20, 0);
  tape_turn(&file, TAPE_MAIN);
  tape_whole(&file, &(struct tape_op){.number = 30, .name = "last"}, 1, 8000, 8100, 8200);
  tape_close(&file, 0, true);
}

bool trace_fuzz_file(const char *path) {
  struct trace_recording recording;
  tnr_fault fault;
  if (trace_recording_read(path, &recording, &fault) != TNR_OK)
    return false;
  analyse(&recording);
  export(&recording);
  trace_recording_finish(&recording);
  return true;
}
