/* Arrows from op to dependent, and along the critical path. */

const MOST_ARROWS = 600;
const NEIGHBOURS = 12; /* px between ops of a lane that are too near for a curve */
const MOST_LINKS = 3000; /* of the path in view */

class Arrows {
  constructor(recording, lanes, view, palette) {
    Object.assign(this, { recording, lanes, view, palette });
    this.all = false; /* between all ops in view */
  }

  /* y of a row's middle on the stage; null where its lane is closed. */
  #middle(row, scrollTop) {
    const { lane } = row;
    return lane.closed ? lane.top - scrollTop + HEAD_HEIGHT / 2 : lane.top - scrollTop + row.top + row.height / 2;
  }

  ofSelected(context, op, scrollTop) {
    const inputs = [...this.recording.inputsOf(op)].filter((input) => input >= 0).slice(0, MOST_ARROWS);
    const dependents = [...this.recording.dependentsOf(op)].slice(0, MOST_ARROWS);
    for (const input of inputs)
      this.#arrow(context, input, op, scrollTop, this.palette.ink, 1.5);
    for (const dependent of dependents)
      this.#arrow(context, op, dependent, scrollTop, this.palette.accent, 1.5);
  }

  /* Between ops in view, as long as they are not too many to be told apart. */
  ofView(context, scrollTop) {
    const { view, lanes } = this;
    let drawn = 0;
    context.globalAlpha = 0.55;
    for (const row of lanes.rows)
      if (row.lane.kind === "worker" && row.shape === "bar") {
        const level = row.pyramid.levels[0], [first, last] = Pyramid.range(level, view.begin, view.end);
        if (last - first > MOST_ARROWS)
          continue;
        for (let i = first; i < last && drawn < MOST_ARROWS; i++) {
          const op = row.op(level.ref[i]);
          if (op >= 0 && lanes.eventOf[op] === level.ref[i])
            for (const input of this.recording.inputsOf(op))
              if (input >= 0 && drawn++ < MOST_ARROWS)
                this.#arrow(context, input, op, scrollTop, this.palette.faint, 1);
        }
      }
    context.globalAlpha = 1;
  }

  /* From each op of the path to the next one, where these stand in different rows. */
  ofPath(context, scrollTop) {
    const { path } = this.recording, { view } = this;
    const last = firstAfter(path.start, view.end);
    let first = Math.max(0, firstAfter(path.start, view.begin) - 8), before = -1, links = 0;
    if (last - first > MOST_LINKS)
      return;
    for (; first < last + 8 && first < path.op.length && links < MOST_ARROWS; first++) {
      const op = path.op[first];
      if (op < 0 || op === before)
        continue;
      if (before >= 0 && this.lanes.rowOfOp[before] !== this.lanes.rowOfOp[op]) {
        this.#arrow(context, before, op, scrollTop, this.palette.critical, 2);
        links++;
      }
      before = op;
    }
  }

  /* Composites begin and end with the ops in them. */
  #first(op) {
    const children = this.recording.childrenOf(op);
    return children.length ? this.#first(children[0]) : op;
  }

  #last(op) {
    const children = this.recording.childrenOf(op);
    return children.length ? this.#last(children.at(-1)) : op;
  }

  #arrow(context, from, to, scrollTop, colour, width) {
    const source = this.lanes.placeOf(this.#last(from)), target = this.lanes.placeOf(this.#first(to));
    if (!source || !target)
      return;
    const x0 = this.#clamp(this.view.x(source.end)), x1 = this.#clamp(this.view.x(target.begin));
    if ((x0 < 0 && x1 < 0) || (x0 > this.view.width && x1 > this.view.width))
      return;
    const y0 = this.#middle(source.row, scrollTop), y1 = this.#middle(target.row, scrollTop);
    if (y0 === y1 && x1 - x0 < NEIGHBOURS)
      return drawHop(context, x0, x1, y0, colour, width);
    drawArrow(context, x0, y0, x1, y1, colour, width);
  }

  /* Far outside, canvases lose their precision. */
  #clamp(x) {
    return Math.max(-3000, Math.min(this.view.width + 3000, x));
  }
}

/* From the end of one into the beginning of the next, right behind it. */
function drawHop(context, x0, x1, y, colour, width) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(x0 - 6, y);
  context.lineTo(x1 + 1, y);
  context.stroke();
  context.beginPath();
  context.arc(x0 - 6, y, 2, 0, 2 * Math.PI);
  context.moveTo(x1 + 7, y);
  context.lineTo(x1, y - 3.5);
  context.lineTo(x1, y + 3.5);
  context.fill();
}

function drawArrow(context, x0, y0, x1, y1, colour, width) {
  const level = y0 === y1, bow = Math.max(level ? 2 : 14, Math.min(90, Math.abs(x1 - x0) / 2)), sag = level ? 22 : 0;
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x0 + bow, y0 + sag, x1 - bow - (level ? 0 : 5), y1 + sag, x1 - 4, y1);
  context.stroke();
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - 7, y1 - 3.5);
  context.lineTo(x1 - 7, y1 + 3.5);
  context.fill();
}
