#include "chain.h"

#include <stdlib.h>
#include <string.h>

void chain_run(tnr_runtime *runtime, int length) {
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 0));
  for (int i = 0; i < length; i++)
    x = rig_plus_one(x);
  assert_number(x, (float)length);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_synchronize_device(rig_cpu(runtime, 0)));
}

typedef struct journey {
  bool submitted; /* in chain_run */
  int ran, completed;
} journey;

static void note(journey *of, const recorded_event *event) {
  of->submitted |=
      event->type == TNR_TRACE_SUBMIT && strcmp(recorded_name(event->site), "rig_plus_one") == 0;
  of->ran += event->type == TNR_TRACE_RUN || event->type == TNR_TRACE_END;
  of->completed += event->type == TNR_TRACE_COMPLETE;
}

/* How many ops of run_chain have their whole journey in the file. */
size_t chain_whole_ops(const recorded *r) {
  uint32_t last = 0;
  size_t count = 0;
  for (size_t i = 0; i < r->count; i++)
    if (r->events[i].op > last)
      last = r->events[i].op;
  journey *of = calloc((size_t)last + 1, sizeof *of);
  assert_non_null(of);
  for (size_t i = 0; i < r->count; i++)
    note(&of[r->events[i].op], &r->events[i]);
  for (uint32_t op = 1; op <= last; op++)
    count += of[op].submitted && of[op].ran == 1 && of[op].completed == 1;
  free(of);
  return count;
}

size_t chain_ops_in(const char *name) {
  recorded r = recorded_read(folder_path(name));
  assert_non_null(r.total);
  size_t count = chain_whole_ops(&r);
  recorded_finish(&r);
  return count;
}
