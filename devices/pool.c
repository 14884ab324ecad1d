#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BATCH_BYTES = 32 << 10 }; /* of larger blocks */
enum { CHUNK_BYTES_MIN = 128 << 10, CHUNK_BYTES_MAX = 4 << 20, HUGE_PAGE = 2 << 20 };

_Static_assert(CHUNK_BYTES_MIN >= TNR_POOL_SMALL_MAX + TNR_POOL_ALIGNMENT,
               "the first chunk holds the largest small block");

/* Free large blocks kept beyond what is in use. */
static const uint64_t LARGE_SLACK_BYTES = 64u << 20;

_Thread_local tnr_thread_slot tnr_this_thread;

typedef struct tnr_pool_chunk {
  struct tnr_pool_chunk *next;
} tnr_pool_chunk;

/* Free blocks on their way from cache to cache: the first lists as many others as it has room for,
 * and then the first of the next group. */
typedef struct tnr_batch {
  struct tnr_batch *next_batch; /* of the first group of a batch */
  struct tnr_batch *next_group;
  void *others[];
} tnr_batch;

typedef struct tnr_large_block {
  struct tnr_large_block *next;
} tnr_large_block;

enum { TINY_BINS = 2 * TNR_POOL_TINY_BINS };

/* Four classes a doubling above 1 KiB: 1280, 1536, 1792, 2048, 2560, … */
static int bin_of(tnr_pool_kind kind, size_t bytes) {
  if (bytes <= TNR_POOL_TINY_MAX)
    return (int)tnr_pool_tiny_bin(kind, bytes);
  int doubling = 63 - __builtin_clzll(bytes - 1);
  return TINY_BINS + 4 * (doubling - 10) + (int)((bytes - 1) >> (doubling - 2) & 3);
}

static size_t bin_bytes(int bin) {
  if (bin < TINY_BINS)
    return (size_t)(bin % TNR_POOL_TINY_BINS + 1) * 64;
  int doubling = 10 + (bin - TINY_BINS) / 4;
  size_t quarter = (size_t)1 << (doubling - 2);
  return (size_t)((bin - TINY_BINS) % 4 + 5) * quarter;
}

static uint32_t batch_blocks(int bin) {
  size_t bytes = bin_bytes(bin);
  return bytes <= TNR_POOL_TINY_MAX ? TNR_POOL_BATCH
         : bytes < BATCH_BYTES      ? (uint32_t)(BATCH_BYTES / bytes)
                                    : 1;
}

void *tnr_system_alloc(size_t bytes) {
  size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : TNR_POOL_ALIGNMENT;
  void *memory = NULL;
  if (posix_memalign(&memory, alignment, bytes) != 0)
    return NULL;
  if (bytes >= HUGE_PAGE)
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish; refusing it changes nothing */
  return memory;
}

/* ---- counters ---- */

typedef struct totals {
  uint64_t allocated, freed, fresh;
  int64_t live_bytes;
} totals;

/* relaxed everywhere: sums of one moment, of numbers that go on changing */
static void add_cache(totals *sum, const tnr_pool_cache *cache) {
  for (int i = 0; i < TNR_POOL_SMALL_BINS; i++) {
    const tnr_pool_bin *bin = &cache->bins[i];
    uint64_t allocated = atomic_load_explicit(&bin->allocated, memory_order_relaxed);
    uint64_t freed = atomic_load_explicit(&bin->freed, memory_order_relaxed);
    sum->allocated += allocated;
    sum->freed += freed;
    sum->fresh += atomic_load_explicit(&bin->fresh, memory_order_relaxed);
    sum->live_bytes += (int64_t)(allocated - freed) * (int64_t)bin_bytes(i);
  }
}

/* With the lock held. */
static totals sum_all(const tnr_pool *pool) {
  totals sum = {
      .allocated = pool->large_allocations,
      .freed = pool->large_allocations - pool->large_live,
      .fresh = pool->large_fresh,
      .live_bytes = (int64_t)pool->large_live_bytes,
  };
  for (int i = 0; i < pool->slots; i++)
    add_cache(&sum, &pool->caches[i]);
  for (int i = 0; i < TNR_POOL_SHARDS; i++)
    add_cache(&sum, &pool->shards[i].cache);
  return sum;
}

/* With the lock held. More can only be in use than ever when new memory is needed, but for what
 * lies free in the threads' caches, so that is when the peak is looked at. */
static void note_peak(tnr_pool *pool, int64_t coming_bytes) {
  int64_t live = sum_all(pool).live_bytes + coming_bytes;
  if (live > pool->peak_bytes)
    pool->peak_bytes = live;
}

/* With the lock held: a look at all caches costs as much as a small op, so there is one only when
 * more large blocks are in use than ever. */
