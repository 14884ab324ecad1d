/* Weights that are packed once and kept beside the tensor that they came from. Chains are made as
 * the cpu device makes them; where oneDNN takes weights as they lie there is nothing to be shown.
 */
#include "check.h"

#include <pthread.h>

#include "devices/cpu/chain.h"
#include "devices/cpu/packed.h"
#include "devices/derived.h"

enum { M = 16, K = 96, N = 80, THREADS = 4 };

typedef struct rig {
  tnr_onednn *onednn;
  tnr_derived_list list;
  float a[M * K], b[K * N], out[M * 2 * N]; /* `out`: of the widest shape */
} rig;

static int setup(void **state) {
  static rig r;
  r = (rig){.list = {NULL}};
  tnr_fault fault;
  assert_int_equal(tnr_onednn_create(&r.onednn, &fault), TNR_OK);
  for (int i = 0; i < M * K; i++)
    r.a[i] = (float)(i % 7 - 3);
  for (int i = 0; i < K * N; i++)
    r.b[i] = (float)(i % 11 - 5);
  *state = &r;
  return 0;
}

static int teardown(void **state) {
  rig *r = *state;
  tnr_derived_finish(&r->list);
  tnr_onednn_release(r->onednn);
  return 0;
}

static int kept(tnr_derived_list *list) {
  int count = 0;
  for (tnr_derived *at = tnr_derived_first(list); at; at = at->next)
    count++;
  return count;
}

/* How the matrix b [k, n] lies: by rows, or by columns. */
typedef struct shape {
  int64_t k, n;
  bool by_columns;
} shape;

static const shape plain = {K, N, false};

/* a [M, k] times b [k, n] into [M, n], with b packable. */
static tnr_chain *chain_of(const rig *r, shape shape) {
  tnr_chain *chain = NULL;
  tnr_view a = tnr_view_dense(0, TNR_F32, 2, (const int64_t[]){M, shape.k});
  tnr_view b = tnr_view_dense(1, TNR_F32, 2, (const int64_t[]){shape.k, shape.n});
  tnr_view out = tnr_view_dense(2, TNR_F32, 2, (const int64_t[]){M, shape.n});
  if (shape.by_columns) {
    b.strides[0] = 1;
    b.strides[1] = shape.k;
  }
  assert_int_equal(tnr_chain_create(r->onednn, 2, 1, &chain), TNR_OK);
  const tnr_chain_matmul op = {.a = &a, .b = &b, .out = &out, .pack = true};
  assert_int_equal(tnr_chain_add_matmul(chain, &op), TNR_OK);
  assert_int_equal(tnr_chain_finish(chain), TNR_OK);
  return chain;
}

static float element(const rig *r, shape shape, int64_t k, int64_t n) {
  return r->b[shape.by_columns ? n * shape.k + k : k * shape.n + n];
}

/* Sums of small whole numbers: exact. */
static void expect_product(const rig *r, shape shape) {
  for (int64_t m = 0; m < M; m++)
    for (int64_t n = 0; n < shape.n; n++) {
      float sum = 0;
      for (int64_t k = 0; k < shape.k; k++)
        sum += r->a[m * shape.k + k] * element(r, shape, k, n);
      assert_float_equal(r->out[m * shape.n + n], sum, 0);
    }
}

static void run(rig *r, tnr_chain *chain, tnr_derived_list *list) {
  tnr_fault fault = {.message = ""};
  if (tnr_chain_run(chain, (const void *const[]){r->a, r->b}, (void *const[]){r->out}, list,
                    &fault) != TNR_OK)
    fail_msg("%s", fault.message);
}

/* A chain whose buffers are bound. */
static tnr_chain *ready(rig *r, shape shape) {
  tnr_chain *chain = chain_of(r, shape);
  if (tnr_chain_packable_input(chain) < 0) {
    tnr_chain_destroy(chain);
    skip();
  }
  assert_int_equal(tnr_chain_packable_input(chain), 1);
  run(r, chain, NULL);
  return chain;
}

static const void *data_of(dnnl_memory_t memory) {
  void *data = NULL;
  assert_int_equal(dnnl_memory_get_data_handle(memory, &data), dnnl_success);
  return data;
}

/* ---- once ---- */

static void they_are_packed_once_and_found_again(void **state) {
  rig *r = *state;
  tnr_chain *chain = ready(r, plain), *other = ready(r, plain);
  assert_int_equal(kept(&r->list), 0);
  dnnl_memory_t made = tnr_packed_weights(chain, &r->list);
  assert_non_null(made);
  assert_ptr_equal(tnr_packed_weights(chain, &r->list), made);
  assert_ptr_equal(tnr_packed_weights(other, &r->list), made);
  assert_int_equal(kept(&r->list), 1);
  tnr_chain_destroy(chain);
  tnr_chain_destroy(other);
}

