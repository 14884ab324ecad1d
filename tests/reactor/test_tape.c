/* Tapes by themselves: what is written comes back, the oldest goes, what is held stays. */
#include "reactor/tape.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { CHUNK = TNR_TAPE_CHUNK_MIN, RECORD = sizeof(tnr_trace_short) };
enum { IN_CHUNK = CHUNK / RECORD, IN_TAPE = IN_CHUNK * TNR_TAPE_CHUNKS };

typedef struct fixture {
  tnr_tape *tape;
  void *memory;
  uint64_t time; /* what the clock says */
  tnr_ticker ticker;
} fixture;

static uint64_t tell(void *user) {
  return ((fixture *)user)->time;
}

static const tnr_tape_writer nobody = {.device = TNR_TRACE_NO_DEVICE, .name = "nobody"};

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  f->tape = aligned_alloc(64, sizeof *f->tape);
  f->memory = malloc((size_t)CHUNK * TNR_TAPE_CHUNKS);
  assert_non_null(f->tape);
  assert_non_null(f->memory);
  f->ticker = tnr_ticker_made(tell, f);
  f->time = 1000;
  tnr_tape_init(f->tape, f->memory, CHUNK);
  tnr_tape_adopt(f->tape, &nobody, 1, &f->ticker);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  free(f->tape);
  free(f->memory);
  free(f);
  return 0;
}

static void write_one(tnr_tape *tape, uint32_t number) {
  enum { WORDS = RECORD / 8 };
  tnr_tape_make_room(tape, RECORD);
  tnr_trace_short *record = tnr_tape_begin(tape, TNR_TRACE_COMPLETE, 0, WORDS);
  record->op = number;
  record->what = record->part = 0;
  tnr_tape_end(tape, WORDS);
}

static void write_many(tnr_tape *tape, uint32_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    write_one(tape, first + i);
}

static uint32_t number_at(const tnr_tape_held *held, uint32_t index) {
  const tnr_trace_short *records = (const tnr_trace_short *)held->chunk->words;
  return records[index].op;
}

static uint64_t lost(tnr_tape *tape) {
  return atomic_load(&tape->lost);
}

/* ---- one thread ---- */

static void what_is_written_comes_back_in_order(void **state) {
  fixture *f = *state;
  uint64_t after = 0;
  uint32_t next = 1;
  tnr_tape_held held;
  write_many(f->tape, 1, 3 * IN_CHUNK + 7);
  while (tnr_tape_hold_next(f->tape, after, &held)) {
    assert_int_equal(held.bytes, held.records * RECORD);
    assert_int_equal(held.open, held.records == 7);
    assert_string_equal(held.chunk->writer.name, "nobody");
    for (uint32_t i = 0; i < held.records; i++)
      assert_int_equal(number_at(&held, i), next++);
    assert_int_equal(held.sequence, after + 1);
    after = held.sequence;
    tnr_tape_let_go(&held);
  }
  assert_int_equal(next, 3 * IN_CHUNK + 8);
  assert_int_equal(lost(f->tape), 0);
  assert_int_equal(tnr_tape_recorded(f->tape), 3 * IN_CHUNK + 7);
}

static void a_full_tape_drops_the_oldest_and_counts(void **state) {
  fixture *f = *state;
  tnr_tape_held held;
  write_many(f->tape, 1, IN_TAPE);
  assert_int_equal(lost(f->tape), 0);
  write_one(f->tape, IN_TAPE + 1);
  assert_int_equal(lost(f->tape), IN_CHUNK);
  write_many(f->tape, IN_TAPE + 2, IN_CHUNK);
  assert_int_equal(lost(f->tape), 2 * IN_CHUNK);
  assert_true(tnr_tape_hold_next(f->tape, 0, &held));
  assert_int_equal(number_at(&held, 0), 2 * IN_CHUNK + 1);
  tnr_tape_let_go(&held);
  assert_true(tnr_tape_hold_next(f->tape, TNR_TAPE_CHUNKS + 1, &held));
  assert_int_equal(held.chunk->lost, 2 * IN_CHUNK);
  tnr_tape_let_go(&held);
}

static void what_was_taken_is_not_lost(void **state) {
  fixture *f = *state;
  tnr_tape_held held;
  write_many(f->tape, 1, IN_CHUNK);
  assert_true(tnr_tape_hold_next(f->tape, 0, &held));
  held.chunk->taken = (uint64_t)10 << 32 | 10 * RECORD;
  tnr_tape_let_go(&held);
  write_many(f->tape, IN_CHUNK + 1, IN_TAPE);
  assert_int_equal(lost(f->tape), IN_CHUNK - 10);
}

