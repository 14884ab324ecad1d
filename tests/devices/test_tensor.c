/* Tensors and their storage, without a runtime: pieces, sharing, borrowing, tuples, and that all
 * memory comes back. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "devices/storage.h"

enum { DEVICES = 2 };

typedef struct rig {
  tnr_machine machine;
  const tnr_mesh *one, *both;
} rig;

static int setup(void **state) {
  static rig r;
  struct tnr_device_plan places[DEVICES];
  for (int i = 0; i < DEVICES; i++)
    places[i] = (struct tnr_device_plan){.driver = tnr_null_driver(), .index = i};
  const tnr_machine_plan plan = {
      .runtime = &r, .device_count = DEVICES, .devices = places, .threads_per_device = 1};
  tnr_fault fault;
  assert_int_equal(tnr_machine_init(&r.machine, &plan, &fault), TNR_OK);
  assert_int_equal(tnr_machine_mesh(r.machine.devices, 1, &r.one, &fault), TNR_OK);
  assert_int_equal(tnr_machine_mesh(r.machine.devices, 2, &r.both, &fault), TNR_OK);
  *state = &r;
  return 0;
}

static int teardown(void **state) {
  rig *r = *state;
  assert_int_equal(tnr_pool_live_blocks(&r->machine.objects), 0);
  for (int i = 0; i < DEVICES; i++)
    assert_int_equal(tnr_device_memory(r->machine.devices[i]).live_bytes, 0);
  tnr_machine_finish(&r->machine);
  return 0;
}

static tnr_tensor *tensor(const tnr_mesh *mesh, int shard_dim, tnr_shape shape) {
  tnr_tensor *made = NULL;
  tnr_fault fault = {.message = ""};
  tnr_desc desc = {shape, TNR_F32};
  if (tnr_tensor_new(mesh, shard_dim, &desc, &made, &fault) != TNR_OK)
    fail_msg("%s", fault.message);
  return made;
}

/* ---- what can be asked ---- */

static void a_tensor_knows_shape_dtype_and_place(void **state) {
  rig *r = *state;
  tnr_tensor *x = tensor(r->both, 1, TNR_SHAPE(3, 4));
  assert_int_equal(tnr_tensor_rank(x), 2);
  assert_int_equal(tnr_tensor_dim(x, 0), 3);
  assert_int_equal(tnr_tensor_dim(x, -1), 4);
  assert_int_equal(tnr_tensor_dim(x, 2), 0);
  assert_int_equal(tnr_tensor_dim(x, -3), 0);
  assert_int_equal(tnr_tensor_dtype(x), TNR_F32);
  assert_int_equal(tnr_tensor_bytes(x), 48);
  assert_int_equal(tnr_tensor_shard_dim(x), 1);
  assert_ptr_equal(tnr_tensor_mesh(x), r->both);
  tnr_release(x);
}

static void nothing_has_an_empty_answer(void **state) {
  (void)state;
  assert_int_equal(tnr_tensor_shape(NULL).rank, 0);
  assert_int_equal(tnr_tensor_rank(NULL), 0);
  assert_int_equal(tnr_tensor_dim(NULL, 0), 0);
  assert_int_equal(tnr_tensor_dtype(NULL), TNR_DTYPE_COUNT);
  assert_int_equal(tnr_tensor_bytes(NULL), 0);
  assert_int_equal(tnr_tensor_shard_dim(NULL), -1);
  assert_null(tnr_tensor_mesh(NULL));
  assert_int_equal(tnr_tuple_count(NULL), 0);
}

/* ---- storage ---- */

static void each_device_holds_its_piece_or_the_whole(void **state) {
  rig *r = *state;
  tnr_tensor *pieces = tensor(r->both, 0, TNR_SHAPE(4, 5));
  tnr_tensor *copies = tensor(r->both, -1, TNR_SHAPE(4, 5));
  for (int i = 0; i < DEVICES; i++) {
    assert_int_equal(pieces->parts[i]->bytes, 40);
    assert_int_equal(copies->parts[i]->bytes, 80);
    assert_ptr_equal(pieces->parts[i]->device, r->machine.devices[i]);
    assert_int_equal(tnr_storage_get_state(pieces->parts[i]), TNR_STORAGE_PENDING);
  }
  assert_ptr_not_equal(copies->parts[0]->memory, copies->parts[1]->memory);
  tnr_release(pieces);
  tnr_release(copies);
}

