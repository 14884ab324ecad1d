#include "pool.h"

#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_PASS_THROUGH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_PASS_THROUGH 1
#endif
#endif
#ifndef POOL_PASS_THROUGH
#define POOL_PASS_THROUGH 0
#endif

enum { BATCH_BYTES = 16 << 10, BATCH_BLOCKS_MAX = 32 };
enum { CHUNK_BYTES_MIN = 64 << 10, CHUNK_BYTES_MAX = 4 << 20, HUGE_PAGE = 2 << 20 };

/* Free large blocks kept beyond what is in use. */
static const uint64_t LARGE_SLACK_BYTES = 64u << 20;

_Thread_local tnr_thread_slot tnr_this_thread;

typedef struct tnr_pool_chunk {
  struct tnr_pool_chunk *next;
} tnr_pool_chunk;

typedef struct block {
  struct block *next;
  struct block *next_batch;
} block;

/* Marks a block that was not handed out before, in next_batch. */
static block *const never_used = (block *)1;

/* Four classes a doubling above 1 KiB: 1280, 1536, 1792, 2048, 2560, … */
static int bin_of(size_t bytes) {
  if (bytes <= 1024)
    return bytes == 0 ? 0 : (int)((bytes - 1) / 64);
  int doubling = 63 - __builtin_clzll(bytes - 1);
  return 16 + 4 * (doubling - 10) + (int)((bytes - 1) >> (doubling - 2) & 3);
}

static size_t bin_bytes(int bin) {
  if (bin < 16)
    return (size_t)(bin + 1) * 64;
  int doubling = 10 + (bin - 16) / 4;
  return ((size_t)1 << doubling) + (size_t)((bin - 16) % 4 + 1) * ((size_t)1 << (doubling - 2));
}

static uint32_t batch_blocks(int bin) {
  if (bin < BATCH_BYTES / BATCH_BLOCKS_MAX / 64)
    return BATCH_BLOCKS_MAX;
  size_t blocks = BATCH_BYTES / bin_bytes(bin);
  return blocks > BATCH_BLOCKS_MAX ? BATCH_BLOCKS_MAX : blocks ? (uint32_t)blocks : 1;
}

static void *system_alloc(size_t bytes) {
  size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : TNR_POOL_ALIGNMENT;
  void *memory = NULL;
  if (posix_memalign(&memory, alignment, bytes) != 0)
    return NULL;
  if (bytes >= HUGE_PAGE)
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish; refusing it changes nothing */
  return memory;
}

/* ---- counters ---- */

/* relaxed everywhere: each counter has one writer at a time, and readers want no ordering */
static void add_signed(_Atomic int64_t *counter, int64_t by) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                        memory_order_relaxed);
}

static void add_unsigned(_Atomic uint64_t *counter, uint64_t by) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                        memory_order_relaxed);
}

typedef struct totals {
  int64_t live_bytes;
  uint64_t allocations, frees, fresh;
} totals;

static void add_cache(totals *sum, const tnr_pool_cache *cache) {
  sum->live_bytes += atomic_load_explicit(&cache->live_bytes, memory_order_relaxed);
  sum->allocations += atomic_load_explicit(&cache->allocations, memory_order_relaxed);
  sum->frees += atomic_load_explicit(&cache->frees, memory_order_relaxed);
  sum->fresh += atomic_load_explicit(&cache->fresh, memory_order_relaxed);
}

static totals sum_caches(const tnr_pool *pool) {
  totals sum = {0};
  for (int i = 0; i < pool->slots; i++)
    add_cache(&sum, &pool->caches[i]);
  for (int i = 0; i < TNR_POOL_SHARDS; i++)
    add_cache(&sum, &pool->shards[i].cache);
  return sum;
}

static int64_t live_blocks(const tnr_pool *pool) {
  totals sum = sum_caches(pool);
  return (int64_t)(sum.allocations - sum.frees);
}

