/* Each op through the runtime, on devices of each kind, on one and on four, plain and async: the
 * same as its plain kernel. */
#include <math.h>

#include "op_places.h"

#define S              TNR_SHAPE
#define ATTRS(op, ...) TNR_ATTRS(tnr_##op##_attrs, __VA_ARGS__)

enum {
  FLOAT = 1 << TNR_F32 | 1 << TNR_BF16,
  WIDE = 1 << TNR_I32 | 1 << TNR_I64,
  NUMBERS = FLOAT | WIDE | 1 << TNR_I8 | 1 << TNR_U8,
  ANY = (1 << TNR_DTYPE_COUNT) - 1
};

typedef struct op_case {
  const void *attrs;
  tnr_shape in[3];
  int split[3]; /* dims along which inputs are split where they are; -1: replicated */
} op_case;

/* One case on one place. */
typedef struct trial {
  tnr_runtime *runtime;
  const tnr_op_def *def;
  const op_case *which;
  int in_count;
  op_array in[3];
  op_result right;
} trial;

static bool splits(const trial *t) {
  for (int i = 0; i < t->in_count; i++)
    if (t->which->split[i] >= 0)
      return true;
  return false;
}

static int split_of(const trial *t, int output) {
  tnr_desc in[3], out[OP_MOST_OUTPUTS];
  int out_dims[OP_MOST_OUTPUTS];
  op_describe(t->in, t->in_count, in);
  op_describe(t->right.out, t->right.count, out);
  tnr_op_call call = {.attrs = t->which->attrs, .in_count = t->in_count, .in = in};
  tnr_fault fault;
  assert_int_equal(t->def->shard(&call, t->which->split, out, t->right.count, out_dims, &fault),
                   TNR_OK);
  return out_dims[output];
}

static void check_split(const trial *t, const op_place *place, tnr_value result, int output) {
  tnr_value created = tnr_get(result);
  assert_made(created.handle);
  tnr_tensor *tensor = created.kind == TNR_VALUE_TUPLE ? tnr_at(tnr_value_tuple(created), output)
                                                       : tnr_value_tensor(created);
  assert_int_equal(tnr_tensor_shard_dim(tensor), place->sharded ? split_of(t, output) : -1);
}

static void run_at(const trial *t, const op_place *place) {
  tnr_value in[3];
  op_note("%s of %s on %s", t->def->name, tnr_dtype_name(t->in[0].desc.dtype), place->name);
  assert_ok(tnr_scope_open());
  for (int i = 0; i < t->in_count; i++)
    in[i] = op_put(t->runtime, place, &t->in[i], t->which->split[i]);
  tnr_value result = tnr_call(t->def, TNR_HERE, in, t->in_count, t->which->attrs);
  assert_made(result.handle);
  for (int i = 0; i < t->right.count; i++) {
    op_array out = op_take(result, i);
    op_assert_near(out, t->right.out[i], op_tolerance(out.desc.dtype));
    check_split(t, place, result, i);
  }
  assert_ok(tnr_scope_close());
}

/* Divisors are not zero. */
static op_array operand(const tnr_op_def *def, tnr_dtype dtype, tnr_shape shape, unsigned seed) {
  op_array array = op_array_random(dtype, shape, seed);
  for (int64_t i = 0; def == &tnr_op_div && i < tnr_shape_elements(&shape); i++)
    op_set_number(&array, i, 1 + fabs(op_number(&array, i)));
  return array;
}

static void run_everywhere(trial *t) {
  t->right = op_run(t->def, t->which->attrs, t->in, t->in_count);
  assert_int_equal(t->right.status, TNR_OK);
  const op_place *place;
  for (int i = 0; (place = op_place_at(i)); i++)
    if (!place->sharded || splits(t))
      run_at(t, place);
}

#define check(state, def, in_count, dtypes, cases)                                                 \
  check_cases(*(state), def, in_count, dtypes, cases, (int)(sizeof(cases) / sizeof((cases)[0])))

