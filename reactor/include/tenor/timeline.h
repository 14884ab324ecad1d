/* What happened when, in a runtime whose time is virtual (TNR_DETERMINISTIC). */
#ifndef TENOR_TIMELINE_H
#define TENOR_TIMELINE_H

#include <tenor/call.h>
#include <tenor/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an op passes, in this order. One that fails early or is not run passes only the first and
 * the last; one on several devices is started and ended on each; one that is cancelled while it
 * runs is complete before it ends. */
typedef enum tnr_timeline_kind {
  TNR_TIMELINE_SUBMIT = 0, /* the call */
  TNR_TIMELINE_LAUNCH,     /* onto the queues of its devices */
  TNR_TIMELINE_START,      /* a device begins to work on it, */
  TNR_TIMELINE_END,        /* and has done its share */
  TNR_TIMELINE_COMPLETE    /* its data is there, or it failed */
} tnr_timeline_kind;

/* Strings live as long as the program's ops and composites. */
typedef struct tnr_timeline_entry {
  int64_t at; /* ns of virtual time */
  tnr_timeline_kind kind;
  uint32_t number;          /* the op's, from 1 on, in the order of submission */
  const char *op;           /* "matmul" */
  const char *composite;    /* the composite around it, or NULL */
  tnr_site site;            /* the call that submitted it; its file is NULL for the library's own */
  const tnr_device *device; /* START and END only, else NULL */
  tnr_status status;        /* COMPLETE only: how it went, else TNR_OK */
} tnr_timeline_entry;

/* Takes an entry, which is gone afterwards. Called in the order of what happens, by one thread at a
 * time, but by any. It calls nothing of the runtime's. */
typedef void tnr_timeline_fn(const tnr_timeline_entry *entry, void *user);

/* An entry as one line of text with a newline at its end, cut where it does not fit; of what is
 * equal the same bytes:
 * "5000 end #2 matmul on sim:1 (model.c:13)", "5000 complete #2 matmul (model.c:13)".
 * Returns the length that the whole line has, without the terminating zero. */
TNR_API int tnr_timeline_format(const tnr_timeline_entry *entry, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
