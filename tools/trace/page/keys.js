/* The keyboard. Keys that are held down move on as long as they are held. */

const SPEED = 1.1;     /* px a ms of panning */
const ZOOM_SPEED = 0.004; /* of the logarithm, a ms */

const MOTIONS = {
  a: ["pan", -1], d: ["pan", 1], ArrowLeft: ["pan", -1], ArrowRight: ["pan", 1],
  w: ["zoom", -1], s: ["zoom", 1], "+": ["zoom", -1], "=": ["zoom", -1], "-": ["zoom", 1],
  ArrowUp: ["scroll", -1], ArrowDown: ["scroll", 1],
};

class Keys {
  constructor(timeline) {
    this.timeline = timeline;
    this.held = new Map();
    this.actions = {
      f: () => timeline.fitSelected(), 0: () => timeline.view.showAll(), "/": () => byId("query").select(),
      "?": toggleHelp, n: () => timeline.search.go(1), N: () => timeline.search.go(-1),
      h: () => timeline.search.showOnly(!timeline.search.only), c: () => timeline.toggleCritical(),
      e: () => timeline.toggleArrows(), t: () => timeline.theme.next(), ",": () => timeline.goBeside(-1),
      ".": () => timeline.goBeside(1), i: () => timeline.goInput(), o: () => timeline.goDependent(),
      Escape: () => timeline.escape(),
    };
    addEventListener("keydown", (event) => this.#down(event));
    addEventListener("keyup", (event) => this.held.delete(event.code));
    addEventListener("blur", () => this.held.clear());
  }

  #down(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open)
      return;
    if (event.target.matches("input, textarea")) {
      if (event.key === "Escape")
        this.timeline.escape();
      return;
    }
    const button = event.target.matches("button, a, summary");
    if (MOTIONS[event.key] && !(button && event.key.startsWith("Arrow") && event.target.closest("#panel"))) {
      event.preventDefault();
      this.held.set(event.code, MOTIONS[event.key]);
      this.#move(...MOTIONS[event.key], event.repeat ? 0 : 30);
    } else if (this.actions[event.key] && !event.repeat) {
      event.preventDefault();
      this.actions[event.key]();
    }
  }

  #move(what, direction, ms) {
    const { view, overlay } = this.timeline;
    if (what === "pan")
      view.pan(direction * SPEED * ms);
    else if (what === "zoom")
      view.zoom(Math.exp(direction * ZOOM_SPEED * ms), overlay.x >= 0 ? overlay.x : view.width / 2);
    else
      byId("scroll").scrollTop += direction * SPEED * ms;
  }

  /* One frame further; true while keys are held. */
  step(ms) {
    for (const [what, direction] of this.held.values())
      this.#move(what, direction, Math.min(ms, 50));
    return this.held.size > 0;
  }
}
