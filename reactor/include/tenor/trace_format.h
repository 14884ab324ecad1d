/* The binary form of a recording, for who reads or writes such files without the library.
 *
 * A file is one tnr_trace_file, then pieces until its end; a piece is one tnr_trace_piece and
 * `bytes` bytes of records. Numbers are in the byte order of the machine that wrote the file, which
 * `byte_order` shows. Everything is aligned to 8 bytes.
 *
 * Each thread writes onto a tape of its own, which is cut into chunks. A piece is a chunk or a part
 * of one: pieces of one tape with the same `sequence` follow each other. Chunks stand for
 * themselves: what the records of a chunk refer to by an index (call sites, plans, groups) is
 * defined in that chunk, before. Within a tape, chunks come in order, and so do the times of
 * records; tapes are written whenever they have something, so their times overlap in the file.
 *
 * A file whose last piece is not of kind TNR_TRACE_LAST was cut off, or its program has ended
 * without an end to the recording: what is there is right.
 *
 * Records are made of 64-bit words. The first is the head: from the lowest bit on 8 bits of type, 8
 * of flags, 8 of length in words (at least 1, the head included) and 40 of time, in ticks since
 * `base` of the piece's chunk. What a reader does not know it skips by the length.
 *
 * What there is most of has a brief form, too, with a type from 128 on. Its head: 8 bits of type, 8
 * of something small, 16 of time, in ticks since the record before it in the chunk (or since
 * `base`), and 32 of an op's number. Types from 128 on have 1 word, from 192 on 2, and from 224
 * on 3. */
#ifndef TENOR_TRACE_FORMAT_H
#define TENOR_TRACE_FORMAT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TNR_TRACE_MAGIC       "tnrtrace" /* 8 bytes, without a final 0 */
#define TNR_TRACE_BYTE_ORDER  0x01020304u
#define TNR_TRACE_VERSION     1u
#define TNR_TRACE_PIECE_MAGIC 0x70727474u

enum {
  TNR_TRACE_NAME_MAX = 16,       /* of a thread, with its final 0 if there is room */
  TNR_TRACE_WORDS_MAX = 255,     /* of a record */
  TNR_TRACE_CHUNK_MAX = 1 << 24, /* bytes of a chunk's records */
  TNR_TRACE_NO_DEVICE = 0xffff
};
#define TNR_TRACE_TIME_MAX ((UINT64_C(1) << 40) - 1) /* ticks since a chunk's base */

enum {                         /* flags of a file */
       TNR_TRACE_FLIGHT = 1,   /* the last moments before something, not all since the start */
       TNR_TRACE_MADE_TIME = 2 /* a runtime's own time: nothing in the file tells of the machine */
};

typedef struct tnr_trace_file {
  char magic[8];
  uint32_t byte_order, version;
  uint64_t mult; /* ns = ticks * mult >> shift, in 128 bits; mult is not 0 */
  uint32_t shift;
  uint32_t flags;
  uint64_t start;         /* ticks when recording began, or, in flight, the first to be shown */
  int64_t start_realtime; /* ns since 1970 at `start`; 0 with TNR_TRACE_MADE_TIME */
  uint32_t pid;           /* 0 with TNR_TRACE_MADE_TIME */
  uint32_t devices;       /* how many; their names are in a piece of kind TNR_TRACE_PLACES */
  char program[24];       /* what the program is called; 0 behind it */
  char library[16];       /* the version of tenor */
} tnr_trace_file;

enum { /* kinds of pieces: what wrote the tape. The last two are not of a tape. */
       TNR_TRACE_APPLICATION = 0,
       TNR_TRACE_DISPATCHER,
       TNR_TRACE_WORKER,
       TNR_TRACE_PLACES, /* records of type TNR_TRACE_DEVICE */
       TNR_TRACE_LAST    /* one record of type TNR_TRACE_TOTAL */
};

typedef struct tnr_trace_piece {
  uint32_t magic;
  uint32_t bytes;    /* of records behind this; a multiple of 8 */
  uint32_t tape;     /* which, from 0 */
  uint32_t kind;     /* as above */
  uint64_t sequence; /* of the chunk on its tape, from 1, without gaps but for lost chunks */
  uint64_t base;     /* ticks: what the times of the chunk's records are relative to */
  uint64_t lost;   /* records of this tape that were overwritten before they could be written to the
                    * file, all those before this chunk together */
  uint32_t offset; /* bytes of the same chunk in the pieces before this one */
  uint32_t records; /* in this piece */
  uint32_t tid;     /* the system's number of the thread; 0 with TNR_TRACE_MADE_TIME */
  uint32_t device;  /* a worker's; else TNR_TRACE_NO_DEVICE */
  char name[TNR_TRACE_NAME_MAX];
} tnr_trace_piece;

