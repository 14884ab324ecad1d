/* The journey of ops: chains, graphs, several devices, and what fails on the way. */
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"

static tnr_future *async(tnr_runtime *runtime, int device, float number) {
  return tnr_to_async(rig_tensor(rig_cpu(runtime, device), number));
}

/* ---- chains ---- */

static void a_chain_runs_in_order(void **state) {
  tnr_future *f = async(*state, 0, 0);
  tnr_tensor *t = rig_tensor(rig_cpu(*state, 1), 0);
  for (int i = 0; i < 1000; i++) {
    f = rig_plus_one(f);
    t = rig_plus_one(t);
  }
  assert_number(f, 1000);
  assert_number(t, 1000);
}

/* On threads with next to no stack, so that none is needed for the length of what they do. */
static tnr_runtime *runtime_of_small_stacks(void) {
  const tnr_device_config devices[] = {{.driver = tnr_null_driver(), .count = 2},
                                       {.driver = tnr_cpu_driver(), .count = 1}};
  rig_limit_stacks(128);
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = devices, .device_configs = 2, CHECK_MODE});
  assert_made(runtime);
  return runtime;
}

/* One that waits at the gate, moved to a device that runs at once. */
static tnr_future *held_on(tnr_runtime *runtime, tnr_device *device,
                           tnr_future *(*hold)(tnr_future *)) {
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 0);
  tnr_future *source = tnr_to_async(x), *held = hold(source), *moved = tnr_to_device(held, device);
  assert_made(moved);
  tnr_release(held);
  tnr_release(source);
  tnr_release(x);
  return moved;
}

static tnr_future *hold(tnr_future *x) {
  return rig_hold(x);
}

static tnr_future *fail_late(tnr_future *x) {
  return rig_fail_late(x);
}

/* Each link but the last is given up as soon as it has been used. */
static void run_chain(int links, bool across, tnr_future *(*begin)(tnr_future *),
                      tnr_status status) {
  tnr_runtime *runtime = runtime_of_small_stacks();
  tnr_device *devices[] = {tnr_runtime_device_at(runtime, 0), tnr_runtime_device_at(runtime, 1)};
  tnr_future *chain = held_on(runtime, devices[0], begin);
  for (int i = 0; i < links; i++) {
    tnr_future *next = across ? tnr_to_device(chain, devices[(i + 1) % 2]) : rig_plus_one(chain);
    assert_made(next);
    tnr_release(chain);
    chain = next;
  }
  assert_false(tnr_passed(chain, TNR_CREATED));
  rig_open_gate();
  assert_fails(tnr_wait(chain, TNR_COMPLETE, INT64_MAX), status);
  tnr_release(chain);
  assert_nothing_left(runtime);
}

/* They take 3 GiB while they wait. */
static int ten_million_if_they_fit(void) {
  enum { TEN_MILLION = CHECK_MANY(10000000) };
  if (check_mode() != TNR_THREADS) /* the stack is that of the main thread, and no smaller there */
    return TEN_MILLION / 10;
  int64_t free_bytes = (int64_t)sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE);
  if (free_bytes > 5ll << 30)
    return TEN_MILLION;
  print_message("too little memory for %d ops: %d\n", TEN_MILLION, TEN_MILLION / 10);
  return TEN_MILLION / 10;
}

static void a_chain_of_ten_million_ops_is_released_at_once_by_its_first(void **state) {
  (void)state;
  run_chain(ten_million_if_they_fit(), false, hold, TNR_OK);
}

static void a_chain_across_devices_needs_no_stack(void **state) {
  (void)state;
  run_chain(CHECK_MANY(500000), true, hold, TNR_OK);
}

static void a_chain_that_fails_at_its_first_needs_no_stack(void **state) {
  (void)state;
  run_chain(CHECK_MANY(500000), false, fail_late, TNR_EKERNEL);
  rig_close_gate();
  run_chain(CHECK_MANY(500000), true, fail_late, TNR_EKERNEL);
}

