/* The dense form of contents that lie in a driver's own layout: made once, kept with them, and no
 * longer. Without a runtime. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "devices/storage.h"

enum { ELEMENTS = 100, THREADS = 4, ROUNDS = 20 };

/* Writes 0, 1, 2, … back to front; fails when it is told to. */
typedef struct backwards {
  tnr_layout base;
  size_t bytes;
  tnr_status status;
  atomic_int made;
} backwards;

static tnr_status to_dense(const tnr_layout *layout, const void *from, void *to, tnr_fault *fault) {
  backwards *own = (backwards *)(uintptr_t)layout;
  atomic_fetch_add(&own->made, 1);
  if (own->status != TNR_OK)
    return tnr_fail(fault, own->status, "it does not turn round");
  for (size_t i = 0; i < own->bytes; i++)
    ((unsigned char *)to)[i] = ((const unsigned char *)from)[own->bytes - 1 - i];
  return TNR_OK;
}

typedef struct rig {
  tnr_machine machine;
  tnr_device *device;
  const tnr_mesh *mesh;
  backwards layout;
} rig;

static int setup(void **state) {
  static rig r;
  struct tnr_device_plan place = {.driver = tnr_null_driver()};
  const tnr_machine_plan plan = {
      .runtime = &r, .device_count = 1, .devices = &place, .threads_per_device = 1};
  tnr_fault fault;
  assert_int_equal(tnr_machine_init(&r.machine, &plan, &fault), TNR_OK);
  r.device = r.machine.devices[0];
  assert_int_equal(tnr_machine_mesh(r.machine.devices, 1, &r.mesh, &fault), TNR_OK);
  r.layout = (backwards){.base = {to_dense}, .bytes = ELEMENTS};
  *state = &r;
  return 0;
}

static int teardown(void **state) {
  rig *r = *state;
  assert_int_equal(tnr_pool_live_blocks(&r->machine.objects), 0);
  assert_int_equal(tnr_device_memory(r->device).live_bytes, 0);
  tnr_machine_finish(&r->machine);
  return 0;
}

static tnr_tensor *numbered(const rig *r, tnr_shape shape) {
  const tnr_desc desc = {shape, TNR_U8};
  tnr_tensor *made = NULL;
  tnr_fault fault;
  assert_int_equal(tnr_tensor_new(r->mesh, -1, &desc, &made, &fault), TNR_OK);
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++)
    ((unsigned char *)made->parts[0]->memory)[i] = (unsigned char)i;
  return made;
}

/* The same, whose contents lie in the rig's layout. */
static tnr_tensor *laid_out(rig *r) {
  tnr_tensor *made = numbered(r, TNR_SHAPE(ELEMENTS));
  tnr_storage_set_layout(made->parts[0], &r->layout.base);
  return made;
}

static const void *dense_of(tnr_tensor *tensor) {
  const void *data = NULL;
  tnr_fault fault = {.message = ""};
  if (tnr_storage_dense(tensor->parts[0], &data, &fault) != TNR_OK)
    fail_msg("%s", fault.message);
  return data;
}

static void expect_turned_round(const void *data) {
  for (int i = 0; i < ELEMENTS; i++)
    assert_int_equal(((const unsigned char *)data)[i], ELEMENTS - 1 - i);
}

static void what_is_dense_is_given_as_it_lies(void **state) {
  rig *r = *state;
  tnr_tensor *x = numbered(r, TNR_SHAPE(ELEMENTS)), *none = numbered(r, TNR_SHAPE(0));
  assert_ptr_equal(dense_of(x), x->parts[0]->memory);
  assert_ptr_equal(dense_of(none), none->parts[0]->memory);
  assert_null(tnr_derived_first(&x->parts[0]->derived));
  tnr_release(none);
  tnr_release(x);
}

static void count(void *times) {
  ++*(int *)times;
}

static void memory_that_is_lent_is_given_as_it_lies(void **state) {
  rig *r = *state;
  unsigned char lent[ELEMENTS] = {7};
  const tnr_desc desc = {TNR_SHAPE(ELEMENTS), TNR_U8};
  tnr_tensor *x = NULL;
  int given_back = 0;
  assert_int_equal(tnr_tensor_wrap(r->device, &desc, lent, count, &given_back, &x, NULL), TNR_OK);
  assert_ptr_equal(dense_of(x), lent);
  tnr_release(x);
  assert_int_equal(given_back, 1);
}

static void another_layout_is_made_dense_once(void **state) {
  rig *r = *state;
  tnr_tensor *x = laid_out(r);
  const void *made = dense_of(x);
  assert_ptr_not_equal(made, x->parts[0]->memory);
  expect_turned_round(made);
  for (int i = 0; i < ELEMENTS; i++)
    assert_int_equal(((const unsigned char *)x->parts[0]->memory)[i], i);
  assert_ptr_equal(dense_of(x), made);
  assert_int_equal(r->layout.made, 1);
  tnr_release(x);
}

/* A reshaped tensor has the same bytes. */
static void all_tensors_of_a_storage_share_it(void **state) {
  rig *r = *state;
  const tnr_desc other = {TNR_SHAPE(4, ELEMENTS / 4), TNR_U8};
  tnr_tensor *x = laid_out(r), *alias = NULL;
  assert_int_equal(tnr_tensor_alias(x, -1, &other, &alias, NULL), TNR_OK);
  const void *made = dense_of(alias);
  assert_ptr_equal(dense_of(x), made);
  tnr_release(x);
  assert_ptr_equal(dense_of(alias), made);
  expect_turned_round(made);
  assert_int_equal(r->layout.made, 1);
  tnr_release(alias);
}

