/* A runtime: devices with their workers, and the dispatcher that connects them. */
#ifndef TENOR_RUNTIME_H
#define TENOR_RUNTIME_H

#include <tenor/call.h>
#include <tenor/device.h>
#include <tenor/driver.h>
#include <tenor/error.h>
#include <tenor/timeline.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tnr_runtime tnr_runtime;

/* How much may be in flight at once: see tenor/bounds.h. Zero: no such limit. */
typedef struct tnr_limits {
  int64_t max_ops;
  int64_t max_bytes;
} tnr_limits;

typedef struct tnr_device_config {
  const tnr_driver *driver;
  int count;                  /* how many devices of this kind: "cpu:0", "cpu:1", …; 1 to 64 */
  const void *config;         /* the driver's own; must live until tnr_runtime_create returns */
  tnr_limits limits TNR_ZERO; /* of each of these devices */
} tnr_device_config;

/* Which threads a runtime has. What a program is told, and in which order of moments, is the same
 * in all modes. */
typedef enum tnr_mode {
  TNR_THREADS = 0, /* one for the dispatcher, and one a device for its worker */

  /* None: for debugging, and for hosts that allow none. Everything, callbacks and kernels included,
   * runs inside the calls that wait (tnr_get, tnr_wait, tnr_tensor_read, tnr_synchronize_device,
   * tnr_runtime_destroy) and in tnr_runtime_step, on the thread that makes them; calls that only
   * ask (tnr_passed, a timeout of 0) run nothing. With several threads one at a time does all the
   * work, and those that wait meanwhile sleep until they have what they want, or it is their turn.
   * A kernel that has begun is not interrupted when a timeout is over. What a callback, a
   * composite's body or a kernel may not do in TNR_THREADS, block, it may not do here. */
  TNR_ONE_THREAD,

  /* The same with a virtual clock, for tests: sim devices take the time that their cost model says,
   * at once and side by side; everything else takes none; timeouts count on that clock. As long as
   * one thread uses the runtime, the same program passes the same moments in the same order at the
   * same time, with the same numbers. */
  TNR_DETERMINISTIC
} tnr_mode;

/* Zero stands for the default everywhere. */
typedef struct tnr_runtime_options {
  const tnr_device_config *devices; /* default: one cpu device */
  int device_configs;               /* how many entries `devices` has */
  int threads_per_device; /* kernel threads of a cpu device, its worker included; default 1 */
  int max_threads;   /* creating fails when devices x threads_per_device are more; default: no limit
                      */
  bool pin;          /* keep device i's n threads on CPUs i * n to i * n + n - 1 of the
                      * allowed ones, modulo their number */
  int program_cache; /* programs that each device keeps; default 1024 */

  /* How long an idle dispatcher or worker looks for work, giving way to other threads, before it
   * sleeps, in ns; a thread that waits for a result looks twice as long. While others keep the CPU
   * that is given to them it is less. Deadlines, and the runtime's end, may come so much later.
   * Default 12,000; at most 100,000,000, which more counts as; negative: sleeps at once. */
  int64_t spin_ns;

  /* An op whose input comes from another device waits for it on its own device's queue, in the
   * worker, instead of being queued once the dispatcher has heard of it: fewer steps from device to
   * device, but that device does nothing else meanwhile. */
  bool worker_waits;

  /* What to record from the beginning: see tenor/trace.h. Default: what the environment variable
   * TENOR_TRACE says, else nothing. */
  const struct tnr_trace_options *trace;

  /* Processes of the same user may look at what goes on, as `tenor top` does: see tenor/live.h.
   * With TNR_THREADS only. SIGPIPE is blocked on the dispatcher's thread then. Default: whether
   * TENOR_LIVE=1 is in the environment. */
  bool live;

  /* How long an op may wait to start before it fails with TNR_ETIMEDOUT, in ns, where its terms say
   * nothing else (see tnr_terms in request.h). Default: for ever. */
  int64_t op_timeout_ns;

  tnr_limits limits;  /* of the whole runtime. Default: none, since only the program knows what it
                       * can spare; counting costs a call some tens of ns */
  bool full_is_error; /* calls that find a limit reached fail with TNR_EAGAIN, and do not wait */
  /* Without threads, threads_per_device must be 1, pin and worker_waits false, and max_threads and
   * spin_ns have no meaning. */
  tnr_mode mode;

  /* TNR_DETERMINISTIC only. Another order of the same program for each seed, as legal as any: which
   * worker is next, which op is launched first, how much the dispatcher takes of what is there at
   * one moment. 0: the natural order. */
  uint64_t seed;

  /* TNR_DETERMINISTIC only: is given what happens, with `timeline_user`. */
  tnr_timeline_fn *timeline;
  void *timeline_user;
} tnr_runtime_options;

