#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

static uint64_t hash_attrs(uint64_t hash, const void *attrs, size_t bytes) {
  uint64_t word;
  for (size_t i = 0; i + sizeof word <= bytes; i += sizeof word) {
    memcpy(&word, (const char *)attrs + i, sizeof word);
    hash = mix(hash, word);
  }
  if (bytes % sizeof word) {
    word = 0;
    memcpy(&word, (const char *)attrs + bytes / sizeof word * sizeof word, bytes % sizeof word);
    hash = mix(hash, word);
  }
  return hash;
}

/* Without looking where references are counted, if it can be helped: see tnr_tensor. */
static int split_along(const tnr_tensor *tensor) {
  return tensor->mesh->count == 1 ? -1 : tensor->shard_dim;
}

static uint64_t hash_call(const tnr_op_def *def, const void *attrs, tnr_tensor *const *in,
                          int in_count) {
  uint64_t hash = hash_attrs((uintptr_t)def, attrs, def->attrs_size);
  for (int i = 0; i < in_count; i++) {
    const tnr_desc *desc = &in[i]->desc;
    hash = mix(hash, (uint64_t)desc->dtype << 32 | (uint32_t)split_along(in[i]));
    for (int d = 0; d < desc->shape.rank; d++)
      hash = mix(hash, (uint64_t)desc->shape.dims[d]);
  }
  return hash;
}

static bool is_for(const tnr_plan *plan, const tnr_op_def *def, const void *attrs,
                   tnr_tensor *const *in, int in_count) {
  if (plan->def != def || plan->in_count != in_count ||
      (def->attrs_size && memcmp(plan->attrs, attrs, def->attrs_size) != 0))
    return false;
  for (int i = 0; i < in_count; i++)
    if (plan->in[i].dtype != in[i]->desc.dtype || plan->in_dims[i] != split_along(in[i]) ||
        plan->pieces != in[i]->mesh->count ||
        !tnr_shape_equal(&plan->in[i].shape, &in[i]->desc.shape))
      return false;
  return true;
}

/* ---- outputs ---- */

void tnr_op_add_output(tnr_op_outputs *outputs, tnr_dtype dtype, tnr_shape shape) {
  if (outputs->count == outputs->capacity) {
    int capacity = outputs->capacity ? 2 * outputs->capacity : 4;
    tnr_desc *descs = realloc(outputs->descs, (size_t)capacity * sizeof *descs);
    if (!descs) {
      outputs->out_of_memory = true;
      return;
    }
    outputs->descs = descs;
    outputs->capacity = capacity;
  }
  outputs->descs[outputs->count++] = (tnr_desc){shape, dtype};
}

static tnr_status no_memory(tnr_fault *fault) {
  return tnr_fail(fault, TNR_ENOMEM, "out of memory for a plan");
}

static tnr_status check_outputs(const tnr_op_def *def, const tnr_op_outputs *outputs,
                                tnr_fault *fault) {
  if (outputs->out_of_memory)
    return no_memory(fault);
  if (def->result == TNR_OP_TENSOR && outputs->count != 1)
    return tnr_fail(fault, TNR_EINVAL, "the op gives one tensor, but its infer added %d outputs",
                    outputs->count);
  size_t bytes;
  for (int i = 0; i < outputs->count; i++) {
    tnr_status status = tnr_desc_bytes(&outputs->descs[i], &bytes, fault);
    if (status != TNR_OK)
      return status;
  }
  return TNR_OK;
}

static tnr_status infer(const tnr_op_def *def, const tnr_op_call *call, tnr_op_outputs *outputs,
                        tnr_fault *fault) {
  tnr_status status = def->validate(call, fault);
  if (status == TNR_OK)
    status = def->infer(call, outputs, fault);
  return status == TNR_OK ? check_outputs(def, outputs, fault) : status;
}

/* ---- pieces ---- */

static bool is_split(const tnr_plan *plan) {
  for (int i = 0; i < plan->in_count; i++)
    if (plan->in_dims[i] >= 0)
      return true;
  return false;
}

