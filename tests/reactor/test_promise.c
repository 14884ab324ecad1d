/* Promises: futures that the program fulfils, fails, or forgets. */
#include <stdio.h>
#include <stdlib.h>

#include "post.h"

enum { MS = 1000000 };

static tnr_promise *promise_on(tnr_runtime *runtime) {
  tnr_promise *made = tnr_promise_create(runtime);
  assert_made(made);
  return made;
}

static tnr_device *cpu(void **state) {
  return rig_cpu(*state, 0);
}

/* "name.c:12": where an error says that it comes from. */
static void assert_from_line(const tnr_error *error, int line) {
  assert_string_equal(tnr_error_file(error), __FILE__);
  assert_int_equal(tnr_error_line(error), line);
}

/* ---- fulfilling ---- */

static void a_promise_passes_both_moments_when_it_is_fulfilled(void **state) {
  tnr_promise *p = promise_on(*state);
  tnr_future *f = tnr_promise_future(p);
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  assert_false(tnr_passed(f, TNR_CREATED));
  assert_null(tnr_get_for(f, MS));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ETIMEDOUT);
  tnr_tensor *x = rig_tensor(cpu(state), 7);
  assert_ok(tnr_promise_fulfil(p, x));
  assert_true(tnr_passed(f, TNR_CREATED));
  assert_ptr_equal(tnr_get_for(f, 0), x);
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  rig_await_log(2);
  assert_int_equal(rig_log_at(0).what, 1);
  assert_int_equal(rig_log_at(1).what, 2);
  assert_number(f, 7);
}

static void its_future_is_the_input_of_any_op(void **state) {
  tnr_promise *p = promise_on(*state);
  tnr_future *f = tnr_promise_future(p);
  tnr_tensor *one = rig_tensor(cpu(state), 1);
  tnr_future *sum = rig_sum(f, rig_plus_one(f));
  tnr_future *mixed = rig_sum(one, f), *far = tnr_to_device(f, rig_sim(*state, 0));
  tnr_future *second = tnr_at(rig_two(f), 1), *member = tnr_at(tnr_tuple_of(one, f), 1);
  tnr_future *any =
      tnr_any((tnr_future *[]){f, tnr_promise_future(promise_on(*state))}, 2, TNR_HERE);
  tnr_future *shape = tnr_reshape(f, .shape = TNR_SHAPE(2, -1));
  tnr_future *gathered = tnr_gather(tnr_shard(f, rig_cpus(*state, 2), .dim = 0));
  assert_fails(tnr_wait(sum, TNR_CREATED, 10 * MS), TNR_ETIMEDOUT);
  assert_ok(tnr_promise_fulfil(p, rig_tensor(cpu(state), 5)));
  assert_number(sum, 11);
  assert_number(mixed, 6);
  assert_number(far, 5);
  assert_number(second, 7);
  assert_number(member, 5);
  assert_number(any, 5);
  assert_number(shape, 5);
  assert_number(gathered, 5);
}

