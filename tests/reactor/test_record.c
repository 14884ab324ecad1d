/* What is recorded of what happens, read back from the file. */
#include "recorded.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reactor/ticker.h"
#include "rig.h"

static char path[64];

static int set_up(void **state) {
  snprintf(path, sizeof path, "/tmp/tenor_record_%d.tnr", (int)getpid());
  rig_setup(state);
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = path}));
  return 0;
}

static int tear_down(void **state) {
  (void)unlink(path);
  return rig_teardown(state);
}

/* Without threads nothing runs while the test does not wait for it. */
static void needs_threads(tnr_runtime *runtime) {
  if (check_mode() == TNR_THREADS)
    return;
  (void)tnr_trace_stop(runtime); /* the next test writes to the same file */
  skip();
}

/* What has been recorded so far; recording is over. */
static recorded stop(tnr_runtime *runtime) {
  for (int i = 0; i < tnr_runtime_device_count(runtime); i++)
    assert_ok(tnr_synchronize_device(tnr_runtime_device_at(runtime, i)));
  assert_ok(tnr_trace_stop(runtime));
  recorded r = recorded_read(path);
  assert_non_null(r.total);
  assert_int_equal(r.total->lost, 0);
  assert_int_equal(r.total->strangers, 0);
  assert_true(r.total->records <= r.records); /* a thread may record until it sees the end */
  return r;
}

static const recorded_event *one(const recorded *r, tnr_trace_type type, uint32_t op) {
  assert_int_not_equal(op, 0);
  assert_int_equal(recorded_count(r, type, op), 1);
  return recorded_find(r, type, op);
}

/* When it was executed, from its RUN or its BEGIN and END. */
static uint64_t begin_of(const recorded *r, uint32_t op) {
  const recorded_event *run = recorded_find(r, TNR_TRACE_RUN, op);
  if (!run)
    return one(r, TNR_TRACE_BEGIN, op)->time - one(r, TNR_TRACE_BEGIN, op)->create;
  return run->time - run->execute - run->create;
}

static uint64_t end_of(const recorded *r, uint32_t op) {
  const recorded_event *run = recorded_find(r, TNR_TRACE_RUN, op);
  return run ? run->time : one(r, TNR_TRACE_END, op)->time;
}

static void assert_journey(const recorded *r, uint32_t op) {
  uint64_t submitted = one(r, TNR_TRACE_SUBMIT, op)->time;
  uint64_t resolved = one(r, TNR_TRACE_RESOLVE, op)->time;
  uint64_t launched = one(r, TNR_TRACE_LAUNCH, op)->time;
  uint64_t completed = one(r, TNR_TRACE_COMPLETE, op)->time;
  assert_true(submitted <= resolved && resolved <= launched);
  assert_true(launched <= begin_of(r, op) && begin_of(r, op) <= end_of(r, op));
  assert_true(end_of(r, op) <= completed);
}

static void assert_input(const recorded *r, uint32_t op, uint32_t index, uint32_t from) {
  const recorded_event *submit = one(r, TNR_TRACE_SUBMIT, op);
  assert_in_range(index, 0, submit->inputs - 1);
  assert_int_equal(submit->input[index], from);
}

/* ---- the journey ---- */

static void every_op_passes_every_event_in_order(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  enum { LENGTH = 300 };
  for (int i = 0; i < LENGTH; i++)
    x = rig_plus_one(x);
  assert_number(x, LENGTH + 1);
  recorded r = stop(*state);
  uint32_t before = 0;
  for (int i = 0; i < LENGTH; i++) {
    uint32_t op = recorded_op(&r, "rig_plus_one", i);
    assert_journey(&r, op);
    assert_input(&r, op, 0, before);
    assert_int_equal(one(&r, TNR_TRACE_COMPLETE, op)->what, TNR_OK);
    if (before)
      assert_true(end_of(&r, before) <= begin_of(&r, op));
    before = op;
  }
  assert_true(recorded_count(&r, TNR_TRACE_SIGNAL, 0) > 0);
  recorded_finish(&r);
}

