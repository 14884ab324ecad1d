/* A counter over time: steps, each valid until the next. */

class CounterRow extends Row {
  constructor(height, counter) {
    super("counter", height, new Int32Array(0), () => 0, () => 0);
    this.time = column(Float64Array, counter.time);
    this.value = new Float64Array(counter.value);
    this.unit = counter.unit;
    this.peaks = peaksOf(this.value);
    this.highest = this.value.reduce((a, b) => Math.max(a, b), 0);
    this.full = niceTop(this.highest, counter.unit); /* what the row's upper edge stands for */
    this.fullText = formatValue(this.full, counter.unit);
  }

  /* The step that is valid at `time`; -1 before the first. */
  at(time) {
    return firstAfter(this.time, time) - 1;
  }

  valueAt(time) {
    const i = this.at(time);
    return i < 0 ? 0 : this.value[i];
  }

  /* The highest value of the steps from … to, both included. */
  highestIn(from, to) {
    let best = 0, level = 0, i = Math.max(0, from), j = to + 1;
    for (; i < j; i >>= 1, j >>= 1, level++) {
      if (i & 1)
        best = Math.max(best, this.peaks[level][i++]);
      if (j & 1)
        best = Math.max(best, this.peaks[level][--j]);
    }
    return best;
  }
}

/* Level k: the highest of 2^k neighbours each. */
function peaksOf(values) {
  const levels = [values];
  while (levels.at(-1).length > 1) {
    const below = levels.at(-1), level = new Float64Array(Math.ceil(below.length / 2));
    for (let i = 0; i < below.length; i++)
      level[i >> 1] = Math.max(level[i >> 1], below[i]);
    levels.push(level);
  }
  return levels;
}

/* What the upper edge of a counter stands for: a round number, not below the highest value. */
function niceTop(highest, unit) {
  if (unit === "%")
    return 100 * Math.max(1, Math.ceil(highest / 100));
  if (highest <= 0)
    return 1;
  const base = unit === "bytes" ? 2 : 10, power = base ** Math.floor(Math.log(highest) / Math.log(base) + 1e-9);
  return power * ([1, 1.5, 2, 3, 5, 8, 10].find((factor) => factor * power >= highest) ?? 10);
}
