/* DLPack in and out, with managed tensors made by hand; tests/dlpack shows the same with NumPy. */
#include <dlpack/dlpack.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { CODE_BOOL = 6 }; /* kDLBool, as in the library */

static const DLDataType types[TNR_DTYPE_COUNT] = {
    [TNR_F32] = {kDLFloat, 32, 1}, [TNR_BF16] = {kDLBfloat, 16, 1}, [TNR_F16] = {kDLFloat, 16, 1},
    [TNR_I8] = {kDLInt, 8, 1},     [TNR_U8] = {kDLUInt, 8, 1},      [TNR_I32] = {kDLInt, 32, 1},
    [TNR_I64] = {kDLInt, 64, 1},   [TNR_BOOL] = {CODE_BOOL, 8, 1},
};

/* A managed tensor in the test's own memory that counts how often it is deleted. */
typedef struct lent {
  DLManagedTensor managed;
  int64_t shape[TNR_MAX_RANK + 1], strides[TNR_MAX_RANK + 1];
  atomic_int deleted;
} lent;

static void count_deleted(DLManagedTensor *managed) {
  atomic_fetch_add(&((lent *)managed->manager_ctx)->deleted, 1);
}

static const int32_t counting[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

/* `counting` as i32 [3, 4], dense, without strides. */
static lent *lend(lent *out) {
  *out = (lent){.shape = {3, 4}};
  out->managed = (DLManagedTensor){
      .dl_tensor = {.data = (void *)counting,
                    .device = {kDLCPU, 0},
                    .ndim = 2,
                    .dtype = types[TNR_I32],
                    .shape = out->shape},
      .manager_ctx = out,
      .deleter = count_deleted,
  };
  return out;
}

static void set_strides(lent *out, int64_t first, int64_t second) {
  out->strides[0] = first;
  out->strides[1] = second;
  out->managed.dl_tensor.strides = out->strides;
}

static const void *data_of(tnr_tensor *x) {
  tnr_host_view view;
  assert_ok(tnr_tensor_view(x, &view));
  const void *data = view.data;
  tnr_host_view_release(&view);
  return data;
}

static void assert_reads(tnr_tensor *x, const void *expected, size_t bytes) {
  char data[256];
  assert_made(x);
  assert_int_equal(tnr_tensor_bytes(x), bytes);
  assert_ok(tnr_tensor_read(x, data, bytes));
  assert_memory_equal(data, expected, bytes);
}

/* ---- in ---- */

static void dense_memory_is_used_where_it_is(void **state) {
  lent given, strided;
  lend(&given);
  set_strides(lend(&strided), 4, 1);
  assert_ok(tnr_scope_open());
  tnr_tensor *x = tnr_from_dlpack(rig_cpu(*state, 0), &given.managed);
  tnr_tensor *y = tnr_from_dlpack(tnr_runtime_device(*state, "host"), &strided.managed);
  assert_reads(x, counting, sizeof counting);
  assert_reads(y, counting, sizeof counting);
  assert_ptr_equal(data_of(x), counting);
  assert_ptr_equal(data_of(y), counting);
  assert_int_equal(given.deleted + strided.deleted, 0);
  assert_ok(tnr_scope_close());
  rig_await(&given.deleted, 1);
  rig_await(&strided.deleted, 1);
}

static void the_deleter_is_called_once_behind_the_last_op(void **state) {
  check_needs_threads();
  const float data[RIG_ELEMENTS] = {2, 2, 2, 2};
  lent given;
  lend(&given);
  given.managed.dl_tensor.data = (void *)data;
  given.managed.dl_tensor.ndim = 1;
  given.managed.dl_tensor.dtype = types[TNR_F32];
  given.shape[0] = RIG_ELEMENTS;
  assert_ok(tnr_scope_open());
  tnr_tensor *y = tnr_keep(rig_hold(tnr_from_dlpack(rig_cpu(*state, 0), &given.managed)));
  assert_ok(tnr_scope_close());
  rig_await_held(1);
  assert_int_equal(given.deleted, 0);
  rig_open_gate();
  assert_number(y, 2);
  rig_await(&given.deleted, 1);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(given.deleted, 1);
}

static void a_tensor_without_a_deleter_is_fine(void **state) {
  static lent given; /* until the teardown */
  lend(&given)->managed.deleter = NULL;
  assert_reads(tnr_from_dlpack(rig_cpu(*state, 0), &given.managed), counting, sizeof counting);
}

static void a_device_with_its_own_memory_lets_go_after_the_copy(void **state) {
  lent given;
  lend(&given);
  tnr_tensor *x = tnr_from_dlpack(rig_sim(*state, 0), &given.managed);
  assert_made(x);
  rig_await(&given.deleted, 1);
  assert_reads(x, counting, sizeof counting);
}

static void what_has_gaps_is_copied_once_and_let_go(void **state) {
  const int32_t transposed[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11};
  const int32_t backwards[] = {8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3};
  const int32_t repeated[] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
  lent given;
  set_strides(lend(&given), 1, 4);
  given.shape[0] = 4;
  given.shape[1] = 3;
  assert_reads(tnr_from_dlpack(rig_cpu(*state, 0), &given.managed), transposed, sizeof transposed);
  assert_int_equal(given.deleted, 1);
  set_strides(lend(&given), -4, 1);
  given.managed.dl_tensor.data = (void *)(counting + 8);
  assert_reads(tnr_from_dlpack(rig_cpu(*state, 0), &given.managed), backwards, sizeof backwards);
  assert_int_equal(given.deleted, 1);
  set_strides(lend(&given), 0, 0);
  given.managed.dl_tensor.byte_offset = 5 * sizeof *counting;
  assert_reads(tnr_from_dlpack(rig_sim(*state, 0), &given.managed), repeated, sizeof repeated);
  assert_int_equal(given.deleted, 1);
}

static void the_byte_offset_counts(void **state) {
  static lent given; /* until the teardown */
  lend(&given)->managed.dl_tensor.byte_offset = 4 * sizeof *counting;
  given.shape[0] = 2;
  tnr_tensor *x = tnr_from_dlpack(rig_cpu(*state, 0), &given.managed);
  assert_reads(x, counting + 4, 8 * sizeof *counting);
  assert_ptr_equal(data_of(x), counting + 4);
}

static void what_is_not_aligned_is_copied(void **state) {
  _Alignas(8) char odd[sizeof counting + 1];
  lent given;
  memcpy(odd + 1, counting, sizeof counting);
  lend(&given)->managed.dl_tensor.data = odd;
  given.managed.dl_tensor.byte_offset = 1;
  tnr_tensor *x = tnr_from_dlpack(rig_cpu(*state, 0), &given.managed);
  assert_int_equal(given.deleted, 1);
  memset(odd, 0, sizeof odd);
  assert_reads(x, counting, sizeof counting);
}

static void scalars_and_empty_tensors_come_in(void **state) {
  static lent scalar, empty; /* until the teardown */
  lend(&scalar)->managed.dl_tensor.ndim = 0;
  scalar.managed.dl_tensor.shape = NULL;
  lend(&empty)->managed.dl_tensor.data = NULL;
  empty.shape[1] = 0;
  tnr_tensor *x = tnr_from_dlpack(rig_cpu(*state, 0), &scalar.managed);
  assert_reads(x, counting, sizeof *counting);
  assert_int_equal(tnr_tensor_rank(x), 0);
  tnr_tensor *y = tnr_from_dlpack(rig_cpu(*state, 0), &empty.managed);
  assert_made(y);
  assert_int_equal(tnr_tensor_dim(y, 0), 3);
  assert_int_equal(tnr_tensor_bytes(y), 0);
}

/* ---- refusals ---- */

static void assert_refused(tnr_device *device, lent *given, tnr_status status,
                           const char *message) {
  assert_null(tnr_from_dlpack(device, &given->managed));
  assert_string_equal(tnr_error_message(tnr_error()), message);
  assert_int_equal(tnr_error_code(tnr_error()), status);
  assert_int_equal(given->deleted, 0);
}

static void elements_that_tenor_lacks_are_refused(void **state) {
  const struct {
    DLDataType type;
    const char *reason;
  } cases[] = {
      {{kDLFloat, 64, 1},
       "its elements are of 64 bits and type float (DLPack's code 2); tenor has "
       "no such dtype"},
      {{kDLComplex, 64, 1},
       "its elements are of 64 bits and type complex (DLPack's code 5); tenor "
       "has no such dtype"},
      {{kDLInt, 16, 1},
       "its elements are of 16 bits and type int (DLPack's code 0); tenor has no "
       "such dtype"},
      {{kDLUInt, 32, 1},
       "its elements are of 32 bits and type uint (DLPack's code 1); tenor has "
       "no such dtype"},
      {{kDLOpaqueHandle, 64, 1},
       "its elements are of 64 bits and type opaque (DLPack's code 3); "
       "tenor has no such dtype"},
      {{99, 8, 1},
       "its elements are of 8 bits and type unknown (DLPack's code 99); tenor has no "
       "such dtype"},
      {{kDLFloat, 32, 4}, "its elements are vectors of 4; tenor has none"},
      {{kDLFloat, 32, 0}, "its elements are vectors of 0; tenor has none"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char message[256] = "from_dlpack: ";
    lent given;
    lend(&given)->managed.dl_tensor.dtype = cases[i].type;
    assert_refused(rig_cpu(*state, 0), &given, TNR_EDTYPE, strcat(message, cases[i].reason));
  }
}

static void memory_of_other_devices_is_refused(void **state) {
  lent given;
  lend(&given)->managed.dl_tensor.device.device_type = kDLCUDA;
  assert_refused(rig_cpu(*state, 0), &given, TNR_EDEVICE,
                 "from_dlpack: its data is on a device of DLPack's type 2; tenor takes memory of "
                 "the CPU");
}

static void shapes_that_make_no_sense_are_refused(void **state) {
  lent given;
  lend(&given)->managed.dl_tensor.ndim = TNR_MAX_RANK + 1;
  assert_refused(rig_cpu(*state, 0), &given, TNR_ESHAPE,
                 "from_dlpack: it has 9 dims; tenor takes 0 to 8");
  given.managed.dl_tensor.ndim = -1;
  assert_refused(rig_cpu(*state, 0), &given, TNR_ESHAPE,
                 "from_dlpack: it has -1 dims; tenor takes 0 to 8");
  lend(&given)->managed.dl_tensor.shape = NULL;
  assert_refused(rig_cpu(*state, 0), &given, TNR_EINVAL, "from_dlpack: its shape is NULL");
  lend(&given)->managed.dl_tensor.data = NULL;
  assert_refused(rig_cpu(*state, 0), &given, TNR_EINVAL, "from_dlpack: its data is NULL");
  lend(&given)->shape[1] = -4;
  assert_null(tnr_from_dlpack(rig_cpu(*state, 0), &given.managed));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESHAPE);
  lend(&given)->shape[1] = INT64_MAX;
  assert_null(tnr_from_dlpack(rig_cpu(*state, 0), &given.managed));
  assert_int_equal(given.deleted, 0);
}

static void null_says_so_or_keeps_the_first_error(void **state) {
  assert_null(tnr_from_dlpack(rig_cpu(*state, 0), NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "from_dlpack: the managed tensor is NULL");
  assert_null(tnr_to_dlpack(NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "from_dlpack: the managed tensor is NULL");
  tnr_error_clear();
  assert_null(tnr_to_dlpack(NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "to_dlpack: the tensor is NULL");
}

static void a_closed_runtime_takes_nothing_over(void **state) {
  lent given;
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 1);
  tnr_device *device = tnr_mesh_device(tnr_tensor_mesh(x), 0);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_refused(device, lend(&given), TNR_ECLOSED, "the runtime has been closed");
  tnr_release(x);
}

/* ---- out ---- */

static void every_dtype_goes_out_and_comes_back(void **state) {
  unsigned char data[48];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = i % 2;
  for (int d = 0; d < TNR_DTYPE_COUNT; d++) {
    tnr_tensor *x = tnr_tensor_create(rig_cpu(*state, 0), (tnr_dtype)d, TNR_SHAPE(2, 1, 3), data);
    DLManagedTensor *out = tnr_to_dlpack(x);
    assert_made(out);
    const DLTensor *shown = &out->dl_tensor;
    assert_memory_equal(&shown->dtype, &types[d], sizeof types[d]);
    assert_int_equal(shown->device.device_type, kDLCPU);
    assert_int_equal(shown->ndim, 3);
    assert_memory_equal(shown->shape, ((const int64_t[]){2, 1, 3}), 3 * sizeof(int64_t));
    assert_memory_equal(shown->strides, ((const int64_t[]){3, 3, 1}), 3 * sizeof(int64_t));
    assert_int_equal(shown->byte_offset, 0);
    assert_ptr_equal(shown->data, data_of(x));
    tnr_tensor *back = tnr_from_dlpack(rig_cpu(*state, 1), out);
    assert_int_equal(tnr_tensor_dtype(back), d);
    assert_ptr_equal(data_of(back), data_of(x));
    assert_reads(back, data, 6 * tnr_dtype_size((tnr_dtype)d));
  }
}

static void what_went_out_outlives_all_else(void **state) {
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 3), *y = rig_plus_one(x);
  DLManagedTensor *out = tnr_to_dlpack(y);
  assert_made(out);
  tnr_release(x);
  tnr_release(y);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_true(((const float *)out->dl_tensor.data)[RIG_ELEMENTS - 1] == 4);
  out->deleter(out);
}

static void scalars_and_empty_tensors_go_out(void **state) {
  const float pi = 3.25f;
  DLManagedTensor *scalar =
      tnr_to_dlpack(tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SCALAR, &pi));
  DLManagedTensor *empty =
      tnr_to_dlpack(tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(2, 0), NULL));
  assert_made(scalar);
  assert_made(empty);
  assert_int_equal(scalar->dl_tensor.ndim, 0);
  assert_true(*(const float *)scalar->dl_tensor.data == pi);
  assert_int_equal(empty->dl_tensor.shape[1], 0);
  scalar->deleter(scalar);
  empty->deleter(empty);
}

