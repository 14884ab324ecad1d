/* Arrows from ops to those that use what they made. */
#include "chrome_parts.h"
#include "walk.h"

/* An input's place in recording.inputs is its arrow's number: it has one there, and one here. */
static void put_arrow(struct chrome *c, const char *phase, int64_t time, uint32_t lane,
                      uint64_t number) {
  chrome_begin_event(c, phase, "input", "dependency", time, CHROME_THREADS, lane + 1);
  json_put_integer(&c->json, "id", (int64_t)number);
  if (*phase == 'f')
    json_put_text(&c->json, "bp", "e");
  chrome_end_event(c);
}

/* Both ends are there: the input's last run, and each op's first. */
static uint32_t edge_run(const struct trace_recording *recording, uint32_t op, bool last) {
  uint32_t found = TRACE_NONE;
  for (uint32_t i = recording->ops.at[op].runs; i != TRACE_NONE; i = recording->runs.at[i].next) {
    const struct trace_run *run = &recording->runs.at[i];
    if (run->began == TRACE_NEVER)
      continue;
    const struct trace_run *best = found == TRACE_NONE ? NULL : &recording->runs.at[found];
    if (!best || (last ? trace_run_end(recording, run) > trace_run_end(recording, best)
                       : run->began < best->began))
      found = i;
  }
  return found;
}

void chrome_put_arrows_in(struct chrome *c, const struct trace_run *run) {
  const struct trace_recording *recording = c->recording;
  if (run->op == TRACE_NONE ||
      edge_run(recording, run->op, false) != (uint32_t)(run - recording->runs.at))
    return;
  const struct trace_op *op = &recording->ops.at[run->op];
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    if (input != TRACE_NONE && edge_run(recording, input, true) != TRACE_NONE)
      put_arrow(c, "f", run->began, run->lane, (uint64_t)op->inputs + i);
  }
}

/* They begin with the slice: behind a mark within it, Perfetto takes them for the mark's. */
void chrome_put_arrows_out(struct chrome *c, const struct trace_run *run) {
  const struct trace_recording *recording = c->recording;
  if (run->op == TRACE_NONE ||
      edge_run(recording, run->op, true) != (uint32_t)(run - recording->runs.at))
    return;
  uint32_t before = TRACE_NONE;
  for (uint32_t i = c->links.dependents_at[run->op]; i < c->links.dependents_at[run->op + 1]; i++) {
    uint32_t dependent = c->links.dependents[i];
    if (dependent == before || edge_run(recording, dependent, false) == TRACE_NONE)
      continue;
    before = dependent; /* who uses it twice is there twice, one behind the other */
    const struct trace_op *op = &recording->ops.at[dependent];
    for (uint32_t k = 0; k < op->input_count; k++)
      if (recording->inputs.at[op->inputs + k] == run->op)
        put_arrow(c, "s", run->began, run->lane, (uint64_t)op->inputs + k);
  }
}
