#include <tenor/dump.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher.h"
#include "error.h"
#include "group.h"
#include "in_flight.h"
#include "runtime.h"
#include "wait.h"

/* ---- text ---- */

/* Grows; lines end on a zero. */
typedef struct text {
  char *at;
  size_t length, capacity;
  bool out_of_memory;
} text;

static bool reserve(text *out, size_t more) {
  if (out->length + more <= out->capacity)
    return true;
  size_t capacity = 2 * (out->length + more) + 4096;
  char *at = realloc(out->at, capacity);
  out->out_of_memory |= !at;
  if (!at)
    return false;
  out->at = at;
  out->capacity = capacity;
  return true;
}

static void say(text *out, const char *format, ...) TNR_PRINTF(2, 3);
static void say(text *out, const char *format, ...) {
  va_list arguments, again;
  if (!reserve(out, 1))
    return;
  va_start(arguments, format);
  va_copy(again, arguments);
  size_t room = out->capacity - out->length;
  int length = vsnprintf(out->at + out->length, room, format, arguments);
  va_end(arguments);
  bool fits = length >= 0 && (size_t)length < room;
  if (length >= 0 && !fits && reserve(out, (size_t)length + 1)) {
    vsnprintf(out->at + out->length, (size_t)length + 1, format, again);
    fits = true;
  }
  va_end(again);
  out->length += fits ? (size_t)length : 0;
}

static void end_line(text *out) {
  if (reserve(out, 1))
    out->at[out->length++] = '\0';
}

/* ---- one future ---- */

static void say_name(text *out, const tnr_error_context *context) {
  say(out, "%s%s%s", context->composite ? context->composite : "", context->composite ? "/" : "",
      context->op ? context->op : "future");
}

static void say_site(text *out, const tnr_error_context *context) {
  if (context->site.file)
    say(out, " (%s:%d)", context->site.file, context->site.line);
}

static void describe(tnr_future *future, tnr_description *out) {
  *out = (tnr_description){.context = {.op = "future"}};
  if (tnr_future_manners(future))
    tnr_future_manners(future)->describe(future, out);
}

static void say_inputs(text *out, const tnr_error_context *context) {
  char shape[TNR_SHAPE_TEXT_MAX];
  for (int i = 0; i < context->input_count; i++) {
    const tnr_desc *desc = context->inputs[i];
    say(out, i ? ", " : " ");
    if (desc)
      say(out, "%s %s", tnr_dtype_name(desc->dtype),
          tnr_shape_format(&desc->shape, shape, sizeof shape));
    else
      say(out, "not known yet");
  }
}

static void say_age(text *out, int64_t ns) {
  say(out, "; submitted %.3f s ago", (double)(ns > 0 ? ns : 0) / 1e9);
}

/* ---- one op ---- */

static void say_devices(text *out, const tnr_op *op) {
  const tnr_mesh *exec = op->future.flight->exec;
  say(out, " on %s", exec->devices[0]->name);
  if (exec->count > 1)
    say(out, " and %d more", exec->count - 1);
}

static void say_awaited(text *out, tnr_op *op) {
  const char *separator = " for ";
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_description description;
    tnr_future *awaited = tnr_op_awaits(op, i);
    if (!awaited)
      continue;
    describe(awaited, &description);
    say(out, "%s", separator);
    say_name(out, &description.context);
    say_site(out, &description.context);
    separator = " and ";
  }
}

static void say_state(text *out, const tnr_found_op *found) {
  tnr_op *op = found->op;
  switch ((tnr_op_stage)op->future.flight->stage) {
  case TNR_OP_LAUNCHED:
    say(out, found->begun ? "running" : "queued");
    say_devices(out, op);
    return;
  case TNR_OP_WAITING:
    say(out, op->future.flight->missing ? "waiting" : "ready");
    say_awaited(out, op);
    return;
  case TNR_OP_WITHDRAWN:
    say(out, "failed early, still in a queue");
    return;
  case TNR_OP_ENDED:
    say(out, "about to complete");
    return;
  }
}

static void say_terms(text *out, tnr_op *op, int64_t now) {
  if (op->future.level != TNR_LEVEL_NORMAL)
    say(out, ", %s priority", op->future.level == TNR_LEVEL_HIGH ? "high" : "low");
  if (!op->future.has_terms)
    return;
  const tnr_held_terms *terms = tnr_op_terms(op);
  int64_t deadline = tnr_terms_deadline(terms);
  if (terms->group)
    say(out, ", %s", terms->group->title);
  if (deadline < INT64_MAX)
    say(out, ", deadline in %.3f s", (double)(deadline - now) / 1e9);
}

static void say_op(text *out, const tnr_found_op *found, int64_t now) {
  tnr_description description;
  describe(&found->op->future, &description);
  say_name(out, &description.context);
  say_inputs(out, &description.context);
  say(out, ": ");
  say_state(out, found);
  say_age(out, now - tnr_op_since(found->op));
  say_site(out, &description.context);
  say_terms(out, found->op, now);
  end_line(out);
}

