/* Draws the lanes. */

const DIMMED = 0.2; /* opacity of what is not in question */
const HIDDEN = 0.05;

class Painter {
  constructor(recording, lanes, view, palette, search) {
    Object.assign(this, { recording, lanes, view, palette, search });
    this.critical = false; /* the critical path stands out */
  }

  /* All lanes from `scrollTop` on, on `height` px. */
  paint(context, scrollTop, height) {
    const { view, palette } = this, labels = [];
    context.fillStyle = palette.paper;
    context.fillRect(0, 0, view.width, height);
    this.#grounds(context, scrollTop, height);
    this.#grid(context, height);
    for (const lane of this.lanes.list)
      if (lane.top < scrollTop + height && lane.top + lane.height > scrollTop)
        this.#lane(context, lane, lane.top - scrollTop, labels);
    drawLabels(context, labels, palette);
  }

  /* Threads and devices stand on paper, lanes of devices on a tint. */
  #grounds(context, scrollTop, height) {
    const { view, palette } = this;
    for (const lane of this.lanes.list) {
      const top = lane.top - scrollTop;
      if (top > height || top + lane.height < 0)
        continue;
      if (lane.kind === "device" || lane.kind === "path") {
        context.fillStyle = palette.lane;
        context.fillRect(0, top, view.width, lane.height);
      }
      context.fillStyle = palette.edge;
      context.fillRect(0, top + lane.height - 1, view.width, 1);
    }
  }

  #grid(context, height) {
    const { view, palette } = this, step = tickStep(view.nsPerPx * TICK_ROOM);
    context.fillStyle = palette.edge;
    context.globalAlpha = 0.6;
    for (let time = Math.ceil(view.begin / step) * step; time <= view.end; time += step)
      context.fillRect(Math.round(view.x(time)), 0, 1, height);
    context.globalAlpha = 1;
  }

  #lane(context, lane, top, labels) {
    if (lane.closed)
      return this.#closed(context, lane, top);
    for (const row of lane.rows)
      this.#row(context, row, top + row.top, labels);
  }

  /* A closed lane shows its last row, thin. */
  #closed(context, lane, top) {
    const row = lane.rows.at(-1), height = row.height;
    row.height = 8;
    this.#row(context, row, top + 9, null);
    row.height = height;
  }

  #row(context, row, top, labels) {
    const { view, palette } = this;
    if (row.shape === "counter")
      return drawCounter(context, row, view, palette, top);
    if (row.shape === "busy")
      return drawBusy(context, row, view, palette, top);
    const part = this.#part(row);
    const ground = part ? (this.search.only && row.matching ? HIDDEN : DIMMED) : 1;
    drawBars(context, row, row.pyramid, view, palette, top, ground, part ? null : labels);
    if (part)
      drawBars(context, row, part, view, palette, top, 1, labels);
    if (row.critical)
      this.#underline(context, row, top);
  }

  /* What stands out of the row; null when all of it does. */
  #part(row) {
    if (row.matching)
      return row.matching;
    return this.critical ? row.critical : null;
  }

  /* Ops on the critical path have a line along their foot. */
  #underline(context, row, top) {
    const { view } = this, level = row.critical.level(view.nsPerPx), thick = this.critical ? 4 : 3;
    const [first, last] = Pyramid.range(level, view.begin, view.end);
    context.fillStyle = this.palette.critical;
    let until = -1;
    for (let i = first; i < last; i++) {
      const x = Math.max(until, Math.floor(view.x(level.begin[i]))), right = Math.max(x + 1, Math.floor(view.x(level.end[i])));
      if (x < until)
        continue;
      context.fillRect(x, top + row.height - thick, right - x, thick);
      until = right;
    }
  }
}

const COLUMN = 2; /* px */

/* How busy the device was, in each column. */
function drawBusy(context, row, view, palette, top) {
  const step = view.nsPerPx * COLUMN, full = row.height / (step * row.workers), bottom = top + row.height;
  context.fillStyle = palette.accent;
  context.globalAlpha = 0.7;
  let before = row.busyUntil(view.begin);
  for (let x = 0, time = view.begin + step; x < view.width; x += COLUMN, time += step) {
    const until = row.busyUntil(time), height = (until - before) * full;
    if (height > 0.01)
      context.fillRect(x, bottom - Math.max(1, height), COLUMN, Math.max(1, height));
    before = until;
  }
  context.globalAlpha = 1;
}

/* A counter's highest value in each column. Columns of one value are one rectangle. */
function drawCounter(context, row, view, palette, top) {
  const bottom = top + row.height, scale = row.height / row.full, step = view.nsPerPx * COLUMN;
  context.fillStyle = palette.accent;
  context.globalAlpha = 0.3;
  let last = row.at(view.begin), from = 0, shown = 0;
  const fill = (to) => shown > 0 && context.fillRect(from, bottom - Math.max(1, shown * scale), to - from, Math.max(1, shown * scale));
  for (let x = 0, time = view.begin + step; x < view.width; x += COLUMN, time += step) {
    const here = row.at(time), value = here < 0 ? 0 : here > last ? row.highestIn(last + 1, here) : row.value[here];
    if (value !== shown) {
      fill(x);
      from = x;
      shown = value;
    }
    last = here;
  }
  fill(view.width);
  context.globalAlpha = 1;
  if (row.height < 16)
    return;
  context.font = SMALL_FONT;
  context.textBaseline = "top";
  context.textAlign = "right";
  const width = widthOf(context, row.fullText);
  context.fillStyle = palette.paper;
  context.globalAlpha = 0.75;
  context.fillRect(view.width - width - 9, top, width + 6, 12);
  context.globalAlpha = 1;
  context.fillStyle = palette.faint;
  context.fillText(row.fullText, view.width - 6, top + 1);
}
