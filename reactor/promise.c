#include "promise.h"

#include <stdarg.h>
#include <stdio.h>

#include "cancel.h"
#include "dispatcher.h"
#include "error.h"
#include "in_flight.h"
#include "scope.h"
#include "source.h"

typedef enum tnr_promise_state {
  TNR_PROMISE_OPEN = 0,
  TNR_PROMISE_SETTLED,
  TNR_PROMISE_CANCELED
} tnr_promise_state;

struct tnr_promise {
  tnr_object
      object; /* of those who may fulfil it; together they hold one reference to the future */
  tnr_future future;     /* the dispatcher holds another, until it is complete */
  tnr_site site;         /* immutable after create: of the call that made it */
  tnr_desc desc;         /* immutable after create: what was promised, if promises_desc */
  bool promises_desc;    /* immutable after create */
  _Atomic uint8_t state; /* atomic: a tnr_promise_state; who changes it gives the result, and posts
                          * the letter */
  tnr_letter letter;     /* any thread → dispatcher: it has been settled */
  tnr_follower follower; /* dispatcher only */
  tnr_pending pending;   /* dispatcher only: once the letter has come */
  tnr_promise *next;     /* of the list; written before it is in there, then dispatcher only */
  tnr_promise **link;    /* guarded by the list's lock; NULL: not in it */
};

static tnr_promise *promise_of(const tnr_future *future) {
  return (tnr_promise *)((char *)future - offsetof(tnr_promise, future));
}

static tnr_promises *promises_of(const tnr_promise *promise) {
  return &promise->future.runtime->promises;
}

static tnr_error *error_at(tnr_site site, tnr_status code, const char *reason) {
  tnr_fault fault;
  tnr_fail(&fault, code, "%s", reason);
  return tnr_error_new(&(tnr_error_context){.op = "promise", .site = site}, &fault);
}

/* ---- the list of open ones: with its lock held ---- */

static void link_first(tnr_promises *promises, tnr_promise *promise) {
  promise->next = promises->first;
  promise->link = &promises->first;
  if (promise->next)
    promise->next->link = &promise->next;
  promises->first = promise;
  promises->open++;
}

static void unlink_open(tnr_promise *promise) {
  *promise->link = promise->next;
  if (promise->next)
    promise->next->link = promise->link;
  promise->link = NULL;
}

/* ---- settling: any thread ---- */

/* Whoever gets true gives the result. */
static bool claim(tnr_promise *promise, tnr_promise_state state) {
  uint8_t open = TNR_PROMISE_OPEN;
  /* relaxed: decides who, and orders nothing */
  return atomic_compare_exchange_strong_explicit(&promise->state, &open, (uint8_t)state,
                                                 memory_order_relaxed, memory_order_relaxed);
}

static tnr_promise_state state_of(const tnr_promise *promise) {
  return (tnr_promise_state)atomic_load_explicit(&promise->state, memory_order_relaxed);
}

static void post(tnr_promise *promise) {
  tnr_letter_arm(&promise->letter);
  /* the dispatcher's mailbox stays open as long as a promise is */
  (void)tnr_mailbox_post(&promise->future.runtime->mail, &promise->letter);
}

/* Consumes the error. */
static void settle_error(tnr_promise *promise, tnr_error *error) {
  tnr_future_set_error(&promise->future, error);
  tnr_object_release(tnr_error_object(error));
  post(promise);
}

static tnr_status settled_before(tnr_site site, const tnr_promise *promise) {
  tnr_future *future = (tnr_future *)&promise->future;
  if (!tnr_dispatcher_takes(future->runtime))
    return tnr_error_raise_at("promise", site, TNR_ECLOSED, "%s",
                              tnr_dispatcher_refusal(TNR_ECLOSED));
  if (state_of(promise) == TNR_PROMISE_CANCELED)
    return tnr_error_raise_at("promise", site, TNR_ECANCELED, "its future has been cancelled");
  return tnr_error_raise_at("promise", site, TNR_EINVAL, "it has been fulfilled or failed before");
}

/* ---- settled: the dispatcher ---- */

static void leave(tnr_promise *promise) {
  promise->future.runtime->in_flight--;
  tnr_object_release(&promise->future.object);
}

static void data_there(tnr_follower *follower, tnr_error *error) {
  tnr_promise *promise = (tnr_promise *)((char *)follower - offsetof(tnr_promise, follower));
  tnr_pending_remove(&promise->pending);
  if (tnr_future_get_state(&promise->future) < TNR_FUTURE_COMPLETE) { /* else it was cancelled */
    if (error)
      tnr_future_set_error(&promise->future, error);
    tnr_future_complete(&promise->future);
  }
  leave(promise);
}

/* It has failed: if it was cancelled after it was fulfilled, it does not need its tensor. */
static void fail(tnr_future *future) {
  tnr_object *result = future->result;
  tnr_error *error = tnr_future_get_error(future);
  tnr_future_complete(future);
  if (!result || !tnr_is_cancellation(future->runtime, error))
    return;
  tnr_give_up(result, error);
  tnr_give_up_not(result);       /* its reference goes with the future */
  future->runtime->sweep = true; /* for ops that already wait for what makes the tensor */
}

