/* What a limit holds up, from the runtime that has it to what is said of its recording. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/trace/summary.h"
#include "reactor/bounded.h"
#include "reactor/recorded.h"
#include "tape_fixture.h"

enum { MS = 1000000, HELD_MS = 20, LEAST_NS = HELD_MS * MS / 2, BYTES = RIG_ELEMENTS * 4 };

static const tnr_limits none;

static tnr_runtime *limited(tnr_limits all, tnr_limits each, bool full_is_error) {
  const tnr_trace_options trace = {.path = folder_path("limits")};
  return bounded_traced(all, each, full_is_error, &trace);
}

static tnr_device *device(tnr_runtime *runtime, int index) {
  return tnr_runtime_device_at(runtime, index);
}

static tnr_future *on(tnr_runtime *runtime, int index) {
  tnr_tensor *x = rig_tensor(device(runtime, index), 1);
  return tnr_to_async(x);
}

/* ---- what is said of it ---- */

typedef struct said {
  recorded records;
  struct trace_recording recording;
  struct trace_hosts hosts;
  struct trace_summary summary;
} said;

static said read_all(tnr_runtime *runtime) {
  said s;
  tnr_fault fault;
  assert_ok(tnr_scope_close());
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  s.records = recorded_read(folder_path("limits"));
  assert_ok(trace_recording_read(folder_path("limits"), &s.recording, &fault));
  assert_ok(trace_hosts_init(&s.recording, &s.hosts, &fault));
  assert_ok(trace_summary_make(&s.recording, &s.hosts, &s.summary, &fault));
  return s;
}

static void forget(said *s) {
  trace_summary_finish(&s->summary);
  trace_hosts_finish(&s->hosts);
  trace_recording_finish(&s->recording);
  recorded_finish(&s->records);
}

static const tnr_trace_held *held_at(const said *s, size_t index, const recorded_event **event) {
  for (size_t i = 0; i < s->records.count; i++) {
    *event = &s->records.events[i];
    if ((*event)->type == TNR_TRACE_HELD && index-- == 0)
      return (const tnr_trace_held *)(*event)->words;
  }
  fail_msg("there are not so many times that a limit held anything up");
  return NULL;
}

static int64_t ns(const said *s, uint64_t ticks) {
  return (int64_t)((unsigned __int128)ticks * s->records.file.mult >> s->records.file.shift);
}

typedef struct longest {
  struct trace_gap gap;
} longest;

static void keep_longest(const struct trace_gap *gap, void *user) {
  longest *l = user;
  if (gap->times[TRACE_LIMIT] > l->gap.times[TRACE_LIMIT])
    l->gap = *gap;
}

/* The device was idle for as long as the limit held something up, and for its sake. */
static void assert_idle(said *s, uint32_t device, const tnr_trace_held *held) {
  enum { ROUNDED_NS = 10 };
  longest l = {0};
  int64_t busy, took = ns(s, held->ticks);
  tnr_fault fault;
  assert_ok(trace_gaps(&s->recording, &s->hosts, device, keep_longest, &l, &busy, &fault));
  assert_in_range(l.gap.times[TRACE_LIMIT], took - ROUNDED_NS, took + ROUNDED_NS);
  assert_true(s->summary.devices[device].causes[TRACE_LIMIT] >= l.gap.times[TRACE_LIMIT]);
}

/* ---- calls ---- */

typedef struct caller {
  void *x; /* a tensor or a future */
  bool plain, made;
  atomic_int calls;
} caller;

static void call(caller *c) {
  atomic_fetch_add(&c->calls, 1);
  tnr_value y = c->plain ? TNR_VALUE(rig_plus_one((tnr_tensor *)c->x))
                         : TNR_VALUE(rig_plus_one((tnr_future *)c->x));
  c->made = y.handle && tnr_wait(y, TNR_COMPLETE, INT64_MAX) == TNR_OK;
  tnr_release(y.handle);
}

static void open_gate(caller *c) {
  rig_await(&c->calls, 1);
  rig_sleep_ms(HELD_MS);
  rig_open_gate();
}

static void call_or_open(void *user, int index) {
  if (index == 0)
    call(user);
  else
    open_gate(user);
}

/* What is said of a call that waits until an op on cpu:1 has gone through the gate. */
static said call_when_held(tnr_runtime *runtime, caller *c, void (*function)(void *, int)) {
  rig_await_held(1);
  rig_threads(2, function, c);
  assert_true(c->made);
  return read_all(runtime);
}

/* cpu:1 stands still in an op that is all that may be in flight; then a call wants cpu:0. */
static said call_when_full(void (*function)(void *, int)) {
  tnr_runtime *runtime = limited((tnr_limits){.max_ops = 1}, none, false);
  caller c = {.x = on(runtime, 0)};
  tnr_future *other = on(runtime, 1);
  assert_made(rig_hold(other));
  return call_when_held(runtime, &c, function);
}

