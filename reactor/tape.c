#include "tape.h"

#include <sched.h>
#include <string.h>

/* Bits of a chunk's state.
 *
 *   0 ──turn──▶ TAKEN_AGAIN ──turn──▶ WRITTEN_TO ──turn, away from it──▶ 0
 *   0, WRITTEN_TO ──hold──▶ the same with HELD ──let go──▶ the same without
 *
 * The writer takes a chunk that is 0 only: not while it is held. Who holds it while it is taken
 * again lets go at once and does not look into it. */
enum { WRITTEN_TO = 1, HELD = 2, TAKEN_AGAIN = 4 };

static uint32_t bytes_of(uint64_t written) {
  return (uint32_t)written;
}

static uint32_t records_of(uint64_t written) {
  return (uint32_t)(written >> 32);
}

void tnr_tape_init(tnr_tape *tape, void *memory, size_t chunk_bytes) {
  memset(tape, 0, sizeof *tape);
  tape->chunk_bytes = (uint32_t)chunk_bytes;
  for (int i = 0; i < TNR_TAPE_CHUNKS; i++)
    tape->chunks[i].words = (uint64_t *)((char *)memory + (size_t)i * chunk_bytes);
}

/* ---- the writer ---- */

/* Chunk `index`, if nobody holds it: empty, and not to be held until it is begun. */
static bool take_again(tnr_tape *tape, uint32_t index) {
  tnr_tape_chunk *chunk = &tape->chunks[index];
  uint32_t free = 0;
  /* acquire: pairs with the release in tnr_tape_let_go; `taken` is then visible, and who held it
   * has read all */
  if (!atomic_compare_exchange_strong_explicit(&chunk->state, &free, TAKEN_AGAIN,
                                               memory_order_acquire, memory_order_relaxed))
    return false;
  uint64_t written = atomic_load_explicit(&chunk->written, memory_order_relaxed);
  uint64_t lost = atomic_load_explicit(&tape->lost, memory_order_relaxed);
  lost += records_of(written) - records_of(chunk->taken);
  atomic_store_explicit(&tape->lost, lost, memory_order_relaxed);
  chunk->taken = 0;
  return true;
}

/* Away from the chunk that was written to. */
static void close_chunk(tnr_tape *tape) {
  if (!tape->chunk)
    return;
  uint64_t recorded = atomic_load_explicit(&tape->recorded, memory_order_relaxed);
  atomic_store_explicit(&tape->recorded, recorded + records_of(tape->written),
                        memory_order_relaxed);
  /* release: pairs with the acquire in tnr_tape_hold */
  atomic_fetch_and_explicit(&tape->chunk->state, ~(uint32_t)WRITTEN_TO, memory_order_release);
}

static void begin_chunk(tnr_tape *tape, uint32_t index) {
  tnr_tape_chunk *chunk = &tape->chunks[index];
  tape->chunk = chunk;
  tape->at_chunk = index;
  tape->sequence++;
  tape->base = tape->last = tape->now;
  tape->at = (char *)chunk->words;
  tape->end = tape->at + tape->chunk_bytes;
  tape->written = 0;
  tape->next_site = tape->next_plan = tape->next_group = 0;
  chunk->base = tape->base;
  chunk->lost = atomic_load_explicit(&tape->lost, memory_order_relaxed);
  chunk->writer = tape->writer;
  atomic_store_explicit(&chunk->written, 0, memory_order_relaxed);
  atomic_store_explicit(&chunk->sequence, tape->sequence, memory_order_relaxed);
  /* release: pairs with the acquire in tnr_tape_hold; all the above is then visible. Not a store:
   * somebody may just find out that he cannot hold it. */
  atomic_fetch_xor_explicit(&chunk->state, TAKEN_AGAIN | WRITTEN_TO, memory_order_release);
}

void tnr_tape_turn(tnr_tape *tape) {
  uint32_t index = tape->at_chunk;
  close_chunk(tape);
  if (tape->on_full)
    tape->on_full(tape);
  do /* ends: few hold chunks at one time, and not for ever */
    index = (index + 1) % TNR_TAPE_CHUNKS;
  while (!take_again(tape, index));
  begin_chunk(tape, index);
}

static void put_thread(tnr_tape *tape, uint32_t tid) {
  enum { WORDS = sizeof(tnr_trace_thread) / 8 };
  tnr_tape_make_room(tape, sizeof(tnr_trace_thread));
  tnr_trace_thread *record = tnr_tape_begin(tape, TNR_TRACE_THREAD, 0, WORDS);
  record->tid = tid;
  record->kind = (uint16_t)tape->writer.kind;
  record->device = (uint16_t)tape->writer.device;
  memcpy(record->name, tape->writer.name, sizeof record->name);
  tnr_tape_end(tape, WORDS);
}

