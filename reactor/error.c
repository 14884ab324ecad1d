#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thread.h"

/* All strings stand behind the struct, in one allocation. */
struct tnr_error {
  tnr_object object;
  tnr_status code;                                   /* immutable after create */
  int line;                                          /* immutable after create */
  const char *message, *reason, *op, *shapes, *file; /* immutable after create */
};

static void error_destroy(tnr_object *object) {
  free(object);
}

static void error_stays(tnr_object *object) {
  (void)object;
}

static const tnr_class error_class = {.name = "error", .destroy = error_destroy};
static const tnr_class constant_class = {.name = "error", .destroy = error_stays};

/* Counted like any other and so not const, but nothing else in it ever changes. */
static tnr_error out_of_memory = {
    .object = {.class = &constant_class, .refs = 1},
    .code = TNR_ENOMEM,
    .message = "out of memory, also for saying what for",
    .reason = "out of memory, also for saying what for",
    .op = "",
    .shapes = "",
    .file = "",
};

/* A text that grows; `bytes` keeps counting when there is no room. */
typedef struct text {
  char *to;
  size_t room, bytes;
} text;

static void append(text *out, const char *format, ...) TNR_PRINTF(2, 3);
static void append(text *out, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  bool fits = out->bytes < out->room;
  int more = vsnprintf(fits ? out->to + out->bytes : NULL, fits ? out->room - out->bytes : 0,
                       format, arguments);
  va_end(arguments);
  out->bytes += more > 0 ? (size_t)more : 0;
}

static const char *terminate(text *out, size_t start) {
  append(out, "%c", '\0');
  return out->to ? out->to + start : NULL;
}

static void append_shapes(text *out, const tnr_error_context *context) {
  char shape[TNR_SHAPE_TEXT_MAX];
  for (int i = 0; i < context->input_count; i++) {
    const tnr_desc *desc = context->inputs[i];
    if (i > 0)
      append(out, ", ");
    if (desc)
      append(out, "%s %s", tnr_dtype_name(desc->dtype),
             tnr_shape_format(&desc->shape, shape, sizeof shape));
    else
      append(out, "not known yet");
  }
}

static void append_op(text *out, const tnr_error_context *context) {
  if (context->composite)
    append(out, "%s/", context->composite);
  append(out, "%s", context->op ? context->op : "");
}

static void append_message(text *out, const tnr_error_context *context, const tnr_fault *fault) {
  append_op(out, context);
  append(out, "%s%s", context->op ? ": " : "", fault->message);
  if (context->input_count > 0) {
    append(out, "; inputs ");
    append_shapes(out, context);
  }
  if (context->site.file)
    append(out, " (%s:%d)", context->site.file, context->site.line);
}

static void compose(text *out, tnr_error *error, const tnr_error_context *context,
                    const tnr_fault *fault) {
  size_t start = out->bytes;
  append_message(out, context, fault);
  error->message = terminate(out, start);
  start = out->bytes;
  append(out, "%s", fault->message);
  error->reason = terminate(out, start);
  start = out->bytes;
  append_op(out, context);
  error->op = terminate(out, start);
  start = out->bytes;
  append_shapes(out, context);
  error->shapes = terminate(out, start);
  start = out->bytes;
  append(out, "%s", context->site.file ? context->site.file : "");
  error->file = terminate(out, start);
}

tnr_error *tnr_error_new(const tnr_error_context *context, const tnr_fault *fault) {
  tnr_error measured = {.code = fault->code};
  text out = {NULL, 0, 0};
  compose(&out, &measured, context, fault);
  tnr_error *error = malloc(sizeof *error + out.bytes);
  if (!error) {
    tnr_object_retain(&out_of_memory.object);
    return &out_of_memory;
  }
  tnr_object_init(&error->object, &error_class, 1);
  error->code = fault->code;
  error->line = context->site.line;
  out = (text){(char *)(error + 1), out.bytes, 0};
  compose(&out, error, context, fault);
  return error;
}

tnr_error *tnr_error_plain(tnr_status code, const char *reason) {
  tnr_fault fault;
  tnr_fail(&fault, code, "%s", reason);
  return tnr_error_new(&(tnr_error_context){0}, &fault);
}

tnr_status tnr_error_set(tnr_error *error) {
  tnr_thread *thread = tnr_thread_here();
  if (thread->error)
    tnr_object_release(tnr_error_object(thread->error));
  tnr_thread_clean_up_at_end(thread);
  thread->error = error;
  return error->code;
}

tnr_status tnr_error_raise(tnr_status code, const char *format, ...) {
  tnr_fault fault = {.code = code};
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(fault.message, sizeof fault.message, format, arguments);
  va_end(arguments);
  return tnr_error_set(tnr_error_new(&(tnr_error_context){0}, &fault));
}

tnr_status tnr_error_raise_at(const char *op, tnr_site site, tnr_status code, const char *format,
                              ...) {
  tnr_fault fault = {.code = code};
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(fault.message, sizeof fault.message, format, arguments);
  va_end(arguments);
  const tnr_frame *frame = tnr_thread_here()->frame;
  tnr_error_context context = {.op = op, .site = site};
  if (frame)
    context = (tnr_error_context){.composite = frame->name, .op = op, .site = frame->site};
  return tnr_error_set(tnr_error_new(&context, &fault));
}

const tnr_error *tnr_last_error(void) {
  return tnr_thread_here()->error;
}

void tnr_error_clear(void) {
  tnr_thread *thread = tnr_thread_here();
  if (thread->error)
    tnr_object_release(tnr_error_object(thread->error));
  thread->error = NULL;
}

tnr_status tnr_error_code(const tnr_error *error) {
  return error ? error->code : TNR_OK;
}

const char *tnr_error_message(const tnr_error *error) {
  return error ? error->message : "";
}

const char *tnr_error_reason(const tnr_error *error) {
  return error ? error->reason : "";
}

const char *tnr_error_op(const tnr_error *error) {
  return error ? error->op : "";
}

const char *tnr_error_shapes(const tnr_error *error) {
  return error ? error->shapes : "";
}

const char *tnr_error_file(const tnr_error *error) {
  return error ? error->file : "";
}

int tnr_error_line(const tnr_error *error) {
  return error ? error->line : 0;
}