/* Ops, calls of composites, and futures of several futures are numbered together, from 1; 0 is what
 * was submitted before the recording began. Numbers go round at 2^32: the nearest in time is
 * meant. */
typedef enum tnr_trace_type {
  /* Definitions. Of no moment: their time says when they were written. */
  TNR_TRACE_SITE = 1,
  TNR_TRACE_PLAN,
  TNR_TRACE_GROUP,
  TNR_TRACE_THREAD, /* from now on another thread writes the tape; the one before has ended */
  TNR_TRACE_DEVICE,
  TNR_TRACE_TOTAL,

  /* The journey, in its order. */
  TNR_TRACE_SUBMIT = 16, /* any thread: before it goes into the inbox */
  TNR_TRACE_INPUTS,      /* more inputs than fit into SUBMIT; right behind it */
  TNR_TRACE_RESOLVE,     /* dispatcher */
  TNR_TRACE_HELD,     /* any thread: the end of a time in which a limit held up a call or worker */
  TNR_TRACE_LAUNCH,   /* dispatcher, for each device: at the end of that device's queue */
  TNR_TRACE_CREATE,   /* the thread of a plain call: its end */
  TNR_TRACE_MOVE,     /* worker: the op is a copy; before its RUN or BEGIN */
  TNR_TRACE_RUN,      /* worker: create, then execute; the end of both */
  TNR_TRACE_BEGIN,    /* worker: create is over and execute begins, where RUN does not follow */
  TNR_TRACE_END,      /* worker: the end of what BEGIN began */
  TNR_TRACE_SIGNAL,   /* worker: the dispatcher can see all that has ended until now */
  TNR_TRACE_COMPLETE, /* dispatcher; of what was cancelled or late perhaps before its RUN or END,
                       * as a kernel that runs is not interrupted */
  TNR_TRACE_CALLBACK, /* the end of a user's callback */
  TNR_TRACE_ERROR,    /* any thread: the op fails, with these words */

  TNR_TRACE_BODY = 40, /* any thread: the end of a composite's body */

  /* Threads. */
  TNR_TRACE_WAIT = 48, /* any thread: the end of a wait that it asked for */
  TNR_TRACE_REST,      /* the end of a time without anything to do */
  TNR_TRACE_WAKE,      /* any thread: woke another by a system call */
  TNR_TRACE_COUNTER,
  TNR_TRACE_ROOM, /* any thread: there is room for the call that was refused last */

  /* Brief forms, with what their smallest part is. */
  TNR_TRACE_BRIEF_RESOLVE = 128, /* missing */
  TNR_TRACE_BRIEF_LAUNCH,        /* device, of an op that has one part */
  TNR_TRACE_BRIEF_COMPLETE,      /* a tnr_status */
  TNR_TRACE_BRIEF_READY,     /* device: RESOLVE, with nothing missing, and LAUNCH of an op that has
                              * one part, in one turn of the dispatcher; the time is LAUNCH's */
  TNR_TRACE_BRIEF_RUN = 192, /* flags; see below */
  TNR_TRACE_BRIEF_SUBMIT = 224 /* flags; see below */
} tnr_trace_type;

enum { /* flags of SUBMIT: what it is, in the two lowest bits */
       TNR_TRACE_OP = 0,
       TNR_TRACE_COMPOSITE,
       TNR_TRACE_ALL,
       TNR_TRACE_ANY,
       TNR_TRACE_KIND_MASK = 3,
       TNR_TRACE_PLAIN = 4 /* not async: the result is created before this */
};

enum {                        /* flags of RUN, BEGIN and END */
       TNR_TRACE_MISS = 1,    /* the device's program cache did not have it */
       TNR_TRACE_ALIAS = 2,   /* nothing was executed: the output has the input's storage */
       TNR_TRACE_TOGETHER = 4 /* `execute` is both: of short ops, only one in a few is told apart */
};

