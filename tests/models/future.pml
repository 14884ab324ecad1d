/* reactor/future.c: a worker creates a result (tnr_future_create) while the dispatcher adds somebody
 * who waits for *created* (tnr_future_add_waiter). Either the worker sees that it has to tell, or the
 * dispatcher sees that it has happened; else the waiter is never called, and the checker finds an
 * "invalid end state".
 *
 * -DLOOK_FIRST: the dispatcher looks at the state before it says that somebody waits: loses one. */

bool created = false;      /* future->state */
bool tell_created = false; /* the dispatcher has waiters */
bool signalled = false;    /* worker → dispatcher: tell them */
bool called = false;       /* the waiter */

active proctype worker() {
  created = true;
  if
  :: tell_created -> signalled = true
  :: else -> skip
  fi
}

active proctype dispatcher() {
  bool seen;
#ifdef LOOK_FIRST
  seen = created;
  tell_created = true;
#else
  tell_created = true;
  seen = created;
#endif
  if
  :: seen -> called = true
  :: else ->
     signalled;
     called = true
  fi;
  assert(called)
}
