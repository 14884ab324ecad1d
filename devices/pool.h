/* Memory in size classes, recycled: for handles (one pool a runtime) and for the data of tensors
 * (one pool a device). Nothing is taken from the system in a steady state. */
#ifndef TENOR_POOL_H
#define TENOR_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenor/device.h>

#include "cache_line.h"
#include "spin.h"

enum {
  TNR_POOL_ALIGNMENT = 64,
  TNR_POOL_TINY_MAX = 1 << 10,   /* bytes; handles are no larger */
  TNR_POOL_SMALL_MAX = 64 << 10, /* bytes; larger blocks come from the system one by one */
  TNR_POOL_TINY_BINS = 16,       /* of each kind: steps of 64 */
  TNR_POOL_SMALL_BINS = 2 * TNR_POOL_TINY_BINS + 24,  /* then four a doubling */
  TNR_POOL_LARGE_BINS = TNR_POOL_SMALL_BINS + 4 * 41, /* likewise */
  TNR_POOL_SHARDS = 8,
  TNR_POOL_BATCH = 64 /* blocks that move between caches at once, at most */
};

/* Where AddressSanitizer is to see every block's life, nothing is recycled. */
#if defined(__SANITIZE_ADDRESS__)
#define TNR_POOL_PASS_THROUGH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TNR_POOL_PASS_THROUGH 1
#endif
#endif
#ifndef TNR_POOL_PASS_THROUGH
#define TNR_POOL_PASS_THROUGH 0
#endif

/* What a block is for. Handles made by different threads do not become each other's, though they
 * are of one size: each thread would get what is in another CPU's cache. Where ops are as large as
 * tensors that takes a fifth longer (W4 of tenor bench dispatch). Larger blocks are of one kind. */
typedef enum tnr_pool_kind {
  TNR_POOL_ANY = 0,
  TNR_POOL_SUBMITTED /* made by who submits ops */
} tnr_pool_kind;

/* Free blocks of one size and kind. Counters are atomic, relaxed: written by the cache's user
 * alone, summed by whoever asks. */
typedef struct tnr_pool_bin {
  uint32_t count;                    /* free blocks */
  uint32_t unused;                   /* so many of them, the first ones, were never handed out */
  _Atomic uint32_t fresh;            /* handed out for the first time */
  _Atomic uint64_t allocated, freed; /* blocks; freed here perhaps what was allocated elsewhere */
} tnr_pool_bin;

/* Free blocks of one thread, or of the threads that share a shard. Their own memory is not touched
 * while they lie here: it was last written on whatever CPU. All zero at first. */
typedef struct tnr_pool_cache {
  _Alignas(64) tnr_pool_bin bins[TNR_POOL_SMALL_BINS];
  void *blocks[TNR_POOL_SMALL_BINS][2 * TNR_POOL_BATCH]; /* the last one is taken first */
} tnr_pool_cache;

/* The caches that threads of one runtime have for themselves: slot 0 is the dispatcher's, the
 * others the workers'. A thread says once which slot of which group it is. */
typedef struct tnr_thread_slot {
  const void *group; /* NULL: any other thread */
  int index;
} tnr_thread_slot;
/* initial-exec: read for every handle made and released, also in the shared library */
extern _Thread_local tnr_thread_slot tnr_this_thread __attribute__((tls_model("initial-exec")));

typedef struct tnr_pool_shard {
  _Alignas(64) tnr_spin lock;
  tnr_pool_cache cache; /* guarded by lock */
} tnr_pool_shard;

/* What different threads write stands on cache lines of its own. */
typedef struct tnr_pool {
  const void *group;                      /* immutable after create */
  int slots;                              /* immutable after create */
  void *caches_block;                     /* what holds `caches`; immutable after create */
  tnr_pool_cache *caches;                 /* [slots]; each belongs to its thread */
  tnr_pool_shard shards[TNR_POOL_SHARDS]; /* all other threads */

  _Alignas(64) pthread_mutex_t lock;
  struct tnr_batch *batches[TNR_POOL_SMALL_BINS];     /* guarded by lock: full batches */
  struct tnr_large_block *large[TNR_POOL_LARGE_BINS]; /* guarded by lock: free large blocks */
  uint64_t large_free_bytes;                          /* guarded by lock */
  uint64_t large_live, large_live_bytes;              /* guarded by lock */
  uint64_t large_peak_bytes;               /* guarded by lock: the most there ever were */
  uint64_t large_allocations, large_fresh; /* guarded by lock */
  char *chunk, *chunk_end;                 /* guarded by lock: not carved yet */
  size_t chunk_size;                       /* guarded by lock: the next chunk's, in bytes */
  struct tnr_pool_chunk *chunks;           /* guarded by lock */
  uint64_t reserved_bytes;                 /* guarded by lock */
  uint64_t carved_bytes;                   /* guarded by lock: since the peak was looked at */
  int64_t peak_bytes;                      /* guarded by lock */

  /* Once closed: how many blocks are still out, and whom to tell when the last one returns. */
  _Alignas(64) atomic_bool closed; /* atomic; set under every shard's lock */
  _Atomic int64_t outstanding;     /* atomic */
  void (*on_empty)(void *user);    /* written before closed */
  void *on_empty_user;             /* written before closed */
} tnr_pool;