static void events_are_of_the_threads_on_which_they_happen(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 2), 1));
  assert_number(rig_plus_one(x), 2);
  recorded r = stop(*state);
  uint32_t op = recorded_op(&r, "rig_plus_one", 0);
  assert_int_equal(one(&r, TNR_TRACE_SUBMIT, op)->kind, TNR_TRACE_APPLICATION);
  assert_int_equal(one(&r, TNR_TRACE_RESOLVE, op)->kind, TNR_TRACE_DISPATCHER);
  assert_int_equal(one(&r, TNR_TRACE_LAUNCH, op)->kind, TNR_TRACE_DISPATCHER);
  assert_int_equal(one(&r, TNR_TRACE_LAUNCH, op)->what, 2);
  assert_int_equal(one(&r, TNR_TRACE_COMPLETE, op)->kind, TNR_TRACE_DISPATCHER);
  const recorded_event *run = recorded_find(&r, TNR_TRACE_RUN, op);
  run = run ? run : one(&r, TNR_TRACE_BEGIN, op);
  assert_int_equal(run->kind, TNR_TRACE_WORKER);
  assert_int_equal(run->device, 2);
  recorded_finish(&r);
}

static void a_call_says_where_it_stands_and_with_what(void **state) {
  float ones[6] = {1, 1, 1, 1, 1, 1};
  tnr_tensor *a = tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(2, 3), ones);
  tnr_tensor *b = tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(2, 3), ones);
  tnr_future *c = tnr_matmul(tnr_to_async(a), b, .transpose_b = true);
  int line = __LINE__ - 1;
  assert_ok(tnr_wait(c, TNR_COMPLETE, INT64_MAX));
  recorded r = stop(*state);
  uint32_t op = recorded_op(&r, "matmul", 0);
  const tnr_trace_site *site = one(&r, TNR_TRACE_SUBMIT, op)->site;
  assert_string_equal(recorded_file(site), __FILE__);
  assert_int_equal(site->line, line);
  assert_int_equal(site->composite_bytes, 0);
  const recorded_event *run = recorded_find(&r, TNR_TRACE_RUN, op);
  run = run ? run : one(&r, TNR_TRACE_BEGIN, op);
  assert_non_null(run->plan);
  assert_string_equal(recorded_plan_name(run->plan), "matmul");
  assert_string_equal(recorded_attrs(run->plan), "transpose_b");
  assert_int_equal(run->plan->in_count, 2);
  assert_int_equal(run->plan->out_count, 1);
  assert_int_equal(run->plan->bytes, 4 * sizeof(float));
  const uint64_t *descs = (const uint64_t *)(run->plan + 1);
  const uint64_t expected[] = {TNR_F32 | 2 << 8, 2, 3, TNR_F32 | 2 << 8, 2, 3,
                               TNR_F32 | 2 << 8, 2, 2};
  assert_memory_equal(descs, expected, sizeof expected);
  recorded_finish(&r);
}

static void the_program_cache_misses_once(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  for (int i = 0; i < 3; i++)
    x = rig_plus_one(x);
  assert_number(x, 4);
  recorded r = stop(*state);
  for (int i = 0; i < 3; i++) {
    uint32_t op = recorded_op(&r, "rig_plus_one", i);
    const recorded_event *run = recorded_find(&r, TNR_TRACE_RUN, op);
    run = run ? run : one(&r, TNR_TRACE_BEGIN, op);
    assert_int_equal((run->flags & TNR_TRACE_MISS) != 0, i == 0);
  }
  recorded_finish(&r);
}

