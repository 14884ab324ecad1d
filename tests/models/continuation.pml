/* reactor/continuation.c: one thread attaches a continuation while the future completes; another may
 * take it back, and then frees it; a third takes it out of the mailbox. It is called or detached,
 * exactly one of the two, and nobody touches it once it is freed; else an assertion fails. One that
 * is never told shows there too.
 *
 * Names are those of the C code. What is atomic here is done with a lock held: the future's, the
 * mailbox's, or both.
 *
 * -DLOOK_FIRST: who attaches looks at the state before it says that something waits.
 * -DCOMPLETE_LATE: the dispatcher looks whether something waits before others see the state, as it
 *   may where the state is stored with less than sequential consistency.
 * -DCALL_WITHOUT_CLAIM: who takes it out of the mailbox does not claim it.
 * -DLEAVE_CHAINED: who detaches claims it but does not take it out of where it is.
 * Each of them goes wrong. */

bool complete = false;          /* future->state */
bool has_continuations = false; /* future's */
bool chained = false, queued = false, armed = false;
bool attached = false; /* tnr_attach has returned */
bool completed = false, detach_over = false;
bool freed = false;
byte calls = 0, detached = 0;

inline touch() {
  assert(!freed)
}

/* The future's lock, and the mailbox's in it. */
inline post_passed() {
  atomic {
    if
    :: chained -> touch(); chained = false; queued = true
    :: else -> skip
    fi
  }
}

active proctype attacher() {
  bool seen;
  armed = true;
#ifdef LOOK_FIRST
  seen = complete;
#endif
  atomic { chained = true }
  has_continuations = true;
#ifndef LOOK_FIRST
  seen = complete;
#endif
  if
  :: seen -> post_passed()
  :: else -> skip
  fi;
  attached = true
}

active proctype dispatcher() {
  bool seen;
#ifdef COMPLETE_LATE
  seen = has_continuations;
  complete = true;
#else
  complete = true;
  seen = has_continuations;
#endif
  if
  :: seen -> post_passed() /* tnr_continuations_tell */
  :: else -> skip
  fi;
  completed = true
}

active proctype detacher() {
  bool claimed;
  attached; /* what is being attached is not ours yet */
  if
  :: atomic { claimed = armed; armed = false }
  :: skip /* nobody detaches */
  fi;
  if
  :: claimed ->
#ifndef LEAVE_CHAINED
     atomic { chained = false }
     atomic { queued = false }
#endif
     detached++;
     freed = true
  :: else -> skip
  fi;
  detach_over = true
}

active proctype loop() {
  bool claimed;
  do
  :: queued ->
     atomic {
       if
       :: queued ->
          touch();
          queued = false;
          claimed = armed;
          armed = false
#ifdef CALL_WITHOUT_CLAIM
          ; claimed = true
#endif
       :: else -> claimed = false
       fi
     }
     if
     :: claimed -> calls++
     :: else -> skip
     fi
  :: attached && completed && detach_over && !queued -> break
  od;
  assert(calls + detached == 1)
}
