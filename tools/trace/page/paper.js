/* The page on paper: a heading, all lanes of the present view with their names, the legend and the
 * figures. Drawn when printing begins, in light colours. */

const PAPER_WIDTH = 1180; /* px of the timeline, which the sheet's width shows */
const PAPER_NAMES = 150;

class Paper {
  constructor(timeline) {
    this.timeline = timeline;
    addEventListener("beforeprint", () => this.draw());
    addEventListener("afterprint", () => this.#clear());
  }

  draw() {
    const { timeline } = this, { palette, view } = timeline;
    document.documentElement.dataset.theme = "light";
    palette.read();
    timeline.legend.draw();
    timeline.panel.draw();
    const canvas = this.#picture();
    byId("print").replaceChildren(
      make("h1", {}, document.title), make("p", {}, byId("facts").textContent),
      make("p", {}, `Shown: ${formatMoment(Math.max(view.first, view.begin), view.nsPerPx)} to ${formatMoment(Math.min(view.last, view.end), view.nsPerPx)}`),
      canvas);
  }

  #clear() {
    byId("print").replaceChildren();
    document.documentElement.dataset.theme = this.timeline.theme.shown;
    this.timeline.restyle();
  }

  #picture() {
    const { timeline } = this, { lanes, view } = timeline, height = lanes.height + RULER_HEIGHT;
    const canvas = make("canvas"), context = canvas.getContext("2d"), scale = 2, width = view.width;
    canvas.width = PAPER_WIDTH * scale;
    canvas.height = height * scale;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = timeline.palette.paper;
    context.fillRect(0, 0, PAPER_WIDTH, height);
    view.width = PAPER_WIDTH - PAPER_NAMES;
    this.#names(context);
    context.save();
    context.translate(PAPER_NAMES, RULER_HEIGHT);
    context.beginPath();
    context.rect(0, -RULER_HEIGHT, view.width, height);
    context.clip();
    timeline.painter.paint(context, 0, lanes.height);
    timeline.overlay.paintOnPaper(context);
    this.#ruler(context);
    context.restore();
    view.width = width;
    return canvas;
  }

  #names(context) {
    const { lanes, palette } = this.timeline;
    context.textBaseline = "top";
    for (const lane of lanes.list) {
      context.fillStyle = palette.edge;
      context.fillRect(0, RULER_HEIGHT + lane.top + lane.height - 1, PAPER_NAMES, 1);
      context.font = `600 ${FONT}`;
      context.fillStyle = palette.ink;
      context.fillText(clipped(context, lane.title, PAPER_NAMES - 12), 4, RULER_HEIGHT + lane.top + 6);
      context.font = SMALL_FONT;
      context.fillStyle = palette.faint;
      if (lane.closed)
        continue;
      context.fillText(clipped(context, lane.note, PAPER_NAMES - 60), 4, RULER_HEIGHT + lane.top + 21);
      context.textAlign = "right";
      for (const row of lane.rows)
        context.fillText(row.caption ?? "", PAPER_NAMES - 6, RULER_HEIGHT + lane.top + row.top - 2);
      context.textAlign = "left";
    }
  }

  #ruler(context) {
    const { view, palette } = this.timeline, step = tickStep(view.nsPerPx * TICK_ROOM);
    context.font = SMALL_FONT;
    context.textBaseline = "bottom";
    context.textAlign = "left";
    context.fillStyle = palette.faint;
    for (let time = Math.ceil(view.begin / step) * step; time <= view.end; time += step)
      context.fillText(formatMoment(time, step), Math.round(view.x(time)) + 3, -4);
  }
}