static void a_plain_call_creates_first(void **state) {
  tnr_tensor *x = rig_plus_one(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_tensor *y = rig_plus_one(x);
  assert_number(y, 3);
  recorded r = stop(*state);
  uint32_t first = recorded_op(&r, "rig_plus_one", 0), second = recorded_op(&r, "rig_plus_one", 1);
  assert_true(one(&r, TNR_TRACE_SUBMIT, first)->flags & TNR_TRACE_PLAIN);
  assert_true(one(&r, TNR_TRACE_CREATE, first)->time <= one(&r, TNR_TRACE_SUBMIT, first)->time);
  assert_journey(&r, first);
  assert_journey(&r, second);
  assert_input(&r, second, 0, first);
  recorded_finish(&r);
}

static void an_alias_is_not_executed(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_future *y = tnr_reshape(tnr_to_async(x), .shape = TNR_SHAPE(2, 2));
  assert_number(rig_plus_one(y), 2);
  recorded r = stop(*state);
  uint32_t alias = recorded_op(&r, "reshape", 0);
  const recorded_event *run = one(&r, TNR_TRACE_RUN, alias);
  assert_true(run->flags & TNR_TRACE_ALIAS);
  assert_int_equal(run->execute, 0);
  assert_input(&r, recorded_op(&r, "rig_plus_one", 0), 0, alias);
  recorded_finish(&r);
}

static void many_inputs_are_all_there(void **state) {
  enum { MANY = 1200 };
  static tnr_value inputs[MANY];
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *two = rig_plus_one(x);
  for (int i = 0; i < MANY; i++)
    inputs[i] = i % 7 == 0 ? TNR_VALUE(two) : TNR_VALUE(x);
  tnr_value sum = tnr_call(&rig_sum_op, TNR_HERE, inputs, MANY, NULL);
  assert_ok(tnr_wait(sum, TNR_COMPLETE, INT64_MAX));
  recorded r = stop(*state);
  uint32_t from = recorded_op(&r, "rig_plus_one", 0), op = recorded_op(&r, "rig_sum", 0);
  const recorded_event *submit = one(&r, TNR_TRACE_SUBMIT, op);
  uint32_t seen = submit->inputs;
  for (uint32_t i = 0; i < submit->inputs; i++)
    assert_int_equal(submit->input[i], i % 7 == 0 ? from : 0);
  for (size_t i = 0; i < r.count; i++) {
    if (r.events[i].type != TNR_TRACE_INPUTS)
      continue;
    const tnr_trace_inputs *more = (const tnr_trace_inputs *)r.events[i].words;
    const uint32_t *numbers = (const uint32_t *)(more + 1);
    assert_int_equal(more->op, op);
    for (uint32_t k = 0; k < more->inputs; k++, seen++)
      assert_int_equal(numbers[k], seen % 7 == 0 ? from : 0);
  }
  assert_int_equal(seen, MANY);
  recorded_finish(&r);
}

/* ---- devices ---- */

static void a_copy_says_from_where_to_where(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_sim(*state, 0), 1));
  tnr_future *y = tnr_to_device(x, rig_sim(*state, 1));
  assert_number(rig_plus_one(y), 2);
  recorded r = stop(*state);
  uint32_t copy = 0;
  for (int i = 0; (copy = recorded_op(&r, "to_device", i)) != 0; i++) {
    const recorded_event *move = one(&r, TNR_TRACE_MOVE, copy);
    const tnr_trace_move *what = (const tnr_trace_move *)move->words;
    if (what->from != 4)
      continue;
    assert_int_equal(what->to, 5);
    assert_int_equal(what->bytes, RIG_ELEMENTS * sizeof(float));
    assert_input(&r, recorded_op(&r, "rig_plus_one", 0), 0, copy);
    assert_journey(&r, copy);
    break;
  }
  assert_int_not_equal(copy, 0);
  recorded_finish(&r);
}

static void an_op_on_several_devices_runs_on_each(void **state) {
  enum { PARTS = 3 };
  tnr_tensor *x = tnr_scalar(rig_cpus(*state, PARTS), TNR_F32, 1);
  tnr_future *y = rig_plus_one(tnr_to_async(x));
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  recorded r = stop(*state);
  uint32_t op = recorded_op(&r, "rig_plus_one", 0);
  assert_int_equal(recorded_count(&r, TNR_TRACE_LAUNCH, op), PARTS);
  assert_int_equal(recorded_count(&r, TNR_TRACE_RUN, op) + recorded_count(&r, TNR_TRACE_END, op),
                   PARTS);
  assert_int_equal(recorded_count(&r, TNR_TRACE_COMPLETE, op), 1);
  recorded_finish(&r);
}

/* ---- failures ---- */

