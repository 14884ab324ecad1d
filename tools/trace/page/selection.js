/* The op that is selected, if any. */

class Selection {
  constructor(recording, lanes) {
    this.recording = recording;
    this.lanes = lanes;
    this.op = -1;
    this.onchange = [];
  }

  select(op) {
    if (op === this.op)
      return;
    this.op = op;
    for (const listener of this.onchange)
      listener(op);
  }

  /* The next op that is drawn in the same row, `step` places on; the first one where none is selected. */
  beside(step) {
    const place = this.op >= 0 ? this.lanes.placeOf(this.op) : null;
    const row = place?.row ?? this.lanes.rows.find((r) => r.lane.kind === "worker" && r.shape === "bar" && r.pyramid.size);
    if (!row)
      return -1;
    const { ref, size } = row.pyramid.levels[0];
    let i = place ? row.pyramid.find(place.begin, 0) : -1;
    while ((i += step) >= 0 && i < size)
      if (row.op(ref[i]) >= 0 && row.op(ref[i]) !== this.op)
        return row.op(ref[i]);
    return -1;
  }
}