static void a_piece_is_the_whole_divided_along_one_dim(void **state) {
  (void)state;
  const tnr_desc whole = {TNR_SHAPE(6, 4), TNR_I8};
  assert_int_equal(tnr_desc_piece(&whole, 0, 3).shape.dims[0], 2);
  assert_int_equal(tnr_desc_piece(&whole, 0, 3).shape.dims[1], 4);
  assert_int_equal(tnr_desc_piece(&whole, 1, 2).shape.dims[1], 2);
  assert_int_equal(tnr_desc_piece(&whole, -1, 3).shape.dims[0], 6);
}

static void expect_refused(const rig *r, const tnr_mesh *mesh, int dim, tnr_desc desc,
                           tnr_status code, const char *sentence) {
  tnr_tensor *made;
  tnr_fault fault;
  (void)r;
  assert_int_equal(tnr_tensor_new(mesh, dim, &desc, &made, &fault), code);
  assert_string_equal(fault.message, sentence);
}

static void what_cannot_be_stored_is_refused_with_a_sentence(void **state) {
  rig *r = *state;
  const int64_t huge = (int64_t)1 << 59;
  expect_refused(r, r->both, 0, (tnr_desc){TNR_SHAPE(5, 2), TNR_F32}, TNR_EDEVICE,
                 "dimension 0 of size 5 does not divide into 2 pieces");
  expect_refused(r, r->one, -1, (tnr_desc){TNR_SHAPE(-1), TNR_F32}, TNR_ESHAPE,
                 "shape [-1] has a negative dimension");
  expect_refused(r, r->one, -1, (tnr_desc){TNR_SHAPE(huge, 16), TNR_F32}, TNR_EOVERFLOW,
                 "the size of a tensor of shape [576460752303423488, 16] does not fit 63 bits");
  expect_refused(r, r->one, -1, (tnr_desc){TNR_SHAPE(huge), TNR_F32}, TNR_ENOMEM,
                 "out of memory on null:0 for a tensor of 2305843009213693952 bytes");
  expect_refused(r, r->both, 0, (tnr_desc){TNR_SHAPE(huge), TNR_U8}, TNR_ENOMEM,
                 "out of memory on null:0 for a tensor of 288230376151711744 bytes");
}

static void storage_is_finished_once_with_or_without_an_error(void **state) {
  rig *r = *state;
  tnr_tensor *x = tensor(r->one, -1, TNR_SHAPE(2)), *y = tensor(r->one, -1, TNR_SHAPE(2));
  tnr_tensor *reason = tensor(r->one, -1, TNR_SHAPE(1)); /* any counted object will do */
  tnr_storage_finish(x->parts[0], NULL);
  tnr_storage_finish(y->parts[0], &reason->object);
  assert_int_equal(tnr_storage_get_state(x->parts[0]), TNR_STORAGE_COMPLETE);
  assert_int_equal(tnr_storage_get_state(y->parts[0]), TNR_STORAGE_FAILED);
  assert_ptr_equal(y->parts[0]->error, reason);
  tnr_release(reason); /* y holds it */
  tnr_release(y);
  tnr_release(x);
}

/* ---- sharing ---- */

static void check_alias(rig *r, const tnr_mesh *mesh, int dim, bool original_first) {
  const tnr_desc flat = {TNR_SHAPE(12), TNR_F32};
  tnr_tensor *x = tensor(mesh, dim, TNR_SHAPE(4, 3)), *alias;
  assert_int_equal(tnr_tensor_alias(x, dim, &flat, &alias, NULL), TNR_OK);
  assert_int_equal(tnr_tensor_rank(alias), 1);
  for (int i = 0; i < tnr_mesh_count(mesh); i++) {
    assert_ptr_equal(alias->parts[i], x->parts[i]);
    memset(alias->parts[i]->memory, 1, alias->parts[i]->bytes);
  }
  tnr_release(original_first ? x : alias);
  tnr_tensor *left = original_first ? alias : x;
  memset(left->parts[0]->memory, 2, left->parts[0]->bytes);
  assert_true(tnr_device_memory(r->machine.devices[0]).live_bytes > 0);
  tnr_release(left);
  assert_int_equal(tnr_device_memory(r->machine.devices[0]).live_bytes, 0);
}

