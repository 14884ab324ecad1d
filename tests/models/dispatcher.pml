/* reactor/dispatcher.c and inbox.c: how the dispatcher falls asleep in its event base, while other
 * threads submit, workers signal, and one thread closes the runtime. A lost wake-up shows as a
 * process that waits for ever: the checker's "invalid end state".
 *
 * Names are those of the C code.
 *
 * -DCLEAR_WITHOUT_WAKING: a worker that clears the flag looks whether it is too late, and then does
 *   not write to the eventfd.
 * -DSLEEP_WITHOUT_LOOKING: the dispatcher does not look at the signals once it has prepared.
 * -DASLEEP_LATE: the inbox is marked asleep after, and not while, it was seen to be empty.
 * All three lose a wake-up. */

#define SUBMITTERS 2
#define WORKERS    2

byte inbox = 0, signals = 0, handled = 0; /* items */
bool asleep = false;                      /* guarded by the inbox's lock */
bool parked = false;                      /* runtime->sleep */
bool close_requested = false;
byte wake_fd = 0; /* the eventfd's count */

#define IS_OVER (close_requested && handled == SUBMITTERS + WORKERS)

inline event_base_loop() {
  atomic { wake_fd > 0; wake_fd = 0 }
}

inline rest() {
  if
  :: signals > 0 -> skip
  :: else ->
     parked = true; /* tnr_parker_prepare */
     if
     :: IS_OVER -> skip
     :: else ->
#ifdef ASLEEP_LATE
        nothing = inbox == 0;
        asleep = nothing;
#else
        atomic { nothing = inbox == 0; asleep = nothing } /* tnr_inbox_sleep, under its lock */
#endif
        if
        :: nothing ->
           if
#ifndef SLEEP_WITHOUT_LOOKING
           :: signals > 0 -> skip
#endif
           :: else -> event_base_loop()
           fi;
           asleep = false /* tnr_inbox_awake */
        :: else -> skip
        fi
     fi;
     parked = false /* tnr_parker_cancel */
  fi
}

active proctype dispatcher() {
  bool nothing;
  do
  :: IS_OVER -> break
  :: else ->
     atomic { handled = handled + signals; signals = 0 }
     if
     :: atomic { handled = handled + inbox; inbox = 0 }
     :: skip /* too early for a batch: tnr_inbox_ripe */
     fi;
     rest()
  od
}

active [SUBMITTERS] proctype submitter() {
  bool wakes;
  atomic { /* tnr_inbox_put, under its lock */
    inbox++;
    wakes = asleep;
    asleep = false
  }
  if
  :: wakes -> wake_fd++
  :: else -> skip
  fi
}

/* tnr_dispatcher_wake */
inline wake_dispatcher(still_needed) {
  seen = parked;
  if
  :: seen ->
     atomic { claimed = parked; parked = false }
     if
     :: claimed && (still_needed) -> wake_fd++
     :: else -> skip
     fi
  :: else -> skip
  fi
}

active [WORKERS] proctype worker() {
  bool seen, claimed;
  signals++; /* tnr_ring_publish */
#ifdef CLEAR_WITHOUT_WAKING
  wake_dispatcher(signals > 0)
#else
  wake_dispatcher(true)
#endif
}

active proctype closer() {
  bool seen, claimed;
  close_requested = true;
  wake_dispatcher(true)
}