/* Where a call stands, and what is called. Behind the struct come the bytes of the op's name, of
 * the innermost composite around the call, and of the file, filled up with 0 to whole words. */
typedef struct tnr_trace_site {
  uint64_t head;
  uint16_t index; /* within the chunk */
  uint16_t name_bytes, composite_bytes, file_bytes;
  uint32_t line;
  uint32_t unused;
} tnr_trace_site;

/* What running an op on one device amounts to. Behind the struct: descriptions of the inputs and
 * outputs, of this device's pieces; then the bytes of the op's name and of its attributes as text.
 * A description is a word, dtype in the lowest 8 bits and rank in the next 8, and `rank` words of
 * dims. Of very many operands the first are described. */
typedef struct tnr_trace_plan {
  uint64_t head;
  uint16_t index; /* within the chunk */
  uint16_t device;
  uint16_t in_count, out_count; /* described */
  uint64_t bytes;               /* allocated for the outputs on this device */
  double flops;                 /* a cost model's estimate */
  uint16_t name_bytes, attrs_bytes;
  uint16_t all_in, all_out; /* that there are; 65535: or more */
} tnr_trace_plan;

/* Behind the struct: the bytes of its title, such as "group 'request 7'". */
typedef struct tnr_trace_group {
  uint64_t head;
  uint16_t index; /* within the chunk */
  uint16_t name_bytes;
  uint32_t unused;
} tnr_trace_group;

typedef struct tnr_trace_thread { /* as in tnr_trace_piece, which says how a chunk begins */
  uint64_t head;
  uint32_t tid;
  uint16_t kind, device;
  char name[TNR_TRACE_NAME_MAX];
} tnr_trace_thread;

/* Behind the struct: the bytes of its name. */
typedef struct tnr_trace_device {
  uint64_t head;
  uint16_t index; /* TNR_TRACE_NO_DEVICE: the host */
  uint16_t name_bytes;
  uint32_t host_memory; /* 1 when its memory is the host's */
} tnr_trace_device;

typedef struct tnr_trace_total {
  uint64_t head;
  uint64_t records, lost; /* of all tapes; lost: overwritten before they were written to the file */
  uint64_t strangers;     /* records of threads that found no tape free */
  uint64_t drained;       /* 1 when the runtime had ended, with all ops complete */
} tnr_trace_total;

/* Behind the struct: numbers of those that made the inputs, 32 bits each, 0 for what no op of this
 * recording made; filled up to a whole word. A COMPOSITE's inputs are those of its call. */
typedef struct tnr_trace_submit {
  uint64_t head;
  uint32_t op, parent; /* parent: the call of a composite in whose body it is, or 0 */
  uint16_t site, inputs;
  uint16_t group;   /* 0: none; else a group's index + 1 */
  uint8_t priority; /* a tnr_priority; 0: TNR_PRIORITY_NORMAL */
  uint8_t unused;
} tnr_trace_submit;

/* Behind the struct: `inputs` more, as behind SUBMIT. */
typedef struct tnr_trace_inputs {
  uint64_t head;
  uint32_t op, inputs;
} tnr_trace_inputs;

typedef struct tnr_trace_resolve {
  uint64_t head;
  uint32_t op;
  uint32_t missing; /* inputs that it waits for */
} tnr_trace_resolve;

typedef enum tnr_trace_how {
  TNR_TRACE_CALL_HELD = 1, /* the call waited, and then went on; before its SUBMIT */
  TNR_TRACE_WORKER_HELD,   /* a worker waited before it created the op's outputs; its RUN or BEGIN,
                            * which follows, counts from the end of this */
  TNR_TRACE_CALL_REFUSED   /* the call failed with TNR_EAGAIN; 0 ticks, and until the next ROOM */
} tnr_trace_how;

typedef struct tnr_trace_held {
  uint64_t head;   /* its end */
  uint32_t op;     /* 0: a composite's call, or one that was refused */
  uint16_t device; /* the first of the op's; TNR_TRACE_NO_DEVICE: not known yet */
  uint16_t how;    /* a tnr_trace_how */
  uint64_t ticks;  /* how long it took */
} tnr_trace_held;

typedef struct tnr_trace_launch {
  uint64_t head;
  uint32_t op;
  uint16_t device;
  uint16_t part; /* which of the op's devices, from 0 */
} tnr_trace_launch;

