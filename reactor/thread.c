#include "thread.h"

#include <pthread.h>

#include "error.h"
#include "scope.h"
#include "terms.h"

/* initial-exec: read on every call, also in the shared library. Not inline: linkers rewrite how the
 * address of such a variable is got, and UndefinedBehaviorSanitizer's check of it for NULL breaks
 */
static _Thread_local tnr_thread here __attribute__((tls_model("initial-exec")));
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void finish(tnr_thread *thread) {
  tnr_scope_abandon_all(thread);
  tnr_terms_abandon_all(thread);
  if (thread->error)
    tnr_object_release(tnr_error_object(thread->error));
  thread->error = NULL;
}

static void thread_ends(void *value) {
  finish(value);
}

static void make_key(void) {
  have_key = pthread_key_create(&key, thread_ends) == 0;
}

tnr_thread *tnr_thread_here(void) {
  return &here;
}

tnr_service tnr_thread_service(const tnr_runtime *runtime) {
  for (const tnr_thread *thread = &here; thread; thread = thread->outer) {
    if (thread->dispatcher_of == runtime)
      return TNR_SERVES_AS_DISPATCHER;
    if (thread->worker_of == runtime)
      return TNR_SERVES_AS_WORKER;
  }
  return TNR_SERVES_NOT;
}

/* ---- roles ---- */

void tnr_role_init(tnr_role *role, tnr_runtime *runtime, int slot) {
  /* cleaned up by tnr_role_finish, and not when the thread ends that played it last */
  *role = (tnr_role){.thread.cleans_up = true, .slot = {runtime, slot}};
  *(slot == 0 ? &role->thread.dispatcher_of : &role->thread.worker_of) = runtime;
}

void tnr_role_finish(tnr_role *role) {
  finish(&role->thread);
}

static void change_places(tnr_role *role) {
  tnr_role before = {here, tnr_this_thread};
  here = role->thread;
  tnr_this_thread = role->slot;
  *role = before;
}

void tnr_role_enter(tnr_role *role) {
  change_places(role);
  here.outer = &role->thread;
}

void tnr_role_leave(tnr_role *role) {
  here.outer = NULL;
  change_places(role);
}

void tnr_thread_clean_up_at_end(tnr_thread *thread) {
  if (thread->cleans_up)
    return;
  pthread_once(&key_once, make_key);
  thread->cleans_up = have_key && pthread_setspecific(key, thread) == 0;
}