static void one_op_releases_very_many(void **state) {
  enum { MANY = CHECK_MANY(100000) };
  tnr_future *held = rig_hold(async(*state, 0, 1)), *last = NULL;
  for (int i = 0; i < MANY; i++) {
    assert_ok(tnr_scope_open());
    tnr_future *f = i % 2 ? rig_plus_one(held) : tnr_to_device(held, rig_cpu(*state, 1 + i % 3));
    assert_made(f);
    if (i == MANY - 1)
      last = tnr_keep(f);
    assert_ok(tnr_scope_close());
  }
  rig_open_gate();
  assert_number(last, MANY % 2 ? 1 : 2);
  for (int d = 0; d < 4; d++)
    assert_ok(tnr_synchronize_device(rig_cpu(*state, d)));
  tnr_runtime_stats stats = tnr_runtime_get_stats(*state);
  assert_int_equal(stats.submitted, stats.completed);
  assert_int_equal(stats.failed, 0);
}

/* ---- a large graph with failures in it ---- */

enum { NODES = CHECK_MANY(20000), BAD = 3 };

typedef struct node {
  tnr_value value;
  float number;
  int device;
  uint32_t bad; /* bit i: is or descends from failing node i */
} node;

static tnr_value move_to(tnr_runtime *runtime, const node *from, int device) {
  return from->device == device ? from->value
                                : tnr_to_device(from->value, rig_cpu(runtime, device));
}

static node grow(tnr_runtime *runtime, const node *a, const node *b, int device) {
  node made = {.device = device, .bad = a->bad};
  tnr_value x = move_to(runtime, a, device);
  if (a->number + b->number < 1e6f) {
    made.number = a->number + b->number;
    made.bad |= b->bad;
    made.value = rig_sum(x, move_to(runtime, b, device));
  } else {
    made.number = a->number + 1;
    made.value = rig_plus_one(x);
  }
  return made;
}

/* The node at each third of the graph fails. */
static void grow_graph(tnr_runtime *runtime, node *nodes, bool plain, unsigned seed) {
  srand(seed);
  for (int i = 0; i < NODES; i++) {
    if (i < 16) {
      tnr_value leaf = TNR_VALUE(rig_tensor(rig_cpu(runtime, i % 4), (float)i));
      nodes[i] = (node){plain ? leaf : tnr_to_async(leaf), (float)i, i % 4, 0};
      continue;
    }
    nodes[i] = grow(runtime, &nodes[rand() % i], &nodes[rand() % i], rand() % 4);
    int bad = i % (NODES / (BAD + 1)) == 0 ? i / (NODES / (BAD + 1)) : 0;
    if (bad > 0 && bad <= BAD) {
      nodes[i].value = rig_fail(nodes[i].value);
      nodes[i].bad |= 1u << bad;
    }
  }
}

static const tnr_error *root_of(const node *nodes, int bad) {
  return tnr_value_error(nodes[bad * (NODES / (BAD + 1))].value);
}

