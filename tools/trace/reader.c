#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "form.h"
#include "rows.h"

/* Where a tape has got to. */
struct tape {
  uint64_t sequence, base, last, lost;
  uint32_t offset;
};

struct trace_reader {
  FILE *file;
  tnr_trace_file header;
  tnr_trace_piece piece;
  uint64_t *words; /* of the piece */
  size_t room, count, at;
  uint64_t piece_offset;     /* of its first word, in the file */
  uint32_t left;             /* records that the piece still has */
  bool begins, over;         /* begins: a chunk does */
  struct trace_event second; /* of a record that tells of two; type 0: there is none */
  struct {
    struct tape *at;
    size_t count, room;
  } tapes;
  struct trace_reader_end end;
};

const tnr_trace_file *trace_reader_header(const struct trace_reader *reader) {
  return &reader->header;
}

struct trace_reader_end trace_reader_end(const struct trace_reader *reader) {
  struct trace_reader_end end = reader->end;
  for (size_t i = 0; i < reader->tapes.count; i++)
    end.lost += reader->tapes.at[i].lost;
  return end;
}

/* ---- bytes ---- */

/* How many there are, at most `bytes`. */
static tnr_status take(struct trace_reader *reader, void *out, size_t bytes, size_t *taken,
                       tnr_fault *fault) {
  *taken = fread(out, 1, bytes, reader->file);
  reader->end.bytes += *taken;
  if (*taken < bytes && ferror(reader->file))
    return tnr_fail(fault, TNR_ESYSTEM, "byte %" PRIu64 ": %s", reader->end.bytes, strerror(errno));
  return TNR_OK;
}

static tnr_status check_header(const struct trace_reader *reader, size_t taken, tnr_fault *fault) {
  const tnr_trace_file *header = &reader->header;
  if (taken < sizeof header->magic || memcmp(header->magic, TNR_TRACE_MAGIC, 8) != 0)
    return tnr_fail(fault, TNR_EINVAL, "byte 0: this is no recording of tenor");
  if (taken < sizeof *header)
    return tnr_fail(fault, TNR_EINVAL, "byte %zu: the recording is cut off within its header",
                    taken);
  if (header->byte_order != TNR_TRACE_BYTE_ORDER)
    return tnr_fail(fault, TNR_EINVAL,
                    "byte 8: it was recorded on a machine with another order of bytes");
  if (header->version != TNR_TRACE_VERSION)
    return tnr_fail(fault, TNR_EINVAL, "byte 12: this is version %u of the form, not %u",
                    header->version, TNR_TRACE_VERSION);
  if (header->mult == 0 || header->shift > 63)
    return tnr_fail(fault, TNR_EINVAL, "byte 16: the clock makes no sense");
  if (header->devices > TRACE_DEVICES_MAX)
    return tnr_fail(fault, TNR_EINVAL, "byte 52: there cannot be %u devices", header->devices);
  return TNR_OK;
}

tnr_status trace_reader_open(const char *path, struct trace_reader **out, tnr_fault *fault) {
  size_t taken = 0;
  bool is_input = strcmp(path, "-") == 0;
  struct trace_reader *reader = calloc(1, sizeof *reader);
  if (!reader)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory to read it");
  reader->file = is_input ? stdin : fopen(path, "rb");
  tnr_status status = reader->file ? TNR_OK : tnr_fail(fault, TNR_ESYSTEM, "%s", strerror(errno));
  if (status == TNR_OK)
    status = take(reader, &reader->header, sizeof reader->header, &taken, fault);
  if (status == TNR_OK)
    status = check_header(reader, taken, fault);
  if (status == TNR_OK)
    *out = reader;
  else
    trace_reader_close(reader);
  return status;
}

void trace_reader_close(struct trace_reader *reader) {
  if (!reader)
    return;
  if (reader->file && reader->file != stdin)
    fclose(reader->file);
  free(reader->words);
  spill_free(reader->tapes.at);
  free(reader);
}

/* ---- pieces ---- */

static uint64_t offset_of(const struct trace_reader *reader) {
  return reader->piece_offset + 8 * (uint64_t)reader->at;
}

static tnr_status damaged(const struct trace_reader *reader, tnr_fault *fault, const char *what,
                          uint64_t number) {
  return tnr_fail(fault, TNR_EINVAL, "byte %" PRIu64 ": %s %" PRIu64, offset_of(reader), what,
                  number);
}

