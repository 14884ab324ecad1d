/* Every allocation, and every thread, eventfd and event base that the library asks for, refused in
 * turn: nothing crashes or hangs, each error is a sentence about it, results that come are right,
 * callbacks run exactly once, and nothing leaks.
 *
 * TENOR_FAULT=17 replays the runs where the 17th call fails. */
#include "check.h"

#include <dlpack/dlpack.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/mirror.h"
#include "faults.h"

/* What one run of a scenario promises and records. */
typedef struct run {
  const tnr_driver *driver;
  tnr_shutdown how;
  tnr_runtime *runtime;
  int borrowed, registered;
  float lent[16];
  int64_t lent_shape[1];
  DLManagedTensor managed;       /* the same, for DLPack */
  atomic_int given_back, called; /* atomic: counted on other threads */
} run;

static int n_now;
static const char *what_now;

static void complain(const char *what) {
  faults_disarm();
  print_error("TENOR_FAULT=%d, %s: %s; %s\n", n_now, what_now, what, check_reason());
  fail();
}

static void on_alarm(int signal) {
  (void)signal;
  char text[160];
  int length = snprintf(text, sizeof text, "TENOR_FAULT=%d, %s: hangs\n", n_now, what_now);
  _exit(write(STDERR_FILENO, text, (size_t)length) < 0 ? 2 : 1);
}

/* ---- what every call is checked for ---- */

static void check_sentence(tnr_status status) {
  const tnr_error *error = tnr_error();
  if (status != TNR_ENOMEM && status != TNR_ESYSTEM)
    complain(tnr_status_name(status));
  if (!error || tnr_error_code(error) != status || tnr_error_message(error)[0] == '\0')
    complain("there is no sentence for the error");
}

/* A handle, or NULL and an error. */
static void *made(void *handle) {
  if (!handle)
    check_sentence(tnr_error_code(tnr_error()));
  return handle;
}

static tnr_status done(tnr_status status) {
  if (status != TNR_OK)
    check_sentence(status);
  return status;
}

static void count_called(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add(&((run *)user)->called, 1);
}

/* Submits from the dispatcher. */
static void submit_more(tnr_value future, void *user) {
  tnr_value next = tnr_relu(future);
  tnr_release(next.handle);
  count_called(future, user);
}

static void listen(run *r, tnr_future *future, tnr_moment moment, tnr_callback *fn) {
  if (future && done(tnr_on(future, moment, fn, r)) == TNR_OK)
    r->registered++;
}

static void give_back(void *user) {
  atomic_fetch_add(&((run *)user)->given_back, 1);
}

/* Waits; numbers that come are all `right`. */
static void expect(run *r, tnr_value value, float right) {
  float numbers[64];
  enum { LONG = 20 };
  if (!made(value.handle) || done(tnr_wait(value, TNR_COMPLETE, LONG * 1000000000l)) != TNR_OK)
    return;
  tnr_value plain = tnr_get(value);
  tnr_tensor *tensor = made(tnr_value_tensor(plain));
  if (!tensor || done(tnr_tensor_read(tensor, numbers, tnr_tensor_bytes(tensor))) != TNR_OK)
    return;
  size_t count = tnr_tensor_bytes(tensor) / sizeof(float);
  for (size_t i = 0; i < count && !r->driver->no_compute; i++)
    if (numbers[i] != right)
      complain("a result is wrong");
}

/* ---- what a program does ---- */

static float ones[24];

typedef struct inputs {
  tnr_tensor *x, *square, *row; /* [4, 4] twice, [4]: all ones */
} inputs;

static inputs make_inputs(run *r, tnr_device *device) {
  inputs in;
  in.x = made(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(4, 4), ones));
  memcpy(r->lent, ones, sizeof r->lent);
  in.square = made(tnr_tensor_borrow(device, TNR_F32, TNR_SHAPE(4, 4), r->lent, give_back, r));
  if (!in.square)
    memset(r->lent, 0, sizeof r->lent); /* it is ours again */
  r->borrowed += in.square != NULL;
  in.row =
      made(tnr_tensor_create_strided(device, TNR_F32, TNR_SHAPE(4), ones, (const int64_t[]){2}));
  return in;
}

