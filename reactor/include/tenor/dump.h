/* A stuck graph explains itself: what is in flight, where, and what it waits for. */
#ifndef TENOR_DUMP_H
#define TENOR_DUMP_H

#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One line, without its end. */
typedef void tnr_dump_line(const char *line, void *user);

/* Calls line(text, user), on the calling thread, for every op in flight that was submitted before
 * this call: its name, its inputs as far as they are known, its state and device, what it waits
 * for, how long ago it was submitted and where; its group and deadline if it has them. A line with
 * totals comes first, and then ops in the order of their devices' queues, those that run now first;
 * other futures that ops may wait for come last:
 *
 *   3 ops and 0 other futures in flight
 *   matmul f32 [64, 64], f32 [64, 64]: running on cpu:0; submitted 2.031 s ago (model.c:12)
 *   relu not known yet: queued on cpu:0; submitted 2.031 s ago (model.c:13), group 'request 7'
 *   to_device not known yet: waiting for relu (model.c:13); submitted 2.030 s ago (model.c:14)
 *
 * The dispatcher composes it in one go, however much that is. It does not wait for devices, so it
 * works while they stand still, and while another thread is in tnr_runtime_destroy. Any thread but
 * the runtime's dispatcher: TNR_EDEADLK. TNR_ENOMEM, TNR_ECLOSED once the runtime has ended; errors
 * also in tnr_error(), and `line` has not been called then. */
TNR_API tnr_status tnr_runtime_dump(tnr_runtime *runtime, tnr_dump_line *line, void *user);

#ifdef __cplusplus
}
#endif
#endif