static tnr_status check_piece(const struct trace_reader *reader, tnr_fault *fault) {
  const tnr_trace_piece *piece = &reader->piece;
  if (piece->magic != TNR_TRACE_PIECE_MAGIC)
    return damaged(reader, fault, "damaged: no piece of a recording begins with", piece->magic);
  if (piece->bytes > TNR_TRACE_CHUNK_MAX || piece->bytes % 8 != 0)
    return damaged(reader, fault, "damaged: no piece has bytes", piece->bytes);
  if (piece->kind > TNR_TRACE_LAST)
    return damaged(reader, fault, "damaged: there are no pieces of kind", piece->kind);
  if (piece->records > piece->bytes / 8)
    return damaged(reader, fault, "damaged: a piece cannot have so many records:", piece->records);
  if (piece->kind < TNR_TRACE_PLACES && piece->tape >= TRACE_TAPES_MAX)
    return damaged(reader, fault, "damaged: there is no tape", piece->tape);
  return TNR_OK;
}

static tnr_status find_tape(struct trace_reader *reader, uint32_t index, struct tape **out,
                            tnr_fault *fault) {
  while (reader->tapes.count <= index)
    if (!ROWS_ADD(&reader->tapes))
      return spill_fail(fault, "the tapes");
  *out = &reader->tapes.at[index];
  return TNR_OK;
}

/* A new chunk, or more of the same. */
static tnr_status place_piece(struct trace_reader *reader, tnr_fault *fault) {
  const tnr_trace_piece *piece = &reader->piece;
  struct tape *tape = NULL;
  tnr_status status = find_tape(reader, piece->tape, &tape, fault);
  if (status != TNR_OK)
    return status;
  reader->begins = piece->sequence != tape->sequence;
  if (piece->sequence < tape->sequence || piece->sequence == 0)
    return damaged(reader, fault, "damaged: out of its order comes chunk", piece->sequence);
  if (piece->offset != (reader->begins ? 0 : tape->offset))
    return damaged(reader, fault, "damaged: the chunk does not go on at its byte", piece->offset);
  if (piece->lost < tape->lost)
    return damaged(reader, fault, "damaged: too few records are said to be lost:", piece->lost);
  tape->lost = piece->lost;
  if (reader->begins) {
    tape->sequence = piece->sequence;
    tape->base = tape->last = piece->base;
  }
  tape->offset = (reader->begins ? 0 : tape->offset) + piece->bytes;
  return TNR_OK;
}

static tnr_status make_room(struct trace_reader *reader, size_t words, tnr_fault *fault) {
  if (words <= reader->room)
    return TNR_OK;
  uint64_t *grown = realloc(reader->words, words * sizeof *grown);
  if (!grown)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for a piece of %zu bytes", 8 * words);
  reader->words = grown;
  reader->room = words;
  return TNR_OK;
}

static tnr_status fill_piece(struct trace_reader *reader, tnr_fault *fault) {
  size_t taken;
  tnr_status status = make_room(reader, reader->piece.bytes / 8, fault);
  if (status == TNR_OK)
    status = take(reader, reader->words, reader->piece.bytes, &taken, fault);
  if (status != TNR_OK)
    return status;
  reader->count = taken / 8;
  reader->left = reader->piece.records;
  reader->over = taken < reader->piece.bytes;
  return TNR_OK;
}

/* Nothing follows the last piece. */
static tnr_status check_end(struct trace_reader *reader, tnr_fault *fault) {
  char more;
  size_t taken;
  tnr_status status = take(reader, &more, 1, &taken, fault);
  if (status == TNR_OK && taken > 0)
    return damaged(reader, fault, "damaged: behind the recording's end there are more bytes than",
                   reader->end.bytes - 1);
  reader->over = true;
  return status;
}

static tnr_status next_piece(struct trace_reader *reader, tnr_fault *fault) {
  size_t taken;
  reader->piece_offset = reader->end.bytes;
  reader->count = reader->at = 0;
  if (reader->end.whole)
    return check_end(reader, fault);
  tnr_status status = take(reader, &reader->piece, sizeof reader->piece, &taken, fault);
  if (status != TNR_OK)
    return status;
  reader->over = taken < sizeof reader->piece;
  if (reader->over)
    return TNR_OK;
  status = check_piece(reader, fault);
  if (status == TNR_OK && reader->piece.kind < TNR_TRACE_PLACES)
    status = place_piece(reader, fault);
  reader->piece_offset = reader->end.bytes;
  return status == TNR_OK ? fill_piece(reader, fault) : status;
}

/* ---- times ---- */

