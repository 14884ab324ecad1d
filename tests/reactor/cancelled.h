/* What tests of cancelling have in common. */
#ifndef TENOR_TESTS_CANCELLED_H
#define TENOR_TESTS_CANCELLED_H

#include "rig.h"

static inline tnr_future *have_made(tnr_future *made) {
  assert_made(made);
  return made;
}

/* Counts its runs. */
#define counted(x) have_made(rig_on_worker(x))

/* Soon, and not when the gate opens. */
#define assert_ends(x, status)                                                                     \
  check_status(tnr_wait(x, TNR_COMPLETE, 20000000000), status, #x, __FILE__, __LINE__)

#define assert_canceled(x) assert_ends(x, TNR_ECANCELED)

#endif
