/* Memory for tables that grow with a recording. A small one is on the heap. A large one is a file
 * without a name in the folder for temporary files, mapped: of all of them together only what was
 * touched in the last few ms of work stays resident, and the system may write out and forget what
 * does not fit into memory. So a recording may be larger than memory.
 *
 * For one thread. It uses SIGPROF, whose timer runs while there is a large one. */
#ifndef TENOR_TRACE_SPILL_H
#define TENOR_TRACE_SPILL_H

#include <stddef.h>

#include <tenor/error.h>

enum { SPILL_FROM = 1 << 18 }; /* bytes: from there on it is a file */

/* `bytes` bytes with what was `at`, which is gone then (NULL: with nothing), and 0 behind it; never
 * fewer than there were. NULL: there is no room, as errno says, and `at` is as it was. */
void *spill_resize(void *at, size_t bytes);

void spill_free(void *at);

/* TNR_ENOMEM: right behind a NULL, "no room for WHAT" and why. */
tnr_status spill_fail(tnr_fault *fault, const char *what);

/* Where large ones are: $TMPDIR, or else /var/tmp, which is not in memory on any usual system. */
const char *spill_folder(void);

#endif