static void check_cases(tnr_runtime *runtime, const tnr_op_def *def, int in_count, int dtypes,
                        const op_case *cases, int count) {
  for (int d = 0; d < TNR_DTYPE_COUNT; d++)
    for (int c = 0; c < count && (dtypes & 1 << d); c++) {
      trial t = {.runtime = runtime, .def = def, .which = &cases[c], .in_count = in_count};
      for (int i = 0; i < in_count; i++)
        t.in[i] = operand(def, (tnr_dtype)d, cases[c].in[i], (unsigned)i + 1);
      run_everywhere(&t);
      op_free_arrays(NULL);
    }
}

static void matmul_is_the_same_everywhere(void **state) {
  const void *plain = ATTRS(matmul, .transpose_a = false);
  const void *a = ATTRS(matmul, .transpose_a = true), *b = ATTRS(matmul, .transpose_b = true);
  const void *both = ATTRS(matmul, .transpose_a = true, .transpose_b = true);
  const op_case cases[] = {{plain, {S(8, 6), S(6, 5)}, {0, -1}},
                           {plain, {S(3, 6), S(6, 8)}, {-1, 1}},
                           {a, {S(6, 8), S(6, 5)}, {1, -1}},
                           {b, {S(3, 6), S(4, 6)}, {-1, 0}},
                           {both, {S(6, 4), S(5, 6)}, {1, -1}},
                           {plain, {S(4, 3, 6), S(4, 6, 5)}, {0, 0}},
                           {plain, {S(4, 3, 6), S(6, 5)}, {0, -1}},
                           {b, {S(8, 6), S(2, 3, 5, 6)}, {0, -1}},
                           {plain, {S(4, 1, 2, 3), S(5, 3, 2)}, {0, -1}},
                           {plain, {S(4, 0), S(0, 3)}, {0, -1}},
                           {plain, {S(0, 3), S(3, 2)}, {0, -1}},
                           {plain, {S(1, 1), S(1, 1)}, {-1, -1}}};
  check(state, &tnr_op_matmul, 2, FLOAT | WIDE, cases);
}

static void add_sub_mul_and_div_are_the_same_everywhere(void **state) {
  const tnr_op_def *defs[] = {&tnr_op_add, &tnr_op_sub, &tnr_op_mul, &tnr_op_div};
  const op_case cases[] = {{NULL, {S(8, 5), S(8, 5)}, {0, 0}},
                           {NULL, {S(8, 5), S(5)}, {0, -1}},
                           {NULL, {S(5), S(8, 5)}, {-1, 0}},
                           {NULL, {S(8, 1), S(1, 4)}, {0, -1}},
                           {NULL, {S(3, 4), TNR_SCALAR}, {1, -1}},
                           {NULL, {TNR_SCALAR, S(3, 4)}, {-1, 1}},
                           {NULL, {S(2, 1, 3, 1), S(4, 1, 5)}, {-1, 0}},
                           {NULL, {S(4, 0), S(1)}, {0, -1}},
                           {NULL, {TNR_SCALAR, TNR_SCALAR}, {-1, -1}},
                           {NULL, {S(2, 1, 2, 1, 2, 1, 2, 1), S(4, 1, 2, 1, 2, 1, 2)}, {-1, 0}}};
  for (int i = 0; i < 4; i++)
    check(state, defs[i], 2, NUMBERS, cases);
}

static void relu_is_the_same_everywhere(void **state) {
  const op_case cases[] = {{NULL, {S(4, 3, 5)}, {0}},
                           {NULL, {S(3, 8)}, {1}},
                           {NULL, {TNR_SCALAR}, {-1}},
                           {NULL, {S(0, 4)}, {1}}};
  check(state, &tnr_op_relu, 1, FLOAT | WIDE | 1 << TNR_I8, cases);
}

