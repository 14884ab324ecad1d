#include "continuation.h"
#include "error.h"
#include "record.h"
#include "runtime.h"
#include "source.h"

/* A continuation of the library's own. */

static void registration_destroy(tnr_continuation *made, tnr_runtime *runtime) {
  tnr_pool_free(&runtime->machine.objects, made, sizeof *made);
}

static void deliver_registered(tnr_letter *letter) {
  tnr_continuation *made = tnr_continuation_of(letter);
  tnr_callback *fn = made->fn;
  void *user = made->user;
  tnr_future *future = made->future;
  registration_destroy(made, future->runtime);
  uint64_t since = tnr_record_now(future->runtime);
  fn(tnr_future_value(future), user);
  tnr_record_callback(future, since);
  tnr_object_release(&future->object);
}

static tnr_status register_with(tnr_future *future, tnr_moment moment, tnr_callback *fn, void *user,
                                tnr_mailbox *mailbox) {
  tnr_continuation *made = tnr_pool_alloc(&future->runtime->machine.objects, sizeof *made);
  if (!made)
    return tnr_error_raise(TNR_ENOMEM, "out of memory for a callback");
  tnr_continuation_init(made, fn, user);
  tnr_status status = tnr_continuation_put(made, future, moment, mailbox, deliver_registered);
  if (status != TNR_OK)
    registration_destroy(made, future->runtime);
  return status;
}

tnr_status tnr_on_value(tnr_value x, tnr_moment moment, tnr_callback *fn, void *user,
                        const tnr_on_options *options) {
  if (!fn)
    return tnr_error_raise(TNR_EINVAL, "the callback is NULL");
  tnr_future *future = tnr_future_of_value(x);
  if (!future)
    return tnr_error_code(tnr_error());
  tnr_status status = register_with(future, moment, fn, user, options ? options->mailbox : NULL);
  tnr_object_release(&future->object);
  return status;
}
