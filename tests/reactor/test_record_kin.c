/* What is recorded of what an op belongs to: its group and priority, the composite that called it,
 * the futures that its inputs come from. */
#include "recording.h"

#include <stdio.h>
#include <string.h>

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
  recorded r = recording_stop(*state);
  const recorded_event *submits[4];
  for (int i = 0; i < 4; i++)
    submits[i] = recorded_one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "rig_plus_one", i));
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
  recorded r = recording_stop(*state);
  for (int i = 0; i < TIMES * GROUPS; i++) {
    const recorded_event *submit =
        recorded_one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "rig_plus_one", i));
    char quoted[20];
    snprintf(quoted, sizeof quoted, "%s'", names[i % GROUPS]);
    assert_non_null(strstr(recorded_group(submit->group), quoted));
  }
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
  recorded r = recording_stop(*state);
  uint32_t outer = recorded_op(&r, "outer", 0), inner = recorded_op(&r, "linear", 0);
  const recorded_event *call = recorded_one(&r, TNR_TRACE_SUBMIT, outer);
  assert_int_equal(call->flags & TNR_TRACE_KIND_MASK, TNR_TRACE_COMPOSITE);
  assert_int_equal(call->inputs, 3);
  assert_int_equal(call->parent, 0);
  assert_int_equal(call->site->line, line);
  assert_int_equal(recorded_one(&r, TNR_TRACE_SUBMIT, inner)->parent, outer);
  const recorded_event *relu = recorded_one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "relu", 0));
  const recorded_event *matmul = recorded_one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "matmul", 0));
  assert_int_equal(relu->parent, outer);
  assert_string_equal(recorded_composite(relu->site), "outer");
  assert_int_equal(matmul->parent, inner);
  assert_int_equal(matmul->site->line, line);
  assert_true(recorded_one(&r, TNR_TRACE_BODY, inner)->time <=
              recorded_one(&r, TNR_TRACE_BODY, outer)->time);
  recorded_finish(&r);
}

static void a_composite_that_waits_for_shapes_runs_on_the_dispatcher(void **state) {
  recording_needs_threads(*state);
  float data[16] = {0};
  tnr_tensor *x = tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(4, 4), data);
  tnr_future *held = rig_hold(tnr_to_async(x));
  tnr_future *later = rig_plus_one(held);
  tnr_future *y = tnr_attention(later, later, later);
  rig_await_held(1);
  rig_open_gate();
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  recorded r = recording_stop(*state);
  uint32_t op = recorded_op(&r, "attention", 0);
  assert_int_equal(recorded_one(&r, TNR_TRACE_SUBMIT, op)->input[0],
                   recorded_op(&r, "rig_plus_one", 0));
  assert_int_equal(recorded_one(&r, TNR_TRACE_BODY, op)->kind, TNR_TRACE_DISPATCHER);
  const recorded_event *child = recorded_one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "softmax", 0));
  assert_int_equal(child->parent, op);
  assert_int_equal(child->kind, TNR_TRACE_DISPATCHER);
  assert_true(child->time <= recorded_one(&r, TNR_TRACE_COMPLETE, op)->time);
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
  recorded r = recording_stop(*state);
  const recorded_event *of_any = recorded_one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "any", 0));
  const recorded_event *of_all = recorded_one(&r, TNR_TRACE_SUBMIT, recorded_op(&r, "all", 0));
  assert_int_equal(of_any->flags & TNR_TRACE_KIND_MASK, TNR_TRACE_ANY);
  assert_int_equal(of_all->flags & TNR_TRACE_KIND_MASK, TNR_TRACE_ALL);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(of_any->input[i], recorded_op(&r, "rig_plus_one", i));
    assert_int_equal(of_all->input[i], recorded_op(&r, "rig_plus_one", i));
  }
  recorded_one(&r, TNR_TRACE_COMPLETE, of_any->op);
  recorded_one(&r, TNR_TRACE_COMPLETE, of_all->op);
  recorded_check_input(&r, recorded_op(&r, "rig_plus_one", 2), 0, of_any->op);
  recorded_finish(&r);
}

static void elements_of_a_tuple_come_from_its_op(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future_tuple *two = rig_two(x);
  tnr_future *y = rig_plus_one(tnr_at(two, 1));
  assert_number(y, 4);
  tnr_tuple *tuple = tnr_get(two);
  assert_number(rig_plus_one(tnr_at(tuple, 0)), 3);
  recorded r = recording_stop(*state);
  uint32_t op = recorded_op(&r, "rig_two", 0);
  recorded_check_input(&r, recorded_op(&r, "rig_plus_one", 0), 0, op);
  recorded_check_input(&r, recorded_op(&r, "rig_plus_one", 1), 0, op);
  recorded_finish(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recording_test(ops_say_their_group_and_priority),
      recording_test(many_groups_are_told_apart),
      recording_test(the_children_of_a_composite_name_it),
      recording_test(a_composite_that_waits_for_shapes_runs_on_the_dispatcher),
      recording_test(futures_of_several_say_of_which),
      recording_test(elements_of_a_tuple_come_from_its_op),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
