/* Virtual time and orders: the same program gives the same timeline and the same numbers, devices
 * overlap as their cost models say, and a seed gives another order that is as right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/runtime.h"
#include "rig.h"

enum { MS = 1000000 };

/* ---- a timeline that is kept ---- */

typedef struct record {
  char *text;
  size_t bytes, room;
  tnr_timeline_entry entries[4096];
  int count;
} record;

static void keep(const tnr_timeline_entry *entry, void *user) {
  record *to = user;
  int length = tnr_timeline_format(entry, NULL, 0);
  while (to->bytes + (size_t)length + 1 > to->room) {
    to->room = 2 * to->room + 4096;
    to->text = realloc(to->text, to->room);
    if (!to->text)
      abort();
  }
  (void)tnr_timeline_format(entry, to->text + to->bytes, to->room - to->bytes);
  to->bytes += (size_t)length;
  if (to->count < 4096)
    to->entries[to->count++] = *entry;
}

typedef struct rig {
  tnr_runtime *runtime;
  record *record;
} rig;

/* Two sims on which each op takes 5 ms, and two cpus. */
static rig begin(uint64_t seed) {
  static const tnr_sim_config slow = {.launch_ns = 5 * MS};
  const tnr_device_config devices[] = {
      {.driver = tnr_sim_driver(), .count = 2, .config = &slow},
      {.driver = tnr_cpu_driver(), .count = 2},
  };
  rig r = {.record = calloc(1, sizeof *r.record)};
  r.runtime = tnr_runtime_create(&(tnr_runtime_options){.devices = devices,
                                                        .device_configs = 2,
                                                        .mode = TNR_DETERMINISTIC,
                                                        .seed = seed,
                                                        .timeline = keep,
                                                        .timeline_user = r.record});
  assert_made(r.runtime);
  assert_ok(tnr_scope_open());
  return r;
}

static void end(rig *r) {
  assert_ok(tnr_scope_close());
  assert_nothing_left(r->runtime);
  free(r->record->text);
  free(r->record);
}

/* A future on a device that needs no copy to get there. */
static tnr_future *zeros_on(rig *r, const char *device) {
  tnr_future *zeros = tnr_to_async(
      tnr_tensor_create(tnr_runtime_device(r->runtime, device), TNR_F32, TNR_SHAPE(4), NULL));
  assert_ok(tnr_wait(zeros, TNR_COMPLETE, INT64_MAX));
  return zeros;
}

/* ---- time ---- */

static void time_passes_only_as_the_models_say(void **state) {
  (void)state;
  rig r = begin(0);
  int64_t wall = rig_now_ns();
  assert_int_equal(tnr_runtime_now(r.runtime), 0);
  tnr_future *f = zeros_on(&r, "sim:0"); /* one copy */
  assert_int_equal(tnr_runtime_now(r.runtime), 5 * MS);
  for (int i = 0; i < 2000; i++)
    f = rig_plus_one(f);
  assert_int_equal(tnr_runtime_now(r.runtime), 5 * MS);
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(tnr_runtime_now(r.runtime), 2001 * 5 * (int64_t)MS); /* ten seconds */
  assert_true(rig_now_ns() - wall < 5000 * (int64_t)MS);
  rig_sleep_ms(2);
  assert_int_equal(tnr_runtime_now(r.runtime), 2001 * 5 * (int64_t)MS);
  assert_number(f, 2000);
  end(&r);
}

static void devices_without_a_model_take_no_time(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_future *f = zeros_on(&r, "cpu:0");
  for (int i = 0; i < 100; i++)
    f = rig_plus_one(f);
  assert_number(f, 100);
  assert_int_equal(tnr_runtime_now(r.runtime), 0);
  end(&r);
}

