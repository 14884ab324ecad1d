/* How a thread without work looks for some before it sleeps: giving way between looks to whoever
 * else wants its CPU, unless that turns out to be somebody who keeps it. */
#ifndef TENOR_LOOKOUT_H
#define TENOR_LOOKOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tnr_lookout {
  int64_t spin_ns; /* immutable after init: how long to look; <= 0: only once */
  int looks;       /* immutable after init: how often before giving way, and then again */
  _Atomic int64_t resumes_at; /* atomic, relaxed: of tnr_now_ns; no looking before */
  _Atomic int losses;         /* atomic, relaxed: how often of late it was away for long */
} tnr_lookout;

/* How many items wait, about. */
typedef uint32_t tnr_lookout_count(void *user);

void tnr_lookout_init(tnr_lookout *lookout, int64_t spin_ns);

/* Looks until something waits: true; or until it is time to sleep, at the latest at `deadline` (of
 * tnr_now_ns; INT64_MAX: none): false. Looks at least once. Any number of threads may share a
 * lookout. */
bool tnr_lookout_find(tnr_lookout *lookout, int64_t deadline, tnr_lookout_count *count, void *user);

/* For who looks in a way of its own. Whether it may, `now`; and one time of giving way that begins
 * then: returns when it was over. */
bool tnr_lookout_may_look(const tnr_lookout *lookout, int64_t now);
int64_t tnr_lookout_give_way(tnr_lookout *lookout, int64_t now, tnr_lookout_count *count,
                             void *user);

/* Whether who uses it would look now, on another CPU than the caller's: then it may be woken before
 * there is something. Any thread. */
static inline bool tnr_lookout_looks_beside(const tnr_lookout *lookout, int64_t now) {
  return lookout->spin_ns > 0 && lookout->looks > 1 && tnr_lookout_may_look(lookout, now);
}

/* The rule: `came` items waited when the CPU was back, at `now`, after `away_ns`. */
void tnr_lookout_was_away(tnr_lookout *lookout, int64_t now, int64_t away_ns, uint32_t came);

#endif
