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

/* Free blocks of one thread, or of the threads that share a shard. */
typedef struct tnr_pool_cache {
  struct {
    void *free;     /* linked through the first word */
    uint32_t count; /* blocks in `free` */
  } bins[TNR_POOL_SMALL_BINS];
  /* atomic, relaxed: written by the cache's user alone, summed by whoever asks */
  _Atomic uint64_t allocations, frees, fresh;
  _Atomic int64_t live_bytes; /* may be negative: freed here, allocated elsewhere */
} tnr_pool_cache;

/* The caches that threads of one runtime have for themselves: slot 0 is the dispatcher's, the
 * others the workers'. A thread says once which slot of which group it is. */
typedef struct tnr_thread_slot {
  const void *group; /* NULL: any other thread */
  int index;
} tnr_thread_slot;
extern _Thread_local tnr_thread_slot tnr_this_thread;

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
  void *batches[TNR_POOL_SMALL_BINS]; /* guarded by lock: full batches, linked by the second word */
  void *large[TNR_POOL_LARGE_BINS];   /* guarded by lock: free large blocks */
  uint64_t large_free_bytes;          /* guarded by lock */
  char *chunk, *chunk_end;            /* guarded by lock: not carved yet */
  size_t chunk_size;                  /* guarded by lock: the next chunk's, in bytes */
  struct tnr_pool_chunk *chunks;      /* guarded by lock */
  uint64_t reserved_bytes;            /* guarded by lock */
  int64_t peak_bytes;                 /* guarded by lock */

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

/* A block of at least `bytes`, aligned to 64 bytes, contents unspecified; NULL when out of memory.
 * Any thread. Bytes of 0 give a block all the same. */
void *tnr_pool_alloc(tnr_pool *pool, size_t bytes);

/* `bytes` as in alloc. Any thread; NULL is fine. */
void tnr_pool_free(tnr_pool *pool, void *block, size_t bytes);

/* After the threads that have slots have ended: from now on blocks are counted, and when none is
 * out on_empty(user) is called once, perhaps from here. It may finish and free the pool. */
void tnr_pool_close(tnr_pool *pool, void (*on_empty)(void *user), void *user);

uint64_t tnr_pool_live_blocks(const tnr_pool *pool);
tnr_memory_stats tnr_pool_stats(tnr_pool *pool);

#endif
