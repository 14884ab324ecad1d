/* Rows of lanes. A row has items, which a ref names: an event, an op, … (what it is depends on the
 * row). Every kind of row says of a ref which op it is about, how it looks and what it is called. */

class Row {
  constructor(shape, height, refs, beginOf, endOf) {
    this.shape = shape;   /* "bar", "bracket", "mark", "busy", "counter" */
    this.height = height; /* px */
    this.top = 0;         /* px, within its lane; set by the lane */
    this.lane = null;     /* set by the lane */
    this.pyramid = new Pyramid(refs, beginOf, endOf);
    this.matching = null; /* a pyramid of those that a search found */
    this.critical = null; /* of those on the critical path */
    this.beginOf = beginOf;
    this.endOf = endOf;
  }

  op() {
    return -1;
  }

  alpha() {
    return 1;
  }

  label() {
    return "";
  }

  /* A pyramid of the refs that `test` takes. */
  part(test) {
    return new Pyramid(this.pyramid.levels[0].ref.filter(test), this.beginOf, this.endOf);
  }
}

/* Events of a thread, of one depth. */
class EventRow extends Row {
  constructor(shape, height, refs, recording) {
    const { start, duration } = recording.events;
    super(shape, height, refs, (i) => start[i], (i) => start[i] + duration[i]);
    this.recording = recording;
    this.events = recording.events;
  }

  kind(i) {
    return this.events.kind[i];
  }

  name(i) {
    return this.recording.names[this.events.name[i]] ?? "";
  }

  op(i) {
    return this.events.op[i];
  }

  fill(i, palette) {
    const op = this.events.op[i];
    switch (this.recording.events.kind[i]) {
    case WAIT: return palette.patterns.wait;
    case REST: return this.name(i) === "sleeps" ? palette.edge : palette.patterns.rest;
    case CALLBACK: return palette.callback;
    case SUBMIT:
    case WAKE: return palette.mark;
    case GAP: return palette.gap(this.name(i));
    default: return op < 0 ? palette.other : palette.ofOp(op);
    }
  }

  alpha(i) {
    const kind = this.kind(i);
    if (kind === REST && this.name(i) === "sleeps")
      return 0.4;
    return kind === CREATE || kind === BODY ? 0.5 : 1;
  }

  label(i) {
    const op = this.op(i), name = op >= 0 ? this.recording.nameOf(op) : this.name(i);
    switch (this.kind(i)) {
    case WAIT: return op >= 0 ? `waits for ${name}` : "waits";
    case REST: return this.name(i) === "sleeps" ? "sleeps" : "looks for work";
    case WAKE: return `wakes ${this.name(i)}`;
    case CALLBACK: return op >= 0 ? `callback of ${name}` : "callback";
    case CREATE: return `create ${name}`;
    case GAP: return this.name(i);
    default: return op >= 0 ? SIGNS[this.recording.outcome[op]] + name : name;
    }
  }
}

/* Before the names of ops, by how they ended. */
const SIGNS = ["", "✕ ", "⊘ ", "⧖ ", ""];

/* A moment of every op's life. */
class MarkRow extends Row {
  constructor(height, name, refs, times, recording) {
    super("mark", height, refs, (op) => times[op], (op) => times[op]);
    this.name = name;
    this.recording = recording;
  }

  op(op) {
    return op;
  }

  fill(op, palette) {
    return palette.ofOutcome(this.recording.outcome[op]) ? palette.failed : palette.mark;
  }

  label(op) {
    return `${this.name}: ${this.recording.nameOf(op)}`;
  }
}

/* Composites over the ops of a worker, as far as these are next to each other. */
class BracketRow extends Row {
  constructor(height, brackets, recording) {
    super("bracket", height, numbersFrom(0, brackets.op.length), (i) => brackets.begin[i], (i) => brackets.end[i]);
    this.brackets = brackets;
    this.recording = recording;
  }

  op(i) {
    return this.brackets.op[i];
  }

  fill(i, palette) {
    return palette.ofOutcome(this.recording.outcome[this.op(i)]) ?? palette.bracket;
  }

  label(i) {
    return this.recording.nameOf(this.op(i));
  }
}

/* The critical path: what decided, at every moment, when the end came. */
class PathRow extends Row {
  constructor(height, recording) {
    const { start, duration } = recording.path;
    super("bar", height, numbersFrom(0, start.length), (i) => start[i], (i) => start[i] + duration[i]);
    this.recording = recording;
    this.path = recording.path;
  }

  op(i) {
    return this.path.op[i];
  }

  what(i) {
    return this.path.whats[this.path.what[i]] ?? "";
  }

  fill(i, palette) {
    const what = this.what(i), op = this.path.op[i];
    if (what === "execute" || what === "copy" || what === "create")
      return op < 0 ? palette.other : palette.ofOp(op);
    return what === "callback" ? palette.callback : palette.patterns.wait;
  }

  alpha(i) {
    return this.what(i) === "create" ? 0.5 : 1;
  }

  label(i) {
    const what = this.what(i);
    return what === "execute" && this.op(i) >= 0 ? this.recording.nameOf(this.op(i)) : WHATS[what] ?? what;
  }
}

const WHATS = {
  execute: "executing", create: "creating outputs", copy: "copying", queue: "in the device's queue",
  worker: "until the worker took it up", dispatcher: "until the dispatcher came to it", limit: "held by a limit",
  host: "the host", wake: "waking a thread", callback: "callback", start: "before the first op",
};

/* How busy a device is. Its tracks are its executions, each track without overlaps. */
class BusyRow extends Row {
  constructor(height, refs, workers, recording) {
    const { start, duration } = recording.events;
    super("busy", height, new Int32Array(0), () => 0, () => 0);
    this.tracks = tracksOf(refs, start, duration);
    this.workers = Math.max(1, workers, this.tracks.length);
  }

  /* How long its workers executed before `time`, in sum. */
  busyUntil(time) {
    let sum = 0;
    for (const track of this.tracks)
      sum += busyUntil(track, time);
    return sum;
  }

  /* The part of begin … end in which its workers executed, 0 … 1. */
  busy(begin, end) {
    return end > begin ? (this.busyUntil(end) - this.busyUntil(begin)) / ((end - begin) * this.workers) : 0;
  }
}

function tracksOf(refs, start, duration) {
  const tracks = [];
  for (const i of refs) {
    let track = tracks.find((t) => t.last <= start[i]);
    if (!track)
      tracks.push(track = { last: 0, begin: [], sum: [0] });
    track.begin.push(start[i]);
    track.sum.push(track.sum.at(-1) + duration[i]);
    track.last = start[i] + duration[i];
  }
  for (const track of tracks)
    track.begin = new Float64Array(track.begin);
  return tracks;
}

/* How long the track was busy before `time`. */
function busyUntil({ begin, sum }, time) {
  const n = firstAfter(begin, time);
  return n === 0 ? 0 : sum[n - 1] + Math.min(sum[n] - sum[n - 1], time - begin[n - 1]);
}
