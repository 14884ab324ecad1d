/* Limits on what is in flight: who waits, who is told, and how much memory there is meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "post.h"

enum { MS = 1000000, KIB = 1 << 10, MIB = 1 << 20 };
enum { LARGE = 256 * KIB }; /* bytes of a large tensor; of these the pool's peak is exact */

static tnr_runtime *bounded(tnr_limits all, tnr_limits each, bool full_is_error) {
  const tnr_device_config devices = {.driver = tnr_cpu_driver(), .count = 2, .limits = each};
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){.devices = &devices,
                                                                   .device_configs = 1,
                                                                   .limits = all,
                                                                   .full_is_error = full_is_error,
                                                                   CHECK_MODE});
  assert_made(runtime);
  rig_step_also(runtime);
  assert_ok(tnr_scope_open());
  return runtime;
}

static void end(tnr_runtime *runtime) {
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

static tnr_device *device(tnr_runtime *runtime) {
  return tnr_runtime_device_at(runtime, 0);
}

static tnr_tensor *large(tnr_runtime *runtime) {
  static float ones[LARGE / sizeof(float)];
  for (size_t i = 0; i < LARGE / sizeof(float); i++)
    ones[i] = 1;
  tnr_tensor *made =
      tnr_tensor_create(device(runtime), TNR_F32, TNR_SHAPE(LARGE / sizeof(float)), ones);
  assert_made(made);
  assert_ok(tnr_wait(made, TNR_COMPLETE, INT64_MAX));
  return made;
}

static tnr_future *one(tnr_runtime *runtime) {
  return tnr_to_async(rig_tensor(device(runtime), 1));
}

/* The most memory that the process has had, in bytes. */
static int64_t peak_of_process(void) {
  char line[128];
  long kib = 0;
  FILE *file = fopen("/proc/self/status", "r");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %ld kB", &kib) != 1) {
  }
  fclose(file);
  assert_true(kib > 0);
  return kib * (int64_t)KIB;
}

/* ---- a producer that never stops ---- */

static void produce(tnr_runtime *runtime, bool async, int ops) {
  tnr_tensor *x = large(runtime);
  tnr_future *f = tnr_to_async(x);
  for (int i = 0; i < ops; i++) {
    assert_ok(tnr_scope_open());
    if (async)
      assert_made(rig_plus_one(f));
    else
      assert_made(rig_plus_one(x));
    assert_ok(tnr_scope_close());
  }
}

static void assert_under(tnr_runtime *runtime, tnr_limits limits) {
  tnr_in_flight now = tnr_device_in_flight(device(runtime));
  assert_true(now.peak_bytes > 0);
  if (limits.max_bytes) {
    assert_true(now.peak_bytes <= limits.max_bytes);
    /* besides: the input */
    assert_true(tnr_device_memory(device(runtime)).peak_bytes <=
                (uint64_t)limits.max_bytes + LARGE);
  }
  if (limits.max_ops)
    assert_true(now.peak_ops <= limits.max_ops);
}

static void produce_within(tnr_limits all, tnr_limits each, bool async) {
  enum { OPS = CHECK_MANY(1000) };
  int64_t before = peak_of_process();
  tnr_runtime *runtime = bounded(all, each, false);
  produce(runtime, async, OPS);
  assert_ok(tnr_synchronize_device(device(runtime)));
  assert_under(runtime, all);
  assert_under(runtime, each);
  assert_int_equal(tnr_runtime_in_flight(runtime).ops, 0);
  assert_int_equal(tnr_runtime_in_flight(runtime).bytes, 0);
  end(runtime);
  if (!CHECK_SANITIZED) /* of the 250 MiB that were produced */
    assert_true(peak_of_process() - before < 32 * MIB);
}

