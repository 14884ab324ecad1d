/* Recycled memory: blocks that are large enough, aligned and apart; counters; many threads; and the
 * pool that outlives its owner until the last block comes back. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pool.h"

static int setup(void **state) {
  static tnr_pool pool;
  assert_int_equal(tnr_pool_init(&pool, &pool, 3), TNR_OK);
  *state = &pool;
  return 0;
}

static int teardown(void **state) {
  tnr_pool *pool = *state;
  assert_int_equal(tnr_pool_live_blocks(pool), 0);
  assert_int_equal(tnr_pool_stats(pool).live_bytes, 0);
  tnr_pool_finish(pool);
  return 0;
}

/* ---- blocks ---- */

enum { SIZES = 26 };
static const size_t sizes[SIZES] = {
    0,    1,    63,   64,    65,    127,   128,   1000,  1023,   1024,   1025,    1280,    1281,
    2048, 2049, 4096, 10000, 65535, 65536, 65537, 65600, 100000, 262144, 1 << 20, 3 << 20, 5000001};

static void blocks_of_every_size_are_aligned_and_apart(void **state) {
  tnr_pool *pool = *state;
  unsigned char *blocks[SIZES][3];
  for (int i = 0; i < SIZES; i++)
    for (int k = 0; k < 3; k++) {
      unsigned char *block = blocks[i][k] = tnr_pool_alloc(pool, sizes[i]);
      assert_non_null(block);
      assert_int_equal((uintptr_t)block % TNR_POOL_ALIGNMENT, 0);
      memset(block, i * 3 + k, sizes[i]);
    }
  for (int i = 0; i < SIZES; i++)
    for (int k = 0; k < 3; k++) {
      for (size_t at = 0; at < sizes[i]; at++)
        if (blocks[i][k][at] != i * 3 + k)
          fail_msg("block %d of %zu bytes was written over at %zu", k, sizes[i], at);
      tnr_pool_free(pool, blocks[i][k], sizes[i]);
    }
}

static void the_first_block_may_be_of_any_size(void **state) {
  (void)state;
  for (int i = 0; i < SIZES; i++) {
    tnr_pool pool;
    assert_int_equal(tnr_pool_init(&pool, &pool, 1), TNR_OK);
    void *block = tnr_pool_alloc(&pool, sizes[i]);
    assert_non_null(block);
    tnr_pool_free(&pool, block, sizes[i]);
    tnr_pool_finish(&pool);
  }
}

static void blocks_of_one_kind_do_not_become_the_other(void **state) {
  enum { MANY = 300, BYTES = 150 };
  static const tnr_pool_kind kinds[] = {TNR_POOL_ANY, TNR_POOL_SUBMITTED};
  void *blocks[2][MANY], *again[2][MANY];
  if (TNR_POOL_PASS_THROUGH)
    skip();
  for (int i = 0; i < 2 * MANY; i++)
    assert_non_null(blocks[i % 2][i / 2] = tnr_pool_alloc_kind(*state, kinds[i % 2], BYTES));
  for (int i = 0; i < 2 * MANY; i++)
    tnr_pool_free_kind(*state, kinds[i % 2], blocks[i % 2][i / 2], BYTES);
  for (int i = 0; i < 2 * MANY; i++)
    again[i % 2][i / 2] = tnr_pool_alloc_kind(*state, kinds[i % 2], BYTES);
  for (int i = 0; i < 2 * MANY; i++) {
    for (int other = 0; other < MANY; other++)
      assert_ptr_not_equal(again[i % 2][i / 2], blocks[1 - i % 2][other]);
    tnr_pool_free_kind(*state, kinds[i % 2], again[i % 2][i / 2], BYTES);
  }
}

static void nothing_is_given_back_for_null(void **state) {
  tnr_pool_free(*state, NULL, 100);
}

static void what_no_machine_has_is_refused(void **state) {
  assert_null(tnr_pool_alloc(*state, SIZE_MAX));
  assert_null(tnr_pool_alloc(*state, SIZE_MAX / 2));
  assert_null(tnr_pool_alloc(*state, ((size_t)1 << 46) + 1));
}

/* ---- counters ---- */

static void live_and_peak_bytes_are_counted(void **state) {
  tnr_pool *pool = *state;
  void *small = tnr_pool_alloc(pool, 100), *large = tnr_pool_alloc(pool, 300000);
  tnr_memory_stats with = tnr_pool_stats(pool);
  assert_in_range(with.live_bytes, 300100, 400000);
  assert_int_equal(tnr_pool_live_blocks(pool), 2);
  assert_int_equal(with.allocations, 2);
  tnr_pool_free(pool, large, 300000);
  tnr_memory_stats after = tnr_pool_stats(pool);
  assert_in_range(after.live_bytes, 100, 200);
  assert_int_equal(after.peak_bytes, with.live_bytes);
  tnr_pool_free(pool, small, 100);
}

static void a_steady_state_takes_nothing_from_the_system(void **state) {
  tnr_pool *pool = *state;
  if (TNR_POOL_PASS_THROUGH)
    skip();
  uint64_t reserved = 0, reused = 0;
  for (int round = 0; round < 20; round++) {
    void *blocks[SIZES];
    for (int i = 0; i < SIZES; i++)
      blocks[i] = tnr_pool_alloc(pool, sizes[i]);
    for (int i = 0; i < SIZES; i++)
      tnr_pool_free(pool, blocks[i], sizes[i]);
    tnr_memory_stats stats = tnr_pool_stats(pool);
    if (round > 0) {
      assert_int_equal(stats.reserved_bytes, reserved);
      assert_int_equal(stats.reused - reused, SIZES);
    }
    reserved = stats.reserved_bytes;
    reused = stats.reused;
  }
}

