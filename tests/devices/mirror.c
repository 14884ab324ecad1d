#include "devices/mirror.h"

#include <stdlib.h>

/* All the bytes of a tensor, the last one first. */
typedef struct mirror_layout {
  tnr_layout base;
  struct mirror_layout *next; /* worker only */
  size_t bytes;               /* immutable after create */
} mirror_layout;

typedef struct mirror_state {
  mirror_layout *layouts; /* worker only */
} mirror_state;

/* worker only: all of it */
typedef struct mirror_program {
  tnr_program base;
  mirror_state *state;
  const tnr_program_spec *spec;
  tnr_program *kernel;
  const void **in; /* [in_count] */
  char **rows;     /* [in_count]: for inputs that come back to front */
  unsigned runs;
} mirror_program;

/* ---- layouts ---- */

static void reverse(const char *from, char *to, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    to[i] = from[bytes - 1 - i];
}

static void reverse_in_place(char *data, size_t bytes) {
  for (size_t i = 0; i < bytes / 2; i++) {
    char kept = data[i];
    data[i] = data[bytes - 1 - i];
    data[bytes - 1 - i] = kept;
  }
}

static tnr_status to_dense(const tnr_layout *layout, const void *from, void *to, tnr_fault *fault) {
  (void)fault;
  reverse(from, to, ((const mirror_layout *)layout)->bytes);
  return TNR_OK;
}

/* NULL when there is no memory: the result stays in rows. */
static const tnr_layout *layout_of(mirror_state *state, size_t bytes) {
  for (mirror_layout *layout = state->layouts; layout != NULL; layout = layout->next)
    if (layout->bytes == bytes)
      return &layout->base;
  mirror_layout *made = malloc(sizeof *made);
  if (made == NULL)
    return NULL;
  *made = (mirror_layout){{to_dense}, state->layouts, bytes};
  state->layouts = made;
  return &made->base;
}

/* ---- programs ---- */

static tnr_status run_dense(tnr_program *base, const void *const *in, void *const *out,
                            tnr_fault *fault) {
  tnr_program *kernel = ((mirror_program *)base)->kernel;
  return kernel->run(kernel, in, out, fault);
}

static tnr_status take_inputs(mirror_program *program, const tnr_program_run *run, bool as_it_lies,
                              tnr_fault *fault) {
  for (int i = 0; i < program->spec->in_count; i++) {
    const mirror_layout *layout = (const mirror_layout *)run->in_layout[i];
    program->in[i] = run->in[i];
    if (layout != NULL && as_it_lies)
      reverse(run->in[i], program->rows[i], layout->bytes);
    if (layout != NULL)
      program->in[i] = as_it_lies ? program->rows[i] : run->dense(run, i, fault);
    if (program->in[i] == NULL)
      return fault->code;
  }
  return TNR_OK;
}

static void leave_outputs(mirror_program *program, const tnr_program_run *run) {
  for (int i = 0; i < program->spec->out_count; i++) {
    size_t bytes;
    if (tnr_desc_bytes(&program->spec->out[i], &bytes, NULL) != TNR_OK || bytes == 0)
      continue;
    run->out_layout[i] = layout_of(program->state, bytes);
    if (run->out_layout[i] != NULL)
      reverse_in_place(run->out[i], bytes);
  }
}

static tnr_status run_keeping(tnr_program *base, const tnr_program_run *run, tnr_fault *fault) {
  mirror_program *program = (mirror_program *)base;
  bool own = program->runs++ % 2 == 0;
  tnr_status status = take_inputs(program, run, own, fault);
  if (status == TNR_OK)
    status = program->kernel->run(program->kernel, program->in, run->out, fault);
  if (status == TNR_OK && own)
    leave_outputs(program, run);
  return status;
}

static void destroy(tnr_program *base) {
  mirror_program *program = (mirror_program *)base;
  if (program->kernel != NULL)
    program->kernel->destroy(program->kernel);
  for (int i = 0; program->rows != NULL && i < program->spec->in_count; i++)
    free(program->rows[i]);
  free(program->rows);
  free(program->in);
  free(program);
}

static bool find_room(mirror_program *program) {
  size_t count = (size_t)program->spec->in_count, bytes;
  program->in = calloc(count, sizeof *program->in);
  program->rows = calloc(count, sizeof *program->rows);
  if (program->in == NULL || program->rows == NULL)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (tnr_desc_bytes(&program->spec->in[i], &bytes, NULL) != TNR_OK)
      return false;
    program->rows[i] = malloc(bytes + 1);
    if (program->rows[i] == NULL)
      return false;
  }
  return true;
}

static tnr_status program_create(void *state, const tnr_program_spec *spec, tnr_program **out,
                                 tnr_fault *fault) {
  mirror_program *program = calloc(1, sizeof *program);
  if (program == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  program->base = (tnr_program){run_dense, destroy, run_keeping};
  program->state = state;
  program->spec = spec;
  tnr_status status = find_room(program) ? tnr_kernel_program(state, spec, &program->kernel, fault)
                                         : tnr_fail(fault, TNR_ENOMEM, "out of memory");
  if (status != TNR_OK) {
    destroy(&program->base);
    return status;
  }
  *out = &program->base;
  return TNR_OK;
}

/* ---- devices ---- */

static tnr_status open_device(const tnr_device_info *info, void **out, tnr_fault *fault) {
  (void)info;
  *out = calloc(1, sizeof(mirror_state));
  return *out != NULL ? TNR_OK : tnr_fail(fault, TNR_ENOMEM, "out of memory");
}

static void close_device(void *opaque) {
  mirror_state *state = opaque;
  for (mirror_layout *layout = state->layouts, *next; layout != NULL; layout = next) {
    next = layout->next;
    free(layout);
  }
  free(state);
}

const tnr_driver *mirror_driver(void) {
  static const tnr_driver driver = {
      .kind = "mirror",
      .host_memory = true,
      .open = open_device,
      .close = close_device,
      .program_create = program_create,
  };
  return &driver;
}
