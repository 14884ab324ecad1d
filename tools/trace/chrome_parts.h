/* Chrome trace events while they are written: what the parts of the export have in common. */
#ifndef TENOR_TRACE_CHROME_PARTS_H
#define TENOR_TRACE_CHROME_PARTS_H

#include "gaps.h"
#include "json.h"
#include "links.h"

enum { CHROME_THREADS = 1, CHROME_DEVICES = 2 }; /* processes, as the form calls them */

struct chrome {
  const struct trace_recording *recording;
  struct trace_links links;
  struct trace_hosts hosts;
  struct json json;
  int64_t shift;               /* ns that are added to all times, so that none is negative */
  bool brief;                  /* slices only, without arguments */
  char counter[64], place[80]; /* the one that is being written */
};

/* Left open for more, such as its arguments. NULL `category`: none. `time`: ns, as recorded; `tid`
 * from 1. */
void chrome_begin_event(struct chrome *c, const char *phase, const char *name, const char *category,
                        int64_t time, uint32_t pid, uint32_t tid);
void chrome_end_event(struct chrome *c);

/* An op's arrows: those that end in it, before the slice of its first run; and those that begin in
 * it, behind the slice of its last. Nothing for its other runs. */
void chrome_put_arrows_in(struct chrome *c, const struct trace_run *run);
void chrome_put_arrows_out(struct chrome *c, const struct trace_run *run);

#endif