static void a_producer_that_never_stops_stays_under_its_limits(void **state) {
  const tnr_limits none = {0}, bytes = {.max_bytes = 8 * LARGE},
                   ops = {.max_ops = 8}, /* of plain calls: that many outputs */
      both = {.max_ops = 6, .max_bytes = 4 * LARGE};
  (void)state;
  for (int async = 0; async < 2; async++) {
    produce_within(bytes, none, async);
    produce_within(none, bytes, async);
    produce_within(none, ops, async);
    produce_within(both, none, async);
  }
}

static void without_limits_nothing_is_counted(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded((tnr_limits){0}, (tnr_limits){0}, false);
  assert_number(rig_plus_one(one(runtime)), 2);
  assert_int_equal(tnr_runtime_in_flight(runtime).peak_ops, 0);
  assert_int_equal(tnr_device_in_flight(device(runtime)).peak_bytes, 0);
  assert_int_equal(tnr_runtime_in_flight(NULL).ops, 0);
  assert_int_equal(tnr_device_in_flight(NULL).ops, 0);
  end(runtime);
}

typedef struct producing {
  tnr_runtime *runtime;
  tnr_future *from;
  atomic_int submitted;
} producing;

static void produce_on_thread(void *user, int index) {
  producing *all = user;
  (void)index;
  for (int i = 0; i < CHECK_MANY(1000); i++) {
    tnr_future *f = rig_plus_one(all->from);
    if (!f)
      abort();
    tnr_release(f);
    atomic_fetch_add(&all->submitted, 1);
  }
}

static void many_producers_share_a_limit(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded((tnr_limits){.max_ops = 7}, (tnr_limits){0}, false);
  producing all = {.runtime = runtime, .from = one(runtime)};
  rig_threads(4, produce_on_thread, &all);
  assert_ok(tnr_synchronize_device(device(runtime)));
  assert_in_range(tnr_runtime_in_flight(runtime).peak_ops, 1, 7);
  end(runtime);
}

static void *produce_alone(void *user) {
  produce_on_thread(user, 0);
  return NULL;
}

/* Nothing gets on, and so nobody submits more than the limit. */
static void a_call_waits_for_room(void **state) {
  check_needs_threads();
  (void)state;
  pthread_t thread;
  tnr_runtime *runtime = bounded((tnr_limits){0}, (tnr_limits){.max_ops = 5}, false);
  producing all = {.runtime = runtime, .from = rig_hold(one(runtime))};
  assert_int_equal(pthread_create(&thread, NULL, produce_alone, &all), 0);
  rig_await(&all.submitted, 4);
  rig_sleep_ms(20);
  assert_int_equal(all.submitted, 4);
  assert_int_equal(tnr_device_in_flight(device(runtime)).ops, 5);
  rig_open_gate();
  pthread_join(thread, NULL);
  assert_int_equal(all.submitted, CHECK_MANY(1000));
  end(runtime);
}

/* ---- what is more than the limit ---- */

static void a_working_set_of_four_times_the_limit_finishes(void **state) {
  enum { COUNT = 16 };
  (void)state;
  for (int async = 0; async < 2; async++) {
    tnr_runtime *runtime =
        bounded((tnr_limits){0}, (tnr_limits){.max_bytes = COUNT / 4 * LARGE}, false);
    tnr_tensor *x = large(runtime);
    tnr_value made[COUNT];
    for (int i = 0; i < COUNT; i++)
      made[i] = async ? TNR_VALUE(rig_plus_one(tnr_to_async(x))) : TNR_VALUE(rig_plus_one(x));
    tnr_value sum = made[0];
    for (int i = 1; i < COUNT; i++)
      sum = rig_sum(sum, made[i]);
    tnr_tensor *result = tnr_value_tensor(tnr_get(sum));
    float *numbers = malloc(LARGE);
    assert_ok(tnr_tensor_read(result, numbers, LARGE));
    assert_true(numbers[0] == 2 * COUNT && numbers[LARGE / sizeof(float) - 1] == 2 * COUNT);
    free(numbers);
    assert_true(tnr_device_memory(device(runtime)).peak_bytes >= COUNT * LARGE);
    assert_in_range(tnr_device_in_flight(device(runtime)).peak_bytes, LARGE, COUNT / 4 * LARGE);
    end(runtime);
  }
}

