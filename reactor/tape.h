/* What one thread has recorded lately: a ring of chunks. The thread writes without locks and never
 * waits; when the ring is full it takes the oldest chunk again. Others hold a chunk to read it, and
 * what they hold is passed over. The form of what is in it: tenor/trace_format.h. */
#ifndef TENOR_REACTOR_TAPE_H
#define TENOR_REACTOR_TAPE_H

#include <stdatomic.h>
#include <stddef.h>

#include <tenor/trace_format.h>

#include "ticker.h"

enum {
  TNR_TAPE_CHUNKS = 16,
  TNR_TAPE_SITES = 128, /* call sites remembered; a power of two */
  TNR_TAPE_GROUPS = 8,  /* groups remembered */
  TNR_TAPE_TITLE_MAX = 64,
  TNR_TAPE_CHUNK_MIN = 8 << 10
};

/* Who writes a tape. */
typedef struct tnr_tape_writer {
  uint32_t kind;   /* TNR_TRACE_APPLICATION, … */
  uint32_t tid;    /* the system's */
  uint32_t device; /* a worker's; else TNR_TRACE_NO_DEVICE */
  char name[TNR_TRACE_NAME_MAX];
} tnr_tape_writer;

/* Writer → readers. */
typedef struct tnr_tape_chunk {
  _Atomic uint32_t state;    /* atomic: bits, see tape.c */
  _Atomic uint64_t sequence; /* atomic: 0: never used */
  _Atomic uint64_t written;  /* atomic: bytes, and records << 32 */

  /* Written by the writer while nobody can hold the chunk; immutable for who holds it. */
  uint64_t base, lost;
  tnr_tape_writer writer;
  uint64_t *words; /* immutable after create */

  /* Written by who holds it; read by the writer when nobody does. */
  uint64_t taken; /* as `written`: what has been written to a file */
} tnr_tape_chunk;

/* A group that the current chunk may have a definition of. */
typedef struct tnr_tape_group {
  char title[TNR_TAPE_TITLE_MAX];
  uint16_t index;
  uint64_t sequence; /* the chunk that has it */
} tnr_tape_group;

/* A call site that the current chunk may have a definition of. */
typedef struct tnr_tape_site {
  const char *name, *composite, *file;
  int32_t line;
  uint16_t index;
  uint64_t sequence; /* the chunk that has it */
} tnr_tape_site;

/* What has been recorded of the op that a worker runs. */
typedef enum tnr_tape_progress {
  TNR_TAPE_IDLE = 0, /* there is none, or it began before the recording */
  TNR_TAPE_CREATES,  /* it has been taken up */
  TNR_TAPE_EXECUTES, /* its program runs */
  TNR_TAPE_HAS_BEGUN /* likewise, and that has been recorded */
} tnr_tape_progress;

typedef struct tnr_tape {
  /* The writer's; nobody else looks at them. */
  _Alignas(64) char *at;     /* where the next record goes */
  char *end;                 /* of the chunk */
  uint64_t base;             /* the chunk's */
  uint64_t now;              /* ticks: the last look at the clock, never going back */
  uint64_t written;          /* the chunk's, as there */
  uint64_t last;             /* ticks: of the last record in the chunk, or base */
  tnr_tape_chunk *chunk;     /* NULL before the first record */
  int64_t recording;         /* the serial of the recording that the chunk belongs to */
  uint64_t sequence;         /* the chunk's */
  uint32_t next_id, last_id; /* numbers for ops that this thread may give */
  uint32_t seen; /* a worker's: what it had seen of its queue when it last looked at the clock */
  uint32_t at_chunk;                         /* the index of `chunk` */
  uint16_t next_site, next_plan, next_group; /* indices in the chunk */
  uint8_t unlooked;          /* records since the last look at the clock, modulo a few */
  uint8_t progress;          /* a worker's: a tnr_tape_progress */
  void *plan;                /* a worker's: of the op that it runs now; NULL: none, or not yet */
  uint64_t began, executing; /* a worker's: ticks, of the op that it runs now */
  uint64_t held_since;       /* a worker's, without threads: ticks, when a limit first held it back
                              * from what comes next on its queue; 0: none has */
  int64_t held_in;           /* likewise: the serial of the recording in which that was */
  uint64_t misses;           /* a worker's: of its program cache, when that op began */
  uint64_t next_sample;      /* the dispatcher's: ticks, when it looks at the counters again */
  const struct tnr_tape_site *last_site; /* the last one looked for; NULL: none */
  tnr_tape_writer writer;
  tnr_tape_site sites[TNR_TAPE_SITES];
  tnr_tape_group groups[TNR_TAPE_GROUPS];

  /* Any thread. */
  _Alignas(64) _Atomic uint32_t owner;    /* atomic: tid of the thread that writes, 0: none yet */
  uint32_t chunk_bytes;                   /* immutable after create */
  void (*on_full)(struct tnr_tape *tape); /* immutable after create; the writer's thread, when a
                                           * chunk is full; NULL: nothing */
  void *user;                             /* immutable after create */
  _Atomic uint64_t lost; /* atomic, relaxed: written by the writer; records overwritten before they
                          * were taken */
  _Atomic uint64_t recorded; /* atomic, relaxed: written by the writer; in closed chunks */

  /* Of who writes the file: one thread at a time. */
  uint64_t drained; /* the last sequence that is in the file as a whole, or not of it */
  uint64_t lost_before, recorded_before; /* when the recording began */

  tnr_tape_chunk chunks[TNR_TAPE_CHUNKS];
} tnr_tape;

