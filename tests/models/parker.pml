/* devices/parker.h: a sleeper and several wakers. A lost wake-up shows as a process that waits for
 * ever: the checker's "invalid end state".
 *
 * Names are those of the C code. Processes interleave step by step, as sequentially consistent
 * code does; what the fences are for is shown by NO_FENCE.
 *
 * -DCLEAR_WITHOUT_WAKING: who clears the flag looks whether it is too late, and then does not wake.
 * -DNO_FENCE: a waker looks at the flag before its work is visible.
 * Both lose a wake-up. */

#define WAKERS 3

byte work = 0;   /* brought and not yet taken */
byte taken = 0;
bool parked = false;
bool in_futex = false; /* the sleeper waits in the kernel */

inline futex_wait() {
  /* the kernel compares and queues in one step */
  atomic {
    if
    :: parked -> in_futex = true
    :: else -> skip
    fi
  }
  !in_futex
}

inline futex_wake() {
  in_futex = false
}

active proctype sleeper() {
  do
  :: taken == WAKERS -> break
  :: else ->
     atomic { taken = taken + work; work = 0 }
     if
     :: taken == WAKERS -> skip
     :: else ->
        parked = true; /* prepare */
        if
        :: work > 0 -> parked = false /* cancel */
        :: work == 0 ->
           futex_wait();
           parked = false
        fi
     fi
  od
}

active [WAKERS] proctype waker() {
  bool seen, claimed;
#ifdef NO_FENCE
  seen = parked;
  work++;
#else
  work++;
  seen = parked;
#endif
  if
  :: seen ->
     atomic { claimed = parked; parked = false } /* exchange */
     if
#ifdef CLEAR_WITHOUT_WAKING
     :: claimed && work > 0 -> futex_wake()
#else
     :: claimed -> futex_wake()
#endif
     :: else -> skip
     fi
  :: else -> skip
  fi
}