static void plain_calls(run *r, const inputs *in) {
  tnr_tensor *sum = made(tnr_add(in->x, in->row));
  tnr_tuple *halves = made(tnr_split(sum, .dim = 1, .parts = 2));
  expect(r, TNR_VALUE(tnr_at(halves, 1)), 2);
  expect(r, TNR_VALUE(tnr_linear(in->x, in->square, in->row)), 5);
  expect(r, TNR_VALUE(tnr_reshape(sum, .shape = TNR_SHAPE(2, -1))), 2);
  tnr_value x = TNR_VALUE(in->x);
  expect(r, tnr_call(&tnr_op_transpose, TNR_HERE, &x, 1, NULL), 1);
}

static void async_calls(run *r, const inputs *in) {
  tnr_future *x = made(tnr_to_async(in->x));
  tnr_future *product = made(tnr_matmul(x, in->square));
  listen(r, product, TNR_CREATED, count_called);
  tnr_future_tuple *both = made(tnr_linear_with_intermediate(product, in->square, in->row));
  tnr_future *first = made(tnr_at(both, 0));
  tnr_future *scaled = made(tnr_attention(product, in->x, in->square));
  listen(r, scaled, TNR_COMPLETE, submit_more);
  expect(r, tnr_to_async(TNR_VALUE(product)), 4);
  expect(r, TNR_VALUE(first), 17);
  expect(r, TNR_VALUE(scaled), 1);
  if (!product)
    return;
  tnr_future *any = made(tnr_any(&product, 1, TNR_HERE));
  tnr_future_tuple *halves = made(tnr_split(any, .parts = 2));
  expect(r, TNR_VALUE(tnr_at(halves, 1)), 4);
}

/* More inputs and outputs than fit on stacks. */
static void wide_calls(run *r, const inputs *in) {
  enum { MANY = 12 };
  tnr_value members[MANY];
  tnr_future *x = made(tnr_to_async(in->x));
  for (int i = 0; i < MANY; i++)
    members[i] = i % 2 ? TNR_VALUE(x) : TNR_VALUE(in->x);
  tnr_value joined = tnr_concat(tnr_all(members, MANY, TNR_HERE), .dim = 0);
  tnr_value parts = tnr_split(joined, .dim = 0, .parts = MANY);
  expect(r, tnr_at(parts, MANY - 1), 1);
}

static void calls_on_two(run *r, const inputs *in) {
  tnr_device *devices[] = {tnr_runtime_device_at(r->runtime, 0),
                           tnr_runtime_device_at(r->runtime, 1)};
  const tnr_mesh *mesh = made((void *)tnr_mesh_of(devices, 2));
  tnr_tensor *pieces = made(tnr_shard(in->x, mesh, .dim = 0));
  tnr_future *row = made(tnr_to_async(in->row));
  tnr_future *copies = made(tnr_replicate(row, mesh));
  tnr_future *sum = made(tnr_add(pieces, copies));
  expect(r, TNR_VALUE(sum), 2);
  expect(r, TNR_VALUE(tnr_gather(sum)), 2);
  expect(r, TNR_VALUE(tnr_to_device(in->x, devices[1])), 1);
  expect(r, TNR_VALUE(tnr_scalar(mesh, TNR_F32, 3)), 3);
  (void)done(tnr_synchronize_device(devices[0]));
}

/* Through a mailbox, and from a promise. */
static void loop_calls(run *r, const inputs *in) {
  tnr_mailbox *box = made(tnr_mailbox_create(r->runtime));
  tnr_promise *promise = made(tnr_promise_create(r->runtime));
  tnr_future *f = made(tnr_promise_future(promise));
  tnr_future *sum = made(tnr_add(f, in->x));
  tnr_continuation at_sum;
  tnr_continuation_init(&at_sum, count_called, r);
  if (box && sum && done(tnr_on(sum, TNR_CREATED, count_called, r, .mailbox = box)) == TNR_OK)
    r->registered++;
  if (box && sum && done(tnr_attach(sum, TNR_COMPLETE, &at_sum, .mailbox = box)) == TNR_OK)
    r->registered++;
  listen(r, f, TNR_COMPLETE, submit_more);
  if (promise && in->x)
    assert_ok(tnr_promise_fulfil(promise, in->x)); /* needs no memory */
  expect(r, TNR_VALUE(sum), 2);
  if (promise && !in->x)
    assert_ok(tnr_promise_fail(promise, TNR_ENOMEM, "there is nothing to fulfil it with"));
  assert_ok(tnr_mailbox_destroy(box)); /* delivers */
}

