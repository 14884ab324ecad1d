/* The items of one row at several levels of detail, so that a frame draws about as many as it has
 * pixels. Level 0 are the items: sorted by begin, without overlaps. On the level of width w those
 * neighbours are one block that fit into w together; what is longer stands for itself. */

const LEVEL_FACTOR = 4;
const LEVEL_ENOUGH = 64; /* blocks: no further level */

/* The first place in `sorted` whose value is more than `value`. */
function firstAfter(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > value)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* Blocks: columns of the same length. */
class Level {
  constructor(width, size) {
    this.width = width;                  /* ns */
    this.size = size;
    this.begin = new Float64Array(size); /* ns */
    this.end = new Float64Array(size);
    this.busy = new Float64Array(size);  /* ns of items, without what is between them */
    this.longest = new Float64Array(size); /* ns of the longest item */
    this.ref = new Int32Array(size);       /* that item's */
    this.count = new Uint32Array(size);    /* items */
  }

  /* The blocks that these become at a larger width. */
  merged(width) {
    const first = this.#firsts(width), size = first.length - 1, out = new Level(width, size);
    for (let i = 0; i < size; i++) {
      const from = first[i], to = first[i + 1];
      let busy = 0, count = 0, best = from, end = this.end[from];
      for (let j = from; j < to; j++) {
        busy += this.busy[j];
        count += this.count[j];
        if (this.longest[j] > this.longest[best])
          best = j;
        if (this.end[j] > end)
          end = this.end[j];
      }
      out.begin[i] = this.begin[from];
      out.end[i] = end;
      out.busy[i] = busy;
      out.count[i] = count;
      out.longest[i] = this.longest[best];
      out.ref[i] = this.ref[best];
    }
    return out;
  }

  /* Where each block of the larger width begins, and the end of the last. */
  #firsts(width) {
    const { begin, end, size } = this, first = new Int32Array(size + 1);
    let n = 0, limit = -Infinity;
    for (let j = 0; j < size; j++)
      if (end[j] > limit) {
        first[n++] = j;
        limit = begin[j] + width;
      }
    first[n] = size;
    return first.subarray(0, n + 1);
  }
}

class Pyramid {
  /* Of `refs`, whose items begin and end as the functions say. */
  constructor(refs, beginOf, endOf) {
    const ground = new Level(0, refs.length);
    for (let i = 0; i < refs.length; i++) {
      const begin = beginOf(refs[i]), end = Math.max(begin, endOf(refs[i]));
      ground.begin[i] = begin;
      ground.end[i] = end;
      ground.longest[i] = ground.busy[i] = end - begin;
      ground.ref[i] = refs[i];
    }
    ground.count.fill(1);
    this.levels = [ground];
    this.#build();
  }

  /* Each level has clearly fewer blocks than the one below; a row that is nowhere dense has one. */
  #build() {
    let top = this.levels[0];
    const extent = top.size ? top.end[top.size - 1] - top.begin[0] : 0;
    let width = LEVEL_FACTOR ** Math.ceil(Math.log(Math.max(1, extent / (top.size + 1))) / Math.log(LEVEL_FACTOR));
    for (; width < extent && top.size > LEVEL_ENOUGH; width *= LEVEL_FACTOR) {
      const next = top.merged(width);
      if (next.size < 0.7 * top.size)
        this.levels.push(top = next);
    }
  }

  get size() {
    return this.levels[0].size;
  }

  /* The coarsest level that shows everything that is `resolution` ns long. */
  level(resolution) {
    let best = this.levels[0];
    for (const level of this.levels)
      if (level.width <= resolution)
        best = level;
    return best;
  }

  /* The blocks of a level that touch begin … end: [first, last). */
  static range(level, begin, end) {
    return [Math.max(0, firstAfter(level.end, begin) - 1), firstAfter(level.begin, end)];
  }

  /* The item at `time`, or the nearest one within `reach` ns: its place on level 0, or -1. */
  find(time, reach) {
    const { begin, end, size } = this.levels[0];
    const after = firstAfter(begin, time), distance = (i) =>
      i < 0 || i >= size ? Infinity : Math.max(0, begin[i] - time, time - end[i]);
    const best = distance(after - 1) <= distance(after) ? after - 1 : after;
    return distance(best) <= reach ? best : -1;
  }
}

/* The numbers first … first+size-1. */
function numbersFrom(first, size) {
  const numbers = new Int32Array(size);
  for (let i = 0; i < size; i++)
    numbers[i] = first + i;
  return numbers;
}

/* Those of 0 … size-1 that `test` takes. */
function numbersOf(size, test) {
  const numbers = new Int32Array(size);
  let n = 0;
  for (let i = 0; i < size; i++)
    if (test(i))
      numbers[n++] = i;
  return numbers.slice(0, n);
}

/* `refs` in the order of `times`; fast where they are in order, or nearly, as of one thread. */
function inOrder(refs, times) {
  for (let i = 1; i < refs.length; i++)
    if (times[refs[i - 1]] > times[refs[i]])
      return refs.sort((a, b) => times[a] - times[b]);
  return refs;
}
