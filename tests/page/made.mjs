/* A recording that never was, of any size: requests of a small model on two devices, called from two
 * threads, with composites, copies, waits, callbacks, and ops that failed, were cancelled or timed
 * out. The same numbers give the same recording. */

const LAYERS = [["linear_with_relu", ["matmul", "add", "relu"]], ["attention", ["matmul", "scale", "softmax", "matmul"]],
                ["linear", ["matmul", "add"]], [null, ["softmax"]]];
const COSTS = { matmul: 9000, add: 1500, relu: 1100, scale: 800, softmax: 4200, copy: 2500 }; /* ns */
const KINDS = ["execute", "create", "copy", "body", "callback", "wait", "rest", "submit", "wake", "gap"];
const STATUSES = ["OK", "EINVAL", "EKERNEL", "ECANCELED", "ETIMEDOUT"];
const WHATS = ["execute", "create", "copy", "queue", "worker", "dispatcher", "limit", "host", "wake", "callback", "start"];

const COLUMNS = ["number", "kind", "name", "parent", "site", "plan", "error", "group", "priority", "status", "flags",
  "lane", "device", "submitted", "resolved", "launched", "began", "created", "ended", "completed", "bytes", "waited_for"];
const ZERO = new Set(["kind", "priority", "status", "flags", "lane", "bytes"]); /* what they are where nothing is said; the others -1 */

const NAMED = LAYERS.flatMap((layer) => layer[1]), PLANNED = Object.keys(COSTS);

