#include "future.h"

#include "cancel.h"
#include "continuation.h"
#include "error.h"
#include "op.h"

/* ---- life ---- */

void tnr_future_init(tnr_future *future, const tnr_class *class, tnr_runtime *runtime, bool tuple,
                     uint32_t refs) {
  *future = (tnr_future){.runtime = runtime, .tuple = tuple, .level = TNR_LEVEL_NORMAL};
  tnr_object_init(&future->object, class, refs);
}

void tnr_future_finish(tnr_future *future) {
  tnr_error *error = atomic_load_explicit(&future->error, memory_order_relaxed);
  if (error)
    tnr_object_release(tnr_error_object(error));
  if (future->result)
    tnr_object_release(future->result);
}

tnr_value tnr_future_value(tnr_future *future) {
  return (tnr_value){future->tuple ? TNR_VALUE_FUTURE_TUPLE : TNR_VALUE_FUTURE, future};
}

/* ---- errors and results ---- */

void tnr_future_set_error(tnr_future *future, tnr_error *error) {
  tnr_error *none = NULL;
  tnr_object_retain(tnr_error_object(error));
  /* acquire-release: the error's contents go to whoever reads it; the first one stays */
  if (!atomic_compare_exchange_strong_explicit(&future->error, &none, error, memory_order_acq_rel,
                                               memory_order_relaxed))
    tnr_object_release(tnr_error_object(error));
}

static tnr_error *own_error(const tnr_future *future) {
  /* acquire: pairs with the exchange in tnr_future_set_error */
  return atomic_load_explicit(&future->error, memory_order_acquire);
}

tnr_error *tnr_future_error_new(tnr_future *future, const tnr_fault *fault) {
  tnr_description description = {.context = {.op = "future"}};
  if (tnr_future_manners(future))
    tnr_future_manners(future)->describe(future, &description);
  return tnr_error_new(&description.context, fault);
}

/* Every asker gets the same error object: the first to make one wins. */
static tnr_error *element_missing(tnr_element *element, int count) {
  tnr_fault fault;
  tnr_fail(&fault, TNR_EINVAL, "there is no element %d in a tuple of %d", element->index, count);
  tnr_error_context context = {.composite = element->composite, .op = "at", .site = element->site};
  tnr_error *error = tnr_error_new(&context, &fault);
  tnr_future_set_error(&element->future, error);
  tnr_object_release(tnr_error_object(error));
  return own_error(&element->future);
}

static tnr_object *element_result(tnr_element *element, tnr_error **error) {
  *error = own_error(&element->future);
  if (!*error)
    *error = own_error(element->tuple);
  if (*error)
    return NULL;
  const tnr_tuple *tuple = (const tnr_tuple *)element->tuple->result;
  if (element->index >= 0 && element->index < tuple->count)
    return &tuple->tensors[element->index]->object;
  *error = element_missing(element, tuple->count);
  return NULL;
}

tnr_object *tnr_future_get_result(tnr_future *future, tnr_error **error) {
  if (tnr_future_is_element(future))
    return element_result((tnr_element *)future, error);
  *error = own_error(future);
  return *error ? NULL : future->result;
}

tnr_error *tnr_future_get_error(tnr_future *future) {
  tnr_future *source = tnr_future_source(future);
  tnr_error *error = own_error(source);
  if (error || source == future || tnr_future_get_state(source) < TNR_FUTURE_CREATED)
    return error;
  (void)tnr_future_get_result(future, &error);
  return error;
}

/* ---- moments ---- */

static void set_state(tnr_future *future, tnr_future_state state) {
  /* sequentially consistent, which includes the release that pairs with tnr_future_get_state; for
   * the rest see tnr_future_create */
  atomic_store_explicit(&future->state, (uint8_t)state, memory_order_seq_cst);
}

bool tnr_future_create(tnr_future *future, tnr_object *result, const tnr_mesh *mesh) {
  future->result = result;
  if (!tnr_future_get_mesh(future))
    tnr_future_set_mesh(future, mesh);
  uint8_t pending = TNR_FUTURE_PENDING;
  /* sequentially consistent, as in set_state; one that has been ended stays so */
  if (!atomic_compare_exchange_strong_explicit(&future->state, &pending, TNR_FUTURE_CREATED,
                                               memory_order_seq_cst, memory_order_relaxed))
    return false;
  /* sequentially consistent, like the exchange above and the pair in tnr_future_add_waiter: either
   * this sees that somebody waits, or that one sees the state */
  return atomic_load_explicit(&future->tell_created, memory_order_seq_cst);
}

