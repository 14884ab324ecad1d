#include "call.h"
#include "cancel.h"
#include "error.h"
#include "join.h"
#include "runtime.h"
#include "scope.h"
#include "source.h"
#include "thread.h"

static void element_destroy(tnr_object *object) {
  tnr_element *element = (tnr_element *)object;
  tnr_pool *objects = &element->future.runtime->machine.objects;
  tnr_future_finish(&element->future);
  tnr_object_release(&element->tuple->object);
  tnr_pool_free(objects, element, sizeof *element);
}

/* The tuple goes on for whoever needs it. */
static void element_cancel(tnr_future *future, tnr_error *error) {
  tnr_element *element = (tnr_element *)future;
  tnr_future *tuple = element->tuple;
  if (tnr_future_get_state(tuple) == TNR_FUTURE_COMPLETE)
    return;
  tnr_future_set_error(future, error);
  future->runtime->sweep =
      true; /* ops that it is an input of are in the tuple's chain, or queued */
  tnr_give_up(&tuple->object, error);
  tnr_give_up_not(&tuple->object);
}

static uint32_t element_own_refs(const tnr_future *future) {
  (void)future;
  return 0;
}

static void element_describe(tnr_future *future, tnr_description *out) {
  const tnr_element *element = (const tnr_element *)future;
  out->context =
      (tnr_error_context){.composite = element->composite, .op = "at", .site = element->site};
}

static const tnr_manners element_manners = {element_cancel, element_own_refs, element_describe};
const tnr_class tnr_element_class = {
    .name = "future", .destroy = element_destroy, .manners = &element_manners};

static tnr_future *element_new(tnr_future *tuple, int index, tnr_site site) {
  tnr_element *element = tnr_pool_alloc(&tuple->runtime->machine.objects, sizeof *element);
  if (!element) {
    tnr_error_raise_at("at", site, TNR_ENOMEM, "out of memory for a future");
    return NULL;
  }
  tnr_future_init(&element->future, &tnr_element_class, tuple->runtime, false, 1);
  element->tuple = tuple;
  element->given_up = false;
  const tnr_frame *frame = tnr_thread_here()->frame;
  element->index = index;
  element->site = frame ? frame->site : site;
  element->composite = frame ? frame->name : NULL;
  tnr_object_retain(&tuple->object);
  return &element->future;
}

static bool check_index(int index, int count, tnr_site site) {
  if (index >= 0 && index < count)
    return true;
  tnr_error_raise_at("at", site, TNR_EINVAL, "there is no element %d in a tuple of %d", index,
                     count);
  return false;
}

tnr_tensor *tnr_at_tuple(tnr_tuple *x, int index, tnr_site site) {
  if (!x || !check_index(index, x->count, site))
    return NULL;
  return tnr_scope_adopt(tnr_retain(x->tensors[index]));
}

/* A member of an all-of need not wait for the others, nor fail with them. */
static tnr_future *member_of_all(tnr_future *all, int index, tnr_site site) {
  if (!check_index(index, tnr_all_count(all), site))
    return NULL;
  tnr_object *handle = tnr_all_member(all, index);
  if (handle->class == &tnr_tensor_class)
    return tnr_source_new(handle);
  return tnr_retain(handle);
}

/* The same for a tuple that exists. */
static tnr_future *member_of_source(tnr_future *source, int index, tnr_site site) {
  const tnr_tuple *tuple = (tnr_tuple *)source->result;
  if (!check_index(index, tuple->count, site))
    return NULL;
  return tnr_source_new(&tuple->tensors[index]->object);
}

tnr_future *tnr_at_future(tnr_future_tuple *x, int index, tnr_site site) {
  tnr_future *tuple = tnr_future_of(x);
  if (!tuple)
    return NULL;
  if (tuple->object.class == &tnr_all_class)
    return tnr_scope_adopt(member_of_all(tuple, index, site));
  if (tuple->object.class == &tnr_source_class)
    return tnr_scope_adopt(member_of_source(tuple, index, site));
  return tnr_scope_adopt(element_new(tuple, index, site));
}

tnr_value tnr_at_value(tnr_value x, int index, tnr_site site) {
  switch (x.kind) {
  case TNR_VALUE_TUPLE:
    return tnr_value_of_tensor(tnr_at_tuple(x.handle, index, site));
  case TNR_VALUE_FUTURE_TUPLE:
    return tnr_value_of_future(tnr_at_future(x.handle, index, site));
  case TNR_VALUE_NONE:
    break;
  default:
    tnr_error_raise_at("at", site, TNR_EINVAL, "the value is not a tuple");
  }
  return (tnr_value){TNR_VALUE_NONE, NULL};
}
