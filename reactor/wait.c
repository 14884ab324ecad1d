#include "wait.h"

#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "continuation.h"
#include "dispatcher.h"
#include "error.h"
#include "record.h"
#include "scope.h"
#include "source.h"
#include "thread.h"

static bool passed(tnr_future *future, tnr_moment moment) {
  tnr_future_state state = tnr_future_get_state(tnr_future_source(future));
  return state >= (moment == TNR_CREATED ? TNR_FUTURE_CREATED : TNR_FUTURE_COMPLETE);
}

bool tnr_passed_value(tnr_value x, tnr_moment moment) {
  tnr_error *error;
  if (x.kind == TNR_VALUE_TENSOR || x.kind == TNR_VALUE_TUPLE)
    return moment == TNR_CREATED || tnr_result_state(x.handle, &error) != TNR_STORAGE_PENDING;
  return x.kind != TNR_VALUE_NONE && passed(x.handle, moment);
}

const tnr_error *tnr_value_error(tnr_value x) {
  tnr_error *error = NULL;
  if (x.kind == TNR_VALUE_TENSOR || x.kind == TNR_VALUE_TUPLE)
    (void)tnr_result_state(x.handle, &error);
  else if (x.kind != TNR_VALUE_NONE)
    error = tnr_future_get_error(x.handle);
  return error;
}

/* Shared by a blocked thread and what will wake it, since either may be gone first. */
typedef struct tnr_wait {
  _Atomic uint32_t refs; /* atomic: the blocked thread's, the dispatcher's */
  atomic_bool over;      /* atomic */
  tnr_parker parker;     /* the blocked thread sleeps, the dispatcher wakes */
  tnr_continuation by;   /* what will end the wait, where that is a future */
} tnr_wait;

/* Not from the runtime's pool: the dispatcher gives its reference back after the thread has gone
 * on, and a thread that has synchronized may count what is alive. */
tnr_wait *tnr_wait_new(void) {
  tnr_wait *made = malloc(sizeof *made);
  if (made)
    *made = (tnr_wait){.refs = 2};
  return made;
}

void tnr_wait_release(tnr_wait *wait) {
  /* acquire-release: as in tnr_object_release */
  if (atomic_fetch_sub_explicit(&wait->refs, 1, memory_order_acq_rel) == 1)
    free(wait);
}

void tnr_wait_end(tnr_wait *wait) {
  /* release: pairs with the acquire in tnr_wait_sleep */
  atomic_store_explicit(&wait->over, true, memory_order_release);
  tnr_parker_wake(&wait->parker);
  tnr_wait_release(wait);
}

static bool is_over(const tnr_wait *wait) {
  return atomic_load_explicit(&wait->over, memory_order_acquire);
}

static bool has_ended(const void *wait) {
  return is_over(wait);
}

bool tnr_wait_sleep(tnr_runtime *runtime, tnr_wait *wait, int64_t deadline) {
  if (runtime->mode != TNR_THREADS)
    return tnr_crank_wait(runtime, has_ended, wait, deadline) == TNR_OK;
  while (!is_over(wait)) {
    int64_t left = deadline == INT64_MAX ? INT64_MAX : deadline - tnr_now_ns();
    if (left <= 0)
      return false;
    tnr_parker_prepare(&wait->parker);
    if (is_over(wait))
      tnr_parker_cancel(&wait->parker);
    else
      (void)tnr_parker_sleep(&wait->parker, left);
  }
  return true;
}

tnr_status tnr_wait_refused(const tnr_runtime *runtime, const char *what) {
  tnr_service service = tnr_thread_service(runtime);
  if (service == TNR_SERVES_AS_DISPATCHER)
    return tnr_error_raise(TNR_EDEADLK, "%s would block the dispatcher, which it waits for", what);
  if (service == TNR_SERVES_AS_WORKER)
    return tnr_error_raise(TNR_EDEADLK, "%s would block a device's worker, which it may wait for",
                           what);
  return TNR_OK;
}

/* Dispatcher. */
static void end_wait(tnr_letter *letter) {
  tnr_continuation *by = tnr_continuation_of(letter);
  tnr_object_release(&by->future->object); /* which the blocked thread holds as well */
  tnr_wait_end(by->user);
}

typedef struct awaited_moment {
  tnr_future *future;
  tnr_moment moment;
} awaited_moment;

static bool has_passed(const void *what) {
  const awaited_moment *awaited = what;
  return passed(awaited->future, awaited->moment);
}

static uint32_t has_come(void *awaited) {
  return has_passed(awaited);
}

/* Results are often about to come. */
static bool passes_soon(tnr_future *future, tnr_moment moment, int64_t deadline) {
  awaited_moment awaited = {future, moment};
  return passed(future, moment) ||
         tnr_lookout_find(&future->runtime->waiters, deadline, has_come, &awaited);
}

static tnr_status sleep_until(tnr_future *future, tnr_moment moment, int64_t deadline) {
  tnr_wait *wait = tnr_wait_new();
  if (!wait)
    return tnr_error_raise(TNR_ENOMEM, "out of memory for waiting");
  tnr_continuation_init(&wait->by, NULL, wait);
  tnr_status status = tnr_continuation_put(&wait->by, future, moment, NULL, end_wait);
  if (status != TNR_OK) {
    tnr_wait_release(wait); /* the dispatcher's */
  } else if (!tnr_wait_sleep(future->runtime, wait, deadline)) {
    if (tnr_detach(&wait->by))
      tnr_wait_release(wait); /* what would have ended it */
    status = tnr_error_raise(TNR_ETIMEDOUT, "the time to wait for a future ran out");
  }
  tnr_wait_release(wait);
  return status;
}

