/* Keys and signs. */

const KEYS = [
  ["wheel, w, s, +, −", "zoom at the pointer"],
  ["drag, shift + wheel, a, d, ← →", "pan; ↑ ↓ scroll the lanes"],
  ["shift + drag", "mark a stretch of time and zoom into it; with a click only measured"],
  ["click, Enter", "select an op: all that is known of it; double click: zoom to it"],
  [", .", "the op before, after, on the same lane"],
  ["i, o", "the input that came last; the first dependent"],
  ["f, 0", "fit the selection; show all"],
  ["/, n, N, h", "search; next and previous match; only matches"],
  ["c, e, t", "critical path; arrows between all ops; light or dark"],
  ["?, Esc", "this help; away with help, search, selection"],
];

const READING = [
  "Lanes of threads show what each thread did; small marks are ops that it submitted, resolved, launched or completed, and other threads that it woke.",
  "A device's lane says how busy it was, and below, why it was not. Its workers' lanes show every op: pale while its outputs are created, full while it executes. Brackets above are the composites around the ops.",
  "A line along the foot of an op means: it is on the critical path, which the first lane tells from begin to end.",
  "Where many ops fall onto one pixel, their density shows as depth of colour.",
];

const SEARCHES = "Search words are looked for in names, files, shapes, attributes and errors; op: in: file: device: group: shape: error: " +
  "look only there; is:failed is:cancelled is:timed-out is:miss is:critical is:held is:plain; longer:20us, shorter:1ms; #12 is a number. " +
  "All words must fit.";

function fillHelp() {
  byId("keys").replaceChildren(
    ...READING.map((text) => make("p", {}, text)),
    make("h3", {}, "Keys"),
    make("dl", {}, ...KEYS.map(([keys, meaning]) => [make("dt", {}, keys), make("dd", {}, meaning)])),
    make("h3", {}, "Search"), make("p", {}, SEARCHES));
}

function toggleHelp() {
  const help = byId("help");
  if (help.open)
    help.close();
  else
    help.showModal();
}
