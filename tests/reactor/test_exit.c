/* Processes that end while a runtime is alive and its ops are under way: they end with the status
 * that they were given, at once, and without a crash. Each is this very program, run again with the
 * name of an ending and a seed; TENOR_ENDING='callback 7' replays one. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { GOOD = 42, HELD_MAX = 64, GIVEN_S = 20 };

/* ---- the program that ends ---- */

static float numbers[HELD_MAX * HELD_MAX];

/* A number from 1 on. */
static int some(int below) {
  return 1 + rand() % below;
}

/* Programs for three ops of shapes that the device has not seen; a callback for the last. */
static tnr_future *three_ops(tnr_device *device, tnr_callback *fn, void *user) {
  int m = some(HELD_MAX), k = some(HELD_MAX), n = some(HELD_MAX);
  tnr_tensor *a = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(m, k), numbers);
  tnr_tensor *b = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(k, n), numbers);
  tnr_future *last = tnr_softmax(tnr_relu(tnr_matmul(tnr_to_async(a), b)));
  if (!last || tnr_on(last, TNR_COMPLETE, fn, user) != TNR_OK)
    exit(1);
  return last;
}

static void do_nothing(tnr_value future, void *user) {
  (void)future;
  (void)user;
}

static void end_there(tnr_value future, void *user) {
  (void)future;
  (void)user;
  exit(GOOD);
}

enum { CHAINS = 60 };

static tnr_future *keep_busy(tnr_device *device) {
  tnr_future *last = NULL;
  if (tnr_scope_open() != TNR_OK)
    exit(1);
  for (int i = 0; i < CHAINS; i++)
    last = three_ops(device, do_nothing, NULL);
  return last;
}

/* The first op of each kind has been made: see devices/cpu/exit_gate.h. */
static void begin(void) {
  if (tnr_scope_open() != TNR_OK)
    exit(1);
  if (tnr_wait(three_ops(NULL, do_nothing, NULL), TNR_COMPLETE, INT64_MAX) != TNR_OK)
    exit(1);
}

static void wait_a_little(void) {
  usleep((useconds_t)(rand() % 3000));
}

static int wait_for_the_end(void) {
  for (;;)
    pause();
  return 1;
}

static int main_returns(void) {
  (void)keep_busy(NULL);
  wait_a_little();
  return GOOD;
}

static int callback(void) {
  begin();
  (void)keep_busy(NULL);
  (void)three_ops(NULL, end_there, NULL);
  (void)keep_busy(NULL);
  return wait_for_the_end();
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  return call->in_count == 1 ? TNR_OK : tnr_fail(fault, TNR_EINVAL, "one input");
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

static tnr_status exit_in_kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  (void)fault;
  exit(GOOD);
}

static const tnr_op_def exit_op = {
    .name = "exit", .validate = validate, .infer = infer, .kernel = exit_in_kernel};

static int kernel(void) {
  begin();
  (void)keep_busy(NULL);
  tnr_tensor *x = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(4), numbers);
  if (!TNR_OP1(&exit_op, x, tnr_no_attrs, ))
    return 1;
  (void)keep_busy(NULL);
  return wait_for_the_end();
}

static void *exit_on_thread(void *unused) {
  (void)unused;
  wait_a_little();
  exit(GOOD);
}

static int thread(void) {
  pthread_t ends;
  begin();
  (void)keep_busy(NULL);
  if (pthread_create(&ends, NULL, exit_on_thread, NULL) != 0)
    return 1;
  return wait_for_the_end();
}

static void *wait_on_thread(void *future) {
  for (;;)
    (void)tnr_wait((tnr_future *)future, TNR_COMPLETE, INT64_MAX);
  return NULL;
}

static int blocked_thread(void) {
  pthread_t waits;
  if (pthread_create(&waits, NULL, wait_on_thread, keep_busy(NULL)) != 0)
    return 1;
  wait_a_little();
  return GOOD;
}

static void destroy_default(void) {
  if (tnr_default_runtime_destroy(TNR_DRAIN) != TNR_OK)
    _exit(1);
}

/* After all that oneDNN has registered. */
static int destroyed_by_an_exit_handler(void) {
  if (atexit(destroy_default) != 0)
    return 1;
  (void)keep_busy(NULL);
  wait_a_little();
  return GOOD;
}