/* The error says which future. */
static tnr_status refuse(tnr_future *future, tnr_moment moment) {
  char what[190];
  const char *passed = moment == TNR_CREATED ? "created" : "complete";
  tnr_future *source = tnr_future_source(future);
  if (tnr_future_is_op(source)) {
    const tnr_op *op = tnr_op_of(source);
    snprintf(what, sizeof what, "waiting for %s (%s:%d) to be %s", op->def->name,
             op->file ? op->file : "submitted by tenor", op->line, passed);
  } else {
    snprintf(what, sizeof what, "waiting for a %s to be %s", future->tuple ? "tuple" : "tensor",
             passed);
  }
  return tnr_wait_refused(future->runtime, what);
}

/* Without threads: this one works until the moment has come. */
static tnr_status work_until(tnr_future *future, tnr_moment moment, int64_t deadline) {
  const awaited_moment awaited = {future, moment};
  tnr_status status = TNR_ECLOSED;
  if (tnr_dispatcher_takes(future->runtime))
    status = tnr_crank_wait(future->runtime, has_passed, &awaited, deadline);
  if (status == TNR_ETIMEDOUT)
    return tnr_error_raise(status, "the time to wait for a future ran out");
  return status == TNR_OK ? status : tnr_error_raise(status, "%s", tnr_dispatcher_refusal(status));
}

static tnr_status block(tnr_future *future, tnr_moment moment, int64_t deadline) {
  if (tnr_wait_refused(future->runtime, "waiting") != TNR_OK)
    return refuse(future, moment);
  if (future->runtime->mode != TNR_THREADS)
    return work_until(future, moment, deadline);
  if (passes_soon(future, moment, deadline))
    return TNR_OK;
  return sleep_until(future, moment, deadline);
}

int64_t tnr_deadline_after(const tnr_runtime *runtime, int64_t timeout_ns) {
  int64_t deadline;
  if (timeout_ns == INT64_MAX || __builtin_add_overflow(tnr_machine_now(&runtime->machine),
                                                        timeout_ns > 0 ? timeout_ns : 0, &deadline))
    return INT64_MAX;
  return deadline;
}

static tnr_status set_error_of(tnr_future *future) {
  tnr_error *error = tnr_future_get_error(future);
  if (!error)
    return TNR_OK;
  tnr_object_retain(tnr_error_object(error));
  return tnr_error_set(error);
}

static tnr_status wait_for(tnr_future *future, tnr_moment moment, int64_t timeout_ns) {
  if (!passed(future, moment)) {
    if (timeout_ns <= 0)
      return tnr_error_raise(TNR_ETIMEDOUT, "the future is not %s yet",
                             moment == TNR_CREATED ? "created" : "complete");
    uint64_t since = tnr_record_now(future->runtime);
    tnr_status status = block(future, moment, tnr_deadline_after(future->runtime, timeout_ns));
    tnr_record_wait(tnr_future_source(future),
                    moment == TNR_CREATED ? TNR_TRACE_FOR_CREATED : TNR_TRACE_FOR_COMPLETE, since);
    if (status != TNR_OK)
      return status;
  }
  return set_error_of(future);
}

tnr_status tnr_wait_value(tnr_value x, tnr_moment moment, int64_t timeout_ns) {
  tnr_future *future = tnr_future_of_value(x);
  if (!future)
    return tnr_error_code(tnr_error());
  tnr_status status = wait_for(future, moment, timeout_ns);
  tnr_object_release(&future->object);
  return status;
}

/* ---- getting ---- */

static void *get(tnr_future *future, int64_t timeout_ns) {
  tnr_error *error;
  if (!future || wait_for(future, TNR_CREATED, timeout_ns) != TNR_OK)
    return NULL;
  tnr_object *result = tnr_future_get_result(future, &error);
  if (!result) /* it has failed since */
    (void)set_error_of(future);
  return tnr_scope_adopt(tnr_retain(result));
}

tnr_tensor *tnr_get_tensor(tnr_tensor *x, int64_t timeout_ns) {
  (void)timeout_ns;
  return tnr_scope_adopt(tnr_retain(x));
}

tnr_tuple *tnr_get_tuple(tnr_tuple *x, int64_t timeout_ns) {
  (void)timeout_ns;
  return tnr_scope_adopt(tnr_retain(x));
}

tnr_tensor *tnr_get_future(tnr_future *x, int64_t timeout_ns) {
  return get(x, timeout_ns);
}

tnr_tuple *tnr_get_future_tuple(tnr_future_tuple *x, int64_t timeout_ns) {
  return get(tnr_future_of(x), timeout_ns);
}

tnr_value tnr_get_value(tnr_value x, int64_t timeout_ns) {
  switch (x.kind) {
  case TNR_VALUE_FUTURE:
    return tnr_value_of_tensor(get(x.handle, timeout_ns));
  case TNR_VALUE_FUTURE_TUPLE:
    return tnr_value_of_tuple(get(x.handle, timeout_ns));
  default:
    return tnr_value_adopt((tnr_value){x.kind, tnr_retain(x.handle)});
  }
}