/* `memory`: [TNR_TAPE_CHUNKS * chunk_bytes], aligned to 8, the caller's. on_full and user are set
 * by the caller afterwards, if at all. */
void tnr_tape_init(tnr_tape *tape, void *memory, size_t chunk_bytes);

/* The thread that will write from now on, after whoever did before; it looks at the clock. In
 * another recording than before, its first record begins a chunk. */
void tnr_tape_adopt(tnr_tape *tape, const tnr_tape_writer *writer, int64_t recording,
                    const tnr_ticker *ticker);

/* ---- the writer ---- */

/* Goes on to another chunk: the oldest that nobody holds. */
void tnr_tape_turn(tnr_tape *tape);

/* Looks at the clock. `after`: see tnr_ticker_ticks_after. */
static inline void tnr_tape_look(tnr_tape *tape, const tnr_ticker *ticker) {
  uint64_t ticks = tnr_ticker_ticks(ticker);
  tape->now = ticks > tape->now ? ticks : tape->now;
}

static inline void tnr_tape_look_after(tnr_tape *tape, const tnr_ticker *ticker) {
  uint64_t ticks = tnr_ticker_ticks_after(ticker);
  tape->now = ticks > tape->now ? ticks : tape->now;
}

/* Makes sure that the current chunk takes `bytes` more at the present time; may turn to a new one,
 * where nothing is defined yet. `bytes` at most TNR_TAPE_CHUNK_MIN. */
static inline void tnr_tape_make_room(tnr_tape *tape, size_t bytes) {
  if (__builtin_expect((size_t)(tape->end - tape->at) < bytes, 0) ||
      __builtin_expect(tape->now - tape->base > TNR_TRACE_TIME_MAX, 0))
    tnr_tape_turn(tape);
}

/* A record of so many words, which begins with a head of this type at the present time. There is
 * room. To be filled in and then ended. */
static inline void *tnr_tape_begin(tnr_tape *tape, unsigned type, unsigned flags, unsigned words) {
  uint64_t *head = (uint64_t *)tape->at;
  *head = tnr_trace_head(type, flags, words, tape->now - tape->base);
  tape->last = tape->now;
  return head;
}

/* The same in its brief form, if there is room for that, and not much time has passed since the
 * record before it; else NULL. */
static inline uint64_t *tnr_tape_begin_brief(tnr_tape *tape, unsigned type, unsigned what,
                                             uint32_t op, unsigned words) {
  uint64_t delta = tape->now - tape->last, *head = (uint64_t *)tape->at;
  if (__builtin_expect(delta > UINT16_MAX, 0) ||
      __builtin_expect((size_t)(tape->end - tape->at) < words * sizeof *head, 0))
    return NULL;
  *head = tnr_trace_brief_head(type, what, delta, op);
  tape->last = tape->now;
  return head;
}

static inline void tnr_tape_end(tnr_tape *tape, unsigned words) {
  enum { AHEAD = 256 }; /* bytes: what comes there is in no cache, and written soon */
  tape->at += words * sizeof(uint64_t);
  __builtin_prefetch(tape->at + AHEAD, 1);
  tape->written += words * sizeof(uint64_t) + (UINT64_C(1) << 32);
  /* release: pairs with the acquire in tnr_tape_hold; the record is then visible */
  atomic_store_explicit(&tape->chunk->written, tape->written, memory_order_release);
}

/* ---- readers: any thread, also in a signal handler ---- */

/* A chunk that is held: what is in it stays as it is, though more may come behind it. */
typedef struct tnr_tape_held {
  tnr_tape_chunk *chunk;
  uint64_t sequence;
  uint32_t bytes, records;
  bool open; /* more may come */
} tnr_tape_held;

/* Holds chunk `index` to read it; false when it was never written, is being taken again, or
 * somebody else holds it. */
bool tnr_tape_hold(tnr_tape *tape, int index, tnr_tape_held *out);

/* Holds the chunk with the lowest sequence above `after`; false when there is none, or not soon. */
bool tnr_tape_hold_next(tnr_tape *tape, uint64_t after, tnr_tape_held *out);

void tnr_tape_let_go(const tnr_tape_held *held);

/* What is in the tape's chunks is not of the recording that begins now. */
void tnr_tape_forget(tnr_tape *tape);

/* How much has been recorded in all; may be a moment old. */
uint64_t tnr_tape_recorded(tnr_tape *tape);

#endif
