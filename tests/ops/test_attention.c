/* attention, which looks at the shape of an input: on one device and on four, plain and async. */
#include <math.h>

#include "op_places.h"

enum { Q, K, V, INPUTS };

/* Row [b, i] of the scores, by the definition. */
static double score(const op_array *q, const op_array *k, int64_t batch, int64_t i, int64_t j) {
  const int64_t *dims = q->desc.shape.dims;
  int64_t d = dims[2], n = k->desc.shape.dims[1];
  double sum = 0;
  for (int64_t l = 0; l < d; l++)
    sum += op_number(q, (batch * dims[1] + i) * d + l) * op_number(k, (batch * n + j) * d + l);
  return exp(sum / sqrt((double)d));
}

static op_array by_definition(const op_array *in) {
  int64_t n = in[K].desc.shape.dims[1], e = in[V].desc.shape.dims[2];
  tnr_shape shape = in[Q].desc.shape;
  shape.dims[2] = e;
  op_array out = op_array_new(in[Q].desc.dtype, shape);
  for (int64_t at = 0; at < tnr_shape_elements(&shape); at++) {
    int64_t index[TNR_MAX_RANK];
    double sum = 0, total = 0;
    op_unravel(&shape, at, index);
    for (int64_t j = 0; j < n; j++) {
      double weight = score(&in[Q], &in[K], index[0], index[1], j);
      sum += weight * op_number(&in[V], (index[0] * n + j) * e + index[2]);
      total += weight;
    }
    op_set_number(&out, at, sum / total);
  }
  return out;
}

static void make_inputs(tnr_dtype dtype, op_array *in) {
  in[Q] = op_array_random(dtype, TNR_SHAPE(4, 3, 4), 1);
  in[K] = op_array_random(dtype, TNR_SHAPE(4, 5, 4), 2);
  in[V] = op_array_random(dtype, TNR_SHAPE(4, 5, 2), 3);
}

static tnr_value call(tnr_runtime *runtime, const op_place *place, const op_array *in) {
  tnr_value values[INPUTS];
  for (int i = 0; i < INPUTS; i++)
    values[i] = op_put(runtime, place, &in[i], 0);
  tnr_value result = tnr_attention(values[Q], values[K], values[V]);
  assert_made(result.handle);
  return result;
}

static void it_is_the_same_everywhere(void **state) {
  const op_place *place;
  for (int i = 0; (place = op_place_at(i)); i++) {
    op_array in[INPUTS];
    make_inputs(TNR_F32, in);
    assert_ok(tnr_scope_open());
    op_assert_near(op_take(call(*state, place, in), 0), by_definition(in), 1e-4);
    make_inputs(TNR_BF16, in);
    op_assert_near(op_take(call(*state, place, in), 0), by_definition(in), 5e-2);
    assert_ok(tnr_scope_close());
    op_free_arrays(NULL);
  }
}

/* The shape of what another op gives is not known when attention is called. */
static void it_takes_inputs_whose_shape_is_not_known_yet(void **state) {
  op_array in[INPUTS];
  make_inputs(TNR_F32, in);
  const op_place *async = op_place_at(1);
  assert_true(async->async);
  assert_ok(tnr_scope_open());
  tnr_future *q = tnr_value_future(op_put(*state, async, &in[Q], 0));
  tnr_future *k = tnr_value_future(op_put(*state, async, &in[K], 0));
  tnr_future *v = tnr_value_future(op_put(*state, async, &in[V], 0));
  for (int i = 0; i < 100; i++)
    q = tnr_reshape(tnr_relu(q), .shape = TNR_SHAPE(4, 3, -1));
  tnr_future *result = tnr_attention(q, k, v);
  in[Q] = OP(&tnr_op_relu, NULL, in[Q]);
  op_assert_near(op_take(TNR_VALUE(result), 0), by_definition(in), 1e-4);
  assert_ok(tnr_scope_close());
  op_free_arrays(NULL);
}

static void a_q_without_dims_is_refused_by_matmul(void **state) {
  op_array in[INPUTS];
  make_inputs(TNR_F32, in);
  in[Q] = op_array_of(TNR_F32, TNR_SCALAR, OP_NUMBERS(1));
  assert_ok(tnr_scope_open());
  tnr_value values[INPUTS];
  for (int i = 0; i < INPUTS; i++)
    values[i] = op_put(*state, op_place_at(0), &in[i], -1);
  assert_null(tnr_attention(values[Q], values[K], values[V]).handle);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESHAPE);
  assert_string_equal(tnr_error_reason(tnr_error()), "input 0 has rank 0, but needs 2 or more");
  assert_ok(tnr_scope_close());
  op_free_arrays(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_the_same_everywhere),
      cmocka_unit_test(it_takes_inputs_whose_shape_is_not_known_yet),
      cmocka_unit_test(a_q_without_dims_is_refused_by_matmul),
  };
  return cmocka_run_group_tests(tests, op_runtime_setup, op_runtime_teardown);
}