/* Created with the promise, complete with the data. */
static void what_fulfils_it_may_be_on_its_way_itself(void **state) {
  check_needs_threads();
  tnr_promise *p = promise_on(*state);
  tnr_future *f = tnr_promise_future(p), *next = rig_plus_one(f);
  tnr_tensor *x = rig_hold(rig_tensor(cpu(state), 3));
  assert_ok(tnr_promise_fulfil(p, x));
  assert_ptr_equal(tnr_get(f), x);
  assert_fails(tnr_wait(f, TNR_COMPLETE, 10 * MS), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_number(next, 4);
  assert_number(f, 3);
}

static void it_fails_with_the_tensor_that_fulfilled_it(void **state) {
  tnr_promise *p = promise_on(*state);
  tnr_tensor *x = rig_fail_late(rig_tensor(cpu(state), 3));
  assert_ok(tnr_promise_fulfil(p, x));
  rig_open_gate();
  assert_fails(tnr_wait(tnr_promise_future(p), TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(tnr_promise_future(p)), tnr_future_error(x));
}

static void it_is_fulfilled_once(void **state) {
  tnr_promise *p = promise_on(*state);
  tnr_tensor *x = rig_tensor(cpu(state), 1);
  assert_ok(tnr_promise_fulfil(p, x));
  assert_fails(tnr_promise_fulfil(p, x), TNR_EINVAL);
  assert_from_line(tnr_error(), __LINE__ - 1);
  assert_string_equal(tnr_error_reason(tnr_error()), "it has been fulfilled or failed before");
  assert_fails(tnr_promise_fail(p, TNR_ESYSTEM, "late"), TNR_EINVAL);
  assert_number(tnr_promise_future(p), 1);
}

/* ---- failing ---- */

static void it_fails_with_the_error_and_the_line_that_the_program_gives(void **state) {
  tnr_promise *p = promise_on(*state);
  tnr_future *f = tnr_promise_future(p), *next = rig_plus_one(f);
  assert_ok(tnr_promise_fail(p, TNR_ESYSTEM, "the connection to %s was lost", "moon"));
  const int line = __LINE__ - 1;
  assert_fails(tnr_wait(next, TNR_COMPLETE, INT64_MAX), TNR_ESYSTEM);
  const tnr_error *error = tnr_future_error(next);
  assert_ptr_equal(error, tnr_future_error(f));
  assert_string_equal(tnr_error_reason(error), "the connection to moon was lost");
  assert_string_equal(tnr_error_op(error), "promise");
  assert_from_line(error, line);
  assert_null(tnr_get(f));
}

static void an_abandoned_promise_names_where_it_was_made(void **state) {
  assert_ok(tnr_scope_open());
  tnr_promise *p = promise_on(*state);
  tnr_promise *q = tnr_promise_create(*state);
  const int line = __LINE__ - 1;
  tnr_future *f = tnr_keep(tnr_promise_future(q));
  tnr_future *next = tnr_keep(rig_plus_one(f)), *kept = tnr_keep(tnr_promise_future(p));
  p = tnr_keep(p);
  assert_ok(tnr_scope_close());
  assert_fails(tnr_wait(next, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_string_equal(tnr_error_reason(tnr_error()), "it was released before it was fulfilled");
  assert_from_line(tnr_error(), line);
  assert_false(tnr_passed(kept, TNR_COMPLETE));
  assert_ok(tnr_promise_fulfil(p, rig_tensor(cpu(state), 2)));
  assert_number(kept, 2);
}

static void a_promise_nobody_listens_to_may_go_any_time(void **state) {
  assert_ok(tnr_scope_open());
  for (int i = 0; i < 100; i++) {
    tnr_promise *p = promise_on(*state);
    if (i % 3 == 0)
      assert_ok(tnr_promise_fulfil(p, rig_tensor(cpu(state), 2)));
    if (i % 3 == 1)
      assert_ok(tnr_promise_fail(p, TNR_EKERNEL, "no"));
  }
  assert_ok(tnr_scope_close());
}

/* ---- what is known beforehand ---- */

static tnr_value ask_shape(const tnr_value *in, int in_count, const void *attrs) {
  tnr_desc desc;
  (void)in_count;
  (void)attrs;
  if (!tnr_value_desc(in[0], &desc))
    return (tnr_value){TNR_VALUE_NONE, NULL};
  *(atomic_int *)*(void *const *)attrs = (int)desc.shape.dims[0];
  return rig_plus_one(in[0]);
}

typedef struct where {
  atomic_int *seen;
} where;

static const tnr_composite_def asks_shape = {
    .name = "asks_shape", .attrs_size = sizeof(where), .needs_shapes = true, .body = ask_shape};

static void a_promise_may_say_what_it_will_be(void **state) {
  const tnr_desc desc = {TNR_SHAPE(RIG_ELEMENTS), TNR_F32};
  tnr_promise *p = tnr_promise_create(*state, .device = cpu(state), .desc = &desc);
  tnr_future *f = tnr_promise_future(p);
  tnr_desc known;
  assert_true(tnr_value_desc(TNR_VALUE(f), &known));
  assert_true(tnr_shape_equal(&known.shape, &desc.shape));
  assert_ptr_equal(tnr_mesh_device(tnr_value_mesh(TNR_VALUE(f)), 0), cpu(state));
  atomic_int seen = 0;
  tnr_future *composite = TNR_COMPOSITE1(&asks_shape, f, where, .seen = &seen);
  assert_int_equal(seen, RIG_ELEMENTS); /* its body has run */
  tnr_future *chain = rig_plus_one(rig_plus_one(composite));
  assert_ok(tnr_promise_fulfil(p, rig_tensor(cpu(state), 1)));
  assert_number(chain, 4);
}

static void without_it_composites_wait_for_the_shape(void **state) {
  tnr_promise *p = tnr_promise_create(*state, .device = cpu(state));
  tnr_future *f = tnr_promise_future(p);
  tnr_desc known;
  assert_false(tnr_value_desc(TNR_VALUE(f), &known));
  atomic_int seen = 0;
  tnr_future *composite = TNR_COMPOSITE1(&asks_shape, f, where, .seen = &seen);
  rig_sleep_ms(5);
  assert_int_equal(seen, 0);
  assert_ok(tnr_promise_fulfil(p, rig_tensor(cpu(state), 1)));
  assert_number(composite, 2);
  assert_int_equal(seen, RIG_ELEMENTS);
}

static void what_is_not_as_promised_leaves_it_open(void **state) {
  const tnr_desc desc = {TNR_SHAPE(RIG_ELEMENTS), TNR_F32};
  tnr_promise *p = tnr_promise_create(*state, .device = cpu(state), .desc = &desc);
  const int32_t numbers[RIG_ELEMENTS] = {0};
  assert_fails(tnr_promise_fulfil(p, rig_tensor(rig_cpu(*state, 1), 1)), TNR_EDEVICE);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "a tensor on cpu:0 was promised, not on cpu:1");
  assert_fails(
      tnr_promise_fulfil(p, tnr_reshape(rig_tensor(cpu(state), 1), .shape = TNR_SHAPE(2, 2))),
      TNR_ESHAPE);
  assert_string_equal(tnr_error_reason(tnr_error()), "[4] was promised, not [2, 2]");
  assert_fails(tnr_promise_fulfil(
                   p, tnr_tensor_create(cpu(state), TNR_I32, TNR_SHAPE(RIG_ELEMENTS), numbers)),
               TNR_EDTYPE);
  assert_ok(tnr_promise_fulfil(p, rig_tensor(cpu(state), 6)));
  assert_number(tnr_promise_future(p), 6);
}

static void errors_are_plain(void **state) {
  tnr_runtime *other = rig_runtime();
  tnr_promise *p = promise_on(*state);
  tnr_tensor *foreign = rig_tensor(rig_cpu(other, 0), 1);
  assert_fails(tnr_promise_fulfil(p, foreign), TNR_EDEVICE);
  assert_null(tnr_promise_create(*state, .device = rig_cpu(other, 0)));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDEVICE);
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
  assert_null(tnr_promise_create(other));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ECLOSED);
  tnr_error_clear();
  assert_fails(tnr_promise_fulfil(p, NULL), TNR_EINVAL);
  tnr_error_clear();
  assert_fails(tnr_promise_fulfil((tnr_promise *)NULL, foreign), TNR_EINVAL);
  assert_fails(tnr_promise_fail(p, TNR_OK, "fine"), TNR_EINVAL);
  assert_null(tnr_promise_future(NULL));
  assert_ok(tnr_promise_fail(p, TNR_EKERNEL, "enough"));
}

/* ---- the end of the runtime ---- */

static void the_end_of_its_runtime_fails_an_open_promise(void **state) {
  (void)state;
  for (int how = 0; how < 2; how++) {
    tnr_runtime *runtime = rig_runtime();
    tnr_mailbox *box = post_box(runtime);
    tnr_promise *p = tnr_promise_create(runtime);
    const int line = __LINE__ - 1;
    tnr_future *f = tnr_promise_future(p), *next = rig_plus_one(f);
    int before = rig_log_count();
    assert_ok(tnr_on(f, TNR_CREATED, rig_log, NULL));
    assert_ok(tnr_on(next, TNR_COMPLETE, rig_log, NULL, .mailbox = box));
    assert_ok(tnr_runtime_destroy(runtime, (tnr_shutdown)how));
    post_run(box, 1);
    assert_int_equal(rig_log_count(), before + 2);
    tnr_status code = how ? TNR_ECANCELED : TNR_ECLOSED;
    assert_int_equal(rig_log_at(before).code, code);
    assert_int_equal(rig_log_at(before + 1).code, code);
    assert_string_equal(tnr_error_reason(tnr_future_error(f)),
                        "the runtime was destroyed before it was fulfilled");
    assert_from_line(tnr_future_error(f), line);
    tnr_tensor *none = NULL;
    assert_fails(tnr_promise_fail(p, TNR_EKERNEL, "late"), TNR_ECLOSED);
    assert_int_not_equal(tnr_promise_fulfil(p, none), TNR_OK);
    tnr_release(p);
    tnr_release(f);
    tnr_release(next);
    post_close(box);
  }
}

/* ---- many, and races ---- */

/* Each is fulfilled in the callback of the one before. */
typedef struct links {
  tnr_promise **promises;
  tnr_tensor *x;
  int count;
  atomic_int next, refused;
} links;

static void fulfil_next(tnr_value future, void *user) {
  (void)future;
  links *l = user;
  int next = atomic_fetch_add(&l->next, 1);
  if (next < l->count && tnr_promise_fulfil(l->promises[next], l->x) != TNR_OK)
    atomic_fetch_add(&l->refused, 1);
}

static void a_chain_of_promises_needs_no_stack(void **state) {
  (void)state;
  enum { LENGTH = CHECK_MANY(50000) };
  rig_limit_stacks(128);
  tnr_runtime *runtime = rig_runtime();
  links l = {.promises = calloc(LENGTH, sizeof *l.promises), .count = LENGTH};
  l.x = rig_tensor(rig_cpu(runtime, 0), 1);
  for (int i = 0; i < LENGTH; i++) {
    l.promises[i] = promise_on(runtime);
    tnr_future *f = tnr_promise_future(l.promises[i]);
    assert_ok(tnr_on(f, TNR_COMPLETE, fulfil_next, &l));
    tnr_release(f);
  }
  fulfil_next((tnr_value){TNR_VALUE_NONE, NULL}, &l);
  rig_await(&l.next, LENGTH + 1);
  assert_int_equal(l.refused, 0);
  for (int i = 0; i < LENGTH; i++)
    tnr_release(l.promises[i]);
  tnr_release(l.x);
  free(l.promises);
  assert_nothing_left(runtime);
}

typedef struct contest {
  tnr_runtime *runtime;
  tnr_promise *promise;
  tnr_tensor *x;
  tnr_mailbox *box;
  atomic_int won, lost, called, closed;
} contest;

static void note_call(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add(&((contest *)user)->called, 1);
}

static void compete(void *user, int index) {
  contest *c = user;
  tnr_status status = index % 2 ? tnr_promise_fail(c->promise, TNR_EKERNEL, "%d", index)
                                : tnr_promise_fulfil(c->promise, c->x);
  atomic_fetch_add(status == TNR_OK ? &c->won : status == TNR_EINVAL ? &c->lost : &c->closed, 1);
  tnr_release(c->promise);
}

static void one_of_many_settles_it(void **state) {
  tnr_tensor *x = rig_tensor(cpu(state), 1);
  for (int round = 0; round < CHECK_MANY(5000); round++) {
    assert_ok(tnr_scope_open());
    contest c = {.promise = promise_on(*state), .x = x};
    tnr_future *f = tnr_promise_future(c.promise), *next = rig_plus_one(f);
    assert_ok(tnr_on(f, round % 2 ? TNR_CREATED : TNR_COMPLETE, note_call, &c));
    for (int i = 0; i < 3; i++)
      tnr_retain(c.promise);
    rig_threads(3, compete, &c);
    assert_int_equal(c.won, 1);
    assert_int_equal(c.lost, 2);
    tnr_status status = tnr_wait(next, TNR_COMPLETE, INT64_MAX);
    assert_true(status == TNR_OK || status == TNR_EKERNEL);
    rig_await(&c.called, 1);
    assert_ok(tnr_scope_close());
  }
}

static void compete_with_the_end(void *user, int index) {
  contest *c = user;
  if (index == 2) {
    if (tnr_runtime_destroy(c->runtime, c->x ? TNR_DRAIN : TNR_ABORT) != TNR_OK)
      abort();
  } else if (index == 1 || c->x) {
    compete(user, index);
  } else {
    tnr_release(c->promise);
  }
}

/* Fulfilling, failing, abandoning, and the runtime's end. */
static void settling_and_shutdown_may_race(void **state) {
  (void)state;
  const tnr_device_config device = {.driver = tnr_cpu_driver(), .count = 1};
  for (int round = 0; round < CHECK_MANY(3000); round++) {
    contest c = {.runtime = tnr_runtime_create(
                     &(tnr_runtime_options){.devices = &device, .device_configs = 1})};
    c.box = post_box(c.runtime);
    c.promise = promise_on(c.runtime);
    c.x = round % 2 ? rig_tensor(rig_cpu(c.runtime, 0), 1) : NULL;
    tnr_future *f = tnr_promise_future(c.promise), *next = rig_plus_one(f);
    assert_ok(tnr_on(f, TNR_COMPLETE, note_call, &c));
    assert_ok(tnr_on(next, TNR_CREATED, note_call, &c, .mailbox = c.box));
    tnr_release(f);
    tnr_release(next);
    tnr_retain(c.promise);
    rig_threads(3, compete_with_the_end, &c);
    assert_ok(tnr_mailbox_destroy(c.box));
    assert_int_equal(c.called, 2);
    assert_in_range(c.won, 0, 1);
    tnr_release(c.x);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_promise_passes_both_moments_when_it_is_fulfilled),
      rig_test(its_future_is_the_input_of_any_op),
      rig_test(what_fulfils_it_may_be_on_its_way_itself),
      rig_test(it_fails_with_the_tensor_that_fulfilled_it),
      rig_test(it_is_fulfilled_once),
      rig_test(it_fails_with_the_error_and_the_line_that_the_program_gives),
      rig_test(an_abandoned_promise_names_where_it_was_made),
      rig_test(a_promise_nobody_listens_to_may_go_any_time),
      rig_test(a_promise_may_say_what_it_will_be),
      rig_test(without_it_composites_wait_for_the_shape),
      rig_test(what_is_not_as_promised_leaves_it_open),
      rig_test(errors_are_plain),
      rig_bare_test(the_end_of_its_runtime_fails_an_open_promise),
      rig_bare_test(a_chain_of_promises_needs_no_stack),
      rig_test(one_of_many_settles_it),
      rig_bare_test(settling_and_shutdown_may_race),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
