/* What lies over the lanes and changes with the pointer: outlines, arrows, the pointer's moment, a
 * stretch of time that is being marked. */

class Overlay {
  constructor(recording, lanes, view, palette, selection, arrows) {
    Object.assign(this, { recording, lanes, view, palette, selection, arrows });
    this.hover = null;  /* {row, begin, end} */
    this.x = -1;        /* the pointer's, px; -1: it is elsewhere */
    this.marked = null; /* [begin, end], ns */
    this.path = false;  /* with the links of the critical path */
  }

  /* A canvas that is empty costs nothing where it is hidden; the pointer's line is no part of it. */
  show(canvas, scrollTop, height) {
    const empty = !this.arrows.all && !this.path && !this.marked && !this.hover && this.selection.op < 0;
    const line = byId("pointer");
    line.hidden = this.x < 0;
    line.style.transform = `translateX(${Math.round(this.x)}px)`;
    if (empty && canvas.hidden)
      return;
    this.#paint(fitCanvas(canvas, this.view.width, height), scrollTop, height);
    canvas.hidden = empty;
  }

  #paint(context, scrollTop, height) {
    const { view, palette, selection } = this;
    context.clearRect(0, 0, view.width, height);
    if (this.arrows.all)
      this.arrows.ofView(context, scrollTop);
    if (this.path)
      this.arrows.ofPath(context, scrollTop);
    if (this.marked)
      this.#mark(context, height);
    if (this.hover)
      this.#outline(context, this.hover, scrollTop, palette.ink, 1);
    if (selection.op >= 0)
      this.#selected(context, scrollTop);
  }

  /* Without the pointer. */
  paintOnPaper(context) {
    if (this.path)
      this.arrows.ofPath(context, 0);
    if (this.selection.op >= 0)
      this.#selected(context, 0);
  }

  #selected(context, scrollTop) {
    const { op } = this.selection, ops = [op, ...this.recording.childrenOf(op)];
    for (const each of ops) {
      const place = this.lanes.placeOf(each);
      if (place)
        this.#outline(context, place, scrollTop, this.palette.accent, each === op ? 2.5 : 1.5);
    }
    this.arrows.ofSelected(context, op, scrollTop);
  }

  #outline(context, { row, begin, end }, scrollTop, colour, width) {
    const { lane } = row, x0 = Math.max(-9, this.view.x(begin)), x1 = Math.min(this.view.width + 9, this.view.x(end));
    const top = lane.top - scrollTop + (lane.closed ? 9 : row.top), height = lane.closed ? 8 : row.height;
    if (x1 < -4 || x0 > this.view.width + 4)
      return;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(Math.round(x0) - 0.5, top - 0.5, Math.max(3, Math.round(x1 - x0)), height + 1);
  }

  #mark(context, height) {
    const [begin, end] = this.marked.map((time) => this.view.x(time)), from = Math.min(begin, end), to = Math.max(begin, end);
    context.fillStyle = this.palette.accent;
    context.globalAlpha = 0.16;
    context.fillRect(from, 0, to - from, height);
    context.globalAlpha = 1;
    context.fillRect(Math.round(from), 0, 1, height);
    context.fillRect(Math.round(to), 0, 1, height);
    context.font = FONT;
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillStyle = this.palette.ink;
    context.fillText(formatDuration(Math.abs(this.marked[1] - this.marked[0])), (from + to) / 2, 6);
  }
}