static void what_is_held_stays_as_it_is(void **state) {
  fixture *f = *state;
  tnr_tape_held held, again;
  write_many(f->tape, 1, IN_CHUNK);
  assert_true(tnr_tape_hold_next(f->tape, 0, &held));
  int index = (int)(held.chunk - f->tape->chunks);
  assert_false(tnr_tape_hold(f->tape, index, &again)); /* one at a time */
  write_many(f->tape, IN_CHUNK + 1, 3 * IN_TAPE);
  for (uint32_t i = 0; i < held.records; i++)
    assert_int_equal(number_at(&held, i), i + 1);
  tnr_tape_let_go(&held);
  write_many(f->tape, 0, IN_TAPE);
  assert_true(tnr_tape_hold(f->tape, index, &again));
  assert_true(again.sequence > held.sequence);
  tnr_tape_let_go(&again);
}

static void the_chunk_that_is_written_to_can_be_held(void **state) {
  fixture *f = *state;
  tnr_tape_held held;
  write_many(f->tape, 1, 5);
  assert_true(tnr_tape_hold_next(f->tape, 0, &held));
  assert_true(held.open);
  assert_int_equal(held.records, 5);
  write_many(f->tape, 6, IN_TAPE); /* goes on, and then around it */
  for (uint32_t i = 0; i < IN_CHUNK; i++)
    assert_int_equal(number_at(&held, i), i + 1);
  tnr_tape_let_go(&held);
}

static void times_too_far_apart_are_in_different_chunks(void **state) {
  fixture *f = *state;
  tnr_tape_held held;
  write_one(f->tape, 1);
  f->time += TNR_TRACE_TIME_MAX;
  tnr_tape_look(f->tape, &f->ticker);
  write_one(f->tape, 2);
  f->time++;
  tnr_tape_look(f->tape, &f->ticker);
  write_one(f->tape, 3);
  assert_true(tnr_tape_hold_next(f->tape, 0, &held));
  assert_int_equal(held.records, 2);
  const tnr_trace_short *records = (const tnr_trace_short *)held.chunk->words;
  assert_int_equal(records[1].head >> 24, TNR_TRACE_TIME_MAX);
  assert_int_equal(held.chunk->base, 1000);
  tnr_tape_let_go(&held);
  assert_true(tnr_tape_hold_next(f->tape, 1, &held));
  assert_int_equal(held.chunk->base, 1000 + TNR_TRACE_TIME_MAX + 1);
  tnr_tape_let_go(&held);
}

static void time_never_goes_back(void **state) {
  fixture *f = *state;
  f->time = 500;
  tnr_tape_look(f->tape, &f->ticker);
  assert_int_equal(f->tape->now, 1000);
  tnr_tape_look_after(f->tape, &f->ticker);
  assert_int_equal(f->tape->now, 1000);
}

static void brief_records_are_for_what_comes_soon(void **state) {
  fixture *f = *state;
  tnr_tape *tape = f->tape;
  assert_null(tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_LAUNCH, 0, 1, 1)); /* no chunk yet */
  write_one(tape, 1);
  f->time += UINT16_MAX;
  tnr_tape_look(tape, &f->ticker);
  uint64_t *record = tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_LAUNCH, 3, 77, 1);
  assert_non_null(record);
  assert_true(*record == tnr_trace_brief_head(TNR_TRACE_BRIEF_LAUNCH, 3, UINT16_MAX, 77));
  assert_int_equal(tnr_trace_words(*record), 1);
  tnr_tape_end(tape, 1);
  f->time += UINT16_MAX + 1;
  tnr_tape_look(tape, &f->ticker);
  assert_null(tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_LAUNCH, 0, 1, 1));
  write_one(tape, 2); /* a long record brings the time up */
  assert_non_null(tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_RUN, 0, 1, 2));
  tnr_tape_end(tape, 2);
  while (tape->end - tape->at >= 24)
    write_one(tape, 3);
  assert_null(tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_SUBMIT, 0, 1, 3)); /* no room */
}

static void another_thread_says_so_in_the_chunk(void **state) {
  fixture *f = *state;
  const tnr_tape_writer other = {.tid = 7, .device = 2, .kind = TNR_TRACE_WORKER, .name = "other"};
  tnr_tape_held held;
  write_many(f->tape, 1, 3);
  tnr_tape_adopt(f->tape, &nobody, 1, &f->ticker); /* the same again says nothing */
  tnr_tape_adopt(f->tape, &other, 1, &f->ticker);
  assert_true(tnr_tape_hold_next(f->tape, 0, &held));
  assert_int_equal(held.records, 4);
  const tnr_trace_thread *thread =
      (const tnr_trace_thread *)((const char *)held.chunk->words + 3 * RECORD);
  assert_int_equal(thread->head & 0xff, TNR_TRACE_THREAD);
  assert_int_equal(thread->tid, 0); /* the time is made here: nothing is said of the machine */
  assert_int_equal(thread->device, 2);
  assert_string_equal(thread->name, "other");
  tnr_tape_let_go(&held);
}