void tnr_tape_adopt(tnr_tape *tape, const tnr_tape_writer *writer, int64_t recording,
                    const tnr_ticker *ticker) {
  bool same = memcmp(&tape->writer, writer, sizeof *writer) == 0;
  if (tape->chunk) /* acquire: pairs with the release in tnr_tape_end of the one before */
    (void)atomic_load_explicit(&tape->chunk->written, memory_order_acquire);
  tape->writer = *writer;
  tape->seen = 0;
  if (tape->recording != recording) {
    tape->progress = TNR_TAPE_IDLE;
    tape->next_sample = 0;
  }
  tnr_tape_look(tape, ticker);
  if (tape->recording != recording || !tape->chunk)
    tape->end = tape->at; /* no room */
  else if (!same)
    put_thread(tape, ticker->made ? 0 : writer->tid);
  tape->recording = recording;
}

/* ---- readers ---- */

static void unhold(tnr_tape_chunk *chunk) {
  /* release: pairs with the acquire in take_again; the writer comes after all that was read */
  atomic_fetch_and_explicit(&chunk->state, ~(uint32_t)HELD, memory_order_release);
}

bool tnr_tape_hold(tnr_tape *tape, int index, tnr_tape_held *out) {
  tnr_tape_chunk *chunk = &tape->chunks[index];
  /* acquire: pairs with the releases in begin_chunk and close_chunk */
  uint32_t was = atomic_fetch_or_explicit(&chunk->state, HELD, memory_order_acquire);
  if (was & HELD)
    return false;
  uint64_t sequence = atomic_load_explicit(&chunk->sequence, memory_order_relaxed);
  if (was & TAKEN_AGAIN || sequence == 0) {
    unhold(chunk);
    return false;
  }
  /* acquire: pairs with the release in tnr_tape_end; the records are then visible */
  uint64_t written = atomic_load_explicit(&chunk->written, memory_order_acquire);
  *out = (tnr_tape_held){chunk, sequence, bytes_of(written), records_of(written),
                         (was & WRITTEN_TO) != 0};
  return true;
}

void tnr_tape_let_go(const tnr_tape_held *held) {
  unhold(held->chunk);
}

/* The index of the chunk with the lowest sequence above `after`, or -1. */
static int find_next(tnr_tape *tape, uint64_t after) {
  int found = -1;
  uint64_t lowest = UINT64_MAX;
  for (int i = 0; i < TNR_TAPE_CHUNKS; i++) {
    /* relaxed: who holds it looks again */
    uint64_t sequence = atomic_load_explicit(&tape->chunks[i].sequence, memory_order_relaxed);
    if (sequence > after && sequence < lowest) {
      lowest = sequence;
      found = i;
    }
  }
  return found;
}

/* The writer may go on to other chunks during a look at all of them. Those that it began before the
 * one that is held are seen for certain once it is held. */
bool tnr_tape_hold_next(tnr_tape *tape, uint64_t after, tnr_tape_held *out) {
  enum { TRIES = 1000 };
  for (int i = 0; i < TRIES; i++) {
    int index = find_next(tape, after);
    if (index < 0)
      return false;
    if (!tnr_tape_hold(tape, index, out)) {
      sched_yield(); /* it is being taken again, or read by somebody else */
      continue;
    }
    if (out->sequence > after && find_next(tape, after) == index)
      return true;
    tnr_tape_let_go(out);
  }
  return false;
}

void tnr_tape_forget(tnr_tape *tape) {
  tnr_tape_held held;
  tape->lost_before = atomic_load_explicit(&tape->lost, memory_order_relaxed);
  tape->recorded_before = tnr_tape_recorded(tape);
  for (int i = 0; i < TNR_TAPE_CHUNKS; i++)
    if (tnr_tape_hold(tape, i, &held)) {
      held.chunk->taken = (uint64_t)held.records << 32 | held.bytes;
      if (held.sequence > tape->drained)
        tape->drained = held.sequence;
      tnr_tape_let_go(&held);
    }
}

uint64_t tnr_tape_recorded(tnr_tape *tape) {
  uint64_t sum = atomic_load_explicit(&tape->recorded, memory_order_relaxed);
  for (int i = 0; i < TNR_TAPE_CHUNKS; i++)
    if (atomic_load_explicit(&tape->chunks[i].state, memory_order_relaxed) & WRITTEN_TO)
      sum += records_of(atomic_load_explicit(&tape->chunks[i].written, memory_order_relaxed));
  return sum;
}