function randomFrom(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

class Maker {
  constructor(ops, seed) {
    this.random = randomFrom(seed);
    this.wanted = ops;
    this.names = [];
    this.lanes = [["application", "main", -1], ["application", "reader", -1], ["dispatcher", "dispatcher", -1],
                  ["worker", "cpu:0", 0], ["worker", "cpu:1", 1], ["device", "cpu:0", 0], ["device", "cpu:1", 1]]
      .map(([kind, name, device], i) => ({ kind, name, device, tid: kind === "device" ? 0 : 4711 + i, events: [] }));
    this.clock = [0, 0];  /* of the application's threads */
    this.free = [0, 0];   /* when devices are free */
    this.ops = Object.fromEntries(COLUMNS.map((key) => [key, []]));
    this.inputs = [];
    this.path = [];
  }

  name(text) {
    const i = this.names.indexOf(text);
    return i >= 0 ? i : this.names.push(text) - 1;
  }

  event(lane, kind, name, start, duration, op = -1, depth = 0) {
    this.lanes[lane].events.push({ kind: KINDS.indexOf(kind), name: this.name(name), start: Math.round(start), duration: Math.round(duration), op, depth });
  }

  row(fields, inputs) {
    const i = this.ops.number.length;
    for (const key of COLUMNS)
      this.ops[key].push(Math.round(key === "number" ? i + 1 : fields[key] ?? (ZERO.has(key) ? 0 : -1)));
    this.inputs.push(inputs);
    return i;
  }

  /* One op, submitted by `lane` now, on `device`, after its inputs. */
  op(lane, name, device, inputs, parent, fate) {
    const submitted = this.clock[lane] += 180 + this.random() * 150;
    const cost = COSTS[name] * (0.85 + 0.4 * this.random()) * (this.random() < 0.01 ? 6 : 1);
    const ready = Math.max(submitted + 900, ...inputs.map((i) => (this.ops.device[i] === device ? 0 : this.ops.completed[i] + 2200)));
    const resolved = submitted + 400 + 300 * this.random(), launched = ready;
    this.event(lane, "submit", name, submitted, 0, this.ops.number.length);
    const fields = { name: this.name(name), parent, lane, submitted, resolved, site: NAMED.indexOf(name), plan: PLANNED.indexOf(name), device };
    if (fate === "ECANCELED")
      return this.row({ ...fields, status: 3, error: 1, completed: resolved + 500 }, inputs);
    const began = Math.max(this.free[device] + 60, launched + 350), create = 220 + 120 * this.random(), miss = this.random() < 0.004;
    const created = began + create + (miss ? 40000 : 0), ended = created + (fate === "EKERNEL" ? cost / 3 : cost);
    this.free[device] = ended;
    const waited_for = inputs.reduce((last, input) => (this.ops.ended[input] >= 0 && this.ops.ended[input] <= began && !(this.ops.ended[last] > this.ops.ended[input]) ? input : last), -1);
    if (inputs.length && this.ops.device[inputs[0]] !== device)
      this.event(2, "wake", `cpu:${device}`, launched, 0);
    const i = this.row({ ...fields, waited_for, launched, began, created, ended, completed: ended + 700 + 600 * this.random(), bytes: 32768, flags: miss ? 2 : 0,
                         status: STATUSES.indexOf(fate), error: fate === "EKERNEL" ? 0 : fate === "ETIMEDOUT" ? 2 : -1 }, inputs);
    this.event(3 + device, "create", name, began, created - began, i);
    this.event(3 + device, name === "copy" ? "copy" : "execute", name, created, ended - created, i);
    this.event(5 + device, name === "copy" ? "copy" : "execute", name, created, ended - created, i);
    this.last = i;
    return i;
  }

  fate() {
    const r = this.random();
    return r < 0.0015 ? "EKERNEL" : r < 0.003 ? "ECANCELED" : r < 0.0038 ? "ETIMEDOUT" : "OK";
  }

  /* A composite and its children, one after another. */
  layer(lane, [composite, names], device, inputs) {
    const from = this.clock[lane] += 120;
    const parent = composite ? this.row({ name: this.name(composite), kind: 1, lane, submitted: from, site: 8 }, inputs) : -1;
    let last = inputs;
    for (const name of names)
      last = [this.op(lane, name, device, last, parent, this.fate())];
    if (parent >= 0) {
      this.ops.completed[parent] = this.ops.completed[last[0]];
      this.ops.resolved[parent] = Math.round(from + 200);
      this.event(lane, "body", composite, from, this.clock[lane] + 150 - from, parent);
      this.clock[lane] += 200;
    }
    return last;
  }

  /* A model's request: half on one device, half on the other. */
  request(n) {
    const lane = n % 3 ? 0 : 1, first = n % 2;
    let last = [];
    for (const layer of [LAYERS[0], LAYERS[1], LAYERS[0]])
      last = this.layer(lane, layer, first, last);
    last = [this.op(lane, "copy", 1 - first, last, -1, "OK")];
    for (const layer of [LAYERS[0], LAYERS[2], LAYERS[3]])
      last = this.layer(lane, layer, 1 - first, last);
    const done = this.ops.completed[last[0]];
    this.event(2, "callback", "softmax", Math.max(done, this.called ?? 0), 1500, last[0]);
    this.called = Math.max(done, this.called ?? 0) + 1600;
    if (n % 8 === 7 && done > this.clock[lane]) {
      this.event(lane, "wait", "complete", this.clock[lane], done + 900 - this.clock[lane], last[0]);
      this.clock[lane] = done + 900;
    }
    if (n % 40 === 39)
      this.clock[lane] += 90000; /* a blocking read */
  }

  rests() {
    for (const [lane, device] of [[3, 0], [4, 1]]) {
      let last = 0;
      for (const { start, duration, kind } of [...this.lanes[lane].events]) {
        if (start - last > 1500) {
          this.event(lane, "rest", start - last > 20000 ? "sleeps" : "looks", last, start - last);
          this.event(5 + device, "gap", ["nothing submitted", "another device", "the host", "the dispatcher", "limit reached"][Math.floor(this.random() * 5)], last, start - last);
        }
        last = Math.max(last, start + duration);
      }
    }
  }

  /* Back from the last op, by what each waited for. */
  critical(duration) {
    let op = this.last, end = duration;
    const add = (begin, what, of) => {
      if (end > begin)
        this.path.push({ start: begin, duration: end - begin, op: of, lane: of < 0 ? 0 : 3 + this.ops.device[of], what: WHATS.indexOf(what) });
      end = Math.min(end, begin);
    };
    const before = new Map();
    for (const device of [0, 1]) {
      let last = -1;
      this.ops.began.forEach((began, i) => {
        if (began >= 0 && this.ops.device[i] === device) {
          before.set(i, last);
          last = i;
        }
      });
    }
    add(this.ops.ended[op], "dispatcher", op);
    while (op >= 0) {
      const { created, began, launched, submitted, ended } = this.ops;
      add(created[op], "execute", op);
      add(began[op], "create", op);
      const queue = before.get(op) ?? -1, input = this.inputs[op].find((i) => this.ops.device[i] !== this.ops.device[op] && ended[i] >= 0) ?? -1;
      const next = queue >= 0 && ended[queue] > began[op] - 500 ? queue : input >= 0 ? input : queue;
      if (next < 0)
        break;
      add(ended[next], next === queue ? "worker" : "wake", op);
      op = next;
    }
    add(0, "start", -1);
    this.path.reverse();
  }

  counters(duration) {
    const steps = Math.min(4000, Math.ceil(this.ops.number.length / 2)), time = Array.from({ length: steps }, (_, i) => Math.round((i * duration) / steps));
    let memory = 2 ** 20;
    const memories = time.map(() => (memory = Math.max(2 ** 18, memory + (this.random() - 0.495) * 2 ** 18)));
    const depth = (device) => {
      const changes = [];
      this.ops.launched.forEach((launched, i) => {
        if (this.ops.device[i] === device && launched >= 0)
          changes.push([launched, 1], [this.ops.began[i], -1]);
      });
      changes.sort((a, b) => a[0] - b[0]);
      let n = 0;
      return { time: changes.map((change) => change[0]), value: changes.map((change) => (n += change[1])) };
    };
    return [{ name: "memory", device: -1, unit: "bytes", time, value: memories.map(Math.round) },
            { name: "queued", device: 0, unit: "ops", ...depth(0) }, { name: "queued", device: 1, unit: "ops", ...depth(1) },
            { name: "dispatcher, CPU", device: -1, unit: "%", time, value: time.map(() => 30 + Math.round(this.random() * 40)) }];
  }

  make() {
    for (let n = 0; this.ops.number.length < this.wanted; n++)
      this.request(n);
    this.rests();
    const duration = Math.max(1, ...this.ops.completed.slice(-100), this.called ?? 0) + 3000;
    if (this.last !== undefined)
      this.critical(duration);
    return this.data(duration);
  }

  data(duration) {
    const events = { start: [], duration: [], kind: [], name: [], op: [], depth: [] };
    const lanes = this.lanes.map(({ kind, name, tid, device, events: own }) => {
      const first = events.start.length;
      own.sort((a, b) => a.start - b.start || b.duration - a.duration);
      for (const event of own)
        for (const key of Object.keys(events))
          events[key].push(event[key]);
      return { kind, name, tid, device, first, count: own.length };
    });
    const column = (key) => this.path.map((step) => step[key]);
    const sums = new Map();
    for (const { what, duration: time } of this.path)
      sums.set(what, (sums.get(what) ?? 0) + time);
    return {
      version: 1,
      recording: { file: "made.trace", program: "classify", library: "0.1.0", pid: 4711, started: "2026-11-22T22:30:00.123456Z", duration, length: duration, flight: false,
                   whole: true, drained: true, records: events.start.length, lost: 0, strangers: 0, left_out: 0 },
      devices: [{ name: "cpu:0", host_memory: true }, { name: "cpu:1", host_memory: true }], lanes, names: this.names, kinds: KINDS, events,
      ops: { ...this.ops, ...this.graph() }, statuses: STATUSES,
      sites: [...LAYERS.flatMap(([composite, ops]) => ops.map((_, i) => ({ file: "tools/model/classify.c", line: 40 + i, composite: composite ?? "" }))), { file: "tools/model/classify.c", line: 31, composite: "" }],
      plans: PLANNED.map((name) => ({ name, attrs: name === "matmul" ? "transpose_b" : name === "softmax" ? "axis = -1" : "", inputs: name === "matmul" ? ["f32[64, 128]", "f32[128, 128]"] : ["f32[64, 128]"],
                                               outputs: ["f32[64, 128]"], bytes: 32768, flops: name === "matmul" ? 2 * 64 * 128 * 128 : 8192 })),
      errors: ["the kernel found a NaN in row 3", "matmul: given up before it started (classify.c:40)", "the time allowed, 20 ms, ran out"],
      counters: this.counters(duration),
      path: { start: column("start"), duration: column("duration"), op: column("op"), lane: column("lane"), what: column("what"), whats: WHATS,
              gains: [...sums].map(([what, time]) => ({ what: WHATS[what], time, gain: Math.round(time * 0.8) })) },
    };
  }

  graph() {
    const dependents = this.inputs.map(() => []);
    this.inputs.forEach((list, op) => list.forEach((input) => dependents[input].push(op)));
    const packed = (lists) => [[0, ...lists.map(((n) => (list) => (n += list.length))(0))], lists.flat()];
    const [inputs_at, inputs] = packed(this.inputs), [dependents_at, all] = packed(dependents);
    return { inputs_at, inputs, dependents_at, dependents: all };
  }
}

/* `ops`: about how many. */
export function makeRecording(ops, seed = 1) {
  return new Maker(ops, seed).make();
}
