/* The contract between the runtime and a device. Device writers fill one tnr_driver;
 * devices/null/null.c is the template to copy. */
#ifndef TENOR_DRIVER_H
#define TENOR_DRIVER_H

#include <tenor/derived.h>
#include <tenor/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One program: an op made ready for one device, one set of attributes, shapes and dtypes. The
 * runtime keeps it in the device's program cache and runs it again and again. Embedded as the first
 * member of what the driver allocates. */
typedef struct tnr_program {
  /* Runs once. Only ever called on the worker that made it, in queue order. Fills `fault` and
   * returns its code when it fails. */
  tnr_status (*run)(struct tnr_program *program, const void *const *in, void *const *out,
                    tnr_fault *fault);
  void (*destroy)(struct tnr_program *program); /* the same worker, or after it has ended */

  /* Optional: called instead of run, by programs that keep what they derive from an input's data,
   * such as weights in a layout of their own. derived[i]: where to keep it for input i, or NULL
   * where that input is not expected to come again. */
  tnr_status (*run_keeping)(struct tnr_program *program, const void *const *in,
                            tnr_derived_list *const *derived, void *const *out, tnr_fault *fault);
} tnr_program;

/* The time of one device in a runtime that has a virtual clock: no real time passes while the
 * device is at work. In ns from the runtime's start; called by whoever does the device's work. */
typedef struct tnr_clock {
  int64_t (*now)(struct tnr_clock *clock);

  /* Returns at once. For the device it is `ns` from now on; for everybody else the op that is
   * running, and what comes behind it, ends then. */
  void (*sleep_until)(struct tnr_clock *clock, int64_t ns);
} tnr_clock;

/* What every device is told when it opens. Immutable. */
typedef struct tnr_device_info {
  const char *name;   /* "sim:2" */
  int index;          /* 2 */
  int threads;        /* how many threads kernels of this device may use, its worker included */
  bool pin;           /* the user asks that the device's threads stay on one CPU each */
  const void *config; /* the driver's own configuration, from tnr_device_config; may be NULL */
  tnr_clock *clock;   /* the device's virtual clock; NULL: real time. Lives as long as the device */
} tnr_device_info;

/* All functions get the `state` that open gave. Strings and the struct itself must outlive every
 * runtime that uses them. */
typedef struct tnr_driver {
  const char *kind; /* mandatory: "sim"; devices are named kind:index */

  /* True when device memory is plain host memory that any thread may read and write in place, so
   * that creating and reading a tensor needs no trip to the device. */
  bool host_memory;

  /* True when programs do not compute: contents of results are unspecified. */
  bool no_compute;

  /* Optional (default: no state). Any thread, once per device, before anything else. */
  tnr_status (*open)(const tnr_device_info *info, void **state, tnr_fault *fault);

  /* Optional. After the last call of any other function. */
  void (*close)(void *state);

  /* Optional (default: nothing). On the worker thread, before its first program: pinning, thread
   * counts of kernel libraries, … and on the same thread, after its last one. A runtime without
   * threads borrows one of the program's: then they are called again and again, around some of the
   * device's work, and worker_stop has to give the thread its settings back. */
  void (*worker_start)(void *state);
  void (*worker_stop)(void *state);

  /* Mandatory. On the worker thread. TNR_EUNSUPPORTED with a sentence when the device cannot do it.
   * tnr_kernel_program below suffices where plain C kernels can reach the memory. */
  tnr_status (*program_create)(void *state, const tnr_program_spec *spec, tnr_program **out,
                               tnr_fault *fault);

  /* Optional (default: memcpy). Copies `rows` rows of `bytes` bytes between this device's memory
   * and another's or the host's; rows begin `to_stride` and `from_stride` bytes apart. On the
   * worker thread. Never fails. */
  void (*copy)(void *state, void *to, size_t to_stride, const void *from, size_t from_stride,
               size_t bytes, size_t rows);
} tnr_driver;

/* A program that runs spec->kernel on memory it can reach: a driver's program_create can be this.
 */
TNR_API tnr_status tnr_kernel_program(void *state, const tnr_program_spec *spec, tnr_program **out,
                                      tnr_fault *fault);

/* The devices that come with the library. */
TNR_API const tnr_driver *tnr_cpu_driver(void);  /* oneDNN, plain kernels for the rest; no config */
TNR_API const tnr_driver *tnr_null_driver(void); /* computes nothing; no config */
TNR_API const tnr_driver *tnr_sim_driver(void); /* an accelerator by a cost model; tnr_sim_config */

/* How long the simulated device takes for an op:
 * launch_ns + max(flops / flops_per_second, bytes / bytes_per_second); for a copy
 * launch_ns + bytes / bytes_per_second. A rate of 0 means infinitely fast. Without a config:
 * 5 µs, 10 TFLOP/s, 500 GB/s. */
typedef struct tnr_sim_config {
  int64_t launch_ns;
  double flops_per_second;
  double bytes_per_second; /* inputs and outputs together */
} tnr_sim_config;

#ifdef __cplusplus
}
#endif
#endif
