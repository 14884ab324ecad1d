/* Memory that is lent or adopted instead of copied: where it is used, and that it is given back
 * exactly once, and when. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rig.h"

enum { PLACES = 3 };

/* ---- borrowing ---- */

static void count_release(void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
}

static void borrowed_memory_is_given_back_once_with_the_last_use(void **state) {
  check_needs_threads();
  float data[RIG_ELEMENTS] = {2, 2, 2, 2};
  atomic_int released = 0;
  assert_ok(tnr_scope_open());
  tnr_tensor *x = tnr_tensor_borrow(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data,
                                    count_release, &released);
  assert_made(x);
  tnr_tensor *y = tnr_keep(rig_hold(x));
  assert_ok(tnr_scope_close());
  rig_await_held(1);
  assert_int_equal(released, 0);
  rig_open_gate();
  assert_number(y, 2);
  rig_await(&released, 1);
  assert_int_equal(released, 1);
}

static void borrowed_memory_is_used_where_it_is(void **state) {
  float data[RIG_ELEMENTS] = {2, 2, 2, 2};
  atomic_int released = 0;
  assert_ok(tnr_scope_open());
  tnr_tensor *x = tnr_tensor_borrow(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data,
                                    count_release, &released);
  uint64_t bytes = tnr_device_memory(rig_cpu(*state, 0)).live_bytes;
  assert_int_equal(bytes, 0);
  assert_number(rig_plus_one(x), 3);
  assert_ok(tnr_scope_close());
  rig_await(&released, 1);
}

/* A view of it holds it as well. */
static void borrowed_memory_lives_as_long_as_its_views(void **state) {
  float data[RIG_ELEMENTS] = {2, 2, 2, 2};
  atomic_int released = 0;
  assert_ok(tnr_scope_open());
  tnr_tensor *x = tnr_tensor_borrow(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data,
                                    count_release, &released);
  tnr_tensor *view = tnr_keep(tnr_reshape(x, .shape = TNR_SHAPE(2, 2)));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(released, 0);
  assert_number(view, 2);
  tnr_scope_close();
  rig_await(&released, 1);
  assert_ok(tnr_scope_open());
}

static void a_device_with_memory_of_its_own_gives_it_back_after_the_copy(void **state) {
  float data[RIG_ELEMENTS] = {2, 2, 2, 2};
  atomic_int released = 0;
  tnr_tensor *x = tnr_tensor_borrow(rig_sim(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data,
                                    count_release, &released);
  rig_await(&released, 1);
  memset(data, 0, sizeof data);
  assert_number(x, 2);
}

static void what_cannot_be_borrowed_is_not_released(void **state) {
  static char bytes[64];
  atomic_int released = 0;
  tnr_device *cpu = rig_cpu(*state, 0);
  assert_null(tnr_tensor_borrow(cpu, TNR_F32, TNR_SHAPE(1), NULL, count_release, &released));
  assert_null(tnr_tensor_borrow(cpu, TNR_F32, TNR_SHAPE(1), bytes, NULL, &released));
  assert_null(tnr_tensor_borrow(cpu, TNR_F32, TNR_SHAPE(-1), bytes, count_release, &released));
  assert_null(tnr_tensor_borrow(cpu, TNR_F32, TNR_SHAPE(1), (void *)((uintptr_t)bytes | 1),
                                count_release, &released));
  assert_string_equal(tnr_error_reason(tnr_error()), "the memory is not aligned to 4 bytes");
  /* no device has that much memory to copy it to */
  assert_null(tnr_tensor_borrow(rig_sim(*state, 0), TNR_F32, TNR_SHAPE(1ll << 46), bytes,
                                count_release, &released));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ENOMEM);
  assert_int_equal(released, 0);
}

/* On every kind of place; kernels of every sort get at it, and one that packs it for itself. */
static void lent_memory_is_only_read(void **state) {
  const size_t page = 4096;
  atomic_int released = 0;
  float *data = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(data != MAP_FAILED);
  data[0] = data[3] = 2;
  assert_int_equal(mprotect(data, page, PROT_READ), 0);
  for (int p = 0; p < PLACES; p++) {
    assert_ok(tnr_scope_open());
    tnr_device *cpu = rig_cpu(*state, 2);
    tnr_tensor *lent = tnr_tensor_borrow(rig_place(*state, p), TNR_F32, TNR_SHAPE(2, 2), data,
                                         count_release, &released);
    tnr_tensor *x = p == 0 ? tnr_to_device(lent, cpu) : lent;
    tnr_tensor *y = tnr_matmul(tnr_relu(x), x);
    for (int i = 0; i < 3; i++)
      y = tnr_add(tnr_matmul(y, x), tnr_transpose(x, .permutation = {1, 0}));
    tnr_tensor *z = tnr_reshape(tnr_softmax(x, .axis = -1), .shape = TNR_SHAPE(4));
    assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
    assert_ok(tnr_wait(z, TNR_COMPLETE, INT64_MAX));
    assert_ok(tnr_scope_close());
    rig_await(&released, p + 1);
  }
  munmap(data, page);
}

