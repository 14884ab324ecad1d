/* The slices and marks that the page draws. */
#ifndef TENOR_TRACE_PAGE_EVENTS_H
#define TENOR_TRACE_PAGE_EVENTS_H

#include "hosts.h"
#include "links.h"
#include "page_data.h"

enum page_kind {
  PAGE_EXECUTE = 0,
  PAGE_CREATE,
  PAGE_COPY,
  PAGE_BODY,
  PAGE_CALLBACK,
  PAGE_WAIT,
  PAGE_REST,
  PAGE_SUBMIT,
  PAGE_WAKE,
  PAGE_GAP,
  PAGE_KINDS
};

extern const char *const page_kind_names[PAGE_KINDS];

struct page_event {
  int64_t start, duration; /* ns; duration 0: a mark */
  uint32_t lane;           /* in page_events.lanes */
  uint32_t name;           /* in page_events.names */
  uint32_t op;             /* NONE where there is none */
  uint16_t kind, depth;    /* depth: of nesting within the lane */
};

/* A thread, or a device. */
struct page_lane {
  uint32_t lane, device; /* lane: NONE of a device */
  size_t first, count;   /* of its events */
};

struct page_events {
  TRACE_ROWS(page_event) rows; /* by lane, then start, outer before inner */
  TRACE_ROWS(page_lane) lanes;
  struct strings names;
  uint32_t *lane_of; /* [lanes of the recording]: which of `lanes` it is */
  int64_t *busy;     /* [file.devices] ns */
  int64_t from;      /* the first moment, and the last, of which there are events */
  int64_t until;
  uint64_t left_out;
};

/* Those between options' times, and at most as many as it says: the latest are left out. 40 bytes
 * an event. */
tnr_status page_events_make(const struct trace_recording *recording,
                            const struct trace_hosts *hosts, const struct trace_links *links,
                            const struct trace_page_options *options, struct page_events *out,
                            tnr_fault *fault) TNR_MUST_USE;
void page_events_finish(struct page_events *events);

#endif