/* The worker is always in the middle of one. */
static int large_products(void) {
  enum { LARGE = 400 };
  if (tnr_scope_open() != TNR_OK)
    return 1;
  tnr_tensor *a = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(LARGE, LARGE), NULL), *b = a;
  for (int i = 0; i < 40; i++)
    b = tnr_matmul(b, a);
  wait_a_little();
  return b ? GOOD : 1;
}

static int several_devices(void) {
  const tnr_device_config devices[] = {{.driver = tnr_cpu_driver(), .count = 2},
                                       {.driver = tnr_sim_driver(), .count = 1}};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = devices, .device_configs = 2, .threads_per_device = 2});
  for (int i = 0; i < 3; i++)
    (void)keep_busy(tnr_runtime_device_at(runtime, i));
  wait_a_little();
  return runtime ? GOOD : 1;
}

/* The child of a busy process has none of its threads; it may have a runtime of its own. */
static int child(void) {
  int status = 0;
  (void)keep_busy(NULL);
  wait_a_little();
  pid_t made = fork();
  if (made == 0) {
    alarm(GIVEN_S);
    tnr_runtime *runtime = rand() % 2 ? tnr_runtime_create(NULL) : NULL;
    if (runtime)
      (void)keep_busy(tnr_runtime_device_at(runtime, 0));
    exit(GOOD);
  }
  return made > 0 && waitpid(made, &status, 0) == made && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                            : 1;
}

static int destroyed(void) {
  (void)keep_busy(NULL);
  wait_a_little();
  if (tnr_scope_close() != TNR_OK)
    return 1;
  return tnr_default_runtime_destroy(rand() % 2 ? TNR_DRAIN : TNR_ABORT) == TNR_OK ? GOOD : 1;
}

typedef struct ending {
  const char *name;
  int (*run)(void);
} ending;

static const ending endings[] = {
    {"main_returns", main_returns},
    {"callback", callback},
    {"kernel", kernel},
    {"thread", thread},
    {"blocked_thread", blocked_thread},
    {"destroyed_by_an_exit_handler", destroyed_by_an_exit_handler},
    {"large_products", large_products},
    {"several_devices", several_devices},
    {"destroyed", destroyed},
    {"child", child},
};
/* Sanitizers see a child's missing threads as leaks, or allow it none of its own. */
enum { ENDINGS = (int)(sizeof endings / sizeof *endings) - CHECK_SANITIZED };

static int end(const char *name, const char *seed) {
  srand((unsigned)atoi(seed));
  alarm(GIVEN_S);
  for (int i = 0; i < ENDINGS; i++)
    if (strcmp(endings[i].name, name) == 0)
      return endings[i].run();
  return 1;
}

/* ---- the test ---- */

/* The status of a process as wait(2) gives it; -1 when there is none. */
static int run(const char *name, int seed) {
  char number[16];
  pid_t process;
  int status = -1;
  snprintf(number, sizeof number, "%d", seed);
  char *const arguments[] = {(char[]){"test_exit"}, (char *)name, number, NULL};
  if (posix_spawn(&process, "/proc/self/exe", NULL, NULL, arguments, environ) != 0 ||
      waitpid(process, &status, 0) != process)
    return -1;
  return status;
}

static void check_ending(const char *name, int seed) {
  int status = run(name, seed);
  if (WIFEXITED(status) && WEXITSTATUS(status) == GOOD)
    return;
  print_error("TENOR_ENDING='%s %d': %s %d\n", name, seed,
              WIFSIGNALED(status) ? "killed by signal" : "exit status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  fail();
}

static void every_way_to_end_ends(void **state) {
  (void)state;
  char name[64];
  int seed;
  const char *replayed = getenv("TENOR_ENDING");
  if (replayed && sscanf(replayed, "%63s %d", name, &seed) == 2) {
    check_ending(name, seed);
    return;
  }
  for (seed = 0; seed < (CHECK_SANITIZED ? 1 : 10); seed++)
    for (int i = 0; i < ENDINGS; i++)
      check_ending(endings[i].name, seed);
}

int main(int count, char **arguments) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_way_to_end_ends)};
  if (count == 3)
    return end(arguments[1], arguments[2]);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
