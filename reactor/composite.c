#include "composite.h"

#include <stdlib.h>

#include "call.h"
#include "deferred.h"
#include "error.h"
#include "record.h"
#include "scope.h"
#include "thread.h"

static const tnr_value none = {TNR_VALUE_NONE, NULL};

/* ---- running a body ---- */

static bool is_tuple(tnr_value value) {
  return value.kind == TNR_VALUE_TUPLE || value.kind == TNR_VALUE_FUTURE_TUPLE;
}

tnr_error *tnr_error_among(const tnr_value *in, int count) {
  tnr_error *error = NULL;
  for (int i = 0; i < count && !error; i++)
    error = (tnr_error *)tnr_value_error(in[i]);
  return error;
}

/* The shape of an input that has failed is never known, so its error is why there is no result. */
static void explain_nothing(const tnr_composite_def *def, tnr_site site, const tnr_value *in,
                            int in_count) {
  tnr_error *error = tnr_error_among(in, in_count);
  if (error) {
    tnr_object_retain(tnr_error_object(error));
    tnr_error_set(error);
  } else if (!tnr_error()) {
    tnr_error_raise_at(def->name, site, TNR_EINVAL, "the composite's body returned nothing");
  }
}

/* A value of the kind that the call gives. */
static tnr_value check_result(const tnr_composite_def *def, tnr_site site, tnr_value value,
                              bool async) {
  if (is_tuple(value) != (def->result == TNR_OP_TUPLE)) {
    tnr_error_raise_at(def->name, site, TNR_EINVAL, "the composite's body returned a %s, not a %s",
                       is_tuple(value) ? "tuple" : "tensor", is_tuple(value) ? "tensor" : "tuple");
    return none;
  }
  if (!async && tnr_value_is_future(value)) {
    tnr_error_raise_at(def->name, site, TNR_EINVAL,
                       "the composite's body returned a future, but its inputs are plain");
    return none;
  }
  return async && !tnr_value_is_future(value) ? tnr_to_async_value(value) : value;
}

tnr_value tnr_composite_run(const tnr_composite_def *def, const tnr_invocation *of,
                            const tnr_value *in, int in_count, const void *attrs, bool async) {
  tnr_thread *thread = tnr_thread_here();
  const tnr_frame *outer = thread->frame;
  tnr_frame frame = {def->name, outer ? outer->site : of->site, of->number};
  if (tnr_scope_open() != TNR_OK)
    return none;
  uint64_t since = tnr_record_now(of->runtime);
  thread->frame = &frame;
  tnr_value value = def->body(in, in_count, attrs);
  thread->frame = outer;
  tnr_record_body(of->runtime, of->number, since);
  if (value.kind == TNR_VALUE_NONE)
    explain_nothing(def, of->site, in, in_count);
  else
    value = check_result(def, of->site, value, async);
  return tnr_scope_close_keeping(value.handle) ? value : none;
}

/* ---- calls ---- */

static bool is_known(tnr_value value) {
  tnr_desc desc;
  return tnr_passed_value(value, TNR_CREATED) ||
         (tnr_value_desc(value, &desc) && tnr_value_mesh(value));
}

/* What has failed has no shape either: its error takes the same way as if it came later. */
static bool has_to_wait(const tnr_composite_def *def, const tnr_value *in, int count) {
  if (def->needs_shapes)
    for (int i = 0; i < count; i++)
      if (tnr_value_is_future(in[i]) && (!is_known(in[i]) || tnr_value_error(in[i])))
        return true;
  return false;
}

static tnr_value call(const tnr_composite_def *def, tnr_site site, const tnr_value *in, int count,
                      const void *attrs, const tnr_arguments *arguments) {
  tnr_runtime *runtime = arguments->runtime;
  const tnr_invocation of = {runtime, site,
                             tnr_record_composite(runtime, def->name, site, in, count)};
  if (has_to_wait(def, in, count))
    return tnr_composite_defer(&of, def, in, count, attrs);
  return tnr_composite_run(def, &of, in, count, attrs, arguments->async);
}

static tnr_value call_with_zeros(const tnr_composite_def *def, tnr_site site, const tnr_value *in,
                                 int count, const tnr_arguments *arguments) {
  void *zeros = calloc(1, def->attrs_size);
  if (!zeros) {
    tnr_error_raise_at(def->name, site, TNR_ENOMEM, "out of memory for attributes");
    return none;
  }
  tnr_value result = call(def, site, in, count, zeros, arguments);
  free(zeros);
  return result;
}

tnr_value tnr_call_composite(const tnr_composite_def *def, tnr_site site, const tnr_value *in,
                             int in_count, const void *attrs) {
  tnr_arguments arguments; /* only to be checked: a body gets its inputs as they are */
  if (!def || !def->name || !def->body) {
    tnr_error_raise_at("composite", site, TNR_EINVAL, "the definition lacks name or body");
    return none;
  }
  if (!tnr_arguments_init(&arguments, def->name, site, in, in_count))
    return none;
  tnr_runtime *runtime = arguments.runtime;
  if (runtime->bounds.on &&
      tnr_bounds_await(runtime, tnr_value_mesh(in[0]), def->name, site) != TNR_OK) {
    tnr_arguments_finish(&arguments);
    return none;
  }
  tnr_value result = attrs || def->attrs_size == 0
                         ? call(def, site, in, in_count, attrs, &arguments)
                         : call_with_zeros(def, site, in, in_count, &arguments);
  tnr_arguments_finish(&arguments);
  return result;
}