static void a_failed_op_says_why_and_its_descendants_fail(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *bad = rig_fail(x), *after = rig_plus_one(bad);
  assert_fails(tnr_wait(after, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  recorded r = stop(*state);
  uint32_t failed = recorded_op(&r, "rig_fail", 0), child = recorded_op(&r, "rig_plus_one", 0);
  const recorded_event *error = one(&r, TNR_TRACE_ERROR, failed);
  const tnr_trace_error *why = (const tnr_trace_error *)error->words;
  assert_int_equal(why->status, TNR_EKERNEL);
  assert_memory_equal(why + 1, "no", why->bytes);
  assert_int_equal(one(&r, TNR_TRACE_COMPLETE, failed)->what, TNR_EKERNEL);
  assert_int_equal(recorded_count(&r, TNR_TRACE_ERROR, child), 0);
  assert_int_equal(one(&r, TNR_TRACE_COMPLETE, child)->what, TNR_EKERNEL);
  recorded_finish(&r);
}

static void what_is_aborted_ends_as_cancelled(void **state) {
  check_needs_threads();
  tnr_trace_options options = {.path = path};
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  assert_ok(tnr_trace_start(runtime, &options));
  assert_ok(tnr_scope_open());
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
  tnr_future *after = rig_plus_one(held);
  assert_non_null(after);
  rig_await_held(1);
  rig_open_gate();
  assert_ok(tnr_scope_close());
  assert_ok(tnr_runtime_destroy(runtime, TNR_ABORT));
  recorded r = recorded_read(path);
  assert_non_null(r.total);
  assert_int_equal(r.total->drained, 1);
  for (int i = 0; i < 2; i++) {
    const recorded_event *end =
        one(&r, TNR_TRACE_COMPLETE, recorded_op(&r, i ? "rig_plus_one" : "rig_hold", 0));
    assert_true(end->what == TNR_OK || end->what == TNR_ECANCELED);
  }
  recorded_finish(&r);
}

/* ---- requests ---- */

static void ops_say_their_group_and_priority(void **state) {
  tnr_group *outer = tnr_group_create(*state, .name = "request 7");
  tnr_group *inner =
      tnr_group_create(*state, .name = "part", .priority = TNR_PRIORITY_LOW, .parent = outer);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *last = rig_plus_one(x);
  assert_ok(tnr_terms_open(.group = outer, .priority = TNR_PRIORITY_HIGH));
  last = rig_plus_one(last);
  assert_ok(tnr_terms_close());
  assert_ok(tnr_terms_open(.group = inner));
  last = rig_plus_one(last);
  assert_ok(tnr_terms_close());
  assert_ok(tnr_terms_open(.priority = TNR_PRIORITY_LOW));
  last = rig_plus_one(last);
  assert_ok(tnr_terms_close());
  assert_number(last, 5);
  recorded r = stop(*state);
  const recorded_event *submits[4];
  for (int i = 0; i < 4; i++)
    submits[i] = one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "rig_plus_one", i));
  assert_null(submits[0]->group);
  assert_int_equal(submits[0]->priority, TNR_PRIORITY_NORMAL);
  assert_non_null(strstr(recorded_group(submits[1]->group), "'request 7'"));
  assert_int_equal(submits[1]->priority, TNR_PRIORITY_HIGH);
  assert_non_null(strstr(recorded_group(submits[2]->group), "'part'"));
  assert_int_equal(submits[2]->priority, TNR_PRIORITY_LOW);
  assert_null(submits[3]->group);
  assert_int_equal(submits[3]->priority, TNR_PRIORITY_LOW);
  recorded_finish(&r);
}

/* More than are remembered, again and again. */
static void many_groups_are_told_apart(void **state) {
  enum { GROUPS = 20, TIMES = 3 };
  char names[GROUPS][16];
  tnr_group *groups[GROUPS];
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)), *last = NULL;
  for (int i = 0; i < GROUPS; i++) {
    snprintf(names[i], sizeof names[i], "'g%d'", i);
    names[i][strlen(names[i]) - 1] = '\0';
    groups[i] = tnr_group_create(*state, .name = names[i] + 1);
    assert_made(groups[i]);
  }
  for (int i = 0; i < TIMES * GROUPS; i++) {
    assert_ok(tnr_terms_open(.group = groups[i % GROUPS]));
    assert_made(last = rig_plus_one(x));
    assert_ok(tnr_terms_close());
  }
  assert_number(last, 2);
  recorded r = stop(*state);
  for (int i = 0; i < TIMES * GROUPS; i++) {
    const recorded_event *submit = one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "rig_plus_one", i));
    char quoted[20];
    snprintf(quoted, sizeof quoted, "%s'", names[i % GROUPS]);
    assert_non_null(strstr(recorded_group(submit->group), quoted));
  }
  recorded_finish(&r);
}

