/* The workloads of `tenor bench dispatch`: f32 [4] tensors on devices that compute nothing. */
#ifndef TENOR_TOOL_BENCH_WORKLOADS_H
#define TENOR_TOOL_BENCH_WORKLOADS_H

#include <tenor.h>

enum metric {
  END_TO_END,       /* ns/op, first submit to last completion seen by the caller */
  SUBMIT,           /* ns/op, CPU time of the submitting thread until its last submit returned */
  CPU,              /* ns/op, CPU time of the process, over the span of END_TO_END */
  CONTEXT_SWITCHES, /* per op, of the process */
  WAKES,            /* per op, eventfd writes */
  ALLOCATIONS,      /* per op */
  BYTES_IN_FLIGHT,  /* per op, growth of the resident set while the ops are queued */
  P50,              /* ns, of one op from an idle runtime */
  P99,
  PEAK_BYTES, /* the most that the resident set has been */
  METRICS,
  OPS = METRICS, /* behind the metrics: how many ops one round really had */
  VALUES
};

enum setting {
  PLAIN,
  GATED,       /* one op in front of all others blocks until they are submitted */
  WORKER_WAITS /* the runtime's option worker_waits */
};

struct workload {
  const char *name, *title;
  long ops;    /* by default */
  int devices; /* of the kind null, or gate */
  enum setting setting;

  /* Submits about `ops` ops and sets *out to how many it were; returns a future that completes
   * last, or NULL when that is not known. */
  tnr_future *(*submit)(tnr_tensor *const *inputs, long ops, long *out);

  /* Instead of the above: submits one op and waits for it; returns how long it took, in ns. */
  uint64_t (*sample)(tnr_tensor *input);
};

/* The end has no name. */
extern const struct workload workloads[];

struct run {
  const struct workload *workload;
  long ops;
  int64_t spin_ns; /* as in tnr_runtime_options */
};

/* Makes a runtime, runs the workload (a throughput workload twice, the first time to warm up) and
 * fills in the values that it has. Checks that every op ran; ends the process when not. */
void workload_measure(const void *run, double values[VALUES]);

/* A device like `null`, but a program of tnr_op_def `gate_op` blocks until gate_open(). The
 * device's config is the gate. */
struct gate;
const tnr_driver *gate_driver(void);
extern const tnr_op_def gate_op; /* x -> a tensor like x */
struct gate *gate_create(void);  /* closed; NULL when out of memory */
void gate_open(struct gate *gate);
void gate_destroy(struct gate *gate);

#endif
