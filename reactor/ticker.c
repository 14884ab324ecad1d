#include "ticker.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "../devices/parker.h"

static uint64_t monotonic_now(void *user) {
  (void)user;
  return (uint64_t)tnr_now_ns();
}

tnr_ticker tnr_ticker_monotonic(void) {
  return (tnr_ticker){.now = monotonic_now, .mult = 1};
}

tnr_ticker tnr_ticker_made(uint64_t (*now)(void *user), void *user) {
  return (tnr_ticker){.now = now, .user = user, .mult = 1, .made = true};
}

uint64_t tnr_ticker_to_ns(const tnr_ticker *ticker, uint64_t ticks) {
  return (uint64_t)((unsigned __int128)ticks * ticker->mult >> ticker->shift);
}

uint64_t tnr_ticker_from_ns(const tnr_ticker *ticker, uint64_t ns) {
  return (uint64_t)(((unsigned __int128)ns << ticker->shift) / ticker->mult);
}

#if defined(__x86_64__)

/* The kernel keeps its own time by the counter only where the counter goes on at one pace in all
 * states of the processor, and is the same on all CPUs. */
static bool kernel_trusts_counter(void) {
  char name[16] = "";
  int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                O_RDONLY | O_CLOEXEC);
  if (fd == -1)
    return false;
  ssize_t got = read(fd, name, sizeof name - 1);
  close(fd);
  return got >= 3 && strncmp(name, "tsc", 3) == 0 && (name[3] == '\n' || name[3] == '\0');
}

/* Both clocks at one moment. */
typedef struct moment {
  uint64_t ticks;
  int64_t ns;
} moment;

/* The best of a few tries: nothing has come between the looks at the two clocks. */
static moment look(void) {
  enum { TRIES = 8 };
  moment best = {0};
  uint64_t narrowest = UINT64_MAX;
  for (int i = 0; i < TRIES; i++) {
    uint64_t before = __builtin_ia32_rdtsc();
    int64_t ns = tnr_now_ns();
    uint64_t after = __builtin_ia32_rdtsc();
    if (after - before >= narrowest)
      continue;
    narrowest = after - before;
    best = (moment){before + narrowest / 2, ns};
  }
  return best;
}

/* Two milliseconds bring the pace to a few millionths. */
static tnr_ticker calibrate(void) {
  enum { LONG_ENOUGH_NS = 2000000, SHIFT = 32 };
  moment begin = look(), end;
  do {
    end = look();
  } while (end.ns - begin.ns < LONG_ENOUGH_NS);
  uint64_t ticks = end.ticks - begin.ticks;
  if (ticks == 0 || end.ticks < begin.ticks)
    return tnr_ticker_monotonic();
  unsigned __int128 ns = (unsigned __int128)(end.ns - begin.ns) << SHIFT;
  return (tnr_ticker){.mult = (uint64_t)(ns / ticks), .shift = SHIFT};
}

tnr_ticker tnr_ticker_machine(void) {
  return kernel_trusts_counter() ? calibrate() : tnr_ticker_monotonic();
}

#else

tnr_ticker tnr_ticker_machine(void) {
  return tnr_ticker_monotonic();
}

#endif