static void what_has_no_view_does_not_go_out(void **state) {
  assert_null(tnr_to_dlpack(rig_tensor(rig_sim(*state, 1), 1)));
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "to_dlpack: the data is in the memory of sim:1; move it to the host with "
                      "tnr_to_device, or copy it with tnr_tensor_read");
  assert_null(tnr_to_dlpack(tnr_shard(rig_tensor(rig_cpu(*state, 0), 1), rig_cpus(*state, 2))));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDEVICE);
  assert_null(tnr_to_dlpack(rig_fail(rig_tensor(rig_cpu(*state, 0), 1))));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EKERNEL);
}

typedef struct taken {
  DLManagedTensor *out;
  atomic_int done;
} taken;

static void take_in_callback(tnr_value future, void *user) {
  taken *record = user;
  tnr_value got = tnr_get(future);
  record->out = tnr_to_dlpack(tnr_value_tensor(got));
  tnr_release(got.handle);
  atomic_store(&record->done, 1);
}

static void in_a_callback_for_complete_it_goes_out_at_once(void **state) {
  taken record = {NULL, 0};
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, take_in_callback, &record));
  rig_await(&record.done, 1);
  assert_non_null(record.out);
  assert_true(((const float *)record.out->dl_tensor.data)[0] == 2);
  record.out->deleter(record.out);
}