static void it_takes_memory_of_its_device_as_long_as_the_storage_lives(void **state) {
  rig *r = *state;
  tnr_tensor *x = laid_out(r);
  uint64_t before = tnr_device_memory(r->device).live_bytes;
  (void)dense_of(x);
  uint64_t with = tnr_device_memory(r->device).live_bytes;
  assert_true(with >= before + ELEMENTS);
  (void)dense_of(x);
  assert_int_equal(tnr_device_memory(r->device).live_bytes, with);
  tnr_storage_empty(x->parts[0]);
  assert_int_equal(tnr_device_memory(r->device).live_bytes, 0);
  tnr_release(x);
}

/* ---- beside what drivers keep there ---- */

static void destroy_nothing(tnr_derived *derived) {
  derived->owner = NULL;
}

static void what_others_derive_is_not_taken_for_it(void **state) {
  rig *r = *state;
  static const char mark;
  tnr_derived younger = {.owner = &mark, .destroy = destroy_nothing}, older = younger;
  tnr_tensor *x = laid_out(r);
  tnr_derived_add(&x->parts[0]->derived, &older);
  const void *made = dense_of(x);
  expect_turned_round(made);
  tnr_derived_add(&x->parts[0]->derived, &younger);
  assert_ptr_equal(dense_of(x), made);
  tnr_release(x);
  assert_null(older.owner);
  assert_null(younger.owner);
}

/* ---- failures ---- */

static void when_a_layout_fails_its_fault_is_passed_on_and_nothing_kept(void **state) {
  rig *r = *state;
  tnr_tensor *x = laid_out(r);
  const void *data = NULL;
  tnr_fault fault = {.message = ""};
  uint64_t bytes = tnr_device_memory(r->device).live_bytes;
  uint64_t blocks = tnr_pool_live_blocks(&r->machine.objects);
  r->layout.status = TNR_EKERNEL;
  assert_int_equal(tnr_storage_dense(x->parts[0], &data, &fault), TNR_EKERNEL);
  assert_string_equal(fault.message, "it does not turn round");
  assert_int_equal(tnr_device_memory(r->device).live_bytes, bytes);
  assert_int_equal(tnr_pool_live_blocks(&r->machine.objects), blocks);
  assert_null(tnr_derived_first(&x->parts[0]->derived));
  r->layout.status = TNR_OK;
  expect_turned_round(dense_of(x));
  tnr_release(x);
}

/* A storage that says that it is larger than any memory: nobody reads so far, as there is none for
 * the copy. */
static void without_memory_it_says_how_much_and_where(void **state) {
  rig *r = *state;
  const size_t bytes = (size_t)1 << 59;
  tnr_storage storage = {.bytes = bytes, .device = r->device};
  const void *data = NULL;
  tnr_fault fault = {.message = ""};
  tnr_storage_set_layout(&storage, &r->layout.base);
  assert_int_equal(tnr_storage_dense(&storage, &data, &fault), TNR_ENOMEM);
  assert_string_equal(fault.message,
                      "out of memory on null:0 for a tensor of 576460752303423488 bytes");
  assert_int_equal(r->layout.made, 0);
  assert_null(tnr_derived_first(&storage.derived));
}

/* ---- several threads at once ---- */

typedef struct reader {
  tnr_storage *storage;
  pthread_barrier_t *start;
  const void *data;
  int wrong;
  pthread_t thread;
} reader;

static void *read_dense(void *argument) {
  reader *own = argument;
  tnr_fault fault;
  pthread_barrier_wait(own->start);
  if (tnr_storage_dense(own->storage, &own->data, &fault) != TNR_OK) {
    own->wrong = ELEMENTS;
    return NULL;
  }
  for (int i = 0; i < ELEMENTS; i++)
    own->wrong += ((const unsigned char *)own->data)[i] != ELEMENTS - 1 - i;
  return NULL;
}

static void read_from_all_threads(tnr_storage *storage, reader *readers) {
  pthread_barrier_t start;
  assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
  for (int i = 0; i < THREADS; i++) {
    readers[i] = (reader){.storage = storage, .start = &start};
    assert_int_equal(pthread_create(&readers[i].thread, NULL, read_dense, &readers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(readers[i].thread, NULL);
  pthread_barrier_destroy(&start);
}

/* Whoever comes at the same moment may make one more, which stays, too: what one of them was given
 * is valid until the storage goes. */
static void threads_that_ask_at_once_all_get_a_whole_one(void **state) {
  rig *r = *state;
  for (int round = 0; round < ROUNDS; round++) {
    reader readers[THREADS];
    tnr_tensor *x = laid_out(r);
    read_from_all_threads(x->parts[0], readers);
    for (int i = 0; i < THREADS; i++) {
      assert_int_equal(readers[i].wrong, 0);
      expect_turned_round(readers[i].data);
    }
    int made = r->layout.made;
    assert_in_range(made, 1, (round + 1) * THREADS);
    (void)dense_of(x);
    assert_int_equal(r->layout.made, made);
    tnr_release(x);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(what_is_dense_is_given_as_it_lies),
      TEST(memory_that_is_lent_is_given_as_it_lies),
      TEST(another_layout_is_made_dense_once),
      TEST(all_tensors_of_a_storage_share_it),
      TEST(it_takes_memory_of_its_device_as_long_as_the_storage_lives),
      TEST(what_others_derive_is_not_taken_for_it),
      TEST(when_a_layout_fails_its_fault_is_passed_on_and_nothing_kept),
      TEST(without_memory_it_says_how_much_and_where),
      TEST(threads_that_ask_at_once_all_get_a_whole_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
