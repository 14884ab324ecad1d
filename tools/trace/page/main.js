/* The page: its parts, and what happens between them. Everything is drawn in `frame`, at most once a
 * frame, and only when something has changed. */

class Timeline {
  constructor(recording) {
    this.recording = recording;
    this.statistics = new Statistics(recording);
    this.lanes = new Lanes(recording);
    this.view = new View(recording.begin, recording.end);
    this.palette = new Palette(recording, this.statistics);
    this.selection = new Selection(recording, this.lanes);
    this.arrows = new Arrows(recording, this.lanes, this.view, this.palette);
    this.overlay = new Overlay(recording, this.lanes, this.view, this.palette, this.selection, this.arrows);
    this.search = new Search(recording, this.lanes, this.selection, () => this.searched());
    this.painter = new Painter(recording, this.lanes, this.view, this.palette, this.search);
    this.ruler = new Ruler(this.view, this.palette);
    this.minimap = new Minimap(recording, this.lanes, this.view, this.palette);
    this.headings = new Headings(this.lanes, this.palette, () => this.changed());
    this.tooltip = new Tooltip(recording);
    this.panel = new Panel(recording, this.statistics, this.palette, this.selection, (op) => this.reveal(op));
    this.legend = new Legend(this.statistics, this.palette, this.search);
    this.keys = new Keys(this);
    this.theme = new Theme(() => this.restyle());
    this.gestures = new Gestures(this);
    this.paper = new Paper(this);
    this.address = new Address(this);
    this.#connect();
  }

  #connect() {
    this.view.onchange = () => this.changed();
    this.panel.onsearch = (term) => this.search.toggle(term);
    this.search.onreveal = (op) => this.reveal(op);
    this.selection.onchange.push(() => this.changed());
    byId("critical").addEventListener("click", () => this.toggleCritical());
    byId("arrows").addEventListener("click", () => this.toggleArrows());
    byId("fit").addEventListener("click", () => this.view.showAll());
    byId("ask").addEventListener("click", toggleHelp);
    byId("scroll").addEventListener("scroll", () => this.redraw());
    new ResizeObserver(() => this.resize()).observe(byId("scroll"));
    this.resize();
    this.panel.draw();
    this.address.read();
  }

  resize() {
    const box = byId("scroll");
    this.view.width = Math.max(50, byId("stage").clientWidth);
    this.height = box.clientHeight;
    this.redraw();
  }

  restyle() {
    this.palette.read();
    this.legend?.draw();
    this.panel?.draw();
    this.minimap.forget();
    this.redraw();
    this.address?.changed();
  }

  searched() {
    this.minimap.forget();
    this.legend.draw();
    this.changed();
  }

  /* Something that the address keeps. */
  changed() {
    this.redraw();
    this.address?.changed();
  }

  redraw() {
    this.waiting ??= requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    const ms = Math.min(100, this.last ? now - this.last : 16);
    this.waiting = null;
    const moves = this.keys.step(ms), glides = this.view.step(ms);
    this.draw();
    this.last = moves || glides ? now : 0;
    if (moves || glides)
      this.redraw();
  }

  draw() {
    const { scrollTop } = byId("scroll"), { view, height } = this;
    this.painter.paint(fitCanvas(byId("base"), view.width, height, OPAQUE), scrollTop, height);
    this.overlay.show(byId("overlay"), scrollTop, height);
    this.ruler.paint(this.overlay.x);
    this.minimap.paint();
  }

  /* What is at a place of the stage: {row, ref, count, begin, end}, or null. */
  find(x, y) {
    const row = this.lanes.rowAt(y + byId("scroll").scrollTop), time = this.view.time(x), { nsPerPx } = this.view;
    if (!row?.pyramid.size)
      return null;
    const pyramid = this.search.only && row.matching ? row.matching : row.pyramid;
    const level = pyramid.level(nsPerPx), [first, last] = Pyramid.range(level, time - nsPerPx * 3, time + nsPerPx * 3);
    let best = null, nearest = nsPerPx * 3;
    for (let i = first; i < last; i++) {
      const away = Math.max(0, level.begin[i] - time, time - level.end[i]);
      if (away <= nearest) {
        nearest = away;
        best = { row, ref: level.ref[i], count: level.count[i], begin: level.begin[i], end: level.end[i], busy: level.busy[i] };
      }
    }
    return best;
  }

  /* The pointer is somewhere else; null: not over the lanes. */
  point(event) {
    this.overlay.x = event ? event.offsetX : -1;
    this.overlay.hover = event ? this.find(event.offsetX, event.offsetY) : null;
    if (this.overlay.hover)
      this.tooltip.show(this.overlay.hover, event.clientX, event.clientY);
    else
      this.tooltip.hide();
    byId("stage").classList.toggle("on-op", this.overlay.hover !== null);
    this.headings.tell(event ? this.view.time(event.offsetX) : null);
    this.redraw();
  }

  click(event) {
    const found = this.find(event.offsetX, event.offsetY);
    this.overlay.marked = null;
    this.selection.select(found ? found.row.op(found.ref) : -1);
    this.redraw();
  }

  mark(stretch) {
    this.overlay.marked = stretch;
    this.redraw();
  }

  showMarked() {
    const [begin, end] = this.overlay.marked.toSorted((a, b) => a - b);
    this.overlay.marked = null;
    this.view.show(begin, end);
  }

  /* Brings an op into view, without moving where it is already well to be seen. */
  reveal(op) {
    const place = this.lanes.placeOf(op) ?? { row: null, ...this.recording.extentOf(op) };
    const { view } = this, length = place.end - place.begin, shown = view.wantedEnd - view.wantedBegin;
    if (place.row)
      this.#scrollTo(place.row);
    const small = length < shown / 200, large = length > shown;
    if (place.begin >= view.wantedBegin && place.end <= view.wantedEnd && !small)
      return this.redraw();
    const wanted = small || large ? Math.max(length * 12, SHORTEST) : shown, middle = (place.begin + place.end) / 2;
    view.show(middle - wanted / 2, middle + wanted / 2);
  }

  #scrollTo(row) {
    const scroll = byId("scroll"), top = row.lane.top + (row.lane.closed ? 0 : row.top);
    if (top < scroll.scrollTop || top + row.height > scroll.scrollTop + this.height)
      scroll.scrollTop = top - this.height / 2;
  }

  fitSelected() {
    const { op } = this.selection;
    if (op < 0)
      return this.view.showAll();
    const place = this.lanes.placeOf(op), { begin, end } = this.recording.ops.kind[op] === OP && place ? place : this.recording.extentOf(op);
    const room = Math.max((end - begin) * 0.15, SHORTEST / 2);
    if (place)
      this.#scrollTo(place.row);
    this.view.show(begin - room, end + room);
  }

  goBeside(step) {
    this.#goTo(this.selection.beside(step));
  }

  goInput() {
    const { completed } = this.recording.ops, inputs = [...this.recording.inputsOf(this.selection.op)].filter((op) => op >= 0);
    this.#goTo(inputs.reduce((best, op) => (best < 0 || completed[op] > completed[best] ? op : best), -1));
  }

  goDependent() {
    this.#goTo(this.recording.dependentsOf(this.selection.op)[0] ?? -1);
  }

  #goTo(op) {
    if (op < 0)
      return;
    this.selection.select(op);
    this.reveal(op);
  }

  toggleCritical() {
    this.painter.critical = this.overlay.path = !this.painter.critical;
    setPressed(byId("critical"), this.painter.critical);
    this.redraw();
  }

  toggleArrows() {
    this.arrows.all = !this.arrows.all;
    setPressed(byId("arrows"), this.arrows.all);
    this.redraw();
  }

  /* One step back: out of the search field, off the selection, off the search. */
  escape() {
    if (document.activeElement === byId("query"))
      byId("scroll").focus({ preventScroll: true });
    else if (this.selection.op >= 0)
      this.selection.select(-1);
    else
      this.search.find("");
  }
}