/* ---- many ---- */

/* Each hands over memory of its own, and wipes it when it is told that nobody needs it. */
typedef struct wiped {
  DLManagedTensor managed;
  int64_t shape[1];
  float data[RIG_ELEMENTS];
} wiped;

static atomic_int wipes;

static void wipe(DLManagedTensor *managed) {
  wiped *own = managed->manager_ctx;
  memset(own->data, 0xff, sizeof own->data);
  free(own);
  atomic_fetch_add(&wipes, 1);
}

static wiped *wiped_new(float number) {
  wiped *own = calloc(1, sizeof *own);
  for (int i = 0; i < RIG_ELEMENTS; i++)
    own->data[i] = number;
  own->shape[0] = RIG_ELEMENTS;
  own->managed = (DLManagedTensor){
      .dl_tensor = {.data = own->data,
                    .device = {kDLCPU, 0},
                    .ndim = 1,
                    .dtype = types[TNR_F32],
                    .shape = own->shape},
      .manager_ctx = own,
      .deleter = wipe,
  };
  return own;
}

static void hand_over_often(void *user, int index) {
  tnr_device *device = rig_cpu(user, index % 4);
  for (int i = 0; i < CHECK_MANY(2000); i++) {
    tnr_tensor *x = tnr_from_dlpack(device, &wiped_new((float)i)->managed);
    tnr_tensor *y = rig_plus_one(x);
    tnr_release(x);
    DLManagedTensor *out = tnr_to_dlpack(y);
    tnr_release(y);
    if (!out || ((const float *)out->dl_tensor.data)[index % RIG_ELEMENTS] != (float)i + 1)
      abort();
    out->deleter(out);
  }
}

