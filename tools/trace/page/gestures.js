/* Wheel and pointer on the lanes. */

const CLICK = 4; /* px that a click may move */

class Gestures {
  constructor(timeline) {
    this.timeline = timeline;
    this.scroll = byId("scroll");
    this.stage = byId("stage");
    this.held = null;
    byId("timeline").addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.#down(event));
    this.stage.addEventListener("pointermove", (event) => this.#move(event));
    this.stage.addEventListener("pointerup", (event) => this.#up(event));
    this.stage.addEventListener("pointercancel", () => { this.held = null; });
    this.stage.addEventListener("pointerleave", () => this.timeline.point(null));
    this.stage.addEventListener("dblclick", () => this.timeline.fitSelected());
  }

  /* The wheel zooms over the lanes, and scrolls them over their headings. */
  #wheel(event) {
    const { view } = this.timeline, x = event.clientX - this.stage.getBoundingClientRect().left;
    const lines = event.deltaMode === 1 ? 16 : 1, sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (x < 0 || event.altKey)
      return;
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
      view.pan(sideways * lines);
    else
      view.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * lines * (event.ctrlKey ? 0.012 : 0.0022)))), x);
  }

  #down(event) {
    if (event.button !== 0)
      return;
    this.stage.setPointerCapture(event.pointerId);
    this.scroll.focus({ preventScroll: true });
    const time = this.timeline.view.time(event.offsetX);
    this.held = { x: event.clientX, y: event.clientY, lastX: event.clientX, lastY: event.clientY, moved: false,
                  marks: event.shiftKey, time };
  }

  #move(event) {
    const { held, timeline } = this;
    if (!held)
      return timeline.point(event);
    held.moved ||= Math.hypot(event.clientX - held.x, event.clientY - held.y) > CLICK;
    if (!held.moved)
      return;
    this.stage.classList.add("dragging");
    timeline.point(null);
    if (held.marks)
      timeline.mark([held.time, timeline.view.time(event.offsetX)]);
    else {
      timeline.view.pan(held.lastX - event.clientX, false);
      this.scroll.scrollTop += held.lastY - event.clientY;
    }
    held.lastX = event.clientX;
    held.lastY = event.clientY;
  }

  #up(event) {
    const { held, timeline } = this;
    this.held = null;
    this.stage.classList.remove("dragging");
    if (!held)
      return;
    if (!held.moved)
      timeline.click(event);
    else if (held.marks)
      timeline.showMarked();
  }
}
