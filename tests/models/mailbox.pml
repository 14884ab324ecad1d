/* reactor/mailbox.c: when the eventfd is written and read. One thread posts and raises at once, the
 * dispatcher posts and raises at the end of its turn, and a loop that is told of edges only takes one
 * letter a call. A letter that nobody is told of shows as a loop that waits for ever: the checker's
 * "invalid end state". A descriptor that is readable while nothing waits fails an assertion.
 *
 * Names are those of the C code. What is atomic here is done with the lock held.
 *
 * -DNO_EDGE: a call that leaves something behind does not write again.
 * -DLOWER_UNLOCKED: the call that takes the last letter reads the eventfd at its end, without the
 *   lock.
 * -DRAISE_UNLOCKED: who finds it empty writes after having let go of the lock.
 * Each of them goes wrong. */

#define POSTED     2 /* by each of the two */
#define ALL    (2 * POSTED)

byte waiting = 0, delivered = 0;
bool raised = false, readable = false;
bool edge = false; /* what epoll_wait will tell of */
byte ended = 0;    /* of the two */

inline write_fd() {
  raised = true;
  readable = true;
  edge = true
}

inline raise_fd() {
  if
  :: waiting > 0 && !raised -> write_fd()
  :: else -> skip
  fi
}

active proctype poster() {
  byte i = 0;
  do
  :: i == POSTED -> break
  :: else ->
#ifdef RAISE_UNLOCKED
     bool raises;
     atomic { waiting++; raises = !raised; raised = true }
     if
     :: raises -> atomic { readable = true; edge = true }
     :: else -> skip
     fi;
#else
     atomic { waiting++; raise_fd() }
#endif
     i++
  od;
  ended++
}

active proctype dispatcher() {
  byte i = 0;
  bool unraised = false;
  do
  :: i < POSTED -> atomic { waiting++ }; unraised = true; i++
  :: unraised -> unraised = false; atomic { raise_fd() } /* tnr_mailbox_raise_all */
  :: i == POSTED && !unraised -> break
  od;
  ended++
}

inline lower_fd() {
  if
  :: waiting == 0 && raised -> raised = false; readable = false
  :: else -> skip
  fi
}

active proctype loop() {
  do
  :: delivered == ALL -> break
  :: else ->
     atomic { edge; edge = false } /* epoll_wait, EPOLLET */
#ifdef LOWER_UNLOCKED
     bool lowers = false;
     atomic {
       if
       :: waiting > 0 ->
          waiting--;
          delivered++;
          lowers = waiting == 0 && raised;
          if
          :: lowers -> raised = false
          :: else -> skip
          fi
       :: else -> skip
       fi
     }
#else
     atomic {
       if
       :: waiting > 0 -> waiting--; delivered++; lower_fd()
       :: else -> lower_fd()
       fi
     }
#endif
#ifndef NO_EDGE
     atomic {
       if
       :: waiting > 0 -> write_fd()
       :: else -> skip
       fi
     }
#endif
#ifdef LOWER_UNLOCKED
     if
     :: lowers -> readable = false; edge = false
     :: else -> skip
     fi
#endif
  od;
  (ended == 2);
  assert(waiting == 0 && readable == false)
}
