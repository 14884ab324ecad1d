/* reactor/mailbox.c: when the eventfd is written and read. One thread posts and tells at once, if its
 * letter is the first to lie there; the dispatcher tells at the end of its turn; and a loop that is
 * told of edges only takes one letter a call. A letter that nobody is told of shows as a loop that
 * waits for ever: the checker's "invalid end state". A descriptor that is readable while nothing waits
 * fails an assertion.
 *
 * Names are those of the C code. Letters are pushed without the lock.
 *
 * -DNO_EDGE: a call that leaves something behind does not write again.
 * -DLOWER_UNLOCKED: the call that takes the last letter reads the eventfd at its end, without the
 *   lock.
 * -DTELL_UNLOCKED: who was first writes without the lock.
 * Each of them goes wrong. */

#define POSTED 2 /* by each of the two */
#define ALL    (2 * POSTED)

byte incoming = 0;
byte waiting = 0, delivered = 0; /* guarded by lock */
bool locked = false, raised = false;
bool readable = false, edge = false; /* the eventfd, and what epoll_wait will tell of */
byte ended = 0;                      /* of the two */

inline lock() {
  atomic { !locked -> locked = true }
}

inline unlock() {
  locked = false
}

inline write_fd() {
  raised = true;
  atomic { readable = true; edge = true }
}

inline read_fd() {
  raised = false;
  atomic { readable = false; edge = false }
}

/* The queue is empty; looks at what has come. */
inline take_in() {
  if
  :: waiting == 0 -> atomic { waiting = incoming; incoming = 0 }
  :: else -> skip
  fi
}

inline raise_fd() {
  if
  :: !raised ->
     take_in();
     if
     :: waiting > 0 -> write_fd()
     :: else -> skip
     fi
  :: else -> skip
  fi
}

active proctype poster() {
  byte i = 0;
  bool tells;
  do
  :: i == POSTED -> break
  :: else ->
     atomic { tells = incoming == 0; incoming++ } /* push */
     if
     :: tells ->
#ifdef TELL_UNLOCKED
        if
        :: !raised -> write_fd()
        :: else -> skip
        fi
#else
        lock();
        raise_fd();
        unlock()
#endif
     :: else -> skip
     fi;
     i++
  od;
  ended++
}

active proctype dispatcher() {
  byte i = 0;
  bool unraised = false;
  do
  :: i < POSTED ->
     unraised = true;
     incoming++;
     i++
  :: unraised -> /* tnr_mailbox_raise_all */
     unraised = false;
     lock();
     raise_fd();
     unlock()
  :: i == POSTED && !unraised -> break
  od;
  ended++
}

active proctype loop() {
  bool lowers;
  do
  :: delivered == ALL -> break
  :: else ->
     atomic { edge; edge = false } /* epoll_wait, EPOLLET */
     lock();
     take_in();
     lowers = false;
     if
     :: waiting > 0 ->
        waiting--;
        take_in();
        lowers = waiting == 0 && raised;
        delivered++
     :: else -> lowers = raised
     fi;
#ifndef LOWER_UNLOCKED
     if
     :: lowers -> read_fd()
     :: else -> skip
     fi;
#endif
     unlock();
#ifndef NO_EDGE
     lock();
     take_in();
     if
     :: waiting > 0 -> write_fd()
     :: else -> skip
     fi;
     unlock()
#endif
#ifdef LOWER_UNLOCKED
     if
     :: lowers -> read_fd()
     :: else -> skip
     fi
#endif
  od;
  (ended == 2);
  assert(waiting + incoming == 0 && readable == raised && !readable)
}
