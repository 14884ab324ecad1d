/* The search field: what matches, and going from match to match. */

const TYPING = 120; /* ms without a key before a search begins */

class Search {
  constructor(recording, lanes, selection, onchange) {
    Object.assign(this, { recording, lanes, selection, onchange });
    this.text = "";
    this.only = false;
    this.waits = false; /* for more to be typed */
    this.found = null; /* ops that match, in the order of time; null: no search */
    this.field = byId("query");
    this.field.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.waits = true;
      this.timer = setTimeout(() => this.find(this.field.value), TYPING);
    });
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find(this.field.value);
      this.go(1);
    });
    byId("next").addEventListener("click", () => this.go(1));
    byId("previous").addEventListener("click", () => this.go(-1));
    byId("only").addEventListener("click", () => this.showOnly(!this.only));
  }

  find(text) {
    clearTimeout(this.timer);
    this.waits = false;
    if (this.field.value !== text)
      this.field.value = text;
    if (text === this.text)
      return;
    this.text = text;
    const test = compileQuery(text, this.recording);
    this.matching = test && new Uint8Array(this.recording.count).map((_, op) => (test(op) ? 1 : 0));
    this.found = test && numbersOf(this.recording.count, (op) => this.matching[op]);
    for (const row of this.lanes.rows)
      row.matching = test && row.shape !== "counter" && row.shape !== "busy"
        ? row.part((ref) => row.op(ref) >= 0 && this.matching[row.op(ref)]) : null;
    this.#tell();
    this.onchange();
  }

  /* Adds a term, or takes it away where it is already there. */
  toggle(term) {
    const terms = this.text.split(/\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/).filter(Boolean);
    this.find((terms.includes(term) ? terms.filter((t) => t !== term) : [...terms, term]).join(" "));
  }

  has(term) {
    return this.text.includes(term);
  }

  showOnly(only) {
    this.only = only;
    setPressed(byId("only"), only);
    this.onchange();
  }

  /* Selects the next match, or the one before. */
  go(step) {
    if (!this.found?.length)
      return;
    const { op } = this.selection, after = firstAfter(this.found, op);
    const i = step > 0 ? after : after - 1 - (this.found[after - 1] === op ? 1 : 0);
    const n = this.found.length;
    this.selection.select(this.found[(i + n) % n]);
    this.onreveal(this.selection.op);
    this.#tell();
  }

  #tell() {
    const n = this.found?.length, at = n ? this.found.indexOf(this.selection.op) : -1;
    byId("matches").textContent = this.found === null || this.found === undefined ? ""
      : n === 0 ? "nothing matches" : at >= 0 ? `${trimmed(at + 1, 0)} of ${trimmed(n, 0)}` : plural(n, "match").replace("matchs", "matches");
    document.body.classList.toggle("searching", n !== undefined);
  }

  onreveal() {}
}
