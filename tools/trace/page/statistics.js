/* Sums over a recording: of each op's name, of each device. */

function percentile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 0;
}

class Statistics {
  constructor(recording) {
    this.recording = recording;
    this.names = this.#perName();
    this.outcomes = OUTCOMES.map(() => 0);
    for (let op = 0; op < recording.count; op++)
      this.outcomes[recording.outcome[op]]++;
    this.misses = count(recording.ops.flags, (flags) => flags & MISS);
    this.computed = count(recording.ops.kind, (kind) => kind === OP);
  }

  /* What executed, the longest in sum first: [{name, count, total, median, p99, sorted, bytes}]. */
  #perName() {
    const { recording } = this, durations = new Map();
    for (let op = 0; op < recording.count; op++) {
      const time = recording.ops.kind[op] === OP ? executionOf(recording, op) : -1;
      if (time < 0)
        continue;
      const name = recording.ops.name[op];
      const entry = durations.get(name) ?? { times: [], bytes: 0 };
      entry.times.push(time);
      entry.bytes += Math.max(0, recording.ops.bytes[op] ?? 0);
      durations.set(name, entry);
    }
    return [...durations].map(([name, entry]) => summed(name, recording.names[name] ?? "op", entry))
      .sort((a, b) => b.total - a.total);
  }

  ofName(name) {
    return this.names.find((entry) => entry.index === name) ?? null;
  }
}

function summed(index, name, { times, bytes }) {
  const sorted = Float64Array.from(times).sort();
  return { index, name, count: sorted.length, total: sorted.reduce((sum, time) => sum + time, 0), bytes,
           median: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), sorted };
}

function count(column, test) {
  let n = 0;
  for (const value of column)
    if (test(value))
      n++;
  return n;
}