static void what_was_cancelled_or_late_says_so(void **state) {
  needs_threads(*state);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  assert_made(rig_hold(x));
  rig_await_held(1);
  tnr_future *gone = rig_plus_one(x);
  assert_ok(tnr_terms_open(.timeout_ns = 1000000));
  tnr_future *late = rig_plus_one(x);
  assert_ok(tnr_terms_close());
  assert_ok(tnr_cancel(gone));
  assert_fails(tnr_wait(gone, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_fails(tnr_wait(late, TNR_COMPLETE, INT64_MAX), TNR_ETIMEDOUT);
  rig_open_gate();
  recorded r = stop(*state);
  assert_int_equal(one(&r, TNR_TRACE_COMPLETE, recorded_op(&r, "rig_plus_one", 0))->what,
                   TNR_ECANCELED);
  assert_int_equal(one(&r, TNR_TRACE_COMPLETE, recorded_op(&r, "rig_plus_one", 1))->what,
                   TNR_ETIMEDOUT);
  recorded_finish(&r);
}

/* ---- composites and futures of several ---- */

static tnr_value relu_of_linear(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return tnr_relu(tnr_linear(in[0], in[1], in[2]));
}

static const tnr_composite_def outer_composite = {.name = "outer", .body = relu_of_linear};

static void the_children_of_a_composite_name_it(void **state) {
  float data[16] = {0};
  tnr_device *device = rig_cpu(*state, 0);
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(4, 4), data);
  tnr_tensor *bias = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(4), data);
  tnr_future *y = TNR_COMPOSITE3(&outer_composite, tnr_to_async(x), x, bias, tnr_no_attrs, );
  int line = __LINE__ - 1;
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  recorded r = stop(*state);
  uint32_t outer = recorded_op(&r, "outer", 0), inner = recorded_op(&r, "linear", 0);
  const recorded_event *call = one(&r, TNR_TRACE_SUBMIT, outer);
  assert_int_equal(call->flags & TNR_TRACE_KIND_MASK, TNR_TRACE_COMPOSITE);
  assert_int_equal(call->inputs, 3);
  assert_int_equal(call->parent, 0);
  assert_int_equal(call->site->line, line);
  assert_int_equal(one(&r, TNR_TRACE_SUBMIT, inner)->parent, outer);
  const recorded_event *relu = one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "relu", 0));
  const recorded_event *matmul = one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "matmul", 0));
  assert_int_equal(relu->parent, outer);
  assert_string_equal(recorded_composite(relu->site), "outer");
  assert_int_equal(matmul->parent, inner);
  assert_int_equal(matmul->site->line, line);
  assert_true(one(&r, TNR_TRACE_BODY, inner)->time <= one(&r, TNR_TRACE_BODY, outer)->time);
  recorded_finish(&r);
}

static void a_composite_that_waits_for_shapes_runs_on_the_dispatcher(void **state) {
  needs_threads(*state);
  float data[16] = {0};
  tnr_tensor *x = tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(4, 4), data);
  tnr_future *held = rig_hold(tnr_to_async(x));
  tnr_future *later = rig_plus_one(held);
  tnr_future *y = tnr_attention(later, later, later);
  rig_await_held(1);
  rig_open_gate();
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  recorded r = stop(*state);
  uint32_t op = recorded_op(&r, "attention", 0);
  assert_int_equal(one(&r, TNR_TRACE_SUBMIT, op)->input[0], recorded_op(&r, "rig_plus_one", 0));
  assert_int_equal(one(&r, TNR_TRACE_BODY, op)->kind, TNR_TRACE_DISPATCHER);
  const recorded_event *child = one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "softmax", 0));
  assert_int_equal(child->parent, op);
  assert_int_equal(child->kind, TNR_TRACE_DISPATCHER);
  assert_true(child->time <= one(&r, TNR_TRACE_COMPLETE, op)->time);
  recorded_finish(&r);
}