static void note_large(tnr_pool *pool, size_t bytes) {
  if (pool->large_live_bytes + bytes <= pool->large_peak_bytes)
    return;
  pool->large_peak_bytes = pool->large_live_bytes + bytes;
  note_peak(pool, (int64_t)bytes);
}

/* With the lock held: the same for small blocks, where looking would cost more than carving. The
 * peak may miss a 64th of the pool. */
static void note_carving(tnr_pool *pool, size_t bytes) {
  pool->carved_bytes += bytes;
  if (pool->carved_bytes < pool->reserved_bytes / 64)
    return;
  pool->carved_bytes = 0;
  note_peak(pool, (int64_t)bytes);
}

/* ---- blocks from the system ---- */

/* With the lock held. */
static bool grow(tnr_pool *pool) {
  tnr_pool_chunk *chunk = tnr_system_alloc(pool->chunk_size);
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

/* With the lock held: puts never used blocks into an empty bin, so that they are handed out in the
 * order of their addresses. What is left of the old chunk when the new one comes is given up: it is
 * less than one block. */
static bool carve(tnr_pool *pool, tnr_pool_cache *cache, int index) {
  size_t bytes = bin_bytes(index);
  uint32_t wanted = batch_blocks(index);
  note_carving(pool, wanted * bytes);
  if ((size_t)(pool->chunk_end - pool->chunk) < bytes && !grow(pool))
    return false;
  size_t left = (size_t)(pool->chunk_end - pool->chunk) / bytes;
  tnr_pool_bin *bin = &cache->bins[index];
  bin->count = bin->unused = left < wanted ? (uint32_t)left : wanted;
  for (uint32_t i = bin->count; i-- > 0; pool->chunk += bytes)
    cache->blocks[index][i] = pool->chunk;
  return true;
}

static uint32_t group_blocks(size_t bytes, uint32_t left) {
  uint32_t room = (uint32_t)((bytes - sizeof(tnr_batch)) / sizeof(void *)) + 1;
  return left < room ? left : room;
}

static tnr_batch *pack(void *const *blocks, uint32_t count, size_t bytes) {
  tnr_batch *first = blocks[0];
  for (uint32_t at = 0, blocks_here; at < count; at += blocks_here) {
    tnr_batch *group = blocks[at];
    blocks_here = group_blocks(bytes, count - at);
    memcpy(group->others, &blocks[at + 1], (blocks_here - 1) * sizeof *blocks);
    group->next_group = at + blocks_here < count ? blocks[at + blocks_here] : NULL;
  }
  return first;
}

static void unpack(tnr_batch *group, void **blocks, uint32_t count, size_t bytes) {
  for (uint32_t at = 0, blocks_here; at < count; at += blocks_here, group = group->next_group) {
    blocks_here = group_blocks(bytes, count - at);
    blocks[at] = group;
    memcpy(&blocks[at + 1], group->others, (blocks_here - 1) * sizeof *blocks);
  }
}

static tnr_batch *take_batch(tnr_pool *pool, int bin) {
  tnr_batch *batch = pool->batches[bin];
  if (batch)
    pool->batches[bin] = batch->next_batch;
  return batch;
}

/* Fills an empty bin. */
static bool refill(tnr_pool *pool, tnr_pool_cache *cache, int index) {
  uint32_t count = batch_blocks(index);
  pthread_mutex_lock(&pool->lock);
  tnr_batch *batch = take_batch(pool, index);
  bool carved = !batch && carve(pool, cache, index);
  pthread_mutex_unlock(&pool->lock);
  if (!batch)
    return carved;
  unpack(batch, cache->blocks[index], count, bin_bytes(index));
  cache->bins[index].count = count;
  cache->bins[index].unused = 0;
  return true;
}

/* Makes room in a full bin: what was freed last may still be in this CPU's cache, and stays. */
static void spill(tnr_pool *pool, tnr_pool_cache *cache, int index) {
  uint32_t count = batch_blocks(index);
  tnr_pool_bin *bin = &cache->bins[index];
  void **blocks = cache->blocks[index];
  tnr_batch *batch = pack(blocks, count, bin_bytes(index));
  bin->count -= count;
  bin->unused = bin->unused > count ? bin->unused - count : 0;
  memmove(blocks, blocks + count, bin->count * sizeof *blocks);
  pthread_mutex_lock(&pool->lock);
  batch->next_batch = pool->batches[index];
  pool->batches[index] = batch;
  pthread_mutex_unlock(&pool->lock);
}

/* ---- which cache ---- */

static tnr_pool_cache *own_cache(tnr_pool *pool) {
  return tnr_this_thread.group == pool->group && pool->group ? &pool->caches[tnr_this_thread.index]
                                                             : NULL;
}

/* The address of a thread-local differs from thread to thread and costs nothing to get. */
static tnr_pool_shard *shard_of(tnr_pool *pool) {
  uintptr_t address = (uintptr_t)&tnr_this_thread;
  return &pool->shards[(address >> 12 ^ address >> 20) % TNR_POOL_SHARDS];
}

/* ---- small blocks ---- */

static void *small_alloc(tnr_pool *pool, tnr_pool_cache *cache, int index) {
  if (cache->bins[index].count == 0 && !refill(pool, cache, index))
    return NULL;
  return tnr_pool_take(cache, (unsigned)index);
}

static void small_free(tnr_pool *pool, tnr_pool_cache *cache, int index, void *freed) {
  if (cache->bins[index].count == 2 * batch_blocks(index))
    spill(pool, cache, index);
  tnr_pool_put(cache, (unsigned)index, freed);
}

/* ---- blocks straight from the system ---- */

static void *take_large(tnr_pool *pool, int bin) {
  tnr_large_block *found = pool->large[bin];
  if (found) {
    pool->large[bin] = found->next;
    pool->large_free_bytes -= bin_bytes(bin);
  }
  return found;
}

/* Large blocks, and all blocks where nothing is recycled: `bin` counts them all. */
static void *large_alloc(tnr_pool *pool, int bin) {
  size_t bytes = bin_bytes(bin);
  pthread_mutex_lock(&pool->lock);
  note_large(pool, bytes);
  void *taken = take_large(pool, bin);
  bool fresh = !taken;
  if (fresh) {
    /* the system may take its time, and this lock is everybody's */
    pthread_mutex_unlock(&pool->lock);
    taken = tnr_system_alloc(bytes);
    pthread_mutex_lock(&pool->lock);
  }
  if (taken) {
    pool->large_live++;
    pool->large_live_bytes += bytes;
    pool->large_allocations++;
    pool->large_fresh += fresh;
    pool->reserved_bytes += fresh ? bytes : 0;
  }
  pthread_mutex_unlock(&pool->lock);
  return taken;
}

static void large_free(tnr_pool *pool, int bin, void *block) {
  tnr_large_block *freed = block;
  size_t bytes = bin_bytes(bin);
  pthread_mutex_lock(&pool->lock);
  pool->large_live--;
  pool->large_live_bytes -= bytes;
  bool keep = !TNR_POOL_PASS_THROUGH &&
              pool->large_free_bytes + bytes <= pool->large_live_bytes + LARGE_SLACK_BYTES;
  if (keep) {
    freed->next = pool->large[bin];
    pool->large[bin] = freed;
    pool->large_free_bytes += bytes;
  } else {
    pool->reserved_bytes -= bytes;
  }
  pthread_mutex_unlock(&pool->lock);
  if (!keep)
    free(freed);
}

/* ---- alloc and free ---- */

static bool is_small(int bin) {
  return !TNR_POOL_PASS_THROUGH && bin < TNR_POOL_SMALL_BINS;
}

static bool too_large(size_t bytes) {
  return bytes > (size_t)1 << 46;
}

static void *alloc_shared(tnr_pool *pool, int bin) {
  tnr_pool_shard *shard = shard_of(pool);
  tnr_spin_lock(&shard->lock);
  void *taken = is_small(bin) ? small_alloc(pool, &shard->cache, bin) : large_alloc(pool, bin);
  /* relaxed: closed changes only while this lock is held; the count itself orders nothing here,
   * since the caller's own handle keeps the pool */
  if (taken && atomic_load_explicit(&pool->closed, memory_order_relaxed))
    atomic_fetch_add_explicit(&pool->outstanding, 1, memory_order_relaxed);
  tnr_spin_unlock(&shard->lock);
  return taken;
}

static void *alloc_any(tnr_pool *pool, tnr_pool_kind kind, size_t bytes) {
  if (too_large(bytes))
    return NULL;
  int bin = bin_of(kind, bytes);
  tnr_pool_cache *own = own_cache(pool);
  if (!own)
    return alloc_shared(pool, bin);
  return is_small(bin) ? small_alloc(pool, own, bin) : large_alloc(pool, bin);
}

/* The usual case of an application thread: a handle, and there is one in the shard. */
static void *alloc_handle(tnr_pool *pool, tnr_pool_kind kind, size_t bytes) {
  tnr_pool_shard *shard = shard_of(pool);
  unsigned bin = tnr_pool_tiny_bin(kind, bytes);
  void *taken = NULL;
  tnr_spin_lock(&shard->lock);
  /* relaxed: closed changes only while this lock is held */
  if (shard->cache.bins[bin].count > 0 &&
      !atomic_load_explicit(&pool->closed, memory_order_relaxed)) {
    taken = tnr_pool_take(&shard->cache, bin);
    tnr_pool_prefetch(&shard->cache, bin, bytes);
  }
  tnr_spin_unlock(&shard->lock);
  return taken;
}

void *tnr_pool_alloc_slow(tnr_pool *pool, tnr_pool_kind kind, size_t bytes) {
  void *taken = NULL;
  if (!TNR_POOL_PASS_THROUGH && bytes <= TNR_POOL_TINY_MAX && !own_cache(pool))
    taken = alloc_handle(pool, kind, bytes);
  return taken ? taken : alloc_any(pool, kind, bytes);
}

/* acquire-release: whoever takes the count to zero must see all other threads done with the pool */
static void one_returned(tnr_pool *pool) {
  if (atomic_fetch_sub_explicit(&pool->outstanding, 1, memory_order_acq_rel) == 1)
    pool->on_empty(pool->on_empty_user);
}

static void free_shared(tnr_pool *pool, int bin, void *freed) {
  tnr_pool_shard *shard = shard_of(pool);
  tnr_spin_lock(&shard->lock);
  if (is_small(bin))
    small_free(pool, &shard->cache, bin, freed);
  else
    large_free(pool, bin, freed);
  bool closed = atomic_load_explicit(&pool->closed, memory_order_relaxed); /* as in alloc */
  tnr_spin_unlock(&shard->lock);
  if (closed)
    one_returned(pool);
}

void tnr_pool_free_slow(tnr_pool *pool, tnr_pool_kind kind, void *freed, size_t bytes) {
  int bin = bin_of(kind, bytes);
  tnr_pool_cache *own = own_cache(pool);
  if (!own)
    free_shared(pool, bin, freed);
  else if (is_small(bin))
    small_free(pool, own, bin, freed);
  else
    large_free(pool, bin, freed);
}

/* ---- life ---- */

tnr_status tnr_pool_init(tnr_pool *pool, const void *group, int slots) {
  *pool = (tnr_pool){.group = group, .slots = slots, .chunk_size = CHUNK_BYTES_MIN};
  /* from calloc, so that what is never used takes no memory; aligned by hand */
  pool->caches_block = calloc(1, (size_t)slots * sizeof *pool->caches + TNR_CACHE_LINE);
  if (!pool->caches_block)
    return TNR_ENOMEM;
  uintptr_t address = (uintptr_t)pool->caches_block + TNR_CACHE_LINE - 1;
  pool->caches = (tnr_pool_cache *)(address / TNR_CACHE_LINE * TNR_CACHE_LINE);
  pthread_mutex_init(&pool->lock, NULL);
  return TNR_OK;
}

void tnr_pool_finish(tnr_pool *pool) {
  for (int bin = 0; bin < TNR_POOL_LARGE_BINS; bin++)
    for (tnr_large_block *block = pool->large[bin], *next; block; block = next) {
      next = block->next;
      free(block);
    }
  for (tnr_pool_chunk *chunk = pool->chunks, *next; chunk; chunk = next) {
    next = chunk->next;
    free(chunk);
  }
  pthread_mutex_destroy(&pool->lock);
  free(pool->caches_block);
}

void tnr_pool_close(tnr_pool *pool, void (*on_empty)(void *user), void *user) {
  for (int i = 0; i < TNR_POOL_SHARDS; i++)
    tnr_spin_lock(&pool->shards[i].lock);
  pool->on_empty = on_empty;
  pool->on_empty_user = user;
  /* one more than there are blocks: the pool cannot go before this function lets it. relaxed: other
   * threads look only after they have taken a shard's lock */
  atomic_store_explicit(&pool->outstanding, (int64_t)tnr_pool_live_blocks(pool) + 1,
                        memory_order_relaxed);
  atomic_store_explicit(&pool->closed, true, memory_order_relaxed);
  for (int i = 0; i < TNR_POOL_SHARDS; i++)
    tnr_spin_unlock(&pool->shards[i].lock);
  one_returned(pool);
}

uint64_t tnr_pool_live_blocks(tnr_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  totals sum = sum_all(pool);
  pthread_mutex_unlock(&pool->lock);
  return sum.allocated > sum.freed ? sum.allocated - sum.freed : 0;
}

tnr_memory_stats tnr_pool_stats(tnr_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  note_peak(pool, 0);
  totals sum = sum_all(pool);
  tnr_memory_stats stats = {
      .live_bytes = sum.live_bytes > 0 ? (uint64_t)sum.live_bytes : 0,
      .peak_bytes = (uint64_t)pool->peak_bytes,
      .reserved_bytes = pool->reserved_bytes,
      .allocations = sum.allocated,
      .reused = sum.allocated > sum.fresh ? sum.allocated - sum.fresh : 0,
  };
  pthread_mutex_unlock(&pool->lock);
  return stats;
}