static void strike_off(tnr_promise *promise) {
  tnr_promises *promises = promises_of(promise);
  tnr_spin_lock(&promises->lock);
  if (promise->link)
    unlink_open(promise);
  promises->open--;
  tnr_spin_unlock(&promises->lock);
}

static void settled_arrives(tnr_letter *letter) {
  tnr_promise *promise = (tnr_promise *)((char *)letter - offsetof(tnr_promise, letter));
  promise->future.runtime->in_flight++;
  strike_off(promise);
  if (tnr_future_get_error(&promise->future)) {
    fail(&promise->future);
    leave(promise);
    return;
  }
  tnr_pending_add(&promise->pending, &promise->future);
  tnr_future_tell_created(&promise->future);
  tnr_follow(&promise->follower, promise->future.result, data_there);
}

/* NULL when none is left. */
static tnr_promise *take_open(tnr_promises *promises) {
  tnr_promise *promise;
  tnr_spin_lock(&promises->lock);
  promises->closed = true;
  while ((promise = promises->first)) {
    unlink_open(promise);
    if (claim(promise, TNR_PROMISE_SETTLED))
      break; /* else its letter is on its way */
  }
  tnr_spin_unlock(&promises->lock);
  return promise;
}

void tnr_promises_visit(tnr_runtime *runtime, tnr_future_visit *visit, void *user) {
  tnr_promises *promises = &runtime->promises;
  tnr_spin_lock(&promises->lock);
  tnr_promise *first = promises->first;
  tnr_spin_unlock(&promises->lock);
  for (tnr_promise *promise = first; promise; promise = promise->next)
    visit(&promise->future, user);
}

bool tnr_promises_end(tnr_runtime *runtime) {
  tnr_promises *promises = &runtime->promises;
  /* acquire: pairs with the release where it is set */
  bool abort = atomic_load_explicit(&runtime->abort, memory_order_acquire);
  tnr_promise *promise;
  while ((promise = take_open(promises)))
    settle_error(promise, error_at(promise->site, abort ? TNR_ECANCELED : TNR_ECLOSED,
                                   "the runtime was destroyed before it was fulfilled"));
  tnr_spin_lock(&promises->lock);
  bool settled = promises->open == 0;
  tnr_spin_unlock(&promises->lock);
  return settled;
}

/* ---- life ---- */

static void future_destroy(tnr_object *object) {
  tnr_future *future = (tnr_future *)object;
  tnr_pool *objects = &future->runtime->machine.objects;
  tnr_future_finish(future);
  tnr_pool_free(objects, promise_of(future), sizeof(tnr_promise));
}

/* Dispatcher. Where the letter is on its way already, that one goes on. */
static void promise_cancel(tnr_future *future, tnr_error *error) {
  tnr_promise *promise = promise_of(future);
  bool open = claim(promise, TNR_PROMISE_CANCELED);
  tnr_future_set_error(future, error);
  if (open)
    post(promise);
  else if (promise->pending.link)
    fail(future);
}

/* Who may fulfil it counts as a user of it. */
static uint32_t promise_own_refs(const tnr_future *future) {
  (void)future;
  return 1;
}

static void promise_describe(tnr_future *future, tnr_description *out) {
  out->context = (tnr_error_context){.op = "promise", .site = promise_of(future)->site};
}

static const tnr_manners promise_manners = {promise_cancel, promise_own_refs, promise_describe};
static const tnr_class promised_class = {
    .name = "future", .destroy = future_destroy, .manners = &promise_manners};

/* Nobody is left who could fulfil it. */
static void promise_destroy(tnr_object *object) {
  tnr_promise *promise = (tnr_promise *)object;
  if (claim(promise, TNR_PROMISE_SETTLED))
    settle_error(promise,
                 error_at(promise->site, TNR_ECANCELED, "it was released before it was fulfilled"));
  tnr_object_release(&promise->future.object);
}

static const tnr_class promise_class = {.name = "promise", .destroy = promise_destroy};

const tnr_desc *tnr_promised_desc(const tnr_future *future) {
  if (future->object.class != &promised_class || !promise_of(future)->promises_desc)
    return NULL;
  return &promise_of(future)->desc;
}

static void promise_init(tnr_promise *promise, tnr_site site, tnr_runtime *runtime,
                         const tnr_promise_options *options) {
  *promise = (tnr_promise){.site = site, .promises_desc = options->desc != NULL};
  tnr_object_init(&promise->object, &promise_class, 1);
  tnr_future_init(&promise->future, &promised_class, runtime, false, 2);
  if (options->desc)
    promise->desc = *options->desc;
  if (options->device)
    tnr_future_set_mesh(&promise->future, options->device->self);
  promise->letter.deliver = settled_arrives;
}

