#include "links.h"

#include "rows.h"

static void count_dependents(const struct trace_recording *recording, uint32_t *at) {
  for (size_t i = 0; i < recording->ops.count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    for (uint32_t k = 0; k < op->input_count; k++)
      if (recording->inputs.at[op->inputs + k] != TRACE_NONE)
        at[recording->inputs.at[op->inputs + k] + 1]++;
  }
  for (size_t i = 0; i < recording->ops.count; i++)
    at[i + 1] += at[i];
}

/* at[i] goes from where i's begin to where they end, which is where those of i + 1 begin. */
static void fill_dependents(const struct trace_recording *recording, struct trace_links *links) {
  uint32_t *at = links->dependents_at;
  for (uint32_t i = 0; i < recording->ops.count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    for (uint32_t k = 0; k < op->input_count; k++)
      if (recording->inputs.at[op->inputs + k] != TRACE_NONE)
        links->dependents[at[recording->inputs.at[op->inputs + k]]++] = i;
  }
  for (size_t i = recording->ops.count; i > 0; i--)
    at[i] = at[i - 1];
  at[0] = 0;
}

static int compare_submits(const void *left, const void *right, void *ops) {
  const struct trace_op *a = (const struct trace_op *)ops + *(const uint32_t *)left;
  const struct trace_op *b = (const struct trace_op *)ops + *(const uint32_t *)right;
  if (a->lane != b->lane)
    return a->lane < b->lane ? -1 : 1;
  return (a->submitted > b->submitted) - (a->submitted < b->submitted);
}

static bool sort_submits(const struct trace_recording *recording, struct trace_links *links) {
  size_t count = 0, at = 0;
  for (uint32_t i = 0; i < recording->ops.count; i++)
    if (recording->ops.at[i].submitted != TRACE_NEVER)
      links->submits[count++] = i;
  if (!rows_sort(links->submits, count, sizeof *links->submits, compare_submits, recording->ops.at))
    return false;
  for (size_t lane = 0; lane < recording->lanes.count; lane++) {
    links->submits_at[lane] = (uint32_t)at;
    while (at < count && recording->ops.at[links->submits[at]].lane == lane)
      at++;
  }
  links->submits_at[recording->lanes.count] = (uint32_t)at;
  return true;
}

tnr_status trace_links_init(const struct trace_recording *recording, struct trace_links *out,
                            tnr_fault *fault) {
  size_t ops = recording->ops.count;
  out->dependents_at = spill_resize(NULL, (ops + 2) * sizeof *out->dependents_at);
  out->dependents = spill_resize(NULL, (recording->inputs.count + 1) * sizeof *out->dependents);
  out->submits_at = calloc(recording->lanes.count + 1, sizeof *out->submits_at);
  out->submits = spill_resize(NULL, (ops + 1) * sizeof *out->submits);
  if (!out->dependents_at || !out->dependents || !out->submits_at || !out->submits ||
      !sort_submits(recording, out)) {
    tnr_status status = spill_fail(fault, "the links of ops");
    trace_links_finish(out);
    return status;
  }
  count_dependents(recording, out->dependents_at);
  fill_dependents(recording, out);
  return TNR_OK;
}

void trace_links_finish(struct trace_links *links) {
  spill_free(links->dependents_at);
  spill_free(links->dependents);
  free(links->submits_at);
  spill_free(links->submits);
  *links = (struct trace_links){0};
}
