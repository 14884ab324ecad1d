/* What was recorded: tables of columns, and what can be asked of an op. An op, a site, … is the
 * number of its row; -1 stands for none, and in times for "did not happen". Times are in ns. */

const OP = 0, COMPOSITE = 1;
const PLAIN = 1, MISS = 2, ALIAS = 4, WAS_HELD = 8; /* flags of ops */

/* Kinds of events, whatever numbers the file gives them. */
const KIND_NAMES = ["execute", "create", "copy", "body", "callback", "wait", "rest", "submit", "wake", "gap"];
const [EXECUTE, CREATE, COPY, BODY, CALLBACK, WAIT, REST, SUBMIT, WAKE, GAP] = KIND_NAMES.keys();

/* Ways in which an op ends. */
const FINE = 0, FAILED = 1, CANCELLED = 2, TIMED_OUT = 3, UNFINISHED = 4;
const OUTCOMES = ["ok", "failed", "cancelled", "timed out", "not ended"];

const TIMES = ["submitted", "resolved", "launched", "began", "created", "ended", "completed"];
const INDICES = ["number", "kind", "name", "parent", "site", "plan", "error", "group", "priority", "status",
  "flags", "lane", "device", "inputs_at", "inputs", "dependents_at", "dependents", "waited_for"];

class Recording {
  constructor(data) {
    this.about = { program: "", begin: 0, duration: 0, length: 0, whole: true, lost: 0, left_out: 0, strangers: 0, ...data.recording };
    for (const list of ["devices", "lanes", "names", "statuses", "sites", "plans", "errors", "counters"])
      this[list] = data[list] ?? [];
    this.ops = columnsOf(data.ops ?? {}, INDICES, [...TIMES, "bytes"]);
    this.events = columnsOf(data.events ?? {}, ["kind", "name", "op", "depth"], ["start", "duration"]);
    this.events.kind = translated(this.events.kind, (data.kinds ?? KIND_NAMES).map((kind) => KIND_NAMES.indexOf(kind)));
    const path = data.path ?? {};
    this.path = { whats: path.whats ?? [], gains: path.gains ?? [],
                  ...columnsOf(path, ["op", "lane", "what"], ["start", "duration"]) };
    this.count = this.ops.number.length;
    this.outcome = this.#outcomes();
    this.begin = this.about.begin; /* the page shows begin … end of the recording */
    this.end = this.#end();
    this.onPath = this.#onPath();
    [this.childrenAt, this.children] = grouped(this.ops.parent, this.count);
  }

  #outcomes() {
    const kinds = this.statuses.map((status) => {
      const name = status.replace(/^TNR_/, "");
      return { OK: FINE, ECANCELED: CANCELLED, ETIMEDOUT: TIMED_OUT }[name] ?? FAILED;
    });
    return new Uint8Array(this.ops.status.map((status) => (status < 0 ? UNFINISHED : kinds[status] ?? FAILED)));
  }

  /* The axis must hold every event, also in a recording that was cut off. */
  #end() {
    let end = this.about.duration;
    const { start, duration } = this.events;
    for (let i = 0; i < start.length; i++)
      end = Math.max(end, start[i] + duration[i]);
    return Math.max(end, this.begin + 1);
  }

  #onPath() {
    const on = new Uint8Array(this.count);
    for (const op of this.path.op)
      if (op >= 0)
        on[op] = 1;
    return on;
  }

  /* How long is what is shown. */
  get duration() {
    return this.end - this.begin;
  }

  nameOf(op) {
    return this.names[this.ops.name[op]] ?? "op";
  }

  planOf(op) {
    return this.plans[this.ops.plan[op]] ?? null;
  }

  siteOf(op) {
    return this.sites[this.ops.site[op]] ?? null;
  }

  /* "model.c:12", or "". */
  placeOf(op) {
    const site = this.siteOf(op);
    return site?.file ? `${site.file}:${site.line}` : "";
  }

  inputsOf(op) {
    return this.ops.inputs.subarray(this.ops.inputs_at[op] ?? 0, this.ops.inputs_at[op + 1] ?? 0);
  }

  dependentsOf(op) {
    return this.ops.dependents.subarray(this.ops.dependents_at[op] ?? 0, this.ops.dependents_at[op + 1] ?? 0);
  }

  childrenOf(op) {
    return this.children.subarray(this.childrenAt[op], this.childrenAt[op + 1]);
  }

  /* The composites around an op, outermost first. */
  around(op) {
    const chain = [];
    for (let at = this.ops.parent[op]; at >= 0 && chain.length < 64; at = this.ops.parent[at])
      chain.unshift(at);
    return chain;
  }

  deviceName(device) {
    return device < 0 ? "host" : this.devices[device]?.name ?? `device ${device}`;
  }

  /* When it was first and last seen. */
  extentOf(op) {
    const times = TIMES.map((time) => this.ops[time][op]).filter((time) => time >= 0);
    let begin = Math.min(...times), end = Math.max(...times);
    for (const child of this.childrenOf(op)) {
      const extent = this.extentOf(child);
      begin = Math.min(begin, extent.begin);
      end = Math.max(end, extent.end);
    }
    return Number.isFinite(begin) ? { begin, end } : { begin: this.begin, end: this.end };
  }

  /* What somebody would call it. */
  titleOf(op) {
    return `${this.nameOf(op)} #${this.ops.number[op]}`;
  }
}

function columnsOf(table, indices, times) {
  const columns = {};
  for (const key of indices)
    columns[key] = column(Int32Array, table[key]);
  for (const key of times)
    columns[key] = column(Float64Array, table[key]);
  return columns;
}

/* Numbers from a list; or from a string: what each is more than the one before it, with its sign in
 * the lowest bit, in groups of 7 bits, the low ones first, each but the last with 128 added; these
 * bytes in base64. */
function column(Type, values = []) {
  return typeof values === "string" ? unpacked(Type, bytesOf(values)) : new Type(values);
}

function bytesOf(text) {
  if (Uint8Array.fromBase64)
    return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = letters.charCodeAt(i);
  return bytes;
}

function unpacked(Type, bytes) {
  let count = 0;
  for (let i = 0; i < bytes.length; i++)
    count += bytes[i] < 128 ? 1 : 0;
  const numbers = new Type(count);
  for (let i = 0, at = 0, last = 0; i < count; i++) {
    let value = 0, byte = 128;
    for (let scale = 1; byte > 127; scale *= 128) /* beyond 32 bits, where shifts end */
      value += ((byte = bytes[at++]) & 127) * scale;
    numbers[i] = last += value % 2 ? -(value + 1) / 2 : value / 2;
  }
  return numbers;
}

/* Each number replaced by that in its place of the table; -1 where it has none. */
function translated(column, table) {
  return column.map((number) => table[number] ?? -1);
}

/* The rows that have the same key, next to each other: those of key k are rows[at[k]] … */
function grouped(keys, count) {
  const at = new Int32Array(count + 1);
  for (const key of keys)
    if (key >= 0)
      at[key + 1]++;
  for (let k = 0; k < count; k++)
    at[k + 1] += at[k];
  const next = at.slice(0, count), rows = new Int32Array(at[count]);
  for (let row = 0; row < keys.length; row++)
    if (keys[row] >= 0)
      rows[next[keys[row]]++] = row;
  return [at, rows];
}

/* The recording of this page; null where it has none. */
function readRecording() {
  const element = byId("recording");
  if (!element)
    return null;
  const data = JSON.parse(element.textContent);
  element.remove(); /* the text is large */
  return new Recording(data);
}
