#include "deferred.h"

#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "cancel.h"
#include "dispatcher.h"
#include "error.h"
#include "in_flight.h"
#include "record.h"
#include "scope.h"
#include "source.h"
#include "terms.h"
#include "thread.h"

static const tnr_value none = {TNR_VALUE_NONE, NULL};

typedef struct deferred deferred;

typedef struct awaited {
  tnr_listener listener; /* dispatcher only */
  deferred *by;          /* immutable after create */
  tnr_value value;       /* immutable after create until complete; its handle is retained */
} awaited;

/* The future of a composite whose body runs later. */
struct deferred {
  tnr_future future;
  uint32_t number; /* see tnr_class; unset where future.numbered is false */
  tnr_message message, created, canceled;
  tnr_pending pending;
  tnr_epoch *epoch;             /* dispatcher only: what tnr_synchronize_device counts it in */
  const tnr_composite_def *def; /* immutable after create */
  tnr_site site;                /* immutable after create */
  tnr_held_terms terms;         /* where future.has_terms */
  struct event timer;           /* dispatcher only: its deadline, while the body has not run */
  int not_created;              /* dispatcher only */
  int count;                    /* immutable after create */
  uint32_t abroad;    /* dispatcher only: listeners and messages of its own, in chains and in the
                       * inbox; it stays until they are back */
  bool tells_created; /* dispatcher only: `created` is in the inbox */
  bool goes_on;       /* dispatcher only: it waits for no more inputs */
  bool ended;         /* dispatcher only */
  tnr_future *result; /* dispatcher only: what the body returned; retained */
  tnr_listener result_created, result_complete; /* dispatcher only */
  awaited in[];                                 /* [count]; behind them the attributes */
};

static size_t deferred_bytes(int count, size_t attrs_size) {
  return sizeof(deferred) + (size_t)count * sizeof(awaited) + attrs_size;
}

/* What it needs no more once it is complete: chains of composites hold none but their last. */
static void release_handles(deferred *made) {
  for (int i = 0; i < made->count; i++) {
    tnr_release(made->in[i].value.handle);
    made->in[i].value = none;
  }
  tnr_release(made->result);
  made->result = NULL;
}

static void give_up(void *handle, tnr_error *error) {
  if (!handle)
    return;
  tnr_give_up(handle, error);
  tnr_drop(handle);
}

static void give_up_handles(deferred *made, tnr_error *error) {
  for (int i = 0; i < made->count; i++) {
    void *handle = made->in[i].value.handle;
    made->in[i].value = none;
    give_up(handle, error);
  }
  tnr_future *result = made->result;
  made->result = NULL;
  give_up(result, error);
}

static void deferred_destroy(tnr_object *object) {
  deferred *made = (deferred *)object;
  release_handles(made);
  if (made->future.has_terms)
    tnr_terms_finish(&made->terms);
  tnr_future_finish(&made->future);
  tnr_pool_free(&made->future.runtime->machine.objects, made,
                deferred_bytes(made->count, made->def->attrs_size));
}

static void deferred_cancel(tnr_future *future, tnr_error *error);

static uint32_t deferred_own_refs(const tnr_future *future) {
  return 1 + ((const deferred *)future)->tells_created;
}

static void deferred_describe(tnr_future *future, tnr_description *out) {
  const deferred *made = (const deferred *)future;
  out->context = (tnr_error_context){.op = made->def->name, .site = made->site};
}

static const tnr_manners deferred_manners = {deferred_cancel, deferred_own_refs, deferred_describe};
static const tnr_class deferred_class = {"future", deferred_destroy, &deferred_manners,
                                         offsetof(deferred, number)};

/* One that was abroad is back. False: it has ended meanwhile, and may be gone. */
static bool is_back(deferred *made) {
  made->abroad--;
  if (!made->ended)
    return true;
  if (made->abroad == 0)
    tnr_object_release(&made->future.object); /* the dispatcher's */
  return false;
}

static void put(deferred *made, tnr_message *message, void (*handle)(tnr_message *message)) {
  made->abroad++;
  message->handle = handle;
  if (tnr_dispatcher_put_always(made->future.runtime, message) != TNR_OK)
    handle(message);
}

/* Goes on in a turn of its own and not in the chain of the future that it waited for, so that a
 * chain of composites needs no stack. */
static void go_on(deferred *made, void (*with)(tnr_message *message)) {
  put(made, &made->message, with);
}

static deferred *deferred_of(tnr_message *message) {
  return (deferred *)((char *)message - offsetof(deferred, message));
}

