#include "bench_workloads.h"

#include <semaphore.h>
#include <stdlib.h>

struct gate {
  sem_t opened;
};

struct gate_program {
  tnr_program base;
  struct gate *gate;
};

static tnr_status run_nothing(tnr_program *program, const void *const *in, void *const *out,
                              tnr_fault *fault) {
  (void)program, (void)in, (void)out, (void)fault;
  return TNR_OK;
}

static tnr_status run_gate(tnr_program *program, const void *const *in, void *const *out,
                           tnr_fault *fault) {
  (void)in, (void)out, (void)fault;
  while (sem_wait(&((struct gate_program *)program)->gate->opened) != 0) {
  }
  return TNR_OK;
}

static void destroy(tnr_program *program) {
  free((struct gate_program *)program);
}

static tnr_status program_create(void *state, const tnr_program_spec *spec, tnr_program **out,
                                 tnr_fault *fault) {
  struct gate_program *program = calloc(1, sizeof *program);
  if (program == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  program->base.run = spec->kernel == gate_op.kernel ? run_gate : run_nothing;
  program->base.destroy = destroy;
  program->gate = state;
  *out = &program->base;
  return TNR_OK;
}

static tnr_status open_device(const tnr_device_info *info, void **state, tnr_fault *fault) {
  (void)fault;
  *state = (void *)info->config;
  return TNR_OK;
}

const tnr_driver *gate_driver(void) {
  static const tnr_driver driver = {
      .kind = "gate",
      .host_memory = true,
      .no_compute = true,
      .open = open_device,
      .program_create = program_create,
  };
  return &driver;
}

struct gate *gate_create(void) {
  struct gate *gate = malloc(sizeof *gate);
  if (gate != NULL)
    sem_init(&gate->opened, 0, 0);
  return gate;
}

void gate_open(struct gate *gate) {
  sem_post(&gate->opened);
}

void gate_destroy(struct gate *gate) {
  if (gate != NULL)
    sem_destroy(&gate->opened);
  free(gate);
}

/* --- the op ----------------------------------------------------------------------------------- */

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  if (call->in_count != 1)
    return tnr_fail(fault, TNR_EINVAL, "takes one tensor, not %d", call->in_count);
  return TNR_OK;
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  return tnr_fail(fault, TNR_EUNSUPPORTED, "runs on the device of the benchmark only");
}

const tnr_op_def gate_op = {.name = "gate", .validate = validate, .infer = infer, .kernel = kernel};