static void an_op_larger_than_the_limit_is_an_error(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded((tnr_limits){0}, (tnr_limits){.max_bytes = LARGE - 1}, false);
  tnr_tensor *x = large(runtime);
  tnr_tensor *plain = rig_plus_one(x);
  assert_null(plain);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "the outputs take 262144 bytes, but cpu:0 may have 262143 bytes in flight");
  assert_non_null(strstr(tnr_error_message(tnr_error()), "f32 [65536]"));
  tnr_future *async = rig_plus_one(tnr_to_async(x));
  assert_fails(tnr_wait(async, TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  assert_fails(tnr_wait(rig_plus_one(async), TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  assert_number(rig_plus_one(one(runtime)), 2);
  end(runtime);
  runtime = bounded((tnr_limits){.max_bytes = 17}, (tnr_limits){0}, true);
  assert_number(rig_plus_one(one(runtime)), 2);
  assert_null(rig_two(rig_tensor(device(runtime), 1))); /* two outputs */
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  end(runtime);
}

static void limits_below_nothing_are_refused(void **state) {
  (void)state;
  const tnr_device_config wrong = {
      .driver = tnr_cpu_driver(), .count = 1, .limits = {.max_ops = -1}};
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.limits = {.max_bytes = -1}}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.devices = &wrong, .device_configs = 1}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
}

/* ---- who does not wait ---- */

static void submit_many(tnr_value future, void *user) {
  atomic_int *failed = user;
  if (tnr_scope_open() != TNR_OK)
    abort();
  for (int i = 0; i < 20; i++)
    atomic_fetch_add(failed, rig_plus_one(future).kind == TNR_VALUE_NONE);
  tnr_scope_close();
}

static void callbacks_submit_beyond_the_limit(void **state) {
  atomic_int failed = 0;
  (void)state;
  tnr_runtime *runtime = bounded((tnr_limits){.max_ops = 2}, (tnr_limits){0}, false);
  tnr_mailbox *box = post_box(runtime);
  tnr_future *f = rig_plus_one(one(runtime));
  assert_ok(tnr_on(f, TNR_COMPLETE, submit_many, &failed));
  assert_ok(tnr_on(f, TNR_COMPLETE, submit_many, &failed, .mailbox = box));
  post_await(box);
  assert_int_equal(tnr_mailbox_dispatch(box), 1);
  assert_ok(tnr_synchronize_device(device(runtime)));
  assert_int_equal(failed, 0);
  assert_true(tnr_runtime_in_flight(runtime).peak_ops > 2);
  assert_ok(tnr_mailbox_destroy(box));
  end(runtime);
}

static tnr_value five(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count, (void)attrs;
  tnr_value value = in[0];
  for (int i = 0; i < 5; i++)
    value = rig_plus_one(value);
  return value;
}

static const tnr_composite_def five_def = {.name = "five", .body = five};
static const tnr_composite_def late_five_def = {
    .name = "late_five", .needs_shapes = true, .body = five};

static void bodies_of_composites_run_through(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded((tnr_limits){0}, (tnr_limits){.max_ops = 1}, false);
  tnr_future *f = one(runtime);
  for (int i = 0; i < 20; i++)
    f = i % 2 ? TNR_COMPOSITE1(&five_def, f, tnr_no_attrs, )
              : TNR_COMPOSITE1(&late_five_def, f, tnr_no_attrs, );
  assert_number(f, 101);
  assert_number(TNR_COMPOSITE1(&five_def, rig_tensor(device(runtime), 1), tnr_no_attrs, ), 6);
  end(runtime);
}

static void several_devices_at_once_get_through(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded((tnr_limits){.max_ops = 3}, (tnr_limits){.max_bytes = 16}, false);
  tnr_device *both[] = {device(runtime), tnr_runtime_device_at(runtime, 1)};
  const tnr_mesh *mesh = tnr_mesh_of(both, 2);
  for (int i = 0; i < CHECK_MANY(400) + 1; i++) {
    assert_ok(tnr_scope_open());
    tnr_future *a = tnr_shard(one(runtime), mesh),
               *b = rig_plus_one(tnr_replicate(one(runtime), mesh));
    tnr_future *c = rig_plus_one(tnr_to_device(rig_plus_one(one(runtime)), both[1]));
    assert_number(tnr_gather(rig_plus_one(a)), 2);
    assert_number(tnr_gather(b), 2);
    assert_number(c, 3);
    assert_ok(tnr_scope_close());
  }
  end(runtime);
}

/* ---- TNR_EAGAIN ---- */

/* Until it is refused; nothing is taken away meanwhile. */
static int fill(tnr_future *from) {
  int made = 0;
  for (;; made++) {
    tnr_future *f = rig_plus_one(from);
    if (!f)
      break;
  }
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_string_equal(tnr_error_op(tnr_error()), "rig_plus_one");
  tnr_error_clear();
  return made;
}

static void count(void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
}

static tnr_future *what_waits(tnr_runtime *runtime) {
  return check_mode() == TNR_THREADS ? rig_hold(one(runtime)) : rig_plus_one(one(runtime));
}

static void who_does_not_want_to_wait_is_told_of_room(void **state) {
  (void)state;
  atomic_int told = 0, told_here = 0;
  tnr_runtime *runtime = bounded((tnr_limits){0}, (tnr_limits){.max_ops = 10}, true);
  tnr_mailbox *box = post_box(runtime);
  tnr_future *f = what_waits(runtime);
  assert_int_equal(fill(f), 9);
  assert_null(rig_plus_one(rig_tensor(device(runtime), 1)));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_null(TNR_COMPOSITE1(&five_def, f, tnr_no_attrs, ));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box));
  assert_ok(tnr_on_writable(runtime, count, &told_here));
  rig_sleep_ms(5);
  assert_int_equal(told + told_here, 0);
  rig_open_gate();
  post_run(box, 1);
  assert_int_equal(told, 1);
  rig_await(&told_here, 1);
  assert_made(rig_plus_one(f));
  assert_ok(tnr_synchronize_device(device(runtime)));
  assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box)); /* at once */
  post_run(box, 1);
  assert_int_equal(told, 2);
  assert_int_equal(told_here, 1);
  post_close(box);
  end(runtime);
}