static void finish(deferred *made, tnr_error *error) {
  tnr_runtime *runtime = made->future.runtime;
  made->ended = true;
  made->abroad++; /* while it is in here: what it gives up may complete, and call it */
  if (runtime->bounds.on)
    tnr_bounds_leave_one(runtime);
  if (error)
    tnr_future_set_error(&made->future, error);
  tnr_pending_remove(&made->pending);
  tnr_record_settled(&made->future);
  tnr_future_complete(&made->future);
  error = tnr_future_get_error(&made->future);
  if (error && tnr_is_cancellation(runtime, error))
    give_up_handles(made, error);
  else
    release_handles(made);
  if (made->future.has_terms)
    tnr_terms_end(&made->terms);
  made->epoch->open--;
  runtime->in_flight--;
  (void)is_back(made);
}

static void cancel_now(tnr_message *message) {
  deferred *made = (deferred *)((char *)message - offsetof(deferred, canceled));
  if (is_back(made))
    finish(made, NULL);
}

/* In a turn of its own, as go_on. */
static void deferred_cancel(tnr_future *future, tnr_error *error) {
  deferred *made = (deferred *)future;
  if (made->ended || tnr_future_get_error(future))
    return;
  tnr_future_set_error(future, error);
  put(made, &made->canceled, cancel_now);
}

static void tell_created_now(tnr_message *message) {
  deferred *made = (deferred *)((char *)message - offsetof(deferred, created));
  made->tells_created = false;
  tnr_future_tell_created(&made->future);
  tnr_object_release(&made->future.object);
}

/* In a turn of its own, as go_on. */
static void tell_created_later(deferred *made) {
  tnr_object_retain(&made->future.object);
  made->tells_created = true;
  made->created.handle = tell_created_now;
  if (tnr_dispatcher_put_always(made->future.runtime, &made->created) != TNR_OK)
    tell_created_now(&made->created);
}

static void result_created(tnr_listener *listener) {
  deferred *made = (deferred *)((char *)listener - offsetof(deferred, result_created));
  tnr_error *error;
  if (!is_back(made))
    return;
  tnr_object *result = tnr_future_get_result(made->result, &error);
  if (!result || tnr_future_get_error(&made->future))
    return; /* complete follows, with the error */
  tnr_object_retain(result);
  if (tnr_future_create(&made->future, result, tnr_value_mesh(tnr_future_value(made->result))))
    tell_created_later(made);
}

static void finish_with_result(tnr_message *message) {
  deferred *made = deferred_of(message);
  if (is_back(made))
    finish(made, tnr_future_get_error(made->result));
}

static void result_complete(tnr_listener *listener) {
  deferred *made = (deferred *)((char *)listener - offsetof(deferred, result_complete));
  if (is_back(made))
    go_on(made, finish_with_result);
}

static void follow(deferred *made, tnr_future *future, tnr_listener *listener, tnr_waits_for until,
                   void (*fire)(tnr_listener *listener)) {
  listener->waiter.input = TNR_WAITER_LISTENS;
  listener->fire = fire;
  made->abroad++;
  if (!tnr_future_add_waiter(tnr_future_source(future), &listener->waiter, until))
    fire(listener);
}

static tnr_error *input_error(const deferred *made) {
  tnr_error *error = NULL;
  for (int i = 0; i < made->count && !error; i++)
    error = tnr_error_among(&made->in[i].value, 1);
  return error;
}

static tnr_value run_deferred(deferred *made) {
  tnr_runtime *runtime = made->future.runtime;
  tnr_thread_terms terms;
  tnr_value *in = malloc((size_t)made->count * sizeof *in);
  if (!in) {
    tnr_error_raise_at(made->def->name, made->site, TNR_ENOMEM, "out of memory for %d inputs",
                       made->count);
    return none;
  }
  for (int i = 0; i < made->count; i++)
    in[i] = made->in[i].value;
  tnr_error_clear();
  runtime->in_body = true;
  const tnr_invocation of = {runtime, made->site, tnr_future_number(&made->future)};
  tnr_terms_enter(&terms, &made->future, made->future.has_terms ? &made->terms : NULL);
  tnr_value value =
      tnr_composite_run(made->def, &of, in, made->count, made->in + made->count, true);
  tnr_terms_leave(&terms);
  runtime->in_body = false;
  free(in);
  return value;
}

/* All inputs are created, or one failed. */
static void inputs_there(deferred *made) {
  tnr_error *error = tnr_future_get_error(&made->future);
  if (!error)
    error = input_error(made);
  if (error) {
    finish(made, error);
    return;
  }
  tnr_deadline_stop(&made->terms.deadline); /* what the body submits has deadlines of its own */
  tnr_value value = run_deferred(made);
  if (value.kind == TNR_VALUE_NONE) {
    finish(made, (tnr_error *)tnr_error());
    return;
  }
  made->result = value.handle;
  tnr_scope_disown(value.handle);
  made->abroad++; /* while it is in here */
  follow(made, made->result, &made->result_created, TNR_UNTIL_CREATED, result_created);
  follow(made, made->result, &made->result_complete, TNR_UNTIL_COMPLETE, result_complete);
  (void)is_back(made);
}

