#include <tenor/driver.h>

#include <stdlib.h>

typedef struct kernel_program {
  tnr_program program;
  const tnr_program_spec *spec; /* lives as long as the program */
} kernel_program;

static tnr_status run(tnr_program *program, const void *const *in, void *const *out,
                      tnr_fault *fault) {
  const tnr_program_spec *spec = ((kernel_program *)program)->spec;
  tnr_kernel_call call = {
      .attrs = spec->attrs,
      .in_count = spec->in_count,
      .out_count = spec->out_count,
      .in = spec->in,
      .out = spec->out,
      .in_data = in,
      .out_data = out,
  };
  return spec->kernel(&call, fault);
}

static void destroy(tnr_program *program) {
  free(program);
}

tnr_status tnr_kernel_program(void *state, const tnr_program_spec *spec, tnr_program **out,
                              tnr_fault *fault) {
  (void)state;
  kernel_program *made = malloc(sizeof *made);
  if (!made)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for a program of %d bytes",
                    (int)sizeof *made);
  *made = (kernel_program){{.run = run, .destroy = destroy}, spec};
  *out = &made->program;
  return TNR_OK;
}