/* False once the runtime is closed. */
static bool enter(tnr_promise *promise) {
  tnr_promises *promises = promises_of(promise);
  tnr_spin_lock(&promises->lock);
  bool open = !promises->closed;
  if (open)
    link_first(promises, promise);
  tnr_spin_unlock(&promises->lock);
  return open;
}

static tnr_promise *refuse(tnr_site site, tnr_status code, const char *reason) {
  tnr_error_raise_at("promise_create", site, code, "%s", reason);
  return NULL;
}

tnr_promise *tnr_promise_create_at(tnr_site site, tnr_runtime *runtime,
                                   const tnr_promise_options *options) {
  static const tnr_promise_options nothing;
  if (!runtime && !(runtime = tnr_default_runtime()))
    return NULL;
  if (!options)
    options = &nothing;
  if (options->device && options->device->machine != &runtime->machine)
    return refuse(site, TNR_EDEVICE, "the device belongs to another runtime");
  tnr_promise *promise = tnr_pool_alloc(&runtime->machine.objects, sizeof *promise);
  if (!promise)
    return refuse(site, TNR_ENOMEM, "out of memory for a promise");
  promise_init(promise, site, runtime, options);
  if (!tnr_dispatcher_takes(runtime) || !enter(promise)) {
    tnr_pool_free(&runtime->machine.objects, promise, sizeof *promise);
    return refuse(site, TNR_ECLOSED, tnr_dispatcher_refusal(TNR_ECLOSED));
  }
  return tnr_scope_adopt(promise);
}

tnr_future *tnr_promise_future(tnr_promise *promise) {
  return promise ? tnr_scope_adopt(tnr_retain(&promise->future)) : NULL;
}

/* ---- fulfilling and failing: any thread ---- */

static tnr_status check_desc(const tnr_promise *promise, const tnr_tensor *tensor,
                             tnr_fault *fault) {
  char is[TNR_SHAPE_TEXT_MAX], promised[TNR_SHAPE_TEXT_MAX];
  if (!promise->promises_desc)
    return TNR_OK;
  if (tensor->desc.dtype != promise->desc.dtype)
    return tnr_fail(fault, TNR_EDTYPE, "%s was promised, not %s",
                    tnr_dtype_name(promise->desc.dtype), tnr_dtype_name(tensor->desc.dtype));
  if (!tnr_shape_equal(&tensor->desc.shape, &promise->desc.shape))
    return tnr_fail(fault, TNR_ESHAPE, "%s was promised, not %s",
                    tnr_shape_format(&promise->desc.shape, promised, sizeof promised),
                    tnr_shape_format(&tensor->desc.shape, is, sizeof is));
  return TNR_OK;
}

static tnr_status check_tensor(const tnr_promise *promise, const tnr_tensor *tensor,
                               tnr_fault *fault) {
  const tnr_mesh *promised = tnr_future_get_mesh(&promise->future);
  if (tnr_mesh_machine(tensor->mesh) != &promise->future.runtime->machine)
    return tnr_fail(fault, TNR_EDEVICE, "the tensor belongs to another runtime");
  if (promised && promised != tensor->mesh)
    return tnr_fail(fault, TNR_EDEVICE, "a tensor on %s was promised, not on %s",
                    tnr_mesh_first(promised)->name, tnr_mesh_first(tensor->mesh)->name);
  return check_desc(promise, tensor, fault);
}

static tnr_status null_argument(tnr_site site, const char *what) {
  if (tnr_error())
    return tnr_error_code(tnr_error());
  return tnr_error_raise_at("promise", site, TNR_EINVAL, "the %s is NULL", what);
}

tnr_status tnr_promise_fulfil_at(tnr_site site, tnr_promise *promise, tnr_tensor *tensor) {
  tnr_fault fault;
  if (!promise || !tensor)
    return null_argument(site, promise ? "tensor" : "promise");
  if (state_of(promise) != TNR_PROMISE_OPEN)
    return settled_before(site, promise);
  if (check_tensor(promise, tensor, &fault) != TNR_OK)
    return tnr_error_raise_at("promise", site, fault.code, "%s", fault.message);
  if (!claim(promise, TNR_PROMISE_SETTLED))
    return settled_before(site, promise);
  /* whoever waits for created is told by the letter */
  (void)tnr_future_create(&promise->future, tnr_retain(tensor), tensor->mesh);
  post(promise);
  return TNR_OK;
}

tnr_status tnr_promise_fail_at(tnr_site site, tnr_promise *promise, tnr_status code,
                               const char *format, ...) {
  char reason[TNR_FAULT_MESSAGE_MAX];
  va_list arguments;
  if (!promise)
    return null_argument(site, "promise");
  if (code == TNR_OK)
    return tnr_error_raise_at("promise", site, TNR_EINVAL, "TNR_OK is no error to fail with");
  if (!claim(promise, TNR_PROMISE_SETTLED))
    return settled_before(site, promise);
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  settle_error(promise, error_at(site, code, reason));
  return TNR_OK;
}
