/* How a running program is looked at from outside, as `tenor top` does, for who wants to do so by
 * himself.
 *
 * A runtime whose option `live` is set, or that is created while TENOR_LIVE=1 is in the
 * environment, listens on a Unix socket, LIVE_FOLDER/tenor-PID.sock, and further ones of the same
 * process on LIVE_FOLDER/tenor-PID.2.sock, tenor-PID.3.sock, …. LIVE_FOLDER is $XDG_RUNTIME_DIR,
 * else /tmp/tenor-UID, which it creates. Only processes of the same user can connect. Its
 * dispatcher answers, beside its work, for a hundredth of its time at most: who asks more than that
 * waits. A viewer that leaves unread what there is for two seconds is dropped.
 *
 * A viewer sends lines, and gets one answer to each, in order:
 *
 *   "stats"     lines "NAME VALUE…", with the fields of tnr_stats, a line for each device, the
 *               latencies in buckets, and the oldest op on a device's queue; and then a line "."
 *   "timeline"  "timeline BYTES" and so many bytes: the last moments, a file of the form in
 *               trace_format.h; where the runtime does not record in flight, "error REASON"
 *
 * and to anything else "error REASON". A line has at most 64 bytes. */
#ifndef TENOR_LIVE_H
#define TENOR_LIVE_H

#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The path of the socket on which this runtime listens: valid as long as it does. NULL when it does
 * not, and for NULL. Any thread. */
TNR_API const char *tnr_live_path(const tnr_runtime *runtime);

/* Where runtimes of this user listen: writes LIVE_FOLDER into `out`, cut where it does not fit into
 * `size` bytes; returns its whole length. Any thread. */
TNR_API size_t tnr_live_folder(char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
