/* Colours: of ops, by name, and of everything else, by meaning. They come from theme.css. Meaning
 * never hangs on colour alone: what failed, was cancelled or waits has a pattern of its own. */

const OP_COLOURS = 10;
const COLOUR_NAMES = ["paper", "lane", "edge", "ink", "faint", "wait", "callback", "create", "rest", "failed",
  "cancelled", "timed-out", "critical", "accent", "other", "mark", "copy", "on-op", "on-failed"];

class Palette {
  /* The ops that took longest get the colours; the others share one. */
  constructor(recording, statistics) {
    this.rank = new Map(statistics.names.slice(0, OP_COLOURS).map((entry, i) => [entry.index, i]));
    this.recording = recording;
    this.read();
  }

  /* Again whenever the theme changes. */
  read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.ops = Array.from({ length: OP_COLOURS }, (_, i) => colour(`op-${i}`));
    for (const name of COLOUR_NAMES)
      this[name.replace(/-(.)/, (_, letter) => letter.toUpperCase())] = colour(name);
    this.pixels = new Map();
    this.ofOps = new Array(this.recording.count);
    this.patterns = {
      wait: this.#striped(this.wait, 0.22, 7, 1),
      rest: this.#striped(this.rest, 0.06, 6, 1),
      cancelled: this.#striped(this.cancelled, 0.5, 6, -1),
      timedOut: this.#striped(this.timedOut, 0.55, 6, 1),
      device: this.#striped(this.accent, 0.12, 8, 1),
      host: this.#striped(this.callback, 0.3, 8, -1),
      limit: this.#striped(this.timedOut, 0.14, 8, -1),
      dispatcher: this.#striped(this.other, 0.4, 8, 1),
    };
  }

  #striped(colour, pale, size, direction) {
    const pattern = stripes(colour, pale, size, direction);
    this.pixels.set(pattern, pixelOf(colour));
    return pattern;
  }

  /* The colour of a fill, of a pattern too, as an opaque pixel's lowest 24 bits. */
  pixel(fill) {
    if (!this.pixels.has(fill))
      this.pixels.set(fill, pixelOf(fill));
    return this.pixels.get(fill);
  }

  /* The colour of the ops of that name. */
  ofName(name) {
    const rank = this.rank.get(name);
    return rank === undefined ? this.other : this.ops[rank];
  }

  /* Of a device's idle time, by its cause. */
  gap(cause) {
    const { patterns } = this;
    return { "the host": patterns.host, "another device": patterns.device, "limit reached": patterns.limit,
             "nothing submitted": patterns.rest }[cause] ?? patterns.dispatcher;
  }

  get bracket() {
    return this.faint;
  }

  ofOutcome(outcome) {
    return [null, this.failed, this.patterns.cancelled, this.patterns.timedOut, null][outcome];
  }

  ofOp(op) {
    return this.ofOps[op] ??= this.ofOutcome(this.recording.outcome[op]) ?? this.ofName(this.recording.ops.name[op]);
  }
}

/* "#rrggbb" as a pixel in memory, with no opacity. */
function pixelOf(colour) {
  const rgb = parseInt(colour.slice(1), 16);
  return (rgb >> 16) | (rgb & 0xff00) | ((rgb & 0xff) << 16);
}

/* A pattern of slanting stripes: `colour`, with paler ones between. `direction`: 1 or -1. */
function stripes(colour, pale, size, direction) {
  const tile = make("canvas", { width: size * 2, height: size * 2 }), context = tile.getContext("2d");
  context.globalAlpha = pale;
  context.fillStyle = colour;
  context.fillRect(0, 0, size * 2, size * 2);
  context.globalAlpha = 1;
  context.strokeStyle = colour;
  context.lineWidth = size / 3.2;
  for (let shift = -2; shift <= 4; shift++) {
    context.beginPath();
    context.moveTo(shift * size, direction > 0 ? size * 2 : 0);
    context.lineTo((shift + 2) * size, direction > 0 ? 0 : size * 2);
    context.stroke();
  }
  const pattern = context.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(0.5));
  return pattern;
}