static void devices_work_side_by_side(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_future *a = zeros_on(&r, "sim:0"), *b = zeros_on(&r, "sim:1");
  int64_t start = tnr_runtime_now(r.runtime);
  for (int i = 0; i < 10; i++) {
    a = rig_plus_one(a);
    b = rig_plus_one(b);
  }
  assert_ok(tnr_wait(a, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_wait(b, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 10 * 5 * MS);
  end(&r);
}

/* Created when the device begins with it, complete when it has done it. */
static void the_two_moments_have_their_own_times(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_future *f = zeros_on(&r, "sim:0");
  int64_t start = tnr_runtime_now(r.runtime);
  tnr_future *first = rig_plus_one(f), *second = rig_plus_one(first);
  assert_made(tnr_get(first));
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 0);
  assert_false(tnr_passed(first, TNR_COMPLETE));
  assert_made(tnr_get(second));
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 5 * MS);
  assert_true(tnr_passed(first, TNR_COMPLETE));
  assert_ok(tnr_wait(second, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 10 * MS);
  end(&r);
}

static void timeouts_count_on_the_virtual_clock(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_future *f = rig_plus_one(zeros_on(&r, "sim:0"));
  tnr_tensor *created = tnr_get(f);
  int64_t start = tnr_runtime_now(r.runtime);
  float data[4];
  assert_fails(tnr_wait(f, TNR_COMPLETE, 0), TNR_ETIMEDOUT);
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 0);
  assert_fails(tnr_wait(f, TNR_COMPLETE, 1), TNR_ETIMEDOUT);
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 1);
  assert_fails(tnr_tensor_read_for(created, data, sizeof data, 2 * MS), TNR_ETIMEDOUT);
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 2 * MS + 1);
  assert_ok(tnr_wait(f, TNR_COMPLETE, 3 * MS)); /* more than is left */
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 5 * MS);
  assert_ok(tnr_tensor_read_for(created, data, sizeof data, 5 * MS)); /* the copy takes all of it */
  assert_true(data[0] == 1);
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 10 * MS);
  end(&r);
}

static void steps_pass_the_time_too(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_future *f = rig_plus_one(zeros_on(&r, "sim:0"));
  int64_t start = tnr_runtime_now(r.runtime);
  while (tnr_runtime_step(r.runtime)) {
  }
  assert_true(tnr_passed(f, TNR_COMPLETE));
  assert_int_equal(tnr_runtime_now(r.runtime) - start, 5 * MS);
  end(&r);
}

static void a_runtime_with_real_time_says_that(void **state) {
  (void)state;
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){.mode = TNR_ONE_THREAD});
  int64_t before = rig_now_ns(), now = tnr_runtime_now(runtime);
  assert_true(before <= now && now <= rig_now_ns());
  assert_int_equal(tnr_runtime_now(NULL), 0);
  assert_nothing_left(runtime);
}

/* ---- the timeline ---- */

