/* What is recorded of an op's journey and of the threads that it passes, read back from the file.
 */
#include "recording.h"

#include "reactor/runtime.h"
#include "reactor/ticker.h"

/* When it was executed, from its RUN or its BEGIN and END. */
static uint64_t begin_of(const recorded *r, uint32_t op) {
  const recorded_event *run = recorded_find(r, TNR_TRACE_RUN, op);
  if (!run)
    return recorded_one(r, TNR_TRACE_BEGIN, op)->time -
           recorded_one(r, TNR_TRACE_BEGIN, op)->create;
  return run->time - run->execute - run->create;
}

static uint64_t end_of(const recorded *r, uint32_t op) {
  const recorded_event *run = recorded_find(r, TNR_TRACE_RUN, op);
  return run ? run->time : recorded_one(r, TNR_TRACE_END, op)->time;
}

static void assert_journey(const recorded *r, uint32_t op) {
  uint64_t submitted = recorded_one(r, TNR_TRACE_SUBMIT, op)->time;
  uint64_t resolved = recorded_one(r, TNR_TRACE_RESOLVE, op)->time;
  uint64_t launched = recorded_one(r, TNR_TRACE_LAUNCH, op)->time;
  uint64_t completed = recorded_one(r, TNR_TRACE_COMPLETE, op)->time;
  assert_true(submitted <= resolved && resolved <= launched);
  assert_true(launched <= begin_of(r, op) && begin_of(r, op) <= end_of(r, op));
  assert_true(end_of(r, op) <= completed);
}

/* ---- the journey ---- */

