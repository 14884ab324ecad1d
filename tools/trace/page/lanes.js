/* Lanes: what stands below each other. First the critical path, then threads, devices with their
 * workers, and counters. */

const LANE_GAP = 6;    /* px above and below the rows of a lane */
const HEAD_HEIGHT = 26; /* px of a lane that is closed */

class Lane {
  constructor(kind, title, note, rows) {
    this.kind = kind;
    this.title = title;
    this.note = note;
    this.rows = rows;
    this.closed = false;
    this.top = 0; /* px, of all lanes; set by Lanes */
    let top = LANE_GAP;
    for (const row of rows) {
      row.lane = this;
      row.top = top;
      top += row.height + 2;
    }
    this.open = Math.max(top + LANE_GAP - 2, 36);
  }

  get height() {
    return this.closed ? HEAD_HEIGHT : this.open;
  }
}

class Lanes {
  constructor(recording) {
    this.recording = recording;
    this.eventOf = new Int32Array(recording.count).fill(-1); /* where an op is seen: its longest event */
    this.rowOfOp = new Array(recording.count);
    this.list = [...this.#path(), ...this.#threads(), ...this.#devices(), ...this.#counters()];
    this.rows = this.list.flatMap((lane) => lane.rows);
    this.#findOps();
    this.#findCritical();
    this.layOut();
  }

  layOut() {
    let top = 0;
    for (const lane of this.list) {
      lane.top = top;
      top += lane.height;
    }
    this.height = top;
  }

  #path() {
    const { recording } = this;
    if (!recording.path.start.length)
      return [];
    return [new Lane("path", "Critical path", "what decided the end", [new PathRow(22, recording)])];
  }