static void inputs_there_now(tnr_message *message) {
  deferred *made = deferred_of(message);
  if (is_back(made))
    inputs_there(made);
}

/* What has been cancelled is not waited for any longer. */
static bool is_hopeless(const deferred *made, tnr_value input) {
  tnr_error *error = tnr_error_among(&input, 1);
  return error && tnr_is_cancellation(made->future.runtime, error);
}

static void input_created(tnr_listener *listener) {
  const awaited *input = (const awaited *)listener;
  deferred *made = input->by;
  if (!is_back(made) || made->goes_on)
    return;
  made->goes_on = --made->not_created == 0 || is_hopeless(made, input->value);
  if (made->goes_on)
    go_on(made, inputs_there_now);
}

static void cancel_with(deferred *made, tnr_error *error) {
  if (!error)
    return;
  deferred_cancel(&made->future, error);
  tnr_object_release(tnr_error_object(error));
}

static void too_late(evutil_socket_t fd, short what, void *user) {
  deferred *made = user;
  (void)fd;
  (void)what;
  cancel_with(made, tnr_terms_expire(&made->terms));
}

static void arrive_under_terms(deferred *made) {
  cancel_with(made, tnr_terms_arrive(&made->terms, &made->timer));
}

static void await_inputs(deferred *made) {
  made->not_created = 1; /* until all inputs are looked at */
  for (int i = 0; i < made->count; i++)
    if (tnr_value_is_future(made->in[i].value)) {
      made->not_created++;
      follow(made, made->in[i].value.handle, &made->in[i].listener, TNR_UNTIL_CREATED,
             input_created);
    }
  made->not_created--;
}

static void deferred_arrives(tnr_message *message) {
  deferred *made = deferred_of(message);
  made->future.runtime->in_flight++;
  tnr_pending_add(&made->pending, &made->future);
  evtimer_assign(&made->timer, made->future.runtime->base, too_late, made);
  made->epoch = made->future.runtime->nowhere.newest;
  made->epoch->open++;
  made->abroad++; /* while it is in here */
  if (made->future.has_terms)
    arrive_under_terms(made);
  await_inputs(made);
  if (!is_back(made) || made->not_created > 0 || made->goes_on)
    return;
  made->goes_on = true;
  inputs_there(made);
}

static deferred *deferred_new(tnr_runtime *runtime, const tnr_composite_def *def, tnr_site site,
                              const tnr_value *in, int count, const void *attrs) {
  size_t bytes = deferred_bytes(count, def->attrs_size);
  deferred *made = tnr_pool_alloc(&runtime->machine.objects, bytes);
  if (!made) {
    tnr_error_raise_at(def->name, site, TNR_ENOMEM, "out of memory for a composite");
    return NULL;
  }
  memset(made, 0, bytes);
  tnr_future_init(&made->future, &deferred_class, runtime, def->result == TNR_OP_TUPLE, 2);
  made->message.handle = deferred_arrives;
  made->future.level = tnr_terms_level(runtime);
  made->def = def;
  made->site = site;
  made->count = count;
  for (int i = 0; i < count; i++) {
    made->in[i].by = made;
    made->in[i].value = in[i];
    tnr_object_retain(in[i].handle);
  }
  if (attrs && def->attrs_size)
    memcpy(made->in + count, attrs, def->attrs_size);
  return made;
}

static void abandon(deferred *made) {
  tnr_object_release(&made->future.object);
  tnr_object_release(&made->future.object);
}

static tnr_status hold_terms(deferred *made) {
  if (!tnr_terms_bind(made->future.runtime))
    return TNR_OK;
  tnr_status status = tnr_terms_hold(&made->terms, &made->future, made->def->name, made->site);
  made->future.has_terms = status == TNR_OK;
  return status;
}

tnr_value tnr_composite_defer(const tnr_invocation *of, const tnr_composite_def *def,
                              const tnr_value *in, int count, const void *attrs) {
  const tnr_frame *frame = tnr_thread_here()->frame;
  deferred *made = deferred_new(of->runtime, def, frame ? frame->site : of->site, in, count, attrs);
  if (!made)
    return none;
  tnr_future_set_number(&made->future, of->number);
  if (hold_terms(made) != TNR_OK) {
    abandon(made);
    return none;
  }
  if (of->runtime->bounds.on)
    tnr_bounds_count_one(of->runtime);
  tnr_status status = tnr_dispatcher_put_message(of->runtime, &made->message);
  if (status == TNR_OK)
    return tnr_value_adopt(tnr_future_value(&made->future));
  if (of->runtime->bounds.on)
    tnr_bounds_leave_one(of->runtime);
  abandon(made);
  tnr_error_raise_at(def->name, of->site, status, "%s", tnr_dispatcher_refusal(status));
  return none;
}
