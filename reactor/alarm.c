#include "alarm.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static bool watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool tnr_alarm_init(tnr_alarm *alarm, int watched) {
  *alarm = (tnr_alarm){.at = INT64_MAX};
  alarm->fd = epoll_create1(EPOLL_CLOEXEC);
  alarm->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (alarm->fd != -1 && alarm->timer != -1 && watch(alarm->fd, watched) &&
      watch(alarm->fd, alarm->timer))
    return true;
  int reason = errno;
  tnr_alarm_finish(alarm);
  errno = reason;
  return false;
}

void tnr_alarm_finish(tnr_alarm *alarm) {
  if (alarm->timer != -1)
    close(alarm->timer);
  if (alarm->fd != -1)
    close(alarm->fd);
}

void tnr_alarm_set(tnr_alarm *alarm, int64_t at) {
  enum { NS_PER_S = 1000000000 };
  struct itimerspec when = {0}; /* disarms */
  if (alarm->at == at)
    return;
  alarm->at = at;
  if (at != INT64_MAX)
    when.it_value = (struct timespec){at / NS_PER_S, at % NS_PER_S};
  (void)timerfd_settime(alarm->timer, TFD_TIMER_ABSTIME, &when, NULL);
}
