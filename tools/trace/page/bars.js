/* Draws the items of a row. What is narrower than two pixels is summed up in columns of one pixel:
 * its density shows as opacity. */

const NARROW = 2;      /* px */
const LABEL_ROOM = 26; /* px that a bar needs for a label */
const FAINTEST = 0.3;  /* opacity of a column with anything in it */

/* One row's columns: a picture one pixel high, which is stretched over the row. */
class Columns {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.canvas.height = 1;
  }

  /* Empty, `width` px wide, for blocks of `row`. */
  begin(row, palette, width) {
    if (this.canvas.width !== width || !this.image) {
      this.canvas.width = width;
      this.image = new ImageData(width, 1);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(0);
    Object.assign(this, { row, palette, column: -1, used: false });
  }

  /* A block that takes `part` of column x. */
  add(x, ref, part) {
    if (x !== this.column) {
      this.#close();
      this.column = x;
      this.part = 0;
      this.most = -1;
    }
    this.part += part;
    if (part > this.most) {
      this.most = part;
      this.ref = ref;
    }
  }

  #close() {
    if (this.column < 0)
      return;
    const opacity = FAINTEST + (1 - FAINTEST) * Math.min(1, this.part);
    const fill = this.row.fill(this.ref, this.palette);
    this.pixels[this.column] = this.palette.pixel(fill) | ((opacity * 255) << 24);
    this.used = true;
  }

  end(context, top, height, alpha) {
    this.#close();
    if (!this.used)
      return;
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
    context.globalAlpha = alpha;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0, this.canvas.width, 1, 0, top, this.canvas.width, height);
  }
}

const columns = new Columns();

/* `pyramid`: the row's own, or a part of it. labels: what is to be written is put there. */
function drawBars(context, row, pyramid, view, palette, top, alpha, labels) {
  const level = pyramid.level(view.nsPerPx), [first, last] = Pyramid.range(level, view.begin, view.end);
  const scale = view.width / (view.end - view.begin), isMark = row.shape === "mark", width = Math.ceil(view.width);
  columns.begin(row, palette, width);
  for (let i = first; i < last; i++) {
    const x = (level.begin[i] - view.begin) * scale, right = (level.end[i] - view.begin) * scale;
    if (right - x >= NARROW)
      drawBlock(context, row, level, i, x, right, top, alpha, palette, view, labels);
    else if (right >= 0 && x < width)
      columns.add(Math.max(0, Math.floor(x)), level.ref[i], isMark ? level.count[i] / 3 : level.busy[i] * scale);
  }
  columns.end(context, top, row.height, alpha);
  context.globalAlpha = 1;
}

function drawBlock(context, row, level, i, x, right, top, alpha, palette, view, labels) {
  const ref = level.ref[i], fill = row.fill(ref, palette);
  drawBar(context, row, ref, fill, Math.max(-4, x), Math.min(view.width + 4, right), top, alpha * density(level, i));
  if (right - x > LABEL_ROOM && level.count[i] === 1)
    labels?.push([row.label(ref), Math.max(0, x), Math.min(view.width, right), top, row, ref, alpha]);
}

/* A block of several items is as dense as they are. */
function density(level, i) {
  return level.count[i] === 1 ? 1 : Math.max(0.3, level.busy[i] / (level.end[i] - level.begin[i] || 1));
}

function drawBar(context, row, ref, fill, x, right, top, alpha) {
  const left = Math.round(x * 2) / 2, width = Math.max(1, Math.round(right * 2) / 2 - left - (right - x > 5 ? 1 : 0));
  context.globalAlpha = alpha * row.alpha(ref);
  context.fillStyle = fill;
  if (row.shape !== "bracket") {
    context.fillRect(left, top, width, row.height);
    return;
  }
  context.globalAlpha = alpha * 0.35;
  context.fillRect(left, top, width, row.height);
  context.globalAlpha = alpha;
  context.fillRect(left, top, width, 2);
}

const FONT = '11.5px system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif';
const SMALL_FONT = FONT.replace("11.5", "10");

/* The widths of texts, of each font. */
const textWidths = new Map();

function widthOf(context, text) {
  const key = context.font + text;
  let width = textWidths.get(key);
  if (width === undefined) {
    if (textWidths.size > 20000)
      textWidths.clear();
    textWidths.set(key, width = context.measureText(text).width);
  }
  return width;
}

/* The text, or as much of its beginning as fits; "" where that would tell nothing. */
function clipped(context, text, room) {
  const width = widthOf(context, text);
  if (width <= room)
    return text;
  const letters = Math.floor((text.length * (room - 8)) / width);
  return letters < Math.min(5, text.length / 2) ? "" : `${text.slice(0, letters)}…`;
}

function drawLabels(context, labels, palette) {
  context.textBaseline = "middle";
  context.textAlign = "left";
  for (const [text, x, right, top, row, ref, alpha] of labels) {
    context.font = row.height < 16 ? SMALL_FONT : FONT;
    const shown = clipped(context, text, right - x - 9);
    if (!shown)
      continue;
    context.globalAlpha = alpha;
    context.fillStyle = labelColour(row, ref, palette);
    context.fillText(shown, x + 5, top + row.height / 2 + 0.5);
  }
  context.globalAlpha = 1;
}

/* On a full colour its own ink; on patterns and pale fills that of the page. */
function labelColour(row, ref, palette) {
  const fill = row.fill(ref, palette), op = row.op(ref);
  if (fill === palette.failed)
    return palette.onFailed;
  if (typeof fill !== "string" || row.shape === "bracket" || row.alpha(ref) < 1)
    return palette.ink;
  return op >= 0 || fill === palette.callback ? palette.onOp : palette.ink;
}
