#include "trace_fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../tools/trace/export.h"
#include "../../tools/trace/invariants.h"
#include "../../tools/trace/page_data.h"
#include "../../tools/trace/path.h"
#include "../../tools/trace/summary.h"

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