static void softmax_is_the_same_everywhere(void **state) {
  const op_case cases[] = {{ATTRS(softmax, .axis = 1), {S(8, 5)}, {0}},
                           {ATTRS(softmax, .axis = 0), {S(5, 8)}, {1}},
                           {ATTRS(softmax, .axis = -1), {S(2, 4, 7)}, {1}},
                           {ATTRS(softmax, .axis = 1), {S(2, 3, 4)}, {2}},
                           {ATTRS(softmax, .axis = 0), {S(1)}, {-1}},
                           {ATTRS(softmax, .axis = 1), {S(4, 0)}, {0}}};
  check(state, &tnr_op_softmax, 1, FLOAT, cases);
}

static void argmax_is_the_same_everywhere(void **state) {
  const op_case cases[] = {{ATTRS(argmax, .axis = 1), {S(8, 5)}, {0}},
                           {ATTRS(argmax, .axis = 0), {S(5, 8)}, {1}},
                           {ATTRS(argmax, .axis = 1, .keep_dims = 1), {S(2, 3, 4)}, {2}},
                           {ATTRS(argmax, .axis = 0), {S(3)}, {-1}},
                           {ATTRS(argmax, .axis = 0), {S(3, 0)}, {1}}};
  check(state, &tnr_op_argmax, 1, ANY & ~(1 << TNR_F16), cases);
}

static void split_is_the_same_everywhere(void **state) {
  const op_case cases[] = {{ATTRS(split, .dim = 1, .parts = 3), {S(4, 6)}, {0}},
                           {ATTRS(split, .dim = -3, .parts = 2), {S(2, 3, 8)}, {2}},
                           {ATTRS(split, .dim = 0, .parts = 1), {S(3)}, {-1}},
                           {ATTRS(split, .dim = 1, .parts = 2), {S(4, 0)}, {0}}};
  check(state, &tnr_op_split, 1, ANY, cases);
}

static void concat_is_the_same_everywhere(void **state) {
  const op_case cases[] = {{ATTRS(concat, .dim = 1), {S(4, 2), S(4, 3), S(4, 1)}, {0, 0, 0}},
                           {ATTRS(concat, .dim = 0), {S(2, 8), S(1, 8), S(0, 8)}, {1, 1, 1}},
                           {ATTRS(concat, .dim = -1), {S(2), S(3), S(4)}, {-1, -1, -1}}};
  check(state, &tnr_op_concat, 3, ANY, cases);
}

static void reshape_and_flatten_are_the_same_everywhere(void **state) {
  const op_case shapes[] = {{ATTRS(reshape, .shape = S(24)), {S(4, 6)}, {0}},
                            {ATTRS(reshape, .shape = S(4, -1)), {S(24)}, {0}},
                            {ATTRS(reshape, .shape = S(3, 1, 4, 2)), {S(3, 8)}, {1}},
                            {ATTRS(reshape, .shape = TNR_SCALAR), {S(1, 1)}, {-1}},
                            {ATTRS(reshape, .shape = S(4, 0, 5)), {S(4, 0)}, {0}}};
  check(state, &tnr_op_reshape, 1, ANY, shapes);
  const op_case axes[] = {{ATTRS(flatten, .axis = 1), {S(4, 3, 2, 2)}, {0}},
                          {ATTRS(flatten, .axis = 2), {S(3, 2, 4, 2)}, {2}},
                          {ATTRS(flatten, .axis = 0), {TNR_SCALAR}, {-1}}};
  check(state, &tnr_op_flatten, 1, ANY, axes);
}

static void transpose_is_the_same_everywhere(void **state) {
  const void *reverse = ATTRS(transpose, .permuted = 0);
  const op_case cases[] = {
      {reverse, {S(4, 3)}, {0}},
      {reverse, {S(2, 3, 8)}, {2}},
      {ATTRS(transpose, .permutation = {0, 2, 3, 1}, .permuted = 4), {S(4, 2, 3, 5)}, {0}},
      {ATTRS(transpose, .permutation = {1, 2, 0}, .permuted = 3), {S(3, 4, 2)}, {1}},
      {reverse, {TNR_SCALAR}, {-1}},
      {reverse, {S(4, 0)}, {0}}};
  check(state, &tnr_op_transpose, 1, ANY, cases);
}