  #events(lane) {
    return numbersFrom(lane.first, lane.count);
  }

  #isBar(event) {
    const { kind } = this.recording.events;
    return kind[event] !== SUBMIT && kind[event] !== WAKE;
  }

  /* A row of the moments of that kind; none where there are none. */
  #marks(events, kind, caption) {
    const marks = events.filter((i) => this.recording.events.kind[i] === kind);
    if (!marks.length)
      return [];
    const row = new EventRow("mark", 8, marks, this.recording);
    row.caption = caption;
    return [row];
  }

  /* Rows of bars, one a depth. */
  #nested(events, height) {
    const { depth } = this.recording.events, rows = [];
    for (let d = 0, left = events.filter((i) => this.#isBar(i)); left.length && d < 12; d++) {
      const here = left.filter((i) => depth[i] === d);
      left = left.filter((i) => depth[i] > d);
      if (here.length)
        rows.push(new EventRow("bar", height, here, this.recording));
    }
    return rows;
  }

  #threads() {
    const { lanes } = this.recording;
    return [...lanes.filter((lane) => lane.kind === "application").map((lane) => this.#application(lane)),
            ...lanes.filter((lane) => lane.kind === "dispatcher").map((lane) => this.#dispatcher(lane))];
  }

  #application(lane) {
    const events = this.#events(lane);
    return new Lane("application", lane.name || "thread", thread(lane),
                    [...this.#marks(events, SUBMIT, "submits"), ...this.#marks(events, WAKE, "wakes"), ...this.#nested(events, 18)]);
  }

  #dispatcher(lane) {
    const { recording } = this, bars = this.#events(lane);
    const marks = [["resolves", "resolved"], ["launches", "launched"], ["completes", "completed"]].map(([name, column]) => {
      const times = recording.ops[column], refs = numbersOf(times.length, (op) => times[op] >= 0);
      const row = new MarkRow(8, name, inOrder(refs, times), times, recording);
      row.caption = name;
      this.completes = row; /* the last one */
      return row;
    });
    return new Lane("dispatcher", lane.name || "dispatcher", thread(lane),
                    [...marks, ...this.#marks(bars, WAKE, "wakes"), ...this.#nested(bars, 18)]);
  }

  /* Every device, and below it its workers. */
  #devices() {
    const { lanes } = this.recording, of = (kind, device) =>
      lanes.filter((lane) => lane.kind === kind && lane.device === device);
    const devices = [...new Set(lanes.filter(({ kind }) => kind === "device" || kind === "worker")
      .map((lane) => lane.device))].sort((a, b) => a - b);
    return devices.flatMap((device) => {
      const workers = of("worker", device);
      return [...of("device", device).map((lane) => this.#device(lane, workers.length)),
              ...workers.map((lane) => this.#worker(lane))];
    });
  }

  #device(lane, workers) {
    const { kind } = this.recording.events, events = this.#events(lane), gaps = events.filter((i) => kind[i] === GAP);
    const busy = new BusyRow(24, events.filter((i) => kind[i] !== GAP), workers, this.recording);
    const share = busy.busy(this.recording.begin, this.recording.end);
    const name = this.recording.deviceName(lane.device);
    return new Lane("device", name, `device, ${formatShare(share, 1)} busy`,
                    [busy, ...(gaps.length ? [new EventRow("bar", 13, gaps, this.recording)] : [])]);
  }

  #worker(lane) {
    const all = this.#events(lane), events = all.filter((i) => this.#isBar(i));
    const row = new EventRow("bar", 22, events, this.recording);
    return new Lane("worker", lane.name || "worker", thread(lane, "worker"),
                    [...this.#marks(all, WAKE, "wakes"), ...this.#brackets(events), row]);
  }

  /* Outermost composites first; at most three rows of them. */
  #brackets(events) {
    const { recording } = this, { start, duration, op } = recording.events, levels = [], chains = new Map();
    let ops = 0;
    for (const event of events) {
      if (op[event] < 0)
        continue;
      const parent = recording.ops.parent[op[event]], end = start[event] + duration[event];
      ops++;
      if (parent >= 0 && !chains.has(parent))
        chains.set(parent, [...recording.around(parent), parent].slice(0, 3));
      chains.get(parent)?.forEach((composite, depth) =>
        extend(levels[depth] ??= { op: [], begin: [], end: [], last: 0 }, composite, start[event], end, ops));
    }
    return levels.map((level) => new BracketRow(12, level, recording));
  }

  #counters() {
    const rows = this.recording.counters.map((counter) => [counter, new CounterRow(34, counter)]);
    return rows.filter(([, row]) => row.highest > 0).map(([counter, row]) => {
      const ofPlace = counter.device >= 0 || counter.unit === "bytes";
      const place = ofPlace ? this.recording.deviceName(counter.device) : "";
      const lane = new Lane("counter", counter.name, place, [row]);
      lane.row = row;
      return lane;
    });
  }

  /* Where each op is to be seen: executing, else being made by a composite's body, else completing. */
  #findOps() {
    const { duration, op } = this.recording.events;
    for (const row of this.rows)
      if (row instanceof EventRow && row.shape === "bar" && row.lane.kind !== "device")
        for (const event of row.pyramid.levels[0].ref)
          if (op[event] >= 0 && shows(row.kind(event)))
            if (this.eventOf[op[event]] < 0 || duration[event] > duration[this.eventOf[op[event]]]) {
              this.eventOf[op[event]] = event;
              this.rowOfOp[op[event]] = row;
            }
  }

  #findCritical() {
    for (const row of this.rows)
      if (row instanceof EventRow && row.lane.kind === "worker")
        row.critical = row.part((i) => row.op(i) >= 0 && this.recording.onPath[row.op(i)] && shows(row.kind(i)));
  }

  /* {row, begin, end}: where an op is drawn; null where it is not. */
  placeOf(op) {
    const { events, ops } = this.recording, event = this.eventOf[op];
    if (event >= 0)
      return { row: this.rowOfOp[op], begin: events.start[event], end: events.start[event] + events.duration[event] };
    const time = ops.completed[op];
    return time >= 0 && this.completes ? { row: this.completes, begin: time, end: time } : null;
  }

  /* The lane at a height of all lanes, px. */
  at(y) {
    return this.list.find((lane) => y >= lane.top && y < lane.top + lane.height) ?? null;
  }

  rowAt(y) {
    const lane = this.at(y);
    if (!lane || lane.closed)
      return null;
    return lane.rows.find((row) => y >= lane.top + row.top - 1 && y <= lane.top + row.top + row.height + 1) ?? null;
  }
}

/* Whether an event of this kind is the op itself. */
function shows(kind) {
  return kind <= BODY && kind >= 0;
}

/* Adds the worker's op number `n` to the composite's bracket, or begins another one where something
 * came between. */
function extend(level, composite, begin, end, n) {
  const i = level.op.length - 1;
  if (i >= 0 && level.op[i] === composite && level.last === n - 1)
    level.end[i] = Math.max(level.end[i], end);
  else {
    level.op.push(composite);
    level.begin.push(begin);
    level.end.push(end);
  }
  level.last = n;
}

function thread(lane, what = "thread") {
  return lane.tid > 0 ? `${what}, tid ${lane.tid}` : what;
}