static void another_recording_begins_a_chunk(void **state) {
  fixture *f = *state;
  tnr_tape_held held;
  write_many(f->tape, 1, 3);
  tnr_tape_adopt(f->tape, &nobody, 2, &f->ticker);
  write_one(f->tape, 4);
  assert_true(tnr_tape_hold_next(f->tape, 1, &held));
  assert_int_equal(held.records, 1);
  tnr_tape_let_go(&held);
}

static void what_was_forgotten_is_neither_there_nor_lost(void **state) {
  fixture *f = *state;
  write_many(f->tape, 1, IN_CHUNK + 5);
  tnr_tape_forget(f->tape);
  tnr_tape_held held;
  assert_false(tnr_tape_hold_next(f->tape, f->tape->drained, &held));
  assert_int_equal(f->tape->recorded_before, IN_CHUNK + 5);
  tnr_tape_adopt(f->tape, &nobody, 2, &f->ticker);
  write_many(f->tape, 1, IN_TAPE);
  assert_int_equal(lost(f->tape), 0);
}

/* ---- a writer and readers ---- */

typedef struct race {
  tnr_tape *tape;
  uint32_t count;
  atomic_bool written; /* atomic: all */
} race;

static void *write_all(void *argument) {
  race *r = argument;
  write_many(r->tape, 1, r->count);
  atomic_store(&r->written, true);
  return NULL;
}

/* What was seen of the numbers, which must come in order. */
typedef struct seen {
  uint64_t drained, records;
  uint32_t last;
  bool in_order;
} seen;

static void see(tnr_tape *tape, seen *s) {
  tnr_tape_held held;
  while (tnr_tape_hold_next(tape, s->drained, &held)) {
    uint32_t from = (uint32_t)(held.chunk->taken >> 32);
    for (uint32_t i = from; i < held.records; i++) {
      s->in_order &= number_at(&held, i) > s->last;
      s->last = number_at(&held, i);
      s->records++;
    }
    held.chunk->taken = (uint64_t)held.records << 32 | held.bytes;
    bool open = held.open;
    if (!open)
      s->drained = held.sequence;
    tnr_tape_let_go(&held);
    if (open)
      return;
  }
}

static void all_that_is_not_seen_is_counted(void **state) {
  fixture *f = *state;
  enum { ROUNDS = 4 };
  for (int round = 0; round < ROUNDS; round++) {
    tnr_tape_init(f->tape, f->memory, CHUNK);
    tnr_tape_adopt(f->tape, &nobody, 1, &f->ticker);
    race r = {.tape = f->tape, .count = (uint32_t)CHECK_MANY(2000000)};
    seen s = {.in_order = true};
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, &r), 0);
    while (!atomic_load(&r.written)) {
      see(f->tape, &s);
      if (round % 2)
        sched_yield();
    }
    pthread_join(writer, NULL);
    see(f->tape, &s);
    assert_true(s.in_order);
    assert_int_equal(s.last, r.count);
    assert_int_equal(s.records + lost(f->tape), r.count);
    assert_int_equal(tnr_tape_recorded(f->tape), r.count);
  }
}

typedef struct looker {
  race *r;
  bool in_order; /* the thread's, until it is joined */
} looker;

/* Reads what there is again and again, and leaves it there. */
static void *look_on(void *argument) {
  looker *l = argument;
  tnr_tape_held held;
  l->in_order = true;
  while (!atomic_load(&l->r->written))
    for (int i = 0; i < TNR_TAPE_CHUNKS; i++)
      if (tnr_tape_hold(l->r->tape, i, &held)) {
        for (uint32_t k = 1; k < held.records; k++)
          l->in_order &= number_at(&held, k) == number_at(&held, k - 1) + 1;
        tnr_tape_let_go(&held);
      }
  return NULL;
}

static void several_readers_see_whole_records(void **state) {
  fixture *f = *state;
  race r = {.tape = f->tape, .count = (uint32_t)CHECK_MANY(2000000)};
  looker lookers[2] = {{.r = &r}, {.r = &r}};
  pthread_t writer, threads[2];
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, look_on, &lookers[i]), 0);
  assert_int_equal(pthread_create(&writer, NULL, write_all, &r), 0);
  pthread_join(writer, NULL);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    assert_true(lookers[i].in_order);
  }
}

#define tape_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      tape_test(what_is_written_comes_back_in_order),
      tape_test(a_full_tape_drops_the_oldest_and_counts),
      tape_test(what_was_taken_is_not_lost),
      tape_test(what_is_held_stays_as_it_is),
      tape_test(the_chunk_that_is_written_to_can_be_held),
      tape_test(times_too_far_apart_are_in_different_chunks),
      tape_test(time_never_goes_back),
      tape_test(brief_records_are_for_what_comes_soon),
      tape_test(another_thread_says_so_in_the_chunk),
      tape_test(another_recording_begins_a_chunk),
      tape_test(what_was_forgotten_is_neither_there_nor_lost),
      tape_test(all_that_is_not_seen_is_counted),
      tape_test(several_readers_see_whole_records),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
