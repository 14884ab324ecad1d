/* For CPU sets. */
#define _GNU_SOURCE

#include <sched.h>
#include <stdlib.h>

#include "exit_gate.h"
#include "primitives.h"

/* Declared here because not every compiler brings omp.h; oneDNN brings the functions. */
void omp_set_num_threads(int count);
int omp_get_max_threads(void);

typedef struct cpu_state {
  tnr_onednn *onednn; /* immutable after create */
  int index;          /* immutable after create */
  int threads;        /* immutable after create */
  bool pin;           /* immutable after create */
  int threads_before; /* of the thread that does the work, before it did; worker only */
} cpu_state;

/* worker only: all of it */
typedef struct cpu_program {
  tnr_program base;
  tnr_onednn *onednn;
  const tnr_program_spec *spec; /* lives as long as the program */
  tnr_chain *chain;
  tnr_chain *kept_chain; /* for weights that are kept; may be `chain`; NULL: not known yet */
  tnr_chain *last_run;   /* which of the two; NULL: none has run */
} cpu_program;

static tnr_status open_device(const tnr_device_info *info, void **out, tnr_fault *fault) {
  cpu_state *state = calloc(1, sizeof *state);
  if (state == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  state->index = info->index;
  state->threads = info->threads > 1 ? info->threads : 1;
  state->pin = info->pin;
  tnr_status status = tnr_onednn_create(&state->onednn, fault);
  if (status != TNR_OK) {
    free(state);
    return status;
  }
  *out = state;
  return TNR_OK;
}

static void close_device(void *opaque) {
  cpu_state *state = opaque;
  tnr_onednn_release(state->onednn);
  free(state);
}

/* The n-th CPU that the process may use, counted round. */
static int allowed_cpu(const cpu_set_t *allowed, int n) {
  n %= CPU_COUNT(allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, allowed) && n-- == 0)
      return cpu;
  return 0;
}

/* A worker with several kernel threads gets as many CPUs: its threads inherit the set. A refusal is
 * no reason to fail: pinning changes speed only. */
static void pin_worker(const cpu_state *state) {
  cpu_set_t allowed, own;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) == 0)
    return;
  CPU_ZERO(&own);
  for (int i = 0; i < state->threads; i++)
    CPU_SET(allowed_cpu(&allowed, state->index * state->threads + i), &own);
  sched_setaffinity(0, sizeof own, &own);
}

static void start_worker(void *opaque) {
  cpu_state *state = opaque;
  if (state->pin)
    pin_worker(state);
  state->threads_before = omp_get_max_threads();
  omp_set_num_threads(state->threads);
}

static void stop_worker(void *opaque) {
  omp_set_num_threads(((const cpu_state *)opaque)->threads_before);
}

static tnr_status run(cpu_program *program, tnr_chain *chain, const void *const *in,
                      tnr_derived_list *weights, void *const *out, tnr_fault *fault) {
  if (!tnr_exit_gate_enter())
    return tnr_fail(fault, TNR_ECANCELED, "the process ends, and oneDNN with it");
  tnr_status status = tnr_chain_run(chain, in, out, weights, fault);
  if (program->last_run != chain)
    tnr_exit_gate_did(chain == program->chain ? TNR_EXIT_GATE_RUN : TNR_EXIT_GATE_RUN_PACKED,
                      tnr_cpu_kind_of(program->spec));
  program->last_run = chain;
  tnr_exit_gate_leave();
  return status;
}

static tnr_status run_chain(tnr_program *base, const void *const *in, void *const *out,
                            tnr_fault *fault) {
  cpu_program *program = (cpu_program *)base;
  return run(program, program->chain, in, NULL, out, fault);
}

/* A matmul uses weights as they lie until it learns that they are kept: packing them for one run
 * only would cost more than it gains. */
static tnr_chain *chain_for_kept_weights(cpu_program *program) {
  if (program->kept_chain == NULL &&
      (program->spec->primitive.kind != TNR_PRIMITIVE_MATMUL ||
       tnr_cpu_chain_of(program->onednn, program->spec, true, &program->kept_chain) != TNR_OK))
    program->kept_chain = program->chain;
  return program->kept_chain;
}

static tnr_status run_keeping(tnr_program *base, const void *const *in,
                              tnr_derived_list *const *derived, void *const *out,
                              tnr_fault *fault) {
  cpu_program *program = (cpu_program *)base;
  if (program->spec->in_count < 2 || derived[1] == NULL)
    return run_chain(base, in, out, fault);
  tnr_chain *chain = chain_for_kept_weights(program);
  int packable = tnr_chain_packable_input(chain);
  return run(program, chain, in, packable >= 0 ? derived[packable] : NULL, out, fault);
}

static void destroy_program(tnr_program *base) {
  cpu_program *program = (cpu_program *)base;
  if (program->kept_chain != program->chain)
    tnr_chain_destroy(program->kept_chain);
  tnr_chain_destroy(program->chain);
  tnr_onednn_release(program->onednn);
  free(program);
}

static tnr_status wrap_chain(cpu_state *state, const tnr_program_spec *spec, tnr_chain *chain,
                             tnr_program **out, tnr_fault *fault) {
  cpu_program *program = calloc(1, sizeof *program);
  if (program == NULL) {
    tnr_chain_destroy(chain);
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  }
  program->base =
      (tnr_program){.run = run_chain, .destroy = destroy_program, .run_keeping = run_keeping};
  program->onednn = tnr_onednn_retain(state->onednn);
  program->spec = spec;
  program->chain = chain;
  *out = &program->base;
  return TNR_OK;
}

static tnr_status create_program(void *opaque, const tnr_program_spec *spec, tnr_program **out,
                                 tnr_fault *fault) {
  cpu_state *state = opaque;
  tnr_chain *chain;
  tnr_status status = tnr_cpu_chain_of(state->onednn, spec, false, &chain);
  if (status == TNR_OK)
    return wrap_chain(state, spec, chain, out, fault);
  if (status == TNR_ENOMEM)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory while a oneDNN program was made");
  return tnr_kernel_program(state, spec, out, fault);
}

const tnr_driver *tnr_cpu_driver(void) {
  static const tnr_driver driver = {
      .kind = "cpu",
      .host_memory = true,
      .open = open_device,
      .close = close_device,
      .worker_start = start_worker,
      .worker_stop = stop_worker,
      .program_create = create_program,
  };
  return &driver;
}
