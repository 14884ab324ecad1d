/* How the library blocks a thread that asked for it. */
#ifndef TENOR_REACTOR_WAIT_H
#define TENOR_REACTOR_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include <tenor/runtime.h>

/* Shared by a blocked thread and the dispatcher, each with a reference. */
typedef struct tnr_wait tnr_wait;

tnr_wait *tnr_wait_new(void); /* NULL when out of memory */
void tnr_wait_release(tnr_wait *wait);

/* The blocked thread: until the dispatcher ends the wait, or the deadline (tnr_machine_now;
 * INT64_MAX: for ever) passes: false. Where the runtime has no threads, this one works meanwhile.
 */
bool tnr_wait_sleep(tnr_runtime *runtime, tnr_wait *wait, int64_t deadline);

/* The dispatcher: wakes the thread, and gives its reference back. */
void tnr_wait_end(tnr_wait *wait);

/* TNR_EDEADLK, with tnr_error(), where the calling thread must not block. */
tnr_status tnr_wait_refused(const tnr_runtime *runtime, const char *what);

/* The runtime's time in `timeout_ns` from now; INT64_MAX: never. */
int64_t tnr_deadline_after(const tnr_runtime *runtime, int64_t timeout_ns);

#endif