static int64_t cut_time(__int128 ns) {
  return ns > TRACE_TIME_MAX    ? TRACE_TIME_MAX
         : ns < -TRACE_TIME_MAX ? -TRACE_TIME_MAX
                                : (int64_t)ns;
}

static int64_t to_ns(const struct trace_reader *reader, uint64_t ticks) {
  unsigned __int128 ns = (unsigned __int128)ticks * reader->header.mult >> reader->header.shift;
  return ns > (unsigned __int128)TRACE_TIME_MAX ? TRACE_TIME_MAX : (int64_t)ns;
}

static int64_t moment(const struct trace_reader *reader, uint64_t ticks) {
  uint64_t start = reader->header.start;
  return ticks >= start ? to_ns(reader, ticks - start)
                        : cut_time(-(__int128)to_ns(reader, start - ticks));
}

/* ---- records ---- */

static void read_brief(const struct trace_reader *reader, const uint64_t *words,
                       struct trace_event *out) {
  out->op = (uint32_t)(words[0] >> 32);
  out->what = out->device = words[0] >> 8 & 0xff;
  switch (out->type) {
  case TNR_TRACE_BRIEF_READY:
  case TNR_TRACE_BRIEF_RESOLVE:
    out->type = TNR_TRACE_RESOLVE;
    break;
  case TNR_TRACE_BRIEF_LAUNCH:
    out->type = TNR_TRACE_LAUNCH;
    break;
  case TNR_TRACE_BRIEF_COMPLETE:
    out->type = TNR_TRACE_COMPLETE;
    break;
  case TNR_TRACE_BRIEF_RUN:
    out->type = TNR_TRACE_RUN;
    out->flags = out->what;
    out->device = reader->piece.device;
    out->plan = words[1] & 0xffff;
    out->create = to_ns(reader, words[1] >> 16 & 0xffff);
    out->execute = to_ns(reader, words[1] >> 32);
    break;
  case TNR_TRACE_BRIEF_SUBMIT:
    out->type = TNR_TRACE_SUBMIT;
    out->flags = out->what;
    out->parent = (uint32_t)words[1];
    out->site = words[1] >> 32 & 0xffff;
    out->input_count = words[1] >> 48 & 0xff;
    out->inputs = (const uint32_t *)(words + 2);
    break;
  default:
    break;
  }
}

static void read_submit(const tnr_trace_submit *submit, struct trace_event *out) {
  out->parent = submit->parent;
  out->site = submit->site;
  out->inputs = (const uint32_t *)(submit + 1);
  out->input_count = submit->inputs;
}

static void read_run(const struct trace_reader *reader, const tnr_trace_run *run,
                     struct trace_event *out) {
  out->plan = run->plan;
  out->device = run->device;
  out->create = to_ns(reader, run->create);
  out->execute = to_ns(reader, run->execute);
}

static void read_span(const struct trace_reader *reader, const tnr_trace_span *span,
                      struct trace_event *out) {
  out->what = span->what;
  out->took = to_ns(reader, span->ticks);
}

static void read_held(const struct trace_reader *reader, const tnr_trace_held *held,
                      struct trace_event *out) {
  out->device = held->device;
  out->what = held->how;
  out->took = to_ns(reader, held->ticks);
}

/* Most have their op behind the head, and something small behind that. */
static void read_long(const struct trace_reader *reader, const uint64_t *words,
                      struct trace_event *out) {
  const tnr_trace_short *small = (const tnr_trace_short *)words;
  out->flags = words[0] >> 8 & 0xff;
  if (trace_record_words(out->type) < 2)
    return;
  out->op = small->op;
  out->what = out->device = small->what;
  switch (out->type) {
  case TNR_TRACE_SUBMIT:
    read_submit((const tnr_trace_submit *)words, out);
    break;
  case TNR_TRACE_INPUTS:
    out->inputs = (const uint32_t *)((const tnr_trace_inputs *)words + 1);
    out->input_count = ((const tnr_trace_inputs *)words)->inputs;
    break;
  case TNR_TRACE_RESOLVE:
    out->what = ((const tnr_trace_resolve *)words)->missing;
    break;
  case TNR_TRACE_HELD:
    read_held(reader, (const tnr_trace_held *)words, out);
    break;
  case TNR_TRACE_RUN:
  case TNR_TRACE_BEGIN:
    read_run(reader, (const tnr_trace_run *)words, out);
    break;
  case TNR_TRACE_CREATE:
  case TNR_TRACE_BODY:
  case TNR_TRACE_CALLBACK:
  case TNR_TRACE_WAIT:
  case TNR_TRACE_REST:
    read_span(reader, (const tnr_trace_span *)words, out);
    break;
  default:
    break;
  }
}

