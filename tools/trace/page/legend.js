/* What colours and patterns mean. An op's entry searches for it. */

class Legend {
  constructor(statistics, palette, search) {
    Object.assign(this, { statistics, palette, search });
    this.draw();
  }

  draw() {
    const { statistics, palette, search } = this, { outcomes } = statistics;
    const total = statistics.names.reduce((sum, entry) => sum + entry.total, 0);
    const ops = statistics.names.slice(0, OP_COLOURS).map((entry) =>
      this.#entry(palette.ofName(entry.index), entry.name, `op:${quoted(entry.name)}`, formatShare(entry.total, total)));
    const others = statistics.names.length > OP_COLOURS
      ? [this.#sign(palette.other, plural(statistics.names.length - OP_COLOURS, "other op"))] : [];
    const ends = [[FAILED, palette.failed, "is:failed"], [CANCELLED, palette.patterns.cancelled, "is:cancelled"],
                  [TIMED_OUT, palette.patterns.timedOut, "is:timed-out"]].filter(([outcome]) => outcomes[outcome])
      .map(([outcome, fill, term]) => this.#entry(fill, OUTCOMES[outcome], term, trimmed(outcomes[outcome], 0)));
    byId("legend").replaceChildren(...ops, ...others, make("i", {}), ...ends,
      this.#sign(palette.patterns.wait, "waits"), this.#sign(palette.edge, "sleeps"), this.#sign(palette.callback, "callback"),
      this.#sign(palette.critical, "critical path", "foot"));
  }

  #entry(fill, name, term, note) {
    const button = make("button", { type: "button", "aria-pressed": String(this.search.has(term)), title: `Search ${term}`,
                                    onclick: () => this.search.toggle(term) },
                        swatch(fill), name, make("span", { class: "note" }, note));
    return button;
  }

  #sign(fill, name, shape) {
    return make("span", { class: "sign" }, swatch(fill, shape), name);
  }
}

function quoted(word) {
  return /\s/.test(word) ? `"${word}"` : word;
}

/* A little piece of the colour or pattern. */
function swatch(fill, shape = "full") {
  const canvas = make("canvas", { class: "swatch", "aria-hidden": "true" }), context = fitCanvas(canvas, 14, 12);
  context.fillStyle = fill;
  context.fillRect(0, shape === "foot" ? 8 : 0, 14, 12);
  return canvas;
}