/* ---- memory that changes hands ---- */

static void give_managed_back(DLManagedTensor *managed) {
  give_back(managed->manager_ctx);
}

static tnr_tensor *from_dlpack(run *r, tnr_device *device) {
  r->lent_shape[0] = 16;
  r->managed = (DLManagedTensor){
      .dl_tensor = {.data = ones,
                    .device = {kDLCPU, 0},
                    .ndim = 1,
                    .dtype = {kDLFloat, 32, 1},
                    .shape = r->lent_shape},
      .manager_ctx = r,
      .deleter = give_managed_back,
  };
  tnr_tensor *taken = made(tnr_from_dlpack(device, &r->managed));
  r->borrowed += taken != NULL;
  return taken;
}

static atomic_int handed_over, freed; /* atomic: counted on other threads */

static void count_freed(void *data) {
  (void)data;
  atomic_fetch_add(&freed, 1);
}

/* Freed exactly once, whether it works or not. */
static tnr_tensor *adopt(tnr_device *device) {
  atomic_fetch_add(&handed_over, 1);
  return made(tnr_tensor_adopt(device, TNR_F32, TNR_SHAPE(16), ones, count_freed));
}

/* Every other one of the ones, which have to be copied. */
static tnr_tensor *borrow_gaps(run *r, tnr_device *device) {
  tnr_tensor *x = made(tnr_tensor_borrow_strided(device, TNR_F32, TNR_SHAPE(8), ones,
                                                 (const int64_t[]){2}, give_back, r));
  r->borrowed += x != NULL;
  return x;
}

/* On the host, whose memory can be looked at. */
static void look_at(run *r, tnr_tensor *x, float right) {
  tnr_host_view view;
  tnr_tensor *here = made(tnr_to_device(x, made(tnr_runtime_device(r->runtime, "host"))));
  if (!here || done(tnr_tensor_view(here, &view)) != TNR_OK)
    return;
  if (!r->driver->no_compute && ((const float *)view.data)[7] != right)
    complain("a view shows something else");
  DLManagedTensor *out = made(tnr_to_dlpack(view.tensor));
  tnr_host_view_release(&view);
  if (out)
    out->deleter(out);
}

static void hand_over(run *r) {
  tnr_device *device = tnr_runtime_device_at(r->runtime, 0);
  tnr_tensor *taken = from_dlpack(r, device), *own = adopt(device);
  expect(r, TNR_VALUE(borrow_gaps(r, device)), 1);
  look_at(r, made(tnr_add(taken, own)), 2);
}

static void ignore_line(const char *line, void *user) {
  (void)line;
  (void)user;
}

/* Some of it may be complete before it is cancelled. */
static void requests(run *r, const inputs *in) {
  tnr_group *group =
      made(tnr_group_create(r->runtime, .name = "request", .timeout_ns = 60000000000));
  bool open =
      group && done(tnr_terms_open(.group = group, .priority = TNR_PRIORITY_HIGH)) == TNR_OK;
  tnr_future *x = made(tnr_to_async(in->x)), *f = made(tnr_relu(x)), *g = made(tnr_add(f, in->row));
  tnr_future *moved = made(tnr_to_device(g, tnr_runtime_device_at(r->runtime, 1)));
  tnr_future *late = made(tnr_attention(moved, moved, moved));
  tnr_future *any = g ? made(tnr_any(&g, 1, TNR_HERE)) : NULL;
  listen(r, late, TNR_COMPLETE, count_called);
  listen(r, any, TNR_CREATED, count_called);
  if (open)
    tnr_terms_close();
  (void)done(tnr_runtime_dump(r->runtime, ignore_line, NULL));
  if (any)
    (void)done(tnr_cancel(any));
  if (late)
    (void)done(tnr_cancel(late));
  if (!group)
    return;
  tnr_future_tuple *all = made(tnr_group_done(group));
  (void)done(tnr_group_cancel(group));
  (void)done(tnr_group_wait(group, 20000000000));
  if (all)
    (void)done(tnr_wait(all, TNR_COMPLETE, 20000000000));
}

/* ---- a run ---- */

