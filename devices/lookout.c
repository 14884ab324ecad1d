#define _GNU_SOURCE /* sched_getaffinity */
#include "lookout.h"

#include <sched.h>

#include "parker.h"
#include "spin.h"

/* A thread that gives way to one that is busy gets its CPU back after a slice of the scheduler,
 * some ms; one that sleeps is put in front of it as soon as it is woken. So who is away for long,
 * and again soon after (once may be chance: virtual machines stand still at times), does not look
 * for as long, and longer each time that it happens again, until trying costs next to nothing. Time
 * in which a batch came was not lost: waking for each item would have taken longer. */
enum {
  AWAY_NS = 100000,     /* much longer than waking takes */
  WAKE_NS = 25000,      /* what an item would have taken that is woken for */
  LOSS = 16,            /* so many times not away for long make up for one that was: beside a
                         * busy thread, too, some return at once */
  LOSSES_MAX = 7 * LOSS /* then for 64 times as long */
};
static const int64_t BLIND_NS_MAX = 10000000000; /* who was away for an hour had been stopped */

/* Once where the process has one CPU: what is looked for can only come from those given way to. */
static int looks_before_giving_way(void) {
  enum { LOOKS = 6 };
  cpu_set_t cpus;
  bool one = sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1;
  return one ? 1 : LOOKS;
}

void tnr_lookout_init(tnr_lookout *lookout, int64_t spin_ns) {
  lookout->spin_ns = spin_ns;
  lookout->looks = looks_before_giving_way();
  atomic_init(&lookout->resumes_at, 0);
  atomic_init(&lookout->losses, 0);
}

bool tnr_lookout_may_look(const tnr_lookout *lookout, int64_t now) {
  /* relaxed, as below: what another thread has seen a moment ago is as good */
  return now >= atomic_load_explicit(&lookout->resumes_at, memory_order_relaxed);
}

static int64_t blind_ns(int64_t away_ns, int losses) {
  int64_t times = 1 << (losses - 1) / LOSS;
  return away_ns < BLIND_NS_MAX / times ? away_ns * times : BLIND_NS_MAX;
}

static void was_long_away(tnr_lookout *lookout, int64_t now, int64_t away_ns, int losses) {
  if (losses > 0)
    atomic_store_explicit(&lookout->resumes_at, now + blind_ns(away_ns, losses),
                          memory_order_relaxed);
  losses = losses < LOSSES_MAX - LOSS ? losses + LOSS : LOSSES_MAX;
  atomic_store_explicit(&lookout->losses, losses, memory_order_relaxed);
}

void tnr_lookout_was_away(tnr_lookout *lookout, int64_t now, int64_t away_ns, uint32_t came) {
  int losses = atomic_load_explicit(&lookout->losses, memory_order_relaxed);
  if (away_ns >= AWAY_NS + (int64_t)came * WAKE_NS)
    was_long_away(lookout, now, away_ns, losses);
  else if (losses > 0)
    atomic_store_explicit(&lookout->losses, losses - 1, memory_order_relaxed);
}

int64_t tnr_lookout_give_way(tnr_lookout *lookout, int64_t now, tnr_lookout_count *count,
                             void *user) {
  sched_yield();
  int64_t back = tnr_now_ns();
  tnr_lookout_was_away(lookout, back, back - now, back - now < AWAY_NS ? 0 : count(user));
  return back;
}

bool tnr_lookout_find(tnr_lookout *lookout, int64_t deadline, tnr_lookout_count *count,
                      void *user) {
  int64_t now = tnr_now_ns(), end = now + lookout->spin_ns;
  if (end > deadline)
    end = deadline;
  while (now < end && tnr_lookout_may_look(lookout, now)) {
    for (int i = 0; i < lookout->looks; i++) {
      if (count(user) > 0)
        return true;
      tnr_cpu_relax();
    }
    now = tnr_lookout_give_way(lookout, now, count, user);
  }
  return count(user) > 0;
}
