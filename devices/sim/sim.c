/* The simulated accelerator: right numbers from the plain kernels, and an accelerator's timing from
 * a cost model.
 *
 * The device has a clock of its own, the time until which it is busy. Each op and copy moves it on
 * by what it costs, from when the op began or from where the clock stands, whichever is later; the
 * worker sleeps until then. Sleeps overshoot, by tens of microseconds on a virtual machine. So a
 * worker does not sleep while the clock is ahead by less than that, and the next op, if it follows
 * at once, starts from the clock even when the worker woke up later: single short ops come back
 * early, but any number of them back to back takes as long as the model says.
 *
 * Where the runtime has a virtual clock, nobody sleeps: each op and copy moves that clock on by
 * exactly what it costs. */
#include <tenor/driver.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { NS_PER_S = 1000000000 };

/* ns */
enum {
  SLEEP_WORTHWHILE = 50000,
  AT_ONCE = 20000,      /* an op that begins so soon after the last one follows it back to back */
  MADE_UP_FOR = 200000, /* a worker that is later than this was held up by more than a sleep */
  TIMER_SLACK = 1000
};

static const tnr_sim_config default_config = {
    .launch_ns = 5000, .flops_per_second = 10e12, .bytes_per_second = 500e9};

typedef struct sim_state {
  tnr_sim_config config; /* immutable after create */
  tnr_clock *clock;      /* immutable after create; NULL: real time */
  int timer_slack;       /* ns, of the thread that does the work, before; worker only */
  int64_t busy_until;    /* ns of CLOCK_MONOTONIC; worker only */
  int64_t idle_since;    /* ns of CLOCK_MONOTONIC; worker only */
} sim_state;

/* worker only: all of it */
typedef struct sim_program {
  tnr_program base;
  sim_state *state;
  tnr_program *kernel;
  int64_t cost; /* ns */
} sim_program;

static int64_t real_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

static int64_t now(const sim_state *state) {
  return state->clock ? state->clock->now(state->clock) : real_now();
}

static void sleep_until(int64_t ns) {
  const struct timespec until = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
}

static void spend_virtual(sim_state *state, int64_t start, int64_t cost) {
  int64_t end;
  if (__builtin_add_overflow(start, cost, &end))
    end = INT64_MAX;
  state->clock->sleep_until(state->clock, end);
}

/* `start` is when the real work began, so that its own time counts as part of the modelled one. */
static void spend(sim_state *state, int64_t start, int64_t cost) {
  if (state->clock) {
    spend_virtual(state, start, cost);
    return;
  }
  int64_t late = start - state->busy_until;
  if (late > 0 && (late > MADE_UP_FOR || start - state->idle_since > AT_ONCE))
    state->busy_until = start;
  state->busy_until += cost;
  if (state->busy_until - real_now() >= SLEEP_WORTHWHILE)
    sleep_until(state->busy_until);
  state->idle_since = real_now();
}

/* Capped at thirty years, so that it fits into 63 bits even added up. */
static double ns_at_rate(double amount, double per_second) {
  double ns = per_second > 0 ? amount / per_second * NS_PER_S : 0;
  return ns < 1e18 ? ns : 1e18;
}

static tnr_status run(tnr_program *base, const void *const *in, void *const *out,
                      tnr_fault *fault) {
  sim_program *program = (sim_program *)base;
  int64_t start = now(program->state);
  tnr_status status = program->kernel->run(program->kernel, in, out, fault);
  spend(program->state, start, program->cost);
  return status;
}

static void destroy(tnr_program *base) {
  sim_program *program = (sim_program *)base;
  program->kernel->destroy(program->kernel);
  free(program);
}

static tnr_status add_bytes(const tnr_desc *descs, int count, double *bytes, tnr_fault *fault) {
  for (int i = 0; i < count; i++) {
    size_t size;
    tnr_status status = tnr_desc_bytes(&descs[i], &size, fault);
    if (status != TNR_OK)
      return status;
    *bytes += (double)size;
  }
  return TNR_OK;
}

static tnr_status model_cost(const tnr_sim_config *config, const tnr_program_spec *spec,
                             int64_t *out, tnr_fault *fault) {
  double bytes = 0;
  tnr_status status = add_bytes(spec->in, spec->in_count, &bytes, fault);
  if (status == TNR_OK)
    status = add_bytes(spec->out, spec->out_count, &bytes, fault);
  if (status != TNR_OK)
    return status;
  double compute = ns_at_rate(spec->flops, config->flops_per_second);
  double memory = ns_at_rate(bytes, config->bytes_per_second);
  *out = config->launch_ns + (int64_t)(compute > memory ? compute : memory);
  return TNR_OK;
}

static tnr_status program_create(void *state, const tnr_program_spec *spec, tnr_program **out,
                                 tnr_fault *fault) {
  sim_program *program = calloc(1, sizeof *program);
  if (program == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  program->base = (tnr_program){.run = run, .destroy = destroy};
  program->state = state;
  tnr_status status = model_cost(&program->state->config, spec, &program->cost, fault);
  if (status == TNR_OK)
    status = tnr_kernel_program(state, spec, &program->kernel, fault);
  if (status != TNR_OK) {
    free(program);
    return status;
  }
  *out = &program->base;
  return TNR_OK;
}

static void copy_rows(char *to, size_t to_stride, const char *from, size_t from_stride,
                      size_t bytes, size_t rows) {
  if (to_stride == bytes && from_stride == bytes) {
    bytes *= rows;
    rows = 1;
  }
  for (size_t row = 0; row < rows && bytes > 0; row++)
    memcpy(to + row * to_stride, from + row * from_stride, bytes);
}

static void copy(void *opaque, void *to, size_t to_stride, const void *from, size_t from_stride,
                 size_t bytes, size_t rows) {
  sim_state *state = opaque;
  double total = (double)bytes * (double)rows;
  int64_t start = now(state);
  copy_rows(to, to_stride, from, from_stride, bytes, rows);
  spend(state, start,
        state->config.launch_ns + (int64_t)ns_at_rate(total, state->config.bytes_per_second));
}

static tnr_status open_device(const tnr_device_info *info, void **out, tnr_fault *fault) {
  const tnr_sim_config *config = info->config != NULL ? info->config : &default_config;
  if (config->launch_ns < 0 || !(config->flops_per_second >= 0) || !(config->bytes_per_second >= 0))
    return tnr_fail(fault, TNR_EINVAL, "the cost model of %s has a negative time or rate",
                    info->name);
  sim_state *state = calloc(1, sizeof *state);
  if (state == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  state->config = *config;
  state->clock = info->clock;
  *out = state;
  return TNR_OK;
}

/* Linux lets a thread's sleeps end 50 µs late on purpose unless told not to. */
static void worker_start(void *opaque) {
  sim_state *state = opaque;
  if (state->clock)
    return;
  state->timer_slack = prctl(PR_GET_TIMERSLACK);
  prctl(PR_SET_TIMERSLACK, TIMER_SLACK);
}

static void worker_stop(void *opaque) {
  const sim_state *state = opaque;
  if (!state->clock)
    prctl(PR_SET_TIMERSLACK, state->timer_slack);
}

static void close_device(void *state) {
  free(state);
}

const tnr_driver *tnr_sim_driver(void) {
  static const tnr_driver driver = {
      .kind = "sim",
      .open = open_device,
      .close = close_device,
      .worker_start = worker_start,
      .worker_stop = worker_stop,
      .program_create = program_create,
      .copy = copy,
  };
  return &driver;
}
