/* How errors are made. */
#ifndef TENOR_REACTOR_ERROR_H
#define TENOR_REACTOR_ERROR_H

#include <tenor/call.h>
#include <tenor/error.h>

#include "../devices/object.h"

/* What is known of the call that failed; every member may be NULL or 0. */
typedef struct tnr_error_context {
  const char *composite; /* the composite around it */
  const char *op;
  tnr_site site;
  const tnr_desc *const *inputs; /* [input_count]; NULL entries: not known */
  int input_count;
} tnr_error_context;

/* A new error, owned by the caller. Never NULL: when there is no memory for it, one that says so.
 */
tnr_error *tnr_error_new(const tnr_error_context *context, const tnr_fault *fault);

/* For errors without a call: closed runtimes, deadlocks, refused threads, … */
tnr_error *tnr_error_plain(tnr_status code, const char *reason);

static inline tnr_object *tnr_error_object(const tnr_error *error) {
  return (tnr_object *)error;
}

/* Makes it the calling thread's last error; takes over the reference. Returns its code. */
tnr_status tnr_error_set(tnr_error *error);

/* The same, made on the spot. In a composite's body `_at` names it and the user's call instead of
 * the site. */
tnr_status tnr_error_raise(tnr_status code, const char *format, ...) TNR_PRINTF(2, 3);
tnr_status tnr_error_raise_at(const char *op, tnr_site site, tnr_status code, const char *format,
                              ...) TNR_PRINTF(4, 5);

#endif
