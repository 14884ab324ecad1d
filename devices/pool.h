/* Memory in size classes, recycled: for handles (one pool a runtime) and for the data of tensors
 * (one pool a device). Nothing is taken from the system in a steady state. */
#ifndef TENOR_POOL_H
#define TENOR_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenor/device.h>

#include "spin.h"

enum {
  TNR_POOL_ALIGNMENT = 64,
  TNR_POOL_SMALL_MAX = 64 << 10, /* bytes; larger blocks come from the system one by one */
  TNR_POOL_SMALL_BINS = 16 + 24, /* steps of 64 to 1 KiB, then four a doubling */
  TNR_POOL_LARGE_BINS = 4 * 47,  /* four a doubling */
  TNR_POOL_SHARDS = 8
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

/* A free block. */
typedef struct tnr_block {
  struct tnr_block *next;
  struct tnr_block *next_batch; /* of the first of a batch; else TNR_BLOCK_NEVER_USED or NULL */
} tnr_block;
#define TNR_BLOCK_NEVER_USED ((tnr_block *)1)

/* Free blocks of one size. Counters are atomic, relaxed: written by the cache's user alone, summed
 * by whoever asks. */
typedef struct tnr_pool_bin {
  tnr_block *free;
  uint32_t count;                    /* blocks in `free` */
  _Atomic uint32_t fresh;            /* handed out for the first time */
  _Atomic uint64_t allocated, freed; /* blocks; freed here perhaps what was allocated elsewhere */
} tnr_pool_bin;

/* Free blocks of one thread, or of the threads that share a shard. */
typedef struct tnr_pool_cache {
  tnr_pool_bin bins[TNR_POOL_SMALL_BINS];
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
  tnr_spin lock;
  tnr_pool_cache cache; /* guarded by lock */
} tnr_pool_shard;

typedef struct tnr_pool {
  const void *group;                      /* immutable after create */
  int slots;                              /* immutable after create */
  tnr_pool_cache *caches;                 /* [slots]; each belongs to its thread */
  tnr_pool_shard shards[TNR_POOL_SHARDS]; /* all other threads */

  pthread_mutex_t lock;
  tnr_block *batches[TNR_POOL_SMALL_BINS]; /* guarded by lock: full batches */
  tnr_block *large[TNR_POOL_LARGE_BINS];   /* guarded by lock: free large blocks */
  uint64_t large_free_bytes;               /* guarded by lock */
  uint64_t large_live, large_live_bytes;   /* guarded by lock */
  uint64_t large_allocations, large_fresh; /* guarded by lock */
  char *chunk, *chunk_end;                 /* guarded by lock: not carved yet */
  size_t chunk_size;                       /* guarded by lock: the next chunk's, in bytes */
  struct tnr_pool_chunk *chunks;           /* guarded by lock */
  uint64_t reserved_bytes;                 /* guarded by lock */
  int64_t peak_bytes;                      /* guarded by lock */

  /* Once closed: how many blocks are still out, and whom to tell when the last one returns. */
  atomic_bool closed;           /* atomic; set under every shard's lock */
  _Atomic int64_t outstanding;  /* atomic */
  void (*on_empty)(void *user); /* written before closed */
  void *on_empty_user;          /* written before closed */
} tnr_pool;

/* In the caller's memory. TNR_ENOMEM leaves nothing to finish. */
tnr_status tnr_pool_init(tnr_pool *pool, const void *group, int slots);

/* Gives everything back to the system; no block may be in use. */
void tnr_pool_finish(tnr_pool *pool);

/* The slow halves of alloc and free. */
void *tnr_pool_alloc_slow(tnr_pool *pool, size_t bytes);
void tnr_pool_free_slow(tnr_pool *pool, void *block, size_t bytes);

/* The bin of blocks up to 1 KiB. */
static inline unsigned tnr_pool_tiny_bin(size_t bytes) {
  return bytes == 0 ? 0 : (unsigned)((bytes - 1) / 64);
}

/* The calling thread's own bin for such blocks; NULL for threads without a slot, and other sizes.
 */
static inline tnr_pool_bin *tnr_pool_own_bin(tnr_pool *pool, size_t bytes) {
  if (TNR_POOL_PASS_THROUGH || bytes > 1024 || tnr_this_thread.group != pool->group || !pool->group)
    return NULL;
  return &pool->caches[tnr_this_thread.index].bins[tnr_pool_tiny_bin(bytes)];
}

/* relaxed: one writer at a time, and readers want no ordering */
static inline void tnr_count(_Atomic uint64_t *counter) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                        memory_order_relaxed);
}

/* The next free block was last written on another CPU: it should be here when it is asked for. */
static inline void tnr_block_prefetch(const tnr_block *next, size_t bytes) {
  if (next)
    for (size_t line = 0; line < bytes; line += 64)
      __builtin_prefetch((const char *)next + line, 1);
}

/* NULL when the bin is empty. */
static inline void *tnr_pool_bin_take(tnr_pool_bin *bin, size_t bytes) {
  enum { HANDLES_MAX = 512 };
  tnr_block *taken = bin->free;
  if (!taken)
    return NULL;
  bin->free = taken->next;
  bin->count--;
  tnr_count(&bin->allocated);
  if (taken->next_batch == TNR_BLOCK_NEVER_USED)
    atomic_store_explicit(&bin->fresh, bin->fresh + 1, memory_order_relaxed);
  if (bytes <= HANDLES_MAX)
    tnr_block_prefetch(bin->free, bytes);
  return taken;
}

static inline void tnr_pool_bin_put(tnr_pool_bin *bin, void *block) {
  tnr_block *freed = (tnr_block *)block;
  freed->next = bin->free;
  freed->next_batch = NULL;
  bin->free = freed;
  bin->count++;
  tnr_count(&bin->freed);
}

/* A block of at least `bytes`, aligned to 64 bytes, contents unspecified; NULL when out of memory.
 * Any thread. Bytes of 0 give a block all the same. */
static inline void *tnr_pool_alloc(tnr_pool *pool, size_t bytes) {
  tnr_pool_bin *own = tnr_pool_own_bin(pool, bytes);
  void *taken = own ? tnr_pool_bin_take(own, bytes) : NULL;
  return taken ? taken : tnr_pool_alloc_slow(pool, bytes);
}

enum { TNR_POOL_TINY_BATCH = 32 };

/* `bytes` as in alloc. Any thread; NULL is fine. */
static inline void tnr_pool_free(tnr_pool *pool, void *block, size_t bytes) {
  if (!block)
    return;
  tnr_pool_bin *own = tnr_pool_own_bin(pool, bytes);
  if (own && own->count + 1 < 2 * TNR_POOL_TINY_BATCH)
    tnr_pool_bin_put(own, block);
  else
    tnr_pool_free_slow(pool, block, bytes);
}

/* After the threads that have slots have ended: from now on blocks are counted, and when none is
 * out on_empty(user) is called once, perhaps from here. It may finish and free the pool. */
void tnr_pool_close(tnr_pool *pool, void (*on_empty)(void *user), void *user);

uint64_t tnr_pool_live_blocks(tnr_pool *pool);
tnr_memory_stats tnr_pool_stats(tnr_pool *pool);

#endif