bool tnr_future_end_early(tnr_future *future) {
  uint8_t pending = TNR_FUTURE_PENDING;
  /* acquire: as in tnr_future_get_state; sequentially consistent, as in set_state */
  return atomic_compare_exchange_strong_explicit(&future->state, &pending, TNR_FUTURE_COMPLETE,
                                                 memory_order_seq_cst, memory_order_acquire);
}

static bool has_passed(tnr_future *future, tnr_waits_for until) {
  switch (until) {
  case TNR_UNTIL_LAUNCHED:
    return future->launched || tnr_future_get_state(future) == TNR_FUTURE_COMPLETE;
  case TNR_UNTIL_CREATED:
    return future->created_told || tnr_future_get_state(future) == TNR_FUTURE_COMPLETE;
  case TNR_UNTIL_COMPLETE:
    break;
  }
  return tnr_future_get_state(future) == TNR_FUTURE_COMPLETE;
}

bool tnr_future_add_waiter(tnr_future *future, tnr_waiter *waiter, tnr_waits_for until) {
  if (has_passed(future, until))
    return false;
  if (until == TNR_UNTIL_CREATED) {
    atomic_store_explicit(&future->tell_created, true, memory_order_seq_cst);
    if (atomic_load_explicit(&future->state, memory_order_seq_cst) >= TNR_FUTURE_CREATED) {
      tnr_future_tell_created(future);
      return false;
    }
  }
  waiter->until = until;
  if (future->last_waiter) {
    waiter->next = future->last_waiter->next;
    future->last_waiter->next = waiter;
  } else {
    waiter->next = waiter;
  }
  future->last_waiter = waiter;
  return true;
}

static void call_waiter(tnr_waiter *waiter) {
  if (waiter->input == TNR_WAITER_LISTENS) {
    tnr_listener *listener = (tnr_listener *)waiter;
    listener->fire(listener);
  } else {
    tnr_op_input_ready(waiter);
  }
}

/* Takes the whole chain, so that what the callbacks add goes on a new one, and calls those that
 * wait for no more than `passed`. */
static void call_waiters(tnr_future *future, tnr_waits_for passed) {
  tnr_waiter *last = future->last_waiter;
  if (!last)
    return;
  future->last_waiter = NULL;
  tnr_waiter *next = last->next;
  last->next = NULL;
  while (next) {
    tnr_waiter *waiter = next;
    next = waiter->next;
    if (waiter->until <= (uint32_t)passed ||
        !tnr_future_add_waiter(future, waiter, (tnr_waits_for)waiter->until))
      call_waiter(waiter);
  }
}

void tnr_future_tell_launched(tnr_future *future) {
  future->launched = true;
  call_waiters(future, TNR_UNTIL_LAUNCHED);
}

void tnr_future_tell_created(tnr_future *future) {
  if (future->created_told)
    return;
  future->created_told = true;
  call_waiters(future, TNR_UNTIL_CREATED);
  tnr_continuations_tell(future, TNR_CREATED);
}

static void tell_waiters_of_creation(tnr_future *future) {
  if (own_error(future))
    tnr_cancel_waiting(future);
  if (tnr_future_get_state(future) < TNR_FUTURE_CREATED)
    set_state(future, TNR_FUTURE_CREATED); /* it failed before: this moment passes all the same */
  tnr_future_tell_created(future);
}

void tnr_future_complete_unseen(tnr_future *future) {
  if (future->last_waiter)
    tell_waiters_of_creation(future);
  future->created_told = true;
  /* release: pairs with tnr_future_get_state on workers */
  atomic_store_explicit(&future->state, TNR_FUTURE_COMPLETE, memory_order_release);
  call_waiters(future, TNR_UNTIL_COMPLETE);
}

void tnr_future_complete(tnr_future *future) {
  if (future->last_waiter)
    tell_waiters_of_creation(future);
  future->created_told = true;
  set_state(future, TNR_FUTURE_COMPLETE); /* its order also counts for tnr_continuations_tell */
  call_waiters(future, TNR_UNTIL_COMPLETE);
  tnr_continuations_tell(future, TNR_COMPLETE);
}
