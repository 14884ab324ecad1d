/* The panel on the right: everything known of the selected op; of the whole recording where none is. */

const MOST_LISTED = 40; /* inputs, dependents, children */

class Panel {
  constructor(recording, statistics, palette, selection, onreveal) {
    Object.assign(this, { recording, statistics, palette, selection, onreveal });
    this.element = byId("panel");
    this.summary = new Summary(recording, statistics, palette, this);
    selection.onchange.push(() => this.draw());
  }

  draw() {
    const { op } = this.selection;
    this.element.replaceChildren(...(op < 0 ? this.summary.sections() : this.#op(op)));
    this.element.scrollTop = 0;
    if (op >= 0)
      say(`${this.recording.titleOf(op)}, ${OUTCOMES[this.recording.outcome[op]]}`);
  }

  /* A button that goes to an op. */
  link(op, note = "") {
    const { recording, palette } = this;
    return make("button", { type: "button", class: "op", onclick: () => this.#go(op) }, swatch(palette.ofOp(op)),
                make("span", { class: "name" }, recording.nameOf(op)),
                make("span", { class: "number" }, `#${recording.ops.number[op] >>> 0}`), make("span", { class: "note" }, note));
  }

  #go(op) {
    this.selection.select(op);
    this.onreveal(op);
    this.element.focus();
  }

  #op(op) {
    return [this.#head(op), this.#fault(op), this.#journey(op), this.#waited(op), this.#facts(op), this.#compared(op),
            this.#list("Inputs", [...this.recording.inputsOf(op)], op), this.#list("Dependents", [...this.recording.dependentsOf(op)], op),
            this.#list("Ops in it", [...this.recording.childrenOf(op)], op)].filter(Boolean);
  }

  #head(op) {
    const { recording } = this, kind = ["op", "composite", "all of several", "any of several"][recording.ops.kind[op]];
    const outcome = recording.outcome[op], around = recording.around(op);
    const chips = [outcome !== FINE ? make("span", { class: `chip ${["", "failed", "cancelled", "timed-out", "open"][outcome]}` }, OUTCOMES[outcome]) : null,
                   recording.onPath[op] ? make("span", { class: "chip critical" }, "critical path") : null,
                   recording.ops.flags[op] & PLAIN ? make("span", { class: "chip" }, "plain call") : null,
                   recording.ops.kind[op] === OP ? null : make("span", { class: "chip" }, kind)];
    return make("section", { class: "head" },
                make("button", { type: "button", class: "close", "aria-label": "Close", title: "Close (Esc)", onclick: () => this.selection.select(-1) }, "✕"),
                make("nav", { "aria-label": "Composites around it" }, around.map((each) => [this.#crumb(each), " › "])),
                make("h2", {}, recording.nameOf(op), make("span", { class: "number" }, ` #${recording.ops.number[op] >>> 0}`)),
                recording.placeOf(op) ? make("code", { class: "place" }, recording.placeOf(op)) : null,
                make("p", { class: "chips" }, chips));
  }

  #crumb(op) {
    return make("button", { type: "button", class: "crumb", onclick: () => this.#go(op) }, this.recording.nameOf(op));
  }

  #fault(op) {
    const { recording } = this, text = recording.errors[recording.ops.error[op]];
    if (recording.outcome[op] === FINE || recording.outcome[op] === UNFINISHED)
      return null;
    const status = recording.statuses[recording.ops.status[op]] ?? "";
    return make("section", { class: "fault" }, make("b", {}, status), text ? make("p", {}, text) : null);
  }

  /* Moments, with bars for what lies between them. */
  #journey(op) {
    const moments = journeyOf(this.recording, op);
    if (moments.length < 2)
      return null;
    const first = moments[0].time, whole = moments.at(-1).time - first || 1;
    const rows = moments.map(({ name, time, since, phase }, i) => make("tr", {},
      make("td", {}, name), make("td", { class: "figure" }, i ? `+${formatDuration(since)}` : formatMoment(time, 1)),
      make("td", { class: "bar" }, i ? make("i", { class: phase === "executing" ? "hot" : "", title: phase,
        style: `left:${(100 * (time - since - first)) / whole}%;width:${Math.max(0.8, (100 * since) / whole)}%` }) : null)));
    return make("section", {}, make("h3", {}, "Journey", make("span", { class: "note" }, formatDuration(whole))),
                make("table", { class: "journey" }, rows));
  }

  /* The input that came last before it began, and what lay between. */
  #waited(op) {
    const { ops } = this.recording, input = ops.waited_for[op] ?? -1;
    if (input < 0 || ops.ended[input] <= ops.submitted[op])
      return null;
    const since = ops.began[op] - ops.ended[input];
    return make("section", {}, make("h3", {}, "Waited for", make("span", { class: "note" }, formatDuration(ops.ended[input] - ops.submitted[op]))),
                make("ul", { class: "ops" }, make("li", {}, this.link(input, `began ${formatDuration(since)} after it`))));
  }

  #facts(op) {
    const { recording } = this, { ops } = recording, plan = recording.planOf(op), time = executionOf(recording, op);
    const lane = recording.lanes[ops.lane[op]], row = this.selection.lanes.rowOfOp[op], facts = [];
    const add = (name, value) => value && facts.push(make("dt", {}, name), make("dd", {}, value));
    add("inputs", plan?.inputs?.join("\n"));
    add("outputs", plan?.outputs?.join("\n"));
    add("attributes", plan?.attrs);
    add("device", ops.kind[op] === OP && ops.device[op] >= 0 ? recording.deviceName(ops.device[op]) : "");
    add("worker", row?.lane.kind === "worker" ? row.lane.title : "");
    add("submitted by", lane?.name);
    add("allocated", ops.bytes[op] > 0 ? formatBytes(ops.bytes[op]) : "");
    add("work", plan?.flops > 0 ? `${formatCount(plan.flops, "FLOP")}${time > 0 ? `, ${formatCount((plan.flops / time) * 1e9, "FLOP/s")}` : ""}` : "");
    add("program", ops.kind[op] === OP && time >= 0 ? (ops.flags[op] & ALIAS ? "none: the output has the input's storage"
      : ops.flags[op] & MISS ? "made for this op (cache missed)" : "from the cache") : "");
    add("group", recording.names[ops.group[op]]);
    add("priority", ops.priority[op] > 0 ? String(ops.priority[op]) : "");
    add("held", ops.flags[op] & WAS_HELD ? "by a limit" : "");
    return facts.length ? make("section", {}, make("h3", {}, "Facts"), make("dl", {}, facts)) : null;
  }

  /* Beside the others of its name. */
  #compared(op) {
    const entry = this.statistics.ofName(this.recording.ops.name[op]), time = executionOf(this.recording, op);
    if (!entry || time < 0 || entry.count < 3 || this.recording.ops.kind[op] !== OP)
      return null;
    const shorter = firstAfter(entry.sorted, time - 0.5), times = entry.median > 0 ? time / entry.median : 1;
    return make("section", {}, make("h3", {}, `Among ${trimmed(entry.count, 0)} ${entry.name}`),
                make("p", {}, `Executed for ${formatDuration(time)}, ${trimmed(times, 2)} × the median; `,
                     `longer than ${formatShare(shorter, entry.count)} of them.`),
                make("p", { class: "note" }, `median ${formatDuration(entry.median)}, p99 ${formatDuration(entry.p99)}, longest ${formatDuration(entry.sorted.at(-1))}`));
  }

  #list(title, ops, of) {
    const known = ops.filter((op) => op >= 0);
    if (!ops.length)
      return null;
    const { completed, submitted } = this.recording.ops, strangers = ops.length - known.length;
    const last = title === "Inputs" && known.reduce((best, op) => (best < 0 || completed[op] > completed[best] ? op : best), -1);
    const items = known.slice(0, MOST_LISTED).map((op) => make("li", {}, this.link(op,
      op === last && known.length > 1 && completed[op] > submitted[of] ? "came last" : this.#took(op))));
    const more = known.length - items.length;
    return make("section", {}, make("h3", {}, title, make("span", { class: "note" }, trimmed(ops.length, 0))), make("ul", { class: "ops" }, items),
                more > 0 ? make("p", { class: "note" }, `and ${trimmed(more, 0)} more`) : null,
                strangers ? make("p", { class: "note" }, `${plural(strangers, "input")} made by no op of this recording`) : null);
  }

  #took(op) {
    const time = executionOf(this.recording, op);
    return time >= 0 ? formatDuration(time) : OUTCOMES[this.recording.outcome[op]];
  }
}
