#include "thread.h"

#include <pthread.h>

#include "error.h"
#include "scope.h"

/* initial-exec: read on every call, also in the shared library. Not inline: linkers rewrite how the
 * address of such a variable is got, and UndefinedBehaviorSanitizer's check of it for NULL breaks
 */
static _Thread_local tnr_thread here __attribute__((tls_model("initial-exec")));
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void thread_ends(void *value) {
  tnr_thread *thread = value;
  tnr_scope_abandon_all(thread);
  if (thread->error)
    tnr_object_release(tnr_error_object(thread->error));
  thread->error = NULL;
}

static void make_key(void) {
  have_key = pthread_key_create(&key, thread_ends) == 0;
}

tnr_thread *tnr_thread_here(void) {
  return &here;
}

void tnr_thread_clean_up_at_end(tnr_thread *thread) {
  if (thread->cleans_up)
    return;
  pthread_once(&key_once, make_key);
  thread->cleans_up = have_key && pthread_setspecific(key, thread) == 0;
}