typedef struct tnr_trace_span { /* CREATE, BODY, CALLBACK, WAIT, REST */
  uint64_t head;                /* its end */
  uint32_t op;    /* CREATE, BODY: the one; CALLBACK: that it was registered with; WAIT: that
                   * was waited for, 0: others; REST: 0 */
  uint32_t what;  /* WAIT, REST: a tnr_trace_why; else 0 */
  uint64_t ticks; /* how long it took */
} tnr_trace_span;

typedef enum tnr_trace_why {
  TNR_TRACE_FOR_CREATED = 1, /* WAIT: for an op's or other future's moment */
  TNR_TRACE_FOR_COMPLETE,
  TNR_TRACE_FOR_DEVICE, /* WAIT: in tnr_synchronize_device */
  TNR_TRACE_LOOKED,     /* REST: looked for work */
  TNR_TRACE_SLEPT       /* REST: looked, and slept */
} tnr_trace_why;

/* Behind the struct: one description, as behind PLAN, of what is copied. */
typedef struct tnr_trace_move {
  uint64_t head;
  uint32_t op;
  uint16_t from, to; /* devices; TNR_TRACE_NO_DEVICE: the host */
  uint64_t bytes;    /* copied by this part of the op */
} tnr_trace_move;

typedef struct tnr_trace_run { /* BEGIN too */
  uint64_t head;
  uint32_t op;
  uint16_t plan; /* 0xffff: none, as for copies */
  uint16_t device;
  uint32_t
      create; /* ticks, from when the worker took it up, or had room for it; 2^32 - 1: or more */
  uint32_t execute; /* ticks; BEGIN: 0 */
} tnr_trace_run;

typedef struct tnr_trace_short { /* END, SIGNAL, COMPLETE, WAKE, ROOM */
  uint64_t head;
  uint32_t op;   /* SIGNAL, WAKE, ROOM: 0 */
  uint16_t what; /* END, SIGNAL, ROOM: the device; COMPLETE: a tnr_status; WAKE: the device whose
                  * worker was woken, TNR_TRACE_NO_DEVICE: the dispatcher, by its eventfd */
  uint16_t part; /* END: which of the op's devices; else 0 */
} tnr_trace_short;

/* Behind the struct: the bytes of the error's reason. */
typedef struct tnr_trace_error {
  uint64_t head;
  uint32_t op;
  uint16_t status; /* a tnr_status */
  uint16_t bytes;
} tnr_trace_error;

typedef enum tnr_trace_counter_id {
  TNR_TRACE_MEMORY = 1, /* bytes in tensors on `device` */
  TNR_TRACE_RESERVED,   /* bytes that its pool holds from the system */
  TNR_TRACE_CPU_TIME,   /* ns of CPU time used by the thread of tape `device` so far */
  TNR_TRACE_HANDLES     /* blocks that handles take */
} tnr_trace_counter_id;

typedef struct tnr_trace_counter {
  uint64_t head;
  uint32_t counter; /* a tnr_trace_counter_id */
  uint32_t device;  /* TNR_TRACE_NO_DEVICE: the host */
  uint64_t value;
} tnr_trace_counter;

/* BRIEF_RUN, of a worker's tape: behind the head a word with, from the lowest bit on, 16 bits of
 * plan, 16 of create and 32 of execute. BRIEF_SUBMIT, without a group or priority: a word with 32
 * bits of parent, 16 of site and 8 of how many inputs, at most 2; and a word with the inputs, 32
 * bits each. */

static inline uint64_t tnr_trace_brief_head(unsigned type, unsigned what, uint64_t time,
                                            uint32_t op) {
  return (uint64_t)type | (uint64_t)what << 8 | time << 16 | (uint64_t)op << 32;
}

/* How many words a record has. */
static inline unsigned tnr_trace_words(uint64_t head) {
  unsigned type = head & 0xff;
  if (type < TNR_TRACE_BRIEF_RESOLVE)
    return (unsigned)(head >> 16 & 0xff);
  return type < TNR_TRACE_BRIEF_RUN ? 1 : type < TNR_TRACE_BRIEF_SUBMIT ? 2 : 3;
}

static inline uint64_t tnr_trace_head(unsigned type, unsigned flags, unsigned words,
                                      uint64_t time) {
  return (uint64_t)type | (uint64_t)flags << 8 | (uint64_t)words << 16 | time << 24;
}

#ifdef __cplusplus
}
#endif
#endif