static void futures_of_several_say_of_which(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *members[] = {rig_plus_one(x), rig_plus_one(x)};
  tnr_future *any = tnr_any(members, 2, TNR_HERE);
  tnr_future_tuple *all = tnr_tuple_of(members[0], members[1]);
  tnr_future *y = rig_plus_one(any);
  assert_ok(tnr_wait(all, TNR_COMPLETE, INT64_MAX));
  assert_number(y, 3);
  recorded r = stop(*state);
  const recorded_event *of_any = one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "any", 0));
  const recorded_event *of_all = one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "all", 0));
  assert_int_equal(of_any->flags & TNR_TRACE_KIND_MASK, TNR_TRACE_ANY);
  assert_int_equal(of_all->flags & TNR_TRACE_KIND_MASK, TNR_TRACE_ALL);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(of_any->input[i], recorded_op(&r, "rig_plus_one", i));
    assert_int_equal(of_all->input[i], recorded_op(&r, "rig_plus_one", i));
  }
  one(&r, TNR_TRACE_COMPLETE, of_any->op);
  one(&r, TNR_TRACE_COMPLETE, of_all->op);
  assert_input(&r, recorded_op(&r, "rig_plus_one", 2), 0, of_any->op);
  recorded_finish(&r);
}

static void elements_of_a_tuple_come_from_its_op(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future_tuple *two = rig_two(x);
  tnr_future *y = rig_plus_one(tnr_at(two, 1));
  assert_number(y, 4);
  tnr_tuple *tuple = tnr_get(two);
  assert_number(rig_plus_one(tnr_at(tuple, 0)), 3);
  recorded r = stop(*state);
  uint32_t op = recorded_op(&r, "rig_two", 0);
  assert_input(&r, recorded_op(&r, "rig_plus_one", 0), 0, op);
  assert_input(&r, recorded_op(&r, "rig_plus_one", 1), 0, op);
  recorded_finish(&r);
}

/* ---- threads ---- */

static void sleep_a_little(tnr_value future, void *user) {
  (void)future;
  rig_sleep_ms(5);
  atomic_fetch_add((atomic_int *)user, 1);
}