/* With the lock held. Caches are refilled in batches, so the peak is looked at no later than that.
 */
static void note_peak(tnr_pool *pool, int64_t coming_bytes) {
  int64_t live = sum_caches(pool).live_bytes + coming_bytes;
  if (live > pool->peak_bytes)
    pool->peak_bytes = live;
}

/* ---- blocks from the system ---- */

/* With the lock held. */
static bool grow(tnr_pool *pool) {
  tnr_pool_chunk *chunk = system_alloc(pool->chunk_size);
  if (!chunk)
    return false;
  chunk->next = pool->chunks;
  pool->chunks = chunk;
  pool->chunk = (char *)chunk + TNR_POOL_ALIGNMENT;
  pool->chunk_end = (char *)chunk + pool->chunk_size;
  pool->reserved_bytes += pool->chunk_size;
  if (pool->chunk_size < CHUNK_BYTES_MAX)
    pool->chunk_size *= 2;
  return true;
}

/* With the lock held. What is left of the old chunk when the new one comes is given up: it is less
 * than one block. */
static block *carve(tnr_pool *pool, int bin, uint32_t wanted, uint32_t *count) {
  size_t bytes = bin_bytes(bin);
  if ((size_t)(pool->chunk_end - pool->chunk) < bytes && !grow(pool))
    return NULL;
  block *first = NULL, **last = &first;
  for (*count = 0; *count < wanted && (size_t)(pool->chunk_end - pool->chunk) >= bytes; ++*count) {
    *last = (block *)pool->chunk;
    (*last)->next_batch = never_used;
    last = &(*last)->next;
    pool->chunk += bytes;
  }
  *last = NULL;
  return first;
}

static bool refill(tnr_pool *pool, tnr_pool_cache *cache, int bin) {
  uint32_t count = batch_blocks(bin);
  pthread_mutex_lock(&pool->lock);
  block *batch = pool->batches[bin];
  if (batch)
    pool->batches[bin] = batch->next_batch;
  else
    batch = carve(pool, bin, count, &count);
  note_peak(pool, (int64_t)bin_bytes(bin));
  pthread_mutex_unlock(&pool->lock);
  if (!batch)
    return false;
  cache->bins[bin].free = batch;
  cache->bins[bin].count = count;
  return true;
}

/* Moves one batch out of a cache that has two. */
static void spill(tnr_pool *pool, tnr_pool_cache *cache, int bin) {
  uint32_t count = batch_blocks(bin);
  block *batch = cache->bins[bin].free, *last = batch;
  for (uint32_t i = 1; i < count; i++)
    last = last->next;
  cache->bins[bin].free = last->next;
  cache->bins[bin].count -= count;
  last->next = NULL;
  pthread_mutex_lock(&pool->lock);
  batch->next_batch = pool->batches[bin];
  pool->batches[bin] = batch;
  pthread_mutex_unlock(&pool->lock);
}

/* ---- small blocks ---- */

static tnr_pool_cache *own_cache(tnr_pool *pool) {
  return tnr_this_thread.group == pool->group && pool->group ? &pool->caches[tnr_this_thread.index]
                                                             : NULL;
}

/* The address of a thread-local differs from thread to thread and costs nothing to get. */
static tnr_pool_shard *shard_of(tnr_pool *pool) {
  uintptr_t address = (uintptr_t)&tnr_this_thread;
  return &pool->shards[(address >> 12 ^ address >> 20) % TNR_POOL_SHARDS];
}

/* The next block was last written on another CPU: it should be here when it is asked for. */
static void prefetch_block(const block *next, int bin) {
  enum { HANDLES_MAX = 512 };
  size_t bytes = bin_bytes(bin);
  if (next && bytes <= HANDLES_MAX)
    for (size_t line = 0; line < bytes; line += TNR_POOL_ALIGNMENT)
      __builtin_prefetch((const char *)next + line, 1);
}