static void they_lie_as_the_chain_wants_and_aligned(void **state) {
  rig *r = *state;
  tnr_chain *chain = ready(r, plain);
  const dnnl_memory_desc_t *own = NULL, *wanted = NULL;
  dnnl_memory_t made = tnr_packed_weights(chain, &r->list);
  assert_int_equal(dnnl_memory_get_memory_desc(made, &own), dnnl_success);
  assert_int_equal(dnnl_memory_get_memory_desc(chain->packing.on_each_run, &wanted), dnnl_success);
  assert_true(dnnl_memory_desc_equal(own, wanted));
  assert_int_equal((uintptr_t)data_of(made) % 64, 0);
  assert_memory_equal(data_of(made), data_of(chain->packing.on_each_run),
                      dnnl_memory_desc_get_size(wanted));
  tnr_chain_destroy(chain);
}

/* The contents are those of the first time: whoever keeps them vouches that they stay. */
static void a_run_with_a_list_uses_what_is_kept(void **state) {
  rig *r = *state;
  tnr_chain *chain = ready(r, plain);
  run(r, chain, &r->list);
  expect_product(r, plain);
  assert_int_equal(kept(&r->list), 1);
  float first = r->out[0];
  for (int i = 0; i < K * N; i++)
    r->b[i] += 1;
  run(r, chain, &r->list);
  assert_float_equal(r->out[0], first, 0);
  run(r, chain, NULL);
  expect_product(r, plain);
  assert_int_equal(kept(&r->list), 1);
  tnr_chain_destroy(chain);
}

/* ---- which ones ---- */

static void the_same_bytes_in_another_order_or_shape_are_others(void **state) {
  rig *r = *state;
  const shape shapes[] = {plain, {K, N, true}, {N, K, false}, {N, K, true}, {K / 2, 2 * N, false}};
  enum { SHAPES = sizeof shapes / sizeof *shapes };
  dnnl_memory_t made[SHAPES];
  for (int i = 0; i < SHAPES; i++) {
    tnr_chain *chain = ready(r, shapes[i]);
    made[i] = tnr_packed_weights(chain, &r->list);
    assert_int_equal(kept(&r->list), i + 1);
    for (int k = 0; k < i; k++)
      assert_ptr_not_equal(made[i], made[k]);
    run(r, chain, &r->list);
    expect_product(r, shapes[i]);
    tnr_chain_destroy(chain);
  }
  for (int i = 0; i < SHAPES; i++) {
    tnr_chain *chain = ready(r, shapes[i]);
    assert_ptr_equal(tnr_packed_weights(chain, &r->list), made[i]);
    tnr_chain_destroy(chain);
  }
}

/* Brings the plain matrix into columns: what a primitive would do that wants it so. */
static tnr_chain *ready_for_columns(rig *r) {
  tnr_chain *chain = NULL;
  tnr_view from = tnr_view_dense(1, TNR_F32, 2, (const int64_t[]){K, N});
  assert_int_equal(tnr_chain_create(r->onednn, 2, 1, &chain), TNR_OK);
  tnr_view to = tnr_chain_temporary(chain, &from);
  to.strides[0] = 1;
  to.strides[1] = K;
  assert_int_equal(tnr_chain_add_reorder(chain, &from, &to), TNR_OK);
  assert_int_equal(tnr_chain_finish(chain), TNR_OK);
  chain->packing =
      (tnr_chain_packing){.input = 1, .user_arg = 1, .on_each_run = chain->steps[0].args[1].memory};
  run(r, chain, NULL);
  return chain;
}

static void another_wanted_layout_of_the_same_matrix_is_another(void **state) {
  rig *r = *state;
  tnr_chain *chain = ready(r, plain), *columns = ready_for_columns(r);
  dnnl_memory_t first = tnr_packed_weights(chain, &r->list);
  dnnl_memory_t second = tnr_packed_weights(columns, &r->list);
  assert_non_null(second);
  assert_int_equal(kept(&r->list), 2);
  for (int i = 0; i < K * N; i++)
    assert_float_equal(((const float *)data_of(second))[i], r->b[i % K * N + i / K], 0);
  assert_ptr_equal(tnr_packed_weights(chain, &r->list), first);
  assert_ptr_equal(tnr_packed_weights(columns, &r->list), second);
  tnr_chain_destroy(chain);
  tnr_chain_destroy(columns);
}

/* Two lists are two tensors. */
static void each_list_has_its_own(void **state) {
  rig *r = *state;
  tnr_derived_list other = {NULL};
  tnr_chain *chain = ready(r, plain);
  dnnl_memory_t made = tnr_packed_weights(chain, &r->list);
  assert_ptr_not_equal(tnr_packed_weights(chain, &other), made);
  assert_int_equal(kept(&r->list), 1);
  assert_int_equal(kept(&other), 1);
  tnr_chain_destroy(chain);
  tnr_derived_finish(&other);
}

static void scale_weights(rig *r, float by) {
  for (int i = 0; i < K * N; i++)
    r->b[i] *= by;
}