static void many_threads_hand_over(void **state) {
  atomic_store(&wipes, 0);
  rig_threads(8, hand_over_often, *state);
  rig_await(&wipes, 8 * CHECK_MANY(2000));
  assert_int_equal(wipes, 8 * CHECK_MANY(2000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(dense_memory_is_used_where_it_is),
      rig_test(the_deleter_is_called_once_behind_the_last_op),
      rig_test(a_tensor_without_a_deleter_is_fine),
      rig_test(a_device_with_its_own_memory_lets_go_after_the_copy),
      rig_test(what_has_gaps_is_copied_once_and_let_go),
      rig_test(the_byte_offset_counts),
      rig_test(what_is_not_aligned_is_copied),
      rig_test(scalars_and_empty_tensors_come_in),
      rig_test(elements_that_tenor_lacks_are_refused),
      rig_test(memory_of_other_devices_is_refused),
      rig_test(shapes_that_make_no_sense_are_refused),
      rig_test(null_says_so_or_keeps_the_first_error),
      rig_bare_test(a_closed_runtime_takes_nothing_over),
      rig_test(every_dtype_goes_out_and_comes_back),
      rig_bare_test(what_went_out_outlives_all_else),
      rig_test(scalars_and_empty_tensors_go_out),
      rig_test(what_has_no_view_does_not_go_out),
      rig_test(in_a_callback_for_complete_it_goes_out_at_once),
      rig_test(many_threads_hand_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
