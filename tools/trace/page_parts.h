/* The page's data while it is written: what its parts have in common. */
#ifndef TENOR_TRACE_PAGE_PARTS_H
#define TENOR_TRACE_PAGE_PARTS_H

#include "counters.h"
#include "json.h"
#include "page_data.h"
#include "page_events.h"
#include "path.h"
#include "rows.h"

struct page {
  const struct trace_recording *recording;
  const struct trace_page_options *options;
  struct trace_links links;
  struct trace_hosts hosts;
  struct trace_path path;
  struct trace_gains gains;
  struct page_events events;
  struct json json;
  uint32_t *rows; /* [ops]: where the page has the op; NONE */
  uint32_t *ops;  /* [op_count]: those that the page has */
  size_t op_count;
  struct {
    unsigned char *at;
    size_t count, room;
  } column; /* that is being written */
  const char *column_key;
  int64_t column_last;
  struct {
    int64_t *at;
    size_t count, room;
  } times; /* of the counter that is being written */
  struct {
    double *at;
    size_t count, room;
  } values;
  struct trace_counter counter;
  bool no_room;
};

static inline int64_t page_index(uint32_t row) {
  return row == TRACE_NONE ? -1 : (int64_t)row;
}

static inline int64_t page_time(int64_t time) {
  return time == TRACE_NEVER ? -1 : time > 0 ? time : 0;
}

static inline int64_t page_row(const struct page *p, uint32_t op) {
  return op == TRACE_NONE ? -1 : page_index(p->rows[op]);
}

/* One column at a time, of values that are written piece by piece. */
void page_begin_column(struct page *p, const char *key);
void page_put(struct page *p, int64_t value);
void page_end_column(struct page *p);

/* Chooses the ops that are there before the page's end. */
tnr_status page_choose_ops(struct page *p, tnr_fault *fault) TNR_MUST_USE;

/* Their columns and lists. */
void page_put_ops(struct page *p);

#endif