static tnr_status check_piece(const tnr_desc *out, int dim, int pieces, tnr_fault *fault) {
  if (dim < -1 || dim >= out->shape.rank)
    return tnr_fail(fault, TNR_EINVAL, "the op's shard rule answers dimension %d of %lld", dim,
                    (long long)out->shape.rank);
  if (dim >= 0 && out->shape.dims[dim] % pieces != 0)
    return tnr_fail(fault, TNR_EDEVICE,
                    "dimension %d of the output, of size %lld, does not divide into %d pieces", dim,
                    (long long)out->shape.dims[dim], pieces);
  return TNR_OK;
}

static tnr_status split_outputs(tnr_plan *plan, const tnr_op_call *call, tnr_fault *fault) {
  for (int i = 0; i < plan->out_count; i++)
    plan->out_dims[i] = -1;
  if (!is_split(plan))
    return TNR_OK;
  if (!plan->def->shard)
    return tnr_fail(fault, TNR_EDEVICE,
                    "the op does not say how to work on sharded inputs; gather them first");
  tnr_status status =
      plan->def->shard(call, plan->in_dims, plan->out, plan->out_count, plan->out_dims, fault);
  for (int i = 0; status == TNR_OK && i < plan->out_count; i++)
    status = check_piece(&plan->out[i], plan->out_dims[i], plan->pieces, fault);
  return status;
}

static tnr_status cut_pieces(tnr_plan *plan, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  for (int i = 0; i < plan->in_count; i++)
    plan->in_piece[i] = tnr_desc_piece(&plan->in[i], plan->in_dims[i], plan->pieces);
  for (int i = 0; i < plan->out_count && status == TNR_OK; i++) {
    plan->out_piece[i] = tnr_desc_piece(&plan->out[i], plan->out_dims[i], plan->pieces);
    status = tnr_desc_bytes(&plan->out_piece[i], &plan->out_bytes[i], fault);
  }
  return status;
}

/* ---- plans ---- */

static tnr_plan *plan_alloc(const tnr_op_def *def, int in_count, int out_count) {
  size_t head = (sizeof(tnr_plan) + def->attrs_size + 15) / 16 * 16;
  size_t descs = 2 * (size_t)(in_count + out_count) * sizeof(tnr_desc);
  size_t sizes = (size_t)out_count * sizeof(size_t);
  size_t dims = (size_t)(in_count + out_count) * sizeof(int);
  tnr_plan *plan = aligned_alloc(16, (head + descs + sizes + dims + 15) / 16 * 16);
  if (!plan)
    return NULL;
  memset(plan, 0, head);
  plan->def = def;
  plan->in_count = in_count;
  plan->out_count = out_count;
  plan->in = (tnr_desc *)((char *)plan + head);
  plan->out = plan->in + in_count;
  plan->in_piece = plan->out + out_count;
  plan->out_piece = plan->in_piece + in_count;
  plan->out_bytes = (size_t *)(plan->out_piece + out_count);
  plan->in_dims = (int *)(plan->out_bytes + out_count);
  plan->out_dims = plan->in_dims + in_count;
  return plan;
}

static void describe_program(tnr_plan *plan) {
  const tnr_op_def *def = plan->def;
  tnr_op_call call = {plan->attrs, plan->in_count, plan->in_piece};
  plan->spec = (tnr_program_spec){
      .name = def->name,
      .attrs = plan->attrs,
      .in_count = plan->in_count,
      .out_count = plan->out_count,
      .in = plan->in_piece,
      .out = plan->out_piece,
      .kernel = def->kernel,
  };
  if (def->primitive)
    def->primitive(&call, &plan->spec.primitive);
  if (def->flops) {
    plan->spec.flops = def->flops(&call, plan->out_piece, plan->out_count);
  } else {
    for (int i = 0; i < plan->out_count; i++)
      plan->spec.flops += (double)tnr_shape_elements(&plan->out_piece[i].shape);
  }
}

/* Whatever gets through this needs less than about two microseconds in plain C. An op that says
 * nothing of its cost may take any time. */