/* Not of just any room. */
static void who_needs_many_bytes_is_told_when_there_are_as_many(void **state) {
  check_needs_threads();
  (void)state;
  atomic_int told = 0;
  tnr_runtime *runtime = bounded((tnr_limits){.max_bytes = 3 * LARGE / 2}, (tnr_limits){0}, true);
  tnr_mailbox *box = post_box(runtime);
  tnr_tensor *x = large(runtime), *small = rig_tensor(device(runtime), 1);
  tnr_tensor *held = rig_hold(x);
  assert_made(held);
  assert_null(rig_plus_one(x));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_made(rig_plus_one(small)); /* for that there is room */
  assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box));
  rig_sleep_ms(5);
  assert_false(post_is_readable(box));
  rig_open_gate();
  post_run(box, 1);
  assert_made(rig_plus_one(x));
  post_close(box);
  end(runtime);
}

/* An event loop with back-pressure: everything gets in, and each is told as often as it asks. */
static void a_loop_that_waits_for_room_gets_everything_in(void **state) {
  enum { OPS = CHECK_MANY(2000) };
  (void)state;
  atomic_int told = 0;
  int asked = 0;
  tnr_runtime *runtime = bounded((tnr_limits){.max_ops = 4}, (tnr_limits){0}, true);
  tnr_mailbox *box = post_box(runtime);
  tnr_future *f = one(runtime);
  for (int made = 0; made < OPS;) {
    tnr_future *next = rig_plus_one(f);
    if (next) {
      made++;
      continue;
    }
    assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
    assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box));
    asked++;
    while (told < asked) {
      post_await(box);
      (void)tnr_mailbox_dispatch(box);
    }
  }
  assert_int_equal(told, asked);
  assert_true(asked > 0);
  assert_in_range(tnr_runtime_in_flight(runtime).peak_ops, 1, 4);
  assert_ok(tnr_synchronize_device(device(runtime)));
  post_close(box);
  end(runtime);
}

