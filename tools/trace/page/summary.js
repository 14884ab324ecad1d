/* The whole recording, in figures: devices, what took the time, the critical path. */

const MOST_NAMES = 12;

class Summary {
  constructor(recording, statistics, palette, panel) {
    Object.assign(this, { recording, statistics, palette, panel });
  }

  sections() {
    return [this.#head(), this.#ends(), this.#devices(), this.#names(), this.#path()].filter(Boolean);
  }

  #head() {
    const { recording, statistics } = this, { about } = recording, { start, duration } = recording.path;
    const length = start.length ? Math.min(recording.end, start.at(-1) + duration.at(-1)) - Math.max(recording.begin, start[0]) : 0;
    const rate = (statistics.computed / recording.duration) * 1e9;
    return make("section", { class: "head" }, make("h2", {}, "Overview"),
                make("dl", {}, fact("time", formatDuration(recording.duration)), fact("ops", trimmed(statistics.computed, 0)),
                     fact("rate", `${trimmed(rate, 0)} ops/s`), fact("made programs", statistics.misses ? trimmed(statistics.misses, 0) : ""),
                     fact("critical path", length ? formatDuration(length) : ""), fact("began", about.started ? about.started.replace("T", " ").replace(/\.\d+/, "") : "")),
                make("p", { class: "note" }, "Click an op for everything known of it."));
  }

  #ends() {
    const { outcomes } = this.statistics, listed = [FAILED, CANCELLED, TIMED_OUT, UNFINISHED].filter((outcome) => outcomes[outcome]);
    if (!listed.length)
      return null;
    const terms = ["", "is:failed", "is:cancelled", "is:timed-out", "is:unended"];
    return make("section", {}, make("h3", {}, "Not ended well"), make("ul", { class: "ops" }, listed.map((outcome) =>
      make("li", {}, make("button", { type: "button", class: "op", onclick: () => this.panel.onsearch(terms[outcome]) },
                          swatch(this.palette.ofOutcome(outcome) ?? this.palette.other), make("span", { class: "name" }, OUTCOMES[outcome]),
                          make("span", { class: "note" }, trimmed(outcomes[outcome], 0)))))));
  }

  #devices() {
    const { recording } = this, rows = this.panel.selection.lanes.list.filter((lane) => lane.kind === "device").map((lane) => {
      const share = lane.rows[0].busy(recording.begin, recording.end);
      return make("tr", {}, make("td", {}, lane.title), make("td", { class: "bar wide" }, make("i", { style: `left:0;width:${100 * share}%` })),
                  make("td", { class: "figure" }, formatShare(share, 1)));
    });
    return rows.length ? make("section", {}, make("h3", {}, "Devices, busy"), make("table", {}, rows), this.#gaps()) : null;
  }

  /* Why devices were idle, in sum. */
  #gaps() {
    const { recording } = this, { kind, name, duration } = recording.events, sums = new Map();
    for (let i = 0; i < kind.length; i++)
      if (kind[i] === GAP)
        sums.set(name[i], (sums.get(name[i]) ?? 0) + duration[i]);
    if (!sums.size)
      return null;
    const sorted = [...sums].sort((a, b) => b[1] - a[1]);
    return [make("h4", {}, "Idle, because of"), make("table", {}, sorted.map(([index, time]) => make("tr", {},
      make("td", {}, swatch(this.palette.gap(recording.names[index])), recording.names[index]),
      make("td", { class: "figure" }, formatDuration(time)))))];
  }

  #names() {
    const { names } = this.statistics, total = names.reduce((sum, entry) => sum + entry.total, 0);
    if (!names.length)
      return null;
    const rows = names.slice(0, MOST_NAMES).map((entry) => make("tr", {},
      make("td", {}, make("button", { type: "button", class: "op", onclick: () => this.panel.onsearch(`op:${quoted(entry.name)}`) },
                          swatch(this.palette.ofName(entry.index)), make("span", { class: "name" }, entry.name))),
      [trimmed(entry.count, 0), formatDuration(entry.median), formatDuration(entry.p99), formatShare(entry.total, total)]
        .map((text) => make("td", { class: "figure" }, text))));
    const heads = ["op", "count", "median", "p99", "time"].map((text, i) => make("th", { scope: "col", class: i ? "figure" : "" }, text));
    return make("section", {}, make("h3", {}, "Where the time goes"), make("table", { class: "names" }, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows)));
  }

  #path() {
    const { recording } = this, gains = [...recording.path.gains].sort((a, b) => b.time - a.time).slice(0, MOST_NAMES);
    if (!gains.length)
      return null;
    const rows = gains.map(({ what, time, gain }) => make("tr", {}, make("td", {}, WHATS[what] ?? what),
      make("td", { class: "figure" }, formatDuration(time)), make("td", { class: "figure" }, gain >= 0 ? formatDuration(gain) : "–")));
    const heads = ["on it", "time", "gain if free"].map((text, i) => make("th", { scope: "col", class: i ? "figure" : "" }, text));
    return make("section", {}, make("h3", {}, "Critical path"), make("table", {}, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows)));
  }
}

function fact(name, value) {
  return value ? [make("dt", {}, name), make("dd", {}, value)] : [];
}