static tnr_plan_pace pace_of(const tnr_plan *plan, const tnr_driver *driver) {
  enum { QUICK_BYTES = 4096, QUICK_FLOPS = 2048 };
  size_t total = 0, bytes;
  for (int i = 0; i < plan->in_count; i++)
    total += tnr_desc_bytes(&plan->in_piece[i], &bytes, NULL) == TNR_OK ? bytes : 0;
  for (int i = 0; i < plan->out_count; i++)
    total += plan->out_bytes[i];
  bool says_cost = plan->def->flops || plan->spec.primitive.kind != TNR_PRIMITIVE_NONE;
  if (driver->no_compute)
    return TNR_PLAN_QUICK;
  if (!driver->host_memory || !says_cost)
    return TNR_PLAN_ANY;
  return total <= QUICK_BYTES && plan->spec.flops <= QUICK_FLOPS ? TNR_PLAN_QUICK : TNR_PLAN_STEADY;
}

static tnr_status fill(tnr_plan *plan, const void *attrs, const tnr_desc *in,
                       tnr_tensor *const *tensors, const tnr_op_outputs *outputs,
                       tnr_fault *fault) {
  plan->pieces = plan->in_count ? tensors[0]->mesh->count : 1;
  memcpy(plan->in, in, (size_t)plan->in_count * sizeof *in);
  if (plan->out_count > 0)
    memcpy(plan->out, outputs->descs, (size_t)plan->out_count * sizeof *in);
  for (int i = 0; i < plan->in_count; i++)
    plan->in_dims[i] = split_along(tensors[i]);
  if (plan->def->attrs_size)
    memcpy(plan->attrs, attrs, plan->def->attrs_size);
  tnr_op_call call = {plan->attrs, plan->in_count, plan->in};
  tnr_status status = split_outputs(plan, &call, fault);
  if (status == TNR_OK)
    status = cut_pieces(plan, fault);
  if (status == TNR_OK)
    describe_program(plan);
  return status;
}

static tnr_status make(const tnr_op_def *def, const void *attrs, const tnr_desc *in,
                       tnr_tensor *const *tensors, int in_count, tnr_plan **out, tnr_fault *fault) {
  tnr_op_outputs outputs = {0};
  tnr_plan *plan = NULL;
  tnr_status status = infer(def, &(tnr_op_call){attrs, in_count, in}, &outputs, fault);
  if (status == TNR_OK) {
    plan = plan_alloc(def, in_count, outputs.count);
    status = plan ? fill(plan, attrs, in, tensors, &outputs, fault) : no_memory(fault);
  }
  free(outputs.descs);
  if (status == TNR_OK)
    *out = plan;
  else
    free(plan);
  return status;
}

tnr_status tnr_plan_new(const tnr_op_def *def, const void *attrs, tnr_tensor *const *in,
                        int in_count, tnr_plan **out, tnr_fault *fault) {
  enum { FEW = 8 };
  tnr_desc few[FEW], *descs = few;
  if (in_count > FEW && !(descs = malloc((size_t)in_count * sizeof *descs)))
    return no_memory(fault);
  for (int i = 0; i < in_count; i++)
    descs[i] = in[i]->desc;
  tnr_status status = make(def, attrs, descs, in, in_count, out, fault);
  if (descs != few)
    free(descs);
  return status;
}

void tnr_plan_destroy(tnr_plan *plan) {
  if (!plan)
    return;
  if (plan->program)
    plan->program->destroy(plan->program);
  free(plan);
}

size_t tnr_plan_out_bytes(const tnr_plan *plan) {
  size_t bytes = 0;
  for (int i = 0; i < plan->out_count && !plan->def->alias; i++)
    bytes += plan->out_bytes[i];
  return bytes;
}

/* ---- the cache ---- */

tnr_status tnr_plan_cache_init(tnr_plan_cache *cache, tnr_device *device, int limit) {
  *cache = (tnr_plan_cache){.device = device, .limit = limit, .bucket_count = 16};
  while (cache->bucket_count < (size_t)limit && cache->bucket_count < 1u << 20)
    cache->bucket_count *= 2;
  cache->buckets = calloc(cache->bucket_count, sizeof(*cache->buckets));
  return cache->buckets ? TNR_OK : TNR_ENOMEM;
}