static void count_one(tnr_future *future, void *user) {
  (void)future;
  ++*(size_t *)user;
}

static void say_pending(tnr_future *future, void *user) {
  text *out = user;
  tnr_description description;
  describe(future, &description);
  say_name(out, &description.context);
  say(out, ": not complete yet");
  say_site(out, &description.context);
  end_line(out);
}

static void say_all(text *out, tnr_runtime *runtime) {
  tnr_found found;
  int64_t now = tnr_machine_now(&runtime->machine);
  tnr_found_init(&found, runtime, SIZE_MAX);
  out->out_of_memory |= !found.complete;
  size_t others = 0;
  tnr_pending_visit(runtime, count_one, &others);
  say(out, "%zu op%s and %zu other future%s in flight", found.count, found.count == 1 ? "" : "s",
      others, others == 1 ? "" : "s");
  end_line(out);
  for (size_t i = 0; i < found.count; i++)
    say_op(out, &found.ops[i], now);
  tnr_found_finish(&found);
  tnr_pending_visit(runtime, say_pending, out);
}

/* ---- the call ---- */

typedef struct request {
  tnr_message message;
  tnr_runtime *runtime;
  tnr_wait *wait;
  text text; /* the dispatcher's until the wait has ended */
} request;

static void request_arrives(tnr_message *message) {
  request *made = (request *)message;
  say_all(&made->text, made->runtime);
  tnr_wait_end(made->wait);
}

/* Once the dispatcher has ended nobody takes the message any more. False: it was not taken. */
static bool await_text(const request *made) {
  enum { LOOK_EVERY_NS = 20000000 };
  tnr_runtime *runtime = made->runtime;
  if (runtime->mode != TNR_THREADS)
    return tnr_wait_sleep(runtime, made->wait, INT64_MAX);
  while (!tnr_wait_sleep(runtime, made->wait, tnr_deadline_after(runtime, LOOK_EVERY_NS)))
    /* acquire: pairs with the release in dispatcher_main */
    if (atomic_load_explicit(&runtime->dispatcher_ended, memory_order_acquire))
      return tnr_wait_sleep(runtime, made->wait, 0);
  return true;
}

static tnr_status ask_dispatcher(request *made) {
  made->wait = tnr_wait_new();
  if (!made->wait)
    return TNR_ENOMEM;
  tnr_status status = tnr_dispatcher_put_always(made->runtime, &made->message);
  if (status == TNR_OK && !await_text(made))
    status = TNR_ECLOSED;
  if (status != TNR_OK)
    tnr_wait_release(made->wait); /* the dispatcher's */
  tnr_wait_release(made->wait);
  return status;
}

/* As the dispatcher that nobody else plays. */
static void say_as_dispatcher(void *user) {
  request *made = user;
  tnr_dispatcher_take_submissions(made->runtime, INT_MAX);
  say_all(&made->text, made->runtime);
}

static tnr_status ask(request *made) {
  tnr_status status = TNR_OK;
  if (!tnr_crank_borrow(made->runtime, say_as_dispatcher, made))
    status = ask_dispatcher(made);
  return status == TNR_OK && made->text.out_of_memory ? TNR_ENOMEM : status;
}

static void hand_out(const text *lines, tnr_dump_line *line, void *user) {
  for (size_t at = 0; at < lines->length; at += strlen(lines->at + at) + 1)
    line(lines->at + at, user);
}

static tnr_status dump(tnr_runtime *runtime, tnr_dump_line *line, void *user) {
  request made = {.message = {request_arrives}, .runtime = runtime};
  tnr_status status = ask(&made);
  if (status == TNR_OK)
    hand_out(&made.text, line, user);
  free(made.text.at);
  if (status == TNR_OK)
    return TNR_OK;
  return tnr_error_raise(status, "%s",
                         status == TNR_ENOMEM ? "out of memory for a dump"
                                              : tnr_dispatcher_refusal(status));
}

tnr_status tnr_runtime_dump(tnr_runtime *runtime, tnr_dump_line *line, void *user) {
  if (!runtime || !line)
    return tnr_error_raise(TNR_EINVAL, "runtime_dump: %s is NULL",
                           runtime ? "line" : "the runtime");
  tnr_service service = tnr_thread_service(runtime);
  if (service == TNR_SERVES_AS_DISPATCHER ||
      (service == TNR_SERVES_AS_WORKER && runtime->mode != TNR_THREADS))
    return tnr_error_raise(TNR_EDEADLK, "a dump would block the dispatcher, which it waits for");
  atomic_fetch_add(&runtime->dumps, 1);
  tnr_status status = dump(runtime, line, user);
  atomic_fetch_sub(&runtime->dumps, 1);
  return status;
}