static void conv2d_is_the_same_everywhere(void **state) {
  const void *plain = ATTRS(conv2d, .groups = 1);
  const void *same = ATTRS(conv2d, .pad_before = {1, 1}, .pad_after = {1, 1});
  const void *odd = ATTRS(conv2d, .stride = {2, 3}, .dilation = {1, 2}, .pad_before = {0, 2},
                          .pad_after = {3, 1});
  const void *depthwise = ATTRS(conv2d, .groups = 3, .pad_before = {1, 1}, .pad_after = {1, 1});
  const op_case cases[] = {{plain, {S(4, 3, 6, 6), S(5, 3, 3, 3), S(5)}, {0, -1, -1}},
                           {same, {S(2, 3, 5, 4), S(8, 3, 3, 3), S(8)}, {-1, 0, 0}},
                           {odd, {S(4, 2, 7, 8), S(3, 2, 2, 3), S(3)}, {0, -1, -1}},
                           {depthwise, {S(4, 3, 5, 5), S(3, 1, 3, 3), S(3)}, {0, -1, -1}},
                           {depthwise, {S(4, 6, 5, 5), S(9, 2, 3, 3), S(9)}, {0, -1, -1}},
                           {plain, {S(1, 1, 1, 1), S(1, 1, 1, 1), S(1)}, {-1, -1, -1}},
                           {plain, {S(0, 2, 3, 3), S(4, 2, 2, 2), S(4)}, {0, -1, -1}},
                           {plain, {S(4, 0, 3, 3), S(4, 0, 2, 2), S(4)}, {0, -1, -1}}};
  check(state, &tnr_op_conv2d, 3, FLOAT, cases);
}

static void max_pool2d_is_the_same_everywhere(void **state) {
  const op_case cases[] = {
      {ATTRS(max_pool2d, .kernel = {2, 2}), {S(4, 3, 6, 6)}, {0}},
      {ATTRS(max_pool2d, .kernel = {3, 2}, .stride = {2, 1}, .dilation = {1, 2},
             .pad_before = {1, 0}, .pad_after = {1, 1}),
       {S(2, 4, 7, 6)},
       {1}},
      {ATTRS(max_pool2d, .kernel = {2, 3}, .pad_after = {1, 2}), {S(4, 1, 5, 7)}, {0}},
      {ATTRS(max_pool2d, .kernel = {1, 1}), {S(1, 1, 1, 1)}, {-1}},
      {ATTRS(max_pool2d, .kernel = {2, 2}), {S(0, 3, 4, 4)}, {0}}};
  check(state, &tnr_op_max_pool2d, 1, FLOAT, cases);
}

static void cast_is_the_same_everywhere(void **state) {
  for (int to = 0; to < TNR_DTYPE_COUNT; to++) {
    const op_case cases[] = {{ATTRS(cast, .dtype = to), {S(8, 3)}, {0}},
                             {ATTRS(cast, .dtype = to), {TNR_SCALAR}, {-1}},
                             {ATTRS(cast, .dtype = to), {S(0, 4)}, {1}}};
    check(state, &tnr_op_cast, 1, ANY, cases);
  }
}

#define HALVES_AND_LARGE 0.5, -0.5, 2.75, -2.75, 1e9, -1e9, 3e38, -3e38, -0.0, 127.5, 255.5, -128.5

static void check_numbers(tnr_runtime *runtime, const tnr_op_def *def, const void *attrs,
                          int in_count, const double *numbers) {
  for (int d = TNR_F32; d <= TNR_BF16; d++) {
    const op_case once = {.attrs = attrs, .split = {-1, -1, -1}};
    op_array x = op_array_of((tnr_dtype)d, S(1, 1, 4, 4), numbers, 16);
    trial t = {.runtime = runtime, .def = def, .which = &once, .in_count = in_count, .in = {x, x}};
    run_everywhere(&t);
    op_free_arrays(NULL);
  }
}