static void an_alias_and_its_original_may_go_in_any_order(void **state) {
  rig *r = *state;
  for (int first = 0; first < 2; first++) {
    check_alias(r, r->one, -1, first);
    check_alias(r, r->both, 0, first);
    check_alias(r, r->both, -1, first);
  }
}

static void aliases_of_aliases_share_too(void **state) {
  rig *r = *state;
  enum { MANY = 50 };
  tnr_tensor *chain[MANY] = {tensor(r->one, -1, TNR_SHAPE(6))};
  for (int i = 1; i < MANY; i++)
    assert_int_equal(tnr_tensor_alias(chain[i - 1], -1, &chain[0]->desc, &chain[i], NULL), TNR_OK);
  for (int i = 0; i < MANY; i++) {
    assert_ptr_equal(chain[i * 7 % MANY]->parts[0]->device, r->machine.devices[0]);
    tnr_release(chain[i * 7 % MANY]);
  }
}

/* ---- borrowing ---- */

static void count_release(void *user) {
  ++*(int *)user;
}

static void borrowed_memory_is_used_where_it_is_and_given_back(void **state) {
  rig *r = *state;
  float numbers[6] = {1, 2, 3, 4, 5, 6};
  int released = 0;
  const tnr_desc desc = {TNR_SHAPE(6), TNR_F32}, other = {TNR_SHAPE(2, 3), TNR_F32};
  tnr_tensor *x, *alias;
  assert_int_equal(
      tnr_tensor_wrap(r->machine.devices[0], &desc, numbers, count_release, &released, &x, NULL),
      TNR_OK);
  assert_ptr_equal(x->parts[0]->memory, numbers);
  assert_int_equal(tnr_storage_get_state(x->parts[0]), TNR_STORAGE_COMPLETE);
  assert_int_equal(tnr_tensor_alias(x, -1, &other, &alias, NULL), TNR_OK);
  tnr_release(x);
  assert_int_equal(released, 0);
  tnr_release(alias);
  assert_int_equal(released, 1);
}

/* ---- tuples ---- */

static void a_tuple_holds_its_tensors(void **state) {
  rig *r = *state;
  tnr_tensor *tensors[3];
  for (int i = 0; i < 3; i++)
    tensors[i] = tensor(r->one, -1, TNR_SHAPE(i + 1));
  tnr_tuple *tuple = tnr_tuple_new(&r->machine, tensors, 3);
  assert_int_equal(tnr_tuple_count(tuple), 3);
  tnr_tensor *kept = tnr_retain(tuple->tensors[1]);
  tnr_release(tuple);
  assert_int_equal(tnr_tensor_dim(kept, 0), 2);
  tnr_release(kept);
}

static void a_tuple_may_be_empty(void **state) {
  rig *r = *state;
  tnr_tensor *none[1] = {NULL};
  tnr_tuple *tuple = tnr_tuple_new(&r->machine, none, 0);
  assert_int_equal(tnr_tuple_count(tuple), 0);
  tnr_release(tuple);
}

int main(void) {
#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      fresh(a_tensor_knows_shape_dtype_and_place),
      fresh(nothing_has_an_empty_answer),
      fresh(each_device_holds_its_piece_or_the_whole),
      fresh(a_piece_is_the_whole_divided_along_one_dim),
      fresh(what_cannot_be_stored_is_refused_with_a_sentence),
      fresh(storage_is_finished_once_with_or_without_an_error),
      fresh(an_alias_and_its_original_may_go_in_any_order),
      fresh(aliases_of_aliases_share_too),
      fresh(borrowed_memory_is_used_where_it_is_and_given_back),
      fresh(a_tuple_holds_its_tensors),
      fresh(a_tuple_may_be_empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