static void empty_tensors_need_no_memory(void **state) {
  for (int p = 0; p < PLACES; p++) {
    atomic_int released = 0;
    assert_ok(tnr_scope_open());
    tnr_tensor *lent = tnr_tensor_borrow(rig_place(*state, p), TNR_F32, TNR_SHAPE(0, 3), NULL,
                                         count_release, &released);
    assert_made(lent);
    if (p > 0)
      assert_int_equal(tnr_tensor_dim(tnr_relu(lent), 1), 3);
    assert_ok(tnr_tensor_read(lent, NULL, 0));
    assert_made(tnr_tensor_adopt(rig_place(*state, p), TNR_I64, TNR_SHAPE(0), NULL, free));
    assert_ok(tnr_scope_close());
    rig_await(&released, 1);
  }
}

/* ---- borrowing with strides ---- */

static void dense_strides_need_no_copy(void **state) {
  atomic_int released = 0;
  assert_ok(tnr_scope_open());
  tnr_tensor *x =
      tnr_tensor_borrow_strided(rig_cpu(*state, 0), TNR_I32, TNR_SHAPE(3, 1, 4), rig_counting,
                                (const int64_t[]){4, -77, 1}, count_release, &released);
  rig_assert_reads(x, rig_counting, sizeof rig_counting);
  assert_int_equal(tnr_device_memory(rig_cpu(*state, 0)).live_bytes, 0);
  assert_int_equal(released, 0);
  assert_ok(tnr_scope_close());
  rig_await(&released, 1);
}

static void what_has_gaps_is_copied_and_given_back_at_once(void **state) {
  const int64_t transposed[] = {1, 4}, dense[] = {4, 1};
  const int32_t as_transposed[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11};
  _Alignas(8) char odd[sizeof rig_counting + 1];
  memcpy(odd + 1, rig_counting, sizeof rig_counting);
  for (int p = 0; p < PLACES; p++) {
    tnr_device *device = rig_place(*state, p);
    atomic_int released = 0;
    tnr_tensor *x = tnr_tensor_borrow_strided(device, TNR_I32, TNR_SHAPE(4, 3), rig_counting,
                                              transposed, count_release, &released);
    assert_int_equal(released, 1);
    tnr_tensor *y = tnr_tensor_borrow_strided(device, TNR_I32, TNR_SHAPE(3, 4), odd + 1, dense,
                                              count_release, &released);
    assert_int_equal(released, 2);
    rig_assert_reads(x, as_transposed, sizeof as_transposed);
    rig_assert_reads(y, rig_counting, sizeof rig_counting);
  }
}

static void assert_strided_refused(tnr_runtime *runtime, const void *data, const int64_t *strides,
                                   void (*release)(void *user), const char *reason) {
  atomic_int released = 0;
  assert_null(tnr_tensor_borrow_strided(rig_cpu(runtime, 0), TNR_I32, TNR_SHAPE(4, 3), data,
                                        strides, release, &released));
  assert_string_equal(tnr_error_reason(tnr_error()), reason);
  assert_int_equal(released, 0);
}

static void strided_memory_that_is_refused_is_not_released(void **state) {
  const int64_t strides[] = {1, 4};
  assert_strided_refused(*state, rig_counting, NULL, count_release,
                         "tensor_borrow_strided: strides is NULL");
  assert_strided_refused(*state, rig_counting, strides, NULL,
                         "tensor_borrow_strided: release is NULL");
  assert_strided_refused(*state, NULL, strides, count_release, "data is NULL");
  atomic_int released = 0;
  assert_null(tnr_tensor_borrow_strided(rig_cpu(*state, 0), TNR_I32, TNR_SHAPE(4, -3), rig_counting,
                                        strides, count_release, &released));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESHAPE);
  assert_null(tnr_tensor_borrow_strided(rig_cpu(*state, 0), TNR_DTYPE_COUNT, TNR_SHAPE(4, 3),
                                        rig_counting, strides, count_release, &released));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDTYPE);
  assert_null(tnr_tensor_borrow_strided(rig_cpu(*state, 0), TNR_I32,
                                        (tnr_shape){.rank = TNR_MAX_RANK + 1}, rig_counting,
                                        strides, count_release, &released));
  assert_int_equal(released, 0);
}

