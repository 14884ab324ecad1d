#include "callback.h"

#include "dispatcher.h"
#include "error.h"
#include "source.h"

/* A registration on its way to a future's chain, and in it. */
struct tnr_registration {
  tnr_listener listener;
  tnr_message message;
  tnr_future *future;  /* immutable after create; retained */
  tnr_waits_for until; /* immutable after create */
  tnr_callback *fn;    /* immutable after create */
  void *user;          /* immutable after create */
};

static void registration_destroy(tnr_registration *made) {
  tnr_future *future = made->future;
  tnr_pool_free(&future->runtime->machine.objects, made, sizeof *made);
  tnr_object_release(&future->object);
}

static void call_back(tnr_listener *listener) {
  tnr_registration *made = (tnr_registration *)listener;
  made->fn(tnr_future_value(made->future), made->user);
  made->future->runtime->in_flight--;
  registration_destroy(made);
}

static void registration_arrives(tnr_message *message) {
  tnr_registration *made =
      (tnr_registration *)((char *)message - offsetof(tnr_registration, message));
  made->future->runtime->in_flight++;
  if (!tnr_future_add_waiter(tnr_future_source(made->future), &made->listener.waiter, made->until))
    call_back(&made->listener);
}

static tnr_waits_for until_moment(tnr_moment moment) {
  return moment == TNR_CREATED ? TNR_UNTIL_CREATED : TNR_UNTIL_COMPLETE;
}

tnr_registration *tnr_registration_new(tnr_future *future, tnr_moment moment, tnr_callback *fn,
                                       void *user) {
  tnr_registration *made = tnr_pool_alloc(&future->runtime->machine.objects, sizeof *made);
  if (!made) {
    tnr_object_release(&future->object);
    tnr_error_raise(TNR_ENOMEM, "out of memory for a callback");
    return NULL;
  }
  *made = (tnr_registration){
      .listener = {.waiter = {.input = TNR_WAITER_LISTENS}, .fire = call_back},
      .message = {registration_arrives},
      .future = future,
      .until = until_moment(moment),
      .fn = fn,
      .user = user,
  };
  return made;
}

tnr_status tnr_registration_put(tnr_registration *made) {
  tnr_status status = tnr_dispatcher_put_message(made->future->runtime, &made->message);
  if (status == TNR_OK)
    return TNR_OK;
  registration_destroy(made);
  return tnr_error_raise(status, "%s", tnr_dispatcher_refusal(status));
}

void tnr_registration_withdraw(tnr_registration *made) {
  (void)tnr_future_remove_waiter(tnr_future_source(made->future), &made->listener.waiter);
  made->future->runtime->in_flight--;
  registration_destroy(made);
}

tnr_status tnr_on_value(tnr_value x, tnr_moment moment, tnr_callback *fn, void *user) {
  if (!fn)
    return tnr_error_raise(TNR_EINVAL, "the callback is NULL");
  tnr_future *future = tnr_future_of_value(x);
  tnr_registration *made = future ? tnr_registration_new(future, moment, fn, user) : NULL;
  return made ? tnr_registration_put(made) : tnr_error_code(tnr_error());
}