static void numbers_out_of_the_ordinary_are_the_same_everywhere(void **state) {
  const double numbers[16] = {HALVES_AND_LARGE, NAN, INFINITY, -INFINITY, 1};
  check_numbers(*state, &tnr_op_add, NULL, 2, numbers);
  check_numbers(*state, &tnr_op_sub, NULL, 2, numbers);
  check_numbers(*state, &tnr_op_mul, NULL, 2, numbers);
  check_numbers(*state, &tnr_op_div, NULL, 2, numbers);
  check_numbers(*state, &tnr_op_argmax, ATTRS(argmax, .axis = -1), 1, numbers);
  check_numbers(*state, &tnr_op_matmul, ATTRS(matmul, .transpose_b = true), 2, numbers);
  for (int to = 0; to < TNR_DTYPE_COUNT; to++)
    check_numbers(*state, &tnr_op_cast, ATTRS(cast, .dtype = to), 1, numbers);
}

static void large_and_masked_numbers_are_the_same_everywhere(void **state) {
  const double numbers[16] = {HALVES_AND_LARGE, -INFINITY, 1, -INFINITY, 1};
  check_numbers(*state, &tnr_op_relu, NULL, 1, numbers);
  check_numbers(*state, &tnr_op_softmax, ATTRS(softmax, .axis = -1), 1, numbers);
  check_numbers(*state, &tnr_op_max_pool2d, ATTRS(max_pool2d, .kernel = {2, 2}), 1, numbers);
}

static void assert_error(const tnr_error *error, tnr_status code, const char *reason) {
  assert_int_equal(tnr_error_code(error), code);
  assert_string_equal(tnr_error_reason(error), reason);
}

static void a_refused_split_says_what_to_do(void **state) {
  op_array a = op_array_random(TNR_F32, S(8, 4), 1), b = op_array_random(TNR_F32, S(4, 4), 2);
  const op_place *place;
  for (int i = 0; (place = op_place_at(i)); i++) {
    if (!place->sharded)
      continue;
    assert_ok(tnr_scope_open());
    tnr_value x = op_put(*state, place, &a, 1), y = op_put(*state, place, &b, -1);
    tnr_value refused = tnr_matmul(x, y);
    if (place->async)
      tnr_wait(refused, TNR_COMPLETE, INT64_MAX);
    assert_error(place->async ? tnr_future_error(refused) : tnr_error(), TNR_EDEVICE,
                 "input 0 is split over devices along the inner dimension: gather it first");
    assert_ok(tnr_scope_close());
  }
  op_free_arrays(NULL);
}

