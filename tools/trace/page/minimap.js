/* The whole recording in little, with what the view shows of it. Drag in it to go elsewhere, or its
 * edges to see more or less. */

const MINIMAP_HEIGHT = 52;
const GRIP = 7; /* px */

class Minimap {
  constructor(recording, lanes, view, palette) {
    Object.assign(this, { recording, lanes, view, palette });
    this.canvas = byId("minimap");
    this.picture = document.createElement("canvas");
    this.canvas.addEventListener("pointerdown", (event) => this.#grab(event));
    this.canvas.addEventListener("pointermove", (event) => this.#drag(event));
    this.canvas.addEventListener("pointerup", () => { this.held = null; });
    this.canvas.addEventListener("dblclick", () => view.showAll());
  }

  /* Draws it anew when it is next painted: the theme, the size or the search have changed. */
  forget() {
    this.drawn = false;
  }

  /* A view of its own: all of the time. */
  get #all() {
    const all = new View(this.recording.begin, this.recording.end);
    all.width = this.view.width;
    all.show(...all.whole, false);
    return all;
  }

  #draw() {
    const all = this.#all, context = fitCanvas(this.picture, all.width, MINIMAP_HEIGHT);
    const rows = this.lanes.rows.filter((row) => (row.shape === "bar" && row.lane.kind !== "device") || row.shape === "busy");
    const shown = rows.slice(0, 14), height = Math.max(2, Math.min(9, Math.floor((MINIMAP_HEIGHT - 12) / Math.max(1, shown.length)) - 1));
    context.clearRect(0, 0, all.width, MINIMAP_HEIGHT);
    shown.forEach((row, i) => {
      const full = row.height, top = 5 + i * (height + 1);
      row.height = height;
      if (row.shape === "busy")
        drawBusy(context, row, all, this.palette, top);
      else
        drawBars(context, row, row.matching ?? row.pyramid, all, this.palette, top, 0.85, null);
      row.height = full;
    });
    this.#marks(context, all);
    this.drawn = true;
  }

  /* Where something went wrong. */
  #marks(context, all) {
    const { outcome, ops } = this.recording;
    context.fillStyle = this.palette.failed;
    for (let op = 0, until = -9; op < outcome.length; op++)
      if (outcome[op] === FAILED || outcome[op] === TIMED_OUT) {
        const x = Math.floor(all.x(ops.completed[op]));
        if (x > until + 2 || x < until)
          context.fillRect(x - 1, MINIMAP_HEIGHT - 5, 3, 4);
        until = x;
      }
  }

  paint() {
    const { view, palette } = this;
    if (!this.drawn || this.picture.style.width !== `${view.width}px`)
      this.#draw();
    const context = fitCanvas(this.canvas, view.width, MINIMAP_HEIGHT), [x0, x1] = this.#window();
    context.clearRect(0, 0, view.width, MINIMAP_HEIGHT);
    context.drawImage(this.picture, 0, 0, view.width, MINIMAP_HEIGHT);
    context.fillStyle = palette.paper;
    context.globalAlpha = 0.55;
    context.fillRect(0, 0, x0, MINIMAP_HEIGHT);
    context.fillRect(x1, 0, view.width - x1, MINIMAP_HEIGHT);
    context.globalAlpha = 1;
    context.strokeStyle = palette.accent;
    context.lineWidth = 1.5;
    context.strokeRect(x0 + 0.75, 0.75, Math.max(3, x1 - x0) - 1.5, MINIMAP_HEIGHT - 1.5);
    context.fillStyle = palette.accent;
    for (const x of [x0, x1 - 3])
      context.fillRect(x, MINIMAP_HEIGHT / 2 - 8, 3, 16);
  }

  /* The view's edges, px. */
  #window() {
    const [first, last] = this.view.whole, x = (time) => ((time - first) / (last - first)) * this.view.width;
    const x0 = Math.max(0, x(this.view.begin)), x1 = Math.min(this.view.width, x(this.view.end));
    return [x0, Math.max(x1, x0 + 3)];
  }

  #time(px) {
    const [first, last] = this.view.whole;
    return first + (px / this.view.width) * (last - first);
  }

  #grab(event) {
    const [x0, x1] = this.#window(), x = event.offsetX;
    this.canvas.setPointerCapture(event.pointerId);
    const edge = x1 - x0 > 3 * GRIP;
    if (edge && Math.abs(x - x0) < GRIP)
      this.held = { edge: "begin" };
    else if (edge && Math.abs(x - x1) < GRIP)
      this.held = { edge: "end" };
    else {
      const inside = x > x0 && x < x1, middle = (this.view.begin + this.view.end) / 2;
      this.held = { offset: inside ? this.#time(x) - middle : 0 };
      this.#drag(event);
    }
  }

  #drag(event) {
    const { view } = this, x = event.offsetX;
    if (!this.held) {
      const edge = this.#window().some((edgeX) => Math.abs(x - edgeX) < GRIP);
      this.canvas.style.cursor = edge ? "ew-resize" : "grab";
    } else if (this.held.edge === "begin")
      view.show(Math.min(this.#time(x), view.end - SHORTEST), view.end, false);
    else if (this.held.edge === "end")
      view.show(view.begin, Math.max(this.#time(x), view.begin + SHORTEST), false);
    else {
      const middle = this.#time(x) - this.held.offset, half = (view.end - view.begin) / 2;
      view.show(middle - half, middle + half, false);
    }
  }
}
