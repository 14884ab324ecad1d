/* reactor/mailbox.c, tnr_mailbox_withdraw: a thread takes its letter back out of the dispatcher's own
 * mailbox. It brings what has come into the queue, in order to find it there; the dispatcher looks
 * at both without the lock before it goes to sleep. A letter that it sleeps over shows as the
 * checker's "invalid end state".
 *
 * Names are those of the C code. The withdrawn letter itself is left out: only the others matter.
 *
 * -DNO_WAKE: the thread does not wake the dispatcher for what it has moved, which goes wrong. */

#define POSTED 2

byte incoming = 0;
byte waiting = 0, delivered = 0; /* guarded by lock; waiting is looked at without it */
bool locked = false;
bool parked = false, woken = false;

inline lock() {
  atomic { !locked -> locked = true }
}

inline unlock() {
  locked = false
}

inline wake() {
  if
  :: atomic { parked -> parked = false }; woken = true
  :: !parked -> skip
  fi
}

active proctype poster() {
  byte i = 0;
  do
  :: i == POSTED -> break
  :: else ->
     incoming++;
     wake();
     i++
  od
}

active proctype withdrawer() {
  byte moved, i = 0;
  do
  :: i == 2 -> break
  :: else ->
     lock();
     atomic { moved = incoming; incoming = 0 }
     waiting = waiting + moved; /* until here they are hidden */
     moved = waiting;
     unlock();
#ifndef NO_WAKE
     if
     :: moved > 0 -> wake()
     :: else -> skip
     fi;
#endif
     i++
  od
}

active proctype dispatcher() {
  do
  :: delivered == POSTED -> break
  :: else ->
     if
     :: incoming > 0 || waiting > 0 ->
        lock();
        atomic { waiting = waiting + incoming; incoming = 0 }
        delivered = delivered + waiting;
        waiting = 0;
        unlock()
     :: else ->
        parked = true;
        if
        :: incoming == 0 ->
           if
           :: waiting == 0 -> atomic { woken -> woken = false }
           :: else -> skip
           fi
        :: else -> skip
        fi;
        parked = false
     fi
  od
}