/* ---- adopting ---- */

static atomic_int freed;

static void count_and_free(void *data) {
  free(data);
  atomic_fetch_add(&freed, 1);
}

static float *twos(void) {
  float *data = malloc(RIG_ELEMENTS * sizeof *data);
  for (int i = 0; i < RIG_ELEMENTS; i++)
    data[i] = 2;
  return data;
}

static void adopted_memory_is_freed_once_with_the_last_use(void **state) {
  check_needs_threads();
  atomic_store(&freed, 0);
  assert_ok(tnr_scope_open());
  tnr_tensor *x = tnr_tensor_adopt(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), twos(),
                                   count_and_free);
  assert_made(x);
  assert_int_equal(tnr_device_memory(rig_cpu(*state, 0)).live_bytes, 0);
  tnr_tensor *y = tnr_keep(rig_hold(x));
  assert_ok(tnr_scope_close());
  rig_await_held(1);
  assert_int_equal(freed, 0);
  rig_open_gate();
  assert_number(y, 2);
  rig_await(&freed, 1);
}

static void adopted_memory_goes_once_it_is_copied_to_the_device(void **state) {
  atomic_store(&freed, 0);
  tnr_tensor *x = tnr_tensor_adopt(rig_sim(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), twos(),
                                   count_and_free);
  rig_await(&freed, 1);
  assert_number(x, 2);
}

static void assert_not_adopted(tnr_device *device, tnr_shape shape, tnr_status status) {
  atomic_store(&freed, 0);
  assert_null(tnr_tensor_adopt(device, TNR_F32, shape, twos(), count_and_free));
  assert_int_equal(tnr_error_code(tnr_error()), status);
  assert_int_equal(freed, 1);
}

static void free_one_back(void *data) {
  count_and_free((char *)data - 1);
}

static void adopted_memory_is_freed_also_when_the_call_fails(void **state) {
  assert_not_adopted(rig_cpu(*state, 0), TNR_SHAPE(-1), TNR_ESHAPE);
  assert_not_adopted(rig_sim(*state, 0), TNR_SHAPE(1ll << 46), TNR_ENOMEM);
  atomic_store(&freed, 0);
  assert_null(tnr_tensor_adopt(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(2),
                               (char *)malloc(sizeof(float[3])) + 1, free_one_back));
  assert_string_equal(tnr_error_message(tnr_error()),
                      "tensor_adopt: the memory is not aligned to 4 bytes; inputs f32 [2]");
  assert_int_equal(freed, 1);
}

static void nothing_to_adopt_is_an_error(void **state) {
  float data[RIG_ELEMENTS] = {0};
  tnr_device *cpu = rig_cpu(*state, 0);
  atomic_store(&freed, 0);
  assert_null(tnr_tensor_adopt(cpu, TNR_F32, TNR_SHAPE(RIG_ELEMENTS), NULL, count_and_free));
  assert_string_equal(tnr_error_reason(tnr_error()), "data is NULL");
  assert_null(tnr_tensor_adopt(cpu, TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data, NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "release is NULL");
  assert_int_equal(freed, 0);
}

static void memory_for_a_closed_runtime_is_freed_or_stays_its_owners(void **state) {
  float data[RIG_ELEMENTS] = {0};
  atomic_int released = 0;
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 1);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  tnr_device *device = tnr_mesh_device(tnr_tensor_mesh(x), 0);
  assert_not_adopted(device, TNR_SHAPE(RIG_ELEMENTS), TNR_ECLOSED);
  assert_null(
      tnr_tensor_borrow(device, TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data, count_release, &released));
  assert_int_equal(released, 0);
  tnr_release(x);
}

static void *open_gate_later(void *unused) {
  rig_sleep_ms(20);
  rig_open_gate();
  return unused;
}