static void a_kernel_that_fails_is_told_when_complete(void **state) {
  op_array a = op_array_of(TNR_I32, S(2), OP_NUMBERS(1, 2));
  op_array b = op_array_of(TNR_I32, S(2), OP_NUMBERS(3, 0));
  const op_place *place;
  for (int i = 0; (place = op_place_at(i)); i++) {
    assert_ok(tnr_scope_open());
    tnr_value failed = tnr_div(op_put(*state, place, &a, -1), op_put(*state, place, &b, -1));
    assert_made(failed.handle);
    assert_fails(tnr_wait(failed, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
    assert_error(tnr_error(), TNR_EKERNEL, "integer division by zero: element 1 of the divisor");
    assert_ok(tnr_scope_close());
  }
  op_free_arrays(NULL);
}

/* The macros, with the result's type decided at compile time. */

typedef struct images {
  tnr_tensor *x, *weights, *bias, *matrix;
} images;

static images make_images(tnr_runtime *runtime) {
  const op_place *place = op_place_at(0);
  op_array x = op_array_random(TNR_F32, S(2, 4, 4, 4), 1);
  op_array weights = op_array_random(TNR_F32, S(4, 4, 3, 3), 2);
  op_array bias = op_array_random(TNR_F32, S(4), 3), matrix = op_array_random(TNR_F32, S(4, 4), 4);
  return (images){tnr_value_tensor(op_put(runtime, place, &x, -1)),
                  tnr_value_tensor(op_put(runtime, place, &weights, -1)),
                  tnr_value_tensor(op_put(runtime, place, &bias, -1)),
                  tnr_value_tensor(op_put(runtime, place, &matrix, -1))};
}

/* All the macros, one feeding the next, with x of type X and everything else following from it. */
#define EVERY_MACRO(X, TUPLE, x, images)                                                           \
  do {                                                                                             \
    X conv = tnr_conv2d(x, (images).weights, (images).bias, .pad_before = {1, 1});                 \
    X pool = tnr_max_pool2d(tnr_relu(conv), .kernel = {2, 1}, .stride = {1, 1});                   \
    X cast = tnr_cast(tnr_cast(pool, .dtype = TNR_BF16), .dtype = TNR_F32);                        \
    X flat = tnr_reshape(tnr_flatten(cast, .axis = 2), .shape = S(-1, 4));                         \
    X turned = tnr_transpose(tnr_transpose(flat), .permutation = {1, 0}, .permuted = 2);           \
    X product = tnr_matmul(turned, (images).matrix, .transpose_b = true);                          \
    X sum = tnr_sub(tnr_add(product, product), tnr_mul(product, tnr_div(product, product)));       \
    TUPLE parts = tnr_split(tnr_softmax(sum, .axis = 1), .dim = 0, .parts = 2);                    \
    X last = tnr_argmax(tnr_concat(parts, .dim = 1), .axis = 1);                                   \
    result = op_take(TNR_VALUE(last), 0);                                                          \
  } while (0)

static void every_macro_follows_the_type_of_its_inputs(void **state) {
  op_array result;
  assert_ok(tnr_scope_open());
  images images = make_images(*state);
  EVERY_MACRO(tnr_tensor *, tnr_tuple *, images.x, images);
  op_array plain = result;
  assert_int_equal(plain.desc.dtype, TNR_I64);
  EVERY_MACRO(tnr_future *, tnr_future_tuple *, tnr_to_async(images.x), images);
  op_assert_equal(result, plain);
  EVERY_MACRO(tnr_value, tnr_value, TNR_VALUE(images.x), images);
  op_assert_equal(result, plain);
  assert_ok(tnr_scope_close());
  op_free_arrays(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matmul_is_the_same_everywhere),
      cmocka_unit_test(add_sub_mul_and_div_are_the_same_everywhere),
      cmocka_unit_test(relu_is_the_same_everywhere),
      cmocka_unit_test(softmax_is_the_same_everywhere),
      cmocka_unit_test(argmax_is_the_same_everywhere),
      cmocka_unit_test(split_is_the_same_everywhere),
      cmocka_unit_test(concat_is_the_same_everywhere),
      cmocka_unit_test(reshape_and_flatten_are_the_same_everywhere),
      cmocka_unit_test(transpose_is_the_same_everywhere),
      cmocka_unit_test(conv2d_is_the_same_everywhere),
      cmocka_unit_test(max_pool2d_is_the_same_everywhere),
      cmocka_unit_test(cast_is_the_same_everywhere),
      cmocka_unit_test(numbers_out_of_the_ordinary_are_the_same_everywhere),
      cmocka_unit_test(large_and_masked_numbers_are_the_same_everywhere),
      cmocka_unit_test(a_refused_split_says_what_to_do),
      cmocka_unit_test(a_kernel_that_fails_is_told_when_complete),
      cmocka_unit_test(every_macro_follows_the_type_of_its_inputs),
  };
  return cmocka_run_group_tests(tests, op_runtime_setup, op_runtime_teardown);
}