static void what_cannot_be_told_is_refused(void **state) {
  (void)state;
  atomic_int told = 0;
  tnr_runtime *runtime = bounded((tnr_limits){.max_ops = 4}, (tnr_limits){0}, true);
  tnr_runtime *other = rig_runtime();
  tnr_mailbox *foreign = post_box(other);
  assert_fails(tnr_on_writable(runtime, NULL, NULL), TNR_EINVAL);
  assert_fails(tnr_on_writable(runtime, count, &told, .mailbox = foreign), TNR_EINVAL);
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
  assert_fails(tnr_on_writable(other, count, &told, .mailbox = foreign), TNR_ECLOSED);
  post_close(foreign);
  end(runtime);
  assert_int_equal(told, 0);
}

/* ---- the end ---- */

typedef struct race {
  tnr_runtime *runtime;
  tnr_mailbox *box;
  tnr_future *from;
  atomic_int asked, told, told_there;
} race;

/* Until the runtime is closed. */
static void submit_until_closed(void *user, int index) {
  race *r = user;
  for (;;) {
    tnr_future *f = rig_plus_one(r->from);
    tnr_release(f);
    if (f)
      continue;
    if (tnr_error_code(tnr_error()) != TNR_EAGAIN)
      return;
    bool here = index % 2;
    if (tnr_on_writable_with(r->runtime, count, here ? &r->told : &r->told_there,
                             &(tnr_on_options){.mailbox = here ? r->box : NULL}) == TNR_OK)
      atomic_fetch_add(&r->asked, 1);
  }
}

static void *end_soon(void *user) {
  rig_sleep_ms(1);
  if (tnr_runtime_destroy(((race *)user)->runtime, TNR_ABORT) != TNR_OK)
    abort();
  return NULL;
}

static void race_the_end(bool full_is_error) {
  pthread_t thread;
  race r = {.runtime = bounded((tnr_limits){.max_ops = 3}, (tnr_limits){0}, full_is_error)};
  r.box = post_box(r.runtime);
  r.from = one(r.runtime);
  assert_int_equal(pthread_create(&thread, NULL, end_soon, &r), 0);
  rig_threads(3, submit_until_closed, &r);
  pthread_join(thread, NULL);
  (void)tnr_mailbox_dispatch(r.box);
  assert_int_equal(r.told + r.told_there, r.asked);
  post_close(r.box);
  assert_ok(tnr_scope_close());
}

static void who_waits_when_it_ends_comes_back(void **state) {
  (void)state;
  for (int i = 0; i < CHECK_MANY(200) + 2; i++)
    race_the_end(i % 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(without_limits_nothing_is_counted),
      rig_bare_test(a_producer_that_never_stops_stays_under_its_limits),
      rig_bare_test(many_producers_share_a_limit),
      rig_bare_test(a_call_waits_for_room),
      rig_bare_test(a_working_set_of_four_times_the_limit_finishes),
      rig_bare_test(an_op_larger_than_the_limit_is_an_error),
      rig_bare_test(limits_below_nothing_are_refused),
      rig_bare_test(callbacks_submit_beyond_the_limit),
      rig_bare_test(bodies_of_composites_run_through),
      rig_bare_test(several_devices_at_once_get_through),
      rig_bare_test(who_does_not_want_to_wait_is_told_of_room),
      rig_bare_test(who_needs_many_bytes_is_told_when_there_are_as_many),
      rig_bare_test(a_loop_that_waits_for_room_gets_everything_in),
      rig_bare_test(what_cannot_be_told_is_refused),
      rig_bare_test(who_waits_when_it_ends_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
