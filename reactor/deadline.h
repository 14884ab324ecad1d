/* Deadlines: events that are due at some time. With threads the event base keeps the time; without,
 * whoever turns looks at the list. Dispatcher only, all of it. */
#ifndef TENOR_REACTOR_DEADLINE_H
#define TENOR_REACTOR_DEADLINE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenor/runtime.h>

/* Embedded, and all zero before it is started; stopped before what it is in goes. */
typedef struct tnr_deadline {
  struct tnr_deadline *next, *previous; /* in a ring, the earliest first; NULL: not in it */
  struct event *event;                  /* borrowed */
  int64_t at;                           /* ns, by tnr_machine_now */
} tnr_deadline;

/* Those of a runtime without threads; of one with them, how its base keeps the usual one. */
typedef struct tnr_deadlines {
  tnr_deadline ring;           /* of its links only */
  const struct timeval *usual; /* immutable after create; NULL: none */
} tnr_deadlines;

/* Once there is a base, and before it runs. */
void tnr_deadlines_init(tnr_runtime *runtime);

/* `event` becomes active, once, at about that time: the base's clock is a coarse one, that is
 * behind by some ms, so that it may be early. False when out of memory. */
bool tnr_deadline_start(tnr_runtime *runtime, tnr_deadline *deadline, struct event *event,
                        int64_t at);

/* Fine also when it has not been started, or has passed. */
void tnr_deadline_stop(tnr_deadline *deadline);

/* Without threads: the earliest, or INT64_MAX. */
int64_t tnr_deadlines_next(const tnr_runtime *runtime);

/* Without threads: makes those active whose time has come. False when there are none. */
bool tnr_deadlines_fire(tnr_runtime *runtime);

#endif
