#include "recording.h"

_Thread_local tnr_kept_tape tnr_own_tape __attribute__((tls_model("initial-exec")));

/* One that found none looks again now and then: others end. */
tnr_tape *tnr_claim_own_tape(tnr_recorder *recorder, int64_t serial) {
  enum { LOOK_AGAIN_EVERY = 256 };
  bool refused = tnr_own_tape.of == recorder && tnr_own_tape.serial == serial;
  if (!refused || ++tnr_own_tape.refused % LOOK_AGAIN_EVERY == 0)
    tnr_own_tape =
        (tnr_kept_tape){.tape = tnr_recorder_claim(recorder), .of = recorder, .serial = serial};
  if (!tnr_own_tape.tape)
    atomic_fetch_add_explicit(&recorder->strangers, 1, memory_order_relaxed);
  return tnr_own_tape.tape;
}

void *tnr_put_texts(tnr_tape *tape, unsigned type, unsigned words) {
  uint64_t *record = tnr_tape_begin(tape, type, 0, words);
  memset(record + 1, 0, (words - 1) * sizeof *record);
  return record;
}

void tnr_put_short(tnr_tape *tape, unsigned type, uint32_t op, unsigned what, unsigned part) {
  enum { WORDS = sizeof(tnr_trace_short) / 8 };
  tnr_tape_make_room(tape, sizeof(tnr_trace_short));
  tnr_trace_short *record = tnr_tape_begin(tape, type, 0, WORDS);
  record->op = op;
  record->what = (uint16_t)what;
  record->part = (uint16_t)part;
  tnr_tape_end(tape, WORDS);
}

void tnr_put_span(tnr_recorder *recorder, unsigned type, uint32_t op, unsigned what,
                  uint64_t since) {
  enum { WORDS = sizeof(tnr_trace_span) / 8 };
  tnr_tape *tape = tnr_tape_here(recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tnr_tape_make_room(tape, sizeof(tnr_trace_span));
  tnr_trace_span *record = tnr_tape_begin(tape, type, 0, WORDS);
  record->op = op;
  record->what = what;
  record->ticks = tape->now > since ? tape->now - since : 0;
  tnr_tape_end(tape, WORDS);
}
