/* What the library keeps for each thread: its last error, its open scopes, and where in a composite
 * it is. */
#ifndef TENOR_REACTOR_THREAD_H
#define TENOR_REACTOR_THREAD_H

#include <tenor/call.h>
#include <tenor/error.h>
#include <tenor/runtime.h>

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
  tnr_runtime *dispatcher_of;                /* the runtime whose dispatcher this is, or NULL */
  tnr_runtime *worker_of;                    /* the runtime one of whose workers this is, or NULL */
  const struct tnr_mailbox_frame *mailboxes; /* whose letters it is delivering, innermost first */
  bool cleans_up;                            /* the thread's end releases all this */
} tnr_thread;

/* The calling thread's. Cheap. */
tnr_thread *tnr_thread_here(void);

/* To be called before something is put in it that has to be released when the thread ends. */
void tnr_thread_clean_up_at_end(tnr_thread *thread);

#endif
