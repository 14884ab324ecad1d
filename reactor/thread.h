/* What the library keeps for each thread: its last error, its open scopes, where in a composite it
 * is, and which runtime it serves. */
#ifndef TENOR_REACTOR_THREAD_H
#define TENOR_REACTOR_THREAD_H

#include <tenor/call.h>
#include <tenor/error.h>
#include <tenor/runtime.h>

#include "../devices/pool.h"
#include "bounds.h"

/* A composite whose body runs on this thread; on its caller's stack. */
typedef struct tnr_frame {
  const char *name; /* the composite's */
  tnr_site site;    /* the user's call: the outermost composite's */
  uint32_t number;  /* in a recording; 0: none */
} tnr_frame;

/* All fields belong to the thread. */
typedef struct tnr_thread {
  tnr_error *error;                          /* the last one, retained */
  struct tnr_scope *scope;                   /* the innermost open one */
  const tnr_frame *frame;                    /* the innermost composite, NULL outside */
  struct tnr_thread_terms *terms;            /* the innermost open ones, NULL outside */
  struct tnr_thread_terms *borrowed_terms;   /* of these the ones that the user has not opened */
  tnr_runtime *dispatcher_of;                /* the runtime whose dispatcher this is, or NULL */
  tnr_runtime *worker_of;                    /* the runtime one of whose workers this is, or NULL */
  const struct tnr_mailbox_frame *mailboxes; /* whose letters it is delivering, innermost first */
  const tnr_runtime *refused_by;             /* whose limits were the last to refuse a call here; */
  tnr_want refused;                          /* and what it wanted, */
  uint64_t refused_at;                       /* and the limits' `rooms` */
  bool cleans_up;                            /* the thread's end releases all this */

  const struct tnr_thread *outer; /* in a role: what the thread is besides; else NULL */
} tnr_thread;

/* The calling thread's. Cheap. */
tnr_thread *tnr_thread_here(void);

/* What the calling thread is to a runtime, be it under a role in another one. */
typedef enum tnr_service {
  TNR_SERVES_NOT,
  TNR_SERVES_AS_DISPATCHER,
  TNR_SERVES_AS_WORKER
} tnr_service;
tnr_service tnr_thread_service(const tnr_runtime *runtime);

/* A dispatcher or worker without a thread: what a thread of the program becomes for a while. It has
 * errors, scopes and pool caches of its own, and those of the program's thread are out of reach
 * meanwhile. Played by one thread at a time. */
typedef struct tnr_role {
  tnr_thread thread; /* while it is played, what the thread was before; likewise `slot` */
  tnr_thread_slot slot;
} tnr_role;

/* For the dispatcher (slot 0) or a worker of the runtime. */
void tnr_role_init(tnr_role *role, tnr_runtime *runtime, int slot);
void tnr_role_finish(tnr_role *role); /* while nobody plays it */

/* Roles that one thread enters are left in reverse order. */
void tnr_role_enter(tnr_role *role);
void tnr_role_leave(tnr_role *role);

/* To be called before something is put in it that has to be released when the thread ends. */
void tnr_thread_clean_up_at_end(tnr_thread *thread);

#endif