static tnr_runtime *create(const tnr_driver *driver) {
  static const tnr_sim_config instant = {.launch_ns = 0};
  const tnr_device_config devices = {
      .driver = driver, .count = 2, .config = driver == tnr_sim_driver() ? &instant : NULL};
  return made(
      tnr_runtime_create(&(tnr_runtime_options){.devices = &devices,
                                                .device_configs = 1,
                                                .program_cache = 3,
                                                .spin_ns = -1,
                                                .op_timeout_ns = 60000000000,
                                                .limits = {.max_ops = 5, .max_bytes = 1 << 20},
                                                CHECK_MODE}));
}

static void program(run *r) {
  r->runtime = create(r->driver);
  if (!r->runtime)
    return;
  bool scoped = done(tnr_scope_open()) == TNR_OK;
  if (scoped) {
    inputs in = make_inputs(r, tnr_runtime_device_at(r->runtime, 0));
    plain_calls(r, &in);
    async_calls(r, &in);
    wide_calls(r, &in);
    calls_on_two(r, &in);
    loop_calls(r, &in);
    hand_over(r);
    requests(r, &in);
    tnr_scope_close();
  }
  if (r->how == TNR_ABORT)
    assert_ok(tnr_runtime_destroy(r->runtime, TNR_ABORT));
}

/* True when a call was refused. */
static bool run_program(const tnr_driver *driver, tnr_shutdown how, int n, faults_mode mode) {
  run r = {.driver = driver, .how = how};
  int before = faults_live_blocks();
  n_now = n;
  what_now = driver->kind;
  alarm(60);
  faults_arm(n, mode);
  program(&r);
  bool refused = faults_disarm();
  if (r.runtime && how == TNR_DRAIN)
    assert_nothing_left(r.runtime);
  tnr_error_clear();
  alarm(0);
  if (faults_live_blocks() != before)
    complain("memory leaks");
  if (r.called != r.registered || r.given_back != r.borrowed)
    complain("a callback did not run exactly once");
  if (freed != handed_over)
    complain("adopted memory was not freed exactly once");
  return refused;
}

/* Leaks and crashes show without ThreadSanitizer, races at any of the calls. */
#if defined(__SANITIZE_THREAD__)
enum { STEP = 3 };
#else
enum { STEP = 1 };
#endif

static void run_until_nothing_fails(const tnr_driver *driver, faults_mode mode) {
  enum { RUNS_THROUGH = 3 }; /* threads make the number of calls vary a little */
  const char *replayed = getenv("TENOR_FAULT");
  int n = replayed ? atoi(replayed) : 1, through = 0;
  for (; through < RUNS_THROUGH; n += replayed ? 0 : STEP) {
    bool refused = run_program(driver, n % 2 ? TNR_DRAIN : TNR_ABORT, n, mode);
    through = refused && !replayed ? 0 : through + 1;
  }
}

static void any_one_call_may_fail_on(const tnr_driver *driver) {
  run_until_nothing_fails(driver, FAULTS_ONCE);
}

static void all_calls_may_fail_from_any_on(const tnr_driver *driver) {
  run_until_nothing_fails(driver, FAULTS_FROM);
}

/* ---- tests ---- */

static void any_one_call_may_fail_on_cpus(void **state) {
  (void)state;
  any_one_call_may_fail_on(tnr_cpu_driver());
}

static void any_one_call_may_fail_on_null_devices(void **state) {
  (void)state;
  any_one_call_may_fail_on(tnr_null_driver());
}

static void any_one_call_may_fail_on_simulated_devices(void **state) {
  (void)state;
  any_one_call_may_fail_on(tnr_sim_driver());
}

static void any_one_call_may_fail_on_devices_with_layouts(void **state) {
  (void)state;
  any_one_call_may_fail_on(mirror_driver());
}

static void all_calls_may_fail_from_any_one_on(void **state) {
  (void)state;
  all_calls_may_fail_from_any_on(mirror_driver());
  all_calls_may_fail_from_any_on(tnr_cpu_driver());
  all_calls_may_fail_from_any_on(tnr_sim_driver());
}

static int set_up(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++)
    ones[i] = 1;
  return signal(SIGALRM, on_alarm) == SIG_ERR;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_one_call_may_fail_on_cpus),
      cmocka_unit_test(any_one_call_may_fail_on_null_devices),
      cmocka_unit_test(any_one_call_may_fail_on_simulated_devices),
      cmocka_unit_test(any_one_call_may_fail_on_devices_with_layouts),
      cmocka_unit_test(all_calls_may_fail_from_any_one_on),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