static void check_graph(const node *nodes) {
  int failed = 0;
  for (int i = 0; i < NODES; i++) {
    if (!nodes[i].bad) {
      assert_number(nodes[i].value, nodes[i].number);
      continue;
    }
    failed++;
    assert_fails(tnr_wait(nodes[i].value, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
    const tnr_error *error = tnr_value_error(nodes[i].value);
    bool is_a_root = false;
    for (int bad = 1; bad <= BAD; bad++)
      is_a_root |= (nodes[i].bad >> bad & 1) && error == root_of(nodes, bad);
    assert_true(is_a_root);
  }
  assert_in_range(failed, BAD, NODES - 16);
}

static void exactly_the_descendants_of_failures_fail_with_the_root_error(void **state) {
  node *nodes = calloc(NODES, sizeof *nodes);
  for (unsigned seed = 1; seed <= 3; seed++) {
    assert_ok(tnr_scope_open());
    grow_graph(*state, nodes, false, seed);
    check_graph(nodes);
    assert_ok(tnr_scope_close());
  }
  free(nodes);
  assert_number(rig_plus_one(async(*state, 0, 1)), 2);
}

/* Plain calls give NULL where the failure is known in time, and a tensor that fails elsewhere. */
static void so_do_those_of_plain_calls(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1), *bad = rig_fail_late(x);
  tnr_tensor *child = rig_plus_one(tnr_to_device(rig_plus_one(bad), rig_cpu(*state, 1)));
  tnr_tensor *sibling = rig_plus_one(x);
  rig_open_gate();
  assert_fails(tnr_wait(child, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(child), tnr_future_error(bad));
  const tnr_error *root = tnr_future_error(bad);
  assert_null(rig_plus_one(bad));
  assert_ptr_equal(tnr_error(), root);
  assert_null(rig_sum(sibling, child));
  assert_ptr_equal(tnr_error(), root);
  assert_number(sibling, 2);
}

/* ---- several devices ---- */

static tnr_status split_as_input(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                                 int out_count, int *out_dims, tnr_fault *fault) {
  (void)call;
  (void)out;
  (void)out_count;
  (void)fault;
  out_dims[0] = in_dims[0];
  return TNR_OK;
}

static tnr_status refuse_negative(const tnr_kernel_call *call, tnr_fault *fault) {
  float first = *(const float *)call->in_data[0];
  if (first < 0)
    return tnr_fail(fault, TNR_EKERNEL, "%g is negative", (double)first);
  *(float *)call->out_data[0] = first;
  return TNR_OK;
}

static void a_piece_that_fails_on_one_device_fails_the_whole(void **state) {
  static const tnr_op_def def = {.name = "positive",
                                 .validate = rig_any_input,
                                 .infer = rig_like_input,
                                 .kernel = refuse_negative,
                                 .shard = split_as_input};
  for (int bad = 0; bad < 4; bad++)
    for (int round = 0; round < CHECK_MANY(200) + 1; round++) {
      float data[RIG_ELEMENTS] = {1, 2, 3, 4};
      assert_ok(tnr_scope_open());
      tnr_tensor *good =
          tnr_shard(tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data),
                    rig_cpus(*state, 4));
      data[bad] = -1;
      tnr_tensor *x =
          tnr_shard(tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data),
                    rig_cpus(*state, 4));
      tnr_future *f = TNR_OP1(&def, tnr_to_async(x), tnr_no_attrs, );
      tnr_future *child = rig_plus_one(f), *last = tnr_gather(rig_sum(child, child));
      tnr_future *sibling = rig_sum(tnr_to_async(good), x);
      assert_fails(tnr_wait(last, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
      assert_string_equal(tnr_error_reason(tnr_error()), "-1 is negative");
      assert_ptr_equal(tnr_future_error(last), tnr_future_error(f));
      assert_ptr_equal(tnr_future_error(child), tnr_future_error(f));
      assert_ok(tnr_wait(sibling, TNR_COMPLETE, INT64_MAX));
      assert_ok(tnr_scope_close());
    }
}

static void an_op_without_a_rule_for_pieces_says_so(void **state) {
  static const tnr_op_def def = {.name = "whole",
                                 .validate = rig_any_input,
                                 .infer = rig_like_input,
                                 .kernel = refuse_negative};
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_tensor *pieces = tnr_shard(x, rig_cpus(*state, 2));
  assert_null(TNR_OP1(&def, pieces, tnr_no_attrs, ));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDEVICE);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "the op does not say how to work on sharded inputs; gather them first");
  tnr_tensor *copies = TNR_OP1(&def, tnr_replicate(x, rig_cpus(*state, 2)), tnr_no_attrs, );
  assert_ok(tnr_wait(copies, TNR_COMPLETE, INT64_MAX));
}

/* ---- numbers of inputs and outputs ---- */

static atomic_int outputs_wanted;

static tnr_status wanted_outputs(const tnr_op_call *call, tnr_op_outputs *outputs,
                                 tnr_fault *fault) {
  (void)fault;
  for (int i = 0; i < atomic_load(&outputs_wanted); i++)
    tnr_op_add_output(outputs, TNR_F32, call->in[0].shape);
  return TNR_OK;
}

static tnr_status number_outputs(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  for (int o = 0; o < call->out_count; o++)
    for (int i = 0; i < RIG_ELEMENTS; i++)
      ((float *)call->out_data[o])[i] = (float)o;
  return TNR_OK;
}

