/* The null device: takes programs and runs nothing. It exists to measure the runtime itself, and as
 * the template for device writers: copy this folder, rename, and fill in the slots. driver.h is the
 * contract; what is said here is why each slot looks as it does. */
#include <tenor/driver.h>

#include <stdlib.h>

/* One op made ready. Work that depends on shapes, dtypes and attributes only belongs into its
 * creation, since the runtime keeps programs and runs them again and again. A real device keeps
 * compiled code, scratch memory and the like behind the base, which must come first. */
typedef struct null_program {
  tnr_program base;
} null_program;

/* The one function on the hot path: no allocation, no lock. A device that queues work elsewhere
 * returns from here only when the outputs have been written. */
static tnr_status run(tnr_program *program, const void *const *in, void *const *out,
                      tnr_fault *fault) {
  (void)program, (void)in, (void)out, (void)fault;
  return TNR_OK;
}

static void destroy(tnr_program *program) {
  free((null_program *)program);
}

/* A device that has something faster than plain C looks at spec->primitive first; one that can not
 * do the op returns tnr_fail(fault, TNR_EUNSUPPORTED, "…") with a sentence that says what it lacks.
 * The runtime adds the op's name, the shapes and the call site. */
static tnr_status program_create(void *state, const tnr_program_spec *spec, tnr_program **out,
                                 tnr_fault *fault) {
  (void)state, (void)spec;
  null_program *program = calloc(1, sizeof *program);
  if (program == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  program->base.run = run;
  program->base.destroy = destroy;
  *out = &program->base;
  return TNR_OK;
}

const tnr_driver *tnr_null_driver(void) {
  static const tnr_driver driver = {
      .kind = "null",
      /* Tensors are ordinary memory, so that creating and reading them costs no trip here. */
      .host_memory = true,
      /* Tells tests and tools not to look at results. Leave it out of a device that computes. */
      .no_compute = true,
      .program_create = program_create,
      /* Left out, for their defaults suffice: open and close (there is no state), worker_start
       * and worker_stop (the worker thread needs no preparation) and copy (memcpy). */
  };
  return &driver;
}
