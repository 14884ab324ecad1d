/* Recording what a runtime does: every op from its call to its end, on every thread. The tool
 * `tenor trace` reads what is written; the file's form is in trace_format.h. */
#ifndef TENOR_TRACE_H
#define TENOR_TRACE_H

#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tnr_trace_mode {
  TNR_TRACE_TO_FILE = 0, /* everything, written to the file while the program runs */
  TNR_TRACE_IN_FLIGHT    /* the last moments are kept in memory, and written when asked for */
} tnr_trace_mode;

/* Zero stands for the default everywhere. */
typedef struct tnr_trace_options {
  tnr_trace_mode mode;

  /* The file to write. TO_FILE: mandatory. IN_FLIGHT: where on_failure, on_crash and `signal`
   * write; NULL without them. "%p" in it becomes the number of the process. What is there is
   * overwritten; but in flight the second, third, … time goes to "PATH.2", "PATH.3", …, up to 99.
   */
  const char *path;

  /* Memory for what each thread has recorded lately, in bytes; default 2 MiB, at least 128 KiB. It
   * is taken from the system when recording first starts, used as far as it is written to, and kept
   * as long as the runtime: when it starts again, this and max_threads are as they were. */
  size_t bytes_per_thread;
  int max_threads; /* of the application, recorded at one time; default 32 */

  /* IN_FLIGHT only. */
  int64_t window_ns; /* how far back a file reaches; default: as far as the memory does */
  bool on_failure;   /* write it when an op fails first, other than by being cancelled */
  bool on_crash;     /* write it on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, then let them have
                      * their way; replaces the program's handlers until recording stops */
  int signal;        /* write it whenever this signal arrives; 0: none. Likewise */
} tnr_trace_options;

/* Starts recording. While it lasts, a thread that records takes no locks and no memory, and waits
 * for nothing; a thread of the recording's own writes the file. Where the disk, or that thread, is
 * too slow, the oldest of what is not written is dropped and counted. Any thread but a signal
 * handler. TNR_EINVAL: recording already, or the options make no sense; TNR_ENOMEM; TNR_ESYSTEM:
 * the file cannot be written; TNR_ECLOSED. The reason is tnr_error(). */
TNR_API tnr_status tnr_trace_start(tnr_runtime *runtime,
                                   const tnr_trace_options *options) TNR_MUST_USE;

/* Stops, and writes what is left. TNR_EINVAL: it is not recording. TNR_ESYSTEM: the file could not
 * be written to its end; recording has stopped all the same. tnr_runtime_destroy stops by itself,
 * when everything is complete. Any thread. */
TNR_API tnr_status tnr_trace_stop(tnr_runtime *runtime);

/* IN_FLIGHT: writes the last moments to `path`, now, on the calling thread; recording goes on. Any
 * thread. TNR_EINVAL: it is not recording in flight; TNR_ESYSTEM. */
TNR_API tnr_status tnr_trace_dump(tnr_runtime *runtime, const char *path) TNR_MUST_USE;

typedef struct tnr_trace_stats {
  bool recording;
  uint64_t recorded; /* events, since the runtime began */
  uint64_t lost; /* TO_FILE: dropped before they were written, or by threads beyond max_threads */
  uint64_t forgotten; /* IN_FLIGHT: overwritten by newer ones */
  uint64_t written;   /* bytes of files */
} tnr_trace_stats;

/* Zeroes for NULL. Any thread. */
TNR_API tnr_trace_stats tnr_trace_get_stats(const tnr_runtime *runtime);

/* The environment: a runtime that is created while TENOR_TRACE is set, and whose options do not say
 * otherwise, records from its beginning. TENOR_TRACE=FILE: to that file; TENOR_TRACE=flight:FILE:
 * in flight, with on_failure, on_crash, and SIGUSR2 for `signal`. Runtimes of one process that
 * record at the same time, or one after another, write to FILE, FILE.2, FILE.3, …. Creating a
 * runtime fails with TNR_ESYSTEM when the file cannot be written. */

#ifdef __cplusplus
}
#endif
#endif