static void an_op_may_have_any_number_of_outputs(void **state) {
  static const tnr_op_def defs[] = {
#define DEF(text)                                                                                  \
  {.name = text,                                                                                   \
   .result = TNR_OP_TUPLE,                                                                         \
   .validate = rig_any_input,                                                                      \
   .infer = wanted_outputs,                                                                        \
   .kernel = number_outputs}
      DEF("none"), DEF("one"), DEF("hundred")};
  const int counts[] = {0, 1, 100};
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int i = 0; i < 3; i++) {
    atomic_store(&outputs_wanted, counts[i]);
    tnr_tuple *plain = TNR_OP1_TUPLE(&defs[i], x, tnr_no_attrs, );
    assert_made(plain);
    assert_int_equal(tnr_tuple_count(plain), counts[i]);
    tnr_future_tuple *f = TNR_OP1_TUPLE(&defs[i], tnr_to_async(x), tnr_no_attrs, );
    assert_int_equal(tnr_tuple_count(tnr_get(f)), counts[i]);
    assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
    assert_ok(tnr_wait(plain, TNR_COMPLETE, INT64_MAX));
    if (counts[i] > 0)
      assert_number(tnr_at(f, counts[i] - 1), (float)counts[i] - 1);
    tnr_future *sum = rig_sum_of(f);
    assert_int_equal(tnr_wait(sum, TNR_COMPLETE, INT64_MAX), counts[i] ? TNR_OK : TNR_EINVAL);
    assert_int_equal(rig_sum_of(plain) != NULL, counts[i] > 0);
  }
}

static void an_op_of_one_output_must_add_one(void **state) {
  static const tnr_op_def def = {.name = "two_for_one",
                                 .validate = rig_any_input,
                                 .infer = wanted_outputs,
                                 .kernel = number_outputs};
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  atomic_store(&outputs_wanted, 2);
  assert_null(TNR_OP1(&def, x, tnr_no_attrs, ));
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "the op gives one tensor, but its infer added 2 outputs");
  tnr_future *f = TNR_OP1(&def, tnr_to_async(x), tnr_no_attrs, );
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
}

static void an_op_may_have_very_many_inputs(void **state) {
  enum { MANY = CHECK_MANY(2000) };
  tnr_value *in = calloc(MANY, sizeof *in);
  float sum = 0;
  for (int i = 0; i < MANY; i++) {
    tnr_future *x = async(*state, 0, (float)(i % 10));
    in[i] = i % 3 ? TNR_VALUE(rig_plus_one(x)) : TNR_VALUE(tnr_get(x));
    sum += (float)(i % 10 + (i % 3 != 0));
  }
  assert_number(tnr_call(&rig_sum_op, TNR_HERE, in, MANY, NULL), sum);
  free(in);
}

/* The same input twice, and inputs that are each other's ancestors. */
static void inputs_may_be_the_same(void **state) {
  tnr_future *f = rig_hold(async(*state, 0, 1));
  tnr_future *g = rig_sum(f, f), *h = rig_sum(rig_sum(g, f), rig_plus_one(g));
  rig_open_gate();
  assert_number(g, 2);
  assert_number(h, 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_chain_runs_in_order),
      rig_bare_test(a_chain_of_ten_million_ops_is_released_at_once_by_its_first),
      rig_bare_test(a_chain_across_devices_needs_no_stack),
      rig_bare_test(a_chain_that_fails_at_its_first_needs_no_stack),
      rig_test(one_op_releases_very_many),
      rig_test(exactly_the_descendants_of_failures_fail_with_the_root_error),
      rig_test(so_do_those_of_plain_calls),
      rig_test(a_piece_that_fails_on_one_device_fails_the_whole),
      rig_test(an_op_without_a_rule_for_pieces_says_so),
      rig_test(an_op_may_have_any_number_of_outputs),
      rig_test(an_op_of_one_output_must_add_one),
      rig_test(an_op_may_have_very_many_inputs),
      rig_test(inputs_may_be_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