/* Creates devices, and the threads of its mode. NULL options: all defaults. NULL with tnr_error()
 * on failure, with nothing left behind. Any thread. After fork(2) the child must not use a runtime
 * of its parent, nor release its handles: its threads exist in the parent only, and its descriptors
 * are shared. It may exec, _exit, or create a runtime of its own. */
TNR_API tnr_runtime *tnr_runtime_create(const tnr_runtime_options *options) TNR_MUST_USE;

typedef enum tnr_shutdown {
  TNR_DRAIN = 0, /* everything that has been submitted runs to its end */
  TNR_ABORT      /* what has not started fails with TNR_ECANCELED; running kernels finish */
} tnr_shutdown;

/* Closes the runtime: further calls fail with TNR_ECLOSED; promises that are still open fail; waits
 * until every op has completed and every callback has run, or waits in its mailbox; ends its
 * threads. Handles stay valid and are released as ever, before or
 * after, in any order; the memory goes with the last of them. TNR_EDEADLK on the runtime's own
 * dispatcher or worker, and then nothing has happened; TNR_ESYSTEM when a recording could not be
 * written to its end, and all else is done. NULL is fine. */
TNR_API tnr_status tnr_runtime_destroy(tnr_runtime *runtime, tnr_shutdown how);

/* The runtime that the first call of a simple program makes: with all defaults, on first use. It is
 * the one thing that is global; it lives until tnr_default_runtime_destroy or the process ends. A
 * process may end with ops under way in any runtime, from any thread: they are lost, and callbacks
 * that have not run may not run any more.
 * NULL with tnr_error() when it cannot be made. Any thread. */
TNR_API tnr_runtime *tnr_default_runtime(void);
TNR_API tnr_status tnr_default_runtime_destroy(tnr_shutdown how);

/* Devices other than the host, in the order of the options. */
TNR_API int tnr_runtime_device_count(const tnr_runtime *runtime);
TNR_API tnr_device *tnr_runtime_device_at(const tnr_runtime *runtime, int index); /* NULL if none */

/* By name: "cpu:1", "host". NULL with tnr_error() when there is none. */
TNR_API tnr_device *tnr_runtime_device(tnr_runtime *runtime, const char *name) TNR_MUST_USE;

/* Waits until everything that was submitted to the device before this call is complete: ops that
 * still wait for other devices, and all copies between devices, included. TNR_OK even if some
 * failed. */
TNR_API tnr_status tnr_synchronize_device(tnr_device *device);

/* The time of the runtime's clock, in ns: CLOCK_MONOTONIC, or in TNR_DETERMINISTIC the virtual
 * time, from 0 on. 0 for NULL. Any thread. */
TNR_API int64_t tnr_runtime_now(const tnr_runtime *runtime);

/* Without threads: does a little of what there is to do, for programs that wait in a loop of their
 * own; callbacks run in it. In TNR_DETERMINISTIC time passes when there is nothing else. False when
 * nothing is to be done before the program does something, while another thread does it, in
 * callbacks and kernels, with threads, and for NULL. Never sleeps, but for what kernels do. */
TNR_API bool tnr_runtime_step(tnr_runtime *runtime);

/* Counters since creation; zeroes for NULL. Any thread; each is exact, together they may be a
 * moment apart. */
typedef struct tnr_runtime_stats {
  uint64_t submitted;    /* ops */
  uint64_t completed;    /* ops, failed ones included */
  uint64_t failed;       /* ops, descendants of failed ones included */
  uint64_t wakes;        /* eventfd writes that woke the dispatcher */
  uint64_t live_handles; /* blocks that tensors, tuples, futures, promises, callbacks and mailboxes
                          * of users and of ops in flight take: 0 when none is alive */
} tnr_runtime_stats;
TNR_API tnr_runtime_stats tnr_runtime_get_stats(const tnr_runtime *runtime);

TNR_API const char *tnr_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif
#endif
