#include "parker.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t NS_PER_S = 1000000000;

bool tnr_parker_sleep(tnr_parker *parker, int64_t timeout_ns) {
  struct timespec limit = {timeout_ns / NS_PER_S, timeout_ns % NS_PER_S};
  long result = syscall(SYS_futex, &parker->parked, FUTEX_WAIT_PRIVATE, 1,
                        timeout_ns == INT64_MAX ? NULL : &limit, NULL, 0);
  bool timed_out = result == -1 && errno == ETIMEDOUT;
  tnr_parker_cancel(parker);
  return !timed_out;
}

bool tnr_parker_wake(tnr_parker *parker) {
  if (!tnr_parker_claim(parker))
    return false;
  syscall(SYS_futex, &parker->parked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  return true;
}

int64_t tnr_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * NS_PER_S + now.tv_nsec;
}