/* Also of what came to lie where others were, which the chain has used last. */
static void a_chain_takes_those_of_the_list_that_it_is_given(void **state) {
  rig *r = *state;
  tnr_derived_list other = {NULL};
  tnr_chain *chain = ready(r, plain);
  run(r, chain, &r->list);
  scale_weights(r, -1);
  for (int i = 0; i < 3; i++) {
    run(r, chain, &other);
    expect_product(r, plain);
    scale_weights(r, -1);
    run(r, chain, &r->list);
    expect_product(r, plain);
    scale_weights(r, -1);
  }
  run(r, chain, &other);
  tnr_derived_finish(&other);
  scale_weights(r, 2);
  run(r, chain, &other);
  expect_product(r, plain);
  tnr_chain_destroy(chain);
  tnr_derived_finish(&other);
}

static void destroy_nothing(tnr_derived *derived) {
  derived->owner = NULL;
}

static void what_others_derive_is_not_taken_for_them(void **state) {
  rig *r = *state;
  static const char mark;
  tnr_derived older = {.owner = &mark, .destroy = destroy_nothing}, younger = older;
  tnr_chain *chain = ready(r, plain);
  tnr_derived_add(&r->list, &older);
  dnnl_memory_t made = tnr_packed_weights(chain, &r->list);
  assert_non_null(made);
  tnr_derived_add(&r->list, &younger);
  assert_ptr_equal(tnr_packed_weights(chain, &r->list), made);
  assert_int_equal(kept(&r->list), 3);
  tnr_chain_destroy(chain);
  tnr_derived_finish(&r->list);
  assert_null(older.owner);
  assert_null(younger.owner);
}

/* ---- how long ---- */

static void they_outlive_the_chain_and_the_device(void **state) {
  rig *r = *state;
  tnr_chain *chain = ready(r, plain);
  dnnl_memory_t made = tnr_packed_weights(chain, &r->list);
  assert_int_equal(r->onednn->references, 3);
  tnr_chain_destroy(chain);
  assert_int_equal(r->onednn->references, 2);
  tnr_onednn_release(r->onednn);
  assert_int_equal(tnr_onednn_create(&r->onednn, NULL), TNR_OK);
  chain = ready(r, plain);
  assert_ptr_equal(tnr_packed_weights(chain, &r->list), made);
  run(r, chain, &r->list);
  expect_product(r, plain);
  tnr_chain_destroy(chain);
  tnr_derived_finish(&r->list);
  assert_int_equal(r->onednn->references, 1);
}

/* ---- failures ---- */

/* What oneDNN refuses to run: the step that packs has lost what it writes to. */
static void what_cannot_be_packed_is_packed_on_each_run(void **state) {
  rig *r = *state;
  tnr_chain *chain = ready(r, plain);
  tnr_chain_step *step = &chain->steps[chain->packing.step];
  int args = step->arg_count;
  step->arg_count = 1;
  assert_null(tnr_packed_weights(chain, &r->list));
  assert_int_equal(kept(&r->list), 0);
  assert_int_equal(r->onednn->references, 2);
  step->arg_count = args;
  run(r, chain, &r->list);
  expect_product(r, plain);
  tnr_chain_destroy(chain);
}

/* ---- several devices at once ---- */

typedef struct packer {
  tnr_chain *chain;
  tnr_derived_list *list;
  pthread_barrier_t *start;
  dnnl_memory_t made;
  pthread_t thread;
} packer;

static void *pack(void *argument) {
  packer *own = argument;
  pthread_barrier_wait(own->start);
  own->made = tnr_packed_weights(own->chain, own->list);
  return NULL;
}

static void devices_that_pack_at_once_all_get_whole_ones(void **state) {
  rig *r = *state;
  packer packers[THREADS];
  pthread_barrier_t start;
  assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
  for (int i = 0; i < THREADS; i++)
    packers[i] = (packer){.chain = ready(r, plain), .list = &r->list, .start = &start};
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&packers[i].thread, NULL, pack, &packers[i]), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(packers[i].thread, NULL);
  pthread_barrier_destroy(&start);
  assert_in_range(kept(&r->list), 1, THREADS);
  const dnnl_memory_desc_t *wanted = NULL;
  dnnl_memory_get_memory_desc(packers[0].chain->packing.on_each_run, &wanted);
  for (int i = 0; i < THREADS; i++) {
    assert_non_null(packers[i].made);
    assert_memory_equal(data_of(packers[i].made), data_of(packers[i].chain->packing.on_each_run),
                        dnnl_memory_desc_get_size(wanted));
  }
  for (int i = 0; i < THREADS; i++)
    tnr_chain_destroy(packers[i].chain);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(they_are_packed_once_and_found_again),
      TEST(they_lie_as_the_chain_wants_and_aligned),
      TEST(a_run_with_a_list_uses_what_is_kept),
      TEST(the_same_bytes_in_another_order_or_shape_are_others),
      TEST(another_wanted_layout_of_the_same_matrix_is_another),
      TEST(each_list_has_its_own),
      TEST(a_chain_takes_those_of_the_list_that_it_is_given),
      TEST(what_others_derive_is_not_taken_for_them),
      TEST(they_outlive_the_chain_and_the_device),
      TEST(what_cannot_be_packed_is_packed_on_each_run),
      TEST(devices_that_pack_at_once_all_get_whole_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