static void callbacks_and_waits_take_the_time_they_take(void **state) {
  needs_threads(*state);
  atomic_int called = 0;
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *y = rig_hold(x);
  assert_ok(tnr_on(y, TNR_COMPLETE, sleep_a_little, &called));
  rig_await_held(1);
  assert_fails(tnr_wait(y, TNR_COMPLETE, 5000000), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  rig_await(&called, 1);
  recorded r = stop(*state);
  const tnr_ticker ticker = {.mult = r.file.mult, .shift = r.file.shift};
  uint32_t op = recorded_op(&r, "rig_hold", 0);
  const recorded_event *callback = one(&r, TNR_TRACE_CALLBACK, op);
  assert_int_equal(callback->kind, TNR_TRACE_DISPATCHER);
  assert_true(tnr_ticker_to_ns(&ticker, callback->execute) >= 4900000);
  const recorded_event *wait = recorded_find(&r, TNR_TRACE_WAIT, op);
  assert_non_null(wait);
  assert_int_equal(wait->what, TNR_TRACE_FOR_COMPLETE);
  assert_int_equal(wait->kind, TNR_TRACE_APPLICATION);
  assert_true(tnr_ticker_to_ns(&ticker, wait->execute) >= 4900000);
  recorded_finish(&r);
}

static void who_rests_is_woken(void **state) {
  needs_threads(*state);
  enum { TIMES = 5 };
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  for (int i = 0; i < TIMES; i++) {
    rig_sleep_ms(15);
    assert_ok(tnr_wait(rig_plus_one(x), TNR_COMPLETE, INT64_MAX));
  }
  recorded r = stop(*state);
  size_t slept = 0, woken = 0, worker_woken = 0;
  for (size_t i = 0; i < r.count; i++) {
    slept += r.events[i].type == TNR_TRACE_REST && r.events[i].what == TNR_TRACE_SLEPT;
    woken += r.events[i].type == TNR_TRACE_WAKE && r.events[i].what == TNR_TRACE_NO_DEVICE;
    worker_woken += r.events[i].type == TNR_TRACE_WAKE && r.events[i].what == 0 &&
                    r.events[i].kind == TNR_TRACE_DISPATCHER;
  }
  assert_true(slept >= TIMES - 1); /* the first time it may have slept before this began */
  assert_true(woken >= TIMES - 1);
  assert_true(worker_woken >= TIMES - 1);
  recorded_finish(&r);
}

static void counters_are_looked_at(void **state) {
  needs_threads(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int i = 0; i < 4; i++) {
    rig_sleep_ms(15);
    assert_number(rig_plus_one(x), 2);
  }
  recorded r = stop(*state);
  bool memory = false, handles = false, cpu = false;
  for (size_t i = 0; i < r.count; i++) {
    const recorded_event *event = &r.events[i];
    if (event->type != TNR_TRACE_COUNTER)
      continue;
    const tnr_trace_counter *counter = (const tnr_trace_counter *)event->words;
    memory |= counter->counter == TNR_TRACE_MEMORY && counter->device == 0 && counter->value >= 16;
    handles |= counter->counter == TNR_TRACE_HANDLES && counter->value > 0;
    cpu |= counter->counter == TNR_TRACE_CPU_TIME && counter->value > 0;
  }
  assert_true(memory && handles && cpu);
  recorded_finish(&r);
}

static void submit_some(void *user, int index) {
  tnr_future *const *inputs = user;
  for (int i = 0; i < 50; i++)
    tnr_release(rig_plus_one(inputs[index]));
}

static void threads_have_tapes_and_numbers_of_their_own(void **state) {
  enum { THREADS = 6, EACH = 50 };
  tnr_future *inputs[THREADS];
  for (int i = 0; i < THREADS; i++)
    inputs[i] = tnr_to_async(rig_tensor(rig_cpu(*state, i % 4), 1));
  rig_threads(THREADS, submit_some, inputs);
  recorded r = stop(*state);
  assert_int_equal(recorded_op(&r, "rig_plus_one", THREADS * EACH), 0);
  for (int i = 0; i < THREADS * EACH; i++)
    assert_journey(&r, recorded_op(&r, "rig_plus_one", i));
  recorded_finish(&r);
}

/* ---- the window ---- */

static void what_was_submitted_before_has_no_number(void **state) {
  needs_threads(*state);
  rig_open_gate();
  assert_ok(tnr_trace_stop(*state));
  rig_close_gate();
  tnr_future *early = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  rig_await_held(1);
  tnr_future *waiting = rig_two(early) ? rig_plus_one(early) : NULL;
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = path}));
  tnr_future *late = rig_sum(waiting, early);
  rig_open_gate();
  assert_ok(tnr_wait(late, TNR_COMPLETE, INT64_MAX));
  recorded r = stop(*state);
  uint32_t op = recorded_op(&r, "rig_sum", 0);
  assert_input(&r, op, 0, 0);
  assert_input(&r, op, 1, 0);
  assert_int_equal(recorded_count(&r, TNR_TRACE_SUBMIT, 0), 1);
  assert_int_equal(recorded_count(&r, TNR_TRACE_COMPLETE, 0), 1);
  assert_true(recorded_count(&r, TNR_TRACE_RUN, 0) + recorded_count(&r, TNR_TRACE_END, 0) >= 3);
  recorded_finish(&r);
}

#define record_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      record_test(every_op_passes_every_event_in_order),
      record_test(events_are_of_the_threads_on_which_they_happen),
      record_test(a_call_says_where_it_stands_and_with_what),
      record_test(the_program_cache_misses_once),
      record_test(a_plain_call_creates_first),
      record_test(an_alias_is_not_executed),
      record_test(many_inputs_are_all_there),
      record_test(a_copy_says_from_where_to_where),
      record_test(an_op_on_several_devices_runs_on_each),
      record_test(a_failed_op_says_why_and_its_descendants_fail),
      rig_bare_test(what_is_aborted_ends_as_cancelled),
      record_test(ops_say_their_group_and_priority),
      record_test(many_groups_are_told_apart),
      record_test(what_was_cancelled_or_late_says_so),
      record_test(the_children_of_a_composite_name_it),
      record_test(a_composite_that_waits_for_shapes_runs_on_the_dispatcher),
      record_test(futures_of_several_say_of_which),
      record_test(elements_of_a_tuple_come_from_its_op),
      record_test(callbacks_and_waits_take_the_time_they_take),
      record_test(who_rests_is_woken),
      record_test(counters_are_looked_at),
      record_test(threads_have_tapes_and_numbers_of_their_own),
      record_test(what_was_submitted_before_has_no_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
