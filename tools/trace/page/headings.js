/* The names of lanes, left of them; a click closes or opens one. */

class Headings {
  constructor(lanes, palette, onchange) {
    this.lanes = lanes;
    this.palette = palette;
    this.elements = lanes.list.map((lane) => this.#heading(lane, onchange));
    byId("headings").replaceChildren(...this.elements);
    this.layOut();
  }

  #heading(lane, onchange) {
    const toggle = () => {
      lane.closed = !lane.closed;
      this.lanes.layOut();
      this.layOut();
      onchange();
    };
    const captions = lane.rows.filter((row) => row.caption).map((row) =>
      make("span", { class: "caption", style: `top:${row.top - 2}px` }, row.caption));
    const value = make("span", { class: "value" });
    const button = make("button", { type: "button", class: `heading ${lane.kind}`, onclick: toggle,
                                    title: "Close or open this lane" },
                        make("span", { class: "name" }, lane.title), make("span", { class: "note" }, lane.note), value, captions);
    lane.valueElement = value;
    return button;
  }

  layOut() {
    this.lanes.list.forEach((lane, i) => {
      const { style } = this.elements[i];
      style.top = `${lane.top}px`;
      style.height = `${lane.height}px`;
      this.elements[i].setAttribute("aria-expanded", String(!lane.closed));
    });
    byId("content").style.height = `${this.lanes.height}px`;
  }

  /* What the counters were at `time`; null: nowhere in particular. */
  tell(time) {
    for (const { row, valueElement } of this.lanes.list)
      if (row)
        valueElement.textContent = time === null ? "" : formatValue(row.valueAt(time), row.unit);
  }
}
