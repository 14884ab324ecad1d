/* What a running program says of its runtimes, over their sockets; see tenor/live.h. */
#ifndef TENOR_TOOL_LIVE_H
#define TENOR_TOOL_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tenor/status.h>

enum { LIVE_FIELDS_MAX = 32, LIVE_DEVICES_MAX = 80, LIVE_LATENCIES_MAX = 320, LIVE_NAME_MAX = 32 };

typedef struct live_field {
  char name[LIVE_NAME_MAX];
  uint64_t value;
} live_field;

typedef struct live_fields {
  live_field at[LIVE_FIELDS_MAX];
  int count;
} live_fields;

typedef struct live_device {
  char name[LIVE_NAME_MAX];
  live_fields fields;
} live_device;

typedef struct live_latency {
  uint64_t end, count; /* so many took less than `end` ns, and not less than the end before */
} live_latency;

/* The oldest op on a queue; state empty: none. */
typedef struct live_oldest {
  uint64_t ns;
  char state[16], device[LIVE_NAME_MAX], op[64], file[256];
  int line;
} live_oldest;

/* One answer. */
typedef struct live_sample {
  char version[LIVE_NAME_MAX];
  live_fields fields; /* "pid", "now_ns", and those of tnr_stats */
  live_device devices[LIVE_DEVICES_MAX];
  int device_count;
  live_latency latencies[LIVE_LATENCIES_MAX]; /* by their ends */
  int latency_count;
  live_oldest oldest;
} live_sample;

/* A runtime of a process. */
typedef struct live_source {
  int fd; /* -1: not connected */
  char path[256];
} live_source;

/* Connects to runtime `number` (from 1) of a process. False, with a fault, when nobody listens
 * there. */
bool live_connect(pid_t pid, int number, live_source *out, tnr_fault *fault);
void live_close(live_source *source);

/* Asks, and waits for the answer. TNR_ECLOSED: the runtime has ended; TNR_ESYSTEM: what it says
 * makes no sense, or it says nothing for ten seconds. */
tnr_status live_ask(live_source *source, live_sample *out, tnr_fault *fault);

/* 0 when there is no such field. */
uint64_t live_value(const live_fields *fields, const char *name);

/* So many ns or less took `share` of what `now` counts and `before` does not (NULL: all). */
uint64_t live_quantile(const live_sample *now, const live_sample *before, double share);

/* The processes of this user that listen: at most `max`; returns how many there are. */
int live_list(pid_t *out, int max);

#endif