/* In the caller's memory. TNR_ENOMEM leaves nothing to finish. */
tnr_status tnr_pool_init(tnr_pool *pool, const void *group, int slots);

/* Gives everything back to the system; no block may be in use. */
void tnr_pool_finish(tnr_pool *pool);

/* Memory from the system itself, aligned to 64 bytes; much of it in huge pages, where the system
 * has some. free gives it back. NULL when out of memory. Any thread. */
void *tnr_system_alloc(size_t bytes);

/* The slow halves of alloc and free. */
void *tnr_pool_alloc_slow(tnr_pool *pool, tnr_pool_kind kind, size_t bytes);
void tnr_pool_free_slow(tnr_pool *pool, tnr_pool_kind kind, void *block, size_t bytes);

/* The bin of blocks up to TNR_POOL_TINY_MAX. */
static inline unsigned tnr_pool_tiny_bin(tnr_pool_kind kind, size_t bytes) {
  return (unsigned)kind * TNR_POOL_TINY_BINS + (bytes == 0 ? 0 : (unsigned)((bytes - 1) / 64));
}

/* The calling thread's own cache for such blocks; NULL for threads without a slot, and other sizes.
 */
static inline tnr_pool_cache *tnr_pool_own_tiny(tnr_pool *pool, size_t bytes) {
  if (TNR_POOL_PASS_THROUGH || bytes > TNR_POOL_TINY_MAX || tnr_this_thread.group != pool->group ||
      !pool->group)
    return NULL;
  return &pool->caches[tnr_this_thread.index];
}

/* relaxed: one writer at a time, and readers want no ordering */
static inline void tnr_count(_Atomic uint64_t *counter) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                        memory_order_relaxed);
}

/* The block that is handed out a few calls from now should be in this CPU's cache by then. */
static inline void tnr_pool_prefetch(const tnr_pool_cache *cache, unsigned bin, size_t bytes) {
  enum { AHEAD = 3, BYTES_MAX = 512 };
  uint32_t count = cache->bins[bin].count;
  if (count < AHEAD || bytes > BYTES_MAX)
    return;
  const char *block = cache->blocks[bin][count - AHEAD];
  for (size_t line = 0; line < bytes; line += TNR_CACHE_LINE)
    tnr_prefetch(block + line);
}

/* The bin is not empty. */
static inline void *tnr_pool_take(tnr_pool_cache *cache, unsigned index) {
  tnr_pool_bin *bin = &cache->bins[index];
  uint32_t at = --bin->count;
  tnr_count(&bin->allocated);
  if (at < bin->unused) {
    bin->unused = at;
    atomic_store_explicit(&bin->fresh, bin->fresh + 1, memory_order_relaxed);
  }
  return cache->blocks[index][at];
}

/* The bin has room. */
static inline void tnr_pool_put(tnr_pool_cache *cache, unsigned index, void *block) {
  tnr_pool_bin *bin = &cache->bins[index];
  cache->blocks[index][bin->count++] = block;
  tnr_count(&bin->freed);
}

/* A block of at least `bytes`, aligned to 64 bytes, contents unspecified; NULL when out of memory.
 * Any thread. Bytes of 0 give a block all the same. */
static inline void *tnr_pool_alloc_kind(tnr_pool *pool, tnr_pool_kind kind, size_t bytes) {
  tnr_pool_cache *own = tnr_pool_own_tiny(pool, bytes);
  unsigned bin = tnr_pool_tiny_bin(kind, bytes);
  if (!own || own->bins[bin].count == 0)
    return tnr_pool_alloc_slow(pool, kind, bytes);
  void *taken = tnr_pool_take(own, bin);
  tnr_pool_prefetch(own, bin, bytes);
  return taken;
}

static inline void *tnr_pool_alloc(tnr_pool *pool, size_t bytes) {
  return tnr_pool_alloc_kind(pool, TNR_POOL_ANY, bytes);
}

/* `kind` and `bytes` as in alloc. Any thread; NULL is fine. */
static inline void tnr_pool_free_kind(tnr_pool *pool, tnr_pool_kind kind, void *block,
                                      size_t bytes) {
  if (!block)
    return;
  tnr_pool_cache *own = tnr_pool_own_tiny(pool, bytes);
  unsigned bin = tnr_pool_tiny_bin(kind, bytes);
  if (own && own->bins[bin].count < 2 * TNR_POOL_BATCH)
    tnr_pool_put(own, bin, block);
  else
    tnr_pool_free_slow(pool, kind, block, bytes);
}

static inline void tnr_pool_free(tnr_pool *pool, void *block, size_t bytes) {
  tnr_pool_free_kind(pool, TNR_POOL_ANY, block, bytes);
}

/* After the threads that have slots have ended: from now on blocks are counted, and when none is
 * out on_empty(user) is called once, perhaps from here. It may finish and free the pool. */
void tnr_pool_close(tnr_pool *pool, void (*on_empty)(void *user), void *user);

uint64_t tnr_pool_live_blocks(tnr_pool *pool);
tnr_memory_stats tnr_pool_stats(tnr_pool *pool);

#endif