/* The first that a limit held up was a call, of this op. */
static const tnr_trace_held *call_held(const said *s, uint32_t op, const recorded_event **event) {
  const tnr_trace_held *held = held_at(s, 0, event);
  assert_int_equal(held->how, TNR_TRACE_CALL_HELD);
  assert_int_equal(held->op, op);
  assert_true(ns(s, held->ticks) >= LEAST_NS);
  return held;
}

static void a_call_that_waits_says_for_how_long_and_on_which_device(void **state) {
  check_needs_threads();
  (void)state;
  const recorded_event *event;
  said s = call_when_full(call_or_open);
  uint32_t op = recorded_op(&s.records, "rig_plus_one", 0);
  const tnr_trace_held *held = call_held(&s, op, &event);
  assert_int_equal(recorded_count(&s.records, TNR_TRACE_HELD, 0), 1);
  assert_int_equal(held->device, 0);
  assert_int_equal(event->kind, TNR_TRACE_APPLICATION);
  const recorded_event *submit = recorded_find(&s.records, TNR_TRACE_SUBMIT, held->op);
  assert_int_equal(submit->tape, event->tape);
  assert_true(submit->time >= event->time);
  assert_idle(&s, 0, held);
  uint32_t row = tape_row(&s.recording, held->op);
  assert_true(s.recording.ops.at[row].flags & TRACE_WAS_HELD);
  assert_true(s.summary.threads[s.recording.ops.at[row].lane].held >= LEAST_NS);
  forget(&s);
}

/* Within the making of its result. */
static void a_plain_call_waits_for_bytes(void **state) {
  check_needs_threads();
  (void)state;
  const recorded_event *event;
  tnr_runtime *runtime = limited((tnr_limits){.max_bytes = 3 * BYTES / 2}, none, false);
  tnr_tensor *x = rig_tensor(device(runtime, 0), 1), *far = rig_tensor(device(runtime, 1), 1);
  caller c = {.x = x, .plain = true};
  assert_made(rig_hold(far));
  said s = call_when_held(runtime, &c, call_or_open);
  uint32_t op = recorded_op(&s.records, "rig_plus_one", 0);
  const tnr_trace_held *held = call_held(&s, op, &event);
  const recorded_event *create = recorded_find(&s.records, TNR_TRACE_CREATE, held->op);
  assert_true(create->time >= event->time && create->execute >= held->ticks);
  assert_idle(&s, 0, held);
  forget(&s);
}

static tnr_value one_more(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count, (void)attrs;
  return rig_plus_one(in[0]);
}

static const tnr_composite_def one_more_def = {.name = "one_more", .body = one_more};

static void call_composite_or_open(void *user, int index) {
  caller *c = user;
  if (index == 1) {
    open_gate(c);
    return;
  }
  atomic_fetch_add(&c->calls, 1);
  tnr_future *y = TNR_COMPOSITE1(&one_more_def, (tnr_future *)c->x, tnr_no_attrs, );
  c->made = y && tnr_wait(y, TNR_COMPLETE, INT64_MAX) == TNR_OK;
  tnr_release(y);
}

static void a_composite_waits_before_its_body(void **state) {
  check_needs_threads();
  (void)state;
  const recorded_event *event;
  said s = call_when_full(call_composite_or_open);
  const tnr_trace_held *held = call_held(&s, 0, &event);
  uint32_t composite = recorded_op(&s.records, "one_more", 0);
  assert_true(recorded_find(&s.records, TNR_TRACE_SUBMIT, composite)->time >= event->time);
  assert_idle(&s, 0, held);
  forget(&s);
}

/* ---- TNR_EAGAIN ---- */

static void count(void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
}

static void a_call_that_is_refused_is_held_until_there_is_room(void **state) {
  check_needs_threads();
  (void)state;
  enum { TIMES = 3 };
  atomic_int told = 0;
  const recorded_event *event;
  tnr_runtime *runtime = limited((tnr_limits){.max_ops = 1}, none, true);
  tnr_future *x = on(runtime, 0), *other = on(runtime, 1);
  tnr_future *held = rig_hold(other);
  assert_made(held);
  rig_await_held(1);
  for (int i = 0; i < TIMES; i++) { /* whoever tries again is recorded once */
    assert_null(rig_plus_one(x));
    assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  }
  tnr_error_clear();
  assert_ok(tnr_on_writable(runtime, count, &told));
  rig_sleep_ms(HELD_MS);
  rig_open_gate();
  rig_await(&told, 1);
  rig_sleep_ms(HELD_MS); /* that is the program's own affair */
  tnr_future *y = rig_plus_one(x);
  assert_made(y);
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  said s = read_all(runtime);
  const tnr_trace_held *refused = held_at(&s, 0, &event);
  assert_int_equal(recorded_count(&s.records, TNR_TRACE_HELD, 0), 1);
  assert_int_equal(refused->how, TNR_TRACE_CALL_REFUSED);
  assert_int_equal(refused->device, 0);
  assert_int_equal(refused->ticks, 0);
  assert_int_equal(recorded_count(&s.records, TNR_TRACE_ROOM, 0), 1);
  const recorded_event *room = recorded_find(&s.records, TNR_TRACE_ROOM, 0);
  assert_int_equal(room->kind, TNR_TRACE_DISPATCHER);
  int64_t until_room = ns(&s, room->time - event->time);
  assert_true(until_room >= LEAST_NS);
  longest l = {0};
  int64_t busy;
  tnr_fault fault;
  assert_ok(trace_gaps(&s.recording, &s.hosts, 0, keep_longest, &l, &busy, &fault));
  assert_in_range(l.gap.times[TRACE_LIMIT], until_room - 1000, until_room + 1000);
  assert_true(l.gap.times[TRACE_NOTHING] + l.gap.times[TRACE_HOST] >= LEAST_NS);
  uint32_t row = tape_row(&s.recording, recorded_op(&s.records, "rig_plus_one", 0));
  assert_int_equal(s.summary.threads[s.recording.ops.at[row].lane].refused, 1);
  forget(&s);
}