/* The copy to the device never begins. */
static void aborting_gives_memory_back(void **state) {
  check_needs_threads();
  float data[RIG_ELEMENTS] = {0};
  atomic_int released = 0;
  (void)state;
  atomic_store(&freed, 0);
  pthread_t thread;
  tnr_runtime *runtime = rig_runtime();
  assert_ok(tnr_scope_open());
  tnr_device *sim = rig_sim(runtime, 0);
  assert_made(rig_hold(rig_tensor(sim, 1)));
  rig_await_held(1);
  assert_made(tnr_tensor_adopt(sim, TNR_F32, TNR_SHAPE(RIG_ELEMENTS), twos(), count_and_free));
  assert_made(
      tnr_tensor_borrow(sim, TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data, count_release, &released));
  assert_ok(tnr_scope_close());
  assert_int_equal(released + freed, 0);
  assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
  assert_ok(tnr_runtime_destroy(runtime, TNR_ABORT));
  pthread_join(thread, NULL);
  assert_int_equal(released, 1);
  assert_int_equal(freed, 1);
}

/* ---- many ---- */

/* Memory with every other element a gap; wiped when it is given back, so that who still reads it
 * then reads nonsense, and ThreadSanitizer sees it. */
typedef struct wiped {
  float data[2 * RIG_ELEMENTS]; /* first: it is known by its address */
} wiped;

static atomic_int wipes;

static void wipe(void *user) {
  wiped *own = user;
  for (int i = 0; i < 2 * RIG_ELEMENTS; i++)
    own->data[i] = -1;
  free(own);
  atomic_fetch_add(&wipes, 1);
}

/* In one of the ways, chosen by `way`; all elements are `number`. */
static tnr_tensor *hand_over(tnr_device *device, int way, float number) {
  const int64_t stride = way % 4 == 3 ? 2 : 1;
  const tnr_shape shape = TNR_SHAPE(RIG_ELEMENTS);
  wiped *own = malloc(sizeof *own);
  for (int i = 0; i < 2 * RIG_ELEMENTS; i++)
    own->data[i] = stride == 1 || i % 2 == 0 ? number : -1;
  switch (way % 4) {
  case 0:
    return tnr_tensor_adopt(device, TNR_F32, shape, own->data, wipe);
  case 1:
    return tnr_tensor_borrow(device, TNR_F32, shape, own->data, wipe, own);
  default:
    return tnr_tensor_borrow_strided(device, TNR_F32, shape, own->data, &stride, wipe, own);
  }
}

enum { ROUNDS = 1000, THREADS = 8 };

static void hand_over_often(void *user, int index) {
  tnr_device *devices[] = {rig_cpu(user, index % 4), rig_sim(user, index % 2)};
  for (int i = 0; i < CHECK_MANY(ROUNDS); i++) {
    float out[RIG_ELEMENTS];
    tnr_tensor *x = hand_over(devices[i / 4 % 2], i, (float)i);
    tnr_tensor *y = rig_plus_one(x);
    tnr_release(x);
    if (i % 5 > 0 && (tnr_tensor_read(y, out, sizeof out) != TNR_OK || out[index % 4] != i + 1))
      abort();
    tnr_release(y); /* perhaps before anything has run */
  }
}

static void many_threads_hand_memory_over(void **state) {
  atomic_store(&wipes, 0);
  rig_threads(THREADS, hand_over_often, *state);
  rig_await(&wipes, THREADS * CHECK_MANY(ROUNDS));
  assert_int_equal(wipes, THREADS * CHECK_MANY(ROUNDS));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(borrowed_memory_is_given_back_once_with_the_last_use),
      rig_test(borrowed_memory_is_used_where_it_is),
      rig_test(borrowed_memory_lives_as_long_as_its_views),
      rig_test(a_device_with_memory_of_its_own_gives_it_back_after_the_copy),
      rig_test(what_cannot_be_borrowed_is_not_released),
      rig_test(lent_memory_is_only_read),
      rig_test(empty_tensors_need_no_memory),
      rig_test(dense_strides_need_no_copy),
      rig_test(what_has_gaps_is_copied_and_given_back_at_once),
      rig_test(strided_memory_that_is_refused_is_not_released),
      rig_test(adopted_memory_is_freed_once_with_the_last_use),
      rig_test(adopted_memory_goes_once_it_is_copied_to_the_device),
      rig_test(adopted_memory_is_freed_also_when_the_call_fails),
      rig_test(nothing_to_adopt_is_an_error),
      rig_bare_test(memory_for_a_closed_runtime_is_freed_or_stays_its_owners),
      rig_bare_test(aborting_gives_memory_back),
      rig_test(many_threads_hand_memory_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
