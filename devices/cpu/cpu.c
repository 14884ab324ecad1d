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

/* One way to run a program, made when it is first wanted. */
typedef struct variant {
  struct variant *next;
  tnr_cpu_way way;
  tnr_chain *chain; /* NULL: oneDNN has nothing for it */
  bool has_run;
} variant;

/* worker only: all of it */
typedef struct cpu_program {
  tnr_program base;
  tnr_onednn *onednn;
  const tnr_program_spec *spec; /* lives as long as the program */
  variant *variants;            /* the last one takes dense inputs and packs nothing */
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

/* ---- programs ---- */

static bool is_way(const tnr_cpu_way *a, const tnr_cpu_way *b) {
  return a->pack_weights == b->pack_weights && a->free_result == b->free_result &&
         a->in[0] == b->in[0] && a->in[1] == b->in[1] && a->in[2] == b->in[2];
}

static tnr_status add_variant(cpu_program *program, const tnr_cpu_way *way, variant **out) {
  variant *made = calloc(1, sizeof *made);
  if (made == NULL)
    return TNR_ENOMEM;
  made->way = *way;
  tnr_status status = tnr_cpu_chain_of(program->onednn, program->spec, way, &made->chain);
  if (status == TNR_ENOMEM) {
    free(made);
    return status;
  }
  made->next = program->variants;
  program->variants = made;
  *out = made;
  return TNR_OK;
}

/* NULL when there is none. */
static variant *variant_for(cpu_program *program, const tnr_cpu_way *way) {
  variant *found = program->variants;
  while (found != NULL && !is_way(&found->way, way))
    found = found->next;
  if (found == NULL && add_variant(program, way, &found) != TNR_OK)
    return NULL;
  return found->chain != NULL ? found : NULL;
}

static tnr_status run_variant(const cpu_program *program, variant *made, const void *const *in,
                              tnr_derived_list *weights, void *const *out, tnr_fault *fault) {
  if (!tnr_exit_gate_enter())
    return tnr_fail(fault, TNR_ECANCELED, "the process ends, and oneDNN with it");
  tnr_status status = tnr_chain_run(made->chain, in, out, weights, fault);
  if (!made->has_run)
    tnr_exit_gate_did(made->way.pack_weights ? TNR_EXIT_GATE_RUN_PACKED : TNR_EXIT_GATE_RUN,
                      tnr_cpu_kind_of(program->spec, &made->way));
  made->has_run = true;
  tnr_exit_gate_leave();
  return status;
}

static tnr_status run_dense(tnr_program *base, const void *const *in, void *const *out,
                            tnr_fault *fault) {
  cpu_program *program = (cpu_program *)base;
  variant *made = variant_for(program, &(tnr_cpu_way){.free_result = false});
  if (made == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for a oneDNN program");
  return run_variant(program, made, in, NULL, out, fault);
}

/* A matmul uses weights as they lie until it learns that they are kept: packing them for one run
 * only would cost more than it gains. */
static tnr_cpu_way way_of(const cpu_program *program, const tnr_program_run *run) {
  tnr_cpu_way way = {.free_result = true};
  way.pack_weights =
      program->spec->primitive.kind == TNR_PRIMITIVE_MATMUL && run->derived[1] != NULL;
  for (int i = 0; i < program->spec->in_count; i++)
    way.in[i] = (const tnr_own_layout *)run->in_layout[i];
  return way;
}

/* As it was made first, whatever it costs. */
static tnr_status run_plainly(const cpu_program *program, const tnr_program_run *run,
                              tnr_fault *fault) {
  const void *in[TNR_CPU_INPUTS];
  for (int i = 0; i < program->spec->in_count; i++) {
    in[i] = run->dense(run, i, fault);
    if (in[i] == NULL)
      return fault->code;
  }
  variant *first = program->variants;
  while (first->next != NULL)
    first = first->next;
  run->out_layout[0] = (const tnr_layout *)tnr_chain_result(first->chain);
  return run_variant(program, first, in, NULL, run->out, fault);
}

static tnr_status run_keeping(tnr_program *base, const tnr_program_run *run, tnr_fault *fault) {
  cpu_program *program = (cpu_program *)base;
  tnr_cpu_way way = way_of(program, run);
  variant *made = variant_for(program, &way);
  if (made == NULL)
    return run_plainly(program, run, fault);
  int packable = tnr_chain_packable_input(made->chain);
  run->out_layout[0] = (const tnr_layout *)tnr_chain_result(made->chain);
  return run_variant(program, made, run->in, packable >= 0 ? run->derived[packable] : NULL,
                     run->out, fault);
}

static void destroy_program(tnr_program *base) {
  cpu_program *program = (cpu_program *)base;
  for (variant *made = program->variants, *next; made != NULL; made = next) {
    next = made->next;
    tnr_chain_destroy(made->chain);
    free(made);
  }
  tnr_onednn_release(program->onednn);
  free(program);
}

static cpu_program *new_program(const cpu_state *state, const tnr_program_spec *spec) {
  cpu_program *program = calloc(1, sizeof *program);
  if (program == NULL)
    return NULL;
  program->base =
      (tnr_program){.run = run_dense, .destroy = destroy_program, .run_keeping = run_keeping};
  program->onednn = tnr_onednn_retain(state->onednn);
  program->spec = spec;
  return program;
}

static tnr_status create_program(void *opaque, const tnr_program_spec *spec, tnr_program **out,
                                 tnr_fault *fault) {
  variant *first = NULL;
  cpu_program *program = new_program(opaque, spec);
  tnr_status status = TNR_ENOMEM;
  if (program != NULL)
    status = add_variant(program, &(tnr_cpu_way){.free_result = true}, &first);
  if (status == TNR_OK && first->chain != NULL) {
    *out = &program->base;
    return TNR_OK;
  }
  if (program != NULL)
    destroy_program(&program->base);
  if (status != TNR_OK)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory while a oneDNN program was made");
  return tnr_kernel_program(opaque, spec, out, fault);
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
