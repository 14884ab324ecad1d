/* Plans: what running an op with certain attributes, shapes and dtypes on one device amounts to:
 * its outputs, and the device's program. Each worker keeps a bounded cache of them: the program
 * cache. */
#ifndef TENOR_REACTOR_PLAN_H
#define TENOR_REACTOR_PLAN_H

#include <tenor/op.h>

#include "../devices/storage.h"

typedef struct tnr_plan tnr_plan;

struct tnr_op_outputs {
  tnr_desc *descs; /* [count] */
  int count, capacity;
  bool out_of_memory;
};

/* What can be said of how long a plan runs, so that signals of ops before it may wait for it. */
typedef enum tnr_plan_pace {
  TNR_PLAN_ANY,    /* nothing: its kernel may do what it likes */
  TNR_PLAN_STEADY, /* about as long as the last time: it computes, and says how much */
  TNR_PLAN_QUICK   /* in less time than a signal takes */
} tnr_plan_pace;

/* Worker only, all of it. */
struct tnr_plan {
  tnr_plan *next_in_bucket, *newer, *older;
  uint64_t hash;
  uint64_t hash_then; /* of the plan that was wanted next, the last time: likely so again */
  const tnr_op_def *def;
  int pieces; /* devices of the mesh */
  int in_count, out_count;
  tnr_desc *in, *out;             /* whole tensors */
  int *in_dims, *out_dims;        /* along which each is split, -1: not */
  tnr_desc *in_piece, *out_piece; /* what this device holds */
  size_t *out_bytes;              /* of each output's piece */
  tnr_program_spec spec;
  tnr_program *program; /* NULL until first run, and for aliases */
  tnr_plan_pace pace;
  uint32_t runs;        /* STEADY: so far, by which they are timed now and then */
  int64_t took_ns;      /* STEADY: the last timed run; INT64_MAX: none yet */
  uint16_t recorded_as; /* its index in chunk `recorded_in` of tape `recorded_on` */
  uint64_t recorded_in;
  const void *recorded_on; /* NULL: in none */
  _Alignas(16) char attrs[];
};

typedef struct tnr_plan_cache {
  tnr_device *device;
  tnr_plan **buckets; /* [bucket_count], a power of two */
  size_t bucket_count;
  int count, limit;
  tnr_plan *newest, *oldest; /* by last use */
} tnr_plan_cache;

/* `limit`: plans held at most, at least 1. */
tnr_status tnr_plan_cache_init(tnr_plan_cache *cache, tnr_device *device, int limit);
void tnr_plan_cache_finish(tnr_plan_cache *cache);

/* The plan for this call on this device. In the cache, or made: then validate, infer and shard are
 * called. Valid until the next call. */
tnr_status tnr_plan_get(tnr_plan_cache *cache, const tnr_op_def *def, const void *attrs,
                        tnr_tensor *const *in, int in_count, tnr_plan **out, tnr_fault *fault);

/* The same outside of any cache, without a program: to be given to tnr_plan_destroy. */
tnr_status tnr_plan_new(const tnr_op_def *def, const void *attrs, tnr_tensor *const *in,
                        int in_count, tnr_plan **out, tnr_fault *fault);
void tnr_plan_destroy(tnr_plan *plan);

/* Makes the program on first use. */
tnr_status tnr_plan_ready(tnr_plan_cache *cache, tnr_plan *plan, tnr_fault *fault);

/* Of the storage that all outputs take on each device. */
size_t tnr_plan_out_bytes(const tnr_plan *plan);

#endif
