/* The address keeps the view, so that it can be sent and comes back after a reload:
 * #t=BEGIN-END&op=NUMBER&q=SEARCH&only=1&theme=dark, times in ns. */

const QUIET = 250; /* ms without a change before it is written */

class Address {
  constructor({ recording, view, selection, search, theme }) {
    Object.assign(this, { recording, view, selection, search, theme });
    addEventListener("hashchange", () => this.read());
  }

  read() {
    const said = new URLSearchParams(location.hash.slice(1));
    const [, begin, end] = /^(-?\d+)-(-?\d+)$/.exec(said.get("t") ?? "") ?? [];
    if (end !== undefined && Number(end) > Number(begin))
      this.view.show(Number(begin), Number(end), false);
    this.theme.choose(said.get("theme") ?? this.theme.chosen);
    this.search.find(said.get("q") ?? this.search.text);
    if (said.has("only"))
      this.search.showOnly(said.get("only") === "1");
    if (said.has("op"))
      this.selection.select(this.recording.ops.number.indexOf(Number(said.get("op"))));
  }

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#write(), QUIET);
  }

  #write() {
    const { view, selection, search, theme } = this, parts = new URLSearchParams();
    parts.set("t", `${Math.round(view.wantedBegin)}-${Math.round(view.wantedEnd)}`);
    if (selection.op >= 0)
      parts.set("op", this.recording.ops.number[selection.op]);
    if (search.text)
      parts.set("q", search.text);
    if (search.only)
      parts.set("only", "1");
    if (theme.chosen !== "auto")
      parts.set("theme", theme.chosen);
    history.replaceState(null, "", `#${parts}`);
  }
}