static void a_small_program_has_this_timeline(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_future *a = zeros_on(&r, "cpu:0");
  tnr_device *sims[] = {tnr_runtime_device(r.runtime, "sim:0"),
                        tnr_runtime_device(r.runtime, "sim:1")};
  const tnr_value in[] = {TNR_VALUE(a)};
  tnr_value left = tnr_call_to_device((tnr_site){"a.c", 1}, in[0], sims[0]);
  tnr_value right = tnr_call_to_device((tnr_site){"a.c", 2}, in[0], sims[1]);
  left = tnr_call(&rig_plus_one_op, (tnr_site){"a.c", 3}, &left, 1, NULL);
  right = tnr_call(&rig_fail_op, (tnr_site){"a.c", 4}, &right, 1, NULL);
  tnr_value joined = tnr_call_to_device((tnr_site){"a.c", 5}, right, sims[0]);
  assert_fails(tnr_wait(joined, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ok(tnr_wait(left, TNR_COMPLETE, INT64_MAX));
  assert_string_equal(r.record->text, "0 submit #1 to_device (a.c:1)\n"
                                      "0 submit #2 to_device (a.c:2)\n"
                                      "0 submit #3 rig_plus_one (a.c:3)\n"
                                      "0 submit #4 rig_fail (a.c:4)\n"
                                      "0 submit #5 to_device (a.c:5)\n"
                                      "0 launch #1 to_device (a.c:1)\n"
                                      "0 launch #2 to_device (a.c:2)\n"
                                      "0 launch #3 rig_plus_one (a.c:3)\n"
                                      "0 launch #4 rig_fail (a.c:4)\n"
                                      "0 start #1 to_device on sim:0 (a.c:1)\n"
                                      "0 start #2 to_device on sim:1 (a.c:2)\n"
                                      "5000000 end #1 to_device on sim:0 (a.c:1)\n"
                                      "5000000 end #2 to_device on sim:1 (a.c:2)\n"
                                      "5000000 complete #1 to_device (a.c:1)\n"
                                      "5000000 complete #2 to_device (a.c:2)\n"
                                      "5000000 start #3 rig_plus_one on sim:0 (a.c:3)\n"
                                      "5000000 start #4 rig_fail on sim:1 (a.c:4)\n"
                                      "10000000 end #3 rig_plus_one on sim:0 (a.c:3)\n"
                                      "10000000 end #4 rig_fail on sim:1 (a.c:4)\n"
                                      "10000000 complete #3 rig_plus_one (a.c:3)\n"
                                      "10000000 complete #4 rig_fail TNR_EKERNEL (a.c:4)\n"
                                      "10000000 launch #5 to_device (a.c:5)\n"
                                      "10000000 start #5 to_device on sim:0 (a.c:5)\n"
                                      "10000000 end #5 to_device on sim:0 (a.c:5)\n"
                                      "10000000 complete #5 to_device TNR_EKERNEL (a.c:5)\n");
  end(&r);
}

static void each_device_of_a_mesh_starts_and_ends(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_device *sims[] = {tnr_runtime_device(r.runtime, "sim:0"),
                        tnr_runtime_device(r.runtime, "sim:1")};
  tnr_future *both = tnr_shard(zeros_on(&r, "sim:0"), tnr_mesh_of(sims, 2), .dim = 0);
  assert_ok(tnr_wait(rig_plus_one(both), TNR_COMPLETE, INT64_MAX));
  int started[2] = {0, 0}, ended[2] = {0, 0};
  for (int i = 0; i < r.record->count; i++) {
    const tnr_timeline_entry *entry = &r.record->entries[i];
    for (int k = 0; k < 2; k++)
      if (strcmp(entry->op, "rig_plus_one") == 0 && entry->device == sims[k]) {
        started[k] += entry->kind == TNR_TIMELINE_START;
        ended[k] += entry->kind == TNR_TIMELINE_END;
      }
  }
  for (int k = 0; k < 2; k++) {
    assert_int_equal(started[k], 1);
    assert_int_equal(ended[k], 1);
  }
  end(&r);
}

static void what_is_refused_or_aborted_is_on_it_too(void **state) {
  (void)state;
  rig r = begin(0);
  tnr_value f = TNR_VALUE(zeros_on(&r, "cpu:0"));
  r.record->bytes = 0;
  tnr_value late = tnr_call(&rig_plus_one_op, (tnr_site){"a.c", 1}, &f, 1, NULL);
  assert_ok(tnr_runtime_destroy(r.runtime, TNR_ABORT));
  assert_int_equal(tnr_error_code(tnr_future_error(late)), TNR_ECANCELED);
  assert_int_equal(tnr_call(&rig_plus_one_op, (tnr_site){"a.c", 2}, &f, 1, NULL).kind,
                   TNR_VALUE_NONE);
  assert_string_equal(r.record->text, "0 submit #1 rig_plus_one (a.c:1)\n"
                                      "0 complete #1 rig_plus_one TNR_ECANCELED (a.c:1)\n"
                                      "0 submit #2 rig_plus_one (a.c:2)\n"
                                      "0 complete #2 rig_plus_one TNR_ECLOSED (a.c:2)\n");
  assert_ok(tnr_scope_close());
  free(r.record->text);
  free(r.record);
}

/* ---- orders ---- */

static void submit_more(tnr_value future, void *user) {
  (void)user;
  tnr_value more = rig_plus_one(future);
  tnr_release(more.handle);
}

/* A program with much that may happen in one order or another: four devices, copies between them,
 * tuples, failures, callbacks, waits in between. Gives a sum of all that came out. */
static float program(rig *r) {
  enum { LANES = 4, STEPS = 12 };
  static const char *const names[] = {"sim:0", "sim:1", "cpu:0", "cpu:1"};
  tnr_future *lanes[LANES];
  for (int i = 0; i < LANES; i++)
    lanes[i] = zeros_on(r, names[i]);
  for (int step = 0; step < STEPS; step++)
    for (int i = 0; i < LANES; i++) {
      tnr_device *here = tnr_runtime_device(r->runtime, names[i]);
      tnr_future *other = tnr_to_device(lanes[(i + step) % LANES], here);
      lanes[i] = rig_sum(rig_plus_one(lanes[i]), tnr_at(rig_two(other), step % 2));
      assert_made(lanes[i]);
      if (step % 4 == 1)
        assert_ok(tnr_on(lanes[i], step % 8 < 4 ? TNR_CREATED : TNR_COMPLETE, submit_more, NULL));
      if (step == 7)
        assert_made(rig_fail(lanes[i]));
      if (step % 5 == 4)
        (void)!tnr_wait(lanes[i], TNR_COMPLETE, 7 * MS);
    }
  float total = 0;
  for (int i = 0; i < LANES; i++) {
    float data[4];
    assert_ok(tnr_tensor_read(tnr_get(lanes[i]), data, sizeof data));
    total += data[0] * (float)(i + 1);
  }
  for (int i = 0; i < LANES; i++)
    assert_ok(tnr_synchronize_device(tnr_runtime_device(r->runtime, names[i])));
  return total;
}

/* The timeline's text, to be freed. */
static char *timeline_of(uint64_t seed, float *total) {
  rig r = begin(seed);
  *total = program(&r);
  char *text = r.record->text;
  r.record->text = NULL;
  end(&r);
  return text;
}

static void the_same_seed_gives_the_same_bytes(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < CHECK_MANY(40) + 5; seed++) {
    float first, second;
    char *once = timeline_of(seed, &first), *again = timeline_of(seed, &second);
    assert_string_equal(once, again);
    assert_memory_equal(&first, &second, sizeof first);
    free(once);
    free(again);
  }
}

static void other_seeds_give_other_orders_and_the_same_numbers(void **state) {
  (void)state;
  enum { SEEDS = 20 };
  char *texts[SEEDS];
  float totals[SEEDS];
  for (int i = 0; i < SEEDS; i++)
    texts[i] = timeline_of((uint64_t)i, &totals[i]);
  for (int i = 0; i < SEEDS; i++) {
    assert_memory_equal(&totals[i], &totals[0], sizeof totals[0]);
    for (int k = 0; k < i; k++)
      assert_string_not_equal(texts[i], texts[k]);
  }
  for (int i = 0; i < SEEDS; i++)
    free(texts[i]);
}

/* Where an op's entries are, -1: nowhere. */
typedef struct passage {
  int at[TNR_TIMELINE_COMPLETE + 1];
} passage;

static void check_passage(const passage *op, tnr_status status) {
  assert_true(op->at[TNR_TIMELINE_SUBMIT] >= 0 && op->at[TNR_TIMELINE_COMPLETE] >= 0);
  if (op->at[TNR_TIMELINE_LAUNCH] < 0 && status != TNR_OK)
    return;
  for (int kind = TNR_TIMELINE_LAUNCH; kind <= TNR_TIMELINE_COMPLETE; kind++)
    assert_true(op->at[kind] > op->at[kind - 1]);
}

/* Each op passes its moments in their order, each device does one thing at a time, and time does
 * not go back. */
static void every_order_is_a_right_one(void **state) {
  (void)state;
  enum { OPS = 600 };
  for (uint64_t seed = 0; seed < CHECK_MANY(40) + 5; seed++) {
    rig r = begin(seed);
    (void)program(&r);
    passage ops[OPS];
    tnr_status ended[OPS] = {TNR_OK};
    const tnr_device *busy[2] = {NULL, NULL};
    memset(ops, -1, sizeof ops);
    for (int i = 0; i < r.record->count; i++) {
      const tnr_timeline_entry *entry = &r.record->entries[i];
      assert_in_range(entry->number, 1, OPS - 1);
      assert_true(i == 0 || entry->at >= entry[-1].at);
      assert_int_equal(ops[entry->number].at[entry->kind], -1);
      ops[entry->number].at[entry->kind] = i;
      if (entry->kind == TNR_TIMELINE_COMPLETE)
        ended[entry->number] = entry->status;
      for (int k = 0; k < 2 && entry->device; k++)
        if (entry->device == tnr_runtime_device_at(r.runtime, k)) {
          assert_ptr_equal(busy[k], entry->kind == TNR_TIMELINE_START ? NULL : entry->device);
          busy[k] = entry->kind == TNR_TIMELINE_START ? entry->device : NULL;
        }
    }
    uint64_t submitted = tnr_runtime_get_stats(r.runtime).submitted;
    assert_in_range(submitted, 100, OPS - 1);
    for (uint64_t i = 1; i <= submitted; i++)
      check_passage(&ops[i], ended[i]);
    end(&r);
  }
}

/* Ops that are ready at the same time are launched in every order, not only in that of their
 * submission. */
static void any_ready_op_may_be_launched_first(void **state) {
  (void)state;
  enum { OPS = 6 };
  bool first[OPS] = {false};
  for (uint64_t seed = 1; seed < 200; seed++) {
    rig r = begin(seed);
    tnr_future *held = zeros_on(&r, "cpu:0");
    tnr_value x = TNR_VALUE(held);
    x = tnr_call_to_device((tnr_site){"x", 0}, x, tnr_runtime_device(r.runtime, "sim:0"));
    x = tnr_call_to_device((tnr_site){"x", 0}, x, tnr_runtime_device(r.runtime, "cpu:1"));
    tnr_value last[OPS];
    for (int i = 0; i < OPS; i++)
      last[i] = tnr_call(&rig_plus_one_op, (tnr_site){"y", i}, &x, 1, NULL);
    for (int i = 0; i < OPS; i++)
      assert_ok(tnr_wait(last[i], TNR_COMPLETE, INT64_MAX));
    for (int i = 0; i < r.record->count; i++)
      if (r.record->entries[i].kind == TNR_TIMELINE_START &&
          strcmp(r.record->entries[i].site.file ? r.record->entries[i].site.file : "", "y") == 0) {
        first[r.record->entries[i].site.line] = true;
        break;
      }
    end(&r);
  }
  for (int i = 0; i < OPS; i++)
    assert_true(first[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(time_passes_only_as_the_models_say),
      rig_bare_test(devices_without_a_model_take_no_time),
      rig_bare_test(devices_work_side_by_side),
      rig_bare_test(the_two_moments_have_their_own_times),
      rig_bare_test(timeouts_count_on_the_virtual_clock),
      rig_bare_test(steps_pass_the_time_too),
      rig_bare_test(a_runtime_with_real_time_says_that),
      rig_bare_test(a_small_program_has_this_timeline),
      rig_bare_test(each_device_of_a_mesh_starts_and_ends),
      rig_bare_test(what_is_refused_or_aborted_is_on_it_too),
      rig_bare_test(the_same_seed_gives_the_same_bytes),
      rig_bare_test(other_seeds_give_other_orders_and_the_same_numbers),
      rig_bare_test(every_order_is_a_right_one),
      rig_bare_test(any_ready_op_may_be_launched_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