/* What must be said before anything is looked at. */
function bannersOf({ about, count, events, begin, end, duration }) {
  const banners = [];
  if (about.lost > 0)
    banners.push(["bad", `${plural(about.lost, "record")} were lost: the disk was too slow, or the rings too small. Ops may lack moments, or be missing.`]);
  if (about.strangers > 0)
    banners.push(["bad", `${plural(about.strangers, "record")} of threads beyond the recorder's limit are not in it.`]);
  if (!about.whole)
    banners.push(["warn", "The recording has no end: its program ended, or the file was cut off. What is here is right."]);
  const parts = [formatMoment(begin, duration / 1000), formatMoment(end, duration / 1000), formatDuration(about.length)];
  if (about.left_out > 0)
    banners.push(["warn", `Showing the first ${trimmed(events.start.length, 0)} of ${plural(events.start.length + about.left_out, "event")}: ${parts[0]} to ${parts[1]} ` +
                          `of ${parts[2]}. For the rest, write a page of it: tenor trace html --from ${option(end)} ${about.file ?? ""}`.trim()]);
  else if (begin > 0 || end < about.length)
    banners.push(["note", `Showing ${parts[0]} to ${parts[1]} of ${parts[2]}.`]);
  if (about.flight && count + events.start.length > 0)
    banners.push(["note", "A flight recording: only the last moments before it was written."]);
  return banners.map(([kind, text]) => make("p", { class: kind }, text));
}

/* A time as an option takes it. */
function option(ns) {
  return `${Math.floor(ns / 1000) / 1000}ms`;
}

function introduce(recording) {
  const { about } = recording, ops = count(recording.ops.kind, (kind) => kind === OP);
  document.title = `${about.program || "tenor"} – timeline`;
  byId("title").textContent = about.program || "tenor";
  byId("facts").textContent = [about.pid ? `pid ${about.pid}` : "", formatDuration(recording.duration), plural(ops, "op"),
                               plural(recording.devices.length, "device"), `tenor ${about.library ?? ""}`.trim()].filter(Boolean).join(" · ");
  byId("banners").replaceChildren(...bannersOf(recording));
}

function start() {
  fillHelp();
  const recording = readRecording() ?? new Recording({});
  introduce(recording);
  const empty = recording.events.start.length === 0 && recording.count === 0;
  byId("empty").hidden = !empty;
  byId("empty").textContent = "Nothing was recorded: no op was submitted while the recording ran.";
  window.timeline = new Timeline(recording);
}

start();