/* ---- workers ---- */

static void sleep_on_dispatcher(tnr_value future, void *user) {
  (void)future, (void)user;
  rig_open_gate();
  rig_sleep_ms(HELD_MS);
}

static void await_launches(tnr_runtime *runtime) {
  tnr_future *y = rig_plus_one(on(runtime, 1));
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
}

/* The outputs of the first op are all that the device may have in flight, and its completion is on
 * its way while the dispatcher is busy with a callback. */
static void a_worker_that_waits_for_bytes_says_so(void **state) {
  check_needs_threads();
  (void)state;
  const recorded_event *event;
  tnr_runtime *runtime = limited(none, (tnr_limits){.max_bytes = 3 * BYTES / 2}, false);
  tnr_promise *begin = tnr_promise_create(runtime);
  tnr_future *begins = tnr_promise_future(begin), *x = on(runtime, 0);
  tnr_tensor *any = rig_tensor(device(runtime, 1), 1);
  assert_ok(tnr_on(begins, TNR_COMPLETE, sleep_on_dispatcher, NULL));
  assert_made(rig_hold(x));
  tnr_future *second = rig_plus_one(x);
  rig_await_held(1);
  await_launches(runtime);
  assert_ok(tnr_promise_fulfil(begin, any));
  assert_ok(tnr_wait(second, TNR_COMPLETE, INT64_MAX));
  said s = read_all(runtime);
  uint32_t op = recorded_op(&s.records, "rig_plus_one", 0);
  const tnr_trace_held *held = held_at(&s, 0, &event);
  assert_int_equal(recorded_count(&s.records, TNR_TRACE_HELD, 0), 1);
  assert_int_equal(held->how, TNR_TRACE_WORKER_HELD);
  assert_int_equal(held->op, op);
  assert_int_equal(held->device, 0);
  assert_int_equal(event->kind, TNR_TRACE_WORKER);
  assert_true(ns(&s, held->ticks) >= LEAST_NS);
  const struct trace_run *run =
      &s.recording.runs.at[s.recording.ops.at[tape_row(&s.recording, op)].runs];
  assert_true(run->launched <= run->held);
  assert_in_range(run->began - run->held - ns(&s, held->ticks), 0, 2);
  assert_idle(&s, 0, held);
  forget(&s);
}

/* Who plays the worker leaves it alone until there is room. */
static void a_worker_that_is_held_back_says_so(void **state) {
  if (check_mode() == TNR_THREADS || check_seed() != 0) /* in the natural order it has to be */
    skip();
  (void)state;
  const recorded_event *event;
  tnr_runtime *runtime = limited((tnr_limits){.max_bytes = BYTES}, none, false);
  tnr_future *x = on(runtime, 0), *far = on(runtime, 1);
  tnr_future *first = rig_plus_one(x), *second = rig_plus_one(far);
  assert_ok(tnr_wait(first, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_wait(second, TNR_COMPLETE, INT64_MAX));
  said s = read_all(runtime);
  const tnr_trace_held *held = held_at(&s, 0, &event);
  assert_int_equal(recorded_count(&s.records, TNR_TRACE_HELD, 0), 1);
  assert_int_equal(held->how, TNR_TRACE_WORKER_HELD);
  assert_int_equal(held->op, recorded_op(&s.records, "rig_plus_one", 1));
  assert_int_equal(held->device, 1);
  assert_true(event->time <= recorded_find(&s.records, TNR_TRACE_COMPLETE, held->op)->time);
  forget(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(a_call_that_waits_says_for_how_long_and_on_which_device),
      rig_bare_test(a_plain_call_waits_for_bytes),
      rig_bare_test(a_composite_waits_before_its_body),
      rig_bare_test(a_call_that_is_refused_is_held_until_there_is_room),
      rig_bare_test(a_worker_that_waits_for_bytes_says_so),
      rig_bare_test(a_worker_that_is_held_back_says_so),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