static void *take(tnr_pool *pool, tnr_pool_cache *cache, int bin) {
  if (!cache->bins[bin].free && !refill(pool, cache, bin))
    return NULL;
  block *taken = cache->bins[bin].free;
  cache->bins[bin].free = taken->next;
  prefetch_block(taken->next, bin);
  cache->bins[bin].count--;
  if (taken->next_batch == never_used)
    add_unsigned(&cache->fresh, 1);
  return taken;
}

static void put(tnr_pool *pool, tnr_pool_cache *cache, int bin, block *freed) {
  freed->next = cache->bins[bin].free;
  freed->next_batch = NULL;
  cache->bins[bin].free = freed;
  if (++cache->bins[bin].count >= 2 * batch_blocks(bin))
    spill(pool, cache, bin);
}

/* ---- large blocks ---- */

static void *large_alloc(tnr_pool *pool, tnr_pool_cache *cache, int bin) {
  size_t bytes = bin_bytes(bin);
  pthread_mutex_lock(&pool->lock);
  note_peak(pool, (int64_t)bytes);
  block *found = pool->large[bin - TNR_POOL_SMALL_BINS];
  if (found) {
    pool->large[bin - TNR_POOL_SMALL_BINS] = found->next;
    pool->large_free_bytes -= bytes;
  }
  pthread_mutex_unlock(&pool->lock);
  if (found)
    return found;
  found = system_alloc(bytes);
  if (!found)
    return NULL;
  add_unsigned(&cache->fresh, 1);
  pthread_mutex_lock(&pool->lock);
  pool->reserved_bytes += bytes;
  pthread_mutex_unlock(&pool->lock);
  return found;
}

static void large_free(tnr_pool *pool, int bin, block *freed) {
  size_t bytes = bin_bytes(bin);
  pthread_mutex_lock(&pool->lock);
  int64_t live = sum_caches(pool).live_bytes;
  bool keep = pool->large_free_bytes + bytes <= (uint64_t)(live > 0 ? live : 0) + LARGE_SLACK_BYTES;
  if (keep) {
    freed->next = pool->large[bin - TNR_POOL_SMALL_BINS];
    pool->large[bin - TNR_POOL_SMALL_BINS] = freed;
    pool->large_free_bytes += bytes;
  } else {
    pool->reserved_bytes -= bytes;
  }
  pthread_mutex_unlock(&pool->lock);
  if (!keep)
    free(freed);
}

/* ---- alloc and free ---- */

static void *alloc_in(tnr_pool *pool, tnr_pool_cache *cache, int bin) {
  void *taken;
  if (POOL_PASS_THROUGH) {
    taken = system_alloc(bin_bytes(bin));
    add_unsigned(&cache->fresh, 1);
  } else {
    taken = bin < TNR_POOL_SMALL_BINS ? take(pool, cache, bin) : large_alloc(pool, cache, bin);
  }
  if (!taken)
    return NULL;
  add_signed(&cache->live_bytes, (int64_t)bin_bytes(bin));
  add_unsigned(&cache->allocations, 1);
  return taken;
}

static void free_in(tnr_pool *pool, tnr_pool_cache *cache, int bin, void *freed) {
  add_unsigned(&cache->frees, 1);
  add_signed(&cache->live_bytes, -(int64_t)bin_bytes(bin));
  if (POOL_PASS_THROUGH)
    free(freed);
  else if (bin < TNR_POOL_SMALL_BINS)
    put(pool, cache, bin, freed);
  else
    large_free(pool, bin, freed);
}

static bool too_large(size_t bytes) {
  return bytes > (size_t)1 << 46;
}

