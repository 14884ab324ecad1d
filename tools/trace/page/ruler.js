/* The time axis. Far in, ticks say how far they are from the moment at the left edge, which is
 * written out once. */

const TICK_ROOM = 110; /* px between ticks, at least */
const RULER_HEIGHT = 24;

class Ruler {
  constructor(view, palette) {
    this.view = view;
    this.palette = palette;
    this.canvas = byId("ruler");
  }

  paint(pointer) {
    const { view, palette } = this, context = fitCanvas(this.canvas, view.width, RULER_HEIGHT);
    const step = tickStep(view.nsPerPx * TICK_ROOM), relative = isRelative(view, step);
    const base = relative ? Math.floor(view.begin / (step * 10)) * step * 10 : 0;
    context.clearRect(0, 0, view.width, RULER_HEIGHT);
    context.font = FONT;
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (let time = Math.ceil(view.begin / step) * step; time <= view.end; time += step)
      this.#tick(context, time, relative ? `+${formatDuration(time - base)}` : formatMoment(time, step));
    if (relative)
      this.#base(context, formatMoment(base, step));
    if (pointer >= 0)
      this.#pointer(context, pointer);
    byId("span").textContent = formatDuration(view.end - view.begin);
    context.fillStyle = palette.edge;
    context.fillRect(0, RULER_HEIGHT - 1, view.width, 1);
  }

  #tick(context, time, text) {
    const x = Math.round(this.view.x(time));
    context.fillStyle = this.palette.edge;
    context.fillRect(x, 6, 1, RULER_HEIGHT);
    context.fillStyle = this.palette.faint;
    if (x + 5 + widthOf(context, text) < this.view.width)
      context.fillText(text, x + 5, 12);
  }

  #base(context, text) {
    this.#box(context, 0, text, this.palette.lane, this.palette.ink);
  }

  #pointer(context, x) {
    const { view } = this, text = formatMoment(view.time(x), Math.max(1, tickStep(view.nsPerPx)));
    context.font = FONT;
    const width = widthOf(context, text) + 12;
    this.#box(context, Math.min(view.width - width, Math.max(0, x - width / 2)), text, this.palette.ink, this.palette.paper);
  }

  #box(context, x, text, ground, ink) {
    context.fillStyle = ground;
    context.fillRect(x, 2, widthOf(context, text) + 12, RULER_HEIGHT - 4);
    context.fillStyle = ink;
    context.fillText(text, x + 6, 12);
  }
}

/* Whether a tick's full moment would have more digits than fit. */
function isRelative(view, step) {
  return view.begin > 0 && view.begin / step > 1e4;
}