void tnr_plan_cache_finish(tnr_plan_cache *cache) {
  for (tnr_plan *plan = cache->newest, *older; plan; plan = older) {
    older = plan->older;
    tnr_plan_destroy(plan);
  }
  free(cache->buckets);
  *cache = (tnr_plan_cache){0};
}

static tnr_plan **bucket_of(tnr_plan_cache *cache, uint64_t hash) {
  return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static void unlink_by_use(tnr_plan_cache *cache, tnr_plan *plan) {
  *(plan->newer ? &plan->newer->older : &cache->newest) = plan->older;
  *(plan->older ? &plan->older->newer : &cache->oldest) = plan->newer;
}

static void link_newest(tnr_plan_cache *cache, tnr_plan *plan) {
  plan->newer = NULL;
  plan->older = cache->newest;
  *(cache->newest ? &cache->newest->newer : &cache->oldest) = plan;
  cache->newest = plan;
}

static void evict(tnr_plan_cache *cache) {
  tnr_plan *plan = cache->oldest, **link = bucket_of(cache, plan->hash);
  while (*link != plan)
    link = &(*link)->next_in_bucket;
  *link = plan->next_in_bucket;
  unlink_by_use(cache, plan);
  tnr_plan_destroy(plan);
  cache->count--;
  tnr_count(&cache->device->program_evictions);
}

static void insert(tnr_plan_cache *cache, tnr_plan *plan, uint64_t hash) {
  if (cache->count == cache->limit)
    evict(cache);
  plan->hash = hash;
  plan->next_in_bucket = *bucket_of(cache, hash);
  *bucket_of(cache, hash) = plan;
  link_newest(cache, plan);
  cache->count++;
  atomic_store_explicit(&cache->device->program_entries, (uint64_t)cache->count,
                        memory_order_relaxed);
}

static tnr_plan *find(tnr_plan_cache *cache, uint64_t hash, const tnr_op_def *def,
                      const void *attrs, tnr_tensor *const *in, int in_count) {
  for (tnr_plan *plan = *bucket_of(cache, hash); plan; plan = plan->next_in_bucket)
    if (plan->hash == hash && is_for(plan, def, attrs, in, in_count))
      return plan;
  return NULL;
}

/* Models call the same ops in the same order again and again: often the hash need not be computed.
 * NULL when it is not in the cache. */
static tnr_plan *plan_of(tnr_plan_cache *cache, const tnr_op_def *def, const void *attrs,
                         tnr_tensor *const *in, int in_count, uint64_t *hash) {
  tnr_plan *newest = cache->newest;
  *hash = newest ? newest->hash_then : 0;
  tnr_plan *plan = find(cache, *hash, def, attrs, in, in_count);
  if (plan)
    return plan;
  *hash = hash_call(def, attrs, in, in_count);
  if (newest)
    newest->hash_then = *hash;
  return find(cache, *hash, def, attrs, in, in_count);
}

tnr_status tnr_plan_get(tnr_plan_cache *cache, const tnr_op_def *def, const void *attrs,
                        tnr_tensor *const *in, int in_count, tnr_plan **out, tnr_fault *fault) {
  tnr_plan *plan = cache->newest;
  if (plan && is_for(plan, def, attrs, in, in_count)) { /* the common case costs no hash */
    tnr_count(&cache->device->program_hits);
    *out = plan;
    return TNR_OK;
  }
  uint64_t hash;
  *out = plan_of(cache, def, attrs, in, in_count, &hash);
  if (*out) {
    unlink_by_use(cache, *out);
    link_newest(cache, *out);
    tnr_count(&cache->device->program_hits);
    return TNR_OK;
  }
  tnr_count(&cache->device->program_misses);
  tnr_status status = tnr_plan_new(def, attrs, in, in_count, &plan, fault);
  if (status != TNR_OK)
    return status;
  plan->pace = pace_of(plan, cache->device->driver);
  plan->took_ns = INT64_MAX;
  insert(cache, plan, hash);
  *out = plan;
  return TNR_OK;
}

tnr_status tnr_plan_ready(tnr_plan_cache *cache, tnr_plan *plan, tnr_fault *fault) {
  const tnr_device *device = cache->device;
  if (plan->program)
    return TNR_OK;
  return device->driver->program_create(device->state, &plan->spec, &plan->program, fault);
}
