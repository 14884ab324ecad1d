#include "recycle.h"

/* Acquire: pairs with the releases of those who had the other references; they are done with the
 * object. A count that leaves nobody to add to it stays what it is, or falls. */
static uint32_t refs_of(const tnr_object *object) {
  return atomic_load_explicit(&object->refs, memory_order_acquire);
}

/* Only the op holds it, and, as long as it is not complete, the dispatcher. In this order: what is
 * not complete after the count was read had the dispatcher's reference when it was. */
static bool is_out_of_reach(const tnr_future *future, uint32_t held_by_op) {
  uint32_t refs = refs_of(&future->object);
  tnr_future_state state = tnr_future_get_state(future);
  if (refs == held_by_op)
    return state >= TNR_FUTURE_CREATED && future->result;
  return refs == held_by_op + 1 && state == TNR_FUTURE_CREATED;
}

static void empty_tensor(tnr_tensor *tensor, int piece) {
  if (refs_of(&tensor->object) == 1)
    tnr_storage_empty(tensor->parts[piece]);
}

static void empty_result(tnr_object *result, int piece) {
  if (result->class == &tnr_tensor_class) {
    empty_tensor((tnr_tensor *)result, piece);
  } else if (refs_of(result) == 1) {
    const tnr_tuple *tuple = (tnr_tuple *)result;
    for (int i = 0; i < tuple->count; i++)
      empty_tensor(tuple->tensors[i], piece);
  }
}

static void recycle(tnr_future *future, uint32_t held_by_op, int piece) {
  if (is_out_of_reach(future, held_by_op))
    empty_result(future->result, piece);
}

/* How often the op has input i: all of its references to it. 0 when an earlier one is the same. */
static uint32_t count_same(const tnr_op *op, uint32_t i) {
  uint32_t count = 0;
  for (uint32_t other = 0; other < op->in_count; other++)
    if (op->in[other].handle == op->in[i].handle) {
      if (other < i)
        return 0;
      count++;
    }
  return count;
}

/* Made on the same devices, piece by piece. */
static tnr_future *result_of_same(const tnr_op *op, uint32_t i) {
  tnr_future *future = (tnr_future *)op->in[i].handle;
  bool same = !tnr_op_input_is_tensor(&op->in[i]) && tnr_future_is_op(future) &&
              tnr_op_runs_beside(op, tnr_op_of(future));
  return same ? future : NULL;
}

void tnr_op_recycle(tnr_op *op, int piece) {
  enum { MANY = 8 }; /* so many inputs are not worth the search */
  for (uint32_t i = 0; i < op->in_count && op->in_count <= MANY; i++) {
    tnr_future *input = result_of_same(op, i);
    uint32_t held = input ? count_same(op, i) : 0;
    if (held > 0)
      recycle(input, held, piece);
  }
  recycle(&op->future, 0, piece);
}
