/* What is under the pointer, in a few lines. */

class Tooltip {
  constructor(recording) {
    this.recording = recording;
    this.element = byId("tooltip");
  }

  hide() {
    this.element.hidden = true;
  }

  /* `found`: {row, ref, count, begin, end}. x, y: the pointer on the page. */
  show(found, x, y) {
    const { element } = this, { row, ref, count } = found, op = row.op(ref);
    element.replaceChildren(...(count > 1 ? this.#several(found) : op >= 0 ? this.#op(found, op) : this.#other(found)));
    element.hidden = false;
    const box = element.getBoundingClientRect(), room = 14;
    element.style.left = `${Math.max(4, x + room + box.width > innerWidth ? x - room - box.width : x + room)}px`;
    element.style.top = `${Math.max(4, y + room + box.height > innerHeight ? y - room - box.height : y + room)}px`;
  }

  #several({ row, ref, count, begin, end, busy }) {
    return [make("b", {}, `${trimmed(count, 0)} together, in ${formatDuration(end - begin)}`),
            row.shape === "mark" ? null : line("busy", formatShare(busy, end - begin)),
            row.shape === "mark" ? null : line("longest", row.label(ref)),
            make("small", {}, "zoom in to tell them apart")].filter(Boolean);
  }

  #op({ row, ref, begin, end }, op) {
    const { recording } = this, plan = recording.planOf(op), outcome = recording.outcome[op];
    const inside = recording.around(op).map((each) => recording.nameOf(each)).join(" › ");
    return [make("b", {}, row.label(ref)), make("span", { class: "number" }, ` #${recording.ops.number[op] >>> 0}`),
            end > begin ? line("for", formatDuration(end - begin)) : null,
            line("at", formatMoment(begin, 1)),
            inside ? line("in", inside) : null,
            plan ? line("shapes", shapeLine(plan)) : null,
            recording.placeOf(op) ? line("from", recording.placeOf(op)) : null,
            outcome ? line("ended", OUTCOMES[outcome]) : null,
            recording.onPath[op] ? make("small", { class: "critical" }, "on the critical path") : null].filter(Boolean);
  }

  #other({ row, ref, begin, end }) {
    return [make("b", {}, row.label(ref) || "sleeps"), line("for", formatDuration(end - begin)), line("at", formatMoment(begin, 1))];
  }
}

function line(name, value) {
  return make("div", {}, make("span", { class: "key" }, `${name} `), value);
}

function shapeLine(plan) {
  return `${(plan.inputs ?? []).join(", ") || "–"} → ${(plan.outputs ?? []).join(", ") || "–"}`;
}