static void read_record(struct trace_reader *reader, const uint64_t *words, uint64_t ticks,
                        struct trace_event *out) {
  *out = (struct trace_event){.type = words[0] & 0xff,
                              .offset = offset_of(reader),
                              .time = moment(reader, ticks),
                              .tape = reader->piece.tape,
                              .kind = reader->piece.kind,
                              .piece = &reader->piece,
                              .words = words};
  if (trace_is_brief(out->type))
    read_brief(reader, words, out);
  else
    read_long(reader, words, out);
}

/* A record's time in ticks, which is not before the one before it; in pieces that are of no tape,
 * 0.
 */
static tnr_status time_of(struct trace_reader *reader, uint64_t head, uint64_t *ticks,
                          tnr_fault *fault) {
  *ticks = reader->header.start;
  if (reader->piece.kind >= TNR_TRACE_PLACES)
    return TNR_OK;
  struct tape *tape = &reader->tapes.at[reader->piece.tape];
  *ticks =
      trace_is_brief(head & 0xff) ? tape->last + (head >> 16 & 0xffff) : tape->base + (head >> 24);
  if (*ticks < tape->last)
    return damaged(reader, fault, "damaged: time goes back, by ticks", tape->last - *ticks);
  tape->last = *ticks;
  return TNR_OK;
}

/* RESOLVE, and then LAUNCH. */
static void tell_launch_next(struct trace_reader *reader, struct trace_event *out) {
  reader->second = *out;
  reader->second.type = TNR_TRACE_LAUNCH;
  out->what = 0;
}

static tnr_status next_record(struct trace_reader *reader, struct trace_event *out,
                              tnr_fault *fault) {
  const uint64_t *words = reader->words + reader->at;
  size_t left = reader->count - reader->at, count = tnr_trace_words(words[0]);
  uint64_t ticks;
  if (count == 0)
    return damaged(reader, fault, "damaged: without a length there is a record of type",
                   words[0] & 0xff);
  if (count > left || !trace_record_fits(words, count))
    return damaged(reader, fault, "damaged: beyond its end goes a record of type", words[0] & 0xff);
  if (reader->left-- == 0)
    return damaged(reader, fault,
                   "damaged: the piece has more records than it says:", reader->piece.records);
  tnr_status status = time_of(reader, words[0], &ticks, fault);
  if (status != TNR_OK)
    return status;
  read_record(reader, words, ticks, out);
  if ((words[0] & 0xff) == TNR_TRACE_BRIEF_READY)
    tell_launch_next(reader, out);
  reader->at += count;
  reader->end.records += reader->piece.kind < TNR_TRACE_PLACES;
  if (out->type == TNR_TRACE_TOTAL && reader->piece.kind == TNR_TRACE_LAST) {
    reader->end.whole = true;
    memcpy(&reader->end.total, words, sizeof reader->end.total);
  }
  return TNR_OK;
}

/* What was cut off ends behind its last whole record. */
static bool is_cut_here(const struct trace_reader *reader) {
  if (!reader->over || reader->at == reader->count)
    return false;
  return tnr_trace_words(reader->words[reader->at]) > reader->count - reader->at;
}

static tnr_status end_piece(struct trace_reader *reader, tnr_fault *fault) {
  if (reader->over)
    reader->end.missing += reader->left;
  else if (reader->left > 0)
    return damaged(reader, fault,
                   "damaged: the piece has fewer records than it says:", reader->piece.records);
  reader->left = 0;
  return TNR_OK;
}

tnr_status trace_reader_next(struct trace_reader *reader, struct trace_event *out, bool *more,
                             tnr_fault *fault) {
  tnr_status status = TNR_OK;
  *more = reader->second.type != 0;
  if (*more) {
    *out = reader->second;
    reader->second.type = 0;
    return TNR_OK;
  }
  while (status == TNR_OK && !reader->begins &&
         (reader->at == reader->count || is_cut_here(reader))) {
    status = end_piece(reader, fault);
    if (status != TNR_OK || reader->over)
      return status;
    status = next_piece(reader, fault);
  }
  if (status != TNR_OK)
    return status;
  *more = true;
  if (!reader->begins)
    return next_record(reader, out, fault);
  reader->begins = false;
  *out = (struct trace_event){.type = TRACE_CHUNK,
                              .offset = offset_of(reader),
                              .time = moment(reader, reader->piece.base),
                              .tape = reader->piece.tape,
                              .kind = reader->piece.kind,
                              .piece = &reader->piece};
  return TNR_OK;
}