void *tnr_pool_alloc(tnr_pool *pool, size_t bytes) {
  if (too_large(bytes))
    return NULL;
  int bin = bin_of(bytes);
  tnr_pool_cache *own = own_cache(pool);
  if (own)
    return alloc_in(pool, own, bin);
  tnr_pool_shard *shard = shard_of(pool);
  tnr_spin_lock(&shard->lock);
  void *taken = alloc_in(pool, &shard->cache, bin);
  /* relaxed: closed changes only while this lock is held; the count itself orders nothing here,
   * since the caller's own handle keeps the pool */
  if (taken && atomic_load_explicit(&pool->closed, memory_order_relaxed))
    atomic_fetch_add_explicit(&pool->outstanding, 1, memory_order_relaxed);
  tnr_spin_unlock(&shard->lock);
  return taken;
}

/* acquire-release: whoever takes the count to zero must see all other threads done with the pool */
static void one_returned(tnr_pool *pool) {
  if (atomic_fetch_sub_explicit(&pool->outstanding, 1, memory_order_acq_rel) == 1)
    pool->on_empty(pool->on_empty_user);
}

void tnr_pool_free(tnr_pool *pool, void *freed, size_t bytes) {
  if (!freed)
    return;
  tnr_pool_cache *own = own_cache(pool);
  if (own) {
    free_in(pool, own, bin_of(bytes), freed);
    return;
  }
  tnr_pool_shard *shard = shard_of(pool);
  tnr_spin_lock(&shard->lock);
  free_in(pool, &shard->cache, bin_of(bytes), freed);
  bool closed = atomic_load_explicit(&pool->closed, memory_order_relaxed); /* as in alloc */
  tnr_spin_unlock(&shard->lock);
  if (closed)
    one_returned(pool);
}

/* ---- life ---- */

tnr_status tnr_pool_init(tnr_pool *pool, const void *group, int slots) {
  *pool = (tnr_pool){.group = group, .slots = slots, .chunk_size = CHUNK_BYTES_MIN};
  pool->caches = calloc((size_t)slots, sizeof *pool->caches);
  if (!pool->caches)
    return TNR_ENOMEM;
  pthread_mutex_init(&pool->lock, NULL);
  return TNR_OK;
}

void tnr_pool_finish(tnr_pool *pool) {
  for (int bin = 0; bin < TNR_POOL_LARGE_BINS; bin++)
    for (block *b = pool->large[bin], *next; b; b = next) {
      next = b->next;
      free(b);
    }
  for (tnr_pool_chunk *chunk = pool->chunks, *next; chunk; chunk = next) {
    next = chunk->next;
    free(chunk);
  }
  pthread_mutex_destroy(&pool->lock);
  free(pool->caches);
}

void tnr_pool_close(tnr_pool *pool, void (*on_empty)(void *user), void *user) {
  for (int i = 0; i < TNR_POOL_SHARDS; i++)
    tnr_spin_lock(&pool->shards[i].lock);
  pool->on_empty = on_empty;
  pool->on_empty_user = user;
  /* one more than there are blocks: the pool cannot go before this function lets it. relaxed: other
   * threads look only after they have taken a shard's lock */
  atomic_store_explicit(&pool->outstanding, live_blocks(pool) + 1, memory_order_relaxed);
  atomic_store_explicit(&pool->closed, true, memory_order_relaxed);
  for (int i = 0; i < TNR_POOL_SHARDS; i++)
    tnr_spin_unlock(&pool->shards[i].lock);
  one_returned(pool);
}

uint64_t tnr_pool_live_blocks(const tnr_pool *pool) {
  int64_t live = live_blocks(pool);
  return live > 0 ? (uint64_t)live : 0;
}

tnr_memory_stats tnr_pool_stats(tnr_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  note_peak(pool, 0);
  totals sum = sum_caches(pool);
  tnr_memory_stats stats = {
      .live_bytes = sum.live_bytes > 0 ? (uint64_t)sum.live_bytes : 0,
      .peak_bytes = (uint64_t)pool->peak_bytes,
      .reserved_bytes = pool->reserved_bytes,
      .allocations = sum.allocations,
      .reused = sum.allocations > sum.fresh ? sum.allocations - sum.fresh : 0,
  };
  pthread_mutex_unlock(&pool->lock);
  return stats;
}