static void every_op_passes_every_event_in_order(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  enum { LENGTH = 300 };
  for (int i = 0; i < LENGTH; i++)
    x = rig_plus_one(x);
  assert_number(x, LENGTH + 1);
  recorded r = recording_stop(*state);
  uint32_t before = 0;
  for (int i = 0; i < LENGTH; i++) {
    uint32_t op = recorded_op(&r, "rig_plus_one", i);
    assert_journey(&r, op);
    recorded_check_input(&r, op, 0, before);
    assert_int_equal(recorded_one(&r, TNR_TRACE_COMPLETE, op)->what, TNR_OK);
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
  recorded r = recording_stop(*state);
  uint32_t op = recorded_op(&r, "rig_plus_one", 0);
  assert_int_equal(recorded_one(&r, TNR_TRACE_SUBMIT, op)->kind, TNR_TRACE_APPLICATION);
  assert_int_equal(recorded_one(&r, TNR_TRACE_RESOLVE, op)->kind, TNR_TRACE_DISPATCHER);
  assert_int_equal(recorded_one(&r, TNR_TRACE_LAUNCH, op)->kind, TNR_TRACE_DISPATCHER);
  assert_int_equal(recorded_one(&r, TNR_TRACE_LAUNCH, op)->what, 2);
  assert_int_equal(recorded_one(&r, TNR_TRACE_COMPLETE, op)->kind, TNR_TRACE_DISPATCHER);
  const recorded_event *run = recorded_find(&r, TNR_TRACE_RUN, op);
  run = run ? run : recorded_one(&r, TNR_TRACE_BEGIN, op);
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
  recorded r = recording_stop(*state);
  uint32_t op = recorded_op(&r, "matmul", 0);
  const tnr_trace_site *site = recorded_one(&r, TNR_TRACE_SUBMIT, op)->site;
  assert_string_equal(recorded_file(site), __FILE__);
  assert_int_equal(site->line, line);
  assert_int_equal(site->composite_bytes, 0);
  const recorded_event *run = recorded_find(&r, TNR_TRACE_RUN, op);
  run = run ? run : recorded_one(&r, TNR_TRACE_BEGIN, op);
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
  recorded r = recording_stop(*state);
  for (int i = 0; i < 3; i++) {
    uint32_t op = recorded_op(&r, "rig_plus_one", i);
    const recorded_event *run = recorded_find(&r, TNR_TRACE_RUN, op);
    run = run ? run : recorded_one(&r, TNR_TRACE_BEGIN, op);
    assert_int_equal((run->flags & TNR_TRACE_MISS) != 0, i == 0);
  }
  recorded_finish(&r);
}

static void a_plain_call_creates_first(void **state) {
  tnr_tensor *x = rig_plus_one(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_tensor *y = rig_plus_one(x);
  assert_number(y, 3);
  recorded r = recording_stop(*state);
  uint32_t first = recorded_op(&r, "rig_plus_one", 0), second = recorded_op(&r, "rig_plus_one", 1);
  assert_true(recorded_one(&r, TNR_TRACE_SUBMIT, first)->flags & TNR_TRACE_PLAIN);
  assert_true(recorded_one(&r, TNR_TRACE_CREATE, first)->time <=
              recorded_one(&r, TNR_TRACE_SUBMIT, first)->time);
  assert_journey(&r, first);
  assert_journey(&r, second);
  recorded_check_input(&r, second, 0, first);
  recorded_finish(&r);
}

static void an_alias_is_not_executed(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_future *y = tnr_reshape(tnr_to_async(x), .shape = TNR_SHAPE(2, 2));
  assert_number(rig_plus_one(y), 2);
  recorded r = recording_stop(*state);
  uint32_t alias = recorded_op(&r, "reshape", 0);
  const recorded_event *run = recorded_one(&r, TNR_TRACE_RUN, alias);
  assert_true(run->flags & TNR_TRACE_ALIAS);
  assert_int_equal(run->execute, 0);
  recorded_check_input(&r, recorded_op(&r, "rig_plus_one", 0), 0, alias);
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
  recorded r = recording_stop(*state);
  uint32_t from = recorded_op(&r, "rig_plus_one", 0), op = recorded_op(&r, "rig_sum", 0);
  const recorded_event *submit = recorded_one(&r, TNR_TRACE_SUBMIT, op);
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
  recorded r = recording_stop(*state);
  uint32_t copy = 0;
  for (int i = 0; (copy = recorded_op(&r, "to_device", i)) != 0; i++) {
    const recorded_event *move = recorded_one(&r, TNR_TRACE_MOVE, copy);
    const tnr_trace_move *what = (const tnr_trace_move *)move->words;
    if (what->from != 4)
      continue;
    assert_int_equal(what->to, 5);
    assert_int_equal(what->bytes, RIG_ELEMENTS * sizeof(float));
    recorded_check_input(&r, recorded_op(&r, "rig_plus_one", 0), 0, copy);
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
  recorded r = recording_stop(*state);
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
  recorded r = recording_stop(*state);
  uint32_t failed = recorded_op(&r, "rig_fail", 0), child = recorded_op(&r, "rig_plus_one", 0);
  const recorded_event *error = recorded_one(&r, TNR_TRACE_ERROR, failed);
  const tnr_trace_error *why = (const tnr_trace_error *)error->words;
  assert_int_equal(why->status, TNR_EKERNEL);
  assert_memory_equal(why + 1, "no", why->bytes);
  assert_int_equal(recorded_one(&r, TNR_TRACE_COMPLETE, failed)->what, TNR_EKERNEL);
  assert_int_equal(recorded_count(&r, TNR_TRACE_ERROR, child), 0);
  assert_int_equal(recorded_one(&r, TNR_TRACE_COMPLETE, child)->what, TNR_EKERNEL);
  recorded_finish(&r);
}

static void what_is_aborted_ends_as_cancelled(void **state) {
  check_needs_threads();
  tnr_trace_options options = {.path = folder_path("record")};
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
  recorded r = recorded_read(folder_path("record"));
  assert_non_null(r.total);
  assert_int_equal(r.total->drained, 1);
  for (int i = 0; i < 2; i++) {
    const recorded_event *end =
        recorded_one(&r, TNR_TRACE_COMPLETE, recorded_op(&r, i ? "rig_plus_one" : "rig_hold", 0));
    assert_true(end->what == TNR_OK || end->what == TNR_ECANCELED);
  }
  recorded_finish(&r);
}

static void what_was_cancelled_or_late_says_so(void **state) {
  recording_needs_threads(*state);
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
  recorded r = recording_stop(*state);
  assert_int_equal(recorded_one(&r, TNR_TRACE_COMPLETE, recorded_op(&r, "rig_plus_one", 0))->what,
                   TNR_ECANCELED);
  assert_int_equal(recorded_one(&r, TNR_TRACE_COMPLETE, recorded_op(&r, "rig_plus_one", 1))->what,
                   TNR_ETIMEDOUT);
  recorded_finish(&r);
}

/* ---- threads ---- */

static void sleep_a_little(tnr_value future, void *user) {
  (void)future;
  rig_sleep_ms(5);
  atomic_fetch_add((atomic_int *)user, 1);
}

static void callbacks_and_waits_take_the_time_they_take(void **state) {
  recording_needs_threads(*state);
  atomic_int called = 0;
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *y = rig_hold(x);
  assert_ok(tnr_on(y, TNR_COMPLETE, sleep_a_little, &called));
  rig_await_held(1);
  assert_fails(tnr_wait(y, TNR_COMPLETE, 5000000), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  rig_await(&called, 1);
  recorded r = recording_stop(*state);
  const tnr_ticker ticker = {.mult = r.file.mult, .shift = r.file.shift};
  uint32_t op = recorded_op(&r, "rig_hold", 0);
  const recorded_event *callback = recorded_one(&r, TNR_TRACE_CALLBACK, op);
  assert_int_equal(callback->kind, TNR_TRACE_DISPATCHER);
  assert_true(tnr_ticker_to_ns(&ticker, callback->execute) >= 4900000);
  const recorded_event *wait = recorded_find(&r, TNR_TRACE_WAIT, op);
  assert_non_null(wait);
  assert_int_equal(wait->what, TNR_TRACE_FOR_COMPLETE);
  assert_int_equal(wait->kind, TNR_TRACE_APPLICATION);
  assert_true(tnr_ticker_to_ns(&ticker, wait->execute) >= 4900000);
  recorded_finish(&r);
}

/* Of the first device's worker, by a thread of that kind. */
static size_t worker_wakes(const recorded *r, uint32_t by) {
  size_t count = 0;
  for (size_t i = 0; i < r->count; i++)
    count +=
        r->events[i].type == TNR_TRACE_WAKE && r->events[i].what == 0 && r->events[i].kind == by;
  return count;
}

static void who_rests_is_woken(void **state) {
  recording_needs_threads(*state);
  enum { TIMES = 5 };
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  for (int i = 0; i < TIMES; i++) {
    rig_sleep_ms(15);
    assert_ok(tnr_wait(rig_plus_one(x), TNR_COMPLETE, INT64_MAX));
  }
  recorded r = recording_stop(*state);
  size_t slept = 0, woken = 0;
  for (size_t i = 0; i < r.count; i++) {
    slept += r.events[i].type == TNR_TRACE_REST && r.events[i].what == TNR_TRACE_SLEPT;
    woken += r.events[i].type == TNR_TRACE_WAKE && r.events[i].what == TNR_TRACE_NO_DEVICE;
  }
  assert_true(slept >= TIMES - 1); /* the first time it may have slept before this began */
  assert_true(woken >= TIMES - 1);
  assert_true(worker_wakes(&r, TNR_TRACE_DISPATCHER) + worker_wakes(&r, TNR_TRACE_APPLICATION) >=
              TIMES - 1);
  recorded_finish(&r);
}

/* Until the dispatcher and the device's worker sleep. */
static void await_rest(tnr_runtime *runtime, tnr_device *device) {
  int64_t end = tnr_now_ns() + 20000000000;
  while (!tnr_inbox_is_asleep(&runtime->inbox) || !atomic_load(&device->worker.parker.parked)) {
    assert_true(tnr_now_ns() < end);
    rig_sleep_ms(1);
  }
}

/* Both get up at the same time. */
static void who_submits_wakes_the_worker_as_well(void **state) {
  recording_needs_threads(*state);
  tnr_device *device = rig_cpu(*state, 0);
  tnr_future *x = tnr_to_async(rig_tensor(device, 1));
  int64_t end = tnr_now_ns() + 20000000000;
  for (int looked = 0; looked < 5 && tnr_now_ns() < end;) {
    await_rest(*state, device);
    if (device->worker.lookout.looks == 1)
      end = 0; /* one CPU: not there */
    looked += tnr_lookout_looks_beside(&device->worker.lookout, tnr_now_ns());
    assert_ok(tnr_wait(rig_plus_one(x), TNR_COMPLETE, INT64_MAX));
  }
  recorded r = recording_stop(*state);
  assert_int_equal(worker_wakes(&r, TNR_TRACE_APPLICATION) > 0, end > 0);
  recorded_finish(&r);
}

static void no_worker_is_woken_for_what_cannot_run_yet(void **state) {
  recording_needs_threads(*state);
  tnr_device *device = rig_cpu(*state, 0);
  tnr_promise *promise = tnr_promise_create(*state, .device = device);
  await_rest(*state, device);
  tnr_future *f = rig_plus_one(tnr_promise_future(promise));
  await_rest(*state, device);
  assert_ok(tnr_promise_fulfil(promise, rig_tensor(device, 1)));
  assert_number(f, 2);
  recorded r = recording_stop(*state);
  assert_int_equal(worker_wakes(&r, TNR_TRACE_APPLICATION), 0);
  recorded_finish(&r);
}

static void counters_are_looked_at(void **state) {
  recording_needs_threads(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int i = 0; i < 4; i++) {
    rig_sleep_ms(15);
    assert_number(rig_plus_one(x), 2);
  }
  recorded r = recording_stop(*state);
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
  recorded r = recording_stop(*state);
  assert_int_equal(recorded_op(&r, "rig_plus_one", THREADS * EACH), 0);
  for (int i = 0; i < THREADS * EACH; i++)
    assert_journey(&r, recorded_op(&r, "rig_plus_one", i));
  recorded_finish(&r);
}

/* ---- the window ---- */

static void what_was_submitted_before_has_no_number(void **state) {
  recording_needs_threads(*state);
  rig_open_gate();
  assert_ok(tnr_trace_stop(*state));
  rig_close_gate();
  tnr_future *early = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  rig_await_held(1);
  tnr_future *waiting = rig_two(early) ? rig_plus_one(early) : NULL;
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = folder_path("record")}));
  tnr_future *late = rig_sum(waiting, early);
  rig_open_gate();
  assert_ok(tnr_wait(late, TNR_COMPLETE, INT64_MAX));
  recorded r = recording_stop(*state);
  uint32_t op = recorded_op(&r, "rig_sum", 0);
  recorded_check_input(&r, op, 0, 0);
  recorded_check_input(&r, op, 1, 0);
  assert_int_equal(recorded_count(&r, TNR_TRACE_SUBMIT, 0), 1);
  assert_int_equal(recorded_count(&r, TNR_TRACE_COMPLETE, 0), 1);
  assert_true(recorded_count(&r, TNR_TRACE_RUN, 0) + recorded_count(&r, TNR_TRACE_END, 0) >= 3);
  recorded_finish(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      recording_test(every_op_passes_every_event_in_order),
      recording_test(events_are_of_the_threads_on_which_they_happen),
      recording_test(a_call_says_where_it_stands_and_with_what),
      recording_test(the_program_cache_misses_once),
      recording_test(a_plain_call_creates_first),
      recording_test(an_alias_is_not_executed),
      recording_test(many_inputs_are_all_there),
      recording_test(a_copy_says_from_where_to_where),
      recording_test(an_op_on_several_devices_runs_on_each),
      recording_test(a_failed_op_says_why_and_its_descendants_fail),
      rig_bare_test(what_is_aborted_ends_as_cancelled),
      recording_test(what_was_cancelled_or_late_says_so),
      recording_test(callbacks_and_waits_take_the_time_they_take),
      recording_test(who_rests_is_woken),
      recording_test(who_submits_wakes_the_worker_as_well),
      recording_test(no_worker_is_woken_for_what_cannot_run_yet),
      recording_test(counters_are_looked_at),
      recording_test(threads_have_tapes_and_numbers_of_their_own),
      recording_test(what_was_submitted_before_has_no_number),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
