/* A descriptor for event loops that is readable as long as another one is, and from some time on.
 */
#ifndef TENOR_REACTOR_ALARM_H
#define TENOR_REACTOR_ALARM_H

#include <stdbool.h>
#include <stdint.h>

/* Of who calls, one thread at a time. */
typedef struct tnr_alarm {
  int fd;     /* immutable after init: an epoll of the two */
  int timer;  /* immutable after init: a timerfd */
  int64_t at; /* when it goes off; INT64_MAX: it does not */
} tnr_alarm;

/* `watched` stays the caller's. False, with errno: there are no descriptors left. */
bool tnr_alarm_init(tnr_alarm *alarm, int watched);
void tnr_alarm_finish(tnr_alarm *alarm);

/* CLOCK_MONOTONIC, ns; INT64_MAX: not at all. It is not readable for an earlier one any more. */
void tnr_alarm_set(tnr_alarm *alarm, int64_t at);

#endif
