/* What the files that speak to oneDNN share. */
#ifndef TENOR_CPU_CHAIN_H
#define TENOR_CPU_CHAIN_H

#include <oneapi/dnnl/dnnl.h>

#include "layout.h"

enum {
  TNR_CHAIN_STEPS = 8,
  TNR_CHAIN_MEMORIES = 24,
  TNR_CHAIN_ARGS = 5,
  TNR_CHAIN_TEMPORARIES = 12
};

struct tnr_onednn {
  _Atomic int references;          /* atomic */
  dnnl_engine_t engine;            /* immutable after create */
  dnnl_primitive_attr_t attr;      /* immutable after create */
  dnnl_primitive_attr_t relu_attr; /* immutable after create: with a relu behind the primitive */
  _Atomic uint64_t packed;         /* atomic: how many weights were packed, which numbers them */
  tnr_own_layout *layouts;         /* worker only: all of them */
};

typedef struct tnr_chain_memory {
  dnnl_memory_t memory;
  int buffer;
  void *handle; /* what `memory` points to now */
} tnr_chain_memory;

typedef struct tnr_chain_step {
  dnnl_primitive_t primitive; /* NULL: expands `from` into `to` */
  int arg_count;
  dnnl_exec_arg_t args[TNR_CHAIN_ARGS];
  tnr_view from, to;
} tnr_chain_step;

/* The step that packs an input, and the argument of the step that uses the result. */
typedef struct tnr_chain_packing {
  int input; /* -1: nothing to pack */
  int step, user_step, user_arg;
  dnnl_memory_t on_each_run; /* where the result goes when it is not kept */
  uint64_t last_used;        /* which kept result it was, see packed.c; 0: none yet */
} tnr_chain_packing;

/* worker only: all of it */
struct tnr_chain {
  tnr_onednn *onednn;
  dnnl_stream_t stream;
  int in_count, out_count;
  int step_count, memory_count, temporary_count;
  tnr_chain_step steps[TNR_CHAIN_STEPS];
  tnr_chain_memory memories[TNR_CHAIN_MEMORIES];
  size_t offsets[TNR_CHAIN_TEMPORARIES]; /* bytes into the arena */
  size_t arena_bytes;
  char *arena;
  tnr_chain_packing packing;
  bool result_is_free;          /* it need not be dense */
  const tnr_own_layout *result; /* NULL: dense */
};

tnr_status tnr_onednn_status(dnnl_status_t status);

/* A new temporary of so many bytes: its buffer index. Never fails: too many, or too large together,
 * show when the chain is finished. */
int tnr_chain_reserve(tnr_chain *chain, size_t bytes);

/* A view of a buffer in any layout. NULL when out of memory or of room. Owned by the chain. */
dnnl_memory_t tnr_chain_memory_of(tnr_chain *chain, const dnnl_memory_desc_t *layout, int buffer);

/* A new step that the caller fills; NULL when there is no room. */
tnr_chain_step *tnr_chain_step_add(tnr_chain *chain);

#endif