static void large_blocks_that_are_free_are_not_kept_without_end(void **state) {
  tnr_pool *pool = *state;
  enum { BLOCKS = 40, BYTES = 4 << 20 };
  void *blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++)
    blocks[i] = tnr_pool_alloc(pool, BYTES);
  for (int i = 0; i < BLOCKS; i++)
    tnr_pool_free(pool, blocks[i], BYTES);
  assert_in_range(tnr_pool_stats(pool).reserved_bytes, 0, (size_t)BLOCKS * BYTES * 3 / 4);
}

/* ---- threads ---- */

enum { THREADS = 6, ROUNDS = 3000, MAILBOXES = 64 };

/* Blocks pass through mailboxes, so that most are freed by another thread than took them. */
typedef struct exchange {
  tnr_pool *pool;
  _Atomic(unsigned char *) boxes[MAILBOXES]; /* atomic; the first byte says which size */
  atomic_int wrong;
} exchange;

typedef struct trader {
  exchange *shared;
  int index; /* below 3: has a slot of its own */
  pthread_t thread;
} trader;

static void take_back(exchange *e, unsigned char *block) {
  if (!block)
    return;
  size_t bytes = sizes[block[0]] + 1;
  for (size_t i = 0; i < bytes; i++)
    if (block[i] != block[0])
      atomic_fetch_add(&e->wrong, 1);
  tnr_pool_free(e->pool, block, bytes);
}

static void *trade(void *argument) {
  trader *t = argument;
  exchange *e = t->shared;
  if (t->index < 3)
    tnr_this_thread = (tnr_thread_slot){e->pool, t->index};
  uint32_t bits = (uint32_t)t->index + 1;
  for (int i = 0; i < ROUNDS; i++) {
    bits = bits * 1664525u + 1013904223u;
    unsigned char kind = (unsigned char)(bits >> 16) % (SIZES - 8);
    unsigned char *block = tnr_pool_alloc(e->pool, sizes[kind] + 1);
    memset(block, kind, sizes[kind] + 1);
    take_back(e, atomic_exchange(&e->boxes[bits >> 24 & (MAILBOXES - 1)], block));
  }
  return NULL;
}

static void blocks_may_be_freed_by_other_threads(void **state) {
  exchange *e = calloc(1, sizeof *e);
  trader traders[THREADS];
  e->pool = *state;
  for (int i = 0; i < THREADS; i++) {
    traders[i] = (trader){.shared = e, .index = i};
    assert_int_equal(pthread_create(&traders[i].thread, NULL, trade, &traders[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(traders[i].thread, NULL);
  for (int i = 0; i < MAILBOXES; i++)
    take_back(e, e->boxes[i]);
  assert_int_equal(e->wrong, 0);
  assert_int_equal(tnr_pool_stats(e->pool).allocations, THREADS * ROUNDS);
  free(e);
}

/* ---- a pool that is closed ---- */

static void count_empty(void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
}

static void a_closed_pool_says_when_the_last_block_is_back(void **state) {
  tnr_pool *pool = *state;
  atomic_int empty = 0;
  void *first = tnr_pool_alloc(pool, 64), *second = tnr_pool_alloc(pool, 200000);
  tnr_pool_close(pool, count_empty, &empty);
  assert_int_equal(empty, 0);
  tnr_pool_free(pool, first, 64);
  void *late = tnr_pool_alloc(pool, 500);
  tnr_pool_free(pool, second, 200000);
  assert_int_equal(empty, 0);
  tnr_pool_free(pool, late, 500);
  assert_int_equal(empty, 1);
}

static void an_empty_pool_says_so_when_it_is_closed(void **state) {
  atomic_int empty = 0;
  tnr_pool_close(*state, count_empty, &empty);
  assert_int_equal(empty, 1);
}

typedef struct returning {
  tnr_pool *pool;
  void *blocks[200];
  pthread_t thread;
} returning;

static void *give_all_back(void *argument) {
  returning *r = argument;
  for (int i = 0; i < 200; i++)
    tnr_pool_free(r->pool, r->blocks[i], 128);
  return NULL;
}

static void blocks_come_back_while_the_pool_closes(void **state) {
  tnr_pool *pool = *state;
  returning threads[4];
  atomic_int empty = 0;
  for (int t = 0; t < 4; t++) {
    threads[t].pool = pool;
    for (int i = 0; i < 200; i++)
      threads[t].blocks[i] = tnr_pool_alloc(pool, 128);
  }
  for (int t = 0; t < 4; t++)
    assert_int_equal(pthread_create(&threads[t].thread, NULL, give_all_back, &threads[t]), 0);
  tnr_pool_close(pool, count_empty, &empty);
  for (int t = 0; t < 4; t++)
    pthread_join(threads[t].thread, NULL);
  assert_int_equal(empty, 1);
}

int main(void) {
#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      fresh(blocks_of_every_size_are_aligned_and_apart),
      fresh(the_first_block_may_be_of_any_size),
      fresh(blocks_of_one_kind_do_not_become_the_other),
      fresh(nothing_is_given_back_for_null),
      fresh(what_no_machine_has_is_refused),
      fresh(live_and_peak_bytes_are_counted),
      fresh(a_steady_state_takes_nothing_from_the_system),
      fresh(large_blocks_that_are_free_are_not_kept_without_end),
      fresh(blocks_may_be_freed_by_other_threads),
      fresh(a_closed_pool_says_when_the_last_block_is_back),
      fresh(an_empty_pool_says_so_when_it_is_closed),
      fresh(blocks_come_back_while_the_pool_closes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
