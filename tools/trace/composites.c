#include "composites.h"

#include "rows.h"

enum { DEPTH_MAX = 64 };

struct finder {
  const struct trace_recording *recording;
  struct trace_composites *out;
  int64_t *ends;  /* [ops]: of what is in it */
  uint32_t *rows; /* [ops]: where `out` has the op; NONE */
  int64_t *taken; /* [ops]: until when its track has something within it */
};

static bool is_composite(const struct trace_recording *recording, uint32_t op) {
  return op != TRACE_NONE && recording->ops.at[op].kind == TNR_TRACE_COMPOSITE &&
         recording->ops.at[op].submitted != TRACE_NEVER;
}

/* A child is behind its parent or before it: numbers go by thread. */
static void find_ends(struct finder *f) {
  const struct trace_recording *recording = f->recording;
  for (size_t i = 0; i < recording->ops.count; i++)
    f->ends[i] = recording->ops.at[i].submitted;
  for (size_t i = 0; i < recording->ops.count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    int64_t end = op->completed > op->submitted ? op->completed : op->submitted;
    uint32_t at = (uint32_t)i;
    for (int depth = 0; at != TRACE_NONE && depth < DEPTH_MAX; depth++) {
      f->ends[at] = end > f->ends[at] ? end : f->ends[at];
      at = recording->ops.at[at].parent;
    }
  }
}

static bool add_all(struct finder *f) {
  for (uint32_t i = 0; i < f->recording->ops.count; i++) {
    if (!is_composite(f->recording, i))
      continue;
    struct trace_composite *row = ROWS_ADD(&f->out->rows);
    if (!row)
      return false;
    *row =
        (struct trace_composite){f->recording->ops.at[i].submitted, f->ends[i], i, TRACE_NONE, i};
  }
  return true;
}

/* A composite around another was called no later, and at the same time has the lower number. */
static int by_time(const void *left, const void *right, void *user) {
  (void)user;
  const struct trace_composite *a = left, *b = right;
  if (a->begin != b->begin)
    return a->begin < b->begin ? -1 : 1;
  if (a->end != b->end)
    return a->end > b->end ? -1 : 1;
  return (a->op > b->op) - (a->op < b->op);
}

static int by_track(const void *left, const void *right, void *user) {
  const struct trace_composite *a = left, *b = right;
  if (a->track != b->track)
    return a->track < b->track ? -1 : 1;
  return by_time(left, right, user);
}

/* On its parent's track, where that is free. */
static void choose_track(struct finder *f, struct trace_composite *row) {
  uint32_t parent = f->recording->ops.at[row->op].parent;
  f->rows[row->op] = (uint32_t)(row - f->out->rows.at);
  f->taken[row->op] = TRACE_NEVER;
  if (!is_composite(f->recording, parent) || f->rows[parent] == TRACE_NONE ||
      f->taken[parent] > row->begin)
    return;
  row->track = f->out->rows.at[f->rows[parent]].track;
  f->taken[parent] = row->end;
}

/* What is around a row on its track stands before it there. */
static void find_around(struct finder *f) {
  for (uint32_t i = 0; i < f->out->rows.count; i++) {
    struct trace_composite *row = &f->out->rows.at[i];
    f->rows[row->op] = i;
    if (row->track != row->op)
      row->within = f->rows[f->recording->ops.at[row->op].parent];
  }
}

static bool sort(struct trace_composites *out, rows_compare_fn *compare) {
  return rows_sort(out->rows.at, out->rows.count, sizeof *out->rows.at, compare, NULL);
}

/* False: no room. */
static bool find(struct finder *f) {
  struct trace_composites *out = f->out;
  for (size_t i = 0; i < f->recording->ops.count; i++)
    f->rows[i] = TRACE_NONE;
  if (!sort(out, by_time))
    return false;
  for (size_t i = 0; i < out->rows.count; i++)
    choose_track(f, &out->rows.at[i]);
  if (!sort(out, by_track))
    return false;
  find_around(f);
  return true;
}

tnr_status trace_composites_find(const struct trace_recording *recording,
                                 struct trace_composites *out, tnr_fault *fault) {
  size_t room = recording->ops.count + 1;
  *out = (struct trace_composites){0};
  struct finder f = {recording, out, spill_resize(NULL, room * sizeof *f.ends),
                     spill_resize(NULL, room * sizeof *f.rows),
                     spill_resize(NULL, room * sizeof *f.taken)};
  bool fine = f.ends && f.rows && f.taken;
  if (fine) {
    find_ends(&f);
    fine = add_all(&f) && find(&f);
  }
  tnr_status status = fine ? TNR_OK : spill_fail(fault, "the composites");
  spill_free(f.ends);
  spill_free(f.rows);
  spill_free(f.taken);
  if (!fine)
    trace_composites_finish(out);
  return status;
}

void trace_composites_finish(struct trace_composites *composites) {
  spill_free(composites->rows.at);
  *composites = (struct trace_composites){0};
}
